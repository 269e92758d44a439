/*
 * test_db.c - what SQLite says becomes the right error of ours.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/db.h"

static int refusal;

static ssize_t refuse(int fd, const void *p, size_t n, off_t off)
{
	(void)fd;
	(void)p;
	(void)n;
	(void)off;
	errno = refusal;
	return -1;
}

static ssize_t refuse_write(int fd, const void *p, size_t n)
{
	return refuse(fd, p, n, 0);
}

/* Whichever of them this SQLite was built to use. */
static void refuse_writes(int error)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	refusal = error;
	vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)refuse_write);
	vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)refuse);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)refuse);
}

static int insert_refused(int error)
{
	static const char insert[] = "INSERT INTO t VALUES(randomblob(100000))";
	const char *dir = getenv("TMPDIR");
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	char path[4096];
	int rc;

	snprintf(path, sizeof(path), "%s/db.%d.%d", dir ? dir : "/tmp",
		 (int)getpid(), error);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(db_exec(db, "CREATE TABLE t(x)"), 0);
	cr_assert_eq(db_prepare(db, &s, insert), 0);
	refuse_writes(error);
	rc = db_exec(db, insert);
	cr_assert_eq(db_error(db), rc);
	cr_assert_eq(db_run(s), rc, "a statement says otherwise");
	sqlite3_finalize(s);
	sqlite3_close(db);
	unlink(path);
	return rc;
}

Test(db, what_a_quota_refuses_is_a_full_disk)
{
	cr_assert_eq(insert_refused(EDQUOT), -ENOSPC);
}

Test(db, a_full_disk_is_one)
{
	cr_assert_eq(insert_refused(ENOSPC), -ENOSPC);
}

Test(db, any_other_refusal_is_not)
{
	cr_assert_eq(insert_refused(EIO), -EIO);
}
