/*
 * verbs_restore.c - the plan of `vouch restore`: what anybody did after a
 * place of the log, as what takes it back (analytics/undo.h).
 */
#include <errno.h>

#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "analytics/undo.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/core/core.h"
#include "mount-tools/verbs_int.h"

/* What is written is in the log. */
static int settle(struct core *c)
{
	int rc = core_options_of(c)->read_only ? 0 : core_sync(c);

	return rc < 0 ? rc : core_settle_index(c);
}

int verbs_restore_plan(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct run_view all = { .cr = NULL }; /* none but he is heard here */
	const char *when = json_get_str(request, "when");
	struct idx_reader *r = NULL;
	struct core *c = ctx;
	struct spool s;
	uint64_t at = 0;
	int rc;

	(void)peer;
	if (!when || !json_get_u64(request, "at", &at))
		return errmsg_set(em, -ERR_USAGE, "as it was when?");
	spool_init(&s, core_store_dir(c), JSON_SIZE_MAX / 4);
	rc = settle(c);
	if (rc == 0)
		rc = core_reader_take(c, &r);
	if (rc == 0)
		rc = undo_report_since(c, &all, r, at, when, &s);
	core_reader_give(c, r);
	if (rc == 0)
		rc = spool_end(&s);
	if (rc == 0)
		rc = verbs_spool(&s, false, out);
	spool_release(&s);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}
