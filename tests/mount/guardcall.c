/*
 * guardcall.c - makes calls and compares what they give: each line of the
 * input is "WANT CALL PATH [PATH]", WANT being "ok" or the name of an error;
 * what differs is printed.  Paths are below the folder in argv[1].
 *
 * With "race" in argv[2] it tries for argv[3] milliseconds to get at argv[4],
 * while other threads change what leads there, and prints what it got.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int done(int fd)
{
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* Through a path descriptor, which is not asked for, and /proc. */
static int reopen(const char *a, int flags)
{
	char path[64];
	int fd = open(a, O_PATH | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = done(open(path, flags | O_CLOEXEC));
	close(fd);
	return rc;
}

/* Without a path at all, as who may do everything can. */
static int by_handle(const char *a, int flags)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount, dir, rc;

	if (name_to_handle_at(AT_FDCWD, a, &u.h, &mount, AT_SYMLINK_FOLLOW) < 0)
		return -1;
	dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = open_by_handle_at(dir, &u.h, flags | O_CLOEXEC);
	close(dir);
	return done(rc);
}

static int execute(const char *a)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl(a, a, (char *)NULL);
		_exit(errno & 127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status);
	return WIFEXITED(status) && errno == 0 ? 0 : -1;
}

static void *open_in_thread(void *arg)
{
	int rc = done(open(arg, O_RDONLY | O_CLOEXEC));

	return (void *)(intptr_t)(rc < 0 ? errno : 0);
}

static int in_thread(const char *a)
{
	void *error = NULL;
	pthread_t t;

	if (pthread_create(&t, NULL, open_in_thread, (void *)a) != 0)
		return -1;
	pthread_join(t, &error);
	errno = (int)(intptr_t)error;
	return errno ? -1 : 0;
}

/* Opened by a thread of the kernel, for us; by us where there is no ring. */
static int by_ring(const char *a)
{
	struct io_uring_params p = { .flags = 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &p);
	size_t sq_n = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	size_t cq_n =
		p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	int prot = PROT_READ | PROT_WRITE, got;
	char *sq, *cq;
	struct io_uring_sqe *e;

	if (ring < 0)
		return done(open(a, O_RDONLY | O_CLOEXEC));
	sq = mmap(NULL, sq_n, prot, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_n, prot, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	e = mmap(NULL, p.sq_entries * sizeof(*e), prot, MAP_SHARED, ring,
		 IORING_OFF_SQES);
	memset(e, 0, sizeof(*e));
	e->opcode = IORING_OP_OPENAT;
	e->flags = IOSQE_ASYNC;
	e->fd = AT_FDCWD;
	e->addr = (uintptr_t)a;
	e->open_flags = O_RDONLY;
	((unsigned *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		return -1;
	got = ((struct io_uring_cqe *)(cq + p.cq_off.cqes))[0].res;
	close(ring);
	done(got);
	errno = got < 0 ? -got : 0;
	return got < 0 ? -1 : 0;
}

/* A file without a name gets one. */
static int tmpfile_link(const char *a, const char *b)
{
	char path[64];
	int fd = open(a, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = linkat(AT_FDCWD, path, AT_FDCWD, b, AT_SYMLINK_FOLLOW);
	close(fd);
	return rc;
}

/* A file that was removed while it is open: its size and mode are changed. */
static int change_removed(const char *a)
{
	int fd = open(a, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	if (fd < 0 || unlink(a) < 0)
		return -1;
	rc = ftruncate(fd, 4096);
	if (rc == 0)
		rc = fchmod(fd, 0640);
	if (rc == 0)
		rc = futimens(fd, NULL);
	close(fd);
	return rc;
}

/* Is the name in the listing of the directory? */
static int listed(const char *a, const char *b)
{
	DIR *d = opendir(a);
	const struct dirent *e;
	bool found = false;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		found = found || strcmp(e->d_name, b) == 0;
	closedir(d);
	errno = ENOENT;
	return found ? 0 : -1;
}

static int call(const char *c, const char *a, const char *b)
{
	const int cloexec = O_CLOEXEC;
	char text[4096];

#define IS(name) (strcmp(c, name) == 0)
	if (IS("read"))
		return done(open(a, O_RDONLY | cloexec));
	if (IS("write"))
		return done(open(a, O_WRONLY | cloexec));
	if (IS("append"))
		return done(open(a, O_RDWR | O_APPEND | cloexec));
	if (IS("read-truncate"))
		return done(open(a, O_RDONLY | O_TRUNC | cloexec));
	if (IS("create"))
		return done(open(a, O_WRONLY | O_CREAT | cloexec, 0600));
	if (IS("path"))
		return done(open(a, O_PATH | cloexec));
	if (IS("reopen"))
		return reopen(a, O_RDONLY);
	if (IS("reopen-write"))
		return reopen(a, O_RDWR);
	if (IS("handle"))
		return by_handle(a, O_RDONLY);
	if (IS("handle-write"))
		return by_handle(a, O_WRONLY);
	if (IS("exec"))
		return execute(a);
	if (IS("thread"))
		return in_thread(a);
	if (IS("ring"))
		return by_ring(a);
	if (IS("list"))
		return listed(a, b);
	if (IS("stat"))
		return stat(a, &(struct stat){ .st_ino = 0 });
	if (IS("readlink"))
		return readlink(a, text, sizeof(text)) < 0 ? -1 : 0;
	if (IS("truncate"))
		return truncate(a, 0);
	if (IS("chmod"))
		return chmod(a, 0777);
	if (IS("chown"))
		return lchown(a, getuid(), getgid());
	if (IS("touch"))
		return utimensat(AT_FDCWD, a, NULL, 0);
	if (IS("setxattr"))
		return setxattr(a, "user.x", "v", 1, 0);
	if (IS("rmxattr"))
		return removexattr(a, "user.x");
	if (IS("getxattr"))
		return getxattr(a, "user.x", text, sizeof(text)) < 0 ? -1 : 0;
	if (IS("get-ours"))
		return getxattr(a, "user.vouch.sha256", text, sizeof(text)) <
				       0 ?
			       -1 :
			       0;
	if (IS("listxattr"))
		return listxattr(a, text, sizeof(text)) < 0 ? -1 : 0;
	if (IS("mkdir"))
		return mkdir(a, 0700);
	if (IS("mkfifo"))
		return mkfifo(a, 0600);
	if (IS("symlink"))
		return symlink(b, a);
	if (IS("link"))
		return link(a, b);
	if (IS("tmpfile"))
		return tmpfile_link(a, b);
	if (IS("change-removed"))
		return change_removed(a);
	if (IS("unlink"))
		return unlink(a);
	if (IS("rmdir"))
		return rmdir(a);
	if (IS("rename"))
		return rename(a, b);
	if (IS("exchange"))
		return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
#undef IS
	errno = ENOSYS;
	return -1;
}

static int table(void)
{
	char line[4096], want[32], c[32], a[1024], b[1024];
	int wrong = 0, n = 0;

	while (fgets(line, sizeof(line), stdin)) {
		const char *got = "ok";

		a[0] = b[0] = '\0';
		if (sscanf(line, "%31s %31s %1023s %1023s", want, c, a, b) < 3)
			continue;
		n++;
		if (call(c, a, b) < 0)
			got = strerrorname_np(errno);
		if (strcmp(got, want) == 0)
			continue;
		printf("%s gave %s: %s", want, got, line);
		wrong++;
	}
	fprintf(stderr, "%d calls, %d wrong\n", n, wrong);
	return wrong || !n;
}

/* --- races --- */

static atomic_bool stop;

/* What the name leads to changes all the time. */
static void *swap_links(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		unlink("race/l.new");
		if (symlink("../open/f", "race/l.new") == 0)
			rename("race/l.new", "race/l");
		unlink("race/l.new");
		if (symlink("../secret/k", "race/l.new") == 0)
			rename("race/l.new", "race/l");
	}
	return NULL;
}

/* A directory with what would be a hook moves about, by way of .git. */
static void *move_dirs(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		mkdir("race/x", 0700);
		rename("race/x", "race/.git");
		mkdir("race/x/hooks", 0700);
		rename("race/.git", "race/x");
		rmdir("race/x/hooks");
		mkdir("race/.git/hooks", 0700);
		if (link("race/l", "race/.git/config") == 0)
			unlink("race/.git/config");
	}
	return NULL;
}

/*
 * The directory may have been moved away, and got its hooks, while the path
 * was followed: then the file lies there, where it may.  What has hooks does
 * not come back.
 */
static bool is_hook(int fd)
{
	char self[64], path[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	/*
	 * Where it lies is the kernel's word, which is late while a move that
	 * was answered goes on: this waits for those in the directory.
	 */
	mkdir("race/wait", 0700);
	rmdir("race/wait");
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return n <= 0 || strstr(path, "/.git/hooks/") != NULL;
}

static int race(long ms, const char *secret)
{
	pthread_t t[3];
	struct timespec now, end;
	char text[256];
	long n = 0, opened = 0;
	int bad = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000;
	pthread_create(&t[0], NULL, swap_links, NULL);
	pthread_create(&t[1], NULL, move_dirs, NULL);
	pthread_create(&t[2], NULL, move_dirs, NULL);
	do {
		int fd = open("race/l", O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text));

		n++;
		opened += fd >= 0;
		if (got > 0 &&
		    memmem(text, (size_t)got, secret, strlen(secret)))
			bad++;
		done(fd);
		fd = open("race/.git/hooks/h", O_WRONLY | O_CREAT | O_CLOEXEC,
			  0700);
		bad += is_hook(fd);
		done(fd);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec) ||
		 opened < 3);
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("%ld tries, %ld opened, %d bad\n", n, opened, bad);
	return bad > 0;
}

int main(int argc, char **argv)
{
	if (argc < 2 || chdir(argv[1]) < 0) {
		perror("guardcall");
		return 2;
	}
	if (argc == 5 && strcmp(argv[2], "race") == 0)
		return race(strtol(argv[3], NULL, 10), argv[4]);
	return table();
}
