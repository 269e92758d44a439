/*
 * packfile_open.c - finds out what a pack on disk is: sealed, by its footer;
 * otherwise its records are read one by one.
 *
 * A record that does not decode ends the pack when no other follows; when one
 * does, the bytes between are a gap that stays as it is (a replica may have
 * them).  Nothing but the bytes behind the last record is ever cut.
 */
#include "fs/store/packfile.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/chunk.h"
#include "fs/store/packfile_int.h"

/* --- sealed --- */

static int trailer_read(struct packfile *f, struct pack_trailer *out,
			uint64_t size)
{
	uint8_t bytes[PACK_TRAILER_SIZE];
	ssize_t n = 0;

	if (size < PACK_HEADER_SIZE + PACK_TRAILER_SIZE)
		return -ERR_SHORT;
	n = packfile_bytes(f, bytes, sizeof(bytes), size - sizeof(bytes));
	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(bytes))
		return -ERR_SHORT;
	n = pack_trailer_decode(out, bytes, size);
	if (n == 0 && out->number != f->number)
		return -ERR_CORRUPT;
	return (int)n;
}

static int footer_read(struct packfile *f, struct pack_entry **out,
		       uint32_t *out_n)
{
	struct pack_trailer t = { 0 };
	autofree uint8_t *bytes = NULL;
	autofree struct pack_entry *v = NULL;
	size_t len = 0;
	ssize_t n = trailer_read(f, &t, f->end);

	if (n < 0)
		return (int)n;
	len = (size_t)t.count * PACK_ENTRY_SIZE;
	bytes = malloc(len + 1);
	v = calloc((size_t)t.count + 1, sizeof(*v));
	if (!bytes || !v)
		return -ENOMEM;
	n = packfile_bytes(f, bytes, len, t.entries_off);
	if (n < 0)
		return (int)n;
	n = pack_footer_decode(v, &t, bytes, (size_t)n);
	if (n < 0)
		return (int)n;
	*out = take(v);
	*out_n = t.count;
	return 0;
}

/* --- by records --- */

static int gap_add(struct packfile *f, uint64_t off, uint64_t end)
{
	void *p = realloc(f->gaps, (f->n_gaps + 1) * sizeof(*f->gaps));

	if (!p)
		return -ENOMEM;
	f->gaps = p;
	f->gaps[f->n_gaps++] = (struct packfile_gap){
		.off = (uint32_t)off,
		.len = (uint32_t)(end - off),
	};
	return 0;
}

/* The record at off with its stored bytes, or an error. */
static int record_at(struct pack_record *out, const uint8_t *p, size_t n,
		     size_t off)
{
	int rc = pack_record_decode(out, p + off, n - off);

	if (rc < 0)
		return rc;
	off += PACK_RECORD_SIZE;
	if (n - off < out->stored_len)
		return -ERR_SHORT;
	return pack_record_holds(out, p + off, out->stored_len) ? 0 :
								  -ERR_CORRUPT;
}

/* Nobody else knows of f yet: no lock. */
static int records_scan(struct packfile *f, const uint8_t *p, size_t n,
			bool *out_marked) no_thread_safety_analysis
{
	struct pack_record r = { 0 };
	size_t good = PACK_HEADER_SIZE; /* end of the last good record */
	size_t off = PACK_HEADER_SIZE;
	int rc = 0;

	*out_marked = false;
	while (off < n) {
		if (record_at(&r, p, n, off) < 0) {
			off = pack_find_record(p, n, off + 1);
			continue;
		}
		if (off > good)
			rc = gap_add(f, good, off);
		for (uint32_t i = 0; i < f->n_gaps; i++)
			if (r.durable >= f->gaps[i].off + f->gaps[i].len)
				f->gaps[i].durable = true;
		*out_marked = r.type == PACK_CLOSE_MARK;
		if (rc == 0 && !*out_marked) {
			struct pack_entry e = {
				.id = r.id,
				.off = (uint32_t)off,
				.stored_len = r.stored_len,
				.raw_len = r.raw_len,
				.type = r.type,
				.codec = r.codec,
			};

			rc = packfile_entry_add(f, &e);
		}
		if (rc < 0)
			return rc;
		off += PACK_RECORD_SIZE + (size_t)r.stored_len;
		good = off;
	}
	f->end = good;
	for (size_t i = good; i < n; i++)
		f->cut_bytes += p[i] != 0;
	return 0;
}

/* Cuts what lies behind the records and makes sure of what is kept. */
static int settle_tail(struct packfile *f, uint64_t size)
{
	struct vio_file *file = NULL;
	int rc = 0;

	if (f->read_only)
		return 0;
	rc = packfile_pin(f, &file);
	if (rc < 0)
		return rc;
	if (size > f->end)
		rc = vio_truncate(file, f->end);
	if (rc == 0)
		rc = vio_fdatasync(file);
	packfile_unpin(f);
	return rc;
}

/*
 * A crash while the pack was made left no header, and nothing was ever in it.
 * It gets one, so that at rest every pack has one and whose is gone is damaged.
 */
static int header_again(struct packfile *f)
{
	struct pack_header h = { .number = f->number };
	uint8_t bytes[PACK_HEADER_SIZE];
	int rc;

	memcpy(h.volume_id, f->volume_id, sizeof(h.volume_id));
	pack_header_encode(bytes, &h);
	rc = packfile_patch(f, 0, bytes, sizeof(bytes));
	if (rc < 0)
		return rc == -ENOSPC || rc == -EDQUOT ? 0 : rc;
	f->end = PACK_HEADER_SIZE;
	f->durable = f->end;
	f->allocated = f->end;
	return 0;
}

/* Reads all records; `adopt`: cuts the tail, goes on appending if it may. */
static int open_records(struct packfile *f, uint64_t size, bool adopt)
{
	size_t n = size < LIMIT_PACK ? (size_t)size : LIMIT_PACK;
	autofree uint8_t *p = malloc(n + 1);
	bool marked = false;
	ssize_t got = 0;
	int rc = 0;

	if (!p)
		return -ENOMEM;
	got = packfile_bytes(f, p, n, 0);
	if (got < 0)
		return (int)got;
	f->state = PACK_STILL;
	if ((size_t)got < PACK_HEADER_SIZE) {
		/* born at a crash; nothing can be in it */
		f->end = (uint64_t)got;
		f->durable = f->end;
		return adopt && !f->read_only ? header_again(f) : 0;
	}
	rc = records_scan(f, p, (size_t)got, &marked);
	f->durable = f->end;
	f->allocated = f->end;
	if (rc == 0 && adopt)
		rc = settle_tail(f, size);
	if (rc == 0 && adopt && !f->read_only && f->count == 0 &&
	    pack_header_decode(&(struct pack_header){ 0 }, p, (size_t)got) ==
		    -ERR_FORMAT)
		rc = header_again(f);
	if (rc < 0 || !marked || !adopt || f->n_gaps > 0 || f->read_only)
		return rc;
	f->marked = f->end;
	/* what is there is on the disk, and of others than who appends */
	f->pushed = f->end;
	f->forgotten = f->end;
	f->state = PACK_OPEN;
	return 0;
}

static int header_check(struct packfile *f, struct errmsg *em)
{
	static const uint8_t unknown[16];
	struct pack_header h = { 0 };
	uint8_t bytes[PACK_HEADER_SIZE];
	ssize_t n = packfile_bytes(f, bytes, sizeof(bytes), 0);
	int rc = 0;

	if (n == -EIO)
		return 0;
	if (n < 0)
		return errmsg_set(em, (int)n, "%s: cannot be read: %s", f->name,
				  err_text((int)n));
	rc = pack_header_decode(&h, bytes, (size_t)n);
	if (rc == -ERR_NEWER)
		return errmsg_set(em, rc, "%s: %s", f->name, err_text(rc));
	if (rc < 0)
		return 0; /* the records tell; store_check reports it */
	if (h.number != f->number)
		return errmsg_set(em, -ERR_CORRUPT,
				  "%s: is pack %" PRIu64 " under a wrong name",
				  f->name, h.number);
	if (f->same_volume && memcmp(h.volume_id, unknown, 16) != 0 &&
	    memcmp(f->volume_id, h.volume_id, 16) != 0)
		return errmsg_set(em, -ERR_CORRUPT,
				  "%s: belongs to another volume", f->name);
	return 0;
}

static int look(struct packfile *f, struct errmsg *em)
{
	struct pack_trailer t = { 0 };
	struct vio_stat st = { 0 };
	int rc = vio_stat(f->vio, f->name, &st);

	if (rc == 0)
		rc = header_check(f, em);
	if (rc < 0)
		return rc;
	rc = trailer_read(f, &t, st.size);
	if (rc == 0) {
		f->state = PACK_SEALED;
		f->end = st.size;
		f->durable = st.size;
		f->allocated = st.size;
		f->count = t.count;
		f->raw_bytes = t.raw_bytes;
		f->stored_bytes = t.stored_bytes;
		return 0;
	}
	if (rc != -ENOMEM && rc != -EIO)
		rc = open_records(f, st.size, true);
	if (rc == -EIO) {
		/* a bad sector: the rest of the store is of use without it */
		f->state = PACK_STILL;
		f->unreadable = true;
		f->end = st.size;
		f->durable = st.size;
		return 0;
	}
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", f->name, err_text(rc)) : 0;
}

int packfile_open(struct packfile **out, const struct packfile_options *o,
		  struct errmsg *em)
{
	struct packfile *f = packfile_new(o);
	int rc = 0;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	rc = look(f, em);
	if (rc < 0) {
		packfile_close(f);
		return rc;
	}
	*out = f;
	return 0;
}

void packfile_lists_free_locked(struct packfile *f)
{
	free(take(f->entries));
	free(take(f->gaps));
	f->count = 0;
	f->cap = 0;
	f->n_gaps = 0;
}

static void clear_locked(struct packfile *f) requires_capability(&f->mu)
{
	packfile_lists_free_locked(f);
	f->raw_bytes = 0;
	f->stored_bytes = 0;
	f->cut_bytes = 0;
	f->marked = 0;
	f->unreadable = false;
}

int packfile_rescan(struct packfile *f)
{
	struct vio_stat st = { 0 };
	int rc = vio_stat(f->vio, f->name, &st);

	mutex_lock(&f->mu);
	if (rc == 0) {
		clear_locked(f);
		rc = open_records(f, st.size, false);
	}
	mutex_unlock(&f->mu);
	return rc;
}

int packfile_reopen(struct packfile *f, struct errmsg *em)
{
	int rc = 0;

	packfile_forget(f);
	mutex_lock(&f->mu);
	clear_locked(f);
	atomic_store(&f->doubted, false);
	rc = look(f, em);
	if (rc == -ENOENT)
		f->state = PACK_GONE;
	if (f->state == PACK_OPEN)
		f->state = PACK_STILL; /* it came from elsewhere */
	mutex_unlock(&f->mu);
	return rc;
}

int packfile_each(struct packfile *f, packfile_fn *fn, void *ctx)
{
	autofree struct pack_entry *v = NULL;
	uint32_t n = 0;
	int rc = 0;

	mutex_lock(&f->mu);
	if (f->state == PACK_SEALED) {
		rc = footer_read(f, &v, &n);
	} else if (f->count > 0) {
		v = malloc(f->count * sizeof(*v));
		if (v)
			memcpy(v, f->entries, f->count * sizeof(*v));
		rc = v ? 0 : -ENOMEM;
		n = f->count;
	}
	mutex_unlock(&f->mu);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = fn(ctx, &v[i]);
	return rc;
}
