/*
 * replay.c - runs a fuzz target over its corpus, without a fuzzer.
 *
 * Each file of the directories given is tried as it is, cut short, and with
 * bytes changed by a fixed generator: the same run every time.  An input that
 * kills the target is found again by running this once more under a debugger.
 * A corpus that is missing or empty is a failure: nothing would be tested.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 64, INPUT_MAX = 1 << 20 };

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % limit);
}

/* A copy of exactly this size, so that a read beyond it is caught. */
static void try_input(const uint8_t *data, size_t size)
{
	uint8_t *copy = calloc(size ? size : 1, 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void mutate(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size);
	int i, changes;

	if (!copy)
		abort();
	for (i = 0; i < MUTATIONS; i++) {
		memcpy(copy, data, size);
		changes = 1 + (int)random_below(4);
		while (changes-- > 0)
			copy[random_below((uint32_t)size)] =
				(uint8_t)random_below(256);
		try_input(copy, size);
		try_input(data, random_below((uint32_t)size));
	}
	free(copy);
}

static int replay_file(int dir_fd, const char *name)
{
	static uint8_t data[INPUT_MAX];
	size_t size = 0;
	ssize_t n;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((n = read(fd, data + size, sizeof(data) - size)) > 0)
		size += (size_t)n;
	close(fd);
	if (n < 0)
		return -EIO;
	try_input(data, size);
	if (size > 0)
		mutate(data, size);
	return 0;
}

static int replay_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay_file(dirfd(dir), entry->d_name) < 0) {
			fprintf(stderr, "%s/%s: cannot be read\n", path,
				entry->d_name);
			count = 0;
			break;
		}
		count++;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int i, count;

	try_input((const uint8_t *)"", 0);
	for (i = 1; i < argc; i++) {
		count = replay_dir(argv[i]);
		if (count == 0) {
			fprintf(stderr, "%s: no corpus\n", argv[i]);
			return 1;
		}
		printf("%s: %d inputs\n", argv[i], count);
	}
	return argc > 1 ? 0 : 2;
}
