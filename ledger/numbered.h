/*
 * numbered.h - files of a directory that are named by eight digits and a
 * suffix: "00000001.wal".
 *
 * Pure but for the listing; callable from any thread.
 */
#ifndef LEDGER_NUMBERED_H
#define LEDGER_NUMBERED_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct vio;

enum { NUMBERED_PATH_MAX = 64, NUMBERED_LAST = 99999999 };

struct numbered {
	uint32_t *v; /* ascending */
	size_t n, cap;
};

/* "DIR/NNNNNNNNSUFFIX". */
void numbered_path(char out[NUMBERED_PATH_MAX], const char *dir,
		   uint32_t number, const char *suffix);
/* Adds every number with that suffix; other names are passed over. */
int must_use numbered_list(struct numbered *out, struct vio *v, const char *dir,
			   const char *suffix);
void numbered_release(struct numbered *n);

#endif
