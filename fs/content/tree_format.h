/*
 * tree_format.h - the bytes of a tree node.  All integers little-endian.
 *
 *   off  size  field
 *   0    2     magic "VN"
 *   2    1     format, 1
 *   3    1     level: 0 = references to chunks and holes, n = to nodes of
 *              level n - 1
 *   4    2     count of references, 1..256
 *   6    2     0
 *   8    40*n  references, in file order
 *
 * A reference:
 *   0    8     bytes of the file it covers, > 0; bit 63 set: a hole
 *              (level 0 only)
 *   8    32    content id of the chunk, or id of the node; zeros for a hole
 *
 * Rules (a decoder refuses what breaks one):
 *   - a chunk is at most CHUNKER_MAX bytes;
 *   - a hole is a multiple of 4096 bytes, starts at a multiple of 4096 in
 *     the file, and no two holes touch;
 *   - all lengths together stay below 2^63;
 *   - no reference before the last one ends a node (below).
 *
 * Where a node ends: after its 256th reference; or after one, not a hole, whose
 * id read as a little-endian u32 has six low zero bits, once the node holds 16;
 * or with the file.  Every level is cut by the same rule.
 *
 * The id of a node is BLAKE3 in derive_key mode with TREE_NODE_CONTEXT over
 * its bytes; the ids of chunks are plain BLAKE3, so none is taken for the
 * other.
 *
 * The root of a file: BLAKE3 of nothing when it is empty; the chunk's id when
 * the file is exactly one chunk; otherwise the id of the lowest node that
 * covers all of it.
 */
#ifndef FS_TREE_FORMAT_H
#define FS_TREE_FORMAT_H

#include "base/limits.h"

#define TREE_NODE_CONTEXT "vouchfs 2026-11-21 tree node v1"

enum {
	TREE_FORMAT = 1,
	TREE_HEADER_SIZE = 8,
	TREE_REF_SIZE = 40,
	TREE_REFS_MIN = 16,
	TREE_REFS_MAX = LIMIT_NODE_REFS,
	TREE_CUT_MASK = 63,
	TREE_NODE_MAX = TREE_HEADER_SIZE + TREE_REFS_MAX * TREE_REF_SIZE,
	/* 2^63 bytes in alternating blocks of 4 KiB, 16 references a node */
	TREE_LEVELS_MAX = 16,
};

#define TREE_HOLE_BIT (1ULL << 63)

_Static_assert((int)TREE_NODE_MAX < (int)LIMIT_CHUNK,
	       "a node is stored as a chunk");

#endif
