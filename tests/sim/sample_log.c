/*
 * sample_log.c - see sample_log.h.  Aborts on anything unexpected.
 */
#include "tests/sim/sample_log.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ledger/cert.h"
#include "ledger/checkpoint.h"
#include "ledger/key.h"
#include "ledger/proof.h"
#include "ledger/tile.h"

#define must(x)                                                                \
	do {                                                                   \
		int rc_ = (x);                                                 \
		if (rc_ != 0) {                                                \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, \
				#x, err_text(rc_));                            \
			abort();                                               \
		}                                                              \
	} while (0)

static struct key *fixed_key(uint8_t first, enum key_role role)
{
	uint8_t seed[32] = { first };
	struct key *k = NULL;

	must(key_from_seed(&k, role, seed));
	return k;
}

void sample_log_cert(uint8_t out[128], const struct sample_log *s,
		     enum key_role role, uint32_t mount_no, const struct key *k)
{
	struct cert c = { .mount_no = mount_no, .role = (uint8_t)role };

	memcpy(c.volume_id, s->volume_id, 16);
	memcpy(c.pub, key_public(k), 32);
	must(cert_make(out, &c, s->admin));
}

void sample_log_author(struct entry_body *b, const struct sample_log *s,
		       const struct key *admin)
{
	struct buf m = BUF_INIT;

	b->author.present = true;
	key_id(b->author.key_id, key_public(admin));
	must(entry_author_message(&m, b, s->volume_id));
	key_sign(admin, b->author.sig, m.p, m.n);
	buf_release(&m);
}

static struct entry blank(uint16_t kind)
{
	struct entry e;

	memset(&e, 0, sizeof(e));
	e.core.kind = kind;
	e.body.kind = kind;
	e.core.wall_ns = SAMPLE_WALL_NS;
	return e;
}

static void first_batch(struct sample_log *s)
{
	static const struct entry_param params[] = {
		{ { "chunk.average", 13 }, { "65536", 5 } },
		{ { "store.format", 12 }, { "1", 1 } },
	};
	struct entry e = blank(ENTRY_GENESIS);
	struct entry_genesis *g = &e.body.genesis;

	g->origin = ENTRY_STR(SAMPLE_ORIGIN);
	g->n_admin = 1;
	memcpy(g->admin[0], key_public(s->admin), 32);
	memset(g->nonce, 0x5a, sizeof(g->nonce));
	key_volume_id(s->volume_id, g->origin.p, g->origin.n,
		      (const uint8_t(*)[KEY_SIZE])g->admin, 1, g->nonce);
	sample_log_add(s, &e);
	e = blank(ENTRY_KEY_ADD);
	sample_log_cert(e.body.key_add.cert, s, KEY_MOUNT, 1, s->mount);
	e.body.key_add.name = ENTRY_STR("laptop");
	sample_log_add(s, &e);
	e = blank(ENTRY_KEY_ADD);
	sample_log_cert(e.body.key_add.cert, s, KEY_LOG, 0, s->log);
	sample_log_add(s, &e);
	e = blank(ENTRY_PARAMS);
	e.body.params.n = 2;
	e.body.params.v = params;
	sample_log_add(s, &e);
	sample_log_commit(s);
}

void sample_log_init(struct sample_log *s)
{
	memset(s, 0, sizeof(*s));
	s->admin = fixed_key(1, KEY_ADMIN);
	s->mount = fixed_key(2, KEY_MOUNT);
	s->log = fixed_key(3, KEY_LOG);
	s->batch = calloc(1, sizeof(*s->batch));
	s->root = calloc(1, sizeof(*s->root));
	if (s->batch == NULL || s->root == NULL)
		abort();
	s->next_seq = RULES_FIRST_SEQ;
	s->mount_no = 1;
	merkle_frontier_init(&s->tree);
	merkle_frontier_root(&s->root[0], &s->tree);
	first_batch(s);
}

static void batch_release(struct sample_batch *b)
{
	buf_release(&b->seal);
	for (uint32_t i = 0; i < b->n; i++)
		buf_release(&b->bytes[i]);
}

void sample_log_release(struct sample_log *s)
{
	for (uint64_t i = 0; i <= s->size; i++)
		batch_release(&s->batch[i]);
	free(s->batch);
	free(s->root);
	key_free(s->admin);
	key_free(s->mount);
	key_free(s->log);
}

struct digest sample_log_add(struct sample_log *s, const struct entry *e)
{
	struct sample_batch *b = &s->batch[s->size];
	uint8_t salt[16] = { 0 };

	if (b->n == SAMPLE_BATCH_MAX)
		abort();
	s->salt_counter++;
	memcpy(salt, &s->salt_counter, sizeof(s->salt_counter));
	must(entry_store(&b->bytes[b->n], &b->leaf[b->n], e, salt));
	return b->leaf[b->n++];
}

uint64_t sample_log_commit(struct sample_log *s)
{
	struct sample_batch *b = &s->batch[s->size];
	struct seal seal = {
		.mount_no = s->mount_no,
		.count = b->n,
		.batch_seq = s->batch_seq + 1,
		.first_seq = s->next_seq,
		.wall_ns = SAMPLE_WALL_NS + (int64_t)s->size * 1000000000,
		.prev_seal = s->prev_seal,
		.seen_size = s->seen_size,
	};

	memcpy(seal.volume_id, s->volume_id, 16);
	memset(seal.incarnation, 0x11, sizeof(seal.incarnation));
	if (s->seen_size != 0)
		seal.seen_root = s->root[s->seen_size];
	seal_batch_root(&seal.batch_root, b->leaf, b->n);
	if (s->tamper != NULL)
		s->tamper(&seal);
	must(seal_sign(&b->seal, &seal,
		       s->sign_with ? s->sign_with : s->mount));
	seal_leaf(&b->seal_leaf, b->seal.p, b->seal.n);
	s->prev_seal = b->seal_leaf;
	s->next_seq += b->n;
	s->batch_seq++;
	merkle_frontier_append(&s->tree, &b->seal_leaf, NULL, NULL);
	s->size++;
	s->seen_size = s->size;
	s->root = realloc(s->root, (s->size + 1) * sizeof(*s->root));
	s->batch = realloc(s->batch, (s->size + 1) * sizeof(*s->batch));
	if (s->root == NULL || s->batch == NULL)
		abort();
	memset(&s->batch[s->size], 0, sizeof(*s->batch));
	merkle_frontier_root(&s->root[s->size], &s->tree);
	return s->size - 1;
}

/* --- the story --- */

static struct digest add_actor(struct sample_log *s)
{
	static const char argv[] = "python3\\0train.py\\0--epochs=3\\0";
	struct entry e = blank(ENTRY_ACTOR);
	struct entry_actor *a = &e.body.actor;

	a->uid = 1000;
	a->gid = 1000;
	a->tgid = 4242;
	a->start = 123456;
	a->ppid = 4000;
	memset(a->exe_digest.b, 0xe1, 32);
	a->exe = ENTRY_STR("/usr/bin/python3");
	a->argv = ENTRY_STR(argv);
	a->cwd = ENTRY_STR("/mnt/vol");
	a->host = ENTRY_STR("laptop");
	return sample_log_add(s, &e);
}

static struct digest add_create(struct sample_log *s, uint64_t inode,
				const char *name)
{
	struct entry e = blank(ENTRY_CREATE);

	e.core.inode = inode;
	e.core.parent = ENTRY_INODE_ROOT;
	e.core.actor = s->actor;
	e.body.create.dtype = DT_REG;
	e.body.create.mode = 0644;
	e.body.create.uid = 1000;
	e.body.create.gid = 1000;
	e.body.create.name = ENTRY_STR(name);
	return sample_log_add(s, &e);
}

static struct digest add_version(struct sample_log *s, uint64_t inode,
				 const struct digest *prev, const char *path,
				 const char *text, bool sha256)
{
	struct entry e = blank(ENTRY_VERSION);
	struct entry_version *v = &e.body.version;

	e.core.inode = inode;
	e.core.parent = ENTRY_INODE_ROOT;
	e.core.version = 1;
	e.core.prev = *prev;
	e.core.actor = s->actor;
	v->content_alg = ENTRY_CONTENT_BLAKE3;
	v->reason = ENTRY_REASON_CLOSE;
	v->attribution = ENTRY_EXACT;
	v->size = strlen(text);
	v->mtime_ns = SAMPLE_WALL_NS;
	v->n_ranges = 1;
	v->ranges[0].hi = v->size;
	digest_blake3(&v->tree_root, text, strlen(text));
	if (sha256) {
		v->flags |= ENTRY_VERSION_SHA256;
		digest_sha256(&v->sha256, text, strlen(text));
	}
	if (!digest_is_zero(&s->reads)) {
		v->flags |= ENTRY_VERSION_READS;
		v->reads = s->reads;
	}
	v->path = ENTRY_STR(path);
	return sample_log_add(s, &e);
}

static void add_reads(struct sample_log *s)
{
	struct entry_read item = { .strength = ENTRY_EXACT,
				   .version = s->input_version };
	struct entry e = blank(ENTRY_READS);

	digest_blake3(&item.content, "a,b\n1,2\n", 8);
	e.body.reads.n = 1;
	e.body.reads.v = &item;
	s->reads = sample_log_add(s, &e);
}

void sample_log_story(struct sample_log *s, unsigned more)
{
	struct entry e = blank(ENTRY_DIGEST);
	struct digest prev;

	s->actor = add_actor(s);
	prev = add_create(s, ENTRY_INODE(1, 1), "data.csv");
	s->input_version = add_version(s, ENTRY_INODE(1, 1), &prev, "data.csv",
				       "a,b\n1,2\n", true);
	sample_log_commit(s);
	prev = add_create(s, ENTRY_INODE(1, 2), "model.bin");
	sample_log_commit(s);
	add_reads(s);
	s->output_version = add_version(s, ENTRY_INODE(1, 2), &prev,
					"model.bin", SAMPLE_MODEL, false);
	sample_log_commit(s);
	e.core.inode = ENTRY_INODE(1, 2);
	e.core.version = 1;
	e.core.prev = s->output_version;
	e.body.digest.version = s->output_version;
	digest_sha256(&e.body.digest.sha256, SAMPLE_MODEL,
		      strlen(SAMPLE_MODEL));
	s->digest_entry = sample_log_add(s, &e);
	sample_log_commit(s);
	for (unsigned i = 0; i < more; i++) {
		char name[32];

		for (unsigned k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "file-%u-%u", i, k);
			add_create(s, ENTRY_INODE(1, 10 + 3 * i + k), name);
		}
		sample_log_commit(s);
	}
}

/* --- handing out --- */

void sample_log_checkpoint(const struct sample_log *s, struct buf *out)
{
	struct checkpoint c = { .origin = SAMPLE_ORIGIN,
				.size = s->size,
				.root = s->root[s->size] };

	must(checkpoint_sign(out, &c, s->log));
}

void sample_log_trust(const struct sample_log *s, struct trust *out)
{
	struct note_vkey k;

	memset(out, 0, sizeof(*out));
	must(note_vkey_make(&k, SAMPLE_ORIGIN, NOTE_ED25519,
			    key_public(s->log)));
	must(trust_add(out, "log", &k));
	must(trust_admin_vkey(&k, SAMPLE_ORIGIN, key_public(s->admin)));
	must(trust_add(out, "admin", &k));
}

int sample_log_hash(void *ctx, struct digest *out, unsigned level,
		    uint64_t index)
{
	const struct sample_log *s = ctx;
	struct digest *v;

	if (level >= 64 || index >= s->size >> level)
		return -ERR_LIMIT;
	v = calloc((size_t)1 << level, sizeof(*v));
	if (v == NULL)
		abort();
	for (size_t i = 0; i < (size_t)1 << level; i++)
		v[i] = s->batch[(index << level) + i].seal_leaf;
	merkle_root_of(out, v, (size_t)1 << level);
	free(v);
	return 0;
}

int sample_log_root(void *ctx, struct digest *out, uint64_t size)
{
	const struct sample_log *s = ctx;

	if (size > s->size)
		return -ERR_LIMIT;
	*out = s->root[size];
	return 0;
}

int sample_log_load(void *ctx, struct buf *out, const char *path)
{
	struct sample_log *s = ctx;
	struct tile t;

	if (strcmp(path, "checkpoint") == 0) {
		sample_log_checkpoint(s, out);
		return 0;
	}
	if (tile_path_parse(&t, path, strlen(path)) != 0 ||
	    t.n * TILE_WIDTH + t.width > tile_level_count(t.level, s->size))
		return -ENOENT;
	if (t.level != TILE_ENTRIES)
		return tile_hashes(out, &t, sample_log_hash, s);
	for (unsigned i = 0; i < t.width; i++) {
		const struct buf *b = &s->batch[t.n * TILE_WIDTH + i].seal;

		must(tile_bundle_add(out, b->p, b->n));
	}
	return 0;
}

void sample_log_batch(const struct sample_log *s, uint64_t index,
		      struct rules_batch *out, struct rules_entry *entries)
{
	const struct sample_batch *b = &s->batch[index];

	for (uint32_t i = 0; i < b->n; i++)
		entries[i] = (struct rules_entry){ b->bytes[i].p,
						   (uint32_t)b->bytes[i].n };
	*out = (struct rules_batch){
		.leaf_index = index,
		.seal = b->seal.p,
		.seal_n = b->seal.n,
		.entries = entries,
		.n = b->n,
	};
}

static void find(const struct sample_log *s, const struct digest *leaf,
		 uint64_t *out_seal, uint32_t *out_pos)
{
	for (uint64_t i = 0; i < s->size; i++)
		for (uint32_t k = 0; k < s->batch[i].n; k++)
			if (digest_eq(&s->batch[i].leaf[k], leaf)) {
				*out_seal = i;
				*out_pos = k;
				return;
			}
	abort();
}

static struct proof_entry entry_bytes(const struct sample_log *s,
				      const struct digest *leaf,
				      struct buf *keep)
{
	uint64_t seal = 0;
	uint32_t pos = 0;

	find(s, leaf, &seal, &pos);
	must(proof_entry_add(keep, s->batch[seal].bytes[pos].p,
			     s->batch[seal].bytes[pos].n));
	return (struct proof_entry){ keep->p, keep->n };
}

static void batch_path(struct merkle_proof *out, const struct sample_batch *b,
		       uint32_t i)
{
	struct digest h[2 * SAMPLE_BATCH_MAX];
	struct merkle_tree t = { h, b->n };

	memcpy(h, b->leaf, sizeof(b->leaf));
	merkle_tree_fill(&t);
	must(merkle_inclusion(out, i, b->n, merkle_tree_read, &t));
}

void sample_log_prove(const struct sample_log *s, struct buf *out,
		      const struct digest *leaf, const struct digest *refs,
		      unsigned n_refs)
{
	struct proof *p = calloc(1, sizeof(*p));
	struct buf keep[PROOF_REFS_MAX + 1];
	struct buf checkpoint = BUF_INIT;
	uint8_t cert[CERT_SIZE];

	if (p == NULL)
		abort();
	memset(keep, 0, sizeof(keep));
	find(s, leaf, &p->seal_index, &p->position);
	p->seal = s->batch[p->seal_index].seal.p;
	p->seal_n = s->batch[p->seal_index].seal.n;
	batch_path(&p->batch_path, &s->batch[p->seal_index], p->position);
	p->entry = entry_bytes(s, leaf, &keep[PROOF_REFS_MAX]);
	sample_log_cert(cert, s, KEY_MOUNT, 1, s->mount);
	p->cert = cert;
	p->n_refs = n_refs;
	for (unsigned i = 0; i < n_refs; i++)
		p->refs[i] = entry_bytes(s, &refs[i], &keep[i]);
	must(merkle_inclusion(&p->inclusion, p->seal_index, s->size,
			      sample_log_hash,
			      (struct sample_log *)(uintptr_t)s));
	sample_log_checkpoint(s, &checkpoint);
	p->checkpoint = (char *)checkpoint.p;
	p->checkpoint_n = checkpoint.n;
	must(proof_format(out, p));
	for (unsigned i = 0; i <= PROOF_REFS_MAX; i++)
		buf_release(&keep[i]);
	buf_release(&checkpoint);
	free(p);
}

void sample_log_prove_story(const struct sample_log *s, struct buf *out)
{
	const struct digest refs[] = { s->output_version, s->actor, s->reads,
				       s->input_version };

	sample_log_prove(s, out, &s->digest_entry, refs, 4);
}
