/*
 * fsck_packs.c - see fsck_packs.h.
 *
 * Renaming goes name by name, each durable before the next: at every moment
 * each pack has the name of some pack, so it may be killed and run again.
 * Packs that changed names in a circle are taken apart by one that gets a
 * number nobody had, until its own is free.
 */
#include "mount-tools/fsck_packs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/pack.h"
#include "fs/store/packfile.h"
#include "mount-tools/fsck_repair.h"
#include "mount-tools/verify.h"

enum { WORDS = 256 };

/* The packs there are: number in the name, and in the header (0: none). */
struct named {
	uint64_t name, header;
	int bad; /* of the header's decoding */
	bool foreign;
};

struct all {
	struct named *v;
	size_t n, cap;
};

static int on_name(void *ctx, const char *name)
{
	struct all *a = ctx;
	uint64_t number = pack_number(name);
	struct named *v;

	if (number == 0)
		return 0;
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 64;

		v = reallocarray(a->v, cap, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		a->v = v;
		a->cap = cap;
	}
	a->v[a->n++] = (struct named){ .name = number };
	return 0;
}

static int by_name(const void *p, const void *q)
{
	const struct named *a = p, *b = q;

	return a->name < b->name ? -1 : a->name > b->name;
}

static void read_header(struct named *n, struct vio *vio,
			const uint8_t volume_id[16])
{
	static const uint8_t unknown[16];
	uint8_t bytes[PACK_HEADER_SIZE];
	char name[PACK_NAME_SIZE];
	struct vio_file *f = NULL;
	struct pack_header h;
	ssize_t got;

	pack_name(name, n->name);
	n->bad = vio_open(vio, &f, name, VIO_READ);
	if (n->bad < 0)
		return;
	got = vio_pread(f, bytes, sizeof(bytes), 0);
	vio_close(f);
	n->bad =
		got < 0 ? (int)got : pack_header_decode(&h, bytes, (size_t)got);
	if (n->bad < 0)
		return;
	n->header = h.number;
	n->foreign = memcmp(h.volume_id, unknown, 16) != 0 &&
		     memcmp(h.volume_id, volume_id, 16) != 0;
}

static int list(struct all *a, struct vio *vio, const uint8_t volume_id[16])
{
	int rc = vio_list(vio, "packs", on_name, a);

	if (rc == -ENOENT)
		return 0;
	if (a->n > 1)
		qsort(a->v, a->n, sizeof(*a->v), by_name);
	for (size_t i = 0; rc == 0 && i < a->n; i++)
		read_header(&a->v[i], vio, volume_id);
	return rc;
}

/* --- looking --- */

__attribute__((format(printf, 2, 3))) static void tell(struct verify *v,
						       const char *fmt, ...)
{
	char words[WORDS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	verify_found(v, words);
	v->report.damaged++;
}

static int on_entry(void *ctx, const struct pack_entry *e)
{
	(void)ctx, (void)e;
	return 0;
}

/*
 * A crash while it was made left it: nothing was ever in it.  The next mount
 * gives it a header, so at rest there is none.
 */
static bool is_stillborn(const struct packfile_options *o)
{
	struct errmsg em = ERRMSG_INIT;
	struct packfile *f = NULL;
	bool empty = packfile_open(&f, o, &em) == 0 && !f->unreadable &&
		     packfile_state(f) != PACK_SEALED && f->count == 0;

	packfile_close(f);
	return empty;
}

/* Its footer, or its records where it is not sealed. */
static int look_inside(struct verify *v, const struct packfile_options *o,
		       const char *name, bool in_use)
{
	struct errmsg em = ERRMSG_INIT;
	struct packfile *f = NULL;
	int rc = packfile_open(&f, o, &em);

	if (rc == 0 && packfile_state(f) == PACK_SEALED) {
		rc = packfile_each(f, on_entry, NULL);
		if (rc < 0 && rc != -ENOMEM)
			tell(v, "%s: its footer is damaged: %s", name,
			     err_text(rc));
	} else if (rc == 0 && f->cut_bytes > 0 && !in_use) {
		tell(v,
		     "%s: %" PRIu64 " bytes at its end are no record and "
		     "no footer",
		     name, f->cut_bytes);
	} else if (rc < 0 && rc != -ENOMEM) {
		tell(v, "%s", errmsg_text(&em, rc));
	}
	packfile_close(f);
	return rc == -ENOMEM ? rc : 0;
}

static int look_at(struct verify *v, const struct named *n,
		   struct packfile_options *o, bool in_use)
{
	char name[PACK_NAME_SIZE];

	pack_name(name, n->name);
	if (n->bad == -EACCES)
		return 0; /* another user's: nothing can be said */
	o->number = n->name;
	if (n->bad < 0 && n->bad != -EIO && in_use && is_stillborn(o))
		return 0;
	if (n->bad < 0) {
		tell(v, "%s: its header is damaged: %s", name,
		     err_text(n->bad));
		return 0;
	}
	if (n->foreign) {
		tell(v, "%s: belongs to another volume", name);
		return 0;
	}
	if (n->header != n->name) {
		tell(v, "%s: is pack %" PRIu64 " under a wrong name", name,
		     n->header);
		return 0;
	}
	return look_inside(v, o, name, in_use);
}

int fsck_packs_look(struct verify *v, struct vio *vio,
		    const uint8_t volume_id[16], bool in_use)
{
	struct packfile_handles handles;
	struct packfile_options o = {
		.vio = vio,
		.handles = &handles,
		.volume_id = volume_id,
		.same_volume = true,
		.read_only = true,
	};
	struct all a = { .n = 0 };
	int rc = list(&a, vio, volume_id);

	packfile_handles_init(&handles, 4);
	for (size_t i = 0; rc == 0 && i < a.n; i++)
		rc = look_at(v, &a.v[i], &o, in_use);
	v->packs = a.n;
	packfile_handles_release(&handles);
	free(a.v);
	return rc;
}

/* --- renaming --- */

static struct named *find(struct all *a, uint64_t name)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].name == name)
			return &a->v[i];
	return NULL;
}

static bool is_misnamed(const struct named *n)
{
	return n->bad == 0 && !n->foreign && n->header != n->name;
}

static int rename_pack(struct fsck_repair *x, struct named *n, uint64_t number)
{
	char from[PACK_NAME_SIZE], to[PACK_NAME_SIZE];
	int rc;

	pack_name(from, n->name);
	pack_name(to, number);
	rc = vio_rename(x->vio, from, to);
	if (rc == 0)
		rc = vio_syncdir(x->vio, "packs");
	if (rc == 0 && number == n->header)
		fsck_repair_did(x,
				"%s: its header says that it is %s, and so "
				"it is called now",
				from, to);
	n->name = number;
	return rc;
}

/* Every pack whose own name is free gets it, until none is left. */
static int rename_free(struct fsck_repair *x, struct all *a)
{
	bool moved = true;
	int rc = 0;

	while (moved && rc == 0) {
		moved = false;
		for (size_t i = 0; i < a->n && rc == 0; i++) {
			struct named *n = &a->v[i];

			if (!is_misnamed(n) || find(a, n->header) != NULL)
				continue;
			rc = rename_pack(x, n, n->header);
			moved = true;
		}
	}
	return rc;
}

int fsck_packs_rename(struct fsck_repair *x, struct errmsg *em)
{
	struct all a = { .n = 0 };
	uint64_t free_number = 1;
	int rc = list(&a, x->vio, x->volume.id);

	if (rc == 0)
		rc = rename_free(x, &a);
	for (size_t i = 0; i < a.n; i++) {
		if (a.v[i].name >= free_number)
			free_number = a.v[i].name + 1;
		if (a.v[i].header >= free_number)
			free_number = a.v[i].header + 1;
	}
	for (size_t i = 0; rc == 0 && i < a.n; i++) {
		struct named *n = &a.v[i];
		struct named *other =
			is_misnamed(n) ? find(&a, n->header) : NULL;

		/* one that is rightly there, or damaged, stays */
		if (other == NULL || !is_misnamed(other))
			continue;
		rc = rename_pack(x, n, free_number++);
		if (rc == 0)
			rc = rename_free(x, &a);
	}
	free(a.v);
	return rc < 0 ? errmsg_set(em, rc, "packs: %s", err_text(rc)) : 0;
}
