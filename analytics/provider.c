/*
 * provider.c - routes the calls of fs/fuse/vdir.h to the views, by kind of node.
 *
 * Threads: any number at once.  A node is held by whoever works with it, so
 * the kernel's forget never takes it away.
 */
#include "analytics/provider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "analytics/provider_internal.h"
#include "analytics/undo.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"

static const struct view *const views[NODE_KINDS] = {
	[NODE_AUDIT] = &audit_top_view,
	[NODE_README] = &audit_readme_view,
	[NODE_LOG] = &audit_log_view,
	[NODE_STATUS] = &audit_status_view,
	[NODE_KEYS] = &audit_keys_view,
	[NODE_ALERTS] = &audit_alerts_view,
	[NODE_CHECKPOINT] = &audit_checkpoint_view,
	[NODE_TILE_DIR] = &audit_tile_dir_view,
	[NODE_TILE] = &audit_tile_view,
	[NODE_HISTORY_DIR] = &audit_mirror_view,
	[NODE_HISTORY] = &audit_history_view,
	[NODE_HISTORY_INODES] = &audit_mirror_inodes_view,
	[NODE_LINEAGE_DIR] = &audit_mirror_view,
	[NODE_LINEAGE_JSON] = &audit_lineage_view,
	[NODE_LINEAGE_DOT] = &audit_lineage_view,
	[NODE_PROOF_DIR] = &audit_mirror_view,
	[NODE_PROOF] = &audit_proof_view,
	[NODE_RUNS] = &audit_runs_view,
	[NODE_RUN_LIST] = &audit_run_list_view,
	[NODE_RUN] = &audit_run_view,
	[NODE_RUN_SUMMARY] = &audit_run_document_view,
	[NODE_RUN_CHANGES] = &audit_run_document_view,
	[NODE_RUN_OPENED] = &audit_run_document_view,
	[NODE_RUN_DENIED] = &audit_run_document_view,
	[NODE_RUN_DIFF] = &audit_run_document_view,
	[NODE_RUN_UNDO] = &audit_run_document_view,
	[NODE_AT_ROOT] = &audit_at_root_view,
	[NODE_AT] = &audit_at_view,
	[NODE_QUERY] = &query_view,
	[NODE_QUERY_FILE] = &query_file_view,
};

/* --- helpers of the views --- */

int provider_settle(struct provider *p)
{
	int rc = core_settle_index(p->core);

	/* nothing can be written any more: what is there can be read */
	return rc < 0 && err_class(rc) == EROFS ? 0 : rc;
}

int provider_whole(struct provider *p, const struct cred *cr)
{
	if (core_is_owner(p->core, cr))
		return 0;
	if (p->o.audit_gid != UINT32_MAX && core_in_group(cr, p->o.audit_gid))
		return 0;
	return -EACCES;
}

void provider_set_time(struct stat *out, int64_t ns)
{
	out->st_mtim.tv_sec = ns / 1000000000;
	out->st_mtim.tv_nsec = ns % 1000000000;
	if (out->st_mtim.tv_nsec < 0) {
		out->st_mtim.tv_nsec += 1000000000;
		out->st_mtim.tv_sec--;
	}
	out->st_atim = out->st_mtim;
}

void provider_published(struct provider *p, struct node *n, struct stat *out)
{
	int64_t mtime;

	node_lock(&p->nodes);
	out->st_size = (off_t)n->size;
	mtime = n->mtime_ns;
	node_unlock(&p->nodes);
	out->st_blocks = (out->st_size + 511) / 512;
	/* tar takes a ctime that moves for a file that somebody writes to */
	provider_set_time(out, p->start_ns);
	out->st_ctim = out->st_mtim;
	if (mtime)
		provider_set_time(out, mtime);
}

void provider_open_attr(struct provider *p, struct node *n, struct stat *out,
			bool directory)
{
	provider_published(p, n, out);
	out->st_mode = directory ? S_IFDIR | 0555 : S_IFREG | 0444;
	out->st_uid = p->owner_uid;
	out->st_gid = p->owner_gid;
}

void provider_whole_attr(struct provider *p, struct node *n, struct stat *out,
			 bool directory)
{
	bool group = p->o.audit_gid != UINT32_MAX;

	provider_open_attr(p, n, out, directory);
	out->st_mode &= group ? ~07u : ~077u;
	if (group)
		out->st_gid = p->o.audit_gid;
}

int64_t provider_now(struct provider *p)
{
	struct timespec t;

	(void)p;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int provider_position(struct provider *p, uint64_t *out)
{
	struct idx_reader *r = NULL;
	struct digest root;
	int rc = core_reader_take(p->core, &r);

	if (rc >= 0)
		rc = idx_reader_position(r, out, &root);
	core_reader_give(p->core, r);
	return rc < 0 ? rc : 0;
}

int provider_rendered(struct provider *p, struct vdir_file *f,
		      uint64_t position)
{
	int rc = spool_end(&f->body);

	if (rc >= 0)
		node_publish(&p->nodes, f->node, f->body.size, provider_now(p),
			     position);
	return rc;
}

bool provider_cut(char out[LIMIT_NAME + 1], const char *name,
		  const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	if (n <= m || n > LIMIT_NAME || strcmp(name + n - m, suffix) != 0)
		return false;
	memcpy(out, name, n - m);
	out[n - m] = '\0';
	return true;
}

int provider_fill(vdir_fill_fn *fill, void *ctx, const char *name,
		  uint32_t type, const struct node_key *k, uint64_t next)
{
	return fill(ctx, name, type, node_id(k), next);
}

/* --- nodes --- */

static int node_attr(struct provider *p, struct node *n, struct stat *out,
		     uint32_t *ttl)
{
	memset(out, 0, sizeof(*out));
	out->st_ino = n->id;
	out->st_nlink = 1;
	out->st_blksize = 64 << 10;
	*ttl = 0;
	return views[n->key.kind]->attr(p, n, out, ttl);
}

static int root_key(const char *name, struct node_key *out)
{
	if (strcmp(name, "audit") != 0)
		return -ENOENT;
	out->kind = NODE_AUDIT;
	return 0;
}

static int find_key(struct provider *p, const struct cred *cr, uint64_t parent,
		    const char *name, struct node_key *out,
		    char store[KEY_STRING])
{
	struct node *dir;
	int rc = -ENOTDIR;

	if (!parent)
		return root_key(name, out);
	if (!VDIR_IS_VIRTUAL(parent))
		return query_lookup(p, parent, name, out);
	dir = node_hold(&p->nodes, parent);
	if (!dir)
		return -ESTALE;
	if (views[dir->key.kind]->lookup)
		rc = views[dir->key.kind]->lookup(p, cr, dir, name, out, store);
	node_drop(&p->nodes, dir);
	return rc;
}

static int op_lookup(void *ctx, const struct cred *cr, uint64_t parent,
		     const char *name, struct stat *out, uint32_t *ttl)
{
	struct provider *p = ctx;
	struct node_key k = { .kind = 0 };
	char store[KEY_STRING];
	struct node *n = NULL;
	int rc = find_key(p, cr, parent, name, &k, store);

	if (rc < 0)
		return rc;
	rc = node_lookup(&p->nodes, &n, &k);
	if (rc < 0)
		return rc;
	rc = node_attr(p, n, out, ttl);
	if (rc < 0)
		node_forget(&p->nodes, n->id, 1);
	node_drop(&p->nodes, n);
	return rc;
}

static void op_forget(void *ctx, uint64_t id, uint64_t n)
{
	struct provider *p = ctx;

	node_forget(&p->nodes, id, n);
}

static int op_getattr(void *ctx, const struct cred *cr, uint64_t id,
		      struct stat *out, uint32_t *ttl)
{
	struct provider *p = ctx;
	struct node *n = node_hold(&p->nodes, id);
	int rc;

	if (!n)
		return -ESTALE;
	if (views[n->key.kind]->measure)
		views[n->key.kind]->measure(p, cr, n);
	rc = node_attr(p, n, out, ttl);
	node_drop(&p->nodes, n);
	return rc;
}

static ssize_t op_readlink(void *ctx, const struct cred *cr, uint64_t id,
			   char *out, size_t cap)
{
	struct provider *p = ctx;
	struct node *n = node_hold(&p->nodes, id);
	ssize_t rc = -EINVAL;

	if (!n)
		return -ESTALE;
	if (views[n->key.kind]->readlink)
		rc = views[n->key.kind]->readlink(p, cr, n, out, cap);
	node_drop(&p->nodes, n);
	return rc;
}

/* --- files --- */

static void file_free(struct provider *p, struct vdir_file *f)
{
	if (f->view->release)
		f->view->release(p, f);
	spool_release(&f->body);
	node_drop(&p->nodes, f->node);
	free(f);
}

static int op_open(void *ctx, const struct cred *cr, uint64_t id, int flags,
		   struct vdir_file **out, struct vdir_opened *how)
{
	struct provider *p = ctx;
	struct node *n;
	struct vdir_file *f;
	int rc;

	memset(how, 0, sizeof(*how));
	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
		return -EROFS;
	n = node_hold(&p->nodes, id);
	if (!n)
		return -ESTALE;
	f = calloc(1, sizeof(*f));
	if (!f || !views[n->key.kind]->open) {
		node_drop(&p->nodes, n);
		free(f);
		return f ? -EISDIR : -ENOMEM;
	}
	f->view = views[n->key.kind];
	f->node = n;
	spool_init(&f->body, core_store_dir(p->core), 0);
	rc = f->view->open(p, cr, f, how);
	if (rc < 0) {
		file_free(p, f);
		return rc;
	}
	*out = f;
	return 0;
}

static ssize_t op_read(void *ctx, struct vdir_file *f, void *buf, size_t n,
		       uint64_t off)
{
	struct provider *p = ctx;

	if (f->view->read)
		return f->view->read(p, f, buf, n, off);
	return spool_read(&f->body, buf, n, off);
}

static int op_seek(void *ctx, struct vdir_file *f, uint64_t off, bool hole,
		   uint64_t *out)
{
	return f->view->seek ? f->view->seek(ctx, f, off, hole, out) : -EINVAL;
}

static void op_release(void *ctx, struct vdir_file *f)
{
	file_free(ctx, f);
}

/* --- directories --- */

static void list_free(struct provider *p, struct vdir_list *l)
{
	if (l->view && l->view->releasedir)
		l->view->releasedir(p, l);
	node_drop(&p->nodes, l->node);
	free(l);
}

static int op_opendir(void *ctx, const struct cred *cr, uint64_t id,
		      struct vdir_list **out)
{
	struct provider *p = ctx;
	struct vdir_list *l = calloc(1, sizeof(*l));
	int rc = 0;

	if (!l)
		return -ENOMEM;
	l->cr = *cr;
	if (VDIR_IS_VIRTUAL(id)) {
		l->node = node_hold(&p->nodes, id);
		l->view = l->node ? views[l->node->key.kind] : NULL;
		rc = !l->node ? -ESTALE : l->view->readdir ? 0 : -ENOTDIR;
	} else {
		l->real = id;
	}
	if (!rc && l->view && l->view->opendir)
		rc = l->view->opendir(p, cr, l);
	if (rc < 0) {
		list_free(p, l);
		return rc;
	}
	*out = l;
	return 0;
}

static int op_readdir(void *ctx, struct vdir_list *l, uint64_t off,
		      vdir_fill_fn *fill, void *fill_ctx)
{
	struct provider *p = ctx;

	if (!l->view)
		return query_list(p, l->real, off, fill, fill_ctx);
	if (off < 1 && fill(fill_ctx, ".", S_IFDIR, l->node->id, 1))
		return 0;
	if (off < 2 && fill(fill_ctx, "..", S_IFDIR, 1, 2))
		return 0;
	return l->view->readdir(p, l, off < 2 ? 2 : off, fill, fill_ctx);
}

static void op_releasedir(void *ctx, struct vdir_list *l)
{
	list_free(ctx, l);
}

/* --- the rest --- */

static void op_changed(void *ctx, uint64_t ino, const char *name)
{
	(void)name;
	query_changed(ctx, ino);
}

static ssize_t op_getxattr(void *ctx, const struct cred *cr, uint64_t ino,
			   const char *name, void *out, size_t cap)
{
	return xattr_get(ctx, cr, ino, name, out, cap);
}

/*
 * One at a time: texts that are merged take long, and other threads must be
 * there to answer the kernel.  -EAGAIN: somebody else's goes on.
 */
static int op_setxattr(void *ctx, const struct cred *cr, uint64_t ino,
		       const char *name, const char *value, size_t n)
{
	struct provider *p = ctx;
	int rc;

	if (strcmp(name, UNDO_EXPECT) == 0)
		return undo_expect(p->core, cr, value, n);
	if (strcmp(name, UNDO_ATTRIBUTE) != 0)
		return -EPERM;
	if (__atomic_exchange_n(&p->putting, true, __ATOMIC_ACQUIRE))
		return -EAGAIN;
	rc = undo_put(p->core, cr, ino, value, n);
	__atomic_store_n(&p->putting, false, __ATOMIC_RELEASE);
	return rc;
}

static const char *const root_names[] = { "audit", NULL };

static const struct vdir_ops provider_ops = {
	.root_names = root_names,
	.hybrid_name = "query",
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.read = op_read,
	.seek = op_seek,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.releasedir = op_releasedir,
	.changed = op_changed,
	.getxattr = op_getxattr,
	.setxattr = op_setxattr,
};

static int find_owner(struct provider *p)
{
	char path[LIMIT_PATH + 1];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/volume.conf",
			 core_store_dir(p->core));

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (core_options_of(p->core)->vio) {
		struct vio_stat sim;

		if (vio_stat(core_options_of(p->core)->vio, "volume.conf",
			     &sim) >= 0)
			p->owner_uid = p->owner_gid = sim.uid;
		return 0;
	}
	if (stat(path, &st) < 0)
		return -errno;
	p->owner_uid = st.st_uid;
	p->owner_gid = st.st_gid;
	return 0;
}

int provider_open(struct provider **out, struct core *c,
		  const struct provider_options *o, struct vdir *out_vdir,
		  struct errmsg *em)
{
	struct provider *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->core = c;
	p->o.audit_gid = UINT32_MAX;
	if (o)
		p->o = *o;
	p->start_ns = provider_now(p);
	rc = node_table_init(&p->nodes);
	if (rc >= 0)
		rc = find_owner(p);
	if (rc >= 0)
		rc = log_lines_open(&p->log, p);
	if (rc >= 0)
		rc = audit_alerts_open(p);
	if (rc >= 0)
		rc = query_open(p);
	if (rc < 0) {
		provider_close(p);
		return errmsg_set(em, rc, "virtual files: %s", err_text(rc));
	}
	*out = p;
	out_vdir->ops = &provider_ops;
	out_vdir->ctx = p;
	return 0;
}

void provider_close(struct provider *p)
{
	if (!p)
		return;
	query_close(p);
	audit_alerts_close(p);
	log_lines_close(p->log);
	node_table_release(&p->nodes);
	free(p);
}
