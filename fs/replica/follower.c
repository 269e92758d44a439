/*
 * follower.c - one round of copying to one replica.
 *
 * First round, or first after an error: follower_state.c finds out what the
 * replica has.  Every round: write again what may not have been synced there,
 * note the objects that will grow in PROGRESS, append, sync, then the small
 * objects.
 *
 * Packs that gc removed are deleted on the replica at the end of a round that
 * copied everything: the list of them was taken before the packs were listed,
 * so what took their place was copied and synced.  The list itself goes
 * first, for who restores from the replica.
 *
 * Bytes in doubt are written over, not compared: after a flush that failed the
 * page cache shows bytes that are on no disk.  So that there are never many of
 * them, a long round syncs and saves PROGRESS every SYNC_EVERY bytes.
 *
 * A replica whose *synced* bytes go beyond the store's, or end otherwise than
 * the store's, is never written to: then one of the two is an older copy or
 * lost something, and the words say so.  (A journal segment that was settled
 * again has other bytes and says the same: follower_segment.c.)
 */
#include "fs/replica/replicate_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"

enum {
	HEAD = 64, /* a segment's epoch is in its header */
	TAIL = 4096,
	STEP = 1 << 20,
	WHOLE_MAX = 1 << 20,
	SYNC_EVERY = 256 << 20,
};

/* --- the store's side --- */

static ssize_t local_get(struct follower *f, struct vio_file **file,
			 const char *name, uint64_t off, void *p, size_t n)
{
	ssize_t rc = 0;

	if (!*file)
		rc = vio_open(f->owner->o.vio, file, name, VIO_READ);
	return rc < 0 ? rc : vio_pread(*file, p, n, off);
}

/*
 * Makes the replica's bytes in [o->synced, min(o->size, durable)) the store's.
 */
static int settle_doubt(struct follower *f, struct follower_object *o,
			uint64_t durable, uint8_t *scratch)
{
	uint64_t end = o->size < durable ? o->size : durable;
	struct vio_file *file = NULL;
	int rc = 0;

	for (uint64_t at = o->synced; rc == 0 && at < end;) {
		size_t n = end - at < STEP ? (size_t)(end - at) : STEP;
		ssize_t got = local_get(f, &file, o->name, at, scratch, n);

		if (got >= 0 && (size_t)got < n)
			got = -ERR_SHORT;
		rc = got < 0 ? (int)got :
			       follower_write(f, o->name, at, scratch, n, true);
		at += n;
	}
	vio_close(file);
	return rc;
}

struct wanted {
	char name[FOLLOWER_NAME];
	uint64_t durable;
	bool whole;
	bool complete; /* never grows again */
	bool skip;
	struct buf bytes; /* of a whole one */
};

struct wants {
	struct follower *f;
	struct wanted *v;
	uint32_t n, cap;
	struct removed removed; /* as it was at the beginning */
};

static int want(struct wants *w, const char *name, uint64_t durable, bool whole,
		bool complete)
{
	struct wanted *e = NULL;

	if (strlen(name) >= FOLLOWER_NAME)
		return -ENAMETOOLONG;
	if (w->n == w->cap) {
		uint32_t cap = w->cap ? 2 * w->cap : 32;
		void *p = realloc(w->v, cap * sizeof(*w->v));

		if (!p)
			return -ENOMEM;
		w->v = p;
		w->cap = cap;
	}
	e = &w->v[w->n++];
	*e = (struct wanted){ .durable = durable,
			      .whole = whole,
			      .complete = complete };
	snprintf(e->name, sizeof(e->name), "%s", name);
	return 0;
}

static void wants_release(struct wants *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		buf_release(&w->v[i].bytes);
	free(w->v);
	removed_release(&w->removed);
}

static int want_object(void *ctx, const char *name, uint64_t durable,
		       enum replicate_kind kind)
{
	return want(ctx, name, durable, kind == REPLICATE_WHOLE, false);
}

/* Small objects first (their bytes now), then what grows: invariant 2. */
static int list_wanted(struct follower *f, struct wants *w)
{
	struct replicate *r = f->owner;
	struct packfile *p = NULL;
	int rc = packs_removed(&r->o.store->packs, &w->removed);

	if (rc == 0 && r->o.objects)
		rc = r->o.objects(r->o.ctx, want_object, w);
	for (uint32_t i = 0; rc == 0 && i < w->n; i++) {
		if (!w->v[i].whole)
			continue;
		rc = vio_read_file(r->o.vio, &w->v[i].bytes, w->v[i].name,
				   WHOLE_MAX);
		if (rc == -ENOENT) {
			w->v[i].skip = true;
			rc = 0;
		}
	}
	/* the journal again: what those files speak of is in it by now */
	if (rc == 0 && r->o.objects) {
		struct wants again = { .f = f };

		rc = r->o.objects(r->o.ctx, want_object, &again);
		for (uint32_t i = 0; i < again.n && rc == 0; i++) {
			uint32_t k = 0;

			if (again.v[i].whole)
				continue;
			while (k < w->n &&
			       strcmp(w->v[k].name, again.v[i].name) != 0)
				k++;
			if (k < w->n)
				w->v[k].durable = again.v[i].durable;
			else
				rc = want(w, again.v[i].name,
					  again.v[i].durable, false, false);
		}
		wants_release(&again);
	}
	p = packs_after(&r->o.store->packs,
			f->packs_below ? f->packs_below - 1 : 0);
	for (; rc == 0 && p; p = packs_after(&r->o.store->packs, p->number))
		if (packfile_state(p) != PACK_GONE)
			rc = want(w, p->name, packfile_durable(p), false,
				  packfile_state(p) == PACK_SEALED);
	return rc;
}

/* --- copying --- */

/* 1: store and replica have the same n bytes at off; 0: they have not. */
static int same_bytes(struct follower *f, const char *name, uint64_t off,
		      size_t n, uint8_t *scratch)
{
	struct vio_file *file = NULL;
	ssize_t a = local_get(f, &file, name, off, scratch, n);
	ssize_t b = 0;

	vio_close(file);
	b = follower_read(f, name, off, scratch + TAIL, n);
	if (a < 0 || b < 0)
		return (int)(a < 0 ? a : b);
	return a == b && memcmp(scratch, scratch + TAIL, n) == 0;
}

/*
 * -ERR_ROLLBACK when the synced bytes begin or end otherwise than the store's
 * do, and are no segment that was settled again.
 */
static int compare_ends(struct follower *f, struct follower_object *o,
			uint64_t durable, uint8_t *scratch, struct errmsg *em)
{
	size_t head = o->synced < HEAD ? (size_t)o->synced : HEAD;
	size_t tail = o->synced < TAIL ? (size_t)o->synced : TAIL;
	int rc = 0;

	if (o->compared || tail == 0)
		return 0;
	/* a large record can hide its checksum from the tail */
	rc = same_bytes(f, o->name, 0, head, scratch);
	if (rc > 0)
		rc = same_bytes(f, o->name, o->synced - tail, tail, scratch);
	if (rc == 0)
		rc = follower_take_segment(f, o, durable);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return errmsg_set(em, -ERR_ROLLBACK,
				  "%s: the replica has other bytes before "
				  "%" PRIu64 " than the store",
				  o->name, o->synced);
	o->compared = true;
	return 0;
}

/* Notes an object that is about to grow. */
static int prepare(struct follower *f, const struct wanted *w, uint8_t *scratch,
		   struct errmsg *em)
{
	struct follower_object *o = follower_object(f, w->name);
	int rc = 0;

	if (!o)
		return -ENOMEM;
	if (o->synced < w->durable)
		rc = compare_ends(f, o, w->durable, scratch, em);
	if (rc == 0 && o->open && o->synced < o->size)
		rc = settle_doubt(f, o, w->durable, scratch);
	if (rc < 0)
		return rc;
	if (o->open && o->size > w->durable && o->synced <= w->durable)
		o->size = w->durable; /* the rest is written over in time */
	if (o->synced > w->durable)
		return errmsg_set(em, -ERR_ROLLBACK,
				  "%s: the replica has %" PRIu64
				  " bytes, the store only %" PRIu64,
				  w->name, o->synced, w->durable);
	if (o->size < w->durable && !o->open) {
		o->open = true;
		o->synced = o->size;
		f->progress_dirty = true;
	}
	return 0;
}

static bool is_removed(struct follower *f, const char *name)
{
	uint64_t number = pack_number(name);

	return number > 0 &&
	       packs_is_removed(&f->owner->o.store->packs, number);
}

static bool is_stopping(struct follower *f)
{
	bool stop = false;

	mutex_lock(&f->owner->mu);
	stop = f->stop;
	mutex_unlock(&f->owner->mu);
	return stop;
}

static int append_object(struct follower *f, const struct wanted *w,
			 uint8_t *scratch, uint64_t *out_bytes)
{
	struct follower_object *o = follower_find(f, w->name);
	struct vio_file *file = NULL;
	int rc = 0;

	while (rc == 0 && o->size < w->durable && !is_stopping(f)) {
		uint64_t left = w->durable - o->size;
		uint64_t old = o->physical - o->size; /* to write over */
		size_t n = left < STEP ? (size_t)left : STEP;
		ssize_t got = 0;

		if (old > 0 && old < n)
			n = (size_t)old;
		got = local_get(f, &file, w->name, o->size, scratch, n);

		if (got == -ENOENT && is_removed(f, w->name))
			break; /* a moment ago */
		if (got >= 0 && (size_t)got < n)
			got = -ERR_SHORT;
		rc = got < 0 ? (int)got :
			       follower_write(f, w->name, o->size, scratch, n,
					      old > 0);
		if (rc == 0) {
			o->size += n;
			*out_bytes += n;
		}
		if (o->physical < o->size)
			o->physical = o->size;
	}
	vio_close(file);
	return rc;
}

static int put_whole(struct follower *f, const struct wanted *w)
{
	struct follower_object *o = follower_object(f, w->name);
	uint64_t sum = XXH64(w->bytes.n ? w->bytes.p : (const uint8_t *)"",
			     w->bytes.n, 0);
	int rc = 0;

	if (!o)
		return -ENOMEM;
	o->whole = true;
	o->open = false;
	if (o->sum == sum && o->size == w->bytes.n)
		return 0;
	rc = follower_put(f, w->name,
			  w->bytes.n ? (const char *)w->bytes.p : "",
			  w->bytes.n);
	if (rc == 0) {
		o->sum = sum;
		o->size = w->bytes.n;
		o->synced = w->bytes.n;
	}
	return rc;
}

static bool grows(const struct wanted *w)
{
	return !w->whole && !w->skip;
}

/*
 * All that was written is synced: nothing is in doubt, and sealed packs that
 * were copied whole are done with.
 */
static void settled(struct follower *f, const struct wants *w)
{
	bool all_before = true;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct wanted *e = &w->v[i];
		struct follower_object *o = follower_find(f, e->name);
		uint64_t number = pack_number(e->name);
		bool done = false;

		if (!grows(e) || !o) {
			all_before = all_before && !e->skip;
			continue;
		}
		done = e->complete && o->size >= e->durable;
		if (o->synced != o->size || (o->open && done))
			f->progress_dirty = true;
		o->synced = o->size;
		if (done)
			o->open = false;
		all_before = all_before && (number == 0 || done);
		if (number > 0 && all_before)
			f->packs_below = number + 1;
	}
}

/* Prepares all; an object the replica has more of is left alone. */
static int prepare_all(struct follower *f, struct wants *w, uint8_t *scratch,
		       int *out_left, struct errmsg *em)
{
	for (uint32_t i = 0; i < w->n; i++) {
		int rc = 0;

		if (!grows(&w->v[i]))
			continue;
		rc = prepare(f, &w->v[i], scratch, em);
		if (rc == -ENOENT && is_removed(f, w->v[i].name)) {
			w->v[i].skip = true;
			rc = 0;
		} else if (rc == -ERR_ROLLBACK) {
			w->v[i].skip = true;
			*out_left = rc;
		} else if (rc < 0) {
			return rc;
		}
	}
	return follower_progress_save(f);
}

/* The list of removed packs, if the replica has another one. */
static int put_removed(struct follower *f, const struct wants *w)
{
	struct wanted list = { .name = REMOVED_NAME, .whole = true };
	int rc = 0;

	removed_encode(&list.bytes, &w->removed,
		       f->owner->o.store->packs.volume_id);
	rc = list.bytes.bad ? -ENOMEM : put_whole(f, &list);
	buf_release(&list.bytes);
	return rc;
}

static int remove_packs(struct follower *f, const struct wants *w)
{
	int rc = w->removed.n ? put_removed(f, w) : 0;

	for (uint32_t i = f->n; rc == 0 && i-- > 0;) {
		uint64_t number = pack_number(f->objects[i].name);
		char name[PACK_NAME_SIZE];

		if (number == 0 || !removed_has(&w->removed, number))
			continue;
		pack_name(name, number);
		rc = follower_remove(f, name);
	}
	return rc;
}

static int sync_all(struct follower *f, const struct wants *w)
{
	int rc = follower_sync(f);

	if (rc == 0)
		settled(f, w);
	return rc;
}

static int append_all(struct follower *f, const struct wants *w,
		      uint8_t *scratch)
{
	uint64_t bytes = 0;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < w->n; i++) {
		if (!grows(&w->v[i]))
			continue;
		rc = append_object(f, &w->v[i], scratch, &bytes);
		if (rc < 0 || bytes < SYNC_EVERY)
			continue;
		bytes = 0;
		rc = sync_all(f, w);
		if (rc == 0)
			rc = follower_progress_save(f);
	}
	return rc < 0 ? rc : sync_all(f, w);
}

static int copy_all(struct follower *f, struct wants *w, struct errmsg *em)
{
	autofree uint8_t *scratch = malloc(STEP);
	int left = 0;
	int rc = -ENOMEM;

	if (scratch)
		rc = prepare_all(f, w, scratch, &left, em);
	if (rc == 0)
		rc = append_all(f, w, scratch);
	if (rc < 0)
		return rc;
	if (is_stopping(f)) {
		rc = follower_progress_save(f);
		return errmsg_set(em, rc < 0 ? rc : -ERR_AGAIN,
				  "stopped before it had all");
	}
	for (uint32_t i = 0; rc == 0 && i < w->n; i++)
		if (w->v[i].whole && !w->v[i].skip)
			rc = put_whole(f, &w->v[i]);
	if (rc == 0 && left == 0)
		rc = remove_packs(f, w);
	return rc < 0 ? rc : left;
}

int follower_round(struct follower *f, uint64_t position, uint64_t *out_behind,
		   struct errmsg *em)
{
	struct wants w = { .f = f };
	int rc = 0;

	if (!f->known)
		rc = follower_refresh(f);
	if (rc == 0)
		rc = list_wanted(f, &w);
	if (rc == 0)
		rc = copy_all(f, &w, em);
	if (rc == 0 && position != f->saved_position) {
		f->saved_position = position;
		f->progress_dirty = true;
	}
	*out_behind = 0;
	for (uint32_t i = 0; i < w.n; i++) {
		const struct follower_object *o = follower_find(f, w.v[i].name);
		uint64_t have = o ? o->size : 0;

		if (w.v[i].durable > have && !w.v[i].whole)
			*out_behind += w.v[i].durable - have;
	}
	if (rc < 0) {
		f->known = false;
		errmsg_wrap(em, rc, "replica %s", f->replica->replica->name);
	}
	wants_release(&w);
	return rc;
}
