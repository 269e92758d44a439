/*
 * wal_segment.c - one file of the WAL: made, headed, filled.
 *
 * A new segment is written full of zeros and flushed, name included, before
 * it is used.  Called by the appender and the releaser; a segment belongs to
 * one of them at a time.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/numbered.h"
#include "ledger/wal_impl.h"

enum { ZEROS_PIECE = 512 << 10 };

void wal_segment_free(struct wal_segment *s)
{
	if (s == NULL)
		return;
	vio_close(s->file);
	free(s->pages);
	free(s);
}

int wal_segment_room(struct wal_segment *s)
{
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 256;
		uint32_t *v = reallocarray(s->pages, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		s->pages = v;
		s->cap = cap;
	}
	return 0;
}

int wal_segment_add(struct wal_segment *s, uint32_t len)
{
	int rc = wal_segment_room(s);

	if (rc < 0)
		return rc;
	s->pages[s->n++] = (uint32_t)(s->end_at / WAL_PAGE);
	s->end_at += wal_pad(len);
	return 0;
}

static void header_encode(uint8_t out[WAL_PAGE], const struct wal *w,
			  const struct wal_segment *s)
{
	struct bwriter b;

	memset(out, 0, WAL_PAGE);
	bwriter_init(&b, out, WAL_HEADER_SIZE);
	bwriter_copy(&b, WAL_MAGIC, 4);
	bwriter_u8(&b, WAL_FORMAT);
	bwriter_copy(&b, "\0\0", 3);
	bwriter_u64(&b, s->sequence);
	bwriter_copy(&b, w->volume_id, 16);
	bwriter_u64(&b, s->epoch);
	bwriter_u64(&b, s->first);
	bwriter_u64(&b, s->bytes);
	bwriter_u64(&b, XXH64(out, WAL_HEADER_SIZE - 8, 0));
	assert(!b.bad && b.n == WAL_HEADER_SIZE);
}

/*
 * In pieces, each begun when the one before is on the disk: whoever has a
 * frame flushed meanwhile waits for one, not for a segment (60 ms).  Not so
 * (`paced` false) where room could not be taken before: there a full disk may
 * be told by what writes the pieces, as a failure that is never soft; at the
 * end, by fdatasync, it is soft.
 */
static int write_zeros(struct vio_file *f, uint64_t n, bool paced)
{
	static const uint8_t zeros[1 << 16];
	uint64_t begun = 0;
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && at < n; at += sizeof(zeros)) {
		size_t k = n - at < sizeof(zeros) ? (size_t)(n - at) :
						    sizeof(zeros);

		rc = vio_pwrite(f, zeros, k, at);
		if (rc < 0 || !paced || at + k < begun + ZEROS_PIECE)
			continue;
		rc = vio_writeback(f, 0, begun, true);
		if (rc == 0)
			rc = vio_writeback(f, begun, at + k - begun, false);
		begun = at + k;
	}
	return rc;
}

/* A new file of zeros.  -ENOSPC leaves nothing behind. */
int wal_segment_make(struct wal *w, struct wal_segment **out)
{
	struct wal_segment *s = calloc(1, sizeof(*s));
	char path[NUMBERED_PATH_MAX];
	bool has_room = true;
	int rc;

	if (s == NULL)
		return -ENOMEM;
	mutex_lock(&w->mu);
	s->number = w->next_number++;
	mutex_unlock(&w->mu);
	if (s->number > NUMBERED_LAST) {
		rc = -ERR_LIMIT;
		goto fail;
	}
	s->bytes = w->segment_bytes;
	numbered_path(path, WAL_DIR, s->number, WAL_SUFFIX);
	rc = vio_open(w->vio, &s->file, path,
		      VIO_WRITE | VIO_CREATE | VIO_TRUNC | VIO_DIRECT);
	if (rc < 0)
		goto fail;
	rc = vio_allocate(s->file, 0, s->bytes);
	if (rc == -ENOTSUP || rc == -EOPNOTSUPP) {
		has_room = false;
		rc = 0;
	}
	if (rc == 0)
		rc = write_zeros(s->file, s->bytes, has_room);
	if (rc == 0)
		rc = vio_fdatasync(s->file);
	if (rc == 0)
		rc = vio_syncdir(w->vio, WAL_DIR);
	if (rc < 0) {
		int ignored = vio_unlink(w->vio, path);

		(void)ignored; /* a file of zeros is a spare segment */
		goto fail;
	}
	*out = s;
	return 0;
fail:
	wal_segment_free(s);
	return rc == -EDQUOT ? -ENOSPC : rc;
}

int wal_segment_write_headers(struct wal *w, struct wal_segment *s)
{
	uint8_t page[2 * WAL_PAGE];

	header_encode(page, w, s);
	memcpy(page + WAL_PAGE, page, WAL_PAGE);
	s->told_bytes = s->bytes;
	return vio_pwrite(s->file, page, sizeof(page), 0);
}
