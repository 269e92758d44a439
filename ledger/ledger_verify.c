/*
 * ledger_verify.c - reads the whole log and believes nothing.
 *
 * In one pass, from the first byte of the journal to the last frame of the
 * WAL: framing and checksums, canonical encodings and batch roots (worked out
 * ahead, ahead.h), the append rules, signatures (on two threads), every
 * tile byte for byte, and the roots
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

#include "ledger/journal.h"
#include "ledger/ledger_impl.h"
#include "ledger/sigcheck.h"
#include "ledger/ahead.h"
#include "ledger/verify_impl.h"
#include "ledger/wal.h"

enum { THREADS = 2, PROGRESS_EVERY = 256 };

void ledger_verify_tell_locked(struct verifying *v, const char *words)
{
	v->report->damaged++;
	if (v->o->found != NULL)
		v->o->found(v->o->ctx, words);
}

/* A found() of the stores below. */
void ledger_verify_tell(void *ctx, const char *words)
{
	struct verifying *v = ctx;

	mutex_lock(&v->mu);
	ledger_verify_tell_locked(v, words);
	mutex_unlock(&v->mu);
}

void ledger_verify_tellf(struct verifying *v, const char *fmt, ...)
{
	char words[ERRMSG_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	ledger_verify_tell(v, words);
}

static void on_bad_signature(void *ctx, uint64_t index)
{
	char words[80];

	snprintf(words, sizeof(words),
		 "seal %llu: its signature does not verify", (ull_)index);
	ledger_verify_tell_locked(ctx, words);
}

static void on_tile(void *ctx, const char *path, const char *how)
{
	ledger_verify_tellf(ctx, "%s: %s", path, how);
}

/* A rules_root_fn: roots of the tree read so far. */
static int seen_root(void *ctx, struct digest *out, uint64_t size)
{
	struct verifying *v = ctx;
	const struct merkle_frontier *f = &v->window[size % VERIFY_WINDOW];

	if (f->size == size) {
		merkle_frontier_root(out, f);
		return 0;
	}
	return tile_store_root(v->l->tiles, out, size);
}

/* A record() of the journal. */
static int on_record(void *ctx, uint64_t index, const struct frame *f)
{
	struct verifying *v = ctx;

	if (index != v->next || index >= v->size)
		return 0;
	v->next++;
	return ahead_add(v->ahead, index, f);
}

/* An ahead_take_fn. */
static int on_batch(void *ctx, uint64_t index, const struct frame *f,
		    const struct rules_entry *entries,
		    const struct rules_prepared *prepared)
{
	struct verifying *v = ctx;

	if (v->o->progress != NULL && index % PROGRESS_EVERY == 0)
		v->o->progress(v->o->ctx, index, v->size);
	if (v->o->stop != NULL && index % PROGRESS_EVERY == 0 &&
	    v->o->stop(v->o->ctx))
		return -ECANCELED;
	return f == NULL ? ledger_verify_lost(v, index) :
			   ledger_verify_frame(v, f, entries, prepared);
}

static int read_all(struct verifying *v)
{
	struct journal_check jc = { on_record, ledger_verify_tell, v };
	struct buf bytes = BUF_INIT;
	int rc = wal_check(v->l->wal, ledger_verify_tell, v);

	if (rc == 0)
		rc = journal_check(ledger_journal(v->l), &jc);
	while (rc == 0 && v->next < v->size) {
		uint64_t i = v->next;
		struct frame f;

		rc = ledger_load(v->l, &bytes, &f, i);
		if (rc == -ENOMEM)
			break;
		rc = on_record(v, i, rc < 0 ? NULL : &f);
	}
	if (rc == 0)
		rc = ahead_drain(v->ahead);
	buf_release(&bytes);
	return rc;
}

/* --- all of it --- */

/*
 * A damaged end looks like a torn one; but it was whole and flushed once.
 * What was flushed is read first: the journal of a mount grows, and by then
 * has it.
 */
static void check_flushed(struct verifying *v)
{
	uint64_t flushed = ledger_settled(v->l);
	uint64_t end = journal_end(ledger_journal(v->l));

	if (flushed > end)
		ledger_verify_tellf(
			v,
			"journal: seals %llu to %llu were there and are "
			"damaged; "
			"the wal still has them, the next mount puts them back",
			(ull_)end, (ull_)flushed - 1);
}

static void tell_notes(struct verifying *v)
{
	const char *p = ledger_notes(v->l);

	while (*p != '\0') {
		size_t n = strcspn(p, "\n");

		ledger_verify_tellf(v, "found at start: %.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static int prepare(struct verifying *v)
{
	int rc = rules_new(&v->rules, seen_root, v);

	v->window = calloc(VERIFY_WINDOW, sizeof(*v->window));
	if (v->window == NULL)
		return -ENOMEM;
	merkle_frontier_init(&v->frontier);
	if (rc == 0)
		rc = tile_store_new(&v->tiles, v->l->vio);
	if (rc == 0)
		rc = sigcheck_new(&v->sigs, THREADS, &v->mu, on_bad_signature,
				  v);
	if (rc == 0)
		rc = ahead_new(&v->ahead, 0, on_batch, v);
	return rc;
}

static void finish(struct verifying *v)
{
	ahead_free(v->ahead);
	sigcheck_finish(v->sigs);
	rules_free(v->rules);
	tile_store_free(v->tiles);
	buf_release(&v->note);
	free(v->window);
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
	ledger_verify_promises(&v);
	v.compare = (struct tile_store_compare){
		.size = v.checkpoint.size,
		.differs = on_tile,
		.ctx = &v,
	};
	rc = read_all(&v);
	if (rc == 0 && v.note.n > 0)
		ledger_verify_note(&v, "checkpoint", v.note.p, v.note.n);
	if (rc == 0 && o->consistent_with != NULL)
		ledger_verify_note(&v, "the old checkpoint", o->consistent_with,
				   strlen(o->consistent_with));
	if (rc == 0 && o->progress != NULL)
		o->progress(o->ctx, v.size, v.size);
	out->tiles = v.compare.tiles;
done:
	finish(&v);
	return rc < 0 ? errmsg_set(em, rc, "verify: %s", err_text(rc)) : rc;
}
