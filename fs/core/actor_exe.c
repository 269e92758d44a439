/*
 * actor_exe.c - see actor_exe.h.
 *
 * actor_exe_ask runs on request threads.  It opens the executable with
 * O_PATH and looks at what the kernel has cached (AT_STATX_DONT_SYNC), so
 * that no FUSE filesystem, ours least of all, is asked anything.
 *
 * Invariants: (1) a job in the queue holds a descriptor, no other does.
 * (2) Every `who` that was answered 0 is told exactly once.  (3) Closing waits
 * for one piece of a file at most, and not for long where that does not come
 * (an executable on a filesystem that hangs): a file of 1 GiB takes 15 s of a
 * core, at low priority on a busy machine minutes, and an unmount waited.
 */
#include "fs/core/actor_exe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

enum { EXES_MAX = 512, QUEUE_MAX = 64, WAITERS_MAX = 256, DEVS = 16 };
#define EXE_SIZE_MAX (1ULL << 30)
#define DEV_VALID_NS (10 * 1000000000LL)
#define READ_SIZE (256u << 10)
#define CLOSE_NS (2 * 1000000000LL)

struct exe_key {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

enum exe_state { EXE_FREE, EXE_QUEUED, EXE_KNOWN, EXE_FAILED };

struct exe {
	struct exe_key key;
	enum exe_state state;
	struct digest digest;
	uint64_t used; /* the larger the later */
	int fd;	       /* O_PATH; EXE_QUEUED only */
	void *waiters[WAITERS_MAX];
	uint32_t n_waiters;
};

/* Does a device belong to a vouchfs mount?  Remembered for a while. */
struct dev_seen {
	uint64_t dev;
	int64_t at_ns;
	bool ours;
};

struct actor_exe {
	struct mutex mu;
	struct cond work;
	struct exe *exes[EXES_MAX];   /* guarded by mu */
	uint32_t n_exes;	      /* guarded by mu */
	struct exe *queue[QUEUE_MAX]; /* guarded by mu */
	uint32_t n_queue;	      /* guarded by mu */
	uint64_t tick;		      /* guarded by mu */
	struct dev_seen devs[DEVS];   /* guarded by mu */
	bool stop;		      /* guarded by mu */
	bool ended;		      /* guarded by mu: the thread has */
	actor_exe_done_fn *done;
	void *ctx;
	struct thread thread;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int key_of(struct exe_key *out, int fd, int flags)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | flags, STATX_BASIC_STATS, &st) < 0)
		return -errno;
	if (!S_ISREG(st.stx_mode))
		return -EINVAL;
	*out = (struct exe_key){
		.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.ino = st.stx_ino,
		.size = st.stx_size,
		.mtime_ns = st.stx_mtime.tv_sec * 1000000000LL +
			    st.stx_mtime.tv_nsec,
		.ctime_ns = st.stx_ctime.tv_sec * 1000000000LL +
			    st.stx_ctime.tv_nsec,
	};
	return 0;
}

static bool key_eq(const struct exe_key *a, const struct exe_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* Looks a device up in /proc/self/mountinfo. */
static bool dev_is_vouchfs(uint64_t dev)
{
	char *line = NULL;
	size_t cap = 0;
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (!f)
		return true; /* then we do not know: stay away */
	while (!found && getline(&line, &cap, f) > 0) {
		unsigned maj = 0, min = 0;
		const char *type = strstr(line, " - ");
		if (sscanf(line, "%*d %*d %u:%u", &maj, &min) == 2 && type)
			found = makedev(maj, min) == dev &&
				strncmp(type + 3, "fuse.vouchfs ", 13) == 0;
	}
	free(line);
	fclose(f);
	return found;
}

static bool dev_ours_locked(struct actor_exe *x, uint64_t dev)
	requires_capability(&x->mu)
{
	struct dev_seen *d = &x->devs[minor(dev) % DEVS];
	int64_t now = now_ns();

	if (major(dev) != 0)
		return false; /* a disk */
	if (d->dev != dev || d->at_ns == 0 || now - d->at_ns > DEV_VALID_NS)
		*d = (struct dev_seen){ dev, now, dev_is_vouchfs(dev) };
	return d->ours;
}

static struct exe *find_locked(struct actor_exe *x, const struct exe_key *key)
	requires_capability(&x->mu)
{
	for (uint32_t i = 0; i < x->n_exes; i++)
		if (key_eq(&x->exes[i]->key, key))
			return x->exes[i];
	return NULL;
}

/* An unused record: a new one, or the one unused for longest. */
static struct exe *room_locked(struct actor_exe *x) requires_capability(&x->mu)
{
	struct exe *old = NULL;

	if (x->n_exes < EXES_MAX) {
		struct exe *e = calloc(1, sizeof(*e));
		if (e)
			x->exes[x->n_exes++] = e;
		return e;
	}
	for (uint32_t i = 0; i < x->n_exes; i++) {
		struct exe *e = x->exes[i];
		if (e->state != EXE_QUEUED && (!old || e->used < old->used))
			old = e;
	}
	return old;
}

/* 1 known, 0 waiting, negative never; takes fd over when it queues. */
static int ask_locked(struct actor_exe *x, const struct exe_key *key, int *fd,
		      struct digest *out, void *who) requires_capability(&x->mu)
{
	struct exe *e = find_locked(x, key);

	if (e)
		e->used = ++x->tick;
	if (e && e->state == EXE_KNOWN) {
		*out = e->digest;
		return 1;
	}
	if (e && e->state == EXE_FAILED)
		return -EIO;
	if (!e) {
		if (x->stop || x->n_queue == QUEUE_MAX)
			return -EAGAIN;
		e = room_locked(x);
		if (!e)
			return -ENOMEM;
		e->key = *key;
		e->state = EXE_QUEUED;
		e->used = ++x->tick;
		e->fd = *fd;
		e->n_waiters = 0;
		*fd = -1;
		x->queue[x->n_queue++] = e;
		cond_signal(&x->work);
	}
	if (e->n_waiters == WAITERS_MAX)
		return -EAGAIN;
	e->waiters[e->n_waiters++] = who;
	return 0;
}

int actor_exe_ask(struct actor_exe *x, uint32_t pid, struct digest *out,
		  void *who)
{
	char path[64];
	struct exe_key key;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = key_of(&key, fd, AT_STATX_DONT_SYNC);
	if (rc == 0 && key.size > EXE_SIZE_MAX)
		rc = -EFBIG;
	if (rc == 0) {
		mutex_lock(&x->mu);
		rc = dev_ours_locked(x, key.dev) ?
			     -ELOOP :
			     ask_locked(x, &key, &fd, out, who);
		mutex_unlock(&x->mu);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool is_stopping(struct actor_exe *x)
{
	bool stop;

	mutex_lock(&x->mu);
	stop = x->stop;
	mutex_unlock(&x->mu);
	return stop;
}

/* Reads the whole file; it must not change meanwhile. */
static int hash_file(struct actor_exe *x, struct digest *out, int path_fd,
		     const struct exe_key *key)
{
	char path[64];
	autofree uint8_t *buf = malloc(READ_SIZE);
	struct digest_sha256_ctx *sha = digest_sha256_new();
	struct exe_key after;
	ssize_t n = -ENOMEM;
	int fd = -1;

	if (!buf || !sha)
		goto fail;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		n = -errno;
		goto fail;
	}
	n = 1;
	while (!is_stopping(x) && (n = read(fd, buf, READ_SIZE)) > 0)
		digest_sha256_update(sha, buf, (size_t)n);
	if (n < 0)
		n = -errno;
	else if (n > 0)
		n = -ECANCELED;
	else if (key_of(&after, fd, 0) < 0 || !key_eq(&after, key))
		n = -EAGAIN;
	else
		digest_sha256_final(sha, out);
fail:
	if (fd >= 0)
		close(fd);
	digest_sha256_free(sha);
	return (int)n;
}

/* Hashes the oldest job and tells those who wait for it. */
static void do_one(struct actor_exe *x, struct exe *e)
{
	void *waiters[WAITERS_MAX];
	struct digest d = { 0 };
	int rc = hash_file(x, &d, e->fd, &e->key);

	mutex_lock(&x->mu);
	/* at the end closing tells them, which may not wait for us any more */
	uint32_t n = x->stop ? 0 : e->n_waiters;
	memcpy(waiters, e->waiters, n * sizeof(waiters[0]));
	close(e->fd);
	e->fd = -1;
	e->n_waiters -= n;
	e->digest = d;
	e->state = rc < 0 ? EXE_FAILED : EXE_KNOWN;
	mutex_unlock(&x->mu);
	for (uint32_t i = 0; i < n; i++)
		x->done(x->ctx, waiters[i], rc < 0 ? NULL : &d);
}

static void hasher(void *arg)
{
	struct actor_exe *x = arg;

	/* Linux: the nice value is the thread's own. */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
	mutex_lock(&x->mu);
	while (!x->stop) {
		if (x->n_queue == 0) {
			cond_wait(&x->work, &x->mu);
			continue;
		}
		struct exe *e = x->queue[0];
		x->n_queue--;
		memmove(x->queue, x->queue + 1,
			x->n_queue * sizeof(x->queue[0]));
		mutex_unlock(&x->mu);
		do_one(x, e);
		mutex_lock(&x->mu);
	}
	x->ended = true;
	cond_broadcast(&x->work);
	mutex_unlock(&x->mu);
}

int actor_exe_open(struct actor_exe **out, actor_exe_done_fn *done, void *ctx)
{
	struct actor_exe *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	mutex_init(&x->mu);
	cond_init(&x->work);
	x->done = done;
	x->ctx = ctx;
	int rc = thread_start(&x->thread, "exe-digest", hasher, x);
	if (rc < 0) {
		actor_exe_close(x);
		return rc;
	}
	*out = x;
	return 0;
}

/* True when the thread has ended; else what it uses stays. */
static bool end_hasher(struct actor_exe *x)
{
	bool ended;

	mutex_lock(&x->mu);
	x->stop = true;
	cond_broadcast(&x->work);
	ended = !x->thread.running ||
		thread_ends_within(&x->work, &x->mu, &x->ended, CLOSE_NS);
	mutex_unlock(&x->mu);
	if (ended)
		thread_join(&x->thread);
	else
		thread_leave(&x->thread);
	return ended;
}

/* Those who wait for a file are told that it will not be known. */
static void tell_none(struct actor_exe *x, struct exe *e)
{
	void *waiters[WAITERS_MAX];
	uint32_t n;

	mutex_lock(&x->mu);
	n = e->n_waiters;
	memcpy(waiters, e->waiters, n * sizeof(waiters[0]));
	e->n_waiters = 0;
	mutex_unlock(&x->mu);
	for (uint32_t w = 0; w < n; w++)
		x->done(x->ctx, waiters[w], NULL);
}

void actor_exe_close(struct actor_exe *x)
{
	if (!x)
		return;
	bool ended = end_hasher(x);
	for (uint32_t i = 0; i < x->n_exes; i++)
		tell_none(x, x->exes[i]);
	if (!ended)
		return;
	for (uint32_t i = 0; i < x->n_exes; i++) {
		struct exe *e = x->exes[i];

		if (e->state == EXE_QUEUED)
			close(e->fd);
		free(e);
	}
	cond_destroy(&x->work);
	mutex_destroy(&x->mu);
	free(x);
}
