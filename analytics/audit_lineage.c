/*
 * audit_lineage.c - lineage/PATH.json and .dot: rendered at open, for who
 * opened it.
 *
 * The size is shown only while nothing was added to the log since: the next
 * graph may be another one.
 */
#include <errno.h>

#include "analytics/audit_mirror.h"
#include "analytics/lineage.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

static int lineage_attr(struct provider *p, struct node *n, struct stat *out,
			uint32_t *ttl)
{
	uint64_t position = 0;
	bool current;
	int rc = audit_mirror_attr(p, n, out, n->key.a, false);

	(void)ttl;
	if (rc < 0 || !out->st_size)
		return rc;
	rc = provider_position(p, &position);
	node_lock(&p->nodes);
	current = n->position == position;
	node_unlock(&p->nodes);
	if (!current)
		out->st_size = out->st_blocks = 0;
	return rc;
}

static int render(struct provider *p, const struct cred *cr,
		  struct vdir_file *f, uint64_t *out_position)
{
	struct lineage *l = NULL;
	struct idx_reader *r = NULL;
	struct digest root;
	int rc = core_reader_take(p->core, &r);

	if (rc >= 0)
		rc = idx_reader_position(r, out_position, &root);
	if (rc >= 0)
		rc = lineage_build(&l, p->core, r, cr, f->node->key.a, 0, NULL);
	if (rc >= 0 && f->node->key.kind == NODE_LINEAGE_JSON)
		rc = lineage_json(l, r, &f->body);
	else if (rc >= 0)
		rc = lineage_dot(l, r, &f->body);
	lineage_free(l);
	core_reader_give(p->core, r);
	return rc;
}

static int lineage_open(struct provider *p, const struct cred *cr,
			struct vdir_file *f, struct vdir_opened *how)
{
	uint64_t position = 0;
	int rc = core_may_read(p->core, cr, f->node->key.a);

	how->direct_io = true;
	if (rc >= 0)
		rc = core_make_version(p->core, f->node->key.a,
				       ENTRY_REASON_DEMAND);
	if (rc == -ENOENT || rc == -ESTALE)
		rc = 0; /* gone: it has its versions all the same */
	if (rc >= 0)
		rc = provider_settle(p);
	if (rc >= 0)
		rc = render(p, cr, f, &position);
	return rc < 0 ? rc : provider_rendered(p, f, position);
}

const struct view audit_lineage_view = {
	.attr = lineage_attr,
	.open = lineage_open,
};
