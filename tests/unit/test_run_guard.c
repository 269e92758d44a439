/*
 * test_run_guard.c - guards add up and never lose anything; the table keeps
 * them as long as anybody may be under them; what is told of a denial comes
 * back as it was.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "fs/commit/commit.h"
#include "fs/core/actor.h"
#include "fs/core/actor_proc.h"
#include "fs/core/core_denied.h"
#include "fs/core/core_guard.h"
#include "fs/core/core_internal.h"
#include "fs/run/run_alive.h"
#include "fs/run/run_guard.h"
#include "fs/run/run_peer.h"
#include "fs/run/run_table.h"
#include "ledger/entry.h"
#include "ledger/entry_denied.h"
#include "ledger/entry_run.h"
#include "tests/sim/vol.h"

static struct run_policy *policy_of(const char *lines)
{
	struct run_policy *p = NULL;
	struct buf text = BUF_INIT;

	buf_adds(&text, "vouch-guard-1\n");
	buf_adds(&text, lines);
	cr_assert_eq(run_policy_parse(&p, (char *)text.p, text.n, NULL), 0);
	buf_release(&text);
	return p;
}

static struct run_guard *guard_of(const char *lines, struct run_guard *outer)
{
	struct run_guard *g = run_guard_new(policy_of(lines), outer);

	cr_assert_not_null(g);
	return g;
}

static unsigned look(const struct run_guard *g, const char *path)
{
	return run_guard_look(g, path, strlen(path), false);
}

Test(run_guard, an_inner_one_has_all_of_the_outer)
{
	struct run_guard *a = guard_of("hide x/a\n", NULL);
	struct run_guard *b = guard_of("protect x/b\nread-only\n", a);
	struct run_guard *c = guard_of("", b);

	run_guard_drop(a);
	run_guard_drop(b);
	cr_assert_eq(look(c, "x/a"), RUN_POLICY_HIDDEN);
	cr_assert_eq(look(c, "x/b"), RUN_POLICY_PROTECTED);
	cr_assert_eq(look(c, "x/c"), 0);
	cr_assert(run_guard_read_only(c) && run_guard_hides(c));
	run_guard_drop(c);
	cr_assert_not(run_guard_read_only(NULL) || run_guard_hides(NULL));
	cr_assert_eq(look(NULL, "x/a"), 0);
}

Test(run_guard, joined_ones_say_what_each_says)
{
	struct run_guard *a = guard_of("hide x/a\n", NULL);
	struct run_guard *b = guard_of("protect x/b\n", a);
	struct run_guard *d = guard_of("read-only\n", NULL);
	struct run_guard *j = NULL, *k = NULL;

	cr_assert_eq(run_guard_join(&j, NULL, NULL), 0);
	cr_assert_null(j);
	cr_assert_eq(run_guard_join(&j, NULL, a), 0);
	cr_assert_eq(j, a);
	run_guard_drop(j);
	cr_assert_eq(run_guard_join(&j, a, b), 0);
	cr_assert_eq(j, b, "the one that has the other");
	run_guard_drop(j);
	cr_assert_eq(run_guard_join(&j, b, d), 0);
	cr_assert_eq(look(j, "x/a"), RUN_POLICY_HIDDEN);
	cr_assert_eq(look(j, "x/b"), RUN_POLICY_PROTECTED);
	cr_assert(run_guard_read_only(j));
	cr_assert_eq(run_guard_join(&k, j, a), 0);
	cr_assert_eq(k, j);
	run_guard_drop(k);
	run_guard_drop(j);
	run_guard_drop(a);
	run_guard_drop(b);
	run_guard_drop(d);
}

Test(run_guard, one_that_cannot_be_read_refuses_everything)
{
	struct run_guard *g = run_guard_new(NULL, NULL);

	cr_assert_eq(look(g, ""), RUN_POLICY_HIDDEN | RUN_POLICY_PROTECTED);
	cr_assert_eq(look(g, "a"), RUN_POLICY_HIDDEN | RUN_POLICY_PROTECTED);
	cr_assert(run_guard_read_only(g) && run_guard_hides(g));
	run_guard_drop(g);
}

Test(run_guard, one_that_is_too_deep_refuses_everything)
{
	struct run_guard *g = NULL;

	for (unsigned i = 0; i < 200; i++) {
		struct run_guard *inner = guard_of("protect x/y\n", g);

		run_guard_drop(g);
		g = inner;
	}
	cr_assert_eq(look(g, "a"), RUN_POLICY_HIDDEN | RUN_POLICY_PROTECTED);
	run_guard_drop(g);
}

/* Two that share what is outside, joined, and so on: 2^30 ways up. */
Test(run_guard, one_that_would_take_for_ever_refuses_everything)
{
	struct run_guard *g = NULL;

	for (unsigned i = 0; i < 30; i++) {
		struct run_guard *a = guard_of("protect x/a\n", g);
		struct run_guard *b = guard_of("protect x/b\n", g);

		run_guard_drop(g);
		cr_assert_eq(run_guard_join(&g, a, b), 0);
		run_guard_drop(a);
		run_guard_drop(b);
		if (i == 1)
			cr_assert_eq(look(g, "a"), 0, "few are asked");
	}
	cr_assert_eq(look(g, "a"), RUN_POLICY_HIDDEN | RUN_POLICY_PROTECTED);
	run_guard_drop(g);
}

/* --- the table --- */

static void number(uint8_t id[RUN_ID_SIZE], unsigned i)
{
	memset(id, 0, RUN_ID_SIZE);
	memcpy(id + 1, &i, sizeof(i));
}

static int add(struct run_table *t, unsigned i, struct run_guard *g)
{
	uint8_t id[RUN_ID_SIZE];
	const struct run_table_new run = {
		.id = id,
		.uid = 1000 + i % 2,
		.cgroup = i % 3 ? "/gone" : "/there",
		.guard = g,
	};

	number(id, i);
	return run_table_add(t, &run);
}

static void end(struct run_table *t, unsigned i, bool left)
{
	uint8_t id[RUN_ID_SIZE];

	number(id, i);
	run_table_end(t, id, left);
}

static bool guarded(struct run_table *t, unsigned i)
{
	uint8_t id[RUN_ID_SIZE];
	struct run_guard *g;

	number(id, i);
	g = run_table_guard(t, id);
	run_guard_drop(g);
	return g != NULL;
}

static bool gone(void *ctx, const struct run_table_left *run)
{
	(void)ctx;
	return strcmp(run->cgroup, "/gone") == 0;
}

Test(run_guard, goes_with_the_last_process_of_its_run)
{
	struct run_guard *g = guard_of("read-only\n", NULL);
	struct run_table *t = NULL;

	cr_assert_eq(run_table_open(&t), 0);
	cr_assert_eq(add(t, 1, NULL), 0);
	cr_assert_not(run_table_guarded(t));
	cr_assert_eq(add(t, 2, g), 0);
	cr_assert_eq(add(t, 3, g), 0);
	cr_assert(guarded(t, 2) && guarded(t, 3) && !guarded(t, 1));
	cr_assert(run_table_guards_user(t, 1000));
	cr_assert(run_table_guards_user(t, 1001));
	cr_assert_not(run_table_guards_user(t, 1002));
	end(t, 2, false);
	cr_assert(run_table_guarded(t) && !guarded(t, 2));
	cr_assert_not(run_table_guards_user(t, 1000));
	end(t, 3, true);
	cr_assert(guarded(t, 3), "somebody is left");
	run_table_reap(t, gone, NULL); /* 3 has its cgroup still */
	cr_assert(guarded(t, 3));
	cr_assert_eq(add(t, 4, g), 0);
	end(t, 4, true);
	run_table_reap(t, gone, NULL);
	cr_assert(guarded(t, 3) && !guarded(t, 4));
	run_table_close(t);
	run_guard_drop(g);
}

Test(run_guard, nobody_pushes_one_out_of_the_table)
{
	struct run_guard *g = guard_of("read-only\n", NULL);
	struct run_table *t = NULL;
	unsigned n = 2 * RUN_TABLE_GUARDED_EACH;

	cr_assert_eq(run_table_open(&t), 0);
	for (unsigned i = 0; i < n; i++) {
		cr_assert_eq(add(t, i, g), 0);
		end(t, i, true);
	}
	cr_assert_eq(add(t, n, g), -EMFILE);
	for (unsigned i = n; i < n + 2 * RUN_TABLE_MAX; i++) {
		cr_assert_eq(add(t, i, NULL), 0);
		end(t, i, i % 2);
	}
	for (unsigned i = 0; i < n; i++)
		cr_assert(guarded(t, i), "%u", i);
	run_table_reap(t, gone, NULL);
	cr_assert_eq(add(t, 9 * RUN_TABLE_MAX, g), 0, "there is room again");
	run_table_close(t);
	run_guard_drop(g);
}

/* --- limits --- */

static int try_limited(struct run_table *t, unsigned i, uint32_t uid,
		       uint64_t limit, struct run_guard *g)
{
	uint8_t id[RUN_ID_SIZE];
	const struct run_table_new run = {
		.id = id,
		.uid = uid,
		.guard = g,
		.limit = limit,
	};

	number(id, i);
	return run_table_add(t, &run);
}

static void add_limited(struct run_table *t, unsigned i, uint32_t uid,
			uint64_t limit, struct run_guard *g)
{
	cr_assert_eq(try_limited(t, i, uid, limit, g), 0);
}

Test(run_guard, no_user_takes_all_the_places)
{
	const unsigned ordinary =
		RUN_TABLE_GUARDED_MAX - RUN_TABLE_GUARDED_KEPT;
	struct run_guard *g = guard_of("read-only\n", NULL);
	const uint32_t first = geteuid() + 1000;
	struct run_table *t = NULL;
	unsigned i;

	cr_assert_eq(run_table_open(&t), 0);
	for (i = 0; i < RUN_TABLE_GUARDED_EACH; i++)
		add_limited(t, i, first, 0, g);
	cr_assert_eq(try_limited(t, i, first, 0, g), -EMFILE);
	end(t, 0, true);
	cr_assert_eq(try_limited(t, i, first, 0, g), -EMFILE, "somebody left");
	add_limited(t, RUN_TABLE_MAX, first, 0, NULL);
	end(t, RUN_TABLE_MAX, false);
	for (; i < ordinary; i++)
		add_limited(t, i, first + i / RUN_TABLE_GUARDED_EACH, 0, g);
	cr_assert_eq(try_limited(t, i, first + 99, 0, g), -ENFILE);
	for (; i < RUN_TABLE_GUARDED_MAX; i++)
		add_limited(t, i, i % 2 ? 0 : geteuid(), 0, g);
	cr_assert_eq(try_limited(t, i, 0, 0, g), -ENFILE);
	end(t, 1, false);
	cr_assert_eq(try_limited(t, i, first, 0, g), -ENFILE, "it is kept");
	add_limited(t, i, 0, 0, g);
	run_table_close(t);
	run_guard_drop(g);
}

/* What is said of x/a (hidden by 1), x/b (by 2), x/c (by 3), as letters. */
static const char *under(struct run_table *t, uint64_t limit, uint32_t uid,
			 unsigned told)
{
	static char text[4];
	struct run_guard *g = NULL;
	uint8_t id[RUN_ID_SIZE];
	char *p = text;

	number(id, told);
	cr_assert_eq(
		run_table_guards_of_limit(t, &g, limit, uid, told ? id : NULL),
		0);
	for (char c = 'a'; c <= 'c'; c++) {
		const char path[] = { 'x', '/', c, '\0' };

		if (look(g, path))
			*p++ = c;
	}
	*p = '\0';
	run_guard_drop(g);
	return text;
}

Test(run_guard, a_limit_tells_what_a_process_may_come_from)
{
	struct run_guard *a = guard_of("hide x/a\n", NULL);
	struct run_guard *b = guard_of("hide x/b\n", NULL);
	struct run_guard *r = guard_of("hide x/c\n", NULL);
	struct run_table *t = NULL;
	uint8_t id[RUN_ID_SIZE];

	cr_assert_eq(run_table_open(&t), 0);
	cr_assert_not(run_table_limits(t));
	add_limited(t, 1, 1000, 500, a);
	add_limited(t, 2, 1000, 700, b);
	add_limited(t, 3, 0, 600, r);
	cr_assert(run_table_limits(t));
	cr_assert_str_eq(under(t, 701, 1000, 0), "", "it had less before");
	cr_assert_str_eq(under(t, 700, 1000, 0), "b");
	cr_assert_str_eq(under(t, 501, 1000, 0), "b", "who lowers it");
	cr_assert_str_eq(under(t, 500, 1000, 0), "ab");
	cr_assert_str_eq(under(t, 500, 1000, 1), "", "it is told by more");
	cr_assert_str_eq(under(t, 500, 1000, 2), "ab", "that lies");
	cr_assert_str_eq(under(t, 0, 1000, 0), "ab");
	cr_assert_str_eq(under(t, 500, 1001, 0), "", "another user's");
	cr_assert_str_eq(under(t, 600, 1001, 0), "c", "root's, who changed");
	cr_assert_str_eq(under(t, 599, 1001, 0), "");
	cr_assert(run_table_of_limit(t, id, 700, 1000));
	cr_assert_not(run_table_of_limit(t, id, 700, 1001));
	cr_assert_not(run_table_of_limit(t, id, 699, 1000));
	end(t, 1, false);
	end(t, 2, true);
	cr_assert_str_eq(under(t, 0, 1000, 0), "b");
	end(t, 3, false);
	cr_assert(run_table_limits(t));
	run_table_close(t);
	run_guard_drop(a);
	run_guard_drop(b);
	run_guard_drop(r);
}

Test(run_guard, a_run_is_alive_while_a_limit_says_so)
{
	struct run_alive_limit v[] = { { 1000, 500 }, { 1001, 80 } };
	struct run_alive_limits l = { .v = v, .n = 2 };
	struct run_guard *g = guard_of("hide x/a\n", NULL);
	struct run_table *t = NULL;

	cr_assert(run_alive_under(&l, NULL, 1000, 500));
	cr_assert(run_alive_under(&l, NULL, 1000, 700), "it was lowered");
	cr_assert_not(run_alive_under(&l, NULL, 1000, 499));
	cr_assert_not(run_alive_under(&l, NULL, 1002, 700));
	cr_assert(run_alive_under(&l, NULL, 0, 500), "root's, who changed");
	cr_assert_not(run_alive_under(&l, NULL, 0, 501));
	cr_assert_eq(run_table_open(&t), 0);
	add_limited(t, 1, 1000, 500, g);
	cr_assert_not(run_alive_under(&l, t, 1000, 700), "it is another's");
	cr_assert(run_alive_under(&l, t, 1000, 500));
	l.cut = true;
	cr_assert(run_alive_under(&l, t, 1002, 1), "who knows");
	run_table_close(t);
	run_guard_drop(g);
}

Test(run_guard, a_limit_is_read_as_it_was_written)
{
	struct entry_body b = { .kind = ENTRY_RUN_START };
	struct buf tlv = BUF_INIT;

	entry_run_limit_put(&tlv, 0);
	cr_assert_eq(tlv.n, 0);
	cr_assert_eq(entry_run_limit(&b), 0);
	entry_run_limit_put(&tlv, (1ULL << 62) + 5);
	b.extra = (struct entry_tlvs){ tlv.p, tlv.n };
	cr_assert_eq(entry_run_limit(&b), (1ULL << 62) + 5);
	b.kind = ENTRY_RUN_END;
	cr_assert_eq(entry_run_limit(&b), 0);
	buf_release(&tlv);
}

/* --- commands --- */

/* A process that it never was, and nobody, may be the run's. */
Test(run_guard, a_command_of_whoever_is_gone_is_refused)
{
	struct run_guard *g = guard_of("read-only\n", NULL);
	struct run_peer me = {
		.cr = { .uid = getuid(), .pid = (uint32_t)getpid() },
	};
	struct run_peer before, nobody, other; /* who connected */
	struct vol v;

	cr_assert_eq(actor_proc_start(&me.start, me.cr.pid), 0);
	before = nobody = other = me;
	before.start--; /* the number was another's, who connected */
	nobody.cr.pid = other.cr.pid = 0;
	other.cr.uid++;
	vol_init(&v, 1);
	v.actors = true;
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_guard_command(v.core, &nobody), 0);
	add_limited(v.core->runs, 1, getuid(), 0, g);
	cr_assert_eq(core_guard_command(v.core, &me), 0, "no run's");
	cr_assert_eq(core_guard_command(v.core, &before), -EPERM);
	cr_assert_eq(core_guard_command(v.core, &nobody), -EPERM);
	cr_assert_eq(core_guard_command(v.core, &other), 0, "he has none");
	end(v.core->runs, 1, false);
	cr_assert_eq(core_guard_command(v.core, &before), 0);
	cr_assert_eq(core_guard_command(v.core, &nobody), 0);
	run_guard_drop(g);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

/* --- how much is told of denials --- */

/* Denials of so many kinds to a run of that user; how many were entered. */
static uint64_t deny(struct core *c, uint32_t uid, unsigned run, unsigned kinds)
{
	/* each has an actor of its own, whose entry is there before */
	struct actor *a = actor_of(c->actors, 0, uid, run);
	uint64_t before = 0;

	cr_assert_not_null(a);
	number(a->run, run);
	for (unsigned i = 0; i < kinds; i++) {
		char path[16];
		const struct entry_denied d = {
			.call = ENTRY_DENIED_OPEN,
			.why = ENTRY_DENIED_HIDDEN,
			.path = { path, (size_t)snprintf(path, sizeof(path),
							 "%u", i) },
		};

		if (i == 1)
			before = commit_next_seq(c->commit);
		core_denied_note(c, a, &d);
	}
	actor_drop(c->actors, a);
	return 1 + commit_next_seq(c->commit) - before;
}

Test(run_guard, no_user_fills_the_list_of_denials)
{
	const uint32_t a = geteuid() + 1000, b = a + 1;
	unsigned run = 0, left;
	struct vol v;

	vol_init(&v, 1);
	v.actors = true;
	cr_assert_eq(vol_mount(&v), 0);
	while (++run <= CORE_DENIED_USER / CORE_DENIED_EACH)
		cr_assert_eq(deny(v.core, a, run, CORE_DENIED_EACH),
			     CORE_DENIED_EACH);
	cr_assert_eq(deny(v.core, a, run++, 20), 1, "of more kinds");
	cr_assert_eq(deny(v.core, b, run++, 20), 20);
	cr_assert_eq(deny(v.core, b, run++, CORE_DENIED_EACH + 20),
		     CORE_DENIED_EACH + 1);
	left = CORE_DENIED_MAX - CORE_DENIED_KEPT - CORE_DENIED_USER -
	       CORE_DENIED_EACH - 20 - 2;
	for (uint32_t u = b + 1; left > CORE_DENIED_EACH; u++, run++)
		left -= deny(v.core, u, run, CORE_DENIED_EACH);
	cr_assert_eq(deny(v.core, b + 98, run++, left), left);
	cr_assert_eq(deny(v.core, b + 99, run++, 20), 1, "kept for root");
	cr_assert_eq(deny(v.core, 0, run++, 20), 20);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

/* --- what is told of a denial --- */

Test(run_guard, a_denial_is_read_as_it_was_written)
{
	const struct entry_denied in = {
		.call = ENTRY_DENIED_RENAME,
		.why = ENTRY_DENIED_PROTECTED,
		.inode = 77,
		.count = 1ULL << 40,
		.path = ENTRY_STR("a/\xff\n"),
	};
	struct entry_body b = { .kind = ENTRY_ALERT }, back;
	struct buf tlv = BUF_INIT, bytes = BUF_INIT;
	struct entry_denied out;

	entry_denied_put(&tlv, &in);
	b.alert.what = ENTRY_ALERT_DENIED;
	b.alert.text = ENTRY_STR("words");
	b.extra = (struct entry_tlvs){ tlv.p, tlv.n };
	cr_assert_eq(entry_body_encode(&bytes, &b), 0);
	cr_assert_eq(entry_body_decode(&back, ENTRY_ALERT, bytes.p, bytes.n),
		     0);
	cr_assert(entry_denied_get(&out, &back));
	cr_assert_eq(out.call, in.call);
	cr_assert_eq(out.why, in.why);
	cr_assert_eq(out.inode, in.inode);
	cr_assert_eq(out.count, in.count);
	cr_assert_eq(out.path.n, in.path.n);
	cr_assert_eq(memcmp(out.path.p, in.path.p, in.path.n), 0);
	back.alert.what = ENTRY_ALERT_CONTENT;
	cr_assert_not(entry_denied_get(&out, &back));
	b.alert.what = ENTRY_ALERT_DENIED + 1;
	buf_clear(&bytes);
	cr_assert_neq(entry_body_encode(&bytes, &b), 0);
	cr_assert_str_eq(entry_denied_call_word(ENTRY_DENIED_CONTROL),
			 "control");
	cr_assert_str_eq(entry_denied_call_word(99), "?");
	cr_assert_str_eq(entry_denied_why_word(ENTRY_DENIED_UNTOLD),
			 "not told apart");
	cr_assert_str_eq(entry_denied_why_word(99), "?");
	buf_release(&tlv);
	buf_release(&bytes);
}
