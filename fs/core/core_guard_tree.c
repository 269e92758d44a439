/*
 * core_guard_tree.c - see core_guard_tree.h.
 *
 * Directories that wait to be looked at are a list; each name is looked at
 * under both paths.  Others may change the tree meanwhile: what they put in
 * is theirs.
 */
#include "fs/core/core_guard_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "fs/core/core.h"
#include "fs/core/core_guard_path.h"
#include "fs/run/run_guard.h"

enum { PAGE = 512 };

/* A directory that is to be looked at. */
struct todo {
	struct todo *next;
	uint64_t ino;
	char rest[]; /* its path below the top: "", "a/b/" */
};

struct walk {
	const struct run_guard *guard;
	struct buf from, to; /* the top's paths, with a slash at the end */
	struct todo *todo;
	const struct todo *at;
	unsigned left; /* names that may still be looked at */
	int rc;
	struct buf *path;
	unsigned *bits;
};

static int push(struct walk *w, uint64_t ino, const char *above,
		const char *name)
{
	size_t a = strlen(above), n = strlen(name);
	struct todo *d = malloc(sizeof(*d) + a + n + 2);

	if (!d)
		return -ENOMEM;
	memcpy(d->rest, above, a);
	memcpy(d->rest + a, name, n);
	a += n;
	if (n > 0)
		d->rest[a++] = '/';
	d->rest[a] = '\0';
	d->ino = ino;
	d->next = w->todo;
	w->todo = d;
	return 0;
}

/* What is said of it below one of the two tops. */
static int look(struct walk *w, struct buf *top, const char *name, bool dir)
{
	size_t n = top->n;
	unsigned bits;

	buf_adds(top, w->at->rest);
	buf_adds(top, name);
	if (top->bad)
		return -ENOMEM;
	if (top->n > CORE_GUARD_PATH_MAX)
		return -ENAMETOOLONG;
	bits = run_guard_look(w->guard, (char *)top->p, top->n, dir);
	if (bits && !*w->bits) {
		buf_clear(w->path);
		buf_add(w->path, top->p, top->n);
	}
	*w->bits |= bits;
	top->n = n;
	return 0;
}

static int on_name(void *ctx, const char *name, const struct stat *st,
		   uint64_t cookie)
{
	struct walk *w = ctx;
	bool dir = S_ISDIR(st->st_mode);

	if (cookie <= 2) /* . and .. */
		return 0;
	if (w->left == 0) {
		w->rc = -E2BIG;
		return 1;
	}
	w->left--;
	w->rc = look(w, &w->from, name, dir);
	if (w->rc == 0)
		w->rc = look(w, &w->to, name, dir);
	if (w->rc == 0 && dir)
		w->rc = push(w, st->st_ino, w->at->rest, name);
	return w->rc < 0 || *w->bits;
}

static int top_path(struct core *c, struct buf *out, uint64_t parent,
		    const char *name)
{
	int rc = core_guard_path_name(c, out, parent, name);

	if (rc == 0)
		buf_addc(out, '/');
	return rc == 0 && out->bad ? -ENOMEM : rc;
}

int core_guard_tree_look(struct core *c, const struct run_guard *g,
			 uint64_t ino, const struct core_guard_tree *t,
			 struct buf *path, unsigned *bits)
{
	struct walk w = {
		.guard = g,
		.left = CORE_GUARD_TREE_MAX,
		.path = path,
		.bits = bits,
	};
	int rc = top_path(c, &w.from, t->from_parent, t->from);

	if (rc == 0)
		rc = top_path(c, &w.to, t->to_parent, t->to);
	if (rc == 0)
		rc = push(&w, ino, "", "");
	while (rc == 0 && w.todo) {
		struct todo *d = w.todo;

		w.todo = d->next;
		w.at = d;
		rc = core_readdir(c, d->ino, 0, PAGE, false, on_name, &w);
		if (rc == -ENOENT)
			rc = 0; /* somebody removed it */
		if (rc == 0)
			rc = w.rc;
		free(d);
		if (*bits)
			break;
	}
	while (w.todo) {
		struct todo *d = w.todo;

		w.todo = d->next;
		free(d);
	}
	buf_release(&w.from);
	buf_release(&w.to);
	return rc;
}
