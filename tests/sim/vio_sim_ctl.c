/*
 * vio_sim_ctl.c - what tests do to the simulated disk: crashes, faults,
 * clocks, damage.  See vio_sim.h; the calls of struct vio are in vio_sim.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/sim/vio_sim_internal.h"

static int leave(struct vio_sim *s, int rc) release_capability(&s->mu)
{
	mutex_unlock(&s->mu);
	return rc;
}

struct vio_sim *vio_sim_new(const struct vio_sim_options *opt)
{
	static const struct vio_sim_options none;
	struct vio_sim *s = sim_need(calloc(1, sizeof(*s)));

	if (opt == NULL)
		opt = &none;
	s->vio.ops = &vio_sim_ops;
	mutex_init(&s->mu);
	s->wall_ns = opt->wall_ns != 0 ? opt->wall_ns : 1795219200000000000;
	s->mono_ns = 1000000000;
	s->wall_synced = true;
	s->fsid = opt->fsid != 0 ? opt->fsid : 1;
	s->total_pages = ((uint64_t)1 << 40) / SIM_PAGE;
	prng_init(&s->random, opt->seed);
	prng_init(&s->dice, opt->seed + 1);
	sim_disk_init(&s->disk, s->wall_ns);
	s->disk.ordered = opt->ordered;
	s->note_path = opt->note_path;
	s->note_from = opt->note_from;
	s->disk.garble_sector = opt->garble_sector;
	return s;
}

void vio_sim_free(struct vio_sim *s)
{
	if (s == NULL)
		return;
	sim_disk_release(&s->disk);
	mutex_destroy(&s->mu);
	free(s);
}

struct vio *vio_sim_vio(struct vio_sim *s)
{
	return &s->vio;
}

struct vio_sim *vio_sim_clone(struct vio_sim *s)
{
	struct vio_sim *c = sim_need(malloc(sizeof(*c)));

	mutex_lock(&s->mu);
	*c = *s;
	mutex_init(&c->mu);
	sim_disk_clone(&c->disk, &s->disk);
	c->stop_left = 0;
	c->stopped = false;
	c->fail_left = 0;
	c->failed = false;
	c->hook = NULL;
	c->disk.refuse_in = 0;
	mutex_unlock(&s->mu);
	return c;
}

void vio_sim_forget_locked(struct vio_sim *s)
{
	s->boot++;
	s->stop_left = 0;
	s->stopped = false;
	s->fail_left = 0;
	s->failed = false;
	s->disk.refuse_in = 0;
	for (struct sim_node *n = s->disk.nodes; n != NULL; n = n->next)
		n->lock = NULL;
}

void vio_sim_crash(struct vio_sim *s, struct prng *p)
{
	mutex_lock(&s->mu);
	sim_disk_crash(&s->disk, p);
	vio_sim_forget_locked(s);
	mutex_unlock(&s->mu);
}

void vio_sim_kill(struct vio_sim *s)
{
	mutex_lock(&s->mu);
	vio_sim_forget_locked(s);
	mutex_unlock(&s->mu);
}

void vio_sim_sync_all(struct vio_sim *s)
{
	mutex_lock(&s->mu);
	sim_disk_sync_all(&s->disk);
	mutex_unlock(&s->mu);
}

void vio_sim_fail(struct vio_sim *s, unsigned mask, uint64_t nth, int err,
		  bool forever)
{
	assert(err > 0);
	mutex_lock(&s->mu);
	s->fail_mask = mask;
	s->fail_left = nth;
	s->fail_err = err;
	s->fail_forever = forever;
	s->failed = false;
	mutex_unlock(&s->mu);
}

void vio_sim_stop_at(struct vio_sim *s, uint64_t nth)
{
	mutex_lock(&s->mu);
	s->stop_left = nth;
	s->stopped = false;
	mutex_unlock(&s->mu);
}

bool vio_sim_stopped(struct vio_sim *s)
{
	bool is;

	mutex_lock(&s->mu);
	is = s->stopped;
	mutex_unlock(&s->mu);
	return is;
}

bool vio_sim_failed(struct vio_sim *s)
{
	bool is;

	mutex_lock(&s->mu);
	is = s->failed;
	mutex_unlock(&s->mu);
	return is;
}

void vio_sim_set_space(struct vio_sim *s, uint64_t free_bytes)
{
	mutex_lock(&s->mu);
	s->disk.free_pages =
		free_bytes == UINT64_MAX ? UINT64_MAX : free_bytes / SIM_PAGE;
	mutex_unlock(&s->mu);
}

void vio_sim_set_disk(struct vio_sim *s, uint64_t total_bytes,
		      uint64_t others_bytes)
{
	uint64_t used = others_bytes / SIM_PAGE;

	mutex_lock(&s->mu);
	for (const struct sim_node *n = s->disk.nodes; n != NULL; n = n->next)
		used += n->charged;
	s->total_pages = total_bytes / SIM_PAGE;
	s->disk.free_pages = s->total_pages > used ? s->total_pages - used : 0;
	mutex_unlock(&s->mu);
}

void vio_sim_refuse_room(struct vio_sim *s, uint64_t nth, bool forever)
{
	mutex_lock(&s->mu);
	s->disk.refuse_in = nth;
	s->disk.refuse_forever = forever;
	if (nth > 0)
		s->disk.refused = false;
	mutex_unlock(&s->mu);
}

bool vio_sim_refused(struct vio_sim *s)
{
	bool is;

	mutex_lock(&s->mu);
	is = s->disk.refused;
	mutex_unlock(&s->mu);
	return is;
}

uint64_t vio_sim_count(struct vio_sim *s, unsigned mask)
{
	uint64_t sum = 0;

	mutex_lock(&s->mu);
	for (int i = 0; i < VIO_SIM_CLASSES; i++)
		if (mask & 1u << i)
			sum += s->counts[i];
	mutex_unlock(&s->mu);
	return sum;
}

void vio_sim_set_hook(struct vio_sim *s, vio_sim_hook_fn *fn, void *ctx)
{
	mutex_lock(&s->mu);
	s->hook = fn;
	s->hook_ctx = ctx;
	mutex_unlock(&s->mu);
}

void vio_sim_advance(struct vio_sim *s, int64_t ns)
{
	mutex_lock(&s->mu);
	s->wall_ns += ns;
	s->mono_ns += ns;
	mutex_unlock(&s->mu);
}

void vio_sim_step_wall(struct vio_sim *s, int64_t ns)
{
	mutex_lock(&s->mu);
	s->wall_ns += ns;
	mutex_unlock(&s->mu);
}

void vio_sim_set_wall_synced(struct vio_sim *s, bool synced)
{
	mutex_lock(&s->mu);
	s->wall_synced = synced;
	mutex_unlock(&s->mu);
}

void vio_sim_reseed(struct vio_sim *s, uint64_t seed)
{
	mutex_lock(&s->mu);
	prng_init(&s->random, seed);
	mutex_unlock(&s->mu);
}

int vio_sim_flip(struct vio_sim *s, const char *path, uint64_t off,
		 unsigned bit)
{
	struct sim_node *n = NULL;
	uint8_t b = 0;
	int rc;

	assert(bit < 8);
	mutex_lock(&s->mu);
	rc = sim_disk_find(&s->disk, &n, path);
	if (rc == 0 && (n->is_dir || off >= n->now.size))
		rc = -EINVAL;
	if (rc < 0)
		return leave(s, rc);
	sim_image_read(&n->now, &b, 1, off);
	b ^= (uint8_t)(1u << bit);
	sim_image_write(&n->now, &b, 1, off);
	if (off < n->durable.size) {
		sim_image_read(&n->durable, &b, 1, off);
		b ^= (uint8_t)(1u << bit);
		sim_image_write(&n->durable, &b, 1, off);
	}
	return leave(s, 0);
}

int vio_sim_chmod(struct vio_sim *s, const char *path, uint32_t mode)
{
	struct sim_node *n = NULL;
	int rc;

	mutex_lock(&s->mu);
	rc = sim_disk_find(&s->disk, &n, path);
	if (rc == 0)
		n->mode = (n->mode & S_IFMT) | (mode & 07777);
	return leave(s, rc);
}

int vio_sim_copy(struct vio_sim *s, const char *from, const char *to)
{
	struct sim_node *a = NULL;
	struct sim_node *b = NULL;
	int rc;

	mutex_lock(&s->mu);
	rc = sim_disk_find(&s->disk, &a, from);
	if (rc == 0 && a->is_dir)
		rc = -EISDIR;
	if (rc < 0)
		return leave(s, rc);
	rc = sim_disk_find(&s->disk, &b, to);
	if (rc == -ENOENT)
		rc = sim_disk_make(&s->disk, &b, to, a->mode & 07777,
				   s->wall_ns);
	if (rc == 0 && b->is_dir)
		rc = -EISDIR;
	if (rc < 0 || a == b)
		return leave(s, rc);
	(void)sim_disk_truncate(&s->disk, b, 0, s->wall_ns);
	sim_image_copy(&b->now, &a->now);
	sim_disk_sync_all(&s->disk);
	sim_image_copy(&b->durable, &b->now);
	return leave(s, 0);
}

void vio_sim_set_fsid(struct vio_sim *s, uint64_t fsid)
{
	mutex_lock(&s->mu);
	s->fsid = fsid;
	mutex_unlock(&s->mu);
}

uint64_t vio_sim_memory(struct vio_sim *s)
{
	uint64_t pages;

	mutex_lock(&s->mu);
	pages = sim_disk_pages(&s->disk);
	mutex_unlock(&s->mu);
	return pages * SIM_PAGE;
}
