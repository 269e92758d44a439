/*
 * query.c - /query/NAME/: the result of NAME.sql as files.
 *
 * NAME/ is there as long as NAME.sql is.  The query runs when a result is
 * opened, never before, and again when the text or the log has changed since.
 * What a run gave is kept (RESULTS_MAX of them) and is listed then, with exact
 * sizes; a failure is told by the open, and by NAME/error.
 *
 * State of an entry: idle -> running (one opener; others wait) -> idle with a
 * new result.  Results are immutable and counted, so an open file keeps its
 * bytes while a newer result takes the place.
 *
 * Lock: query_results.mu; never held while a query runs or a core call is
 * made.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/line.h"
#include "analytics/provider_internal.h"
#include "analytics/query_result.h"
#include "base/err.h"
#include "fs/content/content.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

enum { RESULTS_MAX = 32, PAGE = 256 };
#define SQL_SUFFIX ".sql"

enum query_file {
	QUERY_CSV,
	QUERY_JSONL,
	QUERY_SCHEMA,
	QUERY_STATUS,
	QUERY_ERROR,
	QUERY_FILES,
};

static const char *const file_names[QUERY_FILES] = {
	[QUERY_CSV] = "result.csv",	[QUERY_JSONL] = "result.jsonl",
	[QUERY_SCHEMA] = "schema.json", [QUERY_STATUS] = "status.json",
	[QUERY_ERROR] = "error",
};

struct slot {
	uint64_t ino; /* of NAME.sql; 0: free */
	struct query_result *result;
	uint64_t used; /* for the choice of what to drop */
	bool running;
	bool stale; /* the text was changed while it ran */
};

struct query_results {
	struct mutex mu;
	struct cond changed;
	struct slot v[RESULTS_MAX]; /* guarded by mu, and below */
	uint64_t clock;
};

int query_open(struct provider *p)
{
	p->queries = calloc(1, sizeof(*p->queries));
	if (!p->queries)
		return -ENOMEM;
	mutex_init(&p->queries->mu);
	cond_init(&p->queries->changed);
	return 0;
}

void query_close(struct provider *p)
{
	struct query_results *q = p->queries;

	if (!q)
		return;
	for (unsigned i = 0; i < RESULTS_MAX; i++)
		query_result_drop(q->v[i].result);
	cond_destroy(&q->changed);
	mutex_destroy(&q->mu);
	free(q);
	p->queries = NULL;
}

/* --- slots --- */

static struct slot *find_slot(struct query_results *q, uint64_t ino)
{
	for (unsigned i = 0; i < RESULTS_MAX; i++)
		if (q->v[i].ino == ino)
			return &q->v[i];
	return NULL;
}

/* The slot of the query, or one to use; waits for one if all are running. */
static struct slot *take_slot(struct query_results *q, uint64_t ino)
	requires_capability(&q->mu)
{
	for (;;) {
		struct slot *s = find_slot(q, ino);

		for (unsigned i = 0; i < RESULTS_MAX && (!s || s->ino != ino);
		     i++)
			if (!q->v[i].running && (!s || q->v[i].used < s->used))
				s = &q->v[i];
		if (s && s->ino != ino) {
			query_result_drop(s->result);
			*s = (struct slot){ .ino = ino };
		}
		if (s)
			return s;
		cond_wait(&q->changed, &q->mu);
	}
}

/* What there is, or NULL; a reference. */
static struct query_result *peek(struct provider *p, uint64_t ino)
{
	struct query_results *q = p->queries;
	struct query_result *r = NULL;
	struct slot *s;

	mutex_lock(&q->mu);
	s = find_slot(q, ino);
	if (s)
		r = query_result_hold(s->result);
	mutex_unlock(&q->mu);
	return r;
}

void query_changed(struct provider *p, uint64_t ino)
{
	struct query_results *q = p->queries;
	struct slot *s;

	mutex_lock(&q->mu);
	s = ino ? find_slot(q, ino) : NULL;
	if (s && s->running) {
		s->stale = true;
	} else if (s) {
		query_result_drop(s->result);
		*s = (struct slot){ .ino = 0 };
	}
	mutex_unlock(&q->mu);
}

/* --- the text --- */

/* The text's newest version is in *out and q; the log is settled behind it. */
static int load_sql(struct provider *p, uint64_t ino, struct query_text *out)
{
	struct idx_reader *r = NULL;
	struct idx_version v;
	size_t done = 0;
	int rc = core_make_version(p->core, ino, ENTRY_REASON_DEMAND);

	memset(out, 0, sizeof(*out));
	if (rc >= 0)
		rc = provider_settle(p);
	if (rc >= 0)
		rc = core_reader_take(p->core, &r);
	if (rc >= 0)
		rc = idx_version_at(r, &v, ino, IDX_NOW);
	core_reader_give(p->core, r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENODATA;
	if (v.size > QUERY_SQL_MAX)
		return -EFBIG;
	out->ino = ino;
	out->version = v.version;
	out->entry_no = v.no;
	out->sql = malloc(v.size + 1);
	if (!out->sql)
		return -ENOMEM;
	while (done < v.size) {
		ssize_t n = content_read_version(core_pool(p->core),
						 out->sql + done, v.size - done,
						 done, &v.tree_root, v.size);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	out->sql[done] = '\0';
	out->n = done;
	return 0;
}

static struct query_result *run(struct provider *p,
				const struct query_text *text)
{
	struct query_result_limits limits = {
		.time_ms = p->o.query_time_ms,
		.memory_bytes = p->o.query_memory_bytes,
		.result_bytes = p->o.query_result_bytes,
	};

	return query_result_new(core_store_dir(p->core), text, &limits);
}

/* The result for the text and the log as they are; a reference. */
static int get(struct provider *p, uint64_t ino, struct query_result **out)
{
	struct query_results *q = p->queries;
	struct query_text text;
	uint64_t position = 0;
	struct slot *s;
	int rc = load_sql(p, ino, &text);

	if (rc >= 0)
		rc = provider_position(p, &position);
	if (rc < 0) {
		free(text.sql);
		return rc;
	}
	mutex_lock(&q->mu);
	for (s = take_slot(q, ino); s->running; s = take_slot(q, ino))
		cond_wait(&q->changed, &q->mu);
	s->used = ++q->clock;
	if (!query_result_is_of(s->result, &text, position)) {
		struct query_result *r;

		s->running = true;
		s->stale = false;
		mutex_unlock(&q->mu);
		r = run(p, &text);
		mutex_lock(&q->mu);
		query_result_drop(s->result);
		s->result = r;
		s->running = false;
		cond_broadcast(&q->changed);
	}
	*out = query_result_hold(s->result);
	if (s->stale) {
		query_result_drop(s->result);
		*s = (struct slot){ .ino = 0 };
	}
	mutex_unlock(&q->mu);
	free(text.sql);
	return *out ? 0 : -ENOMEM;
}

/* --- NAME in the hybrid directory --- */

static bool sql_name(char out[LIMIT_NAME + 1], const char *name)
{
	int n = snprintf(out, LIMIT_NAME + 1, "%s%s", name, SQL_SUFFIX);

	return n > 0 && n <= LIMIT_NAME;
}

int query_lookup(struct provider *p, uint64_t dir, const char *name,
		 struct node_key *out)
{
	char sql[LIMIT_NAME + 1];
	struct stat st;
	int rc;

	if (!sql_name(sql, name))
		return -ENOENT;
	rc = core_lookup(p->core, dir, sql, &st);
	if (rc < 0)
		return rc;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	out->kind = NODE_QUERY;
	out->a = st.st_ino;
	return 0;
}

struct sql_page {
	struct {
		uint64_t ino, cookie;
		char name[LIMIT_NAME + 1];
	} v[PAGE];
	unsigned n;
};

static int copy_sql(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	struct sql_page *g = ctx;

	if (!S_ISREG(st->st_mode) ||
	    !provider_cut(g->v[g->n].name, name, SQL_SUFFIX))
		return 0;
	g->v[g->n].ino = st->st_ino;
	g->v[g->n].cookie = cookie;
	return ++g->n == PAGE;
}

int query_list(struct provider *p, uint64_t dir, uint64_t off,
	       vdir_fill_fn *fill, void *ctx)
{
	autofree struct sql_page *g = calloc(1, sizeof(*g));
	uint64_t after = off < 2 ? 2 : off;
	struct stat st;
	int rc = g ? 0 : -ENOMEM;

	while (rc >= 0) {
		g->n = 0;
		rc = core_readdir(p->core, dir, after, PAGE, false, copy_sql,
				  g);
		for (unsigned i = 0; i < g->n && rc >= 0; i++) {
			struct node_key k = { .kind = NODE_QUERY,
					      .a = g->v[i].ino };

			after = g->v[i].cookie;
			if (!core_lookup(p->core, dir, g->v[i].name, &st))
				continue; /* a real name comes first */
			if (provider_fill(fill, ctx, g->v[i].name, S_IFDIR, &k,
					  after))
				return 0;
		}
		if (g->n < PAGE)
			break;
	}
	return rc < 0 ? rc : 0;
}

/* --- NAME/ --- */

static int dir_attr(struct provider *p, struct node *n, struct stat *out,
		    uint32_t *ttl)
{
	struct stat st;
	int rc = core_getattr(p->core, n->key.a, &st);

	(void)ttl;
	provider_whole_attr(p, n, out, true);
	if (rc >= 0)
		out->st_mtim = out->st_ctim = st.st_mtim;
	return rc == -ENOENT ? -ESTALE : rc;
}

/* Is the file there to be listed?  status.json always is. */
static bool is_listed(const struct query_result *r, unsigned which)
{
	if (which == QUERY_STATUS)
		return true;
	if (!r)
		return false;
	return query_result_failed(r) == (which == QUERY_ERROR);
}

static int dir_lookup(struct provider *p, const struct cred *cr,
		      struct node *dir, const char *name, struct node_key *out,
		      char store[KEY_STRING])
{
	struct query_result *r;
	bool there = true;

	(void)cr, (void)store;
	for (unsigned i = 0; i < QUERY_FILES; i++) {
		if (strcmp(file_names[i], name) != 0)
			continue;
		if (i == QUERY_ERROR) {
			r = peek(p, dir->key.a);
			there = is_listed(r, i);
			query_result_drop(r);
		}
		out->kind = NODE_QUERY_FILE;
		out->a = dir->key.a;
		out->b = i;
		return there ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static int dir_opendir(struct provider *p, const struct cred *cr,
		       struct vdir_list *l)
{
	(void)l;
	return provider_whole(p, cr);
}

static int dir_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
		       vdir_fill_fn *fill, void *ctx)
{
	struct query_result *r = peek(p, l->node->key.a);

	for (unsigned i = (unsigned)(off - 2); i < QUERY_FILES; i++) {
		struct node_key k = { .kind = NODE_QUERY_FILE,
				      .a = l->node->key.a,
				      .b = i };

		if (is_listed(r, i) &&
		    provider_fill(fill, ctx, file_names[i], S_IFREG, &k, i + 3))
			break;
	}
	query_result_drop(r);
	return 0;
}

const struct view query_view = {
	.lookup = dir_lookup,
	.attr = dir_attr,
	.opendir = dir_opendir,
	.readdir = dir_readdir,
};

/* --- the files --- */

static const char none[] =
	"{\"format\": \"vouchfs-query-status-1\", \"state\": \"not run\"}\n";

static uint64_t file_size(const struct query_result *r, unsigned which)
{
	switch (which) {
	case QUERY_CSV:
		return r ? query_result_csv(r)->size : 0;
	case QUERY_JSONL:
		return r ? query_result_jsonl(r)->size : 0;
	case QUERY_SCHEMA:
		return r ? query_result_schema(r)->n : 0;
	case QUERY_STATUS:
		return r ? query_result_status(r)->n : sizeof(none) - 1;
	default:
		return r ? query_result_error(r)->n : 0;
	}
}

static int file_attr(struct provider *p, struct node *n, struct stat *out,
		     uint32_t *ttl)
{
	struct query_result *r = peek(p, n->key.a);
	unsigned which = (unsigned)n->key.b;

	(void)ttl;
	provider_whole_attr(p, n, out, false);
	out->st_size = (off_t)file_size(r, which);
	out->st_blocks = (out->st_size + 511) / 512;
	if (r)
		provider_set_time(out, query_result_time(r));
	query_result_drop(r);
	return 0;
}

/*
 * May the kernel use its pages?  Only when it was told the size of this very
 * result: the first open of one goes past the cache, the second fills it anew,
 * the third keeps it.
 */
static void choose_cache(struct provider *p, struct node *n, uint64_t id,
			 struct vdir_opened *how)
{
	node_lock(&p->nodes);
	how->direct_io = n->position != id;
	how->keep_cache = n->position == id && n->size == id;
	if (!how->direct_io)
		n->size = id;
	n->position = id;
	node_unlock(&p->nodes);
}

static int file_open(struct provider *p, const struct cred *cr,
		     struct vdir_file *f, struct vdir_opened *how)
{
	struct query_result *r = NULL;
	unsigned which = (unsigned)f->node->key.b;
	bool runs = which <= QUERY_SCHEMA;
	int rc = provider_whole(p, cr);

	if (rc >= 0 && runs)
		rc = get(p, f->node->key.a, &r);
	else if (rc >= 0)
		r = peek(p, f->node->key.a);
	if (rc < 0)
		return rc;
	f->state = r;
	if (runs) {
		choose_cache(p, f->node, query_result_id(r), how);
		return query_result_code(r);
	}
	how->direct_io = true;
	return which == QUERY_ERROR && !is_listed(r, which) ? -ENOENT : 0;
}

static ssize_t read_buf(const void *from, size_t size, void *buf, size_t n,
			uint64_t off)
{
	if (off >= size)
		return 0;
	if (n > size - off)
		n = (size_t)(size - off);
	memcpy(buf, (const char *)from + off, n);
	return (ssize_t)n;
}

static ssize_t file_read(struct provider *p, struct vdir_file *f, void *buf,
			 size_t n, uint64_t off)
{
	const struct query_result *r = f->state;
	const struct buf *b;

	(void)p;
	if (!r)
		return read_buf(none, sizeof(none) - 1, buf, n, off);
	switch (f->node->key.b) {
	case QUERY_CSV:
		return spool_read(query_result_csv(r), buf, n, off);
	case QUERY_JSONL:
		return spool_read(query_result_jsonl(r), buf, n, off);
	case QUERY_SCHEMA:
		b = query_result_schema(r);
		break;
	case QUERY_STATUS:
		b = query_result_status(r);
		break;
	default:
		b = query_result_error(r);
		break;
	}
	return read_buf(b->p, b->n, buf, n, off);
}

static void file_release(struct provider *p, struct vdir_file *f)
{
	(void)p;
	query_result_drop(f->state);
}

const struct view query_file_view = {
	.attr = file_attr,
	.open = file_open,
	.read = file_read,
	.release = file_release,
};
