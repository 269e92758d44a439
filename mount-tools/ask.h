/*
 * ask.h - one request to a volume: to its daemon, or where nothing is
 * mounted to the volume itself, opened for as long as the request takes.
 */
#ifndef MOUNT_TOOLS_ASK_H
#define MOUNT_TOOLS_ASK_H

#include "base/auto.h"
#include "mount-tools/ctl.h"

struct errmsg;
struct json_doc;

/*
 * members as for ctl_call().  The answer (may be NULL) is the caller's to
 * json_free().
 */
int must_use ask_volume(struct json_doc **out, const struct ctl_place *place,
			const char *members, struct errmsg *em);

/* Adds `,"key":"value"` (a path) to members. */
struct buf;
void ask_add(struct buf *members, const char *key, const char *value);

#endif
