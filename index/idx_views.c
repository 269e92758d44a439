/*
 * idx_views.c - see idx_views.h.
 *
 * The views are part of index.db (schema_views.h) and use SQLite's own
 * functions alone, so there is nothing to register.
 *
 * Threads: one connection, one thread at a time.
 */
#include "index/idx_views.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "index/db.h"
#include "index/idx.h"
#include "index/schema_views.h"

enum { VIEWS_PATH = 4096 };

const char *const idx_views_names[] = {
#define X(type, name, table, sql) name,
	SCHEMA_VIEWS(X)
#undef X
		NULL
};

int idx_views_install(sqlite3 *db, const char *dir, struct errmsg *em)
{
	char path[VIEWS_PATH];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, IDX_NAME);

	if (n < 0 || (size_t)n >= sizeof(path))
		return errmsg_set(em, -ENAMETOOLONG, "path is too long");
	return db_attach(db, path, "audit", em);
}

int idx_views_open(sqlite3 **out, const char *dir, struct errmsg *em)
{
	sqlite3 *db = NULL;
	int rc;

	if (sqlite3_open_v2(":memory:", &db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI |
				    SQLITE_OPEN_NOMUTEX,
			    NULL)) {
		rc = db ? db_fail(db, em, "cannot open a database") : -ENOMEM;
		goto fail;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, 10000);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	rc = idx_views_install(db, dir, em);
	if (!rc)
		rc = db_exec(db, "PRAGMA cell_size_check=ON;"
				 "PRAGMA query_only=ON");
	if (rc)
		goto fail;
	*out = db;
	return 0;
fail:
	db_close(db);
	return rc;
}
