/*
 * audit_alerts.c - /audit/alerts.jsonl: the entries that somebody should look
 * at, as they stand in log.jsonl.
 *
 * What counts: alerts, repairs, convictions, a new origin, revoked keys,
 * removed replicas, mounts after a crash or of an adopted copy, and entries
 * that were rejected.  The list of their numbers is kept and only grows; one
 * look at the index per entry, ever.
 */
#include <errno.h>
#include <stdlib.h>

#include "analytics/line.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

enum { PAGE = 4096, ALERTS_MAX = 1 << 20 };

struct alert_list {
	struct mutex mu;
	uint64_t *v; /* guarded by mu, and below: entry numbers */
	size_t n, cap;
	uint64_t next; /* first entry not looked at */
};

int audit_alerts_open(struct provider *p)
{
	p->alerts = calloc(1, sizeof(*p->alerts));
	if (!p->alerts)
		return -ENOMEM;
	mutex_init(&p->alerts->mu);
	return 0;
}

void audit_alerts_close(struct provider *p)
{
	if (!p->alerts)
		return;
	mutex_destroy(&p->alerts->mu);
	free(p->alerts->v);
	free(p->alerts);
	p->alerts = NULL;
}

static bool may_be_alert(const struct idx_entry *e)
{
	switch (e->kind) {
	case ENTRY_ALERT:
	case ENTRY_REPAIR:
	case ENTRY_CONVICTION:
	case ENTRY_NEW_ORIGIN:
	case ENTRY_REVOKE:
	case ENTRY_REPLICA_REMOVE:
	case ENTRY_MOUNT_START:
		return true;
	default:
		return e->rejected;
	}
}

struct scan {
	struct alert_list *l;
	uint32_t n;
};

static int scan_one(void *ctx, const struct idx_entry *e)
{
	struct scan *s = ctx;
	struct alert_list *l = s->l;

	s->n++;
	l->next = e->no + 1;
	if (!may_be_alert(e) || l->n >= ALERTS_MAX)
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		uint64_t *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = e->no;
	return 0;
}

/*
 * A mount that follows an orderly unmount is no alert; nor is what a guarded
 * run was denied, which stands with the run.
 */
static int is_alert(struct provider *p, const struct idx_entry *e, bool *out)
{
	struct buf stored = BUF_INIT;
	struct entry entry;
	int rc;

	*out = true;
	if (e->kind != ENTRY_MOUNT_START && e->kind != ENTRY_ALERT)
		return 0;
	rc = line_load(p->core, &stored, &entry, e->no);
	if (rc >= 0 && !entry.body.opaque)
		*out = e->kind == ENTRY_ALERT ?
			       entry.body.alert.what != ENTRY_ALERT_DENIED :
			       entry.body.mount_start.flags !=
				       ENTRY_START_CLEAN;
	buf_release(&stored);
	return rc;
}

static int render_one(struct provider *p, struct idx_reader *r,
		      struct vdir_file *f, uint64_t no)
{
	struct buf line = BUF_INIT;
	struct idx_entry e;
	bool yes = false;
	int rc = idx_entry(r, &e, no);

	if (rc > 0)
		rc = is_alert(p, &e, &yes);
	if (rc >= 0 && yes)
		rc = line_entry(p->core, r, &line, &e);
	spool_buf(&f->body, &line);
	buf_release(&line);
	return rc;
}

static int render(struct provider *p, struct vdir_file *f)
{
	struct alert_list *l = p->alerts;
	struct scan s = { .l = l };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(p->core, &r);

	mutex_lock(&l->mu);
	do {
		s.n = 0;
		if (rc >= 0)
			rc = idx_entries(r, l->next, IDX_NOW, PAGE, scan_one,
					 &s);
	} while (rc >= 0 && s.n == PAGE);
	for (size_t i = 0; i < l->n && rc >= 0; i++)
		rc = render_one(p, r, f, l->v[i]);
	mutex_unlock(&l->mu);
	core_reader_give(p->core, r);
	return rc < 0 ? rc : provider_rendered(p, f, 0);
}

static int audit_alerts_file_open(struct provider *p, const struct cred *cr,
				  struct vdir_file *f, struct vdir_opened *how)
{
	int rc = provider_whole(p, cr);

	if (rc >= 0)
		rc = provider_settle(p);
	how->direct_io = true;
	return rc < 0 ? rc : render(p, f);
}

static int audit_alerts_attr(struct provider *p, struct node *n,
			     struct stat *out, uint32_t *ttl)
{
	(void)ttl;
	provider_whole_attr(p, n, out, false);
	return 0;
}

const struct view audit_alerts_view = {
	.attr = audit_alerts_attr,
	.open = audit_alerts_file_open,
};
