/*
 * proof.c - .tlog-proof files: their text and the TLVs of the extra line.
 *
 * Invariants: (1) proof_parse() takes what proof_format() writes and every
 * pointer of the result lies in the input or in p->owned_.  (2) Nothing here
 * believes anything: that is proof_check.c.
 *
 * Pure; any thread.
 */
#include "ledger/proof.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

#define MAGIC "c2sp.org/tlog-proof@v1\n"
enum { INCLUSION_MAX = 63, BATCH_PATH_MAX = 12 };
enum { TAG_SEAL = 1, TAG_POSITION, TAG_PATH, TAG_ENTRY, TAG_CERT, TAG_REFS };
enum { TAG_OPTIONAL = 0x8000, PROOF_ENTRY_MIN = ENTRY_CORE_SIZE + 16 };

int proof_entry_add(struct buf *out, const void *stored, size_t n)
{
	struct entry_view v;
	int rc = entry_decode(&v, stored, n);

	if (rc != 0)
		return rc;
	if (v.state != ENTRY_CLEAR)
		return -ERR_FORMAT;
	buf_add(out, v.core_bytes, ENTRY_CORE_SIZE);
	buf_add(out, v.salt, ENTRY_SALT_SIZE);
	buf_add(out, v.body, v.body_n);
	return out->bad ? -ENOMEM : 0;
}

/* --- making --- */

static void tlv_head(struct buf *out, unsigned tag, size_t n)
{
	buf_u16(out, (uint16_t)tag);
	buf_u32(out, (uint32_t)n);
}

static void tlv(struct buf *out, unsigned tag, const void *p, size_t n)
{
	tlv_head(out, tag, n);
	buf_add(out, p, n);
}

static void extra_format(struct buf *out, const struct proof *p)
{
	size_t n = 0;

	tlv(out, TAG_SEAL, p->seal, p->seal_n);
	tlv_head(out, TAG_POSITION, 4);
	buf_u32(out, p->position);
	tlv_head(out, TAG_PATH, (size_t)p->batch_path.n * DIGEST_SIZE);
	for (unsigned i = 0; i < p->batch_path.n; i++)
		buf_add(out, p->batch_path.h[i].b, DIGEST_SIZE);
	tlv(out, TAG_ENTRY, p->entry.p, p->entry.n);
	if (p->cert != NULL)
		tlv(out, TAG_CERT, p->cert, CERT_SIZE);
	if (p->n_refs == 0)
		return;
	for (unsigned i = 0; i < p->n_refs; i++)
		n += 4 + p->refs[i].n;
	tlv_head(out, TAG_REFS, n);
	for (unsigned i = 0; i < p->n_refs; i++) {
		buf_u32(out, (uint32_t)p->refs[i].n);
		buf_add(out, p->refs[i].p, p->refs[i].n);
	}
}

void proof_trim(struct proof *p)
{
	size_t n = p->seal_n + p->entry.n + CERT_SIZE + 6 * 6 + 4 +
		   (size_t)p->batch_path.n * DIGEST_SIZE;
	unsigned keep = 0;

	for (; keep < p->n_refs; keep++) {
		n += 4 + p->refs[keep].n;
		if (n > PROOF_EXTRA_MAX)
			break;
	}
	p->n_refs = keep;
}

int proof_format(struct buf *out, const struct proof *p)
{
	struct buf autocall(buf_release) extra = BUF_INIT;
	size_t start = out->n;

	assert(p->inclusion.n <= INCLUSION_MAX && p->n_refs <= PROOF_REFS_MAX);
	extra_format(&extra, p);
	if (extra.bad)
		return -ENOMEM;
	buf_adds(out, MAGIC "extra ");
	text_base64(out, extra.p, extra.n);
	buf_addf(out, "\nindex %llu\n", (unsigned long long)p->seal_index);
	for (unsigned i = 0; i < p->inclusion.n; i++) {
		text_base64(out, p->inclusion.h[i].b, DIGEST_SIZE);
		buf_addc(out, '\n');
	}
	buf_addc(out, '\n');
	buf_add(out, p->checkpoint, p->checkpoint_n);
	if (out->bad)
		return -ENOMEM;
	return out->n - start > PROOF_MAX ? -ERR_LIMIT : 0;
}

/* --- parsing the extra line --- */

static int path_parse(struct merkle_proof *out, const uint8_t *p, size_t n)
{
	if (n % DIGEST_SIZE != 0 || n / DIGEST_SIZE > BATCH_PATH_MAX)
		return -ERR_FORMAT;
	out->n = (unsigned)(n / DIGEST_SIZE);
	for (unsigned i = 0; i < out->n; i++)
		memcpy(out->h[i].b, p + (size_t)i * DIGEST_SIZE, DIGEST_SIZE);
	return 0;
}

static int refs_parse(struct proof *out, const uint8_t *p, size_t n)
{
	struct breader r;

	breader_init(&r, p, n);
	while (r.left > 0) {
		uint32_t len = breader_u32(&r);
		const uint8_t *e = breader_borrow(&r, len);

		if (e == NULL || len < PROOF_ENTRY_MIN)
			return -ERR_FORMAT;
		if (out->n_refs == PROOF_REFS_MAX)
			return -ERR_LIMIT;
		out->refs[out->n_refs++] = (struct proof_entry){ e, len };
	}
	return 0;
}

static int tlv_parse(struct proof *out, unsigned tag, const uint8_t *p,
		     size_t n)
{
	struct breader r;

	switch (tag) {
	case TAG_SEAL:
		out->seal = p;
		out->seal_n = n;
		return 0;
	case TAG_POSITION:
		breader_init(&r, p, n);
		out->position = breader_u32(&r);
		return breader_done(&r) ? 0 : -ERR_FORMAT;
	case TAG_PATH:
		return path_parse(&out->batch_path, p, n);
	case TAG_ENTRY:
		out->entry = (struct proof_entry){ p, n };
		return n < PROOF_ENTRY_MIN ? -ERR_FORMAT : 0;
	case TAG_CERT:
		out->cert = p;
		return n == CERT_SIZE ? 0 : -ERR_FORMAT;
	case TAG_REFS:
		return refs_parse(out, p, n);
	default:
		return tag >= TAG_OPTIONAL ? 0 : -ERR_NEWER;
	}
}

static int extra_parse(struct proof *out, const uint8_t *p, size_t n)
{
	struct breader r;
	unsigned last = 0;
	unsigned seen = 0;

	breader_init(&r, p, n);
	while (r.left > 0) {
		unsigned tag = breader_u16(&r);
		uint32_t len = breader_u32(&r);
		const uint8_t *value = breader_borrow(&r, len);
		int rc;

		if (value == NULL || tag <= last)
			return -ERR_FORMAT;
		rc = tlv_parse(out, tag, value, len);
		if (rc != 0)
			return rc;
		last = tag;
		seen += tag <= TAG_ENTRY;
	}
	return seen == TAG_ENTRY ? 0 : -ERR_FORMAT;
}

/* --- parsing the text --- */

struct lines {
	const char *p;
	size_t left;
};

/* Takes a line off without its newline; false when there is none. */
static bool line_take(struct lines *l, const char **out, size_t *out_n)
{
	const char *end = l->left == 0 ? NULL : memchr(l->p, '\n', l->left);

	if (end == NULL)
		return false;
	*out = l->p;
	*out_n = (size_t)(end - l->p);
	l->left -= *out_n + 1;
	l->p = end + 1;
	return true;
}

static bool starts(const char **s, size_t *n, const char *word)
{
	size_t k = strlen(word);

	if (*n < k || memcmp(*s, word, k) != 0)
		return false;
	*s += k;
	*n -= k;
	return true;
}

static bool number(uint64_t *out, const char *s, size_t n)
{
	if (n == 0 || n > 19 || (n > 1 && s[0] == '0'))
		return false;
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (uint64_t)(s[i] - '0');
	}
	return *out <= UINT64_MAX >> 1;
}

static int hash_line(struct digest *out, const char *s, size_t n)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	int rc = text_base64_decode(&b, s, n);

	if (rc != 0 || b.n != DIGEST_SIZE)
		return -ERR_FORMAT;
	memcpy(out->b, b.p, DIGEST_SIZE);
	return 0;
}

/* From "index" on. */
static int rest_parse(struct proof *out, struct lines *l, const char *line,
		      size_t n)
{
	if (!starts(&line, &n, "index ") || !number(&out->seal_index, line, n))
		return -ERR_FORMAT;
	while (line_take(l, &line, &n) && n != 0) {
		int rc;

		if (out->inclusion.n == INCLUSION_MAX)
			return -ERR_LIMIT;
		rc = hash_line(&out->inclusion.h[out->inclusion.n], line, n);
		if (rc != 0)
			return rc;
		out->inclusion.n++;
	}
	if (n != 0 || l->left == 0)
		return -ERR_FORMAT;
	out->checkpoint = l->p;
	out->checkpoint_n = l->left;
	return 0;
}

static int text_parse(struct proof *out, const char *p, size_t n)
{
	struct buf autocall(buf_release) extra = { .max = PROOF_MAX };
	struct lines l = { p, n };
	const char *line = NULL;
	size_t len = 0;
	size_t extra_n;
	int rc;

	if (!starts(&l.p, &l.left, MAGIC))
		return -ERR_FORMAT;
	if (!line_take(&l, &line, &len) || !starts(&line, &len, "extra "))
		return -ERR_FORMAT;
	rc = text_base64_decode(&extra, line, len);
	if (rc != 0)
		return rc;
	if (!line_take(&l, &line, &len))
		return -ERR_FORMAT;
	rc = rest_parse(out, &l, line, len);
	if (rc != 0)
		return rc;
	extra_n = extra.n;
	out->owned_ = (uint8_t *)buf_take(&extra);
	if (out->owned_ == NULL)
		return -ERR_FORMAT; /* an empty extra line */
	return extra_parse(out, out->owned_, extra_n);
}

int proof_parse(struct proof *out, const void *p, size_t n, struct errmsg *em)
{
	int rc;

	memset(out, 0, sizeof(*out));
	if (n > PROOF_MAX)
		return errmsg_set(em, -ERR_LIMIT, "proof: more than %d bytes",
				  PROOF_MAX);
	rc = text_parse(out, p, n);
	if (rc == 0)
		return 0;
	proof_release(out);
	if (rc == -ERR_FORMAT)
		return errmsg_set(em, rc,
				  "proof: not a vouchfs .tlog-proof "
				  "file, or a damaged one");
	return errmsg_set(em, rc, "proof: %s", err_text(rc));
}

void proof_release(struct proof *p)
{
	free(p->owned_);
	memset(p, 0, sizeof(*p));
}
