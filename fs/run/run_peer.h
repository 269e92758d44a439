/*
 * run_peer.h - who connected to the run channel, or the control socket: the
 * user is the kernel's word; the process is named only where it is known to be
 * the one.
 *
 * A process number alone says little: who connects may hand the socket on and
 * go, and the number is given to another, whose children would be his run's,
 * or who may ask for what he, guarded, may not.
 * So it is looked up once, when the connection is accepted, with the time it
 * started, and compared whenever it is used.
 *
 * Threads: none of its own; a struct run_peer has one owner.
 */
#ifndef FS_RUN_PEER_H
#define FS_RUN_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "fs/core/core.h"

struct run_peer {
	struct cred cr; /* pid 0: not visible, gone, or not only this user's */
	uint64_t start; /* of that process, as /proc has it */
	bool unseen;	/* we see no process of its pid namespace */
};

/* fd: a connected socket. */
int must_use run_peer_of(struct run_peer *out, int fd);
/* Is the process there yet, and still that user's alone? */
bool run_peer_there(const struct run_peer *p);
/* Its user; and the process, while it is there. */
struct cred run_peer_cred(const struct run_peer *p);
/* Root and the mount's own user: shares are not for them. */
bool run_peer_trusted(uint32_t uid);
/* Is it process pid that started then? */
static inline bool run_peer_is(const struct run_peer *p, uint32_t pid,
			       uint64_t start)
{
	return pid != 0 && p->cr.pid == pid && p->start == start;
}

#endif
