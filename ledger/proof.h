/*
 * proof.h - .tlog-proof files (c2sp.org/tlog-proof@v1): make, parse, check.
 *
 * Pure: the caller reads files and hashes content.  Everything in a proof is
 * hostile until proof_check() says otherwise; strings in a report are hostile
 * still and are escaped where they are printed (proof_text.h).
 *
 * The `extra` line carries TLVs (u16 tag, u32 len, little-endian; strictly
 * ascending, from 0x8000 on ignored when unknown): 1 seal, 2 u32 position,
 * 3 batch path (n * 32, leaf sibling first), 4 entry in clear (core || salt16
 * || body), a VERSION or DIGEST, 5 certificate of the mount key, 6 entries
 * that are referred to, each u32 len || entry.
 */
#ifndef LEDGER_PROOF_H
#define LEDGER_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "ledger/cert.h"
#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/seal.h"

struct buf;
struct errmsg;
struct trust;

enum { PROOF_MAX = 1 << 20, PROOF_REFS_MAX = 64 };
/* Common parsers take lines of 64 KiB: so many bytes before base64. */
enum { PROOF_EXTRA_MAX = 49000 };

/* An entry as a proof carries it: core || salt16 || body. */
struct proof_entry {
	const uint8_t *p;
	size_t n;
};

/* What a proof is made of; all pointers borrowed. */
struct proof {
	uint64_t seal_index; /* leaf index in the log */
	const uint8_t *seal;
	size_t seal_n;
	uint32_t position;
	struct merkle_proof batch_path;
	struct proof_entry entry;
	const uint8_t *cert; /* CERT_SIZE, or NULL */
	unsigned n_refs;
	struct proof_entry refs[PROOF_REFS_MAX];
	struct merkle_proof inclusion;
	const char *checkpoint; /* the note, verbatim */
	size_t checkpoint_n;
	uint8_t *owned_; /* decoded extra line, see proof_release */
};

/* Turns a stored clear entry into the form a proof carries.  -ERR_FORMAT. */
int must_use proof_entry_add(struct buf *out, const void *stored, size_t n);

/*
 * Leaves out the last refs until the extra line is one that other people's
 * parsers take.  refs stand in the order in which they are named (what names
 * an entry comes before it), so what is left still hangs together.
 */
void proof_trim(struct proof *p);
/* Appends the file's text. */
int must_use proof_format(struct buf *out, const struct proof *p);
/* Syntax only.  Borrows from p; also owns memory: proof_release(). */
int must_use proof_parse(struct proof *out, const void *p, size_t n,
			 struct errmsg *em);
void proof_release(struct proof *p); /* twice is fine */

/* The file beside the proof, hashed by the caller. */
struct proof_file {
	uint64_t size;
	struct digest sha256;
};

enum { PROOF_INPUTS_MAX = 256 };

/* One thing that was opened before. */
struct proof_input {
	uint8_t strength;
	struct digest version;
	struct digest content;		 /* tree_root named by the READS */
	const struct proof_entry *entry; /* where the proof carries it */
	struct entry_str path;		 /* from that VERSION */
	bool has_sha256;
	struct digest sha256;
};

/* What was established.  Borrows from the proof. */
struct proof_report {
	struct checkpoint checkpoint;
	uint64_t seal_index;
	uint32_t position;
	struct seal seal;
	struct cert cert;
	bool admin_vouched; /* certificate checked against an admin key */
	struct digest leaf; /* of the entry */
	struct digest seal_leaf;
	bool has_version;
	struct entry_core version_core;
	struct entry_version version;
	struct digest version_leaf;
	struct entry_str path; /* the version's */
	struct digest sha256;
	bool via_digest; /* plain digest came by a DIGEST entry */
	int64_t digest_wall_ns;
	bool has_actor;
	struct entry_actor actor;
	bool reads_complete; /* the chain is in the proof to its start */
	unsigned n_inputs;
	unsigned n_inputs_left_out;
	struct proof_input inputs[PROOF_INPUTS_MAX];
	unsigned n_cosigned;	/* by trusted witnesses */
	uint64_t cosigned_unix; /* earliest of them: not after */
};

/*
 * Verifies everything offline: inclusion of the seal, checkpoint signature
 * by a trusted log key, seal signature by the certified mount key,
 * certificate by an admin key (if the trust file has any), entry in batch,
 * references, and the file's digest and size (file NULL: not compared).
 * -ERR_PROOF or a more precise code, words in em.
 */
int must_use proof_check(struct proof_report *out, const struct proof *p,
			 const struct trust *t, const struct proof_file *file,
			 struct errmsg *em);

#endif
