/*
 * seq_trouble.h - a sequence of operations with something going wrong below
 * while it runs: the mount, the operations, the background work, the unmount.
 *
 * What must hold (seq_trouble_run): nothing crashes; each call answers what
 * the oracle does or an error from below; what can be read is what was
 * written; if the volume did not turn read-only, then everything works once
 * the trouble is over, and the volume holds what the oracle holds; and in any
 * case the next mount, after a kill or a power loss, finds all that was
 * acknowledged, and is sound.
 */
#ifndef TESTS_SIM_SEQ_TROUBLE_H
#define TESTS_SIM_SEQ_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/seq_world.h"

enum seq_phase { SEQ_MOUNT, SEQ_WORK, SEQ_STEPS, SEQ_UNMOUNT, SEQ_OVER };

struct seq_trouble {
	/* Begins before the mount; NULL is no trouble. */
	void (*begin)(struct seq_trouble *t, struct vol *v);
	/* Is over; did it strike? */
	bool (*end)(struct seq_trouble *t, struct vol *v);
	bool soft;	      /* it must not turn the volume read-only */
	bool struck;	      /* out */
	bool meant;	      /* out: no operation was left out as impossible */
	bool stuck;	      /* out: the volume turned read-only */
	enum seq_phase phase; /* out: how far it came */
	uint64_t n;	      /* the implementation's own */
	unsigned mask;
	int err;
	bool forever;
};

/* False with words in w. */
bool seq_trouble_run(struct seq_world *w, struct seq_trouble *t,
		     const unsigned *ops, unsigned n_ops, bool deep);

#endif
