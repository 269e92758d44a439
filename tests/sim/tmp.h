/*
 * tmp.h - a private directory for one test, removed at its end.
 */
#ifndef TESTS_SIM_TMP_H
#define TESTS_SIM_TMP_H

#include <limits.h>

struct tmp {
	char path[PATH_MAX];
};

/* Below $TMPDIR or /tmp; aborts the program when it cannot. */
void tmp_init(struct tmp *t);
/* Removes everything below; follows no symlink, crosses no mount point. */
void tmp_release(struct tmp *t);

#endif
