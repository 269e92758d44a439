/*
 * store.h - chunks by content id: put, get (verified, repaired), flush.
 *
 * A chunk is immutable and named by its hash.  It reaches the store in one of
 * two ways:
 *   - bulk: a writer appends it to a pack of its own; store_writer_flush()
 *     makes it durable before the entry that names it is enqueued;
 *   - small: it is staged in memory, rides in the WAL frame beside its entry
 *     (the frame's flush is its durability), and is settled into a pack
 *     afterwards.  A staged chunk can be read at once.
 *
 * Invariants: (1) store_get returns bytes whose hash was computed over the
 * very buffer it hands out, or an error after every replica was tried; when
 * they come from the cache they are compared, in that buffer, with checksums
 * taken before the hash was.
 * (2) Dedup only against chunks whose bytes were verified in this epoch
 * (since open), and never against one that gc is about to take.  (3) The location table lists durable or staged bytes only
 * after a restart; it is a cache, rebuilt from pack footers.
 *
 * Threads: all calls are thread-safe and may block on disk; a store_writer is
 * used by one thread at a time.
 */
#ifndef FS_STORE_H
#define FS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "fs/store/chunk.h"

struct errmsg;
struct lease;
struct packfile;
struct replica;
struct space;
struct store;
struct store_writer;
struct vio;

/* Where bytes of a chunk lie on their way from the disk to who reads them. */
enum store_hop {
	STORE_HOP_RECORD,  /* a pack's record, or a staged chunk, just read */
	STORE_HOP_STAGED,  /* a chunk in memory, until its frame is settled */
	STORE_HOP_DECODED, /* unpacked, not hashed yet */
	STORE_HOP_CACHED,  /* hashed: in the cache */
	STORE_HOP_COPY,	   /* with who asked: the reply */
};

struct store_options {
	struct vio *vio; /* rooted at STORE */
	/*
	 * Written into new packs; packs of another volume are refused.
	 * Zeros: as in volume.conf, and those of others are taken too (their
	 * chunks are verified like all; a forked volume has some).
	 */
	uint8_t volume_id[16];
	size_t cache_bytes;	  /* decoded chunks; 0: 64 MiB */
	size_t table_cache_bytes; /* 0: 32 MiB */
	bool read_only;
	/*
	 * Told of every repair and every chunk that could not be repaired
	 * (ok = false), from any thread, no locks held.
	 */
	void (*on_repair)(void *ctx, const struct digest *id,
			  const char *replica, bool ok);
	/* Tests damage bytes with it; NULL otherwise, one branch a chunk. */
	void (*on_hop)(void *ctx, enum store_hop hop, void *p, size_t n);
	void *ctx;
};

/*
 * Opens packs/ (made when missing), cuts torn tails of unsealed packs, loads
 * or rebuilds the location table.  -ERR_CORRUPT with words.
 */
int must_use store_open(struct store **out, const struct store_options *o,
			struct errmsg *em);
/* Settles nothing by itself; flushes packs and the table.  NULL: no-op. */
void store_close(struct store *s);

/*
 * Who holds ids beyond one call of these, or puts chunks that something will
 * name, does so in a section of this: see lease.h.
 */
struct lease *store_lease(struct store *s);

/* --- reading --- */

/* A decoded chunk in the cache, pinned until store_release. */
struct store_ref {
	const uint8_t *p;
	uint32_t n;
	void *pin;	     /* private */
	struct store *store; /* private */
};

/*
 * Gets a chunk, hash verified over the very bytes returned (invariant 1).
 * CHUNK_ANY takes either type and returns which it is;
 * otherwise 0.  -ERR_MISSING_CHUNK: known nowhere; -ERR_CORRUPT: every copy is
 * bad, or the chunk is of the other type.
 */
int must_use store_get(struct store *s, struct store_ref *out,
		       const struct digest *id, enum chunk_type type);
/*
 * Copies what there is of [off, off + n) to out and sets *out_len to the
 * chunk's length.  What arrived in out was checked there, after the copy, and
 * is fetched anew when it is bad: this is the last hop of a read.  `done`: who
 * reads in order does not come back when this reaches the end.
 */
int must_use store_read(struct store *s, void *out, uint32_t *out_len,
			const struct digest *id, enum chunk_type type,
			uint64_t off, size_t n, bool done);
/*
 * Reads a whole data chunk of n bytes to out, past the cache, for who reads in
 * order and comes by once; hashed in out, which is the last hop.  False: not
 * this way (out may be written to); store_read() finds out what is the matter.
 */
bool must_use store_read_direct(struct store *s, void *out,
				const struct digest *id, uint32_t n);
void store_release(struct store_ref *ref);
/* True when the id is listed (says nothing about its bytes). */
bool store_has(struct store *s, const struct digest *id);
/* True when gc ever took a pack away. */
bool store_collected(struct store *s);
/* Its type, as a record of it says; -ERR_MISSING_CHUNK. */
int must_use store_type(struct store *s, const struct digest *id);
/* The same, and its length: 0 while it is staged. */
int must_use store_look(struct store *s, uint32_t *out_len,
			const struct digest *id);

/* --- writing --- */

/*
 * Stages a small chunk (copies the bytes).  *out_frame is false only when the
 * chunk is durable already (in a pack, verified and flushed, or in a
 * committed frame): then nothing has to ride with the entry.  Otherwise the
 * entry that names it lists the id, and the commit thread puts it into the
 * frame unless an earlier frame has it (two files may stage the same chunk
 * and be enqueued in either order).
 */
int must_use store_stage(struct store *s, const struct chunk *c,
			 bool *out_frame);
/*
 * For the commit thread, when it builds a frame: the staged chunk, borrowed
 * until store_settle, and marked as framed; NULL when it is in an earlier
 * frame or durable otherwise.
 */
const struct chunk *store_frame(struct store *s, const struct digest *id);
/*
 * Takes one store_stage back, when no entry will name the chunk; does nothing
 * once it is framed.
 */
void store_unstage(struct store *s, const struct digest *id);
/*
 * Appends staged chunks to the settling pack and forgets the staged copies.
 * Called by the settler after their frame is durable; not durable itself
 * until store_settle_flush.
 */
int must_use store_settle(struct store *s, const struct digest *ids, size_t n);
/* Makes everything settled so far durable. */
int must_use store_settle_flush(struct store *s);
/* Recovery: puts a chunk found in a WAL frame (verifies it first). */
int must_use store_recover(struct store *s, const struct chunk *c);

int must_use store_writer_open(struct store *s, struct store_writer **out);
void store_writer_close(struct store_writer *w); /* no flush; NULL ok */
/*
 * Puts a bulk chunk; a verified duplicate is not written again but becomes a
 * dependency of the next flush.  -ENOSPC is soft.
 */
int must_use store_writer_put(struct store_writer *w, const struct chunk *c);
/*
 * The same, but does not wait for the disk: the caller does, with store_pace
 * of *out (may be NULL), when it holds no lock.  forget: of a long stream,
 * nobody will read it soon.
 */
int must_use store_writer_add(struct store_writer *w, struct packfile **out,
			      const struct chunk *c);
int must_use store_pace(struct store *s, struct packfile *f, bool forget);
/* Everything put through w so far, and what it relied on, is durable. */
int must_use store_writer_flush(struct store_writer *w);

/* What was found wrong at the opening and is done without: length of words. */
size_t store_notes(struct store *s, char *out, size_t cap);

/* --- space --- */

/* All of it, see space.h. */
struct space *store_space(struct store *s);
/*
 * Reserves room before bytes are acknowledged; -ENOSPC when the disk, less
 * the reserve for unlink and gc, does not have it.  Waits, on a disk that is
 * nearly full, until what was answered before has its place there; nothing is
 * locked, then, that a commit or a settling needs.
 */
int must_use store_reserve(struct store *s, uint64_t bytes);
void store_unreserve(struct store *s, uint64_t bytes);
/* What staged chunks will take in packs, at most. */
uint64_t store_owed(struct store *s);
/* What could be reserved now. */
int must_use store_left(struct store *s, uint64_t *out);

struct store_stat {
	uint64_t packs, chunks;
	uint64_t packs_missing; /* numbers of no pack, and not gc's doing */
	uint64_t stored_bytes;	/* in packs */
	uint64_t raw_bytes;	/* of distinct chunks */
	uint64_t dedup_bytes;	/* raw bytes not stored again, since open */
	uint64_t staged_bytes;
	uint64_t repaired, unrepaired;
};
void store_stat(struct store *s, struct store_stat *out);

/* First failed write below us, 0 while healthy; sticky. */
int store_failed(struct store *s);

/* --- replicas to read and repair from (replicate.h fills them) --- */

/* Takes ownership of r, on success only.  -EEXIST: that name is there. */
int must_use store_replica_add(struct store *s, struct replica *r);
/* Closes it once nobody uses it.  -ENOENT. */
int must_use store_replica_remove(struct store *s, const char *name);

/* --- checking (vouch verify --deep, fsck, scrub) --- */

struct store_check_report {
	uint64_t packs, chunks, bytes;
	uint64_t bad, repaired; /* places */
	uint64_t torn_bytes; /* never acknowledged, left by a crash: harmless */
};
/*
 * Reads every record of every pack (and of every replica), checks headers,
 * footers and hashes; repairs from a good copy when `repair`.  found() is
 * told each bad place in words; progress() the bytes done and in all.
 */
struct store_check_options {
	bool repair;
	void (*found)(void *ctx, const char *words);
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	bool (*stop)(void *ctx); /* asked after each pack; -ECANCELED then */
	void *ctx;
};
int must_use store_check(struct store *s, struct store_check_report *out,
			 const struct store_check_options *o,
			 struct errmsg *em);

#endif
