/*
 * gc_log.c - what the log says is needed, whatever the index says.
 *
 * An index row is a hint: one that is damaged, or missing, must not cost a
 * chunk.  So gc marks what the index names, which knows of saves, snapshots
 * and dry runs, and what the log names and no later entry lets go
 * (fsck_want.h).  A chunk goes when neither needs it.
 *
 * The log is read twice: first its cores, to know how many inodes there are
 * and so how many parts fit the memory, then from its end, each record
 * verified.  A record that cannot be read ends the run.
 *
 * One thread.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/err.h"
#include "fs/upkeep/gc_int.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

static int count(struct fsck_wants *w, const struct ledger_record *r)
{
	struct breader in;

	breader_init(&in, r->bytes, r->len);
	for (uint32_t i = 0; i < r->count; i++) {
		uint32_t n = breader_u32(&in);
		const uint8_t *p = breader_borrow(&in, n);
		struct entry_view view;
		int rc = p ? entry_decode(&view, p, n) : -ERR_CORRUPT;

		if (rc < 0)
			return rc;
		fsck_want_count(w, &view.core,
				view.state == ENTRY_CLEAR ? view.body_n : 0);
	}
	return 0;
}

static int tell(struct fsck_wants *w, const struct ledger_record *r)
{
	int rc = 0;

	for (uint32_t i = r->count; rc == 0 && i-- > 0;) {
		struct entry_view view;
		const uint8_t *p = NULL;
		struct entry e;
		uint32_t n = 0;

		rc = ledger_record_entry(r, i, &p, &n);
		if (rc == 0)
			rc = entry_decode(&view, p, n);
		if (rc < 0 || !fsck_want_kind(view.core.kind))
			continue;
		rc = entry_open_view(&e, &view, NULL);
		if (rc == 0)
			rc = fsck_want_entry(w, &e, ENTRY_NO(r->seal, i));
	}
	return rc;
}

static int count_all(struct gc *g, struct fsck_wants *w, uint64_t seals,
		     uint64_t *out_bad)
{
	int rc = 0;

	for (uint64_t seal = 0; rc == 0 && seal < seals; seal++) {
		struct ledger_record r;

		*out_bad = seal;
		rc = ledger_read_again(g->core->ledger, &r, seal);
		if (rc < 0)
			break;
		rc = count(w, &r);
		ledger_record_release(&r);
		if (rc == 0)
			rc = gc_tick(g, g->done, g->all);
	}
	return rc;
}

static int tell_all(struct gc *g, struct fsck_wants *w, uint64_t seals,
		    uint64_t *out_bad)
{
	int rc = 0;

	for (uint64_t seal = seals; rc == 0 && seal-- > 0;) {
		struct ledger_record r;

		*out_bad = seal;
		rc = ledger_read(g->core->ledger, &r, seal);
		if (rc < 0)
			break;
		rc = tell(w, &r);
		ledger_record_release(&r);
		if (rc == 0)
			rc = gc_tick(g, g->done, g->all);
	}
	return rc;
}

int gc_log_each(struct gc *g, fsck_want_fn *fn, void *ctx, struct errmsg *em)
{
	struct fsck_wants w = { .fn = fn, .ctx = ctx };
	uint64_t seals = ledger_size(g->core->ledger), bad = 0, parts = 1;
	int rc = count_all(g, &w, seals, &bad);

	if (rc == 0)
		parts = fsck_want_parts(&w);
	for (uint64_t i = 0; rc == 0 && i < parts; i++) {
		fsck_want_part(&w, i);
		rc = tell_all(g, &w, seals, &bad);
	}
	fsck_want_release(&w);
	if (rc == 0 || rc == -ECANCELED || rc == -ENOMEM)
		return rc;
	return errmsg_set(em, rc,
			  "what the entries of seal %" PRIu64
			  " need cannot be read, so nothing is taken: %s",
			  bad, err_text(rc));
}
