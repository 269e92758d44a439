/*
 * run_channel.c - see run_channel.h.
 *
 * One thread and poll(2): a connection waits for hours while its run goes on,
 * and there may be many.  What waits for the index (run_words.h) or for what
 * a run wrote to be saved (run_ends.h) has other threads: the answer is kept
 * until then.
 *
 * Invariants: (1) What a client sends or leaves unread holds up nobody else:
 * nothing here blocks on a connection, or for what others wrote.  (2) A
 * connection that goes takes its run with it (serve_run_close).  (3) Only the
 * thread touches connections.  (4) Of the places and of the runs that may be
 * open, TRUSTED_MAX are for root and our own user alone: a connection has one
 * run, and others' are at most ORDINARY_MAX.
 */
#include "fs/daemon/run_channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "fs/daemon/run_ends.h"
#include "fs/daemon/run_place.h"
#include "fs/daemon/run_words.h"
#include "fs/daemon/serve_run.h"
#include "fs/run/run_peer.h"
#include "fs/run/run_table.h"

enum {
	TRUSTED_MAX = 64,
	ORDINARY_MAX = RUN_TABLE_OPEN_MAX - TRUSTED_MAX,
	CONNECTIONS_MAX = RUN_TABLE_OPEN_MAX + TRUSTED_MAX,
	EACH_USER_MAX = RUN_TABLE_OPEN_MAX / 4,
	FIXED = 4, /* polled before the connections: 2 sockets, 2 pipes */
	/* What a connection may have sent that asks for no new run. */
	SHORT_REQUEST_MAX = 4096,
	/*
	 * Bytes of requests of a user: at once, and then in a second.  What a
	 * run adds to the log is less than what declares it.
	 */
	USERS = 64,
	BURST = 1 << 20,
	PER_SECOND = 128 << 10,
	COST_MIN = 2 << 10,
};
/*
 * How long a connection may be silent that has no run, and wait for a word:
 * less than `vouch run` waits for an answer.
 */
#define SILENT_NS (20 * 1000000000LL)
#define WORD_NS (3 * 1000000000LL)

struct connection {
	int fd;
	struct run_peer peer;
	struct buf in;
	struct serve_run *run;
	int64_t at_ns; /* of the last request, or accepted */
	/* While it waits for a word: which, and the answer until then. */
	uint64_t word;
	struct buf members;
};

/* How much a user may still ask for; who comes to the same place shares. */
struct allowance {
	double left;
	int64_t at_ns;
};

struct run_channel {
	struct core *core;
	bool anybody;
	struct run_place place[2]; /* STORE/runs; below RUN_CHANNEL_DIR */
	int stop[2], wake[2];
	struct run_words *words;
	struct run_ends *ends;
	struct connection v[CONNECTIONS_MAX];
	unsigned n;
	struct pollfd polled[FIXED + CONNECTIONS_MAX];
	struct allowance users[USERS];
	struct thread thread;
};

/* --- connections -------------------------------------------------------------- */

/* May one more of that user be heard? */
static bool has_place(const struct run_channel *c, uint32_t uid)
{
	unsigned same = 0, ordinary = 0;

	if (run_peer_trusted(uid))
		return true;
	for (unsigned i = 0; i < c->n; i++) {
		same += c->v[i].peer.cr.uid == uid;
		ordinary += !run_peer_trusted(c->v[i].peer.cr.uid);
	}
	return c->anybody && same < EACH_USER_MAX && ordinary < ORDINARY_MAX;
}

static void accept_one(struct run_channel *c, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *k = &c->v[c->n];
	int rc = fd < 0 ? -errno : 0;

	if (rc < 0)
		return;
	*k = (struct connection){ .fd = fd, .at_ns = clock_mono_ns() };
	k->in.max = RUN_CHANNEL_REQUEST_MAX;
	rc = run_peer_of(&k->peer, fd);
	if (rc == 0 && !has_place(c, k->peer.cr.uid))
		rc = -EPERM;
	if (rc == 0)
		rc = serve_run_open(&k->run, c->core, c->ends, &k->peer);
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
	buf_release(&k->members);
	close(k->fd);
	*k = c->v[--c->n];
}

/* --- requests ------------------------------------------------------------------- */

static bool may_ask(struct run_channel *c, uint32_t uid, size_t bytes)
{
	struct allowance *a = &c->users[uid % USERS];
	double cost = (double)(bytes > COST_MIN ? bytes : COST_MIN);
	int64_t now = clock_mono_ns();

	if (run_peer_trusted(uid))
		return true;
	if (a->at_ns == 0)
		a->left = BURST;
	else
		a->left += (double)(now - a->at_ns) * PER_SECOND / 1e9;
	if (a->left > BURST)
		a->left = BURST;
	a->at_ns = now;
	if (a->left < cost)
		return false;
	a->left -= cost;
	return true;
}

static int ask(struct run_channel *c, struct connection *k, const char *line,
	       size_t n, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	int rc;

	if (!may_ask(c, k->peer.cr.uid, n))
		return errmsg_set(em, -EAGAIN,
				  "too many runs in too short a time");
	rc = json_parse(&doc, line, n, em);
	if (rc == 0)
		rc = serve_run_ask(k->run, json_root(doc), em);
	json_free(doc);
	return rc;
}

/* False when the connection is of no use any more. */
static bool reply(struct connection *k, int rc, const struct buf *members,
		  const struct errmsg *em)
{
	struct buf autocall(buf_release) out = BUF_INIT;

	control_reply(&out, rc, members, em);
	/* A few hundred bytes: who has no room for them does not read. */
	return !out.bad &&
	       send(k->fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n;
}

/* Does its answer wait for something? */
static bool waits(const struct connection *k)
{
	return k->word || serve_run_is_ending(k->run);
}

/* Answers, unless that waits for something; false as reply(). */
static bool answer(struct run_channel *c, struct connection *k, int rc,
		   struct errmsg *em)
{
	bool ok;

	if (rc == 0 && serve_run_is_ending(k->run) &&
	    !serve_run_ended(k->run, &rc, &k->members, em))
		return true;
	k->at_ns = clock_mono_ns();
	if (rc == 0 && serve_run_wants_word(k->run)) {
		k->word = run_words_ask(c->words);
		return true;
	}
	ok = reply(k, rc, &k->members, em);
	buf_release(&k->members);
	return ok;
}

static bool answer_line(struct run_channel *c, struct connection *k,
			const char *line, size_t n)
{
	struct errmsg em = ERRMSG_INIT;
	int rc = ask(c, k, line, n, &em);

	k->at_ns = clock_mono_ns();
	return answer(c, k, rc, &em);
}

/* Answers the lines that are there, until one waits for something. */
static bool answer_lines(struct run_channel *c, struct connection *k)
{
	while (!k->in.bad && k->in.n > 0 && !waits(k)) {
		char *eol = memchr(k->in.p, '\n', k->in.n);
		size_t len = eol ? (size_t)(eol - (char *)k->in.p) : 0;

		if (!eol)
			return serve_run_is_new(k->run) ||
			       k->in.n <= SHORT_REQUEST_MAX;
		if (!answer_line(c, k, (char *)k->in.p, len))
			return false;
		k->in.n -= len + 1;
		memmove(k->in.p, eol + 1, k->in.n);
	}
	if (k->in.n == 0)
		buf_release(&k->in);
	return !k->in.bad;
}

static bool receive(struct run_channel *c, struct connection *k)
{
	char piece[16384];
	ssize_t n;

	if (waits(k))
		return false; /* it hung up: nothing else is waited for */
	n = recv(k->fd, piece, sizeof(piece), 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	buf_add(&k->in, piece, (size_t)n);
	return answer_lines(c, k);
}

/* The index has the word by now, or does not get there: answers without. */
static bool answer_word(struct run_channel *c, struct connection *k)
{
	struct errmsg em = ERRMSG_INIT;
	bool ok;

	if (run_words_ready(c->words, k->word))
		serve_run_add_word(k->run, &k->members);
	ok = reply(k, k->members.bad ? -ENOMEM : 0, &k->members, &em);
	buf_release(&k->members);
	k->word = 0;
	return ok && answer_lines(c, k);
}

/* Its run may have ended by now. */
static bool answer_end(struct run_channel *c, struct connection *k)
{
	struct errmsg em = ERRMSG_INIT;

	return answer(c, k, 0, &em) && answer_lines(c, k);
}

/* Until when a connection may stay as it is; INT64_MAX: for ever. */
static int64_t until_ns(const struct connection *k)
{
	if (serve_run_is_ending(k->run))
		return INT64_MAX;
	if (k->word)
		return k->at_ns + WORD_NS;
	return serve_run_goes(k->run) ? INT64_MAX : k->at_ns + SILENT_NS;
}

/*
 * Runs that have ended, words that are ready, and connections that are silent
 * for too long.
 */
static void look_at_all(struct run_channel *c)
{
	int64_t now = clock_mono_ns();

	for (unsigned i = c->n; i-- > 0;) {
		struct connection *k = &c->v[i];
		bool late = now >= until_ns(k);
		bool stays = !late;

		if (serve_run_is_ending(k->run))
			stays = answer_end(c, k);
		else if (k->word &&
			 (late || run_words_ready(c->words, k->word)))
			stays = answer_word(c, k);
		if (!stays)
			drop(c, i);
	}
}

/* Fills what is polled; in how many ms something is due, -1: nothing is. */
static int prepare(struct run_channel *c)
{
	/* When it is full, others wait to be accepted. */
	short more = c->n < CONNECTIONS_MAX ? POLLIN : 0;
	struct pollfd *p = c->polled;
	int64_t first = INT64_MAX, now = clock_mono_ns();

	for (int i = 0; i < 2; i++)
		p[i] = (struct pollfd){ c->place[i].fd, more, 0 };
	p[2] = (struct pollfd){ c->stop[0], POLLIN, 0 };
	p[3] = (struct pollfd){ c->wake[0], POLLIN, 0 };
	for (unsigned i = 0; i < c->n; i++) {
		const struct connection *k = &c->v[i];
		int64_t until = until_ns(k);

		if (until < first)
			first = until;
		p[FIXED + i] =
			(struct pollfd){ k->fd, waits(k) ? 0 : POLLIN, 0 };
	}
	if (first == INT64_MAX)
		return -1;
	return first <= now ? 0 : (int)((first - now) / 1000000) + 1;
}

static void channel_main(void *arg)
{
	struct run_channel *c = arg;
	char bytes[64];

	for (;;) {
		const struct pollfd *p = c->polled;
		int wait_ms = prepare(c);
		unsigned n = c->n;

		if (poll(c->polled, FIXED + n, wait_ms) < 0)
			continue;
		if (p[2].revents)
			return;
		if (p[3].revents)
			(void)!read(c->wake[0], bytes, sizeof(bytes));
		/* From the last on: drop() moves the last one. */
		for (unsigned i = n; i-- > 0;)
			if (p[FIXED + i].revents && !receive(c, &c->v[i]))
				drop(c, i);
		look_at_all(c);
		for (int i = 0; i < 2; i++)
			if (p[i].revents & POLLIN && c->n < CONNECTIONS_MAX)
				accept_one(c, c->place[i].fd);
	}
}

/* --- life ---------------------------------------------------------------------- */

static int settle(void *core)
{
	return core_settle_index(core);
}

int run_channel_open(struct run_channel **out,
		     const struct run_channel_options *o, struct errmsg *em)
{
	struct run_channel *c = calloc(1, sizeof(*c));
	int rc, public;

	if (!c)
		return -ENOMEM;
	c->core = o->core;
	c->anybody = o->anybody;
	c->stop[0] = c->stop[1] = c->wake[0] = c->wake[1] = -1;
	for (int i = 0; i < 2; i++)
		c->place[i] = (struct run_place)RUN_PLACE_NONE;
	rc = run_place_open_store(&c->place[0], o->store, CONNECTIONS_MAX);
	public = run_place_open_public(&c->place[1], o->dir, CONNECTIONS_MAX);
	if (public < 0) {
		run_place_close(&c->place[1]);
		if (geteuid() == 0)
			log_event(LOG_WARN, "run_channel",
				  "dir=" RUN_CHANNEL_DIR " error=\"%s\"",
				  err_text(public));
	}
	if (rc == 0 && (pipe2(c->stop, O_CLOEXEC) < 0 ||
			pipe2(c->wake, O_CLOEXEC | O_NONBLOCK) < 0))
		rc = -errno;
	if (rc == 0)
		rc = run_words_open(&c->words, settle, c->core, c->wake[1]);
	if (rc == 0)
		rc = run_ends_open(&c->ends, c->core, c->wake[1]);
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
	run_words_close(c->words);
	for (int i = 0; i < 2; i++)
		run_place_close(&c->place[i]);
	while (c->n > 0)
		drop(c, c->n - 1);
	run_ends_close(c->ends);
	for (int i = 0; i < 2; i++) {
		if (c->stop[i] >= 0)
			close(c->stop[i]);
		if (c->wake[i] >= 0)
			close(c->wake[i]);
	}
	free(c);
}
