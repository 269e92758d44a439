/*
 * offline.c - see offline.h.  What is checked is in proof_check.c and
 * mirror.c; here files are found and read.  One thread.
 */
#include "ledger/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "ledger/mirror.h"
#include "ledger/proof.h"
#include "ledger/proof_text.h"
#include "ledger/trust.h"

enum { READ_SIZE = 1 << 20, TILE_FILE_MAX = 32 << 20 };

/* Reads a whole small file; path as the user gave it. */
static int read_small(struct buf *out, const char *path, size_t max,
		      struct errmsg *em)
{
	char real[PATH_MAX];
	struct vio *v = NULL;
	int rc;

	if (realpath(path, real) == NULL)
		return errmsg_set(em, -errno, "%s: %s", path, strerror(errno));
	rc = vio_posix_open(&v, "/");
	if (rc == 0)
		rc = vio_read_file(v, out, real + 1, max);
	vio_free(v);
	return rc == 0 ? 0 : errmsg_set(em, rc, "%s: %s", path, err_text(rc));
}

static int hash_fd(struct proof_file *out, int fd)
{
	struct digest_sha256_ctx *c = digest_sha256_new();
	autofree uint8_t *p = malloc(READ_SIZE);
	ssize_t n = c == NULL || p == NULL ? -1 : 1;
	int rc = n < 0 ? -ENOMEM : 0;

	out->size = 0;
	while (n > 0) {
		n = read(fd, p, READ_SIZE);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			rc = -errno;
		if (n > 0) {
			digest_sha256_update(c, p, (size_t)n);
			out->size += (uint64_t)n;
		}
	}
	if (rc == 0)
		digest_sha256_final(c, &out->sha256);
	digest_sha256_free(c);
	return rc;
}

static int hash_file(struct proof_file *out, const char *path,
		     struct errmsg *em)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0)
		return errmsg_set(em, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode)) {
		close(fd); /* /dev/zero has no end */
		return errmsg_set(em, -EINVAL,
				  "%s is a device, not a file that was proved",
				  path);
	}
	rc = hash_fd(out, fd);
	close(fd);
	return rc == 0 ? 0 : errmsg_set(em, rc, "%s: %s", path, err_text(rc));
}

/* The trust file to use; em says what is missing. */
static int load_trust(struct trust *out, const char *given, struct errmsg *em)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	struct buf autocall(buf_release) home = BUF_INIT;
	const char *path = given != NULL ? given : getenv("VOUCH_TRUST");
	int rc;

	if (path == NULL && getenv("XDG_CONFIG_HOME") != NULL)
		buf_addf(&home, "%s/vouchfs/trust", getenv("XDG_CONFIG_HOME"));
	else if (path == NULL && getenv("HOME") != NULL)
		buf_addf(&home, "%s/.config/vouchfs/trust", getenv("HOME"));
	if (path == NULL && (home.n == 0 || access((char *)home.p, F_OK) != 0))
		return errmsg_set(em, -ERR_USAGE,
				  "nobody is trusted yet: give --trust FILE "
				  "with the log's and the admin's keys");
	if (path == NULL)
		path = (char *)home.p;
	rc = read_small(&b, path, TRUST_FILE_MAX, em);
	if (rc < 0)
		return rc;
	rc = trust_parse(out, b.p, b.n, em);
	return rc == 0 ? 0 : errmsg_wrap(em, rc, "%s", path);
}

int offline_check_file(struct buf *out, const char *path,
		       const char *proof_path, const struct offline_options *o,
		       struct errmsg *em)
{
	struct buf autocall(buf_release) text = BUF_INIT;
	autofree struct trust *trust = calloc(1, sizeof(*trust));
	autofree struct proof_report *report = calloc(1, sizeof(*report));
	autofree struct proof *proof = calloc(1, sizeof(*proof));
	struct proof_file file;
	int rc;

	if (trust == NULL || report == NULL || proof == NULL)
		return -ENOMEM;
	rc = load_trust(trust, o->trust, em);
	if (rc == 0)
		rc = hash_file(&file, path, em);
	if (rc == 0)
		rc = read_small(&text, proof_path, PROOF_MAX, em);
	if (rc == 0)
		rc = proof_parse(proof, text.p, text.n, em);
	if (rc == 0)
		rc = proof_check(report, proof, trust, &file, em);
	if (rc == 0 && o->json)
		proof_text_json(out, report, path);
	else if (rc == 0)
		proof_text(out, report, path);
	proof_release(proof);
	return rc == 0 && out->bad ? -ENOMEM : rc;
}

static int load_tile(void *ctx, struct buf *out, const char *path)
{
	return vio_read_file(ctx, out, path, TILE_FILE_MAX);
}

static void log_words(struct buf *out, const struct offline_options *o,
		      const struct mirror_report *r)
{
	char when[TEXT_TIME_SIZE];

	text_time(when, r->last_wall_ns);
	if (o->json) {
		buf_adds(out, "{\"ok\":true,\"origin\":");
		text_json_string(out, r->checkpoint.origin,
				 strlen(r->checkpoint.origin));
		buf_addf(out,
			 ",\"size\":%llu,\"entries\":%llu,\"mounts\":%u,"
			 "\"tiles\":%llu,\"last_time_claimed\":\"%s\"}\n",
			 (unsigned long long)r->seals,
			 (unsigned long long)r->entries, r->mounts,
			 (unsigned long long)r->tiles, when);
		return;
	}
	buf_adds(out, "log         ");
	text_term_escape(out, r->checkpoint.origin,
			 strlen(r->checkpoint.origin));
	buf_addf(out, ": %llu seals for %llu entries by %u mount%s\n",
		 (unsigned long long)r->seals, (unsigned long long)r->entries,
		 r->mounts, r->mounts == 1 ? "" : "s");
	buf_addf(out,
		 "            signed by a trusted log key, %llu tile%s,\n"
		 "            every mount's seals follow one another\n"
		 "            last seal at %s by its mount's clock\n",
		 (unsigned long long)r->tiles,
		 r->tiles == 1 ? " agrees" : "s agree", when);
}

int offline_check_log(struct buf *out, const char *dir,
		      const struct offline_options *o, struct errmsg *em)
{
	autofree struct trust *trust = calloc(1, sizeof(*trust));
	struct mirror_report report;
	char real[PATH_MAX];
	struct vio *v = NULL;
	int rc;

	if (trust == NULL)
		return -ENOMEM;
	if (realpath(dir, real) == NULL)
		return errmsg_set(em, -errno, "%s: %s", dir, strerror(errno));
	rc = load_trust(trust, o->trust, em);
	if (rc == 0)
		rc = vio_posix_open(&v, real);
	if (rc == 0)
		rc = mirror_check(&report, load_tile, v, trust, em);
	vio_free(v);
	if (rc != 0)
		return rc;
	log_words(out, o, &report);
	return out->bad ? -ENOMEM : 0;
}
