/*
 * test_actor.c - who asks: identity survives, an execve or a new process is
 * noticed at once, hostile names in /proc mislead nobody.
 */
#include <assert.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "fs/core/actor.h"
#include "fs/core/actor_proc.h"
#include "fs/run/run_table.h"

static struct mutex mu;
static struct cond told;
static unsigned n_told, n_told_big, n_freed;

static void on_digest(void *ctx, struct actor *a)
{
	(void)ctx;
	mutex_lock(&mu);
	n_told++;
	n_told_big += strstr(a->exe, "/big.") != NULL;
	cond_broadcast(&told);
	mutex_unlock(&mu);
}

static void on_free(void *ctx, struct actor *a)
{
	(void)ctx;
	assert(a->slot == NULL); /* maybe another thread */
	__atomic_fetch_add(&n_freed, 1, __ATOMIC_RELAXED);
}

static struct actor_table *table(uint32_t max)
{
	struct actor_table *t = NULL;
	struct actor_options o = {
		.max = max,
		.on_digest = on_digest,
		.on_free = on_free,
	};

	mutex_init(&mu);
	cond_init(&told);
	cr_assert_eq(actor_table_open(&t, &o), 0);
	return t;
}

/* A child that does what it is told, one byte at a time. */
struct child {
	pid_t pid;
	int to, from;
};

static void child_main(int in, int out)
{
	char b = 0;

	while (write(out, "r", 1) == 1 && read(in, &b, 1) == 1) {
		if (b == 'q')
			_exit(0);
		dup2(in, 0);
		dup2(out, 1);
		execl("/bin/sh", "sh", "-c", "echo r; read x; exit 0",
		      (char *)NULL);
	}
	_exit(1);
}

static struct child spawn(void)
{
	int in[2], out[2];
	struct child c;
	char b;

	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(pipe(out), 0);
	c.pid = fork();
	cr_assert_geq(c.pid, 0);
	if (c.pid == 0)
		child_main(in[0], out[1]);
	close(in[0]);
	close(out[1]);
	c.to = in[1];
	c.from = out[0];
	cr_assert_eq(read(c.from, &b, 1), 1);
	return c;
}

static void tell(struct child *c, char what)
{
	char b[2];

	cr_assert_eq(write(c->to, &what, 1), 1);
	if (what == 'e')
		cr_assert_gt(read(c->from, b, 2), 0);
}

static void reap(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->to);
	close(c->from);
}

Test(actor, same_process_is_the_same_actor)
{
	struct actor_table *t = table(0);
	struct actor *a = actor_of(t, (uint32_t)getpid(), 1, 2);
	struct actor *b = actor_of(t, (uint32_t)getpid(), 1, 2);

	cr_assert_not_null(a);
	cr_assert_eq(a, b);
	cr_assert_eq(a->tgid, (uint32_t)getpid());
	cr_assert_eq(a->ppid, (uint32_t)getppid());
	cr_assert_eq(a->uid, 1);
	cr_assert_eq(a->gid, 2);
	cr_assert_gt(a->start_time, 0);
	cr_assert_not_null(strstr(a->exe, "test_actor"));
	cr_assert_gt(a->argv_len, 0);
	actor_drop(t, a);
	actor_drop(t, b);
	actor_table_close(t);
	cr_assert_gt(n_freed, 0);
}

/* The environment that execve was given, found whatever is around it. */
Test(actor, a_variable_is_read_as_of_execve)
{
	char big[20000], got[64], script[256];
	char x[] = "XMARK=no", first[] = "MARK=first", last[] = "MARK=second";
	char *const env[] = { x, big, first, last, NULL };
	int in[2], out[2];
	char b;

	memset(big, 'x', sizeof(big));
	memcpy(big, "A=MARK=", 7);
	big[sizeof(big) - 1] = '\0';
	snprintf(script, sizeof(script), "MARK=later; echo r; read x");
	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(pipe(out), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execle("/bin/sh", "sh", "-c", script, (char *)NULL, env);
		_exit(1);
	}
	cr_assert_eq(read(out[0], &b, 1), 1);
	cr_assert_eq(actor_proc_variable((uint32_t)pid, "MARK", got, 64), 5);
	cr_assert_arr_eq(got, "first", 5);
	cr_assert_eq(actor_proc_variable((uint32_t)pid, "MARK", got, 3), 3);
	cr_assert_eq(actor_proc_variable((uint32_t)pid, "MAR", got, 64),
		     -ENOENT);
	cr_assert_eq(actor_proc_variable((uint32_t)pid, "MARKS", got, 64),
		     -ENOENT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert_lt(actor_proc_variable((uint32_t)pid, "MARK", got, 64), 0);
}

/* Runs are found once per image, and processes counted. */
Test(actor, a_wrappers_child_belongs_to_its_run)
{
	uint8_t id[RUN_ID_SIZE] = { 7 };
	struct actor_proc me;
	struct run_table *runs = NULL;
	struct actor_table *t = NULL;

	cr_assert_eq(actor_proc_read(&me, (uint32_t)getpid()), 0);
	cr_assert_gt(me.group, 0);
	cr_assert_gt(me.session, 0);
	cr_assert_eq(me.group, (uint32_t)getpgrp());
	cr_assert_eq(me.session, (uint32_t)getsid(0));
	cr_assert_eq(run_table_open(&runs), 0);
	const struct run_table_new run = {
		.id = id,
		.wrapper = (uint32_t)getpid(),
		.wrapper_start = me.start_time,
	};
	const struct actor_options o = { .runs = runs };
	cr_assert_eq(actor_table_open(&t, &o), 0);
	cr_assert_eq(run_table_add(runs, &run), 0);
	struct child c = spawn();
	struct actor *a = actor_of(t, (uint32_t)c.pid, 0, 0);
	cr_assert_eq(a->run_how, ENTRY_RUN_ANCESTRY);
	cr_assert_arr_eq(a->run, id, sizeof(id));
	tell(&c, 'e');
	struct actor *b = actor_of(t, (uint32_t)c.pid, 0, 0);
	cr_assert_neq(a, b);
	cr_assert_eq(b->run_how, ENTRY_RUN_ANCESTRY);
	cr_assert_arr_eq(b->run, id, sizeof(id));
	struct actor *self = actor_of(t, (uint32_t)getpid(), 0, 0);
	cr_assert_eq(self->run_how, ENTRY_RUN_UNKNOWN, "no group table");
	/* two images, one process; another user of it is none */
	actor_drop(t, actor_of(t, (uint32_t)c.pid, 5, 5));
	cr_assert_eq(run_table_processes(runs, id), 1);
	actor_drop(t, a);
	actor_drop(t, b);
	actor_drop(t, self);
	actor_table_close(t);
	run_table_close(runs);
	reap(&c);
}

Test(actor, each_user_of_a_process_is_an_actor)
{
	struct actor_table *t = table(0);
	uint32_t pid = (uint32_t)getpid();
	struct actor *a = actor_of(t, pid, 1, 2);
	struct actor *b = actor_of(t, pid, 3, 2);
	struct actor *c = actor_of(t, pid, 1, 2);

	cr_assert_neq(a, b);
	cr_assert_neq(a->id, b->id);
	cr_assert_eq(a, c);
	cr_assert_str_eq(a->exe, b->exe);
	actor_drop(t, a);
	actor_drop(t, b);
	actor_drop(t, c);
	actor_table_close(t);
}

Test(actor, child_has_its_parent)
{
	struct actor_table *t = table(0);
	struct child c = spawn();
	struct actor *a = actor_of(t, (uint32_t)c.pid, 0, 0);

	cr_assert_eq(a->tgid, (uint32_t)c.pid);
	cr_assert_not_null(a->parent);
	cr_assert_eq(a->parent->tgid, (uint32_t)getpid());
	actor_drop(t, a);
	actor_table_close(t);
	reap(&c);
}

Test(actor, execve_is_noticed_at_once)
{
	struct actor_table *t = table(0);
	struct child c = spawn();
	struct actor *a = actor_of(t, (uint32_t)c.pid, 0, 0);

	tell(&c, 'e');
	struct actor *b = actor_of(t, (uint32_t)c.pid, 0, 0);
	cr_assert_neq(a, b);
	cr_assert_eq(a->tgid, b->tgid);
	cr_assert_null(strstr(b->exe, "test_actor"));
	cr_assert_eq(strncmp(b->argv, "sh\\0-c\\0", 8), 0);
	actor_drop(t, a);
	actor_drop(t, b);
	actor_table_close(t);
	reap(&c);
}

static void *second_thread(void *arg)
{
	*(pid_t *)arg = gettid();
	usleep(200000);
	return NULL;
}

Test(actor, thread_is_its_process)
{
	struct actor_table *t = table(0);
	volatile pid_t tid = 0;
	pthread_t th;

	cr_assert_eq(pthread_create(&th, NULL, second_thread, (void *)&tid), 0);
	while (tid == 0)
		usleep(100);
	struct actor *a = actor_of(t, (uint32_t)tid, 0, 0);
	struct actor *b = actor_of(t, (uint32_t)getpid(), 0, 0);
	cr_assert_eq(a, b);
	actor_drop(t, a);
	actor_drop(t, b);
	pthread_join(th, NULL);
	actor_table_close(t);
}

Test(actor, digest_of_the_executable_arrives)
{
	struct actor_table *t = table(0);
	struct actor *a = actor_of(t, (uint32_t)getpid(), 0, 0);
	struct digest got, want;
	struct digest_sha256_ctx *sha = digest_sha256_new();
	FILE *f = fopen("/proc/self/exe", "r");
	char buf[4096];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		digest_sha256_update(sha, buf, n);
	fclose(f);
	digest_sha256_final(sha, &want);
	digest_sha256_free(sha);
	for (int i = 0; i < 500 && !actor_digest(t, a, &got); i++)
		usleep(10000);
	cr_assert(actor_digest(t, a, &got));
	cr_assert(digest_eq(&got, &want));
	/* Known by now: the next actor has it from the start. */
	struct actor *b = actor_of(t, (uint32_t)getpid(), 7, 7);
	cr_assert(actor_digest(t, b, &got));
	actor_drop(t, a);
	actor_drop(t, b);
	actor_table_close(t);
	cr_assert_gt(n_told, 0);
}

/* A file that can be executed, and of `size` bytes, nearly all a hole. */
static void big_program(char *path, size_t cap, off_t size)
{
	const char *dir = getenv("TMPDIR");
	char buf[65536];
	ssize_t n;
	int from = open("/bin/sleep", O_RDONLY), fd;

	snprintf(path, cap, "%s/big.%d", dir ? dir : "/tmp", (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
	cr_assert(from >= 0 && fd >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		cr_assert_eq(write(fd, buf, (size_t)n), n);
	cr_assert_eq(ftruncate(fd, size), 0);
	close(from);
	close(fd);
}

/* Descriptors of this process that lead to the path. */
static unsigned opened(const char *path)
{
	char name[64], target[4096];
	unsigned found = 0;

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found += strcmp(target, path) == 0;
	}
	return found;
}

/* An unmount waited 15 s for the digest of 1 GB, minutes on a busy machine. */
Test(actor, closing_does_not_wait_for_the_digest_of_a_large_file)
{
	struct actor_table *t = table(0);
	char path[4096];
	int ready[2];
	char c;
	pid_t pid;

	big_program(path, sizeof(path), 1000 << 20);
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		execl(path, path, "1000", (char *)NULL);
		_exit(1);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 0); /* it is another program now */
	close(ready[0]);
	struct actor *a = actor_of(t, (uint32_t)pid, 0, 0);
	cr_assert_str_eq(a->exe, path);
	actor_drop(t, a);
	while (opened(path) < 2) /* queued with one, read with another */
		usleep(1000);
	actor_table_close(t);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
	cr_assert_eq(n_told_big, 0, "it was hashed to its end");
}

Test(actor, gone_or_invisible_process_has_only_its_user)
{
	struct actor_table *t = table(0);
	struct child c = spawn();

	reap(&c);
	struct actor *a = actor_of(t, (uint32_t)c.pid, 5, 6);
	struct actor *b = actor_of(t, 0, 5, 6);
	cr_assert_not_null(a);
	cr_assert_eq(a, b);
	cr_assert_eq(a->tgid, 0);
	cr_assert_eq(a->uid, 5);
	cr_assert_str_eq(a->exe, "");
	actor_drop(t, a);
	actor_drop(t, b);
	actor_table_close(t);
}

Test(actor, memory_is_bounded)
{
	struct actor_table *t = table(16);

	for (int i = 0; i < 40; i++) {
		struct child c = spawn();
		struct actor *a = actor_of(t, (uint32_t)c.pid, 0, 0);
		cr_assert_eq(a->tgid, (uint32_t)c.pid);
		actor_drop(t, a);
		reap(&c);
	}
	cr_assert_gt(__atomic_load_n(&n_freed, __ATOMIC_RELAXED), 10);
	actor_table_close(t);
}

Test(actor, hostile_process_name_misleads_nobody)
{
	struct actor_proc p = { 0 };
	static const char stat[] =
		"12 (a) S 99 (b)) R 77 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 "
		"1 0 555 1000 10 18446744073709551615 1 2 140727 0 0 0\n";
	static const char status[] =
		"Name:\tx\\nUid:\\t0\nUmask:\t0022\nTgid:\t12\nNgid:\t0\n"
		"Pid:\t13\nPPid:\t77\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";

	cr_assert_eq(actor_proc_parse_stat(&p, stat, sizeof(stat) - 1), 0);
	cr_assert_eq(p.start_time, 555);
	cr_assert_eq(p.start_stack, 140727);
	cr_assert_eq(actor_proc_parse_status(&p, status, sizeof(status) - 1),
		     0);
	cr_assert_eq(p.tgid, 12);
	cr_assert_eq(p.ppid, 77);
	cr_assert_eq(p.uid, 4);
	cr_assert_eq(p.gid, 8);
	for (size_t n = 0; n < 40; n++) {
		cr_assert_lt(actor_proc_parse_stat(&p, stat, n), 0);
		cr_assert_lt(actor_proc_parse_status(&p, status, n), 0);
	}
}
