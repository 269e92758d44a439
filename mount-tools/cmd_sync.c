/*
 * cmd_sync.c - `vouch sync DIR`.  sync(2) and syncfs(2) send nothing to a
 * FUSE daemon; this does: first the kernel's dirty pages, then the daemon
 * makes versions and commits.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "mount-tools/ctl.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

static int sync_place(const struct ctl_place *p, struct errmsg *em)
{
	int fd, rc;

	if (!p->dir)
		return errmsg_set(em, -ENOTCONN,
				  "%s is not mounted: all of it "
				  "is durable",
				  p->store);
	rc = ctl_alive(p->store, em); /* the kernel would ask it, for ever */
	if (rc == -ETIMEDOUT)
		return rc;
	rc = 0;
	fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", p->dir, err_text(rc));
	return ctl_call(NULL, p->store, "\"verb\":\"sync\"", em);
}

int cmd_sync(int argc, char **argv)
{
	const struct opt options[] = { OPT_END };
	struct errmsg em = ERRMSG_INIT;
	struct ctl_place place;
	int status = opt_parse(options, &argc, &argv, 1, 1);

	if (status != OPT_GO)
		return status;
	int rc = ctl_find_volume(&place, argv[0], &em);
	if (rc == 0)
		rc = sync_place(&place, &em);
	ctl_place_release(&place);
	return rc < 0 ? opt_fail("sync", rc, &em) : 0;
}
