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
#include <sys/random.h>
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
#include "ledger/volume.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"
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

/* The mount of ours that the path lies in, if it does. */
static char *mount_over(const char *path)
{
	autofree char *at = realpath(path, NULL);
	const struct mounts_one *one;
	char *dir = NULL;
	struct mounts m;

	if (!at || mounts_read(&m) < 0)
		return NULL;
	one = mounts_over(&m, at);
	if (one)
		dir = strdup(one->dir);
	mounts_release(&m);
	return dir;
}

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
	autofree char *dir = NULL;
	struct statfs s;

	if (in->allow_network || statfs(path, &s) < 0)
		return 0;
	dir = mount_over(path);
	if (dir)
		return errmsg_set(em, -ERR_USAGE,
				  "%s lies in a volume itself, in its mount "
				  "%s: say a place outside of it",
				  path, dir);
	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		if ((unsigned long)s.f_type == network[i].magic)
			return errmsg_set(em, -ERR_USAGE,
					  "%s lies on %s, where locks do not "
					  "protect a store; --allow-network "
					  "overrules",
					  path, network[i].name);
	return 0;
}

static bool is_store(const char *path)
{
	char conf[PATH_MAX];

	return snprintf(conf, sizeof(conf), "%s/" VOLUME_FILE, path) <
		       (int)sizeof(conf) &&
	       access(conf, F_OK) == 0;
}

/* What a store holds is its own: it would count as a damaged part of it. */
static int check_outside(const char *path, struct errmsg *em)
{
	autofree char *at = realpath(path, NULL);
	char *slash;

	while (at && (slash = strrchr(at, '/'))) {
		*slash = '\0';
		if (is_store(at[0] ? at : "/"))
			return errmsg_set(em, -ERR_USAGE,
					  "%s lies in the store of another "
					  "volume, %s: say a place outside of "
					  "it",
					  path, at[0] ? at : "/");
	}
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
	hint_store(path);
	if (is_store(path))
		return errmsg_set(em, -EEXIST,
				  "%s is a volume already: mount it with "
				  "`vouch mount STORE DIR`",
				  path);
	return errmsg_set(em, -ENOTEMPTY,
			  "%s is not empty: a store is made in a directory of "
			  "its own, which may be new",
			  path);
}

static int make_dir(struct init *in, struct errmsg *em)
{
	if (!in->store[0])
		return errmsg_set(em, -ERR_USAGE, "STORE is empty");
	if (mkdir(in->store, 0700) == 0) {
		in->made_dir = true;
	} else if (errno != EEXIST) {
		int rc = -errno;
		return errmsg_set(em, rc, "%s: %s", in->store, err_text(rc));
	}
	int rc = check_outside(in->store, em);
	if (rc == 0)
		rc = check_filesystem(in, in->store, em);
	return rc == 0 ? check_empty(in->store, em) : rc;
}

/*
 * HOST/NAME-RANDOM, of letters that an origin may have: those who check proofs
 * tell logs apart by it, and many stores are called vol.
 */
static int default_origin(char out[LIMIT_ORIGIN + 1], const char *path)
{
	char host[65] = "";
	const char *slash = strrchr(path, '/');
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		snprintf(host, sizeof(host), "localhost");
	snprintf(out, LIMIT_ORIGIN + 1, "%s/%.100s-%08x", host,
		 slash ? slash + 1 : path, random);
	for (char *s = out; *s; s++)
		if (*s <= ' ' || *s == '+' || (unsigned char)*s >= 0x7f)
			*s = '-';
	return 0;
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
	char p[PATH_MAX], g[PATH_MAX];

	log_escape(p, sizeof(p), path, strlen(path));
	log_escape(g, sizeof(g), guard, strlen(guard));
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
	hint_store(in->store);
	hint_print("\n"
		   "Next:  `mkdir DIR && vouch mount STORE DIR`\n"
		   "       what others need to check proofs: `vouch key show "
		   "STORE`");
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
		rc = default_origin(made, path);
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
	if (rc == -ERR_USAGE)
		return opt_misuse("init", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("init", rc, &em) : 0;
}
