/*
 * entry.c - cores, stored forms, leaf hashes, and the rules that span core
 * and body.
 *
 * Invariants: (1) the leaf hash depends on core and commit alone, never on
 * the stored state.  (2) entry_store() writes only what entry_open() takes.
 *
 * Pure; any thread.
 */
#include "ledger/entry.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

static const struct {
	uint16_t kind;
	const char *name;
} kinds[] = {
#define X(number, id, name) { number, name },
	ENTRY_KINDS(X)
#undef X
};

const char *entry_kind_name(uint16_t kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return NULL;
}

uint16_t entry_kind_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	return 0;
}

const char *entry_strength_word(unsigned strength)
{
	static const char *const words[] = { "guessed", "by ancestry",
					     "by handle", "exact" };

	return strength < 4 ? words[strength] : NULL;
}

const char *entry_reason_word(unsigned reason)
{
	static const char *const words[] = { NULL,	    "close",
					     "idle",	    "demand",
					     "snapshot",    "unmount",
					     "every-write", "extents" };

	return reason < 8 ? words[reason] : NULL;
}

bool entry_name_ok(const char *p, size_t n)
{
	if (n < 1 || n > LIMIT_NAME)
		return false;
	if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
		return false;
	return memchr(p, '/', n) == NULL && memchr(p, 0, n) == NULL;
}

/* --- items of lists --- */

struct entry_str entry_tlv(const struct entry_body *b, uint16_t tag)
{
	struct entry_str none = { .p = "" };
	struct breader r;

	breader_init(&r, b->extra.p, b->extra.n);
	while (r.left > 0 && !r.bad) {
		uint16_t found = breader_u16(&r);
		uint16_t n = breader_u16(&r);
		const uint8_t *p = breader_borrow(&r, n);

		if (p && found == tag)
			return (struct entry_str){ (const char *)p, n };
	}
	return none;
}

uint64_t entry_version_allocated(const struct entry_body *b)
{
	struct entry_str v = entry_tlv(b, ENTRY_TLV_ALLOCATED);
	struct breader r;
	uint64_t n = 0;

	if (v.n != 8)
		return b->version.size;
	breader_init(&r, v.p, v.n);
	n = breader_u64(&r);
	return n < b->version.size ? n : b->version.size;
}

size_t entry_version_allocated_put(uint8_t out[ENTRY_ALLOCATED_MAX],
				   uint64_t size, uint64_t allocated)
{
	struct bwriter w;

	if (allocated >= size)
		return 0;
	bwriter_init(&w, out, ENTRY_ALLOCATED_MAX);
	bwriter_u16(&w, ENTRY_TLV_ALLOCATED);
	bwriter_u16(&w, 8);
	bwriter_u64(&w, allocated);
	assert(!w.bad);
	return w.n;
}

void entry_extents_at(struct entry_extent *out, const struct entry_extents *b,
		      unsigned i)
{
	struct breader r;

	assert(i < b->n);
	if (b->v != NULL) {
		*out = b->v[i];
		return;
	}
	breader_init(&r, b->raw + (size_t)i * ENTRY_EXTENT_SIZE,
		     ENTRY_EXTENT_SIZE);
	out->offset = breader_u64(&r);
	out->length = breader_u32(&r);
	breader_copy(&r, out->chunk.b, sizeof(out->chunk.b));
	out->chunk_offset = breader_u32(&r);
	assert(breader_done(&r));
}

void entry_reads_at(struct entry_read *out, const struct entry_reads *b,
		    unsigned i)
{
	struct breader r;

	assert(i < b->n);
	if (b->v != NULL) {
		*out = b->v[i];
		return;
	}
	breader_init(&r, b->raw + (size_t)i * ENTRY_READ_SIZE, ENTRY_READ_SIZE);
	out->strength = breader_u8(&r);
	breader_copy(&r, out->version.b, sizeof(out->version.b));
	breader_copy(&r, out->content.b, sizeof(out->content.b));
	assert(breader_done(&r));
}

void entry_params_at(struct entry_param *out, const struct entry_params *b,
		     unsigned i)
{
	struct breader r;

	assert(i < b->n);
	if (b->v != NULL) {
		*out = b->v[i];
		return;
	}
	breader_init(&r, b->raw, b->raw_n);
	for (unsigned k = 0; k <= i; k++) {
		out->name.p = breader_str(&r, &out->name.n);
		out->value.p = breader_str(&r, &out->value.n);
	}
	assert(!r.bad);
}

void entry_policy_at(struct entry_rule *out, const struct entry_policy *b,
		     unsigned i)
{
	struct breader r;

	assert(i < b->n);
	if (b->v != NULL) {
		*out = b->v[i];
		return;
	}
	breader_init(&r, b->raw, b->raw_n);
	for (unsigned k = 0; k <= i; k++) {
		*out = (struct entry_rule){ .keep = breader_u8(&r) };
		if (out->keep & ENTRY_KEEP_AGE)
			out->seconds = breader_u64(&r);
		if (out->keep & ENTRY_KEEP_COUNT)
			out->versions = breader_u32(&r);
		out->pattern.p = breader_str(&r, &out->pattern.n);
	}
	assert(!r.bad);
}

void entry_gc_at(struct entry_release *out, const struct entry_gc *b,
		 unsigned i)
{
	struct breader r;

	assert(i < b->n);
	if (b->v != NULL) {
		*out = b->v[i];
		return;
	}
	breader_init(&r, b->raw + (size_t)i * ENTRY_RELEASE_SIZE,
		     ENTRY_RELEASE_SIZE);
	out->inode = breader_u64(&r);
	out->first = breader_u64(&r);
	out->last = breader_u64(&r);
	assert(breader_done(&r));
}

void entry_run_env_at(struct entry_env *out, const struct entry_run_start *b,
		      unsigned i)
{
	struct breader r;

	assert(i < b->n);
	if (b->v != NULL) {
		*out = b->v[i];
		return;
	}
	breader_init(&r, b->raw, b->raw_n);
	for (unsigned k = 0; k <= i; k++) {
		out->name.p = breader_str(&r, &out->name.n);
		breader_copy(&r, out->value.b, sizeof(out->value.b));
	}
	assert(!r.bad);
}

/* --- core --- */

void entry_core_encode(uint8_t out[ENTRY_CORE_SIZE],
		       const struct entry_core *core)
{
	struct bwriter w;

	bwriter_init(&w, out, ENTRY_CORE_SIZE);
	bwriter_copy(&w, "VE", 2);
	bwriter_u8(&w, ENTRY_FORMAT);
	bwriter_u8(&w, ENTRY_COMMIT_ALG);
	bwriter_u16(&w, core->kind);
	bwriter_u16(&w, core->flags);
	bwriter_i64(&w, core->wall_ns);
	bwriter_u64(&w, core->inode);
	bwriter_u64(&w, core->parent);
	bwriter_u64(&w, core->version);
	bwriter_copy(&w, core->prev.b, sizeof(core->prev.b));
	bwriter_copy(&w, core->actor.b, sizeof(core->actor.b));
	assert(!w.bad && w.n == ENTRY_CORE_SIZE);
}

int entry_core_decode(struct entry_core *out, const uint8_t p[ENTRY_CORE_SIZE])
{
	struct breader r;

	if (memcmp(p, "VE", 2) != 0)
		return -ERR_FORMAT;
	if (p[2] != ENTRY_FORMAT || p[3] != ENTRY_COMMIT_ALG)
		return p[2] == 0 || p[3] == 0 ? -ERR_FORMAT : -ERR_NEWER;
	breader_init(&r, p + 4, ENTRY_CORE_SIZE - 4);
	out->kind = breader_u16(&r);
	out->flags = breader_u16(&r);
	out->wall_ns = breader_i64(&r);
	out->inode = breader_u64(&r);
	out->parent = breader_u64(&r);
	out->version = breader_u64(&r);
	breader_copy(&r, out->prev.b, sizeof(out->prev.b));
	breader_copy(&r, out->actor.b, sizeof(out->actor.b));
	assert(breader_done(&r));
	if (out->kind == 0)
		return -ERR_FORMAT;
	return out->flags != 0 ? -ERR_NEWER : 0;
}

/* --- stored form --- */

int entry_encode(struct buf *out, const struct entry_core *core,
		 const uint8_t salt[16], const void *body, size_t n)
{
	uint8_t c[ENTRY_CORE_SIZE];

	if (n >= LIMIT_ENTRY - ENTRY_CLEAR_HEAD)
		return -ERR_LIMIT;
	entry_core_encode(c, core);
	buf_add(out, c, sizeof(c));
	buf_u8(out, ENTRY_CLEAR);
	buf_add(out, salt, ENTRY_SALT_SIZE);
	buf_u32(out, (uint32_t)n);
	buf_add(out, body, n);
	return out->bad ? -ENOMEM : 0;
}

int entry_decode(struct entry_view *out, const void *p, size_t n)
{
	struct breader r;
	int rc;

	memset(out, 0, sizeof(*out));
	if (n >= LIMIT_ENTRY)
		return -ERR_LIMIT;
	breader_init(&r, p, n);
	out->core_bytes = breader_borrow(&r, ENTRY_CORE_SIZE);
	if (out->core_bytes == NULL)
		return -ERR_SHORT;
	rc = entry_core_decode(&out->core, out->core_bytes);
	if (rc != 0)
		return rc;
	out->state = breader_u8(&r);
	switch (out->state) {
	case ENTRY_CLEAR:
		out->salt = breader_borrow(&r, ENTRY_SALT_SIZE);
		break;
	case ENTRY_ENCRYPTED:
		breader_copy(&r, out->commit.b, sizeof(out->commit.b));
		out->key_ref = breader_borrow(&r, 16);
		out->nonce = breader_borrow(&r, 24);
		break;
	case ENTRY_REDACTED:
		breader_copy(&r, out->commit.b, sizeof(out->commit.b));
		breader_copy(&r, out->redact.b, sizeof(out->redact.b));
		break;
	default:
		return -ERR_NEWER;
	}
	if (out->state != ENTRY_REDACTED) {
		out->body_n = breader_u32(&r);
		out->body = breader_borrow(&r, out->body_n);
	}
	if (r.bad)
		return -ERR_SHORT;
	return breader_done(&r) ? 0 : -ERR_FORMAT;
}

void entry_commit(struct digest *out, const uint8_t salt[16], const void *body,
		  size_t n)
{
	struct digest_piece v[] = {
		{ ENTRY_BODY_CONTEXT, sizeof(ENTRY_BODY_CONTEXT) - 1 },
		{ salt, ENTRY_SALT_SIZE },
		{ body, n },
	};

	digest_sha256_pieces(out, v, 3);
}

void entry_leaf(struct digest *out, const uint8_t core[ENTRY_CORE_SIZE],
		const struct digest *commit)
{
	uint8_t m[1 + ENTRY_CORE_SIZE + DIGEST_SIZE];

	m[0] = 0;
	memcpy(m + 1, core, ENTRY_CORE_SIZE);
	memcpy(m + 1 + ENTRY_CORE_SIZE, commit->b, DIGEST_SIZE);
	digest_sha256(out, m, sizeof(m));
}

void entry_view_leaf(struct digest *out, const struct entry_view *v)
{
	struct digest commit = v->commit;

	if (v->state == ENTRY_CLEAR)
		entry_commit(&commit, v->salt, v->body, v->body_n);
	entry_leaf(out, v->core_bytes, &commit);
}

int entry_open_view(struct entry *out, const struct entry_view *view,
		    struct errmsg *em)
{
	int rc;

	out->core = view->core;
	out->state = view->state;
	if (view->state != ENTRY_CLEAR) {
		memset(&out->body, 0, sizeof(out->body));
		out->body.kind = view->core.kind;
		out->body.opaque = true;
		return 0;
	}
	rc = entry_body_decode(&out->body, view->core.kind, view->body,
			       view->body_n);
	if (rc != 0) {
		const char *name = entry_kind_name(view->core.kind);

		return errmsg_set(em, rc, "entry of kind %04x (%s): %s",
				  view->core.kind, name ? name : "unknown",
				  err_text(rc));
	}
	return entry_check(&out->core, &out->body, em);
}

int entry_open(struct entry *out, struct entry_view *out_view, const void *p,
	       size_t n, struct errmsg *em)
{
	struct entry_view view;
	int rc = entry_decode(&view, p, n);

	if (rc != 0)
		return errmsg_set(em, rc, "entry: %s", err_text(rc));
	if (out_view != NULL)
		*out_view = view;
	return entry_open_view(out, &view, em);
}

int entry_store(struct buf *out, struct digest *out_leaf, const struct entry *e,
		const uint8_t salt[16])
{
	size_t start = out->n;
	uint8_t core[ENTRY_CORE_SIZE];
	struct digest commit;
	size_t n;
	int rc;

	assert(e->core.kind == e->body.kind && e->state == ENTRY_CLEAR);
	rc = entry_check(&e->core, &e->body, NULL);
	if (rc != 0)
		return rc;
	rc = entry_encode(out, &e->core, salt, "", 0);
	if (rc == 0)
		rc = entry_body_encode(out, &e->body);
	if (rc != 0) {
		out->n = start;
		return rc;
	}
	n = out->n - start - ENTRY_CLEAR_HEAD;
	for (unsigned i = 0; i < 4; i++)
		out->p[start + ENTRY_CLEAR_HEAD - 4 + i] =
			(uint8_t)(n >> 8 * i);
	entry_core_encode(core, &e->core);
	entry_commit(&commit, salt, out->p + start + ENTRY_CLEAR_HEAD, n);
	entry_leaf(out_leaf, core, &commit);
	return 0;
}

int entry_author_message(struct buf *out, const struct entry_body *b,
			 const uint8_t volume_id[16])
{
	struct entry_body bare = *b;

	memset(&bare.author, 0, sizeof(bare.author));
	if (bare.extra.n != 0 || bare.opaque)
		return -ERR_FORMAT;
	buf_adds(out, ENTRY_AUTHOR_CONTEXT);
	buf_add(out, volume_id, 16);
	buf_u16(out, b->kind);
	return entry_body_encode(out, &bare);
}

/* --- core and body together --- */

/* Kinds that speak of no inode: inode, parent, version and prev are 0. */
static bool kind_is_bare(uint16_t kind)
{
	unsigned group = kind >> 8;

	return group == 0x00 || group == 0x04 || kind == ENTRY_SNAPSHOT ||
	       (group == 0x03 && kind != ENTRY_IMPORT) || kind == ENTRY_ALERT;
}

static const char *create_wrong(const struct entry_core *c,
				const struct entry_body *b)
{
	if (c->version != 0 || !digest_is_zero(&c->prev))
		return "a new inode has no history";
	if ((c->parent == 0) != (b->create.name.n == 0))
		return "a name needs a parent and a parent a name";
	return NULL;
}

/* The rule that is broken, in words, or NULL. */
static const char *core_wrong(const struct entry_core *c,
			      const struct entry_body *b)
{
	if (c->kind >= ENTRY_OPTIONAL)
		return NULL;
	if (kind_is_bare(c->kind))
		return c->inode == 0 && c->parent == 0 && c->version == 0 &&
				       digest_is_zero(&c->prev) ?
			       NULL :
			       "this kind has no inode";
	if (c->inode == 0)
		return "inode is 0";
	switch (c->kind) {
	case ENTRY_CREATE:
		return create_wrong(c, b);
	case ENTRY_LINK:
	case ENTRY_UNLINK:
	case ENTRY_RENAME:
		return c->parent == 0 ? "parent is 0" : NULL;
	case ENTRY_VERSION:
		return c->version == 0 ? "version is 0" : NULL;
	default:
		return NULL;
	}
}

int entry_check(const struct entry_core *core, const struct entry_body *b,
		struct errmsg *em)
{
	const char *wrong = core_wrong(core, b);
	const char *name;

	if (wrong == NULL)
		return 0;
	name = entry_kind_name(core->kind);
	return errmsg_set(em, -ERR_FORMAT, "entry of kind %04x (%s): %s",
			  core->kind, name ? name : "unknown", wrong);
}

static int body_refs(const struct entry_body *b, entry_ref_fn *fn, void *ctx)
{
	const struct digest *v[3] = { NULL, NULL, NULL };
	struct entry_read read;

	switch (b->kind) {
	case ENTRY_VERSION:
		v[0] = &b->version.extents;
		if (b->version.flags & ENTRY_VERSION_READS)
			v[1] = &b->version.reads;
		break;
	case ENTRY_GC:
		v[0] = &b->gc.policy;
		break;
	case ENTRY_HOLD:
		v[0] = &b->hold.lifted;
		break;
	case ENTRY_DIGEST:
		v[0] = &b->digest.version;
		break;
	case ENTRY_SNAPSHOT:
		v[0] = &b->snapshot.state;
		break;
	case ENTRY_RESTORE:
		v[0] = &b->restore.version;
		break;
	case ENTRY_CLONE:
		v[0] = &b->clone.version;
		break;
	case ENTRY_RUN_END:
		v[0] = &b->run_end.start;
		break;
	case ENTRY_ATTEST:
		v[0] = &b->attest.subject;
		break;
	case ENTRY_IMPORT: /* the others are in another log */
		v[0] = &b->import.version;
		break;
	case ENTRY_READS:
		v[0] = &b->reads.previous;
		break;
	default:
		break;
	}
	for (unsigned i = 0; i < 3; i++) {
		int rc = v[i] == NULL || digest_is_zero(v[i]) ? 0 :
								fn(ctx, v[i]);

		if (rc != 0)
			return rc;
	}
	for (unsigned i = 0; b->kind == ENTRY_READS && i < b->reads.n; i++) {
		int rc;

		entry_reads_at(&read, &b->reads, i);
		rc = fn(ctx, &read.version);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int entry_refs(const struct entry_core *core, const struct entry_body *b,
	       entry_ref_fn *fn, void *ctx)
{
	int rc = 0;

	if (!digest_is_zero(&core->prev))
		rc = fn(ctx, &core->prev);
	if (rc == 0 && !digest_is_zero(&core->actor))
		rc = fn(ctx, &core->actor);
	if (rc == 0 && !b->opaque)
		rc = body_refs(b, fn, ctx);
	return rc;
}
