/* guard_place.c - see guard_place.h.  Any thread; reads the environment. */
#include "fs/daemon/guard_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/vio.h"

#define ROOT_PLACE "/var/lib/vouchfs/guard"

static char *join(const char *a, const char *b)
{
	char *s = NULL;

	return asprintf(&s, "%s/%s", a, b) < 0 ? NULL : s;
}

int guard_place_path(char **out, struct errmsg *em)
{
	const char *own = getenv("VOUCHFS_GUARD_DIR");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (own && own[0] == '/')
		*out = strdup(own);
	else if (own && *own)
		return errmsg_set(em, -ERR_USAGE,
				  "VOUCHFS_GUARD_DIR is no absolute path");
	else if (geteuid() == 0)
		*out = strdup(ROOT_PLACE);
	else if (state && state[0] == '/')
		*out = join(state, "vouchfs/guard");
	else if (home && home[0] == '/')
		*out = join(home, ".local/state/vouchfs/guard");
	else
		return errmsg_set(em, -ENOENT,
				  "no place for guards: set HOME or "
				  "VOUCHFS_GUARD_DIR");
	return *out ? 0 : -ENOMEM;
}

/* mkdir -p; existing directories keep their modes. */
static int make_all(char *path)
{
	for (char *s = path + 1;; s++) {
		char c = *s;
		if (c != '/' && c != '\0')
			continue;
		*s = '\0';
		int rc = mkdir(path, 0700) < 0 ? -errno : 0;
		*s = c;
		if (rc < 0 && rc != -EEXIST)
			return rc;
		if (c == '\0')
			return 0;
	}
}

int guard_place_make(char **out, struct errmsg *em)
{
	int rc = guard_place_path(out, em);

	if (rc < 0)
		return rc;
	rc = make_all(*out);
	if (rc < 0) {
		errmsg_set(em, rc, "guard directory %s: %s", *out,
			   err_text(rc));
		free(take(*out));
	}
	return rc;
}

int guard_place_open(struct vio **out, struct errmsg *em)
{
	autofree char *path = NULL;
	int rc = guard_place_make(&path, em);

	if (rc < 0)
		return rc;
	rc = vio_posix_open(out, path);
	return rc < 0 ? errmsg_set(em, rc, "guard directory %s: %s", path,
				   err_text(rc)) :
			rc;
}
