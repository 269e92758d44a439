/*
 * audit_mirror.c - the shape of history/, lineage/ and proof/: the real tree,
 * every file as NAME with a suffix, walked only where somebody looks.
 *
 * A name is looked up in the real directory as it is now; where it is not
 * there, the owner of the volume finds what had that path last.  The virtual
 * trees are no part of the real one, so the audit never contains itself.
 *
 * Listing: one real name may give several (a directory is NAME/ and, in
 * history, NAME.jsonl).  Cookie of the j-th: real cookie * 4 + j + 1.
 */
#include "analytics/audit_mirror.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/line.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

enum { PAGE = 256, PER_NAME = 4 };
#define INODES_NAME ".inode"

struct shape {
	uint16_t dir;
	struct {
		uint16_t kind;
		const char *suffix; /* NULL: no more */
	} files[2];
	bool all_types; /* directories and links have a document, too */
};

static const struct shape shapes[] = {
	{ NODE_HISTORY_DIR, { { NODE_HISTORY, ".jsonl" } }, true },
	{ NODE_LINEAGE_DIR,
	  { { NODE_LINEAGE_JSON, ".json" }, { NODE_LINEAGE_DOT, ".dot" } },
	  false },
	{ NODE_PROOF_DIR, { { NODE_PROOF, ".tlog-proof" } }, false },
};

static const struct shape *shape_of(const struct node *dir)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].dir == dir->key.kind)
			return &shapes[i];
	return NULL;
}

static bool has_document(const struct shape *s, uint32_t type)
{
	return s->all_types || type == S_IFREG;
}

/* --- attributes --- */

int audit_mirror_attr(struct provider *p, struct node *n, struct stat *out,
		      uint64_t ino, bool directory)
{
	struct stat real;
	int rc = core_getattr(p->core, ino, &real);

	if (rc < 0 && rc != -ENOENT && rc != -ESTALE)
		return rc;
	provider_published(p, n, out);
	if (rc < 0) {
		out->st_mode = directory ? S_IFDIR | 0500 : S_IFREG | 0400;
		out->st_uid = p->owner_uid;
		out->st_gid = p->owner_gid;
		return 0;
	}
	out->st_mode = directory ? S_IFDIR | (real.st_mode & 0555) :
				   S_IFREG | (real.st_mode & 0444);
	out->st_uid = real.st_uid;
	out->st_gid = real.st_gid;
	out->st_mtim = real.st_mtim;
	out->st_ctim = real.st_ctim;
	out->st_atim = real.st_atim;
	return 0;
}

static int mirror_attr(struct provider *p, struct node *n, struct stat *out,
		       uint32_t *ttl)
{
	(void)ttl;
	return audit_mirror_attr(p, n, out, n->key.a, true);
}

/* --- looking up --- */

struct first {
	struct idx_entry e;
	bool found;
};

static int first_one(void *ctx, const struct idx_entry *e)
{
	struct first *f = ctx;

	f->e = *e;
	f->found = true;
	return 0;
}

int audit_mirror_type(struct provider *p, struct idx_reader *r, uint64_t ino,
		      uint32_t *out)
{
	struct buf stored = BUF_INIT;
	struct first f = { .found = false };
	struct entry e;
	int rc = idx_history(r, ino, 0, IDX_NOW, 1, true, first_one, &f);

	*out = 0;
	if (rc < 0 || !f.found)
		return rc < 0 ? rc : 0;
	rc = line_load(p->core, &stored, &e, f.e.no);
	if (rc >= 0 && ino == STATE_ROOT_INO)
		*out = S_IFDIR;
	else if (rc >= 0 && e.core.kind == ENTRY_CREATE && !e.body.opaque)
		*out = DTTOIF(e.body.create.dtype);
	buf_release(&stored);
	return rc < 0 ? rc : 0;
}

/* The inode that had the name in the directory (itself perhaps gone) last. */
static int find_gone(struct provider *p, uint64_t dir, const char *name,
		     uint64_t *out_ino, uint32_t *out_type)
{
	struct buf path = BUF_INIT;
	struct idx_reader *r = NULL;
	bool gone = false;
	int rc = core_reader_take(p->core, &r);

	if (rc >= 0 && dir != STATE_ROOT_INO) {
		rc = idx_path_last(r, &path, dir, &gone);
		rc = rc == 0 ? -ENOENT : rc;
		buf_addc(&path, '/');
	}
	buf_adds(&path, name);
	if (rc >= 0)
		rc = idx_resolve_last(r, out_ino, &gone, (char *)path.p,
				      path.n);
	rc = rc == 0 ? -ENOENT : rc;
	if (rc > 0)
		rc = audit_mirror_type(p, r, *out_ino, out_type);
	core_reader_give(p->core, r);
	buf_release(&path);
	return rc < 0 ? rc : *out_type ? 0 : -ENOENT;
}

static int find(struct provider *p, const struct cred *cr, uint64_t dir,
		const char *name, uint64_t *out_ino, uint32_t *out_type)
{
	struct stat st;
	int rc = core_lookup(p->core, dir, name, &st);

	if (!rc) {
		*out_ino = st.st_ino;
		*out_type = st.st_mode & S_IFMT;
		return 0;
	}
	if (rc != -ENOENT && rc != -ENOTDIR && rc != -ESTALE)
		return rc;
	return core_is_owner(p->core, cr) ?
		       find_gone(p, dir, name, out_ino, out_type) :
		       -ENOENT;
}

static int mirror_lookup(struct provider *p, const struct cred *cr,
			 struct node *dir, const char *name,
			 struct node_key *out, char store[KEY_STRING])
{
	const struct shape *s = shape_of(dir);
	char base[LIMIT_NAME + 1];
	uint32_t type = 0;
	int rc;

	(void)store;
	if (dir->key.kind == NODE_HISTORY_DIR && dir->key.a == STATE_ROOT_INO &&
	    !strcmp(name, INODES_NAME)) {
		out->kind = NODE_HISTORY_INODES;
		return 0;
	}
	rc = find(p, cr, dir->key.a, name, &out->a, &type);
	if (!rc && type == S_IFDIR) {
		out->kind = s->dir;
		return 0;
	}
	for (unsigned i = 0; i < 2 && s->files[i].suffix; i++) {
		if (!provider_cut(base, name, s->files[i].suffix))
			continue;
		rc = find(p, cr, dir->key.a, base, &out->a, &type);
		if (rc < 0)
			return rc;
		out->kind = s->files[i].kind;
		return has_document(s, type) ? 0 : -ENOENT;
	}
	return rc < 0 && rc != -ENOENT ? rc : -ENOENT;
}

/* --- listing --- */

struct name_copy {
	uint64_t ino, cookie;
	uint32_t type;
	char name[LIMIT_NAME + 1];
};

struct page {
	struct name_copy *v;
	unsigned n;
};

static int copy_one(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	struct page *g = ctx;
	struct name_copy *c = &g->v[g->n++];

	c->ino = st->st_ino;
	c->cookie = cookie;
	c->type = st->st_mode & S_IFMT;
	snprintf(c->name, sizeof(c->name), "%s", name);
	return g->n == PAGE;
}

/* NAME + suffix, unless it is too long or a directory has it. */
static bool document_name(struct provider *p, uint64_t dir, const char *name,
			  const char *suffix, char out[LIMIT_NAME + 1])
{
	size_t n = strlen(name), m = strlen(suffix);
	struct stat st;

	if (n + m > LIMIT_NAME)
		return false;
	memcpy(out, name, n);
	memcpy(out + n, suffix, m + 1);
	return core_lookup(p->core, dir, out, &st) < 0 || !S_ISDIR(st.st_mode);
}

/* All that one real name gives, from the j-th; nonzero: full. */
static int fill_name(struct provider *p, struct vdir_list *l,
		     const struct name_copy *c, unsigned j, vdir_fill_fn *fill,
		     void *ctx)
{
	const struct shape *s = shape_of(l->node);
	char name[LIMIT_NAME + 1];
	uint64_t next = c->cookie * PER_NAME;

	if (j == 0 && c->type == S_IFDIR) {
		struct node_key k = { .kind = s->dir, .a = c->ino };

		if (provider_fill(fill, ctx, c->name, S_IFDIR, &k, next + 1))
			return 1;
	}
	for (unsigned i = 0; i < 2 && s->files[i].suffix; i++) {
		struct node_key k = { .kind = s->files[i].kind, .a = c->ino };

		if (i + 1 < j || !has_document(s, c->type) ||
		    !document_name(p, l->node->key.a, c->name,
				   s->files[i].suffix, name))
			continue;
		if (provider_fill(fill, ctx, name, S_IFREG, &k, next + i + 2))
			return 1;
	}
	return 0;
}

static int mirror_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
			  vdir_fill_fn *fill, void *ctx)
{
	autofree struct name_copy *v = calloc(PAGE, sizeof(*v));
	uint64_t cookie = off / PER_NAME;
	unsigned j = off % PER_NAME;
	uint64_t after = off <= 2 ? 2 : j ? cookie - 1 : cookie;
	int rc;

	if (!v)
		return -ENOMEM;
	if (off <= 2)
		j = 0;
	for (;;) {
		struct page g = { .v = v };

		rc = core_readdir(p->core, l->node->key.a, after, PAGE, false,
				  copy_one, &g);
		if (rc < 0) /* a directory that is gone is empty */
			return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
		for (unsigned i = 0; i < g.n; i++) {
			bool resumed = j && v[i].cookie == cookie;

			if (fill_name(p, l, &v[i], resumed ? j : 0, fill, ctx))
				return 0;
			after = v[i].cookie;
		}
		if (g.n < PAGE)
			return 0;
	}
}

static int mirror_opendir(struct provider *p, const struct cred *cr,
			  struct vdir_list *l)
{
	return core_may_read(p->core, cr, l->node->key.a);
}

const struct view audit_mirror_view = {
	.lookup = mirror_lookup,
	.attr = mirror_attr,
	.opendir = mirror_opendir,
	.readdir = mirror_readdir,
};

/* --- history/.inode: by number, not listed --- */

static int inodes_lookup(struct provider *p, const struct cred *cr,
			 struct node *dir, const char *name,
			 struct node_key *out, char store[KEY_STRING])
{
	char base[LIMIT_NAME + 1];
	struct idx_reader *r = NULL;
	uint32_t type = 0;
	struct stat st;
	int rc;

	(void)dir, (void)store;
	if (!provider_cut(base, name, ".jsonl") || base[0] == '0' ||
	    text_u64_parse(&out->a, base) < 0 || VDIR_IS_VIRTUAL(out->a))
		return -ENOENT;
	out->kind = NODE_HISTORY;
	if (!core_getattr(p->core, out->a, &st))
		return 0;
	if (!core_is_owner(p->core, cr))
		return -ENOENT;
	rc = core_reader_take(p->core, &r);
	if (rc >= 0)
		rc = audit_mirror_type(p, r, out->a, &type);
	core_reader_give(p->core, r);
	return rc < 0 ? rc : type ? 0 : -ENOENT;
}

static int inodes_attr(struct provider *p, struct node *n, struct stat *out,
		       uint32_t *ttl)
{
	provider_open_attr(p, n, out, true);
	out->st_mode = S_IFDIR | 0111; /* not listed */
	*ttl = 1000;
	return 0;
}

static int inodes_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
			  vdir_fill_fn *fill, void *ctx)
{
	(void)p, (void)l, (void)off, (void)fill, (void)ctx;
	return 0;
}

const struct view audit_mirror_inodes_view = {
	.lookup = inodes_lookup,
	.attr = inodes_attr,
	.readdir = inodes_readdir,
};
