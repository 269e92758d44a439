/*
 * test_thread.c - names, waits, and misuse that aborts.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

struct shared {
	struct mutex mu;
	struct cond changed;
	int n;
	char name[16];
	sigset_t mask;
};

static void setup(struct shared *s)
{
	memset(s, 0, sizeof(*s));
	mutex_init(&s->mu);
	cond_init(&s->changed);
}

static void teardown(struct shared *s)
{
	cond_destroy(&s->changed);
	mutex_destroy(&s->mu);
}

static void count(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 10000; i++) {
		mutex_lock(&s->mu);
		s->n++;
		mutex_unlock(&s->mu);
	}
	mutex_lock(&s->mu);
	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
	pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
	cond_broadcast(&s->changed);
	mutex_unlock(&s->mu);
}

Test(thread, a_mutex_excludes_and_a_cond_wakes)
{
	struct shared s;
	struct thread t[3];

	setup(&s);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(thread_start(&t[i], "a-name-that-is-too-long",
					  count, &s),
			     0);
	mutex_lock(&s.mu);
	while (s.n < 30000)
		cond_wait(&s.changed, &s.mu);
	mutex_unlock(&s.mu);
	for (int i = 0; i < 3; i++) {
		thread_join(&t[i]);
		thread_join(&t[i]);
	}
	cr_assert_str_eq(s.name, "a-name-that-is-");
	cr_assert(sigismember(&s.mask, SIGTERM));
	teardown(&s);
}

Test(thread, a_timed_wait_ends)
{
	struct shared s;
	struct timespec a;
	struct timespec b;

	setup(&s);
	mutex_lock(&s.mu);
	clock_gettime(CLOCK_MONOTONIC, &a);
	while (cond_timedwait_ns(&s.changed, &s.mu, 20000000))
		;
	clock_gettime(CLOCK_MONOTONIC, &b);
	cr_assert_geq((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec -
			      a.tv_nsec,
		      20000000);
	cr_assert_not(cond_timedwait_ns(&s.changed, &s.mu, 0));
	cr_assert_not(cond_timedwait_ns(&s.changed, &s.mu, -5));
	mutex_unlock(&s.mu);
	teardown(&s);
}

/* What the kernel knows of this thread: policy, nice, slice. */
static void look(uint32_t *policy, int32_t *nice, uint64_t *slice)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} how = { .size = 0 };

	cr_assert_eq(syscall(SYS_sched_getattr, 0, &how, sizeof(how), 0), 0);
	*policy = how.policy;
	*nice = how.nice;
	*slice = how.runtime;
}

static void answer(void *arg)
{
	struct shared *s = arg;
	uint32_t policy[2];
	int32_t nice[2];
	uint64_t slice[2];

	thread_nice(3);
	look(&policy[0], &nice[0], &slice[0]);
	thread_answers();
	look(&policy[1], &nice[1], &slice[1]);
	/* before Linux 6.12 there are no slices to set */
	s->n = policy[1] == policy[0] && nice[0] == 3 && nice[1] == 3 &&
	       (slice[0] == 0 || slice[1] < slice[0]);
}

Test(thread, that_answers_gets_short_slices_and_no_more)
{
	struct shared s;
	struct thread t;

	setup(&s);
	cr_assert_eq(thread_start(&t, "answers", answer, &s), 0);
	thread_join(&t);
	cr_assert(s.n == 1);
	teardown(&s);
}

Test(thread, trylock_tells)
{
	struct shared s;

	setup(&s);
	cr_assert(mutex_trylock(&s.mu));
	cr_assert_not(mutex_trylock(&s.mu));
	mutex_unlock(&s.mu);
	teardown(&s);
}

Test(thread, locking_twice_aborts, .signal = SIGABRT)
{
	struct shared s;

	setup(&s);
	mutex_lock(&s.mu);
	mutex_lock(&s.mu);
}

Test(thread, unlocking_what_is_not_ours_aborts, .signal = SIGABRT)
{
	struct shared s;

	setup(&s);
	mutex_unlock(&s.mu);
}
