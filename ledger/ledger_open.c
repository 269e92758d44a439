/*
 * ledger_open.c - open a log for writing, or beside somebody who writes.
 *
 * Order: volume.conf; the lock; everything is read and judged (recovery,
 * keys, guard); only then the first byte is written: torn tail cut, what was
 * found made durable, guard with the new incarnation.  So a store that is
 * refused is left as it was.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vio.h"
#include "ledger/journal.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/tile_store.h"
#include "ledger/wal.h"

/* --- lock --- */

static int busy(struct ledger *l, struct errmsg *em)
{
	struct buf text = BUF_INIT;
	char *end = NULL;
	long pid = 0;

	if (vio_read_file(l->vio, &text, LEDGER_LOCK, 64) == 0 && text.n > 0)
		pid = strtol((char *)text.p, &end, 10);
	buf_release(&text);
	if (pid > 0)
		return errmsg_set(em, -ERR_BUSY, "already mounted by pid %ld",
				  pid);
	return errmsg_set(em, -ERR_BUSY, "already mounted");
}

int ledger_take_lock(struct ledger *l, struct errmsg *em)
{
	char pid[24];
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	int rc =
		vio_open(l->vio, &l->lock, LEDGER_LOCK, VIO_WRITE | VIO_CREATE);

	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", LEDGER_LOCK, err_text(rc));
	rc = vio_lock(l->lock);
	if (rc == -EBUSY)
		return busy(l, em);
	if (rc == 0)
		rc = vio_truncate(l->lock, 0);
	if (rc == 0)
		rc = vio_pwrite(l->lock, pid, (size_t)n, 0);
	if (rc == -ENOSPC || rc == -EDQUOT)
		rc = 0; /* the lock holds without a number in it */
	if (rc < 0)
		errmsg_set(em, rc, "%s: %s", LEDGER_LOCK, err_text(rc));
	return rc;
}

int ledger_identify(struct ledger *l)
{
	struct vio_stat st;
	int rc = vio_fstat(l->lock, &st);

	if (rc == 0)
		guard_identify(&l->guard, l->guard_vio, &st);
	return rc;
}

/* --- keys --- */

static bool key_active(struct ledger *l, const struct key *k, unsigned role)
{
	uint8_t id[KEY_ID_SIZE];
	const struct rules_key *r;

	key_id(id, key_public(k));
	r = rules_key_find(l->rules, id);
	return r != NULL && r->role == role && r->until == UINT64_MAX &&
	       (role != KEY_MOUNT || r->mount_no == l->volume.mount_no);
}

/*
 * Loads the key that the log calls active: the usual file, or the one that a
 * rotation made and could not yet put in its place.
 */
static int load_key(struct ledger *l, struct key **out, bool *out_next,
		    enum key_role role, const char *path, const char *next,
		    struct errmsg *em)
{
	struct key *k = NULL;
	struct errmsg why = ERRMSG_INIT;
	int rc = key_load(&k, l->vio, path, role, &why);

	*out_next = false;
	if (rc == 0 && key_active(l, k, role)) {
		*out = k;
		return 0;
	}
	key_free(k);
	k = NULL;
	if (rc == 0 || rc == -ENOENT) {
		int again = key_load(&k, l->vio, next, role, NULL);

		if (again == 0 && key_active(l, k, role)) {
			*out = k;
			*out_next = true;
			return 0;
		}
		key_free(k);
	}
	if (rc == -ENOENT)
		return errmsg_set(em, -ERR_KEY, "%s is missing", path);
	if (rc < 0)
		return errmsg_set(em, rc, "%s", errmsg_text(&why, rc));
	return errmsg_set(
		em, -ERR_KEY,
		"%s is not the active %s key of the log: put back the "
		"one that is, or give the store new keys with "
		"`vouch fork STORE` (it needs the admin key)",
		path, key_role_name(role));
}

struct loaded {
	bool mount_next, log_next, new_origin;
};

static int load_keys(struct ledger *l, struct loaded *k, struct errmsg *em)
{
	int rc = load_key(l, &l->mount_key, &k->mount_next, KEY_MOUNT,
			  LEDGER_MOUNT_KEY, LEDGER_MOUNT_NEXT, em);

	if (rc == 0)
		rc = load_key(l, &l->log_key, &k->log_next, KEY_LOG,
			      LEDGER_LOG_KEY, LEDGER_LOG_NEXT, em);
	if (rc == 0)
		rc = ledger_rules_next(l, em);
	return rc;
}

/* Finishes what a rotation or a new origin could not finish. */
static int settle_keys(struct ledger *l, const struct loaded *k,
		       struct errmsg *em)
{
	int rc = 0;

	if (k->new_origin || k->log_next)
		rc = ledger_trust_save(l, em);
	if (rc == 0 && k->mount_next)
		rc = vio_rename(l->vio, LEDGER_MOUNT_NEXT, LEDGER_MOUNT_KEY);
	if (rc == 0 && k->log_next)
		rc = vio_rename(l->vio, LEDGER_LOG_NEXT, LEDGER_LOG_KEY);
	if (rc == 0 && (k->mount_next || k->log_next))
		rc = vio_syncdir(l->vio, "keys");
	if (rc == 0 && k->new_origin)
		rc = volume_write(&l->volume, l->vio, em);
	return rc < 0 ? errmsg_set(em, rc, "keys: %s", err_text(rc)) : 0;
}

/* --- guard --- */

static int compare_guard(struct ledger *l, const struct ledger_open_how *how,
			 struct errmsg *em)
{
	struct guard g = l->guard;
	struct digest root;
	bool have = false;
	int rc;

	if (g.size <= l->size) {
		rc = tile_store_root(l->tiles, &root, g.size);
		if (rc < 0)
			return errmsg_set(em, rc, "tiles: %s", err_text(rc));
		have = true;
	}
	rc = how->any_size ?
		     0 :
		     guard_check_size(&g, l->size, have ? &root : NULL, em);
	if (rc == 0)
		rc = ledger_identify(l);
	if (rc == 0 && !how->any_identity)
		rc = guard_check_identity(&g, &l->guard, em);
	if (rc == 0 && !how->any_identity)
		rc = ledger_check_marked(l, g.wal, em);
	if (g.wal != 0)
		l->was_in_use = true;
	if (g.size > l->lost.size)
		l->lost = (struct ledger_anchor){ g.size, g.root };
	if (rc == 0 && have && g.size > l->last_signed.size)
		l->last_signed = (struct ledger_anchor){ g.size, root };
	return rc;
}

static int check_guard(struct ledger *l, const struct ledger_open_how *how,
		       struct errmsg *em)
{
	int rc;

	if (l->guard_vio == NULL)
		return 0;
	rc = guard_read(&l->guard, l->guard_vio, l->volume.id, l->volume.origin,
			em);
	if (rc == -ERR_FORMAT && how->any_identity)
		rc = -ENOENT; /* damaged, and the user said to go on */
	if (rc == 0)
		return compare_guard(l, how, em);
	if (rc != -ENOENT)
		return rc;
	if (how->any_identity)
		return ledger_identify(l);
	if (l->volume.guarded)
		return errmsg_set(
			em, -ERR_COPY,
			"this store was never used on this machine: `vouch "
			"adopt STORE` if it moved here, `vouch fork STORE` for "
			"a new volume");
	l->guard_vio = NULL; /* made without one: rollback protection none */
	return 0;
}

/* --- open --- */

static int give_chunks(struct ledger *l)
{
	uint64_t first = wal_first(l->wal), end = wal_end(l->wal);
	struct buf bytes = BUF_INIT;
	struct frame f;
	int rc = 0;

	if (l->o.on_chunk == NULL)
		return 0;
	for (uint64_t i = first > l->flushed ? first : l->flushed;
	     rc == 0 && i < end; i++) {
		const uint8_t *p;
		struct ledger_chunk c;
		size_t left;

		rc = wal_read(l->wal, &bytes, &f, i);
		if (rc < 0)
			break;
		p = f.chunks;
		left = f.chunks_n;
		while (rc == 0 && frame_next_chunk(&p, &left, &c) > 0)
			rc = l->o.on_chunk(l->o.ctx, &c);
	}
	buf_release(&bytes);
	return rc;
}

/* The first writes. */
static int start(struct ledger *l, const struct loaded *keys,
		 const struct ledger_open_how *how, struct errmsg *em)
{
	int rc;

	if (l->o.on_start != NULL)
		l->o.on_start(l->o.ctx);
	rc = journal_start(l->journal);
	if (rc == 0)
		rc = give_chunks(l);
	if (rc == 0)
		rc = wal_start(l->wal, l->size);
	if (rc == 0)
		rc = vio_random(l->vio, l->incarnation, sizeof(l->incarnation));
	if (rc < 0)
		return errmsg_set(em, rc, "recovery: %s", err_text(rc));
	/* or a WAL that is full has no room until more is flushed */
	wal_release(l->wal, l->flushed);
	l->chunks_settled = l->flushed;
	l->flush_ns = vio_mono_ns(l->vio);
	if (how->any_identity)
		return 0; /* adopt and fork go on by themselves */
	rc = settle_keys(l, keys, em);
	/* What is seen must never become less: publish what was signed. */
	mutex_lock(&l->cp_mu);
	if (rc == 0 && l->published.size < l->last_signed.size)
		rc = ledger_checkpoint_locked(l, true, em);
	else if (rc == 0 && l->published.size == 0)
		rc = ledger_checkpoint_locked(l, true, em);
	else if (rc == 0)
		rc = ledger_write_guard(l, em);
	mutex_unlock(&l->cp_mu);
	return rc;
}

int ledger_open_how(struct ledger **out, const struct ledger_options *o,
		    const struct ledger_open_how *how, struct errmsg *em)
{
	struct loaded keys = { .new_origin = false };
	struct volume volume;
	struct ledger *l = NULL;
	int rc;

	*out = NULL;
	rc = volume_read(&volume, o->vio, em);
	if (rc == 0)
		rc = ledger_new(&l, o);
	if (rc < 0)
		return rc;
	l->volume = volume;
	l->accept_loss = how->any_size;
	if (!l->read_only)
		rc = ledger_take_lock(l, em);
	if (rc == 0)
		rc = ledger_recover(l, em);
	keys.new_origin = strcmp(volume.origin, l->volume.origin) != 0;
	if (rc == 0 && !l->read_only)
		rc = load_keys(l, &keys, em);
	if (rc == 0)
		rc = check_guard(l, how, em);
	if (rc == 0)
		rc = l->read_only ? give_chunks(l) : start(l, &keys, how, em);
	if (rc < 0) {
		ledger_close(l);
		return errmsg_set(em, rc, "%s", err_text(rc));
	}
	*out = l;
	return 0;
}

int ledger_open(struct ledger **out, const struct ledger_options *o,
		struct errmsg *em)
{
	struct ledger_open_how how = { .any_size = false };

	return ledger_open_how(out, o, &how, em);
}
