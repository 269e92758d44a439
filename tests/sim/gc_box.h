/*
 * gc_box.h - garbage collection in tests: versions are released as a GC entry
 * would, gc runs, and everything that must be there is looked for.
 */
#ifndef TESTS_SIM_GC_BOX_H
#define TESTS_SIM_GC_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/core/core.h"
#include "fs/upkeep/gc.h"

/* Enters a GC entry for versions first..last, and waits for the index. */
int gc_box_release(struct core *c, uint64_t ino, uint64_t first, uint64_t last);
/* One run with these options (NULL: all zero); words go to stderr. */
int gc_box_run(struct core *c, struct core_gc_report *out,
	       const struct core_gc_options *o);
/* Deep verification: the number of damaged places, words on stderr. */
uint64_t gc_box_damage(struct core *c);
/* Bytes [0, size) of a version that no file need have: its error, or 0. */
int gc_box_read_version(struct core *c, uint64_t ino, uint64_t version,
			uint8_t *out, uint64_t size);

#endif
