/*
 * model_content.c - see model_content.h.  One thread per model.
 */
#include "tests/sim/model_content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "fs/content/chunker.h"
#include "fs/content/content.h"
#include "fs/content/dirty.h"
#include "fs/store/store.h"
#include "fs/content/tree.h"

#define must(m, cond)                                 \
	do {                                          \
		if (!(cond))                          \
			differ((m), #cond, __LINE__); \
	} while (0)

static void differ(const struct model_content *m, const char *what, int line)
{
	fprintf(stderr,
		"model_content: line %d: %s (SEED=0x%llx, operation %llu)\n",
		line, what, m ? (unsigned long long)m->prng->seed : 0ULL,
		m ? (unsigned long long)m->ops : 0ULL);
	abort();
}

static int no_sink(void *ctx, const struct digest *id, const void *p, size_t n)
{
	(void)ctx;
	(void)id;
	(void)p;
	(void)n;
	return 0;
}

void model_content_root(struct digest *out, const uint8_t *p, size_t n)
{
	const struct tree_sink sink = { .write = no_sink };
	struct tree_builder *b = NULL;
	struct chunker ck = { .off = 0 };
	struct chunker_cut cut = { .off = 0 };
	uint64_t size = 0;

	must(NULL, tree_builder_open(&b, &sink) == 0);
	chunker_init(&ck, 0);
	for (size_t at = 0; at < n; at += cut.len) {
		struct tree_ref ref = { .len = 0 };

		must(NULL, chunker_next(&ck, &cut, p + at, n - at, true));
		ref.len = cut.len;
		ref.hole = cut.hole;
		if (!cut.hole)
			digest_blake3(&ref.id, p + at, cut.len);
		must(NULL, tree_builder_put(b, &ref) == 0);
	}
	must(NULL, tree_builder_finish(b, out, &size) == 0 && size == n);
	tree_builder_close(b);
}

void model_content_fill(struct prng *prng, uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t part = prng_range(prng, 1, 3 * CHUNKER_BLOCK);

		if (part > n)
			part = n;
		switch (prng_below(prng, 4)) {
		case 0:
			memset(p, 0, part);
			break;
		case 1:
			memset(p, (int)prng_range(prng, 1, 255), part);
			break;
		default:
			prng_bytes(prng, p, part);
		}
		p += part;
		n -= part;
	}
}

void model_content_open(struct model_content *m, struct content_pool *p,
			struct store *s, struct prng *prng, size_t max)
{
	*m = (struct model_content){
		.pool = p, .store = s, .prng = prng, .max = max
	};
	m->p = calloc(1, max);
	m->saved = calloc(1, max);
	must(m, m->p && m->saved);
	must(m, content_open(&m->content, p, &digest_zero, 0) == 0);
}

void model_content_close(struct model_content *m)
{
	content_close(m->content);
	free(m->p);
	free(m->saved);
	free(m->row);
	*m = (struct model_content){ .content = NULL };
}

/* --- changes --- */

static void grown(struct model_content *m, size_t end)
{
	if (m->n < end)
		m->n = end;
}

/* As a request that was received into a buffer of the pool. */
static int write_spare(struct model_content *m, size_t off, const uint8_t *p,
		       size_t n, bool append, uint64_t *out_at)
{
	struct content_pool *pool = m->pool;
	struct dirty_buf *b = content_pool_spare(pool);
	int rc;

	must(m, b);
	memcpy(b->p, p, n);
	rc = content_write_spare(m->content, &b, n, off, append, 1, out_at);
	if (b)
		memset(b->p, 0xee, n); /* the next request */
	content_pool_unspare(pool, b);
	return rc;
}

void model_content_write(struct model_content *m, size_t off, const uint8_t *p,
			 size_t n, bool append)
{
	uint64_t at = 0;

	if (n > 0 && n <= DIRTY_STREAM && prng_chance(m->prng, 30))
		must(m, write_spare(m, off, p, n, append, &at) == 0);
	else
		must(m,
		     content_write(m->content, p, n, off, append, 1, &at) == 0);
	must(m, at == (append ? m->n : off));
	if (n > 0)
		memcpy(m->p + at, p, n);
	if (n > 0)
		grown(m, at + n);
	m->run = at + n;
}

void model_content_truncate(struct model_content *m, size_t size)
{
	must(m, content_truncate(m->content, size) == 0);
	if (size < m->n)
		memset(m->p + size, 0, m->n - size);
	m->n = size;
}

void model_content_zero(struct model_content *m, size_t off, size_t n,
			bool keep_size)
{
	size_t end = off + n;

	must(m, content_zero(m->content, off, n, keep_size) == 0);
	if (!keep_size && n > 0)
		grown(m, end);
	if (end > m->n)
		end = m->n;
	if (off < end)
		memset(m->p + off, 0, end - off);
}

void model_content_clone(struct model_content *m, size_t off,
			 struct model_content *from, size_t from_off, size_t n)
{
	uint64_t len = 0;

	must(m, content_clone(m->content, off, from->content, from_off, n,
			      &len) == 0);
	if (from_off >= from->n)
		n = 0;
	else if (n > from->n - from_off)
		n = from->n - from_off;
	must(m, len == n);
	memmove(m->p + off, from->p + from_off, n);
	if (n > 0)
		grown(m, off + n);
}

/* --- durability --- */

static void some_change(struct model_content *m);

/* What the commit thread and the settler do with staged chunks. */
static void commit(struct model_content *m, const struct digest *id, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)store_frame(m->store, &id[i]);
	must(m, store_settle(m->store, id, n) == 0);
}

void model_content_save(struct model_content *m)
{
	struct content_saved s = { .extents = NULL };

	must(m, content_save(m->content, &s) == 0);
	must(m, s.size == m->n);
	commit(m, s.staged, s.n_staged);
	if (m->n_row + s.n > m->cap_row) {
		m->cap_row = 2 * (m->n_row + s.n);
		m->row = realloc(m->row, m->cap_row * sizeof(*m->row));
		must(m, m->row);
	}
	if (s.n > 0)
		memcpy(m->row + m->n_row, s.extents, s.n * sizeof(*m->row));
	m->n_row += s.n;
	content_saved_release(&s);
	memcpy(m->saved, m->p, m->max);
	m->saved_n = m->n;
	m->saves++;
}

static void check_ranges(struct model_content *m,
			 const struct content_version *v)
{
	must(m, v->n_ranges <= 8);
	must(m, !v->ranges_are_hull || v->n_ranges == 1);
	for (unsigned i = 0; i < v->n_ranges; i++) {
		must(m, v->ranges[i].lo < v->ranges[i].hi);
		must(m, i == 0 || v->ranges[i - 1].hi < v->ranges[i].lo);
	}
}

/* Blocks with bytes; zeros at the end of a last, longer chunk count, too. */
static void check_allocated(const struct model_content *m, uint64_t allocated)
{
	uint64_t data = 0, tail = 0;

	for (size_t at = 0; at < m->n; at += CHUNKER_BLOCK) {
		size_t n = m->n - at;

		if (n > CHUNKER_BLOCK)
			n = CHUNKER_BLOCK;
		if (!chunker_is_zero(m->p + at, n))
			data += n;
		else if (n < CHUNKER_BLOCK)
			tail = n;
	}
	must(m, allocated == data || allocated == data + tail);
}

void model_content_version(struct model_content *m)
{
	struct content_version v = { .gen = 0 };
	struct digest want = { 0 };
	autofree uint8_t *then = NULL;
	bool more = false;

	must(m, content_version(m->content, &v) == 0);
	must(m, v.size == m->n);
	model_content_root(&want, m->p, m->n);
	must(m, digest_eq(&want, &v.root));
	if (v.has_sha256) {
		digest_sha256(&want, m->p, m->n);
		must(m, digest_eq(&want, &v.sha256));
	}
	check_ranges(m, &v);
	check_allocated(m, v.allocated);
	commit(m, v.staged, v.n_staged);
	then = malloc(m->max);
	must(m, then);
	memcpy(then, m->p, m->max);
	if (m->roomy && prng_chance(m->prng, 40)) { /* writes go on meanwhile */
		for (uint64_t i = prng_range(m->prng, 1, 4); i > 0; i--)
			some_change(m);
		more = true;
	}
	if (prng_chance(m->prng, 90)) {
		struct content_state st = { .dirty = true };

		content_versioned(m->content, v.gen);
		content_state(m->content, &st);
		must(m, more || (!st.dirty && !st.unsaved && st.buffered == 0 &&
				 st.extents == 0));
		m->n_row = 0;
		m->root = v.root;
		m->root_size = v.size;
		m->allocated = v.allocated;
		memcpy(m->saved, then, m->max);
		m->saved_n = v.size;
	}
	content_version_release(&v);
	m->versions++;
}

/* Opens what is durable, as after a crash. */
static void open_durable(struct model_content *m)
{
	must(m,
	     content_open(&m->content, m->pool, &m->root, m->root_size) == 0);
	if (prng_chance(m->prng, 70))
		content_base_allocated(m->content, m->allocated);
	if (m->n_row == 0 && m->saved_n == m->root_size)
		return;
	must(m, content_recover(m->content, m->row, m->n_row) == 0);
	content_recover_size(m->content, m->saved_n);
}

void model_content_crash(struct model_content *m)
{
	content_close(m->content);
	open_durable(m);
	memcpy(m->p, m->saved, m->max);
	m->n = m->saved_n;
	m->crashes++;
}

void model_content_reopen(struct model_content *m)
{
	model_content_save(m);
	model_content_crash(m);
}

/* --- looking --- */

void model_content_read(struct model_content *m, size_t off, size_t n)
{
	autofree uint8_t *buf = malloc(n + 1);
	size_t want = off < m->n ? m->n - off : 0;

	must(m, buf);
	if (want > n)
		want = n;
	must(m, content_read(m->content, buf, n, off) == (ssize_t)want);
	must(m, memcmp(buf, m->p + off, want) == 0);
}

/* Walks over data and holes: a hole must be zeros. */
static void check_holes(struct model_content *m)
{
	uint64_t at = 0;

	while (at < m->n) {
		uint64_t data = 0;
		uint64_t hole = 0;
		int rc = content_seek(m->content, at, false, &data);

		must(m, rc == 0 || rc == -ENXIO);
		if (rc == -ENXIO)
			data = m->n;
		must(m, data >= at && data <= m->n);
		must(m, chunker_is_zero(m->p + at, data - at));
		if (rc == -ENXIO)
			return;
		must(m, content_seek(m->content, data, true, &hole) == 0);
		must(m, hole > data && hole <= m->n);
		at = hole;
	}
}

void model_content_check(struct model_content *m)
{
	must(m, content_size(m->content) == m->n);
	must(m, content_allocated(m->content) <= m->n);
	model_content_read(m, 0, m->n + 1);
	check_holes(m);
}

/* --- at random --- */

/* An offset: near a boundary, at the end, or anywhere; at most max. */
static size_t some_off(struct model_content *m, size_t max)
{
	static const size_t units[] = { 4096, 16384, 65536, 262144 };
	size_t off = prng_below(m->prng, max + 1);
	size_t unit = units[prng_below(m->prng, 4)];

	switch (prng_below(m->prng, 4)) {
	case 0:
		off = off / unit * unit;
		break;
	case 1:
		off = off / unit * unit + prng_below(m->prng, 5);
		off -= off >= 2 ? 2 : 0;
		break;
	case 2:
		off = m->n;
		break;
	default:
		break;
	}
	return off < max ? off : max;
}

static size_t some_len(struct model_content *m, size_t max)
{
	static const size_t lens[] = { 64, 4096, 4097, 20000, 70000, 300000 };
	size_t len = lens[prng_below(m->prng, 6)];

	if (prng_chance(m->prng, 60))
		len = prng_range(m->prng, 1, len);
	return len < max ? len : max;
}

static void some_write(struct model_content *m)
{
	size_t off =
		prng_chance(m->prng, 50) ? m->run : some_off(m, m->max / 2);
	bool append = prng_chance(m->prng, 20);
	size_t n = 0;
	autofree uint8_t *p = NULL;

	if (off > m->max)
		off = 0;
	n = some_len(m, m->max - (append ? m->n : off));
	p = malloc(n + 1);
	must(m, p);
	model_content_fill(m->prng, p, n);
	model_content_write(m, off, p, n, append);
}

/* Many writes in order, as a stream comes. */
static void some_stream(struct model_content *m)
{
	size_t most = prng_chance(m->prng, 25) ? DIRTY_STREAM : 128 << 10;
	size_t n = prng_range(m->prng, 1, most);
	autofree uint8_t *p = malloc(n);

	must(m, p);
	if (m->run >= m->max || prng_chance(m->prng, 20))
		m->run = some_off(m, m->max / 2);
	for (int i = 0; i < 24 && m->run + n <= m->max; i++) {
		model_content_fill(m->prng, p, n);
		model_content_write(m, m->run, p, n, false);
	}
}

/* A write, truncate or zero, at random. */
static void some_change(struct model_content *m)
{
	size_t off = some_off(m, m->max / 2);

	switch (prng_below(m->prng, 5)) {
	case 0:
		model_content_truncate(m, off);
		break;
	case 1:
		model_content_zero(m, off, some_len(m, m->max - off),
				   prng_chance(m->prng, 50));
		break;
	case 2:
		some_stream(m);
		break;
	default:
		some_write(m);
	}
}

static void some_clone(struct model_content *m, struct model_content *from)
{
	size_t from_off = some_off(m, from->n);
	size_t off = some_off(m, m->max / 2);
	size_t n = some_len(m, m->max - off);

	if (prng_chance(m->prng, 20)) {
		from_off = 0;
		off = 0;
		n = m->max;
		if (from != m)
			model_content_truncate(m, 0);
	}
	if (n > from->n)
		n = from->n;
	if (from == m && off < from_off + n && from_off < off + n)
		return;
	model_content_clone(m, off, from, from_off, n);
}

void model_content_step(struct model_content *m, struct model_content *other)
{
	uint64_t what = prng_below(m->prng, 100);
	size_t off = some_off(m, m->max / 2);

	m->ops++;
	if (what < 3)
		some_stream(m);
	else if (what < 50)
		some_write(m);
	else if (what < 55)
		model_content_truncate(m, some_off(m, m->max / 2));
	else if (what < 56)
		model_content_truncate(m, 0);
	else if (what < 62)
		model_content_zero(m, off, some_len(m, m->max - off),
				   prng_chance(m->prng, 50));
	else if (what < 65)
		some_clone(m, other && prng_chance(m->prng, 70) ? other : m);
	else if (what < 90)
		model_content_read(m, off, some_len(m, m->max - off));
	else if (what < 94)
		model_content_save(m);
	else if (what < 97)
		model_content_version(m);
	else if (what < 98)
		model_content_reopen(m);
	else if (what < 99)
		model_content_crash(m);
	else
		model_content_check(m);
}
