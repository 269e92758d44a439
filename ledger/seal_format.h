/*
 * seal_format.h - bytes of a seal, the leaf of the log.  Little-endian.
 *
 *   0    4  magic "VSL1"
 *   4    1  format 1
 *   5    1  sig_alg 1 = Ed25519
 *   6    2  flags: 1 clock went back, 2 clock not synchronised
 *   8   16  volume_id
 *   24   4  mount_no
 *   28   4  count 1..4096
 *   32  16  incarnation
 *   48   8  batch_seq, from 1
 *   56   8  first_seq: a mount's first entry ever is 1
 *   64   8  wall_ns i64
 *   72  32  prev_seal: leaf hash; 0 exactly where batch_seq is 1
 *   104 32  batch_root
 *   136  8  seen_size
 *   144 32  seen_root; 0 exactly where seen_size is 0
 *   176 16  key_id
 *   192  2  n: bytes of ext
 *   194  n  ext: TLVs
 *   end 64  Ed25519 over "vouchfs/seal/v1\n" || every byte before
 */
#ifndef LEDGER_SEAL_FORMAT_H
#define LEDGER_SEAL_FORMAT_H

#include "base/limits.h"

enum {
	SEAL_HEAD_SIZE = 194,
	SEAL_SIG_SIZE = 64,
	SEAL_SIZE_MIN = SEAL_HEAD_SIZE + SEAL_SIG_SIZE,
	SEAL_SIZE_MAX = SEAL_SIZE_MIN + LIMIT_SEAL_EXT,
	SEAL_FORMAT = 1,
	SEAL_SIG_ALG = 1,
};

#define SEAL_CONTEXT "vouchfs/seal/v1\n"

_Static_assert(SEAL_SIZE_MIN == 258, "LEDGER seal size");

#endif
