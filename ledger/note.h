/*
 * note.h - C2SP signed notes (signed-note v1.0.0) and verifier keys.
 *
 * Pure; callable from any thread.  A note is valid when at least one known
 * key verifies and no known key fails; signatures of unknown keys are
 * ignored.
 */
#ifndef LEDGER_NOTE_H
#define LEDGER_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct errmsg;
struct key;

enum { NOTE_NAME_MAX = 255, NOTE_MAX = 1 << 20, NOTE_SIGS_MAX = 64 };

enum note_alg {
	NOTE_ED25519 = 0x01,
	NOTE_COSIGNATURE = 0x04, /* timestamped Ed25519 */
};

struct note_vkey {
	char name[NOTE_NAME_MAX + 1];
	uint32_t id; /* first 4 bytes, big-endian, of the hash */
	uint8_t alg; /* enum note_alg */
	uint8_t pub[32];
};

/* Fills in the id; -ERR_FORMAT for a bad name. */
int must_use note_vkey_make(struct note_vkey *out, const char *name,
			    uint8_t alg, const uint8_t pub[32]);
/* "name+hex8+base64"; strict, the id is checked. */
int must_use note_vkey_parse(struct note_vkey *out, const char *s, size_t n);
void note_vkey_format(struct buf *out, const struct note_vkey *k);

/* A note taken apart; pointers borrow the bytes given. */
struct note_sig {
	const char *name;
	size_t name_n;
	uint32_t id;
	uint8_t blob[72]; /* first bytes after the id */
	size_t blob_n;	  /* whole length, may be larger than blob */
};

struct note {
	const char *text; /* ends in \n */
	size_t text_n;
	unsigned n_sigs;
	struct note_sig sigs[NOTE_SIGS_MAX];
};

/* -ERR_FORMAT: not a note; -ERR_LIMIT. */
int must_use note_parse(struct note *out, const void *p, size_t n);

/*
 * Checks every signature that a known key could have made.  Answers the
 * number of keys that verified (>= 1), -ERR_SIGNATURE if one failed, -ERR_KEY
 * when no key is known.  out_by[i] (may be NULL) says whether keys[i]
 * verified, out_time[i] the cosignature's unix time, 0 for others.
 */
int must_use note_verify(const struct note *note, const struct note_vkey *keys,
			 size_t n_keys, bool *out_by, uint64_t *out_time);

/* Appends text, blank line and k's signature line under `name`. */
int must_use note_sign(struct buf *out, const char *text, size_t n,
		       const char *name, const struct key *k);
/* Appends one signature line (to a note that has its blank line). */
void note_add_signature(struct buf *out, const char *name, uint32_t id,
			const void *sig, size_t n);
/* Appends a cosignature/v1 line over the text of a checkpoint. */
int must_use note_cosign(struct buf *out, const char *text, size_t n,
			 const char *name, const struct key *k,
			 uint64_t unix_time);

#endif
