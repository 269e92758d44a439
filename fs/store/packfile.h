/*
 * packfile.h - one pack of the store on its disk: append, flush, seal, read.
 *
 * States:
 *   OPEN    appended to by one owner at a time      (create; open after a mark)
 *   STILL   no footer, not appended to any more     (open after a crash)
 *   SEALED  footer written, never changes           (packfile_seal)
 *   GONE    the file is missing, or was removed     (open; packfile_remove)
 * Repairs put back the very bytes that were lost, in any state.
 *
 * Invariants: (1) everything below `durable` was flushed since it was written.
 * (2) A STILL pack may lack a tail that a replica has, so nothing else is ever
 * written at its end.
 *
 * Threads: reads by any; append, flush and seal are serialised inside, and an
 * error of the disk that one of them is told fails all (packfile_flush.c).
 */
#ifndef FS_PACKFILE_H
#define FS_PACKFILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"
#include "fs/store/pack.h"

struct chunk;
struct errmsg;
struct vio;
struct vio_file;

enum packfile_state { PACK_OPEN, PACK_STILL, PACK_SEALED, PACK_GONE };

/* Open files of all packs of a store: at most `max` that nobody uses. */
struct packfile_handles {
	struct mutex mu;
	struct packfile *head, *tail; /* newest first; guarded by mu */
	uint32_t n, max;
};

struct packfile_gap {
	uint32_t off, len;
	bool durable; /* a later record says that it was: damage */
};

struct packfile {
	struct vio *vio;
	atomic_bool condemned; /* gc: no chunk may be found here any more */
	atomic_bool doubted;   /* could not be read: nor for a duplicate */
	struct packfile_handles *handles;
	uint64_t number;
	uint8_t volume_id[16];
	char name[PACK_NAME_SIZE];
	bool read_only;
	bool same_volume;

	struct mutex mu; /* order: before handles->mu; guards what follows */
	enum packfile_state state;
	uint64_t end;	    /* of the records; sealed: of the file */
	uint64_t durable;   /* <= end */
	uint64_t allocated; /* room on disk asked for */
	uint64_t marked;    /* end of the records is a close mark there */
	uint64_t pushed;    /* asked to be written up to here */
	uint64_t forgotten; /* up to here, or it is to stay in memory */
	bool no_allocate;   /* the filesystem cannot */
	bool unreadable;    /* what is in it could not be listed */
	bool broken;	    /* an error of a flush was told: no other is good */
	bool flushing;	    /* one at a time */
	bool ending;	    /* it waits for `pacing` to be 0: none begins */
	uint32_t pacing;    /* calls that are at it */
	struct cond quiet;  /* flushing or pacing changed */
	struct pack_entry *entries; /* OPEN, STILL; maybe SEALED */
	uint32_t count, cap;
	uint64_t raw_bytes, stored_bytes;
	uint64_t cut_bytes; /* not zero, behind the last record at open */
	struct packfile_gap *gaps;
	uint32_t n_gaps;

	/* packfile_ahead.c */
	atomic_uint_least64_t next;
	atomic_uint streak;

	/* guarded by handles->mu */
	struct vio_file *file;
	uint32_t users;
	struct packfile *newer, *older;
};

void packfile_handles_init(struct packfile_handles *h, uint32_t max);
void packfile_handles_release(struct packfile_handles *h);

struct packfile_options {
	struct vio *vio;
	struct packfile_handles *handles;
	const uint8_t *volume_id; /* 16 bytes, for new headers */
	bool same_volume;	  /* refuse packs of others */
	uint64_t number;
	bool read_only;
};

/* Makes an OPEN pack with nothing in it; its name is made durable too. */
int must_use packfile_create(struct packfile **out,
			     const struct packfile_options *o);
/*
 * Opens what is there: by its footer, or else by its records; cuts a torn
 * tail and flushes.  A pack of another volume or a newer format is refused
 * in words.  A damaged header is no obstacle.  -ENOENT.
 */
int must_use packfile_open(struct packfile **out,
			   const struct packfile_options *o, struct errmsg *em);
/* Forgets the file and looks at it again, after it was put back whole. */
int must_use packfile_reopen(struct packfile *f, struct errmsg *em);
void packfile_close(struct packfile *f); /* NULL is a no-op; no flush */

/* True when a chunk of that many stored bytes still fits. */
bool packfile_fits(struct packfile *f, uint32_t stored_len);
/* Bytes that appending it takes, its share of the footer included. */
uint32_t packfile_cost(uint32_t stored_len);
/*
 * Appends a record.  -ENOSPC is soft: nothing was appended.  Any other error
 * leaves bytes of unknown worth behind the end.
 */
int must_use packfile_append(struct packfile *f, uint32_t *out_off,
			     const struct chunk *c);
/*
 * After appends, by each who appends: begins to write what is there to the
 * disk, and may wait until what was begun before is written; `forget`: that
 * need not stay in memory.  An error is one of a flush.
 */
int must_use packfile_pace(struct packfile *f, bool forget);
int must_use packfile_flush(struct packfile *f);
uint64_t packfile_durable(struct packfile *f);
enum packfile_state packfile_state(struct packfile *f);
/* Nothing is appended any more. */
void packfile_still(struct packfile *f);
/* What is in it could not be listed: to be tried again at the next opening. */
void packfile_unreadable(struct packfile *f);
/* Everything in it is listed, and nothing will be added. */
bool packfile_complete(struct packfile *f);
/* Footer, flush; SEALED then.  -ENOSPC is soft: it stays OPEN. */
int must_use packfile_seal(struct packfile *f);
/* The same; its list stays in memory, if it is short: packfile_listed. */
int must_use packfile_seal_listed(struct packfile *f);
/* The list of a sealed pack goes. */
void packfile_unlist(struct packfile *f);
/*
 * What the record at off is (but for check and durable), if that is known
 * without asking the disk.
 */
bool packfile_listed(struct packfile *f, struct pack_record *out, uint32_t off);
/* Close mark, flush; gives room not used back. */
int must_use packfile_mark(struct packfile *f);

/* True when all it ever held can be listed: gc may judge it. */
bool packfile_whole(struct packfile *f);
/* Deletes the file; GONE then.  -ENOENT is no error. */
int must_use packfile_remove(struct packfile *f);

/*
 * Reads and decodes the record header at off.  -ERR_SHORT, -ERR_FORMAT,
 * -ERR_CORRUPT, -ENOENT.
 */
int must_use packfile_header(struct packfile *f, struct pack_record *out,
			     uint32_t off);
/*
 * Reads header and stored bytes into p (PACK_RECORD_SIZE + LIMIT_CHUNK),
 * `hint` stored bytes at the first go.  Same errors; the stored bytes are
 * checked.
 */
int must_use packfile_read(struct packfile *f, struct pack_record *out,
			   uint8_t *p, uint32_t off, uint32_t hint);
/*
 * The same into cap bytes, and without the check: for who hashes the bytes
 * anyway.  -ERR_SHORT, too, when the stored bytes do not fit.
 */
int must_use packfile_fetch(struct packfile *f, struct pack_record *out,
			    uint8_t *p, size_t cap, uint32_t off);
/* Any bytes, short at the end of the file. */
ssize_t must_use packfile_bytes(struct packfile *f, void *p, size_t n,
				uint64_t off);
/* Puts lost bytes back in place and flushes. */
int must_use packfile_patch(struct packfile *f, uint64_t off, const void *p,
			    size_t n);

/*
 * Lists a pack by its records, as if it had no footer: for one whose footer
 * is damaged.  It is STILL then; nothing is cut.
 */
int must_use packfile_rescan(struct packfile *f);

/* Calls fn for each chunk listed; the footer of a sealed pack is read. */
typedef int packfile_fn(void *ctx, const struct pack_entry *e);
int must_use packfile_each(struct packfile *f, packfile_fn *fn, void *ctx);

#endif
