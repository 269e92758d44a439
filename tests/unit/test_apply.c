/*
 * test_apply.c - the rules of apply(), one by one, over rows in memory.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ledger/entry.h"
#include "tests/sim/state_mem.h"

static struct state_mem m;
static uint64_t no, counter;
static const char *why;

/* Applies e as a committed entry whose prev is right unless it is set. */
static int put(struct entry *e)
{
	struct apply_options o = { .entry_no = ++no };
	struct inode_row *row = NULL;
	struct digest leaf;

	digest_sha256(&leaf, &no, sizeof(no));
	o.leaf = &leaf;
	e->body.kind = e->core.kind;
	e->core.wall_ns = (int64_t)no;
	if (state_mem_ops.inode_get(&m, &row, e->core.inode) > 0) {
		if (digest_is_zero(&e->core.prev))
			e->core.prev = row->last;
		if (!e->core.version)
			e->core.version =
				row->version + (e->core.kind == ENTRY_VERSION);
	}
	return apply(&m, &state_mem_ops, e, &o, &why);
}

static struct inode_row *row_of(uint64_t ino)
{
	struct inode_row *row = NULL;

	return state_mem_ops.inode_get(&m, &row, ino) > 0 ? row : NULL;
}

static uint64_t ino_of(uint64_t parent, const char *name)
{
	struct name_row row;

	return state_mem_ops.name_get(&m, &row, parent, name,
				      (uint16_t)strlen(name)) > 0 ?
		       row.ino :
		       0;
}

static struct entry create(uint64_t parent, const char *name, uint8_t dtype)
{
	struct entry e = { .core = { .kind = ENTRY_CREATE,
				     .inode = ENTRY_INODE(1, ++counter),
				     .parent = parent } };

	e.body.create.dtype = dtype;
	e.body.create.mode = 0644;
	e.body.create.name = ENTRY_STR(name);
	return e;
}

static uint64_t make(uint64_t parent, const char *name, uint8_t dtype)
{
	struct entry e = create(parent, name, dtype);

	if (dtype == DT_LNK)
		e.body.create.target = ENTRY_STR("t");
	cr_assert_eq(put(&e), 1, "%s: %s", name, why);
	return e.core.inode;
}

static int unlink_at(uint64_t parent, const char *name, uint8_t flags)
{
	struct entry e = { .core = { .kind = ENTRY_UNLINK,
				     .inode = ino_of(parent, name),
				     .parent = parent } };

	e.body.link.flags = flags;
	e.body.link.name = ENTRY_STR(name);
	return put(&e);
}

static int link_at(uint64_t ino, uint64_t parent, const char *name)
{
	struct entry e = {
		.core = { .kind = ENTRY_LINK, .inode = ino, .parent = parent }
	};

	e.body.link.name = ENTRY_STR(name);
	return put(&e);
}

static int rename_at(uint64_t p1, const char *a, uint64_t p2, const char *b,
		     uint8_t flags)
{
	struct entry e = { .core = { .kind = ENTRY_RENAME,
				     .inode = ino_of(p1, a),
				     .parent = p1 } };

	e.body.rename.flags = flags;
	e.body.rename.new_parent = p2;
	e.body.rename.replaced = ino_of(p2, b);
	e.body.rename.old_name = ENTRY_STR(a);
	e.body.rename.new_name = ENTRY_STR(b);
	return put(&e);
}

static void begin(void)
{
	struct entry e = { .core = { .kind = ENTRY_SETATTR,
				     .inode = STATE_ROOT_INO } };

	state_mem_init(&m);
	no = counter = 0;
	e.body.setattr.mask = ENTRY_ATTR_MODE | ENTRY_ATTR_GID;
	e.body.setattr.mode = 01777;
	e.body.setattr.gid = 5;
	cr_assert_eq(put(&e), 1);
}

static void end(void)
{
	const char *broken = state_mem_check(&m);

	cr_assert_null(broken, "%s", broken);
	state_mem_release(&m);
}

TestSuite(apply, .init = begin, .fini = end);

Test(apply, the_first_setattr_of_inode_1_makes_the_root)
{
	struct inode_row *root = row_of(STATE_ROOT_INO);

	cr_assert_eq(root->mode, 0041777);
	cr_assert_eq(root->gid, 5);
	cr_assert_eq(root->nlink, 2);
	cr_assert_eq(root->parent, STATE_ROOT_INO);
	cr_assert_eq(root->next_cookie, 3);
}

Test(apply, create_may_make_the_root_with_its_salt)
{
	struct entry e = create(0, "", DT_DIR);

	state_mem_release(&m);
	e.core.inode = STATE_ROOT_INO;
	e.body.create.has_dir_salt = true;
	e.body.create.dir_salt[0] = 7;
	cr_assert_eq(put(&e), 1, "%s", why);
	cr_assert_eq(row_of(1)->dir_salt[0], 7);
	cr_assert_eq(row_of(1)->flags, INODE_HAS_DIR_SALT);
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 0, "only once");
}

Test(apply, create_gives_cookies_in_order_and_counts_links)
{
	uint64_t d = make(1, "d", DT_DIR), f = make(1, "f", DT_REG);
	struct name_row row;

	cr_assert_eq(state_mem_ops.name_get(&m, &row, 1, "f", 1), 1);
	cr_assert_eq(row.cookie, 4);
	cr_assert_eq(row.mode, 0100000);
	cr_assert_eq(row_of(1)->nlink, 3);
	cr_assert_eq(row_of(1)->nchild, 2);
	cr_assert_eq(row_of(1)->mtime_ns, (int64_t)no);
	cr_assert_eq(row_of(d)->nlink, 2);
	cr_assert_eq(row_of(f)->nlink, 1);
	cr_assert_eq(row_of(f)->btime_ns, (int64_t)no);
	cr_assert_eq(row_of(f)->entry_no, no);
}

Test(apply, create_refuses_what_cannot_be)
{
	uint64_t f = make(1, "f", DT_REG);
	struct entry e = create(1, "f", DT_REG);

	cr_assert_eq(put(&e), 0);
	cr_assert_str_eq(why, "name exists");
	e = create(f, "x", DT_REG);
	cr_assert_eq(put(&e), 0, "a file is no parent");
	e = create(99, "x", DT_REG);
	cr_assert_eq(put(&e), 0, "nor is nothing");
	e = create(1, "..", DT_REG);
	cr_assert_eq(put(&e), 0);
	e = create(1, "a/b", DT_REG);
	cr_assert_eq(put(&e), 0);
	e = create(1, "", DT_REG);
	cr_assert_eq(put(&e), 0);
	e = create(1, "x", 3);
	cr_assert_eq(put(&e), 0, "no such type");
	e = create(1, "x", DT_LNK);
	cr_assert_eq(put(&e), 0, "no target");
	e = create(1, "x", DT_REG);
	e.core.inode = 7;
	cr_assert_eq(put(&e), 0, "the root's mount makes no inodes");
	e.core.inode = ENTRY_INODE((1 << 23) - 1, 1);
	cr_assert_eq(put(&e), 0, "nor does that of virtual nodes");
	e.core.inode = f;
	e.core.prev = (struct digest){ 0 };
	cr_assert_eq(put(&e), 0, "the inode exists");
	e = create(1, "x", DT_REG);
	e.core.version = 1;
	cr_assert_eq(put(&e), 0);
}

Test(apply, an_unnamed_file_is_an_orphan_until_it_is_linked)
{
	struct entry e = create(0, "", DT_REG);

	cr_assert_eq(put(&e), 1, "%s", why);
	cr_assert_eq(row_of(e.core.inode)->nlink, 0);
	cr_assert_eq(row_of(e.core.inode)->flags, INODE_ORPHAN);
	cr_assert_eq(link_at(e.core.inode, 1, "now"), 1);
	cr_assert_eq(row_of(e.core.inode)->nlink, 1);
	cr_assert_eq(row_of(e.core.inode)->flags, 0);
	e = create(0, "", DT_DIR);
	cr_assert_eq(put(&e), 0, "files alone");
}

Test(apply, unlink_leaves_an_orphan_or_frees_it)
{
	struct entry e = { .core = { .kind = ENTRY_FREE_ORPHAN } };
	uint64_t a = make(1, "a", DT_REG), b = make(1, "b", DT_REG);

	cr_assert_eq(link_at(a, 1, "a2"), 1);
	cr_assert_eq(unlink_at(1, "a", ENTRY_UNLINK_FREED), 1);
	cr_assert_eq(row_of(a)->nlink, 1, "it has another name");
	cr_assert_eq(unlink_at(1, "a2", ENTRY_UNLINK_FREED), 1);
	cr_assert_null(row_of(a));
	e.core.inode = b;
	cr_assert_eq(put(&e), 0, "it has a name");
	cr_assert_eq(unlink_at(1, "b", 0), 1);
	cr_assert_eq(row_of(b)->flags, INODE_ORPHAN);
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 1, "%s", why);
	cr_assert_null(row_of(b));
	cr_assert_eq(row_of(1)->nchild, 0);
}

Test(apply, rmdir_wants_an_empty_directory_and_the_flag)
{
	uint64_t d = make(1, "d", DT_DIR);

	(void)make(d, "f", DT_REG);
	cr_assert_eq(unlink_at(1, "d", ENTRY_UNLINK_RMDIR), 0);
	cr_assert_str_eq(why, "directory is not empty");
	cr_assert_eq(unlink_at(d, "f", ENTRY_UNLINK_RMDIR), 0);
	cr_assert_eq(unlink_at(d, "f", 0), 1);
	cr_assert_eq(unlink_at(1, "d", 0), 0);
	cr_assert_eq(unlink_at(1, "d", ENTRY_UNLINK_RMDIR), 1);
	cr_assert_eq(row_of(1)->nlink, 2);
	cr_assert_eq(row_of(d)->nlink, 0);
	cr_assert_eq(link_at(make(1, "x", DT_REG), d, "y"), 0,
		     "a removed directory gets no names");
}

Test(apply, rename_gives_a_new_cookie_in_another_directory_alone)
{
	uint64_t d = make(1, "d", DT_DIR), e = make(1, "e", DT_DIR);
	uint64_t s = make(d, "s", DT_DIR);
	struct name_row row;

	cr_assert_eq(rename_at(d, "s", e, "t", 0), 1, "%s", why);
	cr_assert_eq(ino_of(d, "s"), 0);
	cr_assert_eq(ino_of(e, "t"), s);
	cr_assert_eq(row_of(s)->parent, e);
	cr_assert_eq(row_of(d)->nlink, 2);
	cr_assert_eq(row_of(e)->nlink, 3);
	cr_assert_eq(rename_at(e, "t", e, "u", 0), 1);
	cr_assert_eq(state_mem_ops.name_get(&m, &row, e, "u", 1), 1);
	cr_assert_eq(row.cookie, 3, "it stays where it is listed");
	cr_assert_eq(row.since, no);
	cr_assert_eq(rename_at(e, "u", d, "w", 0), 1);
	cr_assert_eq(state_mem_ops.name_get(&m, &row, d, "w", 1), 1);
	cr_assert_eq(row.cookie, 4, "behind where s was");
	cr_assert_eq(row.since, no);
}

Test(apply, rename_refuses_what_rename_2_does)
{
	uint64_t d = make(1, "d", DT_DIR), s = make(d, "s", DT_DIR);
	uint64_t f = make(1, "f", DT_REG);

	cr_assert_eq(rename_at(1, "d", s, "in", 0), 0);
	cr_assert_str_eq(why, "moved below itself");
	cr_assert_eq(rename_at(1, "d", d, "in", 0), 0);
	cr_assert_eq(rename_at(1, "f", 1, "d", 0), 0, "file over directory");
	cr_assert_eq(rename_at(1, "d", 1, "f", 0), 0, "directory over file");
	(void)make(1, "e", DT_DIR);
	cr_assert_eq(rename_at(1, "e", 1, "d", 0), 0, "it is not empty");
	cr_assert_eq(rename_at(1, "f", 1, "f", 0), 0, "one name");
	cr_assert_eq(link_at(f, 1, "g"), 1);
	cr_assert_eq(rename_at(1, "f", 1, "g", 0), 0, "one inode");
	cr_assert_eq(rename_at(1, "f", 1, "no", ENTRY_RENAME_EXCHANGE), 0);
	cr_assert_eq(rename_at(d, "s", 1, "d", ENTRY_RENAME_EXCHANGE), 0,
		     "with its own parent");
}

Test(apply, rename_over_a_name_takes_its_link)
{
	uint64_t a = make(1, "a", DT_REG), b = make(1, "b", DT_REG);
	uint64_t d = make(1, "d", DT_DIR), e = make(1, "e", DT_DIR);

	cr_assert_eq(rename_at(1, "a", 1, "b", ENTRY_RENAME_FREED), 1);
	cr_assert_null(row_of(b));
	cr_assert_eq(ino_of(1, "b"), a);
	cr_assert_eq(rename_at(1, "d", 1, "e", 0), 1);
	cr_assert_eq(row_of(e)->flags, INODE_ORPHAN);
	cr_assert_eq(row_of(1)->nlink, 3);
	cr_assert_eq(ino_of(1, "e"), d);
}

/* A listing shows what is replaced once, whenever that happens. */
Test(apply, a_replaced_name_keeps_its_cookie)
{
	uint64_t d = make(1, "d", DT_DIR);
	struct name_row row;

	(void)make(1, "a", DT_REG);
	(void)make(1, "b", DT_REG);
	(void)make(d, "c", DT_REG);
	cr_assert_eq(rename_at(1, "b", 1, "a", 0), 1);
	cr_assert_eq(state_mem_ops.name_get(&m, &row, 1, "a", 1), 1);
	cr_assert_eq(row.cookie, 4);
	cr_assert_eq(rename_at(d, "c", 1, "a", 0), 1);
	cr_assert_eq(state_mem_ops.name_get(&m, &row, 1, "a", 1), 1);
	cr_assert_eq(row.cookie, 4);
	cr_assert_eq(row_of(1)->next_cookie, 6);
}

Test(apply, exchange_keeps_the_cookies)
{
	uint64_t d = make(1, "d", DT_DIR), f = make(1, "f", DT_REG);
	uint64_t s = make(d, "s", DT_DIR);
	struct name_row row;

	cr_assert_eq(rename_at(1, "f", d, "s", ENTRY_RENAME_EXCHANGE), 1, "%s",
		     why);
	cr_assert_eq(ino_of(1, "f"), s);
	cr_assert_eq(ino_of(d, "s"), f);
	cr_assert_eq(row_of(1)->nlink, 4);
	cr_assert_eq(row_of(d)->nlink, 2);
	cr_assert_eq(row_of(s)->parent, 1);
	cr_assert_eq(row_of(f)->parent, d);
	cr_assert_eq(state_mem_ops.name_get(&m, &row, 1, "f", 1), 1);
	cr_assert_eq(row.cookie, 4);
	cr_assert_eq(row.mode, 0040000);
}

static int version_of(uint64_t ino, uint64_t version, uint64_t size)
{
	struct entry e = { .core = { .kind = ENTRY_VERSION,
				     .inode = ino,
				     .version = version } };

	e.body.version.size = size;
	e.body.version.mtime_ns = 5;
	e.body.version.tree_root.b[0] = (uint8_t)size;
	if (size == 7) {
		e.body.version.flags = ENTRY_VERSION_SHA256;
		e.body.version.sha256.b[0] = 9;
	}
	return put(&e);
}

Test(apply, a_version_is_current_plus_1_and_absorbs_extents)
{
	struct entry e = { .core = { .kind = ENTRY_EXTENTS } };
	struct entry_extent x = { .offset = 10, .length = 20 };
	uint64_t f = make(1, "f", DT_REG), d = make(1, "d", DT_DIR);
	int64_t ctime;

	e.core.inode = f;
	e.body.extents.size = 30;
	e.body.extents.n = 1;
	e.body.extents.v = &x;
	cr_assert_eq(put(&e), 1, "%s", why);
	cr_assert_eq(row_of(f)->size, 30);
	cr_assert_eq(row_of(f)->flags, INODE_HAS_EXTENTS);
	cr_assert_eq(row_of(f)->version, 0);
	cr_assert_eq(m.n_extents, 1);
	cr_assert_eq(version_of(f, 2, 7), 0, "2 does not follow 0");
	cr_assert_eq(version_of(f, 1, 7), 1, "%s", why);
	cr_assert_eq(m.n_extents, 0);
	cr_assert_eq(row_of(f)->flags, INODE_HAS_SHA256);
	cr_assert_eq(row_of(f)->sha256.b[0], 9);
	cr_assert_eq(row_of(f)->version_no, no);
	cr_assert_eq(row_of(f)->mtime_ns, 5);
	ctime = row_of(f)->ctime_ns;
	cr_assert_eq(version_of(f, 2, 7), 1);
	cr_assert_eq(row_of(f)->ctime_ns, ctime, "nothing changed");
	cr_assert_eq(version_of(f, 3, 8), 1);
	cr_assert_neq(row_of(f)->ctime_ns, ctime);
	cr_assert_eq(row_of(f)->flags, 0, "the old digest is not the new one");
	cr_assert_eq(version_of(d, 1, 8), 0);
	cr_assert_eq(version_of(f, 4, 1ULL << 63), 0);
	e.core.inode = f;
	e.core.prev = digest_zero;
	x.offset = LIMIT_FILE_SIZE - 19;
	cr_assert_eq(put(&e), 0, "beyond the largest file");
}

Test(apply, a_version_says_what_is_allocated)
{
	struct entry e = { .core = { .kind = ENTRY_VERSION, .version = 1 } };
	uint8_t tlv[ENTRY_ALLOCATED_MAX];
	uint64_t f = make(1, "f", DT_REG);

	e.core.inode = f;
	e.body.version.size = 100000;
	e.body.extra.p = tlv;
	e.body.extra.n = entry_version_allocated_put(tlv, 100000, 8192);
	cr_assert_eq(put(&e), 1, "%s", why);
	cr_assert_eq(row_of(f)->allocated, 8192);
	cr_assert_eq(version_of(f, 2, 7), 1);
	cr_assert_eq(row_of(f)->allocated, 7, "no holes are told of");
}

Test(apply, a_digest_is_of_the_current_version_or_of_none)
{
	struct entry e = { .core = { .kind = ENTRY_DIGEST } };
	uint64_t f = make(1, "f", DT_REG);
	struct digest old;

	cr_assert_eq(version_of(f, 1, 3), 1);
	old = row_of(f)->version_leaf;
	cr_assert_eq(version_of(f, 2, 4), 1);
	e.core.inode = f;
	e.body.digest.version = old;
	e.body.digest.sha256.b[0] = 1;
	cr_assert_eq(put(&e), 1);
	cr_assert_eq(row_of(f)->flags, 0);
	e.core.prev = digest_zero;
	e.body.digest.version = row_of(f)->version_leaf;
	cr_assert_eq(put(&e), 1);
	cr_assert_eq(row_of(f)->flags, INODE_HAS_SHA256);
}

Test(apply, prev_must_be_the_last_applied_entry)
{
	struct entry e = { .core = { .kind = ENTRY_SETATTR } };
	struct apply_options local = { .entry_no = 0 };
	uint64_t f = make(1, "f", DT_REG), before = row_of(f)->entry_no;

	e.core.inode = f;
	e.core.prev.b[0] = 1;
	e.body.setattr.mask = ENTRY_ATTR_UID;
	e.body.setattr.uid = 3;
	cr_assert_eq(put(&e), 0);
	cr_assert_str_eq(why, "prev is not the inode's last entry");
	cr_assert_eq(row_of(f)->uid, 0);
	cr_assert_eq(apply(&m, &state_mem_ops, &e, &local, &why), 1,
		     "not hashed yet: not looked at");
	cr_assert_eq(row_of(f)->uid, 3);
	cr_assert_eq(row_of(f)->entry_no, before, "nor changed");
}

Test(apply, setattr_keeps_the_type)
{
	struct entry e = { .core = { .kind = ENTRY_SETATTR } };
	uint64_t f = make(1, "f", DT_REG);

	e.core.inode = f;
	e.body.setattr.mask = ENTRY_ATTR_MODE | ENTRY_ATTR_CTIME;
	e.body.setattr.mode = 04755;
	e.body.setattr.ctime_ns = -3;
	cr_assert_eq(put(&e), 1);
	cr_assert_eq(row_of(f)->mode, 0104755);
	cr_assert_eq(row_of(f)->ctime_ns, -3);
	e.core.prev = digest_zero;
	e.body.setattr.mode = 0040755;
	cr_assert_eq(put(&e), 0);
}

Test(apply, xattrs_are_counted)
{
	struct entry e = { .core = { .kind = ENTRY_SETXATTR } };
	uint64_t f = make(1, "f", DT_REG);

	e.core.inode = f;
	e.body.setxattr.name = ENTRY_STR("user.a");
	e.body.setxattr.value = (const uint8_t *)"v";
	e.body.setxattr.value_n = 1;
	cr_assert_eq(put(&e), 1);
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 1, "replaced");
	cr_assert_eq(row_of(f)->nxattr, 1);
	e.core.kind = ENTRY_RMXATTR;
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 1);
	cr_assert_eq(row_of(f)->nxattr, 0);
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 0, "there is none");
	cr_assert_eq(m.n_xattrs, 0);
}

Test(apply, kinds_it_does_not_know)
{
	struct entry e = { .core = { .kind = 0x0777 } };
	uint64_t f = make(1, "f", DT_REG);

	cr_assert_eq(put(&e), -ERR_NEWER);
	e.core.kind = 0x8001;
	e.body.opaque = true;
	cr_assert_eq(put(&e), 1);
	e.core.inode = f;
	cr_assert_eq(put(&e), 1, "takes its place in the inode's entries");
	cr_assert_eq(row_of(f)->entry_no, no);
	e.core.inode = 12345;
	cr_assert_eq(put(&e), 0);
	e.core.kind = ENTRY_VERSION;
	e.core.inode = 0;
	cr_assert_eq(put(&e), 0);
}

Test(apply, a_redacted_body_keeps_the_chain_whole)
{
	struct entry e = { .state = ENTRY_REDACTED };
	uint64_t f = make(1, "f", DT_REG);

	e.body.opaque = true;
	e.core.kind = ENTRY_SETATTR;
	e.core.inode = f;
	cr_assert_eq(put(&e), 1);
	cr_assert_eq(row_of(f)->entry_no, no);
	e.core.kind = ENTRY_VERSION;
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 1, "%s", why);
	cr_assert_eq(row_of(f)->version, 1);
	cr_assert(digest_is_zero(&row_of(f)->tree_root));
	e.core.kind = ENTRY_CREATE;
	e.core.inode = ENTRY_INODE(1, ++counter);
	e.core.version = 0;
	e.core.prev = digest_zero;
	cr_assert_eq(put(&e), 0);
}
