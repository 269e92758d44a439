/*
 * memfs.c - the limit of FUSE: a file system that keeps everything in memory
 * and answers at once, with the low-level API and the kernel options of ours.
 * What it takes is what the kernel and the way to user space cost; nobody can
 * be faster through FUSE.
 *
 *     memfs MOUNTPOINT     stays in the foreground until unmounted
 *
 * Two threads (libfuse's loop), one lock over everything: operations copy
 * bytes and nothing else, so it is never waited for long.  Files grow in
 * pieces of 1 MiB.  No xattrs, no hard links, no permissions of its own.
 */
#define FUSE_USE_VERSION 317
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20, IO_MAX = 1 << 20, BUCKETS = 1 << 16 };
static const double FOREVER = 86400.0;

struct node {
	struct stat st;
	struct node *parent, *first, *next, *prev; /* children: a list */
	struct node *chain;			   /* bucket of its name */
	char *name, *target;
	uint8_t **piece;
	size_t n_pieces;
	uint64_t lookups, serial;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node root, *bucket[BUCKETS];
static uint64_t serial;

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

static fuse_ino_t ino_of(const struct node *n)
{
	return n == &root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)n;
}

static struct node **bucket_of(const struct node *parent, const char *name)
{
	uint64_t h = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15ULL;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
	return &bucket[(h >> 20) % BUCKETS];
}

static struct node *find(struct node *parent, const char *name)
{
	struct node *n = *bucket_of(parent, name);

	while (n && (n->parent != parent || strcmp(n->name, name)))
		n = n->chain;
	return n;
}

static void attach(struct node *parent, struct node *n, const char *name)
{
	struct node **b = bucket_of(parent, name);

	n->name = strdup(name);
	if (!n->name)
		abort();
	n->parent = parent;
	n->serial = ++serial;
	n->chain = *b;
	*b = n;
	n->prev = NULL;
	n->next = parent->first;
	if (n->next)
		n->next->prev = n;
	parent->first = n;
}

static void detach(struct node *n)
{
	struct node **b = bucket_of(n->parent, n->name);

	while (*b != n)
		b = &(*b)->chain;
	*b = n->chain;
	if (n->next)
		n->next->prev = n->prev;
	if (n->prev)
		n->prev->next = n->next;
	else
		n->parent->first = n->next;
	free(n->name);
	n->name = NULL;
	n->parent = NULL;
}

static void cut(struct node *n, size_t pieces)
{
	for (; n->n_pieces > pieces; n->n_pieces--)
		free(n->piece[n->n_pieces - 1]);
}

static void free_if_gone(struct node *n)
{
	if (n == &root || n->parent || n->lookups)
		return;
	cut(n, 0);
	free(n->piece);
	free(n->target);
	free(n);
}

static struct node *make(fuse_req_t req, fuse_ino_t parent, const char *name,
			 mode_t mode)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	n->st.st_ino = ino_of(n);
	n->st.st_mode = mode;
	n->st.st_nlink = S_ISDIR(mode) ? 2 : 1;
	n->st.st_uid = fuse_req_ctx(req)->uid;
	n->st.st_gid = fuse_req_ctx(req)->gid;
	(void)clock_gettime(CLOCK_REALTIME, &n->st.st_mtim);
	n->st.st_ctim = n->st.st_atim = n->st.st_mtim;
	attach(node_of(parent), n, name);
	return n;
}

static struct fuse_entry_param entry_of(struct node *n)
{
	n->lookups++;
	return (struct fuse_entry_param){ .ino = ino_of(n),
					  .attr = n->st,
					  .attr_timeout = FOREVER,
					  .entry_timeout = FOREVER };
}

/* --- names --- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .entry_timeout = FOREVER };
	struct node *n;

	pthread_mutex_lock(&lock);
	n = find(node_of(parent), name);
	if (n)
		e = entry_of(n);
	pthread_mutex_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void forget(fuse_ino_t ino, uint64_t count)
{
	struct node *n = node_of(ino);

	pthread_mutex_lock(&lock);
	n->lookups -= count < n->lookups ? count : n->lookups;
	free_if_gone(n);
	pthread_mutex_unlock(&lock);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t n,
			    struct fuse_forget_data *f)
{
	for (size_t i = 0; i < n; i++)
		forget(f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	struct fuse_entry_param e;

	pthread_mutex_lock(&lock);
	e = entry_of(make(req, parent, name, S_IFDIR | mode));
	pthread_mutex_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_entry_param e;
	struct node *n;

	pthread_mutex_lock(&lock);
	n = make(req, parent, name, S_IFLNK | 0777);
	n->target = strdup(target);
	n->st.st_size = (off_t)strlen(target);
	e = entry_of(n);
	pthread_mutex_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	fuse_reply_readlink(req, node_of(ino)->target);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param e;

	pthread_mutex_lock(&lock);
	e = entry_of(make(req, parent, name, S_IFREG | (mode & 07777)));
	pthread_mutex_unlock(&lock);
	fi->keep_cache = 1;
	fuse_reply_create(req, &e, fi);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *n;
	int rc = ENOENT;

	pthread_mutex_lock(&lock);
	n = find(node_of(parent), name);
	if (n && n->first) {
		rc = ENOTEMPTY;
	} else if (n) {
		detach(n);
		free_if_gone(n);
		rc = 0;
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, rc);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	struct node *n, *old;
	int rc = ENOENT;

	pthread_mutex_lock(&lock);
	n = find(node_of(parent), name);
	old = find(node_of(new_parent), new_name);
	if (flags) {
		rc = EINVAL;
	} else if (old && old->first) {
		rc = ENOTEMPTY;
	} else if (n) {
		if (old && old != n) {
			detach(old);
			free_if_gone(old);
		}
		detach(n);
		attach(node_of(new_parent), n, new_name);
		rc = 0;
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, rc);
}

/* Newest first; the offset is the serial number of the last one given. */
static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	char *out = malloc(size);
	size_t used = 0, k;
	struct fuse_entry_param e;
	struct node *n;

	(void)fi;
	if (!out)
		abort();
	pthread_mutex_lock(&lock);
	for (n = node_of(ino)->first; n; n = n->next) {
		if (off && n->serial >= (uint64_t)off)
			continue;
		e = entry_of(n);
		k = fuse_add_direntry_plus(req, out + used, size - used,
					   n->name, &e, (off_t)n->serial);
		if (k > size - used) {
			n->lookups--;
			break;
		}
		used += k;
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_buf(req, out, used);
	free(out);
}

/* --- files --- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	pthread_mutex_lock(&lock);
	st = node_of(ino)->st;
	pthread_mutex_unlock(&lock);
	fuse_reply_attr(req, &st, FOREVER);
}

static void grow(struct node *n, size_t pieces)
{
	size_t room = n->n_pieces ? n->n_pieces : 1;

	if (pieces <= n->n_pieces)
		return;
	while (room < pieces)
		room *= 2;
	n->piece = realloc(n->piece, room * sizeof(*n->piece));
	if (!n->piece)
		abort();
	/* Zeroed pages cost nothing until they are touched. */
	for (; n->n_pieces < pieces; n->n_pieces++) {
		n->piece[n->n_pieces] = calloc(1, PIECE);
		if (!n->piece[n->n_pieces])
			abort();
	}
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int set, struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	struct stat st;

	(void)fi;
	pthread_mutex_lock(&lock);
	if (set & FUSE_SET_ATTR_MODE)
		n->st.st_mode =
			(n->st.st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (set & FUSE_SET_ATTR_SIZE) {
		cut(n, ((size_t)attr->st_size + PIECE - 1) / PIECE);
		n->st.st_size = attr->st_size;
	}
	if (set & FUSE_SET_ATTR_MTIME)
		n->st.st_mtim = attr->st_mtim;
	st = n->st;
	pthread_mutex_unlock(&lock);
	fuse_reply_attr(req, &st, FOREVER);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	fi->cache_readdir = fi->keep_cache = 0;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	size_t done = 0, k, at;
	char *out = malloc(size);

	(void)fi;
	if (!out)
		abort();
	pthread_mutex_lock(&lock);
	if (off >= n->st.st_size)
		size = 0;
	else if (size > (size_t)(n->st.st_size - off))
		size = (size_t)(n->st.st_size - off);
	grow(n, ((size_t)n->st.st_size + PIECE - 1) / PIECE);
	for (; done < size; done += k) {
		at = ((size_t)off + done) % PIECE;
		k = size - done < PIECE - at ? size - done : PIECE - at;
		memcpy(out + done, n->piece[((size_t)off + done) / PIECE] + at,
		       k);
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_buf(req, out, size);
	free(out);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *p, size_t size,
		     off_t off, struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	size_t done = 0, k, at;

	(void)fi;
	pthread_mutex_lock(&lock);
	grow(n, ((size_t)off + size + PIECE - 1) / PIECE);
	for (; done < size; done += k) {
		at = ((size_t)off + done) % PIECE;
		k = size - done < PIECE - at ? size - done : PIECE - at;
		memcpy(n->piece[((size_t)off + done) / PIECE] + at, p + done,
		       k);
	}
	if (off + (off_t)size > n->st.st_size)
		n->st.st_size = off + (off_t)size;
	pthread_mutex_unlock(&lock);
	fuse_reply_write(req, size);
}

static void op_done(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)datasync;
	op_done(req, ino, fi);
}

static void op_init(void *ctx, struct fuse_conn_info *conn)
{
	(void)ctx;
	conn->max_write = IO_MAX;
	conn->max_background = 64;
	/* Ours has none, so the limit that counts has none. */
	fuse_unset_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE);
	(void)fuse_set_feature_flag(conn, FUSE_CAP_PARALLEL_DIROPS);
	(void)fuse_set_feature_flag(conn, FUSE_CAP_READDIRPLUS);
	fuse_unset_feature_flag(conn, FUSE_CAP_READDIRPLUS_AUTO);
	(void)fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.symlink = op_symlink,
	.rename = op_rename,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_done,
	.release = op_done,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdirplus = op_readdir,
	.releasedir = op_done,
};

int main(int argc, char **argv)
{
	static char o[] = "-o", options[] = "default_permissions,"
					    "fsname=memfs,subtype=memfs";
	char *fuse_argv[] = { argv[0], o, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *s;
	int rc = 1;

	if (argc != 2 || !config) {
		fputs("usage: memfs MOUNTPOINT\n", stderr);
		return 2;
	}
	root.st.st_ino = FUSE_ROOT_ID;
	root.st.st_mode = S_IFDIR | 0755;
	root.st.st_nlink = 2;
	root.st.st_uid = getuid();
	root.st.st_gid = getgid();
	s = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (s && fuse_session_mount(s, argv[1]) == 0) {
		fuse_loop_cfg_set_max_threads(config, 2);
		fuse_loop_cfg_set_idle_threads(config, 2);
		rc = fuse_session_loop_mt(s, config);
		fuse_session_unmount(s);
	}
	if (s)
		fuse_session_destroy(s);
	fuse_loop_cfg_destroy(config);
	fuse_opt_free_args(&args);
	return rc != 0;
}
