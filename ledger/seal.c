/*
 * seal.c - encoding, signature and leaf hash of seals.
 *
 * Invariant: bytes that decode are the one encoding of what they say: every
 * field has a fixed place, reserved ones are checked, ext is strict TLVs.
 *
 * Pure; any thread.
 */
#include "ledger/seal.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "ledger/key.h"
#include "ledger/merkle.h"

enum { MESSAGE_MAX = sizeof(SEAL_CONTEXT) - 1 + SEAL_SIZE_MAX };

/* Strictly ascending TLVs; critical ones are all unknown so far. */
static int ext_check(const uint8_t *p, size_t n)
{
	struct breader r;
	uint32_t last = 0;

	if (n > LIMIT_SEAL_EXT)
		return -ERR_LIMIT;
	breader_init(&r, p, n);
	while (r.left > 0) {
		uint16_t tag = breader_u16(&r);
		uint16_t len = breader_u16(&r);

		if (breader_borrow(&r, len) == NULL || tag <= last)
			return -ERR_FORMAT;
		if (tag < 0x8000)
			return -ERR_NEWER;
		last = tag;
	}
	return 0;
}

static int fields_check(const struct seal *s)
{
	if (s->count < 1 || s->count > LIMIT_BATCH || s->mount_no == 0 ||
	    s->mount_no >= (1U << 23) - 1 || s->batch_seq == 0)
		return -ERR_FORMAT;
	if (s->first_seq > UINT64_MAX - LIMIT_BATCH ||
	    s->seen_size > UINT64_MAX >> 1)
		return -ERR_FORMAT;
	if (s->flags > (SEAL_CLOCK_BACK | SEAL_CLOCK_UNSYNCED))
		return -ERR_NEWER;
	if ((s->batch_seq == 1) != digest_is_zero(&s->prev_seal) ||
	    (s->seen_size == 0) != digest_is_zero(&s->seen_root))
		return -ERR_FORMAT;
	return ext_check(s->ext, s->ext_n);
}

int seal_encode(struct buf *out, const struct seal *s)
{
	int rc = fields_check(s);

	if (rc != 0)
		return rc;
	buf_add(out, "VSL1", 4);
	buf_u8(out, SEAL_FORMAT);
	buf_u8(out, SEAL_SIG_ALG);
	buf_u16(out, s->flags);
	buf_add(out, s->volume_id, sizeof(s->volume_id));
	buf_u32(out, s->mount_no);
	buf_u32(out, s->count);
	buf_add(out, s->incarnation, sizeof(s->incarnation));
	buf_u64(out, s->batch_seq);
	buf_u64(out, s->first_seq);
	buf_u64(out, (uint64_t)s->wall_ns);
	buf_add(out, s->prev_seal.b, sizeof(s->prev_seal.b));
	buf_add(out, s->batch_root.b, sizeof(s->batch_root.b));
	buf_u64(out, s->seen_size);
	buf_add(out, s->seen_root.b, sizeof(s->seen_root.b));
	buf_add(out, s->key_id, sizeof(s->key_id));
	buf_u16(out, (uint16_t)s->ext_n);
	buf_add(out, s->ext, s->ext_n);
	return out->bad ? -ENOMEM : 0;
}

static size_t seal_message(uint8_t out[MESSAGE_MAX], const void *p, size_t n)
{
	size_t head = sizeof(SEAL_CONTEXT) - 1;

	assert(n <= MESSAGE_MAX - head);
	memcpy(out, SEAL_CONTEXT, head);
	memcpy(out + head, p, n);
	return head + n;
}

int seal_sign(struct buf *out, struct seal *s, const struct key *k)
{
	uint8_t message[MESSAGE_MAX];
	size_t start = out->n;
	size_t n;
	int rc;

	assert(key_role(k) == KEY_MOUNT);
	key_id(s->key_id, key_public(k));
	rc = seal_encode(out, s);
	if (rc != 0)
		return rc;
	n = seal_message(message, out->p + start, out->n - start);
	key_sign(k, s->sig, message, n);
	buf_add(out, s->sig, sizeof(s->sig));
	return out->bad ? -ENOMEM : 0;
}

int seal_decode(struct seal *out, const void *p, size_t n)
{
	struct breader r;
	const uint8_t *magic;
	uint8_t format;
	uint8_t alg;

	memset(out, 0, sizeof(*out));
	if (n < SEAL_SIZE_MIN)
		return -ERR_SHORT;
	if (n > SEAL_SIZE_MAX)
		return -ERR_LIMIT;
	breader_init(&r, p, n);
	magic = breader_borrow(&r, 4);
	if (memcmp(magic, "VSL1", 4) != 0)
		return -ERR_FORMAT;
	format = breader_u8(&r);
	alg = breader_u8(&r);
	if (format != SEAL_FORMAT || alg != SEAL_SIG_ALG)
		return -ERR_NEWER;
	out->flags = breader_u16(&r);
	breader_copy(&r, out->volume_id, sizeof(out->volume_id));
	out->mount_no = breader_u32(&r);
	out->count = breader_u32(&r);
	breader_copy(&r, out->incarnation, sizeof(out->incarnation));
	out->batch_seq = breader_u64(&r);
	out->first_seq = breader_u64(&r);
	out->wall_ns = breader_i64(&r);
	breader_copy(&r, out->prev_seal.b, sizeof(out->prev_seal.b));
	breader_copy(&r, out->batch_root.b, sizeof(out->batch_root.b));
	out->seen_size = breader_u64(&r);
	breader_copy(&r, out->seen_root.b, sizeof(out->seen_root.b));
	breader_copy(&r, out->key_id, sizeof(out->key_id));
	out->ext_n = breader_u16(&r);
	out->ext = breader_borrow(&r, out->ext_n);
	breader_copy(&r, out->sig, sizeof(out->sig));
	if (r.bad)
		return -ERR_SHORT;
	if (!breader_done(&r))
		return -ERR_FORMAT;
	return fields_check(out);
}

int seal_verify(const void *p, size_t n, const uint8_t pub[32])
{
	uint8_t message[MESSAGE_MAX];
	struct seal s;
	uint8_t id[KEY_ID_SIZE];
	size_t len;
	int rc = seal_decode(&s, p, n);

	if (rc != 0)
		return rc;
	key_id(id, pub);
	if (memcmp(id, s.key_id, sizeof(id)) != 0)
		return -ERR_SIGNATURE;
	len = seal_message(message, p, n - SEAL_SIG_SIZE);
	return key_verify(pub, s.sig, message, len);
}

void seal_leaf(struct digest *out, const void *p, size_t n)
{
	merkle_leaf(out, p, n);
}

void seal_batch_root(struct digest *out, const struct digest *leaves, size_t n)
{
	merkle_root_of(out, leaves, n);
}

int seal_batch_verify(const struct seal *s, const struct digest *leaf,
		      uint32_t position, const struct merkle_proof *path)
{
	return merkle_inclusion_verify(leaf, position, s->count, path,
				       &s->batch_root);
}
