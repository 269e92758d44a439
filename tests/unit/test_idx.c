/*
 * test_idx.c - the index is what apply() says, whoever keeps the rows and
 * however the log is cut into transactions; batches are atomic; a rebuild is
 * the same row for row.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "tests/sim/entry_gen.h"
#include "tests/sim/prng.h"
#include "tests/sim/state_mem.h"
#include "tests/sim/tmp.h"

enum { SEAL_ENTRIES = 7 };

/* A store directory, a log in memory, and what it should give. */
struct world {
	struct tmp tmp;
	struct vio *vio;
	struct prng p;
	struct entry_gen gen;
	struct state_mem mem;
	struct gen_entry *log;
	size_t n, cap;
	uint64_t answers[2];
};

static uint64_t no_of(size_t i)
{
	return IDX_ENTRY_NO(i / SEAL_ENTRIES, i % SEAL_ENTRIES);
}

static void world_init(struct world *w, const char *name, unsigned wrong)
{
	memset(w, 0, sizeof(*w));
	tmp_init(&w->tmp);
	cr_assert_eq(vio_posix_open(&w->vio, w->tmp.path), 0);
	prng_init(&w->p, prng_seed(name, 0));
	entry_gen_init(&w->gen, &w->p, wrong);
	state_mem_init(&w->mem);
}

static void world_release(struct world *w)
{
	while (w->n)
		gen_entry_release(&w->log[--w->n]);
	free(w->log);
	state_mem_release(&w->mem);
	vio_free(w->vio);
	tmp_release(&w->tmp);
}

/* Makes n more entries and applies them to memory. */
static void world_grow(struct world *w, size_t n)
{
	struct apply_options o = { .entry_no = 0 };
	uint64_t before;
	const char *why;
	int rc;

	for (; n; n--) {
		if (w->n == w->cap) {
			w->cap = w->cap ? w->cap * 2 : 256;
			w->log = realloc(w->log, w->cap * sizeof(*w->log));
			cr_assert(w->log);
		}
		if (w->n)
			entry_gen_next(&w->gen, &w->log[w->n], &w->mem);
		else
			entry_gen_root(&w->gen, &w->log[0]);
		o.entry_no = no_of(w->n);
		o.leaf = &w->log[w->n].leaf;
		before = state_mem_sum(&w->mem);
		rc = apply(&w->mem, &state_mem_ops, &w->log[w->n].e, &o, &why);
		cr_assert(rc == 0 || rc == 1, "apply says %d", rc);
		cr_assert_eq(!rc, why != NULL);
		if (!rc)
			cr_assert_eq(before, state_mem_sum(&w->mem),
				     "a rejected entry (%s) changed rows", why);
		why = state_mem_check(&w->mem);
		cr_assert(!why, "entry %zu: %s", w->n, why);
		w->answers[rc]++;
		w->n++;
	}
	/* Whole seals only. */
	if (w->n % SEAL_ENTRIES)
		world_grow(w, SEAL_ENTRIES - w->n % SEAL_ENTRIES);
}

static struct idx *open_idx(struct world *w, const char *name)
{
	struct idx_options o = { .vio = w->vio,
				 .dir = w->tmp.path,
				 .name = name };
	struct errmsg em = ERRMSG_INIT;
	struct idx *x = NULL;
	int rc = idx_open(&x, &o, &em);

	cr_assert_eq(rc, 0, "idx_open: %s", errmsg_text(&em, rc));
	return x;
}

static struct idx_reader *open_reader(struct world *w)
{
	struct errmsg em = ERRMSG_INIT;
	struct idx_reader *r = NULL;
	int rc = idx_reader_open(&r, w->tmp.path, &em);

	cr_assert_eq(rc, 0, "idx_reader_open: %s", errmsg_text(&em, rc));
	return r;
}

static struct digest root_at(uint64_t seals)
{
	struct digest d;

	digest_sha256(&d, &seals, sizeof(seals));
	return d;
}

/* Applies seals from..until-1 as one transaction, or gives up in it. */
static void apply_seals(struct world *w, struct idx *x, uint64_t from,
			uint64_t until, bool give_up)
{
	struct digest root = root_at(until);
	uint64_t seal;
	size_t i;

	cr_assert_eq(idx_begin(x), 0);
	for (seal = from; seal < until; seal++) {
		cr_assert_eq(
			idx_seal(x, seal, 1,
				 w->log[seal * SEAL_ENTRIES].e.core.wall_ns + 5,
				 SEAL_ENTRIES),
			0);
		for (i = seal * SEAL_ENTRIES; i < (seal + 1) * SEAL_ENTRIES;
		     i++)
			cr_assert_eq(idx_apply(x, &w->log[i].e, &w->log[i].leaf,
					       no_of(i)),
				     0);
	}
	if (give_up)
		idx_abort(x);
	else
		cr_assert_eq(idx_end(x, until, &root), 0);
}

/* In transactions of random size, some given up, some with a reopen after. */
static void apply_all(struct world *w, const char *name, uint64_t max)
{
	uint64_t seals = w->n / SEAL_ENTRIES, at = 0, got, k;
	struct idx *x = open_idx(w, name);
	struct digest root;

	while (at < seals) {
		k = prng_range(&w->p, 1, max);
		if (k > seals - at)
			k = seals - at;
		if (prng_chance(&w->p, 20))
			apply_seals(w, x, at, at + k, true);
		apply_seals(w, x, at, at + k, false);
		at += k;
		if (prng_chance(&w->p, 10)) {
			idx_close(x);
			x = open_idx(w, name);
		}
		cr_assert_eq(idx_position(x, &got, &root), 0);
		cr_assert_eq(got, at);
		cr_assert_eq(digest_eq(&root, &(struct digest){ 0 }), 0);
	}
	idx_close(x);
}

/* --- memory and index hold the same --- */

static int count_name(void *ctx, const struct name_row *row, const char *name,
		      uint16_t len)
{
	struct world *w = ctx;
	const struct mem_name *n;

	for (n = w->mem.names; n; n = n->next)
		if (n->row.parent == row->parent && n->len == len &&
		    !memcmp(n->name, name, len))
			break;
	cr_assert(n, "the index has a name that memory has not");
	cr_assert_eq(n->row.ino, row->ino);
	cr_assert_eq(n->row.cookie, row->cookie);
	cr_assert_eq(n->row.since, row->since);
	cr_assert_eq(n->row.mode, row->mode);
	w->answers[0]++;
	return 0;
}

static int count_xattr(void *ctx, const char *name, uint16_t len,
		       const void *value, uint32_t value_len,
		       const struct digest *chunk)
{
	struct world *w = ctx;
	const struct mem_xattr *x;

	for (x = w->mem.xattrs; x; x = x->next)
		if (x->ino == w->answers[1] && x->len == len &&
		    !memcmp(x->name, name, len))
			break;
	cr_assert(x);
	cr_assert_eq(x->size, value_len);
	if (x->value)
		cr_assert(!memcmp(x->value, value, value_len));
	else
		cr_assert(digest_eq(&x->chunk, chunk));
	w->answers[0]++;
	return 0;
}

struct extent_walk {
	const struct mem_extent *next;
	uint64_t ino, n;
};

static int count_extent(void *ctx, const struct extent_row *row, uint64_t no)
{
	struct extent_walk *e = ctx;

	while (e->next && e->next->ino != e->ino)
		e->next = e->next->next;
	cr_assert(e->next);
	cr_assert_eq(e->next->no, no);
	cr_assert(!memcmp(&e->next->row, row, sizeof(*row)));
	e->next = e->next->next;
	e->n++;
	return 0;
}

static void same_inode(struct idx_reader *r, const struct inode_row *want)
{
	struct inode_row got, a = *want, b;

	cr_assert_eq(idx_inode(r, &got, want->ino), 1);
	b = got;
	cr_assert_eq(!a.target, !b.target);
	if (a.target)
		cr_assert_str_eq(a.target, b.target);
	a.target = b.target = NULL;
	cr_assert(!memcmp(&a, &b, sizeof(a)), "inode %llx differs",
		  (unsigned long long)want->ino);
	free(got.target);
}

static int count_unfinished(void *ctx, uint64_t ino, uint32_t flags)
{
	struct world *w = ctx;
	struct inode_row *row;

	cr_assert_eq(state_mem_ops.inode_get(&w->mem, &row, ino), 1);
	cr_assert_eq(row->flags & (INODE_ORPHAN | INODE_HAS_EXTENTS), flags);
	w->answers[0]++;
	return 0;
}

static void same_state(struct world *w)
{
	struct idx_reader *r = open_reader(w);
	struct extent_walk e = { .n = 0 };
	uint64_t names = 0, xattrs = 0, unfinished = 0, files = 0, bytes = 0;
	const struct mem_inode *i;
	struct idx_counts c;
	struct inode_row none;

	for (i = w->mem.inodes; i; i = i->next) {
		same_inode(r, &i->row);
		w->answers[0] = 0;
		cr_assert_eq(
			idx_names(r, i->row.ino, 0, 1 << 20, count_name, w), 0);
		names += w->answers[0];
		w->answers[0] = 0;
		w->answers[1] = i->row.ino;
		cr_assert_eq(idx_xattrs(r, i->row.ino, count_xattr, w), 0);
		cr_assert_eq(w->answers[0], i->row.nxattr);
		xattrs += w->answers[0];
		e.next = w->mem.extents;
		e.ino = i->row.ino;
		cr_assert_eq(idx_extents(r, e.ino, count_extent, &e), 0);
		unfinished +=
			!!(i->row.flags & (INODE_ORPHAN | INODE_HAS_EXTENTS));
		if (i->row.mode >> 12 == DT_REG) {
			files++;
			bytes += i->row.size;
		}
	}
	cr_assert_eq(names, w->mem.n_names);
	cr_assert_eq(xattrs, w->mem.n_xattrs);
	cr_assert_eq(e.n, w->mem.n_extents);
	w->answers[0] = 0;
	cr_assert_eq(idx_unfinished(r, count_unfinished, w), 0);
	cr_assert_eq(w->answers[0], unfinished);
	cr_assert_eq(idx_counts(r, &c), 0);
	cr_assert_eq(c.files, files);
	cr_assert_eq(c.bytes, bytes);
	cr_assert_eq(c.files + c.dirs + c.others, w->mem.n_inodes);
	cr_assert_eq(c.entries, w->n);
	cr_assert_eq(idx_inode(r, &none, ENTRY_INODE(1, 1ULL << 39)), 0);
	idx_reader_close(r);
}

static void say_difference(void *ctx, const char *words)
{
	(void)ctx;
	fprintf(stderr, "difference: %s\n", words);
}

static uint64_t differences(struct world *w)
{
	struct errmsg em = ERRMSG_INIT;
	uint64_t n = 99;
	int rc = idx_compare(w->tmp.path, IDX_NAME, IDX_REBUILD_NAME,
			     say_difference, NULL, &n, &em);

	cr_assert_eq(rc, 0, "idx_compare: %s", errmsg_text(&em, rc));
	return n;
}

Test(idx, memory_index_and_rebuild_are_the_same_for_random_entries)
{
	struct world w;

	world_init(&w, "idx random", 8);
	world_grow(&w, 2500);
	cr_assert_gt(w.answers[1], w.n / 2, "most entries apply");
	cr_assert_gt(w.answers[0], 50, "some are rejected");
	cr_assert_gt(w.mem.n_names, 20);
	apply_all(&w, NULL, 9);
	apply_all(&w, IDX_REBUILD_NAME, 200);
	cr_assert_eq(differences(&w), 0);
	same_state(&w);
	world_release(&w);
}

Test(idx, hostile_entries_never_crash_it)
{
	struct world w;

	world_init(&w, "idx hostile", 70);
	world_grow(&w, 1500);
	apply_all(&w, NULL, 50);
	apply_all(&w, IDX_REBUILD_NAME, 3);
	cr_assert_eq(differences(&w), 0);
	same_state(&w);
	world_release(&w);
}
