/*
 * cmd_init.c - `vouch init STORE`: makes a volume and says in words what was
 * made and what to take care of.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/daemon/guard_place.h"
#include "ledger/ledger.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

#ifndef NFS_SUPER_MAGIC
#define NFS_SUPER_MAGIC 0x6969
#endif
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

struct init {
	const char *store, *origin;
	bool allow_network, no_guard;
	enum opt_format format;
	bool made_dir;
};

/* Its locks expire silently there, and two mounts may fork the log. */
static int check_filesystem(const struct init *in, const char *path,
			    struct errmsg *em)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} network[] = {
		{ NFS_SUPER_MAGIC, "NFS" },   { CIFS_SUPER_MAGIC, "CIFS" },
		{ SMB2_SUPER_MAGIC, "SMB" },  { SMB_SUPER_MAGIC, "SMB" },
		{ CEPH_SUPER_MAGIC, "Ceph" }, { AFS_SUPER_MAGIC, "AFS" },
		{ CODA_SUPER_MAGIC, "Coda" }, { V9FS_MAGIC, "9p" },
		{ FUSE_SUPER_MAGIC, "FUSE" },
	};
	struct statfs s;

	if (in->allow_network || statfs(path, &s) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		if ((unsigned long)s.f_type == network[i].magic)
			return errmsg_set(em, -ERR_USAGE,
					  "%s lies on %s, where locks do not "
					  "protect a store; --allow-network "
					  "overrules",
					  path, network[i].name);
	return 0;
}

static int check_empty(const char *path, struct errmsg *em)
{
	int n = 0;
	DIR *d = opendir(path);

	if (!d)
		return errmsg_set(em, -errno, "%s: %s", path, err_text(-errno));
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 &&
		     strcmp(e->d_name, "..") != 0;
	closedir(d);
	if (n == 0)
		return 0;
	char conf[PATH_MAX];
	snprintf(conf, sizeof(conf), "%s/volume.conf", path);
	if (access(conf, F_OK) == 0)
		return errmsg_set(em, -EEXIST,
				  "%s is a volume already: mount it with "
				  "`vouch mount %s DIR`",
				  path, path);
	return errmsg_set(em, -ENOTEMPTY, "%s is not empty", path);
}

static int make_dir(struct init *in, struct errmsg *em)
{
	if (mkdir(in->store, 0700) == 0) {
		in->made_dir = true;
	} else if (errno != EEXIST) {
		int rc = -errno;
		return errmsg_set(em, rc, "%s: %s", in->store, err_text(rc));
	}
	int rc = check_filesystem(in, in->store, em);
	return rc == 0 ? check_empty(in->store, em) : rc;
}

/* HOST/NAME, of letters that an origin may have. */
static void default_origin(char out[LIMIT_ORIGIN + 1], const char *path)
{
	char host[65] = "";
	const char *slash = strrchr(path, '/');

	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		snprintf(host, sizeof(host), "localhost");
	snprintf(out, LIMIT_ORIGIN + 1, "%s/%.100s", host,
		 slash ? slash + 1 : path);
	for (char *s = out; *s; s++)
		if (*s <= ' ' || *s == '+' || (unsigned char)*s >= 0x7f)
			*s = '-';
}

static int create(const struct init *in, const char *origin, struct errmsg *em)
{
	struct ledger_create_options o = {
		.origin = origin,
		.keys_dir = "keys",
		.root_uid = geteuid(),
		.root_gid = getegid(),
		.root_mode = 0755,
	};
	int rc = vio_posix_open(&o.vio, in->store);

	if (rc == 0 && !in->no_guard)
		rc = guard_place_open(&o.guard_vio, em);
	if (rc == 0)
		rc = ledger_create(&o, em);
	vio_free(o.vio);
	vio_free(o.guard_vio);
	return rc;
}

static void print_json(const struct init *in, const char *path,
		       const char *origin, const char *guard)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"store\":");
	text_json_string(&b, path, strlen(path));
	buf_adds(&b, ",\"origin\":");
	text_json_string(&b, origin, strlen(origin));
	buf_addf(&b, ",\"admin_key\":\"keys/admin.key\",\"guard\":");
	if (in->no_guard)
		buf_adds(&b, "null");
	else
		text_json_string(&b, guard, strlen(guard));
	buf_adds(&b, "}\n");
	if (!b.bad)
		fwrite(b.p, 1, b.n, stdout);
	buf_release(&b);
}

static void print_text(const struct init *in, const char *path,
		       const char *origin, const char *guard)
{
	char p[PATH_MAX], g[PATH_MAX], s[PATH_MAX];

	log_escape(p, sizeof(p), path, strlen(path));
	log_escape(g, sizeof(g), guard, strlen(guard));
	log_escape(s, sizeof(s), in->store, strlen(in->store));
	printf("A new volume is in %s; its log is called %s.\n"
	       "\n"
	       "  admin key  %s/keys/admin.key\n"
	       "             It certifies the other keys. Keep a copy "
	       "elsewhere (a password safe, a\n"
	       "             stick in a drawer), then it may be removed from "
	       "here.\n",
	       p, origin, p);
	if (in->no_guard)
		printf("  guard      none: an old copy of the store would not "
		       "be noticed.\n");
	else
		printf("  guard      %s\n"
		       "             A note outside the store, so that an old "
		       "copy of it is noticed.\n",
		       g);
	printf("\n"
	       "Next:  mkdir DIR && vouch mount %s DIR\n"
	       "       what others need to check proofs: vouch key show %s\n",
	       s, s);
}

static int init(struct init *in, struct errmsg *em)
{
	char made[LIMIT_ORIGIN + 1];
	autofree char *path = NULL, *guard = NULL;
	const char *origin = in->origin;
	int rc = make_dir(in, em);

	if (rc == 0) {
		path = realpath(in->store, NULL);
		rc = path ? 0 : -errno;
	}
	if (rc == 0 && !origin) {
		default_origin(made, path);
		origin = made;
	}
	if (rc == 0)
		rc = create(in, origin, em);
	if (rc == 0)
		rc = guard_place_path(&guard, em);
	if (rc < 0 && in->made_dir)
		(void)rmdir(in->store); /* if it is empty still */
	if (rc < 0)
		return rc;
	if (in->format == OPT_AS_JSON)
		print_json(in, path, origin, guard);
	else
		print_text(in, path, origin, guard);
	return 0;
}

int cmd_init(int argc, char **argv)
{
	struct init in = { .format = OPT_AS_TEXT };
	const struct opt options[] = {
		{ 0, "origin", OPT_TEXT, &in.origin, "NAME",
		  "what the log is called, for ever (HOST/STORE)" },
		{ 0, "allow-network", OPT_FLAG, &in.allow_network, NULL,
		  "even on NFS and the like" },
		{ 0, "no-guard", OPT_FLAG, &in.no_guard, NULL,
		  "no note outside the store" },
		OPT_FORMAT(&in.format),
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 1);

	if (status != OPT_GO)
		return status;
	in.store = argv[0];
	int rc = init(&in, &em);
	return rc < 0 ? opt_fail("init", rc, &em) : 0;
}
