/*
 * digest.c - SHA-256 through OpenSSL's EVP, BLAKE3 through libblake3.  All
 * functions may be called from any thread.
 *
 * The algorithm is fetched once per process.  Each thread keeps one EVP
 * context for one-shot digests, because leaf hashing runs millions of times
 * and a new context costs more than hashing a small entry; it is freed when
 * the thread ends.
 *
 * Running out of memory for these few objects, or a libcrypto without
 * SHA-256, aborts: no caller could go on.
 */
#include "base/digest.h"

#include <assert.h>
#include <blake3.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

_Static_assert(BLAKE3_OUT_LEN == DIGEST_SIZE, "one digest size");

const struct digest digest_zero;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static pthread_key_t key;
static _Thread_local EVP_MD_CTX *thread_ctx;

static void die(const char *what)
{
	fprintf(stderr, "digest: %s failed\n", what);
	abort();
}

static void ctx_free(void *p)
{
	EVP_MD_CTX_free(p);
}

static void setup(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256 == NULL)
		die("EVP_MD_fetch");
	if (pthread_key_create(&key, ctx_free) != 0)
		die("pthread_key_create");
}

static EVP_MD_CTX *ctx_new(void)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	pthread_once(&once, setup);
	if (c != NULL && EVP_DigestInit_ex2(c, sha256, NULL) != 1) {
		EVP_MD_CTX_free(c);
		c = NULL;
	}
	return c;
}

/* This thread's context, ready for a new message. */
static EVP_MD_CTX *ctx_of_thread(void)
{
	EVP_MD_CTX *c = thread_ctx;

	if (c == NULL) {
		c = ctx_new();
		if (c == NULL || pthread_setspecific(key, c) != 0)
			die("a digest context");
		thread_ctx = c;
	} else if (EVP_DigestInit_ex2(c, NULL, NULL) != 1) {
		die("EVP_DigestInit");
	}
	return c;
}

void digest_sha256_pieces(struct digest *out, const struct digest_piece *v,
			  size_t n)
{
	EVP_MD_CTX *c = ctx_of_thread();

	for (size_t i = 0; i < n; i++)
		if (v[i].n > 0 && EVP_DigestUpdate(c, v[i].p, v[i].n) != 1)
			die("EVP_DigestUpdate");
	if (EVP_DigestFinal_ex(c, out->b, NULL) != 1)
		die("EVP_DigestFinal");
}

void digest_sha256(struct digest *out, const void *p, size_t n)
{
	struct digest_piece piece = { .p = p, .n = n };

	digest_sha256_pieces(out, &piece, 1);
}

void digest_blake3(struct digest *out, const void *p, size_t n)
{
	blake3_hasher h;

	blake3_hasher_init(&h);
	blake3_hasher_update(&h, p, n);
	blake3_hasher_finalize(&h, out->b, DIGEST_SIZE);
}

void digest_blake3_derive(struct digest *out, const char *context,
			  const void *p, size_t n)
{
	blake3_hasher h;

	blake3_hasher_init_derive_key(&h, context);
	blake3_hasher_update(&h, p, n);
	blake3_hasher_finalize(&h, out->b, DIGEST_SIZE);
}

struct digest_sha256_ctx {
	EVP_MD_CTX *evp;
};

struct digest_sha256_ctx *digest_sha256_new(void)
{
	struct digest_sha256_ctx *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->evp = ctx_new();
	if (c->evp == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void digest_sha256_update(struct digest_sha256_ctx *c, const void *p, size_t n)
{
	if (n > 0 && EVP_DigestUpdate(c->evp, p, n) != 1)
		die("EVP_DigestUpdate");
}

/* Leaves the context ready for the next message. */
void digest_sha256_final(struct digest_sha256_ctx *c, struct digest *out)
{
	if (EVP_DigestFinal_ex(c->evp, out->b, NULL) != 1)
		die("EVP_DigestFinal");
	digest_sha256_reset(c);
}

void digest_sha256_reset(struct digest_sha256_ctx *c)
{
	if (EVP_DigestInit_ex2(c->evp, NULL, NULL) != 1)
		die("EVP_DigestInit");
}

struct digest_sha256_ctx *digest_sha256_dup(const struct digest_sha256_ctx *c)
{
	struct digest_sha256_ctx *d = digest_sha256_new();

	if (d != NULL && EVP_MD_CTX_copy_ex(d->evp, c->evp) != 1) {
		digest_sha256_free(d);
		d = NULL;
	}
	return d;
}

void digest_sha256_free(struct digest_sha256_ctx *c)
{
	if (c == NULL)
		return;
	EVP_MD_CTX_free(c->evp);
	free(c);
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	return CRYPTO_memcmp(a->b, b->b, DIGEST_SIZE) == 0;
}

bool digest_is_zero(const struct digest *a)
{
	return digest_eq(a, &digest_zero);
}

void digest_hex_bytes(char *out, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
}

void digest_hex(char out[DIGEST_HEX_SIZE], const struct digest *d)
{
	digest_hex_bytes(out, d->b, DIGEST_SIZE);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_from_hex(struct digest *out, const char *s, size_t n)
{
	struct digest d = { .b = { 0 } };

	if (n != (size_t)2 * DIGEST_SIZE)
		return -ERR_FORMAT;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int hi = hex_value(s[2 * i]);
		int lo = hex_value(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -ERR_FORMAT;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = d;
	return 0;
}

uint64_t digest_prefix(const struct digest *d)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | d->b[i];
	return v;
}
