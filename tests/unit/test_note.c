/*
 * test_note.c - signed notes, verifier keys, checkpoints: published vectors
 * byte for byte, and what must be refused.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/checkpoint.h"
#include "ledger/key.h"
#include "ledger/note.h"

#define ORIGIN "vouchfs.example/log1"
#define LOG_VKEY ORIGIN "+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM"
#define WITNESS_VKEY                   \
	"witness.example/w1+8c040ee4+" \
	"BLtcZySCsNzKkaIaTtY7Fa/eiqE3jacs0Bs0lYnW591q"
#define DASH "\xe2\x80\x94 "
#define LOG_LINE                                                        \
	DASH ORIGIN " KF7d73QxC/4ZVC5S0TT+YylT9mx8EwGf6/5xtMvcDmzZjCeJ" \
		    "AjsOU5UU9Hc3RvMicbw4YblQhQyxt6o/EWaPdZvVLg8=\n"
#define COSIG_LINE                                                      \
	DASH "witness.example/w1 "                                      \
	     "jAQO5AAAAABlU/EACozgpIBbvmH7Kz7cXCaUwEL3LNHEI/pSoLhU3keI" \
	     "xoaEZSS6vv6/Mzzy33VRkqlE0bDQIcBWuyx6I2XfGnP+DQ==\n"
#define TEXT ORIGIN "\n5\n5w0j1o/HhFFtVqpyCxfcUlVz6dXnI0zpPTCjQJZiR0o=\n"
#define NOTE TEXT "\n" LOG_LINE COSIG_LINE

static struct key *vector_key(uint8_t first, enum key_role role)
{
	uint8_t seed[32] = { first };
	struct key *k = NULL;

	cr_assert_eq(key_from_seed(&k, role, seed), 0);
	return k;
}

static void vector_keys(struct note_vkey out[2])
{
	cr_assert_eq(note_vkey_parse(&out[0], LOG_VKEY, strlen(LOG_VKEY)), 0);
	cr_assert_eq(
		note_vkey_parse(&out[1], WITNESS_VKEY, strlen(WITNESS_VKEY)),
		0);
}

Test(note, vkeys_are_those_published)
{
	struct key *log = vector_key(7, KEY_LOG);
	struct key *witness = vector_key(9, KEY_LOG);
	struct note_vkey k;
	struct buf b = BUF_INIT;

	cr_assert_eq(note_vkey_make(&k, ORIGIN, NOTE_ED25519, key_public(log)),
		     0);
	note_vkey_format(&b, &k);
	cr_assert_str_eq((char *)b.p, LOG_VKEY);
	buf_clear(&b);
	cr_assert_eq(note_vkey_make(&k, "witness.example/w1", NOTE_COSIGNATURE,
				    key_public(witness)),
		     0);
	note_vkey_format(&b, &k);
	cr_assert_str_eq((char *)b.p, WITNESS_VKEY);
	buf_release(&b);
	key_free(log);
	key_free(witness);
}

Test(note, checkpoint_and_cosignature_are_those_published)
{
	struct key *log = vector_key(7, KEY_LOG);
	struct key *witness = vector_key(9, KEY_LOG);
	struct checkpoint c = { .origin = ORIGIN, .size = 5 };
	struct buf root = BUF_INIT;
	struct buf b = BUF_INIT;
	static const char text[] =
		"5w0j1o/HhFFtVqpyCxfcUlVz6dXnI0zpPTCjQJZiR0o=";

	cr_assert_eq(text_base64_decode(&root, text, strlen(text)), 0);
	memcpy(c.root.b, root.p, 32);
	cr_assert_eq(checkpoint_sign(&b, &c, log), 0);
	cr_assert_str_eq((char *)b.p, TEXT "\n" LOG_LINE);
	cr_assert_eq(note_cosign(&b, TEXT, strlen(TEXT), "witness.example/w1",
				 witness, 1700000000),
		     0);
	cr_assert_str_eq((char *)b.p, NOTE);
	buf_release(&b);
	buf_release(&root);
	key_free(log);
	key_free(witness);
}

Test(note, verifies_log_and_witness)
{
	struct note_vkey keys[2];
	struct note note;
	bool by[2] = { false };
	uint64_t when[2] = { 0 };

	vector_keys(keys);
	cr_assert_eq(note_parse(&note, NOTE, strlen(NOTE)), 0);
	cr_assert_eq(note.n_sigs, 2);
	cr_assert_eq(note.text_n, strlen(TEXT));
	cr_assert_eq(note_verify(&note, keys, 2, by, when), 2);
	cr_assert(by[0] && by[1]);
	cr_assert_eq(when[0], 0);
	cr_assert_eq(when[1], 1700000000);
}

Test(note, unknown_keys_are_ignored_and_none_is_not_enough)
{
	struct note_vkey keys[2];
	struct note note;

	vector_keys(keys);
	cr_assert_eq(note_parse(&note, NOTE, strlen(NOTE)), 0);
	cr_assert_eq(note_verify(&note, keys, 1, NULL, NULL), 1);
	cr_assert_eq(note_verify(&note, keys + 1, 1, NULL, NULL), 1);
	keys[0].id ^= 1;
	cr_assert_eq(note_verify(&note, keys, 1, NULL, NULL), -ERR_KEY);
	cr_assert_eq(note_verify(&note, keys, 2, NULL, NULL), 1);
	cr_assert_eq(note_verify(&note, keys, 0, NULL, NULL), -ERR_KEY);
}

Test(note, a_known_key_that_fails_refuses_all)
{
	struct note_vkey keys[2];
	struct note note;
	char text[] = NOTE;

	vector_keys(keys);
	text[strlen(ORIGIN) + 1] = '6'; /* the size */
	cr_assert_eq(note_parse(&note, text, strlen(text)), 0);
	cr_assert_eq(note_verify(&note, keys, 2, NULL, NULL), -ERR_SIGNATURE);
	cr_assert_eq(note_verify(&note, keys + 1, 1, NULL, NULL),
		     -ERR_SIGNATURE);
}

Test(note, sixteen_and_more_signatures_are_taken)
{
	struct note_vkey keys[2];
	struct note note;
	struct buf b = BUF_INIT;
	uint8_t sig[100] = { 1 };

	vector_keys(keys);
	buf_adds(&b, TEXT "\n");
	for (unsigned i = 0; i < 40; i++)
		note_add_signature(&b, "someone.example/else", i, sig,
				   sizeof(sig));
	buf_adds(&b, LOG_LINE);
	cr_assert_eq(note_parse(&note, b.p, b.n), 0);
	cr_assert_eq(note.n_sigs, 41);
	cr_assert_eq(note_verify(&note, keys, 1, NULL, NULL), 1);
	for (unsigned i = 0; i < 40; i++)
		note_add_signature(&b, "someone.example/else", i, sig,
				   sizeof(sig));
	cr_assert_eq(note_parse(&note, b.p, b.n), -ERR_LIMIT);
	buf_release(&b);
}

Test(note, text_may_hold_blank_lines)
{
	struct key *k = vector_key(7, KEY_LOG);
	struct note_vkey vk;
	struct note note;
	struct buf b = BUF_INIT;
	static const char text[] = "one\n\ntwo\n\nthree\n";

	cr_assert_eq(note_sign(&b, text, strlen(text), "a.example", k), 0);
	cr_assert_eq(
		note_vkey_make(&vk, "a.example", NOTE_ED25519, key_public(k)),
		0);
	cr_assert_eq(note_parse(&note, b.p, b.n), 0);
	cr_assert_eq(note.text_n, strlen(text));
	cr_assert_eq(note_verify(&note, &vk, 1, NULL, NULL), 1);
	buf_release(&b);
	key_free(k);
}

Test(note, bad_notes_are_refused)
{
	static const char *const bad[] = {
		"",
		"\n",
		"a",
		"a\n",
		"a\n\n",
		"\n\n" LOG_LINE,
		TEXT LOG_LINE,				  /* no blank line */
		TEXT "\n" LOG_LINE "\n",		  /* ends in one */
		TEXT "\n" DASH "name AAAAAAAA",		  /* no newline */
		TEXT "\n" DASH "name AAAAAAA\n",	  /* base64 */
		TEXT "\n" DASH "name AAAAAAB=\n",	  /* unused bits */
		TEXT "\n" DASH "name AAAA AAA=\n",	  /* space */
		TEXT "\n" DASH "name AAAAAAA=\r\n",	  /* CRLF */
		TEXT "\n" DASH "name AAAA\n",		  /* id alone */
		TEXT "\n" DASH "na+me AAAAAAAA\n",	  /* plus */
		TEXT "\n" DASH " AAAAAAAA\n",		  /* no name */
		TEXT "\n" DASH "na\xc2\xa0me AAAAAAAA\n", /* no-break space */
		TEXT "\n-- name AAAAAAAA\n",		  /* dash */
		"bad\xff\n\n" LOG_LINE,			  /* UTF-8 */
		"tab\there\n\n" LOG_LINE,		  /* control */
	};
	struct note note;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_lt(note_parse(&note, bad[i], strlen(bad[i])), 0,
			     "case %zu", i);
	cr_assert_eq(note_parse(&note, "a\n\n" LOG_LINE, 3 + strlen(LOG_LINE)),
		     0);
	cr_assert_lt(
		note_parse(&note, "a\0\n\n" LOG_LINE, 4 + strlen(LOG_LINE)), 0);
}

Test(note, bad_vkeys_are_refused)
{
	static const char *const bad[] = {
		"",
		"+",
		ORIGIN,
		ORIGIN "+285eddef",
		ORIGIN "+285eddef+",
		ORIGIN "+285EDDEF+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM",
		ORIGIN "+285eddee+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM",
		ORIGIN "+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JN",
		ORIGIN
		"+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM ",
		ORIGIN "+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/J",
		"other+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM",
		"+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM",
	};
	struct note_vkey k;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_lt(note_vkey_parse(&k, bad[i], strlen(bad[i])), 0,
			     "case %zu", i);
}

Test(note, vkey_base64_may_hold_a_plus)
{
	/* The type byte 1 and a key that starts with 0xf8: "Afg..."; any
	 * seed whose key text holds '+' must come back. */
	unsigned with_plus = 0;

	for (unsigned i = 0; i < 64; i++) {
		struct key *key = vector_key((uint8_t)i, KEY_LOG);
		struct note_vkey k;
		struct note_vkey again;
		struct buf b = BUF_INIT;

		cr_assert_eq(note_vkey_make(&k, "x.example", NOTE_ED25519,
					    key_public(key)),
			     0);
		note_vkey_format(&b, &k);
		with_plus += strchr((char *)b.p + 19, '+') != NULL;
		cr_assert_eq(note_vkey_parse(&again, (char *)b.p, b.n), 0);
		cr_assert_arr_eq(again.pub, k.pub, 32);
		buf_release(&b);
		key_free(key);
	}
	cr_assert_gt(with_plus, 0);
}

Test(checkpoint, opens_with_the_logs_key_alone)
{
	struct note_vkey keys[2];
	struct checkpoint c;

	vector_keys(keys);
	cr_assert_eq(checkpoint_open(&c, NOTE, strlen(NOTE), keys, 1), 0);
	cr_assert_eq(c.size, 5);
	cr_assert_str_eq(c.origin, ORIGIN);
	/* A witness's word alone is none. */
	cr_assert_eq(checkpoint_open(&c, NOTE, strlen(NOTE), keys + 1, 1),
		     -ERR_KEY);
}

Test(checkpoint, a_key_of_another_name_does_not_count)
{
	struct key *k = vector_key(7, KEY_LOG);
	struct note_vkey vk;
	struct checkpoint c;
	struct buf b = BUF_INIT;

	cr_assert_eq(note_sign(&b, TEXT, strlen(TEXT), "other.example/log", k),
		     0);
	cr_assert_eq(note_vkey_make(&vk, "other.example/log", NOTE_ED25519,
				    key_public(k)),
		     0);
	cr_assert_eq(checkpoint_open(&c, b.p, b.n, &vk, 1), -ERR_KEY);
	buf_release(&b);
	key_free(k);
}

Test(checkpoint, parses_strictly_and_ignores_extensions)
{
	static const char root[] =
		"5w0j1o/HhFFtVqpyCxfcUlVz6dXnI0zpPTCjQJZiR0o=\n";
	static const char *const sizes[] = { "05",
					     "-1",
					     "+5",
					     "",
					     " 5",
					     "5 ",
					     "9223372036854775808",
					     "99999999999999999999",
					     "0x5" };
	struct checkpoint c;
	struct buf b = BUF_INIT;

	cr_assert_eq(
		checkpoint_parse(&c, TEXT "ext 1\next 2\n", strlen(TEXT) + 12),
		0);
	cr_assert_neq(checkpoint_parse(&c, TEXT "\nx\n", strlen(TEXT) + 3), 0);
	cr_assert_neq(checkpoint_parse(&c, TEXT, strlen(TEXT) - 1), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		buf_clear(&b);
		buf_addf(&b, "%s\n%s\n%s", ORIGIN, sizes[i], root);
		cr_assert_lt(checkpoint_parse(&c, (char *)b.p, b.n), 0,
			     "size %s", sizes[i]);
	}
	buf_release(&b);
}
