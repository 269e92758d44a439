/*
 * seq_world.c - see seq_world.h.
 */
#include "tests/sim/seq_world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "fs/core/core_internal.h"
#include "index/idx.h"
#include "index/rebuild.h"
#include "ledger/ledger.h"
#include "tests/sim/sim_fate.h"

static const char *const files[SEQ_INDEX_FILES] = { "index.db",
						    "index.db-wal" };

/* --- the index's files --- */

static void path_of(char out[PATH_MAX + 32], const char *dir, const char *name)
{
	snprintf(out, PATH_MAX + 32, "%s/%s", dir, name);
}

struct seq_index *seq_index_read(const char *dir)
{
	struct seq_index *x = calloc(1, sizeof(*x));

	if (!x)
		abort();
	x->refs = 1;
	for (unsigned i = 0; i < SEQ_INDEX_FILES; i++) {
		char path[PATH_MAX + 32];
		struct stat st;
		int fd;

		path_of(path, dir, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) < 0)
			abort();
		x->n[i] = (size_t)st.st_size;
		x->p[i] = malloc(x->n[i] + 1);
		if (!x->p[i] || read(fd, x->p[i], x->n[i]) != (ssize_t)x->n[i])
			abort();
		close(fd);
	}
	return x;
}

/* The wal-index anew; a connection that is kept has it mapped. */
static void forget_shm(const char *dir)
{
	static const uint8_t zeros[4096];
	char path[PATH_MAX + 32];
	struct stat st;
	int fd;

	path_of(path, dir, "index.db-shm");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0)
		abort();
	for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(zeros))
		if (pwrite(fd, zeros, sizeof(zeros), at) < 0)
			abort();
	close(fd);
}

/* In place, for connections that are kept (db_pool.h). */
static void put_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, n ? p : "", n) != (ssize_t)n)
		abort();
	close(fd);
}

void seq_index_write(const struct seq_index *x, const char *dir)
{
	char path[PATH_MAX + 32];

	if (x && x->p[0]) {
		forget_shm(dir);
		for (unsigned i = 0; i < SEQ_INDEX_FILES; i++) {
			path_of(path, dir, files[i]);
			put_file(path, x->p[i], x->n[i]);
		}
		return;
	}
	for (unsigned i = 0; i < SEQ_INDEX_FILES; i++) {
		path_of(path, dir, files[i]);
		unlink(path);
	}
	path_of(path, dir, "index.db-shm");
	unlink(path);
}

void seq_index_drop(struct seq_index *x)
{
	if (!x || --x->refs > 0)
		return;
	for (unsigned i = 0; i < SEQ_INDEX_FILES; i++)
		free(x->p[i]);
	free(x);
}

/* --- the start --- */

static struct seq_index *empty_index(const char *dir)
{
	struct vio_sim *leaves = vio_sim_new(NULL);
	struct idx_options o = { .vio = vio_sim_vio(leaves), .dir = dir };
	struct idx *x = NULL;

	seq_index_write(NULL, dir);
	if (idx_open(&x, &o, NULL) < 0)
		abort();
	idx_close(x);
	vio_sim_free(leaves);
	return seq_index_read(dir);
}

void seq_world_init(struct seq_world *w)
{
	memset(w, 0, sizeof(*w));
	vol_init(&w->v, 1);
	w->v.quiet = true;
	w->v.inode_cache = 64; /* quick to make, and rows are evicted */
	seq_init(&w->start);
	if (vol_mount(&w->v) < 0 || !seq_plant(&w->start, w->v.core) ||
	    vol_umount(&w->v) < 0)
		abort();
	w->start.core = NULL;
	vio_sim_sync_all(w->v.sim);
	vio_sim_sync_all(w->v.guard);
	w->index = seq_index_read(w->v.tmp.path);
	w->empty = empty_index(w->v.tmp.path);
}

void seq_world_release(struct seq_world *w)
{
	seq_index_drop(w->index);
	seq_index_drop(w->empty);
	seq_release(&w->start);
	vol_release(&w->v);
}

static void seq_copy(struct seq *to, const struct seq *from)
{
	*to = *from;
	for (int i = 0; i < MODEL_INODES; i++) {
		const struct model_inode *x = &from->m.inodes[i];

		if (!x->p)
			continue;
		to->m.inodes[i].p = malloc(x->n + 1);
		if (!to->m.inodes[i].p)
			abort();
		memcpy(to->m.inodes[i].p, x->p, x->n);
	}
}

static void let_second_pass(void *ctx)
{
	vio_sim_advance(ctx, 1000000000);
}

void seq_world_take(struct seq_world *w, struct vol *v, struct seq *s)
{
	*v = w->v; /* the same directory */
	v->sim = vio_sim_clone(w->v.sim);
	v->guard = vio_sim_clone(w->v.guard);
	seq_index_write(w->index, v->tmp.path);
	seq_copy(s, &w->start);
	s->advance = let_second_pass;
	s->ctx = v->sim;
}

int seq_world_mount(struct vol *v, struct seq *s)
{
	int rc = vol_mount(v);

	s->core = v->core;
	return rc;
}

void seq_world_give(struct vol *v, struct seq *s)
{
	if (s) {
		if (v->core)
			seq_close(s);
		s->n_open = 0;
		seq_release(s);
	}
	if (v->core)
		core_abandon(v->core);
	v->core = NULL;
	vio_sim_free(v->sim);
	vio_sim_free(v->guard);
}

/* --- after a crash --- */

static bool say(struct seq_world *w, const char *what, const char *why)
{
	snprintf(w->words, sizeof(w->words), "%s: %s", what, why);
	return false;
}

static void damage(void *ctx, const char *words)
{
	struct seq_world *w = ctx;

	if (!w->words[0])
		say(w, "damage", words);
}

bool seq_world_sound(struct seq_world *w, struct vol *v)
{
	struct rebuild_options ro = {
		.vio = v->core->vio,
		.dir = v->tmp.path,
		.ledger = v->core->ledger,
		.name = IDX_REBUILD_NAME,
	};
	struct ledger_verify_options vo = { .found = damage, .ctx = w };
	struct ledger_verify_report rep = { 0 };
	struct errmsg em = ERRMSG_INIT;
	struct idx *x = NULL;
	uint64_t differ = 0;
	int rc = core_settle_index(v->core);
	char path[PATH_MAX + 32];

	w->words[0] = '\0';
	if (rc >= 0)
		rc = ledger_verify(v->core->ledger, &rep, &vo, &em);
	/* what the start mended is told once more, and is mended */
	for (const char *p = ledger_notes(v->core->ledger); *p; p++)
		rep.damaged -= *p == '\n' && rep.damaged > 0;
	if (rc >= 0 && !rep.damaged)
		rc = rebuild_anew(&x, &ro, &em);
	idx_close(x);
	if (rc >= 0 && !rep.damaged)
		rc = idx_compare(v->tmp.path, IDX_NAME, IDX_REBUILD_NAME,
				 damage, w, &differ, &em);
	path_of(path, v->tmp.path, IDX_REBUILD_NAME);
	unlink(path);
	if (rc < 0)
		return say(w, "verify", errmsg_text(&em, rc));
	return !rep.damaged && !differ;
}

static void done(void *ctx, int rc)
{
	*(int *)ctx = rc;
}

enum { WORK = 3000 };

static int write_and_sync(struct core *c)
{
	uint8_t p[WORK];
	struct handle *h = NULL;
	struct stat st;
	int synced = -EINPROGRESS;
	int rc = core_create(c, &vol_cred, 1, "afterwards", 0600, O_RDWR, &h,
			     &st);

	memset(p, 'w', sizeof(p));
	if (rc >= 0)
		rc = core_write(c, &vol_cred, h, p, sizeof(p), 0, false, false);
	if (rc >= 0) {
		core_fsync(c, h, st.st_ino, done, &synced);
		rc = synced;
	}
	core_release(c, h);
	return rc;
}

static int read_again(struct core *c)
{
	uint8_t p[WORK + 1];
	struct handle *h = NULL;
	struct stat st;
	bool keep;
	ssize_t n = core_lookup(c, 1, "afterwards", &st);

	if (n >= 0)
		n = core_open_file(c, &vol_cred, st.st_ino, O_RDONLY, false, &h,
				   &keep);
	if (n >= 0)
		n = core_read(c, h, p, sizeof(p), 0);
	core_release(c, h);
	for (ssize_t i = 0; i < n && i < WORK; i++)
		if (p[i] != 'w')
			return -EILSEQ;
	return n < 0 ? (int)n : n == WORK ? 0 : -EILSEQ;
}

static bool works(struct seq_world *w, struct vol *v)
{
	int rc = write_and_sync(v->core);

	if (rc < 0)
		return say(w, "work after it", err_text(rc));
	vio_sim_crash_as(v->sim, NULL, 0);
	vio_sim_crash_as(v->guard, NULL, 0);
	core_abandon(v->core);
	v->core = NULL;
	rc = vol_mount(v);
	if (rc < 0)
		return say(w, "the second mount", err_text(rc));
	rc = read_again(v->core);
	return rc >= 0 || say(w, "what was synced after it", err_text(rc));
}

bool seq_world_check(struct seq_world *w, struct vio_sim *sim,
		     struct vio_sim *guard, const struct seq_index *index,
		     struct seq *s, const struct seq_floor *fl, bool deep)
{
	struct vol v = w->v;
	struct seq_found t;
	bool ok = false;
	int rc;

	v.sim = sim;
	v.guard = guard;
	seq_index_write(index, v.tmp.path);
	rc = vol_mount(&v);
	if (rc < 0)
		return say(w, "mount", err_text(rc));
	seq_look(&t, v.core);
	if (!seq_fits(s, fl, &t))
		say(w, "recovered", s->words);
	else
		ok = !deep || (works(w, &v) && seq_world_sound(w, &v));
	if (ok && deep) {
		rc = vol_umount(&v);
		ok = rc >= 0 || say(w, "unmount", err_text(rc));
	}
	if (v.core)
		core_abandon(v.core);
	return ok;
}
