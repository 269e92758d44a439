/*
 * core_dir.c - listing a directory: what the index has, merged with the names
 * that it has not applied yet.
 *
 * A name's cookie never changes, so a listing that goes on after `cookie` is
 * stable under creations, renames and removals.  The names in memory are
 * copied first, then the index is read: what is applied in between shows in
 * both and is taken once.  A name that was changed before the listing and is
 * applied after the index was read is still in memory, which overrules.  One
 * that was changed since memory was copied may have another in its place, at
 * its cookie, which is in neither list: that one is given.  Where what
 * overrules has been evicted already, or what is in the place is not known,
 * the page is read again, and where that goes on and on, each of its names is
 * looked up.
 *
 * Attributes come with the names, in one statement, and go to who asked; what
 * is in memory overrules them, too.  They are not kept: a listing of a large
 * tree would push everything else out, and to put rows there and take them
 * out again was three quarters of its cost (9 us of CPU for each file, now 2).
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/commit/commit.h"
#include "fs/core/core_dir_int.h"
#include "index/idx.h"

enum {
	PAGE = 512,
	PAGE_MIN = 16,
	SLICE = 64, /* entries that are looked at while the lock is held */
	TRIES = 16  /* then names are asked for one by one */
};

struct entry_copy {
	uint64_t ino, cookie;
	uint32_t mode;
	bool removed;
	bool has_stat; /* page.st has it as it is now, or was meanwhile */
	uint8_t len;
	size_t at; /* of the name, in page.names */
};

struct dir_page {
	struct core *c;
	uint64_t dir, parent, after;
	bool plus;
	/* when memory was looked at */
	uint64_t seq;	  /* of the next entry to be queued */
	uint64_t applied; /* by the index */
	bool all_applied; /* every name of the directory */
	struct itable_look look;
	size_t max;		/* at most PAGE */
	struct entry_copy *mem; /* unapplied names after `after`, by cookie */
	size_t n_mem;
	struct entry_copy *db;
	struct stat *st; /* plus: of those in db */
	size_t n_db;
	struct buf names;
	struct stat one; /* of an entry that is not in st */
};

static const char *name_of(const struct dir_page *p, const struct entry_copy *e)
{
	return (const char *)p->names.p + e->at;
}

static void copy_name(struct dir_page *p, struct entry_copy *e,
		      const struct name_row *row, const char *name, size_t len)
{
	e->ino = row->ino;
	e->cookie = row->cookie;
	e->mode = row->mode;
	e->has_stat = false;
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
	struct dir_page *p = arg;
	struct inode *dir;
	int rc = itable_get(tx, &dir, p->dir);

	(void)c;
	if (rc < 0)
		return rc;
	if (!core_is_dir(dir))
		return -ENOTDIR;
	p->parent = dir->row.parent;
	p->seq = commit_next_seq(c->commit);
	p->applied = c->t.applied;
	p->all_applied = dir->names.next == &dir->names;
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

static int add_name(void *ctx, const struct name_row *row, const char *name,
		    uint16_t len)
{
	struct dir_page *p = ctx;

	copy_name(p, &p->db[p->n_db++], row, name, len);
	return p->names.bad ? -ENOMEM : 0;
}

static int add_listed(void *ctx, const struct name_row *row, const char *name,
		      uint16_t len, struct inode_row *inode)
{
	struct dir_page *p = ctx;
	size_t i = p->n_db;
	int rc = add_name(ctx, row, name, len);

	p->db[i].has_stat = inode->ino != 0;
	if (inode->ino)
		core_row_stat(inode, &p->st[i]);
	return rc;
}

/*
 * The unapplied name at n's cookie, NULL when there is none: those of one
 * cookie are side by side, n among them.
 */
static const struct name *in_its_place(struct inode *dir, struct name *n)
{
	struct link *l;

	for (l = &n->in_dir; l != &dir->names; l = l->next) {
		const struct name *x = itable_name_of(l);

		if (x->row.cookie != n->row.cookie)
			break;
		if (x->row.ino)
			return x;
	}
	for (l = n->in_dir.prev; l != &dir->names; l = l->prev) {
		const struct name *x = itable_name_of(l);

		if (x->row.cookie != n->row.cookie)
			break;
		if (x->row.ino)
			return x;
	}
	return NULL;
}

/* The entry is n now, which has its cookie. */
static void replace_entry(struct dir_page *p, struct entry_copy *e,
			  const struct name *n)
{
	bool same = e->has_stat && e->ino == n->row.ino;

	copy_name(p, e, &n->row, n->name, n->len);
	e->has_stat = same;
}

/*
 * What memory says of a name: removed, moved to another cookie, replaced.
 * False: it changed after memory was copied, and what is in its place now is
 * not known.
 */
static bool overrule_name(struct dir_page *p, struct entry_copy *e)
{
	struct itable *t = &p->c->t;
	struct name *n = itable_find_name(t, p->dir, name_of(p, e), e->len);
	const struct name *other;
	struct inode *dir;

	if (!n)
		return true;
	/* at another cookie it comes later */
	e->removed = !n->row.ino || n->row.cookie != e->cookie;
	if (e->removed && n->dirty_seq >= p->seq) {
		dir = itable_find_inode(t, p->dir);
		if (!dir || !n->dirty || n->row.cookie != e->cookie)
			return false;
		other = in_its_place(dir, n);
		if (other)
			replace_entry(p, e, other);
		return true;
	}
	e->has_stat = e->has_stat && e->ino == n->row.ino;
	e->ino = n->row.ino;
	e->mode = n->row.mode;
	return true;
}

/* And of its attributes.  What was evicted meanwhile is asked for alone. */
static void overrule_stat(struct dir_page *p, struct entry_copy *e,
			  struct stat *st)
{
	struct inode *i = itable_find_inode(&p->c->t, e->ino);

	if (!i) {
		if (!itable_unseen(&p->c->t, &p->look, e->ino))
			e->has_stat = false;
		return;
	}
	e->has_stat = !i->gone;
	if (e->has_stat)
		core_fill_stat(p->c, i, st);
}

/*
 * What memory says now about what the index gave.  False: a name that the
 * index did not know as it was may be forgotten here, or is not in the page.
 */
static bool overrule(struct dir_page *p)
{
	struct itable *t = &p->c->t;
	bool sure = true, kept = true;

	for (size_t i = 0; i < p->n_db; i += SLICE) {
		mutex_lock(&t->mu);
		for (size_t k = i; k < p->n_db && k < i + SLICE; k++) {
			/* most often nothing has changed anywhere */
			if (!p->all_applied ||
			    commit_next_seq(p->c->commit) != p->seq)
				sure &= overrule_name(p, &p->db[k]);
			if (p->plus && !p->db[k].removed)
				overrule_stat(p, &p->db[k], &p->st[k]);
		}
		kept = t->evicted_seq <= p->applied;
		mutex_unlock(&t->mu);
	}
	return sure && kept;
}

struct ask {
	struct dir_page *p;
	struct entry_copy *e;
	struct entry_copy now; /* what the index has at the cookie */
};

static int ask_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct ask *a = arg;
	struct entry_copy *e = a->e;
	struct inode *dir;
	struct name *n;
	int rc = itable_get(tx, &dir, a->p->dir);

	(void)c;
	if (rc == 0)
		rc = itable_name(tx, &n, a->p->dir, name_of(a->p, e), e->len);
	if (rc < 0)
		return rc;
	e->has_stat = false; /* give() asks for them */
	e->removed = !n->row.ino || n->row.cookie != e->cookie;
	for (struct link *l = dir->names.next; e->removed && l != &dir->names;
	     l = l->next) {
		n = itable_name_of(l);
		if (n->row.ino && n->row.cookie == e->cookie)
			replace_entry(a->p, e, n);
	}
	if (!e->removed) {
		e->ino = n->row.ino;
		e->mode = n->row.mode;
	}
	return a->p->names.bad ? -ENOMEM : 0;
}

static int add_now(void *ctx, const struct name_row *row, const char *name,
		   uint16_t len)
{
	struct ask *a = ctx;

	copy_name(a->p, &a->now, row, name, len);
	return a->p->names.bad ? -ENOMEM : 0;
}

/* 1: the index has another name at the cookie by now, which is e then. */
static int ask_index(struct ask *a)
{
	struct entry_copy *e = a->e;
	struct idx_reader *r = NULL;
	int rc = core_reader_take(a->p->c, &r);

	a->now.cookie = 0;
	if (rc >= 0)
		rc = idx_names(r, a->p->dir, e->cookie - 1, 1, add_now, a);
	core_reader_give(a->p->c, r);
	if (rc < 0 || a->now.cookie != e->cookie || a->now.removed ||
	    (a->now.len == e->len &&
	     memcmp(name_of(a->p, &a->now), name_of(a->p, e), e->len) == 0))
		return rc < 0 ? rc : 0;
	*e = a->now;
	return 1;
}

static int ask_one(struct dir_page *p, struct entry_copy *e)
{
	struct ask a = { .p = p, .e = e };
	int rc = 1;

	for (unsigned tries = 0; rc == 1 && tries < TRIES; tries++) {
		rc = core_op(p->c, ask_op, &a);
		if (rc == 0 && e->removed)
			rc = ask_index(&a);
	}
	return rc < 0 ? rc : 0;
}

/*
 * What overrule() is not sure of, asked for name by name, and what is in the
 * place of those that went: slow, and never in vain.  No name is missing in
 * the page: what was not in memory was applied.
 */
static int ask_each(struct dir_page *p)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_db && !rc; i++)
		rc = ask_one(p, &p->db[i]);
	return rc;
}

static int give(struct dir_page *p, const struct entry_copy *e, core_dir_fn *fn,
		void *ctx)
{
	const struct stat *st = &p->one;

	if (p->plus && e->has_stat) {
		st = &p->st[e - p->db];
	} else if (p->plus) {
		int rc = core_getattr(p->c, e->ino, &p->one);

		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
	} else {
		p->one.st_ino = e->ino;
		p->one.st_mode = e->mode & S_IFMT;
	}
	if (p->plus && !st->st_nlink)
		return 0; /* removed meanwhile */
	return fn(ctx, name_of(p, e), st, e->cookie);
}

/* Merges both lists by cookie, up to `bound`. */
static int merge(struct dir_page *p, uint64_t bound, core_dir_fn *fn, void *ctx)
{
	size_t d = 0, m = 0;
	int rc = 0;

	while (!rc) {
		const struct entry_copy *e = NULL;

		if (m < p->n_mem && p->mem[m].cookie <= bound)
			e = &p->mem[m];
		if (d < p->n_db && p->db[d].cookie <= bound &&
		    (!e || p->db[d].cookie <= e->cookie)) {
			const struct entry_copy *same = NULL;

			/* applied in between, or a name that changed */
			if (e && p->db[d].cookie == e->cookie)
				same = &p->mem[m++];
			e = &p->db[d++];
			if (same && e->removed)
				e = same;
		} else if (e) {
			m++;
		} else {
			break;
		}
		if (!e->removed)
			rc = give(p, e, fn, ctx);
	}
	return rc;
}

static int read_index(struct dir_page *p)
{
	struct idx_reader *r = NULL;
	uint32_t max = (uint32_t)p->max;
	int rc;

	if (p->plus)
		itable_look(&p->c->t, &p->look);
	p->n_db = 0;
	rc = core_reader_take(p->c, &r);
	if (rc >= 0)
		rc = p->plus ? idx_list(r, p->dir, p->after, max, false,
					add_listed, p) :
			       idx_names(r, p->dir, p->after, max, add_name, p);
	core_reader_give(p->c, r);
	return rc;
}

struct dir_page *core_dir_page_new(struct core *c, uint64_t dir, uint64_t after,
				   size_t max, bool plus)
{
	struct dir_page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->c = c;
	p->dir = dir;
	p->plus = plus;
	p->after = after < 2 ? 2 : after;
	p->max = max > PAGE ? PAGE : max < PAGE_MIN ? PAGE_MIN : max;
	p->db = malloc(p->max * sizeof(*p->db));
	p->mem = malloc(p->max * sizeof(*p->mem));
	p->st = plus ? malloc(p->max * sizeof(*p->st)) : NULL;
	if (p->db && p->mem && (p->st || !plus))
		return p;
	core_dir_page_free(p);
	return NULL;
}

void core_dir_page_free(struct dir_page *p)
{
	if (!p)
		return;
	buf_release(&p->names);
	free(p->st);
	free(p->mem);
	free(p->db);
	free(p);
}

int core_dir_page_read(struct dir_page *p)
{
	int rc = core_op(p->c, memory_op, p);

	return rc < 0 ? rc : read_index(p);
}

bool core_dir_page_fresh(const struct dir_page *p)
{
	bool fresh;

	mutex_lock(&p->c->t.mu);
	fresh = p->seq == commit_next_seq(p->c->commit);
	mutex_unlock(&p->c->t.mu);
	return fresh;
}

/*
 * The rest after p->after, page by page; `read` says that the first one is
 * read.  1: fn wants no more.
 */
static int list_names(struct dir_page *p, bool read, core_dir_fn *fn, void *ctx)
{
	unsigned tries = 0;

	for (;; read = false) {
		uint64_t bound = UINT64_MAX;
		int rc = read ? 0 : core_dir_page_read(p);
		bool sure;

		if (rc < 0)
			return rc;
		sure = overrule(p);
		if (p->names.bad)
			return -ENOMEM;
		if (!sure) {
			if (++tries < TRIES) {
				/* a shorter page is read in a shorter time */
				if (p->max / 2 >= PAGE_MIN)
					p->max /= 2;
				continue;
			}
			rc = ask_each(p);
			if (rc < 0)
				return rc;
		}
		tries = 0;
		if (p->n_db == p->max)
			bound = p->db[p->max - 1].cookie;
		if (p->n_mem == p->max && p->mem[p->max - 1].cookie < bound)
			bound = p->mem[p->max - 1].cookie;
		rc = merge(p, bound, fn, ctx);
		if (rc || bound == UINT64_MAX)
			return rc;
		p->after = bound;
	}
}

/*
 * "." and "..", whose cookies are 1 and 2.  A page that was read has what was
 * in memory before the index was read, and keeps that.
 */
static int list_dots(struct dir_page *p, bool read, uint64_t after,
		     core_dir_fn *fn, void *ctx)
{
	struct stat st;
	int rc = read ? 0 : core_op(p->c, memory_op, p);

	if (!rc && after < 1) {
		rc = core_getattr(p->c, p->dir, &st);
		if (!rc)
			rc = fn(ctx, ".", &st, 1);
	}
	if (rc)
		return rc;
	rc = core_getattr(p->c, p->parent, &st);
	if (rc == -ENOENT)
		rc = core_getattr(p->c, p->dir, &st);
	return rc ? rc : fn(ctx, "..", &st, 2);
}

int core_readdir(struct core *c, uint64_t ino, uint64_t after, size_t want,
		 bool plus, core_dir_fn *fn, void *ctx)
{
	struct dir_page *p = core_dir_ahead_take(c, ino, after, plus);
	bool read = p != NULL;
	int rc = 0;

	if (!p)
		p = core_dir_page_new(c, ino, after, want, plus);
	if (!p)
		return -ENOMEM;
	p->plus = plus;
	if (after < 2)
		rc = list_dots(p, read, after, fn, ctx);
	if (!rc)
		rc = list_names(p, read, fn, ctx);
	core_dir_page_free(p);
	return rc < 0 ? rc : 0;
}
