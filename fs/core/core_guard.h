/*
 * core_guard.h - may a process of a guarded run do this?  (fs/run/run_guard.h
 * has what it may not.)  Whoever translates kernel requests asks before he
 * calls the core.
 *
 * A path is protected, and with it the inode, under every name that it has:
 * links are found by the inode.  Symbolic links are the kernel's: it asks for
 * what they lead to.
 *
 * Invariant: what a guarded run does to names changes nothing of what is
 * hidden or protected for it.  It can make no name for such a thing, move
 * none of those above it, and put nothing in such a place.  So what a name
 * leads to may be looked at before the call; only its own changes of names
 * must not overlap: they hold a lock meanwhile, from the question to
 * core_guard_end().  Others may change names as they like; what they move is
 * protected where it is then.
 *
 * Errors: -EACCES what is hidden, -EROFS a read-only run, -EPERM what is
 * protected, and whoever cannot be told apart from a guarded run.  Each
 * denial is noted (core_denied.h).
 *
 * Not asked here: what needs no permission of ours or goes through a handle
 * that somebody opened, be it before the run: read, write, fallocate.  Whoever
 * hands a descriptor to a run lets it use that.
 *
 * Where no guarded run goes on, all of it is one look at a counter.
 *
 * Threads: any; the lock is taken before all of the core's.
 */
#ifndef FS_CORE_GUARD_H
#define FS_CORE_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "ledger/entry_denied.h"

struct core;
struct cred;
struct run_peer;

/* Does any guarded run go on? */
bool core_guard_any(const struct core *c);

int must_use core_guard_open(struct core *c, const struct cred *cr,
			     uint64_t ino, bool writes);
/* readlink, getxattr, listxattr. */
int must_use core_guard_read(struct core *c, const struct cred *cr,
			     uint64_t ino, enum entry_denied_call call);
/* Attributes, extended ones, size. */
int must_use core_guard_change(struct core *c, const struct cred *cr,
			       uint64_t ino, enum entry_denied_call call);
/*
 * What virtual files show is not divided into hidden and not: who has
 * something hidden sees nothing of them.
 */
int must_use core_guard_virtual(struct core *c, const struct cred *cr,
				enum entry_denied_call call);
/*
 * A command to the daemon: no guarded run's process may give one, nor who was
 * handed the socket of a process that is gone, where his user has such runs.
 */
int must_use core_guard_command(struct core *c, const struct run_peer *who);

/* --- listings --- */

struct core_guard_list;

/* *out: what leaves out the hidden names; NULL: nothing to leave out. */
int must_use core_guard_opendir(struct core *c, const struct cred *cr,
				uint64_t ino, struct core_guard_list **out);
void core_guard_closedir(struct core_guard_list *l); /* NULL ok */
/* Before a call of core_readdir(): where the directory is now. */
int must_use core_guard_list_at(struct core *c, struct core_guard_list *l,
				uint64_t ino);
bool core_guard_list_shows(struct core_guard_list *l, const char *name,
			   mode_t mode);

/* --- names --- */

/* From a question about names to its answer; to be ended in every case. */
struct core_guard_pass {
	bool locked;
};

/* A new name; "" for a file without one, in that directory. */
int must_use core_guard_make(struct core *c, const struct cred *cr,
			     struct core_guard_pass *pass, uint64_t parent,
			     const char *name, enum entry_denied_call call);
int must_use core_guard_link(struct core *c, const struct cred *cr,
			     struct core_guard_pass *pass, uint64_t ino,
			     uint64_t parent, const char *name);
int must_use core_guard_remove(struct core *c, const struct cred *cr,
			       struct core_guard_pass *pass, uint64_t parent,
			       const char *name, enum entry_denied_call call);
int must_use core_guard_rename(struct core *c, const struct cred *cr,
			       struct core_guard_pass *pass, uint64_t parent,
			       const char *name, uint64_t new_parent,
			       const char *new_name, bool exchange);
void core_guard_end(struct core *c, struct core_guard_pass *pass);

#endif
