/*
 * xattr.c - user.vouch.* of real files and directories: what the ledger says
 * of them, one value each.  Never listed, so cp -a does not copy them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/changed.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "ledger/seal.h"

#define PREFIX "user.vouch."

/* What the index says, after all that was written before. */
struct subject {
	struct provider *p;
	uint64_t ino;
	struct inode_row row;
	bool has_version;
	struct idx_version version;
	uint64_t entry_no; /* newest VERSION; else the newest entry */
};

static int load_subject(struct provider *p, uint64_t ino, struct subject *s)
{
	struct idx_reader *r = NULL;
	int rc = core_make_version(p->core, ino, ENTRY_REASON_DEMAND);

	memset(s, 0, sizeof(*s));
	s->p = p;
	s->ino = ino;
	if (rc == -EISDIR || rc == -EINVAL || rc == -ENODATA)
		rc = 0; /* not a regular file: has no versions */
	if (rc >= 0)
		rc = provider_settle(p);
	if (rc >= 0)
		rc = core_reader_take(p->core, &r);
	if (rc >= 0)
		rc = idx_inode(r, &s->row, ino);
	if (rc == 0)
		rc = -ENODATA;
	if (rc > 0) {
		free(take(s->row.target));
		rc = idx_version_at(r, &s->version, ino, IDX_NOW);
		s->has_version = rc > 0;
	}
	s->entry_no = s->has_version ? s->version.no : s->row.entry_no;
	core_reader_give(p->core, r);
	return rc < 0 ? rc : 0;
}

static int put_sha256(struct subject *s, struct buf *out)
{
	struct digest d = s->version.sha256;
	char hex[DIGEST_HEX_SIZE];
	int rc = 0;

	if (!s->has_version)
		return -ENODATA;
	if (!s->version.has_sha256)
		rc = core_digest(s->p->core, s->ino, &d);
	digest_hex(hex, &d);
	buf_adds(out, hex);
	return rc;
}

static int put_version(struct subject *s, struct buf *out)
{
	if (!s->has_version)
		return -ENODATA;
	buf_addf(out, "%llu", (unsigned long long)s->version.version);
	return 0;
}

static int put_entry(struct subject *s, struct buf *out)
{
	buf_addf(out, "%llu.%u", (unsigned long long)IDX_SEAL(s->entry_no),
		 IDX_POS(s->entry_no));
	return 0;
}

/* "mount 1 key 0011..." from the seal itself. */
static int put_signer(struct subject *s, struct buf *out)
{
	struct ledger_record rec;
	struct seal seal;
	int rc = ledger_read(core_ledger(s->p->core), &rec,
			     IDX_SEAL(s->entry_no));

	if (rc < 0)
		return rc;
	rc = seal_decode(&seal, rec.seal_bytes, rec.seal_len);
	if (rc >= 0) {
		buf_addf(out, "mount %u key ", seal.mount_no);
		text_hex(out, seal.key_id, sizeof(seal.key_id));
	}
	ledger_record_release(&rec);
	return rc;
}

static int count_replica(void *ctx, const struct idx_replica *v)
{
	*(unsigned *)ctx += !v->until_no;
	return 0;
}

/* "checkpointed, 2 replicas" */
static int put_durability(struct subject *s, struct buf *out)
{
	struct ledger *l = core_ledger(s->p->core);
	struct idx_reader *r = NULL;
	unsigned n = 0;
	int rc = core_reader_take(s->p->core, &r);

	if (rc >= 0)
		rc = idx_replicas(r, count_replica, &n);
	core_reader_give(s->p->core, r);
	buf_adds(out, IDX_SEAL(s->entry_no) < ledger_checkpointed(l) ?
			      "checkpointed" :
			      "durable");
	buf_addf(out, ", %u replica%s", n, n == 1 ? "" : "s");
	return rc;
}

static const struct {
	const char *name;
	int (*put)(struct subject *s, struct buf *out);
} attributes[] = {
	{ PREFIX "sha256", put_sha256 },
	{ PREFIX "version", put_version },
	{ PREFIX "entry", put_entry },
	{ PREFIX "signer", put_signer },
	{ PREFIX "durability", put_durability },
};

static ssize_t give(const struct buf *b, void *out, size_t cap)
{
	if (b->bad)
		return -ENOMEM;
	if (!cap)
		return (ssize_t)b->n;
	if (b->n > cap)
		return -ERANGE;
	memcpy(out, b->p, b->n);
	return (ssize_t)b->n;
}

/* user.vouch.changed[.TOKEN] of a directory. */
static ssize_t get_changed(struct provider *p, const struct cred *cr,
			   uint64_t ino, const char *after, void *out,
			   size_t cap)
{
	struct buf b = BUF_INIT;
	struct stat st;
	ssize_t rc = core_getattr(p->core, ino, &st);

	if (!rc && !S_ISDIR(st.st_mode))
		rc = -ENODATA;
	if (rc >= 0)
		rc = core_may_read(p->core, cr, ino);
	if (rc >= 0 && !cap)
		return CHANGED_MAX;
	if (rc >= 0)
		rc = changed_tell(p, cr, ino, *after ? after + 1 : NULL, &b);
	if (rc >= 0)
		rc = give(&b, out, cap);
	buf_release(&b);
	return rc;
}

ssize_t xattr_get(struct provider *p, const struct cred *cr, uint64_t ino,
		  const char *name, void *out, size_t cap)
{
	struct buf b = BUF_INIT;
	struct subject s;
	struct stat st;
	size_t n = sizeof(CHANGED_NAME) - 1;
	ssize_t rc;

	if (strncmp(name, CHANGED_NAME, n) == 0 && (!name[n] || name[n] == '.'))
		return get_changed(p, cr, ino, name + n, out, cap);
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		if (strcmp(attributes[i].name, name) != 0)
			continue;
		rc = core_getattr(p->core, ino, &st);
		if (!rc && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			rc = -ENODATA;
		if (rc >= 0)
			rc = core_may_read(p->core, cr, ino);
		if (rc >= 0)
			rc = load_subject(p, ino, &s);
		if (rc >= 0)
			rc = attributes[i].put(&s, &b);
		if (rc >= 0)
			rc = give(&b, out, cap);
		buf_release(&b);
		return rc;
	}
	return -ENODATA;
}
