/*
 * retain.h - what is kept: the volume's retention policy, legal holds, and
 * the releases that they allow.
 *
 * Nothing is released that a policy does not name: without one everything is
 * kept.  A release is an entry (GC): it says which versions, and under which
 * POLICY; from there on their bytes are garbage, which core_gc (gc.h) takes.
 * What is kept whatever a policy says, and which of a file's names counts, is
 * told in vouchfs-ledger(5), WHAT IS KEPT.
 *
 * A version without a plain digest (SHA-256) gets one before its bytes go, so
 * that a copy somebody keeps can still be proved; where that is not possible
 * any more (the file is gone, too) its tree root alone says what it held.
 *
 * The log is believed, not the index: policy and holds are read from the
 * journal, and a version is released only after the journal said that it is
 * that version and what came after it.
 *
 * Threads: any.  A change of policy or of holds and a page of releases
 * exclude each other (core.retain_mu), so that nothing is released after the
 * hold that covers it was answered.
 */
#ifndef FS_RETAIN_H
#define FS_RETAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;
struct core;
struct cred;
struct entry_release;
struct entry_rule;
struct errmsg;
struct idx_reader;

/*
 * The policy in force with one rule set: that of the same pattern is changed
 * where it stands, else it comes last; position (from 1, 0: not said) puts it
 * there.  -EINVAL: a pattern that no path matches, a position beyond the end.
 */
int must_use retain_set(struct core *c, const struct cred *cr,
			const struct entry_rule *rule, uint32_t position,
			uint64_t *out_no, struct errmsg *em);
/* The policy in force without a rule.  -ENOENT. */
int must_use retain_remove(struct core *c, const struct cred *cr,
			   const char *pattern, uint64_t *out_no,
			   struct errmsg *em);

/* Enters a HOLD on what pattern matches, or (NULL) on inode ino. */
int must_use retain_hold(struct core *c, const struct cred *cr,
			 const char *pattern, uint64_t ino, const char *reason,
			 uint64_t *out_no, struct errmsg *em);
/* Ends the HOLD entry `hold_no`.  -ENOENT: no such hold in force. */
int must_use retain_lift(struct core *c, const struct cred *cr,
			 uint64_t hold_no, const char *reason, uint64_t *out_no,
			 struct errmsg *em);

struct retain_options {
	bool dry_run; /* counts, enters nothing */
	/*
	 * With dry_run (may be NULL): what would be entered, by inode and
	 * version ascending over all calls.  Negative ends the run.
	 */
	int (*due)(void *ctx, const struct entry_release *v, unsigned n);
	/* Candidates looked at and in all (about).  Nonzero: -ECANCELED. */
	int (*progress)(void *ctx, uint64_t done, uint64_t all);
	/* Versions that stay because index and journal disagree. */
	void (*found)(void *ctx, const char *words);
	void *ctx;
};

struct retain_report {
	uint64_t policy_no;	  /* in force; 0: none */
	uint64_t candidates;	  /* old versions, not released before */
	uint64_t released;	  /* versions */
	uint64_t released_bytes;  /* their sizes as files */
	uint64_t files;		  /* they are of */
	uint64_t entries;	  /* GC entries */
	uint64_t held, snapshots; /* kept for that although due */
	uint64_t wrong;	     /* kept: the index disagrees with the journal */
	uint64_t digests;    /* made first, of versions that had none */
	uint64_t undigested; /* released without: their file is gone */
};

/*
 * Enters GC entries for all that is due, and waits until the index has them.
 * What was entered before an error stays.  -ECANCELED; -EROFS.
 */
int must_use retain_release(struct core *c, const struct cred *cr,
			    struct retain_report *out,
			    const struct retain_options *o, struct errmsg *em);

/*
 * Appends "its bytes were released on DATE by entry 8.1, under the policy of
 * entry 4.1" for the released_no of a struct idx_version.
 */
void retain_words(struct buf *out, struct idx_reader *r, uint64_t released_no);

#endif
