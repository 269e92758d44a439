/*
 * run_peer.c - see run_peer.h.
 *
 * SO_PEERPIDFD (Linux 6.5) is a descriptor of the process itself: while it
 * says that it lives, what /proc says of the number is about it.  Without it
 * the number may have changed hands before we accept: then at least all users
 * of the process must be the one who connected.
 */
#include "fs/run/run_peer.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs/core/actor_proc.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* headers older than the kernel */
#endif

/* A descriptor, -ENOPROTOOPT: the kernel has none, or: there is no process. */
static int peer_pidfd(int fd)
{
	int pidfd = -1;
	socklen_t n = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n) < 0)
		return -errno;
	return pidfd;
}

static bool lives(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static bool of_user_alone(uint32_t pid, uint32_t uid)
{
	uint32_t user = 0;

	return actor_proc_user(&user, pid) == 0 && user == uid;
}

/* Is the number the connecting process's, and since when? */
static bool look_up(struct run_peer *p, int fd)
{
	int pidfd = peer_pidfd(fd);
	bool yes = pidfd >= 0 || pidfd == -ENOPROTOOPT;

	yes = yes && actor_proc_start(&p->start, p->cr.pid) == 0 &&
	      of_user_alone(p->cr.pid, p->cr.uid) &&
	      (pidfd < 0 || lives(pidfd));
	if (pidfd >= 0)
		close(pidfd);
	return yes;
}

int run_peer_of(struct run_peer *out, int fd)
{
	struct ucred u;
	socklen_t n = sizeof(u);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
		return -errno;
	*out = (struct run_peer){
		.cr = {
			.uid = u.uid,
			.gid = u.gid,
			.pid = u.pid > 0 ? (uint32_t)u.pid : 0,
			.umask = 022,
		},
	};
	out->unseen = u.pid == 0 || !actor_proc_ours();
	if (out->cr.pid != 0 && !look_up(out, fd))
		out->cr.pid = 0;
	return 0;
}

bool run_peer_there(const struct run_peer *p)
{
	uint64_t start = 0;

	return p->cr.pid != 0 && of_user_alone(p->cr.pid, p->cr.uid) &&
	       actor_proc_start(&start, p->cr.pid) == 0 && start == p->start;
}

struct cred run_peer_cred(const struct run_peer *p)
{
	struct cred cr = p->cr;

	if (!run_peer_there(p))
		cr.pid = 0;
	return cr;
}

bool run_peer_trusted(uint32_t uid)
{
	return uid == 0 || uid == geteuid();
}
