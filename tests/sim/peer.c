/*
 * peer.c - see peer.h.  The loop is fs/fuse/fuse_ll.c's: each worker, when
 * it is its turn (fs/fuse/poller.h), reads one request and answers it, into a
 * buffer of its own.
 */
#include "tests/sim/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "fs/fuse/fuse_ll_impl.h"
#include "fs/daemon/mount_opt.h"

struct worker {
	pthread_t id;
	struct fuse_session *se;
	_Atomic uint64_t *requests;
	struct poller *poller;
	unsigned me;
};

static double timeout_s;
static _Thread_local void *scratch;
static _Thread_local size_t scratch_size;

double peer_timeout(void)
{
	return timeout_s;
}

void *peer_scratch(size_t n)
{
	if (n > scratch_size) {
		free(scratch);
		scratch_size = n > FUSE_LL_IO_MAX ? n : (size_t)FUSE_LL_IO_MAX;
		scratch = malloc(scratch_size);
		if (!scratch)
			abort();
	}
	return scratch;
}

static void on_init(void *ctx, struct fuse_conn_info *conn)
{
	(void)ctx;
	fuse_ll_caps(conn);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct fuse_buf buf = { 0 };
	int n;

	while (poller_wait(w->poller, w->me) && !fuse_session_exited(w->se)) {
		n = fuse_session_receive_buf(w->se, &buf);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		poller_got(w->poller, w->me,
			   fuse_ll_raw_kind(buf.mem, (size_t)n));
		fuse_ll_raw_count(w->requests, buf.mem, (size_t)n);
		fuse_session_process_buf(w->se, &buf);
		poller_done(w->poller, w->me);
	}
	poller_leave(w->poller, w->me);
	free(buf.mem);
	free(scratch);
	return NULL;
}

/* Shared with whoever reads the file, or nobody's. */
static _Atomic uint64_t *map_counts(const char *path, unsigned threads)
{
	size_t n = (size_t)threads * FUSE_LL_OPCODES * sizeof(uint64_t);
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p;

	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		flags = MAP_SHARED;
		if (fd < 0 || ftruncate(fd, (off_t)n) < 0) {
			perror(path);
			exit(1);
		}
	}
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	if (fd >= 0)
		close(fd);
	return p;
}

static int run(struct fuse_session *se, const char *counts, unsigned threads)
{
	_Atomic uint64_t *requests = map_counts(counts, threads);
	struct worker w[MOUNT_THREADS_MAX];
	struct poller poller;

	poller_init(&poller, fuse_session_fd(se), threads,
		    thread_cores(threads));
	for (unsigned i = 0; i < threads; i++) {
		w[i] = (struct worker){
			.se = se,
			.requests = requests + (size_t)i * FUSE_LL_OPCODES,
			.poller = &poller,
			.me = i,
		};
		if (pthread_create(&w[i].id, NULL, work, &w[i])) {
			perror("pthread_create");
			exit(1);
		}
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(w[i].id, NULL);
	poller_release(&poller);
	return 0;
}

int peer_serve(const char *name, struct fuse_lowlevel_ops *ops, const char *dir,
	       const char *counts)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct errmsg em = ERRMSG_INIT;
	struct fuse_session *se = NULL;
	struct mount_opt ours;
	char options[128];
	int rc = 1;

	if (mount_opt_parse(&ours, NULL, false, &em) < 0) {
		fprintf(stderr, "%s: %s\n", name, em.text);
		return 1;
	}
	timeout_s = ours.attr_timeout_s;
	(void)snprintf(options, sizeof(options),
		       "default_permissions,fsname=%s,subtype=%s", name, name);
	ops->init = on_init;
	if (fuse_opt_add_arg(&args, name) == 0 &&
	    fuse_opt_add_arg(&args, "-o") == 0 &&
	    fuse_opt_add_arg(&args, options) == 0)
		se = fuse_session_new(&args, ops, sizeof(*ops), NULL);
	if (se && fuse_session_mount(se, dir) == 0) {
		rc = run(se, counts, ours.threads);
		fuse_session_unmount(se);
	}
	if (se)
		fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	mount_opt_release(&ours);
	return rc;
}
