/*
 * actor_exe.h - SHA-256 of executables, each file once, by a thread of its own.
 *
 * A file is known by device, inode, mtime, ctime and size.  Executables that
 * lie on a vouchfs mount are not hashed: opening one would come back to us.
 *
 * Threads: thread-safe.
 */
#ifndef FS_ACTOR_EXE_H
#define FS_ACTOR_EXE_H

#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct actor_exe;

/*
 * Tells what became of a `who` that was told to wait: the digest, or NULL
 * when the file could not be read or the hasher is closing.  No locks held.
 */
typedef void actor_exe_done_fn(void *ctx, void *who, const struct digest *d);

int must_use actor_exe_open(struct actor_exe **out, actor_exe_done_fn *done,
			    void *ctx);
void actor_exe_close(struct actor_exe *x); /* NULL ok */
/*
 * The executable of process `pid`: 1 known, 0 `who` will be told later,
 * negative when it will not be known.
 */
int must_use actor_exe_ask(struct actor_exe *x, uint32_t pid,
			   struct digest *out, void *who);

#endif
