/*
 * test_core_extents.c - files that are written at random and stay open hold no
 * more extents, all together, than they may.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fs/commit/commit.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

enum { FILES = 12, PLACES = 150, BLOCK = 512, MAX = 1000 };

struct open_file {
	struct handle *h;
	char name[8];
	uint8_t first; /* of its bytes; each place has its own */
};

/* Every other block: none joins its neighbour. */
static void scatter(struct core *c, struct open_file *f)
{
	uint8_t p[BLOCK];

	for (unsigned i = 0; i < PLACES; i++) {
		memset(p, (uint8_t)(f->first + i), sizeof(p));
		memcpy(p, &i, sizeof(i));
		cr_assert_eq(core_write(c, &vol_cred, f->h, p, sizeof(p),
					2ULL * i * BLOCK, false, false),
			     0);
	}
}

static void reads_back(struct core *c, struct open_file *f)
{
	uint8_t p[BLOCK], want[BLOCK];

	for (unsigned i = 0; i < PLACES; i++) {
		memset(want, (uint8_t)(f->first + i), sizeof(want));
		memcpy(want, &i, sizeof(i));
		cr_assert_eq(core_read(c, f->h, p, BLOCK, 2ULL * i * BLOCK),
			     BLOCK);
		cr_assert_eq(memcmp(p, want, BLOCK), 0);
	}
}

/* So that no frame is larger than the small segments of tests. */
static void flush(struct core *c)
{
	cr_assert_eq(commit_flush(c->commit, commit_last_seq(c->commit)), 0);
}

static uint64_t version_of(struct core *c, uint64_t ino)
{
	uint64_t n = 0;

	mutex_lock(&c->t.mu);
	n = itable_find_inode(&c->t, ino)->row.version;
	mutex_unlock(&c->t.mu);
	return n;
}

/* Neither many files nor files without a name are left out. */
static void open_files_stay_below(bool unlinked)
{
	struct vol v = { .extents_max = 0 };
	struct open_file f[FILES];
	struct stat st;

	vol_init(&v, 1);
	v.extents_max = MAX;
	cr_assert_eq(vol_mount(&v), 0);
	for (unsigned i = 0; i < FILES; i++) {
		f[i].first = (uint8_t)(17 * i);
		snprintf(f[i].name, sizeof(f[i].name), "f%u", i);
		cr_assert_eq(core_create(v.core, &vol_cred, 1, f[i].name, 0644,
					 O_RDWR, &f[i].h, &st),
			     0);
		if (unlinked)
			cr_assert_eq(
				core_unlink(v.core, &vol_cred, 1, f[i].name),
				0);
		scatter(v.core, &f[i]);
		while (core_step(v.core))
			;
		flush(v.core);
		/* a version would be history, for ever */
		cr_assert(!unlinked || version_of(v.core, st.st_ino) == 0);
		cr_assert(content_pool_extents(v.core->pool) <=
				  MAX / 2 + 2 * PLACES,
			  "%lu", content_pool_extents(v.core->pool));
	}
	for (unsigned i = 0; i < FILES; i++) {
		reads_back(v.core, &f[i]);
		core_release(v.core, f[i].h);
		vio_sim_advance(v.sim, 100000000); /* it has rested */
		while (core_step(v.core))
			;
		flush(v.core);
	}
	cr_assert_eq(content_pool_extents(v.core->pool), 0);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

Test(core_extents, of_many_open_files_are_bounded)
{
	open_files_stay_below(false);
}

Test(core_extents, of_files_without_names_are_bounded)
{
	open_files_stay_below(true);
}

/* Where no version can be made they wait, and go on. */
Test(core_extents, too_many_slow_writers_down_and_stop_none)
{
	struct vol v = { .extents_max = 0 };
	struct open_file f = { .name = "a" };
	struct stat st;

	vol_init(&v, 2);
	v.extents_max = PLACES - 4;
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_create(v.core, &vol_cred, 1, f.name, 0644, O_RDWR,
				 &f.h, &st),
		     0);
	scatter(v.core, &f);
	cr_assert(content_pool_extents(v.core->pool) > PLACES - 4);
	reads_back(v.core, &f);
	core_release(v.core, f.h);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

static void synced(void *ctx, int rc)
{
	int *out = ctx;

	*out = rc;
}

static void fsync_of(struct core *c, struct handle *h)
{
	int rc = 1;

	core_fsync(c, h, core_handle_ino(h), synced, &rc);
	while (rc == 1 && core_step(c))
		;
	flush(c);
	cr_assert_eq(rc, 0);
}

static struct handle *open_again(struct core *c, const char *name)
{
	struct handle *h = NULL;
	struct stat st;
	bool keep = false;

	cr_assert_eq(core_lookup(c, 1, name, &st), 0);
	cr_assert_eq(core_open_file(c, &vol_cred, st.st_ino, O_RDONLY, false,
				    &h, &keep),
		     0);
	return h;
}

/*
 * One without a name, of which the log knows nothing, gets a name: what was
 * folded is there after a crash, with what was saved since and with what was
 * written since.
 */
static void named_later(bool saved, bool more)
{
	struct vol v = { .extents_max = 0 };
	struct open_file f = { .first = 3 };
	struct prng crash;
	struct stat st;

	vol_init(&v, 3);
	v.extents_max = PLACES;
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(
		core_tmpfile(v.core, &vol_cred, 1, 0600, O_RDWR, &f.h, &st), 0);
	scatter(v.core, &f);
	while (core_step(v.core))
		;
	cr_assert_eq(content_pool_extents(v.core->pool), 0);
	cr_assert_eq(version_of(v.core, st.st_ino), 0);
	reads_back(v.core, &f);
	if (more)
		scatter(v.core, &f);
	if (saved)
		fsync_of(v.core, f.h);
	cr_assert_eq(core_link(v.core, &vol_cred, st.st_ino, 1, "a", &st), 0);
	flush(v.core);
	prng_init(&crash, 4);
	vol_crash(&v, &crash);
	cr_assert_eq(vol_mount(&v), 0);
	f.h = open_again(v.core, "a");
	reads_back(v.core, &f);
	core_release(v.core, f.h);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

Test(core_extents, folded_without_a_name_are_there_under_one)
{
	named_later(false, false);
	named_later(false, true);
}

Test(core_extents, folded_without_a_name_are_saved_whole)
{
	named_later(true, false);
	named_later(true, true);
}
