/*
 * ask.h - one request to a volume: to its daemon, or where nothing is
 * mounted to the volume itself, opened for as long as the request takes.
 */
#ifndef MOUNT_TOOLS_ASK_H
#define MOUNT_TOOLS_ASK_H

#include <stdint.h>

#include "base/auto.h"
#include "mount-tools/ctl.h"

struct buf;
struct errmsg;
struct json_doc;

/*
 * members as for ctl_call().  The answer (may be NULL) is the caller's to
 * json_free().
 */
int must_use ask_volume(struct json_doc **out, const struct ctl_place *place,
			const char *members, struct errmsg *em);

/*
 * The same for requests that change nothing: an unmounted volume is opened
 * for reading (its index is brought up to the log first).
 */
int must_use ask_look(struct json_doc **out, const struct ctl_place *place,
		      const char *members, struct errmsg *em);
/*
 * For many requests to one volume: where no daemon runs it is opened once, for
 * writing, and stays open until ask_drop(), which is harmless after a failure.
 * One thread.
 */
int must_use ask_hold(const struct ctl_place *place, struct errmsg *em);
int must_use ask_drop(struct errmsg *em);
/*
 * Asks while another thread of this process is in ask_volume(): the daemon,
 * or the volume that this process has open.  -ENOTCONN: neither.
 */
int must_use ask_aside(struct json_doc **out, const struct ctl_place *place,
		       const char *members);

/*
 * Adds `,"key":"value"` (a path) to members; where it is no UTF-8 also
 * `"key_hex"`, its bytes.
 */
void ask_add(struct buf *members, const char *key, const char *value);
/*
 * The same for a WHEN; where it can be read as a time also `"key_ns"`, the time
 * that it is here: the daemon's zone may be another than its user's.
 */
void ask_when(struct buf *members, const char *key, const char *value);
/* That time, in nanoseconds since 1970; 0: it is none. */
int64_t ask_time(const char *value);

#endif
