/* serve.c - see serve.h.  Verbs run on any thread, several at once. */
#include "fs/daemon/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/daemon/control.h"
#include "fs/core/core_storage.h"
#include "fs/core/core.h"
#include "fs/upkeep/fsck.h"
#include "fs/upkeep/retain.h"
#include "fs/daemon/serve_impl.h"
#include "fs/replica/replicate.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* --- settle --- */

static int settle_path(struct core *c, const char *path, struct errmsg *em)
{
	uint64_t ino = 0;
	struct stat st;
	int rc = core_resolve(c, path, &ino);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0; /* it may have been there once */
	if (rc == 0)
		rc = core_getattr(c, ino, &st);
	if (rc == 0 && S_ISREG(st.st_mode))
		rc = core_make_version(c, ino, ENTRY_REASON_DEMAND);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}

static int verb_settle(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct serve *s = ctx;
	const char *path = json_get_str(request, "path");
	int rc = path ? settle_path(s->core, path, em) : 0;

	(void)peer;
	if (rc == 0)
		rc = core_settle_index(s->core);
	if (rc == 0 && json_get_bool(request, "checkpoint", false) &&
	    !core_options_of(s->core)->read_only)
		rc = ledger_checkpoint(core_ledger(s->core), em);
	if (rc < 0)
		return errmsg_set(em, rc, "%s", err_text(rc));
	control_add_u64(out, "seals", ledger_size(core_ledger(s->core)));
	return 0;
}

/* --- verify, scrub --- */

struct finding {
	struct serve *s;
	struct buf words; /* JSON strings, commas between */
};

static void on_found(void *ctx, const char *words)
{
	struct finding *f = ctx;

	if (f->words.n > 0)
		buf_addc(&f->words, ',');
	text_json_string(&f->words, words, strlen(words));
}

static void on_progress(void *ctx, const char *part, uint64_t done,
			uint64_t all)
{
	struct finding *f = ctx;

	mutex_lock(&f->s->mu);
	snprintf(f->s->part, sizeof(f->s->part), "%s", part);
	f->s->done = done;
	f->s->all = all;
	mutex_unlock(&f->s->mu);
}

static void report_add(struct buf *out, const struct fsck_report *r,
		       const struct finding *f)
{
	control_add_u64(out, "seals", r->log.seals);
	control_add_u64(out, "entries", r->log.entries);
	control_add_u64(out, "signatures", r->log.signatures);
	control_add_u64(out, "tiles", r->log.tiles);
	control_add_u64(out, "redacted", r->log.redacted);
	control_add_u64(out, "absent", r->log.missing);
	control_add_u64(out, "packs", r->store.packs);
	control_add_u64(out, "chunks", r->store.chunks);
	control_add_u64(out, "bytes", r->store.bytes);
	control_add_u64(out, "bad", r->store.bad);
	control_add_u64(out, "repaired", r->store.repaired);
	control_add_u64(out, "versions", r->versions);
	control_add_u64(out, "released", r->released);
	control_add_u64(out, "missing", r->missing);
	control_add_u64(out, "unneeded", r->unneeded);
	control_add_u64(out, "damaged", r->damaged);
	control_add_u64(out, "left", r->left);
	buf_addf(out, ",\"found\":[%s]",
		 f->words.n ? (const char *)f->words.p : "");
}

/* Journal segments that fsck --repair fetched again: told to the log. */
static int enter_segments(struct serve *s, const struct json *request)
{
	const struct json *list = json_get(request, "segments");
	int rc = 0;

	for (const struct json *v = list ? list->first : NULL; v && rc == 0;
	     v = v->next) {
		const char *object = json_get_str(v, "object");
		uint64_t source = 0, bytes = 0;

		(void)!json_get_u64(v, "source", &source);
		(void)!json_get_u64(v, "bytes", &bytes);
		if (object && source <= UINT16_MAX)
			rc = core_storage_repair(s->core, (uint16_t)source,
						 object, bytes);
	}
	return rc;
}

bool serve_is_ending(struct serve *s)
{
	bool ending;

	mutex_lock(&s->mu);
	ending = s->ending;
	mutex_unlock(&s->mu);
	return ending;
}

static bool is_ending(void *ctx)
{
	struct finding *f = ctx;

	return serve_is_ending(f->s);
}

static int verb_verify(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct serve *s = ctx;
	struct finding f = { .s = s };
	const struct fsck_options o = {
		.deep = json_get_bool(request, "deep", false),
		.repair = json_get_bool(request, "repair", false),
		.consistent_with = json_get_str(request, "consistent"),
		.found = on_found,
		.progress = on_progress,
		.stop = is_ending,
		.ctx = &f,
	};
	struct fsck_report r;
	struct store_stat st;
	int rc = core_settle_index(s->core);

	(void)peer;
	mutex_lock(&s->busy_mu);
	if (rc == 0 && o.repair && !core_options_of(s->core)->read_only)
		rc = enter_segments(s, request);
	if (rc == 0)
		rc = fsck_verify(core_ledger(s->core), core_store(s->core), &r,
				 &o, em);
	/* Opening a volume repairs, too, what it comes across, and so do reads:
	 * each repair is told once. */
	store_stat(core_store(s->core), &st);
	if (rc == 0 && o.repair) {
		if (st.repaired - s->repaired > r.store.repaired)
			r.store.repaired = st.repaired - s->repaired;
		s->repaired = st.repaired;
	}
	if (rc == 0 && o.repair && !core_options_of(s->core)->read_only)
		rc = core_storage_scrub(s->core, r.store.packs, r.store.bytes,
					r.store.bad, r.store.repaired);
	mutex_unlock(&s->busy_mu);
	if (rc == 0 && f.words.bad)
		rc = -ENOMEM;
	if (rc == 0)
		report_add(out, &r, &f);
	buf_release(&f.words);
	if (rc == -ECANCELED && em)
		*em = (struct errmsg)ERRMSG_INIT;
	if (rc == -ECANCELED)
		return errmsg_set(em, rc, SERVE_GIVEN_UP);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

static int verb_progress(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em)
{
	struct serve *s = ctx;

	(void)request;
	(void)peer;
	(void)em;
	mutex_lock(&s->mu);
	control_add_str(out, "part", s->part);
	control_add_u64(out, "done", s->done);
	control_add_u64(out, "all", s->all);
	mutex_unlock(&s->mu);
	return 0;
}

/* --- restore --- */

/* Why a version has no bytes: released, or redacted. */
static int tell_no_data(struct core *c, uint64_t ino, uint64_t version,
			const char *path, struct errmsg *em)
{
	struct idx_version v = { .released_no = 0 };
	struct buf words = BUF_INIT;
	struct idx_reader *r = NULL;

	if (core_reader_take(c, &r) >= 0 &&
	    idx_version(r, &v, ino, version) > 0 && v.released_no)
		retain_words(&words, r, v.released_no);
	core_reader_give(c, r);
	(void)errmsg_set(em, -ENODATA, "%s: version %llu: %s", path,
			 (unsigned long long)version,
			 words.n ? (const char *)words.p : "it is redacted");
	buf_release(&words);
	return -ENODATA;
}

static int verb_restore(void *ctx, const struct json *request,
			const struct cred *peer, struct buf *out,
			struct errmsg *em)
{
	struct serve *s = ctx;
	const char *path = json_get_str(request, "path");
	const char *when = json_get_str(request, "when");
	uint64_t ino = 0, version = 0, from = 0;
	bool same = false;
	int rc;

	if (!path || !json_get_u64(request, "version", &version))
		return errmsg_set(em, -ERR_USAGE, "restore: no path, version");
	rc = core_resolve(s->core, path, &ino);
	if (!json_get_u64(request, "from", &from))
		from = ino;
	if (rc == 0)
		rc = core_storage_restore(s->core, &same, peer, ino, from,
					  version, when ? when : "");
	if (rc == -ENODATA)
		return tell_no_data(s->core, from, version, path, em);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", path, err_text(rc));
	control_add_bool(out, "same", same);
	return 0;
}

static int snapshot_told(int rc, const char *name, uint64_t no, struct buf *out,
			 struct errmsg *em)
{
	if (rc == -EEXIST)
		return errmsg_set(em, rc, "snapshot %s exists already", name);
	if (rc == -ENOENT)
		return errmsg_set(em, rc,
				  "there is no snapshot %s: vouch snapshot "
				  "--list shows those that there are",
				  name);
	if (rc == -EINVAL)
		return errmsg_set(em, -ERR_USAGE,
				  "%s cannot be a snapshot's name: it starts "
				  "with a letter and has no /",
				  name);
	if (rc < 0)
		return errmsg_set(em, rc, "snapshot %s: %s", name,
				  err_text(rc));
	control_add_u64(out, "seal", ENTRY_NO_SEAL(no));
	control_add_u64(out, "position", ENTRY_NO_POS(no));
	return 0;
}

typedef int snapshot_fn(struct core *c, const struct cred *cr, const char *name,
			uint64_t *out_entry_no);

static int snapshot_by(snapshot_fn *fn, const struct serve *s,
		       const struct json *request, const struct cred *peer,
		       struct buf *out, struct errmsg *em)
{
	const char *name = json_get_str(request, "name");
	uint64_t no = 0;
	int rc;

	if (!name)
		return errmsg_set(em, -ERR_USAGE, "snapshot: no name");
	rc = fn(s->core, peer, name, &no);
	return snapshot_told(rc, name, no, out, em);
}

static int verb_snapshot(void *ctx, const struct json *request,
			 const struct cred *peer, struct buf *out,
			 struct errmsg *em)
{
	return snapshot_by(core_snapshot, ctx, request, peer, out, em);
}

static int verb_snapshot_remove(void *ctx, const struct json *request,
				const struct cred *peer, struct buf *out,
				struct errmsg *em)
{
	return snapshot_by(core_snapshot_remove, ctx, request, peer, out, em);
}

/* --- life --- */

/* The checkpoint must be one of this log's: nothing else is entered. */
static int verb_anchor(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct serve *s = ctx;
	const char *root = json_get_str(request, "root");
	const char *commit = json_get_str(request, "commit");
	const char *location = json_get_str(request, "location");
	const char *ref = json_get_str(request, "ref");
	struct buf autocall(buf_release) id = BUF_INIT;
	struct entry_anchor a = { .kind = 1 };
	struct digest ours;
	int rc = root && commit && location && ref &&
				 json_get_u64(request, "size", &a.size) ?
			 digest_from_hex(&a.root, root, strlen(root)) :
			 -ERR_USAGE;

	(void)peer;
	(void)out;
	if (rc == 0)
		rc = text_hex_decode(&id, commit, strlen(commit));
	if (rc == 0)
		rc = ledger_root_at(core_ledger(s->core), a.size, &ours);
	if (rc == 0 &&
	    (id.n != sizeof(a.commit) ||
	     memcmp(&ours, &a.root, sizeof(ours)) != 0 ||
	     strlen(location) > LIMIT_PATH || strlen(ref) > LIMIT_NAME))
		rc = -ERR_USAGE;
	if (rc == 0) {
		memcpy(a.commit, id.p, sizeof(a.commit));
		a.location = (struct entry_str){ location, strlen(location) };
		a.ref = (struct entry_str){ ref, strlen(ref) };
		rc = core_storage_anchor(s->core, &a);
	}
	return rc < 0 ? errmsg_set(em, rc, "anchor: %s", err_text(rc)) : 0;
}

static const struct {
	const char *name;
	control_fn *fn;
} verbs[] = {
	{ "settle", verb_settle },
	{ "verify", verb_verify },
	{ "progress", verb_progress },
	{ "anchor", verb_anchor },
	{ "restore", verb_restore },
	{ "snapshot", verb_snapshot },
	{ "snapshot-remove", verb_snapshot_remove },
	{ "replica-add", serve_replica_add },
	{ "replica-remove", serve_replica_remove },
	{ "replica-list", serve_replica_list },
	{ "replica-sync", serve_replica_sync },
	{ "retain-set", serve_retain_set },
	{ "retain-remove", serve_retain_remove },
	{ "hold-add", serve_retain_hold },
	{ "hold-lift", serve_retain_lift },
	{ "gc", serve_retain_gc },
	{ "gc-stop", serve_retain_gc_stop },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* An unmount waits for no verify, and for no replica that copies all. */
static void on_end(void *ctx)
{
	struct serve *s = ctx;

	mutex_lock(&s->mu);
	s->ending = true;
	mutex_unlock(&s->mu);
	replicate_give_up(s->follow, true);
}

int serve_open(struct serve **out, struct core *core, struct control *control,
	       struct errmsg *em)
{
	struct serve *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->core = core;
	mutex_init(&s->busy_mu);
	mutex_init(&s->mu);
	cond_init(&s->changed);
	rc = serve_replica_open(s, em);
	if (rc < 0) {
		serve_close(s);
		return errmsg_set(em, rc, "replicas: %s", err_text(rc));
	}
	for (int i = 0; control && i < VERBS; i++)
		control_register(control, verbs[i].name, verbs[i].fn, s);
	if (control)
		control_on_end(control, on_end, s);
	*out = s;
	return 0;
}

void serve_close(struct serve *s)
{
	if (!s)
		return;
	serve_replica_close(s);
	cond_destroy(&s->changed);
	mutex_destroy(&s->mu);
	mutex_destroy(&s->busy_mu);
	free(s);
}

int serve_ask(struct serve *s, const struct json *request,
	      const struct cred *peer, struct buf *out, struct errmsg *em)
{
	const char *verb = json_get_str(request, "verb");

	for (int i = 0; verb && i < VERBS; i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].fn(s, request, peer, out, em);
	return errmsg_set(em, -ERR_USAGE, "no such verb");
}
