/*
 * ptable_log.c - batches of puts and deletes; see ptable_log.h.
 *
 * Invariants:
 *  1. A batch is valid only with the right log id, the next number and its
 *     checksum: neither old bytes nor a batch after a hole are taken.
 *  2. The first batch is durable before a manifest names the log, so a log
 *     without one is damaged.
 * The caller serialises.
 */
#include "base/ptable_log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/ptable_format.h"
#include "base/vio.h"

enum { HASH_AT = PTABLE_BATCH_HEADER - 8 };

static void log_name(char out[LIMIT_PATH + 1], const char *path, uint64_t id)
{
	snprintf(out, LIMIT_PATH + 1, "%s.log-%016llx", path,
		 (unsigned long long)id);
}

int ptable_log_create(struct ptable_log *out, struct vio *v, const char *path,
		      uint64_t id)
{
	char name[LIMIT_PATH + 1];

	memset(out, 0, sizeof(*out));
	log_name(name, path, id);
	out->id = id;
	return vio_open(v, &out->file, name, VIO_WRITE | VIO_CREATE | VIO_EXCL);
}

void ptable_log_close(struct ptable_log *l)
{
	vio_close(l->file);
	l->file = NULL;
}

static uint64_t batch_hash(const uint8_t *p, size_t n, uint64_t id)
{
	/* The hash of the body goes into the hash of the header. */
	uint64_t body =
		XXH64(p + PTABLE_BATCH_HEADER, n - PTABLE_BATCH_HEADER, id);

	return XXH64(p, HASH_AT, body);
}

int ptable_log_append(struct ptable_log *l, const struct ptable_rec *v,
		      size_t n, const uint64_t mark[PTABLE_MARKS])
{
	struct buf b = BUF_INIT;
	struct bwriter hash;
	uint8_t *bits;
	int rc = -ENOMEM;

	assert(l->file != NULL && n <= UINT32_MAX);
	buf_u32(&b, PTABLE_LOG_MAGIC);
	buf_u32(&b, (uint32_t)n);
	buf_u64(&b, l->id);
	buf_u64(&b, l->seq);
	for (int i = 0; i < PTABLE_MARKS; i++)
		buf_u64(&b, mark[i]);
	buf_u64(&b, 0);
	for (size_t i = 0; i < n; i++) {
		buf_u64(&b, v[i].key);
		buf_u64(&b, v[i].value);
	}
	bits = buf_grow(&b, (n + 7) / 8);
	if (bits != NULL && n > 0)
		memset(bits, 0, (n + 7) / 8);
	for (size_t i = 0; bits != NULL && i < n; i++)
		if (v[i].gone)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	if (!b.bad) {
		bwriter_init(&hash, b.p + HASH_AT, 8);
		bwriter_u64(&hash, batch_hash(b.p, b.n, l->id));
		rc = vio_pwrite(l->file, b.p, b.n, l->size);
	}
	if (rc == 0)
		rc = vio_fdatasync(l->file);
	if (rc == 0) {
		l->size += b.n;
		l->seq++;
	}
	buf_release(&b);
	return rc;
}

/* Applies the batch at the start of p; its size, 0 when it is not valid. */
static ssize_t batch_apply(const struct ptable_log *l, const uint8_t *p,
			   size_t left, struct ptable_mem *mem,
			   uint64_t mark[PTABLE_MARKS])
{
	const uint8_t *bits;
	struct breader r;
	uint64_t words[PTABLE_MARKS];
	uint64_t hash;
	size_t size;
	size_t n;

	breader_init(&r, p, left);
	if (breader_u32(&r) != PTABLE_LOG_MAGIC)
		return 0;
	n = breader_u32(&r);
	if (breader_u64(&r) != l->id || breader_u64(&r) != l->seq)
		return 0;
	for (int i = 0; i < PTABLE_MARKS; i++)
		words[i] = breader_u64(&r);
	hash = breader_u64(&r);
	size = PTABLE_BATCH_HEADER + n * PTABLE_REC + (n + 7) / 8;
	if (r.bad || size > left || hash != batch_hash(p, size, l->id))
		return 0;
	bits = p + PTABLE_BATCH_HEADER + n * PTABLE_REC;
	for (size_t i = 0; i < n; i++) {
		struct ptable_rec rec = { .key = breader_u64(&r) };
		int rc;

		rec.value = breader_u64(&r);
		rec.gone = (bits[i / 8] & 1u << i % 8) != 0;
		rc = ptable_mem_set(mem, &rec);
		if (rc < 0)
			return rc;
	}
	memcpy(mark, words, sizeof(words));
	return (ssize_t)size;
}

int ptable_log_replay(struct ptable_log *out, struct vio *v, const char *path,
		      uint64_t id, struct ptable_mem *mem,
		      uint64_t mark[PTABLE_MARKS], bool *out_torn)
{
	struct ptable_log l = { .id = id };
	autofree uint8_t *p = NULL;
	char name[LIMIT_PATH + 1];
	struct vio_stat st;
	ssize_t n = 0;
	int rc;

	log_name(name, path, id);
	rc = vio_open(v, &l.file, name, VIO_WRITE);
	if (rc < 0)
		return rc == -ENOENT ? -ERR_CORRUPT : rc;
	rc = vio_fstat(l.file, &st);
	if (rc < 0)
		goto fail;
	rc = -ENOMEM;
	if (st.size >= SIZE_MAX)
		goto fail;
	p = malloc((size_t)st.size + 1);
	if (p == NULL)
		goto fail;
	n = vio_pread(l.file, p, (size_t)st.size, 0);
	rc = (int)(n < 0 ? n : 0);
	if (rc < 0)
		goto fail;
	st.size = (uint64_t)n;
	while (l.size < st.size) {
		n = batch_apply(&l, p + l.size, (size_t)(st.size - l.size), mem,
				mark);
		rc = (int)(n < 0 ? n : 0);
		if (rc < 0)
			goto fail;
		if (n == 0)
			break;
		l.size += (uint64_t)n;
		l.seq++;
	}
	rc = -ERR_CORRUPT;
	if (l.seq == 0)
		goto fail;
	*out_torn = l.size != st.size;
	*out = l;
	return 0;
fail:
	vio_close(l.file);
	return rc;
}
