/*
 * removed.h - the numbers of packs that gc removed: packs/removed.
 *
 * A pack on this list is no loss: it is not fetched from a replica that still
 * has it, its number is never used again, and if its file is still there at
 * the next opening it is deleted.  The list goes to replicas like any small
 * object, before the packs are deleted there.
 *
 * In text, whole and atomically written:
 *   vouchfs removed packs 2
 *   volume HEX            the volume's id
 *   FIRST LAST            decimal, ascending, ranges that do not touch
 *   check HEX             xxh64 of all before this line
 * There are at most as many ranges as packs that are left, and one.  Format 1
 * had no volume line; it is read, and written as 2 the next time.
 *
 * It is neither signed nor checkable against the log, which knows chunks and
 * not packs.  What a forged one can do is delete packs, and whoever can write
 * it can do that without it; a chunk that is missed then is told, and fetched
 * from a replica.  The volume's id and the check are against accidents: such a
 * list is told in words and counts as none, which costs space and nothing
 * else.
 *
 * A value; its owner sees to locking.
 */
#ifndef FS_REMOVED_H
#define FS_REMOVED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct vio;

#define REMOVED_NAME "packs/removed"

struct removed_range {
	uint64_t first, last;
};

struct removed {
	struct removed_range *v;
	uint32_t n, cap;
};

/*
 * No file: empty.  -ERR_CORRUPT: damaged, or another volume's (words), and
 * empty then.
 */
int must_use removed_load(struct removed *out, struct vio *v,
			  const uint8_t volume_id[16], struct errmsg *em);
void removed_encode(struct buf *out, const struct removed *r,
		    const uint8_t volume_id[16]);
int must_use removed_copy(struct removed *out, const struct removed *r);
void removed_release(struct removed *r);
int must_use removed_add(struct removed *r, uint64_t number);
bool removed_has(const struct removed *r, uint64_t number);
uint64_t removed_last(const struct removed *r); /* 0: none */

#endif
