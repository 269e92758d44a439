/*
 * journal_format.h - bytes of ledger/journal/NNNNNNNN.vj.  Little-endian.  A
 * change here is a change of man/vouchfs-ledger.5 and of tests/golden/.
 *
 * Segments are numbered from 1 without gaps, grow only at their end and are
 * never changed.  Header, 64 bytes:
 *   0   4  magic "VJH1"
 *   4   1  format 1
 *   5   3  0
 *   8   8  number of the segment
 *   16 16  volume_id
 *   32  8  epoch: random; seeds the records' checksums
 *   40  8  first: index in the log of the first record
 *   48  8  0
 *   56  8  XXH64 of bytes 0..55
 *
 * Records follow without padding, the bytes of a WAL frame without chunks:
 *   0   4  len: bytes of the record with both len fields
 *   4   8  XXH64 of bytes 12..len-1, seeded with the epoch
 *   12  8  index in the log of the seal
 *   20  2  n, then n bytes of seal
 *   ..  4  n, then n bytes of entries: each u32 len and the stored entry
 *   end 4  len
 *
 * When the next record would pass LIMIT_JOURNAL_SEGMENT a footer ends the
 * segment, and with it record i is found by one read:
 *   0   4  magic "VJF1" (as a len it would be beyond every limit)
 *   4   4  n: number of records
 *   8  4n  offset of each record
 *   ..  8  XXH64 of all footer bytes before, seeded with the epoch
 *   ..  4  bytes of the whole footer
 *   ..  4  magic "VJE1"
 */
#ifndef LEDGER_JOURNAL_FORMAT_H
#define LEDGER_JOURNAL_FORMAT_H

#include "ledger/wal_format.h"

#define JOURNAL_MAGIC "VJH1"
#define JOURNAL_FOOTER_MAGIC "VJF1"
#define JOURNAL_END_MAGIC "VJE1"

enum {
	JOURNAL_FORMAT = 1,
	JOURNAL_HEADER_SIZE = 64,
	JOURNAL_FOOTER_HEAD = 8,
	JOURNAL_FOOTER_TAIL = 16,
	JOURNAL_FOOTER_MIN = JOURNAL_FOOTER_HEAD + JOURNAL_FOOTER_TAIL,
};

/* "VJF1" read as a little-endian len. */
_Static_assert(0x31464a56 > LIMIT_JOURNAL_SEGMENT, "a footer is no record");

#endif
