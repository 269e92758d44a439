/*
 * fsck.c - see fsck.h.
 *
 * First the log, and beside it every record of every pack, are verified (that
 * the two share the cores takes a fifth off a deep check), then the log is
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
	BESIDE_MIN = 16 << 20, /* bytes of packs; less: one after the other */
	BITS_MORE = 8, /* times gc's bytes: one chunk in 10^8 is miscounted */
	NEEDED = 0,    /* and 1: may be missed */
};

/* What was told, of it at most FOUND_MAX in words: neither hides the other. */
struct tally {
	uint64_t told, damaged;
};

struct fsck {
	struct ledger *l;
	struct store *s;
	const struct fsck_options *o;
	struct fsck_report *report;
	struct mutex mu;	/* a leaf but for who is told; next three */
	struct tally log, rest; /* log: its check's alone */
	bool packs_told;	/* the progress is that of the packs */
	struct fsck_wants wants;
	uint64_t seals;		 /* of the log, when this began */
	struct verified seen[2]; /* nodes */
	struct verified lost[2]; /* chunks that were told or counted */
	struct bloom named;
	uint64_t n_named;
	bool collected;		     /* gc took packs away */
	const struct fsck_want *now; /* whose tree is walked */
	struct digest there; /* its root, when that is a chunk that was found */
	bool is_there;
};

static void say(struct fsck *f, struct tally *t, const char *words, bool damage)
{
	mutex_lock(&f->mu);
	t->damaged += damage;
	if (t->told++ < FOUND_MAX && f->o->found)
		f->o->found(f->o->ctx, words);
	mutex_unlock(&f->mu);
}

static void tell(void *ctx, const char *words)
{
	struct fsck *f = ctx;

	say(f, &f->rest, words, true);
}

static void tell_of_log(void *ctx, const char *words)
{
	struct fsck *f = ctx;

	say(f, &f->log, words, true);
}

static void on_log(void *ctx, uint64_t done, uint64_t all)
{
	struct fsck *f = ctx;

	mutex_lock(&f->mu);
	if (f->o->progress && !f->packs_told)
		f->o->progress(f->o->ctx, "log", done, all);
	mutex_unlock(&f->mu);
}

static void on_store(void *ctx, uint64_t done, uint64_t all)
{
	struct fsck *f = ctx;

	mutex_lock(&f->mu);
	f->packs_told = done < all;
	if (f->o->progress)
		f->o->progress(f->o->ctx, "chunks", done, all);
	mutex_unlock(&f->mu);
}

static bool on_stop(void *ctx)
{
	const struct fsck *f = ctx;

	return f->o->stop && f->o->stop(f->o->ctx);
}

static int on_entry(void *ctx, uint64_t no, const struct digest *leaf,
		    const uint8_t *bytes, uint32_t len)
{
	struct fsck *f = ctx;
	struct entry_view v;

	(void)no;
	(void)leaf;
	if (entry_decode(&v, bytes, len) == 0)
		fsck_want_count(&f->wants, &v.core,
				v.state == ENTRY_CLEAR ? v.body_n : 0);
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
		f->there = *id;
		f->is_there = true;
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
		if (!(f->is_there && digest_eq(id, &f->there)) &&
		    !store_has(f->s, id))
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
	f->is_there = false;
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

		struct entry_view view;

		if (v[i].p && entry_decode(&view, v[i].p, v[i].n) == 0 &&
		    fsck_want_kind(view.core.kind) &&
		    entry_open_view(&e, &view, NULL) == 0)
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

	if (rc == -ENOMEM || !f->log.damaged)
		return errmsg_set(em, rc, "seal %" PRIu64 ": %s", seal,
				  err_text(rc));
	snprintf(words, sizeof(words),
		 "what the entries of seal %" PRIu64
		 " need was not looked for: %s",
		 seal, err_text(rc));
	if (part == 0)
		say(f, &f->rest, words, false);
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
		if (on_stop(f))
			return -ECANCELED;
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

/* *out: the bad places of the packs that were told, or found. */
static int check_store(struct fsck *f, uint64_t *out, struct errmsg *em)
{
	const struct store_check_options so = {
		.repair = f->o->repair,
		.found = tell,
		.progress = on_store,
		.stop = on_stop,
		.ctx = f,
	};
	const struct store_check_report *r = &f->report->store;
	int rc = store_check(f->s, &f->report->store, &so, em);

	mutex_lock(&f->mu);
	f->packs_told = false;
	*out = f->rest.damaged;
	if (rc == 0 && r->bad > *out)
		*out = r->bad;
	mutex_unlock(&f->mu);
	return rc;
}

/* --- the log --- */

struct log_check {
	struct fsck *f;
	struct ledger_verify_options options;
	struct errmsg em;
	int rc;
};

static void check_log(void *arg)
{
	struct log_check *c = arg;

	c->rc = ledger_verify(c->f->l, &c->f->report->log, &c->options, &c->em);
}

/* All of it: log and packs at once, then what the log needs of the packs. */
static int check_deep(struct fsck *f, struct log_check *log, struct errmsg *em)
{
	struct fsck_report *out = f->report;
	struct thread thread = { .running = false };
	uint64_t packs = 0;
	struct store_stat st;
	bool beside = false;
	int rc;

	store_stat(f->s, &st);
	if (st.stored_bytes >= BESIDE_MIN)
		beside = thread_start(&thread, "verify-log", check_log, log) ==
			 0;
	if (!beside)
		check_log(log);
	if (!beside && log->rc == -ECANCELED)
		return 0;
	rc = check_store(f, &packs, em);
	if (beside)
		thread_join(&thread);
	if (log->rc < 0)
		return 0;
	/* Not what was found: some of that is only told, not damage. */
	out->left = f->log.damaged + out->store.bad - out->store.repaired;
	f->rest.damaged = 0;
	if (rc == 0)
		rc = look_for_all(f, em);
	out->left += f->rest.damaged;
	f->rest.damaged += packs;
	return rc;
}

int fsck_verify(struct ledger *l, struct store *s, struct fsck_report *out,
		const struct fsck_options *o, struct errmsg *em)
{
	struct fsck f = { .l = l, .s = s, .o = o, .report = out };
	struct log_check log = {
		.f = &f,
		.options = {
			.consistent_with = o->consistent_with,
			.found = tell_of_log,
			.progress = on_log,
			.stop = on_stop,
			.entry = o->deep ? on_entry : NULL,
			.ctx = &f,
		},
		.em = ERRMSG_INIT,
	};
	int rc = 0;

	*out = (struct fsck_report){ .damaged = 0 };
	mutex_init(&f.mu);
	f.seals = ledger_size(l);
	if (o->deep && s) {
		f.packs_told = true;
		rc = check_deep(&f, &log, em);
	} else {
		check_log(&log);
		out->left = f.log.damaged;
	}
	out->damaged = f.log.damaged + f.rest.damaged;
	if (log.rc < 0)
		rc = errmsg_set(em, log.rc, "%s", log.em.text);
	if (rc == 0 && o->found &&
	    (f.log.told > FOUND_MAX || f.rest.told > FOUND_MAX))
		o->found(o->ctx, "... and more");
	mutex_destroy(&f.mu);
	fsck_want_release(&f.wants);
	return rc;
}
