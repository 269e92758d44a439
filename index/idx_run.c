/*
 * idx_run.c - the applier's part of runs: which there are, what they are
 * called, and in which seals each did something.
 *
 * A run is there from the first entry that names its id: a RUN_START, or an
 * ACTOR whose run has none.  What comes later and says otherwise (a second
 * RUN_START with the id, a RUN_END that names another's start) changes
 * nothing.
 *
 * Threads: the applier's.
 */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "index/idx_internal.h"
#include "index/idx_runs.h"
#include "ledger/argv.h"
#include "ledger/entry.h"

enum { VERB_MAX = 16 };

static bool is_fit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool idx_run_name_ok(const char *p, size_t n)
{
	if (!n || n > RUN_NAME_MAX || strchr("-_.", p[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_fit(p[i]))
			return false;
	return true;
}

void idx_run_name_fit(char out[RUN_NAME_MAX + 1], const char *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k < RUN_NAME_MAX; i++)
		if (is_fit(p[i]) && (k || !strchr("-_.", p[i])))
			out[k++] = p[i];
	out[k] = '\0';
	if (!k)
		memcpy(out, "run", 4);
}

static int find_run(struct idx *x, const uint8_t id[16], uint64_t *out)
{
	sqlite3_stmt *s = x->s[IDX_S_RUN_OF_ID];
	bool bad = false;
	int rc;

	*out = 0;
	db_bind_blob(s, 1, id, 16);
	rc = db_step(s);
	if (rc > 0)
		*out = db_u64(s, 0, &bad);
	db_reset(s);
	return bad ? -ERR_CORRUPT : rc < 0 ? rc : 0;
}

int idx_run_of_actor(struct idx *x, uint64_t actor_no, uint64_t *out)
{
	sqlite3_stmt *s = x->s[IDX_S_RUN_OF_ACTOR];
	bool bad = false;
	int rc;

	*out = 0;
	db_bind_u64(s, 1, actor_no);
	rc = db_step(s);
	if (rc > 0)
		*out = db_u64(s, 0, &bad);
	db_reset(s);
	return bad ? -ERR_CORRUPT : rc < 0 ? rc : 0;
}

int idx_run_touch(struct idx *x, uint64_t run)
{
	sqlite3_stmt *s = x->s[IDX_S_RUN_SEAL_ADD];
	size_t i = (run ^ run >> 12) % IDX_RUNS;
	int rc;

	if (x->runs[i].run == run && x->runs[i].seal == x->seal)
		return 0;
	db_bind_u64(s, 1, run);
	db_bind_u64(s, 2, x->seal);
	rc = db_run(s);
	if (!rc) {
		if (x->runs[i].run != run)
			x->runs[i].changed = false;
		x->runs[i].run = run;
		x->runs[i].seal = x->seal;
	}
	return rc;
}

/* What is entered of a process that only looks. */
static bool is_aside(uint16_t kind)
{
	return kind == ENTRY_ACTOR || kind == ENTRY_READS ||
	       kind == ENTRY_ATTEST || kind == ENTRY_DIGEST;
}

int idx_run_did(struct idx *x, uint64_t run, uint16_t kind)
{
	size_t i = (run ^ run >> 12) % IDX_RUNS;
	int rc = idx_run_touch(x, run);

	if (rc || is_aside(kind) || x->runs[i].changed)
		return rc;
	db_bind_u64(x->s[IDX_S_RUN_CHANGED], 1, run);
	rc = db_run(x->s[IDX_S_RUN_CHANGED]);
	x->runs[i].changed = !rc;
	return rc;
}

/* What the row of a new run says. */
struct new_run {
	uint64_t no;
	const uint8_t *id;
	const char *name;
	size_t n_name;
	bool implicit;
	uint32_t uid, gid;
	int64_t started_ns;
};

/* from: the ACTOR whose run is the parent; 0: none. */
static int add_run(struct idx *x, const struct new_run *v, uint64_t from)
{
	sqlite3_stmt *s = x->s[IDX_S_RUN_ADD];
	char name[RUN_NAME_MAX + 1];
	uint64_t parent = 0;
	int rc = from ? idx_run_of_actor(x, from, &parent) : 0;

	if (rc)
		return rc;
	idx_run_name_fit(name, v->name, v->n_name);
	db_bind_u64(s, 1, v->no);
	db_bind_blob(s, 2, v->id, 16);
	db_bind_blob(s, 3, name, strlen(name));
	db_bind_u64(s, 4, v->implicit);
	db_bind_u64(s, 5, v->uid);
	db_bind_u64(s, 6, v->gid);
	db_bind_u64_or_null(s, 7, parent);
	db_bind_i64(s, 8, v->started_ns);
	return db_run(s);
}

static bool is_none(const uint8_t id[16])
{
	static const uint8_t none[16];

	return memcmp(id, none, 16) == 0;
}

int idx_run_start(struct idx *x, const struct entry *e, uint64_t no,
		  uint64_t actor_no)
{
	const struct entry_run_start *b = &e->body.run_start;
	const struct new_run v = { .no = no,
				   .id = b->run,
				   .name = b->name.p,
				   .n_name = b->name.n,
				   .uid = b->uid,
				   .gid = b->gid,
				   .started_ns = e->core.wall_ns };
	uint64_t there;
	int rc = is_none(b->run) ? 0 : find_run(x, b->run, &there);

	if (rc || is_none(b->run) || there)
		return rc;
	rc = add_run(x, &v, actor_no);
	return rc ? rc : idx_run_touch(x, no);
}

int idx_run_end(struct idx *x, const struct entry *e, uint64_t no)
{
	const struct entry_run_end *b = &e->body.run_end;
	sqlite3_stmt *s = x->s[IDX_S_RUN_END];
	struct idx_ref start;
	int rc = idx_ref_find(x, &b->start, &start);

	if (rc <= 0 || start.kind != ENTRY_RUN_START || start.rejected)
		return rc < 0 ? rc : 0;
	db_bind_u64(s, 1, start.no);
	db_bind_blob(s, 2, b->run, sizeof(b->run));
	db_bind_u64(s, 3, no);
	db_bind_i64(s, 4, e->core.wall_ns);
	db_bind_u64(s, 5, b->how);
	db_bind_u64(s, 6, b->status);
	db_bind_u64(s, 7, b->processes);
	rc = db_run(s);
	if (!rc && sqlite3_changes(x->db))
		rc = idx_run_touch(x, start.no);
	return rc;
}

/* "/usr/bin/make" -> "make", and when it is gone by then, too. */
static void base_name(struct new_run *v, const struct entry_str *exe)
{
	static const char gone[] = " (deleted)";
	size_t n = exe->n, m = sizeof(gone) - 1;
	const char *slash;

	if (n > m && !memcmp(exe->p + n - m, gone, m))
		n -= m;
	slash = n ? memrchr(exe->p, '/', n) : NULL;
	v->name = slash ? slash + 1 : exe->p;
	v->n_name = slash ? (size_t)(exe->p + n - v->name) : n;
}

/* Of ours it is the verb that people know: "vouch-mount". */
static void verb_name(struct new_run *v, struct buf *out,
		      const struct entry_str *argv)
{
	static const char ours[] = "vouch";
	const char *p = argv->p;
	size_t left = argv->n;
	struct buf word = BUF_INIT;

	if (v->n_name != strlen(ours) || memcmp(v->name, ours, v->n_name) != 0)
		return;
	if (argv_next(&word, &p, &left)) {
		buf_clear(&word);
		if (argv_next(&word, &p, &left) && word.n > 0 &&
		    word.p[0] >= 'a' && word.p[0] <= 'z')
			buf_addf(out, "%s-%.*s", ours, VERB_MAX,
				 (const char *)word.p);
	}
	buf_release(&word);
	if (out->n > 0 && !out->bad) {
		v->name = (const char *)out->p;
		v->n_name = out->n;
	}
}

int idx_run_actor(struct idx *x, const struct entry *e, uint64_t no,
		  uint64_t parent_no)
{
	const struct entry_actor *b = &e->body.actor;
	struct new_run v = { .no = no,
			     .id = b->run,
			     .implicit = true,
			     .uid = b->uid,
			     .gid = b->gid,
			     .started_ns = e->core.wall_ns };
	struct buf name = BUF_INIT;
	uint64_t run;
	int rc;

	if (is_none(b->run))
		return 0;
	rc = find_run(x, b->run, &run);
	if (!rc && !run) {
		base_name(&v, &b->exe);
		verb_name(&v, &name, &b->argv);
		rc = add_run(x, &v, parent_no);
		buf_release(&name);
		run = no;
	}
	return rc ? rc : idx_run_touch(x, run);
}
