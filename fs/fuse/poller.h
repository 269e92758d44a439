/*
 * poller.h - how the workers of a session share a descriptor that requests
 * are read from: all of them blocked in read(2), or, while requests come
 * closely one after another, one that looks for the next without sleeping.
 *
 * A worker's loop:
 *
 *     while (poller_wait(p, me)) {
 *             read;  poller_got(p, me, kind);  answer;  poller_done(p, me);
 *     }
 *     poller_leave(p, me);
 *
 * Threads: each worker calls with a number of its own; poller_stop() may be
 * called from any thread.
 */
#ifndef FS_POLLER_H
#define FS_POLLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"

enum { POLLER_WORKERS = 64, POLLER_KINDS = 64 };

struct poller_seat {
	_Atomic uint32_t turns; /* odd: in a request */
	unsigned kind;		/* of it */
	int64_t since_ns;	/* when it got it, or was done with the last */
	bool tries;		/* spins before it sleeps */
	bool lasted;		/* the last request did */
	/* As the leader; its own thread's alone, also when it was ended. */
	uint32_t served, crowd;
	long preempted; /* how often it was, when last seen */
};

struct poller {
	int fd;
	unsigned workers;
	bool may;	 /* there are enough cores */
	bool spare;	 /* there are more than leader and client need */
	int64_t near_ns; /* so soon after the last one is close */
	struct poller_seat seat[POLLER_WORKERS];

	/* Who polls; POLLER_NOBODY: all read.  Changed under mu. */
	_Atomic int leader;
	_Atomic int64_t done_ns; /* when the last request was answered */
	_Atomic uint32_t run;	 /* so many came closely and were quick */
	_Atomic uint32_t wanted; /* so long a run makes a leader */
	_Atomic uint8_t slow[POLLER_KINDS]; /* see waited() */
	_Atomic uint32_t worth; /* spins that paid, less those that did not */

	struct mutex mu;
	struct cond changed;
	bool watched; /* guarded by mu: a parked worker looks at the leader */
	atomic_bool stop;
};

/* cores: how many threads can run at once; with one nobody ever polls. */
void poller_init(struct poller *p, int fd, unsigned workers, unsigned cores);
void poller_release(struct poller *p);
/* Until the worker shall read; it may have to sleep there.  False: stopped. */
bool must_use poller_wait(struct poller *p, unsigned me);
/* It has read a request of this kind, a small number. */
void poller_got(struct poller *p, unsigned me, unsigned kind);
/* It has answered it, or somebody else will. */
void poller_done(struct poller *p, unsigned me);
/* The worker ends: it polls no more. */
void poller_leave(struct poller *p, unsigned me);
/* poller_wait() returns false from now on; who reads is not disturbed. */
void poller_stop(struct poller *p);
/* Does somebody poll? */
bool poller_polls(const struct poller *p);

#endif
