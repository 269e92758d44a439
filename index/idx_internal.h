/*
 * idx_internal.h - what the files of the applier share: the object, its
 * statements, its row cache.
 */
#ifndef INDEX_IDX_INTERNAL_H
#define INDEX_IDX_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "index/db.h"
#include "index/idx.h"
#include "index/leaves.h"
#include "index/state.h"

#define IDX_INODE_COLUMNS                                                 \
	"ino,mode,uid,gid,rdev,nlink,flags,size,atime,mtime,ctime,btime," \
	"parent,version,version_no,entry_no,next_cookie,nchild,nxattr,"   \
	"last,version_leaf,tree_root,sha256,dir_salt,target,allocated"

/* The applier's statements. */
#define IDX_STATEMENTS(X)                                                    \
	X(INODE_GET, "SELECT " IDX_INODE_COLUMNS " FROM inode WHERE ino=?")  \
	X(INODE_PUT, "REPLACE INTO inode(" IDX_INODE_COLUMNS ") VALUES("     \
		     "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)") \
	X(INODE_MAX, "SELECT max(ino) FROM inode")                           \
	X(INODE_DEL, "DELETE FROM inode WHERE ino=?")                        \
	X(UNFINISHED_PUT, "REPLACE INTO unfinished VALUES(?,?)")             \
	X(UNFINISHED_DEL, "DELETE FROM unfinished WHERE ino=?")              \
	X(NAME_GET, "SELECT ino,cookie,since,mode FROM name"                 \
		    " WHERE parent=? AND name=?")                            \
	X(NAME_ADD, "INSERT INTO name(parent,name,ino,cookie,since,mode)"    \
		    " VALUES(?,?,?,?,?,?)")                                  \
	X(NAME_DEL, "DELETE FROM name WHERE parent=? AND name=?")            \
	X(NAME_TO_PAST,                                                      \
	  "INSERT INTO name_past(parent,name,until,ino,since,mode)"          \
	  " SELECT parent,name,?3,ino,since,mode FROM name"                  \
	  " WHERE parent=?1 AND name=?2")                                    \
	X(XATTR_HAS, "SELECT 1 FROM xattr WHERE ino=? AND name=?")           \
	X(XATTR_PUT, "REPLACE INTO xattr VALUES(?,?,?,?,?)")                 \
	X(XATTR_DEL, "DELETE FROM xattr WHERE ino=? AND name=?")             \
	X(XATTR_CLEAR, "DELETE FROM xattr WHERE ino=?")                      \
	X(EXTENT_ADD, "INSERT INTO extent VALUES(?,?,?,?,?,?,?)")            \
	X(EXTENT_CLEAR, "DELETE FROM extent WHERE ino=?")                    \
	X(SEAL_ADD, "INSERT INTO seal VALUES(?,?,?,?,?)")                    \
	X(ENTRY_ADD, "INSERT INTO entry VALUES(?,?,?,?,?,?,?,?,?)")          \
	X(ENTRY_LEAF, "SELECT leaf,kind,inode,version,rejected FROM entry"   \
		      " WHERE no=?")                                         \
	X(ALSO_ADD, "INSERT OR IGNORE INTO entry_also VALUES(?,?)")          \
	X(VERSION_ADD,                                                       \
	  "INSERT INTO version VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,NULL)")      \
	X(VERSION_RELEASE, "UPDATE version SET released=?4 WHERE ino=?1"     \
			   " AND version>=?2 AND version<=?3"                \
			   " AND released IS NULL")                          \
	X(VERSION_SHA, "UPDATE version SET sha256=?3, sha256_no=?4"          \
		       " WHERE ino=?1 AND version=?2 AND sha256 IS NULL")    \
	X(ACTOR_ADD, "INSERT INTO actor VALUES"                              \
		     "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")                    \
	X(ACTOR_EXE, "UPDATE actor SET exe_digest=?2, exe_digest_no=?3"      \
		     " WHERE no=?1 AND exe_digest IS NULL")                  \
	X(RUN_OF_ID, "SELECT no FROM run WHERE id=?")                        \
	X(RUN_OF_ACTOR, "SELECT r.no FROM actor a JOIN run r ON r.id=a.run"  \
			" WHERE a.no=?")                                     \
	X(RUN_ADD, "INSERT INTO run(no,id,name,number,implicit,uid,gid,"     \
		   "parent,started) VALUES(?1,?2,?3,(SELECT"                 \
		   " coalesce(max(number),0)+1 FROM run WHERE name=?3),"     \
		   "?4,?5,?6,?7,?8)")                                        \
	X(RUN_END, "UPDATE run SET end_no=?3, ended=?4, how=?5, status=?6,"  \
		   " processes=?7 WHERE no=?1 AND id=?2"                     \
		   " AND end_no IS NULL")                                    \
	X(RUN_CHANGED, "UPDATE run SET changed=1 WHERE no=?")                \
	X(RUN_SEAL_ADD, "INSERT OR IGNORE INTO run_seal VALUES(?,?)")        \
	X(READS_ADD, "INSERT INTO reads VALUES(?,?,?,?)")                    \
	X(READ_ITEM_ADD, "INSERT INTO read_item VALUES(?,?,?,?,?,?,?)")      \
	X(READ_ITEM_CONTENT, "UPDATE read_item SET content=?3"               \
			     " WHERE reads=?1 AND seq=?2"                    \
			     " AND content IS NULL")                         \
	X(PUBKEY_ADD, "INSERT INTO pubkey VALUES"                            \
		      "(?,?,?,?,?,?,?,NULL,NULL,NULL)")                      \
	X(PUBKEY_END, "UPDATE pubkey SET until=?2, reason=?3,"               \
		      " suspect_since=?4 WHERE key_id=?1 AND until IS NULL") \
	X(SNAPSHOT_PUT, "REPLACE INTO snapshot VALUES(?,?,?,?,?)")           \
	X(SNAPSHOT_DEL, "DELETE FROM snapshot WHERE name=?")                 \
	X(REPAIR_ADD, "INSERT INTO repair VALUES(?,?,?,?,?,?,?)")            \
	X(REPLICA_ADD, "INSERT INTO replica VALUES(?,?,?,?,?,NULL)")         \
	X(REPLICA_END, "UPDATE replica SET until=?2"                         \
		       " WHERE number=?1 AND until IS NULL")                 \
	X(PARAM_PUT, "REPLACE INTO param VALUES(?,?,?)")                     \
	X(POLICY_END, "UPDATE policy SET until=?1 WHERE until IS NULL")      \
	X(POLICY_ADD, "INSERT INTO policy VALUES(?,?,NULL)")                 \
	X(RULE_ADD, "INSERT INTO policy_rule VALUES(?,?,?,?,?)")             \
	X(HOLD_ADD, "INSERT INTO hold VALUES(?,?,?,?,NULL,NULL)")            \
	X(HOLD_END, "UPDATE hold SET until=?2, until_reason=?3"              \
		    " WHERE no=?1 AND until IS NULL")                        \
	X(GC_ADD, "INSERT INTO gc VALUES(?,?,?,?)")                          \
	X(META_GET, "SELECT seals,root,wall_max,files,dirs,others,bytes,"    \
		    "entries,rejected,versions,version_bytes,released"       \
		    " FROM meta"                                             \
		    " WHERE id=1")                                           \
	X(META_PUT, "UPDATE meta SET seals=?,root=?,wall_max=?,files=?,"     \
		    "dirs=?,others=?,bytes=?,entries=?,rejected=?,"          \
		    "versions=?,version_bytes=?,released=? WHERE id=1")

enum idx_statement {
#define X(id, sql) IDX_S_##id,
	IDX_STATEMENTS(X)
#undef X
		IDX_STATEMENTS_N
};

/* The meta row. */
struct idx_meta {
	uint64_t seals;
	struct digest root;
	int64_t wall_max;
	/* files: regular; dirs; others; bytes: sum of the sizes of files */
	int64_t files, dirs, others, bytes;
	int64_t entries, rejected, versions, version_bytes, released;
};

/* An inode as the batch sees it, and as the table has it. */
struct idx_row {
	struct inode_row row; /* first: the keeper hands out &row */
	bool live;	      /* exists for the batch */
	bool dirty;	      /* differs from the table */
	bool was_live;
	uint32_t was_mode, was_flags;
	uint64_t was_size;
};

/* Rows by inode number, open addressing; see idx_rows.c. */
struct idx_rows {
	struct idx_row **slot;
	size_t cap, n; /* cap: power of two; n counts filled slots */
	struct idx_row **dirty;
	size_t n_dirty, cap_dirty;
	uint64_t ino_max; /* none in the table or the batch is larger */
};

enum { IDX_ACTORS = 256, IDX_RUNS = 64 };

struct idx {
	sqlite3 *db;
	sqlite3_stmt *s[IDX_STATEMENTS_N];
	struct leaves *leaves;
	struct idx_rows rows;
	struct idx_meta meta; /* as of now in the batch, else as stored */
	bool read_only;
	bool in_batch;
	bool in_seal;
	uint64_t seal;	     /* of the entries being applied */
	uint32_t seal_mount; /* of that seal */
	int64_t seal_wall;
	uint32_t seal_count, seal_left;
	uint64_t entry_no; /* being applied: where names end */
	uint64_t puts;	   /* into leaves since its last flush */
	/* Actors named lately: leaf -> entry_no, and its run. */
	struct idx_actor_ref {
		struct digest leaf;
		uint64_t no;
		uint64_t run; /* 0: none */
	} actors[IDX_ACTORS];
	/* Runs that have their row of run_seal for this seal, or are changed. */
	struct {
		uint64_t run, seal;
		bool changed;
	} runs[IDX_RUNS];
};

/*
 * Fills *out from the columns that INODE_GET has, the first of which is
 * column c; caller frees out->target.
 */
int must_use idx_row_read(sqlite3_stmt *s, int c, struct inode_row *out);

extern const struct state_ops idx_rows_ops; /* st is a struct idx */
int must_use idx_rows_init(struct idx *x);
int must_use idx_rows_flush(struct idx *x);
void idx_rows_forget(struct idx *x); /* drops every row */
/* Drops clean rows when there are many. */
void idx_rows_trim(struct idx *x);

/*
 * Entry that a leaf hash names, among those applied: 1 found, 0 not.  Any of
 * the outputs may be NULL.
 */
struct idx_ref {
	uint64_t no, inode, version;
	uint16_t kind;
	bool rejected;
};
int must_use idx_ref_find(struct idx *x, const struct digest *leaf,
			  struct idx_ref *out);

/* What an applied entry adds beyond the namespace. */
int must_use idx_record(struct idx *x, const struct entry *e, uint64_t entry_no,
			uint64_t actor_no);

/* --- runs: index/idx_run.c --- */

/* The run of an ACTOR that is in the table; 0 if it has none. */
int must_use idx_run_of_actor(struct idx *x, uint64_t actor_no, uint64_t *out);
/* The run does something in the seal that is being applied. */
int must_use idx_run_touch(struct idx *x, uint64_t run);
/* It entered something of this kind. */
int must_use idx_run_did(struct idx *x, uint64_t run, uint16_t kind);
/* RUN_START, RUN_END, and an ACTOR, whose row is there. */
int must_use idx_run_start(struct idx *x, const struct entry *e, uint64_t no,
			   uint64_t actor_no);
int must_use idx_run_end(struct idx *x, const struct entry *e, uint64_t no);
int must_use idx_run_actor(struct idx *x, const struct entry *e, uint64_t no,
			   uint64_t parent_no);

#endif
