/*
 * thread.c - see thread.h.  Everything here may be called from any thread.
 *
 * Invariant: a pthread call that fails for a reason other than the documented
 * one is a bug of the caller and aborts, in release builds too.
 */
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { SLICE_NS = 100000 }; /* the least that Linux takes */

static void check(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bug: %s: %s\n", what, strerror(rc));
	abort();
}

void mutex_init(struct mutex *mu)
{
	pthread_mutexattr_t attr;

	assert(mu != NULL);
	check(pthread_mutexattr_init(&attr), "mutexattr_init");
	check(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK),
	      "mutexattr_settype");
	check(pthread_mutex_init(&mu->m, &attr), "mutex_init");
	check(pthread_mutexattr_destroy(&attr), "mutexattr_destroy");
}

void mutex_destroy(struct mutex *mu)
{
	check(pthread_mutex_destroy(&mu->m), "mutex_destroy");
}

void mutex_lock(struct mutex *mu) no_thread_safety_analysis
{
	check(pthread_mutex_lock(&mu->m), "mutex_lock");
}

void mutex_unlock(struct mutex *mu) no_thread_safety_analysis
{
	check(pthread_mutex_unlock(&mu->m), "mutex_unlock");
}

bool mutex_trylock(struct mutex *mu) no_thread_safety_analysis
{
	int rc = pthread_mutex_trylock(&mu->m);

	if (rc == EBUSY)
		return false;
	check(rc, "mutex_trylock");
	return true;
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	assert(c != NULL);
	check(pthread_condattr_init(&attr), "condattr_init");
	check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC),
	      "condattr_setclock");
	check(pthread_cond_init(&c->c, &attr), "cond_init");
	check(pthread_condattr_destroy(&attr), "condattr_destroy");
}

void cond_destroy(struct cond *c)
{
	check(pthread_cond_destroy(&c->c), "cond_destroy");
}

void cond_wait(struct cond *c, struct mutex *mu)
{
	check(pthread_cond_wait(&c->c, &mu->m), "cond_wait");
}

bool cond_timedwait_ns(struct cond *c, struct mutex *mu, int64_t timeout_ns)
{
	struct timespec at;
	int rc;

	if (timeout_ns < 0)
		timeout_ns = 0;
	check(clock_gettime(CLOCK_MONOTONIC, &at) != 0 ? errno : 0,
	      "clock_gettime");
	at.tv_sec += timeout_ns / 1000000000;
	at.tv_nsec += timeout_ns % 1000000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	rc = pthread_cond_timedwait(&c->c, &mu->m, &at);
	if (rc == ETIMEDOUT)
		return false;
	check(rc, "cond_timedwait");
	return true;
}

void cond_signal(struct cond *c)
{
	check(pthread_cond_signal(&c->c), "cond_signal");
}

void cond_broadcast(struct cond *c)
{
	check(pthread_cond_broadcast(&c->c), "cond_broadcast");
}

struct start {
	void (*fn)(void *arg);
	void *arg;
	char name[16];
};

static void *thread_main(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	/* The name is a courtesy to debuggers; failing to set it is fine. */
	(void)pthread_setname_np(pthread_self(), s.name);
	s.fn(s.arg);
	return NULL;
}

int thread_start(struct thread *out, const char *name, void (*fn)(void *arg),
		 void *arg)
{
	struct start *s = NULL;
	sigset_t all;
	sigset_t old;
	int rc;

	assert(out != NULL && name != NULL && fn != NULL);
	memset(out, 0, sizeof(*out));
	s = malloc(sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->fn = fn;
	s->arg = arg;
	snprintf(s->name, sizeof(s->name), "%s", name);
	sigfillset(&all);
	check(pthread_sigmask(SIG_SETMASK, &all, &old), "sigmask");
	rc = pthread_create(&out->id, NULL, thread_main, s);
	check(pthread_sigmask(SIG_SETMASK, &old, NULL), "sigmask");
	if (rc != 0) {
		free(s);
		return -rc;
	}
	out->running = true;
	return 0;
}

unsigned thread_cores(unsigned max)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > (long)max ? max : (unsigned)n;
}

void thread_nice(int by)
{
	/* of the calling thread alone on Linux, whatever POSIX says */
	(void)setpriority(PRIO_PROCESS, 0, by);
}

void thread_answers(void)
{
	/* struct sched_attr, which not every libc has, as it was at first */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} how = { .size = 48 };

	_Static_assert(sizeof(how) == 48, "SCHED_ATTR_SIZE_VER0");
	if (syscall(SYS_sched_getattr, 0, &how, sizeof(how), 0) < 0 ||
	    (how.policy != SCHED_OTHER && how.policy != SCHED_BATCH))
		return;
	how.flags = 0;
	how.runtime = SLICE_NS;
	(void)syscall(SYS_sched_setattr, 0, &how, 0);
}

void thread_join(struct thread *t)
{
	if (t == NULL || !t->running)
		return;
	check(pthread_join(t->id, NULL), "thread_join");
	t->running = false;
}

bool thread_ends_within(struct cond *c, struct mutex *mu, const bool *ended,
			int64_t timeout_ns)
{
	int64_t until = clock_mono_ns() + timeout_ns;
	int64_t left = timeout_ns;

	while (!*ended && left > 0) {
		cond_timedwait_ns(c, mu, left);
		left = until - clock_mono_ns();
	}
	return *ended;
}

void thread_leave(struct thread *t)
{
	if (t == NULL || !t->running)
		return;
	check(pthread_detach(t->id), "thread_leave");
	t->running = false;
}
