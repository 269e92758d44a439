/*
 * cmd_export.c - `vouch export STORE DIR`: the log as others read it (C2SP:
 * checkpoint, tiles, entry bundles, partial ones included) and the trust file
 * beside it; with --tree also the files, as they are or were, and where each
 * comes from (bundle.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/vio.h"
#include "index/idx_query.h"
#include "ledger/ledger.h"
#include "mount-tools/bundle.h"
#include "mount-tools/dir_walk.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/progress.h"
#include "mount-tools/reader.h"
#include "mount-tools/tree_copy.h"
#include "mount-tools/tree_out.h"
#include "mount-tools/vouch.h"

static int write_trust(struct ledger *l, struct vio *target, struct errmsg *em)
{
	struct buf b = BUF_INIT;
	int rc = ledger_trust(l, &b);

	if (rc == 0)
		rc = atomic_file_write(target, "trust", b.p, b.n, 0);
	buf_release(&b);
	return rc < 0 ? errmsg_set(em, rc, "trust: %s", err_text(rc)) : 0;
}

static int write_log(struct reader *r, const char *dir, struct errmsg *em)
{
	struct vio *target = NULL;
	int rc = mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
	autofree char *real = rc == 0 ? realpath(dir, NULL) : NULL;

	if (rc == 0)
		rc = real ? vio_posix_open(&target, real) : -errno;
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", dir, err_text(rc));
	rc = ledger_export(r->ledger, target, em);
	if (rc == 0)
		rc = write_trust(r->ledger, target, em);
	vio_free(target);
	return rc < 0 ? errmsg_wrap(em, rc, "%s", dir) : 0;
}

static int write_tree(struct reader *r, const char *dir, const char *when,
		      struct tree_out_report *out, uint64_t *out_at,
		      struct errmsg *em)
{
	autofree char *target = NULL;
	int rc = when ? reader_when(r, out_at, when, em) : 0;

	if (rc == 0 && asprintf(&target, "%s/tree", dir) < 0) {
		target = NULL;
		rc = -ENOMEM;
	}
	return rc < 0 ?
		       rc :
		       tree_out_write(out, r->place.store, *out_at, target, em);
}

/* From a directory in a mount: its files as anybody reads them. */
static int copy_tree(const char *from, const char *dir,
		     struct tree_out_report *out, struct errmsg *em)
{
	struct progress bar;
	const struct tree_copy_options o = { .from_mount = true, .bar = &bar };
	struct tree_copied copied = { .files = 0 };
	autofree char *target = NULL;
	int rc;

	if (asprintf(&target, "%s/tree", dir) < 0) {
		target = NULL;
		return -ENOMEM;
	}
	if (mkdir(target, 0777) < 0)
		return errmsg_set(em, -errno, "%s: %s", target,
				  err_text(-errno));
	progress_start(&bar, "copying", false);
	rc = tree_copy(&copied, from, target, &o, em);
	progress_end(&bar);
	out->files = copied.files;
	out->dirs = copied.dirs;
	out->others = copied.others;
	out->left_out = copied.left_out;
	out->bits = copied.bits;
	return rc;
}

struct provenance {
	uint64_t proved, unproved;
};

static int write_provenance(const char *volume, const char *dir, uint64_t at,
			    uint64_t files, struct provenance *out,
			    struct errmsg *em)
{
	struct ctl_place place;
	struct bundle_from from = {
		.place = &place,
		.inside = "",
		.at = at,
		.files = files,
	};
	int rc = ctl_find_volume(&place, volume, em);

	if (rc == 0 && place.path && strcmp(place.path, "/") != 0)
		from.inside = place.path;
	if (rc == 0)
		rc = bundle_write(&out->proved, &out->unproved, &from, dir, em);
	ctl_place_release(&place);
	return rc;
}

static void say(struct reader *r, const char *dir, bool tree,
		const struct tree_out_report *t)
{
	char d[4096];

	log_escape(d, sizeof(d), dir, strlen(dir));
	printf("%s/checkpoint  the log of %s, %llu seals\n"
	       "%s/tile/       its tiles and entry bundles (C2SP tlog-tiles)\n"
	       "%s/trust       the keys to check it with\n",
	       d, ledger_origin(r->ledger),
	       (unsigned long long)ledger_checkpointed(r->ledger), d, d);
	if (tree)
		printf("%s/tree/       %llu file%s, %llu director%s, %llu "
		       "other%s\n",
		       d, (unsigned long long)t->files, print_s(t->files),
		       (unsigned long long)t->dirs, t->dirs == 1 ? "y" : "ies",
		       (unsigned long long)t->others, print_s(t->others));
	if (t->released)
		printf("%llu file%s left out: their bytes were released "
		       "(vouch log says by what)\n",
		       (unsigned long long)t->released, print_s(t->released));
	if (t->left_out)
		printf("%llu left out: devices and sockets\n",
		       (unsigned long long)t->left_out);
	if (t->bits)
		printf("%llu had set-user-ID or set-group-ID bits: not taken "
		       "along, as nothing proves who set them\n",
		       (unsigned long long)t->bits);
	printf("\nCheck it: vouch-check --log %s --trust %s/trust\n", d, d);
}

/* A proof is signed: not in an older copy, nor without keys; files are there. */
static bool cannot_prove(int rc)
{
	return rc == -ERR_ROLLBACK || rc == -ERR_COPY || rc == -ERR_KEY ||
	       rc == -EROFS;
}

static int export(char **argv, bool tree, const char *when, struct errmsg *em)
{
	struct tree_out_report t = { .files = 0 };
	struct provenance p = { .proved = 0 };
	struct errmsg own = ERRMSG_INIT;
	struct ctl_place place;
	struct reader r;
	uint64_t at = IDX_NOW;
	bool in_mount = ctl_find(&place, argv[0], NULL) == 0 && place.path;
	int rc;

	ctl_place_release(&place);
	if (in_mount && when)
		return errmsg_set(em, -ERR_USAGE,
				  "--at goes with a STORE that is not mounted; "
				  "audit/at has old states in a mount");
	if (in_mount && tree && dir_walk_is_virtual(argv[0]))
		return errmsg_set(em, -EINVAL,
				  "%s is shown, not stored: `cp -a` copies it; "
				  "with proofs an old state comes from a STORE "
				  "that is not mounted, with --at=WHEN",
				  argv[0]);
	rc = reader_open(
		&r, argv[0], NULL,
		READER_CHECKPOINT |
			(tree && !in_mount ? READER_OFFLINE | READER_INDEX : 0),
		em);
	if (rc < 0)
		return rc;
	rc = write_log(&r, argv[1], em);
	if (rc == 0 && tree && in_mount)
		rc = copy_tree(argv[0], argv[1], &t, em);
	else if (rc == 0 && tree)
		rc = write_tree(&r, argv[1], when, &t, &at, em);
	if (rc == 0)
		say(&r, argv[1], tree, &t);
	reader_close(&r);
	if (rc < 0 || !tree)
		return rc;
	rc = write_provenance(argv[0], argv[1], at, t.files, &p, &own);
	if (cannot_prove(rc)) {
		(void)opt_fail("export", rc, &own);
		printf("no provenance.jsonl: the tree comes without proofs\n");
		return 0;
	}
	if (rc < 0)
		(void)errmsg_set(em, rc, "%s", errmsg_text(&own, rc));
	else
		printf("%s/provenance.jsonl  proofs of %llu file%s%s\n",
		       argv[1], (unsigned long long)p.proved, print_s(p.proved),
		       p.unproved ? "; some have none: it says why" : "");
	return rc;
}

int cmd_export(int argc, char **argv)
{
	bool tree = false;
	const char *when = NULL;
	const struct opt options[] = {
		{ 0, "tree", OPT_FLAG, &tree, NULL,
		  "also the files, in DIR/tree, and where they come from" },
		{ 0, "at", OPT_TEXT, &when, "WHEN",
		  "--tree as it was: a snapshot, a time, SEAL, SEAL.POS "
		  "(STORE not mounted)" },
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 2, 2), rc;

	if (status != OPT_GO)
		return status;
	if (when && !tree)
		return opt_misuse("export", "--at goes with --tree");
	rc = export(argv, tree, when, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("export", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("export", rc, &em) : 0;
}
