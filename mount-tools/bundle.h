/*
 * bundle.h - a tree that left a volume, with where its files come from beside
 * it: BUNDLE/tree, BUNDLE/provenance.jsonl, BUNDLE/trust
 * (vouchfs-statement(5)).
 *
 * Everything in a bundle is hostile until bundle_verify() says otherwise, and
 * then it is what the keys in the trust file say, if those are believed.
 */
#ifndef MOUNT_TOOLS_BUNDLE_H
#define MOUNT_TOOLS_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "ledger/bundle_line.h"

struct buf;
struct ctl_place;
struct errmsg;
struct json;
struct trust;

enum { BUNDLE_FILES_MAX = 10 << 20 };

struct bundle {
	int fd;		       /* provenance.jsonl */
	struct bundle_line *v; /* by path */
	size_t n, cap;
	uint64_t proved, unproved;
};

/*
 * Writes DIR/provenance.jsonl for the files of DIR/tree, which are those that
 * were below `inside` ("" or "/a/b") in the volume as of entry `at`, IDX_NOW:
 * are.  files: how many there are, for the progress bar.
 */
struct bundle_from {
	const struct ctl_place *place;
	const char *inside;
	uint64_t at, files;
};
int must_use bundle_write(uint64_t *out_proved, uint64_t *out_unproved,
			  const struct bundle_from *from, const char *dir,
			  struct errmsg *em);

/* Reads the lines; bundle_close() in any case. */
int must_use bundle_open(struct bundle *out, const char *dir,
			 struct errmsg *em);
void bundle_close(struct bundle *b);
/* The line of a path; NULL: there is none. */
struct bundle_line *bundle_find(const struct bundle *b, const char *path);
/* Appends the proof of a line that has one. */
int must_use bundle_proof(const struct bundle *b, const struct bundle_line *l,
			  struct buf *out, struct errmsg *em);
/*
 * Each file of DIR/tree is what its line and its proof say, none is missing
 * and none is more.
 */
int must_use bundle_verify(struct bundle *b, const char *dir,
			   const struct trust *t, struct errmsg *em);

#endif
