/* verbs.c - see verbs.h.  Called on any thread, several at once. */
#include "mount-tools/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analytics/past.h"
#include "analytics/proof_make.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/daemon/control.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "mount-tools/verbs_int.h"

/* request.path, or the bytes of it that are no UTF-8. */
static int path_of(struct buf *out, const struct json *request,
		   struct errmsg *em)
{
	const char *path = json_get_str(request, "path");
	const char *hex = json_get_str(request, "path_hex");
	int rc = 0;

	if (hex)
		rc = text_hex_decode(out, hex, strlen(hex));
	else if (path)
		buf_adds(out, path);
	if (rc == 0 && (!out->n || memchr(out->p, '\0', out->n)))
		rc = -ERR_USAGE;
	if (rc == 0 && out->bad)
		rc = -ENOMEM;
	return rc < 0 ? errmsg_set(em, rc, "no path") : 0;
}

static int find_path(struct core *c, struct idx_reader **out_r, uint64_t *out,
		     const char *path, struct errmsg *em)
{
	struct stat st;
	bool gone = false;
	int rc = core_resolve(c, path, out);

	if (rc == 0)
		rc = core_getattr(c, *out, &st);
	if (rc == 0 && S_ISREG(st.st_mode))
		rc = core_make_version(c, *out, ENTRY_REASON_DEMAND);
	if (rc == 0 || rc == -ENOENT || rc == -ENOTDIR)
		rc = core_settle_index(c);
	if (rc == 0)
		rc = core_reader_take(c, out_r);
	if (rc == 0)
		rc = idx_resolve_last(*out_r, out, &gone, path, strlen(path));
	if (rc == 0)
		return errmsg_set(em, -ENOENT,
				  "%s: the volume never had such a file", path);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}

static int find_then(struct core *c, struct idx_reader **out_r, uint64_t *out,
		     const struct buf *path, uint64_t at, struct errmsg *em)
{
	int rc = core_reader_take(c, out_r);

	if (rc == 0)
		rc = idx_resolve(*out_r, out, (char *)path->p, path->n, at);
	if (rc == 0)
		return errmsg_set(em, -ENOENT, "%s: there was no such file",
				  (char *)path->p);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", (char *)path->p,
				   err_text(rc)) :
			0;
}

int verbs_find_at(struct core *c, struct idx_reader **out_r, uint64_t *out,
		  const struct json *request, uint64_t at, struct errmsg *em)
{
	struct buf path = BUF_INIT;
	int rc = path_of(&path, request, em);

	*out_r = NULL;
	if (rc == 0)
		rc = at == IDX_NOW ?
			     find_path(c, out_r, out, (char *)path.p, em) :
			     find_then(c, out_r, out, &path, at, em);
	buf_release(&path);
	return rc;
}

int verbs_find(struct core *c, struct idx_reader **out_r, uint64_t *out,
	       const struct json *request, struct errmsg *em)
{
	return verbs_find_at(c, out_r, out, request, IDX_NOW, em);
}

static int prove(struct core *c, const struct json *request, struct buf *out,
		 struct errmsg *em)
{
	const char *path = json_get_str(request, "path");
	struct idx_reader *r = NULL;
	struct idx_version v = { .no = 0 };
	struct buf proof = BUF_INIT;
	uint64_t ino = 0, version = 0;
	int rc = verbs_find(c, &r, &ino, request, em);

	(void)!json_get_u64(request, "version", &version);
	if (rc == 0)
		rc = version ? idx_version(r, &v, ino, version) :
			       idx_version_at(r, &v, ino, IDX_NOW);
	core_reader_give(c, r);
	if (rc == 0 && version)
		return errmsg_set(em, -ENODATA, "%s has no version %llu", path,
				  (unsigned long long)version);
	if (rc == 0)
		return errmsg_set(em, -ENODATA,
				  "%s has no version: only regular files that "
				  "were written have one",
				  path);
	if (rc > 0)
		rc = proof_make(c, &proof, ino, v.no, em);
	if (rc == 0) {
		control_add_str(out, "proof", (char *)proof.p);
		control_add_u64(out, "version", v.version);
		control_add_u64(out, "seal", ENTRY_NO_SEAL(v.no));
		control_add_u64(out, "position", ENTRY_NO_POS(v.no));
	}
	buf_release(&proof);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}

int verbs_spool(const struct spool *s, bool exact, struct buf *out)
{
	uint8_t *p = s->size <= JSON_SIZE_MAX / 4 ?
			     malloc((size_t)s->size + 1) :
			     NULL;
	ssize_t n = p ? spool_read(s, p, (size_t)s->size, 0) : -EFBIG;

	if (n == (ssize_t)s->size && exact) {
		buf_adds(out, out->n ? ",\"base64\":\"" : "\"base64\":\"");
		text_base64(out, p, (size_t)n);
		buf_addc(out, '"');
	} else if (n == (ssize_t)s->size) {
		buf_adds(out, out->n ? ",\"text\":" : "\"text\":");
		text_json_string(out, p, (size_t)n);
	}
	free(p);
	return n < 0 ? (int)n : 0;
}

/* What an inode was like. */
static int past(struct core *c, const struct json *request, struct buf *out,
		struct errmsg *em)
{
	struct idx_reader *r = NULL;
	struct past *p = NULL;
	uint64_t ino = 0, at = 0;
	int rc;

	if (!json_get_u64(request, "inode", &ino) ||
	    !json_get_u64(request, "at", &at))
		return errmsg_set(em, -ERR_USAGE, "no inode, no time");
	rc = core_reader_take(c, &r);
	if (rc == 0)
		rc = past_load(&p, c, r, ino, at);
	core_reader_give(c, r);
	if (rc < 0)
		return errmsg_set(em, rc, "inode %llu then: %s",
				  (unsigned long long)ino, err_text(rc));
	control_add_u64(out, "mode", p->mode);
	control_add_u64(out, "uid", p->uid);
	control_add_u64(out, "gid", p->gid);
	control_add_u64(out, "rdev", p->rdev);
	control_add_i64(out, "atime", p->atime_ns);
	control_add_i64(out, "mtime", p->mtime_ns);
	if (p->target) {
		buf_adds(out, ",\"target\":\"");
		text_hex(out, p->target, strlen(p->target));
		buf_addc(out, '"');
	}
	past_free(p);
	return 0;
}

static int verb_past(void *ctx, const struct json *request,
		     const struct cred *peer, struct buf *out,
		     struct errmsg *em)
{
	(void)peer;
	return past(ctx, request, out, em);
}

static int verb_prove(void *ctx, const struct json *request,
		      const struct cred *peer, struct buf *out,
		      struct errmsg *em)
{
	(void)peer;
	return prove(ctx, request, out, em);
}

void verbs_register(struct control *control, struct core *core)
{
	control_register(control, "blame", verbs_blame, core);
	control_register(control, "diff", verbs_diff, core);
	control_register(control, "prove", verb_prove, core);
	control_register(control, "lineage", verbs_lineage, core);
	control_register(control, "provenance", verbs_provenance, core);
	control_register(control, "import", verbs_import, core);
	control_register(control, "past", verb_past, core);
	control_register(control, "restore-plan", verbs_restore_plan, core);
}

int verbs_ask(struct core *core, const struct json *request,
	      const struct cred *peer, struct buf *out, struct errmsg *em)
{
	const char *verb = json_get_str(request, "verb");

	if (verb && strcmp(verb, "prove") == 0)
		return verb_prove(core, request, peer, out, em);
	if (verb && strcmp(verb, "provenance") == 0)
		return verbs_provenance(core, request, peer, out, em);
	if (verb && strcmp(verb, "import") == 0)
		return verbs_import(core, request, peer, out, em);
	if (verb && strcmp(verb, "lineage") == 0)
		return verbs_lineage(core, request, peer, out, em);
	if (verb && strcmp(verb, "blame") == 0)
		return verbs_blame(core, request, peer, out, em);
	if (verb && strcmp(verb, "diff") == 0)
		return verbs_diff(core, request, peer, out, em);
	return -ERR_USAGE;
}
