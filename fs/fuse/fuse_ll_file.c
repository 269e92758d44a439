/*
 * fuse_ll_file.c - open files.
 *
 * A file handle is the core's struct handle, or the provider's struct
 * vdir_file when the node is virtual.  fsync is answered from the core's
 * completion, on another thread; the request must not be touched after
 * core_fsync() was called.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fs/fuse/fuse_ll_impl.h"

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static struct vdir_file *vfile_of(const struct fuse_file_info *fi)
{
	return (struct vdir_file *)(uintptr_t)fi->fh;
}

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* What an open may change: O_TRUNC does it, whatever the mode. */
static bool changes(int flags)
{
	return writes(flags) || (flags & O_TRUNC);
}

static void open_virtual(fuse_req_t req, uint64_t ino,
			 struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct vdir_opened how = { 0 };
	struct vdir_file *f = NULL;
	int rc = core_guard_virtual(l->o.core, &cr, ENTRY_DENIED_OPEN);

	if (rc < 0) {
		fuse_ll_reply(req, rc);
		return;
	}
	rc = -EROFS;
	if (!fuse_ll_vops(l))
		rc = -ESTALE;
	else if (!changes(fi->flags))
		rc = fuse_ll_vops(l)->open(l->o.vdir->ctx, &cr, ino, fi->flags,
					   &f, &how);
	if (rc < 0) {
		fuse_ll_reply(req, rc);
		return;
	}
	fi->fh = (uintptr_t)f;
	fi->direct_io = how.direct_io;
	fi->keep_cache = how.keep_cache;
	fi->nonseekable = how.nonseekable;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) < 0)
		fuse_ll_vops(l)->release(l->o.vdir->ctx, f);
}

/*
 * Close is told (FLUSH) only where it matters: a handle that may be mapped for
 * writing, whose pages the kernel then sends, and a query's text.  What a
 * handle wrote that writes only, the core takes for closed when the file is
 * opened again, so that RELEASE may come later than that.  An error that comes
 * late is told by the next write or fsync; by close, too, where one is to be
 * feared when the file is opened.  One request less of seven for a file that is
 * made, written and closed.
 */
static bool needs_flush(struct fuse_ll *l, struct handle *h, int flags)
{
	if ((flags & O_ACCMODE) == O_WRONLY)
		return fuse_ll_virt_known(l, core_handle_ino(h)) ||
		       core_handle_doubts(l->o.core, h);
	return writes(flags);
}

/*
 * What makes a file and only writes it goes round the page cache: the kernel
 * does not ask for security.capability then, one request less of six for a
 * file that is made, written and closed, and neither takes pages nor copies
 * to them.  The first who reads the file asks us for it.
 */
static void fill_open(struct fuse_ll *l, struct fuse_file_info *fi,
		      struct handle *h, bool keep, bool made)
{
	fi->fh = (uintptr_t)h;
	fi->direct_io = (fi->flags & O_DIRECT) != 0;
	fi->parallel_direct_writes = fi->direct_io;
	if (l->maps_direct && core_handle_bypass(l->o.core, h, made, &keep))
		fi->direct_io = 1;
	fi->keep_cache = keep;
	fi->noflush = !needs_flush(l, h, fi->flags);
}

static void ll_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct handle *h = NULL;
	bool keep = false;

	if (VDIR_IS_VIRTUAL(ino)) {
		open_virtual(req, ino, fi);
		return;
	}
	int rc = core_guard_open(l->o.core, &cr, ino, changes(fi->flags));
	if (rc == 0)
		rc = core_open_file(l->o.core, &cr, ino, fi->flags,
				    fuse_ll_kill(), &h, &keep);
	if (rc < 0) {
		fuse_ll_reply(req, rc);
		return;
	}
	fill_open(l, fi, h, keep, false);
	fuse_ll_settle(l);
	if (fuse_reply_open(req, fi) < 0)
		core_release(l->o.core, h);
}

static void reply_create(fuse_req_t req, struct fuse_file_info *fi,
			 struct handle *h, const struct stat *st, bool made)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct fuse_entry_param e = fuse_ll_name_entry(l, st);

	fill_open(l, fi, h, true, made);
	if (fuse_reply_create(req, &e, fi) < 0)
		core_release(l->o.core, h);
}

static void ll_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct handle *h = NULL;
	struct stat st;
	struct core_guard_pass pass = { false };
	bool keep = false, made = true;
	int rc = fuse_ll_virt_may_make(l, parent, name);

	if (rc == 0)
		rc = core_guard_make(l->o.core, &cr, &pass, parent, name,
				     ENTRY_DENIED_CREATE);
	if (rc == 0)
		rc = core_create(l->o.core, &cr, parent, name,
				 (mode & ~(mode_t)S_IFMT) | S_IFREG, fi->flags,
				 &h, &st);
	/* Another was faster; O_CREAT alone then opens what is there. */
	if (rc == -EEXIST && !(fi->flags & O_EXCL) &&
	    core_lookup(l->o.core, parent, name, &st) == 0) {
		made = false;
		rc = core_guard_open(l->o.core, &cr, st.st_ino,
				     changes(fi->flags));
		if (rc == 0)
			rc = core_open_file(l->o.core, &cr, st.st_ino,
					    fi->flags, fuse_ll_kill(), &h,
					    &keep);
		if (rc == 0 && (fi->flags & O_TRUNC))
			rc = core_getattr(l->o.core, st.st_ino, &st);
		if (rc < 0 && h)
			core_release(l->o.core, h);
	}
	core_guard_end(l->o.core, &pass);
	if (rc < 0) {
		fuse_ll_reply(req, rc);
		return;
	}
	fuse_ll_virt_note(l, parent, st.st_ino);
	reply_create(req, fi, h, &st, made);
}

static void ll_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode,
		       struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct handle *h = NULL;
	struct stat st;
	struct core_guard_pass pass = { false };
	int rc = VDIR_IS_VIRTUAL(parent) ? -EROFS : 0;

	if (rc == 0)
		rc = core_guard_make(l->o.core, &cr, &pass, parent, "",
				     ENTRY_DENIED_CREATE);
	core_guard_end(l->o.core, &pass);
	if (rc == 0)
		rc = core_tmpfile(l->o.core, &cr, parent,
				  (mode & ~(mode_t)S_IFMT) | S_IFREG, fi->flags,
				  &h, &st);
	if (rc < 0)
		fuse_ll_reply(req, rc);
	else
		reply_create(req, fi, h, &st, true);
}

/* Who reads round the page cache says on whose behalf; a page has no owner. */
static bool fills_page(const struct fuse_file_info *fi)
{
	return fi->lock_owner == 0;
}

static void ll_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	void *p = fuse_ll_scratch(size);
	ssize_t n;

	if (!VDIR_IS_VIRTUAL(ino) && fills_page(fi))
		core_handle_fills(handle_of(fi));
	if (!p)
		n = -ENOMEM;
	else if (VDIR_IS_VIRTUAL(ino))
		n = fuse_ll_vops(l)->read(l->o.vdir->ctx, vfile_of(fi), p, size,
					  (uint64_t)off);
	else
		n = core_read(l->o.core, handle_of(fi), p, size, (uint64_t)off);
	if (n < 0)
		fuse_ll_reply(req, (int)n);
	else
		fuse_reply_buf(req, p, (size_t)n);
}

static void ll_write(fuse_req_t req, fuse_ino_t ino, const char *p, size_t size,
		     off_t off, struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	struct dirty_buf **spare = fuse_ll_spare(p);
	int rc = -EROFS;

	if (!VDIR_IS_VIRTUAL(ino) && !fi->writepage)
		core_handle_append(handle_of(fi), fi->flags & O_APPEND);
	if (!VDIR_IS_VIRTUAL(ino))
		rc = spare ? core_write_spare(l->o.core, &cr, handle_of(fi),
					      spare, size, (uint64_t)off,
					      fuse_ll_kill(), fi->writepage) :
			     core_write(l->o.core, &cr, handle_of(fi), p, size,
					(uint64_t)off, fuse_ll_kill(),
					fi->writepage);
	fuse_ll_settle(l);
	if (rc < 0)
		fuse_ll_reply(req, rc);
	else
		fuse_reply_write(req, size);
}

static void ll_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	int rc = 0;

	if (!VDIR_IS_VIRTUAL(ino)) {
		rc = core_flush(l->o.core, handle_of(fi));
		fuse_ll_virt_closed(l, ino);
	}
	fuse_ll_reply(req, rc);
}

static void ll_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);

	if (VDIR_IS_VIRTUAL(ino))
		fuse_ll_vops(l)->release(l->o.vdir->ctx, vfile_of(fi));
	else
		core_release(l->o.core, handle_of(fi));
	fuse_ll_reply(req, 0);
}

static void synced(void *ctx, int rc)
{
	fuse_ll_reply(ctx, rc);
}

static void ll_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)datasync;
	if (VDIR_IS_VIRTUAL(ino))
		fuse_ll_reply(req, 0);
	else
		core_fsync(fuse_ll_of(req)->o.core, handle_of(fi), ino, synced,
			   req);
}

static void ll_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			 off_t len, struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	int rc = -EROFS;

	if (!VDIR_IS_VIRTUAL(ino))
		rc = core_fallocate(l->o.core, &cr, handle_of(fi), mode,
				    (uint64_t)off, (uint64_t)len);
	fuse_ll_reply(req, rc);
}

static void ll_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off,
			       struct fuse_file_info *from_fi, fuse_ino_t to,
			       off_t to_off, struct fuse_file_info *to_fi,
			       size_t len, int flags)
{
	struct fuse_ll *l = fuse_ll_of(req);
	struct cred cr = fuse_ll_cred(req);
	ssize_t n;

	if (VDIR_IS_VIRTUAL(from) || VDIR_IS_VIRTUAL(to))
		n = -EXDEV; /* the kernel copies by reading then */
	else if (flags != 0)
		n = -EINVAL;
	else
		n = core_copy_range(l->o.core, &cr, handle_of(from_fi),
				    (uint64_t)from_off, handle_of(to_fi),
				    (uint64_t)to_off, len);
	if (n < 0)
		fuse_ll_reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void ll_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct fuse_ll *l = fuse_ll_of(req);
	uint64_t from = (uint64_t)off, out = 0;
	int rc;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		rc = -EINVAL;
	else if (off < 0)
		rc = -ENXIO;
	else if (!VDIR_IS_VIRTUAL(ino))
		rc = core_lseek(l->o.core, handle_of(fi), from, whence, &out);
	else
		rc = fuse_ll_vops(l)->seek(l->o.vdir->ctx, vfile_of(fi), from,
					   whence == SEEK_HOLE, &out);
	if (rc < 0)
		fuse_ll_reply(req, rc);
	else
		fuse_reply_lseek(req, (off_t)out);
}

void fuse_ll_file_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = ll_open;
	ops->create = ll_create;
	ops->tmpfile = ll_tmpfile;
	ops->read = ll_read;
	ops->write = ll_write;
	ops->flush = ll_flush;
	ops->release = ll_release;
	ops->fsync = ll_fsync;
	ops->fallocate = ll_fallocate;
	ops->copy_file_range = ll_copy_file_range;
	ops->lseek = ll_lseek;
}
