/*
 * db.c - see db.h.
 *
 * What makes a hostile file harmless: its schema must be ours to the letter
 * (no triggers, no views of its own, no generated columns), schema functions
 * are not trusted, SQLite checks the size of every cell, the file is never
 * mapped into memory, and every column is read through the checks below.
 */
#include "index/db.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "index/schema.h"
#include "index/schema_views.h"

static int code_of(int sqlite_code)
{
	if (sqlite_code == SQLITE_IOERR_SHMSIZE) /* no room for its 32 KiB */
		return -ENOSPC;
	switch (sqlite_code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return -ERR_CORRUPT;
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return -ERR_FORMAT;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR:
		return -EIO;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_INTERRUPT:
		return -EINTR;
	default:
		return -ERR_SQL;
	}
}

/* SQLite knows ENOSPC; what a quota refuses it calls an I/O error. */
static int code_on(sqlite3 *db, int sqlite_code)
{
	int rc = code_of(sqlite_code);

	return rc == -EIO && sqlite3_system_errno(db) == EDQUOT ? -ENOSPC : rc;
}

int db_error(sqlite3 *db)
{
	int rc = code_on(db, sqlite3_extended_errcode(db));

	return rc ? rc : -ERR_SQL;
}

int db_fail(sqlite3 *db, struct errmsg *em, const char *what)
{
	return errmsg_set(em, db_error(db), "%s: %s", what, sqlite3_errmsg(db));
}

int db_exec(sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : code_on(db, sqlite3_extended_errcode(db));
}

int db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out,
			       NULL) != SQLITE_OK)
		return db_error(db);
	return 0;
}

int db_step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	rc = code_on(sqlite3_db_handle(s), rc);
	return rc ? rc : -ERR_SQL;
}

void db_reset(sqlite3_stmt *s)
{
	if (!s)
		return;
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
}

int db_run(sqlite3_stmt *s)
{
	int rc = db_step(s);

	db_reset(s);
	return rc < 0 ? rc : 0;
}

void db_bind_i64(sqlite3_stmt *s, int i, int64_t v)
{
	(void)sqlite3_bind_int64(s, i, v);
}

void db_bind_u64(sqlite3_stmt *s, int i, uint64_t v)
{
	(void)sqlite3_bind_int64(s, i, (int64_t)v);
}

void db_bind_u64_or_null(sqlite3_stmt *s, int i, uint64_t v)
{
	if (v)
		db_bind_u64(s, i, v);
	else
		(void)sqlite3_bind_null(s, i);
}

void db_bind_blob(sqlite3_stmt *s, int i, const void *p, size_t n)
{
	if (n)
		(void)sqlite3_bind_blob64(s, i, p, n, SQLITE_STATIC);
	else
		(void)sqlite3_bind_zeroblob(s, i, 0);
}

void db_bind_digest(sqlite3_stmt *s, int i, const struct digest *d)
{
	if (digest_is_zero(d))
		(void)sqlite3_bind_null(s, i);
	else
		db_bind_blob(s, i, d->b, DIGEST_SIZE);
}

/*
 * The column is found once, not for its type and again for its value: 15 % of
 * what reading a row costs.  Such a value is good for one thread, as every
 * connection of ours is.
 */
int64_t db_i64(sqlite3_stmt *s, int i, bool *bad)
{
	sqlite3_value *v = sqlite3_column_value(s, i);

	if (sqlite3_value_type(v) != SQLITE_INTEGER) {
		*bad = true;
		return 0;
	}
	return sqlite3_value_int64(v);
}

uint64_t db_u64(sqlite3_stmt *s, int i, bool *bad)
{
	return (uint64_t)db_i64(s, i, bad);
}

uint32_t db_u32(sqlite3_stmt *s, int i, bool *bad)
{
	int64_t v = db_i64(s, i, bad);

	if (v < 0 || v > UINT32_MAX) {
		*bad = true;
		return 0;
	}
	return (uint32_t)v;
}

uint64_t db_u64_or_zero(sqlite3_stmt *s, int i, bool *bad)
{
	if (sqlite3_column_type(s, i) == SQLITE_NULL)
		return 0;
	return db_u64(s, i, bad);
}

const void *db_blob(sqlite3_stmt *s, int i, size_t max, size_t *out_n,
		    bool *bad)
{
	sqlite3_value *v = sqlite3_column_value(s, i);
	int type = sqlite3_value_type(v);
	const void *p;
	int n;

	*out_n = 0;
	if (type == SQLITE_NULL)
		return NULL;
	if (type != SQLITE_BLOB) {
		*bad = true;
		return NULL;
	}
	p = sqlite3_value_blob(v);
	n = sqlite3_value_bytes(v);
	if (n < 0 || (size_t)n > max || (n && !p)) {
		*bad = true;
		return NULL;
	}
	*out_n = (size_t)n;
	return n ? p : "";
}

void db_digest(sqlite3_stmt *s, int i, struct digest *out, bool *out_there,
	       bool *bad)
{
	size_t n;
	const void *p = db_blob(s, i, DIGEST_SIZE, &n, bad);

	if (p && n == DIGEST_SIZE)
		memcpy(out->b, p, DIGEST_SIZE);
	else
		*out = digest_zero;
	if (p && n != DIGEST_SIZE)
		*bad = true;
	if (out_there)
		*out_there = p != NULL;
}

int db_take(sqlite3 *db, sqlite3_stmt **slot, const char *sql,
	    sqlite3_stmt **out)
{
	if (*slot) {
		*out = take(*slot);
		return 0;
	}
	return db_prepare(db, out, sql);
}

void db_give(sqlite3_stmt **slot, sqlite3_stmt *s)
{
	if (!s)
		return;
	db_reset(s);
	if (*slot)
		(void)sqlite3_finalize(s);
	else
		*slot = s;
}

/* --- opening --- */

struct schema_item {
	const char *type, *name, *table, *sql;
};

static const struct schema_item items_wanted[] = {
#define X(type, name, table, sql) { type, name, table, sql },
	SCHEMA_TABLES(X) SCHEMA_VIEWS(X)
#undef X
};
enum { SCHEMA_ITEMS = sizeof(items_wanted) / sizeof(items_wanted[0]) };

static bool column_is(sqlite3_stmt *s, int i, const char *want)
{
	const unsigned char *p = sqlite3_column_text(s, i);

	return p && !strcmp((const char *)p, want);
}

/* Every item is there as written here, and nothing else. */
static int check_schema(sqlite3 *db, const char *in, struct errmsg *em)
{
	sqlite3_stmt *s = NULL;
	char sql[128];
	unsigned n = 0;
	int rc;

	(void)sqlite3_snprintf(sizeof(sql), sql,
			       "SELECT type, name, tbl_name, sql FROM"
			       " \"%w\".sqlite_schema ORDER BY rowid",
			       in);
	rc = db_prepare(db, &s, sql);
	if (rc)
		return db_fail(db, em, "cannot read the index's schema");
	while ((rc = db_step(s)) > 0) {
		if (n >= SCHEMA_ITEMS ||
		    !column_is(s, 0, items_wanted[n].type) ||
		    !column_is(s, 1, items_wanted[n].name) ||
		    !column_is(s, 2, items_wanted[n].table) ||
		    !column_is(s, 3, items_wanted[n].sql)) {
			rc = errmsg_set(em, -ERR_FORMAT,
					"the index has not the tables it "
					"should have");
			break;
		}
		n++;
	}
	if (rc < 0 && rc != -ERR_FORMAT)
		(void)db_fail(db, em, "cannot read the index's schema");
	if (!rc && n != SCHEMA_ITEMS)
		rc = errmsg_set(em, -ERR_FORMAT, "the index lacks tables");
	(void)sqlite3_finalize(s);
	return rc;
}

/* fmt: SQL with %w for the schema's name. */
static int number_get(sqlite3 *db, const char *fmt, const char *in,
		      int64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool bad = false;
	char sql[96];
	int rc;

	(void)sqlite3_snprintf(sizeof(sql), sql, fmt, in);
	rc = db_prepare(db, &s, sql);
	if (rc)
		return rc;
	rc = db_step(s);
	if (rc > 0)
		*out = db_i64(s, 0, &bad);
	(void)sqlite3_finalize(s);
	if (rc < 0)
		return rc;
	return rc == 0 || bad ? -ERR_CORRUPT : 0;
}

static int create_schema(sqlite3 *db, struct errmsg *em)
{
	char sql[96];
	unsigned i;
	int rc;

	rc = db_exec(db, "BEGIN IMMEDIATE");
	for (i = 0; !rc && i < SCHEMA_ITEMS; i++)
		rc = db_exec(db, items_wanted[i].sql);
	if (!rc)
		rc = db_exec(db, "INSERT INTO meta VALUES(1, 0, zeroblob(32),"
				 " 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
	if (!rc) {
		(void)sqlite3_snprintf(sizeof(sql), sql,
				       "PRAGMA application_id=%d;"
				       "PRAGMA user_version=%d;COMMIT",
				       SCHEMA_APPLICATION, SCHEMA_VERSION);
		rc = db_exec(db, sql);
	}
	if (rc) {
		rc = db_fail(db, em, "cannot make the index's tables");
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	}
	return rc;
}

/* Is the file an index of ours?  An empty one is made one. */
static int identify(sqlite3 *db, const char *in, int flags, struct errmsg *em)
{
	int64_t app = 0, version = 0, items = 0;
	int rc;

	rc = number_get(db, "PRAGMA \"%w\".application_id", in, &app);
	if (!rc)
		rc = number_get(db, "PRAGMA \"%w\".user_version", in, &version);
	if (!rc)
		rc = number_get(db, "SELECT count(*) FROM \"%w\".sqlite_schema",
				in, &items);
	if (rc)
		return db_fail(db, em, "cannot read the index");
	if (!app && !version && !items && flags & DB_CREATE)
		return create_schema(db, em);
	if (app != SCHEMA_APPLICATION)
		return errmsg_set(em, -ERR_FORMAT, "the file is no index");
	if (version > SCHEMA_VERSION)
		return errmsg_set(em, -ERR_NEWER,
				  "the index is of format %lld, newer than %d",
				  (long long)version, SCHEMA_VERSION);
	if (version < SCHEMA_VERSION)
		return errmsg_set(em, -ERR_FORMAT,
				  "the index is of the old format %lld",
				  (long long)version);
	return check_schema(db, in, em);
}

static int configure(sqlite3 *db, int flags, unsigned cache_kib)
{
	char sql[64];
	int rc;

	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_busy_timeout(db, 10000);
	(void)sqlite3_extended_result_codes(db, 1);
	rc = db_exec(db, "PRAGMA cell_size_check=ON;PRAGMA mmap_size=0;"
			 "PRAGMA temp_store=MEMORY");
	(void)sqlite3_snprintf(sizeof(sql), sql, "PRAGMA cache_size=-%u",
			       cache_kib);
	if (!rc)
		rc = db_exec(db, sql);
	if (!rc && !(flags & DB_READ_ONLY))
		rc = db_exec(db, "PRAGMA journal_mode=WAL;"
				 "PRAGMA synchronous=NORMAL;"
				 "PRAGMA wal_autocheckpoint=4096;"
				 "PRAGMA journal_size_limit=67108864");
	return rc;
}

int db_open(sqlite3 **out, const char *path, int flags, unsigned cache_kib,
	    struct errmsg *em)
{
	sqlite3 *db = NULL;
	struct stat st;
	int how, rc;

	how = flags & DB_READ_ONLY ? SQLITE_OPEN_READONLY :
				     SQLITE_OPEN_READWRITE;
	if (flags & DB_CREATE)
		how |= SQLITE_OPEN_CREATE;
	else if (stat(path, &st))
		return errmsg_set(em, -errno, "there is no index");
	if (sqlite3_open_v2(path, &db, how | SQLITE_OPEN_NOMUTEX, NULL)) {
		rc = db ? db_fail(db, em, "cannot open the index") : -ENOMEM;
		goto fail;
	}
	rc = configure(db, flags, cache_kib);
	if (rc) {
		(void)db_fail(db, em, "cannot open the index");
		goto fail;
	}
	rc = identify(db, "main", flags, em);
	if (rc)
		goto fail;
	*out = db;
	return 0;
fail:
	db_close(db);
	return rc;
}

/* "file:PATH?mode=ro", escaped as a URI; free with sqlite3_free. */
static char *uri_of(const char *path)
{
	sqlite3_str *u = sqlite3_str_new(NULL);
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-";
	const unsigned char *p;

	sqlite3_str_appendall(u, "file:");
	for (p = (const unsigned char *)path; *p; p++)
		if (strchr(plain, *p))
			sqlite3_str_appendchar(u, 1, (char)*p);
		else
			sqlite3_str_appendf(u, "%%%02x", *p);
	sqlite3_str_appendall(u, "?mode=ro");
	return sqlite3_str_finish(u);
}

int db_attach(sqlite3 *db, const char *path, const char *schema,
	      struct errmsg *em)
{
	char *uri = uri_of(path), *sql = NULL;
	int rc = -ENOMEM;

	if (uri)
		sql = sqlite3_mprintf("ATTACH %Q AS \"%w\"", uri, schema);
	if (sql)
		rc = db_exec(db, sql);
	if (rc)
		rc = errmsg_set(em, rc, "cannot open the index: %s",
				sqlite3_errmsg(db));
	else
		rc = identify(db, schema, DB_READ_ONLY, em);
	sqlite3_free(uri);
	sqlite3_free(sql);
	return rc;
}

void db_close(sqlite3 *db)
{
	sqlite3_stmt *s;

	if (!db)
		return;
	while ((s = sqlite3_next_stmt(db, NULL)))
		(void)sqlite3_finalize(s);
	(void)sqlite3_close(db);
}
