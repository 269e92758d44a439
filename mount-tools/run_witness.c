/*
 * run_witness.c - see run_witness.h.
 *
 * The kernel sends a signal to the members of a group one after the other, and
 * holds meanwhile the lock that setpgid(2) takes to change a group: a call of
 * that which changes nothing returns when the last one has it.
 */
#include "mount-tools/run_witness.h"

#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MS = 1000 };

struct answer {
	int got;
	int code;
	pid_t from;
};

/* Keeps no descriptor and no directory from anybody. */
static _Noreturn void witness_main(int fd, pid_t parent)
{
	const struct timespec none = { 0 };
	sigset_t all;
	int signo;

	sigfillset(&all); /* ^Z does not stop it */
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(fd, 0) < 0 ||
	    close_range(1, ~0U, 0) < 0 || chdir("/") < 0)
		_exit(0);
	while (recv(0, &signo, sizeof(signo), 0) == sizeof(signo)) {
		struct answer a = { 0 };
		siginfo_t si;
		sigset_t one;

		sigemptyset(&one);
		sigaddset(&one, signo);
		if (sigtimedwait(&one, &si, &none) == signo)
			a = (struct answer){ 1, si.si_code, si.si_pid };
		if (send(0, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

void run_witness_make(struct run_witness *out)
{
	pid_t parent = getpid();
	int pair[2];

	*out = (struct run_witness){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	out->pid = fork();
	if (out->pid == 0)
		witness_main(pair[1], parent);
	close(pair[1]);
	out->fd = pair[0];
	if (out->pid < 0) {
		out->pid = 0;
		run_witness_end(out);
	}
}

bool run_witness_saw(struct run_witness *w, const siginfo_t *si)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int signo = si->si_signo;
	struct answer a = { 0 };

	if (w->pid <= 0)
		return false;
	(void)setpgid(w->pid, getpgrp());
	if (send(w->fd, &signo, sizeof(signo), MSG_NOSIGNAL) < 0 ||
	    poll(&p, 1, ANSWER_MS) <= 0 ||
	    recv(w->fd, &a, sizeof(a), 0) != sizeof(a)) {
		/* somebody stopped it, or killed it: it is no help */
		run_witness_end(w);
		return false;
	}
	return a.got && a.code == si->si_code &&
	       (si->si_code > 0 || a.from == si->si_pid);
}

void run_witness_end(struct run_witness *w)
{
	if (w->fd >= 0)
		close(w->fd);
	if (w->pid > 0) {
		(void)kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	*w = (struct run_witness){ .fd = -1 };
}
