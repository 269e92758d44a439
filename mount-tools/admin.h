/*
 * admin.h - a store opened for the work that the admin key does: nothing is
 * mounted, nobody else commits.
 */
#ifndef MOUNT_TOOLS_ADMIN_H
#define MOUNT_TOOLS_ADMIN_H

#include "base/auto.h"
#include "ledger/ledger.h"

struct errmsg;
struct vio;

struct admin {
	struct ledger_options o; /* guard and store, for adopt and fork */
	struct ledger_admin key; /* where the admin key lies */
	char *store, *key_path;
	struct vio *root;
};

/* key: --admin's value; NULL: the store's own copy.  Refuses a mounted one. */
int must_use admin_open(struct admin *out, const char *store, const char *key,
			struct errmsg *em);
void admin_close(struct admin *a);

#endif
