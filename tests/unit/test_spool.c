/*
 * test_spool.c - rendered bytes, in memory and in a file.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "analytics/spool.h"
#include "base/err.h"
#include "tests/sim/tmp.h"

static void fill(struct spool *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char line[8] = { (char)('a' + i % 26), (char)('A' + i % 7) };

		spool_add(s, line, sizeof(line));
	}
}

static void check(const struct spool *s, size_t n)
{
	cr_assert_eq(s->size, n * 8);
	for (size_t i = 0; i < n; i += 997) {
		char got[8];

		cr_assert_eq(spool_read(s, got, 8, i * 8), 8);
		cr_assert_eq(got[0], (char)('a' + i % 26));
		cr_assert_eq(got[1], (char)('A' + i % 7));
	}
}

Test(spool, reads_back_what_stays_in_memory)
{
	struct spool s;
	char got[8];

	spool_init(&s, "/nonexistent", 0);
	fill(&s, 100);
	cr_assert_eq(spool_end(&s), 0);
	check(&s, 100);
	cr_assert_eq(spool_read(&s, got, 8, 800), 0);
	cr_assert_eq(spool_read(&s, got, 8, 796), 4);
	spool_release(&s);
}

Test(spool, reads_back_what_went_to_a_file)
{
	struct tmp t;
	struct spool s;

	tmp_init(&t);
	spool_init(&s, t.path, 0);
	fill(&s, 500000);
	cr_assert_eq(spool_end(&s), 0);
	cr_assert(s.fd >= 0);
	check(&s, 500000);
	spool_release(&s);
	tmp_release(&t);
}

Test(spool, refuses_more_than_the_limit)
{
	struct spool s;

	spool_init(&s, "/nonexistent", 100);
	fill(&s, 12);
	cr_assert_eq(s.rc, 0);
	fill(&s, 1);
	cr_assert_eq(spool_end(&s), -ERR_LIMIT);
	spool_release(&s);
}

Test(spool, tells_that_there_is_no_place_for_a_file)
{
	struct spool s;

	spool_init(&s, "/nonexistent", 0);
	fill(&s, 500000);
	cr_assert_lt(spool_end(&s), 0);
	spool_release(&s);
}
