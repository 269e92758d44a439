/*
 * pager.h - long output to a terminal goes through the user's pager, as git's
 * does: VOUCH_PAGER, else PAGER, else less where it is there; empty or "cat":
 * none.  One thread.
 */
#ifndef MOUNT_TOOLS_PAGER_H
#define MOUNT_TOOLS_PAGER_H

/*
 * stdout, which is a terminal, goes to the pager from now on, to whose end the
 * program waits when it exits.  Where none can be started it stays as it is.
 */
void pager_start(void);

#endif
