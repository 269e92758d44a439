/*
 * sweep_seq.c - every sequence of up to three operations (tests/sim/seq.c has
 * the alphabet), cut before every change of the disk, while it runs, while
 * the background work after it runs, and while it is unmounted; at each cut
 * every combination of the unsynced writes being lost, kept or torn (see
 * combine(): bounded when there are many); each disk that comes out of that
 * is mounted and compared with the oracle's past.
 *
 * Disks that were seen before with the same expectations are not mounted
 * again: sequences with the same beginning share its cuts.  The index is, by
 * turns, as it was at the cut, as it was long before, and gone.  A part of the
 * disks, chosen by their hash, is looked at deeply: it can be worked on, what
 * is then synced survives the next crash, the log verifies, a rebuilt index is
 * the same.  And a part of the recoveries is cut in turn, at every change that
 * they make, and recovered once more.
 *
 * Where all sequences are swept, a sequence is not cut before its last
 * operation: those are the cuts of the sequence without it, which has its turn
 * or had it.
 *
 * What has failed once is in kept[], and runs first.
 * timeout: 600
 *
 *	ALPHABET=small	of the few operations of seq_alphabet() (all)
 *	DEPTH=n		operations at most (2; the full sweep: 3)
 *	EVERY=n		each n-th of the sequences of two and more (61)
 *	ALL_WAYS=1	each in every way of sweep_one(), not in one by turns;
 *			2: the longest by turns
 *	PART=k/n	the k-th of n parts of all this (1/1)
 *	FROM=n		from the n-th sequence on, as said by a run that ended
 *			before the end
 *	DEEP=n		each n-th disk deeply (16)
 *	AGAIN=n		each n-th recovery is cut itself (256)
 *	SECONDS_MAX=n	end after so long, and say so
 *	SEQ="a; b; c"	this sequence alone, by the words of a failure
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "ledger/wal_mark.h"
#include "tests/sim/db_pool.h"
#include "tests/sim/seq_world.h"
#include "tests/sim/sim_fate.h"

enum {
	LENGTH_MAX = 3,
	WAYS = 3,
	CUTS_MAX = 400,
	ALL_MAX = 3,  /* so many unsynced writes: all combinations */
	FEW_MAX = 12, /* so many: each alone and in pairs */
	SEEN = 1 << 24,
};

/* Sequences that failed once. */
static const char *const kept[] = {
	/* the commonest way to replace a file */
	"put A/bar; fsync A/bar; rename A/bar A/foo",
};

/* A moment at which the power may go. */
struct cut {
	struct vio_sim *sim, *guard;
	struct seq_index *index;
	struct seq_floor floor;
};

struct cuts {
	struct cut v[CUTS_MAX];
	unsigned n;
};

struct sweep {
	struct seq_world w;
	struct vol v; /* at work */
	struct seq s;
	struct seq_index *index; /* as it is, until the log grows */
	uint64_t index_at;
	bool closing;
	struct cuts first, second; /* of the work, of a recovery */
	unsigned ops[LENGTH_MAX], n_ops, way;
	bool whole;	  /* shorter sequences are swept, too */
	bool seen_before; /* so are the cuts that would be taken now */
	uint64_t deep, again;
	uint64_t *seen;
	uint64_t n_seen;
	uint64_t sequences, cuts, disks, recoveries, deeply, twice, acked;
};

static struct sweep sw;

static void die(const char *what)
{
	char text[200] = "";

	for (unsigned i = 0; i < sw.n_ops; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%s%s", i ? "; " : "", seq_text(sw.ops[i]));
	printf("reproduce: SEQ=\"%s\" WAY=%u\n", text, sw.way);
	fprintf(stderr, "sweep_seq: %s [way %u]: %s\n", text, sw.way, what);
	exit(1);
}

/* --- taking cuts while a sequence runs --- */

static struct seq_index *index_now(void)
{
	struct core_status st = { .applied = sw.index_at };

	if (!sw.closing) /* else it may be half gone */
		core_status(sw.v.core, &st);
	if (!sw.index || st.applied != sw.index_at) {
		seq_index_drop(sw.index);
		sw.index = seq_index_read(sw.v.tmp.path);
		sw.index_at = st.applied;
	}
	sw.index->refs++;
	return sw.index;
}

static struct cut *new_cut(struct cuts *l)
{
	if (l->n == CUTS_MAX)
		die("more changes of the disk than can be swept");
	return &l->v[l->n++];
}

/*
 * The mark of the WAL notes each commit: a cut before that is the one after
 * the commit's flush.  Before its flushes, where it matters, it is cut.
 */
static bool is_note(enum vio_sim_class class, const char *path)
{
	return class == VIO_SIM_WRITE && strcmp(path, WAL_MARK) == 0;
}

static void on_work(void *ctx, enum vio_sim_class class, const char *path)
{
	struct cut *c;

	(void)ctx;
	if (!(class & VIO_SIM_CHANGE) || sw.seen_before || is_note(class, path))
		return;
	c = new_cut(&sw.first);
	c->sim = vio_sim_clone(sw.v.sim);
	c->guard = vio_sim_clone(sw.v.guard);
	c->index = index_now();
	c->floor = sw.s.floor;
}

static void drop_cuts(struct cuts *l)
{
	while (l->n > 0) {
		struct cut *c = &l->v[--l->n];

		vio_sim_free(c->sim);
		vio_sim_free(c->guard);
		seq_index_drop(c->index);
	}
}

/* --- what a cut leaves --- */

/* True when it was not there yet. */
static bool see(uint64_t h)
{
	uint64_t at = h % SEEN;

	h |= 1;
	while (sw.seen[at] && sw.seen[at] != h)
		at = (at + 1) % SEEN;
	if (sw.seen[at])
		return false;
	if (sw.n_seen < SEEN / 4 * 3) { /* else: more work, no less found */
		sw.seen[at] = h;
		sw.n_seen++;
	}
	return true;
}

/* The recovery that is cut while it runs. */
struct again {
	struct vio_sim *sim, *guard;
	const struct cut *from;
};

static void on_recovery(void *ctx, enum vio_sim_class class, const char *path)
{
	const struct again *a = ctx;
	struct cut *c;

	if (!(class & VIO_SIM_CHANGE) || is_note(class, path))
		return;
	c = new_cut(&sw.second);
	c->sim = vio_sim_clone(a->sim);
	c->guard = vio_sim_clone(a->guard);
	c->index = NULL;
	c->floor = a->from->floor;
}

static void combine(const struct cut *c);

/*
 * By turns: as it was at the cut (NULL: gone, too), before the sequence, made
 * anew and empty; now and then there is none, which takes long.
 */
static const struct seq_index *index_of(const struct cut *c, uint64_t h)
{
	switch (h % 8) {
	case 0:
		return h / 8 % 8 ? sw.w.empty : NULL;
	case 1:
	case 2:
	case 3:
	case 4:
		return c->index;
	default:
		return sw.w.index;
	}
}

static bool check(const struct cut *c, struct vio_sim *sim,
		  struct vio_sim *guard, uint64_t h)
{
	const struct seq_index *x = index_of(c, h);
	bool deep = h / 8 % sw.deep == 0;
	bool again = sw.second.n == 0 && h / 8 % sw.again == 1;
	struct again a = { sim, guard, c };
	bool ok;

	sw.recoveries++;
	sw.deeply += deep;
	sw.twice += again;
	if (again) {
		vio_sim_set_hook(sim, on_recovery, &a);
		vio_sim_set_hook(guard, on_recovery, &a);
	}
	ok = seq_world_check(&sw.w, sim, guard, x, &sw.s, &c->floor,
			     deep && !again);
	vio_sim_set_hook(sim, NULL, NULL);
	vio_sim_set_hook(guard, NULL, NULL);
	if (ok && again) {
		sw.cuts += sw.second.n;
		for (unsigned i = 0; i < sw.second.n; i++)
			combine(&sw.second.v[i]);
		drop_cuts(&sw.second);
	}
	return ok;
}

static void recover(const struct cut *c, const uint8_t *fate, size_t names,
		    size_t guard_names)
{
	struct vio_sim *sim = vio_sim_clone(c->sim);
	struct vio_sim *guard = vio_sim_clone(c->guard);
	size_t n = vio_sim_loose_writes(sim);
	uint64_t h;

	vio_sim_crash_as(sim, fate, names);
	vio_sim_crash_as(guard, fate + n, guard_names);
	h = vio_sim_hash(sim) * 3 + vio_sim_hash(guard);
	sw.disks++;
	if (see(h * 31 + seq_allowed(&sw.s, &c->floor)) &&
	    !check(c, sim, guard, h)) {
		fprintf(stderr, "sweep_seq: cut %td of %u%s: fates",
			sw.second.n ? c - sw.second.v : c - sw.first.v,
			sw.second.n ? sw.second.n : sw.first.n,
			sw.second.n ? " of a recovery" : "");
		for (size_t i = 0; i < n; i++)
			fprintf(stderr, " %u", fate[i]);
		fprintf(stderr, ", names %zu, %zu, index %llu\n", names,
			guard_names, (unsigned long long)h % 8);
		die(sw.w.words);
	}
	vio_sim_free(sim);
	vio_sim_free(guard);
}

/* All combinations of n fates. */
static void all_of(const struct cut *c, uint8_t *fate, size_t n, size_t names,
		   size_t guard_names)
{
	unsigned kinds = n <= 2 ? SIM_FATES : SIM_NOISE;

	memset(fate, SIM_LOST, n);
	for (;;) {
		size_t i = 0;

		recover(c, fate, names, guard_names);
		while (i < n && ++fate[i] == kinds)
			fate[i++] = SIM_LOST;
		if (i == n)
			return;
	}
}

/*
 * All lost, all kept; each alone lost, torn, or the only one kept; each two
 * lost or the only two kept (of the first FEW_MAX).
 */
static void some_of(const struct cut *c, uint8_t *fate, size_t n, size_t names,
		    size_t guard_names)
{
	static const uint8_t base[2] = { SIM_LOST, SIM_KEPT };
	size_t few = n < FEW_MAX ? n : FEW_MAX;

	for (unsigned b = 0; b < 2; b++) {
		memset(fate, base[b], n);
		recover(c, fate, names, guard_names);
		for (size_t i = 0; i < n; i++) {
			fate[i] = base[!b];
			recover(c, fate, names, guard_names);
			for (size_t j = 0; j < i && i < few; j++) {
				fate[j] = base[!b];
				recover(c, fate, names, guard_names);
				fate[j] = base[b];
			}
			fate[i] = (uint8_t)(SIM_HEAD + i % 4);
			recover(c, fate, names, guard_names);
			fate[i] = base[b];
		}
	}
}

/*
 * Few unsynced writes: all combinations, of all fates for up to two, of lost,
 * kept and two ways of torn for three; many: see some_of().  Names: each
 * prefix of the changes, when there are few writes; else all and none.
 */
static void combine(const struct cut *c)
{
	size_t names = vio_sim_loose_names(c->sim);
	size_t guard_names = vio_sim_loose_names(c->guard);
	size_t n =
		vio_sim_loose_writes(c->sim) + vio_sim_loose_writes(c->guard);
	uint8_t *fate = calloc(1, n + 1);

	if (!fate)
		abort();
	for (size_t k = 0; k <= names + guard_names; k++) {
		size_t a = k < names ? k : names, b = k - a;

		if (n <= ALL_MAX)
			all_of(c, fate, n, a, b);
		else if (k == 0 || a + b == names + guard_names)
			some_of(c, fate, n, a, b);
		else
			recover(c, fate, a, b);
	}
	free(fate);
}

/* --- one sequence --- */

/* False when the sequence is meaningless. */
static bool run_ops(void)
{
	for (unsigned i = 0; i < sw.n_ops; i++) {
		if (!seq_possible(&sw.s, sw.ops[i]))
			return false;
		sw.seen_before = sw.whole && i + 1 < sw.n_ops;
		if (seq_run(&sw.s, sw.ops[i]) < 0 && !sw.s.wrong)
			die("an error, and nothing was wrong below");
		if (sw.s.wrong)
			die(sw.s.words);
	}
	return true;
}

static void wind_down(void)
{
	seq_close(&sw.s);
	while (core_step(sw.v.core))
		;
	sw.closing = true;
	if (vol_umount(&sw.v) < 0)
		die("it does not unmount");
	seq_synced(&sw.s);
	on_work(NULL, VIO_SIM_CHANGE, ""); /* it may go out now, too */
}

static void watch(vio_sim_hook_fn *fn)
{
	vio_sim_set_hook(sw.v.sim, fn, NULL);
	vio_sim_set_hook(sw.v.guard, fn, NULL);
}

/* What a mount leaves unsynced is not the business of what follows it. */
static void start(void)
{
	sw.closing = !sw.v.core;
	vio_sim_sync_all(sw.v.sim);
	vio_sim_sync_all(sw.v.guard);
	watch(on_work);
}

/*
 * The ways: 0 files are closed after each operation, 1 they stay open, 2
 * closed, and background work after each operation.
 */
static bool sweep_one(unsigned way)
{
	bool meant;

	sw.way = way;
	seq_world_take(&sw.w, &sw.v, &sw.s);
	sw.s.hold = way == 1;
	sw.s.at_once = way == 2;
	sw.index_at = UINT64_MAX;
	if (!sw.n_ops) /* the mount itself */
		start();
	if (seq_world_mount(&sw.v, &sw.s) < 0)
		die("the start does not mount");
	if (sw.n_ops)
		start();
	sw.closing = false;
	meant = run_ops();
	sw.seen_before = false;
	if (meant) {
		wind_down();
		watch(NULL);
		for (unsigned i = 0; i < sw.first.n; i++)
			combine(&sw.first.v[i]);
		sw.cuts += sw.first.n;
		sw.sequences++;
		sw.acked += sw.s.acked;
	}
	watch(NULL);
	drop_cuts(&sw.first);
	seq_index_drop(sw.index);
	sw.index = NULL;
	seq_world_give(&sw.v, &sw.s);
	return meant;
}

/* The sequence of these words, in every way. */
static void sweep_text(const char *text)
{
	bool meant = true;

	sw.n_ops = seq_parse(text, sw.ops, LENGTH_MAX);
	if (!sw.n_ops) {
		fprintf(stderr, "no such operations: \"%s\"\n", text);
		exit(2);
	}
	for (unsigned way = 0; way < WAYS; way++)
		meant = sweep_one(way) && meant;
	if (!meant)
		die("this sequence is meaningless");
}

/* --- all of them --- */

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct plan {
	unsigned letters[SEQ_OPS_MAX], n_letters;
	uint64_t depth, every, all_ways, part, parts, limit, from;
	double start;
	uint64_t at; /* sequences considered */
	bool cut_short;
};

/* Sequence number `code` of this length; false when time is over. */
static bool sweep_code(struct plan *p, unsigned length, uint64_t code)
{
	bool turns = !p->all_ways || (p->all_ways == 2 && length == p->depth);
	uint64_t x = code;

	if (length > 1 && code % p->every != 0)
		return true;
	if (p->at++ % p->parts != p->part - 1 || p->at <= p->from)
		return true;
	if (p->limit && seconds() - p->start > (double)p->limit) {
		p->cut_short = true;
		return false;
	}
	sw.n_ops = length;
	for (unsigned i = length; i-- > 0; x /= p->n_letters)
		sw.ops[i] = p->letters[x % p->n_letters];
	for (unsigned i = 0; i < (turns ? 1 : WAYS); i++)
		if (!sweep_one((unsigned)(p->at + i) % WAYS))
			break;
	return true;
}

static void sweep_all(struct plan *p)
{
	uint64_t codes = 1;

	sw.whole = p->all_ways && p->every == 1;
	for (unsigned length = 0; length <= p->depth; length++) {
		for (uint64_t code = 0; code < codes; code++)
			if (!sweep_code(p, length, code))
				return;
		codes *= p->n_letters;
	}
}

static void plan_read(struct plan *p)
{
	const char *slow = getenv("SLOWNESS"); /* sanitizers: fewer */
	const char *part = getenv("PART");
	const char *alphabet = getenv("ALPHABET");
	char *end = NULL;

	p->n_letters = seq_alphabet(alphabet ? alphabet : "all", p->letters);
	p->depth = number("DEPTH", 2);
	p->every = number("EVERY", slow && strcmp(slow, "1") ? 397 : 61);
	p->all_ways = number("ALL_WAYS", 0);
	p->from = number("FROM", 0);
	p->limit = number("SECONDS_MAX", 0);
	p->part = part ? strtoull(part, &end, 10) : 1;
	p->parts = end && *end == '/' ? strtoull(end + 1, NULL, 10) : 1;
	if (p->depth > LENGTH_MAX || !p->every || !p->part || !p->parts ||
	    !p->n_letters) {
		fprintf(stderr,
			"DEPTH, EVERY, PART or ALPHABET is out of range\n");
		exit(2);
	}
	p->start = seconds();
}

static void tell(const struct plan *p)
{
	printf("sweep_seq: %llu sequences, %llu cuts, %llu disks, "
	       "%llu of them new and recovered (%llu deeply, %llu cut again), "
	       "%llu syncs",
	       (unsigned long long)sw.sequences, (unsigned long long)sw.cuts,
	       (unsigned long long)sw.disks, (unsigned long long)sw.recoveries,
	       (unsigned long long)sw.deeply, (unsigned long long)sw.twice,
	       (unsigned long long)sw.acked);
	if (p->cut_short)
		printf("; time was over before the end, FROM=%llu goes on",
		       (unsigned long long)p->at - 1);
	printf("\n");
}

int main(void)
{
	const char *one = getenv("SEQ");
	struct plan p = { 0 };

	log_set_level(0); /* a cut disk is no news here */
	db_pool_begin();
	sw.seen = calloc(SEEN, sizeof(*sw.seen));
	if (!sw.seen)
		abort();
	sw.deep = number("DEEP", 16);
	sw.again = number("AGAIN", 256);
	plan_read(&p);
	seq_world_init(&sw.w);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && !one; i++)
		sweep_text(kept[i]);
	if (one)
		sweep_text(one);
	else
		sweep_all(&p);
	tell(&p);
	db_pool_end();
	seq_world_release(&sw.w);
	free(sw.seen);
	if (!sw.cuts || !sw.acked || !sw.deeply) {
		fprintf(stderr, "sweep_seq: nothing was cut or synced\n");
		return 1;
	}
	return 0;
}
