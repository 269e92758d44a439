/*
 * exempt.c - see exempt.h; apart from alloc.c, which only some programs link.
 */
#include "tests/sim/exempt.h"

_Thread_local volatile unsigned alloc_ours;
