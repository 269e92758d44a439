/*
 * core.c - one mounted volume: opening (the index catches up with the log,
 * what a crash left is taken up), closing, and what analytics and the
 * control socket ask for.
 */
#include "fs/core/core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/core_dir_int.h"
#include "fs/core/core_denied.h"
#include "fs/core/core_expect.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/commit/leafcell.h"
#include "fs/run/run.h"
#include "fs/run/run_group.h"
#include "fs/run/run_table.h"
#include "fs/store/store.h"
#include "fs/core/trail.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/rebuild.h"
#include "ledger/ledger.h"

enum { ALERTS_MAX = 1024 };

/* --- opening --- */

static int storage_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct pend *p = arg;

	if (c->closing) {
		pend_free(p);
		return 0; /* told in the daemon's log alone */
	}
	return core_submit(c, tx, p, NULL, NULL);
}

/*
 * A chunk that is lost is entered: once while the volume is mounted (the store
 * tells it once), and no more than ALERTS_MAX, the last of which says so.
 */
static void alert(struct core *c, const struct digest *id)
{
	static const char text[] = "no good copy of it anywhere";
	uint32_t n = atomic_fetch_add(&c->alerts, 1);
	struct pend *p;

	if (n >= ALERTS_MAX)
		return;
	p = pend_new(ENTRY_ALERT, sizeof(text));
	if (!p)
		return;
	p->e.body.alert.what =
		n + 1 < ALERTS_MAX ? ENTRY_ALERT_CONTENT : ENTRY_ALERT_MORE;
	p->e.body.alert.id = *id;
	p->e.body.alert.text = pend_str(p, text, sizeof(text) - 1);
	if (core_op(c, storage_op, p) < 0)
		log_event(LOG_ERROR, "alert_not_entered", "why=\"%s\"",
			  "the log takes nothing");
}

/* A chunk was found bad and read, or not, from another replica. */
static void on_repair(void *ctx, const struct digest *id, const char *replica,
		      bool ok)
{
	struct core *c = ctx;
	char hex[DIGEST_HEX_SIZE];
	struct pend *p;

	digest_hex(hex, id);
	log_event(ok ? LOG_WARN : LOG_ERROR, ok ? "repaired" : "bad_chunk",
		  "chunk=%s from=\"%s\"", hex, replica ? replica : "");
	if (!c->commit || c->o.read_only)
		return;
	if (!ok) {
		alert(c, id);
		return;
	}
	p = pend_new(ENTRY_REPAIR, strlen(replica));
	if (!p)
		return;
	p->e.body.repair.what = 1;
	p->e.body.repair.id = *id;
	p->e.body.repair.object = pend_str(p, replica, strlen(replica));
	if (core_op(c, storage_op, p) < 0)
		log_event(LOG_ERROR, "repair_not_entered", "chunk=%s", hex);
}

static int open_store(struct core *c, struct errmsg *em)
{
	struct store_options so = {
		.vio = c->vio,
		.read_only = c->o.read_only,
		.on_repair = on_repair,
		.ctx = c,
	};

	return c->store ? 0 : store_open(&c->store, &so, em);
}

/* The ledger knows no words for what is wrong with the store. */
struct recovery {
	struct core *core;
	struct errmsg em;
};

/*
 * A small chunk of a frame that was not settled.  The ledger holds the
 * store's lock by now; nothing is changed before.
 */
static int on_chunk(void *ctx, const struct ledger_chunk *k)
{
	struct recovery *r = ctx;
	struct chunk chunk = chunk_of_frame(k);
	int rc = open_store(r->core, &r->em);

	return rc < 0 ? rc : store_recover(r->core->store, &chunk);
}

/* The store is ours, and nothing was written to it yet. */
static void on_start(void *ctx)
{
	const struct recovery *r = ctx;

	space_make_room(r->core->vio);
}

static int open_log(struct core *c, struct errmsg *em)
{
	struct recovery found = { .core = c, .em = ERRMSG_INIT };
	struct ledger_options lo = {
		.vio = c->vio,
		.guard_vio = c->guard_vio,
		.read_only = c->o.read_only,
		.on_start = on_start,
		.on_chunk = on_chunk,
		.ctx = &found, /* used while it opens, not after */
		.wal_segment_bytes = c->o.wal_segment_bytes,
		.journal_segment_bytes = c->o.journal_segment_bytes,
	};
	struct content_pool_options po = {
		.vio = c->vio,
		.dirty_bytes_max = c->o.dirty_bytes_max,
		.extents_max = c->o.extents_max,
	};
	char words[160];
	int rc = ledger_open(&c->ledger, &lo, em);

	if (rc < 0 && em && found.em.text[0] != '\0')
		*em = found.em;
	if (rc >= 0)
		rc = open_store(c, em);
	if (rc >= 0 && store_notes(c->store, words, sizeof(words)) > 0)
		log_event(LOG_WARN, "found_at_start", "what=\"%s\"", words);
	if (rc < 0)
		return rc;
	po.store = c->store;
	return content_pool_open(&c->pool, &po);
}

/* 1: it shows all that the log has. */
static int index_is_whole(struct core *c)
{
	struct digest root;
	uint64_t seals = 0;
	int rc = idx_position(c->idx, &seals, &root);

	return rc < 0 ? rc : seals == ledger_size(c->ledger);
}

/*
 * Read-only, too, what was acknowledged before a crash is there: the index, a
 * cache, is brought up to the log where that may be written.
 */
static int open_index(struct core *c, struct errmsg *em)
{
	struct rebuild_options ro = {
		.vio = c->vio,
		.dir = c->store_dir,
		.ledger = c->ledger,
		.read_only = c->o.read_only,
	};
	struct errmsg words = ERRMSG_INIT;
	int rc = rebuild_catch_up(&c->idx, &ro, &words);

	if (rc >= 0 && c->o.read_only)
		rc = index_is_whole(c);
	if (rc > 0 || !c->o.read_only)
		return rc < 0 ? errmsg_set(em, rc, "%s",
					   errmsg_text(&words, rc)) :
				0;
	if (c->o.index_too) {
		idx_close(take(c->idx));
		ro.read_only = false;
		return rebuild_catch_up(&c->idx, &ro, em);
	}
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&words, rc)) :
			errmsg_set(em, -ERR_AGAIN,
				   "the volume was not unmounted in order, its "
				   "index is behind its log and cannot be "
				   "written here: mount it where it can, once");
}

static int find_counter(struct core *c)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_last_ino(r, c->mount_no, &c->next_ino);
	core_reader_give(c, r);
	c->next_ino++;
	return rc < 0 ? rc : 0;
}

struct unfinished {
	uint64_t *v;
	uint32_t *flags;
	size_t n, cap;
};

static int add_unfinished(void *ctx, uint64_t ino, uint32_t flags)
{
	struct unfinished *u = ctx;

	if (u->n == u->cap) {
		size_t cap = u->cap ? 2 * u->cap : 64;
		uint64_t *v = realloc(u->v, cap * sizeof(*v));
		uint32_t *w;

		if (!v)
			return -ENOMEM;
		u->v = v;
		w = realloc(u->flags, cap * sizeof(*w));
		if (!w)
			return -ENOMEM;
		u->flags = w;
		u->cap = cap;
	}
	u->v[u->n] = ino;
	u->flags[u->n++] = flags;
	return 0;
}

static int reap_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct inode *i;
	int rc = itable_get(tx, &i, *(uint64_t *)arg);

	if (rc >= 0)
		core_reap(c, i);
	return rc == -ENOENT ? 0 : rc;
}

/*
 * Orphans of the last mount are freed, its unversioned writes taken up.  One
 * file that is damaged does not keep the volume from being mounted.
 */
static int take_up(struct core *c)
{
	struct unfinished u = { .v = NULL };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_unfinished(r, add_unfinished, &u);
	core_reader_give(c, r);
	for (size_t i = 0; i < u.n && rc >= 0; i++) {
		struct file *f = NULL;

		if (u.flags[i] & INODE_ORPHAN) {
			rc = core_op(c, reap_op, &u.v[i]);
			continue;
		}
		rc = file_take(c, &f, u.v[i]);
		if (rc < 0 && rc != -ENOMEM && rc != -ERR_STICKY) {
			log_event(LOG_ERROR, "not_taken_up",
				  "inode=%llu why=\"%s\"",
				  (unsigned long long)u.v[i], err_text(rc));
			rc = 0;
		}
		file_give(c, f); /* stays: it is dirty */
	}
	free(u.v);
	free(u.flags);
	return rc < 0 ? rc : 0;
}

static void tick(void *ctx)
{
	file_tick(ctx);
}

/* 1: the last mount entry of a seal is a STOP, 0: a START, -ENODATA: none. */
static int seal_stops(struct core *c, uint64_t seal)
{
	struct ledger_record rec;
	int rc = ledger_read(c->ledger, &rec, seal);
	int found = -ENODATA;

	if (rc < 0)
		return rc;
	for (uint32_t i = rec.count; i-- > 0 && found == -ENODATA && !rc;) {
		const uint8_t *p = NULL;
		uint32_t n = 0;
		struct entry e;

		rc = ledger_record_entry(&rec, i, &p, &n);
		if (rc >= 0)
			rc = entry_open(&e, NULL, p, n, NULL);
		if (rc >= 0 && (e.core.kind == ENTRY_MOUNT_START ||
				e.core.kind == ENTRY_MOUNT_STOP))
			found = e.core.kind == ENTRY_MOUNT_STOP;
	}
	ledger_record_release(&rec);
	return rc < 0 ? rc : found;
}

/*
 * Did the mount before this one end in order?  Commands that write without a
 * mount leave a few entries behind its STOP; a new volume had no mount.
 */
static bool stopped_in_order(struct core *c)
{
	enum { LOOK_BACK = 64 };
	uint64_t seal = ledger_size(c->ledger);

	for (unsigned n = 0; seal > 0 && n < LOOK_BACK; n++) {
		int rc = seal_stops(c, --seal);

		if (rc != -ENODATA)
			return rc == 1;
	}
	return seal == 0;
}

static int mount_start_op(struct core *c, struct itable_tx *tx, void *arg)
{
	static const char program[] = "vouchfs 0.1";
	struct pend *p = pend_new(ENTRY_MOUNT_START, 64 + 256);
	char host[256] = "";
	struct entry_mount_start *b;

	if (!p)
		return -ENOMEM;
	if (gethostname(host, sizeof(host) - 1))
		host[0] = '\0';
	b = &p->e.body.mount_start;
	b->flags = *(const uint8_t *)arg;
	memcpy(b->incarnation, ledger_incarnation(c->ledger),
	       sizeof(b->incarnation));
	b->uid = getuid();
	b->program = pend_str(p, program, strlen(program));
	b->host = pend_str(p, host, strlen(host));
	return core_submit(c, tx, p, NULL, NULL);
}

static int enter_start(struct core *c)
{
	uint8_t flags = 0;

	if (stopped_in_order(c))
		flags |= ENTRY_START_CLEAN;
	if (ledger_was_torn(c->ledger))
		flags |= ENTRY_START_TORN;
	return core_op(c, mount_start_op, &flags);
}

/* What is owed counts from now on; and the ballast is made. */
static void settle_space(struct core *c)
{
	const struct space_debt debt = { commit_owed, commit_press, c->commit };
	struct space *space = store_space(c->store);

	idx_keep_small(c->idx, space_reserve_bytes(space) / 2);
	space_set_debt(space, &debt);
	space_tick(space);
}

static int start(struct core *c)
{
	struct commit_options co = {
		.t = &c->t,
		.ledger = c->ledger,
		.store = c->store,
		.idx = c->idx,
		.vio = c->vio,
		.no_threads = c->o.no_threads || c->o.read_only,
		.tick = tick,
		.ctx = c,
	};
	struct actor_options ao = {
		.on_digest = trail_digest,
		.on_free = trail_free,
		.ctx = c,
	};
	int rc = run_table_open(&c->runs);

	if (rc >= 0)
		rc = core_denied_open(&c->denied);
	if (rc >= 0)
		rc = run_group_open(&c->groups, c->vio);
	ao.runs = c->runs;
	ao.groups = c->groups;
	if (rc >= 0 && !c->o.no_actors)
		rc = actor_table_open(&c->actors, &ao);

	if (rc >= 0)
		rc = commit_open(&c->commit, &co);
	if (rc >= 0 && !c->o.read_only)
		settle_space(c);
	for (unsigned i = 0; i < CORE_JOB_THREADS && rc >= 0; i++)
		if (!c->o.no_threads && !c->o.read_only)
			rc = thread_start(&c->job_threads[i], "save",
					  file_job_main, c);
	if (rc >= 0 && !c->o.no_threads && !c->o.read_only)
		rc = thread_start(&c->idle_thread, "idle", core_idle_main, c);
	return rc;
}

static struct core *core_new(const struct core_options *o)
{
	struct core *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->o = *o;
	c->dirty.prev = c->dirty.next = &c->dirty;
	c->jobs_tail = &c->jobs;
	mutex_init(&c->guard_mu);
	mutex_init(&c->retain_mu);
	moment_init(&c->moment);
	mutex_init(&c->readers_mu);
	core_dir_ahead_init(c);
	mutex_init(&c->jobs_mu);
	cond_init(&c->jobs_cond);
	cond_init(&c->idle_cond);
	c->store_dir = strdup(o->store);
	if (c->store_dir && itable_init(&c->t, o->inode_cache) >= 0)
		return c;
	free(c->store_dir);
	free(c);
	return NULL;
}

static int open_disk(struct core *c, struct errmsg *em)
{
	struct vio_stat st;
	int rc = 0;

	c->vio = c->o.vio;
	if (!c->vio) {
		rc = vio_posix_open(&c->own_vio, c->store_dir);
		if (rc < 0)
			return errmsg_set(em, rc, "%s: %s", c->store_dir,
					  err_text(rc));
		c->vio = c->own_vio;
	}
	c->guard_vio = c->o.guard_vio;
	if (!c->guard_vio && c->o.guard_dir) {
		rc = vio_posix_open(&c->own_guard, c->o.guard_dir);
		c->guard_vio = c->own_guard;
	}
	if (rc < 0)
		return errmsg_set(em, rc, "guard directory %s: %s",
				  c->o.guard_dir, err_text(rc));
	rc = vio_stat(c->vio, "volume.conf", &st);
	if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
		return errmsg_set(em, rc, "%s/volume.conf: %s", c->store_dir,
				  err_text(rc));
	if (rc < 0)
		return errmsg_set(em, rc,
				  "%s: no volume here (no volume.conf): make "
				  "one with `vouch init %s`",
				  c->store_dir, c->store_dir);
	c->owner_uid = st.uid;
	return 0;
}

static void stop_jobs(struct core *c)
{
	mutex_lock(&c->jobs_mu);
	c->jobs_stop = true;
	cond_broadcast(&c->jobs_cond);
	cond_broadcast(&c->idle_cond);
	mutex_unlock(&c->jobs_mu);
	for (unsigned i = 0; i < CORE_JOB_THREADS; i++)
		thread_join(&c->job_threads[i]);
	thread_join(&c->idle_thread);
}

/* From here on nothing is queued. */
static void set_closing(struct core *c)
{
	mutex_lock(&c->t.mu);
	c->closing = true;
	mutex_unlock(&c->t.mu);
}

static void core_free(struct core *c)
{
	stop_jobs(c);
	set_closing(c);
	if (c->store)
		space_set_debt(store_space(c->store),
			       &(struct space_debt){ 0 });
	commit_abandon(take(c->commit));
	while (c->handles)
		core_release(c, c->handles);
	file_drop_all(c);
	trail_forget(c);
	core_denied_close(c, c->denied);
	core_expect_close(c);
	actor_table_close(c->actors);
	run_group_close(c->groups);
	run_table_close(c->runs);
	while (c->n_readers > 0)
		idx_reader_close(c->readers[--c->n_readers]);
	content_pool_close(c->pool);
	idx_close(c->idx);
	ledger_close(c->ledger);
	store_close(c->store);
	itable_release(&c->t);
	vio_free(c->own_guard);
	vio_free(c->own_vio);
	core_dir_ahead_release(c);
	mutex_destroy(&c->readers_mu);
	mutex_destroy(&c->guard_mu);
	mutex_destroy(&c->retain_mu);
	moment_release(&c->moment);
	mutex_destroy(&c->jobs_mu);
	cond_destroy(&c->jobs_cond);
	cond_destroy(&c->idle_cond);
	free(c->store_dir);
	free(c);
}

int core_open(struct core **out, const struct core_options *o,
	      struct errmsg *em)
{
	struct core *c = core_new(o);
	int rc;

	if (!c)
		return -ENOMEM;
	rc = open_disk(c, em);
	if (rc >= 0)
		rc = open_log(c, em);
	if (rc >= 0)
		rc = open_index(c, em);
	if (rc >= 0) {
		c->mounted_wall_ns = vio_wall_ns(c->vio);
		c->mount_no = ledger_mount_no(c->ledger);
		rc = find_counter(c);
	}
	if (rc >= 0)
		rc = start(c);
	if (rc >= 0 && !o->read_only)
		rc = enter_start(c);
	if (rc >= 0)
		rc = run_recover(c);
	if (rc >= 0 && !o->read_only)
		rc = take_up(c);
	if (rc < 0) {
		errmsg_set(em, rc, "%s: %s", c->store_dir, err_text(rc));
		core_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* --- closing --- */

static int stop_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct pend *p = pend_new(ENTRY_MOUNT_STOP, 0);

	int rc = p ? trail_end_run(c, tx, NULL) : -ENOMEM;

	(void)arg;
	if (rc == -ERR_RELOCKED) {
		pend_free(p);
		return rc; /* once more */
	}
	c->closing = true;
	if (!p)
		return -ENOMEM;
	p->e.body.mount_stop.reason = 1;
	return core_submit(c, tx, p, NULL, NULL);
}

int core_finish(struct core *c, struct errmsg *em)
{
	int rc = 0, finished;

	c->finished = true;
	/* what is queued behind the STOP would follow it in the log */
	stop_jobs(c);
	if (!c->o.read_only) {
		rc = file_save_all(c, ENTRY_REASON_UNMOUNT);
		if (rc < 0)
			errmsg_set(em, rc, "open files cannot be saved: %s",
				   err_text(rc));
		core_denied_end(c, NULL);
		if (rc >= 0)
			rc = core_op(c, stop_op, NULL);
	}
	set_closing(c);
	if (c->o.read_only)
		return 0;
	finished = commit_finish(c->commit, em);
	if (finished >= 0)
		finished = ledger_rest(c->ledger, em);
	if (rc >= 0)
		rc = finished;
	return rc < 0 ? rc : 0;
}

int core_close(struct core *c, struct errmsg *em)
{
	int rc = 0;

	if (!c)
		return 0;
	if (!c->finished)
		rc = core_finish(c, em);
	core_free(c);
	return rc;
}

void core_abandon(struct core *c)
{
	if (c)
		core_free(c);
}

bool core_step(struct core *c)
{
	file_tick(c);
	return commit_step(c->commit);
}
