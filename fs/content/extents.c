/*
 * extents.c - see extents.h.
 *
 * A change is a removal (extents_cut, which may split one extent in two and
 * trim two others) and an insertion; both may need one leaf more each, which
 * extents_prepare has set aside, for two changes.
 *
 * The owner's lock guards everything.
 */
#include "fs/content/extents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/content/dirty.h"

/* Two changes of two insertions each. */
enum { EXTENTS_LEAF = 32, SPARES = 4 };

struct extents_leaf {
	struct extents_leaf *next; /* spare leaves only */
	uint32_t n;
	uint8_t flags; /* at least those of its extents */
	struct extent v[EXTENTS_LEAF];
};

struct place {
	size_t leaf;
	uint32_t i;
};

static uint64_t end_of(const struct extent *e)
{
	return e->off + e->len;
}

/* Adds (or, wrapping, takes away) len bytes of e's kind. */
static void count(struct extents *m, const struct extent *e, uint64_t len)
{
	if (e->kind == EXTENT_MEM)
		m->mem += len;
	if (e->kind != EXTENT_HOLE)
		m->data += len;
}

static void free_spares(struct extents *m)
{
	while (m->spare) {
		struct extents_leaf *l = m->spare;

		m->spare = l->next;
		free(l);
	}
}

void extents_release(struct extents *m)
{
	for (size_t i = 0; i < m->n_leaf; i++) {
		struct extents_leaf *l = m->leaf[i];

		for (uint32_t k = 0; k < l->n; k++)
			if (l->v[k].kind == EXTENT_MEM)
				dirty_put(l->v[k].buf);
		free(l);
	}
	free(m->leaf);
	free(m->begin);
	free_spares(m);
	*m = (struct extents){ .leaf = NULL };
}

static int add_spare(struct extents *m)
{
	struct extents_leaf *l = malloc(sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->n = 0;
	l->flags = 0;
	l->next = m->spare;
	m->spare = l;
	return 0;
}

int extents_prepare(struct extents *m)
{
	size_t spares = 0;
	size_t want = SPARES;

	for (const struct extents_leaf *l = m->spare; l; l = l->next)
		spares++;
	if (m->n_leaf == 0)
		want = 1;
	else if (m->n_leaf == 1 && m->leaf[0]->n + SPARES <= EXTENTS_LEAF)
		want = 0;
	if (m->n_leaf + SPARES > m->cap_leaf) {
		size_t cap = m->cap_leaf ? m->cap_leaf * 2 : SPARES;
		struct extents_leaf **v = realloc(m->leaf, cap * sizeof(*v));
		uint64_t *begin = NULL;

		if (v)
			m->leaf = v;
		begin = v ? realloc(m->begin, cap * sizeof(*begin)) : NULL;
		if (!begin)
			return -ENOMEM;
		m->begin = begin;
		m->cap_leaf = cap;
	}
	for (; spares < want; spares++)
		if (add_spare(m) < 0)
			return -ENOMEM;
	return 0;
}

static bool ends_behind(const struct extents_leaf *l, uint64_t off)
{
	return end_of(&l->v[l->n - 1]) > off;
}

/* Place of the first extent that ends behind off. */
static struct place find(const struct extents *m, uint64_t off)
{
	struct place p = { .leaf = 0 };
	size_t lo = 0;
	size_t hi = m->n_leaf;
	const struct extents_leaf *l = NULL;
	uint32_t a = 0;
	uint32_t b = 0;

	/* most look for the end: the last leaf first */
	if (hi > 1 && m->begin[hi - 1] <= off)
		lo = hi - 1;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->begin[mid] <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* the first that begins behind off, unless the one before has it */
	if (lo > 0 && ends_behind(m->leaf[lo - 1], off))
		lo--;
	p.leaf = lo;
	if (lo == m->n_leaf)
		return p;
	l = m->leaf[lo];
	b = l->n;
	while (a < b) {
		uint32_t mid = a + (b - a) / 2;

		if (end_of(&l->v[mid]) <= off)
			a = mid + 1;
		else
			b = mid;
	}
	p.i = a;
	return p;
}

static struct extent *at(const struct extents *m, struct place p)
{
	return p.leaf < m->n_leaf ? &m->leaf[p.leaf]->v[p.i] : NULL;
}

struct extent *extents_seek(const struct extents *m, uint64_t off)
{
	return at(m, find(m, off));
}

struct extent *extents_seek_flag(struct extents *m, uint64_t off, uint8_t flag)
{
	struct place p = find(m, off);

	for (; p.leaf < m->n_leaf; p.leaf++) {
		struct extents_leaf *l = m->leaf[p.leaf];
		uint32_t from = p.i;

		for (; (l->flags & flag) && p.i < l->n; p.i++)
			if (l->v[p.i].flags & flag)
				return &l->v[p.i];
		if (from == 0)
			l->flags &= (uint8_t)~flag;
		p.i = 0;
	}
	return NULL;
}

uint64_t extents_end(const struct extents *m)
{
	const struct extents_leaf *l = NULL;

	if (m->n_leaf == 0)
		return 0;
	l = m->leaf[m->n_leaf - 1];
	return end_of(&l->v[l->n - 1]);
}

static void note_begin(struct extents *m, size_t leaf)
{
	m->begin[leaf] = m->leaf[leaf]->v[0].off;
}

/* The caller notes where it begins. */
static void leaf_insert(struct extents *m, size_t where, struct extents_leaf *l)
{
	assert(m->n_leaf < m->cap_leaf);
	memmove(m->leaf + where + 1, m->leaf + where,
		(m->n_leaf - where) * sizeof(*m->leaf));
	memmove(m->begin + where + 1, m->begin + where,
		(m->n_leaf - where) * sizeof(*m->begin));
	m->leaf[where] = l;
	m->n_leaf++;
}

static struct extents_leaf *take_spare(struct extents *m)
{
	struct extents_leaf *l = m->spare;

	assert(l != NULL);
	m->spare = l->next;
	l->n = 0;
	l->flags = 0;
	return l;
}

/* Splits a full leaf; appends at the end leave the old leaf full. */
static void split_leaf(struct extents *m, struct place *p)
{
	struct extents_leaf *old = m->leaf[p->leaf];
	struct extents_leaf *l = take_spare(m);
	uint32_t keep = old->n / 2;

	if (p->leaf + 1 == m->n_leaf && p->i == old->n)
		keep = old->n;
	memcpy(l->v, old->v + keep, (old->n - keep) * sizeof(l->v[0]));
	l->n = old->n - keep;
	l->flags = old->flags;
	old->n = keep;
	leaf_insert(m, p->leaf + 1, l);
	if (l->n > 0) /* else what is inserted there says it */
		note_begin(m, p->leaf + 1);
	if (p->i > keep || (p->i == keep && keep == EXTENTS_LEAF)) {
		p->leaf++;
		p->i -= keep;
	}
}

/* Puts *e before the extent at p; the reference to a buffer moves in. */
static void insert(struct extents *m, struct place p, const struct extent *e)
{
	struct extents_leaf *l = NULL;

	if (m->n_leaf == 0) {
		leaf_insert(m, 0, take_spare(m));
		p = (struct place){ .leaf = 0 };
	} else if (p.leaf == m->n_leaf) {
		p.leaf--;
		p.i = m->leaf[p.leaf]->n;
	}
	if (m->leaf[p.leaf]->n == EXTENTS_LEAF)
		split_leaf(m, &p);
	l = m->leaf[p.leaf];
	memmove(l->v + p.i + 1, l->v + p.i, (l->n - p.i) * sizeof(l->v[0]));
	l->v[p.i] = *e;
	note_begin(m, p.leaf);
	l->flags |= e->flags;
	l->n++;
	m->n++;
	count(m, e, e->len);
}

/* Removes extents [i, j) of a leaf; the leaf goes when it is empty. */
static void erase(struct extents *m, size_t leaf, uint32_t i, uint32_t j)
{
	struct extents_leaf *l = m->leaf[leaf];

	for (uint32_t k = i; k < j; k++) {
		count(m, &l->v[k], 0 - l->v[k].len);
		if (l->v[k].kind == EXTENT_MEM)
			dirty_put(l->v[k].buf);
	}
	memmove(l->v + i, l->v + j, (l->n - j) * sizeof(l->v[0]));
	l->n -= j - i;
	m->n -= j - i;
	if (l->n > 0) {
		note_begin(m, leaf);
		return;
	}
	if (m->spare) {
		free(l);
	} else { /* the insert that follows may need one */
		l->next = NULL;
		m->spare = l;
	}
	m->n_leaf--;
	memmove(m->leaf + leaf, m->leaf + leaf + 1,
		(m->n_leaf - leaf) * sizeof(*m->leaf));
	memmove(m->begin + leaf, m->begin + leaf + 1,
		(m->n_leaf - leaf) * sizeof(*m->begin));
}

/* Drops bytes from the front or the end of an extent. */
static void trim(struct extents *m, struct extent *e, uint64_t lo, uint64_t hi)
{
	uint64_t front = lo - e->off;
	uint64_t gone = e->len - (hi - lo);

	assert(lo >= e->off && hi <= end_of(e) && lo < hi);
	count(m, e, 0 - gone);
	if (e->kind != EXTENT_HOLE)
		e->at += (uint32_t)front;
	e->off = lo;
	e->len = hi - lo;
	if (gone > 0)
		e->flags &= (uint8_t)~EXTENT_WHOLE;
}

void extents_cut(struct extents *m, uint64_t lo, uint64_t hi)
{
	struct place p = find(m, lo);
	struct extent *e = at(m, p);

	if (lo >= hi || !e || e->off >= hi)
		return;
	if (e->off < lo && end_of(e) > hi) { /* a hole in the middle */
		struct extent right = *e;

		if (right.kind == EXTENT_MEM)
			dirty_ref(right.buf);
		if (right.kind != EXTENT_HOLE)
			right.at += (uint32_t)(hi - e->off);
		right.len = end_of(e) - hi;
		right.off = hi;
		right.flags &= (uint8_t)~EXTENT_WHOLE;
		trim(m, e, e->off, lo);
		p.i++;
		insert(m, p, &right);
		return;
	}
	if (e->off < lo) {
		trim(m, e, e->off, lo);
		p = find(m, lo);
	}
	for (;;) {
		struct extents_leaf *l = NULL;
		uint32_t j = p.i;

		if (p.leaf == m->n_leaf)
			return;
		l = m->leaf[p.leaf];
		while (j < l->n && end_of(&l->v[j]) <= hi)
			j++;
		if (j < l->n) {
			if (l->v[j].off < hi)
				trim(m, &l->v[j], hi, end_of(&l->v[j]));
			note_begin(m, p.leaf);
			if (j > p.i)
				erase(m, p.leaf, p.i, j);
			return;
		}
		if (j > p.i)
			erase(m, p.leaf, p.i, j);
		p = find(m, lo);
	}
}

/* True when b goes on where a ends, in the file and in what is behind it. */
static bool joins(const struct extent *a, const struct extent *b)
{
	if (end_of(a) != b->off || a->kind != b->kind || a->flags != b->flags ||
	    (a->flags & EXTENT_WHOLE))
		return false;
	if (a->kind == EXTENT_HOLE)
		return true;
	if (a->at + a->len != b->at)
		return false;
	if (a->kind == EXTENT_MEM)
		return a->buf == b->buf;
	return memcmp(&a->id, &b->id, sizeof(a->id)) == 0;
}

/* Place before p; p is not the first. */
static struct place before(const struct extents *m, struct place p)
{
	if (p.i > 0) {
		p.i--;
	} else {
		p.leaf--;
		p.i = m->leaf[p.leaf]->n - 1;
	}
	return p;
}

void extents_set(struct extents *m, const struct extent *e)
{
	struct place p = { 0 };
	struct extent *left = NULL;
	struct extent *right = NULL;

	assert(e->len > 0);
	extents_cut(m, e->off, end_of(e));
	p = find(m, e->off);
	right = at(m, p);
	if (p.leaf > 0 || p.i > 0)
		left = at(m, before(m, p));
	if (left && joins(left, e)) {
		left->len += e->len;
		count(m, e, e->len);
		if (!right || !joins(left, right))
			return;
		left->len += right->len;
		count(m, right, right->len);
		erase(m, p.leaf, p.i, p.i + 1);
		return;
	}
	if (right && joins(e, right)) {
		right->off = e->off;
		note_begin(m, p.leaf);
		right->len += e->len;
		right->at = e->at;
		count(m, e, e->len);
		return;
	}
	if (e->kind == EXTENT_MEM)
		dirty_ref(e->buf);
	insert(m, p, e);
}

void extents_unflag(struct extents *m, uint64_t lo, uint64_t hi, uint8_t flag)
{
	while (lo < hi) {
		struct extent *e = extents_seek(m, lo);

		if (!e || e->off >= hi)
			return;
		e->flags &= (uint8_t)~flag;
		lo = end_of(e);
	}
}

void extents_check(const struct extents *m)
{
	uint64_t n = 0;
	uint64_t mem = 0;
	uint64_t data = 0;
	uint64_t end = 0;

	for (size_t i = 0; i < m->n_leaf; i++) {
		const struct extents_leaf *l = m->leaf[i];

		/* no leaf is empty */
		assert(l->n > 0 && l->n <= EXTENTS_LEAF);
		/* and each is found where it begins */
		assert(m->begin[i] == l->v[0].off);
		for (uint32_t k = 0; k < l->n; k++) {
			const struct extent *e = &l->v[k];

			/* ascending, not empty, no overlap */
			assert(e->len > 0 && e->off >= end);
			assert(end_of(e) > e->off);
			/* a buffer's bytes are inside the buffer */
			if (e->kind == EXTENT_MEM) {
				assert(e->at + e->len <= e->buf->cap);
				mem += e->len;
			}
			/* and it alone is found as such */
			assert((e->kind == EXTENT_MEM) ==
			       ((e->flags & EXTENT_BUFFERED) != 0));
			assert((e->flags & ~l->flags) == 0);
			/* a cut is whole */
			assert(!(e->flags & EXTENT_WHOLE) || e->at == 0);
			data += e->kind == EXTENT_HOLE ? 0 : e->len;
			end = end_of(e);
			n++;
		}
	}
	assert(n == m->n && mem == m->mem && data == m->data);
}
