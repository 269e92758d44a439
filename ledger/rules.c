/*
 * rules.c - the append rules of a log, batch after batch.
 *
 *   new ──leaf 0: GENESIS, its own keys──► started ──any batch──► started
 *   (begin_genesis)                        (batch_accept)
 *
 * Invariants: (1) a batch that is refused changes nothing: keys are staged in
 * a copy and swapped in at the end.  (2) The answer depends on the leaves
 * alone: no clock, no order of iteration, no environment.  (3) A key signs
 * leaves from..until and no others; key ids and mount numbers are never used
 * again.
 *
 * One thread at a time.
 */
#include "ledger/rules.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/cert.h"
#include "ledger/checkpoint.h"
#include "ledger/merkle.h"
#include "ledger/rules_impl.h"

enum { REVOKED_ROTATED = 255 };

/* A batch on its way in. */
struct staged {
	struct rules *r;
	uint64_t index; /* of the leaf */
	struct seal seal;
	bool copied; /* keys below is a copy of its own */
	struct rules_keys keys;
	bool new_origin;
	uint8_t origin_n;
	char origin[LIMIT_ORIGIN + 1];
	const struct rules_prepared *prepared;
	struct errmsg *em;
};

int rules_new(struct rules **out, rules_root_fn *root, void *ctx)
{
	struct rules *r = calloc(1, sizeof(*r));

	*out = r;
	if (r == NULL)
		return -ENOMEM;
	r->root = root;
	r->ctx = ctx;
	return 0;
}

void rules_free(struct rules *r)
{
	if (r == NULL)
		return;
	free(r->keys.v);
	free(r->mounts);
	free(r);
}

/* --- looking up --- */

static const struct rules_key *key_in(const struct rules_keys *k,
				      const uint8_t *id)
{
	for (size_t i = 0; i < k->n; i++)
		if (memcmp(k->v[i].id, id, KEY_ID_SIZE) == 0)
			return &k->v[i];
	return NULL;
}

static struct rules_place *mount_in(const struct rules *r, uint32_t mount_no)
{
	for (size_t i = 0; i < r->n_mounts; i++)
		if (r->mounts[i].m.mount_no == mount_no)
			return &r->mounts[i];
	return NULL;
}

uint64_t rules_size(const struct rules *r)
{
	return r->size;
}

const uint8_t *rules_volume_id(const struct rules *r)
{
	return r->size == 0 ? NULL : r->volume_id;
}

struct entry_str rules_origin(const struct rules *r)
{
	return (struct entry_str){ r->origin, r->origin_n };
}

unsigned rules_admins(const struct rules *r, const uint8_t (**out)[KEY_SIZE])
{
	*out = (const uint8_t(*)[KEY_SIZE])r->admin;
	return r->n_admin;
}

size_t rules_key_count(const struct rules *r)
{
	return r->keys.n;
}

const struct rules_key *rules_key_at(const struct rules *r, size_t i)
{
	assert(i < r->keys.n);
	return &r->keys.v[i];
}

const struct rules_key *rules_key_find(const struct rules *r,
				       const uint8_t id[KEY_ID_SIZE])
{
	return key_in(&r->keys, id);
}

const struct rules_mount *rules_mount_find(const struct rules *r,
					   uint32_t mount_no)
{
	const struct rules_place *m = mount_in(r, mount_no);

	return m == NULL ? NULL : &m->m;
}

uint32_t rules_mount_last(const struct rules *r)
{
	uint32_t last = 0;

	for (size_t i = 0; i < r->keys.n; i++)
		if (r->keys.v[i].mount_no > last)
			last = r->keys.v[i].mount_no;
	return last;
}

/* --- the seal --- */

static int seal_wrong(const struct staged *s, int rc, const char *why)
{
	return errmsg_set(s->em, rc, "seal %llu of mount %u: %s",
			  (unsigned long long)s->index, s->seal.mount_no, why);
}

static int key_check(const struct staged *s, const struct rules_batch *b)
{
	const struct rules_key *k = key_in(&s->keys, s->seal.key_id);

	if (k == NULL)
		return seal_wrong(s, -ERR_KEY, "its key is not in the log");
	if (k->role != KEY_MOUNT || k->mount_no != s->seal.mount_no)
		return seal_wrong(s, -ERR_KEY, "its key is not this mount's");
	if (s->index < k->from || s->index > k->until)
		return seal_wrong(s, -ERR_KEY, "its key is not active here");
	if (!b->skip_signature && seal_verify(b->seal, b->seal_n, k->pub) != 0)
		return seal_wrong(s, -ERR_SIGNATURE,
				  "its signature does not verify");
	return 0;
}

/* prev_seal, batch_seq, first_seq carry on from this mount's last seal. */
static int chain_check(const struct staged *s)
{
	const struct rules_place *m = mount_in(s->r, s->seal.mount_no);
	struct rules_mount none = { .next_first_seq = RULES_FIRST_SEQ };
	const struct rules_mount *at = m == NULL ? &none : &m->m;

	if (s->seal.batch_seq != at->batch_seq + 1)
		return seal_wrong(s, -ERR_REJECTED, "a batch is left out");
	if (!digest_eq(&s->seal.prev_seal, &at->last_seal))
		return seal_wrong(s, -ERR_REJECTED,
				  "it does not follow this mount's last seal");
	if (s->seal.first_seq != at->next_first_seq)
		return seal_wrong(s, -ERR_REJECTED, "entries are left out");
	if (s->seal.seen_size < at->seen_size)
		return seal_wrong(s, -ERR_REJECTED, "it saw an older log");
	return 0;
}

static int seen_check(const struct staged *s)
{
	struct digest root;
	int rc;

	if (s->seal.seen_size == 0)
		return 0; /* the decoder wants seen_root to be 0 too */
	if (s->seal.seen_size > s->index)
		return seal_wrong(s, -ERR_REJECTED, "it saw a longer log");
	rc = s->r->root(s->r->ctx, &root, s->seal.seen_size);
	if (rc != 0)
		return rc;
	if (!digest_eq(&root, &s->seal.seen_root))
		return seal_wrong(s, -ERR_REJECTED, "it saw another log");
	return 0;
}

/* A batch that came before: 1 and its index, 0 new, or an error. */
static int known_check(const struct staged *s, const struct digest *leaf,
		       uint64_t *out_index)
{
	const struct rules_place *m = mount_in(s->r, s->seal.mount_no);
	const struct rules_recent *old;

	if (m == NULL || s->seal.batch_seq > m->m.batch_seq)
		return 0;
	old = &m->recent[s->seal.batch_seq % RULES_RECENT];
	if (m->m.batch_seq - s->seal.batch_seq < RULES_RECENT &&
	    digest_eq(&old->leaf, leaf)) {
		*out_index = old->index;
		return RULES_KNOWN;
	}
	return seal_wrong(s, -ERR_REJECTED,
			  "this mount's batch number is taken");
}

/* --- keys --- */

static int entry_wrong(const struct staged *s, unsigned pos, int rc,
		       const char *why)
{
	return errmsg_set(s->em, rc, "entry %llu.%u: %s",
			  (unsigned long long)s->index, pos, why);
}

static int prepared_wrong(const struct staged *s)
{
	const struct rules_prepared *p = s->prepared;

	return entry_wrong(s, p->wrong, p->rc, errmsg_text(&p->why, p->rc));
}

/* Makes the staged keys a copy with room for one more. */
static int keys_own(struct staged *s)
{
	struct rules_key *v;

	if (s->keys.n >= RULES_KEYS_MAX)
		return -ERR_LIMIT;
	if (s->copied) {
		v = realloc(s->keys.v, (s->keys.n + 1) * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
	} else {
		v = malloc((s->keys.n + 1) * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		if (s->keys.n != 0)
			memcpy(v, s->keys.v, s->keys.n * sizeof(*v));
	}
	s->keys.v = v;
	s->copied = true;
	return 0;
}

static bool by_admin(const struct rules *r, const uint8_t *cert)
{
	for (unsigned i = 0; i < r->n_admin; i++)
		if (cert_verify(cert, r->admin[i]) == 0)
			return true;
	return false;
}

static bool mount_no_taken(const struct rules_keys *k, uint32_t mount_no)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].role == KEY_MOUNT && k->v[i].mount_no == mount_no)
			return true;
	return false;
}

static int key_push(struct staged *s, const struct rules_key *key)
{
	int rc = keys_own(s);

	if (rc == 0)
		s->keys.v[s->keys.n++] = *key;
	return rc;
}

static int key_from_cert(const struct staged *s, unsigned pos,
			 struct rules_key *out, const struct entry_key_add *add)
{
	struct cert c;
	int rc = cert_decode(&c, add->cert);
	size_t n = add->name.n;

	if (rc != 0)
		return entry_wrong(s, pos, rc, "bad certificate");
	if (memcmp(c.volume_id, s->r->volume_id, sizeof(c.volume_id)) != 0)
		return entry_wrong(s, pos, -ERR_KEY,
				   "certificate of another volume");
	if (!by_admin(s->r, add->cert))
		return entry_wrong(s, pos, -ERR_KEY,
				   "certificate by no admin key");
	*out = (struct rules_key){ .role = c.role, .mount_no = c.mount_no };
	key_id(out->id, c.pub);
	memcpy(out->pub, c.pub, sizeof(out->pub));
	memcpy(out->cert, add->cert, sizeof(out->cert));
	/* Leaf 0 activates its own keys. */
	out->from = s->index == 0 ? 0 : s->index + 1;
	out->until = UINT64_MAX;
	if (n >= sizeof(out->name))
		n = sizeof(out->name) - 1;
	memcpy(out->name, add->name.p, n);
	if (key_in(&s->keys, out->id) != NULL)
		return entry_wrong(s, pos, -ERR_KEY, "this key came before");
	return 0;
}

static int on_key_add(struct staged *s, unsigned pos,
		      const struct entry_key_add *add)
{
	struct rules_key key;
	int rc = key_from_cert(s, pos, &key, add);

	if (rc != 0)
		return rc;
	if (key.role == KEY_MOUNT && mount_no_taken(&s->keys, key.mount_no))
		return entry_wrong(s, pos, -ERR_KEY,
				   "this mount number came before");
	return key_push(s, &key);
}

static int on_rotate(struct staged *s, unsigned pos,
		     const struct entry_key_add *add)
{
	const struct rules_key *old = key_in(&s->keys, add->old_key_id);
	struct rules_key key;
	size_t at;
	int rc = key_from_cert(s, pos, &key, add);

	if (rc != 0)
		return rc;
	if (old == NULL || old->until != UINT64_MAX || old->role != key.role ||
	    old->mount_no != key.mount_no)
		return entry_wrong(s, pos, -ERR_KEY,
				   "it replaces no active key of its mount");
	at = (size_t)(old - s->keys.v);
	rc = key_push(s, &key);
	if (rc != 0)
		return rc;
	s->keys.v[at].until = s->index;
	s->keys.v[at].revoked = REVOKED_ROTATED;
	return 0;
}

/* AUTHOR_SIG by an admin key. */
static int author_check(const struct staged *s, unsigned pos,
			const struct entry_body *b)
{
	struct buf autocall(buf_release) m = BUF_INIT;
	int rc;

	if (!b->author.present)
		return entry_wrong(s, pos, -ERR_KEY,
				   "it is not signed by an admin");
	rc = entry_author_message(&m, b, s->r->volume_id);
	if (rc != 0)
		return entry_wrong(s, pos, rc, err_text(rc));
	for (unsigned i = 0; i < s->r->n_admin; i++) {
		uint8_t id[KEY_ID_SIZE];

		key_id(id, s->r->admin[i]);
		if (memcmp(id, b->author.key_id, sizeof(id)) != 0)
			continue;
		if (key_verify(s->r->admin[i], b->author.sig, m.p, m.n) == 0)
			return 0;
	}
	return entry_wrong(s, pos, -ERR_SIGNATURE,
			   "the admin's signature does not verify");
}

static int on_revoke(struct staged *s, unsigned pos, const struct entry_body *b)
{
	const struct entry_revoke *rev = &b->revoke;
	const struct rules_key *old = key_in(&s->keys, rev->key_id);
	struct rules_key *key;
	size_t at;
	int rc = author_check(s, pos, b);

	if (rc != 0)
		return rc;
	if (old == NULL)
		return entry_wrong(s, pos, -ERR_KEY, "it revokes no key");
	at = (size_t)(old - s->keys.v);
	rc = keys_own(s);
	if (rc != 0)
		return rc;
	key = &s->keys.v[at];
	if (key->until > s->index)
		key->until = s->index;
	key->revoked = rev->reason;
	key->suspect_since_ns = rev->suspect_since_ns;
	return 0;
}

static int on_new_origin(struct staged *s, unsigned pos,
			 const struct entry_body *b)
{
	const struct entry_new_origin *o = &b->new_origin;
	struct rules_key key = { .role = KEY_LOG };
	int rc = author_check(s, pos, b);

	if (rc != 0)
		return rc;
	if (s->new_origin || o->old_origin.n != s->r->origin_n ||
	    memcmp(o->old_origin.p, s->r->origin, o->old_origin.n) != 0)
		return entry_wrong(s, pos, -ERR_REJECTED,
				   "it names another origin");
	if (checkpoint_origin_check(o->new_origin.p, o->new_origin.n) != 0)
		return entry_wrong(s, pos, -ERR_FORMAT, "bad origin");
	key_id(key.id, o->log_pub);
	memcpy(key.pub, o->log_pub, sizeof(key.pub));
	key.from = s->index + 1;
	key.until = UINT64_MAX;
	if (key_in(&s->keys, key.id) != NULL)
		return entry_wrong(s, pos, -ERR_KEY, "this key came before");
	rc = key_push(s, &key);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i + 1 < s->keys.n; i++) {
		struct rules_key *k = &s->keys.v[i];

		if (k->role == KEY_LOG && k->until > s->index) {
			k->until = s->index;
			k->revoked = REVOKED_ROTATED;
		}
	}
	s->new_origin = true;
	s->origin_n = (uint8_t)o->new_origin.n;
	memcpy(s->origin, o->new_origin.p, o->new_origin.n);
	return 0;
}

/* --- entries --- */

static int on_control(struct staged *s, unsigned pos, const struct entry *e)
{
	switch (e->core.kind) {
	case ENTRY_GENESIS:
		return s->index == 0 && pos == 0 ?
			       0 :
			       entry_wrong(s, pos, -ERR_REJECTED,
					   "a second beginning");
	case ENTRY_KEY_ADD:
		return on_key_add(s, pos, &e->body.key_add);
	case ENTRY_ROTATE:
		return on_rotate(s, pos, &e->body.key_add);
	case ENTRY_REVOKE:
		return on_revoke(s, pos, &e->body);
	case ENTRY_NEW_ORIGIN:
		return on_new_origin(s, pos, &e->body);
	default:
		return 0;
	}
}

/* Encodings, leaf hashes and the batch's root. */
static int leaves_check(struct staged *s, const struct rules_batch *b)
{
	struct rules_prepared *own = &s->r->own;

	s->prepared = b->prepared;
	if (s->prepared == NULL) {
		rules_prepare(own, b->entries, b->n);
		s->prepared = own;
	}
	if (s->prepared->unhashed)
		return prepared_wrong(s);
	if (!digest_eq(&s->prepared->root, &s->seal.batch_root))
		return seal_wrong(
			s, -ERR_HASH,
			"its entries are not those it was signed for");
	return 0;
}

static uint16_t kind_of(const struct rules_entry *e)
{
	return (uint16_t)(e->p[4] | e->p[5] << 8);
}

static int entry_accept(struct staged *s, const struct rules_batch *b,
			unsigned i)
{
	struct errmsg why = ERRMSG_INIT;
	struct entry e;
	int rc;

	if (s->prepared->rc != 0 && i == s->prepared->wrong)
		return prepared_wrong(s);
	if (!rules_is_control(kind_of(&b->entries[i])))
		return 0;
	rc = entry_open(&e, NULL, b->entries[i].p, b->entries[i].n, &why);
	if (rc != 0)
		return entry_wrong(s, i, rc, errmsg_text(&why, rc));
	if (e.state != ENTRY_CLEAR)
		return entry_wrong(s, i, -ERR_REJECTED,
				   "an entry about keys must be in clear");
	return on_control(s, i, &e);
}

/* Leaf 0 says which volume this is; set at once, undone on failure. */
static int begin_genesis(struct staged *s, const struct rules_batch *b)
{
	struct rules *r = s->r;
	struct entry e;
	const struct entry_genesis *g = &e.body.genesis;
	int rc;

	rc = entry_open(&e, NULL, b->entries[0].p, b->entries[0].n, s->em);
	if (rc != 0)
		return rc;
	if (e.core.kind != ENTRY_GENESIS || e.state != ENTRY_CLEAR)
		return entry_wrong(s, 0, -ERR_REJECTED,
				   "a log begins with GENESIS");
	if (checkpoint_origin_check(g->origin.p, g->origin.n) != 0)
		return entry_wrong(s, 0, -ERR_FORMAT, "bad origin");
	memset(r->origin, 0, sizeof(r->origin));
	memcpy(r->origin, g->origin.p, g->origin.n);
	r->origin_n = (uint8_t)g->origin.n;
	r->n_admin = (uint8_t)g->n_admin;
	memcpy(r->admin, g->admin, sizeof(r->admin));
	key_volume_id(r->volume_id, g->origin.p, g->origin.n,
		      (const uint8_t(*)[KEY_SIZE])g->admin, g->n_admin,
		      g->nonce);
	return 0;
}

static int mount_accept(struct staged *s, const struct digest *leaf)
{
	struct rules *r = s->r;
	struct rules_place *m = mount_in(r, s->seal.mount_no);
	struct rules_recent *last;

	if (m == NULL) {
		if (r->n_mounts >= RULES_MOUNTS_MAX)
			return -ERR_LIMIT;
		m = realloc(r->mounts, (r->n_mounts + 1) * sizeof(*m));
		if (m == NULL)
			return -ENOMEM;
		r->mounts = m;
		m += r->n_mounts++;
		memset(m, 0, sizeof(*m));
	}
	m->m.mount_no = s->seal.mount_no;
	m->m.batch_seq = s->seal.batch_seq;
	m->m.next_first_seq = s->seal.first_seq + s->seal.count;
	m->m.last_seal = *leaf;
	m->m.last_index = s->index;
	m->m.last_wall_ns = s->seal.wall_ns;
	m->m.seen_size = s->seal.seen_size;
	memcpy(m->m.incarnation, s->seal.incarnation, sizeof(m->m.incarnation));
	last = &m->recent[s->seal.batch_seq % RULES_RECENT];
	last->leaf = *leaf;
	last->index = s->index;
	return 0;
}

static int batch_check(struct staged *s, const struct rules_batch *b,
		       const struct digest *leaf, uint64_t *out_index)
{
	int rc;

	if (b->n != s->seal.count)
		return seal_wrong(s, -ERR_REJECTED, "entries are missing");
	if (s->index == 0) {
		rc = begin_genesis(s, b);
		if (rc != 0)
			return rc;
	}
	if (memcmp(s->seal.volume_id, s->r->volume_id, 16) != 0)
		return seal_wrong(s, -ERR_REJECTED, "it is another volume's");
	rc = known_check(s, leaf, out_index);
	if (rc != 0)
		return rc;
	if (s->index != 0) {
		rc = key_check(s, b);
		if (rc != 0)
			return rc;
	}
	rc = chain_check(s);
	if (rc == 0)
		rc = seen_check(s);
	if (rc == 0)
		rc = leaves_check(s, b);
	if (rc == 0 && s->prepared->rc == 0 && !s->prepared->control)
		return s->index == 0 ? key_check(s, b) : 0;
	for (unsigned i = 0; rc == 0 && i < b->n; i++)
		rc = entry_accept(s, b, i);
	if (rc == 0 && s->index == 0)
		rc = key_check(s, b);
	return rc;
}

static int batch_accept(struct staged *s, const struct digest *leaf)
{
	struct rules *r = s->r;
	int rc = mount_accept(s, leaf);

	if (rc != 0)
		return rc;
	if (s->copied) {
		free(r->keys.v);
		r->keys = s->keys;
		s->copied = false;
	}
	if (s->new_origin) {
		memset(r->origin, 0, sizeof(r->origin));
		memcpy(r->origin, s->origin, s->origin_n);
		r->origin_n = s->origin_n;
	}
	r->size++;
	return 0;
}

int rules_check(struct rules *r, const struct rules_batch *b,
		uint64_t *out_index, struct errmsg *em)
{
	struct staged s = { .r = r, .keys = r->keys, .em = em };
	struct digest leaf;
	int rc = seal_decode(&s.seal, b->seal, b->seal_n);

	*out_index = b->leaf_index;
	s.index = b->leaf_index;
	if (rc != 0)
		return errmsg_set(em, rc, "seal %llu: %s",
				  (unsigned long long)b->leaf_index,
				  err_text(rc));
	if (b->leaf_index != r->size)
		return seal_wrong(&s, -ERR_REJECTED, "out of order");
	seal_leaf(&leaf, b->seal, b->seal_n);
	rc = batch_check(&s, b, &leaf, out_index);
	if (rc == 0)
		rc = batch_accept(&s, &leaf);
	if (s.copied)
		free(s.keys.v);
	if (rc != 0)
		return rc;
	if (b->out_leaves != NULL)
		memcpy(b->out_leaves, s.prepared->leaves,
		       (size_t)b->n * sizeof(b->out_leaves[0]));
	if (b->out_seal_leaf != NULL)
		*b->out_seal_leaf = leaf;
	return 0;
}
