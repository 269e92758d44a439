/*
 * ctl.c - see ctl.h.
 *
 * A path is resolved without asking a dead daemon: where the kernel answers
 * ENOTCONN, the rest of the path is taken as it is written.
 */
#include "mount-tools/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/daemon/control.h"
#include "ledger/volume.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"

enum { REPLY_MAX = JSON_SIZE_MAX, BRIEF_S = 60 };

/* --- places ------------------------------------------------------------------- */

/* The path made absolute, "." and ".." taken out, nothing asked. */
static char *lexical(const char *path)
{
	autofree char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	autofree char *all = NULL;
	char *save = NULL;
	size_t n = 0;

	if (asprintf(&all, "%s/%s", cwd ? cwd : "", path) < 0) {
		all = NULL;
		return NULL;
	}
	char *out = calloc(1, strlen(all) + 2);
	for (char *s = strtok_r(all, "/", &save); out && s;
	     s = strtok_r(NULL, "/", &save)) {
		if (strcmp(s, ".") == 0)
			continue;
		if (strcmp(s, "..") == 0) {
			while (n > 0 && out[--n] != '/')
				continue;
			out[n] = '\0';
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, s, strlen(s) + 1);
		n += strlen(s);
	}
	if (out && n == 0)
		out[0] = '/';
	return out;
}

/* Symlinks on the way are followed, the last name is not. */
static char *resolve_parent(const char *path)
{
	autofree char *abs = lexical(path);
	char *slash = abs ? strrchr(abs, '/') : NULL;
	char *out = NULL;
	size_t n = strlen(path);
	bool is_dir = n == 0 || path[n - 1] == '/' || path[n - 1] == '.';

	if (!slash)
		return NULL;
	if (is_dir || slash[1] == '\0') {
		out = realpath(path, NULL);
		return out ? out : take(abs);
	}
	*slash = '\0';
	autofree char *parent = realpath(slash == abs ? "/" : abs, NULL);
	if (!parent) {
		*slash = '/';
		return take(abs);
	}
	if (asprintf(&out, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
		     slash + 1) < 0)
		return NULL;
	return out;
}

/* Else errno says why not. */
static bool is_store(const char *path)
{
	char conf[PATH_MAX];

	errno = ENAMETOOLONG;
	return snprintf(conf, sizeof(conf), "%s/%s", path, VOLUME_FILE) <
		       (int)sizeof(conf) &&
	       access(conf, F_OK) == 0;
}

/* PATH below a mount point: what it is called inside. */
static int fill_mounted(struct ctl_place *out, const struct mounts_one *m,
			const char *path)
{
	const char *rest =
		path + (strcmp(m->dir, "/") == 0 ? 0 : strlen(m->dir));
	const char *root = strcmp(m->root, "/") == 0 ? "" : m->root;

	out->store = strdup(m->store);
	out->dir = strdup(m->dir);
	out->below = rest[0] != '\0' && strcmp(rest, "/") != 0;
	if (asprintf(&out->path, "%s%s", root, rest) < 0)
		out->path = NULL;
	if (out->path && out->path[0] == '\0') {
		free(out->path);
		out->path = strdup("/");
	}
	return out->store && out->dir && out->path ? 0 : -ENOMEM;
}

static int fill_store(struct ctl_place *out, const struct mounts *m,
		      const char *path)
{
	out->store = realpath(path, NULL);
	if (!out->store)
		return -errno;
	for (size_t i = 0; i < m->n && !out->dir; i++)
		if (strcmp(m->v[i].store, out->store) == 0 &&
		    strcmp(m->v[i].root, "/") == 0) {
			out->dir = strdup(m->v[i].dir);
			if (!out->dir)
				return -ENOMEM;
		}
	return 0;
}

/*
 * What is below a mount is looked at through its daemon: not where that hangs,
 * nobody could end us then.  The mount point itself the kernel knows.
 */
static int check_alive(const struct mounts *m, const char *path,
		       struct errmsg *em)
{
	autofree char *abs = lexical(path);
	const struct mounts_one *one = abs ? mounts_over(m, abs) : NULL;
	int rc;

	if (!one || strcmp(one->dir, abs) == 0)
		return 0;
	rc = ctl_alive(one->store, em);
	return rc == -ETIMEDOUT ? rc : 0;
}

static int find_in(struct ctl_place *out, const struct mounts *m,
		   const char *path, struct errmsg *em)
{
	int rc = check_alive(m, path, em);

	if (rc < 0)
		return rc;
	autofree char *near = resolve_parent(path);
	autofree char *far = realpath(path, NULL);
	const struct mounts_one *one = near ? mounts_over(m, near) : NULL;

	if (one)
		return fill_mounted(out, one, near);
	one = far ? mounts_over(m, far) : NULL;
	if (one)
		return fill_mounted(out, one, far);
	if (is_store(path))
		return fill_store(out, m, path);
	if (errno == EACCES || errno == ENAMETOOLONG)
		return errmsg_set(em, -errno, "%s: %s", path, err_text(-errno));
	if (!far)
		return errmsg_set(
			em, -ENOENT,
			"%s does not exist, inside a vouchfs mount or "
			"elsewhere",
			path);
	return errmsg_set(em, -ENOENT,
			  "%s is neither inside a vouchfs mount nor a store",
			  path);
}

int ctl_find(struct ctl_place *out, const char *path, struct errmsg *em)
{
	struct mounts m;
	int rc = mounts_read(&m);

	*out = (struct ctl_place){ 0 };
	if (rc == 0)
		rc = find_in(out, &m, path, em);
	mounts_release(&m);
	if (rc < 0)
		ctl_place_release(out);
	return rc;
}

int ctl_find_volume(struct ctl_place *out, const char *path, struct errmsg *em)
{
	struct errmsg unheard = ERRMSG_INIT;
	struct stat st;
	int rc = ctl_find(out, path, em);

	if (rc < 0 || !out->path || strcmp(out->path, "/") == 0)
		return rc;
	/* the daemon is asked whether the path exists: only one that answers */
	rc = ctl_alive(out->store, &unheard);
	if (rc == 0 && lstat(path, &st) < 0 &&
	    (errno == ENOENT || errno == ENOTDIR))
		rc = errmsg_set(em, -errno, "%s: %s", path, err_text(-errno));
	else if (rc == -ETIMEDOUT)
		errmsg_set(em, rc, "%s", errmsg_text(&unheard, rc));
	else
		rc = 0;
	if (rc < 0)
		ctl_place_release(out);
	return rc;
}

void ctl_place_release(struct ctl_place *p)
{
	free(p->store);
	free(p->dir);
	free(p->path);
	*p = (struct ctl_place){ 0 };
}

int ctl_each_mount(ctl_mount_fn *fn, void *ctx)
{
	struct mounts m;
	int rc = mounts_read(&m);

	for (size_t i = 0; rc == 0 && i < m.n; i++)
		rc = fn(ctx, m.v[i].store, m.v[i].dir);
	mounts_release(&m);
	return rc;
}

/* --- talking -------------------------------------------------------------------- */

/* A daemon hears root and its own user: who that is, and what others can. */
static int not_heard(const char *store, int rc, struct errmsg *em)
{
	struct stat st = { .st_uid = 0 };
	struct passwd *pw = stat(store, &st) == 0 ? getpwuid(st.st_uid) : NULL;

	return errmsg_set(em, rc,
			  "only root%s%s can ask the daemon of %s; for you "
			  "there is audit/ in its mount: history/PATH.jsonl, "
			  "lineage/PATH.json, proof/PATH.tlog-proof, at/WHEN/, "
			  "runs/",
			  st.st_uid && pw ? " and " : "",
			  st.st_uid && pw ? pw->pw_name : "", store);
}

/* Where the caller's socket has a time limit: the daemon's own EAGAIN differs. */
static int no_answer(int error)
{
	return error == EAGAIN ? -ETIMEDOUT : -error;
}

int ctl_connect(int *out_fd, const char *store, struct errmsg *em)
{
	const struct timeval patience = { .tv_sec = ctl_patience_s() };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int dir = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	hint_store(store); /* whatever it says is of that one */
	if (dir < 0) {
		rc = -errno;
		if (rc == -EACCES)
			return not_heard(store, rc, em);
		return errmsg_set(em, rc, "%s: %s", store, err_text(rc));
	}
	/* The path may be longer than an address holds. */
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir,
		 CONTROL_NAME);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* a daemon that hangs takes a few, and then no more */
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		rc = no_answer(errno);
	close(dir);
	if (rc == 0) {
		*out_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		return errmsg_set(em, -ENOTCONN, "%s is not mounted", store);
	if (rc == -EACCES || rc == -EPERM)
		return not_heard(store, rc, em);
	if (rc == -ETIMEDOUT)
		return errmsg_set(em, rc, "the daemon of %s does not answer",
				  store);
	return errmsg_set(em, rc, "cannot talk to the daemon of %s: %s", store,
			  err_text(rc));
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return no_answer(errno);
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

int ctl_send(int fd, const char *members, struct errmsg *em)
{
	struct buf line = BUF_INIT;

	buf_addf(&line, "{%s}\n", members);
	int rc =
		line.bad ? -ENOMEM : send_all(fd, (const char *)line.p, line.n);
	buf_release(&line);
	return rc < 0 ? errmsg_set(em, rc, "the daemon does not listen: %s",
				   err_text(rc)) :
			0;
}

/* One line, without its newline. */
static int receive_line(struct buf *out, int fd)
{
	char piece[16384];

	for (;;) {
		ssize_t n = recv(fd, piece, sizeof(piece), MSG_PEEK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return no_answer(errno);
		if (n == 0)
			return -EPIPE;
		/* What follows the line stays for the next call. */
		const char *eol = memchr(piece, '\n', (size_t)n);
		size_t len = eol ? (size_t)(eol - piece) : (size_t)n;
		n = recv(fd, piece, eol ? len + 1 : len, 0);
		buf_add(out, piece, len);
		if (n < 0 || out->bad)
			return n < 0 ? no_answer(errno) : -ENOMEM;
		if (eol)
			return 0;
	}
}

/* The daemon's "no", as its own code and words. */
static int refused(const struct json *reply, struct errmsg *em)
{
	const char *words = json_get_str(reply, "error");
	int64_t code = 0;

	if (!json_get_i64(reply, "code", &code) || code >= 0 || code < -65536)
		code = -EIO;
	return errmsg_set(em, (int)code, "%s",
			  words ? words : err_text((int)code));
}

int ctl_receive(struct json_doc **out, int fd, struct errmsg *em)
{
	struct buf line = { .max = REPLY_MAX };
	struct json_doc *doc = NULL;
	int rc = receive_line(&line, fd);

	if (rc == -ETIMEDOUT)
		errmsg_set(em, rc, "the daemon does not answer");
	else if (rc < 0)
		errmsg_set(em, rc, "the daemon ended without an answer");
	else
		rc = json_parse(&doc, line.p, line.n, em);
	if (rc == 0 && !json_get_bool(json_root(doc), "ok", false))
		rc = refused(json_root(doc), em);
	buf_release(&line);
	if (rc == 0 && out)
		*out = take(doc);
	json_free(doc);
	return rc;
}

static int call(struct json_doc **out, const char *store, const char *members,
		int most_s, struct errmsg *em)
{
	int fd = -1;
	int rc = ctl_connect(&fd, store, em);

	if (rc == 0)
		rc = ctl_send(fd, members, em);
	if (rc == 0)
		rc = ctl_await(fd, store, most_s, em);
	if (rc == 0)
		rc = ctl_receive(out, fd, em);
	if (fd >= 0)
		close(fd);
	return rc;
}

int ctl_call(struct json_doc **out, const char *store, const char *members,
	     struct errmsg *em)
{
	return call(out, store, members, 0, em);
}

int ctl_call_brief(struct json_doc **out, const char *store,
		   const char *members, struct errmsg *em)
{
	return call(out, store, members, BRIEF_S, em);
}

int ctl_peer_pid(int fd)
{
	struct ucred u = { 0 };
	socklen_t n = sizeof(u);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
		return 0;
	return u.pid;
}
