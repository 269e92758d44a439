/*
 * alloc_core.c - short sequences of operations (tests/sim/seq.c has the
 * alphabet) with the n-th allocation failing, for every n (or each STEP-th),
 * from the mount to the unmount: that one, or it and all after it until the
 * work is done.  What must hold then is in tests/sim/seq_trouble.h; and want
 * of memory turns no volume read-only: what failed goes well later.
 *
 * What has failed once is in kept[], and runs whole and first.
 * timeout: 600
 *
 *	STEP=n		each n-th allocation (17, from another one each time)
 *	PART=k/n	the k-th of n parts of all this (1/1)
 *	FROM=i/n	from allocation n of run i on, as said by a run that
 *			ended before the end
 *	SECONDS_MAX=n	end after so long, and say so
 *	SEQ="a; b; c"	this sequence alone; with FAULT=n FOREVER=0 this one
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "tests/sim/alloc.h"
#include "tests/sim/seq_trouble.h"

enum { LENGTH_MAX = 4 };

static const char *const sequences[] = {
	"put A/bar; fsync A/bar; rename A/bar A/foo",
	"put B/foo, large; append B/bar, large; sync",
	"write A/foo; link A/foo A/bar; unlink A/foo; fsync A",
	"mkdir A/C; create A/C/x; rename A B/D; sync",
	"punch B/bar; truncate A/foo; exchange A/foo B/bar; a second",
	"write A/foo, O_SYNC; chmod A/foo; unlink B/bar",
};
enum { SEQUENCES = sizeof(sequences) / sizeof(sequences[0]) };

/* Faults that once broke something: whole sequences would take long. */
static const struct kept {
	unsigned sequence;
	bool forever;
	uint64_t nth;
} kept[] = {
	/* chunks that had been given to the batch that was given up */
	{ 1, false, 200 },
};

static struct seq_world w;
static uint64_t faults, mounts_failed;

static void begin(struct seq_trouble *t, struct vol *v)
{
	(void)v;
	alloc_begin();
	alloc_fail(t->n, t->forever);
}

static bool end(struct seq_trouble *t, struct vol *v)
{
	(void)t;
	(void)v;
	(void)alloc_stop();
	return alloc_failed();
}

/* False when it never came to it. */
static bool fault(const char *text, bool forever, uint64_t nth)
{
	struct seq_trouble t = {
		.begin = begin,
		.end = end,
		.soft = true,
		.n = nth,
		.forever = forever,
	};
	unsigned ops[LENGTH_MAX], n = seq_parse(text, ops, LENGTH_MAX);

	if (!n) {
		fprintf(stderr, "no such operations: \"%s\"\n", text);
		exit(2);
	}
	if (!seq_trouble_run(&w, &t, ops, n, nth % 16 == 0)) {
		printf("reproduce: SEQ=\"%s\" FOREVER=%d FAULT=%llu\n", text,
		       forever, (unsigned long long)nth);
		fprintf(stderr,
			"alloc_core: %s [allocation %llu%s, phase %u]: %s\n",
			text, (unsigned long long)nth, forever ? " and on" : "",
			t.phase, w.words);
		exit(1);
	}
	faults += t.struck;
	mounts_failed += t.struck && t.phase == SEQ_MOUNT;
	return t.struck;
}

/* --- all of them --- */

struct plan {
	uint64_t step, part, parts, from, from_n;
	time_t end; /* 0: none */
};

/* "k/n" */
static void pair(const char *name, uint64_t *k, uint64_t *n)
{
	const char *s = getenv(name);
	char *end = NULL;

	if (!s)
		return;
	*k = strtoull(s, &end, 10);
	*n = *end == '/' ? strtoull(end + 1, NULL, 10) : 1;
}

static void plan_read(struct plan *p)
{
	const char *slow = getenv("SLOWNESS"), *s = getenv("STEP");
	const char *max = getenv("SECONDS_MAX");

	p->step = s			    ? strtoull(s, NULL, 10) :
		  slow && strcmp(slow, "1") ? 61 :
					      17;
	p->part = p->parts = 1;
	pair("PART", &p->part, &p->parts);
	pair("FROM", &p->from, &p->from_n);
	p->end = max ? time(NULL) + strtol(max, NULL, 10) : 0;
	if (!p->step || !p->part || !p->parts) {
		fprintf(stderr, "STEP or PART is out of range\n");
		exit(2);
	}
}

/* Run i: one sequence, each one failing or each and all after it. */
static bool sweep(const struct plan *p, const char *text, unsigned i)
{
	uint64_t step = p->step * p->parts;
	uint64_t n = 1 + (i * 7 + (p->part - 1) * p->step) % step;

	if (i == p->from && p->from_n)
		n = p->from_n;
	for (; !p->end || time(NULL) < p->end; n += step)
		if (!fault(text, i % 2, n))
			return true;
	printf("alloc_core: time was over before the end, FROM=%u/%llu goes "
	       "on\n",
	       i, (unsigned long long)n);
	return false;
}

int main(void)
{
	const char *one = getenv("SEQ"), *nth = getenv("FAULT");
	struct plan p = { 0 };

	log_set_level(0);
	plan_read(&p);
	seq_world_init(&w);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && !one; i++)
		(void)fault(sequences[kept[i].sequence], kept[i].forever,
			    kept[i].nth);
	for (unsigned i = (unsigned)p.from;
	     i < 2 * (one ? 1 : SEQUENCES) && !nth; i++)
		if (!sweep(&p, one ? one : sequences[i / 2], i))
			break;
	if (one && nth)
		(void)fault(one, getenv("FOREVER") && *getenv("FOREVER") == '1',
			    strtoull(nth, NULL, 10));
	printf("alloc_core: %llu allocations failed, %llu of them in a mount\n",
	       (unsigned long long)faults, (unsigned long long)mounts_failed);
	seq_world_release(&w);
	if (!one && !p.from && (!mounts_failed || faults < 30)) {
		fprintf(stderr, "alloc_core: too few to be true\n");
		return 1;
	}
	return 0;
}
