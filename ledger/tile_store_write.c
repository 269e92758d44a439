/*
 * tile_store_write.c - full tiles leave memory: written, compared, forgotten.
 *
 * One thread at a time; a tile is dropped from memory only when its file is
 * durable, so readers find it in one place or the other.
 */
#include <assert.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/tile_store_impl.h"

/* Writes a tile's file unless it is right already. */
static int write_tile(struct tile_store *t, const struct tile *tile,
		      const struct buf *bytes, unsigned *changed)
{
	char path[TILE_STORE_PATH_MAX];
	struct buf have = BUF_INIT;
	char *slash;
	int rc;

	tile_store_path(path, tile);
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
		n = tile_store_bundle_bytes(t->bundle.p, t->bundle.n,
					    TILE_WIDTH);
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
		size_t n = tile_store_bundle_bytes(t->bundle.p, t->bundle.n,
						   TILE_WIDTH);

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
	char path[TILE_STORE_PATH_MAX];
	struct buf have = BUF_INIT;
	int rc;

	if ((tile->n + 1) * TILE_WIDTH > tile_level_count(tile->level, c->size))
		return 0; /* not published yet, so perhaps not written */
	tile_store_path(path, tile);
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
