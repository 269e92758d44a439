/*
 * test_vio.c - the POSIX vio on a real filesystem.  The simulated one has
 * test_sim.c; what both must do alike is tried here on both.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"
#include "tests/sim/vio_sim.h"

static struct tmp tmp;
static struct vio *v;

static void setup(void)
{
	tmp_init(&tmp);
	cr_assert_eq(vio_posix_open(&v, tmp.path), 0);
}

static void teardown(void)
{
	vio_free(v);
	tmp_release(&tmp);
}

TestSuite(vio, .init = setup, .fini = teardown);

static void put(struct vio *to, const char *path, const char *text)
{
	struct vio_file *f = NULL;

	cr_assert_eq(vio_open(to, &f, path, VIO_WRITE | VIO_CREATE | VIO_TRUNC),
		     0);
	cr_assert_eq(vio_pwrite(f, text, strlen(text), 0), 0);
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
}

static int count(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return *(int *)ctx == 3 ? 77 : 0;
}

static void behaves(struct vio *io)
{
	struct vio_file *f = NULL;
	struct vio_file *g = NULL;
	struct buf b = BUF_INIT;
	struct vio_stat st;
	struct vio_stat st2;
	char c[16];
	int n = 0;

	cr_assert_eq(vio_open(io, &f, "no", VIO_READ), -ENOENT);
	cr_assert_null(f);
	cr_assert_eq(vio_open(io, &f, "no/a", VIO_WRITE | VIO_CREATE), -ENOENT);
	put(io, "a", "hello world");
	cr_assert_eq(vio_open(io, &f, "a", VIO_WRITE | VIO_CREATE | VIO_EXCL),
		     -EEXIST);
	cr_assert_eq(vio_open(io, &f, "a", VIO_READ), 0);
	cr_assert_eq(vio_pread(f, c, 5, 6), 5);
	cr_assert_eq(memcmp(c, "world", 5), 0);
	cr_assert_eq(vio_pread(f, c, 16, 6), 5);
	cr_assert_eq(vio_pread(f, c, 16, 100), 0);
	cr_assert_eq(vio_pread_full(f, c, 6, 6), -ERR_SHORT);
	cr_assert_eq(vio_pwrite(f, "x", 1, 0), -EBADF);
	vio_close(f);
	cr_assert_eq(
		vio_open(io, &f, "p", VIO_WRITE | VIO_CREATE | VIO_PRIVATE), 0);
	cr_assert_eq(vio_fstat(f, &st), 0);
	cr_assert_eq(st.mode, S_IFREG | 0600);
	cr_assert_eq(st.uid, geteuid());
	cr_assert_eq(st.size, 0);
	cr_assert_eq(vio_allocate(f, 0, 10000), 0);
	cr_assert_eq(vio_fstat(f, &st), 0);
	cr_assert_eq(st.size, 10000);
	cr_assert_eq(vio_truncate(f, 3), 0);
	cr_assert_eq(vio_pwrite(f, "zz", 2, 5), 0);
	cr_assert_eq(vio_pread(f, c, 16, 0), 7);
	cr_assert_eq(memcmp(c, "\0\0\0\0\0zz", 7), 0);
	cr_assert_eq(vio_writeback(f, 0, 7, false), 0);
	cr_assert_eq(vio_writeback(f, 0, 7, true), 0);
	cr_assert_eq(vio_writeback(f, 4, 0, true), 0);
	cr_assert_eq(vio_flush(f), 0);
	cr_assert_eq(vio_write_through(f, "y", 1, 6), 0);
	cr_assert_eq(vio_pread(f, c, 16, 0), 7);
	cr_assert_eq(memcmp(c, "\0\0\0\0\0zy", 7), 0);
	cr_assert_eq(vio_lock(f), 0);
	cr_assert_eq(vio_open(io, &g, "p", VIO_WRITE), 0);
	cr_assert_eq(vio_lock(g), -EBUSY);
	vio_close(f);
	cr_assert_eq(vio_lock(g), 0);
	vio_close(g);
	cr_assert_eq(vio_mkdirs(io, "d/e/f"), 0);
	cr_assert_eq(vio_mkdirs(io, "d/e/f/"), 0);
	cr_assert_eq(vio_mkdirs(io, ""), -ENOENT);
	cr_assert_eq(vio_mkdirs(io, "a/b"), -ENOTDIR);
	cr_assert_eq(vio_mkdir(io, "d"), -EEXIST);
	cr_assert_eq(vio_open(io, &f, "d", VIO_READ), -EISDIR);
	cr_assert_eq(vio_rmdir(io, "d"), -ENOTEMPTY);
	cr_assert_eq(vio_rename(io, "a", "d/e/b"), 0);
	cr_assert_eq(vio_stat(io, "a", &st), -ENOENT);
	cr_assert_eq(vio_stat(io, "d/e/b", &st), 0);
	cr_assert_eq(st.size, 11);
	cr_assert_eq(vio_stat(io, "d", &st2), 0);
	cr_assert(S_ISDIR(st2.mode));
	cr_assert_eq(st.fsid, st2.fsid);
	cr_assert_neq(st.ino, st2.ino);
	cr_assert_gt(st.mtime_ns, 1600000000000000000);
	cr_assert_eq(vio_syncdir(io, "d/e"), 0);
	cr_assert_eq(vio_syncdir(io, "."), 0);
	cr_assert_eq(vio_syncdir(io, ""), 0);
	cr_assert_lt(vio_syncdir(io, "d/e/b"), 0);
	cr_assert_eq(vio_list(io, "d/e", count, &n), 0);
	cr_assert_eq(n, 2);
	cr_assert_eq(vio_list(io, ".", count, &n), 77);
	cr_assert_eq(vio_list(io, "no", count, &n), -ENOENT);
	buf_adds(&b, "> ");
	cr_assert_eq(vio_read_file(io, &b, "d/e/b", 11), 0);
	cr_assert_str_eq((char *)b.p, "> hello world");
	cr_assert_eq(vio_read_file(io, &b, "d/e/b", 10), -ERR_LIMIT);
	cr_assert_str_eq((char *)b.p, "> hello world");
	buf_release(&b);
	cr_assert_eq(vio_unlink(io, "d/e/b"), 0);
	cr_assert_eq(vio_unlink(io, "d/e/b"), -ENOENT);
	cr_assert_eq(vio_rmdir(io, "d/e/f"), 0);
	vio_close(NULL);
}

/*
 * Writes past the page cache and through it, of any size and place, beside
 * reads that fill the cache: always the last one's bytes are read.
 */
static void through(struct vio *io, int flags)
{
	enum { SIZE = 256 << 10 };
	static uint8_t now[SIZE], got[SIZE], fresh[SIZE];
	struct vio_file *f = NULL;
	struct prng r;

	prng_init(&r, (uint64_t)flags);
	memset(now, 0, SIZE);
	cr_assert_eq(vio_open(io, &f, "w", VIO_WRITE | VIO_CREATE | flags), 0);
	cr_assert_eq(vio_pwrite(f, now, SIZE, 0), 0);
	cr_assert_eq(vio_flush(f), 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t step = i % 5 ? 4096 : 1;
		uint64_t off = prng_below(&r, SIZE / step) * step;
		uint64_t n = (1 + prng_below(&r, (SIZE - off) / step)) * step;

		if (i % 3) /* small ones go another way */
			n = n > 16384 ? 16384 : n;
		prng_bytes(&r, fresh, n);
		memcpy(now + off, fresh, n);
		if (i % 7 == 0)
			cr_assert_eq(vio_pwrite(f, fresh, n, off), 0);
		else
			cr_assert_eq(vio_write_through(f, fresh, n, off), 0);
		cr_assert_eq(vio_pread_full(f, got, SIZE, 0), 0);
		cr_assert_eq(memcmp(got, now, SIZE), 0, "%u", i);
	}
	vio_close(f);
	cr_assert_eq(vio_unlink(io, "w"), 0);
}

Test(vio, what_is_written_through_is_read)
{
	through(v, VIO_DIRECT);
	through(v, 0);
}

Test(vio, the_posix_one_behaves)
{
	behaves(v);
}

Test(vio, the_simulated_one_behaves)
{
	struct vio_sim *s = vio_sim_new(NULL);

	behaves(vio_sim_vio(s));
	vio_sim_free(s);
}

Test(vio, a_root_that_is_no_directory_is_an_error)
{
	struct vio *w = NULL;
	char path[PATH_MAX + 8];

	put(v, "file", "x");
	snprintf(path, sizeof(path), "%s/file", tmp.path);
	cr_assert_eq(vio_posix_open(&w, path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/none", tmp.path);
	cr_assert_eq(vio_posix_open(&w, path), -ENOENT);
	cr_assert_null(w);
	vio_free(NULL);
}

Test(vio, symlinks_and_fifos_are_not_opened)
{
	struct vio_file *f = NULL;
	char path[PATH_MAX + 8];
	struct vio_stat st;

	put(v, "real", "x");
	snprintf(path, sizeof(path), "%s/link", tmp.path);
	cr_assert_eq(symlink("real", path), 0);
	cr_assert_eq(vio_open(v, &f, "link", VIO_READ), -ELOOP);
	cr_assert_eq(vio_open(v, &f, "link", VIO_WRITE | VIO_CREATE), -ELOOP);
	cr_assert_eq(vio_stat(v, "link", &st), 0);
	cr_assert(S_ISLNK(st.mode));
	snprintf(path, sizeof(path), "%s/fifo", tmp.path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(vio_open(v, &f, "fifo", VIO_READ), -EINVAL);
	cr_assert_null(f);
}

Test(vio, the_root_may_be_renamed)
{
	char to[PATH_MAX + 8];

	put(v, "a", "1");
	snprintf(to, sizeof(to), "%s-moved", tmp.path);
	cr_assert_eq(rename(tmp.path, to), 0);
	put(v, "b", "2");
	cr_assert_eq(rename(to, tmp.path), 0);
	cr_assert_eq(vio_unlink(v, "b"), 0);
}

Test(vio, descriptors_do_not_reach_children)
{
	struct vio_file *f = NULL;
	int open_after = 0;

	put(v, "a", "1");
	cr_assert_eq(vio_open(v, &f, "a", VIO_READ), 0);
	for (int fd = 3; fd < 64; fd++) {
		int flags = fcntl(fd, F_GETFD);
		char link[64];
		char path[PATH_MAX];
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		if (flags < 0 || n < 0)
			continue;
		path[n] = '\0';
		if (strncmp(path, tmp.path, strlen(tmp.path)) == 0) {
			open_after++;
			cr_assert(flags & FD_CLOEXEC);
		}
	}
	cr_assert_eq(open_after, 2);
	vio_close(f);
}

static void pieces(struct vio *io)
{
	const struct vio_piece piece[] = {
		{ "one", 3 }, { "", 0 }, { "-two", 4 }, { "-three", 6 }
	};
	struct vio_file *f = NULL;
	char all[16] = "";

	cr_assert_eq(vio_open(io, &f, "pieces", VIO_WRITE | VIO_CREATE), 0);
	cr_assert_eq(vio_pwritev(f, piece, 4, 2), 0);
	cr_assert_eq(vio_pread(f, all, sizeof(all), 2), 13);
	cr_assert_str_eq(all, "one-two-three");
	cr_assert_eq(vio_pwritev(f, piece, 4, UINT64_MAX - 5), -EFBIG);
	vio_close(f);
}

Test(vio, pieces_are_written_one_behind_the_other)
{
	struct vio_sim *s = vio_sim_new(NULL);

	pieces(v);
	pieces(vio_sim_vio(s));
	vio_sim_free(s);
}

Test(vio, offsets_beyond_the_end_of_numbers_are_refused)
{
	struct vio_file *f = NULL;
	char c = 0;

	cr_assert_eq(vio_open(v, &f, "a", VIO_WRITE | VIO_CREATE), 0);
	cr_assert_eq(vio_pwrite(f, &c, 1, UINT64_MAX), -EFBIG);
	cr_assert_eq(vio_pread(f, &c, 1, UINT64_MAX), -EINVAL);
	cr_assert_eq(vio_truncate(f, UINT64_MAX), -EFBIG);
	cr_assert_eq(vio_allocate(f, 1, UINT64_MAX), -EFBIG);
	cr_assert_eq(vio_allocate(f, 1, 0), 0);
	vio_close(f);
}

Test(vio, clock_space_and_random)
{
	struct vio_space sp = { 0 };
	uint8_t a[32] = { 0 };
	uint8_t b[32] = { 0 };
	int64_t mono = vio_mono_ns(v);

	cr_assert_gt(vio_wall_ns(v), 1600000000000000000);
	cr_assert_geq(vio_mono_ns(v), mono);
	(void)vio_wall_synced(v);
	cr_assert_eq(vio_space(v, &sp), 0);
	cr_assert(sp.total_bytes > 0 && sp.free_bytes <= sp.total_bytes);
	cr_assert_eq(vio_random(v, a, sizeof(a)), 0);
	cr_assert_eq(vio_random(v, b, sizeof(b)), 0);
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
}

/* A quota's refusal is told as a full disk, whatever asked for room. */
Test(vio, a_quota_is_a_full_disk)
{
	struct vio_sim *sim = vio_sim_new(NULL);
	struct vio *disk = vio_sim_vio(sim);
	struct vio_file *f = NULL, *g = NULL;
	const int flags = VIO_WRITE | VIO_CREATE;
	struct vio_piece piece = { "x", 1 };

	cr_assert_eq(vio_open(disk, &f, "a", flags), 0);
	vio_sim_fail(sim, VIO_SIM_ANY, 1, EDQUOT, true);
	cr_assert_eq(vio_open(disk, &g, "b", flags), -ENOSPC);
	cr_assert_eq(vio_pwrite(f, "x", 1, 0), -ENOSPC);
	cr_assert_eq(vio_pwritev(f, &piece, 1, 0), -ENOSPC);
	cr_assert_eq(vio_allocate(f, 0, 1), -ENOSPC);
	cr_assert_eq(vio_truncate(f, 1), -ENOSPC);
	cr_assert_eq(vio_rename(disk, "a", "c"), -ENOSPC);
	cr_assert_eq(vio_mkdir(disk, "d"), -ENOSPC);
	cr_assert_eq(vio_mkdirs(disk, "d/e"), -ENOSPC);
	cr_assert_eq(vio_fdatasync(f), -ENOSPC);
	cr_assert_eq(vio_flush(f), -EIO);
	vio_close(f);
	vio_sim_free(sim);
}
