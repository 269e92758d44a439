/*
 * tmp.c - see tmp.h.
 */
#include "tests/sim/tmp.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void tmp_init(struct tmp *t)
{
	const char *base = getenv("TMPDIR");

	if (base == NULL || base[0] != '/')
		base = "/tmp";
	snprintf(t->path, sizeof(t->path), "%s/vouchfs-test-XXXXXX", base);
	if (mkdtemp(t->path) == NULL) {
		perror(t->path);
		abort();
	}
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DNR)
		return 0;
	if (remove(path) < 0)
		perror(path);
	return 0;
}

void tmp_release(struct tmp *t)
{
	if (t->path[0] == '\0')
		return;
	nftw(t->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	t->path[0] = '\0';
}
