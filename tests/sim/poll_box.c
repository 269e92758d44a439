/*
 * poll_box.c - see poll_box.h.  What goes wrong below ends the program: no
 * test is about failing pipes.
 */
#include "tests/sim/poll_box.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LASTS_US = 200, PATIENCE_S = 60 };
/* Other tests may keep a client from its core for long. */
enum { NEAR_NS = 1000000000 };

/* Shorter than PIPE_BUF: written and read as a whole. */
struct request {
	unsigned kind;
	int answer;
};

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void serve(struct poll_box *b, const struct request *r)
{
	if (r->kind == POLL_LASTS)
		usleep(LASTS_US);
	while (r->kind == POLL_HELD && !b->release)
		usleep(LASTS_US);
	b->answered++;
	check(write(r->answer, "", 1) == 1, "answer");
}

static void worker(void *arg)
{
	struct poll_box *b = arg;
	unsigned me = b->next++;
	struct request r;

	while (poller_wait(&b->poller, me)) {
		if (read(b->ask[0], &r, sizeof(r)) != (ssize_t)sizeof(r))
			break; /* nobody asks any more */
		poller_got(&b->poller, me, r.kind);
		serve(b, &r);
		poller_done(&b->poller, me);
	}
	poller_leave(&b->poller, me);
}

void poll_box_open(struct poll_box *b, unsigned workers, unsigned cores)
{
	*b = (struct poll_box){ .workers = workers };
	check(pipe(b->ask) == 0, "pipe");
	poller_init(&b->poller, b->ask[0], workers, cores);
	b->poller.near_ns = NEAR_NS;
	for (unsigned i = 0; i < workers; i++)
		check(thread_start(&b->thread[i], "poll", worker, b) == 0,
		      "thread");
}

void poll_box_close(struct poll_box *b)
{
	poller_stop(&b->poller);
	close(b->ask[1]);
	for (unsigned i = 0; i < b->workers; i++)
		thread_join(&b->thread[i]);
	close(b->ask[0]);
	poller_release(&b->poller);
}

void poll_client_open(struct poll_client *c, struct poll_box *b)
{
	c->box = b;
	check(pipe(c->answer) == 0, "pipe");
}

void poll_client_close(struct poll_client *c)
{
	close(c->answer[0]);
	close(c->answer[1]);
}

void poll_client_send(struct poll_client *c, unsigned kind)
{
	struct request r = { kind, c->answer[1] };

	check(write(c->box->ask[1], &r, sizeof(r)) == (ssize_t)sizeof(r),
	      "ask");
}

void poll_client_wait(struct poll_client *c)
{
	char got;

	check(read(c->answer[0], &got, 1) == 1, "wait");
}

void poll_client_ask(struct poll_client *c, unsigned kind)
{
	poll_client_send(c, kind);
	poll_client_wait(c);
}

bool poll_client_until_polled(struct poll_client *c)
{
	time_t end = time(NULL) + PATIENCE_S;

	while (!poller_polls(&c->box->poller)) {
		if (time(NULL) > end)
			return false;
		poll_client_ask(c, POLL_QUICK);
	}
	return true;
}
