/*
 * core.h - the filesystem, without FUSE: inode operations over a ledger, an
 * index and a store.
 *
 * One struct core is one mounted volume.  fuse_ll.c translates kernel
 * requests into these calls and nothing else; tests call them directly.
 *
 * Invariants: the order in which operations take effect here is the order of
 * their entries in the log.  Operations answer from memory (rows not yet in
 * the index are pinned there; others are an LRU over SQLite).  Permission
 * checks are the kernel's (default_permissions), but for what the kernel
 * cannot know: virtual names, finished models.
 *
 * Threads: every call is thread-safe.  No lock is held when a completion is
 * called.  Lock order: README, "Locks".
 */
#ifndef FS_CORE_H
#define FS_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/digest.h"

struct buf;
struct content_pool;
struct core;
struct errmsg;
struct handle;
struct idx_reader;
struct ledger;
struct store;
struct vio;

/* Who asks: from the request header. pid is a thread id, 0 if not visible. */
struct cred {
	uint32_t uid, gid;
	uint32_t pid;
	uint32_t umask;
};

struct core_options {
	const char *store;	  /* absolute path of STORE */
	struct vio *vio;	  /* NULL: POSIX at `store` */
	const char *guard_dir;	  /* NULL: no guard */
	struct vio *guard_vio;	  /* tests: instead of guard_dir */
	const char *virtual_name; /* NULL: virtual names lie in the root */
	bool read_only;
	bool index_too;		  /* read_only, but the store's lock is held */
	bool entries_every_write; /* -o entries=every-write */
	bool no_threads;	  /* tests: work only in core_step() */
	bool no_actors;		  /* tests: do not look into /proc */
	uint64_t dirty_bytes_max; /* 0: default */
	uint64_t extents_max;	  /* 0: default */
	size_t inode_cache; /* rows kept, more than paths are deep; 0: 65536 */
	bool has_audit_gid; /* members of audit_gid see whole-ledger views */
	uint32_t audit_gid;
	/* tests: small segments; 0: as in limits.h */
	uint64_t wal_segment_bytes, journal_segment_bytes;
	/*
	 * The kernel must forget the attributes that it caches of an inode,
	 * and with `content` its pages: they changed other than it asked for.
	 * Any thread; without `content` from within a call, too.
	 */
	void (*invalidate)(void *ctx, uint64_t ino, bool content);
	void *ctx;
};

/* Opens the volume, recovers, starts the threads, enters MOUNT_START. */
int must_use core_open(struct core **out, const struct core_options *o,
		       struct errmsg *em);
/*
 * Makes versions of everything dirty, commits, enters STOP, settles, waits
 * for the index, checkpoints.  0, or what could not be saved, in words.  The
 * log ends here: it can be read and copied until core_close, no change is
 * taken any more.
 */
int must_use core_finish(struct core *c, struct errmsg *em);
/* Closes; what core_finish does comes first, if it was not called before. */
int core_close(struct core *c, struct errmsg *em);
/* Closes at once, losing what is not committed (tests: a crash). */
void core_abandon(struct core *c);
/* no_threads: do background work that is due; true if any was done. */
bool core_step(struct core *c);

/* --- namespace; `out` is filled as stat(2) would --- */

int must_use core_lookup(struct core *c, uint64_t parent, const char *name,
			 struct stat *out);
int must_use core_getattr(struct core *c, uint64_t ino, struct stat *out);
/*
 * The same, and for a while what is removed: it may be a working directory, or
 * held with O_PATH, of which the kernel tells us nothing.
 */
int must_use core_getattr_removed(struct core *c, uint64_t ino,
				  struct stat *out);

enum core_setattr_bits {
	CORE_SET_MODE = 1,
	CORE_SET_UID = 2,
	CORE_SET_GID = 4,
	CORE_SET_SIZE = 8,
	CORE_SET_ATIME = 16,
	CORE_SET_MTIME = 32,
	CORE_SET_CTIME = 64,
	CORE_SET_ATIME_NOW = 128,
	CORE_SET_MTIME_NOW = 256,
	CORE_KILL_SUIDGID = 512,
	CORE_KILL_BY_OWNER = 1024, /* the same, but strangers change nothing */
};
/* `in` carries the masked fields. */
int must_use core_setattr(struct core *c, const struct cred *cr, uint64_t ino,
			  uint32_t mask, const struct stat *in,
			  struct stat *out);
/* mode with S_IFMT: regular, fifo, socket, device or directory. */
int must_use core_mknod(struct core *c, const struct cred *cr, uint64_t parent,
			const char *name, uint32_t mode, uint64_t rdev,
			struct stat *out);
int must_use core_symlink(struct core *c, const struct cred *cr,
			  uint64_t parent, const char *name, const char *target,
			  struct stat *out);
/* Target into out, NUL-terminated (cap > LIMIT_SYMLINK). */
int must_use core_readlink(struct core *c, uint64_t ino, char *out, size_t cap);
int must_use core_link(struct core *c, const struct cred *cr, uint64_t ino,
		       uint64_t parent, const char *name, struct stat *out);
int must_use core_unlink(struct core *c, const struct cred *cr, uint64_t parent,
			 const char *name);
int must_use core_rmdir(struct core *c, const struct cred *cr, uint64_t parent,
			const char *name);
/*
 * flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT of renameat2(2); the
 * last leaves a device 0/0 under the old name, both or none, a crash or not.
 */
int must_use core_rename(struct core *c, const struct cred *cr, uint64_t parent,
			 const char *name, uint64_t new_parent,
			 const char *new_name, uint32_t flags);

/*
 * Directory listing: entries with cookie > after in order; fn nonzero stops.
 * "." and ".." have cookies 1 and 2.  st is complete when `plus`, else only
 * st_ino and the type.  want: how many fn will take, about.
 */
typedef int core_dir_fn(void *ctx, const char *name, const struct stat *st,
			uint64_t cookie);
int must_use core_readdir(struct core *c, uint64_t ino, uint64_t after,
			  size_t want, bool plus, core_dir_fn *fn, void *ctx);
/*
 * Reads what the next core_readdir will ask for, which begins after `after`.
 * For whoever has just answered and has nothing better to do.
 */
void core_readdir_ahead(struct core *c, uint64_t ino, uint64_t after,
			size_t want, bool plus);

/* --- extended attributes; sizes as getxattr(2): cap 0 asks the length --- */

ssize_t must_use core_getxattr(struct core *c, uint64_t ino, const char *name,
			       void *p, size_t cap);
ssize_t must_use core_listxattr(struct core *c, const struct cred *cr,
				uint64_t ino, char *p, size_t cap);
/* flags: XATTR_CREATE, XATTR_REPLACE; kill_sgid: FUSE_SETXATTR_ACL_KILL_SGID */
int must_use core_setxattr(struct core *c, const struct cred *cr, uint64_t ino,
			   const char *name, const void *p, size_t n, int flags,
			   bool kill_sgid);
int must_use core_removexattr(struct core *c, const struct cred *cr,
			      uint64_t ino, const char *name);

/* --- files --- */

/* flags: open(2)'s.  *out_keep: the kernel may keep its cached pages. */
int must_use core_open_file(struct core *c, const struct cred *cr, uint64_t ino,
			    int flags, bool kill_suidgid, struct handle **out,
			    bool *out_keep);
int must_use core_create(struct core *c, const struct cred *cr, uint64_t parent,
			 const char *name, uint32_t mode, int flags,
			 struct handle **out, struct stat *out_st);
/* O_TMPFILE */
int must_use core_tmpfile(struct core *c, const struct cred *cr,
			  uint64_t parent, uint32_t mode, int flags,
			  struct handle **out, struct stat *out_st);
ssize_t must_use core_read(struct core *c, struct handle *h, void *p, size_t n,
			   uint64_t off);
/* from_cache: written back by the kernel (mmap), the pid is not the writer */
int must_use core_write(struct core *c, const struct cred *cr, struct handle *h,
			const void *p, size_t n, uint64_t off,
			bool kill_suidgid, bool from_cache);
/*
 * Shall its reads and writes go round the kernel's page cache?  Yes if it has
 * made the file and only writes it, and is the only one, or somebody else
 * writes so.  *keep becomes false where the kernel may have pages from before.
 * Once, before the first read or write.
 */
bool core_handle_bypass(struct core *c, struct handle *h, bool made,
			bool *keep);
/* What h reads next fills a page, be it answered that it goes round them. */
void core_handle_fills(struct handle *h);
/*
 * Spare buffers (dirty.h), to receive requests into; NULL without memory.  A
 * write of the bytes at the start of one may keep it: *spare is NULL then.
 */
struct dirty_buf *core_spare(struct core *c);
void core_unspare(struct core *c, struct dirty_buf *b); /* NULL ok */
int must_use core_write_spare(struct core *c, const struct cred *cr,
			      struct handle *h, struct dirty_buf **spare,
			      size_t n, uint64_t off, bool kill_suidgid,
			      bool from_cache);
/*
 * May there be a failure to report when h is closed?  One is known, or the disk
 * might not take all that may be written before it is saved.
 */
bool core_handle_doubts(struct core *c, const struct handle *h);
/* close(2) of one descriptor: reports a failure that a write deferred. */
int must_use core_flush(struct core *c, struct handle *h);
/* The last descriptor is gone. */
void core_release(struct core *c, struct handle *h);
int must_use core_fallocate(struct core *c, const struct cred *cr,
			    struct handle *h, int mode, uint64_t off,
			    uint64_t len);
ssize_t must_use core_copy_range(struct core *c, const struct cred *cr,
				 struct handle *from, uint64_t from_off,
				 struct handle *to, uint64_t to_off,
				 uint64_t len);
int must_use core_lseek(struct core *c, struct handle *h, uint64_t off,
			int whence, uint64_t *out);
uint64_t core_handle_ino(const struct handle *h);
/* O_APPEND comes or goes with fcntl(F_SETFL). */
void core_handle_append(struct handle *h, bool append);

/* Called once with 0 or an error, from any thread, no locks held. */
typedef void core_done_fn(void *ctx, int rc);
/* fsync(2), fsyncdir(2) (h NULL, ino says which), `vouch sync` (ino 0). */
void core_fsync(struct core *c, struct handle *h, uint64_t ino,
		core_done_fn *done, void *ctx);
/* The same, waiting. */
int must_use core_sync(struct core *c);

struct statvfs;
int must_use core_statfs(struct core *c, struct statvfs *out);

/* --- services for analytics and the control socket --- */

struct ledger *core_ledger(struct core *c);
struct store *core_store(struct core *c);
struct content_pool *core_pool(struct core *c);
const char *core_store_dir(const struct core *c);
const struct core_options *core_options_of(const struct core *c);
/* A read-only index connection of the calling thread's own; give it back. */
int must_use core_reader_take(struct core *c, struct idx_reader **out);
void core_reader_give(struct core *c, struct idx_reader *r);
/* Waits until all that was entered before this call is committed and in the
 * index (not: made into versions). */
int must_use core_settle_index(struct core *c);
/* Also makes the version of a dirty inode first (0: of all). */
int must_use core_make_version(struct core *c, uint64_t ino, uint8_t reason);
/*
 * SHA-256 of the newest version (made first when the file is dirty), computed
 * and entered as a DIGEST when the log does not say it yet.  May take as long
 * as reading the file.  -ENODATA: not a regular file.  -ECANCELED: see next.
 */
int must_use core_digest(struct core *c, uint64_t ino, struct digest *out);
/*
 * The same of an older version, by its VERSION entry.  -ENODATA: there is no
 * such version, or its bytes were released; -ENOENT: the file is no more.
 */
int must_use core_digest_at(struct core *c, uint64_t version_no);
/*
 * The mount ends: who is in core_digest() gives up, and so does whoever comes.
 * Its end waits for those who answer requests, and this one may take minutes.
 */
void core_digest_end(struct core *c);
/*
 * Inodes of files whose bytes may be newer than any entry says: they are
 * dirty, or open for writing, and so perhaps mapped.  *out is the caller's to
 * free().
 */
int must_use core_unsaved(struct core *c, uint64_t **out, size_t *out_n);
/* Resolves an absolute path inside the volume without following symlinks. */
int must_use core_resolve(struct core *c, const char *path, uint64_t *out_ino);
/*
 * May cr read what ino holds (r on it, x on every directory above it, along
 * its current names; root and the owner's capability as the kernel would)?
 * 0 or -EACCES.  For inodes that are gone: only the volume's owner.
 */
int must_use core_may_read(struct core *c, const struct cred *cr, uint64_t ino);
/* May cr do that (4 r, 2 w, 1 x) with the inode itself, as it is now? */
bool core_allows(struct core *c, const struct cred *cr, uint64_t ino,
		 uint32_t want);
/* Is gid among the caller's groups?  /proc/PID/status says. */
bool core_in_group(const struct cred *cr, uint32_t gid);
/* May cr read whole-ledger views (volume owner, root, audit group)? */
bool core_is_owner(struct core *c, const struct cred *cr);

struct core_status {
	uint64_t seals, checkpointed, applied, unapplied, queued;
	uint64_t dirty_bytes, dirty_files, open_handles, cached_inodes;
	uint64_t unsettled_bytes;
	int failed; /* sticky error or 0 */
	char failed_words[256];
	int64_t mounted_wall_ns;
	uint64_t guard_asked; /* how often a guard had to look who asks */
};
void core_status(struct core *c, struct core_status *out);
/*
 * Enters SNAPSHOT: one moment of everything, for which nobody writes while what
 * was written last becomes versions.  -EEXIST, -EINVAL: no name for one.
 */
int must_use core_snapshot(struct core *c, const struct cred *cr,
			   const char *name, uint64_t *out_entry_no);
/* Enters that the name is given up; it may be given again.  -ENOENT. */
int must_use core_snapshot_remove(struct core *c, const struct cred *cr,
				  const char *name, uint64_t *out_entry_no);

#endif
