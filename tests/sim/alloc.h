/*
 * alloc.h - makes the n-th allocation fail.  For programs that are linked
 * with --wrap=malloc, calloc and realloc: tests/sweep/alloc_*.c.
 *
 * Allocations of the tests themselves (the simulated disk, the oracles) are
 * not counted and do not fail: they run with alloc_ours above zero.
 */
#ifndef TESTS_SIM_ALLOC_H
#define TESTS_SIM_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/exempt.h"

/* The nth from now on fails (1: the next); forever: and all after it. */
void alloc_fail(uint64_t nth, bool forever);
/* None fails any more; what alloc_fail would need to go on as it was. */
uint64_t alloc_stop(void);
/* Did one fail since alloc_begin? */
void alloc_begin(void);
bool alloc_failed(void);

#endif
