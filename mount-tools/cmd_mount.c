/*
 * cmd_mount.c - `vouch mount`, and mount(8)'s helper.  Here the virtual files
 * of analytics and the verbs of other tools are wired to the mount.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/provider.h"
#include "base/err.h"
#include "fs/daemon/mount.h"
#include "fs/daemon/mount_opt.h"
#include "fs/daemon/serve.h"
#include "base/log.h"
#include "ledger/volume.h"
#include "mount-tools/ctl.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"
#include "mount-tools/opt.h"
#include "mount-tools/verbs.h"
#include "mount-tools/vouch.h"

struct wired {
	struct provider *provider;
	struct serve *serve;
};

static int wire_open(void *ctx, struct core *core, struct control *control,
		     const struct mount_opt *opt, struct vdir *out,
		     struct errmsg *em)
{
	struct wired *w = ctx;
	struct provider_options o = { .audit_gid = opt->audit_gid };
	int rc = serve_open(&w->serve, core, control, em);

	if (rc == 0)
		rc = provider_open(&w->provider, core, &o, out, em);
	if (rc < 0)
		serve_close(take(w->serve));
	else
		verbs_register(control, core);
	return rc;
}

static void wire_close(void *ctx, struct vdir *v)
{
	struct wired *w = ctx;

	(void)v;
	provider_close(take(w->provider));
}

/* The replicas get the end of the log, too. */
static void wire_release(void *ctx)
{
	struct wired *w = ctx;

	serve_close(take(w->serve));
}

/* One whose daemon died is in the table, and may be mounted anew. */
static bool lives(const char *store)
{
	int rc = ctl_alive(store, NULL);

	return rc == 0 || rc == -ETIMEDOUT;
}

/* By the table of mounts, which has the words that a lock has not. */
static int check_mounted(const char *store, const char *dir, struct errmsg *em)
{
	struct mounts m;
	int rc = mounts_read(&m);

	for (size_t i = 0; rc == 0 && i < m.n; i++)
		if (strcmp(m.v[i].store, store) == 0 && lives(store))
			rc = errmsg_set(em, -EBUSY,
					"%s is already mounted, on %s", store,
					m.v[i].dir);
		else if (strcmp(m.v[i].dir, dir) == 0)
			rc = errmsg_set(em, -EBUSY,
					"%s is where %s is mounted: `vouch "
					"umount %s` first, or another DIR",
					dir, m.v[i].store, dir);
	mounts_release(&m);
	return rc;
}

/* A store that is there would be hidden; of other files that is told. */
static int check_dir(const char *dir, struct errmsg *em)
{
	DIR *d = opendir(dir);
	bool store = false, other = false;

	for (struct dirent *e; d && (e = readdir(d));) {
		store = store || strcmp(e->d_name, VOLUME_FILE) == 0;
		other = other || (strcmp(e->d_name, ".") != 0 &&
				  strcmp(e->d_name, "..") != 0);
	}
	if (d)
		closedir(d);
	if (store)
		return errmsg_set(em, -ENOTEMPTY,
				  "%s is the store of a volume: a mount on it "
				  "would hide it",
				  dir);
	if (other) {
		char shown[PATH_MAX];

		log_escape(shown, sizeof(shown), dir, strlen(dir));
		fprintf(stderr,
			"vouch mount: %s is not empty: what is in it is hidden "
			"while the volume is mounted there\n",
			shown);
	}
	return 0;
}

/* What a person should hear; what is wrong otherwise is told by mount_run. */
static int check_person(const char *store, const char *dir, struct errmsg *em)
{
	autofree char *at = realpath(dir, NULL);
	int rc = at ? check_mounted(store, at, em) : 0;

	return rc < 0 || !at || strcmp(store, at) == 0 ? rc : check_dir(at, em);
}

static int do_mount(const struct mount_options *o)
{
	struct wired wired = { .serve = NULL };
	const struct mount_wiring wiring = {
		.open = wire_open,
		.close = wire_close,
		.release = wire_release,
		.ctx = &wired,
	};
	autofree char *store = realpath(o->store, NULL);
	struct errmsg em = ERRMSG_INIT;
	int rc;

	hint_store(store ? store : o->store);
	rc = store ? check_person(store, o->dir, &em) : 0;
	if (rc == 0)
		rc = mount_run(o, &wiring, &em);

	if (rc == -ERR_USAGE)
		return opt_misuse("mount", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("mount", rc, &em) : 0;
}

/* Several -o are one, with commas between. */
static char *join(const struct opt_texts *t)
{
	size_t n = 1;
	char *out;

	for (unsigned i = 0; i < t->n; i++)
		n += strlen(t->v[i]) + 1;
	out = calloc(1, n);
	for (unsigned i = 0, at = 0; out && i < t->n; i++)
		at += (unsigned)snprintf(out + at, n - at, "%s%s", i ? "," : "",
					 t->v[i]);
	return out;
}

int cmd_mount(int argc, char **argv)
{
	struct opt_texts texts = { .n = 0 };
	struct mount_options o = { 0 };
	const struct opt options[] = {
		{ 'f', "foreground", OPT_FLAG, &o.foreground, NULL,
		  "stay, log to stderr" },
		{ 'o', NULL, OPT_EACH, &texts, "OPTS",
		  "mount options, see vouchfs(5)" },
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 2, 2);

	if (status != OPT_GO)
		return status;
	autofree char *text = join(&texts);
	o.store = argv[0];
	o.dir = argv[1];
	o.text = text;
	return do_mount(&o);
}

/* mount.fuse.vouchfs STORE DIR [-sfnv] [-N ns] [-o OPTS] [-t TYPE] */
int cmd_mount_helper(int argc, char **argv)
{
	static char verb[] = "mount";
	bool fake = false, ignored = false;
	const char *unused = NULL;
	struct opt_texts texts = { .n = 0 };
	const struct opt options[] = {
		{ 'f', NULL, OPT_FLAG, &fake, NULL, "only check" },
		{ 's', NULL, OPT_FLAG, &ignored, NULL, "ignored" },
		{ 'n', NULL, OPT_FLAG, &ignored, NULL, "ignored" },
		{ 'v', NULL, OPT_FLAG, &ignored, NULL, "ignored" },
		{ 'N', NULL, OPT_TEXT, &unused, "NS", "ignored" },
		{ 't', NULL, OPT_TEXT, &unused, "TYPE", "ignored" },
		{ 'o', NULL, OPT_EACH, &texts, "OPTS", "mount options" },
		OPT_END,
	};
	int status;

	argv[0] = verb;
	status = opt_parse(options, &argc, &argv, 2, 2);
	if (status != OPT_GO)
		return status;
	if (fake)
		return 0;
	autofree char *text = join(&texts);
	return do_mount(&(struct mount_options){
		.store = argv[0], .dir = argv[1], .text = text });
}
