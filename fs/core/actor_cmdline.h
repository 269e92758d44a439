/*
 * actor_cmdline.h - a process's arguments and environment, read by a thread
 * of its own.
 *
 * Reading them takes the process's memory lock, and a thread of that process
 * may hold it while it waits for us to fill a page.  So request threads ask
 * here and wait for a bounded time only.  Threads: thread-safe.
 */
#ifndef FS_ACTOR_CMDLINE_H
#define FS_ACTOR_CMDLINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"

struct actor_cmdline;

int must_use actor_cmdline_open(struct actor_cmdline **out);
void actor_cmdline_close(struct actor_cmdline *c); /* NULL ok */
/* Raw bytes, cut at cap; -EAGAIN when it took too long. */
ssize_t must_use actor_cmdline_read(struct actor_cmdline *c, uint32_t pid,
				    char *out, size_t cap);

/* The value of NAME in its environment; name is kept, not copied. */
ssize_t must_use actor_cmdline_variable(struct actor_cmdline *c, uint32_t pid,
					const char *name, char *out,
					size_t cap);

#endif
