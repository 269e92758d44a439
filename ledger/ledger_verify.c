/*
 * ledger_verify.c - reads the whole log and believes nothing.
 *
 * In one pass, from the first byte of the journal to the last frame of the
 * WAL: framing and checksums, canonical encodings, batch roots, the append
 * rules, signatures (on two threads), every tile byte for byte, and the roots
 * that were promised: the checkpoint's, the guard's, an old one's that the
 * caller kept.  After a damaged place the rest is still read; what can be
 * checked without the missing part is.
 *
 * Memory is bounded: one journal segment, the right edge of the tree, and the
 * trees' edges at the last WINDOW sizes, which answer what a seal says to
 * have seen.  Runs beside a mount; what is appended meanwhile is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vio.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/note.h"
#include "ledger/rules.h"
#include "ledger/seal.h"
#include "ledger/sigcheck.h"
#include "ledger/tile.h"
#include "ledger/tile_store.h"
#include "ledger/wal.h"

enum { WINDOW = 8192, ANCHORS = 3, THREADS = 2, PROGRESS_EVERY = 256 };

typedef unsigned long long ull_;

/* A root that was promised. */
struct promise {
	struct ledger_anchor at;
	const char *by;
};

struct verifying {
	struct ledger *l;
	const struct ledger_verify_options *o;
	struct ledger_verify_report *report;
	struct mutex mu; /* report->damaged and o->found */
	uint64_t size;
	struct rules *rules;
	bool broken; /* something is missing: the rules cannot go on */
	struct sigcheck *sigs;
	struct tile_store *tiles; /* made from what is read */
	struct tile_store_compare compare;
	struct merkle_frontier frontier;
	struct merkle_frontier *window; /* size s at s % WINDOW */
	struct promise promise[ANCHORS];
	unsigned n_promises;
	struct buf note;
	struct checkpoint checkpoint;
	struct digest *leaves;
	struct rules_entry *entries;
};

static void tell_locked(struct verifying *v, const char *words)
{
	v->report->damaged++;
	if (v->o->found != NULL)
		v->o->found(v->o->ctx, words);
}

/* A found() of the stores below. */
static void tell(void *ctx, const char *words)
{
	struct verifying *v = ctx;

	mutex_lock(&v->mu);
	tell_locked(v, words);
	mutex_unlock(&v->mu);
}

__attribute__((format(printf, 2, 3))) static void tellf(struct verifying *v,
							const char *fmt, ...)
{
	char words[ERRMSG_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	tell(v, words);
}

static void on_bad_signature(void *ctx, uint64_t index)
{
	char words[80];

	snprintf(words, sizeof(words),
		 "seal %llu: its signature does not verify", (ull_)index);
	tell_locked(ctx, words);
}

static void on_tile(void *ctx, const char *path, const char *how)
{
	tellf(ctx, "%s: %s", path, how);
}

/* A rules_root_fn: roots of the tree read so far. */
static int seen_root(void *ctx, struct digest *out, uint64_t size)
{
	struct verifying *v = ctx;
	const struct merkle_frontier *f = &v->window[size % WINDOW];

	if (f->size == size) {
		merkle_frontier_root(out, f);
		return 0;
	}
	return tile_store_root(v->l->tiles, out, size);
}

/* --- what was promised --- */

static void promise(struct verifying *v, uint64_t size,
		    const struct digest *root, const char *by)
{
	struct promise *p = &v->promise[v->n_promises];

	if (size > v->size) {
		tellf(v, "%s: %llu seals were signed, the log has %llu", by,
		      (ull_)size, (ull_)v->size);
		return;
	}
	p->at.size = size;
	p->at.root = *root;
	p->by = by;
	v->n_promises++;
}

static int parse_note(struct checkpoint *out, const void *p, size_t n)
{
	struct note note;
	int rc = note_parse(&note, p, n);

	return rc < 0 ? rc : checkpoint_parse(out, note.text, note.text_n);
}

/*
 * What was promised is read before the size is: by then the log has it, also
 * when somebody signs while we look.
 */
static void promises(struct verifying *v)
{
	struct ledger *l = v->l;
	const char *old = v->o->consistent_with;
	struct ledger_anchor guard = { .size = 0 };
	struct checkpoint c;
	int rc = vio_read_file(l->vio, &v->note, LEDGER_CHECKPOINT,
			       CHECKPOINT_MAX);

	if (l->guard_vio != NULL) {
		mutex_lock(&l->cp_mu);
		guard = (struct ledger_anchor){ l->guard.size, l->guard.root };
		mutex_unlock(&l->cp_mu);
	}
	v->size = ledger_size(l);
	if (rc == 0)
		rc = parse_note(&v->checkpoint, v->note.p, v->note.n);
	if (rc < 0) {
		memset(&v->checkpoint, 0, sizeof(v->checkpoint));
		tellf(v, "%s: %s", LEDGER_CHECKPOINT, err_text(rc));
	} else {
		promise(v, v->checkpoint.size, &v->checkpoint.root,
			"checkpoint");
	}
	if (guard.size > 0)
		promise(v, guard.size, &guard.root, "guard");
	if (old == NULL)
		return;
	rc = parse_note(&c, old, strlen(old));
	if (rc < 0)
		tellf(v, "the old checkpoint is not understood: %s",
		      err_text(rc));
	else
		promise(v, c.size, &c.root, "the old checkpoint");
}

static void keep_promises(struct verifying *v)
{
	struct digest root;

	for (unsigned i = 0; i < v->n_promises; i++) {
		const struct promise *p = &v->promise[i];

		if (p->at.size != v->frontier.size)
			continue;
		merkle_frontier_root(&root, &v->frontier);
		if (!digest_eq(&root, &p->at.root))
			tellf(v, "%s: another root was signed at size %llu",
			      p->by, (ull_)p->at.size);
	}
}

/* The signature of a note by one of the log's keys, as the log names them. */
static void check_note(struct verifying *v, const char *by, const void *p,
		       size_t n)
{
	struct checkpoint c, again;

	if (parse_note(&c, p, n) < 0)
		return; /* told already */
	for (size_t i = 0; i < rules_key_count(v->rules); i++) {
		const struct rules_key *k = rules_key_at(v->rules, i);
		struct note_vkey vk;

		if (k->role == KEY_LOG &&
		    note_vkey_make(&vk, c.origin, NOTE_ED25519, k->pub) == 0 &&
		    checkpoint_open(&again, p, n, &vk, 1) == 0)
			return;
	}
	tellf(v, "%s: it is signed by no key of the log", by);
}

/* --- one batch --- */

/* The tree goes on with this leaf. */
static int take_leaf(struct verifying *v, const uint8_t *seal, uint32_t n,
		     const struct digest *leaf)
{
	int rc;

	merkle_frontier_append(&v->frontier, leaf, NULL, NULL);
	v->window[v->frontier.size % WINDOW] = v->frontier;
	keep_promises(v);
	rc = tile_store_append(v->tiles, seal, n, leaf);
	if (rc == 0 && tile_store_pending(v->tiles))
		rc = tile_store_compare(v->tiles, &v->compare);
	return rc;
}

/* The last leaf of a bundle that ends with it. */
static void last_leaf(const struct buf *bundle, const uint8_t **out,
		      uint32_t *out_n)
{
	const uint8_t *p = bundle->p, *leaf = NULL;
	size_t left = bundle->n, n = 0;

	while (tile_bundle_next(&p, &left, &leaf, &n) > 0) {
		*out = leaf;
		*out_n = (uint32_t)n;
	}
}

/* A lost seal: the tree goes on with what the tiles say. */
static int take_lost(struct verifying *v, uint64_t index)
{
	struct tile t = { 0, index / TILE_WIDTH,
			  (unsigned)(index % TILE_WIDTH) + 1 };
	struct buf hashes = BUF_INIT, bundle = BUF_INIT;
	struct digest leaf = digest_zero;
	const uint8_t *seal = NULL;
	uint32_t n = 0;
	int rc;

	v->report->missing++;
	v->broken = true;
	tellf(v, "seal %llu is missing", (ull_)index);
	if (tile_store_get(v->l->tiles, &hashes, &t) == 0 &&
	    hashes.n == (size_t)t.width * DIGEST_SIZE)
		memcpy(leaf.b, hashes.p + hashes.n - DIGEST_SIZE, DIGEST_SIZE);
	t.level = TILE_ENTRIES;
	if (tile_store_bundle(v->l->tiles, &bundle, &t) == 0)
		last_leaf(&bundle, &seal, &n);
	rc = take_leaf(v, seal, n, &leaf);
	buf_release(&hashes);
	buf_release(&bundle);
	return rc;
}

/* Without the rules: what one batch proves alone. */
static void check_alone(struct verifying *v, const struct frame *f)
{
	if (ledger_leaves(v->leaves, f) < 0)
		tellf(v,
		      "seal %llu: its entries are not those it was signed "
		      "for",
		      (ull_)f->index);
}

static void check_rules(struct verifying *v, const struct frame *f)
{
	struct errmsg em = ERRMSG_INIT;
	struct rules_batch b = {
		.leaf_index = f->index,
		.seal = f->seal,
		.seal_n = f->seal_n,
		.entries = v->entries,
		.n = f->count,
		.out_leaves = v->leaves,
		.skip_signature = true, /* our own threads do it */
	};
	uint64_t known = 0;
	int rc = rules_check(v->rules, &b, &known, &em);

	if (rc == RULES_OK)
		return;
	v->broken = true;
	tellf(v, "%s",
	      rc == RULES_KNOWN ? "a seal is in the log twice" :
				  errmsg_text(&em, rc));
	check_alone(v, f);
}

static void check_signature(struct verifying *v, const struct frame *f)
{
	const struct rules_key *k;
	struct seal s;
	int rc = seal_decode(&s, f->seal, f->seal_n);

	k = rc == 0 ? rules_key_find(v->rules, s.key_id) : NULL;
	if (k == NULL) {
		tellf(v, "seal %llu: %s", (ull_)f->index,
		      rc == 0 ? "its key is not known" : err_text(rc));
		return;
	}
	v->report->signatures++;
	sigcheck_add(v->sigs, f->index, f->seal, f->seal_n, k->pub);
}

static int give_entries(struct verifying *v, const struct frame *f)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < f->count; i++) {
		const struct rules_entry *e = &v->entries[i];
		struct entry_view view;

		v->report->entries++;
		if (entry_decode(&view, e->p, e->n) == 0 &&
		    view.state == ENTRY_REDACTED)
			v->report->redacted++;
		if (v->o->entry != NULL)
			rc = v->o->entry(v->o->ctx,
					 (uint64_t)ENTRY_NO(f->index, i),
					 &v->leaves[i], e->p, e->n);
	}
	return rc;
}

static int on_frame(struct verifying *v, const struct frame *f)
{
	const uint8_t *p = f->entries;
	size_t left = f->entries_n;
	uint64_t before;
	struct digest leaf;
	int rc;

	for (uint32_t i = 0; i < f->count; i++)
		if (frame_next_entry(&p, &left, &v->entries[i].p,
				     &v->entries[i].n) <= 0)
			return -ERR_CORRUPT; /* frame_decode saw to that */
	v->report->seals++;
	before = v->report->damaged;
	if (v->broken)
		check_alone(v, f);
	else
		check_rules(v, f);
	check_signature(v, f);
	merkle_leaf(&leaf, f->seal, f->seal_n);
	rc = take_leaf(v, f->seal, f->seal_n, &leaf);
	/* Entries of a batch that is not what was signed are not given out. */
	if (rc == 0 && v->report->damaged == before)
		rc = give_entries(v, f);
	return rc;
}

/* A record() of the journal. */
static int on_record(void *ctx, uint64_t index, const struct frame *f)
{
	struct verifying *v = ctx;

	if (index != v->frontier.size || index >= v->size)
		return 0;
	if (v->o->progress != NULL && index % PROGRESS_EVERY == 0)
		v->o->progress(v->o->ctx, index, v->size);
	return f == NULL ? take_lost(v, index) : on_frame(v, f);
}

static int read_all(struct verifying *v)
{
	struct journal_check jc = { on_record, tell, v };
	struct buf bytes = BUF_INIT;
	int rc = wal_check(v->l->wal, tell, v);

	if (rc == 0)
		rc = journal_check(v->l->journal, &jc);
	while (rc == 0 && v->frontier.size < v->size) {
		uint64_t i = v->frontier.size;
		struct frame f;

		rc = ledger_load(v->l, &bytes, &f, i);
		if (rc == -ENOMEM)
			break;
		rc = on_record(v, i, rc < 0 ? NULL : &f);
	}
	buf_release(&bytes);
	return rc;
}

/* --- all of it --- */

/* A damaged end looks like a torn one; but it was whole and flushed once. */
static void check_flushed(struct verifying *v)
{
	uint64_t end = journal_end(v->l->journal);
	uint64_t flushed = ledger_settled(v->l);

	if (flushed > end)
		tellf(v,
		      "journal: seals %llu to %llu were there and are damaged; "
		      "the wal still has them, the next mount puts them back",
		      (ull_)end, (ull_)flushed - 1);
}

static void tell_notes(struct verifying *v)
{
	const char *p = ledger_notes(v->l);

	while (*p != '\0') {
		size_t n = strcspn(p, "\n");

		tellf(v, "found at start: %.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static int prepare(struct verifying *v)
{
	int rc = rules_new(&v->rules, seen_root, v);

	v->window = calloc(WINDOW, sizeof(*v->window));
	v->leaves = calloc(LIMIT_BATCH, sizeof(*v->leaves));
	v->entries = calloc(LIMIT_BATCH, sizeof(*v->entries));
	if (v->window == NULL || v->leaves == NULL || v->entries == NULL)
		return -ENOMEM;
	merkle_frontier_init(&v->frontier);
	if (rc == 0)
		rc = tile_store_new(&v->tiles, v->l->vio);
	if (rc == 0)
		rc = sigcheck_new(&v->sigs, THREADS, &v->mu, on_bad_signature,
				  v);
	return rc;
}

static void finish(struct verifying *v)
{
	sigcheck_finish(v->sigs);
	rules_free(v->rules);
	tile_store_free(v->tiles);
	buf_release(&v->note);
	free(v->window);
	free(v->leaves);
	free(v->entries);
	mutex_destroy(&v->mu);
}

int ledger_verify(struct ledger *l, struct ledger_verify_report *out,
		  const struct ledger_verify_options *o, struct errmsg *em)
{
	struct verifying v = { .l = l, .o = o, .report = out };
	int rc;

	memset(out, 0, sizeof(*out));
	mutex_init(&v.mu);
	rc = prepare(&v);
	if (rc < 0)
		goto done;
	tell_notes(&v);
	check_flushed(&v);
	promises(&v);
	v.compare = (struct tile_store_compare){
		.size = v.checkpoint.size,
		.differs = on_tile,
		.ctx = &v,
	};
	rc = read_all(&v);
	if (rc == 0 && v.note.n > 0)
		check_note(&v, "checkpoint", v.note.p, v.note.n);
	if (rc == 0 && o->consistent_with != NULL)
		check_note(&v, "the old checkpoint", o->consistent_with,
			   strlen(o->consistent_with));
	if (rc == 0 && o->progress != NULL)
		o->progress(o->ctx, v.size, v.size);
	out->tiles = v.compare.tiles;
done:
	finish(&v);
	return rc < 0 ? errmsg_set(em, rc, "verify: %s", err_text(rc)) : rc;
}
