/*
 * limits.h - every bound in one place, with the relations that must hold.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* names and paths, as Linux has them (bytes, without NUL) */
enum { LIMIT_NAME = 255, LIMIT_PATH = 4095, LIMIT_SYMLINK = 4095 };
enum { LIMIT_XATTR_NAME = 255, LIMIT_XATTR_VALUE = 65536 };
enum { LIMIT_XATTR_INLINE = 1024 }; /* larger values are chunks */

/* ledger */
enum { LIMIT_ENTRY = 65000 };	/* stored bytes of one entry */
enum { LIMIT_BATCH = 4096 };	/* entries in a seal */
enum { LIMIT_SEAL_EXT = 4096 }; /* bytes of a seal's ext */
enum { LIMIT_LEAF = 65535 };	/* C2SP */
enum { LIMIT_ORIGIN = 200 };
enum { LIMIT_FRAME = 32 << 20 }; /* bytes of one WAL frame */
enum { LIMIT_WAL_SEGMENT = 64 << 20 };
enum { LIMIT_JOURNAL_SEGMENT = 64 << 20 };

/* content */
enum { LIMIT_CHUNK = 256 << 10 }; /* largest chunk, raw bytes */
enum { LIMIT_NODE_REFS = 256 };
enum { LIMIT_EXTENTS = 1024 }; /* n of one EXTENTS entry */
enum { LIMIT_RANGES = 8 };
enum { LIMIT_READS = 800 };	/* n of one READS entry */
enum { LIMIT_RULES = 256 };	/* n of one POLICY entry */
enum { LIMIT_RELEASES = 2600 }; /* n of one GC entry */
enum { LIMIT_ARGV = 4096, LIMIT_EXE = 4096, LIMIT_CWD = 4096 };
enum { LIMIT_HOST = 255 };
enum { LIMIT_PACK = 64 << 20 };

#define LIMIT_FILE_SIZE 0x7fffffffffffffffULL
#define LIMIT_DIRTY_BYTES (256ULL << 20) /* unchunked, all files */
#define LIMIT_HELD_EXTENTS (1ULL << 20)	 /* of files written at random, all */
#define LIMIT_UNAPPLIED 262144		 /* entries ahead of the index */

_Static_assert((int)LIMIT_ENTRY < (int)LIMIT_LEAF, "an entry fits a leaf");
_Static_assert((int)LIMIT_FRAME < (int)LIMIT_WAL_SEGMENT,
	       "a frame fits a segment");
_Static_assert((int)LIMIT_CHUNK < (int)LIMIT_FRAME, "a chunk fits a frame");
_Static_assert(LIMIT_EXTENTS * 48 + 512 < LIMIT_ENTRY, "extents fit");
_Static_assert(LIMIT_READS * 65 + 512 < LIMIT_ENTRY, "reads fit");
_Static_assert(LIMIT_RELEASES * 24 + 512 < LIMIT_ENTRY, "releases fit");
_Static_assert(LIMIT_ARGV + LIMIT_EXE + LIMIT_CWD + LIMIT_HOST < LIMIT_ENTRY,
	       "an actor fits");

#endif
