/*
 * changed.h - what may have changed below a directory since a moment: the
 * attribute user.vouch.changed[.TOKEN], which `vouch git-fsmonitor` asks.
 *
 * The value is the token of now, "+" where the answer goes on (ask again with
 * that token), NUL, and paths relative to the directory, a NUL after each:
 *
 *	a/b    what has that name may be another, or have other bytes or
 *	       attributes; a directory's come as "a/b/" besides, which
 *	       stands for all that lies below it
 *	a/b/ and an asterisk: the names in this directory are others
 *	/      everything: the token is none of this mount, or what was
 *	       entered since is too much
 *
 * Invariant: what a call that returned before the question has changed is
 * told.  More may be told.
 */
#ifndef ANALYTICS_CHANGED_H
#define ANALYTICS_CHANGED_H

#include <stdint.h>

#include "base/auto.h"

struct buf;
struct cred;
struct provider;

/* A token is these bytes in hex, a dot and the number of an entry. */
enum { CHANGED_INSTANCE = 16, CHANGED_MAX = 65536 };
#define CHANGED_NAME "user.vouch.changed"

/*
 * Appends the value, of at most CHANGED_MAX bytes.  token may be NULL.  cr may
 * read the directory; of directories below that are closed to cr only they
 * themselves are named.
 */
int must_use changed_tell(struct provider *p, const struct cred *cr,
			  uint64_t dir, const char *token, struct buf *out);

#endif
