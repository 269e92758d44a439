/*
 * run_client.c - see run_client.h.
 */
#include "mount-tools/run_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "fs/daemon/run_channel.h"
#include "mount-tools/ctl.h"
#include "mount-tools/mounts.h"

enum { PATIENCE = 300, STEP_MS = 100 };

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
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		rc = -errno;
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
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		return errmsg_set(em, -ENOTCONN,
				  "the daemon of %s does not answer", m->dir);
	if (rc < 0)
		return errmsg_set(em, rc, "the daemon of %s: %s", m->dir,
				  err_text(rc));
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

int run_client_ask(struct run_client *c, struct json_doc **out,
		   const char *members, struct errmsg *em)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	struct errmsg own = ERRMSG_INIT;
	int rc = -EAGAIN;

	for (int i = 0; i < PATIENCE && rc == -EAGAIN; i++) {
		if (i > 0)
			nanosleep(&step, NULL);
		own.text[0] = '\0';
		rc = ctl_send(c->fd, members, &own);
		if (rc == 0)
			rc = ctl_receive(out, c->fd, &own);
	}
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", c->dir,
				   errmsg_text(&own, rc)) :
			0;
}
