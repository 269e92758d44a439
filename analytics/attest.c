/*
 * attest.c - gathers; see attest.h.
 *
 * A run's subjects are the versions that its programs wrote and that still
 * had a name when it ended, the newest of each file; its materials all that
 * its programs opened but what it wrote itself.
 */
#include "analytics/attest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/attest_int.h"
#include "analytics/imported.h"
#include "analytics/line.h"
#include "analytics/lineage_internal.h"
#include "analytics/run_walk.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "ledger/entry.h"
#include "ledger/entry_run.h"

enum { PAGE = 256, SIBLINGS_SECONDS = 5, PAIRS_MAX = 1 << 20 };

/* --- sets of versions --- */

static int by_pair(const void *a, const void *b)
{
	const struct attest_pair *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return x->strength > y->strength ? -1 : x->strength < y->strength;
}

/* Each once, with the surest strength. */
static void pairs_sort(struct attest_pairs *p)
{
	size_t kept = 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_pair);
	for (size_t i = 0; i < p->n; i++)
		if (!kept || p->v[kept - 1].ino != p->v[i].ino ||
		    p->v[kept - 1].version != p->v[i].version)
			p->v[kept++] = p->v[i];
	p->n = kept;
}

static int pairs_add(struct attest_pairs *p, const struct attest_pair *v)
{
	if (p->n == PAIRS_MAX && !p->full) {
		pairs_sort(p);
		p->full = p->n > PAIRS_MAX / 2;
	}
	if (p->n == PAIRS_MAX) {
		p->left_out++;
		return 0;
	}
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		struct attest_pair *more = realloc(p->v, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->v = more;
		p->cap = cap;
	}
	p->v[p->n++] = *v;
	return 0;
}

/* Of sorted ones. */
static bool pairs_have(const struct attest_pairs *p, uint64_t ino,
		       uint64_t version)
{
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct attest_pair *v = &p->v[mid];

		if (v->ino == ino && v->version == version)
			return true;
		if (v->ino < ino || (v->ino == ino && v->version < version))
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

/* --- items --- */

static int item_room(struct attest_items *t, size_t max)
{
	struct attest_item *v;

	if (t->n == max) {
		t->left_out++;
		return 0;
	}
	if (t->n && (t->n & (t->n - 1))) /* grows at powers of two */
		return 1;
	v = realloc(t->v, (t->n ? 2 * t->n : 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->v = v;
	return 1;
}

/* The path at an entry; where there was none, the last one. */
static int add_path(struct attest *a, struct attest_item *i, uint64_t at)
{
	size_t start = a->paths.n;
	bool gone = false;
	int rc = idx_path(a->r, &a->paths, i->v.ino, at);

	if (rc == 0)
		rc = idx_path_last(a->r, &a->paths, i->v.ino, &gone);
	if (rc >= 0 && a->paths.bad)
		rc = -ENOMEM;
	if (rc <= 0)
		return rc;
	i->path = start;
	i->path_n = a->paths.n - start;
	return 0;
}

static int item_add(struct attest *a, struct attest_items *t, size_t max,
		    const struct idx_version *v, uint8_t strength,
		    uint64_t path_at)
{
	struct attest_item *i;
	int rc = item_room(t, max);

	if (rc <= 0)
		return rc;
	i = &t->v[t->n];
	*i = (struct attest_item){ .v = *v, .strength = strength };
	rc = add_path(a, i, path_at);
	if (rc < 0)
		return rc;
	t->n++;
	return 0;
}

/*
 * What somebody opened becomes an item, if who asks may see it and it was
 * there before the entry.
 */
static int material_add(struct attest *a, struct attest_items *t, size_t max,
			const struct attest_pair *p, uint64_t before)
{
	struct idx_version v;
	int rc = idx_version(a->r, &v, p->ino, p->version);

	if (rc > 0 && v.no >= before)
		return 0;
	if (rc <= 0) {
		a->unknown += rc == 0;
		return rc;
	}
	if (a->cr && core_may_read(a->core, a->cr, p->ino) < 0) {
		a->hidden++;
		return 0;
	}
	return item_add(a, t, max, &v, p->strength, p->reads_no);
}

/* --- what others of the run opened --- */

struct siblings {
	struct attest *a;
	uint64_t ino;
	struct attest_pairs known, found;
};

static int sibling_item(void *ctx, const struct idx_read_item *item)
{
	struct siblings *s = ctx;
	struct attest_pair p = {
		.ino = item->ino,
		.version = item->version,
		.strength = item->strength,
		.reads_no = item->reads_no,
	};

	if (!item->ino || !item->version || item->ino == s->ino ||
	    pairs_have(&s->known, item->ino, item->version))
		return 0;
	return pairs_add(&s->found, &p);
}

static int sibling_entry(void *ctx, const struct idx_entry *e)
{
	struct siblings *s = ctx;

	return e->kind == ENTRY_READS ?
		       idx_read_items(s->a->r, e->no, sibling_item, s) :
		       0;
}

/*
 * A pipe leads from one program of a run to another and leaves no trace: what
 * the others opened is told, as what may have come that way.  Of programs that
 * wrote nothing the log has that from the end of a declared run on; so when
 * they opened it is not known, only that the version was there before.
 */
static int gather_siblings(struct attest *a)
{
	struct siblings s = {
		.a = a,
		.ino = a->subjects.v[0].v.ino,
	};
	struct run_view view = { .cr = a->cr };
	int rc = 0;

	for (size_t i = 0; i < a->materials.n && rc >= 0; i++)
		rc = pairs_add(
			&s.known,
			&(struct attest_pair){
				.ino = a->materials.v[i].v.ino,
				.version = a->materials.v[i].v.version });
	pairs_sort(&s.known);
	run_walk_limit(&view, SIBLINGS_SECONDS);
	if (rc >= 0)
		rc = run_walk(&view, a->r, &a->run, sibling_entry, &s);
	a->out_of_time = rc == -ETIMEDOUT;
	if (a->out_of_time)
		rc = 0;
	pairs_sort(&s.found);
	for (size_t i = 0; i < s.found.n && rc >= 0; i++)
		rc = material_add(a, &a->perhaps, ATTEST_PERHAPS_MAX,
				  &s.found.v[i], a->subjects.v[0].v.no);
	a->perhaps.left_out += s.found.left_out;
	free(s.known.v);
	free(s.found.v);
	return rc < 0 ? rc : 0;
}

/* --- a file --- */

static int begin(struct attest *a, struct core *c, struct idx_reader *r,
		 const struct cred *cr)
{
	struct digest root;

	memset(a, 0, sizeof(*a));
	a->core = c;
	a->r = r;
	a->cr = cr;
	return idx_reader_position(r, &a->seals, &root);
}

static int load_start(struct attest *a)
{
	int rc;

	if (!a->has_run || a->run.implicit)
		return 0;
	a->start = calloc(1, sizeof(*a->start));
	rc = a->start ? line_load(a->core, &a->stored, a->start, a->run.no) :
			-ENOMEM;
	a->has_start = rc >= 0 && !a->start->body.opaque;
	return rc;
}

static int load_writer(struct attest *a, uint64_t actor_no)
{
	static const uint8_t none[16];
	int rc = actor_no ? idx_actor(a->r, &a->actor, actor_no) : 0;

	a->has_actor = rc > 0;
	if (rc > 0 && memcmp(a->actor.run, none, sizeof(none)) != 0) {
		rc = idx_run_by_id(a->r, &a->run, a->actor.run);
		a->has_run = rc > 0;
	}
	return rc < 0 ? rc : load_start(a);
}

static int load_import(struct attest *a, const struct idx_version *v)
{
	int rc;

	a->import = calloc(1, sizeof(*a->import));
	if (!a->import)
		return -ENOMEM;
	rc = imported_find(a->core, a->r, v, &a->import_stored, a->import);
	a->has_import = rc > 0;
	return rc;
}

static int take_inputs(struct attest *a, const struct lineage *l)
{
	int rc = 0;

	a->unknown += l->unknown;
	for (size_t i = 0; i < l->n_edges && rc >= 0; i++) {
		const struct lineage_edge *e = &l->edges[i];
		const struct lineage_node *n = &l->nodes[e->from];

		if (e->to != 0)
			continue;
		if (n->hidden)
			a->hidden++;
		else
			rc = item_add(a, &a->materials, ATTEST_ITEMS_MAX, &n->v,
				      e->strength, e->reads_no);
	}
	a->materials.left_out += l->cut;
	return rc;
}

int attest_file(struct attest *a, struct core *c, struct idx_reader *r,
		const struct cred *cr, uint64_t ino, uint64_t version)
{
	const struct lineage_options o = { .no_outputs = true, .direct = true };
	struct lineage *l = NULL;
	int rc = begin(a, c, r, cr);

	if (rc >= 0)
		rc = lineage_build(&l, c, r, cr, ino, version, &o);
	if (rc >= 0)
		rc = item_add(a, &a->subjects, 1, &l->nodes[0].v,
			      l->nodes[0].v.attribution, IDX_NOW);
	if (rc >= 0)
		rc = load_import(a, &l->nodes[0].v);
	if (rc >= 0)
		rc = load_writer(a, l->nodes[0].v.actor_no);
	if (rc >= 0)
		rc = take_inputs(a, l);
	if (rc >= 0 && a->has_run)
		rc = gather_siblings(a);
	lineage_free(l);
	return rc < 0 ? rc : 0;
}

/* --- a run --- */

struct gather {
	struct attest *a;
	struct attest_pairs wrote, opened;
};

static int gather_read(void *ctx, const struct idx_read_item *item)
{
	struct gather *g = ctx;

	if (!item->ino || !item->version) {
		g->a->unknown++;
		return 0;
	}
	return pairs_add(&g->opened, &(struct attest_pair){
					     .ino = item->ino,
					     .version = item->version,
					     .strength = item->strength,
					     .reads_no = item->reads_no,
				     });
}

static int gather_entry(void *ctx, const struct idx_entry *e)
{
	struct gather *g = ctx;

	if (e->rejected)
		return 0;
	if (e->kind == ENTRY_READS)
		return idx_read_items(g->a->r, e->no, gather_read, g);
	if (e->kind != ENTRY_VERSION)
		return 0;
	return pairs_add(&g->wrote, &(struct attest_pair){
					    .ino = e->inode,
					    .version = e->version,
				    });
}

/* The newest of the versions that the run made of one file. */
static int subject_add(struct attest *a, const struct attest_pair *p,
		       uint64_t end)
{
	struct buf path = BUF_INIT;
	struct idx_version v;
	int rc = idx_version(a->r, &v, p->ino, p->version);

	if (rc > 0) {
		rc = idx_path(a->r, &path, p->ino, end);
		a->unnamed += rc == 0;
	}
	buf_release(&path);
	return rc <= 0 ? rc :
			 item_add(a, &a->subjects, ATTEST_ITEMS_MAX, &v,
				  v.attribution, end);
}

/* Plain digests that are owed: only of what is still the newest version. */
static int make_digests(struct attest *a, struct run_view *view)
{
	struct digest sha256;
	int rc;

	for (size_t i = 0; i < a->subjects.n; i++) {
		struct idx_version *v = &a->subjects.v[i].v;
		uint64_t newest = 0;

		if (v->has_sha256 || run_walk_in_time(view) < 0)
			continue;
		rc = idx_newest_version(a->r, v->ino, &newest);
		if (rc < 0)
			return rc;
		if (newest != v->version ||
		    core_digest(a->core, v->ino, &sha256) < 0)
			continue;
		rc = core_settle_index(a->core);
		if (rc >= 0)
			rc = idx_version(a->r, v, v->ino, v->version);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int one_program(void *ctx, uint64_t no)
{
	struct attest *a = ctx;
	struct buf stored = BUF_INIT;
	struct entry e;
	int rc = line_load(a->core, &stored, &e, no);

	if (rc >= 0 && !e.body.opaque)
		a->how[entry_run_how(&e.body)]++;
	a->actor.no = no; /* how far the list is */
	buf_release(&stored);
	return rc < 0 ? rc : 0;
}

static int count_programs(struct attest *a)
{
	int rc;

	do
		rc = idx_run_actors(a->r, &a->run, a->actor.no, PAGE,
				    one_program, a);
	while (rc == PAGE);
	a->actor.no = 0;
	return rc;
}

static int take_run(struct attest *a, struct gather *g, struct run_view *view)
{
	uint64_t end = a->run.end_no ? a->run.end_no : IDX_NOW;
	int rc = 0;

	pairs_sort(&g->wrote);
	pairs_sort(&g->opened);
	for (size_t i = 0; i < g->wrote.n && rc >= 0; i++)
		if (i + 1 == g->wrote.n ||
		    g->wrote.v[i + 1].ino != g->wrote.v[i].ino)
			rc = subject_add(a, &g->wrote.v[i], end);
	for (size_t i = 0; i < g->opened.n && rc >= 0; i++)
		if (!pairs_have(&g->wrote, g->opened.v[i].ino,
				g->opened.v[i].version))
			rc = material_add(a, &a->materials, ATTEST_ITEMS_MAX,
					  &g->opened.v[i], IDX_NOW);
	a->subjects.left_out += g->wrote.left_out;
	a->materials.left_out += g->opened.left_out;
	return rc < 0 ? rc : make_digests(a, view);
}

int attest_run(struct attest *a, struct core *c, struct idx_reader *r,
	       struct run_view *view, const struct idx_run *run)
{
	struct gather g = { .a = a };
	int rc = begin(a, c, r, view->cr);

	a->is_run = true;
	a->has_run = true;
	a->run = *run;
	if (rc >= 0)
		rc = load_start(a);
	if (rc >= 0)
		rc = run_walk(view, r, run, gather_entry, &g);
	if (rc >= 0)
		rc = take_run(a, &g, view);
	if (rc >= 0)
		rc = count_programs(a);
	free(g.wrote.v);
	free(g.opened.v);
	return rc < 0 ? rc : 0;
}

void attest_release(struct attest *a)
{
	if (a->has_actor)
		idx_actor_release(&a->actor);
	free(a->subjects.v);
	free(a->materials.v);
	free(a->perhaps.v);
	free(a->start);
	free(a->import);
	buf_release(&a->import_stored);
	buf_release(&a->paths);
	buf_release(&a->stored);
	memset(a, 0, sizeof(*a));
}
