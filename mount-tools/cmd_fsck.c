/*
 * cmd_fsck.c - `vouch fsck` and `vouch reindex`: the store's parts against
 * each other, nothing mounted.  The index is compared row for row with one
 * made anew from the journal; reindex puts that one in its place.  With --repair
 * what can be put right is, first (fsck_repair.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/rebuild.h"
#include "ledger/ledger.h"
#include "mount-tools/fsck_files.h"
#include "mount-tools/fsck_lost.h"
#include "mount-tools/fsck_repair.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/progress.h"
#include "mount-tools/reader.h"
#include "mount-tools/verify.h"
#include "mount-tools/vouch.h"

/* --- the rebuilt index -------------------------------------------------------- */

static int rebuild(struct reader *r, struct errmsg *em)
{
	struct progress bar;
	const struct rebuild_options o = {
		.vio = r->vio,
		.dir = r->place.store,
		.ledger = r->ledger,
		.name = IDX_REBUILD_NAME,
		.progress = progress_tell,
		.ctx = &bar,
	};
	struct idx *x = NULL;
	int rc = r->lock ? 0 :
			   errmsg_set(em, -EACCES,
				      "%s cannot be written by this user",
				      r->place.store);

	if (rc < 0)
		return rc;
	progress_start(&bar, "rebuilding the index", false);
	rc = rebuild_anew(&x, &o, em);
	progress_end(&bar);
	idx_close(x);
	return rc;
}

static void on_difference(void *ctx, const char *words)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "index: %s", words);
	verify_found(ctx, b.bad ? words : (char *)b.p);
	buf_release(&b);
}

/* The index as it lies there fits the log; then it is brought up to its end. */
static int look_at_index(struct verify *v, struct reader *r, bool *out_good,
			 struct errmsg *em)
{
	struct rebuild_options o = {
		.vio = r->vio,
		.dir = r->place.store,
		.ledger = r->ledger,
		.read_only = true,
	};
	struct errmsg own = ERRMSG_INIT;
	struct vio_stat st;
	struct idx *x = NULL;
	int rc = vio_stat(r->vio, IDX_NAME, &st);

	*out_good = false;
	if (rc == -ENOENT) { /* no damage: it is a cache */
		verify_found(v, "index: there is none; the next mount makes "
				"it");
		return 0;
	}
	if (rc == 0)
		rc = rebuild_catch_up(&x, &o, &own);
	idx_close(take(x));
	if (rc < 0) {
		on_difference(v, errmsg_text(&own, rc));
		v->report.damaged++;
		return 0;
	}
	*out_good = true;
	o.read_only = false;
	rc = rebuild_catch_up(&x, &o, em);
	idx_close(x);
	return rc;
}

/* How many rows differ. */
static int compare(struct verify *v, struct reader *r, uint64_t *out,
		   struct errmsg *em)
{
	bool good = false;
	int rc = rebuild(r, em);

	*out = 0;
	if (rc == 0)
		rc = look_at_index(v, r, &good, em);
	*out = v->report.damaged;
	if (rc == 0 && good)
		rc = idx_compare(r->place.store, IDX_NAME, IDX_REBUILD_NAME,
				 on_difference, v, out, em);
	v->index_same = rc == 0 && good && *out == 0;
	return rc;
}

static int check(struct verify *v, struct reader *r, struct errmsg *em)
{
	uint64_t differences = 0;
	int rc = compare(v, r, &differences, em);
	int removed;

	if (rc == 0)
		rc = verify_offline(v, r->ledger, r->store, em);
	if (rc == 0)
		rc = fsck_files_look(v, r, em);
	removed = idx_remove(r->vio, IDX_REBUILD_NAME);
	if (rc == 0)
		rc = removed;
	v->report.damaged += differences;
	return rc;
}

/* Repairs, and looks at everything again. */
static int repair(struct verify *v, const char *path, bool accept_loss,
		  const struct opt_texts *from, struct errmsg *em)
{
	struct fsck_repair *x = calloc(1, sizeof(*x));
	int rc = x ? 0 : -ENOMEM;

	if (!x)
		return rc;
	x->text = v->format == OPT_AS_TEXT;
	x->accept_loss = accept_loss;
	rc = fsck_repair_run(x, path, from, em);
	buf_add(&v->repairs, x->json.p ? (const char *)x->json.p : "",
		x->json.n);
	fsck_repair_release(x);
	free(x);
	v->deep = true;
	return rc;
}

int cmd_fsck(int argc, char **argv)
{
	struct verify v = { .format = OPT_AS_TEXT, .fsck = true };
	struct opt_texts from = { .n = 0 };
	bool mend = false, accept_loss = false;
	const struct opt options[] = {
		{ 0, "deep", OPT_FLAG, &v.deep, NULL,
		  "also every byte of every chunk, and what nothing names" },
		{ 0, "repair", OPT_FLAG, &mend, NULL,
		  "put right what can be, then check all of it" },
		{ 0, "from", OPT_EACH, &from, "REPLICA",
		  "--repair: a replica that the log does not name" },
		{ 0, "accept-loss", OPT_FLAG, &accept_loss, NULL,
		  "--repair: go on without what was synced and is gone" },
		OPT_FORMAT(&v.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int status = opt_parse(options, &argc, &argv, 1, 1), rc = 0;

	if (status != OPT_GO)
		return status;
	if (from.n && !mend)
		return opt_misuse("fsck", "--from goes with --repair");
	if (accept_loss && !mend)
		return opt_misuse("fsck", "--accept-loss goes with --repair");
	if (mend)
		rc = repair(&v, argv[0], accept_loss, &from, &em);
	if (rc < 0) {
		verify_release(&v);
		return opt_fail("fsck", rc, &em);
	}
	rc = reader_open(&r, argv[0], NULL,
			 READER_OFFLINE | (v.deep ? READER_STORE : 0), &em);
	if (rc == 0) {
		rc = fsck_lost_look(r.place.store, r.vio, r.ledger, &em);
		if (rc == 0)
			rc = check(&v, &r, &em);
		reader_close(&r);
	}
	status = rc < 0 ? opt_fail("fsck", rc, &em) : verify_print(&v);
	if (rc == 0 && v.format == OPT_AS_TEXT && v.report.unneeded)
		printf("space     %llu chunks are named by no entry (a crash "
		       "leaves such)\n",
		       (unsigned long long)v.report.unneeded);
	verify_release(&v);
	return status;
}

int cmd_reindex(int argc, char **argv)
{
	const struct opt options[] = { OPT_END };
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	uint64_t seals = 0;
	int status = opt_parse(options, &argc, &argv, 1, 1), rc;

	if (status != OPT_GO)
		return status;
	rc = reader_open(&r, argv[0], NULL, READER_OFFLINE, &em);
	if (rc == 0) {
		rc = fsck_lost_look(r.place.store, r.vio, r.ledger, &em);
		if (rc == 0)
			rc = rebuild(&r, &em);
		if (rc == 0)
			rc = idx_replace(r.vio, &em);
		seals = ledger_size(r.ledger);
		reader_close(&r);
	}
	if (rc < 0)
		return opt_fail("reindex", rc, &em);
	printf("The index was made anew from the %llu seals of the log.\n",
	       (unsigned long long)seals);
	return 0;
}
