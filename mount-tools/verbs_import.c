/*
 * verbs_import.c - provenance that comes in with a file's bytes:
 *
 *   import {files: [{path, proof}], trust | claims} -> entered, known
 *
 * What an IMPORT says was checked here, against the bytes as they lie in the
 * volume: who asks cannot enter anything else.  trust is a trust file that who
 * imports vouches for; claims is one that came with the proof, and then the
 * entry says so.  What the log says already is not entered once more.
 *
 * All plain digests are made first, so that they are one batch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/imported.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/core/core.h"
#include "fs/core/core_import.h"
#include "fs/daemon/control.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/entry_import.h"
#include "ledger/proof.h"
#include "ledger/trust.h"
#include "mount-tools/verbs_int.h"

enum { FILES_MAX = 256 };

struct import {
	struct core *core;
	const struct cred *peer;
	struct trust trust;
	bool trusted;
	uint64_t entered, known;

	struct proof proof; /* all of one file: */
	struct proof_report report;
	struct entry_import entry;
	struct buf items;
};

/* A file as it lies here. */
struct here {
	uint64_t ino;
	struct idx_version v;
	struct digest sha256;
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

static void fill(struct import *m)
{
	const struct proof_report *r = &m->report;

	m->entry = (struct entry_import){
		.trust = m->trusted ? ENTRY_IMPORT_VERIFIED :
				      ENTRY_IMPORT_CLAIMED,
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

/* Checks what came against the bytes that are here. */
static int check(struct import *m, const struct here *h, const char *text,
		 struct errmsg *em)
{
	const struct proof_file file = { .size = h->v.size,
					 .sha256 = h->sha256 };
	int rc = text ? proof_parse(&m->proof, text, strlen(text), em) :
			-ERR_USAGE;

	if (rc == 0)
		rc = proof_check(&m->report, &m->proof, &m->trust, &file, em);
	if (rc == 0 && !m->report.has_version)
		rc = errmsg_set(em, -ERR_PROOF, "the proof is of no version");
	return rc;
}

/* 1: the log says so already, and is as sure. */
static int is_known(struct import *m, const struct here *h)
{
	struct idx_reader *r = NULL;
	struct buf stored = BUF_INIT;
	struct entry e;
	int rc = core_reader_take(m->core, &r);

	if (rc == 0)
		rc = imported_find(m->core, r, &h->v, &stored, &e);
	if (rc > 0)
		rc = digest_eq(&e.body.import.source, &m->entry.source) &&
		     (e.body.import.trust == m->entry.trust ||
		      e.body.import.trust == ENTRY_IMPORT_VERIFIED);
	core_reader_give(m->core, r);
	buf_release(&stored);
	return rc;
}

static int import_one(struct import *m, const struct here *h,
		      const struct json *file, struct errmsg *em)
{
	int rc = check(m, h, json_get_str(file, "proof"), em);

	if (rc == 0) {
		fill(m);
		rc = m->items.bad ? -ENOMEM : is_known(m, h);
	}
	m->known += rc > 0;
	if (rc == 0) {
		rc = core_import(m->core, m->peer, h->ino, h->v.version,
				 &m->entry);
		m->entered += rc == 0;
		if (rc == -EBUSY)
			rc = errmsg_set(em, rc, "it was written meanwhile");
	}
	proof_release(&m->proof);
	memset(&m->proof, 0, sizeof(m->proof));
	buf_clear(&m->items);
	return rc < 0 ? rc : 0;
}

static int find(struct import *m, struct here *h, const struct json *file,
		struct errmsg *em)
{
	struct idx_reader *r = NULL;
	int rc = verbs_find(m->core, &r, &h->ino, file, em);

	if (rc == 0)
		rc = idx_version_at(r, &h->v, h->ino, IDX_NOW);
	core_reader_give(m->core, r);
	if (rc == 0)
		return errmsg_set(em, -ENODATA, "it has no version");
	return rc < 0 ? rc : 0;
}

static int import_all(struct import *m, struct here *v, const struct json *list,
		      const struct json **out_at, struct errmsg *em)
{
	struct here *h = v;
	int rc = core_make_version(m->core, 0, ENTRY_REASON_DEMAND);

	for (const struct json *f = list->first; f && rc == 0; f = f->next) {
		*out_at = f;
		rc = find(m, h++, f, em);
	}
	h = v;
	for (const struct json *f = list->first; f && rc == 0;
	     f = f->next, h++) {
		*out_at = f;
		rc = core_digest(m->core, h->ino, &h->sha256);
	}
	if (rc == 0)
		rc = core_settle_index(m->core);
	h = v;
	for (const struct json *f = list->first; f && rc == 0; f = f->next) {
		*out_at = f;
		rc = import_one(m, h++, f, em);
	}
	return rc;
}

int verbs_import(void *ctx, const struct json *request, const struct cred *peer,
		 struct buf *out, struct errmsg *em)
{
	const char *trust = json_get_str(request, "trust");
	const char *claims = json_get_str(request, "claims");
	const struct json *list = json_get(request, "files"), *at = NULL;
	autofree struct import *m = calloc(1, sizeof(*m));
	autofree struct here *v = NULL;
	struct errmsg why = ERRMSG_INIT;
	int rc;

	if (!list || list->type != JSON_ARRAY || list->count > FILES_MAX)
		return errmsg_set(em, -ERR_USAGE, "which files?");
	if (!trust && !claims)
		return errmsg_set(em, -ERR_USAGE, "whose keys?");
	v = calloc(list->count + 1, sizeof(*v));
	if (!m || !v)
		return -ENOMEM;
	m->core = ctx;
	m->peer = peer;
	m->trusted = trust != NULL;
	trust = trust ? trust : claims;
	rc = trust_parse(&m->trust, trust, strlen(trust), &why);
	if (rc == 0)
		rc = import_all(m, v, list, &at, &why);
	buf_release(&m->items);
	if (rc < 0 && at && json_get_str(at, "path"))
		return errmsg_set(em, rc, "%s: %s", json_get_str(at, "path"),
				  errmsg_text(&why, rc));
	if (rc < 0)
		return errmsg_set(em, rc, "%s", errmsg_text(&why, rc));
	control_add_u64(out, "entered", m->entered);
	control_add_u64(out, "known", m->known);
	return 0;
}
