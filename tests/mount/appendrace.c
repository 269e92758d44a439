/*
 * appendrace.c - several processes append records to one file.
 *
 *	appendrace FILE SEED RECORDS
 *
 * Each record is written by one write: no byte of another is inside, none is
 * lost, and each process's are in its order.  Every other process appends by
 * O_APPEND, the rest by RWF_APPEND; the sizes seen meanwhile never shrink.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 4, BODY_MAX = 9000 };

struct head {
	uint32_t magic, who, number, body;
};

#define must(what)                                                         \
	do {                                                               \
		if (!(what)) {                                             \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, \
				#what);                                    \
			exit(1);                                           \
		}                                                          \
	} while (0)

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void append(const char *path, unsigned who, uint32_t seed,
		   uint32_t records)
{
	static unsigned char buf[sizeof(struct head) + BODY_MAX];
	int fd = open(path, O_WRONLY | (who % 2 ? O_APPEND : 0));
	off_t before = 0;
	struct stat st;

	must(fd >= 0);
	seed += who * 977;
	for (uint32_t i = 0; i < records; i++) {
		struct head h = { 0x52454331, who, i,
				  next_random(&seed) % BODY_MAX };
		struct iovec v = { buf, sizeof(h) + h.body };
		ssize_t n;

		memcpy(buf, &h, sizeof(h));
		memset(buf + sizeof(h), (int)(who * 31 + i) & 255, h.body);
		n = who % 2 ? write(fd, buf, v.iov_len) :
			      pwritev2(fd, &v, 1, 0, RWF_APPEND);
		must(n == (ssize_t)v.iov_len);
		must(fstat(fd, &st) == 0 && st.st_size >= before + n);
		before = st.st_size;
	}
	must(close(fd) == 0);
	exit(0);
}

static void check(const char *path, uint32_t records)
{
	uint32_t next[WRITERS] = { 0 };
	FILE *f = fopen(path, "r");
	struct head h;

	must(f != NULL);
	while (fread(&h, sizeof(h), 1, f) == 1) {
		must(h.magic == 0x52454331 && h.who < WRITERS &&
		     h.body < BODY_MAX);
		must(h.number == next[h.who]++);
		for (uint32_t i = 0; i < h.body; i++)
			must(getc(f) == (int)((h.who * 31 + h.number) & 255));
	}
	must(feof(f));
	for (int i = 0; i < WRITERS; i++)
		must(next[i] == records);
	fclose(f);
}

int main(int argc, char **argv)
{
	uint32_t records = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	int status, bad = 0, fd;

	if (!records)
		return 2;
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	must(fd >= 0 && close(fd) == 0);
	for (unsigned i = 0; i < WRITERS; i++)
		if (fork() == 0)
			append(argv[1], i, (uint32_t)strtoul(argv[2], NULL, 10),
			       records);
	while (wait(&status) > 0)
		bad |= status;
	if (!bad)
		check(argv[1], records);
	return bad != 0;
}
