/* bundle_line.c - see bundle_line.h. */
#include "ledger/bundle_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

/* A path of names, none of which is "", "." or "..". */
static bool path_ok(const char *p, size_t n)
{
	size_t len;

	if (n == 0 || memchr(p, '\0', n))
		return false;
	for (;;) {
		const char *slash = memchr(p, '/', n);

		len = slash ? (size_t)(slash - p) : n;
		if (len == 0 || (len <= 2 && memcmp(p, "..", len) == 0))
			return false;
		if (!slash)
			return true;
		p += len + 1;
		n -= len + 1;
	}
}

static int take_path(struct bundle_line *out, const struct json *root)
{
	const struct json *path = json_get(root, "path");
	const char *hex = json_get_str(root, "path_hex");
	struct buf b = BUF_INIT;
	int rc = path && path->type == JSON_STRING ? 0 : -ERR_FORMAT;

	if (rc == 0 && hex)
		rc = text_hex_decode(&b, hex, strlen(hex));
	else if (rc == 0)
		buf_add(&b, path->text, path->len);
	if (rc == 0 && b.bad)
		rc = -ENOMEM;
	if (rc == 0 && !path_ok((char *)b.p, b.n))
		rc = -ERR_FORMAT;
	if (rc == 0)
		out->path = buf_take(&b);
	buf_release(&b);
	return rc;
}

static int parse(struct json_doc **doc, struct bundle_line *out, const void *p,
		 size_t n, struct errmsg *em)
{
	int rc = n > BUNDLE_LINE_MAX ? -ERR_LIMIT : json_parse(doc, p, n, em);
	const struct json *root = rc == 0 ? json_root(*doc) : NULL;
	const char *sha256 = json_get_str(root, "sha256");
	uint64_t size;

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		return rc;
	out->proved = json_get_str(root, "proof") != NULL;
	if (!sha256 || !json_get_u64(root, "size", &size) ||
	    out->proved == (json_get_str(root, "why") != NULL))
		return -ERR_FORMAT;
	rc = digest_from_hex(&out->sha256, sha256, strlen(sha256));
	return rc < 0 ? rc : take_path(out, root);
}

int bundle_line_parse(struct bundle_line *out, const void *p, size_t n,
		      struct errmsg *em)
{
	struct json_doc *doc = NULL;
	int rc = parse(&doc, out, p, n, em);

	json_free(doc);
	return rc < 0 ? errmsg_set(em, rc, "no line of a bundle") : 0;
}
