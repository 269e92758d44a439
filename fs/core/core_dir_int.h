/*
 * core_dir_int.h - a page of a listing, for core_dir.c, which makes and uses
 * pages, and core_dir_ahead.c, which keeps some until they are asked for.
 */
#ifndef FS_CORE_DIR_INT_H
#define FS_CORE_DIR_INT_H

#include "fs/core/core_internal.h"

struct dir_page;

/* The names of `dir` after the cookie, at most max; NULL without memory. */
struct dir_page *core_dir_page_new(struct core *c, uint64_t dir, uint64_t after,
				   size_t max, bool plus);
void core_dir_page_free(struct dir_page *p); /* NULL ok */
/* Reads memory, then the index.  May take as long as SQLite does. */
int must_use core_dir_page_read(struct dir_page *p);
/* Nothing was queued since it was read. */
bool core_dir_page_fresh(const struct dir_page *p);

/*
 * The page that core_readdir_ahead read or is reading, now the caller's; NULL
 * when there is none.
 */
struct dir_page *core_dir_ahead_take(struct core *c, uint64_t dir,
				     uint64_t after, bool plus);
void core_dir_ahead_init(struct core *c);
void core_dir_ahead_release(struct core *c);

#endif
