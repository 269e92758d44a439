/*
 * note.c - C2SP signed notes, strictly.
 *
 * Invariants: (1) a signature covers the text with its final newline, never
 * the blank line.  (2) A known key that fails refuses the whole note.
 * (3) vkeys and base64 are taken in their canonical form alone.
 *
 * Pure; any thread.
 */
#include "ledger/note.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/key.h"

/* EM DASH and a space, as the format wants it. */
#define SIG_START "\xe2\x80\x94 "
#define COSIGN_HEAD "cosignature/v1\ntime "
enum { SIG_START_SIZE = 4, SIG_BLOB_MAX = 8192, COSIG_SIZE = 8 + 64 };

/* Unicode's White_Space, which a key name may not hold. */
static bool is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
	       c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool name_ok(const char *s, size_t n)
{
	if (n == 0 || n > NOTE_NAME_MAX)
		return false;
	while (n > 0) {
		uint32_t c = 0;
		size_t k = text_utf8_next(s, n, &c);

		if (k == 0 || c == '+' || c < 0x20 || is_space(c))
			return false;
		s += k;
		n -= k;
	}
	return true;
}

static uint32_t key_hash(const char *name, size_t n, uint8_t alg,
			 const uint8_t pub[32])
{
	const uint8_t mid[2] = { '\n', alg };
	struct digest_piece v[] = { { name, n },
				    { mid, sizeof(mid) },
				    { pub, 32 } };
	struct digest d;

	digest_sha256_pieces(&d, v, 3);
	return (uint32_t)d.b[0] << 24 | (uint32_t)d.b[1] << 16 |
	       (uint32_t)d.b[2] << 8 | d.b[3];
}

/* --- verifier keys --- */

int note_vkey_make(struct note_vkey *out, const char *name, uint8_t alg,
		   const uint8_t pub[32])
{
	size_t n = strlen(name);

	memset(out, 0, sizeof(*out));
	if (!name_ok(name, n))
		return -ERR_FORMAT;
	memcpy(out->name, name, n);
	out->alg = alg;
	memcpy(out->pub, pub, sizeof(out->pub));
	out->id = key_hash(name, n, alg, pub);
	return 0;
}

void note_vkey_format(struct buf *out, const struct note_vkey *k)
{
	uint8_t blob[33];

	blob[0] = k->alg;
	memcpy(blob + 1, k->pub, sizeof(k->pub));
	buf_addf(out, "%s+%08x+", k->name, k->id);
	text_base64(out, blob, sizeof(blob));
}

int note_vkey_parse(struct note_vkey *out, const char *s, size_t n)
{
	struct buf autocall(buf_release) blob = BUF_INIT;
	struct buf autocall(buf_release) again = BUF_INIT;
	const char *plus = memchr(s, '+', n);
	char name[NOTE_NAME_MAX + 1];
	size_t name_n = plus == NULL ? 0 : (size_t)(plus - s);
	int rc;

	/* name + 8 hex digits + base64, which may hold a plus itself */
	if (plus == NULL || name_n > NOTE_NAME_MAX || n - name_n < 10 ||
	    plus[9] != '+' || memchr(s, 0, n) != NULL)
		return -ERR_FORMAT;
	rc = text_base64_decode(&blob, plus + 10, n - name_n - 10);
	if (rc != 0)
		return rc;
	if (blob.n != 33)
		return -ERR_FORMAT;
	if (blob.p[0] != NOTE_ED25519 && blob.p[0] != NOTE_COSIGNATURE)
		return -ERR_NEWER;
	memcpy(name, s, name_n);
	name[name_n] = 0;
	rc = note_vkey_make(out, name, blob.p[0], blob.p + 1);
	if (rc != 0)
		return rc;
	note_vkey_format(&again, out);
	if (again.bad)
		return -ENOMEM;
	return again.n == n && memcmp(again.p, s, n) == 0 ? 0 : -ERR_FORMAT;
}

/* --- parsing --- */

/* Where the signatures start: after the last blank line; 0 if there is none. */
static size_t split_at(const char *p, size_t n)
{
	for (size_t i = n; i >= 2; i--)
		if (p[i - 1] == '\n' && p[i - 2] == '\n')
			return i;
	return 0;
}

static bool text_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 && p[i] != '\n')
			return false;
	return n >= 2 && text_is_utf8(p, n);
}

/* One line without its newline. */
static int sig_parse(struct note_sig *out, const char *p, size_t n)
{
	struct buf autocall(buf_release) blob = { .max = SIG_BLOB_MAX };
	const char *space;
	int rc;

	if (n < SIG_START_SIZE || memcmp(p, SIG_START, SIG_START_SIZE) != 0)
		return -ERR_FORMAT;
	p += SIG_START_SIZE;
	n -= SIG_START_SIZE;
	space = memchr(p, ' ', n);
	if (space == NULL)
		return -ERR_FORMAT;
	out->name = p;
	out->name_n = (size_t)(space - p);
	if (!name_ok(out->name, out->name_n))
		return -ERR_FORMAT;
	rc = text_base64_decode(&blob, space + 1, n - out->name_n - 1);
	if (rc != 0)
		return rc;
	if (blob.n < 5)
		return -ERR_FORMAT;
	out->id = (uint32_t)blob.p[0] << 24 | (uint32_t)blob.p[1] << 16 |
		  (uint32_t)blob.p[2] << 8 | blob.p[3];
	out->blob_n = blob.n - 4;
	memset(out->blob, 0, sizeof(out->blob));
	memcpy(out->blob, blob.p + 4,
	       out->blob_n < sizeof(out->blob) ? out->blob_n :
						 sizeof(out->blob));
	return 0;
}

int note_parse(struct note *out, const void *p, size_t n)
{
	const char *s = p;
	size_t at;

	memset(out, 0, sizeof(*out));
	if (n > NOTE_MAX)
		return -ERR_LIMIT;
	if (!text_ok(s, n) || s[n - 1] != '\n')
		return -ERR_FORMAT;
	at = split_at(s, n);
	if (at < 3 || at == n)
		return -ERR_FORMAT;
	out->text = s;
	out->text_n = at - 1;
	while (at < n) {
		const char *line = s + at;
		const char *end = memchr(line, '\n', n - at);
		int rc;

		assert(end != NULL);
		if (out->n_sigs == NOTE_SIGS_MAX)
			return -ERR_LIMIT;
		rc = sig_parse(&out->sigs[out->n_sigs], line,
			       (size_t)(end - line));
		if (rc != 0)
			return rc;
		out->n_sigs++;
		at += (size_t)(end - line) + 1;
	}
	return 0;
}

/* --- verifying --- */

/* What a cosignature signs. */
static void cosign_message(struct buf *out, uint64_t unix_time,
			   const char *text, size_t n)
{
	buf_addf(out, COSIGN_HEAD "%llu\n", (unsigned long long)unix_time);
	buf_add(out, text, n);
}

static int verify_one(const struct note *note, const struct note_sig *sig,
		      const struct note_vkey *k, uint64_t *out_time)
{
	struct buf autocall(buf_release) m = BUF_INIT;

	*out_time = 0;
	if (k->alg == NOTE_ED25519)
		return sig->blob_n != 64 ? -ERR_SIGNATURE :
					   key_verify(k->pub, sig->blob,
						      note->text, note->text_n);
	if (k->alg != NOTE_COSIGNATURE || sig->blob_n != COSIG_SIZE)
		return -ERR_SIGNATURE;
	for (unsigned i = 0; i < 8; i++)
		*out_time = *out_time << 8 | sig->blob[i];
	cosign_message(&m, *out_time, note->text, note->text_n);
	if (m.bad)
		return -ENOMEM;
	return key_verify(k->pub, sig->blob + 8, m.p, m.n);
}

static bool sig_is_by(const struct note_sig *s, const struct note_vkey *k)
{
	return s->id == k->id && s->name_n == strlen(k->name) &&
	       memcmp(s->name, k->name, s->name_n) == 0;
}

int note_verify(const struct note *note, const struct note_vkey *keys,
		size_t n_keys, bool *out_by, uint64_t *out_time)
{
	int good = 0;

	for (size_t k = 0; k < n_keys; k++) {
		bool by = false;
		uint64_t when = 0;

		for (unsigned i = 0; i < note->n_sigs; i++) {
			int rc;

			if (!sig_is_by(&note->sigs[i], &keys[k]))
				continue;
			rc = verify_one(note, &note->sigs[i], &keys[k], &when);
			if (rc != 0)
				return rc;
			by = true;
		}
		good += by;
		if (out_by != NULL)
			out_by[k] = by;
		if (out_time != NULL)
			out_time[k] = when;
	}
	return good > 0 ? good : -ERR_KEY;
}

/* --- signing --- */

void note_add_signature(struct buf *out, const char *name, uint32_t id,
			const void *sig, size_t n)
{
	struct buf autocall(buf_release) blob = BUF_INIT;

	buf_u8(&blob, (uint8_t)(id >> 24));
	buf_u8(&blob, (uint8_t)(id >> 16));
	buf_u8(&blob, (uint8_t)(id >> 8));
	buf_u8(&blob, (uint8_t)id);
	buf_add(&blob, sig, n);
	if (blob.bad) {
		out->bad = true;
		return;
	}
	buf_adds(out, SIG_START);
	buf_adds(out, name);
	buf_addc(out, ' ');
	text_base64(out, blob.p, blob.n);
	buf_addc(out, '\n');
}

int note_sign(struct buf *out, const char *text, size_t n, const char *name,
	      const struct key *k)
{
	struct note_vkey vk;
	uint8_t sig[KEY_SIG_SIZE];
	int rc = note_vkey_make(&vk, name, NOTE_ED25519, key_public(k));

	if (rc != 0)
		return rc;
	if (!text_ok(text, n) || text[n - 1] != '\n')
		return -ERR_FORMAT;
	key_sign(k, sig, text, n);
	buf_add(out, text, n);
	buf_addc(out, '\n');
	note_add_signature(out, name, vk.id, sig, sizeof(sig));
	return out->bad ? -ENOMEM : 0;
}

int note_cosign(struct buf *out, const char *text, size_t n, const char *name,
		const struct key *k, uint64_t unix_time)
{
	struct buf autocall(buf_release) m = BUF_INIT;
	struct note_vkey vk;
	uint8_t blob[COSIG_SIZE];
	int rc = note_vkey_make(&vk, name, NOTE_COSIGNATURE, key_public(k));

	if (rc != 0)
		return rc;
	cosign_message(&m, unix_time, text, n);
	if (m.bad)
		return -ENOMEM;
	for (unsigned i = 0; i < 8; i++)
		blob[i] = (uint8_t)(unix_time >> (56 - 8 * i));
	key_sign(k, blob + 8, m.p, m.n);
	note_add_signature(out, name, vk.id, blob, sizeof(blob));
	return out->bad ? -ENOMEM : 0;
}
