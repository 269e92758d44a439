/*
 * test_retain.c - policy, holds, releases: what is due goes, nothing else
 * does, whatever renames, deletions, snapshots and clocks did in between.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "fs/core/core_internal.h"
#include "fs/upkeep/retain.h"
#include "fs/upkeep/retain_int.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "tests/sim/vol.h"

#define SECOND 1000000000LL
#define DAY (86400 * SECOND)

static uint64_t dir_of(struct core *c, const char **io_path)
{
	const char *slash = strchr(*io_path, '/');
	char name[64];
	struct stat st;

	if (!slash)
		return 1;
	snprintf(name, sizeof(name), "%.*s", (int)(slash - *io_path), *io_path);
	if (core_lookup(c, 1, name, &st) < 0)
		cr_assert_eq(core_mknod(c, &vol_cred, 1, name, S_IFDIR | 0755,
					0, &st),
			     0);
	*io_path = slash + 1;
	return st.st_ino;
}

/* Another version of the file at path ("name" or "dir/name"). */
static uint64_t save(struct vol *v, const char *path, const char *text)
{
	struct handle *h = NULL;
	struct stat st;
	uint64_t dir = dir_of(v->core, &path);
	bool keep;

	if (core_lookup(v->core, dir, path, &st) < 0)
		cr_assert_eq(core_create(v->core, &vol_cred, dir, path, 0644,
					 O_RDWR, &h, &st),
			     0);
	else
		cr_assert_eq(core_open_file(v->core, &vol_cred, st.st_ino,
					    O_RDWR, false, &h, &keep),
			     0);
	cr_assert_eq(core_write(v->core, &vol_cred, h, text, strlen(text), 0,
				false, false),
		     0);
	core_release(v->core, h);
	cr_assert_eq(core_make_version(v->core, st.st_ino, ENTRY_REASON_DEMAND),
		     0);
	return st.st_ino;
}

static uint64_t save_n(struct vol *v, const char *path, unsigned n)
{
	uint64_t ino = 0;
	char text[16];

	while (n--) {
		snprintf(text, sizeof(text), "text %u", n);
		ino = save(v, path, text);
	}
	return ino;
}

static void delete (struct vol *v, const char *path)
{
	uint64_t dir = dir_of(v->core, &path);

	cr_assert_eq(core_unlink(v->core, &vol_cred, dir, path), 0);
	while (core_step(v->core))
		;
}

static void move(struct vol *v, const char *from, const char *to)
{
	uint64_t a = dir_of(v->core, &from), b = dir_of(v->core, &to);

	cr_assert_eq(core_rename(v->core, &vol_cred, a, from, b, to, 0), 0);
	while (core_step(v->core))
		;
}

static int policy(struct vol *v, const struct entry_rule *rules, uint16_t n,
		  uint64_t *out_no, struct errmsg *em)
{
	int rc = 0;

	mutex_lock(&v->core->retain_mu);
	rc = retain_policy_locked(v->core, &vol_cred, rules, n, out_no, em);
	mutex_unlock(&v->core->retain_mu);
	return rc;
}

static void rule(struct vol *v, const char *pattern, uint64_t seconds,
		 uint32_t versions)
{
	struct entry_rule r = {
		.keep = (uint8_t)((seconds ? ENTRY_KEEP_AGE : 0) |
				  (versions ? ENTRY_KEEP_COUNT : 0)),
		.seconds = seconds,
		.versions = versions,
		.pattern = ENTRY_STR(pattern),
	};
	uint64_t no = 0;

	cr_assert_eq(policy(v, &r, 1, &no, NULL), 0);
	cr_assert_neq(no, 0);
}

static uint64_t hold(struct vol *v, const char *pattern, uint64_t ino)
{
	uint64_t no = 0;

	cr_assert_eq(retain_hold(v->core, &vol_cred, pattern, ino, "case 1",
				 &no, NULL),
		     0);
	return no;
}

static struct retain_report run(struct vol *v)
{
	struct retain_options o = { .dry_run = true };
	struct retain_report dry, out;
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(retain_release(v->core, &vol_cred, &dry, &o, &em), 0, "%s",
		     em.text);
	o.dry_run = false;
	cr_assert_eq(retain_release(v->core, &vol_cred, &out, &o, &em), 0, "%s",
		     em.text);
	cr_assert_eq(dry.released, out.released, "a dry run says what is done");
	cr_assert_eq(dry.entries, 0);
	cr_assert_eq(out.wrong, 0);
	return out;
}

/* The versions 1..n of ino as '.' kept and 'x' released. */
static const char *shown(struct vol *v, uint64_t ino)
{
	static char out[64];
	struct idx_reader *r = NULL;
	struct idx_version row;
	size_t n = 0;

	cr_assert_eq(core_settle_index(v->core), 0);
	cr_assert_eq(core_reader_take(v->core, &r), 0);
	while (idx_version(r, &row, ino, n + 1) > 0)
		out[n++] = row.released_no ? 'x' : '.';
	out[n] = '\0';
	core_reader_give(v->core, r);
	return out;
}

/* What was done so far is committed; then time passes. */
static void later(struct vol *v, int64_t ns)
{
	cr_assert_eq(core_sync(v->core), 0);
	vio_sim_step_wall(v->sim, ns);
}

static void start(struct vol *v)
{
	vol_init(v, 5);
	cr_assert_eq(vol_mount(v), 0);
}

static void end(struct vol *v)
{
	cr_assert_eq(vol_umount(v), 0);
	vol_release(v);
}

Test(retain, without_a_policy_everything_is_kept)
{
	struct vol v;
	uint64_t ino;

	start(&v);
	ino = save_n(&v, "a", 5);
	cr_assert_eq(run(&v).released, 0);
	rule(&v, "b", 0, 1);
	cr_assert_eq(run(&v).released, 0, "no rule is about it");
	cr_assert_str_eq(shown(&v, ino), ".....");
	end(&v);
}

Test(retain, the_last_versions_stay_and_a_second_run_does_nothing)
{
	struct retain_report r;
	struct vol v;
	uint64_t a, b;

	start(&v);
	a = save_n(&v, "logs/a", 6);
	b = save_n(&v, "b", 6);
	rule(&v, "logs/**", 0, 2);
	r = run(&v);
	cr_assert_eq(r.released, 4);
	cr_assert_eq(r.entries, 1);
	cr_assert_eq(r.files, 1);
	cr_assert_eq(r.released_bytes, 4 * 6);
	cr_assert_str_eq(shown(&v, a), "xxxx..");
	cr_assert_str_eq(shown(&v, b), "......");
	cr_assert_eq(run(&v).released, 0);
	save_n(&v, "logs/a", 1);
	cr_assert_eq(run(&v).released, 1);
	cr_assert_str_eq(shown(&v, a), "xxxxx..");
	end(&v);
}

Test(retain, age_counts_from_when_a_version_was_replaced)
{
	struct vol v;
	uint64_t ino;

	start(&v);
	ino = save_n(&v, "a", 1);
	later(&v, 100 * DAY);
	save_n(&v, "a", 2); /* replaces the first now */
	rule(&v, "a", 86400, 0);
	cr_assert_eq(run(&v).released, 0);
	later(&v, DAY + SECOND);
	cr_assert_eq(run(&v).released, 2);
	cr_assert_str_eq(shown(&v, ino), "xx.");
	end(&v);
}

Test(retain, of_age_and_count_what_keeps_more_decides)
{
	struct vol v;
	uint64_t ino;

	start(&v);
	ino = save_n(&v, "a", 4);
	later(&v, DAY);
	save_n(&v, "a", 2);
	rule(&v, "a", 3600, 2);
	run(&v);
	/* 4 was replaced just now; 5 is young too */
	cr_assert_str_eq(shown(&v, ino), "xxx...");
	later(&v, DAY);
	run(&v);
	cr_assert_str_eq(shown(&v, ino), "xxxx..");
	end(&v);
}

Test(retain, a_clock_set_back_or_forward_releases_nothing_early)
{
	struct vol v;
	uint64_t ino;

	start(&v);
	ino = save_n(&v, "a", 2);
	later(&v, -400 * DAY);
	save_n(&v, "a", 2); /* "replaced 400 days ago" */
	later(&v, 400 * DAY);
	rule(&v, "a", 86400, 0);
	cr_assert_eq(run(&v).released, 0);
	later(&v, -800 * DAY);
	cr_assert_eq(run(&v).released, 0);
	cr_assert_str_eq(shown(&v, ino), "....");
	end(&v);
}

Test(retain, the_first_rule_that_matches_counts)
{
	struct entry_rule r[] = {
		{ 0, 0, 0, ENTRY_STR("d/keep*") },
		{ ENTRY_KEEP_COUNT, 0, 3, ENTRY_STR("d/three") },
		{ ENTRY_KEEP_COUNT, 0, 1, ENTRY_STR("d") },
	};
	uint64_t no, a, b, c;
	struct vol v;

	start(&v);
	a = save_n(&v, "d/keep.me", 4);
	b = save_n(&v, "d/three", 4);
	c = save_n(&v, "d/other", 4);
	cr_assert_eq(policy(&v, r, 3, &no, NULL), 0);
	run(&v);
	cr_assert_str_eq(shown(&v, a), "....");
	cr_assert_str_eq(shown(&v, b), "x...");
	cr_assert_str_eq(shown(&v, c), "xxx.");
	end(&v);
}

Test(retain, a_deleted_file_goes_whole_by_age_from_its_deletion)
{
	struct retain_report r;
	struct vol v;
	uint64_t ino;

	start(&v);
	ino = save_n(&v, "logs/a", 3);
	later(&v, 100 * DAY);
	delete (&v, "logs/a");
	rule(&v, "logs", 86400, 0);
	r = run(&v);
	cr_assert_eq(r.released, 2, "the last one ended just now");
	later(&v, 2 * DAY);
	cr_assert_eq(run(&v).released, 1);
	cr_assert_str_eq(shown(&v, ino), "xxx");
	end(&v);
}

Test(retain, the_name_that_counts_is_the_one_now)
{
	struct vol v;
	uint64_t a, b;

	start(&v);
	a = save_n(&v, "logs/a", 3);
	b = save_n(&v, "tmp", 3);
	move(&v, "logs/a", "a");
	move(&v, "tmp", "logs/b");
	rule(&v, "logs", 0, 1);
	run(&v);
	cr_assert_str_eq(shown(&v, a), "...");
	cr_assert_str_eq(shown(&v, b), "xx.");
	end(&v);
}

Test(retain, of_several_names_the_one_that_keeps_most_decides)
{
	struct stat st;
	struct vol v;
	uint64_t a;

	start(&v);
	a = save_n(&v, "logs/a", 3);
	cr_assert_eq(core_link(v.core, &vol_cred, a, 1, "a", &st), 0);
	rule(&v, "logs", 0, 1);
	run(&v);
	cr_assert_str_eq(shown(&v, a), "...");
	delete (&v, "a");
	run(&v);
	cr_assert_str_eq(shown(&v, a), "xx.");
	end(&v);
}

/* An editor saves to another name and renames: each save is an inode. */
Test(retain, saving_by_rename_counts_as_versions_of_the_name)
{
	uint64_t ino[5];
	struct vol v;

	start(&v);
	for (unsigned i = 0; i < 5; i++) {
		ino[i] = save_n(&v, "d/.new", 1);
		move(&v, "d/.new", "d/doc");
	}
	rule(&v, "d", 0, 3);
	run(&v);
	cr_assert_str_eq(shown(&v, ino[0]), "x");
	cr_assert_str_eq(shown(&v, ino[1]), "x");
	cr_assert_str_eq(shown(&v, ino[2]), ".");
	cr_assert_str_eq(shown(&v, ino[4]), ".");
	end(&v);
}

Test(retain, what_is_held_stays_until_the_hold_is_lifted)
{
	struct retain_report r;
	uint64_t a, b, no, lift;
	struct vol v;

	start(&v);
	a = save_n(&v, "mail/a", 3);
	b = save_n(&v, "b", 3);
	no = hold(&v, "mail", 0);
	hold(&v, NULL, b);
	rule(&v, "**", 0, 1);
	r = run(&v);
	cr_assert_eq(r.held, 4);
	cr_assert_eq(r.released, 0);
	cr_assert_eq(retain_lift(v.core, &vol_cred, no + 1, "x", &lift, NULL),
		     -ENOENT);
	cr_assert_eq(retain_lift(v.core, &vol_cred, no, "over", &lift, NULL),
		     0);
	cr_assert_eq(retain_lift(v.core, &vol_cred, no, "twice", &lift, NULL),
		     -ENOENT);
	run(&v);
	cr_assert_str_eq(shown(&v, a), "xx.");
	cr_assert_str_eq(shown(&v, b), "...");
	end(&v);
}

Test(retain, a_hold_is_not_escaped_by_renames)
{
	struct stat st;
	uint64_t a, b, c;
	struct vol v;

	start(&v);
	a = save_n(&v, "mail/a", 3); /* moved away before the hold */
	move(&v, "mail/a", "a");
	b = save_n(&v, "mail/b", 3);
	hold(&v, "mail", 0);
	move(&v, "mail/b", "b");
	/* through a directory that bore the name for a while */
	c = save_n(&v, "dir/c", 3);
	cr_assert_eq(core_unlink(v.core, &vol_cred, 1, "none"), -ENOENT);
	cr_assert_eq(core_rmdir(v.core, &vol_cred, 1, "mail"), 0);
	move(&v, "dir", "mail");
	move(&v, "mail", "dir");
	cr_assert_eq(core_lookup(v.core, 1, "dir", &st), 0);
	rule(&v, "**", 0, 1);
	cr_assert_eq(run(&v).released, 0);
	cr_assert_str_eq(shown(&v, a), "...");
	cr_assert_str_eq(shown(&v, b), "...");
	cr_assert_str_eq(shown(&v, c), "...");
	delete (&v, "b");
	cr_assert_eq(run(&v).released, 0, "deleting is no way out");
	end(&v);
}

Test(retain, what_a_snapshot_shows_stays)
{
	struct retain_report r;
	uint64_t a, b, no;
	struct vol v;

	start(&v);
	a = save_n(&v, "a", 3);
	b = save_n(&v, "b", 2);
	delete (&v, "b");
	cr_assert_eq(core_snapshot(v.core, &vol_cred, "then", &no), 0);
	save_n(&v, "a", 3);
	rule(&v, "**", 0, 1);
	r = run(&v);
	cr_assert_eq(r.snapshots, 1);
	cr_assert_str_eq(shown(&v, a), "xx.xx.");
	cr_assert_str_eq(shown(&v, b), "x.", "it was gone by then");
	end(&v);
}

Test(retain, what_was_saved_but_no_version_yet_stays_in_a_snapshot)
{
	struct handle *h = NULL;
	uint64_t a, no;
	struct vol v;
	bool keep;

	start(&v);
	a = save_n(&v, "a", 2);
	cr_assert_eq(
		core_open_file(v.core, &vol_cred, a, O_RDWR, false, &h, &keep),
		0);
	cr_assert_eq(
		core_write(v.core, &vol_cred, h, "new", 3, 0, false, false), 0);
	cr_assert_eq(core_sync(v.core), 0);
	core_release(v.core, h);
	cr_assert_eq(core_snapshot(v.core, &vol_cred, "then", &no), 0);
	save_n(&v, "a", 2);
	rule(&v, "**", 0, 1);
	run(&v);
	cr_assert_str_eq(shown(&v, a), "xx.x.");
	end(&v);
}

Test(retain, an_open_file_without_a_name_keeps_its_bytes)
{
	struct handle *h = NULL;
	struct stat st;
	struct vol v;
	bool keep;

	start(&v);
	st.st_ino = save_n(&v, "a", 3);
	cr_assert_eq(core_open_file(v.core, &vol_cred, st.st_ino, O_RDONLY,
				    false, &h, &keep),
		     0);
	delete (&v, "a");
	rule(&v, "a", 1, 0);
	later(&v, DAY);
	run(&v);
	cr_assert_str_eq(shown(&v, st.st_ino), "xx.");
	core_release(v.core, h);
	while (core_step(v.core))
		;
	later(&v, DAY);
	run(&v);
	cr_assert_str_eq(shown(&v, st.st_ino), "xxx");
	end(&v);
}

Test(retain, a_file_that_never_had_a_name_meets_only_double_stars)
{
	struct handle *h = NULL;
	struct stat st;
	struct vol v;

	start(&v);
	cr_assert_eq(core_tmpfile(v.core, &vol_cred, 1, 0600, O_RDWR, &h, &st),
		     0);
	cr_assert_eq(core_write(v.core, &vol_cred, h, "x", 1, 0, false, false),
		     0);
	cr_assert_eq(core_make_version(v.core, st.st_ino, ENTRY_REASON_DEMAND),
		     0);
	core_release(v.core, h);
	while (core_step(v.core))
		;
	rule(&v, "*", 1, 0);
	later(&v, DAY);
	run(&v);
	cr_assert_str_eq(shown(&v, st.st_ino), ".");
	rule(&v, "**", 1, 0);
	later(&v, DAY);
	run(&v);
	cr_assert_str_eq(shown(&v, st.st_ino), "x");
	end(&v);
}

Test(retain, releases_survive_unmounts_and_a_policy_can_end)
{
	struct vol v;
	uint64_t a, no;

	start(&v);
	a = save_n(&v, "a", 3);
	rule(&v, "a", 0, 2);
	run(&v);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_str_eq(shown(&v, a), "x..");
	save_n(&v, "a", 3);
	cr_assert_eq(policy(&v, NULL, 0, &no, NULL), 0);
	cr_assert_eq(run(&v).released, 0);
	cr_assert_str_eq(shown(&v, a), "x.....");
	end(&v);
}

static int stop_after_one(void *ctx, uint64_t done, uint64_t all)
{
	unsigned *n = ctx;

	cr_assert_leq(done, all);
	return ++*n == 1;
}

Test(retain, many_versions_take_several_entries_and_may_be_interrupted,
     .timeout = 120)
{
	enum { N = 3 * LIMIT_RELEASES / 2 };
	unsigned calls = 0;
	struct retain_options o = { .progress = stop_after_one, .ctx = &calls };
	struct retain_report r;
	struct errmsg em = ERRMSG_INIT;
	char name[16];
	struct vol v;

	start(&v);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		save_n(&v, name, 2);
	}
	rule(&v, "*", 0, 1);
	cr_assert_eq(retain_release(v.core, &vol_cred, &r, &o, &em),
		     -ECANCELED);
	cr_assert_eq(r.entries, 1);
	cr_assert_eq(r.released, LIMIT_RELEASES);
	calls = 1; /* not again */
	cr_assert_eq(retain_release(v.core, &vol_cred, &r, &o, &em), 0);
	cr_assert_eq(r.released, N - LIMIT_RELEASES);
	cr_assert_eq(run(&v).released, 0);
	end(&v);
}

Test(retain, bad_rules_and_holds_are_refused_in_words)
{
	struct entry_rule two[] = { { 0, 0, 0, ENTRY_STR("a") },
				    { 0, 0, 0, ENTRY_STR("a") } };
	struct entry_rule *many = calloc(LIMIT_RULES + 1, sizeof(*many));
	struct errmsg em = ERRMSG_INIT;
	uint64_t no;
	struct vol v;

	start(&v);
	cr_assert_eq(policy(&v, two, 2, &no, &em), -ERR_FORMAT);
	cr_assert(em.text[0]);
	em.text[0] = '\0';
	cr_assert_eq(policy(&v, many, LIMIT_RULES + 1, &no, &em), -ERR_LIMIT);
	cr_assert(em.text[0]);
	cr_assert_eq(retain_hold(v.core, &vol_cred, "a", 0, "", &no, NULL),
		     -ERR_FORMAT, "a hold has a reason");
	cr_assert_eq(retain_hold(v.core, &vol_cred, NULL, 0, "x", &no, NULL),
		     -ERR_FORMAT);
	free(many);
	end(&v);
}
