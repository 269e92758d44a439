/*
 * replicate.c - the followers as a whole: threads, positions, status.
 *
 * A follower's thread sleeps until something is marked or the interval is
 * over, makes a round (follower.c), and publishes what came of it.  After
 * failures it waits longer, up to 16 intervals.
 *
 * A follower has one round at a time, whoever asks for it (busy), and the list
 * keeps its members while replicate_step() goes through it (stepping).
 *
 * Locks: replicate.mu guards the list and what is published; it is held for
 * no disk I/O.
 */
#include "fs/replica/replicate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/replica/replicate_int.h"
#include "fs/store/store_int.h"

enum { INTERVAL_MS = 1000, BACKOFF_MAX = 16 };

int replicate_open(struct replicate **out, const struct replicate_options *o)
{
	struct replicate *r = calloc(1, sizeof(*r));

	*out = r;
	if (!r)
		return -ENOMEM;
	r->o = *o;
	if (r->o.interval_ms == 0)
		r->o.interval_ms = INTERVAL_MS;
	mutex_init(&r->mu);
	cond_init(&r->changed);
	return 0;
}

/* --- rounds --- */

static void publish_locked(struct follower *f, uint64_t position,
			   uint64_t kicks, int rc, uint64_t behind,
			   const struct errmsg *em)
{
	f->error = rc < 0 ? rc : 0;
	f->tried = kicks;
	f->behind_bytes = behind;
	f->count = f->n;
	f->bytes = 0;
	for (uint32_t i = 0; i < f->n; i++)
		f->bytes += f->objects[i].size;
	if (rc < 0) {
		f->failures++;
		snprintf(f->words, sizeof(f->words), "%.300s",
			 errmsg_text(em, rc));
		return;
	}
	f->failures = 0;
	f->kicks = kicks;
	f->words[0] = '\0';
	f->round_ns = vio_wall_ns(f->owner->o.vio);
	if (f->position < position)
		f->position = position;
}

/*
 * One round, after the one that runs, if any; the lock is let go of meanwhile.
 */
static int round_locked(struct follower *f) no_thread_safety_analysis
{
	struct replicate *r = f->owner;
	struct errmsg em = ERRMSG_INIT;
	uint64_t position, kicks, behind = 0;
	int rc = 0;

	while (f->busy)
		cond_wait(&r->changed, &r->mu);
	if (f->stop)
		return 0;
	position = r->mark;
	kicks = r->kicks;
	f->busy = true;
	mutex_unlock(&r->mu);
	rc = follower_round(f, position, &behind, &em);
	mutex_lock(&r->mu);
	f->busy = false;
	publish_locked(f, position, kicks, rc, behind, &em);
	cond_broadcast(&r->changed);
	return rc;
}

static int64_t pause_ns(const struct follower *f)
{
	uint32_t times = 1;

	while (times < BACKOFF_MAX && times <= f->failures)
		times *= 2;
	return (int64_t)f->owner->o.interval_ms * 1000000 * times;
}

static void follow(void *arg)
{
	struct follower *f = arg;
	struct replicate *r = f->owner;

	mutex_lock(&r->mu);
	while (!f->stop) {
		uint64_t kicks = r->kicks;
		uint64_t urgent = r->urgent;
		int64_t until = 0;

		round_locked(f);
		until = vio_mono_ns(r->o.vio) + pause_ns(f);
		while (!f->stop && urgent == r->urgent &&
		       (kicks == r->kicks || f->failures > 0)) {
			int64_t left = until - vio_mono_ns(r->o.vio);

			if (left <= 0)
				break;
			cond_timedwait_ns(&r->changed, &r->mu, left);
		}
	}
	mutex_unlock(&r->mu);
}

/* Without a step no thread but its own is in a follower. */
static void wait_for_step_locked(struct replicate *r) no_thread_safety_analysis
{
	while (r->stepping)
		cond_wait(&r->changed, &r->mu);
}

int replicate_step(struct replicate *r)
{
	int first = 0;

	mutex_lock(&r->mu);
	wait_for_step_locked(r);
	r->stepping = true;
	for (struct follower *f = r->followers; f; f = f->next) {
		int rc = round_locked(f);

		if (first == 0)
			first = rc;
	}
	r->stepping = false;
	cond_broadcast(&r->changed);
	mutex_unlock(&r->mu);
	return first;
}

/* --- replicas come and go --- */

static struct follower **find_locked(struct replicate *r, const char *name)
{
	struct follower **p = &r->followers;

	while (*p && strcmp((*p)->replica->replica->name, name) != 0)
		p = &(*p)->next;
	return p;
}

static struct store_replica *hold(struct store *s, const char *name)
{
	struct store_replica *r = store_replica_next(s, NULL);

	while (r && strcmp(r->replica->name, name) != 0)
		r = store_replica_next(s, r);
	return r;
}

int replicate_add(struct replicate *r, struct replica *replica,
		  struct errmsg *em)
{
	struct follower *f = calloc(1, sizeof(*f));
	struct follower **p = NULL;
	int rc = 0;

	if (!f)
		return -ENOMEM;
	rc = store_replica_add(r->o.store, replica);
	if (rc < 0) {
		free(f);
		return errmsg_set(em, rc, "%s: is a replica already",
				  replica->name);
	}
	f->owner = r;
	f->replica = hold(r->o.store, replica->name);
	mutex_lock(&r->mu);
	for (p = &r->followers; *p; p = &(*p)->next)
		;
	*p = f;
	if (!r->o.no_threads)
		rc = thread_start(&f->thread, "vouch-follow", follow, f);
	if (rc < 0)
		*p = NULL;
	mutex_unlock(&r->mu);
	if (rc < 0) {
		/* the caller still has the replica's files, not the object */
		(void)!store_replica_remove(r->o.store, replica->name);
		follower_free(f);
		return errmsg_set(em, rc, "no thread for a replica");
	}
	return 0;
}

static void end(struct replicate *r, struct follower *f)
{
	mutex_lock(&r->mu);
	f->stop = true;
	cond_broadcast(&r->changed);
	mutex_unlock(&r->mu);
	thread_join(&f->thread);
	follower_finish(f);
	(void)!store_replica_remove(r->o.store, f->replica->replica->name);
	follower_free(f);
}

int replicate_remove(struct replicate *r, const char *name)
{
	struct follower **p = NULL;
	struct follower *f = NULL;

	mutex_lock(&r->mu);
	wait_for_step_locked(r);
	p = find_locked(r, name);
	f = *p;
	if (f)
		*p = f->next;
	cond_broadcast(&r->changed);
	mutex_unlock(&r->mu);
	if (!f)
		return -ENOENT;
	end(r, f);
	return 0;
}

void replicate_close(struct replicate *r)
{
	if (!r)
		return;
	while (r->followers) {
		struct follower *f = r->followers;

		mutex_lock(&r->mu);
		r->followers = f->next;
		mutex_unlock(&r->mu);
		end(r, f);
	}
	cond_destroy(&r->changed);
	mutex_destroy(&r->mu);
	free(r);
}

/* --- positions --- */

void replicate_mark(struct replicate *r, uint64_t position)
{
	mutex_lock(&r->mu);
	if (r->mark < position) {
		r->mark = position;
		r->kicks++;
		cond_broadcast(&r->changed);
	}
	mutex_unlock(&r->mu);
}

static void count_locked(const struct replicate *r, uint64_t position,
			 uint32_t *out_have, uint32_t *out_all)
{
	*out_have = 0;
	*out_all = 0;
	for (const struct follower *f = r->followers; f; f = f->next) {
		*out_all += 1;
		*out_have += f->round_ns != 0 && f->position >= position;
	}
}

void replicate_have(struct replicate *r, uint64_t position, uint32_t *out_have,
		    uint32_t *out_all)
{
	mutex_lock(&r->mu);
	count_locked(r, position, out_have, out_all);
	mutex_unlock(&r->mu);
}

/* Followers that lag, and whether one of them may still get there. */
static unsigned lagging_locked(const struct replicate *r, uint64_t position,
			       uint64_t kicks, bool *out_hope)
{
	unsigned n = 0;

	*out_hope = false;
	for (const struct follower *f = r->followers; f; f = f->next) {
		if (f->error == 0 && f->round_ns != 0 && f->kicks >= kicks &&
		    f->position >= position)
			continue;
		n++;
		*out_hope = *out_hope || f->error == 0 || f->tried < kicks;
	}
	return n;
}

int replicate_catch_up(struct replicate *r, uint64_t position,
		       int64_t timeout_ns)
{
	int64_t until = vio_mono_ns(r->o.vio) + timeout_ns;
	uint64_t kicks = 0;
	unsigned lagging = 0;
	bool hope = false;

	mutex_lock(&r->mu);
	if (r->mark < position)
		r->mark = position;
	kicks = ++r->kicks;
	r->urgent++;
	cond_broadcast(&r->changed);
	for (;;) {
		int64_t left = until - vio_mono_ns(r->o.vio);

		lagging = lagging_locked(r, position, kicks, &hope);
		if (!hope || left <= 0 || r->given_up)
			break;
		cond_timedwait_ns(&r->changed, &r->mu, left);
	}
	mutex_unlock(&r->mu);
	return lagging ? -ERR_AGAIN : 0;
}

void replicate_give_up(struct replicate *r, bool yes)
{
	mutex_lock(&r->mu);
	r->given_up = yes;
	cond_broadcast(&r->changed);
	mutex_unlock(&r->mu);
}

int replicate_each(struct replicate *r, replicate_status_fn *fn, void *ctx)
{
	int rc = 0;

	mutex_lock(&r->mu);
	for (struct follower *f = r->followers; f && rc == 0; f = f->next) {
		struct replicate_status s = {
			.name = f->replica->replica->name,
			.kind = f->replica->replica->ops->kind,
			.position = f->position,
			.behind_bytes = f->behind_bytes,
			.objects = f->count,
			.bytes = f->bytes,
			.round_ns = f->round_ns,
			.error = f->error,
			.words = f->words,
		};

		rc = fn(ctx, &s);
	}
	mutex_unlock(&r->mu);
	return rc;
}
