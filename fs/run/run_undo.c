/*
 * run_undo.c - see run_undo.h.  What an undo is of stands in its arguments:
 * the run, and perhaps paths, after "--".
 */
#include "fs/run/run_undo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/argv.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* RUN_END's: by a signal, or nobody knows. */
enum { HOW_EXIT = 1 };

/* Arguments of undos that ended, newest first. */
struct ended {
	char *v[RUN_UNDO_MAX];
	unsigned n;
};

/* What follows "--", a line each; false: it is no undo of ours. */
static bool target_of(struct buf *out, const struct entry_str *argv)
{
	const char *p = argv->p;
	size_t left = argv->n;
	bool undo = false, target = false;
	struct buf one = BUF_INIT;

	for (unsigned i = 0; argv_next(&one, &p, &left); i++) {
		const char *s = one.n ? (char *)one.p : "";

		undo = undo || (i == 1 && strcmp(s, "undo") == 0);
		if (target)
			buf_addf(out, "%s\n", s);
		target = target || strcmp(s, "--") == 0;
		buf_clear(&one);
	}
	buf_release(&one);
	return undo && out->n && !out->bad;
}

static int read_target(struct ledger *l, struct buf *out,
		       const struct idx_run *run)
{
	struct buf stored = BUF_INIT;
	struct digest leaf;
	struct entry e;
	int rc = ledger_read_entry(l, &stored, &leaf, run->no);

	if (rc >= 0)
		rc = entry_open(&e, NULL, stored.p, stored.n, NULL);
	if (rc >= 0)
		rc = e.core.kind == ENTRY_RUN_START && e.state == ENTRY_CLEAR &&
		     target_of(out, &e.body.run_start.argv);
	buf_release(&stored);
	return rc;
}

/* The same, or all of the run. */
static bool is_covered(const struct ended *e, const char *target)
{
	size_t word = strcspn(target, "\n") + 1;

	for (unsigned i = 0; i < e->n; i++)
		if (strcmp(e->v[i], target) == 0 ||
		    (strlen(e->v[i]) == word &&
		     strncmp(e->v[i], target, word) == 0))
			return true;
	return false;
}

static int look_at(struct ledger *l, const struct idx_run *run, struct ended *e,
		   run_undo_fn *fn, void *ctx)
{
	struct buf target = BUF_INIT;
	int rc = run->implicit || !run->end_no ? 0 :
						 read_target(l, &target, run);

	if (rc > 0 && run->how == HOW_EXIT) {
		e->v[e->n++] = buf_take(&target);
		rc = 0;
	} else if (rc > 0 && !is_covered(e, (char *)target.p)) {
		target.p[strcspn((char *)target.p, "\n")] = '\0';
		rc = fn(ctx, (char *)target.p);
	}
	buf_release(&target);
	return rc < 0 ? rc : 0;
}

int run_undo_unfinished(struct ledger *l, struct idx_reader *r, run_undo_fn *fn,
			void *ctx)
{
	struct ended e = { .n = 0 };
	struct idx_run run;
	char word[RUN_WORD_MAX];
	uint32_t newest;
	int rc = idx_run_find(r, &run, RUN_UNDO_NAME);

	newest = rc > 0 ? run.number : 0;
	for (unsigned i = 0; rc >= 0 && i < RUN_UNDO_MAX && i < newest; i++) {
		snprintf(word, sizeof(word), RUN_UNDO_NAME ".%u", newest - i);
		rc = idx_run_find(r, &run, word);
		if (rc > 0)
			rc = look_at(l, &run, &e, fn, ctx);
	}
	for (unsigned i = 0; i < e.n; i++)
		free(e.v[i]);
	return rc < 0 ? rc : 0;
}
