/*
 * cmd_umount.c - `vouch umount`, and umount(8)'s helper: returns when the
 * daemon has made everything durable and let go of the store.
 *
 *   ask it to commit ─► take a connection that waits ─► unmount ─► its last
 *   word ─► the process is gone (its lock with it)
 *
 * A mount whose daemon died is detached: there is nothing to wait for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "mount-tools/ctl.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

enum { USERS_MAX = 5 };

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

/* What the kernel has of dirty pages, then what the daemon has. */
static int sync_all(const char *store, const char *dir, struct errmsg *em)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)syncfs(fd);
		close(fd);
	}
	return ctl_call(NULL, store, "\"verb\":\"sync\"", em);
}

/* Until the process has ended, and with it its lock on the store. */
static void wait_for_exit(int pid_fd)
{
	struct pollfd p = { .fd = pid_fd, .events = POLLIN };

	if (pid_fd < 0)
		return;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		continue;
	close(pid_fd);
}

/*
 * What cannot be saved is kept mounted, so that the reason can be mended
 * (a full disk), unless the mount is of no use any more.
 */
static int sync_first(const char *store, const char *dir, const struct how *how,
		      struct errmsg *em)
{
	struct errmsg words = ERRMSG_INIT;
	int rc = ctl_alive(store, &words);

	if (rc == -ETIMEDOUT)
		return errmsg_set(em, rc, "%s", errmsg_text(&words, rc));
	rc = sync_all(store, dir, &words);
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
	int pid = ctl_peer_pid(fd);
	int pid_fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	int rc = sync_first(store, dir, how, em);

	/* it saves nothing: detached, so that the directory can be used */
	if (rc == -ETIMEDOUT && (how->lazy || how->force)) {
		if (pid_fd >= 0)
			close(pid_fd);
		return unmount(dir, true);
	}
	if (rc == 0)
		rc = ctl_send(fd, "\"verb\":\"wait\"", em);
	if (rc == 0)
		rc = ctl_await(fd, store, 0, em);
	if (rc == 0)
		rc = ctl_receive(NULL, fd, em);
	if (rc == 0)
		rc = unmount(dir, how->lazy);
	if (rc == 0 && !how->lazy) {
		rc = ctl_await(fd, store, 0, em);
		if (rc == 0)
			rc = ctl_receive(NULL, fd, em);
		if (rc != -ETIMEDOUT)
			wait_for_exit(pid_fd);
		else if (pid_fd >= 0)
			close(pid_fd);
		return rc;
	}
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
