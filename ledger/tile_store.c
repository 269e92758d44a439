/*
 * tile_store.c - full tiles on disk, the right edge in memory.
 *
 * Invariants (t->mu held):
 *  1. edge[l] holds the hashes first..first + n - 1 of tile level l, first is
 *     a multiple of 256, and every full tile before it is on disk.
 *  2. first + n = size >> 8l.
 *  3. bundle holds the seals edge[0].first .. size - 1, as a bundle does.
 *  4. A hash enters level l + 1 when the tile of level l below it is full.
 */
#include "ledger/tile_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/thread.h"
#include "base/vio.h"
#include "ledger/seal_format.h"
#include "ledger/tile.h"

#define TILE_DIR "ledger/"

enum {
	LEVELS = TILE_LEVEL_MAX + 1,
	BUNDLE_MAX = TILE_WIDTH * (2 + SEAL_SIZE_MAX),
};

struct edge {
	uint64_t first;
	struct digest *h;
	size_t n, cap;
};

struct tile_store {
	struct vio *vio;
	struct mutex mu; /* all below; never held across I/O */
	uint64_t size;
	struct edge edge[LEVELS];
	struct buf bundle;
	uint64_t bundle_first; /* of the seals in `bundle` */
};

int tile_store_new(struct tile_store **out, struct vio *vio)
{
	struct tile_store *t = calloc(1, sizeof(*t));

	*out = t;
	if (t == NULL)
		return -ENOMEM;
	t->vio = vio;
	mutex_init(&t->mu);
	return 0;
}

void tile_store_free(struct tile_store *t)
{
	if (t == NULL)
		return;
	for (int l = 0; l < LEVELS; l++)
		free(t->edge[l].h);
	buf_release(&t->bundle);
	mutex_destroy(&t->mu);
	free(t);
}

void tile_store_clear(struct tile_store *t)
{
	mutex_lock(&t->mu);
	t->size = 0;
	t->bundle_first = 0;
	buf_clear(&t->bundle);
	for (int l = 0; l < LEVELS; l++) {
		t->edge[l].first = 0;
		t->edge[l].n = 0;
	}
	mutex_unlock(&t->mu);
}

uint64_t tile_store_size(struct tile_store *t)
{
	uint64_t size;

	mutex_lock(&t->mu);
	size = t->size;
	mutex_unlock(&t->mu);
	return size;
}

static int push_locked(struct tile_store *t, int l, const struct digest *h)
{
	struct edge *e = &t->edge[l];
	struct digest up;

	if (e->n == e->cap) {
		size_t cap = e->cap ? 2 * e->cap : TILE_WIDTH;
		struct digest *v = reallocarray(e->h, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		e->h = v;
		e->cap = cap;
	}
	e->h[e->n++] = *h;
	if ((e->first + e->n) % TILE_WIDTH != 0 || l + 1 == LEVELS)
		return 0;
	merkle_root_of(&up, e->h + e->n - TILE_WIDTH, TILE_WIDTH);
	return push_locked(t, l + 1, &up);
}

int tile_store_append(struct tile_store *t, const uint8_t *seal, uint32_t n,
		      const struct digest *leaf)
{
	int rc;

	mutex_lock(&t->mu);
	rc = tile_bundle_add(&t->bundle, seal, n);
	if (rc == 0)
		rc = push_locked(t, 0, leaf);
	if (rc == 0)
		t->size++;
	mutex_unlock(&t->mu);
	return rc;
}

static void file_name(char out[TILE_PATH_MAX + sizeof(TILE_DIR)],
		      const struct tile *t)
{
	memcpy(out, TILE_DIR, sizeof(TILE_DIR));
	tile_path(out + strlen(TILE_DIR), t);
}

/* Reads the file of the full tile, which is at most `max` long. */
static int read_full(struct tile_store *t, struct buf *out,
		     const struct tile *tile, size_t max)
{
	char path[TILE_PATH_MAX + sizeof(TILE_DIR)];
	struct tile full = *tile;
	int rc;

	full.width = TILE_WIDTH;
	file_name(path, &full);
	rc = vio_read_file(t->vio, out, path, max);
	return rc == -ERR_LIMIT ? -ERR_CORRUPT : rc;
}

int tile_store_get(void *ctx, struct buf *out, const struct tile *tile)
{
	struct tile_store *t = ctx;
	size_t want = (size_t)tile->width * DIGEST_SIZE, start = out->n;
	uint64_t first = tile->n * TILE_WIDTH;
	const struct edge *e;
	int rc;

	assert(tile->level >= 0 && tile->level < LEVELS);
	mutex_lock(&t->mu);
	e = &t->edge[tile->level];
	if (first >= e->first) {
		rc = first + tile->width <= e->first + e->n ? 0 : -ENOENT;
		if (rc == 0)
			buf_add(out, e->h + (first - e->first), want);
		mutex_unlock(&t->mu);
		return rc == 0 && out->bad ? -ENOMEM : rc;
	}
	mutex_unlock(&t->mu);
	rc = read_full(t, out, tile, TILE_BYTES);
	if (rc < 0)
		return rc;
	if (out->n - start != TILE_BYTES)
		return -ERR_CORRUPT;
	out->n = start + want;
	return 0;
}

/* Bytes of the first `width` leaves of a bundle; 0: there are fewer. */
static size_t bundle_bytes(const uint8_t *p, size_t n, unsigned width)
{
	const uint8_t *at = p, *leaf = NULL;
	size_t left = n, leaf_n = 0;

	for (unsigned i = 0; i < width; i++)
		if (tile_bundle_next(&at, &left, &leaf, &leaf_n) <= 0)
			return 0;
	return (size_t)(at - p);
}

int tile_store_bundle(struct tile_store *t, struct buf *out,
		      const struct tile *tile)
{
	uint64_t first = tile->n * TILE_WIDTH;
	size_t start = out->n, n;
	int rc = -ENOENT;

	mutex_lock(&t->mu);
	if (first >= t->bundle_first) {
		size_t skip = 0;

		if (first > t->bundle_first && first < t->size)
			skip = bundle_bytes(
				t->bundle.p, t->bundle.n,
				(unsigned)(first - t->bundle_first));
		n = bundle_bytes(t->bundle.p + skip, t->bundle.n - skip,
				 tile->width);
		if (n > 0 && first + tile->width <= t->size) {
			buf_add(out, t->bundle.p + skip, n);
			rc = out->bad ? -ENOMEM : 0;
		}
		mutex_unlock(&t->mu);
		return rc;
	}
	mutex_unlock(&t->mu);
	rc = read_full(t, out, tile, BUNDLE_MAX);
	if (rc < 0)
		return rc;
	n = bundle_bytes(out->p + start, out->n - start, tile->width);
	if (n == 0 || bundle_bytes(out->p + start, out->n - start,
				   TILE_WIDTH) != out->n - start)
		return -ERR_CORRUPT;
	out->n = start + n;
	return 0;
}

/* Hashes of level l >= 1 after its last full tile, from the level below. */
static int load_level(struct tile_store *t, int l, uint64_t size)
{
	uint64_t count = tile_level_count(l, size);
	struct buf bytes = BUF_INIT;
	int rc = 0;

	t->edge[l].first = count / TILE_WIDTH * TILE_WIDTH;
	for (uint64_t i = t->edge[l].first; rc == 0 && i < count; i++) {
		struct tile below = { l - 1, i, TILE_WIDTH };
		struct digest hashes[TILE_WIDTH], up;

		buf_clear(&bytes);
		rc = read_full(t, &bytes, &below, TILE_BYTES);
		if (rc == 0 && bytes.n != TILE_BYTES)
			rc = -ERR_CORRUPT;
		if (rc < 0)
			break;
		memcpy(hashes, bytes.p, TILE_BYTES);
		merkle_root_of(&up, hashes, TILE_WIDTH);
		mutex_lock(&t->mu);
		/* Never full here, so nothing moves further up. */
		rc = push_locked(t, l, &up);
		mutex_unlock(&t->mu);
	}
	buf_release(&bytes);
	return rc;
}

int tile_store_load(struct tile_store *t, uint64_t size,
		    tile_store_seal_fn *seal, void *ctx)
{
	struct buf scratch = BUF_INIT;
	int rc = 0;

	tile_store_clear(t);
	for (int l = LEVELS - 1; rc == 0 && l > 0; l--)
		rc = load_level(t, l, size);
	t->size = t->bundle_first = size / TILE_WIDTH * TILE_WIDTH;
	t->edge[0].first = t->size;
	while (rc == 0 && t->size < size) {
		const uint8_t *p = NULL;
		struct digest leaf;
		uint32_t n = 0;

		rc = seal(ctx, &scratch, &p, &n, t->size);
		if (rc < 0)
			break;
		merkle_leaf(&leaf, p, n);
		rc = tile_store_append(t, p, n, &leaf);
	}
	buf_release(&scratch);
	return rc;
}

bool tile_store_pending(struct tile_store *t)
{
	bool pending;

	mutex_lock(&t->mu);
	pending = t->edge[0].n >= TILE_WIDTH;
	mutex_unlock(&t->mu);
	return pending;
}

/* Writes a tile's file unless it is right already. */
static int write_tile(struct tile_store *t, const struct tile *tile,
		      const struct buf *bytes, unsigned *changed)
{
	char path[TILE_PATH_MAX + sizeof(TILE_DIR)];
	struct buf have = BUF_INIT;
	char *slash;
	int rc;

	file_name(path, tile);
	if (changed != NULL) {
		rc = vio_read_file(t->vio, &have, path, BUNDLE_MAX);
		if (rc == 0 && have.n == bytes->n &&
		    memcmp(have.p, bytes->p, have.n) == 0) {
			buf_release(&have);
			return 0;
		}
		if (rc != -ENOENT)
			(*changed)++;
		buf_release(&have);
	}
	rc = atomic_file_write(t->vio, path, bytes->p, bytes->n, 0);
	if (rc != -ENOENT)
		return rc;
	slash = strrchr(path, '/');
	*slash = '\0';
	rc = vio_mkdirs(t->vio, path);
	*slash = '/';
	if (rc == 0)
		rc = atomic_file_write(t->vio, path, bytes->p, bytes->n, 0);
	return rc;
}

/* The first full tile in memory, bundles before hashes: 1, or 0. */
static int next_full(struct tile_store *t, struct tile *out, struct buf *bytes)
{
	int found = 0;
	size_t n;

	buf_clear(bytes);
	mutex_lock(&t->mu);
	if (t->size - t->bundle_first >= TILE_WIDTH) {
		*out = (struct tile){ TILE_ENTRIES,
				      t->bundle_first / TILE_WIDTH,
				      TILE_WIDTH };
		n = bundle_bytes(t->bundle.p, t->bundle.n, TILE_WIDTH);
		assert(n > 0);
		buf_add(bytes, t->bundle.p, n);
		found = 1;
	}
	for (int l = 0; !found && l < LEVELS; l++) {
		if (t->edge[l].n < TILE_WIDTH)
			continue;
		*out = (struct tile){ l, t->edge[l].first / TILE_WIDTH,
				      TILE_WIDTH };
		buf_add(bytes, t->edge[l].h, TILE_BYTES);
		found = 1;
	}
	mutex_unlock(&t->mu);
	return bytes->bad ? -ENOMEM : found;
}

static void drop_full(struct tile_store *t, const struct tile *tile, size_t n)
{
	mutex_lock(&t->mu);
	if (tile->level == TILE_ENTRIES) {
		t->bundle.n -= n;
		memmove(t->bundle.p, t->bundle.p + n, t->bundle.n);
		t->bundle_first += TILE_WIDTH;
	} else {
		struct edge *e = &t->edge[tile->level];

		e->n -= TILE_WIDTH;
		e->first += TILE_WIDTH;
		memmove(e->h, e->h + TILE_WIDTH, e->n * sizeof(*e->h));
	}
	mutex_unlock(&t->mu);
}

void tile_store_forget_bundles(struct tile_store *t)
{
	mutex_lock(&t->mu);
	while (t->size - t->bundle_first >= TILE_WIDTH) {
		size_t n = bundle_bytes(t->bundle.p, t->bundle.n, TILE_WIDTH);

		assert(n > 0);
		t->bundle.n -= n;
		memmove(t->bundle.p, t->bundle.p + n, t->bundle.n);
		t->bundle_first += TILE_WIDTH;
	}
	mutex_unlock(&t->mu);
}

int tile_store_write(struct tile_store *t, unsigned *changed)
{
	struct buf bytes = BUF_INIT;
	struct tile tile;
	int rc;

	while ((rc = next_full(t, &tile, &bytes)) > 0) {
		rc = write_tile(t, &tile, &bytes, changed);
		if (rc < 0)
			break;
		drop_full(t, &tile, bytes.n);
	}
	buf_release(&bytes);
	return rc;
}

static int compare_tile(struct tile_store *t, struct tile_store_compare *c,
			const struct tile *tile, const struct buf *bytes)
{
	char path[TILE_PATH_MAX + sizeof(TILE_DIR)];
	struct buf have = BUF_INIT;
	int rc;

	if ((tile->n + 1) * TILE_WIDTH > tile_level_count(tile->level, c->size))
		return 0; /* not published yet, so perhaps not written */
	file_name(path, tile);
	rc = vio_read_file(t->vio, &have, path, BUNDLE_MAX);
	if (rc == -ENOMEM)
		return rc;
	c->tiles++;
	if (rc < 0)
		c->differs(c->ctx, path, err_text(rc));
	else if (have.n != bytes->n || memcmp(have.p, bytes->p, have.n) != 0)
		c->differs(c->ctx, path, "it is not what the seals give");
	buf_release(&have);
	return 0;
}

int tile_store_compare(struct tile_store *t, struct tile_store_compare *c)
{
	struct buf bytes = BUF_INIT;
	struct tile tile;
	int rc;

	while ((rc = next_full(t, &tile, &bytes)) > 0) {
		rc = compare_tile(t, c, &tile, &bytes);
		if (rc < 0)
			break;
		drop_full(t, &tile, bytes.n);
	}
	buf_release(&bytes);
	return rc;
}

int tile_store_root(struct tile_store *t, struct digest *out, uint64_t size)
{
	struct tile_reader *r = NULL;
	int rc = tile_reader_new(&r, size, tile_store_get, t);

	if (rc == 0)
		rc = merkle_root(out, size, tile_reader_read, r);
	tile_reader_free(r);
	return rc;
}
