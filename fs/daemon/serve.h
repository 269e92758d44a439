/*
 * serve.h - what the `vouch` command asks of an open volume: verification,
 * repair, old bytes back, replicas.
 *
 * The same verbs are answered through the control socket of a mounted volume
 * and, where nothing is mounted, by the command itself, which opens the core
 * for as long as one request takes (serve_ask).
 *
 *   settle        {path?, checkpoint?}: all written is in the index
 *   verify        {deep?, repair?, consistent?} -> what was found
 *   progress      how far verify or scrub is
 *   anchor        {size, root, commit, location, ref}: it was committed there
 *   restore       {path, from?, version, when} -> same: no change; from:
 *                 another inode's.  In the index after a settle
 *   replica-add | replica-remove {directory}
 *   replica-list | replica-sync
 *   retain-set    {pattern, seconds?, versions?, position?} -> its entry
 *   retain-remove {pattern}
 *   hold-add      {pattern | inode, reason}   hold-lift {hold, reason}
 *   gc            {dry_run?, threshold?, rate?, drop_saves?} -> what it did
 *   gc-stop       ends a run at its next safe point
 *
 * It also follows: while it is open every replica of the volume gets what the
 * store has.
 */
#ifndef FS_SERVE_H
#define FS_SERVE_H

#include "base/auto.h"

struct buf;
struct control;
struct core;
struct cred;
struct errmsg;
struct json;
struct serve;

/*
 * control may be NULL; else the verbs are registered.  The core outlives it.
 * A replica that cannot be opened is logged and tried again later.
 */
int must_use serve_open(struct serve **out, struct core *core,
			struct control *control, struct errmsg *em);
/*
 * Replicas get what is durable by now, if they take it soon: after
 * core_finish() that is the whole log.  NULL is a no-op.
 */
void serve_close(struct serve *s);

/* Answers one request as the control socket would (see control.h). */
int must_use serve_ask(struct serve *s, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em);

#endif
