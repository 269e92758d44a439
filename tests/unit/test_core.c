/*
 * test_core.c - the filesystem core against the oracle, on the simulated disk.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "fs/core/core_internal.h"
#include "tests/sim/drive.h"

static void work(struct drive *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc;

		cr_assert(drive_op(d, &rc), "%s", d->what);
		cr_assert(rc > -ERR_BASE_ && rc != -EIO, "%s: %s", d->what,
			  err_text(rc));
		if (prng_chance(d->rng, 10))
			core_step(d->v->core);
	}
}

Test(core, empty_volume_mounts_twice)
{
	struct vol v;
	struct stat st;

	vol_init(&v, 1);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(vol_mount(&v), 0);
		cr_assert_eq(core_getattr(v.core, 1, &st), 0);
		cr_assert(S_ISDIR(st.st_mode));
		cr_assert_eq(st.st_uid, 1000);
		cr_assert_eq(vol_umount(&v), 0);
	}
	vol_release(&v);
}

Test(core, file_written_is_there_after_remount)
{
	struct vol v;
	struct stat st;
	struct handle *h;
	char out[16] = "";
	bool keep;

	vol_init(&v, 2);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(
		core_create(v.core, &vol_cred, 1, "a", 0644, O_RDWR, &h, &st),
		0);
	cr_assert_eq(
		core_write(v.core, &vol_cred, h, "hello", 5, 0, false, false),
		0);
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_lookup(v.core, 1, "a", &st), 0);
	cr_assert_eq(st.st_size, 5);
	cr_assert_eq(core_open_file(v.core, &vol_cred, st.st_ino, O_RDONLY,
				    false, &h, &keep),
		     0);
	cr_assert_eq(core_read(v.core, h, out, sizeof(out), 0), 5);
	cr_assert_str_eq(out, "hello");
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

struct seen {
	int n;
	bool fresh;
	mode_t mode; /* of "07" */
	uint64_t last;
	int left;
};

static int see(void *ctx, const char *name, const struct stat *st,
	       uint64_t cookie)
{
	struct seen *s = ctx;

	if (s->left-- == 0)
		return 1;
	s->n++;
	s->last = cookie;
	if (!strcmp(name, "fresh"))
		s->fresh = true;
	if (!strcmp(name, "07"))
		s->mode = st->st_mode & 07777;
	return 0;
}

static void make(struct vol *v, const char *name)
{
	struct stat st;

	cr_assert_eq(
		core_mknod(v->core, &vol_cred, 1, name, S_IFREG | 0644, 0, &st),
		0);
}

/* A page is read ahead; what happens before it is asked for shows in it. */
Test(core, listing_read_ahead_is_never_older_than_the_question)
{
	struct seen s = { .left = 6 };
	struct stat st, mode = { .st_mode = 0600 };
	struct vol v;
	char name[8];

	vol_init(&v, 3);
	cr_assert_eq(vol_mount(&v), 0);
	for (int i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof(name), "%02d", i);
		make(&v, name);
	}
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0); /* nothing is in memory */
	for (int i = 0; i < 3; i++) {
		s = (struct seen){ .left = 6 };
		cr_assert_eq(core_readdir(v.core, 1, 0, 100, true, see, &s), 0);
		cr_assert_eq(s.n, 6);
		core_readdir_ahead(v.core, 1, s.last, 100, true);
		if (i == 1) {
			make(&v, "fresh");
			cr_assert_eq(core_unlink(v.core, &vol_cred, 1, "20"),
				     0);
			cr_assert_eq(core_lookup(v.core, 1, "07", &st), 0);
			cr_assert_eq(core_setattr(v.core, &vol_cred, st.st_ino,
						  CORE_SET_MODE, &mode, &st),
				     0);
		}
		s.left = 1000;
		cr_assert_eq(
			core_readdir(v.core, 1, s.last, 100, true, see, &s), 0);
		cr_assert_eq(s.n, 32);
		cr_assert_eq(s.fresh, i > 0);
		cr_assert_eq(s.mode, i > 0 ? 0600 : 0644);
	}
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

static void make_thirty(struct vol *v)
{
	char name[8];

	for (int i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof(name), "%02d", i);
		make(v, name);
	}
	cr_assert_eq(vol_umount(v), 0);
	cr_assert_eq(vol_mount(v), 0); /* nothing is in memory */
}

/* What was read for another question makes no place for the next. */
Test(core, a_page_read_ahead_in_vain_is_in_nobodys_way)
{
	struct seen s = { .left = 6 };
	struct vol v;
	unsigned kept = 0;

	vol_init(&v, 4);
	cr_assert_eq(vol_mount(&v), 0);
	make_thirty(&v);
	cr_assert_eq(core_readdir(v.core, 1, 0, 100, true, see, &s), 0);
	core_readdir_ahead(v.core, 1, s.last, 100, false);
	core_readdir_ahead(v.core, 1, s.last, 100, true);
	for (size_t i = 0; i < CORE_AHEAD; i++)
		if (v.core->ahead.slot[i].page) {
			kept++;
			cr_assert(v.core->ahead.slot[i].plus);
		}
	cr_assert_eq(kept, 1);
	core_readdir_ahead(v.core, 1, s.last, 100, false);
	s.left = 1000;
	cr_assert_eq(core_readdir(v.core, 1, s.last, 100, true, see, &s), 0);
	cr_assert_eq(s.n, 32);
	for (size_t i = 0; i < CORE_AHEAD; i++)
		cr_assert_null(v.core->ahead.slot[i].page);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

/* Names that others make are evicted after every look at memory. */
Test(core, a_listing_ends_however_much_is_evicted_meanwhile)
{
	struct seen s = { .left = 1000 };
	struct vol v;

	vol_init(&v, 5);
	cr_assert_eq(vol_mount(&v), 0);
	make_thirty(&v);
	v.core->t.evicted_seq = UINT64_MAX;
	cr_assert_eq(core_readdir(v.core, 1, 0, 100, true, see, &s), 0);
	cr_assert_eq(s.n, 32);
	cr_assert_eq(s.mode, 0644);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

struct some {
	char names[5][8];
	int n;
	uint64_t last;
};

static int see_some(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	struct some *s = ctx;

	(void)st;
	if (s->n == 5)
		return 1;
	snprintf(s->names[s->n++], sizeof(s->names[0]), "%s", name);
	s->last = cookie;
	return 0;
}

static void rename_what_is_listed(struct vol *v, char mark)
{
	struct some s = { .last = 2 };
	struct seen all = { .left = 1000 };
	int names = 0;

	do {
		s.n = 0;
		cr_assert_eq(core_readdir(v->core, 1, s.last, 5, names & 1,
					  see_some, &s),
			     0);
		for (int i = 0; i < s.n; i++, names++) {
			char to[16];

			snprintf(to, sizeof(to), "%c%02d", mark, names);
			cr_assert_eq(core_rename(v->core, &vol_cred, 1,
						 s.names[i], 1, to, 0),
				     0);
		}
		cr_assert_leq(names, 30, "%s was listed again", s.names[0]);
	} while (s.n);
	cr_assert_eq(names, 30);
	cr_assert_eq(core_readdir(v->core, 1, 0, 100, true, see, &all), 0);
	cr_assert_eq(all.n, 32);
}

/* A name that changes keeps its place, in memory and in the index. */
Test(core, who_renames_what_is_listed_comes_to_an_end)
{
	struct vol v;

	vol_init(&v, 6);
	cr_assert_eq(vol_mount(&v), 0);
	make_thirty(&v);
	rename_what_is_listed(&v, 'a');
	rename_what_is_listed(&v, 'b');
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	rename_what_is_listed(&v, 'c');
	cr_assert_eq(core_sync(v.core), 0);
	rename_what_is_listed(&v, 'd');
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

enum meanwhile { RENAMED, RENAMED_TWICE, MADE_AGAIN, APPLIED, MEANWHILES };

struct changing {
	struct vol *v;
	enum meanwhile what;
	bool evicted; /* nothing is sure */
	int n, of_it;
};

static void change_it(struct changing *s)
{
	struct core *c = s->v->core;
	struct stat st;

	cr_assert_eq(core_rename(c, &vol_cred, 1, "07", 1, "it", 0), 0);
	if (s->what == RENAMED_TWICE)
		cr_assert_eq(core_rename(c, &vol_cred, 1, "it", 1, "it2", 0),
			     0);
	if (s->what == MADE_AGAIN)
		cr_assert_eq(core_mknod(c, &vol_cred, 1, "07", S_IFREG | 0644,
					0, &st),
			     0);
	if (s->what == APPLIED)
		cr_assert_eq(core_settle_index(c), 0);
	if (s->evicted)
		c->t.evicted_seq = UINT64_MAX;
}

/* Changes a name when the page is read and not yet given. */
static int see_changing(void *ctx, const char *name, const struct stat *st,
			uint64_t cookie)
{
	struct changing *s = ctx;

	(void)st;
	(void)cookie;
	if (strcmp(name, ".") == 0)
		change_it(s);
	s->n++;
	s->of_it += strncmp(name, "it", 2) == 0;
	return 0;
}

/* What is called otherwise while it is listed is listed under some name. */
Test(core, a_name_that_changes_while_it_is_listed_is_not_lost)
{
	for (unsigned i = 0; i < 4 * MEANWHILES; i++) {
		struct changing s = { .what = i / 4, .evicted = i & 2 };
		struct vol v;

		vol_init(&v, 7);
		cr_assert_eq(vol_mount(&v), 0);
		make_thirty(&v);
		s.v = &v;
		core_readdir_ahead(v.core, 1, 0, 100, i & 1);
		cr_assert_eq(core_readdir(v.core, 1, 0, 100, i & 1,
					  see_changing, &s),
			     0);
		cr_assert_eq(s.of_it, 1, "case %u: %d times", i, s.of_it);
		cr_assert_eq(s.n, s.what == MADE_AGAIN ? 33 : 32,
			     "case %u: %d names", i, s.n);
		cr_assert_eq(vol_umount(&v), 0);
		vol_release(&v);
	}
}

Test(core, random_work_agrees_with_the_oracle, .timeout = 120)
{
	uint64_t seed = prng_seed("core", 20261121);

	for (unsigned round = 0; round < 6; round++) {
		struct prng rng;
		struct drive d;
		struct vol v;

		prng_init(&rng, seed + round);
		vol_init(&v, seed + round);
		/* in half of them rows come and go all the time */
		v.inode_cache = round % 2 ? 24 + 8 * round : 0;
		cr_assert_eq(vol_mount(&v), 0);
		drive_init(&d, &v, &rng, round % 2 ? 20000 : 1500000);
		for (unsigned k = 0; k < 4; k++) {
			work(&d, 250);
			cr_assert(drive_compare(&d), "seed %llu: %s",
				  (unsigned long long)(seed + round), d.what);
			itable_check(&v.core->t);
			drive_close(&d);
			cr_assert_eq(vol_umount(&v), 0);
			cr_assert_eq(vol_mount(&v), 0);
			cr_assert(drive_compare(&d), "seed %llu, again: %s",
				  (unsigned long long)(seed + round), d.what);
		}
		drive_release(&d);
		cr_assert_eq(vol_umount(&v), 0);
		vol_release(&v);
	}
}

Test(core, unlinked_open_file_lives_until_its_last_close)
{
	struct vol v;
	struct stat st;
	struct handle *h;
	char out[8] = "";

	vol_init(&v, 3);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(
		core_create(v.core, &vol_cred, 1, "a", 0644, O_RDWR, &h, &st),
		0);
	cr_assert_eq(
		core_write(v.core, &vol_cred, h, "abc", 3, 0, false, false), 0);
	cr_assert_eq(core_unlink(v.core, &vol_cred, 1, "a"), 0);
	cr_assert_eq(core_lookup(v.core, 1, "a", &st), -ENOENT);
	cr_assert_eq(core_read(v.core, h, out, 3, 0), 3);
	cr_assert_str_eq(out, "abc");
	cr_assert_eq(core_getattr(v.core, core_handle_ino(h), &st), 0);
	cr_assert_eq(st.st_nlink, 0);
	core_release(v.core, h);
	cr_assert_eq(core_getattr(v.core, st.st_ino, &st), -ENOENT);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

/*
 * The new name and what is left under the old one are in one frame, wherever a
 * full batch would end between them, and when a kill comes after it.
 */
Test(core, a_whiteout_is_there_with_its_rename_or_not_at_all, .timeout = 120)
{
	unsigned done = 0, all = 0;

	for (int fill = LIMIT_BATCH - 6; fill <= LIMIT_BATCH + 2; fill++) {
		struct vol v;
		struct stat st;
		char name[16];
		bool gone, white;

		vol_init(&v, (uint64_t)fill);
		cr_assert_eq(vol_mount(&v), 0);
		cr_assert_eq(core_mknod(v.core, &vol_cred, 1, "a",
					S_IFREG | 0644, 0, &st),
			     0);
		cr_assert_eq(core_sync(v.core), 0);
		for (int i = 0; i < fill; i++) {
			snprintf(name, sizeof(name), "%d", i);
			cr_assert_eq(core_mknod(v.core, &vol_cred, 1, name,
						S_IFREG | 0644, 0, &st),
				     0);
		}
		cr_assert_eq(core_rename(v.core, &vol_cred, 1, "a", 1, "b", 4),
			     0);
		core_step(v.core); /* one batch */
		vol_kill(&v);
		cr_assert_eq(vol_mount(&v), 0);
		gone = core_lookup(v.core, 1, "b", &st) == 0;
		cr_assert_eq(core_lookup(v.core, 1, "a", &st), 0);
		white = S_ISCHR(st.st_mode) && st.st_rdev == 0;
		cr_assert_eq(gone, white, "after %d", fill);
		done += gone;
		all++;
		cr_assert_eq(vol_umount(&v), 0);
		vol_release(&v);
	}
	cr_assert_gt(done, 0);
	cr_assert_lt(done, all);
}
