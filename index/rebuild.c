/*
 * rebuild.c - see rebuild.h.
 *
 * Invariant: the index is applied only up to what is durable in the log, and
 * the log root stored with its position is compared when it is opened, so an
 * index that ran ahead of a torn tail is never believed.
 */
#include "index/rebuild.h"

#include <errno.h>

#include "base/digest.h"
#include "base/err.h"
#include "index/idx.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "ledger/seal.h"

enum { ENTRIES_PER_TRANSACTION = 16384 };

static int apply_record(struct idx *x, const struct ledger_record *rec)
{
	struct seal s;
	int rc = seal_decode(&s, rec->seal_bytes, rec->seal_len);

	if (rc >= 0)
		rc = idx_seal(x, rec->seal, s.mount_no, s.wall_ns, rec->count);
	for (uint32_t i = 0; i < rec->count && rc >= 0; i++) {
		const uint8_t *p = NULL;
		uint32_t n = 0;
		struct entry e;

		rc = ledger_record_entry(rec, i, &p, &n);
		if (rc >= 0)
			rc = entry_open(&e, NULL, p, n, NULL);
		if (rc >= 0)
			rc = idx_apply(x, &e, &rec->leaves[i],
				       IDX_ENTRY_NO(rec->seal, i));
	}
	return rc < 0 ? rc : 0;
}

/*
 * One transaction of whole batches from *at on.  *out_log: the log could not
 * be read, the index is not to blame.
 */
static int apply_some(struct idx *x, struct ledger *l, uint64_t *at,
		      uint64_t size, bool *out_log)
{
	uint64_t seal = *at;
	uint32_t n = 0;
	struct digest root;
	int rc = idx_begin(x);

	while (rc >= 0 && seal < size && n < ENTRIES_PER_TRANSACTION) {
		struct ledger_record rec;

		rc = ledger_read(l, &rec, seal);
		if (rc < 0) {
			*out_log = true;
			break;
		}
		rc = apply_record(x, &rec);
		n += rec.count;
		ledger_record_release(&rec);
		seal++;
	}
	if (rc >= 0) {
		rc = ledger_root_at(l, seal, &root);
		*out_log = rc < 0;
	}
	if (rc >= 0)
		rc = idx_end(x, seal, &root);
	if (rc < 0) {
		idx_abort(x);
		return rc;
	}
	*at = seal;
	return 0;
}

static int catch_up(struct idx *x, const struct rebuild_options *o, uint64_t at,
		    bool *out_log, struct errmsg *em)
{
	uint64_t size = ledger_size(o->ledger);
	int rc = 0;

	while (at < size && !rc) {
		rc = apply_some(x, o->ledger, &at, size, out_log);
		if (!rc && o->progress)
			o->progress(o->ctx, at, size);
	}
	if (rc < 0)
		errmsg_set(em, rc, "index: %s from batch %llu on: %s",
			   *out_log ? "the log cannot be read" :
				      "the log cannot be applied",
			   (unsigned long long)at, err_text(rc));
	return rc;
}

/* 1: the index belongs to this log and is not ahead of it. */
static int fits(struct idx *x, struct ledger *l, uint64_t *out_at)
{
	struct digest root, want;
	int rc = idx_position(x, out_at, &root);

	if (rc < 0)
		return rc;
	if (*out_at > ledger_size(l) && ledger_was_in_use(l))
		return -ERR_LOST;
	if (*out_at > ledger_size(l))
		return 0;
	if (*out_at == 0)
		return 1;
	rc = ledger_root_at(l, *out_at, &want);
	return rc < 0 ? rc : digest_eq(&root, &want);
}

static struct idx_options options_of(const struct rebuild_options *o)
{
	return (struct idx_options){
		.vio = o->vio,
		.dir = o->dir,
		.name = o->name,
		.read_only = o->read_only,
	};
}

int rebuild_anew(struct idx **out, const struct rebuild_options *o,
		 struct errmsg *em)
{
	struct idx_options io = options_of(o);
	struct idx *x = NULL;
	bool log = false;
	int rc = idx_remove(o->vio, o->name);

	if (rc >= 0)
		rc = idx_open(&x, &io, em);
	if (rc >= 0)
		rc = catch_up(x, o, 0, &log, em);
	if (rc < 0) {
		idx_close(x);
		return errmsg_set(em, rc, "index: %s", err_text(rc));
	}
	*out = x;
	return 0;
}

/* Would an index made anew do better? */
static bool is_hopeless(int rc)
{
	switch (rc) {
	case -ENOSPC:
	case -ENOMEM:
	case -EROFS:
	case -EACCES:
	case -EBUSY:	 /* somebody has it open */
	case -ERR_NEWER: /* an entry that this program does not know */
		return true;
	default:
		return false;
	}
}

int rebuild_catch_up(struct idx **out, const struct rebuild_options *o,
		     struct errmsg *em)
{
	struct idx_options io = options_of(o);
	struct errmsg words = ERRMSG_INIT;
	struct idx *x = NULL;
	bool log = false, opened;
	uint64_t at = 0;
	int rc = idx_open(&x, &io, &words);

	opened = rc >= 0;
	if (rc >= 0)
		rc = fits(x, o->ledger, &at);
	if (rc > 0)
		rc = o->read_only ? 0 : catch_up(x, o, at, &log, &words);
	else if (rc == 0)
		rc = errmsg_set(&words, -ERR_CORRUPT,
				"index: it is not of this log");
	if (rc >= 0) {
		*out = x;
		return 0;
	}
	idx_close(x);
	if (rc == -ERR_LOST)
		return ledger_tell_ahead(o->ledger, at, em);
	/* An index of a newer format is a cache like any other. */
	if (o->read_only || log || (opened && is_hopeless(rc)) ||
	    (rc != -ERR_NEWER && is_hopeless(rc)))
		return errmsg_set(em, rc, "%s", errmsg_text(&words, rc));
	return rebuild_anew(out, o, em);
}
