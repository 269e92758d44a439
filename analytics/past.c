/*
 * past.c - replays the entries of one inode up to a place in the log.
 *
 * The same rules as apply() (index/state.h) for the fields that stat(2)
 * shows.  The modification time of a directory is that of its own entries
 * and of the names that are still in it then; a removal is not seen.
 */
#include "analytics/past.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/line.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "fs/content/content.h"
#include "fs/core/core.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

enum { PAGE = 128, NAMES_LOOKED_AT = 4096 };

void past_free(void *past)
{
	struct past *p = past;

	if (!p)
		return;
	free(p->target);
	free(p);
}

/* --- one entry --- */

static int replay_create(struct past *p, const struct entry *e)
{
	const struct entry_create *b = &e->body.create;

	p->mode = (uint32_t)DTTOIF(b->dtype) | (b->mode & 07777);
	p->uid = b->uid;
	p->gid = b->gid;
	p->rdev = b->rdev;
	p->nlink = b->name.n ? 1 : 0;
	p->atime_ns = p->mtime_ns = p->ctime_ns = e->core.wall_ns;
	if (b->dtype != DT_LNK)
		return 0;
	p->target = strndup(b->target.p, b->target.n);
	p->size = b->target.n;
	return p->target ? 0 : -ENOMEM;
}

static void replay_setattr(struct past *p, const struct entry *e)
{
	const struct entry_setattr *b = &e->body.setattr;

	if (!p->mode) { /* the root's first */
		p->mode = S_IFDIR | 0755;
		p->atime_ns = p->mtime_ns = e->core.wall_ns;
	}
	if (b->mask & ENTRY_ATTR_MODE)
		p->mode = (p->mode & S_IFMT) | (b->mode & 07777);
	if (b->mask & ENTRY_ATTR_UID)
		p->uid = b->uid;
	if (b->mask & ENTRY_ATTR_GID)
		p->gid = b->gid;
	if (b->mask & ENTRY_ATTR_ATIME)
		p->atime_ns = b->atime_ns;
	if (b->mask & ENTRY_ATTR_MTIME)
		p->mtime_ns = b->mtime_ns;
	p->ctime_ns =
		b->mask & ENTRY_ATTR_CTIME ? b->ctime_ns : e->core.wall_ns;
}

static void replay_version(struct past *p, const struct entry *e)
{
	const struct entry_version *b = &e->body.version;

	p->extents_from = 0;
	p->unreadable = e->body.opaque;
	if (e->body.opaque)
		return;
	if (p->size != b->size || p->mtime_ns != b->mtime_ns ||
	    !digest_eq(&p->root, &b->tree_root))
		p->ctime_ns = e->core.wall_ns;
	p->root = b->tree_root;
	p->size = p->version_size = b->size;
	p->allocated = entry_version_allocated(&e->body);
	p->mtime_ns = b->mtime_ns;
}

/* Kinds that are about no inode but the one they name. */
static bool is_own_alone(uint16_t kind)
{
	return kind == ENTRY_VERSION || kind == ENTRY_EXTENTS ||
	       kind == ENTRY_SETATTR;
}

static int replay(struct past *p, const struct entry *e, uint64_t no)
{
	bool own = e->core.inode == p->ino;

	/* The index says whose an entry is; the entry itself is believed. */
	if (!own && is_own_alone(e->core.kind))
		return -ERR_CORRUPT;
	if (e->body.opaque && e->core.kind != ENTRY_VERSION)
		return 0;
	switch (e->core.kind) {
	case ENTRY_CREATE:
		return own ? replay_create(p, e) : 0;
	case ENTRY_SETATTR:
		replay_setattr(p, e);
		return 0;
	case ENTRY_LINK:
		p->nlink++;
		break;
	case ENTRY_UNLINK:
		p->nlink -= p->nlink > 0;
		break;
	case ENTRY_RENAME: /* not its own: it was replaced or exchanged */
		if (!own && !(e->body.rename.flags & ENTRY_RENAME_EXCHANGE))
			p->nlink -= p->nlink > 0;
		break;
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
		break;
	case ENTRY_VERSION:
		replay_version(p, e);
		return 0;
	case ENTRY_EXTENTS:
		p->size = e->body.extents.size;
		p->mtime_ns = e->core.wall_ns;
		if (!p->extents_from)
			p->extents_from = no;
		break;
	default:
		return 0;
	}
	p->ctime_ns = e->core.wall_ns;
	return 0;
}

/* --- all of them --- */

struct page {
	struct {
		uint64_t no;
		bool rejected;
	} v[PAGE];
	unsigned n;
};

static int add_entry(void *ctx, const struct idx_entry *e)
{
	struct page *g = ctx;

	g->v[g->n].no = e->no;
	g->v[g->n++].rejected = e->rejected;
	return 0;
}

int past_entries(struct core *c, struct idx_reader *r, uint64_t ino,
		 uint64_t from, uint64_t at, bool attributes, past_entry_fn *fn,
		 void *ctx)
{
	struct buf stored = BUF_INIT;
	struct page g = { .n = PAGE };
	int rc = 0;

	while (rc >= 0 && g.n == PAGE) {
		g.n = 0;
		rc = idx_history(r, ino, from, at, PAGE, attributes, add_entry,
				 &g);
		for (unsigned i = 0; rc >= 0 && i < g.n; i++) {
			struct entry e;

			from = g.v[i].no + 1;
			if (g.v[i].rejected)
				continue;
			rc = line_load(c, &stored, &e, g.v[i].no);
			if (rc >= 0)
				rc = fn(ctx, &e, g.v[i].no);
		}
	}
	buf_release(&stored);
	return rc < 0 ? rc : 0;
}

static int replay_one(void *ctx, const struct entry *e, uint64_t no)
{
	return replay(ctx, e, no);
}

struct newest_name {
	uint64_t since;
	char last[LIMIT_NAME];
	uint16_t len;
};

static int look_name(void *ctx, const struct name_row *row, const char *name,
		     uint16_t len)
{
	struct newest_name *m = ctx;

	if (row->since > m->since)
		m->since = row->since;
	memcpy(m->last, name, len);
	m->len = len;
	return 0;
}

/* A directory changed when a name came into it. */
static int directory_time(struct past *p, struct idx_reader *r)
{
	struct newest_name m = { .since = 0 };
	struct idx_entry e;
	int rc = idx_names_at(r, p->ino, "", 0, NAMES_LOOKED_AT, p->at,
			      look_name, &m);

	if (rc < 0 || !m.since)
		return rc < 0 ? rc : 0;
	rc = idx_entry(r, &e, m.since);
	if (rc > 0 && e.wall_ns > p->mtime_ns)
		p->mtime_ns = e.wall_ns;
	if (rc > 0 && e.wall_ns > p->ctime_ns)
		p->ctime_ns = e.wall_ns;
	return rc < 0 ? rc : 0;
}

/*
 * Of contents the last two versions and what came after tell all but for the
 * time of change, and that where neither of them changed a thing: a file that
 * was written ten thousand times costs no more than one.
 */
static int replay_all(struct past *p, struct core *c, struct idx_reader *r)
{
	struct idx_version v = { .version = 0 };
	uint64_t from = 0;
	int rc = idx_version_at(r, &v, p->ino, p->at);

	if (rc > 0 && v.version > 2) {
		rc = idx_version(r, &v, p->ino, v.version - 1);
		from = rc > 0 ? v.no : 0;
	}
	if (rc >= 0 && from)
		rc = past_entries(c, r, p->ino, 0, from - 1, true, replay_one,
				  p);
	if (rc >= 0)
		rc = past_entries(c, r, p->ino, from, p->at, false, replay_one,
				  p);
	return rc;
}

int past_load(struct past **out, struct core *c, struct idx_reader *r,
	      uint64_t ino, uint64_t at)
{
	struct past *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->ino = ino;
	p->at = at;
	rc = replay_all(p, c, r);
	if (rc >= 0 && !p->mode)
		rc = -ENOENT;
	if (rc >= 0 && S_ISDIR(p->mode)) {
		p->nlink = 1; /* as file systems that do not count */
		rc = directory_time(p, r);
	}
	if (rc < 0) {
		past_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

static struct timespec timespec_of(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000,
			      .tv_nsec = ns % 1000000000 };

	if (t.tv_nsec < 0) {
		t.tv_nsec += 1000000000;
		t.tv_sec--;
	}
	return t;
}

void past_stat(const struct past *p, struct stat *out)
{
	/* writes that no version held then: nobody has counted their holes */
	uint64_t allocated = p->extents_from ? p->size : p->allocated;

	out->st_mode = p->mode;
	out->st_uid = p->uid;
	out->st_gid = p->gid;
	out->st_rdev = p->rdev;
	out->st_nlink = p->nlink ? p->nlink : 1;
	out->st_size = (off_t)p->size;
	out->st_blocks =
		S_ISREG(p->mode) ? (blkcnt_t)((allocated + 511) / 512) : 0;
	out->st_atim = timespec_of(p->atime_ns);
	out->st_mtim = timespec_of(p->mtime_ns);
	out->st_ctim = timespec_of(p->ctime_ns);
}

/* --- content --- */

struct overlay {
	struct content *content;
	struct lease *lease;
	struct extent_row *v;
	uint64_t from;
};

static int overlay_one(void *ctx, const struct entry *e, uint64_t no)
{
	struct overlay *o = ctx;
	const struct entry_extents *b = &e->body.extents;
	int rc;

	if (e->core.kind != ENTRY_EXTENTS || e->body.opaque || no < o->from)
		return 0;
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_extent x;

		entry_extents_at(&x, b, i);
		lease_note(o->lease, &x.chunk);
		o->v[i] = (struct extent_row){ .off = x.offset,
					       .len = x.length,
					       .chunk_off = x.chunk_offset,
					       .chunk = x.chunk };
	}
	rc = content_recover(o->content, o->v, b->n);
	if (rc >= 0)
		content_recover_size(o->content, b->size);
	return rc;
}

/*
 * -ENODATA: the version then was released, or the one that took the saves
 * after it.
 */
static int check_kept(const struct past *p, struct core *c)
{
	struct idx_version v = { .version = 0 };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);
	bool gone = false;

	if (rc >= 0)
		rc = idx_version_at(r, &v, p->ino, p->at);
	gone = rc > 0 && v.released_no;
	if (rc >= 0 && p->extents_from) {
		rc = idx_version(r, &v, p->ino, v.version + 1);
		gone = gone || (rc > 0 && v.released_no);
	}
	core_reader_give(c, r);
	return rc < 0 ? rc : gone ? -ENODATA : 0;
}

/* The saves between the version and the moment, in the order of the log. */
static int lay_saves(const struct past *p, struct core *c,
		     struct content *content)
{
	struct overlay o = {
		.content = content,
		.from = p->extents_from,
		.lease = store_lease(core_store(c)),
	};
	struct idx_reader *r = NULL;
	int rc;

	o.v = calloc(LIMIT_EXTENTS, sizeof(*o.v));
	rc = o.v ? core_reader_take(c, &r) : -ENOMEM;
	if (rc >= 0)
		rc = past_entries(c, r, p->ino, p->extents_from, p->at, false,
				  overlay_one, &o);
	core_reader_give(c, r);
	free(o.v);
	return rc;
}

/*
 * While the content is open gc takes nothing that it needs; up to there the
 * section sees to that (fs/store/lease.h).
 */
int past_content(const struct past *p, struct core *c, struct content **out)
{
	struct lease *lease = store_lease(core_store(c));
	unsigned section = lease_enter(lease);
	struct content *content = NULL;
	int rc = p->unreadable ? -EIO : check_kept(p, c);

	*out = NULL;
	if (rc >= 0)
		rc = content_open(&content, core_pool(c), &p->root,
				  p->version_size);
	if (rc >= 0 && p->extents_from)
		rc = lay_saves(p, c, content);
	lease_leave(lease, section);
	if (rc < 0) {
		content_close(content);
		return rc;
	}
	*out = content;
	return 0;
}

ssize_t past_read(const struct past *p, struct content *content, void *buf,
		  size_t n, uint64_t off)
{
	ssize_t got = content_read(content, buf, n, off);

	/* gc may have taken what was saved between two versions */
	return got == -ERR_MISSING_CHUNK && p->extents_from ? -ENODATA : got;
}
