/*
 * git_helper.c - see git_helper.h.
 *
 * The helper reads a request to its end before it answers, so neither waits
 * for the other's pipe.
 */
#include "base/git_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"

enum { PATH_SIZE = 4096 };
/* Of all that a repository has us read: 200,000 checkpoints. */
enum { CALL_MAX = 64 << 20 };

struct git_helper {
	pid_t pid;
	int fd; /* both ways */
};

/* DIR/vouch-git, DIR being where the program that runs lies. */
static int find(char out[PATH_SIZE])
{
	static const char name[] = "vouch-git";
	ssize_t n = readlink("/proc/self/exe", out, PATH_SIZE - 1);
	char *slash;

	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || (size_t)(slash + 1 - out) + sizeof(name) > PATH_SIZE)
		return -ENAMETOOLONG;
	memcpy(slash + 1, name, sizeof(name));
	return 0;
}

/* -err of posix_spawn; the child has `fd` as stdin and stdout. */
static int spawn(pid_t *out, const char *path, char *const *argv,
		 char *const *env, int fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	rc = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&actions, fd,
						      STDOUT_FILENO);
	if (!rc)
		rc = posix_spawnattr_setsigmask(&attr, &none);
	if (!rc)
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (!rc)
		rc = posix_spawn(out, path, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

static int start(struct git_helper **out, char *const *argv, char *const *env,
		 struct errmsg *em)
{
	struct git_helper *g = calloc(1, sizeof(*g));
	char path[PATH_SIZE] = "";
	int fds[2], rc = g ? find(path) : -ENOMEM;

	if (!rc && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		rc = -errno;
	if (rc < 0) {
		free(g);
		return errmsg_set(em, rc, "cannot start vouch-git: %s",
				  err_text(rc));
	}
	rc = spawn(&g->pid, path, argv, env, fds[1]);
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		free(g);
		return errmsg_set(em, rc,
				  "cannot start %s: %s (install it beside "
				  "vouch)",
				  path, err_text(rc));
	}
	g->fd = fds[0];
	*out = g;
	return 0;
}

int git_helper_start(struct git_helper **out, struct errmsg *em)
{
	char *argv[] = { (char[]){ "vouch-git" }, (char[]){ "diff" }, NULL };
	char *env[] = { NULL };

	return start(out, argv, env, em);
}

int git_helper_start_merge(struct git_helper **out, struct errmsg *em)
{
	char *argv[] = { (char[]){ "vouch-git" }, (char[]){ "merge" }, NULL };
	char *env[] = { NULL };

	return start(out, argv, env, em);
}

void git_helper_stop(struct git_helper *g)
{
	if (!g)
		return;
	close(g->fd); /* it ends at the end of its input */
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(g);
}

static int send_all(int fd, const void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put = send(fd, (const char *)p + done, n - done,
				   MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		done += (size_t)put;
	}
	return 0;
}

static int receive_all(int fd, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = recv(fd, (char *)p + done, n - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 && errno != ECONNRESET ? -errno : -EPIPE;
		done += (size_t)got;
	}
	return 0;
}

static int ask(struct git_helper *g, const void *a, size_t n_a, const void *b,
	       size_t n_b)
{
	uint8_t head[GIT_HELPER_HEAD];
	struct bwriter w;
	int rc;

	bwriter_init(&w, head, sizeof(head));
	bwriter_u64(&w, n_a);
	bwriter_u64(&w, n_b);
	rc = send_all(g->fd, head, sizeof(head));
	if (!rc)
		rc = send_all(g->fd, a, n_a);
	return rc ? rc : send_all(g->fd, b, n_b);
}

int git_helper_diff(struct git_helper *g, struct buf *out,
		    struct git_diff_counts *counts, const void *a, size_t n_a,
		    const void *b, size_t n_b)
{
	uint8_t head[GIT_HELPER_ANSWER], *room;
	struct breader r;
	uint64_t n;
	int rc;

	if (n_a > GIT_HELPER_MAX || n_b > GIT_HELPER_MAX)
		return -EFBIG;
	rc = ask(g, a, n_a, b, n_b);
	if (!rc)
		rc = receive_all(g->fd, head, sizeof(head));
	if (rc)
		return rc;
	breader_init(&r, head, sizeof(head));
	counts->binary = breader_u8(&r);
	counts->added = breader_u64(&r);
	counts->removed = breader_u64(&r);
	n = breader_u64(&r);
	/* every line once or twice, and a head for each hunk */
	if (n > 64ULL * (GIT_HELPER_MAX + 1))
		return -EPIPE;
	room = n ? buf_grow(out, (size_t)n) : NULL;
	if (n && !room)
		return -ENOMEM;
	return n ? receive_all(g->fd, room, (size_t)n) : 0;
}

static int ask_merge(struct git_helper *g, const struct git_bytes v[3])
{
	uint8_t head[GIT_HELPER_MERGE_HEAD];
	struct bwriter w;
	int rc;

	bwriter_init(&w, head, sizeof(head));
	for (int i = 0; i < 3; i++)
		bwriter_u64(&w, v[i].n);
	rc = send_all(g->fd, head, sizeof(head));
	for (int i = 0; i < 3 && !rc; i++)
		rc = send_all(g->fd, v[i].p, v[i].n);
	return rc;
}

static int receive_conflicts(int fd, struct git_merged *m, uint64_t n)
{
	uint8_t one[16];
	struct breader r;
	int rc = 0;

	if (n > GIT_HELPER_MAX)
		return -EPIPE;
	m->v = calloc((size_t)n + 1, sizeof(*m->v));
	if (!m->v)
		return -ENOMEM;
	for (m->n = 0; m->n < n && !rc; m->n++) {
		rc = receive_all(fd, one, sizeof(one));
		breader_init(&r, one, sizeof(one));
		m->v[m->n].first = breader_u64(&r);
		m->v[m->n].n = breader_u64(&r);
	}
	return rc;
}

int git_helper_merge(struct git_helper *g, struct buf *out,
		     struct git_merged *merged, struct git_bytes base,
		     struct git_bytes ours, struct git_bytes theirs)
{
	const struct git_bytes v[3] = { base, ours, theirs };
	uint8_t head[GIT_HELPER_MERGE_ANSWER], *room;
	struct breader r;
	uint64_t n, conflicts;
	int rc;

	*merged = (struct git_merged){ .binary = false };
	for (int i = 0; i < 3; i++)
		if (v[i].n > GIT_HELPER_MAX)
			return -EFBIG;
	rc = ask_merge(g, v);
	if (!rc)
		rc = receive_all(g->fd, head, sizeof(head));
	if (rc)
		return rc;
	breader_init(&r, head, sizeof(head));
	merged->binary = breader_u8(&r);
	conflicts = breader_u64(&r);
	n = breader_u64(&r);
	if (n > 3ULL * (GIT_HELPER_MAX + 1)) /* all of each, at most */
		return -EPIPE;
	rc = receive_conflicts(g->fd, merged, conflicts);
	room = !rc && n ? buf_grow(out, (size_t)n) : NULL;
	if (!rc && n && !room)
		rc = -ENOMEM;
	return rc || !n ? rc : receive_all(g->fd, room, (size_t)n);
}

/* --- of a work tree --- */

/* n bytes before that moment: 0, -ETIMEDOUT, -EPIPE. */
static int receive_until(int fd, uint8_t *p, size_t n, int64_t until)
{
	size_t done = 0;

	while (done < n) {
		struct pollfd f = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_mono_ms();
		ssize_t got;

		if (left <= 0 || poll(&f, 1, (int)left) == 0)
			return -ETIMEDOUT;
		got = recv(fd, p + done, n - done, MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return -EPIPE;
		done += (size_t)got;
	}
	return 0;
}

/* All that it says until it ends; -ERR_LIMIT: that is too much. */
static int receive_rest(int fd, struct buf *out)
{
	out->max = CALL_MAX;
	for (;;) {
		uint8_t *room = buf_grow(out, 4096);
		ssize_t got = room ? recv(fd, room, 4096, 0) : -1;

		if (!room)
			return out->n + 4096 > CALL_MAX ? -ERR_LIMIT : -ENOMEM;
		out->n -= 4096 - (got > 0 ? (size_t)got : 0);
		out->p[out->n] = '\0'; /* what buf.h says of p */
		if (got == 0)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
	}
}

/* Why it failed: what it said after the last NUL; before it others' bytes. */
static const char *its_words(const struct buf *out)
{
	const char *nul = out->n ? memrchr(out->p, 0, out->n) : NULL;

	return nul && nul[1] ? nul + 1 : "vouch-git failed";
}

int git_helper_call(struct buf *out, char *const *argv, const void *p, size_t n,
		    struct errmsg *em)
{
	const char *own = getenv("HOME");
	char home[PATH_SIZE + 8];
	char *env[] = { home, NULL };
	struct git_helper *g = NULL;
	int status = 0, rc;

	snprintf(home, sizeof(home), "HOME=%s", own ? own : "/");
	rc = start(&g, argv, env, em);
	if (rc < 0)
		return rc;
	rc = send_all(g->fd, p, n);
	(void)shutdown(g->fd, SHUT_WR);
	if (rc == 0 || rc == -EPIPE) /* what it says of why it ended */
		rc = receive_rest(g->fd, out);
	close(g->fd);
	while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR)
		;
	free(g);
	if (rc < 0)
		return errmsg_set(em, rc, "vouch-git: %s", err_text(rc));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return errmsg_set(em, -EIO, "%s", its_words(out));
	return 0;
}

int git_helper_tree(struct git_tree *out, const char *path, unsigned ms,
		    struct errmsg *em)
{
	char *argv[] = { (char[]){ "vouch-git" }, (char[]){ "tree" },
			 (char *)path, NULL };
	/* where the user says which owners he trusts: git-config(1) */
	char home[PATH_SIZE + 8];
	char *env[] = { home, NULL };
	const char *own = getenv("HOME");
	int64_t until = clock_mono_ms() + ms;
	uint8_t head[GIT_HELPER_TREE], dirty = 0;
	struct git_helper *g = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	snprintf(home, sizeof(home), "HOME=%s", own ? own : "/");
	rc = start(&g, argv, env, em);
	if (rc < 0)
		return rc;
	rc = receive_until(g->fd, head, sizeof(head), until);
	if (rc == 0) {
		out->has_commit = head[0];
		memcpy(out->commit, head + 1, sizeof(out->commit));
		rc = receive_until(g->fd, &dirty, 1, until);
		out->dirty_known = rc == 0 && dirty <= 1;
		out->dirty = out->dirty_known && dirty;
		rc = 0;
	}
	kill(g->pid, SIGKILL); /* it only reads */
	git_helper_stop(g);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}
