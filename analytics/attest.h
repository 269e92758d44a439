/*
 * attest.h - what may be said about a file or a run to somebody elsewhere:
 * gathered from the ledger once, then put as an in-toto statement, as SLSA
 * provenance, or as OpenLineage events (vouchfs-statement(5)).
 *
 * Nothing is claimed beyond the ledger: what was opened is a material with
 * the strength of that; a statement always says that it is incomplete, and
 * where it is known, why.  Bounded: ATTEST_ITEMS_MAX subjects and materials;
 * what is beyond that is counted and said.
 *
 * Any thread, with a reader of its own, which outlives the struct.
 */
#ifndef ANALYTICS_ATTEST_H
#define ANALYTICS_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"

struct core;
struct cred;
struct entry;
struct errmsg;
struct run_view;

enum { ATTEST_ITEMS_MAX = 20000, ATTEST_PERHAPS_MAX = 64 };
enum { ATTEST_HOWS = 5 }; /* enum entry_run_how */

/* A version of a file. */
struct attest_item {
	struct idx_version v;
	uint8_t strength;    /* enum entry_strength: of writing, of opening */
	size_t path, path_n; /* in attest.paths; none: 0 */
};

struct attest_items {
	struct attest_item *v;
	size_t n;
	uint64_t left_out; /* there was no room */
};

struct attest {
	struct core *core;
	struct idx_reader *r;
	const struct cred *cr; /* who asks; NULL: who may see everything */
	bool is_run;
	struct attest_items subjects, materials;
	struct attest_items perhaps; /* opened by others of the same run */
	struct buf paths;
	uint64_t seals;	  /* of the log that the index had then */
	uint64_t unknown; /* opened, in no version of this log */
	uint64_t hidden;  /* opened, not to be seen by who asks */
	uint64_t unnamed; /* written by the run, gone when it ended */
	bool out_of_time; /* others of the run were not all looked at */
	bool has_import;  /* the file came from another volume */
	struct buf import_stored;
	struct entry *import; /* borrows from import_stored */
	bool has_actor;	      /* who wrote the file */
	struct idx_actor actor;
	uint64_t how[ATTEST_HOWS]; /* the run's programs: how it is known */
	bool has_run;
	struct idx_run run;
	bool has_start; /* an explicit run's RUN_START; borrows from stored */
	struct buf stored;
	struct entry *start;
};

/*
 * What is known of one version of a file (0: the newest).  -ENODATA: there is
 * no such version.  attest_release() in any case.
 */
int must_use attest_file(struct attest *out, struct core *c,
			 struct idx_reader *r, const struct cred *cr,
			 uint64_t ino, uint64_t version);
/* Of a run; plain digests that are owed are made while v has time. */
int must_use attest_run(struct attest *out, struct core *c,
			struct idx_reader *r, struct run_view *v,
			const struct idx_run *run);
void attest_release(struct attest *a);

/* Statements to be signed (ledger_attest); no newline at the end. */
int must_use attest_link(const struct attest *a, struct buf *out);
int must_use attest_slsa(const struct attest *a, struct buf *out);
/* OpenLineage run events, a line each. */
int must_use attest_openlineage(const struct attest *a, struct buf *out);
/* A run as a graph: one JSON object, W3C PROV-JSON, Graphviz, Mermaid. */
int must_use attest_json(const struct attest *a, struct buf *out);
int must_use attest_prov(const struct attest *a, struct buf *out);
int must_use attest_dot(const struct attest *a, struct buf *out);
int must_use attest_mermaid(const struct attest *a, struct buf *out);

#endif
