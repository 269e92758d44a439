/*
 * journal_read.c - finds and reads records of the journal.
 *
 * Sealed segments are opened when they are needed and a few are kept; one
 * that is being read is never closed.  Any thread.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/journal_impl.h"
#include "ledger/numbered.h"
#include "ledger/seal_format.h"

bool journal_cache_locked(struct journal *j, struct journal_file *f)
{
	struct journal_file **slot = NULL;

	for (int i = 0; i < JOURNAL_OPEN_MAX; i++) {
		struct journal_file *o = j->open[i];

		if (o == NULL) {
			slot = &j->open[i];
			break;
		}
		if (o->readers == 0 &&
		    (slot == NULL || o->used < (*slot)->used))
			slot = &j->open[i];
	}
	if (slot == NULL)
		return false; /* all pinned: its own reader closes it */
	journal_file_free(*slot);
	f->used = ++j->clock;
	*slot = f;
	return true;
}

/* Number of the segment that holds index < end. */
static uint32_t find_locked(const struct journal *j, uint64_t index)
{
	uint32_t lo = 0, hi = j->n;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (j->firsts[mid] <= index)
			lo = mid;
		else
			hi = mid;
	}
	return lo + 1;
}

static struct journal_file *open_locked(struct journal *j, uint32_t number)
{
	if (j->active != NULL && j->active->number == number)
		return j->active;
	for (int i = 0; i < JOURNAL_OPEN_MAX; i++)
		if (j->open[i] != NULL && j->open[i]->number == number)
			return j->open[i];
	return NULL;
}

int journal_pin(struct journal *j, struct journal_file **out, uint64_t index,
		uint64_t *out_at, uint64_t *out_end)
{
	struct journal_file *f;
	uint32_t number;
	int rc;

	*out_at = 0;
	mutex_lock(&j->mu);
	if (index >= j->end) {
		mutex_unlock(&j->mu);
		return -ENOENT;
	}
	number = find_locked(j, index);
	f = open_locked(j, number);
	if (f != NULL) {
		f->readers++;
		f->used = ++j->clock;
	}
	if (f != NULL && f == j->active) {
		uint64_t k = index - f->first;

		*out_at = j->offsets[k];
		*out_end = k + 1 < j->n_offsets ? j->offsets[k + 1] : j->end_at;
	}
	mutex_unlock(&j->mu);
	if (f == NULL) {
		rc = journal_scan_header(j, &f, number, VIO_READ, NULL);
		if (rc < 0)
			return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
		f->readers = 1;
		mutex_lock(&j->mu);
		if (open_locked(j, number) == NULL)
			(void)journal_cache_locked(j, f);
		mutex_unlock(&j->mu);
	}
	*out = f;
	return 0;
}

void journal_unpin(struct journal *j, struct journal_file *f)
{
	bool kept = false;

	mutex_lock(&j->mu);
	assert(f->readers > 0);
	f->readers--;
	kept = f->readers > 0 || open_locked(j, f->number) == f;
	mutex_unlock(&j->mu);
	if (!kept)
		journal_file_free(f);
}

/* Where record `index` lies, from the segment's footer. */
static int locate(struct journal *j, struct journal_file *f, uint64_t index,
		  uint64_t *out_at, uint64_t *out_end)
{
	uint64_t count, k = index - f->first, footer;
	uint8_t p[8];
	struct breader r;
	int rc;

	mutex_lock(&j->mu);
	count = journal_count_locked(j, f->number);
	mutex_unlock(&j->mu);
	if (journal_footer_size(count) + JOURNAL_HEADER_SIZE > f->size)
		return -ERR_CORRUPT;
	footer = f->size - journal_footer_size(count);
	rc = vio_pread_full(f->file, p, sizeof(p),
			    footer + JOURNAL_FOOTER_HEAD + 4 * k);
	if (rc < 0)
		return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
	breader_init(&r, p, sizeof(p));
	*out_at = breader_u32(&r);
	*out_end = k + 1 < count ? breader_u32(&r) : footer;
	if (*out_at < JOURNAL_HEADER_SIZE || *out_end <= *out_at ||
	    *out_end > footer || *out_end - *out_at > LIMIT_FRAME)
		return -ERR_CORRUPT;
	return 0;
}

/* Reads at most `most` bytes of the record into out. */
static int read_bytes(struct journal *j, struct buf *out, uint64_t *out_epoch,
		      uint64_t index, size_t most)
{
	struct journal_file *f = NULL;
	uint64_t at = 0, end = 0;
	uint8_t *p;
	size_t n;
	int rc = journal_pin(j, &f, index, &at, &end);

	if (rc < 0)
		return rc;
	*out_epoch = f->epoch;
	if (at == 0)
		rc = locate(j, f, index, &at, &end);
	if (rc < 0)
		goto done;
	n = end - at < most ? (size_t)(end - at) : most;
	buf_clear(out);
	p = buf_grow(out, n);
	rc = p == NULL ? -ENOMEM : vio_pread_full(f->file, p, n, at);
done:
	journal_unpin(j, f);
	return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
}

int journal_read(struct journal *j, struct buf *out, struct frame *f,
		 uint64_t index)
{
	uint64_t epoch = 0;
	int rc = read_bytes(j, out, &epoch, index, LIMIT_FRAME);

	if (rc == 0)
		rc = frame_decode(f, out->p, out->n, epoch, FRAME_RECORD);
	if (rc == 0 && (f->index != index || f->len != out->n))
		rc = -ERR_CORRUPT;
	return rc;
}

int journal_read_seal(struct journal *j, struct buf *out,
		      const uint8_t **out_seal, uint32_t *out_n, uint64_t index)
{
	uint64_t epoch = 0;
	int rc = read_bytes(j, out, &epoch, index,
			    FRAME_HEAD_SIZE + 2 + SEAL_SIZE_MAX);

	if (rc < 0)
		return rc;
	return frame_peek_seal(out_seal, out_n, out->p, out->n, index);
}

int journal_objects(struct journal *j, uint32_t from, journal_object_fn *fn,
		    void *ctx)
{
	char path[NUMBERED_PATH_MAX];
	struct vio_stat st;
	uint64_t size;
	int rc = 0;

	for (uint32_t i = from > 0 ? from : 1; rc == 0; i++) {
		mutex_lock(&j->mu);
		if (i > j->n) {
			mutex_unlock(&j->mu);
			break;
		}
		size = j->active != NULL && j->active->number == i ?
			       j->durable_at :
			       0;
		mutex_unlock(&j->mu);
		numbered_path(path, JOURNAL_DIR, i, JOURNAL_SUFFIX);
		if (size == 0) {
			rc = vio_stat(j->vio, path, &st);
			size = st.size;
		}
		if (rc == 0)
			rc = fn(ctx, i, path, size);
	}
	return rc;
}
