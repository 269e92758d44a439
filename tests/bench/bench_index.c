/*
 * bench_index.c - what the index costs per file, as ratios to the least that
 * a SQLite program could do: the same names, inodes and versions put into
 * three bare tables, with the same batches, by prepared statements.
 *
 *     bench_index [FILES]
 *
 * Each file is a CREATE and a VERSION; 100 files to a directory.  CPU time of
 * this process; the look-ups are of random files.
 */
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "tests/sim/prng.h"
#include "tests/sim/tmp.h"

enum { PER_DIR = 100, BATCH = 256, LOOKUPS = 20000 };

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "bench_index: %s: %s\n", what, err_text(rc));
	exit(1);
}

static void name_of(char out[32], uint64_t i)
{
	(void)snprintf(out, 32, "file_%llu.txt",
		       (unsigned long long)(i * 7919 % 10000019));
}

/* A batch being collected, and what its entries borrow. */
struct work {
	struct idx *x;
	uint64_t seal, leaf_no, files, in_dir, dir, counter;
	struct entry e[BATCH + 3];
	struct digest leaf[BATCH + 3];
	char name[BATCH + 3][32];
	uint32_t n;
};

static void flush(struct work *w)
{
	struct digest root = { .b = { 1 } };
	uint32_t i;

	must(idx_begin(w->x), "idx_begin");
	must(idx_seal(w->x, w->seal, 1, 1, w->n), "idx_seal");
	for (i = 0; i < w->n; i++)
		must(idx_apply(w->x, &w->e[i], &w->leaf[i],
			       IDX_ENTRY_NO(w->seal, i)),
		     "idx_apply");
	must(idx_end(w->x, ++w->seal, &root), "idx_end");
	w->n = 0;
}

static struct entry *add(struct work *w, uint16_t kind, uint64_t ino)
{
	struct entry *e = &w->e[w->n];

	memset(e, 0, sizeof(*e));
	e->core.kind = e->body.kind = kind;
	e->core.inode = ino;
	/* Any 32 bytes do; hashing is not what is measured. */
	w->leaf_no++;
	memset(&w->leaf[w->n], 0, sizeof(w->leaf[0]));
	for (int i = 0; i < 4; i++) {
		uint64_t v = (w->leaf_no + (uint64_t)i) * 0x9e3779b97f4a7c15ULL;

		memcpy(w->leaf[w->n].b + 8 * i, &v, 8);
	}
	w->n++;
	return e;
}

static void add_create(struct work *w, uint64_t parent, uint8_t dtype,
		       uint64_t i)
{
	struct entry *e = add(w, ENTRY_CREATE, ENTRY_INODE(1, ++w->counter));
	char *name = w->name[w->n - 1];

	name_of(name, i);
	e->core.parent = parent;
	e->body.create.dtype = dtype;
	e->body.create.mode = 0644;
	e->body.create.name = ENTRY_STR(name);
}

static void add_file(struct work *w)
{
	struct digest last;
	struct entry *e;

	if (w->in_dir == PER_DIR || !w->dir) {
		add_create(w, STATE_ROOT_INO, DT_DIR, w->files);
		w->dir = ENTRY_INODE(1, w->counter);
		w->in_dir = 0;
	}
	add_create(w, w->dir, DT_REG, w->files);
	last = w->leaf[w->n - 1];
	e = add(w, ENTRY_VERSION, ENTRY_INODE(1, w->counter));
	e->core.version = 1;
	e->core.prev = last;
	e->body.version.size = 4096;
	e->body.version.flags = ENTRY_VERSION_SHA256;
	e->body.version.tree_root = e->body.version.sha256 = last;
	w->in_dir++;
	w->files++;
	if (w->n >= BATCH)
		flush(w);
}

static double apply_files(const char *dir, struct vio *v, uint64_t files)
{
	struct idx_options o = { .vio = v, .dir = dir };
	struct work *w = calloc(1, sizeof(*w));
	struct entry *e;
	double start;

	if (!w)
		exit(1);
	must(idx_open(&w->x, &o, NULL), "idx_open");
	start = cpu_s();
	e = add(w, ENTRY_SETATTR, STATE_ROOT_INO);
	e->body.setattr.mask = ENTRY_ATTR_MODE;
	e->body.setattr.mode = 0755;
	while (w->files < files)
		add_file(w);
	if (w->n)
		flush(w);
	start = cpu_s() - start;
	idx_close(w->x);
	free(w);
	return start;
}

/* --- the peer --- */

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "bench_index: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
}

static void bare_file(sqlite3_stmt *const s[3], uint64_t i)
{
	struct digest d = { .b = { 3 } };
	char name[32];
	int k;

	name_of(name, i);
	memcpy(d.b, &i, sizeof(i));
	sqlite3_bind_int64(s[0], 1, (int64_t)(i / PER_DIR));
	sqlite3_bind_blob(s[0], 2, name, (int)strlen(name), SQLITE_STATIC);
	sqlite3_bind_int64(s[0], 3, (int64_t)i);
	sqlite3_bind_int64(s[1], 1, (int64_t)i);
	for (k = 2; k <= 8; k++)
		sqlite3_bind_int64(s[1], k, 1790000000000000000 + k);
	sqlite3_bind_blob(s[1], 9, d.b, 32, SQLITE_STATIC);
	sqlite3_bind_int64(s[2], 1, (int64_t)i);
	sqlite3_bind_int64(s[2], 2, 1);
	sqlite3_bind_int64(s[2], 3, 4096);
	sqlite3_bind_blob(s[2], 4, d.b, 32, SQLITE_STATIC);
	for (k = 0; k < 3; k++) {
		(void)sqlite3_step(s[k]);
		(void)sqlite3_reset(s[k]);
	}
}

static double bare_sqlite(const char *dir, uint64_t files)
{
	static const char *const text[3] = {
		"INSERT INTO name VALUES(?,?,?)",
		"INSERT INTO inode VALUES(?,?,?,?,?,?,?,?,?)",
		"INSERT INTO version VALUES(?,?,?,?)",
	};
	sqlite3_stmt *s[3];
	sqlite3 *db = NULL;
	char path[4096];
	double start;
	uint64_t i;

	if (snprintf(path, sizeof(path), "%s/bare.db", dir) >=
	    (int)sizeof(path))
		exit(1);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		exit(1);
	sql(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
		"PRAGMA cache_size=-65536;"
		"CREATE TABLE name(parent,name,ino,PRIMARY KEY(parent,name))"
		" WITHOUT ROWID;"
		"CREATE TABLE inode(ino INTEGER PRIMARY KEY,a,b,c,d,e,f,g,h);"
		"CREATE TABLE version(ino,v,size,root,PRIMARY KEY(ino,v))"
		" WITHOUT ROWID");
	for (i = 0; i < 3; i++)
		if (sqlite3_prepare_v2(db, text[i], -1, &s[i], NULL))
			exit(1);
	start = cpu_s();
	for (i = 0; i < files; i++) {
		if (i % (BATCH / 2) == 0)
			sql(db, i ? "COMMIT;BEGIN" : "BEGIN");
		bare_file(s, i);
	}
	sql(db, "COMMIT");
	start = cpu_s() - start;
	for (i = 0; i < 3; i++)
		sqlite3_finalize(s[i]);
	sqlite3_close(db);
	return start;
}

/* --- reading --- */

static double look_up(const char *dir, uint64_t files)
{
	struct idx_reader *r = NULL;
	struct inode_row row;
	struct name_row n;
	struct prng p;
	char name[32];
	double start;
	uint64_t i, k, d;

	must(idx_reader_open(&r, dir, NULL), "idx_reader_open");
	prng_init(&p, 1);
	start = cpu_s();
	for (k = 0; k < LOOKUPS; k++) {
		i = prng_below(&p, files);
		/* Each directory takes one inode before its files. */
		d = ENTRY_INODE(1, i / PER_DIR * (PER_DIR + 1) + 1);
		name_of(name, i);
		if (idx_name_inode(r, &n, &row, d, name,
				   (uint16_t)strlen(name)) != 1 ||
		    row.ino != n.ino)
			must(-ERR_CORRUPT, "look-up");
		free(row.target);
	}
	start = cpu_s() - start;
	idx_reader_close(r);
	return start;
}

int main(int argc, char **argv)
{
	uint64_t files = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	double idx, bare, look;
	struct vio *v = NULL;
	struct tmp t;

	tmp_init(&t);
	must(vio_posix_open(&v, t.path), "vio_posix_open");
	idx = apply_files(t.path, v, files);
	bare = bare_sqlite(t.path, files);
	look = look_up(t.path, files);
	printf("index: %llu files created and written: %.1f us of CPU a file, "
	       "%.1f x three bare tables (%.1f us)\n",
	       (unsigned long long)files, idx / (double)files * 1e6, idx / bare,
	       bare / (double)files * 1e6);
	printf("index: look-up of a name and its inode: %.1f us of CPU, "
	       "%.2f x applying a file\n",
	       look / LOOKUPS * 1e6, look / LOOKUPS / (idx / (double)files));
	vio_free(v);
	tmp_release(&t);
	return 0;
}
