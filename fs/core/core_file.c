/*
 * core_file.c - open files: open, read, write, flush, release, fsync.
 *
 * Threads: any; a handle may be used by several at once.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/core/file.h"
#include "fs/store/store.h"
#include "fs/core/trail.h"
#include "ledger/ledger.h"

uint64_t core_handle_ino(const struct handle *h)
{
	return h->inode->row.ino;
}

void core_handle_append(struct handle *h, bool append)
{
	atomic_store(&h->append, append);
}

/* --- open --- */

enum { GUESS_MS = 1000 };

struct open_arg {
	struct handle *h;
	struct file *f; /* NULL: no regular file */
	uint64_t ino;
	bool empties; /* O_TRUNC */
	bool others;  /* out: dirty by another process, or by a closed handle */
};

/*
 * Dirty by the opener's own process: shall what may be closed become a
 * version?  Always, but where one of its handles is known to be held, as it
 * wrote after it was taken for closed: then once a second, or who keeps a log
 * and opens it beside would make a version of it each time.  Not where the
 * open empties it: nothing that comes later would say what was there.
 */
static bool guess_closed(struct core *c, const struct open_arg *a)
{
	int64_t now = vio_mono_ns(c->vio);
	struct file *f = a->f;

	if (!f->flushed || (f->held && !a->empties &&
			    now - f->guess_ns < GUESS_MS * 1000000LL))
		return false;
	f->guessed = a->h->stream;
	f->guess_ns = now;
	return true;
}

/* It writes: who took it for closed was wrong. */
static void note_held(struct handle *h)
{
	if (h->held || h->stream >= h->file->guessed)
		return;
	h->held = true;
	h->file->held++;
}

static int open_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct open_arg *a = arg;
	struct handle *h = a->h;
	struct inode *i;
	int rc = itable_get(tx, &i, a->ino);

	if (rc < 0)
		return rc;
	h->inode = i;
	h->stream = ++c->next_stream;
	itable_hold(&c->t, i);
	i->opens++;
	c->n_handles++;
	h->next = c->handles;
	if (h->next)
		h->next->prev = h;
	c->handles = h;
	if (!a->f)
		return 0;
	if (h->writable)
		a->f->writers++;
	if (h->write_only)
		a->f->mute++;
	a->others = a->f->on_dirty &&
		    (a->f->writer != h->actor || guess_closed(c, a));
	return 0;
}

static int opened_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct handle *h = arg;

	trail_opened(c, tx, h->actor, h->inode);
	return 0;
}

/* setuid and setgid do not survive a change of content by others. */
static int kill_suid(struct core *c, const struct cred *cr, uint64_t ino)
{
	struct stat in = { 0 }, out;
	int rc = core_setattr(c, cr, ino, CORE_KILL_SUIDGID, &in, &out);

	if (rc >= 0 && c->o.invalidate)
		c->o.invalidate(c->o.ctx, ino, false);
	return rc;
}

static bool must_kill(struct core *c, struct inode *i)
{
	bool yes;

	mutex_lock(&c->t.mu);
	yes = i->row.mode & (S_ISUID | S_ISGID);
	mutex_unlock(&c->t.mu);
	return yes;
}

/* Where the kernel does not say whether to: root alone may leave them. */
static int kill_by_stranger(struct core *c, const struct cred *cr,
			    struct handle *h)
{
	if (cr->uid == 0 || !must_kill(c, h->inode))
		return 0;
	return kill_suid(c, cr, h->inode->row.ino);
}

static int truncate_open(struct core *c, struct handle *h)
{
	int rc;

	moment_enter(&c->moment);
	rc = content_truncate(h->file->content, 0);
	if (rc >= 0) {
		mutex_lock(&c->t.mu);
		file_dirtied(c, h->file, h->actor, ENTRY_EXACT, core_now(c));
		mutex_unlock(&c->t.mu);
	}
	moment_leave(&c->moment);
	return rc < 0 ? rc : 0;
}

int core_open_file(struct core *c, const struct cred *cr, uint64_t ino,
		   int flags, bool kill_suidgid, struct handle **out,
		   bool *out_keep)
{
	struct handle *h = calloc(1, sizeof(*h));
	struct open_arg a = { .h = h, .ino = ino, .empties = flags & O_TRUNC };
	int rc = h ? 0 : -ENOMEM;

	*out_keep = true;
	if (rc < 0)
		return rc;
	h->sync = flags & (O_SYNC | O_DSYNC);
	atomic_init(&h->append, flags & O_APPEND);
	h->writable = (flags & O_ACCMODE) != O_RDONLY;
	h->write_only = (flags & O_ACCMODE) == O_WRONLY;
	if (h->writable || flags & O_TRUNC)
		rc = core_may_write(c);
	if (rc >= 0) {
		rc = file_take(c, &h->file, ino);
		a.f = h->file;
		h->actor = core_actor(c, cr);
	}
	if (rc >= 0)
		rc = core_op(c, open_op, &a);
	/* RELEASE may come later than this open: what was closed is kept */
	if (rc >= 0 && a.others)
		rc = file_version(c, h->file, ENTRY_REASON_DEMAND);
	if (rc == -ENOSPC && flags & O_TRUNC)
		rc = 0; /* this makes room */
	if (rc >= 0 && flags & O_TRUNC)
		rc = truncate_open(c, h);
	/* for writing, too: what it appends to is in what it makes */
	if (rc >= 0 && !(flags & O_TRUNC))
		rc = core_op(c, opened_op, h);
	if (rc >= 0 && kill_suidgid && must_kill(c, h->inode))
		rc = kill_suid(c, cr, ino);
	if (rc < 0) {
		core_release(c, h);
		return rc;
	}
	*out = h;
	return 0;
}

/* --- release --- */

static void owe_version(struct core *c, struct file *f)
{
	/* A failure stays on the dirty list: the tick tries again. */
	if (file_is_small(f) && file_version(c, f, ENTRY_REASON_CLOSE) >= 0)
		return;
	file_job(c, f);
}

void core_release(struct core *c, struct handle *h)
{
	bool version = false, stale;

	if (!h)
		return;
	mutex_lock(&c->t.mu);
	stale = core_bypass_ends(h);
	if (h->inode) {
		h->inode->opens--;
		c->n_handles--;
		*(h->prev ? &h->prev->next : &c->handles) = h->next;
		if (h->next)
			h->next->prev = h->prev;
		if (h->file && h->write_only)
			h->file->mute--;
		if (h->held)
			h->file->held--;
		if (h->file && h->writable) {
			version = --h->file->writers == 0 &&
				  h->file->on_dirty && !c->closing &&
				  !(h->inode->row.flags & INODE_ORPHAN);
		}
		if (!h->file)
			core_reap(c, h->inode);
	}
	mutex_unlock(&c->t.mu);
	if (stale && c->o.invalidate)
		c->o.invalidate(c->o.ctx, h->inode->row.ino, true);
	if (version)
		owe_version(c, h->file);
	file_give(c, h->file);
	mutex_lock(&c->t.mu);
	if (h->inode) {
		core_reap(c, h->inode);
		itable_drop(&c->t, h->inode);
	}
	mutex_unlock(&c->t.mu);
	actor_drop(c->actors, h->actor);
	free(h);
}

/* --- read and write --- */

ssize_t core_read(struct core *c, struct handle *h, void *p, size_t n,
		  uint64_t off)
{
	if (!h->file)
		return -EINVAL;
	core_bypass_reads(c, h);
	return content_read(h->file->content, p, n, off);
}

/*
 * A change failed: some of it may be there nonetheless, and then the file is
 * dirty like any other.  Returns rc.
 */
static int half_done(struct core *c, struct file *f, struct actor *a, int rc)
{
	struct content_state st;

	content_state(f->content, &st);
	mutex_lock(&c->t.mu);
	if (st.dirty && !f->on_dirty)
		file_dirtied(c, f, a, ENTRY_EXACT, core_now(c));
	mutex_unlock(&c->t.mu);
	return rc;
}

/*
 * h's bytes have changed, or rc says that this failed: times, who.  In the
 * section of moment.h in which they did.  Returns rc.
 */
static int changed(struct core *c, struct handle *h, struct actor *a,
		   uint8_t strength, int rc)
{
	if (rc < 0)
		return half_done(c, h->file, a, rc);
	mutex_lock(&c->t.mu);
	file_dirtied(c, h->file, a, strength, core_now(c));
	h->file->flushed = h->write_only;
	note_held(h);
	mutex_unlock(&c->t.mu);
	return rc;
}

/* After that: what O_SYNC asks for. */
static int wrote(struct core *c, struct handle *h)
{
	uint64_t seq = 0;
	int rc = 0;

	if (c->o.entries_every_write)
		rc = file_version(c, h->file, ENTRY_REASON_EVERY_WRITE);
	if (rc >= 0 && h->sync) {
		rc = file_save(c, h->file, &seq);
		if (rc >= 0)
			rc = commit_flush(c->commit, seq);
	}
	return rc;
}

/* What failed since the last call, after all that could be answered for it. */
static int take_deferred(struct file *f)
{
	/* nearly always 0: a load costs other processors nothing */
	return atomic_load(&f->deferred) ? atomic_exchange(&f->deferred, 0) : 0;
}

/* What is written: n bytes at p, or at the start of a spare buffer. */
struct bytes {
	const void *p;
	struct dirty_buf **spare;
	size_t n;
	uint64_t off;
	bool from_cache;
};

static int change(struct core *c, struct handle *h, const struct bytes *b,
		  struct actor *a, uint8_t strength)
{
	struct content *content = h->file->content;
	bool append = atomic_load(&h->append) && !b->from_cache;
	uint64_t at = 0;
	int rc;

	moment_enter(&c->moment);
	rc = b->spare ? content_write_spare(content, b->spare, b->n, b->off,
					    append, h->stream, &at) :
			content_write(content, b->p, b->n, b->off, append,
				      h->stream, &at);
	rc = changed(c, h, a, strength, rc);
	moment_leave(&c->moment);
	if (!b->from_cache)
		core_bypass_wrote(c, h);
	return rc < 0 ? rc : 0;
}

/*
 * Where the page cache is gone round, the kernel does not do it.  That it is
 * gone, or was never there, is noted where it is removed.
 */
static int kill_capability(struct core *c, const struct cred *cr,
			   struct file *f)
{
	int rc = core_removexattr(c, cr, f->inode->row.ino, CORE_CAPABILITY);

	return rc == -ENODATA ? 0 : rc;
}

int core_file_wrote_by(struct core *c, const struct cred *cr, struct handle *h)
{
	int rc = kill_by_stranger(c, cr, h);

	if (rc >= 0 && cr->uid != 0 && atomic_load(&h->file->capable))
		rc = kill_capability(c, cr, h->file);
	return rc < 0 ? rc : 0;
}

static int write_bytes(struct core *c, const struct cred *cr, struct handle *h,
		       const struct bytes *b, bool kill_suidgid)
{
	/* mmap: the pages come late, from nobody; the handle says who */
	bool nobody = b->from_cache || !cr->pid;
	struct actor *a = nobody ? actor_hold(h->actor) : core_actor(c, cr);
	uint8_t strength = nobody ? ENTRY_HANDLE : ENTRY_EXACT;
	int rc = core_may_write(c);

	if (rc >= 0)
		rc = h->file ? take_deferred(h->file) : -EINVAL;
	if (rc >= 0)
		rc = file_turn(c, h->file, a);
	if (rc >= 0 && kill_suidgid && must_kill(c, h->inode))
		rc = kill_suid(c, cr, h->inode->row.ino);
	/* pages of a mapping take it no more than they take set-id bits */
	if (rc >= 0 && !b->from_cache && atomic_load(&h->file->capable))
		rc = kill_capability(c, cr, h->file);
	if (rc >= 0)
		rc = change(c, h, b, a, strength);
	if (rc >= 0)
		rc = wrote(c, h);
	actor_drop(c->actors, a);
	return rc;
}

int core_write(struct core *c, const struct cred *cr, struct handle *h,
	       const void *p, size_t n, uint64_t off, bool kill_suidgid,
	       bool from_cache)
{
	struct bytes b = {
		.p = p, .n = n, .off = off, .from_cache = from_cache
	};

	return write_bytes(c, cr, h, &b, kill_suidgid);
}

int core_write_spare(struct core *c, const struct cred *cr, struct handle *h,
		     struct dirty_buf **spare, size_t n, uint64_t off,
		     bool kill_suidgid, bool from_cache)
{
	struct bytes b = {
		.spare = spare, .n = n, .off = off, .from_cache = from_cache
	};

	return write_bytes(c, cr, h, &b, kill_suidgid);
}

struct dirty_buf *core_spare(struct core *c)
{
	return content_pool_spare(c->pool);
}

void core_unspare(struct core *c, struct dirty_buf *b)
{
	content_pool_unspare(c->pool, b);
}

bool core_handle_doubts(struct core *c, const struct handle *h)
{
	uint64_t left = 0;

	if (!h->file || !h->writable)
		return false;
	return atomic_load(&h->file->deferred) || commit_failed(c->commit) ||
	       store_left(c->store, &left) < 0 || left < LIMIT_DIRTY_BYTES;
}

int core_flush(struct core *c, struct handle *h)
{
	int rc = 0;

	if (!h->file || !h->writable)
		return 0;
	mutex_lock(&c->t.mu);
	h->file->flushed = h->file->on_dirty;
	mutex_unlock(&c->t.mu);
	rc = take_deferred(h->file);
	if (!rc)
		rc = commit_failed(c->commit);
	return rc;
}

/*
 * Nothing is set aside: bytes go elsewhere each time they are written.  What
 * cannot fit anyhow is refused, as whoever asks wants to know.
 */
static int has_room(struct core *c, struct handle *h, uint64_t len)
{
	uint64_t left = 0;
	int rc = store_left(c->store, &left);

	if (rc < 0 || len <= left)
		return rc;
	return len - left <= content_allocated(h->file->content) ? 0 : -ENOSPC;
}

static bool known_mode(int mode)
{
	return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
	       mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	       mode == FALLOC_FL_ZERO_RANGE ||
	       mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

static int reserve(struct core *c, struct handle *h, int mode, uint64_t off,
		   uint64_t len)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int rc;

	switch (mode) {
	case 0: /* what is not written reads as zeros: only the size counts */
		rc = has_room(c, h, len);
		if (rc >= 0 && off + len > content_size(h->file->content))
			rc = content_truncate(h->file->content, off + len);
		return rc;
	case FALLOC_FL_KEEP_SIZE:
		return has_room(c, h, len);
	default:
		return content_zero(h->file->content, off, len, keep);
	}
}

int core_fallocate(struct core *c, const struct cred *cr, struct handle *h,
		   int mode, uint64_t off, uint64_t len)
{
	struct actor *a;
	uint64_t end;
	int rc = core_may_change(c, SPACE_ADD);

	if (rc < 0)
		return rc;
	if (!h->file || !h->writable)
		return -EBADF;
	if (!len || __builtin_add_overflow(off, len, &end) ||
	    end > LIMIT_FILE_SIZE)
		return len ? -EFBIG : -EINVAL;
	if (!known_mode(mode))
		return -EOPNOTSUPP;
	rc = kill_by_stranger(c, cr, h);
	if (rc < 0)
		return rc;
	a = core_actor(c, cr);
	rc = file_turn(c, h->file, a);
	if (rc >= 0) {
		moment_enter(&c->moment);
		rc = reserve(c, h, mode, off, len);
		rc = changed(c, h, a, ENTRY_EXACT, rc);
		moment_leave(&c->moment);
	}
	if (rc >= 0)
		rc = wrote(c, h);
	actor_drop(c->actors, a);
	return rc;
}

/* If `to` ends up with the tree of `from`, its plain digest is known, too. */
static void note_twin(struct core *c, const struct file *from, struct file *to)
{
	const struct inode_row *r = &from->inode->row;

	mutex_lock(&c->t.mu);
	to->twin = r->version && r->flags & INODE_HAS_SHA256;
	to->twin_root = r->tree_root;
	to->twin_sha256 = r->sha256;
	mutex_unlock(&c->t.mu);
}

ssize_t core_copy_range(struct core *c, const struct cred *cr,
			struct handle *from, uint64_t from_off,
			struct handle *to, uint64_t to_off, uint64_t len)
{
	uint64_t done = 0;
	struct actor *a;
	int rc = core_may_change(c, SPACE_ADD);

	if (rc < 0)
		return rc;
	if (!from->file || !to->file || !to->writable)
		return -EBADF;
	if (to_off > LIMIT_FILE_SIZE || len > LIMIT_FILE_SIZE - to_off)
		return -EFBIG;
	if (len > 1ULL << 40)
		len = 1ULL << 40;
	rc = kill_by_stranger(c, cr, to);
	if (rc < 0)
		return rc;
	a = core_actor(c, cr);
	rc = file_turn(c, to->file, a);
	if (rc >= 0) {
		moment_enter(&c->moment);
		rc = content_clone(to->file->content, to_off,
				   from->file->content, from_off, len, &done);
		if (rc < 0 || done)
			rc = changed(c, to, a, ENTRY_EXACT, rc);
		moment_leave(&c->moment);
	}
	if (rc >= 0 && done) {
		if (!from_off && !to_off)
			note_twin(c, from->file, to->file);
		rc = wrote(c, to);
	}
	actor_drop(c->actors, a);
	return rc < 0 ? rc : (ssize_t)done;
}

int core_lseek(struct core *c, struct handle *h, uint64_t off, int whence,
	       uint64_t *out)
{
	(void)c;
	if (!h->file || (whence != SEEK_DATA && whence != SEEK_HOLE))
		return -EINVAL;
	return content_seek(h->file->content, off, whence == SEEK_HOLE, out);
}

/* --- fsync --- */

void core_fsync(struct core *c, struct handle *h, uint64_t ino,
		core_done_fn *done, void *ctx)
{
	uint64_t seq = 0;
	int rc = 0;

	(void)ino; /* a directory: everything queued so far is enough */
	if (h && h->file) {
		int late = take_deferred(h->file);

		rc = file_save(c, h->file, &seq);
		if (rc >= 0)
			rc = late;
	} else {
		mutex_lock(&c->t.mu);
		seq = commit_last_seq(c->commit);
		mutex_unlock(&c->t.mu);
	}
	if (rc < 0 || c->o.read_only)
		done(ctx, rc);
	else
		commit_wait(c->commit, seq, done, ctx);
}

int core_sync(struct core *c)
{
	uint64_t seq;
	int rc;

	if (c->o.read_only)
		return 0;
	rc = file_save_all(c, ENTRY_REASON_DEMAND);
	mutex_lock(&c->t.mu);
	seq = commit_last_seq(c->commit);
	mutex_unlock(&c->t.mu);
	if (rc >= 0)
		rc = commit_flush(c->commit, seq);
	if (rc >= 0)
		rc = commit_checkpoint(c->commit);
	return rc;
}
