/*
 * bench.c - see bench.h.  Not thread-safe.
 */
#include "tests/sim/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

_Noreturn void bench_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t bench_number(const char *s)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || end == s || *end) {
		fprintf(stderr, "no number: %s\n", s);
		exit(2);
	}
	return n;
}

void bench_write(int fd, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0)
			bench_die("write");
		p += k;
		n -= (size_t)k;
	}
}

int bench_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		bench_die(path);
	return fd;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_percentile(double *v, size_t n, unsigned percent)
{
	qsort(v, n, sizeof(*v), ascending);
	return n ? v[(n - 1) * percent / 100] : 0;
}

double bench_at_once(void (*work)(void *ctx, unsigned i), void *ctx,
		     unsigned processes)
{
	double start = bench_now();
	int status, failed = 0;

	for (unsigned i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_die("fork");
		if (!pid) {
			work(ctx, i);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
	return bench_now() - start;
}

static uint64_t space;

static int add_space(const char *path, const struct stat *st, int type,
		     struct FTW *f)
{
	(void)path;
	(void)f;
	if (type == FTW_F)
		space += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t bench_space(const char *path)
{
	space = 0;
	/* A file that goes away meanwhile is no failure. */
	if (nftw(path, add_space, 32, FTW_PHYS | FTW_MOUNT))
		bench_die(path);
	return space;
}

bool bench_cpu_has(const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char word[64];
	bool has = false;

	while (f && !has && fscanf(f, "%63s", word) == 1)
		has = !strcmp(word, flag);
	if (f)
		(void)fclose(f);
	return has;
}

void bench_target(const char *what, double value, double least)
{
	const char *said = value >= least ? "ok" : "MISSED";
	const char *path = getenv("RESULTS");
	FILE *f = path ? fopen(path, "ae") : NULL;

	printf("%-58s %12.4g >=%g %s\n", what, value, least, said);
	if (!f)
		return;
	fprintf(f, "%s\t%s\t>=%g\t%.4g\n", said, what, least, value);
	(void)fclose(f);
}
