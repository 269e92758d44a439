/*
 * serve_impl.h - for serve*.c.
 *
 * Locks: serve.mu guards the list of replicas and the progress; it is held
 * for no disk I/O but in add and remove, which exclude each other by it.
 */
#ifndef FS_SERVE_IMPL_H
#define FS_SERVE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"
#include "fs/daemon/serve.h"

struct json;
struct replicate;
struct vio;

enum { SERVE_REPLICAS_MAX = 32 };

/* A replica as the log knows it. */
struct serve_replica {
	uint16_t number;
	char *location;
	bool following;
	char words[320]; /* why not */
};

struct serve {
	struct core *core;
	struct replicate *follow;
	struct vio *own_vio;  /* NULL: the core's */
	struct mutex busy_mu; /* one verify, scrub, add or remove at a time */
	uint64_t repaired;    /* of the store's, told by a scrub; busy_mu */
	struct mutex mu;      /* all below */
	struct serve_replica replicas[SERVE_REPLICAS_MAX];
	unsigned n_replicas;
	uint16_t last_number;
	char part[16];
	uint64_t done, all;
	bool ending;  /* unmounting: what takes long gives up */
	bool gc_stop; /* somebody asked the run of gc to end */
	struct cond changed;
	bool stop;
	struct thread thread; /* tells followers how far the log is */
};

/* --- serve.c --- */
#define SERVE_GIVEN_UP "given up: the volume is unmounted"
/* Is it unmounted just now?  What takes long gives up then. */
bool serve_is_ending(struct serve *s);

/* --- serve_replica.c --- */
int must_use serve_replica_open(struct serve *s, struct errmsg *em);
void serve_replica_close(struct serve *s);
int serve_replica_add(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em);
int serve_replica_remove(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em);
int serve_replica_list(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em);
int serve_replica_sync(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em);

/* --- serve_retain.c --- */
int serve_retain_set(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em);
int serve_retain_remove(void *ctx, const struct json *request,
			const struct cred *peer, struct buf *out,
			struct errmsg *em);
int serve_retain_hold(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em);
int serve_retain_lift(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em);
int serve_retain_gc(void *ctx, const struct json *request,
		    const struct cred *peer, struct buf *out,
		    struct errmsg *em);
int serve_retain_gc_stop(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em);

#endif
