/*
 * itable.c - rows in memory: tables, lists, faults.  See itable.h for the
 * invariants; what apply() calls is in itable_state.c.
 */
#include "fs/core/itable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "fs/core/itable_internal.h"
#include "fs/commit/leafcell.h"
#include "index/idx.h"

enum { BREATHE_ROWS = 1024, BREATHE_NS = 20000 };

/* --- lists and hashes --- */

static void link_init(struct link *l)
{
	l->prev = l->next = l;
}

static void link_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

static void link_add_tail(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static uint64_t hash_ino(uint64_t ino)
{
	return XXH3_64bits(&ino, sizeof(ino));
}

static uint64_t hash_name(uint64_t parent, const char *name, size_t len)
{
	return XXH3_64bits_withSeed(name, len, parent);
}

size_t itable_ino_gen(uint64_t ino)
{
	return hash_ino(ino) % ITABLE_GENS;
}

size_t itable_name_gen(uint64_t parent, const char *name, size_t len)
{
	return hash_name(parent, name, len) % ITABLE_GENS;
}

static struct inode **inode_bucket(struct itable *t, uint64_t ino)
{
	return &t->inodes[hash_ino(ino) & (t->n_inode_buckets - 1)];
}

static struct name **name_bucket(struct itable *t, uint64_t parent,
				 const char *name, size_t len)
{
	return &t->names[hash_name(parent, name, len) &
			 (t->n_name_buckets - 1)];
}

struct inode *itable_find_inode(struct itable *t, uint64_t ino)
{
	struct inode *i = *inode_bucket(t, ino);

	while (i && i->row.ino != ino)
		i = i->hash_next;
	return i;
}

struct name *itable_find_name(struct itable *t, uint64_t parent,
			      const char *name, size_t len)
{
	struct name *n = *name_bucket(t, parent, name, len);

	while (n && (n->row.parent != parent || n->len != len ||
		     memcmp(n->name, name, len)))
		n = n->hash_next;
	return n;
}

/* --- life --- */

static size_t power_of_two(size_t n)
{
	size_t p = 1024;

	while (p < n)
		p *= 2;
	return p;
}

int itable_init(struct itable *t, size_t max_inodes)
{
	memset(t, 0, sizeof(*t));
	mutex_init(&t->mu);
	t->max_inodes = max_inodes ? max_inodes : 65536;
	t->max_names = 2 * t->max_inodes;
	t->min_clean = t->max_inodes / 16 < 64 ? 64 : t->max_inodes / 16;
	t->n_inode_buckets = power_of_two(t->max_inodes);
	t->n_name_buckets = power_of_two(t->max_names);
	link_init(&t->inode_lru);
	link_init(&t->inode_dirty);
	link_init(&t->name_lru);
	link_init(&t->name_dirty);
	t->inodes = calloc(t->n_inode_buckets, sizeof(*t->inodes));
	t->names = calloc(t->n_name_buckets, sizeof(*t->names));
	if (t->inodes && t->names)
		return 0;
	itable_release(t);
	return -ENOMEM;
}

void itable_free_xattrs(struct inode *i)
{
	struct xattr *x = i->xattrs, *next;

	for (; x; x = next) {
		next = x->next;
		itable_free_xattr(x);
	}
	i->xattrs = NULL;
	i->xattrs_loaded = false;
}

static void free_inode(struct inode *i)
{
	itable_free_xattrs(i);
	leafcell_drop(i->version_cell);
	free(i->row.target);
	free(i->hint);
	free(i);
}

void itable_release(struct itable *t)
{
	free(take(t->spare));
	for (size_t b = 0; t->inodes && b < t->n_inode_buckets; b++) {
		struct inode *i = t->inodes[b], *next;

		for (; i; i = next) {
			next = i->hash_next;
			free_inode(i);
		}
	}
	for (size_t b = 0; t->names && b < t->n_name_buckets; b++) {
		struct name *n = t->names[b], *next;

		for (; n; n = next) {
			next = n->hash_next;
			free(n);
		}
	}
	free(t->inodes);
	free(t->names);
	t->inodes = NULL;
	t->names = NULL;
	mutex_destroy(&t->mu);
}

/* --- adding and evicting --- */

int itable_reserve(struct itable *t)
{
	if (!t->spare)
		t->spare = calloc(1, sizeof(*t->spare));
	return t->spare ? 0 : -ENOMEM;
}

struct inode *itable_add_inode(struct itable *t, uint64_t ino)
{
	struct inode **b = inode_bucket(t, ino);
	struct inode *i = calloc(1, sizeof(*i));

	if (!i)
		i = take(t->spare);
	if (!i)
		return NULL;
	i->row.ino = ino;
	link_init(&i->lru);
	link_init(&i->names);
	i->hash_next = *b;
	*b = i;
	t->n_inodes++;
	return i;
}

struct name *itable_add_name(struct itable *t, uint64_t parent,
			     const char *name, size_t len)
{
	struct name **b = name_bucket(t, parent, name, len);
	struct name *n = calloc(1, sizeof(*n) + len + 1);

	if (!n)
		return NULL;
	n->row.parent = parent;
	n->len = (uint8_t)len;
	memcpy(n->name, name, len);
	link_init(&n->lru);
	link_init(&n->in_dir);
	n->hash_next = *b;
	*b = n;
	t->n_names++;
	return n;
}

static void evict_inode(struct itable *t, struct inode *i)
{
	struct inode **at = inode_bucket(t, i->row.ino);

	assert(!i->refs && !i->file && i->dirty_seq <= t->applied);
	assert(i->names.next == &i->names);
	while (*at != i)
		at = &(*at)->hash_next;
	*at = i->hash_next;
	t->gens[itable_ino_gen(i->row.ino)]++;
	link_del(&i->lru);
	t->n_inode_lru--;
	t->n_inodes--;
	free_inode(i);
}

static void evict_name(struct itable *t, struct name *n)
{
	struct name **at = name_bucket(t, n->row.parent, n->name, n->len);

	assert(!n->dirty);
	if (t->evicted_seq < n->dirty_seq)
		t->evicted_seq = n->dirty_seq;
	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	t->gens[itable_name_gen(n->row.parent, n->name, n->len)]++;
	if (n->row.ino) {
		struct inode *dir = itable_find_inode(t, n->row.parent);

		if (dir)
			dir->all_names = false;
	}
	link_del(&n->lru);
	t->n_name_lru--;
	t->n_names--;
	free(n);
}

/* Takes the inode to the list where it belongs now. */
void itable_place_inode(struct itable *t, struct inode *i)
{
	bool clean = i->dirty_seq <= t->applied;

	if (i->listed) {
		link_del(&i->lru);
		if (i->listed_clean)
			t->n_inode_lru--;
	}
	i->listed = !clean || !i->refs;
	i->listed_clean = clean && !i->refs;
	if (!clean) {
		link_add_tail(&t->inode_dirty, &i->lru);
	} else if (!i->refs) {
		assert(i->names.next == &i->names);
		/*
		 * What is removed may still be somebody's working directory,
		 * an open fifo, or held with O_PATH: the kernel tells of none
		 * of these.  Files seldom are: they go first.
		 */
		link_add_tail(i->gone && S_ISREG(i->row.mode) ?
				      t->inode_lru.next :
				      &t->inode_lru,
			      &i->lru);
		t->n_inode_lru++;
	}
}

/*
 * Some clean rows stay however many are dirty: what an operation has just
 * faulted must be there when it starts again, or it would fault for ever.
 */
void itable_trim(struct itable *t)
{
	while (t->n_inode_lru > t->min_clean && t->n_inodes > t->max_inodes)
		evict_inode(t, (struct inode *)t->inode_lru.next);
	while (t->n_name_lru > t->min_clean && t->n_names > t->max_names)
		evict_name(t, (struct name *)t->name_lru.next);
}

void itable_hold(struct itable *t, struct inode *i)
{
	/* the dirty list is in order of dirty_seq: holding moves nothing */
	if (i->refs++ == 0 && i->dirty_seq <= t->applied)
		itable_place_inode(t, i);
}

void itable_drop(struct itable *t, struct inode *i)
{
	assert(i->refs > 0);
	if (--i->refs == 0 && i->dirty_seq <= t->applied) {
		itable_place_inode(t, i);
		itable_trim(t);
	}
}

/* --- dirty names --- */

static bool in_order(const struct inode *dir, const struct name *n)
{
	struct link *prev = n->in_dir.prev, *next = n->in_dir.next;
	uint64_t cookie = n->row.cookie;

	return (prev == &dir->names ||
		itable_name_of(prev)->row.cookie <= cookie) &&
	       (next == &dir->names ||
		itable_name_of(next)->row.cookie >= cookie);
}

/* By cookie: nearly always at the end, or where a name was that changed. */
static void put_in_order(struct itable *t, struct inode *dir, struct name *n)
{
	struct link *at = dir->names.prev;

	if (t->placed && t->placed->row.parent == n->row.parent &&
	    t->placed->row.cookie == n->row.cookie)
		at = &t->placed->in_dir;
	for (; at != &dir->names; at = at->prev)
		if (itable_name_of(at)->row.cookie <= n->row.cookie)
			break;
	link_add_tail(at->next, &n->in_dir);
}

void itable_name_dirtied(struct itable *t, struct inode *dir, struct name *n)
{
	if (!n->dirty) {
		if (n->lru.next != &n->lru) {
			link_del(&n->lru);
			t->n_name_lru--;
		}
		put_in_order(t, dir, n);
	} else {
		link_del(&n->lru);
		if (!in_order(dir, n)) {
			link_del(&n->in_dir);
			if (t->placed == n)
				t->placed = NULL;
			put_in_order(t, dir, n);
		}
	}
	n->dirty = true;
	n->dirty_seq = t->seq;
	link_add_tail(&t->name_dirty, &n->lru);
	t->placed = n;
}

void itable_name_clean(struct itable *t, struct name *n)
{
	link_add_tail(&t->name_lru, &n->lru);
	t->n_name_lru++;
}

static void name_cleaned(struct itable *t, struct name *n)
{
	n->dirty = false;
	if (t->placed == n)
		t->placed = NULL;
	link_del(&n->in_dir);
	link_del(&n->lru);
	itable_name_clean(t, n);
}

/*
 * A transaction's rows are many: whoever waits for the lock gets it between.
 * He does not without the pause: a mutex is not handed over, and who gave it
 * up has it again before the other has woken.
 */
static void breathe_locked(struct itable *t, unsigned *io_n)
	requires_capability(&t->mu)
{
	struct timespec pause = { .tv_nsec = BREATHE_NS };

	if (++*io_n % BREATHE_ROWS)
		return;
	mutex_unlock(&t->mu);
	nanosleep(&pause, NULL);
	mutex_lock(&t->mu);
}

void itable_applied(struct itable *t, uint64_t seq)
{
	unsigned n_rows = 0;

	mutex_lock(&t->mu);
	assert(seq >= t->applied);
	while (t->name_dirty.next != &t->name_dirty) {
		struct name *n = (struct name *)t->name_dirty.next;

		if (n->dirty_seq > seq)
			break;
		name_cleaned(t, n);
		breathe_locked(t, &n_rows);
	}
	/* not before: a clean directory may be evicted, and has no dirty name */
	t->applied = seq;
	while (t->inode_dirty.next != &t->inode_dirty) {
		struct inode *i = (struct inode *)t->inode_dirty.next;

		if (i->dirty_seq > seq)
			break;
		itable_place_inode(t, i);
		breathe_locked(t, &n_rows);
	}
	itable_trim(t);
	mutex_unlock(&t->mu);
}

/* --- looking up --- */

static int miss(struct itable_tx *tx, enum itable_need_kind need, uint64_t ino,
		const char *name, size_t len)
{
	tx->need = need;
	tx->ino = ino;
	tx->len = (uint8_t)len;
	if (len)
		memcpy(tx->name, name, len);
	tx->name[len] = '\0';
	return -ERR_RELOCKED;
}

int itable_get(struct itable_tx *tx, struct inode **out, uint64_t ino)
{
	struct inode *i = itable_find_inode(tx->t, ino);

	*out = i;
	if (!i)
		return miss(tx, NEED_INODE, ino, "", 0);
	if (i->gone)
		return -ENOENT;
	if (!i->refs && i->listed_clean)
		itable_place_inode(tx->t, i); /* youngest again */
	return 0;
}

int itable_get_removed(struct itable_tx *tx, struct inode **out, uint64_t ino)
{
	*out = itable_find_inode(tx->t, ino);
	return *out && (*out)->gone ? 0 : itable_get(tx, out, ino);
}

int itable_name(struct itable_tx *tx, struct name **out, uint64_t parent,
		const char *name, size_t len)
{
	struct itable *t = tx->t;
	struct inode *dir;
	struct name *n;

	if (len > LIMIT_NAME)
		return -ENAMETOOLONG;
	n = itable_find_name(t, parent, name, len);
	*out = n;
	if (!n) {
		dir = itable_find_inode(t, parent);
		if (!dir || !dir->all_names)
			return miss(tx, NEED_NAME, parent, name, len);
		/* a place for it: what puts it there must not fail half-way */
		n = itable_add_name(t, parent, name, len);
		if (!n)
			return -ENOMEM;
		itable_name_clean(t, n);
		*out = n;
	}
	if (!n->dirty) {
		link_del(&n->lru);
		link_add_tail(&t->name_lru, &n->lru);
	}
	return 0;
}

int itable_xattrs(struct itable_tx *tx, struct inode *i)
{
	if (i->xattrs_loaded)
		return 0;
	if (i->row.nxattr == 0) {
		i->xattrs_loaded = true;
		return 0;
	}
	return miss(tx, NEED_XATTRS, i->row.ino, "", 0);
}

/* --- faults --- */

static int fault_inode(struct itable *t, uint64_t ino, struct idx_reader *r)
{
	uint32_t *gen = &t->gens[itable_ino_gen(ino)];

	for (;;) {
		struct inode_row row = { .ino = 0 };
		struct inode *i = NULL;
		uint32_t before;
		int rc;

		mutex_lock(&t->mu);
		before = *gen;
		i = itable_find_inode(t, ino);
		mutex_unlock(&t->mu);
		if (i)
			return 0;
		rc = idx_inode(r, &row, ino);
		if (rc < 0)
			return rc;
		mutex_lock(&t->mu);
		i = itable_find_inode(t, ino);
		if (!i && *gen != before) {
			mutex_unlock(&t->mu);
			free(row.target);
			continue;
		}
		if (i || rc == 0) {
			mutex_unlock(&t->mu);
			free(row.target);
			return i ? 0 : -ENOENT;
		}
		i = itable_add_inode(t, ino);
		if (i) {
			i->row = row;
			itable_place_inode(t, i);
			itable_trim(t);
		} else {
			free(row.target);
		}
		mutex_unlock(&t->mu);
		return i ? 0 : -ENOMEM;
	}
}

/* The row is as the index has it; n is NULL when it is not kept yet. */
static int put_faulted(struct itable_tx *tx, struct name *n,
		       const struct name_row *row)
{
	struct itable *t = tx->t;

	if (n)
		return 0;
	n = itable_add_name(t, tx->ino, tx->name, tx->len);
	if (!n)
		return -ENOMEM;
	n->row = *row;
	n->row.parent = tx->ino;
	itable_name_clean(t, n);
	return 0;
}

/* The name, and its inode with it. */
static int fault_name(struct itable_tx *tx, struct idx_reader *r)
{
	struct itable *t = tx->t;
	size_t gen = itable_name_gen(tx->ino, tx->name, tx->len);
	struct itable_look look;

	for (;;) {
		struct name_row row = { .ino = 0 };
		struct inode_row inode;
		struct name *n;
		int rc;

		mutex_lock(&t->mu);
		memcpy(look.gens, t->gens, sizeof(look.gens));
		n = itable_find_name(t, tx->ino, tx->name, tx->len);
		mutex_unlock(&t->mu);
		if (n)
			return 0;
		rc = idx_name_inode(r, &row, &inode, tx->ino, tx->name,
				    tx->len);
		if (rc < 0)
			return rc;
		mutex_lock(&t->mu);
		itable_learn_inode(t, &look, &inode);
		n = itable_find_name(t, tx->ino, tx->name, tx->len);
		if (!n && t->gens[gen] != look.gens[gen]) {
			mutex_unlock(&t->mu);
			continue;
		}
		rc = put_faulted(tx, n, &row);
		itable_trim(t);
		mutex_unlock(&t->mu);
		return rc;
	}
}

struct xattr_load {
	struct xattr *head;
	int rc;
};

static int load_xattr(void *ctx, const char *name, uint16_t len,
		      const void *value, uint32_t value_len,
		      const struct digest *chunk)
{
	struct xattr_load *l = ctx;
	struct xattr *x = itable_new_xattr(name, len, value, value_len, chunk);

	if (!x)
		return l->rc = -ENOMEM;
	x->next = l->head;
	l->head = x;
	return 0;
}

/*
 * The row is in memory, so its attributes are as SQLite has them as long as
 * no queued entry has changed them; SETXATTR loads them first, so when they
 * are not loaded none is queued.
 */
static int fault_xattrs(struct itable *t, uint64_t ino, struct idx_reader *r)
{
	struct xattr_load l = { NULL, 0 };
	struct inode *i, hold_names = { .gone = false };
	int rc;

	mutex_lock(&t->mu);
	i = itable_find_inode(t, ino);
	if (!i || i->xattrs_loaded) {
		mutex_unlock(&t->mu);
		return 0;
	}
	itable_hold(t, i);
	mutex_unlock(&t->mu);
	rc = idx_xattrs(r, ino, load_xattr, &l);
	mutex_lock(&t->mu);
	if (rc >= 0 && !l.rc && !i->xattrs_loaded) {
		i->xattrs = l.head;
		i->xattrs_loaded = true;
		l.head = NULL;
	}
	itable_drop(t, i);
	mutex_unlock(&t->mu);
	hold_names.xattrs = l.head; /* a twin of what somebody else loaded */
	itable_free_xattrs(&hold_names);
	return rc < 0 ? rc : l.rc;
}

int itable_fault(struct itable_tx *tx, struct idx_reader *r)
{
	enum itable_need_kind need = tx->need;
	int rc;

	tx->need = NEED_NONE;
	switch (need) {
	case NEED_INODE:
		rc = fault_inode(tx->t, tx->ino, r);
		if (!rc)
			itable_read_ahead_inodes(tx->t, r, tx->ino);
		return rc;
	case NEED_NAME:
		rc = fault_name(tx, r);
		if (!rc)
			itable_read_ahead(tx->t, r, tx->ino, tx->name, tx->len);
		return rc;
	case NEED_XATTRS:
		return fault_xattrs(tx->t, tx->ino, r);
	default:
		return 0;
	}
}

/* --- checking --- */

void itable_check(struct itable *t)
{
	size_t n_inodes = 0, n_names = 0, n_lru = 0;

	mutex_lock(&t->mu);
	for (size_t b = 0; b < t->n_inode_buckets; b++)
		for (struct inode *i = t->inodes[b]; i; i = i->hash_next) {
			n_inodes++;
			/* (1) and (4): on the right list */
			assert(i->listed ==
			       (i->dirty_seq > t->applied || !i->refs));
			if (i->listed && i->listed_clean)
				n_lru++;
			assert(!i->opens || i->refs);
		}
	for (size_t b = 0; b < t->n_name_buckets; b++)
		for (struct name *n = t->names[b]; n; n = n->hash_next) {
			n_names++;
			assert(n->dirty == (n->dirty_seq > t->applied));
		}
	assert(n_inodes == t->n_inodes && n_names == t->n_names);
	assert(n_lru == t->n_inode_lru);
	mutex_unlock(&t->mu);
}
