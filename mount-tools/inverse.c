/*
 * inverse.c - see inverse.h: the lines of a plan, and the order in which names
 * go and come.
 */
#include "mount-tools/inverse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/inverse_int.h"
#include "mount-tools/progress.h"

/* --- reading --- */

int inverse_text(const struct json *o, const char *key, char **out)
{
	autofree char *hex_key = NULL;
	struct buf b = BUF_INIT;
	const char *hex, *text = json_get_str(o, key);
	int rc = 0;

	*out = NULL;
	if (asprintf(&hex_key, "%s_hex", key) < 0)
		return -ENOMEM;
	hex = json_get_str(o, hex_key);
	if (hex)
		rc = text_hex_decode(&b, hex, strlen(hex));
	else if (text)
		buf_adds(&b, text);
	else
		return -ENOENT;
	if (rc == 0 && b.n && memchr(b.p, 0, b.n))
		rc = -ERR_FORMAT;
	buf_addc(&b, '\0');
	if (rc == 0 && !b.bad)
		*out = buf_take(&b);
	buf_release(&b);
	return rc < 0 ? rc : *out ? 0 : -ENOMEM;
}

static void name_release(struct inverse_name *n)
{
	free(n->dir);
	free(n->name);
}

static int name_read(const struct json *o, struct inverse_name *out)
{
	int rc = json_get_u64(o, "in", &out->in) ? 0 : -ERR_FORMAT;

	if (rc == 0)
		rc = inverse_text(o, "dir", &out->dir);
	if (rc == -ENOENT)
		rc = 0; /* there is none now */
	if (rc == 0)
		rc = inverse_text(o, "name", &out->name);
	if (rc == 0 && (!*out->name || strchr(out->name, '/')))
		rc = -ERR_FORMAT;
	return rc == -ENOENT ? -ERR_FORMAT : rc;
}

static void one_free(struct inverse_one *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n_moves; i++) {
		name_release(&o->moves[i].from);
		name_release(&o->moves[i].to);
	}
	name_release(&o->at);
	free(o->moves);
	free(o->made);
	free(o->path);
	free(o->type);
	json_free(o->doc);
	free(o);
}

/* "names" come or go; "moves" have both ends. */
static int moves_read(struct inverse_one *o)
{
	const struct json *line = json_root(o->doc);
	const struct json *moves = json_get(line, "moves");
	const struct json *list = moves ? moves : json_get(line, "names");
	size_t n = list && list->type == JSON_ARRAY ? list->count : 0;
	bool goes = o->item.what == INVERSE_REMOVE;
	int rc = 0;

	o->moves = calloc(n + 1, sizeof(*o->moves));
	if (!o->moves)
		return -ENOMEM;
	for (const struct json *v = n ? list->first : NULL; v && rc == 0;
	     v = v->next) {
		struct inverse_move *m = &o->moves[o->n_moves++];

		if (!moves)
			rc = name_read(v, goes ? &m->from : &m->to);
		if (moves && json_get(v, "from"))
			rc = name_read(json_get(v, "from"), &m->from);
		if (moves && rc == 0 && json_get(v, "to"))
			rc = name_read(json_get(v, "to"), &m->to);
	}
	return rc;
}

static int one_read(struct inverse_one *o)
{
	static const char *const words[] = { "remove", "make", "change",
					     "keep" };
	const struct json *line = json_root(o->doc);
	const char *what = json_get_str(line, "do");
	int i = 0, rc;

	while (i < 4 && (!what || strcmp(what, words[i]) != 0))
		i++;
	if (i == 4 || !json_get_u64(line, "inode", &o->ino))
		return -ERR_FORMAT;
	o->item.what = (enum inverse_what)i;
	o->item.line = line;
	(void)!json_get_u64(line, "holder", &o->holder);
	(void)!json_get_u64(line, "over", &o->over);
	(void)!json_get_i64(line, "written", &o->written_ns);
	rc = inverse_text(line, "path", &o->path);
	if (rc == 0)
		rc = inverse_text(line, "type", &o->type);
	if (rc == 0 && json_get(line, "at"))
		rc = name_read(json_get(line, "at"), &o->at);
	o->item.path = o->path;
	return rc < 0 ? rc : moves_read(o);
}

static int head_read(struct inverse *x, struct errmsg *em)
{
	const struct json *h = json_root(x->head);
	const char *format = json_get_str(h, "format");
	const char *temporary = json_get_str(h, "temporary");

	if (!format || strcmp(format, "vouchfs-undo-1") != 0 || !temporary)
		return errmsg_set(em, -ERR_FORMAT,
				  "not a plan that this program knows");
	x->temporary = strdup(temporary);
	return x->temporary ? 0 : -ENOMEM;
}

int inverse_add(struct inverse *x, const char *line, size_t n,
		struct errmsg *em)
{
	struct inverse_one *o;
	int rc;

	if (!x->head) {
		rc = json_parse(&x->head, line, n, em);
		return rc < 0 ? rc : head_read(x, em);
	}
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 64;
		struct inverse_one **v = reallocarray(x->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		x->v = v;
		x->cap = cap;
	}
	o = calloc(1, sizeof(*o));
	rc = o ? json_parse(&o->doc, line, n, em) : -ENOMEM;
	if (rc == 0)
		rc = one_read(o);
	if (rc < 0) {
		one_free(o);
		return errmsg_set(em, rc, "a line of the plan: %s",
				  err_text(rc));
	}
	x->v[x->n++] = o;
	return 0;
}

int inverse_open(struct inverse **out, const char *dir, struct errmsg *em)
{
	struct inverse *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->last_dir = -1;
	x->expects = -1;
	x->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->root < 0) {
		int rc = -errno;

		free(x);
		return errmsg_set(em, rc, "%s: %s", dir, err_text(rc));
	}
	*out = x;
	return 0;
}

void inverse_close(struct inverse *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n; i++)
		one_free(x->v[i]);
	for (size_t i = 0; i < x->n_renamed; i++) {
		free(x->renamed[i].from);
		free(x->renamed[i].to);
	}
	free(x->renamed);
	free(x->by_ino);
	free(x->v);
	free(x->temporary);
	json_free(x->head);
	if (x->last_dir >= 0)
		close(x->last_dir);
	if (x->expects >= 0)
		close(x->expects);
	close(x->root);
	free(x);
}

const struct json *inverse_head(const struct inverse *x)
{
	return json_root(x->head);
}

size_t inverse_count(const struct inverse *x)
{
	return x->n;
}

const struct inverse_item *inverse_at(const struct inverse *x, size_t i)
{
	return &x->v[i]->item;
}

/* --- choosing --- */

static bool name_below(const struct inverse_name *n, const char *top)
{
	autofree char *path =
		n->name && n->dir ? inverse_join(n->dir, n->name) : NULL;

	return path && text_path_below(path, top);
}

static bool one_below(const struct inverse_one *o, const char *top)
{
	bool below = text_path_below(o->path, top);

	for (size_t i = 0; i < o->n_moves && !below; i++)
		below = name_below(&o->moves[i].from, top) ||
			name_below(&o->moves[i].to, top);
	return below;
}

/* The line that makes a directory again; NULL. */
static struct inverse_one *maker_of(struct inverse *x, uint64_t ino)
{
	struct inverse_one *o = inverse_of(x, ino);

	return o && o->item.what == INVERSE_MAKE ? o : NULL;
}

static void choose_above(struct inverse *x, const struct inverse_one *o)
{
	for (size_t i = 0; i < o->n_moves; i++) {
		const struct inverse_name *to = &o->moves[i].to;
		struct inverse_one *above =
			to->name && !to->dir ? maker_of(x, to->in) : NULL;

		if (!above || above->item.chosen)
			continue;
		above->item.chosen = true;
		choose_above(x, above);
	}
}

size_t inverse_choose(struct inverse *x, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		if (!one_below(x->v[i], path))
			continue;
		x->v[i]->item.chosen = true;
		choose_above(x, x->v[i]);
		n++;
	}
	return n;
}

void inverse_choose_all(struct inverse *x)
{
	for (size_t i = 0; i < x->n; i++)
		x->v[i]->item.chosen = true;
}

/* --- how far it is --- */

void inverse_show(struct inverse *x, struct progress *bar)
{
	x->bar = bar;
}

static void count_steps(struct inverse *x)
{
	x->steps = x->all_steps = 0;
	for (size_t i = 0; i < x->n; i++) {
		const struct inverse_one *o = x->v[i];

		if (o->item.chosen && o->item.what != INVERSE_KEEP)
			x->all_steps +=
				o->n_moves + (o->item.what == INVERSE_CHANGE);
	}
}

static void step(struct inverse *x)
{
	x->steps++;
	if (x->bar)
		progress_set(x->bar, x->steps, x->all_steps);
}

/* --- names that go --- */

/* -ESTALE: another one is there; -EBUSY: somebody has written it since. */
static int is_still(int dir, const char *name, const struct inverse_one *o)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_ino != o->ino)
		return -ESTALE;
	return o->written_ns && st.st_mtim.tv_sec * 1000000000LL +
						st.st_mtim.tv_nsec !=
					o->written_ns ?
		       -EBUSY :
		       0;
}

/* 0: it went, or is gone already.  told: up to which line it is said. */
static int remove_name(struct inverse *x, const struct inverse_one *o,
		       const struct inverse_name *n, int flags, size_t at,
		       size_t *told)
{
	int dir = inverse_dir(x, n), rc;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	if (at >= *told)
		*told = inverse_expect_removals(x, dir, at);
	rc = is_still(dir, n->name, o);
	if (rc == 0 && unlinkat(dir, n->name, flags) < 0)
		rc = -errno;
	close(dir);
	return rc == -ENOENT ? 0 : rc;
}

bool inverse_loses_names(const struct inverse_one *o)
{
	const enum inverse_what what = o->item.what;

	return o->item.chosen && !inverse_is_directory(o) &&
	       (what == INVERSE_CHANGE || what == INVERSE_REMOVE);
}

static void remove_files(struct inverse *x)
{
	size_t told = 0;

	for (size_t i = 0; i < x->n && !x->fatal; i++) {
		struct inverse_one *o = x->v[i];

		if (!inverse_loses_names(o))
			continue;
		for (size_t k = 0; k < o->n_moves; k++) {
			struct inverse_move *m = &o->moves[k];
			int rc;

			if (m->to.name)
				continue;
			rc = remove_name(x, o, &m->from, 0, i, &told);
			if (rc < 0)
				inverse_fail(x, o, "removal", rc);
			m->done = true;
			step(x);
		}
	}
	inverse_expect_any(x);
}

/* What is inside goes first, whatever the order of the lines. */
static void remove_directories(struct inverse *x)
{
	size_t told = SIZE_MAX; /* what is not empty stays by itself */
	bool any = true;

	while (any && !x->fatal) {
		any = false;
		for (size_t i = x->n; i-- > 0 && !x->fatal;) {
			struct inverse_one *o = x->v[i];
			struct inverse_move *m = o->moves;
			int rc;

			if (!o->item.chosen || !inverse_is_directory(o) ||
			    o->item.what != INVERSE_REMOVE || !o->n_moves ||
			    m->done)
				continue;
			rc = remove_name(x, o, &m->from, AT_REMOVEDIR, i,
					 &told);
			if (rc == -ENOTEMPTY || rc == -EEXIST)
				continue;
			if (rc < 0)
				inverse_fail(x, o, "removal", rc);
			m->done = any = true;
			step(x);
		}
	}
	for (size_t i = 0; i < x->n && !x->fatal; i++)
		if (x->v[i]->item.chosen && inverse_is_directory(x->v[i]) &&
		    x->v[i]->item.what == INVERSE_REMOVE && x->v[i]->n_moves &&
		    !x->v[i]->moves->done)
			inverse_fail(x, x->v[i], "removal", -ENOTEMPTY);
}

/* --- names that come --- */

enum { LATER = 1 }; /* its directory or its name is not ready */

/* Who has the name now, and will let it go? */
static struct inverse_one *will_leave(struct inverse *x, uint64_t ino)
{
	struct inverse_one *o = inverse_of(x, ino);

	for (size_t k = 0; o && o->item.chosen && k < o->n_moves; k++)
		if (!o->moves[k].done && o->moves[k].from.name)
			return o;
	return NULL;
}

static int rename_noted(struct inverse *x, struct inverse_one *o, int from_dir,
			const struct inverse_name *from, int to_dir,
			const struct inverse_name *to)
{
	autofree char *a = NULL, *b = NULL, *p = NULL, *q = NULL;
	int rc;

	inverse_expect(x, from_dir, o->holder ? o->holder : o->ino, 0);
	if (renameat2(from_dir, from->name, to_dir, to->name,
		      RENAME_NOREPLACE) < 0)
		return -errno;
	if (!inverse_is_directory(o))
		return 0;
	a = inverse_dir_path(x, from);
	b = inverse_dir_path(x, to);
	p = a ? inverse_join(a, from->name) : NULL;
	q = b ? inverse_join(b, to->name) : NULL;
	rc = p && q ? inverse_note_renamed(x, p, q) : -ENOMEM;
	return rc;
}

static int rename_one(struct inverse *x, struct inverse_one *o,
		      struct inverse_move *m, int to)
{
	int from = inverse_dir(x, &m->from), rc;
	uint64_t ino = 0;

	if (from < 0)
		return from;
	rc = inverse_ino_at(from, m->from.name, &ino);
	if (rc == 0 && ino != (o->holder ? o->holder : o->ino))
		rc = -ESTALE;
	if (rc == 0)
		rc = rename_noted(x, o, from, &m->from, to, &m->to);
	close(from);
	return rc;
}

/* One more name of what has one already. */
static int link_one(struct inverse *x, const struct inverse_one *o, int to,
		    const char *name)
{
	const struct inverse_name *have = &o->at;
	uint64_t there = 0, ino = o->made_ino ? o->made_ino : o->holder;
	char path[64];
	int from, fd, rc;

	for (size_t k = 0; k < o->n_moves; k++)
		if (o->moves[k].came)
			have = &o->moves[k].to;
	if (!have->name)
		return -ENOENT;
	from = inverse_dir(x, have);
	if (from < 0)
		return from;
	fd = openat(from, have->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	rc = fd < 0 ? -errno : inverse_ino_at(fd, "", &there);
	if (rc == 0 && there != ino)
		rc = -ESTALE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (rc == 0 && linkat(AT_FDCWD, path, to, name, AT_SYMLINK_FOLLOW) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	close(from);
	return rc;
}

static int make_one(struct inverse *x, struct inverse_one *o,
		    struct inverse_move *m, int dir)
{
	autofree char *a = NULL, *path = NULL;
	uint64_t there = 0;
	char name[64];
	int rc;

	if (o->made_ino)
		return link_one(x, o, dir, m->to.name);
	if (o->over) {
		rc = inverse_ino_at(dir, m->to.name, &there);
		if (rc < 0 || there != o->over)
			return rc < 0 ? rc : -ESTALE;
	}
	inverse_expect_any(x);
	rc = inverse_make(x, o, dir, name, &there);
	if (rc < 0)
		return rc;
	if (o->over)
		inverse_expect(x, dir, o->over, o->written_ns);
	if (renameat2(dir, name, dir, m->to.name,
		      o->over ? 0 : RENAME_NOREPLACE) < 0) {
		rc = -errno;
		inverse_expect_any(x);
		(void)!unlinkat(dir, name,
				inverse_is_directory(o) ? AT_REMOVEDIR : 0);
		return rc;
	}
	o->made_ino = there;
	if (!inverse_is_directory(o))
		return 0;
	a = inverse_dir_path(x, &m->to);
	path = a ? inverse_join(a, m->to.name) : NULL;
	return path ? inverse_note_made(x, o, path) : -ENOMEM;
}

static int come(struct inverse *x, struct inverse_one *o,
		struct inverse_move *m)
{
	/* mostly its name is free, and the kernel says so in the end */
	const bool blind = o->item.what == INVERSE_MAKE && !o->over &&
			   !o->made_ino && !m->taken;
	uint64_t there = 0;
	int dir = inverse_dir(x, &m->to), rc = -ENOENT;

	if (dir == -ENOENT && !m->to.dir) {
		struct inverse_one *above = maker_of(x, m->to.in);

		return above && above->item.chosen && above->item.rc == 0 ?
			       LATER :
			       -ENOENT;
	}
	if (dir < 0)
		return dir;
	if (!blind)
		rc = inverse_ino_at(dir, m->to.name, &there);
	if (rc == 0 && (!o->over || o->made_ino)) {
		close(dir);
		return there == o->ino	    ? 0 :
		       will_leave(x, there) ? LATER :
					      -EEXIST;
	}
	if (o->item.what == INVERSE_MAKE)
		rc = make_one(x, o, m, dir);
	else if (m->from.name)
		rc = rename_one(x, o, m, dir);
	else
		rc = link_one(x, o, dir, m->to.name);
	close(dir);
	if (rc == -EEXIST && blind) {
		m->taken = true;
		return come(x, o, m); /* by whom? */
	}
	return rc == -EINVAL ? LATER : rc; /* into itself: not yet */
}

static bool is_coming(const struct inverse_one *o, const struct inverse_move *m)
{
	return o->item.chosen && o->item.what != INVERSE_KEEP && !m->done &&
	       m->to.name;
}

/* Every name that can come; were there any, and are there others? */
static bool come_all(struct inverse *x, bool *left)
{
	bool any = false;

	*left = false;
	for (size_t i = 0; i < x->n && !x->fatal; i++) {
		struct inverse_one *o = x->v[i];

		for (size_t k = 0; k < o->n_moves && !x->fatal; k++) {
			struct inverse_move *m = &o->moves[k];
			int rc;

			if (!is_coming(o, m))
				continue;
			rc = come(x, o, m);
			if (rc == LATER) {
				*left = true;
				continue;
			}
			if (rc < 0)
				inverse_fail(x, o, "name", rc);
			m->came = rc == 0;
			m->done = any = true;
			step(x);
		}
	}
	return any;
}

/* What has the name goes aside, to come to its own place later. */
static int step_aside(struct inverse *x, struct inverse_move *wants)
{
	struct inverse_one *o;
	struct inverse_name aside;
	struct inverse_move *m = NULL;
	char name[64];
	uint64_t there = 0;
	int dir = inverse_dir(x, &wants->to), rc;

	if (dir < 0)
		return dir;
	rc = inverse_ino_at(dir, wants->to.name, &there);
	o = rc == 0 ? will_leave(x, there) : NULL;
	for (size_t k = 0; o && k < o->n_moves && !m; k++)
		if (!o->moves[k].done && o->moves[k].from.name &&
		    strcmp(o->moves[k].from.name, wants->to.name) == 0)
			m = &o->moves[k];
	if (!m) {
		close(dir);
		return rc < 0 ? rc : -EEXIST;
	}
	snprintf(name, sizeof(name), "%s%llx", x->temporary,
		 (unsigned long long)o->ino);
	aside = (struct inverse_name){ m->from.in, m->from.dir, name };
	rc = rename_noted(x, o, dir, &m->from, dir, &aside);
	close(dir);
	if (rc == 0) {
		free(m->from.name);
		m->from.name = strdup(name);
		rc = m->from.name ? 0 : -ENOMEM;
	}
	return rc;
}

/* The first one that waits for another: a circle ends there. */
static bool break_circle(struct inverse *x)
{
	for (size_t i = 0; i < x->n; i++)
		for (size_t k = 0; k < x->v[i]->n_moves; k++) {
			struct inverse_move *m = &x->v[i]->moves[k];

			if (is_coming(x->v[i], m) && step_aside(x, m) == 0)
				return true;
		}
	return false;
}

static void come_back(struct inverse *x)
{
	bool left = true;

	while (left && !x->fatal) {
		if (come_all(x, &left) || !left || x->fatal)
			continue;
		if (break_circle(x))
			continue;
		for (size_t i = 0; i < x->n; i++)
			for (size_t k = 0; k < x->v[i]->n_moves; k++)
				if (is_coming(x->v[i], &x->v[i]->moves[k]))
					inverse_fail(x, x->v[i], "name",
						     -EEXIST);
		return;
	}
}

/* --- all of it --- */

enum { WAIT_TRIES = 600 }; /* of 50 ms */

static void change_all(struct inverse *x, bool late)
{
	for (size_t i = x->n; i-- > 0 && !x->fatal;) {
		struct inverse_one *o = x->v[i];

		if (!o->item.chosen || o->item.what != INVERSE_CHANGE)
			continue;
		inverse_change(x, o, late);
		if (!late)
			step(x);
	}
}

/*
 * One at a time: two that carry out the same plan have the same temporary
 * names.  It ends with the process.
 */
static int wait_for_others(const struct inverse *x)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	for (int i = 0; flock(x->root, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (i == WAIT_TRIES)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* All of it, also when something else ended the whole. */
static bool is_done(const struct inverse_one *o)
{
	const enum inverse_what what = o->item.what;

	if (!o->item.chosen || o->item.rc < 0 || what == INVERSE_KEEP)
		return false;
	for (size_t k = 0; k < o->n_moves; k++)
		if (!o->moves[k].done)
			return false;
	return what != INVERSE_CHANGE || o->set;
}

int inverse_do(struct inverse *x)
{
	mode_t mask;

	x->fatal = wait_for_others(x);
	if (x->fatal)
		return x->fatal;
	mask = umask(0); /* modes are those of then */
	count_steps(x);
	change_all(x, false);
	remove_files(x);
	come_back(x);
	inverse_expect_any(x);
	remove_directories(x);
	change_all(x, true);
	/* what was made is told as done, so it gets the last of it in any case */
	for (size_t i = x->n; i-- > 0;) {
		struct inverse_one *o = x->v[i];

		if (o->made)
			inverse_times(x, o);
	}
	for (size_t i = 0; i < x->n; i++)
		x->v[i]->item.done = is_done(x->v[i]);
	if (fsync(x->root) < 0 && !x->fatal)
		x->fatal = -errno;
	(void)umask(mask);
	return x->fatal;
}
