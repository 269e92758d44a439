/*
 * status_more.c - what `vouch status` says of the guard and of the replicas.
 *
 * Nothing here makes a status fail: what cannot be found out is left to the
 * verb that needs it (mount, replica list), which has the words.
 */
#include "mount-tools/status_more.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/daemon/control.h"
#include "fs/daemon/guard_place.h"
#include "ledger/guard.h"
#include "ledger/ledger.h"
#include "ledger/volume.h"
#include "mount-tools/ctl.h"

static int compare(struct ledger *l, const struct guard *g,
		   struct vio *guard_vio, struct vio *store, struct errmsg *em)
{
	struct guard now = *g;
	struct digest root;
	struct vio_stat st;
	int rc = vio_stat(store, "lock", &st);

	if (rc < 0)
		return 0;
	guard_identify(&now, guard_vio, &st);
	rc = g->size > ledger_size(l) ?
		     guard_check_size(g, ledger_size(l), NULL, em) :
		     ledger_root_at(l, g->size, &root);
	if (rc == 0 && g->size <= ledger_size(l))
		rc = guard_check_size(g, ledger_size(l), &root, em);
	return rc == 0 ? guard_check_identity(g, &now, em) : rc;
}

void status_add_guard(struct buf *out, struct ledger *l,
		      const struct volume *volume, struct vio *store)
{
	autofree char *place = NULL;
	struct errmsg em = ERRMSG_INIT;
	struct vio *v = NULL;
	struct guard g;
	int rc = guard_place_path(&place, NULL);

	if (rc == 0)
		rc = vio_posix_open(&v, place);
	if (rc == 0)
		rc = guard_read(&g, v, volume->id, volume->origin, &em);
	if (rc == 0)
		rc = compare(l, &g, v, store, &em);
	else if (rc == -ENOENT && volume->guarded)
		(void)errmsg_set(&em, rc,
				 "this store was never used on this machine: "
				 "`vouch adopt STORE` or `vouch fork STORE`");
	if (rc < 0 && em.text[0])
		control_add_str(out, "rollback_words", em.text);
	vio_free(v);
}

static void print_one(const struct json *v, uint64_t settled)
{
	const char *where = json_get_str(v, "location");
	const char *error = json_get_str(v, "error");
	struct buf b = BUF_INIT;
	uint64_t position = 0;

	(void)json_get_u64(v, "position", &position);
	text_term_escape(&b, where ? where : "?", where ? strlen(where) : 1);
	if (error && *error) {
		buf_adds(&b, "  NOT FOLLOWING: ");
		text_term_escape(&b, error, strlen(error));
	} else if (position >= settled) {
		buf_adds(&b, "  has everything");
	} else {
		buf_addf(&b, "  at seal %llu of %llu",
			 (unsigned long long)position,
			 (unsigned long long)settled);
	}
	if (!b.bad)
		printf("  %-12s%s\n", "replica", (const char *)b.p);
	buf_release(&b);
}

void status_print_replicas(const char *store)
{
	struct json_doc *doc = NULL;
	uint64_t settled = 0;

	if (ctl_call_brief(&doc, store, "\"verb\":\"replica-list\"", NULL) < 0)
		return;
	const struct json *r = json_root(doc);
	const struct json *list = json_get(r, "replicas");
	(void)json_get_u64(r, "settled", &settled);
	for (const struct json *v = list ? list->first : NULL; v; v = v->next)
		print_one(v, settled);
	json_free(doc);
}
