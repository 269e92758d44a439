/*
 * packs.h - all packs of a store: numbers, files, which may be appended to.
 *
 * Invariants: (1) a pointer to a pack stays good until the set is closed: a
 * removed one is found no more, but is freed only then.  (2) A number is never
 * used twice.
 *
 * Threads: any; an OPEN pack belongs to whoever took it until given back.
 */
#ifndef FS_PACKS_H
#define FS_PACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/store/packfile.h"
#include "fs/store/removed.h"

struct errmsg;
struct vio;

enum { PACKS_HANDLES = 128, PACKS_SPREAD = 64, PACKS_LISTED = 32 };

struct packs {
	struct vio *vio;
	uint8_t volume_id[16];
	bool read_only;
	bool same_volume;
	struct packfile_handles handles;
	struct mutex mu; /* order: before packfile.mu; guards what follows */
	struct packfile **v; /* ascending by number */
	uint32_t n, cap;
	uint64_t next;		/* number of the next pack */
	uint32_t n_creating;	/* packs that have a number and no file yet */
	uint64_t creating;	/* none of them has a lower number */
	struct packfile **idle; /* OPEN and nobody's */
	uint32_t n_idle, cap_idle;
	struct removed removed; /* by gc, ever */
	char removed_bad[160];	/* why the list on disk is not believed; "" */
	struct packfile **gone; /* removed since open */
	uint32_t n_gone, cap_gone;
	struct packfile *listed[PACKS_LISTED]; /* a ring, the next goes to */
	uint32_t listed_at;
};

struct packs_options {
	const uint8_t *volume_id; /* 16 bytes, for new packs */
	bool same_volume;	  /* refuse packs of other volumes */
	bool read_only;
	uint64_t next_min; /* the next pack has at least this number */
};
/* Opens every pack there is. */
int must_use packs_open(struct packs *p, struct vio *vio,
			const struct packs_options *o, struct errmsg *em);
/* Marks OPEN packs as closed in order when `mark`. */
int packs_close(struct packs *p, bool mark);

/* Words about a list of removed packs that is not believed: their length. */
size_t packs_removed_bad(struct packs *p, char *out, size_t cap);
/* NULL when there is none of that number. */
struct packfile *packs_find(struct packs *p, uint64_t number);
/* The first pack whose number is above `number`; NULL at the end. */
struct packfile *packs_after(struct packs *p, uint64_t number);
/* Takes an idle OPEN pack, or makes one. */
int must_use packs_take(struct packs *p, struct packfile **out);
/* Gives it back, flushed. */
int must_use packs_give_back(struct packs *p, struct packfile *f);
/* Looks at a file that was put into packs/: a new one or one put back. */
int must_use packs_adopt(struct packs *p, struct packfile **out,
			 uint64_t number, struct errmsg *em);
/*
 * Seals idle packs that lie far behind the newest number, so that a mark
 * below all OPEN packs stays near the end.
 */
int must_use packs_tidy(struct packs *p);
/* Was sealed with its list; the list of one that was long ago goes. */
void packs_listed(struct packs *p, struct packfile *f);
/* Lowest number of a pack not complete, `next` if all are; and next. */
void packs_mark(struct packs *p, uint64_t *out_first, uint64_t *out_next);
/*
 * A fingerprint of what the packs from `first` on hold.  Chunks are only ever
 * added, so while it is the same so are they.  0: some cannot be listed.
 */
uint64_t packs_print(struct packs *p, uint64_t first);
/*
 * Seals the idle packs that fn says yes to, so that gc may take them.  A full
 * disk leaves them as they are.
 */
int must_use packs_seal_idle(struct packs *p,
			     bool (*fn)(void *ctx, struct packfile *f),
			     void *ctx);
/*
 * Removes packs that nobody needs and nobody will begin to read: they are on
 * the list (durable) first, and their files are deleted then.  A full disk
 * (-ENOSPC) changes nothing; after another error some files may be left, to
 * be deleted at the next opening.  n may be 0: the list alone is written.
 */
int must_use packs_remove(struct packs *p, struct packfile **v, uint32_t n);
/*
 * Numbers that were given out, have no file and were not removed by gc.  Lost,
 * or never made: an attempt that failed uses up a number when others are made
 * meanwhile.
 */
uint64_t packs_missing(struct packs *p);
/* True when gc removed the pack of that number, now or long ago. */
bool packs_is_removed(struct packs *p, uint64_t number);
/* A copy of the list; the caller releases it. */
int must_use packs_removed(struct packs *p, struct removed *out);
/* True when the pack lies so far behind that its owner should seal it. */
bool packs_lags(struct packs *p, const struct packfile *f);

#endif
