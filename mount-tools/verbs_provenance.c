/*
 * verbs_provenance.c - provenance that leaves with a file's bytes:
 *
 *   provenance {files: [{path, sha256}], at?} -> proofs: [{proof} | {why}]
 *
 * Of each file the version with these bytes, as of entry `at` where that is
 * said.  Plain digests that are owed are made for all of them first, and
 * entered in one batch that one checkpoint covers: one by one each took a
 * seal, a checkpoint and their flushes (15,466 files: 4.5 minutes).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/proof_make.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "mount-tools/verbs_int.h"

enum { FILES_MAX = 256, OLD_VERSIONS = 256, ANSWER_MAX = 16 << 20 };

struct wanted {
	struct digest sha256;
	struct idx_version v; /* with these bytes, else the newest by then */
	int rc;
	struct errmsg why;
};

static bool fits(const struct wanted *w)
{
	return w->v.has_sha256 && digest_eq(&w->v.sha256, &w->sha256);
}

static int old_fits(void *ctx, const struct idx_version *v)
{
	struct wanted *w = ctx;
	const struct wanted old = { .sha256 = w->sha256, .v = *v };

	if (fits(&old))
		w->v = *v;
	return 0;
}

/* Else one of the last before it, whose digest is known. */
static int look_at_old(struct idx_reader *r, struct wanted *w)
{
	uint64_t newest = w->v.version;

	return idx_versions(r, w->v.ino,
			    newest > OLD_VERSIONS ? newest - OLD_VERSIONS : 1,
			    OLD_VERSIONS, old_fits, w);
}

static int find(struct core *c, struct wanted *w, const struct json *file,
		uint64_t at, struct errmsg *em)
{
	const char *hex = json_get_str(file, "sha256");
	struct idx_reader *r = NULL;
	uint64_t ino = 0;
	int rc = hex ? digest_from_hex(&w->sha256, hex, strlen(hex)) :
		       -ERR_USAGE;

	if (rc == 0)
		rc = verbs_find_at(c, &r, &ino, file, at, em);
	if (rc == 0)
		rc = idx_version_at(r, &w->v, ino, at);
	if (rc == 0)
		rc = -ENODATA;
	core_reader_give(c, r);
	return rc < 0 ? rc : 0;
}

/* Of the version as it was found, whether that is the newest or not. */
static int make_digest(struct core *c, const struct wanted *w, uint64_t at)
{
	struct digest sha256;

	return at == IDX_NOW ? core_digest(c, w->v.ino, &sha256) :
			       core_digest_at(c, w->v.no);
}

/* All of them, and the digests that are owed, which then are in the index. */
static int find_all(struct core *c, struct wanted *v, const struct json *list,
		    uint64_t at)
{
	struct wanted *w = v;
	bool made = false;
	int rc = at == IDX_NOW ? core_make_version(c, 0, ENTRY_REASON_DEMAND) :
				 0;

	for (const struct json *f = list->first; f && rc == 0; f = f->next, w++)
		w->rc = find(c, w, f, at, &w->why);
	for (uint64_t i = 0; i < list->count && rc == 0; i++) {
		w = &v[i];
		if (w->rc < 0 || w->v.has_sha256)
			continue;
		w->rc = make_digest(c, w, at);
		made |= w->rc == 0;
	}
	return rc == 0 && made ? core_settle_index(c) : rc;
}

static int prove_one(struct core *c, struct wanted *w, uint64_t at,
		     struct buf *proof, struct errmsg *em)
{
	struct idx_reader *r = NULL;
	int rc = w->rc;

	if (rc == 0 &&
	    !fits(w)) { /* its digest is known since, or it changed */
		rc = core_reader_take(c, &r);
		if (rc == 0)
			rc = idx_version_at(r, &w->v, w->v.ino, at);
		if (rc > 0 && !fits(w))
			rc = look_at_old(r, w);
		core_reader_give(c, r);
		rc = rc < 0 ? rc : fits(w) ? 0 : -ENODATA;
	}
	if (rc == -ENOENT && !em->text[0])
		return errmsg_set(em, rc,
				  "the file is no more, and nobody had a plain "
				  "digest made of this version");
	if (rc == -ENODATA && !em->text[0])
		return errmsg_set(em, rc,
				  "no version with these bytes has a plain "
				  "digest in the log");
	return rc == 0 ? proof_make(c, proof, w->v.ino, w->v.no, em) : rc;
}

static void put(struct buf *out, const char *key, const char *text)
{
	buf_addf(out, "%s{\"%s\":", out->p[out->n - 1] == '[' ? "" : ",", key);
	text_json_string(out, text, strlen(text));
	buf_addc(out, '}');
}

int verbs_provenance(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em)
{
	const struct json *list = json_get(request, "files");
	struct core *c = ctx;
	struct buf proof = BUF_INIT;
	autofree struct wanted *v = NULL;
	uint64_t at = IDX_NOW;
	int rc;

	(void)peer;
	(void)!json_get_u64(request, "at", &at);
	if (!list || list->type != JSON_ARRAY || list->count > FILES_MAX)
		return errmsg_set(em, -ERR_USAGE, "which files?");
	v = calloc(list->count + 1, sizeof(*v));
	rc = v ? find_all(c, v, list, at) : -ENOMEM;
	buf_adds(out, "\"proofs\":[");
	/* what the answer has no room for is asked for again */
	for (uint64_t i = 0; i < list->count && rc == 0; i++) {
		struct wanted *w = &v[i];
		int one;

		if (out->bad || out->n > ANSWER_MAX)
			break;
		buf_clear(&proof);
		one = prove_one(c, w, at, &proof, &w->why);
		if (one == -ENOMEM || one == -EIO || one == -ERR_STICKY)
			rc = errmsg_set(em, one, "%s",
					errmsg_text(&w->why, one));
		else if (one == 0)
			put(out, "proof", (char *)proof.p);
		else
			put(out, "why", errmsg_text(&w->why, one));
	}
	buf_addc(out, ']');
	buf_release(&proof);
	return rc < 0 ? rc : out->bad ? -ENOMEM : 0;
}
