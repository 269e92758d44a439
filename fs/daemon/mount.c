/*
 * mount.c - see mount.h: checks that can be made before anything happens, and
 * the way into the background.
 *
 * The child does all the work (mount_serve.c) and tells its parent one answer
 * through a pipe: usable, or why not.  A child that dies without a word is
 * told as such.  Threads: none here; the fork comes first of all.
 */
#include "fs/daemon/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "fs/daemon/mount_impl.h"

#define LOG_NAME "vouch.log"
#define LOG_OLD "vouch.log.1"
enum { LOG_SIZE_MAX = 8 << 20 };

struct answer {
	int rc;
	struct errmsg em;
};

static void mount_release(struct mount *m)
{
	mount_opt_release(&m->opt);
	free(m->store);
	free(m->dir);
	free(m->guard);
	if (m->ready_fd >= 0)
		close(m->ready_fd);
	ending_release(&m->ending);
	mutex_destroy(&m->mu);
}

/* --- checks ------------------------------------------------------------------ */

static int absolute(char **out, const char *path, const char *what,
		    struct errmsg *em)
{
	int rc = 0;

	*out = realpath(path, NULL);
	/* stat(2) would be answered from what the kernel caches of the dead. */
	int fd = *out ? open(*out, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		rc = -errno;
	else
		close(fd);
	if (rc == -ENOTCONN)
		return errmsg_set(em, rc,
				  "%s is the mount point of a daemon that "
				  "died: run `vouch umount %s` first",
				  path, path);
	if (rc < 0)
		return errmsg_set(em, rc, "%s %s: %s", what, path,
				  err_text(rc));
	return 0;
}

/* Where there is none the daemon would have no log to say so. */
static int check_volume(const struct mount *m, struct errmsg *em)
{
	autofree char *path = NULL;

	if (asprintf(&path, "%s/volume.conf", m->store) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return 0; /* what else is wrong is told by who reads it */
	return errmsg_set(em, -ENOENT,
			  "%s: no volume here (no volume.conf): make one with "
			  "`vouch init %s`",
			  m->store, m->store);
}

static int check_paths(struct mount *m, const struct mount_options *o,
		       struct errmsg *em)
{
	int rc = absolute(&m->store, o->store, "store", em);

	if (rc == 0)
		rc = absolute(&m->dir, o->dir, "mount point", em);
	if (rc < 0)
		return rc;
	if (text_path_below(m->store, m->dir))
		return errmsg_set(em, -ERR_USAGE,
				  "the mount on %s would hide its store %s",
				  m->dir, m->store);
	if (text_path_below(m->dir, m->store))
		return errmsg_set(em, -ERR_USAGE,
				  "the mount point %s lies inside the store",
				  m->dir);
	if (faccessat(AT_FDCWD, m->store, R_OK | X_OK, AT_EACCESS) < 0)
		return errmsg_set(em, -errno, "store %s: %s", m->store,
				  err_text(-errno));
	return check_volume(m, em);
}

/* --- the daemon's process ------------------------------------------------------- */

/* stderr becomes STORE/vouch.log; stdin and stdout nothing. */
static int open_log(const struct mount *m, struct errmsg *em)
{
	struct stat st;
	int rc = 0;
	int dir = open(m->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = -1;

	/* Only where there is a volume: else a typing error leaves a file. */
	if (dir < 0 || null < 0 || faccessat(dir, "volume.conf", F_OK, 0) < 0)
		goto done;
	if (fstatat(dir, LOG_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size > LOG_SIZE_MAX)
		(void)renameat(dir, LOG_NAME, dir, LOG_OLD);
	fd = openat(dir, LOG_NAME,
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0 && (errno == EROFS || errno == EACCES) && m->opt.read_only)
		fd = dup(null);
	if (fd < 0) {
		rc = -errno;
		errmsg_set(em, rc, "%s/%s: %s", m->store, LOG_NAME,
			   err_text(rc));
		goto done;
	}
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(fd, 2) < 0)
		rc = -errno;
done:
	if (fd >= 0)
		close(fd);
	if (null >= 0)
		close(null);
	if (dir >= 0)
		close(dir);
	return rc;
}

static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

void mount_tell_parent(struct mount *m, int rc, const struct errmsg *em)
{
	struct answer a = { .rc = rc };
	int fd = m->ready_fd;

	if (fd < 0)
		return;
	m->ready_fd = -1;
	if (em)
		a.em = *em;
	while (write(fd, &a, sizeof(a)) < 0 && errno == EINTR)
		continue;
	close(fd);
}

static int run_here(struct mount *m, struct errmsg *em)
{
	raise_limits();
	/*
	 * What one thread allocates another frees, and every other arena of
	 * glibc grows page by page with a system call each: with one arena a
	 * file that is made takes 86 us of CPU instead of 97.
	 */
	mallopt(M_ARENA_MAX, 1);
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	if (m->opt.debug)
		log_set_level(LOG_DEBUG);
	return mount_serve(m, em);
}

static _Noreturn void child_main(struct mount *m)
{
	struct errmsg em = ERRMSG_INIT;
	int rc;

	setsid();
	rc = open_log(m, &em);
	if (rc == 0 && chdir("/") < 0)
		rc = -errno;
	if (rc == 0)
		rc = run_here(m, &em);
	if (rc < 0)
		log_event(LOG_ERROR, "ended", "error=\"%s\"",
			  errmsg_text(&em, rc));
	mount_tell_parent(m, rc, &em);
	mount_release(m);
	exit(rc < 0);
}

/* Reads the child's answer. */
static int parent_main(int fd, pid_t child, struct errmsg *em)
{
	struct answer a;
	ssize_t n;
	int status = 0;

	do {
		n = read(fd, &a, sizeof(a));
	} while (n < 0 && errno == EINTR);
	close(fd);
	if (n == (ssize_t)sizeof(a) && a.rc == 0)
		return 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (n == (ssize_t)sizeof(a))
		return errmsg_set(em, a.rc, "%s", errmsg_text(&a.em, a.rc));
	return errmsg_set(em, -EIO,
			  "the daemon died before the mount was usable "
			  "(status %d); its last words are in STORE/%s",
			  status, LOG_NAME);
}

static int run_behind(struct mount *m, struct errmsg *em)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid_t child = fork();
	if (child < 0) {
		int rc = -errno;
		close(ends[0]);
		close(ends[1]);
		return errmsg_set(em, rc, "fork: %s", err_text(rc));
	}
	if (child == 0) {
		close(ends[0]);
		m->ready_fd = ends[1];
		child_main(m);
	}
	close(ends[1]);
	return parent_main(ends[0], child, em);
}

int mount_run(const struct mount_options *o, const struct mount_wiring *wiring,
	      struct errmsg *em)
{
	struct mount m = {
		.wiring = wiring,
		.foreground = o->foreground,
		.ready_fd = -1,
		.signal_fd = -1,
		.wake_fd = -1,
	};
	int rc;

	mutex_init(&m.mu);
	ending_init(&m.ending);
	rc = mount_opt_parse(&m.opt, o->text, geteuid() == 0, em);
	if (rc == 0)
		rc = check_paths(&m, o, em);
	if (rc == 0)
		rc = o->foreground ? run_here(&m, em) : run_behind(&m, em);
	mount_release(&m);
	return rc;
}
