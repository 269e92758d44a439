/*
 * watch.c - see watch.h.
 *
 * Threads: the caller's, which asks; `watch`, which draws and stops.  The
 * signal handler only sets a flag.
 */
#include "mount-tools/watch.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/thread.h"
#include "mount-tools/ask.h"
#include "mount-tools/progress.h"

enum { POLL_NS = 200 * 1000 * 1000 };

static volatile sig_atomic_t interrupted;

struct watch {
	const struct ctl_place *place;
	const struct watch_options *o;
	struct progress bar;
	struct mutex mu;
	struct cond changed;
	bool stop; /* guarded by mu */
	bool told; /* the volume was told to stop */
};

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void look(struct watch *w)
{
	struct json_doc *doc = NULL;
	uint64_t done = 0, all = 0;
	const char *part;

	if (ask_aside(&doc, w->place, "\"verb\":\"progress\"") == 0 &&
	    json_get_u64(json_root(doc), "done", &done) &&
	    json_get_u64(json_root(doc), "all", &all)) {
		part = json_get_str(json_root(doc), "part");
		if (w->o->part && part)
			w->bar.what = w->o->part(part, &w->bar.bytes);
		progress_set(&w->bar, done, all);
	}
	json_free(doc);
}

static void tell_stop(struct watch *w)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "\"verb\":\"%s\"", w->o->stop);
	if (!b.bad && ask_aside(NULL, w->place, (char *)b.p) == 0)
		w->told = true;
	buf_release(&b);
}

static void watch_main(void *arg)
{
	struct watch *w = arg;

	mutex_lock(&w->mu);
	while (!w->stop) {
		cond_timedwait_ns(&w->changed, &w->mu, POLL_NS);
		if (w->stop)
			break;
		mutex_unlock(&w->mu);
		if (interrupted && !w->told)
			tell_stop(w);
		if (w->bar.shown)
			look(w);
		mutex_lock(&w->mu);
	}
	mutex_unlock(&w->mu);
}

int watch_ask(struct json_doc **out, const struct ctl_place *place,
	      const char *members, const struct watch_options *o,
	      struct errmsg *em)
{
	struct sigaction act = { .sa_handler = on_signal }, was[2];
	struct watch w = { .place = place, .o = o };
	struct thread t = { .running = false };
	int rc;

	progress_start(&w.bar, o->title, false);
	mutex_init(&w.mu);
	cond_init(&w.changed);
	act.sa_flags = SA_RESTART;
	if (o->stop) {
		sigaction(SIGINT, &act, &was[0]);
		sigaction(SIGTERM, &act, &was[1]);
	}
	if (w.bar.shown || o->stop)
		(void)!thread_start(&t, "watch", watch_main, &w);
	rc = ask_volume(out, place, members, em);
	mutex_lock(&w.mu);
	w.stop = true;
	cond_broadcast(&w.changed);
	mutex_unlock(&w.mu);
	thread_join(&t);
	if (o->stop) {
		sigaction(SIGINT, &was[0], NULL);
		sigaction(SIGTERM, &was[1], NULL);
	}
	cond_destroy(&w.changed);
	mutex_destroy(&w.mu);
	progress_end(&w.bar);
	return rc;
}
