/*
 * crashload.c - work that can be checked after the daemon was killed.
 *
 *	crashload run DIR LOG SEED	work in DIR until it breaks; log to LOG
 *	crashload check DIR LOG SEED	is DIR what the log says it must be?
 *
 * Operation number n is a pure function of SEED, n and the operations before
 * it, so the checker knows what the worker did.  LOG, outside the mount, has
 * a record before and one after each operation.  After a crash with
 * operations up to L begun and S the last acknowledged fsync:
 *
 *  1. the names in DIR and in two directories below it, and the modes and
 *     extended attributes, are those after operation k, for one k in S..L
 *     (operations take effect in order, none by halves);
 *  2. a file's bytes are those it had after some operation j, where j is not
 *     before the file's last acknowledged fsync, nor before a rename or link
 *     of it that is among the k (those save what they rename).
 *
 * check prints how many operations and syncs were acknowledged; it fails when
 * no sync was.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	NAMES = 12, /* a third in DIR, the others in s1 and s2 */
	PAGE = 4096,
	FILE_MAX = 400 * 1024,
	WRITE_MAX = 100 * 1024,
};

enum kind {
	CREATE,
	WRITE,
	APPEND,
	TRUNCATE,
	FSYNC,
	FSYNC_DIR,
	RENAME,
	EXCHANGE,
	UNLINK,
	LINK,
	WRITE_SYNC, /* O_SYNC */
	MMAP,	    /* within a page, then msync */
	PUNCH,
	CHMOD,
	SETXATTR,
};

static bool is_sync(enum kind k)
{
	return k == FSYNC || k == FSYNC_DIR || k == WRITE_SYNC || k == MMAP;
}

/* One change of a file's bytes: it has them from operation `at` on. */
struct past {
	uint32_t at;
	uint64_t hash;
	struct past *next;
};

struct file {
	uint8_t *bytes;
	size_t size;
	struct past *past;    /* youngest first */
	struct past *saves;   /* at: renames and links; youngest first */
	uint32_t synced;      /* last acknowledged fsync */
	uint32_t mode, xattr; /* the operations that set them; 0: none */
};

struct op {
	enum kind kind;
	int a, b; /* names */
	size_t at, len;
};

struct record {
	uint32_t n;
	uint32_t done;
};

static struct file *names[NAMES];
static uint8_t buffer[FILE_MAX];

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t hash(const uint8_t *p, size_t n)
{
	uint64_t h = mix(n), v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	for (; n > 0; p++, n--)
		h = mix(h ^ *p);
	return mix(h);
}

static void fill(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++) {
		if (i % 8 == 0)
			v = mix(v);
		p[i] = (uint8_t)(v >> (i % 8 * 8));
	}
}

/* What operation n is, given the names that exist. */
static struct op op_make(uint64_t seed, uint32_t n)
{
	static const enum kind kinds[] = {
		CREATE,	    WRITE,    WRITE, WRITE,	APPEND,
		APPEND,	    TRUNCATE, FSYNC, FSYNC,	RENAME,
		RENAME,	    UNLINK,   LINK,  FSYNC_DIR, EXCHANGE,
		WRITE_SYNC, MMAP,     PUNCH, CHMOD,	SETXATTR,
	};
	uint64_t r = mix(seed ^ mix(n));
	struct op op = {
		.kind = kinds[r % (sizeof(kinds) / sizeof(kinds[0]))],
		.a = (int)(r >> 8 & 0xff) % NAMES,
		.b = (int)(r >> 16 & 0xff) % NAMES,
		.at = (r >> 24) % (FILE_MAX - WRITE_MAX),
		.len = (r >> 44) % (r & 1 << 7 ? WRITE_MAX : 6000),
	};

	if (op.kind == APPEND && names[op.a])
		op.at = names[op.a]->size;
	if (!names[op.a] && op.kind != FSYNC_DIR)
		op.kind = CREATE;
	else if (names[op.a] && op.kind == CREATE)
		op.kind = WRITE;
	if (op.kind == APPEND && op.at + op.len > FILE_MAX)
		op.kind = TRUNCATE;
	if ((op.kind == RENAME || op.kind == LINK || op.kind == EXCHANGE) &&
	    (op.a == op.b || names[op.a] == names[op.b] ||
	     (op.kind == LINK && names[op.b]) ||
	     (op.kind == EXCHANGE && !names[op.b])))
		op.kind = FSYNC;
	if (op.kind == MMAP) {
		/* a page is written back whole, two are not */
		op.at = op.at / PAGE * PAGE + op.len % 1000;
		op.len = 1 + op.len % 3000;
		if (op.at + op.len > names[op.a]->size)
			op.kind = WRITE_SYNC;
	}
	return op;
}

/* All that is remembered, freed together at the end. */
static struct block {
	struct block *next;
} * blocks;

static void *get(size_t n)
{
	struct block *b = calloc(1, sizeof(*b) + n);

	if (!b)
		die("calloc");
	b->next = blocks;
	blocks = b;
	return b + 1;
}

static void free_all(void)
{
	while (blocks) {
		struct block *next = blocks->next;

		free(blocks);
		blocks = next;
	}
}

static void remember(struct past **list, uint32_t n, uint64_t h)
{
	struct past *p = get(sizeof(*p));

	*p = (struct past){ .at = n, .hash = h, .next = *list };
	*list = p;
}

/*
 * The kernel ends a WRITE request behind a page that it had not read and that
 * begins with other bytes: a write that is not acknowledged may be there up to
 * the end of its first page.
 */
static void first_page(struct file *f, const struct op *op, uint64_t seed,
		       uint32_t n)
{
	size_t part = PAGE - op->at % PAGE;

	if (part == PAGE || part >= op->len)
		return;
	fill(f->bytes + op->at, part, seed ^ n);
	if (f->size < op->at + part)
		f->size = op->at + part;
	remember(&f->past, n, hash(f->bytes, f->size));
}

/* The same in memory. */
static void op_model(const struct op *op, uint64_t seed, uint32_t n)
{
	struct file *f = names[op->a];
	size_t end = op->at + op->len;

	switch (op->kind) {
	case CREATE:
		f = names[op->a] = get(sizeof(*f));
		f->bytes = get(FILE_MAX);
		remember(&f->past, n, hash(f->bytes, 0));
		break;
	case WRITE:
	case APPEND:
	case WRITE_SYNC:
	case MMAP:
		if (op->len == 0)
			break;
		first_page(f, op, seed, n);
		fill(f->bytes + op->at, op->len, seed ^ n);
		f->size = end > f->size ? end : f->size;
		remember(&f->past, n, hash(f->bytes, f->size));
		break;
	case TRUNCATE:
		if (op->at < f->size)
			memset(f->bytes + op->at, 0, f->size - op->at);
		f->size = op->at;
		remember(&f->past, n, hash(f->bytes, f->size));
		break;
	case PUNCH:
		if (op->at >= f->size)
			break;
		memset(f->bytes + op->at, 0,
		       end > f->size ? f->size - op->at : op->len);
		remember(&f->past, n, hash(f->bytes, f->size));
		break;
	case CHMOD:
		f->mode = n;
		break;
	case SETXATTR:
		f->xattr = n;
		break;
	case RENAME:
		remember(&f->saves, n, 0);
		names[op->b] = f;
		names[op->a] = NULL;
		break;
	case EXCHANGE:
		remember(&f->saves, n, 0);
		remember(&names[op->b]->saves, n, 0);
		names[op->a] = names[op->b];
		names[op->b] = f;
		break;
	case LINK:
		remember(&f->saves, n, 0);
		names[op->b] = f;
		break;
	case UNLINK:
		names[op->a] = NULL;
		break;
	case FSYNC:
	case FSYNC_DIR:
		break;
	}
}

static mode_t mode_of(uint32_t n)
{
	return n ? 0600 | (n & 0077) : 0644;
}

static int write_mapped(int fd, const struct op *op)
{
	size_t at = op->at / PAGE * PAGE;
	uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  (off_t)at);
	int rc;

	if (p == MAP_FAILED)
		return -1;
	memcpy(p + (op->at - at), buffer, op->len);
	rc = msync(p, PAGE, MS_SYNC);
	munmap(p, PAGE);
	return rc;
}

static int change_file(int fd, const struct op *op, uint32_t n)
{
	switch (op->kind) {
	case TRUNCATE:
		return ftruncate(fd, (off_t)op->at);
	case FSYNC:
		return fsync(fd);
	case MMAP:
		return write_mapped(fd, op);
	case PUNCH:
		if (op->len == 0)
			return 0;
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)op->at, (off_t)op->len);
	case CHMOD:
		return fchmod(fd, mode_of(n));
	case SETXATTR:
		return fsetxattr(fd, "user.n", &n, sizeof(n), 0);
	default:
		return 0;
	}
}

static int write_file(int dir, const char *name, const struct op *op,
		      uint64_t seed, uint32_t n)
{
	int flags = op->kind == CREATE	   ? O_CREAT | O_EXCL :
		    op->kind == APPEND	   ? O_APPEND :
		    op->kind == WRITE_SYNC ? O_SYNC :
					     0;
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | flags, 0644);
	int rc = fd < 0 ? -1 : 0;
	ssize_t done = (ssize_t)op->len;

	fill(buffer, op->len, seed ^ n);
	if (rc == 0 && (op->kind == WRITE || op->kind == APPEND ||
			op->kind == WRITE_SYNC)) {
		done = op->kind == APPEND ?
			       write(fd, buffer, op->len) :
			       pwrite(fd, buffer, op->len, (off_t)op->at);
		rc = done == (ssize_t)op->len ? 0 : -1;
	} else if (rc == 0) {
		rc = change_file(fd, op, n);
	}
	if (fd >= 0 && close(fd) != 0)
		rc = -1;
	return rc;
}

static void path_of(char out[16], int i)
{
	if (i % 3)
		snprintf(out, 16, "s%d/f%d", i % 3, i);
	else
		snprintf(out, 16, "f%d", i);
}

static int op_do(int dir, const struct op *op, uint64_t seed, uint32_t n)
{
	char a[16], b[16];

	path_of(a, op->a);
	path_of(b, op->b);
	switch (op->kind) {
	case EXCHANGE:
		return renameat2(dir, a, dir, b, RENAME_EXCHANGE);
	case RENAME:
		return renameat(dir, a, dir, b);
	case LINK:
		return linkat(dir, a, dir, b, 0);
	case UNLINK:
		return unlinkat(dir, a, 0);
	case FSYNC_DIR:
		return fsync(dir);
	default:
		return write_file(dir, a, op, seed, n);
	}
}

static void note(int log, uint32_t n, uint32_t done)
{
	struct record r = { n, done };

	if (write(log, &r, sizeof(r)) != sizeof(r))
		die("log");
}

/* What EIO is to a write(2): the page was asked of a daemon that was killed. */
static void page_lost(int signal)
{
	(void)signal;
	_exit(0);
}

static int run(int dir, int log, uint64_t seed)
{
	signal(SIGBUS, page_lost);
	if (mkdirat(dir, "s1", 0755) != 0 || mkdirat(dir, "s2", 0755) != 0 ||
	    fsync(dir) != 0) {
		/* killed so soon: nothing was begun, nothing is proved */
		note(log, 0, 0);
		return 0;
	}
	for (uint32_t n = 1;; n++) {
		struct op op = op_make(seed, n);

		note(log, n, 0);
		if (op_do(dir, &op, seed, n) != 0) {
			if (errno == ENOTCONN || errno == ECONNABORTED ||
			    errno == EIO || errno == EINTR)
				return 0;
			printf("operation %u, kind %d: %s\n", n, op.kind,
			       strerror(errno));
			return 1;
		}
		note(log, n, 1);
		op_model(&op, seed, n);
	}
}

/* --- check --- */

struct seen {
	bool there;
	uint64_t hash;
	size_t size;
	ino_t ino;
	mode_t mode;
	uint32_t xattr;
};

static int look(int dir, struct seen *seen)
{
	static uint8_t bytes[FILE_MAX + 1];
	struct stat st;
	char name[16];

	for (int i = 0; i < NAMES; i++) {
		ssize_t n;
		int fd;

		path_of(name, i);
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || fstat(fd, &st) != 0 ||
		    (n = pread(fd, bytes, sizeof(bytes), 0)) < 0) {
			printf("%s: %s\n", name, strerror(errno));
			return 1;
		}
		seen[i] = (struct seen){
			true,	   hash(bytes, (size_t)n), (size_t)n,
			st.st_ino, st.st_mode & 07777,	   0
		};
		if (fgetxattr(fd, "user.n", &seen[i].xattr,
			      sizeof(seen[i].xattr)) < 0 &&
		    errno != ENODATA) {
			printf("%s: xattr: %s\n", name, strerror(errno));
			return 1;
		}
		close(fd);
		if (n != st.st_size) {
			printf("%s: %zd bytes, not %lld\n", name, n,
			       (long long)st.st_size);
			return 1;
		}
	}
	return 0;
}

struct state {
	struct file *names[NAMES];
	uint32_t mode[NAMES], xattr[NAMES];
};

static bool names_fit(const struct seen *seen, const struct state *s)
{
	for (int i = 0; i < NAMES; i++) {
		if (seen[i].there != (names[i] != NULL))
			return false;
		if (names[i] && (seen[i].mode != mode_of(s->mode[i]) ||
				 seen[i].xattr != s->xattr[i]))
			return false;
		for (int j = 0; j < i; j++)
			if (seen[i].there && seen[j].there &&
			    (seen[i].ino == seen[j].ino) !=
				    (names[i] == names[j]))
				return false;
	}
	return true;
}

/* k: the names are those after operation k. */
static int bytes_fit(const struct seen *seen, uint32_t k, char *why, size_t cap)
{
	for (int i = 0; i < NAMES; i++) {
		struct file *f = names[i];
		uint32_t floor;
		const struct past *p;
		bool fits = false;

		if (!f)
			continue;
		floor = f->synced;
		for (p = f->saves; p; p = p->next)
			if (p->at <= k && p->at > floor)
				floor = p->at;
		for (p = f->past; p && !fits; p = p->next) {
			fits = p->hash == seen[i].hash;
			if (p->at <= floor)
				break; /* what it had then, nothing older */
		}
		if (!fits) {
			snprintf(why, cap,
				 "f%d has bytes (%zu) that it had at no time "
				 "since operation %u",
				 i, seen[i].size, floor);
			return 0;
		}
	}
	return 1;
}

static int check(int dir, int log, uint64_t seed)
{
	struct seen seen[NAMES] = { 0 };
	struct state *states;
	struct record r;
	uint32_t begun = 0, done = 0, synced = 0, syncs = 0;
	char why[200] = "no order of operations gives these names";
	int found = 0;

	while (read(log, &r, sizeof(r)) == sizeof(r))
		*(r.done ? &done : &begun) = r.n;
	states = get((begun + 1) * sizeof(*states));
	for (uint32_t n = 1; n <= begun; n++) {
		struct op op = op_make(seed, n);

		op_model(&op, seed, n);
		if (n <= done && is_sync(op.kind)) {
			synced = n;
			syncs++;
			if (op.kind != FSYNC_DIR)
				names[op.a]->synced = n;
		}
		memcpy(states[n].names, names, sizeof(names));
		for (int i = 0; i < NAMES; i++) {
			states[n].mode[i] = names[i] ? names[i]->mode : 0;
			states[n].xattr[i] = names[i] ? names[i]->xattr : 0;
		}
	}
	if (look(dir, seen) != 0)
		return 1;
	for (uint32_t k = synced; k <= begun && !found; k++) {
		memcpy(names, states[k].names, sizeof(names));
		if (names_fit(seen, &states[k]))
			found = bytes_fit(seen, k, why, sizeof(why));
	}
	printf("%u operations, %u syncs acknowledged, last %u of %u: %s\n",
	       done, syncs, synced, begun, found ? "kept" : why);
	if (syncs == 0)
		printf("nothing was synced: nothing is proved\n");
	return found && syncs > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool running = argc == 5 && strcmp(argv[1], "run") == 0;
	int dir, log, rc;
	uint64_t seed;

	if (argc != 5) {
		fprintf(stderr, "usage: crashload run|check DIR LOG SEED\n");
		return 2;
	}
	dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die(argv[2]);
	log = open(
		argv[3],
		(running ? O_WRONLY | O_CREAT | O_TRUNC | O_APPEND : O_RDONLY) |
			O_CLOEXEC,
		0644);
	if (log < 0)
		die(argv[3]);
	seed = strtoull(argv[4], NULL, 0);
	rc = running ? run(dir, log, seed) : check(dir, log, seed);
	free_all();
	return rc;
}
