/*
 * cmd_verify.c - `vouch verify` and `vouch scrub`: reads everything, believes
 * nothing, names each damaged place; scrub also puts right from replicas what
 * they have.  A mounted volume is read by its daemon, which sees what has not
 * settled yet; this process only draws the bar.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/upkeep/fsck.h"
#include "ledger/checkpoint.h"
#include "ledger/ledger.h"
#include "ledger/note.h"
#include "mount-tools/ask.h"
#include "mount-tools/fsck_lost.h"
#include "mount-tools/fsck_packs.h"
#include "mount-tools/git_anchors.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/verify.h"
#include "mount-tools/vouch.h"
#include "mount-tools/watch.h"

/* --- beside a mount ---------------------------------------------------------- */

static uint64_t number(const struct json *o, const char *key)
{
	uint64_t v = 0;

	(void)!json_get_u64(o, key, &v);
	return v;
}

static void from_json(struct verify *v, const struct json *o)
{
	const struct json *list = json_get(o, "found");
	struct fsck_report *r = &v->report;

	r->log.seals = number(o, "seals");
	r->log.entries = number(o, "entries");
	r->log.signatures = number(o, "signatures");
	r->log.tiles = number(o, "tiles");
	r->log.redacted = number(o, "redacted");
	r->log.missing = number(o, "absent");
	r->store.packs = number(o, "packs");
	r->store.chunks = number(o, "chunks");
	r->store.bytes = number(o, "bytes");
	r->store.bad = number(o, "bad");
	r->store.repaired = number(o, "repaired");
	r->versions = number(o, "versions");
	r->released = number(o, "released");
	r->missing = number(o, "missing");
	r->unneeded = number(o, "unneeded");
	r->damaged = number(o, "damaged");
	r->left = number(o, "left");
	for (const struct json *s = list ? list->first : NULL; s; s = s->next)
		if (json_str(s))
			verify_found(v, json_str(s));
}

static int verify_live(struct verify *v, const struct ctl_place *place,
		       struct errmsg *em)
{
	const struct watch_options watch = {
		.title = v->repair ? "scrubbing" : "verifying",
	};
	struct json_doc *doc = NULL;
	struct buf b = BUF_INIT;
	int rc;

	buf_addf(&b, "\"verb\":\"verify\",\"deep\":%s,\"repair\":%s",
		 v->deep ? "true" : "false", v->repair ? "true" : "false");
	if (v->note.n)
		ask_add(&b, "consistent", (char *)v->note.p);
	rc = b.bad ? -ENOMEM : watch_ask(&doc, place, (char *)b.p, &watch, em);
	if (rc == 0)
		from_json(v, json_root(doc));
	json_free(doc);
	buf_release(&b);
	return rc;
}

/* --- without one ------------------------------------------------------------- */

static int verify_store(struct verify *v, const char *path, struct errmsg *em)
{
	struct reader r;
	int rc = reader_open(&r, path, NULL,
			     READER_OFFLINE | (v->deep ? READER_STORE : 0), em);

	if (rc < 0)
		return rc;
	rc = fsck_lost_look(r.place.store, r.vio, r.ledger, em);
	if (rc == 0)
		rc = verify_offline(v, r.ledger, r.store, em);
	if (rc == 0)
		rc = fsck_packs_look(v, r.vio, ledger_volume_id(r.ledger),
				     ledger_was_in_use(r.ledger));
	reader_close(&r);
	return rc;
}

/* --- anchors --------------------------------------------------------------------- */

static void on_wrong(void *ctx, const char *words)
{
	struct buf *out = ctx;

	buf_adds(out, "  ");
	text_term_escape(out, words, strlen(words));
	buf_addc(out, '\n');
}

/* Is each checkpoint that was committed there a state of this log? */
static int check_anchors(const char *path, const char *repo, const char *ref,
			 enum opt_format format)
{
	struct buf autocall(buf_release) found = BUF_INIT;
	struct git_anchors a = { NULL, 0 };
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	autofree char *place = realpath(repo, NULL);
	int rc = git_anchors_read(&a, repo, ref, &em), wrong = 0, gone = 0;

	if (rc == 0)
		rc = reader_open(&r, path, NULL, READER_INDEX, &em);
	if (rc == 0) {
		wrong = git_anchors_check(&a, r.ledger, on_wrong, &found);
		if (wrong >= 0)
			gone = git_anchors_missing(&a, r.idx, r.ledger,
						   place ? place : repo, ref,
						   on_wrong, &found);
		rc = wrong < 0 ? wrong : gone < 0 ? gone : 0;
		wrong += rc == 0 ? gone : 0;
		reader_close(&r);
	}
	if (rc == 0 && a.n == 0 && !wrong)
		rc = errmsg_set(&em, -ENOENT, "%s: %s has no anchors", repo,
				ref);
	if (rc == 0 && format == OPT_AS_JSON)
		printf("{\"anchors\":%zu,\"wrong\":%d}\n", a.n, wrong);
	else if (rc == 0 && wrong)
		printf("anchors   %zu there, %d wrong or removed\n%s", a.n,
		       wrong, found.n ? (char *)found.p : "");
	else if (rc == 0)
		printf("anchors   %zu, each is a state of this log\n", a.n);
	git_anchors_release(&a);
	return rc < 0 ? opt_fail("verify", rc, &em) : wrong > 0;
}

/* --- the verbs ----------------------------------------------------------------- */

static int read_note(struct verify *v, const char *path, struct errmsg *em)
{
	autofree char *real = realpath(path, NULL);
	struct vio *root = NULL;
	struct checkpoint c;
	struct note note;
	int rc = real ? vio_posix_open(&root, "/") : -errno;

	if (rc == 0)
		rc = vio_read_file(root, &v->note, real + 1, CHECKPOINT_MAX);
	vio_free(root);
	if (rc < 0 && rc != -ERR_LIMIT)
		return errmsg_set(em, rc, "%s: %s", path, err_text(rc));
	if (rc == 0)
		rc = note_parse(&note, v->note.p, v->note.n);
	if (rc == 0)
		rc = checkpoint_parse(&c, note.text, note.text_n);
	return rc < 0 ? errmsg_set(em, rc,
				   "%s is no checkpoint of a log "
				   "(audit/checkpoint is one): %s",
				   path, err_text(rc)) :
			0;
}

static int run(struct verify *v, const char *verb, const char *path,
	       const char *consistent)
{
	struct errmsg em = ERRMSG_INIT;
	struct ctl_place place;
	int fd = -1;
	int rc = ctl_find_volume(&place, path, &em);

	if (rc == 0 && consistent)
		rc = read_note(v, consistent, &em);
	if (rc == 0) {
		/* Repairs are entered in the log: that takes an open volume. */
		bool live = ctl_connect(&fd, place.store, NULL) == 0;

		if (fd >= 0)
			close(fd);
		rc = live || v->repair ? verify_live(v, &place, &em) :
					 verify_store(v, place.store, &em);
	}
	int status = rc < 0 ? opt_fail(verb, rc, &em) : verify_print(v);
	ctl_place_release(&place);
	verify_release(v);
	return status;
}

int cmd_verify(int argc, char **argv)
{
	struct verify v = { .format = OPT_AS_TEXT };
	const char *consistent = NULL, *git = NULL, *ref = NULL;
	const struct opt options[] = {
		{ 0, "deep", OPT_FLAG, &v.deep, NULL,
		  "also every byte of every chunk" },
		{ 0, "consistent", OPT_TEXT, &consistent, "CHECKPOINT",
		  "and that the log continues the one this file speaks of" },
		{ 0, "git", OPT_TEXT, &git, "REPO",
		  "and that each checkpoint that `vouch anchor` put there is "
		  "a state of it" },
		{ 0, "ref", OPT_TEXT, &ref, "REF",
		  "where in REPO (" GIT_ANCHORS_REF ")" },
		OPT_FORMAT(&v.format),
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 1, 1);

	if (status != OPT_GO)
		return status;
	if (ref && !git)
		return opt_misuse("verify", "--ref goes with --git");
	if (!ref)
		ref = GIT_ANCHORS_REF;
	status = run(&v, "verify", argv[0], consistent);
	if (git && check_anchors(argv[0], git, ref, v.format))
		status = 1;
	return status;
}

int cmd_scrub(int argc, char **argv)
{
	struct verify v = { .deep = true, .repair = true };
	const struct opt options[] = { OPT_FORMAT(&v.format), OPT_END };
	int status = opt_parse(options, &argc, &argv, 1, 1);

	return status != OPT_GO ? status : run(&v, "scrub", argv[0], NULL);
}
