/*
 * seal.h - a batch's signed head: the leaf of the C2SP log.
 *
 * Pure; callable from any thread.
 */
#ifndef LEDGER_SEAL_H
#define LEDGER_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "ledger/seal_format.h"

struct buf;
struct key;
struct merkle_proof;

enum seal_flags { SEAL_CLOCK_BACK = 1, SEAL_CLOCK_UNSYNCED = 2 };

struct seal {
	uint16_t flags;
	uint8_t volume_id[16];
	uint32_t mount_no;
	uint32_t count;
	uint8_t incarnation[16];
	uint64_t batch_seq;
	uint64_t first_seq;
	int64_t wall_ns;
	struct digest prev_seal;
	struct digest batch_root;
	uint64_t seen_size;
	struct digest seen_root;
	uint8_t key_id[16];
	const uint8_t *ext; /* TLVs; borrowed */
	size_t ext_n;
	uint8_t sig[SEAL_SIG_SIZE]; /* set by decode */
};

/* Appends the bytes before the signature.  -ERR_FORMAT; -ENOMEM. */
int must_use seal_encode(struct buf *out, const struct seal *s);
/* Appends the whole seal, signed; s->key_id is overwritten by k's id. */
int must_use seal_sign(struct buf *out, struct seal *s, const struct key *k);
/* Strict; unknown critical TLVs give -ERR_NEWER.  Borrows ext from p. */
int must_use seal_decode(struct seal *out, const void *p, size_t n);
/* Checks signature and key_id against pub: 0 or -ERR_SIGNATURE. */
int must_use seal_verify(const void *p, size_t n, const uint8_t pub[32]);
/* RFC 6962 leaf hash of a whole seal. */
void seal_leaf(struct digest *out, const void *p, size_t n);

/* Root over entries' leaf hashes, which are level 0, not hashed again. */
void seal_batch_root(struct digest *out, const struct digest *leaves, size_t n);
/* 0 or -ERR_PROOF. */
int must_use seal_batch_verify(const struct seal *s, const struct digest *leaf,
			       uint32_t position,
			       const struct merkle_proof *path);

#endif
