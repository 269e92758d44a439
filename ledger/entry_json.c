/*
 * entry_json.c - entries as JSON lines.
 *
 * Every string goes through text_json_string(); numbers are decimal, hashes
 * and ids lower-case hex, times RFC 3339 in UTC beside nothing else.
 *
 * Pure; any thread.
 */
#include "ledger/entry_json.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/text.h"
#include "ledger/argv.h"
#include "ledger/cert.h"
#include "ledger/entry.h"
#include "ledger/entry_denied.h"
#include "ledger/entry_import.h"
#include "ledger/entry_run.h"
#include "ledger/key.h"

/* --- members: each starts with a comma --- */

static void j_key(struct buf *out, const char *name)
{
	buf_addf(out, ",\"%s\":", name);
}

static void j_word(struct buf *out, const char *name, const char *word)
{
	j_key(out, name);
	buf_addf(out, "\"%s\"", word == NULL ? "unknown" : word);
}

static void j_uint(struct buf *out, const char *name, uint64_t v)
{
	j_key(out, name);
	buf_addf(out, "%llu", (unsigned long long)v);
}

static void j_flag(struct buf *out, const char *name, bool v)
{
	if (v)
		buf_addf(out, ",\"%s\":true", name);
}

static void j_time(struct buf *out, const char *name, int64_t ns)
{
	char t[TEXT_TIME_SIZE];

	text_time(t, ns);
	j_word(out, name, t);
}

static void j_hex(struct buf *out, const char *name, const void *p, size_t n)
{
	j_key(out, name);
	buf_addc(out, '"');
	text_hex(out, p, n);
	buf_addc(out, '"');
}

/* Left out where it is 0. */
static void j_digest(struct buf *out, const char *name, const struct digest *d)
{
	if (!digest_is_zero(d))
		j_hex(out, name, d->b, sizeof(d->b));
}

static void j_id(struct buf *out, const char *name, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0) {
			j_hex(out, name, p, n);
			return;
		}
}

static void j_bytes(struct buf *out, const char *name, const void *p, size_t n)
{
	j_key(out, name);
	text_json_string(out, p, n);
	if (!text_is_utf8(p, n)) {
		buf_addf(out, ",\"%s_hex\":\"", name);
		text_hex(out, p, n);
		buf_addc(out, '"');
	}
}

static void j_str(struct buf *out, const char *name, const struct entry_str *s)
{
	j_bytes(out, name, s->n == 0 ? "" : s->p, s->n);
}

/* Left out where it is empty. */
static void j_str_some(struct buf *out, const char *name,
		       const struct entry_str *s)
{
	if (s->n != 0)
		j_str(out, name, s);
}

static void j_argv(struct buf *out, const struct entry_str *s)
{
	j_key(out, "argv");
	argv_json(out, s->p, s->n);
	if (!text_is_utf8(s->n == 0 ? "" : s->p, s->n))
		j_hex(out, "argv_hex", s->p, s->n);
}

static void j_mode(struct buf *out, uint32_t mode)
{
	buf_addf(out, ",\"mode\":\"%04o\"", mode);
}

/* --- 00xx control --- */

static void b_genesis(struct buf *out, const struct entry_genesis *b)
{
	j_str(out, "origin", &b->origin);
	j_key(out, "admins");
	for (unsigned i = 0; i < b->n_admin; i++) {
		buf_adds(out, i == 0 ? "[\"" : ",\"");
		text_hex(out, b->admin[i], sizeof(b->admin[i]));
		buf_addc(out, '"');
	}
	buf_addc(out, ']');
	j_hex(out, "nonce", b->nonce, sizeof(b->nonce));
}

static void b_key_add(struct buf *out, const struct entry_key_add *b,
		      bool rotate)
{
	struct cert c;
	uint8_t id[KEY_ID_SIZE];

	if (cert_decode(&c, b->cert) == 0) {
		key_id(id, c.pub);
		j_hex(out, "key", id, sizeof(id));
		j_word(out, "role", key_role_name(c.role));
		if (c.mount_no != 0)
			j_uint(out, "mount_no", c.mount_no);
		j_hex(out, "public", c.pub, sizeof(c.pub));
	}
	if (rotate)
		j_hex(out, "replaces", b->old_key_id, sizeof(b->old_key_id));
	j_str_some(out, "name", &b->name);
}

static void b_revoke(struct buf *out, const struct entry_revoke *b)
{
	static const char *const words[] = { NULL, "retired", "lost",
					     "stolen" };

	j_hex(out, "key", b->key_id, sizeof(b->key_id));
	j_word(out, "reason", words[b->reason]);
	if (b->suspect_since_ns != 0)
		j_time(out, "suspect_since", b->suspect_since_ns);
	j_digest(out, "last_good_seal", &b->last_good);
	j_str_some(out, "comment", &b->comment);
}

static void b_mount_start(struct buf *out, const struct entry_mount_start *b)
{
	j_hex(out, "incarnation", b->incarnation, sizeof(b->incarnation));
	j_flag(out, "clean", b->flags & ENTRY_START_CLEAN);
	j_flag(out, "torn", b->flags & ENTRY_START_TORN);
	j_flag(out, "adopted", b->flags & ENTRY_START_ADOPTED);
	j_flag(out, "tool", b->flags & ENTRY_START_TOOL);
	j_uint(out, "uid", b->uid);
	j_str_some(out, "program", &b->program);
	j_str_some(out, "host", &b->host);
	j_str_some(out, "mountpoint", &b->mountpoint);
	j_str_some(out, "options", &b->options);
}

static void b_new_origin(struct buf *out, const struct entry_new_origin *b)
{
	j_str(out, "old_origin", &b->old_origin);
	j_str(out, "new_origin", &b->new_origin);
	j_uint(out, "lost_size", b->lost_size);
	j_digest(out, "lost_root", &b->lost_root);
	j_hex(out, "log_public", b->log_pub, sizeof(b->log_pub));
}

static void b_params(struct buf *out, const struct entry_params *b)
{
	j_key(out, "params");
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_param p;

		entry_params_at(&p, b, i);
		buf_addc(out, i == 0 ? '{' : ',');
		text_json_string(out, p.name.p, p.name.n);
		buf_addc(out, ':');
		text_json_string(out, p.value.p, p.value.n);
	}
	buf_addc(out, '}');
}

static void b_policy(struct buf *out, const struct entry_policy *b)
{
	j_key(out, "rules");
	buf_addc(out, '[');
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_rule r;

		entry_policy_at(&r, b, i);
		buf_addf(out, "%s{\"position\":%u", i == 0 ? "" : ",", i + 1);
		j_str(out, "pattern", &r.pattern);
		if (r.keep == 0)
			j_word(out, "keep", "all");
		if (r.keep & ENTRY_KEEP_AGE)
			j_uint(out, "keep_seconds", r.seconds);
		if (r.keep & ENTRY_KEEP_COUNT)
			j_uint(out, "keep_versions", r.versions);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void b_hold(struct buf *out, const struct entry_hold *b)
{
	j_flag(out, "lifted", b->flags & ENTRY_HOLD_LIFTED);
	j_digest(out, "lifts", &b->lifted);
	if (b->inode != 0)
		j_uint(out, "held_inode", b->inode);
	j_str_some(out, "pattern", &b->pattern);
	j_str(out, "reason", &b->reason);
}

static void b_gc(struct buf *out, const struct entry_gc *b)
{
	uint64_t versions = 0;

	j_digest(out, "policy", &b->policy);
	j_key(out, "released");
	buf_addc(out, '[');
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_release r;

		entry_gc_at(&r, b, i);
		versions += r.last - r.first + 1;
		buf_addf(out, "%s{\"inode\":%llu,\"first\":%llu,\"last\":%llu}",
			 i == 0 ? "" : ",", (unsigned long long)r.inode,
			 (unsigned long long)r.first,
			 (unsigned long long)r.last);
	}
	buf_addc(out, ']');
	j_uint(out, "versions", versions);
	j_uint(out, "bytes", b->bytes);
}

/* --- 01xx names --- */

static const char *dtype_word(unsigned t)
{
	switch (t) {
	case DT_FIFO:
		return "fifo";
	case DT_CHR:
		return "char";
	case DT_DIR:
		return "dir";
	case DT_BLK:
		return "block";
	case DT_LNK:
		return "symlink";
	case DT_SOCK:
		return "socket";
	default:
		return "file";
	}
}

static void b_create(struct buf *out, const struct entry_create *b)
{
	j_word(out, "type", dtype_word(b->dtype));
	j_mode(out, b->mode);
	j_uint(out, "uid", b->uid);
	j_uint(out, "gid", b->gid);
	if (b->rdev != 0)
		j_uint(out, "rdev", b->rdev);
	j_str(out, "name", &b->name);
	j_str_some(out, "target", &b->target);
	if (b->acl != NULL)
		j_hex(out, "acl", b->acl, b->acl_n);
	if (b->default_acl != NULL)
		j_hex(out, "default_acl", b->default_acl, b->default_acl_n);
}

static void b_unlink(struct buf *out, const struct entry_link *b)
{
	j_str(out, "name", &b->name);
	j_flag(out, "rmdir", b->flags & ENTRY_UNLINK_RMDIR);
	j_flag(out, "freed", b->flags & ENTRY_UNLINK_FREED);
}

static void b_rename(struct buf *out, const struct entry_rename *b)
{
	j_str(out, "name", &b->old_name);
	j_uint(out, "new_parent", b->new_parent);
	j_str(out, "new_name", &b->new_name);
	if (b->replaced != 0)
		j_uint(out, "replaced", b->replaced);
	j_flag(out, "exchange", b->flags & ENTRY_RENAME_EXCHANGE);
	j_flag(out, "freed", b->flags & ENTRY_RENAME_FREED);
}

static void b_setattr(struct buf *out, const struct entry_setattr *b)
{
	if (b->mask & ENTRY_ATTR_MODE)
		j_mode(out, b->mode);
	if (b->mask & ENTRY_ATTR_UID)
		j_uint(out, "uid", b->uid);
	if (b->mask & ENTRY_ATTR_GID)
		j_uint(out, "gid", b->gid);
	if (b->mask & ENTRY_ATTR_ATIME)
		j_time(out, "atime", b->atime_ns);
	if (b->mask & ENTRY_ATTR_MTIME)
		j_time(out, "mtime", b->mtime_ns);
	if (b->mask & ENTRY_ATTR_CTIME)
		j_time(out, "ctime", b->ctime_ns);
}

static void b_setxattr(struct buf *out, const struct entry_setxattr *b)
{
	j_str(out, "name", &b->name);
	j_uint(out, "size", b->value_n);
	if (b->value_n <= LIMIT_XATTR_INLINE)
		j_bytes(out, "value", b->value, b->value_n);
	else
		j_digest(out, "content", &b->content);
}

/* --- 02xx content --- */

static void b_version(struct buf *out, const struct entry_body *body)
{
	const struct entry_version *b = &body->version;
	uint64_t allocated = entry_version_allocated(body);

	j_str(out, "path", &b->path);
	j_uint(out, "size", b->size);
	if (allocated != b->size)
		j_uint(out, "allocated", allocated);
	j_time(out, "mtime", b->mtime_ns);
	j_word(out, "reason", entry_reason_word(b->reason));
	j_word(out, "attribution", entry_strength_word(b->attribution));
	j_hex(out, "content", b->tree_root.b, sizeof(b->tree_root.b));
	if (b->flags & ENTRY_VERSION_SHA256)
		j_hex(out, "sha256", b->sha256.b, sizeof(b->sha256.b));
	if (b->flags & ENTRY_VERSION_READS)
		j_digest(out, "reads", &b->reads);
	j_digest(out, "extents", &b->extents);
	j_key(out, "changed");
	buf_addc(out, '[');
	for (unsigned i = 0; i < b->n_ranges; i++)
		buf_addf(out, "%s[%llu,%llu]", i == 0 ? "" : ",",
			 (unsigned long long)b->ranges[i].lo,
			 (unsigned long long)b->ranges[i].hi);
	buf_addc(out, ']');
	j_flag(out, "changed_is_hull", b->flags & ENTRY_VERSION_HULL);
}

static void b_snapshot(struct buf *out, const struct entry_snapshot *b)
{
	j_str(out, "name", &b->name);
	j_flag(out, "removed", b->flags & ENTRY_SNAPSHOT_REMOVED);
	j_digest(out, "position", &b->position);
	j_digest(out, "state", &b->state);
	j_str_some(out, "comment", &b->comment);
}

static void b_restore(struct buf *out, const struct entry_restore *b)
{
	j_word(out, "why", b->why == 2 ? "undo" : "restore");
	j_digest(out, "from_version", &b->version);
	j_id(out, "run", b->run, sizeof(b->run));
	j_str_some(out, "when", &b->when);
}

static void b_clone(struct buf *out, const struct entry_clone *b)
{
	j_uint(out, "from_inode", b->inode);
	j_digest(out, "from_version", &b->version);
	j_uint(out, "from_offset", b->offset);
	j_uint(out, "length", b->length);
	j_uint(out, "offset", b->target_offset);
}

static void b_extents(struct buf *out, const struct entry_extents *b)
{
	j_uint(out, "size", b->size);
	j_word(out, "attribution", entry_strength_word(b->attribution));
	j_key(out, "extents");
	buf_addc(out, '[');
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_extent e;

		entry_extents_at(&e, b, i);
		buf_addf(out, "%s{\"offset\":%llu,\"length\":%u",
			 i == 0 ? "" : ",", (unsigned long long)e.offset,
			 e.length);
		if (digest_is_zero(&e.chunk)) {
			buf_adds(out, ",\"hole\":true}");
			continue;
		}
		j_digest(out, "chunk", &e.chunk);
		j_uint(out, "chunk_offset", e.chunk_offset);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

/* --- 03xx who and from what --- */

static void b_actor(struct buf *out, const struct entry_body *body)
{
	const struct entry_actor *b = &body->actor;
	const char *how = entry_run_how_word(entry_run_how(body));

	j_uint(out, "uid", b->uid);
	j_uint(out, "gid", b->gid);
	j_uint(out, "pid", b->tgid);
	j_uint(out, "ppid", b->ppid);
	j_uint(out, "start", b->start);
	j_str_some(out, "exe", &b->exe);
	j_digest(out, "exe_sha256", &b->exe_digest);
	j_argv(out, &b->argv);
	j_str_some(out, "cwd", &b->cwd);
	j_str_some(out, "host", &b->host);
	j_id(out, "run", b->run, sizeof(b->run));
	if (how)
		j_word(out, "run_by", how);
	j_id(out, "git", b->git, sizeof(b->git));
	j_flag(out, "dirty", b->dirty);
}

static void b_reads(struct buf *out, const struct entry_reads *b)
{
	j_digest(out, "previous", &b->previous);
	j_key(out, "opened");
	buf_addc(out, '[');
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_read e;

		entry_reads_at(&e, b, i);
		buf_addf(out, "%s{\"strength\":\"%s\"", i == 0 ? "" : ",",
			 entry_strength_word(e.strength));
		j_digest(out, "version", &e.version);
		j_digest(out, "content", &e.content);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void b_run_start(struct buf *out, const struct entry_body *body)
{
	const struct entry_run_start *b = &body->run_start;
	struct entry_str cgroup = entry_run_cgroup(body);
	struct entry_run_git git = entry_run_git(body);

	j_hex(out, "run", b->run, sizeof(b->run));
	j_str_some(out, "name", &b->name);
	j_uint(out, "uid", b->uid);
	j_uint(out, "gid", b->gid);
	j_argv(out, &b->argv);
	j_str_some(out, "cwd", &b->cwd);
	j_str_some(out, "user", &b->user);
	j_str_some(out, "host", &b->host);
	j_str_some(out, "policy", &b->policy);
	j_str_some(out, "cgroup", &cgroup);
	j_id(out, "git", b->git, sizeof(b->git));
	j_flag(out, "dirty", b->dirty);
	if (git.of)
		j_word(out, "git_of", entry_run_git_of_word(git.of));
	if (entry_run_git_state_word(git.state))
		j_word(out, "git_note", entry_run_git_state_word(git.state));
	j_key(out, "environment");
	buf_addc(out, '{');
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_env e;

		entry_run_env_at(&e, b, i);
		buf_adds(out, i == 0 ? "" : ",");
		text_json_string(out, e.name.p, e.name.n);
		buf_adds(out, ":\"");
		text_hex(out, e.value.b, sizeof(e.value.b));
		buf_addc(out, '"');
	}
	buf_addc(out, '}');
	if (entry_run_env_left(body))
		j_uint(out, "environment_left_out", entry_run_env_left(body));
}

static void b_run_end(struct buf *out, const struct entry_run_end *b)
{
	static const char *const words[] = { NULL, "exit", "signal", "lost" };

	j_hex(out, "run", b->run, sizeof(b->run));
	j_digest(out, "run_start", &b->start);
	j_word(out, "how", words[b->how]);
	j_uint(out, "status", b->status);
	j_time(out, "started", b->started_ns);
	j_uint(out, "processes", b->processes);
}

static void b_attest(struct buf *out, const struct entry_attest *b)
{
	j_digest(out, "subject", &b->subject);
	j_word(out, "what", b->what == ENTRY_ATTEST_EXE ? "exe" : "read");
	if (b->what == ENTRY_ATTEST_READ)
		j_uint(out, "item", b->item);
	j_hex(out, "digest", b->digest.b, sizeof(b->digest.b));
}

static void b_import(struct buf *out, const struct entry_import *b)
{
	j_word(out, "trust", entry_import_trust_word(b->trust));
	j_str(out, "origin", &b->origin);
	j_hex(out, "volume", b->volume, sizeof(b->volume));
	j_hex(out, "key", b->key, sizeof(b->key));
	j_uint(out, "from_seal", b->seal);
	j_digest(out, "from", &b->source);
	j_uint(out, "from_version", b->source_version);
	j_str(out, "from_path", &b->path);
	j_time(out, "from_time", b->wall_ns);
	j_word(out, "attribution", entry_strength_word(b->attribution));
	j_digest(out, "sha256", &b->sha256);
	j_digest(out, "version_entry", &b->version);
	j_str_some(out, "exe", &b->exe);
	j_argv(out, &b->argv);
	j_key(out, "opened");
	buf_addc(out, '[');
	for (unsigned i = 0; i < b->n; i++) {
		struct entry_imported e;

		entry_import_at(&e, b, i);
		buf_addf(out, "%s{\"strength\":\"%s\"", i ? "," : "",
			 entry_strength_word(e.strength));
		j_str(out, "path", &e.path);
		if (!digest_is_zero(&e.sha256))
			j_digest(out, "sha256", &e.sha256);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	j_uint(out, "left_out", b->left_out);
}

/* --- 04xx storage --- */

static void b_anchor(struct buf *out, const struct entry_anchor *b)
{
	j_uint(out, "size", b->size);
	j_hex(out, "root", b->root.b, sizeof(b->root.b));
	j_hex(out, "commit", b->commit, sizeof(b->commit));
	j_str_some(out, "repository", &b->location);
	j_str_some(out, "ref", &b->ref);
}

static void b_scrub(struct buf *out, const struct entry_scrub *b)
{
	j_uint(out, "replica", b->replica);
	j_uint(out, "objects", b->objects);
	j_uint(out, "bytes", b->bytes);
	j_uint(out, "bad", b->bad);
	j_uint(out, "repaired", b->repaired);
}

static void b_repair(struct buf *out, const struct entry_repair *b)
{
	static const char *const words[] = { NULL,   "chunk",	"node",
					     "pack", "journal", "tile" };

	j_word(out, "what", words[b->what]);
	j_uint(out, "from_replica", b->source);
	j_uint(out, "to_replica", b->target);
	j_digest(out, "content", &b->id);
	j_uint(out, "bytes", b->bytes);
	j_str_some(out, "object", &b->object);
}

static void b_denied(struct buf *out, const struct entry_body *body)
{
	struct entry_denied d;

	j_hex(out, "run", body->alert.id.b, 16);
	if (!entry_denied_get(&d, body))
		return;
	j_word(out, "call", entry_denied_call_word(d.call));
	j_word(out, "why", entry_denied_why_word(d.why));
	if (d.inode)
		j_uint(out, "of_inode", d.inode);
	j_uint(out, "times", d.count);
	j_str_some(out, "path", &d.path);
}

static void b_alert(struct buf *out, const struct entry_body *body)
{
	static const char *const words[] = { NULL, "content-lost",
					     "more-content-lost", "denied" };
	const struct entry_alert *b = &body->alert;

	j_word(out, "what", words[b->what]);
	if (b->what == ENTRY_ALERT_DENIED)
		b_denied(out, body);
	else
		j_digest(out, "content", &b->id);
	j_str_some(out, "text", &b->text);
}

static void b_replica(struct buf *out, const struct entry_replica *b)
{
	j_uint(out, "replica", b->number);
	j_word(out, "type", b->kind == 1 ? "directory" : "unknown");
	j_hex(out, "id", b->id, sizeof(b->id));
	j_str_some(out, "location", &b->location);
}

static void control_body(struct buf *out, const struct entry_body *b)
{
	static const char *const stops[] = { NULL, "unmount", "signal",
					     "error" };

	switch (b->kind) {
	case ENTRY_GENESIS:
		b_genesis(out, &b->genesis);
		return;
	case ENTRY_KEY_ADD:
	case ENTRY_ROTATE:
		b_key_add(out, &b->key_add, b->kind == ENTRY_ROTATE);
		return;
	case ENTRY_REVOKE:
		b_revoke(out, &b->revoke);
		return;
	case ENTRY_MOUNT_START:
		b_mount_start(out, &b->mount_start);
		return;
	case ENTRY_MOUNT_STOP:
		j_word(out, "reason", stops[b->mount_stop.reason]);
		return;
	case ENTRY_NEW_ORIGIN:
		b_new_origin(out, &b->new_origin);
		return;
	case ENTRY_PARAMS:
		b_params(out, &b->params);
		return;
	case ENTRY_POLICY:
		b_policy(out, &b->policy);
		return;
	case ENTRY_HOLD:
		b_hold(out, &b->hold);
		return;
	case ENTRY_GC:
		b_gc(out, &b->gc);
		return;
	case ENTRY_ANCHOR:
		b_anchor(out, &b->anchor);
		return;
	case ENTRY_SCRUB:
		b_scrub(out, &b->scrub);
		return;
	case ENTRY_REPAIR:
		b_repair(out, &b->repair);
		return;
	case ENTRY_ALERT:
		b_alert(out, b);
		return;
	case ENTRY_REPLICA_ADD:
	case ENTRY_REPLICA_REMOVE:
		b_replica(out, &b->replica);
		return;
	default:
		return;
	}
}

static void file_body(struct buf *out, const struct entry_body *b)
{
	switch (b->kind) {
	case ENTRY_CREATE:
		b_create(out, &b->create);
		return;
	case ENTRY_LINK:
		j_str(out, "name", &b->link.name);
		return;
	case ENTRY_UNLINK:
		b_unlink(out, &b->link);
		return;
	case ENTRY_RENAME:
		b_rename(out, &b->rename);
		return;
	case ENTRY_SETATTR:
		b_setattr(out, &b->setattr);
		return;
	case ENTRY_SETXATTR:
		b_setxattr(out, &b->setxattr);
		return;
	case ENTRY_RMXATTR:
		j_str(out, "name", &b->setxattr.name);
		return;
	case ENTRY_VERSION:
		b_version(out, b);
		return;
	case ENTRY_DIGEST:
		j_digest(out, "of_version", &b->digest.version);
		j_hex(out, "sha256", b->digest.sha256.b, 32);
		return;
	case ENTRY_SNAPSHOT:
		b_snapshot(out, &b->snapshot);
		return;
	case ENTRY_RESTORE:
		b_restore(out, &b->restore);
		return;
	case ENTRY_CLONE:
		b_clone(out, &b->clone);
		return;
	case ENTRY_EXTENTS:
		b_extents(out, &b->extents);
		return;
	case ENTRY_ACTOR:
		b_actor(out, b);
		return;
	case ENTRY_READS:
		b_reads(out, &b->reads);
		return;
	case ENTRY_RUN_START:
		b_run_start(out, b);
		return;
	case ENTRY_RUN_END:
		b_run_end(out, &b->run_end);
		return;
	case ENTRY_ATTEST:
		b_attest(out, &b->attest);
		return;
	case ENTRY_IMPORT:
		b_import(out, &b->import);
		return;
	default:
		control_body(out, b);
	}
}

void entry_json_body(struct buf *out, const struct entry *e)
{
	if (e->state == ENTRY_ENCRYPTED)
		j_word(out, "state", "encrypted");
	else if (e->state == ENTRY_REDACTED)
		j_word(out, "state", "redacted");
	if (e->body.opaque)
		return;
	file_body(out, &e->body);
	if (e->body.author.present)
		j_hex(out, "author_key", e->body.author.key_id,
		      sizeof(e->body.author.key_id));
}

void entry_json(struct buf *out, const struct entry_json *j)
{
	const struct entry_core *c = &j->entry->core;
	const char *kind = entry_kind_name(c->kind);

	buf_addf(out, "{\"entry\":\"%llu.%u\"",
		 (unsigned long long)j->seal_index, j->position);
	if (kind != NULL)
		j_word(out, "kind", kind);
	else
		buf_addf(out, ",\"kind\":\"kind-%04x\"", c->kind);
	j_time(out, "time", c->wall_ns);
	if (j->leaf != NULL)
		j_hex(out, "leaf", j->leaf->b, sizeof(j->leaf->b));
	j_uint(out, "mount", j->mount_no);
	if (c->inode != 0)
		j_uint(out, "inode", c->inode);
	if (c->parent != 0)
		j_uint(out, "parent", c->parent);
	if (c->version != 0)
		j_uint(out, "version", c->version);
	j_digest(out, "prev", &c->prev);
	j_digest(out, "actor", &c->actor);
	if (j->actor_no >= 0 && !digest_is_zero(&c->actor))
		buf_addf(out, ",\"actor_entry\":\"%llu.%u\"",
			 (unsigned long long)ENTRY_NO_SEAL(j->actor_no),
			 ENTRY_NO_POS(j->actor_no));
	if (j->note != NULL)
		j_word(out, "note", j->note);
	entry_json_body(out, j->entry);
	buf_adds(out, "}\n");
}
