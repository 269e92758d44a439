/*
 * trust.c - the trust file.  Pure; any thread.
 */
#include "ledger/trust.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

static int kind_of(struct trust *t, const char *what, size_t n,
		   size_t **out_count, struct note_vkey **out_keys)
{
	if (n == 3 && memcmp(what, "log", n) == 0) {
		*out_count = &t->n_logs;
		*out_keys = t->logs;
		return NOTE_ED25519;
	}
	if (n == 5 && memcmp(what, "admin", n) == 0) {
		*out_count = &t->n_admins;
		*out_keys = t->admins;
		return NOTE_ED25519;
	}
	if (n == 7 && memcmp(what, "witness", n) == 0) {
		*out_count = &t->n_witnesses;
		*out_keys = t->witnesses;
		return NOTE_COSIGNATURE;
	}
	return 0;
}

static int add(struct trust *t, const char *what, size_t n,
	       const struct note_vkey *k)
{
	size_t *count = NULL;
	struct note_vkey *keys = NULL;
	int alg = kind_of(t, what, n, &count, &keys);

	if (alg == 0 || k->alg != alg)
		return -ERR_FORMAT;
	for (size_t i = 0; i < *count; i++)
		if (memcmp(keys[i].pub, k->pub, sizeof(k->pub)) == 0 &&
		    strcmp(keys[i].name, k->name) == 0)
			return 0;
	if (*count == TRUST_KEYS_MAX)
		return -ERR_LIMIT;
	keys[(*count)++] = *k;
	return 0;
}

int trust_add(struct trust *t, const char *what, const struct note_vkey *k)
{
	return add(t, what, strlen(what), k);
}

static int line_parse(struct trust *t, const char *s, size_t n)
{
	struct note_vkey k;
	const char *space;
	size_t word;
	int rc;

	if (n > 0 && s[n - 1] == '\r')
		n--;
	if (n == 0 || s[0] == '#')
		return 0;
	space = memchr(s, ' ', n);
	if (space == NULL)
		return -ERR_FORMAT;
	word = (size_t)(space - s);
	rc = note_vkey_parse(&k, space + 1, n - word - 1);
	return rc != 0 ? rc : add(t, s, word, &k);
}

int trust_parse(struct trust *out, const void *p, size_t n, struct errmsg *em)
{
	const char *s = p;
	unsigned number = 0;

	memset(out, 0, sizeof(*out));
	if (n > TRUST_FILE_MAX)
		return errmsg_set(em, -ERR_LIMIT, "trust file: too long");
	while (n > 0) {
		const char *end = memchr(s, '\n', n);
		size_t len = end == NULL ? n : (size_t)(end - s);
		int rc;

		number++;
		rc = line_parse(out, s, len);
		if (rc != 0)
			return errmsg_set(em, rc,
					  "trust file, line %u: not \"log\", "
					  "\"admin\" or \"witness\" and a "
					  "verifier key",
					  number);
		len += end != NULL;
		s += len;
		n -= len;
	}
	if (out->n_logs == 0)
		return errmsg_set(em, -ERR_FORMAT,
				  "trust file: it names no log key");
	return 0;
}

static void format_some(struct buf *out, const char *what,
			const struct note_vkey *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%s ", what);
		note_vkey_format(out, &keys[i]);
		buf_addc(out, '\n');
	}
}

void trust_format(struct buf *out, const struct trust *t)
{
	format_some(out, "log", t->logs, t->n_logs);
	format_some(out, "admin", t->admins, t->n_admins);
	format_some(out, "witness", t->witnesses, t->n_witnesses);
}

int trust_admin_vkey(struct note_vkey *out, const char *origin,
		     const uint8_t pub[32])
{
	char name[NOTE_NAME_MAX + 1];
	int n = snprintf(name, sizeof(name), "%s/admin", origin);

	if (n < 0 || n >= (int)sizeof(name))
		return -ERR_LIMIT;
	return note_vkey_make(out, name, NOTE_ED25519, pub);
}
