/*
 * model_content.h - the bytes of one file as a plain array, the oracle for
 * fs/content: random operations applied to both, and what must hold between
 * them.
 *
 * The model knows what is durable as well: the last version and the extents
 * saved since, so that a crash can be played at any moment.
 */
#ifndef TESTS_SIM_MODEL_CONTENT_H
#define TESTS_SIM_MODEL_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "index/state.h"
#include "tests/sim/prng.h"

struct content;
struct content_pool;
struct store;

struct model_content {
	struct content_pool *pool;
	struct store *store;
	struct content *content;
	struct prng *prng;
	size_t max; /* size of p, and of the file at most */
	uint8_t *p; /* zeros behind n */
	size_t n;
	/* durable: a version, extents since, the bytes they stand for */
	struct digest root;
	uint64_t root_size, allocated;
	struct extent_row *row;
	size_t n_row, cap_row;
	uint8_t *saved;
	size_t saved_n;
	/* sequential writing goes on here */
	size_t run;
	/* room for more dirty bytes even while a version is not entered */
	bool roomy;
	uint64_t ops, versions, saves, crashes;
};

void model_content_open(struct model_content *m, struct content_pool *p,
			struct store *s, struct prng *prng, size_t max);
void model_content_close(struct model_content *m);

/* The canonical root of n bytes, by chunker and tree builder alone. */
void model_content_root(struct digest *out, const uint8_t *p, size_t n);
/* Bytes with zero blocks, text and noise in them. */
void model_content_fill(struct prng *prng, uint8_t *p, size_t n);

/* Each does the same to both and aborts, with words, where they differ. */
void model_content_write(struct model_content *m, size_t off, const uint8_t *p,
			 size_t n, bool append);
void model_content_truncate(struct model_content *m, size_t size);
void model_content_zero(struct model_content *m, size_t off, size_t n,
			bool keep_size);
void model_content_clone(struct model_content *m, size_t off,
			 struct model_content *from, size_t from_off, size_t n);
void model_content_save(struct model_content *m);
void model_content_version(struct model_content *m);
void model_content_reopen(struct model_content *m);
void model_content_crash(struct model_content *m);
void model_content_read(struct model_content *m, size_t off, size_t n);
void model_content_check(struct model_content *m);
/* One random operation; other may be NULL. */
void model_content_step(struct model_content *m, struct model_content *other);

#endif
