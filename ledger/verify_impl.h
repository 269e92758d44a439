/*
 * verify_impl.h - one verification under way; for ledger_verify*.c.
 */
#ifndef LEDGER_VERIFY_IMPL_H
#define LEDGER_VERIFY_IMPL_H

#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/tile_store.h"

enum { VERIFY_WINDOW = 8192, VERIFY_PROMISES = 3 };

struct ahead;
struct sigcheck;

typedef unsigned long long ull_;

/* A root that was promised. */
struct promise {
	struct ledger_anchor at;
	const char *by;
};

struct verifying {
	struct ledger *l;
	const struct ledger_verify_options *o;
	struct ledger_verify_report *report;
	struct mutex mu; /* report->damaged and o->found */
	uint64_t size;
	uint64_t next; /* seal to be read */
	struct ahead *ahead;
	struct rules *rules;
	bool broken; /* something is missing: the rules cannot go on */
	struct sigcheck *sigs;
	struct tile_store *tiles; /* made from what is read */
	struct tile_store_compare compare;
	struct merkle_frontier frontier;
	struct merkle_frontier *window; /* size s at s % VERIFY_WINDOW */
	struct promise promise[VERIFY_PROMISES];
	unsigned n_promises;
	struct buf note;
	struct checkpoint checkpoint;
};

/* --- ledger_verify.c: damaged places, in words --- */

void ledger_verify_tell_locked(struct verifying *v, const char *words);
/* A found() of the stores below; ctx is the verifying. */
void ledger_verify_tell(void *ctx, const char *words);
void ledger_verify_tellf(struct verifying *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* --- ledger_verify_promise.c --- */

/* Reads what was promised, then the size. */
void ledger_verify_promises(struct verifying *v);
/* Compares the promise made for the size reached, if there is one. */
void ledger_verify_keep(struct verifying *v);
/* The signature of a note by one of the log's keys, as the log names them. */
void ledger_verify_note(struct verifying *v, const char *by, const void *p,
			size_t n);

/* --- ledger_verify_batch.c --- */

int must_use ledger_verify_frame(struct verifying *v, const struct frame *f,
				 const struct rules_entry *entries,
				 const struct rules_prepared *prepared);
/* A lost seal: the tree goes on with what the tiles say. */
int must_use ledger_verify_lost(struct verifying *v, uint64_t index);

#endif
