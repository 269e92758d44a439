/*
 * work.c - the work on bytes that the benchmarks of mounts time: the same
 * program, with the same system calls, on every file system compared.
 *
 *     work write FILE MIB unique|text SEED   1 MiB at a time, fsync
 *     work read FILE                         1 MiB at a time
 *     work overwrite FILE COUNT SEED STORE   4 KiB at random places, fsync
 *     work pick FILE COUNT SEED              read 4 KiB at random places
 *     work stream FILE SECONDS               write 1 MiB at a time, unique
 *     work hash sha256|blake3 PATH...        of all files below, one core
 *     work space PATH                        bytes that are taken up below
 *     work run COMMAND...                    its output is thrown away
 *
 * Prints the seconds it took.  Further numbers: `overwrite` the bytes written
 * and by how much what STORE takes up has grown while the file is open,
 * `hash` the bytes.  `stream` prints bytes only, `space` too.  What is
 * written is made before the clock starts, and differs with the seed.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "tests/sim/bench.h"
#include "tests/sim/prng.h"

enum { BLOCK = 1 << 20, SMALL = 4096, WORDS = 4096 };

static void *memory(size_t n)
{
	void *p = malloc(n);

	if (!p)
		bench_die("memory");
	return p;
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

static void do_write(char **argv)
{
	size_t n = (size_t)bench_number(argv[1]) * BLOCK;
	uint8_t *p = memory(n);
	struct prng r;
	double start;
	int fd;

	prng_init(&r, bench_number(argv[3]));
	if (!strcmp(argv[2], "text"))
		fill_text(&r, (char *)p, n);
	else
		prng_bytes(&r, p, n);
	start = bench_now();
	fd = bench_create(argv[0]);
	for (size_t at = 0; at < n; at += BLOCK)
		bench_write(fd, p + at, BLOCK);
	if (fsync(fd))
		bench_die("fsync");
	if (close(fd))
		bench_die("close");
	printf("%.6f\n", bench_now() - start);
	free(p);
}

static int open_with_size(const char *path, int flags, uint64_t *out_size)
{
	int fd = open(path, flags | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		bench_die(path);
	*out_size = (uint64_t)st.st_size;
	return fd;
}

static void do_read(char **argv)
{
	uint8_t *p = memory(BLOCK);
	double start = bench_now();
	uint64_t size;
	int fd = open_with_size(argv[0], O_RDONLY, &size);
	ssize_t k;

	while ((k = read(fd, p, BLOCK)) > 0)
		size -= (uint64_t)k;
	if (k < 0 || size)
		bench_die("read");
	close(fd);
	printf("%.6f\n", bench_now() - start);
	free(p);
}

/* --- 4 KiB here and there --- */

static off_t somewhere(struct prng *r, uint64_t size)
{
	return (off_t)(prng_below(r, size / SMALL) * SMALL);
}

static void do_overwrite(char **argv)
{
	uint64_t count = bench_number(argv[1]), size, before, after;
	int fd = open_with_size(argv[0], O_RDWR, &size);
	uint8_t *p = memory(BLOCK + SMALL);
	struct prng r;
	double start;

	prng_init(&r, bench_number(argv[2]));
	prng_bytes(&r, p, BLOCK + SMALL);
	before = bench_space(argv[3]);
	start = bench_now();
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *from = p + prng_below(&r, BLOCK);

		if (pwrite(fd, from, SMALL, somewhere(&r, size)) != SMALL)
			bench_die("pwrite");
	}
	if (fsync(fd))
		bench_die("fsync");
	start = bench_now() - start;
	after = bench_space(argv[3]);
	printf("%.6f %llu %lld\n", start, (unsigned long long)(count * SMALL),
	       (long long)after - (long long)before);
	close(fd);
	free(p);
}

static void do_pick(char **argv)
{
	uint64_t count = bench_number(argv[1]), size;
	uint8_t p[SMALL];
	double start = bench_now();
	int fd = open_with_size(argv[0], O_RDONLY, &size);
	struct prng r;

	prng_init(&r, bench_number(argv[2]));
	for (uint64_t i = 0; i < count; i++)
		if (pread(fd, p, SMALL, somewhere(&r, size)) != SMALL)
			bench_die("pread");
	printf("%.6f\n", bench_now() - start);
	close(fd);
}

static void do_stream(char **argv)
{
	double end = bench_now() + (double)bench_number(argv[1]);
	uint64_t *p = memory(BLOCK), written = 0;
	int fd = bench_create(argv[0]);
	struct prng r;

	prng_init(&r, (uint64_t)getpid());
	prng_bytes(&r, p, BLOCK);
	for (; bench_now() < end; written += BLOCK) {
		/* A number in every half KiB: no chunk comes twice. */
		for (size_t i = 0; i < BLOCK / sizeof(*p); i += 64)
			p[i] = prng_u64(&r);
		bench_write(fd, p, BLOCK);
	}
	if (close(fd))
		bench_die("close");
	printf("%llu\n", (unsigned long long)written);
	free(p);
}

/* --- the peer of verification --- */

static struct digest_sha256_ctx *hasher; /* NULL: BLAKE3 */
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
	if (hasher)
		digest_sha256_reset(hasher);
	while ((k = read(fd, hash_buffer, BLOCK)) > 0) {
		if (hasher)
			digest_sha256_update(hasher, hash_buffer, (size_t)k);
		else
			digest_blake3(&d, hash_buffer, (size_t)k);
		hashed += (uint64_t)k;
	}
	if (hasher)
		digest_sha256_final(hasher, &d);
	close(fd);
	return k < 0 ? -1 : 0;
}

static void do_hash(char **argv)
{
	double start = bench_now();

	hasher = strcmp(argv[0], "blake3") ? digest_sha256_new() : NULL;
	hash_buffer = memory(BLOCK);
	for (argv++; *argv; argv++)
		if (nftw(*argv, hash_one, 32, FTW_PHYS | FTW_MOUNT))
			bench_die(*argv);
	printf("%.6f %llu\n", bench_now() - start, (unsigned long long)hashed);
	free(hash_buffer);
	digest_sha256_free(hasher);
}

static void do_space(char **argv)
{
	printf("%llu\n", (unsigned long long)bench_space(argv[0]));
}

static void do_run(char **argv)
{
	double start = bench_now();
	int status, null;
	pid_t pid = fork();

	if (pid < 0)
		bench_die("fork");
	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			(void)dup2(null, STDOUT_FILENO);
		execvp(argv[0], argv);
		bench_die(argv[0]);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		exit(1);
	printf("%.6f\n", bench_now() - start);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *verb;
		int least, most; /* arguments */
		void (*fn)(char **argv);
	} verbs[] = {
		{ "write", 4, 4, do_write },
		{ "read", 1, 1, do_read },
		{ "overwrite", 4, 4, do_overwrite },
		{ "pick", 3, 3, do_pick },
		{ "stream", 2, 2, do_stream },
		{ "hash", 2, 1000, do_hash },
		{ "space", 1, 1, do_space },
		{ "run", 1, 1000, do_run },
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (argc < 2 || strcmp(argv[1], verbs[i].verb) ||
		    argc - 2 < verbs[i].least || argc - 2 > verbs[i].most)
			continue;
		verbs[i].fn(argv + 2);
		return 0;
	}
	fputs("usage: see the head of work.c\n", stderr);
	return 2;
}
