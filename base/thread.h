/*
 * thread.h - named threads, mutexes and condition variables.
 *
 * Misuse (unlock by a stranger, destroy while held) is a bug and aborts; only
 * thread_start can fail.  Clang checks the locking of functions that carry
 * requires_capability; other compilers ignore the attributes.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

#if defined(__clang__)
#define thread_attr_(x) __attribute__((x))
#else
#define thread_attr_(x)
#endif

#define capability(x) thread_attr_(capability(x))
/* The caller holds these locks, and holds them still afterwards. */
#define requires_capability(...) thread_attr_(requires_capability(__VA_ARGS__))
#define acquire_capability(...) thread_attr_(acquire_capability(__VA_ARGS__))
#define release_capability(...) thread_attr_(release_capability(__VA_ARGS__))
#define try_acquire_capability(...) \
	thread_attr_(try_acquire_capability(__VA_ARGS__))
/* The caller must not hold these locks. */
#define excludes_capability(...) thread_attr_(locks_excluded(__VA_ARGS__))
/* For the few functions whose locking clang cannot follow. */
#define no_thread_safety_analysis thread_attr_(no_thread_safety_analysis)

struct capability("mutex") mutex
{
	pthread_mutex_t m;
};

/* Error-checking: a second lock by the owner aborts instead of hanging. */
void mutex_init(struct mutex *mu);
void mutex_destroy(struct mutex *mu);
void mutex_lock(struct mutex *mu) acquire_capability(mu);
void mutex_unlock(struct mutex *mu) release_capability(mu);
/* True when the lock was taken. */
bool must_use mutex_trylock(struct mutex *mu) try_acquire_capability(true, mu);

struct cond {
	pthread_cond_t c; /* on CLOCK_MONOTONIC */
};

void cond_init(struct cond *c);
void cond_destroy(struct cond *c);
/* Wakes up spuriously: always wait in a loop over the condition. */
void cond_wait(struct cond *c, struct mutex *mu) requires_capability(mu);
/*
 * Waits at most timeout_ns (<= 0: does not wait at all, only lets go of the
 * lock and takes it again); false when the time was over.
 */
bool cond_timedwait_ns(struct cond *c, struct mutex *mu, int64_t timeout_ns)
	requires_capability(mu);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

struct thread {
	pthread_t id;
	bool running; /* started and not joined */
};

/*
 * Starts fn(arg) with every signal blocked and the name (<= 15 bytes, cut
 * when longer) that ps and gdb show.  Expected error: -EAGAIN.
 */
int must_use thread_start(struct thread *out, const char *name,
			  void (*fn)(void *arg), void *arg);
/* How many threads can run at once: cores that are online, 1 to max. */
unsigned thread_cores(unsigned max);
/* Lowers the priority of this thread, where the system lets it. */
void thread_nice(int by);
/*
 * This thread answers somebody who waits: when it wakes up it goes before
 * threads that compute, for a short while, without a larger share in all
 * (Linux 6.12; before, nothing happens).  With both cores busy an fsync took
 * 0.4 ms instead of 3.9 at the median.
 */
void thread_answers(void);
/* Waits for the end of the thread; a no-op when it is not running. */
void thread_join(struct thread *t);
/*
 * For a thread that may hang in a system call: it sets *ended as its last act,
 * under mu, and wakes c; true when it did so in time.  One that did not is
 * left, and everything that it uses with it.
 */
bool must_use thread_ends_within(struct cond *c, struct mutex *mu,
				 const bool *ended, int64_t timeout_ns)
	requires_capability(mu);
void thread_leave(struct thread *t);

#endif
