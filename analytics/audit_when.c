/*
 * audit_when.c - snapshot names, positions, runs and times.
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
#include "index/idx_runs.h"

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

/* The newest state, whatever the clocks said meanwhile. */
static int find_now(struct idx_reader *r, uint64_t *out, struct errmsg *em)
{
	struct position p = { .pos = WHOLE };
	struct digest root;
	int rc = idx_reader_position(r, &p.seal, &root);

	if (rc < 0)
		return rc;
	if (p.seal-- == 0)
		return errmsg_set(em, -ENOENT, "the log is empty");
	return find_position(r, out, p, em);
}

/* --- runs --- */

/* The run before ":start" or ":end"; NULL: this is no such thing. */
static const char *parse_run(const char *when, char out[RUN_WORD_MAX],
			     bool *out_end)
{
	const char *colon = strrchr(when, ':');
	size_t n = colon ? (size_t)(colon - when) : 0;

	if (!n || n >= RUN_WORD_MAX ||
	    (strcmp(colon, ":start") != 0 && strcmp(colon, ":end") != 0))
		return NULL;
	memcpy(out, when, n);
	out[n] = '\0';
	*out_end = colon[1] == 'e';
	return out;
}

static bool may_see(const struct cred *cr, const struct idx_run *run)
{
	return !cr || cr->uid == run->uid;
}

/* The run that a word names, or in words why there is none. */
static int run_of(struct idx_reader *r, const struct cred *cr,
		  struct idx_run *out, const char *word, struct errmsg *em)
{
	int rc = idx_run_find(r, out, word);

	if (rc < 0)
		return rc;
	if (rc == 0 || !may_see(cr, out))
		return errmsg_set(em, -ENOENT,
				  "no run %s: `vouch runs --all STORE` lists "
				  "those there are",
				  word);
	if (rc > 1)
		return errmsg_set(em, -ENOENT,
				  "there are several runs named %s: say %s.%u "
				  "(the newest), or another number",
				  word, out->name, out->number);
	return 0;
}

/* Before the run did anything; or all that it had done when it ended. */
static int find_run(struct idx_reader *r, const struct cred *cr, uint64_t *out,
		    const char *word, bool end, struct errmsg *em)
{
	struct idx_run run;
	int rc = run_of(r, cr, &run, word, em);

	if (rc < 0)
		return rc;
	if (end && !run.end_no && !run.implicit)
		return errmsg_set(em, -ENOENT,
				  "run %s.%u goes on: it has no end yet",
				  run.name, run.number);
	*out = run.no; /* which changes nothing itself */
	if (end && run.end_no)
		*out = run.end_no;
	else if (end)
		rc = idx_run_last(r, &run, out);
	return rc < 0 ? rc : 0;
}

/* What it may have been meant to be, in words. */
static int is_nothing(struct idx_reader *r, const struct cred *cr,
		      const char *when, struct errmsg *em)
{
	struct idx_run run;

	if (idx_run_find(r, &run, when) > 0 && may_see(cr, &run))
		return errmsg_set(em, -ERR_USAGE,
				  "that is a run: say %s.%u:start or "
				  "%s.%u:end",
				  run.name, run.number, run.name, run.number);
	return errmsg_set(em, -ERR_USAGE,
			  "no snapshot, log position or time, no RUN:start "
			  "or RUN:end");
}

int audit_when_find(struct idx_reader *r, const struct cred *cr, uint64_t *out,
		    const char *when, int64_t meant, int64_t now,
		    struct errmsg *em)
{
	char word[RUN_WORD_MAX];
	bool end = false;
	struct digest leaf = { 0 };
	struct position position;
	int64_t t = meant;
	int rc = 0;

	if (parse_position(when, &position))
		return find_position(r, out, position, em);
	if (isalpha((unsigned char)when[0]))
		rc = idx_snapshot_find(r, out, &leaf, when);
	if (rc > 0 && !digest_is_zero(&leaf))
		rc = idx_leaf(r, &leaf, out); /* a seal named by its leaf */
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (parse_run(when, word, &end))
		return find_run(r, cr, out, word, end, em);
	if (strcmp(when, "now") == 0)
		return find_now(r, out, em);
	/* "yesterday", "2 days ago" start with a letter, too */
	if (!meant && text_time_parse(&t, when, now) < 0)
		return is_nothing(r, cr, when, em);
	return find_time(r, out, t, now, em);
}

static int find(struct core *c, const struct cred *cr, uint64_t *out,
		const char *when, int64_t now, struct errmsg *em)
{
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = audit_when_find(r, cr, out, when, 0, now, em);
	core_reader_give(c, r);
	return rc;
}

int audit_when(struct core *c, const struct cred *cr, uint64_t *out,
	       const char *when, struct errmsg *em)
{
	char word[RUN_WORD_MAX];
	bool end = false;
	struct timespec ts = { 0 };
	struct position p;
	bool position = parse_position(when, &p);
	int64_t now, t;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	if (!position && (parse_run(when, word, &end) ||
			  text_time_parse(&t, when, now) == 0))
		rc = core_settle_index(c);
	if (rc >= 0)
		rc = find(c, cr, out, when, now, em);
	if (rc == -ENOENT && position) { /* perhaps it is on its way */
		rc = core_settle_index(c);
		if (rc >= 0)
			rc = find(c, cr, out, when, now, em);
	}
	return rc == -ERR_USAGE ? -ENOENT : rc;
}
