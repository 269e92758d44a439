/*
 * moment.c - moments at which no file's bytes change.
 *
 * Who enters counts himself first and looks whether a moment is wanted then;
 * who wants one says so first and looks at the count then: in one order of all
 * of that, one of the two sees the other.
 */
#include "fs/core/moment.h"

#include <assert.h>

void moment_init(struct moment *s)
{
	atomic_init(&s->inside, 0);
	atomic_init(&s->wanted, false);
	mutex_init(&s->mu);
	cond_init(&s->changed);
}

void moment_release(struct moment *s)
{
	assert(!atomic_load(&s->inside) && !atomic_load(&s->wanted));
	mutex_destroy(&s->mu);
	cond_destroy(&s->changed);
}

void moment_enter(struct moment *s)
{
	for (;;) {
		atomic_fetch_add(&s->inside, 1);
		if (!atomic_load(&s->wanted))
			return;
		moment_leave(s);
		mutex_lock(&s->mu);
		while (atomic_load(&s->wanted))
			cond_wait(&s->changed, &s->mu);
		mutex_unlock(&s->mu);
	}
}

void moment_leave(struct moment *s)
{
	unsigned before = atomic_fetch_sub(&s->inside, 1);

	assert(before > 0);
	if (before > 1 || !atomic_load(&s->wanted))
		return;
	mutex_lock(&s->mu);
	cond_broadcast(&s->changed);
	mutex_unlock(&s->mu);
}

void moment_begin(struct moment *s)
{
	mutex_lock(&s->mu);
	assert(!atomic_load(&s->wanted));
	atomic_store(&s->wanted, true);
	while (atomic_load(&s->inside))
		cond_wait(&s->changed, &s->mu);
	mutex_unlock(&s->mu);
}

void moment_end(struct moment *s)
{
	mutex_lock(&s->mu);
	assert(atomic_load(&s->wanted));
	atomic_store(&s->wanted, false);
	cond_broadcast(&s->changed);
	mutex_unlock(&s->mu);
}
