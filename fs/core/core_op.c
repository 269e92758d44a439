/*
 * core_op.c - how every operation runs: under itable.mu, from memory; what is
 * missing is read from the index without the lock, and the operation starts
 * again.  An operation changes rows only by submitting an entry to apply().
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/core/itable_internal.h"
#include "fs/commit/leafcell.h"
#include "fs/store/store.h"
#include "fs/core/trail.h"
#include "index/idx.h"
#include "index/state.h"

int core_reader_take(struct core *c, struct idx_reader **out)
{
	*out = NULL;
	mutex_lock(&c->readers_mu);
	if (c->n_readers > 0)
		*out = c->readers[--c->n_readers];
	mutex_unlock(&c->readers_mu);
	return *out ? 0 : idx_reader_open(out, c->store_dir, NULL);
}

void core_reader_give(struct core *c, struct idx_reader *r)
{
	mutex_lock(&c->readers_mu);
	if (r && c->n_readers < CORE_READERS)
		c->readers[c->n_readers++] = take(r);
	mutex_unlock(&c->readers_mu);
	idx_reader_close(r);
}

int core_op(struct core *c, core_op_fn *fn, void *arg)
{
	struct itable_tx tx = { .t = &c->t };

	for (;;) {
		struct idx_reader *r = NULL;
		int rc;

		mutex_lock(&c->t.mu);
		tx.need = NEED_NONE;
		rc = fn(c, &tx, arg);
		itable_trim(&c->t);
		mutex_unlock(&c->t.mu);
		if (rc != -ERR_RELOCKED)
			return rc;
		if (tx.need == NEED_NONE)
			continue;
		rc = core_reader_take(c, &r);
		if (rc >= 0)
			rc = itable_fault(&tx, r);
		core_reader_give(c, r);
		if (rc == -ERR_CORRUPT)
			log_event(LOG_ERROR, "index_row_wrong",
				  "inode=%llu why=\"%s\" do=\"vouch reindex\"",
				  (unsigned long long)tx.ino, err_text(rc));
		if (rc < 0)
			return rc;
	}
}

int64_t core_clock(struct core *c)
{
	return vio_wall_ns(c->vio);
}

int64_t core_now(struct core *c)
{
	int64_t now = vio_wall_ns(c->vio);

	/* a small step back must not make a change look older than its past */
	if (now < c->last_wall_ns && c->last_wall_ns - now < 1000000000LL)
		now = c->last_wall_ns;
	c->last_wall_ns = now;
	return now;
}

struct actor *core_actor(struct core *c, const struct cred *cr)
{
	if (!c->actors)
		return NULL;
	return actor_of(c->actors, cr->pid, cr->uid, cr->gid);
}

int core_may_write(struct core *c)
{
	return c->o.read_only ? -EROFS : commit_admit(c->commit);
}

int core_may_change(struct core *c, enum space_for what)
{
	int rc = core_may_write(c);

	return rc < 0 ? rc : space_may(store_space(c->store), what);
}

int core_check_name(const char *name, size_t *out_len)
{
	size_t n = strlen(name);

	*out_len = n;
	if (n > LIMIT_NAME)
		return -ENAMETOOLONG;
	return entry_name_ok(name, n) ? 0 : -EINVAL;
}

int core_submit(struct core *c, struct itable_tx *tx, struct pend *p,
		struct inode *i, struct actor *a)
{
	struct apply_options o = { .entry_no = 0 };
	const char *why = NULL;
	int rc;

	if (!p)
		return -ENOMEM;
	rc = a ? trail_actor(c, a, &p->actor) : 0;
	if (rc < 0) {
		pend_free(p);
		return rc;
	}
	if (!p->e.core.wall_ns)
		p->e.core.wall_ns = core_now(c);
	if (i) {
		p->e.core.inode = i->row.ino;
		p->e.core.version = i->row.version;
		if (p->e.core.kind == ENTRY_VERSION)
			p->e.core.version++;
		itable_hold(&c->t, i); /* apply may free it */
	}
	c->t.seq = commit_next_seq(c->commit);
	c->t.creating = p->e.core.kind == ENTRY_CREATE ? p->e.core.inode : 0;
	rc = apply(tx, &itable_state_ops, &p->e, &o, &why);
	c->t.creating = 0;
	if (rc == APPLY_APPLIED) {
		if (!i && p->e.core.inode) {
			i = itable_find_inode(&c->t, p->e.core.inode);
			itable_hold(&c->t, i);
		}
		if (i && i->setattr)
			i->setattr = NULL; /* later ones come after p */
		p->inode = i;
		commit_enqueue(c->commit, p);
		return 0;
	}
	if (i)
		itable_drop(&c->t, i);
	if (rc == APPLY_REJECTED) {
		log_event(LOG_ERROR, "rejected",
			  "kind=%s inode=%llu why=\"%s\"",
			  entry_kind_name(p->e.core.kind),
			  (unsigned long long)p->e.core.inode, why);
		rc = -ERR_REJECTED;
	}
	pend_free(p);
	return rc;
}

void core_reap(struct core *c, struct inode *i)
{
	struct itable_tx tx = { .t = &c->t };

	if (!(i->row.flags & INODE_ORPHAN) || i->gone || i->opens || i->file ||
	    c->o.read_only || c->closing)
		return;
	if (core_submit(c, &tx, pend_new(ENTRY_FREE_ORPHAN, 0), i, NULL) < 0)
		return;
}

static void put_time(struct timespec *out, int64_t ns)
{
	out->tv_sec = ns / 1000000000;
	out->tv_nsec = ns % 1000000000;
	if (out->tv_nsec < 0) { /* before 1970 */
		out->tv_nsec += 1000000000;
		out->tv_sec--;
	}
}

void core_row_stat(const struct inode_row *r, struct stat *out)
{
	uint64_t allocated = r->allocated;

	if (r->flags & INODE_HAS_EXTENTS)
		allocated = r->size; /* more than the version; nobody counted */
	memset(out, 0, sizeof(*out));
	out->st_ino = r->ino;
	out->st_mode = r->mode;
	out->st_nlink = r->nlink;
	out->st_uid = r->uid;
	out->st_gid = r->gid;
	out->st_rdev = r->rdev;
	out->st_size = (off_t)r->size;
	out->st_blksize = 64 << 10;
	out->st_blocks =
		S_ISREG(r->mode) ? (blkcnt_t)((allocated + 511) / 512) : 0;
	put_time(&out->st_atim, r->atime_ns);
	put_time(&out->st_mtim, r->mtime_ns);
	put_time(&out->st_ctim, r->ctime_ns);
}

void core_fill_stat(struct core *c, const struct inode *i, struct stat *out)
{
	int64_t mtime = i->row.mtime_ns, ctime = i->row.ctime_ns;
	uint64_t size = i->row.size, allocated = i->row.allocated;

	(void)c;
	core_row_stat(&i->row, out);
	if (!i->file)
		return;
	if (i->row.flags & INODE_HAS_EXTENTS)
		allocated = size;
	file_attributes(i->file, &size, &allocated, &mtime, &ctime);
	out->st_size = (off_t)size;
	if (core_is_reg(i))
		out->st_blocks = (blkcnt_t)((allocated + 511) / 512);
	put_time(&out->st_mtim, mtime);
	put_time(&out->st_ctim, ctime);
}
