/*
 * verbs_lineage.c - the verb `lineage`: where a file or what a run wrote comes
 * from, in any of the forms there are; statements are signed.
 */
#include <errno.h>
#include <string.h>

#include "analytics/attest.h"
#include "analytics/lineage.h"
#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/dsse.h"
#include "ledger/ledger.h"
#include "mount-tools/verbs_int.h"

enum { RUN_SECONDS = 60 };

typedef int graph_fn(const struct lineage *l, struct idx_reader *r,
		     struct spool *out);
typedef int facts_fn(const struct attest *a, struct buf *out);

/* A form of a file is drawn from the whole graph, or from the facts. */
static const struct form {
	const char *name;
	bool sign;
	graph_fn *graph;
	facts_fn *facts; /* of a run, and without graph of a file */
} forms[] = {
	{ "json", false, lineage_json, attest_json },
	{ "dot", false, lineage_dot, attest_dot },
	{ "mermaid", false, lineage_mermaid, attest_mermaid },
	{ "prov", false, lineage_prov, attest_prov },
	{ "openlineage", false, NULL, attest_openlineage },
	{ "in-toto", true, NULL, attest_link },
	{ "slsa", true, NULL, attest_slsa },
};

static const struct form *form_of(const struct json *request)
{
	const char *as = json_get_str(request, "as");

	for (size_t i = 0; as && i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i].name, as) == 0)
			return &forms[i];
	return NULL;
}

/* The facts in that form; signed when the log has what they say. */
static int put_facts(struct core *c, const struct form *f,
		     const struct attest *a, struct spool *out,
		     struct errmsg *em)
{
	struct buf text = BUF_INIT, line = BUF_INIT;
	int rc = f->sign && core_options_of(c)->read_only ? -EROFS : 0;

	if (rc < 0)
		return errmsg_set(em, rc,
				  "a volume that is open for reading only "
				  "signs nothing");
	rc = f->facts(a, &text);
	if (rc == -ENODATA)
		rc = errmsg_set(em, rc,
				"it wrote no file that is still there when it "
				"ended: there is nothing to state");
	if (rc == -ERR_LIMIT)
		rc = errmsg_set(em, rc,
				"too long for one statement: ask for single "
				"files");
	if (rc == 0 && f->sign) {
		rc = ledger_checkpoint(core_ledger(c), em);
		if (rc == 0)
			rc = ledger_attest(core_ledger(c), &line, DSSE_IN_TOTO,
					   text.p, text.n);
	}
	if (rc == 0)
		spool_buf(out, f->sign ? &line : &text);
	buf_release(&text);
	buf_release(&line);
	return rc;
}

/* The newest version gets its plain digest where that is owed. */
static int digest_made(struct core *c, struct idx_reader **r, uint64_t ino,
		       uint64_t version)
{
	struct digest sha256;
	struct idx_version v;
	int rc = version ? idx_version(*r, &v, ino, version) :
			   idx_version_at(*r, &v, ino, IDX_NOW);

	if (rc <= 0)
		return rc < 0 ? rc : -ENODATA;
	if (v.has_sha256 || core_options_of(c)->read_only)
		return 0;
	rc = core_digest(c, ino, &sha256);
	if (rc == -ENOENT || rc == -ESTALE || rc == -ENODATA)
		return 0; /* an old one: the statement says so */
	core_reader_give(c, *r);
	*r = NULL;
	if (rc >= 0)
		rc = core_settle_index(c);
	return rc < 0 ? rc : core_reader_take(c, r);
}

static int file_form(struct core *c, const struct form *f,
		     const struct json *request, const struct cred *peer,
		     struct spool *out, struct errmsg *em)
{
	const char *path = json_get_str(request, "path");
	struct idx_reader *r = NULL;
	struct lineage *l = NULL;
	struct attest a = { .is_run = false };
	uint64_t ino = 0, version = 0;
	int rc = verbs_find(c, &r, &ino, request, em);

	(void)!json_get_u64(request, "version", &version);
	if (rc == 0 && f->graph) {
		rc = lineage_build(&l, c, r, peer, ino, version, NULL);
		if (rc == 0)
			rc = f->graph(l, r, out);
	} else if (rc == 0) {
		rc = digest_made(c, &r, ino, version);
		if (rc == 0)
			rc = attest_file(&a, c, r, peer, ino, version);
		if (rc == 0)
			rc = put_facts(c, f, &a, out, em);
		attest_release(&a);
	}
	lineage_free(l);
	core_reader_give(c, r);
	if (rc == -ENODATA)
		return errmsg_set(em, rc,
				  version ? "%s has no such version" :
					    "%s has no version: only regular "
					    "files that were written have one",
				  path);
	return rc;
}

/* The run that request.run names, or in words why there is none. */
static int find_run(struct core *c, struct idx_reader **out_r,
		    struct idx_run *out, const struct json *request,
		    struct errmsg *em)
{
	const char *word = json_get_str(request, "run");
	int rc = word ? core_settle_index(c) : -ERR_USAGE;

	*out_r = NULL;
	if (rc == 0)
		rc = core_reader_take(c, out_r);
	if (rc == 0)
		rc = idx_run_find(*out_r, out, word);
	if (rc == 1)
		return 0;
	if (rc > 1)
		return errmsg_set(em, -ERR_USAGE,
				  "there are several runs named %s: say %s.%u "
				  "(the newest), or another number",
				  word, out->name, out->number);
	if (rc == 0)
		return errmsg_set(em, -ENOENT,
				  "no run %s: `vouch runs --all STORE` lists "
				  "those there are",
				  word);
	return errmsg_set(em, rc, "run %s: %s", word ? word : "", err_text(rc));
}

static int run_form(struct core *c, const struct form *f,
		    const struct json *request, struct spool *out,
		    struct errmsg *em)
{
	struct run_view all = { .cr = NULL }; /* none but he is heard here */
	struct attest a = { .is_run = true };
	struct idx_reader *r = NULL;
	struct idx_run run;
	int rc = find_run(c, &r, &run, request, em);

	if (rc == 0) {
		run_walk_limit(&all, RUN_SECONDS);
		rc = attest_run(&a, c, r, &all, &run);
		if (rc == 0)
			rc = put_facts(c, f, &a, out, em);
		if (rc == -ETIMEDOUT)
			rc = errmsg_set(em, rc,
					"%s.%u did too much for one statement: "
					"ask for single files",
					run.name, run.number);
		attest_release(&a);
	}
	core_reader_give(c, r);
	return rc;
}

int verbs_lineage(void *ctx, const struct json *request,
		  const struct cred *peer, struct buf *out, struct errmsg *em)
{
	struct core *c = ctx;
	const struct form *f = form_of(request);
	const char *word = json_get_str(request, "run");
	const char *what = word ? word : json_get_str(request, "path");
	struct errmsg why = ERRMSG_INIT;
	struct spool s;
	int rc;

	if (!f || !what)
		return errmsg_set(em, -ERR_USAGE, "of what, in what form?");
	spool_init(&s, core_store_dir(c), JSON_SIZE_MAX / 4);
	rc = word ? run_form(c, f, request, &s, &why) :
		    file_form(c, f, request, peer, &s, &why);
	if (rc == 0)
		rc = spool_end(&s);
	if (rc == 0) {
		control_add_u64(out, "size", s.size);
		rc = verbs_spool(&s, true, out);
	}
	spool_release(&s);
	if (rc < 0 && why.text[0])
		return errmsg_set(em, rc, "%s", errmsg_text(&why, rc));
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", what, err_text(rc)) : 0;
}
