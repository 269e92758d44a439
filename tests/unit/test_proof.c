/*
 * test_proof.c - proofs: what a stranger learns, and that nothing can be
 * changed, left out or slipped in.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/key.h"
#include "ledger/proof.h"
#include "ledger/proof_text.h"
#include "tests/sim/prng.h"
#include "tests/sim/sample_log.h"

static struct sample_log s;
static struct trust trust;
static struct buf text;
static struct proof proof;
static struct proof_report report;
static struct proof_file file;

static void setup(void)
{
	sample_log_init(&s);
	sample_log_story(&s, 9);
	sample_log_trust(&s, &trust);
	sample_log_prove_story(&s, &text);
	file.size = strlen(SAMPLE_MODEL);
	digest_sha256(&file.sha256, SAMPLE_MODEL, strlen(SAMPLE_MODEL));
}

static void teardown(void)
{
	proof_release(&proof);
	buf_release(&text);
	sample_log_release(&s);
}

TestSuite(proof, .init = setup, .fini = teardown);

static int check(struct errmsg *em)
{
	int rc;

	proof_release(&proof);
	rc = proof_parse(&proof, text.p, text.n, em);
	return rc != 0 ? rc : proof_check(&report, &proof, &trust, &file, em);
}

static void expect_no(int rc, const char *words)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(check(&em), rc, "%s", em.text);
	cr_assert_not_null(strstr(em.text, words), "\"%s\" is not in \"%s\"",
			   words, em.text);
}

Test(proof, tells_who_what_when_and_from_what)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(check(&em), 0, "%s", em.text);
	cr_assert(report.admin_vouched);
	cr_assert(report.via_digest);
	cr_assert(report.has_actor);
	cr_assert_eq(report.actor.uid, 1000);
	cr_assert_eq(report.path.n, strlen("model.bin"));
	cr_assert(report.reads_complete);
	cr_assert_eq(report.n_inputs, 1);
	cr_assert_arr_eq(report.inputs[0].path.p, "data.csv", 8);
	cr_assert(report.inputs[0].has_sha256);
	cr_assert_eq(report.seal_index, 4);
	cr_assert_eq(report.checkpoint.size, s.size);
}

Test(proof, is_formatted_as_it_was_parsed)
{
	struct buf again = BUF_INIT;

	cr_assert_eq(proof_parse(&proof, text.p, text.n, NULL), 0);
	cr_assert_eq(proof_format(&again, &proof), 0);
	cr_assert_eq(again.n, text.n);
	cr_assert_arr_eq(again.p, text.p, text.n);
	buf_release(&again);
}

Test(proof, of_a_version_with_its_own_digest_needs_no_other)
{
	buf_clear(&text);
	sample_log_prove(&s, &text, &s.input_version, NULL, 0);
	file.size = 8;
	digest_sha256(&file.sha256, "a,b\n1,2\n", 8);
	cr_assert_eq(check(NULL), 0);
	cr_assert(!report.via_digest);
	cr_assert(!report.has_actor);
	cr_assert(report.reads_complete);
}

Test(proof, another_file_is_refused_with_both_digests)
{
	file.sha256.b[0] ^= 1;
	expect_no(-ERR_PROOF, "its SHA-256 is");
	file.size++;
	expect_no(-ERR_PROOF, "bytes, recorded");
}

Test(proof, without_admin_key_the_log_alone_vouches)
{
	struct buf words = BUF_INIT;

	trust.n_admins = 0;
	cr_assert_eq(check(NULL), 0);
	cr_assert(!report.admin_vouched);
	proof_text(&words, &report, NULL);
	cr_assert_not_null(
		strstr((char *)words.p, "author vouched for by the log only"));
	buf_release(&words);
}

Test(proof, a_strangers_keys_prove_nothing)
{
	struct trust was = trust;

	trust.logs[0].pub[0] ^= 1;
	expect_no(-ERR_SIGNATURE, "signature does not verify");
	trust.logs[0].id ^= 1;
	expect_no(-ERR_KEY, "no trusted log key");
	trust = was;
	trust.admins[0].pub[5] ^= 1;
	expect_no(-ERR_KEY, "no trusted admin key");
	trust = was;
	cr_assert_eq(check(NULL), 0);
}

Test(proof, entries_left_out_are_said_or_missed)
{
	const struct digest version[] = { s.output_version };

	buf_clear(&text);
	sample_log_prove(&s, &text, &s.digest_entry, NULL, 0);
	expect_no(-ERR_PROOF, "version that it is about is not in it");
	buf_clear(&text);
	sample_log_prove(&s, &text, &s.digest_entry, version, 1);
	cr_assert_eq(check(NULL), 0);
	cr_assert(!report.has_actor);
	cr_assert(!report.reads_complete);
	buf_clear(&text);
	sample_log_prove(&s, &text, &s.output_version, NULL, 0);
	expect_no(-ERR_PROOF, "no SHA-256");
	buf_clear(&text);
	sample_log_prove(&s, &text, &s.actor, NULL, 0);
	expect_no(-ERR_PROOF, "not about a file version");
}

Test(proof, entries_that_nothing_names_are_refused)
{
	const struct digest refs[] = { s.output_version, s.batch[0].leaf[1] };

	buf_clear(&text);
	sample_log_prove(&s, &text, &s.digest_entry, refs, 2);
	expect_no(-ERR_PROOF, "nothing names");
}

Test(proof, the_same_entry_twice_is_refused)
{
	const struct digest refs[] = { s.output_version, s.output_version };

	buf_clear(&text);
	sample_log_prove(&s, &text, &s.digest_entry, refs, 2);
	expect_no(-ERR_PROOF, "nothing names");
}

/*
 * Every single bit of the text is flipped.  What still passes may differ in
 * nothing that a person is told.
 */
Test(proof, no_bit_can_be_flipped)
{
	struct buf want = BUF_INIT;
	unsigned passed = 0;

	cr_assert_eq(check(NULL), 0);
	proof_text_json(&want, &report, NULL);
	for (size_t i = 0; i < text.n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			text.p[i] ^= (uint8_t)(1 << bit);
			if (check(NULL) == 0) {
				struct buf got = BUF_INIT;

				passed++;
				proof_text_json(&got, &report, NULL);
				cr_assert_eq(got.n, want.n);
				cr_assert_arr_eq(got.p, want.p, want.n);
				buf_release(&got);
			}
			text.p[i] ^= (uint8_t)(1 << bit);
		}
	cr_assert_eq(passed, 0, "%u changes passed", passed);
	buf_release(&want);
}

Test(proof, no_cut_passes)
{
	size_t n = text.n;

	for (size_t i = 0; i < n; i++) {
		text.n = i;
		cr_assert_lt(check(NULL), 0, "cut at %zu", i);
	}
	text.n = n;
}

static void replace(const char *from, const char *to)
{
	char *at = strstr((char *)text.p, from);
	struct buf out = BUF_INIT;

	cr_assert_not_null(at);
	buf_add(&out, text.p, (size_t)(at - (char *)text.p));
	buf_adds(&out, to);
	buf_adds(&out, at + strlen(from));
	buf_release(&text);
	text = out;
}

Test(proof, text_out_of_form_is_refused)
{
	static const char *const v[][2] = {
		{ "@v1\n", "@v2\n" },
		{ "extra ", "Extra " },
		{ "index 4\n", "index 04\n" },
		{ "index 4\n", "index -4\n" },
		{ "index 4\n", "index 4\r\n" },
		{ "index 4\n", "index 99999999999999999999\n" },
		{ "index 4\n", "" },
		{ "index 4\n", "index 5\n" },
		{ "index 4\n", "index 4\nindex 4\n" },
		{ "index 4\n", "index 4\n\n" },
		{ "c2sp", " c2sp" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		teardown();
		memset(&text, 0, sizeof(text));
		setup();
		replace(v[i][0], v[i][1]);
		cr_assert_lt(check(NULL), 0, "case %zu", i);
	}
}

Test(proof, too_much_of_anything_is_refused)
{
	struct buf big = BUF_INIT;

	buf_grow(&big, PROOF_MAX + 1);
	memset(big.p, 'A', big.n);
	cr_assert_eq(proof_parse(&proof, big.p, big.n, NULL), -ERR_LIMIT);
	buf_clear(&big);
	buf_adds(&big, "c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n");
	for (unsigned i = 0; i < 64; i++)
		buf_adds(&big,
			 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
	buf_adds(&big, "\nx");
	cr_assert_eq(proof_parse(&proof, big.p, big.n, NULL), -ERR_LIMIT);
	buf_release(&big);
}

Test(proof, refs_that_make_the_line_too_long_are_left_out)
{
	static uint8_t big[40000];
	struct buf out = BUF_INIT;
	char *line;

	cr_assert_eq(proof_parse(&proof, text.p, text.n, NULL), 0);
	proof_trim(&proof);
	cr_assert_eq(proof.n_refs, 4);
	proof.refs[2] = (struct proof_entry){ big, sizeof(big) };
	proof.refs[3] = proof.refs[2];
	proof_trim(&proof);
	cr_assert_eq(proof.n_refs, 3);
	proof.refs[1] = proof.refs[2];
	proof_trim(&proof);
	cr_assert_eq(proof.n_refs, 2);
	cr_assert_eq(proof_format(&out, &proof), 0);
	line = strstr((char *)out.p, "extra ");
	cr_assert_lt(strchr(line, '\n') - line, 65536);
	buf_release(&out);
}

Test(proof, witnesses_say_not_after)
{
	uint8_t seed[32] = { 9 };
	struct key *w = NULL;
	struct note_vkey k;
	struct buf note = BUF_INIT;
	struct buf out = BUF_INIT;
	struct proof p;
	size_t text_n;

	cr_assert_eq(key_from_seed(&w, KEY_LOG, seed), 0);
	cr_assert_eq(note_vkey_make(&k, "witness.example/w1", NOTE_COSIGNATURE,
				    key_public(w)),
		     0);
	cr_assert_eq(trust_add(&trust, "witness", &k), 0);
	cr_assert_eq(check(NULL), 0);
	cr_assert_eq(report.n_cosigned, 0);
	p = proof;
	sample_log_checkpoint(&s, &note);
	text_n = (size_t)(strstr((char *)note.p, "\n\n") - (char *)note.p) + 1;
	buf_clear(&out);
	buf_add(&out, note.p, text_n);
	cr_assert_eq(note_cosign(&note, (char *)out.p, text_n,
				 "witness.example/w1", w, 1800000000),
		     0);
	p.checkpoint = (char *)note.p;
	p.checkpoint_n = note.n;
	buf_clear(&out);
	cr_assert_eq(proof_format(&out, &p), 0);
	buf_release(&text);
	text = out;
	cr_assert_eq(check(NULL), 0);
	cr_assert_eq(report.n_cosigned, 1);
	cr_assert_eq(report.cosigned_unix, 1800000000);
	buf_release(&note);
	key_free(w);
}

Test(proof, hostile_names_are_escaped_in_every_form)
{
	static const char evil[] = "a\n\x1b[31mb\"\\\xff</script>";
	struct buf words = BUF_INIT;
	struct buf json = BUF_INIT;

	cr_assert_eq(check(NULL), 0);
	report.path = (struct entry_str){ evil, sizeof(evil) - 1 };
	report.actor.argv = report.actor.cwd = report.actor.host = report.path;
	report.actor.exe = report.inputs[0].path = report.path;
	proof_text(&words, &report, evil);
	proof_text_json(&json, &report, evil);
	for (size_t i = 0; i < words.n; i++)
		cr_assert(words.p[i] == '\n' ||
			  (words.p[i] >= 0x20 && words.p[i] < 0x7f));
	for (size_t i = 0; i + 1 < json.n; i++)
		cr_assert_geq(json.p[i], 0x20);
	cr_assert(text_is_utf8(json.p, json.n));
	buf_release(&words);
	buf_release(&json);
}
