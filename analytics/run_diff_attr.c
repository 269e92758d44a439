/*
 * run_diff_attr.c - of differences what git knows nothing of: owners, modes,
 * extended attributes, directories and devices, moved directories.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/past.h"
#include "analytics/past_xattr.h"
#include "analytics/run_diff_int.h"
#include "analytics/run_walk.h"
#include "base/buf.h"
#include "base/err.h"
#include "index/idx_query.h"

enum { NAMES = 512 };

/* --- below directories that were moved --- */

struct below {
	struct run_touches found; /* of which those from `next` on wait */
	struct run_touch span;
	char last[256];
	uint16_t last_n;
	unsigned n; /* of a page */
	int rc;
};

static int on_name(void *ctx, const struct name_row *row, const char *name,
		   uint16_t len)
{
	struct below *b = ctx;
	struct run_touch one = b->span;

	one.ino = row->ino;
	one.moved = S_ISDIR(row->mode);
	memcpy(b->last, name, len);
	b->last_n = len;
	b->n++;
	return run_walk_touches_add(&b->found, &one);
}

static int list(struct run_view *v, struct idx_reader *r, struct below *b,
		uint64_t dir, uint64_t at)
{
	int rc;

	b->last_n = 0;
	do {
		b->n = 0;
		rc = run_walk_in_time(v);
		if (rc >= 0)
			rc = idx_names_at(r, dir, b->last, b->last_n, NAMES, at,
					  on_name, b);
	} while (rc >= 0 && b->n == NAMES);
	return rc < 0 ? rc : 0;
}

/* 1: it is another one now. */
static int path_changed(struct idx_reader *r, uint64_t ino, uint64_t from,
			uint64_t until)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	int rc = idx_path(r, &a, ino, from);

	if (rc > 0)
		rc = idx_path(r, &b, ino, until);
	if (rc > 0)
		rc = a.n != b.n || (a.n && memcmp(a.p, b.p, a.n) != 0);
	buf_release(&a);
	buf_release(&b);
	return rc;
}

/* Everything below one directory, into b->found. */
static int all_below(struct run_view *v, struct idx_reader *r, struct below *b,
		     uint64_t dir, uint64_t at)
{
	size_t next = b->found.n;
	int rc = list(v, r, b, dir, at);

	for (; rc >= 0 && next < b->found.n; next++)
		if (b->found.v[next].moved)
			rc = list(v, r, b, b->found.v[next].ino, at);
	return rc;
}

int run_diff_moved(struct run_view *v, struct idx_reader *r,
		   const struct run_diff_what *what, struct run_touches *io)
{
	struct below b = { .n = 0 };
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < io->n; i++) {
		const struct run_touch *t = &io->v[i];
		uint64_t from = what->run ? t->first - 1 : what->from;
		uint64_t until = what->run ? t->last : what->until;

		b.span = (struct run_touch){ .first = t->first,
					     .last = t->last };
		rc = t->moved ? path_changed(r, t->ino, from, until) : 0;
		if (rc > 0)
			rc = all_below(v, r, &b, t->ino, until);
	}
	for (size_t i = 0; rc >= 0 && i < b.found.n; i++) {
		b.found.v[i].moved = false;
		rc = run_walk_touches_add(io, &b.found.v[i]);
	}
	if (rc >= 0 && b.found.n)
		run_walk_touches_merge(io);
	run_walk_touches_release(&b.found);
	return rc < 0 ? rc : 0;
}

/* --- extended attributes --- */

static int add_xattr(struct run_diff_item *i, const char *name, char status)
{
	struct run_diff_xattr *v =
		realloc(i->xattrs, (i->n_xattrs + 1) * sizeof(*v));
	char *own = strdup(name);

	if (v)
		i->xattrs = v;
	if (!v || !own) {
		free(own);
		return -ENOMEM;
	}
	v[i->n_xattrs++] =
		(struct run_diff_xattr){ .name = own, .status = status };
	return 0;
}

static int compare(struct run_diff_item *i, const struct past_xattrs *a,
		   const struct past_xattrs *b)
{
	size_t x = 0, y = 0;
	int rc = 0;

	while (rc >= 0 && (x < a->n || y < b->n)) {
		int d = x == a->n ? 1 :
			y == b->n ? -1 :
				    strcmp(a->v[x].name, b->v[y].name);

		if (d < 0)
			rc = add_xattr(i, a->v[x].name, 'D');
		else if (d > 0)
			rc = add_xattr(i, b->v[y].name, 'A');
		else if (!past_xattr_same(&a->v[x], &b->v[y]))
			rc = add_xattr(i, b->v[y].name, 'M');
		x += d <= 0;
		y += d >= 0;
	}
	return rc;
}

int run_diff_xattrs(struct core *c, struct idx_reader *r,
		    struct run_diff_item *i)
{
	struct past_xattrs a = { .n = 0 }, b = { .n = 0 };
	int rc = past_xattrs_load(&a, c, r, i->before.past->ino,
				  i->before.past->at);

	if (rc >= 0)
		rc = past_xattrs_load(&b, c, r, i->after.past->ino,
				      i->after.past->at);
	if (rc >= 0)
		rc = compare(i, &a, &b);
	past_xattrs_release(&a);
	past_xattrs_release(&b);
	return rc;
}

/* --- in words --- */

void run_diff_name(struct buf *out, const char *prefix, const char *path)
{
	static const char letters[] = "abtnvfr";
	bool quote = false;

	for (const char *s = path; *s; s++)
		quote = quote || (unsigned char)*s < ' ' || *s == '"' ||
			*s == '\\' || (unsigned char)*s >= 0x7f;
	if (!quote) {
		buf_addf(out, "%s%s", prefix, path);
		return;
	}
	buf_addf(out, "\"%s", prefix);
	for (const char *s = path; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c >= '\a' && c <= '\r')
			buf_addf(out, "\\%c", letters[c - '\a']);
		else if (c < ' ' || c >= 0x7f)
			buf_addf(out, "\\%03o", c);
		else
			buf_addc(out, (char)c);
	}
	buf_addc(out, '"');
}

static bool git_knows(const struct run_diff_side *s)
{
	return s->path && (S_ISREG(s->past->mode) || S_ISLNK(s->past->mode));
}

bool run_diff_is_file(const struct run_diff_item *i)
{
	return git_knows(&i->before) || git_knows(&i->after);
}

static bool mode_differs(const struct run_diff_item *i)
{
	uint32_t d = i->before.past->mode ^ i->after.past->mode;

	return (d & 07777) && !S_ISLNK(i->after.past->mode);
}

static bool owner_differs(const struct run_diff_item *i)
{
	return i->before.past->uid != i->after.past->uid ||
	       i->before.past->gid != i->after.past->gid;
}

bool run_diff_other_attributes(const struct run_diff_item *i)
{
	return i->before.path && i->after.path &&
	       (mode_differs(i) || owner_differs(i) || i->n_xattrs > 0);
}

static const char *kind_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
	case S_IFBLK:
		return "device";
	default:
		return "file";
	}
}

static void note_attributes(struct buf *out, const struct run_diff_item *i)
{
	const struct past *a = i->before.past, *b = i->after.past;
	static const char *const words[] = { "new", "removed", "changed" };
	const char *letters = "ADM";

	if (mode_differs(i))
		buf_addf(out, ", mode %04o -> %04o", a->mode & 07777,
			 b->mode & 07777);
	if (owner_differs(i))
		buf_addf(out, ", owner %u:%u -> %u:%u", a->uid, a->gid, b->uid,
			 b->gid);
	for (size_t k = 0; k < i->n_xattrs; k++) {
		buf_adds(out, ", attribute ");
		run_diff_name(out, "", i->xattrs[k].name);
		buf_addf(out, " %s",
			 words[strchr(letters, i->xattrs[k].status) - letters]);
	}
}

/* To git each name is a file of its own. */
static void note_link(struct buf *out, const struct run_diff_item *i)
{
	buf_adds(out, "# ");
	run_diff_name(out, "", i->after.path ? i->after.path : i->before.path);
	buf_adds(out,
		 i->after.path ? ": hard link to " : ": was a hard link to ");
	run_diff_name(out, "", i->link);
	buf_addc(out, '\n');
}

void run_diff_note(struct buf *out, const struct run_diff_item *i)
{
	const struct run_diff_side *a = &i->before, *b = &i->after;
	const struct run_diff_side *last = b->path ? b : a;
	bool both = a->path && b->path;

	if (i->link && run_diff_is_file(i)) {
		note_link(out, i);
		if (!both)
			return;
	}
	if (run_diff_is_file(i) && !run_diff_other_attributes(i))
		return;
	buf_adds(out, "# ");
	if (both && strcmp(a->path, b->path) != 0) {
		run_diff_name(out, "", a->path);
		buf_adds(out, " => ");
	}
	run_diff_name(out, "", last->path);
	buf_addf(out, ": %s%s",
		 !a->path ? "new " :
		 !b->path ? "removed " :
			    "",
		 kind_of(last->past->mode));
	if (!a->path)
		buf_addf(out, ", mode %04o, owner %u:%u", b->past->mode & 07777,
			 b->past->uid, b->past->gid);
	if (both && strcmp(a->path, b->path) != 0)
		buf_adds(out, ", moved");
	if (both)
		note_attributes(out, i);
	buf_addc(out, '\n');
}
