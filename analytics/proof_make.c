/*
 * proof_make.c - chooses what goes into a proof.
 *
 * The entry proved is the VERSION when it carries the plain digest, else the
 * DIGEST about it, with the VERSION beside.  Then, as long as there is room:
 * the ACTOR, the chain of READS from the head to its start, and the VERSIONs
 * that those name.  A reader tells what was left out.
 */
#include "analytics/proof_make.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/ledger.h"
#include "ledger/proof.h"

struct refs {
	uint64_t v[PROOF_REFS_MAX];
	size_t n;
	size_t n_needed; /* without the inputs: shown first */
};

static bool add_ref(struct refs *f, uint64_t no)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i] == no)
			return true;
	if (f->n == PROOF_REFS_MAX)
		return false;
	f->v[f->n++] = no;
	return true;
}

static int add_input(void *ctx, const struct idx_read_item *item)
{
	struct refs *f = ctx;

	if (item->target_no)
		return !add_ref(f, item->target_no);
	return 0;
}

static int choose(struct idx_reader *r, const struct idx_version *v,
		  struct refs *f)
{
	struct idx_reads reads;
	int rc = 1;

	if (v->sha256_no != v->no)
		add_ref(f, v->no);
	if (v->actor_no)
		add_ref(f, v->actor_no);
	f->n_needed = f->n;
	for (uint64_t no = v->reads_no; no && rc > 0; no = reads.prev_no) {
		rc = idx_reads(r, &reads, no);
		if (rc <= 0 || !add_ref(f, no))
			break;
	}
	if (rc < 0)
		return rc;
	rc = v->reads_no ? idx_inputs(r, v->reads_no, add_input, f) : 0;
	return rc < 0 ? rc : 0;
}

/* With all, with half of what is not needed ..., with the needed alone. */
static int prove(struct ledger *l, struct buf *out, uint64_t no,
		 const struct refs *f, struct errmsg *em)
{
	size_t n = f->n, start = out->n;

	for (;;) {
		int rc = ledger_prove(l, out, no, f->v, n, em);

		if (rc >= 0 && out->n - start <= PROOF_MAX)
			return 0;
		if ((rc < 0 && rc != -ERR_LIMIT) || n == f->n_needed)
			return rc < 0 ? rc : -ERR_LIMIT;
		out->n = start;
		n = f->n_needed + (n - f->n_needed) / 2;
	}
}

static int load(struct core *c, struct idx_version *v, struct refs *f,
		uint64_t ino, uint64_t no)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	memset(f, 0, sizeof(*f));
	if (rc >= 0)
		rc = idx_version_at(r, v, ino, no);
	if (rc == 0 || (rc > 0 && v->no != no))
		rc = -ENODATA;
	if (rc > 0)
		rc = choose(r, v, f);
	core_reader_give(c, r);
	return rc < 0 ? rc : 0;
}

int proof_make(struct core *c, struct buf *out, uint64_t ino, uint64_t no,
	       struct errmsg *em)
{
	struct ledger *l = core_ledger(c);
	struct idx_version v;
	struct digest sha256;
	struct refs f;
	int rc = load(c, &v, &f, ino, no);

	if (rc >= 0 && !v.has_sha256) {
		rc = core_digest(c, ino, &sha256);
		if (rc >= 0)
			rc = core_settle_index(c);
		if (rc >= 0)
			rc = load(c, &v, &f, ino, no);
		if (rc == -ENOENT || rc == -ESTALE)
			rc = -ENODATA;
	}
	if (rc >= 0 && !v.has_sha256)
		rc = errmsg_set(em, -ENODATA,
				"this version has no plain digest and is not "
				"the newest");
	if (rc >= 0 && IDX_SEAL(v.sha256_no) >= ledger_checkpointed(l))
		rc = ledger_checkpoint(l, em);
	return rc < 0 ? rc : prove(l, out, v.sha256_no, &f, em);
}
