/*
 * cmd_log.c - `vouch log`: what happened to a file, or to the whole volume,
 * oldest first; with --follow also what happens from now on.
 *
 * A file that replaced another by rename, as editors save, has its history,
 * too: who asks for a path means what was there before.  Of the newest INODES
 * of them; that there are more is told.  With --follow what replaces it from
 * now on is shown likewise.
 *
 * As text, one line an entry, without entries about entries (who, what was
 * opened) unless --all; as JSON every entry, the lines of /audit/log.jsonl.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/entry_json.h"
#include "ledger/ledger.h"
#include "mount-tools/describe.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

enum { BATCH = 1024, FLUSH_BYTES = 64 << 10, INODES = 4096 };
#define FOLLOW_NS (500L * 1000 * 1000)

struct log {
	struct reader r;
	/* of the path, then what it replaced, newest first; none: everything */
	uint64_t inos[INODES];
	unsigned n_inos;
	bool cut; /* there were more, and that was told */
	bool json, all, follow;
	uint64_t count; /* -n; UINT64_MAX: all */
	struct buf out, stored;
	struct idx_entry *v; /* one batch */
	size_t n;
	struct errmsg em;
};

static int print_json(struct log *l, const struct idx_entry *e,
		      const struct entry *entry)
{
	struct idx_seal_row seal = { .mount_no = 0 };
	const struct entry_json j = {
		.seal_index = IDX_SEAL(e->no),
		.position = IDX_POS(e->no),
		.leaf = &e->leaf,
		.entry = entry,
		.actor_no = e->actor_no ? (int64_t)e->actor_no : -1,
		.note = e->rejected ? "rejected" : NULL,
	};
	struct entry_json with_mount = j;
	int rc = idx_seal_get(l->r.idx, &seal, IDX_SEAL(e->no));

	with_mount.mount_no = seal.mount_no;
	entry_json(&l->out, &with_mount);
	return rc < 0 ? rc : 0;
}

static void print_text(struct log *l, const struct idx_entry *e,
		       const struct entry *entry)
{
	const char *kind = entry_kind_name(e->kind);
	size_t start = l->out.n;

	print_number(&l->out, e->no);
	while (l->out.n - start < 9)
		buf_addc(&l->out, ' ');
	buf_adds(&l->out, "  ");
	print_time(&l->out, e->wall_ns);
	buf_addf(&l->out, "  %-11s  ", kind ? kind : "?");
	describe_entry(&l->out, l->r.idx, entry, e->no);
	if (e->rejected)
		buf_adds(&l->out, "  REJECTED");
	if (e->actor_no) {
		buf_adds(&l->out, "  by ");
		print_actor(&l->out, l->r.idx, e->actor_no);
	}
	while (l->out.n > 0 && l->out.p[l->out.n - 1] == ' ')
		l->out.n--;
	buf_addc(&l->out, '\n');
}

static int print_one(struct log *l, const struct idx_entry *e)
{
	struct entry entry;
	int rc = reader_entry(&l->r, &entry, &l->stored, NULL, e->no, &l->em);

	if (rc < 0)
		return rc;
	if (l->json)
		rc = print_json(l, e, &entry);
	else
		print_text(l, e, &entry);
	if (rc == 0 && (l->follow || l->out.n > FLUSH_BYTES))
		rc = print_flush(&l->out);
	return rc < 0 ? rc : 0;
}

static bool wanted(const struct log *l, const struct idx_entry *e)
{
	return l->json || l->all || !describe_is_detail(e);
}

static int collect(void *ctx, const struct idx_entry *e)
{
	struct log *l = ctx;

	l->v[l->n++] = *e;
	return 0;
}

static int by_no(const void *a, const void *b)
{
	const struct idx_entry *x = a, *y = b;

	return x->no < y->no ? -1 : x->no > y->no;
}

/* The first BATCH of what is collected; a RENAME is about two of them. */
static void keep_first(struct log *l)
{
	size_t n = 0;

	qsort(l->v, l->n, sizeof(*l->v), by_no);
	for (size_t i = 0; i < l->n && n < BATCH; i++)
		if (n == 0 || l->v[i].no != l->v[n - 1].no)
			l->v[n++] = l->v[i];
	l->n = n;
}

/* Up to BATCH entries from `from` on. */
static int fetch(struct log *l, uint64_t from, uint64_t until)
{
	int rc = 0;

	l->n = 0;
	if (!l->n_inos)
		rc = idx_entries(l->r.idx, from, until, BATCH, collect, l);
	for (unsigned i = 0; rc >= 0 && i < l->n_inos; i++) {
		rc = idx_history(l->r.idx, l->inos[i], from, until, BATCH,
				 false, collect, l);
		if (l->n > BATCH) /* there is room for one more BATCH */
			keep_first(l);
	}
	if (l->n_inos > 1)
		keep_first(l);
	return rc < 0 ? rc : 0;
}

/* The inode that `e`, a RENAME of `ino`, took the name of; 0: none. */
static int replaced_by(struct log *l, uint64_t *out, const struct idx_entry *e,
		       uint64_t ino)
{
	struct entry entry;
	int rc;

	*out = 0;
	if (e->kind != ENTRY_RENAME || e->inode != ino || e->rejected)
		return 0;
	rc = reader_entry(&l->r, &entry, &l->stored, NULL, e->no, &l->em);
	if (rc == 0 && entry.state == ENTRY_CLEAR &&
	    !(entry.body.rename.flags & ENTRY_RENAME_EXCHANGE))
		*out = entry.body.rename.replaced;
	return rc;
}

static void add_ino(struct log *l, uint64_t ino)
{
	for (unsigned i = 0; i < l->n_inos; i++)
		if (l->inos[i] == ino)
			return; /* it has two names, or they took turns */
	if (l->n_inos < INODES) {
		l->inos[l->n_inos++] = ino;
		return;
	}
	if (!l->cut)
		fprintf(stderr,
			"vouch log: more than %d files had this name: what "
			"older ones went through is left out\n",
			INODES);
	l->cut = true;
}

/* Adds what inos[i] replaced. */
static int add_replaced(struct log *l, unsigned i)
{
	uint64_t from = 0, old = 0;
	int rc = 0;

	do {
		l->n = 0;
		rc = idx_history(l->r.idx, l->inos[i], from, IDX_NOW, BATCH,
				 true, collect, l);
		for (size_t k = 0; rc >= 0 && k < l->n; k++) {
			rc = replaced_by(l, &old, &l->v[k], l->inos[i]);
			if (rc == 0 && old)
				add_ino(l, old);
		}
		if (l->n > 0)
			from = l->v[l->n - 1].no + 1;
	} while (rc >= 0 && l->n == BATCH);
	return rc < 0 ? rc : 0;
}

/* The file that has the path now, if that is another, and what it replaced. */
static int find_inodes(struct log *l)
{
	uint64_t ino = 0;
	unsigned i = l->n_inos;
	bool gone = false;
	int rc;

	if (!l->r.inner)
		return 0;
	rc = reader_inode(&l->r, &ino, &gone, &l->em);
	if (rc < 0)
		return rc;
	for (add_ino(l, ino); rc == 0 && i < l->n_inos; i++)
		rc = add_replaced(l, i);
	return rc;
}

/* Prints what is from *from on, and moves it behind. */
static int print_from(struct log *l, uint64_t *from)
{
	uint64_t end = IDX_ENTRY_NO(ledger_size(l->r.ledger), 0);
	int rc = 0;

	do {
		rc = end > *from ? fetch(l, *from, end - 1) : (int)(l->n = 0);
		for (size_t i = 0; rc == 0 && i < l->n; i++)
			if (wanted(l, &l->v[i]))
				rc = print_one(l, &l->v[i]);
		if (rc == 0 && l->n > 0)
			*from = l->v[l->n - 1].no + 1;
	} while (rc == 0 && l->n == BATCH);
	if (rc == 0)
		rc = print_flush(&l->out);
	return rc;
}

/* Where the last `count` entries begin: ever larger pieces from the end. */
static int find_start(struct log *l, uint64_t *out)
{
	uint64_t end = IDX_ENTRY_NO(ledger_size(l->r.ledger), 0);
	uint64_t span = l->n_inos ? end : IDX_ENTRY_NO(64, 0);
	autofree uint64_t *ring = NULL;
	uint64_t seen = 0, from;

	*out = 0;
	if (l->count == UINT64_MAX || end == 0)
		return 0;
	if (l->count == 0 || l->count > 1 << 20) {
		*out = l->count == 0 ? end : 0;
		return 0;
	}
	ring = calloc(l->count, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (;; span *= 8) {
		uint64_t at = from = span < end ? end - span : 0;

		seen = 0;
		do {
			int rc = fetch(l, at, end - 1);

			if (rc < 0)
				return rc;
			for (size_t i = 0; i < l->n; i++)
				if (wanted(l, &l->v[i]))
					ring[seen++ % l->count] = l->v[i].no;
			if (l->n > 0)
				at = l->v[l->n - 1].no + 1;
		} while (l->n == BATCH);
		if (seen >= l->count || from == 0)
			break;
	}
	*out = seen >= l->count ? ring[seen % l->count] : from;
	return 0;
}

static int run(struct log *l)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_NS };
	uint64_t from = 0;
	int rc = find_inodes(l);

	if (rc == 0)
		rc = find_start(l, &from);
	if (rc == 0)
		rc = print_from(l, &from);
	while (rc == 0 && l->follow && fflush(stdout) == 0) {
		nanosleep(&pause, NULL);
		rc = reader_refresh(&l->r, &l->em);
		if (rc == 0)
			rc = find_inodes(l);
		if (rc == 0)
			rc = print_from(l, &from);
	}
	return rc;
}

int cmd_log(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	struct log l = { .count = UINT64_MAX, .em = ERRMSG_INIT };
	const struct opt options[] = {
		{ 'f', "follow", OPT_FLAG, &l.follow, NULL,
		  "go on with what comes" },
		{ 'n', NULL, OPT_NUMBER, &l.count, "N", "only the last N" },
		{ 'a', "all", OPT_FLAG, &l.all, NULL,
		  "as text, too: who, what was opened, pieces of writes" },
		OPT_FORMAT(&format),
		OPT_END,
	};
	autofree char *here = NULL;
	int status = opt_parse(options, &argc, &argv, 0, 2), rc = 0;

	if (status != OPT_GO)
		return status;
	l.json = format == OPT_AS_JSON;
	if (argc == 0)
		rc = reader_here(&here, "which STORE or DIR", &l.em);
	if (rc == 0)
		rc = reader_open(&l.r, argc ? argv[0] : here,
				 argc > 1 ? argv[1] : NULL,
				 READER_INDEX | READER_VERSION, &l.em);
	if (rc == 0) {
		l.v = calloc(2 * BATCH, sizeof(*l.v)); /* keep_first() */
		rc = l.v ? run(&l) : -ENOMEM;
		reader_close(&l.r);
	}
	free(l.v);
	buf_release(&l.out);
	buf_release(&l.stored);
	if (rc == -ERR_USAGE)
		return opt_misuse("log", "%s", errmsg_text(&l.em, rc));
	return rc < 0 ? opt_fail("log", rc, &l.em) : 0;
}
