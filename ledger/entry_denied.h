/*
 * entry_denied.h - what an ALERT of a denial says (vouchfs-ledger(5)): which
 * call of a guarded run was denied, why, and how often.
 *
 * The first of a kind is entered when it happens, with count 1; those that
 * are equal to it come together, later, in another one.  Who asked is the
 * entry's actor.  Pure; any thread.
 */
#ifndef LEDGER_ENTRY_DENIED_H
#define LEDGER_ENTRY_DENIED_H

#include "ledger/entry.h"

/* Numbers are in ledgers: new ones go to the end. */
enum entry_denied_call {
	ENTRY_DENIED_MORE = 0, /* there are others, which are not entered */
	ENTRY_DENIED_OPEN,
	ENTRY_DENIED_WRITE, /* open(2) for writing, or with O_TRUNC */
	ENTRY_DENIED_LIST,
	ENTRY_DENIED_READLINK,
	ENTRY_DENIED_GETXATTR,
	ENTRY_DENIED_LISTXATTR,
	ENTRY_DENIED_SETATTR, /* chmod, chown, times */
	ENTRY_DENIED_TRUNCATE,
	ENTRY_DENIED_SETXATTR,
	ENTRY_DENIED_REMOVEXATTR,
	ENTRY_DENIED_CREATE, /* a file, also by mknod and O_TMPFILE */
	ENTRY_DENIED_MKDIR,
	ENTRY_DENIED_SYMLINK,
	ENTRY_DENIED_LINK,
	ENTRY_DENIED_UNLINK,
	ENTRY_DENIED_RMDIR,
	ENTRY_DENIED_RENAME,
	ENTRY_DENIED_CONTROL, /* a command to the daemon */
};
enum entry_denied_why {
	ENTRY_DENIED_HIDDEN = 1,
	ENTRY_DENIED_PROTECTED,
	ENTRY_DENIED_READ_ONLY,
	ENTRY_DENIED_UNTOLD, /* it may be of a guarded run: nobody can tell */
};
enum { ENTRY_DENIED_WHYS = ENTRY_DENIED_UNTOLD + 1 };

struct entry_denied {
	unsigned call, why;
	uint64_t inode; /* 0: there was none */
	uint64_t count;
	struct entry_str path; /* from the root; cut where it is long */
};

/* "open", "hidden"; "?" for the others. */
const char *entry_denied_call_word(unsigned call);
const char *entry_denied_why_word(unsigned why);

/* False: the entry is no denial, or does not say more. */
bool entry_denied_get(struct entry_denied *out, const struct entry_body *b);
/* Appends the TLV for b->extra; the path is LIMIT_PATH bytes at most. */
void entry_denied_put(struct buf *out, const struct entry_denied *d);

#endif
