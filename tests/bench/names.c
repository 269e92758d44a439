/*
 * names.c - the work on files and names that the benchmarks of mounts time.
 *
 *     names make DIR COUNT PROCESSES [SIZE]   create, write 4 KiB, close
 *     names stat DIR COUNT                    stat of what `make ... 1` made
 *     names some DIR COUNT SAMPLE             stat of SAMPLE of them, none twice
 *     names walk DIR                          readdir and stat of all below
 *     names remove DIR                        all below, and DIR
 *     names sync DIR COUNT PROCESSES          create, write 4 KiB, fsync
 *
 * Prints the seconds it took; `sync` then the median and the 99th percentile
 * of one file, with one process these alone.  Directories hold 500 files each.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/bench.h"
#include "tests/sim/prng.h"

enum { SMALL = 4096, DIR_FILES = 500, RUN = 10 };

struct job {
	const char *dir;
	uint64_t count; /* of each process */
	size_t size;
	double *took; /* of each file of each process, shared, or NULL */
};

/* No two files of any run are alike. */
static void fresh(struct prng *r)
{
	prng_init(r, (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid());
}

static void path_of(char path[4096], const char *dir, unsigned process,
		    uint64_t i)
{
	(void)snprintf(path, 4096, "%s/%u.%u/file-%u", dir, process,
		       (unsigned)(i / DIR_FILES), (unsigned)i);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755))
		bench_die(path);
}

/* --- many files --- */

static void make_files(void *ctx, unsigned process)
{
	const struct job *j = ctx;
	uint8_t p[SMALL];
	char path[4096];
	struct prng r;
	int fd;

	fresh(&r);
	for (uint64_t i = 0; i < j->count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%u.%u", j->dir, process,
			       (unsigned)(i / DIR_FILES));
		if (i % DIR_FILES == 0)
			make_dir(path);
		path_of(path, j->dir, process, i);
		prng_bytes(&r, p, j->size);
		fd = bench_create(path);
		bench_write(fd, p, j->size);
		if (close(fd))
			bench_die("close");
	}
}

static double do_make(const char *dir, uint64_t count, unsigned processes,
		      size_t size)
{
	struct job j = { dir, count / processes, size, NULL };

	make_dir(dir);
	return bench_at_once(make_files, &j, processes);
}

static double do_stat(const char *dir, uint64_t count)
{
	double start = bench_now();
	char path[4096];
	struct stat st;

	for (uint64_t i = 0; i < count; i++) {
		path_of(path, dir, 0, i);
		if (lstat(path, &st))
			bench_die(path);
	}
	return bench_now() - start;
}

/*
 * Ten in a row, so that directories do not count; no file twice, or a small
 * volume, where chance comes back to the same places, would be asked less.
 */
/*
 * Ten in a row, so that directories do not count, and none twice: what the
 * kernel has kept since would make small volumes look fast.
 */
static double do_some(const char *dir, uint64_t count, uint64_t sample)
{
	uint64_t n = count / 10, *tens = calloc(n + 1, sizeof(*tens));
	double took = 0, start;
	char path[4096];
	struct prng r;
	struct stat st;

	if (!tens || sample > n * 10)
		bench_die("sample");
	for (uint64_t i = 0; i < n; i++)
		tens[i] = i;
	fresh(&r);
	start = bench_now();
	for (uint64_t i = 0; i < sample; i++) {
		uint64_t k = i / 10 + prng_below(&r, n - i / 10);
		uint64_t ten = tens[k];

		if (i % 10 == 0) {
			tens[k] = tens[i / 10];
			tens[i / 10] = ten;
		}
		path_of(path, dir, 0, tens[i / 10] * 10 + i % 10);
		if (lstat(path, &st))
			bench_die(path);
	}
	took = bench_now() - start;
	free(tens);
	return took;
}

static int nothing(const char *path, const struct stat *st, int type,
		   struct FTW *f)
{
	(void)path;
	(void)st;
	(void)f;
	return type == FTW_NS ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *f)
{
	(void)st;
	(void)f;
	(void)type;
	return remove(path);
}

static double walk(const char *dir, __nftw_func_t fn, int flags)
{
	double start = bench_now();

	if (nftw(dir, fn, 32, flags | FTW_PHYS | FTW_MOUNT))
		bench_die(dir);
	return bench_now() - start;
}

/* --- durable ones --- */

static void sync_files(void *ctx, unsigned process)
{
	const struct job *j = ctx;
	uint8_t p[SMALL];
	char path[4096];
	struct prng r;
	double start;
	int fd;

	fresh(&r);
	for (uint64_t i = 0; i < j->count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%u.%u", j->dir, process,
			       (unsigned)i);
		prng_bytes(&r, p, sizeof(p));
		start = bench_now();
		fd = bench_create(path);
		bench_write(fd, p, sizeof(p));
		if (fsync(fd))
			bench_die("fsync");
		if (close(fd))
			bench_die("close");
		if (j->took)
			j->took[process * j->count + i] = bench_now() - start;
	}
}

static void do_sync(const char *dir, uint64_t count, unsigned processes)
{
	struct job j = { dir, count / processes, SMALL, NULL };
	uint64_t all = j.count * processes;
	size_t bytes = (size_t)all * sizeof(*j.took);
	double took;

	make_dir(dir);
	j.took = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j.took == MAP_FAILED)
		bench_die("memory");
	if (processes > 1) {
		took = bench_at_once(sync_files, &j, processes);
		printf("%.6f ", took);
	} else {
		sync_files(&j, 0);
	}
	took = bench_percentile(j.took, all, 50);
	printf("%.6f %.6f\n", took, bench_percentile(j.took, all, 99));
	(void)munmap(j.took, bytes);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "", *dir = argv[2];
	uint64_t a = argc > 3 ? bench_number(argv[3]) : 0;
	uint64_t b = argc > 4 ? bench_number(argv[4]) : 0;
	uint64_t c = argc > 5 ? bench_number(argv[5]) : SMALL;
	double took;

	if (!strcmp(verb, "make") && b && argc <= 6 && c <= SMALL)
		took = do_make(dir, a, (unsigned)b, (size_t)c);
	else if (!strcmp(verb, "stat") && argc == 4)
		took = do_stat(dir, a);
	else if (!strcmp(verb, "some") && b && argc == 5)
		took = do_some(dir, a, b);
	else if (!strcmp(verb, "walk") && argc == 3)
		took = walk(dir, nothing, 0);
	else if (!strcmp(verb, "remove") && argc == 3)
		took = walk(dir, remove_one, FTW_DEPTH);
	else if (!strcmp(verb, "sync") && b && argc == 5) {
		do_sync(dir, a, (unsigned)b);
		return 0;
	} else {
		fputs("usage: see the head of names.c\n", stderr);
		return 2;
	}
	printf("%.6f\n", took);
	return 0;
}
