/* core_expect.c - see core_expect.h. */
#include "fs/core/core_expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core/actor.h"
#include "fs/core/core_internal.h"

struct core_expect {
	struct actor *actor;
	size_t n;
	struct core_expected v[CORE_EXPECT_EACH];
};

/* Takes out what the process had set. */
static struct core_expect *take_old(struct core *c, const struct actor *a)
{
	for (unsigned i = 0; i < c->n_expects; i++) {
		struct core_expect *e = c->expects[i];

		if (e->actor != a)
			continue;
		c->n_expects--;
		memmove(&c->expects[i], &c->expects[i + 1],
			(c->n_expects - i) * sizeof(struct core_expect *));
		return e;
	}
	return NULL;
}

static void expect_free(struct core *c, struct core_expect *e)
{
	if (!e)
		return;
	actor_drop(c->actors, e->actor);
	free(e);
}

int core_expect_set(struct core *c, const struct cred *cr,
		    const struct core_expected *v, size_t n)
{
	struct core_expect *e = NULL, *old, *first = NULL;
	struct actor *a;

	if (n > CORE_EXPECT_EACH)
		return -E2BIG;
	if (cr->pid == 0)
		return -EOPNOTSUPP;
	a = core_actor(c, cr);
	e = n && a ? calloc(1, sizeof(*e)) : NULL;
	if (!a || (n && !e)) {
		actor_drop(c->actors, a);
		return -ENOMEM;
	}
	if (e) {
		e->actor = actor_hold(a);
		e->n = n;
		memcpy(e->v, v, n * sizeof(*v));
	}
	mutex_lock(&c->t.mu);
	old = take_old(c, a);
	if (e && c->n_expects == CORE_EXPECT_MAX)
		first = take_old(c, c->expects[0]->actor);
	if (e)
		c->expects[c->n_expects++] = e;
	mutex_unlock(&c->t.mu);
	expect_free(c, old);
	expect_free(c, first);
	actor_drop(c->actors, a);
	return 0;
}

static int check(struct core *c, const struct core_expect *e,
		 const struct inode *i)
{
	struct stat st;

	for (size_t k = 0; k < e->n; k++) {
		if (e->v[k].ino != i->row.ino)
			continue;
		core_fill_stat(c, i, &st);
		return !e->v[k].mtime_ns ||
				       st.st_mtim.tv_sec * 1000000000LL +
						       st.st_mtim.tv_nsec ==
					       e->v[k].mtime_ns ?
			       0 :
			       -EBUSY;
	}
	return -ESTALE;
}

int core_expect_check(struct core *c, const struct actor *a,
		      const struct inode *i)
{
	for (unsigned k = 0; k < c->n_expects; k++)
		if (c->expects[k]->actor == a)
			return check(c, c->expects[k], i);
	return 0;
}

void core_expect_close(struct core *c)
{
	while (c->n_expects)
		expect_free(c, c->expects[--c->n_expects]);
}
