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
 *	EVERY=n		each n-th sequence of one and two operations (401)
 *	SECONDS_MAX=n	end after so long, and say so
 *	PART=k/n	the k-th of n parts of all this (1/1)
 *	SEQ="a; b; c"	this sequence alone; with FAULT=n MODE=m this fault
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
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

static void sweep_code(unsigned code)
{
	unsigned ops[2] = { code / seq_count(), code % seq_count() };
	char text[128];

	/* operations that cannot be are left out when it runs */
	snprintf(text, sizeof(text), "%s; %s", seq_text(ops[0]),
		 seq_text(ops[1]));
	all_faults(ops, 2, text);
}

int main(void)
{
	const char *one = getenv("SEQ"), *slow = getenv("SLOWNESS");
	const char *part = getenv("PART"), *every = getenv("EVERY");
	const char *max = getenv("SECONDS_MAX");
	time_t start = time(NULL);
	unsigned step = every ? (unsigned)strtoul(every, NULL, 10) :
			slow && strcmp(slow, "1") ? 1201 :
						    401;
	unsigned k = part ? (unsigned)strtoul(part, NULL, 10) : 1;
	unsigned parts =
		part && strchr(part, '/') ?
			(unsigned)strtoul(strchr(part, '/') + 1, NULL, 10) :
			1;

	log_set_level(0); /* a failing disk is no news here */
	seq_world_init(&w);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && !one; i++)
		sweep_text(kept[i]);
	if (one)
		sweep_text(one);
	for (unsigned c = 7; c < seq_count() * seq_count() && !one; c++)
		if (max && time(NULL) - start > strtol(max, NULL, 10)) {
			printf("sweep_seq_fault: time was over before the "
			       "end\n");
			break;
		} else if (c % step == 7 % step && c / step % parts == k - 1)
			sweep_code(c);
	printf("sweep_seq_fault: %llu sequences, %llu faults: %llu mounts "
	       "failed, %llu times read-only\n",
	       (unsigned long long)sequences, (unsigned long long)faults,
	       (unsigned long long)mounts_failed, (unsigned long long)sticks);
	seq_world_release(&w);
	if (!one && (!sticks || !mounts_failed)) {
		fprintf(stderr, "sweep_seq_fault: nothing went wrong\n");
		return 1;
	}
	return 0;
}
