/*
 * mount_serve.c - one mounted volume from open to close.
 *
 *   core ─► control socket ─► wiring ─► virtual names' places ─► session
 *     ─► mount ─► run channel ─► serve ... unmounted or stopped ─► quiesce ─► unwire ─► core
 *     closed ─► those who wait are told
 *
 * The way back is the same in each case: an unmount, SIGTERM, SIGINT, the
 * "stop" verb, a worker that broke.  On a signal the mount point is unmounted;
 * where it is busy, what the kernel has not written yet is asked for, and the
 * mount point is detached: open files then give ENOTCONN, nothing that was
 * written is lost.
 *
 * Threads: the caller's serves as the main one; signals are taken by a thread
 * of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/vio.h"
#include "fs/daemon/control.h"
#include "fs/core/core.h"
#include "fs/fuse/fuse_ll.h"
#include "fs/upkeep/gc.h"
#include "fs/daemon/guard_place.h"
#include "fs/daemon/mount_impl.h"
#include "fs/daemon/run_channel.h"
#include "ledger/ledger.h"

enum { READ_AHEAD_KB = 2048 };
/* Added up by the eventfd: 16 bits each. */
#define WAKE_STOP 1ULL
#define WAKE_READY (1ULL << 16)
#define WAKE_ENDING (1ULL << 32)
#define WAKE_END (1ULL << 48)

/* --- the end ------------------------------------------------------------------ */

static void wake(struct mount *m, uint64_t why)
{
	while (write(m->wake_fd, &why, sizeof(why)) < 0 && errno == EINTR)
		continue;
}

void mount_ask_stop(struct mount *m)
{
	wake(m, WAKE_STOP);
}

static int run_fusermount(const char *dir)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-q", "--", dir,
		       (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status == 0 ? 0 : -EBUSY;
}

static int unmount(const char *dir)
{
	if (umount2(dir, UMOUNT_NOFOLLOW) == 0)
		return 0;
	return errno == EPERM ? run_fusermount(dir) : -errno;
}

/* Pages that mmap dirtied are still the kernel's; make it hand them over. */
static void collect_pages(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)syncfs(fd);
	close(fd);
}

/* Unmounts; what is busy is detached, after its data was handed over. */
static void stop(struct mount *m)
{
	mutex_lock(&m->mu);
	m->stopping = true;
	bool ours = m->mounted;
	mutex_unlock(&m->mu);
	if (!ours)
		return; /* too early: open_session sees it; or too late */
	int rc = unmount(m->dir);
	if (rc == 0 || rc == -EINVAL)
		return; /* the workers see it */
	log_event(LOG_WARN, "stop", "mount point is busy, detaching: %s",
		  err_text(rc));
	collect_pages(m->dir);
	mutex_lock(&m->mu);
	if (m->ll)
		fuse_ll_stop(m->ll);
	mutex_unlock(&m->mu);
}

/*
 * The kernel reads ahead 128 KiB of a FUSE mount; root may ask for more: two
 * requests, so that two of our threads read and hash while what has come is
 * used.  It sets its own figure when it has read our greeting: an answer to
 * statfs comes after that.
 */
static void raise_read_ahead(const char *dir)
{
	char path[64], line[4352];
	unsigned major = 0, minor = 0;
	size_t n = strlen(dir);
	struct statfs sf;

	if (statfs(dir, &sf) < 0)
		return;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	/* The last one that lies there; stat() would ask ourselves. */
	while (f && fgets(line, sizeof(line), f)) {
		unsigned a, b;
		int at = 0;
		if (sscanf(line, "%*d %*d %u:%u %*s %n", &a, &b, &at) == 2 &&
		    at > 0 && strncmp(line + at, dir, n) == 0 &&
		    line[(size_t)at + n] == ' ') {
			major = a;
			minor = b;
		}
	}
	if (f)
		fclose(f);
	if (minor == 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major, minor);
	f = fopen(path, "we");
	if (!f)
		return; /* not root */
	fprintf(f, "%d\n", READ_AHEAD_KB);
	fclose(f);
}

/* Waits for signals and for being woken; ends on WAKE_END. */
static void signal_main(void *arg)
{
	struct mount *m = arg;
	struct pollfd p[2] = {
		{ .fd = m->signal_fd, .events = POLLIN },
		{ .fd = m->wake_fd, .events = POLLIN },
	};

	for (;;) {
		struct signalfd_siginfo si;
		uint64_t why = 0;

		/* an unmount that takes long is logged */
		if (poll(p, 2, ending_log(&m->ending)) < 0)
			continue;
		if ((p[1].revents & POLLIN) &&
		    read(m->wake_fd, &why, sizeof(why)) < 0)
			why = 0;
		if (why >= WAKE_END)
			return;
		if ((p[0].revents & POLLIN) &&
		    read(m->signal_fd, &si, sizeof(si)) > 0) {
			log_event(LOG_INFO, "signal", "number=%u",
				  si.ssi_signo);
			why |= WAKE_STOP;
		}
		if (why & (0xffff * WAKE_READY))
			raise_read_ahead(m->dir);
		if (why & (0xffff * WAKE_STOP))
			stop(m);
	}
}

static int start_signals(struct mount *m)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (m->foreground)
		sigaddset(&set, SIGHUP);
	else
		signal(SIGHUP, SIG_IGN);
	/* Before any thread is made: all of them inherit it. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	m->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (m->signal_fd < 0 || m->wake_fd < 0)
		return -errno;
	return thread_start(&m->signals, "signals", signal_main, m);
}

static void end_signals(struct mount *m)
{
	if (m->signals.running)
		wake(m, WAKE_END);
	thread_join(&m->signals);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	if (m->wake_fd >= 0)
		close(m->wake_fd);
	m->signal_fd = m->wake_fd = -1;
}

/* --- the beginning -------------------------------------------------------------- */

static void on_invalidate(void *ctx, uint64_t ino, bool content)
{
	struct mount *m = ctx;

	mutex_lock(&m->mu);
	if (m->ll)
		fuse_ll_invalidate(m->ll, ino, content);
	mutex_unlock(&m->mu);
}

/*
 * A read-only mount shares its store with no other mount either: what it
 * shows would be a mix of then and now.  On a medium that cannot be written
 * nobody else can mount it to write.
 */
static int lock_read_only(struct mount *m, struct errmsg *em)
{
	int rc = vio_posix_open(&m->lock_vio, m->store);

	if (rc >= 0)
		rc = vio_open(m->lock_vio, &m->lock, "lock", VIO_WRITE);
	if (rc == -EROFS || rc == -EACCES || rc == -ENOENT)
		return 0;
	if (rc >= 0)
		rc = vio_lock(m->lock);
	if (rc == -EBUSY)
		return errmsg_set(em, -ERR_BUSY,
				  "%s is mounted already: a store is mounted "
				  "once at a time, read-only too",
				  m->store);
	return rc < 0 ? errmsg_set(em, rc, "%s/lock: %s", m->store,
				   err_text(rc)) :
			0;
}

static int open_core(struct mount *m, struct errmsg *em)
{
	struct core_options o = {
		.store = m->store,
		.virtual_name = m->opt.virtual_name,
		.read_only = m->opt.read_only,
		.entries_every_write = m->opt.entries_every_write,
		.has_audit_gid = m->opt.audit_gid != UINT32_MAX,
		.audit_gid = m->opt.audit_gid,
		.invalidate = on_invalidate,
		.ctx = m,
	};
	int rc = m->opt.read_only ? lock_read_only(m, em) :
				    guard_place_make(&m->guard, em);

	if (rc < 0)
		return rc;
	o.guard_dir = m->guard;
	o.index_too = m->lock != NULL;
	return core_open(&m->core, &o, em);
}

/* The inode of a directory, made when missing. */
static int directory(struct mount *m, uint64_t *out, uint64_t parent,
		     const char *name, struct errmsg *em)
{
	struct cred cr = {
		.uid = geteuid(),
		.gid = getegid(),
		.pid = (uint32_t)getpid(),
	};
	struct stat st;
	int rc = core_lookup(m->core, parent, name, &st);

	if (rc == -ENOENT && !m->opt.read_only)
		rc = core_mknod(m->core, &cr, parent, name, S_IFDIR | 0755, 0,
				&st);
	if (rc == -ENOENT)
		return 0; /* read-only: it is not there */
	if (rc == 0 && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	if (rc < 0)
		return errmsg_set(em, rc, "directory %s in the volume: %s",
				  name, err_text(rc));
	*out = st.st_ino;
	return 0;
}

static int wire(struct mount *m, struct errmsg *em)
{
	int rc = 0;

	m->container = 1;
	if (m->opt.virtual_name)
		rc = directory(m, &m->container, 1, m->opt.virtual_name, em);
	if (rc == 0 && m->wiring)
		rc = m->wiring->open(m->wiring->ctx, m->core, m->control,
				     &m->opt, &m->vdir, em);
	m->wired = rc == 0 && m->wiring;
	if (rc == 0 && m->vdir.ops && m->vdir.ops->hybrid_name)
		rc = directory(m, &m->hybrid, m->container,
			       m->vdir.ops->hybrid_name, em);
	return rc;
}

/* What was wrong with the log at the start and was put right. */
static void log_notes(const char *notes)
{
	while (*notes) {
		int n = (int)strcspn(notes, "\n");

		log_event(LOG_WARN, "found_at_start", "what=\"%.*s\"", n,
			  notes);
		notes += n + (notes[n] != '\0');
	}
}

static void on_ready(void *ctx)
{
	struct mount *m = ctx;

	log_notes(ledger_notes(core_ledger(m->core)));
	log_event(LOG_INFO, "mounted", "dir=\"%s\" store=\"%s\"%s", m->dir,
		  m->store, m->opt.read_only ? " read_only=1" : "");
	wake(m, WAKE_READY);
	mount_tell_parent(m, 0, NULL);
}

static int open_session(struct mount *m, struct errmsg *em)
{
	struct fuse_ll_options o = {
		.core = m->core,
		.vdir = m->vdir.ops ? &m->vdir : NULL,
		.container = m->container,
		.hybrid = m->hybrid,
		.threads = m->opt.threads,
		.attr_timeout_s = m->opt.attr_timeout_s,
		.entry_timeout_s = m->opt.entry_timeout_s,
		.negative_timeout_s = m->opt.negative_timeout_s,
		.debug = m->opt.debug,
		.allow_other = m->opt.allow_other,
		.source = m->store,
		.rest = m->opt.rest,
		.ready = on_ready,
		.ctx = m,
	};
	struct fuse_ll *ll = NULL;
	int rc = fuse_ll_open(&ll, &o, em);

	if (rc < 0)
		return rc;
	mutex_lock(&m->mu);
	m->ll = ll;
	bool stopping = m->stopping;
	mutex_unlock(&m->mu);
	if (stopping)
		return errmsg_set(em, -EINTR, "told to stop");
	rc = fuse_ll_mount(ll, m->dir, em);
	mutex_lock(&m->mu);
	m->mounted = rc == 0;
	stopping = m->stopping;
	mutex_unlock(&m->mu);
	if (stopping)
		fuse_ll_stop(ll);
	return rc;
}

/* --- all of it ------------------------------------------------------------------- */

static void close_session(struct mount *m)
{
	mutex_lock(&m->mu);
	struct fuse_ll *ll = take(m->ll);
	mutex_unlock(&m->mu);
	fuse_ll_close(ll);
}

static int open_runs(struct mount *m, struct errmsg *em)
{
	const struct run_channel_options o = {
		.core = m->core,
		.store = m->store,
		.dir = m->dir,
		.anybody = m->opt.allow_other,
	};

	return run_channel_open(&m->runs, &o, em);
}

/* What can fail in order; whatever was reached is undone by mount_serve. */
static int serve(struct mount *m, struct errmsg *em)
{
	int rc = start_signals(m);

	if (rc == 0)
		rc = open_core(m, em);
	if (rc == 0)
		rc = control_open(&m->control, m->store, em);
	if (rc == 0)
		rc = wire(m, em);
	if (rc == 0)
		rc = open_session(m, em);
	if (rc == 0 && !m->opt.read_only)
		rc = open_runs(m, em);
	if (rc < 0)
		return rc;
	mount_verbs_register(m);
	ending_set(&m->ending, m->core, m->control);
	control_on_wait(m->control, ending_words, &m->ending);
	rc = control_start(m->control);
	if (rc == 0)
		rc = fuse_ll_run(m->ll);
	mutex_lock(&m->mu);
	m->mounted = false;
	mutex_unlock(&m->mu);
	return rc;
}

int mount_serve(struct mount *m, struct errmsg *em)
{
	struct errmsg close_em = ERRMSG_INIT;
	int rc = serve(m, em);

	ending_at(&m->ending, ENDING_COMMANDS);
	wake(m, WAKE_ENDING);
	if (m->core)
		core_gc_end(m->core); /* the socket waits for its caller */
	if (m->control)
		control_quiesce(m->control);
	ending_at(&m->ending, ENDING_REQUESTS);
	close_session(m);
	ending_at(&m->ending, ENDING_RUNS);
	run_channel_close(take(m->runs)); /* what goes on has ended as lost */
	if (m->wired)
		m->wiring->close(m->wiring->ctx, &m->vdir);
	ending_at(&m->ending, ENDING_SAVE);
	int closed = m->core ? core_finish(m->core, &close_em) : 0;
	ending_at(&m->ending, ENDING_REPLICAS);
	if (m->wired)
		m->wiring->release(m->wiring->ctx);
	ending_at(&m->ending, ENDING_CLOSE);
	(void)core_close(take(m->core), NULL);
	vio_close(m->lock);
	vio_free(m->lock_vio);
	if (closed < 0) {
		log_event(LOG_ERROR, "not_saved", "error=\"%s\"",
			  errmsg_text(&close_em, closed));
		errmsg_set(em, closed, "%s", errmsg_text(&close_em, closed));
	} else if (rc == 0) {
		log_event(LOG_INFO, "unmounted", "dir=\"%s\"", m->dir);
	}
	if (rc == 0)
		rc = closed;
	control_close(m->control, rc, em);
	m->control = NULL;
	end_signals(m);
	return rc;
}
