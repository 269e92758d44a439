/*
 * packfile.c - appending to, sealing and reading one pack.  packfile.h has
 * the states and invariants; packfile_open.c finds out what a file is,
 * packfile_flush.c makes durable what was appended.
 *
 * Order on disk: records, flush, and only then anybody relies on them; the
 * footer is written behind flushed records or together with the last ones,
 * and a pack counts as sealed after its flush alone.
 */
#include "fs/store/packfile.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/store/chunk.h"
#include "fs/store/packfile_int.h"

enum {
	STEP_MIN = 256 << 10,
	STEP_MAX = 8 << 20,
	LISTED_MAX = 4096, /* chunks of a sealed pack: 256 KiB */
};

/* --- open files --- */

void packfile_handles_init(struct packfile_handles *h, uint32_t max)
{
	*h = (struct packfile_handles){ .max = max };
	mutex_init(&h->mu);
}

void packfile_handles_release(struct packfile_handles *h)
{
	assert(h->n == 0);
	mutex_destroy(&h->mu);
}

static void unlink_locked(struct packfile *f)
{
	struct packfile_handles *h = f->handles;

	*(f->newer ? &f->newer->older : &h->head) = f->older;
	*(f->older ? &f->older->newer : &h->tail) = f->newer;
	f->newer = NULL;
	f->older = NULL;
	h->n--;
}

static void link_locked(struct packfile *f)
{
	struct packfile_handles *h = f->handles;

	f->newer = NULL;
	f->older = h->head;
	*(h->head ? &h->head->newer : &h->tail) = f;
	h->head = f;
	h->n++;
}

/* Takes the file of the longest idle pack out, NULL when all are in use. */
static struct vio_file *evict_locked(struct packfile_handles *h)
{
	for (struct packfile *f = h->tail; f; f = f->newer) {
		struct vio_file *file = f->file;

		if (f->users > 0)
			continue;
		unlink_locked(f);
		f->file = NULL;
		return file;
	}
	return NULL;
}

int packfile_pin(struct packfile *f, struct vio_file **out)
{
	struct packfile_handles *h = f->handles;
	struct vio_file *idle = NULL;
	int rc = 0;

	mutex_lock(&h->mu);
	if (f->file) {
		unlink_locked(f);
	} else {
		rc = vio_open(f->vio, &f->file, f->name,
			      f->read_only ? VIO_READ : VIO_WRITE);
		if (rc == 0)
			vio_advise(f->file, VIO_RANDOM);
		if (rc == 0 && h->n >= h->max)
			idle = evict_locked(h);
	}
	if (rc == 0) {
		link_locked(f);
		f->users++;
		*out = f->file;
	}
	mutex_unlock(&h->mu);
	vio_close(idle);
	return rc;
}

void packfile_unpin(struct packfile *f)
{
	mutex_lock(&f->handles->mu);
	assert(f->users > 0);
	f->users--;
	mutex_unlock(&f->handles->mu);
}

void packfile_forget(struct packfile *f)
{
	struct vio_file *file = NULL;

	mutex_lock(&f->handles->mu);
	if (f->file && f->users == 0) {
		file = f->file;
		f->file = NULL;
		unlink_locked(f);
	}
	mutex_unlock(&f->handles->mu);
	vio_close(file);
}

/* --- life --- */

struct packfile *packfile_new(const struct packfile_options *o)
{
	struct packfile *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->vio = o->vio;
	f->handles = o->handles;
	f->number = o->number;
	f->read_only = o->read_only;
	f->same_volume = o->same_volume;
	memcpy(f->volume_id, o->volume_id, sizeof(f->volume_id));
	pack_name(f->name, o->number);
	mutex_init(&f->mu);
	cond_init(&f->quiet);
	return f;
}

void packfile_close(struct packfile *f)
{
	if (!f)
		return;
	packfile_forget(f);
	assert(f->users == 0);
	cond_destroy(&f->quiet);
	mutex_destroy(&f->mu);
	free(f->entries);
	free(f->gaps);
	free(f);
}

int packfile_create(struct packfile **out, const struct packfile_options *o)
{
	struct packfile *f = packfile_new(o);
	struct vio_file *file = NULL;
	struct pack_header h = { .number = o->number };
	uint8_t bytes[PACK_HEADER_SIZE];
	int rc = 0;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	rc = vio_open(f->vio, &file, f->name,
		      VIO_WRITE | VIO_CREATE | VIO_EXCL);
	if (rc < 0)
		goto fail;
	memcpy(h.volume_id, o->volume_id, sizeof(h.volume_id));
	pack_header_encode(bytes, &h);
	rc = vio_pwrite(file, bytes, sizeof(bytes), 0);
	if (rc == 0)
		rc = vio_fdatasync(file);
	vio_close(file);
	if (rc == 0)
		rc = vio_syncdir(f->vio, "packs");
	if (rc < 0) {
		/* nothing is in it: without a file the number is free */
		int ignored = vio_unlink(f->vio, f->name);

		(void)ignored;
		goto fail;
	}
	f->state = PACK_OPEN;
	f->end = PACK_HEADER_SIZE;
	f->durable = PACK_HEADER_SIZE;
	f->allocated = PACK_HEADER_SIZE;
	*out = f;
	return 0;
fail:
	packfile_close(f);
	return rc;
}

/* --- appending --- */

uint32_t packfile_cost(uint32_t stored_len)
{
	return PACK_RECORD_SIZE + stored_len + PACK_ENTRY_SIZE;
}

/* Size of the sealed pack once `more` bytes in `chunks` chunks are added. */
static uint64_t sealed_size(const struct packfile *f, uint64_t more,
			    uint32_t chunks)
{
	return f->end + more + ((uint64_t)f->count + chunks) * PACK_ENTRY_SIZE +
	       PACK_TRAILER_SIZE;
}

static bool fits_locked(const struct packfile *f, uint32_t stored_len)
{
	/* one close mark more than there may be, to be closed and reopened */
	return f->state == PACK_OPEN && f->count < PACK_ENTRIES_MAX &&
	       sealed_size(f, 2 * PACK_RECORD_SIZE + (uint64_t)stored_len, 1) <=
		       LIMIT_PACK;
}

bool packfile_fits(struct packfile *f, uint32_t stored_len)
{
	bool fits = false;

	mutex_lock(&f->mu);
	fits = fits_locked(f, stored_len);
	mutex_unlock(&f->mu);
	return fits;
}

int packfile_entry_add(struct packfile *f, const struct pack_entry *e)
{
	if (f->count == f->cap) {
		uint32_t cap = f->cap ? 2 * f->cap : 256;
		void *p = realloc(f->entries, cap * sizeof(*e));

		if (!p)
			return -ENOMEM;
		f->entries = p;
		f->cap = cap;
	}
	f->entries[f->count++] = *e;
	f->raw_bytes += e->raw_len;
	f->stored_bytes += e->stored_len;
	return 0;
}

/* Asks for room in steps, so that a flush cannot find the disk full. */
static int make_room_locked(struct packfile *f, struct vio_file *file,
			    uint64_t need)
{
	uint64_t step = f->end / 2;
	int rc = 0;

	if (f->no_allocate || need <= f->allocated)
		return 0;
	step = step < STEP_MIN ? STEP_MIN : step > STEP_MAX ? STEP_MAX : step;
	if (need + step > LIMIT_PACK)
		step = need < LIMIT_PACK ? LIMIT_PACK - need : 0;
	rc = vio_allocate(file, f->allocated, need + step - f->allocated);
	if (rc == -ENOSPC && step > 0) {
		step = 0;
		rc = vio_allocate(file, f->allocated, need - f->allocated);
	}
	if (rc == -ENOTSUP || rc == -ENOSYS || rc == -EOPNOTSUPP) {
		f->no_allocate = true;
		return 0;
	}
	if (rc == 0)
		f->allocated = need + step;
	return rc;
}

int packfile_append(struct packfile *f, uint32_t *out_off,
		    const struct chunk *c)
{
	struct pack_record r = { 0 };
	struct pack_entry e = { 0 };
	struct vio_file *file = NULL;
	uint8_t head[PACK_RECORD_SIZE];
	const struct vio_piece piece[] = { { head, sizeof(head) },
					   { c->stored, c->stored_len } };
	size_t n = PACK_RECORD_SIZE + (size_t)c->stored_len;
	int rc = 0;

	mutex_lock(&f->mu);
	assert(fits_locked(f, c->stored_len) &&
	       c->stored_len <= (uint32_t)LIMIT_CHUNK);
	rc = packfile_pin(f, &file);
	if (rc < 0)
		goto unlock;
	rc = make_room_locked(f, file, sealed_size(f, n, 1));
	if (rc < 0)
		goto unpin;
	pack_record_of(&r, c, (uint32_t)f->durable);
	pack_record_encode(head, &r);
	e = (struct pack_entry){
		.id = c->id,
		.off = (uint32_t)f->end,
		.stored_len = c->stored_len,
		.raw_len = c->raw_len,
		.type = c->type,
		.codec = c->codec,
	};
	rc = vio_pwritev(file, piece, 2, f->end);
	if (rc == 0)
		rc = packfile_entry_add(f, &e);
	if (rc == 0) {
		f->end += n;
		*out_off = e.off;
	}
unpin:
	packfile_unpin(f);
unlock:
	mutex_unlock(&f->mu);
	return rc;
}

uint64_t packfile_durable(struct packfile *f)
{
	uint64_t n = 0;

	mutex_lock(&f->mu);
	n = f->durable;
	mutex_unlock(&f->mu);
	return n;
}

enum packfile_state packfile_state(struct packfile *f)
{
	enum packfile_state state = PACK_GONE;

	mutex_lock(&f->mu);
	state = f->state;
	mutex_unlock(&f->mu);
	return state;
}

bool packfile_complete(struct packfile *f)
{
	bool complete = false;

	mutex_lock(&f->mu);
	complete = f->state != PACK_OPEN && !f->unreadable;
	mutex_unlock(&f->mu);
	return complete;
}

bool packfile_whole(struct packfile *f)
{
	bool whole = false;

	mutex_lock(&f->mu);
	whole = f->state != PACK_GONE && !f->unreadable && f->n_gaps == 0;
	mutex_unlock(&f->mu);
	return whole;
}

int packfile_remove(struct packfile *f)
{
	int rc = vio_unlink(f->vio, f->name);

	mutex_lock(&f->mu);
	f->state = PACK_GONE;
	packfile_lists_free_locked(f);
	mutex_unlock(&f->mu);
	packfile_forget(f); /* its room on the disk is free now */
	return rc == -ENOENT ? 0 : rc;
}

void packfile_unreadable(struct packfile *f)
{
	mutex_lock(&f->mu);
	f->unreadable = true;
	mutex_unlock(&f->mu);
}

void packfile_still(struct packfile *f)
{
	mutex_lock(&f->mu);
	if (f->state == PACK_OPEN)
		f->state = PACK_STILL;
	mutex_unlock(&f->mu);
}

/*
 * Writes bytes at the end, gives spare room back, flushes.  No other flush and
 * no pace runs: an error is told to this one.
 */
static int end_with_locked(struct packfile *f, const void *p, size_t n)
{
	struct vio_file *file = NULL;
	int rc = packfile_pin(f, &file);

	if (rc < 0)
		return rc;
	rc = vio_pwrite(file, p, n, f->end);
	if (rc == 0)
		rc = vio_truncate(file, f->end + n);
	if (rc == 0) {
		rc = vio_flush(file);
		f->broken = rc < 0;
	}
	packfile_unpin(f);
	if (rc < 0)
		return rc;
	f->end += n;
	f->durable = f->end;
	f->allocated = f->end;
	return 0;
}

static int off_compare(const void *a, const void *b)
{
	const struct pack_entry *x = a;
	const struct pack_entry *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

static int seal(struct packfile *f, bool listed)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	mutex_lock(&f->mu);
	rc = packfile_quiet_locked(f);
	if (rc < 0 || (f->state != PACK_OPEN && f->state != PACK_STILL))
		goto unlock;
	pack_footer_encode(&b, f->entries, f->count, f->end, f->number);
	rc = b.bad ? -ENOMEM : end_with_locked(f, b.p, b.n);
	if (rc < 0)
		goto unlock;
	f->state = PACK_SEALED;
	f->cut_bytes = 0;
	if (!listed || f->count > LISTED_MAX) {
		free(take(f->entries));
		f->cap = 0;
	} else if (f->count > 0) { /* the footer had them sorted by id */
		qsort(f->entries, f->count, sizeof(*f->entries), off_compare);
	}
unlock:
	mutex_unlock(&f->mu);
	buf_release(&b);
	return rc;
}

int packfile_seal(struct packfile *f)
{
	return seal(f, false);
}

int packfile_seal_listed(struct packfile *f)
{
	return seal(f, true);
}

void packfile_unlist(struct packfile *f)
{
	mutex_lock(&f->mu);
	if (f->state == PACK_SEALED) {
		free(take(f->entries));
		f->cap = 0;
	}
	mutex_unlock(&f->mu);
}

int packfile_mark(struct packfile *f)
{
	struct pack_record r = { .type = PACK_CLOSE_MARK };
	struct chunk none = { .type = PACK_CLOSE_MARK, .stored = (void *)"" };
	uint8_t bytes[PACK_RECORD_SIZE];
	int rc = 0;

	mutex_lock(&f->mu);
	rc = packfile_quiet_locked(f);
	if (rc == 0 && f->state == PACK_OPEN && f->marked != f->end) {
		pack_record_of(&r, &none, (uint32_t)f->durable);
		pack_record_encode(bytes, &r);
		rc = end_with_locked(f, bytes, sizeof(bytes));
		if (rc == 0)
			f->marked = f->end;
	}
	mutex_unlock(&f->mu);
	return rc;
}

/* --- reading --- */

ssize_t packfile_bytes(struct packfile *f, void *p, size_t n, uint64_t off)
{
	struct vio_file *file = NULL;
	ssize_t got = packfile_pin(f, &file);

	if (got < 0)
		return got;
	if (n > PACK_RECORD_SIZE)
		packfile_ahead(f, file, off, n);
	got = vio_pread(file, p, n, off);
	packfile_unpin(f);
	return got;
}

bool packfile_listed(struct packfile *f, struct pack_record *out, uint32_t off)
{
	const struct pack_entry *e = NULL;
	uint32_t lo = 0;
	uint32_t hi = 0;

	/* in order, or some are not found: a seal that failed left them so */
	mutex_lock(&f->mu);
	for (hi = f->entries ? f->count : 0; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (f->entries[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (f->entries && lo < f->count && f->entries[lo].off == off)
		e = &f->entries[lo];
	if (e)
		*out = (struct pack_record){
			.type = e->type,
			.codec = e->codec,
			.raw_len = e->raw_len,
			.stored_len = e->stored_len,
			.id = e->id,
		};
	mutex_unlock(&f->mu);
	return e != NULL;
}

int packfile_header(struct packfile *f, struct pack_record *out, uint32_t off)
{
	uint8_t bytes[PACK_RECORD_SIZE];
	ssize_t n = packfile_bytes(f, bytes, sizeof(bytes), off);

	if (n < 0)
		return (int)n;
	return pack_record_decode(out, bytes, (size_t)n);
}

int packfile_read(struct packfile *f, struct pack_record *out, uint8_t *p,
		  uint32_t off, uint32_t hint)
{
	size_t want = PACK_RECORD_SIZE + (size_t)hint;
	size_t have = 0;
	ssize_t n = 0;
	int rc = 0;

	assert(hint <= (uint32_t)LIMIT_CHUNK);
	n = packfile_bytes(f, p, want, off);
	if (n < 0)
		return (int)n;
	have = (size_t)n;
	rc = pack_record_decode(out, p, have);
	if (rc < 0)
		return rc;
	want = PACK_RECORD_SIZE + (size_t)out->stored_len;
	if (have < want) {
		n = packfile_bytes(f, p + have, want - have, off + have);
		if (n < 0)
			return (int)n;
		have += (size_t)n;
	}
	if (have < want)
		return -ERR_SHORT;
	return pack_record_holds(out, p + PACK_RECORD_SIZE, out->stored_len) ?
		       0 :
		       -ERR_CORRUPT;
}

int packfile_fetch(struct packfile *f, struct pack_record *out, uint8_t *p,
		   size_t cap, uint32_t off)
{
	ssize_t n = packfile_bytes(f, p, cap, off);
	int rc = 0;

	if (n < 0)
		return (int)n;
	rc = pack_record_decode(out, p, (size_t)n);
	if (rc == 0 && (size_t)n < PACK_RECORD_SIZE + (size_t)out->stored_len)
		rc = -ERR_SHORT;
	return rc;
}

int packfile_patch(struct packfile *f, uint64_t off, const void *p, size_t n)
{
	struct vio_file *file = NULL;
	int rc = packfile_pin(f, &file);

	if (rc < 0)
		return rc;
	rc = vio_pwrite(file, p, n, off);
	if (rc == 0)
		rc = packfile_flush_file(f, file);
	packfile_unpin(f);
	return rc;
}
