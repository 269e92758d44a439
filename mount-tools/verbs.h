/*
 * verbs.h - control verbs that need analytics, which fs/ does not know:
 *
 *   prove    {path, version?} -> proof, version, seal, position
 *   lineage  {path, version? | run, as} -> base64.  as: json, dot, mermaid,
 *            prov, openlineage; in-toto and slsa, signed by this mount
 *   provenance {files: [{path, sha256}]} -> proofs: [{proof} | {why}], which
 *            may be fewer than were asked for
 *   import   {path, proof, trust | claims} -> trust, version
 *   past     {inode, at} -> mode, uid, gid, rdev, atime, mtime, target (hex)
 */
#ifndef MOUNT_TOOLS_VERBS_H
#define MOUNT_TOOLS_VERBS_H

#include "base/auto.h"

struct buf;
struct control;
struct core;
struct cred;
struct errmsg;
struct json;

void verbs_register(struct control *control, struct core *core);
/* -ERR_USAGE without words: not one of these. */
int must_use verbs_ask(struct core *core, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em);

#endif
