/*
 * entry_gen.c - see entry_gen.h.
 */
#include "tests/sim/entry_gen.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *own(struct gen_entry *e, size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p || e->n_owned == 8)
		abort();
	return e->owned[e->n_owned++] = p;
}

void gen_entry_release(struct gen_entry *e)
{
	while (e->n_owned)
		free(e->owned[--e->n_owned]);
}

static struct entry_str str(struct gen_entry *e, const char *s)
{
	size_t n = strlen(s);
	char *p = own(e, n + 1);

	memcpy(p, s, n);
	return (struct entry_str){ .p = p, .n = n };
}

static struct digest digest(struct entry_gen *g)
{
	struct digest d;

	prng_bytes(g->p, d.b, sizeof(d.b));
	return d;
}

void entry_gen_init(struct entry_gen *g, struct prng *p, unsigned wrong)
{
	*g = (struct entry_gen){ .p = p, .wrong = wrong, .next_ino = 1 };
	g->wall_ns = 1790000000000000000;
}

static void begin(struct entry_gen *g, struct gen_entry *out, uint16_t kind)
{
	*out = (struct gen_entry){ .n_owned = 0 };
	out->leaf = digest(g);
	out->e.core.kind = out->e.body.kind = kind;
	g->wall_ns += (int64_t)prng_below(g->p, 1000000);
	if (prng_chance(g->p, 3))
		g->wall_ns -= 2000000;
	out->e.core.wall_ns = g->wall_ns;
	if (g->n_actors && prng_chance(g->p, 80))
		out->e.core.actor = g->actors[prng_below(g->p, g->n_actors)];
	g->made++;
}

void entry_gen_root(struct entry_gen *g, struct gen_entry *out)
{
	begin(g, out, ENTRY_SETATTR);
	out->e.core.inode = STATE_ROOT_INO;
	out->e.body.setattr.mask = ENTRY_ATTR_MODE | ENTRY_ATTR_UID;
	out->e.body.setattr.mode = 0755;
	out->e.body.setattr.uid = 1000;
}

static const struct inode_row *any_inode(struct entry_gen *g,
					 const struct state_mem *m, int type)
{
	const struct mem_inode *i;
	const struct inode_row *got = NULL;
	uint64_t seen = 0;

	for (i = m->inodes; i; i = i->next) {
		if (type && (int)(i->row.mode >> 12) != type)
			continue;
		if (!prng_below(g->p, ++seen))
			got = &i->row;
	}
	return got;
}

static const struct mem_name *any_name(struct entry_gen *g,
				       const struct state_mem *m)
{
	const struct mem_name *n = m->names;
	uint64_t k;

	if (!m->n_names)
		return NULL;
	for (k = prng_below(g->p, m->n_names); k; k--)
		n = n->next;
	return n;
}

static const struct inode_row *inode_of(const struct state_mem *m, uint64_t ino)
{
	const struct mem_inode *i;

	for (i = m->inodes; i; i = i->next)
		if (i->row.ino == ino)
			return &i->row;
	return NULL;
}

static void about(struct gen_entry *out, const struct inode_row *row)
{
	out->e.core.inode = row->ino;
	out->e.core.version = row->version;
	out->e.core.prev = row->last;
}

static struct entry_str any_str(struct entry_gen *g, struct gen_entry *out)
{
	char s[16];

	/* Few names, so that they meet. */
	(void)snprintf(s, sizeof(s), "n%u", (unsigned)prng_below(g->p, 24));
	if (prng_chance(g->p, 10))
		(void)snprintf(s, sizeof(s), "\x1b[%u\xff\n",
			       (unsigned)prng_below(g->p, 9));
	return str(out, s);
}

static uint64_t any_dir(struct entry_gen *g, const struct state_mem *m)
{
	const struct inode_row *d = any_inode(g, m, DT_DIR);

	return d ? d->ino : STATE_ROOT_INO;
}

static void gen_create(struct entry_gen *g, struct gen_entry *out,
		       const struct state_mem *m)
{
	static const uint8_t types[] = { DT_REG, DT_REG, DT_REG,  DT_DIR,
					 DT_DIR, DT_LNK, DT_FIFO, DT_CHR };
	struct entry_create *b = &out->e.body.create;
	uint8_t *acl;

	begin(g, out, ENTRY_CREATE);
	out->e.core.inode = ENTRY_INODE(1, g->next_ino++);
	b->dtype = types[prng_below(g->p, sizeof(types))];
	b->mode = (uint16_t)prng_below(g->p, 07777);
	b->uid = (uint32_t)prng_below(g->p, 3);
	b->name = str(out, "");
	if (b->dtype == DT_REG && prng_chance(g->p, 5))
		return;
	out->e.core.parent = any_dir(g, m);
	b->name = any_str(g, out);
	if (b->dtype == DT_LNK)
		b->target = str(out, "../some/where");
	if (b->dtype == DT_CHR)
		b->rdev = 0x103;
	if (b->dtype == DT_DIR) {
		b->has_dir_salt = true;
		prng_bytes(g->p, b->dir_salt, sizeof(b->dir_salt));
	}
	if (prng_chance(g->p, 10)) {
		acl = own(out, 28);
		prng_bytes(g->p, acl, 28);
		b->acl = acl;
		b->acl_n = 28;
	}
}

static void gen_unlink(struct entry_gen *g, struct gen_entry *out,
		       const struct state_mem *m)
{
	const struct mem_name *n = any_name(g, m);
	struct entry_link *b = &out->e.body.link;

	begin(g, out, ENTRY_UNLINK);
	b->name = str(out, "x");
	if (!n)
		return;
	about(out, inode_of(m, n->row.ino));
	out->e.core.parent = n->row.parent;
	b->name.p = memcpy(own(out, n->len + 1U), n->name, n->len);
	b->name.n = n->len;
	if (n->row.mode == 0040000)
		b->flags |= ENTRY_UNLINK_RMDIR;
	if (prng_chance(g->p, 50))
		b->flags |= ENTRY_UNLINK_FREED;
}

static void gen_link(struct entry_gen *g, struct gen_entry *out,
		     const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, DT_REG);

	begin(g, out, ENTRY_LINK);
	out->e.core.parent = any_dir(g, m);
	out->e.body.link.name = any_str(g, out);
	if (row)
		about(out, row);
}

static void gen_rename(struct entry_gen *g, struct gen_entry *out,
		       const struct state_mem *m)
{
	struct entry_rename *b = &out->e.body.rename;
	const struct mem_name *n = any_name(g, m), *o = any_name(g, m);
	const struct mem_name *k;

	begin(g, out, ENTRY_RENAME);
	b->old_name = str(out, "x");
	b->new_name = any_str(g, out);
	b->new_parent = any_dir(g, m);
	if (!n)
		return;
	about(out, inode_of(m, n->row.ino));
	out->e.core.parent = n->row.parent;
	b->old_name.p = memcpy(own(out, n->len + 1U), n->name, n->len);
	b->old_name.n = n->len;
	if (prng_chance(g->p, 40)) {
		b->new_parent = o->row.parent;
		b->new_name.p = memcpy(own(out, o->len + 1U), o->name, o->len);
		b->new_name.n = o->len;
		if (prng_chance(g->p, 40))
			b->flags |= ENTRY_RENAME_EXCHANGE;
	}
	for (k = m->names; k; k = k->next)
		if (k->row.parent == b->new_parent && k->len == b->new_name.n &&
		    !memcmp(k->name, b->new_name.p, k->len))
			b->replaced = k->row.ino;
	if (prng_chance(g->p, 50) && !(b->flags & ENTRY_RENAME_EXCHANGE))
		b->flags |= ENTRY_RENAME_FREED;
}

static void gen_attr(struct entry_gen *g, struct gen_entry *out,
		     const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, 0);
	struct entry_setattr *b = &out->e.body.setattr;

	begin(g, out, ENTRY_SETATTR);
	b->mask = (uint32_t)prng_range(g->p, 1, ENTRY_ATTR_ALL);
	b->mode = (uint32_t)prng_below(g->p, 010000);
	b->uid = (uint32_t)prng_u64(g->p);
	b->gid = 7;
	b->atime_ns = (int64_t)prng_u64(g->p);
	b->mtime_ns = -1;
	b->ctime_ns = g->wall_ns;
	if (row)
		about(out, row);
}

static void gen_xattr(struct entry_gen *g, struct gen_entry *out,
		      const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, 0);
	struct entry_setxattr *b = &out->e.body.setxattr;
	char name[24];
	uint8_t *value;

	begin(g, out, prng_chance(g->p, 70) ? ENTRY_SETXATTR : ENTRY_RMXATTR);
	(void)snprintf(name, sizeof(name), "user.a%u",
		       (unsigned)prng_below(g->p, 3));
	b->name = str(out, name);
	if (row)
		about(out, row);
	if (out->e.core.kind == ENTRY_RMXATTR)
		return;
	b->value_n = (uint32_t)prng_below(g->p, 40);
	if (prng_chance(g->p, 20)) {
		b->value_n = 2000;
		b->content = digest(g);
		return;
	}
	value = own(out, b->value_n);
	prng_bytes(g->p, value, b->value_n);
	b->value = value;
}

static void gen_extents(struct entry_gen *g, struct gen_entry *out,
			const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, DT_REG);
	struct entry_extents *b = &out->e.body.extents;
	struct entry_extent *v;
	unsigned i;

	begin(g, out, ENTRY_EXTENTS);
	b->attribution = ENTRY_HANDLE;
	b->size = prng_below(g->p, 100000);
	b->n = (uint16_t)prng_below(g->p, 4);
	v = own(out, b->n * sizeof(*v));
	for (i = 0; i < b->n; i++) {
		v[i].offset = prng_below(g->p, 100000);
		v[i].length = (uint32_t)prng_range(g->p, 1, 4096);
		if (prng_chance(g->p, 80))
			v[i].chunk = digest(g);
	}
	b->v = v;
	if (row)
		about(out, row);
}

static void gen_version(struct entry_gen *g, struct gen_entry *out,
			const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, DT_REG);
	struct entry_version *b = &out->e.body.version;

	begin(g, out, ENTRY_VERSION);
	b->content_alg = ENTRY_CONTENT_BLAKE3;
	b->reason = ENTRY_REASON_CLOSE;
	b->attribution = ENTRY_HANDLE;
	b->size = prng_below(g->p, 100000);
	b->mtime_ns = g->wall_ns;
	b->tree_root = digest(g);
	b->path = any_str(g, out);
	if (prng_chance(g->p, 50)) {
		b->flags |= ENTRY_VERSION_SHA256;
		b->sha256 = digest(g);
	}
	if (g->n_reads && prng_chance(g->p, 50)) {
		b->flags |= ENTRY_VERSION_READS;
		b->reads = g->reads[prng_below(g->p, g->n_reads)];
	}
	if (!row)
		return;
	about(out, row);
	out->e.core.version++;
	g->versions[g->n_versions++ % 64] = out->leaf;
}

static void gen_digest(struct entry_gen *g, struct gen_entry *out,
		       const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, DT_REG);

	begin(g, out, ENTRY_DIGEST);
	out->e.body.digest.sha256 = digest(g);
	if (!row)
		return;
	about(out, row);
	out->e.body.digest.version = row->version_leaf;
}

static void gen_orphan(struct entry_gen *g, struct gen_entry *out,
		       const struct state_mem *m)
{
	const struct mem_inode *i;

	begin(g, out, ENTRY_FREE_ORPHAN);
	for (i = m->inodes; i; i = i->next) {
		about(out, &i->row);
		if (i->row.flags & INODE_ORPHAN)
			break;
	}
}

static void gen_actor(struct entry_gen *g, struct gen_entry *out)
{
	struct entry_actor *b = &out->e.body.actor;

	begin(g, out, ENTRY_ACTOR);
	b->uid = 1000;
	b->tgid = (uint32_t)prng_below(g->p, 100000);
	b->exe = str(out, "/usr/bin/python3");
	b->argv = str(out, "python3\\0train.py");
	b->cwd = str(out, "/tmp");
	b->host = str(out, "host");
	if (prng_chance(g->p, 50))
		b->exe_digest = digest(g);
	if (g->n_runs && prng_chance(g->p, 50))
		memcpy(b->run, g->runs[prng_below(g->p, g->n_runs)], 16);
	else if (prng_chance(g->p, 50))
		prng_bytes(g->p, b->run, 16); /* of a run without a start */
	if (g->n_actors < 16)
		g->actors[g->n_actors++] = out->leaf;
	else
		g->actors[prng_below(g->p, 16)] = out->leaf;
}

/* Starts, some of a run that is there; ends, some of another's. */
static void gen_run(struct entry_gen *g, struct gen_entry *out)
{
	static const char *const names[] = { "n1", "make", "../odd \n" };
	struct entry_run_start *start;
	struct entry_run_end *end;
	unsigned i = (unsigned)prng_below(g->p, 4);

	if (i < g->n_runs && prng_chance(g->p, 50)) {
		begin(g, out, ENTRY_RUN_END);
		end = &out->e.body.run_end;
		memcpy(end->run, g->runs[i], 16);
		end->start = g->run_starts[prng_below(g->p, g->n_runs)];
		end->how = (uint8_t)prng_range(g->p, 1, 3);
		end->status = (uint32_t)prng_below(g->p, 128);
		end->started_ns = g->wall_ns;
		end->processes = prng_below(g->p, 9);
		return;
	}
	begin(g, out, ENTRY_RUN_START);
	start = &out->e.body.run_start;
	if (i >= g->n_runs)
		i = g->n_runs++;
	if (prng_chance(g->p, 80) || digest_is_zero(&g->run_starts[i])) {
		prng_bytes(g->p, g->runs[i], 16);
		g->run_starts[i] = out->leaf;
	}
	memcpy(start->run, g->runs[i], 16);
	start->uid = 1000;
	start->name = str(out, names[prng_below(g->p, 3)]);
	start->argv = str(out, "make\0all");
	start->cwd = str(out, "/tmp");
	start->user = str(out, "u");
	start->host = str(out, "host");
	start->policy = str(out, "");
}

static void gen_reads(struct entry_gen *g, struct gen_entry *out)
{
	struct entry_reads *b = &out->e.body.reads;
	unsigned i, have = g->n_versions < 64 ? g->n_versions : 64;
	struct entry_read *v;

	begin(g, out, ENTRY_READS);
	b->n = (uint16_t)prng_range(g->p, 1, 4);
	v = own(out, b->n * sizeof(*v));
	for (i = 0; i < b->n; i++) {
		v[i].strength = ENTRY_EXACT;
		v[i].version = have && prng_chance(g->p, 90) ?
				       g->versions[prng_below(g->p, have)] :
				       digest(g);
		if (prng_chance(g->p, 70))
			v[i].content = digest(g);
	}
	b->v = v;
	if (g->n_reads && prng_chance(g->p, 60))
		b->previous = g->reads[prng_below(g->p, g->n_reads)];
	if (g->n_reads < 16)
		g->reads[g->n_reads++] = out->leaf;
	else
		g->reads[prng_below(g->p, 16)] = out->leaf;
}

static void gen_policy(struct entry_gen *g, struct gen_entry *out)
{
	static const char *const patterns[] = { "a", "b/**", "*.log", "d/e" };
	struct entry_policy *b = &out->e.body.policy;
	struct entry_rule *v;
	unsigned i;

	begin(g, out, ENTRY_POLICY);
	b->n = (uint16_t)prng_below(g->p, 5);
	v = own(out, (b->n + 1) * sizeof(*v));
	for (i = 0; i < b->n; i++) {
		v[i].keep = (uint8_t)prng_below(g->p, 4);
		v[i].seconds = prng_range(g->p, 1, 1000);
		v[i].versions = (uint32_t)prng_range(g->p, 1, 9);
		v[i].pattern = str(out, patterns[i]);
	}
	b->v = v;
	g->policy = out->leaf;
}

static void gen_hold(struct entry_gen *g, struct gen_entry *out)
{
	struct entry_hold *b = &out->e.body.hold;

	begin(g, out, ENTRY_HOLD);
	b->reason = str(out, "case");
	if (g->n_holds && prng_chance(g->p, 40)) {
		b->flags = ENTRY_HOLD_LIFTED;
		b->lifted = g->holds[prng_below(g->p, g->n_holds)];
		return;
	}
	if (prng_chance(g->p, 50))
		b->pattern = str(out, "a/*");
	else
		b->inode = prng_range(g->p, 1, 100);
	if (g->n_holds < 4)
		g->holds[g->n_holds++] = out->leaf;
}

/* Ranges that are there, that go too far, and of inodes that are not. */
static void gen_gc(struct entry_gen *g, struct gen_entry *out,
		   const struct state_mem *m)
{
	const struct inode_row *row = NULL;
	struct entry_gc *b = &out->e.body.gc;
	struct entry_release *v;
	uint64_t ino;
	unsigned i;

	for (i = 0; i < 16 && (!row || row->version < 2); i++)
		row = any_inode(g, m, DT_REG);

	begin(g, out, ENTRY_GC);
	v = own(out, 3 * sizeof(*v));
	b->n = (uint16_t)prng_range(g->p, 1, 3);
	b->policy = g->policy;
	b->bytes = prng_below(g->p, 100000);
	b->v = v;
	ino = row && prng_chance(g->p, 60) ?
		      row->ino :
		      ENTRY_INODE(1, prng_range(g->p, 1, g->next_ino));
	v[0].inode = ino;
	v[0].first = prng_range(g->p, 1, 2);
	v[0].last = v[0].first + prng_below(g->p, 3);
	v[1].inode = ino;
	v[1].first = v[0].last + 1;
	v[1].last = prng_chance(g->p, 50) ? UINT64_MAX : v[1].first;
	v[2].inode = ino + prng_range(g->p, 1, 5);
	v[2].first = 1;
	v[2].last = 2;
}

static void gen_retain(struct entry_gen *g, struct gen_entry *out,
		       const struct state_mem *m)
{
	switch (prng_below(g->p, 4)) {
	case 0:
		gen_policy(g, out);
		return;
	case 1:
		gen_hold(g, out);
		return;
	default:
		gen_gc(g, out, m);
	}
}

static void gen_other(struct entry_gen *g, struct gen_entry *out)
{
	struct entry_body *b = &out->e.body;

	switch (prng_below(g->p, 5)) {
	case 0:
		begin(g, out, ENTRY_SNAPSHOT);
		b->snapshot.name = any_str(g, out);
		b->snapshot.comment = str(out, "");
		if (prng_chance(g->p, 30))
			b->snapshot.flags = ENTRY_SNAPSHOT_REMOVED;
		break;
	case 1:
		begin(g, out, ENTRY_REPAIR);
		b->repair.what = 1;
		b->repair.id = digest(g);
		b->repair.object = str(out, "packs/00000001.pack");
		break;
	case 2:
		begin(g, out,
		      prng_chance(g->p, 60) ? ENTRY_REPLICA_ADD :
					      ENTRY_REPLICA_REMOVE);
		b->replica.number = (uint16_t)prng_below(g->p, 4);
		b->replica.kind = 1;
		b->replica.location = str(out, "/mnt/b");
		break;
	case 3:
		begin(g, out, ENTRY_ATTEST);
		b->attest.what = ENTRY_ATTEST_EXE;
		b->attest.digest = digest(g);
		if (g->n_actors)
			b->attest.subject =
				g->actors[prng_below(g->p, g->n_actors)];
		break;
	default:
		begin(g, out, ENTRY_OPTIONAL + 5);
		b->opaque = true;
		break;
	}
}

/* One field that is not what it should be. */
static void spoil(struct entry_gen *g, struct gen_entry *out,
		  const struct state_mem *m)
{
	const struct inode_row *row = any_inode(g, m, 0);
	struct entry_core *c = &out->e.core;

	switch (prng_below(g->p, 9)) {
	case 0:
		c->inode = row ? row->ino : 0;
		break;
	case 1:
		c->parent = row ? row->ino : 0;
		break;
	case 2:
		c->version += prng_range(g->p, 1, 3);
		break;
	case 3:
		c->prev = digest(g);
		break;
	case 4:
		c->inode = prng_u64(g->p);
		break;
	case 5:
		c->parent = prng_u64(g->p);
		break;
	case 6:
		c->inode = 0;
		break;
	case 7:
		if (c->kind == ENTRY_RENAME)
			out->e.body.rename.new_parent = row ? row->ino : 0;
		else if (c->kind == ENTRY_CREATE)
			out->e.body.create.dtype = (uint8_t)prng_u64(g->p);
		else
			c->version = UINT64_MAX;
		break;
	default:
		out->e.state = prng_chance(g->p, 50) ? ENTRY_REDACTED :
						       ENTRY_ENCRYPTED;
		out->e.body.opaque = true;
		break;
	}
}

void entry_gen_next(struct entry_gen *g, struct gen_entry *out,
		    const struct state_mem *m)
{
	uint64_t k = prng_below(g->p, 100);

	if (k < 24)
		gen_create(g, out, m);
	else if (k < 36)
		gen_unlink(g, out, m);
	else if (k < 41)
		gen_link(g, out, m);
	else if (k < 56)
		gen_rename(g, out, m);
	else if (k < 62)
		gen_attr(g, out, m);
	else if (k < 68)
		gen_xattr(g, out, m);
	else if (k < 74)
		gen_extents(g, out, m);
	else if (k < 84)
		gen_version(g, out, m);
	else if (k < 87)
		gen_digest(g, out, m);
	else if (k < 91)
		gen_orphan(g, out, m);
	else if (k < 93)
		prng_chance(g->p, 60) ? gen_actor(g, out) : gen_run(g, out);
	else if (k < 95)
		gen_reads(g, out);
	else if (k < 98)
		gen_retain(g, out, m);
	else
		gen_other(g, out);
	if (prng_chance(g->p, g->wrong))
		spoil(g, out, m);
}
