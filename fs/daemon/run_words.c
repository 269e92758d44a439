/*
 * run_words.c - see run_words.h.
 *
 * Invariant: what was asked for before a round of waiting began is ready when
 * it ends, also when the round fails: then there is no word.
 */
#include "fs/daemon/run_words.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

struct run_words {
	run_words_fn *settle;
	void *ctx;
	int wake_fd;
	struct mutex mu;
	struct cond work;
	uint64_t asked, ready; /* guarded by mu, as is stop */
	bool stop;
	struct thread thread;
};

static void words_main(void *arg)
{
	struct run_words *w = arg;

	mutex_lock(&w->mu);
	while (!w->stop) {
		uint64_t until = w->asked;

		if (until == w->ready) {
			cond_wait(&w->work, &w->mu);
			continue;
		}
		mutex_unlock(&w->mu);
		(void)w->settle(w->ctx);
		mutex_lock(&w->mu);
		w->ready = until;
		/* A full pipe wakes just as well. */
		(void)!write(w->wake_fd, "w", 1);
	}
	mutex_unlock(&w->mu);
}

int run_words_open(struct run_words **out, run_words_fn *settle, void *ctx,
		   int wake_fd)
{
	struct run_words *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	w->settle = settle;
	w->ctx = ctx;
	w->wake_fd = wake_fd;
	mutex_init(&w->mu);
	cond_init(&w->work);
	rc = thread_start(&w->thread, "run-words", words_main, w);
	if (rc < 0) {
		run_words_close(w);
		return rc;
	}
	*out = w;
	return 0;
}

void run_words_close(struct run_words *w)
{
	if (!w)
		return;
	mutex_lock(&w->mu);
	w->stop = true;
	cond_signal(&w->work);
	mutex_unlock(&w->mu);
	thread_join(&w->thread);
	cond_destroy(&w->work);
	mutex_destroy(&w->mu);
	free(w);
}

uint64_t run_words_ask(struct run_words *w)
{
	mutex_lock(&w->mu);
	uint64_t number = ++w->asked;
	cond_signal(&w->work);
	mutex_unlock(&w->mu);
	return number;
}

bool run_words_ready(struct run_words *w, uint64_t number)
{
	mutex_lock(&w->mu);
	bool yes = w->ready >= number;
	mutex_unlock(&w->mu);
	return yes;
}
