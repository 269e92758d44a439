/*
 * test_content_stream.c - saves beside a stream: each reports the file as it
 * was at a moment after the call began, and what comes later is reported by
 * the next.
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "index/state.h"
#include "tests/sim/content_box.h"
#include "tests/sim/prng.h"

enum { MIB = 1 << 20, STREAM = 48 * MIB, WRITE = 100 * 1000, ROOM = 16 * MIB };

struct stream {
	struct content *c;
	const uint8_t *p;
	atomic_uint_least64_t written;
	unsigned over; /* every so many writes one over what is there */
};

/* What is written over is the same bytes: any moment is a prefix. */
static void stream_main(void *arg)
{
	struct stream *s = arg;
	uint64_t at = 0;
	uint64_t out = 0;

	for (unsigned i = 1; at < STREAM; i++) {
		size_t n = at + WRITE < STREAM ? WRITE : (size_t)(STREAM - at);

		if (s->over && i % s->over == 0)
			cr_assert_eq(content_write(s->c, s->p + at / 2, 10,
						   at / 2, false, 1, &out),
				     0);
		cr_assert_eq(
			content_write(s->c, s->p + at, n, at, false, 1, &out),
			0);
		at += n;
		atomic_store(&s->written, at);
	}
}

/* All reports so far, as a crash would leave them. */
struct reports {
	struct extent_row *v;
	size_t n;
	uint64_t size;
};

static void reports_add(struct reports *r, const struct content_saved *s)
{
	r->v = realloc(r->v, (r->n + s->n + 1) * sizeof(*r->v));
	cr_assert(r->v);
	if (s->n > 0)
		memcpy(r->v + r->n, s->extents, s->n * sizeof(*r->v));
	r->n += s->n;
	r->size = s->size;
}

static void reports_check(const struct reports *r, struct content_box *b,
			  const uint8_t *p)
{
	struct content *c = content_box_new(b);
	autofree uint8_t *q = malloc(MIB);

	cr_assert_eq(content_recover(c, r->v, r->n), 0);
	content_recover_size(c, r->size);
	cr_assert_eq(content_size(c), r->size);
	for (uint64_t at = 0; at < r->size; at += MIB) {
		size_t n = r->size - at < MIB ? (size_t)(r->size - at) : MIB;

		cr_assert_eq(content_read(c, q, n, at), (ssize_t)n);
		cr_assert_eq(memcmp(p + at, q, n), 0, "at %llu",
			     (unsigned long long)at);
	}
	content_close(c);
}

static void save_beside(unsigned over)
{
	struct content_box b = { .sim = NULL };
	autofree uint8_t *p = malloc(STREAM);
	struct stream s = { .p = p, .over = over };
	struct reports r = { .v = NULL };
	struct thread writer = { .running = false };
	struct prng prng = { .seed = 0 };

	cr_assert(p);
	prng_init(&prng, 11);
	prng_bytes(&prng, p, STREAM);
	content_box_init(&b, ROOM);
	s.c = content_box_new(&b);
	cr_assert_eq(thread_start(&writer, "writer", stream_main, &s), 0);
	for (bool last = false; !last;) {
		struct content_saved out = { .extents = NULL };
		uint64_t before = atomic_load(&s.written);

		last = before == STREAM;
		content_box_save(&b, s.c, &out);
		cr_assert(out.size >= before && out.size <= STREAM);
		reports_add(&r, &out);
		content_saved_release(&out);
	}
	thread_join(&writer);
	cr_assert_eq(r.size, (uint64_t)STREAM);
	reports_check(&r, &b, p);
	free(r.v);
	content_close(s.c);
	content_box_release(&b);
}

Test(content_stream, saves_report_all_that_was_there_at_the_call)
{
	save_beside(0);
}

Test(content_stream, saves_report_all_when_the_stream_is_written_over)
{
	save_beside(7);
}

/* A report is a moment's: recovered from it alone, no byte is missing. */
Test(content_stream, each_report_is_a_prefix_of_the_stream)
{
	struct content_box b = { .sim = NULL };
	autofree uint8_t *p = malloc(STREAM);
	struct stream s = { .p = p };
	struct reports r = { .v = NULL };
	struct thread writer = { .running = false };
	struct prng prng = { .seed = 0 };

	cr_assert(p);
	prng_init(&prng, 12);
	prng_bytes(&prng, p, STREAM);
	content_box_init(&b, ROOM);
	s.c = content_box_new(&b);
	cr_assert_eq(thread_start(&writer, "writer", stream_main, &s), 0);
	for (unsigned i = 0; i < 6; i++) {
		struct content_saved out = { .extents = NULL };

		content_box_save(&b, s.c, &out);
		reports_add(&r, &out);
		content_saved_release(&out);
		reports_check(&r, &b, p);
	}
	thread_join(&writer);
	free(r.v);
	content_close(s.c);
	content_box_release(&b);
}

struct press {
	struct content_pool *pool;
	atomic_bool over;
};

static void press_main(void *arg)
{
	struct press *p = arg;

	content_press_work(&p->pool->press);
	atomic_store(&p->over, true);
}

/*
 * Pressure leaves a stream to its own batches, which two threads make, though
 * somebody has entered and none can begin now: it neither waits for him nor
 * takes all that is left of the stream alone.
 */
Test(content_stream, pressure_does_not_take_a_stream)
{
	struct content_box b = { .sim = NULL };
	autofree uint8_t *p = malloc(ROOM);
	struct thread presser = { .running = false };
	struct prng prng = { .seed = 0 };
	struct press press = { .over = false };
	struct content *c = NULL;
	uint64_t at = 0;
	bool over = false;

	cr_assert(p);
	prng_init(&prng, 14);
	prng_bytes(&prng, p, ROOM);
	content_box_init(&b, ROOM);
	c = content_box_new(&b);
	content_enter(c);
	for (size_t i = 0; i < ROOM / 2 + 2 * MIB; i += MIB)
		cr_assert_eq(content_write(c, p + i, MIB, i, false, 1, &at), 0);
	press.pool = b.pool;
	cr_assert_eq(thread_start(&presser, "presser", press_main, &press), 0);
	for (unsigned i = 0; i < 30 * 1000 && !over; i++) {
		usleep(1000);
		over = atomic_load(&press.over);
	}
	content_leave(c);
	thread_join(&presser);
	cr_assert(over, "pressure waited for who had entered");
	for (unsigned i = 0; i < 30 * 1000; i++) {
		if (content_pool_dirty(b.pool) <= 2 * MIB)
			break;
		usleep(1000);
	}
	cr_assert(content_pool_dirty(b.pool) <= 2 * MIB,
		  "the leaving did not begin the stream's batches");
	content_close(c);
	content_box_release(&b);
}

/* Where SHA-256 costs more than it may, a stream is not hashed beside. */
Test(content_stream, plain_digest_comes_later_where_it_costs_too_much)
{
	struct content_box b = { .digests_later = true };
	autofree uint8_t *p = malloc(3 * MIB);
	struct prng prng = { .seed = 0 };

	cr_assert(p);
	prng_init(&prng, 13);
	prng_bytes(&prng, p, 3 * MIB);
	content_box_init(&b, 0);
	for (size_t n = MIB; n <= 3 * MIB; n += MIB) {
		struct content *c = content_box_new(&b);
		struct content_version v = { .gen = 0 };
		struct digest want;
		struct digest later;
		uint64_t at = 0;

		for (size_t i = 0; i < n; i += MIB / 4)
			cr_assert_eq(content_write(c, p + i, MIB / 4, i, false,
						   1, &at),
				     0);
		content_box_version(&b, c, &v);
		digest_sha256(&want, p, n);
		cr_assert_eq(v.has_sha256, n <= MIB);
		cr_assert(!v.has_sha256 || digest_eq(&want, &v.sha256));
		cr_assert_eq(
			content_sha256(b.pool, &later, &v.root, n, NULL, NULL),
			0);
		cr_assert(digest_eq(&want, &later));
		content_version_release(&v);
		content_close(c);
	}
	content_box_release(&b);
}
