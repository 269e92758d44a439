/*
 * cmd_anchor.c - `vouch anchor`: the newest checkpoint becomes a commit in a
 * repository of git, on a ref of its own, and that an entry of the log.
 *
 * The commit comes first: where the entry fails, there is an anchor that the
 * log does not name, which harms nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/git_helper.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/daemon/control.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "ledger/note.h"
#include "mount-tools/ask.h"
#include "mount-tools/git_anchors.h"
#include "mount-tools/opt.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

struct anchor {
	const char *repo, *ref;
	char *place; /* of the repository, absolute */
	struct buf note;
	struct checkpoint c;
	struct git_anchors before;
	char commit[41];
};

static int read_checkpoint(struct anchor *a, struct reader *r,
			   struct errmsg *em)
{
	struct note note;
	int rc = vio_read_file(r->vio, &a->note, "ledger/checkpoint",
			       CHECKPOINT_MAX);

	if (rc >= 0)
		rc = note_parse(&note, a->note.p, a->note.n);
	if (rc >= 0)
		rc = checkpoint_parse(&a->c, note.text, note.text_n);
	return rc < 0 ? errmsg_set(em, rc, "the checkpoint: %s", err_text(rc)) :
			0;
}

/* Anything but anchors, and what opening the volume and asking enter? */
static int is_news(void *ctx, const struct idx_entry *e)
{
	(void)ctx;
	return e->kind != ENTRY_ANCHOR && e->kind != ENTRY_MOUNT_START &&
	       e->kind != ENTRY_MOUNT_STOP && e->kind != ENTRY_ACTOR &&
	       e->kind != ENTRY_ATTEST;
}

/* 1: there is something to commit, 0: there is not. */
static int is_due(struct anchor *a, struct reader *r, struct errmsg *em)
{
	const struct checkpoint *last;
	int rc;

	if (a->before.n == 0)
		return 1;
	last = &a->before.v[0].c;
	if (!a->before.v[0].good)
		return errmsg_set(em, -ERR_FORMAT,
				  "%s: %s holds something that is no "
				  "checkpoint: --ref names another",
				  a->repo, a->ref);
	if (strcmp(last->origin, a->c.origin) != 0)
		return errmsg_set(em, -EEXIST,
				  "%s: %s has the checkpoints of another "
				  "volume, %s: --ref names another",
				  a->repo, a->ref, last->origin);
	if (last->size > a->c.size)
		return errmsg_set(em, -ERR_ROLLBACK,
				  "%s: the last anchor is of %llu seals, this "
				  "log has %llu: it was set back, or is a copy",
				  a->repo, (unsigned long long)last->size,
				  (unsigned long long)a->c.size);
	rc = idx_entries(r->idx, IDX_ENTRY_NO(last->size, 0), IDX_NOW, 1 << 20,
			 is_news, NULL);
	return rc < 0 ? errmsg_set(em, rc, "the index: %s", err_text(rc)) :
			rc > 0;
}

static void on_fork(void *ctx, const char *words)
{
	struct errmsg *em = ctx;

	(void)!errmsg_set(em, -ERR_ROLLBACK, "%s", words);
}

static int commit(struct anchor *a, struct errmsg *em)
{
	char words[LIMIT_ORIGIN + 64];
	char *argv[] = { (char[]){ "vouch-git" },
			 (char[]){ "anchor" },
			 (char *)a->repo,
			 (char *)a->ref,
			 a->before.n ? a->before.v[0].commit : (char[]){ "-" },
			 words,
			 NULL };
	struct buf autocall(buf_release) out = BUF_INIT;
	int rc;

	snprintf(words, sizeof(words), "checkpoint of %llu seals of %s\n",
		 (unsigned long long)a->c.size, a->c.origin);
	rc = git_helper_call(&out, argv, a->note.p, a->note.n, em);
	if (rc >= 0 && out.n != sizeof(a->commit) - 1)
		rc = errmsg_set(em, -EIO, "vouch-git names no commit");
	if (rc >= 0)
		memcpy(a->commit, out.p, out.n);
	return rc;
}

/* Also where nothing is due: a log of the same length may be another one. */
static int check_before(const struct anchor *a, struct ledger *l,
			struct errmsg *em)
{
	int rc = git_anchors_check(&a->before, l, on_fork, em);

	if (rc < 0)
		return errmsg_set(em, rc, "the log: %s", err_text(rc));
	return rc ? -ERR_ROLLBACK : 0;
}

static int make(struct anchor *a, const char *path, struct errmsg *em)
{
	int wrong;
	struct reader r;
	int rc = reader_open(&r, path, NULL, READER_INDEX | READER_CHECKPOINT,
			     em);

	if (rc < 0)
		return rc;
	rc = read_checkpoint(a, &r, em);
	if (rc >= 0)
		rc = git_anchors_read(&a->before, a->repo, a->ref, em);
	if (rc >= 0)
		rc = is_due(a, &r, em);
	wrong = rc >= 0 ? check_before(a, r.ledger, em) : 0;
	if (wrong < 0)
		rc = wrong;
	if (rc > 0) {
		rc = commit(a, em);
		rc = rc < 0 ? rc : 1;
	}
	reader_close(&r);
	return rc;
}

static int enter(const struct anchor *a, const struct ctl_place *place,
		 struct errmsg *em)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	struct errmsg own = ERRMSG_INIT;
	int rc;

	buf_addf(&b,
		 "\"verb\":\"anchor\",\"size\":%llu,\"commit\":\"%s\","
		 "\"root\":\"",
		 (unsigned long long)a->c.size, a->commit);
	text_hex(&b, a->c.root.b, sizeof(a->c.root.b));
	buf_addc(&b, '"');
	ask_add(&b, "location", a->place);
	ask_add(&b, "ref", a->ref);
	rc = b.bad ? -ENOMEM : ask_volume(NULL, place, (char *)b.p, &own);
	return rc < 0 ? errmsg_set(em, rc,
				   "commit %s is made, but not entered in the "
				   "log: %s",
				   a->commit, errmsg_text(&own, rc)) :
			0;
}

static void say(const struct anchor *a, bool made, enum opt_format format)
{
	if (format == OPT_AS_JSON)
		printf("{\"made\":%s,\"size\":%llu,\"commit\":\"%s\"}\n",
		       made ? "true" : "false", (unsigned long long)a->c.size,
		       made ? a->commit : a->before.v[0].commit);
	else if (made)
		printf("checkpoint of %llu seals: commit %s\n",
		       (unsigned long long)a->c.size, a->commit);
	else
		printf("nothing was entered since commit %s\n",
		       a->before.v[0].commit);
}

int cmd_anchor(int argc, char **argv)
{
	struct anchor a = { .ref = GIT_ANCHORS_REF };
	enum opt_format format = OPT_AS_TEXT;
	const struct opt options[] = {
		{ 0, "git", OPT_TEXT, &a.repo, "REPO",
		  "the repository, bare or not" },
		{ 0, "ref", OPT_TEXT, &a.ref, "REF",
		  "what of it (" GIT_ANCHORS_REF ")" },
		OPT_FORMAT(&format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	struct ctl_place place = { .store = NULL };
	int rc, made, status = opt_parse(options, &argc, &argv, 1, 1);

	if (status != OPT_GO)
		return status;
	if (!a.repo)
		return opt_misuse("anchor", "--git=REPO says where to");
	if (strncmp(a.ref, "refs/", 5) != 0)
		return opt_misuse("anchor", "a REF begins with refs/");
	a.place = realpath(a.repo, NULL);
	rc = a.place ? ctl_find_volume(&place, argv[0], &em) :
		       errmsg_set(&em, -errno, "%s: %s", a.repo,
				  err_text(-errno));
	if (rc >= 0)
		rc = make(&a, argv[0], &em);
	made = rc > 0;
	if (made)
		rc = enter(&a, &place, &em);
	if (rc >= 0)
		say(&a, made, format);
	ctl_place_release(&place);
	git_anchors_release(&a.before);
	buf_release(&a.note);
	free(a.place);
	return rc < 0 ? opt_fail("anchor", rc, &em) : 0;
}
