/*
 * audit_proof.c - proof/PATH.tlog-proof: proves the newest version offline.
 *
 * Made at open: a version of what is still being written, the plain digest
 * where it is missing, a checkpoint that covers both.  What was made is kept
 * with the node and is the same bytes until there is a newer version.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/audit_mirror.h"
#include "analytics/line.h"
#include "analytics/proof_make.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

/* A finished proof; node->position is the version's entry number. */
struct kept {
	size_t n;
	char text[];
};

static int newest(struct provider *p, uint64_t ino, uint64_t *out_no)
{
	struct idx_reader *r = NULL;
	struct idx_version v;
	int rc = core_reader_take(p->core, &r);

	if (rc >= 0)
		rc = idx_version_at(r, &v, ino, IDX_NOW);
	core_reader_give(p->core, r);
	*out_no = rc > 0 ? v.no : 0;
	return rc;
}

static int proof_attr(struct provider *p, struct node *n, struct stat *out,
		      uint32_t *ttl)
{
	uint64_t no = 0;
	bool current;
	int rc = audit_mirror_attr(p, n, out, n->key.a, false);

	(void)ttl;
	if (rc < 0 || !out->st_size)
		return rc;
	rc = newest(p, n->key.a, &no);
	node_lock(&p->nodes);
	current = rc > 0 && n->position == no;
	node_unlock(&p->nodes);
	if (!current)
		out->st_size = out->st_blocks = 0;
	return rc < 0 ? rc : 0;
}

/* True when the kept proof is of version entry `no`: it is in out then. */
static bool take_kept(struct provider *p, struct node *n, uint64_t no,
		      struct spool *out)
{
	const struct kept *k;
	bool found;

	node_lock(&p->nodes);
	k = n->data;
	found = k && n->position == no;
	if (found)
		spool_add(out, k->text, k->n);
	node_unlock(&p->nodes);
	return found;
}

static void keep(struct provider *p, struct node *n, uint64_t no,
		 const struct buf *b)
{
	struct kept *k = malloc(sizeof(*k) + b->n), *old;

	if (!k)
		return;
	k->n = b->n;
	memcpy(k->text, b->p, b->n);
	node_lock(&p->nodes);
	old = n->data;
	n->data = k;
	n->data_free = free;
	n->position = no;
	n->size = b->n;
	n->mtime_ns = provider_now(p);
	node_unlock(&p->nodes);
	free(old);
}

static int proof_open_file(struct provider *p, const struct cred *cr,
			   struct vdir_file *f, struct vdir_opened *how)
{
	uint64_t ino = f->node->key.a, no = 0;
	struct buf b = BUF_INIT;
	int rc = core_may_read(p->core, cr, ino);

	how->direct_io = true;
	if (rc >= 0)
		rc = core_make_version(p->core, ino, ENTRY_REASON_DEMAND);
	if (rc == -ENOENT || rc == -ESTALE)
		rc = 0; /* gone: the last version is there all the same */
	if (rc >= 0)
		rc = provider_settle(p);
	if (rc >= 0)
		rc = newest(p, ino, &no);
	if (rc == 0)
		rc = -ENODATA;
	if (rc > 0 && take_kept(p, f->node, no, &f->body))
		return spool_end(&f->body);
	if (rc > 0)
		rc = proof_make(p->core, &b, ino, no, NULL);
	if (rc >= 0)
		keep(p, f->node, no, &b);
	spool_buf(&f->body, &b);
	buf_release(&b);
	return rc < 0 ? rc : spool_end(&f->body);
}

const struct view audit_proof_view = {
	.attr = proof_attr,
	.open = proof_open_file,
};
