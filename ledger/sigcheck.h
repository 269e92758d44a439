/*
 * sigcheck.h - verifies many seals' signatures on a few threads.
 *
 * Jobs are taken from a bounded queue; what fails is told under one lock that
 * the caller may share for its own reports.
 */
#ifndef LEDGER_SIGCHECK_H
#define LEDGER_SIGCHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/thread.h"

struct sigcheck;

/* Called with `mu` held: the signature of seal `index` is not pub's. */
typedef void sigcheck_bad_fn(void *ctx, uint64_t index);

/* threads 0: everything is done in sigcheck_add. */
int must_use sigcheck_new(struct sigcheck **out, unsigned threads,
			  struct mutex *mu, sigcheck_bad_fn *bad, void *ctx);
/* Copies the seal; waits while the queue is full. */
void sigcheck_add(struct sigcheck *s, uint64_t index, const void *seal,
		  size_t n, const uint8_t pub[32]);
/* Waits until all are done, and frees; NULL is a no-op. */
void sigcheck_finish(struct sigcheck *s);

#endif
