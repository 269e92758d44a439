/*
 * replicate_int.h - one follower, shared by replicate.c and follower*.c.
 */
#ifndef FS_REPLICATE_INT_H
#define FS_REPLICATE_INT_H

#include <sys/types.h>

#include "base/thread.h"
#include "fs/replica/replicate.h"

struct store_replica;

enum { FOLLOWER_NAME = 96, FOLLOWER_WORDS = 320 };

/* What the replica has of one object. */
struct follower_object {
	char name[FOLLOWER_NAME];
	uint64_t size;	   /* bytes that are the store's */
	uint64_t physical; /* bytes that are there, >= size */
	uint64_t synced;   /* of a growing one: below it nothing is in doubt */
	bool open;	   /* on the list of those in doubt beyond `synced` */
	bool whole;
	bool compared; /* its end is the store's, as far as was looked */
	uint64_t sum;  /* of a whole one, as last written; 0: not known */
};

struct follower {
	struct follower *next;
	struct replicate *owner;
	struct store_replica *replica; /* held */
	struct thread thread;

	/* of whoever makes the round: one thread at a time, see busy */
	bool known;			 /* the table below is right */
	struct follower_object *objects; /* by name */
	uint32_t n, cap;
	uint64_t packs_below; /* packs below are sealed and copied */
	uint64_t losses;      /* the replica's, when the table was made */
	bool progress_dirty;
	uint64_t saved_position;

	/* guarded by owner.mu */
	bool stop, busy;
	uint64_t position;
	uint64_t kicks; /* the owner's, when the last good round began */
	uint64_t tried; /* the same, of the last round, be it good or not */
	uint64_t behind_bytes, bytes;
	uint64_t count;
	int64_t round_ns;
	int error;
	uint32_t failures; /* in a row */
	char words[FOLLOWER_WORDS];
};

struct replicate {
	struct replicate_options o;
	struct mutex mu;
	struct cond changed;
	struct follower *followers; /* guarded by mu */
	uint64_t mark;		    /* guarded by mu */
	uint64_t kicks;		    /* guarded by mu */
	uint64_t urgent;	    /* guarded by mu: as kicks, to all */
	bool given_up;		    /* guarded by mu: nobody waits for them */
	bool stepping;		    /* guarded by mu: nobody leaves the list */
};

/*
 * Copies everything durable to the replica and syncs it.  *out_behind: bytes
 * that were left to copy when it ended.
 */
int must_use follower_round(struct follower *f, uint64_t position,
			    uint64_t *out_behind, struct errmsg *em);
/* --- follower_segment.c --- */

/*
 * The replica's bytes of `o` are not the store's.  1: it is a journal segment
 * with the same entries under the same seals, settled again, and the replica
 * has the store's `durable` bytes now; 0: it is not, and nothing was changed.
 */
int must_use follower_take_segment(struct follower *f,
				   struct follower_object *o, uint64_t durable);
/* --- follower_state.c --- */

struct follower_object *follower_find(const struct follower *f,
				      const char *name);
/* Finds or adds; NULL: no memory, or a name too long for us. */
struct follower_object *follower_object(struct follower *f, const char *name);
/* Deletes an object of the replica, if it is there, and forgets it. */
int must_use follower_remove(struct follower *f, const char *name);
/* Calls on the replica, serialised with the store's repairs. */
ssize_t must_use follower_read(struct follower *f, const char *name,
			       uint64_t off, void *p, size_t n);
int must_use follower_write(struct follower *f, const char *name, uint64_t off,
			    const void *p, size_t n, bool in_place);
int must_use follower_put(struct follower *f, const char *name, const void *p,
			  size_t n);
/* -EIO, too, when a flush failed since the table was made. */
int must_use follower_sync(struct follower *f);
/* Writes PROGRESS if anything in it changed. */
int must_use follower_progress_save(struct follower *f);
/* Finds out what the replica has, and gives the store what it lacks. */
int must_use follower_refresh(struct follower *f);
/* Notes on the replica what was synced, so that nothing is in doubt there. */
void follower_finish(struct follower *f);
void follower_free(struct follower *f); /* gives the replica back */

#endif
