/*
 * fuse_ll_impl.h - what the families of the skin share; only fuse_ll*.c
 * include it.
 */
#ifndef FS_FUSE_LL_IMPL_H
#define FS_FUSE_LL_IMPL_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "fs/core/core.h"
#include "fs/core/core_guard.h"
#include "fs/fuse/fuse_ll.h"
#include "fs/fuse/poller.h"
#include "fs/fuse/vdir.h"

enum { FUSE_LL_IO_MAX = 1 << 20 };

/* Inodes that were seen below the hybrid directory (fuse_ll_virt.c). */
struct fuse_ll_seen {
	struct mutex mu;
	uint64_t *v; /* guarded by mu; open addressing, 0 is free */
	uint32_t n, cap;
};

struct fuse_ll_stale {
	uint64_t ino;
	bool content;
};

/* Only the worker itself counts, so counting takes no locked instruction. */
struct fuse_ll_worker {
	struct fuse_ll *l;
	struct thread thread;
	_Atomic uint64_t requests[FUSE_LL_OPCODES];
};

struct fuse_ll {
	struct fuse_ll_options o;
	struct fuse_session *se;
	bool mounted;
	bool maps_direct;   /* the kernel maps what goes round its page cache */
	atomic_bool copies; /* libfuse's buffers are too large for ours */

	struct fuse_ll_worker workers[64];
	unsigned n_workers;
	struct poller poller; /* which of them reads */
	bool has_poller;
	struct mutex mu;
	struct cond changed;
	unsigned running; /* guarded by mu: workers not gone yet */
	bool stop;	  /* guarded by mu */
	int rc;		  /* guarded by mu: why a worker gave up */

	struct thread forgetter;     /* sends invalidations */
	struct fuse_ll_stale *stale; /* guarded by mu */
	size_t n_stale, cap_stale;
	uint64_t asked, forgotten; /* guarded by mu: how many so far */
	bool no_more;		   /* guarded by mu */

	struct fuse_ll_seen seen;
	atomic_bool plus_goes_on; /* so did the last listing of many pages */
};

static inline struct fuse_ll *fuse_ll_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* --- fuse_ll.c --- */

/* Answers 0 or an error: the one place where a code becomes an errno. */
void fuse_ll_reply(fuse_req_t req, int rc);
/* Who asks. */
struct cred fuse_ll_cred(fuse_req_t req);
/* Memory of the calling worker, at least n bytes; NULL without memory. */
void *fuse_ll_scratch(size_t n);
/* The buffer of the calling worker, if p is the start of its bytes; or NULL. */
struct dirty_buf **fuse_ll_spare(const void *p);
/* Does the request of the calling worker want set-id bits cleared? */
bool fuse_ll_kill(void);

/*
 * Waits, for a bounded time, until the kernel has forgotten what was asked
 * for within the request of the calling worker.
 */
void fuse_ll_settle(struct fuse_ll *l);

/* --- fuse_ll_raw.c --- */

/* What libfuse does not hand on: KILL_SUIDGID flags of a raw request. */
bool fuse_ll_raw_kill(const void *p, size_t n);
/* Adds a raw request to the counts of its worker; 0: kinds without a name. */
void fuse_ll_raw_count(_Atomic uint64_t counts[FUSE_LL_OPCODES], const void *p,
		       size_t n);
/* Its kind; 0: too short. */
unsigned fuse_ll_raw_kind(const void *p, size_t n);

/* --- fuse_ll_caps.c --- */

void fuse_ll_caps(struct fuse_conn_info *conn);

/* --- fuse_ll_virt.c --- */

static inline const struct vdir_ops *fuse_ll_vops(const struct fuse_ll *l)
{
	return l->o.vdir ? l->o.vdir->ops : NULL;
}
/* Is it one of the virtual names that the container shows? */
bool fuse_ll_virt_reserved(const struct fuse_ll *l, uint64_t parent,
			   const char *name);
/* May `name` be made (0), or changed (0), in `parent` at all? */
int fuse_ll_virt_may_make(const struct fuse_ll *l, uint64_t parent,
			  const char *name);
int fuse_ll_virt_may_change(const struct fuse_ll *l, uint64_t parent,
			    const char *name);
/* A virtual node for the name, with a lookup count; -ENOENT. */
int fuse_ll_virt_lookup(struct fuse_ll *l, const struct cred *cr,
			uint64_t parent, const char *name, struct stat *out,
			uint32_t *out_ttl_ms);
void fuse_ll_virt_init(struct fuse_ll *l);
void fuse_ll_virt_release(struct fuse_ll *l);
/* A real inode was seen below `parent`. */
void fuse_ll_virt_note(struct fuse_ll *l, uint64_t parent, uint64_t ino);
/* Was the kernel shown this inode in the hybrid directory? */
bool fuse_ll_virt_known(struct fuse_ll *l, uint64_t ino);
/* A real file was written and closed, or its name in `parent` changed. */
void fuse_ll_virt_closed(struct fuse_ll *l, uint64_t ino);
void fuse_ll_virt_renamed(struct fuse_ll *l, uint64_t parent, uint64_t ino,
			  const char *name);

/* --- families: each sets its operations --- */

void fuse_ll_name_ops(struct fuse_lowlevel_ops *ops);
void fuse_ll_attr_ops(struct fuse_lowlevel_ops *ops);
void fuse_ll_file_ops(struct fuse_lowlevel_ops *ops);
void fuse_ll_dir_ops(struct fuse_lowlevel_ops *ops);
/* Entry of a real inode, of a virtual node. */
struct fuse_entry_param fuse_ll_name_entry(const struct fuse_ll *l,
					   const struct stat *st);
struct fuse_entry_param fuse_ll_name_virtual(const struct stat *st,
					     uint32_t ttl_ms);

#endif
