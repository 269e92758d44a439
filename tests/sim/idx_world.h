/*
 * idx_world.h - a store directory, a random log in memory, and the state that
 * it should give: what the tests of the index start from.
 *
 * Aborts with a line of its own when something fails that must not.
 */
#ifndef TESTS_SIM_IDX_WORLD_H
#define TESTS_SIM_IDX_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/idx.h"
#include "index/idx_query.h"
#include "tests/sim/entry_gen.h"
#include "tests/sim/prng.h"
#include "tests/sim/state_mem.h"
#include "tests/sim/tmp.h"

enum { WORLD_SEAL = 7 }; /* entries in each seal */

struct idx_world {
	struct tmp tmp;
	struct vio *vio;
	struct prng p;
	struct entry_gen gen;
	struct state_mem mem; /* after the whole log */
	struct gen_entry *log;
	bool *applied; /* the answer for each entry */
	size_t n, cap;
	uint64_t answers[2]; /* rejected, applied */
};

/* wrong: percent of entries that are spoiled. */
void idx_world_init(struct idx_world *w, const char *name, uint64_t seed,
		    unsigned wrong);
void idx_world_release(struct idx_world *w);
/*
 * Makes n more entries (rounded up to whole seals) and applies them to
 * memory, checking that a rejected one changes nothing and that the rows keep
 * their invariants.
 */
void idx_world_grow(struct idx_world *w, size_t n);
/* Entry number of the log's entry i. */
uint64_t idx_world_no(size_t i);
struct digest idx_world_root(uint64_t seals);

struct idx *idx_world_open(struct idx_world *w, const char *name);
struct idx_reader *idx_world_reader(struct idx_world *w);
/* Applies seals from..until-1 as one transaction, or gives up in it. */
void idx_world_apply(struct idx_world *w, struct idx *x, uint64_t from,
		     uint64_t until, bool give_up);
/*
 * The whole log into the index `name`, in transactions of up to max seals;
 * some are given up first, sometimes it is closed and opened.
 */
void idx_world_apply_all(struct idx_world *w, const char *name, uint64_t max);

#endif
