/*
 * cert.c - key certificates; the bytes are in cert.h.  Pure; any thread.
 */
#include "ledger/cert.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "ledger/key.h"

#define CONTEXT "vouchfs/cert/v1\n"
enum { SIGNED_SIZE = 64, MESSAGE_SIZE = sizeof(CONTEXT) - 1 + SIGNED_SIZE };

static void cert_message(uint8_t out[MESSAGE_SIZE], const uint8_t *p)
{
	memcpy(out, CONTEXT, sizeof(CONTEXT) - 1);
	memcpy(out + sizeof(CONTEXT) - 1, p, SIGNED_SIZE);
}

static bool fields_ok(const struct cert *c)
{
	if (c->role == KEY_MOUNT)
		return c->mount_no >= 1 && c->mount_no <= CERT_MOUNT_MAX;
	return (c->role == KEY_LOG || c->role == KEY_REPLICA) &&
	       c->mount_no == 0;
}

int cert_make(uint8_t out[CERT_SIZE], const struct cert *c,
	      const struct key *admin)
{
	uint8_t message[MESSAGE_SIZE];
	struct bwriter w;

	if (key_role(admin) != KEY_ADMIN)
		return -ERR_KEY;
	if (!fields_ok(c))
		return -ERR_FORMAT;
	bwriter_init(&w, out, CERT_SIZE);
	bwriter_copy(&w, c->volume_id, sizeof(c->volume_id));
	bwriter_u32(&w, c->mount_no);
	bwriter_u8(&w, c->role);
	bwriter_u8(&w, 1);
	bwriter_u16(&w, 0);
	bwriter_copy(&w, c->pub, sizeof(c->pub));
	bwriter_u64(&w, 0);
	assert(!w.bad && w.n == SIGNED_SIZE);
	cert_message(message, out);
	key_sign(admin, out + SIGNED_SIZE, message, sizeof(message));
	return 0;
}

int cert_decode(struct cert *out, const uint8_t p[CERT_SIZE])
{
	struct breader r;
	uint8_t alg;
	uint16_t zero16;
	uint64_t zero64;

	breader_init(&r, p, SIGNED_SIZE);
	breader_copy(&r, out->volume_id, sizeof(out->volume_id));
	out->mount_no = breader_u32(&r);
	out->role = breader_u8(&r);
	alg = breader_u8(&r);
	zero16 = breader_u16(&r);
	breader_copy(&r, out->pub, sizeof(out->pub));
	zero64 = breader_u64(&r);
	assert(breader_done(&r));
	if (zero16 != 0 || zero64 != 0 || alg != 1)
		return -ERR_NEWER;
	return fields_ok(out) ? 0 : -ERR_FORMAT;
}

int cert_verify(const uint8_t p[CERT_SIZE], const uint8_t admin[32])
{
	uint8_t message[MESSAGE_SIZE];

	cert_message(message, p);
	return key_verify(admin, p + SIGNED_SIZE, message, sizeof(message));
}
