/*
 * undo_put.c - user.vouch.restore: a file gets back bytes that the volume has
 * already.
 *
 *   {"expect":VERSION,"why":1|2,"run":HEX,"when":WORDS,
 *    "from":{"inode":I,"at":ENTRY}           what I was after that entry,
 *    "merge":[{"after":REF,"before":REF},..] without these changes; without
 *    }                                       "from" the file without them
 *
 * Nobody gets at bytes this way that he may not read: by the mode of then and
 * by all that counts now.
 */
#include <errno.h>
#include <string.h>

#include "analytics/undo_int.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "fs/content/content.h"
#include "fs/core/core.h"
#include "fs/core/core_storage.h"
#include "fs/store/lease.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"

enum { PARTS_MAX = 64 };

static bool get_ref(const struct json *o, const char *key, struct undo_ref *out)
{
	const struct json *v = json_get(o, key);

	return json_get_u64(v, "inode", &out->ino) &&
	       json_get_u64(v, "at", &out->at);
}

/* How many; -EINVAL. */
static int get_parts(const struct json *o, struct undo_part *out)
{
	const struct json *list = json_get(o, "merge");
	int n = 0;

	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		if (n == PARTS_MAX || !get_ref(v, "after", &out[n].after) ||
		    !get_ref(v, "before", &out[n].before))
			return -EINVAL;
		n++;
	}
	return n;
}

static int get_options(const struct json *o, struct core_storage_put *out)
{
	const char *run = json_get_str(o, "run");
	uint64_t why = 0;
	struct buf b = BUF_INIT;
	int rc = 0;

	out->when = json_get_str(o, "when");
	out->when = out->when ? out->when : "";
	if (!json_get_u64(o, "expect", &out->expect) ||
	    !json_get_u64(o, "why", &why) || why < 1 || why > 2 ||
	    strlen(out->when) > LIMIT_NAME)
		return -EINVAL;
	out->why = (uint8_t)why;
	if (!run)
		return 0;
	rc = text_hex_decode(&b, run, strlen(run));
	if (rc == 0 && b.n == sizeof(out->run))
		memcpy(out->run, b.p, b.n);
	else
		rc = -EINVAL;
	buf_release(&b);
	return rc;
}

/* Bytes as a content without extents. */
static int content_of(struct core *c, struct content **out, const struct buf *b)
{
	struct content_version v;
	uint64_t off;
	int rc = content_open(out, core_pool(c), &digest_zero, 0);

	if (rc >= 0)
		rc = content_write(*out, b->p, b->n, 0, false, 0, &off);
	if (rc < 0)
		return rc;
	rc = content_fold(*out, &v);
	if (rc >= 0)
		content_folded(*out, v.gen);
	content_version_release(&v);
	return rc;
}

static int merged(const struct undo_merge *m, struct content **out,
		  const struct core_storage_put *o, struct undo_ref from,
		  const struct undo_part *v, int n)
{
	struct buf ours = BUF_INIT, places = BUF_INIT;
	struct idx_version version;
	int rc = idx_version_at(m->r, &version, o->ino, IDX_NOW);

	if (rc >= 0 && (rc ? version.version : 0) != o->expect)
		rc = -EBUSY;
	if (rc >= 0)
		rc = undo_bytes(m, &ours, from);
	if (rc > 0)
		rc = undo_merge(m, &ours, v, (size_t)n, &places);
	if (rc == 0)
		rc = -EBUSY; /* it was a text when the plan was made */
	if (rc > 0)
		rc = content_of(m->core, out, &ours);
	buf_release(&ours);
	buf_release(&places);
	return rc;
}

/* What is asked of the index about it is of one state. */
static int open_from(const struct undo_merge *m, struct undo_opened *out,
		     struct undo_ref ref)
{
	int rc = idx_reader_begin(m->r);

	if (rc < 0)
		return rc;
	rc = undo_content_open(m->core, m->r, m->cr, out, ref);
	idx_reader_end(m->r);
	return rc;
}

static int put(struct core *c, struct idx_reader *r, const struct cred *cr,
	       struct core_storage_put *o, const struct json *request)
{
	struct undo_part parts[PARTS_MAX];
	struct undo_opened from = { .content = NULL };
	struct git_helper *git = NULL;
	struct undo_ref ref;
	const bool named = get_ref(request, "from", &ref);
	const struct undo_merge m = {
		.core = c,
		.r = r,
		.cr = core_is_owner(c, cr) ? NULL : cr,
		.git = &git,
	};
	int n = get_parts(request, parts), rc = n;

	if (!named)
		ref = (struct undo_ref){ o->ino, IDX_NOW };
	if (n > 0)
		rc = merged(&m, &from.content, o, ref, parts, n);
	else if (n == 0)
		rc = named ? open_from(&m, &from, ref) : -EINVAL;
	o->subject = from.subject;
	o->no = from.no;
	if (rc >= 0)
		rc = core_storage_put(c, cr, o, from.content);
	content_close(from.content);
	git_helper_stop(git);
	return rc;
}

int undo_put(struct core *c, const struct cred *cr, uint64_t ino,
	     const char *value, size_t n)
{
	struct lease *lease = store_lease(core_store(c));
	unsigned section = lease_enter(lease);
	struct core_storage_put o = { .ino = ino };
	struct idx_reader *r = NULL;
	struct json_doc *doc = NULL;
	int rc = json_parse(&doc, value, n, NULL);

	rc = rc < 0 ? -EINVAL : get_options(json_root(doc), &o);
	/* what a plan names is in the index; but of a text what there is now */
	if (rc >= 0 && json_get(json_root(doc), "merge"))
		rc = core_settle_index(c);
	if (rc >= 0)
		rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = put(c, r, cr, &o, json_root(doc));
	core_reader_give(c, r);
	json_free(doc);
	lease_leave(lease, section);
	return rc < 0 ? rc : 0;
}
