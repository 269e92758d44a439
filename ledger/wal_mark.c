/*
 * wal_mark.c - see wal_mark.h: the mark's bytes, and when they change.
 *
 * Invariants:
 *  1. The header of the segment that the mark names is durable before the
 *     mark is; the mark before the first frame of that segment.
 *  2. That segment is neither deleted nor used again while the mark names it.
 *  3. One page is flushed before the other is written: a crash harms one.
 *
 * Threads: the appender sets it; wal.mu guards the copy in memory, which is
 * changed when the file has it.
 */
#include "ledger/wal_mark.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/numbered.h"
#include "ledger/wal_impl.h"

enum { HEAD = 64, FORMAT = 1, END_AT = 2 * WAL_MARK_PAGE, END_HEAD = 40 };
#define MAGIC "VWM1"
#define MAGIC_END "VWME"

/* --- bytes --- */

void wal_mark_encode(uint8_t out[WAL_MARK_PAGE], const struct wal_mark *m)
{
	struct bwriter b;

	memset(out, 0, WAL_MARK_PAGE);
	bwriter_init(&b, out, HEAD);
	bwriter_copy(&b, MAGIC, 4);
	bwriter_u8(&b, FORMAT);
	bwriter_u8(&b, m->in_use);
	bwriter_u16(&b, 0);
	bwriter_u64(&b, m->count);
	bwriter_copy(&b, m->volume_id, 16);
	bwriter_u64(&b, m->sequence);
	bwriter_u64(&b, m->first);
	bwriter_u32(&b, m->number);
	bwriter_u32(&b, 0);
	bwriter_u64(&b, XXH64(out, HEAD - 8, 0));
}

int wal_mark_decode(struct wal_mark *out, const uint8_t p[WAL_MARK_PAGE])
{
	uint8_t again[WAL_MARK_PAGE], magic[4];
	struct breader r;
	uint8_t format;

	memset(out, 0, sizeof(*out));
	breader_init(&r, p, HEAD);
	breader_copy(&r, magic, 4);
	format = breader_u8(&r);
	out->in_use = breader_u8(&r) != 0;
	breader_u16(&r);
	out->count = breader_u64(&r);
	breader_copy(&r, out->volume_id, 16);
	out->sequence = breader_u64(&r);
	out->first = breader_u64(&r);
	out->number = breader_u32(&r);
	breader_u32(&r);
	if (memcmp(magic, MAGIC, 4) != 0 ||
	    breader_u64(&r) != XXH64(p, HEAD - 8, 0))
		return -ERR_FORMAT;
	if (format > FORMAT)
		return -ERR_NEWER;
	wal_mark_encode(again, out);
	return memcmp(again, p, sizeof(again)) == 0 ? 0 : -ERR_FORMAT;
}

void wal_mark_end_encode(uint8_t out[WAL_MARK_PAGE],
			 const uint8_t volume_id[16], uint64_t end)
{
	struct bwriter b;

	memset(out, 0, WAL_MARK_PAGE);
	bwriter_init(&b, out, END_HEAD);
	bwriter_copy(&b, MAGIC_END, 4);
	bwriter_u32(&b, 0);
	bwriter_u64(&b, end);
	bwriter_copy(&b, volume_id, 16);
	bwriter_u64(&b, XXH64(out, END_HEAD - 8, 0));
}

uint64_t wal_mark_end_decode(const uint8_t p[WAL_MARK_PAGE],
			     const uint8_t volume_id[16])
{
	uint8_t again[WAL_MARK_PAGE];
	struct breader r;
	uint64_t end;

	breader_init(&r, p + 8, 8);
	end = breader_u64(&r);
	wal_mark_end_encode(again, volume_id, end);
	return memcmp(again, p, sizeof(again)) == 0 ? end : 0;
}

/* --- the file --- */

int wal_mark_read(struct wal_mark *out, enum wal_mark_state *out_state,
		  struct vio *vio, const uint8_t volume_id[16])
{
	struct buf bytes = BUF_INIT;
	struct wal_mark m;
	unsigned good = 0;
	int rc = vio_read_file(vio, &bytes, WAL_MARK, WAL_MARK_SIZE);

	memset(out, 0, sizeof(*out));
	*out_state = WAL_MARK_NONE;
	if (rc == -ENOENT)
		return 0;
	if (rc == -ERR_LIMIT)
		rc = 0;
	for (size_t at = 0; rc == 0 && bytes.n == WAL_MARK_SIZE && at < END_AT;
	     at += WAL_MARK_PAGE) {
		int bad = wal_mark_decode(&m, bytes.p + at);

		if (bad == -ERR_NEWER)
			rc = bad;
		if (bad < 0 || memcmp(m.volume_id, volume_id, 16) != 0)
			continue;
		if (good++ == 0 || m.count > out->count)
			*out = m;
	}
	if (good > 0)
		out->end = wal_mark_end_decode(bytes.p + END_AT, volume_id);
	*out_state = good == 2 ? WAL_MARK_WHOLE :
		     good == 1 ? WAL_MARK_HALF :
				 WAL_MARK_DAMAGED;
	buf_release(&bytes);
	return rc;
}

int wal_mark_forget(struct vio *vio, const uint8_t volume_id[16])
{
	struct wal_mark m = { .in_use = false };
	uint8_t pages[WAL_MARK_SIZE];

	memcpy(m.volume_id, volume_id, 16);
	wal_mark_encode(pages, &m);
	memcpy(pages + WAL_MARK_PAGE, pages, WAL_MARK_PAGE);
	wal_mark_end_encode(pages + END_AT, volume_id, 0);
	return atomic_file_write(vio, WAL_MARK, pages, sizeof(pages), 0);
}

static int write_mark(struct wal *w, struct wal_mark *m)
{
	uint8_t page[WAL_MARK_PAGE];
	int rc = 0;

	m->count = w->mark.count + 1;
	memcpy(m->volume_id, w->volume_id, 16);
	wal_mark_encode(page, m);
	for (uint64_t at = 0; rc == 0 && at < END_AT; at += WAL_MARK_PAGE)
		rc = vio_write_through(w->mark_file, page, sizeof(page), at);
	if (rc < 0)
		return rc == -ENOSPC || rc == -EDQUOT ? -EIO : rc;
	m->end = w->mark.end;
	mutex_lock(&w->mu);
	w->mark = *m;
	w->mark_state = WAL_MARK_WHOLE;
	mutex_unlock(&w->mu);
	return 0;
}

/* --- of an open WAL --- */

/* What was given up (a fork) must not be missed again. */
static int lower_end(struct wal *w, uint64_t end)
{
	uint8_t page[WAL_MARK_PAGE];

	if (w->mark_file == NULL || w->mark.end <= end)
		return 0;
	wal_mark_end_encode(page, w->volume_id, end);
	w->mark.end = end;
	return vio_write_through(w->mark_file, page, sizeof(page), END_AT);
}

int wal_mark_start(struct wal *w, uint64_t next)
{
	int rc = 0;

	if (w->mark_state == WAL_MARK_NONE ||
	    w->mark_state == WAL_MARK_DAMAGED) {
		rc = vio_mkdirs(w->vio, "ledger");
		if (rc == 0)
			rc = wal_mark_forget(w->vio, w->volume_id);
		if (rc == -ENOSPC || rc == -EDQUOT)
			return 0; /* goes on without, until there is room */
	}
	if (rc == 0)
		rc = vio_open(w->vio, &w->mark_file, WAL_MARK, VIO_WRITE);
	return rc < 0 ? rc : lower_end(w, next);
}

int wal_mark_set(struct wal *w, struct wal_segment *s)
{
	struct wal_mark m = {
		.in_use = true,
		.sequence = s->sequence,
		.first = s->first,
		.number = s->number,
	};
	int rc;

	if (w->mark_file == NULL)
		return 0;
	if (w->mark.in_use && w->mark.sequence == s->sequence &&
	    w->mark_state != WAL_MARK_HALF)
		return 0;
	rc = vio_flush(s->file);
	return rc < 0 ? rc : write_mark(w, &m);
}

/*
 * A hint that costs no flush.  Where it cannot be written it says less than
 * it could: no harm, and no failure of what was flushed.
 */
void wal_mark_end(struct wal *w, uint64_t end)
{
	uint8_t page[WAL_MARK_PAGE];
	int ignored;

	if (w->mark_file == NULL)
		return;
	wal_mark_end_encode(page, w->volume_id, end);
	ignored = vio_pwrite(w->mark_file, page, END_HEAD, END_AT);
	(void)ignored;
}

int wal_rest(struct wal *w)
{
	struct wal_mark m = w->mark;

	if (w->mark_file == NULL || !m.in_use)
		return 0;
	m.in_use = false;
	return write_mark(w, &m);
}

uint64_t wal_marked(struct wal *w)
{
	uint64_t sequence;

	mutex_lock(&w->mu);
	sequence = w->mark.in_use ? w->mark.sequence : 0;
	mutex_unlock(&w->mu);
	return sequence;
}

bool wal_was_in_use(const struct wal *w)
{
	return w->was_in_use;
}

uint64_t wal_newest(const struct wal *w)
{
	return w->newest;
}

bool wal_lost(struct wal *w, uint64_t log_end, char *words, size_t cap)
{
	char path[NUMBERED_PATH_MAX];
	const struct wal_segment *s;
	struct vio_stat st;

	if (!w->was_in_use)
		return false;
	if (w->newest < w->mark.sequence) {
		numbered_path(path, WAL_DIR, w->mark.number, WAL_SUFFIX);
		snprintf(words, cap, "%s%s", path,
			 vio_stat(w->vio, path, &st) == 0 ?
				 " has lost its header" :
				 " is gone");
		return true;
	}
	s = w->n_used > 0 ? w->used[w->n_used - 1] : NULL;
	if (s != NULL && s->bytes < s->told_bytes) {
		numbered_path(path, WAL_DIR, s->number, WAL_SUFFIX);
		snprintf(words, cap, "%s was cut to %llu of %llu bytes", path,
			 (unsigned long long)s->bytes,
			 (unsigned long long)s->told_bytes);
		return true;
	}
	if (w->mark.end <= log_end)
		return false;
	snprintf(words, cap, "%llu seals were flushed to wal/",
		 (unsigned long long)w->mark.end);
	return true;
}
