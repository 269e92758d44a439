/*
 * gc_mark.c - marks what is needed: contents in memory, then what the index
 * names, in the order that lease.h asks for, then what the log names (gc_log.c:
 * for a row of the index may be damaged).
 *
 * Marked are ids in the lease's set.  A tree's nodes are visited once: which
 * ones were is remembered in a set that forgets when it is full (verified.h),
 * and a node that was forgotten is visited again, which is only slow.  So the
 * memory is bounded: the set of marks (bloom.h), 32 MiB for nodes, 40 bytes
 * for each open file, that of fsck_want.h.
 *
 * A tree that cannot be read ends the run: what is below it is not known.
 *
 * One thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/file.h"
#include "fs/upkeep/gc_int.h"
#include "fs/content/tree.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/ledger.h"

enum { NODE_SETS = 1 << 19, TICK_ROOTS = 256 };
enum { SETTLE_LOOK_NS = 10 * 1000 * 1000, SETTLE_STEPS = 3000 };

struct root {
	struct digest id;
	uint64_t size;
};

struct mark {
	struct gc *gc;
	struct verified nodes; /* visited */
	struct root *roots;    /* of contents */
	size_t n, cap;
	uint64_t seen; /* roots of the index */
	uint64_t all;
	struct buf stored;
};

/* --- trees --- */

static int read_node(struct mark *m, struct tree_node *out,
		     const struct digest *id)
{
	struct store_ref ref = { .p = NULL };
	int rc = store_get(m->gc->store, &ref, id, CHUNK_NODE);

	if (rc == 0)
		rc = tree_node_decode(out, ref.p, ref.n);
	store_release(&ref);
	return rc;
}

static int mark_node(struct mark *m, const struct digest *id, int depth)
{
	autofree struct tree_node *node = NULL;
	int rc = 0;

	lease_mark(&m->gc->store->lease, id);
	if (verified_has(&m->nodes, id))
		return 0;
	node = malloc(sizeof(*node));
	if (!node)
		return -ENOMEM;
	rc = depth < TREE_LEVELS_MAX ? read_node(m, node, id) : -ERR_CORRUPT;
	for (unsigned i = 0; rc == 0 && i < node->count; i++) {
		const struct tree_ref *r = &node->refs[i];

		if (node->level > 0)
			rc = mark_node(m, &r->id, depth + 1);
		else if (!r->hole)
			lease_mark(&m->gc->store->lease, &r->id);
	}
	if (rc == 0)
		verified_add(&m->nodes, id);
	return rc;
}

/* A root is a node, or the one chunk of a file that fits it. */
static int mark_root(struct mark *m, const struct digest *id, uint64_t size)
{
	struct digest empty = { 0 };
	int rc = CHUNK_NODE;

	tree_empty_root(&empty);
	if (size == 0 || digest_eq(id, &empty))
		return 0;
	lease_mark(&m->gc->store->lease, id);
	if (verified_has(&m->nodes, id))
		return 0;
	if (size <= LIMIT_CHUNK)
		rc = store_type(m->gc->store, id);
	if (rc == -ERR_MISSING_CHUNK) {
		struct store_ref ref = { .p = NULL };

		/* listed nowhere: perhaps a replica knows it */
		rc = store_get(m->gc->store, &ref, id, CHUNK_ANY);
		store_release(&ref);
	}
	if (rc < 0)
		return rc;
	return rc == CHUNK_NODE ? mark_node(m, id, 0) : 0;
}

/* --- contents --- */

static int note_root(void *ctx, const struct digest *root, uint64_t size)
{
	struct mark *m = ctx;

	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		void *p = realloc(m->roots, cap * sizeof(*m->roots));

		if (!p)
			return -ENOMEM;
		m->roots = p;
		m->cap = cap;
	}
	m->roots[m->n++] = (struct root){ .id = *root, .size = size };
	return 0;
}

static void note_chunk(void *ctx, const struct digest *id)
{
	struct mark *m = ctx;

	lease_note(&m->gc->store->lease, id);
}

static int mark_contents(struct mark *m)
{
	const struct content_each fns = {
		.root = note_root,
		.chunk = note_chunk,
		.ctx = m,
	};
	int rc = content_pool_each(m->gc->core->pool, &fns);

	/* what a save has reported and could not queue is needed too */
	if (rc == 0)
		rc = file_each_owed(m->gc->core, note_chunk, m);
	return rc;
}

/* Read only now: the contents may be closed again meanwhile. */
static int mark_noted_roots(struct mark *m)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->n; i++) {
		rc = mark_root(m, &m->roots[i].id, m->roots[i].size);
		if (rc == 0 && i % TICK_ROOTS == 0)
			rc = gc_tick(m->gc, 0, m->all);
	}
	return rc;
}

/* --- the index --- */

/* The chunks that an EXTENTS entry names. */
static int mark_save(struct mark *m, uint64_t no)
{
	struct digest leaf = { 0 };
	struct entry e;
	int rc;

	buf_clear(&m->stored); /* what is read is appended */
	rc = ledger_read_entry(m->gc->core->ledger, &m->stored, &leaf, no);
	if (rc >= 0)
		rc = entry_open(&e, NULL, m->stored.p, m->stored.n, NULL);
	if (rc < 0)
		return rc;
	if (e.core.kind != ENTRY_EXTENTS)
		return -ERR_CORRUPT;
	if (e.state != ENTRY_CLEAR || e.body.opaque)
		return 0;
	for (unsigned i = 0; i < e.body.extents.n; i++) {
		struct entry_extent x;

		entry_extents_at(&x, &e.body.extents, i);
		if (!digest_is_zero(&x.chunk))
			lease_mark(&m->gc->store->lease, &x.chunk);
	}
	return 0;
}

/* Would this version be released before? */
static bool is_going(const struct core_gc_options *o, uint64_t ino,
		     uint64_t version)
{
	size_t lo = 0, hi = o->n_going;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct entry_release *v = &o->going[mid];

		if (v->inode == ino && v->first <= version &&
		    version <= v->last)
			return true;
		if (v->inode < ino || (v->inode == ino && v->last < version))
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

/* A save goes with the version it was made on, or that absorbed it. */
static bool root_is_going(const struct core_gc_options *o,
			  const struct idx_root *root)
{
	if (!o->dry_run || o->n_going == 0)
		return false;
	if (root->kind == IDX_ROOT_SAVE && !o->drop_saves &&
	    is_going(o, root->ino, root->version + 1))
		return true;
	return (root->kind == IDX_ROOT_VERSION ||
		(root->kind == IDX_ROOT_SAVE && !o->drop_saves)) &&
	       is_going(o, root->ino, root->version);
}

static int on_root(void *ctx, const struct idx_root *root)
{
	struct mark *m = ctx;
	int rc = 0;

	if (root_is_going(m->gc->o, root))
		return 0;
	if (root->kind == IDX_ROOT_VERSION)
		rc = mark_root(m, &root->id, root->size);
	else if (root->kind == IDX_ROOT_SAVE)
		rc = mark_save(m, root->no);
	else
		lease_mark(&m->gc->store->lease, &root->id);
	if (rc == 0 && ++m->seen % TICK_ROOTS == 0)
		rc = gc_tick(m->gc, m->seen, m->all);
	return rc;
}

struct where {
	struct mark *mark;
	struct errmsg *em;
};

static int on_root_in_words(void *ctx, const struct idx_root *root)
{
	const struct where *w = ctx;
	int rc = on_root(w->mark, root);

	if (rc == 0 || rc == -ECANCELED || rc == -ENOMEM)
		return rc;
	return errmsg_set(w->em, rc,
			  "entry %" PRIu64 ".%u (version %" PRIu64
			  " of inode %" PRIu64 ") cannot be read, so what it "
			  "needs is not known and nothing is taken: %s",
			  ENTRY_NO_SEAL(root->no), ENTRY_NO_POS(root->no),
			  root->version, root->ino, err_text(rc));
}

static int mark_index(struct mark *m, struct errmsg *em)
{
	struct where w = { .mark = m, .em = em };
	struct idx_reader *r = NULL;
	struct idx_counts counts = { .seals = 0 };
	int rc = core_reader_take(m->gc->core, &r);

	if (rc >= 0)
		rc = idx_counts(r, &counts);
	m->all = counts.versions;
	if (rc >= 0)
		rc = gc_tick(m->gc, 0, m->all);
	if (rc >= 0)
		rc = idx_roots(r, !m->gc->o->drop_saves, on_root_in_words, &w);
	core_reader_give(m->gc->core, r);
	return rc;
}

/* --- the log --- */

/* A fsck_want_fn. */
static int on_want(void *ctx, const struct fsck_want *w)
{
	struct mark *m = ctx;

	if (w->optional || digest_is_zero(&w->id))
		return 0;
	if (w->kind == FSCK_VERSION)
		return mark_root(m, &w->id, w->size);
	lease_mark(&m->gc->store->lease, &w->id);
	return 0;
}

/* A dry run takes nothing, and counts what is not released yet as released. */
static int mark_log(struct mark *m, struct errmsg *em)
{
	return m->gc->o->dry_run ? 0 : gc_log_each(m->gc, on_want, m, em);
}

/* --- what was removed --- */

static void mark_chunk(void *ctx, const struct digest *id)
{
	struct mark *m = ctx;

	lease_mark(&m->gc->store->lease, id);
}

/*
 * After the index: what was removed before it was read is in memory alone,
 * what is removed later was marked with its row.
 */
static void mark_removed(struct mark *m)
{
	struct core *c = m->gc->core;

	mutex_lock(&c->t.mu);
	itable_each_removed_chunk(&c->t, mark_chunk, m);
	mutex_unlock(&c->t.mu);
}

/*
 * A replica that loses packs has the entries that made them needless: those
 * are in the journal first.
 */
static int wait_settled(struct mark *m)
{
	struct core *c = m->gc->core;
	uint64_t size = ledger_size(c->ledger);
	int rc = 0;

	if (c->o.read_only)
		return 0;
	for (int i = 0; rc == 0 && ledger_settled(c->ledger) < size; i++) {
		const struct timespec pause = { .tv_nsec = SETTLE_LOOK_NS };

		if (!c->o.no_threads)
			nanosleep(&pause, NULL);
		else if (!commit_step(c->commit) && i == SETTLE_STEPS)
			rc = -ERR_AGAIN;
		if (rc == 0)
			rc = commit_failed(c->commit);
		if (rc == 0)
			rc = gc_waiting(m->gc);
	}
	return rc;
}

/* --- the call --- */

static int mark_all(struct mark *m, struct errmsg *em)
{
	int rc = gc_wait(m->gc);

	if (rc == 0)
		rc = mark_contents(m);
	if (rc == 0)
		rc = gc_wait(m->gc);
	if (rc == 0 && !m->gc->core->o.read_only)
		rc = core_settle_index(m->gc->core);
	if (rc == 0)
		rc = mark_noted_roots(m);
	if (rc == 0)
		rc = mark_index(m, em);
	if (rc == 0)
		rc = mark_log(m, em);
	if (rc == 0)
		mark_removed(m);
	if (rc == 0)
		rc = wait_settled(m);
	return rc == 0 ? gc_wait(m->gc) : rc;
}

int gc_mark(struct gc *g, struct errmsg *em)
{
	struct mark m = { .gc = g };
	int rc = verified_init(&m.nodes, NODE_SETS);

	gc_part(g, "mark");
	if (rc == 0)
		rc = mark_all(&m, em);
	verified_release(&m.nodes);
	buf_release(&m.stored);
	free(m.roots);
	return rc;
}
