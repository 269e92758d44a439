/*
 * argv.c - arguments packed into one str.  Pure; any thread.
 *
 * Invariant: argv_next() over what argv_pack() made gives the arguments back
 * byte for byte, up to where they were cut.
 */
#include "ledger/argv.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

void argv_pack(struct buf *out, const void *cmdline, size_t n, size_t max)
{
	const char *p = cmdline;
	size_t start = out->n;

	for (size_t i = 0; i <= n; i++) {
		char c = i < n ? p[i] : 0;
		size_t need = c == 0 || c == '\\' ? 2 : 1;

		if (i == n && (n == 0 || p[n - 1] == 0))
			return;
		if (out->n - start + need > max)
			return;
		if (need == 2)
			buf_addc(out, '\\');
		buf_addc(out, c == 0 ? '0' : c);
	}
}

bool argv_next(struct buf *out, const char **p, size_t *left)
{
	if (*left == 0)
		return false;
	while (*left > 0) {
		char c = *(*p)++;

		(*left)--;
		if (c == '\\' && *left > 0) {
			c = *(*p)++;
			(*left)--;
			if (c == '0')
				return true;
		}
		buf_addc(out, c);
	}
	return true;
}

void argv_json(struct buf *out, const char *p, size_t n)
{
	struct buf autocall(buf_release) arg = BUF_INIT;
	const char *comma = "";

	buf_addc(out, '[');
	for (; argv_next(&arg, &p, &n); buf_clear(&arg), comma = ",") {
		buf_adds(out, comma);
		text_json_string(out, arg.p, arg.n);
	}
	buf_addc(out, ']');
}

/* Bytes that a shell takes as they are. */
static bool is_plain(const struct buf *arg)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-./:=@%+,";

	for (size_t i = 0; i < arg->n; i++)
		if (memchr(plain, arg->p[i], sizeof(plain) - 1) == NULL)
			return false;
	return arg->n > 0;
}

static void arg_text(struct buf *out, const struct buf *arg)
{
	if (is_plain(arg)) {
		buf_add(out, arg->p, arg->n);
		return;
	}
	buf_addc(out, '\'');
	for (size_t i = 0, from = 0; i <= arg->n; i++) {
		if (i < arg->n && arg->p[i] != '\'')
			continue;
		text_term_escape(out, arg->p + from, i - from);
		if (i < arg->n)
			buf_adds(out, "'\\''");
		from = i + 1;
	}
	buf_addc(out, '\'');
}

void argv_text(struct buf *out, const char *p, size_t n)
{
	struct buf autocall(buf_release) arg = BUF_INIT;
	const char *space = "";

	for (; argv_next(&arg, &p, &n); buf_clear(&arg), space = " ") {
		buf_adds(out, space);
		arg_text(out, &arg);
	}
}
