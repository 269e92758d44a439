/*
 * test_digest.c - known answers, pieces against the whole, hex.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/thread.h"

static void hex_is(const struct digest *d, const char *want)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(hex, d);
	cr_assert_str_eq(hex, want);
}

Test(digest, known_answers_of_sha256)
{
	struct digest d;

	digest_sha256(&d, "", 0);
	hex_is(&d, "e3b0c44298fc1c149afbf4c8996fb924"
		   "27ae41e4649b934ca495991b7852b855");
	digest_sha256(&d, NULL, 0);
	hex_is(&d, "e3b0c44298fc1c149afbf4c8996fb924"
		   "27ae41e4649b934ca495991b7852b855");
	digest_sha256(&d, "abc", 3);
	hex_is(&d, "ba7816bf8f01cfea414140de5dae2223"
		   "b00361a396177a9cb410ff61f20015ad");
}

Test(digest, known_answers_of_blake3)
{
	struct digest d;
	struct digest e;

	digest_blake3(&d, "", 0);
	hex_is(&d, "af1349b9f5f9a1a6a0404dea36dcc949"
		   "9bcb25c9adc112b7cc9a93cae41f3262");
	digest_blake3(&d, "abc", 3);
	hex_is(&d, "6437b3ac38465133ffb63b75273a8db5"
		   "48c558465d79db03fd359c6cd5bd9d85");
	digest_blake3_derive(&e, "vouchfs test v1", "abc", 3);
	cr_assert_not(digest_eq(&d, &e));
	digest_blake3_derive(&d, "vouchfs test v2", "abc", 3);
	cr_assert_not(digest_eq(&d, &e));
}

Test(digest, pieces_and_streams_equal_the_whole)
{
	uint8_t data[1000];
	struct digest whole;
	struct digest d;
	struct digest_sha256_ctx *c = digest_sha256_new();

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	digest_sha256(&whole, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut += 37) {
		struct digest_piece v[3] = {
			{ data, cut / 2 },
			{ data + cut / 2, cut - cut / 2 },
			{ data + cut, sizeof(data) - cut },
		};

		digest_sha256_pieces(&d, v, 3);
		cr_assert(digest_eq(&d, &whole));
		digest_sha256_update(c, data, cut);
		digest_sha256_update(c, data + cut, sizeof(data) - cut);
		digest_sha256_final(c, &d);
		cr_assert(digest_eq(&d, &whole));
	}
	digest_sha256_update(c, data, 1);
	digest_sha256_reset(c);
	digest_sha256_update(c, data, sizeof(data));
	digest_sha256_final(c, &d);
	cr_assert(digest_eq(&d, &whole));
	digest_sha256_free(c);
	digest_sha256_free(NULL);
}

Test(digest, every_length_equals_the_stream)
{
	struct digest_sha256_ctx *c = digest_sha256_new();
	uint8_t data[600];
	struct digest d;
	struct digest want;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 11 + 1);
	for (size_t n = 0; n <= sizeof(data); n++) {
		struct digest_piece v[3] = {
			{ data, n / 3 },
			{ data + n / 3, n - n / 3 },
			{ NULL, 0 },
		};

		digest_sha256_update(c, data, n);
		digest_sha256_final(c, &want);
		digest_sha256_pieces(&d, v, 3);
		cr_assert(digest_eq(&d, &want), "%zu bytes", n);
	}
	digest_sha256_free(c);
}

static void hash_many(void *arg)
{
	struct digest d;
	struct digest want;
	int *bad = arg;

	digest_sha256(&want, "abc", 3);
	for (int i = 0; i < 10000; i++) {
		digest_sha256(&d, "abc", 3);
		*bad += !digest_eq(&d, &want);
	}
}

Test(digest, threads_do_not_mix)
{
	struct thread t[4];
	int bad[4] = { 0 };

	for (int i = 0; i < 4; i++)
		cr_assert_eq(thread_start(&t[i], "hash", hash_many, &bad[i]),
			     0);
	for (int i = 0; i < 4; i++) {
		thread_join(&t[i]);
		cr_assert_eq(bad[i], 0);
	}
}

Test(digest, hex_has_one_form)
{
	struct digest d;
	struct digest e;
	char hex[DIGEST_HEX_SIZE];

	digest_sha256(&d, "x", 1);
	digest_hex(hex, &d);
	cr_assert_eq(digest_from_hex(&e, hex, 64), 0);
	cr_assert(digest_eq(&d, &e));
	cr_assert_eq(digest_from_hex(&e, hex, 63), -ERR_FORMAT);
	cr_assert_eq(digest_from_hex(&e, hex, 65), -ERR_FORMAT);
	hex[5] = 'A';
	cr_assert_eq(digest_from_hex(&e, hex, 64), -ERR_FORMAT);
	hex[5] = 'g';
	cr_assert_eq(digest_from_hex(&e, hex, 64), -ERR_FORMAT);
	hex[5] = '\0';
	cr_assert_eq(digest_from_hex(&e, hex, 64), -ERR_FORMAT);
	cr_assert(digest_eq(&d, &e), "a failed parse changes nothing");
	digest_hex_bytes(hex, "\x00\xff\x10", 3);
	cr_assert_str_eq(hex, "00ff10");
}

Test(digest, zero_and_prefix)
{
	struct digest d = { .b = { 1, 2, 3, 4, 5, 6, 7, 0x88, 9 } };

	cr_assert(digest_is_zero(&digest_zero));
	cr_assert_not(digest_is_zero(&d));
	cr_assert_eq(digest_prefix(&d), 0x8807060504030201u);
	d = digest_zero;
	d.b[31] = 1;
	cr_assert_not(digest_is_zero(&d));
}
