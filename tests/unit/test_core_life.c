/*
 * test_core_life.c - beginnings and ends: of files without names, of mounts,
 * of handles; and what order in the queue means for attributes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/store/store.h"
#include "fs/core/file.h"
#include "ledger/ledger.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

static struct handle *make(struct core *c, const char *name, int flags,
			   struct stat *st)
{
	struct handle *h = NULL;

	cr_assert_eq(core_create(c, &vol_cred, 1, name, 0644, flags, &h, st),
		     0);
	return h;
}

static void put(struct core *c, struct handle *h, const void *p, size_t n,
		uint64_t off)
{
	cr_assert_eq(core_write(c, &vol_cred, h, p, n, off, false, false), 0);
}

static struct handle *open_named(struct core *c, const char *name, int flags)
{
	struct handle *h = NULL;
	struct stat st;
	bool keep;

	cr_assert_eq(core_lookup(c, 1, name, &st), 0);
	cr_assert_eq(core_open_file(c, &vol_cred, st.st_ino, flags, false, &h,
				    &keep),
		     0);
	return h;
}

static void start(struct vol *v, uint64_t seed)
{
	vol_init(v, seed);
	cr_assert_eq(vol_mount(v), 0);
}

static void end(struct vol *v)
{
	cr_assert_eq(vol_umount(v), 0);
	vol_release(v);
}

/* --- files without names --- */

static void cut(struct core *c, uint64_t ino, off_t size)
{
	struct stat in = { .st_size = size }, out;

	cr_assert_eq(core_setattr(c, &vol_cred, ino, CORE_SET_SIZE, &in, &out),
		     0);
}

/* Its row may be remembered for who still asks; nothing else is kept. */
static bool is_gone(struct core *c, uint64_t ino)
{
	const struct inode *i = itable_find_inode(&c->t, ino);

	return !i || (i->gone && !i->file && !i->refs);
}

Test(core_life, truncated_file_is_gone_when_unlinked)
{
	struct vol v;
	struct stat st;

	start(&v, 1);
	core_release(v.core, make(v.core, "a", O_RDWR, &st));
	cut(v.core, st.st_ino, 100);
	cr_assert_eq(core_unlink(v.core, &vol_cred, 1, "a"), 0);
	cr_assert_eq(v.core->dirty.next, &v.core->dirty);
	cr_assert_eq(content_pool_dirty(v.core->pool), 0);
	while (core_step(v.core))
		;
	cr_assert(is_gone(v.core, st.st_ino));
	end(&v);
}

Test(core_life, truncated_file_is_gone_when_renamed_over)
{
	struct vol v;
	struct stat st, other;

	start(&v, 2);
	core_release(v.core, make(v.core, "a", O_RDWR, &st));
	core_release(v.core, make(v.core, "b", O_RDWR, &other));
	cut(v.core, st.st_ino, 100);
	cr_assert_eq(core_rename(v.core, &vol_cred, 1, "b", 1, "a", 0), 0);
	cr_assert_eq(v.core->dirty.next, &v.core->dirty);
	while (core_step(v.core))
		;
	cr_assert(is_gone(v.core, st.st_ino));
	cr_assert_eq(core_lookup(v.core, 1, "a", &st), 0);
	cr_assert_eq(st.st_ino, other.st_ino);
	end(&v);
}

/* --- how a mount begins tells how the one before ended --- */

/* The newest entry of this kind; it borrows from *rec. */
static struct entry last_entry(struct core *c, uint16_t kind,
			       struct ledger_record *rec)
{
	struct entry e = { .state = ENTRY_CLEAR };

	cr_assert_eq(core_settle_index(c), 0);
	for (uint64_t seal = ledger_size(c->ledger); seal-- > 0;) {
		cr_assert_eq(ledger_read(c->ledger, rec, seal), 0);
		for (uint32_t i = rec->count; i-- > 0;) {
			const uint8_t *p = NULL;
			uint32_t n = 0;

			cr_assert_geq(ledger_record_entry(rec, i, &p, &n), 0);
			cr_assert_geq(entry_open(&e, NULL, p, n, NULL), 0);
			if (e.core.kind == kind)
				return e;
		}
		ledger_record_release(rec);
	}
	cr_assert_fail("no such entry");
	return e;
}

static unsigned start_flags(struct core *c)
{
	struct ledger_record rec;
	unsigned flags =
		last_entry(c, ENTRY_MOUNT_START, &rec).body.mount_start.flags;

	ledger_record_release(&rec);
	return flags;
}

Test(core_life, mount_start_says_how_the_last_mount_ended)
{
	struct vol v;
	struct stat st;

	start(&v, 3);
	cr_assert_eq(start_flags(v.core), ENTRY_START_CLEAN);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(start_flags(v.core), ENTRY_START_CLEAN);
	core_release(v.core, make(v.core, "a", O_RDWR, &st));
	cr_assert_eq(core_sync(v.core), 0);
	vol_kill(&v);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(start_flags(v.core) & ENTRY_START_CLEAN, 0);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(start_flags(v.core), ENTRY_START_CLEAN);
	end(&v);
}

/* --- ends --- */

Test(core_life, handles_left_open_are_closed_with_the_volume)
{
	struct vol v;
	struct stat st;
	struct handle *h;
	char out[8] = "";

	start(&v, 4);
	put(v.core, make(v.core, "a", O_RDWR, &st), "abc", 3, 0);
	make(v.core, "b", O_RDWR, &st);
	cr_assert_eq(core_unlink(v.core, &vol_cred, 1, "b"), 0);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_getattr(v.core, st.st_ino, &st), -ENOENT);
	h = open_named(v.core, "a", O_RDONLY);
	cr_assert_eq(core_read(v.core, h, out, sizeof(out), 0), 3);
	cr_assert_str_eq(out, "abc");
	end(&v);
}

/* Every 512th byte of the first pack is wrong from now on. */
static void damage_pack(struct vol *v)
{
	const char *path = "packs/00000001.pack";

	for (uint64_t off = 4096;; off += 512)
		if (vio_sim_flip(v->sim, path, off, 3) < 0)
			return;
}

Test(core_life, one_file_that_cannot_be_saved_spares_the_others)
{
	static uint8_t bytes[200000];
	struct vol v;
	struct stat st;
	struct handle *h;
	struct prng rng;

	prng_init(&rng, 5);
	prng_bytes(&rng, bytes, sizeof(bytes));
	start(&v, 5);
	h = make(v.core, "bad", O_RDWR, &st);
	put(v.core, h, bytes, sizeof(bytes), 0);
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	damage_pack(&v);
	cr_assert_eq(vol_mount(&v), 0);
	put(v.core, open_named(v.core, "bad", O_RDWR), "x", 1, 100000);
	put(v.core, make(v.core, "good", O_RDWR, &st), "hello", 5, 0);
	cr_assert_lt(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_lookup(v.core, 1, "good", &st), 0);
	cr_assert_eq(st.st_size, 5);
	end(&v);
}

/* --- order of attributes --- */

static struct core *mount_with_actors(struct vol *v)
{
	struct core_options o = {
		.store = v->tmp.path,
		.vio = vio_sim_vio(v->sim),
		.guard_vio = vio_sim_vio(v->guard),
		.no_threads = true,
		.wal_segment_bytes = 1 << 20,
		.journal_segment_bytes = 1 << 20,
	};
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(core_open(&v->core, &o, &em), 0);
	return v->core;
}

Test(core_life, times_of_a_directory_come_after_the_names_in_it)
{
	struct cred cr = vol_cred;
	struct vol v;
	struct stat dir, st, in = { .st_mode = 0700 };
	struct core *c;

	cr.pid = (uint32_t)getpid();
	vol_init(&v, 6);
	c = mount_with_actors(&v);
	cr_assert_eq(core_mknod(c, &cr, 1, "d", S_IFDIR | 0755, 0, &dir), 0);
	cr_assert_eq(core_setattr(c, &cr, dir.st_ino, CORE_SET_MODE, &in, &st),
		     0);
	cr_assert_eq(
		core_mknod(c, &cr, dir.st_ino, "f", S_IFREG | 0644, 0, &st), 0);
	in.st_mtim.tv_sec = 1000000000;
	cr_assert_eq(
		core_setattr(c, &cr, dir.st_ino, CORE_SET_MTIME, &in, &dir), 0);
	cr_assert_eq(dir.st_mtim.tv_sec, 1000000000);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_getattr(v.core, dir.st_ino, &st), 0);
	cr_assert_eq(st.st_mtim.tv_sec, 1000000000);
	cr_assert_eq(st.st_mtim.tv_nsec, 0);
	cr_assert_eq(memcmp(&st.st_ctim, &dir.st_ctim, sizeof(st.st_ctim)), 0);
	end(&v);
}

Test(core_life, changing_what_is_removed_moves_its_ctime)
{
	struct vol v;
	struct stat st, after, in = { .st_mode = 0600 };

	vol_init(&v, 6);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(
		core_mknod(v.core, &vol_cred, 1, "d", S_IFDIR | 0755, 0, &st),
		0);
	cr_assert_eq(core_rmdir(v.core, &vol_cred, 1, "d"), 0);
	cr_assert_eq(core_getattr_removed(v.core, st.st_ino, &st), 0);
	cr_assert_eq(core_setattr(v.core, &vol_cred, st.st_ino, CORE_SET_MODE,
				  &in, &after),
		     0);
	cr_assert(after.st_ctim.tv_sec > st.st_ctim.tv_sec ||
		  after.st_ctim.tv_nsec > st.st_ctim.tv_nsec);
	end(&v);
}

Test(core_life, saving_what_was_written_before_a_chmod_sets_no_ctime_back)
{
	struct vol v;
	struct stat st, after, in = { .st_mode = 0600 };
	struct handle *h = NULL;
	uint64_t seq;

	vol_init(&v, 6);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(
		core_create(v.core, &vol_cred, 1, "f", 0644, O_RDWR, &h, &st),
		0);
	cr_assert_eq(
		core_write(v.core, &vol_cred, h, "x", 1, 70000, false, false),
		0);
	cr_assert_eq(core_setattr(v.core, &vol_cred, st.st_ino, CORE_SET_MODE,
				  &in, &st),
		     0);
	cr_assert_eq(file_save(v.core, h->file, &seq), 0);
	cr_assert_eq(core_getattr(v.core, st.st_ino, &after), 0);
	cr_assert_eq(memcmp(&st.st_ctim, &after.st_ctim, sizeof(st.st_ctim)),
		     0);
	cr_assert_eq(memcmp(&st.st_mtim, &after.st_mtim, sizeof(st.st_mtim)),
		     0);
	core_release(v.core, h);
	cr_assert_eq(vol_umount(&v), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_getattr(v.core, st.st_ino, &after), 0);
	cr_assert_eq(memcmp(&st.st_ctim, &after.st_ctim, sizeof(st.st_ctim)),
		     0);
	end(&v);
}

Test(core_life, ftruncate_to_the_same_size_moves_the_times)
{
	struct vol v;
	struct stat before, after, in = { .st_size = 3 };
	struct handle *h;

	start(&v, 7);
	h = make(v.core, "a", O_RDWR, &before);
	put(v.core, h, "abc", 3, 0);
	cr_assert_eq(core_getattr(v.core, before.st_ino, &before), 0);
	vio_sim_advance(v.sim, 5000000000LL);
	cr_assert_eq(core_setattr(v.core, &vol_cred, before.st_ino,
				  CORE_SET_SIZE, &in, &after),
		     0);
	cr_assert_gt(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	core_release(v.core, h);
	end(&v);
}

Test(core_life, append_comes_and_goes_with_the_flag)
{
	struct vol v;
	struct stat st;
	struct handle *h;
	char out[8] = "";

	start(&v, 8);
	h = make(v.core, "a", O_RDWR | O_APPEND, &st);
	put(v.core, h, "abc", 3, 0);
	put(v.core, h, "def", 3, 0);
	core_handle_append(h, false);
	put(v.core, h, "X", 1, 0);
	cr_assert_eq(core_read(v.core, h, out, sizeof(out), 0), 6);
	cr_assert_str_eq(out, "Xbcdef");
	core_release(v.core, h);
	end(&v);
}

/* --- what a version says --- */

static void assert_path(struct core *c, const char *want)
{
	struct ledger_record rec;
	struct entry e = last_entry(c, ENTRY_VERSION, &rec);

	cr_assert_eq(e.body.version.path.n, strlen(want));
	cr_assert_eq(memcmp(e.body.version.path.p, want, strlen(want)), 0);
	ledger_record_release(&rec);
}

static void assert_version(struct core *c, uint64_t version, uint64_t size)
{
	struct ledger_record rec;
	struct entry e = last_entry(c, ENTRY_VERSION, &rec);

	cr_assert_eq(e.core.version, version);
	cr_assert_eq(e.body.version.size, size);
	ledger_record_release(&rec);
}

/* The kernel tells of the last close when it likes: an open overtakes it. */
Test(core_life, what_was_closed_is_a_version_though_it_is_opened_again_first)
{
	struct handle *h, *again;
	struct stat st;
	struct vol v;

	start(&v, 21);
	h = make(v.core, "a", O_WRONLY, &st);
	put(v.core, h, "one", 3, 0);
	cr_assert_eq(core_flush(v.core, h), 0);
	again = open_named(v.core, "a", O_WRONLY | O_TRUNC);
	assert_version(v.core, 1, 3);
	core_release(v.core, h);
	put(v.core, again, "four", 4, 0);
	core_release(v.core, again);
	assert_version(v.core, 2, 4);
	end(&v);
}

/* The same where nobody tells of a close: what writes only, may be closed. */
Test(core_life, what_may_be_closed_is_a_version_when_it_is_opened_again)
{
	struct handle *h, *again;
	struct stat st;
	struct vol v;

	start(&v, 22);
	h = make(v.core, "a", O_WRONLY, &st);
	put(v.core, h, "one", 3, 0);
	again = open_named(v.core, "a", O_WRONLY | O_TRUNC);
	assert_version(v.core, 1, 3);
	core_release(v.core, h);
	put(v.core, again, "four", 4, 0);
	core_release(v.core, again);
	assert_version(v.core, 2, 4);
	end(&v);
}

static void write_again(struct core *c, const char *name, const char *what)
{
	struct handle *h = open_named(c, name, O_RDWR);

	put(c, h, what, 1, 0);
	core_release(c, h);
}

Test(core_life, path_of_a_version_is_one_of_the_files_names)
{
	struct vol v;
	struct stat a, d, st;

	start(&v, 9);
	core_release(v.core, make(v.core, "a", O_RDWR, &a));
	write_again(v.core, "a", "1");
	assert_path(v.core, "a");
	cr_assert_eq(
		core_mknod(v.core, &vol_cred, 1, "d", S_IFDIR | 0755, 0, &d),
		0);
	cr_assert_eq(core_link(v.core, &vol_cred, a.st_ino, d.st_ino, "b", &st),
		     0);
	write_again(v.core, "a", "2");
	assert_path(v.core, "d/b");
	cr_assert_eq(core_unlink(v.core, &vol_cred, d.st_ino, "b"), 0);
	write_again(v.core, "a", "3");
	assert_path(v.core, "");
	end(&v);
}

/* --- a full disk --- */

static void chmod_often(struct core *c, uint64_t ino, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct stat in = { .st_mode = 0600 + i % 8 }, out;

		cr_assert_eq(core_setattr(c, &vol_cred, ino, CORE_SET_MODE, &in,
					  &out),
			     0);
		if (i % 512 == 0)
			core_step(c);
	}
}

Test(core_life, full_disk_is_waited_for_and_loses_nothing, .timeout = 60)
{
	struct vol v;
	struct stat st, now;
	struct handle *h;
	char out[8] = "";

	start(&v, 10);
	h = make(v.core, "a", O_RDWR, &st);
	put(v.core, h, "abc", 3, 0);
	chmod_often(v.core, st.st_ino, 12001);
	while (space_relieve(store_space(v.core->store), SPACE_SETTLE))
		;
	vio_sim_set_space(v.sim, 0);
	cr_assert_eq(core_sync(v.core), -ENOSPC);
	now.st_mode = 0640;
	cr_assert_eq(core_setattr(v.core, &vol_cred, st.st_ino, CORE_SET_MODE,
				  &now, &now),
		     -ENOSPC);
	cr_assert_eq(commit_failed(v.core->commit), 0);
	cr_assert_eq(core_read(v.core, h, out, sizeof(out), 0), 3);
	vio_sim_set_space(v.sim, UINT64_MAX);
	cr_assert_eq(core_sync(v.core), 0);
	vol_kill(&v);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(core_lookup(v.core, 1, "a", &now), 0);
	cr_assert_eq(now.st_mode & 07777, 0600);
	cr_assert_eq(now.st_size, 3);
	end(&v);
}

/* What the tick could not save is told, once it was tried again in vain. */
Test(core_life, a_background_save_that_fails_is_told, .timeout = 60)
{
	enum { BYTES = 3 << 20 };
	static uint8_t p[BYTES], q[BYTES];
	struct prng r;
	struct vol v;
	struct stat st;
	struct handle *h;

	start(&v, 17);
	prng_init(&r, 17);
	prng_bytes(&r, p, sizeof(p));
	h = make(v.core, "a", O_RDWR, &st);
	put(v.core, h, p, sizeof(p), 0);
	while (space_relieve(store_space(v.core->store), SPACE_SETTLE))
		;
	vio_sim_set_space(v.sim, 0);
	vio_sim_advance(v.sim, 700000000);
	file_tick(v.core);
	cr_assert_eq(core_flush(v.core, h), 0, "room may come back");
	for (int i = 0; i < 2; i++) { /* as long as it stays */
		vio_sim_advance(v.sim, 2000000000);
		file_tick(v.core);
		cr_assert_eq(core_flush(v.core, h), -ENOSPC);
		cr_assert_eq(core_flush(v.core, h), 0, "it was told");
	}
	vio_sim_set_space(v.sim, UINT64_MAX);
	vio_sim_advance(v.sim, 2000000000);
	file_tick(v.core);
	cr_assert_eq(core_flush(v.core, h), 0);
	cr_assert_eq(core_sync(v.core), 0);
	vol_kill(&v);
	cr_assert_eq(vol_mount(&v), 0);
	h = open_named(v.core, "a", O_RDONLY);
	cr_assert_eq(core_read(v.core, h, q, sizeof(q), 0), sizeof(q));
	cr_assert_eq(memcmp(p, q, sizeof(q)), 0);
	core_release(v.core, h);
	end(&v);
}

/* An unmount waits for who answers a request: he gives a long one up. */
Test(core_life, a_plain_digest_is_given_up_when_the_mount_ends, .timeout = 60)
{
	enum { STEP = 64 << 10, STEPS = 16 };
	static uint8_t p[STEP];
	struct vol v = { .quiet = false };
	struct digest sha256;
	struct handle *h = NULL;
	struct stat st;

	start(&v, 31);
	for (int round = 0; round < 2; round++) {
		h = make(v.core, round ? "b" : "a", O_RDWR, &st);
		memset(p, round + 1, sizeof(p));
		for (uint64_t i = STEPS; i-- > 0;) /* not hashed meanwhile */
			put(v.core, h, p, sizeof(p), i * STEP);
		core_release(v.core, h);
		if (round)
			core_digest_end(v.core);
		cr_assert_eq(core_digest(v.core, st.st_ino, &sha256),
			     round ? -ECANCELED : 0);
	}
	end(&v);
}
