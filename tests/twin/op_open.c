/*
 * op_open.c - open, open again, close, flags, and locks.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/twin/world.h"

static int any_flags(void)
{
	static const int ways[] = { O_RDWR,   O_RDWR,	O_RDWR,
				    O_WRONLY, O_RDONLY, O_RDONLY | O_PATH };
	static const int extras[] = {
		0,
		O_CREAT,
		O_CREAT,
		O_CREAT,
		O_CREAT | O_EXCL,
		O_TRUNC,
		O_CREAT | O_TRUNC,
		O_APPEND | O_CREAT,
		O_DIRECTORY,
		O_NOFOLLOW,
		O_NOFOLLOW | O_CREAT,
		O_DIRECTORY | O_CREAT,
		O_SYNC | O_CREAT,
		O_DSYNC | O_APPEND,
		O_NOATIME,
		O_DIRECT,
		O_DIRECT | O_CREAT,
	};

	return ANY(ways) | ANY(extras) | O_CLOEXEC | O_NONBLOCK;
}

static mode_t any_mode(void)
{
	mode_t mode = (mode_t)below(010000);

	return below(3) ? mode | 0666 : mode;
}

void op_open(void)
{
	int flags = any_flags(), fd[2] = { -1, -1 };
	struct slot *sl = empty_slot();
	mode_t mode = any_mode();
	struct place p;
	bool fine;

	place_any(&p);
	if (below(10) == 0) {
		flags = O_TMPFILE | O_CLOEXEC | (below(3) ? O_RDWR : O_WRONLY);
		if (below(4) == 0)
			flags |= O_EXCL;
	}
	say("open %s flags %o mode %o", place_text(&p), (unsigned)flags, mode);
	if (below(2))
		watch_path(&p);
	fine = BOTH_FD(fd[s] = openat(p.at[s], p.path, flags, mode));
	sl->flags = flags;
	for (int s = 0; fine && s < 2; s++)
		sl->fd[s] = fd[s];
	if (fine)
		slot_stat(sl);
}

/* By /proc/self/fd: also what has no name any more. */
void op_reopen(void)
{
	static const int ways[] = { O_RDWR,
				    O_WRONLY,
				    O_RDONLY,
				    O_RDWR | O_TRUNC,
				    O_RDONLY | O_DIRECTORY,
				    O_RDWR | O_APPEND };
	int flags = ANY(ways) | O_CLOEXEC | O_NONBLOCK, fd[2];
	struct slot *from = any_slot(), *sl = empty_slot();
	char name[40];
	bool fine;

	if (from->fd[0] < 0)
		return;
	say("open descriptor %d again, flags %o", from->fd[0], (unsigned)flags);
	fine = BOTH_FD(({
		snprintf(name, sizeof(name), "/proc/self/fd/%d", from->fd[s]);
		fd[s] = open(name, flags);
	}));
	sl->flags = flags;
	for (int s = 0; fine && s < 2; s++)
		sl->fd[s] = fd[s];
	if (fine)
		slot_stat(sl);
}

void op_close(void)
{
	say("close");
	empty_slot();
}

void op_flags(void)
{
	struct slot *sl = any_slot();
	int flags = below(2) ? O_APPEND : 0;

	if (sl->flags & (O_DIRECT | O_PATH))
		return;
	say("fcntl F_SETFL %o of %d", (unsigned)flags, sl->fd[0]);
	if (BOTH(fcntl(sl->fd[s], F_SETFL, flags | O_NONBLOCK)))
		sl->flags = (sl->flags & ~O_APPEND) | flags;
	BOTH(fcntl(sl->fd[s], F_GETFL) & ~O_LARGEFILE);
}

static void lock_range(struct slot *sl)
{
	static const int hows[] = { F_SETLK, F_GETLK, F_OFD_SETLK,
				    F_OFD_GETLK };
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	short type = ANY(types);
	off_t start = (off_t)below(5) * 100, len = (off_t)below(4) * 100;
	struct flock fl[2];
	int how = ANY(hows);

	say("fcntl lock %d type %d at %lld, %lld of %d", how, type,
	    (long long)start, (long long)len, sl->fd[0]);
	if (!BOTH(({
		    fl[s] = (struct flock){
			    .l_type = type,
			    .l_whence = SEEK_SET,
			    .l_start = start,
			    .l_len = len,
		    };
		    fcntl(sl->fd[s], how, &fl[s]);
	    })))
		return;
	if (fl[0].l_type != fl[1].l_type || fl[0].l_start != fl[1].l_start ||
	    fl[0].l_len != fl[1].l_len || fl[0].l_pid != fl[1].l_pid)
		differ("another lock");
}

void op_lock(void)
{
	static const int hows[] = { LOCK_SH, LOCK_EX, LOCK_UN };
	struct slot *sl = any_slot();
	int how = ANY(hows) | LOCK_NB;

	if (below(2)) {
		lock_range(sl);
		return;
	}
	say("flock %d of %d", how, sl->fd[0]);
	BOTH(flock(sl->fd[s], how));
}
