/*
 * cmd_import.c - `vouch import BUNDLE DIR`: files that `vouch export --tree`
 * took out of a volume come into another, and where they come from with them.
 *
 * Everything is checked before anything is copied.  Said again it does what is
 * missing: a file that is there with the same bytes stays, and what the log
 * says already is not entered once more.  What the log here then
 * says, its own daemon has checked once more, against the bytes as they lie
 * there: this command only hands over the proofs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "base/vio.h"
#include "ledger/trust.h"
#include "mount-tools/ask.h"
#include "mount-tools/bundle.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/progress.h"
#include "mount-tools/tree_copy.h"
#include "mount-tools/vouch.h"

enum { BATCH_FILES = 128, BATCH_BYTES = 512 << 10 };

struct import {
	const char *bundle, *dir, *trust_file;
	struct buf keys; /* the trust file, as text */
	struct trust trust;
	struct bundle b;
	struct ctl_place place;
	struct tree_copied copied;
	bool looked;	    /* it can be done, and was begun */
	struct buf request; /* files to be entered, n of them */
	unsigned n;
	uint64_t entered, known;
};

static int read_file(struct buf *out, const char *path, struct errmsg *em)
{
	autofree char *real = realpath(path, NULL);
	struct vio *root = NULL;
	int rc = real ? vio_posix_open(&root, "/") : -errno;

	if (rc == 0)
		rc = vio_read_file(root, out, real + 1, TRUST_FILE_MAX);
	vio_free(root);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}

/* Whose word counts: who imports says so, else those that came along. */
static int load_trust(struct import *m, struct errmsg *em)
{
	struct errmsg why = ERRMSG_INIT;
	struct buf own = BUF_INIT;
	const char *path = m->trust_file;
	int rc;

	if (!path) {
		buf_addf(&own, "%s/trust", m->bundle);
		path = (char *)own.p;
	}
	rc = path ? read_file(&m->keys, path, em) : -ENOMEM;
	if (rc == 0) {
		rc = trust_parse(&m->trust, m->keys.p, m->keys.n, &why);
		if (rc < 0)
			rc = errmsg_set(em, rc, "%s: %s", path,
					errmsg_text(&why, rc));
	}
	buf_release(&own);
	return rc;
}

static void batch_begin(struct import *m)
{
	buf_clear(&m->request);
	buf_adds(&m->request, "\"verb\":\"import\"");
	ask_add(&m->request, m->trust_file ? "trust" : "claims",
		(char *)m->keys.p);
	buf_adds(&m->request, ",\"files\":[");
	m->n = 0;
}

static int batch_end(struct import *m, struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct errmsg why = ERRMSG_INIT;
	uint64_t n = 0;
	int rc;

	if (!m->n)
		return 0;
	buf_addc(&m->request, ']');
	rc = m->request.bad ?
		     -ENOMEM :
		     ask_volume(&answer, &m->place, (char *)m->request.p, &why);
	if (rc == 0 && json_get_u64(json_root(answer), "entered", &n))
		m->entered += n;
	if (rc == 0 && json_get_u64(json_root(answer), "known", &n))
		m->known += n;
	json_free(answer);
	batch_begin(m);
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&why, rc)) : 0;
}

/* One file's proof, for its path in the volume. */
static int batch_add(struct import *m, const struct bundle_line *l,
		     struct errmsg *em)
{
	struct buf proof = BUF_INIT, path = BUF_INIT;
	int rc = bundle_proof(&m->b, l, &proof, em);

	buf_addf(&path, "%s/%s",
		 strcmp(m->place.path, "/") == 0 ? "" : m->place.path, l->path);
	if (rc == 0 && path.bad)
		rc = -ENOMEM;
	if (rc == 0 && m->n && m->request.n + proof.n > BATCH_BYTES)
		rc = batch_end(m, em);
	if (rc == 0) {
		buf_addf(&m->request, "%s{\"proof\":", m->n++ ? "," : "");
		text_json_string(&m->request, proof.p, proof.n);
		ask_add(&m->request, "path", (char *)path.p);
		buf_addc(&m->request, '}');
	}
	buf_release(&proof);
	buf_release(&path);
	return rc == 0 && m->n == BATCH_FILES ? batch_end(m, em) : rc;
}

static int enter(struct import *m, struct errmsg *em)
{
	struct progress bar;
	int rc = 0;

	progress_start(&bar, "entering", false);
	batch_begin(m);
	for (size_t i = 0; rc == 0 && i < m->b.n; i++) {
		progress_set(&bar, i, m->b.n);
		if (m->b.v[i].proved)
			rc = batch_add(m, &m->b.v[i], em);
	}
	if (rc == 0)
		rc = batch_end(m, em);
	progress_end(&bar);
	return rc;
}

/* The bytes that are copied are those that were verified. */
static int is_verified(void *ctx, const char *path, const struct digest *sha256,
		       struct errmsg *em)
{
	const struct import *m = ctx;
	const struct bundle_line *l = bundle_find(&m->b, path);

	return l && digest_eq(sha256, &l->sha256) ?
		       0 :
		       errmsg_set(em, -ERR_PROOF,
				  "it was changed while it was imported");
}

/* First whether all can be, then all. */
static int copy(struct import *m, const char *tree, struct errmsg *em)
{
	struct progress bar;
	struct tree_copy_options o = {
		.onto = true,
		.look = true,
		.accept = is_verified,
		.ctx = m,
		.bar = &bar,
		.files = m->b.n,
	};
	int rc;

	progress_start(&bar, "copying", false);
	rc = tree_copy(&m->copied, tree, m->dir, &o, em);
	o.look = false;
	m->looked = rc == 0;
	if (rc == 0)
		rc = tree_copy(&m->copied, tree, m->dir, &o, em);
	progress_end(&bar);
	return rc;
}

static int say_exists(const struct import *m, struct errmsg *em)
{
	const struct errmsg why = *em;

	*em = (struct errmsg)ERRMSG_INIT;
	return errmsg_set(em, -EEXIST, "%s: move it away, then say it again%s",
			  errmsg_text(&why, -EEXIST),
			  m->looked ? "" : " (nothing was copied)");
}

static int import(struct import *m, struct errmsg *em)
{
	struct buf tree = BUF_INIT;
	int rc = ctl_find(&m->place, m->dir, em);

	buf_addf(&tree, "%s/tree", m->bundle);
	if (rc == 0 && tree.bad)
		rc = -ENOMEM;
	if (rc == 0 && !m->place.path)
		rc = errmsg_set(em, -ERR_USAGE,
				"%s: not a directory in a mounted volume",
				m->dir);
	if (rc == 0)
		rc = load_trust(m, em);
	if (rc == 0)
		rc = bundle_open(&m->b, m->bundle, em);
	if (rc == 0)
		rc = bundle_verify(&m->b, m->bundle, &m->trust, em);
	if (rc < 0)
		goto done;
	rc = copy(m, (char *)tree.p, em);
	if (rc == 0)
		rc = enter(m, em);
	if (rc == -EEXIST)
		rc = say_exists(m, em);
	else if (rc < 0 && m->looked && m->copied.files > m->copied.there)
		(void)errmsg_wrap(em, rc,
				  "stopped half way; the same command goes on "
				  "from there");
done:
	buf_release(&tree);
	return rc;
}

static void say(const struct import *m)
{
	uint64_t made = m->copied.files - m->copied.there;
	const char *how = m->trust_file ? "verified with the keys you trust" :
					  "as the keys that came along claim "
					  "(--trust=FILE: keys you trust)";

	if (m->copied.there)
		printf("%llu file%s had been there with the same bytes\n",
		       (unsigned long long)m->copied.there,
		       print_s(m->copied.there));
	if (m->known)
		printf("of %llu the log said before where they come from\n",
		       (unsigned long long)m->known);
	if (!made && !m->entered)
		printf("taken up before: nothing new\n");
	else
		printf("%llu file%s, and of %llu where they come from, %s\n",
		       (unsigned long long)made, print_s(made),
		       (unsigned long long)m->entered, how);
	if (m->b.unproved)
		printf("%llu without: they had no proof when they were "
		       "exported\n",
		       (unsigned long long)m->b.unproved);
	if (m->copied.bits)
		printf("%llu had set-user-ID or set-group-ID bits: not taken "
		       "over, as nothing proves who set them\n",
		       (unsigned long long)m->copied.bits);
	if (m->copied.left_out)
		printf("%llu left out: devices and sockets\n",
		       (unsigned long long)m->copied.left_out);
}

int cmd_import(int argc, char **argv)
{
	struct import *m = calloc(1, sizeof(*m));
	const char *trust = NULL;
	const struct opt options[] = {
		{ 0, "trust", OPT_TEXT, &trust, "FILE",
		  "the trust file of the volume they come from, from hand to "
		  "hand" },
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 2, 2), rc;

	if (status != OPT_GO || !m) {
		free(m);
		return status != OPT_GO ? status :
					  opt_fail("import", -ENOMEM, &em);
	}
	m->trust_file = trust;
	m->bundle = argv[0];
	m->dir = argv[1];
	m->b.fd = -1;
	rc = import(m, &em);
	if (rc == 0)
		say(m);
	bundle_close(&m->b);
	buf_release(&m->keys);
	buf_release(&m->request);
	ctl_place_release(&m->place);
	free(m);
	if (rc == -ERR_USAGE)
		return opt_misuse("import", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("import", rc, &em) : 0;
}
