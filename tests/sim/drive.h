/*
 * drive.h - random work on a volume and on the oracle, side by side.
 */
#ifndef TESTS_SIM_DRIVE_H
#define TESTS_SIM_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/model_fs.h"
#include "tests/sim/prng.h"
#include "tests/sim/vol.h"

enum { DRIVE_HANDLES = 8 };

struct drive {
	struct vol *v;
	struct prng *rng;
	struct model_fs m;
	struct handle *open[DRIVE_HANDLES];
	int open_ino[DRIVE_HANDLES]; /* in the model; 0: none */
	unsigned file_max;	     /* bytes of a file */
	uint64_t ops;
	char what[160]; /* the last operation, for messages */
};

void drive_init(struct drive *d, struct vol *v, struct prng *rng,
		unsigned file_max);
void drive_release(struct drive *d);
/*
 * One random operation on both; false (with d->what) when the answers differ.
 * An error below (-EIO, -EROFS ...) is told in *out_rc and changes nothing in
 * the model.
 */
bool drive_op(struct drive *d, int *out_rc);
/* An error that the model does not know: it comes from below. */
bool drive_from_below(int rc);
/* Closes all handles. */
void drive_close(struct drive *d);
/* Compares the whole tree: names, types, links, modes, bytes. */
bool drive_compare(struct drive *d);

#endif
