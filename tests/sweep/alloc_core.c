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
 *	STEP=n		each n-th allocation (7, from another one each time)
 *	SEQ="a; b; c"	this sequence alone; with FAULT=n FOREVER=0 this one
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
	const char *one = getenv("SEQ"), *nth = getenv("FAULT");
	const char *slow = getenv("SLOWNESS"), *s = getenv("STEP");
	uint64_t step = s			  ? strtoull(s, NULL, 10) :
			slow && strcmp(slow, "1") ? 61 :
						    17;

	log_set_level(0);
	seq_world_init(&w);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && !one; i++)
		(void)fault(sequences[kept[i].sequence], kept[i].forever,
			    kept[i].nth);
	for (unsigned i = 0; i < 2 * (one ? 1 : SEQUENCES) && !nth; i++) {
		const char *text = one ? one : sequences[i / 2];
		uint64_t n = 1 + i * 7 % step;

		while (fault(text, i % 2, n))
			n += step;
	}
	if (one && nth)
		(void)fault(one, getenv("FOREVER") && *getenv("FOREVER") == '1',
			    strtoull(nth, NULL, 10));
	printf("alloc_core: %llu allocations failed, %llu of them in a mount\n",
	       (unsigned long long)faults, (unsigned long long)mounts_failed);
	seq_world_release(&w);
	if (!one && (!mounts_failed || faults - mounts_failed < 30)) {
		fprintf(stderr, "alloc_core: too few to be true\n");
		return 1;
	}
	return 0;
}
