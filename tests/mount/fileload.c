/*
 * fileload.c - several processes on one file of the mount.
 *
 *	fileload own FILE SEED OPS	each of four processes owns every fourth
 *			block of 4096 bytes and checks that nobody else's
 *			write, read, map or fsync changes it
 *	fileload tail FILE COUNT	a writer appends lines, readers follow
 *			and never see a byte twice, torn or missing
 *
 * Exit 0, or words.  Blocks are smaller than chunks and as large as pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PROCESSES = 4,
	BLOCK = 4096,
	BLOCKS = 512, /* of each */
	LINE = 37,
};

static uint64_t state;

static uint64_t rng(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void die(const char *what, long n)
{
	printf("%s (%ld): %s\n", what, n, strerror(errno));
	exit(1);
}

static off_t place(int who, int block)
{
	return ((off_t)block * PROCESSES + who) * BLOCK;
}

static void own_check(int fd, int who, int block, const uint8_t *mine)
{
	uint8_t got[BLOCK];

	if (pread(fd, got, BLOCK, place(who, block)) != BLOCK ||
	    memcmp(got, mine + (size_t)block * BLOCK, BLOCK) != 0)
		die("other bytes in a block of mine", block);
}

static int own_step(int *fd, const char *file, int who, uint8_t *mine)
{
	int block = (int)(rng() % BLOCKS);
	size_t from = rng() % BLOCK, n = rng() % (BLOCK - from) + 1;
	uint8_t *to = mine + (size_t)block * BLOCK + from;
	off_t at = place(who, block);
	uint8_t *map;

	switch (rng() % 16) {
	case 0:
		return fsync(*fd);
	case 1:
		if (close(*fd) != 0)
			return -1;
		*fd = open(file, O_RDWR | O_CLOEXEC);
		return *fd < 0 ? -1 : 0;
	case 2:
	case 3:
		own_check(*fd, who, block, mine);
		return 0;
	case 4:
		memset(mine + (size_t)block * BLOCK, 0, BLOCK);
		return fallocate(*fd,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				 BLOCK);
	case 5:
	case 6:
	case 7:
		map = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, *fd,
			   at);
		if (map == MAP_FAILED)
			return -1;
		for (size_t i = 0; i < n; i++)
			map[from + i] = to[i] = (uint8_t)rng();
		if (rng() % 4 == 0 && msync(map, BLOCK, MS_SYNC) != 0)
			return -1;
		return munmap(map, BLOCK);
	default:
		for (size_t i = 0; i < n; i++)
			to[i] = (uint8_t)rng();
		return pwrite(*fd, to, n, at + (off_t)from) == (ssize_t)n ? 0 :
									    -1;
	}
}

static int own_run(const char *file, int who, uint64_t seed, long ops)
{
	uint8_t *mine = calloc(BLOCKS, BLOCK);
	int fd = open(file, O_RDWR | O_CLOEXEC);

	if (!mine || fd < 0)
		die(file, 0);
	state = seed * PROCESSES + (uint64_t)who;
	for (long i = 0; i < ops; i++)
		if (own_step(&fd, file, who, mine) != 0)
			die("operation", i);
	for (int b = 0; b < BLOCKS; b++)
		own_check(fd, who, b, mine);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (fsync(fd) != 0 || close(fd) != 0)
		die("close", 0);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	for (int b = 0; b < BLOCKS; b++)
		own_check(fd, who, b, mine);
	free(mine);
	return 0;
}

static void line_make(char *out, long n)
{
	snprintf(out, LINE + 1, "line %030ld\n", n);
}

static int tail_write(const char *file, long count)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
	char text[LINE + 1];

	for (long i = 0; i < count; i++) {
		line_make(text, i);
		if (write(fd, text, LINE - 1) != LINE - 1)
			die("append", i);
		if (i % 500 == 0 && fsync(fd) != 0)
			die("fsync", i);
	}
	return close(fd);
}

static int tail_read(const char *file, long count)
{
	static char got[1 << 16];
	char want[LINE + 1];
	off_t at = 0, end = (off_t)count * (LINE - 1);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (at < end) {
		n = pread(fd, got, sizeof(got), at);
		if (n < 0)
			die("read", (long)at);
		if (n == 0)
			usleep(1000);
		for (ssize_t i = 0; i < n; i++) {
			line_make(want, (long)((at + i) / (LINE - 1)));
			if (got[i] != want[(at + i) % (LINE - 1)])
				die("torn line at", (long)(at + i));
		}
		at += n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int tail = argc == 4 && strcmp(argv[1], "tail") == 0;
	int fd, status, bad = 0;

	if (!tail && (argc != 5 || strcmp(argv[1], "own") != 0)) {
		fprintf(stderr, "usage: fileload own FILE SEED OPS | "
				"tail FILE COUNT\n");
		return 2;
	}
	fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 ||
	    (!tail && ftruncate(fd, place(PROCESSES, BLOCKS - 1)) != 0))
		die(argv[2], 0);
	close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int who = 0; who < PROCESSES; who++) {
		if (fork() != 0)
			continue;
		if (!tail)
			return own_run(argv[2], who, strtoull(argv[3], NULL, 0),
				       strtol(argv[4], NULL, 0));
		return who ? tail_read(argv[2], strtol(argv[3], NULL, 0)) :
			     tail_write(argv[2], strtol(argv[3], NULL, 0));
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad ? 1 : 0;
}
