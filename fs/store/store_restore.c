/*
 * store_restore.c - packs that the store lost and a replica still has.
 *
 * A pack that is missing is fetched whole; a pack that was cut short or has
 * gaps gets the records it lacks, unless what it holds instead disagrees: then
 * it is left alone.  Nothing is done to a pack that is being written.
 *
 * One restorer at a time (store.restore_mu); any thread.
 */
#include "fs/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"

enum { RESTORE_STEP = 1 << 20 };
#define RESTORE_INTERVAL_NS (10LL * 1000 * 1000 * 1000)
#define RESTORE_TEMP "packs/restore.tmp"

static int copy_object(struct store *s, struct store_replica *r,
		       const char *name)
{
	autofree uint8_t *p = malloc(RESTORE_STEP);
	struct vio_file *file = NULL;
	uint64_t off = 0;
	ssize_t n = 0;
	int rc = 0;

	if (!p)
		return -ENOMEM;
	rc = vio_mkdirs(s->vio, "packs");
	if (rc == 0)
		rc = vio_open(s->vio, &file, RESTORE_TEMP,
			      VIO_WRITE | VIO_CREATE | VIO_TRUNC);
	if (rc < 0)
		return rc;
	do {
		n = store_replica_bytes(r, name, off, p, RESTORE_STEP);
		if (n > 0)
			rc = vio_pwrite(file, p, (size_t)n, off);
		if (n > 0)
			off += (uint64_t)n;
	} while (rc == 0 && n == RESTORE_STEP && off < LIMIT_PACK);
	if (rc == 0 && n < 0)
		rc = (int)n;
	if (rc == 0)
		rc = vio_fdatasync(file);
	vio_close(file);
	if (rc == 0)
		rc = vio_rename(s->vio, RESTORE_TEMP, name);
	if (rc == 0)
		rc = vio_syncdir(s->vio, "packs");
	return rc;
}

/* Ids of records that were put back: told when no lock is held any more. */
struct mended {
	struct digest *v;
	size_t n, cap;
};

/* Best effort: what cannot be noted is repaired all the same. */
static void mended_add(struct mended *m, const struct digest *id)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		void *p = realloc(m->v, cap * sizeof(*m->v));

		if (!p)
			return;
		m->v = p;
		m->cap = cap;
	}
	m->v[m->n++] = *id;
}

static int mend_one(void *ctx, const struct pack_entry *e)
{
	mended_add(ctx, &e->id);
	return 0;
}

static void mended_tell(struct mended *m, struct store *s,
			const struct store_replica *r)
{
	for (size_t i = 0; i < m->n; i++)
		store_told_repair(s, &m->v[i], r->replica->name, true);
	free(m->v);
}

static int restore_whole(struct store *s, struct store_replica *r,
			 uint64_t number, struct mended *mended)
{
	char name[PACK_NAME_SIZE];
	struct packfile *f = NULL;
	int rc = 0;

	pack_name(name, number);
	rc = copy_object(s, r, name);
	if (rc == 0)
		rc = packs_adopt(&s->packs, &f, number, NULL);
	if (rc == 0)
		rc = store_list_pack(s, f);
	if (rc == 0)
		rc = packfile_each(f, mend_one, mended);
	return rc < 0 ? rc : 1;
}

struct merge {
	struct store *store;
	struct mended *mended;
	struct packfile *file;
	const uint8_t *p; /* the replica's bytes */
	size_t n;
	struct pack_entry *have; /* the store's records, by offset */
	uint32_t count;
	bool patched;
};

static int offset_order(const void *a, const void *b)
{
	const struct pack_entry *x = a;
	const struct pack_entry *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

static int collect(void *ctx, const struct pack_entry *e)
{
	struct merge *m = ctx;

	m->have[m->count++] = *e;
	return 0;
}

/*
 * 1: the store has this very record; 0: it has nothing there; -ESTALE: it
 * has something else.
 */
static int compare_place(const struct merge *m, uint64_t off,
			 const struct pack_record *r)
{
	uint64_t end = off + PACK_RECORD_SIZE + r->stored_len;

	for (uint32_t i = 0; i < m->count; i++) {
		const struct pack_entry *e = &m->have[i];
		uint64_t e_end =
			e->off + PACK_RECORD_SIZE + (uint64_t)e->stored_len;

		if (e->off == off && digest_eq(&e->id, &r->id))
			return 1;
		if (e->off < end && off < e_end)
			return -ESTALE;
	}
	return 0;
}

/* Walks the replica's records; `write`: puts those that are missing back. */
static int merge_records(struct merge *m, bool write)
{
	struct pack_record r = { 0 };
	size_t off = PACK_HEADER_SIZE;

	while (off < m->n) {
		const uint8_t *stored = m->p + off + PACK_RECORD_SIZE;
		size_t len = 0;
		int rc = pack_record_decode(&r, m->p + off, m->n - off);

		if (rc == 0)
			len = PACK_RECORD_SIZE + (size_t)r.stored_len;
		if (rc < 0 || len > m->n - off ||
		    !pack_record_holds(&r, stored, r.stored_len)) {
			off = pack_find_record(m->p, m->n, off + 1);
			continue;
		}
		rc = compare_place(m, off, &r);
		if (rc < 0)
			return rc;
		if (rc == 0 && write) {
			rc = store_fail(
				m->store,
				packfile_patch(m->file, off, m->p + off, len));
			if (rc < 0)
				return rc;
			m->patched = true;
			if (r.type != PACK_CLOSE_MARK)
				mended_add(m->mended, &r.id);
		}
		off += len;
	}
	return 0;
}

/* The footer, when the replica has one and the records are all there. */
static int merge_footer(struct merge *m)
{
	struct pack_trailer t = { 0 };
	const uint8_t *end = m->p + m->n - PACK_TRAILER_SIZE;
	int rc = 0;

	if (m->n < PACK_HEADER_SIZE + PACK_TRAILER_SIZE ||
	    pack_trailer_decode(&t, end, m->n) < 0 ||
	    t.number != m->file->number)
		return 0;
	rc = packfile_patch(m->file, t.entries_off, m->p + t.entries_off,
			    m->n - t.entries_off);
	m->patched = m->patched || rc == 0;
	return store_fail(m->store, rc);
}

static int merge_pack(struct store *s, struct store_replica *r,
		      struct packfile *f, struct mended *mended)
{
	autofree uint8_t *p = malloc(LIMIT_PACK);
	autofree struct pack_entry *have = NULL;
	struct merge m = {
		.store = s,
		.mended = mended,
		.file = f,
		.p = p,
	};
	ssize_t n = 0;
	int rc = 0;

	if (!p)
		return -ENOMEM;
	have = calloc((size_t)f->count + 1, sizeof(*have));
	if (!have)
		return -ENOMEM;
	m.have = have;
	n = store_replica_bytes(r, f->name, 0, p, LIMIT_PACK);
	if (n < 0)
		return (int)n;
	m.n = (size_t)n;
	rc = packfile_each(f, collect, &m);
	if (rc < 0)
		return rc;
	if (m.count > 1)
		qsort(m.have, m.count, sizeof(*m.have), offset_order);
	/* first look, then write: an object that disagrees is left alone */
	rc = merge_records(&m, false);
	if (rc == 0)
		rc = merge_records(&m, true);
	if (rc == 0)
		rc = merge_footer(&m);
	if (rc < 0 || !m.patched)
		return rc;
	rc = packfile_reopen(f, NULL);
	if (rc == 0)
		rc = store_list_pack(s, f);
	return rc < 0 ? rc : 1;
}

int store_restore_pack(struct store *s, struct store_replica *r,
		       uint64_t number, uint64_t size)
{
	struct packfile *f = packs_find(&s->packs, number);
	struct vio_stat st = { 0 };
	struct mended mended = { .n = 0 };
	char name[PACK_NAME_SIZE];
	int rc = 0;

	if (s->read_only)
		return -EROFS;
	pack_name(name, number);
	mutex_lock(&s->restore_mu);
	rc = vio_stat(s->vio, name, &st);
	/* asked now: what gc deletes is on its list before */
	if (packs_is_removed(&s->packs, number))
		rc = 0; /* not lost: gc gave it up */
	else if (f && packfile_state(f) == PACK_OPEN)
		rc = 0; /* somebody writes to it */
	else if (rc == -ENOENT)
		rc = restore_whole(s, r, number, &mended);
	else if (rc == 0 && f && packfile_state(f) == PACK_STILL &&
		 (size > f->end || f->n_gaps > 0))
		rc = merge_pack(s, r, f, &mended);
	mutex_unlock(&s->restore_mu);
	mended_tell(&mended, s, r);
	return rc;
}

/* What of the pack this replica has: 0, -errno. */
static int size_there(struct store_replica *r, const struct packfile *f,
		      uint64_t *out)
{
	int rc = 0;

	*out = 0;
	mutex_lock(&r->mu);
	rc = r->replica->ops->size(r->replica, f->name, out);
	mutex_unlock(&r->mu);
	return rc == -ENOENT ? 0 : rc;
}

int store_restore_end(struct store *s, struct packfile *f)
{
	struct store_replica *r = store_replica_next(s, NULL);

	for (; r; r = store_replica_next(s, r)) {
		uint64_t size = 0;
		int rc = size_there(r, f, &size);

		if (rc == 0 && size > packfile_durable(f))
			rc = store_restore_pack(s, r, f->number, size);
		if (rc >= 0 && size > packfile_durable(f))
			rc = -ERR_CORRUPT;
		if (rc < 0) {
			store_replica_put(s, r);
			return rc;
		}
	}
	return 0;
}

struct found {
	struct {
		uint64_t number, size;
	} * v;
	size_t n, cap;
};

static int note_pack(void *ctx, const char *name, uint64_t size)
{
	struct found *l = ctx;
	uint64_t number = pack_number(name);

	if (number == 0)
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		void *p = realloc(l->v, cap * sizeof(*l->v));

		if (!p)
			return -ENOMEM;
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n].number = number;
	l->v[l->n++].size = size;
	return 0;
}

static int restore_from(struct store *s, struct store_replica *r)
{
	struct found l = { .n = 0 };
	int better = 0;
	int rc = 0;

	mutex_lock(&r->mu);
	rc = r->replica->ops->list(r->replica, "packs/", note_pack, &l);
	mutex_unlock(&r->mu);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		int got = store_restore_pack(s, r, l.v[i].number, l.v[i].size);

		if (got > 0)
			better++;
		if (got == -ENOSPC || got == -ENOMEM)
			rc = got;
	}
	free(l.v);
	return rc < 0 && better == 0 ? rc : better;
}

int store_restore_missing(struct store *s, bool now)
{
	int64_t t = vio_mono_ns(s->vio);
	struct store_replica *r = NULL;
	bool due = false;
	int better = 0;

	if (s->read_only)
		return 0;
	mutex_lock(&s->restore_mu);
	due = now || s->restored_ns == 0 ||
	      t - s->restored_ns >= RESTORE_INTERVAL_NS;
	if (due)
		s->restored_ns = t;
	mutex_unlock(&s->restore_mu);
	if (!due)
		return 0;
	for (r = store_replica_next(s, NULL); r; r = store_replica_next(s, r)) {
		int got = restore_from(s, r);

		if (got > 0)
			better += got;
	}
	return better;
}
