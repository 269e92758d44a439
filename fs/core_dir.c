/*
 * core_dir.c - listing a directory: what the index has, merged with the names
 * that it has not applied yet.
 *
 * A name's cookie never changes, so a listing that goes on after `cookie` is
 * stable under creations, renames and removals.  The names in memory are
 * copied first, then the index is read: what is applied in between shows in
 * both and is taken once.  A name that was changed before the listing and is
 * applied after the index was read is still in memory, which overrules; if it
 * has been evicted already, the page is read again.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/core_internal.h"
#include "index/idx.h"

enum { PAGE = 512 };

struct entry_copy {
	uint64_t cookie, ino;
	uint32_t mode;
	bool removed;
	uint8_t len;
	char name[LIMIT_NAME + 1];
};

struct page {
	struct core *c;
	uint64_t dir, parent, after;
	uint64_t applied;	/* by the index when memory was looked at */
	struct entry_copy *mem; /* unapplied names after `after`, by cookie */
	size_t n_mem;
	struct entry_copy *db;
	size_t n_db;
};

static void copy_name(struct entry_copy *e, const struct name_row *row,
		      const char *name, size_t len)
{
	e->cookie = row->cookie;
	e->ino = row->ino;
	e->mode = row->mode;
	e->removed = len > LIMIT_NAME;
	e->len = (uint8_t)len;
	if (!e->removed) {
		memcpy(e->name, name, len);
		e->name[len] = '\0';
	}
}

/* The next names in memory, at most PAGE. */
static int memory_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct page *p = arg;
	struct inode *dir;
	int rc = itable_get(tx, &dir, p->dir);

	(void)c;
	if (rc < 0)
		return rc;
	if (!core_is_dir(dir))
		return -ENOTDIR;
	p->parent = dir->row.parent;
	p->applied = c->t.applied;
	p->n_mem = 0;
	for (struct link *l = dir->names.next;
	     l != &dir->names && p->n_mem < PAGE; l = l->next) {
		const struct name *n = itable_name_of(l);

		if (n->row.ino && n->row.cookie > p->after)
			copy_name(&p->mem[p->n_mem++], &n->row, n->name,
				  n->len);
	}
	return 0;
}

static int add_db(void *ctx, const struct name_row *row, const char *name,
		  uint16_t len)
{
	struct page *p = ctx;

	copy_name(&p->db[p->n_db++], row, name, len);
	return 0;
}

/*
 * What memory says now about the names that the index gave: removed, moved
 * to another cookie (then it comes later), or another inode (replaced).
 * False: one that the index did not know as it was may be forgotten here.
 */
static bool overrule(struct page *p)
{
	bool sure;

	mutex_lock(&p->c->t.mu);
	for (size_t i = 0; i < p->n_db; i++) {
		struct entry_copy *e = &p->db[i];
		const struct name *n;

		if (e->removed)
			continue;
		n = itable_find_name(&p->c->t, p->dir, e->name, e->len);
		if (!n)
			continue;
		e->removed = !n->row.ino || n->row.cookie != e->cookie;
		e->ino = n->row.ino;
		e->mode = n->row.mode;
	}
	sure = p->c->t.evicted_seq <= p->applied;
	mutex_unlock(&p->c->t.mu);
	return sure;
}

static int give(struct page *p, const struct entry_copy *e, bool plus,
		core_dir_fn *fn, void *ctx)
{
	struct stat st = { .st_ino = e->ino, .st_mode = e->mode & S_IFMT };

	if (plus) {
		int rc = core_getattr(p->c, e->ino, &st);

		if (rc == -ENOENT || (!rc && !st.st_nlink))
			return 0; /* removed meanwhile */
		if (rc < 0)
			return rc;
	}
	return fn(ctx, e->name, &st, e->cookie);
}

/* Merges both lists by cookie, up to `bound`. */
static int merge(struct page *p, uint64_t bound, bool plus, core_dir_fn *fn,
		 void *ctx)
{
	size_t d = 0, m = 0;
	int rc = 0;

	while (!rc) {
		const struct entry_copy *e = NULL;

		if (m < p->n_mem && p->mem[m].cookie <= bound)
			e = &p->mem[m];
		if (d < p->n_db && p->db[d].cookie <= bound &&
		    (!e || p->db[d].cookie <= e->cookie)) {
			if (e && p->db[d].cookie == e->cookie)
				m++; /* applied in between */
			e = &p->db[d++];
		} else if (e) {
			m++;
		} else {
			break;
		}
		if (!e->removed)
			rc = give(p, e, plus, fn, ctx);
	}
	return rc;
}

/* The rest after p->after, page by page.  1: fn wants no more. */
static int list_names(struct page *p, bool plus, core_dir_fn *fn, void *ctx)
{
	for (;;) {
		struct idx_reader *r = NULL;
		uint64_t bound = UINT64_MAX;
		int rc = core_op(p->c, memory_op, p);

		if (rc < 0)
			return rc;
		p->n_db = 0;
		rc = core_reader_take(p->c, &r);
		if (rc >= 0)
			rc = idx_names(r, p->dir, p->after, PAGE, add_db, p);
		core_reader_give(p->c, r);
		if (rc < 0)
			return rc;
		if (!overrule(p))
			continue;
		if (p->n_db == PAGE)
			bound = p->db[PAGE - 1].cookie;
		if (p->n_mem == PAGE && p->mem[PAGE - 1].cookie < bound)
			bound = p->mem[PAGE - 1].cookie;
		rc = merge(p, bound, plus, fn, ctx);
		if (rc || bound == UINT64_MAX)
			return rc;
		p->after = bound;
	}
}

int core_readdir(struct core *c, uint64_t ino, uint64_t after, bool plus,
		 core_dir_fn *fn, void *ctx)
{
	struct page p = { .c = c, .dir = ino, .after = after < 2 ? 2 : after };
	struct stat st;
	int rc = -ENOMEM;

	p.db = calloc(PAGE, sizeof(*p.db));
	p.mem = calloc(PAGE, sizeof(*p.mem));
	if (p.db && p.mem)
		rc = core_op(c, memory_op, &p);
	if (!rc && after < 1) {
		rc = core_getattr(c, ino, &st);
		if (!rc)
			rc = fn(ctx, ".", &st, 1);
	}
	if (!rc && after < 2) {
		rc = core_getattr(c, p.parent, &st);
		if (rc == -ENOENT)
			rc = core_getattr(c, ino, &st);
		if (!rc)
			rc = fn(ctx, "..", &st, 2);
	}
	if (!rc)
		rc = list_names(&p, plus, fn, ctx);
	free(p.mem);
	free(p.db);
	return rc < 0 ? rc : 0;
}
