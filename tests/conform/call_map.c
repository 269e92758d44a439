/*
 * call_map.c - steps with mapped files.  A mapping has a number of its own;
 * touching what is not there answers SIGBUS or SIGSEGV.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/call.h"

static struct map {
	char *p;
	size_t n;
} maps[CTX_HELD];

static sigjmp_buf after_fault;
static volatile sig_atomic_t fault;

static void faulted(int sig)
{
	fault = sig;
	siglongjmp(after_fault, 1);
}

static struct map *map_of(const char *word)
{
	if (word[0] < '0' || word[0] > '9' || word[1])
		abort();
	return &maps[word[0] - '0'];
}

void call_close_maps(void)
{
	for (int i = 0; i < CTX_HELD; i++)
		if (maps[i].p)
			munmap(maps[i].p, maps[i].n);
	memset(maps, 0, sizeof(maps));
}

/* map M N r|w|rw|x shared|private OFF LEN */
static int do_map(struct ctx *x, int n, char **arg)
{
	struct map *m = map_of(arg[0]);
	int prot = (strchr(arg[2], 'r') ? PROT_READ : 0) |
		   (strchr(arg[2], 'w') ? PROT_WRITE : 0) |
		   (strchr(arg[2], 'x') ? PROT_EXEC : 0);
	size_t len = (size_t)call_number(arg[5]);
	char *p = mmap(NULL, len, prot,
		       !strcmp(arg[3], "shared") ? MAP_SHARED : MAP_PRIVATE,
		       *call_held(x, arg[1]), call_number(arg[4]));

	(void)n;
	if (p == MAP_FAILED)
		return -1;
	*m = (struct map){ p, len };
	return 0;
}

static int do_unmap(struct ctx *x, int n, char **arg)
{
	struct map *m = map_of(arg[0]), was = *m;

	(void)x, (void)n;
	m->p = NULL;
	return munmap(was.p, was.n);
}

/* Catches the fault of what follows; returns the signal the second time. */
static void watch(bool on)
{
	struct sigaction sa = { .sa_handler = on ? faulted : SIG_DFL,
				.sa_flags = SA_NODEFER };

	fault = 0;
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

static int said_fault(struct ctx *x)
{
	int sig = fault;

	watch(false);
	call_say(x, sig == SIGBUS ? "SIGBUS" : "SIGSEGV");
	return 0;
}

/* mput M OFF LEN CHAR */
static int do_mput(struct ctx *x, int n, char **arg)
{
	char *p = map_of(arg[0])->p + call_number(arg[1]);
	size_t len = (size_t)call_number(arg[2]);

	(void)n;
	watch(true);
	if (sigsetjmp(after_fault, 1))
		return said_fault(x);
	memset(p, arg[3][0] == '.' ? 0 : arg[3][0], len);
	watch(false);
	return 0;
}

/* mget M OFF LEN */
static int do_mget(struct ctx *x, int n, char **arg)
{
	const char *p = map_of(arg[0])->p + call_number(arg[1]);
	size_t len = (size_t)call_number(arg[2]);
	char *copy = malloc(len ? len : 1);

	(void)n;
	watch(true);
	if (sigsetjmp(after_fault, 1)) {
		free(copy);
		return said_fault(x);
	}
	memcpy(copy, p, len);
	watch(false);
	call_say_bytes(x, copy, len);
	free(copy);
	return 0;
}

/* msync M sync|async|invalidate */
static int do_msync(struct ctx *x, int n, char **arg)
{
	struct map *m = map_of(arg[0]);

	(void)x, (void)n;
	return msync(m->p, m->n,
		     !strcmp(arg[1], "sync")  ? MS_SYNC :
		     !strcmp(arg[1], "async") ? MS_ASYNC :
						MS_SYNC | MS_INVALIDATE);
}

/* mremap M LEN */
static int do_mremap(struct ctx *x, int n, char **arg)
{
	struct map *m = map_of(arg[0]);
	size_t len = (size_t)call_number(arg[1]);
	char *p = mremap(m->p, m->n, len, MREMAP_MAYMOVE);

	(void)x, (void)n;
	if (p == MAP_FAILED)
		return -1;
	*m = (struct map){ p, len };
	return 0;
}

/* madvise M dontneed|remove OFF LEN */
static int do_madvise(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return madvise(map_of(arg[0])->p + call_number(arg[2]),
		       (size_t)call_number(arg[3]),
		       !strcmp(arg[1], "remove") ? MADV_REMOVE : MADV_DONTNEED);
}

/* mwrite N M OFF LEN AT: write(2) from mapped memory; mread the other way */
static int do_mwrite(struct ctx *x, int n, char **arg)
{
	ssize_t k = pwrite(*call_held(x, arg[0]),
			   map_of(arg[1])->p + call_number(arg[2]),
			   (size_t)call_number(arg[3]), call_number(arg[4]));

	(void)n;
	if (k >= 0)
		call_say(x, "%zd", k);
	return k < 0 ? -1 : 0;
}

static int do_mread(struct ctx *x, int n, char **arg)
{
	ssize_t k = pread(*call_held(x, arg[0]),
			  map_of(arg[1])->p + call_number(arg[2]),
			  (size_t)call_number(arg[3]), call_number(arg[4]));

	(void)n;
	if (k >= 0)
		call_say(x, "%zd", k);
	return k < 0 ? -1 : 0;
}

const struct call call_maps[] = {
	{ "map", 6, 6, do_map, false },
	{ "unmap", 1, 1, do_unmap, false },
	{ "mput", 4, 4, do_mput, false },
	{ "mget", 3, 3, do_mget, false },
	{ "msync", 2, 2, do_msync, false },
	{ "mremap", 2, 2, do_mremap, false },
	{ "madvise", 4, 4, do_madvise, false },
	{ "mwrite", 5, 5, do_mwrite, false },
	{ "mread", 5, 5, do_mread, false },
	{ 0 },
};
