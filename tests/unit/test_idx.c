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
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/vio.h"
#include "ledger/entry.h"
#include "tests/sim/idx_world.h"

/* --- memory and index hold the same --- */

static int count_name(void *ctx, const struct name_row *row, const char *name,
		      uint16_t len)
{
	struct idx_world *w = ctx;
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
	struct idx_world *w = ctx;
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

struct list_walk {
	struct idx_world *w;
	struct idx_reader *r;
	uint64_t last;
	bool whole;
};

/* A name with its inode is what each alone is. */
static int count_listed(void *ctx, const struct name_row *row, const char *name,
			uint16_t len, struct inode_row *inode)
{
	struct list_walk *l = ctx;
	const struct inode_row *i = inode;
	struct inode_row one;

	cr_assert_gt(row->cookie, l->last);
	l->last = row->cookie;
	cr_assert_eq(inode->ino, row->ino);
	if (l->whole) {
		struct inode_row same;
		struct name_row again;

		cr_assert_eq(idx_name_inode(l->r, &again, &same, row->parent,
					    name, len),
			     1);
		cr_assert_eq(again.ino, row->ino);
		cr_assert_eq(again.cookie, row->cookie);
		same_inode(l->r, &same);
		free(same.target);
		same_inode(l->r, inode);
		free(inode->target);
		return count_name(l->w, row, name, len);
	}
	cr_assert_eq(idx_inode(l->r, &one, row->ino), 1);
	cr_assert(i->mode == one.mode && i->uid == one.uid &&
		  i->gid == one.gid && i->rdev == one.rdev &&
		  i->nlink == one.nlink && i->flags == one.flags &&
		  i->size == one.size && i->allocated == one.allocated);
	cr_assert(i->atime_ns == one.atime_ns && i->mtime_ns == one.mtime_ns &&
		  i->ctime_ns == one.ctime_ns && !i->target);
	free(one.target);
	return count_name(l->w, row, name, len);
}

/* How many names a listing in parts of `max` finds. */
static uint64_t list(struct idx_world *w, struct idx_reader *r, uint64_t ino,
		     uint32_t max, bool whole)
{
	struct list_walk l = { w, r, 0, whole };
	uint64_t before;

	w->answers[0] = 0;
	do {
		before = w->answers[0];
		cr_assert_eq(
			idx_list(r, ino, l.last, max, whole, count_listed, &l),
			0);
		cr_assert_leq(w->answers[0] - before, max);
	} while (w->answers[0] > before);
	return w->answers[0];
}

static int count_inode(void *ctx, struct inode_row *row)
{
	struct list_walk *l = ctx;

	cr_assert_gt(row->ino, l->last);
	l->last = row->ino;
	same_inode(l->r, row);
	free(row->target);
	l->w->answers[0]++;
	return 0;
}

static int count_unfinished(void *ctx, uint64_t ino, uint32_t flags)
{
	struct idx_world *w = ctx;
	struct inode_row *row;

	cr_assert_eq(state_mem_ops.inode_get(&w->mem, &row, ino), 1);
	cr_assert_eq(row->flags & (INODE_ORPHAN | INODE_HAS_EXTENTS), flags);
	w->answers[0]++;
	return 0;
}

static void same_state(struct idx_world *w)
{
	struct idx_reader *r = idx_world_reader(w);
	struct extent_walk e = { .n = 0 };
	struct list_walk all = { w, r, 0, true };
	uint64_t names = 0, inodes = 0, xattrs = 0, unfinished = 0, files = 0,
		 bytes = 0;
	const struct mem_inode *i;
	struct idx_counts c;
	struct inode_row none;

	for (i = w->mem.inodes; i; i = i->next) {
		same_inode(r, &i->row);
		w->answers[0] = 0;
		cr_assert_eq(
			idx_names(r, i->row.ino, 0, 1 << 20, count_name, w), 0);
		names += w->answers[0];
		cr_assert_eq(w->answers[0], list(w, r, i->row.ino, 3, false));
		cr_assert_eq(w->answers[0], list(w, r, i->row.ino, 7, true));
		inodes++;
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
	w->answers[0] = 0;
	cr_assert_eq(idx_inodes_from(r, 0, 1 << 20, count_inode, &all), 0);
	cr_assert_eq(w->answers[0], inodes);
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

static uint64_t differences(struct idx_world *w)
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
	struct idx_world w;

	idx_world_init(&w, "idx random", 0, 8);
	idx_world_grow(&w, 2500);
	cr_assert_gt(w.answers[1], w.n / 2, "most entries apply");
	cr_assert_gt(w.answers[0], 50, "some are rejected");
	cr_assert_gt(w.mem.n_names, 20);
	idx_world_apply_all(&w, NULL, 9);
	idx_world_apply_all(&w, IDX_REBUILD_NAME, 200);
	cr_assert_eq(differences(&w), 0);
	same_state(&w);
	idx_world_release(&w);
}

Test(idx, hostile_entries_never_crash_it)
{
	struct idx_world w;

	idx_world_init(&w, "idx hostile", 0, 70);
	idx_world_grow(&w, 1500);
	idx_world_apply_all(&w, NULL, 50);
	idx_world_apply_all(&w, IDX_REBUILD_NAME, 3);
	cr_assert_eq(differences(&w), 0);
	same_state(&w);
	idx_world_release(&w);
}

Test(idx, what_is_given_up_in_a_batch_leaves_no_trace)
{
	struct digest root = idx_world_root(3), got;
	struct idx_world w;
	struct idx *x;
	uint64_t seals;

	idx_world_init(&w, "idx abort", 0, 0);
	idx_world_grow(&w, 70);
	x = idx_world_open(&w, NULL);
	idx_world_apply(&w, x, 0, 3, false);
	idx_world_apply(&w, x, 3, 8, true);
	cr_assert_eq(idx_position(x, &seals, &got), 0);
	cr_assert_eq(seals, 3);
	cr_assert(digest_eq(&root, &got));
	idx_world_apply(&w, x, 3, w.n / WORLD_SEAL, false);
	idx_close(x);
	idx_world_apply_all(&w, IDX_REBUILD_NAME, 4);
	cr_assert_eq(differences(&w), 0);
	same_state(&w);
	idx_world_release(&w);
}

/* The process dies inside a transaction: the position is that of the rows. */
Test(idx, crash_inside_a_batch_leaves_the_batch_before)
{
	struct idx_world w;
	struct idx *x;
	uint64_t seals;
	struct digest root;
	int status;
	pid_t pid;

	idx_world_init(&w, "idx crash", 0, 5);
	idx_world_grow(&w, 350);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		x = idx_world_open(&w, NULL);
		idx_world_apply(&w, x, 0, 20, false);
		(void)!idx_begin(x);
		(void)!idx_seal(x, 20, 1, 0, WORLD_SEAL);
		(void)!idx_apply(x, &w.log[140].e, &w.log[140].leaf,
				 idx_world_no(140));
		_exit(7);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(WEXITSTATUS(status), 7);
	x = idx_world_open(&w, NULL);
	cr_assert_eq(idx_position(x, &seals, &root), 0);
	cr_assert_eq(seals, 20);
	idx_world_apply(&w, x, 20, w.n / WORLD_SEAL, false);
	idx_close(x);
	idx_world_apply_all(&w, IDX_REBUILD_NAME, 9);
	cr_assert_eq(differences(&w), 0);
	same_state(&w);
	idx_world_release(&w);
}

Test(idx, refuses_entries_and_seals_out_of_order)
{
	struct digest root = idx_world_root(1);
	struct idx_world w;
	struct idx *x;

	idx_world_init(&w, "idx order", 0, 0);
	idx_world_grow(&w, 21);
	x = idx_world_open(&w, NULL);
	cr_assert_eq(idx_seal(x, 0, 1, 0, 7), -ERR_USAGE);
	cr_assert_eq(idx_end(x, 0, &root), -ERR_USAGE);
	cr_assert_eq(idx_begin(x), 0);
	cr_assert_eq(idx_begin(x), -ERR_USAGE);
	cr_assert_eq(idx_seal(x, 1, 1, 0, 7), -ERR_USAGE);
	cr_assert_eq(idx_seal(x, 0, 1, 0, 0), -ERR_USAGE);
	cr_assert_eq(idx_seal(x, 0, 1, 0, 4097), -ERR_USAGE);
	cr_assert_eq(idx_seal(x, 0, 1, 0, 7), 0);
	cr_assert_eq(idx_apply(x, &w.log[1].e, &w.log[1].leaf, 1), -ERR_USAGE);
	cr_assert_eq(idx_apply(x, &w.log[0].e, &w.log[0].leaf, 0), 0);
	cr_assert_eq(idx_end(x, 1, &root), -ERR_USAGE, "six are missing");
	idx_abort(x);
	idx_world_apply(&w, x, 0, 1, false);
	cr_assert_eq(idx_begin(x), 0);
	cr_assert_eq(idx_seal(x, 0, 1, 0, 7), -ERR_USAGE, "applied already");
	idx_close(x);
	idx_world_release(&w);
}

static struct digest *leaf_of(struct idx_world *w, size_t i)
{
	return &w->log[i].leaf;
}

static void all_leaves_are_found(struct idx_world *w)
{
	struct idx_reader *r = idx_world_reader(w);
	struct digest other = idx_world_root(1);
	uint64_t no;
	size_t i;

	for (i = 0; i < w->n; i++) {
		cr_assert_eq(idx_leaf(r, leaf_of(w, i), &no), 1);
		cr_assert_eq(no, idx_world_no(i));
	}
	cr_assert_eq(idx_leaf(r, &other, &no), 0);
	cr_assert_eq(idx_leaf(r, &digest_zero, &no), 0);
	idx_reader_close(r);
}

Test(idx, leaf_hashes_are_found_without_the_table_too)
{
	struct idx_world w;
	struct idx *x;

	idx_world_init(&w, "idx leaves", 0, 5);
	idx_world_grow(&w, 400);
	idx_world_apply_all(&w, NULL, 5);
	all_leaves_are_found(&w); /* nobody has leaves.tab open: a scan */
	x = idx_world_open(&w, NULL);
	all_leaves_are_found(&w);
	idx_close(x);
	cr_assert_eq(vio_unlink(w.vio, "leaves.tab"), 0);
	x = idx_world_open(&w, NULL); /* made again from the entries */
	all_leaves_are_found(&w);
	idx_close(x);
	idx_world_release(&w);
}

Test(idx, a_rebuild_takes_the_place_of_the_index)
{
	struct errmsg em = ERRMSG_INIT;
	struct idx_world w;
	struct idx *x;
	uint64_t seals;
	struct digest root;

	idx_world_init(&w, "idx replace", 0, 5);
	idx_world_grow(&w, 140);
	x = idx_world_open(&w, NULL);
	idx_world_apply(&w, x, 0, 2, false);
	idx_close(x);
	cr_assert_eq(idx_replace(w.vio, &em), -ENOENT);
	idx_world_apply_all(&w, IDX_REBUILD_NAME, 9);
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(idx_replace(w.vio, &em), 0, "%s", em.text);
	x = idx_world_open(&w, NULL);
	cr_assert_eq(idx_position(x, &seals, &root), 0);
	cr_assert_eq(seals, w.n / WORLD_SEAL);
	all_leaves_are_found(&w);
	idx_close(x);
	same_state(&w);
	cr_assert_eq(idx_remove(w.vio, IDX_NAME), 0);
	cr_assert_eq(idx_remove(w.vio, IDX_NAME), 0, "nothing there is fine");
	cr_assert_eq(idx_replace(w.vio, NULL), -ENOENT);
	idx_world_release(&w);
}
