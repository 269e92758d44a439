/*
 * checkpoint.c - the three lines of a tlog-checkpoint.
 *
 * Invariant: a checkpoint that parses formats to the same lines.
 * Pure; any thread.
 */
#include "ledger/checkpoint.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/note.h"

int checkpoint_origin_check(const char *s, size_t n)
{
	struct note_vkey k;
	char name[LIMIT_ORIGIN + 1];
	uint8_t pub[32] = { 0 };

	if (n == 0 || n > LIMIT_ORIGIN || memchr(s, 0, n) != NULL)
		return -ERR_FORMAT;
	for (size_t i = 0; i + 1 < n; i++) /* C1: controls of terminals */
		if ((uint8_t)s[i] == 0xc2 && (uint8_t)s[i + 1] < 0xa0)
			return -ERR_FORMAT;
	memcpy(name, s, n);
	name[n] = 0;
	return note_vkey_make(&k, name, NOTE_ED25519, pub);
}

void checkpoint_format(struct buf *out, const struct checkpoint *c)
{
	buf_addf(out, "%s\n%llu\n", c->origin, (unsigned long long)c->size);
	text_base64(out, c->root.b, sizeof(c->root.b));
	buf_addc(out, '\n');
}

/* Takes one line off; false when there is none. */
static bool take_line(const char **p, size_t *left, const char **out,
		      size_t *out_n)
{
	const char *end = *left == 0 ? NULL : memchr(*p, '\n', *left);

	if (end == NULL)
		return false;
	*out = *p;
	*out_n = (size_t)(end - *p);
	*left -= *out_n + 1;
	*p = end + 1;
	return true;
}

static int size_parse(uint64_t *out, const char *s, size_t n)
{
	if (n == 0 || n > 19 || (n > 1 && s[0] == '0'))
		return -ERR_FORMAT;
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -ERR_FORMAT;
		*out = *out * 10 + (uint64_t)(s[i] - '0');
	}
	return *out > UINT64_MAX >> 1 ? -ERR_LIMIT : 0;
}

int checkpoint_parse(struct checkpoint *out, const char *p, size_t n)
{
	struct buf autocall(buf_release) root = BUF_INIT;
	const char *line = NULL;
	size_t len = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	if (!take_line(&p, &n, &line, &len) ||
	    checkpoint_origin_check(line, len) != 0)
		return -ERR_FORMAT;
	memcpy(out->origin, line, len);
	if (!take_line(&p, &n, &line, &len))
		return -ERR_FORMAT;
	rc = size_parse(&out->size, line, len);
	if (rc != 0)
		return rc;
	if (!take_line(&p, &n, &line, &len))
		return -ERR_FORMAT;
	rc = text_base64_decode(&root, line, len);
	if (rc != 0)
		return rc;
	if (root.n != sizeof(out->root.b))
		return -ERR_FORMAT;
	memcpy(out->root.b, root.p, sizeof(out->root.b));
	while (take_line(&p, &n, &line, &len))
		if (len == 0)
			return -ERR_FORMAT;
	return n == 0 ? 0 : -ERR_FORMAT;
}

int checkpoint_sign(struct buf *out, const struct checkpoint *c,
		    const struct key *log)
{
	struct buf autocall(buf_release) text = BUF_INIT;
	int rc = checkpoint_origin_check(c->origin, strlen(c->origin));

	if (rc != 0)
		return rc;
	checkpoint_format(&text, c);
	if (text.bad)
		return -ENOMEM;
	return note_sign(out, (const char *)text.p, text.n, c->origin, log);
}

int checkpoint_open(struct checkpoint *out, const void *p, size_t n,
		    const struct note_vkey *keys, size_t n_keys)
{
	struct note note;
	int good = 0;
	int rc = n > CHECKPOINT_MAX ? -ERR_LIMIT : note_parse(&note, p, n);

	if (rc != 0)
		return rc;
	rc = checkpoint_parse(out, note.text, note.text_n);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].name, out->origin) != 0 ||
		    keys[i].alg != NOTE_ED25519)
			continue;
		rc = note_verify(&note, &keys[i], 1, NULL, NULL);
		if (rc < 0 && rc != -ERR_KEY)
			return rc;
		good += rc > 0;
	}
	return good > 0 ? 0 : -ERR_KEY;
}
