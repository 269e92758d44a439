/*
 * mount_impl.h - what mount.c, mount_serve.c and mount_verbs.c share.
 */
#ifndef FS_MOUNT_IMPL_H
#define FS_MOUNT_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"
#include "fs/daemon/ending.h"
#include "fs/daemon/mount.h"
#include "fs/daemon/mount_opt.h"
#include "fs/fuse/vdir.h"

struct fuse_ll;

struct mount {
	const struct mount_wiring *wiring;
	struct mount_opt opt;
	bool foreground;
	char *store, *dir; /* absolute */
	char *guard;	   /* where guards live; NULL: read-only */
	int ready_fd;	   /* tells the parent; -1 when told or not needed */

	/* read-only: the ledger takes no lock then, so the mount does */
	struct vio *lock_vio;
	struct vio_file *lock;
	struct core *core;
	struct control *control;
	struct run_channel *runs;
	struct vdir vdir;
	bool wired;
	uint64_t container, hybrid;
	struct ending ending;

	struct mutex mu;
	struct fuse_ll *ll; /* guarded by mu: core's threads may ask */
	bool mounted;	    /* guarded by mu: what lies on dir is ours */
	bool stopping;	    /* guarded by mu: asked to, maybe too early */
	int signal_fd, wake_fd;
	struct thread signals;
};

/* mount_serve.c: does everything; returns when the volume is closed. */
int must_use mount_serve(struct mount *m, struct errmsg *em);
/* Once: "usable", or why not. */
void mount_tell_parent(struct mount *m, int rc, const struct errmsg *em);
/* Asks for an orderly end, as SIGTERM does; any thread. */
void mount_ask_stop(struct mount *m);

/* mount_verbs.c */
void mount_verbs_register(struct mount *m);

#endif
