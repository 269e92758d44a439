/*
 * audit_at.c - /audit/at/WHEN/...: the whole tree as it was.
 *
 * A node is (entry number, inode): what it shows can never change, so names,
 * attributes and pages are the kernel's to keep.  WHEN is a snapshot's name
 * (it starts with a letter), a position "SEAL" or "SEAL.POSITION", a run's
 * start or end, or a time that is not in the future (audit_when.h).
 *
 * Who may not read an inode now may not read its past; the past of what is
 * gone is the owner's.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/audit_when.h"
#include "analytics/past.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "fs/content/content.h"
#include "index/idx.h"
#include "index/idx_query.h"

enum { PAGE = 512, TTL_MS = 1000 };

/* --- at/ --- */

static int at_root_lookup(struct provider *p, const struct cred *cr,
			  struct node *dir, const char *name,
			  struct node_key *out, char store[KEY_STRING])
{
	(void)dir, (void)store;
	out->kind = NODE_AT;
	out->b = STATE_ROOT_INO;
	return audit_when(p->core, provider_whole(p, cr) == 0 ? NULL : cr,
			  &out->a, name, NULL);
}

static int at_root_attr(struct provider *p, struct node *n, struct stat *out,
			uint32_t *ttl)
{
	(void)ttl;
	provider_open_attr(p, n, out, true);
	return 0;
}

struct snapshot_list {
	uint64_t off, i;
	vdir_fill_fn *fill;
	void *ctx;
};

static int list_snapshot(void *ctx, const struct idx_snapshot *s)
{
	struct snapshot_list *l = ctx;
	struct node_key k = { .kind = NODE_AT, .a = s->no, .b = 1 };
	uint64_t cookie = 3 + l->i++;

	if (cookie <= l->off)
		return 0;
	return provider_fill(l->fill, l->ctx, s->name, S_IFDIR, &k, cookie);
}

static int at_root_readdir(struct provider *p, struct vdir_list *v,
			   uint64_t off, vdir_fill_fn *fill, void *ctx)
{
	struct snapshot_list l = { .off = off, .fill = fill, .ctx = ctx };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(p->core, &r);

	(void)v;
	if (rc >= 0)
		rc = idx_snapshots(r, list_snapshot, &l);
	core_reader_give(p->core, r);
	return rc < 0 ? rc : 0;
}

static int at_root_opendir(struct provider *p, const struct cred *cr,
			   struct vdir_list *l)
{
	(void)cr, (void)l;
	return provider_settle(p);
}

const struct view audit_at_root_view = {
	.lookup = at_root_lookup,
	.attr = at_root_attr,
	.opendir = at_root_opendir,
	.readdir = at_root_readdir,
};

/* --- what was there --- */

/* The node's past, loaded once; borrowed while the node is held. */
static int at_past(struct provider *p, struct node *n, const struct past **out)
{
	struct idx_reader *r = NULL;
	struct past *past = NULL;
	int rc;

	node_lock(&p->nodes);
	*out = n->data;
	node_unlock(&p->nodes);
	if (*out)
		return 0;
	rc = core_reader_take(p->core, &r);
	if (rc >= 0)
		rc = past_load(&past, p->core, r, n->key.b, n->key.a);
	core_reader_give(p->core, r);
	if (rc < 0)
		return rc;
	node_lock(&p->nodes);
	if (!n->data) {
		n->data = take(past);
		n->data_free = past_free;
	}
	*out = n->data;
	node_unlock(&p->nodes);
	past_free(past);
	return 0;
}

static int at_attr(struct provider *p, struct node *n, struct stat *out,
		   uint32_t *ttl)
{
	const struct past *past = NULL;
	int rc = at_past(p, n, &past);

	if (rc < 0)
		return rc;
	past_stat(past, out);
	/* a snapshot's name may be another's in a moment */
	*ttl = n->key.b == STATE_ROOT_INO ? 0 : TTL_MS;
	return 0;
}

static int at_lookup(struct provider *p, const struct cred *cr,
		     struct node *dir, const char *name, struct node_key *out,
		     char store[KEY_STRING])
{
	struct idx_reader *r = NULL;
	struct name_row row;
	size_t n = strlen(name);
	int rc = core_may_read(p->core, cr, dir->key.b);

	(void)store;
	if (rc >= 0 && n > LIMIT_NAME)
		rc = -ENAMETOOLONG;
	if (rc >= 0)
		rc = core_reader_take(p->core, &r);
	if (rc >= 0)
		rc = idx_name_at(r, &row, dir->key.b, name, (uint16_t)n,
				 dir->key.a);
	core_reader_give(p->core, r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	out->kind = NODE_AT;
	out->a = dir->key.a;
	out->b = row.ino;
	return 0;
}

static ssize_t at_readlink(struct provider *p, const struct cred *cr,
			   struct node *n, char *out, size_t cap)
{
	const struct past *past = NULL;
	size_t len;
	int rc = at_past(p, n, &past);

	(void)cr; /* as readlink(2): the directory was enough */
	if (rc < 0)
		return rc;
	if (!past->target)
		return -EINVAL;
	len = strlen(past->target);
	if (len >= cap)
		return -ENAMETOOLONG;
	memcpy(out, past->target, len + 1);
	return (ssize_t)len;
}

/* --- files --- */

static int at_open(struct provider *p, const struct cred *cr,
		   struct vdir_file *f, struct vdir_opened *how)
{
	const struct past *past = NULL;
	struct content *content = NULL;
	int rc = core_may_read(p->core, cr, f->node->key.b);

	if (rc >= 0)
		rc = at_past(p, f->node, &past);
	if (rc >= 0 && !S_ISREG(past->mode))
		rc = S_ISDIR(past->mode) ? -EISDIR : -ENXIO;
	if (rc >= 0)
		rc = past_content(past, p->core, &content);
	f->state = content;
	how->keep_cache = true;
	return rc;
}

static ssize_t at_read(struct provider *p, struct vdir_file *f, void *buf,
		       size_t n, uint64_t off)
{
	const struct past *past = NULL;
	int rc = at_past(p, f->node, &past);

	return rc < 0 ? rc : past_read(past, f->state, buf, n, off);
}

static int at_seek(struct provider *p, struct vdir_file *f, uint64_t off,
		   bool hole, uint64_t *out)
{
	(void)p;
	return content_seek(f->state, off, hole, out);
}

static void at_release(struct provider *p, struct vdir_file *f)
{
	(void)p;
	content_close(f->state);
}

/* --- directories: names after the last one shown --- */

struct at_name {
	uint64_t ino;
	uint32_t mode;
	uint16_t len;
	char name[LIMIT_NAME + 1];
};

/* The names of a page; first is the cookie of v[0]. */
struct at_list {
	uint64_t first;
	unsigned n;
	bool end;
	struct at_name v[PAGE];
};

static int at_opendir(struct provider *p, const struct cred *cr,
		      struct vdir_list *l)
{
	const struct past *past = NULL;
	int rc = core_may_read(p->core, cr, l->node->key.b);

	if (rc >= 0)
		rc = at_past(p, l->node, &past);
	if (rc >= 0 && !S_ISDIR(past->mode))
		rc = -ENOTDIR;
	if (rc < 0)
		return rc;
	l->state = calloc(1, sizeof(struct at_list));
	return l->state ? 0 : -ENOMEM;
}

static int copy_name(void *ctx, const struct name_row *row, const char *name,
		     uint16_t len)
{
	struct at_list *g = ctx;
	struct at_name *a = &g->v[g->n++];

	a->ino = row->ino;
	a->mode = row->mode;
	a->len = len;
	memcpy(a->name, name, len);
	a->name[len] = '\0';
	return 0;
}

/* Loads the page after the one that is there, or the first. */
static int next_page(struct provider *p, struct vdir_list *l, bool restart)
{
	struct at_list *g = l->state;
	char after[LIMIT_NAME + 1] = "";
	uint16_t len = 0;
	struct idx_reader *r = NULL;
	int rc = core_reader_take(p->core, &r);

	if (restart || !g->n) {
		g->first = 3;
	} else {
		len = g->v[g->n - 1].len;
		memcpy(after, g->v[g->n - 1].name, len);
		g->first += g->n;
	}
	g->n = 0;
	if (rc >= 0)
		rc = idx_names_at(r, l->node->key.b, after, len, PAGE,
				  l->node->key.a, copy_name, g);
	core_reader_give(p->core, r);
	g->end = g->n < PAGE;
	return rc < 0 ? rc : 0;
}

static int at_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
		      vdir_fill_fn *fill, void *ctx)
{
	struct at_list *g = l->state;
	uint64_t want = off + 1; /* cookie of the next name */
	int rc = 0;

	if (!g->first || want < g->first)
		rc = next_page(p, l, true);
	while (rc >= 0) {
		for (unsigned i = 0; i < g->n; i++) {
			struct node_key k = { .kind = NODE_AT,
					      .a = l->node->key.a,
					      .b = g->v[i].ino };

			if (g->first + i >= want &&
			    provider_fill(fill, ctx, g->v[i].name,
					  g->v[i].mode & S_IFMT, &k,
					  g->first + i))
				return 0;
		}
		if (g->end)
			return 0;
		rc = next_page(p, l, false);
	}
	return rc;
}

static void at_releasedir(struct provider *p, struct vdir_list *l)
{
	(void)p;
	free(l->state);
}

const struct view audit_at_view = {
	.lookup = at_lookup,
	.attr = at_attr,
	.readlink = at_readlink,
	.open = at_open,
	.read = at_read,
	.seek = at_seek,
	.release = at_release,
	.opendir = at_opendir,
	.readdir = at_readdir,
	.releasedir = at_releasedir,
};
