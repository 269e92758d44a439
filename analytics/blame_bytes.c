/*
 * blame_bytes.c - what two versions have in common, byte for byte, without
 * reading any: by the ranges that a version says it wrote, and by chunks that
 * are the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/blame_int.h"
#include "analytics/line.h"
#include "base/err.h"
#include "fs/content/tree.h"
#include "fs/core/core.h"
#include "fs/store/chunk.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "ledger/entry.h"

/* --- chunks of a version --- */

struct chunk_at {
	uint64_t off, len;
	struct digest id; /* zero: a hole */
};

struct chunks {
	struct chunk_at *v;
	size_t n, cap;
};

static int read_node(void *ctx, uint8_t *out, size_t *out_n,
		     const struct digest *id)
{
	struct store *s = ctx;
	struct store_ref ref;
	uint32_t len = 0;
	int rc;

	if (store_look(s, &len, id) == CHUNK_DATA && len > 0) {
		*out_n = len;
		return 1;
	}
	rc = store_get(s, &ref, id, CHUNK_ANY);
	if (rc < 0)
		return rc;
	*out_n = ref.n;
	if (rc == CHUNK_NODE && ref.n > TREE_NODE_MAX)
		rc = -ERR_CORRUPT;
	else if (rc == CHUNK_NODE)
		memcpy(out, ref.p, ref.n);
	store_release(&ref);
	return rc < 0 ? rc : rc != CHUNK_NODE;
}

static int add_chunk(void *ctx, const struct digest *id, int level,
		     uint64_t off, uint64_t len)
{
	struct chunks *c = ctx;
	struct chunk_at *one;

	if (level >= 0)
		return 0;
	if (c->n == BLAME_CHUNKS_MAX)
		return -ERR_LIMIT;
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct chunk_at *v = realloc(c->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	one = &c->v[c->n++];
	*one = (struct chunk_at){ .off = off, .len = len };
	if (id)
		one->id = *id;
	return 0;
}

/* 1; 0: some of it is not there any more; -ERR_LIMIT: too many. */
static int load(struct blame_walk *w, struct chunks *out,
		const struct idx_version *v)
{
	struct store *s = core_store(w->core);
	const struct tree_source source = { .read = read_node, .ctx = s };
	unsigned section;
	int rc;

	if (!v->size)
		return 1;
	if (digest_is_zero(&v->tree_root))
		return 0; /* redacted */
	section = lease_enter(store_lease(s));
	rc = tree_walk(&source, &v->tree_root, v->size, add_chunk, out);
	lease_leave(store_lease(s), section);
	return rc == -ERR_MISSING_CHUNK ? 0 : rc < 0 ? rc : 1;
}

/* --- the same chunk elsewhere --- */

static int by_id(const void *a, const void *b)
{
	const struct chunk_at *x = a, *y = b;
	int d = memcmp(&x->id, &y->id, sizeof(x->id));

	if (d)
		return d;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* Of those with the id the one at `off`, else the first; NULL: none. */
static const struct chunk_at *find(const struct chunks *c,
				   const struct chunk_at *one)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(&c->v[mid].id, &one->id, sizeof(one->id)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo; i < c->n && digest_eq(&c->v[i].id, &one->id); i++)
		if (c->v[i].off == one->off && c->v[i].len == one->len)
			return &c->v[i];
	if (lo == c->n || !digest_eq(&c->v[lo].id, &one->id) ||
	    c->v[lo].len != one->len)
		return NULL;
	return &c->v[lo];
}

/* Where both hold the same chunks. */
static int by_chunks(struct blame_walk *w, struct blame_sames *out,
		     const struct idx_version *now,
		     const struct idx_version *before)
{
	struct chunks a = { .n = 0 }, b = { .n = 0 };
	int rc = load(w, &b, before);

	if (rc > 0)
		rc = load(w, &a, now);
	if (rc > 0 && b.n)
		qsort(b.v, b.n, sizeof(*b.v), by_id);
	for (size_t i = 0; rc > 0 && i < a.n; i++) {
		const struct chunk_at *x = &a.v[i], *y;
		struct blame_same one = { .now = x->off, .n = x->len };

		y = find(&b, x);
		if (!y)
			continue;
		one.before = y->off;
		if (blame_sames_add(out, &one) < 0)
			rc = -ENOMEM;
	}
	free(a.v);
	free(b.v);
	return rc == -ERR_LIMIT ? 1 : rc; /* nothing in common, then */
}

/* --- the ranges of a version --- */

/* All but what it wrote, as far as there was something before. */
static int by_ranges(struct blame_sames *out, const struct entry_version *e,
		     uint64_t size_before)
{
	uint64_t size = e->size < size_before ? e->size : size_before;
	struct blame_same one = { .now = 0 };
	int rc = 0;

	for (unsigned i = 0; rc >= 0 && i < e->n_ranges; i++) {
		uint64_t lo = e->ranges[i].lo, hi = e->ranges[i].hi;

		if (lo > size)
			lo = size;
		if (lo > one.now) {
			one.n = lo - one.now;
			rc = blame_sames_add(out, &one);
		}
		if (hi > one.now)
			one.now = one.before = hi;
	}
	if (rc >= 0 && one.now < size) {
		one.n = size - one.now;
		rc = blame_sames_add(out, &one);
	}
	return rc;
}

int blame_bytes(struct blame_walk *w, struct blame_sames *out,
		const struct idx_version *now, const struct idx_version *before,
		bool own)
{
	struct buf stored = BUF_INIT;
	struct entry e;
	int rc = 0;
	bool told = false;

	if (own)
		rc = line_load(w->core, &stored, &e, now->no);
	if (rc >= 0 && own && !e.body.opaque &&
	    !(e.body.version.flags & ENTRY_VERSION_HULL)) {
		rc = by_ranges(out, &e.body.version, before->size);
		told = true;
	}
	buf_release(&stored);
	if (rc < 0)
		return rc;
	return told ? 1 : by_chunks(w, out, now, before);
}
