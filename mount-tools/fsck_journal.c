/*
 * fsck_journal.c - a damaged journal from a replica.
 *
 * In FSCK_STAGE the log is put together: the store's files by hard links,
 * segments that a replica has otherwise as a copy of the replica's bytes, with
 * what the store has beyond them.  That log is opened and verified against the
 * signed checkpoint like any; only then its new segments are renamed over
 * the old ones, each durable before.
 *
 * What is wrong with tiles or the checkpoint does not count here: those are
 * made anew from the journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "ledger/ledger.h"
#include "mount-tools/fsck_repair.h"
#include "mount-tools/progress.h"

enum {
	NAME_MAX_ = 128,
	SEGMENTS_MAX = 65536,
	STEP = 1 << 20,
	MENDS_MAX = 64,
	OPEN_DIRS = 16
};

#define JOURNAL "ledger/journal"

/* --- is it whole? --- */

struct verdict {
	unsigned bad;
	bool tiles;	       /* some are bad */
	bool wal;	       /* the journal lacks what the wal has */
	char words[256];       /* the first */
	struct fsck_repair *x; /* whose log it is; NULL: of a replica */
};

#define TILES "ledger/tile"

static bool begins(const char *words, const char *with)
{
	return strncmp(words, with, strlen(with)) == 0;
}

/* Is it something that the next opening puts right?  Noted, to be told. */
static bool is_mended(struct verdict *v, const char *words)
{
	static const char start[] = "found at start: ";
	bool tile = begins(words, TILES "/");
	bool note = begins(words, start);
	bool wal = strstr(words, "the wal still has them") != NULL;

	if (!tile && !note && !begins(words, "ledger/checkpoint") && !wal)
		return false;
	v->tiles = v->tiles || tile;
	v->wal = v->wal || wal;
	if (note && !strstr(words, "wal"))
		return true; /* of what is told by its name, too */
	if (v->x && v->x->n_mends++ < MENDS_MAX)
		buf_addf(&v->x->mends, "%s\n",
			 note ? words + sizeof(start) - 1 : words);
	return true;
}

static void on_found(void *ctx, const char *words)
{
	struct verdict *v = ctx;

	if (is_mended(v, words))
		return;
	if (v->bad++ == 0)
		snprintf(v->words, sizeof(v->words), "%.250s", words);
}

/* Opens and verifies the log at vio: 0 whole, 1 not (why in v). */
static int judge(struct vio *vio, const char *title, struct verdict *v)
{
	struct ledger_options o = { .vio = vio, .read_only = true };
	struct ledger_verify_report r;
	struct progress bar;
	struct ledger_verify_options lo = { .found = on_found, .ctx = v };
	struct errmsg em = ERRMSG_INIT;
	struct ledger *l = NULL;
	int rc;

	*v = (struct verdict){ .x = v->x };
	progress_start(&bar, title, false);
	rc = ledger_open(&l, &o, &em);
	if (rc >= 0)
		rc = ledger_verify(l, &r, &lo, &em);
	ledger_close(l);
	progress_end(&bar);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		on_found(v, errmsg_text(&em, rc));
	return v->bad > 0;
}

/* --- putting it together --- */

struct segment {
	char name[NAME_MAX_];
	uint64_t size; /* the replica's */
	bool fresh;
};

struct stage {
	struct fsck_repair *x;
	bool whole; /* without it, too: a replica that fails is no matter */
	struct replica *replica;
	struct segment *v;
	unsigned n;
	uint8_t *a, *b; /* STEP each */
	int dir;	/* STORE */
};

static int note_segment(void *ctx, const char *name, uint64_t size)
{
	struct stage *s = ctx;
	void *p;

	if (strlen(name) >= NAME_MAX_ || s->n == SEGMENTS_MAX)
		return -ERR_LIMIT;
	p = realloc(s->v, (s->n + 1) * sizeof(*s->v));
	if (!p)
		return -ENOMEM;
	s->v = p;
	s->v[s->n] = (struct segment){ .size = size };
	memcpy(s->v[s->n++].name, name, strlen(name) + 1);
	return 0;
}

struct linked {
	struct stage *s;
	const char *dir;
};

static int link_one(void *ctx, const char *name)
{
	struct linked *l = ctx;
	char from[512], to[512];
	struct stat st;

	if (snprintf(from, sizeof(from), "%s/%s", l->dir, name) >=
		    (int)sizeof(from) ||
	    snprintf(to, sizeof(to), FSCK_STAGE "/%s", from) >= (int)sizeof(to))
		return 0;
	if (fstatat(l->s->dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	return linkat(l->s->dir, from, l->s->dir, to, 0) < 0 ? -errno : 0;
}

static int link_all(struct stage *s)
{
	static const char *const dirs[] = { ".", "keys", "wal", "ledger",
					    JOURNAL };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(dirs) / sizeof(*dirs); i++) {
		struct linked l = { s, dirs[i] };
		char to[64];

		snprintf(to, sizeof(to), FSCK_STAGE "/%s", dirs[i]);
		rc = vio_mkdirs(s->x->vio, to);
		if (rc == 0 && i == 0) /* the volume's identity alone */
			rc = link_one(&l, "volume.conf");
		else if (rc == 0)
			rc = vio_list(s->x->vio, dirs[i], link_one, &l);
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}

/* 0 and *out_same, or an error of the replica. */
static int compare(struct stage *s, const struct segment *g,
		   struct vio_file *mine, uint64_t size, bool *out_same)
{
	*out_same = mine && size >= g->size;
	for (uint64_t off = 0; *out_same && off < g->size;) {
		size_t want =
			g->size - off < STEP ? (size_t)(g->size - off) : STEP;
		ssize_t n = s->replica->ops->get(s->replica, g->name, off, s->a,
						 want);
		ssize_t m = vio_pread(mine, s->b, want, off);

		if (n < 0)
			return (int)n;
		*out_same = n == (ssize_t)want && m == n &&
			    memcmp(s->a, s->b, want) == 0;
		off += want;
	}
	return 0;
}

/* The replica's bytes, then what the store has beyond them. */
static int write_fresh(struct stage *s, const struct segment *g,
		       struct vio_file *mine, uint64_t size, const char *to)
{
	struct vio_file *out = NULL;
	uint64_t off = 0;
	int rc = vio_unlink(s->x->vio, to);

	if (rc == 0 || rc == -ENOENT)
		rc = vio_open(s->x->vio, &out, to,
			      VIO_WRITE | VIO_CREATE | VIO_EXCL);
	while (rc == 0 && off < g->size) {
		size_t want =
			g->size - off < STEP ? (size_t)(g->size - off) : STEP;
		ssize_t n = s->replica->ops->get(s->replica, g->name, off, s->a,
						 want);

		rc = n < 0 ? (int)n : n == 0 ? -ERR_SHORT : 0;
		if (rc == 0)
			rc = vio_pwrite(out, s->a, (size_t)n, off);
		off += n > 0 ? (uint64_t)n : 0;
	}
	while (rc == 0 && mine && off < size) {
		size_t want = size - off < STEP ? (size_t)(size - off) : STEP;
		ssize_t n = vio_pread(mine, s->b, want, off);

		if (n <= 0)
			break; /* what cannot be read is not relied upon */
		rc = vio_pwrite(out, s->b, (size_t)n, off);
		off += (uint64_t)n;
	}
	if (rc == 0)
		rc = vio_fdatasync(out);
	vio_close(out);
	return rc;
}

static int stage_segment(struct stage *s, struct segment *g)
{
	struct vio_file *mine = NULL;
	struct vio_stat st = { 0 };
	char to[NAME_MAX_ + 16];
	bool same = false;
	int rc = vio_stat(s->x->vio, g->name, &st);

	if (rc == 0)
		rc = vio_open(s->x->vio, &mine, g->name, VIO_READ);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	snprintf(to, sizeof(to), FSCK_STAGE "/%s", g->name);
	rc = compare(s, g, mine, st.size, &same);
	g->fresh = rc == 0 && !same;
	if (g->fresh)
		rc = write_fresh(s, g, mine, st.size, to);
	vio_close(mine);
	return rc;
}

/* A checkpoint that cannot be read: the replica's, to verify by. */
static int stage_checkpoint(struct stage *s)
{
	const char *name = "ledger/checkpoint";
	ssize_t n;

	if (faccessat(s->dir, name, R_OK, 0) == 0)
		return 0;
	n = s->replica->ops->get(s->replica, name, 0, s->a, STEP);
	if (n <= 0)
		return 0;
	struct vio_file *f = NULL;
	int rc = vio_open(s->x->vio, &f, FSCK_STAGE "/ledger/checkpoint",
			  VIO_WRITE | VIO_CREATE | VIO_TRUNC);
	if (rc == 0)
		rc = vio_pwrite(f, s->a, (size_t)n, 0);
	vio_close(f);
	return rc;
}

/* --- putting it in place --- */

static void remember(struct fsck_repair *x, unsigned i, const struct segment *g)
{
	struct buf *b = &x->segments;

	if (b->n)
		buf_addc(b, ',');
	buf_addf(b, "{\"source\":%u,\"bytes\":%llu,\"object\":", x->number[i],
		 (unsigned long long)g->size);
	text_json_string(b, g->name, strlen(g->name));
	buf_addc(b, '}');
}

static int install(struct stage *s, unsigned replica)
{
	struct fsck_repair *x = s->x;
	int rc = vio_mkdirs(x->vio, JOURNAL);

	for (unsigned i = 0; rc == 0 && i < s->n; i++) {
		char from[NAME_MAX_ + 16];

		if (!s->v[i].fresh)
			continue;
		snprintf(from, sizeof(from), FSCK_STAGE "/%s", s->v[i].name);
		rc = vio_rename(x->vio, from, s->v[i].name);
		if (rc == 0)
			rc = vio_syncdir(x->vio, JOURNAL);
		if (rc < 0)
			break;
		remember(x, replica, &s->v[i]);
		fsck_repair_did(x,
				"%s: fetched again from %s, verified against "
				"the signed root",
				s->v[i].name, x->replica[replica]);
	}
	return rc;
}

/* The log with the replica's segments; *out_fresh: so many are. */
static int put_together(struct stage *s, unsigned *out_fresh)
{
	struct fsck_repair *x = s->x;
	int rc = fsck_journal_clear(x);

	*out_fresh = 0;

	if (rc == 0)
		rc = s->replica->ops->list(s->replica, JOURNAL "/",
					   note_segment, s);
	if (rc == 0)
		rc = link_all(s);
	for (unsigned k = 0; rc == 0 && k < s->n; k++) {
		rc = stage_segment(s, &s->v[k]);
		*out_fresh += s->v[k].fresh;
	}
	return rc == 0 ? stage_checkpoint(s) : rc;
}

/* 1: the journal is whole now; 0: this replica does not help. */
static int try_replica(struct stage *s, unsigned i, struct errmsg *em)
{
	struct fsck_repair *x = s->x;
	struct verdict v = { .x = NULL };
	struct vio *vio = NULL;
	autofree char *path = NULL;
	unsigned fresh = 0;
	int rc = put_together(s, &fresh);

	if (rc < 0 && rc != -ENOMEM && s->whole)
		return 0;
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", x->replica[i],
				  err_text(rc));
	if (fresh == 0)
		return 0;
	if (asprintf(&path, "%s/" FSCK_STAGE, x->store) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	rc = vio_posix_open(&vio, path);
	if (rc == 0)
		rc = judge(vio, "verifying the replica's journal", &v);
	vio_free(vio);
	if (rc > 0 && !s->whole)
		fsck_repair_left(x, "the journal of %s is not taken: %s",
				 x->replica[i], v.words);
	if (rc == 0)
		rc = install(s, i);
	else
		return rc > 0 ? 0 : rc;
	return rc < 0 ? rc : 1;
}

static int from_replica(struct fsck_repair *x, unsigned i, bool whole,
			struct errmsg *em)
{
	autofree uint8_t *a = malloc(STEP), *b = malloc(STEP);
	struct stage s = { .x = x, .whole = whole, .a = a, .b = b, .dir = -1 };
	struct errmsg own = ERRMSG_INIT;
	int rc = a && b ? 0 : -ENOMEM;

	if (rc == 0)
		rc = replica_dir_open(&s.replica, x->replica[i], x->volume.id,
				      0, &own);
	if (rc < 0 && rc != -ENOMEM) {
		if (!whole)
			fsck_repair_left(x, "%s: %s", x->replica[i],
					 errmsg_text(&own, rc));
		return 0;
	}
	if (rc == 0) {
		s.dir = open(x->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = s.dir < 0 ? -errno : try_replica(&s, i, em);
	}
	if (s.dir >= 0)
		close(s.dir);
	replica_close(s.replica);
	free(s.v);
	return rc;
}

static int remove_tree(int at, const char *name, unsigned depth);

struct removing {
	int dir;
	unsigned depth;
};

static int remove_one(void *ctx, const char *name)
{
	struct removing *r = ctx;

	return remove_tree(r->dir, name, r->depth + 1);
}

/* The stage alone is removed like this: it is ours, and three deep. */
static int remove_tree(int at, const char *name, unsigned depth)
{
	struct removing r = { -1, depth };
	char path[64];
	struct vio *vio = NULL;
	int rc = 0;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > 4)
		return -ELOOP;
	r.dir = openat(at, name,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r.dir < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r.dir);
	rc = vio_posix_open(&vio, path);
	if (rc == 0)
		rc = vio_list(vio, ".", remove_one, &r);
	vio_free(vio);
	close(r.dir);
	if (rc == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
		rc = -errno;
	return rc;
}

int fsck_journal_clear(struct fsck_repair *x)
{
	int dir = open(x->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = dir < 0 ? -errno : remove_tree(dir, FSCK_STAGE, 0);

	if (dir >= 0)
		close(dir);
	return rc;
}

static int on_tile(const char *path, const struct stat *st, int type,
		   struct FTW *at)
{
	(void)st;
	(void)at;
	if ((type == FTW_DP ? rmdir(path) : unlink(path)) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}

/*
 * They are made from the journal, which is whole; opening makes all of them
 * again where it misses those that it needs itself, and else looks at none.
 */
static int remove_tiles(struct fsck_repair *x)
{
	autofree char *dir = NULL;
	int rc;

	if (asprintf(&dir, "%s/%s", x->store, TILES) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	rc = nftw(dir, on_tile, OPEN_DIRS, FTW_DEPTH | FTW_PHYS);
	if (rc == -1)
		rc = errno == ENOENT ? 0 : -errno;
	return rc < 0 ? rc : vio_syncdir(x->vio, "ledger");
}

int fsck_journal(struct fsck_repair *x, struct errmsg *em)
{
	struct verdict v = { .x = x };
	int rc = judge(x->vio, "verifying the journal", &v), cleared;
	bool whole = rc == 0, good = whole && !v.wal;

	/*
	 * What the wal still has could settle again, but in a segment of
	 * another epoch: a replica that has the first one has to take all of
	 * it anew.  So that is better, not needed: a replica that cannot be
	 * had ends nothing.
	 */
	for (unsigned i = 0; rc >= 0 && !good && i < x->n_replicas; i++) {
		rc = from_replica(x, i, whole, em);
		good = rc > 0;
	}
	if (rc >= 0 && (good || whole) && v.tiles)
		rc = remove_tiles(x);
	cleared = fsck_journal_clear(x);
	if (rc >= 0 && !good && !whole)
		fsck_repair_left(x, "%s%s", v.words,
				 x->n_replicas ? "" :
						 "; no replica is known to "
						 "fetch it from (--from)");
	return rc < 0 ? rc : cleared;
}
