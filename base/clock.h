/*
 * clock.h - time that only goes forward (CLOCK_MONOTONIC), for how long
 * something takes and how long it is waited for.  Code below a vio takes the
 * vio's, which a simulated disk brings along.  Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);

#endif
