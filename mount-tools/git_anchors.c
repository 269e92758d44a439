/*
 * git_anchors.c - see git_anchors.h.  What a repository holds is hostile.
 */
#include "mount-tools/git_anchors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "base/git_helper.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "ledger/note.h"

enum { COMMIT_HEX = 40 };

/* "COMMIT LENGTH\n" and so many bytes: one of them; 0 at the end. */
static int one(struct git_anchor *out, const char *p, size_t n, size_t *used)
{
	const char *line = memchr(p, '\n', n);
	unsigned long long length;
	struct note note;
	size_t head;
	char *end;

	if (!n)
		return 0;
	head = line ? (size_t)(line - p) + 1 : 0;
	if (head < COMMIT_HEX + 3 || p[COMMIT_HEX] != ' ')
		return -ERR_FORMAT;
	length = strtoull(p + COMMIT_HEX + 1, &end, 10);
	if (end != line || length > n - head)
		return -ERR_FORMAT;
	*out = (struct git_anchor){ .good = false };
	memcpy(out->commit, p, COMMIT_HEX);
	out->good = note_parse(&note, p + head, (size_t)length) >= 0 &&
		    checkpoint_parse(&out->c, note.text, note.text_n) >= 0;
	*used = head + (size_t)length;
	return 1;
}

static int add(struct git_anchors *a, const struct git_anchor *g)
{
	struct git_anchor *v = reallocarray(a->v, a->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	a->v = v;
	v[a->n++] = *g;
	return 0;
}

int git_anchors_read(struct git_anchors *out, const char *repo, const char *ref,
		     struct errmsg *em)
{
	char *argv[] = { (char[]){ "vouch-git" }, (char[]){ "anchors" },
			 (char *)repo, (char *)ref, NULL };
	struct buf autocall(buf_release) b = BUF_INIT;
	size_t at = 0, used = 0;
	struct git_anchor g;
	int rc = git_helper_call(&b, argv, "", 0, em), more = 1;

	*out = (struct git_anchors){ NULL, 0 };
	while (rc >= 0 && more > 0) {
		more = one(&g, (char *)b.p + at, b.n - at, &used);
		if (more > 0)
			rc = add(out, &g);
		at += used;
	}
	if (rc >= 0 && more < 0)
		rc = errmsg_set(em, more, "%s: what vouch-git says of it: %s",
				repo, err_text(more));
	if (rc < 0)
		git_anchors_release(out);
	return rc;
}

void git_anchors_release(struct git_anchors *a)
{
	free(a->v);
	*a = (struct git_anchors){ NULL, 0 };
}

/* Why it is no state of this log; false: it is one. */
static int wrong(char *out, size_t cap, const struct git_anchor *g,
		 struct ledger *l)
{
	struct digest root;
	int rc;

	if (!g->good) {
		snprintf(out, cap, "anchor %.12s: not a checkpoint", g->commit);
		return 1;
	}
	if (strcmp(g->c.origin, ledger_origin(l)) != 0) {
		snprintf(out, cap, "anchor %.12s: of another volume, %s",
			 g->commit, g->c.origin);
		return 1;
	}
	if (g->c.size > ledger_size(l)) {
		snprintf(out, cap,
			 "FORK: anchor %.12s is of %llu seals, the log has "
			 "%llu: what was signed is missing",
			 g->commit, (unsigned long long)g->c.size,
			 (unsigned long long)ledger_size(l));
		return 1;
	}
	rc = ledger_root_at(l, g->c.size, &root);
	if (rc < 0)
		return rc;
	if (memcmp(&root, &g->c.root, sizeof(root)) == 0)
		return 0;
	snprintf(out, cap,
		 "FORK: anchor %.12s: at %llu seals the log was another one",
		 g->commit, (unsigned long long)g->c.size);
	return 1;
}

int git_anchors_check(const struct git_anchors *a, struct ledger *l,
		      void (*found)(void *ctx, const char *words), void *ctx)
{
	char words[600];
	int n = 0;

	for (size_t i = 0; i < a->n; i++) {
		int rc = wrong(words, sizeof(words), &a->v[i], l);

		if (rc < 0)
			return rc;
		n += rc;
		if (rc)
			found(ctx, words);
		if (i && a->v[i].good && a->v[i - 1].good &&
		    a->v[i].c.size > a->v[i - 1].c.size) {
			snprintf(words, sizeof(words),
				 "anchor %.12s is of less than the one before "
				 "it",
				 a->v[i - 1].commit);
			found(ctx, words);
			n++;
		}
	}
	return n;
}

/* --- those that the log knows --- */

struct known {
	uint64_t no;
	char commit[41];
	char *place;
	bool there;
};

struct knowns {
	const struct git_anchors *a;
	struct ledger *l;
	const char *ref;
	struct known *v;
	size_t n;
	struct buf stored;
};

static bool is_there(const struct git_anchors *a, const char *commit)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].commit, commit) == 0)
			return true;
	return false;
}

static int add_known(struct knowns *k, uint64_t no,
		     const struct entry_anchor *b)
{
	struct known *v = realloc(k->v, (k->n + 1) * sizeof(*v));
	struct buf hex = BUF_INIT;

	if (!v)
		return -ENOMEM;
	k->v = v;
	v = &v[k->n];
	*v = (struct known){ .no = no };
	text_hex(&hex, b->commit, sizeof(b->commit));
	v->place = strndup(b->location.p, b->location.n);
	if (hex.bad || !v->place) {
		buf_release(&hex);
		free(v->place);
		return -ENOMEM;
	}
	memcpy(v->commit, hex.p, sizeof(v->commit) - 1);
	buf_release(&hex);
	v->there = is_there(k->a, v->commit);
	k->n++;
	return 0;
}

static int look(void *ctx, const struct idx_entry *i)
{
	struct knowns *k = ctx;
	struct entry e;
	int rc;

	if (i->kind != ENTRY_ANCHOR || i->rejected)
		return 0;
	buf_clear(&k->stored);
	rc = ledger_read_entry(k->l, &k->stored, NULL, i->no);
	if (rc == 0)
		rc = entry_open(&e, NULL, k->stored.p, k->stored.n, NULL);
	if (rc < 0 || e.body.opaque || e.body.anchor.kind != 1 ||
	    e.body.anchor.ref.n != strlen(k->ref) ||
	    memcmp(e.body.anchor.ref.p, k->ref, e.body.anchor.ref.n) != 0)
		return rc;
	return add_known(k, i->no, &e.body.anchor);
}

/* One that was made elsewhere: is a later one of those there? */
static bool has_later(const struct knowns *k, size_t i)
{
	for (size_t j = i + 1; j < k->n; j++)
		if (k->v[j].there && strcmp(k->v[j].place, k->v[i].place) == 0)
			return true;
	return false;
}

int git_anchors_missing(const struct git_anchors *a, struct idx_reader *r,
			struct ledger *l, const char *place, const char *ref,
			void (*found)(void *ctx, const char *words), void *ctx)
{
	struct knowns k = { .a = a, .l = l, .ref = ref };
	char words[200];
	int n = 0;
	int rc = idx_entries(r, 0, IDX_NOW, UINT32_MAX, look, &k);

	for (size_t i = 0; i < k.n && rc >= 0; i++) {
		const struct known *v = &k.v[i];

		if (v->there ||
		    (strcmp(v->place, place) != 0 && !has_later(&k, i)))
			continue;
		snprintf(words, sizeof(words),
			 "REMOVED: anchor %.12s, which the log says was made "
			 "(%llu.%u), is not there any more",
			 v->commit, (unsigned long long)IDX_SEAL(v->no),
			 IDX_POS(v->no));
		found(ctx, words);
		n++;
	}
	for (size_t i = 0; i < k.n; i++)
		free(k.v[i].place);
	free(k.v);
	buf_release(&k.stored);
	return rc < 0 ? rc : n;
}
