/*
 * bench_ledger.c - durable entries a second of the log alone, and how fast
 * it is verified; beside them the least that anybody could do.
 *
 * Full batches of 4,096 entries (a file's CREATE and its first VERSION, in
 * turn) are encoded, salted and hashed by four threads, sealed in order, and
 * committed by a fifth, one flush a batch, as the daemon does.  The peers are
 * the same bytes written to a bare file with one fdatasync a batch, and the
 * SHA-256 of the log (body, leaf and node of each entry) on one core.
 * Medians of three rounds, taken in turns.  QUICK=1: fewer batches.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/thread.h"
#include "base/vio.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "tests/sim/bench.h"
#include "tests/sim/tmp.h"

enum { ROUNDS = 3, THREADS = 4, AHEAD = 8 };

struct batch {
	struct buf bytes;
	struct ledger_entry entry[LIMIT_BATCH];
	size_t at[LIMIT_BATCH];
};

/* What the threads of one round share. */
struct round {
	struct ledger *l;
	uint64_t counter; /* of inodes, before this round */
	unsigned batches;

	struct mutex mu;
	struct cond changed;
	unsigned taken, sealed, committed; /* guarded by mu */
	struct ledger_frame *frame[AHEAD]; /* guarded by mu */
	uint64_t bytes;			   /* guarded by mu */
};

static void must(int rc, const char *what, const struct errmsg *em)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_ledger: %s: %s%s%s\n", what, err_text(rc),
		em ? ": " : "", em ? em->text : "");
	exit(1);
}

static double median(double v[ROUNDS])
{
	for (int i = 1; i < ROUNDS; i++)
		for (int k = i; k > 0 && v[k] < v[k - 1]; k--) {
			double t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
	return v[ROUNDS / 2];
}

/* --- writing --- */

static void make_entry(struct batch *b, unsigned i, uint64_t counter)
{
	struct entry e = { 0 };
	uint8_t salt[16];
	char name[32];

	randombytes_buf(salt, sizeof(salt));
	e.core.inode = ENTRY_INODE(1, counter);
	e.core.wall_ns = 1790000000000000000 + (int64_t)counter;
	if (i % 2 == 0) {
		(void)snprintf(name, sizeof(name), "file_%llu.txt",
			       (unsigned long long)counter);
		e.core.kind = e.body.kind = ENTRY_CREATE;
		e.core.parent = ENTRY_INODE_ROOT;
		e.body.create.dtype = DT_REG;
		e.body.create.mode = 0644;
		e.body.create.name = ENTRY_STR(name);
	} else {
		e.core.kind = e.body.kind = ENTRY_VERSION;
		e.core.version = 1;
		e.core.prev = b->entry[i - 1].leaf;
		e.body.version.content_alg = ENTRY_CONTENT_BLAKE3;
		e.body.version.reason = ENTRY_REASON_CLOSE;
		e.body.version.size = 4096;
		e.body.version.flags = ENTRY_VERSION_SHA256;
		e.body.version.tree_root = e.core.prev;
		e.body.version.sha256 = e.core.prev;
	}
	b->at[i] = b->bytes.n;
	must(entry_store(&b->bytes, &b->entry[i].leaf, &e, salt), "entry_store",
	     NULL);
	b->entry[i].len = (uint32_t)(b->bytes.n - b->at[i]);
}

static void *produce(void *arg)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct round *r = arg;
	struct ledger_frame *f;
	uint64_t seal;
	unsigned k;

	if (!b)
		exit(1);
	for (;;) {
		mutex_lock(&r->mu);
		k = r->taken++;
		mutex_unlock(&r->mu);
		if (k >= r->batches)
			break;
		buf_clear(&b->bytes);
		for (unsigned i = 0; i < LIMIT_BATCH; i++)
			make_entry(b, i,
				   r->counter + k * (LIMIT_BATCH / 2) + i / 2 +
					   1);
		for (unsigned i = 0; i < LIMIT_BATCH; i++)
			b->entry[i].bytes = b->bytes.p + b->at[i];
		mutex_lock(&r->mu);
		while (r->sealed != k || r->sealed - r->committed >= AHEAD)
			cond_wait(&r->changed, &r->mu);
		mutex_unlock(&r->mu);
		must(ledger_seal(r->l, &f, &seal, b->entry, LIMIT_BATCH, NULL,
				 0),
		     "ledger_seal", NULL);
		mutex_lock(&r->mu);
		r->frame[k % AHEAD] = f;
		r->sealed++;
		r->bytes += b->bytes.n;
		cond_broadcast(&r->changed);
		mutex_unlock(&r->mu);
	}
	buf_release(&b->bytes);
	free(b);
	return NULL;
}

static double append(struct round *r)
{
	pthread_t thread[THREADS];
	struct ledger_frame *f;
	double start = bench_now();

	r->taken = r->sealed = r->committed = 0;
	r->bytes = 0;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, produce, r))
			exit(1);
	for (unsigned k = 0; k < r->batches; k++) {
		mutex_lock(&r->mu);
		while (r->sealed <= k)
			cond_wait(&r->changed, &r->mu);
		f = r->frame[k % AHEAD];
		mutex_unlock(&r->mu);
		must(ledger_commit(r->l, f), "ledger_commit", NULL);
		mutex_lock(&r->mu);
		r->committed++;
		cond_broadcast(&r->changed);
		mutex_unlock(&r->mu);
	}
	start = bench_now() - start;
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	r->counter += (uint64_t)r->batches * (LIMIT_BATCH / 2);
	return start;
}

static int settle_none(void *ctx, const struct digest *ids, size_t n)
{
	(void)ctx;
	(void)ids;
	(void)n;
	return 0;
}

static int flush_none(void *ctx)
{
	(void)ctx;
	return 0;
}

static double settle(struct ledger *l)
{
	static const struct ledger_settle_ops ops = { .settle = settle_none,
						      .settle_flush =
							      flush_none };
	double start = bench_now();
	int n;

	while ((n = ledger_settle(l, 64, &ops)) > 0)
		;
	must(n, "ledger_settle", NULL);
	return bench_now() - start;
}

/* --- the peers --- */

static double bare(const char *dir, const struct round *r)
{
	size_t n = (size_t)(r->bytes / r->batches);
	uint8_t *p = malloc(n);
	char path[PATH_MAX + 8];
	double start;
	int fd;

	if (!p)
		exit(1);
	randombytes_buf(p, n);
	(void)snprintf(path, sizeof(path), "%s/bare", dir);
	start = bench_now();
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		exit(1);
	for (unsigned k = 0; k < r->batches; k++)
		if (write(fd, p, n) != (ssize_t)n || fdatasync(fd))
			exit(1);
	start = bench_now() - start;
	close(fd);
	free(p);
	return start;
}

/* The three SHA-256 of an entry: its body, its leaf, a node above it. */
static double hash_only(uint64_t entries)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct digest commit, leaf, node;
	uint8_t two[65] = { 1 };
	struct entry_view v[2];
	double start;

	if (!b)
		exit(1);
	make_entry(b, 0, 1);
	make_entry(b, 1, 1);
	for (int i = 0; i < 2; i++)
		must(entry_decode(&v[i], b->bytes.p + b->at[i],
				  b->entry[i].len),
		     "entry_decode", NULL);
	start = bench_now();
	for (uint64_t i = 0; i < entries; i++) {
		const struct entry_view *e = &v[i % 2];

		entry_commit(&commit, e->salt, e->body, e->body_n);
		entry_leaf(&leaf, e->core_bytes, &commit);
		memcpy(two + 1, leaf.b, 32);
		digest_sha256(&node, two, sizeof(two));
	}
	start = bench_now() - start;
	buf_release(&b->bytes);
	free(b);
	return start;
}

/* --- verifying --- */

static void found(void *ctx, const char *words)
{
	(void)ctx;
	fprintf(stderr, "bench_ledger: %s\n", words);
}

static double verify(struct ledger *l, uint64_t *out_entries)
{
	struct ledger_verify_options o = { .found = found };
	struct ledger_verify_report report = { 0 };
	struct errmsg em = ERRMSG_INIT;
	double start = bench_now();

	must(ledger_verify(l, &report, &o, &em), "ledger_verify", &em);
	if (report.damaged)
		exit(1);
	*out_entries = report.entries;
	return bench_now() - start;
}

static struct ledger *new_log(struct vio *v)
{
	struct ledger_create_options c = {
		.vio = v,
		.origin = "example.org/bench",
		.keys_dir = "keys",
		.root_mode = 0755,
	};
	struct ledger_options o = { .vio = v };
	struct errmsg em = ERRMSG_INIT;
	struct ledger *l = NULL;

	must(ledger_create(&c, &em), "ledger_create", &em);
	must(ledger_open(&l, &o, &em), "ledger_open", &em);
	return l;
}

int main(void)
{
	double took[ROUNDS], moved[ROUNDS], least[ROUNDS], sum[ROUNDS];
	double checked[ROUNDS], all_took;
	struct round r = { .batches = getenv("QUICK") ? 12 : 100 };
	double per_round = (double)r.batches * LIMIT_BATCH;
	struct errmsg em = ERRMSG_INIT;
	struct vio *v = NULL;
	uint64_t n = 0;
	struct tmp t;

	if (sodium_init() < 0)
		return 1;
	mutex_init(&r.mu);
	cond_init(&r.changed);
	tmp_init(&t);
	must(vio_posix_open(&v, t.path), "vio_posix_open", NULL);
	r.l = new_log(v);
	for (int i = 0; i < ROUNDS; i++) {
		took[i] = append(&r);
		moved[i] = settle(r.l);
		least[i] = bare(t.path, &r);
		sum[i] = hash_only((uint64_t)per_round);
	}
	must(ledger_checkpoint(r.l, &em), "ledger_checkpoint", &em);
	for (int i = 0; i < ROUNDS; i++) {
		checked[i] = verify(r.l, &n);
		checked[i] /= (double)n;
	}
	all_took = median(took);
	printf("ledger: %.0f durable entries/s, %.2f x the time of their bytes "
	       "in a bare file (%.0f/s), %.2f x one core's SHA-256 of them\n",
	       per_round / all_took, all_took / median(least),
	       per_round / median(least), all_took / median(sum));
	printf("ledger: settled in %.2f x the time of committing\n",
	       median(moved) / all_took);
	printf("ledger: verified at %.0f entries/s, %.2f x the speed of one "
	       "core's SHA-256 of them (%.0f/s)\n",
	       1 / median(checked), median(sum) / per_round / median(checked),
	       per_round / median(sum));
	bench_target("ledger: durable entries/s, pipelined, 4 threads",
		     per_round / all_took, 300000);
	bench_target("ledger: verified, of one core's SHA-256 of its entries",
		     median(sum) / per_round / median(checked), 1.5);
	ledger_close(r.l);
	vio_free(v);
	tmp_release(&t);
	cond_destroy(&r.changed);
	mutex_destroy(&r.mu);
	return 0;
}
