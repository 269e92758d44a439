/*
 * ptable_format.h - bytes of a ptable on disk.  All integers little-endian;
 * every checksum is XXH64.  Nothing here is kept for ever: a table of another
 * version counts as damaged and is rebuilt.
 *
 * PATH, the manifest, replaced whole (atomic_file.h):
 *   off  size
 *     0     8  magic
 *     8     8  next id: no file below has this id or a greater one
 *    16     8  id of the log
 *    24     4  number of runs
 *    28     4  zero
 *    32  40*n  runs, oldest first:
 *                8 id, 8 records, 4 pages, 4 level, 8 filter blocks,
 *                8 checksum of the run's meta section
 *     +     8  checksum of all before
 *
 * PATH.run-ID (ID in 16 hex digits), never changed once a manifest names it:
 *   pages of 4096 bytes, sorted by (key, value), each
 *     0     8  checksum of the rest, seed = id + page number
 *     8     2  records: 253, fewer in the last page only
 *    10     6  zero
 *    16    32  bit i set: record i says that the pair is gone
 *    48  16*n  8 key, 8 value
 *   then the meta section
 *     0     8  magic
 *     8     8  id
 *    16     8  records
 *    24     4  pages
 *    28     4  zero
 *    32     8  filter blocks of 64 bytes (0: no filter)
 *    40   8*p  first key of each page
 *     +  64*b  filter
 *     +     8  checksum of the section before, seed = id
 *
 * PATH.log-ID: batches, one per flush; the first holds all that is in no run:
 *     0     4  magic
 *     4     4  records n
 *     8     8  id of the log
 *    16     8  number of the batch, from 0
 *    24    32  the mark
 *    56     8  checksum of the other 56 bytes and the body, seed = id
 *    64  16*n  8 key, 8 value, in the order of the calls
 *     +  n/8   rounded up: bit i set: the pair is gone
 * The first invalid batch ends the log; the first batch of all is valid.
 */
#ifndef BASE_PTABLE_FORMAT_H
#define BASE_PTABLE_FORMAT_H

#define PTABLE_MAGIC 0x0031656c62617470ULL     /* "ptable1" */
#define PTABLE_RUN_MAGIC 0x00316e7572747470ULL /* "pttrun1" */
#define PTABLE_LOG_MAGIC 0x3167706cU	       /* "lpg1" */

enum { PTABLE_PAGE = 4096 };
enum { PTABLE_PAGE_HEADER = 48, PTABLE_REC = 16 };
enum { PTABLE_PAGE_RECS = 253 };
enum { PTABLE_MANIFEST_HEADER = 32, PTABLE_MANIFEST_RUN = 40 };
enum { PTABLE_META_HEADER = 40 };
enum { PTABLE_BATCH_HEADER = 64 };
enum { PTABLE_FILTER_BLOCK = 64 };
enum { PTABLE_RUNS_MAX = 64 };

_Static_assert((int)PTABLE_PAGE_HEADER +
			       (int)PTABLE_PAGE_RECS * (int)PTABLE_REC ==
		       (int)PTABLE_PAGE,
	       "a page is full");

#endif
