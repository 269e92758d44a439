/*
 * tile.c - names and bytes of C2SP tiles and entry bundles.
 *
 * Invariants: (1) tile_path_parse() takes exactly what tile_path() writes.
 * (2) a partial tile is never hashed upward.
 *
 * Pure but for the callbacks.  A tile_reader belongs to one thread.
 */
#include "ledger/tile.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

void tile_path(char out[TILE_PATH_MAX], const struct tile *t)
{
	char number[40];
	size_t at = sizeof(number);
	uint64_t n = t->n;
	int len;

	assert(t->level >= TILE_ENTRIES && t->level < 64);
	assert(t->width >= 1 && t->width <= TILE_WIDTH);
	number[--at] = 0;
	for (bool last = true; last || n != 0; last = false, n /= 1000) {
		at -= last ? 3 : 5;
		if (!last) {
			number[at] = 'x';
			number[at + 4] = '/';
		}
		for (unsigned i = 0, d = 100; i < 3; i++, d /= 10)
			number[at + !last + i] =
				(char)('0' + n % 1000 / d % 10);
	}
	if (t->level == TILE_ENTRIES)
		len = snprintf(out, TILE_PATH_MAX, "tile/entries/%s",
			       number + at);
	else
		len = snprintf(out, TILE_PATH_MAX, "tile/%d/%s", t->level,
			       number + at);
	if (t->width < TILE_WIDTH)
		len += snprintf(out + len, TILE_PATH_MAX - (size_t)len, ".p/%u",
				t->width);
	assert(len < TILE_PATH_MAX);
}

/* Decimal without leading zeros, at most max; moves *s on. */
static bool take_number(const char **s, unsigned *out, unsigned max)
{
	const char *p = *s;
	unsigned v = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned)(*p - '0');
		if (v > max)
			return false;
	}
	*out = v;
	*s = p;
	return true;
}

static bool take_groups(const char **s, uint64_t *out)
{
	const char *p = *s;
	bool more = true;

	for (*out = 0; more; p += 3) {
		more = *p == 'x';
		if (p[0] == '/')
			return false;
		p += more;
		for (unsigned i = 0; i < 3; i++)
			if (p[i] < '0' || p[i] > '9')
				return false;
		if (*out > (UINT64_MAX >> 1) / 1000 - 1)
			return false;
		*out = *out * 1000 + (uint64_t)(p[0] - '0') * 100 +
		       (uint64_t)(p[1] - '0') * 10 + (uint64_t)(p[2] - '0');
		if (more && p[3] != '/')
			return false;
		p += more;
	}
	*s = p;
	return true;
}

int tile_path_parse(struct tile *out, const char *s, size_t n)
{
	char path[TILE_PATH_MAX];
	char again[TILE_PATH_MAX];
	const char *p = path;
	unsigned level = 0;

	if (n >= sizeof(path) || memchr(s, 0, n) != NULL)
		return -ERR_FORMAT;
	memcpy(path, s, n);
	path[n] = 0;
	*out = (struct tile){ .width = TILE_WIDTH };
	if (strncmp(p, "tile/", 5) != 0)
		return -ERR_FORMAT;
	p += 5;
	if (strncmp(p, "entries/", 8) == 0) {
		out->level = TILE_ENTRIES;
		p += 8;
	} else {
		if (!take_number(&p, &level, TILE_LEVEL_MAX) || *p++ != '/')
			return -ERR_FORMAT;
		out->level = (int)level;
	}
	if (!take_groups(&p, &out->n))
		return -ERR_FORMAT;
	if (strncmp(p, ".p/", 3) == 0) {
		p += 3;
		if (!take_number(&p, &out->width, TILE_WIDTH - 1) ||
		    out->width == 0)
			return -ERR_FORMAT;
	}
	if (*p != 0)
		return -ERR_FORMAT;
	tile_path(again, out);
	return strcmp(again, path) == 0 ? 0 : -ERR_FORMAT;
}

uint64_t tile_level_count(int level, uint64_t size)
{
	if (level <= 0)
		return size;
	return level > TILE_LEVEL_MAX ? 0 : size >> 8 * level;
}

int tile_walk(uint64_t from, uint64_t size, tile_walk_fn *fn, void *ctx)
{
	assert(from <= size);
	for (int level = TILE_ENTRIES; level <= TILE_LEVEL_MAX; level++) {
		uint64_t have = tile_level_count(level, from);
		uint64_t want = tile_level_count(level, size);

		if (want == 0)
			break;
		for (uint64_t n = have / TILE_WIDTH; n * TILE_WIDTH < want;
		     n++) {
			uint64_t left = want - n * TILE_WIDTH;
			struct tile t = { .level = level, .n = n };
			int rc;

			t.width =
				left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH;
			rc = fn(ctx, &t);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

int tile_hashes(struct buf *out, const struct tile *t, merkle_read_fn *read,
		void *ctx)
{
	assert(t->level >= 0 && t->level <= TILE_LEVEL_MAX);
	for (unsigned i = 0; i < t->width; i++) {
		struct digest h;
		int rc = read(ctx, &h, 8 * (unsigned)t->level,
			      t->n * TILE_WIDTH + i);

		if (rc != 0)
			return rc;
		buf_add(out, h.b, sizeof(h.b));
	}
	return out->bad ? -ENOMEM : 0;
}

int tile_bundle_add(struct buf *out, const void *leaf, size_t n)
{
	if (n > LIMIT_LEAF)
		return -ERR_LIMIT;
	buf_u8(out, (uint8_t)(n >> 8));
	buf_u8(out, (uint8_t)n);
	buf_add(out, leaf, n);
	return out->bad ? -ENOMEM : 0;
}

int tile_bundle_next(const uint8_t **p, size_t *left, const uint8_t **out_leaf,
		     size_t *out_n)
{
	size_t n;

	if (*left == 0)
		return 0;
	if (*left < 2)
		return -ERR_FORMAT;
	n = (size_t)(*p)[0] << 8 | (*p)[1];
	if (n > *left - 2)
		return -ERR_FORMAT;
	*out_leaf = *p + 2;
	*out_n = n;
	*p += 2 + n;
	*left -= 2 + n;
	return 1;
}

/* --- reader --- */

struct tile_reader {
	uint64_t size;
	tile_load_fn *load;
	void *ctx;
	struct {
		bool have;
		struct tile tile;
		struct buf bytes;
	} level[TILE_LEVEL_MAX + 1];
};

int tile_reader_new(struct tile_reader **out, uint64_t size, tile_load_fn *load,
		    void *ctx)
{
	struct tile_reader *r = calloc(1, sizeof(*r));

	*out = r;
	if (r == NULL)
		return -ENOMEM;
	r->size = size;
	r->load = load;
	r->ctx = ctx;
	return 0;
}

void tile_reader_free(struct tile_reader *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i <= TILE_LEVEL_MAX; i++)
		buf_release(&r->level[i].bytes);
	free(r);
}

/* The bytes of the tile that holds hash `at` of tile level `level`. */
static int reader_tile(struct tile_reader *r, const uint8_t **out,
		       unsigned level, uint64_t at)
{
	uint64_t count = tile_level_count((int)level, r->size);
	struct tile t = { .level = (int)level, .n = at / TILE_WIDTH };
	uint64_t left = count - t.n * TILE_WIDTH;
	int rc;

	assert(at < count);
	t.width = left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH;
	if (!r->level[level].have || r->level[level].tile.n != t.n) {
		r->level[level].have = false;
		buf_clear(&r->level[level].bytes);
		rc = r->load(r->ctx, &r->level[level].bytes, &t);
		if (rc != 0)
			return rc;
		if (r->level[level].bytes.n != (size_t)t.width * DIGEST_SIZE)
			return -ERR_CORRUPT;
		r->level[level].have = true;
		r->level[level].tile = t;
	}
	*out = r->level[level].bytes.p;
	return 0;
}

int tile_reader_read(void *ctx, struct digest *out, unsigned level,
		     uint64_t index)
{
	struct tile_reader *r = ctx;
	unsigned l = level / 8;
	unsigned span = 1U << level % 8;
	struct digest h[TILE_WIDTH / 2];
	const uint8_t *p = NULL;
	uint64_t first;
	int rc;

	if (l > TILE_LEVEL_MAX || index >= r->size >> level)
		return -ERR_LIMIT;
	first = index * span;
	rc = reader_tile(r, &p, l, first);
	if (rc != 0)
		return rc;
	p += first % TILE_WIDTH * DIGEST_SIZE;
	for (unsigned i = 0; i < span; i++)
		memcpy(h[i].b, p + (size_t)i * DIGEST_SIZE, DIGEST_SIZE);
	merkle_root_of(out, h, span);
	return 0;
}
