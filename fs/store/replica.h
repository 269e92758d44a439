/*
 * replica.h - where packs and journal segments live besides the store: one
 * narrow interface, one file per kind.  The store itself is replica 0.
 *
 * Objects are named by relative paths ("packs/00000007.pack",
 * "journal/00000001.vj"), grow only at their end, and are never changed.
 * A kind without cheap appends may keep parts; nobody else notices.
 *
 * Threads: calls on one replica are serialised by its owner.
 */
#ifndef FS_REPLICA_H
#define FS_REPLICA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"

struct errmsg;
struct replica;
struct vio;

typedef int replica_list_fn(void *ctx, const char *name, uint64_t size);

struct replica_ops {
	const char *kind; /* "dir" */
	/*
	 * Extends object `name`, which has exactly `off` bytes, by n bytes;
	 * -ESTALE when it has not.
	 */
	int (*append)(struct replica *r, const char *name, uint64_t off,
		      const void *p, size_t n);
	/* Full read of a range; short at the end: bytes read or -errno. */
	ssize_t (*get)(struct replica *r, const char *name, uint64_t off,
		       void *p, size_t n);
	/* -ENOENT when missing. */
	int (*size)(struct replica *r, const char *name, uint64_t *out);
	/* Objects whose names start with the folder `prefix` ("packs/"). */
	int (*list)(struct replica *r, const char *prefix, replica_list_fn *fn,
		    void *ctx);
	int (*remove)(struct replica *r, const char *name);
	/* Writes lost bytes of an object back in place (repair). */
	int (*patch)(struct replica *r, const char *name, uint64_t off,
		     const void *p, size_t n);
	/* Replaces a small object whole, atomically (identity, checkpoint). */
	int (*put)(struct replica *r, const char *name, const void *p,
		   size_t n);
	/*
	 * Everything appended, patched or put so far is durable.  After a
	 * failure nobody knows which of the bytes written since the last good
	 * one are on the disk, though reading shows them all: they have to be
	 * written again, a later sync does not bring them back.
	 */
	int (*sync)(struct replica *r);
	void (*close)(struct replica *r);
};

struct replica {
	const struct replica_ops *ops;
	char name[256]; /* as `vouch replica list` shows it */
	/* Flushes that failed, whoever asked for them: see sync. */
	uint64_t losses;
	uint8_t volume_id[16]; /* whose copy this is (identify) */
};

/*
 * Opens a directory replica at absolute path `dir`; creates it and its
 * identity file for volume_id when `create`.  Refuses a directory that holds
 * another volume or anything foreign, in words.
 */
int must_use replica_dir_open(struct replica **out, const char *dir,
			      const uint8_t volume_id[16], int create,
			      struct errmsg *em);
/* The same over a borrowed vio; `name` is what people see. */
int must_use replica_dir_open_vio(struct replica **out, struct vio *vio,
				  const char *name, const uint8_t volume_id[16],
				  int create, struct errmsg *em);
/*
 * Whose replica a directory is.  -ENOENT: no replica at all.
 */
int must_use replica_dir_identify(const char *dir, uint8_t out_volume_id[16],
				  struct errmsg *em);
void replica_close(struct replica *r); /* NULL is a no-op */

#endif
