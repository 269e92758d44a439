/*
 * attest_int.h - for attest*.c: sets of versions while they are gathered, and
 * the pieces of JSON that several forms have in common.
 */
#ifndef ANALYTICS_ATTEST_INT_H
#define ANALYTICS_ATTEST_INT_H

#include "analytics/attest.h"

struct attest_pair {
	uint64_t ino, version;
	uint64_t reads_no; /* the READS that says so */
	uint8_t strength;
};

struct attest_pairs {
	struct attest_pair *v;
	size_t n, cap;
	uint64_t left_out;
	bool full; /* sorted, which left little room: not once more */
};

/* --- attest_print.c --- */

/* "urn:vouchfs:volume:HEX" */
void attest_print_volume(const struct attest *a, struct buf *out);
/* in-toto ResourceDescriptors, commas between. */
void attest_print_items(const struct attest *a, struct buf *out,
			const struct attest_items *t);
/*
 * Those of all that was opened, of the executable where its digest is known,
 * and of the commit that the code was at.
 */
void attest_print_materials(const struct attest *a, struct buf *out);
/* The command as a JSON array of strings. */
void attest_print_command(const struct attest *a, struct buf *out);
/* NAME: sha256 of the value, as a JSON object. */
void attest_print_environment(const struct attest *a, struct buf *out);
/* What is known of the run and the writer, and how sure: a JSON object. */
void attest_print_details(const struct attest *a, struct buf *out);
/* What it is called: the run, else the program. */
void attest_print_name(const struct attest *a, struct buf *out);

#endif
