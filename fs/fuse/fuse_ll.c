/*
 * fuse_ll.c - the session: workers, invalidations, replies.
 *
 * Each worker, when it is its turn (poller.h), reads one request, looks at it for flags that libfuse does not
 * hand on, and lets libfuse call the operation, which answers before it
 * returns, but for fsync: that is answered by whoever made it durable.
 *
 * Invariants: (1) no lock is held when the kernel is answered.  (2) Nothing is
 * sent to the kernel from within a request, but its answer: invalidations
 * leave from a thread of their own, or they could wait for a page whose read
 * waits for us.
 *
 * Requests are received into spare buffers of the core, so placed that the
 * bytes of a write begin where the buffer's do: the core keeps a large write's
 * buffer instead of copying it, and the worker gets another.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/content/dirty.h"
#include "fs/fuse/fuse_ll_impl.h"
#include <linux/fuse.h>

_Static_assert(DIRTY_BEFORE == sizeof(struct fuse_in_header) +
				       sizeof(struct fuse_write_in),
	       "the bytes of a write begin where those of a buffer do");
_Static_assert((int)DIRTY_STREAM >= (int)FUSE_LL_IO_MAX, "they fit");

enum { KICK_MS = 10, SETTLE_MS = 100 };

static _Thread_local bool is_worker;
static _Thread_local bool request_kills;
static _Thread_local uint64_t request_asked; /* invalidation to wait for */
static _Thread_local void *scratch;
static _Thread_local size_t scratch_size;
static _Thread_local struct dirty_buf *spare; /* the request is in it */

/* --- requests ---------------------------------------------------------------- */

void fuse_ll_reply(fuse_req_t req, int rc)
{
	int e = err_class(rc);

	/* The kernel never asks again after ENOSYS: nothing may say so. */
	fuse_reply_err(req, e == ENOSYS ? EOPNOTSUPP : e);
}

struct cred fuse_ll_cred(fuse_req_t req)
{
	const struct fuse_ctx *x = fuse_req_ctx(req);

	return (struct cred){
		.uid = x->uid,
		.gid = x->gid,
		.pid = (uint32_t)x->pid,
		.umask = x->umask,
	};
}

void *fuse_ll_scratch(size_t n)
{
	if (n > scratch_size) {
		size_t size = n > FUSE_LL_IO_MAX ? n : (size_t)FUSE_LL_IO_MAX;
		void *p = malloc(size);
		if (!p)
			return NULL;
		free(scratch);
		scratch = p;
		scratch_size = size;
	}
	return scratch;
}

struct dirty_buf **fuse_ll_spare(const void *p)
{
	return spare && spare->p == p ? &spare : NULL;
}

bool fuse_ll_kill(void)
{
	return request_kills;
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fuse_ll *l = userdata;

	fuse_ll_caps(conn);
	l->maps_direct = conn->want_ext & FUSE_CAP_DIRECT_IO_ALLOW_MMAP;
	if (l->o.ready)
		l->o.ready(l->o.ctx);
}

/* --- workers --------------------------------------------------------------------- */

static void kicked(int sig)
{
	(void)sig; /* only to leave read(2) */
}

static void worker_end(struct fuse_ll *l, int rc)
{
	free(scratch);
	scratch = NULL;
	scratch_size = 0;
	mutex_lock(&l->mu);
	if (rc < 0 && l->rc == 0)
		l->rc = rc;
	l->running--;
	cond_broadcast(&l->changed);
	mutex_unlock(&l->mu);
}

/*
 * How much libfuse reads at most, by the buffer that it made.  3.17 fills in
 * mem_size for its own loops only.
 */
static size_t request_max(const struct fuse_buf *buf)
{
	return buf->mem_size ? buf->mem_size : malloc_usable_size(buf->mem);
}

/* Requests stay in libfuse's buffer, and writes are copied: told once. */
static void buffer_foreign(struct fuse_ll *l, size_t n)
{
	if (!atomic_exchange(&l->copies, true))
		log_event(LOG_WARN, "writes_copied", "request_max=%zu", n);
}

/*
 * Where the next request goes: a spare buffer, but for the first one, when
 * libfuse makes a buffer of its own and so tells how much it reads at most.
 */
static void buffer_ready(struct fuse_ll *l, struct fuse_buf *buf, bool *ours)
{
	size_t room = DIRTY_BEFORE + DIRTY_STREAM + DIRTY_BEHIND;

	if (spare)
		return;
	if (!*ours) {
		if (!buf->mem)
			return;
		if (request_max(buf) > room) {
			buffer_foreign(l, request_max(buf));
			return;
		}
		free(buf->mem);
	}
	buf->mem = NULL; /* ours was kept */
	spare = core_spare(l->o.core);
	*ours = spare != NULL;
	if (spare) {
		buf->mem = spare->p - DIRTY_BEFORE;
		buf->mem_size = room;
	}
}

static void buffer_gone(struct fuse_ll *l, struct fuse_buf *buf, bool ours)
{
	if (!ours)
		free(buf->mem);
	core_unspare(l->o.core, take(spare));
}

static void worker(void *arg)
{
	struct fuse_ll_worker *w = arg;
	struct fuse_ll *l = w->l;
	unsigned me = (unsigned)(w - l->workers);
	struct fuse_buf buf = { 0 };
	bool ours = false;
	sigset_t kick;
	int n = 0;

	sigemptyset(&kick);
	sigaddset(&kick, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	is_worker = true;
	thread_answers();
	while (poller_wait(&l->poller, me) && !fuse_session_exited(l->se)) {
		buffer_ready(l, &buf, &ours);
		n = fuse_session_receive_buf(l->se, &buf);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		poller_got(&l->poller, me,
			   fuse_ll_raw_kind(buf.mem, (size_t)n));
		fuse_ll_raw_count(w->requests, buf.mem, (size_t)n);
		request_kills = fuse_ll_raw_kill(buf.mem, (size_t)n);
		fuse_session_process_buf(l->se, &buf);
		poller_done(&l->poller, me);
	}
	poller_leave(&l->poller, me);
	buffer_gone(l, &buf, ours);
	worker_end(l, n < 0 && n != -EINTR && n != -EAGAIN ? n : 0);
}

/* --- invalidations ------------------------------------------------------------------ */

/* Room for one more; false without memory. */
static bool stale_room_locked(struct fuse_ll *l) requires_capability(&l->mu)
{
	size_t cap = l->cap_stale ? l->cap_stale * 2 : 256;
	struct fuse_ll_stale *v;

	if (l->n_stale < l->cap_stale)
		return true;
	v = reallocarray(l->stale, cap, sizeof(*v));
	if (!v)
		return false;
	l->stale = v;
	l->cap_stale = cap;
	return true;
}

void fuse_ll_invalidate(struct fuse_ll *l, uint64_t ino, bool content)
{
	mutex_lock(&l->mu);
	if (stale_room_locked(l)) {
		l->stale[l->n_stale++] = (struct fuse_ll_stale){ ino, content };
		l->asked++;
		if (is_worker && !content)
			request_asked = l->asked;
		cond_broadcast(&l->changed);
	}
	mutex_unlock(&l->mu);
}

void fuse_ll_settle(struct fuse_ll *l)
{
	int rounds = SETTLE_MS / KICK_MS;

	if (request_asked == 0)
		return;
	mutex_lock(&l->mu);
	while (l->forgotten < request_asked && rounds-- > 0)
		cond_timedwait_ns(&l->changed, &l->mu, KICK_MS * 1000000LL);
	mutex_unlock(&l->mu);
	request_asked = 0;
}

/* Offset -1: attributes only, which waits for nobody.  0: pages, too. */
static void forget_all(struct fuse_ll *l, const struct fuse_ll_stale *v,
		       size_t n)
{
	for (size_t i = 0; i < n; i++)
		/* ENOENT: the kernel does not know it. */
		(void)fuse_lowlevel_notify_inval_inode(
			l->se, v[i].ino, v[i].content ? 0 : -1, 0);
}

static void forgetter(void *arg)
{
	struct fuse_ll *l = arg;

	mutex_lock(&l->mu);
	while (!l->no_more) {
		if (l->n_stale == 0) {
			cond_wait(&l->changed, &l->mu);
			continue;
		}
		struct fuse_ll_stale *v = take(l->stale);
		size_t n = l->n_stale;
		l->n_stale = l->cap_stale = 0;
		mutex_unlock(&l->mu);
		forget_all(l, v, n);
		free(v);
		mutex_lock(&l->mu);
		l->forgotten += n;
		cond_broadcast(&l->changed);
	}
	mutex_unlock(&l->mu);
}

/* --- life ------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 0))) static void
log_fuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[1024], value[1200];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_value(value, sizeof(value), text, strlen(text));
	log_event(level <= FUSE_LOG_ERR	    ? LOG_ERROR :
		  level <= FUSE_LOG_WARNING ? LOG_WARN :
					      LOG_DEBUG,
		  "fuse", "text=%s", value);
}

/* Each as "-o" and its text; libfuse splits at commas, so those are escaped. */
static int session_args(struct fuse_args *args, const struct fuse_ll_options *o)
{
	char *opts = NULL, *fsname = NULL;
	int rc = -1;

	if (asprintf(&fsname, "fsname=%s", o->source) < 0) {
		fsname = NULL;
		goto done;
	}
	if (fuse_opt_add_opt(&opts,
			     "subtype=vouchfs,default_permissions,noatime") ||
	    fuse_opt_add_opt_escaped(&opts, fsname) ||
	    (o->allow_other && fuse_opt_add_opt(&opts, "allow_other")) ||
	    (o->rest && *o->rest && fuse_opt_add_opt(&opts, o->rest)))
		goto done;
	if (fuse_opt_add_arg(args, "vouchfs") || fuse_opt_add_arg(args, "-o") ||
	    fuse_opt_add_arg(args, opts) ||
	    (o->debug && fuse_opt_add_arg(args, "-d")))
		goto done;
	rc = 0;
done:
	free(opts);
	free(fsname);
	return rc == 0 ? 0 : -ENOMEM;
}

int fuse_ll_open(struct fuse_ll **out, const struct fuse_ll_options *o,
		 struct errmsg *em)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_lowlevel_ops ops = { .init = on_init };
	struct fuse_ll *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	l->o = *o;
	mutex_init(&l->mu);
	cond_init(&l->changed);
	fuse_ll_virt_init(l);
	fuse_set_log_func(log_fuse);
	fuse_ll_name_ops(&ops);
	fuse_ll_attr_ops(&ops);
	fuse_ll_file_ops(&ops);
	fuse_ll_dir_ops(&ops);
	rc = session_args(&args, o);
	if (rc < 0)
		goto fail;
	l->se = fuse_session_new(&args, &ops, sizeof(ops), l);
	if (!l->se) {
		rc = errmsg_set(em, -ERR_USAGE,
				"mount options not understood: %s",
				o->rest ? o->rest : "");
		goto fail;
	}
	fuse_opt_free_args(&args);
	*out = l;
	return 0;
fail:
	fuse_opt_free_args(&args);
	fuse_ll_close(l);
	return rc;
}

int fuse_ll_mount(struct fuse_ll *l, const char *dir, struct errmsg *em)
{
	errno = 0;
	if (fuse_session_mount(l->se, dir) < 0) {
		int rc = errno ? -errno : -EPERM;
		return errmsg_set(em, rc,
				  "cannot mount on %s: %s (is /dev/fuse there, "
				  "may this user mount?)",
				  dir, err_text(rc));
	}
	l->mounted = true;
	return 0;
}

/* Waits until the workers are gone; those that shall stop are woken. */
static void wait_for_workers(struct fuse_ll *l)
{
	mutex_lock(&l->mu);
	while (l->running > 0) {
		if (!l->stop && l->rc == 0 && l->running == l->n_workers) {
			cond_wait(&l->changed, &l->mu);
			continue;
		}
		fuse_session_exit(l->se);
		core_digest_end(l->o.core);
		poller_stop(&l->poller);
		for (unsigned i = 0; i < l->n_workers; i++)
			if (l->workers[i].thread.running)
				pthread_kill(l->workers[i].thread.id, SIGUSR2);
		cond_timedwait_ns(&l->changed, &l->mu, KICK_MS * 1000000LL);
	}
	mutex_unlock(&l->mu);
	for (unsigned i = 0; i < l->n_workers; i++)
		thread_join(&l->workers[i].thread);
}

int fuse_ll_run(struct fuse_ll *l)
{
	const unsigned most = sizeof(l->workers) / sizeof(l->workers[0]);
	unsigned n = l->o.threads < most ? l->o.threads : most;
	struct sigaction sa = { .sa_handler = kicked };
	int rc = 0;

	sigaction(SIGUSR2, &sa, NULL); /* no SA_RESTART: read(2) shall end */
	poller_init(&l->poller, fuse_session_fd(l->se), n, thread_cores(n));
	l->has_poller = true;
	rc = thread_start(&l->forgetter, "fuse-forget", forgetter, l);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		mutex_lock(&l->mu);
		l->workers[i].l = l;
		rc = thread_start(&l->workers[i].thread, "fuse", worker,
				  &l->workers[i]);
		l->n_workers += rc == 0;
		l->running += rc == 0;
		mutex_unlock(&l->mu);
	}
	if (rc < 0)
		fuse_ll_stop(l);
	wait_for_workers(l);
	return rc < 0 ? rc : l->rc;
}

void fuse_ll_stop(struct fuse_ll *l)
{
	mutex_lock(&l->mu);
	l->stop = true;
	cond_broadcast(&l->changed);
	mutex_unlock(&l->mu);
}

uint64_t fuse_ll_requests(const struct fuse_ll *l, unsigned opcode)
{
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof(l->workers) / sizeof(l->workers[0]); i++)
		n += atomic_load_explicit(&l->workers[i].requests[opcode],
					  memory_order_relaxed);
	return n;
}

void fuse_ll_close(struct fuse_ll *l)
{
	if (!l)
		return;
	if (l->se && l->mounted)
		fuse_session_unmount(l->se);
	mutex_lock(&l->mu);
	l->no_more = true;
	cond_broadcast(&l->changed);
	mutex_unlock(&l->mu);
	thread_join(&l->forgetter);
	if (l->se)
		fuse_session_destroy(l->se);
	fuse_ll_virt_release(l);
	if (l->has_poller)
		poller_release(&l->poller);
	free(l->stale);
	cond_destroy(&l->changed);
	mutex_destroy(&l->mu);
	free(l);
}
