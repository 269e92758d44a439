/*
 * stress_ledger.c - a log under all its threads at once: one seals while
 * another commits, one settles and signs, some read and verify.  A plain
 * program, to be run under the thread sanitizer; ends with a verification and
 * a restart.  SECONDS=N runs longer than the usual 3.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/thread.h"
#include "base/vio.h"
#include "ledger/entry.h"
#include "tests/sim/log_box.h"
#include "tests/sim/tmp.h"

enum { QUEUE = 4, BATCH = 16, READERS = 2 };

static struct log_box box;
static atomic_bool stop;
static atomic_ulong committed, reads, verified;

/* Sealed frames on their way to the disk. */
static struct mutex mu;
static struct cond changed;
static struct ledger_frame *queue[QUEUE];
static unsigned head, tail;
static bool sealed_all;

static void check(bool ok, const char *what, int rc)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, err_text(rc));
	abort();
}

static struct ledger_frame *seal_one(uint64_t counter)
{
	struct ledger_entry e[BATCH];
	struct buf bytes = BUF_INIT;
	struct ledger_frame *f = NULL;
	size_t at[BATCH];
	uint64_t seal = 0;
	int rc;

	for (unsigned i = 0; i < BATCH; i++) {
		at[i] = bytes.n;
		log_box_entry(&bytes, &e[i].leaf, counter + i);
		e[i].len = (uint32_t)(bytes.n - at[i]);
	}
	for (unsigned i = 0; i < BATCH; i++)
		e[i].bytes = bytes.p + at[i];
	rc = ledger_seal(box.l, &f, &seal, e, BATCH, NULL, 0);
	check(rc == 0, "seal", rc);
	buf_release(&bytes);
	return f;
}

static void sealer(void *arg)
{
	uint64_t counter = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		struct ledger_frame *f = seal_one(counter);

		counter += BATCH;
		mutex_lock(&mu);
		while (tail - head == QUEUE)
			cond_wait(&changed, &mu);
		queue[tail++ % QUEUE] = f;
		cond_broadcast(&changed);
		mutex_unlock(&mu);
	}
	mutex_lock(&mu);
	sealed_all = true;
	cond_broadcast(&changed);
	mutex_unlock(&mu);
}

static void committer(void *arg)
{
	(void)arg;
	for (;;) {
		struct ledger_frame *f = NULL;
		int rc;

		mutex_lock(&mu);
		while (head == tail && !sealed_all)
			cond_wait(&changed, &mu);
		if (head != tail)
			f = queue[head++ % QUEUE];
		cond_broadcast(&changed);
		mutex_unlock(&mu);
		if (f == NULL)
			break;
		rc = ledger_commit(box.l, f);
		check(rc == 0, "commit", rc);
		atomic_fetch_add(&committed, 1);
	}
}

static void settler(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		int rc = ledger_settle(box.l, 8, NULL);

		check(rc >= 0, "settle", rc);
		rc = ledger_checkpoint(box.l, NULL);
		check(rc == 0, "checkpoint", rc);
	}
}

static void reader(void *arg)
{
	uint64_t k = (uint64_t)(uintptr_t)arg;
	struct buf b = BUF_INIT;

	while (!atomic_load(&stop)) {
		uint64_t size = ledger_size(box.l), seal;
		struct digest leaf, again, root;
		struct entry_view v;
		int rc;

		k = k * 6364136223846793005ULL + 1442695040888963407ULL;
		seal = k % 3 == 0 ? size - 1 : (k >> 33) % size;
		buf_clear(&b);
		rc = ledger_read_entry(box.l, &b, &leaf, ENTRY_NO(seal, 0));
		check(rc == 0, "read", rc);
		check(entry_decode(&v, b.p, b.n) == 0, "decode", 0);
		entry_view_leaf(&again, &v);
		check(digest_eq(&leaf, &again), "leaf", 0);
		rc = ledger_root_at(box.l, (k >> 20) % (size + 1), &root);
		check(rc == 0, "root", rc);
		atomic_fetch_add(&reads, 1);
	}
	buf_release(&b);
}

static void found(void *ctx, const char *words)
{
	(void)ctx;
	fprintf(stderr, "verify: %s\n", words);
}

static void verifier(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		struct ledger_verify_options o = { .found = found };
		struct ledger_verify_report r;
		int rc = ledger_verify(box.l, &r, &o, NULL);

		check(rc == 0 && r.damaged == 0, "verify", rc);
		atomic_fetch_add(&verified, 1);
	}
}

int main(void)
{
	const char *seconds = getenv("SECONDS");
	double budget = seconds != NULL ? strtod(seconds, NULL) : 3;
	struct thread t[4 + READERS] = { { .running = false } };
	struct vio *v = NULL;
	struct tmp tmp;
	unsigned n = 0;
	int64_t end;

	tmp_init(&tmp);
	check(vio_posix_open(&v, tmp.path) == 0, "tmp", 0);
	log_box_init(&box, v, v);
	check(log_box_create(&box) == 0, box.em.text, 0);
	check(log_box_open(&box) == 0, box.em.text, 0);
	mutex_init(&mu);
	cond_init(&changed);
	check(thread_start(&t[n++], "seal", sealer, NULL) == 0, "thread", 0);
	check(thread_start(&t[n++], "commit", committer, NULL) == 0, "thread",
	      0);
	check(thread_start(&t[n++], "settle", settler, NULL) == 0, "thread", 0);
	check(thread_start(&t[n++], "verify", verifier, NULL) == 0, "thread",
	      0);
	for (uintptr_t i = 0; i < READERS; i++)
		check(thread_start(&t[n++], "read", reader, (void *)(i + 1)) ==
			      0,
		      "thread", 0);
	end = vio_mono_ns(v) + (int64_t)(budget * 1e9);
	mutex_lock(&mu);
	while (vio_mono_ns(v) < end)
		(void)cond_timedwait_ns(&changed, &mu, 10000000);
	mutex_unlock(&mu);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < n; i++)
		thread_join(&t[i]);
	check(log_box_verify(&box, true) == 0, "verify", 0);
	check(log_box_checkpoint(&box) == 0, box.em.text, 0);
	log_box_close(&box);
	check(log_box_open(&box) == 0, box.em.text, 0);
	check(ledger_size(box.l) == atomic_load(&committed) + 1, "size", 0);
	log_box_close(&box);
	printf("committed %lu, read %lu, verified %lu\n",
	       atomic_load(&committed), atomic_load(&reads),
	       atomic_load(&verified));
	check(atomic_load(&reads) > 0 && atomic_load(&verified) > 0,
	      "nothing was read", 0);
	mutex_destroy(&mu);
	cond_destroy(&changed);
	vio_free(v);
	tmp_release(&tmp);
	return 0;
}
