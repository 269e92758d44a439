/*
 * undo_content.c - the bytes of an undo: which versions are the run's, what
 * they were made from, and what a text becomes without them.
 *
 * A version takes up what was saved since the one before (EXTENTS), by whomever.
 * What the run saved is its own, also in somebody else's version, and what
 * somebody else saved in between is not: it ends a part.
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

struct walk {
	struct idx_version last;
	bool in_part;
};

/* The run changed it by entry `no`: a part more, or more of the last one. */
static int part_add(struct undo_track *t, struct walk *w, uint64_t no)
{
	struct undo_part *p = t->parts;

	if (!w->in_part) {
		p = reallocarray(t->parts, t->n_parts + 1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		t->parts = p;
		p[t->n_parts++].before = (struct undo_ref){ t->ino, no - 1 };
		w->in_part = true;
	}
	p[t->n_parts - 1].after = (struct undo_ref){ t->ino, no };
	if (!t->first)
		t->first = no;
	return 0;
}

/* What was saved between the last version and v, whoever makes that. */
static int walk_saves(struct undo *u, struct undo_track *t, struct walk *w,
		      const struct idx_version *v)
{
	autofree struct entry_page *g = NULL;
	uint64_t from = w->last.no + 1;
	int rc = from < v->no ?
			 idx_extents_among(u->r, v->ino, from - 1, v->no - 1) :
			 0;

	if (rc <= 0)
		return rc; /* as of most files */
	g = calloc(1, sizeof(*g));
	rc = g ? 0 : -ENOMEM;
	while (rc >= 0 && from < v->no) {
		g->n = 0;
		rc = idx_history(u->r, v->ino, from, v->no - 1, ENTRY_PAGE,
				 false, entry_page_add, g);
		for (unsigned i = 0; rc >= 0 && i < g->n; i++) {
			if (g->v[i].kind != ENTRY_EXTENTS || g->v[i].rejected)
				continue;
			rc = undo_is_mine(u, g->v[i].no, g->v[i].actor_no);
			if (rc > 0) {
				rc = part_add(t, w, g->v[i].no);
			} else {
				w->in_part = false;
				t->content_theirs = t->first ? g->v[i].no : 0;
			}
		}
		if (rc < 0 || g->n < ENTRY_PAGE)
			break;
		from = g->v[ENTRY_PAGE - 1].no + 1;
	}
	return rc < 0 ? rc : 0;
}

/*
 * After a crash the next version has no actor: what it takes up was saved, so
 * it is that of who saved it.
 */
static int on_version(struct undo *u, struct undo_track *t, struct walk *w,
		      const struct idx_version *v)
{
	bool same = w->last.version && w->last.size == v->size &&
		    digest_eq(&w->last.tree_root, &v->tree_root);
	int mine = same ? 0 : undo_is_mine(u, v->no, v->actor_no), rc = 0;

	if (mine < 0)
		return mine;
	if (!same)
		rc = walk_saves(u, t, w, v);
	if (rc == 0 && (mine || (!same && !v->actor_no && w->in_part))) {
		t->content_foreign = 0;
		rc = part_add(t, w, v->no);
	} else if (!same) {
		w->in_part = false;
		t->content_foreign = t->first ? v->no : 0;
		t->content_theirs = t->content_foreign;
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

enum { DEPTH_MAX = 4096 };

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

/* want: a bit of others'. */
static bool mode_allows(const struct past *p, const struct cred *cr,
			uint32_t want)
{
	if (cr->uid == p->uid)
		return p->mode & want << 6;
	if (core_in_group(cr, p->gid))
		return p->mode & want << 3;
	return p->mode & want;
}

/* Was the way to it open to him then, and is what is left of it now? */
static int may_reach(struct core *c, struct idx_reader *r,
		     const struct cred *cr, struct undo_ref ref)
{
	char name[LIMIT_NAME + 1];
	struct name_row row;
	struct stat st;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && ref.ino != STATE_ROOT_INO; i++) {
		struct past *p = NULL;

		rc = idx_name_of(r, &row, name, ref.ino, ref.at);
		if (rc <= 0 || i == DEPTH_MAX)
			return rc < 0 ? rc : -EACCES;
		ref.ino = row.parent;
		rc = ref.ino == STATE_ROOT_INO ?
			     0 :
			     past_load(&p, c, r, ref.ino, ref.at);
		if (rc == 0 && p && !mode_allows(p, cr, S_IXOTH))
			rc = -EACCES;
		past_free(p);
		if (rc == 0 && core_getattr(c, ref.ino, &st) >= 0 &&
		    !core_allows(c, cr, ref.ino, 1))
			rc = -EACCES;
	}
	return rc;
}

/*
 * By its mode then, and by all that counts now; of what is gone, by the way to
 * it: a file in a shut directory was nobody's to read, whatever its mode.
 */
static int may_read(struct core *c, struct idx_reader *r, const struct cred *cr,
		    struct undo_ref ref)
{
	struct past *p = NULL;
	struct stat st;
	bool yes;
	int rc = cr ? past_load(&p, c, r, ref.ino, ref.at) : 0;

	if (!cr || rc < 0)
		return rc;
	yes = mode_allows(p, cr, S_IROTH);
	past_free(p);
	if (!yes)
		return -EACCES;
	rc = core_getattr(c, ref.ino, &st);
	if (rc >= 0)
		return core_may_read(c, cr, ref.ino);
	return rc == -ENOENT ? may_reach(c, r, cr, ref) : rc;
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
		rc = core_storage_check(c, &v, &out->subject);
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
