/*
 * fsck.c - see fsck.h.
 *
 * While the log is read, every root, chunk and long attribute value that an
 * entry names is noted; afterwards each tree is walked once (nodes shared by
 * versions are visited once) and each chunk must be in the store.  A node that
 * cannot be read is a finding, not an end.
 *
 * What GC entries released need not be there any more.  Once gc took packs
 * away, chunks of saves between versions and of former attribute values may
 * be gone, too: they are counted, not told.
 *
 * Memory: 72 bytes per version and save, 32 per distinct node and chunk.
 */
#include "fs/fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/thread.h"
#include "fs/tree.h"
#include "ledger/entry.h"

enum { FOUND_MAX = 200, SET_FIRST = 1 << 12 };

/* What an entry names: a whole tree, or a single chunk (size 0). */
struct wanted {
	struct digest id;
	uint64_t size;
	uint64_t no;
	uint64_t inode, version; /* of a tree */
	bool tree;
};

/* Ids seen before; open addressing. */
struct seen {
	struct digest *v;
	size_t n, cap;
};

struct fsck {
	struct ledger *l;
	struct store *s;
	const struct fsck_options *o;
	struct fsck_report *report;
	struct mutex mu; /* the ledger tells from two threads */
	uint64_t told;	 /* guarded by mu */
	struct wanted *v;
	size_t n, cap;
	struct entry_release *releases; /* by inode, then version */
	size_t n_releases, cap_releases;
	bool collected; /* gc took packs away */
	struct seen seen;
	uint64_t no; /* the entry whose tree is walked */
	bool loose;  /* it is no tree, but one chunk that gc may take */
};

static void tell(void *ctx, const char *words)
{
	struct fsck *f = ctx;

	mutex_lock(&f->mu);
	f->report->damaged++;
	if (f->told++ < FOUND_MAX && f->o->found)
		f->o->found(f->o->ctx, words);
	mutex_unlock(&f->mu);
}

static void on_log(void *ctx, uint64_t done, uint64_t all)
{
	struct fsck *f = ctx;

	if (f->o->progress)
		f->o->progress(f->o->ctx, "log", done, all);
}

static void on_store(void *ctx, uint64_t done, uint64_t all)
{
	struct fsck *f = ctx;

	if (f->o->progress)
		f->o->progress(f->o->ctx, "chunks", done, all);
}

/* --- what the log names --- */

static int want(struct fsck *f, const struct digest *id, uint64_t size,
		uint64_t no, bool tree)
{
	if (digest_is_zero(id))
		return 0;
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 1024;
		void *p = realloc(f->v, cap * sizeof(*f->v));

		if (!p)
			return -ENOMEM;
		f->v = p;
		f->cap = cap;
	}
	f->v[f->n++] = (struct wanted){
		.id = *id,
		.size = size,
		.no = no,
		.tree = tree,
	};
	return 0;
}

static int want_version(struct fsck *f, const struct entry *e, uint64_t no)
{
	const struct entry_version *b = &e->body.version;
	size_t had = f->n;
	int rc = want(f, &b->tree_root, b->size, no, b->size > 0);

	f->report->versions++;
	if (rc == 0 && f->n > had) {
		f->v[had].inode = e->core.inode;
		f->v[had].version = e->core.version;
	}
	return rc;
}

/* --- what GC entries gave up --- */

static int note_releases(struct fsck *f, const struct entry_gc *b)
{
	size_t need = f->n_releases + b->n;

	if (need > f->cap_releases) {
		size_t cap =
			need > 2 * f->cap_releases ? need : 2 * f->cap_releases;
		void *p = realloc(f->releases, cap * sizeof(*f->releases));

		if (!p)
			return -ENOMEM;
		f->releases = p;
		f->cap_releases = cap;
	}
	for (unsigned i = 0; i < b->n; i++)
		entry_gc_at(&f->releases[f->n_releases++], b, i);
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct entry_release *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Ranges that overlap become one, so that a search finds the only one. */
static void sort_releases(struct fsck *f)
{
	size_t n = 0;

	if (f->n_releases > 1)
		qsort(f->releases, f->n_releases, sizeof(*f->releases),
		      by_inode);
	for (size_t i = 0; i < f->n_releases; i++) {
		struct entry_release *r = &f->releases[i];
		struct entry_release *last = n ? &f->releases[n - 1] : NULL;

		if (!last || last->inode != r->inode || r->first > last->last)
			f->releases[n++] = *r;
		else if (r->last > last->last)
			last->last = r->last;
	}
	f->n_releases = n;
}

static bool is_released(const struct fsck *f, const struct wanted *w)
{
	size_t lo = 0, hi = f->n_releases;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct entry_release *r = &f->releases[mid];

		if (r->inode < w->inode ||
		    (r->inode == w->inode && r->last < w->version))
			lo = mid + 1;
		else
			hi = mid;
	}
	return w->inode && lo < f->n_releases &&
	       f->releases[lo].inode == w->inode &&
	       f->releases[lo].first <= w->version;
}

static int want_extents(struct fsck *f, const struct entry_extents *x,
			uint64_t no)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < x->n; i++) {
		struct entry_extent e;

		entry_extents_at(&e, x, i);
		rc = want(f, &e.chunk, 0, no, false);
	}
	return rc;
}

static int on_entry(void *ctx, uint64_t no, const struct digest *leaf,
		    const uint8_t *bytes, uint32_t len)
{
	struct fsck *f = ctx;
	struct entry e;

	(void)leaf;
	if (entry_open(&e, NULL, bytes, len, NULL) < 0 ||
	    e.state != ENTRY_CLEAR)
		return 0; /* the log's own check speaks of it */
	switch (e.core.kind) {
	case ENTRY_VERSION:
		return want_version(f, &e, no);
	case ENTRY_GC:
		return note_releases(f, &e.body.gc);
	case ENTRY_EXTENTS:
		return want_extents(f, &e.body.extents, no);
	case ENTRY_SETXATTR:
		return want(f, &e.body.setxattr.content, 0, no, false);
	default:
		return 0;
	}
}

/* --- is it there? --- */

static size_t slot(const struct seen *s, const struct digest *id)
{
	size_t i = digest_prefix(id) & (s->cap - 1);

	while (!digest_is_zero(&s->v[i]) && !digest_eq(&s->v[i], id))
		i = (i + 1) & (s->cap - 1);
	return i;
}

static int grow(struct seen *s)
{
	struct seen bigger = { .cap = s->cap ? 2 * s->cap : SET_FIRST };

	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++)
		if (!digest_is_zero(&s->v[i]))
			bigger.v[slot(&bigger, &s->v[i])] = s->v[i];
	bigger.n = s->n;
	free(s->v);
	*s = bigger;
	return 0;
}

/* 1: it is new; 0: it was there. */
static int add(struct seen *s, const struct digest *id)
{
	int rc = 2 * s->n >= s->cap ? grow(s) : 0;

	if (rc < 0)
		return rc;
	size_t i = slot(s, id);
	if (!digest_is_zero(&s->v[i]))
		return 0;
	s->v[i] = *id;
	s->n++;
	return 1;
}

static void tell_missing(struct fsck *f, const struct digest *id,
			 const char *what, uint64_t no)
{
	char hex[DIGEST_HEX_SIZE], words[256];

	digest_hex(hex, id);
	snprintf(words, sizeof(words),
		 "%s %.16s..., which entry %" PRIu64 ".%u needs, is in no pack",
		 what, hex, ENTRY_NO_SEAL(no), ENTRY_NO_POS(no));
	f->report->missing++;
	tell(f, words);
}

static int read_node(void *ctx, uint8_t *out, size_t *out_n,
		     const struct digest *id)
{
	struct fsck *f = ctx;
	struct store_ref ref;
	int rc = store_get(f->s, &ref, id, CHUNK_ANY);

	if (rc < 0)
		return rc;
	*out_n = ref.n;
	if (rc == CHUNK_NODE && ref.n > TREE_NODE_MAX)
		rc = -ERR_CORRUPT;
	else if (rc == CHUNK_NODE)
		memcpy(out, ref.p, ref.n);
	store_release(&ref);
	return rc < 0 ? rc : rc != CHUNK_NODE;
}

/* 1 skips what is below. */
static int visit(void *ctx, const struct digest *id, int level, uint64_t off,
		 uint64_t len)
{
	struct fsck *f = ctx;
	int rc;

	(void)off;
	(void)len;
	if (!id)
		return 0;
	rc = add(&f->seen, id);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return 1;
	if (level < 0 && !store_has(f->s, id)) {
		if (f->loose && f->collected)
			f->report->taken++;
		else
			tell_missing(f, id, "chunk", f->no);
	}
	return 0;
}

static int look_for(struct fsck *f, const struct wanted *w)
{
	const struct tree_source source = { .read = read_node, .ctx = f };
	struct digest empty;
	int rc;

	f->no = w->no;
	f->loose = !w->tree;
	tree_empty_root(&empty);
	if (digest_eq(&w->id, &empty))
		return 0;
	if (w->tree && is_released(f, w)) {
		f->report->released++;
		return 0;
	}
	if (!w->tree)
		return visit(f, &w->id, -1, 0, 0) < 0 ? -ENOMEM : 0;
	rc = tree_walk(&source, &w->id, w->size, visit, f);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		char words[256];

		snprintf(words, sizeof(words),
			 "the bytes of entry %" PRIu64 ".%u: %s",
			 ENTRY_NO_SEAL(w->no), ENTRY_NO_POS(w->no),
			 err_text(rc));
		f->report->missing++;
		tell(f, words);
	}
	return 0;
}

/* Trees first: of a chunk that both want, the tree's word counts. */
static int look_for_all(struct fsck *f)
{
	int rc = 0;

	sort_releases(f);
	f->collected = store_collected(f->s);
	for (size_t i = 0; rc == 0 && i < 2 * f->n; i++) {
		const struct wanted *w = &f->v[i % f->n];

		if (w->tree == (i < f->n))
			rc = look_for(f, w);
		if (f->o->progress && i % 64 == 0)
			f->o->progress(f->o->ctx, "versions", i, 2 * f->n);
	}
	return rc;
}

static int check_store(struct fsck *f, struct errmsg *em)
{
	const struct store_check_options so = {
		.repair = f->o->repair,
		.found = tell,
		.progress = on_store,
		.ctx = f,
	};
	uint64_t before = f->report->damaged;
	struct store_stat st;
	int rc = store_check(f->s, &f->report->store, &so, em);

	if (rc == 0 && f->report->store.bad > f->report->damaged - before)
		f->report->damaged = before + f->report->store.bad;
	/* Not what was found: some of that is only told, not damage. */
	f->report->left =
		before + f->report->store.bad - f->report->store.repaired;
	before = f->report->damaged;
	if (rc == 0)
		rc = look_for_all(f);
	f->report->left += f->report->damaged - before;
	store_stat(f->s, &st);
	if (rc == 0 && st.chunks > f->seen.n)
		f->report->unneeded = st.chunks - f->seen.n;
	return rc;
}

int fsck_verify(struct ledger *l, struct store *s, struct fsck_report *out,
		const struct fsck_options *o, struct errmsg *em)
{
	struct fsck f = { .l = l, .s = s, .o = o, .report = out };
	const struct ledger_verify_options lo = {
		.consistent_with = o->consistent_with,
		.found = tell,
		.progress = on_log,
		.entry = o->deep ? on_entry : NULL,
		.ctx = &f,
	};
	int rc;

	*out = (struct fsck_report){ .damaged = 0 };
	mutex_init(&f.mu);
	rc = ledger_verify(l, &out->log, &lo, em);
	if (rc >= 0)
		rc = 0;
	out->left = out->damaged;
	if (rc == 0 && o->deep && s)
		rc = check_store(&f, em);
	if (rc == 0 && f.told > FOUND_MAX && o->found)
		o->found(o->ctx, "... and more");
	mutex_destroy(&f.mu);
	free(f.v);
	free(f.releases);
	free(f.seen.v);
	return rc;
}
