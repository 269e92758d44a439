/*
 * blame.c - the walk from version to version; see blame.h.
 *
 * A suspect is an inode's state at a place of the log, with the parts of the
 * file that are its own or an older one's.  The youngest suspect is looked
 * at: what it has from those before it becomes theirs, the rest is its own.
 *
 *	content entered after the inode got its name:
 *		before it is the inode's version before; of a first version
 *		what had the name before
 *	name got after the content (a rename over the path):
 *		before it is what had the name before; the rest is the same
 *		inode's, under the name that it had until then
 *
 * Invariant: places in the log only go back, so the walk ends.
 */
#include "analytics/blame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/blame_int.h"
#include "analytics/run_walk.h"
#include "base/err.h"
#include "base/git_helper.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "ledger/entry.h"

enum { TEXT_LOOK = 8000, SUSPECTS_MAX = 64 };

struct suspect {
	struct idx_version v;
	uint64_t at; /* place in the log */
	struct blame_places parts;
};

struct walk {
	struct blame_walk w;
	struct suspect *v[SUSPECTS_MAX]; /* few: two for each that is left */
	size_t n;
	size_t cap_parts, cap_who;
};

/* --- lists --- */

int blame_sames_add(struct blame_sames *s, const struct blame_same *one)
{
	struct blame_same *last = s->n ? &s->v[s->n - 1] : NULL;

	if (!one->n)
		return 0;
	if (last && last->now + last->n == one->now &&
	    last->before + last->n == one->before) {
		last->n += one->n;
		return 0;
	}
	if (s->n == BLAME_PARTS_MAX)
		return -ERR_LIMIT;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct blame_same *v = realloc(s->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *one;
	return 0;
}

static int places_add(struct blame_places *p, const struct blame_place *one)
{
	struct blame_place *last = p->n ? &p->v[p->n - 1] : NULL;

	if (!one->n)
		return 0;
	if (last && last->file + last->n == one->file &&
	    last->here + last->n == one->here) {
		last->n += one->n;
		return 0;
	}
	if (p->n == BLAME_PARTS_MAX)
		return -ERR_LIMIT;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct blame_place *v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *one;
	return 0;
}

static int by_here(const void *a, const void *b)
{
	const struct blame_place *x = a, *y = b;

	return x->here < y->here ? -1 : x->here > y->here;
}

static void suspect_free(struct suspect *s)
{
	if (s)
		free(s->parts.v);
	free(s);
}

/* --- whose it is --- */

static int who_add(struct walk *k, const struct idx_version *v, uint32_t *out)
{
	struct blame *b = k->w.b;

	for (size_t i = b->n_who; i > 0; i--)
		if (b->who[i - 1].no == v->no) {
			*out = (uint32_t)(i - 1);
			return 0;
		}
	if (b->n_who == k->cap_who) {
		size_t cap = k->cap_who ? 2 * k->cap_who : 16;
		struct idx_version *w = realloc(b->who, cap * sizeof(*w));

		if (!w)
			return -ENOMEM;
		b->who = w;
		k->cap_who = cap;
	}
	*out = (uint32_t)b->n_who;
	b->who[b->n_who++] = *v;
	return 0;
}

static int part_add(struct walk *k, const struct blame_part *one)
{
	struct blame *b = k->w.b;

	if (b->n_parts == BLAME_PARTS_MAX)
		return -ERR_LIMIT;
	if (b->n_parts == k->cap_parts) {
		size_t cap = k->cap_parts ? 2 * k->cap_parts : 64;
		struct blame_part *v = realloc(b->parts, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		b->parts = v;
		k->cap_parts = cap;
	}
	b->parts[b->n_parts++] = *one;
	return 0;
}

/* What is left of a suspect's parts is its own. */
static int settle(struct walk *k, const struct suspect *s, bool or_older)
{
	struct blame_part one = { .or_older = or_older };
	int rc = s->parts.n ? who_add(k, &s->v, &one.who) : 0;

	for (size_t i = 0; rc >= 0 && i < s->parts.n; i++) {
		one.first = s->parts.v[i].file;
		one.n = s->parts.v[i].n;
		rc = part_add(k, &one);
	}
	return rc;
}

/* --- suspects --- */

/* The one of that version and place; made where there is none. */
static int suspect_of(struct walk *k, struct suspect **out,
		      const struct idx_version *v, uint64_t at)
{
	struct suspect *s;

	for (size_t i = 0; i < k->n; i++)
		if (k->v[i]->v.no == v->no && k->v[i]->at == at) {
			*out = k->v[i];
			return 0;
		}
	if (k->n == SUSPECTS_MAX)
		return -ERR_LIMIT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->v = *v;
	s->at = at;
	k->v[k->n++] = *out = s;
	return 0;
}

/* The youngest, taken out of the list. */
static struct suspect *next_suspect(struct walk *k)
{
	size_t best = 0;
	struct suspect *s;

	for (size_t i = 1; i < k->n; i++)
		if (k->v[i]->at > k->v[best]->at)
			best = i;
	s = k->v[best];
	k->v[best] = k->v[--k->n];
	return s;
}

/* Splits s's parts: what lies in sames goes to `to`, the rest stays. */
static int split(struct suspect *s, struct blame_places *to,
		 const struct blame_sames *sames)
{
	struct blame_places rest = { .n = 0 };
	size_t k = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < s->parts.n; i++) {
		struct blame_place p = s->parts.v[i];

		while (k && sames->v[k - 1].now + sames->v[k - 1].n > p.here)
			k--; /* parts may overlap */
		while (rc >= 0 && p.n) {
			const struct blame_same *m = &sames->v[k];
			struct blame_place one = p;

			if (k < sames->n && m->now + m->n <= p.here) {
				k++;
				continue;
			}
			if (k < sames->n && m->now <= p.here) {
				uint64_t most = m->now + m->n - p.here;

				one.n = p.n < most ? p.n : most;
				one.here = m->before + (p.here - m->now);
				rc = places_add(to, &one);
			} else {
				if (k < sames->n && m->now - p.here < p.n)
					one.n = m->now - p.here;
				rc = places_add(&rest, &one);
			}
			p.file += one.n;
			p.here += one.n;
			p.n -= one.n;
		}
	}
	free(s->parts.v);
	s->parts = rest;
	return rc;
}

/* Hands over what s has from `before`; 0: nobody can tell. */
static int pass(struct walk *k, struct suspect *s,
		const struct idx_version *before, uint64_t at)
{
	bool own = before->ino == s->v.ino && before->version < s->v.version;
	const struct blame_same all = { .n = UINT64_MAX };
	struct blame_sames sames = { .n = 0 };
	struct suspect *to = NULL;
	int rc;

	if (!s->parts.n)
		return 1;
	if (digest_eq(&before->tree_root, &s->v.tree_root) &&
	    before->size == s->v.size)
		rc = blame_sames_add(&sames, &all) < 0 ? -ENOMEM : 1;
	else if (k->w.b->lines)
		rc = blame_lines(&k->w, &sames, &s->v, before);
	else
		rc = blame_bytes(&k->w, &sames, &s->v, before, own);
	if (rc > 0 && sames.n)
		rc = suspect_of(k, &to, before, at) < 0 ? -ERR_LIMIT : 1;
	if (rc > 0 && to) {
		int split_rc = split(s, &to->parts, &sames);

		rc = split_rc < 0 ? split_rc : 1;
		if (to->parts.n)
			qsort(to->parts.v, to->parts.n, sizeof(*to->parts.v),
			      by_here);
	}
	free(sames.v);
	return rc;
}

/* --- what was before --- */

/* The version of whatever had the name before: 1 found. */
static int had_name(struct walk *k, struct idx_version *out, uint64_t *out_at,
		    const struct name_row *row, const char *name)
{
	uint64_t ino = 0, until = 0;
	int rc = idx_name_before(k->w.r, &ino, &until, row, name);

	if (rc <= 0 || !until)
		return rc < 0 ? rc : 0;
	*out_at = until - 1;
	return idx_version_at(k->w.r, out, ino, *out_at);
}

/* It got its name when it had its bytes already. */
static int before_rename(struct walk *k, struct suspect *s,
			 const struct name_row *row, const char *name)
{
	struct suspect *same = NULL;
	struct idx_version v;
	uint64_t at = 0;
	int rc = had_name(k, &v, &at, row, name);

	if (rc > 0) {
		rc = v.released_no ? 0 : pass(k, s, &v, at);
		if (rc == 0)
			return settle(k, s, true);
	}
	if (rc < 0)
		return rc;
	if (s->parts.n)
		rc = suspect_of(k, &same, &s->v, row->since - 1);
	for (size_t i = 0; rc >= 0 && i < s->parts.n; i++)
		rc = places_add(&same->parts, &s->parts.v[i]);
	if (rc >= 0 && same && same->parts.n)
		qsort(same->parts.v, same->parts.n, sizeof(*same->parts.v),
		      by_here);
	return rc;
}

static int before_content(struct walk *k, struct suspect *s,
			  const struct name_row *row, const char *name)
{
	struct idx_version v = { .version = 0 };
	uint64_t at = s->v.no - 1;
	int rc = 0;

	if (s->v.version > 1)
		rc = idx_version(k->w.r, &v, s->v.ino, s->v.version - 1);
	else if (row)
		rc = had_name(k, &v, &at, row, name);
	if (rc > 0) {
		rc = v.released_no ? 0 : pass(k, s, &v, at);
		if (rc == 0)
			return settle(k, s, true);
	}
	return rc < 0 ? rc : settle(k, s, false);
}

static int look(struct walk *k, struct suspect *s)
{
	char name[LIMIT_NAME + 1];
	struct name_row row = { .since = 0 };
	int rc = idx_name_of(k->w.r, &row, name, s->v.ino, s->at);

	if (rc < 0)
		return rc;
	if (rc > 0 && row.since > s->v.no)
		return before_rename(k, s, &row, name);
	return before_content(k, s, rc > 0 ? &row : NULL, name);
}

static int walk(struct walk *k)
{
	int rc = 0;

	while (rc >= 0 && k->n) {
		struct suspect *s = next_suspect(k);

		rc = run_walk_in_time(k->w.view);
		if (rc >= 0 && k->w.b->steps++ < BLAME_STEPS_MAX)
			rc = look(k, s);
		else if (rc >= 0)
			rc = settle(k, s, true);
		suspect_free(s);
	}
	while (k->n)
		suspect_free(k->v[--k->n]);
	return rc;
}

/* --- the beginning and the end --- */

static bool is_text(const struct buf *b)
{
	size_t n = b->n < TEXT_LOOK ? b->n : TEXT_LOOK;

	return !n || !memchr(b->p, 0, n);
}

static uint64_t count_lines(const struct buf *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->p[i] == '\n';
	return n + (b->n && b->p[b->n - 1] != '\n');
}

/* The lines asked for, as they are. */
static void take_text(struct buf *out, const struct buf *b, uint64_t first,
		      uint64_t until)
{
	uint64_t line = 0;
	size_t i = 0, from;

	for (; i < b->n && line < first; i++)
		line += b->p[i] == '\n';
	from = i;
	for (; i < b->n && line < until; i++)
		line += b->p[i] == '\n';
	if (i > from)
		buf_add(out, b->p + from, i - from);
}

static int no_bytes(struct blame_walk *w)
{
	return errmsg_set(w->em, -ENODATA, "its bytes were released");
}

/* Lines or bytes, and how many. */
static int measure(struct blame_walk *w, const struct blame_what *what,
		   struct blame_place *out)
{
	const struct blame_text *t = NULL;
	struct blame *b = w->b;
	int rc = 0;

	if (b->v.released_no)
		return no_bytes(w);
	if (!what->bytes)
		rc = blame_read(w, &t, &b->v);
	if (rc < 0)
		return rc;
	b->lines = rc > 0 && is_text(&t->bytes);
	b->all = b->lines ? count_lines(&t->bytes) : b->v.size;
	*out = (struct blame_place){ .n = b->all };
	if (what->ranged) {
		if (what->first >= b->all)
			return errmsg_set(w->em, -ERANGE, "it has %llu %s",
					  (unsigned long long)b->all,
					  b->lines ? "lines" : "bytes");
		out->file = out->here = what->first;
		out->n = (what->until < b->all ? what->until : b->all) -
			 what->first;
	}
	if (b->lines)
		take_text(&b->text, &t->bytes, out->file, out->file + out->n);
	return b->text.bad ? -ENOMEM : 0;
}

static int by_first(const void *a, const void *b)
{
	const struct blame_part *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static void order(struct blame *b)
{
	size_t n = 0;

	if (b->n_parts)
		qsort(b->parts, b->n_parts, sizeof(*b->parts), by_first);
	for (size_t i = 0; i < b->n_parts; i++) {
		struct blame_part *last = n ? &b->parts[n - 1] : NULL;

		if (last && last->who == b->parts[i].who &&
		    last->or_older == b->parts[i].or_older &&
		    last->first + last->n == b->parts[i].first)
			last->n += b->parts[i].n;
		else
			b->parts[n++] = b->parts[i];
	}
	b->n_parts = n;
}

static int make(struct walk *k, const struct blame_what *what)
{
	struct blame_place whole;
	struct suspect *s = NULL;
	int rc = idx_version_at(k->w.r, &k->w.b->v, what->ino, what->at);

	if (rc == 0)
		return errmsg_set(k->w.em, -ENODATA,
				  "it had no version then: only regular files "
				  "that were written have one");
	if (rc > 0)
		rc = measure(&k->w, what, &whole);
	if (rc >= 0)
		rc = suspect_of(k, &s, &k->w.b->v, what->at);
	if (rc >= 0)
		rc = places_add(&s->parts, &whole);
	if (rc >= 0)
		rc = walk(k);
	if (rc >= 0)
		order(k->w.b);
	return rc;
}

int blame_make(struct blame **out, struct core *c, struct idx_reader *r,
	       const struct run_view *v, const struct blame_what *what,
	       struct errmsg *em)
{
	struct blame *b = calloc(1, sizeof(*b));
	struct walk k = {
		.w = { .core = c, .r = r, .view = v, .b = b, .em = em }
	};
	int rc;

	*out = NULL;
	if (!b)
		return -ENOMEM;
	b->ino = what->ino;
	rc = make(&k, what);
	while (k.n)
		suspect_free(k.v[--k.n]);
	git_helper_stop(k.w.git);
	buf_release(&k.w.texts[0].bytes);
	buf_release(&k.w.texts[1].bytes);
	buf_release(&k.w.hunks);
	if (rc < 0) {
		blame_free(b);
		return rc;
	}
	*out = b;
	return 0;
}

void blame_free(struct blame *b)
{
	if (!b)
		return;
	free(b->parts);
	free(b->who);
	buf_release(&b->text);
	free(b);
}
