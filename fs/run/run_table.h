/*
 * run_table.h - the runs that processes may belong to while a volume is
 * mounted: those `vouch run` declared.  Only what attribution needs.
 *
 *   OPEN -> OVER   its processes are gone
 *        -> LEFT   it ended, or its wrapper died, and processes may go on;
 *                  what they do still belongs to it
 *
 * Bounded: RUN_TABLE_OPEN_MAX open runs; of the others the oldest of the user
 * who has most are forgotten first.  A guarded run is not forgotten before it
 * is OVER, of these RUN_TABLE_GUARDED_MAX are let in, RUN_TABLE_GUARDED_EACH of
 * a user, the last RUN_TABLE_GUARDED_KEPT only of root and the mount's own
 * user, who is bounded by the whole alone; those that an earlier mount has left
 * behind are, whatever their number.
 *
 * Threads: thread-safe; its lock is a leaf.
 */
#ifndef FS_RUN_TABLE_H
#define FS_RUN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct run_guard;
struct run_table;

enum {
	RUN_ID_SIZE = 16,
	RUN_ID_HEX = 2 * RUN_ID_SIZE,
	RUN_TABLE_OPEN_MAX = 1024,
	RUN_TABLE_MAX = 4096,
	RUN_TABLE_GUARDED_MAX = 1024,
	RUN_TABLE_GUARDED_EACH = 256,
	RUN_TABLE_GUARDED_KEPT = 64,
};
/*
 * A bit of the id's first byte says which runs nobody declared.  Their ids are
 * made from what everybody can see (run_group.h): who could declare one would
 * have the changes of another's processes in his own run.
 */
enum { RUN_ID_IMPLICIT = 0x80 };
static inline bool run_id_implicit(const uint8_t *id)
{
	return id[0] & RUN_ID_IMPLICIT;
}
/* What a run's cgroup is called, and the marker in the environment. */
#define RUN_CGROUP_PREFIX "vouch-run-"
#define RUN_MARKER "VOUCH_RUN"

struct run_table_new {
	const uint8_t *id; /* RUN_ID_SIZE */
	uint32_t uid;
	uint32_t wrapper; /* `vouch run` itself; 0: not visible */
	uint64_t wrapper_start;
	const char *cgroup;	 /* as /proc/PID/cgroup says; NULL: none */
	struct run_guard *guard; /* NULL: none; the table takes a reference */
	uint64_t limit;		 /* run_limit.h; 0: none */
	/*
	 * Of an earlier mount: there it is, and so it is let in, however many
	 * there are.
	 */
	bool recovered;
	/* Where its cgroup is could not be read: any of its name is it. */
	bool anywhere;
};

int must_use run_table_open(struct run_table **out);
void run_table_close(struct run_table *t); /* NULL ok */

/*
 * -EEXIST: the id was there before; -ENFILE: too many are open, or guarded;
 * -EMFILE: too many guarded ones are that user's.
 */
int must_use run_table_add(struct run_table *t, const struct run_table_new *n);
/* left: processes of it may go on. */
void run_table_end(struct run_table *t, const uint8_t *id, bool left);

/* Is the cgroup at path[0..n-1] this run's? */
bool run_table_in_cgroup(struct run_table *t, const uint8_t *id,
			 const char *path, size_t n);
/* The open run whose wrapper that process is. */
bool run_table_of_wrapper(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			  uint32_t pid, uint64_t start);
/* Is there any at all?  Cheap, as the next. */
bool run_table_any(const struct run_table *t);
/* Is any run guarded that is open or LEFT?  Cheap. */
bool run_table_guarded(const struct run_table *t);
/* A user's? */
bool run_table_guards_user(struct run_table *t, uint32_t uid);
/* The run's guard, with a reference; NULL: none. */
struct run_guard *run_table_guard(struct run_table *t, const uint8_t *id);
/* Has any guarded run a limit?  Cheap. */
bool run_table_limits(const struct run_table *t);
/* The run of that user that has this very limit, and is open or LEFT. */
bool run_table_of_limit(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			uint64_t limit, uint32_t uid);
/*
 * Joins to *all the guards of the runs that a process with that limit may have
 * come from: of its user all whose limit is no lower, of root's those with the
 * very one.  told (may be NULL) is the run that it is known to be in: where
 * that one's limit is the process's, it comes from no other.  -ENOMEM.
 */
int must_use run_table_guards_of_limit(struct run_table *t,
				       struct run_guard **all, uint64_t limit,
				       uint32_t uid, const uint8_t *told);

/* A guarded run that is LEFT. */
struct run_table_left {
	const uint8_t *id;
	uint32_t uid;
	const char *cgroup; /* NULL: none */
	uint64_t limit;
};
/*
 * Calls gone() with each guarded run that is LEFT; those of which it says yes
 * are OVER.  No lock is held meanwhile.
 */
typedef bool run_table_gone_fn(void *ctx, const struct run_table_left *run);
void run_table_reap(struct run_table *t, run_table_gone_fn *gone, void *ctx);
/* May a marker be believed at all? */
bool run_table_marks(const struct run_table *t);
/* Is it a run of that user which is open or LEFT? */
bool run_table_marked(struct run_table *t, const uint8_t *id, uint32_t uid);

/* One more process of the run was seen; how many were. */
void run_table_count(struct run_table *t, const uint8_t *id);
uint64_t run_table_processes(struct run_table *t, const uint8_t *id);

#endif
