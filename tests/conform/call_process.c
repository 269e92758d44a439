/*
 * call_process.c - other processes that run steps.
 *
 *	in N STEP...	process N (1..4) runs the step; its answer is ours
 *	start N STEP...	it begins; the answer is not waited for
 *	busy N		"busy" while it has not answered, after a moment
 *	out N		its answer
 *	kick N		a signal with a handler: what waits is interrupted
 *	end N		it is killed; its descriptors and locks are gone
 *
 * A process begins as a copy of ours at its first step: it has our
 * descriptors (the same openings), and its own from then on.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conform/call.h"

enum { PROCESSES = 5, BUSY_MS = 60, ANSWER_MS = 20000 };

static struct process {
	pid_t pid;
	int fd; /* steps go in, answers come out */
} processes[PROCESSES];

static void kicked(int sig)
{
	(void)sig;
}

static void serve(struct ctx *x, int fd)
{
	static char step[CTX_TEXT];
	struct sigaction sa = { .sa_handler = kicked }; /* no restart */

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &sa, NULL);
	for (;;) {
		ssize_t n = recv(fd, step, sizeof(step) - 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		step[n] = '\0';
		if (!call_run(x, step))
			snprintf(x->out, CTX_TEXT, "no such step");
		if (send(fd, x->out, strlen(x->out), MSG_NOSIGNAL) < 0)
			_exit(0);
	}
}

static struct process *process_of(struct ctx *x, const char *word)
{
	struct process *p;
	int pair[2];

	if (word[0] < '1' || word[0] >= '0' + PROCESSES || word[1])
		abort();
	p = &processes[word[0] - '0'];
	if (p->pid)
		return p;
	fflush(NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	p->pid = fork();
	if (p->pid < 0)
		abort();
	if (p->pid == 0) {
		close(pair[0]);
		serve(x, pair[1]);
	}
	close(pair[1]);
	p->fd = pair[0];
	return p;
}

static void process_end(struct process *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->fd);
	*p = (struct process){ .pid = 0 };
}

void call_end_processes(void)
{
	for (int i = 1; i < PROCESSES; i++)
		process_end(&processes[i]);
}

static bool answers(const struct process *p, int ms)
{
	struct pollfd v = { .fd = p->fd, .events = POLLIN };

	return poll(&v, 1, ms) > 0;
}

static int do_start(struct ctx *x, int n, char **arg)
{
	static char step[CTX_TEXT];
	size_t at = 0;

	for (int i = 1; i < n; i++)
		at += (size_t)snprintf(step + at, sizeof(step) - at, "%s%s",
				       i > 1 ? " " : "", arg[i]);
	return send(process_of(x, arg[0])->fd, step, at, MSG_NOSIGNAL) < 0 ?
		       -1 :
		       0;
}

static int do_out(struct ctx *x, int n, char **arg)
{
	const struct process *p = process_of(x, arg[0]);
	ssize_t k;

	(void)n;
	if (!answers(p, ANSWER_MS)) {
		call_say(x, "silent");
		return 0;
	}
	k = recv(p->fd, x->out, CTX_TEXT - 1, 0);
	x->out[k < 0 ? 0 : k] = '\0';
	return 0;
}

static int do_in(struct ctx *x, int n, char **arg)
{
	return do_start(x, n, arg) < 0 ? -1 : do_out(x, 1, arg);
}

static int do_busy(struct ctx *x, int n, char **arg)
{
	(void)n;
	call_say(x, answers(process_of(x, arg[0]), BUSY_MS) ? "done" : "busy");
	return 0;
}

static int do_kick(struct ctx *x, int n, char **arg)
{
	(void)n;
	return kill(process_of(x, arg[0])->pid, SIGUSR1);
}

static int do_end(struct ctx *x, int n, char **arg)
{
	(void)n;
	process_end(process_of(x, arg[0]));
	return 0;
}

const struct call call_processes[] = {
	{ "in", 2, CTX_ARGS - 1, do_in, false },
	{ "start", 2, CTX_ARGS - 1, do_start, false },
	{ "busy", 1, 1, do_busy, false },
	{ "out", 1, 1, do_out, false },
	{ "kick", 1, 1, do_kick, false },
	{ "end", 1, 1, do_end, false },
	{ 0 },
};
