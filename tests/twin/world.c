/*
 * world.c - random numbers, names, open files, and the comparison of answers.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/twin/world.h"

struct shared *world;
const struct worker *me;
int root[2], cwd[2] = { -1, -1 };
unsigned char *data, *got[2];
bool privileged;

/* --- random */

static uint64_t rng_state;

uint64_t rng(void)
{
	uint64_t z = (rng_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void rng_for(uint64_t seed, unsigned long op_no)
{
	rng_state = seed;
	rng_state = rng() ^ op_no * 0x2545f4914f6cdd1du;
	rng();
}

uint64_t below(uint64_t n)
{
	return rng() % n;
}

off_t any_offset(void)
{
	off_t o = (off_t)below(FILE_MAX);

	if (below(3) == 0)
		o &= ~4095;
	if (below(4) == 0)
		o %= 8192;
	return o;
}

size_t any_length(void)
{
	size_t n = below(IO_MAX);

	if (below(2) == 0)
		n %= 5000;
	if (below(4) == 0)
		n &= ~(size_t)4095;
	return n;
}

void fill(size_t n)
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

/* --- open files */

struct slot *any_slot(void)
{
	struct slot *all = world->slots[me->table];
	struct slot *sl = &all[below(SLOTS)];

	for (int i = 0; i < SLOTS && sl->fd[0] < 0; i++)
		sl = &all[below(SLOTS)];
	return sl;
}

/* Asked there: what is here must not be touched by choosing. */
bool slot_is(const struct slot *sl, mode_t type)
{
	struct stat st;

	return sl->fd[1] >= 0 && fstat(sl->fd[1], &st) == 0 &&
	       (st.st_mode & S_IFMT) == type;
}

struct slot *reg_slot(void)
{
	struct slot *sl = any_slot();

	for (int i = 0; i < 4 && !slot_is(sl, S_IFREG); i++)
		sl = any_slot();
	return sl;
}

void slot_close(struct slot *sl)
{
	if (sl->fd[0] >= 0)
		BOTH(close(sl->fd[s]));
	sl->fd[0] = sl->fd[1] = -1;
	sl->seek = 0;
}

struct slot *empty_slot(void)
{
	struct slot *sl = &world->slots[me->table][below(SLOTS)];

	slot_close(sl);
	return sl;
}

/* --- names */

/* Few of them, so that calls meet; odd bytes and lengths now and then. */
static size_t name_any(char *out, size_t cap)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "ff" };
	static const char *const odd[] = {
		"\xff\xfe", "new\nline", "-", "*", "...", "\x01\x7f"
	};
	unsigned kind = (unsigned)below(150);
	size_t n = kind == 2 ? 256 : 255;

	if (kind == 0)
		return (size_t)snprintf(out, cap, "%s", ANY(odd));
	if (kind > 2 || n >= cap)
		return (size_t)snprintf(out, cap, "%s", ANY(names));
	memset(out, 'n', n);
	out[n] = '\0';
	return n;
}

static void path_any(char *out, size_t cap)
{
	unsigned depth = 1 + (unsigned)below(3), odd = (unsigned)below(400);
	size_t at = 0;

	for (unsigned i = 0; i < depth; i++) {
		if (i)
			out[at++] = '/';
		at += name_any(out + at, cap - at);
	}
	if (odd < 8) /* below what the name is: never above where we are */
		snprintf(out + at, cap - at, "/%s",
			 odd < 2 ? ".." :
			 odd < 4 ? "." :
				   "");
	else if (odd == 8)
		out[0] = '\0';
	else if (odd == 9)
		snprintf(out, cap, ".");
	else if (odd == 10)
		while (at < PATH_MAX + 10)
			at += (size_t)snprintf(out + at, cap - at, "/a");
}

void place_any(struct place *p)
{
	uint64_t from = below(20);

	path_any(p->path, sizeof(p->path));
	for (int s = 0; s < 2; s++)
		p->at[s] = root[s];
	if (from < 3) {
		struct slot *sl = any_slot();

		/* an empty slot is -1, no descriptor */
		for (int s = 0; s < 2; s++)
			p->at[s] = sl->fd[s];
	} else if (from < 5 && cwd[0] >= 0) {
		p->at[0] = p->at[1] = AT_FDCWD;
	}
}

const char *place_text(const struct place *p)
{
	static char text[2][PATH_MAX * 2 + 40];
	static int turn;
	char *t = text[turn++ % 2];
	size_t n = 0;

	if (p->at[0] == AT_FDCWD)
		n = (size_t)snprintf(t, 40, "(cwd)");
	else if (p->at[0] != root[0])
		n = (size_t)snprintf(t, 40, "(%d)", p->at[0]);
	if (strlen(p->path) > 300)
		snprintf(t + n, 300, "%.20s... of %zu", p->path,
			 strlen(p->path));
	else
		snprintf(t + n, sizeof(text[0]) - n, "%s", p->path);
	return t;
}

/* --- who */

static void be(uid_t uid, gid_t gid, gid_t more)
{
	gid_t groups[2] = { gid, more };

	if (!privileged)
		return;
	/* of this process alone, not of a whole thread group: no libc */
	if (syscall(SYS_setresuid, 0, 0, 0) < 0 ||
	    syscall(SYS_setgroups, uid ? 2 : 0, groups) < 0 ||
	    syscall(SYS_setresgid, gid, gid, 0) < 0 ||
	    syscall(SYS_setresuid, uid, uid, 0) < 0)
		abort();
}

void as_root(void)
{
	be(0, 0, 0);
}

void as_self(void)
{
	be(me->uid, me->gid, me->more);
}

/* --- comparing */

void side_enter(int s)
{
	if (cwd[s] >= 0 && fchdir(cwd[s]) < 0 && errno != EACCES)
		differ("fchdir: %s", strerror(errno));
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(world->text, sizeof(world->text), format, ap);
	va_end(ap);
	if (getenv("TRACE"))
		fprintf(stderr, "%lu %s: %s\n", world->op_no, me->name,
			world->text);
}

void differ(const char *format, ...)
{
	va_list ap;

	printf("differ at %lu, %s, %s: ", world->op_no, me ? me->name : "all",
	       world->text);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	for (int i = 0; me && i < SLOTS; i++) {
		const struct slot *sl = &world->slots[me->table][i];
		char name[64], to[PATH_MAX] = "";

		snprintf(name, sizeof(name), "/proc/self/fd/%d", sl->fd[0]);
		if (sl->fd[0] >= 0 && readlink(name, to, sizeof(to) - 1) > 0)
			printf("open: %d %s flags %o\n", sl->fd[0], to,
			       (unsigned)sl->flags);
	}
	fflush(stdout);
	world->failed = true;
	sem_post(&world->done);
	_exit(1);
}

void same(long a, int ea, long b, int eb)
{
	if (a != b || (a < 0 && ea != eb))
		differ("%ld (%s) here, %ld (%s) there", a,
		       a < 0 ? strerror(ea) : "fine", b,
		       b < 0 ? strerror(eb) : "fine");
	if (a < 0)
		world->refused++;
	else
		world->fine++;
	if (getenv("TRACE"))
		fprintf(stderr, "\t%ld %s\n", a, a < 0 ? strerror(ea) : "");
}

void stats_same(const struct stat st[2], const char *what)
{
	const struct stat *a = &st[0], *b = &st[1];

	if (a->st_mode != b->st_mode)
		differ("%s: mode %o, not %o", what, a->st_mode, b->st_mode);
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		differ("%s: owner %u:%u, not %u:%u", what, a->st_uid, a->st_gid,
		       b->st_uid, b->st_gid);
	if (a->st_nlink != b->st_nlink)
		differ("%s: %lu links, not %lu", what,
		       (unsigned long)a->st_nlink, (unsigned long)b->st_nlink);
	if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
		differ("%s: size %lld, not %lld", what, (long long)a->st_size,
		       (long long)b->st_size);
	if (a->st_rdev != b->st_rdev)
		differ("%s: another device", what);
}

void slot_stat(const struct slot *sl)
{
	struct stat st[2];

	if (BOTH(fstat(sl->fd[s], &st[s])))
		stats_same(st, "the open file");
}
