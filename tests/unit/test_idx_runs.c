/*
 * test_idx_runs.c - what the index says of runs, against the random log it
 * came from: which there are, what they are called, what each entered.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"
#include "tests/sim/idx_world.h"

enum { LOG = 2100 /* whole seals */ };

static const uint8_t none[16];

/* The log's ACTORs and RUN_STARTs that can be read, and whose entry is whose. */
struct who {
	struct idx_world *w;
	size_t at[LOG];
	size_t n;
	const uint8_t **run; /* of each entry; NULL: none */
};

static const struct entry *entry_at(const struct who *p, size_t i)
{
	return &p->w->log[i].e;
}

static bool counts(const struct who *p, size_t i)
{
	return p->w->applied[i] && entry_at(p, i)->state == ENTRY_CLEAR;
}

/* The place of the entry with that leaf among those before `before`. */
static size_t by_leaf(const struct who *p, const struct digest *leaf,
		      size_t before)
{
	for (size_t k = 0; k < p->n && p->at[k] < before; k++)
		if (digest_eq(&p->w->log[p->at[k]].leaf, leaf))
			return p->at[k];
	return p->w->n;
}

static void who_init(struct who *p, struct idx_world *w)
{
	memset(p, 0, sizeof(*p));
	p->w = w;
	p->run = calloc(w->n, sizeof(*p->run));
	cr_assert(p->run);
	for (size_t i = 0; i < w->n; i++) {
		const struct entry *e = entry_at(p, i);
		size_t a = by_leaf(p, &e->core.actor, i);

		if (a < w->n && entry_at(p, a)->core.kind == ENTRY_ACTOR &&
		    memcmp(entry_at(p, a)->body.actor.run, none, 16))
			p->run[i] = entry_at(p, a)->body.actor.run;
		if (counts(p, i) && (e->core.kind == ENTRY_ACTOR ||
				     e->core.kind == ENTRY_RUN_START))
			p->at[p->n++] = i;
	}
}

static void who_release(struct who *p)
{
	free(p->run);
}

struct seen {
	struct who *p;
	struct idx_reader *r;
	const struct idx_run *run;
	size_t next; /* place in the log */
	uint64_t entries, runs, before;
};

static int on_entry(void *ctx, const struct idx_entry *e)
{
	struct seen *s = ctx;
	const uint8_t *id;

	for (;; s->next++) {
		cr_assert_lt(s->next, s->p->w->n, "an entry too many");
		id = s->p->run[s->next];
		if (id && !memcmp(id, s->run->id, 16))
			break;
	}
	cr_assert_eq(e->no, idx_world_no(s->next));
	cr_assert_eq(e->kind, entry_at(s->p, s->next)->core.kind);
	s->next++;
	s->entries++;
	return 0;
}

static void check_entries(struct seen *s)
{
	uint64_t from = 0, all = 0;

	s->next = 0;
	do { /* in pages of seven */
		s->entries = 0;
		cr_assert_eq(idx_run_entries(s->r, s->run, from, IDX_NOW, 7,
					     on_entry, s),
			     0);
		all += s->entries;
		if (s->entries)
			from = idx_world_no(s->next - 1) + 1;
	} while (s->entries == 7);
	for (; s->next < s->p->w->n; s->next++) {
		const uint8_t *id = s->p->run[s->next];

		cr_assert(!id || memcmp(id, s->run->id, 16),
			  "entry %zu is missing", s->next);
	}
	s->entries = all;
}

/* Who began the run: the first entry of the log that names its id. */
static size_t beginning(const struct who *p, const uint8_t id[16])
{
	for (size_t k = 0; k < p->n; k++) {
		const struct entry *e = entry_at(p, p->at[k]);
		const uint8_t *named = e->core.kind == ENTRY_ACTOR ?
					       e->body.actor.run :
					       e->body.run_start.run;

		if (!memcmp(named, id, 16))
			return p->at[k];
	}
	return p->w->n;
}

static uint64_t actors_of(const struct who *p, const uint8_t id[16])
{
	uint64_t n = 0;

	for (size_t k = 0; k < p->n; k++) {
		const struct entry *e = entry_at(p, p->at[k]);

		n += e->core.kind == ENTRY_ACTOR &&
		     !memcmp(e->body.actor.run, id, 16);
	}
	return n;
}

static int on_actor(void *ctx, uint64_t no)
{
	(void)no;
	++*(uint64_t *)ctx;
	return 0;
}

static int on_run(void *ctx, const struct idx_run *v)
{
	struct seen *s = ctx;
	char word[RUN_WORD_MAX];
	struct idx_run again;
	size_t i = beginning(s->p, v->id);
	uint64_t actors = 0;

	cr_assert_lt(i, s->p->w->n);
	cr_assert_eq(v->no, idx_world_no(i));
	cr_assert_lt(v->no, s->before);
	s->before = v->no;
	cr_assert_eq(v->implicit, entry_at(s->p, i)->core.kind == ENTRY_ACTOR);
	idx_run_word(word, v);
	cr_assert_eq(idx_run_find(s->r, &again, word), 1, "%s", word);
	cr_assert_eq(again.no, v->no);
	cr_assert_eq(idx_run_by_id(s->r, &again, v->id), 1);
	cr_assert_eq(again.no, v->no);
	cr_assert_eq(idx_run(s->r, &again, v->no), 1);
	cr_assert_str_eq(again.name, v->name);
	s->run = v;
	check_entries(s);
	cr_assert_geq(idx_run_actors(s->r, v, 0, UINT32_MAX, on_actor, &actors),
		      0);
	cr_assert_eq(actors, actors_of(s->p, v->id));
	s->runs++;
	return 0;
}

Test(idx_runs, are_what_the_log_says)
{
	struct seen s = { .before = IDX_NOW };
	struct idx_world w;
	struct who p;

	idx_world_init(&w, "runs", 0, 4);
	idx_world_grow(&w, LOG);
	idx_world_apply_all(&w, NULL, 9);
	who_init(&p, &w);
	s.p = &p;
	s.r = idx_world_reader(&w);
	cr_assert_eq(idx_runs(s.r, IDX_NOW, UINT32_MAX, on_run, &s), 0);
	cr_assert_gt(s.runs, 8, "the log has too few runs to tell");
	idx_reader_close(s.r);
	who_release(&p);
	idx_world_release(&w);
}

static int ended(void *ctx, const struct idx_run *v)
{
	const struct who *p = ctx;
	size_t start = beginning(p, v->id);

	/* a RUN_END counts when it names this run's start and its id */
	for (size_t i = 0; i < p->w->n; i++) {
		const struct entry_run_end *b = &entry_at(p, i)->body.run_end;

		if (entry_at(p, i)->core.kind != ENTRY_RUN_END ||
		    !counts(p, i) || memcmp(b->run, v->id, 16) ||
		    by_leaf(p, &b->start, i) != start ||
		    entry_at(p, start)->core.kind != ENTRY_RUN_START)
			continue;
		cr_assert_eq(v->end_no, idx_world_no(i));
		cr_assert_eq(v->how, b->how);
		cr_assert_eq(v->status, b->status);
		cr_assert_eq(v->ended_ns, entry_at(p, i)->core.wall_ns);
		return 0;
	}
	cr_assert_eq(v->end_no, 0);
	return 0;
}

static int open_one(void *ctx, const struct idx_run *v)
{
	cr_assert(!v->implicit && !v->end_no);
	++*(uint64_t *)ctx;
	return 0;
}

static int count_open(void *ctx, const struct idx_run *v)
{
	*(uint64_t *)ctx += !v->implicit && !v->end_no;
	return 0;
}

Test(idx_runs, end_by_their_own_end_alone)
{
	uint64_t open = 0, want = 0;
	struct idx_reader *r;
	struct idx_world w;
	struct who p;

	idx_world_init(&w, "runs-end", 0, 4);
	idx_world_grow(&w, LOG);
	idx_world_apply_all(&w, NULL, 20);
	r = idx_world_reader(&w);
	who_init(&p, &w);
	cr_assert_eq(idx_runs(r, IDX_NOW, UINT32_MAX, ended, &p), 0);
	cr_assert_eq(idx_runs_open(r, open_one, &open), 0);
	cr_assert_eq(idx_runs(r, IDX_NOW, UINT32_MAX, count_open, &want), 0);
	cr_assert_eq(open, want);
	who_release(&p);
	idx_reader_close(r);
	idx_world_release(&w);
}

static int newest_of(void *ctx, const struct idx_run *v)
{
	struct idx_run *want = ctx;

	want->number += !strcmp(v->name, want->name);
	return 0;
}

Test(idx_runs, are_found_by_the_word_a_person_gives)
{
	struct idx_run v, n1 = { .name = "n1" };
	struct idx_reader *r;
	struct idx_world w;

	idx_world_init(&w, "runs-word", 20261121, 0);
	idx_world_grow(&w, LOG);
	idx_world_apply_all(&w, NULL, 50);
	r = idx_world_reader(&w);
	cr_assert_eq(idx_runs(r, IDX_NOW, UINT32_MAX, newest_of, &n1), 0);
	cr_assert_gt(n1.number, 1, "the log needs two runs of one name");
	cr_assert_eq(idx_run_find(r, &v, "n1"), 2, "ambiguous");
	cr_assert_eq(v.number, n1.number, "the newest");
	cr_assert_eq(idx_run_find(r, &v, "n1.1"), 1);
	cr_assert_eq(v.number, 1);
	cr_assert_eq(idx_run_find(r, &v, "n1.0"), 0);
	cr_assert_eq(idx_run_find(r, &v, "n1.01"), 0);
	cr_assert_eq(idx_run_find(r, &v, "n1.99999999999999999999"), 0);
	cr_assert_eq(idx_run_find(r, &v, "n1."), 0);
	cr_assert_eq(idx_run_find(r, &v, ""), 0);
	cr_assert_eq(idx_run_find(r, &v, "nobody"), 0);
	idx_reader_close(r);
	idx_world_release(&w);
}

Test(idx_runs, have_names_that_are_fit_for_a_path)
{
	static const struct {
		const char *from, *to;
		bool ok;
	} c[] = {
		{ "make", "make", true },
		{ "fix-tests.3", "fix-tests.3", true },
		{ "../../etc", "etc", false },
		{ "a b\n", "ab", false },
		{ "", "run", false },
		{ "\x1b[31m", "31m", false },
		{ ".hidden", "hidden", false },
	};
	char long_name[200], out[RUN_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		idx_run_name_fit(out, c[i].from, strlen(c[i].from));
		cr_assert_str_eq(out, c[i].to);
		cr_assert_eq(idx_run_name_ok(c[i].from, strlen(c[i].from)),
			     c[i].ok, "%s", c[i].from);
		cr_assert(idx_run_name_ok(out, strlen(out)));
	}
	memset(long_name, 'x', sizeof(long_name));
	idx_run_name_fit(out, long_name, sizeof(long_name));
	cr_assert_eq(strlen(out), RUN_NAME_MAX);
	cr_assert(!idx_run_name_ok(long_name, RUN_NAME_MAX + 1));
}
