/*
 * sample_log_entry.c - one entry of each kind with every field set.
 *
 * The golden files of entries are these: whoever changes a field here must
 * not change those, they decode for ever.
 */
#include <dirent.h>
#include <string.h>

#include "tests/sim/sample_log.h"

static void fill(void *p, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)(first + i);
}

static struct digest some(uint8_t first)
{
	struct digest d;

	fill(d.b, sizeof(d.b), first);
	return d;
}

static void control(struct entry_body *b)
{
	static const struct entry_param params[] = {
		{ { "a", 1 }, { "", 0 } },
		{ { "name", 4 }, { "value \xc3\xa9", 8 } },
	};

	switch (b->kind) {
	case ENTRY_GENESIS:
		b->genesis.origin = ENTRY_STR("vouchfs.example/golden");
		b->genesis.n_admin = 2;
		fill(b->genesis.admin, 64, 1);
		fill(b->genesis.nonce, 16, 100);
		break;
	case ENTRY_KEY_ADD:
	case ENTRY_ROTATE:
		fill(b->key_add.cert, 128, 7);
		if (b->kind == ENTRY_ROTATE)
			fill(b->key_add.old_key_id, 16, 9);
		b->key_add.name = ENTRY_STR("server");
		break;
	case ENTRY_REVOKE:
		fill(b->revoke.key_id, 16, 3);
		b->revoke.reason = 3;
		b->revoke.suspect_since_ns = SAMPLE_WALL_NS - 1;
		b->revoke.last_good = some(4);
		b->revoke.comment = ENTRY_STR("laptop stolen");
		b->author.present = true;
		fill(b->author.key_id, 16, 5);
		fill(b->author.sig, 64, 6);
		break;
	case ENTRY_MOUNT_START:
		b->mount_start.flags = ENTRY_START_CLEAN;
		fill(b->mount_start.incarnation, 16, 8);
		b->mount_start.uid = 1000;
		b->mount_start.program = ENTRY_STR("vouchfs 0.1.0");
		b->mount_start.host = ENTRY_STR("server");
		b->mount_start.mountpoint = ENTRY_STR("/mnt/vol");
		b->mount_start.options = ENTRY_STR("entries=every-write");
		break;
	case ENTRY_MOUNT_STOP:
		b->mount_stop.reason = 1;
		break;
	case ENTRY_NEW_ORIGIN:
		b->new_origin.lost_size = 9120;
		b->new_origin.lost_root = some(11);
		fill(b->new_origin.log_pub, 32, 12);
		b->new_origin.old_origin = ENTRY_STR("a.example/1");
		b->new_origin.new_origin = ENTRY_STR("a.example/2");
		break;
	case ENTRY_PARAMS:
		b->params.n = 2;
		b->params.v = params;
		break;
	default:
		break;
	}
}

static void retain(struct entry_body *b)
{
	static const struct entry_rule rules[] = {
		{ 0, 0, 0, { "docs/contracts", 14 } },
		{ ENTRY_KEEP_AGE, 2592000, 0, { "logs/**", 7 } },
		{ ENTRY_KEEP_COUNT, 0, 10, { "*.tmp", 5 } },
		{ ENTRY_KEEP_AGE | ENTRY_KEEP_COUNT, 60, 3, { "\xff*", 2 } },
	};
	static const struct entry_release releases[] = {
		{ ENTRY_INODE(1, 5), 1, 4 },
		{ ENTRY_INODE(1, 5), 6, 6 },
		{ ENTRY_INODE(2, 7), 3, 1000 },
	};

	switch (b->kind) {
	case ENTRY_POLICY:
		b->policy.n = 4;
		b->policy.v = rules;
		break;
	case ENTRY_HOLD:
		b->hold.pattern = ENTRY_STR("mail/**");
		b->hold.reason = ENTRY_STR("case 12/26\n");
		break;
	default:
		b->gc.policy = some(60);
		b->gc.bytes = 1ULL << 40;
		b->gc.n = 3;
		b->gc.v = releases;
	}
}

static void storage(struct entry_body *b)
{
	switch (b->kind) {
	case ENTRY_ANCHOR:
		b->anchor.kind = 1;
		b->anchor.size = 812;
		b->anchor.root = some(14);
		b->anchor.commit[0] = 9;
		b->anchor.location = ENTRY_STR("/srv/anchors.git");
		b->anchor.ref = ENTRY_STR("refs/heads/vouch-anchors");
		break;
	case ENTRY_SCRUB:
		b->scrub.replica = 1;
		b->scrub.objects = 12;
		b->scrub.bytes = 1 << 30;
		b->scrub.bad = 2;
		b->scrub.repaired = 1;
		break;
	case ENTRY_REPAIR:
		b->repair.what = 1;
		b->repair.source = 1;
		b->repair.id = some(13);
		b->repair.bytes = 65536;
		b->repair.object = ENTRY_STR("packs/00000001.pack");
		break;
	case ENTRY_ALERT:
		b->alert.what = ENTRY_ALERT_CONTENT;
		b->alert.id = some(13);
		b->alert.text = ENTRY_STR("no good copy of it anywhere");
		break;
	case ENTRY_REPLICA_ADD:
	case ENTRY_REPLICA_REMOVE:
		b->replica.number = 1;
		b->replica.kind = 1;
		fill(b->replica.id, 16, 14);
		if (b->kind == ENTRY_REPLICA_ADD)
			b->replica.location = ENTRY_STR("/mnt/replica");
		break;
	default:
		control(b);
	}
}

static void names(struct entry *e)
{
	struct entry_body *b = &e->body;

	e->core.inode = ENTRY_INODE(1, 77);
	e->core.parent = ENTRY_INODE(1, 70);
	e->core.version = 3;
	e->core.prev = some(20);
	e->core.actor = some(21);
	switch (b->kind) {
	case ENTRY_CREATE:
		e->core.version = 0;
		e->core.prev = digest_zero;
		b->create.dtype = DT_DIR;
		b->create.mode = 02755;
		b->create.uid = 1000;
		b->create.gid = 100;
		b->create.name = ENTRY_STR("caf\xc3\xa9\n\x1b[2J\xff");
		b->create.acl = (const uint8_t *)"\2\0\0\0acl";
		b->create.acl_n = 7;
		b->create.default_acl = (const uint8_t *)"\2\0\0\0dflt";
		b->create.default_acl_n = 8;
		b->create.has_dir_salt = true;
		fill(b->create.dir_salt, 16, 22);
		break;
	case ENTRY_LINK:
	case ENTRY_UNLINK:
		if (b->kind == ENTRY_UNLINK)
			b->link.flags = ENTRY_UNLINK_FREED;
		b->link.name = ENTRY_STR("name");
		break;
	case ENTRY_RENAME:
		b->rename.flags = ENTRY_RENAME_FREED;
		b->rename.new_parent = ENTRY_INODE(1, 71);
		b->rename.replaced = ENTRY_INODE(1, 78);
		b->rename.old_name = ENTRY_STR("old");
		b->rename.new_name = ENTRY_STR("new");
		break;
	case ENTRY_SETATTR:
		b->setattr.mask = ENTRY_ATTR_ALL;
		b->setattr.mode = 0600;
		b->setattr.uid = 1;
		b->setattr.gid = 2;
		b->setattr.atime_ns = -1;
		b->setattr.mtime_ns = SAMPLE_WALL_NS;
		b->setattr.ctime_ns = SAMPLE_WALL_NS + 1;
		break;
	case ENTRY_SETXATTR:
		b->setxattr.value_n = 4;
		b->setxattr.value = (const uint8_t *)"v\0\xff\n";
		b->setxattr.name = ENTRY_STR("user.note");
		break;
	case ENTRY_RMXATTR:
		b->setxattr.name = ENTRY_STR("user.note");
		break;
	default:
		break;
	}
}

static void content(struct entry *e)
{
	static const struct entry_extent extents[] = {
		{ 0, 4096, { { 1, 2, 3 } }, 0 },
		{ 8192, 4096, { { 0 } }, 0 },
		{ 1ULL << 40, 1, { { 4, 5, 6 } }, 77 },
	};
	struct entry_body *b = &e->body;

	names(e);
	switch (b->kind) {
	case ENTRY_VERSION:
		b->version = (struct entry_version){
			.flags = 7,
			.content_alg = ENTRY_CONTENT_BLAKE3,
			.reason = ENTRY_REASON_DEMAND,
			.attribution = ENTRY_HANDLE,
			.size = 10000,
			.mtime_ns = SAMPLE_WALL_NS - 5,
			.n_ranges = 2,
			.ranges = { { 0, 100 }, { 4096, 10000 } },
			.tree_root = some(30),
			.sha256 = some(31),
			.reads = some(32),
			.extents = some(33),
			.path = ENTRY_STR("dir/file"),
		};
		break;
	case ENTRY_DIGEST:
		b->digest.version = some(34);
		b->digest.sha256 = some(35);
		break;
	case ENTRY_RESTORE:
		b->restore.why = 2;
		fill(b->restore.run, 16, 36);
		b->restore.version = some(37);
		b->restore.when = ENTRY_STR("2026-11-21T10:00:00Z");
		break;
	case ENTRY_CLONE:
		b->clone.inode = ENTRY_INODE(1, 5);
		b->clone.version = some(38);
		b->clone.offset = 4096;
		b->clone.length = 1 << 20;
		b->clone.target_offset = 8192;
		break;
	case ENTRY_EXTENTS:
		b->extents.attribution = ENTRY_ANCESTRY;
		b->extents.size = (1ULL << 40) + 1;
		b->extents.n = 3;
		b->extents.v = extents;
		break;
	default:
		break;
	}
}

static void import(struct entry *e)
{
	/* strength, VERSION, SHA-256, str path */
	static const uint8_t item[1 + 32 + 32 + 2 + 1] = {
		[0] = 3, [1] = 7, [33] = 9, [65] = 1, [67] = 'a',
	};
	struct entry_import *b = &e->body.import;

	e->core.inode = ENTRY_INODE(1, 5);
	e->core.version = 3;
	e->core.prev = some(60);
	*b = (struct entry_import){
		.trust = ENTRY_IMPORT_CLAIMED,
		.attribution = ENTRY_HANDLE,
		.version = some(61),
		.seal = 812,
		.source = some(62),
		.source_version = 4,
		.wall_ns = SAMPLE_WALL_NS - 99,
		.sha256 = some(63),
		.origin = ENTRY_STR("elsewhere.example/vol"),
		.path = ENTRY_STR("data/in.csv"),
		.exe = ENTRY_STR("/usr/bin/cp"),
		.argv = ENTRY_STR("cp\\0a\\0b\\0"),
		.n = 1,
		.raw = item,
		.raw_n = sizeof(item),
		.left_out = 2,
	};
	fill(b->volume, 16, 64);
	fill(b->key, 16, 65);
}

static void lineage(struct entry *e)
{
	static const struct entry_read reads[] = {
		{ 3, { { 1 } }, { { 2 } } },
		{ 1, { { 3 } }, { { 0 } } },
	};
	static const struct entry_env env[] = {
		{ { "HOME", 4 }, { { 7 } } },
		{ { "PATH", 4 }, { { 8 } } },
	};
	struct entry_body *b = &e->body;

	e->core.actor = some(40);
	switch (b->kind) {
	case ENTRY_ACTOR:
		b->actor = (struct entry_actor){
			.uid = 1000,
			.gid = 100,
			.tgid = 4242,
			.start = 99,
			.ppid = 1,
			.exe_digest = some(41),
			.dirty = 1,
			.exe = ENTRY_STR("/usr/bin/python3"),
			.argv = ENTRY_STR("python3\\0-c\\0print(\"\\\\\")\\0"),
			.cwd = ENTRY_STR("/mnt/vol"),
			.host = ENTRY_STR("server"),
		};
		fill(b->actor.run, 16, 42);
		fill(b->actor.git, 20, 43);
		break;
	case ENTRY_READS:
		b->reads.previous = some(44);
		b->reads.n = 2;
		b->reads.v = reads;
		break;
	case ENTRY_RUN_START:
		b->run_start = (struct entry_run_start){
			.uid = 1000,
			.gid = 100,
			.dirty = 1,
			.name = ENTRY_STR("nightly"),
			.argv = ENTRY_STR("make\\0all\\0"),
			.cwd = ENTRY_STR("/mnt/vol"),
			.user = ENTRY_STR("ann"),
			.host = ENTRY_STR("server"),
			.policy = ENTRY_STR("default"),
			.n = 2,
			.v = env,
		};
		fill(b->run_start.run, 16, 45);
		fill(b->run_start.git, 20, 46);
		break;
	case ENTRY_RUN_END:
		fill(b->run_end.run, 16, 45);
		b->run_end.start = some(47);
		b->run_end.how = 1;
		b->run_end.status = 2;
		b->run_end.started_ns = SAMPLE_WALL_NS - 1000;
		b->run_end.processes = 12;
		break;
	case ENTRY_ATTEST:
		b->attest.subject = some(48);
		b->attest.what = ENTRY_ATTEST_READ;
		b->attest.item = 1;
		b->attest.digest = some(49);
		break;
	case ENTRY_IMPORT:
		import(e);
		break;
	default:
		break;
	}
}

bool sample_log_entry(struct entry *out, uint16_t kind)
{
	memset(out, 0, sizeof(*out));
	out->core.kind = kind;
	out->core.wall_ns = SAMPLE_WALL_NS + kind;
	out->body.kind = kind;
	if (kind == ENTRY_SNAPSHOT) {
		out->body.snapshot.position = some(50);
		out->body.snapshot.state = some(51);
		out->body.snapshot.name = ENTRY_STR("before-release");
		out->body.snapshot.comment = ENTRY_STR("as shipped");
	} else if (kind >> 8 == 1 && kind <= ENTRY_FREE_ORPHAN) {
		names(out);
	} else if (kind == ENTRY_STREAM_COMMIT) {
		return false;
	} else if (kind >> 8 == 2 && kind <= ENTRY_EXTENTS) {
		content(out);
	} else if (kind >> 8 == 3 && kind <= ENTRY_IMPORT) {
		lineage(out);
	} else if (kind == ENTRY_POLICY || kind == ENTRY_HOLD ||
		   kind == ENTRY_GC) {
		retain(&out->body);
	} else if ((kind >= ENTRY_GENESIS && kind <= ENTRY_NEW_ORIGIN) ||
		   kind == ENTRY_PARAMS || kind == ENTRY_ALERT ||
		   kind == ENTRY_ANCHOR ||
		   (kind >= ENTRY_SCRUB && kind <= ENTRY_REPLICA_REMOVE)) {
		storage(&out->body);
	} else {
		return false;
	}
	return true;
}
