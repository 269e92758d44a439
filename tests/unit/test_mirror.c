/*
 * test_mirror.c - a copied log checked by itself; every byte of it counts.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/mirror.h"
#include "ledger/tile.h"
#include "tests/sim/sample_log.h"

static struct sample_log s;
static struct trust trust;

static void setup(void)
{
	sample_log_init(&s);
	sample_log_story(&s, 300);
	sample_log_trust(&s, &trust);
}

static void teardown(void)
{
	sample_log_release(&s);
}

TestSuite(mirror, .init = setup, .fini = teardown);

/* Serves the sample, with one byte of one file changed, or one missing. */
struct server {
	const char *path;
	size_t at;
	bool missing;
	size_t served; /* bytes of that file */
};

static int serve(void *ctx, struct buf *out, const char *path)
{
	struct server *v = ctx;
	int rc = sample_log_load(&s, out, path);

	if (rc != 0 || v->path == NULL || strcmp(v->path, path) != 0)
		return rc;
	v->served = out->n;
	if (v->missing)
		return -ENOENT;
	if (v->at < out->n)
		out->p[v->at] ^= 4;
	return 0;
}

Test(mirror, a_good_copy_is_accepted)
{
	struct server v = { .path = NULL };
	struct mirror_report r;
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(mirror_check(&r, serve, &v, &trust, &em), 0, "%s",
		     em.text);
	cr_assert_eq(r.seals, 305);
	cr_assert_eq(r.mounts, 1);
	cr_assert_eq(r.entries, s.next_seq - RULES_FIRST_SEQ);
	cr_assert_eq(r.tiles, 3); /* 0/000, 0/001.p, 1/000.p */
	cr_assert_arr_eq(r.volume_id, s.volume_id, 16);
}

Test(mirror, no_byte_of_any_file_can_be_changed)
{
	static const struct {
		const char *path;
		size_t step;
	} files[] = {
		{ "checkpoint", 1 },	      { "tile/0/000", 997 },
		{ "tile/0/001.p/49", 101 },   { "tile/1/000.p/1", 5 },
		{ "tile/entries/000", 4999 }, { "tile/entries/001.p/49", 1009 },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct server v = { .path = files[i].path };
		struct mirror_report r;

		for (v.at = 0, v.served = 1; v.at < v.served;
		     v.at += files[i].step)
			cr_assert_lt(mirror_check(&r, serve, &v, &trust, NULL),
				     0, "%s byte %zu", v.path, v.at);
		cr_assert_gt(v.served, 1, "%s was never asked for", v.path);
	}
}

Test(mirror, a_missing_file_is_named)
{
	struct server v = { .path = "tile/0/000", .missing = true };
	struct mirror_report r;
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(mirror_check(&r, serve, &v, &trust, &em), -ENOENT);
	cr_assert_not_null(strstr(em.text, "tile/0/000"));
}

/*
 * An old checkpoint beside the files of a longer log: the partial tiles it
 * needs are gone, the full ones hold what it needs.
 */
static struct buf old_checkpoint;

static int serve_later(void *ctx, struct buf *out, const char *path)
{
	(void)ctx;
	if (strcmp(path, "checkpoint") == 0) {
		buf_add(out, old_checkpoint.p, old_checkpoint.n);
		return 0;
	}
	if (strstr(path, ".p/") != NULL && strncmp(path, "tile/1", 6) != 0)
		return -ENOENT;
	return sample_log_load(&s, out, path);
}

Test(mirror, full_tiles_may_have_replaced_partial_ones)
{
	struct mirror_report r;
	struct errmsg em = ERRMSG_INIT;

	teardown();
	sample_log_init(&s);
	sample_log_story(&s, 195);
	sample_log_checkpoint(&s, &old_checkpoint); /* size 200 */
	sample_log_release(&s);
	setup();
	cr_assert_eq(mirror_check(&r, serve_later, NULL, &trust, &em), 0, "%s",
		     em.text);
	cr_assert_eq(r.seals, 200);
	buf_release(&old_checkpoint);
}

Test(mirror, another_logs_key_is_refused)
{
	struct server v = { .path = NULL };
	struct mirror_report r;

	trust.logs[0].pub[0] ^= 1;
	trust.logs[0].id ^= 1;
	cr_assert_eq(mirror_check(&r, serve, &v, &trust, NULL), -ERR_KEY);
}

static void wrong_seen(struct seal *seal)
{
	seal->seen_root.b[0] ^= 1;
}

static void wrong_prev(struct seal *seal)
{
	seal->prev_seal.b[9] ^= 1;
}

static void expect_bad_seal(void (*tamper)(struct seal *), const char *words)
{
	struct server v = { .path = NULL };
	struct mirror_report r;
	struct errmsg em = ERRMSG_INIT;
	struct entry e;

	cr_assert(sample_log_entry(&e, ENTRY_SETATTR));
	sample_log_add(&s, &e);
	s.tamper = tamper;
	sample_log_commit(&s);
	cr_assert_eq(mirror_check(&r, serve, &v, &trust, &em), -ERR_REJECTED);
	cr_assert_not_null(strstr(em.text, words), "%s", em.text);
}

Test(mirror, a_seal_that_saw_another_log_convicts)
{
	expect_bad_seal(wrong_seen, "saw another log");
}

Test(mirror, a_seal_out_of_its_chain_convicts)
{
	expect_bad_seal(wrong_prev, "does not follow");
}
