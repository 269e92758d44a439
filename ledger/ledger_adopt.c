/*
 * ledger_adopt.c - a store that moved goes on; a copy becomes its own.
 *
 * Adopting changes only the guard, and only when everything that was signed
 * is there.  Forking gives up what is not: a NEW_ORIGIN entry, signed by the
 * admin, says what; origin, log key and mount key are new from there on, so
 * that nothing signed afterwards can be taken for the old history.  Order:
 * guard of the new origin, new key files, the batch, key files in their
 * places, volume.conf, checkpoint; ledger_open finishes what was cut short
 * after the batch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/vio.h"
#include "ledger/entry.h"
#include "ledger/guard.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/volume.h"

/*
 * Made again from a replica, and nobody knows how much of the log the replica
 * lacks: going on under the old origin could contradict what was signed.
 */
static int check_restored(const struct ledger_options *o, struct errmsg *em)
{
	struct volume volume;
	struct vio_stat st;
	struct guard g;
	int rc;

	if (vio_stat(o->vio, VOLUME_RESTORED, &st) < 0)
		return 0;
	rc = volume_read(&volume, o->vio, em);
	if (rc == 0)
		rc = guard_read(&g, o->guard_vio, volume.id, volume.origin,
				NULL);
	if (rc != -ENOENT && rc != -ERR_FORMAT)
		return rc;
	return errmsg_set(em, -ERR_ROLLBACK,
			  "this store was made again from a replica, and no "
			  "guard tells whether the log is all there: `vouch "
			  "fork` goes on with it under a new origin");
}

static int forget_restored(struct ledger *l)
{
	int rc = vio_unlink(l->vio, VOLUME_RESTORED);

	return rc == -ENOENT ? 0 : rc;
}

int ledger_adopt(const struct ledger_options *o, struct errmsg *em)
{
	struct ledger_open_how how = { .any_identity = true };
	struct ledger *l = NULL;
	int rc;

	if (o->guard_vio == NULL)
		return errmsg_set(
			em, -ERR_USAGE,
			"there is no place for a guard: nothing to adopt");
	rc = check_restored(o, em);
	if (rc == 0)
		rc = ledger_open_how(&l, o, &how, em);
	if (rc < 0)
		return rc;
	mutex_lock(&l->cp_mu);
	if (l->last_signed.size == 0)
		rc = ledger_checkpoint_locked(l, true, em);
	else
		rc = ledger_write_guard(l, em);
	mutex_unlock(&l->cp_mu);
	if (rc == 0 && !l->volume.guarded) {
		l->volume.guarded = true;
		rc = volume_write(&l->volume, l->vio, em);
	}
	if (rc == 0)
		rc = forget_restored(l);
	ledger_close(l);
	return rc;
}

/* "/SUFFIX", or one made from the time, behind the old origin. */
static int make_origin(struct ledger *l, char out[LIMIT_ORIGIN + 1],
		       const char *suffix, struct errmsg *em)
{
	char when[TEXT_TIME_SIZE], made[32] = "fork-";
	size_t n = strlen(made);
	int len;

	text_time(when, vio_wall_ns(l->vio));
	for (const char *p = when; *p != '\0' && *p != '.'; p++)
		if ((*p >= '0' && *p <= '9') || *p == 'T')
			made[n++] = *p;
	made[n] = '\0';
	len = snprintf(out, LIMIT_ORIGIN + 1, "%s/%s", l->volume.origin,
		       suffix != NULL ? suffix : made);
	if (len > LIMIT_ORIGIN ||
	    checkpoint_origin_check(out, strlen(out)) != 0)
		return errmsg_set(
			em, -ERR_USAGE,
			"'%s' cannot be an origin: at most %d characters, no "
			"blanks, no '+'",
			out, LIMIT_ORIGIN);
	return 0;
}

/* The guard that will be asked for once the batch is in the log. */
static int guard_new_origin(struct ledger *l, const char *origin,
			    struct errmsg *em)
{
	struct guard g = l->guard;
	int rc;

	if (l->guard_vio == NULL)
		return 0;
	memcpy(g.volume_id, l->volume.id, sizeof(g.volume_id));
	snprintf(g.origin, sizeof(g.origin), "%s", origin);
	memcpy(g.incarnation, l->incarnation, sizeof(g.incarnation));
	g.wal = 0; /* what of it is lost is given up */
	rc = ledger_root(l, &g.size, &g.root);
	return rc < 0 ? rc : guard_write(&g, l->guard_vio, em);
}

struct forking {
	struct ledger *l;
	struct ledger_fork_report *report;
	struct key *admin, *log_key, *mount_key;
};

static int new_origin_entry(struct forking *f, struct entry *e)
{
	struct entry_new_origin *n = &e->body.new_origin;

	memset(e, 0, sizeof(*e));
	e->body.kind = ENTRY_NEW_ORIGIN;
	n->lost_size = f->report->lost_size;
	n->lost_root = f->report->lost_root;
	memcpy(n->log_pub, key_public(f->log_key), KEY_SIZE);
	n->old_origin = ENTRY_STR(f->report->old_origin);
	n->new_origin = ENTRY_STR(f->report->new_origin);
	return ledger_author(f->l, e, f->admin);
}

static int commit_fork(struct forking *f, struct errmsg *em)
{
	struct ledger *l = f->l;
	struct entry entries[2];
	int rc = key_generate(&f->log_key, KEY_LOG, l->vio);

	if (rc == 0)
		rc = key_save(f->log_key, l->vio, LEDGER_LOG_NEXT, em);
	if (rc == 0)
		rc = new_origin_entry(f, &entries[0]);
	if (rc == 0)
		rc = ledger_rotation(l, &f->mount_key, &entries[1],
				     l->mount_key, LEDGER_MOUNT_NEXT, f->admin,
				     em);
	return rc < 0 ? rc : ledger_commit_control(l, entries, 2, em);
}

/* The log has the new origin: everything else follows it. */
static int finish_fork(struct forking *f, struct errmsg *em)
{
	struct ledger *l = f->l;
	int rc;

	memcpy(l->volume.origin, f->report->new_origin,
	       sizeof(l->volume.origin));
	if (l->guard_vio != NULL)
		l->volume.guarded = true;
	key_free(l->log_key);
	key_free(l->mount_key);
	l->log_key = take(f->log_key);
	l->mount_key = take(f->mount_key);
	rc = ledger_trust_save(l, em);
	if (rc == 0)
		rc = vio_rename(l->vio, LEDGER_MOUNT_NEXT, LEDGER_MOUNT_KEY);
	if (rc == 0)
		rc = vio_rename(l->vio, LEDGER_LOG_NEXT, LEDGER_LOG_KEY);
	if (rc == 0)
		rc = vio_syncdir(l->vio, "keys");
	if (rc == 0)
		rc = volume_write(&l->volume, l->vio, em);
	return rc;
}

static int fork_locked(struct forking *f, const struct ledger_admin *admin,
		       struct errmsg *em)
{
	struct ledger *l = f->l;
	int rc = ledger_admin_key(l, &f->admin, admin, em);

	if (rc == 0)
		rc = guard_new_origin(l, f->report->new_origin, em);
	return rc < 0 ? rc : commit_fork(f, em);
}

int ledger_fork(struct ledger_fork_report *out, const struct ledger_options *o,
		const char *suffix, const struct ledger_admin *admin,
		struct errmsg *em)
{
	struct ledger_open_how how = { .any_identity = true, .any_size = true };
	struct forking f = { .report = out };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = ledger_open_how(&f.l, o, &how, em);
	if (rc < 0)
		return rc;
	memcpy(out->old_origin, f.l->volume.origin, sizeof(out->old_origin));
	out->size = ledger_size(f.l);
	out->lost_size = f.l->lost.size;
	out->lost_root = f.l->lost.root;
	rc = make_origin(f.l, out->new_origin, suffix, em);
	if (rc == 0) {
		mutex_lock(&f.l->settle_mu);
		rc = fork_locked(&f, admin, em);
		mutex_unlock(&f.l->settle_mu);
	}
	if (rc == 0)
		rc = finish_fork(&f, em);
	if (rc == 0)
		rc = ledger_checkpoint(f.l, em);
	if (rc == 0)
		rc = forget_restored(f.l);
	key_free(f.admin);
	key_free(f.log_key);
	key_free(f.mount_key);
	ledger_close(f.l);
	return rc < 0 ? errmsg_set(em, rc, "fork: %s", err_text(rc)) : 0;
}
