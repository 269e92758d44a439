/*
 * undo_print.c - an undo's plan as lines of JSON, by path; undo_report(), which
 * makes it, in the form of vouchfs-audit(5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/line.h"
#include "analytics/past.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "analytics/undo_int.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "fs/run/run_undo.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"

enum { WHY_RESTORE = 1, WHY_UNDO }; /* of a RESTORE entry */

struct printed {
	struct undo_item *item;
	char *path;
};

static const char *type_word(uint32_t type)
{
	switch (type) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "character-device";
	default:
		return "block-device";
	}
}

/* --- names --- */

/* Where it is now, else where it was last; "" is the root. */
static int path_of(struct undo *u, struct buf *out, uint64_t ino)
{
	const struct buf *dir;
	bool gone = false;
	int rc = undo_look_dir(u, &dir, ino);

	if (rc > 0)
		buf_add(out, dir->n ? (char *)dir->p : "", dir->n);
	else if (rc == 0)
		rc = idx_path_last(u->r, out, ino, &gone);
	return rc < 0 ? rc : 0;
}

static int path_of_name(struct undo *u, struct buf *out,
			const struct undo_name *n)
{
	int rc = path_of(u, out, n->parent);

	if (out->n)
		buf_addc(out, '/');
	buf_adds(out, n->name);
	return rc;
}

/* {"in":INODE,"dir":PATH,"name":...}; no dir: there is none now. */
static int put_name(struct undo *u, struct buf *out, const struct undo_name *n)
{
	struct undo_track *t = undo_find(u, n->parent);
	struct undo_item *i = t ? t->item : NULL;
	uint64_t dir = n->parent;
	const struct buf *path = NULL;
	int rc;

	if (i && i->what == UNDO_MAKE && i->there)
		dir = i->there;
	rc = undo_look_dir(u, &path, dir);
	buf_addf(out, "{\"in\":%llu", (unsigned long long)dir);
	if (rc > 0) {
		buf_addc(out, ',');
		line_text(out, "dir", path->n ? path->p : (uint8_t *)"",
			  path->n);
	}
	buf_addc(out, ',');
	line_text(out, "name", n->name, strlen(n->name));
	buf_addc(out, '}');
	return rc < 0 ? rc : 0;
}

static int put_names(struct undo *u, struct buf *out, const char *key,
		     const struct undo_item *i, bool from)
{
	int rc = 0;

	buf_addf(out, ",\"%s\":[", key);
	for (size_t k = 0; k < i->n_moves && rc == 0; k++) {
		if (k)
			buf_addc(out, ',');
		rc = put_name(u, out, from ? i->moves[k].from : i->moves[k].to);
	}
	buf_addc(out, ']');
	return rc;
}

static int put_moves(struct undo *u, struct buf *out, const struct undo_item *i)
{
	int rc = 0;

	if (!i->n_moves)
		return 0;
	buf_adds(out, ",\"moves\":[");
	for (size_t k = 0; k < i->n_moves && rc == 0; k++) {
		const struct undo_move *m = &i->moves[k];

		buf_adds(out, k ? ",{" : "{");
		if (m->from) {
			buf_adds(out, "\"from\":");
			rc = put_name(u, out, m->from);
		}
		if (m->from && m->to)
			buf_addc(out, ',');
		if (m->to && rc == 0) {
			buf_adds(out, "\"to\":");
			rc = put_name(u, out, m->to);
		}
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	return rc;
}

/* --- values --- */

static int chunk_value(struct undo *u, struct buf *out, const struct digest *id)
{
	struct lease *lease = store_lease(core_store(u->core));
	unsigned section = lease_enter(lease);
	struct store_ref ref;
	int rc = store_get(core_store(u->core), &ref, id, CHUNK_DATA);

	if (rc >= 0) {
		text_base64(out, ref.p, ref.n);
		store_release(&ref);
	}
	lease_leave(lease, section);
	return rc < 0 ? rc : 0;
}

/* The value that an entry gave to an attribute, as base64. */
static int put_value(struct undo *u, struct buf *out, const char *name,
		     uint64_t no)
{
	const struct entry_create *c;
	const struct entry_setxattr *b;
	struct entry e;
	int rc = line_load(u->core, &u->stored, &e, no);

	if (rc < 0 || e.body.opaque)
		return rc < 0 ? rc : -ENODATA;
	c = &e.body.create;
	b = &e.body.setxattr;
	if (e.core.kind == ENTRY_CREATE && strcmp(name, STATE_XATTR_ACL) == 0)
		text_base64(out, c->acl, c->acl_n);
	else if (e.core.kind == ENTRY_CREATE)
		text_base64(out, c->default_acl, c->default_acl_n);
	else if (b->value || b->value_n == 0)
		text_base64(out, b->value, b->value_n);
	else
		rc = chunk_value(u, out, &b->content);
	return rc;
}

static int put_xattr(struct undo *u, struct buf *out, const char *name,
		     uint64_t no, bool comma)
{
	int rc = 0;

	buf_adds(out, comma ? ",{" : "{");
	line_text(out, "name", name, strlen(name));
	buf_adds(out, ",\"value\":");
	if (no) {
		buf_addc(out, '"');
		rc = put_value(u, out, name, no);
		buf_addc(out, '"');
	} else {
		buf_adds(out, "null");
	}
	buf_addc(out, '}');
	return rc;
}

/* Those that something had before the run. */
static int put_old_xattrs(struct undo *u, struct buf *out,
			  const struct undo_track *t)
{
	bool any = false;
	int rc = 0;

	buf_adds(out, ",\"attributes\":[");
	for (size_t k = 0; k < t->n_xattrs && rc == 0; k++) {
		const struct undo_xattr *x = &t->xattrs[k];
		uint64_t no = undo_old_value(x)->no;

		if (!no)
			continue;
		rc = put_xattr(u, out, x->name, no, any);
		any = true;
	}
	buf_addc(out, ']');
	return rc;
}

static void put_ref(struct buf *out, const char *key, struct undo_ref ref)
{
	buf_addf(out, "\"%s\":{\"inode\":%llu,\"at\":%llu}", key,
		 (unsigned long long)ref.ino, (unsigned long long)ref.at);
}

/* What UNDO_ATTRIBUTE is set to, as a string. */
static void put_put(struct undo *u, struct buf *out, const struct undo_item *i,
		    uint64_t expect)
{
	const bool old = i->what != UNDO_CHANGE || i->over;
	struct buf b = BUF_INIT;
	char word[RUN_WORD_MAX];

	buf_addf(&b, "{\"expect\":%llu,\"why\":%d,\"when\":",
		 (unsigned long long)expect, u->run ? WHY_UNDO : WHY_RESTORE);
	if (u->run) {
		idx_run_word(word, u->run);
		buf_addf(&b, "\"%s\",\"run\":\"", word);
		text_hex(&b, u->run->id, sizeof(u->run->id));
		buf_adds(&b, "\",");
	} else {
		text_json_string(&b, u->when, strlen(u->when));
		buf_addc(&b, ',');
	}
	if (old)
		put_ref(&b, "from", undo_old_content(i->src));
	else if (!i->merge)
		put_ref(&b, "from", i->parts[0].before);
	if (i->merge) {
		buf_adds(&b, old ? ",\"merge\":[" : "\"merge\":[");
		for (size_t k = 0; k < i->n_parts; k++) {
			buf_adds(&b, k ? ",{" : "{");
			put_ref(&b, "after", i->parts[k].after);
			buf_addc(&b, ',');
			put_ref(&b, "before", i->parts[k].before);
			buf_addc(&b, '}');
		}
		buf_addc(&b, ']');
	}
	buf_addc(&b, '}');
	buf_adds(out, ",\"put\":");
	text_json_string(out, b.p, b.n);
	out->bad = out->bad || b.bad;
	buf_release(&b);
}

/* --- the three kinds --- */

static int put_old(struct undo *u, struct buf *out, const struct undo_item *i)
{
	const struct undo_track *t = i->src;
	struct undo_ref ref = undo_old_content(t);
	struct past *p = NULL;
	int64_t v[3];
	int rc;

	if (S_ISDIR(t->type))
		ref.at = t->first - 1;
	rc = past_load(&p, u->core, u->r, t->ino, ref.at);
	if (rc < 0)
		return rc;
	for (int k = UNDO_MODE; k <= UNDO_GID; k++)
		v[k] = undo_old_number(&t->number[k]);
	buf_addf(out,
		 ",\"mode\":%lld,\"uid\":%lld,\"gid\":%lld,\"rdev\":%llu,"
		 "\"atime\":%lld,\"mtime\":%lld",
		 (long long)v[UNDO_MODE], (long long)v[UNDO_UID],
		 (long long)v[UNDO_GID], (unsigned long long)t->rdev,
		 (long long)p->atime_ns, (long long)p->mtime_ns);
	past_free(p);
	if (t->target) {
		buf_addc(out, ',');
		line_text(out, "target", t->target, strlen(t->target));
	}
	rc = put_old_xattrs(u, out, t);
	if (S_ISREG(t->type))
		put_put(u, out, i, 0);
	return rc;
}

static int put_make(struct undo *u, struct buf *out, const struct undo_item *i)
{
	int rc = put_old(u, out, i);

	if (rc == 0 && i->over)
		buf_addf(out, ",\"over\":%llu,\"written\":%lld",
			 (unsigned long long)i->dst->ino,
			 S_ISREG(i->dst->type) ? (long long)i->dst->written_ns :
						 0);
	return rc < 0 ? rc : put_names(u, out, "names", i, false);
}

static int put_settings(struct undo *u, struct buf *out,
			const struct undo_item *i)
{
	static const char *const keys[] = { "mode", "uid", "gid", "mtime" };
	const char *comma = "";
	int rc = 0;

	buf_adds(out, ",\"is\":{");
	for (int k = 0; k < UNDO_MTIME; k++) {
		if (!i->set[k])
			continue;
		buf_addf(out, "%s\"%s\":%lld", comma, keys[k],
			 (long long)i->holder->number[k].now);
		comma = ",";
	}
	comma = "";
	buf_adds(out, "},\"set\":{");
	for (int k = 0; k < UNDO_NUMBERS; k++) {
		const struct undo_number *n = &i->src->number[k];

		if (!i->set[k])
			continue;
		buf_addf(out, "%s\"%s\":%lld", comma, keys[k],
			 (long long)(n->seen.touched ? n->before : n->now));
		comma = ",";
	}
	buf_adds(out, "},\"attributes\":[");
	for (size_t k = 0; k < i->n_xattrs && rc == 0; k++)
		rc = put_xattr(u, out, i->xattrs[k].name, i->xattrs[k].no,
			       k > 0);
	buf_addc(out, ']');
	return rc;
}

static int put_change(struct undo *u, struct buf *out,
		      const struct undo_item *i)
{
	int now = undo_track_name_now(u, i->holder), rc = 0;

	if (i->over)
		return put_make(u, out, i);
	buf_addf(out, ",\"holder\":%llu", (unsigned long long)i->holder->ino);
	if (now >= 0) {
		buf_adds(out, ",\"at\":");
		rc = put_name(u, out, &i->holder->names[now]);
	}
	if (i->put || i->merge)
		put_put(u, out, i, i->holder->version);
	if (rc == 0)
		rc = put_settings(u, out, i);
	return rc < 0 ? rc : put_moves(u, out, i);
}

/* Of a file also when it was written last: another time is not this plan's. */
static int put_remove(struct undo *u, struct buf *out,
		      const struct undo_item *i)
{
	if (S_ISREG(i->dst->type))
		buf_addf(out, ",\"written\":%lld",
			 (long long)i->dst->written_ns);
	return put_names(u, out, "names", i, true);
}

/* --- conflicts --- */

static int put_by(struct undo *u, struct buf *out, uint64_t no)
{
	struct idx_entry e;
	struct idx_actor a;
	struct idx_run run;
	char word[RUN_WORD_MAX];
	int rc = idx_entry(u->r, &e, no);

	if (rc <= 0)
		return rc;
	buf_adds(out, ",\"entry\":");
	line_no(out, no);
	buf_adds(out, ",\"time\":");
	line_time(out, e.wall_ns);
	rc = e.actor_no ? idx_actor(u->r, &a, e.actor_no) : 0;
	if (rc <= 0)
		return rc;
	buf_addf(out, ",\"uid\":%u", a.uid);
	if (!u->view->cr || a.uid == u->view->cr->uid) {
		buf_addc(out, ',');
		line_text(out, "exe", a.exe.p, a.exe.n);
		rc = idx_run_by_id(u->r, &run, a.run);
		if (rc > 0) {
			idx_run_word(word, &run);
			buf_addf(out, ",\"run\":\"%s\"", word);
		}
	}
	idx_actor_release(&a);
	return rc;
}

static int put_conflicts(struct undo *u, struct buf *out,
			 const struct undo_item *i)
{
	int rc = 0;

	buf_adds(out, ",\"conflicts\":[");
	for (size_t k = 0; k < i->n_conflicts && rc >= 0; k++) {
		const struct undo_conflict *c = &i->conflicts[k];

		buf_addf(out, "%s{\"what\":\"%s\",\"why\":\"%s\"", k ? "," : "",
			 c->what, c->why);
		if (c->detail && strcmp(c->what, "lines") == 0) {
			buf_addf(out, ",\"lines\":[%s]", c->detail);
		} else if (c->detail) {
			buf_addc(out, ',');
			line_text(out, "name", c->detail, strlen(c->detail));
		}
		rc = c->by ? put_by(u, out, c->by) : 0;
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	return rc < 0 ? rc : 0;
}

/* --- lines --- */

static const char *word_of(const struct undo_item *i)
{
	if (i->verdict == UNDO_NOT)
		return "keep";
	if (i->what == UNDO_REMOVE)
		return "remove";
	return i->what == UNDO_MAKE || i->over ? "make" : "change";
}

static int put_line(struct undo *u, struct buf *out, const struct printed *p)
{
	const struct undo_item *i = p->item;
	int rc = 0;

	buf_addf(out, "{\"do\":\"%s\",\"inode\":%llu,\"type\":\"%s\",",
		 word_of(i), (unsigned long long)i->dst->ino,
		 type_word(i->what == UNDO_REMOVE ? i->dst->type :
						    i->src->type));
	line_text(out, "path", p->path, strlen(p->path));
	if (i->src != i->dst)
		buf_addf(out, ",\"was\":%llu", (unsigned long long)i->src->ino);
	if (i->verdict != UNDO_NOT) {
		if (i->what == UNDO_REMOVE)
			rc = put_remove(u, out, i);
		else if (i->what == UNDO_MAKE)
			rc = put_make(u, out, i);
		else
			rc = put_change(u, out, i);
	}
	if (rc == 0 && i->n_conflicts)
		rc = put_conflicts(u, out, i);
	buf_adds(out, "}\n");
	return rc;
}

/* Where a person looks for it. */
static int item_path(struct undo *u, const struct undo_item *i, char **out)
{
	const struct undo_name *n = i->place;
	struct buf b = BUF_INIT;
	int now = undo_track_name_now(u, i->holder), rc;

	if (now >= 0)
		n = &i->holder->names[now];
	for (size_t k = 0; now < 0 && !i->place && k < i->src->n_names; k++) {
		const struct undo_name *v = &i->src->names[k];

		if (v->before && (!n || (v->others && v->seen.touched)))
			n = v;
	}
	if (n)
		rc = path_of_name(u, &b, n);
	else
		rc = path_of(u, &b, i->src->ino);
	if (b.n == 0)
		buf_addc(&b, '.');
	*out = b.bad ? NULL : buf_take(&b);
	buf_release(&b);
	return rc < 0 ? rc : *out ? 0 : -ENOMEM;
}

static int by_path(const void *a, const void *b)
{
	const struct printed *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int is_it(void *ctx, const char *word)
{
	const char **other = ctx;

	if (*other && strcmp(*other, word) == 0)
		*other = NULL;
	return 0;
}

static int put_head(struct undo *u, struct buf *out)
{
	char word[RUN_WORD_MAX];
	const char *found = word;
	int rc;

	if (!u->run) {
		buf_adds(out, "{\"format\":\"vouchfs-undo-1\",\"at\":");
		line_no(out, u->since);
		buf_addf(out, ",\"state\":\"ended\",\"temporary\":\"%s\"}\n",
			 u->temporary);
		return 0;
	}
	idx_run_word(word, u->run);
	buf_addf(out, "{\"format\":\"vouchfs-undo-1\",\"run\":\"%s\",\"id\":\"",
		 word);
	text_hex(out, u->run->id, sizeof(u->run->id));
	rc = run_undo_unfinished(core_ledger(u->core), u->r, is_it, &found);
	buf_addf(out,
		 "\",\"state\":\"%s\",\"unfinished\":%s,"
		 "\"temporary\":\"%s\"}\n",
		 u->run->implicit ? "implicit" :
		 u->run->end_no	  ? "ended" :
				    "running",
		 found ? "false" : "true", u->temporary);
	return rc;
}

int undo_print(struct undo *u, struct spool *out)
{
	struct printed *v = calloc(u->n_items + 1, sizeof(*v));
	struct buf line = BUF_INIT;
	size_t n = 0;
	int rc = v ? put_head(u, &line) : -ENOMEM;

	spool_buf(out, &line);
	for (size_t i = 0; rc == 0 && i < u->n_items; i++) {
		if (u->items[i].verdict != UNDO_OK &&
		    u->items[i].verdict != UNDO_NOT)
			continue;
		v[n].item = &u->items[i];
		rc = undo_look(u);
		if (rc == 0)
			rc = item_path(u, v[n].item, &v[n].path);
		n += v[n].path != NULL;
	}
	if (rc == 0 && n)
		qsort(v, n, sizeof(*v), by_path);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = undo_look(u);
		if (rc == 0)
			rc = put_line(u, &line, &v[i]);
		spool_buf(out, &line);
	}
	for (size_t i = 0; v && i < n; i++)
		free(v[i].path);
	buf_release(&line);
	free(v);
	return rc;
}

/* The same plan has the same names of what is on its way. */
static int name_temporary(struct undo *u)
{
	const uint8_t since[4] = {
		(uint8_t)(u->since >> 36),
		(uint8_t)(u->since >> 28),
		(uint8_t)(u->since >> 20),
		(uint8_t)(u->since >> 12),
	};
	struct buf b = BUF_INIT;
	int rc;

	buf_adds(&b, UNDO_TEMPORARY);
	text_hex(&b, u->run ? u->run->id : since, sizeof(since));
	buf_addc(&b, '.');
	rc = b.bad || b.n >= sizeof(u->temporary) ? -ENOMEM : 0;
	if (rc == 0)
		memcpy(u->temporary, b.p, b.n + 1);
	buf_release(&b);
	return rc;
}

static int report(struct undo *u, struct spool *out)
{
	struct lease *lease = store_lease(core_store(u->core));
	unsigned section = lease_enter(lease);
	int rc = name_temporary(u);

	if (rc == 0)
		rc = undo_plan(u);
	if (rc == 0)
		rc = undo_print(u, out);
	lease_leave(lease, section);
	undo_plan_release(u);
	return rc;
}

int undo_report(struct core *c, struct run_view *v, struct idx_reader *r,
		const struct idx_run *run, struct spool *out)
{
	struct undo u = { .core = c, .view = v, .r = r, .run = run };

	return report(&u, out);
}

int undo_report_since(struct core *c, struct run_view *v, struct idx_reader *r,
		      uint64_t since, const char *when, struct spool *out)
{
	struct undo u = {
		.core = c, .view = v, .r = r, .since = since, .when = when
	};

	return report(&u, out);
}
