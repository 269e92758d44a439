/*
 * sim_fate.c - see sim_fate.h.
 */
#include "tests/sim/sim_fate.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/sim/sim_internal.h"
#include "tests/sim/vio_sim_internal.h"

enum { SECTOR = 512 };

size_t vio_sim_loose_writes(struct vio_sim *s)
{
	size_t n = 0;

	mutex_lock(&s->mu);
	for (struct sim_node *f = s->disk.nodes; f != NULL; f = f->next)
		for (struct sim_op *op = f->ops; op != NULL; op = op->next)
			n++;
	mutex_unlock(&s->mu);
	return n;
}

size_t vio_sim_loose_names(struct vio_sim *s)
{
	size_t n = 0;

	mutex_lock(&s->mu);
	for (struct sim_nameop *op = s->disk.pending; op != NULL; op = op->next)
		n++;
	mutex_unlock(&s->mu);
	return n;
}

/* Where the second half of its sectors begins. */
static size_t half_of(const struct sim_op *op)
{
	uint64_t first = op->off / SECTOR;
	uint64_t n = (op->off + op->n - 1) / SECTOR - first + 1;
	uint64_t at = (first + n / 2) * SECTOR;

	return at > op->off ? (size_t)(at - op->off) : 0;
}

static void noise(struct sim_image *img, const struct sim_op *op)
{
	size_t at = half_of(op);
	size_t n = op->n - at < SECTOR ? op->n - at : SECTOR;
	uint8_t b[SECTOR];

	for (size_t i = 0; i < n; i++)
		b[i] = op->b[at + i] ^ (uint8_t)(0x5a + i * 7);
	sim_image_write(img, op->b, op->n, op->off);
	sim_image_write(img, b, n, op->off + at);
}

static void write_as(struct sim_image *img, const struct sim_op *op,
		     enum sim_fate fate)
{
	size_t half = half_of(op);

	switch (fate) {
	case SIM_KEPT:
		sim_image_write(img, op->b, op->n, op->off);
		break;
	case SIM_HEAD:
		sim_image_write(img, op->b, half, op->off);
		break;
	case SIM_TAIL:
		sim_image_write(img, op->b + half, op->n - half,
				op->off + half);
		break;
	case SIM_NOISE:
		noise(img, op);
		break;
	case SIM_SIZE:
		if (op->off + op->n > img->size)
			sim_image_truncate(img, op->off + op->n);
		break;
	default:
		break;
	}
}

static size_t file_as(struct sim_node *n, const uint8_t *fate, size_t at)
{
	for (struct sim_op *op = n->ops; op != NULL; op = op->next) {
		enum sim_fate f = fate != NULL ? fate[at] : SIM_KEPT;

		at++;
		if (op->kind == SIM_OP_WRITE)
			write_as(&n->durable, op, f);
		else if (f == SIM_KEPT)
			sim_image_truncate(&n->durable, op->off);
	}
	sim_ops_free(n);
	sim_image_copy(&n->now, &n->durable);
	return at;
}

void vio_sim_crash_as(struct vio_sim *s, const uint8_t *fate, size_t names)
{
	struct sim_disk *d = &s->disk;
	size_t at = 0;

	mutex_lock(&s->mu);
	for (struct sim_node *n = d->nodes; n != NULL; n = n->next)
		if (!n->is_dir)
			at = file_as(n, fate, at);
	sim_disk_crash_names(d, names);
	vio_sim_forget_locked(s);
	mutex_unlock(&s->mu);
}

static uint64_t image_hash(const struct sim_image *img)
{
	uint64_t h = img->size;

	for (uint64_t i = 0; i < img->npages; i++) {
		uint64_t page = sim_image_page_hash(img, i);

		if (page != SIM_PAGE_ZERO)
			h = (h + i) * 0x9e3779b97f4a7c15ULL ^ page;
	}
	return h;
}

/*
 * Names do not count by their order.  What is in a file called lock is the
 * number of a process: the hash is the same in the next run.
 */
static uint64_t tree_hash(const struct sim_node *n)
{
	uint64_t sum = 1;

	if (!n->is_dir)
		return image_hash(&n->now);
	for (size_t i = 0; i < n->now_dir.n; i++) {
		const struct sim_name *e = &n->now_dir.v[i];

		sum += XXH3_64bits_withSeed(
			e->name, strlen(e->name),
			strcmp(e->name, "lock") == 0 ? 1 : tree_hash(e->node));
	}
	return sum;
}

uint64_t vio_sim_hash(struct vio_sim *s)
{
	uint64_t h;

	mutex_lock(&s->mu);
	h = tree_hash(s->disk.root);
	mutex_unlock(&s->mu);
	return h;
}
