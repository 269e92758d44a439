/*
 * vio_sim_internal.h - the simulator's state, for its two files.
 */
#ifndef TESTS_SIM_VIO_SIM_INTERNAL_H
#define TESTS_SIM_VIO_SIM_INTERNAL_H

#include "base/thread.h"
#include "tests/sim/prng.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/vio_sim.h"

struct vio_sim {
	struct vio vio;
	struct mutex mu;
	const char *note_path; /* see struct vio_sim_options */
	uint64_t note_from;
	struct sim_disk disk; /* all below: guarded by mu */
	struct prng random;   /* what vio_random gives */
	struct prng dice;     /* how much of a failed call happened */
	uint64_t boot;
	int64_t wall_ns;
	int64_t mono_ns;
	bool wall_synced;
	uint64_t fsid;
	uint64_t total_pages;
	uint64_t counts[VIO_SIM_CLASSES];
	uint64_t stop_left; /* 0: no stop */
	bool stopped;
	uint64_t forgotten; /* bytes */
	unsigned fail_mask;
	uint64_t fail_left; /* 0: no fault */
	int fail_err;
	bool fail_forever;
	bool failed;
	vio_sim_hook_fn *hook;
	void *hook_ctx;
};

extern const struct vio_ops vio_sim_ops;

/* Handles, locks, faults and stops of the process that died (mu held). */
void vio_sim_forget_locked(struct vio_sim *s);

#endif
