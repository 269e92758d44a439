/*
 * dirchurn.c - listings while names come and go.
 *
 *	dirchurn churn DIR SEED SECONDS
 *		Some names stay throughout; what they name is replaced and
 *		exchanged meanwhile, and other names are made, renamed and
 *		removed beside them.  Each listing, be it with small buffers
 *		or with telldir and seekdir, shows every one that stays once.
 *	dirchurn many DIR N
 *		Makes N names, lists and stats them, removes them; after each
 *		step a listing shows exactly what is there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STAY = 700, CHURNERS = 2, LISTERS = 2, SMALL = 600 };

static const char *dir;
static uint64_t seed;

#define must(what)                                                          \
	do {                                                                \
		if (!(what)) {                                              \
			fprintf(stderr, "line %d: not so: %s (errno %s)\n", \
				__LINE__, #what, strerror(errno));          \
			exit(1);                                            \
		}                                                           \
	} while (0)

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make(int d, const char *name)
{
	int fd = openat(d, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	must(fd >= 0);
	close(fd);
}

/* --- who changes --- */

static void churn(int me, double end)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char a[64], b[64];

	must(d >= 0);
	while (now() < end) {
		snprintf(a, sizeof(a), "tmp-%d-%u", me, below(200));
		switch (below(6)) {
		case 0:
		case 1:
			make(d, a);
			break;
		case 2:
			must(unlinkat(d, a, 0) == 0 || errno == ENOENT);
			break;
		case 3:
			snprintf(b, sizeof(b), "tmp-%d-%u", me, below(200));
			must(renameat(d, a, d, b) == 0 || errno == ENOENT);
			break;
		case 4: /* another file under a name that stays */
			make(d, a);
			snprintf(b, sizeof(b), "stay-%u", below(STAY));
			must(renameat(d, a, d, b) == 0);
			break;
		default:
			snprintf(a, sizeof(a), "stay-%u", below(STAY));
			snprintf(b, sizeof(b), "stay-%u", below(STAY));
			must(renameat2(d, a, d, b, RENAME_EXCHANGE) == 0);
		}
	}
	exit(0);
}

/* --- who lists --- */

struct seen {
	unsigned char n[STAY];
};

static void note(struct seen *s, const char *name)
{
	unsigned i;

	if (sscanf(name, "stay-%u", &i) != 1)
		return;
	must(i < STAY);
	if (s->n[i]++) {
		fprintf(stderr, "%s is shown twice\n", name);
		exit(1);
	}
}

static void all(const struct seen *s)
{
	for (int i = 0; i < STAY; i++)
		if (!s->n[i]) {
			fprintf(stderr, "stay-%d is not shown\n", i);
			exit(1);
		}
}

struct dirent64_raw {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

/* By the system call, a few names at a time. */
static void list_small(void)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct seen s = { { 0 } };
	char buf[SMALL];
	long n;

	must(d >= 0);
	while ((n = syscall(SYS_getdents64, d, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64_raw *e = (void *)(buf + at);

			note(&s, e->name);
			at += e->len;
		}
	must(n == 0);
	close(d);
	all(&s);
}

/* With a step back to where it was before. */
static void list_seeking(void)
{
	DIR *d = opendir(dir);
	struct seen s = { { 0 } }, then = { { 0 } };
	unsigned mark = below(STAY), back = mark + below(STAY / 2), k = 0;
	long place = -1;
	bool again = false;

	must(d != NULL);
	for (struct dirent *e = readdir(d);; e = readdir(d)) {
		if (!e && !again && place >= 0)
			back = k;
		else if (!e)
			break;
		else
			note(&s, e->d_name);
		if (++k == mark) {
			place = telldir(d);
			then = s;
		}
		if (k >= back && place >= 0 && !again) {
			seekdir(d, place);
			s = then;
			again = true;
		}
	}
	closedir(d);
	all(&s);
}

static void list(double end)
{
	unsigned n = 0;

	for (; now() < end; n++)
		if (below(2))
			list_small();
		else
			list_seeking();
	must(n > 2);
	exit(0);
}

static int do_churn(double seconds)
{
	double end = now() + seconds;
	int bad = 0, status;
	char path[4096];

	for (int i = 0; i < STAY; i++) {
		snprintf(path, sizeof(path), "%s/stay-%d", dir, i);
		make(AT_FDCWD, path);
	}
	for (int i = 0; i < CHURNERS + LISTERS; i++)
		if (fork() == 0) {
			seed += (uint64_t)i * 977;
			if (i < CHURNERS)
				churn(i, end);
			list(end);
		}
	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}

/* --- many --- */

/* Exactly the names from lo to hi, each once. */
static void check_many(long lo, long hi, long total)
{
	unsigned char *seen = calloc((size_t)total, 1);
	DIR *d = opendir(dir);
	struct dirent *e;
	long n = 0, i;

	must(seen && d);
	while ((e = readdir(d))) {
		if (sscanf(e->d_name, "name-%ld", &i) != 1)
			continue;
		must(i >= lo && i < hi && !seen[i]);
		must(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
		seen[i] = 1;
		n++;
	}
	closedir(d);
	free(seen);
	must(n == hi - lo);
}

static int do_many(long n)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];
	struct stat st;

	must(d >= 0);
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "name-%ld", i);
		must(mknodat(d, name, S_IFREG | 0644, 0) == 0);
	}
	check_many(0, n, n);
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "name-%ld", i);
		must(fstatat(d, name, &st, 0) == 0 && S_ISREG(st.st_mode));
	}
	for (long i = 0; i < n / 2; i++) {
		snprintf(name, sizeof(name), "name-%ld", i);
		must(unlinkat(d, name, 0) == 0);
	}
	check_many(n / 2, n, n);
	snprintf(name, sizeof(name), "name-%ld", n / 2 - 1);
	must(fstatat(d, name, &st, 0) < 0 && errno == ENOENT);
	for (long i = n / 2; i < n; i++) {
		snprintf(name, sizeof(name), "name-%ld", i);
		must(unlinkat(d, name, 0) == 0);
	}
	check_many(0, 0, n);
	close(d);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	dir = argv[2];
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(argv[1], "many"))
		return do_many(strtol(argv[3], NULL, 10));
	seed = strtoull(argv[3], NULL, 10);
	return do_churn(argc > 4 ? strtod(argv[4], NULL) : 3);
}
