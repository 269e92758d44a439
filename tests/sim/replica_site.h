/*
 * replica_site.h - a store and its replicas in tests: each on a simulated disk
 * of its own, the followers working in replicate_step only.
 */
#ifndef TESTS_SIM_REPLICA_SITE_H
#define TESTS_SIM_REPLICA_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/replica/replicate.h"
#include "fs/store/store.h"
#include "tests/sim/vio_sim.h"

extern const uint8_t site_volume[16];

/* A store and two replicas, each on a disk of its own. */
struct site {
	struct vio_sim *home;
	struct vio_sim *away[2];
	struct store *store;
	struct replicate *follow;
	unsigned repairs, failures;
	uint64_t journal; /* durable bytes of the journal */
};

/* A store with a journal of one record, and so many replicas. */
void site_new(struct site *x, int replicas);
void site_free(struct site *x);
void site_open(struct site *x, int replicas);
void site_close(struct site *x);
void site_add(struct site *x, int i); /* the i-th replica */
void site_journal(struct site *x, const char *text);
/* Chunks k of from..to-1, and whether one can be read: 0 or -errno. */
void site_put(struct store *s, uint64_t from, uint64_t to);
int site_check(struct store *s, uint64_t k);
/* True when the file of b is a beginning of a's, and not empty. */
bool site_same(struct vio_sim *a, struct vio_sim *b, const char *name);
/* So many replicas have the position. */
void site_have(struct site *x, uint64_t position, uint32_t want);

#endif
