/*
 * run_table.c - see run_table.h.
 *
 * A list, newest first: looked through once per process image, and short
 * where nobody starts runs by the thousand.
 *
 * Invariants: (1) an id is in it once.  (2) n_open and n count what the
 * list holds; marks is the number of runs that are not OVER.  (3) each user
 * that has runs in it is among the users, with how many of them may be
 * forgotten.  (4) guarded is the number of guarded runs that are not OVER; one
 * that is OVER has no guard any more; limits of them have one.
 */
#include "fs/run/run_table.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "fs/run/run_guard.h"
#include "fs/run/run_peer.h"

enum run_state { RUN_OPEN, RUN_LEFT, RUN_OVER };

struct user {
	struct user *next;
	uint32_t uid;
	unsigned n, n_ended; /* runs; those that ended and are not guarded */
	unsigned n_guarded;
};

struct run {
	struct run *next;
	uint8_t id[RUN_ID_SIZE];
	enum run_state state;
	struct user *user;
	uint32_t wrapper;
	uint64_t wrapper_start;
	uint64_t processes;
	struct run_guard *guard; /* a reference; NULL: none */
	uint64_t limit;
	bool anywhere;
	size_t cgroup_n; /* 0: none */
	char cgroup[];
};

struct run_table {
	struct mutex mu;
	struct run *first;		    /* guarded by mu */
	struct user *users;		    /* guarded by mu */
	unsigned n_open;		    /* guarded by mu */
	_Atomic unsigned n, marks, guarded; /* changed under mu */
	_Atomic unsigned limits;	    /* the same */
};

static struct run *find_locked(struct run_table *t, const uint8_t *id)
	requires_capability(&t->mu)
{
	struct run *r = t->first;

	while (r && memcmp(r->id, id, RUN_ID_SIZE) != 0)
		r = r->next;
	return r;
}

int run_table_open(struct run_table **out)
{
	struct run_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	mutex_init(&t->mu);
	*out = t;
	return 0;
}

void run_table_close(struct run_table *t)
{
	struct run *next;
	struct user *u;

	if (!t)
		return;
	for (struct run *r = t->first; r; r = next) {
		next = r->next;
		run_guard_drop(r->guard);
		free(r);
	}
	while ((u = t->users)) {
		t->users = u->next;
		free(u);
	}
	mutex_destroy(&t->mu);
	free(t);
}

/* The user's place, made if there is none; NULL: out of memory. */
static struct user *user_locked(struct run_table *t, uint32_t uid)
	requires_capability(&t->mu)
{
	struct user *u = t->users;

	while (u && u->uid != uid)
		u = u->next;
	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->uid = uid;
	u->next = t->users;
	t->users = u;
	return u;
}

/* A user without runs is forgotten. */
static void user_done_locked(struct run_table *t, struct user *u)
	requires_capability(&t->mu)
{
	struct user **at = &t->users;

	if (u->n > 0)
		return;
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	free(u);
}

static void forget_locked(struct run_table *t, struct run **at)
	requires_capability(&t->mu)
{
	struct run *r = *at;

	assert(r->state != RUN_OPEN && !r->guard);
	if (r->state == RUN_LEFT)
		atomic_fetch_sub(&t->marks, 1);
	*at = r->next;
	atomic_fetch_sub(&t->n, 1);
	r->user->n--;
	r->user->n_ended--;
	user_done_locked(t, r->user);
	free(r);
}

/*
 * One of the user who has most goes, so that nobody pushes out another's: his
 * oldest that is OVER, or else the oldest LEFT one.
 */
static void make_room_locked(struct run_table *t) requires_capability(&t->mu)
{
	struct run **over = NULL, **left = NULL;
	const struct user *most = t->users;

	for (const struct user *u = t->users; u; u = u->next)
		if (u->n_ended > most->n_ended)
			most = u;
	for (struct run **at = &t->first; *at; at = &(*at)->next) {
		if ((*at)->user != most || (*at)->guard)
			continue;
		if ((*at)->state == RUN_OVER)
			over = at;
		else if ((*at)->state == RUN_LEFT)
			left = at;
	}
	/* None: RUN_TABLE_OPEN_MAX that go on, the others guard somebody. */
	if (over || left)
		forget_locked(t, over ? over : left);
}

static unsigned guarded_of_locked(const struct run_table *t, uint32_t uid)
	requires_capability(&t->mu)
{
	for (const struct user *u = t->users; u; u = u->next)
		if (u->uid == uid)
			return u->n_guarded;
	return 0;
}

/* Is there a place for one more? */
static int check_place_locked(const struct run_table *t, const struct run *r,
			      const struct run_table_new *n)
	requires_capability(&t->mu)
{
	bool trusted = run_peer_trusted(n->uid);
	unsigned max =
		RUN_TABLE_GUARDED_MAX - (trusted ? 0 : RUN_TABLE_GUARDED_KEPT);

	if (n->recovered)
		return 0;
	if (t->n_open >= RUN_TABLE_OPEN_MAX)
		return -ENFILE;
	if (!r->guard)
		return 0;
	if (!trusted && guarded_of_locked(t, n->uid) >= RUN_TABLE_GUARDED_EACH)
		return -EMFILE;
	return atomic_load(&t->guarded) >= max ? -ENFILE : 0;
}

/* Takes r over unless it fails. */
static int add_locked(struct run_table *t, struct run *r,
		      const struct run_table_new *n) requires_capability(&t->mu)
{
	int rc = find_locked(t, r->id) ? -EEXIST : check_place_locked(t, r, n);

	if (rc < 0)
		return rc;
	if (atomic_load(&t->n) >= RUN_TABLE_MAX)
		make_room_locked(t);
	r->user = user_locked(t, n->uid);
	if (!r->user)
		return -ENOMEM;
	r->user->n++;
	if (r->guard) {
		run_guard_hold(r->guard);
		r->user->n_guarded++;
		atomic_fetch_add(&t->guarded, 1);
		atomic_fetch_add(&t->limits, r->limit != 0);
	}
	r->next = t->first;
	t->first = r;
	atomic_fetch_add(&t->n, 1);
	t->n_open++;
	atomic_fetch_add(&t->marks, 1);
	return 0;
}

int run_table_add(struct run_table *t, const struct run_table_new *n)
{
	size_t len = n->cgroup ? strlen(n->cgroup) : 0;
	struct run *r = calloc(1, sizeof(*r) + len + 1);
	int rc;

	if (!r)
		return -ENOMEM;
	memcpy(r->id, n->id, RUN_ID_SIZE);
	r->wrapper = n->wrapper;
	r->wrapper_start = n->wrapper_start;
	r->guard = n->guard;
	r->limit = n->limit;
	r->anywhere = n->anywhere;
	r->cgroup_n = len;
	if (len > 0)
		memcpy(r->cgroup, n->cgroup, len);
	mutex_lock(&t->mu);
	rc = add_locked(t, r, n);
	mutex_unlock(&t->mu);
	if (rc < 0)
		free(r);
	return rc;
}

/* Its processes are gone. */
static void unguard_locked(struct run_table *t, struct run *r)
	requires_capability(&t->mu)
{
	run_guard_drop(r->guard);
	r->guard = NULL;
	r->user->n_guarded--;
	atomic_fetch_sub(&t->guarded, 1);
	atomic_fetch_sub(&t->limits, r->limit != 0);
}

void run_table_end(struct run_table *t, const uint8_t *id, bool left)
{
	mutex_lock(&t->mu);
	struct run *r = find_locked(t, id);
	if (r && r->state == RUN_OPEN) {
		r->state = left ? RUN_LEFT : RUN_OVER;
		t->n_open--;
		if (!left)
			atomic_fetch_sub(&t->marks, 1);
		if (!left && r->guard)
			unguard_locked(t, r);
		r->user->n_ended += r->guard == NULL;
	}
	mutex_unlock(&t->mu);
}

bool run_table_guarded(const struct run_table *t)
{
	return atomic_load_explicit(&t->guarded, memory_order_acquire) > 0;
}

bool run_table_guards_user(struct run_table *t, uint32_t uid)
{
	mutex_lock(&t->mu);
	bool yes = guarded_of_locked(t, uid) > 0;
	mutex_unlock(&t->mu);
	return yes;
}

bool run_table_limits(const struct run_table *t)
{
	return atomic_load_explicit(&t->limits, memory_order_acquire) > 0;
}

bool run_table_of_limit(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			uint64_t limit, uint32_t uid)
{
	const struct run *r;

	mutex_lock(&t->mu);
	for (r = t->first; r; r = r->next)
		if (r->guard && r->limit == limit && r->user->uid == uid)
			break;
	if (r)
		memcpy(out, r->id, RUN_ID_SIZE);
	mutex_unlock(&t->mu);
	return r != NULL;
}

static int guards_of_limit_locked(struct run_table *t, struct run_guard **all,
				  uint64_t limit, uint32_t uid)
	requires_capability(&t->mu)
{
	for (const struct run *r = t->first; r; r = r->next) {
		struct run_guard *both = NULL;

		if (!r->guard || r->limit < limit ||
		    (r->user->uid != uid &&
		     (r->limit != limit || r->user->uid != 0)))
			continue;
		if (run_guard_join(&both, *all, r->guard) < 0)
			return -ENOMEM;
		run_guard_drop(*all);
		*all = both;
	}
	return 0;
}

int run_table_guards_of_limit(struct run_table *t, struct run_guard **all,
			      uint64_t limit, uint32_t uid, const uint8_t *told)
{
	int rc = 0;

	mutex_lock(&t->mu);
	const struct run *r = told ? find_locked(t, told) : NULL;
	if (!r || r->limit != limit)
		rc = guards_of_limit_locked(t, all, limit, uid);
	mutex_unlock(&t->mu);
	return rc;
}

/* A copy of what is told of one. */
struct left {
	uint8_t id[RUN_ID_SIZE];
	char *cgroup;
	struct run_table_left told;
};

/* The next of them after place *at, which moves on. */
static bool next_left(struct run_table *t, unsigned *at, struct left *out)
{
	bool found = false;
	unsigned i = 0;

	mutex_lock(&t->mu);
	for (const struct run *r = t->first; r && !found; r = r->next) {
		if (i++ < *at)
			continue;
		*at = i;
		if (r->state != RUN_LEFT || !r->guard)
			continue;
		memcpy(out->id, r->id, RUN_ID_SIZE);
		out->cgroup = r->cgroup_n ? strdup(r->cgroup) : NULL;
		out->told = (struct run_table_left){
			.id = out->id,
			.uid = r->user->uid,
			.cgroup = out->cgroup,
			.limit = r->limit,
		};
		found = out->cgroup || !r->cgroup_n;
	}
	mutex_unlock(&t->mu);
	return found;
}

void run_table_reap(struct run_table *t, run_table_gone_fn *gone, void *ctx)
{
	struct left one;
	unsigned at = 0;

	while (next_left(t, &at, &one)) {
		bool over = gone(ctx, &one.told);

		free(one.cgroup);
		if (!over)
			continue;
		mutex_lock(&t->mu);
		struct run *r = find_locked(t, one.id);
		if (r && r->state == RUN_LEFT && r->guard) {
			r->state = RUN_OVER;
			atomic_fetch_sub(&t->marks, 1);
			unguard_locked(t, r);
			r->user->n_ended++;
		}
		mutex_unlock(&t->mu);
	}
}

struct run_guard *run_table_guard(struct run_table *t, const uint8_t *id)
{
	struct run_guard *g = NULL;

	if (!run_table_guarded(t))
		return NULL;
	mutex_lock(&t->mu);
	struct run *r = find_locked(t, id);
	if (r)
		g = run_guard_hold(r->guard);
	mutex_unlock(&t->mu);
	return g;
}

bool run_table_in_cgroup(struct run_table *t, const uint8_t *id,
			 const char *path, size_t n)
{
	mutex_lock(&t->mu);
	const struct run *r = find_locked(t, id);
	bool yes = r && (r->anywhere || (r->cgroup_n == n && n > 0 &&
					 memcmp(r->cgroup, path, n) == 0));
	mutex_unlock(&t->mu);
	return yes;
}

bool run_table_of_wrapper(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			  uint32_t pid, uint64_t start)
{
	struct run *r = NULL;

	if (pid == 0 || !run_table_marks(t))
		return false;
	mutex_lock(&t->mu);
	for (r = t->first; r; r = r->next)
		if (r->state == RUN_OPEN && r->wrapper == pid &&
		    r->wrapper_start == start)
			break;
	if (r)
		memcpy(out, r->id, RUN_ID_SIZE);
	mutex_unlock(&t->mu);
	return r != NULL;
}

bool run_table_any(const struct run_table *t)
{
	return atomic_load_explicit(&t->n, memory_order_relaxed) > 0;
}

bool run_table_marks(const struct run_table *t)
{
	return atomic_load_explicit(&t->marks, memory_order_relaxed) > 0;
}

bool run_table_marked(struct run_table *t, const uint8_t *id, uint32_t uid)
{
	mutex_lock(&t->mu);
	const struct run *r = find_locked(t, id);
	bool yes = r && r->state != RUN_OVER && r->user->uid == uid;
	mutex_unlock(&t->mu);
	return yes;
}

void run_table_count(struct run_table *t, const uint8_t *id)
{
	mutex_lock(&t->mu);
	struct run *r = find_locked(t, id);
	if (r)
		r->processes++;
	mutex_unlock(&t->mu);
}

uint64_t run_table_processes(struct run_table *t, const uint8_t *id)
{
	mutex_lock(&t->mu);
	const struct run *r = find_locked(t, id);
	uint64_t n = r ? r->processes : 0;
	mutex_unlock(&t->mu);
	return n;
}
