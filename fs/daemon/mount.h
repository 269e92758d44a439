/*
 * mount.h - one mounted volume as a process: options, readiness, threads,
 * signals, shutdown.
 *
 * mount_run() returns in the caller when the mount is usable (a daemon serves
 * it then), or, with `foreground`, when it was unmounted.  The daemon logs to
 * STORE/vouch.log, with `foreground` to stderr.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include <stdbool.h>

#include "base/auto.h"

struct control;
struct core;
struct errmsg;
struct mount_opt;
struct vdir;

struct mount_options {
	const char *store; /* STORE as typed */
	const char *dir;   /* where to mount */
	const char *text;  /* what follows -o; NULL */
	bool foreground;
};

/*
 * Who makes the virtual files.  `open` is called in the daemon, after the core
 * is open and before the mount: it fills *out and may register verbs.  `close`
 * is called when no request can come any more, before core_finish(); `release`
 * after it, before core_close(): the log is whole and can still be copied.
 */
struct mount_wiring {
	int (*open)(void *ctx, struct core *core, struct control *control,
		    const struct mount_opt *opt, struct vdir *out,
		    struct errmsg *em);
	void (*close)(void *ctx, struct vdir *v);
	void (*release)(void *ctx);
	void *ctx;
};

/* wiring may be NULL: no virtual files. */
int must_use mount_run(const struct mount_options *o,
		       const struct mount_wiring *wiring, struct errmsg *em);

#endif
