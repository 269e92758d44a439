/*
 * work.c - the file work that the benchmark of mounts times: the same
 * program, with the same system calls, on every file system compared.
 *
 *     work write FILE MIB unique|text SEED   write 1 MiB at a time, fsync
 *     work read FILE                         1 MiB at a time
 *     work files DIR COUNT PROCESSES         create, write 4 KiB, close
 *     work walk DIR                          readdir and stat of all below
 *     work remove DIR                        all below, and DIR
 *     work sync DIR COUNT                    create, write, fsync, one by one
 *     work hash PATH...                      SHA-256 of all files below
 *     work run COMMAND...                    its output is thrown away
 *
 * Prints the seconds it took; `sync` the median and the 99th percentile of
 * one file, `hash` the bytes too.  What is written is made before the clock
 * starts, and differs with the seed.
 */
#include <dirent.h>
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

#include "base/digest.h"
#include "tests/sim/prng.h"

enum { BLOCK = 1 << 20, SMALL = 4096, DIR_FILES = 500, WORDS = 4096 };

static void die(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || end == s || *end) {
		fprintf(stderr, "work: no number: %s\n", s);
		exit(2);
	}
	return n;
}

static void write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0)
			die("write");
		p += k;
		n -= (size_t)k;
	}
}

static int create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		die(path);
	return fd;
}

/* --- one large file --- */

/* Lines of words from a small vocabulary, as in a log file or a CSV. */
static void fill_text(struct prng *r, char *out, size_t n)
{
	static char word[WORDS][12];
	size_t at = 0, k;

	for (size_t i = 0; i < WORDS; i++) {
		uint64_t bits = prng_u64(r);

		k = 2 + bits % 8;
		for (size_t j = 0; j < k; j++)
			word[i][j] = (char)('a' + (bits >> (8 + 5 * j)) % 26);
		word[i][k] = i % 13 ? ' ' : '\n';
		word[i][k + 1] = 0;
	}
	while (at < n) {
		uint64_t bits = prng_u64(r);

		/* Few words are frequent, as in any language. */
		for (int i = 0; i < 4 && at < n; i++, bits >>= 16) {
			size_t mask = bits & 0x8000 ? WORDS - 1 : 255;
			const char *w = word[bits & mask];

			k = strlen(w);
			k = k < n - at ? k : n - at;
			memcpy(out + at, w, k);
			at += k;
		}
	}
}

static double do_write(const char *path, uint64_t mib, const char *kind,
		       uint64_t seed)
{
	size_t n = (size_t)mib * BLOCK;
	uint8_t *p = malloc(n);
	struct prng r;
	double start;
	int fd;

	if (!p)
		die("memory");
	prng_init(&r, seed);
	if (!strcmp(kind, "text"))
		fill_text(&r, (char *)p, n);
	else
		prng_bytes(&r, p, n);
	start = now();
	fd = create(path);
	for (size_t at = 0; at < n; at += BLOCK)
		write_all(fd, p + at, BLOCK);
	if (fsync(fd))
		die("fsync");
	if (close(fd))
		die("close");
	start = now() - start;
	free(p);
	return start;
}

static double do_read(const char *path)
{
	uint8_t *p = malloc(BLOCK);
	double start = now();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t k;

	if (fd < 0 || !p)
		die(path);
	while ((k = read(fd, p, BLOCK)) > 0)
		;
	if (k < 0)
		die("read");
	close(fd);
	free(p);
	return now() - start;
}

/* --- many small files --- */

static void some_files(const char *dir, uint64_t count, unsigned process)
{
	uint8_t p[SMALL];
	char path[4096];
	struct prng r;
	int fd;

	/* No two files of any run are alike. */
	prng_init(&r, (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid());
	for (uint64_t i = 0; i < count; i++) {
		unsigned d = (unsigned)(i / DIR_FILES);

		(void)snprintf(path, sizeof(path), "%s/%u.%u", dir, process, d);
		if (i % DIR_FILES == 0 && mkdir(path, 0755))
			die(path);
		(void)snprintf(path, sizeof(path), "%s/%u.%u/file-%u", dir,
			       process, d, (unsigned)i);
		prng_bytes(&r, p, sizeof(p));
		fd = create(path);
		write_all(fd, p, sizeof(p));
		if (close(fd))
			die("close");
	}
}

static double do_files(const char *dir, uint64_t count, uint64_t processes)
{
	double start = now();
	int status, failed = 0;

	if (mkdir(dir, 0755))
		die(dir);
	for (uint64_t i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			some_files(dir, count / processes, (unsigned)i);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
	return now() - start;
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
	double start = now();

	if (nftw(dir, fn, 32, flags | FTW_PHYS | FTW_MOUNT))
		die(dir);
	return now() - start;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void do_sync(const char *dir, uint64_t count)
{
	double *took = calloc(count, sizeof(*took));
	uint8_t p[SMALL];
	char path[4096];
	struct prng r;
	int fd;

	if (!took || !count)
		die("memory");
	if (mkdir(dir, 0755))
		die(dir);
	prng_init(&r, (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid());
	for (uint64_t i = 0; i < count; i++) {
		double start = now();

		(void)snprintf(path, sizeof(path), "%s/%u", dir, (unsigned)i);
		prng_bytes(&r, p, sizeof(p));
		fd = create(path);
		write_all(fd, p, sizeof(p));
		if (fsync(fd))
			die("fsync");
		if (close(fd))
			die("close");
		took[i] = now() - start;
	}
	qsort(took, count, sizeof(*took), ascending);
	printf("%.6f %.6f\n", took[count / 2], took[count * 99 / 100]);
	free(took);
}

/* --- the peer of verification --- */

static struct digest_sha256_ctx *hasher;
static uint8_t *hash_buffer;
static uint64_t hashed;

static int hash_one(const char *path, const struct stat *st, int type,
		    struct FTW *f)
{
	struct digest d;
	ssize_t k;
	int fd;

	(void)f;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	digest_sha256_reset(hasher);
	while ((k = read(fd, hash_buffer, BLOCK)) > 0) {
		digest_sha256_update(hasher, hash_buffer, (size_t)k);
		hashed += (uint64_t)k;
	}
	digest_sha256_final(hasher, &d);
	close(fd);
	return k < 0 ? -1 : 0;
}

static void do_hash(char **paths)
{
	double took = 0;

	hasher = digest_sha256_new();
	hash_buffer = malloc(BLOCK);
	if (!hasher || !hash_buffer)
		die("memory");
	for (; *paths; paths++)
		took += walk(*paths, hash_one, 0);
	printf("%.6f %llu\n", took, (unsigned long long)hashed);
	free(hash_buffer);
	digest_sha256_free(hasher);
}

static double do_run(char **argv)
{
	double start = now();
	int status, null;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			(void)dup2(null, STDOUT_FILENO);
		execvp(argv[0], argv);
		die(argv[0]);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		exit(1);
	return now() - start;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	double took;

	if (!strcmp(verb, "write") && argc == 6) {
		took = do_write(argv[2], number(argv[3]), argv[4],
				number(argv[5]));
	} else if (!strcmp(verb, "read") && argc == 3) {
		took = do_read(argv[2]);
	} else if (!strcmp(verb, "files") && argc == 5) {
		took = do_files(argv[2], number(argv[3]), number(argv[4]));
	} else if (!strcmp(verb, "walk") && argc == 3) {
		took = walk(argv[2], nothing, 0);
	} else if (!strcmp(verb, "remove") && argc == 3) {
		took = walk(argv[2], remove_one, FTW_DEPTH);
	} else if (!strcmp(verb, "run")) {
		took = do_run(argv + 2);
	} else if (!strcmp(verb, "sync") && argc == 4) {
		do_sync(argv[2], number(argv[3]));
		return 0;
	} else if (!strcmp(verb, "hash")) {
		do_hash(argv + 2);
		return 0;
	} else {
		fputs("usage: see the head of work.c\n", stderr);
		return 2;
	}
	printf("%.6f\n", took);
	return 0;
}
