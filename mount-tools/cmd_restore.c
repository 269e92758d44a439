/*
 * cmd_restore.c - `vouch restore PATH... --at WHEN`: files, or whole trees, as
 * they were.
 *
 * A file that is there gets the old bytes as a new version; one that is gone
 * is made again.  Nothing is copied: the chunks are the old ones.
 *
 * A tree is brought back by the plan of what takes back all that came since
 * (restore_tree.h), which costs that much, not the size of the tree.  Where so
 * much came that there is no plan, the tree is walked here: then what came
 * since stays as it is, and what was moved is made again.
 *
 * It goes on in a run of its own, called restore, so that `vouch undo` takes
 * it back: this program starts itself once more below `vouch run`.
 *
 * What cannot be brought back is told, and the rest is brought back all the
 * same.  The daemon enters many files in one batch; at the end we wait until
 * all is on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "fs/upkeep/retain.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "mount-tools/inverse_say.h"
#include "mount-tools/names.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/progress.h"
#include "mount-tools/reader.h"
#include "mount-tools/restore_tree.h"
#include "mount-tools/run_client.h"
#include "mount-tools/vouch.h"

enum { DEPTH_MAX = 2048 };

struct restore {
	struct reader r;
	uint64_t at;
	const char *when;
	enum opt_format format;
	bool exact, dry, quiet, declared;
	struct buf back;	/* how that is taken back, in words */
	char own[RUN_WORD_MAX]; /* the run that this is; "": none, or not asked */
	uint64_t files, dirs, links, same; /* done; nothing to do */
	uint64_t made, reset, removed;	   /* devices; attributes, moves */
	uint64_t special, left, failed;	   /* not done */
	struct progress bar;
	struct errmsg em;
};

/* How an inode was. */
struct was {
	uint32_t mode, uid, gid;
	int64_t atime_ns, mtime_ns;
	char target[LIMIT_SYMLINK + 1];
};

static int fail(struct restore *x, int rc, const char *path)
{
	return errmsg_set(&x->em, rc, "%s: %s", path, err_text(rc));
}

static int how_was(struct restore *x, struct was *out, uint64_t ino)
{
	struct json_doc *doc = NULL;
	struct buf b = BUF_INIT, target = BUF_INIT;
	uint64_t mode = 0, uid = 0, gid = 0;
	const char *hex;
	int rc;

	*out = (struct was){ .mode = 0 };
	buf_addf(&b, "\"verb\":\"past\",\"inode\":%llu,\"at\":%llu",
		 (unsigned long long)ino, (unsigned long long)x->at);
	rc = ctl_call(&doc, x->r.place.store, (char *)b.p, &x->em);
	if (rc == 0) {
		const struct json *o = json_root(doc);

		(void)!json_get_u64(o, "mode", &mode);
		(void)!json_get_u64(o, "uid", &uid);
		(void)!json_get_u64(o, "gid", &gid);
		(void)!json_get_i64(o, "atime", &out->atime_ns);
		(void)!json_get_i64(o, "mtime", &out->mtime_ns);
		hex = json_get_str(o, "target");
		if (hex)
			rc = text_hex_decode(&target, hex, strlen(hex));
		if (rc == 0 && target.n < sizeof(out->target) && target.n > 0)
			memcpy(out->target, target.p, target.n);
	}
	out->mode = (uint32_t)mode;
	out->uid = (uint32_t)uid;
	out->gid = (uint32_t)gid;
	json_free(doc);
	buf_release(&b);
	buf_release(&target);
	return rc;
}

/* Owner (as far as allowed), mode and times of what was made again. */
static int dress(struct restore *x, const struct was *w, const char *path)
{
	struct timespec ts[2] = {
		{ w->atime_ns / 1000000000, w->atime_ns % 1000000000 },
		{ w->mtime_ns / 1000000000, w->mtime_ns % 1000000000 },
	};

	for (int i = 0; i < 2; i++)
		if (ts[i].tv_nsec < 0) {
			ts[i].tv_nsec += 1000000000;
			ts[i].tv_sec--;
		}
	if (lchown(path, w->uid, w->gid) < 0 && errno != EPERM)
		return fail(x, -errno, path);
	if (!S_ISLNK(w->mode) && chmod(path, w->mode & 07777) < 0)
		return fail(x, -errno, path);
	if (utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(x, -errno, path);
	return 0;
}

static int bring_back(struct restore *x, bool *out_same, uint64_t ino,
		      uint64_t version, const char *inner)
{
	struct json_doc *doc = NULL;
	struct buf b = BUF_INIT;
	int rc;

	buf_addf(&b, "\"verb\":\"restore\",\"from\":%llu,\"version\":%llu",
		 (unsigned long long)ino, (unsigned long long)version);
	buf_adds(&b, ",\"path\":");
	text_json_string(&b, inner, strlen(inner));
	buf_adds(&b, ",\"when\":");
	text_json_string(&b, x->when, strlen(x->when));
	rc = b.bad ? -ENOMEM :
		     ctl_call(&doc, x->r.place.store, (char *)b.p, &x->em);
	if (rc == 0)
		*out_same = json_get_bool(json_root(doc), "same", false);
	json_free(doc);
	buf_release(&b);
	return rc;
}

static int no_bytes(struct restore *x, const struct idx_version *v,
		    const char *outer)
{
	struct buf b = BUF_INIT;

	retain_words(&b, x->r.idx, v->released_no);
	(void)errmsg_set(&x->em, -ENODATA,
			 "%s: version %llu cannot be restored: %s", outer,
			 (unsigned long long)v->version,
			 b.bad || !b.n ? "released" : (const char *)b.p);
	buf_release(&b);
	return -ENODATA;
}

/*
 * The file that is made again is closed last: so it gets one version.  When
 * nothing was brought back there is none: an empty one would be a lie.
 */
static int remake_file(struct restore *x, uint64_t ino, uint64_t version,
		       const struct was *w, const char *outer,
		       const char *inner)
{
	int fd = open(outer, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool same = false, brought = false;
	int rc = fd < 0 ? fail(x, -errno, outer) : 0;

	if (rc == 0 && version) {
		rc = bring_back(x, &same, ino, version, inner);
		brought = rc == 0;
	}
	if (rc == 0)
		rc = dress(x, w, outer);
	if (rc < 0 && fd >= 0 && !brought)
		(void)!unlink(outer); /* what went wrong is told */
	if (fd >= 0)
		close(fd);
	x->files += rc == 0;
	return rc;
}

/* outer: the path as this process sees it; inner: inside the volume. */
static int restore_file(struct restore *x, uint64_t ino, const struct was *w,
			const char *outer, const char *inner)
{
	struct idx_version v = { .version = 0 };
	bool same = false;
	struct stat st;
	int rc = idx_version_at(x->r.idx, &v, ino, x->at);

	if (rc < 0)
		return fail(x, rc, outer);
	if (rc > 0 && v.released_no)
		return no_bytes(x, &v, outer);
	if (lstat(outer, &st) < 0)
		return remake_file(x, ino, rc > 0 ? v.version : 0, w, outer,
				   inner);
	if (!S_ISREG(st.st_mode))
		return errmsg_set(&x->em, -EEXIST,
				  "%s is no regular file now: move it away "
				  "first",
				  outer);
	if (rc > 0)
		rc = bring_back(x, &same, ino, v.version, inner);
	else if (st.st_size == 0)
		same = true; /* it had no bytes yet, and has none now */
	else if (truncate(outer, 0) < 0)
		return fail(x, -errno, outer);
	x->same += rc == 0 && same;
	x->files += rc == 0 && !same;
	return rc;
}

static int restore_link(struct restore *x, const struct was *w,
			const char *outer)
{
	char now[LIMIT_SYMLINK + 1];
	struct stat st;
	ssize_t n;

	if (lstat(outer, &st) == 0) {
		if (!S_ISLNK(st.st_mode))
			return errmsg_set(&x->em, -EEXIST,
					  "%s is no symbolic link now: move "
					  "it away first",
					  outer);
		n = readlink(outer, now, sizeof(now));
		if (n >= 0 && (size_t)n == strlen(w->target) &&
		    memcmp(now, w->target, (size_t)n) == 0) {
			x->same++;
			return 0;
		}
		if (unlink(outer) < 0)
			return fail(x, -errno, outer);
	}
	if (symlink(w->target, outer) < 0)
		return fail(x, -errno, outer);
	x->links++;
	return dress(x, w, outer);
}

/* Does an error like this concern one file, not the volume or us? */
static bool is_of_one(int rc)
{
	switch (-rc) {
	case EACCES:
	case EEXIST:
	case EIO:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case ENODATA:
	case ENOENT:
	case ENOTDIR:
	case EPERM:
	case ERR_CORRUPT:
	case ERR_HASH:
	case ERR_MISSING_CHUNK:
		return true;
	default:
		return false;
	}
}

static void tell(struct restore *x, int rc)
{
	struct buf b = BUF_INIT;
	const char *words = errmsg_text(&x->em, rc);

	progress_wipe(&x->bar);
	text_term_escape(&b, words, strlen(words));
	fprintf(stderr, "vouch restore: %s\n",
		b.bad ? err_text(rc) : (const char *)b.p);
	buf_release(&b);
	x->em = (struct errmsg)ERRMSG_INIT;
	x->failed++;
}

static int restore_one(struct restore *x, uint64_t ino, const char *outer,
		       const char *inner, unsigned depth);

struct inside {
	struct restore *x;
	const char *outer, *inner;
	unsigned depth;
};

static int on_name(void *ctx, const char *name, uint64_t ino)
{
	const struct inside *in = ctx;
	struct restore *x = in->x;
	autofree char *a = NULL, *b = NULL;
	int rc;

	if (asprintf(&a, "%s/%s", in->outer, name) < 0)
		a = NULL;
	if (asprintf(&b, "%s/%s", strcmp(in->inner, "/") ? in->inner : "",
		     name) < 0)
		b = NULL;
	if (!a || !b)
		return -ENOMEM;
	rc = restore_one(x, ino, a, b, in->depth + 1);
	if (is_of_one(rc)) {
		tell(x, rc);
		rc = 0;
	}
	progress_set(&x->bar, x->files + x->links + x->same, 0);
	return rc;
}

static int restore_dir(struct restore *x, uint64_t ino, const struct was *w,
		       const char *outer, const char *inner, unsigned depth)
{
	struct inside in = { x, outer, inner, depth };
	bool made = mkdir(outer, 0700) == 0;
	struct stat st;
	int rc = 0;

	if (!made && errno != EEXIST)
		return fail(x, -errno, outer);
	if (!made && (lstat(outer, &st) < 0 || !S_ISDIR(st.st_mode)))
		return errmsg_set(&x->em, -EEXIST,
				  "%s is no directory now: move it away first",
				  outer);
	rc = names_at(x->r.idx, ino, x->at, on_name, &in);
	if (rc == 0 && made)
		rc = dress(x, w, outer);
	x->dirs += rc == 0 && made;
	return rc;
}

static int restore_one(struct restore *x, uint64_t ino, const char *outer,
		       const char *inner, unsigned depth)
{
	struct was w;
	int rc = depth > DEPTH_MAX ? -ELOOP : how_was(x, &w, ino);

	if (rc < 0)
		return fail(x, rc, outer);
	if (S_ISREG(w.mode))
		return restore_file(x, ino, &w, outer, inner);
	if (S_ISDIR(w.mode))
		return restore_dir(x, ino, &w, outer, inner, depth);
	if (S_ISLNK(w.mode))
		return restore_link(x, &w, outer);
	x->special++; /* fifos, sockets, devices hold no bytes */
	return 0;
}

/* By the plan, or where there is none because it would be too long by hand. */
static int restore_tree_at(struct restore *x, uint64_t ino, const char *outer,
			   const char *inner)
{
	struct restore_tree t = {
		.place = &x->r.place,
		.path = inner + (*inner == '/'),
		.outer = outer,
		.when = x->when,
		.at = x->at,
		.exact = x->exact,
		.dry = x->dry,
		.json = x->format == OPT_AS_JSON,
		.quiet = x->quiet,
		.bar = &x->bar,
	};
	int rc = restore_tree(&t, &x->em);

	if (rc == -ERR_LIMIT && !x->exact && !x->dry) {
		x->em = (struct errmsg)ERRMSG_INIT;
		return restore_one(x, ino, outer, inner, 0);
	}
	x->files += t.files;
	x->dirs += t.dirs;
	x->links += t.links;
	x->made += t.others;
	x->reset += t.reset;
	x->removed += t.removed;
	x->left += t.left;
	x->failed += t.failed;
	return rc;
}

/* One PATH, which is in x->r. */
static int run(struct restore *x)
{
	const char *inner = x->r.inner ? x->r.inner : "/";
	autofree char *outer = NULL;
	uint64_t ino = 0;
	struct was w;
	int rc = reader_when(&x->r, &x->at, x->when, &x->em);

	if (rc < 0)
		return rc;
	if (asprintf(&outer, "%s%s", x->r.place.dir, inner) < 0) {
		outer = NULL;
		return -ENOMEM;
	}
	rc = idx_resolve(x->r.idx, &ino, inner, strlen(inner), x->at);
	if (rc == 0)
		return errmsg_set(&x->em, -ENOENT, "%s was not there at %s",
				  outer, x->when);
	if (rc < 0)
		return rc;
	rc = how_was(x, &w, ino);
	if (rc == 0 && (S_ISDIR(w.mode) || x->dry || x->exact))
		rc = restore_tree_at(x, ino, outer, inner);
	else if (rc == 0)
		rc = restore_one(x, ino, outer, inner, 0);
	if (rc == 0 && !x->dry)
		rc = ctl_call(NULL, x->r.place.store, "\"verb\":\"settle\"",
			      &x->em);
	return rc;
}

/* "3 files restored, " */
static void part(struct buf *b, uint64_t n, const char *noun, const char *many,
		 const char *what)
{
	if (n)
		buf_addf(b, "%s%llu %s %s", b->n ? ", " : "",
			 (unsigned long long)n, n == 1 ? noun : many, what);
}

/* What was done; after a failure, what was done before it. */
static void say(const struct restore *x, const char *path, FILE *to)
{
	struct buf b = BUF_INIT, p = BUF_INIT, at = BUF_INIT;

	part(&b, x->files, "file", "files", "restored");
	part(&b, x->dirs, "directory", "directories", "made again");
	part(&b, x->links, "symbolic link", "symbolic links", "made again");
	part(&b, x->made, "special file", "special files", "made again");
	part(&b, x->reset, "other thing", "other things", "put back");
	part(&b, x->removed, "thing", "things", "removed that came since");
	part(&b, x->same, "file", "files", "unchanged since");
	part(&b, x->left, "thing that came since", "things that came since",
	     "left alone");
	part(&b, x->special, "special file", "special files", "left out");
	part(&b, x->failed, "file", "files", "NOT restored");
	text_term_escape(&p, path, strlen(path));
	print_number(&at, x->at);
	if (!b.bad && !p.bad && !at.bad)
		fprintf(to, "%s, as after entry %s: %s.\n", (const char *)p.p,
			(const char *)at.p,
			b.n ? (const char *)b.p : "nothing to restore");
	buf_release(&b);
	buf_release(&p);
	buf_release(&at);
}

static void say_json(const struct restore *x)
{
	struct buf at = BUF_INIT;

	print_number(&at, x->at);
	printf("{\"at\":\"%s\",", at.bad ? "" : (const char *)at.p);
	if (*x->own)
		printf("\"run\":\"%s\",", x->own);
	printf("\"files\":%llu,\"directories\":%llu,"
	       "\"links\":%llu,\"others\":%llu,\"put_back\":%llu,"
	       "\"removed\":%llu,\"left\":%llu,"
	       "\"unchanged\":%llu,\"special\":%llu,\"failed\":%llu}\n",
	       (unsigned long long)x->files, (unsigned long long)x->dirs,
	       (unsigned long long)x->links, (unsigned long long)x->made,
	       (unsigned long long)x->reset, (unsigned long long)x->removed,
	       (unsigned long long)x->left, (unsigned long long)x->same,
	       (unsigned long long)x->special, (unsigned long long)x->failed);
	buf_release(&at);
}

static int finish(struct restore *x, const char *path, int rc)
{
	bool any = x->files || x->dirs || x->links || x->made || x->reset ||
		   x->removed;

	progress_wipe(&x->bar);
	if (any && x->declared && !x->own[0])
		run_client_own_word(x->own, x->r.place.dir);
	if (*x->own && !x->back.n)
		inverse_say_back(&x->back, x->own, x->r.place.dir);
	if (rc == -ERR_USAGE)
		return opt_misuse("restore", "%s", errmsg_text(&x->em, rc));
	if (rc < 0 && !any && !x->failed)
		return opt_fail("restore", rc, &x->em);
	if (rc < 0)
		tell(x, rc);
	if (rc == 0 && x->format == OPT_AS_JSON)
		say_json(x);
	else if (rc < 0 || (!x->dry && (!x->quiet || x->failed)))
		say(x, path, rc < 0 ? stderr : stdout);
	return rc < 0 || x->failed > 0;
}

/* Counted anew for each PATH. */
static void forget(struct restore *x)
{
	x->files = x->dirs = x->links = x->same = x->made = x->reset = 0;
	x->removed = x->special = x->left = x->failed = 0;
	x->em = (struct errmsg)ERRMSG_INIT;
}

static int each(struct restore *x, const char *path)
{
	int rc, status;

	forget(x);
	progress_start(&x->bar, "restoring", false); /* till all is told */
	rc = reader_open(&x->r, path, NULL, READER_INDEX | READER_VERSION,
			 &x->em);
	if (rc == 0 && (!x->r.live || !x->r.place.dir))
		rc = errmsg_set(&x->em, -ENOTCONN,
				"%s is not mounted: mount it, then restore a "
				"PATH in the mount (or `vouch export --tree "
				"--at`)",
				x->r.place.store);
	if (rc == 0 && !x->declared && !x->dry)
		rc = restore_declare(x->r.place.dir);
	if (rc == 0)
		rc = run(x);
	status = finish(x, path, rc);
	progress_end(&x->bar);
	reader_close(&x->r);
	return status;
}

/* The rest of a WHEN without quotes; its number alone is a seal of long ago. */
static const char *cut_off(const struct restore *x, int argc, char **argv)
{
	if (x->when[strspn(x->when, "0123456789")])
		return NULL;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "ago") == 0 && access("ago", F_OK) < 0)
			return argv[i - 1];
	return NULL;
}

int cmd_restore(int argc, char **argv)
{
	const char *unit;
	struct restore x = { .em = ERRMSG_INIT };
	const struct opt options[] = {
		{ 0, "at", OPT_TEXT, &x.when, "WHEN",
		  "a snapshot, a time (\"2 hours ago\"), SEAL or SEAL.POS, "
		  "RUN:start or RUN:end" },
		{ 0, "exact", OPT_FLAG, &x.exact, NULL,
		  "remove what came since, too" },
		{ 'n', "dry-run", OPT_FLAG, &x.dry, NULL,
		  "only tell what would be done" },
		{ 'q', "quiet", OPT_FLAG, &x.quiet, NULL,
		  "tell only what is not restored" },
		OPT_FORMAT(&x.format),
		OPT_END,
	};
	int status, worst = 0;

	restore_remember(argc, argv);
	status = opt_parse(options, &argc, &argv, 1, OPT_ANY);
	if (status != OPT_GO)
		return status;
	if (!x.when)
		return opt_misuse("restore", "--at=WHEN is missing");
	unit = cut_off(&x, argc, argv);
	if (unit)
		return opt_misuse("restore",
				  "if \"%s %s ago\" is meant, put it in quotes",
				  x.when, unit);
	x.declared = restore_is_declared();
	for (int i = 0; i < argc; i++) {
		status = each(&x, argv[i]);
		worst = status > worst ? status : worst;
	}
	if (x.back.n && !x.back.bad && !x.quiet && x.format == OPT_AS_TEXT)
		printf("%s.\n", (char *)x.back.p);
	buf_release(&x.back);
	return worst;
}
