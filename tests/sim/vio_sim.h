/*
 * vio_sim.h - a simulated disk, clock and random source behind struct vio.
 *
 * The crash model.  Every file has a durable image and what the running
 * system sees, the volatile image; between the two stands the ordered list of
 * writes that were not synced.  fdatasync makes the file's list durable,
 * write_through its own bytes.  A crash takes each unsynced write by itself
 * and keeps it, loses it, keeps a prefix of its 512-byte sectors, keeps some
 * sectors, garbles one, or keeps the file's new size without the bytes
 * (zeros).  Bytes outside the write's range are never touched (power-safe
 * overwrite), unless `garble_sector`.
 *
 * Names (create, rename, unlink, mkdir, rmdir) become durable with syncdir of
 * their directory only; syncing a new file does not make its name durable.
 * At a crash the unsynced operations of a directory are kept as a prefix; a
 * rename between directories is kept in both or in none.  With `ordered` the
 * disk behaves like ext4: names are kept as one global prefix, and any
 * fdatasync or syncdir makes all names so far durable.
 *
 * Everything is deterministic given the seeds and the order of calls.  One
 * mutex inside: any thread may call.
 */
#ifndef TESTS_SIM_VIO_SIM_H
#define TESTS_SIM_VIO_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vio.h"

struct prng;
struct vio_sim;

/* Classes of calls, or-ed into masks. */
enum vio_sim_class {
	VIO_SIM_OPEN = 1 << 0,
	VIO_SIM_READ = 1 << 1,
	VIO_SIM_WRITE = 1 << 2,
	VIO_SIM_SYNC = 1 << 3, /* fdatasync */
	VIO_SIM_TRUNCATE = 1 << 4,
	VIO_SIM_ALLOCATE = 1 << 5,
	VIO_SIM_STAT = 1 << 6, /* stat, fstat */
	VIO_SIM_LOCK = 1 << 7,
	VIO_SIM_RENAME = 1 << 8,
	VIO_SIM_UNLINK = 1 << 9, /* unlink, rmdir */
	VIO_SIM_MKDIR = 1 << 10,
	VIO_SIM_LIST = 1 << 11,
	VIO_SIM_SYNCDIR = 1 << 12,
	VIO_SIM_SPACE = 1 << 13,
	VIO_SIM_CREATE = 1 << 14, /* an open that makes or empties a file */
	VIO_SIM_WRITEBACK = 1 << 15,
	VIO_SIM_ANY = (1 << 16) - 1,
	/* What changes the disk; the others only look. */
	VIO_SIM_CHANGE = VIO_SIM_WRITE | VIO_SIM_SYNC | VIO_SIM_TRUNCATE |
			 VIO_SIM_ALLOCATE | VIO_SIM_RENAME | VIO_SIM_UNLINK |
			 VIO_SIM_MKDIR | VIO_SIM_SYNCDIR | VIO_SIM_CREATE,
};
enum { VIO_SIM_CLASSES = 16 };

struct vio_sim_options {
	uint64_t seed;	 /* of the random source; 0 is a seed too */
	int64_t wall_ns; /* 0: 2026-11-21T00:00:00Z */
	bool ordered;
	/*
	 * Plain writes to this file from `note_from` on are durable at once:
	 * for a hint that is never flushed, whose loss would otherwise
	 * multiply the disks of each later crash.  Borrowed; NULL: none.
	 */
	const char *note_path;
	uint64_t note_from;
	bool garble_sector; /* garbling reaches the sector's other bytes */
	uint64_t fsid;	    /* 0: 1 */
};

/* opt may be NULL.  Aborts when there is no memory, here and everywhere. */
struct vio_sim *vio_sim_new(const struct vio_sim_options *opt);
void vio_sim_free(struct vio_sim *s);
/* Borrowed; vio_free on it does nothing, vio_sim_free ends it. */
struct vio *vio_sim_vio(struct vio_sim *s);
/*
 * The same disk a second time, open files excluded: what `cp -a` and a
 * snapshot make, or one starting point for many crashes.  Pages are shared.
 */
struct vio_sim *vio_sim_clone(struct vio_sim *s);

/*
 * Power loss: see the model above.  Files that were open answer -EIO from now
 * on and still have to be closed.  Faults, stops and locks are gone.
 */
void vio_sim_crash(struct vio_sim *s, struct prng *p);
/* The process dies (kill -9), the system lives: only handles and locks go. */
void vio_sim_kill(struct vio_sim *s);
/* Everything becomes durable, as sync(1) would have it. */
void vio_sim_sync_all(struct vio_sim *s);

/*
 * The nth call (1 is the next) of the classes in `mask` fails with `err`
 * (a positive errno); `forever`: and all after it.  A failed write may have
 * written a part; a failed fdatasync or writeback loses or keeps each unsynced
 * write, and a later one does not bring them back.  Only one such fault at a time.
 */
void vio_sim_fail(struct vio_sim *s, unsigned mask, uint64_t nth, int err,
		  bool forever);
/*
 * The nth changing call is begun and not answered (-EIO), and so is every
 * call after it: the moment of a crash.  0 takes it back.
 */
void vio_sim_stop_at(struct vio_sim *s, uint64_t nth);
/* True once the stop was reached. */
bool vio_sim_stopped(struct vio_sim *s);
/* True once the fault of vio_sim_fail struck. */
bool vio_sim_failed(struct vio_sim *s);
/* -ENOSPC after this many more bytes (4 KiB pages); UINT64_MAX: no end. */
void vio_sim_set_space(struct vio_sim *s, uint64_t free_bytes);
/*
 * The disk is so large, and others have so much of it: free is what is on it
 * of neither.
 */
void vio_sim_set_disk(struct vio_sim *s, uint64_t total_bytes,
		      uint64_t others_bytes);

/*
 * The nth page that is taken from now on finds no room (-ENOSPC), though
 * vio_space told of plenty: others write to this disk, too.  forever: nor
 * does any after it.  0 takes it back.
 */
void vio_sim_refuse_room(struct vio_sim *s, uint64_t nth, bool forever);
/* True once it did. */
bool vio_sim_refused(struct vio_sim *s);

/* Bytes that need not stay in memory, as the caller said so far. */
uint64_t vio_sim_forgotten(struct vio_sim *s);
/* Calls so far of the classes in mask. */
uint64_t vio_sim_count(struct vio_sim *s, unsigned mask);
/* Called before each call, outside all locks; path is that of the open. */
typedef void vio_sim_hook_fn(void *ctx, enum vio_sim_class class,
			     const char *path);
void vio_sim_set_hook(struct vio_sim *s, vio_sim_hook_fn *fn, void *ctx);

/* The clock; each reading advances both clocks by 1 us. */
void vio_sim_advance(struct vio_sim *s, int64_t ns);
void vio_sim_step_wall(struct vio_sim *s, int64_t ns); /* may be negative */
void vio_sim_set_wall_synced(struct vio_sim *s, bool synced);
/* Random bytes come from this seed from now on. */
void vio_sim_reseed(struct vio_sim *s, uint64_t seed);

/* Damage and meddling, durable at once; 0 or -errno. */
int vio_sim_flip(struct vio_sim *s, const char *path, uint64_t off,
		 unsigned bit);
int vio_sim_chmod(struct vio_sim *s, const char *path, uint32_t mode);
/* Copies one file over (or to) another name, as root with cp would. */
int vio_sim_copy(struct vio_sim *s, const char *from, const char *to);
/* Gives files another uid or fsid, as a restored backup has. */
void vio_sim_set_fsid(struct vio_sim *s, uint64_t fsid);

/* Bytes of memory in pages, for tests of the simulator. */
uint64_t vio_sim_memory(struct vio_sim *s);

#endif
