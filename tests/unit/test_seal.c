/*
 * test_seal.c - seals, certificates, batch paths.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/cert.h"
#include "ledger/key.h"
#include "ledger/merkle.h"
#include "ledger/seal.h"

static struct key *fixed(uint8_t first, enum key_role role)
{
	uint8_t seed[32] = { first };
	struct key *k = NULL;

	cr_assert_eq(key_from_seed(&k, role, seed), 0);
	return k;
}

static struct seal sample(void)
{
	struct seal s = {
		.flags = SEAL_CLOCK_UNSYNCED,
		.mount_no = 3,
		.count = 5,
		.batch_seq = 9,
		.first_seq = 100,
		.wall_ns = -1,
		.prev_seal = { { 1 } },
		.batch_root = { { 2 } },
		.seen_size = 7,
		.seen_root = { { 3 } },
	};

	memset(s.volume_id, 4, 16);
	memset(s.incarnation, 5, 16);
	return s;
}

Test(seal, round_trips_and_verifies)
{
	struct key *k = fixed(1, KEY_MOUNT);
	struct seal s = sample();
	struct seal back;
	struct buf b = BUF_INIT;
	uint8_t ext[] = { 0, 0x80, 1, 0, 'x' };

	s.ext = ext;
	s.ext_n = sizeof(ext);
	cr_assert_eq(seal_sign(&b, &s, k), 0);
	cr_assert_eq(b.n, SEAL_SIZE_MIN + sizeof(ext));
	cr_assert_eq(seal_decode(&back, b.p, b.n), 0);
	cr_assert_eq(back.mount_no, 3);
	cr_assert_eq(back.wall_ns, -1);
	cr_assert_eq(back.ext_n, sizeof(ext));
	cr_assert_eq(seal_verify(b.p, b.n, key_public(k)), 0);
	buf_release(&b);
	key_free(k);
}

Test(seal, no_byte_can_be_changed)
{
	struct key *k = fixed(1, KEY_MOUNT);
	struct seal s = sample();
	struct buf b = BUF_INIT;

	cr_assert_eq(seal_sign(&b, &s, k), 0);
	for (size_t i = 0; i < b.n; i++)
		for (unsigned bit = 0; bit < 8; bit += 3) {
			b.p[i] ^= (uint8_t)(1 << bit);
			cr_assert_lt(seal_verify(b.p, b.n, key_public(k)), 0,
				     "byte %zu", i);
			b.p[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t n = 0; n < b.n; n++)
		cr_assert_lt(seal_verify(b.p, n, key_public(k)), 0);
	buf_release(&b);
	key_free(k);
}

Test(seal, another_key_does_not_verify)
{
	struct key *k = fixed(1, KEY_MOUNT);
	struct key *other = fixed(2, KEY_MOUNT);
	struct seal s = sample();
	struct buf b = BUF_INIT;

	cr_assert_eq(seal_sign(&b, &s, k), 0);
	cr_assert_eq(seal_verify(b.p, b.n, key_public(other)), -ERR_SIGNATURE);
	buf_release(&b);
	key_free(k);
	key_free(other);
}

static int encodes(const struct seal *s)
{
	struct buf b = BUF_INIT;
	int rc = seal_encode(&b, s);

	buf_release(&b);
	return rc;
}

Test(seal, fields_out_of_range_are_refused)
{
	struct seal s = sample();

	s.count = 0;
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s.count = 4097;
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s = sample();
	s.mount_no = 0;
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s.mount_no = (1 << 23) - 1;
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s = sample();
	s.batch_seq = 0;
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s.batch_seq = 1; /* but prev_seal is not 0 */
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s = sample();
	s.seen_size = 0; /* but seen_root is not 0 */
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
	s = sample();
	s.flags = 4;
	cr_assert_eq(encodes(&s), -ERR_NEWER);
	s = sample();
	s.ext = (const uint8_t *)"\1\0\0\0";
	s.ext_n = 4;
	cr_assert_eq(encodes(&s), -ERR_NEWER);
	s.ext = (const uint8_t *)"\1\x80\0\0\1\x80\0\0";
	s.ext_n = 8;
	cr_assert_eq(encodes(&s), -ERR_FORMAT);
}

Test(seal, every_entry_of_a_batch_has_a_path)
{
	struct digest leaves[9];
	struct seal s = sample();

	for (unsigned i = 0; i < 9; i++)
		memset(leaves[i].b, (int)i + 1, 32);
	for (uint32_t n = 1; n <= 9; n++) {
		struct digest h[2 * 9];
		struct merkle_tree t = { h, n };

		memcpy(h, leaves, sizeof(leaves));
		merkle_tree_fill(&t);
		s.count = n;
		seal_batch_root(&s.batch_root, leaves, n);
		for (uint32_t i = 0; i < n; i++) {
			struct merkle_proof p;

			cr_assert_eq(merkle_inclusion(&p, i, n,
						      merkle_tree_read, &t),
				     0);
			cr_assert_eq(seal_batch_verify(&s, &leaves[i], i, &p),
				     0);
			if (n > 1)
				cr_assert_eq(seal_batch_verify(&s, &leaves[i],
							       (i + 1) % n, &p),
					     -ERR_PROOF);
		}
	}
	/* Entries' leaf hashes are level 0 and not hashed again. */
	s.count = 1;
	seal_batch_root(&s.batch_root, leaves, 1);
	cr_assert(digest_eq(&s.batch_root, &leaves[0]));
}

Test(cert, verifies_with_its_admin_alone_and_no_byte_can_change)
{
	struct key *admin = fixed(1, KEY_ADMIN);
	struct key *other = fixed(2, KEY_ADMIN);
	struct key *mount = fixed(3, KEY_MOUNT);
	struct cert c = { .mount_no = 5, .role = KEY_MOUNT };
	struct cert back;
	uint8_t p[CERT_SIZE];

	memcpy(c.pub, key_public(mount), 32);
	memset(c.volume_id, 9, 16);
	cr_assert_eq(cert_make(p, &c, admin), 0);
	cr_assert_eq(cert_make(p, &c, mount), -ERR_KEY);
	cr_assert_eq(cert_decode(&back, p), 0);
	cr_assert_eq(back.mount_no, 5);
	cr_assert_arr_eq(back.pub, c.pub, 32);
	cr_assert_eq(cert_verify(p, key_public(admin)), 0);
	cr_assert_eq(cert_verify(p, key_public(other)), -ERR_SIGNATURE);
	for (size_t i = 0; i < sizeof(p); i++) {
		p[i] ^= 0x10;
		cr_assert_eq(cert_verify(p, key_public(admin)), -ERR_SIGNATURE);
		p[i] ^= 0x10;
	}
	key_free(admin);
	key_free(other);
	key_free(mount);
}

Test(cert, roles_and_numbers_must_fit)
{
	struct key *admin = fixed(1, KEY_ADMIN);
	struct cert c = { .mount_no = 0, .role = KEY_MOUNT };
	uint8_t p[CERT_SIZE];

	cr_assert_eq(cert_make(p, &c, admin), -ERR_FORMAT);
	c.mount_no = CERT_MOUNT_MAX + 1;
	cr_assert_eq(cert_make(p, &c, admin), -ERR_FORMAT);
	c.mount_no = 1;
	c.role = KEY_LOG;
	cr_assert_eq(cert_make(p, &c, admin), -ERR_FORMAT);
	c.mount_no = 0;
	cr_assert_eq(cert_make(p, &c, admin), 0);
	c.role = KEY_ADMIN;
	cr_assert_eq(cert_make(p, &c, admin), -ERR_FORMAT);
	key_free(admin);
}
