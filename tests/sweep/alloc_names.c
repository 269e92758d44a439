/*
 * alloc_names.c - names are put into a directory that was just made while the
 * n-th allocation fails, for every n until none does: an operation that fails
 * has changed nothing, the same one then succeeds, and the next mount has what
 * it made.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "fs/core/core.h"
#include "tests/sim/alloc.h"
#include "tests/sim/vol.h"

enum { ROOT = 1, CASES = 5, WHITEOUT = 1, RENAME_FLAG = 4 };

static const char *const cases[CASES] = { "rename", "whiteout", "link", "mknod",
					  "symlink" };

static void expect(bool ok, const char *which, uint64_t n, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s, allocation %llu: %s\n", which,
		(unsigned long long)n, what);
	abort();
}

static uint64_t make(struct core *c, const char *name, uint32_t mode)
{
	struct stat st;

	if (core_mknod(c, &vol_cred, ROOT, name, mode, 0, &st) < 0)
		abort();
	return st.st_ino;
}

static int act(struct core *c, unsigned which, uint64_t file, uint64_t dir)
{
	struct stat st;

	switch (which) {
	case 0:
		return core_rename(c, &vol_cred, ROOT, "file", dir, "name", 0);
	case WHITEOUT:
		return core_rename(c, &vol_cred, ROOT, "file", dir, "name",
				   RENAME_FLAG);
	case 2:
		return core_link(c, &vol_cred, file, dir, "name", &st);
	case 3:
		return core_mknod(c, &vol_cred, dir, "name", S_IFREG | 0644, 0,
				  &st);
	default:
		return core_symlink(c, &vol_cred, dir, "name", "to", &st);
	}
}

/* Is all as it was before, or as it is afterwards? */
static bool is(struct core *c, unsigned which, uint64_t dir, bool done)
{
	struct stat st;
	int old = core_lookup(c, ROOT, "file", &st);
	bool white = old == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
	int new = core_lookup(c, dir, "name", &st);

	return old == (done && which == 0 ? -ENOENT : 0) &&
	       white == (done && which == WHITEOUT) &&
	       new == (done ? 0 : -ENOENT);
}

/* False when fewer than n are needed. */
static bool fault(unsigned which, uint64_t n)
{
	struct vol v;
	uint64_t file, dir;
	bool struck;
	int rc;

	vol_init(&v, n);
	if (vol_mount(&v) < 0)
		abort();
	file = make(v.core, "file", S_IFREG | 0644);
	dir = make(v.core, "dir", S_IFDIR | 0755);
	alloc_begin();
	alloc_fail(n, false);
	rc = act(v.core, which, file, dir);
	(void)alloc_stop();
	struck = alloc_failed();
	expect(rc == 0 || (struck && rc == -ENOMEM), cases[which], n,
	       "an error of its own");
	expect(is(v.core, which, dir, rc == 0), cases[which], n, "half done");
	if (rc < 0)
		rc = act(v.core, which, file, dir);
	expect(rc == 0, cases[which], n, "it does not succeed now");
	if (vol_umount(&v) < 0 || vol_mount(&v) < 0)
		abort();
	expect(is(v.core, which, dir, true), cases[which], n,
	       "the next mount has something else");
	if (vol_umount(&v) < 0)
		abort();
	vol_release(&v);
	return struck;
}

int main(void)
{
	uint64_t n = 0, all = 0;

	log_set_level(0);
	for (unsigned i = 0; i < CASES; i++, all += n)
		for (n = 1; fault(i, n);)
			n++;
	printf("alloc_names: %llu allocations failed\n",
	       (unsigned long long)all);
	return all > 8 ? 0 : 1;
}
