/*
 * fsck_repair.c - the steps of `vouch fsck --repair`, and their order:
 *
 *   loss       what was acknowledged and is gone: only where the caller
 *              said that it is given up
 *   guard      whose store this is: a copy is refused before anything
 *   temporary files that a crash left
 *   journal    from a replica, where it does not give the signed root
 *   trust      keys/trusted.pub is made again from the log
 *   names      packs get the names that their headers say
 *   caches     the location table is made anew
 *   index      compared with one made anew from the journal; that one is
 *              put in its place where they differ
 *   opening    the volume is opened for writing: torn tails, WAL, tiles and
 *              checkpoint are put right by that; the guard is checked whole
 *   chunks     every record of every pack, from replicas or twins; REPAIR
 *              and SCRUB entries say so
 *
 * The journal comes before all that is made from it.
 */
#include "mount-tools/fsck_repair.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/daemon/guard_place.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/rebuild.h"
#include "ledger/guard.h"
#include "ledger/ledger.h"
#include "mount-tools/ask.h"
#include "mount-tools/ctl.h"
#include "mount-tools/fsck_files.h"
#include "mount-tools/fsck_lost.h"
#include "mount-tools/fsck_packs.h"
#include "mount-tools/progress.h"
#include "mount-tools/watch.h"

/* --- telling --- */

static void tell(struct fsck_repair *x, const char *label, const char *fmt,
		 va_list ap) __attribute__((format(printf, 3, 0)));

static void tell(struct fsck_repair *x, const char *label, const char *fmt,
		 va_list ap)
{
	struct buf b = BUF_INIT;
	char words[1024];

	vsnprintf(words, sizeof(words), fmt, ap);
	if (x->json.n)
		buf_addc(&x->json, ',');
	text_json_string(&x->json, words, strlen(words));
	text_term_escape(&b, words, strlen(words));
	if (x->text && !b.bad) {
		printf("%s%s\n", label, (const char *)b.p);
		fflush(stdout);
	}
	buf_release(&b);
}

void fsck_repair_did(struct fsck_repair *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(x, "repaired  ", fmt, ap);
	va_end(ap);
	x->repaired++;
}

void fsck_repair_left(struct fsck_repair *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(x, "NOT repaired: ", fmt, ap);
	va_end(ap);
	x->left++;
}

/* --- the guard --- */

/* A copy is not repaired: that would make it look like the store. */
static int check_identity(struct fsck_repair *x, struct errmsg *em)
{
	struct guard was, now;
	struct vio *vio = NULL;
	struct vio_stat st;
	int rc = guard_place_open(&vio, em);

	if (rc == 0)
		rc = guard_read(&was, vio, x->volume.id, x->volume.origin, em);
	if (rc == 0)
		rc = vio_stat(x->vio, "lock", &st);
	if (rc == 0) {
		now = was;
		guard_identify(&now, vio, &st);
		rc = guard_check_identity(&was, &now, em);
	}
	vio_free(vio);
	if (rc == -ENOENT) /* none: opening the volume speaks of that */
		return 0;
	return rc;
}

/* --- temporary files --- */

/* Is this a temporary name that a crash leaves? */
static bool is_temp(const char *name)
{
	const char *tmp = strstr(name, ".tmp-");

	if (strcmp(name, "restore.tmp") == 0 || strcmp(name, FSCK_STAGE) == 0)
		return true;
	if (strncmp(name, IDX_REBUILD_NAME, strlen(IDX_REBUILD_NAME)) == 0)
		return true;
	return tmp && strlen(tmp) == 5 + 16 &&
	       strspn(tmp + 5, "0123456789abcdef") == 16;
}

struct temps {
	struct fsck_repair *x;
	const char *dir;
	char name[64][256];
	unsigned n;
};

static int on_name(void *ctx, const char *name)
{
	struct temps *t = ctx;

	if (is_temp(name) && strcmp(name, FSCK_STAGE) != 0 && t->n < 64 &&
	    snprintf(t->name[t->n], sizeof(t->name[0]), "%s/%s", t->dir, name) <
		    (int)sizeof(t->name[0]))
		t->n++;
	return 0;
}

static int remove_temps(struct fsck_repair *x)
{
	static const char *const dirs[] = { ".",      "keys",
					    "ledger", "ledger/journal",
					    "packs",  "cache" };
	struct temps *t = calloc(1, sizeof(*t));
	int rc = t ? fsck_journal_clear(x) : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < sizeof(dirs) / sizeof(*dirs); i++) {
		*t = (struct temps){ .x = x, .dir = dirs[i] };
		rc = vio_list(x->vio, dirs[i], on_name, t);
		if (rc == -ENOENT || rc == -ENOTDIR)
			rc = 0;
		for (unsigned k = 0; rc == 0 && k < t->n; k++) {
			rc = vio_unlink(x->vio, t->name[k]);
			if (rc == 0)
				fsck_repair_did(x,
						"%s: removed, a crash left it",
						t->name[k]);
		}
	}
	free(t);
	return rc;
}

/* --- replicas --- */

static int add_replica(struct fsck_repair *x, const char *dir, uint16_t number)
{
	for (unsigned i = 0; i < x->n_replicas; i++)
		if (strcmp(x->replica[i], dir) == 0)
			return 0;
	if (x->n_replicas == FSCK_REPLICAS_MAX)
		return 0;
	x->replica[x->n_replicas] = strdup(dir);
	if (!x->replica[x->n_replicas])
		return -ENOMEM;
	x->number[x->n_replicas++] = number;
	return 0;
}

static int on_replica(void *ctx, const struct idx_replica *v)
{
	return v->until_no ? 0 : add_replica(ctx, v->location, v->number);
}

/* The index is believed about places to look at: what is there is verified. */
static int list_replicas(struct fsck_repair *x, const struct opt_texts *from,
			 struct errmsg *em)
{
	struct idx_reader *r = NULL;
	int rc = 0;

	if (idx_reader_open(&r, x->store, NULL) >= 0)
		rc = idx_replicas(r, on_replica, x) == -ENOMEM ? -ENOMEM : 0;
	idx_reader_close(r);
	for (unsigned i = 0; rc == 0 && i < from->n; i++) {
		autofree char *dir = realpath(from->v[i], NULL);

		rc = dir ? add_replica(x, dir, 0) :
			   errmsg_set(em, -errno, "%s: %s", from->v[i],
				      err_text(-errno));
	}
	return rc;
}

/* --- caches and index --- */

static int on_cache(void *ctx, const char *name)
{
	struct temps *t = ctx;

	if (strncmp(name, "chunks", 6) == 0 && t->n < 64 &&
	    snprintf(t->name[t->n], sizeof(t->name[0]), "cache/%s", name) <
		    (int)sizeof(t->name[0]))
		t->n++;
	return 0;
}

/* It is read from the packs' footers at the next opening. */
static int drop_locations(struct fsck_repair *x)
{
	struct temps *t = calloc(1, sizeof(*t));
	int rc = t ? vio_list(x->vio, "cache", on_cache, t) : -ENOMEM;

	for (unsigned k = 0; rc == 0 && k < t->n; k++)
		rc = vio_unlink(x->vio, t->name[k]);
	free(t);
	return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

/* 1: the index is not what the journal gives. */
static int index_differs(struct fsck_repair *x, struct ledger *l,
			 struct errmsg *em)
{
	struct rebuild_options o = {
		.vio = x->vio, .dir = x->store, .ledger = l, .read_only = true
	};
	struct idx *i = NULL;
	uint64_t n = 0;
	int rc = rebuild_catch_up(&i, &o, NULL);

	idx_close(take(i));
	if (rc < 0)
		return rc == -ENOMEM ? rc : 1;
	o.read_only = false; /* up to the log's end: that is no repair */
	rc = rebuild_catch_up(&i, &o, em);
	idx_close(i);
	if (rc == 0)
		rc = idx_compare(x->store, IDX_NAME, IDX_REBUILD_NAME, NULL,
				 NULL, &n, NULL);
	return rc == -ENOMEM ? rc : rc < 0 || n > 0;
}

static int mend_index(struct fsck_repair *x, struct errmsg *em)
{
	struct ledger_options lo = { .vio = x->vio, .read_only = true };
	struct progress bar;
	struct rebuild_options o = { .vio = x->vio,
				     .dir = x->store,
				     .name = IDX_REBUILD_NAME,
				     .progress = progress_tell,
				     .ctx = &bar };
	struct idx *i = NULL;
	int rc = ledger_open(&o.ledger, &lo, em), removed;

	if (rc < 0)
		return rc;
	progress_start(&bar, "rebuilding the index", false);
	rc = rebuild_anew(&i, &o, em);
	progress_end(&bar);
	idx_close(i);
	if (rc == 0)
		rc = index_differs(x, o.ledger, em);
	if (rc > 0) {
		rc = idx_replace(x->vio, em);
		if (rc == 0)
			fsck_repair_did(x, "index.db: made anew from the log");
	}
	removed = idx_remove(x->vio, IDX_REBUILD_NAME);
	ledger_close(o.ledger);
	return rc < 0 ? rc : removed;
}

/* --- the volume, opened --- */

/* Does what the scrub found say that it was put right? */
static bool says_repaired(const char *words)
{
	static const char *const ends[] = {
		"; repaired",
		"; written again",
		"; written anew",
		"; fetched from a replica",
		"packs were fetched from replicas",
	};
	size_t n = strlen(words);

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t len = strlen(ends[i]);

		if (n >= len && strcmp(words + n - len, ends[i]) == 0)
			return true;
	}
	return false;
}

static void tell_all(struct fsck_repair *x, const struct json *found)
{
	for (const struct json *v = found ? found->first : NULL; v; v = v->next)
		if (json_str(v) && says_repaired(json_str(v)))
			fsck_repair_did(x, "%s", json_str(v));
}

static int scrub(struct fsck_repair *x, const struct ctl_place *place,
		 struct errmsg *em)
{
	const struct watch_options watch = { .title = "repairing" };
	struct json_doc *doc = NULL;
	struct buf b = BUF_INIT;
	int rc;

	buf_addf(&b,
		 "\"verb\":\"verify\",\"deep\":true,\"repair\":true,"
		 "\"segments\":[%s]",
		 x->segments.n ? (const char *)x->segments.p : "");
	rc = b.bad ? -ENOMEM : watch_ask(&doc, place, (char *)b.p, &watch, em);
	if (rc == 0) {
		uint64_t repaired = 0;

		/* What is left the check afterwards names. */
		(void)!json_get_u64(json_root(doc), "repaired", &repaired);
		if (repaired)
			tell_all(x, json_get(json_root(doc), "found"));
	}
	json_free(doc);
	buf_release(&b);
	return rc;
}

/* The volume was open: what opening puts right is. */
static void tell_mends(struct fsck_repair *x)
{
	const char *p =
		x->mends.bad || !x->mends.n ? "" : (const char *)x->mends.p;
	unsigned told = 0;

	for (size_t n; *p; p += n + (p[n] == '\n'), told++) {
		n = strcspn(p, "\n");
		fsck_repair_did(x, "%.*s; put right", (int)n, p);
	}
	if (x->n_mends > told)
		fsck_repair_did(x, "%u more of them", x->n_mends - told);
}

static int take_lock(struct fsck_repair *x, struct vio_file **out,
		     struct errmsg *em)
{
	int rc = vio_open(x->vio, out, "lock", VIO_WRITE | VIO_CREATE);

	if (rc == 0)
		rc = vio_lock(*out);
	if (rc == -EBUSY)
		return errmsg_set(em, -ERR_BUSY,
				  "%s is in use by another vouch process",
				  x->store);
	return rc < 0 ? errmsg_set(em, rc, "%s/lock: %s", x->store,
				   err_text(rc)) :
			0;
}

/* Without its folder nothing opens; what was in it the journal may lack. */
static int make_wal(struct fsck_repair *x)
{
	struct vio_stat st;
	int rc = vio_stat(x->vio, "wal", &st);

	if (rc != -ENOENT)
		return rc;
	rc = vio_mkdirs(x->vio, "wal");
	if (rc == 0)
		rc = vio_syncdir(x->vio, ".");
	if (rc == 0)
		fsck_repair_did(x, "wal: the folder was lost and is made "
				   "again, empty");
	return rc;
}

/* The steps that need no open volume. */
static int mend_files(struct fsck_repair *x, const struct opt_texts *from,
		      struct errmsg *em)
{
	struct vio_file *lock = NULL;
	int rc = take_lock(x, &lock, em);

	if (rc == 0)
		rc = make_wal(x); /* or the log cannot tell what it lacks */
	if (rc == 0)
		rc = fsck_lost_step(x, x->accept_loss, em);
	if (rc == 0)
		rc = check_identity(x, em);
	if (rc == 0)
		rc = list_replicas(x, from, em);
	if (rc == 0)
		rc = remove_temps(x);
	if (rc == 0)
		rc = fsck_journal(x, em);
	if (rc == 0)
		rc = fsck_files_mend(x, em);
	if (rc == 0)
		rc = fsck_packs_rename(x, em);
	if (rc == 0)
		rc = drop_locations(x);
	if (rc == 0)
		rc = mend_index(x, em);
	vio_close(lock);
	return rc;
}

int fsck_repair_run(struct fsck_repair *x, const char *store,
		    const struct opt_texts *from, struct errmsg *em)
{
	struct ctl_place place;
	int rc = ctl_find_volume(&place, store, em), fd = -1;

	if (rc == 0 && ctl_connect(&fd, place.store, NULL) == 0)
		rc = errmsg_set(em, -ERR_BUSY,
				"%s is mounted: unmount it first (vouch scrub "
				"repairs content while it is mounted)",
				place.store);
	if (rc == 0) {
		x->store = place.store;
		rc = vio_posix_open(&x->vio, place.store);
	}
	if (rc == 0)
		rc = volume_read(&x->volume, x->vio, em);
	if (rc == 0)
		rc = mend_files(x, from, em);
	if (rc == 0)
		rc = scrub(x, &place, em);
	if (rc == 0)
		tell_mends(x);
	x->store = NULL;
	ctl_place_release(&place);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}

void fsck_repair_release(struct fsck_repair *x)
{
	for (unsigned i = 0; i < x->n_replicas; i++)
		free(x->replica[i]);
	buf_release(&x->json);
	buf_release(&x->segments);
	buf_release(&x->mends);
	vio_free(x->vio);
}
