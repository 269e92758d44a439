/*
 * actor_cmdline.c - see actor_cmdline.h.
 *
 * One job at a time: who finds the reader busy for too long goes without.  A
 * job's memory belongs to the reader; the answer is copied out under the lock
 * when it comes in time.
 *
 * A process that waits for a filesystem that hangs may hold its memory's lock
 * for ever, and with it the reader: closing leaves that behind.
 */
#include "fs/core/actor_cmdline.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/thread.h"
#include "fs/core/actor_proc.h"

#define PATIENCE_NS (20 * 1000000LL)
#define CLOSE_NS (2 * 1000000000LL)

enum job_state {
	JOB_NONE,  /* nobody asks */
	JOB_ASKED, /* pid is set */
	JOB_READ,  /* result is set, the one who asked has not taken it */
};

struct actor_cmdline {
	struct mutex mu;
	struct cond changed;
	enum job_state state;	/* guarded by mu */
	uint64_t ticket;	/* guarded by mu; of the job asked last */
	uint32_t pid;		/* guarded by mu */
	const char *variable;	/* guarded by mu; NULL: the arguments */
	ssize_t result;		/* guarded by mu */
	bool stop;		/* guarded by mu */
	bool ended;		/* guarded by mu: the thread has */
	char bytes[LIMIT_ARGV]; /* the reader's, but in JOB_READ */
	struct thread thread;
};

static void reader(void *arg)
{
	struct actor_cmdline *c = arg;

	mutex_lock(&c->mu);
	while (!c->stop) {
		if (c->state != JOB_ASKED) {
			cond_wait(&c->changed, &c->mu);
			continue;
		}
		uint32_t pid = c->pid;
		uint64_t ticket = c->ticket;
		const char *name = c->variable;
		mutex_unlock(&c->mu);
		ssize_t n = name ? actor_proc_variable(pid, name, c->bytes,
						       sizeof(c->bytes)) :
				   actor_proc_cmdline(pid, c->bytes,
						      sizeof(c->bytes));
		mutex_lock(&c->mu);
		if (c->state == JOB_ASKED && c->ticket == ticket) {
			c->result = n;
			c->state = JOB_READ;
		}
		cond_broadcast(&c->changed);
	}
	c->ended = true;
	cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
}

static ssize_t ask(struct actor_cmdline *c, uint32_t pid, const char *variable,
		   char *out, size_t cap)
{
	int64_t end = clock_mono_ns() + PATIENCE_NS;
	ssize_t n = -EAGAIN;

	mutex_lock(&c->mu);
	while (c->state != JOB_NONE && !c->stop && clock_mono_ns() < end)
		cond_timedwait_ns(&c->changed, &c->mu, end - clock_mono_ns());
	if (c->state != JOB_NONE || c->stop)
		goto done;
	uint64_t ticket = ++c->ticket;
	c->pid = pid;
	c->variable = variable;
	c->state = JOB_ASKED;
	cond_broadcast(&c->changed);
	while (c->state == JOB_ASKED && !c->stop && clock_mono_ns() < end)
		cond_timedwait_ns(&c->changed, &c->mu, end - clock_mono_ns());
	assert(c->ticket == ticket);
	if (c->state == JOB_READ) {
		n = c->result;
		if (n > (ssize_t)cap)
			n = (ssize_t)cap;
		if (n > 0)
			memcpy(out, c->bytes, (size_t)n);
	}
	/* Else the reader still holds the bytes; the next one waits for it. */
	c->state = JOB_NONE;
	cond_broadcast(&c->changed);
done:
	mutex_unlock(&c->mu);
	return n;
}

ssize_t actor_cmdline_read(struct actor_cmdline *c, uint32_t pid, char *out,
			   size_t cap)
{
	return ask(c, pid, NULL, out, cap);
}

ssize_t actor_cmdline_variable(struct actor_cmdline *c, uint32_t pid,
			       const char *name, char *out, size_t cap)
{
	return ask(c, pid, name, out, cap);
}

int actor_cmdline_open(struct actor_cmdline **out)
{
	struct actor_cmdline *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	mutex_init(&c->mu);
	cond_init(&c->changed);
	int rc = thread_start(&c->thread, "actor-argv", reader, c);
	if (rc < 0) {
		actor_cmdline_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void actor_cmdline_close(struct actor_cmdline *c)
{
	if (!c)
		return;
	mutex_lock(&c->mu);
	c->stop = true;
	cond_broadcast(&c->changed);
	bool ended =
		!c->thread.running ||
		thread_ends_within(&c->changed, &c->mu, &c->ended, CLOSE_NS);
	mutex_unlock(&c->mu);
	if (!ended) {
		thread_leave(&c->thread); /* what it uses stays */
		return;
	}
	thread_join(&c->thread);
	cond_destroy(&c->changed);
	mutex_destroy(&c->mu);
	free(c);
}
