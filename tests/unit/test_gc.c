/*
 * test_gc.c - what gc takes and what it must not take, on the simulated disk.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"
#include "tests/sim/gc_box.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

enum { BIG = 3 << 20 };

static uint8_t bytes[BIG], got[BIG];

static void start(struct vol *v, uint64_t seed)
{
	vol_init(v, seed);
	cr_assert_eq(vol_mount(v), 0);
}

static void remount(struct vol *v)
{
	cr_assert_eq(vol_umount(v), 0);
	cr_assert_eq(vol_mount(v), 0);
}

static void end(struct vol *v)
{
	cr_assert_eq(gc_box_damage(v->core), 0);
	cr_assert_eq(vol_umount(v), 0);
	vol_release(v);
}

static void fill(uint64_t seed, size_t n)
{
	struct prng p;

	prng_init(&p, seed);
	prng_bytes(&p, bytes, n);
}

static struct handle *make(struct core *c, const char *name, uint64_t *out_ino)
{
	struct handle *h = NULL;
	struct stat st;

	cr_assert_eq(core_create(c, &vol_cred, 1, name, 0644, O_RDWR, &h, &st),
		     0);
	*out_ino = st.st_ino;
	return h;
}

static struct handle *open_ino(struct core *c, uint64_t ino)
{
	struct handle *h = NULL;
	bool keep;

	cr_assert_eq(
		core_open_file(c, &vol_cred, ino, O_RDWR, false, &h, &keep), 0);
	return h;
}

static void put(struct core *c, struct handle *h, uint64_t seed, size_t n)
{
	fill(seed, n);
	cr_assert_eq(core_write(c, &vol_cred, h, bytes, n, 0, false, false), 0);
}

/* A version of ino with these bytes. */
static void version(struct core *c, uint64_t ino, uint64_t seed, size_t n)
{
	struct handle *h = open_ino(c, ino);
	struct stat in = { .st_size = 0 }, out;

	cr_assert_eq(core_setattr(c, &vol_cred, ino, CORE_SET_SIZE, &in, &out),
		     0);
	put(c, h, seed, n);
	cr_assert_eq(file_version(c, h->file, ENTRY_REASON_DEMAND), 0);
	core_release(c, h);
	cr_assert_eq(core_sync(c), 0);
	cr_assert_eq(core_settle_index(c), 0);
	while (core_step(c))
		;
}

static void holds(struct core *c, uint64_t ino, uint64_t seed, size_t n)
{
	struct handle *h = open_ino(c, ino);

	fill(seed, n);
	memset(got, 0, n);
	cr_assert_eq(core_read(c, h, got, n, 0), (ssize_t)n);
	cr_assert_eq(memcmp(bytes, got, n), 0);
	core_release(c, h);
}

static uint64_t stored(struct core *c)
{
	struct store_stat st;

	store_stat(core_store(c), &st);
	return st.stored_bytes;
}

Test(gc, takes_nothing_that_a_version_needs)
{
	struct core_gc_report r;
	struct vol v;
	uint64_t a, b;

	start(&v, 1);
	core_release(v.core, make(v.core, "a", &a));
	core_release(v.core, make(v.core, "b", &b));
	version(v.core, a, 1, BIG);
	version(v.core, a, 2, BIG);
	version(v.core, b, 3, 1000);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_eq(r.packs_deleted + r.packs_rewritten, 0);
	cr_assert_eq(r.bytes_after, r.bytes_before);
	fill(1, BIG);
	cr_assert_eq(gc_box_read_version(v.core, a, 1, got, BIG), 0);
	cr_assert_eq(memcmp(bytes, got, BIG), 0);
	holds(v.core, a, 2, BIG);
	holds(v.core, b, 3, 1000);
	end(&v);
}

Test(gc, gives_back_what_was_released)
{
	struct core_gc_report r;
	struct vol v;
	uint64_t a, before;

	start(&v, 2);
	core_release(v.core, make(v.core, "a", &a));
	version(v.core, a, 1, BIG);
	version(v.core, a, 2, BIG);
	version(v.core, a, 3, BIG);
	before = stored(v.core);
	cr_assert_eq(gc_box_release(v.core, a, 1, 2), 0);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_gt(r.packs_rewritten, 0);
	cr_assert_geq(r.bytes_freed, 2ULL * BIG);
	cr_assert_lt(r.bytes_after, 3ULL * BIG / 2);
	cr_assert_eq(stored(v.core), before - r.bytes_freed);
	cr_assert_eq(gc_box_read_version(v.core, a, 1, got, BIG),
		     -ERR_MISSING_CHUNK);
	holds(v.core, a, 3, BIG);
	cr_assert_eq(gc_box_damage(v.core), 0);
	/* and after a start, from the disk alone */
	remount(&v);
	holds(v.core, a, 3, BIG);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_eq(r.packs_deleted + r.packs_rewritten, 0, "nothing is left");
	end(&v);
}

Test(gc, dry_run_foretells_and_changes_nothing)
{
	const struct core_gc_options o = { .dry_run = true };
	struct core_gc_report r;
	struct vol v;
	uint64_t a, before;

	start(&v, 3);
	core_release(v.core, make(v.core, "a", &a));
	version(v.core, a, 1, BIG);
	version(v.core, a, 2, 1000);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	before = stored(v.core);
	cr_assert_eq(gc_box_run(v.core, &r, &o), 0);
	cr_assert_geq(r.bytes_freed, (uint64_t)BIG);
	cr_assert_eq(stored(v.core), before);
	cr_assert_eq(r.bytes_after, r.bytes_before);
	cr_assert_eq(gc_box_read_version(v.core, a, 1, got, BIG), 0);
	end(&v);
}

Test(gc, keeps_what_an_open_file_has_written)
{
	struct core_gc_report r;
	struct vol v;
	struct handle *h;
	uint64_t a, b, seq;

	start(&v, 4);
	core_release(v.core, make(v.core, "b", &b));
	version(v.core, b, 7, BIG);
	h = make(v.core, "a", &a);
	put(v.core, h, 1, BIG);
	/* chunks in packs, and no entry names them */
	{
		struct content_saved s;

		cr_assert_eq(content_save(h->file->content, &s), 0);
		content_saved_release(&s);
	}
	cr_assert_eq(gc_box_release(v.core, b, 1, 1), 0);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_gt(r.chunks_leased, 0);
	memset(got, 0, BIG);
	cr_assert_eq(core_read(v.core, h, got, BIG, 0), BIG);
	cr_assert_eq(memcmp(bytes, got, BIG), 0);
	cr_assert_eq(file_save(v.core, h->file, &seq), 0);
	core_release(v.core, h);
	remount(&v);
	holds(v.core, a, 1, BIG);
	end(&v);
}

Test(gc, a_write_of_released_bytes_stores_them_again)
{
	struct core_gc_report r;
	struct vol v;
	uint64_t a, b;

	start(&v, 5);
	core_release(v.core, make(v.core, "a", &a));
	core_release(v.core, make(v.core, "b", &b));
	version(v.core, a, 1, BIG);
	version(v.core, a, 2, 1000);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	version(v.core, b, 1, BIG);
	holds(v.core, b, 1, BIG);
	remount(&v);
	holds(v.core, b, 1, BIG);
	end(&v);
}

Test(gc, a_damaged_record_keeps_its_pack)
{
	struct core_gc_report r;
	struct vol v;
	uint64_t a, b;
	struct packfile *f;

	start(&v, 6);
	core_release(v.core, make(v.core, "a", &a));
	core_release(v.core, make(v.core, "b", &b));
	version(v.core, a, 1, BIG);
	version(v.core, b, 2, BIG);
	version(v.core, a, 3, 1000);
	remount(&v);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	/* a bit of what b needs */
	f = packs_after(&v.core->store->packs, 0);
	for (; f; f = packs_after(&v.core->store->packs, f->number))
		if (f->end > BIG / 2)
			cr_assert_eq(
				vio_sim_flip(v.sim, f->name, f->end * 3 / 4, 3),
				0);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_eq(r.packs_kept, 1);
	cr_assert_eq(r.packs_rewritten, 0);
	cr_assert_eq(vol_umount(&v), 0);
	vol_release(&v);
}

/* A replica on a disk of its own, with all packs there are. */
static struct replica *copy_packs(struct vol *v, struct vio_sim *disk,
				  const uint8_t volume[16])
{
	struct errmsg em = ERRMSG_INIT;
	struct replica *r = NULL;
	char name[64];

	cr_assert_eq(replica_dir_open_vio(&r, vio_sim_vio(disk), "away", volume,
					  1, &em),
		     0, "%s", em.text);
	for (uint64_t i = 1; i < 16; i++) {
		struct buf b = BUF_INIT;

		snprintf(name, sizeof(name), "packs/%08u.pack", (unsigned)i);
		if (vio_read_file(vio_sim_vio(v->sim), &b, name, 64 << 20) == 0)
			cr_assert_eq(r->ops->append(r, name, 0, b.p, b.n), 0);
		buf_release(&b);
	}
	return r;
}

/* Cuts the end off the packs of more than a file. */
static void cut_packs(struct vol *v)
{
	struct vio *d = vio_sim_vio(v->sim);
	struct vio_stat st;
	char name[64];

	for (uint64_t i = 1; i < 16; i++) {
		struct vio_file *f = NULL;

		snprintf(name, sizeof(name), "packs/%08u.pack", (unsigned)i);
		if (vio_stat(d, name, &st) < 0 || st.size < BIG / 2)
			continue;
		cr_assert_eq(vio_open(d, &f, name, VIO_WRITE), 0);
		cr_assert_eq(vio_truncate(f, st.size * 4 / 5), 0);
		cr_assert_eq(vio_fdatasync(f), 0);
		vio_close(f);
	}
}

static bool any_pack(void *ctx, struct packfile *f)
{
	(void)ctx;
	(void)f;
	return true;
}

/* What a pack lost at its end is not lost on the replica, too. */
Test(gc, a_pack_that_was_cut_short_is_whole_before_it_goes)
{
	struct vio_sim *away = vio_sim_new(NULL);
	struct core_gc_report r;
	struct replica *copy;
	struct handle *h;
	struct vol v;
	uint8_t volume[16];
	uint64_t a, b;

	start(&v, 12);
	memcpy(volume, v.core->store->packs.volume_id, sizeof(volume));
	core_release(v.core, make(v.core, "a", &a));
	core_release(v.core, make(v.core, "b", &b));
	version(v.core, a, 1, BIG);
	version(v.core, b, 2, BIG);
	cr_assert_eq(packs_seal_idle(&v.core->store->packs, any_pack, NULL), 0);
	/* trees in another pack than the chunks that they name */
	version(v.core, a, 3, 1000);
	h = open_ino(v.core, b);
	cr_assert_eq(
		core_write(v.core, &vol_cred, h, "new", 3, 0, false, false), 0);
	core_release(v.core, h);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	remount(&v);
	cr_assert_eq(gc_box_release(v.core, b, 1, 1), 0);
	cr_assert_eq(vol_umount(&v), 0);
	copy = copy_packs(&v, away, volume);
	cut_packs(&v);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(store_replica_add(v.core->store, copy), 0);
	/* a replica that does not answer may have more */
	vio_sim_fail(away, VIO_SIM_ANY, 1, EIO, true);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_eq(r.packs_deleted + r.packs_rewritten, 0);
	cr_assert_gt(r.packs_kept, 0);
	vio_sim_fail(away, 0, 0, EIO, false);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_gt(r.packs_rewritten, 0);
	cr_assert_eq(r.packs_kept, 0);
	fill(2, BIG);
	memcpy(bytes, "new", 3);
	h = open_ino(v.core, b);
	cr_assert_eq(core_read(v.core, h, got, BIG, 0), BIG);
	cr_assert_eq(memcmp(bytes, got, BIG), 0);
	core_release(v.core, h);
	end(&v);
	vio_sim_free(away);
}

static int stop(void *ctx, const char *part, uint64_t done, uint64_t all)
{
	(void)done;
	(void)all;
	return strcmp(part, ctx) == 0;
}

Test(gc, ends_when_asked_to)
{
	static char parts[][8] = { "mark", "look", "sweep" };
	struct core_gc_report r;
	struct vol v;
	uint64_t a;

	start(&v, 7);
	core_release(v.core, make(v.core, "a", &a));
	version(v.core, a, 1, BIG);
	version(v.core, a, 2, BIG);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	for (int i = 0; i < 3; i++) {
		const struct core_gc_options o = { .progress = stop,
						   .ctx = parts[i] };

		vio_sim_advance(v.sim, 1000000000);
		cr_assert_eq(gc_box_run(v.core, &r, &o), -ECANCELED);
		holds(v.core, a, 2, BIG);
		cr_assert_eq(gc_box_damage(v.core), 0);
	}
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_gt(r.bytes_freed, 0);
	end(&v);
}

Test(gc, removed_packs_stay_removed)
{
	struct core_gc_report r;
	struct vol v;
	uint64_t a, next;
	struct vio_stat st;

	start(&v, 8);
	core_release(v.core, make(v.core, "a", &a));
	version(v.core, a, 1, BIG);
	version(v.core, a, 2, 100);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	cr_assert_eq(vio_sim_copy(v.sim, "packs/00000001.pack", "keep"), 0);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert(packs_is_removed(&v.core->store->packs, 1));
	next = v.core->store->packs.next;
	cr_assert_eq(vol_umount(&v), 0);
	/* its file comes back, and the table of places goes */
	cr_assert_eq(vio_sim_copy(v.sim, "keep", "packs/00000001.pack"), 0);
	cr_assert_eq(locations_remove(vio_sim_vio(v.sim)), 0);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert_eq(vio_stat(vio_sim_vio(v.sim), "packs/00000001.pack", &st),
		     -ENOENT);
	cr_assert_geq(v.core->store->packs.next, next - 1);
	cr_assert(packs_is_removed(&v.core->store->packs, 1));
	holds(v.core, a, 2, 100);
	end(&v);
}

static void write_list(struct vol *v, const char *text, size_t n)
{
	struct vio_file *f = NULL;

	cr_assert_eq(vio_open(vio_sim_vio(v->sim), &f, "packs/removed",
			      VIO_WRITE | VIO_CREATE | VIO_TRUNC),
		     0);
	cr_assert_eq(vio_pwrite(f, text, n, 0), 0);
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
}

Test(gc, a_damaged_or_foreign_list_of_removed_packs_is_told_and_not_believed)
{
	const uint8_t other[16] = "another volume!";
	struct removed l = { .n = 0 };
	struct vol v;
	uint64_t a;

	start(&v, 18);
	core_release(v.core, make(v.core, "a", &a));
	version(v.core, a, 1, BIG);
	cr_assert_eq(removed_add(&l, 1), 0);
	for (int k = 0; k < 2; k++) {
		struct buf b = BUF_INIT;
		char words[160] = "";

		removed_encode(&b, &l,
			       k == 0 ? other : v.core->store->packs.volume_id);
		cr_assert(!b.bad);
		if (k == 1)
			b.p[b.n - 30] ^= 1;
		cr_assert_eq(vol_umount(&v), 0);
		write_list(&v, (const char *)b.p, b.n);
		buf_release(&b);
		cr_assert_eq(vol_mount(&v), 0);
		cr_assert(!packs_is_removed(&v.core->store->packs, 1));
		holds(v.core, a, 1, BIG);
		cr_assert_gt(store_notes(v.core->store, words, sizeof(words)),
			     0);
		cr_assert(strstr(words, k ? "damaged" : "another volume"));
		cr_assert_eq(gc_box_damage(v.core), 1);
		cr_assert_eq(packs_remove(&v.core->store->packs, NULL, 0), 0);
		cr_assert_eq(gc_box_damage(v.core), 0);
	}
	removed_release(&l);
	end(&v);
}

Test(gc, an_older_list_of_removed_packs_is_read)
{
	const char head[] = "vouchfs removed packs 1\n7 9\n";
	char text[80];
	int n = snprintf(text, sizeof(text), "%scheck %016" PRIx64 "\n", head,
			 (uint64_t)XXH64(head, strlen(head), 0));
	struct vol v;

	start(&v, 19);
	cr_assert_eq(vol_umount(&v), 0);
	write_list(&v, text, (size_t)n);
	cr_assert_eq(vol_mount(&v), 0);
	cr_assert(packs_is_removed(&v.core->store->packs, 8));
	cr_assert(!packs_is_removed(&v.core->store->packs, 10));
	end(&v);
}

Test(gc, a_long_attribute_of_what_is_removed_can_still_be_read)
{
	struct core_gc_report r;
	struct stat st;
	struct vol v;
	uint64_t a;

	start(&v, 20);
	core_release(v.core, make(v.core, "a", &a));
	version(v.core, a, 1, 100);
	cr_assert_eq(
		core_mknod(v.core, &vol_cred, 1, "d", S_IFDIR | 0755, 0, &st),
		0);
	fill(77, 3000);
	cr_assert_eq(core_setxattr(v.core, &vol_cred, st.st_ino, "user.long",
				   bytes, 3000, 0, false),
		     0);
	version(v.core, a, 2, BIG);
	/* somebody's working directory */
	cr_assert_eq(core_rmdir(v.core, &vol_cred, 1, "d"), 0);
	cr_assert_eq(gc_box_release(v.core, a, 1, 1), 0);
	version(v.core, a, 3, 100);
	cr_assert_eq(gc_box_release(v.core, a, 2, 2), 0);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_gt(r.packs_deleted + r.packs_rewritten, 0);
	cr_assert_eq(core_getxattr(v.core, st.st_ino, "user.long", got, 3000),
		     3000);
	fill(77, 3000);
	cr_assert_eq(memcmp(bytes, got, 3000), 0);
	end(&v);
}

Test(gc, a_run_leaves_room_for_the_log)
{
	struct core_gc_options o = { .live_percent = 100 };
	struct core_gc_report r;
	struct vio_space sp;
	struct vol v;
	uint64_t a;

	start(&v, 21);
	core_release(v.core, make(v.core, "a", &a));
	for (int i = 1; i <= 6; i++)
		version(v.core, a, (uint64_t)i, BIG);
	cr_assert_eq(gc_box_release(v.core, a, 2, 2), 0);
	remount(&v);
	while (space_relieve(store_space(v.core->store), SPACE_SETTLE))
		;
	vio_sim_set_space(v.sim, 10 << 20); /* the reserve, not all of it */
	vio_sim_advance(v.sim, 1000000000);
	cr_assert_eq(gc_box_run(v.core, &r, &o), -ENOSPC);
	cr_assert_eq(r.bytes_copied, 0, "half a pack gives nothing back");
	cr_assert_eq(vio_space(vio_sim_vio(v.sim), &sp), 0);
	sp.free_bytes += ballast_held(&store_space(v.core->store)->ballast);
	cr_assert_geq(sp.free_bytes, 8 << 20);
	vio_sim_set_space(v.sim, UINT64_MAX);
	vio_sim_advance(v.sim, 1000000000);
	cr_assert_eq(gc_box_run(v.core, &r, &o), 0);
	cr_assert_gt(r.bytes_freed, BIG / 2);
	end(&v);
}

Test(gc, saves_stay_unless_they_are_given_up)
{
	const struct core_gc_options drop = { .drop_saves = true };
	struct core_gc_report r;
	struct vol v;
	struct handle *h;
	uint64_t a, seq;

	start(&v, 9);
	h = make(v.core, "a", &a);
	put(v.core, h, 1, BIG);
	cr_assert_eq(file_save(v.core, h->file, &seq), 0);
	put(v.core, h, 2, BIG);
	cr_assert_eq(file_version(v.core, h->file, ENTRY_REASON_DEMAND), 0);
	core_release(v.core, h);
	remount(&v);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_eq(r.bytes_freed, 0);
	cr_assert_eq(gc_box_run(v.core, &r, &drop), 0);
	cr_assert_geq(r.bytes_freed, (uint64_t)BIG * 9 / 10);
	holds(v.core, a, 2, BIG);
	end(&v);
}

static int submit(struct core *c, struct itable_tx *tx, void *arg)
{
	return core_submit(c, tx, arg, NULL, NULL);
}

/* As when somebody saves while a snapshot makes versions of other files. */
static void snapshot_here(struct core *c)
{
	struct pend *p = pend_new(ENTRY_SNAPSHOT, 1);

	p->e.body.snapshot.name = pend_str(p, "s", 1);
	cr_assert_geq(core_op(c, submit, p), 0);
	cr_assert_eq(core_settle_index(c), 0);
}

Test(gc, a_save_that_a_snapshot_shows_is_not_given_up)
{
	const struct core_gc_options drop = { .drop_saves = true };
	struct core_gc_report r;
	struct vol v;
	struct handle *h;
	uint64_t a, seq;

	start(&v, 13);
	h = make(v.core, "a", &a);
	put(v.core, h, 1, BIG);
	cr_assert_eq(file_save(v.core, h->file, &seq), 0);
	snapshot_here(v.core);
	put(v.core, h, 2, BIG);
	cr_assert_eq(file_save(v.core, h->file, &seq), 0);
	put(v.core, h, 3, BIG);
	cr_assert_eq(file_version(v.core, h->file, ENTRY_REASON_DEMAND), 0);
	core_release(v.core, h);
	remount(&v);
	cr_assert_eq(gc_box_run(v.core, &r, &drop), 0);
	/* the second save, whole, and not the first */
	cr_assert_geq(r.bytes_freed, (uint64_t)BIG * 9 / 10);
	cr_assert_leq(r.bytes_freed, (uint64_t)BIG * 11 / 10);
	holds(v.core, a, 3, BIG);
	end(&v);
}

Test(gc, a_full_disk_is_where_it_helps)
{
	struct core_gc_report r;
	struct vol v;
	uint64_t a;

	start(&v, 10);
	core_release(v.core, make(v.core, "a", &a));
	for (int i = 1; i <= 4; i++)
		version(v.core, a, (uint64_t)i, BIG);
	version(v.core, a, 5, 1000);
	cr_assert_eq(gc_box_release(v.core, a, 1, 4), 0);
	remount(&v);
	vio_sim_set_space(v.sim, 512 << 10);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_geq(r.bytes_freed, 4ULL * BIG);
	vio_sim_set_space(v.sim, UINT64_MAX);
	holds(v.core, a, 5, 1000);
	end(&v);
}

Test(gc, every_save_is_read)
{
	struct core_gc_report r;
	struct vol v;
	struct handle *h;
	uint64_t a, seq;

	start(&v, 11);
	h = make(v.core, "a", &a);
	for (unsigned i = 1; i <= 3; i++) {
		put(v.core, h, i, 10000);
		cr_assert_eq(file_save(v.core, h->file, &seq), 0);
	}
	core_release(v.core, h);
	remount(&v);
	cr_assert_eq(gc_box_run(v.core, &r, NULL), 0);
	cr_assert_eq(r.bytes_freed, 0);
	holds(v.core, a, 3, 10000);
	end(&v);
}
