/*
 * verbs_restore.c - the plan of `vouch restore`: what anybody did after a
 * place of the log, as what takes it back (analytics/undo.h).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "analytics/run_walk.h"
#include "analytics/spool.h"
#include "analytics/undo.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "mount-tools/verbs_int.h"

#define PLAN "plan-" /* in STORE/cache */
enum { OLD_S = 3600 };

/* What is written is in the log. */
static int settle(struct core *c)
{
	int rc = core_options_of(c)->read_only ? 0 : core_sync(c);

	return rc < 0 ? rc : core_settle_index(c);
}

/* What somebody who was killed left there. */
static void remove_old(const char *dir)
{
	DIR *d = opendir(dir);
	struct stat st;

	for (struct dirent *e; d && (e = readdir(d));)
		if (strncmp(e->d_name, PLAN, strlen(PLAN)) == 0 &&
		    fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    st.st_mtime < time(NULL) - OLD_S)
			(void)!unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

/* A long plan as a file, which who asks removes when he has opened it. */
static int put_file(struct core *c, const struct spool *s, struct buf *out)
{
	autofree char *dir = NULL, *path = NULL;
	char name[sizeof(PLAN) + 2 * sizeof(uint64_t)];
	uint64_t r;
	int rc;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -EIO;
	snprintf(name, sizeof(name), PLAN "%016llx", (unsigned long long)r);
	if (asprintf(&dir, "%s/cache", core_store_dir(c)) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	remove_old(dir);
	rc = spool_keep(s, path);
	if (rc == 0)
		control_add_str(out, "file", path);
	return rc;
}

int verbs_restore_plan(void *ctx, const struct json *request,
		       const struct cred *peer, struct buf *out,
		       struct errmsg *em)
{
	struct run_view all = { .cr = NULL }; /* none but he is heard here */
	const char *when = json_get_str(request, "when");
	struct idx_reader *r = NULL;
	struct core *c = ctx;
	struct spool s;
	uint64_t at = 0;
	int rc;

	(void)peer;
	if (!when || !json_get_u64(request, "at", &at))
		return errmsg_set(em, -ERR_USAGE, "as it was when?");
	spool_init(&s, core_store_dir(c), 0);
	rc = settle(c);
	if (rc == 0)
		rc = core_reader_take(c, &r);
	if (rc == 0)
		rc = undo_report_since(c, &all, r, at, when, &s);
	core_reader_give(c, r);
	if (rc == 0)
		rc = spool_end(&s);
	if (rc == 0 && s.fd < 0)
		rc = verbs_spool(&s, false, out);
	else if (rc == 0)
		rc = put_file(c, &s, out);
	spool_release(&s);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}
