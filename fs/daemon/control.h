/*
 * control.h - the control socket of a mounted volume: STORE/control, 0600.
 *
 * One line of JSON asks, {"verb":"sync", ...}; one line answers,
 * {"ok":true, ...} or {"ok":false,"code":-5,"error":"words"}.  A connection
 * may ask any number of times.  Verbs are registered before control_start();
 * analytics and mount-tools add theirs.  Only root and the daemon's own user
 * are heard.
 *
 * Threads: verbs run on threads of their own, several at once.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include <stddef.h>

#include "base/auto.h"

struct buf;
struct control;
struct cred;
struct errmsg;
struct json;
struct run_peer;

/* Name of the socket below STORE. */
#define CONTROL_NAME "control"
enum { CONTROL_REQUEST_MAX = 1 << 20, CONTROL_VERBS_MAX = 64 };

/*
 * Answers one request: appends members ("\"seals\":12,\"ok2\":true", no
 * braces, no comma at the ends) to out.  Negative with words in em on failure.
 * peer's pid is 0 when the process that connected is gone: whoever asks then
 * was handed the socket.
 */
typedef int control_fn(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em);

/* Binds the socket; what lies there from a dead daemon is replaced. */
int must_use control_open(struct control **out, const char *store,
			  struct errmsg *em);
/* verb is kept, not copied. */
void control_register(struct control *c, const char *verb, control_fn *fn,
		      void *ctx);
/*
 * Asked before each verb that is registered, with its name: what is negative
 * is the answer.  One; before control_start().
 */
typedef int control_admit_fn(void *ctx, const char *verb,
			     const struct run_peer *peer, struct errmsg *em);
void control_admit(struct control *c, control_admit_fn *fn, void *ctx);
/*
 * What the volume is doing, in words, for those who asked {"verb":"wait",
 * "tell":true}: once a second, until control_close(), which no call outlives.
 * No words: nothing is told.  One; before control_start().
 */
typedef void control_doing_fn(void *ctx, struct buf *out);
void control_on_wait(struct control *c, control_doing_fn *fn, void *ctx);
/*
 * Called once when control_quiesce() begins: verbs that take long are to give
 * up.  One; before control_start().
 */
typedef void control_ending_fn(void *ctx);
void control_on_end(struct control *c, control_ending_fn *fn, void *ctx);
/* The names of the verbs that run now, with commas between. */
void control_busy(struct control *c, struct buf *out);
int must_use control_start(struct control *c);
/*
 * Removes the socket, refuses new requests and returns when those that run
 * are answered.  Connections that asked "wait" stay.
 */
void control_quiesce(struct control *c);
/* Tells those that wait how the unmount went, and frees.  NULL ok. */
void control_close(struct control *c, int rc, const struct errmsg *em);

/* Appends the line that answers a request; members may be what half-worked. */
void control_reply(struct buf *out, int rc, const struct buf *members,
		   const struct errmsg *em);

/* Appends `"key":"value"` to members, with a comma before when needed. */
void control_add_str(struct buf *out, const char *key, const char *value);
void control_add_u64(struct buf *out, const char *key, unsigned long long v);
void control_add_i64(struct buf *out, const char *key, long long v);
void control_add_bool(struct buf *out, const char *key, int v);

#endif
