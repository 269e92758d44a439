/*
 * run_guard.c - see run_guard.h.
 *
 *     guard ─► its policy
 *       ├───► outer: the guard of the run around it
 *       └───► other: the guard of a process that it comes from
 *
 * Bounded: each question visits what lies above a guard, what is reached twice
 * twice.  One that would visit more than VISITS_MAX refuses everything, so that
 * nobody grows a stack, nor the time of a question.
 */
#include "fs/run/run_guard.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { VISITS_MAX = 64 };

struct run_guard {
	struct run_policy *policy; /* NULL, and not joined: refuse all */
	struct run_guard *outer, *other;
	unsigned visits; /* of one question; VISITS_MAX + 1: too many */
	bool joined;	 /* has no policy of its own */
	_Atomic unsigned refs;
};

struct run_guard *run_guard_hold(struct run_guard *g)
{
	if (g)
		atomic_fetch_add(&g->refs, 1);
	return g;
}

void run_guard_drop(struct run_guard *g)
{
	if (!g)
		return;
	assert(atomic_load(&g->refs) > 0);
	if (atomic_fetch_sub(&g->refs, 1) > 1)
		return;
	run_guard_drop(g->outer);
	run_guard_drop(g->other);
	run_policy_free(g->policy);
	free(g);
}

static unsigned visits_of(const struct run_guard *g)
{
	return g ? g->visits : 0;
}

static struct run_guard *make(struct run_guard *outer, struct run_guard *other)
{
	struct run_guard *g = calloc(1, sizeof(*g));
	unsigned visits = 1 + visits_of(outer) + visits_of(other);

	if (!g)
		return NULL;
	atomic_store(&g->refs, 1);
	g->visits = visits <= VISITS_MAX ? visits : VISITS_MAX + 1;
	if (visits <= VISITS_MAX) {
		g->outer = run_guard_hold(outer);
		g->other = run_guard_hold(other);
	}
	return g;
}

/* Too many: no policy is asked any more, all is refused. */
static bool refuses_all(const struct run_guard *g)
{
	return g->visits > VISITS_MAX || (!g->policy && !g->joined);
}

struct run_guard *run_guard_new(struct run_policy *policy,
				struct run_guard *outer)
{
	struct run_guard *g = make(outer, NULL);

	if (g)
		g->policy = policy;
	return g;
}

static bool includes(const struct run_guard *g, const struct run_guard *part)
{
	for (; g; g = g->outer)
		if (g == part || (g->other && includes(g->other, part)))
			return true;
	return false;
}

int run_guard_join(struct run_guard **out, struct run_guard *a,
		   struct run_guard *b)
{
	if (!b || (a && includes(a, b))) {
		*out = run_guard_hold(a);
		return 0;
	}
	if (!a || includes(b, a)) {
		*out = run_guard_hold(b);
		return 0;
	}
	*out = make(a, b);
	if (!*out)
		return -ENOMEM;
	(*out)->joined = true;
	return 0;
}

bool run_guard_read_only(const struct run_guard *g)
{
	if (!g)
		return false;
	return refuses_all(g) ||
	       (g->policy && run_policy_read_only(g->policy)) ||
	       run_guard_read_only(g->outer) || run_guard_read_only(g->other);
}

bool run_guard_hides(const struct run_guard *g)
{
	if (!g)
		return false;
	return refuses_all(g) || (g->policy && run_policy_hides(g->policy)) ||
	       run_guard_hides(g->outer) || run_guard_hides(g->other);
}

unsigned run_guard_look(const struct run_guard *g, const char *path, size_t n,
			bool dir)
{
	unsigned bits = 0;

	if (!g)
		return 0;
	if (refuses_all(g))
		return RUN_POLICY_HIDDEN | RUN_POLICY_PROTECTED;
	if (g->policy)
		bits = run_policy_look(g->policy, path, n, dir);
	return bits | run_guard_look(g->outer, path, n, dir) |
	       run_guard_look(g->other, path, n, dir);
}
