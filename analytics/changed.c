/*
 * changed.c - see changed.h.
 *
 * Why nothing is missed: let X be a path that is not now what it was at the
 * token.  Either a name on the way to X was bound or lost since; take the
 * first such one.  The directories above it have the paths that they had, so
 * it is told with its right path, as a cone over X.  Or none was; then X is
 * the same inode, an entry about it came after the token, or it is not saved,
 * and all its names are told.  What is not saved is listed first, then all
 * that was entered waited for, then the index read: what is saved meanwhile is
 * on the list, too.
 *
 * The cost is that of the entries since the token, and of the directories
 * below those that were moved.
 *
 * Threads: any; what is shared is the core's.
 */
#include "analytics/changed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/provider_internal.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* Entries of an answer, directories remembered, and how deep they may lie. */
enum { PAGE = 1024, DIRS = 1024, DEPTH_MAX = 256 };

/* How a directory lies to the one that was asked about. */
enum dir_place { DIR_UNKNOWN, DIR_BELOW, DIR_CLOSED, DIR_OUTSIDE };

struct dir {
	uint64_t ino;
	enum dir_place place;
	char *path; /* BELOW, CLOSED; of the first that is closed */
};

struct touched {
	uint64_t ino;
	bool names; /* it got one or lost one */
	bool moved; /* with all that is below it */
};

struct changes {
	struct provider *p;
	const struct cred *cr;
	struct idx_reader *r;
	uint64_t root;
	uint64_t from, until; /* entries, the last not included */
	struct touched *v;
	size_t n, cap;
	uint32_t entries;      /* of this answer */
	struct dir dirs[DIRS]; /* a cache, by inode */
	struct buf *out;
	bool all;
};

/* --- where a directory lies --- */

struct one_name {
	uint64_t parent;
	size_t len;
	char name[LIMIT_NAME + 1];
	bool found;
};

static int first_name(void *ctx, const struct name_row *row, const char *name,
		      uint16_t len)
{
	struct one_name *o = ctx;

	o->parent = row->parent;
	o->len = len;
	memcpy(o->name, name, len);
	o->found = true;
	return 1;
}

static struct dir *dir_slot(struct changes *w, uint64_t ino)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15ULL;

	return &w->dirs[(h ^ h >> 32) & (DIRS - 1)];
}

/* Takes path over. */
static struct dir *dir_keep(struct changes *w, uint64_t ino,
			    enum dir_place place, char *path)
{
	struct dir *d = dir_slot(w, ino);

	free(d->path);
	*d = (struct dir){ ino, place, path };
	return d;
}

static char *joined(const char *dir, const char *name, size_t n)
{
	size_t k = strlen(dir);
	char *s = malloc(k + n + 2);

	if (!s)
		return NULL;
	memcpy(s, dir, k);
	if (k)
		s[k++] = '/';
	memcpy(s + k, name, n);
	s[k + n] = '\0';
	return s;
}

/* Of a directory whose parent is known: its own place. */
static int dir_below(struct changes *w, const struct one_name *o, uint64_t ino,
		     const struct dir *parent, struct dir **out)
{
	enum dir_place place = parent->place;
	char *path = NULL;

	if (place == DIR_CLOSED)
		path = strdup(parent->path);
	else if (place == DIR_BELOW)
		path = joined(parent->path, o->name, o->len);
	if (place != DIR_OUTSIDE && !path)
		return -ENOMEM;
	if (place == DIR_BELOW && !core_allows(w->p->core, w->cr, ino, 5))
		place = DIR_CLOSED;
	*out = dir_keep(w, ino, place, path);
	return 0;
}

/*
 * *out is good until the next call.  A directory without a name lies outside:
 * that it lost it is told by the one it was in.
 */
static int dir_find(struct changes *w, uint64_t ino, struct dir **out,
		    unsigned depth)
{
	struct dir *d = dir_slot(w, ino), *parent;
	struct one_name o = { .found = false };
	int rc;

	*out = d;
	if (d->place != DIR_UNKNOWN && d->ino == ino)
		return 0;
	if (ino == w->root) {
		char *empty = strdup("");

		*out = dir_keep(w, ino, DIR_BELOW, empty);
		return empty ? 0 : -ENOMEM;
	}
	if (ino == STATE_ROOT_INO) {
		*out = dir_keep(w, ino, DIR_OUTSIDE, NULL);
		return 0;
	}
	if (depth > DEPTH_MAX)
		return -ERR_LIMIT;
	rc = idx_names_of(w->r, ino, first_name, &o);
	if (rc < 0)
		return rc;
	if (!o.found) {
		*out = dir_keep(w, ino, DIR_OUTSIDE, NULL);
		return 0;
	}
	rc = dir_find(w, o.parent, &parent, depth + 1);
	return rc < 0 ? rc : dir_below(w, &o, ino, parent, out);
}

/* --- telling --- */

static void tell(struct changes *w, const char *path, const char *more)
{
	buf_adds(w->out, path);
	buf_adds(w->out, more);
	buf_addc(w->out, '\0');
}

/* git's own files are none of the work tree's. */
static bool is_git_dir(const char *path)
{
	return strncmp(path, ".git", 4) == 0 &&
	       (path[4] == '\0' || path[4] == '/');
}

static int tell_names_in(void *ctx, const struct name_row *row,
			 const char *name, uint16_t len);

struct walk {
	struct changes *w;
	const char *path;
	uint64_t after; /* cookie */
	unsigned depth, n;
};

/* The directory and all that are below it: none is what it was. */
static int tell_tree(struct changes *w, uint64_t ino, const char *path,
		     unsigned depth)
{
	struct walk k = { .w = w, .path = path, .depth = depth };
	int rc = 0;

	if (depth > DEPTH_MAX)
		return -ERR_LIMIT;
	if (!core_allows(w->p->core, w->cr, ino, 5))
		return 0;
	tell(w, path, "/*");
	do {
		k.n = 0;
		rc = idx_names(w->r, ino, k.after, PAGE, tell_names_in, &k);
		if (w->out->bad)
			return -ERR_LIMIT;
	} while (rc >= 0 && k.n == PAGE);
	return rc < 0 ? rc : 0;
}

static int tell_names_in(void *ctx, const struct name_row *row,
			 const char *name, uint16_t len)
{
	struct walk *k = ctx;
	int rc = 0;

	k->n++;
	k->after = row->cookie;
	if (S_ISDIR(row->mode)) {
		autofree char *path = joined(k->path, name, len);

		rc = path ? tell_tree(k->w, row->ino, path, k->depth + 1) :
			    -ENOMEM;
	}
	return rc;
}

struct bound {
	struct changes *w;
	const struct touched *t;
	bool is_dir; /* what has the name, or had it */
	bool lost;
};

/* Of a name that was moved away: the directory that has it now, exchanged. */
static int tell_taker(struct changes *w, const struct name_row *row,
		      const char *name, uint16_t len, const char *path)
{
	struct name_row now;
	int rc = idx_name(w->r, &now, row->parent, name, len);

	if (rc <= 0 || !S_ISDIR(now.mode))
		return rc;
	tell(w, path, "/");
	return tell_tree(w, now.ino, path, 0);
}

static int tell_name(void *ctx, const struct name_row *row, const char *name,
		     uint16_t len)
{
	struct bound *b = ctx;
	struct changes *w = b->w;
	struct dir *d = NULL;
	int rc = dir_find(w, row->parent, &d, 0);
	autofree char *path = NULL;

	if (rc < 0 || d->place == DIR_OUTSIDE)
		return rc;
	if (d->place == DIR_CLOSED) {
		tell(w, d->path, "/");
		return 0;
	}
	path = joined(d->path, name, len);
	if (!path)
		return -ENOMEM;
	if (is_git_dir(path))
		return 0;
	tell(w, path, "");
	if (b->is_dir || S_ISDIR(row->mode))
		tell(w, path, "/");
	if (w->out->bad)
		return -ERR_LIMIT;
	if (b->lost && b->t->moved)
		return tell_taker(w, row, name, len, path);
	if (b->lost || !b->is_dir || !b->t->names)
		return 0;
	if (b->t->moved)
		return tell_tree(w, row->ino, path, 0);
	tell(w, path, "/*"); /* made: what is below it was so, too */
	return 0;
}

static int tell_inode(struct changes *w, const struct touched *t)
{
	struct bound b = { .w = w, .t = t };
	struct inode_row row = { .ino = 0 };
	int rc;

	if (t->ino == w->root && !t->names) {
		w->all = true; /* its mode, perhaps */
		return 0;
	}
	rc = idx_inode(w->r, &row, t->ino);
	b.is_dir = rc > 0 && S_ISDIR(row.mode);
	free(row.target);
	if (rc > 0)
		rc = idx_names_of(w->r, t->ino, tell_name, &b);
	b.lost = true;
	if (rc >= 0 && t->names)
		rc = idx_names_lost(w->r, t->ino, w->from, tell_name, &b);
	return rc < 0 ? rc : 0;
}

/* --- collecting --- */

static int touch(struct changes *w, uint64_t ino, bool names, bool moved)
{
	struct touched *v;
	size_t cap;

	if (w->n == w->cap) {
		cap = w->cap ? w->cap * 2 : PAGE;
		v = reallocarray(w->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n++] = (struct touched){ ino, names, moved };
	return 0;
}

/* Of kinds that are not known here it is taken that stat(2) shows them. */
static bool is_silent(uint16_t kind)
{
	return kind == ENTRY_DIGEST || kind == ENTRY_IMPORT ||
	       kind == ENTRY_ACTOR || kind == ENTRY_READS ||
	       kind == ENTRY_HOLD || kind == ENTRY_GC ||
	       kind == ENTRY_FREE_ORPHAN;
}

static int collect(void *ctx, const struct idx_entry *e)
{
	struct changes *w = ctx;
	bool moved = e->kind == ENTRY_RENAME;
	bool names = moved || e->kind == ENTRY_CREATE ||
		     e->kind == ENTRY_LINK || e->kind == ENTRY_UNLINK;

	w->entries++;
	w->until = e->no + 1;
	if (!e->inode || e->rejected || is_silent(e->kind))
		return 0;
	return touch(w, e->inode, names, moved);
}

static int by_ino(const void *a, const void *b)
{
	const struct touched *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Each inode once. */
static void unite(struct changes *w)
{
	size_t n = 0;

	if (w->n)
		qsort(w->v, w->n, sizeof(*w->v), by_ino);
	for (size_t i = 0; i < w->n; i++) {
		if (!n || w->v[n - 1].ino != w->v[i].ino) {
			w->v[n++] = w->v[i];
			continue;
		}
		w->v[n - 1].names |= w->v[i].names;
		w->v[n - 1].moved |= w->v[i].moved;
	}
	w->n = n;
}

static void put_token(struct changes *w, uint64_t no, const char *more)
{
	struct ledger *l = core_ledger(w->p->core);

	text_hex(w->out, ledger_incarnation(l), CHANGED_INSTANCE);
	buf_addf(w->out, ".%llu%s", (unsigned long long)no, more);
	buf_addc(w->out, '\0');
}

/* What the question found besides entries. */
struct unsaved {
	uint64_t *v;
	size_t n;
};

/*
 * Up to `max` entries from w->from on, and with the last of all what is not
 * saved.  -ERR_LIMIT: it does not fit.
 */
static int tell_page(struct changes *w, uint64_t end, uint32_t max,
		     const struct unsaved *u)
{
	bool more;
	int rc = 0;

	w->n = w->entries = 0;
	w->until = w->from;
	buf_clear(w->out);
	if (w->from < end)
		rc = idx_entries(w->r, w->from, end - 1, max, collect, w);
	more = w->entries == max && w->until < end;
	for (size_t i = 0; rc >= 0 && !more && i < u->n; i++)
		rc = touch(w, u->v[i], false, false);
	unite(w);
	put_token(w, more ? w->until : end, more ? "+" : "");
	for (size_t i = 0; rc >= 0 && !w->all && i < w->n; i++)
		rc = tell_inode(w, &w->v[i]);
	return rc < 0 ? rc : w->out->bad ? -ERR_LIMIT : 0;
}

/* As many entries as fit. */
static int tell_since(struct changes *w, uint64_t end, const struct unsaved *u)
{
	int rc = -ERR_LIMIT;

	for (uint32_t max = PAGE; rc == -ERR_LIMIT && max && !w->all; max /= 4)
		rc = tell_page(w, end, max, u);
	if (rc == -ERR_LIMIT)
		w->all = true;
	return w->all ? 0 : rc;
}

/*
 * The entry that the token says, if this mount gave it; false: it did not.
 * Mounts for reading have no number, so they know no tokens.
 */
static bool token_parse(struct changes *w, const char *token, uint64_t end)
{
	struct buf hex = BUF_INIT;
	bool ours;

	text_hex(&hex, ledger_incarnation(core_ledger(w->p->core)),
		 CHANGED_INSTANCE);
	buf_addc(&hex, '.');
	ours = token && !hex.bad && !core_options_of(w->p->core)->read_only &&
	       strncmp(token, (char *)hex.p, hex.n) == 0 &&
	       text_u64_parse(&w->from, token + hex.n) >= 0 && w->from <= end;
	buf_release(&hex);
	return ours;
}

static int tell_all(struct changes *w, const char *token,
		    const struct unsaved *u)
{
	struct digest root;
	uint64_t seals = 0, end;
	int rc = idx_reader_begin(w->r);

	if (rc < 0)
		return rc;
	rc = idx_reader_position(w->r, &seals, &root);
	end = IDX_ENTRY_NO(seals, 0);
	if (rc >= 0 && token_parse(w, token, end))
		rc = tell_since(w, end, u);
	else
		w->all = true;
	idx_reader_end(w->r);
	if (rc >= 0 && w->all) {
		buf_clear(w->out);
		put_token(w, end, "");
		tell(w, "/", "");
	}
	return rc < 0 ? rc : w->out->bad ? -ENOMEM : 0;
}

int changed_tell(struct provider *p, const struct cred *cr, uint64_t dir,
		 const char *token, struct buf *out)
{
	autofree struct changes *w = calloc(1, sizeof(*w));
	struct unsaved u = { NULL, 0 };
	int rc = w ? core_unsaved(p->core, &u.v, &u.n) : -ENOMEM;

	if (rc >= 0) {
		*w = (struct changes){
			.p = p, .cr = cr, .root = dir, .out = out
		};
		out->max = CHANGED_MAX;
		rc = core_settle_index(p->core);
	}
	if (rc >= 0)
		rc = core_reader_take(p->core, &w->r);
	if (rc >= 0) {
		rc = tell_all(w, token, &u);
		core_reader_give(p->core, w->r);
	}
	for (size_t i = 0; w && i < DIRS; i++)
		free(w->dirs[i].path);
	if (w)
		free(w->v);
	free(u.v);
	return rc;
}
