/*
 * ledger.c - life and small answers of an open log; see ledger.h.
 *
 *   closed ──ledger_open──► open ──failed write or sync──► sticky ──► closed
 *   (ledger_open.c)               (ledger_fail)                (ledger_close)
 *
 * Invariant: nothing is written after the failure was set; what runs at that
 * moment in another thread finishes and learns of it at its next call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vio.h"
#include "ledger/journal.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/tile_store.h"
#include "ledger/wal.h"

int ledger_new(struct ledger **out, const struct ledger_options *o)
{
	struct ledger *l = calloc(1, sizeof(*l));
	int rc;

	*out = NULL;
	if (l == NULL)
		return -ENOMEM;
	l->o = *o;
	l->vio = o->vio;
	l->guard_vio = o->read_only ? NULL : o->guard_vio;
	l->read_only = o->read_only;
	mutex_init(&l->settle_mu);
	mutex_init(&l->cp_mu);
	mutex_init(&l->seal_mu);
	mutex_init(&l->commit_mu);
	mutex_init(&l->mu);
	mutex_init(&l->cache_mu);
	merkle_frontier_init(&l->frontier);
	rc = tile_store_new(&l->tiles, l->vio);
	if (rc < 0) {
		ledger_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

static void frame_destroy(struct ledger_frame *f)
{
	if (f == NULL)
		return;
	buf_release(&f->bytes);
	buf_release(&f->seal);
	free(f);
}

void ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < LEDGER_POOL; i++)
		frame_destroy(l->pool[i]);
	for (int i = 0; i < LEDGER_CACHE; i++) {
		buf_release(&l->cache[i].bytes);
		free(l->cache[i].tree.h);
	}
	wal_close(l->wal);
	journal_close(l->journal);
	for (unsigned i = 0; i < l->n_retired; i++)
		journal_close(l->retired[i]);
	tile_store_free(l->tiles);
	rules_free(l->rules);
	key_free(l->mount_key);
	key_free(l->log_key);
	buf_release(&l->notes);
	buf_release(&l->settle_buf);
	vio_close(l->lock); /* the lock goes last */
	mutex_destroy(&l->settle_mu);
	mutex_destroy(&l->cp_mu);
	mutex_destroy(&l->seal_mu);
	mutex_destroy(&l->commit_mu);
	mutex_destroy(&l->mu);
	mutex_destroy(&l->cache_mu);
	free(l);
}

int ledger_fail(struct ledger *l, int rc)
{
	mutex_lock(&l->mu);
	if (l->failed == 0)
		l->failed = rc;
	mutex_unlock(&l->mu);
	return rc;
}

int ledger_failed(struct ledger *l)
{
	int rc;

	mutex_lock(&l->mu);
	rc = l->failed;
	mutex_unlock(&l->mu);
	return rc;
}

int ledger_writable(struct ledger *l)
{
	if (l->read_only)
		return -EROFS;
	return ledger_failed(l) != 0 ? -ERR_STICKY : 0;
}

void ledger_note(struct ledger *l, const char *fmt, ...)
{
	char words[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	buf_addf(&l->notes, "%s\n", words);
}

const char *ledger_notes(const struct ledger *l)
{
	return l->notes.n > 0 && !l->notes.bad ? (const char *)l->notes.p : "";
}

bool ledger_was_torn(const struct ledger *l)
{
	return l->torn;
}

bool ledger_was_in_use(const struct ledger *l)
{
	return l->was_in_use;
}

bool ledger_guarded(const struct ledger *l)
{
	return l->guard_vio != NULL;
}

uint32_t ledger_mount_no(const struct ledger *l)
{
	return l->volume.mount_no;
}

const uint8_t *ledger_volume_id(const struct ledger *l)
{
	return l->volume.id;
}

const char *ledger_origin(const struct ledger *l)
{
	return l->volume.origin;
}

const uint8_t *ledger_incarnation(const struct ledger *l)
{
	return l->incarnation;
}

uint64_t ledger_size(struct ledger *l)
{
	uint64_t size;

	mutex_lock(&l->mu);
	size = l->size;
	mutex_unlock(&l->mu);
	return size;
}

int ledger_root(struct ledger *l, uint64_t *out_size, struct digest *out_root)
{
	mutex_lock(&l->mu);
	*out_size = l->size;
	merkle_frontier_root(out_root, &l->frontier);
	mutex_unlock(&l->mu);
	return 0;
}

int ledger_root_at(struct ledger *l, uint64_t size, struct digest *out_root)
{
	if (size > ledger_size(l))
		return -ERR_USAGE;
	return tile_store_root(l->tiles, out_root, size);
}

uint64_t ledger_checkpointed(struct ledger *l)
{
	uint64_t size;

	mutex_lock(&l->mu);
	size = l->published.size;
	mutex_unlock(&l->mu);
	return size;
}

uint64_t ledger_unsettled(struct ledger *l)
{
	return wal_bytes(l->wal, journal_end(ledger_journal(l)));
}

uint64_t ledger_settled(struct ledger *l)
{
	uint64_t n;

	mutex_lock(&l->settle_mu);
	n = l->flushed;
	mutex_unlock(&l->settle_mu);
	return n;
}

struct objects {
	ledger_object_fn *fn;
	void *ctx;
};

static int on_object(void *ctx, uint32_t number, const char *path,
		     uint64_t size)
{
	struct objects *o = ctx;

	/* "ledger/journal/..." is "journal/..." in a replica */
	return o->fn(o->ctx, number, path, path + strlen("ledger/"), size);
}

int ledger_durable_objects(struct ledger *l, uint32_t from,
			   ledger_object_fn *fn, void *ctx)
{
	struct objects o = { fn, ctx };

	return journal_objects(ledger_journal(l), from, on_object, &o);
}

int ledger_keys(struct ledger *l, ledger_key_fn *fn, void *ctx)
{
	int rc;

	mutex_lock(&l->settle_mu);
	rc = ledger_rules_advance(l, ledger_size(l), NULL);
	for (size_t i = 0; rc == 0 && i < rules_key_count(l->rules); i++) {
		const struct rules_key *k = rules_key_at(l->rules, i);
		struct ledger_key_info info = {
			.role = k->role,
			.mount_no = k->mount_no,
			.from = k->from,
			.until = k->until,
			.revoked = k->revoked,
			.suspect_since_ns = k->suspect_since_ns,
		};

		memcpy(info.id, k->id, sizeof(info.id));
		memcpy(info.pub, k->pub, sizeof(info.pub));
		memcpy(info.name, k->name, sizeof(info.name));
		rc = fn(ctx, &info);
	}
	mutex_unlock(&l->settle_mu);
	return rc;
}
