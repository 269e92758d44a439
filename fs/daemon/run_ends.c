/*
 * run_ends.c - see run_ends.h.
 *
 * Invariant: a run that was begun to be ended is ended, also when nobody asks
 * any more and when the mount goes.
 */
#include "fs/daemon/run_ends.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "fs/run/run.h"

enum ending_state { ENDING_NEW, ENDING_QUEUED, ENDING_DONE };

struct run_ending {
	struct run_ending *next; /* queued */
	struct run_going *going;
	struct run_ended how;
	uint64_t processes;
	int rc;
	enum ending_state state;
	bool left; /* nobody asks any more */
};

struct run_ends {
	struct core *core;
	int wake_fd;
	struct mutex mu; /* guards all of each ending but what ends it */
	struct cond work;
	struct run_ending *first, **last;
	bool stop;
	struct thread thread;
};

static void end(struct run_ends *q, struct run_ending *e)
{
	e->rc = run_end(q->core, take(e->going), &e->how, &e->processes);
	if (e->rc < 0)
		log_event(LOG_ERROR, "run_end", "error=\"%s\"",
			  err_text(e->rc));
}

static void ends_main(void *arg)
{
	struct run_ends *q = arg;

	mutex_lock(&q->mu);
	while (q->first || !q->stop) {
		struct run_ending *e = q->first;

		if (!e) {
			cond_wait(&q->work, &q->mu);
			continue;
		}
		q->first = e->next;
		if (!q->first)
			q->last = &q->first;
		mutex_unlock(&q->mu);
		end(q, e);
		mutex_lock(&q->mu);
		e->state = ENDING_DONE;
		if (e->left)
			free(e);
		/* A full pipe wakes just as well. */
		(void)!write(q->wake_fd, "e", 1);
	}
	mutex_unlock(&q->mu);
}

int run_ends_open(struct run_ends **out, struct core *core, int wake_fd)
{
	struct run_ends *q = calloc(1, sizeof(*q));
	int rc;

	if (!q)
		return -ENOMEM;
	q->core = core;
	q->wake_fd = wake_fd;
	q->last = &q->first;
	mutex_init(&q->mu);
	cond_init(&q->work);
	rc = thread_start(&q->thread, "run-ends", ends_main, q);
	if (rc < 0) {
		run_ends_close(q);
		return rc;
	}
	*out = q;
	return 0;
}

void run_ends_close(struct run_ends *q)
{
	if (!q)
		return;
	mutex_lock(&q->mu);
	q->stop = true;
	cond_signal(&q->work);
	mutex_unlock(&q->mu);
	thread_join(&q->thread);
	cond_destroy(&q->work);
	mutex_destroy(&q->mu);
	free(q);
}

struct run_ending *run_ending_new(void)
{
	return calloc(1, sizeof(struct run_ending));
}

void run_ending_begin(struct run_ends *q, struct run_ending *e,
		      struct run_going *r, const struct run_ended *how)
{
	e->going = r;
	e->how = *how;
	/* What is written in between is little, and saved here, too. */
	if (!run_unsaved(q->core, r)) {
		end(q, e);
		e->state = ENDING_DONE;
		return;
	}
	mutex_lock(&q->mu);
	e->state = ENDING_QUEUED;
	*q->last = e;
	q->last = &e->next;
	cond_signal(&q->work);
	mutex_unlock(&q->mu);
}

bool run_ending_done(struct run_ends *q, struct run_ending *e, int *out_rc,
		     uint64_t *out_processes)
{
	bool done;

	mutex_lock(&q->mu);
	done = e->state == ENDING_DONE;
	if (done) {
		*out_rc = e->rc;
		*out_processes = e->processes;
	}
	mutex_unlock(&q->mu);
	return done;
}

void run_ending_leave(struct run_ends *q, struct run_ending *e)
{
	if (!e)
		return;
	mutex_lock(&q->mu);
	if (e->state == ENDING_QUEUED)
		e->left = true;
	else
		free(e);
	mutex_unlock(&q->mu);
}
