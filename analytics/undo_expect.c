/*
 * undo_expect.c - user.vouch.expect: from now on the process that sets it takes
 * names away only of these inodes (fs/core/core_expect.h).
 *
 *   [[INODE,MTIME],...]        MTIME in nanoseconds, 0: any; []: of all again
 */
#include <errno.h>
#include <stdlib.h>

#include "analytics/undo.h"
#include "base/json.h"
#include "fs/core/core_expect.h"

/* How many; -EINVAL, -E2BIG. */
static int read_list(const struct json *list, struct core_expected *out)
{
	int n = 0;

	if (!list || list->type != JSON_ARRAY)
		return -EINVAL;
	for (const struct json *v = list->first; v; v = v->next) {
		if (n == CORE_EXPECT_EACH)
			return -E2BIG;
		if (v->type != JSON_ARRAY || v->count != 2 ||
		    !json_u64(v->first, &out[n].ino) ||
		    !json_i64(v->first->next, &out[n].mtime_ns))
			return -EINVAL;
		n++;
	}
	return n;
}

int undo_expect(struct core *c, const struct cred *cr, const char *value,
		size_t n)
{
	struct core_expected *v = calloc(CORE_EXPECT_EACH, sizeof(*v));
	struct json_doc *doc = NULL;
	int rc = v ? json_parse(&doc, value, n, NULL) : -ENOMEM;

	if (rc == 0)
		rc = read_list(json_root(doc), v);
	else if (v)
		rc = -EINVAL;
	if (rc >= 0)
		rc = core_expect_set(c, cr, v, (size_t)rc);
	json_free(doc);
	free(v);
	return rc;
}
