/*
 * undo_content.c - the bytes of an undo: which versions are the run's, what
 * they were made from, and what a text becomes without them.
 *
 * A version may take up what was saved since the one before (EXTENTS).  What
 * the run saved is its own, so "before" is the place in front of its first
 * save, not in front of the version.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/entry_page.h"
#include "analytics/past.h"
#include "analytics/undo_int.h"
#include "base/err.h"
#include "fs/content/content.h"
#include "fs/core/core.h"
#include "fs/core/core_storage.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

/* --- which are the run's --- */

struct versions {
	struct idx_version v[ENTRY_PAGE];
	unsigned n;
};

static int add_version(void *ctx, const struct idx_version *v)
{
	struct versions *g = ctx;

	g->v[g->n++] = *v;
	return 0;
}

/* The place in front of all that the run put into version v of after..v. */
static int before_saves(struct undo *u, uint64_t *out, uint64_t after,
			const struct idx_version *v)
{
	autofree struct entry_page *g = calloc(1, sizeof(*g));
	uint64_t from = after + 1;
	int rc = g ? 0 : -ENOMEM;

	*out = v->no - 1;
	while (rc >= 0) {
		g->n = 0;
		rc = idx_history(u->r, v->ino, from, v->no - 1, ENTRY_PAGE,
				 false, entry_page_add, g);
		for (unsigned i = 0; rc >= 0 && i < g->n; i++) {
			if (g->v[i].kind != ENTRY_EXTENTS || g->v[i].rejected)
				continue;
			rc = undo_is_mine(u, g->v[i].no, g->v[i].actor_no);
			if (rc > 0) {
				*out = g->v[i].no - 1;
				return 0;
			}
		}
		if (rc < 0 || g->n < ENTRY_PAGE)
			break;
		from = g->v[ENTRY_PAGE - 1].no + 1;
	}
	return rc < 0 ? rc : 0;
}

static int part_begin(struct undo *u, struct undo_track *t, uint64_t after,
		      const struct idx_version *v)
{
	struct undo_part *p =
		reallocarray(t->parts, t->n_parts + 1, sizeof(*p));
	uint64_t before = 0;
	int rc = p ? before_saves(u, &before, after, v) : -ENOMEM;

	if (p)
		t->parts = p;
	if (rc < 0)
		return rc;
	p[t->n_parts++] = (struct undo_part){ .before = { t->ino, before },
					      .after = { t->ino, v->no } };
	return 0;
}

struct walk {
	struct idx_version last;
	bool in_part;
};

static int on_version(struct undo *u, struct undo_track *t, struct walk *w,
		      const struct idx_version *v)
{
	bool same = w->last.version && w->last.size == v->size &&
		    digest_eq(&w->last.tree_root, &v->tree_root);
	int mine = same ? 0 : undo_is_mine(u, v->no, v->actor_no), rc = 0;

	if (mine < 0)
		return mine;
	if (!same && !mine) {
		w->in_part = false;
		t->content_foreign = t->first ? v->no : 0;
	} else if (mine) {
		t->content_foreign = 0;
		if (!w->in_part)
			rc = part_begin(u, t, w->last.no, v);
		else
			t->parts[t->n_parts - 1].after.at = v->no;
		w->in_part = true;
		if (!t->first)
			t->first = v->no;
	}
	w->last = *v;
	return rc;
}

int undo_content_track(struct undo *u, struct undo_track *t)
{
	autofree struct versions *g = calloc(1, sizeof(*g));
	struct walk w = { .in_part = false };
	uint32_t from;
	int rc = g ? 0 : -ENOMEM;

	if (rc >= 0 && t->first)
		rc = idx_version_at(u->r, &w.last, t->ino, t->first - 1);
	if (rc >= 0 && !t->first)
		rc = idx_version_at(u->r, &w.last, t->ino, IDX_NOW);
	from = (uint32_t)w.last.version + 1;
	while (rc >= 0) {
		g->n = 0;
		rc = idx_versions(u->r, t->ino, from, ENTRY_PAGE, add_version,
				  g);
		for (unsigned i = 0; rc >= 0 && i < g->n; i++)
			rc = on_version(u, t, &w, &g->v[i]);
		if (rc < 0 || g->n < ENTRY_PAGE)
			break;
		from = (uint32_t)g->v[ENTRY_PAGE - 1].version + 1;
	}
	t->version = w.last.version;
	t->version_no = w.last.no;
	t->root = w.last.tree_root;
	t->size = w.last.version ? w.last.size : 0;
	return rc < 0 ? rc : 0;
}

/* --- opening --- */

/* The version then, and whether more was saved on it. */
static int look_up(struct idx_reader *r, struct idx_version *out,
		   bool *out_more, struct undo_ref ref)
{
	int rc;

	*out = (struct idx_version){ .version = 0 };
	rc = idx_version_at(r, out, ref.ino, ref.at);
	if (rc >= 0)
		rc = idx_extents_among(r, ref.ino, out->no, ref.at);
	*out_more = rc > 0;
	return rc < 0 ? rc : 0;
}

int undo_content_root(struct undo *u, struct digest *out, uint64_t *out_size,
		      struct undo_ref ref)
{
	struct idx_version v;
	bool more;
	int rc = look_up(u->r, &v, &more, ref);

	*out = v.tree_root;
	*out_size = v.version ? v.size : 0;
	if (rc >= 0 && v.released_no)
		return -ENODATA;
	return rc < 0 ? rc : !more;
}

static bool mode_allows(const struct past *p, const struct cred *cr)
{
	if (cr->uid == p->uid)
		return p->mode & S_IRUSR;
	if (core_in_group(cr, p->gid))
		return p->mode & S_IRGRP;
	return p->mode & S_IROTH;
}

/* By its mode then, and by all that counts now, if it is still there. */
static int may_read(struct core *c, struct idx_reader *r, const struct cred *cr,
		    struct undo_ref ref)
{
	struct past *p = NULL;
	struct stat st;
	bool yes;
	int rc = cr ? past_load(&p, c, r, ref.ino, ref.at) : 0;

	if (!cr || rc < 0)
		return rc;
	yes = mode_allows(p, cr);
	past_free(p);
	if (!yes)
		return -EACCES;
	if (core_getattr(c, ref.ino, &st) < 0)
		return 0;
	return core_may_read(c, cr, ref.ino);
}

/* With what was saved since its version: that becomes a tree of its own. */
static int open_past(struct core *c, struct idx_reader *r, struct content **out,
		     struct undo_ref ref)
{
	struct content_version v;
	struct past *p = NULL;
	int rc = past_load(&p, c, r, ref.ino, ref.at);

	if (rc >= 0)
		rc = past_content(p, c, out);
	past_free(p);
	if (rc < 0)
		return rc;
	rc = content_fold(*out, &v);
	if (rc >= 0)
		content_folded(*out, v.gen);
	content_version_release(&v);
	return rc;
}

int undo_content_open(struct core *c, struct idx_reader *r,
		      const struct cred *cr, struct undo_opened *out,
		      struct undo_ref ref)
{
	struct idx_version v;
	bool more;
	int rc = look_up(r, &v, &more, ref);

	*out = (struct undo_opened){ .content = NULL };
	if (rc >= 0)
		rc = may_read(c, r, cr, ref);
	if (rc >= 0 && more)
		rc = open_past(c, r, &out->content, ref);
	else if (rc >= 0 && !v.version)
		rc = content_open(&out->content, core_pool(c), &digest_zero, 0);
	else if (rc >= 0)
		rc = core_storage_version(c, &v, &out->subject, ref.ino,
					  v.version);
	if (rc >= 0 && !out->content)
		rc = content_open(&out->content, core_pool(c), &v.tree_root,
				  v.size);
	out->no = v.no;
	if (rc < 0) {
		content_close(out->content);
		out->content = NULL;
	}
	return rc < 0 ? rc : 0;
}

int undo_bytes(const struct undo_merge *m, struct buf *out, struct undo_ref ref)
{
	struct undo_opened o;
	uint8_t *room;
	ssize_t n;
	uint64_t size;
	int rc = undo_content_open(m->core, m->r, m->cr, &o, ref);

	if (rc < 0)
		return rc;
	size = content_size(o.content);
	if (size > GIT_HELPER_MAX) {
		content_close(o.content);
		return 0;
	}
	room = buf_grow(out, (size_t)size + 1);
	n = room ? content_read(o.content, room, (size_t)size, 0) : -ENOMEM;
	content_close(o.content);
	if (n >= 0)
		out->n = (size_t)n;
	return n < 0 ? (int)n : 1;
}

/* --- without the run --- */

static void add_places(struct buf *places, const struct git_merged *m)
{
	for (size_t i = 0; i < m->n; i++)
		buf_addf(places, "%s[%llu,%llu]", places->n ? "," : "",
			 (unsigned long long)m->v[i].first,
			 (unsigned long long)m->v[i].n);
}

/* A helper that went over its limits has ended: no text that we can merge. */
static int merge_part(const struct undo_merge *m, struct buf *ours,
		      struct git_bytes base, struct git_bytes theirs,
		      struct buf *places)
{
	struct git_bytes now = { ours->p, ours->n };
	struct git_merged merged;
	struct buf out = BUF_INIT;
	int rc = *m->git ? 0 : git_helper_start_merge(m->git, NULL);

	if (rc < 0)
		return -EIO;
	rc = git_helper_merge(*m->git, &out, &merged, base, now, theirs);
	if (rc == -EPIPE) {
		git_helper_stop(*m->git);
		*m->git = NULL;
		merged.binary = true;
		rc = 0;
	}
	if (rc == 0 && !merged.binary) {
		add_places(places, &merged);
		buf_release(ours);
		*ours = out;
		out = (struct buf)BUF_INIT;
		rc = 1;
	}
	free(merged.v);
	buf_release(&out);
	return rc;
}

int undo_merge(const struct undo_merge *m, struct buf *ours,
	       const struct undo_part *parts, size_t n, struct buf *places)
{
	int rc = 1;

	while (n-- > 0 && rc > 0) { /* the last one first */
		struct buf base = BUF_INIT, theirs = BUF_INIT;

		rc = undo_bytes(m, &base, parts[n].after);
		if (rc > 0)
			rc = undo_bytes(m, &theirs, parts[n].before);
		if (rc > 0)
			rc = merge_part(
				m, ours, (struct git_bytes){ base.p, base.n },
				(struct git_bytes){ theirs.p, theirs.n },
				places);
		buf_release(&base);
		buf_release(&theirs);
	}
	return rc;
}
