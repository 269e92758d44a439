/*
 * ctl_alive.c - a daemon that does not answer (stopped, or stuck) is told, and
 * not waited for without end.
 *
 * How long an answer takes nobody knows: a sync may write gigabytes.  So while
 * one is waited for, the daemon is asked something else on a connection of its
 * own, which it answers at once, whatever its other threads do.  When that is
 * not answered either, the daemon hangs.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/clock.h"
#include "mount-tools/ctl.h"

enum {
	STEP_MS = 1000,	    /* before it is asked whether it lives */
	PATIENCE_S = 15,    /* for its answer: its machine may be busy */
	PATIENCE_MAX = 3600 /* VOUCH_PATIENCE */
};

int ctl_patience_s(void)
{
	const char *text = getenv("VOUCH_PATIENCE");
	char *end = NULL;
	long v = text && *text ? strtol(text, &end, 10) : 0;

	return v > 0 && *end == '\0' && v <= PATIENCE_MAX ? (int)v : PATIENCE_S;
}

/* Readable, or its end: 1; 0 when the time is over. */
static int readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t until = clock_mono_ms() + ms;
	int n;

	do {
		int64_t left = until - clock_mono_ms();

		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Is it stopped by a signal?  /proc says 'T' after the name, in brackets. */
static bool is_stopped(int pid)
{
	char path[64], line[512] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	state = strrchr(line, ')');
	return state && (state[2] == 'T' || state[2] == 't');
}

static int hangs(const char *store, int pid, struct errmsg *em)
{
	if (is_stopped(pid))
		return errmsg_set(em, -ETIMEDOUT,
				  "the daemon of %s does not answer: process "
				  "%d is stopped (kill -CONT %d lets it go on)",
				  store, pid, pid);
	return errmsg_set(em, -ETIMEDOUT,
			  "the daemon of %s does not answer: process %d hangs "
			  "(`vouch umount --force` gives it up; what was "
			  "synced is safe)",
			  store, pid);
}

int ctl_alive(const char *store, struct errmsg *em)
{
	int fd = -1, pid = 0;
	int rc = ctl_connect(&fd, store, em);

	if (rc < 0)
		return rc;
	pid = ctl_peer_pid(fd);
	/* whatever it answers, it does */
	rc = ctl_send(fd, "\"verb\":\"alive\"", em);
	if (rc == 0 && readable(fd, ctl_patience_s() * 1000) <= 0)
		rc = hangs(store, pid, em);
	close(fd);
	return rc == -EPIPE ? 0 : rc; /* too many ask: it told one so */
}

int ctl_await_step(int fd, const char *store, struct errmsg *em)
{
	int pid = ctl_peer_pid(fd), rc;

	if (readable(fd, STEP_MS) != 0)
		return 1;
	rc = ctl_alive(store, NULL);
	/* its socket is gone while it unmounts: who waits, waits on */
	if (rc == -ETIMEDOUT && !is_stopped(pid))
		rc = ctl_alive(store, NULL); /* it went just then */
	if (rc == -ETIMEDOUT || (rc < 0 && is_stopped(pid)))
		return hangs(store, pid, em);
	return 0;
}

int ctl_await(int fd, const char *store, int most_s, struct errmsg *em)
{
	int64_t until = clock_mono_ms() + (int64_t)most_s * 1000;
	int rc;

	while ((rc = ctl_await_step(fd, store, em)) == 0)
		if (most_s > 0 && clock_mono_ms() >= until)
			return hangs(store, ctl_peer_pid(fd), em);
	return rc < 0 ? rc : 0;
}
