/*
 * entry_body.c - bodies of entries: fields in order, both directions.
 *
 * Each kind has one function that names its fields once; it writes, reads or
 * compares, so that the encoder and the decoder cannot disagree.
 *
 * Invariants: (1) what the encoder accepts the decoder accepts, and the other
 * way round: rules are checked in the same lines.  (2) A body that decodes
 * has exactly one encoding: after reading, the same lines compare it with
 * its bytes.  (3) No read beyond the bytes given, no allocation when decoding.
 *
 * Pure; any thread.
 */
#include "ledger/entry.h"
#include "ledger/entry_attest.h"
#include "ledger/entry_import.h"

#include <assert.h>
#include <dirent.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "ledger/entry_retain.h"
#include "ledger/xb.h"

enum { BODY_MAX = LIMIT_ENTRY - 1 - ENTRY_CLEAR_HEAD };
enum { TEXT_MAX = 1024 }; /* comments, options, policies */
enum { TLV_HEAD = 4 };

static void x_name(struct xb *x, struct entry_str *s)
{
	xb_str(x, s, 1, LIMIT_NAME);
	xb_rule(x, x->rc != 0 || entry_name_ok(s->p, s->n));
}

/* --- 00xx control --- */

static void x_genesis(struct xb *x, struct entry_genesis *b)
{
	uint8_t n = (uint8_t)b->n_admin;

	xb_str(x, &b->origin, 1, LIMIT_ORIGIN);
	xb_u8(x, &n);
	xb_rule(x, n >= 1 && n <= ENTRY_ADMIN_MAX);
	b->n_admin = n;
	for (unsigned i = 0; x->rc == 0 && i < n; i++)
		xb_bytes(x, b->admin[i], sizeof(b->admin[i]));
	xb_bytes(x, b->nonce, sizeof(b->nonce));
}

static void x_key_add(struct xb *x, struct entry_key_add *b, bool rotate)
{
	xb_bytes(x, b->cert, sizeof(b->cert));
	if (rotate)
		xb_bytes(x, b->old_key_id, sizeof(b->old_key_id));
	xb_str(x, &b->name, 0, LIMIT_HOST);
}

static void x_revoke(struct xb *x, struct entry_revoke *b)
{
	xb_bytes(x, b->key_id, sizeof(b->key_id));
	xb_u8(x, &b->reason);
	xb_rule(x, b->reason >= 1 && b->reason <= 3);
	xb_i64(x, &b->suspect_since_ns);
	xb_digest(x, &b->last_good);
	xb_str(x, &b->comment, 0, TEXT_MAX);
}

static void x_mount_start(struct xb *x, struct entry_mount_start *b)
{
	xb_u8(x, &b->flags);
	xb_rule(x, b->flags <= 15);
	xb_bytes(x, b->incarnation, sizeof(b->incarnation));
	xb_u32(x, &b->uid);
	xb_str(x, &b->program, 0, LIMIT_HOST);
	xb_str(x, &b->host, 0, LIMIT_HOST);
	xb_str(x, &b->mountpoint, 0, LIMIT_PATH);
	xb_str(x, &b->options, 0, TEXT_MAX);
}

static void x_mount_stop(struct xb *x, struct entry_mount_stop *b)
{
	xb_u8(x, &b->reason);
	xb_rule(x, b->reason >= 1 && b->reason <= 3);
}

static void x_new_origin(struct xb *x, struct entry_new_origin *b)
{
	xb_u64(x, &b->lost_size);
	xb_digest(x, &b->lost_root);
	xb_bytes(x, b->log_pub, sizeof(b->log_pub));
	xb_str(x, &b->old_origin, 1, LIMIT_ORIGIN);
	xb_str(x, &b->new_origin, 1, LIMIT_ORIGIN);
}

/* Lists of items without a fixed size: names strictly ascending. */
static bool str_less(const struct entry_str *a, const struct entry_str *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int c = n == 0 ? 0 : memcmp(a->p, b->p, n);

	return c != 0 ? c < 0 : a->n < b->n;
}

static void x_params(struct xb *x, struct entry_params *b)
{
	struct entry_str last = { .p = NULL };

	xb_u16(x, &b->n);
	xb_rule(x, b->n >= 1);
	if (x->mode == XB_READ) {
		b->v = NULL;
		b->raw = x->r.p;
		b->raw_n = x->r.left;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_param p = { .name = { .p = NULL } };

		if (x->mode != XB_READ)
			entry_params_at(&p, b, i);
		xb_str(x, &p.name, 1, LIMIT_NAME);
		xb_str(x, &p.value, 0, LIMIT_PATH);
		xb_rule(x, x->rc != 0 || i == 0 || str_less(&last, &p.name));
		last = p.name;
	}
	if (x->mode == XB_READ)
		b->raw_n -= x->r.left;
}

/* --- 01xx names --- */

static bool dtype_ok(unsigned t)
{
	return t == DT_FIFO || t == DT_CHR || t == DT_DIR || t == DT_BLK ||
	       t == DT_REG || t == DT_LNK || t == DT_SOCK;
}

static void x_create(struct xb *x, struct entry_create *b)
{
	uint8_t zero = 0;

	xb_u8(x, &b->dtype);
	xb_u8(x, &zero);
	xb_rule(x, zero == 0 && dtype_ok(b->dtype));
	xb_u16(x, &b->mode);
	xb_rule(x, b->mode <= 07777);
	xb_u32(x, &b->uid);
	xb_u32(x, &b->gid);
	xb_u64(x, &b->rdev);
	xb_rule(x, b->rdev == 0 || b->dtype == DT_CHR || b->dtype == DT_BLK);
	xb_str(x, &b->name, 0, LIMIT_NAME);
	xb_rule(x, x->rc != 0 || b->name.n == 0 ||
			   entry_name_ok(b->name.p, b->name.n));
}

static void x_link(struct xb *x, struct entry_link *b, uint8_t flags_max)
{
	xb_u8(x, &b->flags);
	xb_rule(x, b->flags <= flags_max);
	x_name(x, &b->name);
}

static void x_rename(struct xb *x, struct entry_rename *b)
{
	xb_u8(x, &b->flags);
	xb_rule(x, b->flags <= 3 && b->flags != 3);
	xb_u64(x, &b->new_parent);
	xb_rule(x, b->new_parent != 0);
	xb_u64(x, &b->replaced);
	xb_rule(x, b->flags == 0 || b->replaced != 0);
	x_name(x, &b->old_name);
	x_name(x, &b->new_name);
}

static void x_setattr(struct xb *x, struct entry_setattr *b)
{
	xb_u32(x, &b->mask);
	xb_rule(x, b->mask != 0 && b->mask <= ENTRY_ATTR_ALL);
	if (b->mask & ENTRY_ATTR_MODE)
		xb_u32(x, &b->mode);
	xb_rule(x, !(b->mask & ENTRY_ATTR_MODE) || b->mode <= 07777);
	if (b->mask & ENTRY_ATTR_UID)
		xb_u32(x, &b->uid);
	if (b->mask & ENTRY_ATTR_GID)
		xb_u32(x, &b->gid);
	if (b->mask & ENTRY_ATTR_ATIME)
		xb_i64(x, &b->atime_ns);
	if (b->mask & ENTRY_ATTR_MTIME)
		xb_i64(x, &b->mtime_ns);
	if (b->mask & ENTRY_ATTR_CTIME)
		xb_i64(x, &b->ctime_ns);
}

static void x_setxattr(struct xb *x, struct entry_setxattr *b)
{
	xb_str(x, &b->name, 1, LIMIT_XATTR_NAME);
	xb_u32(x, &b->value_n);
	xb_rule(x, b->value_n <= LIMIT_XATTR_VALUE);
	if (b->value_n <= LIMIT_XATTR_INLINE)
		xb_borrow(x, &b->value, b->value_n);
	else
		xb_digest(x, &b->content);
}

/* --- 02xx content --- */

static void x_ranges(struct xb *x, struct entry_version *b)
{
	uint64_t end = 0;

	xb_u16(x, &b->n_ranges);
	xb_rule(x, b->n_ranges <= LIMIT_RANGES);
	for (unsigned i = 0; x->rc == 0 && i < b->n_ranges; i++) {
		struct entry_range *r = &b->ranges[i];

		xb_u64(x, &r->lo);
		xb_u64(x, &r->hi);
		xb_rule(x, r->lo < r->hi && r->hi <= LIMIT_FILE_SIZE &&
				   (i == 0 || r->lo > end));
		end = r->hi;
	}
}

static void x_version(struct xb *x, struct entry_version *b)
{
	xb_u8(x, &b->flags);
	xb_rule(x, b->flags <= 7);
	xb_u8(x, &b->content_alg);
	if (b->content_alg != ENTRY_CONTENT_BLAKE3)
		xb_fail(x, -ERR_NEWER);
	xb_u8(x, &b->reason);
	xb_rule(x, b->reason >= 1 && b->reason <= ENTRY_REASON_EXTENTS);
	xb_u8(x, &b->attribution);
	xb_rule(x, b->attribution <= ENTRY_EXACT);
	xb_u64(x, &b->size);
	xb_rule(x, b->size <= LIMIT_FILE_SIZE);
	xb_i64(x, &b->mtime_ns);
	x_ranges(x, b);
	xb_digest(x, &b->tree_root);
	if (b->flags & ENTRY_VERSION_SHA256)
		xb_digest(x, &b->sha256);
	if (b->flags & ENTRY_VERSION_READS)
		xb_digest(x, &b->reads);
	xb_digest(x, &b->extents);
	xb_str(x, &b->path, 0, LIMIT_PATH);
}

static void x_snapshot(struct xb *x, struct entry_snapshot *b)
{
	xb_u8(x, &b->flags);
	xb_rule(x, b->flags <= ENTRY_SNAPSHOT_REMOVED);
	xb_digest(x, &b->position);
	xb_digest(x, &b->state);
	x_name(x, &b->name);
	if (x->rc == 0) {
		char c = b->name.p[0];

		xb_rule(x, (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
	}
	xb_str(x, &b->comment, 0, TEXT_MAX);
}

static void x_restore(struct xb *x, struct entry_restore *b)
{
	xb_u8(x, &b->why);
	xb_rule(x, b->why >= 1 && b->why <= 2);
	xb_bytes(x, b->run, sizeof(b->run));
	xb_digest(x, &b->version);
	xb_str(x, &b->when, 0, LIMIT_NAME);
}

static void x_clone(struct xb *x, struct entry_clone *b)
{
	xb_u64(x, &b->inode);
	xb_digest(x, &b->version);
	xb_u64(x, &b->offset);
	xb_u64(x, &b->length);
	xb_u64(x, &b->target_offset);
	xb_rule(x, b->inode != 0 && b->length != 0);
	xb_rule(x, b->length <= LIMIT_FILE_SIZE &&
			   b->offset <= LIMIT_FILE_SIZE - b->length &&
			   b->target_offset <= LIMIT_FILE_SIZE - b->length);
}

static void x_extents(struct xb *x, struct entry_extents *b)
{
	xb_u8(x, &b->attribution);
	xb_rule(x, b->attribution <= ENTRY_EXACT);
	xb_u64(x, &b->size);
	xb_rule(x, b->size <= LIMIT_FILE_SIZE);
	xb_u16(x, &b->n);
	xb_rule(x, b->n <= LIMIT_EXTENTS);
	if (x->mode == XB_READ) {
		b->v = NULL;
		b->raw = x->r.p;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_extent e = { .offset = 0 };

		if (x->mode != XB_READ)
			entry_extents_at(&e, b, i);
		xb_u64(x, &e.offset);
		xb_u32(x, &e.length);
		xb_digest(x, &e.chunk);
		xb_u32(x, &e.chunk_offset);
		xb_rule(x, e.length != 0 &&
				   e.offset <= LIMIT_FILE_SIZE - e.length);
		xb_rule(x, e.chunk_offset == 0 || !digest_is_zero(&e.chunk));
	}
}

/* --- 03xx who and from what --- */

static void x_actor(struct xb *x, struct entry_actor *b)
{
	xb_u32(x, &b->uid);
	xb_u32(x, &b->gid);
	xb_u32(x, &b->tgid);
	xb_u64(x, &b->start);
	xb_u32(x, &b->ppid);
	xb_digest(x, &b->exe_digest);
	xb_bytes(x, b->run, sizeof(b->run));
	xb_bytes(x, b->git, sizeof(b->git));
	xb_u8(x, &b->dirty);
	xb_rule(x, b->dirty <= 1);
	xb_str(x, &b->exe, 0, LIMIT_EXE);
	xb_str(x, &b->argv, 0, LIMIT_ARGV);
	xb_str(x, &b->cwd, 0, LIMIT_CWD);
	xb_str(x, &b->host, 0, LIMIT_HOST);
}

static void x_reads(struct xb *x, struct entry_reads *b)
{
	xb_digest(x, &b->previous);
	xb_u16(x, &b->n);
	xb_rule(x, b->n >= 1 && b->n <= LIMIT_READS);
	if (x->mode == XB_READ) {
		b->v = NULL;
		b->raw = x->r.p;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_read e = { .strength = 0 };

		if (x->mode != XB_READ)
			entry_reads_at(&e, b, i);
		xb_u8(x, &e.strength);
		xb_rule(x, e.strength <= ENTRY_EXACT);
		xb_digest(x, &e.version);
		xb_digest(x, &e.content);
		xb_rule(x, !digest_is_zero(&e.version));
	}
}

static void x_run_start(struct xb *x, struct entry_run_start *b)
{
	struct entry_str last = { .p = NULL };

	xb_bytes(x, b->run, sizeof(b->run));
	xb_u8(x, &b->flags);
	xb_rule(x, b->flags == 0);
	xb_u32(x, &b->uid);
	xb_u32(x, &b->gid);
	xb_bytes(x, b->git, sizeof(b->git));
	xb_u8(x, &b->dirty);
	xb_rule(x, b->dirty <= 1);
	xb_str(x, &b->name, 0, LIMIT_NAME);
	xb_str(x, &b->argv, 0, LIMIT_ARGV);
	xb_str(x, &b->cwd, 0, LIMIT_CWD);
	xb_str(x, &b->user, 0, LIMIT_HOST);
	xb_str(x, &b->host, 0, LIMIT_HOST);
	xb_str(x, &b->policy, 0, LIMIT_PATH);
	xb_u16(x, &b->n);
	if (x->mode == XB_READ) {
		b->v = NULL;
		b->raw = x->r.p;
		b->raw_n = x->r.left;
	}
	for (unsigned i = 0; x->rc == 0 && i < b->n; i++) {
		struct entry_env e = { .name = { .p = NULL } };

		if (x->mode != XB_READ)
			entry_run_env_at(&e, b, i);
		xb_str(x, &e.name, 1, LIMIT_NAME);
		xb_digest(x, &e.value);
		xb_rule(x, x->rc != 0 || i == 0 || str_less(&last, &e.name));
		last = e.name;
	}
	if (x->mode == XB_READ)
		b->raw_n -= x->r.left;
}

static void x_run_end(struct xb *x, struct entry_run_end *b)
{
	xb_bytes(x, b->run, sizeof(b->run));
	xb_digest(x, &b->start);
	xb_u8(x, &b->how);
	xb_rule(x, b->how >= 1 && b->how <= 3);
	xb_u32(x, &b->status);
	xb_i64(x, &b->started_ns);
	xb_u64(x, &b->processes);
}

/* --- 04xx storage --- */

static void x_scrub(struct xb *x, struct entry_scrub *b)
{
	xb_u16(x, &b->replica);
	xb_u64(x, &b->objects);
	xb_u64(x, &b->bytes);
	xb_u64(x, &b->bad);
	xb_u64(x, &b->repaired);
}

static void x_anchor(struct xb *x, struct entry_anchor *b)
{
	xb_u8(x, &b->kind);
	xb_rule(x, b->kind == 1);
	xb_u64(x, &b->size);
	xb_rule(x, b->size != 0);
	xb_digest(x, &b->root);
	xb_bytes(x, b->commit, sizeof(b->commit));
	xb_str(x, &b->location, 0, LIMIT_PATH);
	xb_str(x, &b->ref, 1, LIMIT_NAME);
}

static void x_repair(struct xb *x, struct entry_repair *b)
{
	xb_u8(x, &b->what);
	xb_rule(x, b->what >= 1 && b->what <= 5);
	xb_u16(x, &b->source);
	xb_u16(x, &b->target);
	xb_digest(x, &b->id);
	xb_u64(x, &b->bytes);
	xb_str(x, &b->object, 0, LIMIT_PATH);
}

static void x_alert(struct xb *x, struct entry_alert *b)
{
	xb_u8(x, &b->what);
	xb_rule(x, b->what >= ENTRY_ALERT_CONTENT &&
			   b->what <= ENTRY_ALERT_DENIED);
	xb_digest(x, &b->id);
	xb_str(x, &b->text, 0, LIMIT_PATH);
}

static void x_replica(struct xb *x, struct entry_replica *b)
{
	xb_u16(x, &b->number);
	xb_u8(x, &b->kind);
	xb_bytes(x, b->id, sizeof(b->id));
	xb_str(x, &b->location, 0, LIMIT_PATH);
}

/* --- any body --- */

static void x_fixed(struct xb *x, struct entry_body *b)
{
	switch (b->kind) {
	case ENTRY_GENESIS:
		x_genesis(x, &b->genesis);
		return;
	case ENTRY_KEY_ADD:
		x_key_add(x, &b->key_add, false);
		return;
	case ENTRY_ROTATE:
		x_key_add(x, &b->key_add, true);
		return;
	case ENTRY_REVOKE:
		x_revoke(x, &b->revoke);
		return;
	case ENTRY_MOUNT_START:
		x_mount_start(x, &b->mount_start);
		return;
	case ENTRY_MOUNT_STOP:
		x_mount_stop(x, &b->mount_stop);
		return;
	case ENTRY_NEW_ORIGIN:
		x_new_origin(x, &b->new_origin);
		return;
	case ENTRY_PARAMS:
		x_params(x, &b->params);
		return;
	case ENTRY_POLICY:
		entry_retain_policy(x, &b->policy);
		return;
	case ENTRY_GC:
		entry_retain_gc(x, &b->gc);
		return;
	case ENTRY_HOLD:
		entry_retain_hold(x, &b->hold);
		return;
	case ENTRY_ANCHOR:
		x_anchor(x, &b->anchor);
		return;
	case ENTRY_SCRUB:
		x_scrub(x, &b->scrub);
		return;
	case ENTRY_REPAIR:
		x_repair(x, &b->repair);
		return;
	case ENTRY_ALERT:
		x_alert(x, &b->alert);
		return;
	case ENTRY_REPLICA_ADD:
	case ENTRY_REPLICA_REMOVE:
		x_replica(x, &b->replica);
		return;
	default:
		xb_fail(x, -ERR_NEWER);
	}
}

/* The kinds of the namespace, of content and of lineage. */
static void x_file(struct xb *x, struct entry_body *b)
{
	switch (b->kind) {
	case ENTRY_CREATE:
		x_create(x, &b->create);
		return;
	case ENTRY_LINK:
		x_link(x, &b->link, 0);
		return;
	case ENTRY_UNLINK:
		x_link(x, &b->link, 3);
		return;
	case ENTRY_RENAME:
		x_rename(x, &b->rename);
		return;
	case ENTRY_SETATTR:
		x_setattr(x, &b->setattr);
		return;
	case ENTRY_SETXATTR:
		x_setxattr(x, &b->setxattr);
		return;
	case ENTRY_RMXATTR:
		xb_str(x, &b->setxattr.name, 1, LIMIT_XATTR_NAME);
		return;
	case ENTRY_FREE_ORPHAN:
		return;
	case ENTRY_VERSION:
		x_version(x, &b->version);
		return;
	case ENTRY_DIGEST:
		xb_digest(x, &b->digest.version);
		xb_digest(x, &b->digest.sha256);
		return;
	case ENTRY_SNAPSHOT:
		x_snapshot(x, &b->snapshot);
		return;
	case ENTRY_RESTORE:
		x_restore(x, &b->restore);
		return;
	case ENTRY_CLONE:
		x_clone(x, &b->clone);
		return;
	case ENTRY_EXTENTS:
		x_extents(x, &b->extents);
		return;
	case ENTRY_ACTOR:
		x_actor(x, &b->actor);
		return;
	case ENTRY_READS:
		x_reads(x, &b->reads);
		return;
	case ENTRY_RUN_START:
		x_run_start(x, &b->run_start);
		return;
	case ENTRY_RUN_END:
		x_run_end(x, &b->run_end);
		return;
	case ENTRY_ATTEST:
		entry_attest_xb(x, &b->attest);
		return;
	case ENTRY_IMPORT:
		entry_import_xb(x, &b->import);
		return;
	default:
		x_fixed(x, b);
	}
}

/* --- TLVs --- */

static void x_tlv_head(struct xb *x, unsigned tag, size_t n)
{
	if (n > UINT16_MAX)
		xb_fail(x, -ERR_LIMIT);
	xb_uint(x, tag, 2);
	xb_uint(x, n, 2);
}

static void x_author(struct xb *x, struct entry_author_sig *a)
{
	uint8_t alg = 1;

	xb_u8(x, &alg);
	if (alg != 1)
		xb_fail(x, -ERR_NEWER);
	xb_bytes(x, a->key_id, sizeof(a->key_id));
	xb_bytes(x, a->sig, sizeof(a->sig));
}

/* Which TLVs a CREATE has is decided by its type. */
static void create_rules(struct xb *x, const struct entry_create *b)
{
	xb_rule(x, (b->dtype == DT_LNK) == (b->target.n != 0));
	xb_rule(x, b->target.n <= LIMIT_SYMLINK);
	xb_rule(x, b->target.n == 0 ||
			   memchr(b->target.p, 0, b->target.n) == NULL);
	xb_rule(x, b->has_dir_salt == (b->dtype == DT_DIR));
	xb_rule(x, b->default_acl == NULL || b->dtype == DT_DIR);
	xb_rule(x, b->acl == NULL || b->acl_n != 0);
	xb_rule(x, b->default_acl == NULL || b->default_acl_n != 0);
}

static void create_tlvs_put(struct xb *x, struct entry_create *b)
{
	const uint8_t *target = (const uint8_t *)b->target.p;

	create_rules(x, b);
	if (b->target.n != 0) {
		x_tlv_head(x, ENTRY_TLV_TARGET, b->target.n);
		xb_borrow(x, &target, b->target.n);
	}
	if (b->acl != NULL) {
		x_tlv_head(x, ENTRY_TLV_ACL, b->acl_n);
		xb_borrow(x, &b->acl, b->acl_n);
	}
	if (b->default_acl != NULL) {
		x_tlv_head(x, ENTRY_TLV_DEFAULT_ACL, b->default_acl_n);
		xb_borrow(x, &b->default_acl, b->default_acl_n);
	}
	if (b->has_dir_salt) {
		x_tlv_head(x, ENTRY_TLV_DIR_SALT, sizeof(b->dir_salt));
		xb_bytes(x, b->dir_salt, sizeof(b->dir_salt));
	}
}

/* Optional TLVs that we do not know: syntax alone. */
static bool extra_ok(const struct entry_tlvs *t)
{
	struct breader r;
	uint32_t last = ENTRY_TLV_OPTIONAL - 1;

	breader_init(&r, t->p, t->n);
	while (r.left > 0 && !r.bad) {
		uint16_t tag = breader_u16(&r);
		uint16_t n = breader_u16(&r);

		if (breader_borrow(&r, n) == NULL || tag <= last)
			return false;
		last = tag;
	}
	return !r.bad;
}

static void tlvs_put(struct xb *x, struct entry_body *b)
{
	if (b->kind == ENTRY_CREATE)
		create_tlvs_put(x, &b->create);
	if (b->author.present) {
		xb_rule(x, b->extra.n == 0);
		x_tlv_head(x, ENTRY_TLV_AUTHOR_SIG, ENTRY_AUTHOR_SIG_SIZE);
		x_author(x, &b->author);
	}
	if (b->extra.n != 0) {
		xb_rule(x, extra_ok(&b->extra));
		xb_borrow(x, &b->extra.p, b->extra.n);
	}
}

static void create_tlv_get(struct xb *x, struct entry_create *b, unsigned tag,
			   const uint8_t *p, size_t n)
{
	switch (tag) {
	case ENTRY_TLV_TARGET:
		b->target = (struct entry_str){ (const char *)p, n };
		return;
	case ENTRY_TLV_ACL:
		b->acl = p;
		b->acl_n = n;
		return;
	case ENTRY_TLV_DEFAULT_ACL:
		b->default_acl = p;
		b->default_acl_n = n;
		return;
	case ENTRY_TLV_DIR_SALT:
		xb_rule(x, n == sizeof(b->dir_salt));
		if (x->rc != 0)
			return;
		b->has_dir_salt = true;
		memcpy(b->dir_salt, p, n);
		return;
	default:
		xb_fail(x, -ERR_NEWER);
	}
}

static void author_get(struct xb *x, struct entry_author_sig *a,
		       const uint8_t *p, size_t n)
{
	struct xb in = { .mode = XB_READ };

	xb_rule(x, n == ENTRY_AUTHOR_SIG_SIZE && x->r.left == 0);
	breader_init(&in.r, p, n);
	x_author(&in, a);
	xb_fail(x, in.rc);
	a->present = true;
}

static void tlvs_get(struct xb *x, struct entry_body *b)
{
	uint32_t last = 0;

	while (x->rc == 0 && x->r.left > 0) {
		const uint8_t *start = x->r.p;
		uint16_t tag = (uint16_t)xb_uint(x, 0, 2);
		uint16_t n = (uint16_t)xb_uint(x, 0, 2);
		const uint8_t *p = NULL;

		if (x->rc != 0)
			return;
		if (tag >= ENTRY_TLV_OPTIONAL) {
			b->extra.n = x->r.left + TLV_HEAD;
			b->extra.p = start;
			xb_rule(x, extra_ok(&b->extra));
			breader_borrow(&x->r, x->r.left);
			break;
		}
		xb_borrow(x, &p, n);
		if (x->rc != 0)
			return;
		xb_rule(x, tag > last);
		last = tag;
		if (tag == ENTRY_TLV_AUTHOR_SIG)
			author_get(x, &b->author, p, n);
		else if (b->kind == ENTRY_CREATE)
			create_tlv_get(x, &b->create, tag, p, n);
		else
			xb_fail(x, -ERR_NEWER);
	}
	if (x->rc == 0 && b->kind == ENTRY_CREATE)
		create_rules(x, &b->create);
}

/* --- doors --- */

int entry_body_encode(struct buf *out, const struct entry_body *b)
{
	size_t start = out->n;
	struct xb x = { .mode = XB_WRITE, .out = out };
	struct entry_body copy = *b;

	if (b->opaque)
		return -ERR_FORMAT;
	x_file(&x, &copy);
	tlvs_put(&x, &copy);
	if (out->bad)
		return -ENOMEM;
	if (x.rc == 0 && out->n - start > BODY_MAX)
		x.rc = -ERR_LIMIT;
	if (x.rc != 0)
		out->n = start;
	return x.rc;
}

int entry_body_decode(struct entry_body *out, uint16_t kind, const void *p,
		      size_t n)
{
	struct xb x = { .mode = XB_READ };

	memset(out, 0, sizeof(*out));
	out->kind = kind;
	if (n > BODY_MAX)
		return -ERR_LIMIT;
	if (kind >= ENTRY_OPTIONAL) {
		out->opaque = true;
		return 0;
	}
	breader_init(&x.r, p, n);
	x_file(&x, out);
	tlvs_get(&x, out);
	if (x.rc != 0)
		return x.rc;
	x = (struct xb){ .mode = XB_COMPARE };
	breader_init(&x.r, p, n);
	x_file(&x, out);
	tlvs_put(&x, out);
	if (x.rc == 0 && !breader_done(&x.r))
		return -ERR_NONCANON;
	return x.rc;
}
