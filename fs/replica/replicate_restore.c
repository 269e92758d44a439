/*
 * replicate_restore.c - makes a lost store again from one replica.
 *
 * Every object is copied to a temporary name and renamed, volume.conf last:
 * until then there is no volume, and the copy can be begun anew.
 */
#include "fs/replica/replicate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"

#define VOLUME_CONF "volume.conf"
#define TEMP "restore.tmp"

enum { STEP = 1 << 20, NAME_SIZE = 256 };

struct restored {
	char name[NAME_SIZE];
	uint64_t size;
};

struct restore {
	struct vio *vio;
	struct replica *replica;
	struct restored *v;
	size_t n, cap;
	uint64_t done, all;
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
	uint8_t *scratch;
};

static int note(void *ctx, const char *name, uint64_t size)
{
	struct restore *r = ctx;

	if (strlen(name) >= NAME_SIZE || strcmp(name, "progress") == 0 ||
	    strcmp(name, "vouchfs-replica") == 0)
		return 0;
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 64;
		void *p = realloc(r->v, cap * sizeof(*r->v));

		if (!p)
			return -ENOMEM;
		r->v = p;
		r->cap = cap;
	}
	memcpy(r->v[r->n].name, name, strlen(name) + 1);
	r->v[r->n++].size = size;
	r->all += size;
	return 0;
}

static int copy_bytes(struct restore *r, const char *name)
{
	struct vio_file *file = NULL;
	uint64_t off = 0;
	ssize_t n = 0;
	int rc = vio_open(r->vio, &file, TEMP,
			  VIO_WRITE | VIO_CREATE | VIO_TRUNC);

	if (rc < 0)
		return rc;
	do {
		n = r->replica->ops->get(r->replica, name, off, r->scratch,
					 STEP);
		if (n < 0) {
			rc = (int)n;
			break;
		}
		rc = vio_pwrite(file, r->scratch, (size_t)n, off);
		off += (uint64_t)n;
		r->done += (uint64_t)n;
		if (r->progress)
			r->progress(r->ctx, r->done, r->all);
	} while (rc == 0 && n == STEP);
	if (rc == 0)
		rc = vio_fdatasync(file);
	vio_close(file);
	return rc;
}

static int copy_one(struct restore *r, const char *name, struct errmsg *em)
{
	char dir[NAME_SIZE] = "";
	const char *slash = strrchr(name, '/');
	int rc = 0;

	if (slash) {
		memcpy(dir, name, (size_t)(slash - name));
		rc = vio_mkdirs(r->vio, dir);
	}
	if (rc == 0)
		rc = copy_bytes(r, name);
	if (rc == 0)
		rc = vio_rename(r->vio, TEMP, name);
	if (rc == 0)
		rc = vio_syncdir(r->vio, dir[0] ? dir : ".");
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", name, err_text(rc)) : 0;
}

static int list_all(struct restore *r)
{
	static const char *const folders[] = { "", "packs/", "ledger/",
					       "ledger/journal/", "keys/" };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(*folders);
	     i++)
		rc = r->replica->ops->list(r->replica, folders[i], note, r);
	return rc;
}

int replicate_restore(struct vio *vio, struct replica *replica,
		      void (*progress)(void *ctx, uint64_t done, uint64_t all),
		      void *ctx, struct errmsg *em)
{
	struct restore r = {
		.vio = vio,
		.replica = replica,
		.progress = progress,
		.ctx = ctx,
	};
	autofree uint8_t *scratch = malloc(STEP);
	struct vio_stat st = { 0 };
	bool volume = false;
	int rc = vio_stat(vio, VOLUME_CONF, &st);

	if (rc == 0)
		return errmsg_set(em, -EEXIST, "a volume is there already");
	if (rc != -ENOENT)
		return errmsg_set(em, rc, "%s: %s", VOLUME_CONF, err_text(rc));
	if (!scratch)
		return -ENOMEM;
	r.scratch = scratch;
	rc = list_all(&r);
	for (size_t i = 0; rc == 0 && i < r.n; i++) {
		if (strcmp(r.v[i].name, VOLUME_CONF) == 0)
			volume = true;
		else
			rc = copy_one(&r, r.v[i].name, em);
	}
	if (rc == 0)
		rc = volume ? copy_one(&r, VOLUME_CONF, em) :
			      errmsg_set(em, -ENOENT,
					 "%s: the replica has no %s",
					 replica->name, VOLUME_CONF);
	free(r.v);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", replica->name,
				   err_text(rc)) :
			0;
}
