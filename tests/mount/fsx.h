/*
 * fsx.h - what fsx.c and fsxmany.c share: chance, and commands of the script.
 */
#ifndef TESTS_MOUNT_FSX_H
#define TESTS_MOUNT_FSX_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct chance {
	uint64_t state;
};

static inline uint64_t chance_u64(struct chance *c)
{
	uint64_t z = (c->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform enough in [0, n); n > 0. */
static inline uint64_t chance_below(struct chance *c, uint64_t n)
{
	return chance_u64(c) % n;
}

static inline bool chance_percent(struct chance *c, unsigned percent)
{
	return chance_below(c, 100) < percent;
}

/* Lets go of all clean pages of the machine; false when we may not. */
static inline bool drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, "3", 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Runs a command of the script; true when it succeeds. */
static inline bool command_run(const char *command)
{
	return system(command) == 0; /* NOLINT: the test's own words */
}

#endif
