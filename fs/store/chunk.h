/*
 * chunk.h - one chunk: its id, and its bytes as they are stored.
 *
 * Invariants: the id is computed over the raw bytes; unpacking never writes
 * past LIMIT_CHUNK bytes whatever it is given, and gives exactly the length
 * that was promised or an error.
 *
 * Threads: a maker and an unpacker are used by one thread at a time.
 */
#ifndef FS_CHUNK_H
#define FS_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

/* CHUNK_ANY only asks: it is never stored. */
enum chunk_type { CHUNK_ANY = 0, CHUNK_DATA = 1, CHUNK_NODE = 2 };
enum chunk_codec { CHUNK_RAW = 0, CHUNK_ZSTD = 1 };

struct chunk_maker;

/* A chunk to be stored. */
struct chunk {
	struct digest id;
	uint8_t type;  /* enum chunk_type */
	uint8_t codec; /* enum chunk_codec */
	uint32_t raw_len;
	uint32_t stored_len;
	const uint8_t *stored; /* borrowed */
	uint64_t check;	       /* of the stored bytes, if `checked` */
	bool checked;
	/* not NULL: raw so far; chunk_pack() before it is written */
	struct chunk_maker *maker;
};

/* The same chunk as a frame of the ledger carries it; both borrow. */
struct ledger_chunk;
struct chunk chunk_of_frame(const struct ledger_chunk *k);
struct ledger_chunk chunk_to_frame(const struct chunk *c);

/* Per-thread scratch for chunk_make; opaque. */
struct chunk_maker *chunk_maker_new(void); /* NULL: no memory */
void chunk_maker_free(struct chunk_maker *m);

/* The id alone; the type is CHUNK_DATA or CHUNK_NODE. */
void chunk_hash(struct digest *out, enum chunk_type type, const void *p,
		size_t n);
/*
 * Hashes, and leaves it to the store to pack what it does not have already:
 * compression is most of the work on a chunk, and a duplicate needs none.
 * The maker stays untouched until the chunk is stored.  0 < n <= LIMIT_CHUNK,
 * -EINVAL otherwise.
 */
int must_use chunk_name(struct chunk *out, struct chunk_maker *m,
			enum chunk_type type, const void *p, size_t n);
/*
 * Compresses where that pays (stored then points into the maker's scratch
 * until the next call); does nothing the second time.
 */
void chunk_pack(struct chunk *c);
/* Both. */
int must_use chunk_make(struct chunk *out, struct chunk_maker *m,
			enum chunk_type type, const void *p, size_t n);

/* Scratch for unpacking; opaque. */
struct chunk_unpacker;
struct chunk_unpacker *chunk_unpacker_new(void); /* NULL: no memory */
void chunk_unpacker_free(struct chunk_unpacker *u);
/*
 * Writes the raw_len raw bytes of a stored chunk to out.  -ERR_CORRUPT when
 * they are not exactly that many.  Does not look at the id.
 */
int must_use chunk_unpack(uint8_t *out, struct chunk_unpacker *u,
			  const struct chunk *c);
/* Unpacks and compares with the id: -ERR_CORRUPT or -ERR_HASH. */
int must_use chunk_verify(uint8_t *out, struct chunk_unpacker *u,
			  const struct chunk *c);
/* The same for who does not want the bytes; scratch: room for raw_len. */
int must_use chunk_check(uint8_t *scratch, struct chunk_unpacker *u,
			 const struct chunk *c);

#endif
