/*
 * core_import.c - enters where a version came from: an IMPORT, after what it
 * says was checked (mount-tools/verbs_import.c).
 */
#include "fs/core/core_import.h"

#include <fcntl.h>

#include "base/err.h"
#include "fs/commit/commit.h"
#include "fs/commit/leafcell.h"
#include "fs/core/core_internal.h"
#include "ledger/entry.h"

struct import_arg {
	const struct entry_import *b;
	struct handle *h;
	uint64_t version;
};

static int import_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct import_arg *a = arg;
	const struct entry_import *b = a->b;
	struct inode *i = a->h->inode;
	struct entry_import *e;
	struct pend *p;

	if (i->row.version != a->version)
		return -EBUSY;
	if (i->version_cell && !leafcell_known(i->version_cell))
		return -ERR_AGAIN;
	p = pend_new(ENTRY_IMPORT,
		     b->origin.n + b->path.n + b->exe.n + b->argv.n + b->raw_n);
	if (!p)
		return -ENOMEM;
	p->subject = i->version_cell ?
			     leafcell_known_new(&i->version_cell->leaf, 0) :
			     leafcell_known_new(&i->row.version_leaf, 0);
	if (!p->subject) {
		pend_free(p);
		return -ENOMEM;
	}
	e = &p->e.body.import;
	*e = *b;
	e->origin = pend_str(p, b->origin.p, b->origin.n);
	e->path = pend_str(p, b->path.p, b->path.n);
	e->exe = pend_str(p, b->exe.p, b->exe.n);
	e->argv = pend_str(p, b->argv.p, b->argv.n);
	e->raw = pend_bytes(p, b->raw, b->raw_n);
	return core_submit(c, tx, p, i, a->h->actor);
}

int core_import(struct core *c, const struct cred *cr, uint64_t ino,
		uint64_t version, const struct entry_import *b)
{
	struct import_arg a = { .b = b, .version = version };
	bool keep;
	int rc = core_open_file(c, cr, ino, O_WRONLY, false, &a.h, &keep);

	if (rc < 0)
		return rc;
	rc = core_op(c, import_op, &a);
	if (rc == -ERR_AGAIN) {
		rc = core_settle_index(c);
		if (rc >= 0)
			rc = core_op(c, import_op, &a);
	}
	core_release(c, a.h);
	return rc < 0 ? rc : 0;
}
