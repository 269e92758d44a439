/*
 * ledger_rotate.c - keys come and go by entries: ROTATE, REVOKE, KEY_ADD.
 *
 * Order of a rotation: the new key is durable in its own file; the entry is
 * committed, signed by the old key; the file takes the usual name.  A crash
 * in between is settled by ledger_open, which asks the log which key is
 * active.  Every batch made here is first tried on a copy of the rules'
 * state.
 *
 * settle_mu is held throughout, and cp_mu too while the log key changes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/vio.h"
#include "ledger/cert.h"
#include "ledger/entry.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"

enum { CONTROL_MAX = 4 };

int ledger_admin_key(struct ledger *l, struct key **out,
		     const struct ledger_admin *a, struct errmsg *em)
{
	bool own = a == NULL || a->vio == NULL;
	struct vio *v = own ? l->vio : a->vio;
	const char *path = own ? LEDGER_ADMIN_KEY : a->path;
	const uint8_t(*admins)[KEY_SIZE];
	unsigned n = rules_admins(l->rules, &admins);
	struct errmsg why = ERRMSG_INIT;
	int rc = key_load(out, v, path, KEY_ADMIN, &why);

	if (rc == -ENOENT)
		return errmsg_set(
			em, -ERR_KEY,
			"the admin key %s is missing: say where your copy is",
			path);
	if (rc < 0)
		return errmsg_set(em, rc, "%s", errmsg_text(&why, rc));
	for (unsigned i = 0; i < n; i++)
		if (memcmp(admins[i], key_public(*out), KEY_SIZE) == 0)
			return 0;
	key_free(take(*out));
	return errmsg_set(em, -ERR_KEY, "%s is no admin key of this volume",
			  path);
}

/* --- one batch --- */

static int encode(struct ledger *l, struct entry *e, struct buf *bytes,
		  struct ledger_entry *out)
{
	uint8_t salt[ENTRY_SALT_SIZE];
	int rc = vio_random(l->vio, salt, sizeof(salt));

	e->core.kind = e->body.kind;
	e->core.wall_ns = vio_wall_ns(l->vio);
	if (rc == 0)
		rc = entry_store(bytes, &out->leaf, e, salt);
	out->bytes = bytes->p;
	out->len = (uint32_t)bytes->n;
	return rc;
}

/* Would every follower take it? */
static int try_rules(struct ledger *l, const struct ledger_frame *f,
		     const struct ledger_entry *entries, unsigned n,
		     struct errmsg *em)
{
	struct rules_entry re[CONTROL_MAX];
	struct rules_batch b = {
		.leaf_index = f->index,
		.seal = f->seal.p,
		.seal_n = f->seal.n,
		.entries = re,
		.n = n,
	};
	struct rules *copy = NULL;
	struct buf state = BUF_INIT;
	uint64_t known = 0;
	int rc = rules_save(l->rules, &state);

	if (rc == 0)
		rc = rules_load(&copy, state.p, state.n, ledger_rules_root, l);
	for (unsigned i = 0; i < n; i++)
		re[i] = (struct rules_entry){ entries[i].bytes,
					      entries[i].len };
	if (rc == 0)
		rc = rules_check(copy, &b, &known, em);
	rules_free(copy);
	buf_release(&state);
	return rc;
}

int ledger_commit_control(struct ledger *l, struct entry *entries, unsigned n,
			  struct errmsg *em)
{
	struct buf bytes[CONTROL_MAX] = { BUF_INIT };
	struct ledger_entry le[CONTROL_MAX];
	struct ledger_frame *f = NULL;
	uint64_t seal = 0;
	int rc = ledger_rules_advance(l, ledger_size(l), em);

	if (n > CONTROL_MAX)
		return -ERR_LIMIT;
	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = encode(l, &entries[i], &bytes[i], &le[i]);
	if (rc == 0)
		rc = ledger_seal(l, &f, &seal, le, n, NULL, 0);
	if (rc == 0)
		rc = try_rules(l, f, le, n, em);
	if (rc == 0)
		rc = ledger_commit(l, take(f));
	ledger_frame_free(f);
	if (rc == 0)
		rc = ledger_rules_advance(l, ledger_size(l), em);
	for (unsigned i = 0; i < n; i++)
		buf_release(&bytes[i]);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

int ledger_author(struct ledger *l, struct entry *e, const struct key *admin)
{
	struct buf m = BUF_INIT;
	int rc;

	memset(&e->body.author, 0, sizeof(e->body.author));
	rc = entry_author_message(&m, &e->body, l->volume.id);
	if (rc == 0) {
		e->body.author.present = true;
		key_id(e->body.author.key_id, key_public(admin));
		key_sign(admin, e->body.author.sig, m.p, m.n);
	}
	buf_release(&m);
	return rc;
}

static int certify(struct ledger *l, uint8_t out[CERT_SIZE], unsigned role,
		   uint32_t mount_no, const uint8_t pub[KEY_SIZE],
		   const struct key *admin)
{
	struct cert c = { .mount_no = mount_no, .role = (uint8_t)role };

	memcpy(c.volume_id, l->volume.id, sizeof(c.volume_id));
	memcpy(c.pub, pub, KEY_SIZE);
	return cert_make(out, &c, admin);
}

/* --- rotate --- */

int ledger_rotation(struct ledger *l, struct key **out, struct entry *e,
		    const struct key *old, const char *path,
		    const struct key *admin, struct errmsg *em)
{
	unsigned role = key_role(old);
	int rc = key_generate(out, key_role(old), l->vio);

	memset(e, 0, sizeof(*e));
	e->body.kind = ENTRY_ROTATE;
	if (rc == 0)
		rc = key_save(*out, l->vio, path, em);
	if (rc == 0)
		rc = certify(l, e->body.key_add.cert, role,
			     role == KEY_MOUNT ? l->volume.mount_no : 0,
			     key_public(*out), admin);
	key_id(e->body.key_add.old_key_id, key_public(old));
	e->body.key_add.name = ENTRY_STR(key_role_name(role));
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}

/* The log calls the new key active: so do we. */
static int replace(struct ledger *l, struct key **place, struct key **fresh,
		   const char *next, const char *path, struct errmsg *em)
{
	int rc;

	mutex_lock(&l->seal_mu);
	key_free(*place);
	*place = take(*fresh);
	mutex_unlock(&l->seal_mu);
	rc = ledger_trust_save(l, em);
	if (rc == 0)
		rc = vio_rename(l->vio, next, path);
	if (rc == 0)
		rc = vio_syncdir(l->vio, "keys");
	if (rc < 0)
		errmsg_set(em, ledger_fail(l, rc), "%s: %s", path,
			   err_text(rc));
	return rc;
}

static int rotate(struct ledger *l, unsigned role, const struct key *admin,
		  struct errmsg *em)
{
	bool mount = role == KEY_MOUNT;
	struct key **place = mount ? &l->mount_key : &l->log_key;
	const char *next = mount ? LEDGER_MOUNT_NEXT : LEDGER_LOG_NEXT;
	const char *path = mount ? LEDGER_MOUNT_KEY : LEDGER_LOG_KEY;
	struct key *fresh = NULL;
	struct entry e;
	int rc = ledger_rotation(l, &fresh, &e, *place, next, admin, em);

	if (rc == 0)
		rc = ledger_commit_control(l, &e, 1, em);
	if (rc == 0)
		rc = replace(l, place, &fresh, next, path, em);
	key_free(fresh);
	return rc;
}

int ledger_rotate(struct ledger *l, unsigned role,
		  const struct ledger_admin *admin, struct errmsg *em)
{
	struct key *a = NULL;
	int rc = ledger_writable(l);

	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	if (role != KEY_MOUNT && role != KEY_LOG)
		return errmsg_set(em, -ERR_USAGE,
				  "only mount and log keys are rotated");
	mutex_lock(&l->settle_mu);
	mutex_lock(&l->cp_mu);
	rc = ledger_admin_key(l, &a, admin, em);
	if (rc == 0)
		rc = rotate(l, role, a, em);
	if (rc == 0)
		rc = ledger_checkpoint_locked(l, true, em);
	mutex_unlock(&l->cp_mu);
	mutex_unlock(&l->settle_mu);
	key_free(a);
	return rc;
}

/* --- revoke, add --- */

static int check_revocable(struct ledger *l, const uint8_t id[KEY_ID_SIZE],
			   struct errmsg *em)
{
	uint8_t mount[KEY_ID_SIZE], log[KEY_ID_SIZE];

	key_id(mount, key_public(l->mount_key));
	key_id(log, key_public(l->log_key));
	if (memcmp(id, mount, KEY_ID_SIZE) == 0 ||
	    memcmp(id, log, KEY_ID_SIZE) == 0)
		return errmsg_set(
			em, -ERR_USAGE,
			"this is the active %s key: `vouch key rotate STORE "
			"%s` first",
			memcmp(id, log, KEY_ID_SIZE) == 0 ? "log" : "mount",
			memcmp(id, log, KEY_ID_SIZE) == 0 ? "log" : "mount");
	if (rules_key_find(l->rules, id) == NULL)
		return errmsg_set(em, -ERR_KEY, "no such key in the log");
	return 0;
}

int ledger_revoke(struct ledger *l, const struct ledger_revocation *r,
		  const struct ledger_admin *admin, struct errmsg *em)
{
	struct entry e = { .body = { .kind = ENTRY_REVOKE } };
	struct key *a = NULL;
	int rc = ledger_writable(l);

	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	memcpy(e.body.revoke.key_id, r->key_id, KEY_ID_SIZE);
	e.body.revoke.reason = r->reason;
	e.body.revoke.suspect_since_ns = r->suspect_since_ns;
	e.body.revoke.comment = ENTRY_STR(r->comment ? r->comment : "");
	mutex_lock(&l->settle_mu);
	rc = ledger_rules_advance(l, ledger_size(l), em);
	if (rc == 0)
		rc = check_revocable(l, r->key_id, em);
	if (rc == 0)
		rc = ledger_admin_key(l, &a, admin, em);
	if (rc == 0)
		rc = ledger_author(l, &e, a);
	if (rc == 0)
		rc = ledger_commit_control(l, &e, 1, em);
	mutex_unlock(&l->settle_mu);
	key_free(a);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) :
			ledger_checkpoint(l, em);
}

int ledger_key_add(struct ledger *l, uint32_t *out_mount_no, unsigned role,
		   const uint8_t pub[32], const char *name,
		   const struct ledger_admin *admin, struct errmsg *em)
{
	struct entry e = { .body = { .kind = ENTRY_KEY_ADD } };
	struct key *a = NULL;
	int rc = ledger_writable(l);

	*out_mount_no = 0;
	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	if (role != KEY_MOUNT && role != KEY_REPLICA)
		return errmsg_set(em, -ERR_USAGE,
				  "only keys of mounts and replicas are added");
	mutex_lock(&l->settle_mu);
	rc = ledger_rules_advance(l, ledger_size(l), em);
	if (rc == 0 && role == KEY_MOUNT)
		*out_mount_no = rules_mount_last(l->rules) + 1;
	if (rc == 0)
		rc = ledger_admin_key(l, &a, admin, em);
	if (rc == 0)
		rc = certify(l, e.body.key_add.cert, role, *out_mount_no, pub,
			     a);
	e.body.key_add.name = ENTRY_STR(name);
	if (rc == 0)
		rc = ledger_commit_control(l, &e, 1, em);
	mutex_unlock(&l->settle_mu);
	key_free(a);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) :
			ledger_checkpoint(l, em);
}
