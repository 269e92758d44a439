/* hint.c - see hint.h. */
#include "mount-tools/hint.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/text.h"

#define STORE "STORE"

static char known[PATH_MAX]; /* "": none */

void hint_store(const char *path)
{
	if (snprintf(known, sizeof(known), "%s", path) >= (int)sizeof(known))
		known[0] = '\0';
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

void hint_fill(struct buf *out, const char *text)
{
	const size_t n = sizeof(STORE) - 1;
	bool quoted = false;

	for (const char *s = text; *s; s++) {
		if (*s == '`')
			quoted = !quoted;
		if (quoted && known[0] && !is_word(s[-1]) &&
		    strncmp(s, STORE, n) == 0 && !is_word(s[n])) {
			hint_word(out, known);
			s += n - 1;
		} else {
			buf_addc(out, *s);
		}
	}
}

void hint_print(const char *text)
{
	for (size_t n; *text; text += n) {
		struct buf autocall(buf_release) line = BUF_INIT;
		struct buf autocall(buf_release) b = BUF_INIT;
		struct buf autocall(buf_release) filled = BUF_INIT;

		n = strcspn(text, "\n");
		buf_add(&line, text, n);
		hint_fill(&filled, line.n ? (char *)line.p : "");
		text_term_escape(&b, filled.p, filled.n);
		printf("%s\n", b.n && !b.bad ? (char *)b.p : "");
		n += text[n] == '\n';
	}
}

void hint_word(struct buf *out, const char *word)
{
	bool plain = *word != '\0' && *word != '~' && *word != '#';

	for (const char *s = word; *s && plain; s++)
		plain = (unsigned char)*s >= 0x80 || is_word(*s) ||
			strchr("/.,:@%+=~#", *s);
	if (plain) {
		buf_adds(out, word);
		return;
	}
	buf_addc(out, '\'');
	for (const char *s = word; *s; s++)
		if (*s == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *s);
	buf_addc(out, '\'');
}

void hint_in(struct buf *out, const char *dir)
{
	autofree char *cwd = getcwd(NULL, 0);
	size_t n = strlen(dir);

	if (cwd && strncmp(cwd, dir, n) == 0 &&
	    (cwd[n] == '/' || cwd[n] == '\0'))
		return;
	buf_adds(out, " --in=");
	hint_word(out, dir);
}
