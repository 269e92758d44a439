/*
 * ledger_recover.c - where the log ends, and whether that is true.
 *
 * Writes nothing but tiles that were missing or wrong.  The end is the last
 * whole frame of the WAL, or the end of the journal when the WAL has nothing
 * after it.  A torn record may only be the last thing written: valid bytes
 * behind it, or an end below the last signed size, is damage and is refused
 * (LEDGER.md 2).  The tree is taken up from the tiles at the last signed
 * size, where its root must be the signed one; the rest is appended.
 *
 * A reader beside a running mount may see frames move while it looks: the WAL
 * is read before the journal, so that what moved is seen twice rather than
 * never, and a torn view is looked at again.
 */
#include <string.h>

#include "base/vio.h"
#include "ledger/journal.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/note.h"
#include "ledger/rules.h"
#include "ledger/tile.h"
#include "ledger/tile_store.h"
#include "ledger/trust.h"
#include "ledger/wal.h"

enum { READ_ONLY_TRIES = 5 };

typedef unsigned long long ull_;

/* --- the checkpoint on disk --- */

static bool signed_by_trusted(struct ledger *l, const struct buf *note)
{
	struct buf text = BUF_INIT;
	struct checkpoint c;
	struct trust *t = calloc(1, sizeof(*t));
	bool ok = true; /* the log's own keys are asked later */

	if (t != NULL &&
	    vio_read_file(l->vio, &text, LEDGER_TRUSTED, TRUST_FILE_MAX) == 0 &&
	    trust_parse(t, text.p, text.n, NULL) == 0)
		ok = checkpoint_open(&c, note->p, note->n, t->logs,
				     t->n_logs) == 0;
	buf_release(&text);
	free(t);
	return ok;
}

/* Reads what was signed last; size 0 when there is nothing readable. */
static int read_checkpoint(struct ledger *l, struct buf *note,
			   struct checkpoint *out)
{
	struct note n;
	int rc = vio_read_file(l->vio, note, LEDGER_CHECKPOINT, CHECKPOINT_MAX);

	memset(out, 0, sizeof(*out));
	if (rc == -ENOENT) {
		ledger_note(l, "the checkpoint is missing");
		return 0;
	}
	if (rc < 0 && rc != -ERR_LIMIT)
		return rc;
	if (rc < 0 || note_parse(&n, note->p, note->n) < 0 ||
	    checkpoint_parse(out, n.text, n.text_n) < 0 ||
	    !signed_by_trusted(l, note)) {
		ledger_note(l, "the checkpoint is damaged");
		memset(out, 0, sizeof(*out));
	}
	return 0;
}

/* The log itself says whose signature counts. */
static bool signed_by_log(struct ledger *l, const struct buf *note,
			  const struct checkpoint *c)
{
	struct checkpoint again;

	for (size_t i = 0; i < rules_key_count(l->rules); i++) {
		const struct rules_key *k = rules_key_at(l->rules, i);
		struct note_vkey v;

		if (k->role != KEY_LOG ||
		    note_vkey_make(&v, c->origin, NOTE_ED25519, k->pub) < 0)
			continue;
		if (checkpoint_open(&again, note->p, note->n, &v, 1) == 0)
			return true;
	}
	return false;
}

/* --- the end --- */

static int find_end(struct ledger *l, uint64_t signed_size, struct errmsg *em)
{
	uint64_t jend = journal_end(l->journal);
	uint64_t first = wal_first(l->wal), end = wal_end(l->wal);
	char lost[128];
	bool gone;

	if (l->accept_loss) {
		/* What follows a gap is given up with the gap. */
		l->size = end > jend && first <= jend ? end : jend;
		l->torn = l->size < signed_size;
		return 0;
	}
	if (end > jend && first > jend)
		return errmsg_set(
			em, -ERR_CORRUPT,
			"journal damaged: seals %llu to %llu are lost, later "
			"ones are there; repair from a replica",
			(ull_)jend, (ull_)first - 1);
	if (end <= jend && journal_damaged(l->journal))
		return errmsg_set(
			em, -ERR_CORRUPT,
			"journal damaged at seal %llu, later ones are there; "
			"repair from a replica",
			(ull_)jend);
	l->size = end > jend ? end : jend;
	gone = wal_lost(l->wal, l->size, lost, sizeof(lost));
	if (l->size < signed_size)
		return errmsg_set(
			em, -ERR_CORRUPT,
			"journal damaged below signed size %llu: only %llu "
			"seals are whole%s%s; repair from a replica",
			(ull_)signed_size, (ull_)l->size, gone ? ", for " : "",
			gone ? lost : "");
	if (gone)
		return ledger_tell_lost(l, em, "%s", lost);
	l->was_in_use = wal_was_in_use(l->wal);
	l->torn = journal_torn_bytes(l->journal) > 0;
	if (wal_bad_headers(l->wal, jend) > 0)
		ledger_note(l, "a header of the wal was damaged");
	return 0;
}

static int open_stores(struct ledger *l, struct errmsg *em)
{
	struct wal_options wo = {
		.vio = l->vio,
		.volume_id = l->volume.id,
		.segment_bytes = l->o.wal_segment_bytes,
		.read_only = l->read_only,
		.create = !l->read_only,
	};
	struct journal_options jo = {
		.vio = l->vio,
		.volume_id = l->volume.id,
		.segment_bytes = l->o.journal_segment_bytes,
		.read_only = l->read_only,
		.create = !l->read_only,
	};
	int rc;

	wal_close(l->wal);
	journal_close(l->journal);
	l->wal = NULL;
	l->journal = NULL;
	rc = wal_open(&l->wal, &wo, em);
	if (rc == 0)
		rc = journal_open(&l->journal, &jo, em);
	return rc;
}

static int find(struct ledger *l, uint64_t signed_size, struct errmsg *em)
{
	struct errmsg words;
	int tries = l->read_only ? READ_ONLY_TRIES : 1;
	int rc = 0;

	for (int i = 0; i < tries; i++) {
		words = (struct errmsg)ERRMSG_INIT;
		rc = open_stores(l, &words);
		if (rc == 0)
			rc = find_end(l, signed_size, &words);
		if (rc == 0 || rc == -ENOMEM || rc == -ERR_NEWER)
			break;
	}
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&words, rc)) : 0;
}

/* --- the tree --- */

/* Appends the seals up to `upto`. */
static int grow(struct ledger *l, uint64_t upto, bool rebuild,
		unsigned *changed)
{
	struct buf scratch = BUF_INIT;
	int rc = 0;

	while (rc == 0 && l->frontier.size < upto) {
		const uint8_t *p = NULL;
		struct digest leaf;
		uint32_t n = 0;

		rc = ledger_load_seal(l, &scratch, &p, &n, l->frontier.size);
		if (rc < 0)
			break;
		merkle_leaf(&leaf, p, n);
		merkle_frontier_append(&l->frontier, &leaf, NULL, NULL);
		rc = tile_store_append(l->tiles, p, n, &leaf);
		if (rc < 0 || !tile_store_pending(l->tiles))
			continue;
		if (l->read_only)
			tile_store_forget_bundles(l->tiles);
		else if (rebuild)
			rc = tile_store_write(l->tiles, changed);
	}
	buf_release(&scratch);
	return rc;
}

static int load_frontier(struct ledger *l, uint64_t size)
{
	struct tile_reader *r = NULL;
	int rc = tile_reader_new(&r, size, tile_store_get, l->tiles);

	if (rc == 0)
		rc = merkle_frontier_load(&l->frontier, size, tile_reader_read,
					  r);
	tile_reader_free(r);
	return rc;
}

static int make_tree(struct ledger *l, const struct ledger_anchor *at,
		     struct errmsg *em)
{
	unsigned changed = 0;
	struct digest root;
	int rc = tile_store_load(l->tiles, at->size, ledger_load_seal, l);

	if (rc == 0)
		rc = load_frontier(l, at->size);
	merkle_frontier_root(&root, &l->frontier);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0 || (at->size > 0 && !digest_eq(&root, &at->root))) {
		/* The tiles are wrong, or the seals are. */
		tile_store_clear(l->tiles);
		merkle_frontier_init(&l->frontier);
		rc = grow(l, at->size, true, &changed);
		merkle_frontier_root(&root, &l->frontier);
		if (rc == 0 && !digest_eq(&root, &at->root))
			rc = -ERR_CORRUPT;
		if (rc < 0)
			return errmsg_set(
				em, rc,
				"journal damaged below signed size %llu: it "
				"does not give the signed root; repair from a "
				"replica",
				(ull_)at->size);
		if (l->read_only)
			ledger_note(l, "tiles do not give the signed root");
		else
			ledger_note(
				l,
				"tiles did not give the signed root and were "
				"made again, %u files were damaged",
				changed);
	}
	rc = grow(l, l->size, at->size == 0, &changed);
	if (rc < 0)
		errmsg_set(em, rc, "seal %llu: %s; repair from a replica",
			   (ull_)l->frontier.size, err_text(rc));
	return rc;
}

/* --- all of it --- */

static int check_identity(struct ledger *l, struct errmsg *em)
{
	struct entry_str origin = rules_origin(l->rules);

	if (memcmp(rules_volume_id(l->rules), l->volume.id, 16) != 0)
		return errmsg_set(em, -ERR_CORRUPT,
				  "%s names another volume than the log",
				  VOLUME_FILE);
	if (origin.n > LIMIT_ORIGIN)
		return -ERR_CORRUPT;
	/* After a NEW_ORIGIN the log is right. */
	memcpy(l->volume.origin, origin.p, origin.n);
	l->volume.origin[origin.n] = '\0';
	return 0;
}

int ledger_recover(struct ledger *l, struct errmsg *em)
{
	struct ledger_anchor at = { .size = 0 };
	struct buf note = BUF_INIT;
	struct checkpoint c;
	int rc = read_checkpoint(l, &note, &c);

	if (rc < 0) {
		errmsg_set(em, rc, "%s: %s", LEDGER_CHECKPOINT, err_text(rc));
		goto done;
	}
	rc = find(l, c.size, em);
	if (rc == 0 && l->size == 0)
		rc = errmsg_set(
			em, -ERR_CORRUPT,
			"the log is empty: journal and wal are lost; repair "
			"from a replica");
	l->lost = (struct ledger_anchor){ c.size, c.root };
	if (c.size <= l->size)
		at = l->lost;
	if (rc == 0)
		rc = make_tree(l, &at, em);
	if (rc == 0)
		rc = ledger_rules_load(l, em);
	if (rc == 0)
		rc = ledger_rules_advance(l, l->size, em);
	if (rc == 0)
		rc = check_identity(l, em);
	if (rc < 0)
		goto done;
	if (at.size > 0 && !signed_by_log(l, &note, &c)) {
		ledger_note(l, "the checkpoint is signed by no key of the "
			       "log");
		at.size = 0;
	}
	if (at.size > 0)
		l->published = l->last_signed = at;
done:
	buf_release(&note);
	return rc;
}
