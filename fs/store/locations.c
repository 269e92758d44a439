/*
 * locations.c - the table of chunk places over base/ptable.
 *
 * A place is one u64: pack number 24 bits, offset 26, stored length in units
 * of 32 bytes, rounded up, 14.  With packs of 64 MiB that is a PiB.
 *
 * A store that is only looked at must not be written to, so its table is a
 * sorted array in memory, filled from the packs at open.
 */
#include "fs/store/locations.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/ptable.h"
#include "base/vio.h"

enum { OFF_BITS = 26, HINT_BITS = 14, HINT_SHIFT = 5, PACK_BITS = 24 };

_Static_assert((int)LIMIT_PACK <= 1 << OFF_BITS, "offsets fit");
_Static_assert((int)LIMIT_CHUNK >> HINT_SHIFT < 1 << HINT_BITS, "lengths fit");
_Static_assert(OFF_BITS + HINT_BITS + PACK_BITS == 64, "a place is a u64");

#define LOCATIONS_PATH "cache/chunks"

struct pair {
	uint64_t key, value;
};

struct locations {
	struct ptable *table; /* NULL: in memory */
	/* read-only: filled by one thread at open, sorted at the first get */
	struct pair *v;
	size_t n, cap;
	bool sorted;
};

static uint64_t pack_place(uint64_t pack, uint32_t off, uint32_t len)
{
	uint64_t hint = (len + (1U << HINT_SHIFT) - 1) >> HINT_SHIFT;

	assert(pack > 0 && pack < 1ULL << PACK_BITS);
	assert(off < 1U << OFF_BITS && hint < 1U << HINT_BITS);
	return pack << (OFF_BITS + HINT_BITS) | (uint64_t)off << HINT_BITS |
	       hint;
}

bool locations_hint_is(const struct location *at, uint32_t stored_len)
{
	uint32_t unit = 1U << HINT_SHIFT;

	return at->len_hint == ((stored_len + unit - 1) & ~(unit - 1));
}

static void unpack_place(struct location *out, uint64_t v)
{
	uint64_t hint = (v & ((1U << HINT_BITS) - 1)) << HINT_SHIFT;

	out->pack = v >> (OFF_BITS + HINT_BITS);
	out->off = (uint32_t)(v >> HINT_BITS & ((1U << OFF_BITS) - 1));
	out->len_hint = hint > LIMIT_CHUNK ? LIMIT_CHUNK : (uint32_t)hint;
}

static int table_open(struct locations *l, struct vio *v, size_t cache_bytes,
		      struct errmsg *em)
{
	int rc = vio_mkdirs(v, "cache");

	if (rc < 0)
		return errmsg_set(em, rc, "cache: %s", err_text(rc));
	rc = ptable_open(&l->table, v, LOCATIONS_PATH, cache_bytes, NULL);
	if (rc == 0)
		return 0;
	/* whatever it is, the packs know better */
	rc = ptable_remove(v, LOCATIONS_PATH);
	if (rc == 0 || rc == -ENOENT)
		rc = ptable_open(&l->table, v, LOCATIONS_PATH, cache_bytes, em);
	return rc;
}

int locations_open(struct locations **out, struct locations_mark *out_mark,
		   struct vio *v, size_t cache_bytes, bool read_only,
		   struct errmsg *em)
{
	struct locations *l = calloc(1, sizeof(*l));
	uint64_t mark[PTABLE_MARKS] = { 0 };
	int rc = 0;

	*out = NULL;
	*out_mark = (struct locations_mark){ .first = 0 };
	if (!l)
		return -ENOMEM;
	if (!read_only) {
		rc = table_open(l, v, cache_bytes, em);
		if (rc < 0)
			goto fail;
		ptable_mark(l->table, mark);
		out_mark->first = mark[0];
		out_mark->next = mark[1];
		out_mark->listed = mark[2];
	}
	*out = l;
	return 0;
fail:
	locations_close(l);
	return rc;
}

void locations_close(struct locations *l)
{
	if (!l)
		return;
	ptable_close(l->table);
	free(l->v);
	free(l);
}

int locations_remove(struct vio *v)
{
	return ptable_remove(v, LOCATIONS_PATH);
}

static int pair_order(const void *a, const void *b)
{
	const struct pair *x = a;
	const struct pair *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static int memory_put(struct locations *l, uint64_t key, uint64_t value)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 4096;
		void *p = realloc(l->v, cap * sizeof(*l->v));

		if (!p)
			return -ENOMEM;
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n++] = (struct pair){ .key = key, .value = value };
	l->sorted = false;
	return 0;
}

static int memory_get(struct locations *l, uint64_t key, uint64_t *out, int max)
{
	size_t lo = 0;
	size_t hi = l->n;
	int n = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < l->n && l->v[lo].key == key && n < max; lo++)
		out[n++] = l->v[lo].value;
	return n;
}

int locations_put(struct locations *l, const struct digest *id, uint64_t pack,
		  uint32_t off, uint32_t stored_len)
{
	uint64_t place = pack_place(pack, off, stored_len);

	if (l->table)
		return ptable_put(l->table, digest_prefix(id), place);
	return memory_put(l, digest_prefix(id), place);
}

int locations_del(struct locations *l, const struct digest *id,
		  const struct location *at)
{
	uint64_t place = pack_place(at->pack, at->off, at->len_hint);

	return l->table ? ptable_del(l->table, digest_prefix(id), place) : 0;
}

int locations_get(struct locations *l, struct location *out,
		  const struct digest *id)
{
	uint64_t v[LOCATIONS_MAX] = { 0 };
	int n = 0;

	if (l->table)
		n = ptable_get(l->table, digest_prefix(id), v, LOCATIONS_MAX);
	else
		n = memory_get(l, digest_prefix(id), v, LOCATIONS_MAX);
	if (n > LOCATIONS_MAX)
		n = LOCATIONS_MAX;
	for (int i = 0; i < n; i++)
		unpack_place(&out[i], v[i]);
	return n;
}

int locations_flush(struct locations *l, const struct locations_mark *m,
		    struct errmsg *em)
{
	uint64_t mark[PTABLE_MARKS] = { m->first, m->next, m->listed };

	if (!l->table) {
		if (!l->sorted && l->n > 1)
			qsort(l->v, l->n, sizeof(*l->v), pair_order);
		l->sorted = true;
		return 0;
	}
	return ptable_flush(l->table, mark, em);
}
