/*
 * actor_proc.h - what /proc tells of one process.  Reads only; no state.
 *
 * Nothing here but actor_proc_cmdline and actor_proc_variable takes a lock of
 * the process that is looked at, so it may be called while that process waits
 * for us.  Threads: any.
 */
#ifndef FS_ACTOR_PROC_H
#define FS_ACTOR_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"

/* One process image: a pid, when it started, and where its stack begins. */
struct actor_proc {
	uint32_t tgid, ppid;
	uint32_t uid, gid; /* as files see them (fsuid, fsgid) */
	uint32_t group;	   /* process group; 0: none, or not visible */
	uint32_t session;
	uint64_t start_time;  /* clock ticks since boot */
	uint64_t start_stack; /* random per execve; 0 if we may not see it */
};

/*
 * Is /proc that of our own pid namespace?  The kernel tells processes by our
 * numbers; in another namespace's /proc they are somebody else's, so where it
 * is not ours everything here answers as of a process that is gone.
 */
bool actor_proc_ours(void);

/* pid may be a thread's.  -ESRCH when it is gone. */
int must_use actor_proc_read(struct actor_proc *out, uint32_t pid);
/* Pure; the text of /proc/PID/status and of /proc/PID/stat. -ERR_FORMAT */
int must_use actor_proc_parse_status(struct actor_proc *out, const char *p,
				     size_t n);
int must_use actor_proc_parse_stat(struct actor_proc *out, const char *p,
				   size_t n);

/*
 * A descriptor that tells, for a fifth of a microsecond, whether the address
 * space that pid has now is still in use: an execve or exit ends it.
 * Negative where we may not look.  Caller closes.
 */
int must_use actor_proc_watch(uint32_t pid);
bool actor_proc_alive(int watch_fd);
/* Do the two share an address space (vfork)?  True also when unknown. */
bool actor_proc_shares_memory(uint32_t a, uint32_t b);

/*
 * Whose process it is, where its real, effective, saved and file user are the
 * same; else -EPERM.  -ESRCH when it is gone.
 */
int must_use actor_proc_user(uint32_t *out, uint32_t pid);
/* When process pid started; -ESRCH when it is gone. */
int must_use actor_proc_start(uint64_t *out, uint32_t pid);
/*
 * Its hard limit of file locks, which nothing uses any more (RLIMIT_LOCKS);
 * UINT64_MAX: unlimited.  A process can lower it and not raise it again.
 */
int must_use actor_proc_limit(uint64_t *out, uint32_t pid);
int must_use actor_proc_parse_limit(uint64_t *out, const char *p, size_t n);
/* Its path in the cgroup v2 hierarchy, in text[]; NULL: none, or too long. */
const char *actor_proc_cgroup(uint32_t pid, char *text, size_t cap);
/* Where that hierarchy is mounted whole; false: nowhere that we see. */
bool actor_proc_cgroup_root(char *out, size_t cap);
/* Is that cgroup certainly gone, and so all that were in it? */
bool actor_proc_cgroup_gone(const char *path);
/* May anybody be in it, or in one inside it? */
bool actor_proc_cgroup_populated(const char *path);
/* Pure; text is that of /proc/PID/cgroup, n < cap bytes, and is changed. */
const char *actor_proc_parse_cgroup(char *text, size_t n);

/* Target of /proc/PID/NAME, raw, NUL-terminated, cut; NULL if unknown. */
char *actor_proc_link(uint32_t pid, const char *name, size_t max);
/* Raw bytes of /proc/PID/cmdline; may wait for the process's memory lock. */
ssize_t must_use actor_proc_cmdline(uint32_t pid, char *out, size_t cap);
/*
 * The value of NAME in the environment that pid was started with, cut at cap;
 * not terminated.  -ENOENT.  May wait as actor_proc_cmdline.
 */
ssize_t must_use actor_proc_variable(uint32_t pid, const char *name, char *out,
				     size_t cap);

#endif
