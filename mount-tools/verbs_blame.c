/*
 * verbs_blame.c - `vouch blame` as the daemon answers it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "analytics/audit_when.h"
#include "analytics/blame.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "index/idx.h"
#include "ledger/entry.h"
#include "mount-tools/verbs_int.h"

static int64_t now_ns(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What is dirty gets its version first: it is somebody's, too. */
static int settle(struct core *c, const char *path)
{
	uint64_t ino = 0;
	struct stat st;
	int rc = core_resolve(c, path, &ino);

	if (rc == 0)
		rc = core_getattr(c, ino, &st);
	if (rc == 0 && S_ISREG(st.st_mode) && !core_options_of(c)->read_only)
		rc = core_make_version(c, ino, ENTRY_REASON_DEMAND);
	if (rc == -ENOENT || rc == -ENOTDIR)
		rc = 0; /* it was there once */
	return rc < 0 ? rc : core_settle_index(c);
}

static int find(struct idx_reader *r, struct blame_what *out, const char *path,
		const struct json *request, struct errmsg *em)
{
	const char *when = json_get_str(request, "at");
	int64_t meant = 0;
	bool gone = false;
	int rc;

	out->at = IDX_NOW;
	if (!when) {
		rc = idx_resolve_last(r, &out->ino, &gone, path, strlen(path));
		if (rc == 0)
			return errmsg_set(em, -ENOENT,
					  "the volume never had such a file");
		return rc < 0 ? rc : 0;
	}
	(void)!json_get_i64(request, "at_ns", &meant);
	rc = audit_when_find(r, NULL, &out->at, when, meant, now_ns(), em);
	if (rc < 0)
		return errmsg_wrap(em, rc, "%s", when);
	rc = idx_resolve(r, &out->ino, path, strlen(path), out->at);
	if (rc == 0)
		return errmsg_set(em, -ENOENT, "it was not there at %s", when);
	return rc < 0 ? rc : 0;
}

static int answer(const struct blame *b, struct core *c, struct idx_reader *r,
		  struct buf *out)
{
	struct spool s;
	int rc;

	spool_init(&s, core_store_dir(c), JSON_SIZE_MAX / 4);
	rc = blame_json(b, c, r, NULL, &s); /* none but he is heard here */
	if (rc == 0)
		rc = spool_end(&s);
	if (rc == 0)
		rc = verbs_spool(&s, false, out);
	spool_release(&s);
	if (rc == 0 && b->lines) {
		buf_adds(out, ",\"base64\":\"");
		text_base64(out, b->text.p, b->text.n);
		buf_addc(out, '"');
	}
	return rc;
}

int verbs_blame(void *ctx, const struct json *request, const struct cred *peer,
		struct buf *out, struct errmsg *em)
{
	const char *path = json_get_str(request, "path");
	struct run_view all = { .cr = NULL };
	struct blame_what what = {
		.bytes = json_get_bool(request, "bytes", false),
	};
	struct idx_reader *r = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct core *c = ctx;
	struct blame *b = NULL;
	int rc;

	(void)peer;
	if (!path)
		return errmsg_set(em, -ERR_USAGE, "no path");
	what.ranged = json_get_u64(request, "first", &what.first) &&
		      json_get_u64(request, "until", &what.until);
	rc = settle(c, path);
	if (rc == 0)
		rc = core_reader_take(c, &r);
	if (rc == 0)
		rc = find(r, &what, path, request, &why);
	if (rc == 0)
		rc = blame_make(&b, c, r, &all, &what, &why);
	if (rc == 0)
		rc = answer(b, c, r, out);
	core_reader_give(c, r);
	blame_free(b);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path,
				   errmsg_text(&why, rc)) :
			0;
}
