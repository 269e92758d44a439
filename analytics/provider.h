/*
 * provider.h - the virtual trees of one mounted volume: /audit and the
 * results in /query.  Implements fs/fuse/vdir.h.
 */
#ifndef ANALYTICS_PROVIDER_H
#define ANALYTICS_PROVIDER_H

#include <stdint.h>

#include "base/auto.h"

struct core;
struct errmsg;
struct provider;
struct vdir;

struct provider_options {
	uint32_t audit_gid; /* may read whole-ledger views; UINT32_MAX: none */
	uint32_t query_time_ms;	     /* 0: 10,000 */
	uint64_t query_memory_bytes; /* 0: 256 MiB */
	uint64_t query_result_bytes; /* 0: 256 MiB */
};

/* o may be NULL.  The core outlives the provider. */
int must_use provider_open(struct provider **out, struct core *c,
			   const struct provider_options *o,
			   struct vdir *out_vdir, struct errmsg *em);
/* When no call can come any more; NULL ok. */
void provider_close(struct provider *p);

#endif
