/*
 * inverse_place.c - directories of a plan, where they are by now: those that
 * move while it is carried out take what is below with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "mount-tools/inverse_int.h"

char *inverse_join(const char *dir, const char *name)
{
	char *s = NULL;

	if (asprintf(&s, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return NULL;
	return s;
}

/* What `path` is called after one directory moved; NULL: no memory. */
static char *moved(char *path, const struct inverse_renamed *r)
{
	size_t n = strlen(r->from);
	char *s;

	if (strncmp(path, r->from, n) != 0 || (path[n] && path[n] != '/'))
		return path;
	if (asprintf(&s, "%s%s", r->to, path + n) < 0)
		s = NULL;
	free(path);
	return s;
}

static char *path_now(struct inverse *x, const char *path, size_t since)
{
	char *s = strdup(path);

	for (size_t i = since; s && i < x->n_renamed; i++)
		s = moved(s, &x->renamed[i]);
	return s;
}

bool inverse_is_directory(const struct inverse_one *o)
{
	return strcmp(o->type, "directory") == 0;
}

static int by_ino(const void *a, const void *b)
{
	const struct inverse_one *x = *(struct inverse_one *const *)a;
	const struct inverse_one *y = *(struct inverse_one *const *)b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

struct inverse_one *inverse_of(struct inverse *x, uint64_t ino)
{
	size_t lo = 0, hi = x->n;

	if (!x->by_ino) {
		x->by_ino = calloc(x->n + 1, sizeof(struct inverse_one *));
		if (!x->by_ino)
			return NULL;
		memcpy(x->by_ino, x->v, x->n * sizeof(struct inverse_one *));
		qsort(x->by_ino, x->n, sizeof(struct inverse_one *), by_ino);
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->by_ino[mid]->ino == ino)
			return x->by_ino[mid];
		if (x->by_ino[mid]->ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static const struct inverse_one *find_made(struct inverse *x, uint64_t ino)
{
	const struct inverse_one *o = inverse_of(x, ino);

	return o && o->made ? o : NULL;
}

char *inverse_dir_path(struct inverse *x, const struct inverse_name *n)
{
	const struct inverse_one *m = find_made(x, n->in);

	if (m)
		return path_now(x, m->made, m->made_renamed);
	return n->dir ? path_now(x, n->dir, 0) : NULL;
}

/*
 * Of the last one we keep a descriptor: plans go by path, and each look at a
 * directory that has just changed is a request.
 */
static int keep_dir(struct inverse *x, uint64_t in, int fd)
{
	if (x->last_dir >= 0)
		close(x->last_dir);
	x->last_dir = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	x->last_in = in;
	return fd;
}

int inverse_dir(struct inverse *x, const struct inverse_name *n)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve =
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	autofree char *path = NULL;
	uint64_t ino = 0;
	long fd;
	int rc;

	if (x->last_dir >= 0 && x->last_in == n->in) {
		rc = fcntl(x->last_dir, F_DUPFD_CLOEXEC, 0);
		return rc < 0 ? -errno : rc;
	}
	path = inverse_dir_path(x, n);
	if (!path)
		return -ENOENT;
	fd = syscall(SYS_openat2, x->root, *path ? path : ".", &how,
		     sizeof(how));
	if (fd < 0)
		return errno == ELOOP ? -ESTALE : -errno;
	rc = inverse_ino_at((int)fd, "", &ino);
	if (rc < 0 || (ino != n->in && !find_made(x, n->in))) {
		close((int)fd);
		return -ESTALE;
	}
	return keep_dir(x, n->in, (int)fd);
}

int inverse_note_renamed(struct inverse *x, const char *from, const char *to)
{
	struct inverse_renamed *v =
		reallocarray(x->renamed, x->n_renamed + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	x->renamed = v;
	v[x->n_renamed] = (struct inverse_renamed){ strdup(from), strdup(to) };
	if (!v[x->n_renamed].from || !v[x->n_renamed].to) {
		free(v[x->n_renamed].from);
		free(v[x->n_renamed].to);
		return -ENOMEM;
	}
	x->n_renamed++;
	return 0;
}

int inverse_note_made(struct inverse *x, struct inverse_one *o,
		      const char *path)
{
	o->made = strdup(path);
	o->made_renamed = x->n_renamed;
	return o->made ? 0 : -ENOMEM;
}

int inverse_ino_at(int dir, const char *name, uint64_t *out)
{
	struct statx st;

	/* what has a name has a number: nothing else is asked for */
	if (statx(dir, name,
		  AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_INO, &st) < 0)
		return -errno;
	*out = st.stx_ino;
	return 0;
}
