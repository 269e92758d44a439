/*
 * sweep_ledger.c - crash and fault sweeps over the life of a log.
 *
 * Crash sweep: a workload of opens, commits, settles, checkpoints and
 * restarts is cut at its n-th changing I/O, for every n; what was not synced
 * is kept, lost or torn; then the log is opened again.  It must open, hold
 * every acknowledged batch byte for byte and at most one more, contradict no
 * checkpoint that was ever on disk, verify clean, and go on.
 *
 * Loss sweep: at every fourth cut wal/ is deleted, as by hand.  The log is refused,
 * or everything that was acknowledged is there.
 *
 * Fault sweep: the n-th I/O of each class fails with EIO or ENOSPC, for every
 * n.  Errors must be reported, what was acknowledged must be there after a
 * restart, and a full disk must not lose anything.
 *
 * Fails when nothing was cut or nothing failed.  SEED=N repeats a run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vio.h"
#include "tests/sim/log_box.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { ROUNDS = 4, COMMITS = 14, STEPS_MAX = 5000 };

static unsigned failures;

#define EXPECT(cond, ...)                                               \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
			fprintf(stderr, __VA_ARGS__);                   \
			fprintf(stderr, "\n");                          \
			failures++;                                     \
		}                                                       \
	} while (0)

/* One disk holds the store and the guard, so that all I/O is counted. */
static struct vio_sim *fresh(struct log_box *b, uint64_t seed, bool ordered,
			     unsigned seals)
{
	struct vio_sim_options o = { .seed = seed, .ordered = ordered };
	struct vio_sim *s = vio_sim_new(&o);
	int rc;

	log_box_init(b, vio_sim_vio(s), vio_sim_vio(s));
	b->wal_bytes = 40 << 10; /* used again often */
	b->journal_bytes = 24 << 10;
	rc = log_box_create(b);
	if (rc == 0)
		rc = log_box_open(b);
	/* So that full tiles are written while the disk is watched. */
	while (rc == 0 && b->n < seals)
		rc = log_box_commit(b, 1, 0);
	if (rc == 0)
		rc = log_box_settle(b);
	if (rc == 0)
		rc = log_box_checkpoint(b);
	log_box_close(b);
	if (rc < 0) {
		fprintf(stderr, "create: %s\n", errmsg_text(&b->em, rc));
		exit(1);
	}
	return s;
}

/* 0, or the error that ended it. */
static int workload(struct log_box *b, struct prng *p, unsigned rounds)
{
	int rc = 0;

	for (unsigned r = 0; rc == 0 && r < rounds; r++) {
		rc = log_box_open(b);
		for (unsigned i = 0; rc == 0 && i < COMMITS; i++) {
			rc = log_box_commit(b, 1 + (uint32_t)prng_below(p, 5),
					    (uint32_t)prng_below(p, 4));
			if (rc == 0 && prng_chance(p, 40))
				rc = log_box_settle(b);
			if (rc == 0 && prng_chance(p, 30))
				rc = log_box_checkpoint(b);
		}
		if (rc == 0 && prng_chance(p, 50))
			rc = log_box_checkpoint(b);
		if (rc == 0 && prng_chance(p, 50)) { /* a clean end */
			rc = log_box_settle(b);
			if (rc == 0)
				rc = log_box_checkpoint(b);
			if (rc == 0)
				rc = ledger_rest(b->l, &b->em);
		}
		if (rc == 0)
			log_box_close(b);
	}
	return rc;
}

/* What was committed and not acknowledged is there or not. */
static void adopt_unacknowledged(struct log_box *b)
{
	uint64_t size = ledger_size(b->l);

	for (; b->n < size; b->n++)
		b->count[b->n] = 0;
	b->counter += 1000;
}

static void check_after(struct log_box *b, const char *what, uint64_t n)
{
	int rc = log_box_open(b);
	int64_t damaged;

	EXPECT(rc == 0, "%s %" PRIu64 ": open: %s", what, n,
	       errmsg_text(&b->em, rc));
	if (rc < 0)
		return;
	log_box_keep_note(b);
	EXPECT(log_box_intact(b), "%s %" PRIu64 ": not intact", what, n);
	EXPECT(log_box_consistent(b), "%s %" PRIu64 ": contradiction", what, n);
	adopt_unacknowledged(b);
	/* It goes on, and what it signs then fits too. */
	for (unsigned i = 0; i < 3; i++) {
		rc = log_box_commit(b, 2, 1);
		EXPECT(rc == 0, "%s %" PRIu64 ": commit after: %s", what, n,
		       err_text(rc));
	}
	rc = log_box_settle(b);
	EXPECT(rc == 0, "%s %" PRIu64 ": settle after: %s", what, n,
	       err_text(rc));
	rc = log_box_checkpoint(b);
	EXPECT(rc == 0, "%s %" PRIu64 ": checkpoint after: %s", what, n,
	       errmsg_text(&b->em, rc));
	EXPECT(log_box_consistent(b), "%s %" PRIu64 ": contradiction after",
	       what, n);
	damaged = log_box_verify(b, true);
	EXPECT(damaged == 0, "%s %" PRIu64 ": verify after: %" PRId64, what, n,
	       damaged);
	log_box_close(b);
	rc = log_box_open(b);
	EXPECT(rc == 0 && log_box_intact(b), "%s %" PRIu64 ": opened again",
	       what, n);
	log_box_close(b);
}

static void move_to(struct log_box *b, struct vio_sim *s)
{
	b->vio = b->guard = vio_sim_vio(s);
	b->l = NULL;
}

/* --- crashes --- */

static uint64_t refused, unharmed;

static int unlink_one(void *ctx, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "wal/%s", name);
	return vio_unlink(ctx, path);
}

static void lose_wal(const struct log_box *b, struct vio_sim *crashed,
		     uint64_t n)
{
	struct vio_sim *s = vio_sim_clone(crashed);
	struct vio *v = vio_sim_vio(s);
	struct log_box *lost = calloc(1, sizeof(*lost));
	int rc;

	if (lost == NULL)
		exit(1);
	memcpy(lost, b, sizeof(*lost));
	move_to(lost, s);
	rc = vio_list(v, "wal", unlink_one, v);
	EXPECT(rc == 0, "n=%" PRIu64 ": wal: %s", n, err_text(rc));
	rc = log_box_open(lost);
	refused += rc < 0;
	unharmed += rc == 0;
	EXPECT(rc < 0 || log_box_intact(lost),
	       "n=%" PRIu64 ": lost and not missed", n);
	log_box_close(lost);
	vio_sim_free(s);
	free(lost);
}

static uint64_t crash_at(const struct log_box *start, struct vio_sim *base,
			 struct log_box *b, uint64_t n, uint64_t seed,
			 bool kill)
{
	struct vio_sim *s = vio_sim_clone(base);
	struct prng p, dice;
	bool cut;
	int rc;

	prng_init(&p, seed);
	prng_init(&dice, seed ^ (n * 0x9e3779b97f4a7c15ULL));
	memcpy(b, start, sizeof(*b));
	move_to(b, s);
	vio_sim_stop_at(s, n);
	rc = workload(b, &p, ROUNDS);
	cut = vio_sim_stopped(s);
	EXPECT(cut || rc == 0, "n=%" PRIu64 ": failed by itself: %s", n,
	       errmsg_text(&b->em, rc));
	vio_sim_stop_at(s, 0);
	if (kill)
		vio_sim_kill(s);
	else
		vio_sim_crash(s, &dice);
	log_box_close(b);
	if (n % 4 == 0)
		lose_wal(b, s, n);
	check_after(b, kill ? "kill" : "crash", n);
	vio_sim_free(s);
	return cut;
}

static uint64_t crash_sweep(struct log_box *start, struct log_box *b,
			    uint64_t seed, bool ordered, bool kill,
			    uint64_t stride, unsigned seals)
{
	struct vio_sim *base = fresh(start, seed, ordered, seals);
	uint64_t cut = 0;

	vio_sim_sync_all(base);
	log_box_keep_note(start);
	for (uint64_t n = 1 + seed % stride; n < STEPS_MAX; n += stride) {
		if (!crash_at(start, base, b, n, seed, kill))
			break;
		cut++;
		if (failures > 0) {
			fprintf(stderr, "crash sweep: SEED=%" PRIu64 "\n",
				seed);
			break;
		}
	}
	vio_sim_free(base);
	return cut;
}

/* --- faults --- */

static bool fault_at(const struct log_box *start, struct vio_sim *base,
		     struct log_box *b, unsigned mask, uint64_t n, int err,
		     uint64_t seed)
{
	struct vio_sim *s = vio_sim_clone(base);
	struct prng p;
	bool struck;
	int rc;

	prng_init(&p, seed);
	memcpy(b, start, sizeof(*b));
	move_to(b, s);
	vio_sim_fail(s, mask, n, err, false);
	rc = workload(b, &p, ROUNDS);
	struck = vio_sim_failed(s);
	EXPECT(struck || rc == 0, "fault %" PRIu64 ": failed by itself: %s", n,
	       errmsg_text(&b->em, rc));
	if (rc < 0 && b->l != NULL && err == EIO) {
		int again = log_box_commit(b, 1, 0);

		/* Either it did not matter to commits, or it sticks. */
		EXPECT(again == 0 || ledger_failed(b->l) != 0 || again == -EIO,
		       "fault %" PRIu64 ": commit says %s", n, err_text(again));
	}
	vio_sim_fail(s, VIO_SIM_ANY, UINT64_MAX, EIO, false);
	vio_sim_kill(s);
	log_box_close(b);
	check_after(b, err == EIO ? "EIO" : "ENOSPC", n);
	vio_sim_free(s);
	return struck;
}

static uint64_t fault_sweep(struct log_box *start, struct log_box *b,
			    unsigned mask, int err, uint64_t seed,
			    uint64_t stride)
{
	struct vio_sim *base = fresh(start, seed, false, 2);
	uint64_t struck = 0;

	vio_sim_sync_all(base);
	log_box_keep_note(start);
	for (uint64_t n = 1; n < STEPS_MAX; n += stride) {
		if (!fault_at(start, base, b, mask, n, err, seed))
			break;
		struck++;
		if (failures > 0) {
			fprintf(stderr,
				"fault sweep: mask=%#x err=%d SEED=%" PRIu64
				"\n",
				mask, err, seed);
			break;
		}
	}
	vio_sim_free(base);
	return struck;
}

int main(void)
{
	static const unsigned masks[] = { VIO_SIM_WRITE,  VIO_SIM_SYNC,
					  VIO_SIM_RENAME, VIO_SIM_SYNCDIR,
					  VIO_SIM_READ,	  VIO_SIM_CREATE,
					  VIO_SIM_OPEN,	  VIO_SIM_TRUNCATE };
	struct log_box *start = calloc(1, sizeof(*start));
	struct log_box *b = calloc(1, sizeof(*b));
	uint64_t seed = prng_seed("sweep_ledger", 20261121);
	uint64_t cut = 0, struck = 0, full = 0;

	if (start == NULL || b == NULL)
		return 1;
	cut += crash_sweep(start, b, seed, false, false, 1, 2);
	cut += crash_sweep(start, b, seed + 1, true, false, 3, 2);
	cut += crash_sweep(start, b, seed + 2, false, true, 5, 2);
	cut += crash_sweep(start, b, seed + 3, false, false, 5, 230);
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
		struck += fault_sweep(start, b, masks[i], EIO, seed,
				      masks[i] == VIO_SIM_READ ? 19 : 3);
	full += fault_sweep(start, b, VIO_SIM_WRITE | VIO_SIM_CREATE, ENOSPC,
			    seed, 3);
	EXPECT(refused > 50 && unharmed > 5,
	       "lost: refused %" PRIu64 ", unharmed %" PRIu64, refused,
	       unharmed);
	printf("refused %" PRIu64 ", unharmed %" PRIu64 ", cut %" PRIu64
	       ", failed %" PRIu64 ", full %" PRIu64 "\n",
	       refused, unharmed, cut, struck, full);
	EXPECT(cut > 100, "almost nothing was cut");
	EXPECT(struck > 100, "almost nothing failed");
	EXPECT(full > 20, "the disk was never full");
	free(start);
	free(b);
	return failures > 0;
}
