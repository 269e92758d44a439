/*
 * ledger_attest.c - statements about what the log holds, signed by the mount
 * that says so.
 *
 * The mount's key, not the log's: a mount answers for what it observed, its
 * key is certified by an admin, named by the log, and rotates; the log's key
 * signs checkpoints and nothing else (C2SP).  dsse.h says why a statement
 * cannot be taken for a seal.
 */
#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/dsse.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"

int ledger_attest(struct ledger *l, struct buf *out, const char *type,
		  const void *payload, size_t n)
{
	struct buf m = BUF_INIT, id = BUF_INIT;
	uint8_t sig[KEY_SIG_SIZE], key[KEY_ID_SIZE];
	int rc = ledger_writable(l);

	if (rc == 0)
		rc = dsse_pae(&m, type, payload, n);
	if (rc == 0) {
		mutex_lock(&l->seal_mu);
		key_sign(l->mount_key, sig, m.p, m.n);
		key_id(key, key_public(l->mount_key));
		mutex_unlock(&l->seal_mu);
		text_hex(&id, key, sizeof(key));
		rc = id.bad ? -ENOMEM : 0;
	}
	if (rc == 0)
		rc = dsse_format(out, type, payload, n, (char *)id.p, sig);
	buf_release(&m);
	buf_release(&id);
	return rc;
}
