/*
 * audit_when.c - snapshot names, positions and times.
 *
 * A time means the last entry before which none is later (the running
 * maximum), so that clock steps do not make it ambiguous.  What is younger
 * than the index is waited for.
 */
#include "analytics/audit_when.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "fs/core.h"
#include "index/idx.h"
#include "index/idx_query.h"

static int with_reader(struct core *c, uint64_t *out,
		       int (*fn)(struct idx_reader *r, uint64_t *out,
				 const void *arg),
		       const void *arg)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = fn(r, out, arg);
	core_reader_give(c, r);
	return rc;
}

static int find_snapshot(struct idx_reader *r, uint64_t *out, const void *arg)
{
	struct digest position;
	int rc = idx_snapshot_find(r, out, &position, arg);

	if (rc > 0 && !digest_is_zero(&position))
		rc = idx_leaf(r, &position, out); /* a seal named by its leaf */
	return rc;
}

static int find_position(struct idx_reader *r, uint64_t *out, const void *arg)
{
	const uint64_t *want = arg;
	struct idx_seal_row s;
	int rc = idx_seal_get(r, &s, IDX_SEAL(*want));

	if (rc > 0 && IDX_POS(*want) != LIMIT_BATCH - 1 &&
	    IDX_POS(*want) >= s.count)
		rc = 0;
	*out = *want;
	return rc;
}

static int find_time(struct idx_reader *r, uint64_t *out, const void *arg)
{
	return idx_at_wall(r, *(const int64_t *)arg, out);
}

/* "12" or "12.3", nothing else. */
static bool parse_position(const char *s, uint64_t *out)
{
	char seal[24];
	const char *dot = strchr(s, '.');
	uint64_t n = 0, pos = LIMIT_BATCH - 1;
	size_t len = dot ? (size_t)(dot - s) : strlen(s);

	if (!len || len >= sizeof(seal) || (len > 1 && s[0] == '0'))
		return false;
	memcpy(seal, s, len);
	seal[len] = '\0';
	if (strspn(seal, "0123456789") != len || text_u64_parse(&n, seal) < 0)
		return false;
	if (dot && (!dot[1] || dot[1 + strspn(dot + 1, "0123456789")] ||
		    (dot[1] == '0' && dot[2]) ||
		    text_u64_parse(&pos, dot + 1) < 0 || pos >= LIMIT_BATCH))
		return false;
	if (n >> 51)
		return false;
	*out = IDX_ENTRY_NO(n, pos);
	return true;
}

static int64_t wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int at_time(struct core *c, uint64_t *out, const char *when,
		   struct errmsg *em)
{
	int64_t t, now = wall_now();
	int rc;

	if (text_time_parse(&t, when, now) < 0)
		return errmsg_set(em, -ENOENT,
				  "no snapshot, log position or time");
	if (t > now)
		return errmsg_set(em, -ENOENT, "that time is in the future");
	rc = core_settle_index(c);
	if (rc >= 0)
		rc = with_reader(c, out, find_time, &t);
	return rc == 0 ? errmsg_set(em, -ENOENT,
				    "that is before the volume was made") :
			 rc;
}

int audit_when(struct core *c, uint64_t *out, const char *when,
	       struct errmsg *em)
{
	uint64_t position;
	int rc;

	if (parse_position(when, &position)) {
		rc = with_reader(c, out, find_position, &position);
		if (rc == 0) { /* perhaps it is on its way */
			rc = core_settle_index(c);
			if (rc >= 0)
				rc = with_reader(c, out, find_position,
						 &position);
		}
		if (rc == 0)
			rc = errmsg_set(em, -ENOENT,
					"the log is not that long");
	} else if (isalpha((unsigned char)when[0])) {
		rc = with_reader(c, out, find_snapshot, when);
		if (rc == 0) /* "now", "yesterday", "2 days ago" */
			rc = at_time(c, out, when, em);
	} else {
		rc = at_time(c, out, when, em);
	}
	return rc < 0 ? rc : 0;
}
