/*
 * journal_scan.c - what the journal holds, at open.
 *
 * Headers of all segments are read, and the records of the last one.  A
 * record there that is not whole ends the journal: a torn tail, when nothing
 * valid follows; the ledger decides whether it may be cut.  Before a sealed
 * segment is followed by the next one it is flushed, so nothing is ever torn
 * but the last.  Writes nothing.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/journal_impl.h"
#include "ledger/numbered.h"

enum { LOOK_AHEAD_RECORDS = 1 << 20 };

void journal_file_free(struct journal_file *f)
{
	if (f == NULL)
		return;
	vio_close(f->file);
	free(f);
}

int journal_add_offset(struct journal *j, uint32_t at)
{
	if (j->n_offsets == j->cap_offsets) {
		uint32_t cap = j->cap_offsets ? 2 * j->cap_offsets : 256;
		uint32_t *v = reallocarray(j->offsets, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		j->offsets = v;
		j->cap_offsets = cap;
	}
	j->offsets[j->n_offsets++] = at;
	return 0;
}

int journal_add_segment(struct journal *j, uint64_t first)
{
	if (j->n == j->cap) {
		uint32_t cap = j->cap ? 2 * j->cap : 64;
		uint64_t *v = reallocarray(j->firsts, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		j->firsts = v;
		j->cap = cap;
	}
	j->firsts[j->n++] = first;
	return 0;
}

static int header_decode(struct journal_file *f, const struct journal *j,
			 const uint8_t p[JOURNAL_HEADER_SIZE])
{
	uint8_t magic[4], zero[3], volume_id[16], format;
	struct breader r;
	uint64_t number, none;

	breader_init(&r, p, JOURNAL_HEADER_SIZE);
	breader_copy(&r, magic, 4);
	format = breader_u8(&r);
	breader_copy(&r, zero, 3);
	number = breader_u64(&r);
	breader_copy(&r, volume_id, 16);
	f->epoch = breader_u64(&r);
	f->first = breader_u64(&r);
	none = breader_u64(&r);
	if (memcmp(magic, JOURNAL_MAGIC, 4) != 0 ||
	    breader_u64(&r) != XXH64(p, JOURNAL_HEADER_SIZE - 8, 0))
		return -ERR_CORRUPT;
	if (format > JOURNAL_FORMAT)
		return -ERR_NEWER;
	if (format != JOURNAL_FORMAT || number != f->number || none != 0 ||
	    memcmp(zero, "\0\0", 3) != 0)
		return -ERR_CORRUPT;
	return memcmp(volume_id, j->volume_id, 16) == 0 ? 0 : -ERR_FORMAT;
}

int journal_scan_header(struct journal *j, struct journal_file **out,
			uint32_t number, int flags, struct errmsg *em)
{
	struct journal_file *f = calloc(1, sizeof(*f));
	uint8_t head[JOURNAL_HEADER_SIZE];
	char path[NUMBERED_PATH_MAX];
	struct vio_stat st;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->number = number;
	numbered_path(path, JOURNAL_DIR, number, JOURNAL_SUFFIX);
	rc = vio_open(j->vio, &f->file, path, flags);
	if (rc == 0)
		rc = vio_fstat(f->file, &st);
	if (rc < 0) {
		errmsg_set(em, rc, "%s: %s", path, err_text(rc));
		goto fail;
	}
	f->size = st.size;
	rc = vio_pread_full(f->file, head, sizeof(head), 0);
	if (rc == 0)
		rc = header_decode(f, j, head);
	if (rc == -ERR_CORRUPT && st.size <= JOURNAL_HEADER_SIZE)
		rc = -ERR_SHORT; /* torn while it was made */
	if (rc == -ERR_FORMAT)
		rc = errmsg_set(em, -ERR_CORRUPT,
				"%s belongs to another volume", path);
	if (rc < 0 && rc != -ERR_SHORT)
		errmsg_set(em, rc, "%s: header: %s; repair from a replica",
			   path, err_text(rc));
	if (rc < 0)
		goto fail;
	*out = f;
	return 0;
fail:
	journal_file_free(f);
	return rc;
}

int journal_footer(struct buf *out, const uint32_t *offsets, uint32_t n,
		   uint64_t epoch)
{
	buf_clear(out);
	buf_adds(out, JOURNAL_FOOTER_MAGIC);
	buf_u32(out, n);
	for (uint32_t i = 0; i < n; i++)
		buf_u32(out, offsets[i]);
	if (!out->bad)
		buf_u64(out, XXH64(out->p, out->n, epoch));
	buf_u32(out, (uint32_t)journal_footer_size(n));
	buf_adds(out, JOURNAL_END_MAGIC);
	return out->bad ? -ENOMEM : 0;
}

/* True when the bytes at `at` are the right footer and end the file. */
static int footer_at(struct journal *j, struct journal_file *f, uint64_t at,
		     bool *out)
{
	struct buf want = BUF_INIT, have = BUF_INIT;
	uint8_t *p;
	int rc;

	*out = false;
	if (f->size - at != journal_footer_size(j->n_offsets))
		return 0;
	rc = journal_footer(&want, j->offsets, j->n_offsets, f->epoch);
	if (rc < 0)
		goto done;
	p = buf_grow(&have, want.n);
	rc = p == NULL ? -ENOMEM : vio_pread_full(f->file, p, want.n, at);
	if (rc == 0)
		*out = memcmp(p, want.p, want.n) == 0;
done:
	buf_release(&want);
	buf_release(&have);
	return rc;
}

size_t journal_find_later(const uint8_t *p, size_t n, uint64_t epoch,
			  uint64_t expected)
{
	uint64_t index = 0;
	uint32_t len = 0;
	struct frame f;

	for (size_t i = 1; i + FRAME_HEAD_SIZE <= n; i++) {
		if (frame_head(&len, &index, p + i) < 0 || index <= expected ||
		    index > expected + LOOK_AHEAD_RECORDS || len > n - i)
			continue;
		if (frame_decode(&f, p + i, n - i, epoch, FRAME_RECORD) == 0)
			return i;
	}
	return 0;
}

/* Notes the records of the last segment. */
static int scan_last(struct journal *j, struct journal_file *file,
		     bool *out_sealed)
{
	struct buf all = BUF_INIT;
	uint64_t at = JOURNAL_HEADER_SIZE;
	struct frame f;
	ssize_t got;
	uint8_t *p;
	int rc = 0;

	if (file->size > 2 * (uint64_t)LIMIT_JOURNAL_SEGMENT)
		return -ERR_LIMIT;
	p = buf_grow(&all, (size_t)file->size + 1);
	if (p == NULL)
		return -ENOMEM;
	got = vio_pread(file->file, p, (size_t)file->size, 0);
	if (got < 0) {
		rc = (int)got;
		goto done;
	}
	file->size = (uint64_t)got;
	while (rc == 0 && at < file->size) {
		if (frame_decode(&f, p + at, file->size - at, file->epoch,
				 FRAME_RECORD) < 0 ||
		    f.index != j->end)
			break;
		rc = journal_add_offset(j, (uint32_t)at);
		at += f.len;
		j->end++;
	}
	if (rc == 0 && at < file->size)
		rc = footer_at(j, file, at, out_sealed);
	if (rc == 0 && !*out_sealed && at < file->size) {
		j->torn_bytes = file->size - at;
		j->damaged = journal_find_later(p + at, file->size - at,
						file->epoch, j->end) > 0;
	}
	j->end_at = at;
done:
	buf_release(&all);
	return rc;
}

/* Opens segment `number`, the last one when `last`. */
static int scan_segment(struct journal *j, uint32_t number, bool last,
			struct errmsg *em)
{
	int flags = j->read_only || !last ? VIO_READ : VIO_WRITE;
	struct journal_file *f = NULL;
	bool sealed = false;
	int rc = journal_scan_header(j, &f, number, flags, em);

	if (rc < 0)
		return errmsg_set(
			em, rc, "journal segment %u: %s; repair from a replica",
			number, err_text(rc));
	if (number == 1 ? f->first != 0 : f->first <= j->firsts[number - 2]) {
		rc = errmsg_set(
			em, -ERR_CORRUPT,
			"journal segment %u does not follow the one before",
			number);
		goto fail;
	}
	rc = journal_add_segment(j, f->first);
	if (rc < 0)
		goto fail;
	j->end = f->first;
	if (!last) {
		journal_file_free(f);
		return 0;
	}
	rc = scan_last(j, f, &sealed);
	if (rc < 0) {
		errmsg_set(em, rc, "journal segment %u: %s", number,
			   err_text(rc));
		goto fail;
	}
	if (sealed) {
		j->n_offsets = 0;
		journal_file_free(f);
	} else {
		j->active = f;
	}
	return 0;
fail:
	journal_file_free(f);
	return rc;
}

/*
 * A crash while the last segment was made leaves less than a header: it never
 * held a record and counts as not there.
 */
static int drop_unmade(struct journal *j, struct numbered *files,
		       struct errmsg *em)
{
	struct journal_file *f = NULL;
	int rc;

	if (files->n == 0)
		return 0;
	rc = journal_scan_header(j, &f, files->v[files->n - 1], VIO_READ, em);
	journal_file_free(f);
	if (rc != -ERR_SHORT)
		return rc;
	files->n--;
	return 0;
}

int journal_scan(struct journal *j, struct errmsg *em)
{
	struct numbered files = { .v = NULL };
	int rc = numbered_list(&files, j->vio, JOURNAL_DIR, JOURNAL_SUFFIX);

	if (rc < 0)
		errmsg_set(em, rc, "%s: %s", JOURNAL_DIR, err_text(rc));
	if (rc == 0)
		rc = drop_unmade(j, &files, em);
	for (size_t i = 0; rc == 0 && i < files.n; i++) {
		if (files.v[i] != i + 1) {
			rc = errmsg_set(
				em, -ERR_CORRUPT,
				"journal segment %zu is missing; repair from "
				"a replica",
				i + 1);
			break;
		}
		rc = scan_segment(j, files.v[i], i + 1 == files.n, em);
	}
	numbered_release(&files);
	return rc;
}
