/*
 * cmd_show.c - `vouch show`: one entry with all it says: who, what, when, and
 * how far its bytes have gone.  For a PATH it is the newest version's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/upkeep/retain.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/argv.h"
#include "ledger/entry.h"
#include "ledger/entry_json.h"
#include "ledger/ledger.h"
#include "mount-tools/describe.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

struct show {
	struct reader r;
	uint64_t no;
	struct idx_entry e;
	struct entry entry;
	struct buf stored, out;
	struct errmsg em;
};

static void label(struct buf *out, const char *key)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", key);
	for (char *s = name; *s; s++)
		if (*s == '_')
			*s = ' ';
	buf_addf(out, "%-14s", name);
}

/* The newest VERSION of the path, or the last entry about it. */
static int find_path(struct show *s)
{
	struct idx_version v;
	uint64_t ino = 0;
	struct inode_row row = { .entry_no = 0 };
	bool gone = false;
	int rc = reader_inode(&s->r, &ino, &gone, &s->em);

	if (rc < 0)
		return rc;
	rc = idx_version_at(s->r.idx, &v, ino, IDX_NOW);
	if (rc > 0) {
		s->no = v.no;
		return 0;
	}
	if (rc == 0)
		rc = idx_inode(s->r.idx, &row, ino);
	free(row.target);
	s->no = row.entry_no;
	if (rc > 0)
		return 0;
	return rc < 0 ? rc :
			errmsg_set(&s->em, -ENOENT,
				   "%s is gone and had no version; `vouch log "
				   "STORE %s` "
				   "has its history",
				   s->r.inner, s->r.inner);
}

static int load(struct show *s)
{
	int rc =
		reader_entry(&s->r, &s->entry, &s->stored, NULL, s->no, &s->em);

	if (rc == 0)
		rc = idx_entry(s->r.idx, &s->e, s->no);
	if (rc == 0)
		return errmsg_set(&s->em, -ENOENT,
				  "the index does not have that entry");
	return rc < 0 ? rc : 0;
}

static int as_json(struct show *s, struct buf *out)
{
	struct idx_seal_row seal = { .mount_no = 0 };
	int rc = idx_seal_get(s->r.idx, &seal, IDX_SEAL(s->no));
	const struct entry_json j = {
		.seal_index = IDX_SEAL(s->no),
		.position = IDX_POS(s->no),
		.mount_no = seal.mount_no,
		.leaf = &s->e.leaf,
		.entry = &s->entry,
		.actor_no = s->e.actor_no ? (int64_t)s->e.actor_no : -1,
		.note = s->e.rejected ? "rejected" : NULL,
	};

	entry_json(out, &j);
	return rc < 0 ? rc : 0;
}

static void add_value(struct buf *out, const struct json *v)
{
	if (v->type == JSON_ARRAY || v->type == JSON_OBJECT) {
		for (const struct json *m = v->first; m; m = m->next) {
			if (m != v->first)
				buf_addc(out, ' ');
			if (m->key && v->type == JSON_OBJECT) {
				text_term_escape(out, m->key, strlen(m->key));
				buf_addc(out, '=');
			}
			add_value(out, m);
		}
		return;
	}
	if (v->type == JSON_STRING || v->type == JSON_NUMBER)
		text_term_escape(out, v->text, v->len);
	else
		buf_adds(out, v->type == JSON_TRUE ? "yes" : "no");
}

/* Every member but those that are said better elsewhere. */
static int add_members(struct show *s)
{
	static const char *const elsewhere[] = { "entry", "kind", "time",
						 "actor_entry", "mount" };
	struct buf text = BUF_INIT;
	struct json_doc *doc = NULL;
	int rc = as_json(s, &text);

	if (rc == 0)
		rc = json_parse(&doc, text.p, text.n, &s->em);
	for (const struct json *m = rc == 0 ? json_root(doc)->first : NULL; m;
	     m = m->next) {
		bool skip = false;

		for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere);
		     i++)
			skip = skip || strcmp(m->key, elsewhere[i]) == 0;
		if (skip)
			continue;
		label(&s->out, m->key);
		add_value(&s->out, m);
		buf_addc(&s->out, '\n');
	}
	json_free(doc);
	buf_release(&text);
	return rc;
}

static void add_actor(struct show *s)
{
	struct idx_actor a;

	if (s->e.actor_no == 0 || idx_actor(s->r.idx, &a, s->e.actor_no) <= 0)
		return;
	label(&s->out, "by");
	if (a.argv.n)
		argv_text(&s->out, a.argv.p, a.argv.n);
	else
		text_term_escape(&s->out, a.exe.p, a.exe.n);
	buf_adds(&s->out, "\n");
	label(&s->out, "");
	buf_addf(&s->out, "uid %u, gid %u, pid %u on ", a.uid, a.gid, a.tgid);
	text_term_escape(&s->out, a.host.p, a.host.n);
	buf_adds(&s->out, ", in ");
	text_term_escape(&s->out, a.cwd.p, a.cwd.n);
	buf_addc(&s->out, '\n');
	label(&s->out, "");
	text_term_escape(&s->out, a.exe.p, a.exe.n);
	if (a.has_exe_digest) {
		char hex[DIGEST_HEX_SIZE];

		digest_hex(hex, &a.exe_digest);
		buf_addf(&s->out, " (sha256 %.16s...)", hex);
	}
	buf_adds(&s->out, ", entry ");
	print_number(&s->out, s->e.actor_no);
	buf_addc(&s->out, '\n');
	idx_actor_release(&a);
}

struct inputs {
	struct show *s;
	unsigned n;
};

static int on_input(void *ctx, const struct idx_read_item *item)
{
	struct inputs *in = ctx;
	struct buf *out = &in->s->out;
	const char *word = entry_strength_word(item->strength);

	label(out, in->n++ == 0 ? "had opened" : "");
	if (in->n > 20) {
		buf_adds(out, "... (lineage has all)\n");
		return 1;
	}
	if (item->ino)
		describe_path(out, in->s->r.idx, item->ino, item->reads_no);
	else
		buf_adds(out, "something that is not in this log");
	if (item->version)
		buf_addf(out, "  version %llu",
			 (unsigned long long)item->version);
	buf_addf(out, "  (%s)\n", word ? word : "?");
	return 0;
}

static void add_released(struct show *s)
{
	struct idx_version v = { .released_no = 0 };

	if (s->e.kind != ENTRY_VERSION || s->e.rejected ||
	    idx_version(s->r.idx, &v, s->e.inode, s->e.version) <= 0 ||
	    !v.released_no)
		return;
	label(&s->out, "bytes");
	retain_words(&s->out, s->r.idx, v.released_no);
	buf_addc(&s->out, '\n');
}

static int add_inputs(struct show *s)
{
	struct inputs in = { .s = s };
	struct idx_version v;
	int rc;

	if (s->e.kind != ENTRY_VERSION)
		return 0;
	rc = idx_version(s->r.idx, &v, s->e.inode, s->e.version);
	if (rc <= 0 || v.reads_no == 0)
		return rc < 0 ? rc : 0;
	rc = idx_inputs(s->r.idx, v.reads_no, on_input, &in);
	return rc < 0 ? rc : 0;
}

static int print_text(struct show *s)
{
	const char *kind = entry_kind_name(s->e.kind);
	uint64_t signed_size = ledger_checkpointed(s->r.ledger);
	struct idx_seal_row seal = { .mount_no = 0 };
	int rc = idx_seal_get(s->r.idx, &seal, IDX_SEAL(s->no));

	label(&s->out, "entry");
	print_number(&s->out, s->no);
	buf_addf(&s->out, "  %s%s\n", kind ? kind : "of an unknown kind",
		 s->e.rejected ? ", REJECTED: it changed nothing" : "");
	label(&s->out, "what");
	describe_entry(&s->out, s->r.idx, &s->entry, s->no);
	buf_addc(&s->out, '\n');
	add_released(s);
	label(&s->out, "when");
	print_time(&s->out, s->e.wall_ns);
	buf_adds(&s->out, " UTC by the clock of its mount\n");
	add_actor(s);
	if (rc >= 0)
		rc = add_inputs(s);
	label(&s->out, "signed");
	buf_addf(&s->out, "by mount %u in seal %llu; %s\n", seal.mount_no,
		 (unsigned long long)IDX_SEAL(s->no),
		 IDX_SEAL(s->no) < signed_size ?
			 "covered by a checkpoint of the log" :
			 "durable, not yet under a checkpoint");
	if (rc >= 0)
		rc = add_members(s);
	return rc < 0 ? rc : 0;
}

static int run(struct show *s, bool json)
{
	int rc = s->no == UINT64_MAX ? find_path(s) : 0;

	if (rc == 0)
		rc = load(s);
	if (rc == 0)
		rc = json ? as_json(s, &s->out) : print_text(s);
	if (rc == 0)
		rc = print_flush(&s->out);
	return rc;
}

int cmd_show(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	const struct opt options[] = { OPT_FORMAT(&format), OPT_END };
	struct show s = { .no = UINT64_MAX, .em = ERRMSG_INIT };
	autofree char *here = NULL;
	const char *where, *inner = NULL;
	int status = opt_parse(options, &argc, &argv, 1, 2), rc = 0;

	if (status != OPT_GO)
		return status;
	if (reader_number(&s.no, argv[0]) < 0) {
		s.no = UINT64_MAX;
		where = argv[0];
		inner = argc > 1 ? argv[1] : NULL;
	} else if (argc > 1) {
		where = argv[1];
	} else {
		rc = reader_here(&here, "which STORE or DIR", &s.em);
		where = here;
	}
	if (rc == 0)
		rc = reader_open(&s.r, where, inner,
				 READER_INDEX | READER_VERSION, &s.em);
	if (rc == 0) {
		rc = run(&s, format == OPT_AS_JSON);
		reader_close(&s.r);
	}
	buf_release(&s.stored);
	buf_release(&s.out);
	if (rc == -ERR_USAGE)
		return opt_misuse("show", "%s", errmsg_text(&s.em, rc));
	return rc < 0 ? opt_fail("show", rc, &s.em) : 0;
}
