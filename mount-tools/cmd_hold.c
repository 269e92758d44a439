/*
 * cmd_hold.c - `vouch hold`: legal holds.  What is held is not released,
 * whatever the retention policy says, until somebody lifts the hold and says
 * why: both are entries.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "mount-tools/ask.h"
#include "mount-tools/names.h"
#include "mount-tools/opt.h"
#include "mount-tools/pattern.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

/* --- list --- */

struct list {
	struct buf out;
	struct idx_reader *r;
	bool json, all;
	unsigned n;
};

static void add_json(struct list *l, const struct idx_hold *v,
		     const struct idx_entry *e)
{
	char time[TEXT_TIME_SIZE];

	text_time(time, e->wall_ns);
	buf_addf(&l->out, "%s{\"entry\":\"", l->n > 1 ? "," : "");
	print_number(&l->out, v->no);
	buf_addf(&l->out, "\",\"time\":\"%s\"", time);
	if (v->pattern)
		ask_add(&l->out, "pattern", v->pattern);
	else
		buf_addf(&l->out, ",\"inode\":%llu",
			 (unsigned long long)v->ino);
	ask_add(&l->out, "reason", v->reason);
	if (v->until_no) {
		buf_adds(&l->out, ",\"lifted\":\"");
		print_number(&l->out, v->until_no);
		buf_addc(&l->out, '"');
		ask_add(&l->out, "lift_reason", v->until_reason);
	}
	buf_addc(&l->out, '}');
}

static void add_text(struct list *l, const struct idx_hold *v,
		     const struct idx_entry *e)
{
	print_number(&l->out, v->no);
	buf_adds(&l->out, "  ");
	if (v->pattern)
		text_term_escape(&l->out, v->pattern, strlen(v->pattern));
	else
		buf_addf(&l->out, "inode %llu", (unsigned long long)v->ino);
	buf_adds(&l->out, "  since ");
	print_time(&l->out, e->wall_ns);
	buf_adds(&l->out, ": ");
	text_term_escape(&l->out, v->reason, strlen(v->reason));
	if (v->until_no) {
		buf_adds(&l->out, "  LIFTED by entry ");
		print_number(&l->out, v->until_no);
		buf_adds(&l->out, ": ");
		text_term_escape(&l->out, v->until_reason,
				 strlen(v->until_reason));
	}
	buf_addc(&l->out, '\n');
}

static int on_hold(void *ctx, const struct idx_hold *v)
{
	struct list *l = ctx;
	struct idx_entry e = { .no = 0 };
	int rc;

	if (v->until_no && !l->all)
		return 0;
	rc = idx_entry(l->r, &e, v->no);
	if (rc < 0)
		return rc;
	l->n++;
	if (l->json)
		add_json(l, v, &e);
	else
		add_text(l, v, &e);
	return 0;
}

static int list(const char *path, bool all, enum opt_format format)
{
	struct list l = { .all = all, .json = format == OPT_AS_JSON };
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int rc = reader_open(&r, path, NULL, READER_INDEX, &em);

	if (rc < 0)
		return opt_fail("hold", rc, &em);
	l.r = r.idx;
	if (l.json)
		buf_addc(&l.out, '[');
	rc = idx_holds(r.idx, on_hold, &l);
	if (l.json)
		buf_adds(&l.out, "]\n");
	else if (rc == 0 && !l.n)
		buf_adds(&l.out, "no holds\n");
	reader_close(&r);
	if (rc == 0)
		rc = print_flush(&l.out);
	buf_release(&l.out);
	return rc < 0 ? opt_fail("hold", rc, &em) : 0;
}

/* --- add, lift --- */

static int ask(const char *path, struct buf *b, const char *words,
	       enum opt_format format)
{
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	struct buf out = BUF_INIT;
	struct ctl_place place;
	int rc = ctl_find_volume(&place, path, &em), status;

	if (rc == 0)
		rc = b->bad ? -ENOMEM :
			      ask_volume(&answer, &place, (char *)b->p, &em);
	ctl_place_release(&place);
	if (rc == 0) {
		buf_adds(&out, format == OPT_AS_JSON ?
				       "{\"ok\":true,\"entry\":\"" :
				       words);
		pattern_entry(&out, json_root(answer));
		buf_adds(&out, format == OPT_AS_JSON ? "\"}\n" : ".\n");
		rc = print_flush(&out);
	}
	status = rc < 0 ? opt_fail("hold", rc, &em) : 0;
	buf_release(&out);
	json_free(answer);
	return status;
}

/* --- is there anything to hold? --- */

enum { LOOK_MAX = 100000, DEPTH_MAX = 2048 };

struct look {
	struct idx_reader *r;
	const char *pattern;
	struct buf path; /* of the directory, "a/b/" */
	unsigned n, depth;
	bool found;
};

static int look_in(struct look *l, uint64_t dir);

static int on_name(void *ctx, const char *name, uint64_t ino)
{
	struct look *l = ctx;
	size_t n = l->path.n;
	int rc = 0;

	buf_adds(&l->path, name);
	if (l->path.bad || ++l->n > LOOK_MAX)
		return -ECANCELED;
	l->found = glob_covers(l->pattern, strlen(l->pattern),
			       (const char *)l->path.p, l->path.n);
	buf_addc(&l->path, '/');
	rc = l->found ? -ECANCELED : look_in(l, ino);
	l->path.n = n;
	return rc;
}

static int look_in(struct look *l, uint64_t dir)
{
	int rc;

	if (l->depth == DEPTH_MAX)
		return -ECANCELED; /* each takes stack */
	l->depth++;
	rc = names_at(l->r, dir, IDX_NOW, on_name, l);
	l->depth--;
	return rc;
}

/*
 * Does the pattern cover a file that is there, or one that has the name of
 * its beginning and is gone?  True also when there is too much to look at.
 */
static bool covers_any(struct idx_reader *r, const char *pattern)
{
	struct look l = { .r = r, .pattern = pattern };
	size_t n = glob_literal(pattern);
	uint64_t ino = STATE_ROOT_INO;
	bool gone;
	int rc = 1;

	if (n > 0)
		rc = idx_resolve(r, &ino, pattern, n, IDX_NOW);
	if (rc == 0)
		return idx_resolve_last(r, &ino, &gone, pattern, n) != 0;
	if (rc < 0 || !pattern[n])
		return true;
	buf_add(&l.path, pattern, n);
	if (n > 0)
		buf_addc(&l.path, '/');
	rc = look_in(&l, ino);
	buf_release(&l.path);
	return l.found || rc < 0;
}

static void tell_idle(const char *path, const char *pattern)
{
	struct buf b = BUF_INIT;
	struct reader r;

	if (reader_open(&r, path, NULL, READER_INDEX, NULL) < 0)
		return; /* the hold is there, this is a courtesy */
	text_term_escape(&b, pattern, strlen(pattern));
	if (!b.bad && !covers_any(r.idx, pattern))
		fprintf(stderr,
			"vouch hold: nothing that is there now matches %s; "
			"what once did is held, and what will\n",
			(const char *)b.p);
	buf_release(&b);
	reader_close(&r);
}

static int add(const char *path, const char *pattern, uint64_t ino,
	       const char *reason, enum opt_format format)
{
	struct buf b = BUF_INIT;
	int status;

	buf_adds(&b, "\"verb\":\"hold-add\"");
	if (pattern)
		ask_add(&b, "pattern", pattern);
	else
		buf_addf(&b, ",\"inode\":%llu", (unsigned long long)ino);
	ask_add(&b, "reason", reason);
	status = ask(path, &b, "Held until it is lifted: entry ", format);
	if (status == 0 && pattern)
		tell_idle(path, pattern);
	buf_release(&b);
	return status;
}

struct match {
	const char *pattern;
	uint64_t no;
	unsigned n;
};

static int on_match(void *ctx, const struct idx_hold *v)
{
	struct match *m = ctx;

	if (!v->until_no && v->pattern && strcmp(v->pattern, m->pattern) == 0) {
		m->no = v->no;
		m->n++;
	}
	return 0;
}

/* The hold that `what` names: its entry, or its pattern if but one has it. */
static int find(uint64_t *out, const char *path, const char *what,
		struct errmsg *em)
{
	autofree char *pattern = NULL;
	struct match m = { .n = 0 };
	struct reader r;
	int rc;

	if (reader_number(out, what) == 0)
		return 0;
	(void)pattern_take(&pattern, what);
	if (!pattern)
		return errmsg_set(em, -EINVAL, "%s: not a hold", what);
	m.pattern = pattern;
	rc = reader_open(&r, path, NULL, READER_INDEX, em);
	if (rc < 0)
		return rc;
	rc = idx_holds(r.idx, on_match, &m);
	reader_close(&r);
	if (rc < 0)
		return rc;
	if (m.n != 1)
		return errmsg_set(em, -ENOENT,
				  m.n ? "%s: several holds have this pattern: "
					"name the entry (vouch hold list)" :
					"%s: no hold in force has this "
					"pattern",
				  what);
	*out = m.no;
	return 0;
}

static int lift(const char *path, const char *what, const char *reason,
		enum opt_format format)
{
	struct errmsg em = ERRMSG_INIT;
	struct buf b = BUF_INIT;
	uint64_t no = 0;
	int rc = find(&no, path, what, &em), status;

	if (rc < 0)
		return opt_fail("hold", rc, &em);
	buf_addf(&b, "\"verb\":\"hold-lift\",\"hold\":%llu",
		 (unsigned long long)no);
	ask_add(&b, "reason", reason);
	status = ask(path, &b, "Lifted: entry ", format);
	buf_release(&b);
	return status;
}

static int misuse(void)
{
	return opt_misuse("hold", "add, lift or list, and what they "
				  "need; a hold has a --reason");
}

int cmd_hold(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	const char *reason = NULL, *wrong;
	autofree char *pattern = NULL;
	uint64_t ino = 0;
	bool all = false;
	const struct opt options[] = {
		{ 'r', "reason", OPT_TEXT, &reason, "TEXT",
		  "add, lift: why; it is in the log for ever" },
		{ 0, "inode", OPT_NUMBER, &ino, "N",
		  "add: one file, whatever it is called" },
		{ 'a', "all", OPT_FLAG, &all, NULL, "list: lifted ones, too" },
		OPT_FORMAT(&format),
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 2, 3);

	if (status != OPT_GO)
		return status;
	if (strcmp(argv[0], "list") == 0)
		return argc == 2 && !reason && !ino ?
			       list(argv[1], all, format) :
			       misuse();
	if (!reason || !*reason || all)
		return misuse();
	if (!text_is_utf8(reason, strlen(reason)) || strlen(reason) > 1024)
		return opt_misuse("hold", "--reason is text of up to 1024 "
					  "bytes");
	if (strcmp(argv[0], "lift") == 0 && argc == 3 && !ino)
		return lift(argv[1], argv[2], reason, format);
	if (strcmp(argv[0], "add") != 0 || (argc == 3) == (ino != 0))
		return misuse();
	if (ino)
		return add(argv[1], NULL, ino, reason, format);
	wrong = pattern_take_new(&pattern, argv[2]);
	if (wrong)
		return opt_misuse("hold", "the pattern: %s: %.200s", wrong,
				  argv[2]);
	return add(argv[1], pattern, 0, reason, format);
}
