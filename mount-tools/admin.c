/* admin.c - see admin.h. */
#include "mount-tools/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/vio.h"
#include "fs/daemon/guard_place.h"
#include "mount-tools/ctl.h"

static int open_parts(struct admin *a, const char *key, struct errmsg *em)
{
	int fd = -1, rc;

	if (ctl_connect(&fd, a->store, NULL) == 0) {
		close(fd);
		return errmsg_set(em, -ERR_BUSY,
				  "%s is mounted: unmount it first", a->store);
	}
	rc = vio_posix_open(&a->o.vio, a->store);
	if (rc == 0)
		rc = guard_place_open(&a->o.guard_vio, em);
	if (rc < 0 || !key)
		return rc;
	a->key_path = realpath(key, NULL);
	if (!a->key_path) {
		rc = -errno;
		return errmsg_set(em, rc, "%s: %s", key, err_text(rc));
	}
	rc = vio_posix_open(&a->root, "/");
	a->key = (struct ledger_admin){ a->root, a->key_path + 1 };
	return rc;
}

int admin_open(struct admin *out, const char *store, const char *key,
	       struct errmsg *em)
{
	struct ctl_place place;
	int rc = ctl_find_volume(&place, store, em);

	*out = (struct admin){ .store = NULL };
	if (rc < 0)
		return rc;
	out->store = take(place.store);
	ctl_place_release(&place);
	rc = open_parts(out, key, em);
	if (rc < 0) {
		errmsg_set(em, rc, "%s: %s", out->store, err_text(rc));
		admin_close(out);
	}
	return rc;
}

void admin_close(struct admin *a)
{
	vio_free(a->o.vio);
	vio_free(a->o.guard_vio);
	vio_free(a->root);
	free(a->store);
	free(a->key_path);
	*a = (struct admin){ .store = NULL };
}
