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
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"

enum { WHOLE = LIMIT_BATCH }; /* not said */

struct position {
	uint64_t seal, pos;
};

/* "12" or "12.3", nothing else. */
static bool parse_position(const char *s, struct position *out)
{
	char seal[24];
	const char *dot = strchr(s, '.');
	uint64_t n = 0, pos = WHOLE;
	size_t len = dot ? (size_t)(dot - s) : strlen(s);

	if (!len || len >= sizeof(seal) || (len > 1 && s[0] == '0'))
		return false;
	memcpy(seal, s, len);
	seal[len] = '\0';
	if (strspn(seal, "0123456789") != len || text_u64_parse(&n, seal) < 0)
		return false;
	if (dot && (!dot[1] || dot[1 + strspn(dot + 1, "0123456789")] ||
		    (dot[1] == '0' && dot[2]) ||
		    text_u64_parse(&pos, dot + 1) < 0 || pos >= WHOLE))
		return false;
	if (n >> 51)
		return false;
	*out = (struct position){ n, pos };
	return true;
}

static int find_position(struct idx_reader *r, uint64_t *out, struct position p,
			 struct errmsg *em)
{
	struct idx_seal_row s = { .count = 0 };
	int rc = idx_seal_get(r, &s, p.seal);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return errmsg_set(em, -ENOENT, "the log is not that long");
	if (p.pos == WHOLE && s.count > 0)
		p.pos = s.count - 1;
	if (p.pos >= s.count)
		return errmsg_set(em, -ENOENT, "seal %llu ends at %llu.%u",
				  (unsigned long long)p.seal,
				  (unsigned long long)p.seal, s.count - 1);
	*out = IDX_ENTRY_NO(p.seal, p.pos);
	return 0;
}

static int find_time(struct idx_reader *r, uint64_t *out, int64_t t,
		     int64_t now, struct errmsg *em)
{
	int rc;

	if (t > now)
		return errmsg_set(em, -ENOENT, "that time is in the future");
	rc = idx_at_wall(r, t, out);
	if (rc == 0)
		return errmsg_set(em, -ENOENT,
				  "that is before the volume was made");
	return rc < 0 ? rc : 0;
}

int audit_when_find(struct idx_reader *r, uint64_t *out, const char *when,
		    int64_t now, struct errmsg *em)
{
	struct digest leaf = { 0 };
	struct position position;
	int64_t t;
	int rc = 0;

	if (parse_position(when, &position))
		return find_position(r, out, position, em);
	if (isalpha((unsigned char)when[0]))
		rc = idx_snapshot_find(r, out, &leaf, when);
	if (rc > 0 && !digest_is_zero(&leaf))
		rc = idx_leaf(r, &leaf, out); /* a seal named by its leaf */
	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* "now", "yesterday", "2 days ago" start with a letter, too */
	if (text_time_parse(&t, when, now) < 0)
		return errmsg_set(em, -ERR_USAGE,
				  "no snapshot, log position or time");
	return find_time(r, out, t, now, em);
}

static int find(struct core *c, uint64_t *out, const char *when, int64_t now,
		struct errmsg *em)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = audit_when_find(r, out, when, now, em);
	core_reader_give(c, r);
	return rc;
}

int audit_when(struct core *c, uint64_t *out, const char *when,
	       struct errmsg *em)
{
	struct timespec ts = { 0 };
	struct position p;
	bool position = parse_position(when, &p);
	int64_t now, t;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	if (!position && text_time_parse(&t, when, now) == 0)
		rc = core_settle_index(c);
	if (rc >= 0)
		rc = find(c, out, when, now, em);
	if (rc == -ENOENT && position) { /* perhaps it is on its way */
		rc = core_settle_index(c);
		if (rc >= 0)
			rc = find(c, out, when, now, em);
	}
	return rc == -ERR_USAGE ? -ENOENT : rc;
}
