/* dsse.c - see dsse.h. */
#include "ledger/dsse.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "ledger/key.h"

int dsse_pae(struct buf *out, const char *type, const void *payload, size_t n)
{
	size_t type_n = strlen(type);

	if (type_n == 0 || type_n > DSSE_TYPE_MAX || n > DSSE_PAYLOAD_MAX)
		return -ERR_LIMIT;
	buf_addf(out, "DSSEv1 %zu %s %zu ", type_n, type, n);
	buf_add(out, payload, n);
	return out->bad ? -ENOMEM : 0;
}

int dsse_format(struct buf *out, const char *type, const void *payload,
		size_t n, const char *keyid, const uint8_t sig[64])
{
	if (n > DSSE_PAYLOAD_MAX)
		return -ERR_LIMIT;
	buf_adds(out, "{\"payloadType\":");
	text_json_string(out, type, strlen(type));
	buf_adds(out, ",\"payload\":\"");
	text_base64(out, payload, n);
	buf_adds(out, "\",\"signatures\":[{\"keyid\":");
	text_json_string(out, keyid, strlen(keyid));
	buf_adds(out, ",\"sig\":\"");
	text_base64(out, sig, KEY_SIG_SIZE);
	buf_adds(out, "\"}]}\n");
	return out->bad ? -ENOMEM : 0;
}

/* One of "signatures": kept when it can be an Ed25519's. */
static int add_signature(struct dsse *d, const struct json *v)
{
	const char *sig = json_get_str(v, "sig");
	const struct json *keyid = json_get(v, "keyid");
	struct buf b = BUF_INIT;
	int rc;

	if (!sig || (keyid && keyid->type != JSON_STRING))
		return -ERR_FORMAT;
	if (d->n_sigs == DSSE_SIGS_MAX)
		return -ERR_LIMIT;
	rc = text_base64_decode(&b, sig, strlen(sig));
	if (rc == 0 && b.bad)
		rc = -ENOMEM;
	if (rc == 0 && b.n == KEY_SIG_SIZE)
		memcpy(d->sigs[d->n_sigs++], b.p, KEY_SIG_SIZE);
	buf_release(&b);
	return rc;
}

static int take_apart(struct dsse *d, const struct json *root)
{
	const struct json *payload = json_get(root, "payload");
	const struct json *list = json_get(root, "signatures");
	const char *type = json_get_str(root, "payloadType");
	int rc;

	if (!type || !payload || payload->type != JSON_STRING || !list ||
	    list->type != JSON_ARRAY || !list->first)
		return -ERR_FORMAT;
	if (strlen(type) > DSSE_TYPE_MAX)
		return -ERR_LIMIT;
	memcpy(d->type, type, strlen(type) + 1);
	rc = text_base64_decode(&d->payload, payload->text, payload->len);
	if (rc == 0 && d->payload.bad)
		rc = -ENOMEM;
	if (rc == 0 && d->payload.n > DSSE_PAYLOAD_MAX)
		rc = -ERR_LIMIT;
	for (const struct json *v = list->first; v && rc == 0; v = v->next)
		rc = add_signature(d, v);
	return rc;
}

int dsse_parse(struct dsse *out, const void *p, size_t n, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	int rc = n > DSSE_SIZE_MAX ? -ERR_LIMIT : 0;

	memset(out, 0, sizeof(*out));
	if (rc == 0)
		rc = json_parse(&doc, p, n, em);
	if (rc == 0) {
		rc = take_apart(out, json_root(doc));
		if (rc == -ERR_FORMAT)
			rc = errmsg_set(em, rc, "not a DSSE envelope");
	}
	if (rc == -ERR_LIMIT)
		rc = errmsg_set(em, rc, "a DSSE envelope that is too long");
	json_free(doc);
	return rc;
}

void dsse_release(struct dsse *d)
{
	buf_release(&d->payload);
	d->n_sigs = 0;
}

int dsse_verify(const struct dsse *d, const uint8_t pub[32])
{
	struct buf m = BUF_INIT;
	int rc = dsse_pae(&m, d->type, d->payload.p, d->payload.n), ok;

	ok = -ERR_SIGNATURE;
	for (unsigned i = 0; rc == 0 && ok < 0 && i < d->n_sigs; i++)
		ok = key_verify(pub, d->sigs[i], m.p, m.n);
	buf_release(&m);
	return rc < 0 ? rc : ok;
}

void dsse_pem(struct buf *out, const uint8_t pub[32])
{
	/* SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING } (RFC 8410) */
	uint8_t der[44] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
			    0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };

	memcpy(der + 12, pub, KEY_SIZE);
	buf_adds(out, "-----BEGIN PUBLIC KEY-----\n");
	text_base64(out, der, sizeof(der));
	buf_adds(out, "\n-----END PUBLIC KEY-----\n");
}
