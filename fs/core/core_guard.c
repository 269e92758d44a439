/*
 * core_guard.c - see core_guard.h.
 *
 * Invariants: (1) where something cannot be found out, be it a path, a name or
 * who asks, the answer is no.  (2) guard_mu is held by one who changes names
 * for a guarded run, from his question to his answer.
 *
 * An inode without any name is hidden from runs that have something hidden: a
 * file may be opened just when somebody puts a new one in its place.  But for
 * its attributes and size: who removed a file he works on may change those, and
 * they show nothing.
 */
#include "fs/core/core_guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/core/core_denied.h"
#include "fs/core/core_guard_path.h"
#include "fs/core/core_guard_tree.h"
#include "fs/core/core_internal.h"
#include "fs/run/run_guard.h"
#include "fs/run/run_peer.h"
#include "fs/run/run_table.h"

/* One question. */
struct ask {
	struct core *c;
	struct actor *actor;	 /* a reference */
	struct run_guard *guard; /* the actor's; NULL: not guarded */
	enum entry_denied_call call;
	uint64_t ino;
	struct buf path; /* that is asked for, or was found denied */
	bool dir;
	unsigned bits; /* found */
};

bool core_guard_any(const struct core *c)
{
	return run_table_guarded(c->runs);
}

/* --- who asks --- */

static int errno_of(enum entry_denied_why why)
{
	return why == ENTRY_DENIED_HIDDEN    ? -EACCES :
	       why == ENTRY_DENIED_READ_ONLY ? -EROFS :
					       -EPERM;
}

static int denied(struct ask *q, enum entry_denied_why why)
{
	const struct entry_denied d = {
		.call = q->call,
		.why = why,
		.inode = q->ino,
		.path = { q->path.p ? (const char *)q->path.p : "",
			  q->path.n < LIMIT_PATH ? q->path.n : LIMIT_PATH },
	};

	core_denied_note(q->c, q->actor, &d);
	return errno_of(why);
}

/*
 * 1: a guarded process asks, q is filled and to be released; 0: another; or
 * why nobody can tell.
 */
static int ask(struct ask *q, struct core *c, const struct cred *cr,
	       enum entry_denied_call call, uint64_t ino)
{
	*q = (struct ask){ .c = c, .call = call, .ino = ino };
	if (!core_guard_any(c))
		return 0;
	atomic_fetch_add_explicit(&c->guard_asked, 1, memory_order_relaxed);
	q->actor = core_actor(c, cr);
	if (!q->actor)
		return -ENOMEM;
	q->guard = q->actor->guard;
	if (q->guard)
		return 1;
	/* It is there, but /proc does not say what it is. */
	if (cr->pid != 0 && q->actor->tgid == 0 &&
	    run_table_guards_user(c->runs, cr->uid))
		return denied(q, ENTRY_DENIED_UNTOLD);
	return 0;
}

static int answer(struct ask *q, int rc)
{
	actor_drop(q->c->actors, q->actor);
	buf_release(&q->path);
	return rc < 0 ? rc : 0;
}

/* --- what is said of an inode, of a path --- */

static int add_bits(void *ctx, const char *path, size_t n)
{
	struct ask *q = ctx;
	unsigned bits = run_guard_look(q->guard, path, n, q->dir);

	if (bits & ~q->bits || q->path.n == 0) {
		buf_clear(&q->path);
		buf_add(&q->path, path, n);
	}
	q->bits |= bits;
	return 0;
}

/* Looks at an inode in all its names. */
static int look_inode(struct ask *q, uint64_t ino)
{
	struct stat st;
	int rc = core_getattr(q->c, ino, &st);

	if (rc == 0) {
		q->dir = S_ISDIR(st.st_mode);
		rc = core_guard_path_each(q->c, ino, add_bits, q);
	}
	if (rc != -ENOENT)
		return rc;
	if (run_guard_hides(q->guard) && q->call != ENTRY_DENIED_SETATTR &&
	    q->call != ENTRY_DENIED_TRUNCATE)
		q->bits |= RUN_POLICY_HIDDEN;
	return 0;
}

static int look_path(struct ask *q, uint64_t parent, const char *name)
{
	struct buf path = BUF_INIT;
	int rc = core_guard_path_name(q->c, &path, parent, name);

	if (rc == 0)
		rc = add_bits(q, path.p ? (const char *)path.p : "", path.n);
	buf_release(&path);
	return rc == -ENOENT ? 0 : rc; /* nothing can be made there */
}

/* What was found, as an answer. */
static int judge(struct ask *q, int rc, bool changes)
{
	if (rc < 0)
		return rc;
	if (q->bits & RUN_POLICY_HIDDEN)
		return denied(q, ENTRY_DENIED_HIDDEN);
	if (changes && run_guard_read_only(q->guard))
		return denied(q, ENTRY_DENIED_READ_ONLY);
	if (changes && q->bits & RUN_POLICY_PROTECTED)
		return denied(q, ENTRY_DENIED_PROTECTED);
	return 0;
}

static int inode_question(struct core *c, const struct cred *cr, uint64_t ino,
			  enum entry_denied_call call, bool changes)
{
	struct ask q;
	int rc = ask(&q, c, cr, call, ino);

	if (rc > 0)
		rc = judge(&q, look_inode(&q, ino), changes);
	return answer(&q, rc);
}

int core_guard_open(struct core *c, const struct cred *cr, uint64_t ino,
		    bool writes)
{
	if (!core_guard_any(c))
		return 0;
	return inode_question(c, cr, ino,
			      writes ? ENTRY_DENIED_WRITE : ENTRY_DENIED_OPEN,
			      writes);
}

int core_guard_read(struct core *c, const struct cred *cr, uint64_t ino,
		    enum entry_denied_call call)
{
	if (!core_guard_any(c))
		return 0;
	return inode_question(c, cr, ino, call, false);
}

int core_guard_change(struct core *c, const struct cred *cr, uint64_t ino,
		      enum entry_denied_call call)
{
	if (!core_guard_any(c))
		return 0;
	return inode_question(c, cr, ino, call, true);
}

int core_guard_virtual(struct core *c, const struct cred *cr,
		       enum entry_denied_call call)
{
	struct ask q;
	int rc;

	if (!core_guard_any(c))
		return 0;
	rc = ask(&q, c, cr, call, 0);
	if (rc > 0 && run_guard_hides(q.guard))
		rc = denied(&q, ENTRY_DENIED_HIDDEN);
	return answer(&q, rc);
}

int core_guard_command(struct core *c, const struct run_peer *who)
{
	struct cred cr;
	struct ask q;
	int rc;

	if (!core_guard_any(c))
		return 0;
	cr = run_peer_cred(who);
	rc = ask(&q, c, &cr, ENTRY_DENIED_CONTROL, 0);
	if (rc > 0)
		rc = denied(&q, ENTRY_DENIED_PROTECTED);
	/* It is not, or just now no more, the process that connected. */
	else if (rc == 0 && q.actor &&
		 !run_peer_is(who, q.actor->tgid, q.actor->start_time) &&
		 run_table_guards_user(c->runs, cr.uid))
		rc = denied(&q, ENTRY_DENIED_UNTOLD);
	return answer(&q, rc);
}

/* --- listings --- */

struct core_guard_list {
	struct run_guard *guard; /* a reference */
	struct buf path;	 /* of the directory, and a name now and then */
	size_t n;		 /* of it, with a slash at the end if any */
};

int core_guard_opendir(struct core *c, const struct cred *cr, uint64_t ino,
		       struct core_guard_list **out)
{
	struct ask q;
	int rc;

	*out = NULL;
	if (!core_guard_any(c))
		return 0;
	rc = ask(&q, c, cr, ENTRY_DENIED_LIST, ino);
	if (rc > 0) {
		rc = judge(&q, look_inode(&q, ino), false);
		if (rc == 0 && run_guard_hides(q.guard)) {
			*out = calloc(1, sizeof(**out));
			rc = *out ? 0 : -ENOMEM;
		}
		if (*out)
			(*out)->guard = run_guard_hold(q.guard);
	}
	return answer(&q, rc);
}

void core_guard_closedir(struct core_guard_list *l)
{
	if (!l)
		return;
	run_guard_drop(l->guard);
	buf_release(&l->path);
	free(l);
}

int core_guard_list_at(struct core *c, struct core_guard_list *l, uint64_t ino)
{
	int rc = core_guard_path_dir(c, &l->path, ino);

	if (rc == -ENOENT)
		return 0; /* it was removed, and is empty */
	if (rc == 0 && l->path.n > 0)
		buf_addc(&l->path, '/');
	l->n = l->path.n;
	return rc < 0 ? rc : l->path.bad ? -ENOMEM : 0;
}

bool core_guard_list_shows(struct core_guard_list *l, const char *name,
			   mode_t mode)
{
	l->path.n = l->n;
	buf_adds(&l->path, name);
	return !l->path.bad && !(run_guard_look(l->guard, (char *)l->path.p,
						l->path.n, S_ISDIR(mode)) &
				 RUN_POLICY_HIDDEN);
}

/* --- names --- */

/*
 * As ask(); from here on no other guarded process changes names.  pass knows
 * whether the lock is held, which the analysis cannot.
 */
static int ask_names(struct ask *q, struct core *c, const struct cred *cr,
		     struct core_guard_pass *pass,
		     enum entry_denied_call call) no_thread_safety_analysis
{
	int rc = ask(q, c, cr, call, 0);

	if (rc > 0) {
		mutex_lock(&c->guard_mu);
		pass->locked = true;
	}
	return rc;
}

void core_guard_end(struct core *c,
		    struct core_guard_pass *pass) no_thread_safety_analysis
{
	if (pass->locked)
		mutex_unlock(&c->guard_mu);
	pass->locked = false;
}

/* Nothing is worth looking up where nothing may change. */
static bool at_once(const struct ask *q)
{
	return run_guard_read_only(q->guard) && !run_guard_hides(q->guard);
}

int core_guard_make(struct core *c, const struct cred *cr,
		    struct core_guard_pass *pass, uint64_t parent,
		    const char *name, enum entry_denied_call call)
{
	struct ask q;
	int rc;

	if (!core_guard_any(c))
		return 0;
	rc = ask_names(&q, c, cr, pass, call);
	/* What has no name yet is no link that leads elsewhere. */
	q.dir = call == ENTRY_DENIED_MKDIR || !*name;
	if (rc > 0)
		rc = judge(&q, look_path(&q, parent, name), true);
	return answer(&q, rc);
}

int core_guard_link(struct core *c, const struct cred *cr,
		    struct core_guard_pass *pass, uint64_t ino, uint64_t parent,
		    const char *name)
{
	struct ask q;
	int rc;

	if (!core_guard_any(c))
		return 0;
	rc = ask_names(&q, c, cr, pass, ENTRY_DENIED_LINK);
	if (rc > 0) {
		q.ino = ino;
		rc = look_path(&q, parent, name);
		if (rc == 0)
			rc = look_inode(&q, ino);
		rc = judge(&q, rc, true);
	}
	return answer(&q, rc);
}

/* What (parent, name) names, in all its names; there may be nothing. */
static int look_named(struct ask *q, uint64_t parent, const char *name,
		      struct stat *st)
{
	int rc = core_lookup(q->c, parent, name, st);

	if (rc == -ENOENT || rc == -ENOTDIR || rc == -ENAMETOOLONG) {
		st->st_ino = 0;
		q->dir = true; /* a name alone */
		return look_path(q, parent, name);
	}
	if (rc < 0)
		return rc;
	q->ino = st->st_ino;
	q->dir = S_ISDIR(st->st_mode);
	rc = look_path(q, parent, name);
	return rc < 0 || q->dir ? rc : look_inode(q, st->st_ino);
}

int core_guard_remove(struct core *c, const struct cred *cr,
		      struct core_guard_pass *pass, uint64_t parent,
		      const char *name, enum entry_denied_call call)
{
	struct stat st;
	struct ask q;
	int rc;

	if (!core_guard_any(c))
		return 0;
	rc = ask_names(&q, c, cr, pass, call);
	if (rc > 0)
		rc = judge(&q,
			   at_once(&q) ? 0 : look_named(&q, parent, name, &st),
			   true);
	return answer(&q, rc);
}

/* --- rename --- */

struct move {
	uint64_t parent;
	const char *name;
	struct stat st; /* st_ino 0: there is nothing */
};

static bool moves_tree(const struct move *m)
{
	return m->st.st_ino != 0 && S_ISDIR(m->st.st_mode);
}

/* What is at a comes to be where b was: both names, and all below. */
static int look_move(struct ask *q, const struct move *a, const struct move *b)
{
	int rc;

	q->dir = moves_tree(a);
	rc = look_path(q, b->parent, b->name);
	if (rc < 0 || !moves_tree(a) || q->bits)
		return rc;
	rc = core_guard_tree_look(q->c, q->guard, a->st.st_ino,
				  &(struct core_guard_tree){
					  .from_parent = a->parent,
					  .from = a->name,
					  .to_parent = b->parent,
					  .to = b->name,
				  },
				  &q->path, &q->bits);
	/* Too much to look at: nobody knows what would be moved. */
	if (rc == -E2BIG) {
		q->bits |= RUN_POLICY_PROTECTED;
		rc = 0;
	}
	return rc == -ENOENT ? 0 : rc;
}

static int look_rename(struct ask *q, struct move *a, struct move *b,
		       bool exchange)
{
	int rc = look_named(q, a->parent, a->name, &a->st);
	uint64_t ino = a->st.st_ino;

	if (rc >= 0 && !q->bits)
		rc = look_named(q, b->parent, b->name, &b->st);
	q->ino = ino;
	if (rc < 0 || q->bits || ino == 0)
		return rc;
	rc = look_move(q, a, b);
	if (rc >= 0 && exchange && b->st.st_ino != 0)
		rc = look_move(q, b, a);
	return rc;
}

int core_guard_rename(struct core *c, const struct cred *cr,
		      struct core_guard_pass *pass, uint64_t parent,
		      const char *name, uint64_t new_parent,
		      const char *new_name, bool exchange)
{
	struct move a = { .parent = parent, .name = name };
	struct move b = { .parent = new_parent, .name = new_name };
	struct ask q;
	int rc;

	if (!core_guard_any(c))
		return 0;
	rc = ask_names(&q, c, cr, pass, ENTRY_DENIED_RENAME);
	if (rc > 0)
		rc = judge(&q,
			   at_once(&q) ? 0 : look_rename(&q, &a, &b, exchange),
			   true);
	return answer(&q, rc);
}
