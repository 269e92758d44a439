/*
 * provider_internal.h - what the views of the provider share.
 *
 * A view is a table of functions for one kind of node.  What it does not set
 * has a sensible default: files are read from f->body, directories are not
 * empty, anybody may open.
 *
 * Rules of every view: lookup, attr and readdir do index look-ups and nothing
 * more; `measure` may render what is small, so that tar(1) and rsync(1) see a
 * size; `open` waits for what was written before (provider_settle), renders
 * and publishes the size.  No published size is larger than what the next
 * open gives, but for the moment in which the document itself shrinks.
 */
#ifndef ANALYTICS_PROVIDER_INTERNAL_H
#define ANALYTICS_PROVIDER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "analytics/node.h"
#include "analytics/provider.h"
#include "analytics/spool.h"
#include "base/limits.h"
#include "base/thread.h"
#include "fs/core/core.h"
#include "fs/fuse/vdir.h"

struct idx_reader;
struct log_lines;
struct query_results;

enum node_kind {
	NODE_AUDIT = 1,
	NODE_README,
	NODE_LOG,
	NODE_STATUS,
	NODE_KEYS,
	NODE_ALERTS,
	NODE_CHECKPOINT,
	NODE_TILE_DIR,	  /* s: "tile", "tile/0/x001", "tile/0/002.p" */
	NODE_TILE,	  /* s: path of the tile */
	NODE_HISTORY_DIR, /* a: the real directory's inode */
	NODE_HISTORY,	  /* a: inode */
	NODE_HISTORY_INODES,
	NODE_LINEAGE_DIR,
	NODE_LINEAGE_JSON,
	NODE_LINEAGE_DOT,
	NODE_PROOF_DIR,
	NODE_PROOF,
	NODE_RUNS,
	NODE_RUN_LIST,
	NODE_RUN,	  /* a: number of its first entry, b: uid */
	NODE_RUN_SUMMARY, /* the documents: likewise, in the order of */
	NODE_RUN_CHANGES, /* audit_runs.c */
	NODE_RUN_OPENED,
	NODE_RUN_DENIED,
	NODE_RUN_DIFF, /* from here on not made for stat(2) */
	NODE_RUN_UNDO,
	NODE_AT_ROOT,
	NODE_AT,	 /* a: entry number, b: inode */
	NODE_QUERY,	 /* a: inode of NAME.sql */
	NODE_QUERY_FILE, /* a: the same, b: enum query_file */
	NODE_KINDS,
};

struct provider {
	struct core *core;
	struct provider_options o;
	struct node_table nodes;
	uint32_t owner_uid, owner_gid; /* of the store */
	int64_t start_ns;
	struct log_lines *log;
	struct alert_list *alerts;
	struct query_results *queries;
	bool run_rendered; /* for an ordinary user; atomic */
	bool putting;	   /* bytes are put back; atomic */
};

struct vdir_file {
	const struct view *view;
	struct node *node; /* held */
	struct spool body;
	void *state; /* the view's own */
};

struct vdir_list {
	const struct view *view; /* NULL: the hybrid directory */
	struct node *node;	 /* held; NULL: the hybrid directory */
	uint64_t real;		 /* inode of the hybrid directory */
	struct cred cr;
	void *state;
};

/* Longest string of a key, with NUL. */
enum { KEY_STRING = 300 };

struct view {
	/* 0 and *out; key strings go into store. */
	int (*lookup)(struct provider *p, const struct cred *cr,
		      struct node *dir, const char *name, struct node_key *out,
		      char store[KEY_STRING]);
	int (*attr)(struct provider *p, struct node *n, struct stat *out,
		    uint32_t *out_ttl_ms);
	void (*measure)(struct provider *p, const struct cred *cr,
			struct node *n);
	ssize_t (*readlink)(struct provider *p, const struct cred *cr,
			    struct node *n, char *out, size_t cap);
	int (*open)(struct provider *p, const struct cred *cr,
		    struct vdir_file *f, struct vdir_opened *how);
	ssize_t (*read)(struct provider *p, struct vdir_file *f, void *buf,
			size_t n, uint64_t off);
	int (*seek)(struct provider *p, struct vdir_file *f, uint64_t off,
		    bool hole, uint64_t *out);
	void (*release)(struct provider *p, struct vdir_file *f);
	int (*opendir)(struct provider *p, const struct cred *cr,
		       struct vdir_list *l);
	/* "." and ".." are the caller's: off >= 2 here. */
	int (*readdir)(struct provider *p, struct vdir_list *l, uint64_t off,
		       vdir_fill_fn *fill, void *ctx);
	void (*releasedir)(struct provider *p, struct vdir_list *l);
};

/* --- provider.c: helpers --- */

/*
 * All that was entered before is in the index, or never will be because the
 * volume failed.
 */
int must_use provider_settle(struct provider *p);
/* May cr read whole-ledger views? 0 or -EACCES. */
int must_use provider_whole(struct provider *p, const struct cred *cr);
/* Owner, group and mode (0440, 0550) of a whole-ledger view. */
void provider_whole_attr(struct provider *p, struct node *n, struct stat *out,
			 bool directory);
/* The same, of what everybody may read (0444, 0555). */
void provider_open_attr(struct provider *p, struct node *n, struct stat *out,
			bool directory);
/* Size and times as published. */
void provider_published(struct provider *p, struct node *n, struct stat *out);
/* f->body is complete: ends it, publishes its size. */
int must_use provider_rendered(struct provider *p, struct vdir_file *f,
			       uint64_t position);
int64_t provider_now(struct provider *p);
void provider_set_time(struct stat *out, int64_t ns);
/* Number of seals the index has applied. */
int must_use provider_position(struct provider *p, uint64_t *out);
/* Cuts `suffix` off name: true, and the rest in out. */
bool provider_cut(char out[LIMIT_NAME + 1], const char *name,
		  const char *suffix);
/* Emits one name of a virtual child; next is its cookie. */
int provider_fill(vdir_fill_fn *fill, void *ctx, const char *name,
		  uint32_t type, const struct node_key *k, uint64_t next);

/* --- the views --- */

extern const struct view audit_top_view, audit_readme_view, audit_status_view,
	audit_keys_view, audit_checkpoint_view;
extern const struct view audit_log_view;
extern const struct view audit_alerts_view;
extern const struct view audit_tile_dir_view, audit_tile_view;
extern const struct view audit_mirror_view, audit_mirror_inodes_view;
extern const struct view audit_history_view;
extern const struct view audit_lineage_view;
extern const struct view audit_proof_view;
extern const struct view audit_runs_view, audit_run_list_view, audit_run_view,
	audit_run_document_view;
extern const struct view audit_at_root_view, audit_at_view;
extern const struct view query_view, query_file_view;

int must_use log_lines_open(struct log_lines **out, struct provider *p);
void log_lines_close(struct log_lines *g);
int must_use audit_alerts_open(struct provider *p);
void audit_alerts_close(struct provider *p);

/* --- the hybrid directory (query.c) --- */

int must_use query_open(struct provider *p);
void query_close(struct provider *p);
/* NAME in the hybrid directory, where there is NAME.sql. */
int must_use query_lookup(struct provider *p, uint64_t dir, const char *name,
			  struct node_key *out);
int must_use query_list(struct provider *p, uint64_t dir, uint64_t off,
			vdir_fill_fn *fill, void *ctx);
/* The file with the inode was written or renamed. */
void query_changed(struct provider *p, uint64_t ino);

/* --- attributes of real inodes (xattr.c) --- */

ssize_t xattr_get(struct provider *p, const struct cred *cr, uint64_t ino,
		  const char *name, void *out, size_t cap);

#endif
