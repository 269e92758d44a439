/*
 * inverse_expect.c - what a look at a name has seen, told to the volume before
 * that name is taken away: who puts something else there in between loses
 * nothing (UNDO_EXPECT).  Where it cannot be told, it is looked and then acted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "analytics/undo.h"
#include "base/buf.h"
#include "mount-tools/inverse_int.h"

static int set(int dir, const struct buf *b)
{
	char path[64];

	if (b->bad)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	return setxattr(path, UNDO_EXPECT, b->p, b->n, 0) < 0 ? -errno : 0;
}

/* Kept in mind where, to take it back there. */
static void set_noted(struct inverse *x, int dir, const struct buf *b)
{
	if (set(dir, b) < 0)
		return;
	if (x->expects >= 0)
		close(x->expects);
	x->expects = fcntl(dir, F_DUPFD_CLOEXEC, 0);
}

static void add(struct buf *b, uint64_t ino, int64_t written_ns)
{
	buf_addf(b, "%s[%llu,%lld]", b->n ? "," : "[", (unsigned long long)ino,
		 (long long)written_ns);
}

void inverse_expect(struct inverse *x, int dir, uint64_t ino,
		    int64_t written_ns)
{
	struct buf b = BUF_INIT;

	add(&b, ino, written_ns);
	buf_addc(&b, ']');
	set_noted(x, dir, &b);
	buf_release(&b);
}

size_t inverse_expect_removals(struct inverse *x, int dir, size_t from)
{
	struct buf b = BUF_INIT;
	size_t n = 0;

	for (; from < x->n && n < INVERSE_EXPECT_MAX; from++)
		if (inverse_loses_names(x->v[from])) {
			add(&b, x->v[from]->ino, x->v[from]->written_ns);
			n++;
		}
	buf_addc(&b, ']');
	if (n)
		set_noted(x, dir, &b);
	buf_release(&b);
	return from;
}

void inverse_expect_any(struct inverse *x)
{
	const struct buf none = { .p = (uint8_t[]){ '[', ']' }, .n = 2 };

	if (x->expects < 0)
		return;
	(void)!set(x->expects, &none);
	close(x->expects);
	x->expects = -1;
}
