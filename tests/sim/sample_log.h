/*
 * sample_log.h - a log in memory, made from fixed keys, salts and times: the
 * same bytes on every run.  For tests of codecs, rules and proofs, for golden
 * files, and for verifiers we did not write.
 */
#ifndef TESTS_SIM_SAMPLE_LOG_H
#define TESTS_SIM_SAMPLE_LOG_H

#include <stdint.h>

#include "base/buf.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/rules.h"
#include "ledger/seal.h"
#include "ledger/trust.h"

struct key;
struct proof_entry;

#define SAMPLE_ORIGIN "vouchfs.example/sample"
#define SAMPLE_WALL_NS 1795168800000000000LL /* 2026-11-20T10:00:00Z */

enum { SAMPLE_BATCH_MAX = 64 };

struct sample_batch {
	struct buf seal;
	struct buf bytes[SAMPLE_BATCH_MAX]; /* stored entries */
	struct digest leaf[SAMPLE_BATCH_MAX];
	uint32_t n;
	struct digest seal_leaf;
};

struct sample_log {
	struct key *admin;
	struct key *mount;
	struct key *log;
	uint8_t volume_id[16];
	uint64_t salt_counter;
	struct sample_batch *batch; /* size of them, and one being made */
	uint64_t size;
	struct digest prev_seal;
	uint64_t next_seq;
	uint64_t batch_seq;
	struct merkle_frontier tree;
	struct digest *root; /* at sizes 0..size */
	/* what the next seal says, if set by a test */
	uint32_t mount_no;
	const struct key *sign_with; /* NULL: mount */
	uint64_t seen_size;
	void (*tamper)(struct seal *s);
	/* leaf hashes of the story, see sample_log_story */
	struct digest actor;
	struct digest input_version;
	struct digest reads;
	struct digest output_version;
	struct digest digest_entry;
};

/* Leaf 0: GENESIS, KEY_ADD of mount 1 and of the log, PARAMS. */
void sample_log_init(struct sample_log *s);
void sample_log_release(struct sample_log *s);

/* A certificate by the sample's admin. */
void sample_log_cert(uint8_t out[128], const struct sample_log *s,
		     enum key_role role, uint32_t mount_no,
		     const struct key *k);
/* Signs b as an admin would. */
void sample_log_author(struct entry_body *b, const struct sample_log *s,
		       const struct key *admin);

/* Adds an entry to the batch being made; aborts when it does not encode. */
struct digest sample_log_add(struct sample_log *s, const struct entry *e);
/* Seals the batch; the answer is its index. */
uint64_t sample_log_commit(struct sample_log *s);

/*
 * Adds batches 1..4: a process reads data.csv and writes model.bin, whose
 * SHA-256 comes as a DIGEST; then `more` batches of three entries each.
 */
void sample_log_story(struct sample_log *s, unsigned more);
/* The bytes of model.bin. */
#define SAMPLE_MODEL "weights of the model\n"
/* An entry with every field of its kind set; false: kind has no body. */
bool sample_log_entry(struct entry *out, uint16_t kind);

/* The signed checkpoint at the current size. */
void sample_log_checkpoint(const struct sample_log *s, struct buf *out);
void sample_log_trust(const struct sample_log *s, struct trust *out);
/* A merkle_read_fn, a rules_root_fn and a mirror_load_fn; ctx is the log. */
int sample_log_hash(void *ctx, struct digest *out, unsigned level,
		    uint64_t index);
int sample_log_root(void *ctx, struct digest *out, uint64_t size);
int sample_log_load(void *ctx, struct buf *out, const char *path);
/* The batch as the rules want it; entries must hold SAMPLE_BATCH_MAX. */
void sample_log_batch(const struct sample_log *s, uint64_t index,
		      struct rules_batch *out, struct rules_entry *entries);

/* A .tlog-proof of the entry with this leaf, with refs by leaf. */
void sample_log_prove(const struct sample_log *s, struct buf *out,
		      const struct digest *leaf, const struct digest *refs,
		      unsigned n_refs);
/* DIGEST of model.bin with all it refers to. */
void sample_log_prove_story(const struct sample_log *s, struct buf *out);

#endif
