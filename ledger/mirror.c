/*
 * mirror.c - a stranger's check of a copied log; see mirror.h.
 *
 * One pass over the bundles grows the tree, keeps every level's hashes, and
 * checks each seal against its mount's last one; a second pass compares the
 * hash tiles.  Memory is 64 bytes for each seal.  One thread.
 */
#include "ledger/mirror.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/merkle.h"
#include "ledger/seal.h"
#include "ledger/tile.h"
#include "ledger/trust.h"

enum { MOUNTS_MAX = 4096, LEVELS = 40 };

struct place {
	uint32_t mount_no;
	uint64_t batch_seq;
	uint64_t next_seq;
	uint64_t seen_size;
	struct digest last;
};

struct mirror {
	struct mirror_report *out;
	mirror_load_fn *load;
	void *ctx;
	struct errmsg *em;
	uint64_t size; /* of the checkpoint */
	struct merkle_frontier tree;
	struct buf level[LEVELS]; /* complete subtrees, 32 bytes each */
	struct place *mounts;
	struct buf file;
};

static void mirror_release(struct mirror *m)
{
	for (unsigned i = 0; i < LEVELS; i++)
		buf_release(&m->level[i]);
	buf_release(&m->file);
	free(m->mounts);
}

static int load(struct mirror *m, const char *path)
{
	int rc;

	buf_clear(&m->file);
	rc = m->load(m->ctx, &m->file, path);
	if (rc == 0 && m->file.bad)
		rc = -ENOMEM;
	if (rc != 0)
		errmsg_set(m->em, rc, "%s: %s", path, err_text(rc));
	return rc;
}

static void keep(void *ctx, unsigned level, uint64_t index,
		 const struct digest *h)
{
	struct mirror *m = ctx;

	assert(level < LEVELS && m->level[level].n / DIGEST_SIZE == index);
	buf_add(&m->level[level], h->b, sizeof(h->b));
}

static int read_kept(void *ctx, struct digest *out, unsigned level,
		     uint64_t index)
{
	const struct mirror *m = ctx;
	const struct buf *b;

	if (level >= LEVELS)
		return -ERR_LIMIT;
	b = &m->level[level];
	if (index >= b->n / DIGEST_SIZE)
		return -ERR_LIMIT;
	memcpy(out->b, b->p + index * DIGEST_SIZE, DIGEST_SIZE);
	return 0;
}

static int seal_wrong(struct mirror *m, uint64_t at, const char *why)
{
	return errmsg_set(m->em, -ERR_REJECTED, "seal %llu: %s",
			  (unsigned long long)at, why);
}

static struct place *place_of(struct mirror *m, uint32_t mount_no)
{
	struct place *p = m->mounts;

	for (uint32_t i = 0; i < m->out->mounts; i++, p++)
		if (p->mount_no == mount_no)
			return p;
	if (m->out->mounts == MOUNTS_MAX)
		return NULL;
	m->out->mounts++;
	*p = (struct place){ .mount_no = mount_no };
	return p;
}

static int seal_rules(struct mirror *m, const struct seal *s, uint64_t at)
{
	struct place *p = place_of(m, s->mount_no);
	struct digest root;

	if (p == NULL)
		return errmsg_set(m->em, -ERR_LIMIT, "too many mounts");
	if (at == 0)
		memcpy(m->out->volume_id, s->volume_id, 16);
	if (memcmp(m->out->volume_id, s->volume_id, 16) != 0)
		return seal_wrong(m, at, "it is another volume's");
	if (s->batch_seq != p->batch_seq + 1 ||
	    !digest_eq(&s->prev_seal, &p->last) ||
	    (p->batch_seq != 0 && s->first_seq != p->next_seq))
		return seal_wrong(m, at,
				  "it does not follow its mount's last seal");
	if (s->seen_size > at || s->seen_size < p->seen_size)
		return seal_wrong(m, at, "it saw another size of the log");
	if (s->seen_size != 0 && s->seen_size != p->seen_size) {
		int rc = merkle_root(&root, s->seen_size, read_kept, m);

		if (rc != 0)
			return rc;
		if (!digest_eq(&root, &s->seen_root))
			return seal_wrong(m, at, "it saw another log");
	}
	p->batch_seq = s->batch_seq;
	p->next_seq = s->first_seq + s->count;
	p->seen_size = s->seen_size;
	m->out->entries += s->count;
	m->out->last_wall_ns = s->wall_ns;
	return 0;
}

static int seal_add(struct mirror *m, const uint8_t *p, size_t n)
{
	uint64_t at = m->tree.size;
	struct digest leaf;
	struct seal s;
	int rc = seal_decode(&s, p, n);

	if (rc != 0)
		return seal_wrong(m, at, err_text(rc));
	rc = seal_rules(m, &s, at);
	if (rc != 0)
		return rc;
	seal_leaf(&leaf, p, n);
	place_of(m, s.mount_no)->last = leaf;
	merkle_frontier_append(&m->tree, &leaf, keep, m);
	return m->level[0].bad ? -ENOMEM : 0;
}

/* Tries the tile at this size, then the full one that may have replaced it. */
static int load_tile(struct mirror *m, const struct tile *t)
{
	char path[TILE_PATH_MAX];
	struct tile full = *t;
	struct errmsg none = ERRMSG_INIT;
	struct errmsg *em = m->em;
	int rc;

	tile_path(path, t);
	if (t->width == TILE_WIDTH)
		return load(m, path);
	m->em = &none;
	rc = load(m, path);
	m->em = em;
	if (rc != -ENOENT)
		return rc == 0 ? 0 : errmsg_set(em, rc, "%s", none.text);
	full.width = TILE_WIDTH;
	tile_path(path, &full);
	return load(m, path);
}

static int bundle_add(struct mirror *m, const struct tile *t)
{
	const uint8_t *p;
	size_t left;
	int rc = load_tile(m, t);

	if (rc != 0)
		return rc;
	p = m->file.p;
	left = m->file.n;
	for (unsigned i = 0; i < t->width; i++) {
		const uint8_t *leaf = NULL;
		size_t n = 0;

		rc = tile_bundle_next(&p, &left, &leaf, &n);
		if (rc <= 0)
			return errmsg_set(m->em, -ERR_FORMAT,
					  "bundle %llu ends early",
					  (unsigned long long)t->n);
		rc = seal_add(m, leaf, n);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int hashes_compare(struct mirror *m, const struct tile *t)
{
	struct buf autocall(buf_release) want = BUF_INIT;
	char path[TILE_PATH_MAX];
	int rc = load_tile(m, t);

	if (rc == 0)
		rc = tile_hashes(&want, t, read_kept, m);
	if (rc != 0)
		return rc;
	m->out->tiles++;
	if (m->file.n >= want.n && memcmp(m->file.p, want.p, want.n) == 0)
		return 0;
	tile_path(path, t);
	return errmsg_set(m->em, -ERR_HASH,
			  "%s: not the hashes of the log's seals", path);
}

static int on_bundle(void *ctx, const struct tile *t)
{
	return t->level == TILE_ENTRIES ? bundle_add(ctx, t) : 0;
}

static int on_hashes(void *ctx, const struct tile *t)
{
	return t->level == TILE_ENTRIES ? 0 : hashes_compare(ctx, t);
}

static int check_all(struct mirror *m, const struct trust *t)
{
	struct checkpoint *c = &m->out->checkpoint;
	struct digest root;
	int rc = load(m, "checkpoint");

	if (rc != 0)
		return rc;
	rc = checkpoint_open(c, m->file.p, m->file.n, t->logs, t->n_logs);
	if (rc != 0)
		return errmsg_set(m->em, rc, "checkpoint: %s", err_text(rc));
	m->size = c->size;
	rc = tile_walk(0, m->size, on_bundle, m);
	if (rc != 0)
		return rc;
	m->out->seals = m->tree.size;
	merkle_frontier_root(&root, &m->tree);
	if (!digest_eq(&root, &c->root))
		return errmsg_set(m->em, -ERR_HASH,
				  "the seals do not hash to the "
				  "checkpoint's root");
	return tile_walk(0, m->size, on_hashes, m);
}

int mirror_check(struct mirror_report *out, mirror_load_fn *load_fn, void *ctx,
		 const struct trust *t, struct errmsg *em)
{
	struct mirror autocall(mirror_release)
		m = { .out = out, .load = load_fn, .ctx = ctx, .em = em };

	memset(out, 0, sizeof(*out));
	merkle_frontier_init(&m.tree);
	m.mounts = calloc(MOUNTS_MAX, sizeof(*m.mounts));
	if (m.mounts == NULL)
		return -ENOMEM;
	return check_all(&m, t);
}
