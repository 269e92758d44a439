/*
 * op_name.c - names: make, link, remove, rename; where we are, and listings.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/twin/world.h"

void op_rename(void)
{
	static const unsigned flags[] = { 0, 0, 0, 1, 2, 3, 8 };
	unsigned how = ANY(flags);
	struct place p, q;

	place_any(&p);
	place_any(&q);
	say("rename %s %s flags %u", place_text(&p), place_text(&q), how);
	if (below(2)) {
		watch_path(&p);
		watch_path(&q);
	}
	BOTH(renameat2(p.at[s], p.path, q.at[s], q.path, how));
}

/* A descriptor's file gets a name, too. */
static void link_slot(const struct place *q)
{
	const struct slot *sl = any_slot();
	bool by_proc = below(2);
	char name[40];

	if (sl->fd[0] < 0)
		return;
	say("link descriptor %d to %s%s", sl->fd[0], place_text(q),
	    by_proc ? " by /proc" : "");
	if (by_proc)
		BOTH(({
			snprintf(name, sizeof(name), "/proc/self/fd/%d",
				 sl->fd[s]);
			linkat(AT_FDCWD, name, q->at[s], q->path,
			       AT_SYMLINK_FOLLOW);
		}));
	else
		BOTH(linkat(sl->fd[s], "", q->at[s], q->path, AT_EMPTY_PATH));
}

void op_link(void)
{
	struct place p, q;
	int flags = below(3) ? 0 : AT_SYMLINK_FOLLOW;

	place_any(&q);
	if (below(3) == 0) {
		link_slot(&q);
		return;
	}
	place_any(&p);
	say("link %s %s flags %x", place_text(&p), place_text(&q),
	    (unsigned)flags);
	if (below(2)) {
		watch_path(&p);
		watch_path(&q);
	}
	BOTH(linkat(p.at[s], p.path, q.at[s], q.path, flags));
}

static void make_link(const struct place *p)
{
	struct place to;

	place_any(&to);
	if (to.path[0] == '.')
		to.path[0] = 'a'; /* nothing above where we are */
	say("symlink %s to %s", place_text(p), place_text(&to));
	BOTH(symlinkat(to.path, p->at[s], p->path));
}

void op_make(void)
{
	static const mode_t types[] = { S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK,
					S_IFREG };
	mode_t mode = (mode_t)below(010000), type = ANY(types);
	uint64_t how = below(8);
	struct place p;

	place_any(&p);
	if (below(2))
		watch_path(&p);
	if (how < 4) {
		if (below(3))
			mode |= 0777;
		say("mkdir %s %o", place_text(&p), mode);
		BOTH(mkdirat(p.at[s], p.path, mode));
	} else if (how < 6) {
		make_link(&p);
	} else {
		say("mknod %s type %o mode %o", place_text(&p), type, mode);
		BOTH(mknodat(p.at[s], p.path, type | mode, makedev(1, 3)));
	}
}

void op_remove(void)
{
	int flags = below(3) ? 0 : AT_REMOVEDIR;
	struct place p;

	place_any(&p);
	say("%s %s", flags ? "rmdir" : "unlink", place_text(&p));
	if (below(2))
		watch_path(&p);
	BOTH(unlinkat(p.at[s], p.path, flags));
}

void op_chdir(void)
{
	struct place p;
	int fd[2] = { -1, -1 };

	if (cwd[0] >= 0 && below(3) == 0) {
		say("back");
		for (int s = 0; s < 2; s++) {
			close(cwd[s]);
			cwd[s] = -1;
		}
		return;
	}
	place_any(&p);
	say("chdir %s", place_text(&p));
	if (!BOTH_FD(fd[s] = openat(p.at[s], p.path,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
		return;
	/* where root alone may go, nobody gets back to */
	if (!BOTH(faccessat(fd[s], "", X_OK, AT_EMPTY_PATH | AT_EACCESS))) {
		close(fd[0]);
		close(fd[1]);
		return;
	}
	for (int s = 0; s < 2; s++) {
		if (cwd[s] >= 0)
			close(cwd[s]);
		cwd[s] = fd[s];
	}
}

/* --- listings */

enum { LISTED = 4000 };

struct listing {
	char *names[LISTED];
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* `again`: goes back to a place and reads on from there, once. */
static int list(int fd, struct listing *l, bool again)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	size_t back = 0;
	long at = 0;

	l->n = 0;
	if (!d) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	for (errno = 0; l->n < LISTED && (e = readdir(d));) {
		char text[300];

		snprintf(text, sizeof(text), "%s %d", e->d_name, e->d_type);
		l->names[l->n++] = strdup(text);
		if (again && l->n == 3) {
			at = telldir(d);
			back = l->n;
		}
	}
	if (at && l->n > back) {
		seekdir(d, at);
		while (l->n > back)
			free(l->names[--l->n]);
		while (l->n < LISTED && (e = readdir(d))) {
			char text[300];

			snprintf(text, sizeof(text), "%s %d", e->d_name,
				 e->d_type);
			l->names[l->n++] = strdup(text);
		}
	}
	closedir(d);
	qsort(l->names, l->n, sizeof(*l->names), by_name);
	return (int)l->n;
}

static void list_free(struct listing *l)
{
	while (l->n > 0)
		free(l->names[--l->n]);
}

void op_list(void)
{
	static struct listing l[2];
	struct slot *sl = any_slot();
	bool again = below(2), mine = sl->fd[0] >= 0 && below(2);

	say("list %d", mine ? sl->fd[0] : -1);
	BOTH(list(mine ? sl->fd[s] : root[s], &l[s], again));
	for (size_t i = 0; i < l[0].n && i < l[1].n; i++)
		if (strcmp(l[0].names[i], l[1].names[i]) != 0)
			differ("listed %s, not %s", l[0].names[i],
			       l[1].names[i]);
	list_free(&l[0]);
	list_free(&l[1]);
	if (!mine || slot_is(sl, S_IFREG))
		return;
	/* what the descriptor itself says: the number of bytes is its own */
	BOTH_FD(({
		char room[600];
		lseek(sl->fd[s], 0, SEEK_SET) < 0 ?
			-1 :
			getdents64(sl->fd[s], room, sizeof(room));
	}));
}
