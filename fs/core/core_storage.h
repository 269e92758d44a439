/*
 * core_storage.h - what the tools' verbs ask of the core beside core.h: old
 * bytes back, entries about replicas and scrubs.  Any thread.
 */
#ifndef FS_CORE_STORAGE_H
#define FS_CORE_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct content;
struct core;
struct cred;
struct idx_version;

/* Enters ANCHOR: a checkpoint was committed there.  In the index after it. */
struct entry_anchor;
int must_use core_storage_anchor(struct core *c, const struct entry_anchor *a);

/* The one kind of replica so far. */
enum { CORE_STORAGE_DIRECTORY = 1 };

/*
 * Restores from a version of inode `from` (a file may have been replaced
 * since), with the words of the user ("yesterday") for the RESTORE entry.
 * *out_same: the file holds these bytes already, nothing was entered.  What
 * is entered is queued: the caller settles when all is restored.  -ENOENT: no
 * such version; -ENODATA: it is redacted, or released; -EINVAL: no regular
 * file.
 */
int must_use core_storage_restore(struct core *c, bool *out_same,
				  const struct cred *cr, uint64_t ino,
				  uint64_t from, uint64_t version_no,
				  const char *when);
/*
 * Puts `from` in the place of a file's content, if that still is version
 * `expect` (0: nothing was ever written): else -EBUSY, and nothing changed.
 * RESTORE says why; `subject` is the leaf hash of the VERSION that the bytes
 * come from, zero where they are of several, and `no` its number.  The caller
 * is in a section of the store's lease since before it opened `from`, which
 * has no extents (content_replace).  Queued, not settled.
 */
struct core_storage_put {
	uint64_t ino, expect;
	uint8_t why; /* of the RESTORE: 1 restore, 2 undo */
	uint8_t run[16];
	struct digest subject;
	uint64_t no;
	const char *when;
};
int must_use core_storage_put(struct core *c, const struct cred *cr,
			      const struct core_storage_put *o,
			      struct content *from);
/*
 * What a version holds, as the journal says: the index's row is checked
 * against it.  -ENOENT; -ENODATA: redacted, or released.
 */
int must_use core_storage_version(struct core *c, struct idx_version *out,
				  struct digest *out_leaf, uint64_t ino,
				  uint64_t version);
/* The same of a row that the caller has. */
int must_use core_storage_check(struct core *c, const struct idx_version *v,
				struct digest *out_leaf);
/* Enters REPLICA_ADD or REPLICA_REMOVE (kind), and waits for the index. */
int must_use core_storage_replica(struct core *c, uint16_t kind,
				  uint16_t number, const char *location);
/* Enters REPAIR of a journal segment from that replica (0: not known). */
int must_use core_storage_repair(struct core *c, uint16_t source,
				 const char *object, uint64_t bytes);
/* Enters SCRUB of the store and what follows it. */
int must_use core_storage_scrub(struct core *c, uint64_t objects,
				uint64_t bytes, uint64_t bad,
				uint64_t repaired);

#endif
