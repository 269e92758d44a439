/*
 * pack_format.h - the bytes of a pack, packs/NNNNNNNN.pack (decimal, from 1).
 * All integers little-endian; checks are xxh64, seed 0.
 *
 * A pack is a header, records back to back, and, once sealed, a footer.  It
 * grows at its end only and is at most LIMIT_PACK bytes.
 *
 * Header, 64 bytes:
 *   off  size  field
 *   0    8     magic "VFSPACK" and a zero byte
 *   8    4     format, 1
 *   12   4     0
 *   16   16    volume id
 *   32   8     number, as in the name
 *   40   16    0
 *   56   8     check of bytes 0..55
 *
 * Record, 72 bytes and the stored bytes of the chunk:
 *   0    4     magic "VREC"
 *   4    1     type: 1 chunk, 2 tree node, 3 close mark
 *   5    1     codec: 0 raw, 1 zstd (one frame)
 *   6    2     0
 *   8    4     raw length, 1..262144 (close mark: 0)
 *   12   4     stored length (raw: the same; zstd: less; close mark: 0)
 *   16   32    id: BLAKE3 of the raw bytes, for a node in derive_key mode
 *              (tree_format.h); close mark: zeros
 *   48   8     check of the stored bytes
 *   56   4     bytes of this pack known to be durable when this was written
 *   60   4     0
 *   64   8     check of bytes 0..63
 *   72   n     stored bytes
 *
 * A close mark says that the pack ended here when its store was closed in
 * order.  A pack without a footer whose last record is a close mark may be
 * appended to again; without it it may lack a durable tail, and never is.
 *
 * Footer, in sealed packs, right after the last record:
 *   one entry of 48 bytes for each chunk, ascending by (id, offset):
 *   0    32    id
 *   32   4     offset of its record
 *   36   4     stored length
 *   40   4     raw length
 *   44   1     type
 *   45   1     codec
 *   46   2     0
 *   then the trailer, the last 64 bytes of the file:
 *   0    8     magic "VFSPKEND"
 *   8    4     format, 1
 *   12   4     number of entries
 *   16   8     offset of the first entry = end of the records
 *   24   8     sum of raw lengths
 *   32   8     sum of stored lengths
 *   40   8     check of the entries
 *   48   8     pack number
 *   56   8     check of bytes 0..55
 *
 * The torn tail: after a crash whatever follows the last record that decodes
 * is cut off.  A gap before such a record is damage when a later record says
 * that it was durable, otherwise bytes that never were acknowledged.
 */
#ifndef FS_PACK_FORMAT_H
#define FS_PACK_FORMAT_H

#include "base/limits.h"

enum {
	PACK_FORMAT = 1,
	PACK_HEADER_SIZE = 64,
	PACK_RECORD_SIZE = 72,
	PACK_ENTRY_SIZE = 48,
	PACK_TRAILER_SIZE = 64,
	PACK_CLOSE_MARK = 3, /* record type beside enum chunk_type */
	PACK_ENTRIES_MAX = LIMIT_PACK / (PACK_RECORD_SIZE + PACK_ENTRY_SIZE),
};

#define PACK_MAGIC "VFSPACK"	  /* with its NUL */
#define PACK_END_MAGIC "VFSPKEND" /* without */
#define PACK_RECORD_MAGIC "VREC"

_Static_assert(PACK_RECORD_SIZE + (int)LIMIT_CHUNK < (int)LIMIT_PACK,
	       "a chunk fits a pack");

#endif
