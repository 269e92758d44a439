/*
 * clock.c - see clock.h.
 */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

int64_t clock_mono_ns(void)
{
	struct timespec ts = { 0 };
	int rc = clock_gettime(CLOCK_MONOTONIC, &ts);

	assert(rc == 0); /* Linux always has it */
	(void)rc;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}
