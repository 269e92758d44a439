/*
 * core_snapshot.c - the state of a moment gets a name, or loses it.
 *
 * Invariants: (1) a snapshot is one moment of all files, names and attributes:
 * everything that had returned before it is in it, nothing that began after
 * it, and of what went on meanwhile no later step without an earlier one
 * (moment.h).  (2) A name stands for one snapshot at a time; who has it keeps
 * it until it is removed.  Which entries it was is in the log for ever.
 *
 * What was dirty becomes versions first, beside the writers; while nobody
 * writes, only what was written meanwhile is left.
 *
 * Threads: any; one at a time (core.retain_mu, as gc asks what snapshots keep).
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "fs/commit/commit.h"
#include "fs/commit/leafcell.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/core/moment.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

enum { STILL_FILES = 64 };

struct snapshot_arg {
	struct actor *actor;
	const char *name;
	bool removed;
	struct leafcell *cell;
};

static int snapshot_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct snapshot_arg *a = arg;
	size_t n = strlen(a->name);
	struct pend *p = pend_new(ENTRY_SNAPSHOT, n);

	if (!p)
		return -ENOMEM;
	if (a->removed)
		p->e.body.snapshot.flags = ENTRY_SNAPSHOT_REMOVED;
	p->e.body.snapshot.name = pend_str(p, a->name, n);
	leafcell_drop(a->cell);
	a->cell = leafcell_hold(p->cell);
	return core_submit(c, tx, p, NULL, a->actor);
}

/* 1: there is one of that name. */
static int exists(struct core *c, const char *name)
{
	struct idx_reader *r = NULL;
	struct digest position;
	uint64_t at;
	int rc = core_settle_index(c);

	if (rc >= 0)
		rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = idx_snapshot_find(r, &at, &position, name);
	core_reader_give(c, r);
	return rc;
}

static size_t dirty_files(struct core *c)
{
	size_t n;

	mutex_lock(&c->t.mu);
	n = c->n_dirty;
	mutex_unlock(&c->t.mu);
	return n;
}

/* Nobody writes meanwhile: what is written after this follows the entry. */
static int enter_still(struct core *c, struct snapshot_arg *a)
{
	int rc;

	moment_begin(&c->moment);
	rc = file_version_all(c, ENTRY_REASON_SNAPSHOT);
	if (rc >= 0)
		rc = core_op(c, snapshot_op, a);
	moment_end(&c->moment);
	return rc;
}

static int make(struct core *c, struct snapshot_arg *a)
{
	int rc = exists(c, a->name);

	if (rc)
		return rc < 0 ? rc : -EEXIST;
	rc = file_version_all(c, ENTRY_REASON_SNAPSHOT);
	if (rc >= 0 && dirty_files(c) > STILL_FILES)
		rc = file_version_all(c, ENTRY_REASON_SNAPSHOT);
	return rc < 0 ? rc : enter_still(c, a);
}

static int remove_name(struct core *c, struct snapshot_arg *a)
{
	int rc = exists(c, a->name);

	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	return core_op(c, snapshot_op, a);
}

static int change(struct core *c, const struct cred *cr, struct snapshot_arg *a,
		  uint64_t *out_entry_no)
{
	size_t n;
	int rc = core_may_change(c, a->removed ? SPACE_REMOVE : SPACE_ADD);

	if (rc >= 0)
		rc = core_check_name(a->name, &n);
	if (rc < 0)
		return rc;
	if (!((a->name[0] | 32) >= 'a' && (a->name[0] | 32) <= 'z'))
		return -EINVAL; /* times and positions start with a digit */
	a->actor = core_actor(c, cr);
	mutex_lock(&c->retain_mu);
	rc = a->removed ? remove_name(c, a) : make(c, a);
	if (rc >= 0)
		rc = core_settle_index(c);
	mutex_unlock(&c->retain_mu);
	actor_drop(c->actors, a->actor);
	if (rc >= 0)
		*out_entry_no = atomic_load(&a->cell->entry_no);
	leafcell_drop(a->cell);
	return rc;
}

int core_snapshot(struct core *c, const struct cred *cr, const char *name,
		  uint64_t *out_entry_no)
{
	struct snapshot_arg a = { .name = name };

	return change(c, cr, &a, out_entry_no);
}

int core_snapshot_remove(struct core *c, const struct cred *cr,
			 const char *name, uint64_t *out_entry_no)
{
	struct snapshot_arg a = { .name = name, .removed = true };

	return change(c, cr, &a, out_entry_no);
}
