/*
 * run_diff_print.c - the differences of run_diff.c as a patch, a table, names
 * or JSON.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/line.h"
#include "analytics/past.h"
#include "analytics/run_diff_int.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/git_helper.h"
#include "base/text.h"
#include "fs/content/content.h"
#include "fs/core/core.h"

enum { BAR = 40, NAME_WIDTH = 50 };

struct printer {
	struct core *core;
	struct run_view *view;
	struct git_helper *git; /* NULL: nothing was compared yet */
	struct errmsg *em;
	struct spool *out;
	struct buf head, hunks;
	bool hidden; /* not his to read */
	/* what could not be compared by lines, as it is not there, or long */
	bool released, too_long;
	const struct run_diff_what *what;
	uint64_t files, added, removed;
};

/* --- comparing --- */

static bool mode_allows(const struct past *p, const struct cred *cr)
{
	if (cr->uid == p->uid)
		return p->mode & S_IRUSR;
	if (core_in_group(cr, p->gid))
		return p->mode & S_IRGRP;
	return p->mode & S_IROTH;
}

/* May he read it: by its mode then, and by all that counts now? */
static bool may_read(struct printer *p, const struct run_diff_side *s)
{
	const struct cred *cr = p->view->cr;
	struct stat st;

	if (!cr || !s->path || S_ISLNK(s->past->mode))
		return true;
	if (!mode_allows(s->past, cr))
		return false;
	if (core_getattr(p->core, s->past->ino, &st) < 0)
		return true; /* it is no more */
	return core_may_read(p->core, cr, s->past->ino) == 0;
}

/* 1 read; 0: too long, or its bytes were released, as *p says then. */
static int read_side(struct printer *p, const struct run_diff_side *s,
		     struct buf *out)
{
	struct content *content = NULL;
	uint8_t *room;
	ssize_t n;
	int rc;

	if (!s->path)
		return 1;
	if (S_ISLNK(s->past->mode)) {
		buf_adds(out, s->past->target ? s->past->target : "");
		return 1;
	}
	if (s->past->size > GIT_HELPER_MAX) {
		p->too_long = true;
		return 0;
	}
	room = buf_grow(out, (size_t)s->past->size + 1);
	if (!room)
		return -ENOMEM;
	rc = past_content(s->past, p->core, &content);
	n = rc < 0 ?
		    rc :
		    past_read(s->past, content, room, (size_t)s->past->size, 0);
	content_close(content);
	out->n = n < 0 ? 0 : (size_t)n;
	p->released = p->released || n == -ENODATA;
	if (n == -ENODATA)
		return 0;
	return n < 0 ? (int)n : 1;
}

/*
 * What the helper cannot do within its limits is binary, too: it has ended
 * then, and the next file has a new one.
 */
static int ask_helper(struct printer *p, struct git_diff_counts *out,
		      const struct buf *a, const struct buf *b)
{
	int rc = p->git ? 0 : git_helper_start(&p->git, p->em);

	if (rc < 0)
		return -EIO;
	rc = git_helper_diff(p->git, &p->hunks, out, a->p, a->n, b->p, b->n);
	if (rc != -EPIPE)
		return rc;
	git_helper_stop(p->git);
	p->git = NULL;
	buf_clear(&p->hunks);
	*out = (struct git_diff_counts){ .binary = true };
	return 0;
}

/* Fills p->hunks and *out; what cannot be compared by lines is binary. */
static int compare(struct printer *p, const struct run_diff_item *i,
		   struct git_diff_counts *out)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	int rc;

	*out = (struct git_diff_counts){ .binary = true };
	buf_clear(&p->hunks);
	p->released = p->too_long = false;
	p->hidden = !may_read(p, &i->before) || !may_read(p, &i->after);
	if (p->hidden)
		return 0;
	if (!run_diff_is_file(i) || run_diff_same_bytes(i)) {
		out->binary = false;
		return 0;
	}
	rc = read_side(p, &i->before, &a);
	if (rc > 0)
		rc = read_side(p, &i->after, &b);
	if (rc > 0)
		rc = ask_helper(p, out, &a, &b);
	buf_release(&a);
	buf_release(&b);
	return rc < 0 ? rc : 0;
}

/* --- a patch --- */

static unsigned git_mode(const struct run_diff_side *s)
{
	if (S_ISLNK(s->past->mode))
		return 0120000;
	return s->past->mode & 0100 ? 0100755 : 0100644;
}

/* Does git show it?  Directories and owners it does not. */
static bool is_in_git(const struct printer *p, const struct run_diff_item *i,
		      const struct git_diff_counts *n)
{
	const struct run_diff_side *a = &i->before, *b = &i->after;

	return run_diff_is_file(i) &&
	       (n->binary || p->hunks.n || !a->path || !b->path ||
		strcmp(a->path, b->path) != 0 || git_mode(a) != git_mode(b));
}

/*
 * In git's order.  An "index" line names git's own objects, which nobody made
 * of these bytes; but a header of one line is none to git apply, and what is
 * binary has no other.
 */
static void put_header(struct buf *out, const struct run_diff_item *i,
		       const struct git_diff_counts *n)
{
	const struct run_diff_side *a = &i->before, *b = &i->after;
	size_t start;

	buf_adds(out, "diff --git ");
	run_diff_name(out, "a/", a->path ? a->path : b->path);
	buf_addc(out, ' ');
	run_diff_name(out, "b/", b->path ? b->path : a->path);
	buf_addc(out, '\n');
	start = out->n;
	if (!a->path)
		buf_addf(out, "new file mode %06o\n", git_mode(b));
	else if (!b->path)
		buf_addf(out, "deleted file mode %06o\n", git_mode(a));
	else if (git_mode(a) != git_mode(b))
		buf_addf(out, "old mode %06o\nnew mode %06o\n", git_mode(a),
			 git_mode(b));
	if (a->path && b->path && strcmp(a->path, b->path) != 0) {
		if (!n->binary && !n->added && !n->removed)
			buf_adds(out, "similarity index 100%\n");
		buf_adds(out, "rename from ");
		run_diff_name(out, "", a->path);
		buf_adds(out, "\nrename to ");
		run_diff_name(out, "", b->path);
		buf_addc(out, '\n');
	}
	if (n->binary && out->n == start)
		buf_addf(out, "index 0000000..0000000 %06o\n", git_mode(b));
}

static void put_file(struct buf *out, const char *prefix,
		     const struct run_diff_side *s)
{
	if (s->path)
		run_diff_name(out, prefix, s->path);
	else
		buf_adds(out, "/dev/null");
}

static void put_digest(struct buf *out, const struct run_diff_side *s)
{
	if (!s->path) {
		buf_adds(out, "nothing");
		return;
	}
	buf_adds(out, "blake3:");
	text_hex(out, s->past->root.b, DIGEST_SIZE);
}

static void print_patch(struct printer *p, const struct run_diff_item *i,
			const struct git_diff_counts *n)
{
	if (is_in_git(p, i, n))
		put_header(&p->head, i, n);
	if (n->binary && run_diff_is_file(i)) {
		buf_adds(&p->head, "Binary files ");
		put_file(&p->head, "a/", &i->before);
		buf_adds(&p->head, " and ");
		put_file(&p->head, "b/", &i->after);
		buf_adds(&p->head, " differ\n# ");
		if (p->hidden) {
			buf_adds(&p->head, "not yours to read");
		} else {
			put_digest(&p->head, &i->before);
			buf_adds(&p->head, " -> ");
			put_digest(&p->head, &i->after);
			buf_adds(
				&p->head,
				p->released ? ", released (vouch gc): these "
					      "bytes are no more" :
				p->too_long ? ", too long to compare by lines" :
					      "");
		}
		buf_addc(&p->head, '\n');
	} else if (p->hunks.n) {
		buf_adds(&p->head, "--- ");
		put_file(&p->head, "a/", &i->before);
		buf_adds(&p->head, "\n+++ ");
		put_file(&p->head, "b/", &i->after);
		buf_addc(&p->head, '\n');
	}
	if (!p->hidden)
		run_diff_note(&p->hunks, i);
	spool_buf(p->out, &p->head);
	spool_buf(p->out, &p->hunks);
}

/* --- the others --- */

static char status_of(const struct run_diff_item *i)
{
	if (!i->before.path)
		return 'A';
	if (!i->after.path)
		return 'D';
	return strcmp(i->before.path, i->after.path) == 0 ? 'M' : 'R';
}

static void put_path(struct buf *out, const struct run_diff_item *i)
{
	if (status_of(i) == 'R') {
		run_diff_name(out, "", i->before.path);
		buf_adds(out, " => ");
	}
	run_diff_name(out, "", i->after.path ? i->after.path : i->before.path);
}

static void print_names(struct printer *p, const struct run_diff_item *i,
			bool only)
{
	if (!only)
		buf_addf(&p->head, "%c\t", status_of(i));
	if (!only && status_of(i) == 'R') {
		run_diff_name(&p->head, "", i->before.path);
		buf_addc(&p->head, '\t');
	}
	run_diff_name(&p->head, "",
		      i->after.path ? i->after.path : i->before.path);
	buf_addc(&p->head, '\n');
	spool_buf(p->out, &p->head);
}

static void put_bar(struct buf *out, const struct git_diff_counts *n)
{
	uint64_t all = n->added + n->removed;
	uint64_t plus = n->added, minus = n->removed;

	if (all > BAR) {
		plus = (n->added * BAR + all - 1) / all;
		minus = BAR - plus;
		if (n->removed && !minus) {
			minus = 1;
			plus--;
		}
	}
	while (plus--)
		buf_addc(out, '+');
	while (minus--)
		buf_addc(out, '-');
}

static void print_stat(struct printer *p, const struct run_diff_item *i,
		       const struct git_diff_counts *n)
{
	size_t start;

	buf_addc(&p->head, ' ');
	start = p->head.n;
	put_path(&p->head, i);
	while (p->head.n - start < NAME_WIDTH && !p->head.bad)
		buf_addc(&p->head, ' ');
	if (p->hidden) {
		buf_adds(&p->head, " | not yours to read\n");
	} else if (!is_in_git(p, i, n)) {
		buf_adds(&p->head, " | attributes\n");
	} else if (n->binary && p->released) {
		buf_adds(&p->head, " | released\n");
	} else if (n->binary) {
		buf_addf(&p->head, " | Bin %llu -> %llu bytes\n",
			 i->before.path ?
				 (unsigned long long)i->before.past->size :
				 0ULL,
			 i->after.path ?
				 (unsigned long long)i->after.past->size :
				 0ULL);
	} else {
		buf_addf(&p->head, " | %4llu ",
			 (unsigned long long)(n->added + n->removed));
		put_bar(&p->head, n);
		buf_addc(&p->head, '\n');
	}
	spool_buf(p->out, &p->head);
}

static void put_side(struct buf *out, const char *key,
		     const struct run_diff_side *s, bool hidden)
{
	buf_addf(out, ",\"%s\":", key);
	if (!s->path) {
		buf_adds(out, "null");
		return;
	}
	buf_addc(out, '{');
	line_text(out, "path", s->path, strlen(s->path));
	buf_addf(out,
		 ",\"inode\":%llu,\"mode\":\"%06o\",\"uid\":%u,\"gid\":%u,"
		 "\"size\":%llu",
		 (unsigned long long)s->past->ino, s->past->mode, s->past->uid,
		 s->past->gid, (unsigned long long)s->past->size);
	if (!hidden && !digest_is_zero(&s->past->root)) {
		buf_adds(out, ",\"tree_root\":\"");
		text_hex(out, s->past->root.b, DIGEST_SIZE);
		buf_addc(out, '"');
	}
	buf_addc(out, '}');
}

static void put_xattrs(struct buf *out, const struct run_diff_item *i)
{
	buf_adds(out, ",\"attributes\":[");
	for (size_t k = 0; k < i->n_xattrs; k++) {
		const char *name = i->xattrs[k].name;

		buf_adds(out, k ? ",{" : "{");
		line_text(out, "name", name, strlen(name));
		buf_addf(out, ",\"status\":\"%c\"}", i->xattrs[k].status);
	}
	buf_addc(out, ']');
}

static void print_json(struct printer *p, const struct run_diff_item *i,
		       const struct git_diff_counts *n)
{
	static const char *const words[] = { "added", "deleted", "renamed",
					     "modified" };
	const char *letters = "ADRM";

	buf_addf(&p->head, "{\"status\":\"%s\"",
		 words[strchr(letters, status_of(i)) - letters]);
	put_side(&p->head, "before", &i->before, p->hidden);
	put_side(&p->head, "after", &i->after, p->hidden);
	if (i->n_xattrs && !p->hidden)
		put_xattrs(&p->head, i);
	if (i->link && !p->hidden) {
		buf_addc(&p->head, ',');
		line_text(&p->head, "link", i->link, strlen(i->link));
	}
	if (p->hidden)
		buf_adds(&p->head, ",\"hidden\":true}\n");
	else if (n->binary && p->released)
		buf_adds(&p->head, ",\"released\":true}\n");
	else if (n->binary)
		buf_adds(&p->head, ",\"binary\":true}\n");
	else
		buf_addf(&p->head, ",\"added\":%llu,\"removed\":%llu}\n",
			 (unsigned long long)n->added,
			 (unsigned long long)n->removed);
	spool_buf(p->out, &p->head);
}

/* Of what is no file a patch and JSON tell. */
static bool is_told(const struct printer *p, const struct run_diff_item *i)
{
	return run_diff_is_file(i) || p->what->as == RUN_DIFF_PATCH ||
	       p->what->as == RUN_DIFF_JSON;
}

static int print_item(struct printer *p, const struct run_diff_item *i)
{
	struct git_diff_counts n = { .binary = false };
	enum run_diff_as as = p->what->as;
	int rc;

	if (!is_told(p, i))
		return 0;
	rc = as == RUN_DIFF_NAMES || as == RUN_DIFF_ONLY ? 0 :
							   compare(p, i, &n);
	if (rc < 0)
		return rc;
	p->files++;
	p->added += n.added;
	p->removed += n.removed;
	switch (as) {
	case RUN_DIFF_PATCH:
		print_patch(p, i, &n);
		break;
	case RUN_DIFF_STAT:
		print_stat(p, i, &n);
		break;
	case RUN_DIFF_NAMES:
	case RUN_DIFF_ONLY:
		print_names(p, i, as == RUN_DIFF_ONLY);
		break;
	case RUN_DIFF_JSON:
		print_json(p, i, &n);
		break;
	}
	return 0;
}

static void print_sums(struct printer *p)
{
	buf_addf(&p->head,
		 " %llu file%s changed, %llu insertion%s(+), %llu "
		 "deletion%s(-)\n",
		 (unsigned long long)p->files, p->files == 1 ? "" : "s",
		 (unsigned long long)p->added, p->added == 1 ? "" : "s",
		 (unsigned long long)p->removed, p->removed == 1 ? "" : "s");
	spool_buf(p->out, &p->head);
}

int run_diff(struct core *c, struct run_view *v, struct idx_reader *r,
	     const struct run_diff_what *what, struct spool *out,
	     struct errmsg *em)
{
	struct printer p = {
		.core = c, .view = v, .out = out, .what = what, .em = em
	};
	struct run_diff_list l;
	int rc = run_diff_find(c, v, r, what, &l);

	for (size_t i = 0; rc >= 0 && i < l.n; i++) {
		rc = run_walk_in_time(v);
		if (rc >= 0)
			rc = print_item(&p, &l.v[i]);
		if (rc >= 0)
			rc = out->rc; /* the spool is full */
	}
	if (rc >= 0 && what->as == RUN_DIFF_STAT && p.files)
		print_sums(&p);
	run_diff_list_release(&l);
	git_helper_stop(p.git);
	buf_release(&p.head);
	buf_release(&p.hunks);
	return rc;
}
