/*
 * fsck_lost.c - see fsck_lost.h.
 *
 * A log that was not put at rest (wal_mark.h) must have what the guard and
 * the index remember of it.  Accepting that it has not changes nothing of the
 * log: mark and guard forget, the index is made anew by the step after.  The
 * guard of another store, this one being a copy, is left alone.
 */
#include "mount-tools/fsck_lost.h"

#include <errno.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/daemon/guard_place.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/guard.h"
#include "ledger/ledger.h"
#include "ledger/wal_mark.h"
#include "mount-tools/fsck_repair.h"

/* The guard as it lies there; false: none that can be read. */
static bool find_guard(struct guard *out, struct vio **out_vio,
		       const uint8_t volume_id[16], const char *origin)
{
	*out_vio = NULL;
	return guard_place_open(out_vio, NULL) == 0 &&
	       guard_read(out, *out_vio, volume_id, origin, NULL) == 0;
}

/* Is it the guard of this store?  Of a copy it is not. */
static bool is_of(const struct guard *g, struct vio *place, struct vio *vio)
{
	struct guard now = *g;
	struct vio_stat st;

	if (vio_stat(vio, "lock", &st) < 0)
		return false;
	guard_identify(&now, place, &st);
	return guard_check_identity(g, &now, NULL) == 0;
}

int fsck_lost_look(const char *store, struct vio *vio, struct ledger *l,
		   struct errmsg *em)
{
	struct idx_reader *r = NULL;
	struct vio *place = NULL;
	struct digest root;
	struct guard g;
	uint64_t seals = 0;
	bool in_use = ledger_was_in_use(l);
	int rc = 0;

	if (find_guard(&g, &place, ledger_volume_id(l), ledger_origin(l)) &&
	    g.wal != 0 && g.size <= ledger_size(l) && is_of(&g, place, vio)) {
		in_use = true;
		rc = ledger_check_marked(l, g.wal, em);
	}
	vio_free(place);
	if (rc == 0 && in_use && idx_reader_open(&r, store, NULL) == 0 &&
	    idx_reader_position(r, &seals, &root) == 0 &&
	    seals > ledger_size(l))
		rc = ledger_tell_ahead(l, seals, em);
	idx_reader_close(r);
	return rc;
}

/* The words of a loss; 0: none, or the log cannot tell (not asked here). */
static int look(struct fsck_repair *x, struct errmsg *em)
{
	struct ledger_options o = { .vio = x->vio, .read_only = true };
	struct errmsg own = ERRMSG_INIT;
	struct ledger *l = NULL;
	int rc = ledger_open(&l, &o, &own);

	if (rc == 0)
		rc = fsck_lost_look(x->store, x->vio, l, &own);
	ledger_close(l);
	if (rc == -ERR_LOST)
		return errmsg_set(em, rc, "%s", errmsg_text(&own, rc));
	return rc == -ENOMEM ? rc : 0;
}

static int forget(struct fsck_repair *x, struct errmsg *em)
{
	struct vio *place = NULL;
	struct guard g;
	int rc = 0;

	if (find_guard(&g, &place, x->volume.id, x->volume.origin) &&
	    g.wal != 0 && is_of(&g, place, x->vio)) {
		g.wal = 0;
		rc = guard_write(&g, place, em);
	}
	vio_free(place);
	if (rc == 0)
		rc = wal_mark_forget(x->vio, x->volume.id);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", WAL_MARK, err_text(rc)) :
			0;
}

int fsck_lost_step(struct fsck_repair *x, bool accept, struct errmsg *em)
{
	struct errmsg words = ERRMSG_INIT;
	int rc = look(x, &words);

	if (rc != -ERR_LOST)
		return rc;
	if (!accept)
		return errmsg_set(em, rc, "%s", words.text);
	rc = forget(x, em);
	if (rc == 0)
		fsck_repair_did(x, "accepted: %s", words.text);
	return rc;
}
