/*
 * idx_list.c - rows that are needed together in one statement: names with
 * their inodes, and inodes that follow each other.
 *
 * A statement for each inode costs 3.5 us of CPU, most of it to start and to
 * end; joined to the names in the order of their cookies an inode costs 0.9
 * with what stat(2) wants, 1.1 with everything.
 *
 * A row that cannot be is given as one that is not there: whoever needs it
 * asks for it alone, and is told.
 *
 * Threads: as idx_reader.c.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/limits.h"
#include "index/idx_internal.h"
#include "index/reader_internal.h"

enum { LIST_COLUMNS = 5 }; /* of the name, before those of the inode */

/* The columns of LIST_STAT. */
static void stat_read(sqlite3_stmt *s, struct inode_row *r)
{
	enum { C = LIST_COLUMNS };
	bool bad = false;

	r->mode = db_u32(s, C, &bad);
	r->uid = db_u32(s, C + 1, &bad);
	r->gid = db_u32(s, C + 2, &bad);
	r->rdev = db_u64(s, C + 3, &bad);
	r->nlink = db_u32(s, C + 4, &bad);
	r->flags = db_u32(s, C + 5, &bad);
	r->size = db_u64(s, C + 6, &bad);
	r->atime_ns = db_i64(s, C + 7, &bad);
	r->mtime_ns = db_i64(s, C + 8, &bad);
	r->ctime_ns = db_i64(s, C + 9, &bad);
	r->allocated = db_u64(s, C + 10, &bad);
	if (bad || r->mode > 0177777 || r->size > LIMIT_FILE_SIZE ||
	    r->allocated > LIMIT_FILE_SIZE)
		r->ino = 0;
}

int idx_list(struct idx_reader *r, uint64_t parent, uint64_t after,
	     uint32_t max, bool whole, idx_listed_fn *fn, void *ctx)
{
	enum reader_statement id =
		whole ? READER_S_LIST_ROWS : READER_S_LIST_STAT;
	struct inode_row inode = { .ino = 0 };
	sqlite3_stmt *s = NULL;
	struct name_row row;
	const char *name;
	uint16_t len;
	int rc;

	if (after > INT64_MAX)
		return 0;
	rc = idx_reader_take(r, id, &s);
	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_u64(s, 2, after);
	db_bind_u64(s, 3, max);
	while ((rc = db_step(s)) > 0) {
		rc = idx_reader_listed(s, &row, &name, &len, parent);
		if (rc)
			break;
		inode.ino = row.ino;
		if (!whole)
			stat_read(s, &inode);
		else if (idx_row_read(s, LIST_COLUMNS, &inode))
			inode = (struct inode_row){ .ino = 0 };
		rc = fn(ctx, &row, name, len, &inode);
		if (rc)
			break;
	}
	idx_reader_give(r, id, s);
	return rc;
}

int idx_name_inode(struct idx_reader *r, struct name_row *out,
		   struct inode_row *out_inode, uint64_t parent,
		   const char *name, uint16_t len)
{
	sqlite3_stmt *s = NULL;
	const char *found;
	uint16_t n;
	int rc = idx_reader_take(r, READER_S_NAME_INODE, &s);

	*out_inode = (struct inode_row){ .ino = 0 };
	if (rc)
		return rc;
	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name, len);
	rc = db_step(s);
	if (rc > 0) {
		rc = idx_reader_listed(s, out, &found, &n, parent);
		if (!rc && idx_row_read(s, LIST_COLUMNS, out_inode))
			*out_inode = (struct inode_row){ .ino = 0 };
		rc = rc ? rc : 1;
	}
	idx_reader_give(r, READER_S_NAME_INODE, s);
	return rc;
}

int idx_inodes_from(struct idx_reader *r, uint64_t ino, uint32_t max,
		    idx_inode_fn *fn, void *ctx)
{
	struct inode_row inode;
	sqlite3_stmt *s = NULL;
	int rc;

	if (ino > INT64_MAX)
		return 0;
	rc = idx_reader_take(r, READER_S_INODES_FROM, &s);
	if (rc)
		return rc;
	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, max);
	while ((rc = db_step(s)) > 0) {
		if (idx_row_read(s, 0, &inode))
			continue;
		rc = fn(ctx, &inode);
		if (rc)
			break;
	}
	idx_reader_give(r, READER_S_INODES_FROM, s);
	return rc;
}
