/*
 * fsck.c - see fsck.h.
 *
 * First the log and every record of every pack are verified, then the log is
 * gone through once more, from its newest entry back (fsck_want.c): each tree
 * that an entry names is walked (nodes shared by versions are visited once)
 * and each chunk must be in the store, unless gc may have taken it: what was
 * released, and once packs were taken away, saves between versions and former
 * attribute values (those are counted, not told).  A node that cannot be read
 * is a finding, not an end.
 *
 * A record that was whole when the log was verified and cannot be read now is
 * an error: what its entries need was not looked for, so nothing is said to be
 * good.  In a log that is damaged it is told, and the rest is looked at.
 *
 * What may be missed says nothing of what may not: nodes of either sort are
 * remembered apart.
 *
 * Memory: that of fsck_want.h; 64 MiB of nodes visited (what falls out of that
 * memory is visited again); 16 bytes for each chunk in the store, 256 MiB at
 * most, to count those that nothing names, from 16 million chunks on roughly.
 */
#include "fs/upkeep/fsck.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/thread.h"
#include "fs/store/bloom.h"
#include "fs/upkeep/fsck_want.h"
#include "fs/content/tree.h"
#include "fs/store/verified.h"
#include "ledger/entry.h"

enum {
	FOUND_MAX = 200,
	SEEN_SETS = (32 << 20) / (VERIFIED_WAYS * sizeof(struct verified_key)),
	LOST_SETS = 4096,
	BITS_MORE = 8, /* times gc's bytes: one chunk in 10^8 is miscounted */
	NEEDED = 0,    /* and 1: may be missed */
};

struct fsck {
	struct ledger *l;
	struct store *s;
	const struct fsck_options *o;
	struct fsck_report *report;
	struct mutex mu; /* the ledger tells from two threads */
	uint64_t told;	 /* guarded by mu */
	struct fsck_wants wants;
	uint64_t seals;		 /* of the log, when this began */
	struct verified seen[2]; /* nodes */
	struct verified lost[2]; /* chunks that were told or counted */
	struct bloom named;
	uint64_t n_named;
	bool log_damaged;
	bool collected;		     /* gc took packs away */
	const struct fsck_want *now; /* whose tree is walked */
};

static void say(struct fsck *f, const char *words, bool damage)
{
	mutex_lock(&f->mu);
	f->report->damaged += damage;
	if (f->told++ < FOUND_MAX && f->o->found)
		f->o->found(f->o->ctx, words);
	mutex_unlock(&f->mu);
}

static void tell(void *ctx, const char *words)
{
	say(ctx, words, true);
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

static int on_entry(void *ctx, uint64_t no, const struct digest *leaf,
		    const uint8_t *bytes, uint32_t len)
{
	struct fsck *f = ctx;
	struct entry_view v;

	(void)no;
	(void)leaf;
	if (entry_decode(&v, bytes, len) == 0 && v.state == ENTRY_CLEAR)
		fsck_want_count(&f->wants, &v.core, v.body_n);
	return 0;
}

/* --- is it there? --- */

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

/* A chunk that is in no pack: told once, or counted if it may be missed. */
static void lost(struct fsck *f, const struct digest *id)
{
	bool optional = f->now->optional;

	if (verified_has(&f->lost[NEEDED], id) ||
	    (optional && verified_has(&f->lost[1], id)))
		return;
	verified_add(&f->lost[optional], id);
	if (!optional || (f->now->kind != FSCK_VERSION && !f->collected))
		tell_missing(f, id, "chunk", f->now->no);
	else if (f->now->kind != FSCK_VERSION)
		f->report->taken++;
}

/* 1 skips what is below. */
static int visit(void *ctx, const struct digest *id, int level, uint64_t off,
		 uint64_t len)
{
	struct fsck *f = ctx;
	bool optional = f->now->optional;

	(void)off;
	(void)len;
	if (!id)
		return 0;
	f->n_named += bloom_add(&f->named, id);
	if (level < 0) {
		if (!store_has(f->s, id))
			lost(f, id);
		return 0;
	}
	if (verified_has(&f->seen[NEEDED], id) ||
	    (optional && verified_has(&f->seen[1], id)))
		return 1;
	verified_add(&f->seen[optional], id);
	return 0;
}

static int look_for(void *ctx, const struct fsck_want *w)
{
	struct fsck *f = ctx;
	const struct tree_source source = { .read = read_node, .ctx = f };
	struct digest empty;
	int rc;

	f->now = w;
	tree_empty_root(&empty);
	if (digest_is_zero(&w->id) || digest_eq(&w->id, &empty))
		return 0;
	if (w->kind != FSCK_VERSION || w->size == 0)
		return visit(f, &w->id, -1, 0, 0);
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

/* --- the log, from its end --- */

/* What cannot be read or opened is what the log's own check speaks of. */
static int look_at(struct fsck *f, const struct ledger_record *r)
{
	struct breader in = { 0 };
	struct place {
		const uint8_t *p;
		uint32_t n;
	};
	autofree struct place *v = calloc((size_t)r->count + 1, sizeof(*v));
	int rc = 0;

	if (!v)
		return -ENOMEM;
	breader_init(&in, r->bytes, r->len);
	for (uint32_t i = 0; i < r->count; i++) {
		v[i].n = breader_u32(&in);
		v[i].p = breader_borrow(&in, v[i].n);
	}
	for (uint32_t i = r->count; rc == 0 && i-- > 0;) {
		struct entry e;

		if (v[i].p && entry_open(&e, NULL, v[i].p, v[i].n, NULL) == 0 &&
		    e.state == ENTRY_CLEAR)
			rc = fsck_want_entry(&f->wants, &e,
					     ENTRY_NO(r->seal, i));
	}
	return rc;
}

/* The record cannot be read: an error, or news of a damage that was told. */
static int no_record(struct fsck *f, uint64_t seal, uint64_t part, int rc,
		     struct errmsg *em)
{
	char words[256];

	if (rc == -ENOMEM || !f->log_damaged)
		return errmsg_set(em, rc, "seal %" PRIu64 ": %s", seal,
				  err_text(rc));
	snprintf(words, sizeof(words),
		 "what the entries of seal %" PRIu64
		 " need was not looked for: %s",
		 seal, err_text(rc));
	if (part == 0)
		say(f, words, false);
	return 0;
}

static int look_back(struct fsck *f, uint64_t part, uint64_t parts,
		     struct errmsg *em)
{
	int rc = 0;

	fsck_want_part(&f->wants, part);
	for (uint64_t seal = f->seals; rc == 0 && seal-- > 0;) {
		struct ledger_record r;

		if (f->o->progress)
			f->o->progress(f->o->ctx, "versions",
				       (part + 1) * f->seals - seal,
				       parts * f->seals);
		rc = ledger_read_again(f->l, &r, seal);
		if (rc < 0) {
			rc = no_record(f, seal, part, rc, em);
			continue;
		}
		rc = look_at(f, &r);
		ledger_record_release(&r);
	}
	return rc;
}

static int sets_open(struct fsck *f, uint64_t chunks)
{
	int rc = bloom_init(&f->named, chunks * BITS_MORE, f->seals);

	/* all of them: each is released */
	for (unsigned i = 0; i < 2; i++) {
		int a = verified_init(&f->seen[i], SEEN_SETS);
		int b = verified_init(&f->lost[i], LOST_SETS);

		rc = rc < 0 ? rc : a < 0 ? a : b;
	}
	return rc;
}

static void sets_close(struct fsck *f)
{
	for (unsigned i = 0; i < 2; i++) {
		verified_release(&f->seen[i]);
		verified_release(&f->lost[i]);
	}
	bloom_release(&f->named);
}

static int look_for_all(struct fsck *f, struct errmsg *em)
{
	uint64_t parts = fsck_want_parts(&f->wants);
	struct store_stat st;
	int rc = 0;

	store_stat(f->s, &st);
	f->wants.fn = look_for;
	f->wants.ctx = f;
	f->collected = store_collected(f->s);
	rc = sets_open(f, st.chunks);
	for (uint64_t i = 0; rc == 0 && i < parts; i++)
		rc = look_back(f, i, parts, em);
	f->report->versions = f->wants.versions;
	f->report->released = f->wants.gone;
	if (rc == 0 && st.chunks > f->n_named)
		f->report->unneeded = st.chunks - f->n_named;
	sets_close(f);
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
	int rc = store_check(f->s, &f->report->store, &so, em);

	if (rc == 0 && f->report->store.bad > f->report->damaged - before)
		f->report->damaged = before + f->report->store.bad;
	/* Not what was found: some of that is only told, not damage. */
	f->report->left =
		before + f->report->store.bad - f->report->store.repaired;
	before = f->report->damaged;
	if (rc == 0)
		rc = look_for_all(f, em);
	f->report->left += f->report->damaged - before;
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
	f.seals = ledger_size(l);
	rc = ledger_verify(l, &out->log, &lo, em);
	if (rc >= 0)
		rc = 0;
	out->left = out->damaged;
	f.log_damaged = out->damaged > 0;
	if (rc == 0 && o->deep && s)
		rc = check_store(&f, em);
	if (rc == 0 && f.told > FOUND_MAX && o->found)
		o->found(o->ctx, "... and more");
	mutex_destroy(&f.mu);
	fsck_want_release(&f.wants);
	return rc;
}
