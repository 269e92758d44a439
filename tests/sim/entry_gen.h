/*
 * entry_gen.h - random entries over a state: most of them valid, some wrong
 * in one field, some nonsense.
 *
 * The generator looks at a struct state_mem to choose inodes and names that
 * exist.  Strings and lists belong to the generated entry.
 */
#ifndef TESTS_SIM_ENTRY_GEN_H
#define TESTS_SIM_ENTRY_GEN_H

#include "ledger/entry.h"
#include "tests/sim/prng.h"
#include "tests/sim/state_mem.h"

struct gen_entry {
	struct entry e;
	struct digest leaf; /* made up, unique */
	void *owned[8];
	unsigned n_owned;
};

struct entry_gen {
	struct prng *p;
	unsigned wrong;	   /* percent of entries with a wrong field */
	uint64_t next_ino; /* counter of the next new inode */
	uint64_t made;
	int64_t wall_ns;
	struct digest actors[16], reads[16], versions[64];
	struct digest policy, holds[4]; /* the last ones */
	uint8_t runs[4][16];		/* ids in use */
	struct digest run_starts[4];
	unsigned n_actors, n_reads, n_versions, n_holds, n_runs;
};

void entry_gen_init(struct entry_gen *g, struct prng *p, unsigned wrong);
/* The first entry: makes the root. */
void entry_gen_root(struct entry_gen *g, struct gen_entry *out);
void entry_gen_next(struct entry_gen *g, struct gen_entry *out,
		    const struct state_mem *m);
void gen_entry_release(struct gen_entry *e);

#endif
