/*
 * store_check_int.h - the state of one check, shared by store_check*.c.
 */
#ifndef FS_STORE_CHECK_INT_H
#define FS_STORE_CHECK_INT_H

#include "fs/store/store_int.h"
#include "base/workers.h"

enum { STORE_CHECKER_HOLES = 256 };

/* Bytes between records that are none. */
struct store_checker_hole {
	size_t off, end;
};

struct store_checker {
	struct store *store;
	const struct store_check_options *o;
	struct store_check_report *report;
	struct store_slot *slot;
	struct store_checker_team *team;
	uint64_t done, all; /* for progress */
	bool replicas;	    /* there are some */

	/* the pack at hand */
	struct packfile *file;
	uint8_t *p; /* its bytes, when they were wanted; room for LIMIT_PACK */
	size_t n;
	size_t records_end;
	struct pack_entry *good; /* records that are right, by offset */
	uint32_t n_good, cap_good;
	uint32_t durable; /* the most that a good record says */
	struct store_checker_hole holes[STORE_CHECKER_HOLES];
	uint32_t n_holes;
};

void store_checker_found(struct store_checker *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Counts a bad place. */
void store_checker_count(struct store_checker *c, bool repaired);
/* Notes a record that is right. */
int must_use store_checker_good(struct store_checker *c,
				const struct pack_record *r, size_t off);
/* The record whose header is at off and decodes: its length, or 0. */
size_t store_checker_record(const struct store_checker *c,
			    struct pack_record *out, size_t off);
/* Are these the bytes the record was made for? */
bool store_checker_payload(const struct pack_record *r, const uint8_t *stored,
			   struct store_slot *slot);
/*
 * Tells the holes, and fills them if that is wanted and possible.  v: the
 * footer's n entries, or NULL.
 */
void store_checker_holes(struct store_checker *c, const struct pack_entry *v,
			 uint32_t n);
/* Compares every replica's object of this pack with the bytes at hand. */
int must_use store_checker_replicas(struct store_checker *c);

/* --- the team (store_check_team.c) --- */

int must_use store_checker_team_open(struct store_checker *c);
void store_checker_team_close(struct store_checker *c);
/* NULL: none can be had. */
struct workers *store_checker_workers(struct store_checker *c);
/* 1: all of the pack at hand is right; 0: look closer. */
int must_use store_checker_fast(struct store_checker *c);
/* Begins to read the pack after the one at hand. */
void store_checker_read_ahead(struct store_checker *c);
/* The pack at hand, if it was read ahead. */
bool store_checker_take_ahead(struct store_checker *c);

/* --- packs in pieces (store_check_stream.c) --- */

/*
 * True: all of the pack is right, and good, n and records_end are set; p is
 * not.  False: look closer.
 */
bool must_use store_checker_stream(struct store_checker *c);

#endif
