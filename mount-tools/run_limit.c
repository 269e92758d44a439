/*
 * run_limit.c - see run_limit.h.
 */
#include "mount-tools/run_limit.h"

#include <sys/random.h>
#include <sys/resource.h>

#include "fs/run/run_limit.h"

/* Less than there was; runs beside each other get different ones. */
static rlim_t below(rlim_t limit)
{
	uint16_t some = 0;

	if (limit >> RUN_LIMIT_LOW_BITS &&
	    getrandom(&some, sizeof(some), 0) != (ssize_t)sizeof(some))
		some = 0;
	return limit - 1 - some;
}

uint64_t run_limit_choose(const uint8_t *id)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_LOCKS, &r) < 0 || r.rlim_max <= 1)
		return 0;
	return r.rlim_max == RLIM_INFINITY ? run_limit_of(id) :
					     below(r.rlim_max);
}

void run_limit_lower(uint64_t limit)
{
	struct rlimit r;

	if (limit == 0 || getrlimit(RLIMIT_LOCKS, &r) < 0)
		return;
	r.rlim_max = limit;
	if (r.rlim_cur > limit)
		r.rlim_cur = limit;
	(void)setrlimit(RLIMIT_LOCKS, &r);
}
