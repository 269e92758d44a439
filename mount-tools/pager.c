/*
 * pager.c - the user's pager, a child that reads what we print.
 */
#include "mount-tools/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t pager;

/* It reads to the end of what we wrote, which is when nobody can write. */
static void pager_end(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)fflush(stdout);
	if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0)
		close(STDOUT_FILENO);
	while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
		;
}

static const char *command(void)
{
	const char *own = getenv("VOUCH_PAGER");
	const char *term = getenv("TERM");

	if (!own)
		own = getenv("PAGER");
	if (own)
		return *own && strcmp(own, "cat") != 0 ? own : NULL;
	return term && strcmp(term, "dumb") != 0 ?
		       "if command -v less >/dev/null; then exec less; fi; "
		       "exec cat" :
		       NULL;
}

static void run(int from, const char *cmd)
{
	/* quits where it all fits, shows colours, leaves it on the screen */
	(void)setenv("LESS", "FRX", 0);
	if (dup2(from, STDIN_FILENO) >= 0)
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
	_exit(127);
}

void pager_start(void)
{
	const char *cmd = command();
	int ends[2];

	if (!cmd || pager || pipe2(ends, O_CLOEXEC) < 0)
		return;
	(void)fflush(stdout);
	pager = fork();
	if (pager == 0)
		run(ends[0], cmd);
	if (pager > 0 && dup2(ends[1], STDOUT_FILENO) >= 0) {
		signal(SIGINT, SIG_IGN); /* it is the pager's */
		/* who quits it has seen enough, whatever we inherited */
		signal(SIGPIPE, SIG_DFL);
		atexit(pager_end);
	}
	close(ends[0]);
	close(ends[1]);
	if (pager < 0)
		pager = 0;
}
