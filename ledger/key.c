/*
 * key.c - Ed25519 keys: secrets in guarded memory, files 0600.
 *
 * Invariants: (1) a seed is never in memory that is not wiped.  (2) A key
 * file that others could read is refused, never silently used.
 *
 * Any thread; a struct key does not change after it was made.
 */
#include "ledger/key.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"

#define FILE_MAGIC "vouchfs-key-v1"
enum { FILE_MAX = 512 };

struct key {
	enum key_role role;
	uint8_t pub[KEY_SIZE];
	uint8_t *secret; /* crypto_sign_SECRETKEYBYTES, sodium_malloc */
};

const char *key_role_name(unsigned role)
{
	static const char *const names[] = { NULL, "mount", "log", "replica",
					     "admin" };

	return role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}

/* Safe to call from any thread, any number of times. */
static int sodium_ready(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

int key_from_seed(struct key **out, enum key_role role, const uint8_t seed[32])
{
	struct key *k;

	assert(key_role_name(role) != NULL);
	*out = NULL;
	if (sodium_ready() != 0)
		return -EIO;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return -ENOMEM;
	k->role = role;
	k->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
	if (k->secret == NULL) {
		key_free(k);
		return -ENOMEM;
	}
	if (crypto_sign_seed_keypair(k->pub, k->secret, seed) != 0)
		abort(); /* it has no way to fail */
	if (sodium_mprotect_readonly(k->secret) != 0) {
		key_free(k);
		return -ENOMEM;
	}
	*out = k;
	return 0;
}

int key_generate(struct key **out, enum key_role role, struct vio *v)
{
	uint8_t seed[32];
	int rc = vio_random(v, seed, sizeof(seed));

	*out = NULL;
	if (rc == 0)
		rc = key_from_seed(out, role, seed);
	sodium_memzero(seed, sizeof(seed));
	return rc;
}

void key_free(struct key *k)
{
	if (k == NULL)
		return;
	sodium_free(k->secret); /* wipes */
	free(k);
}

/* Wipes what held a key file. */
static void secret_buf_release(struct buf *b)
{
	if (b->p != NULL)
		sodium_memzero(b->p, b->cap);
	buf_release(b);
}

/* Splits "MAGIC ROLE PUB SEED\n"; false unless it is exactly that. */
static bool split_line(char *s, size_t n, char *word[4])
{
	if (n == 0 || s[n - 1] != '\n' || memchr(s, 0, n) != NULL)
		return false;
	s[n - 1] = 0;
	for (unsigned i = 0; i < 4; i++) {
		word[i] = s;
		s = strchr(s, ' ');
		if ((s == NULL) != (i == 3))
			return false;
		if (s != NULL)
			*s++ = 0;
	}
	return true;
}

static int decode32(uint8_t out[32], const char *s)
{
	struct buf autocall(secret_buf_release) b = BUF_INIT;
	int rc = text_base64_decode(&b, s, strlen(s));

	if (rc != 0 || b.n != 32)
		return -ERR_FORMAT;
	memcpy(out, b.p, 32);
	return 0;
}

static int key_from_file(struct key **out, struct buf *file, const char *path,
			 enum key_role role, struct errmsg *em)
{
	char *word[4] = { NULL };
	uint8_t pub[32];
	uint8_t seed[32] = { 0 };
	int rc;

	if (!split_line((char *)file->p, file->n, word))
		return errmsg_set(em, -ERR_KEY, "key file %s: damaged", path);
	if (strcmp(word[0], FILE_MAGIC) != 0)
		return errmsg_set(em, -ERR_NEWER,
				  "key file %s: not of the form " FILE_MAGIC,
				  path);
	if (strcmp(word[1], key_role_name(role)) != 0)
		return errmsg_set(em, -ERR_KEY,
				  "key file %s: wrong role, a %s key is needed",
				  path, key_role_name(role));
	rc = decode32(pub, word[2]);
	if (rc == 0)
		rc = decode32(seed, word[3]);
	if (rc == 0)
		rc = key_from_seed(out, role, seed);
	sodium_memzero(seed, sizeof(seed));
	if (rc == -ENOMEM || rc == -EIO)
		return errmsg_set(em, rc, "key file %s: %s", path,
				  err_text(rc));
	if (rc == 0 && memcmp(pub, key_public(*out), sizeof(pub)) == 0)
		return 0;
	key_free(*out);
	*out = NULL;
	return errmsg_set(em, -ERR_KEY, "key file %s: damaged", path);
}

int key_load(struct key **out, struct vio *v, const char *path,
	     enum key_role role, struct errmsg *em)
{
	struct buf autocall(secret_buf_release) file = BUF_INIT;
	struct vio_stat st = { .size = 0 };
	int rc;

	*out = NULL;
	rc = vio_stat(v, path, &st);
	if (rc != 0)
		return errmsg_set(em, rc, "key file %s: %s", path,
				  err_text(rc));
	if (!S_ISREG(st.mode))
		return errmsg_set(em, -ERR_KEY,
				  "key file %s: not a regular file", path);
	if ((st.mode & 077) != 0)
		return errmsg_set(em, -ERR_KEYPERM,
				  "key file %s: mode %04o lets others read it "
				  "(chmod 600 %s)",
				  path, st.mode & 07777, path);
	rc = vio_read_file(v, &file, path, FILE_MAX);
	if (rc != 0)
		return errmsg_set(em, rc, "key file %s: %s", path,
				  err_text(rc));
	return key_from_file(out, &file, path, role, em);
}

int key_save(const struct key *k, struct vio *v, const char *path,
	     struct errmsg *em)
{
	struct buf autocall(secret_buf_release) b = BUF_INIT;
	uint8_t seed[crypto_sign_SEEDBYTES];
	int rc;

	if (buf_grow(&b, FILE_MAX) == NULL)
		return -ENOMEM;
	buf_clear(&b); /* room for all: the bytes never move */
	buf_addf(&b, "%s %s ", FILE_MAGIC, key_role_name(k->role));
	text_base64(&b, k->pub, sizeof(k->pub));
	buf_addc(&b, ' ');
	crypto_sign_ed25519_sk_to_seed(seed, k->secret);
	text_base64(&b, seed, sizeof(seed));
	sodium_memzero(seed, sizeof(seed));
	buf_addc(&b, '\n');
	assert(!b.bad && b.n < FILE_MAX);
	rc = atomic_file_write(v, path, b.p, b.n, VIO_PRIVATE);
	if (rc != 0)
		errmsg_set(em, rc, "key file %s: %s", path, err_text(rc));
	return rc;
}

enum key_role key_role(const struct key *k)
{
	return k->role;
}

const uint8_t *key_public(const struct key *k)
{
	return k->pub;
}

void key_sign(const struct key *k, uint8_t out[KEY_SIG_SIZE], const void *p,
	      size_t n)
{
	if (crypto_sign_detached(out, NULL, p, n, k->secret) != 0)
		abort(); /* it has no way to fail */
}

int key_verify(const uint8_t pub[KEY_SIZE], const uint8_t sig[KEY_SIG_SIZE],
	       const void *p, size_t n)
{
	if (sodium_ready() != 0)
		return -EIO;
	return crypto_sign_verify_detached(sig, p, n, pub) == 0 ?
		       0 :
		       -ERR_SIGNATURE;
}

void key_id(uint8_t out[KEY_ID_SIZE], const uint8_t pub[KEY_SIZE])
{
	static const uint8_t alg = 1;
	static const char context[] = "vouchfs/key/v1\n";
	struct digest_piece v[] = {
		{ context, sizeof(context) - 1 },
		{ &alg, 1 },
		{ pub, KEY_SIZE },
	};
	struct digest d;

	digest_sha256_pieces(&d, v, 3);
	memcpy(out, d.b, KEY_ID_SIZE);
}

void key_volume_id(uint8_t out[16], const char *origin, size_t origin_n,
		   const uint8_t (*admin)[KEY_SIZE], unsigned n_admin,
		   const uint8_t nonce[16])
{
	static const char context[] = "vouchfs/volume/v1\n";
	const uint8_t len[2] = { (uint8_t)origin_n, (uint8_t)(origin_n >> 8) };
	struct digest_piece v[] = {
		{ context, sizeof(context) - 1 },
		{ len, sizeof(len) },
		{ origin, origin_n },
		{ admin, (size_t)n_admin * KEY_SIZE },
		{ nonce, 16 },
	};
	struct digest d;

	assert(origin_n <= UINT16_MAX);
	digest_sha256_pieces(&d, v, 5);
	memcpy(out, d.b, 16);
}
