/*
 * verbs_import.c - provenance that leaves with a file's bytes, and comes in
 * with them:
 *
 *   provenance {files: [{path, sha256}]} -> proofs: [{proof} | {why}]
 *   import     {path, proof, trust | claims} -> trust, version
 *
 * What an IMPORT says was checked here, against the bytes as they lie in the
 * volume: who asks cannot enter anything else.  trust is a trust file that who
 * imports vouches for; claims is one that came with the proof, and then the
 * entry says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/proof_make.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "fs/core/core_import.h"
#include "fs/daemon/control.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry_import.h"
#include "ledger/proof.h"
#include "ledger/trust.h"
#include "mount-tools/verbs_int.h"

enum { FILES_MAX = 256, OLD_VERSIONS = 256, ANSWER_MAX = 16 << 20 };

struct import {
	struct core *core;
	struct trust trust;
	struct proof proof;
	struct proof_report report;
	struct entry_import entry;
	struct buf items;
	struct idx_version v;
	uint64_t ino;
};

static struct entry_str cut(struct entry_str s, size_t max)
{
	if (s.n > max)
		s.n = max;
	return s;
}

static void fill_items(struct import *m)
{
	const struct proof_report *r = &m->report;
	struct entry_import *e = &m->entry;

	for (unsigned i = 0; i < r->n_inputs; i++) {
		const struct proof_input *in = &r->inputs[i];
		struct entry_imported item = {
			.strength = in->strength,
			.version = in->version,
			.path = cut(in->path, ENTRY_IMPORT_TEXT_MAX),
		};

		if (e->n == ENTRY_IMPORT_ITEMS_MAX) {
			e->left_out++;
			continue;
		}
		if (in->has_sha256)
			item.sha256 = in->sha256;
		entry_import_put(&m->items, &item);
		e->n++;
	}
	e->left_out += r->n_inputs_left_out;
	e->raw = m->items.p;
	e->raw_n = m->items.n;
}

static void fill(struct import *m, bool trusted)
{
	const struct proof_report *r = &m->report;

	m->entry = (struct entry_import){
		.trust = trusted ? ENTRY_IMPORT_VERIFIED : ENTRY_IMPORT_CLAIMED,
		.attribution = r->version.attribution,
		.seal = r->seal_index,
		.source = r->version_leaf,
		.source_version = r->version_core.version,
		.wall_ns = r->version_core.wall_ns,
		.sha256 = r->sha256,
		.origin = ENTRY_STR(r->checkpoint.origin),
		.path = r->path,
	};
	memcpy(m->entry.volume, r->seal.volume_id, 16);
	memcpy(m->entry.key, r->seal.key_id, 16);
	if (r->has_actor) {
		m->entry.exe = r->actor.exe;
		m->entry.argv = r->actor.argv;
	}
	fill_items(m);
}

/* Reads what came, and checks it against the bytes that are here. */
static int check(struct import *m, const struct json *request,
		 const char *trust, struct errmsg *em)
{
	const char *proof = json_get_str(request, "proof");
	struct idx_reader *r = NULL;
	struct proof_file file;
	int rc = proof ? 0 : -ERR_USAGE;

	if (rc == 0)
		rc = trust_parse(&m->trust, trust, strlen(trust), em);
	if (rc == 0)
		rc = proof_parse(&m->proof, proof, strlen(proof), em);
	if (rc == 0)
		rc = verbs_find(m->core, &r, &m->ino, request, em);
	if (rc == 0)
		rc = idx_version_at(r, &m->v, m->ino, IDX_NOW);
	core_reader_give(m->core, r);
	if (rc == 0)
		rc = errmsg_set(em, -ENODATA, "it has no version");
	if (rc < 0)
		return rc;
	file.size = m->v.size;
	rc = core_digest(m->core, m->ino, &file.sha256);
	if (rc == 0)
		rc = proof_check(&m->report, &m->proof, &m->trust, &file, em);
	if (rc == 0 && !m->report.has_version)
		rc = errmsg_set(em, -ERR_PROOF, "the proof is of no version");
	return rc;
}

int verbs_import(void *ctx, const struct json *request, const struct cred *peer,
		 struct buf *out, struct errmsg *em)
{
	const char *trust = json_get_str(request, "trust");
	const char *claims = json_get_str(request, "claims");
	struct import *m = calloc(1, sizeof(*m));
	int rc = m ? 0 : -ENOMEM;

	if (rc == 0 && !trust && !claims)
		rc = errmsg_set(em, -ERR_USAGE, "whose keys?");
	if (rc == 0) {
		m->core = ctx;
		rc = check(m, request, trust ? trust : claims, em);
	}
	if (rc == 0) {
		fill(m, trust != NULL);
		rc = m->items.bad ? -ENOMEM :
				    core_import(m->core, peer, m->ino,
						m->v.version, &m->entry);
		if (rc == -EBUSY)
			rc = errmsg_set(em, rc, "it was written meanwhile");
	}
	if (rc == 0) {
		control_add_str(out, "trust",
				entry_import_trust_word(m->entry.trust));
		control_add_u64(out, "version", m->v.version);
	}
	if (m) {
		proof_release(&m->proof);
		buf_release(&m->items);
		free(m);
	}
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}
