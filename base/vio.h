/*
 * vio.h - the one seam to disk, clock and randomness.
 *
 * Everything the store and the ledger keep on disk goes through a struct vio;
 * tests put a simulated disk behind it that forgets what was not synced,
 * tears writes, fails the n-th call and runs its own clock.  Paths are
 * relative to the vio's root unless absolute paths were said to be (the POSIX
 * vio takes a root at construction; the guard lives in a vio of its own).
 *
 * Errors are -errno of the line that failed.  All calls may block; all are
 * thread-safe except that one file is appended to by one thread at a time.
 */
#ifndef BASE_VIO_H
#define BASE_VIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"

struct vio;
struct vio_file; /* an open file */

enum vio_open_flags {
	VIO_READ = 0,
	VIO_WRITE = 1,	/* read and write */
	VIO_CREATE = 2, /* with VIO_WRITE */
	VIO_EXCL = 4,
	VIO_TRUNC = 8,
	VIO_PRIVATE = 16, /* create 0600 instead of 0644 */
	VIO_DIRECT = 32,  /* with VIO_WRITE: vio_write_through is used much */
};

struct vio_stat {
	uint64_t size;
	uint64_t ino;
	int64_t mtime_ns;
	int64_t btime_ns; /* 0 where unknown */
	uint64_t fsid;
	uint32_t mode; /* st_mode */
	uint32_t uid;
};

struct vio_space {
	uint64_t total_bytes;
	uint64_t free_bytes; /* for us */
};

/* A hint: how the file will be read from now on. */
enum vio_advice { VIO_RANDOM, VIO_STREAM };

/* Bytes to be written, in their place in memory. */
struct vio_piece {
	const void *p;
	size_t n;
};
enum { VIO_PIECES = 4 };

/* Called for each name in a directory, unsorted; nonzero stops and returns. */
typedef int vio_list_fn(void *ctx, const char *name);

struct vio_ops {
	int (*open)(struct vio *v, struct vio_file **out, const char *path,
		    int flags);
	void (*close)(struct vio_file *f);
	/* Full reads: bytes read, short only at end of file. */
	ssize_t (*pread)(struct vio_file *f, void *p, size_t n, uint64_t off);
	/* Full writes: 0 or -errno; on error any part may have been written. */
	int (*pwrite)(struct vio_file *f, const void *p, size_t n,
		      uint64_t off);
	/* The same, of pieces that follow one another: at most VIO_PIECES. */
	int (*pwritev)(struct vio_file *f, const struct vio_piece *v, int n,
		       uint64_t off);
	int (*fdatasync)(struct vio_file *f); /* data and size */
	/* NULL: a pwrite and an fdatasync */
	int (*write_through)(struct vio_file *f, const void *p, size_t n,
			     uint64_t off);
	/* NULL: takes none */
	int (*writeback)(struct vio_file *f, uint64_t off, uint64_t n,
			 bool wait);
	int (*truncate)(struct vio_file *f, uint64_t size);
	int (*allocate)(struct vio_file *f, uint64_t off, uint64_t n);
	/* NULL: takes none */
	void (*advise)(struct vio_file *f, enum vio_advice advice);
	void (*forget)(struct vio_file *f, uint64_t off, uint64_t n);
	int (*fstat)(struct vio_file *f, struct vio_stat *out);
	int (*lock)(struct vio_file *f); /* exclusive; -EBUSY when held */
	int (*stat)(struct vio *v, const char *path, struct vio_stat *out);
	int (*rename)(struct vio *v, const char *from, const char *to);
	int (*unlink)(struct vio *v, const char *path);
	int (*mkdir)(struct vio *v, const char *path); /* 0700; -EEXIST */
	int (*rmdir)(struct vio *v, const char *path);
	int (*list)(struct vio *v, const char *dir, vio_list_fn *fn, void *ctx);
	int (*syncdir)(struct vio *v, const char *dir);
	int (*space)(struct vio *v, struct vio_space *out);
	int64_t (*wall_ns)(struct vio *v); /* CLOCK_REALTIME */
	int64_t (*mono_ns)(struct vio *v); /* CLOCK_MONOTONIC */
	/* the kernel says, a second ago at most: synchronised by NTP */
	bool (*wall_synced)(struct vio *v);
	int (*random)(struct vio *v, void *p, size_t n);
	void (*free)(struct vio *v);
};

struct vio {
	const struct vio_ops *ops;
};

struct vio_file {
	struct vio *vio;
};

/* A POSIX vio rooted at the directory `root` (must exist; "/" is allowed). */
int must_use vio_posix_open(struct vio **out, const char *root);
void vio_free(struct vio *v); /* NULL is a no-op */

/* Thin wrappers; see struct vio_ops. */
int must_use vio_open(struct vio *v, struct vio_file **out, const char *path,
		      int flags);
void vio_close(struct vio_file *f); /* NULL is a no-op */
ssize_t must_use vio_pread(struct vio_file *f, void *p, size_t n, uint64_t off);
/* Exactly n bytes or -ERR_SHORT. */
int must_use vio_pread_full(struct vio_file *f, void *p, size_t n,
			    uint64_t off);
int must_use vio_pwrite(struct vio_file *f, const void *p, size_t n,
			uint64_t off);
int must_use vio_pwritev(struct vio_file *f, const struct vio_piece *v, int n,
			 uint64_t off);
int must_use vio_fdatasync(struct vio_file *f);
/*
 * The same for what must not be lost: no failure of it is soft, whatever it is
 * called.  What is lost by it is not known, and the next one may succeed.
 */
int must_use vio_flush(struct vio_file *f);
/*
 * Writes these bytes over others that are in the file and durable, and
 * flushes them, but maybe no others.  Errors as of vio_pwrite and vio_flush.
 */
int must_use vio_write_through(struct vio_file *f, const void *p, size_t n,
			       uint64_t off);
/*
 * Begins to write these bytes to the disk; `wait`: or waits until what was
 * begun there is written.  Nothing is durable by it: it spares the next flush
 * the work.  An error is one of a flush, and not told again.
 */
int must_use vio_writeback(struct vio_file *f, uint64_t off, uint64_t n,
			   bool wait);
int must_use vio_truncate(struct vio_file *f, uint64_t size);
int must_use vio_allocate(struct vio_file *f, uint64_t off, uint64_t n);
void vio_advise(struct vio_file *f, enum vio_advice advice);
/* A hint: these bytes, which are on the disk, need not stay in memory. */
void vio_forget(struct vio_file *f, uint64_t off, uint64_t n);
int must_use vio_fstat(struct vio_file *f, struct vio_stat *out);
int must_use vio_lock(struct vio_file *f);
int must_use vio_stat(struct vio *v, const char *path, struct vio_stat *out);
int must_use vio_rename(struct vio *v, const char *from, const char *to);
int must_use vio_unlink(struct vio *v, const char *path);
int must_use vio_mkdir(struct vio *v, const char *path);
int must_use vio_mkdirs(struct vio *v, const char *path); /* like mkdir -p */
int must_use vio_rmdir(struct vio *v, const char *path);
int must_use vio_list(struct vio *v, const char *dir, vio_list_fn *fn,
		      void *ctx);
int must_use vio_syncdir(struct vio *v, const char *dir);
int must_use vio_space(struct vio *v, struct vio_space *out);
int64_t vio_wall_ns(struct vio *v);
int64_t vio_mono_ns(struct vio *v);
bool vio_wall_synced(struct vio *v);
int must_use vio_random(struct vio *v, void *p, size_t n);
/* Reads a whole file of at most max bytes; caller frees *out. */
struct buf;
int must_use vio_read_file(struct vio *v, struct buf *out, const char *path,
			   size_t max);

#endif
