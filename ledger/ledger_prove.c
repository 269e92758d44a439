/*
 * ledger_prove.c - what others take away: proofs, tiles, the log as files.
 *
 * Everything here speaks of the checkpoint that is published: seals after it
 * are not shown.  Partial tiles are made when they are asked for, any width
 * up to what the checkpoint covers.  Any thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/vio.h"
#include "ledger/entry.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/note.h"
#include "ledger/proof.h"
#include "ledger/rules.h"
#include "ledger/seal.h"
#include "ledger/tile.h"
#include "ledger/tile_store.h"

/* The published note and what it says. */
static int read_note(struct ledger *l, struct buf *out, struct checkpoint *c,
		     struct errmsg *em)
{
	size_t start = out->n;
	struct note n;
	int rc = vio_read_file(l->vio, out, LEDGER_CHECKPOINT, CHECKPOINT_MAX);

	if (rc == 0)
		rc = note_parse(&n, out->p + start, out->n - start);
	if (rc == 0)
		rc = checkpoint_parse(c, n.text, n.text_n);
	if (rc == 0 && c->size > ledger_size(l))
		rc = -ERR_CORRUPT;
	if (rc < 0)
		errmsg_set(em, rc, "%s: %s", LEDGER_CHECKPOINT, err_text(rc));
	return rc;
}

/* --- proofs --- */

/* What a proof is put together from. */
struct making {
	struct ledger *l;
	uint64_t seal_no;
	struct buf note, seal, entry;
	struct buf refs[PROOF_REFS_MAX];
	uint8_t cert[CERT_SIZE];
	struct proof proof;
	struct checkpoint checkpoint;
};

static int add_cert(struct making *m)
{
	struct ledger *l = m->l;
	const struct rules_key *k;
	struct seal s;
	int rc = seal_decode(&s, m->seal.p, m->seal.n);

	if (rc < 0)
		return rc;
	mutex_lock(&l->settle_mu);
	rc = ledger_rules_advance(l, m->seal_no + 1, NULL);
	k = rc == 0 ? rules_key_find(l->rules, s.key_id) : NULL;
	if (k != NULL) {
		memcpy(m->cert, k->cert, CERT_SIZE);
		m->proof.cert = m->cert;
	}
	mutex_unlock(&l->settle_mu);
	return rc;
}

static int add_entry(struct making *m, struct buf *out, uint64_t entry_no,
		     struct errmsg *em)
{
	struct buf stored = BUF_INIT;
	int rc = ledger_read_entry(m->l, &stored, NULL, entry_no);

	if (rc == 0)
		rc = proof_entry_add(out, stored.p, stored.n);
	buf_release(&stored);
	if (rc == -ERR_FORMAT)
		errmsg_set(
			em, rc,
			"entry %llu.%u is redacted or encrypted: it cannot be "
			"shown",
			(unsigned long long)ENTRY_NO_SEAL(entry_no),
			ENTRY_NO_POS(entry_no));
	return rc;
}

static int add_refs(struct making *m, const uint64_t *refs, size_t n,
		    struct errmsg *em)
{
	if (n > PROOF_REFS_MAX)
		return errmsg_set(
			em, -ERR_LIMIT,
			"a proof can carry %d further entries, not %zu",
			PROOF_REFS_MAX, n);
	for (size_t i = 0; i < n; i++) {
		int rc = add_entry(m, &m->refs[i], refs[i], em);

		if (rc < 0)
			return rc;
		m->proof.refs[i] =
			(struct proof_entry){ m->refs[i].p, m->refs[i].n };
	}
	m->proof.n_refs = (unsigned)n;
	return 0;
}

static int add_inclusion(struct making *m)
{
	struct tile_reader *r = NULL;
	int rc = tile_reader_new(&r, m->checkpoint.size, tile_store_get,
				 m->l->tiles);

	if (rc == 0)
		rc = merkle_inclusion(&m->proof.inclusion, m->seal_no,
				      m->checkpoint.size, tile_reader_read, r);
	tile_reader_free(r);
	return rc;
}

static int make_proof(struct making *m, struct buf *out, uint64_t entry_no,
		      struct errmsg *em)
{
	struct proof *p = &m->proof;
	int rc;

	rc = ledger_read_path(m->l, &p->batch_path, &m->seal, entry_no);
	if (rc == -ENOENT)
		return errmsg_set(em, rc, "there is no such entry");
	p->seal_index = m->seal_no;
	p->seal = m->seal.p;
	p->seal_n = m->seal.n;
	p->position = ENTRY_NO_POS(entry_no);
	if (rc == 0)
		rc = add_entry(m, &m->entry, entry_no, em);
	p->entry = (struct proof_entry){ m->entry.p, m->entry.n };
	if (rc == 0)
		rc = add_cert(m);
	if (rc == 0)
		rc = add_inclusion(m);
	p->checkpoint = (const char *)m->note.p;
	p->checkpoint_n = m->note.n;
	proof_trim(p);
	return rc < 0 ? rc : proof_format(out, p);
}

int ledger_prove(struct ledger *l, struct buf *out, uint64_t entry_no,
		 const uint64_t *refs, size_t n_refs, struct errmsg *em)
{
	struct making *m = calloc(1, sizeof(*m));
	uint64_t seal = ENTRY_NO_SEAL(entry_no);
	int rc;

	if (m == NULL)
		return -ENOMEM;
	m->l = l;
	rc = read_note(l, &m->note, &m->checkpoint, em);
	if (rc == 0 && seal >= m->checkpoint.size)
		rc = seal < ledger_size(l) ?
			     errmsg_set(em, -ERR_AGAIN,
					"no checkpoint covers the entry yet") :
			     errmsg_set(em, -ENOENT, "there is no such entry");
	m->seal_no = seal;
	if (rc == 0)
		rc = add_refs(m, refs, n_refs, em);
	if (rc == 0)
		rc = make_proof(m, out, entry_no, em);
	buf_release(&m->note);
	buf_release(&m->seal);
	buf_release(&m->entry);
	for (int i = 0; i < PROOF_REFS_MAX; i++)
		buf_release(&m->refs[i]);
	free(m);
	return rc < 0 ? errmsg_set(em, rc, "proof: %s", err_text(rc)) : 0;
}

/* --- tiles --- */

/* A bundle whose file is missing, from the seals themselves. */
static int make_bundle(struct ledger *l, struct buf *out, const struct tile *t)
{
	struct buf scratch = BUF_INIT;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < t->width; i++) {
		struct frame f;

		rc = ledger_load(l, &scratch, &f, t->n * TILE_WIDTH + i);
		if (rc == 0)
			rc = tile_bundle_add(out, f.seal, f.seal_n);
	}
	buf_release(&scratch);
	return rc;
}

static int get_tile(struct ledger *l, struct buf *out, const struct tile *t)
{
	int rc;

	if (t->level != TILE_ENTRIES)
		return tile_store_get(l->tiles, out, t);
	rc = tile_store_bundle(l->tiles, out, t);
	return rc == -ENOENT ? make_bundle(l, out, t) : rc;
}

int ledger_tile_read(struct ledger *l, struct buf *out, const char *path)
{
	struct checkpoint c;
	struct tile t;
	uint64_t count;

	if (strcmp(path, "checkpoint") == 0)
		return read_note(l, out, &c, NULL);
	if (tile_path_parse(&t, path, strlen(path)) < 0)
		return -ENOENT;
	count = tile_level_count(t.level, ledger_checkpointed(l));
	if (t.n > count / TILE_WIDTH || t.n * TILE_WIDTH + t.width > count)
		return -ENOENT;
	return get_tile(l, out, &t);
}

/* --- export --- */

struct exporting {
	struct ledger *l;
	struct vio *target;
	struct buf bytes;
};

static int put_file(struct vio *v, const char *path, const struct buf *b)
{
	char dir[TILE_PATH_MAX];
	char *slash;
	int rc = atomic_file_write(v, path, b->p, b->n, 0);

	if (rc != -ENOENT)
		return rc;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return rc;
	*slash = '\0';
	rc = vio_mkdirs(v, dir);
	return rc < 0 ? rc : atomic_file_write(v, path, b->p, b->n, 0);
}

static int export_tile(void *ctx, const struct tile *t)
{
	struct exporting *x = ctx;
	char path[TILE_PATH_MAX];
	int rc;

	buf_clear(&x->bytes);
	rc = get_tile(x->l, &x->bytes, t);
	if (rc < 0)
		return rc;
	tile_path(path, t);
	return put_file(x->target, path, &x->bytes);
}

int ledger_export(struct ledger *l, struct vio *target, struct errmsg *em)
{
	struct exporting x = { .l = l, .target = target };
	struct buf note = BUF_INIT;
	struct checkpoint c;
	int rc = read_note(l, &note, &c, em);

	if (rc == 0)
		rc = tile_walk(0, c.size, export_tile, &x);
	if (rc == 0)
		rc = put_file(target, "checkpoint", &note);
	buf_release(&x.bytes);
	buf_release(&note);
	return rc < 0 ? errmsg_set(em, rc, "export: %s", err_text(rc)) : 0;
}
