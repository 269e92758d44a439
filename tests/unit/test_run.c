/*
 * test_run.c - to which run a process belongs: each rule, which of them goes
 * first, and what may not be claimed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/core/actor_proc.h"
#include "fs/run/run_group.h"
#include "fs/run/run_guard.h"
#include "fs/run/run_limit.h"
#include "fs/run/run_of.h"
#include "fs/run/run_table.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccc"
#define GROUP_A "/user/vouch-run-" HEX_A
#define GROUP_B GROUP_A "/vouch-run-" HEX_B

static uint8_t id_a[RUN_ID_SIZE], id_b[RUN_ID_SIZE], id_c[RUN_ID_SIZE];

/* A (wrapper 100), B in it (wrapper 200), C without a cgroup (wrapper 300). */
static struct run_table *table(void)
{
	struct run_table *t = NULL;

	memset(id_a, 0xaa, sizeof(id_a));
	memset(id_b, 0xbb, sizeof(id_b));
	memset(id_c, 0xcc, sizeof(id_c));
	const struct run_table_new runs[] = {
		{ .id = id_a,
		  .uid = 1000,
		  .wrapper = 100,
		  .wrapper_start = 7,
		  .cgroup = GROUP_A },
		{ .id = id_b,
		  .uid = 1000,
		  .wrapper = 200,
		  .wrapper_start = 8,
		  .cgroup = GROUP_B },
		{ .id = id_c, .uid = 1000, .wrapper = 300, .wrapper_start = 9 },
	};

	cr_assert_eq(run_table_open(&t), 0);
	cr_assert(!run_table_any(t) && !run_table_marks(t));
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(run_table_add(t, &runs[i]), 0);
	cr_assert(run_table_any(t) && run_table_marks(t));
	return t;
}

static struct run_table *shared;

/* The run as a letter and how; "-" is none. */
static const char *answer(const struct run_of_seen *seen)
{
	static char text[32];
	uint8_t id[RUN_ID_SIZE] = { 0 };
	enum entry_run_how how = run_of_seen(shared, id, seen);

	if (how == ENTRY_RUN_UNKNOWN)
		return "-";
	snprintf(text, sizeof(text), "%c %s",
		 memcmp(id, id_a, sizeof(id)) == 0 ? 'A' :
		 memcmp(id, id_b, sizeof(id)) == 0 ? 'B' :
						     'C',
		 entry_run_how_word(how));
	return text;
}

Test(run_of, the_first_rule_that_holds)
{
	shared = table();
	const struct {
		const char *want;
		struct run_of_seen seen;
	} cases[] = {
		{ "-", { .cgroup = "/" } },
		{ "-", { .cgroup = "" } },
		{ "-", { .cgroup = NULL } },
		{ "-", { .cgroup = "/user/vouch-run-" } },
		{ "A cgroup", { .cgroup = GROUP_A } },
		{ "A cgroup", { .cgroup = GROUP_A "/container/x" } },
		{ "B cgroup", { .cgroup = GROUP_B } },
		/* the innermost one that is known */
		{ "B cgroup", { .cgroup = GROUP_B "/vouch-run-" HEX_C } },
		{ "B cgroup", { .cgroup = GROUP_B "/vouch-run-" HEX_A "/y" } },
		/* elsewhere anybody may make a cgroup of that name */
		{ "-", { .cgroup = "/other/vouch-run-" HEX_A } },
		{ "-", { .cgroup = "/user/vouch-run-" HEX_C } },
		{ "-", { .cgroup = "/user/vouch-run-" HEX_A "a" } },
		{ "-", { .cgroup = "/user/Vouch-run-" HEX_A } },
		/* the cgroup goes before the parent */
		{ "B cgroup",
		  { .cgroup = GROUP_B,
		    .parent_run = id_a,
		    .parent_how = ENTRY_RUN_CGROUP } },
		/* a wrapper's child, whatever the wrapper belongs to */
		{ "C ancestry", { .parent = 300, .parent_start = 9 } },
		{ "C ancestry",
		  { .parent = 300,
		    .parent_start = 9,
		    .parent_run = id_a,
		    .parent_how = ENTRY_RUN_CGROUP } },
		{ "-", { .parent = 300, .parent_start = 10 } },
		{ "-", { .parent = 301, .parent_start = 9 } },
		/* no surer than the parent */
		{ "A ancestry",
		  { .parent_run = id_a, .parent_how = ENTRY_RUN_CGROUP } },
		{ "A ancestry",
		  { .parent_run = id_a, .parent_how = ENTRY_RUN_ANCESTRY } },
		{ "A marker",
		  { .parent_run = id_a, .parent_how = ENTRY_RUN_MARKER } },
		/* what nobody declared is not handed on */
		{ "-", { .parent_run = id_a, .parent_how = ENTRY_RUN_GROUP } },
		{ "-",
		  { .parent_run = id_a, .parent_how = ENTRY_RUN_UNKNOWN } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(answer(&cases[i].seen), cases[i].want,
				 "case %zu: %s, not %s", i,
				 answer(&cases[i].seen), cases[i].want);
	run_table_close(shared);
}

/* A guarded run, its wrapper 100, and one in it that ends at once. */
static struct run_table *guarded_table(void)
{
	struct run_guard *g = run_guard_new(NULL, NULL);
	const struct run_table_new outer = {
		.id = id_a,
		.uid = 1000,
		.wrapper = 100,
		.wrapper_start = 7,
		.cgroup = GROUP_A,
		.guard = g,
	};
	const struct run_table_new inner = {
		.id = id_b,
		.uid = 1000,
		.wrapper = 200,
		.wrapper_start = 8,
		.cgroup = GROUP_B,
		.guard = g,
	};
	struct run_table *t = NULL;

	memset(id_a, 0xaa, sizeof(id_a));
	memset(id_b, 0xbb, sizeof(id_b));
	cr_assert_eq(run_table_open(&t), 0);
	cr_assert_eq(run_table_add(t, &outer), 0);
	cr_assert_eq(run_table_add(t, &inner), 0);
	run_table_end(t, id_b, false);
	run_guard_drop(g);
	return t;
}

static bool is_guarded(struct run_table *t, const struct run_of_seen *seen)
{
	struct run_guard *g = NULL;

	cr_assert_eq(run_of_guards(t, &g, seen), 0);
	run_guard_drop(g);
	return g != NULL;
}

Test(run_of, a_guard_holds_in_whatever_it_is_inside_of)
{
	struct run_table *t = guarded_table();

	cr_assert(is_guarded(t, &(struct run_of_seen){ .cgroup = GROUP_A }));
	cr_assert(is_guarded(t, &(struct run_of_seen){ .cgroup = GROUP_B }),
		  "the inner one's end frees nobody");
	cr_assert(is_guarded(t, &(struct run_of_seen){ .cgroup = "/other",
						       .parent = 100,
						       .parent_start = 7 }),
		  "a wrapper's child, wherever it was put");
	cr_assert_not(is_guarded(t, &(struct run_of_seen){ .cgroup = "/" }));
	cr_assert_not(is_guarded(
		t, &(struct run_of_seen){ .parent = 100, .parent_start = 8 }));
	run_table_close(t);
}
static enum entry_run_how marked(struct run_table *t, const char *text,
				 uint32_t uid)
{
	uint8_t id[RUN_ID_SIZE];
	enum entry_run_how how = run_of_marker(t, id, text, strlen(text), uid);

	cr_assert(how != ENTRY_RUN_MARKER || memcmp(id, id_c, sizeof(id)) == 0);
	return how;
}

Test(run_of, a_marker_is_believed_of_a_run_of_the_same_user)
{
	struct run_table *t = table();

	cr_assert_eq(marked(t, HEX_C, 1000), ENTRY_RUN_MARKER);
	cr_assert_eq(marked(t, HEX_C, 1001), ENTRY_RUN_UNKNOWN);
	cr_assert_eq(marked(t, HEX_C, 0), ENTRY_RUN_UNKNOWN);
	cr_assert_eq(marked(t, HEX_C "c", 1000), ENTRY_RUN_UNKNOWN);
	cr_assert_eq(marked(t, "", 1000), ENTRY_RUN_UNKNOWN);
	cr_assert_eq(marked(t, "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", 1000),
		     ENTRY_RUN_UNKNOWN);
	cr_assert_eq(marked(t, "dddddddddddddddddddddddddddddddd", 1000),
		     ENTRY_RUN_UNKNOWN);
	/* what is left of it still says so; a run that is over has nothing */
	run_table_end(t, id_c, true);
	cr_assert_eq(marked(t, HEX_C, 1000), ENTRY_RUN_MARKER);
	run_table_close(t);
	t = table();
	run_table_end(t, id_c, false);
	run_table_end(t, id_c, true); /* it ends once */
	cr_assert_eq(marked(t, HEX_C, 1000), ENTRY_RUN_UNKNOWN);
	run_table_close(t);
}

Test(run_table, after_its_end_a_run_keeps_its_cgroup_and_not_its_wrapper)
{
	struct run_table *t = table();
	uint8_t id[RUN_ID_SIZE];

	cr_assert(run_table_of_wrapper(t, id, 100, 7));
	cr_assert_arr_eq(id, id_a, sizeof(id));
	run_table_end(t, id_a, false);
	cr_assert(!run_table_of_wrapper(t, id, 100, 7));
	cr_assert(run_table_in_cgroup(t, id_a, GROUP_A, strlen(GROUP_A)));
	cr_assert(run_table_marks(t));
	run_table_end(t, id_b, false);
	run_table_end(t, id_c, false);
	cr_assert(!run_table_marks(t));
	run_table_close(t);
}

Test(run_table, an_id_is_used_once_and_processes_are_counted)
{
	struct run_table *t = table();
	const struct run_table_new again = { .id = id_a, .uid = 5 };

	cr_assert_eq(run_table_add(t, &again), -EEXIST);
	run_table_end(t, id_a, false);
	cr_assert_eq(run_table_add(t, &again), -EEXIST);
	run_table_count(t, id_b);
	run_table_count(t, id_b);
	cr_assert_eq(run_table_processes(t, id_b), 2);
	cr_assert_eq(run_table_processes(t, id_a), 0);
	run_table_close(t);
}

static void number(uint8_t out[RUN_ID_SIZE], unsigned n)
{
	memset(out, 0, RUN_ID_SIZE);
	memcpy(out, &n, sizeof(n));
}

Test(run_table, is_bounded_and_forgets_the_oldest_that_is_over)
{
	struct run_table *t = NULL;
	uint8_t id[RUN_ID_SIZE];
	struct run_table_new run = { .id = id, .cgroup = "/x" };

	cr_assert_eq(run_table_open(&t), 0);
	for (unsigned i = 0; i < RUN_TABLE_OPEN_MAX; i++) {
		number(id, i);
		cr_assert_eq(run_table_add(t, &run), 0);
	}
	number(id, 1 << 20);
	cr_assert_eq(run_table_add(t, &run), -ENFILE);
	number(id, 0);
	run_table_end(t, id, true); /* LEFT: goes only when nothing is OVER */
	for (unsigned i = 0; i < 2 * RUN_TABLE_MAX; i++) {
		number(id, (1 << 20) + i);
		cr_assert_eq(run_table_add(t, &run), 0);
		run_table_end(t, id, false);
	}
	number(id, 0);
	cr_assert(run_table_in_cgroup(t, id, "/x", 2));
	number(id, 1);
	cr_assert(run_table_in_cgroup(t, id, "/x", 2));
	number(id, 1 << 20);
	cr_assert(!run_table_in_cgroup(t, id, "/x", 2));
	run_table_close(t);
}

/* Runs of a user that have ended, numbered from `from`. */
static void fill_table(struct run_table *t, uint32_t uid, unsigned from,
		       unsigned n, bool left)
{
	uint8_t id[RUN_ID_SIZE];
	const struct run_table_new run = {
		.id = id,
		.uid = uid,
		.cgroup = "/x",
	};

	for (unsigned i = 0; i < n; i++) {
		number(id, from + i);
		cr_assert_eq(run_table_add(t, &run), 0);
		run_table_end(t, id, left);
	}
}

static unsigned count_known(struct run_table *t, unsigned from, unsigned n)
{
	uint8_t id[RUN_ID_SIZE];
	unsigned there = 0;

	for (unsigned i = 0; i < n; i++) {
		number(id, from + i);
		there += run_table_in_cgroup(t, id, "/x", 2);
	}
	return there;
}

Test(run_table, who_has_most_makes_room)
{
	struct run_table *t = NULL;

	cr_assert_eq(run_table_open(&t), 0);
	fill_table(t, 0, 0, 5, true);
	fill_table(t, 0, 100, 5, false);
	fill_table(t, 4343, 200, 5, true);
	fill_table(t, 4242, 10000, 2 * RUN_TABLE_MAX, true);
	cr_assert_eq(count_known(t, 0, 5), 5, "what is left of root's");
	cr_assert_eq(count_known(t, 100, 5), 5);
	cr_assert_eq(count_known(t, 200, 5), 5, "and of another's");
	/* the table is full of his: nobody else pays for it */
	fill_table(t, 0, 300, 5, true);
	fill_table(t, 0, 400, 5, false);
	cr_assert_eq(count_known(t, 0, 500), 25);
	cr_assert_eq(count_known(t, 10000, 2 * RUN_TABLE_MAX),
		     RUN_TABLE_MAX - 25);
	run_table_close(t);
}

Test(run_group, nobody_declares_an_id_of_its)
{
	struct vio *v = NULL;
	struct run_group *g = NULL;
	uint8_t id[RUN_ID_SIZE];

	cr_assert_eq(vio_posix_open(&v, "/"), 0);
	cr_assert_eq(run_group_open(&g, v), 0);
	for (unsigned i = 1; i < 64; i++) {
		cr_assert_eq(run_group_id(g, id, i, 5, i % 2 ? 77 : 0), 0);
		cr_assert(run_id_implicit(id), "group %u", i);
		cr_assert_eq(run_group_id(g, id, i, 5, 0), 0);
		cr_assert(run_id_implicit(id), "remembered group %u", i);
	}
	run_group_close(g);
	vio_free(v);
}

Test(run_group, is_the_same_for_the_same_leader)
{
	struct vio *v = NULL;
	struct run_group *g = NULL, *h = NULL;
	uint8_t a[RUN_ID_SIZE], b[RUN_ID_SIZE];

	cr_assert_eq(vio_posix_open(&v, "/"), 0);
	cr_assert_eq(run_group_open(&g, v), 0);
	cr_assert_eq(run_group_open(&h, v), 0);
	cr_assert_eq(run_group_id(g, a, 10, 5, 77), 0);
	cr_assert_eq(run_group_id(h, b, 10, 5, 77), 0);
	cr_assert_arr_eq(a, b, sizeof(a), "a remount gives the same");
	cr_assert_eq(run_group_id(g, b, 10, 5, 0), 0);
	cr_assert_arr_eq(a, b, sizeof(a), "the leader is gone");
	cr_assert_eq(run_group_id(g, b, 10, 6, 0), 0);
	cr_assert_arr_neq(a, b, sizeof(a), "another session's group");
	cr_assert_eq(run_group_id(g, b, 10, 5, 78), 0);
	cr_assert_arr_neq(a, b, sizeof(a), "the number is another's now");
	cr_assert_eq(run_group_id(g, b, 11, 5, 77), 0);
	cr_assert_arr_neq(a, b, sizeof(a));
	cr_assert_lt(run_group_id(g, b, 0, 0, 77), 0);
	run_group_close(g);
	run_group_close(h);
	vio_free(v);
}

Test(run_group, a_group_that_was_never_seen_with_its_leader_is_one)
{
	struct vio *v = NULL;
	struct run_group *g = NULL;
	uint8_t a[RUN_ID_SIZE], b[RUN_ID_SIZE];

	cr_assert_eq(vio_posix_open(&v, "/"), 0);
	cr_assert_eq(run_group_open(&g, v), 0);
	cr_assert_eq(run_group_id(g, a, 10, 5, 0), 0);
	cr_assert_eq(run_group_id(g, b, 10, 5, 0), 0);
	cr_assert_arr_eq(a, b, sizeof(a));
	cr_assert_eq(run_group_id(g, b, 12, 5, 0), 0);
	cr_assert_arr_neq(a, b, sizeof(a));
	run_group_close(g);
	vio_free(v);
}

Test(actor_proc, the_cgroup_is_the_line_of_version_two)
{
	const struct {
		const char *text, *want;
	} cases[] = {
		{ "0::/a/b\n", "/a/b" },
		{ "9:name=systemd:/x\n4:memory:/y\n0::/\n", "/" },
		{ "4:memory:/0::/y\n", NULL },
		{ "0::/a (deleted)\n", "/a" },
		{ "0::/cut", NULL },
		{ "1:cpu:/x\n0::/cu", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];
		snprintf(text, sizeof(text), "%s", cases[i].text);
		const char *got = actor_proc_parse_cgroup(text, strlen(text));
		cr_expect(cases[i].want ? got && !strcmp(got, cases[i].want) :
					  !got,
			  "case %zu: %s", i, got ? got : "none");
	}
}

Test(actor_proc, the_limit_is_the_hard_one_of_file_locks)
{
	const struct {
		const char *text;
		int rc;
		uint64_t want;
	} cases[] = {
		{ "Limit  Soft Limit  Hard Limit  Units\n"
		  "Max file size  1  2  bytes\n"
		  "Max file locks            unlimited            unlimited"
		  "            locks     \n",
		  0, UINT64_MAX },
		{ "Max file locks            7                    "
		  "4611686018427387904  locks     \n",
		  0, 4611686018427387904ULL },
		{ "Max file locks  5  0  locks\n", 0, 0 },
		{ "Max file locks  5  0  locks", -ERR_FORMAT, 0 },
		{ "Max file locks  5\n", -ERR_FORMAT, 0 },
		{ "Max file locks  \n", -ERR_FORMAT, 0 },
		{ "Max file locks  5  99999999999999999999 locks\n",
		  -ERR_FORMAT, 0 },
		{ "Max file size  1  2  bytes\n", -ERR_FORMAT, 0 },
		{ "", -ERR_FORMAT, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t got = 1;
		int rc = actor_proc_parse_limit(&got, cases[i].text,
						strlen(cases[i].text));

		cr_expect_eq(rc, cases[i].rc, "case %zu: %d", i, rc);
		cr_expect(rc < 0 || got == cases[i].want, "case %zu", i);
	}
}

Test(run_limit, has_the_begin_of_the_id_in_it)
{
	uint8_t id[RUN_ID_SIZE], first[RUN_LIMIT_ID_BYTES];

	for (unsigned i = 0; i < 256; i++) {
		memset(id, (int)(i & 0x7f), sizeof(id));
		id[3] = (uint8_t)(3 * i);
		uint64_t limit = run_limit_of(id);
		/* and so has what is less, of 31 runs inside each other */
		cr_assert(run_limit_id(first, limit - 31 * 65536));
		cr_assert_arr_eq(first, id, sizeof(first));
		cr_assert_lt(limit, (uint64_t)1 << 63);
	}
	cr_assert_not(run_limit_id(first, 77));
	cr_assert_not(run_limit_id(first, UINT64_MAX));
}
