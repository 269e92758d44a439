/*
 * cmd_umount.c - `vouch umount`, and umount(8)'s helper: returns when the
 * daemon has made everything durable and let go of the store.
 *
 *   take a connection that waits ─► ask it to commit ─► unmount ─► its last
 *   word ─► the process is gone (its lock with it)
 *
 * On that connection the daemon says once a second what it does; what takes
 * longer than SILENT_S is shown: now and then a line, one that changes on a
 * terminal.  A mount whose daemon died is detached: there is nothing to wait for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/json.h"
#include "mount-tools/ctl.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

enum { USERS_MAX = 5, SILENT_S = 2, SAY_EVERY_S = 10 };
/* For the process to end, after its last word: then its lock is gone. */
enum { EXIT_MS = 60000 };

struct how {
	bool lazy;  /* detach, do not wait */
	bool force; /* even if not everything can be saved */
};

static int by_helper(const char *dir, bool lazy)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", "-q",
		       "--", dir, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -EPERM :
								 -EBUSY;
}

static int unmount(const char *dir, bool lazy)
{
	int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);

	if (umount2(dir, flags) == 0)
		return 0;
	return errno == EPERM ? by_helper(dir, lazy) : -errno;
}

static void say_user(void *ctx, int pid, const char *name, const char *path)
{
	char a[128], b[512];

	(void)ctx;
	log_escape(a, sizeof(a), name, strlen(name));
	log_escape(b, sizeof(b), path, strlen(path));
	fprintf(stderr, "  %s (process %d) uses %s\n", a, pid, b);
}

static int say_busy(const char *dir)
{
	char shown[512];

	log_escape(shown, sizeof(shown), dir, strlen(dir));
	fprintf(stderr,
		"vouch umount: %s is busy; everything written is "
		"durable\n",
		shown);
	if (mounts_users(dir, USERS_MAX, say_user, NULL) == 0)
		fprintf(stderr, "  (no process of this user's is known to use "
				"it)\n");
	return 1;
}

/* --- what it does meanwhile --- */

struct told {
	int fd; /* the connection that waits */
	const char *store;
	time_t began, said; /* said 0: nothing yet */
	bool terminal;
	bool last; /* its last word came; rc and em say what */
	int rc;
	struct errmsg em;
};

static void say_doing(struct told *t, const char *words)
{
	time_t now = (time_t)(clock_mono_ms() / 1000);
	char shown[256];

	if (now - t->began < SILENT_S ||
	    (!t->terminal && t->said && now - t->said < SAY_EVERY_S))
		return;
	log_escape(shown, sizeof(shown), words, strlen(words));
	t->said = now;
	fprintf(stderr,
		t->terminal ? "\rvouch umount: %s\033[K" : "vouch umount: %s\n",
		shown);
}

/* Nothing of it stays on a terminal. */
static void say_end(const struct told *t)
{
	if (t->terminal && t->said)
		fputs("\r\033[K", stderr);
}

/* One line of the daemon's. */
static void hear(struct told *t)
{
	struct json_doc *doc = NULL;
	const char *words = NULL;
	int rc = ctl_receive(&doc, t->fd, &t->em);

	if (rc == 0)
		words = json_get_str(json_root(doc), "doing");
	if (words)
		say_doing(t, words);
	t->last = !words;
	t->rc = rc;
	json_free(doc);
}

static bool has_word(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Until fd can be read; fd may be the one that waits. */
static int await_told(struct told *t, int fd, struct errmsg *em)
{
	int rc;

	while ((rc = ctl_await_step(fd, t->store, em)) == 0)
		while (!t->last && has_word(t->fd))
			hear(t);
	return rc < 0 ? rc : 0;
}

/* Its last word. */
static int await_last(struct told *t, struct errmsg *em)
{
	int rc = 0;

	while (rc == 0 && !t->last) {
		rc = await_told(t, t->fd, em);
		if (rc == 0)
			hear(t);
	}
	if (rc < 0 || t->rc == 0)
		return rc;
	return errmsg_set(em, t->rc, "%s", errmsg_text(&t->em, t->rc));
}

static int begin_to_wait(struct told *t, struct errmsg *em)
{
	int rc = ctl_send(t->fd, "\"verb\":\"wait\",\"tell\":true", em);

	if (rc == 0)
		rc = ctl_await(t->fd, t->store, 0, em);
	return rc == 0 ? ctl_receive(NULL, t->fd, em) : rc;
}

/* --- the steps --- */

/* What the kernel has of dirty pages, then what the daemon has. */
static int sync_all(struct told *t, const char *dir, struct errmsg *em)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int asked = -1, rc;

	if (fd >= 0) {
		(void)syncfs(fd);
		close(fd);
	}
	rc = ctl_connect(&asked, t->store, em);
	if (rc == 0)
		rc = ctl_send(asked, "\"verb\":\"sync\"", em);
	if (rc == 0)
		rc = await_told(t, asked, em);
	if (rc == 0)
		rc = ctl_receive(NULL, asked, em);
	if (asked >= 0)
		close(asked);
	return rc;
}

/*
 * Until the process has ended, and with it its lock on the store.  It has
 * closed everything: what keeps it then is another disk or process that hangs.
 */
static void wait_for_exit(int pid_fd)
{
	struct pollfd p = { .fd = pid_fd, .events = POLLIN };

	if (pid_fd < 0)
		return;
	while (poll(&p, 1, EXIT_MS) < 0 && errno == EINTR)
		continue;
}

/*
 * What cannot be saved is kept mounted, so that the reason can be mended
 * (a full disk), unless the mount is of no use any more.
 */
static int sync_first(struct told *t, const char *dir, const struct how *how,
		      struct errmsg *em)
{
	struct errmsg words = ERRMSG_INIT;
	int rc = ctl_alive(t->store, &words);

	if (rc == 0)
		rc = begin_to_wait(t, &words);
	if (rc == -ETIMEDOUT)
		return errmsg_set(em, rc, "%s", errmsg_text(&words, rc));
	if (rc == 0)
		rc = sync_all(t, dir, &words);
	if (rc == 0 || rc == -ERR_STICKY || how->lazy || how->force)
		return 0;
	return errmsg_set(em, rc,
			  "not everything can be saved (%s): mend that and try "
			  "again, or give it up with --force",
			  errmsg_text(&words, rc));
}

/* A daemon listens on fd. */
static int umount_live(const char *store, const char *dir, int fd,
		       const struct how *how, struct errmsg *em)
{
	struct told t = {
		.fd = fd,
		.store = store,
		.began = (time_t)(clock_mono_ms() / 1000),
		.terminal = isatty(STDERR_FILENO) == 1,
	};
	int pid = ctl_peer_pid(fd);
	int pid_fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	int rc = sync_first(&t, dir, how, em);
	bool hangs = rc == -ETIMEDOUT && (how->lazy || how->force);

	/* it saves nothing: detached, so that the directory can be used */
	if (rc == 0 || hangs)
		rc = unmount(dir, how->lazy || hangs);
	if (rc == 0 && !how->lazy && !hangs) {
		rc = await_last(&t, em);
		if (rc != -ETIMEDOUT)
			wait_for_exit(pid_fd);
	}
	say_end(&t);
	if (pid_fd >= 0)
		close(pid_fd);
	return rc;
}

static int umount_path(const char *path, const struct how *how)
{
	struct errmsg em = ERRMSG_INIT;
	struct ctl_place place;
	int fd = -1;
	int rc = ctl_find_volume(&place, path, &em);

	if (rc < 0)
		return opt_fail("umount", rc, &em);
	/* as umount(8): a slip shall not take away the mount one works in */
	hint_store(place.store);
	if (place.below)
		rc = errmsg_set(&em, -EINVAL,
				"%s is in the mount on %s, and no mount "
				"itself: `vouch umount STORE` unmounts that",
				path, place.dir);
	else if (!place.dir)
		rc = errmsg_set(&em, -EINVAL, "%s is not mounted", path);
	if (rc < 0) {
		ctl_place_release(&place);
		return opt_fail("umount", rc, &em);
	}
	rc = ctl_connect(&fd, place.store, &em);
	if (rc == 0) {
		rc = umount_live(place.store, place.dir, fd, how, &em);
		close(fd);
	} else if (rc == -ENOTCONN || rc == -ENOENT) {
		/* Dead, or its store is gone: nothing to save. */
		em = (struct errmsg)ERRMSG_INIT;
		rc = unmount(place.dir, true);
	}
	int status = 0;
	if (rc == -EBUSY)
		status = say_busy(place.dir);
	else if (rc < 0)
		status = opt_fail("umount", rc, &em);
	ctl_place_release(&place);
	return status;
}

int cmd_umount(int argc, char **argv)
{
	struct how how = { .lazy = false };
	const struct opt options[] = {
		{ 'f', "force", OPT_FLAG, &how.force, NULL,
		  "even if not everything can be saved" },
		{ 'l', "lazy", OPT_FLAG, &how.lazy, NULL,
		  "detach now, whoever uses it; do not wait" },
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 1, 1);

	return status != OPT_GO ? status : umount_path(argv[0], &how);
}

/* umount.fuse.vouchfs DIR [-flnrv] [-N ns] [-t TYPE] */
int cmd_umount_helper(int argc, char **argv)
{
	static char verb[] = "umount";
	struct how how = { .lazy = false };
	bool ignored = false;
	const char *unused = NULL;
	const struct opt options[] = {
		{ 'l', NULL, OPT_FLAG, &how.lazy, NULL, "detach now" },
		{ 'f', NULL, OPT_FLAG, &how.force, NULL, "as --force" },
		{ 'n', NULL, OPT_FLAG, &ignored, NULL, "ignored" },
		{ 'r', NULL, OPT_FLAG, &ignored, NULL, "ignored" },
		{ 'v', NULL, OPT_FLAG, &ignored, NULL, "ignored" },
		{ 'N', NULL, OPT_TEXT, &unused, "NS", "ignored" },
		{ 't', NULL, OPT_TEXT, &unused, "TYPE", "ignored" },
		OPT_END,
	};
	int status;

	argv[0] = verb;
	status = opt_parse(options, &argc, &argv, 1, 1);
	return status != OPT_GO ? status : umount_path(argv[0], &how);
}
