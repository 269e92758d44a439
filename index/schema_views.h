/*
 * schema_views.h - what people query: read-only views over the tables of
 * schema.h, part of the file, described in vouchfs-query(5).  They use
 * SQLite's own functions alone, so that sqlite3(1) shows them as well.
 *
 * A path is made by walking up from a name; the walk is bounded, so that a
 * damaged table cannot make it endless.
 */
#ifndef INDEX_SCHEMA_VIEWS_H
#define INDEX_SCHEMA_VIEWS_H

#include "ledger/entry.h"

/* It takes strings in macros apart: */
/* clang-format off */

/* Nanoseconds as RFC 3339; times before 1970 too. */
#define VIEW_TIME(ns)                                                         \
	"strftime('%Y-%m-%dT%H:%M:%S',"                                       \
	"(" ns "-(" ns "%1000000000+1000000000)%1000000000)/1000000000,"      \
	"'unixepoch')||printf('.%09dZ',"                                      \
	"(" ns "%1000000000+1000000000)%1000000000)"
/* SEAL.POSITION; NULL stays NULL. */
#define VIEW_ENTRY(no) "(" no ">>12)||'.'||(" no "&4095)"
#define VIEW_HEX(blob) "lower(hex(" blob "))"
/* NULL stays NULL. */
#define VIEW_HEX_NULL(blob) \
	"CASE WHEN " blob " NOTNULL THEN " VIEW_HEX(blob) " END"
#define VIEW_TEXT(blob) "CAST(" blob " AS TEXT)"

/* The path of the name `name` in directory `parent`. */
#define VIEW_PATH(parent, name)                                               \
	"(WITH RECURSIVE up(ino,path) AS (SELECT " parent ","                 \
	"CAST(" name " AS TEXT) UNION ALL SELECT p.parent,"                   \
	"CAST(p.name AS TEXT)||'/'||up.path FROM up CROSS JOIN name p"        \
	" ON p.ino=up.ino WHERE up.ino<>1 LIMIT 4096)"                        \
	" SELECT path FROM up WHERE ino=1 LIMIT 1)"
/* The path of an inode: by a name it has, else by the one it lost last. */
#define VIEW_PATH_OF(ino)                                                     \
	"coalesce((SELECT " VIEW_PATH("m.parent", "m.name")                   \
	" FROM name m WHERE m.ino=" ino " LIMIT 1),"                          \
	"(SELECT " VIEW_PATH("m.parent", "m.name")                            \
	" FROM name_past m WHERE m.ino=" ino                                  \
	" ORDER BY m.until DESC LIMIT 1))"

#define VIEW_KIND_(number, id, name) " WHEN " #number " THEN '" name "'"
#define VIEW_STRENGTH(v)                                                      \
	"CASE " v " WHEN 3 THEN 'exact' WHEN 2 THEN 'by handle'"              \
	" WHEN 1 THEN 'by ancestry' WHEN 0 THEN 'guessed' END"
#define VIEW_REASON(v)                                                        \
	"CASE " v " WHEN 1 THEN 'close' WHEN 2 THEN 'idle'"                   \
	" WHEN 3 THEN 'demand' WHEN 4 THEN 'snapshot'"                        \
	" WHEN 5 THEN 'unmount' WHEN 6 THEN 'every-write'"                    \
	" WHEN 7 THEN 'extents' END"
#define VIEW_TYPE(mode)                                                       \
	"CASE " mode " WHEN 32768 THEN 'file' WHEN 16384 THEN 'directory'"    \
	" WHEN 40960 THEN 'symlink' WHEN 4096 THEN 'fifo'"                    \
	" WHEN 49152 THEN 'socket' WHEN 8192 THEN 'character device'"         \
	" WHEN 24576 THEN 'block device' END"

#define VIEWS_ENTRIES                                                         \
	"CREATE VIEW entries AS SELECT no, "                                  \
	VIEW_ENTRY("no") " AS entry,"                                         \
	" CASE kind" ENTRY_KINDS(VIEW_KIND_)                                  \
	" ELSE printf('kind-%04x',kind) END AS kind, "                        \
	VIEW_TIME("wall") " AS time, wall AS time_ns,"                        \
	" inode, parent, version, actor, rejected, "                          \
	VIEW_HEX("leaf") " AS leaf FROM entry"

/* Every name in the tree. */
#define VIEWS_NAMES                                                           \
	"CREATE VIEW names AS SELECT "                                        \
	VIEW_PATH("n.parent", "n.name") " AS path, "                          \
	VIEW_TEXT("n.name") " AS name,"                                       \
	" n.ino AS inode, n.parent AS parent, "                               \
	VIEW_TYPE("n.mode") " AS type,"                                       \
	" i.size AS size, i.allocated AS allocated,"                          \
	" i.mode&4095 AS mode, i.uid AS uid, i.gid AS gid,"                   \
	" i.nlink AS nlink, "                                                 \
	VIEW_TIME("i.mtime") " AS mtime, i.mtime AS mtime_ns, "               \
	VIEW_TEXT("i.target") " AS target"                                    \
	" FROM name n JOIN inode i ON i.ino=n.ino"

/* Regular files, one row for each name. */
#define VIEWS_FILES                                                           \
	"CREATE VIEW files AS SELECT "                                        \
	VIEW_PATH("n.parent", "n.name") " AS path, "                          \
	VIEW_TEXT("n.name") " AS name,"                                       \
	" n.ino AS inode, n.parent AS parent,"                                \
	" i.size AS size, i.mode&4095 AS mode, i.uid AS uid, i.gid AS gid,"   \
	" i.nlink AS nlink, "                                                 \
	VIEW_TIME("i.mtime") " AS mtime, i.mtime AS mtime_ns, "               \
	VIEW_TIME("i.ctime") " AS ctime, i.ctime AS ctime_ns,"                \
	" i.version AS version, "                                             \
	VIEW_HEX_NULL("i.sha256") " AS sha256, "                              \
	VIEW_HEX_NULL("i.tree_root") " AS tree_root,"                         \
	" i.version_no AS no,"                                                \
	" CASE WHEN i.version THEN " VIEW_ENTRY("i.version_no")               \
	" END AS entry"                                                       \
	" FROM name n JOIN inode i ON i.ino=n.ino WHERE n.mode=32768"

/* Also of files that are gone. */
#define VIEWS_VERSIONS                                                        \
	"CREATE VIEW versions AS SELECT "                                     \
	VIEW_PATH_OF("v.ino") " AS path,"                                     \
	" v.ino AS inode, v.version AS version, v.no AS no, "                 \
	VIEW_ENTRY("v.no") " AS entry, "                                      \
	VIEW_TIME("v.wall") " AS time, v.wall AS time_ns, v.size AS size, "   \
	VIEW_TIME("v.mtime") " AS mtime, v.mtime AS mtime_ns, "               \
	VIEW_HEX_NULL("v.sha256") " AS sha256, "                              \
	VIEW_ENTRY("v.sha256_no") " AS sha256_entry, "                        \
	VIEW_HEX_NULL("v.tree_root") " AS tree_root,"                         \
	" v.actor AS actor, a.uid AS uid, a.gid AS gid, a.tgid AS pid, "      \
	VIEW_TEXT("a.exe") " AS exe, "                                        \
	"replace(" VIEW_TEXT("a.argv") ",'\\0',' ') AS command, "             \
	VIEW_REASON("v.reason") " AS reason, "                                \
	VIEW_STRENGTH("v.attribution") " AS attribution,"                     \
	" CASE WHEN v.released NOTNULL THEN " VIEW_ENTRY("v.released")        \
	" END AS released,"                                                   \
	" NOT EXISTS(SELECT 1 FROM name m WHERE m.ino=v.ino) AS deleted"      \
	" FROM version v LEFT JOIN actor a ON a.no=v.actor"

/* Each version with each thing its process had opened before. */
#define VIEWS_LINEAGE                                                         \
	"CREATE VIEW lineage AS SELECT "                                      \
	VIEW_PATH_OF("v.ino") " AS output_path,"                              \
	" v.ino AS output_inode, v.version AS output_version, "               \
	VIEW_ENTRY("v.no") " AS output_entry, "                               \
	VIEW_PATH_OF("i.ino") " AS input_path,"                               \
	" i.ino AS input_inode, i.version AS input_version, "                 \
	VIEW_ENTRY("i.target") " AS input_entry, "                            \
	VIEW_HEX_NULL("i.content") " AS input_root, "                         \
	VIEW_STRENGTH("i.strength") " AS strength, v.actor AS actor"          \
	" FROM version v JOIN read_item i ON i.reads IN"                      \
	" (WITH RECURSIVE chain(no) AS (SELECT v.reads UNION"                 \
	" SELECT r.prev FROM chain CROSS JOIN reads r ON r.no=chain.no"       \
	" WHERE r.prev NOTNULL) SELECT no FROM chain)"                        \
	" WHERE v.reads NOTNULL"

#define VIEWS_ACTORS                                                          \
	"CREATE VIEW actors AS SELECT no AS actor, "                          \
	VIEW_ENTRY("no") " AS entry,"                                         \
	" parent, uid, gid, tgid AS pid, ppid, start, "                       \
	VIEW_TEXT("exe") " AS exe, "                                          \
	VIEW_HEX_NULL("exe_digest") " AS exe_sha256, "                        \
	VIEW_TEXT("argv") " AS argv, "                                        \
	"replace(" VIEW_TEXT("argv") ",'\\0',' ') AS command, "               \
	VIEW_TEXT("cwd") " AS cwd, "                                          \
	VIEW_TEXT("host") " AS host, "                                        \
	VIEW_HEX_NULL("run") " AS run, "                                      \
	VIEW_HEX_NULL("git") " AS git_commit, dirty FROM actor"

/* What people call a run, by the number of its first entry. */
#define VIEW_RUN_WORD(no)                                                     \
	"(SELECT CAST(w.name AS TEXT)||'.'||w.number FROM run w"              \
	" WHERE w.no=" no ")"

#define VIEWS_RUNS                                                            \
	"CREATE VIEW runs AS SELECT "                                         \
	VIEW_TEXT("name") "||'.'||number AS run, no, "                        \
	VIEW_ENTRY("no") " AS entry, "                                        \
	VIEW_HEX("id") " AS id, "                                             \
	VIEW_TEXT("name") " AS name, number, implicit, uid, gid, "            \
	VIEW_RUN_WORD("run.parent") " AS parent, "                            \
	VIEW_TIME("started") " AS started, started AS started_ns,"            \
	" CASE WHEN end_no NOTNULL THEN "                                     \
	VIEW_TIME("ended") " END AS ended, ended AS ended_ns,"                \
	" CASE how WHEN 1 THEN 'exit' WHEN 2 THEN 'signal'"                   \
	" WHEN 3 THEN 'lost' END AS how, status, processes FROM run"

#define VIEWS_KEYS                                                            \
	"CREATE VIEW keys AS SELECT " VIEW_HEX("key_id") " AS key_id,"        \
	" CASE role WHEN 1 THEN 'mount' WHEN 2 THEN 'log'"                    \
	" WHEN 3 THEN 'replica' WHEN 4 THEN 'admin' END AS role,"             \
	" mount, "                                                            \
	VIEW_TEXT("name") " AS name, "                                        \
	VIEW_HEX("pub") " AS public, "                                        \
	VIEW_ENTRY("no") " AS entry, until IS NULL AS active, "               \
	VIEW_ENTRY("until") " AS ended,"                                      \
	" CASE reason WHEN 1 THEN 'retired' WHEN 2 THEN 'lost'"               \
	" WHEN 3 THEN 'stolen' WHEN 255 THEN 'rotated' END AS reason,"        \
	" CASE WHEN suspect_since NOTNULL THEN "                              \
	VIEW_TIME("suspect_since") " END AS suspect_since FROM pubkey"

#define VIEWS_SNAPSHOTS                                                       \
	"CREATE VIEW snapshots AS SELECT "                                    \
	VIEW_TEXT("s.name") " AS name, "                                      \
	VIEW_ENTRY("s.no") " AS entry, "                                      \
	VIEW_TIME("e.wall") " AS time, e.wall AS time_ns, "                   \
	VIEW_TEXT("s.comment") " AS comment"                                  \
	" FROM snapshot s LEFT JOIN entry e ON e.no=s.no"

/* Rules of every policy there was; in_force: of the one that counts. */
#define VIEWS_POLICIES                                                        \
	"CREATE VIEW policies AS SELECT "                                     \
	VIEW_ENTRY("p.no") " AS entry, "                                      \
	VIEW_TIME("e.wall") " AS time, e.wall AS time_ns,"                    \
	" p.until IS NULL AS in_force, r.seq+1 AS position, "                 \
	VIEW_TEXT("r.pattern") " AS pattern, r.seconds AS keep_seconds,"      \
	" r.versions AS keep_versions, e.actor AS actor"                      \
	" FROM policy p JOIN policy_rule r ON r.no=p.no"                      \
	" LEFT JOIN entry e ON e.no=p.no"

#define VIEWS_HOLDS                                                           \
	"CREATE VIEW holds AS SELECT "                                        \
	VIEW_ENTRY("h.no") " AS entry, "                                      \
	VIEW_TIME("e.wall") " AS time, e.wall AS time_ns, "                   \
	VIEW_TEXT("h.pattern") " AS pattern, h.ino AS inode, "                \
	VIEW_TEXT("h.reason") " AS reason, h.until IS NULL AS in_force,"      \
	" CASE WHEN h.until NOTNULL THEN " VIEW_ENTRY("h.until")              \
	" END AS lifted, "                                                    \
	VIEW_TEXT("h.until_reason") " AS lift_reason, e.actor AS actor"       \
	" FROM hold h LEFT JOIN entry e ON e.no=h.no"

#define VIEWS_RELEASES                                                        \
	"CREATE VIEW releases AS SELECT "                                     \
	VIEW_ENTRY("g.no") " AS entry, "                                      \
	VIEW_TIME("e.wall") " AS time, e.wall AS time_ns,"                    \
	" CASE WHEN g.policy NOTNULL THEN " VIEW_ENTRY("g.policy")            \
	" END AS policy, g.versions AS versions, g.bytes AS bytes"            \
	" FROM gc g LEFT JOIN entry e ON e.no=g.no"

#define SCHEMA_VIEWS(X)                                                       \
	X("view", "entries", "entries", VIEWS_ENTRIES)                        \
	X("view", "names", "names", VIEWS_NAMES)                              \
	X("view", "files", "files", VIEWS_FILES)                              \
	X("view", "versions", "versions", VIEWS_VERSIONS)                     \
	X("view", "lineage", "lineage", VIEWS_LINEAGE)                        \
	X("view", "actors", "actors", VIEWS_ACTORS)                           \
	X("view", "runs", "runs", VIEWS_RUNS)                                 \
	X("view", "keys", "keys", VIEWS_KEYS)                                 \
	X("view", "snapshots", "snapshots", VIEWS_SNAPSHOTS)                  \
	X("view", "policies", "policies", VIEWS_POLICIES)                     \
	X("view", "holds", "holds", VIEWS_HOLDS)                              \
	X("view", "releases", "releases", VIEWS_RELEASES)

/* clang-format on */

#endif
