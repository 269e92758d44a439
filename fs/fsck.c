/*
 * fsck.c - see fsck.h.
 *
 * While the log is read, every root, chunk and long attribute value that an
 * entry names is noted (fsck_want.c); afterwards each tree is walked once
 * (nodes shared by versions are visited once) and each chunk must be in the
 * store, unless gc may have taken it: what was released, and once packs were
 * taken away, saves between versions and former attribute values (those are
 * counted, not told).  A node that cannot be read is a finding, not
 * an end.
 *
 * Memory: 90 bytes per version and save, 64 per distinct node and chunk.
 */
#include "fs/fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/thread.h"
#include "fs/fsck_want.h"
#include "fs/tree.h"
#include "ledger/entry.h"

enum { FOUND_MAX = 200, SET_FIRST = 1 << 12 };

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
	struct fsck_wants wants;
	struct seen seen;
	bool collected;		     /* gc took packs away */
	const struct fsck_want *now; /* whose tree is walked */
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

static int on_entry(void *ctx, uint64_t no, const struct digest *leaf,
		    const uint8_t *bytes, uint32_t len)
{
	struct fsck *f = ctx;
	struct entry e;

	(void)leaf;
	if (entry_open(&e, NULL, bytes, len, NULL) < 0 ||
	    e.state != ENTRY_CLEAR)
		return 0; /* the log's own check speaks of it */
	return fsck_want_entry(&f->wants, &e, no);
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
	uint32_t len = 0;
	int rc = 0;

	/* every byte was looked at just now: what is plain need not again be */
	if (f->report->store.bad == 0 &&
	    store_look(f->s, &len, id) == CHUNK_DATA && len > 0) {
		*out_n = len;
		return 1;
	}
	rc = store_get(f->s, &ref, id, CHUNK_ANY);
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
	if (level >= 0 || store_has(f->s, id))
		return 0;
	if (!f->now->optional ||
	    (f->now->kind != FSCK_VERSION && !f->collected))
		tell_missing(f, id, "chunk", f->now->no);
	else if (f->now->kind != FSCK_VERSION)
		f->report->taken++;
	return 0;
}

static int look_for(struct fsck *f, const struct fsck_want *w)
{
	const struct tree_source source = { .read = read_node, .ctx = f };
	struct digest empty;
	int rc;

	f->now = w;
	tree_empty_root(&empty);
	if (digest_is_zero(&w->id) || digest_eq(&w->id, &empty))
		return 0;
	if (w->kind != FSCK_VERSION || w->size == 0)
		return visit(f, &w->id, -1, 0, 0) < 0 ? -ENOMEM : 0;
	rc = tree_walk(&source, &w->id, w->size, visit, f);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0 && !w->optional) {
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

/* What must be there first: a node that is visited is not visited again. */
static int look_for_all(struct fsck *f)
{
	struct fsck_wants *w = &f->wants;
	int rc = 0;

	fsck_want_settle(w);
	f->collected = store_collected(f->s);
	f->report->versions = w->versions;
	f->report->released = w->gone;
	for (size_t i = 0; rc == 0 && i < 2 * w->n; i++) {
		const struct fsck_want *v = &w->v[i % w->n];

		if (v->optional == (i >= w->n))
			rc = look_for(f, v);
		if (f->o->progress && i % 64 == 0)
			f->o->progress(f->o->ctx, "versions", i, 2 * w->n);
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
	fsck_want_release(&f.wants);
	free(f.seen.v);
	return rc;
}
