/*
 * ledger_rules.c - the append rules' state beside the log.
 *
 * ledger/rules.state is a cache: with it a start replays only the batches
 * after it.  It also says up to where packs and journal were flushed, so that
 * a start knows which frames of the WAL may hold chunks that are nowhere
 * else.  Bytes:
 *   0  4  magic "VRS1"
 *   4  8  flushed: frames below are durable outside the WAL
 *   12 8  size: seals that the rules have seen
 *   20 32 root of the log at that size
 *   52    rules_save(), which ends in its SHA-256
 * A state that does not fit the log is thrown away.
 *
 * Called with settle_mu held, or by the thread that opens.
 */
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/bytes.h"
#include "base/vio.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/tile_store.h"

#define MAGIC "VRS1"

enum {
	HEAD_SIZE = 52,
	STATE_MAX = 64 << 20,
	/* Signatures of older batches are not verified again at start. */
	VERIFY_LAST = 1024,
};

int ledger_rules_root(void *ctx, struct digest *out, uint64_t size)
{
	struct ledger *l = ctx;

	return tile_store_root(l->tiles, out, size);
}

/* 0 and l->rules, or -ERR_FORMAT when the bytes do not fit the log. */
static int take_up(struct ledger *l, const struct buf *b)
{
	uint64_t flushed, size;
	struct digest root, have;
	uint8_t magic[4];
	struct breader r;
	int rc;

	breader_init(&r, b->p, b->n);
	breader_copy(&r, magic, 4);
	flushed = breader_u64(&r);
	size = breader_u64(&r);
	breader_copy(&r, root.b, DIGEST_SIZE);
	if (r.bad || memcmp(magic, MAGIC, 4) != 0 || size > l->size ||
	    size == 0)
		return -ERR_FORMAT;
	rc = tile_store_root(l->tiles, &have, size);
	if (rc < 0 || !digest_eq(&have, &root))
		return -ERR_FORMAT;
	rc = rules_load(&l->rules, r.p, r.left, ledger_rules_root, l);
	if (rc < 0)
		return rc == -ENOMEM ? rc : -ERR_FORMAT;
	if (rules_size(l->rules) != size) {
		rules_free(l->rules);
		l->rules = NULL;
		return -ERR_FORMAT;
	}
	l->flushed = flushed < l->size ? flushed : l->size;
	return 0;
}

int ledger_rules_load(struct ledger *l, struct errmsg *em)
{
	struct buf b = BUF_INIT;
	int rc = vio_read_file(l->vio, &b, LEDGER_STATE, STATE_MAX);

	if (rc == 0)
		rc = take_up(l, &b);
	else if (rc == -ENOENT || rc == -ERR_LIMIT)
		rc = -ERR_FORMAT;
	buf_release(&b);
	if (rc == -ERR_FORMAT)
		rc = rules_new(&l->rules, ledger_rules_root, l);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", LEDGER_STATE,
				   err_text(rc)) :
			0;
}

int ledger_rules_feed(struct ledger *l, const struct frame *f,
		      bool skip_signature, struct errmsg *em)
{
	autofree struct rules_entry *entries = NULL;
	struct rules_batch b = {
		.leaf_index = f->index,
		.seal = f->seal,
		.seal_n = f->seal_n,
		.n = f->count,
		.skip_signature = skip_signature,
	};
	const uint8_t *p = f->entries;
	size_t left = f->entries_n;
	uint64_t known = 0;
	int rc;

	entries = calloc(f->count, sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->count; i++)
		if (frame_next_entry(&p, &left, &entries[i].p, &entries[i].n) <=
		    0)
			return -ERR_CORRUPT;
	b.entries = entries;
	rc = rules_check(l->rules, &b, &known, em);
	if (rc == RULES_KNOWN)
		rc = errmsg_set(em, -ERR_REJECTED,
				"seal %llu is in the log twice",
				(unsigned long long)f->index);
	return rc;
}

int ledger_rules_advance(struct ledger *l, uint64_t upto, struct errmsg *em)
{
	struct buf bytes = BUF_INIT;
	struct frame f;
	int rc = 0;

	while (rc == 0 && rules_size(l->rules) < upto) {
		uint64_t i = rules_size(l->rules);

		rc = ledger_load(l, &bytes, &f, i);
		if (rc < 0)
			errmsg_set(em, rc,
				   "seal %llu: %s; repair from a "
				   "replica",
				   (unsigned long long)i, err_text(rc));
		else
			rc = ledger_rules_feed(l, &f, i + VERIFY_LAST < upto,
					       em);
	}
	buf_release(&bytes);
	return rc;
}

int ledger_rules_save(struct ledger *l)
{
	uint64_t size = rules_size(l->rules);
	struct buf b = BUF_INIT;
	struct digest root;
	int rc = tile_store_root(l->tiles, &root, size);

	if (rc < 0)
		return rc;
	buf_add(&b, MAGIC, 4);
	buf_u64(&b, l->flushed);
	buf_u64(&b, size);
	buf_add(&b, root.b, DIGEST_SIZE);
	rc = rules_save(l->rules, &b);
	if (rc == 0)
		rc = b.bad ? -ENOMEM :
			     atomic_file_write(l->vio, LEDGER_STATE, b.p, b.n,
					       0);
	buf_release(&b);
	return rc;
}

int ledger_rules_next(struct ledger *l, struct errmsg *em)
{
	const struct rules_mount *m =
		rules_mount_find(l->rules, l->volume.mount_no);
	uint8_t id[KEY_ID_SIZE];
	const struct rules_key *k;

	key_id(id, key_public(l->mount_key));
	k = rules_key_find(l->rules, id);
	if (k == NULL || k->role != KEY_MOUNT ||
	    k->mount_no != l->volume.mount_no || k->until != UINT64_MAX)
		return errmsg_set(em, -ERR_KEY,
				  "%s is not the active key of mount %u",
				  LEDGER_MOUNT_KEY, l->volume.mount_no);
	l->next = (struct ledger_next){
		.index = rules_size(l->rules),
		.batch_seq = 1,
		.first_seq = RULES_FIRST_SEQ,
	};
	l->seen = l->published;
	if (m != NULL && m->seen_size > l->seen.size) {
		/* What a mount saw never becomes less. */
		int rc = tile_store_root(l->tiles, &l->seen.root, m->seen_size);

		if (rc < 0)
			return errmsg_set(em, rc, "tiles: %s", err_text(rc));
		l->seen.size = m->seen_size;
	}
	if (m != NULL) {
		l->next.batch_seq = m->batch_seq + 1;
		l->next.first_seq = m->next_first_seq;
		l->next.prev_seal = m->last_seal;
		l->next.wall_ns = m->last_wall_ns;
	}
	return 0;
}
