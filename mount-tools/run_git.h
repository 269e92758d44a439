/*
 * run_git.h - the git commit of the work tree that a program lies in: what
 * `vouch run` says of it.  It is asked here, with the rights of who runs the
 * program, before the start, and never by a daemon.
 */
#ifndef MOUNT_TOOLS_RUN_GIT_H
#define MOUNT_TOOLS_RUN_GIT_H

struct buf;

/*
 * Appends members for run-start.  Of the script where argv[0] is an
 * interpreter, else of the executable, else of the working directory;
 * nothing when none of them lies in a work tree.  Takes a second at most.
 * Of vouch itself nothing is asked: the tree where we are has no part in an
 * undo, and a look at all its files took longer than that.
 */
void run_git_members(struct buf *out, char **argv);

#endif
