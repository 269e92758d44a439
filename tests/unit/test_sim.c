/*
 * test_sim.c - the simulated disk keeps the promises of vio_sim.h; the other
 * tests are worth no more than this one.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

static struct vio_sim *sim;
static struct vio *v;
static struct prng dice;

static void setup(void)
{
	sim = vio_sim_new(NULL);
	v = vio_sim_vio(sim);
	prng_init(&dice, 42);
}

static void teardown(void)
{
	vio_sim_free(sim);
}

TestSuite(sim, .init = setup, .fini = teardown);

static struct vio_file *make(const char *path)
{
	struct vio_file *f = NULL;

	cr_assert_eq(vio_open(v, &f, path, VIO_WRITE | VIO_CREATE), 0);
	return f;
}

static void put(const char *path, const char *text)
{
	struct vio_file *f = make(path);

	cr_assert_eq(vio_pwrite(f, text, strlen(text), 0), 0);
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
	cr_assert_eq(vio_syncdir(v, "."), 0);
}

/* The file's bytes as text, NULL when it is not there; caller frees. */
static char *get(struct vio *from, const char *path)
{
	struct buf b = BUF_INIT;

	if (vio_read_file(from, &b, path, 1 << 20) < 0)
		return NULL;
	return buf_take(&b);
}

static void expect(const char *path, const char *text)
{
	autofree char *is = get(v, path);

	if (text == NULL) {
		cr_assert_null(is, "%s is there", path);
		return;
	}
	cr_assert_not_null(is, "%s is not there", path);
	cr_assert_str_eq(is, text);
}

Test(sim, what_was_written_is_read)
{
	struct vio_file *f = make("a");
	uint8_t big[10000];
	uint8_t back[20000];

	prng_bytes(&dice, big, sizeof(big));
	cr_assert_eq(vio_pwrite(f, big, sizeof(big), 5000), 0);
	cr_assert_eq(vio_pread(f, back, sizeof(back), 0), 15000);
	for (int i = 0; i < 5000; i++)
		cr_assert_eq(back[i], 0);
	cr_assert_eq(memcmp(back + 5000, big, sizeof(big)), 0);
	cr_assert_eq(vio_pread_full(f, back, 10, 14995), -ERR_SHORT);
	cr_assert_eq(vio_pread(f, back, 10, 15000), 0);
	vio_close(f);
}

Test(sim, synced_bytes_survive_every_crash)
{
	put("a", "durable");
	for (int i = 0; i < 200; i++) {
		vio_sim_crash(sim, &dice);
		expect("a", "durable");
	}
}

Test(sim, unsynced_bytes_are_lost_kept_and_torn)
{
	unsigned lost = 0;
	unsigned kept = 0;
	unsigned torn = 0;
	uint8_t data[4 * 512];

	memset(data, 'x', sizeof(data));
	put("a", "");
	for (int i = 0; i < 300; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		struct vio_file *f = NULL;
		uint8_t back[sizeof(data)];
		ssize_t n;

		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_WRITE), 0);
		cr_assert_eq(vio_pwrite(f, data, sizeof(data), 0), 0);
		vio_close(f);
		vio_sim_crash(c, &dice);
		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_READ), 0);
		n = vio_pread(f, back, sizeof(back), 0);
		cr_assert_geq(n, 0);
		if (n == 0)
			lost++;
		else if (n == sizeof(back) &&
			 memcmp(back, data, sizeof(data)) == 0)
			kept++;
		else
			torn++;
		vio_close(f);
		vio_sim_free(c);
	}
	cr_assert(lost > 20 && kept > 20 && torn > 20, "%u %u %u", lost, kept,
		  torn);
}

Test(sim, write_through_makes_nothing_else_durable)
{
	static uint8_t page[8192];
	unsigned lost = 0;

	put("a", "");
	for (int i = 0; i < 100; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		struct vio_file *f = NULL;
		uint8_t back[8192];

		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_WRITE), 0);
		cr_assert_eq(vio_pwrite(f, page, sizeof(page), 0), 0);
		cr_assert_eq(vio_flush(f), 0);
		cr_assert_eq(vio_pwrite(f, "header", 6, 0), 0);
		cr_assert_eq(vio_write_through(f, "frame", 5, 4096), 0);
		vio_close(f);
		vio_sim_crash(c, &dice);
		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_READ), 0);
		cr_assert_eq(vio_pread(f, back, 8192, 0), 8192);
		cr_assert_eq(memcmp(back + 4096, "frame", 6), 0);
		lost += memcmp(back, "header", 6) != 0;
		vio_close(f);
		vio_sim_free(c);
	}
	cr_assert(lost > 10 && lost < 90, "%u", lost);
}

Test(sim, a_torn_write_leaves_other_bytes_alone)
{
	char text[3000];

	memset(text, 'a', sizeof(text));
	text[2999] = '\0';
	put("a", text);
	for (int i = 0; i < 300; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		struct vio_file *f = NULL;
		uint8_t back[3000];

		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_WRITE), 0);
		cr_assert_eq(vio_pwrite(f, "bbbbbbbbbb", 10, 1000), 0);
		vio_close(f);
		vio_sim_crash(c, &dice);
		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_READ), 0);
		cr_assert_eq(vio_pread(f, back, 3000, 0), 2999);
		cr_assert_eq(memcmp(back, text, 1000), 0);
		cr_assert_eq(memcmp(back + 1010, text + 1010, 1989), 0);
		vio_close(f);
		vio_sim_free(c);
	}
}

/* How often `path` is there after a crash, of 200. */
static unsigned survivals(const char *path)
{
	unsigned n = 0;

	for (int i = 0; i < 200; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		struct vio_stat st;

		vio_sim_crash(c, &dice);
		n += vio_stat(vio_sim_vio(c), path, &st) == 0;
		vio_sim_free(c);
	}
	return n;
}

Test(sim, a_name_needs_its_directory_synced)
{
	struct vio_file *f = make("a");
	unsigned n;

	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
	n = survivals("a");
	cr_assert(n > 10 && n < 190, "%u", n);
	cr_assert_eq(vio_syncdir(v, ""), 0);
	cr_assert_eq(survivals("a"), 200);
	cr_assert_eq(vio_unlink(v, "a"), 0);
	n = survivals("a");
	cr_assert(n > 10 && n < 190, "%u", n);
	cr_assert_eq(vio_syncdir(v, "."), 0);
	cr_assert_eq(survivals("a"), 0);
}

Test(sim, syncing_a_directory_does_not_make_its_own_name_durable)
{
	unsigned n;

	cr_assert_eq(vio_mkdir(v, "d"), 0);
	vio_close(make("d/a"));
	cr_assert_eq(vio_syncdir(v, "d"), 0);
	n = survivals("d/a");
	cr_assert(n > 10 && n < 190, "%u", n);
	cr_assert_eq(vio_syncdir(v, "."), 0);
	cr_assert_eq(survivals("d/a"), 200);
}

Test(sim, mkdirs_is_durable_when_it_returns)
{
	cr_assert_eq(vio_mkdirs(v, "x/y//z/"), 0);
	cr_assert_eq(survivals("x/y/z"), 200);
	cr_assert_eq(vio_mkdirs(v, "x/y/z"), 0);
}

Test(sim, a_rename_is_the_old_or_the_new)
{
	unsigned old = 0;
	unsigned new = 0;

	cr_assert_eq(vio_mkdirs(v, "d"), 0);
	put("a", "one");
	put("b", "two");
	cr_assert_eq(vio_rename(v, "a", "d/c"), 0);
	cr_assert_eq(vio_rename(v, "b", "a"), 0);
	for (int i = 0; i < 200; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		autofree char *a = NULL;
		autofree char *b = NULL;
		autofree char *d = NULL;

		vio_sim_crash(c, &dice);
		a = get(vio_sim_vio(c), "a");
		b = get(vio_sim_vio(c), "b");
		d = get(vio_sim_vio(c), "d/c");
		if (d == NULL) {
			old++;
			cr_assert_str_eq(a, "one");
			cr_assert_str_eq(b, "two");
		} else {
			new ++;
			cr_assert_str_eq(d, "one");
			/* The second rename is done or not. */
			cr_assert((a == NULL) != (b == NULL));
			cr_assert_str_eq(a ? a : b, "two");
		}
		vio_sim_free(c);
	}
	cr_assert(old > 20 && new > 20, "%u %u", old, new);
}

Test(sim, an_ordered_disk_syncs_names_with_data)
{
	struct vio_sim_options opt = { .ordered = true };
	struct vio_file *f;

	vio_sim_free(sim);
	sim = vio_sim_new(&opt);
	v = vio_sim_vio(sim);
	f = make("a");
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
	cr_assert_eq(survivals("a"), 200);
}

Test(sim, a_failed_call_fails_once_or_for_ever)
{
	struct vio_file *f = make("a");

	vio_sim_fail(sim, VIO_SIM_WRITE, 2, ENOSPC, false);
	cr_assert_eq(vio_pwrite(f, "x", 1, 0), 0);
	cr_assert_eq(vio_pwrite(f, "x", 1, 0), -ENOSPC);
	cr_assert(vio_sim_failed(sim));
	cr_assert_eq(vio_pwrite(f, "x", 1, 0), 0);
	vio_sim_fail(sim, VIO_SIM_SYNC | VIO_SIM_RENAME, 1, EIO, true);
	cr_assert_eq(vio_pwrite(f, "x", 1, 0), 0);
	cr_assert_eq(vio_fdatasync(f), -EIO);
	cr_assert_eq(vio_rename(v, "a", "b"), -EIO);
	cr_assert_eq(vio_fdatasync(f), -EIO);
	vio_sim_fail(sim, 0, 0, EIO, false);
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
}

Test(sim, a_failed_sync_is_not_made_good_by_the_next)
{
	unsigned lost = 0;

	put("a", "old");
	for (int i = 0; i < 100; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		struct vio_file *f = NULL;
		autofree char *is = NULL;

		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_WRITE), 0);
		cr_assert_eq(vio_pwrite(f, "x", 1, 0), 0);
		vio_sim_fail(c, VIO_SIM_SYNC, 1, EIO, false);
		for (int k = 0; k < i; k++)
			prng_u64(&dice);
		cr_assert_eq(vio_fdatasync(f), -EIO);
		cr_assert_eq(vio_fdatasync(f), 0);
		vio_close(f);
		vio_sim_crash(c, &dice);
		is = get(vio_sim_vio(c), "a");
		lost += strcmp(is, "old") == 0;
		vio_sim_free(c);
		/* The clone copies the dice: move them on. */
		vio_sim_fail(sim, VIO_SIM_WRITE, 1, EIO, false);
		cr_assert_eq(vio_open(v, &f, "dust", VIO_WRITE | VIO_CREATE),
			     0);
		cr_assert_eq(vio_pwrite(f, "xy", 2, 0), -EIO);
		vio_close(f);
	}
	cr_assert(lost > 10, "%u", lost);
}

Test(sim, after_the_stop_nothing_changes)
{
	struct vio_file *f = make("a");
	struct vio_file *g = NULL;

	cr_assert_eq(vio_pwrite(f, "1", 1, 0), 0);
	vio_sim_stop_at(sim, 2);
	cr_assert_eq(vio_pwrite(f, "2", 1, 1), 0);
	cr_assert_not(vio_sim_stopped(sim));
	cr_assert_eq(vio_fdatasync(f), -EIO);
	cr_assert(vio_sim_stopped(sim));
	cr_assert_eq(vio_pwrite(f, "3", 1, 2), -EIO);
	cr_assert_eq(vio_open(v, &g, "b", VIO_WRITE | VIO_CREATE), -EIO);
	cr_assert_eq(vio_rename(v, "a", "b"), -EIO);
	vio_close(f);
	vio_sim_kill(sim);
	expect("a", "12");
	expect("b", NULL);
}

Test(sim, a_stopped_write_may_be_there_after_the_crash)
{
	unsigned there = 0;

	put("a", "a");
	for (int i = 0; i < 100; i++) {
		struct vio_sim *c = vio_sim_clone(sim);
		struct vio_file *f = NULL;
		autofree char *is = NULL;

		cr_assert_eq(vio_open(vio_sim_vio(c), &f, "a", VIO_WRITE), 0);
		vio_sim_stop_at(c, 1);
		cr_assert_eq(vio_pwrite(f, "b", 1, 0), -EIO);
		vio_close(f);
		vio_sim_crash(c, &dice);
		is = get(vio_sim_vio(c), "a");
		there += is[0] == 'b';
		vio_sim_free(c);
	}
	cr_assert(there > 10 && there < 95, "%u", there);
}

Test(sim, handles_of_an_earlier_boot_are_dead)
{
	struct vio_file *f = make("a");
	struct vio_stat st;
	char c;

	cr_assert_eq(vio_pwrite(f, "x", 1, 0), 0);
	vio_sim_kill(sim);
	cr_assert_eq(vio_pread(f, &c, 1, 0), -EIO);
	cr_assert_eq(vio_pwrite(f, "y", 1, 0), -EIO);
	cr_assert_eq(vio_fdatasync(f), -EIO);
	cr_assert_eq(vio_fstat(f, &st), -EIO);
	vio_close(f);
	expect("a", "x");
}

Test(sim, a_full_disk_says_so)
{
	struct vio_file *f = make("a");
	struct vio_space sp;
	uint8_t page[4096] = { 1 };

	vio_sim_set_space(sim, 3 * 4096);
	cr_assert_eq(vio_pwrite(f, page, 4096, 0), 0);
	cr_assert_eq(vio_pwrite(f, page, 4096, 0), 0);
	cr_assert_eq(vio_allocate(f, 0, 3 * 4096), 0);
	cr_assert_eq(vio_space(v, &sp), 0);
	cr_assert_eq(sp.free_bytes, 0);
	cr_assert_eq(vio_pwrite(f, page, 4096, 2 * 4096), 0);
	cr_assert_eq(vio_pwrite(f, page, 4096, 3 * 4096), -ENOSPC);
	cr_assert_eq(vio_allocate(f, 0, 4 * 4096), -ENOSPC);
	cr_assert_eq(vio_truncate(f, 4096), 0);
	cr_assert_eq(vio_space(v, &sp), 0);
	cr_assert_eq(sp.free_bytes, 2 * 4096);
	vio_close(f);
	cr_assert_eq(vio_unlink(v, "a"), 0);
	cr_assert_eq(vio_syncdir(v, "."), 0);
	cr_assert_eq(vio_space(v, &sp), 0);
	cr_assert_eq(sp.free_bytes, 3 * 4096);
}

Test(sim, preallocated_files_cost_nothing)
{
	for (int i = 0; i < 100; i++) {
		char name[16];
		struct vio_file *f;

		snprintf(name, sizeof(name), "f%d", i);
		f = make(name);
		cr_assert_eq(vio_allocate(f, 0, 64 << 20), 0);
		cr_assert_eq(vio_pwrite(f, "x", 1, 1000), 0);
		cr_assert_eq(vio_fdatasync(f), 0);
		vio_close(f);
	}
	cr_assert_leq(vio_sim_memory(sim), 100 * 4096);
}

Test(sim, a_lock_has_one_holder)
{
	struct vio_file *f = make("a");
	struct vio_file *g = make("a");

	cr_assert_eq(vio_lock(f), 0);
	cr_assert_eq(vio_lock(f), 0);
	cr_assert_eq(vio_lock(g), -EBUSY);
	vio_close(f);
	cr_assert_eq(vio_lock(g), 0);
	vio_close(g);
}

Test(sim, a_clone_goes_its_own_way)
{
	struct vio_sim *c;
	autofree char *is = NULL;
	struct vio_file *f;

	put("a", "one");
	c = vio_sim_clone(sim);
	f = make("a");
	cr_assert_eq(vio_pwrite(f, "two", 3, 0), 0);
	vio_close(f);
	is = get(vio_sim_vio(c), "a");
	cr_assert_str_eq(is, "one");
	expect("a", "two");
	vio_sim_free(c);
	expect("a", "two");
}

Test(sim, a_flipped_bit_stays_flipped)
{
	put("a", "abc");
	cr_assert_eq(vio_sim_flip(sim, "a", 1, 0), 0);
	expect("a", "acc");
	vio_sim_crash(sim, &dice);
	expect("a", "acc");
	cr_assert_eq(vio_sim_flip(sim, "a", 3, 0), -EINVAL);
	cr_assert_eq(vio_sim_flip(sim, "no", 0, 0), -ENOENT);
}

Test(sim, copies_and_modes)
{
	struct vio_stat st;

	put("a", "abc");
	cr_assert_eq(vio_sim_copy(sim, "a", "b"), 0);
	cr_assert_eq(vio_sim_chmod(sim, "b", 0600), 0);
	vio_sim_crash(sim, &dice);
	expect("b", "abc");
	cr_assert_eq(vio_stat(v, "b", &st), 0);
	cr_assert_eq(st.mode, S_IFREG | 0600);
	cr_assert_eq(st.size, 3);
}

static int count_name(void *ctx, const char *name)
{
	cr_assert_eq(strlen(name), 1);
	++*(int *)ctx;
	return 0;
}

Test(sim, names_behave_as_posix_says)
{
	int n = 0;
	struct vio_file *f = NULL;

	cr_assert_eq(vio_mkdir(v, "d"), 0);
	cr_assert_eq(vio_mkdir(v, "d"), -EEXIST);
	put("d/a", "1");
	put("d/b", "2");
	cr_assert_eq(vio_rmdir(v, "d"), -ENOTEMPTY);
	cr_assert_eq(vio_unlink(v, "d"), -EISDIR);
	cr_assert_eq(vio_rmdir(v, "d/a"), -ENOTDIR);
	cr_assert_eq(vio_rename(v, "d", "d/x"), -EINVAL);
	cr_assert_eq(vio_rename(v, "d/no", "d/x"), -ENOENT);
	cr_assert_eq(vio_rename(v, "d/a", "d/b"), 0);
	cr_assert_eq(vio_open(v, &f, "d/a", VIO_READ), -ENOENT);
	cr_assert_eq(vio_open(v, &f, "d/b/c", VIO_READ), -ENOTDIR);
	cr_assert_eq(vio_open(v, &f, "d", VIO_READ), -EISDIR);
	cr_assert_eq(vio_open(v, &f, "d/b", VIO_WRITE | VIO_CREATE | VIO_EXCL),
		     -EEXIST);
	cr_assert_eq(vio_list(v, "d", count_name, &n), 0);
	cr_assert_eq(n, 1);
	expect("d/b", "1");
	cr_assert_eq(vio_unlink(v, "d/b"), 0);
	cr_assert_eq(vio_rmdir(v, "d"), 0);
}

Test(sim, open_files_outlive_their_names)
{
	struct vio_file *f;
	char c = 0;

	put("a", "x");
	f = make("a");
	cr_assert_eq(vio_unlink(v, "a"), 0);
	cr_assert_eq(vio_pread(f, &c, 1, 0), 1);
	cr_assert_eq(c, 'x');
	vio_close(f);
}

Test(sim, clocks_go_forward_and_step)
{
	int64_t wall = vio_wall_ns(v);
	int64_t mono = vio_mono_ns(v);

	vio_sim_advance(sim, 5000000000);
	cr_assert_geq(vio_mono_ns(v), mono + 5000000000);
	vio_sim_step_wall(sim, -10000000000);
	cr_assert_lt(vio_wall_ns(v), wall);
	cr_assert_gt(vio_mono_ns(v), mono);
	vio_sim_set_wall_synced(sim, false);
	cr_assert_not(vio_wall_synced(v));
}

Test(sim, the_same_seed_gives_the_same_run)
{
	uint8_t a[32];
	uint8_t b[32];

	vio_sim_reseed(sim, 7);
	cr_assert_eq(vio_random(v, a, sizeof(a)), 0);
	vio_sim_reseed(sim, 7);
	cr_assert_eq(vio_random(v, b, sizeof(b)), 0);
	cr_assert_eq(memcmp(a, b, sizeof(a)), 0);
}

struct seen {
	unsigned syncs;
	char last[64];
};

static void on_call(void *ctx, enum vio_sim_class class, const char *path)
{
	struct seen *s = ctx;

	if (class != VIO_SIM_SYNC)
		return;
	s->syncs++;
	snprintf(s->last, sizeof(s->last), "%s", path);
}

Test(sim, calls_are_counted_and_seen)
{
	struct seen seen = { 0 };
	uint64_t before = vio_sim_count(sim, VIO_SIM_SYNC);

	vio_sim_set_hook(sim, on_call, &seen);
	put("a", "x");
	cr_assert_eq(seen.syncs, 1);
	cr_assert_str_eq(seen.last, "a");
	cr_assert_eq(vio_sim_count(sim, VIO_SIM_SYNC), before + 1);
	cr_assert_gt(vio_sim_count(sim, VIO_SIM_CHANGE), 2);
}

Test(sim, random_operations_match_themselves_without_a_crash)
{
	/* sync_all then crash must change nothing, whatever was done. */
	for (int round = 0; round < 30; round++) {
		struct vio_sim *c;

		for (int i = 0; i < 50; i++) {
			char a[16];
			char b[16];
			struct vio_file *f = NULL;
			uint8_t junk[3000];

			snprintf(a, sizeof(a), "f%d",
				 (int)prng_below(&dice, 8));
			snprintf(b, sizeof(b), "f%d",
				 (int)prng_below(&dice, 8));
			switch (prng_below(&dice, 6)) {
			case 0:
				cr_assert(vio_rename(v, a, b) <= 0);
				break;
			case 1:
				cr_assert(vio_unlink(v, a) <= 0);
				break;
			case 2:
				f = make(a);
				cr_assert_eq(vio_truncate(f, prng_below(&dice,
									9000)),
					     0);
				break;
			case 3:
				f = make(a);
				cr_assert_eq(vio_fdatasync(f), 0);
				break;
			default:
				f = make(a);
				prng_bytes(&dice, junk, sizeof(junk));
				cr_assert_eq(
					vio_pwrite(f, junk,
						   prng_below(&dice, 3000),
						   prng_below(&dice, 20000)),
					0);
			}
			vio_close(f);
		}
		c = vio_sim_clone(sim);
		vio_sim_sync_all(c);
		vio_sim_crash(c, &dice);
		for (int i = 0; i < 8; i++) {
			char name[16];
			struct buf x = BUF_INIT;
			struct buf y = BUF_INIT;
			int rc1;
			int rc2;

			snprintf(name, sizeof(name), "f%d", i);
			rc1 = vio_read_file(v, &x, name, 1 << 20);
			rc2 = vio_read_file(vio_sim_vio(c), &y, name, 1 << 20);
			cr_assert_eq(rc1, rc2);
			cr_assert_eq(x.n, y.n);
			if (x.n > 0)
				cr_assert_eq(memcmp(x.p, y.p, x.n), 0);
			buf_release(&x);
			buf_release(&y);
		}
		vio_sim_free(c);
	}
}
