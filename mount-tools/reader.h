/*
 * reader.h - a volume opened for reading, mounted or not: what `log`, `show`,
 * `prove` and their like look at.
 *
 * Beside a running mount the daemon is asked to bring the index up to date
 * and the log is read without its lock.  Without one the store's lock is
 * taken, and an index that is behind the log is brought up to it (it is a
 * cache); where the store cannot be written, that is said in words.
 */
#ifndef MOUNT_TOOLS_READER_H
#define MOUNT_TOOLS_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "mount-tools/ctl.h"

struct buf;
struct content_pool;
struct digest;
struct entry;
struct errmsg;
struct idx_reader;
struct ledger;
struct store;
struct vio;
struct vio_file;

enum reader_want {
	READER_INDEX = 1,      /* else only the log */
	READER_STORE = 2,      /* chunks, and a pool; not beside a mount */
	READER_VERSION = 4,    /* beside a mount: version of what is dirty */
	READER_CHECKPOINT = 8, /* beside a mount: sign one first */
	READER_OFFLINE = 16,   /* refuse beside a mount */
};

struct reader {
	struct ctl_place place;
	bool live;	   /* a daemon runs */
	const char *inner; /* path inside, from "/"; NULL: the whole volume */
	struct vio *vio;
	struct vio_file *lock;
	struct ledger *ledger;
	struct store *store;
	struct content_pool *pool;
	struct idx_reader *idx;
};

/*
 * path: inside a mount, a mount point, or a STORE; inner (may be NULL): a path
 * inside the volume when `path` is a STORE.  reader_close() after failure
 * too is allowed, and does nothing.
 */
int must_use reader_open(struct reader *out, const char *path,
			 const char *inner, unsigned want, struct errmsg *em);
void reader_close(struct reader *r);
/*
 * Looks again: what was entered meanwhile is there after it.  Cheap when
 * there was nothing.
 */
int must_use reader_refresh(struct reader *r, struct errmsg *em);

/* The inode of r->inner, or the one that had the path last. */
int must_use reader_inode(struct reader *r, uint64_t *out, bool *out_gone,
			  struct errmsg *em);
/*
 * Reads an entry: its stored bytes replace *stored, *out borrows from them.
 * -ENOENT in words.
 */
int must_use reader_entry(struct reader *r, struct entry *out,
			  struct buf *stored, struct digest *out_leaf,
			  uint64_t entry_no, struct errmsg *em);
/* "12.3": 0, or -ERR_FORMAT. */
int must_use reader_number(uint64_t *out, const char *s);
/*
 * Where SEAL.POS is looked up when nothing is said: here, or the one mount.
 * -ERR_USAGE: there is none, or several; `how` is how to say it then.
 */
int must_use reader_here(char **out, const char *how, struct errmsg *em);
/*
 * WHEN as /audit/at takes it (analytics/audit_when.h): the entry whose state
 * it means.
 */
int must_use reader_when(struct reader *r, uint64_t *out_at, const char *when,
			 struct errmsg *em);

#endif
