/*
 * bench.h - what the tools of tests/bench share: a clock, arguments, whole
 * writes, percentiles.  What cannot go on ends the program.
 */
#ifndef TESTS_SIM_BENCH_H
#define TESTS_SIM_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds, from anywhere. */
double bench_now(void);
/* What failed, in words, and errno's; exit 1. */
_Noreturn void bench_die(const char *what);
uint64_t bench_number(const char *s);
void bench_write(int fd, const void *p, size_t n);
/* Opens for writing; made or emptied. */
int bench_create(const char *path);
/* Sorts v. */
double bench_percentile(double *v, size_t n, unsigned percent);
/* Runs work(ctx, 0), work(ctx, 1) ... in processes, at once; seconds. */
double bench_at_once(void (*work)(void *ctx, unsigned i), void *ctx,
		     unsigned processes);
/* Bytes that all files below a path take up on the disk. */
uint64_t bench_space(const char *path);
/* Does the kernel list this flag of the processor? */
bool bench_cpu_has(const char *flag);
/*
 * Says whether a figure is at least what is asked for, and adds it to the file
 * that $RESULTS names, as the scripts do.
 */
void bench_target(const char *what, double value, double least);

#endif
