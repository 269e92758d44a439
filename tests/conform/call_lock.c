/*
 * call_lock.c - steps with locks on held files: flock, fcntl, open file
 * description locks, leases.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/conform/call.h"

/* flock N sh|ex|un [nb] */
static int do_flock(struct ctx *x, int n, char **arg)
{
	int op = !strcmp(arg[1], "sh") ? LOCK_SH :
		 !strcmp(arg[1], "ex") ? LOCK_EX :
					 LOCK_UN;

	return flock(*call_held(x, arg[0]), n > 2 ? op | LOCK_NB : op);
}

static struct flock lock_of(char **arg, int n)
{
	struct flock l = {
		.l_type = arg[1][0] == 'r' ? F_RDLCK :
			  arg[1][0] == 'w' ? F_WRLCK :
					     F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = call_number(arg[2]),
		.l_len = call_number(arg[3]),
	};

	if (n > 4)
		l.l_whence = !strcmp(arg[4], "end") ? SEEK_END : SEEK_CUR;
	return l;
}

static int lock(struct ctx *x, int n, char **arg, int cmd)
{
	struct flock l = lock_of(arg, n);

	return fcntl(*call_held(x, arg[0]), cmd, &l);
}

/* setlk N r|w|u START LEN [cur|end], and the same that waits */
static int do_setlk(struct ctx *x, int n, char **arg)
{
	return lock(x, n, arg, F_SETLK);
}

static int do_setlkw(struct ctx *x, int n, char **arg)
{
	return lock(x, n, arg, F_SETLKW);
}

static int do_osetlk(struct ctx *x, int n, char **arg)
{
	return lock(x, n, arg, F_OFD_SETLK);
}

static int do_osetlkw(struct ctx *x, int n, char **arg)
{
	return lock(x, n, arg, F_OFD_SETLKW);
}

static int ask(struct ctx *x, int n, char **arg, int cmd)
{
	struct flock l = lock_of(arg, n);

	if (fcntl(*call_held(x, arg[0]), cmd, &l) < 0)
		return -1;
	if (l.l_type == F_UNLCK)
		call_say(x, "free");
	else
		call_say(x, "%c:%lld+%lld:%s", l.l_type == F_RDLCK ? 'r' : 'w',
			 (long long)l.l_start, (long long)l.l_len,
			 l.l_pid == -1	     ? "ofd" :
			 l.l_pid == getpid() ? "me" :
					       "other");
	return 0;
}

/* getlk N r|w START LEN [cur|end] */
static int do_getlk(struct ctx *x, int n, char **arg)
{
	return ask(x, n, arg, F_GETLK);
}

static int do_ogetlk(struct ctx *x, int n, char **arg)
{
	return ask(x, n, arg, F_OFD_GETLK);
}

/* lease N r|w|u; the signal of a broken one is not for us to die of */
static int do_lease(struct ctx *x, int n, char **arg)
{
	(void)n;
	signal(SIGIO, SIG_IGN);
	return fcntl(*call_held(x, arg[0]), F_SETLEASE,
		     arg[1][0] == 'r' ? F_RDLCK :
		     arg[1][0] == 'w' ? F_WRLCK :
					F_UNLCK);
}

static int do_getlease(struct ctx *x, int n, char **arg)
{
	int rc = fcntl(*call_held(x, arg[0]), F_GETLEASE);

	(void)n;
	if (rc >= 0)
		call_say(x, rc == F_RDLCK ? "r" : rc == F_WRLCK ? "w" : "none");
	return rc;
}

const struct call call_locks[] = {
	{ "flock", 2, 3, do_flock, false },
	{ "setlk", 4, 5, do_setlk, false },
	{ "setlkw", 4, 5, do_setlkw, false },
	{ "getlk", 4, 5, do_getlk, false },
	{ "osetlk", 4, 5, do_osetlk, false },
	{ "osetlkw", 4, 5, do_osetlkw, false },
	{ "ogetlk", 4, 5, do_ogetlk, false },
	{ "lease", 2, 2, do_lease, false },
	{ "getlease", 1, 1, do_getlease, false },
	{ 0 },
};
