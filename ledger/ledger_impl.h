/*
 * ledger_impl.h - the state of an open log; for ledger_*.c, adopt.c, rotate.c.
 *
 * Lock order, outer first: settle_mu, cp_mu, commit_mu, seal_mu, mu,
 * cache_mu; the locks of wal, journal and tile store are leaves below all.
 */
#ifndef LEDGER_LEDGER_IMPL_H
#define LEDGER_LEDGER_IMPL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/thread.h"
#include "ledger/checkpoint.h"
#include "ledger/frame.h"
#include "ledger/guard.h"
#include "ledger/ledger.h"
#include "ledger/merkle.h"
#include "ledger/seal_format.h"
#include "ledger/volume.h"

#define LEDGER_CHECKPOINT "ledger/checkpoint"
#define LEDGER_STATE "ledger/rules.state"
#define LEDGER_LOCK "lock"
#define LEDGER_MOUNT_KEY "keys/mount.key"
#define LEDGER_LOG_KEY "keys/log.key"
#define LEDGER_ADMIN_KEY "keys/admin.key"
#define LEDGER_MOUNT_NEXT "keys/mount.next.key"
#define LEDGER_LOG_NEXT "keys/log.next.key"
#define LEDGER_TRUSTED "keys/trusted.pub"

enum { LEDGER_POOL = 4, LEDGER_CACHE = 16, LEDGER_CACHE_BYTES = 16 << 20 };

struct entry;
struct journal;
struct key;
struct rules;
struct tile_store;
struct wal;

/* What the next seal carries on from. */
struct ledger_next {
	uint64_t index;
	uint64_t batch_seq;
	uint64_t first_seq;
	struct digest prev_seal;
	int64_t wall_ns; /* of the seal before */
};

struct ledger_frame {
	struct ledger *l;
	struct buf bytes;
	uint32_t len;
	struct buf seal;
	struct digest leaf;
	int64_t wall_ns;
	uint64_t generation;
	uint64_t index;
	struct ledger_next before; /* to take the seal back */
};

/* A size and the root there. */
struct ledger_anchor {
	uint64_t size;
	struct digest root;
};

/* A record in memory, the tree of its batch computed. */
struct ledger_cached {
	bool valid;
	uint64_t used;
	struct buf bytes;
	struct frame frame;
	struct merkle_tree tree;
	uint32_t *at; /* where entries begin; in the block of the tree */
};

struct ledger {
	struct vio *vio;
	struct vio *guard_vio; /* NULL: not guarded */
	struct ledger_options o;
	bool read_only;
	bool torn;
	bool was_in_use;  /* not unmounted: ledger_was_in_use() */
	bool accept_loss; /* fork: what is not there any more is given up */
	struct ledger_anchor lost; /* ... the largest size known of it */
	struct volume volume;
	uint8_t incarnation[16];
	struct vio_file *lock;
	struct wal *wal;
	struct journal *journal;     /* read-only: through ledger_journal() */
	struct journal *retired[64]; /* ... replaced, freed at the end */
	unsigned n_retired;	     /* guarded by mu */
	struct tile_store *tiles;
	struct buf notes;

	struct mutex settle_mu; /* journal writing, and: */
	struct rules *rules;
	uint64_t chunks_settled; /* frames below: settle() was called */
	uint64_t flushed;	 /* frames below: packs and journal durable */
	uint64_t bytes_unflushed;
	int64_t flush_ns;
	struct buf settle_buf;

	struct mutex cp_mu; /* tiles' files, guard, checkpoint, and: */
	struct key *log_key;
	struct guard guard;
	bool resting; /* the guard is written for a log at rest */
	struct ledger_anchor last_signed;

	struct mutex seal_mu; /* all until commit_mu: */
	struct key *mount_key;
	struct ledger_next next;
	uint64_t generation;
	struct ledger_frame *pool[LEDGER_POOL];

	struct mutex commit_mu; /* appending to the WAL */

	struct mutex mu; /* all until cache_mu */
	uint64_t size;	 /* durable seals */
	struct merkle_frontier frontier;
	struct ledger_anchor published; /* the checkpoint that can be read */
	struct ledger_anchor seen; /* what the next seal says to have seen */
	int failed;

	struct mutex cache_mu; /* all below */
	struct ledger_cached cache[LEDGER_CACHE];
	uint64_t clock;
};

/* --- ledger.c --- */

int must_use ledger_new(struct ledger **out, const struct ledger_options *o);
/* Makes rc sticky and returns it; soft errors must not come here. */
int ledger_fail(struct ledger *l, int rc);
/* 0, or -ERR_STICKY, or -EROFS for a read-only ledger. */
int must_use ledger_writable(struct ledger *l);
void ledger_note(struct ledger *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* --- ledger_read.c --- */

/* The journal as it is known now. */
struct journal *ledger_journal(struct ledger *l);

/* Reads a frame or record as stored, checksum checked; f borrows from out. */
int must_use ledger_load(struct ledger *l, struct buf *out, struct frame *f,
			 uint64_t index);
/*
 * What proves an entry to be of its seal, and the seal's bytes, by the cache
 * of records: who proves thousands reads and hashes each record once.
 */
int must_use ledger_read_path(struct ledger *l, struct merkle_proof *out,
			      struct buf *out_seal, uint64_t entry_no);
/* A tile_store_seal_fn; ctx is the ledger. */
int ledger_load_seal(void *ctx, struct buf *scratch, const uint8_t **out,
		     uint32_t *out_n, uint64_t index);

/* --- ledger_lost.c --- */

/* -ERR_LOST in words; fmt says what of it is missing. */
int ledger_tell_lost(struct ledger *l, struct errmsg *em, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* --- ledger_recover.c --- */

/* Finds the end of the log, its tree and the state of its keys. */
int must_use ledger_recover(struct ledger *l, struct errmsg *em);
/* A rules_root_fn; ctx is the ledger. */
int ledger_rules_root(void *ctx, struct digest *out, uint64_t size);

/* --- ledger_rules.c --- */

/* Takes up the saved state of the rules, or a new one. */
int must_use ledger_rules_load(struct ledger *l, struct errmsg *em);
/* Brings the rules up to `upto` seals; settle_mu held or alone. */
int must_use ledger_rules_advance(struct ledger *l, uint64_t upto,
				  struct errmsg *em);
int must_use ledger_rules_feed(struct ledger *l, const struct frame *f,
			       bool skip_signature, struct errmsg *em);
int must_use ledger_rules_save(struct ledger *l);
/* Sets what the next seal carries on from. */
int must_use ledger_rules_next(struct ledger *l, struct errmsg *em);

/* --- ledger_open.c --- */

struct ledger_open_how {
	bool any_identity; /* adopt, fork: the store may be a copy */
	bool any_size;	   /* fork: the guard may be ahead */
};
int must_use ledger_open_how(struct ledger **out,
			     const struct ledger_options *o,
			     const struct ledger_open_how *how,
			     struct errmsg *em);
int must_use ledger_take_lock(struct ledger *l, struct errmsg *em);
/* Fills l->guard's identity from the lock file. */
int must_use ledger_identify(struct ledger *l);

/* --- ledger_checkpoint.c --- */

/* cp_mu held.  As ledger_checkpoint; `always`: also when nothing is new. */
int must_use ledger_checkpoint_locked(struct ledger *l, bool always,
				      struct errmsg *em);
/* Writes the guard for l->last_signed; cp_mu held. */
int must_use ledger_write_guard(struct ledger *l, struct errmsg *em);

/* --- ledger_rotate.c --- */

/* The admin key of a command. */
int must_use ledger_admin_key(struct ledger *l, struct key **out,
			      const struct ledger_admin *a, struct errmsg *em);
/*
 * Commits one batch of control entries that are checked against the rules
 * before: nothing that a follower would refuse is signed.  settle_mu held.
 */
int must_use ledger_commit_control(struct ledger *l, struct entry *entries,
				   unsigned n, struct errmsg *em);
/* Signs the body as an admin does. */
int must_use ledger_author(struct ledger *l, struct entry *e,
			   const struct key *admin);
/* A new key in `path`, durable, and its ROTATE entry. */
int must_use ledger_rotation(struct ledger *l, struct key **out,
			     struct entry *e, const struct key *old,
			     const char *path, const struct key *admin,
			     struct errmsg *em);

/* --- ledger_trust.c --- */

/*
 * Adds the current log key and the admins to keys/trusted.pub, before any
 * checkpoint is signed by that key.  settle_mu held, or alone.
 */
int must_use ledger_trust_save(struct ledger *l, struct errmsg *em);

#endif
