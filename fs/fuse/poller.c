/*
 * poller.c - see poller.h.
 *
 *              a run of close, quick requests
 *      POOL ------------------------------------> LED
 *   all workers <------------------------------- one polls, the others are
 *   block in read     quiet, a request that      parked, of whom one watches
 *                     lasts, no gain, a crowd
 *
 * Why: a request that sleeping threads wait for costs the wake-up of one, and
 * the kernel takes another one each time, on whichever core.  A thread that is
 * awake when the next request comes saves that, and all its requests find the
 * caches of its core as the last one left them.  Two cores, one process, both
 * ways in turns in one run, in microseconds:
 *
 *                       create   remove   stat, cold   in memory: create, stat
 *     pool                98       44         22                67      21
 *     led                 70       28         17                46      13
 *     CPU of the daemon  112, 80   39, 32     15, 18
 *
 * (All of them at real-time priority, so that nothing else ran meanwhile.)  A
 * file with an fsync: 259 and 206, CPU 250 and 196.  Four processes: 52 and 50
 * a create, 4.7 and 0.2 changes of thread.  Four with an fsync each, and one
 * or four beside eight busy processes: as in the pool, because it is the pool
 * then; leading on without regard took 1.5 times as long there, and with
 * sched_yield(2) between two looks still 1.3 times.
 *
 * Invariants: (1) Who leads may be stuck in a request, and still another one
 * is taken within two ticks: a parked worker looks at the leader each tick and
 * ends the lead; until one is parked, the others still block in read.
 * (2) An idle descriptor costs nothing: the watcher ends the lead after a tick
 * without a request, and in the pool nobody wakes up by himself.  (3) One
 * thread polls at a time, and never longer than SPIN_NS.  (4) Polling that
 * does not pay is given up, and tried again only after ever more requests: on
 * a busy machine the client cannot run while we spin.
 *
 * Kinds of requests that last (reads from the disk, large writes, fsync) end
 * the lead when others waited behind them: they want more threads than one.
 * So does a crowd, if there are cores for it: with two, one thread that serves
 * four processes takes less CPU than four.
 */
#include "fs/fuse/poller.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"

#define POLLER_NOBODY (-1)

enum {
	SPIN_NS = 50000,
	NEAR_NS = 100000,
	SLOW_NS = 50000, /* a request that lasts */
	SLOW_UP = 4,	 /* one that lasts weighs as much as these others */
	SLOW_IS = 32,
	SLOW_MOST = 64,
	TICK_NS = 1000000,
	RUN_MIN = 16, /* requests until somebody leads */
	RUN_MAX = 4096,
	WORTH_START = 16,
	WORTH_MOST = 64,
	MISS_COSTS = 4,
	LONG_LEAD = 256, /* requests: it paid */
	LOOK_EVERY = 64, /* requests between looks at what the system says */
	CROWD = 64,	 /* so many in a row that were there already */
};

/* How often another thread was given the core of this one. */
static long preemptions(void)
{
	struct rusage ru;

	return getrusage(RUSAGE_THREAD, &ru) == 0 ? ru.ru_nivcsw : 0;
}

void poller_init(struct poller *p, int fd, unsigned workers, unsigned cores)
{
	assert(workers <= POLLER_WORKERS);
	memset(p, 0, sizeof(*p));
	p->fd = fd;
	p->workers = workers;
	p->may = cores > 1 && workers > 1;
	p->spare = cores > 2;
	p->near_ns = NEAR_NS;
	p->leader = POLLER_NOBODY;
	p->wanted = RUN_MIN;
	mutex_init(&p->mu);
	cond_init(&p->changed);
}

void poller_release(struct poller *p)
{
	cond_destroy(&p->changed);
	mutex_destroy(&p->mu);
}

bool poller_polls(const struct poller *p)
{
	return atomic_load(&p->leader) != POLLER_NOBODY;
}

/* --- to lead, and to end it ------------------------------------------------------ */

static void lead(struct poller *p, unsigned me)
{
	struct poller_seat *s = &p->seat[me];

	mutex_lock(&p->mu);
	if (p->leader == POLLER_NOBODY && !p->stop) {
		s->served = s->crowd = 0;
		s->preempted = preemptions();
		s->tries = true; /* see missed() */
		p->worth = WORTH_START;
		p->leader = (int)me;
	}
	mutex_unlock(&p->mu);
}

/*
 * All read again.  Where it did not pay the next one has to wait longer.
 */
static void end_locked(struct poller *p, bool paid) requires_capability(&p->mu)
{
	uint32_t n = p->wanted;

	if (p->leader == POLLER_NOBODY)
		return;
	p->wanted = paid ? RUN_MIN : n < RUN_MAX ? n * 2 : RUN_MAX;
	p->run = 0;
	p->leader = POLLER_NOBODY;
	cond_broadcast(&p->changed);
}

static void end_lead(struct poller *p, unsigned me, bool paid)
{
	mutex_lock(&p->mu);
	if (p->leader == (int)me)
		end_locked(p, paid);
	mutex_unlock(&p->mu);
}

/* --- those who do not lead ------------------------------------------------------- */

/*
 * Looks at the leader each tick.  The same request as a tick ago: it is stuck
 * in it.  None, and none since then: nothing comes.
 */
static void watch_locked(struct poller *p) requires_capability(&p->mu)
{
	int who = p->leader;
	uint32_t seen = atomic_load(&p->seat[who].turns);

	p->watched = true;
	while (p->leader == who && !p->stop) {
		(void)cond_timedwait_ns(&p->changed, &p->mu, TICK_NS);
		uint32_t turns = atomic_load(&p->seat[who].turns);
		if (turns == seen && p->leader == who)
			end_locked(p, p->worth > WORTH_START);
		seen = turns;
	}
	p->watched = false;
}

static void park(struct poller *p, unsigned me)
{
	mutex_lock(&p->mu);
	while (!p->stop && p->leader != POLLER_NOBODY && p->leader != (int)me) {
		if (p->watched)
			cond_wait(&p->changed, &p->mu);
		else
			watch_locked(p);
	}
	mutex_unlock(&p->mu);
}

/* --- the leader ------------------------------------------------------------------ */

/*
 * In vain.  Who is not watched yet ends the lead himself: all others still
 * block in read, and nobody else would.
 */
static void missed(struct poller *p, unsigned me)
{
	uint32_t worth = p->worth;

	mutex_lock(&p->mu);
	worth = worth > MISS_COSTS ? worth - MISS_COSTS : 0;
	p->worth = worth;
	if (p->leader == (int)me && (worth == 0 || !p->watched))
		end_locked(p, worth > WORTH_START);
	mutex_unlock(&p->mu);
	p->seat[me].tries = false; /* not before the next close one */
}

/*
 * There was one already: nothing won, nothing lost by looking.  But if the last
 * one took long, somebody has waited for it whom another thread had served.
 */
static void waited(struct poller *p, unsigned me)
{
	struct poller_seat *s = &p->seat[me];
	uint8_t slow = p->slow[s->kind];

	if (s->lasted && slow < SLOW_MOST)
		p->slow[s->kind] = slow + SLOW_UP;
	if ((s->lasted && slow >= SLOW_IS) || (++s->crowd >= CROWD && p->spare))
		end_lead(p, me, false);
}

/* Looks for a request until there is one, or it has taken too long. */
static void spin(struct poller *p, unsigned me)
{
	struct pollfd f = { .fd = p->fd, .events = POLLIN };
	int64_t end = p->seat[me].since_ns + SPIN_NS;

	if (poll(&f, 1, 0) != 0) {
		waited(p, me);
		return;
	}
	p->seat[me].crowd = 0;
	while (p->seat[me].tries && p->leader == (int)me) {
		if (poll(&f, 1, 0) != 0) {
			if (p->worth < WORTH_MOST)
				p->worth++;
			return;
		}
		if (clock_mono_ns() >= end) {
			missed(p, me);
			return;
		}
	}
}

bool poller_wait(struct poller *p, unsigned me)
{
	int leader = atomic_load(&p->leader);

	if (leader == (int)me) {
		if (p->seat[me].tries || p->seat[me].lasted)
			spin(p, me);
	} else if (leader != POLLER_NOBODY) {
		park(p, me);
	}
	return !atomic_load(&p->stop);
}

void poller_got(struct poller *p, unsigned me, unsigned kind)
{
	struct poller_seat *s = &p->seat[me];

	if (!p->may)
		return;
	s->since_ns = clock_mono_ns();
	s->kind = kind % POLLER_KINDS;
	bool close = s->since_ns - p->done_ns < p->near_ns;
	s->tries = close;
	if (!close)
		p->run = 0;
	atomic_fetch_add(&s->turns, 1);
	if (p->leader == (int)me && p->slow[s->kind] >= SLOW_IS)
		end_lead(p, me, s->served >= LONG_LEAD);
}

/* Is the core wanted by others? */
static void look_around(struct poller *p, unsigned me)
{
	struct poller_seat *s = &p->seat[me];
	long n = preemptions();

	if (n - s->preempted > LOOK_EVERY / 16)
		end_lead(p, me, false);
	s->preempted = n;
}

void poller_done(struct poller *p, unsigned me)
{
	struct poller_seat *s = &p->seat[me];
	int64_t now;
	uint8_t slow;

	if (!p->may)
		return;
	now = clock_mono_ns();
	slow = p->slow[s->kind];
	s->lasted = now - s->since_ns > SLOW_NS;
	if (slow > 0)
		p->slow[s->kind] = slow - 1;
	s->since_ns = now;
	p->done_ns = now;
	atomic_fetch_add(&s->turns, 1);
	if (p->leader == (int)me) {
		if (++s->served % LOOK_EVERY == 0)
			look_around(p, me);
	} else if (p->leader == POLLER_NOBODY) {
		if (slow >= SLOW_IS)
			p->run = 0;
		else if (atomic_fetch_add(&p->run, 1) >= p->wanted)
			lead(p, me);
	}
}

/* --- the end --------------------------------------------------------------------- */

void poller_leave(struct poller *p, unsigned me)
{
	end_lead(p, me, true);
}

void poller_stop(struct poller *p)
{
	mutex_lock(&p->mu);
	p->stop = true;
	cond_broadcast(&p->changed);
	mutex_unlock(&p->mu);
}
