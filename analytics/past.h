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
 * -ENODATA: the bytes were released (fs/retain.h).
 * For a file with writes that no version held then: a content to read from
 * (content_close it); NULL in *out: past_read needs none.
 */
int must_use past_content(const struct past *p, struct core *c,
			  struct content **out);
ssize_t must_use past_read(const struct past *p, struct core *c,
			   struct content *content, void *buf, size_t n,
			   uint64_t off);
/* SEEK_DATA or SEEK_HOLE, as content_seek. */
int must_use past_seek(const struct past *p, struct core *c,
		       struct content *content, uint64_t off, bool hole,
		       uint64_t *out);

#endif
