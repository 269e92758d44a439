/*
 * mount_verbs.c - the control verbs that every mounted volume answers.
 *
 *   ping      -> pid, dir, store
 *   sync      makes versions of everything dirty and commits
 *   status    -> the numbers of core_status(), and of requests by kind
 *   version   path -> inode: makes the version of one file now
 *   snapshot  name -> entry
 *   snapshot-remove  name -> entry
 *   stop      unmounts and ends
 *   wait      (control.c) answers when the volume is closed
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "fs/daemon/control.h"
#include "fs/core/core.h"
#include "fs/core/core_guard.h"
#include "fs/fuse/fuse_ll.h"
#include "fs/daemon/mount_impl.h"
#include "fs/run/run_peer.h"
#include "fs/run/run_undo.h"
#include "fs/store/store.h"
#include "ledger/entry.h"
#include "index/idx_query.h"
#include "ledger/ledger.h"

static int verb_ping(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em)
{
	struct mount *m = ctx;

	(void)request;
	(void)peer;
	(void)em;
	control_add_u64(out, "pid", (unsigned long long)getpid());
	control_add_str(out, "dir", m->dir);
	control_add_str(out, "store", m->store);
	control_add_str(out, "version", VOUCHFS_VERSION);
	return 0;
}

static int verb_sync(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em)
{
	struct mount *m = ctx;
	int rc = m->opt.read_only ? 0 : core_sync(m->core);

	(void)request;
	(void)peer;
	(void)out;
	return rc < 0 ? errmsg_wrap(em, rc, "sync") : 0;
}

/* What users see of the content: files now, and all versions. */
static void add_counts(struct mount *m, struct buf *out)
{
	struct idx_reader *r = NULL;
	struct idx_counts n = { 0 };
	int rc = core_reader_take(m->core, &r);

	if (rc >= 0)
		rc = idx_counts(r, &n);
	core_reader_give(m->core, r);
	if (rc < 0)
		return; /* the rest of the answer is right without it */
	control_add_u64(out, "files", n.files);
	control_add_u64(out, "file_bytes", n.bytes);
	control_add_u64(out, "versions", n.versions);
	control_add_u64(out, "version_bytes", n.version_bytes);
	control_add_u64(out, "released", n.released);
	control_add_u64(out, "released_bytes", n.released_bytes);
}

struct undos {
	struct buf list; /* words in quotes, commas between */
};

static int add_undo(void *ctx, const char *word)
{
	struct undos *u = ctx;

	buf_addf(&u->list, "%s\"%s\"", u->list.n ? "," : "", word);
	return 0;
}

/* Undos that were begun and not finished. */
static void add_undos(struct mount *m, struct buf *out)
{
	struct undos u = { .list = BUF_INIT };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(m->core, &r);

	if (rc >= 0)
		rc = run_undo_unfinished(core_ledger(m->core), r, add_undo, &u);
	core_reader_give(m->core, r);
	if (rc >= 0 && u.list.n && !u.list.bad)
		buf_addf(out, ",\"undo_unfinished\":[%s]", (char *)u.list.p);
	buf_release(&u.list);
}

/* "requests":{"lookup":12,...}: kinds that came at all. */
static void add_requests(struct mount *m, struct buf *out)
{
	const char *comma = "";

	buf_adds(out, ",\"requests\":{");
	mutex_lock(&m->mu);
	for (unsigned i = 0; m->ll && i < FUSE_LL_OPCODES; i++) {
		uint64_t n = fuse_ll_requests(m->ll, i);

		if (n == 0)
			continue;
		buf_addf(out, "%s\"%s\":%llu", comma, fuse_ll_raw_name(i),
			 (unsigned long long)n);
		comma = ",";
	}
	mutex_unlock(&m->mu);
	buf_addc(out, '}');
}

static int verb_status(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct mount *m = ctx;
	struct core_status s;
	struct store_stat st;

	(void)request;
	(void)peer;
	(void)em;
	core_status(m->core, &s);
	store_stat(core_store(m->core), &st);
	control_add_str(out, "origin", ledger_origin(core_ledger(m->core)));
	control_add_bool(out, "guarded", ledger_guarded(core_ledger(m->core)));
	control_add_str(out, "dir", m->dir);
	control_add_str(out, "store", m->store);
	control_add_u64(out, "pid", (unsigned long long)getpid());
	control_add_bool(out, "read_only", m->opt.read_only || s.failed < 0);
	control_add_i64(out, "mounted_ns", s.mounted_wall_ns);
	control_add_u64(out, "seals", s.seals);
	control_add_u64(out, "checkpointed", s.checkpointed);
	control_add_u64(out, "applied", s.applied);
	control_add_u64(out, "unapplied", s.unapplied);
	control_add_u64(out, "queued", s.queued);
	control_add_u64(out, "dirty_bytes", s.dirty_bytes);
	control_add_u64(out, "open_handles", s.open_handles);
	control_add_u64(out, "cached_inodes", s.cached_inodes);
	control_add_u64(out, "unsettled_bytes", s.unsettled_bytes);
	control_add_u64(out, "guard_asked", s.guard_asked);
	add_counts(m, out);
	add_undos(m, out);
	add_requests(m, out);
	control_add_u64(out, "packs", st.packs);
	control_add_u64(out, "packs_missing", st.packs_missing);
	control_add_u64(out, "chunks", st.chunks);
	control_add_u64(out, "stored_bytes", st.stored_bytes);
	control_add_u64(out, "raw_bytes", st.raw_bytes);
	control_add_u64(out, "dedup_bytes", st.dedup_bytes);
	control_add_u64(out, "repaired", st.repaired);
	control_add_u64(out, "unrepaired", st.unrepaired);
	control_add_i64(out, "failed", s.failed);
	control_add_str(out, "failed_words", s.failed_words);
	return 0;
}

static int verb_version(void *ctx, const struct json *request,
			const struct cred *peer, struct buf *out,
			struct errmsg *em)
{
	struct mount *m = ctx;
	const char *path = json_get_str(request, "path");
	uint64_t ino = 0;
	int rc;

	(void)peer;
	if (!path)
		return errmsg_set(em, -ERR_USAGE, "version: no path");
	rc = core_resolve(m->core, path, &ino);
	if (rc == 0)
		rc = core_make_version(m->core, ino, ENTRY_REASON_DEMAND);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", path, err_text(rc));
	control_add_u64(out, "inode", ino);
	return 0;
}

static int verb_stop(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em)
{
	(void)request;
	(void)peer;
	(void)out;
	(void)em;
	mount_ask_stop(ctx);
	return 0;
}

/*
 * What the daemon does for somebody nobody asks about: a guarded run's process
 * may only ask how things are, and for all to be safe.
 */
static int admit(void *ctx, const char *verb, const struct run_peer *peer,
		 struct errmsg *em)
{
	static const char *const harmless[] = { "ping", "status", "version",
						"sync", "settle", "progress",
						NULL };
	struct mount *m = ctx;
	int rc;

	for (const char *const *v = harmless; *v; v++)
		if (strcmp(verb, *v) == 0)
			return 0;
	rc = core_guard_command(m->core, peer);
	return rc < 0 ?
		       errmsg_set(em, rc,
				  run_peer_there(peer) ?
					  "a guarded run may not ask for this" :
					  "a guarded run may not ask for this, "
					  "and whoever connected is gone") :
		       0;
}

void mount_verbs_register(struct mount *m)
{
	static const struct {
		const char *name;
		control_fn *fn;
	} verbs[] = {
		{ "ping", verb_ping },	   { "sync", verb_sync },
		{ "status", verb_status }, { "version", verb_version },
		{ "stop", verb_stop },
	};

	control_admit(m->control, admit, m);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		control_register(m->control, verbs[i].name, verbs[i].fn, m);
}
