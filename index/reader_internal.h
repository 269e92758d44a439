/*
 * reader_internal.h - what the files of the reader share.
 *
 * Every query takes its statement out of the reader while it runs (db_take,
 * db_give), so a callback may use the same reader for anything.
 */
#ifndef INDEX_READER_INTERNAL_H
#define INDEX_READER_INTERNAL_H

#include <stdint.h>

#include "index/db.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/leaves.h"
#include "index/schema.h"

#define READER_INODE_COLUMNS                                                  \
	"i.ino,i.mode,i.uid,i.gid,i.rdev,i.nlink,i.flags,i.size,i.atime,"     \
	"i.mtime,i.ctime,i.btime,i.parent,i.version,i.version_no,i.entry_no," \
	"i.next_cookie,i.nchild,i.nxattr,i.last,i.version_leaf,i.tree_root,"  \
	"i.sha256,i.dir_salt,i.target,i.allocated"
#define READER_INODE "SELECT " READER_INODE_COLUMNS " FROM inode i"
/* CROSS: names are walked, each one's inode is looked up, never otherwise. */
#define READER_LIST(columns)                                   \
	"SELECT n.ino,n.cookie,n.since,n.mode,n.name," columns \
	" FROM name n CROSS JOIN inode i ON i.ino=n.ino"       \
	" WHERE n.parent=? AND n.cookie>? ORDER BY n.cookie LIMIT ?"
#define READER_ENTRY                                                         \
	"SELECT no,kind,inode,parent,version,wall,actor,rejected,leaf FROM " \
	"entry"
#define READER_VERSION                                                      \
	"SELECT ino,version,no,size,mtime,wall,tree_root,sha256,sha256_no," \
	"actor,reads,reason,attribution,released FROM version"
#define READER_READ_ITEM \
	"SELECT reads,seq,target,ino,version,strength,content FROM read_item"

/* index/idx_reader.c */
#define READER_STATEMENTS_BASE(X)                                        \
	X(INODE, READER_INODE " WHERE ino=?")                            \
	X(NAME, "SELECT ino,cookie,since,mode FROM name"                 \
		" WHERE parent=? AND name=?")                            \
	X(NAMES, "SELECT ino,cookie,since,mode,name FROM name"           \
		 " WHERE parent=? AND cookie>? ORDER BY cookie LIMIT ?") \
	X(XATTRS, "SELECT name,size,value,chunk FROM xattr WHERE ino=?"  \
		  " ORDER BY name")                                      \
	X(EXTENTS, "SELECT off,len,chunk_off,chunk,no FROM extent"       \
		   " WHERE ino=? ORDER BY no, seq")                      \
	X(UNFINISHED, "SELECT ino,flags FROM unfinished ORDER BY ino")   \
	X(LAST_INO,                                                      \
	  "SELECT max(inode) FROM entry"                                 \
	  " WHERE inode>=? AND inode<=? AND " SCHEMA_ENTRY_INODE_WHERE)  \
	X(INODES, "SELECT files+dirs+others FROM meta WHERE id=1")       \
	X(POSITION, "SELECT seals,root FROM meta WHERE id=1")            \
	X(LEAF_AT, "SELECT leaf FROM entry WHERE no=?")                  \
	X(LEAF_SCAN, "SELECT no FROM entry WHERE leaf=? LIMIT 1")

/* index/idx_list.c */
#define READER_STATEMENTS_LIST(X)                                             \
	X(LIST_STAT,                                                          \
	  READER_LIST("i.mode,i.uid,i.gid,i.rdev,i.nlink,i.flags,i.size"      \
		      ",i.atime,i.mtime,i.ctime,i.allocated"))                \
	X(LIST_ROWS, READER_LIST(READER_INODE_COLUMNS))                       \
	X(NAME_INODE,                                                         \
	  "SELECT n.ino,n.cookie,n.since,n.mode,n.name," READER_INODE_COLUMNS \
	  " FROM name n"                                                      \
	  " LEFT JOIN inode i ON i.ino=n.ino"                                 \
	  " WHERE n.parent=? AND n.name=?")                                   \
	X(INODES_FROM, READER_INODE " WHERE ino>=? ORDER BY ino LIMIT ?")

/* index/idx_query.c */
#define READER_STATEMENTS_QUERY(X)                                            \
	X(ENTRY, READER_ENTRY " WHERE no=?")                                  \
	X(ENTRIES, READER_ENTRY " WHERE no>=? AND no<=? ORDER BY no LIMIT ?") \
	X(HISTORY, "SELECT no FROM entry WHERE inode=?1 AND no>=?2"           \
		   " AND no<=?3 AND kind>=?5 AND kind<=?6"                    \
		   " AND " SCHEMA_ENTRY_INODE_WHERE                           \
		   " UNION SELECT no FROM entry_also WHERE inode=?1"          \
		   " AND no>=?2 AND no<=?3 ORDER BY no LIMIT ?4")             \
	X(HISTORY_VERSIONS, "SELECT no FROM version WHERE ino=?1"             \
			    " AND version>=?2 ORDER BY version LIMIT ?3")     \
	X(VERSION, READER_VERSION " WHERE ino=? AND version=?")               \
	X(VERSIONS, READER_VERSION                                            \
	  " WHERE ino=? AND version>=? ORDER BY version LIMIT ?")             \
	X(VERSIONS_LATE,                                                      \
	  READER_VERSION " WHERE ino=? ORDER BY version DESC LIMIT 2")        \
	X(VERSION_MAX, "SELECT max(version) FROM version WHERE ino=?")        \
	X(VERSION_NO, "SELECT no FROM version WHERE ino=? AND version=?")     \
	X(VERSIONS_BY_ACTOR,                                                  \
	  READER_VERSION " WHERE actor=? AND no>=? ORDER BY no LIMIT ?")      \
	X(ACTOR, "SELECT no,parent,uid,gid,tgid,start,ppid,exe,exe_digest,"   \
		 "exe_digest_no,argv,cwd,host,run,git,dirty FROM actor"       \
		 " WHERE no=?")                                               \
	X(SEAL, "SELECT seal,mount,wall,wall_max,count FROM seal"             \
		" WHERE seal=?")                                              \
	X(SEAL_WALLS, "SELECT no,wall FROM entry WHERE no>=? AND no<=?"       \
		      " ORDER BY no")                                         \
	X(COUNTS, "SELECT seals,wall_max,files,dirs,others,bytes,entries,"    \
		  "rejected,versions,version_bytes,released,"                 \
		  "(SELECT coalesce(sum(bytes),0) FROM gc) FROM meta"         \
		  " WHERE id=1")                                              \
	X(SNAPSHOT, "SELECT name,no,position,state,comment FROM snapshot"     \
		    " WHERE name=?")                                          \
	X(SNAPSHOTS, "SELECT name,no,position,state,comment FROM snapshot"    \
		     " ORDER BY no")                                          \
	X(KEYS, "SELECT no,mount,role,key_id,pub,name,until,reason,"          \
		"suspect_since FROM pubkey ORDER BY no, seq")                 \
	X(REPLICAS, "SELECT no,number,kind,id,location,until FROM replica"    \
		    " ORDER BY no")                                           \
	X(REPAIRS, "SELECT no,what,source,target,id,bytes,object"             \
		   " FROM repair WHERE no>=? ORDER BY no LIMIT ?")            \
	X(PARAM, "SELECT value FROM param WHERE name=?")

/* index/idx_path.c */
#define READER_STATEMENTS_PATH(X)                                              \
	X(NAME_PAST_AT, "SELECT ino,since,mode FROM name_past"                 \
			" WHERE parent=? AND name=? AND until>?"               \
			" ORDER BY until LIMIT 1")                             \
	X(NAMES_AT, "SELECT name,ino,since,mode FROM name WHERE parent=?"      \
		    " AND name>? AND since<=? ORDER BY name")                  \
	X(NAME_PAST_NEXT, "SELECT name FROM name_past WHERE parent=?"          \
			  " AND name>? ORDER BY name LIMIT 1")                 \
	X(NAME_OF,                                                             \
	  "SELECT parent,name,since FROM name WHERE ino=? AND since<=?"        \
	  " LIMIT 1")                                                          \
	X(NAMES_OF, "SELECT parent,name,since,cookie FROM name WHERE ino=?")   \
	X(NAMES_LOST, "SELECT parent,name,until,mode FROM name_past"           \
		      " WHERE ino=? AND until>=?")                             \
	X(NAME_PAST_OF, "SELECT parent,name,since FROM name_past WHERE ino=?1" \
			" AND until>?2 AND since<=?2 LIMIT 1")                 \
	X(NAMES_PAST_OF, "SELECT parent,name FROM name_past WHERE ino=?1"      \
			 " AND until>?2 AND since<=?2")                        \
	X(NAME_PAST_BEFORE, "SELECT ino,until FROM name_past WHERE parent=?"   \
			    " AND name=? AND until<=?"                         \
			    " ORDER BY until DESC LIMIT 1")                    \
	X(NAME_PAST_LAST, "SELECT parent,name,until FROM name_past"            \
			  " WHERE ino=? ORDER BY until DESC LIMIT 1")          \
	X(NAME_PAST_INOS, "SELECT ino FROM name_past WHERE parent=?"           \
			  " AND name=? ORDER BY until DESC LIMIT ?")

/* index/idx_lineage.c */
#define READER_STATEMENTS_LINEAGE(X)                                         \
	X(READS, "SELECT no,prev,actor,count FROM reads WHERE no=?")         \
	X(READ_ITEMS, READER_READ_ITEM " WHERE reads=? ORDER BY seq")        \
	X(READ_BY,                                                           \
	  READER_READ_ITEM " WHERE ino=? AND version=? ORDER BY reads, seq") \
	X(READS_BY_ACTOR, "SELECT no FROM reads WHERE actor=? AND no<=?"     \
			  " ORDER BY no")                                    \
	X(ACTOR_CHILDREN, "SELECT no FROM actor WHERE parent=? ORDER BY no") \
	X(READS_NEXT, "SELECT no FROM reads WHERE prev=? ORDER BY no")       \
	X(VERSIONS_BY_READS, READER_VERSION " WHERE reads=? ORDER BY no")

/* index/idx_retain.c */
#define READER_STATEMENTS_RETAIN(X)                                          \
	X(POLICY, "SELECT no,count FROM policy WHERE until IS NULL"          \
		  " ORDER BY no DESC LIMIT 1")                               \
	X(RULES, "SELECT seq,seconds,versions,pattern FROM policy_rule"      \
		 " WHERE no=? ORDER BY seq")                                 \
	X(HOLDS, "SELECT no,ino,pattern,reason,until,until_reason FROM hold" \
		 " ORDER BY no")                                             \
	X(CANDIDATES, "SELECT v.ino,v.version,v.no,v.size,n.no,i.version,"   \
		      "v.sha256"                                             \
		      " FROM version v LEFT JOIN inode i ON i.ino=v.ino"     \
		      " LEFT JOIN version n ON n.ino=v.ino"                  \
		      " AND n.version=v.version+1"                           \
		      " WHERE (v.ino,v.version)>(?1,?2)"                     \
		      " AND v.released IS NULL"                              \
		      " AND (i.version IS NULL OR i.version<>v.version)"     \
		      " ORDER BY v.ino, v.version LIMIT ?3")                 \
	X(ALL_NAMES, "SELECT parent,name,since,NULL FROM name WHERE ino=?1"  \
		     " UNION ALL SELECT parent,name,since,until"             \
		     " FROM name_past WHERE ino=?1")                         \
	X(SUCCESSORS, "SELECT p.ino FROM name_past p WHERE p.parent=?1"      \
		      " AND p.name=?2 AND p.until>?3 AND p.ino<>?4"          \
		      " UNION SELECT m.ino FROM name m WHERE m.parent=?1"    \
		      " AND m.name=?2")                                      \
	X(LAST_ABOUT, "SELECT max(no) FROM (SELECT max(no) AS no FROM entry" \
		      " WHERE inode=?1 AND " SCHEMA_ENTRY_INODE_WHERE        \
		      " UNION ALL SELECT max(no) FROM entry_also"            \
		      " WHERE inode=?1)")                                    \
	X(EXTENTS_AMONG, "SELECT 1 FROM entry WHERE inode=?1 AND no>?2"      \
			 " AND no<=?3 AND kind=519"                          \
			 " AND " SCHEMA_ENTRY_INODE_WHERE " LIMIT 1")        \
	X(RELEASES, "SELECT no,policy,versions,bytes FROM gc WHERE no>=?"    \
		    " ORDER BY no LIMIT ?")

/* index/idx_runs.c */
#define READER_RUN                                                  \
	"SELECT no,id,name,number,implicit,uid,gid,parent,started," \
	"end_no,ended,how,status,processes,changed FROM run"
#define READER_STATEMENTS_RUNS(X)                                           \
	X(RUN, READER_RUN " WHERE no=?")                                    \
	X(RUN_BY_ID, READER_RUN " WHERE id=?")                              \
	X(RUNS_BEGINNING,                                                   \
	  READER_RUN " WHERE id>=? AND id<=? AND NOT implicit")             \
	X(RUN_BY_WORD, READER_RUN " WHERE name=? AND number=?")             \
	X(RUNS_BY_NAME,                                                     \
	  READER_RUN " WHERE name=? ORDER BY number DESC LIMIT 2")          \
	X(RUNS, READER_RUN " WHERE no<? ORDER BY no DESC LIMIT ?")          \
	X(RUNS_OPEN,                                                        \
	  READER_RUN " WHERE " SCHEMA_RUN_OPEN_WHERE " ORDER BY no")        \
	X(RUN_SEALS, "SELECT seal FROM run_seal WHERE run=? AND seal>=?"    \
		     " ORDER BY seal LIMIT ?")                              \
	X(RUN_SEAL_LAST, "SELECT max(seal) FROM run_seal WHERE run=?")      \
	X(RUN_ACTORS, "SELECT no FROM actor WHERE run=? AND no>?"           \
		      " ORDER BY no LIMIT ?")                               \
	X(RUN_ENTRIES, READER_ENTRY " WHERE no>=?1 AND no<=?2"              \
				    " AND EXISTS(SELECT 1 FROM actor a"     \
				    " WHERE a.no=entry.actor AND a.run=?3)" \
				    " ORDER BY no")

/*
 * index/idx_roots.c.  A save goes with the version that it was made on and
 * with the one that absorbed it.  Shown by a snapshot is what no version had
 * absorbed there; one of an older place may show any before it.
 */
#define READER_STATEMENTS_ROOTS(X)                                           \
	X(ROOT_VERSIONS, "SELECT ino,version,no,size,tree_root,released"     \
			 " FROM version WHERE (ino,version)>(?,?)"           \
			 " ORDER BY ino, version")                           \
	X(ROOT_EXTENTS, "SELECT ino,no,seq,chunk FROM extent"                \
			" WHERE (ino,no,seq)>(?,?,?) ORDER BY ino, no, seq") \
	X(ROOT_XATTRS, "SELECT ino,name,chunk FROM xattr"                    \
		       " WHERE (ino,name)>(?,?) ORDER BY ino, name")         \
	X(ROOT_SAVES, "SELECT no,inode,version FROM entry WHERE no>?"        \
		      " AND kind=519 AND NOT rejected AND NOT EXISTS("       \
		      "SELECT 1 FROM version v WHERE v.ino=entry.inode"      \
		      " AND v.version IN (entry.version,entry.version+1)"    \
		      " AND v.released IS NOT NULL) ORDER BY no")            \
	X(ROOT_SAVES_SHOWN,                                                  \
	  "SELECT no,inode,version FROM entry WHERE no>?"                    \
	  " AND kind=519 AND NOT rejected AND EXISTS("                       \
	  "SELECT 1 FROM snapshot s WHERE s.no>entry.no"                     \
	  " AND (s.position IS NOT NULL OR NOT EXISTS("                      \
	  "SELECT 1 FROM version v WHERE v.ino=entry.inode"                  \
	  " AND v.version=entry.version+1 AND v.no<s.no))) ORDER BY no")

#define READER_STATEMENTS(X)         \
	READER_STATEMENTS_BASE(X)    \
	READER_STATEMENTS_LIST(X)    \
	READER_STATEMENTS_QUERY(X)   \
	READER_STATEMENTS_PATH(X)    \
	READER_STATEMENTS_LINEAGE(X) \
	READER_STATEMENTS_RETAIN(X)  \
	READER_STATEMENTS_RUNS(X)    \
	READER_STATEMENTS_ROOTS(X)

enum reader_statement {
#define X(id, sql) READER_S_##id,
	READER_STATEMENTS(X)
#undef X
		READER_STATEMENTS_N
};

struct idx_reader {
	sqlite3 *db;
	struct leaves_place at;
	sqlite3_stmt *s[READER_STATEMENTS_N];
};

/* Takes statement i out of the reader; idx_reader_give puts it back. */
int must_use idx_reader_take(struct idx_reader *r, enum reader_statement i,
			     sqlite3_stmt **out);
void idx_reader_give(struct idx_reader *r, enum reader_statement i,
		     sqlite3_stmt *s);

/* Largest number SQLite compares right. */
static inline uint64_t idx_reader_cap(uint64_t no)
{
	return no > INT64_MAX ? INT64_MAX : no;
}

/*
 * A name and its bytes: the columns ino, cookie, since, mode, name, the first
 * five of every statement that lists.  *out_name lives until the next step.
 */
int must_use idx_reader_listed(sqlite3_stmt *s, struct name_row *out,
			       const char **out_name, uint16_t *out_len,
			       uint64_t parent);
/* The row of a statement that begins with READER_ENTRY; 1 or an error. */
int must_use idx_reader_entry(sqlite3_stmt *s, struct idx_entry *out);
int must_use idx_reader_version(sqlite3_stmt *s, struct idx_version *out);

#endif
