/*
 * test_itable.c - rows that become clean while others want the lock.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fs/core/itable_internal.h"

enum { NAMES = 60000 };

static struct {
	struct itable t;
	struct inode *dir;
	size_t left; /* names that were dirty when the waiter had the lock */
	bool clean;  /* the directory went to the clean ones meanwhile */
} one;

static void waiter_main(void *arg)
{
	struct itable *t = &one.t;

	(void)arg;
	mutex_lock(&t->mu);
	for (struct link *l = one.dir->names.next; l != &one.dir->names;
	     l = l->next)
		one.left++;
	itable_hold(t, one.dir);
	itable_drop(t, one.dir);
	one.clean = one.dir->listed_clean;
	mutex_unlock(&t->mu);
}

static void dirty_directory(void)
{
	struct itable *t = &one.t;
	char name[16];

	cr_assert_eq(itable_init(t, 0), 0);
	mutex_lock(&t->mu);
	t->seq = 1;
	one.dir = itable_add_inode(t, 1);
	cr_assert_not_null(one.dir);
	one.dir->dirty_seq = t->seq;
	itable_place_inode(t, one.dir);
	for (unsigned i = 0; i < NAMES; i++) {
		struct name *n;

		(void)snprintf(name, sizeof(name), "%u", i);
		n = itable_add_name(t, 1, name, strlen(name));
		cr_assert_not_null(n);
		n->row.ino = n->row.cookie = i + 3;
		itable_name_dirtied(t, one.dir, n);
	}
	mutex_unlock(&t->mu);
}

/* True when the waiter did not wait for all of them. */
static bool applied_beside_a_waiter(void)
{
	struct timespec pause = { .tv_nsec = 50000000 };
	struct thread waiter = { 0 };

	memset(&one, 0, sizeof(one));
	dirty_directory();
	mutex_lock(&one.t.mu);
	cr_assert_eq(thread_start(&waiter, "waiter", waiter_main, NULL), 0);
	nanosleep(&pause, NULL); /* he waits */
	mutex_unlock(&one.t.mu);
	itable_applied(&one.t, 1);
	thread_join(&waiter);
	/* evicted, it would take its names' list with it */
	cr_assert_not(one.left > 0 && one.clean);
	cr_assert(one.dir->listed_clean);
	itable_check(&one.t);
	itable_release(&one.t);
	return one.left > 0;
}

/* A busy machine may let him down now and then. */
Test(itable, what_is_applied_becomes_clean_in_pieces)
{
	unsigned between = 0;

	for (unsigned i = 0; i < 6; i++)
		between += applied_beside_a_waiter();
	cr_assert_geq(between, 4);
}
