/*
 * cmd_restore.c - `vouch restore PATH --at WHEN`: a file, or a whole tree, as
 * it was.  A file that is there gets the old bytes as a new version; one that
 * is gone is made again.  Nothing is copied: the chunks are the old ones.
 * What came since and was not there then is left alone.
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
#include "fs/retain.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

enum { NAMES = 256, DEPTH_MAX = 2048 };

struct restore {
	struct reader r;
	uint64_t at;
	const char *when;
	uint64_t files, dirs, links, left, released;
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

static int bring_back(struct restore *x, uint64_t ino, uint64_t version,
		      const char *inner)
{
	struct buf b = BUF_INIT;
	int rc;

	buf_addf(&b, "\"verb\":\"restore\",\"from\":%llu,\"version\":%llu",
		 (unsigned long long)ino, (unsigned long long)version);
	buf_adds(&b, ",\"path\":");
	text_json_string(&b, inner, strlen(inner));
	buf_adds(&b, ",\"when\":");
	text_json_string(&b, x->when, strlen(x->when));
	rc = b.bad ? -ENOMEM :
		     ctl_call(NULL, x->r.place.store, (char *)b.p, &x->em);
	buf_release(&b);
	return rc;
}

/* Left out, and told: the others are brought back all the same. */
static int tell_released(struct restore *x, const struct idx_version *v,
			 const char *outer)
{
	struct buf b = BUF_INIT;

	text_term_escape(&b, outer, strlen(outer));
	buf_addf(&b, ": version %llu cannot be restored: ",
		 (unsigned long long)v->version);
	retain_words(&b, x->r.idx, v->released_no);
	if (!b.bad)
		fprintf(stderr, "vouch restore: %s\n", (char *)b.p);
	buf_release(&b);
	x->released++;
	return 0;
}

/* outer: the path as this process sees it; inner: inside the volume. */
static int restore_file(struct restore *x, uint64_t ino, const struct was *w,
			const char *outer, const char *inner)
{
	struct idx_version v = { .version = 0 };
	struct stat st;
	bool there = lstat(outer, &st) == 0;
	int rc = idx_version_at(x->r.idx, &v, ino, x->at), fd;

	if (rc < 0)
		return fail(x, rc, outer);
	if (rc > 0 && v.released_no)
		return tell_released(x, &v, outer);
	if (there && !S_ISREG(st.st_mode))
		return errmsg_set(&x->em, -EEXIST,
				  "%s is no regular file now: move it away "
				  "first",
				  outer);
	if (!there) {
		fd = open(outer, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return fail(x, -errno, outer);
		close(fd);
	}
	if (rc > 0)
		rc = bring_back(x, ino, v.version, inner);
	else if (there && truncate(outer, 0) < 0)
		return fail(x, -errno, outer);
	if (rc == 0 && !there)
		rc = dress(x, w, outer);
	x->files += rc == 0;
	return rc;
}

static int restore_link(struct restore *x, const struct was *w,
			const char *outer)
{
	struct stat st;

	if (lstat(outer, &st) == 0) {
		if (!S_ISLNK(st.st_mode))
			return errmsg_set(&x->em, -EEXIST,
					  "%s is no symbolic link now: move "
					  "it away first",
					  outer);
		if (unlink(outer) < 0)
			return fail(x, -errno, outer);
	}
	if (symlink(w->target, outer) < 0)
		return fail(x, -errno, outer);
	x->links++;
	return dress(x, w, outer);
}

struct names {
	struct {
		char name[LIMIT_NAME + 1];
		uint64_t ino;
	} v[NAMES];
	unsigned n;
};

static int on_name(void *ctx, const struct name_row *row, const char *name,
		   uint16_t len)
{
	struct names *l = ctx;

	memcpy(l->v[l->n].name, name, len);
	l->v[l->n].name[len] = '\0';
	l->v[l->n++].ino = row->ino;
	return 0;
}

static int restore_one(struct restore *x, uint64_t ino, const char *outer,
		       const char *inner, unsigned depth);

static int restore_names(struct restore *x, uint64_t ino, const char *outer,
			 const char *inner, unsigned depth)
{
	autofree struct names *l = calloc(1, sizeof(*l));
	char after[LIMIT_NAME + 1] = "";
	int rc = l ? 1 : -ENOMEM;

	while (rc > 0) {
		l->n = 0;
		rc = idx_names_at(x->r.idx, ino, after, (uint16_t)strlen(after),
				  NAMES, x->at, on_name, l);
		if (l->n > 0)
			memcpy(after, l->v[l->n - 1].name, sizeof(after));
		for (unsigned i = 0; rc >= 0 && i < l->n; i++) {
			autofree char *a = NULL, *b = NULL;
			int one;

			if (asprintf(&a, "%s/%s", outer, l->v[i].name) < 0 ||
			    asprintf(&b, "%s/%s",
				     strcmp(inner, "/") == 0 ? "" : inner,
				     l->v[i].name) < 0)
				return -ENOMEM;
			one = restore_one(x, l->v[i].ino, a, b, depth + 1);
			rc = one < 0 ? one : rc;
		}
	}
	return rc;
}

static int restore_dir(struct restore *x, uint64_t ino, const struct was *w,
		       const char *outer, const char *inner, unsigned depth)
{
	bool made = mkdir(outer, 0700) == 0;
	struct stat st;
	int rc = 0;

	if (!made && errno != EEXIST)
		return fail(x, -errno, outer);
	if (!made && (lstat(outer, &st) < 0 || !S_ISDIR(st.st_mode)))
		return errmsg_set(&x->em, -EEXIST,
				  "%s is no directory now: move it away first",
				  outer);
	rc = restore_names(x, ino, outer, inner, depth);
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
	x->left++; /* fifos, sockets, devices hold no bytes */
	return 0;
}

static int run(struct restore *x)
{
	const char *inner = x->r.inner ? x->r.inner : "/";
	autofree char *outer = NULL;
	uint64_t ino = 0;
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
				  inner, x->when);
	return rc < 0 ? rc : restore_one(x, ino, outer, inner, 0);
}

static void say(const struct restore *x, const char *path)
{
	struct buf b = BUF_INIT;

	text_term_escape(&b, path, strlen(path));
	buf_adds(&b, " is as it was after entry ");
	print_number(&b, x->at);
	buf_adds(&b, ": ");
	print_count(&b, x->files, "file");
	buf_adds(&b, " restored");
	if (x->dirs) {
		buf_adds(&b, ", ");
		buf_addf(&b, "%llu director%s made again",
			 (unsigned long long)x->dirs,
			 x->dirs == 1 ? "y" : "ies");
	}
	if (x->links) {
		buf_adds(&b, ", ");
		print_count(&b, x->links, "symbolic link");
	}
	if (x->released) {
		buf_adds(&b, ", ");
		print_count(&b, x->released, "file");
		buf_adds(&b, " left as it is: the bytes were released");
	}
	if (x->left)
		buf_addf(&b, ", %llu special files left out",
			 (unsigned long long)x->left);
	buf_adds(&b, ".\n");
	(void)!print_flush(&b);
	buf_release(&b);
}

int cmd_restore(int argc, char **argv)
{
	struct restore x = { .em = ERRMSG_INIT };
	const struct opt options[] = {
		{ 0, "at", OPT_TEXT, &x.when, "WHEN",
		  "a snapshot, a time (\"2 hours ago\"), SEAL.POS" },
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 1, 1), rc;

	if (status != OPT_GO)
		return status;
	if (!x.when)
		return opt_misuse("restore", "restore: --at WHEN is missing");
	rc = reader_open(&x.r, argv[0], NULL, READER_INDEX | READER_VERSION,
			 &x.em);
	if (rc == 0 && (!x.r.live || !x.r.place.dir))
		rc = errmsg_set(&x.em, -ENOTCONN,
				"%s is not mounted: mount it, then restore a "
				"PATH in the mount (or `vouch export --tree "
				"--at`)",
				x.r.place.store);
	if (rc == 0)
		rc = run(&x);
	if (rc == 0)
		say(&x, argv[0]);
	reader_close(&x.r);
	if (rc == -ERR_USAGE)
		return opt_misuse("restore", "%s", errmsg_text(&x.em, rc));
	return rc < 0 ? opt_fail("restore", rc, &x.em) : x.released > 0;
}
