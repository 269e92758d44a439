/*
 * cert.h - key certificates: an admin says whose key this is.  Pure.
 *
 *   0  16  volume_id
 *   16  4  mount_no (0 for log and replica keys)
 *   20  1  role: 1 mount, 2 log, 3 replica
 *   21  1  alg 1
 *   22  2  0
 *   24 32  public key
 *   56  8  0
 *   64 64  the admin's Ed25519 over "vouchfs/cert/v1\n" || bytes 0..63
 */
#ifndef LEDGER_CERT_H
#define LEDGER_CERT_H

#include <stdint.h>

#include "base/auto.h"

struct key;

enum { CERT_SIZE = 128 };
enum { CERT_MOUNT_MAX = (1 << 23) - 2 };

struct cert {
	uint8_t volume_id[16];
	uint32_t mount_no;
	uint8_t role; /* enum key_role, not admin */
	uint8_t pub[32];
};

int must_use cert_make(uint8_t out[CERT_SIZE], const struct cert *c,
		       const struct key *admin);
/* Reads the fields; -ERR_FORMAT, -ERR_NEWER. The signature is not checked. */
int must_use cert_decode(struct cert *out, const uint8_t p[CERT_SIZE]);
/* 0 or -ERR_SIGNATURE. */
int must_use cert_verify(const uint8_t p[CERT_SIZE], const uint8_t admin[32]);

#endif
