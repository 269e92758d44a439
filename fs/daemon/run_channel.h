/*
 * run_channel.h - where `vouch run` declares runs: a socket that every user of
 * the mount may connect to, and that knows no other verbs (serve_run.h).
 *
 * It lies at /run/vouchfs/MAJOR:MINOR, the mount's device number, where root
 * mounted; and at STORE/runs for those who can reach the store.  Lines as on
 * the control socket.  A connection is open for as long as its run goes on.
 *
 * Bounded: connections in all and of each user, some being kept for root and
 * our own user; bytes of a request; how long one without a run may be silent;
 * and the bytes that a user says in a second, so that nobody can fill the log
 * who may not write to the volume.
 *
 * Threads: one of its own answers everything; one waits for the index, and
 * one for what runs that end wrote to be saved.
 */
#ifndef FS_RUN_CHANNEL_H
#define FS_RUN_CHANNEL_H

#include <stdbool.h>

#include "base/auto.h"

struct core;
struct errmsg;
struct run_channel;

#define RUN_CHANNEL_DIR "/run/vouchfs"
#define RUN_CHANNEL_NAME "runs" /* below STORE */
enum { RUN_CHANNEL_REQUEST_MAX = 192 << 10 };

struct run_channel_options {
	struct core *core;
	const char *store, *dir; /* dir is mounted already */
	bool anybody;		 /* others than root and our own user, too */
};

int must_use run_channel_open(struct run_channel **out,
			      const struct run_channel_options *o,
			      struct errmsg *em);
/* Ends the runs that go on as lost.  NULL is a no-op. */
void run_channel_close(struct run_channel *c);

#endif
