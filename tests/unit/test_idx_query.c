/*
 * test_idx_query.c - what analytics asks of the index, against what was
 * remembered while the log grew: names, paths, versions of any past moment,
 * history, times, lineage, lists.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/entry.h"
#include "tests/sim/idx_world.h"

enum { MOMENTS = 24 };

/* Names and inodes as they were after entry `at`. */
struct moment {
	uint64_t at;
	struct mem_name *names;
	struct mem_inode *inodes;
};

struct past {
	struct idx_world w;
	struct moment m[MOMENTS];
};

static void remember(struct moment *m, const struct idx_world *w)
{
	const struct mem_inode *i;
	const struct mem_name *n;

	m->at = idx_world_no(w->n - 1);
	for (n = w->mem.names; n; n = n->next) {
		struct mem_name *copy = malloc(sizeof(*copy));

		*copy = *n;
		copy->next = m->names;
		m->names = copy;
	}
	for (i = w->mem.inodes; i; i = i->next) {
		struct mem_inode *copy = malloc(sizeof(*copy));

		*copy = *i;
		copy->row.target = NULL;
		copy->next = m->inodes;
		m->inodes = copy;
	}
}

static void past_init(struct past *p, const char *name, size_t step)
{
	int i;

	memset(p->m, 0, sizeof(p->m));
	idx_world_init(&p->w, name, 0, 4);
	for (i = 0; i < MOMENTS; i++) {
		idx_world_grow(&p->w, step);
		remember(&p->m[i], &p->w);
	}
	idx_world_apply_all(&p->w, NULL, 20);
}

static void past_release(struct past *p)
{
	int i;

	for (i = 0; i < MOMENTS; i++) {
		while (p->m[i].names) {
			struct mem_name *n = p->m[i].names;

			p->m[i].names = n->next;
			free(n);
		}
		while (p->m[i].inodes) {
			struct mem_inode *n = p->m[i].inodes;

			p->m[i].inodes = n->next;
			free(n);
		}
	}
	idx_world_release(&p->w);
}

/* The path of a directory's name by the moment's own names. */
static bool path_then(const struct moment *m, const struct mem_name *n,
		      struct buf *out)
{
	const struct mem_name *up;

	if (n->row.parent != STATE_ROOT_INO) {
		for (up = m->names; up; up = up->next)
			if (up->row.ino == n->row.parent)
				break;
		if (!up || !path_then(m, up, out))
			return false;
		buf_addc(out, '/');
	}
	buf_add(out, n->name, n->len);
	return true;
}

struct listing {
	const struct moment *m;
	size_t n;
	char last[256];
	uint16_t last_len;
};

static int listed(void *ctx, const struct name_row *row, const char *name,
		  uint16_t len)
{
	struct listing *l = ctx;
	const struct mem_name *n;
	uint16_t k = len < l->last_len ? len : l->last_len;
	int d = memcmp(l->last, name, k);

	cr_assert(d < 0 || (!d && l->last_len < len), "names ascend");
	memcpy(l->last, name, len);
	l->last_len = len;
	for (n = l->m->names; n; n = n->next)
		if (n->row.parent == row->parent && n->len == len &&
		    !memcmp(n->name, name, len))
			break;
	cr_assert(n, "a name that was not there");
	cr_assert_eq(n->row.ino, row->ino);
	cr_assert_eq(n->row.mode, row->mode);
	l->n++;
	return 0;
}

static size_t list_dir(struct idx_reader *r, const struct moment *m,
		       uint64_t dir, uint32_t page)
{
	struct listing l = { .m = m };
	int rc;

	do {
		rc = idx_names_at(r, dir, l.last, l.last_len, page, m->at,
				  listed, &l);
		cr_assert_geq(rc, 0);
	} while (rc == (int)page);
	return l.n;
}

static void check_moment(struct idx_reader *r, const struct moment *m)
{
	const struct mem_inode *i;
	const struct mem_name *n;
	struct name_row row;
	struct buf want = BUF_INIT, got = BUF_INIT;
	size_t names = 0, listed_names = 0;
	uint64_t ino;

	for (n = m->names; n; n = n->next) {
		names++;
		cr_assert_eq(idx_name_at(r, &row, n->row.parent, n->name,
					 n->len, m->at),
			     1);
		cr_assert_eq(row.ino, n->row.ino);
		cr_assert_eq(row.mode, n->row.mode);
		buf_clear(&want);
		cr_assert(path_then(m, n, &want));
		cr_assert_eq(
			idx_resolve(r, &ino, (char *)want.p, want.n, m->at), 1);
		cr_assert_eq(ino, n->row.ino);
		buf_clear(&got);
		cr_assert_eq(idx_path(r, &got, n->row.ino, m->at), 1);
		cr_assert_eq(idx_resolve(r, &ino, (char *)got.p, got.n, m->at),
			     1, "its path leads back to it");
		cr_assert_eq(ino, n->row.ino);
		if (n->row.mode >> 12 == DT_DIR)
			cr_assert(got.n == want.n &&
				  !memcmp(got.p, want.p, got.n));
	}
	for (i = m->inodes; i; i = i->next)
		if (i->row.mode >> 12 == DT_DIR)
			listed_names += list_dir(r, m, i->row.ino, 3);
	cr_assert_eq(listed_names, names);
	buf_release(&want);
	buf_release(&got);
}

static void check_versions(struct idx_reader *r, const struct moment *m)
{
	const struct mem_inode *i;
	struct idx_version v;
	int rc;

	for (i = m->inodes; i; i = i->next) {
		rc = idx_version_at(r, &v, i->row.ino, m->at);
		cr_assert_eq(rc, i->row.version > 0);
		if (rc <= 0)
			continue;
		cr_assert_eq(v.version, i->row.version);
		cr_assert_eq(v.no, i->row.version_no);
		cr_assert(digest_eq(&v.tree_root, &i->row.tree_root));
		if (i->row.flags & INODE_HAS_SHA256)
			cr_assert(v.has_sha256);
	}
}

Test(idx_query, names_paths_and_versions_of_any_past_moment)
{
	struct past p;
	struct idx_reader *r;
	int i;

	past_init(&p, "idx past", 90);
	r = idx_world_reader(&p.w);
	for (i = 0; i < MOMENTS; i++) {
		check_moment(r, &p.m[i]);
		check_versions(r, &p.m[i]);
	}
	p.m[MOMENTS - 1].at = IDX_NOW;
	check_moment(r, &p.m[MOMENTS - 1]);
	cr_assert_eq(
		idx_names_at(r, STATE_ROOT_INO, NULL, 0, 10, 0, listed, NULL),
		0, "nothing before the first CREATE");
	idx_reader_close(r);
	past_release(&p);
}

/* --- history --- */

struct walk {
	const struct idx_world *w;
	uint64_t ino, n, last;
	bool attributes;
};

static bool is_about(const struct idx_world *w, size_t i, uint64_t ino)
{
	const struct entry *e = &w->log[i].e;

	return e->core.inode == ino ||
	       (w->applied[i] && e->core.kind == ENTRY_RENAME &&
		e->state == ENTRY_CLEAR && e->body.rename.replaced == ino);
}

static int walked(void *ctx, const struct idx_entry *e)
{
	struct walk *k = ctx;
	size_t i = IDX_SEAL(e->no) * WORLD_SEAL + IDX_POS(e->no);

	cr_assert(k->n == 0 || e->no > k->last, "ascending");
	k->last = e->no;
	k->n++;
	cr_assert(is_about(k->w, i, k->ino));
	cr_assert_eq(e->kind, k->w->log[i].e.core.kind);
	cr_assert_eq(e->rejected, !k->w->applied[i]);
	cr_assert_eq(e->wall_ns, k->w->log[i].e.core.wall_ns);
	cr_assert(digest_eq(&e->leaf, &k->w->log[i].leaf));
	return 0;
}

static void check_history(struct idx_reader *r, const struct idx_world *w,
			  uint64_t ino)
{
	struct walk k = { .w = w, .ino = ino };
	uint64_t from = 0, want = 0, attributes = 0;
	uint16_t kind;
	size_t i;

	for (i = 0; i < w->n; i++) {
		kind = w->log[i].e.core.kind;
		if (!is_about(w, i, ino))
			continue;
		want++;
		attributes += kind >= ENTRY_CREATE && kind <= ENTRY_FREE_ORPHAN;
	}
	cr_assert_eq(
		idx_history(r, ino, 0, IDX_NOW, UINT32_MAX, false, walked, &k),
		0);
	cr_assert_eq(k.n, want);
	k.n = 0;
	cr_assert_eq(
		idx_history(r, ino, 0, IDX_NOW, UINT32_MAX, true, walked, &k),
		0);
	cr_assert_eq(k.n, attributes);
	/* The same in pages of 2. */
	for (k.n = i = 0; i < want + 2; i += 2, from = k.last + 1)
		cr_assert_eq(idx_history(r, ino, from, IDX_NOW, 2, false,
					 walked, &k),
			     0);
	cr_assert_eq(k.n, want);
}

Test(idx_query, history_is_every_entry_about_an_inode)
{
	struct idx_world w;
	struct idx_reader *r;
	struct walk k = { .w = &w };
	size_t i;

	idx_world_init(&w, "idx history", 0, 10);
	idx_world_grow(&w, 900);
	idx_world_apply_all(&w, NULL, 20);
	r = idx_world_reader(&w);
	check_history(r, &w, STATE_ROOT_INO);
	for (i = 0; i < w.n; i += 5)
		if (w.log[i].e.core.inode)
			check_history(r, &w, w.log[i].e.core.inode);
	check_history(r, &w, ENTRY_INODE(2, 99));
	for (i = 0; i < w.n; i++) {
		struct idx_entry e;

		cr_assert_eq(idx_entry(r, &e, idx_world_no(i)), 1);
		k.ino = w.log[i].e.core.inode;
		k.n = 0;
		(void)walked(&k, &e);
	}
	cr_assert_eq(idx_entry(r, &(struct idx_entry){ 0 }, idx_world_no(w.n)),
		     0);
	idx_reader_close(r);
	idx_world_release(&w);
}

Test(idx_query, a_time_is_the_last_entry_before_a_later_one)
{
	struct idx_world w;
	struct idx_reader *r;
	int64_t max = INT64_MIN, wall, seal_wall, t;
	uint64_t no, want;
	bool any;
	size_t i, k;

	idx_world_init(&w, "idx times", 0, 0);
	idx_world_grow(&w, 400);
	idx_world_apply_all(&w, NULL, 20);
	r = idx_world_reader(&w);
	for (k = 0; k < w.n; k += 3) {
		t = w.log[k].e.core.wall_ns - (int64_t)(k % 2);
		max = INT64_MIN;
		any = false;
		want = 0;
		for (i = 0; i < w.n; i++) {
			seal_wall =
				w.log[i - i % WORLD_SEAL].e.core.wall_ns + 5;
			wall = w.log[i].e.core.wall_ns;
			wall = wall < seal_wall ? wall : seal_wall;
			max = wall > max ? wall : max;
			if (max > t)
				break;
			want = idx_world_no(i);
			any = true;
		}
		cr_assert_eq(idx_at_wall(r, t, &no), any);
		if (any)
			cr_assert_eq(no, want, "at %zu", k);
	}
	cr_assert_eq(idx_at_wall(r, INT64_MAX, &no), 1);
	cr_assert_eq(no, idx_world_no(w.n - 1));
	cr_assert_eq(idx_at_wall(r, INT64_MIN, &no), 0);
	idx_reader_close(r);
	idx_world_release(&w);
}

/* --- deleted files --- */

Test(idx_query, deleted_files_are_found_by_the_path_they_had)
{
	struct past p;
	struct idx_reader *r;
	const struct mem_name *n;
	struct buf path = BUF_INIT, last = BUF_INIT;
	size_t gone_files = 0;
	uint64_t ino;
	bool gone;
	int i, rc;

	past_init(&p, "idx deleted", 60);
	r = idx_world_reader(&p.w);
	for (i = 0; i < MOMENTS; i++) {
		for (n = p.m[i].names; n; n = n->next) {
			buf_clear(&path);
			(void)path_then(&p.m[i], n, &path);
			cr_assert_eq(idx_resolve_last(r, &ino, &gone,
						      (char *)path.p, path.n),
				     1, "what had a path once is found");
			rc = idx_resolve(r, &ino, (char *)path.p, path.n,
					 IDX_NOW);
			cr_assert_eq(rc, !gone);
			buf_clear(&last);
			cr_assert_eq(idx_path_last(r, &last, n->row.ino, &gone),
				     1);
			gone_files += gone;
		}
	}
	cr_assert_gt(gone_files, 0);
	cr_assert_eq(idx_resolve_last(r, &ino, &gone, "no/such/name", 12), 0);
	cr_assert_eq(idx_resolve(r, &ino, "//", 2, IDX_NOW), 1);
	cr_assert_eq(ino, STATE_ROOT_INO);
	idx_reader_close(r);
	buf_release(&path);
	buf_release(&last);
	past_release(&p);
}
