/*
 * follower_state.c - what one replica is known to have.
 *
 * At first, and after an error: list its objects, read its PROGRESS, and give
 * the store back what it lacks.
 *
 * PROGRESS, a small object of the replica, in text:
 *   vouchfs progress 1
 *   position N
 *   open SYNCED NAME        one line for each object in doubt beyond SYNCED
 *
 * Used by the follower's thread alone.
 */
#include "fs/replica/replicate_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"

#define PROGRESS "progress"
#define PROGRESS_HEAD "vouchfs progress 1\n"

enum { PROGRESS_MAX = 1 << 20 };

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

struct follower_object *follower_find(const struct follower *f,
				      const char *name)
{
	uint32_t i = place(f, name);

	return i < f->n && strcmp(f->objects[i].name, name) == 0 ?
		       &f->objects[i] :
		       NULL;
}

/* Finds or adds; NULL: no memory, or a name too long for us. */
struct follower_object *follower_object(struct follower *f, const char *name)
{
	uint32_t i = place(f, name);
	struct follower_object *o = follower_find(f, name);

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

ssize_t follower_read(struct follower *f, const char *name, uint64_t off,
		      void *p, size_t n)
{
	ssize_t got = 0;

	mutex_lock(&f->replica->mu);
	got = ops(f)->get(f->replica->replica, name, off, p, n);
	mutex_unlock(&f->replica->mu);
	return got;
}

int follower_write(struct follower *f, const char *name, uint64_t off,
		   const void *p, size_t n, bool in_place)
{
	int rc = 0;

	mutex_lock(&f->replica->mu);
	rc = (in_place ? ops(f)->patch : ops(f)->append)(f->replica->replica,
							 name, off, p, n);
	mutex_unlock(&f->replica->mu);
	return rc;
}

int follower_put(struct follower *f, const char *name, const void *p, size_t n)
{
	int rc = 0;

	mutex_lock(&f->replica->mu);
	rc = ops(f)->put(f->replica->replica, name, p, n);
	mutex_unlock(&f->replica->mu);
	return rc;
}

int follower_sync(struct follower *f)
{
	int rc = 0;

	mutex_lock(&f->replica->mu);
	rc = ops(f)->sync(f->replica->replica);
	if (rc == 0 && f->losses != f->replica->replica->losses)
		rc = -EIO; /* another's flush took bytes of ours with it */
	mutex_unlock(&f->replica->mu);
	return rc;
}

int follower_remove(struct follower *f, const char *name)
{
	struct follower_object *o = follower_find(f, name);
	int rc = 0;

	if (!o)
		return 0;
	mutex_lock(&f->replica->mu);
	rc = ops(f)->remove(f->replica->replica, name);
	mutex_unlock(&f->replica->mu);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (o->open)
		f->progress_dirty = true;
	f->n--;
	memmove(o, o + 1,
		(size_t)(f->objects + f->n - o) * sizeof(*f->objects));
	return 0;
}

/* --- progress --- */

int follower_progress_save(struct follower *f)
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
	rc = b.bad ? -ENOMEM : follower_put(f, PROGRESS, b.p, b.n);
	buf_release(&b);
	if (rc == 0)
		f->progress_dirty = false;
	return rc;
}

void follower_finish(struct follower *f)
{
	if (f->known)
		(void)!follower_progress_save(
			f); /* else it is compared again */
}

/* One "open" line; what it says beyond the listing is not believed. */
static void progress_line(struct follower *f, const char *line)
{
	struct follower_object *o = NULL;
	uint64_t synced = 0;
	char name[FOLLOWER_NAME] = "";

	if (sscanf(line, "open %" SCNu64 " %95s", &synced, name) != 2)
		return;
	o = follower_find(f, name);
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
	n = follower_read(f, PROGRESS, 0, text, PROGRESS_MAX);
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

/* --- refreshing --- */

static int note_object(void *ctx, const char *name, uint64_t size)
{
	struct follower *f = ctx;
	struct follower_object *o = NULL;

	if (strlen(name) >= FOLLOWER_NAME || strcmp(name, PROGRESS) == 0)
		return 0;
	o = follower_object(f, name);
	if (!o)
		return -ENOMEM;
	o->size = size;
	o->physical = size;
	o->synced = size;
	return 0;
}

/* Finds out what the replica has, and gives the store what it lacks. */
int follower_refresh(struct follower *f)
{
	static const char *const folders[] = { "", "packs/", "ledger/",
					       "ledger/journal/", "keys/" };
	struct store *s = f->owner->o.store;
	int rc = 0;

	f->n = 0;
	f->packs_below = 0;
	mutex_lock(&f->replica->mu);
	f->losses = f->replica->replica->losses;
	mutex_unlock(&f->replica->mu);
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
