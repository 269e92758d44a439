/*
 * ledger.h - the log of one volume: append batches, read them back, prove.
 *
 * On disk (LEDGER.md 2): wal/ holds frames (a seal, its entries, its small
 * chunks); settled, a record without chunks lies in a ledger/journal/
 * segment, its only copy; ledger/checkpoint and ledger/tile/ are the C2SP
 * log, a pure function of the entries' order.
 *
 * Invariants: (1) a batch is durable when ledger_commit returns 0, and only
 * then may anybody be told.  (2) Nothing signed leaves before its flush.
 * (3) Two checkpoints never contradict: each is recomputed against the last
 * signed one, and the guard is durable before a checkpoint is published.
 * (4) The first failed write or sync is sticky: everything after answers
 * -ERR_STICKY until the ledger is opened again.  ENOSPC before a frame is
 * written is soft.
 *
 * Threads: any thread may call anything but ledger_close; what has to be one
 * after the other is serialised inside.  seal, commit, settle and checkpoint
 * run beside each other; so do all readers.  Frames are committed in the order
 * in which they were sealed, by one thread at a time.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct buf;
struct errmsg;
struct ledger;
struct ledger_frame;
struct vio;

/* A small chunk that rides in a frame. */
struct ledger_chunk {
	struct digest id;
	uint8_t type, codec; /* as in the store */
	uint32_t raw_len, stored_len;
	const uint8_t *stored;
};

struct ledger_options {
	struct vio *vio;       /* rooted at STORE */
	struct vio *guard_vio; /* rooted at the guard directory; NULL: none */
	bool read_only;	       /* no lock, no recovery writes, no guard */
	/* The lock is held, all is found good: the first write comes.  Or NULL */
	void (*on_start)(void *ctx);
	/*
	 * Told of every frame found in the WAL past the settled journal, at
	 * open, in order: its small chunks go to the store.
	 */
	int (*on_chunk)(void *ctx, const struct ledger_chunk *c);
	void *ctx;
	/* 0: LIMIT_WAL_SEGMENT, LIMIT_JOURNAL_SEGMENT; small in tests. */
	uint64_t wal_segment_bytes, journal_segment_bytes;
};

/* --- life --- */

struct ledger_create_options {
	struct vio *vio, *guard_vio;
	const char *origin;
	const char *keys_dir; /* relative to vio: "keys" */
	uint32_t root_uid, root_gid, root_mode;
	uint64_t wal_segment_bytes, journal_segment_bytes; /* as above */
};

/*
 * Makes a new log: keys, GENESIS, KEY_ADD of mount 1 and of the log, CREATE
 * of the root (it carries the directory's salt), PARAMS; one seal, first
 * checkpoint, guard, and volume.conf last: without it there is no volume.
 * -EEXIST in words when anything of a volume is there.  Without guard_vio the
 * volume is made unguarded, and so it stays: rollback protection none.
 */
int must_use ledger_create(const struct ledger_create_options *o,
			   struct errmsg *em);

/*
 * Opens: takes the lock, checks the guard (-ERR_ROLLBACK, -ERR_COPY,
 * -ERR_BUSY, -ERR_LOST in words), finds the end of the journal and the WAL, cuts a torn
 * tail past the last signed size only, checks tiles against the journal's end,
 * loads keys, starts a new incarnation.
 */
int must_use ledger_open(struct ledger **out, const struct ledger_options *o,
			 struct errmsg *em);
void ledger_close(struct ledger *l); /* no checkpoint; NULL ok */

/*
 * What ledger_open found to be wrong and could put right (damaged tiles, a
 * damaged checkpoint), one line each; "" when nothing.  Borrowed.
 */
const char *ledger_notes(const struct ledger *l);
/* True when a torn tail was cut at open. */
bool ledger_was_torn(const struct ledger *l);
/*
 * True when the log was not put at rest before it was opened.  Then whatever
 * remembers more than it has remembers what was lost.
 */
bool ledger_was_in_use(const struct ledger *l);
/*
 * 0 or -ERR_LOST in words: the guard says that the WAL has a segment of this
 * sequence or a later one; the index had applied that many seals.  For who
 * looks at a read-only ledger, which sees neither.
 */
int must_use ledger_check_marked(struct ledger *l, uint64_t sequence,
				 struct errmsg *em);
int must_use ledger_tell_ahead(struct ledger *l, uint64_t seals,
			       struct errmsg *em);
/* True when a guard watches over this store. */
bool ledger_guarded(const struct ledger *l);

uint32_t ledger_mount_no(const struct ledger *l);
const uint8_t *ledger_volume_id(const struct ledger *l); /* 16 bytes */
const char *ledger_origin(const struct ledger *l);
const uint8_t *ledger_incarnation(const struct ledger *l);

/* --- writing --- */

/* One entry of a batch, encoded (core, state, salt, body), and its leaf. */
struct ledger_entry {
	const uint8_t *bytes;
	uint32_t len;
	struct digest leaf;
};

/*
 * Builds and signs the next frame: the seal over n entries (1..LIMIT_BATCH),
 * and m small chunks.  The bytes are copied.  Frames are sealed in the order
 * in which they are committed; one frame may be sealed while the one before
 * it is being committed.  *out_seal is the index it will have.
 */
int must_use ledger_seal(struct ledger *l, struct ledger_frame **out,
			 uint64_t *out_seal, const struct ledger_entry *entries,
			 uint32_t n, const struct ledger_chunk *chunks,
			 uint32_t m);
/*
 * Writes the frame and flushes it: the commit point.  Takes ownership of the
 * frame, also on failure.  -ENOSPC only when nothing was written: seal again
 * later.  -ERR_AGAIN: the frame was sealed behind one that was not committed
 * (or freed); seal again.
 */
int must_use ledger_commit(struct ledger *l, struct ledger_frame *f);
void ledger_frame_free(struct ledger_frame *f);
/* The seal's wall_ns, for the index. */
int64_t ledger_frame_wall_ns(const struct ledger_frame *f);

/* Number of durable seals = size of the log. */
uint64_t ledger_size(struct ledger *l);
/* Root of the log at its durable size. */
int must_use ledger_root(struct ledger *l, uint64_t *out_size,
			 struct digest *out_root);
/* Root of the log when it had `size` seals; -ERR_USAGE beyond the end. */
int must_use ledger_root_at(struct ledger *l, uint64_t size,
			    struct digest *out_root);

/*
 * Moves durable frames from the WAL to the journal (up to `max` of them);
 * calls settle() with each frame's chunk ids first, and settle_flush() before
 * a WAL segment is given back, once a second, and when there is nothing left
 * to move.  Answers the number moved.  -ENOSPC is soft: call again later
 * (settle() is not called again for the same frame).
 */
struct ledger_settle_ops {
	int (*settle)(void *ctx, const struct digest *ids, size_t n);
	int (*settle_flush)(void *ctx);
	void *ctx;
};
int must_use ledger_settle(struct ledger *l, uint32_t max,
			   const struct ledger_settle_ops *ops);
/*
 * Makes a spare segment of the WAL when one will be wanted soon, so that no
 * batch waits for it; ledger_settle() does that, too.  -ENOSPC is no failure.
 */
int must_use ledger_prepare(struct ledger *l);
/* Bytes in the WAL that are not settled yet. */
uint64_t ledger_unsettled(struct ledger *l);
/* Seals whose records and chunks are durable outside the WAL. */
uint64_t ledger_settled(struct ledger *l);

/*
 * Full tiles, the guard, then a signed checkpoint at the durable size, when
 * it is ahead of the last one (LEDGER.md 2, steps 3 and 4).
 */
int must_use ledger_checkpoint(struct ledger *l, struct errmsg *em);
uint64_t ledger_checkpointed(struct ledger *l); /* last signed size */

/*
 * The last call before ledger_close of a clean end, nobody else at work:
 * when all has settled and is signed, nothing of the WAL is needed any more,
 * and guard and mark (wal_mark.h) say so.
 */
int must_use ledger_rest(struct ledger *l, struct errmsg *em);

int ledger_failed(struct ledger *l); /* sticky error, 0 while healthy */

/*
 * Journal segments from number `from` (1 is the first) on: path below the
 * store, name in a replica, bytes that are durable and never change again.
 * The last one grows.
 */
typedef int ledger_object_fn(void *ctx, uint32_t number, const char *path,
			     const char *name, uint64_t size);
int must_use ledger_durable_objects(struct ledger *l, uint32_t from,
				    ledger_object_fn *fn, void *ctx);

/* --- reading --- */

/* One record: the seal's bytes and the batch's entries, in one buffer. */
struct ledger_record {
	uint64_t seal; /* index in the log */
	const uint8_t *seal_bytes;
	uint32_t seal_len;
	uint32_t count;
	const uint8_t *bytes; /* count x (u32 len, stored entry) */
	size_t len;
	struct digest *leaves; /* of the entries, verified */
	uint32_t *at_;
	uint8_t *owned_; /* free through ledger_record_release */
};
/*
 * Reads seal `seal` (durable ones only), with the record's checksum and the
 * batch root verified.  -ENOENT beyond the end, -ERR_CORRUPT.
 */
int must_use ledger_read(struct ledger *l, struct ledger_record *out,
			 uint64_t seal);
/*
 * The same of a record that was verified just now: its checksum alone, and no
 * leaves; its entries are found by their lengths, not by _record_entry().
 */
int must_use ledger_read_again(struct ledger *l, struct ledger_record *out,
			       uint64_t seal);
void ledger_record_release(struct ledger_record *r);
/* Borrows entry `pos` of a record, in any order.  -ENOENT. */
int must_use ledger_record_entry(const struct ledger_record *r, uint32_t pos,
				 const uint8_t **out, uint32_t *out_len);
/*
 * Reads one entry (stored form) and its leaf, the record checked as above.
 * A small cache of recent records makes this cheap.
 */
int must_use ledger_read_entry(struct ledger *l, struct buf *out,
			       struct digest *out_leaf, uint64_t entry_no);

/* --- proving --- */

/*
 * Writes a .tlog-proof for the entry: inclusion at the last checkpoint (the
 * caller makes one first), `refs` further entries by number.
 */
int must_use ledger_prove(struct ledger *l, struct buf *out, uint64_t entry_no,
			  const uint64_t *refs, size_t n_refs,
			  struct errmsg *em);
/*
 * Appends a DSSE envelope (ledger/dsse.h) of the payload, signed by this
 * mount's key; the keyid is the key's id in hex.  -EROFS, -ERR_STICKY: nothing
 * is signed any more; -ERR_LIMIT.
 */
int must_use ledger_attest(struct ledger *l, struct buf *out, const char *type,
			   const void *payload, size_t n);
/* The C2SP log as bytes: "checkpoint", "tile/0/x001/234.p/7", ... */
int must_use ledger_tile_read(struct ledger *l, struct buf *out,
			      const char *path);
/* Lines of the trust file: log and admin vkeys. */
int must_use ledger_trust(struct ledger *l, struct buf *out);
/*
 * Writes the C2SP log as plain files into target: all full and partial tiles
 * and bundles of the last checkpoint, the checkpoint itself last.
 */
int must_use ledger_export(struct ledger *l, struct vio *target,
			   struct errmsg *em);

/* --- a store that moved, was copied or was restored (LEDGER.md 3) --- */

/*
 * `vouch adopt`: this store is the one that goes on, from this machine.  The
 * guard is written for it; a copy elsewhere must not be used any more.
 * -ERR_ROLLBACK when what was signed is not in it: that needs a fork.  A
 * volume made without a guard gets one.
 */
int must_use ledger_adopt(const struct ledger_options *o, struct errmsg *em);

/* Where the admin key lies; vio NULL: keys/admin.key in the store. */
struct ledger_admin {
	struct vio *vio;
	const char *path;
};
struct ledger_fork_report {
	char old_origin[201], new_origin[201];
	uint64_t size;	    /* where the new history begins */
	uint64_t lost_size; /* what was signed under the old origin */
	struct digest lost_root;
};
/*
 * `vouch fork`: a new history under a new origin (the old one and "/SUFFIX";
 * suffix NULL: made from the time), with new mount and log keys.  NEW_ORIGIN
 * names what was signed and is given up.  Damage at the end is cut.
 */
int must_use ledger_fork(struct ledger_fork_report *out,
			 const struct ledger_options *o, const char *suffix,
			 const struct ledger_admin *admin, struct errmsg *em);

/* --- keys --- */

/*
 * These commit entries by themselves, so nobody else may commit meanwhile:
 * on a ledger that a command opened, not beside a mount.  A checkpoint is
 * made.  role is KEY_MOUNT or KEY_LOG (ledger/key.h): a new key takes the
 * place of the active one, its file durable first.
 */
int must_use ledger_rotate(struct ledger *l, unsigned role,
			   const struct ledger_admin *admin, struct errmsg *em);
struct ledger_revocation {
	uint8_t key_id[16];
	uint8_t reason;		  /* 1 retired, 2 lost, 3 stolen */
	int64_t suspect_since_ns; /* 0: nothing is disputed */
	const char *comment;	  /* may be NULL */
};
/* The active mount or log key of this store cannot be revoked: rotate it. */
int must_use ledger_revoke(struct ledger *l, const struct ledger_revocation *r,
			   const struct ledger_admin *admin, struct errmsg *em);
/* Certifies another mount's (*out_mount_no) or a replica's public key. */
int must_use ledger_key_add(struct ledger *l, uint32_t *out_mount_no,
			    unsigned role, const uint8_t pub[32],
			    const char *name, const struct ledger_admin *admin,
			    struct errmsg *em);

/* One key of the log, as `vouch key show` lists it. */
struct ledger_key_info {
	uint8_t id[16], pub[32];
	uint8_t role;	      /* enum key_role */
	uint32_t mount_no;    /* 0 unless a mount's */
	uint64_t from, until; /* first and last leaf; UINT64_MAX: active */
	uint8_t revoked; /* 0 no, 1 retired, 2 lost, 3 stolen, 255 rotated */
	int64_t suspect_since_ns;
	char name[64];
};
typedef int ledger_key_fn(void *ctx, const struct ledger_key_info *k);
/* Every key in the log, in the order of their entries. */
int must_use ledger_keys(struct ledger *l, ledger_key_fn *fn, void *ctx);

/* --- checking --- */

struct ledger_verify_report {
	uint64_t seals, entries, signatures, tiles;
	uint64_t redacted, missing;
	uint64_t damaged; /* places, each told by found() */
};
struct ledger_verify_options {
	const char *consistent_with; /* an old checkpoint note, or NULL */
	void (*found)(void *ctx, const char *words);
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	/* True: give up, with -ECANCELED; asked with each progress. */
	bool (*stop)(void *ctx);
	/* Each valid entry in order; nonzero stops. NULL: none. */
	int (*entry)(void *ctx, uint64_t entry_no, const struct digest *leaf,
		     const uint8_t *bytes, uint32_t len);
	void *ctx;
};
/* Reads everything: frames, seals, signatures, rules, tiles, checkpoints. */
int must_use ledger_verify(struct ledger *l, struct ledger_verify_report *out,
			   const struct ledger_verify_options *o,
			   struct errmsg *em);

#endif
