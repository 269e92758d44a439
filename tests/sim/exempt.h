/*
 * exempt.h - which allocations are the tests' own.
 */
#ifndef TESTS_SIM_EXEMPT_H
#define TESTS_SIM_EXEMPT_H

/* volatile: a compiler knows that malloc reads no variable of ours */
extern _Thread_local volatile unsigned alloc_ours;

#endif
