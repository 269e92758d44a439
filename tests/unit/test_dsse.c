/*
 * test_dsse.c - DSSE envelopes: what is signed, what is taken, what is not.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/dsse.h"
#include "ledger/key.h"
#include "ledger/note.h"

static const uint8_t seed[32] = { 7, 1, 9 };

static struct key *a_key(void)
{
	struct key *k = NULL;

	cr_assert_eq(key_from_seed(&k, KEY_MOUNT, seed), 0);
	return k;
}

static void sign(struct buf *out, const char *type, const void *p, size_t n)
{
	struct key *k = a_key();
	struct buf m = BUF_INIT;
	uint8_t sig[64];

	cr_assert_eq(dsse_pae(&m, type, p, n), 0);
	key_sign(k, sig, m.p, m.n);
	cr_assert_eq(dsse_format(out, type, p, n, "00ff", sig), 0);
	buf_release(&m);
	key_free(k);
}

/* The example of the specification. */
Test(dsse, what_is_signed_is_as_the_specification_says)
{
	struct buf b = BUF_INIT;

	cr_assert_eq(dsse_pae(&b, "http://example.com/HelloWorld",
			      "hello world", 11),
		     0);
	cr_assert_str_eq((char *)b.p, "DSSEv1 29 http://example.com/HelloWorld "
				      "11 hello world");
	buf_release(&b);
}

Test(dsse, an_envelope_is_taken_and_its_signature_holds)
{
	static const uint8_t payload[] = "{\"a\":\"\xc3\xa4\0b\"}";
	struct buf line = BUF_INIT;
	struct key *k = a_key();
	struct dsse d;

	sign(&line, DSSE_IN_TOTO, payload, sizeof(payload));
	cr_assert_eq(dsse_parse(&d, line.p, line.n, NULL), 0);
	cr_assert_str_eq(d.type, DSSE_IN_TOTO);
	cr_assert_eq(d.payload.n, sizeof(payload));
	cr_assert_arr_eq(d.payload.p, payload, sizeof(payload));
	cr_assert_eq(dsse_verify(&d, key_public(k)), 0);
	dsse_release(&d);
	buf_release(&line);
	key_free(k);
}

Test(dsse, another_key_type_or_payload_is_refused)
{
	struct buf line = BUF_INIT;
	struct key *k = a_key();
	uint8_t other[32];
	struct dsse d;

	sign(&line, DSSE_IN_TOTO, "{}", 2);
	cr_assert_eq(dsse_parse(&d, line.p, line.n, NULL), 0);
	memcpy(other, key_public(k), sizeof(other));
	other[3] ^= 1;
	cr_assert_lt(dsse_verify(&d, other), 0);
	d.payload.p[0] ^= 1;
	cr_assert_eq(dsse_verify(&d, key_public(k)), -ERR_SIGNATURE);
	d.payload.p[0] ^= 1;
	d.type[0] ^= 1;
	cr_assert_eq(dsse_verify(&d, key_public(k)), -ERR_SIGNATURE);
	d.type[0] ^= 1;
	cr_assert_eq(dsse_verify(&d, key_public(k)), 0);
	dsse_release(&d);
	buf_release(&line);
	key_free(k);
}

Test(dsse, one_good_signature_among_others_is_enough_and_none_is_not)
{
	struct buf line = BUF_INIT, more = BUF_INIT;
	struct key *k = a_key();
	char *sigs;
	struct dsse d;

	sign(&line, DSSE_IN_TOTO, "{}", 2);
	sigs = strstr((char *)line.p, "[{");
	cr_assert_not_null(sigs);
	buf_add(&more, line.p, (size_t)(sigs + 1 - (char *)line.p));
	buf_adds(&more, "{\"sig\":\"AAAA\"},");
	buf_adds(&more, sigs + 1);
	cr_assert_eq(dsse_parse(&d, more.p, more.n, NULL), 0);
	cr_assert_eq(d.n_sigs, 1);
	cr_assert_eq(dsse_verify(&d, key_public(k)), 0);
	d.n_sigs = 0;
	cr_assert_eq(dsse_verify(&d, key_public(k)), -ERR_SIGNATURE);
	dsse_release(&d);
	buf_release(&line);
	buf_release(&more);
	key_free(k);
}

Test(dsse, what_is_no_envelope_is_refused_in_words)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"payloadType\":\"a\",\"payload\":\"\",\"signatures\":[]}",
		"{\"payloadType\":\"a\",\"payload\":\"!\",\"signatures\":[{"
		"\"sig\":\"AAAA\"}]}",
		"{\"payloadType\":\"a\",\"payload\":\"YQ==\",\"signatures\":[{"
		"\"sig\":\"A\"}]}",
		"{\"payloadType\":\"a\",\"payload\":\"YQ==\",\"signatures\":[{"
		"\"keyid\":1,\"sig\":\"AAAA\"}]}",
		"{\"payloadType\":\"a\",\"payload\":\"YR==\",\"signatures\":[{"
		"\"sig\":\"AAAA\"}]}",
		"{\"payloadType\":\"a\",\"payload\":\"YQ==\",\"payload\":\"\","
		"\"signatures\":[{\"sig\":\"AAAA\"}]}",
	};
	struct dsse d;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct errmsg em = ERRMSG_INIT;

		cr_assert_lt(dsse_parse(&d, bad[i], strlen(bad[i]), &em), 0,
			     "%s", bad[i]);
		cr_assert_neq(em.text[0], '\0', "%s", bad[i]);
		dsse_release(&d);
	}
}

Test(dsse, nothing_too_long_is_signed_or_taken)
{
	char type[DSSE_TYPE_MAX + 2];
	struct buf b = BUF_INIT;
	struct dsse d;

	memset(type, 't', sizeof(type) - 1);
	type[sizeof(type) - 1] = '\0';
	cr_assert_eq(dsse_pae(&b, type, "", 0), -ERR_LIMIT);
	cr_assert_eq(dsse_pae(&b, "", "", 0), -ERR_LIMIT);
	cr_assert_eq(dsse_pae(&b, "a", "", DSSE_PAYLOAD_MAX + 1), -ERR_LIMIT);
	cr_assert_eq(b.n, 0);
	cr_assert_eq(dsse_parse(&d, "", DSSE_SIZE_MAX + 1, NULL), -ERR_LIMIT);
	dsse_release(&d);
}

/* An origin is the first line of what the log's key signs. */
Test(dsse, no_checkpoint_can_begin_as_a_statement_does)
{
	struct note_vkey k;

	cr_assert_lt(note_vkey_make(&k, "DSSEv1 28 application/x 2 {}",
				    NOTE_ED25519, seed),
		     0);
}

/* RFC 8410, 10.1: its example's key. */
Test(dsse, the_pem_is_that_of_rfc_8410)
{
	static const char *const hex = "19bf44096984cdfe8541bac167dc3b96"
				       "c85086aa30b6b6cb0c5c38ad703166e1";
	struct buf pub = BUF_INIT, pem = BUF_INIT;

	cr_assert_eq(text_hex_decode(&pub, hex, 64), 0);
	dsse_pem(&pem, pub.p);
	cr_assert_str_eq((char *)pem.p,
			 "-----BEGIN PUBLIC KEY-----\n"
			 "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4"
			 "rXAxZuE=\n"
			 "-----END PUBLIC KEY-----\n");
	buf_release(&pub);
	buf_release(&pem);
}
