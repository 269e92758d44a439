/*
 * audit_history.c - history/PATH.jsonl: every entry about one inode, through
 * renames and after its end, each with the path then and who did it.
 *
 * Lines are only ever added, so a size published once is never too large.
 */
#include <errno.h>

#include "analytics/audit_mirror.h"
#include "analytics/entry_page.h"
#include "analytics/line.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "index/idx.h"
#include "index/idx_query.h"

/* So many entries are rendered for a stat(2), so that tar sees a size. */
enum { STAT_ENTRIES = 64 };

/* max 0: all.  -ERR_LIMIT: there are more. */
static int render(struct provider *p, struct spool *out, uint64_t ino,
		  unsigned max)
{
	autofree struct entry_page *g = calloc(1, sizeof(*g));
	struct buf line = BUF_INIT;
	struct idx_reader *r = NULL;
	uint64_t from = 0;
	unsigned done = 0;
	int rc = g ? core_reader_take(p->core, &r) : -ENOMEM;

	while (rc >= 0) {
		g->n = 0;
		rc = idx_history(r, ino, from, IDX_NOW, ENTRY_PAGE, false,
				 entry_page_add, g);
		if (rc >= 0 && max && done + g->n > max)
			rc = -ERR_LIMIT;
		for (unsigned i = 0; rc >= 0 && i < g->n; i++) {
			rc = line_history(p->core, r, &line, &g->v[i], ino);
			spool_buf(out, &line);
		}
		if (rc < 0 || g->n < ENTRY_PAGE)
			break;
		done += g->n;
		from = g->v[ENTRY_PAGE - 1].no + 1;
	}
	core_reader_give(p->core, r);
	buf_release(&line);
	return rc < 0 ? rc : 0;
}

static int history_attr(struct provider *p, struct node *n, struct stat *out,
			uint32_t *ttl)
{
	(void)ttl;
	return audit_mirror_attr(p, n, out, n->key.a, false);
}

static void history_measure(struct provider *p, const struct cred *cr,
			    struct node *n)
{
	struct spool s;
	uint64_t size;

	node_lock(&p->nodes);
	size = n->size;
	node_unlock(&p->nodes);
	if (size || core_may_read(p->core, cr, n->key.a) < 0)
		return;
	spool_init(&s, core_store_dir(p->core), 0);
	if (render(p, &s, n->key.a, STAT_ENTRIES) >= 0 && spool_end(&s) >= 0)
		node_publish(&p->nodes, n, s.size, provider_now(p), 0);
	spool_release(&s);
}

static int history_open(struct provider *p, const struct cred *cr,
			struct vdir_file *f, struct vdir_opened *how)
{
	int rc = core_may_read(p->core, cr, f->node->key.a);

	how->direct_io = true;
	if (rc >= 0)
		rc = provider_settle(p);
	if (rc >= 0)
		rc = render(p, &f->body, f->node->key.a, 0);
	return rc < 0 ? rc : provider_rendered(p, f, 0);
}

const struct view audit_history_view = {
	.attr = history_attr,
	.measure = history_measure,
	.open = history_open,
};
