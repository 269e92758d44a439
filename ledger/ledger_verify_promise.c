/*
 * ledger_verify_promise.c - roots that were promised: by the checkpoint, by
 * the guard, by an old checkpoint that somebody kept.  Each is compared when
 * the tree read so far has reached its size.
 */
#include <string.h>

#include "base/vio.h"
#include "ledger/key.h"
#include "ledger/note.h"
#include "ledger/verify_impl.h"

static void promise(struct verifying *v, uint64_t size,
		    const struct digest *root, const char *by)
{
	struct promise *p = &v->promise[v->n_promises];

	if (size > v->size) {
		ledger_verify_tellf(
			v, "%s: %llu seals were signed, the log has %llu", by,
			(ull_)size, (ull_)v->size);
		return;
	}
	p->at.size = size;
	p->at.root = *root;
	p->by = by;
	v->n_promises++;
}

static int parse_note(struct checkpoint *out, const void *p, size_t n)
{
	struct note note;
	int rc = note_parse(&note, p, n);

	return rc < 0 ? rc : checkpoint_parse(out, note.text, note.text_n);
}

/*
 * What was promised is read before the size is: by then the log has it, also
 * when somebody signs while we look.
 */
void ledger_verify_promises(struct verifying *v)
{
	struct ledger *l = v->l;
	const char *old = v->o->consistent_with;
	struct ledger_anchor guard = { .size = 0 };
	struct checkpoint c;
	int rc = vio_read_file(l->vio, &v->note, LEDGER_CHECKPOINT,
			       CHECKPOINT_MAX);

	if (l->guard_vio != NULL) {
		mutex_lock(&l->cp_mu);
		guard = (struct ledger_anchor){ l->guard.size, l->guard.root };
		mutex_unlock(&l->cp_mu);
	}
	v->size = ledger_size(l);
	if (rc == 0)
		rc = parse_note(&v->checkpoint, v->note.p, v->note.n);
	if (rc < 0) {
		memset(&v->checkpoint, 0, sizeof(v->checkpoint));
		ledger_verify_tellf(v, "%s: %s", LEDGER_CHECKPOINT,
				    err_text(rc));
	} else {
		promise(v, v->checkpoint.size, &v->checkpoint.root,
			"checkpoint");
	}
	if (guard.size > 0)
		promise(v, guard.size, &guard.root, "guard");
	if (old == NULL)
		return;
	rc = parse_note(&c, old, strlen(old));
	if (rc < 0)
		ledger_verify_tellf(v,
				    "the old checkpoint is not understood: %s",
				    err_text(rc));
	else
		promise(v, c.size, &c.root, "the old checkpoint");
}

void ledger_verify_keep(struct verifying *v)
{
	struct digest root;

	for (unsigned i = 0; i < v->n_promises; i++) {
		const struct promise *p = &v->promise[i];

		if (p->at.size != v->frontier.size)
			continue;
		merkle_frontier_root(&root, &v->frontier);
		if (!digest_eq(&root, &p->at.root))
			ledger_verify_tellf(
				v, "%s: another root was signed at size %llu",
				p->by, (ull_)p->at.size);
	}
}

void ledger_verify_note(struct verifying *v, const char *by, const void *p,
			size_t n)
{
	struct checkpoint c, again;

	if (parse_note(&c, p, n) < 0)
		return; /* told already */
	for (size_t i = 0; i < rules_key_count(v->rules); i++) {
		const struct rules_key *k = rules_key_at(v->rules, i);
		struct note_vkey vk;

		if (k->role == KEY_LOG &&
		    note_vkey_make(&vk, c.origin, NOTE_ED25519, k->pub) == 0 &&
		    checkpoint_open(&again, p, n, &vk, 1) == 0)
			return;
	}
	ledger_verify_tellf(v, "%s: it is signed by no key of the log", by);
}
