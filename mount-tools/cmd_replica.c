/*
 * cmd_replica.c - `vouch replica`: directories (on other disks) that get what
 * the store has, within seconds, and from which it is repaired or made again.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/replica/replicate.h"
#include "ledger/volume.h"
#include "mount-tools/ask.h"
#include "mount-tools/mounts.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/progress.h"
#include "mount-tools/vouch.h"

/*
 * An absolute path.  With made (what a replica is added to, or restored to) its
 * directory is made, and *made tells whether it was not there.
 */
static char *absolute(const char *dir, bool *made, struct errmsg *em)
{
	bool make = made != NULL;
	char *out;

	if (make) {
		*made = mkdir(dir, 0700) == 0;
		if (!*made && errno != EEXIST) {
			errmsg_set(em, -errno, "%s: %s", dir, err_text(-errno));
			return NULL;
		}
	}
	out = realpath(dir, NULL);
	if (!out && !make && dir[0] == '/')
		return strdup(dir); /* its disk is gone */
	if (!out)
		errmsg_set(em, -errno, "%s: %s", dir, err_text(-errno));
	return out;
}

/* --- list --------------------------------------------------------------------- */

static uint64_t number(const struct json *o, const char *key)
{
	uint64_t v = 0;

	(void)!json_get_u64(o, key, &v);
	return v;
}

static void list_one(struct buf *out, const struct json *v, uint64_t settled)
{
	const char *where = json_get_str(v, "location");
	const char *error = json_get_str(v, "error");
	char size[TEXT_SIZE_SIZE];

	buf_addf(out, "%llu  ", (unsigned long long)number(v, "number"));
	text_term_escape(out, where ? where : "", where ? strlen(where) : 0);
	buf_adds(out, "  ");
	if (error && *error) {
		buf_adds(out, "NOT FOLLOWING: ");
		text_term_escape(out, error, strlen(error));
	} else if (number(v, "position") >= settled) {
		text_size(size, number(v, "bytes"));
		buf_addf(out, "has everything, %s", size);
	} else {
		text_size(size, number(v, "behind_bytes"));
		buf_addf(out, "at seal %llu of %llu, %s to copy",
			 (unsigned long long)number(v, "position"),
			 (unsigned long long)settled, size);
	}
	buf_addc(out, '\n');
}

static void json_out(struct buf *out, const struct json *v);

static void json_members(struct buf *out, const struct json *v)
{
	for (const struct json *m = v->first; m; m = m->next) {
		if (m != v->first)
			buf_addc(out, ',');
		if (m->key) {
			text_json_string(out, m->key, strlen(m->key));
			buf_addc(out, ':');
		}
		json_out(out, m);
	}
}

/* A parsed value as text again. */
static void json_out(struct buf *out, const struct json *v)
{
	switch (v->type) {
	case JSON_STRING:
		text_json_string(out, v->text, v->len);
		return;
	case JSON_NUMBER:
		buf_add(out, v->text, v->len);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		buf_addc(out, v->type == JSON_ARRAY ? '[' : '{');
		json_members(out, v);
		buf_addc(out, v->type == JSON_ARRAY ? ']' : '}');
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_adds(out, v->type == JSON_TRUE ? "true" : "false");
		return;
	case JSON_NULL:
		buf_adds(out, "null");
	}
}

/* 1 when one of them does not follow. */
static int list(enum opt_format format, const struct json *answer)
{
	const struct json *all = json_get(answer, "replicas");
	struct buf b = BUF_INIT;
	int status = 0;

	for (const struct json *v = all ? all->first : NULL; v; v = v->next) {
		const char *error = json_get_str(v, "error");

		if (error && *error)
			status = 1;
		if (format == OPT_AS_TEXT)
			list_one(&b, v, number(answer, "settled"));
	}
	if (format == OPT_AS_JSON && all) {
		json_out(&b, all);
		buf_addc(&b, '\n');
	} else if (all && !all->first) {
		buf_adds(&b, "no replicas: what the store's disk loses is "
			     "lost\n");
	}
	if (print_flush(&b) < 0)
		status = 1;
	buf_release(&b);
	return status;
}

/* --- verbs -------------------------------------------------------------------- */

static int ask(struct json_doc **out, const char *path, const char *verb,
	       const char *dir, struct errmsg *em)
{
	struct ctl_place place;
	struct buf b = BUF_INIT;
	int rc = ctl_find_volume(&place, path, em);

	buf_addf(&b, "\"verb\":\"replica-%s\"", verb);
	if (dir)
		ask_add(&b, "directory", dir);
	if (rc == 0)
		rc = b.bad ? -ENOMEM : ask_volume(out, &place, (char *)b.p, em);
	buf_release(&b);
	ctl_place_release(&place);
	return rc;
}

/*
 * A copy of a store that is written into a volume would be copied itself: any
 * volume's, since that one may lie in this one.
 */
static int refuse_mounts(const char *dir, struct errmsg *em)
{
	struct mounts all = { .n = 0 };
	int rc = mounts_read(&all);

	if (rc == 0 && mounts_over(&all, dir))
		rc = errmsg_set(em, -ERR_USAGE,
				"%s lies in a mounted volume: a replica "
				"belongs on another disk",
				dir);
	mounts_release(&all);
	return rc;
}

static int change(const char *verb, const char *path, const char *dir)
{
	struct errmsg em = ERRMSG_INIT;
	bool add = strcmp(verb, "add") == 0, made = false;
	autofree char *abs = absolute(dir, add ? &made : NULL, &em);
	char shown[PATH_MAX];
	int rc = abs ? 0 : -ENOENT;

	if (rc == 0 && add)
		rc = refuse_mounts(abs, &em);
	if (rc == 0)
		rc = ask(NULL, path, verb, abs, &em);
	if (rc < 0 && made)
		(void)rmdir(dir);
	if (rc < 0)
		return opt_fail("replica", rc, &em);
	log_escape(shown, sizeof(shown), abs, strlen(abs));
	if (add)
		printf("%s is a replica now and follows the store.\n", shown);
	else
		printf("%s is no replica any more; its files stay.\n", shown);
	return 0;
}

static int show(const char *verb, const char *path, enum opt_format format)
{
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	int rc = ask(&answer, path, verb, NULL, &em);
	int status = rc < 0 ? opt_fail("replica", rc, &em) :
			      list(format, json_root(answer));

	json_free(answer);
	return status;
}

static int restore(const char *dir, const char *store)
{
	struct errmsg em = ERRMSG_INIT, own = ERRMSG_INIT;
	struct replica *r = NULL;
	struct vio *vio = NULL;
	struct progress bar;
	uint8_t volume[16];
	bool made = false;
	autofree char *from = absolute(dir, NULL, &em);
	autofree char *to = from ? absolute(store, &made, &em) : NULL;
	char shown[PATH_MAX];
	int rc = to ? replica_dir_identify(from, volume, &own) : -ENOENT;

	if (rc == -ENOENT && to)
		errmsg_set(&em, rc, "%s holds no replica", from);
	else if (rc < 0)
		errmsg_set(&em, rc, "%s", errmsg_text(&own, rc));
	if (rc == 0)
		rc = replica_dir_open(&r, from, volume, 0, &em);
	if (rc == 0)
		rc = vio_posix_open(&vio, to);
	progress_start(&bar, "copying", true);
	if (rc == 0)
		rc = replicate_restore(vio, r, progress_tell, &bar, &em);
	/* What was in it had not settled, and is lost with the disk. */
	if (rc == 0)
		rc = vio_mkdirs(vio, "wal");
	if (rc == 0)
		rc = atomic_file_write(vio, VOLUME_RESTORED, from, strlen(from),
				       0);
	progress_end(&bar);
	replica_close(r);
	vio_free(vio);
	if (rc < 0 && made)
		(void)rmdir(store); /* unless something came already */
	if (rc < 0)
		return opt_fail("replica", rc, &em);
	log_escape(shown, sizeof(shown), to, strlen(to));
	printf("The store is in %s again, as far as the replica had it.\n"
	       "Secret keys are on no replica: put your copy of them into "
	       "%s/keys (0600).\n"
	       "Of those that were rotated after the replica stopped, the log "
	       "here knows the old ones.\n"
	       "Then `vouch verify --deep %s`, and `vouch fork %s`: it goes "
	       "on under a new origin, since\n"
	       "what the replica lacked may have been signed. (Where its guard "
	       "says that all is there,\n`vouch adopt` goes on under the old "
	       "one.)\n",
	       shown, shown, shown, shown);
	return 0;
}

int cmd_replica(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	const struct opt options[] = { OPT_FORMAT(&format), OPT_END };
	int status = opt_parse(options, &argc, &argv, 1, 3);
	const char *verb;

	if (status != OPT_GO)
		return status;
	verb = argv[0];
	if ((strcmp(verb, "add") == 0 || strcmp(verb, "remove") == 0) &&
	    argc == 3)
		return change(verb, argv[1], argv[2]);
	if ((strcmp(verb, "list") == 0 || strcmp(verb, "sync") == 0) &&
	    argc == 2)
		return show(verb, argv[1], format);
	if (strcmp(verb, "restore") == 0 && argc == 3)
		return restore(argv[1], argv[2]);
	return opt_misuse("replica", "add, list, remove, sync or "
				     "restore, and what they need");
}
