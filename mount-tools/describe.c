/* describe.c - see describe.h.  Names are hostile: all are escaped. */
#include "mount-tools/describe.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"
#include "mount-tools/print.h"

bool describe_is_detail(const struct idx_entry *e)
{
	switch (e->kind) {
	case ENTRY_ACTOR:
	case ENTRY_READS:
	case ENTRY_ATTEST:
	case ENTRY_EXTENTS:
	case ENTRY_DIGEST:
		return true;
	default:
		return false;
	}
}

void describe_path(struct buf *out, struct idx_reader *r, uint64_t ino,
		   uint64_t no)
{
	struct buf path = BUF_INIT;
	bool gone = false;
	int rc;

	if (ino == ENTRY_INODE_ROOT) {
		buf_adds(out, "/");
		return;
	}
	rc = idx_path(r, &path, ino, no);
	if (rc == 0 && no > 0)
		rc = idx_path(r, &path, ino, no - 1);
	if (rc == 0)
		rc = idx_path_last(r, &path, ino, &gone);
	if (rc > 0 && path.n > 0)
		text_term_escape(out, path.p, path.n);
	else
		buf_addf(out, "inode %llu", (unsigned long long)ino);
	buf_release(&path);
}

static void name_in(struct buf *out, struct idx_reader *r, uint64_t parent,
		    struct entry_str name, uint64_t no)
{
	if (parent == 0) {
		buf_adds(out, name.n ? "" : "(no name yet)");
	} else if (parent != ENTRY_INODE_ROOT) {
		describe_path(out, r, parent, no);
		buf_addc(out, '/');
	}
	text_term_escape(out, name.p, name.n);
}

static void attributes(struct buf *out, const struct entry_setattr *a)
{
	if (a->mask & ENTRY_ATTR_MODE)
		buf_addf(out, "  mode %04o", a->mode & 07777);
	if (a->mask & ENTRY_ATTR_UID)
		buf_addf(out, "  owner %u", a->uid);
	if (a->mask & ENTRY_ATTR_GID)
		buf_addf(out, "  group %u", a->gid);
	if (a->mask & (ENTRY_ATTR_ATIME | ENTRY_ATTR_MTIME))
		buf_adds(out, "  times");
}

static const char *type_word(uint8_t dtype)
{
	switch (DTTOIF(dtype)) {
	case S_IFDIR:
		return "  directory";
	case S_IFLNK:
		return "  symbolic link";
	case S_IFREG:
		return "";
	default:
		return "  special file";
	}
}

/* Kinds 01xx. */
static void describe_name(struct buf *out, struct idx_reader *r,
			  const struct entry *e, uint64_t no)
{
	const struct entry_body *b = &e->body;

	switch (e->core.kind) {
	case ENTRY_CREATE:
		if (e->core.inode == ENTRY_INODE_ROOT)
			buf_addc(out, '/');
		else
			name_in(out, r, e->core.parent, b->create.name, no);
		buf_adds(out, type_word(b->create.dtype));
		if (b->create.target.n) {
			buf_adds(out, " to ");
			text_term_escape(out, b->create.target.p,
					 b->create.target.n);
		}
		return;
	case ENTRY_LINK:
	case ENTRY_UNLINK:
		name_in(out, r, e->core.parent, b->link.name, no);
		return;
	case ENTRY_RENAME:
		name_in(out, r, e->core.parent, b->rename.old_name, no - 1);
		buf_adds(out, b->rename.flags & ENTRY_RENAME_EXCHANGE ?
				      " <-> " :
				      " -> ");
		name_in(out, r, b->rename.new_parent, b->rename.new_name, no);
		if (b->rename.replaced &&
		    !(b->rename.flags & ENTRY_RENAME_EXCHANGE))
			buf_adds(out, ", replacing what was there");
		return;
	default:
		describe_path(out, r, e->core.inode, no);
	}
	if (e->core.kind == ENTRY_SETATTR)
		attributes(out, &b->setattr);
	if (e->core.kind == ENTRY_SETXATTR || e->core.kind == ENTRY_RMXATTR) {
		buf_adds(out, "  ");
		text_term_escape(out, b->setxattr.name.p, b->setxattr.name.n);
	}
}

static void describe_version(struct buf *out, struct idx_reader *r,
			     const struct entry *e, uint64_t no)
{
	struct idx_version v = { .released_no = 0 };
	char size[TEXT_SIZE_SIZE];

	describe_path(out, r, e->core.inode, no);
	text_size(size, e->body.version.size);
	buf_addf(out, "  version %llu, %s", (unsigned long long)e->core.version,
		 size);
	if (idx_version(r, &v, e->core.inode, e->core.version) > 0 &&
	    v.no == no && v.released_no) {
		buf_adds(out, ", released by ");
		print_number(out, v.released_no);
	}
}

static void describe_gc(struct buf *out, const struct entry_gc *b)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < b->n; i++) {
		struct entry_release v;

		entry_gc_at(&v, b, i);
		n += v.last - v.first + 1;
	}
	print_count(out, n, "version");
	buf_adds(out, " released");
}

static void describe_hold(struct buf *out, const struct entry_hold *b)
{
	if (b->flags & ENTRY_HOLD_LIFTED)
		buf_adds(out, "lifted");
	else if (b->inode)
		buf_addf(out, "inode %llu", (unsigned long long)b->inode);
	else
		text_term_escape(out, b->pattern.p, b->pattern.n);
	buf_adds(out, ": ");
	text_term_escape(out, b->reason.p, b->reason.n);
}

/* "make, commit 0011223344556677 with changes" */
static void describe_run(struct buf *out, const struct entry_run_start *b)
{
	static const uint8_t none[sizeof(b->git)];

	text_term_escape(out, b->name.p, b->name.n);
	if (memcmp(b->git, none, sizeof(none)) == 0)
		return;
	buf_adds(out, ", commit ");
	text_hex(out, b->git, 8);
	if (b->dirty)
		buf_adds(out, " with changes");
}

/* "make.3  exit 2" */
static void describe_run_end(struct buf *out, struct idx_reader *r,
			     const struct entry_run_end *b)
{
	enum { EXIT = 1, SIGNAL, LOST }; /* how */
	char word[RUN_WORD_MAX];
	struct idx_run run;

	if (idx_run_by_id(r, &run, b->run) > 0) {
		idx_run_word(word, &run);
		buf_addf(out, "%s  ", word);
	}
	if (b->how == EXIT || b->how == SIGNAL)
		buf_addf(out, "%s %u", b->how == EXIT ? "exit" : "signal",
			 b->status);
	else
		buf_adds(out, b->how == LOST ? "lost" : "?");
}

/* What is about the volume, not about a file. */
static void describe_other(struct buf *out, struct idx_reader *r,
			   const struct entry_body *b)
{
	const struct entry_str *s = NULL;

	switch (b->kind) {
	case ENTRY_GENESIS:
		s = &b->genesis.origin;
		break;
	case ENTRY_KEY_ADD:
	case ENTRY_ROTATE:
		s = &b->key_add.name;
		break;
	case ENTRY_MOUNT_START:
		s = &b->mount_start.host;
		break;
	case ENTRY_NEW_ORIGIN:
		s = &b->new_origin.new_origin;
		break;
	case ENTRY_SNAPSHOT:
		s = &b->snapshot.name;
		break;
	case ENTRY_REPLICA_ADD:
		s = &b->replica.location;
		break;
	case ENTRY_ANCHOR:
		s = &b->anchor.location;
		break;
	case ENTRY_REPAIR:
		s = &b->repair.object;
		break;
	case ENTRY_ALERT:
		s = &b->alert.text;
		break;
	case ENTRY_ACTOR:
		s = &b->actor.exe;
		break;
	case ENTRY_RUN_START:
		describe_run(out, &b->run_start);
		return;
	case ENTRY_RUN_END:
		describe_run_end(out, r, &b->run_end);
		return;
	case ENTRY_SCRUB:
		buf_addf(out, "%llu objects read, %llu bad, %llu repaired",
			 (unsigned long long)b->scrub.objects,
			 (unsigned long long)b->scrub.bad,
			 (unsigned long long)b->scrub.repaired);
		return;
	case ENTRY_READS:
		buf_addf(out, "%u opened", b->reads.n);
		return;
	case ENTRY_REPLICA_REMOVE:
		buf_addf(out, "number %u", b->replica.number);
		return;
	case ENTRY_POLICY:
		print_count(out, b->policy.n, "rule");
		return;
	case ENTRY_GC:
		describe_gc(out, &b->gc);
		return;
	case ENTRY_HOLD:
		describe_hold(out, &b->hold);
		return;
	default:
		return;
	}
	text_term_escape(out, s->p, s->n);
	if (b->kind == ENTRY_SNAPSHOT &&
	    b->snapshot.flags & ENTRY_SNAPSHOT_REMOVED)
		buf_adds(out, "  removed");
}

void describe_entry(struct buf *out, struct idx_reader *r,
		    const struct entry *e, uint64_t entry_no)
{
	if (e->state != ENTRY_CLEAR) {
		if (e->core.inode)
			describe_path(out, r, e->core.inode, entry_no);
		buf_adds(out, e->state == ENTRY_REDACTED ? "  (redacted)" :
							   "  (encrypted)");
		return;
	}
	if (e->core.kind == ENTRY_VERSION)
		describe_version(out, r, e, entry_no);
	else if (e->core.kind >> 8 == 1)
		describe_name(out, r, e, entry_no);
	else if (e->core.inode)
		describe_path(out, r, e->core.inode, entry_no);
	else
		describe_other(out, r, &e->body);
}
