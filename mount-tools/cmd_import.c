/*
 * cmd_import.c - `vouch import BUNDLE DIR`: files that `vouch export --tree`
 * took out of a volume come into another, and where they come from with them.
 *
 * Everything is checked before anything is copied.  What the log here then
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
#include "mount-tools/dir_walk.h"
#include "mount-tools/vouch.h"

struct import {
	const char *bundle, *dir, *trust_file;
	struct buf keys; /* the trust file, as text */
	struct trust trust;
	struct bundle b;
	struct ctl_place place;
	struct dir_walk_copied copied;
	uint64_t done;
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

/* One file's proof, for its path in the volume. */
static int enter(struct import *m, const struct bundle_line *l,
		 struct errmsg *em)
{
	struct buf b = BUF_INIT, proof = BUF_INIT, path = BUF_INIT;
	struct errmsg why = ERRMSG_INIT;
	int rc = bundle_proof(&m->b, l, &proof, em);

	buf_addf(&path, "%s/%s",
		 strcmp(m->place.path, "/") == 0 ? "" : m->place.path, l->path);
	buf_adds(&b, "\"verb\":\"import\"");
	if (rc == 0 && !path.bad) {
		ask_add(&b, "path", (char *)path.p);
		ask_add(&b, "proof", (char *)proof.p);
		ask_add(&b, m->trust_file ? "trust" : "claims",
			(char *)m->keys.p);
		rc = b.bad ? -ENOMEM :
			     ask_volume(NULL, &m->place, (char *)b.p, &why);
	}
	if (rc < 0)
		rc = errmsg_set(em, rc, "%s: %s", l->path,
				errmsg_text(&why, rc));
	else
		m->done++;
	buf_release(&b);
	buf_release(&proof);
	buf_release(&path);
	return rc;
}

static int import(struct import *m, struct errmsg *em)
{
	struct buf tree = BUF_INIT;
	int rc = ctl_find(&m->place, m->dir, em);

	buf_addf(&tree, "%s/tree", m->bundle);
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
	if (rc == 0)
		rc = tree.bad ? -ENOMEM :
				dir_walk_copy(&m->copied, (char *)tree.p,
					      m->dir, em);
	for (size_t i = 0; rc == 0 && i < m->b.n; i++)
		if (m->b.v[i].proved)
			rc = enter(m, &m->b.v[i], em);
	if (rc < 0 && m->copied.files)
		(void)errmsg_wrap(em, rc,
				  "some files were copied, and of %llu it is "
				  "entered where they come from",
				  (unsigned long long)m->done);
	buf_release(&tree);
	return rc;
}

static void say(const struct import *m)
{
	printf("%llu file%s, and of %llu where they come from, %s\n",
	       (unsigned long long)m->copied.files, print_s(m->copied.files),
	       (unsigned long long)m->done,
	       m->trust_file ? "verified with the keys you trust" :
			       "as the keys that came along claim "
			       "(--trust=FILE: keys you trust)");
	if (m->b.unproved)
		printf("%llu without: they had no proof when they were "
		       "exported\n",
		       (unsigned long long)m->b.unproved);
	if (m->copied.others)
		printf("%llu left out: no files, directories or links\n",
		       (unsigned long long)m->copied.others);
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
	ctl_place_release(&m->place);
	free(m);
	if (rc == -ERR_USAGE)
		return opt_misuse("import", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("import", rc, &em) : 0;
}
