/*
 * fsck_files.c - see fsck_files.h.
 *
 * A secret key that is damaged is noticed while the copy kept elsewhere can
 * still be found, not when it is needed.  What this user may not read is not
 * looked at.  A replica that is not plugged in is no damage.
 */
#include "mount-tools/fsck_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/daemon/guard_place.h"
#include "fs/store/replica.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/checkpoint.h"
#include "ledger/guard.h"
#include "ledger/key.h"
#include "ledger/ledger.h"
#include "ledger/note.h"
#include "ledger/trust.h"
#include "ledger/volume.h"
#include "ledger/wal_mark.h"
#include "mount-tools/fsck_packs.h"
#include "mount-tools/fsck_repair.h"
#include "mount-tools/reader.h"
#include "mount-tools/verify.h"

#define TRUSTED "keys/trusted.pub"

struct look {
	struct verify *v;
	struct reader *r;
	struct volume volume;
};

__attribute__((format(printf, 2, 3))) static void tell(struct look *k,
						       const char *fmt, ...)
{
	char words[ERRMSG_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	verify_found(k->v, words);
	k->v->report.damaged++;
}

/* --- keys --- */

struct wanted {
	const uint8_t *pub;
	unsigned role;
	uint32_t mount_no;
	bool ever; /* also one that is not active any more */
	bool found;
};

static int on_key(void *ctx, const struct ledger_key_info *i)
{
	struct wanted *w = ctx;

	if (i->role == w->role && (w->ever || i->until == UINT64_MAX) &&
	    memcmp(i->pub, w->pub, KEY_SIZE) == 0 &&
	    (w->role != KEY_MOUNT || i->mount_no == w->mount_no))
		w->found = true;
	return 0;
}

/* 1: the log calls it active. */
static int key_is_active(struct look *k, const struct key *key)
{
	struct wanted w = {
		.pub = key_public(key),
		.role = key_role(key),
		.mount_no = k->volume.mount_no,
	};
	int rc = ledger_keys(k->r->ledger, on_key, &w);

	return rc < 0 ? rc : w.found;
}

/* A key that signs for this mount, or the one a rotation made for it. */
static int look_at_key(struct look *k, enum key_role role, const char *path,
		       const char *next)
{
	struct errmsg em = ERRMSG_INIT;
	struct key *key = NULL;
	int rc = key_load(&key, k->r->vio, path, role, &em);
	int active = rc == 0 ? key_is_active(k, key) : 0;

	key_free(take(key));
	if (active != 0 || rc == -EACCES)
		return active < 0 ? active : 0;
	if (key_load(&key, k->r->vio, next, role, NULL) == 0)
		active = key_is_active(k, key);
	key_free(key);
	if (active != 0)
		return active < 0 ? active : 0;
	if (rc < 0)
		tell(k, "%s: put it back: nothing can be signed without it",
		     errmsg_text(&em, rc));
	else
		tell(k, "%s: is not the active %s key of the log", path,
		     key_role_name(role));
	return 0;
}

static int look_at_admin(struct look *k, const struct trust *t)
{
	static const char path[] = "keys/admin.key";
	struct errmsg em = ERRMSG_INIT;
	struct key *key = NULL;
	int rc = key_load(&key, k->r->vio, path, KEY_ADMIN, &em);
	bool known = false;

	if (rc == -ENOENT || rc == -EACCES)
		return 0; /* kept elsewhere, as it should be */
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		tell(k, "%s: put back the copy kept elsewhere",
		     errmsg_text(&em, rc));
		return 0;
	}
	for (size_t i = 0; i < t->n_admins; i++)
		if (memcmp(t->admins[i].pub, key_public(key), KEY_SIZE) == 0)
			known = true;
	if (!known)
		tell(k, "%s: is no admin key of the log", path);
	key_free(key);
	return 0;
}

/* The file, and what it would be if it were made from the log and itself. */
static int read_trust(struct vio *vio, struct ledger *l, struct buf *have,
		      struct buf *want, struct trust *t)
{
	int rc = ledger_trust(l, want);
	int found = vio_read_file(vio, have, TRUSTED, TRUST_FILE_MAX);

	if (rc == 0)
		rc = trust_parse(t, want->p, want->n, NULL);
	return rc < 0 ? rc : found;
}

static int look_at_trust(struct look *k, struct trust *t)
{
	struct buf have = BUF_INIT, want = BUF_INIT;
	int rc = read_trust(k->r->vio, k->r->ledger, &have, &want, t);

	if (rc == -ENOENT || rc == -ERR_LIMIT || rc == -EISDIR ||
	    (rc == 0 &&
	     (have.n != want.n || memcmp(have.p, want.p, have.n) != 0))) {
		tell(k, rc == -ENOENT ? TRUSTED ": is missing" :
					TRUSTED ": is not what the log gives");
		rc = 0;
	}
	buf_release(&have);
	buf_release(&want);
	return rc == -EACCES ? 0 : rc;
}

/* A key that somebody put there: what it signs would be believed. */
static int look_for_strangers(struct look *k, const struct trust *t)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n_logs; i++) {
		struct wanted w = { .pub = t->logs[i].pub,
				    .role = KEY_LOG,
				    .ever = true };

		rc = ledger_keys(k->r->ledger, on_key, &w);
		if (rc == 0 && !w.found)
			tell(k, TRUSTED ": names a log key that the log never "
					"had");
	}
	return rc;
}

static int look_at_keys(struct look *k)
{
	struct trust *t = calloc(1, sizeof(*t));
	int rc = t != NULL ? look_at_trust(k, t) : -ENOMEM;

	if (rc == 0)
		rc = look_for_strangers(k, t);

	if (rc == 0)
		rc = look_at_key(k, KEY_MOUNT, "keys/mount.key",
				 "keys/mount.next.key");
	if (rc == 0)
		rc = look_at_key(k, KEY_LOG, "keys/log.key",
				 "keys/log.next.key");
	if (rc == 0)
		rc = look_at_admin(k, t);
	free(t);
	return rc;
}

/* --- volume.conf, guard, mark --- */

static int look_at_guard(struct look *k)
{
	const uint8_t *id = ledger_volume_id(k->r->ledger);
	const char *origin = ledger_origin(k->r->ledger);
	struct errmsg em = ERRMSG_INIT;
	struct digest root;
	struct vio *place = NULL;
	struct guard g, now;
	struct vio_stat st;
	int rc = guard_place_open(&place, NULL);

	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	rc = guard_read(&g, place, id, origin, &em);
	if (rc == 0 && !k->volume.guarded)
		tell(k, "%s: says that no guard is needed, but there is one",
		     VOLUME_FILE);
	if (rc == -ENOENT && k->volume.guarded)
		rc = errmsg_set(&em, rc,
				"the guard is missing: this store was never "
				"used here, or its guard was lost");
	else if (rc == -ENOENT)
		rc = 0;
	else if (rc == 0) {
		bool shorter = ledger_size(k->r->ledger) < g.size;

		if (!shorter)
			rc = ledger_root_at(k->r->ledger, g.size, &root);
		if (rc == 0)
			rc = guard_check_size(&g, ledger_size(k->r->ledger),
					      shorter ? NULL : &root, &em);
		now = g;
		if (rc == 0 && vio_stat(k->r->vio, "lock", &st) == 0) {
			guard_identify(&now, place, &st);
			rc = guard_check_identity(&g, &now, &em);
		}
	}
	vio_free(place);
	if (rc == -ENOMEM || rc == 0)
		return rc;
	tell(k, "%s", errmsg_text(&em, rc));
	return 0;
}

static int look_at_volume(struct look *k, struct errmsg *em)
{
	enum wal_mark_state state = WAL_MARK_NONE;
	struct wal_mark mark;
	int rc = volume_read(&k->volume, k->r->vio, em);

	if (rc < 0)
		return rc;
	if (strcmp(k->volume.origin, ledger_origin(k->r->ledger)) != 0)
		tell(k, "%s: the log is called otherwise, %s", VOLUME_FILE,
		     ledger_origin(k->r->ledger));
	rc = wal_mark_read(&mark, &state, k->r->vio,
			   ledger_volume_id(k->r->ledger));
	if (rc == 0 && state == WAL_MARK_DAMAGED)
		tell(k, WAL_MARK ": is damaged; the next mount makes it again");
	else if (rc == 0 && state == WAL_MARK_HALF) /* as a crash leaves it */
		verify_found(k->v, WAL_MARK ": one of its two pages is "
					    "damaged; the next mount makes it "
					    "again");
	return rc;
}

/* --- replicas --- */

/*
 * What a store made again from it would believe.  What is missing is put there
 * at the next mount, like all that it is behind with.
 */
static void look_at_copies(struct look *k, struct vio *vio, const char *where)
{
	struct trust *t = calloc(1, sizeof(*t));
	struct buf b = BUF_INIT;
	struct checkpoint c;
	struct digest root;
	struct note n;
	int rc = vio_read_file(vio, &b, TRUSTED, TRUST_FILE_MAX);

	if (rc == 0 && t != NULL && trust_parse(t, b.p, b.n, NULL) < 0)
		tell(k, "%s: its %s is damaged", where, TRUSTED);
	buf_clear(&b);
	rc = vio_read_file(vio, &b, "ledger/checkpoint", CHECKPOINT_MAX);
	if (rc == 0)
		rc = note_parse(&n, b.p, b.n);
	if (rc == 0)
		rc = checkpoint_parse(&c, n.text, n.text_n);
	if (rc == 0 && c.size <= ledger_size(k->r->ledger))
		rc = ledger_root_at(k->r->ledger, c.size, &root);
	if (rc == 0 && c.size <= ledger_size(k->r->ledger) &&
	    !digest_eq(&root, &c.root))
		rc = -ERR_HASH;
	if (rc == -ERR_FORMAT || rc == -ERR_HASH || rc == -ERR_NONCANON)
		tell(k, "%s: its checkpoint is not of this log: %s", where,
		     err_text(rc));
	buf_release(&b);
	free(t);
}

static int on_replica(void *ctx, const struct idx_replica *i)
{
	struct look *k = ctx;
	struct errmsg em = ERRMSG_INIT;
	struct vio *vio = NULL;
	struct volume volume;
	uint8_t id[16];
	int rc;

	if (i->until_no != 0 || vio_posix_open(&vio, i->location) < 0)
		return 0;
	k->v->replicas++;
	rc = replica_dir_identify(i->location, id, &em);
	if (rc == 0 && memcmp(id, ledger_volume_id(k->r->ledger), 16) != 0)
		tell(k, "%s: is a replica of another volume", i->location);
	else if (rc == -ENOENT || rc == -ERR_FORMAT)
		tell(k, "%s", errmsg_text(&em, rc));
	else if (rc == 0 && (volume_read(&volume, vio, &em) < 0 ||
			     memcmp(volume.id, id, 16) != 0))
		tell(k, "%s: its %s is damaged or missing: %s", i->location,
		     VOLUME_FILE, errmsg_text(&em, -ERR_FORMAT));
	else if (rc == 0)
		look_at_copies(k, vio, i->location);
	vio_free(vio);
	return 0;
}

/* The index is believed about places to look at. */
static int look_at_replicas(struct look *k)
{
	struct idx_reader *r = NULL;
	int rc = 0;

	if (idx_reader_open(&r, k->r->place.store, NULL) >= 0)
		rc = idx_replicas(r, on_replica, k) == -ENOMEM ? -ENOMEM : 0;
	idx_reader_close(r);
	return rc;
}

int fsck_files_look(struct verify *v, struct reader *r, struct errmsg *em)
{
	struct look k = { .v = v, .r = r };
	int rc = look_at_volume(&k, em);

	if (rc == 0)
		rc = look_at_keys(&k);
	if (rc == 0)
		rc = look_at_guard(&k);
	if (rc == 0)
		rc = look_at_replicas(&k);
	if (rc == 0)
		rc = fsck_packs_look(v, r->vio, ledger_volume_id(r->ledger),
				     ledger_was_in_use(r->ledger));
	return rc;
}

/* --- mending --- */

int fsck_files_mend(struct fsck_repair *x, struct errmsg *em)
{
	struct ledger_options o = { .vio = x->vio, .read_only = true };
	struct buf have = BUF_INIT, want = BUF_INIT;
	struct trust *t = calloc(1, sizeof(*t));
	struct ledger *l = NULL;
	int rc = t != NULL ? ledger_open(&l, &o, NULL) : -ENOMEM;

	if (rc == 0)
		rc = read_trust(x->vio, l, &have, &want, t);
	else if (rc != -ENOMEM)
		rc = 1; /* the journal's step speaks of that */
	if (rc == -ENOENT || rc == -ERR_LIMIT ||
	    (rc == 0 &&
	     (have.n != want.n || memcmp(have.p, want.p, have.n) != 0))) {
		rc = atomic_file_write(x->vio, TRUSTED, want.p, want.n, 0);
		if (rc == 0)
			fsck_repair_did(x, TRUSTED
					": made again from the log; origins "
					"and log keys of before a fork may "
					"lack in it");
	}
	ledger_close(l);
	free(t);
	buf_release(&have);
	buf_release(&want);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", TRUSTED, err_text(rc)) : 0;
}
