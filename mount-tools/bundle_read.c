/* bundle_read.c - see bundle.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "ledger/proof.h"
#include "mount-tools/bundle.h"
#include "mount-tools/dir_walk.h"

#define FORMAT "vouchfs-provenance-1"

/* --- all of them --- */

static int by_path(const void *a, const void *b)
{
	const struct bundle_line *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int add(struct bundle *b, const struct bundle_line *l)
{
	struct bundle_line *v;
	size_t cap;

	if (b->n == BUNDLE_FILES_MAX)
		return -ERR_LIMIT;
	if (b->n == b->cap) {
		cap = b->cap ? 2 * b->cap : 64;
		v = realloc(b->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		b->v = v;
		b->cap = cap;
	}
	b->v[b->n++] = *l;
	b->proved += l->proved;
	b->unproved += !l->proved;
	return 0;
}

static int head_ok(const char *p, size_t n, struct errmsg *em)
{
	struct json_doc *doc = NULL;
	int rc = json_parse(&doc, p, n, em);
	const char *format =
		rc == 0 ? json_get_str(json_root(doc), "format") : NULL;

	if (rc == 0 && (!format || strcmp(format, FORMAT) != 0))
		rc = -ERR_FORMAT;
	json_free(doc);
	return rc;
}

/* getline(3) would take a line of any length. */
static ssize_t next_line(FILE *f, char *line)
{
	size_t n = 0;
	int c;

	while ((c = getc_unlocked(f)) != EOF && c != '\n') {
		if (n == BUNDLE_LINE_MAX)
			return -ERR_LIMIT;
		line[n++] = (char)c;
	}
	if (ferror(f))
		return -EIO;
	return c == EOF ? (n ? -ERR_FORMAT : 0) : (ssize_t)n;
}

static int read_lines(struct bundle *b, FILE *f, struct errmsg *em)
{
	autofree char *line = malloc(BUNDLE_LINE_MAX + 1);
	uint64_t at = 0, number = 0;
	ssize_t n = line ? 0 : -ENOMEM;
	int rc = 0;

	while (line && rc == 0 && (n = next_line(f, line)) > 0) {
		struct bundle_line l;

		if (number++ == 0) {
			rc = head_ok(line, (size_t)n, em);
		} else {
			rc = bundle_line_parse(&l, line, (size_t)n, em);
			l.at = at;
			l.n = (size_t)n;
			if (rc == 0)
				rc = add(b, &l);
			if (rc < 0)
				free(l.path);
		}
		at += (uint64_t)n + 1;
	}
	if (rc == 0 && n < 0)
		rc = (int)n;
	if (rc == 0 && number == 0)
		rc = -ERR_FORMAT;
	return rc < 0 ? errmsg_wrap(em, rc, "line %llu",
				    (unsigned long long)number) :
			0;
}

int bundle_open(struct bundle *out, const char *dir, struct errmsg *em)
{
	struct buf path = BUF_INIT;
	FILE *f = NULL;
	struct stat st;
	int rc;

	memset(out, 0, sizeof(*out));
	buf_addf(&path, "%s/provenance.jsonl", dir);
	out->fd = path.bad ?
			  -1 :
			  open((char *)path.p,
			       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	rc = out->fd < 0 || fstat(out->fd, &st) < 0 ? -errno : 0;
	if (rc == 0 && !S_ISREG(st.st_mode)) /* a pipe would never end */
		rc = -EINVAL;
	buf_release(&path);
	if (rc == -ENOENT)
		return errmsg_set(em, rc,
				  "%s: no bundle: vouch export --tree makes "
				  "them",
				  dir);
	if (rc == 0) {
		int twin = fcntl(out->fd, F_DUPFD_CLOEXEC, 0);

		f = twin < 0 ? NULL : fdopen(twin, "r");
		rc = f ? read_lines(out, f, em) : -errno;
		if (!f && twin >= 0)
			close(twin);
	}
	if (f)
		fclose(f);
	if (rc == 0 && out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_path);
	for (size_t i = 1; rc == 0 && i < out->n; i++)
		if (strcmp(out->v[i - 1].path, out->v[i].path) == 0)
			rc = errmsg_set(em, -ERR_FORMAT, "%s comes twice",
					out->v[i].path);
	return rc < 0 ? errmsg_wrap(em, rc, "%s/provenance.jsonl", dir) : 0;
}

void bundle_close(struct bundle *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i].path);
	free(b->v);
	if (b->fd >= 0)
		close(b->fd);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

struct bundle_line *bundle_find(const struct bundle *b, const char *path)
{
	const struct bundle_line key = { .path = (char *)(uintptr_t)path };

	return b->n ? bsearch(&key, b->v, b->n, sizeof(key), by_path) : NULL;
}

int bundle_proof(const struct bundle *b, const struct bundle_line *l,
		 struct buf *out, struct errmsg *em)
{
	autofree char *line = malloc(l->n + 1);
	struct json_doc *doc = NULL;
	ssize_t n = line ? pread(b->fd, line, l->n, (off_t)l->at) : -1;
	const char *proof;
	int rc = !line ? -ENOMEM : n < 0 ? -errno : 0;

	if (rc == 0 && (size_t)n != l->n)
		rc = -ERR_FORMAT; /* it was cut meanwhile */
	if (rc == 0)
		rc = json_parse(&doc, line, l->n, em);
	proof = rc == 0 ? json_get_str(json_root(doc), "proof") : NULL;
	if (rc == 0 && !proof)
		rc = -ERR_FORMAT;
	if (rc == 0)
		buf_adds(out, proof);
	json_free(doc);
	return rc == 0 && out->bad ? -ENOMEM : rc;
}

/* --- checking --- */

struct verify {
	struct bundle *b;
	const struct trust *t;
	struct proof_report *report;
};

static int verify_proof(struct verify *v, const struct bundle_line *l,
			const struct dir_walk_entry *e, struct errmsg *em)
{
	const struct proof_file file = {
		.size = (uint64_t)e->st->st_size,
		.sha256 = l->sha256,
	};
	struct buf text = BUF_INIT;
	struct proof p = { .owned_ = NULL };
	int rc = bundle_proof(v->b, l, &text, em);

	if (rc == 0)
		rc = proof_parse(&p, text.p, text.n, em);
	if (rc == 0)
		rc = proof_check(v->report, &p, v->t, &file, em);
	proof_release(&p);
	buf_release(&text);
	return rc;
}

static int verify_one(void *ctx, const struct dir_walk_entry *e,
		      struct errmsg *em)
{
	struct verify *v = ctx;
	struct bundle_line *l;
	struct errmsg why = ERRMSG_INIT;
	struct digest sha256;
	int rc;

	if (!S_ISREG(e->st->st_mode))
		return 0;
	l = bundle_find(v->b, e->path);
	if (!l)
		return errmsg_set(em, -ERR_PROOF,
				  "%s: the bundle does not say where it comes "
				  "from",
				  e->path);
	l->seen = true;
	rc = dir_walk_sha256(&sha256, e);
	if (rc == 0 && !digest_eq(&sha256, &l->sha256))
		rc = errmsg_set(&why, -ERR_PROOF,
				"its bytes are not those that were exported");
	if (rc == 0 && l->proved)
		rc = verify_proof(v, l, e, &why);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", e->path,
				   errmsg_text(&why, rc)) :
			0;
}

int bundle_verify(struct bundle *b, const char *dir, const struct trust *t,
		  struct errmsg *em)
{
	autofree struct proof_report *report = calloc(1, sizeof(*report));
	struct verify v = { .b = b, .t = t, .report = report };
	struct buf tree = BUF_INIT;
	int rc;

	buf_addf(&tree, "%s/tree", dir);
	rc = !report || tree.bad ? -ENOMEM :
				   dir_walk((char *)tree.p, verify_one, &v, em);
	for (size_t i = 0; rc == 0 && i < b->n; i++)
		if (!b->v[i].seen)
			rc = errmsg_set(em, -ERR_PROOF,
					"%s: it is missing from the bundle",
					b->v[i].path);
	buf_release(&tree);
	return rc;
}
