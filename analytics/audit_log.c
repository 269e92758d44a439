/*
 * audit_log.c - /audit/log.jsonl: the whole ledger as JSON lines, live.
 *
 * An open descriptor sees what was there when it was opened, and whole new
 * lines when it reads at the end, as tail -f does.  Offsets never change.
 */
#include <errno.h>
#include <stdlib.h>

#include "analytics/log_lines.h"
#include "analytics/provider_internal.h"
#include "base/err.h"

/* Bytes that a stat(2) may render to know the size, and a read at the end. */
enum { STAT_BYTES = 256 << 10, READ_BYTES = 4 << 20 };

struct log_file {
	struct mutex mu;	  /* reads of one descriptor take turns */
	struct log_cursor cursor; /* guarded by mu */
	uint64_t end;		  /* guarded by mu: what this one may see */
};

static int audit_log_attr(struct provider *p, struct node *n, struct stat *out,
			  uint32_t *ttl)
{
	(void)ttl;
	provider_whole_attr(p, n, out, false);
	return 0;
}

static int extend(struct provider *p, struct node *n, uint64_t bytes,
		  uint64_t *out_size)
{
	int rc = log_lines_extend(p->log, bytes, out_size);
	uint64_t before;

	node_lock(&p->nodes);
	before = n->size;
	node_unlock(&p->nodes);
	if (*out_size > before)
		node_publish(&p->nodes, n, *out_size, provider_now(p), 0);
	return rc;
}

static void audit_log_measure(struct provider *p, const struct cred *cr,
			      struct node *n)
{
	uint64_t size;

	(void)cr;
	if (extend(p, n, STAT_BYTES, &size) < 0)
		return; /* the size stays what it was; reads will tell */
}

static int audit_log_open(struct provider *p, const struct cred *cr,
			  struct vdir_file *f, struct vdir_opened *how)
{
	struct log_file *g;
	int rc = provider_whole(p, cr);

	if (rc >= 0)
		rc = provider_settle(p);
	if (rc < 0)
		return rc;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	mutex_init(&g->mu);
	f->state = g;
	how->direct_io = true;
	return extend(p, f->node, UINT64_MAX, &g->end);
}

static ssize_t audit_log_read(struct provider *p, struct vdir_file *f,
			      void *buf, size_t n, uint64_t off)
{
	struct log_file *g = f->state;
	ssize_t rc = 0;

	mutex_lock(&g->mu);
	if (off >= g->end)
		rc = extend(p, f->node, READ_BYTES, &g->end);
	if (rc >= 0 && off < g->end) {
		if (n > g->end - off)
			n = (size_t)(g->end - off);
		rc = log_lines_read(p->log, &g->cursor, buf, n, off);
	}
	mutex_unlock(&g->mu);
	return rc;
}

static void audit_log_release(struct provider *p, struct vdir_file *f)
{
	struct log_file *g = f->state;

	(void)p;
	if (!g)
		return;
	buf_release(&g->cursor.text);
	mutex_destroy(&g->mu);
	free(g);
}

const struct view audit_log_view = {
	.attr = audit_log_attr,
	.measure = audit_log_measure,
	.open = audit_log_open,
	.read = audit_log_read,
	.release = audit_log_release,
};
