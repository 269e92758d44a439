/*
 * fsxmany.c - many writers and readers of one file, each byte accounted for.
 *
 *	fsxmany [-p PROCESSES] [-t THREADS] [-b OPS] [-s COMMAND] [-r COMMAND]
 *		[-d] DIR SEED ROUNDS
 *
 * The file is cut into slots; slot i belongs to worker i mod all, who alone
 * writes it: whole, in parts, through a map, or a hole into it.  Each word of 8
 * bytes says its slot, its place and the number of the write, so that whoever
 * reads it can tell: the owner must find what it wrote last, others a number
 * between the last write done before they read and the last one begun when they
 * had read.  Slots are pages in some rounds and lie across their ends in
 * others.  Between rounds nothing is open: the file is cut or made longer, the
 * volume synced (-s), mounted again (-r), the page cache emptied (-d).
 *
 * Exit 1 and words at the first word that nobody wrote.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/mount/fsx.h"

enum {
	PAGE = 4096,
	SLOTS_MAX = 8192,
	SLOT_MAX = 40 << 10,
	FILE_MAX = 2 << 20,
	WORD = 8,
	PROCESSES_MAX = 64,
};

/* What all processes share. */
struct shared {
	pthread_barrier_t barrier;
	/* numbers of each slot's newest write: begun, done, of zeros */
	_Atomic uint32_t begun[SLOTS_MAX];
	_Atomic uint32_t done[SLOTS_MAX];
	_Atomic uint32_t zeroed[SLOTS_MAX];
	_Atomic uint64_t ops, kinds[8];
	atomic_bool failed;
	uint32_t slot; /* bytes of one */
	uint32_t slots;
};

struct worker {
	struct chance chance;
	unsigned no;
	int fd, direct;
	uint8_t *buf; /* SLOT_MAX and a page, aligned */
	pthread_t thread;
	/* the last map, for on_bus() */
	const char *what;
	uint32_t slot;
	uint8_t *map;
	size_t map_n;
	off_t map_size;
	int may_retry;
	sigjmp_buf again;
};

static _Thread_local struct worker *me;
static struct shared *shared;
static char path[4000];
static unsigned processes = 4, threads = 2, batch = 300;
static uint64_t seed, rounds;
static const char *sync_command, *remount_command;
static bool may_drop;

__attribute__((format(printf, 1, 2), noreturn)) static void
bad(const char *format, ...)
{
	int err = errno;
	char words[400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	if (!atomic_exchange(&shared->failed, true))
		printf("fsxmany: SEED=%" PRIu64 ", slots of %u: %s (%s)\n",
		       seed, shared->slot, words, strerror(err));
	exit(1);
}

static uint64_t word_of(uint32_t slot, uint32_t at, uint32_t no)
{
	return (uint64_t)no << 32 | (uint64_t)(slot & 0xffff) << 16 |
	       (at & 0x7fff) << 1 | 1;
}

static unsigned words_of_slot(void)
{
	return shared->slot / WORD;
}

static off_t place(uint32_t slot)
{
	return (off_t)slot * shared->slot;
}

/* --- what a reader may find --- */

/*
 * A word that was read of a slot: of a write between lo, done before the read,
 * and hi, begun when it was over.  A hole is a write of zeros.
 */
static void check_word(uint32_t slot, uint32_t at, uint64_t got, uint32_t lo,
		       uint32_t hi, const char *how)
{
	uint32_t no = (uint32_t)(got >> 32);
	uint32_t hole = atomic_load(&shared->zeroed[slot]);

	if (got == 0) {
		if (hole < lo)
			bad("%s: slot %u, word %u is zero; write %u was done",
			    how, slot, at, lo);
		return;
	}
	if (got != word_of(slot, at, no))
		bad("%s: slot %u, word %u is %016" PRIx64
		    ", which nobody wrote there",
		    how, slot, at, got);
	if (no < lo || no > hi)
		bad("%s: slot %u, word %u is of write %u, not of %u to %u", how,
		    slot, at, no, lo, hi);
}

static void check_slot(uint32_t slot, const uint8_t *p, size_t n, uint32_t lo,
		       const char *how)
{
	uint32_t hi = atomic_load(&shared->begun[slot]);

	for (uint32_t at = 0; at < words_of_slot(); at++) {
		uint64_t got = 0;

		if ((at + 1) * WORD <= n)
			memcpy(&got, p + (size_t)at * WORD, WORD);
		check_word(slot, at, got, lo, hi, how);
	}
}

/* --- operations on one slot --- */

static uint32_t my_slot(struct worker *w)
{
	uint32_t all = processes * threads;
	uint32_t n = shared->slots / all;

	return (uint32_t)chance_below(&w->chance, n) * all + w->no;
}

static void write_all(struct worker *w, int fd, size_t from, size_t to,
		      uint32_t slot)
{
	ssize_t got =
		pwrite(fd, w->buf + from, to - from, place(slot) + (off_t)from);

	if (got != (ssize_t)(to - from))
		bad("write of slot %u gave %zd", slot, got);
}

static bool map_slot(struct worker *w, int prot, uint32_t slot, uint8_t **out,
		     size_t *out_n)
{
	size_t skip = (size_t)place(slot) % PAGE;
	struct stat st;

	if (fstat(w->fd, &st) < 0)
		bad("fstat");
	if (st.st_size < place(slot) + (off_t)shared->slot)
		return false;
	*out_n = skip + shared->slot;
	*out = mmap(NULL, *out_n, prot, MAP_SHARED, w->fd,
		    place(slot) - (off_t)skip);
	if (*out == MAP_FAILED)
		bad("mmap");
	w->what = prot & PROT_WRITE ? "write" : "read";
	w->slot = slot;
	w->map = *out;
	w->map_n = *out_n;
	w->map_size = st.st_size;
	w->may_retry = 50;
	return true;
}

/* False when the slot lies behind the end. */
/*
 * No maps where slots share pages: Linux 6.18 then shows the older bytes now
 * and then on any FUSE file system (tests/bench/passfs.c does it, too).
 */
static bool maps_are_sure(void)
{
	return shared->slot % PAGE == 0;
}

static bool write_map(struct worker *w, uint32_t slot)
{
	uint8_t *map = NULL;
	size_t n = 0;

	if (!map_slot(w, PROT_READ | PROT_WRITE, slot, &map, &n))
		return false;
	sigsetjmp(w->again, 1);
	for (size_t i = 0; i < shared->slot; i += WORD) {
		uint64_t word = 0;

		memcpy(&word, w->buf + i, WORD);
		/* others must not see half of it */
		atomic_store_explicit(
			(_Atomic uint64_t *)(void *)(map + n - shared->slot +
						     i),
			word, memory_order_relaxed);
	}
	if (chance_percent(&w->chance, 30) &&
	    msync(map, n, chance_percent(&w->chance, 50) ? MS_SYNC : MS_ASYNC) <
		    0)
		bad("msync");
	if (munmap(map, n) < 0)
		bad("munmap");
	return true;
}

static void write_parts(struct worker *w, uint32_t slot)
{
	size_t from = 0;

	while (from < shared->slot) {
		size_t n = (1 + chance_below(&w->chance, 200)) * WORD;
		size_t to = n < shared->slot - from ? from + n : shared->slot;

		write_all(w, w->fd, from, to, slot);
		from = to;
	}
}

static void do_write(struct worker *w)
{
	uint32_t slot = my_slot(w);
	uint32_t no = atomic_load(&shared->begun[slot]) + 1;
	unsigned how = (unsigned)chance_below(&w->chance, 10);

	for (uint32_t at = 0; at < words_of_slot(); at++) {
		uint64_t word = word_of(slot, at, no);

		memcpy(w->buf + (size_t)at * WORD, &word, WORD);
	}
	atomic_store(&shared->begun[slot], no);
	if (how < 3 && maps_are_sure() && write_map(w, slot))
		atomic_fetch_add(&shared->kinds[0], 1);
	else if (how < 5)
		write_parts(w, slot);
	else if (how == 5 && w->direct >= 0)
		write_all(w, w->direct, 0, shared->slot, slot);
	else
		write_all(w, w->fd, 0, shared->slot, slot);
	atomic_store(&shared->done[slot], no);
	atomic_fetch_add(&shared->kinds[1], 1);
}

static void do_hole(struct worker *w)
{
	uint32_t slot = my_slot(w);
	uint32_t no = atomic_load(&shared->begun[slot]) + 1;

	atomic_store(&shared->zeroed[slot], no);
	atomic_store(&shared->begun[slot], no);
	if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      place(slot), shared->slot) < 0)
		bad("hole");
	atomic_store(&shared->done[slot], no);
	atomic_fetch_add(&shared->kinds[2], 1);
}

/* In a slot of one's own, the last write done is the last begun. */
static void do_read(struct worker *w, uint32_t slot)
{
	bool direct = w->direct >= 0 && chance_percent(&w->chance, 20);
	uint8_t *map = NULL;
	uint32_t lo = atomic_load(&shared->done[slot]);
	size_t n = 0;
	ssize_t got = 0;

	if (chance_percent(&w->chance, 30) && maps_are_sure() &&
	    map_slot(w, PROT_READ, slot, &map, &n)) {
		sigsetjmp(w->again, 1);
		memcpy(w->buf, map + n - shared->slot, shared->slot);
		munmap(map, n);
		check_slot(slot, w->buf, shared->slot, lo, "map");
		atomic_fetch_add(&shared->kinds[3], 1);
		return;
	}
	got = pread(direct ? w->direct : w->fd, w->buf, shared->slot,
		    place(slot));
	if (got < 0)
		bad("read of slot %u", slot);
	check_slot(slot, w->buf, (size_t)got, lo, direct ? "direct" : "read");
	atomic_fetch_add(&shared->kinds[4], 1);
}

static void close_worker(struct worker *w)
{
	if (close(w->fd) < 0 || (w->direct >= 0 && close(w->direct) < 0))
		bad("close");
}

/* Direct I/O is for slots that are whole pages. */
static void open_worker(struct worker *w)
{
	w->direct = -1;
	w->fd = open(path, O_RDWR | O_CLOEXEC);
	if (w->fd < 0)
		bad("open");
	if (shared->slot % PAGE == 0)
		w->direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void step(struct worker *w)
{
	unsigned what = (unsigned)chance_below(&w->chance, 100);

	if (what < 35) {
		do_write(w);
	} else if (what < 40) {
		do_hole(w);
	} else if (what < 60) {
		do_read(w, my_slot(w));
	} else if (what < 93) {
		do_read(w, (uint32_t)chance_below(&w->chance, shared->slots));
	} else if (what < 95) {
		if (fsync(w->fd) < 0)
			bad("fsync");
	} else if (what < 98) {
		posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED);
	} else {
		close_worker(w);
		open_worker(w);
	}
	atomic_fetch_add(&shared->ops, 1);
}

/* --- between rounds --- */

/* What lies behind the end is zeros from now on. */
static void cut_file(struct chance *c)
{
	uint64_t to = chance_below(c, FILE_MAX / WORD) * WORD;

	if (truncate(path, (off_t)to) < 0)
		bad("truncate");
	for (uint32_t i = 0; i < shared->slots; i++) {
		uint32_t no = atomic_load(&shared->done[i]);

		if (place(i) + (off_t)shared->slot <= (off_t)to)
			continue;
		/* of one that is cut in two, a part is older than the hole */
		if (place(i) >= (off_t)to)
			no++;
		atomic_store(&shared->zeroed[i], no);
		atomic_store(&shared->begun[i], no);
		atomic_store(&shared->done[i], no);
	}
}

static void new_slots(struct chance *c)
{
	static const uint32_t sizes[] = { 64,	1008,  4096, 4104,
					  8192, 16408, 32768 };

	if (truncate(path, 0) < 0)
		bad("truncate");
	shared->slot = sizes[chance_below(c, sizeof(sizes) / sizeof(*sizes))];
	shared->slots = FILE_MAX / shared->slot;
	if (shared->slots > SLOTS_MAX)
		shared->slots = SLOTS_MAX;
	for (uint32_t i = 0; i < shared->slots; i++) {
		atomic_store(&shared->begun[i], 0);
		atomic_store(&shared->done[i], 0);
		atomic_store(&shared->zeroed[i], 0);
	}
}

static void between(struct chance *c, uint64_t round)
{
	unsigned what = (unsigned)chance_below(c, 10);

	if (round % 3 == 0)
		new_slots(c);
	else if (what < 4)
		cut_file(c);
	if (sync_command && what % 3 == 1 && !command_run(sync_command))
		bad("%s", sync_command);
	if (remount_command && round % 5 == 2 && !command_run(remount_command))
		bad("%s", remount_command);
	if (may_drop && what == 9)
		drop_caches();
}

/*
 * A page of a map could not be read, or lies behind what is the end now.  The
 * kernel's FUSE says so of good pages, too, once in some ten thousand faults
 * that race with pages let go (a plain pass-through sees the same, and no
 * request failed): tried again, and counted.
 */
static void on_bus(int sig, siginfo_t *info, void *ctx)
{
	struct worker *w = me;
	uint8_t *p = info->si_addr;
	struct stat st = { 0 };

	(void)sig;
	(void)ctx;
	fstat(w->fd, &st);
	if (w->may_retry-- > 0) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		atomic_fetch_add(&shared->kinds[5], 1);
		siglongjmp(w->again, 1);
	}
	bad("%s of slot %u: SIGBUS %zd bytes into the map of %zu; the file "
	    "has %" PRId64 " bytes, had %" PRId64,
	    w->what, w->slot, p - w->map, w->map_n, (int64_t)st.st_size,
	    (int64_t)w->map_size);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct chance common = { .state = seed };

	me = w;
	for (uint64_t r = 0; r < rounds; r++) {
		pthread_barrier_wait(&shared->barrier);
		if (w->no == 0)
			between(&common, r);
		pthread_barrier_wait(&shared->barrier);
		open_worker(w);
		if (r % 3 != 0) /* what the last round left */
			for (uint32_t i = w->no; i < shared->slots;
			     i += processes * threads)
				do_read(w, i);
		for (unsigned i = 0; i < batch; i++)
			step(w);
		close_worker(w);
	}
	return NULL;
}

static void process(unsigned first)
{
	struct worker *w = calloc(threads, sizeof(*w));

	struct sigaction bus = { .sa_sigaction = on_bus,
				 .sa_flags = SA_SIGINFO };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGBUS, &bus, NULL);
	if (!w)
		bad("memory");
	for (unsigned i = 0; i < threads; i++) {
		w[i].no = first + i;
		w[i].chance.state = seed * 1000003 + first + i;
		w[i].buf = aligned_alloc(PAGE, SLOT_MAX + PAGE);
		if (!w[i].buf ||
		    pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
			bad("thread");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(w[i].thread, NULL);
	exit(0);
}

static void set_up(const char *dir)
{
	pthread_barrierattr_t attr;
	int fd = 0;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		exit(1);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attr, processes * threads);
	snprintf(path, sizeof(path), "%s/fsxmany.%" PRIu64, dir, seed);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || close(fd) < 0)
		bad("open");
}

int main(int argc, char **argv)
{
	pid_t pids[PROCESSES_MAX];
	bool good = true;
	int status = 0;
	int c = 0;

	while ((c = getopt(argc, argv, "p:t:b:s:r:d")) != -1) {
		switch (c) {
		case 'p':
			processes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			threads = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			batch = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			sync_command = optarg;
			break;
		case 'r':
			remount_command = optarg;
			break;
		case 'd':
			may_drop = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 3 || processes * threads == 0 ||
	    processes > PROCESSES_MAX)
		return 2;
	seed = strtoull(argv[optind + 1], NULL, 10);
	rounds = strtoull(argv[optind + 2], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up(argv[optind]);
	for (unsigned i = 0; i < processes; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			bad("fork");
		if (pids[i] == 0)
			process(i * threads);
	}
	/* one that ends early leaves the others at the barrier */
	while (good && wait(&status) > 0)
		good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSIGNALED(status))
		printf("fsxmany: SEED=%" PRIu64 ", slots of %u: %s\n", seed,
		       shared->slot, strsignal(WTERMSIG(status)));
	if (!good || atomic_load(&shared->failed)) {
		for (unsigned i = 0; i < processes; i++)
			kill(pids[i], SIGKILL); /* waited for: none, or ours */
		return 1;
	}
	printf("fsxmany: SEED=%" PRIu64 ": %" PRIu64 " operations of %u "
	       "processes of %u threads: %" PRIu64 " writes, %" PRIu64
	       " of them by map, %" PRIu64 " holes, %" PRIu64 " reads, %" PRIu64
	       " by map, %" PRIu64 " faults tried again\n",
	       seed, atomic_load(&shared->ops), processes, threads,
	       atomic_load(&shared->kinds[1]), atomic_load(&shared->kinds[0]),
	       atomic_load(&shared->kinds[2]), atomic_load(&shared->kinds[4]),
	       atomic_load(&shared->kinds[3]), atomic_load(&shared->kinds[5]));
	return 0;
}
