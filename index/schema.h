/*
 * schema.h - the tables of index.db, as SQLite keeps them: text for text.
 *
 * At open the schema found is compared with this one word for word, so that
 * a file somebody edited (a trigger, a view in a table's place) is refused.
 * A change here is a new SCHEMA_VERSION and of man/vouchfs-index.5; older
 * files are then rebuilt from the ledger.
 *
 * Conventions: integers of 64 bits without sign are stored as the signed
 * integer with the same bits; times are nanoseconds since 1970; digests are
 * blobs of 32 bytes; names, paths and arguments are blobs, for they are
 * bytes; NULL stands for a zero digest and for "none".  `no` is an entry's
 * number: seal << 12 | position.
 *
 * Tables have names in the singular, the views for people in the plural
 * (schema_views.h).
 */
#ifndef INDEX_SCHEMA_H
#define INDEX_SCHEMA_H

enum { SCHEMA_VERSION = 7, SCHEMA_APPLICATION = 0x56464958 /* "VFIX" */ };

/* One row: how far the index is, and totals. */
#define SCHEMA_META                                                         \
	"CREATE TABLE meta(id INTEGER PRIMARY KEY, seals INTEGER NOT NULL," \
	" root BLOB NOT NULL, wall_max INTEGER NOT NULL,"                   \
	" files INTEGER NOT NULL, dirs INTEGER NOT NULL,"                   \
	" others INTEGER NOT NULL, bytes INTEGER NOT NULL,"                 \
	" entries INTEGER NOT NULL, rejected INTEGER NOT NULL,"             \
	" versions INTEGER NOT NULL, version_bytes INTEGER NOT NULL,"       \
	" released INTEGER NOT NULL)"

#define SCHEMA_INODE                                                         \
	"CREATE TABLE inode(ino INTEGER PRIMARY KEY, mode INTEGER NOT NULL," \
	" uid INTEGER NOT NULL, gid INTEGER NOT NULL,"                       \
	" rdev INTEGER NOT NULL, nlink INTEGER NOT NULL,"                    \
	" flags INTEGER NOT NULL, size INTEGER NOT NULL,"                    \
	" atime INTEGER NOT NULL, mtime INTEGER NOT NULL,"                   \
	" ctime INTEGER NOT NULL, btime INTEGER NOT NULL,"                   \
	" parent INTEGER NOT NULL, version INTEGER NOT NULL,"                \
	" version_no INTEGER NOT NULL, entry_no INTEGER NOT NULL,"           \
	" next_cookie INTEGER NOT NULL, nchild INTEGER NOT NULL,"            \
	" nxattr INTEGER NOT NULL, last BLOB, version_leaf BLOB,"            \
	" tree_root BLOB, sha256 BLOB, dir_salt BLOB, target BLOB,"          \
	" allocated INTEGER NOT NULL)"

/* Inodes that a start has to look at: orphans, and those with extents. */
#define SCHEMA_UNFINISHED                                  \
	"CREATE TABLE unfinished(ino INTEGER PRIMARY KEY," \
	" flags INTEGER NOT NULL)"

#define SCHEMA_NAME                                                      \
	"CREATE TABLE name(parent INTEGER NOT NULL, name BLOB NOT NULL," \
	" ino INTEGER NOT NULL, cookie INTEGER NOT NULL,"                \
	" since INTEGER NOT NULL, mode INTEGER NOT NULL,"                \
	" PRIMARY KEY(parent, name)) WITHOUT ROWID"
/* Readdir reads this index alone. */
#define SCHEMA_NAME_COOKIE \
	"CREATE INDEX name_cookie ON name(parent, cookie, ino, mode, since)"
#define SCHEMA_NAME_INO "CREATE INDEX name_ino ON name(ino)"

/* Names that are no more: valid in entries since <= no < until. */
#define SCHEMA_NAME_PAST                                                      \
	"CREATE TABLE name_past(parent INTEGER NOT NULL, name BLOB NOT NULL," \
	" until INTEGER NOT NULL, ino INTEGER NOT NULL,"                      \
	" since INTEGER NOT NULL, mode INTEGER NOT NULL,"                     \
	" PRIMARY KEY(parent, name, until)) WITHOUT ROWID"
#define SCHEMA_NAME_PAST_INO \
	"CREATE INDEX name_past_ino ON name_past(ino, until)"

#define SCHEMA_XATTR                                                   \
	"CREATE TABLE xattr(ino INTEGER NOT NULL, name BLOB NOT NULL," \
	" size INTEGER NOT NULL, value BLOB, chunk BLOB,"              \
	" PRIMARY KEY(ino, name)) WITHOUT ROWID"

/* Durable writes that no version has absorbed, in the order of (no, seq). */
#define SCHEMA_EXTENT                                                    \
	"CREATE TABLE extent(ino INTEGER NOT NULL, no INTEGER NOT NULL," \
	" seq INTEGER NOT NULL, off INTEGER NOT NULL,"                   \
	" len INTEGER NOT NULL, chunk_off INTEGER NOT NULL, chunk BLOB," \
	" PRIMARY KEY(ino, no, seq)) WITHOUT ROWID"

#define SCHEMA_SEAL                                                           \
	"CREATE TABLE seal(seal INTEGER PRIMARY KEY, mount INTEGER NOT NULL," \
	" wall INTEGER NOT NULL, wall_max INTEGER NOT NULL,"                  \
	" count INTEGER NOT NULL)"

#define SCHEMA_ENTRY                                                        \
	"CREATE TABLE entry(no INTEGER PRIMARY KEY, kind INTEGER NOT NULL," \
	" inode INTEGER, parent INTEGER, version INTEGER NOT NULL,"         \
	" wall INTEGER NOT NULL, actor INTEGER,"                            \
	" rejected INTEGER NOT NULL, leaf BLOB NOT NULL)"
/* Applied VERSIONs are found through their own table. */
#define SCHEMA_ENTRY_INODE_WHERE "inode IS NOT NULL AND (kind<>513 OR rejected)"
#define SCHEMA_ENTRY_INODE                                   \
	"CREATE INDEX entry_inode ON entry(inode, no, kind)" \
	" WHERE " SCHEMA_ENTRY_INODE_WHERE
/* Entries that changed an inode which is not theirs: replaced by RENAME. */
#define SCHEMA_ENTRY_ALSO                                 \
	"CREATE TABLE entry_also(inode INTEGER NOT NULL," \
	" no INTEGER NOT NULL, PRIMARY KEY(inode, no)) WITHOUT ROWID"

/* released: the GC entry that gave the bytes up; NULL: kept. */
#define SCHEMA_VERSION_TABLE                                      \
	"CREATE TABLE version(ino INTEGER NOT NULL,"              \
	" version INTEGER NOT NULL, no INTEGER NOT NULL,"         \
	" size INTEGER NOT NULL, mtime INTEGER NOT NULL,"         \
	" wall INTEGER NOT NULL, tree_root BLOB, sha256 BLOB,"    \
	" sha256_no INTEGER, actor INTEGER, reads INTEGER,"       \
	" reason INTEGER NOT NULL, attribution INTEGER NOT NULL," \
	" released INTEGER,"                                      \
	" PRIMARY KEY(ino, version)) WITHOUT ROWID"
#define SCHEMA_VERSION_ACTOR                               \
	"CREATE INDEX version_actor ON version(actor, no)" \
	" WHERE actor IS NOT NULL"
#define SCHEMA_VERSION_READS                               \
	"CREATE INDEX version_reads ON version(reads, no)" \
	" WHERE reads IS NOT NULL"

#define SCHEMA_ACTOR                                                     \
	"CREATE TABLE actor(no INTEGER PRIMARY KEY, parent INTEGER,"     \
	" uid INTEGER NOT NULL, gid INTEGER NOT NULL,"                   \
	" tgid INTEGER NOT NULL, start INTEGER NOT NULL,"                \
	" ppid INTEGER NOT NULL, exe BLOB NOT NULL, exe_digest BLOB,"    \
	" exe_digest_no INTEGER, argv BLOB NOT NULL, cwd BLOB NOT NULL," \
	" host BLOB NOT NULL, run BLOB, git BLOB,"                       \
	" dirty INTEGER NOT NULL)"
#define SCHEMA_ACTOR_PARENT                          \
	"CREATE INDEX actor_parent ON actor(parent)" \
	" WHERE parent IS NOT NULL"

#define SCHEMA_ACTOR_RUN \
	"CREATE INDEX actor_run ON actor(run, no) WHERE run IS NOT NULL"

/*
 * What programs ran, by the entry that begins it: a RUN_START, or of a run
 * without one (implicit) its first ACTOR.  name is fit for a path, number
 * counts the runs of that name: NAME.NUMBER is what people call it.  parent:
 * the run that its first process came from.  end_no: its RUN_END.  changed: it
 * entered something that is not about entries or reads alone.
 */
#define SCHEMA_RUN                                             \
	"CREATE TABLE run(no INTEGER PRIMARY KEY,"             \
	" id BLOB NOT NULL, name BLOB NOT NULL,"               \
	" number INTEGER NOT NULL, implicit INTEGER NOT NULL," \
	" uid INTEGER NOT NULL, gid INTEGER NOT NULL,"         \
	" parent INTEGER, started INTEGER NOT NULL,"           \
	" end_no INTEGER, ended INTEGER, how INTEGER,"         \
	" status INTEGER, processes INTEGER,"                  \
	" changed INTEGER NOT NULL DEFAULT 0)"
#define SCHEMA_RUN_ID "CREATE UNIQUE INDEX run_id ON run(id)"
#define SCHEMA_RUN_NAME "CREATE UNIQUE INDEX run_name ON run(name, number)"
#define SCHEMA_RUN_OPEN_WHERE "end_no IS NULL AND NOT implicit"
#define SCHEMA_RUN_OPEN \
	"CREATE INDEX run_open ON run(no) WHERE " SCHEMA_RUN_OPEN_WHERE
/*
 * The seals in which a run did something: so its entries are found without a
 * row for each of them.
 */
#define SCHEMA_RUN_SEAL                                   \
	"CREATE TABLE run_seal(run INTEGER NOT NULL,"     \
	" seal INTEGER NOT NULL, PRIMARY KEY(run, seal))" \
	" WITHOUT ROWID"

/* Chains of what was opened for reading. */
#define SCHEMA_READS                                               \
	"CREATE TABLE reads(no INTEGER PRIMARY KEY, prev INTEGER," \
	" actor INTEGER, count INTEGER NOT NULL)"
#define SCHEMA_READS_PREV \
	"CREATE INDEX reads_prev ON reads(prev) WHERE prev IS NOT NULL"
#define SCHEMA_READS_ACTOR                             \
	"CREATE INDEX reads_actor ON reads(actor, no)" \
	" WHERE actor IS NOT NULL"
#define SCHEMA_READ_ITEM                                             \
	"CREATE TABLE read_item(reads INTEGER NOT NULL,"             \
	" seq INTEGER NOT NULL, target INTEGER, ino INTEGER,"        \
	" version INTEGER, strength INTEGER NOT NULL, content BLOB," \
	" PRIMARY KEY(reads, seq)) WITHOUT ROWID"
#define SCHEMA_READ_ITEM_INO                                    \
	"CREATE INDEX read_item_ino ON read_item(ino, version)" \
	" WHERE ino IS NOT NULL"

/* until: the entry that revoked or replaced the key. */
#define SCHEMA_PUBKEY                                                    \
	"CREATE TABLE pubkey(no INTEGER NOT NULL, seq INTEGER NOT NULL," \
	" mount INTEGER NOT NULL, role INTEGER NOT NULL,"                \
	" key_id BLOB NOT NULL, pub BLOB NOT NULL, name BLOB NOT NULL,"  \
	" until INTEGER, reason INTEGER, suspect_since INTEGER,"         \
	" PRIMARY KEY(no, seq)) WITHOUT ROWID"

/* position: leaf hash of the seal named, NULL: the entry's own place. */
#define SCHEMA_SNAPSHOT                                         \
	"CREATE TABLE snapshot(name BLOB PRIMARY KEY NOT NULL," \
	" no INTEGER NOT NULL, position BLOB, state BLOB,"      \
	" comment BLOB NOT NULL) WITHOUT ROWID"

#define SCHEMA_REPAIR                                                        \
	"CREATE TABLE repair(no INTEGER PRIMARY KEY, what INTEGER NOT NULL," \
	" source INTEGER NOT NULL, target INTEGER NOT NULL, id BLOB,"        \
	" bytes INTEGER NOT NULL, object BLOB NOT NULL)"

#define SCHEMA_REPLICA                                     \
	"CREATE TABLE replica(no INTEGER PRIMARY KEY,"     \
	" number INTEGER NOT NULL, kind INTEGER NOT NULL," \
	" id BLOB NOT NULL, location BLOB NOT NULL, until INTEGER)"

#define SCHEMA_PARAM                                         \
	"CREATE TABLE param(name BLOB PRIMARY KEY NOT NULL," \
	" value BLOB NOT NULL, no INTEGER NOT NULL) WITHOUT ROWID"

/* What may be released: the policy in force has no `until`. */
#define SCHEMA_POLICY                                 \
	"CREATE TABLE policy(no INTEGER PRIMARY KEY," \
	" count INTEGER NOT NULL, until INTEGER)"
/* seconds, versions: NULL when the rule does not count them; both NULL: all. */
#define SCHEMA_POLICY_RULE                                          \
	"CREATE TABLE policy_rule(no INTEGER NOT NULL,"             \
	" seq INTEGER NOT NULL, seconds INTEGER, versions INTEGER," \
	" pattern BLOB NOT NULL, PRIMARY KEY(no, seq)) WITHOUT ROWID"

/* One of ino and pattern; until: the HOLD that lifted it. */
#define SCHEMA_HOLD                                              \
	"CREATE TABLE hold(no INTEGER PRIMARY KEY, ino INTEGER," \
	" pattern BLOB, reason BLOB NOT NULL, until INTEGER,"    \
	" until_reason BLOB)"

/* versions: that it released; bytes: as it says. */
#define SCHEMA_GC                                                 \
	"CREATE TABLE gc(no INTEGER PRIMARY KEY, policy INTEGER," \
	" versions INTEGER NOT NULL, bytes INTEGER NOT NULL)"

/* type, name, table it belongs to, text; in the order they are made */
#define SCHEMA_TABLES(X)                                               \
	X("table", "meta", "meta", SCHEMA_META)                        \
	X("table", "inode", "inode", SCHEMA_INODE)                     \
	X("table", "unfinished", "unfinished", SCHEMA_UNFINISHED)      \
	X("table", "name", "name", SCHEMA_NAME)                        \
	X("index", "name_cookie", "name", SCHEMA_NAME_COOKIE)          \
	X("index", "name_ino", "name", SCHEMA_NAME_INO)                \
	X("table", "name_past", "name_past", SCHEMA_NAME_PAST)         \
	X("index", "name_past_ino", "name_past", SCHEMA_NAME_PAST_INO) \
	X("table", "xattr", "xattr", SCHEMA_XATTR)                     \
	X("table", "extent", "extent", SCHEMA_EXTENT)                  \
	X("table", "seal", "seal", SCHEMA_SEAL)                        \
	X("table", "entry", "entry", SCHEMA_ENTRY)                     \
	X("index", "entry_inode", "entry", SCHEMA_ENTRY_INODE)         \
	X("table", "entry_also", "entry_also", SCHEMA_ENTRY_ALSO)      \
	X("table", "version", "version", SCHEMA_VERSION_TABLE)         \
	X("index", "version_actor", "version", SCHEMA_VERSION_ACTOR)   \
	X("index", "version_reads", "version", SCHEMA_VERSION_READS)   \
	X("table", "actor", "actor", SCHEMA_ACTOR)                     \
	X("index", "actor_parent", "actor", SCHEMA_ACTOR_PARENT)       \
	X("index", "actor_run", "actor", SCHEMA_ACTOR_RUN)             \
	X("table", "run", "run", SCHEMA_RUN)                           \
	X("index", "run_id", "run", SCHEMA_RUN_ID)                     \
	X("index", "run_name", "run", SCHEMA_RUN_NAME)                 \
	X("index", "run_open", "run", SCHEMA_RUN_OPEN)                 \
	X("table", "run_seal", "run_seal", SCHEMA_RUN_SEAL)            \
	X("table", "reads", "reads", SCHEMA_READS)                     \
	X("index", "reads_prev", "reads", SCHEMA_READS_PREV)           \
	X("index", "reads_actor", "reads", SCHEMA_READS_ACTOR)         \
	X("table", "read_item", "read_item", SCHEMA_READ_ITEM)         \
	X("index", "read_item_ino", "read_item", SCHEMA_READ_ITEM_INO) \
	X("table", "pubkey", "pubkey", SCHEMA_PUBKEY)                  \
	X("table", "snapshot", "snapshot", SCHEMA_SNAPSHOT)            \
	X("table", "repair", "repair", SCHEMA_REPAIR)                  \
	X("table", "replica", "replica", SCHEMA_REPLICA)               \
	X("table", "param", "param", SCHEMA_PARAM)                     \
	X("table", "policy", "policy", SCHEMA_POLICY)                  \
	X("table", "policy_rule", "policy_rule", SCHEMA_POLICY_RULE)   \
	X("table", "hold", "hold", SCHEMA_HOLD)                        \
	X("table", "gc", "gc", SCHEMA_GC)

#endif
