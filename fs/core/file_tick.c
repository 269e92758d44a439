/*
 * file_tick.c - looking after dirty files: what is older than a second is
 * saved, what rests becomes a version.  The work itself is done by the job
 * threads, which may wait for the disk.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/store/space.h"
#include "fs/store/store.h"

enum {
	SAVE_AGE_MS = 500,
	IDLE_MS = 30000,
	CLOSED_MS = 50, /* a version is owed, and nobody writes any more */
	/*
	 * Folding scattered 4 KiB writes into a version stores whole chunks,
	 * 64 KiB each: rarely, then.  4.5 MiB of memory.
	 */
	EXTENTS_MAX = 65536,
	EXTENTS_FEW = 64, /* not worth it, ever */
};
#define NS_PER_MS 1000000LL

enum due { DUE_NOTHING, DUE_SAVE, DUE_VERSION };

/* How many extents a file may have now (itable.mu held). */
struct bound {
	uint64_t max;
	bool crowded; /* all files together have more than half of theirs */
};

/*
 * While it is crowded, half of the average at most: some file has more.  Those
 * with few are left alone until all room is taken, for their folding is dear.
 */
static struct bound bound_of(struct core *c)
{
	uint64_t all = content_pool_extents_max(c->pool);
	uint64_t have = content_pool_extents(c->pool);
	uint64_t few = have > all ? 0 : EXTENTS_FEW;
	uint64_t share = all / 4 / (c->n_dirty + 1);

	if (have <= all / 2)
		return (struct bound){ .max = EXTENTS_MAX };
	if (share > EXTENTS_MAX)
		share = EXTENTS_MAX;
	return (struct bound){ share > few ? share : few, true };
}

static enum due what_is_due(const struct file *f, int64_t now, struct bound b,
			    uint8_t *reason)
{
	uint32_t flags = f->inode->row.flags;
	bool orphan = flags & INODE_ORPHAN;
	struct content_state st;

	if (now < f->retry_ns)
		return DUE_NOTHING;
	content_state(f->content, &st);
	*reason = ENTRY_REASON_CLOSE;
	if (!orphan && !f->writers && now - st.write_ns > CLOSED_MS * NS_PER_MS)
		return DUE_VERSION;
	*reason = ENTRY_REASON_EXTENTS;
	/* one without a name that was synced needs an entry, which is kept */
	if (orphan && flags & INODE_HAS_EXTENTS && !b.crowded)
		return DUE_NOTHING;
	if (st.extents > b.max)
		return DUE_VERSION;
	if (orphan)
		return DUE_NOTHING; /* what has no name is not kept */
	*reason = ENTRY_REASON_IDLE;
	if (now - st.write_ns > IDLE_MS * NS_PER_MS)
		return DUE_VERSION;
	if (st.unsaved && now - st.unsaved_ns > SAVE_AGE_MS * NS_PER_MS)
		return DUE_SAVE;
	return DUE_NOTHING;
}

/*
 * Nobody waited for this save: who writes next or asks for fsync is told.  A
 * full disk only when it still is at the next try: mostly room comes back.
 */
static void note_unsaved(struct core *c, struct file *f, int rc)
{
	mutex_lock(&c->t.mu);
	if (rc < 0 && (rc != -ENOSPC || f->no_room) &&
	    !atomic_load(&f->deferred))
		atomic_store(&f->deferred, rc);
	f->no_room = rc == -ENOSPC;
	mutex_unlock(&c->t.mu);
}

static void do_due(struct core *c, struct file *f)
{
	uint8_t reason = 0;
	uint64_t seq = 0;
	enum due due;
	int rc = 0;

	mutex_lock(&c->t.mu);
	f->job_queued = false;
	due = what_is_due(f, vio_mono_ns(c->vio), bound_of(c), &reason);
	mutex_unlock(&c->t.mu);
	if (due == DUE_SAVE) {
		rc = file_save(c, f, &seq);
		note_unsaved(c, f, rc);
	} else if (due == DUE_VERSION)
		rc = file_version(c, f, reason);
	if (rc < 0 && rc != -ENOSPC)
		log_event(LOG_ERROR, "not_saved", "inode=%llu why=\"%s\"",
			  (unsigned long long)f->inode->row.ino, err_text(rc));
	file_give(c, f);
}

/* False when the job threads have been told to end. */
static bool push_job(struct core *c, struct job *j)
{
	bool stop;

	mutex_lock(&c->jobs_mu);
	stop = c->jobs_stop;
	if (!stop) {
		*c->jobs_tail = j;
		c->jobs_tail = &j->next;
		cond_signal(&c->jobs_cond);
	}
	mutex_unlock(&c->jobs_mu);
	return !stop;
}

void file_job(struct core *c, struct file *f)
{
	struct job *j = NULL;

	mutex_lock(&c->t.mu);
	if (!f->job_queued && (j = calloc(1, sizeof(*j)))) {
		f->job_queued = true;
		f->users++;
		j->file = f;
	}
	mutex_unlock(&c->t.mu);
	if (!j)
		return; /* queued already, or the next tick does it */
	if (c->o.no_threads) {
		free(j);
		do_due(c, f);
		return;
	}
	if (!push_job(c, j)) {
		free(j);
		file_give(c, f);
	}
}

void file_job_main(void *arg)
{
	struct core *c = arg;

	mutex_lock(&c->jobs_mu);
	for (;;) {
		struct job *j = c->jobs;

		if (!j && c->jobs_stop)
			break;
		if (!j) {
			cond_wait(&c->jobs_cond, &c->jobs_mu);
			continue;
		}
		c->jobs = j->next;
		if (!c->jobs)
			c->jobs_tail = &c->jobs;
		mutex_unlock(&c->jobs_mu);
		do_due(c, j->file);
		free(j);
		mutex_lock(&c->jobs_mu);
	}
	mutex_unlock(&c->jobs_mu);
}

static bool is_of(const struct file *f, const uint8_t *run)
{
	return f->writer &&
	       memcmp(f->writer->run, run, sizeof(f->writer->run)) == 0;
}

/*
 * Up to n files that need something, with a user more each; all: those that
 * are dirty; of that run, where one is given.
 */
static unsigned collect(struct core *c, struct file **v, unsigned n, bool all,
			const uint8_t *run)
{
	int64_t now = vio_mono_ns(c->vio);
	unsigned found = 0;
	struct bound b;
	uint8_t reason;

	mutex_lock(&c->t.mu);
	b = bound_of(c);
	for (struct link *l = c->dirty.next; l != &c->dirty && found < n;
	     l = l->next) {
		struct file *f = (struct file *)l;

		if (all ? f->inode->row.flags & INODE_ORPHAN :
			  f->job_queued || what_is_due(f, now, b, &reason) ==
						   DUE_NOTHING)
			continue;
		if (run && !is_of(f, run))
			continue;
		f->users++;
		v[found++] = f;
	}
	mutex_unlock(&c->t.mu);
	return found;
}

void file_tick(struct core *c)
{
	struct file *v[256];
	unsigned n = collect(c, v, 256, false, NULL);

	for (unsigned i = 0; i < n; i++) {
		file_job(c, v[i]);
		file_give(c, v[i]);
	}
	if (!n && c->o.no_threads)
		core_idle_step(c);
}

/* The others come first when this is tried again. */
static void to_the_end(struct core *c, struct file *f)
{
	mutex_lock(&c->t.mu);
	if (f->on_dirty) {
		file_forget(c, f);
		file_mark(c, f);
	}
	mutex_unlock(&c->t.mu);
}

/* Of budget files, once each: what is written to all the time never rests. */
static int version_each(struct core *c, uint8_t reason, size_t budget,
			const uint8_t *run)
{
	struct file *v[64];
	unsigned n;
	int first = 0;

	while ((n = collect(c, v, budget < 64 ? (unsigned)budget : 64, true,
			    run)) > 0) {
		budget -= n;
		for (unsigned i = 0; i < n; i++) {
			int rc = file_version(c, v[i], reason);

			if (rc < 0)
				to_the_end(c, v[i]);
			if (rc < 0 && !first)
				first = rc;
			file_give(c, v[i]);
		}
	}
	return first;
}

int file_version_all(struct core *c, uint8_t reason)
{
	size_t n;

	mutex_lock(&c->t.mu);
	n = c->n_dirty;
	mutex_unlock(&c->t.mu);
	return version_each(c, reason, n, NULL);
}

size_t file_unsaved_of(struct core *c, const uint8_t *run)
{
	size_t n = 0;

	mutex_lock(&c->t.mu);
	for (struct link *l = c->dirty.next; l != &c->dirty; l = l->next) {
		const struct file *f = (struct file *)l;

		n += is_of(f, run) && !(f->inode->row.flags & INODE_ORPHAN);
	}
	mutex_unlock(&c->t.mu);
	return n;
}

int file_version_of(struct core *c, const uint8_t *run, uint8_t reason)
{
	return version_each(c, reason, file_unsaved_of(c, run), run);
}

int file_save_all(struct core *c, uint8_t reason)
{
	int rc;

	do
		rc = file_version_all(c, reason);
	while (rc == -ENOSPC &&
	       space_relieve(store_space(c->store), SPACE_REMOVE));
	return rc;
}
