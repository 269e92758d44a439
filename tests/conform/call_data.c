/*
 * call_data.c - steps with the bytes of held files: positions, holes,
 * allocation, copies.
 *
 * Bytes are told as runs: `a4096.100` is 4096 times a, then 100 zeros.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/conform/call.h"

enum { BYTES_MAX = 8 << 20, PAGE = 4096, PIECES_MAX = 1100 };

/* A buffer that begins with a page; `shift` bytes behind that if asked. */
static char *buffer(size_t n, size_t shift)
{
	static char *p;

	if (!p && posix_memalign((void **)&p, PAGE, BYTES_MAX + PAGE) != 0)
		abort();
	if (n > BYTES_MAX || shift > PAGE)
		abort();
	return p + shift;
}

void call_say_bytes(struct ctx *x, const char *p, size_t n)
{
	if (!n)
		call_say(x, "end");
	for (size_t i = 0, k = 0; i < n; i += k) {
		for (k = 1; i + k < n && p[i + k] == p[i]; k++)
			;
		call_say(x, "%c%zu", p[i] ? p[i] : '.', k);
	}
}

static int say_count(struct ctx *x, ssize_t n)
{
	if (n < 0)
		return -1;
	call_say(x, "%zd", n);
	return 0;
}

/* put N OFF LEN CHAR [SHIFT]; the count only when it is short */
static int do_put(struct ctx *x, int n, char **arg)
{
	size_t len = (size_t)call_number(arg[2]);
	char *p = buffer(len, n > 4 ? (size_t)call_number(arg[4]) : 0);
	ssize_t k;

	memset(p, arg[3][0] == '.' ? 0 : arg[3][0], len);
	k = pwrite(*call_held(x, arg[0]), p, len, call_number(arg[1]));
	return k == (ssize_t)len ? 0 : say_count(x, k);
}

/* get N OFF LEN [SHIFT] */
static int do_get(struct ctx *x, int n, char **arg)
{
	size_t len = (size_t)call_number(arg[2]);
	char *p = buffer(len, n > 3 ? (size_t)call_number(arg[3]) : 0);
	ssize_t k = pread(*call_held(x, arg[0]), p, len, call_number(arg[1]));

	if (k < 0)
		return -1;
	call_say_bytes(x, p, (size_t)k);
	return 0;
}

/* add N LEN CHAR: at the position */
static int do_add(struct ctx *x, int n, char **arg)
{
	size_t len = (size_t)call_number(arg[1]);
	char *p = buffer(len, 0);
	ssize_t k;

	(void)n;
	memset(p, arg[2][0], len);
	k = write(*call_held(x, arg[0]), p, len);
	return k == (ssize_t)len ? 0 : say_count(x, k);
}

static int rwf(const char *text)
{
	static const struct {
		const char *name;
		int value;
	} v[] = { { "-", 0 },
		  { "hipri", RWF_HIPRI },
		  { "dsync", RWF_DSYNC },
		  { "sync", RWF_SYNC },
		  { "nowait", RWF_NOWAIT },
		  { "append", RWF_APPEND } };

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		if (!strcmp(v[i].name, text))
			return v[i].value;
	return (int)call_number(text);
}

/* put2 N OFF LEN CHAR FLAG: pwritev2 */
static int do_put2(struct ctx *x, int n, char **arg)
{
	size_t len = (size_t)call_number(arg[2]);
	struct iovec v = { buffer(len, 0), len };
	ssize_t k;

	(void)n;
	memset(v.iov_base, arg[3][0], len);
	k = pwritev2(*call_held(x, arg[0]), &v, 1, call_number(arg[1]),
		     rwf(arg[4]));
	return k == (ssize_t)len ? 0 : say_count(x, k);
}

/* Pieces of `size` bytes, each of another letter. */
static int pieces(struct iovec *v, const char *size, const char *count)
{
	size_t len = (size_t)call_number(size);
	int k = (int)call_number(count);

	if (k > PIECES_MAX)
		abort();
	for (int i = 0; i < k; i++) {
		v[i] = (struct iovec){
			buffer(len * (size_t)k, 0) + (size_t)i * len, len
		};
		memset(v[i].iov_base, 'a' + i % 26, len);
	}
	return k;
}

/* putv N OFF SIZE COUNT */
static int do_putv(struct ctx *x, int n, char **arg)
{
	struct iovec v[PIECES_MAX];
	int k = pieces(v, arg[2], arg[3]);

	(void)n;
	return say_count(
		x, pwritev(*call_held(x, arg[0]), v, k, call_number(arg[1])));
}

/* getv N OFF SIZE COUNT: how much, and whether it is what putv wrote there */
static int do_getv(struct ctx *x, int n, char **arg)
{
	struct iovec v[PIECES_MAX];
	int k = pieces(v, arg[2], arg[3]);
	size_t len = (size_t)call_number(arg[2]), i = 0;
	const char *p = v[0].iov_base;
	ssize_t got;

	(void)n;
	memset(v[0].iov_base, 0, len * (size_t)k);
	got = preadv(*call_held(x, arg[0]), v, k, call_number(arg[1]));
	if (got < 0)
		return -1;
	while (i < (size_t)got && p[i] == 'a' + (int)(i / len % 26))
		i++;
	call_say(x, i == (size_t)got ? "%zd:same" : "%zd:other", got);
	return 0;
}

/* seek N OFF set|cur|end|data|hole */
static int do_seek(struct ctx *x, int n, char **arg)
{
	static const char *const names[] = { "set", "cur", "end", "data",
					     "hole" };
	static const int whence[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA,
				      SEEK_HOLE };
	int w = 99;
	off_t off;

	(void)n;
	for (int i = 0; i < 5; i++)
		if (!strcmp(names[i], arg[2]))
			w = whence[i];
	off = lseek(*call_held(x, arg[0]), call_number(arg[1]), w);
	if (off < 0)
		return -1;
	call_say(x, "%lld", (long long)off);
	return 0;
}

/* holes N: where data begins and ends, joined by blanks */
static int do_holes(struct ctx *x, int n, char **arg)
{
	int fd = *call_held(x, arg[0]);
	struct stat st;
	off_t at = 0;

	(void)n;
	if (fstat(fd, &st) < 0)
		return -1;
	while (at < st.st_size) {
		off_t end;

		at = lseek(fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			break;
		end = at < 0 ? -1 : lseek(fd, at, SEEK_HOLE);
		if (end <= at)
			return -1;
		call_say(x, "%lld-%lld ", (long long)at, (long long)end);
		at = end;
	}
	call_say(x, "of %lld", (long long)st.st_size);
	return 0;
}

/* sparse N: does it take less than its size? */
static int do_sparse(struct ctx *x, int n, char **arg)
{
	struct stat st;

	(void)n;
	if (fstat(*call_held(x, arg[0]), &st) < 0)
		return -1;
	call_say(x, st.st_blocks * 512 < st.st_size ? "sparse" : "full");
	return 0;
}

/* falloc N alloc|keep|punch|... OFF LEN */
static int do_falloc(struct ctx *x, int n, char **arg)
{
	static const struct {
		const char *name;
		int mode;
	} v[] = {
		{ "alloc", 0 },
		{ "keep", FALLOC_FL_KEEP_SIZE },
		{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
		{ "punchgrow", FALLOC_FL_PUNCH_HOLE },
		{ "zero", FALLOC_FL_ZERO_RANGE },
		{ "zerokeep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
		{ "collapse", FALLOC_FL_COLLAPSE_RANGE },
		{ "insert", FALLOC_FL_INSERT_RANGE },
		{ "unshare", FALLOC_FL_UNSHARE_RANGE },
		{ "punchzero", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
				       FALLOC_FL_KEEP_SIZE },
		{ "unknown", 0x4000 },
	};

	(void)n;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		if (!strcmp(v[i].name, arg[1]))
			return fallocate(*call_held(x, arg[0]), v[i].mode,
					 call_number(arg[2]),
					 call_number(arg[3]));
	errno = ENOSYS;
	return -1;
}

/* An offset in memory, or "-": the position. */
static off_t *offset(off_t *at, const char *word)
{
	if (!strcmp(word, "-"))
		return NULL;
	*at = call_number(word);
	return at;
}

/* copyrange FROM OFF TO OFF LEN [FLAGS] */
static int do_copyrange(struct ctx *x, int n, char **arg)
{
	off_t a, b;

	return say_count(
		x, copy_file_range(*call_held(x, arg[0]), offset(&a, arg[1]),
				   *call_held(x, arg[2]), offset(&b, arg[3]),
				   (size_t)call_number(arg[4]),
				   n > 5 ? (unsigned)call_number(arg[5]) : 0));
}

/* clone TO FROM: without sharing, a file system says so; with it, 0 */
static int do_clone(struct ctx *x, int n, char **arg)
{
	(void)n;
	return ioctl(*call_held(x, arg[0]), FICLONE, *call_held(x, arg[1]));
}

static int do_clonerange(struct ctx *x, int n, char **arg)
{
	struct file_clone_range r = {
		.src_fd = *call_held(x, arg[1]),
		.src_offset = (uint64_t)call_number(arg[2]),
		.src_length = (uint64_t)call_number(arg[3]),
		.dest_offset = (uint64_t)call_number(arg[4]),
	};

	(void)n;
	return ioctl(*call_held(x, arg[0]), FICLONERANGE, &r);
}

/* send OUT IN OFF LEN: sendfile */
static int do_send(struct ctx *x, int n, char **arg)
{
	off_t at;

	(void)n;
	return say_count(x, sendfile(*call_held(x, arg[0]),
				     *call_held(x, arg[1]), offset(&at, arg[2]),
				     (size_t)call_number(arg[3])));
}

/* splice FROM OFF TO OFF LEN: through a pipe */
static int do_splice(struct ctx *x, int n, char **arg)
{
	int pipes[2], e;
	off_t a, b;
	ssize_t k;

	(void)n;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	k = splice(*call_held(x, arg[0]), offset(&a, arg[1]), pipes[1], NULL,
		   (size_t)call_number(arg[4]), 0);
	if (k > 0)
		k = splice(pipes[0], NULL, *call_held(x, arg[2]),
			   offset(&b, arg[3]), (size_t)k, 0);
	e = errno;
	close(pipes[0]);
	close(pipes[1]);
	errno = e;
	return say_count(x, k);
}

static int do_fdatasync(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fdatasync(*call_held(x, arg[0]));
}

static int do_syncrange(struct ctx *x, int n, char **arg)
{
	(void)n;
	return sync_file_range(
		*call_held(x, arg[0]), call_number(arg[1]), call_number(arg[2]),
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			SYNC_FILE_RANGE_WAIT_AFTER);
}

static int do_syncfs(struct ctx *x, int n, char **arg)
{
	(void)n;
	return syncfs(*call_held(x, arg[0]));
}

static int do_fadvise(struct ctx *x, int n, char **arg)
{
	int e = posix_fadvise(*call_held(x, arg[0]), 0, 0,
			      (int)call_number(arg[1]));

	(void)n;
	errno = e;
	return e ? -1 : 0;
}

/* dup N M: a second descriptor of the same opening */
static int do_dup(struct ctx *x, int n, char **arg)
{
	int fd = fcntl(*call_held(x, arg[0]), F_DUPFD_CLOEXEC, 3);

	(void)n;
	if (fd < 0)
		return -1;
	*call_held(x, arg[1]) = fd;
	return 0;
}

/* setfl N FLAGS: O_APPEND and so on, later */
static int do_setfl(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fcntl(*call_held(x, arg[0]), F_SETFL, call_flags(arg[1]));
}

const struct call call_data[] = {
	{ "put", 4, 5, do_put, false },
	{ "get", 3, 4, do_get, false },
	{ "add", 3, 3, do_add, false },
	{ "put2", 5, 5, do_put2, false },
	{ "putv", 4, 4, do_putv, false },
	{ "getv", 4, 4, do_getv, false },
	{ "seek", 3, 3, do_seek, false },
	{ "holes", 1, 1, do_holes, false },
	{ "sparse", 1, 1, do_sparse, false },
	{ "falloc", 4, 4, do_falloc, false },
	{ "copyrange", 5, 6, do_copyrange, false },
	{ "clone", 2, 2, do_clone, false },
	{ "clonerange", 5, 5, do_clonerange, false },
	{ "send", 4, 4, do_send, false },
	{ "splice", 5, 5, do_splice, false },
	{ "fdatasync", 1, 1, do_fdatasync, false },
	{ "syncrange", 3, 3, do_syncrange, false },
	{ "syncfs", 1, 1, do_syncfs, false },
	{ "fadvise", 2, 2, do_fadvise, false },
	{ "dup", 2, 2, do_dup, false },
	{ "setfl", 2, 2, do_setfl, false },
	{ 0 },
};
