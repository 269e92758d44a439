/*
 * memfs.c - the limit of FUSE: a file system that keeps everything in memory
 * and answers at once, with the low-level API and the kernel options of ours.
 * What it takes is what the kernel and the way to user space cost; nobody can
 * be faster through FUSE.
 *
 *     memfs MOUNTPOINT [COUNTS]     in the foreground until unmounted
 *
 * The session is ours (tests/sim/peer.h).  What it is allowed to leave out it
 * leaves out: close(2) makes no request, reads answer from where the bytes
 * lie, memory once had is kept and not faulted in again.  No xattrs, no hard
 * links, times of directories stand still.
 *
 * Lock: one over everything; operations copy bytes and nothing else, readers
 * answer under it, beside each other.
 */
#include "tests/sim/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The first piece of a file starts small and doubles. */
enum { PIECE = 1 << 20, PIECE_MIN = 4096, BUCKETS = 1 << 20, IOV_MOST = 4 };

struct node {
	struct stat st;
	struct node *parent, *first, *next, *prev; /* children: a list */
	struct node *chain;			   /* bucket of its name */
	char *name, *target;
	uint8_t **piece;
	size_t n_pieces, first_size;
	uint64_t lookups, serial;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
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
	if (n->n_pieces == 0)
		n->first_size = 0;
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
	n->st.st_mode = mode & ~(S_ISLNK(mode) ? 0 : fuse_req_ctx(req)->umask);
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
					  .attr_timeout = peer_timeout(),
					  .entry_timeout = peer_timeout() };
}

/* --- names --- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .entry_timeout = peer_timeout() };
	struct node *n;

	pthread_rwlock_wrlock(&lock);
	n = find(node_of(parent), name);
	if (n)
		e = entry_of(n);
	pthread_rwlock_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void forget(fuse_ino_t ino, uint64_t count)
{
	struct node *n = node_of(ino);

	pthread_rwlock_wrlock(&lock);
	n->lookups -= count < n->lookups ? count : n->lookups;
	free_if_gone(n);
	pthread_rwlock_unlock(&lock);
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

	pthread_rwlock_wrlock(&lock);
	e = entry_of(make(req, parent, name, S_IFDIR | mode));
	pthread_rwlock_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_entry_param e;
	struct node *n;

	pthread_rwlock_wrlock(&lock);
	n = make(req, parent, name, S_IFLNK | 0777);
	n->target = strdup(target);
	n->st.st_size = (off_t)strlen(target);
	e = entry_of(n);
	pthread_rwlock_unlock(&lock);
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

	pthread_rwlock_wrlock(&lock);
	e = entry_of(make(req, parent, name, S_IFREG | (mode & 07777)));
	pthread_rwlock_unlock(&lock);
	fi->keep_cache = 1;
	fi->noflush = 1;
	/* no question for security.capability, no page to fill: as we do */
	fi->direct_io = (fi->flags & O_ACCMODE) == O_WRONLY;
	fuse_reply_create(req, &e, fi);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *n;
	int rc = ENOENT;

	pthread_rwlock_wrlock(&lock);
	n = find(node_of(parent), name);
	if (n && n->first) {
		rc = ENOTEMPTY;
	} else if (n) {
		detach(n);
		free_if_gone(n);
		rc = 0;
	}
	pthread_rwlock_unlock(&lock);
	fuse_reply_err(req, rc);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	struct node *n, *old;
	int rc = ENOENT;

	pthread_rwlock_wrlock(&lock);
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
	pthread_rwlock_unlock(&lock);
	fuse_reply_err(req, rc);
}

/* Newest first; the offset is the serial number of the last one given. */
static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 bool plus)
{
	char *out = peer_scratch(size);
	size_t used = 0, k;
	struct fuse_entry_param e;
	struct node *n;

	pthread_rwlock_wrlock(&lock);
	for (n = node_of(ino)->first; n; n = n->next) {
		if (off && n->serial >= (uint64_t)off)
			continue;
		if (plus)
			e = entry_of(n);
		k = plus ? fuse_add_direntry_plus(req, out + used, size - used,
						  n->name, &e,
						  (off_t)n->serial) :
			   fuse_add_direntry(req, out + used, size - used,
					     n->name, &n->st, (off_t)n->serial);
		if (k > size - used) {
			n->lookups -= plus;
			break;
		}
		used += k;
	}
	pthread_rwlock_unlock(&lock);
	fuse_reply_buf(req, out, used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

/* --- files --- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	pthread_rwlock_rdlock(&lock);
	st = node_of(ino)->st;
	pthread_rwlock_unlock(&lock);
	fuse_reply_attr(req, &st, peer_timeout());
}

static void *resize(void *p, size_t n, size_t each)
{
	p = reallocarray(p, n, each);
	if (!p)
		abort();
	return p;
}

static size_t pieces_of(off_t size)
{
	return ((size_t)size + PIECE - 1) / PIECE;
}

/* Memory for the first `size` bytes; what is in it beyond st_size, is not. */
static void grow(struct node *n, size_t size)
{
	size_t first = n->first_size ? n->first_size : PIECE_MIN;
	size_t pieces = pieces_of((off_t)size), room = 1;

	if (pieces > n->n_pieces) {
		while (room < pieces)
			room *= 2;
		n->piece = resize(n->piece, room, sizeof(*n->piece));
	}
	for (; n->n_pieces < pieces; n->n_pieces++)
		n->piece[n->n_pieces] =
			n->n_pieces ? resize(NULL, 1, PIECE) : NULL;
	while (first < size && first < PIECE)
		first *= 2;
	if (size && first > n->first_size) {
		n->piece[0] = resize(n->piece[0], 1, first);
		n->first_size = first;
	}
}

/* What lies between the end and a new end is zero. */
static void lengthen(struct node *n, off_t size)
{
	off_t at = n->st.st_size;
	size_t in, k;

	grow(n, (size_t)size);
	for (; at < size; at += (off_t)k) {
		in = (size_t)at % PIECE;
		k = (size_t)(size - at);
		k = k < PIECE - in ? k : PIECE - in;
		memset(n->piece[at / PIECE] + in, 0, k);
	}
	if (size > n->st.st_size)
		n->st.st_size = size;
}

static void truncate_to(struct node *n, off_t size)
{
	if (size > n->st.st_size)
		lengthen(n, size);
	else
		cut(n, pieces_of(size));
	n->st.st_size = size;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int set, struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	struct stat st;

	(void)fi;
	pthread_rwlock_wrlock(&lock);
	if (set & FUSE_SET_ATTR_MODE)
		n->st.st_mode =
			(n->st.st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (set & FUSE_SET_ATTR_UID)
		n->st.st_uid = attr->st_uid;
	if (set & FUSE_SET_ATTR_GID)
		n->st.st_gid = attr->st_gid;
	if (set & FUSE_SET_ATTR_SIZE)
		truncate_to(n, attr->st_size);
	if (set & FUSE_SET_ATTR_MTIME)
		n->st.st_mtim = attr->st_mtim;
	st = n->st;
	pthread_rwlock_unlock(&lock);
	fuse_reply_attr(req, &st, peer_timeout());
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (fi->flags & O_TRUNC) {
		pthread_rwlock_wrlock(&lock);
		truncate_to(node_of(ino), 0);
		pthread_rwlock_unlock(&lock);
	}
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	fi->cache_readdir = fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	struct iovec v[IOV_MOST];
	size_t at, k;
	int parts = 0;

	(void)fi;
	pthread_rwlock_rdlock(&lock);
	if (off >= n->st.st_size)
		size = 0;
	else if (size > (size_t)(n->st.st_size - off))
		size = (size_t)(n->st.st_size - off);
	for (; size && parts < IOV_MOST; parts++, size -= k) {
		at = (size_t)off % PIECE;
		k = size < PIECE - at ? size : PIECE - at;
		v[parts].iov_base = n->piece[(size_t)off / PIECE] + at;
		v[parts].iov_len = k;
		off += (off_t)k;
	}
	fuse_reply_iov(req, v, parts);
	pthread_rwlock_unlock(&lock);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *p, size_t size,
		     off_t off, struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	size_t done = 0, k, at;

	(void)fi;
	pthread_rwlock_wrlock(&lock);
	lengthen(n, off);
	grow(n, (size_t)off + size);
	for (; done < size; done += k) {
		at = ((size_t)off + done) % PIECE;
		k = size - done < PIECE - at ? size - done : PIECE - at;
		memcpy(n->piece[((size_t)off + done) / PIECE] + at, p + done,
		       k);
	}
	if (off + (off_t)size > n->st.st_size)
		n->st.st_size = off + (off_t)size;
	pthread_rwlock_unlock(&lock);
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

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	fuse_reply_err(req, ENODATA);
}

static struct fuse_lowlevel_ops ops = {
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
	.getxattr = op_getxattr,
	.release = op_done,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_done,
};

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fputs("usage: memfs MOUNTPOINT [COUNTS]\n", stderr);
		return 2;
	}
	(void)mallopt(M_MMAP_MAX, 0);
	(void)mallopt(M_TRIM_THRESHOLD, INT32_MAX);
	(void)mallopt(M_TOP_PAD, 64 << 20);
	(void)mallopt(M_ARENA_MAX, 1);
	root.st.st_ino = FUSE_ROOT_ID;
	root.st.st_mode = S_IFDIR | 0755;
	root.st.st_nlink = 2;
	root.st.st_uid = getuid();
	root.st.st_gid = getgid();
	return peer_serve("memfs", &ops, argv[1], argc == 3 ? argv[2] : NULL);
}
