/*
 * db_pool.c - see db_pool.h.
 */
#include "tests/sim/db_pool.h"

#include <limits.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	KEPT = 4,
	FILES = 3,
};
/* the pager itself and a page of scratch */
enum { CACHE_EMPTY = 8000 };

static const char *const endings[FILES] = { "", "-wal", "-shm" };

struct files {
	ino_t ino[FILES];
};

struct kept {
	sqlite3 *db; /* NULL: none */
	int flags;
	bool idle;
	char path[PATH_MAX];
	struct files files; /* of an idle one */
};

static struct kept kept[KEPT];
static bool on;

/* what the linker's --wrap calls instead */
int __real_sqlite3_open_v2(const char *path, sqlite3 **out, int flags,
			   const char *vfs);
int __real_sqlite3_close(sqlite3 *db);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **out, int flags,
			   const char *vfs);
int __wrap_sqlite3_close(sqlite3 *db);

void db_pool_begin(void)
{
	/* it never runs beside itself in here: no locks, no counts */
	if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
	    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK)
		abort();
	/* fresh zeros of the system: memset took a tenth of all time, too */
	mallopt(M_MMAP_THRESHOLD, 512 << 10);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	on = true;
}

void db_pool_pause(bool paused)
{
	on = !paused;
}

static void forget(struct kept *k)
{
	sqlite3 *db = k->db;

	k->db = NULL;
	(void)__real_sqlite3_close(db);
}

void db_pool_end(void)
{
	for (unsigned i = 0; i < KEPT; i++)
		if (kept[i].db && kept[i].idle)
			forget(&kept[i]);
	on = false;
}

/* False when one of them is not there. */
static bool look(struct files *out, const char *path)
{
	char name[PATH_MAX + 8];
	struct stat st;

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		if (stat(name, &st) < 0)
			return false;
		out->ino[i] = st.st_ino;
	}
	return true;
}

static bool is_index(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && !strcmp(slash, "/index.db") && strlen(path) < PATH_MAX;
}

/*
 * What it holds of the file may be of the index that was there before: a
 * wal-index made anew for two empty WALs looks the same.
 */
static bool forget_pages(sqlite3 *db)
{
	int used = 0, most = 0, unused = 0;

	return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESET_CACHE,
				    &unused) == SQLITE_OK &&
	       sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_USED, &used, &most,
				 0) == SQLITE_OK &&
	       used <= CACHE_EMPTY;
}

/* One of these flags that has open what is there now. */
static sqlite3 *again(const char *path, int flags)
{
	struct files now;
	bool there = look(&now, path);

	for (unsigned i = 0; i < KEPT; i++) {
		struct kept *k = &kept[i];

		if (!k->db || !k->idle || strcmp(k->path, path) != 0)
			continue;
		if (!there || memcmp(&now, &k->files, sizeof(now)) != 0) {
			forget(k);
		} else if (k->flags == flags) {
			if (!forget_pages(k->db)) {
				forget(k);
				continue;
			}
			k->idle = false;
			return k->db;
		}
	}
	return NULL;
}

int __wrap_sqlite3_open_v2(const char *path, sqlite3 **out, int flags,
			   const char *vfs)
{
	int rc;

	if (!is_index(path))
		return __real_sqlite3_open_v2(path, out, flags, vfs);
	*out = again(path, flags);
	if (*out && on)
		return SQLITE_OK;
	if (*out) /* a new one is asked for */
		(void)__wrap_sqlite3_close(*out);
	rc = __real_sqlite3_open_v2(path, out, flags, vfs);
	for (unsigned i = 0; i < KEPT && rc == SQLITE_OK && on; i++) {
		struct kept *k = &kept[i];

		if (k->db)
			continue;
		*k = (struct kept){ .db = *out, .flags = flags };
		snprintf(k->path, sizeof(k->path), "%s", path);
		break;
	}
	return rc;
}

int __wrap_sqlite3_close(sqlite3 *db)
{
	for (unsigned i = 0; i < KEPT; i++) {
		struct kept *k = &kept[i];

		if (!db || k->db != db)
			continue;
		k->idle = true;
		/* in the middle of something: that is for SQLite to end */
		if (!on || !sqlite3_get_autocommit(db) ||
		    sqlite3_next_stmt(db, NULL) || !look(&k->files, k->path))
			forget(k);
		return SQLITE_OK;
	}
	return __real_sqlite3_close(db);
}
