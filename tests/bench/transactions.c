/*
 * transactions.c - an SQLite database that is written steadily.
 *
 *     transactions FILE COUNT RATE full|normal|rollback
 *
 * Write-ahead log, or (rollback) what SQLite does when nobody says so: a
 * journal that each transaction makes, syncs and removes.  Each inserts a row
 * of 100 letters and updates another.  COUNT of them, at RATE a second (0: as
 * fast as it goes); prints the seconds they took, how many a second were done,
 * the longest one in seconds, and the bytes that were written.  A late
 * transaction is done at once, none is left out: less than RATE means that the
 * file system does not keep up.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "transactions: %s: %s\n", text,
			sqlite3_errmsg(db));
		exit(1);
	}
}

static void step(sqlite3 *db, sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE) {
		fprintf(stderr, "transactions: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
	(void)sqlite3_reset(s);
}

static void wait_until(double when)
{
	double left = when - now();
	struct timespec t;

	if (left <= 0)
		return;
	t.tv_sec = (time_t)left;
	t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
	(void)nanosleep(&t, NULL);
}

/* Letters at random: no row is like another, nor like another run's. */
static void fill(char *text, size_t n, uint64_t number)
{
	uint64_t x = number * 0x9e3779b97f4a7c15ULL + (uint64_t)getpid();

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[i] = (char)('a' + x % 26);
	}
	text[n] = 0;
}

/* By write(2) and its like; what is written through a mapping, is not. */
static unsigned long long written(void)
{
	FILE *f = fopen("/proc/self/io", "re");
	unsigned long long n = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "wchar: %llu", &n) == 1)
			break;
	if (f)
		(void)fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	double start, began, longest = 0, rate;
	sqlite3_stmt *insert = NULL, *update = NULL;
	sqlite3 *db = NULL;
	char text[101];
	long done = 0, count;

	if (argc != 5) {
		fputs("usage: transactions FILE COUNT RATE "
		      "full|normal|rollback\n",
		      stderr);
		return 2;
	}
	count = strtol(argv[2], NULL, 10);
	rate = strtod(argv[3], NULL);
	if (sqlite3_open(argv[1], &db) != SQLITE_OK)
		return 1;
	if (strcmp(argv[4], "rollback"))
		sql(db, "PRAGMA journal_mode=WAL");
	sql(db, strcmp(argv[4], "normal") ? "PRAGMA synchronous=FULL" :
					    "PRAGMA synchronous=NORMAL");
	sql(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, n INTEGER)");
	if (sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?,?,0)", -1, &insert,
			       NULL) ||
	    sqlite3_prepare_v2(db, "UPDATE t SET n = n + 1 WHERE id = ?", -1,
			       &update, NULL))
		return 1;
	for (start = now(); done < count; done++) {
		if (rate > 0)
			wait_until(start + (double)done / rate);
		fill(text, sizeof(text) - 1, (uint64_t)done);
		began = now();
		sql(db, "BEGIN IMMEDIATE");
		sqlite3_bind_int64(insert, 1, done + 1);
		sqlite3_bind_text(insert, 2, text, -1, SQLITE_STATIC);
		step(db, insert);
		sqlite3_bind_int64(update, 1, done * 7919 % (done + 1) + 1);
		step(db, update);
		sql(db, "COMMIT");
		if (now() - began > longest)
			longest = now() - began;
	}
	start = now() - start;
	printf("%.6f %.1f %.6f %llu\n", start, (double)done / start, longest,
	       written());
	sqlite3_finalize(insert);
	sqlite3_finalize(update);
	return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
