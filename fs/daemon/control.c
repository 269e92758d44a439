/*
 * control.c - see control.h.
 *
 * One thread accepts; each connection has a thread.  A connection is in one
 * of these states:
 *   IDLE (reads a line) -> RUNNING (a verb) -> IDLE ...
 *                       -> WAITING (asked "wait") -> answered by control_close
 * control_quiesce() waits for RUNNING ones only and shuts the others' input.
 * Who waits is told now and then what for, if it asked; one that left gives
 * its place back.
 *
 * Invariants: (1) the socket file is removed before the volume's lock is let
 * go, so that it is never a later daemon's.  (2) No verb runs after quiesce.
 */
#include "fs/daemon/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "fs/core/core.h"
#include "fs/run/run_peer.h"

enum { CONNECTIONS_MAX = 32, SEND_TIMEOUT_S = 30, TELL_MS = 1000 };
#define NS_PER_MS 1000000LL

struct verb {
	const char *name;
	control_fn *fn;
	void *ctx;
};

struct connection {
	struct control *control;
	struct thread thread;
	int fd;
	bool busy;	  /* a verb runs; guarded by mu */
	const char *verb; /* which; guarded by mu */
	bool done;	  /* the thread may be joined; guarded by mu */
	bool used;
};

struct control {
	struct mutex mu;
	struct cond changed;
	struct verb verbs[CONTROL_VERBS_MAX];
	size_t n_verbs;
	control_admit_fn *admit; /* NULL: all are */
	void *admit_ctx;
	control_doing_fn *doing; /* NULL: nobody is told */
	void *doing_ctx;
	control_ending_fn *ending; /* NULL: nothing to be given up */
	void *ending_ctx;
	struct connection connections[CONNECTIONS_MAX]; /* guarded by mu */
	bool quiet;					/* guarded by mu */
	bool final;					/* guarded by mu */
	int final_rc;
	struct errmsg final_words;
	int dir, fd;
	int stop[2]; /* pipe: wakes the accepting thread */
	bool bound;
	struct thread thread;
};

/* --- members of an answer -------------------------------------------------- */

static void add_key(struct buf *out, const char *key)
{
	if (out->n > 0)
		buf_addc(out, ',');
	text_json_string(out, key, strlen(key));
	buf_addc(out, ':');
}

void control_add_str(struct buf *out, const char *key, const char *value)
{
	add_key(out, key);
	text_json_string(out, value, strlen(value));
}

void control_add_u64(struct buf *out, const char *key, unsigned long long v)
{
	add_key(out, key);
	buf_addf(out, "%llu", v);
}

void control_add_i64(struct buf *out, const char *key, long long v)
{
	add_key(out, key);
	buf_addf(out, "%lld", v);
}

void control_add_bool(struct buf *out, const char *key, int v)
{
	add_key(out, key);
	buf_adds(out, v ? "true" : "false");
}

/* --- one connection --------------------------------------------------------- */

static int send_all(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n > 0) {
		ssize_t sent = send(fd, s, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		s += sent;
		n -= (size_t)sent;
	}
	return 0;
}

void control_reply(struct buf *out, int rc, const struct buf *members,
		   const struct errmsg *em)
{
	if (rc < 0) {
		const char *words = errmsg_text(em, rc);
		buf_addf(out, "{\"ok\":false,\"code\":%d,\"error\":", rc);
		text_json_string(out, words, strlen(words));
	} else {
		buf_adds(out, "{\"ok\":true");
		if (members->n > 0) {
			buf_addc(out, ',');
			buf_add(out, members->p, members->n);
		}
	}
	buf_adds(out, "}\n");
}

static int reply(int fd, int rc, const struct buf *members,
		 const struct errmsg *em)
{
	struct buf line = BUF_INIT;

	control_reply(&line, rc, members, em);
	int sent = line.bad ? -ENOMEM : send_all(fd, line.p, line.n);
	buf_release(&line);
	return sent;
}

static const struct verb *verb_find(const struct control *c, const char *name)
{
	for (size_t i = 0; i < c->n_verbs; i++)
		if (strcmp(c->verbs[i].name, name) == 0)
			return &c->verbs[i];
	return NULL;
}

static int call(struct connection *k, const struct json *request,
		const struct run_peer *peer, struct buf *out, struct errmsg *em)
{
	struct control *c = k->control;
	const struct cred who = run_peer_cred(peer);
	const char *name = json_get_str(request, "verb");
	const struct verb *v = name ? verb_find(c, name) : NULL;

	if (!name)
		return errmsg_set(em, -ERR_USAGE, "request without a verb");
	if (!v)
		return errmsg_set(em, -ERR_USAGE, "unknown verb");
	mutex_lock(&c->mu);
	k->verb = v->name;
	mutex_unlock(&c->mu);
	int rc = c->admit ? c->admit(c->admit_ctx, v->name, peer, em) : 0;
	if (rc == 0)
		rc = v->fn(v->ctx, request, &who, out, em);
	return rc == 0 && out->bad ? -ENOMEM : rc;
}

/* Answers one line; negative when the connection is of no use any more. */
static int answer(struct connection *k, const struct run_peer *peer,
		  const char *line, size_t n)
{
	struct control *c = k->control;
	struct json_doc *doc = NULL;
	struct buf members = BUF_INIT;
	struct errmsg em = ERRMSG_INIT;
	int rc = json_parse(&doc, line, n, &em);

	if (rc == 0) {
		mutex_lock(&c->mu);
		if (c->quiet)
			rc = errmsg_set(&em, -EBUSY, "unmounting");
		else
			k->busy = true;
		mutex_unlock(&c->mu);
	}
	if (rc == 0)
		rc = call(k, json_root(doc), peer, &members, &em);
	rc = reply(k->fd, rc, &members, &em);
	mutex_lock(&c->mu);
	k->busy = false;
	k->verb = NULL;
	cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
	buf_release(&members);
	json_free(doc);
	return rc;
}

/* The other side of a connection that is to say nothing more. */
static bool has_left(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* A line that is not the last: {"ok":true,"doing":"words"}. */
static int tell_doing(struct connection *k)
{
	struct control *c = k->control;
	struct buf words = BUF_INIT, members = BUF_INIT;
	int rc = 0;

	c->doing(c->doing_ctx, &words);
	if (words.n > 0 && !words.bad) {
		buf_addc(&words, '\0');
		control_add_str(&members, "doing", (const char *)words.p);
		rc = reply(k->fd, 0, &members, NULL);
	}
	buf_release(&members);
	buf_release(&words);
	return rc;
}

/* "wait": says so at once, and again when the volume is closed. */
static void wait_for_end(struct connection *k, bool tell)
{
	struct control *c = k->control;
	struct buf none = BUF_INIT;
	int64_t told_ns = clock_mono_ns();
	bool left = false, final;

	if (reply(k->fd, 0, &none, NULL) < 0)
		return;
	mutex_lock(&c->mu);
	while (!c->final && !left) {
		bool due;

		cond_timedwait_ns(&c->changed, &c->mu, TELL_MS * NS_PER_MS);
		if (c->final)
			break; /* and control_close has shut our input */
		mutex_unlock(&c->mu);
		left = has_left(k->fd);
		due = tell && c->doing &&
		      clock_mono_ns() - told_ns >= TELL_MS * NS_PER_MS;
		if (due && !left)
			left = tell_doing(k) < 0;
		if (due)
			told_ns = clock_mono_ns();
		mutex_lock(&c->mu);
	}
	final = c->final;
	mutex_unlock(&c->mu);
	if (final)
		(void)reply(k->fd, c->final_rc, &none, &c->final_words);
}

static bool is_wait(const char *line, size_t n, bool *out_tell)
{
	struct json_doc *doc = NULL;
	bool yes = false;

	if (json_parse(&doc, line, n, NULL) == 0) {
		const char *verb = json_get_str(json_root(doc), "verb");
		yes = verb && strcmp(verb, "wait") == 0;
		*out_tell = json_get_bool(json_root(doc), "tell", false);
	}
	json_free(doc);
	return yes;
}

/* Reads lines and answers them until the other side has enough. */
static void serve(struct connection *k, const struct run_peer *peer)
{
	struct buf in = { .max = CONTROL_REQUEST_MAX };
	char piece[4096];
	ssize_t n = 0;
	bool tell = false;

	for (;;) {
		char *eol = in.n ? memchr(in.p, '\n', in.n) : NULL;
		if (eol) {
			size_t len = (size_t)(eol - (char *)in.p);
			if (is_wait((char *)in.p, len, &tell)) {
				wait_for_end(k, tell);
				break;
			}
			if (answer(k, peer, (char *)in.p, len) < 0)
				break;
			in.n -= len + 1;
			memmove(in.p, in.p + len + 1, in.n);
			continue;
		}
		do {
			n = recv(k->fd, piece, sizeof(piece), 0);
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			break;
		buf_add(&in, piece, (size_t)n);
		if (in.bad)
			break;
	}
	buf_release(&in);
}

/* Root and our own user are heard. */
static int peer_of(struct run_peer *out, int fd)
{
	int rc = run_peer_of(out, fd);

	return rc == 0 && !run_peer_trusted(out->cr.uid) ? -EPERM : rc;
}

static void connection_main(void *arg)
{
	struct connection *k = arg;
	struct control *c = k->control;
	struct run_peer peer;

	if (peer_of(&peer, k->fd) == 0)
		serve(k, &peer);
	mutex_lock(&c->mu);
	close(k->fd);
	k->fd = -1;
	k->done = true;
	cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
}

/* --- accepting --------------------------------------------------------------- */

static struct connection *place_locked(struct control *c)
	requires_capability(&c->mu)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *k = &c->connections[i];
		if (k->used && k->done) {
			thread_join(&k->thread);
			*k = (struct connection){ .fd = -1 };
		}
		if (!k->used)
			return k;
	}
	return NULL;
}

static void accept_one(struct control *c)
{
	struct timeval patience = { .tv_sec = SEND_TIMEOUT_S };
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
			 sizeof(patience));
	mutex_lock(&c->mu);
	struct connection *k = c->quiet ? NULL : place_locked(c);
	if (k) {
		*k = (struct connection){ .control = c, .fd = fd };
		k->used = thread_start(&k->thread, "control", connection_main,
				       k) == 0;
	}
	if (!k || !k->used)
		close(fd);
	mutex_unlock(&c->mu);
}

static void accept_main(void *arg)
{
	struct control *c = arg;
	struct pollfd p[2] = {
		{ .fd = c->fd, .events = POLLIN },
		{ .fd = c->stop[0], .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			break;
		if (p[0].revents)
			accept_one(c);
	}
}

/* --- life ---------------------------------------------------------------------- */

/* Paths longer than a socket address holds: go by the directory's descriptor. */
static void address(struct sockaddr_un *out, int dir, const char *name)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s",
		 dir, name);
}

static int bind_socket(struct control *c)
{
	struct sockaddr_un a;

	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	address(&a, c->dir, CONTROL_NAME);
	/* We hold the volume's lock: what is there is a dead daemon's. */
	if (unlinkat(c->dir, CONTROL_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	if (bind(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	c->bound = true;
	if (fchmodat(c->dir, CONTROL_NAME, 0600, 0) < 0 ||
	    listen(c->fd, CONNECTIONS_MAX) < 0)
		return -errno;
	return 0;
}

int control_open(struct control **out, const char *store, struct errmsg *em)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	mutex_init(&c->mu);
	cond_init(&c->changed);
	c->fd = c->stop[0] = c->stop[1] = -1;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		c->connections[i].fd = -1;
	c->dir = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	rc = c->dir < 0 ? -errno : bind_socket(c);
	if (rc == 0 && pipe2(c->stop, O_CLOEXEC) < 0)
		rc = -errno;
	if (rc < 0) {
		errmsg_set(em, rc, "control socket in %s: %s", store,
			   err_text(rc));
		control_close(c, rc, em);
		return rc;
	}
	*out = c;
	return 0;
}

void control_admit(struct control *c, control_admit_fn *fn, void *ctx)
{
	c->admit = fn;
	c->admit_ctx = ctx;
}

void control_on_wait(struct control *c, control_doing_fn *fn, void *ctx)
{
	c->doing = fn;
	c->doing_ctx = ctx;
}

void control_on_end(struct control *c, control_ending_fn *fn, void *ctx)
{
	c->ending = fn;
	c->ending_ctx = ctx;
}

void control_busy(struct control *c, struct buf *out)
{
	mutex_lock(&c->mu);
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		const struct connection *k = &c->connections[i];

		if (k->busy && k->verb)
			buf_addf(out, "%s%s", out->n ? ", " : "", k->verb);
	}
	mutex_unlock(&c->mu);
}

void control_register(struct control *c, const char *verb, control_fn *fn,
		      void *ctx)
{
	assert(c->n_verbs < CONTROL_VERBS_MAX);
	assert(!verb_find(c, verb));
	c->verbs[c->n_verbs++] = (struct verb){ verb, fn, ctx };
}

int control_start(struct control *c)
{
	return thread_start(&c->thread, "control", accept_main, c);
}

static bool any_busy_locked(struct control *c) requires_capability(&c->mu)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (c->connections[i].busy)
			return true;
	return false;
}

void control_quiesce(struct control *c)
{
	mutex_lock(&c->mu);
	c->quiet = true;
	mutex_unlock(&c->mu);
	if (c->ending && c->thread.running)
		c->ending(c->ending_ctx);
	if (c->bound)
		(void)unlinkat(c->dir, CONTROL_NAME, 0);
	c->bound = false;
	c->ending = NULL; /* told */
	if (c->thread.running)
		while (write(c->stop[1], "x", 1) < 0 && errno == EINTR)
			continue;
	thread_join(&c->thread);
	mutex_lock(&c->mu);
	while (any_busy_locked(c))
		cond_wait(&c->changed, &c->mu);
	mutex_unlock(&c->mu);
}

void control_close(struct control *c, int rc, const struct errmsg *em)
{
	if (!c)
		return;
	control_quiesce(c);
	mutex_lock(&c->mu);
	c->final_rc = rc;
	if (em)
		c->final_words = *em;
	c->final = true;
	cond_broadcast(&c->changed);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (c->connections[i].fd >= 0)
			shutdown(c->connections[i].fd, SHUT_RD);
	mutex_unlock(&c->mu);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		thread_join(&c->connections[i].thread);
	if (c->fd >= 0)
		close(c->fd);
	if (c->dir >= 0)
		close(c->dir);
	for (int i = 0; i < 2; i++)
		if (c->stop[i] >= 0)
			close(c->stop[i]);
	cond_destroy(&c->changed);
	mutex_destroy(&c->mu);
	free(c);
}
