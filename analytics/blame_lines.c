/*
 * blame_lines.c - what two versions of a text have in common, by libgit2 in
 * its own process.
 */
#include <errno.h>
#include <string.h>

#include "analytics/blame_int.h"
#include "analytics/past.h"
#include "base/err.h"
#include "base/git_helper.h"
#include "fs/content/content.h"

/* --- reading --- */

static int load(struct blame_walk *w, struct blame_text *t,
		const struct idx_version *v)
{
	const struct past p = { .at = v->no,
				.ino = v->ino,
				.root = v->tree_root,
				.size = v->size,
				.version_size = v->size,
				.unreadable = digest_is_zero(&v->tree_root) };
	struct content *content = NULL;
	uint8_t *room;
	ssize_t n;
	int rc;

	t->there = false;
	buf_clear(&t->bytes);
	room = buf_grow(&t->bytes, (size_t)v->size + 1);
	if (!room)
		return -ENOMEM;
	rc = past_content(&p, w->core, &content);
	n = rc < 0 ? rc : past_read(&p, content, room, (size_t)v->size, 0);
	content_close(content);
	t->bytes.n = n < 0 ? 0 : (size_t)n;
	if (n < 0)
		return (int)n;
	t->root = v->tree_root;
	t->size = v->size;
	t->there = true;
	return 1;
}

int blame_read(struct blame_walk *w, const struct blame_text **out,
	       const struct idx_version *v)
{
	struct blame_text *t = w->texts;
	int rc = 1;

	if (v->size > GIT_HELPER_MAX)
		return 0;
	if (t[1].there && t[1].size == v->size &&
	    digest_eq(&t[1].root, &v->tree_root)) {
		struct blame_text swap = t[0];

		t[0] = t[1];
		t[1] = swap;
	} else if (!t[0].there || t[0].size != v->size ||
		   !digest_eq(&t[0].root, &v->tree_root)) {
		struct blame_text swap = t[1];

		t[1] = t[0];
		t[0] = swap;
		rc = load(w, &t[0], v);
	}
	*out = &t[0];
	/* what is lost or redacted nobody can compare */
	if (rc == -ENODATA || rc == -EIO || rc == -ERR_MISSING_CHUNK)
		return 0;
	return rc;
}

/* --- comparing --- */

/* "12" or "12,3" at *p; the count is 1 when it is not said. */
static bool range(const char **p, const char *end, uint64_t *from, uint64_t *n)
{
	uint64_t *v[2] = { from, n };

	*n = 1;
	for (int i = 0; i < 2; i++) {
		const char *start = *p;

		*v[i] = 0;
		while (*p < end && **p >= '0' && **p <= '9' &&
		       *v[i] < UINT32_MAX)
			*v[i] = *v[i] * 10 + (uint64_t)(*(*p)++ - '0');
		if (*p == start)
			return false;
		if (i || *p == end || **p != ',') {
			if (!i)
				*n = 1;
			return true;
		}
		++*p;
	}
	return true;
}

/* "@@ -a,b +c,d @@": where it begins, from 0, and how many lines. */
static bool hunk(const char *p, const char *end, struct blame_same *at,
		 uint64_t *n_before, uint64_t *n_now)
{
	if (end - p < 4 || memcmp(p, "@@ -", 4) != 0)
		return false;
	p += 4;
	if (!range(&p, end, &at->before, n_before) || end - p < 2 ||
	    p[0] != ' ' || p[1] != '+')
		return false;
	p += 2;
	if (!range(&p, end, &at->now, n_now))
		return false;
	/* a side without lines names the one before */
	at->before -= *n_before > 0;
	at->now -= *n_now > 0;
	return true;
}

int blame_hunks(struct blame_sames *out, const char *p, size_t n)
{
	const char *end = p + n;
	struct blame_same at = { .now = 0 }, next; /* so far */
	uint64_t n_before = 0, n_now = 0;
	int rc = 0;

	while (rc >= 0 && p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *line = p;

		p = eol ? eol + 1 : end;
		if (!n_before && !n_now) {
			if (*line == '\\') /* "No newline at end of file" */
				continue;
			if (!hunk(line, p, &next, &n_before, &n_now) ||
			    next.now < at.now || next.before < at.before)
				return -ERR_CORRUPT;
			at.n = next.now - at.now;
			rc = blame_sames_add(out, &at);
			at = next;
		} else if (*line == ' ' && n_before && n_now) {
			at.n = 1;
			rc = blame_sames_add(out, &at);
			at.before++, at.now++, n_before--, n_now--;
		} else if (*line == '-' && n_before) {
			at.before++, n_before--;
		} else if (*line == '+' && n_now) {
			at.now++, n_now--;
		} else if (*line != '\\') {
			return -ERR_CORRUPT;
		}
	}
	at.n = UINT64_MAX - (at.now > at.before ? at.now : at.before);
	return rc < 0 ? rc : blame_sames_add(out, &at);
}

/* It has ended when it could not do it within its limits: once more. */
static int ask(struct blame_walk *w, struct git_diff_counts *n,
	       const struct buf *a, const struct buf *b)
{
	int rc = -EPIPE;

	for (int tries = 0; rc == -EPIPE && tries < 2; tries++) {
		buf_clear(&w->hunks);
		rc = w->git ? 0 : git_helper_start(&w->git, w->em);
		if (rc < 0)
			return -EIO;
		rc = git_helper_diff(w->git, &w->hunks, n, a->p, a->n, b->p,
				     b->n);
		if (rc == -EPIPE) {
			git_helper_stop(w->git);
			w->git = NULL;
		}
	}
	if (rc == -EPIPE) { /* it is too much: nothing in common */
		n->binary = true;
		rc = 0;
	}
	return rc;
}

int blame_lines(struct blame_walk *w, struct blame_sames *out,
		const struct idx_version *now, const struct idx_version *before)
{
	const struct blame_text *a = NULL, *b = NULL;
	struct git_diff_counts n = { .binary = true };
	int rc = blame_read(w, &b, now);

	if (rc > 0)
		rc = blame_read(w, &a, before);
	if (rc <= 0)
		return rc;
	b = &w->texts[1]; /* the older of the two that were read */
	if (!a->bytes.n || !b->bytes.n)
		return 1;
	rc = ask(w, &n, &a->bytes, &b->bytes);
	if (rc >= 0 && !n.binary)
		rc = blame_hunks(out, (const char *)w->hunks.p, w->hunks.n);
	return rc < 0 ? rc : 1;
}
