/*
 * key.h - Ed25519 keys: make, load, save, sign; key and volume ids.
 *
 * Secrets live in guarded memory and are wiped by key_free().  A key file is
 * one line of text, mode 0600 enforced:
 *   vouchfs-key-v1 ROLE BASE64(public) BASE64(seed)
 * A struct key is immutable; any thread may sign with it.
 */
#ifndef LEDGER_KEY_H
#define LEDGER_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct vio;
struct errmsg;
struct key;

enum key_role {
	KEY_MOUNT = 1, /* signs seals */
	KEY_LOG = 2,   /* signs checkpoints */
	KEY_REPLICA = 3,
	KEY_ADMIN = 4, /* signs certificates */
};

enum { KEY_SIZE = 32, KEY_SIG_SIZE = 64, KEY_ID_SIZE = 16 };

/* "mount", "log", "replica", "admin"; NULL beyond. */
const char *key_role_name(unsigned role);

/* A fresh key from v's randomness. */
int must_use key_generate(struct key **out, enum key_role role, struct vio *v);
int must_use key_from_seed(struct key **out, enum key_role role,
			   const uint8_t seed[32]);
/* -ENOENT; -ERR_KEYPERM: others can read it; -ERR_KEY: not this role, damaged. */
int must_use key_load(struct key **out, struct vio *v, const char *path,
		      enum key_role role, struct errmsg *em);
/* Replaces the file atomically, 0600, durable. */
int must_use key_save(const struct key *k, struct vio *v, const char *path,
		      struct errmsg *em);
void key_free(struct key *k); /* NULL is a no-op; wipes */

enum key_role key_role(const struct key *k);
const uint8_t *key_public(const struct key *k); /* 32 bytes, borrowed */
void key_sign(const struct key *k, uint8_t out[KEY_SIG_SIZE], const void *p,
	      size_t n);
/* 0 or -ERR_SIGNATURE. */
int must_use key_verify(const uint8_t pub[KEY_SIZE],
			const uint8_t sig[KEY_SIG_SIZE], const void *p,
			size_t n);

/* SHA-256("vouchfs/key/v1\n" || 1 || pub)[:16]. */
void key_id(uint8_t out[KEY_ID_SIZE], const uint8_t pub[KEY_SIZE]);

/* SHA-256("vouchfs/volume/v1\n" || str origin || keys || nonce)[:16]. */
void key_volume_id(uint8_t out[16], const char *origin, size_t origin_n,
		   const uint8_t (*admin)[KEY_SIZE], unsigned n_admin,
		   const uint8_t nonce[16]);

#endif
