/*
 * serve_replica.c - the replicas of an open volume: REPLICA_ADD and
 * REPLICA_REMOVE entries are the truth, followers do the work.
 *
 * A thread tells the followers twice a second how far the log has settled,
 * and every half minute tries replicas again that could not be opened (a disk
 * that was not there).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/daemon/control.h"
#include "fs/core/core.h"
#include "fs/core/core_storage.h"
#include "fs/store/replica.h"
#include "fs/replica/replicate.h"
#include "fs/daemon/serve_impl.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

#define MARK_NS (500LL * 1000 * 1000)
#define CLOSE_NS (20LL * 1000 * 1000 * 1000)
/* A replica that copies all of a large store takes its time; one that fails
 * ends the waiting at once. */
#define SYNC_NS (30 * 24 * 3600LL * 1000 * 1000 * 1000)

enum { RETRY_MARKS = 60 };

/* --- what is followed --- */

struct objects {
	replicate_fn *fn;
	void *ctx;
};

static int on_segment(void *ctx, uint32_t number, const char *path,
		      const char *name, uint64_t size)
{
	struct objects *o = ctx;

	(void)number;
	(void)name;
	return o->fn(o->ctx, path, size, REPLICATE_GROWS);
}

/* The checkpoint is asked for first: see replicate.h, invariant 2. */
static int objects(void *ctx, replicate_fn *fn, void *fn_ctx)
{
	static const char *const small[] = { "ledger/checkpoint",
					     "keys/trusted.pub",
					     "volume.conf" };
	struct serve *s = ctx;
	struct objects o = { fn, fn_ctx };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(small) / sizeof(small[0]); i++)
		rc = fn(fn_ctx, small[i], 0, REPLICATE_WHOLE);
	if (rc == 0)
		rc = ledger_durable_objects(core_ledger(s->core), 1, on_segment,
					    &o);
	return rc;
}

/* --- the list --- */

/* Opens what lies at v->location, and follows it. */
static int follow(struct serve *s, struct serve_replica *v, bool create,
		  struct errmsg *em)
{
	struct replica *r = NULL;
	struct errmsg own = ERRMSG_INIT;
	int rc = replica_dir_open(&r, v->location,
				  ledger_volume_id(core_ledger(s->core)),
				  create, &own);

	if (rc == 0)
		rc = replicate_add(s->follow, r, &own);
	if (rc < 0) {
		replica_close(r);
		snprintf(v->words, sizeof(v->words), "%.300s",
			 errmsg_text(&own, rc));
		return errmsg_set(em, rc, "%s", errmsg_text(&own, rc));
	}
	v->words[0] = '\0';
	v->following = true;
	return 0;
}

static int on_replica(void *ctx, const struct idx_replica *v)
{
	struct serve *s = ctx;
	struct serve_replica *one = &s->replicas[s->n_replicas];

	if (v->number > s->last_number)
		s->last_number = v->number;
	if (v->until_no || s->n_replicas == SERVE_REPLICAS_MAX)
		return 0;
	*one = (struct serve_replica){ .number = v->number };
	one->location = strdup(v->location);
	if (!one->location)
		return -ENOMEM;
	s->n_replicas++;
	return 0;
}

static struct serve_replica *find_locked(struct serve *s, const char *location)
{
	for (unsigned i = 0; i < s->n_replicas; i++)
		if (strcmp(s->replicas[i].location, location) == 0)
			return &s->replicas[i];
	return NULL;
}

static void try_all_locked(struct serve *s)
{
	for (unsigned i = 0; i < s->n_replicas; i++) {
		struct serve_replica *v = &s->replicas[i];
		bool had = v->words[0] != '\0';

		if (v->following || follow(s, v, false, NULL) == 0 || had)
			continue;
		log_event(LOG_WARN, "replica", "directory=\"%s\" error=\"%s\"",
			  v->location, v->words);
	}
}

static void mark_main(void *arg)
{
	struct serve *s = arg;
	unsigned n = 0;

	mutex_lock(&s->mu);
	while (!s->stop) {
		mutex_unlock(&s->mu);
		replicate_mark(s->follow, ledger_settled(core_ledger(s->core)));
		mutex_lock(&s->mu);
		if (++n % RETRY_MARKS == 0)
			try_all_locked(s);
		if (!s->stop)
			cond_timedwait_ns(&s->changed, &s->mu, MARK_NS);
	}
	mutex_unlock(&s->mu);
}

int serve_replica_open(struct serve *s, struct errmsg *em)
{
	struct replicate_options o = {
		.store = core_store(s->core),
		.vio = core_options_of(s->core)->vio,
		.objects = objects,
		.ctx = s,
	};
	struct idx_reader *r = NULL;
	int rc = 0;

	if (!o.vio) {
		rc = vio_posix_open(&s->own_vio, core_store_dir(s->core));
		o.vio = s->own_vio;
	}
	if (rc == 0)
		rc = replicate_open(&s->follow, &o);
	if (rc == 0)
		rc = core_reader_take(s->core, &r);
	if (rc == 0)
		rc = idx_replicas(r, on_replica, s);
	core_reader_give(s->core, r);
	if (rc < 0 || core_options_of(s->core)->read_only)
		return rc;
	/* so that the first round knows how far the log is */
	replicate_mark(s->follow, ledger_settled(core_ledger(s->core)));
	mutex_lock(&s->mu);
	try_all_locked(s);
	mutex_unlock(&s->mu);
	(void)em;
	return thread_start(&s->thread, "replicas", mark_main, s);
}

/* Waits until the replicas have what has settled by now. */
static int catch_up(struct serve *s, int64_t timeout_ns)
{
	struct ledger *l = core_ledger(s->core);
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	uint64_t size = ledger_size(l);

	for (int i = 0; i < 250 && ledger_settled(l) < size; i++)
		nanosleep(&pause, NULL);
	return replicate_catch_up(s->follow, ledger_settled(l), timeout_ns);
}

/* Called when the log is at its end: the last seal and checkpoint, too. */
void serve_replica_close(struct serve *s)
{
	if (s->thread.running) {
		mutex_lock(&s->mu);
		s->stop = true;
		cond_broadcast(&s->changed);
		mutex_unlock(&s->mu);
		thread_join(&s->thread);
		/* who was to go has gone: now it is us who wait, for a while */
		replicate_give_up(s->follow, false);
		if (catch_up(s, CLOSE_NS) < 0)
			log_event(LOG_WARN, "replicas",
				  "some are behind; they catch up at the next "
				  "mount");
	}
	replicate_close(take(s->follow));
	vio_free(take(s->own_vio));
	for (unsigned i = 0; i < s->n_replicas; i++)
		free(s->replicas[i].location);
	s->n_replicas = 0;
}

/* --- verbs --- */

static const char *asked(const struct json *request, struct errmsg *em)
{
	const char *dir = json_get_str(request, "directory");

	if (dir && dir[0] == '/')
		return dir;
	errmsg_set(em, -ERR_USAGE, "no absolute path of a directory");
	return NULL;
}

static bool is_inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0');
}

static int add_locked(struct serve *s, const char *dir, struct errmsg *em)
{
	struct serve_replica *v = &s->replicas[s->n_replicas];
	int rc;

	if (core_options_of(s->core)->read_only)
		return errmsg_set(em, -EROFS,
				  "the volume is mounted "
				  "read-only");
	if (find_locked(s, dir))
		return errmsg_set(em, -EEXIST, "%s is a replica already", dir);
	if (s->n_replicas == SERVE_REPLICAS_MAX)
		return errmsg_set(em, -ERR_LIMIT, "%d replicas are the most",
				  SERVE_REPLICAS_MAX);
	if (is_inside(dir, core_store_dir(s->core)))
		return errmsg_set(em, -ERR_USAGE,
				  "%s lies inside the store: a replica belongs "
				  "on another disk",
				  dir);
	*v = (struct serve_replica){ .number = s->last_number + 1 };
	v->location = strdup(dir);
	rc = v->location ? follow(s, v, true, em) : -ENOMEM;
	if (rc == 0) {
		rc = core_storage_replica(s->core, ENTRY_REPLICA_ADD, v->number,
					  dir);
		if (rc < 0)
			(void)replicate_remove(s->follow, dir);
	}
	if (rc < 0) {
		free(v->location);
		return rc;
	}
	s->last_number = v->number;
	s->n_replicas++;
	return 0;
}

static int remove_locked(struct serve *s, const char *dir, struct errmsg *em)
{
	struct serve_replica *v = find_locked(s, dir);
	int rc;

	if (!v)
		return errmsg_set(em, -ENOENT, "%s is no replica of it", dir);
	rc = core_storage_replica(s->core, ENTRY_REPLICA_REMOVE, v->number, "");
	if (rc < 0)
		return rc;
	if (v->following)
		(void)replicate_remove(s->follow, dir);
	free(v->location);
	*v = s->replicas[--s->n_replicas];
	return 0;
}

/* A verb about one directory: add or remove. */
static int change(struct serve *s, const struct json *request,
		  int (*fn_locked)(struct serve *s, const char *dir,
				   struct errmsg *em),
		  struct errmsg *em)
{
	const char *dir = asked(request, em);
	int rc = dir ? 0 : -ERR_USAGE;

	if (rc == 0) {
		mutex_lock(&s->mu);
		rc = fn_locked(s, dir, em);
		mutex_unlock(&s->mu);
	}
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

int serve_replica_add(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em)
{
	(void)peer;
	(void)out;
	return change(ctx, request, add_locked, em);
}

int serve_replica_remove(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em)
{
	(void)peer;
	(void)out;
	return change(ctx, request, remove_locked, em);
}

struct listing {
	struct buf *out;
	const char *name;
};

static int on_status(void *ctx, const struct replicate_status *v)
{
	struct listing *l = ctx;

	if (strcmp(v->name, l->name) != 0)
		return 0;
	control_add_u64(l->out, "position", v->position);
	control_add_u64(l->out, "behind_bytes", v->behind_bytes);
	control_add_u64(l->out, "objects", v->objects);
	control_add_u64(l->out, "bytes", v->bytes);
	control_add_i64(l->out, "round_ns", v->round_ns);
	control_add_str(l->out, "error", v->words);
	return 1;
}

struct waiting {
	uint64_t settled;
	bool yes;
};

/* It has not looked yet, or not since the log went on. */
static int on_round(void *ctx, const struct replicate_status *v)
{
	struct waiting *w = ctx;

	if (v->error == 0 && (v->round_ns == 0 || (v->position < w->settled &&
						   v->behind_bytes == 0)))
		w->yes = true;
	return 0;
}

/* Just opened, a follower does not know yet what its replica has. */
static void wait_for_round(struct serve *s)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct waiting w = { .yes = true };

	for (int i = 0; i < 100 && w.yes; i++) {
		w.yes = false;
		w.settled = ledger_settled(core_ledger(s->core));
		if (replicate_each(s->follow, on_round, &w) < 0)
			return;
		if (w.yes)
			nanosleep(&pause, NULL);
	}
}

/* By a read-only mount none is. */
static const char *not_followed(const struct serve *s,
				const struct serve_replica *v)
{
	return core_options_of(s->core)->read_only ?
		       "the volume is mounted read-only" :
		       v->words;
}

int serve_replica_list(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct serve *s = ctx;
	int rc = 0;

	(void)request;
	(void)peer;
	(void)em;
	wait_for_round(s);
	control_add_u64(out, "settled", ledger_settled(core_ledger(s->core)));
	control_add_u64(out, "seals", ledger_size(core_ledger(s->core)));
	buf_adds(out, ",\"replicas\":[");
	mutex_lock(&s->mu);
	for (unsigned i = 0; i < s->n_replicas && rc >= 0; i++) {
		const struct serve_replica *v = &s->replicas[i];
		struct buf one = BUF_INIT;
		struct listing l = { &one, v->location };

		control_add_u64(&one, "number", v->number);
		control_add_str(&one, "kind", "directory");
		control_add_str(&one, "location", v->location);
		control_add_bool(&one, "following", v->following);
		if (v->following)
			rc = replicate_each(s->follow, on_status, &l);
		else
			control_add_str(&one, "error", not_followed(s, v));
		buf_addf(out, "%s{%s}", i ? "," : "",
			 one.n ? (const char *)one.p : "");
		buf_release(&one);
	}
	mutex_unlock(&s->mu);
	buf_addc(out, ']');
	return rc < 0 ? rc : 0;
}

/* The first that fails says why. */
static int on_error(void *ctx, const struct replicate_status *v)
{
	struct errmsg *em = ctx;

	return v->error < 0 ? errmsg_set(em, v->error, "%s", v->words) : 0;
}

int serve_replica_sync(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct serve *s = ctx;
	struct errmsg own = ERRMSG_INIT;
	int rc = core_sync(s->core), why;

	mutex_lock(&s->mu);
	try_all_locked(s);
	mutex_unlock(&s->mu);
	if (rc == 0)
		rc = ledger_checkpoint(core_ledger(s->core), em);
	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	rc = catch_up(s, SYNC_NS);
	if (rc < 0 && serve_is_ending(s))
		return errmsg_set(em, -ECANCELED, SERVE_GIVEN_UP);
	if (rc < 0) {
		why = replicate_each(s->follow, on_error, &own);
		rc = why < 0 ? why : rc;
		return errmsg_set(em, rc, "a replica could not follow: %s",
				  errmsg_text(&own, rc));
	}
	return serve_replica_list(ctx, request, peer, out, em);
}
