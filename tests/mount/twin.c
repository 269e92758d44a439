/*
 * twin.c - the same random system calls on two directories, one of them in
 * a mount; whatever they answer must be the same.
 *
 *	twin run A B SEED OPS	do OPS calls on both, compare all answers
 *	twin compare A B	compare the trees: names, types, modes, bytes
 *
 * A is below the mount, B on a filesystem we trust.  Compared are results,
 * errno, bytes read, and of stat: type, mode, owner, link count, size.  Holes
 * are only checked on A for what they claim: what lies in them is zero.
 * TWIN_TRACE=1 prints each call, TWIN_EVERY=1 compares the trees after each.
 * Exit 0 when all is the same; else what differed is printed, with the seed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "twin_tree.h"

enum {
	SLOTS = 12,
	FILE_MAX = 600 * 1024,
	IO_MAX = 150 * 1024,
	NAMES = 6,
};

struct slot {
	int fd[2];
	int flags;
};

static int root[2];
static struct slot slots[SLOTS];
static uint64_t rng_state;
static unsigned long op_no;
static char op_text[4 * PATH_MAX];
static unsigned char *data, *got[2];
static unsigned long counts_ok, counts_refused;

static uint64_t rng(void)
{
	uint64_t z = (rng_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return rng() % n;
}

__attribute__((noreturn, format(printf, 1, 2))) static void
differ(const char *format, ...)
{
	va_list ap;

	printf("differ at operation %lu, %s: ", op_no, op_text);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	for (int i = 0; i < SLOTS; i++) {
		char name[64], to[PATH_MAX] = "";

		snprintf(name, sizeof(name), "/proc/self/fd/%d",
			 slots[i].fd[0]);
		if (slots[i].fd[0] >= 0 &&
		    readlink(name, to, sizeof(to) - 1) > 0)
			printf("open: %s flags %o\n", to,
			       (unsigned)slots[i].flags);
	}
	exit(1);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(op_text, sizeof(op_text), format, ap);
	va_end(ap);
	if (getenv("TWIN_TRACE"))
		fprintf(stderr, "%lu %s\n", op_no, op_text);
}

/* Few names, so that operations meet. */
static const char *path(char *out, size_t cap)
{
	static const char *const names[NAMES] = {
		"a", "b", "c", "d", "e", "ff"
	};
	unsigned depth = 1 + (unsigned)below(3);
	size_t at = 0;

	for (unsigned i = 0; i < depth; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? "/" : "",
				       names[below(NAMES)]);
	if (below(60) == 0)
		snprintf(out + at, cap - at, "/");
	return out;
}

static void same(long a, int ea, long b, int eb)
{
	if (a != b || (a < 0 && ea != eb))
		differ("%ld (%s) here, %ld (%s) there", a,
		       a < 0 ? strerror(ea) : "fine", b,
		       b < 0 ? strerror(eb) : "fine");
	if (a < 0)
		counts_refused++;
	else
		counts_ok++;
}

/* Evaluates CALL with `s` 0 and 1 and compares; true when both succeeded. */
#define BOTH(call)                                \
	({                                        \
		long r_[2];                       \
		int e_[2];                        \
		for (int s = 0; s < 2; s++) {     \
			errno = 0;                \
			r_[s] = (call);           \
			e_[s] = errno;            \
		}                                 \
		same(r_[0], e_[0], r_[1], e_[1]); \
		r_[0] >= 0;                       \
	})

static void stats_same(const struct stat st[2])
{
	const char *what = twin_stat_differs(&st[0], &st[1]);

	if (what)
		differ("%s", what);
}

static struct slot *any_slot(void)
{
	struct slot *sl = &slots[below(SLOTS)];

	for (int i = 0; i < SLOTS && sl->fd[0] < 0; i++)
		sl = &slots[below(SLOTS)];
	return sl;
}

static void slot_stat(const struct slot *sl)
{
	struct stat st[2];

	if (BOTH(fstat(sl->fd[s], &st[s])))
		stats_same(st);
}

static void close_slot(struct slot *sl)
{
	if (sl->fd[0] < 0)
		return;
	BOTH(close(sl->fd[s]));
	sl->fd[0] = sl->fd[1] = -1;
}

static void op_open(void)
{
	static const int extras[] = {
		0,
		O_CREAT,
		O_CREAT,
		O_CREAT | O_EXCL,
		O_TRUNC,
		O_CREAT | O_TRUNC,
		O_APPEND | O_CREAT,
		O_DIRECTORY,
		O_NOFOLLOW,
		O_CREAT,
	};
	static const int ways[] = { O_RDWR, O_RDWR, O_RDWR, O_WRONLY,
				    O_RDONLY };
	struct slot *sl = &slots[below(SLOTS)];
	char p[PATH_MAX];
	int flags = extras[below(sizeof(extras) / sizeof(*extras))] |
		    ways[below(5)] | O_CLOEXEC | O_NONBLOCK;
	mode_t mode = (mode_t)below(010000);
	int fd[2];

	path(p, sizeof(p));
	close_slot(sl);
	say("open %s flags %o mode %o", p, (unsigned)flags, mode);
	if (below(12) == 0) {
		flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
		say("tmpfile in %s", p);
	}
	for (int s = 0; s < 2; s++) {
		errno = 0;
		fd[s] = openat(root[s], p, flags, mode);
		sl->fd[s] = errno;
	}
	same(fd[0] < 0 ? -1 : 0, sl->fd[0], fd[1] < 0 ? -1 : 0, sl->fd[1]);
	sl->fd[0] = fd[0];
	sl->fd[1] = fd[1];
	sl->flags = flags;
	if (fd[0] >= 0)
		slot_stat(sl);
}

static off_t any_offset(void)
{
	off_t o = (off_t)below(FILE_MAX);

	if (below(3) == 0)
		o &= ~4095;
	if (below(4) == 0)
		o %= 8192;
	return o;
}

static size_t any_length(void)
{
	size_t n = below(IO_MAX);

	if (below(2) == 0)
		n %= 5000;
	if (below(4) == 0)
		n &= ~(size_t)4095;
	return n;
}

static void fill(size_t n)
{
	uint64_t kind = below(4), v = rng();

	for (size_t i = 0; i < n; i++) {
		if (kind == 0)
			data[i] = 0;
		else if (kind == 1)
			data[i] = (unsigned char)(v >> (i % 8 * 8));
		else
			data[i] = (unsigned char)(v = v * 6364136223846793005u +
						      1442695040888963407u,
						  v >> 56);
	}
}

static void op_write(void)
{
	struct slot *sl = any_slot();
	off_t o = any_offset();
	size_t n = any_length();
	bool at = below(3) != 0;

	fill(n);
	say("%s %zu at %lld", at ? "pwrite" : "write", n, (long long)o);
	if (at)
		BOTH(pwrite(sl->fd[s], data, n, o));
	else
		BOTH(write(sl->fd[s], data, n));
	slot_stat(sl);
}

static void op_read(void)
{
	struct slot *sl = any_slot();
	off_t o = any_offset();
	size_t n = any_length();
	long r[2];
	int e[2];

	say("pread %zu at %lld", n, (long long)o);
	for (int s = 0; s < 2; s++) {
		errno = 0;
		r[s] = pread(sl->fd[s], got[s], n, o);
		e[s] = errno;
	}
	same(r[0], e[0], r[1], e[1]);
	if (r[0] > 0 && memcmp(got[0], got[1], (size_t)r[0]) != 0)
		differ("other bytes");
}

static void op_truncate(void)
{
	struct slot *sl = any_slot();
	off_t n = any_offset();
	char p[PATH_MAX];

	if (below(3) == 0) {
		path(p, sizeof(p));
		say("truncate %s to %lld", p, (long long)n);
		BOTH(({
			char full[PATH_MAX * 2];
			snprintf(full, sizeof(full), "/proc/self/fd/%d/%s",
				 root[s], p);
			truncate(full, n);
		}));
		return;
	}
	say("ftruncate to %lld", (long long)n);
	BOTH(ftruncate(sl->fd[s], n));
	slot_stat(sl);
}

static void op_fallocate(void)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};
	struct slot *sl = any_slot();
	int mode = modes[below(4)];
	off_t o = any_offset(), n = (off_t)any_length();

	say("fallocate mode %d at %lld, %lld", mode, (long long)o,
	    (long long)n);
	BOTH(fallocate(sl->fd[s], mode, o, n));
	slot_stat(sl);
}

static void op_mmap(void)
{
	struct slot *sl = any_slot();
	struct stat st;
	size_t n, o;
	unsigned char *map[2];

	if (sl->fd[0] < 0 || (sl->flags & O_ACCMODE) != O_RDWR ||
	    fstat(sl->fd[1], &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size == 0)
		return;
	o = below((uint64_t)st.st_size);
	n = below((uint64_t)st.st_size - o) + 1;
	if (n > IO_MAX)
		n = IO_MAX;
	fill(n);
	say("mmap write %zu at %zu of %lld", n, o, (long long)st.st_size);
	for (int s = 0; s < 2; s++) {
		map[s] = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, sl->fd[s], 0);
		if (map[s] == MAP_FAILED)
			differ("mmap: %s", strerror(errno));
	}
	if (memcmp(map[0], map[1], (size_t)st.st_size) != 0)
		differ("other bytes in the map");
	for (int s = 0; s < 2; s++) {
		memcpy(map[s] + o, data, n);
		if (below(2) == 0)
			msync(map[0], (size_t)st.st_size, MS_SYNC);
	}
	for (int s = 0; s < 2; s++)
		munmap(map[s], (size_t)st.st_size);
}

static void op_seek(void)
{
	struct slot *sl = any_slot();
	struct stat st;
	off_t at = 0, hole, end;
	int again = 0;

	say("seek data and hole");
	if (sl->fd[0] < 0 || fstat(sl->fd[1], &st) != 0 ||
	    !S_ISREG(st.st_mode) || (sl->flags & O_ACCMODE) == O_WRONLY)
		return;
	while (at < st.st_size) {
		hole = lseek(sl->fd[0], at, SEEK_HOLE);
		if (hole < at || hole > st.st_size)
			differ("SEEK_HOLE from %lld gives %lld", (long long)at,
			       (long long)hole);
		if (hole == st.st_size)
			break;
		end = lseek(sl->fd[0], hole, SEEK_DATA);
		if (end < 0 && errno == ENXIO)
			end = st.st_size;
		/* a version made meanwhile may have a hole begin later */
		if (end < hole || (end == hole && ++again > 3) ||
		    end > st.st_size)
			differ("SEEK_DATA from %lld gives %lld",
			       (long long)hole, (long long)end);
		for (off_t o = hole; o < end;) {
			size_t n = (size_t)(end - o);

			n = n < IO_MAX ? n : IO_MAX;
			if (pread(sl->fd[1], got[1], n, o) != (ssize_t)n)
				differ("short read");
			for (size_t i = 0; i < n; i++)
				if (got[1][i])
					differ("data in a hole at %lld",
					       (long long)o + (long long)i);
			o += (off_t)n;
		}
		at = end;
	}
	off_t o = any_offset();
	BOTH(lseek(sl->fd[s], o, SEEK_SET));
	BOTH(lseek(sl->fd[s], st.st_size + 1, SEEK_DATA));
}

static long copy_all(int from, off_t from_at, int to, off_t to_at, size_t n)
{
	size_t done = 0;
	ssize_t r;

	do {
		r = copy_file_range(from, &from_at, to, &to_at, n - done, 0);
		if (r > 0)
			done += (size_t)r;
	} while (r > 0 && done < n);
	return r < 0 && done == 0 ? -1 : (long)done;
}

static void op_copy(void)
{
	struct slot *x = any_slot(), *y = any_slot();
	off_t o = any_offset(), t = any_offset();
	size_t n = any_length();

	say("copy_file_range %lld to %lld, %zu%s", (long long)o, (long long)t,
	    n, x == y ? ", same" : "");
	BOTH(copy_all(x->fd[s], o, y->fd[s], t, n));
	slot_stat(y);
}

static void op_rename(void)
{
	char p[PATH_MAX], q[PATH_MAX];
	unsigned flags = below(4) ? 0 : 1 + (unsigned)below(2);

	path(p, sizeof(p));
	path(q, sizeof(q));
	say("rename %s %s flags %u", p, q, flags);
	BOTH(renameat2(root[s], p, root[s], q, flags));
}

static void op_link(void)
{
	char p[PATH_MAX], q[PATH_MAX];
	struct slot *sl = any_slot();

	path(q, sizeof(q));
	if (below(4) == 0) {
		say("link a descriptor to %s", q);
		BOTH(({
			snprintf(p, sizeof(p), "/proc/self/fd/%d", sl->fd[s]);
			linkat(AT_FDCWD, p, root[s], q, AT_SYMLINK_FOLLOW);
		}));
		return;
	}
	path(p, sizeof(p));
	say("link %s %s", p, q);
	BOTH(linkat(root[s], p, root[s], q, 0));
}

static void op_name(void)
{
	char p[PATH_MAX], q[PATH_MAX];
	mode_t mode = (mode_t)below(010000);

	path(p, sizeof(p));
	switch (below(7)) {
	case 0:
		say("unlink %s", p);
		BOTH(unlinkat(root[s], p, 0));
		break;
	case 1:
		say("rmdir %s", p);
		BOTH(unlinkat(root[s], p, AT_REMOVEDIR));
		break;
	case 2:
	case 3:
	case 4:
		say("mkdir %s %o", p, mode | 0300);
		BOTH(mkdirat(root[s], p, mode | 0300));
		break;
	case 5:
		path(q, sizeof(q));
		say("symlink %s %s", q, p);
		BOTH(symlinkat(q, root[s], p));
		break;
	default:
		say("mkfifo %s", p);
		BOTH(mkfifoat(root[s], p, mode));
	}
}

/* A removed directory that is open takes no attributes here: nobody asks. */
static bool removed_dir(const struct slot *sl)
{
	struct stat st;

	return fstat(sl->fd[1], &st) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_nlink == 0;
}

static void op_attr(void)
{
	char p[PATH_MAX], q[PATH_MAX];
	struct slot *sl = any_slot();
	mode_t mode = (mode_t)below(010000) | (below(8) ? 0700 : 0);
	struct stat st[2];
	long r;

	path(p, sizeof(p));
	switch (below(8)) {
	case 0:
		say("chmod %s %o", p, mode);
		BOTH(fchmodat(root[s], p, mode, 0));
		break;
	case 1:
		say("fchmod %o", mode);
		BOTH(fchmod(sl->fd[s], mode));
		break;
	case 2:
		say("chown %s", p);
		mode = below(2) ? 65534 : (uid_t)-1;
		BOTH(fchownat(root[s], p, mode, (gid_t)-1,
			      AT_SYMLINK_NOFOLLOW));
		break;
	case 3:
		say("readlink %s", p);
		BOTH(readlinkat(root[s], p, q, sizeof(q)));
		break;
	case 4:
		say("access %s", p);
		r = (long)below(8);
		BOTH(faccessat(root[s], p, (int)r, 0));
		break;
	case 5:
		say("setxattr");
		if (removed_dir(sl))
			break;
		fill(r = (long)below(300));
		BOTH(fsetxattr(sl->fd[s], "user.x", data, (size_t)r, 0));
		break;
	case 6:
		say("getxattr, removexattr");
		if (removed_dir(sl))
			break;
		BOTH(fgetxattr(sl->fd[s], "user.x", got[s], IO_MAX));
		BOTH(fremovexattr(sl->fd[s], "user.x"));
		break;
	default:
		r = below(2) ? AT_SYMLINK_NOFOLLOW : 0;
		say("stat %s", p);
		if (BOTH(fstatat(root[s], p, &st[s], (int)r)))
			stats_same(st);
	}
}

static void op_sync(void)
{
	struct slot *sl = any_slot();

	say("fsync");
	BOTH(fsync(sl->fd[s]));
}

static void op_close(void)
{
	say("close");
	close_slot(&slots[below(SLOTS)]);
}

static void step(void)
{
	static void (*const ops[])(void) = {
		op_open,  op_open,  op_open,   op_open,	    op_write,
		op_write, op_write, op_write,  op_read,	    op_read,
		op_read,  op_mmap,  op_seek,   op_truncate, op_fallocate,
		op_copy,  op_copy,  op_rename, op_rename,   op_rename,
		op_link,  op_name,  op_name,   op_name,	    op_name,
		op_attr,  op_attr,  op_attr,   op_sync,	    op_close,
	};

	ops[below(sizeof(ops) / sizeof(*ops))]();
}

static int run(uint64_t seed, unsigned long n)
{
	unsigned long every = 500;

	data = calloc(1, IO_MAX + 1);
	got[0] = calloc(1, IO_MAX + 1);
	got[1] = calloc(1, IO_MAX + 1);
	if (getenv("TWIN_EVERY"))
		every = strtoul(getenv("TWIN_EVERY"), NULL, 0);
	if (!data || !got[0] || !got[1])
		return 2;
	rng_state = seed;
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < SLOTS; i++)
		slots[i].fd[0] = slots[i].fd[1] = -1;
	for (op_no = 1; op_no <= n; op_no++) {
		step();
		if (op_no % every == 0) {
			say("compare the trees");
			if (twin_tree_compare(root[0], root[1]) != 0)
				differ("see above");
		}
	}
	for (int i = 0; i < SLOTS; i++)
		close_slot(&slots[i]);
	printf("%lu operations, %lu calls succeeded, %lu were refused alike\n",
	       n, counts_ok, counts_refused);
	return counts_ok > n / 4 ? 0 : 1;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc < 4) {
		fprintf(stderr, "usage: twin run|compare A B [SEED OPS]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int s = 0; s < 2; s++) {
		root[s] = open(argv[2 + s], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root[s] < 0) {
			perror(argv[2 + s]);
			return 2;
		}
	}
	if (strcmp(argv[1], "compare") == 0)
		return twin_tree_compare(root[0], root[1]) ? 1 : 0;
	if (argc != 6)
		return 2;
	printf("seed %s\n", argv[4]);
	rc = run(strtoull(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
	return rc ? rc : twin_tree_compare(root[0], root[1]) ? 1 : 0;
}
