/*
 * seq.h - short sequences of operations on a small tree, on a volume and on
 * the oracle side by side, with the oracle's whole past: what the sweeps over
 * all sequences run and compare with.
 *
 * The tree: directories A and B, A/foo of 9,000 bytes, B/bar of 100,000.  An
 * operation that makes no sense where it stands (unlink of a name that is not
 * there) makes the sequence meaningless: it is not run.
 *
 * A moment is the time after one call that changed something; moment 0 is the
 * start.  What a crash may leave (seq_fits): the names of one moment i, not
 * before the last acknowledged sync of anything; and each file with the bytes
 * of a moment j <= i, not before its last acknowledged fsync, nor before a
 * rename or link of it among the i (those save what they name).
 */
#ifndef TESTS_SIM_SEQ_H
#define TESTS_SIM_SEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/model_fs.h"

struct core;
struct handle;

enum { SEQ_MOMENTS = 48, SEQ_FILES = 64, SEQ_WORDS = 24, SEQ_OPEN = 8 };
enum { SEQ_OPS_MAX = 64 };

/* How far the work was when a cut was made. */
struct seq_floor {
	unsigned done;	 /* calls that returned or were begun: a moment */
	unsigned synced; /* the moment that the last sync covered */
	unsigned file[SEQ_FILES]; /* the same of each file; by inode slot */
};

struct seq_past {
	unsigned n; /* the last moment */
	uint64_t names[SEQ_MOMENTS];
	uint64_t bytes[SEQ_MOMENTS][SEQ_FILES]; /* 0: there was none */
	unsigned saved[SEQ_MOMENTS][SEQ_FILES]; /* last rename or link of it */
};

struct seq {
	struct core *core; /* borrowed */
	struct model_fs m;
	struct seq_past past;
	struct seq_floor floor;
	struct handle *open[SEQ_OPEN]; /* with `hold`: of files written */
	unsigned n_open;
	bool hold;	/* written files stay open to the end */
	bool at_once;	/* background work after each operation */
	unsigned acked; /* syncs that said 0 */
	/* a write of it failed: some of it may be there, its bytes are free */
	bool torn[SEQ_FILES];
	bool wrong; /* an answer was not the model's */
	char words[200];
	void (*advance)(void *ctx); /* lets a second pass */
	void *ctx;
};

/*
 * Operations to make sequences of: "all", or "small": each kind that changes
 * or syncs names or bytes once, on as few names as still collide.  Their
 * number, 0 for no such alphabet.
 */
unsigned seq_alphabet(const char *name, unsigned out[SEQ_OPS_MAX]);
/* The number of operations, and what number i is in words. */
unsigned seq_count(void);
const char *seq_text(unsigned op);
/* The operation of these words; seq_count() if there is none. */
unsigned seq_named(const char *text);
/* Operations from "a; b; c"; their number, 0 when one is unknown. */
unsigned seq_parse(const char *text, unsigned *ops, unsigned max);

void seq_init(struct seq *s);
void seq_release(struct seq *s); /* handles are closed, if core is set */
/* Makes the tree to start from; everything is synced by the caller. */
bool seq_plant(struct seq *s, struct core *c);
/* Would it be meaningful here?  Changes nothing. */
bool seq_possible(const struct seq *s, unsigned op);
/*
 * Runs it on both.  The error from below, or 0; s->wrong when the answer is
 * neither the model's nor an error that comes from below.
 */
int seq_run(struct seq *s, unsigned op);
/* Closes what is held open. */
void seq_close(struct seq *s);
/* core_sync or a clean unmount said 0: all of it is durable. */
void seq_synced(struct seq *s);

/* --- what is there --- */

struct seq_found {
	uint64_t names;
	uint64_t bytes[SEQ_FILES]; /* 0: no such file */
	char words[200];	   /* what could not be read */
	bool bad;
};
/* Reads the whole tree of a volume. */
void seq_look(struct seq_found *out, struct core *c);
/* True if this is what a crash may leave; else s->words says why. */
bool seq_fits(struct seq *s, const struct seq_floor *fl,
	      const struct seq_found *t);
/* True if it is exactly the model's state now. */
bool seq_equal(struct seq *s, const struct seq_found *t);
/* A hash of all that seq_fits would allow. */
uint64_t seq_allowed(const struct seq *s, const struct seq_floor *fl);

#endif
