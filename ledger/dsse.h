/*
 * dsse.h - signed statements: DSSE v1 envelopes, made, taken apart, checked.
 *
 * An envelope is one line of JSON: the payload in base64, its type, and
 * signatures over PAE(type, payload) = "DSSEv1 LEN TYPE LEN PAYLOAD".
 *
 * Domain separation: everything else that a key of a volume signs starts with
 * "vouchfs/" (seals, certificates, bodies; see seal.c, cert.c, entry.c) or is
 * a C2SP note, whose first line is an origin without blanks; a PAE starts with
 * "DSSEv1 ".  So no signature of one kind can be shown as one of another.
 *
 * Pure; any thread.  What is parsed is hostile until dsse_verify() says
 * otherwise, and then only the payload and the type: a keyid is a hint.
 */
#ifndef LEDGER_DSSE_H
#define LEDGER_DSSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"

struct errmsg;

#define DSSE_IN_TOTO "application/vnd.in-toto+json"
enum { DSSE_TYPE_MAX = 128, DSSE_SIGS_MAX = 16 };
/* So that the envelope, in base64 within JSON, can be read again. */
enum { DSSE_PAYLOAD_MAX = 8 << 20, DSSE_SIZE_MAX = 12 << 20 };

/* Appends the bytes that are signed.  -ERR_LIMIT: too long. */
int must_use dsse_pae(struct buf *out, const char *type, const void *payload,
		      size_t n);
/* Appends the envelope with one signature and a newline. */
int must_use dsse_format(struct buf *out, const char *type, const void *payload,
			 size_t n, const char *keyid, const uint8_t sig[64]);

struct dsse {
	char type[DSSE_TYPE_MAX + 1];
	struct buf payload;
	unsigned n_sigs; /* Ed25519's; others are left out */
	uint8_t sigs[DSSE_SIGS_MAX][64];
};

/*
 * Takes an envelope apart, strictly: base64 canonical, no unknown shape.
 * -ERR_FORMAT, -ERR_LIMIT, in words.  dsse_release() in any case.
 */
int must_use dsse_parse(struct dsse *out, const void *p, size_t n,
			struct errmsg *em);
void dsse_release(struct dsse *d);
/* 0 when one of the signatures is that key's, else -ERR_SIGNATURE. */
int must_use dsse_verify(const struct dsse *d, const uint8_t pub[32]);

/* Appends SubjectPublicKeyInfo in PEM, as openssl and cosign want a key. */
void dsse_pem(struct buf *out, const uint8_t pub[32]);

#endif
