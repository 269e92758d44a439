/*
 * packs.c - the set of packs of a store.  See packs.h.
 */
#include "fs/store/packs.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"

/* --- opening --- */

struct numbers {
	uint64_t *v;
	size_t n, cap;
};

static int number_add(void *ctx, const char *name)
{
	struct numbers *s = ctx;
	uint64_t number = pack_number(name);

	if (number == 0)
		return 0;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		void *p = realloc(s->v, cap * sizeof(*s->v));

		if (!p)
			return -ENOMEM;
		s->v = p;
		s->cap = cap;
	}
	s->v[s->n++] = number;
	return 0;
}

static int number_order(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int grow(struct packfile ***v, uint32_t n, uint32_t *cap)
{
	uint32_t more = *cap ? 2 * *cap : 16;
	void *p = NULL;

	if (n < *cap)
		return 0;
	p = realloc(*v, more * sizeof(struct packfile *));
	if (!p)
		return -ENOMEM;
	*v = p;
	*cap = more;
	return 0;
}

static uint32_t place_locked(const struct packs *p, uint64_t number)
{
	uint32_t lo = 0;
	uint32_t hi = p->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->v[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int insert_locked(struct packs *p, struct packfile *f)
{
	uint32_t i = place_locked(p, f->number);
	int rc = grow(&p->v, p->n, &p->cap);

	if (rc < 0)
		return rc;
	assert(i == p->n || p->v[i]->number != f->number);
	memmove(p->v + i + 1, p->v + i, (p->n - i) * sizeof(struct packfile *));
	p->v[i] = f;
	p->n++;
	if (p->next <= f->number)
		p->next = f->number + 1;
	return 0;
}

static struct packfile_options options(struct packs *p, uint64_t number)
{
	return (struct packfile_options){
		.vio = p->vio,
		.handles = &p->handles,
		.volume_id = p->volume_id,
		.number = number,
		.read_only = p->read_only,
		.same_volume = p->same_volume,
	};
}

/* `still`: nothing is to be appended to it. */
static int open_one(struct packs *p, uint64_t number, bool still,
		    struct errmsg *em)
{
	struct packfile_options o = options(p, number);
	struct packfile *f = NULL;
	int rc = packfile_open(&f, &o, em);

	if (rc < 0)
		return rc;
	if (still)
		packfile_still(f);
	mutex_lock(&p->mu);
	rc = grow(&p->idle, p->n_idle, &p->cap_idle);
	if (rc == 0)
		rc = insert_locked(p, f);
	if (rc == 0 && packfile_state(f) == PACK_OPEN)
		p->idle[p->n_idle++] = f;
	mutex_unlock(&p->mu);
	if (rc < 0)
		packfile_close(f);
	return rc;
}

/* What gc decided to remove is removed, and its numbers are not used again. */
static int open_removed(struct packs *p)
{
	struct errmsg em = ERRMSG_INIT;
	int rc = removed_load(&p->removed, p->vio, p->volume_id, &em);

	if (rc == -ERR_CORRUPT)
		snprintf(p->removed_bad, sizeof(p->removed_bad), "%s",
			 errmsg_text(&em, rc));
	if (p->next <= removed_last(&p->removed))
		p->next = removed_last(&p->removed) + 1;
	return rc == -ERR_CORRUPT ? 0 : rc;
}

static int open_or_delete(struct packs *p, uint64_t number, struct errmsg *em)
{
	char name[PACK_NAME_SIZE];

	if (!removed_has(&p->removed, number))
		return open_one(p, number, false, em);
	pack_name(name, number);
	/* what cannot be deleted now can be the next time */
	if (!p->read_only)
		(void)!vio_unlink(p->vio, name);
	return 0;
}

int packs_open(struct packs *p, struct vio *vio, const struct packs_options *o,
	       struct errmsg *em)
{
	struct numbers all = { 0 };
	int rc = 0;

	*p = (struct packs){
		.vio = vio,
		.read_only = o->read_only,
		.same_volume = o->same_volume,
		.next = o->next_min ? o->next_min : 1,
	};
	memcpy(p->volume_id, o->volume_id, sizeof(p->volume_id));
	mutex_init(&p->mu);
	packfile_handles_init(&p->handles, PACKS_HANDLES);
	if (!o->read_only)
		rc = vio_mkdirs(vio, "packs");
	if (rc == 0)
		rc = vio_list(vio, "packs", number_add, &all);
	if (rc == -ENOENT && o->read_only)
		rc = 0;
	if (rc == 0)
		rc = open_removed(p);
	if (rc < 0)
		errmsg_set(em, rc, "packs: %s", err_text(rc));
	if (all.n > 1)
		qsort(all.v, all.n, sizeof(*all.v), number_order);
	for (size_t i = 0; rc == 0 && i < all.n; i++)
		rc = open_or_delete(p, all.v[i], em);
	free(all.v);
	return rc;
}

int packs_close(struct packs *p, bool mark)
{
	int rc = 0;

	if (!p->vio)
		return 0;
	for (uint32_t i = 0; i < p->n; i++) {
		if (mark && rc == 0 && !p->read_only)
			rc = packfile_mark(p->v[i]);
		packfile_close(p->v[i]);
	}
	for (uint32_t i = 0; i < p->n_gone; i++)
		packfile_close(p->gone[i]);
	removed_release(&p->removed);
	free(p->gone);
	free(p->v);
	free(p->idle);
	packfile_handles_release(&p->handles);
	mutex_destroy(&p->mu);
	*p = (struct packs){ 0 };
	return rc;
}

/* --- finding --- */

struct packfile *packs_find(struct packs *p, uint64_t number)
{
	struct packfile *f = packs_after(p, number - 1);

	return f && f->number == number ? f : NULL;
}

struct packfile *packs_after(struct packs *p, uint64_t number)
{
	struct packfile *f = NULL;
	uint32_t i = 0;

	mutex_lock(&p->mu);
	i = place_locked(p, number + 1);
	if (i < p->n)
		f = p->v[i];
	mutex_unlock(&p->mu);
	return f;
}

void packs_mark(struct packs *p, uint64_t *out_first, uint64_t *out_next)
{
	mutex_lock(&p->mu);
	*out_next = p->next;
	*out_first = p->next;
	for (uint32_t i = p->n; i-- > 0;)
		if (!packfile_complete(p->v[i]))
			*out_first = p->v[i]->number;
	if (p->n_creating > 0 && p->creating < *out_first)
		*out_first = p->creating;
	mutex_unlock(&p->mu);
}

uint64_t packs_print(struct packs *p, uint64_t first)
{
	uint64_t print = 1;

	mutex_lock(&p->mu);
	for (uint32_t i = 0; i < p->n && print != 0; i++) {
		struct packfile *f = p->v[i];
		uint64_t v[4] = { f->number };

		if (f->number < first)
			continue;
		if (!packfile_whole(f)) {
			print = 0;
			break;
		}
		mutex_lock(&f->mu);
		v[1] = f->count;
		v[2] = f->raw_bytes;
		v[3] = f->stored_bytes;
		mutex_unlock(&f->mu);
		print = XXH64(v, sizeof(v), print) | 1;
	}
	mutex_unlock(&p->mu);
	return print;
}

bool packs_lags(struct packs *p, const struct packfile *f)
{
	bool lags = false;

	mutex_lock(&p->mu);
	lags = f->number + PACKS_SPREAD < p->next;
	mutex_unlock(&p->mu);
	return lags;
}

/* --- appending --- */

/* Is there a file of this number, or may there be? */
static bool is_there(struct packs *p, uint64_t number)
{
	char name[PACK_NAME_SIZE];
	struct vio_stat st;

	pack_name(name, number);
	return vio_stat(p->vio, name, &st) != -ENOENT;
}

static int create(struct packs *p, struct packfile **out, uint64_t number)
{
	struct packfile_options o = options(p, number);
	struct packfile *f = NULL;
	int rc = packfile_create(&f, &o);
	bool is_free = rc < 0 && !is_there(p, number);

	mutex_lock(&p->mu);
	p->n_creating--;
	if (rc == 0)
		rc = insert_locked(p, f);
	else if (is_free && p->next == number + 1)
		p->next = number;
	mutex_unlock(&p->mu);
	if (rc < 0) {
		packfile_close(f);
		return rc;
	}
	*out = f;
	return 0;
}

int packs_take(struct packs *p, struct packfile **out)
{
	struct packfile *f = NULL;
	uint64_t number = 0;

	mutex_lock(&p->mu);
	if (p->n_idle > 0) {
		f = p->idle[--p->n_idle];
	} else {
		number = p->next++;
		if (p->n_creating++ == 0)
			p->creating = number;
	}
	mutex_unlock(&p->mu);
	if (!f)
		return create(p, out, number);
	*out = f;
	return 0;
}

int packs_give_back(struct packs *p, struct packfile *f)
{
	int rc = packfile_flush(f);

	if (rc < 0)
		return rc;
	mutex_lock(&p->mu);
	if (packfile_state(f) == PACK_OPEN) {
		rc = grow(&p->idle, p->n_idle, &p->cap_idle);
		if (rc == 0)
			p->idle[p->n_idle++] = f;
	}
	mutex_unlock(&p->mu);
	return rc;
}

int packs_tidy(struct packs *p)
{
	for (;;) {
		struct packfile *f = NULL;
		int rc = 0;

		mutex_lock(&p->mu);
		for (uint32_t i = 0; i < p->n_idle && !f; i++) {
			if (p->idle[i]->number + PACKS_SPREAD >= p->next)
				continue;
			f = p->idle[i];
			p->idle[i] = p->idle[--p->n_idle];
		}
		mutex_unlock(&p->mu);
		if (!f)
			return 0;
		rc = packfile_seal(f);
		if (rc == -ENOSPC) {
			rc = packs_give_back(p, f);
			return rc < 0 ? rc : -ENOSPC;
		}
		if (rc < 0)
			return rc;
	}
}

void packs_listed(struct packs *p, struct packfile *f)
{
	struct packfile *old = NULL;

	mutex_lock(&p->mu);
	old = p->listed[p->listed_at];
	p->listed[p->listed_at] = f;
	p->listed_at = (p->listed_at + 1) % PACKS_LISTED;
	mutex_unlock(&p->mu);
	if (old)
		packfile_unlist(old);
}

int packs_adopt(struct packs *p, struct packfile **out, uint64_t number,
		struct errmsg *em)
{
	int rc = 0;

	*out = packs_find(p, number);
	if (*out)
		return packfile_reopen(*out, em);
	rc = open_one(p, number, true, em);
	*out = rc == 0 ? packs_find(p, number) : NULL;
	return rc;
}

/* --- gc --- */

/* Takes the idle pack with the highest number below this one. */
static struct packfile *take_idle(struct packs *p, uint64_t below)
{
	struct packfile *f = NULL;
	uint32_t at = 0;

	mutex_lock(&p->mu);
	for (uint32_t i = 0; i < p->n_idle; i++) {
		if (p->idle[i]->number >= below ||
		    (f && p->idle[i]->number < f->number))
			continue;
		f = p->idle[i];
		at = i;
	}
	if (f)
		p->idle[at] = p->idle[--p->n_idle];
	mutex_unlock(&p->mu);
	return f;
}

int packs_seal_idle(struct packs *p, bool (*fn)(void *ctx, struct packfile *f),
		    void *ctx)
{
	struct packfile *f = take_idle(p, UINT64_MAX);
	int rc = 0;

	for (; rc == 0 && f; f = take_idle(p, f->number)) {
		rc = fn(ctx, f) ? packfile_seal(f) : -ENOSPC;
		if (rc == -ENOSPC) /* or nothing to seal it for */
			rc = packs_give_back(p, f);
	}
	return rc;
}

bool packs_is_removed(struct packs *p, uint64_t number)
{
	bool yes = false;

	mutex_lock(&p->mu);
	yes = removed_has(&p->removed, number);
	mutex_unlock(&p->mu);
	return yes;
}

uint64_t packs_missing(struct packs *p)
{
	uint64_t n = 0;
	uint64_t have = 0;

	mutex_lock(&p->mu);
	n = p->next - 1 - p->n_creating;
	for (uint32_t i = 0; i < p->removed.n; i++)
		have += p->removed.v[i].last - p->removed.v[i].first + 1;
	for (uint32_t i = 0; i < p->n; i++)
		have += !removed_has(&p->removed, p->v[i]->number);
	mutex_unlock(&p->mu);
	return n > have ? n - have : 0;
}

int packs_removed(struct packs *p, struct removed *out)
{
	int rc = 0;

	mutex_lock(&p->mu);
	rc = removed_copy(out, &p->removed);
	mutex_unlock(&p->mu);
	return rc;
}

/* The list as it will be, written. */
static int write_removed(struct packs *p, struct removed *r,
			 struct packfile **v, uint32_t n)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = removed_add(r, v[i]->number);
	if (rc == 0) {
		removed_encode(&b, r, p->volume_id);
		rc = b.bad ? -ENOMEM :
			     atomic_file_write(p->vio, REMOVED_NAME, b.p, b.n,
					       0);
	}
	buf_release(&b);
	return rc;
}

/* Out of the set; readers that still hold it keep their open file. */
static void take_out_locked(struct packs *p, struct packfile *f)
{
	uint32_t i = place_locked(p, f->number);

	assert(i < p->n && p->v[i] == f);
	p->n--;
	memmove(p->v + i, p->v + i + 1, (p->n - i) * sizeof(struct packfile *));
	p->gone[p->n_gone++] = f;
}

size_t packs_removed_bad(struct packs *p, char *out, size_t cap)
{
	mutex_lock(&p->mu);
	snprintf(out, cap, "%s", p->removed_bad);
	mutex_unlock(&p->mu);
	return strlen(out);
}

int packs_remove(struct packs *p, struct packfile **v, uint32_t n)
{
	struct removed list = { .n = 0 };
	int rc = packs_removed(p, &list);

	mutex_lock(&p->mu);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = grow(&p->gone, p->n_gone + n, &p->cap_gone);
	mutex_unlock(&p->mu);
	if (rc == 0)
		rc = write_removed(p, &list, v, n);
	if (rc < 0) {
		removed_release(&list);
		return rc;
	}
	mutex_lock(&p->mu);
	removed_release(&p->removed);
	p->removed = list;
	p->removed_bad[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		take_out_locked(p, v[i]);
	mutex_unlock(&p->mu);
	for (uint32_t i = 0; i < n; i++) {
		int gone = packfile_remove(v[i]);

		rc = rc == 0 ? gone : rc;
	}
	return rc == 0 ? vio_syncdir(p->vio, "packs") : rc;
}
