/*
 * dirty.c - see dirty.h.
 *
 * A writer that waits is woken by every buffer that goes, and looks again on
 * its own every 100 ms, so that a lost race costs time and never a hang.
 * `failed` is soft: it is taken back as soon as bytes can be stored again.
 */
#include "fs/content/dirty.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/store/store.h"

enum { WAIT_NS = 100000000, FAIL_ROUNDS = 10, PAGE = 4096 };

/* What is reserved beyond the bytes: record headers, nodes, entries. */
static uint64_t with_overhead(uint64_t cap)
{
	return cap + cap / 16 + 2048;
}

void dirty_init(struct dirty *d, struct store *store, uint64_t max,
		void (*press)(void *ctx), void *ctx)
{
	*d = (struct dirty){
		.max = max, .store = store, .press = press, .ctx = ctx
	};
	mutex_init(&d->mu);
	cond_init(&d->room);
}

void dirty_release(struct dirty *d)
{
	assert(d->bytes == 0 && d->waiting == 0);
	dirty_rest(d);
	cond_destroy(&d->room);
	mutex_destroy(&d->mu);
}

static bool full(const struct dirty *d, size_t cap, uint64_t max)
{
	return d->bytes > 0 && d->bytes + cap > max;
}

/*
 * Has room made and waits a while for it.  Where that failed before, waits for
 * another try; the error when it failed again and made no room.
 */
static int wait_locked(struct dirty *d, size_t cap,
		       uint64_t max) no_thread_safety_analysis
{
	uint64_t tries = d->tries;
	int before = d->failed;
	int rounds = before < 0 ? FAIL_ROUNDS : 1;

	d->waiting++;
	mutex_unlock(&d->mu);
	d->press(d->ctx);
	mutex_lock(&d->mu);
	while (rounds-- > 0 && full(d, cap, max) &&
	       (before == 0 || d->tries == tries))
		cond_timedwait_ns(&d->room, &d->mu, WAIT_NS);
	d->waiting--;
	return before < 0 && full(d, cap, max) ? d->failed : 0;
}

/* Reserves the space, waits until `cap` bytes fit below the limit. */
static int charge(struct dirty *d, size_t cap, uint64_t held)
{
	uint64_t max = held > d->max / 8 ? d->max - d->max / 4 : d->max;
	int rc = store_reserve(d->store, with_overhead(cap));

	if (rc < 0)
		return rc;
	mutex_lock(&d->mu);
	while (rc == 0 && full(d, cap, max))
		rc = wait_locked(d, cap, max);
	if (rc == 0)
		d->bytes += cap;
	mutex_unlock(&d->mu);
	if (rc < 0)
		store_unreserve(d->store, with_overhead(cap));
	return rc;
}

static void uncharge(struct dirty *d, size_t cap)
{
	mutex_lock(&d->mu);
	assert(d->bytes >= cap);
	d->bytes -= cap;
	if (d->waiting > 0)
		cond_broadcast(&d->room);
	mutex_unlock(&d->mu);
	store_unreserve(d->store, with_overhead(cap));
}

/* --- the buffers --- */

static struct dirty_buf *buf_new(struct dirty *d, size_t cap)
{
	struct dirty_buf *b = malloc(sizeof(*b) + cap);

	if (!b)
		return NULL;
	*b = (struct dirty_buf){ .owner = d, .refs = 1, .cap = (uint32_t)cap };
	b->p = (uint8_t *)(b + 1);
	return b;
}

/* The bytes begin with a page: the kernel copies whole pages into them. */
static struct dirty_buf *stream_new(void)
{
	struct dirty_buf *b = malloc(sizeof(*b) + DIRTY_BEFORE + PAGE +
				     DIRTY_STREAM + DIRTY_BEHIND);
	size_t to_page = 0;

	if (!b)
		return NULL;
	b->p = (uint8_t *)(b + 1) + DIRTY_BEFORE;
	to_page = (PAGE - (uintptr_t)b->p % PAGE) % PAGE;
	b->p += to_page;
	return b;
}

struct dirty_buf *dirty_spare(struct dirty *d)
{
	struct dirty_buf *b = NULL;

	mutex_lock(&d->mu);
	d->streams++;
	b = d->kept;
	if (b) {
		d->kept = b->next;
		d->n_kept--;
	}
	mutex_unlock(&d->mu);
	if (!b)
		b = stream_new();
	if (b)
		*b = (struct dirty_buf){
			.owner = d, .refs = 1, .cap = DIRTY_STREAM, .p = b->p
		};
	return b;
}

void dirty_spare_free(struct dirty *d, struct dirty_buf *b)
{
	if (!b)
		return;
	mutex_lock(&d->mu);
	if (d->n_kept < DIRTY_KEPT) {
		b->next = d->kept;
		d->kept = b;
		d->n_kept++;
		b = NULL;
	}
	mutex_unlock(&d->mu);
	free(b);
}

void dirty_rest(struct dirty *d)
{
	struct dirty_buf *b = NULL;

	mutex_lock(&d->mu);
	b = d->kept;
	d->kept = NULL;
	d->n_kept = 0;
	mutex_unlock(&d->mu);
	while (b) {
		struct dirty_buf *next = b->next;

		free(b);
		b = next;
	}
}

int dirty_get(struct dirty *d, struct dirty_buf **out, size_t cap,
	      uint64_t held)
{
	int rc = charge(d, cap, held);

	*out = NULL;
	assert(cap > 0 && cap <= UINT32_MAX);
	if (rc < 0)
		return rc;
	*out = cap == DIRTY_STREAM ? dirty_spare(d) : buf_new(d, cap);
	if (!*out)
		uncharge(d, cap);
	return *out ? 0 : -ENOMEM;
}

int dirty_adopt(struct dirty *d, struct dirty_buf *b, uint64_t held)
{
	int rc = charge(d, b->cap, held);

	assert(b->owner == d && b->refs == 1 && b->cap == DIRTY_STREAM);
	if (rc < 0)
		dirty_spare_free(d, b);
	return rc;
}

void dirty_ref(struct dirty_buf *b)
{
	assert(b->refs > 0);
	b->refs++;
}

void dirty_put(struct dirty_buf *b)
{
	struct dirty *d = NULL;
	size_t cap = 0;

	if (!b)
		return;
	assert(b->refs > 0);
	if (--b->refs > 0)
		return;
	assert(b->pins == 0);
	d = b->owner;
	cap = b->cap;
	if (cap == DIRTY_STREAM)
		dirty_spare_free(d, b);
	else
		free(b);
	uncharge(d, cap);
}

uint64_t dirty_bytes(struct dirty *d)
{
	uint64_t n = 0;

	mutex_lock(&d->mu);
	n = d->bytes;
	mutex_unlock(&d->mu);
	return n;
}

uint64_t dirty_streams(struct dirty *d)
{
	uint64_t n = 0;

	mutex_lock(&d->mu);
	n = d->streams;
	mutex_unlock(&d->mu);
	return n;
}

bool dirty_pressed(struct dirty *d)
{
	bool yes = false;

	mutex_lock(&d->mu);
	yes = d->bytes > d->max / 2 || (d->waiting > 0 && d->bytes > 0);
	mutex_unlock(&d->mu);
	return yes;
}

void dirty_fail(struct dirty *d, int rc)
{
	mutex_lock(&d->mu);
	d->failed = rc;
	d->tries++;
	if (d->waiting > 0)
		cond_broadcast(&d->room);
	mutex_unlock(&d->mu);
}
