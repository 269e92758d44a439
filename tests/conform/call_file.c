/*
 * call_file.c - steps with open files.  `open` closes at once, `hold N` keeps
 * the descriptor under the number N until the case ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conform/call.h"

static int do_open(struct ctx *x, int n, char **arg)
{
	int fd = open(arg[0], (int)call_flags(arg[1]),
		      n > 2 ? call_mode(arg[2]) : 0644);

	(void)x;
	return fd < 0 ? -1 : close(fd);
}

static int do_creat(struct ctx *x, int n, char **arg)
{
	int fd = creat(arg[0], n > 1 ? call_mode(arg[1]) : 0644);

	(void)x;
	return fd < 0 ? -1 : close(fd);
}

/* hold N PATH FLAGS [MODE] */
static int do_hold(struct ctx *x, int n, char **arg)
{
	int fd = open(arg[1], (int)call_flags(arg[2]) | O_CLOEXEC,
		      n > 3 ? call_mode(arg[3]) : 0644);

	if (fd < 0)
		return -1;
	*call_held(x, arg[0]) = fd;
	return 0;
}

static int do_close(struct ctx *x, int n, char **arg)
{
	int *fd = call_held(x, arg[0]), was = *fd;

	(void)n;
	*fd = -1;
	return close(was);
}

/* write N TEXT [OFFSET] */
static int do_write(struct ctx *x, int n, char **arg)
{
	int fd = *call_held(x, arg[0]);
	size_t len = strlen(arg[1]);
	ssize_t k = n > 2 ? pwrite(fd, arg[1], len, call_number(arg[2])) :
			    write(fd, arg[1], len);

	return k < 0 ? -1 : 0;
}

/* read N COUNT: what was read is the answer */
static int do_read(struct ctx *x, int n, char **arg)
{
	char buf[4096];
	size_t want = (size_t)call_number(arg[1]);
	ssize_t k = read(*call_held(x, arg[0]), buf,
			 want < sizeof(buf) ? want : sizeof(buf));

	(void)n;
	if (k < 0)
		return -1;
	call_say(x, k ? "%.*s" : "%.*send", (int)k, buf);
	return 0;
}

/* A byte through a shared mapping. */
static int do_mapwrite(struct ctx *x, int n, char **arg)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		       *call_held(x, arg[0]), 0);

	(void)n;
	if (p == MAP_FAILED)
		return -1;
	p[0] = 'M';
	msync(p, 4096, MS_SYNC);
	return munmap(p, 4096);
}

/* fallocate N MODE OFFSET LENGTH */
static int do_fallocate(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fallocate(*call_held(x, arg[0]), (int)call_number(arg[1]),
			 call_number(arg[2]), call_number(arg[3]));
}

/* copy FROM TO LENGTH: copy_file_range between held files */
static int do_copy(struct ctx *x, int n, char **arg)
{
	ssize_t k = copy_file_range(*call_held(x, arg[0]), NULL,
				    *call_held(x, arg[1]), NULL,
				    (size_t)call_number(arg[2]), 0);

	(void)n;
	return k < 0 ? -1 : 0;
}

static int do_fsync(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fsync(*call_held(x, arg[0]));
}

static int do_opendir(struct ctx *x, int n, char **arg)
{
	DIR *d = opendir(arg[0]);

	(void)x, (void)n;
	return d ? closedir(d) : -1;
}

/* How many names a directory has, but . and .. */
static int do_list(struct ctx *x, int n, char **arg)
{
	DIR *d = opendir(arg[0]);
	int count = 0;

	(void)n;
	if (!d)
		return -1;
	errno = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (errno) {
		int e = errno;
		closedir(d);
		errno = e;
		return -1;
	}
	call_say(x, "%d", count);
	return closedir(d);
}

/* Runs a program: what execve said, or "ran". */
static int do_exec(struct ctx *x, int n, char **arg)
{
	char *argv[] = { arg[0], NULL }, *env[] = { NULL };
	int status;
	pid_t pid;

	(void)n;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execve(arg[0], argv, env);
		_exit(errno < 127 ? errno + 100 : 99);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	if (WEXITSTATUS(status) >= 99) {
		errno = WEXITSTATUS(status) - 100;
		return -1;
	}
	call_say(x, "ran");
	return 0;
}

const struct call call_files[] = {
	{ "open", 2, 3, do_open, false },
	{ "creat", 1, 2, do_creat, false },
	{ "hold", 3, 4, do_hold, false },
	{ "close", 1, 1, do_close, false },
	{ "write", 2, 3, do_write, false },
	{ "read", 2, 2, do_read, false },
	{ "mapwrite", 1, 1, do_mapwrite, false },
	{ "fallocate", 4, 4, do_fallocate, false },
	{ "copy", 3, 3, do_copy, false },
	{ "fsync", 1, 1, do_fsync, false },
	{ "opendir", 1, 1, do_opendir, false },
	{ "list", 1, 1, do_list, false },
	{ "exec", 1, 1, do_exec, false },
	{ 0 },
};
