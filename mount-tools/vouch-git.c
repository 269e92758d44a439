/*
 * vouch-git.c - what libgit2 does for us, in a process of its own: a daemon
 * must not open work trees that may lie in its own mount, a library that
 * reads hostile bytes is best kept apart, and its many shared libraries cost
 * every start of `vouch` 4 ms.
 *
 * Not for people: `vouch` starts it, asks on stdin and reads stdout
 * (base/git_helper.h has the other end and the form of the messages).  It ends
 * when stdin does.
 */
#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/git_helper.h"

enum { CONTEXT_LINES = 3, EXIT_MISUSE = 2 };
/* Two files of 16 MiB of short lines may want more: they are binary then. */
enum { MEMORY_MAX = 1 << 30, CPU_SECONDS = 60 };

/* 1 all, 0 the end before the first byte, else it broke off. */
static int read_all(void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(STDIN_FILENO, (char *)p + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return done ? -EPIPE : 0;
		done += (size_t)got;
	}
	return 1;
}

static int write_all(const void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put =
			write(STDOUT_FILENO, (const char *)p + done, n - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

struct hunks {
	struct buf text;
	uint64_t added, removed;
	bool binary;
};

/* The hunks alone: what stands above them is our caller's. */
static int on_line(const git_diff_delta *d, const git_diff_hunk *h,
		   const git_diff_line *l, void *ctx)
{
	struct hunks *x = ctx;

	(void)d, (void)h;
	switch (l->origin) {
	case GIT_DIFF_LINE_FILE_HDR:
		return 0;
	case GIT_DIFF_LINE_BINARY:
		x->binary = true;
		return 0;
	case GIT_DIFF_LINE_ADDITION:
		x->added++;
		buf_addc(&x->text, '+');
		break;
	case GIT_DIFF_LINE_DELETION:
		x->removed++;
		buf_addc(&x->text, '-');
		break;
	case GIT_DIFF_LINE_CONTEXT:
		buf_addc(&x->text, ' ');
		break;
	default: /* the head of a hunk, "\ No newline at end of file" */
		break;
	}
	buf_add(&x->text, l->content, l->content_len);
	return x->text.bad ? GIT_EUSER : 0;
}

static int diff(const char *a, size_t n_a, const char *b, size_t n_b)
{
	git_diff_options o;
	struct hunks x = { .text = BUF_INIT };
	git_patch *patch = NULL;
	struct buf head = BUF_INIT;
	int rc;

	(void)!git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);
	o.context_lines = CONTEXT_LINES;
	rc = git_patch_from_buffers(&patch, a, n_a, "file", b, n_b, "file", &o);
	if (!rc && patch)
		rc = git_patch_print(patch, on_line, &x);
	git_patch_free(patch);
	if (rc) {
		fprintf(stderr, "vouch-git: diff: %s\n",
			git_error_last() ? git_error_last()->message :
					   "no memory");
		buf_release(&x.text);
		return -ENOMEM;
	}
	buf_u8(&head, x.binary);
	buf_u64(&head, x.added);
	buf_u64(&head, x.removed);
	buf_u64(&head, x.text.n);
	rc = head.bad ? -ENOMEM : write_all(head.p, head.n);
	if (!rc)
		rc = write_all(x.text.p, x.text.n);
	buf_release(&head);
	buf_release(&x.text);
	return rc;
}

/* --- merging --- */

static bool is_binary(const void *p, size_t n)
{
	return n && memchr(p, 0, n);
}

/* Longest run of the characters of markers at a line's start. */
static size_t longest_mark(const char *p, size_t n)
{
	size_t longest = 0, run = 0;
	char mark = 0;

	for (size_t i = 0; i < n; i++) {
		if (i == 0 || p[i - 1] == '\n') {
			mark = strchr("<=>|", p[i]) ? p[i] : 0;
			run = 0;
		}
		if (mark && p[i] == mark)
			run++;
		else
			mark = 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

/* What libgit2 wrote, taken apart at its markers. */
struct parts {
	size_t mark; /* of which a marker has so many */
	enum { PART_BOTH, PART_OURS, PART_THEIRS } in;
	struct buf text, conflicts;
	uint64_t lines, n;
	bool at_conflict; /* the last line ended one */
};

static bool is_mark(const struct parts *x, const char *p, size_t n, char c)
{
	if (n < x->mark)
		return false;
	for (size_t i = 0; i < x->mark; i++)
		if (p[i] != c)
			return false;
	return true;
}

static void take_line(struct parts *x, const char *p, size_t n)
{
	x->at_conflict = false;
	if (x->in == PART_BOTH && is_mark(x, p, n, '<')) {
		x->in = PART_OURS;
		buf_u64(&x->conflicts, x->lines + 1);
	} else if (x->in == PART_OURS && is_mark(x, p, n, '=')) {
		x->in = PART_THEIRS;
		x->n++;
	} else if (x->in == PART_THEIRS) {
		x->at_conflict = is_mark(x, p, n, '>');
		if (x->at_conflict)
			x->in = PART_BOTH;
	} else {
		buf_add(&x->text, p, n);
		x->lines++;
	}
}

static void take_apart(struct parts *x, const char *p, size_t n)
{
	uint64_t first = 0;

	while (n) {
		const char *end = memchr(p, '\n', n);
		size_t len = end ? (size_t)(end + 1 - p) : n;
		bool was_ours = x->in == PART_OURS;

		if (x->in == PART_BOTH)
			first = x->lines;
		take_line(x, p, len);
		if (was_ours && x->in == PART_THEIRS)
			buf_u64(&x->conflicts, x->lines - first);
		p += len;
		n -= len;
	}
}

static int answer_merge(bool binary, const struct parts *x)
{
	struct buf head = BUF_INIT;
	int rc;

	buf_u8(&head, binary);
	buf_u64(&head, x->n);
	buf_u64(&head, x->text.n);
	rc = head.bad || x->text.bad || x->conflicts.bad ?
		     -ENOMEM :
		     write_all(head.p, head.n);
	if (!rc)
		rc = write_all(x->conflicts.p, x->conflicts.n);
	if (!rc)
		rc = write_all(x->text.p, x->text.n);
	buf_release(&head);
	return rc;
}

/* v: base, ours, theirs. */
static int merge(const char *const v[3], const uint64_t n[3])
{
	git_merge_file_options o;
	git_merge_file_input in[3];
	git_merge_file_result out = { 0 };
	struct parts x = { .mark = 7 };
	bool binary = false;
	int rc;

	(void)!git_merge_file_options_init(&o, GIT_MERGE_FILE_OPTIONS_VERSION);
	for (int i = 0; i < 3; i++) {
		size_t mark = longest_mark(v[i], (size_t)n[i]);

		(void)!git_merge_file_input_init(&in[i],
						 GIT_MERGE_FILE_INPUT_VERSION);
		in[i].ptr = v[i];
		in[i].size = (size_t)n[i];
		in[i].mode = 0100644;
		binary = binary || is_binary(v[i], (size_t)n[i]);
		x.mark = mark >= x.mark ? mark + 1 : x.mark;
	}
	binary = binary || x.mark > UINT16_MAX;
	if (binary)
		return answer_merge(true, &x);
	o.marker_size = (unsigned short)x.mark;
	o.our_label = "o";
	o.their_label = "t";
	rc = git_merge_file(&out, &in[0], &in[1], &in[2], &o);
	if (rc) {
		fprintf(stderr, "vouch-git: merge: %s\n",
			git_error_last() ? git_error_last()->message :
					   "no memory");
		return -ENOMEM;
	}
	take_apart(&x, out.ptr, out.len);
	/* a conflict at the end has a line's end that ours had not */
	if (x.at_conflict && n[1] && v[1][n[1] - 1] != '\n' && x.text.n &&
	    x.text.p[x.text.n - 1] == '\n')
		x.text.n--;
	git_merge_file_result_free(&out);
	rc = answer_merge(false, &x);
	buf_release(&x.text);
	buf_release(&x.conflicts);
	return rc;
}

/* --- requests --- */

/* So many texts one behind the other, each with a NUL; caller frees. */
static int read_texts(char **out, const char *v[3], uint64_t n[3], int texts)
{
	uint8_t head[GIT_HELPER_MERGE_HEAD];
	uint64_t all = 0;
	struct breader r;
	char *p;
	int rc = read_all(head, 8 * (size_t)texts);

	if (rc <= 0)
		return rc;
	breader_init(&r, head, 8 * (size_t)texts);
	for (int i = 0; i < texts; i++) {
		n[i] = breader_u64(&r);
		if (n[i] > GIT_HELPER_MAX)
			return -EINVAL;
		all += n[i] + 1;
	}
	p = *out = calloc(1, (size_t)all);
	if (!p)
		return -ENOMEM;
	for (int i = 0; i < texts; i++) {
		v[i] = p;
		rc = n[i] ? read_all(p, (size_t)n[i]) : 1;
		if (rc <= 0)
			return rc < 0 ? rc : -EPIPE;
		p += n[i] + 1;
	}
	return 1;
}

static int serve_one(bool merges)
{
	uint64_t n[3];
	const char *v[3];
	char *p = NULL;
	int rc = read_texts(&p, v, n, merges ? 3 : 2), got = rc;

	if (rc > 0)
		rc = merges ? merge(v, n) :
			      diff(v[0], (size_t)n[0], v[1], (size_t)n[1]);
	free(p);
	return rc < 0 ? rc : got > 0;
}

/* A sanitizer's shadow alone is terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESSES_MAX RLIM_INFINITY
#else
#define ADDRESSES_MAX MEMORY_MAX
#endif

static int limit(void)
{
	const struct rlimit memory = { ADDRESSES_MAX, ADDRESSES_MAX };
	const struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS };
	const struct rlimit core = { 0, 0 };

	return setrlimit(RLIMIT_AS, &memory) < 0 ||
	       setrlimit(RLIMIT_CPU, &cpu) < 0 ||
	       setrlimit(RLIMIT_CORE, &core) < 0;
}

/* --- of a work tree --- */

static int is_other(const git_diff *diff, const git_diff_delta *d,
		    const char *pathspec, void *ctx)
{
	(void)diff, (void)d, (void)pathspec;
	*(bool *)ctx = true;
	return -1; /* one is enough */
}

/*
 * Is a tracked file another than in the commit?  git's index is not written.
 * What git leaves to programs (filters) is taken as it lies there.
 */
static int is_dirty(git_repository *repo, const git_oid *head, bool *out)
{
	git_diff_options o;
	git_commit *commit = NULL;
	git_tree *tree = NULL;
	git_diff *diff = NULL;
	int rc;

	*out = false;
	(void)!git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);
	o.ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
	o.notify_cb = is_other;
	o.payload = out;
	rc = git_diff_index_to_workdir(&diff, repo, NULL, &o);
	git_diff_free(diff);
	diff = NULL;
	if (!rc && !*out)
		rc = git_commit_lookup(&commit, repo, head);
	if (!rc && !*out)
		rc = git_commit_tree(&tree, commit);
	if (!rc && !*out)
		rc = git_diff_tree_to_index(&diff, repo, tree, NULL, &o);
	git_diff_free(diff);
	git_tree_free(tree);
	git_commit_free(commit);
	return *out ? 0 : rc;
}

static int tell_tree(const char *path)
{
	uint8_t head[GIT_HELPER_TREE] = { 0 }, answer = 2;
	git_repository *repo = NULL;
	git_oid id;
	bool dirty = false;
	int rc = git_repository_open_ext(&repo, path, 0, NULL);

	if (rc < 0) {
		git_repository_free(repo);
		return -ENOENT;
	}
	rc = git_reference_name_to_id(&id, repo, "HEAD");
	if (rc == 0) {
		head[0] = 1;
		memcpy(head + 1, id.id, sizeof(head) - 1);
	}
	/* ENOTFOUND: no commit was made yet */
	rc = rc == 0 || rc == GIT_ENOTFOUND ? write_all(head, sizeof(head)) :
					      -EINVAL;
	if (!rc && head[0] && is_dirty(repo, &id, &dirty) == 0)
		answer = dirty;
	if (!rc)
		rc = write_all(&answer, 1);
	git_repository_free(repo);
	return rc;
}

/* --- anchors: a chain of commits, each of one file, "checkpoint" --- */

#define ANCHOR_FILE "checkpoint"
enum { ANCHOR_MAX = 64 << 10 };

/* In words on stdout, after a NUL: git_helper_call() takes them from there. */
static int git_failed(const char *what)
{
	const git_error *e = git_error_last();

	printf("%c%s: %s", 0, what, e ? e->message : "failed");
	fflush(stdout);
	return -EIO;
}

static int put_anchor(git_commit *c)
{
	const git_oid *id = git_commit_id(c);
	char hex[GIT_OID_HEXSZ + 1];
	git_tree *tree = NULL;
	git_blob *blob = NULL;
	const git_tree_entry *e = NULL;
	git_object_size_t n;
	int rc = git_commit_tree(&tree, c);

	if (!rc)
		e = git_tree_entry_byname(tree, ANCHOR_FILE);
	if (e && git_tree_entry_type(e) == GIT_OBJECT_BLOB)
		rc = git_blob_lookup(&blob, git_tree_owner(tree),
				     git_tree_entry_id(e));
	n = blob ? git_blob_rawsize(blob) : 0;
	if (!rc && n <= ANCHOR_MAX) {
		git_oid_tostr(hex, sizeof(hex), id);
		printf("%s %llu\n", hex, (unsigned long long)n);
		if (n)
			fwrite(git_blob_rawcontent(blob), 1, (size_t)n, stdout);
		rc = ferror(stdout) ? -1 : 0; /* nobody reads it any more */
	} else if (!rc) {
		(void)git_error_set_str(
			GIT_ERROR_INVALID,
			"it holds what is too long for a checkpoint");
		rc = -1;
	}
	git_blob_free(blob);
	git_tree_free(tree);
	return rc;
}

/* "COMMIT LENGTH\n" and the checkpoint, the newest first. */
static int list_anchors(git_repository *repo, const char *ref)
{
	git_oid id;
	git_commit *c = NULL, *parent = NULL;
	int rc = git_reference_name_to_id(&id, repo, ref);

	if (rc == GIT_ENOTFOUND)
		return 0;
	if (!rc)
		rc = git_commit_lookup(&c, repo, &id);
	while (!rc) {
		rc = put_anchor(c);
		if (rc || !git_commit_parentcount(c))
			break;
		rc = git_commit_parent(&parent, c, 0);
		git_commit_free(c);
		c = parent;
		parent = NULL;
	}
	git_commit_free(c);
	return rc ? git_failed(ref) : 0;
}

static int make_tree(git_oid *out, git_repository *repo, const void *p,
		     size_t n)
{
	git_treebuilder *b = NULL;
	git_oid blob;
	int rc = git_blob_create_from_buffer(&blob, repo, p, n);

	if (!rc)
		rc = git_treebuilder_new(&b, repo, NULL);
	if (!rc)
		rc = git_treebuilder_insert(NULL, b, ANCHOR_FILE, &blob,
					    GIT_FILEMODE_BLOB);
	if (!rc)
		rc = git_treebuilder_write(out, b);
	git_treebuilder_free(b);
	return rc;
}

/*
 * Commits stdin on the ref, whose commit is `tip` ("-": there is none): libgit2
 * refuses when it is another by now.  Neither index nor work tree is touched.
 */
static int make_anchor(git_repository *repo, const char *ref, const char *tip,
		       const char *words)
{
	char note[ANCHOR_MAX + 1], hex[GIT_OID_HEXSZ + 1];
	const git_commit *parents[1] = { NULL };
	git_commit *parent = NULL;
	git_signature *who = NULL;
	git_tree *tree = NULL;
	git_oid id;
	size_t n = fread(note, 1, sizeof(note), stdin);
	bool first = strcmp(tip, "-") == 0;
	int rc = n > ANCHOR_MAX ? -1 : make_tree(&id, repo, note, n);

	if (!rc)
		rc = git_tree_lookup(&tree, repo, &id);
	if (!rc && !first)
		rc = git_oid_fromstr(&id, tip);
	if (!rc && !first)
		rc = git_commit_lookup(&parent, repo, &id);
	if (!rc)
		rc = git_signature_now(&who, "vouch anchor", "vouch@localhost");
	parents[0] = parent;
	if (!rc)
		rc = git_commit_create(&id, repo, ref, who, who, NULL, words,
				       tree, first ? 0 : 1, parents);
	if (!rc) {
		git_oid_tostr(hex, sizeof(hex), &id);
		printf("%s", hex);
	}
	git_signature_free(who);
	git_commit_free(parent);
	git_tree_free(tree);
	return rc ? git_failed(ref) : 0;
}

/* anchors REPO REF | anchor REPO REF TIP WORDS */
static int anchors(char **argv)
{
	git_repository *repo = NULL;
	int rc = git_repository_open(&repo, argv[2]);

	if (rc)
		rc = git_failed(argv[2]);
	else if (strcmp(argv[1], "anchors") == 0)
		rc = list_anchors(repo, argv[3]);
	else
		rc = make_anchor(repo, argv[3], argv[4], argv[5]);
	git_repository_free(repo);
	return fflush(stdout) ? -EIO : rc;
}

static int serve(char **argv)
{
	bool merges = strcmp(argv[1], "merge") == 0;
	int rc;

	if (strcmp(argv[1], "tree") == 0)
		return tell_tree(argv[2]);
	if (strncmp(argv[1], "anchor", 6) == 0)
		return anchors(argv);
	do
		rc = serve_one(merges);
	while (rc > 0);
	return rc;
}

int main(int argc, char **argv)
{
	bool asks = argc == 2 && (strcmp(argv[1], "diff") == 0 ||
				  strcmp(argv[1], "merge") == 0);
	bool tree = argc == 3 && strcmp(argv[1], "tree") == 0;
	bool anchor = (argc == 4 && strcmp(argv[1], "anchors") == 0) ||
		      (argc == 6 && strcmp(argv[1], "anchor") == 0);
	int rc;

	if (!asks && !tree && !anchor) {
		fprintf(stderr, "usage: vouch-git diff | merge | tree PATH |\n"
				"       anchors REPO REF |"
				" anchor REPO REF TIP WORDS\n"
				"It works for vouch(1); there is nothing to "
				"call it for by hand.\n");
		return EXIT_MISUSE;
	}
	if (limit() || git_libgit2_init() < 0) {
		fprintf(stderr, "vouch-git: cannot start: %s\n",
			strerror(errno));
		return 1;
	}
	rc = serve(argv);
	git_libgit2_shutdown();
	if (rc < 0 && asks)
		fprintf(stderr, "vouch-git: %s\n", strerror(-rc));
	return rc < 0;
}
