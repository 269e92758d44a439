/*
 * core_denied.c - see core_denied.h.
 *
 * Equal are denials of the same call for the same reason of the same path to
 * the same run's processes of the same user and executable.
 *
 * Invariants: (1) what is in the list was entered once, and `again` times
 * since.  (2) n counts the list; of a run each user has CORE_DENIED_EACH of
 * them at most, and one for the others.
 */
#include "fs/core/core_denied.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "fs/core/core_internal.h"
#include "fs/run/run_peer.h"
#include "fs/run/run_table.h"

struct kind {
	struct kind *next;
	struct actor *actor; /* a reference: the first who asked */
	struct entry_denied d;
	uint64_t again;
	char path[];
};

struct core_denied {
	struct mutex mu;
	struct kind *first; /* guarded by mu */
	unsigned n;	    /* guarded by mu */
};

int core_denied_open(struct core_denied **out)
{
	struct core_denied *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	mutex_init(&x->mu);
	*out = x;
	return 0;
}

static void kind_free(struct core *c, struct kind *k)
{
	if (!k)
		return;
	actor_drop(c->actors, k->actor);
	free(k);
}

void core_denied_close(struct core *c, struct core_denied *x)
{
	if (!x)
		return;
	for (struct kind *k = x->first, *next; k; k = next) {
		next = k->next;
		kind_free(c, k);
	}
	mutex_destroy(&x->mu);
	free(x);
}

/* --- entering one --- */

struct enter_arg {
	struct actor *actor;
	const struct entry_denied *d;
	uint64_t count;
};

static struct pend *denied_entry(const struct enter_arg *a, struct buf *tlv,
				 struct buf *text)
{
	struct entry_denied d = *a->d;
	struct pend *p;

	d.count = a->count;
	if (d.path.n > LIMIT_PATH / 2)
		d.path.n = LIMIT_PATH / 2;
	entry_denied_put(tlv, &d);
	buf_addf(text, "%s: %s", entry_denied_call_word(d.call),
		 entry_denied_why_word(d.why));
	if (d.path.n > 0) {
		buf_adds(text, ": ");
		buf_add(text, d.path.p, d.path.n);
	}
	p = tlv->bad || text->bad ? NULL :
				    pend_new(ENTRY_ALERT, tlv->n + text->n);
	if (!p)
		return NULL;
	p->e.body.alert.what = ENTRY_ALERT_DENIED;
	memcpy(p->e.body.alert.id.b, a->actor->run, sizeof(a->actor->run));
	p->e.body.alert.text = pend_str(p, (char *)text->p, text->n);
	p->e.body.extra.n = tlv->n;
	p->e.body.extra.p = pend_bytes(p, tlv->p, tlv->n);
	return p;
}

static int denied_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct enter_arg *a = arg;
	struct buf autocall(buf_release) tlv = BUF_INIT;
	struct buf autocall(buf_release) text = BUF_INIT;
	struct pend *p;

	if (c->closing)
		return -EROFS;
	p = denied_entry(a, &tlv, &text);
	return p ? core_submit(c, tx, p, NULL, a->actor) : -ENOMEM;
}

static void enter(struct core *c, struct actor *actor,
		  const struct entry_denied *d, uint64_t count)
{
	struct enter_arg a = { .actor = actor, .d = d, .count = count };
	int rc = core_may_change(c, SPACE_ADD);

	if (rc >= 0)
		rc = core_op(c, denied_op, &a);
	if (rc < 0 && rc != -EROFS)
		log_event(LOG_WARN, "denial_not_entered", "why=\"%s\"",
			  err_text(rc));
}

/* --- the list --- */

static bool same_run(const struct kind *k, const uint8_t *run)
{
	return !run || memcmp(k->actor->run, run, RUN_ID_SIZE) == 0;
}

static bool equal(const struct kind *k, const struct actor *a,
		  const struct entry_denied *d)
{
	return k->d.call == d->call && k->d.why == d->why &&
	       k->d.path.n == d->path.n &&
	       (d->path.n == 0 ||
		memcmp(k->d.path.p, d->path.p, d->path.n) == 0) &&
	       (d->call == ENTRY_DENIED_MORE ||
		strcmp(k->actor->exe, a->exe) == 0);
}

/* How many kinds there are: of a user, and of those in one run. */
struct share {
	unsigned user, run;
};

/* The kind, counted once more if it is known; how many its user has. */
static struct kind *find_locked(struct core_denied *x, const struct actor *a,
				const struct entry_denied *d, struct share *out)
	requires_capability(&x->mu)
{
	struct kind *found = NULL;

	*out = (struct share){ 0 };
	for (struct kind *k = x->first; k; k = k->next) {
		if (k->actor->uid != a->uid)
			continue;
		out->user++;
		if (!same_run(k, a->run))
			continue;
		out->run++;
		if (equal(k, a, d))
			found = k;
	}
	if (found)
		found->again++;
	return found;
}

static bool has_room_locked(const struct core_denied *x, const struct actor *a,
			    const struct share *s) requires_capability(&x->mu)
{
	if (s->run >= CORE_DENIED_EACH)
		return false;
	if (run_peer_trusted(a->uid))
		return x->n < CORE_DENIED_MAX;
	return s->user < CORE_DENIED_USER &&
	       x->n < CORE_DENIED_MAX - CORE_DENIED_KEPT;
}

static struct kind *kind_new(struct actor *a, const struct entry_denied *d)
{
	struct kind *k = calloc(1, sizeof(*k) + d->path.n);

	if (!k)
		return NULL;
	k->actor = actor_hold(a);
	k->d = *d;
	if (d->path.n > 0)
		memcpy(k->path, d->path.p, d->path.n);
	k->d.path.p = k->path;
	return k;
}

void core_denied_note(struct core *c, struct actor *a,
		      const struct entry_denied *d)
{
	static const struct entry_denied more = { .call = ENTRY_DENIED_MORE };
	struct core_denied *x = c->denied;
	struct kind *k = kind_new(a, d);
	struct share share;
	bool known;

	mutex_lock(&x->mu);
	known = find_locked(x, a, d, &share) != NULL;
	if (!known && !has_room_locked(x, a, &share)) {
		kind_free(c, k);
		d = &more;
		k = kind_new(a, d);
		known = find_locked(x, a, d, &share) != NULL;
	}
	if (!known && k) {
		k->next = x->first;
		x->first = k;
		x->n++;
		k = NULL;
	}
	mutex_unlock(&x->mu);
	kind_free(c, k);
	if (!known)
		enter(c, a, d, 1);
}

/* Takes the kinds of a run (NULL: all) out of the list. */
static struct kind *take_run(struct core_denied *x, const uint8_t *run)
{
	struct kind *taken = NULL;

	mutex_lock(&x->mu);
	for (struct kind **at = &x->first; *at;) {
		struct kind *k = *at;

		if (!same_run(k, run)) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		x->n--;
		k->next = taken;
		taken = k;
	}
	mutex_unlock(&x->mu);
	return taken;
}

void core_denied_end(struct core *c, const uint8_t *run)
{
	struct kind *next;

	for (struct kind *k = take_run(c->denied, run); k; k = next) {
		next = k->next;
		if (k->again > 0)
			enter(c, k->actor, &k->d, k->again);
		kind_free(c, k);
	}
}
