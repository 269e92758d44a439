/*
 * trail.c - see trail.h.
 */
#include "fs/core/trail.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "fs/commit/commit.h"
#include "fs/core/core_internal.h"
#include "fs/commit/leafcell.h"
#include "fs/run/run_of.h"

enum { SEEN = 1024, OPENED_MAX = 4096, ANCESTORS = 16 };

struct opened {
	struct leafcell *version;
	struct digest content;
	uint8_t strength;
};

/* Hangs in actor.slot; guarded by itable.mu. */
struct trail {
	struct leafcell *cell;	/* ACTOR */
	struct leafcell *reads; /* head of the chain */
	struct opened *opened;	/* not written down yet */
	size_t n, cap;
	bool listed;	     /* in core.run_readers */
	bool digest_known;   /* in the ACTOR entry or attested */
	uint64_t seen[SEEN]; /* hashes of (inode, version), lossy */
};

static struct trail *trail_of(struct actor *a)
{
	if (!a->slot)
		a->slot = calloc(1, sizeof(struct trail));
	return a->slot;
}

void trail_free(void *ctx, struct actor *a)
{
	struct trail *t = a->slot;

	(void)ctx;
	if (!t)
		return;
	leafcell_drop(t->cell);
	leafcell_drop(t->reads);
	for (size_t i = 0; i < t->n; i++)
		leafcell_drop(t->opened[i].version);
	free(t->opened);
	free(t);
	a->slot = NULL;
}

static struct entry_str put(struct pend *p, const char *s, size_t n)
{
	return pend_str(p, s ? s : "", s ? n : 0);
}

/*
 * `vouch run` is in a process group like everybody; that would be a run of
 * its own beside each that it declares.
 */
static bool only_a_wrapper(struct core *c, const struct actor *a)
{
	uint8_t id[RUN_ID_SIZE];

	return a->run_how == ENTRY_RUN_GROUP &&
	       run_table_of_wrapper(c->runs, id, a->tgid, a->start_time);
}

static struct pend *actor_entry(struct core *c, struct actor *a)
{
	size_t exe = a->exe ? strnlen(a->exe, LIMIT_EXE) : 0;
	size_t cwd = a->cwd ? strnlen(a->cwd, LIMIT_CWD) : 0;
	size_t argv = a->argv_len < LIMIT_ARGV ? a->argv_len : LIMIT_ARGV;
	const char *name = actor_host(c->actors);
	size_t host = strnlen(name, LIMIT_HOST);
	struct pend *p = pend_new(ENTRY_ACTOR,
				  exe + cwd + argv + host + ENTRY_RUN_HOW_MAX);
	uint8_t tlv[ENTRY_RUN_HOW_MAX];
	struct entry_actor *b;

	if (!p)
		return NULL;
	b = &p->e.body.actor;
	b->uid = a->uid;
	b->gid = a->gid;
	b->tgid = a->tgid;
	b->start = a->start_time;
	b->ppid = a->ppid;
	if (a->exe_digest_known)
		b->exe_digest = a->exe_digest;
	if (!only_a_wrapper(c, a)) {
		memcpy(b->run, a->run, sizeof(b->run));
		p->e.body.extra.n = entry_run_how_put(tlv, a->run_how);
	}
	p->e.body.extra.p = pend_bytes(p, tlv, p->e.body.extra.n);
	b->exe = put(p, a->exe, exe);
	b->argv = put(p, a->argv, argv);
	b->cwd = put(p, a->cwd, cwd);
	b->host = put(p, name, host);
	p->e.core.wall_ns = core_now(c);
	return p;
}

static int one_actor(struct core *c, struct actor *a, struct leafcell *parent)
{
	struct trail *t = trail_of(a);
	struct pend *p = t && !t->cell ? actor_entry(c, a) : NULL;

	if (t && t->cell)
		return 0;
	if (!t || !p)
		return -ENOMEM;
	t->digest_known = !digest_is_zero(&p->e.body.actor.exe_digest);
	t->cell = leafcell_hold(p->cell);
	p->actor = leafcell_hold(parent);
	commit_enqueue(c->commit, p);
	return 0;
}

int trail_actor(struct core *c, struct actor *a, struct leafcell **out)
{
	struct actor *line[ANCESTORS];
	struct leafcell *parent = NULL;
	unsigned n = 0;
	int rc = 0;

	for (struct actor *p = a; p && n < ANCESTORS; p = p->parent) {
		line[n++] = p;
		if (trail_of(p) && ((struct trail *)p->slot)->cell)
			break; /* and so have those above */
	}
	while (n > 0 && !rc) {
		rc = one_actor(c, line[--n], parent);
		if (!rc)
			parent = ((struct trail *)line[n]->slot)->cell;
	}
	if (!rc)
		*out = leafcell_hold(parent);
	return rc;
}

/* --- what was opened --- */

static bool seen_before(struct trail *t, uint64_t ino, uint64_t version)
{
	uint64_t h = (ino * 0x9e3779b97f4a7c15ULL) ^
		     (version * 0xc2b2ae3d27d4eb4fULL);
	uint64_t *at = &t->seen[(h >> 32) % SEEN];

	if (!h)
		h = 1;
	if (*at == h)
		return true;
	*at = h;
	return false;
}

static struct leafcell *version_cell(struct inode *i)
{
	if (!i->version_cell)
		i->version_cell = leafcell_known_new(&i->row.version_leaf,
						     i->row.version_no);
	return leafcell_hold(i->version_cell);
}

/* The first n of what was opened. */
static struct pend *reads_entry(const struct trail *t, size_t n)
{
	struct pend *p = pend_new(ENTRY_READS, 0);
	struct entry_read *v = calloc(n, sizeof(*v));

	if (p) {
		p->arrays = v;
		p->items = calloc(n, sizeof(*p->items));
	}
	if (!p || !v || !p->items) {
		if (!p)
			free(v);
		pend_free(p);
		return NULL;
	}
	p->e.body.reads.n = (uint16_t)n;
	p->e.body.reads.v = v;
	for (size_t i = 0; i < n; i++) {
		v[i].strength = t->opened[i].strength;
		v[i].content = t->opened[i].content;
		p->items[i] = leafcell_hold(t->opened[i].version);
	}
	p->reads = leafcell_hold(t->reads);
	return p;
}

static int flush_opened(struct core *c, struct itable_tx *tx, struct actor *a,
			struct trail *t)
{
	while (t->n > 0) {
		size_t n = t->n < LIMIT_READS ? t->n : LIMIT_READS;
		struct pend *p = reads_entry(t, n);
		struct leafcell *cell;
		int rc;

		if (!p)
			return -ENOMEM;
		cell = leafcell_hold(p->cell);
		rc = core_submit(c, tx, p, NULL, a);
		if (rc < 0) {
			leafcell_drop(cell);
			return rc;
		}
		leafcell_drop(t->reads);
		t->reads = cell;
		for (size_t i = 0; i < n; i++)
			leafcell_drop(t->opened[i].version);
		t->n -= n;
		memmove(t->opened, t->opened + n, t->n * sizeof(*t->opened));
	}
	return 0;
}

/* Takes the first of those that wait out, and writes it down. */
static int readers_pop(struct core *c, struct itable_tx *tx)
{
	struct actor *a = c->run_readers[c->run_readers_at];
	struct trail *t = a->slot;
	int rc = flush_opened(c, tx, a, t);

	if (rc < 0)
		return rc;
	t->listed = false;
	c->run_readers_at = (c->run_readers_at + 1) % TRAIL_READERS;
	c->run_readers_n--;
	actor_drop(c->actors, a);
	return 0;
}

static void readers_push(struct core *c, struct actor *a)
{
	struct trail *t = a->slot;
	unsigned at = c->run_readers_at + c->run_readers_n++;

	c->run_readers[at % TRAIL_READERS] = actor_hold(a);
	t->listed = true;
}

int trail_end_run(struct core *c, struct itable_tx *tx, const uint8_t *run)
{
	for (unsigned n = c->run_readers_n; n > 0; n--) {
		struct actor *a = c->run_readers[c->run_readers_at];
		struct trail *t = a->slot;
		int rc;

		if (!run || memcmp(a->run, run, sizeof(a->run)) == 0) {
			rc = readers_pop(c, tx);
			if (rc < 0)
				return rc;
			continue;
		}
		/* another's: to the end of the ring, the order stays */
		c->run_readers_at = (c->run_readers_at + 1) % TRAIL_READERS;
		c->run_readers_n--;
		t->listed = false;
		readers_push(c, a);
		actor_drop(c->actors, a);
	}
	return 0;
}

void trail_forget(struct core *c)
{
	while (c->run_readers_n > 0) {
		struct actor *a = c->run_readers[c->run_readers_at];

		c->run_readers_at = (c->run_readers_at + 1) % TRAIL_READERS;
		c->run_readers_n--;
		actor_drop(c->actors, a);
	}
}

void trail_opened(struct core *c, struct itable_tx *tx, struct actor *a,
		  struct inode *i)
{
	struct trail *t;

	if (!a || !i->row.version || c->o.read_only)
		return;
	t = trail_of(a);
	if (!t || seen_before(t, i->row.ino, i->row.version))
		return;
	if (t->n == OPENED_MAX && flush_opened(c, tx, a, t) < 0)
		return;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 16;
		struct opened *v = realloc(t->opened, cap * sizeof(*v));

		if (!v)
			return;
		t->opened = v;
		t->cap = cap;
	}
	t->opened[t->n] = (struct opened){
		.version = version_cell(i),
		.content = i->row.tree_root,
		.strength = a->tgid ? ENTRY_EXACT : ENTRY_GUESSED,
	};
	if (!t->opened[t->n].version)
		return;
	t->n++;
	if (t->listed || !run_of_explicit(a->run_how))
		return;
	if (c->run_readers_n < TRAIL_READERS || readers_pop(c, tx) == 0)
		readers_push(c, a);
}

int trail_reads(struct core *c, struct itable_tx *tx, struct actor *a,
		struct leafcell **out)
{
	unsigned depth = 0;
	int rc = 0;

	*out = NULL;
	for (struct actor *p = a ? a->parent : NULL;
	     p && !rc && depth < ANCESTORS; p = p->parent, depth++) {
		struct trail *t = p->slot;

		if (t && t->n)
			rc = flush_opened(c, tx, p, t);
	}
	if (!rc && a && a->slot) {
		struct trail *t = a->slot;

		if (t->n)
			rc = flush_opened(c, tx, a, t);
		*out = leafcell_hold(t->reads);
	}
	return rc;
}

/* The executable was hashed after its ACTOR entry was made: attest it. */
static int attest_op(struct core *c, struct itable_tx *tx, void *arg)
{
	struct actor *a = arg;
	struct trail *t = a->slot;
	struct pend *p;

	if (!t || !t->cell || t->digest_known || c->closing)
		return 0;
	t->digest_known = true;
	p = pend_new(ENTRY_ATTEST, 0);
	if (!p)
		return -ENOMEM;
	p->e.body.attest.what = ENTRY_ATTEST_EXE;
	p->e.body.attest.digest = a->exe_digest;
	p->subject = leafcell_hold(t->cell);
	return core_submit(c, tx, p, NULL, NULL);
}

void trail_digest(void *ctx, struct actor *a)
{
	struct core *c = ctx;

	if (core_op(c, attest_op, a) < 0)
		return; /* the digest stays unknown: said as such */
}
