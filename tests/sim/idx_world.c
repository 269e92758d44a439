/*
 * idx_world.c - see idx_world.h.
 */
#include "tests/sim/idx_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"

#define check(cond, ...)                                            \
	do {                                                        \
		if (!(cond)) {                                      \
			fprintf(stderr, "idx_world: " __VA_ARGS__); \
			fprintf(stderr, "\n");                      \
			abort();                                    \
		}                                                   \
	} while (0)

uint64_t idx_world_no(size_t i)
{
	return IDX_ENTRY_NO(i / WORLD_SEAL, i % WORLD_SEAL);
}

struct digest idx_world_root(uint64_t seals)
{
	struct digest d;

	digest_sha256(&d, &seals, sizeof(seals));
	return d;
}

void idx_world_init(struct idx_world *w, const char *name, uint64_t seed,
		    unsigned wrong)
{
	memset(w, 0, sizeof(*w));
	tmp_init(&w->tmp);
	check(!vio_posix_open(&w->vio, w->tmp.path), "no directory");
	prng_init(&w->p, prng_seed(name, seed));
	entry_gen_init(&w->gen, &w->p, wrong);
	state_mem_init(&w->mem);
}

void idx_world_release(struct idx_world *w)
{
	while (w->n)
		gen_entry_release(&w->log[--w->n]);
	free(w->log);
	free(w->applied);
	state_mem_release(&w->mem);
	vio_free(w->vio);
	tmp_release(&w->tmp);
}

static void grow_one(struct idx_world *w)
{
	struct apply_options o = { .entry_no = idx_world_no(w->n) };
	uint64_t before;
	const char *why;
	int rc;

	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 256;
		w->log = realloc(w->log, w->cap * sizeof(*w->log));
		w->applied = realloc(w->applied, w->cap * sizeof(bool));
		check(w->log && w->applied, "no memory");
	}
	if (w->n)
		entry_gen_next(&w->gen, &w->log[w->n], &w->mem);
	else
		entry_gen_root(&w->gen, &w->log[0]);
	o.leaf = &w->log[w->n].leaf;
	before = state_mem_sum(&w->mem);
	rc = apply(&w->mem, &state_mem_ops, &w->log[w->n].e, &o, &why);
	check(rc == 0 || rc == 1, "apply says %d", rc);
	check(!rc == (why != NULL), "words exactly for what is rejected");
	check(rc || before == state_mem_sum(&w->mem),
	      "a rejected entry (%s) changed rows", why);
	why = state_mem_check(&w->mem);
	check(!why, "entry %zu breaks: %s", w->n, why);
	w->applied[w->n] = rc;
	w->answers[rc]++;
	w->n++;
}

void idx_world_grow(struct idx_world *w, size_t n)
{
	for (; n || w->n % WORLD_SEAL; n -= n ? 1 : 0)
		grow_one(w);
}

struct idx *idx_world_open(struct idx_world *w, const char *name)
{
	struct idx_options o = { .vio = w->vio,
				 .dir = w->tmp.path,
				 .name = name };
	struct errmsg em = ERRMSG_INIT;
	struct idx *x = NULL;
	int rc = idx_open(&x, &o, &em);

	check(!rc, "idx_open: %s", errmsg_text(&em, rc));
	return x;
}

struct idx_reader *idx_world_reader(struct idx_world *w)
{
	struct errmsg em = ERRMSG_INIT;
	struct idx_reader *r = NULL;
	int rc = idx_reader_open(&r, w->tmp.path, &em);

	check(!rc, "idx_reader_open: %s", errmsg_text(&em, rc));
	return r;
}

static void apply_seal(struct idx_world *w, struct idx *x, uint64_t seal)
{
	size_t i = seal * WORLD_SEAL, end = i + WORLD_SEAL;
	int rc = idx_seal(x, seal, 1, w->log[i].e.core.wall_ns + 5, WORLD_SEAL);

	check(!rc, "idx_seal: %s", err_text(rc));
	for (; i < end; i++) {
		rc = idx_apply(x, &w->log[i].e, &w->log[i].leaf,
			       idx_world_no(i));
		check(!rc, "idx_apply: %s", err_text(rc));
	}
}

void idx_world_apply(struct idx_world *w, struct idx *x, uint64_t from,
		     uint64_t until, bool give_up)
{
	struct digest root = idx_world_root(until);
	int rc = idx_begin(x);

	check(!rc, "idx_begin: %s", err_text(rc));
	for (; from < until; from++)
		apply_seal(w, x, from);
	if (give_up) {
		idx_abort(x);
		return;
	}
	rc = idx_end(x, until, &root);
	check(!rc, "idx_end: %s", err_text(rc));
}

void idx_world_apply_all(struct idx_world *w, const char *name, uint64_t max)
{
	uint64_t seals = w->n / WORLD_SEAL, at = 0, got, k;
	struct idx *x = idx_world_open(w, name);
	struct digest root, want;

	while (at < seals) {
		k = prng_range(&w->p, 1, max);
		if (k > seals - at)
			k = seals - at;
		if (prng_chance(&w->p, 20))
			idx_world_apply(w, x, at, at + k, true);
		idx_world_apply(w, x, at, at + k, false);
		at += k;
		if (prng_chance(&w->p, 10)) {
			idx_close(x);
			x = idx_world_open(w, name);
		}
		want = idx_world_root(at);
		check(!idx_position(x, &got, &root) && got == at &&
			      digest_eq(&root, &want),
		      "the position is not what was applied");
	}
	idx_close(x);
}
