/*
 * run_child.c - see run_child.h.
 *
 * The child stays in our process group, so what a terminal sends, or kill(2)
 * to the whole group, reaches it by itself; only what somebody sent to us
 * alone is passed on (run_witness.h tells which it was).  When it stops
 * and there is a terminal, we stop too, so that the shell above sees it, and
 * go on together.  Signals are blocked and waited for: nothing interrupts.
 *
 * We are a subreaper: what it leaves behind becomes our child, so that its
 * ancestry is known for as long as we are here.
 */
#include "mount-tools/run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mount-tools/run_cgroup.h"
#include "mount-tools/run_limit.h"

static const int passed_on[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				 SIGUSR1, SIGUSR2, SIGWINCH };
/* Who sends one of these does not want us to wait for a daemon. */
static const int that_end[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

/* --- start ---------------------------------------------------------------------- */

/* What was ignored when we were started stays ignored (nohup). */
static void hear_signals(struct run_child *c)
{
	struct sigaction was;
	sigset_t ending;

	sigemptyset(&c->heard);
	sigaddset(&c->heard, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		if (sigaction(passed_on[i], NULL, &was) == 0 &&
		    was.sa_handler != SIG_IGN)
			sigaddset(&c->heard, passed_on[i]);
	c->chld_ignored = sigaction(SIGCHLD, NULL, &was) == 0 &&
			  was.sa_handler == SIG_IGN;
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &c->heard, &c->mask);
	sigemptyset(&ending);
	for (size_t i = 0; i < sizeof(that_end) / sizeof(that_end[0]); i++)
		if (sigismember(&c->heard, that_end[i]))
			sigaddset(&ending, that_end[i]);
	c->ending = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
}

static _Noreturn void child_main(const struct run_child *c, char **argv,
				 char **envp, int go, int failed,
				 uint64_t limit)
{
	char byte;
	int error;
	ssize_t n;

	run_limit_lower(limit);
	do {
		n = read(go, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(125); /* the wrapper gave up, or died */
	if (c->chld_ignored)
		signal(SIGCHLD, SIG_IGN);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	execvpe(argv[0], argv, envp);
	error = errno;
	while (write(failed, &error, sizeof(error)) < 0 && errno == EINTR)
		continue;
	_exit(error == ENOENT ? 127 : 126);
}

/* fork(2), into the cgroup at once: a move later waits for the whole system. */
static pid_t fork_into(int cgroup)
{
	struct clone_args a = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

int run_child_make(struct run_child *out, char **argv, char **envp,
		   const struct run_cgroup *g, uint64_t limit)
{
	int go[2], failed[2], rc = 0;
	bool moved = false;
	pid_t pid = -1;

	*out = (struct run_child)RUN_CHILD_INIT;
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(failed, O_CLOEXEC) < 0) {
		rc = -errno;
		close(go[0]);
		close(go[1]);
		return rc;
	}
	hear_signals(out);
	run_witness_make(&out->witness);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
	if (g && g->dir >= 0) {
		pid = fork_into(g->dir);
		moved = pid >= 0;
	}
	if (pid < 0)
		pid = fork();
	if (pid == 0) {
		close(go[1]);
		close(failed[0]);
		child_main(out, argv, envp, go[0], failed[1], limit);
	}
	if (pid < 0)
		rc = -errno;
	close(go[0]);
	close(failed[1]);
	out->go = go[1];
	out->failed = failed[0];
	out->pid = pid > 0 ? pid : 0;
	out->in_cgroup = moved;
	if (rc < 0)
		run_child_cancel(out);
	return rc;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

void run_child_cancel(struct run_child *c)
{
	if (c->go >= 0)
		close(c->go);
	if (c->failed >= 0)
		close(c->failed);
	if (c->pid > 0 && c->go >= 0)
		(void)reap(c->pid);
	if (c->ending >= 0)
		close(c->ending);
	c->go = c->failed = c->ending = -1;
	run_witness_end(&c->witness);
}

void run_child_hear(const struct run_child *c)
{
	if (c->chld_ignored)
		signal(SIGCHLD, SIG_IGN);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
}

int run_child_go(struct run_child *c)
{
	int error = 0;
	ssize_t n;

	while (write(c->go, "x", 1) < 0 && errno == EINTR)
		continue;
	close(c->go);
	c->go = -1;
	/* End of file is the execve that closed it. */
	do {
		n = read(c->failed, &error, sizeof(error));
	} while (n < 0 && errno == EINTR);
	close(c->failed);
	c->failed = -1;
	if (n != sizeof(error))
		return 0;
	(void)reap(c->pid);
	c->pid = 0;
	run_witness_end(&c->witness);
	return -error;
}

/* --- while it runs ---------------------------------------------------------------- */

/* Sent to us alone, by somebody else than the child? */
static bool is_ours(struct run_child *c, const siginfo_t *si)
{
	bool all = run_witness_saw(&c->witness, si);

	if (si->si_code <= 0) /* kill(2) and its like */
		return si->si_pid != c->pid &&
		       (!all || getpgid(c->pid) != getpgrp());
	/* A terminal hangs up on the leader of its session alone. */
	return si->si_signo == SIGHUP && getsid(0) == getpid();
}

static bool is_stopped(pid_t pid)
{
	siginfo_t si = { 0 };

	return waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOHANG | WNOWAIT) ==
		       0 &&
	       si.si_pid == pid;
}

/*
 * The child stopped.  On ^Z we stop by ourselves, before we see it or after;
 * a moment later it is clear whether it still waits for a shell that cannot
 * see it.
 */
static void stop_together(const struct run_child *c)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000000 };
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	pid_t group = getpgid(c->pid);
	sigset_t ttou, was;

	nanosleep(&moment, NULL);
	if (tty < 0 || !is_stopped(c->pid)) {
		if (tty >= 0)
			close(tty);
		return;
	}
	raise(SIGSTOP);
	/* On again: a child with a group of its own gets the terminal back. */
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &was);
	if (group > 0 && group != getpgrp() && tcgetpgrp(tty) == getpgrp())
		(void)tcsetpgrp(tty, group);
	sigprocmask(SIG_SETMASK, &was, NULL);
	close(tty);
	if (group > 0 && group != getpgrp())
		kill(-group, SIGCONT);
	else
		kill(c->pid, SIGCONT);
}

/* Passes signals on until the child ends. */
static int wait_child(struct run_child *c)
{
	int status = 0;
	pid_t pid;

	for (;;) {
		siginfo_t si;

		/* Those whom it left behind are ours to reap, too. */
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == c->pid)
				return status;
			if (pid == c->witness.pid)
				c->witness.pid = 0;
		}
		if (pid < 0 && errno == ECHILD)
			return 0; /* cannot be: nobody else waits */
		if (is_stopped(c->pid)) {
			stop_together(c);
			/* its stop is told once */
			pid = waitpid(c->pid, &status, WUNTRACED | WNOHANG);
			if (pid == c->pid && !WIFSTOPPED(status))
				return status;
		}
		if (sigwaitinfo(&c->heard, &si) < 0)
			continue;
		if (si.si_signo != SIGCHLD && is_ours(c, &si))
			kill(c->pid, si.si_signo);
	}
}

int run_child_wait(struct run_child *c)
{
	const struct timespec none = { 0 };
	int status = wait_child(c);
	sigset_t rest = c->heard;

	run_witness_end(&c->witness);
	/* What came with its end was for it. */
	sigdelset(&rest, SIGCHLD);
	while (sigtimedwait(&rest, NULL, &none) > 0)
		continue;
	return status;
}

bool run_child_left(int wait_ms)
{
	struct timespec wait = {
		.tv_sec = wait_ms / 1000,
		.tv_nsec = wait_ms % 1000 * 1000000L,
	};
	sigset_t chld;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (int patience = 10;; patience--) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			continue;
		if (pid < 0)
			return false;
		if (patience == 0 ||
		    (sigtimedwait(&chld, NULL, &wait) < 0 && errno == EAGAIN))
			return true;
	}
}

/* --- end ---------------------------------------------------------------------------- */

void run_child_end_as(int status)
{
	const struct rlimit none = { 0, 0 };
	sigset_t all;
	int sig;

	if (!WIFSIGNALED(status))
		exit(WEXITSTATUS(status));
	sig = WTERMSIG(status);
	/* Its core, if there was one, is enough. */
	(void)setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&all);
	sigaddset(&all, sig);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	(void)kill(getpid(), sig);
	exit(128 + sig);
}
