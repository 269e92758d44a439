/*
 * seq_world.h - the volume that every sequence starts from, made once: a
 * simulated disk, its guard and the index, all taken again by copying; and
 * what must hold of a volume after a crash.
 */
#ifndef TESTS_SIM_SEQ_WORLD_H
#define TESTS_SIM_SEQ_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/seq.h"
#include "tests/sim/vol.h"

enum { SEQ_INDEX_FILES = 2 };

/* index.db and its -wal as they lay on the disk. */
struct seq_index {
	unsigned refs;
	size_t n[SEQ_INDEX_FILES];
	uint8_t *p[SEQ_INDEX_FILES]; /* NULL: no such file */
};

struct seq_world {
	struct vol v; /* sim and guard are the start; core is NULL */
	struct seq start;
	struct seq_index *index;
	struct seq_index *empty; /* with the tables, and nothing in them */
	char words[300];	 /* of what failed last */
};

void seq_world_init(struct seq_world *w);
void seq_world_release(struct seq_world *w);
/* A volume to work on, not mounted, and the sequence on it. */
void seq_world_take(struct seq_world *w, struct vol *v, struct seq *s);
/* Mounts it; 0 or the error. */
int seq_world_mount(struct vol *v, struct seq *s);
/* Ends both; the volume may be mounted. */
void seq_world_give(struct vol *v, struct seq *s);

/* The index below dir; refs 1. */
struct seq_index *seq_index_read(const char *dir);
/* x NULL: removes it. */
void seq_index_write(const struct seq_index *x, const char *dir);
void seq_index_drop(struct seq_index *x);

/*
 * Mounts what a crash left on the disks and looks: it is what may be there,
 * it can be worked on and what is then synced survives the next crash; with
 * `deep` the log verifies and a rebuilt index is the same.  False: w->words.
 */
bool seq_world_check(struct seq_world *w, struct vio_sim *sim,
		     struct vio_sim *guard, const struct seq_index *index,
		     struct seq *s, const struct seq_floor *fl, bool deep);
/* The log of a mounted volume verifies; a rebuilt index is the same. */
bool seq_world_sound(struct seq_world *w, struct vol *v);

#endif
