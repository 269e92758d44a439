/*
 * gc_int.h - one run of gc, shared by gc*.c.
 */
#ifndef FS_GC_INT_H
#define FS_GC_INT_H

#include "fs/core/core_internal.h"
#include "fs/upkeep/fsck_want.h"
#include "fs/upkeep/gc.h"
#include "fs/store/store_int.h"

struct gc {
	struct core *core;
	struct store *store;
	const struct core_gc_options *o;
	struct core_gc_report *report;
	const char *part; /* for progress */
	uint64_t done, all;
	int64_t told_ns;
	struct packfile *target; /* takes what is copied; NULL: none yet */
};

int must_use gc_run(struct gc *g, struct errmsg *em);
/* Begins a part; its first tick is told. */
void gc_part(struct gc *g, const char *part);
/* Tells the caller how far it is; -ECANCELED when it is to end. */
int must_use gc_tick(struct gc *g, uint64_t done, uint64_t all);
/* The same as it was, while waiting (lease_wait). */
int must_use gc_waiting(void *gc);
/* Waits until all sections that began before have ended. */
int must_use gc_wait(struct gc *g);

/* --- gc_mark.c --- */

/* Steps 1 to 3 of lease.h: then the store's lease keeps what is needed. */
int must_use gc_mark(struct gc *g, struct errmsg *em);

/* --- gc_log.c --- */

/* Tells fn what the entries of the log name (fsck_want.h), the newest first. */
int must_use gc_log_each(struct gc *g, fsck_want_fn *fn, void *ctx,
			 struct errmsg *em);

/* --- gc_look.c: which packs, in which order --- */

struct gc_pack {
	struct packfile *file;
	uint64_t size; /* of the file */
	uint64_t live; /* bytes of records that are needed */
	uint32_t chunks, live_chunks;
};
struct gc_list {
	struct gc_pack *v;
	uint32_t n, cap;
};

int must_use gc_list_add(struct gc_list *l, const struct gc_pack *p);
/*
 * The packs to be taken, cheapest first: those with the least to copy for
 * what they give back.  Fills in what the report says of them.
 */
int must_use gc_look(struct gc *g, struct gc_list *out);
/*
 * Must this record of f be copied before f goes?  1: yes; 0: nobody needs it,
 * or a copy that is as good lies elsewhere (`verify`: its bytes are read).
 */
int must_use gc_needs(struct gc *g, struct store_slot *slot,
		      const struct packfile *f, const struct pack_entry *e,
		      bool verify);

/* --- gc_sweep.c --- */

/* Step 4 of lease.h, a few packs at a time. */
int must_use gc_sweep(struct gc *g, const struct gc_list *list,
		      struct errmsg *em);

#endif
