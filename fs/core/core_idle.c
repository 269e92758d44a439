/*
 * core_idle.c - what is done when the volume rests: plain digests that are
 * owed are made (the SHA-256 of versions that were not hashed while they were
 * written); and memory kept for streams of writes goes when none came for
 * REST_MS, however much is read.
 *
 * A thread of its own, at low priority, one file at a time.  It begins when
 * nothing is dirty and nobody has read or written for REST_MS, and looks
 * before every piece whether somebody does: then it gives up, and begins anew
 * when all rests again.  So it takes no time from work in progress, and
 * neither an unmount nor gc (lease.h) waits for long.
 *
 * What does not fit the ring, or is too large, comes when somebody asks for it
 * (core_digest), as does whatever is owed at an unmount.
 *
 * Threads: core_idle_owe under itable.mu; core_idle_main is the thread,
 * core_idle_step does its work where there are no threads.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"

enum { LOOK_MS = 500, REST_MS = 3000, NICE = 10 };
#define NS_PER_MS 1000000LL
/* Larger files keep a processor busy for long: when somebody asks. */
#define IDLE_DIGEST_MAX (256ULL << 20)

/* When the volume was last used, as far as we looked. */
struct rest {
	struct core *core;
	struct still {
		uint64_t n;
		int64_t since_ns;
	} uses, streams;
};

void core_idle_owe(struct core *c, uint64_t ino, uint64_t size)
{
	if (size > IDLE_DIGEST_MAX || c->undigested_n == CORE_UNDIGESTED)
		return;
	c->undigested[(c->undigested_at + c->undigested_n++) %
		      CORE_UNDIGESTED] = ino;
}

/* The next one that is owed, 0 when there is none or something is dirty. */
static uint64_t next_owed(struct core *c)
{
	uint64_t ino = 0;

	mutex_lock(&c->t.mu);
	if (c->undigested_n && !c->closing && c->dirty.next == &c->dirty) {
		ino = c->undigested[c->undigested_at];
		c->undigested_at = (c->undigested_at + 1) % CORE_UNDIGESTED;
		c->undigested_n--;
	}
	mutex_unlock(&c->t.mu);
	return ino;
}

static int digest(struct core *c, uint64_t ino, bool (*go_on)(void *ctx),
		  void *ctx)
{
	struct digest sha256;
	int rc = core_digest_idle(c, &sha256, ino, go_on, ctx);

	if (rc < 0 && rc != -ENOENT && rc != -ENODATA && rc != -EINVAL &&
	    rc != -ECANCELED)
		log_event(LOG_WARN, "not_digested", "inode=%llu why=\"%s\"",
			  (unsigned long long)ino, err_text(rc));
	return rc;
}

void core_idle_step(struct core *c)
{
	uint64_t ino = next_owed(c);

	if (ino)
		(void)digest(c, ino, NULL, NULL);
}

/* True when n has been the same for REST_MS. */
static bool is_still(struct still *s, uint64_t n, int64_t now_ns)
{
	if (n != s->n)
		*s = (struct still){ n, now_ns };
	return now_ns - s->since_ns >= REST_MS * NS_PER_MS;
}

/* True when nobody has read or written for so long. */
static bool rests(struct rest *r)
{
	return is_still(&r->uses, content_pool_uses(r->core->pool),
			vio_mono_ns(r->core->vio));
}

static void trim(struct rest *r)
{
	struct content_pool *pool = r->core->pool;

	if (is_still(&r->streams, content_pool_streams(pool),
		     vio_mono_ns(r->core->vio)))
		content_pool_trim(pool);
}

/* Before each piece: does the volume still rest, and the mount go on? */
static bool go_on(void *ctx)
{
	struct rest *r = ctx;
	struct core *c = r->core;
	bool stop;

	mutex_lock(&c->jobs_mu);
	stop = c->jobs_stop;
	mutex_unlock(&c->jobs_mu);
	return !stop && rests(r);
}

/* Somebody came: once more, after the others. */
static void again(struct core *c, uint64_t ino)
{
	mutex_lock(&c->t.mu);
	core_idle_owe(c, ino, 0);
	mutex_unlock(&c->t.mu);
}

void core_idle_main(void *arg)
{
	struct core *c = arg;
	struct rest r = { .core = c };
	uint64_t ino = 0;

	thread_nice(NICE);
	mutex_lock(&c->jobs_mu);
	while (!c->jobs_stop) {
		mutex_unlock(&c->jobs_mu);
		ino = 0;
		trim(&r);
		if (rests(&r))
			ino = next_owed(c);
		if (ino && digest(c, ino, go_on, &r) == -ECANCELED)
			again(c, ino);
		mutex_lock(&c->jobs_mu);
		if (!ino && !c->jobs_stop)
			cond_timedwait_ns(&c->idle_cond, &c->jobs_mu,
					  LOOK_MS * NS_PER_MS);
	}
	mutex_unlock(&c->jobs_mu);
}
