/*
 * db_pool.h - keeps SQLite's connections to index.db over a close, for sweeps
 * that mount some hundred thousand times: reading the schema anew at each open
 * was 40 % of a recovery.  For programs that are linked with
 * --wrap=sqlite3_open_v2,--wrap=sqlite3_close (tests/sweep/sweep_seq*.c).
 *
 * A connection is used again when the files below its path are those that it
 * has open; whoever puts another index there does so in place, with the -shm
 * zeroed: then SQLite reads everything but the schema again, and that, too,
 * when its cookie has changed.  What the caller does between open and close is
 * as ever; what it would see of an open is not, so some are left to SQLite.
 *
 * One thread.
 */
#ifndef TESTS_SIM_DB_POOL_H
#define TESTS_SIM_DB_POOL_H

#include <stdbool.h>

/* From now on; before the first use of SQLite. */
void db_pool_begin(void);
/* true: opens and closes are SQLite's own, until it is false again. */
void db_pool_pause(bool paused);
/* Closes what is kept. */
void db_pool_end(void);

#endif
