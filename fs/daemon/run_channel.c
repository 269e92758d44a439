/*
 * run_channel.c - see run_channel.h.
 *
 * One thread and poll(2): a connection waits for hours while its run goes on,
 * and there may be many.
 *
 * Invariants: (1) What a client sends or leaves unread holds up nobody else:
 * nothing here blocks on a connection.  (2) A connection that goes takes its
 * run with it (serve_run_close).  (3) Only the thread touches connections.
 */
#include "fs/daemon/run_channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "fs/daemon/serve_run.h"
#include "fs/run/run_table.h"

enum {
	CONNECTIONS_MAX = RUN_TABLE_OPEN_MAX + 64,
	EACH_USER_MAX = RUN_TABLE_OPEN_MAX / 4,
	FIXED = 3, /* polled before the connections: 2 sockets, the pipe */
	USERS = 64,
	BURST = 512, /* requests of a user at once, and then */
	PER_SECOND = 64,
};

struct connection {
	int fd;
	struct cred peer;
	struct buf in;
	struct serve_run *run;
};

/* How much a user may still ask for; who comes to the same place shares. */
struct allowance {
	double left;
	int64_t at_ns;
};

/* A listening socket. */
struct place {
	int dir, fd;
	char name[32];
	bool bound;
};

struct run_channel {
	struct core *core;
	bool anybody;
	struct place place[2]; /* STORE/runs; below RUN_CHANNEL_DIR */
	int stop[2];
	struct connection v[CONNECTIONS_MAX];
	unsigned n;
	struct pollfd polled[FIXED + CONNECTIONS_MAX];
	struct allowance users[USERS];
	struct thread thread;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* --- connections -------------------------------------------------------------- */

static bool trusted(uint32_t uid)
{
	return uid == 0 || uid == geteuid();
}

static unsigned count_of(const struct run_channel *c, uint32_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		n += c->v[i].peer.uid == uid;
	return n;
}

static int peer_of(struct cred *out, int fd)
{
	struct ucred u;
	socklen_t n = sizeof(u);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
		return -errno;
	*out = (struct cred){
		.uid = u.uid,
		.gid = u.gid,
		.pid = u.pid > 0 ? (uint32_t)u.pid : 0,
		.umask = 022,
	};
	return 0;
}

static void accept_one(struct run_channel *c, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *k = &c->v[c->n];
	int rc = fd < 0 ? -errno : 0;

	if (rc < 0)
		return;
	*k = (struct connection){ .fd = fd };
	k->in.max = RUN_CHANNEL_REQUEST_MAX;
	rc = peer_of(&k->peer, fd);
	if (rc == 0 && !trusted(k->peer.uid) &&
	    (!c->anybody || count_of(c, k->peer.uid) >= EACH_USER_MAX))
		rc = -EPERM;
	if (rc == 0)
		rc = serve_run_open(&k->run, c->core, &k->peer);
	if (rc < 0) {
		close(fd);
		return;
	}
	c->n++;
}

static void drop(struct run_channel *c, unsigned i)
{
	struct connection *k = &c->v[i];

	serve_run_close(k->run);
	buf_release(&k->in);
	close(k->fd);
	*k = c->v[--c->n];
}

/* --- requests ------------------------------------------------------------------- */

static bool may_ask(struct run_channel *c, uint32_t uid)
{
	struct allowance *a = &c->users[uid % USERS];
	int64_t now = now_ns();

	if (trusted(uid))
		return true;
	if (a->at_ns == 0)
		a->left = BURST;
	else
		a->left += (double)(now - a->at_ns) * PER_SECOND / 1e9;
	if (a->left > BURST)
		a->left = BURST;
	a->at_ns = now;
	if (a->left < 1)
		return false;
	a->left -= 1;
	return true;
}

static int ask(struct run_channel *c, struct connection *k, const char *line,
	       size_t n, struct buf *members, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	int rc;

	if (!may_ask(c, k->peer.uid))
		return errmsg_set(em, -EAGAIN,
				  "too many runs in too short a time");
	rc = json_parse(&doc, line, n, em);
	if (rc == 0)
		rc = serve_run_ask(k->run, json_root(doc), members, em);
	json_free(doc);
	return rc;
}

/* Answers one line; false when the connection is of no use any more. */
static bool answer(struct run_channel *c, struct connection *k,
		   const char *line, size_t n)
{
	struct buf autocall(buf_release) members = BUF_INIT;
	struct buf autocall(buf_release) out = BUF_INIT;
	struct errmsg em = ERRMSG_INIT;
	int rc = ask(c, k, line, n, &members, &em);

	control_reply(&out, rc, &members, &em);
	/* A few hundred bytes: who has no room for them does not read. */
	return !out.bad &&
	       send(k->fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n;
}

static bool receive(struct run_channel *c, struct connection *k)
{
	char piece[16384];
	ssize_t n = recv(k->fd, piece, sizeof(piece), 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	buf_add(&k->in, piece, (size_t)n);
	while (!k->in.bad && k->in.n > 0) {
		char *eol = memchr(k->in.p, '\n', k->in.n);
		size_t len = eol ? (size_t)(eol - (char *)k->in.p) : 0;

		if (!eol)
			return true;
		if (!answer(c, k, (char *)k->in.p, len))
			return false;
		k->in.n -= len + 1;
		memmove(k->in.p, eol + 1, k->in.n);
	}
	if (k->in.n == 0)
		buf_release(&k->in);
	return !k->in.bad;
}

static void channel_main(void *arg)
{
	struct run_channel *c = arg;

	for (;;) {
		struct pollfd *p = c->polled;
		unsigned n = c->n;
		/* When it is full, others wait to be accepted. */
		short more = n < CONNECTIONS_MAX ? POLLIN : 0;

		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){ c->place[i].fd, more, 0 };
		p[2] = (struct pollfd){ c->stop[0], POLLIN, 0 };
		for (unsigned i = 0; i < n; i++)
			p[FIXED + i] = (struct pollfd){ c->v[i].fd, POLLIN, 0 };
		if (poll(p, FIXED + n, -1) < 0)
			continue;
		if (p[2].revents)
			return;
		/* From the last on: drop() moves the last one. */
		for (unsigned i = n; i-- > 0;)
			if (p[FIXED + i].revents && !receive(c, &c->v[i]))
				drop(c, i);
		for (int i = 0; i < 2; i++)
			if (p[i].revents & POLLIN && c->n < CONNECTIONS_MAX)
				accept_one(c, c->place[i].fd);
	}
}

/* --- places -------------------------------------------------------------------- */

/*
 * The device of what is mounted on dir last.  The mount is not asked: it may
 * be us who must answer.
 */
static int device_name(char *out, size_t cap, const char *dir)
{
	char line[8192];
	size_t n = strlen(dir);
	int rc = -ENOENT;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		unsigned major, minor;
		int at = 0;

		if (sscanf(line, "%*d %*d %u:%u %*s %n", &major, &minor, &at) ==
			    2 &&
		    at > 0 && strncmp(line + at, dir, n) == 0 &&
		    line[(size_t)at + n] == ' ') {
			snprintf(out, cap, "%u:%u", major, minor);
			rc = 0;
		}
	}
	if (f)
		fclose(f);
	return rc;
}

static int bind_place(struct place *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", p->dir,
		 p->name);
	/* What lies there is a dead daemon's. */
	if (unlinkat(p->dir, p->name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (bind(p->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	p->bound = true;
	if (fchmodat(p->dir, p->name, 0666, 0) < 0 ||
	    listen(p->fd, CONNECTIONS_MAX) < 0)
		return -errno;
	return 0;
}

static int open_store_place(struct place *p, const char *store)
{
	snprintf(p->name, sizeof(p->name), RUN_CHANNEL_NAME);
	p->dir = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->dir < 0 ? -errno : bind_place(p);
}

/* Not ours to make, or somebody else could put things there: then without. */
static int open_public_place(struct place *p, const char *dir)
{
	struct stat st;
	int rc = device_name(p->name, sizeof(p->name), dir);

	if (rc == 0 && geteuid() != 0)
		rc = -EPERM;
	if (rc == 0 && mkdir(RUN_CHANNEL_DIR, 0755) < 0 && errno != EEXIST)
		rc = -errno;
	if (rc < 0)
		return rc;
	p->dir = open(RUN_CHANNEL_DIR,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->dir < 0 || fstat(p->dir, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || st.st_mode & 022)
		return -EPERM;
	return bind_place(p);
}

static void close_place(struct place *p)
{
	if (p->bound)
		(void)unlinkat(p->dir, p->name, 0);
	if (p->fd >= 0)
		close(p->fd);
	if (p->dir >= 0)
		close(p->dir);
	*p = (struct place){ .dir = -1, .fd = -1 };
}

/* --- life ---------------------------------------------------------------------- */

int run_channel_open(struct run_channel **out,
		     const struct run_channel_options *o, struct errmsg *em)
{
	struct run_channel *c = calloc(1, sizeof(*c));
	int rc, public;

	if (!c)
		return -ENOMEM;
	c->core = o->core;
	c->anybody = o->anybody;
	c->stop[0] = c->stop[1] = -1;
	for (int i = 0; i < 2; i++)
		c->place[i] = (struct place){ .dir = -1, .fd = -1 };
	rc = open_store_place(&c->place[0], o->store);
	public = open_public_place(&c->place[1], o->dir);
	if (public < 0) {
		close_place(&c->place[1]);
		if (geteuid() == 0)
			log_event(LOG_WARN, "run_channel",
				  "dir=" RUN_CHANNEL_DIR " error=\"%s\"",
				  err_text(public));
	}
	if (rc == 0 && pipe2(c->stop, O_CLOEXEC) < 0)
		rc = -errno;
	if (rc == 0)
		rc = thread_start(&c->thread, "runs", channel_main, c);
	if (rc < 0) {
		run_channel_close(c);
		return errmsg_set(em, rc, "run channel in %s: %s", o->store,
				  err_text(rc));
	}
	*out = c;
	return 0;
}

void run_channel_close(struct run_channel *c)
{
	if (!c)
		return;
	if (c->thread.running)
		while (write(c->stop[1], "x", 1) < 0 && errno == EINTR)
			continue;
	thread_join(&c->thread);
	for (int i = 0; i < 2; i++)
		close_place(&c->place[i]);
	while (c->n > 0)
		drop(c, c->n - 1);
	for (int i = 0; i < 2; i++)
		if (c->stop[i] >= 0)
			close(c->stop[i]);
	free(c);
}
