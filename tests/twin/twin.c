/*
 * twin.c - the same random system calls on two directories, one of them in
 * a mount; whatever they answer must be the same.
 *
 *	twin run A B SEED N	N calls on both, all answers compared
 *	twin dump DIR [all]	the tree as text; with times and inode numbers
 *
 * A is below the mount, B on a filesystem that is trusted.  Five processes of
 * three users take turns, three of them with one table of descriptors.
 * Compared are results, errno, bytes, what stat says, which times moved, and
 * every 500 calls the trees.  TRACE=1 prints each call, EVERY=n compares the
 * trees every n calls, ONLY=FILE does only the calls whose numbers FILE lists.
 * Exit 0 when all is the same; else what differed is printed.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/twin/world.h"

static const struct worker workers[WORKERS] = {
	{ "root", 0, 0, 0, 0, false },
	{ "alice", 1101, 1101, 1200, 0, false },
	{ "bob", 1102, 1102, 1200, 0, true },
	{ "root2", 0, 0, 0, 1, false },
	{ "alice2", 1101, 1101, 1200, 2, false },
};

static pid_t pids[WORKERS];
static const char *dirs[2];

static void (*const ops[])(void) = {
	op_open,   op_open,   op_open,	   op_open,	op_open,      op_open,
	op_reopen, op_close,  op_flags,	   op_write,	op_write,     op_write,
	op_write,  op_read,   op_read,	   op_read,	op_mmap,      op_mmap,
	op_seek,   op_holes,  op_truncate, op_truncate, op_fallocate, op_copy,
	op_copy,   op_sync,   op_rename,   op_rename,	op_rename,    op_rename,
	op_link,   op_link,   op_make,	   op_make,	op_make,      op_make,
	op_remove, op_remove, op_remove,   op_mode,	op_mode,      op_owner,
	op_owner,  op_times,  op_look,	   op_look,	op_xattr,     op_xattr,
	op_acl,	   op_acl,    op_list,	   op_chdir,	op_lock,
};

/* --- a worker */

static void buffers(void)
{
	size_t n = IO_MAX + 4096;

	data = aligned_alloc(4096, n & ~(size_t)4095);
	got[0] = aligned_alloc(4096, n & ~(size_t)4095);
	got[1] = aligned_alloc(4096, n & ~(size_t)4095);
	if (!data || !got[0] || !got[1])
		abort();
}

/*
 * A removed file that O_PATH alone holds: nobody tells us of such descriptors,
 * its bytes are gone (README.md, what differs).
 */
static void slots_sweep(void)
{
	struct slot *all = world->slots[me->table];
	struct stat st;

	for (int i = 0; i < SLOTS; i++)
		if (all[i].fd[0] >= 0 && all[i].flags & O_PATH &&
		    fstat(all[i].fd[1], &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_nlink == 0)
			slot_close(&all[i]);
}

static void work(int w)
{
	static const mode_t masks[] = { 0, 022, 0, 077, 002 };
	struct rlimit limit = { 500 * 1024, 500 * 1024 };

	me = &workers[w];
	umask(masks[w]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (me->limited)
		setrlimit(RLIMIT_FSIZE, &limit);
	buffers();
	as_self();
	for (;;) {
		while (sem_wait(&world->turn[w]) < 0)
			;
		if (world->stop)
			_exit(0);
		rng_for(world->seed, world->op_no);
		rng(); /* which worker it is */
		slots_sweep();
		ANY(ops)();
		watch_compare();
		sem_post(&world->done);
	}
}

/* Those of the first table share their descriptors. */
static pid_t worker_start(int w)
{
	unsigned long flags = workers[w].table == 0 ? CLONE_FILES : 0;
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		work(w);
	return pid;
}

/* --- the one who gives turns */

static void trees_same(void)
{
	char command[PATH_MAX * 3];
	const char *self = "/proc/self/exe";
	char exe[PATH_MAX];
	ssize_t n = readlink(self, exe, sizeof(exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
	say("the trees");
	snprintf(command, sizeof(command),
		 "bash -c 'diff <(%s dump %s) <(%s dump %s)'", exe, dirs[0],
		 exe, dirs[1]);
	fflush(stdout);
	if (system(command) != 0)
		differ("see above");
}

static void one(unsigned long op_no)
{
	struct timespec until;
	int w;

	world->op_no = op_no;
	rng_for(world->seed, op_no);
	w = privileged ? (int)below(WORKERS) : (int)below(2) * 3;
	sem_post(&world->turn[w]);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 300;
	while (sem_timedwait(&world->done, &until) < 0) {
		if (errno == EINTR)
			continue;
		me = &workers[w];
		differ("no answer for 300 s");
	}
	/* the directory itself stays open to all */
	if (op_no % 50 == 0 && privileged)
		for (int s = 0; s < 2; s++)
			if (fchmod(root[s], 0777) < 0 ||
			    fchown(root[s], 0, 0) < 0)
				differ("%s", strerror(errno));
}

static bool *only_read(unsigned long n)
{
	const char *name = getenv("ONLY");
	FILE *f = name ? fopen(name, "re") : NULL;
	bool *only = calloc(n + 1, sizeof(*only));
	unsigned long i;

	if (!only || (name && !f))
		abort();
	if (!f)
		memset(only, 1, n + 1);
	while (f && fscanf(f, "%lu", &i) == 1)
		if (i <= n)
			only[i] = true;
	if (f)
		fclose(f);
	return only;
}

static void ended(int sig)
{
	int status, saved = errno;
	pid_t pid;

	(void)sig;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int w = 0; w < WORKERS; w++)
			if (pids[w] == pid && status != 0) {
				world->failed = true;
				sem_post(&world->done);
			}
	errno = saved;
}

static int run(uint64_t seed, unsigned long n)
{
	unsigned long every = 500;
	bool *only = only_read(n);

	if (getenv("EVERY"))
		every = strtoul(getenv("EVERY"), NULL, 0);
	world->seed = seed;
	for (unsigned long i = 1; i <= n && !world->failed; i++) {
		if (only[i])
			one(i);
		if (!world->failed && i % every == 0)
			trees_same();
	}
	free(only);
	return world->failed ? 1 : 0;
}

static void stop(void)
{
	world->stop = true;
	signal(SIGCHLD, SIG_DFL);
	for (int w = 0; w < WORKERS; w++)
		sem_post(&world->turn[w]);
	for (int w = 0; w < WORKERS; w++)
		if (pids[w] > 0 && world->failed)
			kill(pids[w], SIGKILL);
	while (wait(NULL) > 0)
		;
}

static int run_all(uint64_t seed, unsigned long n)
{
	int rc;

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED)
		return 2;
	privileged = geteuid() == 0;
	sem_init(&world->done, 1, 0);
	for (int w = 0; w < WORKERS; w++)
		sem_init(&world->turn[w], 1, 0);
	for (int t = 0; t < TABLES; t++)
		for (int i = 0; i < SLOTS; i++)
			world->slots[t][i].fd[0] = world->slots[t][i].fd[1] =
				-1;
	fflush(stdout);
	signal(SIGCHLD, SIG_DFL);
	for (int w = 0; w < WORKERS; w++)
		pids[w] = worker_start(w);
	signal(SIGCHLD, ended);
	rc = run(seed, n);
	stop();
	printf("seed %llu: %lu calls succeeded, %lu were refused alike\n",
	       (unsigned long long)seed, world->fine, world->refused);
	if (rc == 0)
		trees_same();
	return rc;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 3 && strcmp(argv[1], "dump") == 0)
		return dump_tree(argv[2], argc > 3) ? 1 : 0;
	if (argc != 6 || strcmp(argv[1], "run") != 0) {
		fprintf(stderr,
			"usage: twin run A B SEED N | dump DIR [all]\n");
		return 2;
	}
	umask(0);
	for (int s = 0; s < 2; s++) {
		dirs[s] = argv[2 + s];
		root[s] = open(dirs[s], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root[s] < 0) {
			perror(dirs[s]);
			return 2;
		}
	}
	return run_all(strtoull(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
}
