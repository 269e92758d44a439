/*
 * actor.h - who asks: from a thread id to the process behind it, its
 * executable, arguments and parent, once per execve, bounded.
 *
 * actor_of() is on the request path: cheap when the process is known (its
 * identity is checked, so a reused pid or an execve gives a new actor).
 * What is slow (hashing the executable) is done by a thread of its own.
 *
 * Threads: thread-safe.
 */
#ifndef FS_ACTOR_H
#define FS_ACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "ledger/entry_run.h"

struct actor_table;
struct run_group;
struct run_guard;
struct run_table;

/* One process image; reference-counted; immutable but for what is noted. */
struct actor {
	uint64_t id;	      /* unique while mounted; > 0 */
	struct actor *parent; /* a reference is held; NULL if none is known */
	uint32_t uid, gid, tgid, ppid;
	uint64_t start_time;	    /* clock ticks since boot, /proc/PID/stat */
	struct digest exe_digest;   /* SHA-256; zero while not known yet */
	bool exe_digest_known;	    /* both guarded by the table's mutex, see
				     actor_digest */
	uint8_t run[16];	    /* zero: none known */
	enum entry_run_how run_how; /* how it came to it */
	struct run_guard *guard;    /* a reference; NULL: none */
	char *exe, *argv, *cwd; /* never NULL; argv as ledger/argv.h packs it */
	uint32_t argv_len;
	void *slot; /* for commit.c: where its ACTOR entry is */
	uint32_t refs_;
};

struct actor_options {
	uint32_t max; /* processes remembered that nobody holds; 0: 1024 */
	/* An executable's digest came to be known (actor's own or a parent's) */
	void (*on_digest)(void *ctx, struct actor *a);
	/* The last reference goes: free what hangs in slot. */
	void (*on_free)(void *ctx, struct actor *a);
	void *ctx;
	struct run_table *runs;	  /* NULL: actors have no runs */
	struct run_group *groups; /* NULL: none but declared ones */
};

int must_use actor_table_open(struct actor_table **out,
			      const struct actor_options *o);
/* Nobody holds an actor any more. */
void actor_table_close(struct actor_table *t);

/*
 * The actor for thread id `pid` (0: not visible: an actor with only uid and
 * gid).  Takes a reference; NULL only when out of memory.
 */
struct actor *actor_of(struct actor_table *t, uint32_t pid, uint32_t uid,
		       uint32_t gid);
struct actor *actor_hold(struct actor *a);		 /* NULL gives NULL */
void actor_drop(struct actor_table *t, struct actor *a); /* NULL ok */
/* The executable's digest, if it is known by now. */
bool actor_digest(struct actor_table *t, struct actor *a, struct digest *out);
const char *actor_host(struct actor_table *t);

#endif
