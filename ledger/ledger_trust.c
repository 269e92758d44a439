/*
 * ledger_trust.c - keys/trusted.pub: what a stranger needs to know of this
 * log, and what `vouch key show` prints.
 *
 * It holds every log key there was, under the origin it signed for, and the
 * admin keys; made at creation, added to when the log key or the origin
 * changes.  A convenience of this store: a stranger believes the copy that
 * was handed over, not this one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/vio.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/trust.h"

static bool has_key(const struct note_vkey *v, size_t n,
		    const struct note_vkey *k, bool same_name)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(v[i].pub, k->pub, sizeof(k->pub)) == 0 &&
		    (!same_name || strcmp(v[i].name, k->name) == 0))
			return true;
	return false;
}

static int add_keys(struct ledger *l, struct trust *t)
{
	const uint8_t(*admins)[KEY_SIZE];
	unsigned n_admin = rules_admins(l->rules, &admins);
	struct note_vkey v;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < rules_key_count(l->rules); i++) {
		const struct rules_key *k = rules_key_at(l->rules, i);

		if (k->role != KEY_LOG)
			continue;
		rc = note_vkey_make(&v, l->volume.origin, NOTE_ED25519, k->pub);
		if (rc == 0 && !has_key(t->logs, t->n_logs, &v, false))
			rc = trust_add(t, "log", &v);
	}
	for (unsigned i = 0; rc == 0 && i < n_admin; i++) {
		rc = trust_admin_vkey(&v, l->volume.origin, admins[i]);
		if (rc == 0 && !has_key(t->admins, t->n_admins, &v, false))
			rc = trust_add(t, "admin", &v);
	}
	return rc;
}

static int trust_locked(struct ledger *l, struct buf *out)
{
	struct buf text = BUF_INIT;
	struct trust *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return -ENOMEM;
	rc = ledger_rules_advance(l, ledger_size(l), NULL);
	if (rc < 0)
		goto done;
	rc = vio_read_file(l->vio, &text, LEDGER_TRUSTED, TRUST_FILE_MAX);
	if (rc < 0 || trust_parse(t, text.p, text.n, NULL) < 0)
		memset(t, 0, sizeof(*t));
	rc = add_keys(l, t);
	if (rc == 0)
		trust_format(out, t);
	if (rc == 0 && out->bad)
		rc = -ENOMEM;
done:
	buf_release(&text);
	free(t);
	return rc;
}

int ledger_trust(struct ledger *l, struct buf *out)
{
	int rc;

	mutex_lock(&l->settle_mu);
	rc = trust_locked(l, out);
	mutex_unlock(&l->settle_mu);
	return rc;
}

int ledger_trust_save(struct ledger *l, struct errmsg *em)
{
	struct buf text = BUF_INIT;
	int rc = trust_locked(l, &text);

	if (rc == 0)
		rc = atomic_file_write(l->vio, LEDGER_TRUSTED, text.p, text.n,
				       0);
	buf_release(&text);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", LEDGER_TRUSTED,
				   err_text(rc)) :
			0;
}
