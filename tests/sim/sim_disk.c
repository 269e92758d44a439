/*
 * sim_disk.c - the tree of names and the unsynced writes; see sim_disk.h.
 * The crash itself is in sim_crash.c.
 *
 * Invariants:
 *  1. A file's volatile image is its durable image with its ops applied in
 *     order (until a sync failed: then the disk has forgotten some of it);
 *     the volatile names are the durable ones with `pending` applied.
 *  2. refs counts the names in both states, the pending name operations and
 *     the handles that point to a node; at zero the node is freed.
 *  3. charged is the number of pages that a file holds or has reserved.
 */
#include "tests/sim/sim_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/sim/sim_internal.h"

void *sim_need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static struct sim_node *node_new(struct sim_disk *d, uint32_t mode, int64_t now)
{
	struct sim_node *n = sim_need(calloc(1, sizeof(*n)));

	n->ino = d->next_ino++;
	n->is_dir = mode == 0;
	n->mode = n->is_dir ? S_IFDIR | 0700 : S_IFREG | mode;
	n->mtime_ns = now;
	n->btime_ns = now;
	n->ops_end = &n->ops;
	n->next = d->nodes;
	n->link = &d->nodes;
	if (n->next != NULL)
		n->next->link = &n->next;
	d->nodes = n;
	return n;
}

void sim_node_get(struct sim_node *n)
{
	n->refs++;
}

void sim_ops_free(struct sim_node *n)
{
	while (n->ops != NULL) {
		struct sim_op *op = n->ops;

		n->ops = op->next;
		free(op);
	}
	n->ops_end = &n->ops;
}

/* Frees what the node owns itself, not what it refers to. */
static void node_free(struct sim_node *n)
{
	sim_ops_free(n);
	sim_image_release(&n->now);
	sim_image_release(&n->durable);
	free(n->now_dir.v);
	free(n->durable_dir.v);
	*n->link = n->next;
	if (n->next != NULL)
		n->next->link = n->link;
	free(n);
}

void sim_node_put(struct sim_disk *d, struct sim_node *n)
{
	assert(n->refs > 0);
	if (--n->refs > 0)
		return;
	sim_dir_clear(d, &n->now_dir);
	sim_dir_clear(d, &n->durable_dir);
	if (d->free_pages != UINT64_MAX)
		d->free_pages += n->charged;
	node_free(n);
}

static struct sim_name *dir_at(const struct sim_dir *dir, const char *name)
{
	for (size_t i = 0; i < dir->n; i++)
		if (strcmp(dir->v[i].name, name) == 0)
			return &dir->v[i];
	return NULL;
}

void sim_dir_set(struct sim_disk *d, struct sim_dir *dir, const char *name,
		 struct sim_node *n)
{
	struct sim_name *at = dir_at(dir, name);

	if (n != NULL)
		sim_node_get(n);
	if (at != NULL) {
		struct sim_node *old = at->node;

		if (n != NULL) {
			at->node = n;
		} else {
			free(at->name);
			memmove(at, at + 1,
				(size_t)(dir->v + dir->n - at - 1) *
					sizeof(*at));
			dir->n--;
		}
		sim_node_put(d, old);
		return;
	}
	if (n == NULL)
		return;
	if (dir->n == dir->cap) {
		dir->cap = dir->cap == 0 ? 8 : dir->cap * 2;
		dir->v = sim_need(realloc(dir->v, dir->cap * sizeof(*dir->v)));
	}
	dir->v[dir->n].name = sim_need(strdup(name));
	dir->v[dir->n++].node = n;
}

void sim_dir_clear(struct sim_disk *d, struct sim_dir *dir)
{
	struct sim_dir old = *dir;

	memset(dir, 0, sizeof(*dir));
	for (size_t i = 0; i < old.n; i++) {
		free(old.v[i].name);
		sim_node_put(d, old.v[i].node);
	}
	free(old.v);
}

void sim_disk_init(struct sim_disk *d, int64_t now_ns)
{
	memset(d, 0, sizeof(*d));
	d->next_ino = 2;
	d->free_pages = UINT64_MAX;
	d->pending_end = &d->pending;
	d->root = node_new(d, 0, now_ns);
	sim_node_get(d->root);
}

void sim_nameop_free(struct sim_disk *d, struct sim_nameop *op)
{
	sim_node_put(d, op->dir1);
	if (op->dir2 != NULL)
		sim_node_put(d, op->dir2);
	if (op->node != NULL)
		sim_node_put(d, op->node);
	free(op->name1);
	free(op->name2);
	free(op);
}

void sim_disk_release(struct sim_disk *d)
{
	while (d->pending != NULL) {
		struct sim_nameop *op = d->pending;

		d->pending = op->next;
		sim_nameop_free(d, op);
	}
	/* References may run in circles between the two states of names. */
	for (struct sim_node *n = d->nodes; n != NULL; n = n->next) {
		for (size_t i = 0; i < n->now_dir.n; i++)
			free(n->now_dir.v[i].name);
		for (size_t i = 0; i < n->durable_dir.n; i++)
			free(n->durable_dir.v[i].name);
	}
	while (d->nodes != NULL)
		node_free(d->nodes);
	memset(d, 0, sizeof(*d));
}

void sim_nameop_apply(struct sim_disk *d, const struct sim_nameop *op)
{
	if (op->dir2 == NULL) {
		sim_dir_set(d, &op->dir1->durable_dir, op->name1, op->node);
		return;
	}
	sim_dir_set(d, &op->dir2->durable_dir, op->name2, op->node);
	sim_dir_set(d, &op->dir1->durable_dir, op->name1, NULL);
}

/* node NULL: the name goes; dir2: it moves there. */
static void pend(struct sim_disk *d, struct sim_node *dir1, const char *name1,
		 struct sim_node *dir2, const char *name2,
		 struct sim_node *node)
{
	struct sim_nameop *op = sim_need(calloc(1, sizeof(*op)));

	op->dir1 = dir1;
	sim_node_get(dir1);
	op->name1 = sim_need(strdup(name1));
	if (dir2 != NULL) {
		op->dir2 = dir2;
		sim_node_get(dir2);
		op->name2 = sim_need(strdup(name2));
	}
	if (node != NULL) {
		op->node = node;
		sim_node_get(node);
	}
	*d->pending_end = op;
	d->pending_end = &op->next;
}

/*
 * Finds the directory that holds the last component, and that component (in
 * name, of 256 bytes; empty for the root itself).
 */
static int parent_of(struct sim_disk *d, struct sim_node **out, char *name,
		     const char *path)
{
	struct sim_node *dir = d->root;
	struct sim_name *at;

	name[0] = '\0';
	for (;;) {
		size_t n;

		while (*path == '/' ||
		       (path[0] == '.' && (path[1] == '/' || path[1] == '\0')))
			path++;
		if (*path == '\0')
			break;
		if (name[0] != '\0') {
			at = dir_at(&dir->now_dir, name);
			if (at == NULL)
				return -ENOENT;
			if (!at->node->is_dir)
				return -ENOTDIR;
			dir = at->node;
		}
		n = strcspn(path, "/");
		if (n > 255)
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
	}
	*out = dir;
	return 0;
}

int sim_disk_find(struct sim_disk *d, struct sim_node **out, const char *path)
{
	struct sim_node *dir = NULL;
	struct sim_name *at;
	char name[256];
	int rc = parent_of(d, &dir, name, path);

	if (rc < 0)
		return rc;
	if (name[0] == '\0') {
		*out = dir;
		return 0;
	}
	at = dir_at(&dir->now_dir, name);
	if (at == NULL)
		return -ENOENT;
	*out = at->node;
	return 0;
}

int sim_disk_make(struct sim_disk *d, struct sim_node **out, const char *path,
		  uint32_t mode, int64_t now_ns)
{
	struct sim_node *dir = NULL;
	struct sim_node *n;
	char name[256];
	int rc = parent_of(d, &dir, name, path);

	if (rc < 0)
		return rc;
	if (name[0] == '\0' || dir_at(&dir->now_dir, name) != NULL)
		return -EEXIST;
	n = node_new(d, mode, now_ns);
	sim_dir_set(d, &dir->now_dir, name, n);
	pend(d, dir, name, NULL, NULL, n);
	dir->mtime_ns = now_ns;
	if (out != NULL)
		*out = n;
	return 0;
}

static bool is_below(const struct sim_node *top, const struct sim_node *n)
{
	if (top == n)
		return true;
	for (size_t i = 0; i < top->now_dir.n; i++)
		if (is_below(top->now_dir.v[i].node, n))
			return true;
	return false;
}

int sim_disk_rename(struct sim_disk *d, const char *from, const char *to)
{
	struct sim_node *dir1 = NULL;
	struct sim_node *dir2 = NULL;
	struct sim_name *at;
	struct sim_name *old;
	struct sim_node *n;
	char name1[256];
	char name2[256];
	int rc = parent_of(d, &dir1, name1, from);

	if (rc == 0)
		rc = parent_of(d, &dir2, name2, to);
	if (rc < 0)
		return rc;
	if (name1[0] == '\0' || name2[0] == '\0')
		return -EBUSY;
	at = dir_at(&dir1->now_dir, name1);
	if (at == NULL)
		return -ENOENT;
	n = at->node;
	old = dir_at(&dir2->now_dir, name2);
	if (old != NULL && old->node == n)
		return 0;
	if (old != NULL && old->node->is_dir != n->is_dir)
		return n->is_dir ? -ENOTDIR : -EISDIR;
	if (old != NULL && old->node->now_dir.n > 0)
		return -ENOTEMPTY;
	if (n->is_dir && is_below(n, dir2))
		return -EINVAL;
	sim_node_get(n);
	sim_dir_set(d, &dir2->now_dir, name2, n);
	sim_dir_set(d, &dir1->now_dir, name1, NULL);
	pend(d, dir1, name1, dir2, name2, n);
	sim_node_put(d, n);
	return 0;
}

int sim_disk_unlink(struct sim_disk *d, const char *path, bool dir)
{
	struct sim_node *parent = NULL;
	struct sim_name *at;
	char name[256];
	int rc = parent_of(d, &parent, name, path);

	if (rc < 0)
		return rc;
	if (name[0] == '\0')
		return -EBUSY;
	at = dir_at(&parent->now_dir, name);
	if (at == NULL)
		return -ENOENT;
	if (at->node->is_dir != dir)
		return dir ? -ENOTDIR : -EISDIR;
	if (at->node->now_dir.n > 0)
		return -ENOTEMPTY;
	pend(d, parent, name, NULL, NULL, NULL);
	sim_dir_set(d, &parent->now_dir, name, NULL);
	return 0;
}

/* Applies and removes the pending operations that carry the mark. */
static void pending_flush(struct sim_disk *d)
{
	struct sim_nameop **at = &d->pending;

	while (*at != NULL) {
		struct sim_nameop *op = *at;

		if (!op->mark) {
			at = &op->next;
			continue;
		}
		sim_nameop_apply(d, op);
		*at = op->next;
		sim_nameop_free(d, op);
	}
	d->pending_end = at;
}

/*
 * Marks the operations of `dir`, and whatever came before a marked one in
 * either of its directories: names of a directory become durable in order.
 */
static void mark_for(struct sim_disk *d, struct sim_node *dir)
{
	struct sim_nameop **v = NULL;
	size_t n = 0;

	for (struct sim_nameop *op = d->pending; op != NULL; op = op->next)
		n++;
	v = sim_need(malloc((n + 1) * sizeof(struct sim_nameop *)));
	n = 0;
	for (struct sim_nameop *op = d->pending; op != NULL; op = op->next) {
		op->dir1->stopped = false;
		if (op->dir2 != NULL)
			op->dir2->stopped = false;
		v[n++] = op;
	}
	dir->stopped = true;
	while (n-- > 0) {
		v[n]->mark = d->ordered || v[n]->dir1->stopped ||
			     (v[n]->dir2 != NULL && v[n]->dir2->stopped);
		if (!v[n]->mark)
			continue;
		v[n]->dir1->stopped = true;
		if (v[n]->dir2 != NULL)
			v[n]->dir2->stopped = true;
	}
	free(v);
}

int sim_disk_syncdir(struct sim_disk *d, struct sim_node *dir)
{
	if (!dir->is_dir)
		return -ENOTDIR;
	mark_for(d, dir);
	pending_flush(d);
	return 0;
}

size_t sim_dir_count(const struct sim_node *dir)
{
	return dir->now_dir.n;
}

const char *sim_dir_name(const struct sim_node *dir, size_t i)
{
	return dir->now_dir.v[i].name;
}

static void op_add(struct sim_node *n, enum sim_op_kind kind, uint64_t off,
		   const void *p, size_t len)
{
	struct sim_op *op = sim_need(malloc(sizeof(*op) + len));

	op->next = NULL;
	op->kind = kind;
	op->off = off;
	op->n = len;
	if (len > 0)
		memcpy(op->b, p, len);
	*n->ops_end = op;
	n->ops_end = &op->next;
}

/* Has the disk no room now, whatever it said before? */
static bool refuses(struct sim_disk *d)
{
	if (d->refuse_in == 0 || (d->refuse_in > 1 && d->refuse_in-- > 1))
		return false;
	if (!d->refuse_forever)
		d->refuse_in = 0;
	d->refused = true;
	return true;
}

/* Takes the page from the free space unless it is taken already. */
static bool charge(struct sim_disk *d, struct sim_node *n, uint64_t page)
{
	if (page < n->reserved || sim_image_has_page(&n->now, page))
		return true;
	if (d->free_pages == 0 || refuses(d))
		return false;
	if (d->free_pages != UINT64_MAX)
		d->free_pages--;
	n->charged++;
	return true;
}

int sim_disk_write(struct sim_disk *d, struct sim_node *n, const void *p,
		   size_t len, uint64_t off, int64_t now_ns)
{
	size_t fit = len;
	int rc = 0;

	if (len == 0)
		return 0;
	for (uint64_t i = off / SIM_PAGE; i <= (off + len - 1) / SIM_PAGE;
	     i++) {
		if (charge(d, n, i))
			continue;
		fit = i * SIM_PAGE > off ? (size_t)(i * SIM_PAGE - off) : 0;
		rc = -ENOSPC;
		break;
	}
	if (fit > 0) {
		sim_image_write(&n->now, p, fit, off);
		op_add(n, SIM_OP_WRITE, off, p, fit);
		n->mtime_ns = now_ns;
	}
	return rc;
}

int sim_disk_truncate(struct sim_disk *d, struct sim_node *n, uint64_t size,
		      int64_t now_ns)
{
	uint64_t keep = (size + SIM_PAGE - 1) / SIM_PAGE;
	uint64_t held = n->charged;

	sim_image_truncate(&n->now, size);
	op_add(n, SIM_OP_SIZE, size, NULL, 0);
	if (n->reserved > keep)
		n->reserved = keep;
	n->charged = n->reserved;
	for (uint64_t i = n->reserved; i < n->now.npages; i++)
		n->charged += sim_image_has_page(&n->now, i);
	if (d->free_pages != UINT64_MAX && held > n->charged)
		d->free_pages += held - n->charged;
	n->mtime_ns = now_ns;
	return 0;
}

int sim_disk_allocate(struct sim_disk *d, struct sim_node *n, uint64_t off,
		      uint64_t len)
{
	uint64_t end = (off + len + SIM_PAGE - 1) / SIM_PAGE;
	uint64_t need = 0;

	for (uint64_t i = n->reserved; i < end; i++)
		need += !sim_image_has_page(&n->now, i);
	if (need > 0 && refuses(d))
		return -ENOSPC;
	if (d->free_pages != UINT64_MAX) {
		if (need > d->free_pages)
			return -ENOSPC;
		d->free_pages -= need;
	}
	n->charged += need;
	if (end > n->reserved)
		n->reserved = end;
	if (off + len > n->now.size) {
		sim_image_truncate(&n->now, off + len);
		op_add(n, SIM_OP_SIZE, off + len, NULL, 0);
	}
	return 0;
}

void sim_disk_sync(struct sim_disk *d, struct sim_node *n)
{
	/*
	 * Applied in order, all of them give the volatile image: so a page
	 * that any of them touched is the page that is there now.
	 */
	for (struct sim_op *op = n->ops; op != NULL; op = op->next)
		if (op->kind == SIM_OP_SIZE)
			sim_image_truncate(&n->durable, op->off);
	for (struct sim_op *op = n->ops; op != NULL; op = op->next)
		if (op->kind == SIM_OP_WRITE)
			sim_image_share(&n->durable, &n->now, op->off, op->n);
	n->durable.size = n->now.size;
	sim_ops_free(n);
	if (d->ordered)
		sim_disk_syncdir(d, d->root);
}

void sim_disk_sync_range(struct sim_node *n, uint64_t off, uint64_t len)
{
	struct sim_op **at = &n->ops;

	while (*at != NULL) {
		struct sim_op *op = *at;

		if (op->kind != SIM_OP_WRITE || op->off < off ||
		    op->off + op->n > off + len) {
			at = &op->next;
			continue;
		}
		sim_image_share(&n->durable, &n->now, op->off, op->n);
		*at = op->next;
		free(op);
	}
	n->ops_end = at;
}

void sim_disk_sync_all(struct sim_disk *d)
{
	for (struct sim_node *n = d->nodes; n != NULL; n = n->next)
		if (!n->is_dir)
			sim_disk_sync(d, n);
	for (struct sim_nameop *op = d->pending; op != NULL; op = op->next)
		op->mark = true;
	pending_flush(d);
}

uint64_t sim_disk_pages(const struct sim_disk *d)
{
	uint64_t sum = 0;

	for (const struct sim_node *n = d->nodes; n != NULL; n = n->next)
		sum += sim_image_pages(&n->now);
	return sum;
}
