/*
 * idx_views.h - the index as SQL: a connection whose schema `audit` holds the
 * views of vouchfs-query(5), for reading only.
 */
#ifndef INDEX_IDX_VIEWS_H
#define INDEX_IDX_VIEWS_H

#include <sqlite3.h>

#include "base/auto.h"

struct errmsg;

/* What a query may use: the views' names, NULL ends the list. */
extern const char *const idx_views_names[];

/*
 * Attaches STORE/index.db, read-only, as schema `audit` to db, which was
 * opened with SQLITE_OPEN_URI; the file is checked to be an index of ours.
 * `files` and `audit.files` then both name the view.  The caller has set (or
 * sets) limits, an authorizer and a progress handler of its own.
 */
int must_use idx_views_install(sqlite3 *db, const char *dir, struct errmsg *em);
/*
 * A connection with nothing but that: an empty memory database as main,
 * defensive, no trusted schema, query_only.  Close with sqlite3_close.
 */
int must_use idx_views_open(sqlite3 **out, const char *dir, struct errmsg *em);

#endif
