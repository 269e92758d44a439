/*
 * follower.c - one round of copying to one replica.
 *
 * First round, or first after an error: list what the replica has, read its
 * PROGRESS, compare what may not have been synced there, and give the store
 * back what it lacks.  Every round: note the objects that will grow in
 * PROGRESS, append, sync, then the small objects.
 *
 * PROGRESS, a small object of the replica, in text:
 *   vouchfs progress 1
 *   position N
 *   open SYNCED NAME        one line for each object in doubt beyond SYNCED
 *
 * Bytes in doubt that differ from the store's are written over; a replica
 * whose *synced* bytes go beyond the store's, or end otherwise than the
 * store's, is never written to: then one of the two is an older copy or lost
 * something, and the words say so.
 */
#include "fs/replicate_int.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/replica.h"
#include "fs/store_int.h"

#define PROGRESS "progress"
#define PROGRESS_HEAD "vouchfs progress 1\n"

enum {
	TAIL = 4096,
	STEP = 1 << 20,
	PROGRESS_MAX = 1 << 20,
	WHOLE_MAX = 1 << 20
};

static const struct replica_ops *ops(const struct follower *f)
{
	return f->replica->replica->ops;
}

void follower_free(struct follower *f)
{
	store_replica_put(f->owner->o.store, f->replica);
	free(f->objects);
	free(f);
}

/* --- the table of objects --- */

static uint32_t place(const struct follower *f, const char *name)
{
	uint32_t lo = 0;
	uint32_t hi = f->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(f->objects[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct follower_object *find(const struct follower *f, const char *name)
{
	uint32_t i = place(f, name);

	return i < f->n && strcmp(f->objects[i].name, name) == 0 ?
		       &f->objects[i] :
		       NULL;
}

/* Finds or adds; NULL: no memory, or a name too long for us. */
static struct follower_object *get(struct follower *f, const char *name)
{
	uint32_t i = place(f, name);
	struct follower_object *o = find(f, name);

	if (o)
		return o;
	if (strlen(name) >= FOLLOWER_NAME)
		return NULL;
	if (f->n == f->cap) {
		uint32_t cap = f->cap ? 2 * f->cap : 64;
		void *p = realloc(f->objects, cap * sizeof(*o));

		if (!p)
			return NULL;
		f->objects = p;
		f->cap = cap;
	}
	o = &f->objects[i];
	memmove(o + 1, o, (f->n - i) * sizeof(*o));
	f->n++;
	*o = (struct follower_object){ .size = 0 };
	snprintf(o->name, sizeof(o->name), "%s", name);
	return o;
}

/* --- the replica, serialised --- */

static ssize_t remote_get(struct follower *f, const char *name, uint64_t off,
			  void *p, size_t n)
{
	ssize_t got = 0;

	mutex_lock(&f->replica->mu);
	got = ops(f)->get(f->replica->replica, name, off, p, n);
	mutex_unlock(&f->replica->mu);
	return got;
}

static int remote_write(struct follower *f, const char *name, uint64_t off,
			const void *p, size_t n, bool in_place)
{
	int rc = 0;

	mutex_lock(&f->replica->mu);
	rc = (in_place ? ops(f)->patch : ops(f)->append)(f->replica->replica,
							 name, off, p, n);
	mutex_unlock(&f->replica->mu);
	return rc;
}

static int remote_put(struct follower *f, const char *name, const void *p,
		      size_t n)
{
	int rc = 0;

	mutex_lock(&f->replica->mu);
	rc = ops(f)->put(f->replica->replica, name, p, n);
	mutex_unlock(&f->replica->mu);
	return rc;
}

static int remote_sync(struct follower *f)
{
	int rc = 0;

	mutex_lock(&f->replica->mu);
	rc = ops(f)->sync(f->replica->replica);
	mutex_unlock(&f->replica->mu);
	return rc;
}

/* --- progress --- */

static int progress_save(struct follower *f)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	if (!f->progress_dirty)
		return 0;
	buf_adds(&b, PROGRESS_HEAD);
	buf_addf(&b, "position %" PRIu64 "\n", f->position);
	for (uint32_t i = 0; i < f->n; i++)
		if (f->objects[i].open)
			buf_addf(&b, "open %" PRIu64 " %s\n",
				 f->objects[i].synced, f->objects[i].name);
	rc = b.bad ? -ENOMEM : remote_put(f, PROGRESS, b.p, b.n);
	buf_release(&b);
	if (rc == 0)
		f->progress_dirty = false;
	return rc;
}

void follower_finish(struct follower *f)
{
	if (f->known)
		(void)!progress_save(f); /* else it is compared again */
}

/* One "open" line; what it says beyond the listing is not believed. */
static void progress_line(struct follower *f, const char *line)
{
	struct follower_object *o = NULL;
	uint64_t synced = 0;
	char name[FOLLOWER_NAME] = "";

	if (sscanf(line, "open %" SCNu64 " %95s", &synced, name) != 2)
		return;
	o = find(f, name);
	if (!o)
		return;
	o->open = true;
	o->synced = synced < o->size ? synced : o->size;
}

static int progress_load(struct follower *f)
{
	autofree char *text = malloc(PROGRESS_MAX + 1);
	char *line = NULL;
	char *rest = NULL;
	ssize_t n = 0;

	if (!text)
		return -ENOMEM;
	n = remote_get(f, PROGRESS, 0, text, PROGRESS_MAX);
	if (n < 0 && n != -ENOENT)
		return (int)n;
	text[n > 0 ? n : 0] = '\0';
	if (strncmp(text, PROGRESS_HEAD, strlen(PROGRESS_HEAD)) != 0) {
		/* no word of what was synced: everything is in doubt */
		for (uint32_t i = 0; i < f->n; i++) {
			f->objects[i].open = true;
			f->objects[i].synced = 0;
		}
		return 0;
	}
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		progress_line(f, line);
	return 0;
}

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
		size_t n = end - at < STEP / 2 ? (size_t)(end - at) : STEP / 2;
		ssize_t a = local_get(f, &file, o->name, at, scratch, n);
		ssize_t b = remote_get(f, o->name, at, scratch + STEP / 2, n);

		if (a >= 0 && (size_t)a < n)
			a = -ERR_SHORT;
		if (a < 0 || b < 0)
			rc = a < 0 ? (int)a : (int)b;
		else if (b != a || memcmp(scratch, scratch + STEP / 2, n) != 0)
			rc = remote_write(f, o->name, at, scratch, n, true);
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
	int rc = 0;

	if (r->o.objects)
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

/* --- refreshing --- */

static int note_object(void *ctx, const char *name, uint64_t size)
{
	struct follower *f = ctx;
	struct follower_object *o = NULL;

	if (strlen(name) >= FOLLOWER_NAME || strcmp(name, PROGRESS) == 0)
		return 0;
	o = get(f, name);
	if (!o)
		return -ENOMEM;
	o->size = size;
	o->physical = size;
	o->synced = size;
	return 0;
}

/* Finds out what the replica has, and gives the store what it lacks. */
static int refresh(struct follower *f)
{
	static const char *const folders[] = { "", "packs/", "ledger/",
					       "ledger/journal/", "keys/" };
	struct store *s = f->owner->o.store;
	int rc = 0;

	f->n = 0;
	f->packs_below = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(*folders);
	     i++) {
		mutex_lock(&f->replica->mu);
		rc = ops(f)->list(f->replica->replica, folders[i], note_object,
				  f);
		mutex_unlock(&f->replica->mu);
	}
	if (rc == 0)
		rc = progress_load(f);
	for (uint32_t i = 0; rc == 0 && i < f->n; i++) {
		const struct follower_object *o = &f->objects[i];
		uint64_t number = pack_number(o->name);

		if (number > 0)
			rc = store_restore_pack(s, f->replica, number,
						o->synced);
		/* what could not be restored is told when it is read */
		if (rc != -ENOMEM && rc != -ENOSPC)
			rc = 0;
	}
	f->known = rc == 0;
	f->progress_dirty = true;
	return rc;
}

/* --- copying --- */

/* -ERR_ROLLBACK when the synced bytes end otherwise than the store's do. */
static int compare_tail(struct follower *f, struct follower_object *o,
			uint8_t *scratch, struct errmsg *em)
{
	size_t n = o->synced < TAIL ? (size_t)o->synced : TAIL;
	struct vio_file *file = NULL;
	ssize_t a = 0;
	ssize_t b = 0;

	if (o->compared || n == 0)
		return 0;
	a = local_get(f, &file, o->name, o->synced - n, scratch, n);
	vio_close(file);
	b = remote_get(f, o->name, o->synced - n, scratch + TAIL, n);
	if (a < 0 || b < 0)
		return (int)(a < 0 ? a : b);
	if (a != b || memcmp(scratch, scratch + TAIL, n) != 0)
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
	struct follower_object *o = get(f, w->name);
	int rc = 0;

	if (!o)
		return -ENOMEM;
	if (o->synced < w->durable)
		rc = compare_tail(f, o, scratch, em);
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

static int append_object(struct follower *f, const struct wanted *w,
			 uint8_t *scratch)
{
	struct follower_object *o = find(f, w->name);
	struct vio_file *file = NULL;
	int rc = 0;

	while (rc == 0 && o->size < w->durable) {
		uint64_t left = w->durable - o->size;
		uint64_t old = o->physical - o->size; /* to write over */
		size_t n = left < STEP ? (size_t)left : STEP;
		ssize_t got = 0;

		if (old > 0 && old < n)
			n = (size_t)old;
		got = local_get(f, &file, w->name, o->size, scratch, n);

		if (got >= 0 && (size_t)got < n)
			got = -ERR_SHORT;
		rc = got < 0 ? (int)got :
			       remote_write(f, w->name, o->size, scratch, n,
					    old > 0);
		if (rc == 0)
			o->size += n;
		if (o->physical < o->size)
			o->physical = o->size;
	}
	vio_close(file);
	return rc;
}

static int put_whole(struct follower *f, const struct wanted *w)
{
	struct follower_object *o = get(f, w->name);
	uint64_t sum = XXH64(w->bytes.n ? w->bytes.p : (const uint8_t *)"",
			     w->bytes.n, 0);
	int rc = 0;

	if (!o)
		return -ENOMEM;
	o->whole = true;
	o->open = false;
	if (o->sum == sum && o->size == w->bytes.n)
		return 0;
	rc = remote_put(f, w->name, w->bytes.n ? (const char *)w->bytes.p : "",
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

/* All is synced: nothing is in doubt, and sealed packs are done with. */
static void settled(struct follower *f, const struct wants *w)
{
	bool all_before = true;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct wanted *e = &w->v[i];
		struct follower_object *o = find(f, e->name);
		uint64_t number = pack_number(e->name);

		if (!grows(e) || !o) {
			all_before = all_before && !e->skip;
			continue;
		}
		if (o->synced != o->size || (o->open && e->complete))
			f->progress_dirty = true;
		o->synced = o->size;
		if (e->complete)
			o->open = false;
		all_before = all_before && (number == 0 || e->complete);
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
		if (rc == -ERR_ROLLBACK) {
			w->v[i].skip = true;
			*out_left = rc;
		} else if (rc < 0) {
			return rc;
		}
	}
	return progress_save(f);
}

static int copy_all(struct follower *f, struct wants *w, struct errmsg *em)
{
	autofree uint8_t *scratch = malloc(STEP);
	int left = 0;
	int rc = -ENOMEM;

	if (scratch)
		rc = prepare_all(f, w, scratch, &left, em);
	for (uint32_t i = 0; rc == 0 && i < w->n; i++)
		if (grows(&w->v[i]))
			rc = append_object(f, &w->v[i], scratch);
	if (rc == 0)
		rc = remote_sync(f);
	if (rc < 0)
		return rc;
	settled(f, w);
	for (uint32_t i = 0; rc == 0 && i < w->n; i++)
		if (w->v[i].whole && !w->v[i].skip)
			rc = put_whole(f, &w->v[i]);
	return rc < 0 ? rc : left;
}

int follower_round(struct follower *f, uint64_t position, uint64_t *out_behind,
		   struct errmsg *em)
{
	struct wants w = { .f = f };
	int rc = 0;

	if (!f->known)
		rc = refresh(f);
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
		const struct follower_object *o = find(f, w.v[i].name);
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
