/*
 * core_internal.h - struct core and what the core_*.c files share.
 *
 * Locks, in order: guard_mu, retain_mu, file.save_mu, itable.mu (rows, queue, files, trails),
 * then the leaves: readers_mu, ahead.mu, jobs_mu and the locks inside store, content
 * pool, ledger and actor table.  itable.mu is never held across I/O.
 */
#ifndef FS_CORE_INTERNAL_H
#define FS_CORE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/core/actor.h"
#include "fs/content/content.h"
#include "fs/core/core.h"
#include "fs/core/core_expect.h"
#include "fs/core/itable_internal.h"
#include "fs/core/moment.h"
#include "fs/core/trail.h"
#include "fs/commit/pend.h"
#include "fs/store/space.h"
#include "ledger/entry.h"

struct commit;
struct core_denied;
struct idx;

enum {
	CORE_READERS = 16,
	CORE_JOB_THREADS = 2,
	CORE_UNDIGESTED = 1024,
	CORE_AHEAD = 4
};

struct job {
	struct job *next;
	struct file *file; /* a user is held */
};

/* Pages of listings that were read ahead; core_dir_ahead.c. */
struct core_ahead {
	struct mutex mu;
	struct cond read; /* a slot is busy no more */
	struct core_ahead_slot {
		struct dir_page *page;
		uint64_t dir, after;
		bool plus, busy; /* busy: it is being read */
	} slot[CORE_AHEAD];	 /* guarded by mu */
	unsigned next;		 /* guarded by mu */
};

struct core {
	struct core_options o;
	char *store_dir;
	struct vio *vio, *guard_vio;
	struct vio *own_vio, *own_guard; /* opened here */
	struct ledger *ledger;
	struct store *store;
	struct idx *idx;
	struct content_pool *pool;
	struct itable t;
	struct commit *commit;
	struct actor_table *actors;
	struct run_table *runs;	  /* declared ones, of this mount */
	struct run_group *groups; /* and others */
	struct mutex guard_mu;	  /* one guarded process changes names */
	struct core_denied *denied;
	struct core_expect *expects[CORE_EXPECT_MAX]; /* guarded by t.mu */
	unsigned n_expects;			      /* guarded by t.mu */
	atomic_ullong guard_asked; /* questions while guarded runs went on */
	struct actor *self;	   /* this process: recovery, ticks */
	uint32_t mount_no;
	uint32_t owner_uid; /* of STORE: may read whole-ledger views */
	uint64_t next_ino;  /* counter; guarded by t.mu */
	struct link dirty;  /* files to save or version; guarded by t.mu */
	size_t n_dirty;	    /* of them; guarded by t.mu */
	/* versions whose plain digest is owed, a ring; guarded by t.mu */
	uint64_t undigested[CORE_UNDIGESTED];
	unsigned undigested_at, undigested_n;
	uint64_t n_handles;   /* guarded by t.mu */
	uint64_t next_stream; /* guarded by t.mu */
	int64_t mounted_wall_ns;
	int64_t last_wall_ns; /* guarded by t.mu: times never go back here */
	struct moment moment; /* a snapshot's moment */
	/* policy, holds, snapshots, releases: one at a time, through to the
	 * index */
	struct mutex retain_mu;
	struct mutex readers_mu;
	struct idx_reader *readers[CORE_READERS]; /* guarded by readers_mu */
	unsigned n_readers;
	struct core_ahead ahead;
	/* of declared runs, with opens to write down, a ring of references;
	 * guarded by t.mu */
	struct actor *run_readers[TRAIL_READERS];
	unsigned run_readers_at, run_readers_n;
	struct mutex jobs_mu;
	struct cond jobs_cond;
	struct job *jobs, **jobs_tail; /* guarded by jobs_mu */
	bool jobs_stop;
	struct thread job_threads[CORE_JOB_THREADS];
	struct cond idle_cond; /* with jobs_mu: the idle thread shall end */
	struct thread idle_thread;
	atomic_bool gc_end;	/* the volume is about to be closed */
	atomic_bool digest_end; /* the same: core_digest() gives up */
	atomic_uint alerts;	/* chunks found lost since the mount */
	bool closing;  /* guarded by t.mu: nothing is queued any more */
	bool finished; /* core_finish was called; its caller's */
	struct handle *handles; /* all; guarded by t.mu */
};

/* What a file may do that nobody else may: gone with the next write. */
#define CORE_CAPABILITY "security.capability"

/* An open file description. */
struct handle {
	struct handle *next, *prev; /* core.handles; once inode is set */
	struct inode *inode;	    /* a reference is held */
	struct file *file;   /* a user is held; NULL: not a regular file */
	struct actor *actor; /* who opened it */
	uint64_t stream;
	bool writable;
	bool write_only;     /* nobody may say when it was closed */
	bool held;	     /* itable.mu: counted in file.held */
	bool bypass;	     /* itable.mu: counted in file.bypass */
	bool direct;	     /* goes round the page cache; set once, at open */
	atomic_bool forgets; /* with its open the kernel forgets old pages */
	bool sync;	     /* O_SYNC, O_DSYNC */
	atomic_bool append;  /* O_APPEND */
};

/* --- core_op.c: running an operation under the lock --- */

/* Runs under itable.mu; -ERR_RELOCKED: fault what tx needs and run again. */
typedef int core_op_fn(struct core *c, struct itable_tx *tx, void *arg);
int must_use core_op(struct core *c, core_op_fn *fn, void *arg);

/*
 * Applies p and queues it; takes ownership of p in every case.  `i` is the
 * inode of core.inode (NULL for CREATE and kinds without one).  Fills
 * wall_ns where it is 0.  lock held; -ERR_RELOCKED as above.
 */
int must_use core_submit(struct core *c, struct itable_tx *tx, struct pend *p,
			 struct inode *i, struct actor *a);
/* The same for a SETATTR, which may be merged into the one before. */
int must_use core_submit_setattr(struct core *c, struct itable_tx *tx,
				 struct pend *p, struct inode *i,
				 struct actor *a);
int64_t core_now(struct core *c); /* lock held: never goes back */
/* Wall clock without order, for a write's time. */
int64_t core_clock(struct core *c);
struct actor *core_actor(struct core *c, const struct cred *cr);
/* -EROFS or a sticky error. */
int must_use core_may_write(struct core *c);
/* The same, and -ENOSPC: may an entry be made?  No lock held; may wait. */
int must_use core_may_change(struct core *c, enum space_for what);
void core_fill_stat(struct core *c, const struct inode *i, struct stat *out);
/* The same of a row that is not in memory: no file of it is open or dirty. */
void core_row_stat(const struct inode_row *r, struct stat *out);
static inline bool core_is_dir(const struct inode *i)
{
	return (i->row.mode & S_IFMT) == S_IFDIR;
}
static inline bool core_is_reg(const struct inode *i)
{
	return (i->row.mode & S_IFMT) == S_IFREG;
}
/* Name rules: 0, -ENAMETOOLONG, -EINVAL. */
int must_use core_check_name(const char *name, size_t *out_len);

/*
 * The inode has no name, and nobody has it open: queues FREE_ORPHAN (lock
 * held).  A failure leaves that to the next mount.
 */
void core_reap(struct core *c, struct inode *i);

/* --- core_file.c --- */

/*
 * Other bytes come into a file not by write(2): what a write by cr takes away,
 * set-id bits and capabilities, goes; root may leave them.
 */
int must_use core_file_wrote_by(struct core *c, const struct cred *cr,
				struct handle *h);

/* --- core_bypass.c --- */

/* h is read: the kernel has done what the answer to its open said. */
void core_bypass_reads(struct core *c, struct handle *h);
/* Bytes of h's file have changed, not as the kernel's pages have them. */
void core_bypass_wrote(struct core *c, struct handle *h);
/*
 * h is released (itable.mu held).  True: it was the last that wrote round the
 * page cache, and what was mapped may be old.
 */
bool core_bypass_ends(struct handle *h);

/* --- core_digest.c --- */

/*
 * The plain digest of an older version, whose VERSION entry has that leaf,
 * computed and entered as a DIGEST.  -ENOENT: the inode is no more.
 */
struct core_digest_old {
	uint64_t ino, version, size;
	struct digest root, leaf;
};
int must_use core_digest_of(struct core *c, const struct core_digest_old *v,
			    bool (*go_on)(void *ctx), void *ctx);
/* core_digest() that may be given up: go_on as in content_sha256(). */
int must_use core_digest_idle(struct core *c, struct digest *out, uint64_t ino,
			      bool (*go_on)(void *ctx), void *ctx);

/* --- core_idle.c --- */

/* A version without its plain digest was made.  itable.mu held. */
void core_idle_owe(struct core *c, uint64_t ino, uint64_t size);
/* Makes one that is owed, if nothing is dirty. */
void core_idle_step(struct core *c);
void core_idle_main(void *core);

/* --- core_acl.c --- */
struct core_acl_new {
	uint32_t mode; /* in: requested; out: effective */
	uint8_t *access, *dflt;
	size_t access_n, dflt_n;
};
/* Mode and ACLs of a new node in dir.  -ERR_RELOCKED; frees nothing. */
int must_use core_acl_inherit(struct core *c, struct itable_tx *tx,
			      struct inode *dir, uint32_t umask,
			      struct core_acl_new *io);
void core_acl_release(struct core_acl_new *a);
/* After chmod: the access ACL, if there is one, follows. */
int must_use core_acl_chmod(struct core *c, struct itable_tx *tx,
			    struct inode *i, uint32_t mode, struct actor *a);
/*
 * A new access ACL: *out_mode is the mode it gives; *out_drop when it says no
 * more than the mode.  -EINVAL.
 */
int must_use core_acl_mode(const void *p, size_t n, uint32_t mode,
			   uint32_t *out_mode, bool *out_drop);
/* May cr do `want` (4 read, 2 write, 1 search) by this access ACL (acl(5))? */
bool core_acl_allows(const void *acl, size_t n, const struct cred *cr,
		     uint32_t gid, uint32_t want,
		     bool (*in_group)(const struct cred *cr, uint32_t gid));

#endif
