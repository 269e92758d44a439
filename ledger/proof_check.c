/*
 * proof_check.c - what a proof proves, checked step by step, offline.
 *
 *   trusted log key ─signs─► checkpoint ─contains─► seal ─contains─► entry
 *   trusted admin key ─signs─► certificate ─names─► mount key ─signs─► seal
 *   entry ─names by hash─► VERSION, ACTOR, READS ─name─► other VERSIONs
 *
 * Invariants: (1) nothing reaches the report that is not reached from a
 * trusted key along these arrows.  (2) Work is bounded: PROOF_REFS_MAX
 * entries of at most LIMIT_READS references, each looked at once.
 *
 * Pure; any thread.
 */
#include "ledger/proof.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "ledger/key.h"
#include "ledger/trust.h"

/* An entry of the proof, decoded, and its leaf hash. */
struct node {
	struct digest leaf;
	struct entry e;
	bool reached;
};

struct check {
	struct proof_report *out;
	const struct proof *p;
	const struct trust *t;
	struct errmsg *em;
	struct node main;
	struct node refs[PROOF_REFS_MAX];
};

static int fails(struct check *c, int rc, const char *why)
{
	return errmsg_set(c->em, rc, "proof: %s", why);
}

/* --- log --- */

static int check_witnesses(struct check *c, const struct note *note)
{
	bool by[TRUST_KEYS_MAX] = { false };
	uint64_t when[TRUST_KEYS_MAX] = { 0 };
	int rc;

	if (c->t->n_witnesses == 0)
		return 0;
	rc = note_verify(note, c->t->witnesses, c->t->n_witnesses, by, when);
	if (rc == -ERR_KEY)
		return 0; /* none of them signed */
	if (rc < 0)
		return fails(c, rc, "a witness's cosignature does not verify");
	for (size_t i = 0; i < c->t->n_witnesses; i++) {
		if (!by[i])
			continue;
		c->out->n_cosigned++;
		if (c->out->cosigned_unix == 0 ||
		    when[i] < c->out->cosigned_unix)
			c->out->cosigned_unix = when[i];
	}
	return 0;
}

static int check_log(struct check *c)
{
	const struct proof *p = c->p;
	struct proof_report *out = c->out;
	struct note note;
	int rc;

	rc = checkpoint_open(&out->checkpoint, p->checkpoint, p->checkpoint_n,
			     c->t->logs, c->t->n_logs);
	if (rc == -ERR_KEY)
		return fails(c, rc,
			     "its checkpoint is signed by no trusted log key");
	if (rc == -ERR_SIGNATURE)
		return fails(c, rc,
			     "the checkpoint's signature does not verify");
	if (rc != 0)
		return fails(c, rc, "its checkpoint is damaged");
	rc = note_parse(&note, p->checkpoint, p->checkpoint_n);
	if (rc == 0)
		rc = check_witnesses(c, &note);
	if (rc != 0)
		return rc;
	seal_leaf(&out->seal_leaf, p->seal, p->seal_n);
	rc = merkle_inclusion_verify(&out->seal_leaf, p->seal_index,
				     out->checkpoint.size, &p->inclusion,
				     &out->checkpoint.root);
	if (rc != 0)
		return fails(c, rc, "the seal is not in the log at its place");
	out->seal_index = p->seal_index;
	return 0;
}

/* --- author --- */

static int check_cert(struct check *c)
{
	struct proof_report *out = c->out;
	int rc;

	if (c->p->cert == NULL)
		return fails(c, -ERR_KEY, "it has no certificate of the key");
	rc = cert_decode(&out->cert, c->p->cert);
	if (rc != 0)
		return fails(c, rc, "its certificate is damaged");
	if (out->cert.role != KEY_MOUNT ||
	    out->cert.mount_no != out->seal.mount_no ||
	    memcmp(out->cert.volume_id, out->seal.volume_id, 16) != 0)
		return fails(c, -ERR_KEY,
			     "its certificate is for another mount");
	if (c->t->n_admins == 0)
		return 0;
	for (size_t i = 0; i < c->t->n_admins; i++)
		if (cert_verify(c->p->cert, c->t->admins[i].pub) == 0)
			out->admin_vouched = true;
	return out->admin_vouched ?
		       0 :
		       fails(c, -ERR_KEY,
			     "its certificate is by no trusted admin key");
}

static int check_author(struct check *c)
{
	int rc = seal_decode(&c->out->seal, c->p->seal, c->p->seal_n);

	if (rc != 0)
		return fails(c, rc, "its seal is damaged");
	rc = check_cert(c);
	if (rc != 0)
		return rc;
	rc = seal_verify(c->p->seal, c->p->seal_n, c->out->cert.pub);
	if (rc != 0)
		return fails(c, rc, "the mount's signature does not verify");
	return 0;
}

/* --- entries --- */

static int node_open(struct check *c, struct node *out,
		     const struct proof_entry *e)
{
	struct digest commit;
	size_t head = ENTRY_CORE_SIZE + ENTRY_SALT_SIZE;
	int rc;

	if (e->n < head || e->n > LIMIT_ENTRY)
		return fails(c, -ERR_FORMAT, "an entry is damaged");
	rc = entry_core_decode(&out->e.core, e->p);
	if (rc == 0)
		rc = entry_body_decode(&out->e.body, out->e.core.kind,
				       e->p + head, e->n - head);
	if (rc == 0)
		rc = entry_check(&out->e.core, &out->e.body, NULL);
	if (rc != 0)
		return fails(c, rc, "an entry is damaged");
	entry_commit(&commit, e->p + ENTRY_CORE_SIZE, e->p + head, e->n - head);
	entry_leaf(&out->leaf, e->p, &commit);
	return 0;
}

static struct node *ref_find(struct check *c, const struct digest *leaf)
{
	for (unsigned i = 0; i < c->p->n_refs; i++)
		if (memcmp(c->refs[i].leaf.b, leaf->b, DIGEST_SIZE) == 0)
			return &c->refs[i];
	return NULL;
}

struct reach {
	struct check *c;
	unsigned n;
	struct node *todo[PROOF_REFS_MAX];
};

static int reach_one(void *ctx, const struct digest *leaf)
{
	struct reach *r = ctx;
	struct node *node = ref_find(r->c, leaf);

	if (node == NULL || node->reached)
		return 0;
	node->reached = true;
	assert(r->n < PROOF_REFS_MAX);
	r->todo[r->n++] = node;
	return 0;
}

/* Every entry in the proof must be named, from the proven one on. */
static int check_refs(struct check *c)
{
	struct reach r = { .c = c };
	int rc = entry_refs(&c->main.e.core, &c->main.e.body, reach_one, &r);

	for (unsigned i = 0; rc == 0 && i < r.n; i++)
		rc = entry_refs(&r.todo[i]->e.core, &r.todo[i]->e.body,
				reach_one, &r);
	assert(rc == 0);
	if (r.n != c->p->n_refs)
		return fails(c, -ERR_PROOF,
			     "it holds an entry that nothing names");
	return 0;
}

static int check_entries(struct check *c)
{
	int rc = node_open(c, &c->main, &c->p->entry);

	if (rc != 0)
		return rc;
	c->out->leaf = c->main.leaf;
	c->out->position = c->p->position;
	rc = seal_batch_verify(&c->out->seal, &c->main.leaf, c->p->position,
			       &c->p->batch_path);
	if (rc != 0)
		return fails(c, rc, "the entry is not in the seal's batch");
	for (unsigned i = 0; i < c->p->n_refs; i++) {
		rc = node_open(c, &c->refs[i], &c->p->refs[i]);
		if (rc != 0)
			return rc;
	}
	return check_refs(c);
}

/* --- what they say --- */

static int version_take(struct check *c, const struct node *n)
{
	struct proof_report *out = c->out;

	if (n == NULL)
		return fails(c, -ERR_PROOF,
			     "the version that it is about is not in it");
	if (n->e.core.kind != ENTRY_VERSION)
		return fails(c, -ERR_PROOF, "it is not about a file version");
	out->has_version = true;
	out->version_core = n->e.core;
	out->version = n->e.body.version;
	out->version_leaf = n->leaf;
	out->path = out->version.path;
	if (out->version.flags & ENTRY_VERSION_SHA256)
		out->sha256 = out->version.sha256;
	return 0;
}

static int take_version(struct check *c)
{
	const struct entry *e = &c->main.e;
	struct proof_report *out = c->out;
	int rc;

	if (e->core.kind == ENTRY_VERSION) {
		rc = version_take(c, &c->main);
		if (rc == 0 && !(out->version.flags & ENTRY_VERSION_SHA256))
			return fails(c, -ERR_PROOF,
				     "it has no SHA-256 of the file");
		return rc;
	}
	if (e->core.kind != ENTRY_DIGEST)
		return fails(c, -ERR_PROOF, "it is not about a file version");
	rc = version_take(c, ref_find(c, &e->body.digest.version));
	if (rc != 0)
		return rc;
	if ((out->version.flags & ENTRY_VERSION_SHA256) &&
	    !digest_eq(&out->sha256, &e->body.digest.sha256))
		return fails(c, -ERR_PROOF, "it gives two digests for a file");
	out->sha256 = e->body.digest.sha256;
	out->via_digest = true;
	out->digest_wall_ns = e->core.wall_ns;
	return 0;
}

static int take_actor(struct check *c)
{
	const struct node *n = ref_find(c, &c->out->version_core.actor);

	if (n == NULL)
		return 0;
	if (n->e.core.kind != ENTRY_ACTOR)
		return fails(c, -ERR_PROOF, "its writer is no process");
	c->out->has_actor = true;
	c->out->actor = n->e.body.actor;
	return 0;
}

static void take_input(struct check *c, const struct entry_read *read)
{
	struct proof_report *out = c->out;
	struct proof_input *in;
	const struct node *n = ref_find(c, &read->version);

	if (out->n_inputs == PROOF_INPUTS_MAX) {
		out->n_inputs_left_out++;
		return;
	}
	in = &out->inputs[out->n_inputs++];
	in->strength = read->strength;
	in->version = read->version;
	in->content = read->content;
	if (n == NULL || n->e.core.kind != ENTRY_VERSION)
		return;
	in->entry = &c->p->refs[n - c->refs];
	in->path = n->e.body.version.path;
	in->has_sha256 = n->e.body.version.flags & ENTRY_VERSION_SHA256;
	in->sha256 = n->e.body.version.sha256;
}

/* Along the chain of READS; a hash chain cannot loop. */
static int take_inputs(struct check *c)
{
	struct digest head = c->out->version.reads;

	if (!(c->out->version.flags & ENTRY_VERSION_READS))
		head = digest_zero;
	for (unsigned i = 0; i <= PROOF_REFS_MAX; i++) {
		const struct node *n;
		const struct entry_reads *b;

		if (digest_is_zero(&head)) {
			c->out->reads_complete = true;
			return 0;
		}
		n = ref_find(c, &head);
		if (n == NULL)
			return 0;
		if (n->e.core.kind != ENTRY_READS)
			return fails(c, -ERR_PROOF, "its inputs are no READS");
		b = &n->e.body.reads;
		for (unsigned k = 0; k < b->n; k++) {
			struct entry_read read;

			entry_reads_at(&read, b, k);
			take_input(c, &read);
		}
		head = b->previous;
	}
	return 0;
}

static int check_file(struct check *c, const struct proof_file *file)
{
	const struct proof_report *out = c->out;
	char have[DIGEST_HEX_SIZE];
	char want[DIGEST_HEX_SIZE];

	if (file == NULL)
		return 0;
	if (file->size != out->version.size)
		return errmsg_set(c->em, -ERR_PROOF,
				  "not that file: it has %llu bytes, recorded "
				  "were %llu",
				  (unsigned long long)file->size,
				  (unsigned long long)out->version.size);
	if (digest_eq(&file->sha256, &out->sha256))
		return 0;
	digest_hex(have, &file->sha256);
	digest_hex(want, &out->sha256);
	return errmsg_set(c->em, -ERR_PROOF,
			  "not that file: its SHA-256 is %s, recorded was %s",
			  have, want);
}

int proof_check(struct proof_report *out, const struct proof *p,
		const struct trust *t, const struct proof_file *file,
		struct errmsg *em)
{
	struct check *c = calloc(1, sizeof(*c));
	int rc;

	memset(out, 0, sizeof(*out));
	if (c == NULL)
		return -ENOMEM;
	c->out = out;
	c->p = p;
	c->t = t;
	c->em = em;
	rc = check_log(c);
	if (rc == 0)
		rc = check_author(c);
	if (rc == 0)
		rc = check_entries(c);
	if (rc == 0)
		rc = take_version(c);
	if (rc == 0)
		rc = take_actor(c);
	if (rc == 0)
		rc = take_inputs(c);
	if (rc == 0)
		rc = check_file(c, file);
	free(c);
	return rc;
}
