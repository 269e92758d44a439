/*
 * lines.c - strict reading of small text files.  Pure, any thread.
 */
#include "ledger/lines.h"

#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 512 };

void lines_init(struct lines *l, const void *p, size_t n)
{
	*l = (struct lines){ .p = p, .left = n };
}

/* Takes the next line without its newline; NULL sets bad. */
static const char *next(struct lines *l, size_t *out_n)
{
	const char *line = l->p, *end;

	l->number += !l->bad;
	end = l->left > 0 && !l->bad ? memchr(l->p, '\n', l->left) : NULL;
	if (end == NULL || memchr(line, 0, (size_t)(end - line)) != NULL) {
		l->bad = true;
		return NULL;
	}
	*out_n = (size_t)(end - line);
	l->left -= *out_n + 1;
	l->p = end + 1;
	return line;
}

void lines_exact(struct lines *l, const char *line)
{
	size_t n = 0;
	const char *p = next(l, &n);

	if (p != NULL && (n != strlen(line) || memcmp(p, line, n) != 0))
		l->bad = true;
}

void lines_value(struct lines *l, const char *word, char *out, size_t cap)
{
	size_t n = 0, k = strlen(word);
	const char *p = next(l, &n);

	out[0] = '\0';
	if (p == NULL)
		return;
	if (n <= k + 1 || memcmp(p, word, k) != 0 || p[k] != ' ' ||
	    n - k - 1 >= cap) {
		l->bad = true;
		return;
	}
	memcpy(out, p + k + 1, n - k - 1);
	out[n - k - 1] = '\0';
}

uint64_t lines_u64(struct lines *l, const char *word)
{
	char value[LINE_MAX_BYTES];
	uint64_t v = 0;

	lines_value(l, word, value, sizeof(value));
	if (!l->bad && text_u64_parse(&v, value) < 0)
		l->bad = true;
	return v;
}

int64_t lines_i64(struct lines *l, const char *word)
{
	char value[LINE_MAX_BYTES];
	int64_t v = 0;

	lines_value(l, word, value, sizeof(value));
	if (!l->bad && text_i64_parse(&v, value) < 0)
		l->bad = true;
	return v;
}

void lines_hex(struct lines *l, const char *word, uint8_t *out, size_t n)
{
	char value[LINE_MAX_BYTES];
	struct buf bytes = BUF_INIT;

	memset(out, 0, n);
	lines_value(l, word, value, sizeof(value));
	if (l->bad)
		return;
	if (strlen(value) != 2 * n ||
	    text_hex_decode(&bytes, value, 2 * n) < 0 || bytes.n != n)
		l->bad = true;
	else
		memcpy(out, bytes.p, n);
	buf_release(&bytes);
}

bool lines_done(const struct lines *l)
{
	return !l->bad && l->left == 0;
}
