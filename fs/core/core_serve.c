/*
 * core_serve.c - what analytics and the control socket ask of the core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/actor_proc.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/ledger.h"

struct ledger *core_ledger(struct core *c)
{
	return c->ledger;
}

struct store *core_store(struct core *c)
{
	return c->store;
}

struct content_pool *core_pool(struct core *c)
{
	return c->pool;
}

const char *core_store_dir(const struct core *c)
{
	return c->store_dir;
}

const struct core_options *core_options_of(const struct core *c)
{
	return &c->o;
}

static uint64_t last_seq(struct core *c)
{
	uint64_t seq;

	mutex_lock(&c->t.mu);
	seq = commit_last_seq(c->commit);
	mutex_unlock(&c->t.mu);
	return seq;
}

int core_settle_index(struct core *c)
{
	return c->o.read_only ? 0 : commit_index(c->commit, last_seq(c));
}

int core_make_version(struct core *c, uint64_t ino, uint8_t reason)
{
	struct file *f = NULL;
	int rc;

	if (c->o.read_only)
		return 0;
	if (!ino)
		return file_version_all(c, reason);
	rc = file_take(c, &f, ino);
	if (rc < 0)
		return rc;
	rc = file_version(c, f, reason);
	file_give(c, f);
	return rc;
}

int core_unsaved(struct core *c, uint64_t **out, size_t *out_n)
{
	uint64_t *v;
	size_t n = 0;

	mutex_lock(&c->t.mu);
	v = calloc(c->n_dirty + (size_t)c->n_handles + 1, sizeof(*v));
	for (struct link *l = c->dirty.next; v && l != &c->dirty; l = l->next)
		v[n++] = ((struct file *)l)->inode->row.ino;
	for (struct handle *h = c->handles; v && h; h = h->next)
		if (h->file && h->writable)
			v[n++] = h->inode->row.ino;
	mutex_unlock(&c->t.mu);
	*out = v;
	*out_n = n;
	return v ? 0 : -ENOMEM;
}

int core_resolve(struct core *c, const char *path, uint64_t *out_ino)
{
	char name[LIMIT_NAME + 1];
	uint64_t ino = STATE_ROOT_INO;
	struct stat st;

	while (*path) {
		size_t n = strcspn(path, "/");
		int rc;

		if (n > LIMIT_NAME)
			return -ENAMETOOLONG;
		if (n > 0) {
			memcpy(name, path, n);
			name[n] = '\0';
			rc = core_lookup(c, ino, name, &st);
			if (rc < 0)
				return rc;
			ino = st.st_ino;
		}
		path += n;
		path += strspn(path, "/");
	}
	*out_ino = ino;
	return 0;
}

/* --- permissions the kernel cannot check for us --- */

static bool is_owner(const struct core *c, const struct cred *cr)
{
	return cr->uid == 0 || cr->uid == c->owner_uid;
}

bool core_in_group(const struct cred *cr, uint32_t gid)
{
	char path[64], line[4096];
	bool yes = cr->gid == gid;
	FILE *f;

	if (yes || !cr->pid || !actor_proc_ours())
		return yes;
	snprintf(path, sizeof(path), "/proc/%u/status", cr->pid);
	f = fopen(path, "re");
	while (f && !yes && fgets(line, sizeof(line), f)) {
		char *p = line + 7, *end;

		if (strncmp(line, "Groups:", 7))
			continue;
		for (;;) {
			unsigned long g = strtoul(p, &end, 10);

			if (end == p)
				break;
			yes = yes || g == gid;
			p = end;
		}
	}
	if (f)
		fclose(f);
	return yes;
}

bool core_is_owner(struct core *c, const struct cred *cr)
{
	return is_owner(c, cr) ||
	       (c->o.has_audit_gid && core_in_group(cr, c->o.audit_gid));
}

/* Mode bits, and the access ACL where there is one, as acl(5) has them. */
static bool allowed(struct core *c, const struct cred *cr,
		    const struct stat *st, uint32_t want)
{
	uint8_t acl[4096];
	ssize_t n;
	uint32_t group = st->st_mode >> 3 & 7;

	if (cr->uid == 0 || cr->uid == st->st_uid)
		return cr->uid == 0 || ((st->st_mode >> 6 & 7) & want) == want;
	n = core_getxattr(c, st->st_ino, STATE_XATTR_ACL, acl, sizeof(acl));
	if (n > 4) /* with an ACL the group bits are the mask */
		return core_acl_allows(acl, (size_t)n, cr, st->st_gid, want,
				       core_in_group);
	if (core_in_group(cr, st->st_gid))
		return (group & want) == want;
	return (st->st_mode & 7 & want) == want;
}

bool core_allows(struct core *c, const struct cred *cr, uint64_t ino,
		 uint32_t want)
{
	struct stat st;

	return is_owner(c, cr) ||
	       (core_getattr(c, ino, &st) >= 0 && allowed(c, cr, &st, want));
}

int core_may_read(struct core *c, const struct cred *cr, uint64_t ino)
{
	struct inode_row row;
	struct idx_reader *r = NULL;
	struct stat st;
	uint64_t parent = 0;
	int rc = core_getattr(c, ino, &st);

	if (is_owner(c, cr))
		return 0;
	if (rc < 0)
		return rc == -ENOENT ? -EACCES : rc;
	if (!st.st_nlink)
		return -EACCES; /* gone, though somebody has it open */
	if (!allowed(c, cr, &st, S_ISDIR(st.st_mode) ? 5 : 4))
		return -EACCES;
	for (unsigned depth = 0; ino != STATE_ROOT_INO && depth < 4096;
	     depth++) {
		struct inode *i;

		mutex_lock(&c->t.mu);
		i = itable_find_inode(&c->t, ino);
		parent = i ? i->row.parent : 0;
		mutex_unlock(&c->t.mu);
		if (!i) {
			rc = core_reader_take(c, &r);
			if (rc >= 0)
				rc = idx_inode(r, &row, ino);
			core_reader_give(c, take(r));
			if (rc <= 0)
				return rc < 0 ? rc : -EACCES;
			parent = row.parent;
			free(row.target);
		}
		ino = parent;
		if (core_getattr(c, ino, &st) < 0 || !allowed(c, cr, &st, 1))
			return -EACCES;
	}
	return 0;
}

/* --- status --- */

void core_status(struct core *c, struct core_status *out)
{
	struct commit_status s = { 0 };

	memset(out, 0, sizeof(*out));
	if (c->commit)
		commit_status(c->commit, &s);
	out->seals = ledger_size(c->ledger);
	out->checkpointed = ledger_checkpointed(c->ledger);
	out->applied = s.applied_seq;
	out->unapplied = s.unapplied;
	out->queued = s.queued;
	out->failed = s.failed;
	snprintf(out->failed_words, sizeof(out->failed_words), "%s", s.words);
	out->dirty_bytes = content_pool_dirty(c->pool);
	out->unsettled_bytes = ledger_unsettled(c->ledger);
	out->mounted_wall_ns = c->mounted_wall_ns;
	out->guard_asked = atomic_load(&c->guard_asked);
	mutex_lock(&c->t.mu);
	out->dirty_files = c->n_dirty;
	out->open_handles = c->n_handles;
	out->cached_inodes = c->t.n_inodes;
	mutex_unlock(&c->t.mu);
}
