/*
 * status_more.h - what `vouch status` says of the guard and of the replicas.
 */
#ifndef MOUNT_TOOLS_STATUS_MORE_H
#define MOUNT_TOOLS_STATUS_MORE_H

struct buf;
struct ledger;
struct vio;
struct volume;

/*
 * Adds "rollback_words" to a status: why the store, which is not mounted,
 * will not go on where its guard stands; nothing when it will.
 */
void status_add_guard(struct buf *out, struct ledger *l,
		      const struct volume *volume, struct vio *store);

/* A line for each replica of a mounted store, printed. */
void status_print_replicas(const char *store);

#endif
