/*
 * actor.c - see actor.h.
 *
 * An image is one process between two execve calls: pid, start time, random
 * start of the stack, and a watch (actor_proc.h) that says in a fifth of a
 * microsecond whether that address space is still in use.  An image has an
 * actor for each (uid, gid) it acted as.  A small table leads from thread ids
 * to images.  The run it belongs to is found once, when it is captured.
 *
 * Invariants: (1) an image is believed only while its watch says alive; one
 * without a watch (we may not look), or that shares its memory with its
 * parent (vfork: an execve leaves the memory in use), is compared with /proc
 * again.  (2) A thread id that is not its process's is believed for
 * TID_VALID_NS only: ids are reused.  (3) An actor is never changed, but for
 * its digest; images only let go of it.  (4) No lock is held while /proc is
 * read, but for the watch.
 *
 *   unknown tid ─► read /proc ─► same image known? ─yes─► its actor
 *                                    └─no─► capture: links, argv, parent ─► new
 */
#include "fs/core/actor.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/thread.h"
#include "fs/core/actor_cmdline.h"
#include "fs/core/actor_exe.h"
#include "fs/core/actor_proc.h"
#include "fs/core/actor_run.h"
#include "fs/run/run_guard.h"
#include "ledger/argv.h"

enum { IMAGES_DEFAULT = 1024, IMAGES_MIN = 16, TIDS = 4096 };
/* Ancestors that are looked up at once: as many as lead to a run's wrapper. */
enum { AS_MAX = 8, DEPTH_MAX = 24, TRIES = 3, NONE = -1 };
#define TID_VALID_NS (500 * 1000000LL)
#define BLIND_VALID_NS (10 * 1000000LL)

struct image {
	struct actor_proc proc;
	bool used;
	bool shares_memory;
	uint32_t generation;	  /* changes when the place is given away */
	int watch;		  /* descriptor or -1 */
	int64_t checked_ns;	  /* compared with /proc */
	struct actor *as[AS_MAX]; /* one reference each; newest first */
	int next;		  /* same hash bucket */
	int newer, older;	  /* by use */
};

struct tid_slot {
	uint32_t tid, generation;
	int image;
	int64_t checked_ns;
};

struct actor_table {
	struct mutex mu;
	struct actor_options o;
	struct actor_cmdline *cmdline;
	struct actor_exe *exe;
	uint64_t last_id; /* guarded by mu */
	uint32_t n_images;
	struct image *images;	    /* guarded by mu */
	int *buckets;		    /* guarded by mu; n_images of them */
	int newest, oldest;	    /* guarded by mu */
	struct tid_slot tids[TIDS]; /* guarded by mu */
	char host[LIMIT_HOST + 1];
};

/* What was read of a process that is not known yet. */
struct capture {
	struct actor_proc proc;
	int watch;
	bool shares_memory;
	char *exe, *cwd;
	struct buf argv;
	struct actor *parent;
	uint8_t run[RUN_ID_SIZE];
	enum entry_run_how run_how;
	struct run_guard *guard; /* a reference */
};

static struct actor *find_actor(struct actor_table *t, uint32_t pid,
				const uint32_t *uid, const uint32_t *gid,
				int depth);

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* --- actors --------------------------------------------------------------- */

struct actor *actor_hold(struct actor *a)
{
	if (a) {
		uint32_t before =
			__atomic_fetch_add(&a->refs_, 1, __ATOMIC_RELAXED);

		assert(before > 0);
	}
	return a;
}

static void actor_free(struct actor *a)
{
	if (!a)
		return;
	free(a->exe);
	free(a->argv);
	free(a->cwd);
	run_guard_drop(a->guard);
	free(a);
}

void actor_drop(struct actor_table *t, struct actor *a)
{
	while (a) {
		struct actor *parent = a->parent;
		uint32_t before =
			__atomic_fetch_sub(&a->refs_, 1, __ATOMIC_ACQ_REL);

		assert(before > 0);
		if (before > 1)
			return;
		if (t->o.on_free)
			t->o.on_free(t->o.ctx, a);
		actor_free(a);
		a = parent;
	}
}

static char *copy_of(const char *s)
{
	return strdup(s ? s : "");
}

/* Takes the capture's parent over on success. */
static struct actor *actor_new(struct capture *c, uint32_t uid, uint32_t gid)
{
	struct actor *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->uid = uid;
	a->gid = gid;
	a->tgid = c->proc.tgid;
	a->ppid = c->proc.ppid;
	a->start_time = c->proc.start_time;
	a->run_how = c->run_how;
	a->guard = run_guard_hold(c->guard);
	memcpy(a->run, c->run, sizeof(a->run));
	a->refs_ = 1;
	a->exe = copy_of(c->exe);
	a->cwd = copy_of(c->cwd);
	a->argv = copy_of((const char *)c->argv.p);
	if (!a->exe || !a->cwd || !a->argv || c->argv.bad) {
		actor_free(a);
		return NULL;
	}
	a->argv_len = (uint32_t)strlen(a->argv);
	a->parent = take(c->parent);
	return a;
}

bool actor_digest(struct actor_table *t, struct actor *a, struct digest *out)
{
	mutex_lock(&t->mu);
	bool known = a->exe_digest_known;
	*out = a->exe_digest;
	mutex_unlock(&t->mu);
	return known;
}

/* The hasher's answer; `who` is an actor, with a reference. */
static void on_digest(void *ctx, void *who, const struct digest *d)
{
	struct actor_table *t = ctx;
	struct actor *a = who;

	if (d) {
		mutex_lock(&t->mu);
		a->exe_digest = *d;
		a->exe_digest_known = true;
		mutex_unlock(&t->mu);
		if (t->o.on_digest)
			t->o.on_digest(t->o.ctx, a);
	}
	actor_drop(t, a);
}

/* Nobody else knows the actor yet, but the hasher may answer at once. */
static void ask_digest(struct actor_table *t, struct actor *a)
{
	struct digest d;
	int rc = actor_exe_ask(t->exe, a->tgid, &d, actor_hold(a));

	if (rc == 0)
		return; /* the hasher has the reference */
	if (rc == 1) {
		mutex_lock(&t->mu);
		a->exe_digest = d;
		a->exe_digest_known = true;
		mutex_unlock(&t->mu);
	}
	actor_drop(t, a);
}

/* --- images ---------------------------------------------------------------- */

static void lru_remove_locked(struct actor_table *t, int i)
	requires_capability(&t->mu)
{
	struct image *m = &t->images[i];

	if (m->newer == NONE)
		t->newest = m->older;
	else
		t->images[m->newer].older = m->older;
	if (m->older == NONE)
		t->oldest = m->newer;
	else
		t->images[m->older].newer = m->newer;
}

static void lru_add_locked(struct actor_table *t, int i, bool as_newest)
	requires_capability(&t->mu)
{
	struct image *m = &t->images[i];

	m->newer = as_newest ? NONE : t->oldest;
	m->older = as_newest ? t->newest : NONE;
	if (m->older != NONE)
		t->images[m->older].newer = i;
	else
		t->oldest = i;
	if (m->newer != NONE)
		t->images[m->newer].older = i;
	else
		t->newest = i;
}

static void lru_touch_locked(struct actor_table *t, int i)
	requires_capability(&t->mu)
{
	if (t->newest == i)
		return;
	lru_remove_locked(t, i);
	lru_add_locked(t, i, true);
}

static int *bucket_locked(struct actor_table *t, uint32_t tgid)
	requires_capability(&t->mu)
{
	return &t->buckets[(tgid * 2654435761u) % t->n_images];
}

static int image_find_locked(struct actor_table *t, uint32_t tgid)
	requires_capability(&t->mu)
{
	int i = *bucket_locked(t, tgid);

	while (i != NONE && t->images[i].proc.tgid != tgid)
		i = t->images[i].next;
	return i;
}

/*
 * Forgets an image; its actors' references move to `old` (AS_MAX of them), to
 * be dropped when the lock is released.
 */
static void image_forget_locked(struct actor_table *t, int i,
				struct actor **old) requires_capability(&t->mu)
{
	struct image *m = &t->images[i];
	int *p = bucket_locked(t, m->proc.tgid);

	assert(m->used);
	while (*p != i)
		p = &t->images[*p].next;
	*p = m->next;
	if (m->watch >= 0)
		close(m->watch);
	memcpy(old, m->as, sizeof(m->as));
	memset(m->as, 0, sizeof(m->as));
	m->watch = -1;
	m->used = false;
	m->generation++;
	lru_remove_locked(t, i);
	lru_add_locked(t, i, false);
}

static bool proc_eq(const struct actor_proc *a, const struct actor_proc *b)
{
	return a->tgid == b->tgid && a->start_time == b->start_time &&
	       a->start_stack == b->start_stack;
}

/* Invariant 1, without looking into /proc again. */
static bool image_fresh_locked(const struct image *m, int64_t now)
{
	if (m->shares_memory)
		return false;
	if (m->watch >= 0)
		return actor_proc_alive(m->watch);
	return now - m->checked_ns < BLIND_VALID_NS;
}

/* The image's actor for (uid, gid), whichever comes first for NULL. */
static struct actor *image_actor(struct image *m, const uint32_t *uid,
				 const uint32_t *gid)
{
	for (int i = 0; i < AS_MAX && m->as[i]; i++) {
		struct actor *a = m->as[i];
		if (!uid || (a->uid == *uid && a->gid == *gid)) {
			memmove(m->as + 1, m->as, (size_t)i * sizeof(m->as[0]));
			m->as[0] = a;
			return actor_hold(a);
		}
	}
	return NULL;
}

static void tid_set_locked(struct actor_table *t, uint32_t tid, int image)
	requires_capability(&t->mu)
{
	t->tids[tid % TIDS] = (struct tid_slot){
		.tid = tid,
		.generation = t->images[image].generation,
		.image = image,
		.checked_ns = now_ns(),
	};
}

/* The image of a thread id, when that can be said at once, or NONE. */
static int tid_image_locked(struct actor_table *t, uint32_t tid)
	requires_capability(&t->mu)
{
	const struct tid_slot *s = &t->tids[tid % TIDS];
	int64_t now = now_ns();

	if (s->tid != tid || tid == 0)
		return NONE;
	const struct image *m = &t->images[s->image];
	if (!m->used || m->generation != s->generation)
		return NONE;
	if (m->proc.tgid != tid && now - s->checked_ns > TID_VALID_NS)
		return NONE;
	return image_fresh_locked(m, now) ? s->image : NONE;
}

/* --- capture --------------------------------------------------------------- */

static void capture_release(struct actor_table *t, struct capture *c)
{
	if (c->watch >= 0)
		close(c->watch);
	free(c->exe);
	free(c->cwd);
	buf_release(&c->argv);
	actor_drop(t, c->parent);
	run_guard_drop(c->guard);
	*c = (struct capture){ .watch = -1 };
}

/* The watch comes first, so that what is read after it belongs together. */
static int capture_identity(struct capture *c, uint32_t pid)
{
	int rc = actor_proc_read(&c->proc, pid);

	if (rc < 0)
		return rc;
	c->watch = actor_proc_watch(c->proc.tgid);
	if (c->watch >= 0)
		rc = actor_proc_read(&c->proc, c->proc.tgid);
	return rc;
}

/*
 * What the same process was before its last execve: the nearer ancestor.  A
 * script that a shell opened before `exec program` is found through it.
 */
static struct actor *image_before(struct actor_table *t,
				  const struct actor_proc *proc)
{
	struct actor *a = NULL;

	mutex_lock(&t->mu);
	int i = image_find_locked(t, proc->tgid);
	if (i != NONE && t->images[i].proc.start_time == proc->start_time &&
	    !proc_eq(&t->images[i].proc, proc))
		a = image_actor(&t->images[i], NULL, NULL);
	mutex_unlock(&t->mu);
	return a;
}

static int capture_rest(struct actor_table *t, struct capture *c, int depth)
{
	const struct actor_run_source runs = {
		.runs = t->o.runs,
		.groups = t->o.groups,
		.cmdline = t->cmdline,
	};
	char bytes[LIMIT_ARGV];
	uint32_t pid = c->proc.tgid;

	c->exe = actor_proc_link(pid, "exe", LIMIT_EXE);
	c->cwd = actor_proc_link(pid, "cwd", LIMIT_CWD);
	ssize_t n = actor_cmdline_read(t->cmdline, pid, bytes, sizeof(bytes));
	if (n > 0)
		argv_pack(&c->argv, bytes, (size_t)n, LIMIT_ARGV);
	c->shares_memory = c->proc.ppid != 0 &&
			   actor_proc_shares_memory(pid, c->proc.ppid);
	c->parent = image_before(t, &c->proc);
	if (!c->parent && c->proc.ppid != 0 && depth < DEPTH_MAX)
		c->parent = find_actor(t, c->proc.ppid, NULL, NULL, depth + 1);
	c->run_how = actor_run_of(&runs, c->run, &c->proc, c->parent);
	return actor_run_guard(&runs, &c->guard, c->run, c->run_how, &c->proc,
			       c->parent);
}

static int capture(struct actor_table *t, struct capture *c, uint32_t pid,
		   int depth)
{
	int rc = -ESRCH;

	for (int i = 0; i < TRIES; i++) {
		rc = capture_identity(c, pid);
		if (rc < 0)
			break;
		rc = capture_rest(t, c, depth);
		if (rc < 0)
			break;
		if (c->watch < 0 || actor_proc_alive(c->watch))
			return 0;
		capture_release(t, c); /* an execve meanwhile */
		rc = -ESRCH;
	}
	capture_release(t, c);
	return rc;
}

/* Only uid and gid: a process that we cannot see, or that is gone. */
static void capture_unknown(struct capture *c)
{
	*c = (struct capture){ .watch = -1 };
}

/* --- look-up ---------------------------------------------------------------- */

/*
 * Puts a new image in the place of the oldest one, or of the one that had the
 * pid before; if another thread was faster, `c` stays the caller's to release.
 */
static int image_put_locked(struct actor_table *t, struct capture *c,
			    struct actor **old) requires_capability(&t->mu)
{
	int i = image_find_locked(t, c->proc.tgid);

	if (i != NONE && proc_eq(&t->images[i].proc, &c->proc)) {
		t->images[i].shares_memory = c->shares_memory;
		return i;
	}
	if (i == NONE)
		i = t->oldest;
	if (t->images[i].used)
		image_forget_locked(t, i, old);
	struct image *m = &t->images[i];
	m->used = true;
	m->proc = c->proc;
	m->shares_memory = c->shares_memory;
	m->watch = c->watch;
	m->checked_ns = now_ns();
	c->watch = -1;
	int *bucket = bucket_locked(t, m->proc.tgid);
	m->next = *bucket;
	*bucket = i;
	return i;
}

/* Adds an actor to an image; the one that must go is put into *old. */
static void image_add_actor(struct image *m, struct actor *a,
			    struct actor **old)
{
	*old = m->as[AS_MAX - 1];
	memmove(m->as + 1, m->as, (AS_MAX - 1) * sizeof(m->as[0]));
	m->as[0] = actor_hold(a);
}

/* A run's processes are counted, not their images. */
static void count_process(struct actor_table *t, const struct actor *a)
{
	const struct actor *p = a->parent;
	bool same = p && p->tgid == a->tgid && p->start_time == a->start_time &&
		    memcmp(p->run, a->run, sizeof(a->run)) == 0;

	if (!same && run_of_explicit(a->run_how))
		run_table_count(t->o.runs, a->run);
}

/* Enters what was captured; the actor with a reference, or NULL. */
static struct actor *enter(struct actor_table *t, struct capture *c,
			   uint32_t tid, uint32_t uid, uint32_t gid)
{
	struct actor *old[AS_MAX + 1] = { NULL };
	struct actor *made = actor_new(c, uid, gid);
	struct actor *a = NULL;

	if (!made)
		return NULL;
	mutex_lock(&t->mu);
	made->id = ++t->last_id;
	int i = image_put_locked(t, c, old);
	struct image *m = &t->images[i];
	a = image_actor(m, &uid, &gid);
	bool is_new = a == NULL;
	if (is_new) {
		image_add_actor(m, made, &old[AS_MAX]);
		a = actor_hold(made);
		if (!m->as[1])
			count_process(t, a);
	}
	if (tid != 0)
		tid_set_locked(t, tid, i);
	lru_touch_locked(t, i);
	mutex_unlock(&t->mu);
	if (is_new && c->proc.tgid != 0)
		ask_digest(t, a);
	for (int k = 0; k <= AS_MAX; k++)
		actor_drop(t, old[k]);
	actor_drop(t, made);
	return a;
}

/* /proc is read and agrees with an image that we have: its actor. */
static struct actor *recheck(struct actor_table *t, uint32_t tid,
			     const uint32_t *uid, const uint32_t *gid)
{
	struct actor *a = NULL;
	struct actor_proc proc;

	if (actor_proc_read(&proc, tid) < 0)
		return NULL;
	mutex_lock(&t->mu);
	int i = image_find_locked(t, proc.tgid);
	struct image *m = i == NONE ? NULL : &t->images[i];
	if (m && proc_eq(&m->proc, &proc) &&
	    (m->watch < 0 || actor_proc_alive(m->watch))) {
		a = image_actor(m, uid, gid);
		m->checked_ns = now_ns();
		if (m->shares_memory)
			m->shares_memory =
				actor_proc_shares_memory(proc.tgid, proc.ppid);
		tid_set_locked(t, tid, i);
		lru_touch_locked(t, i);
	}
	mutex_unlock(&t->mu);
	return a;
}

static struct actor *find_actor(struct actor_table *t, uint32_t pid,
				const uint32_t *uid, const uint32_t *gid,
				int depth)
{
	struct actor *a = NULL;
	struct capture c = { .watch = -1 };

	mutex_lock(&t->mu);
	int i = pid == 0 ? image_find_locked(t, 0) : tid_image_locked(t, pid);
	if (i != NONE) {
		a = image_actor(&t->images[i], uid, gid);
		lru_touch_locked(t, i);
	}
	mutex_unlock(&t->mu);
	if (!a && pid != 0)
		a = recheck(t, pid, uid, gid);
	if (a)
		return a;
	if (pid == 0 || capture(t, &c, pid, depth) < 0) {
		if (!uid)
			return NULL; /* a parent that is gone */
		capture_unknown(&c);
		pid = 0;
	}
	a = enter(t, &c, pid, uid ? *uid : c.proc.uid, gid ? *gid : c.proc.gid);
	capture_release(t, &c);
	return a;
}

struct actor *actor_of(struct actor_table *t, uint32_t pid, uint32_t uid,
		       uint32_t gid)
{
	return find_actor(t, pid, &uid, &gid, 0);
}

/* --- life ------------------------------------------------------------------- */

/* Each image may hold a descriptor; leave most of them to others. */
static uint32_t images_allowed(uint32_t wanted)
{
	struct rlimit r;
	uint32_t n = wanted ? wanted : (uint32_t)IMAGES_DEFAULT;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
	    n > r.rlim_cur / 4)
		n = (uint32_t)(r.rlim_cur / 4);
	return n < IMAGES_MIN ? IMAGES_MIN : n;
}

int actor_table_open(struct actor_table **out, const struct actor_options *o)
{
	struct actor_table *t = calloc(1, sizeof(*t));
	int rc = -ENOMEM;

	if (!t)
		return -ENOMEM;
	mutex_init(&t->mu);
	t->o = *o;
	t->n_images = images_allowed(o->max);
	t->newest = t->oldest = NONE;
	if (gethostname(t->host, sizeof(t->host) - 1) < 0)
		t->host[0] = '\0';
	t->images = calloc(t->n_images, sizeof(t->images[0]));
	t->buckets = malloc(t->n_images * sizeof(t->buckets[0]));
	if (!t->images || !t->buckets)
		goto fail;
	mutex_lock(&t->mu);
	for (uint32_t i = 0; i < t->n_images; i++) {
		t->buckets[i] = NONE;
		t->images[i].watch = -1;
		lru_add_locked(t, (int)i, false);
	}
	mutex_unlock(&t->mu);
	rc = actor_cmdline_open(&t->cmdline);
	if (rc < 0)
		goto fail;
	if (!actor_proc_ours())
		log_event(LOG_WARN, "programs_not_seen",
			  "why=\"/proc is another pid namespace's\"");
	rc = actor_exe_open(&t->exe, on_digest, t);
	if (rc < 0)
		goto fail;
	*out = t;
	return 0;
fail:
	actor_table_close(t);
	return rc;
}

void actor_table_close(struct actor_table *t)
{
	if (!t)
		return;
	actor_exe_close(t->exe);
	actor_cmdline_close(t->cmdline);
	for (uint32_t i = 0; t->images && i < t->n_images; i++) {
		struct image *m = &t->images[i];
		if (m->watch >= 0)
			close(m->watch);
		for (int k = 0; k < AS_MAX; k++)
			actor_drop(t, m->as[k]);
	}
	free(t->images);
	free(t->buckets);
	mutex_destroy(&t->mu);
	free(t);
}

const char *actor_host(struct actor_table *t)
{
	return t->host;
}
