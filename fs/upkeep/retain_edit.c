/*
 * retain_edit.c - the policy in force with one rule set or removed.
 *
 * A POLICY is always whole: the rules are read back from the journal, edited
 * and entered again, under core.retain_mu, so that of two edits none is lost.
 */
#include "fs/upkeep/retain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/glob.h"
#include "base/limits.h"
#include "fs/core/core_internal.h"
#include "fs/upkeep/retain_int.h"
#include "ledger/entry.h"

struct edit {
	struct retain_law law; /* owns the patterns */
	struct entry_rule v[LIMIT_RULES + 1];
	uint16_t n;
};

static int edit_begin(struct edit *x, struct core *c)
{
	struct idx_reader *r = NULL;
	int rc = core_settle_index(c);

	if (rc >= 0)
		rc = core_reader_take(c, &r);
	if (rc >= 0)
		rc = retain_law_load(c, r, &x->law);
	core_reader_give(c, r);
	if (rc < 0)
		return rc;
	x->n = (uint16_t)x->law.n_rules;
	for (unsigned i = 0; i < x->n; i++)
		x->v[i] = (struct entry_rule){
			.keep = x->law.rules[i].keep,
			.seconds = x->law.rules[i].seconds,
			.versions = x->law.rules[i].versions,
			.pattern = ENTRY_STR(x->law.rules[i].pattern),
		};
	return 0;
}

/* Where the rule of that pattern is, or x->n. */
static unsigned find(const struct edit *x, const struct entry_str *pattern)
{
	unsigned i;

	for (i = 0; i < x->n; i++)
		if (x->v[i].pattern.n == pattern->n &&
		    memcmp(x->v[i].pattern.p, pattern->p, pattern->n) == 0)
			break;
	return i;
}

static void take_out(struct edit *x, unsigned at)
{
	memmove(&x->v[at], &x->v[at + 1],
		((size_t)x->n - at - 1) * sizeof(x->v[0]));
	x->n--;
}

static void put_in(struct edit *x, unsigned at, const struct entry_rule *rule)
{
	memmove(&x->v[at + 1], &x->v[at],
		((size_t)x->n - at) * sizeof(x->v[0]));
	x->v[at] = *rule;
	x->n++;
}

static int set_locked(struct edit *x, struct core *c, const struct cred *cr,
		      const struct entry_rule *rule, uint32_t position,
		      uint64_t *out_no, struct errmsg *em)
{
	int rc = edit_begin(x, c);
	unsigned at;

	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	at = find(x, &rule->pattern);
	if (at < x->n)
		take_out(x, at);
	if (position > x->n + 1U)
		return errmsg_set(em, -EINVAL,
				  "position %u: there are %u other rules",
				  position, x->n);
	put_in(x, position ? position - 1 : at, rule);
	return retain_policy_locked(c, cr, x->v, x->n, out_no, em);
}

int retain_set(struct core *c, const struct cred *cr,
	       const struct entry_rule *rule, uint32_t position,
	       uint64_t *out_no, struct errmsg *em)
{
	const char *wrong = glob_wrong(rule->pattern.p, rule->pattern.n);
	struct edit *x;
	int rc;

	if (wrong)
		return errmsg_set(em, -EINVAL, "the pattern: %s", wrong);
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	mutex_lock(&c->retain_mu);
	rc = set_locked(x, c, cr, rule, position, out_no, em);
	mutex_unlock(&c->retain_mu);
	retain_law_release(&x->law);
	free(x);
	return rc;
}

int retain_remove(struct core *c, const struct cred *cr, const char *pattern,
		  uint64_t *out_no, struct errmsg *em)
{
	struct edit *x = calloc(1, sizeof(*x));
	struct entry_str key = ENTRY_STR(pattern);
	unsigned at;
	int rc;

	if (!x)
		return -ENOMEM;
	mutex_lock(&c->retain_mu);
	rc = edit_begin(x, c);
	at = find(x, &key);
	if (rc == 0 && at == x->n)
		rc = errmsg_set(em, -ENOENT, "no rule has this pattern");
	if (rc == 0) {
		take_out(x, at);
		rc = retain_policy_locked(c, cr, x->v, x->n, out_no, em);
	}
	mutex_unlock(&c->retain_mu);
	retain_law_release(&x->law);
	free(x);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}
