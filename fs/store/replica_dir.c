/*
 * replica_dir.c - a replica in a directory, usually on another disk.
 *
 * The directory holds the objects under their names and a file IDENTITY that
 * says whose replica it is.  A directory with anything else in it, or of
 * another volume, is refused: nothing of anybody's is ever overwritten.
 *
 * Appended bytes are durable after sync: files stay open, and on the list,
 * until then.  A file whose flush failed leaves the list, and the failure is
 * counted: Linux drops the pages, keeps showing them, and says so only once,
 * so flushing again would succeed and prove nothing.
 *
 * Calls are serialised by the owner.
 */
#include "fs/store/replica.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/vio.h"

#define IDENTITY "vouchfs-replica"
#define IDENTITY_FORMAT "vouchfs replica 1\nvolume "

enum { DIRTY_MAX = 16, IDENTITY_MAX = 4096, NAME_SIZE = 256 };

struct dirty_file {
	struct vio_file *file;
	char name[NAME_SIZE];
};

struct dir_replica {
	struct replica base;
	struct vio *vio;
	bool own_vio;
	struct dirty_file dirty[DIRTY_MAX];
	unsigned n_dirty;
	char dirs[DIRTY_MAX][NAME_SIZE]; /* got new names */
	unsigned n_dirs;
};

static struct dir_replica *self(struct replica *r)
{
	return (struct dir_replica *)r;
}

/* Folder of an object; "" at the top.  -EINVAL for a name that leaves. */
static int folder_of(char out[NAME_SIZE], const char *name)
{
	const char *slash = strrchr(name, '/');

	if (strlen(name) >= NAME_SIZE || name[0] == '/' || name[0] == '\0' ||
	    strstr(name, "..") || strcmp(name, IDENTITY) == 0)
		return -EINVAL;
	snprintf(out, NAME_SIZE, "%.*s", slash ? (int)(slash - name) : 0, name);
	return 0;
}

/* --- sync --- */

static int sync_files(struct dir_replica *d)
{
	while (d->n_dirty > 0) {
		struct dirty_file *f = &d->dirty[d->n_dirty - 1];
		int rc = vio_fdatasync(f->file);

		vio_close(f->file);
		d->n_dirty--;
		if (rc < 0) {
			d->base.losses++;
			return rc;
		}
	}
	return 0;
}

static int dir_sync(struct replica *r)
{
	struct dir_replica *d = self(r);
	int rc = sync_files(d);

	while (rc == 0 && d->n_dirs > 0) {
		const char *dir = d->dirs[d->n_dirs - 1];

		rc = vio_syncdir(d->vio, dir[0] ? dir : ".");
		if (rc < 0)
			d->base.losses++;
		else
			d->n_dirs--;
	}
	return rc;
}

static int dir_touched(struct dir_replica *d, const char *dir)
{
	int rc = 0;

	for (unsigned i = 0; i < d->n_dirs; i++)
		if (strcmp(d->dirs[i], dir) == 0)
			return 0;
	if (d->n_dirs == DIRTY_MAX)
		rc = dir_sync(&d->base);
	if (rc == 0)
		snprintf(d->dirs[d->n_dirs++], NAME_SIZE, "%s", dir);
	return rc;
}

/* --- objects --- */

/* Makes the folder (two deep at most: ledger/journal) and notes both. */
static int make_folders(struct dir_replica *d, const char *dir)
{
	char up[NAME_SIZE] = "";
	int rc = 0;

	if (dir[0] == '\0')
		return 0;
	rc = vio_mkdirs(d->vio, dir);
	if (rc == 0)
		rc = folder_of(up, dir);
	if (rc == 0 && up[0] != '\0')
		rc = dir_touched(d, up);
	return rc < 0 ? rc : dir_touched(d, "");
}

/* The open file of an object, from the list of dirty ones or new on it. */
static int dirty_open(struct dir_replica *d, struct vio_file **out,
		      const char *name)
{
	char dir[NAME_SIZE] = "";
	struct dirty_file *f = NULL;
	int rc = folder_of(dir, name);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < d->n_dirty; i++) {
		if (strcmp(d->dirty[i].name, name) == 0) {
			*out = d->dirty[i].file;
			return 0;
		}
	}
	if (d->n_dirty == DIRTY_MAX)
		rc = sync_files(d);
	if (rc < 0)
		return rc;
	f = &d->dirty[d->n_dirty];
	rc = vio_open(d->vio, &f->file, name, VIO_WRITE);
	if (rc == -ENOENT) {
		rc = make_folders(d, dir);
		if (rc == 0)
			rc = vio_open(d->vio, &f->file, name,
				      VIO_WRITE | VIO_CREATE);
		if (rc == 0)
			rc = dir_touched(d, dir);
	}
	if (rc < 0)
		return rc;
	snprintf(f->name, NAME_SIZE, "%s", name);
	d->n_dirty++;
	*out = f->file;
	return 0;
}

static int dir_append(struct replica *r, const char *name, uint64_t off,
		      const void *p, size_t n)
{
	struct vio_file *file = NULL;
	struct vio_stat st = { 0 };
	int rc = dirty_open(self(r), &file, name);

	if (rc == 0)
		rc = vio_fstat(file, &st);
	if (rc == 0 && st.size != off)
		rc = -ESTALE;
	if (rc == 0)
		rc = vio_pwrite(file, p, n, off);
	return rc;
}

static int dir_patch(struct replica *r, const char *name, uint64_t off,
		     const void *p, size_t n)
{
	struct vio_file *file = NULL;
	int rc = dirty_open(self(r), &file, name);

	return rc < 0 ? rc : vio_pwrite(file, p, n, off);
}

static ssize_t dir_get(struct replica *r, const char *name, uint64_t off,
		       void *p, size_t n)
{
	struct vio_file *file = NULL;
	ssize_t got = vio_open(self(r)->vio, &file, name, VIO_READ);

	if (got < 0)
		return got;
	got = vio_pread(file, p, n, off);
	vio_close(file);
	return got;
}

static int dir_size(struct replica *r, const char *name, uint64_t *out)
{
	struct vio_stat st = { 0 };
	int rc = vio_stat(self(r)->vio, name, &st);

	*out = st.size;
	return rc;
}

struct listing {
	struct dir_replica *d;
	const char *prefix;
	replica_list_fn *fn;
	void *ctx;
};

static int list_one(void *ctx, const char *name)
{
	struct listing *l = ctx;
	char full[NAME_SIZE] = "";
	struct vio_stat st = { 0 };
	int rc = 0;

	if (snprintf(full, sizeof(full), "%s%s", l->prefix, name) >=
		    (int)sizeof(full) ||
	    strcmp(full, IDENTITY) == 0)
		return 0; /* none of ours is that long; that is no object */
	rc = vio_stat(l->d->vio, full, &st);
	if (rc == -ENOENT || (st.mode & S_IFMT) == S_IFDIR)
		return 0;
	return rc < 0 ? rc : l->fn(l->ctx, full, st.size);
}

static int dir_list(struct replica *r, const char *prefix, replica_list_fn *fn,
		    void *ctx)
{
	struct listing l = {
		.d = self(r),
		.prefix = prefix,
		.fn = fn,
		.ctx = ctx,
	};
	char dir[NAME_SIZE] = "";
	int rc = prefix[0] ? folder_of(dir, prefix) : 0;

	if (rc == 0)
		rc = vio_list(l.d->vio, dir[0] ? dir : ".", list_one, &l);
	return rc == -ENOENT ? 0 : rc;
}

static int dir_remove(struct replica *r, const char *name)
{
	struct dir_replica *d = self(r);
	char dir[NAME_SIZE] = "";
	int rc = folder_of(dir, name);

	if (rc == 0)
		rc = sync_files(d); /* none of them is this one then */
	if (rc == 0)
		rc = vio_unlink(d->vio, name);
	return rc < 0 ? rc : dir_touched(d, dir);
}

static int dir_put(struct replica *r, const char *name, const void *p, size_t n)
{
	struct dir_replica *d = self(r);
	char dir[NAME_SIZE] = "";
	int rc = folder_of(dir, name);

	/* what is open of it would be the old file: nobody appends to that */
	for (unsigned i = 0; rc == 0 && i < d->n_dirty; i++)
		if (strcmp(d->dirty[i].name, name) == 0)
			rc = sync_files(d);
	if (rc == 0)
		rc = make_folders(d, dir);
	return rc < 0 ? rc : atomic_file_write(d->vio, name, p, n, 0);
}

static void dir_close(struct replica *r)
{
	struct dir_replica *d = self(r);

	for (unsigned i = 0; i < d->n_dirty; i++)
		vio_close(d->dirty[i].file);
	if (d->own_vio)
		vio_free(d->vio);
	free(d);
}

static const struct replica_ops dir_ops = {
	.kind = "dir",
	.append = dir_append,
	.get = dir_get,
	.size = dir_size,
	.list = dir_list,
	.remove = dir_remove,
	.patch = dir_patch,
	.put = dir_put,
	.sync = dir_sync,
	.close = dir_close,
};

/* --- identity --- */

static int identity_read(struct vio *vio, uint8_t out[16], const char *name,
			 struct errmsg *em)
{
	struct buf b = BUF_INIT;
	const size_t head = strlen(IDENTITY_FORMAT);
	char hex[33] = "";
	char digits[3] = "";
	char *end = NULL;
	int rc = vio_read_file(vio, &b, IDENTITY, IDENTITY_MAX);

	if (rc == 0 &&
	    (b.n != head + 33 || memcmp(b.p, IDENTITY_FORMAT, head) != 0 ||
	     b.p[b.n - 1] != '\n'))
		rc = errmsg_set(em, -ERR_FORMAT,
				"%s: the file %s is not one of ours", name,
				IDENTITY);
	for (size_t i = 0; rc == 0 && i < 16; i++) {
		memcpy(digits, b.p + head + 2 * i, 2);
		out[i] = (uint8_t)strtoul(digits, &end, 16);
	}
	if (rc == 0) {
		digest_hex_bytes(hex, out, 16);
		if (memcmp(hex, b.p + head, 32) != 0)
			rc = errmsg_set(em, -ERR_FORMAT,
					"%s: the file %s is damaged", name,
					IDENTITY);
	}
	buf_release(&b);
	return rc;
}

static int any_name(void *ctx, const char *name)
{
	(void)ctx;
	/* what mkfs leaves, and a temporary file of ours */
	if (strcmp(name, "lost+found") == 0 ||
	    strncmp(name, IDENTITY, strlen(IDENTITY)) == 0)
		return 0;
	return 1;
}

static int identity_make(struct vio *vio, const uint8_t id[16],
			 const char *name, struct errmsg *em)
{
	char hex[33] = "";
	struct buf b = BUF_INIT;
	int rc = vio_list(vio, ".", any_name, NULL);

	if (rc > 0)
		return errmsg_set(em, -EEXIST,
				  "%s: not empty and no replica of ours", name);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", name, err_text(rc));
	digest_hex_bytes(hex, id, 16);
	buf_adds(&b, IDENTITY_FORMAT);
	buf_addf(&b, "%s\n", hex);
	rc = b.bad ? -ENOMEM : atomic_file_write(vio, IDENTITY, b.p, b.n, 0);
	buf_release(&b);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", name, err_text(rc)) : 0;
}

static int identity_check(struct vio *vio, const uint8_t id[16], int create,
			  const char *name, struct errmsg *em)
{
	uint8_t have[16] = { 0 };
	int rc = identity_read(vio, have, name, em);

	if (rc == -ENOENT && create)
		return identity_make(vio, id, name, em);
	if (rc == -ENOENT)
		return errmsg_set(em, rc, "%s: no replica there", name);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", name, err_text(rc));
	if (memcmp(have, id, 16) != 0)
		return errmsg_set(em, -EEXIST,
				  "%s: is a replica of another volume", name);
	return 0;
}

int replica_dir_open_vio(struct replica **out, struct vio *vio,
			 const char *name, const uint8_t volume_id[16],
			 int create, struct errmsg *em)
{
	struct dir_replica *d = calloc(1, sizeof(*d));
	int rc = 0;

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->base.ops = &dir_ops;
	d->vio = vio;
	snprintf(d->base.name, sizeof(d->base.name), "%s", name);
	memcpy(d->base.volume_id, volume_id, 16);
	rc = identity_check(vio, volume_id, create, name, em);
	if (rc < 0) {
		dir_close(&d->base);
		return rc;
	}
	*out = &d->base;
	return 0;
}

static int make_dir(const char *dir)
{
	struct vio *root = NULL;
	int rc = vio_posix_open(&root, "/");

	if (rc == 0)
		rc = vio_mkdirs(root, dir + 1);
	vio_free(root);
	return rc;
}

int replica_dir_open(struct replica **out, const char *dir,
		     const uint8_t volume_id[16], int create, struct errmsg *em)
{
	struct vio *vio = NULL;
	int rc = 0;

	*out = NULL;
	if (dir[0] != '/' || strlen(dir) >= sizeof((*out)->name))
		return errmsg_set(em, -EINVAL,
				  "%s: not an absolute path, or too long", dir);
	if (create && dir[1] != '\0')
		rc = make_dir(dir);
	if (rc == 0)
		rc = vio_posix_open(&vio, dir);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", dir, err_text(rc));
	rc = replica_dir_open_vio(out, vio, dir, volume_id, create, em);
	if (rc < 0)
		vio_free(vio);
	else
		self(*out)->own_vio = true;
	return rc;
}

int replica_dir_identify(const char *dir, uint8_t out_volume_id[16],
			 struct errmsg *em)
{
	struct vio *vio = NULL;
	int rc = vio_posix_open(&vio, dir);

	if (rc == 0)
		rc = identity_read(vio, out_volume_id, dir, em);
	vio_free(vio);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", dir, err_text(rc)) : 0;
}

void replica_close(struct replica *r)
{
	if (r)
		r->ops->close(r);
}
