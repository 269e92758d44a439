/*
 * test_ptable.c - the table against a model, over crashes, faults and damage.
 *
 * The model keeps a picture of the set at every flush; after a crash the
 * table must equal the picture that its mark names, and that must not be
 * older than the last flush that was acknowledged.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ptable.h"
#include "base/thread.h"
#include "base/vio.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"
#include "tests/sim/vio_sim.h"

enum { KEYS = 400, VALUES = 3, SNAPS = 64 };

/* Bit v of there[k]: (key k, value v) is in the set. */
struct picture {
	uint8_t there[KEYS];
};

struct model {
	struct picture now;
	struct picture snap[SNAPS]; /* snap[i]: at the flush with mark i */
	uint64_t attempted;	    /* the newest mark tried */
	uint64_t acknowledged;
};

static uint64_t key_of(unsigned k)
{
	/* Spread, and some of them neighbours. */
	return k % 5 == 0 ? k : (uint64_t)k * 0x9e3779b97f4a7c15u;
}

static struct ptable *open_table(struct vio *v, size_t cache)
{
	struct errmsg em = ERRMSG_INIT;
	struct ptable *t = NULL;
	int rc = ptable_open(&t, v, "t", cache, &em);

	cr_assert_eq(rc, 0, "%s", errmsg_text(&em, rc));
	return t;
}

static int flush_mark(struct ptable *t, uint64_t m)
{
	uint64_t mark[PTABLE_MARKS] = { m, m + 1, m + 2, ~m };

	return ptable_flush(t, mark, NULL);
}

static uint64_t mark_of(struct ptable *t)
{
	uint64_t mark[PTABLE_MARKS];

	ptable_mark(t, mark);
	if (mark[3] != 0)
		cr_assert_eq(mark[3], ~mark[0]);
	return mark[0];
}

/* False negatives and wrong positives both fail. */
static bool equals(struct ptable *t, const struct picture *p)
{
	for (unsigned k = 0; k < KEYS; k++) {
		uint64_t v[8];
		uint8_t bits = 0;
		int n = ptable_get(t, key_of(k), v, 8);

		cr_assert(n >= 0 && n <= VALUES, "key %u: %d", k, n);
		for (int i = 0; i < n; i++) {
			cr_assert_lt(v[i], VALUES);
			bits |= (uint8_t)(1u << v[i]);
		}
		if (bits != p->there[k])
			return false;
	}
	return true;
}

static int random_op(struct ptable *t, struct model *m, struct prng *p)
{
	unsigned k = (unsigned)prng_below(p, KEYS);
	unsigned v = (unsigned)prng_below(p, VALUES);
	int rc;

	if (prng_chance(p, 65)) {
		rc = ptable_put(t, key_of(k), v);
		if (rc == 0)
			m->now.there[k] |= (uint8_t)(1u << v);
	} else {
		rc = ptable_del(t, key_of(k), v);
		if (rc == 0)
			m->now.there[k] &= (uint8_t) ~(1u << v);
	}
	return rc;
}

static int model_flush(struct ptable *t, struct model *m)
{
	int rc;

	m->attempted++;
	cr_assert_lt(m->attempted, SNAPS);
	m->snap[m->attempted] = m->now;
	rc = flush_mark(t, m->attempted);
	if (rc == 0)
		m->acknowledged = m->attempted;
	return rc;
}

Test(ptable, what_was_put_is_found)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_table(vio_sim_vio(s), 1 << 20);
	uint64_t v[2] = { 0 };

	cr_assert_eq(ptable_get(t, 7, v, 2), 0);
	cr_assert_eq(ptable_put(t, 7, 70), 0);
	cr_assert_eq(ptable_put(t, 7, 70), 0);
	cr_assert_eq(ptable_get(t, 7, v, 2), 1);
	cr_assert_eq(v[0], 70);
	cr_assert_eq(ptable_put(t, 7, 71), 0);
	cr_assert_eq(ptable_put(t, 7, 72), 0);
	cr_assert_eq(ptable_get(t, 7, v, 2), 3);
	cr_assert_eq(ptable_del(t, 7, 70), 0);
	cr_assert_eq(ptable_del(t, 7, 71), 0);
	cr_assert_eq(ptable_get(t, 7, v, 2), 1);
	cr_assert_eq(v[0], 72);
	cr_assert_eq(ptable_put(t, 0, 0), 0);
	cr_assert_eq(ptable_put(t, UINT64_MAX, UINT64_MAX), 0);
	cr_assert_eq(ptable_get(t, 0, v, 2), 1);
	cr_assert_eq(ptable_get(t, UINT64_MAX, v, 2), 1);
	cr_assert_eq(v[0], UINT64_MAX);
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable, one_key_may_have_many_values)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_table(vio_sim_vio(s), 0);
	uint64_t v[1000];

	/* More than a page of them, over several runs. */
	for (uint64_t i = 0; i < 1000; i++) {
		cr_assert_eq(ptable_put(t, 5, i), 0);
		cr_assert_eq(ptable_put(t, 4, i), 0);
		cr_assert_eq(ptable_put(t, 6, i), 0);
	}
	cr_assert_eq(ptable_get(t, 5, v, 1000), 1000);
	cr_assert_eq(ptable_get(t, 5, v, 8), 1000);
	for (uint64_t i = 0; i < 1000; i += 2)
		cr_assert_eq(ptable_del(t, 5, i), 0);
	cr_assert_eq(ptable_get(t, 5, v, 1000), 500);
	cr_assert_eq(ptable_get(t, 4, v, 1000), 1000);
	cr_assert_eq(ptable_get(t, 6, v, 1000), 1000);
	cr_assert_eq(ptable_check(t, NULL), 0);
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable, the_mark_and_the_set_survive_closing)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(s);
	struct ptable *t = open_table(v, 0);
	uint64_t out[1];

	cr_assert_eq(mark_of(t), 0);
	for (uint64_t i = 0; i < 5000; i++)
		cr_assert_eq(ptable_put(t, i * 77, i), 0);
	cr_assert_eq(flush_mark(t, 9), 0);
	cr_assert_eq(ptable_put(t, 1, 1), 0);
	ptable_close(t);
	t = open_table(v, 1 << 20);
	cr_assert_eq(mark_of(t), 9);
	cr_assert_eq(ptable_get(t, 1, out, 1), 0);
	for (uint64_t i = 0; i < 5000; i++) {
		cr_assert_eq(ptable_get(t, i * 77, out, 1), 1);
		cr_assert_eq(out[0], i);
	}
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable, a_quiet_flush_costs_one_sync)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_table(vio_sim_vio(s), 1 << 20);
	uint64_t before;

	cr_assert_eq(flush_mark(t, 1), 0);
	before = vio_sim_count(s, VIO_SIM_SYNC | VIO_SIM_SYNCDIR);
	cr_assert_eq(ptable_put(t, 1, 1), 0);
	cr_assert_eq(flush_mark(t, 2), 0);
	cr_assert_eq(vio_sim_count(s, VIO_SIM_SYNC | VIO_SIM_SYNCDIR),
		     before + 1);
	cr_assert_eq(flush_mark(t, 2), 0);
	cr_assert_eq(vio_sim_count(s, VIO_SIM_SYNC | VIO_SIM_SYNCDIR),
		     before + 1);
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable, agrees_with_a_model_over_reopenings)
{
	struct prng p;
	struct vio_sim *s = vio_sim_new(NULL);
	struct model m = { 0 };
	struct ptable *t = open_table(vio_sim_vio(s), 0);

	prng_init(&p, prng_seed("ptable model", 1));
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 500; i++)
			cr_assert_eq(random_op(t, &m, &p), 0);
		cr_assert(equals(t, &m.now));
		cr_assert_eq(model_flush(t, &m), 0);
		if (prng_chance(&p, 50)) {
			ptable_close(t);
			t = open_table(vio_sim_vio(s), 0);
			cr_assert_eq(mark_of(t), m.attempted);
			cr_assert(equals(t, &m.now));
		}
		cr_assert_eq(ptable_check(t, NULL), 0);
	}
	ptable_close(t);
	vio_sim_free(s);
}

static int count_file(void *ctx, const char *name)
{
	(void)name;
	++*(unsigned *)ctx;
	return 0;
}

Test(ptable, no_files_pile_up)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_table(vio_sim_vio(s), 0);
	struct ptable_stats st;
	unsigned files = 0;

	for (uint64_t i = 0; i < 20000; i++) {
		cr_assert_eq(ptable_put(t, i * 0x9e3779b97f4a7c15u, i), 0);
		if (i % 100 == 99)
			cr_assert_eq(flush_mark(t, i), 0);
	}
	ptable_stats(t, &st);
	cr_assert_leq(st.runs, 15);
	cr_assert_eq(flush_mark(t, 1), 0);
	cr_assert_eq(vio_list(vio_sim_vio(s), ".", count_file, &files), 0);
	cr_assert_leq(files, st.runs + 4);
	ptable_close(t);
	cr_assert_eq(ptable_remove(vio_sim_vio(s), "t"), 0);
	files = 0;
	cr_assert_eq(vio_list(vio_sim_vio(s), ".", count_file, &files), 0);
	cr_assert_eq(files, 0);
	vio_sim_free(s);
}

/* Ops with some flushes until the disk stops or `ops` are done. */
static void workload(struct ptable *t, struct model *m, struct prng *p, int ops)
{
	for (int i = 0; i < ops; i++) {
		if (prng_chance(p, 3)) {
			if (model_flush(t, m) < 0)
				return;
		} else if (random_op(t, m, p) < 0) {
			return;
		}
	}
}

static void crash_at(uint64_t n, uint64_t seed, bool kill)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(s);
	struct model m = { 0 };
	struct ptable *t = NULL;
	struct prng p;
	uint64_t mark;

	prng_init(&p, seed);
	t = open_table(v, 0);
	vio_sim_stop_at(s, n);
	workload(t, &m, &p, 700);
	ptable_close(t);
	for (int again = 0; again < 2; again++) {
		if (kill)
			vio_sim_kill(s);
		else
			vio_sim_crash(s, &p);
		t = open_table(v, again ? 1 << 20 : 0);
		mark = mark_of(t);
		cr_assert(mark >= m.acknowledged && mark <= m.attempted,
			  "seed %llu n %llu: mark %llu not in %llu..%llu",
			  (unsigned long long)seed, (unsigned long long)n,
			  (unsigned long long)mark,
			  (unsigned long long)m.acknowledged,
			  (unsigned long long)m.attempted);
		cr_assert(equals(t, &m.snap[mark]),
			  "seed %llu n %llu: differs at mark %llu",
			  (unsigned long long)seed, (unsigned long long)n,
			  (unsigned long long)mark);
		cr_assert_eq(ptable_check(t, NULL), 0);
		/* Go on from there, then crash once more. */
		m.now = m.snap[mark];
		m.attempted = mark;
		m.acknowledged = mark;
		vio_sim_stop_at(s, prng_range(&p, 1, 40));
		workload(t, &m, &p, 200);
		ptable_close(t);
	}
	vio_sim_free(s);
}

Test(ptable, every_crash_leaves_the_set_of_some_flush)
{
	uint64_t seed = prng_seed("ptable crash", 2);

	for (uint64_t n = 1; n < 160; n++)
		for (uint64_t i = 0; i < 8; i++)
			crash_at(n, seed + n * 1000 + i, i % 4 == 0);
}

/* Others put, delete, flush and look while a run is being written. */
struct beside {
	struct ptable *t;
	struct model *m;
	struct prng p;
	bool inside;
	unsigned flushes;
};

static void work_beside(void *ctx, enum vio_sim_class class, const char *path)
{
	struct beside *b = ctx;
	struct ptable_stats st;

	if (b->inside || b->t == NULL || strstr(path, ".run-") == NULL ||
	    !(class & (VIO_SIM_WRITE | VIO_SIM_SYNC)))
		return;
	b->inside = true;
	ptable_stats(b->t, &st);
	/* Memory must not fill up: nobody else is there to empty it. */
	for (int i = 0; i < 8 && st.mem_pairs < 100; i++)
		(void)!random_op(b->t, b->m, &b->p);
	if (prng_chance(&b->p, 50) && b->m->attempted < SNAPS - 2) {
		(void)!model_flush(b->t, b->m);
		b->flushes++;
	}
	b->inside = false;
}

static unsigned crash_beside_at(uint64_t n, uint64_t seed)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct model m = { 0 };
	struct beside b = { .m = &m };
	struct prng p;
	uint64_t mark;

	prng_init(&p, seed);
	prng_init(&b.p, seed + 1);
	b.t = open_table(vio_sim_vio(s), 0);
	vio_sim_set_hook(s, work_beside, &b);
	vio_sim_stop_at(s, n);
	for (int i = 0; i < 700 && m.attempted < SNAPS - 2; i++)
		if ((prng_chance(&p, 3) ? model_flush(b.t, &m) :
					  random_op(b.t, &m, &p)) < 0)
			break;
	vio_sim_set_hook(s, NULL, NULL);
	if (!vio_sim_stopped(s))
		cr_assert(equals(b.t, &m.now));
	ptable_close(b.t);
	vio_sim_crash(s, &p);
	b.t = open_table(vio_sim_vio(s), 0);
	mark = mark_of(b.t);
	cr_assert(mark >= m.acknowledged && mark <= m.attempted,
		  "n %llu: mark %llu", (unsigned long long)n,
		  (unsigned long long)mark);
	cr_assert(equals(b.t, &m.snap[mark]), "n %llu: differs at mark %llu",
		  (unsigned long long)n, (unsigned long long)mark);
	cr_assert_eq(ptable_check(b.t, NULL), 0);
	ptable_close(b.t);
	vio_sim_free(s);
	return b.flushes;
}

Test(ptable, a_crash_beside_a_merge_leaves_the_set_of_some_flush)
{
	uint64_t seed = prng_seed("ptable beside", 5);
	unsigned flushes = 0;

	for (uint64_t n = 1; n < 200; n++)
		for (uint64_t i = 0; i < 6; i++)
			flushes += crash_beside_at(n, seed + n * 1000 + i);
	cr_assert_gt(flushes, 1000);
}

Test(ptable, every_failed_call_leaves_a_table_that_goes_on)
{
	uint64_t seed = prng_seed("ptable fault", 3);
	bool struck = true;

	for (uint64_t n = 1; struck; n++) {
		struct vio_sim *s = vio_sim_new(NULL);
		struct model m = { 0 };
		struct ptable *t = open_table(vio_sim_vio(s), 0);
		struct prng p;

		prng_init(&p, seed);
		vio_sim_fail(s, VIO_SIM_ANY, n, n % 2 ? EIO : ENOSPC, false);
		for (int i = 0; i < 600; i++) {
			int rc = prng_chance(&p, 3) ? model_flush(t, &m) :
						      random_op(t, &m, &p);

			cr_assert(rc == 0 || vio_sim_failed(s));
		}
		struck = vio_sim_failed(s);
		vio_sim_fail(s, 0, 0, EIO, false);
		cr_assert(equals(t, &m.now));
		cr_assert_eq(model_flush(t, &m), 0);
		ptable_close(t);
		vio_sim_crash(s, &p);
		t = open_table(vio_sim_vio(s), 0);
		cr_assert_eq(mark_of(t), m.attempted, "n %llu",
			     (unsigned long long)n);
		cr_assert(equals(t, &m.now));
		ptable_close(t);
		vio_sim_free(s);
	}
}

Test(ptable, a_full_disk_is_an_error_and_no_more)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct model m = { 0 };
	struct ptable *t = open_table(vio_sim_vio(s), 0);
	struct prng p;
	unsigned refused = 0;

	prng_init(&p, 5);
	cr_assert_eq(model_flush(t, &m), 0);
	vio_sim_set_space(s, 20 * 4096);
	for (int i = 0; i < 3000; i++) {
		int rc = random_op(t, &m, &p);

		cr_assert(rc == 0 || rc == -ENOSPC);
		if (i % 100 == 0 && m.attempted < SNAPS - 2) {
			rc = model_flush(t, &m);
			cr_assert(rc == 0 || rc == -ENOSPC);
		}
		refused += rc == -ENOSPC;
	}
	cr_assert_gt(refused, 0);
	cr_assert(equals(t, &m.now));
	vio_sim_set_space(s, UINT64_MAX);
	cr_assert_eq(model_flush(t, &m), 0);
	vio_sim_crash(s, &p);
	ptable_close(t);
	t = open_table(vio_sim_vio(s), 0);
	cr_assert(equals(t, &m.now));
	ptable_close(t);
	vio_sim_free(s);
}

struct names {
	char v[64][64];
	unsigned n;
};

static int add_name(void *ctx, const char *name)
{
	struct names *names = ctx;

	snprintf(names->v[names->n++], 64, "%s", name);
	return names->n == 64;
}

/* Whatever the damage: an error, or the set that the mark names. */
static unsigned damage_is_seen(struct vio_sim *s, const struct model *m)
{
	struct ptable *t = NULL;
	unsigned seen = 0;
	uint64_t mark;
	int rc = ptable_open(&t, vio_sim_vio(s), "t", 0, NULL);

	if (rc < 0) {
		cr_assert_eq(rc, -ERR_CORRUPT);
		/* The way out. */
		cr_assert_eq(ptable_remove(vio_sim_vio(s), "t"), 0);
		t = open_table(vio_sim_vio(s), 0);
		cr_assert_eq(mark_of(t), 0);
		ptable_close(t);
		return 1;
	}
	mark = mark_of(t);
	cr_assert_leq(mark, m->attempted);
	for (unsigned k = 0; k < KEYS; k++) {
		uint64_t v[8];
		uint8_t bits = 0;
		int n = ptable_get(t, key_of(k), v, 8);

		cr_assert(n >= 0 || n == -ERR_CORRUPT);
		seen += n < 0;
		for (int i = 0; i < n; i++)
			bits |= (uint8_t)(1u << v[i]);
		cr_assert(n < 0 || bits == m->snap[mark].there[k]);
	}
	cr_assert_eq(ptable_check(t, NULL), seen > 0 ? -ERR_CORRUPT : 0);
	if (seen > 0) {
		cr_assert_eq(ptable_reset(t, NULL), 0);
		cr_assert_eq(mark_of(t), 0);
	}
	ptable_close(t);
	return seen > 0 || mark < m->attempted;
}

Test(ptable, every_flipped_bit_is_seen)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(s);
	struct model m = { 0 };
	struct names names = { .n = 0 };
	struct ptable *t = open_table(v, 0);
	struct prng p;
	unsigned tried = 0;
	unsigned seen = 0;

	prng_init(&p, prng_seed("ptable flips", 4));
	for (int i = 0; i < 1500; i++) {
		cr_assert_eq(random_op(t, &m, &p), 0);
		if (i % 150 == 149 || i > 1495)
			cr_assert_eq(model_flush(t, &m), 0);
	}
	ptable_close(t);
	cr_assert_eq(vio_list(v, ".", add_name, &names), 0);
	cr_assert_gt(names.n, 3);
	for (unsigned i = 0; i < names.n; i++) {
		struct vio_stat st;
		uint64_t step = 1;

		cr_assert_eq(vio_stat(v, names.v[i], &st), 0);
		if (st.size > 1500)
			step = 37;
		for (uint64_t off = 0; off < st.size; off += step) {
			struct vio_sim *c = vio_sim_clone(s);

			cr_assert_eq(vio_sim_flip(c, names.v[i], off,
						  (unsigned)(off % 8)),
				     0);
			seen += damage_is_seen(c, &m);
			tried++;
			vio_sim_free(c);
		}
	}
	cr_assert_eq(seen, tried, "%u of %u", seen, tried);
	vio_sim_free(s);
}

Test(ptable, missing_and_short_files_are_seen)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(s);
	struct model m = { 0 };
	struct names names = { .n = 0 };
	struct ptable *t = open_table(v, 0);
	struct prng p;

	prng_init(&p, 6);
	workload(t, &m, &p, 1500);
	cr_assert_eq(model_flush(t, &m), 0);
	ptable_close(t);
	cr_assert_eq(vio_list(v, ".", add_name, &names), 0);
	for (unsigned i = 0; i < names.n; i++) {
		struct vio_sim *c = vio_sim_clone(s);
		struct vio_file *f = NULL;

		cr_assert_eq(vio_unlink(vio_sim_vio(c), names.v[i]), 0);
		cr_assert_eq(damage_is_seen(c, &m), 1);
		vio_sim_free(c);
		c = vio_sim_clone(s);
		cr_assert_eq(
			vio_open(vio_sim_vio(c), &f, names.v[i], VIO_WRITE), 0);
		cr_assert_eq(vio_truncate(f, prng_below(&p, 60)), 0);
		vio_close(f);
		cr_assert_eq(damage_is_seen(c, &m), 1);
		vio_sim_free(c);
	}
	vio_sim_free(s);
}

struct walk {
	struct picture p;
	uint64_t last;
};

static int walk_pair(void *ctx, uint64_t key, uint64_t value)
{
	struct walk *w = ctx;

	cr_assert_geq(key, w->last);
	w->last = key;
	for (unsigned k = 0; k < KEYS; k++)
		if (key_of(k) == key) {
			cr_assert_eq(w->p.there[k] & 1u << value, 0);
			w->p.there[k] |= (uint8_t)(1u << value);
		}
	return 0;
}

Test(ptable, each_gives_every_pair_once_in_order)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct model m = { 0 };
	struct walk w = { 0 };
	struct ptable *t = open_table(vio_sim_vio(s), 0);
	struct prng p;

	prng_init(&p, 7);
	for (int i = 0; i < 3000; i++)
		cr_assert_eq(random_op(t, &m, &p), 0);
	cr_assert_eq(ptable_each(t, walk_pair, &w), 0);
	cr_assert_eq(memcmp(&w.p, &m.now, sizeof(m.now)), 0);
	ptable_close(t);
	vio_sim_free(s);
}

Test(ptable, reset_empties_it_for_good)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct ptable *t = open_table(vio_sim_vio(s), 0);
	struct prng p;
	uint64_t v[1];

	prng_init(&p, 8);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(ptable_put(t, i, i), 0);
	cr_assert_eq(flush_mark(t, 5), 0);
	cr_assert_eq(ptable_reset(t, NULL), 0);
	ptable_close(t);
	vio_sim_crash(s, &p);
	t = open_table(vio_sim_vio(s), 0);
	cr_assert_eq(mark_of(t), 0);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(ptable_get(t, i, v, 1), 0);
	ptable_close(t);
	vio_sim_free(s);
}

struct worker {
	struct ptable *t;
	uint64_t first;
	unsigned errors;
};

static void work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t key = (w->first + i) * 0x9e3779b97f4a7c15u;
		uint64_t v[2];

		w->errors += ptable_put(w->t, key, i) < 0;
		w->errors += ptable_get(w->t, key, v, 2) != 1 || v[0] != i;
		if (i % 500 == 0)
			w->errors += flush_mark(w->t, 1) < 0;
	}
}

Test(ptable, threads_see_their_own_puts)
{
	struct tmp tmp;
	struct vio *v = NULL;
	struct ptable *t = NULL;
	struct worker w[4];
	struct thread th[4];

	tmp_init(&tmp);
	cr_assert_eq(vio_posix_open(&v, tmp.path), 0);
	t = open_table(v, 64 << 10);
	for (int i = 0; i < 4; i++) {
		w[i].t = t;
		w[i].first = (uint64_t)i * 1000000;
		w[i].errors = 0;
		cr_assert_eq(thread_start(&th[i], "worker", work, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		thread_join(&th[i]);
		cr_assert_eq(w[i].errors, 0);
	}
	cr_assert_eq(ptable_check(t, NULL), 0);
	ptable_close(t);
	vio_free(v);
	tmp_release(&tmp);
}
