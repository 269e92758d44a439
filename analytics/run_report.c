/*
 * run_report.c - see run_report.h.
 */
#include "analytics/run_report.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/line.h"
#include "analytics/run_denied.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"
#include "ledger/argv.h"
#include "ledger/entry.h"
#include "ledger/entry_run.h"

enum { PAGE = 256 /* of programs */, PROGRAMS = 32, INODES_MAX = 1 << 20 };
enum { HOWS = ENTRY_RUN_GROUP + 1 };

/* What a walk over the run's entries writes down. */
struct report {
	struct core *core;
	struct run_view *view;
	struct idx_reader *r;
	struct spool *out;
	struct buf line, stored;
	struct counts *counts;
};

static int walk(struct report *w, const struct idx_run *run, idx_entry_fn *fn)
{
	int rc = run_walk(w->view, w->r, run, fn, w);

	buf_release(&w->line);
	buf_release(&w->stored);
	return rc;
}

/* --- changes.jsonl --- */

static int change_line(void *ctx, const struct idx_entry *e)
{
	struct report *w = ctx;
	int rc;

	if (!run_walk_is_change(e->kind))
		return 0;
	rc = line_history(w->core, w->r, &w->line, e, e->inode);
	spool_buf(w->out, &w->line);
	return rc;
}

int run_report_changes(struct core *c, struct run_view *v, struct idx_reader *r,
		       const struct idx_run *run, struct spool *out)
{
	struct report w = { .core = c, .view = v, .r = r, .out = out };

	return walk(&w, run, change_line);
}

/* --- opened.jsonl --- */

struct opened {
	struct report *w;
	const struct idx_entry *by;
};

static int opened_line(void *ctx, const struct idx_read_item *item)
{
	const char *strength = entry_strength_word(item->strength);
	const struct opened *o = ctx;
	struct buf *b = &o->w->line, path = BUF_INIT;
	int rc = item->ino ? idx_path(o->w->r, &path, item->ino, o->by->no) : 0;

	buf_addc(b, '{');
	if (rc > 0) {
		line_text(b, "path", path.p, path.n);
		buf_addc(b, ',');
	}
	buf_release(&path);
	if (item->ino)
		buf_addf(b, "\"inode\":%llu,\"version\":%llu,",
			 (unsigned long long)item->ino,
			 (unsigned long long)item->version);
	if (item->target_no) {
		buf_adds(b, "\"opened\":");
		line_no(b, item->target_no);
		buf_addc(b, ',');
	}
	buf_addf(b, "\"strength\":\"%s\",\"entry\":",
		 strength ? strength : "guessed");
	line_no(b, o->by->no);
	if (rc >= 0) {
		buf_adds(b, ",\"by\":");
		rc = line_actor(o->w->r, b, o->by->actor_no);
	}
	buf_adds(b, "}\n");
	spool_buf(o->w->out, b);
	return rc < 0 ? rc : 0;
}

static int opened_lines(void *ctx, const struct idx_entry *e)
{
	struct report *w = ctx;
	struct opened o = { .w = w, .by = e };

	return e->kind == ENTRY_READS ?
		       idx_read_items(w->r, e->no, opened_line, &o) :
		       0;
}

int run_report_opened(struct core *c, struct run_view *v, struct idx_reader *r,
		      const struct idx_run *run, struct spool *out)
{
	struct report w = { .core = c, .view = v, .r = r, .out = out };

	return walk(&w, run, opened_lines);
}

/* --- summary.json --- */

struct counts {
	uint64_t files, dirs, others; /* created */
	uint64_t removed, renamed, linked, attributes, versions, bytes;
	uint64_t opened;
	struct run_denied_counts denied;
	uint64_t strengths[4]; /* of the versions */
	uint64_t *inodes;      /* touched; sorted only at the end */
	size_t n, cap;
};

static int touch(struct counts *c, uint64_t ino)
{
	if (!ino || (c->n && c->inodes[c->n - 1] == ino) || c->n == INODES_MAX)
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 256;
		uint64_t *v = realloc(c->inodes, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->inodes = v;
		c->cap = cap;
	}
	c->inodes[c->n++] = ino;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t distinct(struct counts *c)
{
	uint64_t n = 0;

	if (c->n)
		qsort(c->inodes, c->n, sizeof(*c->inodes), by_number);
	for (size_t i = 0; i < c->n; i++)
		n += !i || c->inodes[i] != c->inodes[i - 1];
	return n;
}

static int count_create(struct report *w, struct counts *c,
			const struct idx_entry *e)
{
	struct entry entry;
	int rc = line_load(w->core, &w->stored, &entry, e->no);

	if (rc < 0 || entry.body.opaque) {
		c->others += rc >= 0;
		return rc;
	}
	switch (entry.body.create.dtype) {
	case DT_REG:
		c->files++;
		break;
	case DT_DIR:
		c->dirs++;
		break;
	default:
		c->others++;
	}
	return 0;
}

static int count_version(struct report *w, struct counts *c,
			 const struct idx_entry *e)
{
	struct idx_version v;
	int rc = idx_version(w->r, &v, e->inode, e->version);

	if (rc <= 0)
		return rc;
	c->versions++;
	c->bytes += v.size;
	c->strengths[v.attribution & 3]++;
	return 0;
}

static int count_opened(void *ctx, const struct idx_read_item *item)
{
	(void)item;
	++*(uint64_t *)ctx;
	return 0;
}

static int count(void *ctx, const struct idx_entry *e)
{
	struct report *w = ctx;
	struct counts *c = w->counts;

	if (e->rejected)
		return 0;
	if (e->kind == ENTRY_READS)
		return idx_read_items(w->r, e->no, count_opened, &c->opened);
	if (e->kind == ENTRY_ALERT)
		return run_denied_count(w->core, &w->stored, &c->denied, e);
	if (!run_walk_is_change(e->kind))
		return 0;
	if (touch(c, e->inode) < 0)
		return -ENOMEM;
	switch (e->kind) {
	case ENTRY_CREATE:
		return count_create(w, c, e);
	case ENTRY_VERSION:
		return count_version(w, c, e);
	case ENTRY_UNLINK:
		c->removed++;
		return 0;
	case ENTRY_RENAME:
		c->renamed++;
		return 0;
	case ENTRY_LINK:
		c->linked++;
		return 0;
	case ENTRY_RESTORE: /* the version that follows counts */
	case ENTRY_SNAPSHOT:
	case ENTRY_CLONE:
		return 0;
	default:
		c->attributes++;
		return 0;
	}
}

static void put_counts(struct buf *out, struct counts *c)
{
	buf_addf(
		out,
		" \"changed\": {\"inodes\": %llu, \"files_made\": %llu, "
		"\"directories_made\": %llu, \"others_made\": %llu, "
		"\"removed\": %llu, \"renamed\": %llu, \"linked\": %llu, "
		"\"attributes\": %llu, \"versions\": %llu, \"bytes\": %llu},\n",
		(unsigned long long)distinct(c), (unsigned long long)c->files,
		(unsigned long long)c->dirs, (unsigned long long)c->others,
		(unsigned long long)c->removed, (unsigned long long)c->renamed,
		(unsigned long long)c->linked,
		(unsigned long long)c->attributes,
		(unsigned long long)c->versions, (unsigned long long)c->bytes);
	buf_addf(out,
		 " \"attribution\": {\"exact\": %llu, \"by handle\": %llu, "
		 "\"by ancestry\": %llu, \"guessed\": %llu},\n"
		 " \"opened\": %llu,\n",
		 (unsigned long long)c->strengths[ENTRY_EXACT],
		 (unsigned long long)c->strengths[ENTRY_HANDLE],
		 (unsigned long long)c->strengths[1],
		 (unsigned long long)c->strengths[ENTRY_GUESSED],
		 (unsigned long long)c->opened);
	run_denied_put(out, &c->denied);
}

/* The run's processes that are in the log. */
struct programs {
	struct core *core;
	struct run_view *view;
	struct idx_reader *r;
	struct buf list, stored;
	uint64_t n, how[HOWS];
	uint64_t last;
};

static int one_program(void *ctx, uint64_t no)
{
	struct programs *p = ctx;
	struct entry e;
	int rc = run_walk_shows(p->view, p->r, no);

	p->last = no;
	if (rc > 0)
		rc = run_walk_in_time(p->view);
	else
		return rc;
	if (rc >= 0)
		rc = line_load(p->core, &p->stored, &e, no);
	if (rc < 0)
		return rc;
	if (!e.body.opaque)
		p->how[entry_run_how(&e.body)]++;
	if (p->n++ >= PROGRAMS)
		return 0;
	buf_adds(&p->list, p->n > 1 ? ",\n  " : "\n  ");
	rc = line_actor(p->r, &p->list, no);
	return rc < 0 ? rc : 0;
}

static int put_programs(struct core *c, struct run_view *v,
			struct idx_reader *r, const struct idx_run *run,
			struct buf *out)
{
	struct programs p = { .core = c, .view = v, .r = r };
	unsigned n = 0;
	int rc;

	do
		rc = idx_run_actors(r, run, p.last, PAGE, one_program, &p);
	while (rc == PAGE);
	buf_adds(out, " \"membership\": {");
	for (unsigned i = 1; i < HOWS; i++)
		if (p.how[i])
			buf_addf(out, "%s\"%s\": %llu", n++ ? ", " : "",
				 entry_run_how_word(i),
				 (unsigned long long)p.how[i]);
	buf_addf(out, "},\n \"programs\": %llu,\n \"programs_first\": [",
		 (unsigned long long)p.n);
	if (p.list.bad)
		rc = -ENOMEM;
	else
		buf_add(out, p.list.p, p.list.n);
	buf_adds(out, p.n ? "\n ],\n" : "],\n");
	buf_release(&p.list);
	buf_release(&p.stored);
	return rc < 0 ? rc : 0;
}

/* The work tree that the program lies in; nothing where it lies in none. */
static void put_git(struct buf *out, const struct entry_body *body)
{
	static const uint8_t none[20];
	const struct entry_run_start *b = &body->run_start;
	struct entry_run_git git = entry_run_git(body);
	const char *of = entry_run_git_of_word(git.of);
	const char *note = entry_run_git_state_word(git.state);
	bool commit = memcmp(b->git, none, sizeof(none)) != 0;

	if (!commit && !of)
		return;
	buf_adds(out, " \"git\": {\"commit\": ");
	if (commit) {
		buf_addc(out, '"');
		text_hex(out, b->git, sizeof(b->git));
		buf_addc(out, '"');
	} else {
		buf_adds(out, "null");
	}
	buf_addf(out, ", \"dirty\": %s",
		 note	  ? "null" :
		 b->dirty ? "true" :
			    "false");
	if (of)
		buf_addf(out, ", \"of\": \"%s\"", of);
	if (note)
		buf_addf(out, ", \"note\": \"%s\"", note);
	buf_adds(out, "},\n");
}

/* What the RUN_START says, beyond what the index has. */
static int put_start(struct core *c, const struct idx_run *run, struct buf *out)
{
	const struct entry_run_start *b;
	struct buf stored = BUF_INIT;
	struct entry e;
	int rc = run->implicit ? 0 : line_load(c, &stored, &e, run->no);

	if (rc < 0 || run->implicit || e.body.opaque) {
		buf_release(&stored);
		return rc;
	}
	b = &e.body.run_start;
	buf_adds(out, " \"argv\": ");
	argv_json(out, b->argv.p, b->argv.n);
	buf_adds(out, ",\n ");
	line_text(out, "cwd", b->cwd.p, b->cwd.n);
	buf_adds(out, ",\n ");
	line_text(out, "user", b->user.p, b->user.n);
	buf_adds(out, ",\n ");
	line_text(out, "host", b->host.p, b->host.n);
	buf_addf(out, ",\n \"environment_variables\": %u,\n", b->n);
	if (b->policy.n) {
		buf_addc(out, ' ');
		line_text(out, "policy", b->policy.p, b->policy.n);
		buf_adds(out, ",\n");
	}
	put_git(out, &e.body);
	buf_release(&stored);
	return 0;
}

static void put_end(struct buf *out, const struct idx_run *run)
{
	static const char *const hows[] = { "exit", "signal", "lost" };

	buf_adds(out, " \"started\": ");
	line_time(out, run->started_ns);
	if (run->implicit) {
		buf_adds(out, ",\n \"state\": \"implicit\",\n");
		return;
	}
	if (!run->end_no) {
		buf_adds(out, ",\n \"state\": \"running\",\n");
		return;
	}
	buf_adds(out, ",\n \"ended\": ");
	line_time(out, run->ended_ns);
	buf_addf(out,
		 ",\n \"state\": \"ended\",\n"
		 " \"end\": {\"how\": \"%s\", \"status\": %u, "
		 "\"processes\": %llu},\n",
		 run->how >= 1 && run->how <= 3 ? hows[run->how - 1] : "?",
		 run->status, (unsigned long long)run->processes);
}

/* Its parent's name is told to whom that is shown. */
static int put_head(const struct run_view *v, struct idx_reader *r,
		    struct buf *out, const struct idx_run *run)
{
	char word[RUN_WORD_MAX];
	struct idx_run parent;
	int rc;

	idx_run_word(word, run);
	buf_addf(out,
		 "{\n \"format\": \"vouchfs-run-1\",\n \"run\": \"%s\",\n"
		 " \"id\": \"",
		 word);
	text_hex(out, run->id, sizeof(run->id));
	buf_adds(out, "\",\n \"entry\": ");
	line_no(out, run->no);
	buf_addf(out, ",\n \"implicit\": %s,\n \"uid\": %u,\n \"gid\": %u,\n",
		 run->implicit ? "true" : "false", run->uid, run->gid);
	rc = run->parent_no ? idx_run(r, &parent, run->parent_no) : 0;
	if (rc > 0 && (!v->cr || v->cr->uid == parent.uid)) {
		idx_run_word(word, &parent);
		buf_addf(out, " \"parent\": \"%s\",\n", word);
	}
	return rc < 0 ? rc : 0;
}

int run_report_line(const struct run_view *v, struct idx_reader *r,
		    struct buf *out, const struct idx_run *run)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	int rc = put_head(v, r, &b, run);

	put_end(&b, run);
	if (b.bad)
		return -ENOMEM;
	b.n -= 2; /* the comma, the end of the line */
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != '\n') /* there is none within a string */
			buf_addc(out, (char)b.p[i]);
	buf_adds(out, "}\n");
	return rc;
}

int run_report_summary(struct core *c, struct run_view *v, struct idx_reader *r,
		       const struct idx_run *run, struct spool *out)
{
	struct counts n = { .files = 0 };
	struct report w = { .core = c, .view = v, .r = r, .counts = &n };
	struct buf b = BUF_INIT;
	int rc = put_head(v, r, &b, run);

	if (rc >= 0)
		rc = put_start(c, run, &b);
	put_end(&b, run);
	if (rc >= 0)
		rc = walk(&w, run, count);
	put_counts(&b, &n);
	if (rc >= 0)
		rc = put_programs(c, v, r, run, &b);
	buf_adds(&b, " \"not_seen\": \"reads from the page cache; what the "
		     "kernel denied by itself, which never reaches us; what "
		     "was written outside this "
		     "volume\"\n}\n");
	spool_buf(out, &b);
	buf_release(&b);
	free(n.inodes);
	return rc;
}
