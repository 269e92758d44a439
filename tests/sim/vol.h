/*
 * vol.h - a volume for tests: a simulated disk (or a real directory) below a
 * core without threads, and a private directory for SQLite.
 */
#ifndef TESTS_SIM_VOL_H
#define TESTS_SIM_VOL_H

#include <stdbool.h>

#include "fs/core/core.h"
#include "tests/sim/tmp.h"
#include "tests/sim/vio_sim.h"

struct vol {
	struct tmp tmp; /* index.db */
	struct vio_sim *sim;
	struct vio_sim *guard;
	struct core *core;
	bool quiet;	      /* errors are expected */
	bool actors;	      /* who asks is looked at in /proc */
	size_t inode_cache;   /* rows in memory; 0: as always */
	uint64_t extents_max; /* of all files; 0: as always */
};

/* Makes a volume on a fresh simulated disk; aborts when it cannot. */
void vol_init(struct vol *v, uint64_t seed);
void vol_release(struct vol *v);
/* 0 or the error, with its words on stderr. */
int vol_mount(struct vol *v);
int vol_umount(struct vol *v);
/* The process dies; the disk lives (kill), or forgets (crash). */
void vol_kill(struct vol *v);
void vol_crash(struct vol *v, struct prng *p);

extern const struct cred vol_cred;

#endif
