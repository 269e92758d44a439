/*
 * wal_scan.c - finds the frames that the segments of the WAL hold.
 *
 * Frames are written one at a time, each flushed before the next begins.  So
 * a crash leaves at most one torn frame, and nothing valid after it; a valid
 * frame with a larger index behind an invalid one means that the invalid one
 * was whole once, and was damaged.  The scan keeps the last contiguous run of
 * frames; what is missing before it must be in the journal, and whether it is
 * the ledger decides.
 *
 * Called once, by the thread that opens; writes nothing.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/numbered.h"
#include "ledger/seal_format.h"
#include "ledger/wal_impl.h"

enum { WINDOW = 1 << 20, LOOK_AHEAD_FRAMES = 1 << 20 };

/* A moving view of one file. */
struct window {
	struct vio_file *file;
	uint64_t size; /* of the file */
	struct buf buf;
	uint64_t at; /* offset of buf.p[0] */
};

/* Answers how many of n bytes at `at` there are, and lends them. */
static int window_get(struct window *w, const uint8_t **out, size_t *out_n,
		      uint64_t at, size_t n)
{
	size_t want = n > WINDOW ? n : WINDOW;
	ssize_t got;
	uint8_t *p;

	if (at >= w->size)
		n = 0;
	else if (n > w->size - at)
		n = (size_t)(w->size - at);
	*out_n = n;
	if (n == 0)
		return 0;
	if (at < w->at || at + n > w->at + w->buf.n) {
		if (want > w->size - at)
			want = (size_t)(w->size - at);
		buf_clear(&w->buf);
		p = buf_grow(&w->buf, want);
		if (p == NULL)
			return -ENOMEM;
		got = vio_pread(w->file, p, want, at);
		if (got < 0)
			return (int)got;
		w->buf.n = (size_t)got;
		w->at = at;
		if (w->buf.n < n)
			*out_n = w->buf.n;
	}
	*out = w->buf.p + (at - w->at);
	return 0;
}

/*
 * What is cheap to see of a frame: the length of its seal, and its own at its
 * end.  Old bytes look like a head now and then (len and index are in range),
 * and without this each costs a read and a checksum of up to LIMIT_FRAME: of
 * 1.2 million small files, half of what a mount read of the WAL.
 */
static int may_be_frame(struct window *win, uint64_t at, uint64_t index,
			uint32_t len)
{
	const uint8_t *p = NULL;
	const uint8_t *seal = NULL;
	uint8_t tail[4];
	uint32_t seal_n = 0;
	size_t n = 0;
	struct breader r;
	int rc = window_get(win, &p, &n, at,
			    FRAME_HEAD_SIZE + 2 + SEAL_SIZE_MAX);

	if (rc < 0)
		return rc;
	if (frame_peek_seal(&seal, &seal_n, p, n, index) < 0)
		return 0;
	if (at + len <= win->at + win->buf.n)
		memcpy(tail, p + len - sizeof(tail), sizeof(tail));
	else
		rc = vio_pread_full(win->file, tail, sizeof(tail),
				    at + len - sizeof(tail));
	if (rc < 0)
		return rc == -ERR_SHORT ? 0 : rc;
	breader_init(&r, tail, sizeof(tail));
	return breader_u32(&r) == len;
}

/* 1: a valid frame with this index range starts at `at`. */
static int frame_at(struct window *win, const struct wal_segment *s,
		    uint64_t at, uint64_t lo, uint64_t hi, struct frame *out)
{
	const uint8_t *p = NULL;
	uint64_t index = 0;
	uint32_t len = 0;
	size_t n = 0;
	int rc = window_get(win, &p, &n, at, FRAME_HEAD_SIZE);

	if (rc < 0)
		return rc;
	if (n < FRAME_HEAD_SIZE || frame_head(&len, &index, p) < 0 ||
	    index < lo || index > hi || len > win->size - at)
		return 0;
	rc = may_be_frame(win, at, index, len);
	if (rc <= 0)
		return rc;
	rc = window_get(win, &p, &n, at, len);
	if (rc < 0)
		return rc;
	return frame_decode(out, p, n, s->epoch, FRAME_WAL) == 0;
}

/* Looks for a frame after `at` that is later than `expected`. */
static int find_later(struct window *win, const struct wal_segment *s,
		      uint64_t *at, uint64_t expected, struct frame *out)
{
	for (uint64_t o = *at + WAL_PAGE; o + WAL_PAGE <= win->size;
	     o += WAL_PAGE) {
		int rc = frame_at(win, s, o, expected + 1,
				  expected + LOOK_AHEAD_FRAMES, out);

		if (rc == 0)
			continue;
		*at = o;
		return rc;
	}
	return 0;
}

/* Everything before segment i is no part of the run. */
static void drop_before(struct wal *w, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		w->used[k]->n = 0;
		w->spare[w->n_spare++] = w->used[k];
	}
	w->n_used -= i;
	memmove(w->used, w->used + i, w->n_used * sizeof(w->used[0]));
}

/* Notes the frames of s; *gap says that the run starts anew inside s. */
static int scan_frames(struct wal_segment *s, struct window *win, bool *gap)
{
	uint64_t expected = s->first;
	struct frame f;
	int rc;

	*gap = false;
	s->end_at = WAL_FRAMES_AT;
	for (;;) {
		uint64_t at = s->end_at;

		rc = frame_at(win, s, at, expected, expected, &f);
		if (rc == 0) {
			rc = find_later(win, s, &at, expected, &f);
			if (rc > 0) {
				s->n = 0;
				s->first = f.index;
				s->end_at = at;
				*gap = true;
			}
		}
		if (rc <= 0)
			return rc;
		rc = wal_segment_add(s, f.len);
		if (rc < 0)
			return rc;
		expected = f.index + 1;
	}
}

static bool header_decode(struct wal_segment *s, const struct wal *w,
			  const uint8_t p[WAL_PAGE], bool *foreign, bool *newer)
{
	uint8_t magic[4], zero[3], volume_id[16];
	struct breader r;
	uint8_t format;
	uint64_t size;

	breader_init(&r, p, WAL_HEADER_SIZE);
	breader_copy(&r, magic, 4);
	format = breader_u8(&r);
	breader_copy(&r, zero, 3);
	s->sequence = breader_u64(&r);
	breader_copy(&r, volume_id, 16);
	s->epoch = breader_u64(&r);
	s->first = breader_u64(&r);
	size = breader_u64(&r);
	if (memcmp(magic, WAL_MAGIC, 4) != 0 ||
	    breader_u64(&r) != XXH64(p, WAL_HEADER_SIZE - 8, 0))
		return false;
	if (format != WAL_FORMAT) {
		*newer = format > WAL_FORMAT;
		return false;
	}
	if (memcmp(volume_id, w->volume_id, 16) != 0) {
		*foreign = true;
		return false;
	}
	for (size_t i = WAL_HEADER_SIZE; i < WAL_PAGE; i++)
		if (p[i] != 0)
			return false;
	s->told_bytes = size;
	return s->sequence > 0 && size >= WAL_FRAMES_AT;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

static int read_header(struct wal_segment *s, const struct wal *w,
		       struct errmsg *em)
{
	struct wal_segment one = *s, two = *s;
	uint8_t pages[2 * WAL_PAGE];
	bool foreign = false, newer = false, a, b;
	ssize_t got = vio_pread(s->file, pages, sizeof(pages), 0);

	if (got < 0)
		return (int)got;
	if (got < (ssize_t)sizeof(pages) || all_zero(pages, sizeof(pages)))
		return 0; /* never used; sequence stays 0 */
	a = header_decode(&one, w, pages, &foreign, &newer);
	b = header_decode(&two, w, pages + WAL_PAGE, &foreign, &newer);
	if (newer)
		return errmsg_set(
			em, -ERR_NEWER,
			"wal segment %u was written by a newer version",
			s->number);
	if (foreign)
		return errmsg_set(em, -ERR_CORRUPT,
				  "wal segment %u belongs to another volume",
				  s->number);
	if (b && (!a || two.sequence > one.sequence))
		*s = two;
	else if (a)
		*s = one;
	s->bad_header = !a || !b || one.sequence != two.sequence;
	return 0;
}

static int open_segment(struct wal *w, uint32_t number, struct errmsg *em)
{
	struct wal_segment *s = calloc(1, sizeof(*s));
	char path[NUMBERED_PATH_MAX];
	struct vio_stat st;
	size_t i;
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->number = number;
	numbered_path(path, WAL_DIR, number, WAL_SUFFIX);
	rc = vio_open(w->vio, &s->file, path,
		      w->read_only ? VIO_READ : VIO_WRITE | VIO_DIRECT);
	if (rc == 0)
		rc = vio_fstat(s->file, &st);
	if (rc < 0) {
		errmsg_set(em, rc, "%s: %s", path, err_text(rc));
		goto fail;
	}
	s->bytes = st.size;
	s->end_at = WAL_FRAMES_AT;
	rc = read_header(s, w, em);
	if (rc < 0)
		goto fail;
	if (number >= w->next_number)
		w->next_number = number + 1;
	if (s->sequence == 0) {
		w->spare[w->n_spare++] = s;
		return 0;
	}
	if (s->sequence >= w->next_sequence)
		w->next_sequence = s->sequence + 1;
	for (i = w->n_used; i > 0; i--) {
		if (w->used[i - 1]->sequence < s->sequence)
			break;
		w->used[i] = w->used[i - 1];
	}
	w->used[i] = s;
	w->n_used++;
	return 0;
fail:
	wal_segment_free(s);
	return rc;
}

int wal_scan(struct wal *w, struct errmsg *em)
{
	struct numbered files = { .v = NULL };
	struct window win = { .file = NULL };
	int rc = numbered_list(&files, w->vio, WAL_DIR, WAL_SUFFIX);

	if (rc == -ENOENT && !w->read_only)
		rc = 0;
	if (rc == 0 && files.n > WAL_SEGMENTS_MAX)
		rc = errmsg_set(em, -ERR_LIMIT, "wal: too many segments");
	for (size_t i = 0; rc == 0 && i < files.n; i++)
		rc = open_segment(w, files.v[i], em);
	for (size_t i = 0; rc == 0 && i < w->n_used; i++) {
		struct wal_segment *s = w->used[i];
		bool gap = false;

		win.file = s->file;
		win.size = s->bytes;
		buf_clear(&win.buf);
		rc = scan_frames(s, &win, &gap);
		if (rc < 0) {
			errmsg_set(em, rc, "wal segment %u: %s", s->number,
				   err_text(rc));
			break;
		}
		if (i > 0 &&
		    w->used[i - 1]->first + w->used[i - 1]->n != s->first)
			gap = true;
		if (gap && i > 0) {
			drop_before(w, i);
			i = 0;
		}
	}
	buf_release(&win.buf);
	numbered_release(&files);
	return rc;
}
