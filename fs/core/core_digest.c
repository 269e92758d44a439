/*
 * core_digest.c - the plain SHA-256 of a version, the newest or one that is to
 * be released, computed when somebody asks and entered as a DIGEST.
 *
 * The bytes are streamed without any lock.  A version made meanwhile changes
 * nothing: the entry names the version whose bytes were read.
 */
#include "fs/commit/commit.h"
#include "fs/content/content.h"
#include "fs/core/core_internal.h"
#include "fs/commit/leafcell.h"

#include "base/buf.h"
#include "base/err.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

struct digest_arg {
	uint64_t ino;
	uint64_t version, size;
	struct digest root, leaf, sha256;
	bool known; /* nothing to compute */
	bool done;
};

/* Takes what the newest version is; -ERR_AGAIN: it is not hashed yet. */
static int look_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct digest_arg *a = arg;
	struct inode *i = NULL;
	int rc = itable_get(tx, &i, a->ino);

	(void)c;
	if (rc < 0)
		return rc;
	if (!core_is_reg(i) || !i->row.version)
		return -ENODATA;
	a->known = i->row.flags & INODE_HAS_SHA256;
	a->sha256 = i->row.sha256;
	a->version = i->row.version;
	a->size = i->row.size;
	a->root = i->row.tree_root;
	if (a->known)
		return 0;
	if (!i->version_cell) {
		a->leaf = i->row.version_leaf;
		return 0;
	}
	if (!leafcell_known(i->version_cell))
		return -ERR_AGAIN;
	a->leaf = i->version_cell->leaf;
	return 0;
}

static int enter_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct digest_arg *a = arg;
	struct inode *i = NULL;
	struct pend *p;
	int rc = itable_get(tx, &i, a->ino);

	if (rc < 0 || a->done)
		return rc;
	if (i->row.version == a->version && (i->row.flags & INODE_HAS_SHA256))
		return 0; /* somebody else was asked, too */
	p = pend_new(ENTRY_DIGEST, 0);
	if (!p)
		return -ENOMEM;
	p->e.body.digest.version = a->leaf;
	p->e.body.digest.sha256 = a->sha256;
	p->subject = leafcell_known_new(&a->leaf, 0);
	if (!p->subject) {
		pend_free(p);
		return -ENOMEM;
	}
	/* apply() compares: the row may have been made before the hash was */
	if (i->row.version == a->version)
		i->row.version_leaf = a->leaf;
	rc = core_submit(c, tx, p, i, NULL);
	a->done = rc >= 0;
	return rc;
}

int core_digest_idle(struct core *c, struct digest *out, uint64_t ino,
		     bool (*go_on)(void *ctx), void *ctx)
{
	struct digest_arg a = { .ino = ino };
	int rc = core_make_version(c, ino, ENTRY_REASON_DEMAND);

	if (rc >= 0)
		rc = core_op(c, look_op, &a);
	if (rc == -ERR_AGAIN) {
		rc = core_settle_index(c);
		if (rc >= 0)
			rc = core_op(c, look_op, &a);
	}
	if (rc >= 0 && !a.known) {
		rc = content_sha256(c->pool, &a.sha256, &a.root, a.size, go_on,
				    ctx);
		if (rc >= 0 && !c->o.read_only)
			rc = core_op(c, enter_op, &a);
	}
	if (rc >= 0)
		*out = a.sha256;
	return rc < 0 ? rc : 0;
}

static bool not_ended(void *ctx)
{
	struct core *c = ctx;

	return !atomic_load(&c->digest_end);
}

int core_digest(struct core *c, uint64_t ino, struct digest *out)
{
	return core_digest_idle(c, out, ino, not_ended, c);
}

void core_digest_end(struct core *c)
{
	atomic_store(&c->digest_end, true);
}

int core_digest_of(struct core *c, const struct core_digest_old *v,
		   bool (*go_on)(void *ctx), void *ctx)
{
	struct digest_arg a = { .ino = v->ino,
				.version = v->version,
				.size = v->size,
				.root = v->root,
				.leaf = v->leaf };
	int rc =
		content_sha256(c->pool, &a.sha256, &a.root, a.size, go_on, ctx);

	if (rc >= 0 && c->o.read_only)
		rc = -EROFS; /* nobody would be told it */
	if (rc >= 0)
		rc = core_op(c, enter_op, &a);
	return rc < 0 ? rc : 0;
}

int core_digest_at(struct core *c, uint64_t version_no)
{
	struct core_digest_old old = { .ino = 0 };
	struct buf stored = BUF_INIT;
	struct entry e;
	int rc = ledger_read_entry(c->ledger, &stored, &old.leaf, version_no);

	if (rc >= 0)
		rc = entry_open(&e, NULL, stored.p, stored.n, NULL);
	if (rc >= 0 && (e.core.kind != ENTRY_VERSION || e.state != ENTRY_CLEAR))
		rc = -ENODATA;
	if (rc >= 0) {
		old.ino = e.core.inode;
		old.version = e.core.version;
		old.size = e.body.version.size;
		old.root = e.body.version.tree_root;
	}
	buf_release(&stored);
	return rc < 0 ? rc : core_digest_of(c, &old, not_ended, c);
}
