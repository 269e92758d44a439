/*
 * space.c - promises of room on the store's disk.  See space.h.
 */
#include "fs/store/space.h"

#include <errno.h>
#include <stdbool.h>

#include "base/vio.h"

enum { ASK_INTERVAL_NS = 100 * 1000 * 1000, RESERVE_SHIFT = 5 };
#define RESERVE_MAX (64ULL << 20)

void space_init(struct space *s, struct vio *vio)
{
	*s = (struct space){ .vio = vio };
	mutex_init(&s->mu);
}

void space_release(struct space *s)
{
	mutex_destroy(&s->mu);
}

static int ask_locked(struct space *s, int64_t now)
{
	struct vio_space sp = { 0 };
	uint64_t keep = 0;
	int rc = vio_space(s->vio, &sp);

	if (rc < 0)
		return rc;
	keep = sp.total_bytes >> RESERVE_SHIFT;
	if (keep > RESERVE_MAX)
		keep = RESERVE_MAX;
	s->free = sp.free_bytes > keep ? sp.free_bytes - keep : 0;
	s->reserve = sp.free_bytes - s->free;
	s->written = 0;
	s->asked_ns = now;
	return 0;
}

/* The figures are at most ASK_INTERVAL_NS old. */
static int refresh_locked(struct space *s)
{
	int64_t now = vio_mono_ns(s->vio);

	if (s->asked_ns != 0 && now - s->asked_ns < ASK_INTERVAL_NS)
		return 0;
	return ask_locked(s, now);
}

int space_left(struct space *s, uint64_t *out)
{
	int rc;

	mutex_lock(&s->mu);
	rc = refresh_locked(s);
	*out = s->free > s->promised ? s->free - s->promised : 0;
	*out = *out > s->written ? *out - s->written : 0;
	mutex_unlock(&s->mu);
	return rc;
}

static int reserve(struct space *s, uint64_t bytes, bool gc)
{
	uint64_t need = 0;
	int rc;

	mutex_lock(&s->mu);
	rc = refresh_locked(s);
	if (rc == 0 && (__builtin_add_overflow(bytes, s->promised, &need) ||
			__builtin_add_overflow(need, s->written, &need) ||
			need > s->free + (gc ? s->reserve / 2 : 0)))
		rc = -ENOSPC;
	if (rc == 0)
		s->promised += bytes;
	mutex_unlock(&s->mu);
	return rc;
}

int space_reserve(struct space *s, uint64_t bytes)
{
	return reserve(s, bytes, false);
}

int space_reserve_gc(struct space *s, uint64_t bytes)
{
	return reserve(s, bytes, true);
}

void space_unreserve(struct space *s, uint64_t bytes)
{
	mutex_lock(&s->mu);
	s->promised -= bytes < s->promised ? bytes : s->promised;
	mutex_unlock(&s->mu);
}

void space_wrote(struct space *s, uint64_t bytes)
{
	mutex_lock(&s->mu);
	s->written += bytes;
	mutex_unlock(&s->mu);
}
