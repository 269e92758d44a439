/*
 * wal.c - the write-ahead log: preallocated segments of frames.
 *
 * Invariants:
 *  1. One frame is written at a time, whole pages only, and flushed before
 *     anybody learns of it and before the next one is begun.
 *  2. A frame never shares a page with another, so that writing one cannot
 *     harm one that was acknowledged.
 *  3. Segments are full of written zeros before they are used: a flush needs
 *     no metadata and -ENOSPC can come only when a segment is made, when
 *     nothing of the frame is written yet.
 *  4. A segment is used again only when all its frames were released; its
 *     new epoch makes the stale ones invalid.  So the last one goes on when
 *     it is full and there is no room for another.
 *  5. The segment written to is named by the mark (wal_mark.c) before its
 *     first frame is written.
 *  6. Segments in `used` are in the order of their sequence, and their
 *     frames are one contiguous run.
 *
 * Threads: see wal.h.  wal.mu is a leaf lock.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/numbered.h"
#include "ledger/wal_impl.h"

int wal_open(struct wal **out, const struct wal_options *o, struct errmsg *em)
{
	struct wal *w = calloc(1, sizeof(*w));
	int rc = 0;

	*out = NULL;
	if (w == NULL)
		return -ENOMEM;
	w->vio = o->vio;
	w->segment_bytes =
		o->segment_bytes ? o->segment_bytes : LIMIT_WAL_SEGMENT;
	w->segment_bytes = wal_pad(w->segment_bytes);
	w->read_only = o->read_only;
	w->next_number = 1;
	w->next_sequence = 1;
	memcpy(w->volume_id, o->volume_id, 16);
	mutex_init(&w->mu);
	if (o->create)
		rc = vio_mkdirs(w->vio, WAL_DIR);
	/* the mark first: beside a mount, segments only get newer */
	if (rc == 0)
		rc = wal_mark_read(&w->mark, &w->mark_state, w->vio,
				   w->volume_id);
	w->was_in_use = w->mark.in_use;
	if (rc == 0)
		rc = wal_scan(w, em);
	w->newest = w->next_sequence - 1;
	if (rc < 0) {
		wal_close(w);
		return errmsg_set(em, rc, "wal: %s", err_text(rc));
	}
	*out = w;
	return 0;
}

void wal_close(struct wal *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->n_used; i++)
		wal_segment_free(w->used[i]);
	for (size_t i = 0; i < w->n_spare; i++)
		wal_segment_free(w->spare[i]);
	vio_close(w->mark_file);
	mutex_destroy(&w->mu);
	free(w);
}

static uint64_t end_locked(const struct wal *w)
{
	const struct wal_segment *s;

	if (w->n_used == 0)
		return 0;
	s = w->used[w->n_used - 1];
	return s->first + s->n;
}

uint64_t wal_first(struct wal *w)
{
	uint64_t first;

	mutex_lock(&w->mu);
	first = w->n_used > 0 ? w->used[0]->first : 0;
	mutex_unlock(&w->mu);
	return first;
}

uint64_t wal_end(struct wal *w)
{
	uint64_t end;

	mutex_lock(&w->mu);
	end = end_locked(w);
	mutex_unlock(&w->mu);
	return end;
}

uint64_t wal_bytes(struct wal *w, uint64_t from)
{
	uint64_t sum = 0;

	mutex_lock(&w->mu);
	for (size_t i = 0; i < w->n_used; i++) {
		const struct wal_segment *s = w->used[i];
		uint64_t at = WAL_FRAMES_AT;

		if (from >= s->first + s->n)
			continue;
		if (from > s->first)
			at = (uint64_t)s->pages[from - s->first] * WAL_PAGE;
		sum += s->end_at - at;
	}
	mutex_unlock(&w->mu);
	return sum;
}

unsigned wal_bad_headers(struct wal *w, uint64_t from)
{
	unsigned n = 0;

	mutex_lock(&w->mu);
	for (size_t i = 0; i < w->n_used; i++) {
		const struct wal_segment *s = w->used[i];

		if (s->bad_header && s->n >= 2 && s->first + s->n > from)
			n++;
	}
	mutex_unlock(&w->mu);
	return n;
}

/* The mark names it: it is there until the mark names another. */
static bool is_marked(const struct wal *w, const struct wal_segment *s)
{
	return w->mark.in_use && s->sequence == w->mark.sequence;
}

static struct wal_segment *take_spare(struct wal *w, uint64_t need)
{
	struct wal_segment *s = NULL;

	mutex_lock(&w->mu);
	for (size_t i = 0; i < w->n_spare && s == NULL; i++) {
		struct wal_segment *c = w->spare[i];

		if (c->readers > 0 || is_marked(w, c) ||
		    c->bytes < WAL_FRAMES_AT + need)
			continue;
		s = c;
		w->spare[i] = w->spare[--w->n_spare];
	}
	mutex_unlock(&w->mu);
	return s;
}

static void give_spare(struct wal *w, struct wal_segment *s)
{
	mutex_lock(&w->mu);
	assert(w->n_spare < WAL_SEGMENTS_MAX);
	w->spare[w->n_spare++] = s;
	mutex_unlock(&w->mu);
}

/*
 * There is no room for one more: where all frames are durable elsewhere, even
 * the segment that was written to last is free, once the mark does not name it
 * any more.  1: it is now.
 */
static int free_settled(struct wal *w)
{
	bool all;
	int rc;

	mutex_lock(&w->mu);
	all = w->n_used > 0 && end_locked(w) <= w->released;
	mutex_unlock(&w->mu);
	rc = all ? wal_rest(w) : 0;
	if (rc < 0 || !all)
		return rc;
	mutex_lock(&w->mu);
	while (w->n_used > 0)
		w->spare[w->n_spare++] = w->used[--w->n_used];
	mutex_unlock(&w->mu);
	return 1;
}

/*
 * Begins a segment whose first frame is `first`.  Its header is flushed with
 * that frame: before, nobody relies on it.
 */
static int begin_segment(struct wal *w, uint64_t first, uint64_t need)
{
	struct wal_segment *s = take_spare(w, need);
	int rc;

	if (WAL_FRAMES_AT + need > w->segment_bytes)
		return -ERR_LIMIT;
	if (s == NULL) {
		rc = wal_segment_make(w, &s);
		if (rc == -ENOSPC) {
			int freed = free_settled(w);

			if (freed > 0)
				s = take_spare(w, need);
			rc = freed < 0 ? freed : s == NULL ? rc : 0;
		}
		if (rc < 0)
			return rc;
	}
	rc = vio_random(w->vio, &s->epoch, sizeof(s->epoch));
	if (rc < 0) {
		give_spare(w, s);
		return rc;
	}
	s->sequence = w->next_sequence++;
	s->first = first;
	s->n = 0;
	s->end_at = WAL_FRAMES_AT;
	s->bad_header = false;
	rc = wal_segment_write_headers(w, s);
	if (rc < 0) {
		give_spare(w, s);
		return rc == -ENOSPC || rc == -EDQUOT ? -EIO : rc;
	}
	mutex_lock(&w->mu);
	assert(w->n_used == 0 || end_locked(w) == first);
	if (w->n_used == WAL_SEGMENTS_MAX)
		rc = -ENOSPC;
	else
		w->used[w->n_used++] = s;
	mutex_unlock(&w->mu);
	if (rc < 0)
		give_spare(w, s);
	return rc;
}

int wal_start(struct wal *w, uint64_t next)
{
	int rc = 0;

	assert(!w->read_only && !w->started);
	mutex_lock(&w->mu);
	if (end_locked(w) != next) {
		while (w->n_used > 0)
			w->spare[w->n_spare++] = w->used[--w->n_used];
	}
	mutex_unlock(&w->mu);
	for (size_t i = 0; rc == 0 && i < w->n_used; i++) {
		struct wal_segment *s = w->used[i];

		/* what was cut off once is not missed again */
		if (s->bad_header || s->bytes < s->told_bytes)
			rc = wal_segment_write_headers(w, s);
		if (rc == 0)
			rc = vio_fdatasync(s->file);
	}
	if (rc == 0)
		rc = wal_mark_start(w, next);
	if (rc == 0 && w->n_used > 0)
		rc = wal_mark_set(w, w->used[w->n_used - 1]);
	w->started = rc == 0;
	return rc;
}

/* The segment written to, which the releaser leaves alone; NULL: none. */
static struct wal_segment *current(struct wal *w)
{
	struct wal_segment *s = NULL;

	mutex_lock(&w->mu);
	if (w->n_used > 0)
		s = w->used[w->n_used - 1];
	mutex_unlock(&w->mu);
	return s;
}

/* The first of a segment is flushed together with the segment's headers. */
static int write_frame(struct wal_segment *s, const uint8_t *p, uint64_t n)
{
	int rc;

	if (s->n > 0)
		return vio_write_through(s->file, p, n, s->end_at);
	rc = vio_pwrite(s->file, p, n, s->end_at);
	return rc < 0 ? rc : vio_flush(s->file);
}

int wal_append(struct wal *w, struct buf *frame, uint32_t len, uint64_t index)
{
	uint64_t need = wal_pad(len);
	struct wal_segment *s = NULL;
	int rc;

	assert(w->started && frame->n == need);
	s = current(w);
	assert(s == NULL || s->first + s->n == index);
	if (s == NULL || s->end_at + need > s->bytes) {
		rc = begin_segment(w, index, need);
		if (rc < 0)
			return rc;
		s = current(w);
	}
	/* what is written can no longer fail for want of memory */
	mutex_lock(&w->mu);
	rc = wal_segment_room(s);
	mutex_unlock(&w->mu);
	if (rc < 0)
		return rc;
	rc = wal_mark_set(w, s);
	if (rc < 0)
		return rc;
	frame_stamp(frame->p, len, s->epoch);
	rc = write_frame(s, frame->p, need);
	if (rc < 0)
		return rc == -ENOSPC || rc == -EDQUOT ? -EIO : rc;
	wal_mark_end(w, index + 1);
	mutex_lock(&w->mu);
	rc = wal_segment_add(s, len);
	mutex_unlock(&w->mu);
	return rc;
}

/* Finds the segment that holds `index` and keeps it from being used again. */
static struct wal_segment *pin(struct wal *w, uint64_t index, uint64_t *out_at,
			       uint64_t *out_end)
{
	struct wal_segment *s = NULL;

	mutex_lock(&w->mu);
	for (size_t i = 0; i < w->n_used; i++) {
		struct wal_segment *c = w->used[i];
		uint64_t k = index - c->first;

		if (index < c->first || k >= c->n)
			continue;
		s = c;
		s->readers++;
		*out_at = (uint64_t)c->pages[k] * WAL_PAGE;
		*out_end = k + 1 < c->n ? (uint64_t)c->pages[k + 1] * WAL_PAGE :
					  c->end_at;
		break;
	}
	mutex_unlock(&w->mu);
	return s;
}

static void unpin(struct wal *w, struct wal_segment *s)
{
	mutex_lock(&w->mu);
	assert(s->readers > 0);
	s->readers--;
	mutex_unlock(&w->mu);
}

int wal_read(struct wal *w, struct buf *out, struct frame *f, uint64_t index)
{
	uint64_t at = 0, end = 0;
	struct wal_segment *s = pin(w, index, &at, &end);
	uint8_t *p;
	int rc;

	if (s == NULL)
		return -ENOENT;
	buf_clear(out);
	p = buf_grow(out, (size_t)(end - at));
	rc = p == NULL ? -ENOMEM :
			 vio_pread_full(s->file, p, (size_t)(end - at), at);
	if (rc == 0)
		rc = frame_decode(f, p, out->n, s->epoch, FRAME_WAL);
	if (rc == 0 && (f->index != index || wal_pad(f->len) != end - at))
		rc = -ERR_CORRUPT;
	unpin(w, s);
	return rc == -ERR_SHORT ? -ERR_CORRUPT : rc;
}

bool wal_would_release(struct wal *w, uint64_t upto)
{
	bool would;

	mutex_lock(&w->mu);
	would = w->n_used > 1 && w->used[0]->first + w->used[0]->n <= upto;
	mutex_unlock(&w->mu);
	return would;
}

/* A spare segment too many, out of the list; NULL: none. */
static struct wal_segment *take_surplus(struct wal *w)
{
	struct wal_segment *s = NULL;

	mutex_lock(&w->mu);
	for (size_t i = 0; w->n_spare > WAL_SPARE_MAX && i < w->n_spare; i++) {
		if (w->spare[i]->readers > 0 || is_marked(w, w->spare[i]))
			continue;
		s = w->spare[i];
		w->spare[i] = w->spare[--w->n_spare];
		break;
	}
	mutex_unlock(&w->mu);
	return s;
}

void wal_release(struct wal *w, uint64_t upto)
{
	struct wal_segment *s;
	char path[NUMBERED_PATH_MAX];

	mutex_lock(&w->mu);
	if (w->released < upto)
		w->released = upto;
	while (w->n_used > 1 && w->used[0]->first + w->used[0]->n <= upto) {
		w->spare[w->n_spare++] = w->used[0];
		w->n_used--;
		memmove(w->used, w->used + 1, w->n_used * sizeof(w->used[0]));
	}
	mutex_unlock(&w->mu);
	while ((s = take_surplus(w)) != NULL) {
		int ignored;

		numbered_path(path, WAL_DIR, s->number, WAL_SUFFIX);
		ignored = vio_unlink(w->vio, path);
		(void)ignored; /* found again at the next start */
		wal_segment_free(s);
	}
}

int wal_prepare(struct wal *w)
{
	struct wal_segment *s = NULL;
	bool wanted;
	int rc;

	mutex_lock(&w->mu);
	wanted = w->n_spare == 0 && w->n_used > 0 &&
		 w->n_used < WAL_SEGMENTS_MAX &&
		 w->used[w->n_used - 1]->end_at > w->segment_bytes / 2;
	mutex_unlock(&w->mu);
	if (!wanted)
		return 0;
	rc = wal_segment_make(w, &s);
	if (rc == 0)
		give_spare(w, s);
	return rc;
}
