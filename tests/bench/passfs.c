/*
 * passfs.c - the yardstick of the disk: a plain pass-through to a directory,
 * with the session of ours (tests/sim/peer.h), without passing files through
 * in the kernel.  What a user-space file system on this disk costs that adds
 * nothing.
 *
 *     passfs DIRECTORY MOUNTPOINT [COUNTS]   in the foreground until unmounted
 *
 * A node is an O_PATH descriptor, as in libfuse's own examples, found by its
 * inode number; the directory lies on one device.  Where the limit of
 * descriptors is near, a node is a file handle, opened when it is asked for.
 * An open file is a descriptor of its own.  Whoever asks, the caller of passfs
 * acts.
 *
 * Lock: nodes.mu, over the table and the lookup counts; never held in a
 * system call but close(2).
 */
#include "tests/sim/peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BUCKETS = 1 << 17, FILES_BESIDE_NODES = 1000, LENT = 4 };

union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + 24];
};

struct node {
	struct node *chain;
	ino_t ino;
	uint64_t lookups;
	int fd; /* O_PATH, or -1: handle */
	union handle handle;
};

struct dir {
	DIR *stream;
	off_t at;
	struct dirent *next; /* read, but did not fit */
};

static struct {
	pthread_mutex_t mu;
	struct node *bucket[BUCKETS]; /* guarded by mu */
} nodes = { .mu = PTHREAD_MUTEX_INITIALIZER };
static struct node root;
static int disk;      /* something open on it, for file handles */
static int most_path; /* a node of a higher descriptor is a handle */

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

/*
 * What is opened here is closed when this thread has asked LENT times more: no
 * call asks for so many.
 */
static int fd_of(fuse_ino_t ino)
{
	static _Thread_local int lent[LENT];
	static _Thread_local unsigned turn;
	struct node *n = node_of(ino);
	int *slot;

	if (n->fd >= 0)
		return n->fd;
	slot = &lent[turn++ % LENT];
	if (*slot > 0)
		close(*slot);
	*slot = open_by_handle_at(disk, &n->handle.h, O_PATH | O_CLOEXEC);
	return *slot;
}

static int handle_of(const struct fuse_file_info *fi)
{
	return (int)fi->fh;
}

static struct dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir *)(uintptr_t)fi->fh;
}

/* For calls that have no variant for an O_PATH descriptor. */
struct proc_path {
	char s[32];
};

static struct proc_path proc_of(fuse_ino_t ino)
{
	struct proc_path p;

	(void)snprintf(p.s, sizeof(p.s), "/proc/self/fd/%d", fd_of(ino));
	return p;
}

static void reply(fuse_req_t req, int rc)
{
	fuse_reply_err(req, rc < 0 ? errno : 0);
}

/* --- nodes --- */

static struct node **bucket_of(ino_t ino)
{
	return &nodes.bucket[(ino * 0x9e3779b97f4a7c15ULL >> 40) % BUCKETS];
}

/* Its handle, if it may not be kept open. */
static void handle_get(union handle *out, int fd)
{
	int mount;

	out->h.handle_bytes = sizeof(out->room) - sizeof(out->h);
	if (fd > most_path &&
	    name_to_handle_at(fd, "", &out->h, &mount, AT_EMPTY_PATH) < 0)
		abort();
}

/* One more lookup of what fd is; fd is the node's or closed afterwards. */
static struct node *node_get(int fd, ino_t ino)
{
	struct node **b = bucket_of(ino), *n;
	union handle handle = { .room = { 0 } };

	handle_get(&handle, fd);
	pthread_mutex_lock(&nodes.mu);
	for (n = *b; n && n->ino != ino; n = n->chain)
		;
	if (!n) {
		n = malloc(sizeof(*n));
		if (!n)
			abort();
		*n = (struct node){ .chain = *b, .ino = ino, .fd = -1 };
		*b = n;
	}
	if (n->fd < 0 && fd <= most_path) {
		n->fd = fd;
		fd = -1;
	} else if (n->fd < 0 &&
		   memcmp(&n->handle, &handle, sizeof(handle)) != 0) {
		n->handle = handle; /* new, or the number has a new owner */
	}
	n->lookups++;
	pthread_mutex_unlock(&nodes.mu);
	if (fd >= 0)
		close(fd);
	return n;
}

static void node_put(fuse_ino_t ino, uint64_t count)
{
	struct node *n = node_of(ino), **p;

	if (n == &root)
		return;
	pthread_mutex_lock(&nodes.mu);
	n->lookups -= count;
	if (n->lookups == 0) {
		for (p = bucket_of(n->ino); *p != n; p = &(*p)->chain)
			;
		*p = n->chain;
		if (n->fd >= 0)
			close(n->fd);
		free(n);
	}
	pthread_mutex_unlock(&nodes.mu);
}

static int look(struct fuse_entry_param *e, fuse_ino_t parent, const char *name)
{
	int fd = openat(fd_of(parent), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	*e = (struct fuse_entry_param){ .attr_timeout = peer_timeout(),
					.entry_timeout = peer_timeout() };
	if (fd < 0)
		return -1;
	if (fstatat(fd, "", &e->attr, AT_EMPTY_PATH) < 0) {
		close(fd);
		return -1;
	}
	e->ino = (uintptr_t)node_get(fd, e->attr.st_ino);
	return 0;
}

static void reply_look(fuse_req_t req, int rc, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_entry_param e;

	if (rc < 0 || look(&e, parent, name) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_entry(req, &e);
}

/* --- names --- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;

	if (look(&e, parent, name) < 0 && errno != ENOENT)
		fuse_reply_err(req, errno);
	else
		fuse_reply_entry(req, &e); /* node 0: not there, remembered */
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	node_put(ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t n,
			    struct fuse_forget_data *f)
{
	for (size_t i = 0; i < n; i++)
		node_put(f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static mode_t mode_of(fuse_req_t req, mode_t mode)
{
	return mode & ~fuse_req_ctx(req)->umask;
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t dev)
{
	reply_look(req, mknodat(fd_of(parent), name, mode_of(req, mode), dev),
		   parent, name);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	reply_look(req, mkdirat(fd_of(parent), name, mode_of(req, mode)),
		   parent, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	reply_look(req, symlinkat(target, fd_of(parent), name), parent, name);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	reply_look(req,
		   linkat(AT_FDCWD, proc_of(ino).s, fd_of(parent), name,
			  AT_SYMLINK_FOLLOW),
		   parent, name);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply(req, unlinkat(fd_of(parent), name, 0));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply(req, unlinkat(fd_of(parent), name, AT_REMOVEDIR));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	reply(req, renameat2(fd_of(parent), name, fd_of(new_parent), new_name,
			     flags));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char *p = peer_scratch(PATH_MAX);
	ssize_t n = readlinkat(fd_of(ino), "", p, PATH_MAX - 1);

	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	p[n] = 0;
	fuse_reply_readlink(req, p);
}

/* --- attributes --- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (fstatat(fd_of(ino), "", &st, AT_EMPTY_PATH) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, peer_timeout());
}

static struct timespec time_to_set(int set, int now, int given,
				   struct timespec t)
{
	if (set & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return set & given ? t : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(fuse_ino_t ino, const struct stat *a, int set)
{
	struct timespec t[2] = {
		time_to_set(set, FUSE_SET_ATTR_ATIME_NOW, FUSE_SET_ATTR_ATIME,
			    a->st_atim),
		time_to_set(set, FUSE_SET_ATTR_MTIME_NOW, FUSE_SET_ATTR_MTIME,
			    a->st_mtim),
	};

	if (t[0].tv_nsec == UTIME_OMIT && t[1].tv_nsec == UTIME_OMIT)
		return 0;
	return utimensat(fd_of(ino), "", t, AT_EMPTY_PATH);
}

static int set_attr(fuse_ino_t ino, const struct stat *a, int set,
		    const struct fuse_file_info *fi)
{
	uid_t uid = set & FUSE_SET_ATTR_UID ? a->st_uid : (uid_t)-1;
	gid_t gid = set & FUSE_SET_ATTR_GID ? a->st_gid : (gid_t)-1;
	int rc = 0;

	if (set & FUSE_SET_ATTR_MODE)
		rc = chmod(proc_of(ino).s, a->st_mode & 07777);
	if (rc == 0 && (set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)))
		rc = fchownat(fd_of(ino), "", uid, gid, AT_EMPTY_PATH);
	if (rc == 0 && (set & FUSE_SET_ATTR_SIZE))
		rc = fi ? ftruncate(handle_of(fi), a->st_size) :
			  truncate(proc_of(ino).s, a->st_size);
	return rc == 0 ? set_times(ino, a, set) : rc;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int set, struct fuse_file_info *fi)
{
	if (set_attr(ino, attr, set, fi) < 0)
		fuse_reply_err(req, errno);
	else
		op_getattr(req, ino, fi);
}

static void reply_xattr(fuse_req_t req, ssize_t n, const void *p, size_t size)
{
	if (n < 0)
		fuse_reply_err(req, errno);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, p, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	void *p = peer_scratch(size);

	reply_xattr(req, getxattr(proc_of(ino).s, name, p, size), p, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	void *p = peer_scratch(size);

	reply_xattr(req, listxattr(proc_of(ino).s, p, size), p, size);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	reply(req, setxattr(proc_of(ino).s, name, value, size, flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	reply(req, removexattr(proc_of(ino).s, name));
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (fstatvfs(fd_of(ino), &st) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

/* --- files --- */

/* The kernel says where to append; O_DIRECT is for its cache, not for ours. */
static int flags_of(const struct fuse_file_info *fi)
{
	return (fi->flags & ~(O_NOFOLLOW | O_APPEND | O_DIRECT)) | O_CLOEXEC;
}

static void opened(struct fuse_file_info *fi, int fd)
{
	fi->fh = (uint64_t)fd;
	fi->keep_cache = 1;
	fi->direct_io = (fi->flags & O_DIRECT) != 0;
	fi->parallel_direct_writes = fi->direct_io;
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	int fd = openat(fd_of(parent), name, flags_of(fi) | O_CREAT,
			mode_of(req, mode));
	struct fuse_entry_param e;

	if (fd < 0 || look(&e, parent, name) < 0) {
		fuse_reply_err(req, errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	opened(fi, fd);
	fuse_reply_create(req, &e, fi);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = open(proc_of(ino).s, flags_of(fi));

	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	opened(fi, fd);
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	char *p = peer_scratch(size);
	ssize_t n = pread(handle_of(fi), p, size, off);

	(void)ino;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, p, (size_t)n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *p, size_t size,
		     off_t off, struct fuse_file_info *fi)
{
	ssize_t n = pwrite(handle_of(fi), p, size, off);

	(void)ino;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	reply(req, close(dup(handle_of(fi))));
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	reply(req, close(handle_of(fi)));
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)ino;
	reply(req, datasync ? fdatasync(handle_of(fi)) : fsync(handle_of(fi)));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			 off_t len, struct fuse_file_info *fi)
{
	(void)ino;
	reply(req, fallocate(handle_of(fi), mode, off, len));
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	off_t at = lseek(handle_of(fi), off, whence);

	(void)ino;
	if (at < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_lseek(req, at);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off,
			       struct fuse_file_info *from_fi, fuse_ino_t to,
			       off_t to_off, struct fuse_file_info *to_fi,
			       size_t len, int flags)
{
	ssize_t n =
		copy_file_range(handle_of(from_fi), &from_off, handle_of(to_fi),
				&to_off, len, (unsigned)flags);

	(void)from;
	(void)to;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}

/* --- listings --- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	int fd = openat(fd_of(ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dir *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	d->stream = fd < 0 ? NULL : fdopendir(fd);
	if (!d->stream) {
		fuse_reply_err(req, errno);
		if (fd >= 0)
			close(fd);
		free(d);
		return;
	}
	fi->fh = (uintptr_t)d;
	fi->cache_readdir = fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/* The next entry, which may have been read before; NULL: that is all. */
static struct dirent *next_of(struct dir *d)
{
	if (!d->next)
		d->next = readdir(d->stream);
	return d->next;
}

static size_t put(fuse_req_t req, fuse_ino_t parent, char *p, size_t left,
		  const struct dirent *x, bool plus)
{
	struct fuse_entry_param e = {
		.attr = { .st_ino = x->d_ino, .st_mode = DTTOIF(x->d_type) },
	};
	bool dots = !strcmp(x->d_name, ".") || !strcmp(x->d_name, "..");
	size_t k;

	if (!plus)
		return fuse_add_direntry(req, p, left, x->d_name, &e.attr,
					 x->d_off);
	/* Node 0, when it has gone meanwhile: the name only. */
	if (!dots && look(&e, parent, x->d_name) < 0)
		e.ino = 0;
	k = fuse_add_direntry_plus(req, p, left, x->d_name, &e, x->d_off);
	if (k > left && e.ino)
		node_put(e.ino, 1);
	return k;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi, bool plus)
{
	struct dir *d = dir_of(fi);
	char *p = peer_scratch(size);
	struct dirent *x;
	size_t n = 0, k;

	if (off != d->at) {
		seekdir(d->stream, off);
		d->next = NULL;
		d->at = off;
	}
	while ((x = next_of(d))) {
		k = put(req, ino, p + n, size - n, x, plus);
		if (k > size - n)
			break;
		n += k;
		d->at = x->d_off;
		d->next = NULL;
	}
	fuse_reply_buf(req, p, n);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	struct dir *d = dir_of(fi);

	(void)ino;
	closedir(d->stream);
	free(d);
	fuse_reply_err(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
			struct fuse_file_info *fi)
{
	int fd = dirfd(dir_of(fi)->stream);

	(void)ino;
	reply(req, datasync ? fdatasync(fd) : fsync(fd));
}

static struct fuse_lowlevel_ops ops = {
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
};

/* A descriptor for each node the kernel knows, if that may be. */
static void allow_many_files(void)
{
	struct rlimit many = { 1 << 20, 1 << 20 };

	if (setrlimit(RLIMIT_NOFILE, &many) < 0 &&
	    getrlimit(RLIMIT_NOFILE, &many) == 0) {
		many.rlim_cur = many.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &many);
	}
	most_path = (int)many.rlim_cur - FILES_BESIDE_NODES;
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 4) {
		fputs("usage: passfs DIRECTORY MOUNTPOINT [COUNTS]\n", stderr);
		return 2;
	}
	umask(0);
	allow_many_files();
	root.fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	disk = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root.fd < 0 || disk < 0) {
		perror(argv[1]);
		return 1;
	}
	return peer_serve("passfs", &ops, argv[2], argc == 4 ? argv[3] : NULL);
}
