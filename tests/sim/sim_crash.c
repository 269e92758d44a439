/*
 * sim_crash.c - what power loss, a failed sync and a copy make of a disk.
 * The model is told in vio_sim.h.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/prng.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_internal.h"

enum { SECTOR = 512 };

/* How hard this crash hits; drawn once per crash. */
enum mood {
	LOSE_ALL,
	KEEP_ALL,
	MIXED,
	WILD, /* mostly torn */
};

static enum mood mood_draw(struct prng *p)
{
	uint64_t x = prng_below(p, 8);

	return x == 0 ? LOSE_ALL : x == 1 ? KEEP_ALL : x < 6 ? MIXED : WILD;
}

/* The part of op that lies in its i-th sector. */
static size_t sector_part(const struct sim_op *op, uint64_t i, size_t *out_n)
{
	uint64_t start = (op->off / SECTOR + i) * SECTOR;
	uint64_t end = start + SECTOR;

	start = start < op->off ? op->off : start;
	end = end > op->off + op->n ? op->off + op->n : end;
	*out_n = (size_t)(end - start);
	return (size_t)(start - op->off);
}

static uint64_t sector_count(const struct sim_op *op)
{
	return (op->off + op->n - 1) / SECTOR - op->off / SECTOR + 1;
}

static void garble(const struct sim_disk *d, struct sim_image *img,
		   const struct sim_op *op, struct prng *p)
{
	uint64_t i = prng_below(p, sector_count(op));
	uint8_t noise[SECTOR];
	size_t n = 0;
	uint64_t off = op->off + sector_part(op, i, &n);

	sim_image_write(img, op->b, op->n, op->off);
	prng_bytes(p, noise, sizeof(noise));
	if (d != NULL && d->garble_sector) {
		off = off / SECTOR * SECTOR;
		n = img->size - off < SECTOR ? (size_t)(img->size - off) :
					       SECTOR;
	}
	sim_image_write(img, noise, n, off);
}

static void write_torn(const struct sim_disk *d, struct sim_image *img,
		       const struct sim_op *op, struct prng *p)
{
	uint64_t sectors = sector_count(op);
	uint64_t prefix = prng_below(p, sectors);

	switch (prng_below(p, 4)) {
	case 0: /* a prefix, perhaps of nothing */
		for (uint64_t i = 0; i < prefix; i++) {
			size_t n = 0;
			size_t at = sector_part(op, i, &n);

			sim_image_write(img, op->b + at, n, op->off + at);
		}
		break;
	case 1: /* some of its sectors */
		for (uint64_t i = 0; i < sectors; i++) {
			size_t n = 0;
			size_t at = sector_part(op, i, &n);

			if (prng_chance(p, 50))
				sim_image_write(img, op->b + at, n,
						op->off + at);
		}
		break;
	case 2:
		garble(d, img, op, p);
		break;
	default: /* the size alone */
		if (op->off + op->n > img->size)
			sim_image_truncate(img, op->off + op->n);
	}
}

static void op_resolve(const struct sim_disk *d, struct sim_image *img,
		       const struct sim_op *op, enum mood mood, struct prng *p)
{
	unsigned keep = mood == KEEP_ALL ? 100 :
			mood == LOSE_ALL ? 0 :
			mood == MIXED	 ? 45 :
					   15;

	if (prng_chance(p, keep)) {
		if (op->kind == SIM_OP_WRITE)
			sim_image_write(img, op->b, op->n, op->off);
		else
			sim_image_truncate(img, op->off);
	} else if (op->kind == SIM_OP_WRITE &&
		   ((mood == MIXED && prng_chance(p, 40)) || mood == WILD)) {
		write_torn(d, img, op, p);
	}
}

static void file_crash(const struct sim_disk *d, struct sim_node *n,
		       struct prng *p, enum mood mood)
{
	for (struct sim_op *op = n->ops; op != NULL; op = op->next)
		op_resolve(d, &n->durable, op, mood, p);
	sim_ops_free(n);
	sim_image_copy(&n->now, &n->durable);
}

/* What the file holds or has reserved after the crash. */
static void file_recharge(struct sim_disk *d, struct sim_node *n)
{
	uint64_t held = n->charged;
	uint64_t most = (n->now.size + SIM_PAGE - 1) / SIM_PAGE;

	if (n->reserved > most)
		n->reserved = most;
	n->charged = n->reserved;
	for (uint64_t i = n->reserved; i < n->now.npages; i++)
		n->charged += sim_image_has_page(&n->now, i);
	if (d->free_pages == UINT64_MAX)
		return;
	d->free_pages += held;
	d->free_pages -=
		n->charged < d->free_pages ? n->charged : d->free_pages;
}

void sim_disk_sync_failed(struct sim_node *n, struct prng *p)
{
	for (struct sim_op *op = n->ops; op != NULL; op = op->next)
		op_resolve(NULL, &n->durable, op, MIXED, p);
	sim_ops_free(n);
}

/* Keeps a prefix of the name operations of each directory, drops the rest. */
static void names_crash(struct sim_disk *d, struct prng *p, enum mood mood)
{
	unsigned stop = mood == KEEP_ALL ? 0 :
			mood == LOSE_ALL ? 100 :
					   (unsigned)prng_range(p, 5, 60);
	bool all_stopped = false;

	for (struct sim_node *n = d->nodes; n != NULL; n = n->next)
		n->stopped = false;
	while (d->pending != NULL) {
		struct sim_nameop *op = d->pending;
		bool skip = all_stopped || op->dir1->stopped ||
			    (op->dir2 != NULL && op->dir2->stopped) ||
			    prng_chance(p, stop);

		if (skip) {
			all_stopped = d->ordered;
			op->dir1->stopped = true;
			if (op->dir2 != NULL)
				op->dir2->stopped = true;
		} else {
			sim_nameop_apply(d, op);
		}
		d->pending = op->next;
		sim_nameop_free(d, op);
	}
	d->pending_end = &d->pending;
}

static void dir_copy(struct sim_disk *d, struct sim_dir *to,
		     const struct sim_dir *from)
{
	for (size_t i = 0; i < from->n; i++)
		sim_dir_set(d, to, from->v[i].name, from->v[i].node);
}

/* The volatile names are the durable ones again. */
static void names_fall_back(struct sim_disk *d)
{
	struct sim_dir old = { 0 };

	for (struct sim_node *n = d->nodes; n != NULL; n = n->next) {
		/*
		 * Nothing is put while the list is walked: the old names go
		 * to a bag first.
		 */
		n->lock = NULL;
		if (!n->is_dir) {
			file_recharge(d, n);
			continue;
		}
		old.v = sim_need(realloc(old.v, (old.n + n->now_dir.n + 1) *
							sizeof(*old.v)));
		if (n->now_dir.n > 0)
			memcpy(old.v + old.n, n->now_dir.v,
			       n->now_dir.n * sizeof(*old.v));
		old.n += n->now_dir.n;
		free(n->now_dir.v);
		memset(&n->now_dir, 0, sizeof(n->now_dir));
		dir_copy(d, &n->now_dir, &n->durable_dir);
	}
	sim_dir_clear(d, &old);
}

void sim_disk_crash(struct sim_disk *d, struct prng *p)
{
	enum mood mood = mood_draw(p);

	names_crash(d, p, mood);
	for (struct sim_node *n = d->nodes; n != NULL; n = n->next)
		if (!n->is_dir)
			file_crash(d, n, p, mood);
	names_fall_back(d);
}

void sim_disk_crash_names(struct sim_disk *d, size_t keep)
{
	while (d->pending != NULL) {
		struct sim_nameop *op = d->pending;

		if (keep > 0) {
			sim_nameop_apply(d, op);
			keep--;
		}
		d->pending = op->next;
		sim_nameop_free(d, op);
	}
	d->pending_end = &d->pending;
	names_fall_back(d);
}

static void clone_dir(struct sim_disk *to, struct sim_dir *out,
		      const struct sim_dir *from)
{
	for (size_t i = 0; i < from->n; i++)
		sim_dir_set(to, out, from->v[i].name, from->v[i].node->copy);
}

static void clone_ops(struct sim_node *to, const struct sim_node *from)
{
	to->ops = NULL;
	to->ops_end = &to->ops;
	for (const struct sim_op *op = from->ops; op != NULL; op = op->next) {
		struct sim_op *c = sim_need(malloc(sizeof(*c) + op->n));

		memcpy(c, op, sizeof(*c) + op->n);
		c->next = NULL;
		*to->ops_end = c;
		to->ops_end = &c->next;
	}
}

static void clone_pending(struct sim_disk *to, const struct sim_disk *from)
{
	to->pending = NULL;
	to->pending_end = &to->pending;
	for (struct sim_nameop *op = from->pending; op != NULL; op = op->next) {
		struct sim_nameop *c = sim_need(calloc(1, sizeof(*c)));

		c->dir1 = op->dir1->copy;
		sim_node_get(c->dir1);
		c->name1 = sim_need(strdup(op->name1));
		if (op->dir2 != NULL) {
			c->dir2 = op->dir2->copy;
			sim_node_get(c->dir2);
			c->name2 = sim_need(strdup(op->name2));
		}
		if (op->node != NULL) {
			c->node = op->node->copy;
			sim_node_get(c->node);
		}
		*to->pending_end = c;
		to->pending_end = &c->next;
	}
}

void sim_disk_clone(struct sim_disk *to, struct sim_disk *from)
{
	struct sim_node *next;

	*to = *from;
	to->nodes = NULL;
	for (struct sim_node *n = from->nodes; n != NULL; n = n->next) {
		struct sim_node *c = sim_need(malloc(sizeof(*c)));

		*c = *n;
		c->refs = 1; /* until all names are made */
		c->lock = NULL;
		memset(&c->now, 0, sizeof(c->now));
		memset(&c->durable, 0, sizeof(c->durable));
		memset(&c->now_dir, 0, sizeof(c->now_dir));
		memset(&c->durable_dir, 0, sizeof(c->durable_dir));
		sim_image_copy(&c->now, &n->now);
		sim_image_copy(&c->durable, &n->durable);
		clone_ops(c, n);
		c->next = to->nodes;
		c->link = &to->nodes;
		if (c->next != NULL)
			c->next->link = &c->next;
		to->nodes = c;
		n->copy = c;
	}
	to->root = from->root->copy;
	sim_node_get(to->root);
	for (struct sim_node *n = from->nodes; n != NULL; n = n->next) {
		clone_dir(to, &n->copy->now_dir, &n->now_dir);
		clone_dir(to, &n->copy->durable_dir, &n->durable_dir);
	}
	clone_pending(to, from);
	/* Files that only a handle held are gone in the copy. */
	for (struct sim_node *n = from->nodes; n != NULL; n = next) {
		next = n->next;
		sim_node_put(to, n->copy);
		n->copy = NULL;
	}
}
