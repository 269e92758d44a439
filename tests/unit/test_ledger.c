/*
 * test_ledger.c - the log as a whole: life, order, readers, proofs, verify.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/mirror.h"
#include "ledger/proof.h"
#include "ledger/seal.h"
#include "ledger/tile.h"
#include "ledger/trust.h"
#include "tests/sim/log_box.h"
#include "tests/sim/tmp.h"
#include "tests/sim/vio_sim.h"

static struct log_box box;
static struct vio_sim *sim;

static void setup(void)
{
	sim = vio_sim_new(NULL);
	log_box_init(&box, vio_sim_vio(sim), vio_sim_vio(sim));
	cr_assert_eq(log_box_create(&box), 0, "%s", box.em.text);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
}

static void teardown(void)
{
	log_box_close(&box);
	vio_sim_free(sim);
}

static void commits(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(log_box_commit(&box, 1 + i % 4, i % 3), 0);
}

static void reopen(void)
{
	log_box_close(&box);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
}

TestSuite(ledger, .init = setup, .fini = teardown);

Test(ledger, a_new_log_begins_with_genesis_keys_root_and_params)
{
	static const uint16_t kinds[] = { ENTRY_GENESIS, ENTRY_KEY_ADD,
					  ENTRY_KEY_ADD, ENTRY_CREATE,
					  ENTRY_PARAMS };
	struct buf b = BUF_INIT;
	struct entry e;

	cr_assert_eq(ledger_size(box.l), 1);
	cr_assert_eq(ledger_checkpointed(box.l), 1);
	for (unsigned i = 0; i < 5; i++) {
		buf_clear(&b);
		cr_assert_eq(ledger_read_entry(box.l, &b, NULL, i), 0);
		cr_assert_eq(entry_open(&e, NULL, b.p, b.n, NULL), 0);
		cr_assert_eq(e.core.kind, kinds[i]);
	}
	cr_assert_eq(ledger_read_entry(box.l, &b, NULL, 5), -ENOENT);
	buf_release(&b);
}

Test(ledger, a_second_creation_in_the_same_place_is_refused)
{
	cr_assert_eq(log_box_create(&box), -EEXIST);
	cr_assert(strstr(box.em.text, "already") != NULL);
}

Test(ledger, what_was_committed_is_read_back_byte_for_byte)
{
	commits(40);
	cr_assert(log_box_intact(&box));
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(ledger_unsettled(box.l), 0);
	cr_assert(log_box_intact(&box));
	commits(10);
	reopen();
	cr_assert(log_box_intact(&box));
	cr_assert_eq(log_box_verify(&box, true), 0);
}

Test(ledger, unsettled_chunks_are_given_out_again_at_open)
{
	commits(12); /* 0 1 2 0 1 2 ... chunks */
	reopen();
	cr_assert_eq(box.chunks_given, 12);
	cr_assert_eq(log_box_settle(&box), 0);
	reopen();
	cr_assert_eq(box.chunks_given, 0);
}

Test(ledger, the_next_frame_can_be_sealed_before_the_first_is_committed)
{
	struct ledger_frame *a = NULL, *b = NULL;
	struct ledger_entry ea, eb;
	struct buf ba = BUF_INIT, bb = BUF_INIT;
	uint64_t na = 0, nb = 0;

	log_box_entry(&ba, &ea.leaf, 1);
	log_box_entry(&bb, &eb.leaf, 2);
	ea.bytes = ba.p;
	ea.len = (uint32_t)ba.n;
	eb.bytes = bb.p;
	eb.len = (uint32_t)bb.n;
	cr_assert_eq(ledger_seal(box.l, &a, &na, &ea, 1, NULL, 0), 0);
	cr_assert_eq(ledger_seal(box.l, &b, &nb, &eb, 1, NULL, 0), 0);
	cr_assert_eq(na, 1);
	cr_assert_eq(nb, 2);
	cr_assert_eq(ledger_commit(box.l, a), 0);
	cr_assert_eq(ledger_size(box.l), 2);
	cr_assert_eq(ledger_commit(box.l, b), 0);
	cr_assert_eq(ledger_size(box.l), 3);

	/* Freed, it takes those sealed after it along. */
	cr_assert_eq(ledger_seal(box.l, &a, &na, &ea, 1, NULL, 0), 0);
	cr_assert_eq(ledger_seal(box.l, &b, &nb, &eb, 1, NULL, 0), 0);
	ledger_frame_free(a);
	cr_assert_eq(ledger_commit(box.l, b), -ERR_AGAIN);
	cr_assert_eq(ledger_seal(box.l, &a, &na, &ea, 1, NULL, 0), 0);
	cr_assert_eq(na, 3);
	cr_assert_eq(ledger_commit(box.l, a), 0);
	cr_assert_eq(log_box_verify(&box, true), 0);
	buf_release(&ba);
	buf_release(&bb);
}

Test(ledger, a_full_disk_is_soft_and_nothing_is_lost)
{
	int rc = 0;

	commits(5);
	vio_sim_set_space(sim, 200 << 10);
	for (unsigned i = 0; rc == 0 && i < 2000; i++)
		rc = log_box_commit(&box, 4, 3);
	cr_assert_eq(rc, -ENOSPC);
	cr_assert_eq(ledger_failed(box.l), 0);
	cr_assert(log_box_intact(&box));
	vio_sim_set_space(sim, UINT64_MAX);
	commits(5);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_verify(&box, true), 0);
	reopen();
	cr_assert(log_box_intact(&box));
}

/* Whatever it is called: the next flush would succeed, and tell nothing. */
Test(ledger, no_failed_flush_is_soft)
{
	static const int errors[] = { ENOSPC, EDQUOT, ENOMEM };

	for (size_t i = 0; i < 3; i++) {
		commits(1);
		cr_assert_eq(log_box_settle(&box), 0);
		commits(1);
		vio_sim_fail(sim, VIO_SIM_SYNC, 1, errors[i], false);
		cr_assert_eq(log_box_settle(&box), -EIO, "%zu", i);
		cr_assert_eq(ledger_failed(box.l), -EIO);
		reopen();
		cr_assert(log_box_intact(&box));
	}
	commits(1);
	vio_sim_fail(sim, VIO_SIM_SYNC, 1, ENOMEM, false);
	cr_assert_eq(log_box_commit(&box, 1, 0), -EIO);
	cr_assert_eq(ledger_failed(box.l), -EIO);
}

Test(ledger, a_failed_flush_is_sticky_until_the_log_is_opened_again)
{
	commits(3);
	vio_sim_fail(sim, VIO_SIM_SYNC, 1, EIO, false);
	cr_assert_eq(log_box_commit(&box, 1, 0), -EIO);
	cr_assert_eq(log_box_commit(&box, 1, 0), -ERR_STICKY);
	cr_assert_eq(ledger_settle(box.l, 1, NULL), -ERR_STICKY);
	cr_assert_eq(log_box_checkpoint(&box), -ERR_STICKY);
	cr_assert_eq(ledger_failed(box.l), -EIO);
	cr_assert(log_box_intact(&box), "reading goes on");
	reopen();
	cr_assert(log_box_intact(&box));
}

Test(ledger, entries_of_a_record_are_had_in_any_order)
{
	struct ledger_record r;
	struct buf one = BUF_INIT;
	const uint8_t *p = NULL;
	struct digest leaf;
	uint32_t n = 0;

	cr_assert_eq(log_box_commit(&box, 300, 0), 0);
	cr_assert_eq(ledger_read(box.l, &r, ledger_size(box.l) - 1), 0);
	cr_assert_eq(r.count, 300);
	for (uint32_t k = 0; k < r.count; k++) {
		uint32_t i = k * 7 % r.count;

		cr_assert_eq(ledger_record_entry(&r, i, &p, &n), 0);
		buf_clear(&one);
		cr_assert_eq(ledger_read_entry(box.l, &one, &leaf,
					       ENTRY_NO(r.seal, i)),
			     0);
		cr_assert_eq(one.n, n);
		cr_assert_arr_eq(one.p, p, n);
		cr_assert(digest_eq(&leaf, &r.leaves[i]));
	}
	cr_assert_eq(ledger_record_entry(&r, r.count, &p, &n), -ENOENT);
	cr_assert_eq(ledger_read_entry(box.l, &one, &leaf,
				       ENTRY_NO(r.seal, r.count)),
		     -ENOENT);
	buf_release(&one);
	ledger_record_release(&r);
}

Test(ledger, a_clock_that_went_back_is_flagged)
{
	struct ledger_record r;
	struct seal s;

	commits(1);
	vio_sim_step_wall(sim, -3600000000000LL);
	vio_sim_set_wall_synced(sim, false);
	commits(1);
	cr_assert_eq(ledger_read(box.l, &r, 2), 0);
	cr_assert_eq(seal_decode(&s, r.seal_bytes, r.seal_len), 0);
	cr_assert_eq(s.flags, SEAL_CLOCK_BACK | SEAL_CLOCK_UNSYNCED);
	ledger_record_release(&r);
}

Test(ledger, every_start_has_an_incarnation_of_its_own)
{
	uint8_t first[16];

	memcpy(first, ledger_incarnation(box.l), 16);
	commits(1);
	reopen();
	cr_assert_neq(memcmp(first, ledger_incarnation(box.l), 16), 0);
	commits(1);
	cr_assert_eq(log_box_verify(&box, true), 0);
}

Test(ledger, opening_does_not_replay_history)
{
	uint64_t before;

	commits(1000);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	log_box_close(&box);
	before = vio_sim_count(sim, VIO_SIM_READ);
	cr_assert_eq(log_box_open(&box), 0);
	/* headers of segments, edge of the tree: not 1000 records */
	cr_assert_lt(vio_sim_count(sim, VIO_SIM_READ) - before, 450);
	cr_assert(log_box_intact(&box));
}

Test(ledger, missing_tiles_and_checkpoint_are_made_again)
{
	struct vio *v = vio_sim_vio(sim);

	commits(300);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	log_box_close(&box);
	cr_assert_eq(vio_unlink(v, "ledger/tile/0/000"), 0);
	cr_assert_eq(vio_unlink(v, "ledger/checkpoint"), 0);
	cr_assert_eq(vio_unlink(v, "ledger/rules.state"), 0);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert(strstr(ledger_notes(box.l), "checkpoint is missing") != NULL);
	cr_assert(log_box_intact(&box));
	cr_assert(log_box_consistent(&box));
	commits(1);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	reopen();
	cr_assert_str_eq(ledger_notes(box.l), "");
	cr_assert_eq(log_box_verify(&box, true), 0);
}

/* --- beside a writer --- */

Test(ledger, a_reader_beside_the_writer_sees_what_is_durable)
{
	static struct log_box reader;
	struct ledger_frame *f = NULL;
	uint64_t n = 0;

	commits(20);
	for (unsigned i = 0; i < 5; i++) {
		memcpy(&reader, &box, sizeof(reader));
		cr_assert_eq(log_box_open_read_only(&reader), 0, "%s",
			     reader.em.text);
		cr_assert(log_box_intact(&reader));
		cr_assert_eq(log_box_verify(&reader, true), 0);
		cr_assert_eq(ledger_seal(reader.l, &f, &n, NULL, 0, NULL, 0),
			     -EROFS);
		log_box_close(&reader);
		commits(7);
		if (i % 2 == 0)
			cr_assert_eq(log_box_settle(&box), 0);
	}
}

Test(ledger, a_reader_keeps_what_it_saw_while_the_wal_is_used_again)
{
	static struct log_box reader;

	commits(20);
	memcpy(&reader, &box, sizeof(reader));
	cr_assert_eq(log_box_open_read_only(&reader), 0);
	for (unsigned i = 0; i < 12; i++) {
		commits(100);
		cr_assert_eq(log_box_settle(&box), 0);
	}
	cr_assert_eq(ledger_size(reader.l), 21);
	cr_assert(log_box_intact(&reader));
	log_box_close(&reader);
}

Test(ledger, a_second_writer_is_refused_with_the_pid_of_the_first)
{
	static struct log_box second;

	memcpy(&second, &box, sizeof(second));
	cr_assert_eq(log_box_open(&second), -ERR_BUSY);
	cr_assert(strstr(second.em.text, "already mounted by pid") != NULL);
}

/* --- what others take away --- */

static int load(void *ctx, struct buf *out, const char *path)
{
	return ledger_tile_read(ctx, out, path);
}

Test(ledger, the_tiles_it_serves_are_a_valid_log)
{
	struct mirror_report r;
	struct buf text = BUF_INIT;
	static struct trust t;
	struct errmsg em = ERRMSG_INIT;

	commits(600);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	commits(3);
	cr_assert_eq(ledger_trust(box.l, &text), 0);
	cr_assert_eq(trust_parse(&t, text.p, text.n, NULL), 0);
	cr_assert_eq(mirror_check(&r, load, box.l, &t, &em), 0, "%s", em.text);
	cr_assert_eq(r.seals, 601);
	buf_clear(&text);
	cr_assert_eq(ledger_tile_read(box.l, &text, "tile/0/002.p/89"), 0);
	cr_assert_eq(text.n, 89 * 32);
	cr_assert_eq(ledger_tile_read(box.l, &text, "tile/0/002.p/90"), -ENOENT,
		     "not in the checkpoint");
	cr_assert_eq(ledger_tile_read(box.l, &text, "tile/0/../../lock"),
		     -ENOENT);
	buf_release(&text);
}

Test(ledger, export_writes_files_that_need_nothing_else)
{
	struct vio_sim *out = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(out);
	struct buf a = BUF_INIT, b = BUF_INIT;

	commits(300);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	cr_assert_eq(ledger_export(box.l, v, NULL), 0);
	for (const char *const *p =
		     (const char *const[]){ "checkpoint", "tile/0/000",
					    "tile/0/001.p/45", "tile/1/000.p/1",
					    "tile/entries/000",
					    "tile/entries/001.p/45", NULL };
	     *p != NULL; p++) {
		buf_clear(&a);
		buf_clear(&b);
		cr_assert_eq(vio_read_file(v, &a, *p, 1 << 20), 0, "%s", *p);
		cr_assert_eq(ledger_tile_read(box.l, &b, *p), 0);
		cr_assert(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
	}
	buf_release(&a);
	buf_release(&b);
	vio_sim_free(out);
}

Test(ledger, a_proof_checks_offline)
{
	struct buf text = BUF_INIT, file = BUF_INIT;
	static struct trust t;
	static struct proof p;
	static struct proof_report r;
	struct errmsg em = ERRMSG_INIT;
	int rc;

	commits(30);
	cr_assert_eq(ledger_prove(box.l, &file, ENTRY_NO(20, 0), NULL, 0, &em),
		     -ERR_AGAIN);
	cr_assert(strstr(em.text, "no checkpoint covers") != NULL);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	em = (struct errmsg)ERRMSG_INIT;
	cr_assert_eq(ledger_prove(box.l, &file, ENTRY_NO(20, 1), NULL, 0, &em),
		     0, "%s", em.text);
	cr_assert_eq(ledger_trust(box.l, &text), 0);
	cr_assert_eq(trust_parse(&t, text.p, text.n, NULL), 0);
	cr_assert_eq(proof_parse(&p, file.p, file.n, &em), 0, "%s", em.text);
	rc = proof_check(&r, &p, &t, NULL, &em);
	/* The entry is no version of a file; all before that holds. */
	cr_assert(rc == 0 || r.seal_index == 20, "%s", em.text);
	proof_release(&p);
	buf_release(&text);
	buf_release(&file);
}

/* --- consistency --- */

static void collect(void *ctx, const char *words)
{
	struct buf *b = ctx;

	buf_addf(b, "%s\n", words);
}

Test(ledger, verify_holds_the_log_against_an_old_checkpoint)
{
	struct buf words = BUF_INIT;
	struct ledger_verify_options o = { .found = collect, .ctx = &words };
	struct ledger_verify_report r;
	char forged[LOG_BOX_NOTE];

	commits(5);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	commits(5);
	cr_assert_eq(log_box_checkpoint(&box), 0);
	o.consistent_with = box.notes[0];
	cr_assert_eq(ledger_verify(box.l, &r, &o, NULL), 0);
	cr_assert_eq(r.damaged, 0, "%s", (char *)words.p);
	cr_assert_eq(r.seals, 11);
	cr_assert_eq(r.signatures, 11);

	snprintf(forged, sizeof(forged), "%s", box.notes[0]);
	forged[strlen("example.org/box\n6\n")] ^= 1;
	o.consistent_with = forged;
	cr_assert_eq(ledger_verify(box.l, &r, &o, NULL), 0);
	cr_assert_geq(r.damaged, 1);
	cr_assert(strstr((char *)words.p, "old checkpoint") != NULL);
	buf_release(&words);
}

struct seen {
	uint64_t entries;
	uint64_t last;
};

static int on_entry(void *ctx, uint64_t entry_no, const struct digest *leaf,
		    const uint8_t *bytes, uint32_t len)
{
	struct seen *s = ctx;
	struct entry_view v;
	struct digest again;

	cr_assert_eq(entry_decode(&v, bytes, len), 0);
	entry_view_leaf(&again, &v);
	cr_assert(digest_eq(&again, leaf));
	cr_assert(s->entries == 0 || entry_no > s->last);
	s->last = entry_no;
	s->entries++;
	return 0;
}

Test(ledger, verify_hands_out_every_entry_in_order)
{
	struct seen s = { 0 };
	struct ledger_verify_options o = { .entry = on_entry, .ctx = &s };
	struct ledger_verify_report r;

	commits(40);
	cr_assert_eq(log_box_settle(&box), 0);
	commits(10);
	cr_assert_eq(ledger_verify(box.l, &r, &o, NULL), 0);
	cr_assert_eq(s.entries, r.entries);
	cr_assert_eq(s.entries, box.counter + 5);
}

static int on_object(void *ctx, uint32_t number, const char *path,
		     const char *name, uint64_t size)
{
	struct vio_stat st;
	uint64_t *sum = ctx;

	(void)number;
	cr_assert_eq(strncmp(name, "journal/", 8), 0);
	cr_assert_eq(vio_stat(vio_sim_vio(sim), path, &st), 0);
	cr_assert_leq(size, st.size);
	*sum += size;
	return 0;
}

Test(ledger, durable_objects_grow_and_never_shrink)
{
	uint64_t before = 0, after = 0;

	commits(200);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(ledger_durable_objects(box.l, 1, on_object, &before), 0);
	commits(100);
	cr_assert_eq(log_box_settle(&box), 0);
	cr_assert_eq(ledger_durable_objects(box.l, 1, on_object, &after), 0);
	cr_assert_gt(before, 100000);
	cr_assert_gt(after, before);
}
