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

#include "base/buf.h"
#include "base/err.h"
#include "fs/core_internal.h"
#include "index/idx.h"

enum { PAGE = 512, PAGE_MIN = 16 };

struct entry_copy {
	struct name_row row;
	bool removed;
	uint8_t len;
	size_t at; /* of the name, in page.names */
};

struct page {
	struct core *c;
	uint64_t dir, parent, after;
	uint64_t applied;	/* by the index when memory was looked at */
	size_t max;		/* at most PAGE */
	struct entry_copy *mem; /* unapplied names after `after`, by cookie */
	size_t n_mem;
	struct entry_copy *db;
	size_t n_db;
	struct buf names;
};

static const char *name_of(const struct page *p, const struct entry_copy *e)
{
	return (const char *)p->names.p + e->at;
}

static void copy_name(struct page *p, struct entry_copy *e,
		      const struct name_row *row, const char *name, size_t len)
{
	e->row = *row;
	e->removed = len > LIMIT_NAME;
	e->len = (uint8_t)len;
	e->at = p->names.n;
	if (!e->removed) {
		buf_add(&p->names, name, len);
		buf_addc(&p->names, '\0');
	}
}

/* The next names in memory, at most p->max. */
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
	buf_clear(&p->names);
	for (struct link *l = dir->names.next;
	     l != &dir->names && p->n_mem < p->max; l = l->next) {
		const struct name *n = itable_name_of(l);

		if (n->row.ino && n->row.cookie > p->after)
			copy_name(p, &p->mem[p->n_mem++], &n->row, n->name,
				  n->len);
	}
	return p->names.bad ? -ENOMEM : 0;
}

static int add_db(void *ctx, const struct name_row *row, const char *name,
		  uint16_t len)
{
	struct page *p = ctx;

	copy_name(p, &p->db[p->n_db++], row, name, len);
	return p->names.bad ? -ENOMEM : 0;
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
		n = itable_find_name(&p->c->t, p->dir, name_of(p, e), e->len);
		if (!n)
			continue;
		e->removed = !n->row.ino || n->row.cookie != e->row.cookie;
		e->row.ino = n->row.ino;
		e->row.mode = n->row.mode;
	}
	sure = p->c->t.evicted_seq <= p->applied;
	mutex_unlock(&p->c->t.mu);
	return sure;
}

static int give(struct page *p, const struct entry_copy *e, bool plus,
		core_dir_fn *fn, void *ctx)
{
	struct stat st = {
		.st_ino = e->row.ino,
		.st_mode = e->row.mode & S_IFMT,
	};

	if (plus) {
		int rc = core_getattr(p->c, e->row.ino, &st);

		if (rc == -ENOENT || (!rc && !st.st_nlink))
			return 0; /* removed meanwhile */
		if (rc < 0)
			return rc;
	}
	return fn(ctx, name_of(p, e), &st, e->row.cookie);
}

/* Merges both lists by cookie, up to `bound`. */
static int merge(struct page *p, uint64_t bound, bool plus, core_dir_fn *fn,
		 void *ctx)
{
	size_t d = 0, m = 0;
	int rc = 0;

	while (!rc) {
		const struct entry_copy *e = NULL;

		if (m < p->n_mem && p->mem[m].row.cookie <= bound)
			e = &p->mem[m];
		if (d < p->n_db && p->db[d].row.cookie <= bound &&
		    (!e || p->db[d].row.cookie <= e->row.cookie)) {
			if (e && p->db[d].row.cookie == e->row.cookie)
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

/* Names and, when `plus`, inodes of the page come into memory. */
static void load_rows(struct page *p, const struct itable_look *look,
		      struct idx_reader *r)
{
	struct itable_listed v[PAGE];
	uint64_t ino[PAGE];
	size_t n = 0;

	for (size_t i = 0; i < p->n_db; i++) {
		const struct entry_copy *e = &p->db[i];

		if (e->removed)
			continue;
		v[n].row = e->row;
		v[n].name = name_of(p, e);
		v[n].len = e->len;
		ino[n++] = e->row.ino;
	}
	itable_learn_names(&p->c->t, look, v, n);
	itable_load_inodes(&p->c->t, r, ino, n);
}

static int read_index(struct page *p, bool plus)
{
	struct itable_look look;
	struct idx_reader *r = NULL;
	int rc;

	if (plus)
		itable_look(&p->c->t, &look);
	rc = core_reader_take(p->c, &r);
	if (rc >= 0)
		rc = idx_names(r, p->dir, p->after, (uint32_t)p->max, add_db,
			       p);
	if (rc >= 0 && plus)
		load_rows(p, &look, r);
	core_reader_give(p->c, r);
	return rc;
}

/* The rest after p->after, page by page.  1: fn wants no more. */
static int list_names(struct page *p, bool plus, core_dir_fn *fn, void *ctx)
{
	for (;;) {
		uint64_t bound = UINT64_MAX;
		int rc = core_op(p->c, memory_op, p);

		if (rc < 0)
			return rc;
		p->n_db = 0;
		rc = read_index(p, plus);
		if (rc < 0)
			return rc;
		if (!overrule(p))
			continue;
		if (p->n_db == p->max)
			bound = p->db[p->max - 1].row.cookie;
		if (p->n_mem == p->max && p->mem[p->max - 1].row.cookie < bound)
			bound = p->mem[p->max - 1].row.cookie;
		rc = merge(p, bound, plus, fn, ctx);
		if (rc || bound == UINT64_MAX)
			return rc;
		p->after = bound;
	}
}

int core_readdir(struct core *c, uint64_t ino, uint64_t after, size_t want,
		 bool plus, core_dir_fn *fn, void *ctx)
{
	struct page p = {
		.c = c,
		.dir = ino,
		.after = after < 2 ? 2 : after,
		.max = want > PAGE     ? PAGE :
		       want < PAGE_MIN ? PAGE_MIN :
					 want,
	};
	struct stat st;
	int rc = -ENOMEM;

	p.db = malloc(p.max * sizeof(*p.db));
	p.mem = malloc(p.max * sizeof(*p.mem));
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
	buf_release(&p.names);
	free(p.mem);
	free(p.db);
	return rc < 0 ? rc : 0;
}
