/*
 * retain_release.c - which versions are due, and the GC entries that say so.
 *
 * Candidates come from the index in pages, by inode.  Each page is judged
 * under core.retain_mu with policy, holds and snapshots as they are then, and
 * its GC entries are in the index before the next page is looked at.
 *
 * Invariants: (1) A version is released only when the journal says that it is
 * this version and that something came after it: the next version, or the
 * end of the inode.  A wrong index keeps too much, never too little of the
 * newest.  (2) Times are the log's running maximum: a clock that was set back
 * releases nothing early.  (3) What cannot be decided (too many names, rows
 * that disagree) is kept.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "fs/core/core_internal.h"
#include "fs/upkeep/retain_int.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/entry.h"

enum { PAGE = LIMIT_RELEASES };

/* What is known of the inode whose versions are looked at. */
struct subject {
	uint64_t ino;
	bool kept;	  /* some name has no rule, or one that keeps all */
	uint64_t seconds; /* most that a rule asks for; 0: none does */
	uint64_t versions;
	bool has_held, held; /* asked; any hold covers it */
	bool has_rank;
	uint64_t newest, successors; /* versions of it; of who came after */
	bool counted;		     /* in the report's files */
};

struct pass {
	struct core *c;
	struct idx_reader *r;
	const struct retain_options *o;
	struct retain_report *out;
	struct retain_law law;
	struct subject s;
	int64_t now_ns;
	struct idx_candidate *page;
	unsigned n_page;
	struct entry_release *v; /* of the page */
	unsigned n;
	uint64_t bytes;
	uint64_t all; /* candidates, about */
	struct buf entry;
	/* due, but without a plain digest, which comes first */
	struct core_digest_old *owed;
	unsigned n_owed;
	bool asked; /* they were made, or cannot be */
};

/* --- names and rules --- */

static void meet_rule(struct pass *x, const char *path, size_t n)
{
	const struct retain_rule *v = NULL;

	for (unsigned i = 0; !v && i < x->law.n_rules; i++)
		if (glob_covers(x->law.rules[i].pattern,
				strlen(x->law.rules[i].pattern), path, n))
			v = &x->law.rules[i];
	if (!v || !v->keep) {
		x->s.kept = true;
		return;
	}
	if (v->keep & ENTRY_KEEP_AGE && v->seconds > x->s.seconds)
		x->s.seconds = v->seconds;
	if (v->keep & ENTRY_KEEP_COUNT && v->versions > x->s.versions)
		x->s.versions = v->versions;
}

static int on_name(void *ctx, const struct name_row *row, const char *name,
		   uint16_t len)
{
	struct pass *x = ctx;
	struct buf path = BUF_INIT;
	int rc = idx_path(x->r, &path, row->parent, IDX_NOW);

	if (rc > 0) {
		if (path.n)
			buf_addc(&path, '/');
		buf_add(&path, name, len);
		rc = path.bad ? -ENOMEM : 0;
	} else if (rc == 0) {
		rc = -ERR_CORRUPT; /* a name in a directory without one */
	}
	if (rc == 0)
		meet_rule(x, (const char *)path.p, path.n);
	buf_release(&path);
	return rc;
}

/* A new inode: which rules its names meet. */
static int subject_begin(struct pass *x, uint64_t ino)
{
	struct buf path = BUF_INIT;
	bool gone = false;
	int rc;

	x->s = (struct subject){ .ino = ino };
	rc = idx_names_of(x->r, ino, on_name, x);
	if (rc == 0) {
		/* none any more: the last one; or it never had one */
		rc = idx_path_last(x->r, &path, ino, &gone);
		if (rc >= 0)
			meet_rule(x, path.n ? (const char *)path.p : "",
				  path.n);
	}
	buf_release(&path);
	return rc < 0 ? rc : 0;
}

/* --- what keeps a version --- */

/* The time of entry `no`, as the log's running maximum. */
static int time_of(struct pass *x, uint64_t no, int64_t *out)
{
	struct idx_seal_row row;
	int rc = idx_seal_get(x->r, &row, ENTRY_NO_SEAL(no));

	if (rc > 0)
		*out = row.wall_max_ns;
	return rc > 0 ? 0 : rc < 0 ? rc : -ERR_CORRUPT;
}

/* The entry that ended it: the next version, or the end of the inode. */
static int ended_by(struct pass *x, const struct idx_candidate *v,
		    uint64_t *out)
{
	int rc;

	*out = v->next_no;
	if (v->next_no)
		return 0;
	rc = idx_last_about(x->r, v->ino, out);
	return rc > 0 ? 0 : rc < 0 ? rc : -ERR_CORRUPT;
}

/* 1: young, or among the last so many. */
static int rule_keeps(struct pass *x, const struct idx_candidate *v,
		      uint64_t end_no)
{
	struct subject *s = &x->s;
	int64_t end_ns = 0, since;
	int rc = 0;

	if (s->seconds) {
		rc = time_of(x, end_no, &end_ns);
		if (rc < 0)
			return rc;
		if (__builtin_sub_overflow(x->now_ns, end_ns, &since) ||
		    since < (int64_t)(s->seconds * 1000000000ULL))
			return 1;
	}
	if (!s->versions)
		return 0;
	if (!s->has_rank) {
		rc = idx_newest_version(x->r, v->ino, &s->newest);
		if (rc == 0 && v->gone)
			rc = idx_successor_versions(x->r, v->ino, s->versions,
						    &s->successors);
		s->has_rank = true;
	}
	if (rc < 0)
		return rc;
	return s->newest - v->version + s->successors < s->versions;
}

static int is_held_path(void *ctx, const char *path, size_t n)
{
	const struct pass *x = ctx;

	for (unsigned i = 0; i < x->law.n_holds; i++) {
		const char *pattern = x->law.holds[i].pattern;

		if (pattern && glob_covers(pattern, strlen(pattern), path, n))
			return 1;
	}
	return 0;
}

static int is_held(struct pass *x)
{
	struct subject *s = &x->s;
	int rc = 0;

	if (s->has_held)
		return s->held;
	for (unsigned i = 0; rc == 0 && i < x->law.n_holds; i++)
		if (x->law.holds[i].ino)
			rc = x->law.holds[i].ino == s->ino;
	if (rc == 0 && x->law.n_holds)
		rc = idx_paths_ever(x->r, s->ino, is_held_path, x);
	if (rc == -ERR_LIMIT)
		rc = 1; /* too many to say that none is held */
	if (rc < 0)
		return rc;
	s->has_held = true;
	s->held = rc;
	return rc;
}

/*
 * 1: at entry `at`, before v was made, there were saves that v absorbed.
 * `before` is the version before v, once it was read.
 */
static int has_saves_at(struct pass *x, const struct idx_candidate *v,
			struct idx_version *before, uint64_t at)
{
	int rc = 1;

	if (v->version > 1 && before->version != v->version - 1)
		rc = idx_version(x->r, before, v->ino, v->version - 1);
	if (rc < 0)
		return rc;
	return at <= before->no ?
		       0 :
		       idx_extents_among(x->r, v->ino, before->no, at);
}

/*
 * 1: a snapshot shows it.  Entry `at` shows the newest version before it, and
 * what was saved after that: the saves go with the version that absorbs them.
 */
static int in_snapshot(struct pass *x, const struct idx_candidate *v,
		       uint64_t end_no)
{
	struct buf path = BUF_INIT;
	struct idx_version before = { .no = 0 };
	int rc = 0;

	if (v->no <= x->law.floor_no)
		return 1;
	for (unsigned i = 0; rc == 0 && i < x->law.n_snapshots; i++) {
		uint64_t at = x->law.snapshots[i];

		if (at >= end_no)
			continue;
		if (at < v->no)
			rc = has_saves_at(x, v, &before, at);
		else
			rc = 1;
		if (rc <= 0)
			continue;
		buf_clear(&path);
		rc = idx_path(x->r, &path, v->ino, at);
	}
	buf_release(&path);
	return rc;
}

/* --- the journal's word --- */

static bool ends_inode(const struct entry *e, uint64_t ino)
{
	switch (e->core.kind) {
	case ENTRY_FREE_ORPHAN:
		return e->core.inode == ino;
	case ENTRY_UNLINK:
		return e->core.inode == ino && e->state == ENTRY_CLEAR &&
		       e->body.link.flags & ENTRY_UNLINK_FREED;
	case ENTRY_RENAME:
		return e->state == ENTRY_CLEAR &&
		       e->body.rename.replaced == ino &&
		       e->body.rename.flags & ENTRY_RENAME_FREED;
	default:
		return false;
	}
}

/*
 * 0 when the journal says what the row does; else -ERR_CORRUPT or worse.
 * *out is the version as the journal has it (root zero: it is redacted).
 */
static int journal_agrees(struct pass *x, const struct idx_candidate *v,
			  uint64_t end_no, struct core_digest_old *out)
{
	struct digest leaf;
	struct entry e;
	int rc = retain_read(x->c, &e, &x->entry, &leaf, v->no, ENTRY_VERSION);

	*out = (struct core_digest_old){ .ino = v->ino,
					 .version = v->version,
					 .size = v->size,
					 .leaf = leaf };
	if (rc == 0 && e.state == ENTRY_CLEAR)
		out->root = e.body.version.tree_root;

	if (rc == 0 &&
	    (e.core.inode != v->ino || e.core.version != v->version ||
	     (e.state == ENTRY_CLEAR && e.body.version.size != v->size)))
		rc = -ERR_CORRUPT;
	if (rc == 0)
		rc = retain_read(x->c, &e, &x->entry, &leaf, end_no, 0);
	if (rc < 0)
		return rc;
	if (v->next_no)
		return e.core.kind == ENTRY_VERSION && e.core.inode == v->ino &&
				       e.core.version == v->version + 1 ?
			       0 :
			       -ERR_CORRUPT;
	return ends_inode(&e, v->ino) ? 0 : -ERR_CORRUPT;
}

static void tell_wrong(struct pass *x, const struct idx_candidate *v,
		       const char *why, int rc)
{
	struct errmsg em = ERRMSG_INIT;

	x->out->wrong++;
	if (!x->o->found)
		return;
	(void)errmsg_set(&em, rc,
			 "version %llu of inode %llu is kept: %s (%s); run "
			 "\"vouch fsck --deep\"",
			 (unsigned long long)v->version,
			 (unsigned long long)v->ino, why, err_text(rc));
	x->o->found(x->o->ctx, em.text);
}

/* --- a page --- */

static void release(struct pass *x, const struct idx_candidate *v)
{
	struct entry_release *last = x->n ? &x->v[x->n - 1] : NULL;

	x->out->released++;
	x->out->released_bytes += v->size;
	x->out->files += !x->s.counted;
	x->s.counted = true;
	x->bytes += v->size;
	if (last && last->inode == v->ino && last->last + 1 == v->version) {
		last->last++;
		return;
	}
	assert(x->n < PAGE);
	x->v[x->n++] = (struct entry_release){ v->ino, v->version, v->version };
}

/* It is released once it has its digest; kept, when that cannot be made. */
static void owe(struct pass *x, const struct idx_candidate *v,
		const struct core_digest_old *old)
{
	assert(x->n_owed < PAGE);
	if (x->asked)
		tell_wrong(x, v, "it cannot be read for its digest",
			   -ERR_CORRUPT);
	else
		x->owed[x->n_owed++] = *old;
}

static int judge(struct pass *x, const struct idx_candidate *v)
{
	struct core_digest_old old;
	uint64_t end_no = 0;
	int rc = 0;

	x->out->candidates++;
	if (v->ino != x->s.ino)
		rc = subject_begin(x, v->ino);
	if (rc < 0 || x->s.kept)
		return rc;
	rc = ended_by(x, v, &end_no);
	if (rc == 0)
		rc = rule_keeps(x, v, end_no);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = is_held(x);
	if (rc > 0)
		x->out->held++;
	if (rc)
		return rc < 0 ? rc : 0;
	rc = in_snapshot(x, v, end_no);
	if (rc > 0)
		x->out->snapshots++;
	if (rc)
		return rc < 0 ? rc : 0;
	rc = journal_agrees(x, v, end_no, &old);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		tell_wrong(x, v, "the index says what the journal does not",
			   rc);
		return 0;
	}
	if (!v->has_sha256 && !x->o->dry_run && !digest_is_zero(&old.root)) {
		if (!v->gone) {
			owe(x, v, &old);
			return 0;
		}
		x->out->undigested++;
	}
	release(x, v);
	return 0;
}

static int on_candidate(void *ctx, const struct idx_candidate *v)
{
	struct pass *x = ctx;

	assert(x->n_page < PAGE);
	x->page[x->n_page++] = *v;
	return 0;
}

static struct pend *make_gc(void *ctx)
{
	const struct pass *x = ctx;
	struct pend *p = pend_new(ENTRY_GC, 0);
	struct entry_release *v = malloc(x->n * sizeof(*v));

	if (!p || !v) {
		pend_free(p);
		free(v);
		return NULL;
	}
	memcpy(v, x->v, x->n * sizeof(*v));
	p->arrays = v;
	p->e.body.gc.policy = x->law.policy;
	p->e.body.gc.bytes = x->bytes;
	p->e.body.gc.n = (uint16_t)x->n;
	p->e.body.gc.v = v;
	return p;
}

/* Reads a page after (ino, version) and judges it, in one state. */
static int look(struct pass *x, uint64_t ino, uint64_t version)
{
	int rc;

	x->n_page = x->n = x->n_owed = 0;
	x->bytes = 0;
	x->s = (struct subject){ .ino = 0 };
	rc = idx_reader_begin(x->r);
	if (rc < 0)
		return rc;
	retain_law_release(&x->law);
	rc = retain_law_load(x->c, x->r, &x->law);
	x->out->policy_no = x->law.policy_no;
	if (rc == 0 && x->law.n_rules)
		rc = idx_candidates(x->r, ino, version, PAGE, on_candidate, x);
	for (unsigned i = 0; rc >= 0 && i < x->n_page; i++)
		rc = judge(x, &x->page[i]);
	idx_reader_end(x->r);
	return rc < 0 ? rc : 0;
}

static bool go_on(void *ctx)
{
	struct pass *x = ctx;

	return !x->o->progress ||
	       x->o->progress(x->o->ctx, x->out->candidates, x->all) == 0;
}

/* Those whose bytes cannot be read stay without, and so stay. */
static int make_digests(struct pass *x)
{
	int rc = 0;

	for (unsigned i = 0; rc >= 0 && i < x->n_owed; i++) {
		rc = core_digest_of(x->c, &x->owed[i], go_on, x);
		x->out->digests += rc >= 0;
		if (rc == -ERR_CORRUPT || rc == -ERR_MISSING_CHUNK ||
		    rc == -ENOENT)
			rc = 0;
	}
	return rc;
}

static int page_locked(struct pass *x, const struct cred *cr, uint64_t ino,
		       uint64_t version)
{
	uint64_t no = 0;
	int rc = core_settle_index(x->c);

	if (rc >= 0)
		rc = core_reader_take(x->c, &x->r);
	if (rc >= 0)
		rc = look(x, ino, version);
	core_reader_give(x->c, take(x->r));
	if (rc < 0 || x->n_owed || !x->n)
		return rc < 0 ? rc : 0;
	if (x->o->dry_run)
		return x->o->due ? x->o->due(x->o->ctx, x->v, x->n) : 0;
	rc = retain_enter(x->c, cr, make_gc, x, &no);
	x->out->entries += rc >= 0;
	return rc < 0 ? rc : 0;
}

/* Judged once more after digests were made: what was due may be held now. */
static int one_page(struct pass *x, const struct cred *cr, uint64_t ino,
		    uint64_t version)
{
	const struct retain_report before = *x->out;
	int rc;

	x->asked = false;
	mutex_lock(&x->c->retain_mu);
	rc = page_locked(x, cr, ino, version);
	mutex_unlock(&x->c->retain_mu);
	if (rc < 0 || !x->n_owed)
		return rc;
	*x->out = before;
	rc = make_digests(x);
	x->asked = true;
	if (rc < 0)
		return rc;
	mutex_lock(&x->c->retain_mu);
	rc = page_locked(x, cr, ino, version);
	mutex_unlock(&x->c->retain_mu);
	return rc;
}

static int count_all(struct core *c, uint64_t *out)
{
	struct idx_counts n = { .versions = 0 };
	struct idx_reader *r = NULL;
	int rc = core_reader_take(c, &r);

	if (rc >= 0)
		rc = idx_counts(r, &n);
	core_reader_give(c, r);
	*out = n.versions > n.released + n.files ?
		       n.versions - n.released - n.files :
		       0;
	return rc < 0 ? rc : 0;
}

int retain_release(struct core *c, const struct cred *cr,
		   struct retain_report *out, const struct retain_options *o,
		   struct errmsg *em)
{
	struct pass x = { .c = c, .o = o, .out = out, .entry = BUF_INIT };
	uint64_t ino = 0, version = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	x.now_ns = core_clock(c);
	x.page = calloc(PAGE, sizeof(*x.page));
	x.v = calloc(PAGE, sizeof(*x.v));
	x.owed = calloc(PAGE, sizeof(*x.owed));
	rc = x.page && x.v && x.owed ? 0 : -ENOMEM;
	if (rc == 0 && c->o.read_only && !o->dry_run)
		rc = -EROFS;
	if (rc == 0)
		rc = count_all(c, &x.all);
	do {
		if (rc == 0)
			rc = one_page(&x, cr, ino, version);
		if (x.all < out->candidates)
			x.all = out->candidates;
		if (rc == 0 && !go_on(&x))
			rc = -ECANCELED;
		if (x.n_page) {
			ino = x.page[x.n_page - 1].ino;
			version = x.page[x.n_page - 1].version;
		}
	} while (rc == 0 && x.n_page == PAGE);
	retain_law_release(&x.law);
	buf_release(&x.entry);
	free(x.page);
	free(x.v);
	free(x.owed);
	return rc < 0 ? errmsg_set(em, rc, "release: %s", err_text(rc)) : 0;
}
