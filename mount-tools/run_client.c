/*
 * run_client.c - see run_client.h.
 */
#include "mount-tools/run_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/daemon/control.h"
#include "fs/daemon/run_channel.h"
#include "fs/run/run_table.h"
#include "mount-tools/ctl.h"
#include "mount-tools/mounts.h"

enum { STEP_MS = 100, WORD_MS = 5000 };

/* For what is not waited for with poll(2): to connect, to send, half a line. */
static const struct timeval stuck = { .tv_sec = 5 };

/* Who listens must be whose mount it is: others could ask for our names. */
static int check_peer(int fd, const struct mounts_one *m)
{
	struct ucred u = { 0 };
	socklen_t n = sizeof(u);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
		return -errno;
	return u.uid == m->uid || u.uid == 0 ? 0 : -EPERM;
}

static int dial(int *out, const char *dir, const char *name,
		const struct mounts_one *m)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, rc = 0;

	if (at < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", at,
		 name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stuck, sizeof(stuck)) <
		    0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stuck, sizeof(stuck)) <
		    0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
	close(at);
	if (rc == 0)
		rc = check_peer(fd, m);
	if (rc < 0 && fd >= 0)
		close(fd);
	if (rc == 0)
		*out = fd;
	return rc;
}

int run_client_open(struct run_client *out, const struct mounts_one *m,
		    struct errmsg *em)
{
	int rc, own;

	*out = (struct run_client){ .fd = -1 };
	rc = dial(&out->fd, RUN_CHANNEL_DIR, m->device, m);
	own = rc < 0 ? dial(&out->fd, m->store, RUN_CHANNEL_NAME, m) : 0;
	if (rc < 0 && own == 0)
		rc = 0;
	else if (rc == -ENOENT)
		rc = own;
	if (rc < 0 && m->read_only)
		return errmsg_set(em, -EROFS,
				  "%s is mounted read-only: no run can be "
				  "entered in its log",
				  m->dir);
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -ETIMEDOUT)
		return errmsg_set(em, -ENOTCONN,
				  "the daemon of %s does not answer", m->dir);
	if (rc < 0)
		return errmsg_set(em, rc, "the daemon of %s: %s", m->dir,
				  err_text(rc));
	out->whole = strcmp(m->root, "/") == 0;
	out->dir = strdup(m->dir);
	if (!out->dir) {
		run_client_close(out);
		return -ENOMEM;
	}
	return 0;
}

void run_client_close(struct run_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->dir);
	*c = (struct run_client){ .fd = -1 };
}

/* One request's time. */
struct waiting {
	const struct run_patience *w;
	int64_t until;
	bool ending; /* we are to end, and it is short */
};

/*
 * Until fd (-1: none) can be read, at most `ms` if that is not negative: 0, or
 * the time is up.
 */
static int wait_for(struct waiting *x, int fd, int ms)
{
	struct pollfd v[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = x->ending ? -1 : x->w->ending, .events = POLLIN },
	};
	int64_t until = ms < 0 ? INT64_MAX : clock_mono_ms() + ms;

	for (;;) {
		int64_t now = clock_mono_ms();
		int64_t end = until < x->until ? until : x->until;
		int got = poll(v, 2, end > now ? (int)(end - now) : 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0 && v[0].revents)
			return 0;
		if (got > 0 && v[1].revents) {
			x->ending = true;
			v[1].fd = -1;
			v[1].revents = 0;
			if (x->until > now + x->w->ending_ms)
				x->until = now + x->w->ending_ms;
		} else if (got == 0 && now >= x->until) {
			return x->ending ? -EINTR : -ETIMEDOUT;
		} else if (got == 0 && now >= until) {
			return 0;
		}
	}
}

int run_client_ask(struct run_client *c, struct json_doc **out,
		   const char *members, const struct run_patience *w,
		   struct errmsg *em)
{
	struct waiting x = { .w = w, .until = clock_mono_ms() + w->ms };
	struct errmsg own = ERRMSG_INIT;
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN; i++) {
		/* its own words stay when the time is up */
		if (i > 0 && wait_for(&x, -1, STEP_MS) < 0)
			break;
		own.text[0] = '\0';
		rc = ctl_send(c->fd, members, &own);
		if (rc < 0)
			break;
		rc = wait_for(&x, c->fd, -1);
		if (rc == 0)
			rc = ctl_receive(out, c->fd, &own);
		else
			errmsg_set(&own, rc, "the daemon does not answer");
	}
	if (rc == -EAGAIN && x.ending)
		rc = -EINTR;
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", c->dir,
				   errmsg_text(&own, rc)) :
			0;
}

static int ask_word(char out[RUN_WORD_MAX], const struct mounts_one *m,
		    const char *id)
{
	const struct run_patience w = { .ms = WORD_MS, .ending = -1 };
	struct buf autocall(buf_release) b = BUF_INIT;
	struct run_client c = { .fd = -1 };
	struct json_doc *answer = NULL;
	struct errmsg em = ERRMSG_INIT;
	const char *word = NULL;
	int rc;

	control_add_str(&b, "verb", "run-word");
	control_add_str(&b, "run", id);
	rc = b.bad ? -ENOMEM : run_client_open(&c, m, &em);
	if (rc == 0)
		rc = run_client_ask(&c, &answer, (char *)b.p, &w, &em);
	if (rc == 0)
		word = json_get_str(json_root(answer), "word");
	if (word)
		snprintf(out, RUN_WORD_MAX, "%s", word);
	json_free(answer);
	run_client_close(&c);
	return rc;
}

void run_client_own_word(char out[RUN_WORD_MAX], const char *dir)
{
	const char *id = getenv(RUN_MARKER);
	const struct mounts_one *one;
	struct mounts m;

	out[0] = '\0';
	if (!id || mounts_read(&m) < 0)
		return;
	one = mounts_over(&m, dir);
	if (one)
		(void)ask_word(out, one, id); /* without it less is told */
	mounts_release(&m);
}
