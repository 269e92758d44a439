/*
 * db.h - SQLite, as the index uses it: opening with every guard up, the
 * schema compared, errors as our codes, columns read with their type and
 * range checked.
 *
 * A connection is used by one thread at a time.
 */
#ifndef INDEX_DB_H
#define INDEX_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"

struct errmsg;

enum db_open_flags {
	DB_READ_ONLY = 1,
	DB_CREATE = 2, /* an empty file gets the schema */
};

/*
 * Opens the index at `path` (absolute).  -ENOENT; -ERR_FORMAT: no index, or
 * not our schema; -ERR_NEWER; -ERR_CORRUPT.  cache_kib: SQLite's page cache.
 */
int must_use db_open(sqlite3 **out, const char *path, int flags,
		     unsigned cache_kib, struct errmsg *em);
/*
 * The same checks for an index attached, read-only, to db as `schema`.  db
 * was opened with SQLITE_OPEN_URI.
 */
int must_use db_attach(sqlite3 *db, const char *path, const char *schema,
		       struct errmsg *em);
void db_close(sqlite3 *db); /* NULL ok; statements are finalized before */

/* What the last failed call on db means as one of our codes. */
int db_error(sqlite3 *db);
/* The same with SQLite's words. */
int db_fail(sqlite3 *db, struct errmsg *em, const char *what);

/* Runs SQL without results. */
int must_use db_exec(sqlite3 *db, const char *sql);
int must_use db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql);
/* Steps once: 1 row, 0 done, negative error. */
int must_use db_step(sqlite3_stmt *s);
/* Steps a statement without results to its end and resets it. */
int must_use db_run(sqlite3_stmt *s);
void db_reset(sqlite3_stmt *s); /* also clears the bindings */

/* Binds; bad values cannot be, so nothing is answered. Columns from 1. */
void db_bind_u64(sqlite3_stmt *s, int i, uint64_t v);
void db_bind_i64(sqlite3_stmt *s, int i, int64_t v);
void db_bind_u64_or_null(sqlite3_stmt *s, int i, uint64_t v); /* 0: NULL */
/* Borrowed until the statement is reset. */
void db_bind_blob(sqlite3_stmt *s, int i, const void *p, size_t n);
void db_bind_digest(sqlite3_stmt *s, int i, const struct digest *d);

/*
 * Reads columns (from 0); a type or range that cannot be sets *bad and gives
 * zero.  Readers check once, at the end.
 */
uint64_t db_u64(sqlite3_stmt *s, int i, bool *bad);
int64_t db_i64(sqlite3_stmt *s, int i, bool *bad);
uint32_t db_u32(sqlite3_stmt *s, int i, bool *bad);
uint64_t db_u64_or_zero(sqlite3_stmt *s, int i, bool *bad); /* NULL: 0 */
/* NULL gives zeros; *out_there (may be NULL) tells. */
void db_digest(sqlite3_stmt *s, int i, struct digest *out, bool *out_there,
	       bool *bad);
/* Borrowed until the next step; NULL gives NULL, 0; longer than max is bad. */
const void *db_blob(sqlite3_stmt *s, int i, size_t max, size_t *out_n,
		    bool *bad);

/*
 * Reentrant use of a kept statement: take gives the statement in *slot (or a
 * new one), give puts it back (or ends it when the slot was filled meanwhile).
 */
int must_use db_take(sqlite3 *db, sqlite3_stmt **slot, const char *sql,
		     sqlite3_stmt **out);
void db_give(sqlite3_stmt **slot, sqlite3_stmt *s);

#endif
