/*
 * fsx.c - random operations on two files, each beside an oracle in memory.
 *
 *	fsx [-p PROCESSES] [-l BYTES] [-s COMMAND] [-r COMMAND -R EVERY] [-d]
 *		DIR SEED OPS
 *
 * Reads, writes, appends, truncates, maps, holes, zeroed and reserved ranges,
 * copies within a file and to the other one, direct I/O, data and holes by
 * lseek, syncs and reopens; the oracle says what every byte is.  -s is run now
 * and then (a sync of the volume), -r every so many operations with nothing
 * open (a remount), -d lets go of the machine's page cache at times.
 *
 * Says how often each operation was done.  At the first difference: words, the
 * last operations, the seed; exit 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/mount/fsx.h"

enum {
	FILES = 2,
	PAGE = 4096,
	LOG = 48,
	PROCESSES_MAX = 64,
	KEEP = FALLOC_FL_KEEP_SIZE,
	PUNCH = FALLOC_FL_PUNCH_HOLE | KEEP,
	ZERO = FALLOC_FL_ZERO_RANGE,
};

struct file {
	char path[4000];
	int fd[3]; /* read and write, append, read alone */
	uint8_t *want;
	uint64_t size;
};

struct op {
	const char *name;
	bool (*run)(struct file *f); /* false: not supported here */
	unsigned weight;
	uint64_t done, unsupported;
};

struct line {
	const char *op;
	unsigned file;
	uint64_t off, n, size;
	const char *note;
};

static struct chance chance;
static struct file files[FILES];
static struct line lines[LOG];
static uint64_t count, seed, max = 768 << 10;
static uint8_t *buf; /* max bytes and a page, aligned */
static const char *sync_command, *remount_command;
static bool may_drop;
static unsigned processes = 1, process;
static pthread_barrier_t *meeting;

static struct line *now(void)
{
	return &lines[count % LOG];
}

static void print_log(void)
{
	for (uint64_t i = count < LOG ? 0 : count - LOG + 1; i <= count; i++) {
		struct line *l = &lines[i % LOG];

		printf("  %8" PRIu64 " file %u %-10s off %7" PRIu64
		       " n %7" PRIu64 " size then %7" PRIu64 " %s\n",
		       i, l->file, l->op, l->off, l->n, l->size,
		       l->note ? l->note : "");
	}
}

__attribute__((format(printf, 1, 2), noreturn)) static void
bad(const char *format, ...)
{
	int err = errno;
	va_list ap;

	print_log();
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf(" (%s)\nfsx: SEED=%" PRIu64
	       ", process %u of %u, failed at operation %" PRIu64 "\n",
	       strerror(err), seed, process, processes, count);
	exit(1);
}

static void note(uint64_t off, uint64_t n, const char *words)
{
	now()->off = off;
	now()->n = n;
	now()->note = words;
}

static void same(const uint8_t *got, const uint8_t *want, uint64_t off,
		 uint64_t n, const char *how)
{
	uint64_t i = 0;
	uint64_t wrong = 0;

	if (memcmp(got, want, n) == 0)
		return;
	while (got[i] == want[i])
		i++;
	for (uint64_t k = i; k < n; k++)
		wrong += got[k] != want[k];
	errno = 0;
	bad("%s: byte %" PRIu64 " is %02x, not %02x; %" PRIu64
	    " of the %" PRIu64 " bytes from there are wrong",
	    how, off + i, got[i], want[i], wrong, n - i);
}

/* --- choice --- */

static uint64_t below(uint64_t n)
{
	return chance_below(&chance, n);
}

static bool percent(unsigned n)
{
	return chance_percent(&chance, n);
}

/* [*off, *off + *n) inside [0, end), not empty; often at pages' ends. */
static void range(uint64_t *off, uint64_t *n, uint64_t end)
{
	uint64_t most = percent(30) ? 600 : percent(70) ? 70000 : end;

	*off = below(end);
	if (percent(30))
		*off -= *off % PAGE;
	*n = 1 + below(most);
	if (percent(30))
		*n = (*n + PAGE - 1) / PAGE * PAGE;
	if (*n > end - *off)
		*n = end - *off;
}

/* Noise, a pattern, text that packs well, or zeros. */
static void fill(uint8_t *p, uint64_t n)
{
	unsigned kind = (unsigned)below(8);
	uint8_t first = (uint8_t)below(256);

	if (kind == 0) {
		memset(p, 0, n);
	} else if (kind < 4) {
		for (uint64_t i = 0; i < n; i++)
			p[i] = (uint8_t)(first + i / 64);
	} else {
		for (uint64_t i = 0; i < n; i += 8) {
			uint64_t x = chance_u64(&chance);

			memcpy(p + i, &x, n - i < 8 ? n - i : 8);
		}
	}
}

/* --- the files --- */

static void open_file(struct file *f)
{
	static const int flags[] = { O_RDWR | O_CREAT,
				     O_WRONLY | O_APPEND | O_CREAT, O_RDONLY };

	for (int i = 0; i < 3; i++) {
		f->fd[i] = open(f->path, flags[i] | O_CLOEXEC, 0644);
		if (f->fd[i] < 0)
			bad("open");
	}
}

static void close_file(struct file *f)
{
	for (int i = 0; i < 3; i++) {
		if (close(f->fd[i]) < 0)
			bad("close");
		f->fd[i] = -1;
	}
}

static int reading(struct file *f)
{
	return f->fd[percent(50) ? 0 : 2];
}

static void grown(struct file *f, uint64_t size)
{
	if (size > f->size)
		f->size = size;
}

/* What lies behind the end of the file is zero, for when it grows. */
static void cut(struct file *f, uint64_t size)
{
	if (size < f->size)
		memset(f->want + size, 0, f->size - size);
	f->size = size;
}

static void check_size(struct file *f)
{
	struct stat st;

	if (fstat(f->fd[0], &st) < 0)
		bad("fstat");
	if ((uint64_t)st.st_size != f->size)
		bad("size %" PRIu64 ", not %" PRIu64, (uint64_t)st.st_size,
		    f->size);
}

static void check_read(struct file *f, int fd, uint64_t off, uint64_t n,
		       const char *how)
{
	uint64_t want = off >= f->size	  ? 0 :
			n > f->size - off ? f->size - off :
					    n;
	ssize_t got = pread(fd, buf, n, (off_t)off);

	if (got < 0)
		bad("%s", how);
	if ((uint64_t)got != want)
		bad("%s: %zd bytes, not %" PRIu64, how, got, want);
	same(buf, f->want + off, off, want, how);
}

static void check_all(struct file *f)
{
	check_size(f);
	check_read(f, f->fd[2], 0, max, "the whole file");
}

/* --- operations --- */

static bool op_read(struct file *f)
{
	uint64_t off = 0;
	uint64_t n = 0;

	range(&off, &n, max);
	if (percent(70) && f->size > 0)
		range(&off, &n, f->size);
	note(off, n, "");
	check_read(f, reading(f), off, n, "read");
	return true;
}

static bool op_write(struct file *f)
{
	uint64_t off = 0;
	uint64_t n = 0;
	ssize_t got = 0;

	range(&off, &n, percent(80) && f->size > 0 ? f->size : max);
	note(off, n, "");
	fill(f->want + off, n);
	got = pwrite(f->fd[0], f->want + off, n, (off_t)off);
	if (got != (ssize_t)n)
		bad("write gave %zd", got);
	grown(f, off + n);
	return true;
}

static bool op_append(struct file *f)
{
	uint64_t n = 1 + below(percent(80) ? 3000 : 40000);
	ssize_t got = 0;

	if (n > max - f->size)
		return true;
	note(f->size, n, "");
	fill(f->want + f->size, n);
	got = write(f->fd[1], f->want + f->size, n);
	if (got != (ssize_t)n)
		bad("append gave %zd", got);
	f->size += n;
	check_size(f);
	return true;
}

static bool op_truncate(struct file *f)
{
	uint64_t to = percent(20) ? 0 :
		      percent(50) ? below(f->size + 1) :
				    below(max + 1);
	bool path = percent(30);

	note(to, 0, path ? "by path" : "");
	if ((path ? truncate(f->path, (off_t)to) :
		    ftruncate(f->fd[0], (off_t)to)) < 0)
		bad("truncate");
	cut(f, to);
	check_size(f);
	return true;
}

static uint8_t *map_range(struct file *f, int prot, uint64_t off, uint64_t end)
{
	uint64_t from = off - off % PAGE;
	int fd = f->fd[prot & PROT_WRITE ? 0 : 2];
	uint8_t *p = mmap(NULL, end - from, prot, MAP_SHARED, fd, (off_t)from);

	if (p == MAP_FAILED)
		bad("mmap");
	return p;
}

static bool op_map_read(struct file *f)
{
	uint64_t off = 0;
	uint64_t n = 0;
	uint64_t end = 0;
	uint8_t *p = NULL;

	if (f->size == 0)
		return true;
	range(&off, &n, f->size);
	note(off, n, "");
	end = (off + n + PAGE - 1) / PAGE * PAGE;
	p = map_range(f, PROT_READ, off, end);
	same(p + off % PAGE, f->want + off, off, n, "map");
	for (uint64_t i = f->size; i < end; i++)
		if (p[i - (off - off % PAGE)] != 0)
			bad("byte %" PRIu64 " behind the end is not zero", i);
	munmap(p, end - (off - off % PAGE));
	return true;
}

static bool op_map_write(struct file *f)
{
	unsigned how = (unsigned)below(3);
	uint64_t off = 0;
	uint64_t n = 0;
	uint64_t end = 0;
	uint8_t *p = NULL;

	if (f->size == 0)
		return true;
	range(&off, &n, f->size);
	note(off, n, how == 0 ? "MS_SYNC" : how == 1 ? "MS_ASYNC" : "");
	end = off + n;
	p = map_range(f, PROT_READ | PROT_WRITE, off, end);
	fill(f->want + off, n);
	memcpy(p + off % PAGE, f->want + off, n);
	if (how < 2 && msync(p, end - (off - off % PAGE),
			     how == 0 ? MS_SYNC : MS_ASYNC) < 0)
		bad("msync");
	if (munmap(p, end - (off - off % PAGE)) < 0)
		bad("munmap");
	return true;
}

/* fallocate; false when the mode is not supported. */
static bool reserve(struct file *f, int mode, uint64_t off, uint64_t n)
{
	if (fallocate(f->fd[0], mode, (off_t)off, (off_t)n) == 0)
		return true;
	if (errno != EOPNOTSUPP)
		bad("fallocate, mode %d", mode);
	return false;
}

static bool op_punch(struct file *f)
{
	uint64_t off = 0;
	uint64_t n = 0;

	range(&off, &n, max);
	note(off, n, "");
	if (!reserve(f, PUNCH, off, n))
		return false;
	memset(f->want + off, 0, n);
	return true;
}

static bool op_zero(struct file *f)
{
	bool keep = percent(50);
	uint64_t off = 0;
	uint64_t n = 0;

	range(&off, &n, max);
	note(off, n, keep ? "keeps the size" : "");
	if (!reserve(f, keep ? ZERO | KEEP : ZERO, off, n))
		return false;
	memset(f->want + off, 0, n);
	if (!keep)
		grown(f, off + n);
	check_size(f);
	return true;
}

static bool op_reserve(struct file *f)
{
	bool keep = percent(70);
	uint64_t off = 0;
	uint64_t n = 0;

	range(&off, &n, max);
	note(off, n, keep ? "keeps the size" : "");
	if (!reserve(f, keep ? KEEP : 0, off, n))
		return false;
	if (!keep)
		grown(f, off + n);
	check_size(f);
	return true;
}

static bool op_copy(struct file *f)
{
	struct file *to = &files[below(FILES)];
	uint64_t off = 0;
	uint64_t n = 0;
	uint64_t at = 0;
	off_t in = 0;
	off_t out = 0;
	ssize_t got = 0;

	if (f->size == 0)
		return true;
	range(&off, &n, f->size);
	at = below(max - n + 1);
	if (percent(30))
		at -= at % PAGE;
	if (to == f && at < off + n && off < at + n)
		return true; /* EINVAL, and not our question */
	note(off, n, to == f ? "within" : "to the other");
	in = (off_t)off;
	out = (off_t)at;
	got = copy_file_range(f->fd[0], &in, to->fd[0], &out, n, 0);
	if (got < 0 && (errno == EOPNOTSUPP || errno == EXDEV))
		return false;
	if (got <= 0)
		bad("copy_file_range to %" PRIu64 " gave %zd", at, got);
	memmove(to->want + at, f->want + off, (size_t)got);
	grown(to, at + (uint64_t)got);
	check_read(to, to->fd[2], at, (uint64_t)got, "the copy");
	return true;
}

static bool op_direct(struct file *f)
{
	bool writes = percent(50);
	uint64_t off = below(max / PAGE) * PAGE;
	uint64_t n = (1 + below(16)) * PAGE;
	int fd = open(f->path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0) {
		if (errno != EINVAL)
			bad("open for direct I/O");
		return false;
	}
	if (n > max - off)
		n = max - off;
	note(off, n, writes ? "write" : "read");
	if (!writes) {
		check_read(f, fd, off, n, "direct read");
	} else {
		fill(buf, n);
		if (pwrite(fd, buf, n, (off_t)off) != (ssize_t)n)
			bad("direct write");
		memcpy(f->want + off, buf, n);
		grown(f, off + n);
	}
	if (close(fd) < 0)
		bad("close");
	return true;
}

/* Data and holes take turns up to the end, and holes are zeros. */
static bool op_seek(struct file *f)
{
	off_t at = 0;

	note(0, f->size, "");
	while ((uint64_t)at < f->size) {
		off_t data = lseek(f->fd[2], at, SEEK_DATA);
		off_t end = (off_t)f->size;

		if (data < 0 && errno != ENXIO)
			bad("SEEK_DATA from %" PRId64, (int64_t)at);
		if (data >= 0 && (data < at || data >= (off_t)f->size))
			bad("SEEK_DATA from %" PRId64 " gave %" PRId64,
			    (int64_t)at, (int64_t)data);
		for (off_t i = at; i < (data < 0 ? end : data); i++)
			if (f->want[i] != 0)
				bad("byte %" PRId64 " in a hole", (int64_t)i);
		if (data < 0)
			return true;
		at = lseek(f->fd[2], data, SEEK_HOLE);
		if (at <= data || at > (off_t)f->size)
			bad("SEEK_HOLE from %" PRId64 " gave %" PRId64,
			    (int64_t)data, (int64_t)at);
	}
	return true;
}

static bool op_fsync(struct file *f)
{
	bool data = percent(50);

	note(0, 0, data ? "data" : "");
	if ((data ? fdatasync(f->fd[0]) : fsync(f->fd[0])) < 0)
		bad("fsync");
	return true;
}

static bool op_reopen(struct file *f)
{
	note(0, 0, "");
	close_file(f);
	open_file(f);
	check_all(f);
	return true;
}

static bool op_forget(struct file *f)
{
	note(0, 0, "");
	if (posix_fadvise(f->fd[2], 0, 0, POSIX_FADV_DONTNEED) != 0)
		bad("fadvise");
	if (percent(20))
		check_all(f);
	return true;
}

static bool op_drop(struct file *f)
{
	note(0, 0, "");
	if (!may_drop || !drop_caches())
		return false;
	check_all(f);
	return true;
}

static bool op_sync(struct file *f)
{
	(void)f;
	note(0, 0, "");
	if (!sync_command)
		return false;
	if (!command_run(sync_command))
		bad("%s", sync_command);
	return true;
}

static struct op ops[] = {
	{ "read", op_read, 3000, 0, 0 },
	{ "write", op_write, 2200, 0, 0 },
	{ "append", op_append, 400, 0, 0 },
	{ "truncate", op_truncate, 400, 0, 0 },
	{ "map read", op_map_read, 900, 0, 0 },
	{ "map write", op_map_write, 700, 0, 0 },
	{ "punch", op_punch, 300, 0, 0 },
	{ "zero", op_zero, 300, 0, 0 },
	{ "reserve", op_reserve, 150, 0, 0 },
	{ "copy", op_copy, 400, 0, 0 },
	{ "direct", op_direct, 300, 0, 0 },
	{ "seek", op_seek, 300, 0, 0 },
	{ "fsync", op_fsync, 150, 0, 0 },
	{ "reopen", op_reopen, 150, 0, 0 },
	{ "forget", op_forget, 150, 0, 0 },
	{ "drop", op_drop, 1, 0, 0 },
	{ "sync", op_sync, 2, 0, 0 },
};

enum { OPS = sizeof(ops) / sizeof(ops[0]) };

static struct op *choose(void)
{
	uint64_t all = 0;
	uint64_t at = 0;
	struct op *o = ops;

	for (unsigned i = 0; i < OPS; i++)
		all += ops[i].weight;
	at = below(all);
	while (at >= o->weight)
		at -= (o++)->weight;
	return o;
}

/* All have closed theirs, one does it, all go on. */
static void remount(void)
{
	for (unsigned i = 0; i < FILES; i++)
		close_file(&files[i]);
	pthread_barrier_wait(meeting);
	if (process == 0 && !command_run(remount_command))
		bad("%s", remount_command);
	pthread_barrier_wait(meeting);
	for (unsigned i = 0; i < FILES; i++) {
		open_file(&files[i]);
		check_all(&files[i]);
	}
}

static void set_up(const char *dir)
{
	buf = aligned_alloc(PAGE, max + PAGE);
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &files[i];

		snprintf(f->path, sizeof(f->path), "%s/fsx.%" PRIu64 ".%u.%u",
			 dir, seed, process, i);
		unlink(f->path);
		f->want = calloc(1, max + PAGE);
		if (!f->want || !buf)
			bad("memory");
		open_file(f);
	}
}

static void tell(uint64_t n)
{
	printf("fsx: SEED=%" PRIu64 ", process %u of %u: %" PRIu64
	       " operations:",
	       seed, process, processes, n);
	for (unsigned i = 0; i < OPS; i++)
		printf(" %s %" PRIu64, ops[i].name, ops[i].done);
	for (unsigned i = 0; i < OPS; i++)
		if (ops[i].unsupported > 0)
			printf("; %s is not supported", ops[i].name);
	printf("\n");
}

static void work(const char *dir, uint64_t n, uint64_t every)
{
	chance.state = seed + process * UINT64_C(1000003);
	set_up(dir);
	for (count = 0; count < n; count++) {
		struct file *f = &files[below(FILES)];
		struct op *o = choose();

		*now() = (struct line){ o->name, (unsigned)(f - files),
					0,	 0,
					f->size, "" };
		if (o->run(f))
			o->done++;
		else
			o->unsupported++;
		if (remount_command && every && count % every == every - 1)
			remount();
	}
	for (unsigned i = 0; i < FILES; i++) {
		check_all(&files[i]);
		close_file(&files[i]);
	}
	tell(n);
}

static void meet(void)
{
	pthread_barrierattr_t attr;

	meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (meeting == MAP_FAILED)
		bad("memory");
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(meeting, &attr, processes);
}

/* One that fails leaves the others where they meet: it is the end of all. */
static bool work_together(const char *dir, uint64_t n, uint64_t every)
{
	pid_t pids[PROCESSES_MAX];
	bool good = true;
	int status = 0;

	for (process = 0; process < processes; process++) {
		pids[process] = fork();
		if (pids[process] < 0)
			bad("fork");
		if (pids[process] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			work(dir, n, every);
			exit(0);
		}
	}
	while (good && wait(&status) > 0)
		good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSIGNALED(status))
		printf("fsx: SEED=%" PRIu64 ": %s\n", seed,
		       strsignal(WTERMSIG(status)));
	for (unsigned i = 0; i < processes && !good; i++)
		kill(pids[i], SIGKILL); /* waited for: none, or ours */
	return good;
}

int main(int argc, char **argv)
{
	uint64_t every = 0;
	int c = 0;

	while ((c = getopt(argc, argv, "p:l:s:r:R:d")) != -1) {
		switch (c) {
		case 'p':
			processes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			max = strtoull(optarg, NULL, 10) / PAGE * PAGE;
			break;
		case 's':
			sync_command = optarg;
			break;
		case 'r':
			remount_command = optarg;
			break;
		case 'R':
			every = strtoull(optarg, NULL, 10);
			break;
		case 'd':
			may_drop = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 3 || max == 0 || processes == 0 ||
	    processes > PROCESSES_MAX)
		return 2;
	seed = strtoull(argv[optind + 1], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	meet();
	return work_together(argv[optind], strtoull(argv[optind + 2], NULL, 10),
			     every) ?
		       0 :
		       1;
}
