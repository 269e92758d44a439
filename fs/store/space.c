/*
 * space.c - promises of room on the store's disk.  See space.h.
 */
#include "fs/store/space.h"

#include <errno.h>

#include "base/vio.h"

enum { RESERVE_SHIFT = 5, MARGIN_SHIFT = 7, SLICES = 8 };
enum { ENTRY_BYTES = 64 << 10 }; /* one, with a value that is a chunk */
enum { REFUSED_MAX = 6 };	 /* doublings of GROW_NS: 32 s */
enum { ASK_INTERVAL_NS = 100 * 1000 * 1000, GROW_MIN = 1 << 20 };
#define RESERVE_MIN (4ULL << 20)
#define RESERVE_MAX (32ULL << 20)
#define NEAR_BYTES (256ULL << 20) /* so little is nearly full */
#define GROW_NS 500000000LL

void space_init(struct space *s, struct vio *vio)
{
	*s = (struct space){ .vio = vio };
	mutex_init(&s->mu);
	ballast_init(&s->ballast, vio);
}

void space_release(struct space *s)
{
	ballast_release(&s->ballast);
	mutex_destroy(&s->mu);
}

void space_set_debt(struct space *s, const struct space_debt *debt)
{
	mutex_lock(&s->mu);
	s->debt = *debt;
	mutex_unlock(&s->mu);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t reserve_of(uint64_t total)
{
	uint64_t part = total >> RESERVE_SHIFT;

	if (part < RESERVE_MIN)
		part = least(RESERVE_MIN, total / 4);
	return least(part, RESERVE_MAX);
}

static uint64_t floor_of(uint64_t total, enum space_for what)
{
	uint64_t reserve = reserve_of(total);

	switch (what) {
	case SPACE_CHANGE:
		return reserve / 4 * 3;
	case SPACE_REMOVE:
		return reserve / 2;
	case SPACE_COLLECT:
		return reserve / 4;
	case SPACE_ADD:
	default:
		return reserve + least(total >> MARGIN_SHIFT, RESERVE_MAX);
	}
}

/* The figures are at most ASK_INTERVAL_NS old, or of now. */
static int refresh_locked(struct space *s, bool now_only)
	requires_capability(&s->mu)
{
	int64_t now = vio_mono_ns(s->vio);
	struct vio_space sp = { 0 };
	int rc;

	if (!now_only && s->asked_ns != 0 &&
	    now - s->asked_ns < ASK_INTERVAL_NS)
		return 0;
	rc = vio_space(s->vio, &sp);
	if (rc < 0)
		return rc;
	s->total = sp.total_bytes;
	s->free = sp.free_bytes + ballast_held(&s->ballast);
	s->written = 0;
	s->asked_ns = now;
	return 0;
}

/* Are `bytes` more within the bound? */
static bool fits_locked(const struct space *s, uint64_t bytes, uint64_t owed,
			enum space_for what) requires_capability(&s->mu)
{
	uint64_t need = bytes;

	return !__builtin_add_overflow(need, s->promised, &need) &&
	       !__builtin_add_overflow(need, s->written, &need) &&
	       !__builtin_add_overflow(need, owed, &need) &&
	       !__builtin_add_overflow(need, floor_of(s->total, what), &need) &&
	       need <= s->free;
}

/* What was promised to writers keeps nobody from removing names. */
static bool may_locked(const struct space *s, uint64_t owed,
		       enum space_for what) requires_capability(&s->mu)
{
	uint64_t need = owed + s->written + floor_of(s->total, what);

	return need <= s->free;
}

struct ask {
	uint64_t bytes;
	enum space_for what;
	bool entry;   /* nothing is promised */
	bool patient; /* may wait until what is owed has settled */
};

/* So little is free that others could take it before what is owed does. */
static bool heavy_locked(const struct space *s, uint64_t owed,
			 enum space_for what) requires_capability(&s->mu)
{
	return what == SPACE_ADD && s->free <= NEAR_BYTES &&
	       owed > reserve_of(s->total) / 4;
}

/* 1: ask again once what is owed has settled. */
static int ask_locked(struct space *s, const struct ask *a, uint64_t owed)
	requires_capability(&s->mu)
{
	bool fits = false, now = false;
	int rc = 0;

	for (;; now = true) {
		rc = refresh_locked(s, now);
		if (rc < 0) /* nobody is kept from removing by that */
			return a->what == SPACE_ADD ? rc : 0;
		fits = a->entry && a->what != SPACE_ADD ?
			       may_locked(s, owed, a->what) :
			       fits_locked(s, a->bytes, owed, a->what);
		if (now || (fits && s->free > NEAR_BYTES))
			break;
	}
	if (a->patient && owed > 0 && (!fits || heavy_locked(s, owed, a->what)))
		return 1;
	if (fits && !a->entry)
		s->promised += a->bytes;
	return fits ? 0 : -ENOSPC;
}

static int ask(struct space *s, struct ask a)
{
	int rc = 0;

	for (int tries = 0; tries < 3; tries++) {
		struct space_debt debt;
		uint64_t owed;

		mutex_lock(&s->mu);
		debt = s->debt;
		mutex_unlock(&s->mu);
		owed = debt.owed ? debt.owed(debt.ctx) : 0;
		a.patient = a.patient && tries < 2;
		mutex_lock(&s->mu);
		rc = ask_locked(s, &a, owed);
		mutex_unlock(&s->mu);
		if (rc <= 0)
			break;
		debt.press(debt.ctx);
	}
	return rc;
}

int space_reserve(struct space *s, uint64_t bytes)
{
	return ask(s, (struct ask){ .bytes = bytes,
				    .what = SPACE_ADD,
				    .patient = true });
}

int space_reserve_gc(struct space *s, uint64_t bytes)
{
	return ask(s, (struct ask){ .bytes = bytes, .what = SPACE_COLLECT });
}

int space_may(struct space *s, enum space_for what)
{
	return ask(s, (struct ask){ .bytes = ENTRY_BYTES,
				    .what = what,
				    .entry = true,
				    .patient = true });
}

void space_unreserve(struct space *s, uint64_t bytes)
{
	mutex_lock(&s->mu);
	s->promised -= bytes < s->promised ? bytes : s->promised;
	mutex_unlock(&s->mu);
}

int space_left(struct space *s, uint64_t *out)
{
	struct space_debt debt;
	uint64_t owed, taken;
	int rc;

	mutex_lock(&s->mu);
	debt = s->debt;
	mutex_unlock(&s->mu);
	owed = debt.owed ? debt.owed(debt.ctx) : 0;
	mutex_lock(&s->mu);
	rc = refresh_locked(s, false);
	taken = s->promised + s->written + owed + floor_of(s->total, SPACE_ADD);
	*out = s->free > taken ? s->free - taken : 0;
	mutex_unlock(&s->mu);
	return rc;
}

void space_wrote(struct space *s, uint64_t bytes)
{
	mutex_lock(&s->mu);
	s->written += bytes;
	mutex_unlock(&s->mu);
}

void space_changed(struct space *s)
{
	mutex_lock(&s->mu);
	s->asked_ns = 0;
	mutex_unlock(&s->mu);
}

/* --- the ballast --- */

uint64_t space_reserve_bytes(struct space *s)
{
	uint64_t reserve = 0;

	mutex_lock(&s->mu);
	if (s->total > 0 || refresh_locked(s, false) == 0)
		reserve = reserve_of(s->total);
	mutex_unlock(&s->mu);
	return reserve;
}

bool space_relieve(struct space *s, int what)
{
	uint64_t reserve = space_reserve_bytes(s);
	uint64_t held = ballast_held(&s->ballast);
	uint64_t keep = held - least(held, reserve / SLICES + 1);
	uint64_t bound = what == SPACE_SETTLE  ? 0 :
			 what == SPACE_COLLECT ? reserve / 4 :
			 what == SPACE_REMOVE  ? reserve / 2 :
						 reserve;

	if (keep < bound)
		keep = bound;
	if (!ballast_shed(&s->ballast, keep))
		return false;
	space_changed(s);
	return true;
}

void space_tick(struct space *s)
{
	struct vio_space sp = { 0 };
	uint64_t held = ballast_held(&s->ballast), reserve, most, taken;
	struct space_debt debt;
	int64_t now = vio_mono_ns(s->vio);
	bool due, refused = false;

	mutex_lock(&s->mu);
	debt = s->debt;
	taken = s->promised;
	due = (s->total == 0 || held < reserve_of(s->total)) &&
	      (s->grown_ns == 0 ||
	       now - s->grown_ns >= GROW_NS << least(s->refused, REFUSED_MAX));
	if (due)
		s->grown_ns = now;
	mutex_unlock(&s->mu);
	if (!due || vio_space(s->vio, &sp) < 0)
		return;
	reserve = reserve_of(sp.total_bytes);
	taken += debt.owed ? debt.owed(debt.ctx) : 0;
	taken += least(sp.total_bytes >> MARGIN_SHIFT, RESERVE_MAX) / 2;
	most = sp.free_bytes > taken ? held + sp.free_bytes - taken : 0;
	most = least(most, reserve);
	if (most > held && (most == reserve || most - held >= GROW_MIN)) {
		ballast_grow(&s->ballast, most);
		refused = ballast_held(&s->ballast) < most;
	}
	mutex_lock(&s->mu);
	/* of a quota the free space tells nothing: ever more rarely */
	s->refused = refused ? s->refused + 1 : 0;
	mutex_unlock(&s->mu);
	space_changed(s);
}

void space_make_room(struct vio *vio)
{
	struct vio_space sp = { 0 };

	if (vio_space(vio, &sp) == 0 &&
	    sp.free_bytes < reserve_of(sp.total_bytes))
		ballast_drop(vio);
}
