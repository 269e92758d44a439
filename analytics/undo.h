/*
 * undo.h - what would take back what a run did, as things are now.
 *
 * A line of JSON for each inode that the run left other than it was: what
 * brings it back (remove, make, change), or why that is not done, and who has
 * changed it since, and when.  `vouch undo` shows it or does it by ordinary
 * system calls; contents come back by the attribute UNDO_ATTRIBUTE, which
 * shares the old chunks and takes effect only on the version that the plan
 * saw.  vouchfs-audit(5) has the form.
 *
 * What is as it was before the run is in no line, so a plan that was carried
 * out in part leaves the rest, and one of a run that is undone is empty.
 *
 * Any thread, with a reader of its own.
 */
#ifndef ANALYTICS_UNDO_H
#define ANALYTICS_UNDO_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct core;
struct cred;
struct idx_reader;
struct idx_run;
struct run_view;
struct spool;

/* Names of what is on its way: then 8 digits of the run's id, a dot, a number. */
#define UNDO_TEMPORARY ".vouch-undo."
#define UNDO_ATTRIBUTE "user.vouch.restore"
#define UNDO_EXPECT "user.vouch.expect"

/* -ERR_LIMIT: more than UNDO_MAX inodes, or the spool is full. */
enum { UNDO_MAX = 1 << 18 };
int must_use undo_report(struct core *c, struct run_view *v,
			 struct idx_reader *r, const struct idx_run *run,
			 struct spool *out);

/*
 * The same of what anybody did after entry `since`, which people call `when`:
 * what would make everything as it was.  It is for one who may see all.
 */
int must_use undo_report_since(struct core *c, struct run_view *v,
			       struct idx_reader *r, uint64_t since,
			       const char *when, struct spool *out);

/*
 * setxattr(2) of UNDO_ATTRIBUTE: the kernel has seen that cr may write the
 * file.  -EBUSY: it is another version than the value expects; -EACCES: cr may
 * not read what is asked for; -ENODATA: that was released; -EINVAL.
 */
int must_use undo_put(struct core *c, const struct cred *cr, uint64_t ino,
		      const char *value, size_t n);

/* setxattr(2) of UNDO_EXPECT, on whatever the caller may write. */
int must_use undo_expect(struct core *c, const struct cred *cr,
			 const char *value, size_t n);

#endif
