/*
 * wal_format.h - bytes of wal/NNNNNNNN.wal.  Little-endian.  A change here is
 * a change of man/vouchfs-ledger.5 and of tests/golden/.
 *
 * A segment is preallocated and used again and again.  It begins with two
 * pages of 4096 bytes, each with the same header (one flipped bit then hides
 * no frame; the valid one with the larger sequence counts):
 *   0   4  magic "VWL1"
 *   4   1  format 1
 *   5   3  0
 *   8   8  sequence: order in which segments were taken into use, from 1
 *   16 16  volume_id
 *   32  8  epoch: random, new at each use; seeds the frames' checksums
 *   40  8  first: index in the log of the first frame
 *   48  8  size of the segment in bytes
 *   56  8  XXH64 of bytes 0..55
 *   64     zeros to the end of the page
 *
 * Frames follow, each at a multiple of 4096, so that writing one never
 * touches a sector that holds another:
 *   0   4  len: bytes of the frame with both len fields, without padding
 *   4   8  XXH64 of bytes 12..len-1, seeded with the epoch
 *   12  8  index in the log of the seal
 *   20  2  n, then n bytes of seal
 *   ..  4  n, then n bytes of entries: each u32 len and the stored entry
 *   ..  4  number of small chunks, each: 32 id, u8 type, u8 codec, u16 0,
 *          u32 raw length, u32 stored length, stored bytes
 *   end 4  len
 *          zeros to the next multiple of 4096
 *
 * The last frame of a segment is followed by bytes that are no valid frame:
 * zeros, a torn frame, or frames of an earlier epoch.
 */
#ifndef LEDGER_WAL_FORMAT_H
#define LEDGER_WAL_FORMAT_H

#include "base/limits.h"

#define WAL_MAGIC "VWL1"

enum {
	WAL_FORMAT = 1,
	WAL_PAGE = 4096,
	WAL_HEADER_SIZE = 64,
	WAL_FRAMES_AT = 2 * WAL_PAGE,
	FRAME_HEAD_SIZE = 20, /* len, checksum, index */
	FRAME_CHUNK_HEAD = 44,
	/* both len fields, and the three counts */
	FRAME_OVERHEAD = FRAME_HEAD_SIZE + 2 + 4 + 4 + 4,
};

_Static_assert(LIMIT_FRAME % WAL_PAGE == 0, "a full frame ends on a page");
_Static_assert(LIMIT_FRAME + WAL_FRAMES_AT <= LIMIT_WAL_SEGMENT,
	       "a full frame fits a segment");

#endif
