/*
 * sweep_seq_fault.c - short sequences of operations (tests/sim/seq.c has the
 * alphabet) with the n-th call to the disk failing, for every n, from the
 * mount to the unmount: with EIO any call, with ENOSPC the n-th page or name
 * for which there is no room; that one, or it and all after it.  A failing
 * write has written a part of its bytes.  What must hold then is in
 * tests/sim/seq_trouble.h; no ENOSPC makes a volume read-only.
 *
 * What has failed once is in kept[], and runs first.
 * timeout: 600
 *
 *	ALPHABET=small	of the few operations of seq_alphabet() (all)
 *	EVERY=n		each n-th sequence of one and two operations (211)
 *	PART=k/n	the k-th of n parts of all this (1/1)
 *	FROM=n		from the n-th sequence on, as said by a run that ended
 *			before the end
 *	SECONDS_MAX=n	end after so long, and say so
 *	SEQ="a; b; c"	this sequence alone; with FAULT=n MODE=m this fault
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "tests/sim/db_pool.h"
#include "tests/sim/seq_trouble.h"

enum { LENGTH_MAX = 3 };

enum { NAMES = VIO_SIM_CREATE | VIO_SIM_MKDIR | VIO_SIM_RENAME };

static const struct mode {
	const char *name;
	int err;
	unsigned mask; /* 0: room is refused */
	bool forever;
} modes[] = {
	{ "EIO once", EIO, VIO_SIM_ANY, false },
	{ "EIO from then on", EIO, VIO_SIM_ANY, true },
	{ "no room for a page", ENOSPC, 0, false },
	{ "no room from then on", ENOSPC, 0, true },
	{ "no room for a name", ENOSPC, NAMES, false },
	{ "no room for names from then on", ENOSPC, NAMES, true },
};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

/* Sequences that failed once. */
static const char *const kept[] = {
	"put A/bar; fsync A/bar; rename A/bar A/foo",
};

static struct seq_world w;
static uint64_t sequences, faults, sticks, mounts_failed;

static void begin(struct seq_trouble *t, struct vol *v)
{
	if (t->mask)
		vio_sim_fail(v->sim, t->mask, t->n, t->err, t->forever);
	else
		vio_sim_refuse_room(v->sim, t->n, t->forever);
}

static bool end(struct seq_trouble *t, struct vol *v)
{
	bool struck =
		t->mask ? vio_sim_failed(v->sim) : vio_sim_refused(v->sim);

	vio_sim_fail(v->sim, 0, 0, EIO, false);
	vio_sim_refuse_room(v->sim, 0, false);
	return struck;
}

/* One fault; false when it never came to it. */
static bool fault(const unsigned *ops, unsigned n, const char *text,
		  unsigned mode, uint64_t nth)
{
	struct seq_trouble t = {
		.begin = begin,
		.end = end,
		.soft = modes[mode].err == ENOSPC,
		.n = nth,
		.mask = modes[mode].mask,
		.err = modes[mode].err,
		.forever = modes[mode].forever,
	};

	if (!seq_trouble_run(&w, &t, ops, n, nth % 8 == 0)) {
		printf("reproduce: SEQ=\"%s\" MODE=%u FAULT=%llu\n", text, mode,
		       (unsigned long long)nth);
		fprintf(stderr,
			"sweep_seq_fault: %s [%s, call %llu, phase %u]: %s\n",
			text, modes[mode].name, (unsigned long long)nth,
			t.phase, w.words);
		exit(1);
	}
	faults += t.struck;
	sticks += t.stuck;
	mounts_failed += t.struck && t.phase == SEQ_MOUNT;
	return t.struck;
}

static void all_faults(const unsigned *ops, unsigned n, const char *text)
{
	const char *only = getenv("MODE"), *nth = getenv("FAULT");

	for (unsigned m = 0; m < MODES; m++) {
		uint64_t i = 1;

		if (only && strtoul(only, NULL, 10) != m)
			continue;
		if (nth)
			(void)fault(ops, n, text, m, strtoull(nth, NULL, 10));
		else
			while (fault(ops, n, text, m, i))
				i++;
	}
	sequences++;
}

static void sweep_text(const char *text)
{
	unsigned ops[LENGTH_MAX], n = seq_parse(text, ops, LENGTH_MAX);

	if (!n) {
		fprintf(stderr, "no such operations: \"%s\"\n", text);
		exit(2);
	}
	all_faults(ops, n, text);
}

/* --- all of them --- */

struct plan {
	unsigned letters[SEQ_OPS_MAX], n_letters;
	uint64_t every, part, parts, from, limit, at;
	bool cut_short;
	time_t start;
};

static void nothing(struct seq_trouble *t, struct vol *v)
{
	(void)t;
	(void)v;
}

static bool never(struct seq_trouble *t, struct vol *v)
{
	(void)t;
	(void)v;
	return false;
}

/* Can these be done one after the other?  Goes well, too, without a fault. */
static bool meant(const unsigned *ops, unsigned n, const char *text)
{
	struct seq_trouble t = { .begin = nothing, .end = never, .n = 2 };

	if (!seq_trouble_run(&w, &t, ops, n, true)) {
		fprintf(stderr, "sweep_seq_fault: %s [no fault]: %s\n", text,
			w.words);
		exit(1);
	}
	return t.meant;
}

/* Number `code` of one or two operations; false when time is over. */
static bool sweep_code(struct plan *p, unsigned n, uint64_t code)
{
	unsigned ops[2] = { p->letters[code % p->n_letters],
			    p->letters[code % p->n_letters] };
	char text[128];

	if (n == 2)
		ops[0] = p->letters[code / p->n_letters];
	if (p->at++ % p->every != 0 || p->at <= p->from ||
	    (p->at - 1) / p->every % p->parts != p->part - 1)
		return true;
	if (p->limit && time(NULL) - p->start > (time_t)p->limit) {
		p->cut_short = true;
		return false;
	}
	snprintf(text, sizeof(text), "%s%s%s", seq_text(ops[0]),
		 n == 2 ? "; " : "", n == 2 ? seq_text(ops[1]) : "");
	if (meant(ops, n, text))
		all_faults(ops, n, text);
	return true;
}

static void sweep_all(struct plan *p)
{
	uint64_t codes = p->n_letters;

	for (unsigned n = 1; n <= 2; n++, codes *= codes)
		for (uint64_t code = 0; code < codes; code++)
			if (!sweep_code(p, n, code))
				return;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

static void plan_read(struct plan *p)
{
	const char *slow = getenv("SLOWNESS"), *part = getenv("PART");
	const char *alphabet = getenv("ALPHABET");
	char *end = NULL;

	p->n_letters = seq_alphabet(alphabet ? alphabet : "all", p->letters);
	p->every = number("EVERY", slow && strcmp(slow, "1") ? 601 : 211);
	p->from = number("FROM", 0);
	p->limit = number("SECONDS_MAX", 0);
	p->part = part ? strtoull(part, &end, 10) : 1;
	p->parts = end && *end == '/' ? strtoull(end + 1, NULL, 10) : 1;
	if (!p->n_letters || !p->every || !p->part || !p->parts) {
		fprintf(stderr, "ALPHABET, EVERY or PART is out of range\n");
		exit(2);
	}
	p->start = time(NULL);
}

int main(void)
{
	const char *one = getenv("SEQ");
	struct plan p = { 0 };

	log_set_level(0); /* a failing disk is no news here */
	db_pool_begin();
	plan_read(&p);
	seq_world_init(&w);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && !one; i++)
		sweep_text(kept[i]);
	if (one)
		sweep_text(one);
	else
		sweep_all(&p);
	printf("sweep_seq_fault: %llu sequences, %llu faults: %llu mounts "
	       "failed, %llu times read-only",
	       (unsigned long long)sequences, (unsigned long long)faults,
	       (unsigned long long)mounts_failed, (unsigned long long)sticks);
	if (p.cut_short)
		printf("; time was over before the end, FROM=%llu goes on",
		       (unsigned long long)p.at - 1);
	printf("\n");
	db_pool_end();
	seq_world_release(&w);
	if (!one && (!sticks || !mounts_failed)) {
		fprintf(stderr, "sweep_seq_fault: nothing went wrong\n");
		return 1;
	}
	return 0;
}
