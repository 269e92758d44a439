/*
 * packfile_int.h - what the files of a pack share.
 */
#ifndef FS_PACKFILE_INT_H
#define FS_PACKFILE_INT_H

#include "fs/store/packfile.h"

struct packfile *packfile_new(const struct packfile_options *o);
/* Opens the file if need be and keeps it open until _unpin. */
int must_use packfile_pin(struct packfile *f, struct vio_file **out);
void packfile_unpin(struct packfile *f);
/* Closes the file if nobody uses it. */
void packfile_forget(struct packfile *f);
/* What is known of its records: forgotten. */
void packfile_lists_free_locked(struct packfile *f) requires_capability(&f->mu);
int must_use packfile_entry_add(struct packfile *f, const struct pack_entry *e)
	requires_capability(&f->mu);

/* Flushes what was written through `file` elsewhere than at the end. */
int must_use packfile_flush_file(struct packfile *f, struct vio_file *file);
/* Waits until no flush and no pace runs.  -EIO: one was told an error. */
int must_use packfile_quiet_locked(struct packfile *f)
	requires_capability(&f->mu);

/* Before a read of n bytes at off: what comes next?  packfile_ahead.c */
void packfile_ahead(struct packfile *f, struct vio_file *file, uint64_t off,
		    uint64_t n);

#endif
