/*
 * state.h - the namespace as rows, and apply(): what one entry does to them.
 *
 * apply() is pure and total: the same rows and the same entry give the same
 * rows and the same answer (applied or rejected), whoever keeps the rows.
 * The mount applies each entry to rows in memory before it is committed; the
 * index applies it to SQLite after; a rebuild does so again.  The results are
 * equal row for row, directory cookies included.
 */
#ifndef INDEX_STATE_H
#define INDEX_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

#define STATE_ROOT_INO 1ULL

/* "." and ".." have the cookies before. */
enum { STATE_COOKIE_FIRST = 3 };
/* A directory deeper than this is not moved. */
enum { STATE_DEPTH_MAX = 65536 };

/* Where the ACLs that CREATE carries are kept. */
#define STATE_XATTR_ACL "system.posix_acl_access"
#define STATE_XATTR_DEFAULT_ACL "system.posix_acl_default"

enum inode_flags {
	INODE_ORPHAN = 1,      /* no name left, kept while it is open */
	INODE_HAS_EXTENTS = 2, /* durable writes not yet in a version */
	INODE_FINISHED = 4,    /* immutable model version (DESIGN 5.1) */
	INODE_HAS_SHA256 = 8,
	INODE_HAS_DIR_SALT = 16,
};

struct inode_row {
	uint64_t ino;
	uint32_t mode; /* with S_IFMT */
	uint32_t uid, gid;
	uint64_t rdev;
	uint32_t nlink;	    /* directories: 2 + subdirectories */
	uint32_t flags;	    /* enum inode_flags */
	uint64_t size;	    /* files: bytes; symlinks: target length; dirs: 0 */
	uint64_t allocated; /* bytes of the current version that are no holes */
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
	uint64_t parent;      /* directories: the parent (the root's: itself);
			  * others: where it was last linked or moved */
	uint64_t version;     /* 0: no version yet */
	uint64_t version_no;  /* entry_no of that VERSION entry */
	uint64_t entry_no;    /* of the last applied entry with this inode */
	uint64_t next_cookie; /* directories: cookie of the next name; from 3 */
	uint64_t nchild;      /* directories: names inside */
	uint32_t nxattr;
	struct digest last; /* leaf hash of the last applied entry */
	struct digest version_leaf;
	struct digest tree_root; /* of the current version */
	struct digest sha256;	 /* if INODE_HAS_SHA256 */
	uint8_t dir_salt[16];
	uint16_t target_len; /* symlinks */
	char *target;	     /* owned by the row's keeper; NULL if none */
};

struct name_row {
	uint64_t parent;
	uint64_t ino;
	uint64_t cookie; /* readdir position, unique in the directory, >= 3 */
	uint64_t since;	 /* entry_no that made the name; 0 if not committed */
	uint32_t mode;	 /* S_IFMT bits of the inode */
};

struct extent_row {
	uint64_t off;
	uint32_t len;
	uint32_t chunk_off;
	struct digest chunk; /* zero: a hole */
};

/*
 * Where the rows are.  Getters answer 1 found, 0 not there, negative errors;
 * the pointed-to inode row stays valid and writable until the next commit of
 * the keeper (the same row for the same inode), and every inode changed
 * through it is told by `touch`.  inode_new gives a row of zeros with `ino`
 * set.  inode_del ends the row, its xattrs and its extents.  name_put
 * replaces a name that is there; name_del is called for names that are.
 */
struct state_ops {
	int (*inode_get)(void *st, struct inode_row **out, uint64_t ino);
	int (*inode_new)(void *st, struct inode_row **out, uint64_t ino);
	int (*inode_touch)(void *st, struct inode_row *row);
	int (*inode_del)(void *st, struct inode_row *row);
	int (*name_get)(void *st, struct name_row *out, uint64_t parent,
			const char *name, uint16_t len);
	int (*name_put)(void *st, const struct name_row *row, const char *name,
			uint16_t len);
	int (*name_del)(void *st, uint64_t parent, const char *name,
			uint16_t len);
	int (*xattr_put)(void *st, struct inode_row *row, const char *name,
			 uint16_t len, const void *value, uint32_t value_len,
			 const struct digest *chunk, bool *out_was_there);
	int (*xattr_del)(void *st, struct inode_row *row, const char *name,
			 uint16_t len, bool *out_was_there);
	int (*extents_add)(void *st, struct inode_row *row,
			   const struct extent_row *v, uint16_t n,
			   uint64_t entry_no);
	int (*extents_clear)(void *st, struct inode_row *row);
};

struct entry; /* ledger/entry.h: a decoded entry */
enum apply_answer { APPLY_REJECTED = 0, APPLY_APPLIED = 1 };

struct apply_options {
	uint64_t entry_no;	   /* 0: not committed yet */
	const struct digest *leaf; /* NULL: not hashed yet; prev unchecked */
};

/*
 * Applies one entry.  1 applied, 0 rejected (rows untouched; *why then says
 * it in a few static words), negative when the keeper failed.  Kinds that do
 * not touch rows of the namespace (ACTOR, READS, DIGEST's history, keys ...)
 * answer applied; what they add beyond the namespace (versions, reads,
 * actors, snapshots) is the index's own work (idx_apply.c).
 *
 * Rules (all times are the entry's wall_ns unless the body carries one):
 *  CREATE    parent is a directory (parent 0 and empty name: O_TMPFILE, an
 *            orphan with nlink 0, or the root, inode 1); name free; inode
 *            new; version 0.  A directory starts with nlink 2, next_cookie 3
 *            and adds 1 to its parent's nlink.  Parent mtime = ctime = wall.
 *            ACLs become the xattrs STATE_XATTR_*.
 *  LINK      core.inode exists, is no directory; core.parent a directory, name
 *            free; nlink + 1, ctime; an orphan is one no more.
 *  UNLINK    (parent, name) -> core.inode.  flags bit 0: rmdir (empty
 *            directory), bit 1: the inode is freed at once when its nlink
 *            reaches 0 (else it becomes an orphan until FREE_ORPHAN).
 *  RENAME    (core.parent, old) -> core.inode; flags bit 0 exchange, bit 1:
 *            a replaced inode whose nlink reaches 0 is freed at once.
 *            `replaced` is the inode that (new parent, new) names now, 0 if
 *            free, and never the moved one (rename(2) does nothing then).
 *            Refuses a directory moved below itself, and type mismatches as
 *            rename(2) does.  The moved name takes the cookie of the name
 *            it replaces, else keeps its own in the same directory, else
 *            gets a new one (exchange: each name keeps its cookie).
 *  SETATTR   masked fields; ctime = the ctime field or wall.  While there is
 *            no root, a SETATTR of inode 1 makes it (0755, user 0) first.
 *  SETXATTR, RMXATTR   nxattr, ctime.
 *  EXTENTS   file size, mtime = ctime = wall, flag HAS_EXTENTS.
 *  VERSION   version = current + 1; size, allocated, mtime, tree_root, ctime =
 *            wall when the size, root or mtime changed; clears extents.
 *  DIGEST    sets sha256 when it names the current version.
 *  FREE_ORPHAN  core.inode is an orphan: its row, xattrs, extents go.
 *  All other kinds change nothing here; when they name an inode the
 *  precondition holds for them too and they become its last entry (so do
 *  kinds >= 0x8000 and entries whose body is redacted or encrypted).  An
 *  unknown kind below 0x8000 is -ERR_NEWER.
 *
 *  VERSION sets version_leaf and version_no to those of `o` (zero when it is
 *  not hashed yet), and removes the sha256 it does not carry itself.
 */
int must_use apply(void *st, const struct state_ops *ops, const struct entry *e,
		   const struct apply_options *o, const char **why);

#endif
