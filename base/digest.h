/*
 * digest.h - 32-byte digests: SHA-256 (log, plain file digest) and BLAKE3
 * (content ids).  SHA-256 comes from OpenSSL, BLAKE3 from libblake3.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32, DIGEST_HEX_SIZE = 65 };

struct digest {
	uint8_t b[DIGEST_SIZE];
};

extern const struct digest digest_zero;

/* One-shot. */
void digest_sha256(struct digest *out, const void *p, size_t n);
void digest_blake3(struct digest *out, const void *p, size_t n);
/* BLAKE3 in derive_key mode; context is a compile-time string. */
void digest_blake3_derive(struct digest *out, const char *context,
			  const void *p, size_t n);

/* SHA-256 over several pieces (n <= 8): out = SHA-256(p0 || p1 || ...). */
struct digest_piece {
	const void *p;
	size_t n;
};
void digest_sha256_pieces(struct digest *out, const struct digest_piece *v,
			  size_t n);

/* Streaming SHA-256.  Opaque; aborts only on allocation failure at _new. */
struct digest_sha256_ctx;
struct digest_sha256_ctx *digest_sha256_new(void); /* NULL: no memory */
void digest_sha256_update(struct digest_sha256_ctx *c, const void *p, size_t n);
void digest_sha256_final(struct digest_sha256_ctx *c, struct digest *out);
void digest_sha256_reset(struct digest_sha256_ctx *c);
/* A second context in the same state; NULL: no memory. */
struct digest_sha256_ctx *digest_sha256_dup(const struct digest_sha256_ctx *c);
void digest_sha256_free(struct digest_sha256_ctx *c);

/* Constant time. */
bool digest_eq(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *a);
/* Lower-case hex, NUL-terminated. */
void digest_hex(char out[DIGEST_HEX_SIZE], const struct digest *d);
/* Exactly 64 lower-case hex digits; 0 or -ERR_FORMAT. */
int digest_from_hex(struct digest *out, const char *s, size_t n);
/* First 8 bytes, little-endian: a hash-table key, never an identity. */
uint64_t digest_prefix(const struct digest *d);
/* Any n bytes as hex; out must hold 2n + 1. */
void digest_hex_bytes(char *out, const void *p, size_t n);

#endif
