/*
 * vouch-git.c - what libgit2 does for us, in a process of its own: a daemon
 * must not open work trees that may lie in its own mount, a library that
 * reads hostile bytes is best kept apart, and its many shared libraries cost
 * every start of `vouch` 4 ms.
 *
 * Not for people: `vouch` starts it, asks on stdin and reads stdout
 * (base/git_helper.h has the other end and the form of the messages).  It ends
 * when stdin does.
 */
#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/git_helper.h"

enum { CONTEXT_LINES = 3, EXIT_MISUSE = 2 };
/* Two files of 16 MiB of short lines may want more: they are binary then. */
enum { MEMORY_MAX = 1 << 30, CPU_SECONDS = 60 };

/* 1 all, 0 the end before the first byte, else it broke off. */
static int read_all(void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(STDIN_FILENO, (char *)p + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return done ? -EPIPE : 0;
		done += (size_t)got;
	}
	return 1;
}

static int write_all(const void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put =
			write(STDOUT_FILENO, (const char *)p + done, n - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

struct hunks {
	struct buf text;
	uint64_t added, removed;
	bool binary;
};

/* The hunks alone: what stands above them is our caller's. */
static int on_line(const git_diff_delta *d, const git_diff_hunk *h,
		   const git_diff_line *l, void *ctx)
{
	struct hunks *x = ctx;

	(void)d, (void)h;
	switch (l->origin) {
	case GIT_DIFF_LINE_FILE_HDR:
		return 0;
	case GIT_DIFF_LINE_BINARY:
		x->binary = true;
		return 0;
	case GIT_DIFF_LINE_ADDITION:
		x->added++;
		buf_addc(&x->text, '+');
		break;
	case GIT_DIFF_LINE_DELETION:
		x->removed++;
		buf_addc(&x->text, '-');
		break;
	case GIT_DIFF_LINE_CONTEXT:
		buf_addc(&x->text, ' ');
		break;
	default: /* the head of a hunk, "\ No newline at end of file" */
		break;
	}
	buf_add(&x->text, l->content, l->content_len);
	return x->text.bad ? GIT_EUSER : 0;
}

static int diff(const void *a, size_t n_a, const void *b, size_t n_b)
{
	git_diff_options o;
	struct hunks x = { .text = BUF_INIT };
	git_patch *patch = NULL;
	struct buf head = BUF_INIT;
	int rc;

	(void)!git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);
	o.context_lines = CONTEXT_LINES;
	rc = git_patch_from_buffers(&patch, a, n_a, "file", b, n_b, "file", &o);
	if (!rc && patch)
		rc = git_patch_print(patch, on_line, &x);
	git_patch_free(patch);
	if (rc) {
		fprintf(stderr, "vouch-git: diff: %s\n",
			git_error_last() ? git_error_last()->message :
					   "no memory");
		buf_release(&x.text);
		return -ENOMEM;
	}
	buf_u8(&head, x.binary);
	buf_u64(&head, x.added);
	buf_u64(&head, x.removed);
	buf_u64(&head, x.text.n);
	rc = head.bad ? -ENOMEM : write_all(head.p, head.n);
	if (!rc)
		rc = write_all(x.text.p, x.text.n);
	buf_release(&head);
	buf_release(&x.text);
	return rc;
}

static int serve_one(void)
{
	uint8_t head[GIT_HELPER_HEAD], *p;
	struct breader r;
	uint64_t n_a, n_b;
	int rc = read_all(head, sizeof(head));

	if (rc <= 0)
		return rc;
	breader_init(&r, head, sizeof(head));
	n_a = breader_u64(&r);
	n_b = breader_u64(&r);
	if (n_a > GIT_HELPER_MAX || n_b > GIT_HELPER_MAX)
		return -EINVAL;
	p = malloc((size_t)(n_a + n_b) + 1);
	if (!p)
		return -ENOMEM;
	rc = n_a + n_b ? read_all(p, (size_t)(n_a + n_b)) : 1;
	if (rc > 0)
		rc = diff(p, (size_t)n_a, p + n_a, (size_t)n_b);
	else
		rc = rc < 0 ? rc : -EPIPE;
	free(p);
	return rc < 0 ? rc : 1;
}

/* A sanitizer's shadow alone is terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESSES_MAX RLIM_INFINITY
#else
#define ADDRESSES_MAX MEMORY_MAX
#endif

static int limit(void)
{
	const struct rlimit memory = { ADDRESSES_MAX, ADDRESSES_MAX };
	const struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS };
	const struct rlimit core = { 0, 0 };

	return setrlimit(RLIMIT_AS, &memory) < 0 ||
	       setrlimit(RLIMIT_CPU, &cpu) < 0 ||
	       setrlimit(RLIMIT_CORE, &core) < 0;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc != 2 || strcmp(argv[1], "diff") != 0) {
		fprintf(stderr, "usage: vouch-git diff\n"
				"It works for vouch(1); there is nothing to "
				"call it for by hand.\n");
		return EXIT_MISUSE;
	}
	if (limit() || git_libgit2_init() < 0) {
		fprintf(stderr, "vouch-git: cannot start: %s\n",
			strerror(errno));
		return 1;
	}
	do
		rc = serve_one();
	while (rc > 0);
	git_libgit2_shutdown();
	if (rc < 0)
		fprintf(stderr, "vouch-git: %s\n", strerror(-rc));
	return rc < 0;
}
