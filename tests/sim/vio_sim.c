/*
 * vio_sim.c - struct vio over a simulated disk: handles, faults, clocks.
 *
 * Every call passes enter(), which counts it and decides whether it is done,
 * refused, or begun and never answered.  Handles remember the boot in which
 * they were opened; after a crash or a kill they answer -EIO.
 *
 * One mutex guards all of it; the hook runs outside.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sim/exempt.h"
#include "tests/sim/vio_sim_internal.h"

enum verdict {
	DO = 0,
	BEGIN = 1, /* do it as far as a crash may keep it, answer -EIO */
	REFUSE = 2,
};

struct handle {
	struct vio_file file;
	struct sim_node *node;
	uint64_t boot;
	bool writable;
	char *path;
};

static struct vio_sim *sim_of(struct vio *v)
{
	return (struct vio_sim *)v;
}

static struct handle *handle_of(struct vio_file *f)
{
	return (struct handle *)f;
}

/*
 * Takes the lock (always) and tells what becomes of the call: 0 to do it,
 * BEGIN, or a negative error (REFUSE sets *out_err and returns REFUSE when
 * the call fails by injection, so that it may do a part).
 */
static int enter(struct vio_sim *s, enum vio_sim_class class, const char *path,
		 int *out_err) acquire_capability(&s->mu)
{
	vio_sim_hook_fn *hook;
	void *ctx;

	*out_err = 0;
	alloc_ours++; /* the disk's memory is not what runs out */
	mutex_lock(&s->mu);
	hook = s->hook;
	ctx = s->hook_ctx;
	if (hook != NULL) {
		mutex_unlock(&s->mu);
		hook(ctx, class, path);
		mutex_lock(&s->mu);
	}
	s->counts[__builtin_ctz(class)]++;
	if (s->stopped) {
		*out_err = -EIO;
		return REFUSE;
	}
	if ((class & VIO_SIM_CHANGE) && s->stop_left > 0 &&
	    --s->stop_left == 0) {
		s->stopped = true;
		*out_err = -EIO;
		return BEGIN;
	}
	if ((class & s->fail_mask) && s->fail_left > 0 &&
	    (s->fail_left == 1 || --s->fail_left == 0)) {
		if (!s->fail_forever)
			s->fail_left = 0;
		else
			s->fail_left = 1;
		s->failed = true;
		*out_err = -s->fail_err;
		return REFUSE;
	}
	return DO;
}

/* The same for a file; also refuses handles of an earlier boot. */
static int enter_file(struct vio_sim *s, struct handle *h,
		      enum vio_sim_class class, int *out_err)
	acquire_capability(&s->mu)
{
	int what = enter(s, class, h->path, out_err);

	if (h->boot != s->boot) {
		*out_err = -EIO;
		return REFUSE;
	}
	return what;
}

static int leave(struct vio_sim *s, int rc) release_capability(&s->mu)
{
	mutex_unlock(&s->mu);
	alloc_ours--;
	return rc;
}

static int open_locked(struct vio_sim *s, struct sim_node **out,
		       const char *path, int flags)
{
	struct sim_node *n = NULL;
	int rc = sim_disk_find(&s->disk, &n, path);

	if (rc == -ENOENT && (flags & VIO_CREATE)) {
		rc = sim_disk_make(&s->disk, &n, path,
				   flags & VIO_PRIVATE ? 0600 : 0644,
				   s->wall_ns);
	} else if (rc == 0 && (flags & VIO_EXCL)) {
		rc = -EEXIST;
	} else if (rc == 0 && n->is_dir) {
		rc = -EISDIR;
	} else if (rc == 0 && (flags & VIO_TRUNC)) {
		rc = sim_disk_truncate(&s->disk, n, 0, s->wall_ns);
	}
	*out = n;
	return rc;
}

static int sim_open(struct vio *v, struct vio_file **out, const char *path,
		    int flags)
{
	struct vio_sim *s = sim_of(v);
	struct sim_node *n = NULL;
	struct handle *h;
	int class = VIO_SIM_OPEN;
	int err = 0;
	int rc;

	mutex_lock(&s->mu);
	rc = sim_disk_find(&s->disk, &n, path);
	if ((rc == -ENOENT && (flags & VIO_CREATE)) || (flags & VIO_TRUNC))
		class = VIO_SIM_CREATE;
	mutex_unlock(&s->mu);
	rc = enter(s, class, path, &err);
	if (rc == REFUSE)
		return leave(s, err);
	if (rc == BEGIN) {
		rc = open_locked(s, &n, path, flags);
		return leave(s, err);
	}
	rc = open_locked(s, &n, path, flags);
	if (rc < 0)
		return leave(s, rc);
	h = sim_need(calloc(1, sizeof(*h)));
	h->file.vio = v;
	h->node = n;
	sim_node_get(n);
	h->boot = s->boot;
	h->writable = (flags & VIO_WRITE) != 0;
	h->path = sim_need(strdup(path));
	*out = &h->file;
	return leave(s, 0);
}

static void sim_close(struct vio_file *f)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);

	mutex_lock(&s->mu);
	if (h->node->lock == h)
		h->node->lock = NULL;
	sim_node_put(&s->disk, h->node);
	mutex_unlock(&s->mu);
	free(h->path);
	free(h);
}

static ssize_t sim_pread(struct vio_file *f, void *p, size_t n, uint64_t off)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	ssize_t got;
	int err = 0;

	if (enter_file(s, h, VIO_SIM_READ, &err) != DO)
		return leave(s, err);
	got = (ssize_t)sim_image_read(&h->node->now, p, n, off);
	(void)leave(s, 0);
	return got;
}

static int sim_pwrite(struct vio_file *f, const void *p, size_t n, uint64_t off)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;
	int what = enter_file(s, h, VIO_SIM_WRITE, &err);
	int rc = err;

	if (h->boot != s->boot)
		return leave(s, -EIO);
	if (!h->writable)
		return leave(s, -EBADF);
	if (off > INT64_MAX - n)
		return leave(s, -EFBIG);
	if (what == REFUSE) {
		if (!s->stopped) /* a part of it may be there */
			(void)sim_disk_write(
				&s->disk, h->node, p,
				(size_t)prng_below(&s->dice, n + 1), off,
				s->wall_ns);
		return leave(s, err);
	}
	rc = sim_disk_write(&s->disk, h->node, p, n, off, s->wall_ns);
	if (rc == 0 && s->note_path != NULL && off >= s->note_from &&
	    strcmp(h->path, s->note_path) == 0)
		sim_disk_sync_range(h->node, off, n);
	return leave(s, what == BEGIN ? err : rc);
}

static int sim_pwritev(struct vio_file *f, const struct vio_piece *v, int n,
		       uint64_t off)
{
	size_t all = 0, at = 0;
	uint8_t *p;
	int rc;

	for (int i = 0; i < n; i++)
		all += v[i].n;
	alloc_ours++;
	p = sim_need(malloc(all));
	alloc_ours--;
	for (int i = 0; i < n; at += v[i++].n)
		memcpy(p + at, v[i].p, v[i].n);
	rc = sim_pwrite(f, p, all, off);
	free(p);
	return rc;
}

static int sim_fdatasync(struct vio_file *f)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;
	int what = enter_file(s, h, VIO_SIM_SYNC, &err);

	if (what == DO)
		sim_disk_sync(&s->disk, h->node);
	else if (what == REFUSE && !s->stopped && h->boot == s->boot)
		sim_disk_sync_failed(h->node, &s->dice);
	return leave(s, err);
}

/* A pwrite, and a flush of nothing else: what it leaves out can be lost. */
static int sim_write_through(struct vio_file *f, const void *p, size_t n,
			     uint64_t off)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;
	int rc = sim_pwrite(f, p, n, off);
	int what = 0;

	if (rc < 0)
		return rc;
	what = enter_file(s, h, VIO_SIM_SYNC, &err);
	if (what == DO)
		sim_disk_sync_range(h->node, off, n);
	else if (what == REFUSE && !s->stopped && h->boot == s->boot)
		sim_disk_sync_failed(h->node, &s->dice);
	return leave(s, err);
}

/* The disk keeps or loses what was not synced as if it had not been asked. */
static int sim_writeback(struct vio_file *f, uint64_t off, uint64_t n,
			 bool wait)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;
	int what = enter_file(s, h, VIO_SIM_WRITEBACK, &err);

	(void)off;
	(void)n;
	(void)wait;
	if (what == REFUSE && !s->stopped && h->boot == s->boot)
		sim_disk_sync_failed(h->node, &s->dice);
	return leave(s, err);
}

static void sim_forget(struct vio_file *f, uint64_t off, uint64_t n)
{
	struct vio_sim *s = sim_of(f->vio);

	(void)off;
	mutex_lock(&s->mu);
	s->forgotten += n;
	mutex_unlock(&s->mu);
}

uint64_t vio_sim_forgotten(struct vio_sim *s)
{
	uint64_t n = 0;

	mutex_lock(&s->mu);
	n = s->forgotten;
	mutex_unlock(&s->mu);
	return n;
}

static int sim_truncate(struct vio_file *f, uint64_t size)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;
	int rc = 0;

	if (enter_file(s, h, VIO_SIM_TRUNCATE, &err) == REFUSE)
		return leave(s, err);
	rc = h->writable ?
		     sim_disk_truncate(&s->disk, h->node, size, s->wall_ns) :
		     -EINVAL;
	return leave(s, err != 0 ? err : rc);
}

static int sim_allocate(struct vio_file *f, uint64_t off, uint64_t n)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;
	int rc = 0;

	if (enter_file(s, h, VIO_SIM_ALLOCATE, &err) == REFUSE)
		return leave(s, err);
	if (!h->writable)
		rc = -EBADF;
	else if (n > 0)
		rc = sim_disk_allocate(&s->disk, h->node, off, n);
	return leave(s, err != 0 ? err : rc);
}

static void stat_fill(const struct vio_sim *s, const struct sim_node *n,
		      struct vio_stat *out)
{
	memset(out, 0, sizeof(*out));
	out->size = n->now.size;
	out->ino = n->ino;
	out->mtime_ns = n->mtime_ns;
	out->btime_ns = n->btime_ns;
	out->fsid = s->fsid;
	out->mode = n->mode;
	out->uid = geteuid();
}

static int sim_fstat(struct vio_file *f, struct vio_stat *out)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;

	if (enter_file(s, h, VIO_SIM_STAT, &err) == DO)
		stat_fill(s, h->node, out);
	return leave(s, err);
}

static int sim_lock(struct vio_file *f)
{
	struct handle *h = handle_of(f);
	struct vio_sim *s = sim_of(f->vio);
	int err = 0;

	if (enter_file(s, h, VIO_SIM_LOCK, &err) != DO)
		return leave(s, err);
	if (!h->writable)
		return leave(s, -EBADF);
	if (h->node->lock != NULL && h->node->lock != h)
		return leave(s, -EBUSY);
	h->node->lock = h;
	return leave(s, 0);
}

static int sim_stat(struct vio *v, const char *path, struct vio_stat *out)
{
	struct vio_sim *s = sim_of(v);
	struct sim_node *n = NULL;
	int err = 0;
	int rc;

	if (enter(s, VIO_SIM_STAT, path, &err) != DO)
		return leave(s, err);
	rc = sim_disk_find(&s->disk, &n, path);
	if (rc == 0)
		stat_fill(s, n, out);
	return leave(s, rc);
}

static int sim_rename(struct vio *v, const char *from, const char *to)
{
	struct vio_sim *s = sim_of(v);
	int err = 0;
	int rc;

	if (enter(s, VIO_SIM_RENAME, from, &err) == REFUSE)
		return leave(s, err);
	rc = sim_disk_rename(&s->disk, from, to);
	return leave(s, err != 0 ? err : rc);
}

static int remove_name(struct vio *v, const char *path, bool dir)
{
	struct vio_sim *s = sim_of(v);
	int err = 0;
	int rc;

	if (enter(s, VIO_SIM_UNLINK, path, &err) == REFUSE)
		return leave(s, err);
	rc = sim_disk_unlink(&s->disk, path, dir);
	return leave(s, err != 0 ? err : rc);
}

static int sim_unlink(struct vio *v, const char *path)
{
	return remove_name(v, path, false);
}

static int sim_rmdir(struct vio *v, const char *path)
{
	return remove_name(v, path, true);
}

static int sim_mkdir(struct vio *v, const char *path)
{
	struct vio_sim *s = sim_of(v);
	int err = 0;
	int rc;

	if (enter(s, VIO_SIM_MKDIR, path, &err) == REFUSE)
		return leave(s, err);
	rc = sim_disk_make(&s->disk, NULL, path, 0, s->wall_ns);
	return leave(s, err != 0 ? err : rc);
}

static int sim_list(struct vio *v, const char *dir, vio_list_fn *fn, void *ctx)
{
	struct vio_sim *s = sim_of(v);
	struct sim_node *n = NULL;
	char **names = NULL;
	size_t count = 0;
	int err = 0;
	int rc;

	if (enter(s, VIO_SIM_LIST, dir, &err) != DO)
		return leave(s, err);
	rc = sim_disk_find(&s->disk, &n, dir);
	if (rc == 0 && !n->is_dir)
		rc = -ENOTDIR;
	if (rc == 0) {
		count = sim_dir_count(n);
		names = sim_need(calloc(count + 1, sizeof(char *)));
		for (size_t i = 0; i < count; i++)
			names[i] = sim_need(strdup(sim_dir_name(n, i)));
	}
	(void)leave(s, 0);
	for (size_t i = 0; i < count; i++) {
		if (rc == 0)
			rc = fn(ctx, names[i]);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int sim_syncdir(struct vio *v, const char *dir)
{
	struct vio_sim *s = sim_of(v);
	struct sim_node *n = NULL;
	int err = 0;
	int rc;

	if (enter(s, VIO_SIM_SYNCDIR, dir, &err) != DO)
		return leave(s, err);
	rc = sim_disk_find(&s->disk, &n, dir);
	if (rc == 0)
		rc = sim_disk_syncdir(&s->disk, n);
	return leave(s, rc);
}

static int sim_space(struct vio *v, struct vio_space *out)
{
	struct vio_sim *s = sim_of(v);
	uint64_t pages = s->total_pages;
	int err = 0;

	if (enter(s, VIO_SIM_SPACE, "", &err) != DO)
		return leave(s, err);
	out->total_bytes = pages * SIM_PAGE;
	if (s->disk.free_pages < pages)
		pages = s->disk.free_pages;
	out->free_bytes = pages * SIM_PAGE;
	return leave(s, 0);
}

static void tick(struct vio_sim *s)
{
	s->wall_ns += 1000;
	s->mono_ns += 1000;
}

static int64_t sim_wall_ns(struct vio *v)
{
	struct vio_sim *s = sim_of(v);
	int64_t ns;

	mutex_lock(&s->mu);
	tick(s);
	ns = s->wall_ns;
	mutex_unlock(&s->mu);
	return ns;
}

static int64_t sim_mono_ns(struct vio *v)
{
	struct vio_sim *s = sim_of(v);
	int64_t ns;

	mutex_lock(&s->mu);
	tick(s);
	ns = s->mono_ns;
	mutex_unlock(&s->mu);
	return ns;
}

static bool sim_wall_synced(struct vio *v)
{
	struct vio_sim *s = sim_of(v);
	bool synced;

	mutex_lock(&s->mu);
	synced = s->wall_synced;
	mutex_unlock(&s->mu);
	return synced;
}

static int sim_random(struct vio *v, void *p, size_t n)
{
	struct vio_sim *s = sim_of(v);

	mutex_lock(&s->mu);
	prng_bytes(&s->random, p, n);
	mutex_unlock(&s->mu);
	return 0;
}

static void sim_free(struct vio *v)
{
	(void)v; /* the disk outlives its users: vio_sim_free ends it */
}

const struct vio_ops vio_sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.pread = sim_pread,
	.pwrite = sim_pwrite,
	.pwritev = sim_pwritev,
	.fdatasync = sim_fdatasync,
	.write_through = sim_write_through,
	.writeback = sim_writeback,
	.forget = sim_forget,
	.truncate = sim_truncate,
	.allocate = sim_allocate,
	.fstat = sim_fstat,
	.lock = sim_lock,
	.stat = sim_stat,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.mkdir = sim_mkdir,
	.rmdir = sim_rmdir,
	.list = sim_list,
	.syncdir = sim_syncdir,
	.space = sim_space,
	.wall_ns = sim_wall_ns,
	.mono_ns = sim_mono_ns,
	.wall_synced = sim_wall_synced,
	.random = sim_random,
	.free = sim_free,
};
