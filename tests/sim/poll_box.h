/*
 * poll_box.h - workers that share a pipe by a poller, as those of a session
 * share /dev/fuse; and clients that ask through it, one request at a time.
 */
#ifndef TESTS_SIM_POLL_BOX_H
#define TESTS_SIM_POLL_BOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "fs/fuse/poller.h"

/* Kinds of requests: answered at once, after 200 us, when it is released. */
enum { POLL_QUICK = 1, POLL_LASTS = 2, POLL_HELD = 3 };

struct poll_box {
	struct poller poller;
	int ask[2];
	unsigned workers;
	struct thread thread[POLLER_WORKERS];
	_Atomic unsigned next; /* number of a worker */
	_Atomic uint64_t answered;
	atomic_bool release;
};

struct poll_client {
	struct poll_box *box;
	int answer[2];
};

void poll_box_open(struct poll_box *b, unsigned workers, unsigned cores);
/* All clients have gone. */
void poll_box_close(struct poll_box *b);
void poll_client_open(struct poll_client *c, struct poll_box *b);
void poll_client_close(struct poll_client *c);
void poll_client_send(struct poll_client *c, unsigned kind);
/* Waits for the answer to what was sent. */
void poll_client_wait(struct poll_client *c);
/* Both. */
void poll_client_ask(struct poll_client *c, unsigned kind);
/* Asks quickly until somebody polls; false: for 60 s nobody did. */
bool poll_client_until_polled(struct poll_client *c);

#endif
