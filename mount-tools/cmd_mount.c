/*
 * cmd_mount.c - `vouch mount`, and mount(8)'s helper.  Here the virtual files
 * of analytics and the verbs of other tools are wired to the mount.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/provider.h"
#include "base/err.h"
#include "fs/daemon/mount.h"
#include "fs/daemon/mount_opt.h"
#include "fs/daemon/serve.h"
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

static int do_mount(const struct mount_options *o)
{
	struct wired wired = { .serve = NULL };
	const struct mount_wiring wiring = {
		.open = wire_open,
		.close = wire_close,
		.release = wire_release,
		.ctx = &wired,
	};
	struct errmsg em = ERRMSG_INIT;
	int rc = mount_run(o, &wiring, &em);

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
