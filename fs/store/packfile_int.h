/*
 * packfile_int.h - what packfile.c and packfile_open.c share.
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

/* Before a read of n bytes at off: what comes next?  packfile_ahead.c */
void packfile_ahead(struct packfile *f, struct vio_file *file, uint64_t off,
		    uint64_t n);

#endif
