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
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "ledger/tile_store_impl.h"

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

static int edge_room(struct edge *e)
{
	size_t cap = e->cap ? 2 * e->cap : TILE_WIDTH;
	struct digest *v;

	if (e->n < e->cap)
		return 0;
	v = reallocarray(e->h, cap, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	e->h = v;
	e->cap = cap;
	return 0;
}

static int push_locked(struct tile_store *t, int l, const struct digest *h)
{
	struct edge *e = &t->edge[l];
	struct digest up;
	int rc = edge_room(e);

	if (rc < 0)
		return rc;
	e->h[e->n++] = *h;
	if ((e->first + e->n) % TILE_WIDTH != 0 || l + 1 == LEVELS)
		return 0;
	merkle_root_of(&up, e->h + e->n - TILE_WIDTH, TILE_WIDTH);
	return push_locked(t, l + 1, &up);
}

int tile_store_room(struct tile_store *t, uint32_t n)
{
	size_t had;
	int rc = 0;

	mutex_lock(&t->mu);
	had = t->bundle.n;
	if (buf_grow(&t->bundle, (size_t)n + 2) == NULL)
		rc = -ENOMEM;
	buf_cut(&t->bundle, had); /* what was there is there still */
	for (int l = 0; rc == 0 && l < LEVELS; l++) {
		struct edge *e = &t->edge[l];

		rc = edge_room(e);
		if ((e->first + e->n + 1) % TILE_WIDTH != 0)
			break; /* nothing goes up from here */
	}
	mutex_unlock(&t->mu);
	return rc;
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

void tile_store_path(char out[TILE_STORE_PATH_MAX], const struct tile *t)
{
	memcpy(out, TILE_DIR, sizeof(TILE_DIR));
	tile_path(out + strlen(TILE_DIR), t);
}

/* Reads the file of the full tile, which is at most `max` long. */
static int read_full(struct tile_store *t, struct buf *out,
		     const struct tile *tile, size_t max)
{
	char path[TILE_STORE_PATH_MAX];
	struct tile full = *tile;
	int rc;

	full.width = TILE_WIDTH;
	tile_store_path(path, &full);
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

size_t tile_store_bundle_bytes(const uint8_t *p, size_t n, unsigned width)
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
			skip = tile_store_bundle_bytes(
				t->bundle.p, t->bundle.n,
				(unsigned)(first - t->bundle_first));
		n = tile_store_bundle_bytes(t->bundle.p + skip,
					    t->bundle.n - skip, tile->width);
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
	n = tile_store_bundle_bytes(out->p + start, out->n - start,
				    tile->width);
	if (n == 0 || tile_store_bundle_bytes(out->p + start, out->n - start,
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

int tile_store_root(struct tile_store *t, struct digest *out, uint64_t size)
{
	struct tile_reader *r = NULL;
	int rc = tile_reader_new(&r, size, tile_store_get, t);

	if (rc == 0)
		rc = merkle_root(out, size, tile_reader_read, r);
	tile_reader_free(r);
	return rc;
}
