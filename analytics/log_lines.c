/*
 * log_lines.c - the table of blocks behind /audit/log.jsonl.
 *
 * Invariants: (1) blocks are ascending and without gaps; block i ends where
 * block i + 1 starts, the last one at (next_seal, end).  (2) Lines never
 * change, so neither do offsets.  (3) A table read from the cache is used only
 * when its log root is the log's root at its size.
 *
 * Lock: `mu` is held while new seals are rendered, so that two readers do not
 * render them twice; nobody else takes it.
 */
#include "analytics/log_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "analytics/line.h"
#include "analytics/provider_internal.h"
#include "base/atomic_file.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/ledger.h"

enum { BLOCK_SEALS = 64, BLOCK_BYTES = 256 << 10, CACHE_MAX = 64 << 20 };
#define CACHE_PATH "cache/log-lines"
#define CACHE_MAGIC "VLL1"

struct block {
	uint64_t seal, off;
};

struct log_lines {
	struct provider *p;
	struct mutex mu;
	struct block *v; /* guarded by mu, and all below */
	size_t n, cap;
	uint64_t next_seal; /* first one that is not in the table */
	uint64_t end;	    /* bytes */
};

/* Seals that are durable and in the index. */
static int seals_ready(struct log_lines *g, uint64_t *out)
{
	uint64_t durable = ledger_size(core_ledger(g->p->core));
	int rc = provider_position(g->p, out);

	if (rc >= 0 && *out > durable)
		*out = durable;
	return rc;
}

static int add_block(struct log_lines *g, uint64_t seal, uint64_t off)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 256;
		struct block *v = realloc(g->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		g->v = v;
		g->cap = cap;
	}
	g->v[g->n++] = (struct block){ seal, off };
	return 0;
}

static int extend_locked(struct log_lines *g, struct idx_reader *r,
			 uint64_t until, uint64_t max_bytes)
{
	struct buf text = BUF_INIT;
	uint64_t start = g->end;
	int rc = 0;

	while (g->next_seal < until && g->end - start < max_bytes && rc >= 0) {
		const struct block *last = g->n ? &g->v[g->n - 1] : NULL;

		if (!last || g->next_seal - last->seal >= BLOCK_SEALS ||
		    g->end - last->off >= BLOCK_BYTES)
			rc = add_block(g, g->next_seal, g->end);
		buf_clear(&text);
		if (rc >= 0)
			rc = line_seal(g->p->core, r, &text, g->next_seal);
		if (rc >= 0) {
			g->end += text.n;
			g->next_seal++;
		}
	}
	buf_release(&text);
	return rc;
}

int log_lines_extend(struct log_lines *g, uint64_t max_bytes,
		     uint64_t *out_size)
{
	struct idx_reader *r = NULL;
	uint64_t ready = 0;
	int rc = seals_ready(g, &ready);

	mutex_lock(&g->mu);
	if (rc >= 0 && g->next_seal < ready) {
		rc = core_reader_take(g->p->core, &r);
		if (rc >= 0)
			rc = extend_locked(g, r, ready, max_bytes);
		core_reader_give(g->p->core, r);
	}
	*out_size = g->end;
	mutex_unlock(&g->mu);
	return rc < 0 ? rc : 0;
}

/* --- reading --- */

/* The block that holds byte off, and where it ends.  false: beyond the end. */
static bool find_block(struct log_lines *g, uint64_t off, struct block *out,
		       uint64_t *out_until)
{
	size_t lo = 0, hi;
	bool found;

	mutex_lock(&g->mu);
	found = off < g->end;
	hi = g->n;
	while (found && hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (g->v[mid].off <= off)
			lo = mid;
		else
			hi = mid;
	}
	if (found) {
		*out = g->v[lo];
		*out_until = lo + 1 < g->n ? g->v[lo + 1].seal : g->next_seal;
	}
	mutex_unlock(&g->mu);
	return found;
}

/* Makes the cursor hold the block. */
static int fill_cursor(struct log_lines *g, struct log_cursor *c,
		       const struct block *b, uint64_t until)
{
	struct idx_reader *r = NULL;
	int rc = 0;

	if (!c->text.p || c->from != b->seal || c->until > until) {
		buf_clear(&c->text);
		c->from = c->until = b->seal;
		c->off = b->off;
	}
	if (c->until == until)
		return 0;
	rc = core_reader_take(g->p->core, &r);
	while (rc >= 0 && c->until < until) {
		rc = line_seal(g->p->core, r, &c->text, c->until);
		if (rc >= 0)
			c->until++;
	}
	core_reader_give(g->p->core, r);
	if (rc < 0) { /* half a seal may be there */
		buf_release(&c->text);
		c->from = c->until = 0;
	}
	return rc;
}

ssize_t log_lines_read(struct log_lines *g, struct log_cursor *c, void *p,
		       size_t n, uint64_t off)
{
	uint8_t *to = p;
	size_t done = 0;

	while (done < n) {
		struct block b;
		uint64_t until = 0;
		size_t at, take_n;
		int rc;

		if (!find_block(g, off + done, &b, &until))
			break;
		rc = fill_cursor(g, c, &b, until);
		if (rc < 0)
			return rc;
		at = (size_t)(off + done - c->off);
		if (at >= c->text.n)
			return -ERR_CORRUPT;
		take_n = c->text.n - at < n - done ? c->text.n - at : n - done;
		memcpy(to + done, c->text.p + at, take_n);
		done += take_n;
	}
	return (ssize_t)done;
}

/* --- between mounts --- */

/*
 * "VLL1", u64 seals, 32 log root there, u64 bytes, u64 n, n * (u64 seal,
 * u64 offset), u64 xxh64 of all before.
 */
static void save(struct log_lines *g)
{
	struct buf b = BUF_INIT;
	struct vio *v = NULL;
	struct digest root;

	if (core_options_of(g->p->core)->vio ||
	    core_options_of(g->p->core)->read_only || !g->n ||
	    ledger_root_at(core_ledger(g->p->core), g->next_seal, &root) < 0)
		return;
	buf_add(&b, CACHE_MAGIC, 4);
	buf_u64(&b, g->next_seal);
	buf_add(&b, root.b, sizeof(root.b));
	buf_u64(&b, g->end);
	buf_u64(&b, g->n);
	for (size_t i = 0; i < g->n; i++) {
		buf_u64(&b, g->v[i].seal);
		buf_u64(&b, g->v[i].off);
	}
	if (!b.bad)
		buf_u64(&b, XXH64(b.p, b.n, 0));
	if (!b.bad && b.n <= CACHE_MAX &&
	    vio_posix_open(&v, core_store_dir(g->p->core)) >= 0) {
		if (vio_mkdirs(v, "cache") >= 0 &&
		    atomic_file_write(v, CACHE_PATH, b.p, b.n, VIO_PRIVATE) < 0)
			(void)!vio_unlink(v, CACHE_PATH);
	}
	vio_free(v);
	buf_release(&b);
}

static int parse(struct log_lines *g, const struct buf *b)
{
	struct breader in;
	struct digest root, now;
	uint64_t n;
	int rc = -ERR_FORMAT;

	if (b->n < 68 || memcmp(b->p, CACHE_MAGIC, 4) != 0)
		return rc;
	breader_init(&in, b->p + 4, b->n - 4);
	g->next_seal = breader_u64(&in);
	breader_copy(&in, root.b, sizeof(root.b));
	g->end = breader_u64(&in);
	n = breader_u64(&in);
	if (n == 0 || n != (b->n - 68) / 16 || (b->n - 68) % 16 != 0)
		return rc;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t seal = breader_u64(&in), off = breader_u64(&in);

		rc = add_block(g, seal, off);
		if (rc < 0)
			return rc;
		if (i ? seal <= g->v[i - 1].seal || off < g->v[i - 1].off :
			seal || off)
			return -ERR_FORMAT;
	}
	if (breader_u64(&in) != XXH64(b->p, b->n - 8, 0) ||
	    g->v[n - 1].seal >= g->next_seal || g->v[n - 1].off > g->end)
		return -ERR_FORMAT;
	rc = ledger_root_at(core_ledger(g->p->core), g->next_seal, &now);
	return rc < 0 ? rc : digest_eq(&root, &now) ? 0 : -ERR_FORMAT;
}

static void load(struct log_lines *g)
{
	struct buf b = BUF_INIT;
	struct vio *v = NULL;

	if (core_options_of(g->p->core)->vio ||
	    vio_posix_open(&v, core_store_dir(g->p->core)) < 0)
		return;
	if (vio_read_file(v, &b, CACHE_PATH, CACHE_MAX) < 0 ||
	    parse(g, &b) < 0) {
		g->n = 0;
		g->next_seal = g->end = 0;
	}
	vio_free(v);
	buf_release(&b);
}

int log_lines_open(struct log_lines **out, struct provider *p)
{
	struct log_lines *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->p = p;
	mutex_init(&g->mu);
	load(g);
	*out = g;
	return 0;
}

void log_lines_close(struct log_lines *g)
{
	if (!g)
		return;
	save(g);
	mutex_destroy(&g->mu);
	free(g->v);
	free(g);
}
