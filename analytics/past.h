/*
 * past.h - an inode as it was after an entry of the log: attributes replayed
 * from its entries, content by its version then.
 *
 * Immutable once made; any thread may read it.
 */
#ifndef ANALYTICS_PAST_H
#define ANALYTICS_PAST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/digest.h"

struct content;
struct core;
struct entry;
struct idx_reader;
struct stat;

struct past {
	uint64_t at, ino;
	uint32_t mode, uid, gid; /* mode 0: it was not there */
	uint64_t rdev, size;
	uint64_t allocated; /* of the version then */
	int64_t atime_ns, mtime_ns, ctime_ns;
	uint32_t nlink;
	char *target;	    /* of a symbolic link */
	struct digest root; /* of the version then; zero: none */
	uint64_t version_size;
	uint64_t extents_from; /* first EXTENTS after that version; 0: none */
	bool unreadable;       /* the version's body is redacted */
};

/* 0 and *out, -ENOENT, or an error of the journal. */
int must_use past_load(struct past **out, struct core *c, struct idx_reader *r,
		       uint64_t ino, uint64_t at);
void past_free(void *past); /* struct past; NULL ok */
void past_stat(const struct past *p, struct stat *out);

/*
 * Calls fn for every applied entry about ino in from..at, in order;
 * attributes: without contents (idx_history()).
 */
typedef int past_entry_fn(void *ctx, const struct entry *e, uint64_t no);
int must_use past_entries(struct core *c, struct idx_reader *r, uint64_t ino,
			  uint64_t from, uint64_t at, bool attributes,
			  past_entry_fn *fn, void *ctx);

/*
 * A content to read the bytes of then from (content_close it); while it is
 * open gc takes none of them.  -ENODATA: they were released (fs/upkeep/retain.h).
 */
int must_use past_content(const struct past *p, struct core *c,
			  struct content **out);
/* As content_read; -ENODATA: gc took what was saved between two versions. */
ssize_t must_use past_read(const struct past *p, struct content *content,
			   void *buf, size_t n, uint64_t off);

#endif
