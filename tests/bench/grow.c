/*
 * grow.c - fills a volume that is not mounted, without the kernel.
 *
 *     grow STORE NAME COUNT THREADS SIZE
 *
 * makes what `names make MOUNTPOINT/NAME COUNT THREADS SIZE` would make, by
 * the same calls of the core that the kernel's requests end in; the volume is
 * closed cleanly then.  Prints the seconds it took.  Ten million files are
 * made in minutes so, not hours.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/err.h"
#include "base/thread.h"
#include "fs/core/core.h"
#include "fs/daemon/guard_place.h"
#include "tests/sim/bench.h"
#include "tests/sim/prng.h"

enum { SMALL = 4096, DIR_FILES = 500 };

struct job {
	struct core *core;
	struct cred cred;
	uint64_t dir;
	uint64_t count; /* of each thread */
	size_t size;
	atomic_uint threads; /* numbered as they start */
};

enum { THREADS_MAX = 16 };

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "grow: %s: %s\n", what, err_text(rc));
	exit(1);
}

static uint64_t make_dir(const struct job *j, uint64_t parent, const char *name)
{
	struct stat st;

	must(core_mknod(j->core, &j->cred, parent, name, S_IFDIR | 0755, 0,
			&st),
	     name);
	return st.st_ino;
}

static void make_file(const struct job *j, uint64_t dir, const char *name,
		      const uint8_t *p)
{
	struct handle *h = NULL;
	struct stat st;

	must(core_create(j->core, &j->cred, dir, name, S_IFREG | 0644,
			 O_WRONLY | O_CREAT | O_EXCL, &h, &st),
	     name);
	must(core_write(j->core, &j->cred, h, p, j->size, 0, false, false),
	     name);
	must(core_flush(j->core, h), name);
	core_release(j->core, h);
}

static void make_files(void *arg)
{
	struct job *j = arg;
	unsigned thread = atomic_fetch_add(&j->threads, 1);
	uint8_t p[SMALL];
	uint64_t dir = 0;
	char name[64];
	struct prng r;

	prng_init(&r, (uint64_t)time(NULL) * 1000003 + thread);
	for (uint64_t i = 0; i < j->count; i++) {
		if (i % DIR_FILES == 0) {
			(void)snprintf(name, sizeof(name), "%u.%u", thread,
				       (unsigned)(i / DIR_FILES));
			dir = make_dir(j, j->dir, name);
		}
		(void)snprintf(name, sizeof(name), "file-%u", (unsigned)i);
		prng_bytes(&r, p, j->size);
		make_file(j, dir, name, p);
	}
}

static struct core *volume_open(const char *store)
{
	autofree char *path = realpath(store, NULL);
	autofree char *guard = NULL;
	struct core_options o = { .store = path };
	struct errmsg em = ERRMSG_INIT;
	struct core *c = NULL;
	int rc;

	if (!path)
		bench_die(store);
	rc = guard_place_make(&guard, &em);
	o.guard_dir = guard;
	if (rc == 0)
		rc = core_open(&c, &o, &em);
	if (rc < 0) {
		fprintf(stderr, "grow: %s\n", errmsg_text(&em, rc));
		exit(1);
	}
	return c;
}

int main(int argc, char **argv)
{
	struct errmsg em = ERRMSG_INIT;
	struct job j = { .cred = { .uid = getuid(),
				   .gid = getgid(),
				   .pid = (uint32_t)getpid(),
				   .umask = 022 } };
	struct thread thread[THREADS_MAX] = { 0 };
	uint64_t threads;
	double start;
	int rc;

	if (argc != 6 || sodium_init() < 0) {
		fputs("usage: grow STORE NAME COUNT THREADS SIZE\n", stderr);
		return 2;
	}
	threads = bench_number(argv[4]);
	j.size = (size_t)bench_number(argv[5]);
	if (threads == 0 || threads > THREADS_MAX || j.size > SMALL)
		return 2;
	j.count = bench_number(argv[3]) / threads;
	start = bench_now();
	j.core = volume_open(argv[1]);
	j.dir = make_dir(&j, 1, argv[2]);
	for (uint64_t i = 0; i < threads; i++)
		must(thread_start(&thread[i], "grow", make_files, &j),
		     "thread");
	for (uint64_t i = 0; i < threads; i++)
		thread_join(&thread[i]);
	rc = core_close(j.core, &em);
	if (rc < 0) {
		fprintf(stderr, "grow: %s\n", errmsg_text(&em, rc));
		return 1;
	}
	printf("%.6f\n", bench_now() - start);
	return 0;
}
