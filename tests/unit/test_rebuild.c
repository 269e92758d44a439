/*
 * test_rebuild.c - the index follows a real log: caught up, made anew when it
 * is gone, damaged or of another log, and left alone when it is not to blame.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/rebuild.h"
#include "ledger/entry.h"
#include "tests/sim/log_box.h"
#include "tests/sim/tmp.h"

static struct tmp tmp;
static struct vio *vio;
static struct log_box box;
static struct digest last; /* of the root */
static uint64_t made;

static void setup(void)
{
	struct buf b = BUF_INIT;

	tmp_init(&tmp);
	cr_assert_eq(vio_posix_open(&vio, tmp.path), 0);
	log_box_init(&box, vio, NULL);
	cr_assert_eq(log_box_create(&box), 0, "%s", box.em.text);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert_eq(ledger_read_entry(box.l, &b, &last, 3), 0);
	buf_release(&b);
	made = 0;
}

static void teardown(void)
{
	log_box_close(&box);
	vio_free(vio);
	tmp_release(&tmp);
}

TestSuite(rebuild, .init = setup, .fini = teardown);

/* One batch of n attributes of the root, each following the one before. */
static void commit(uint32_t n)
{
	struct ledger_entry v[16];
	struct buf b[16] = { BUF_INIT };
	struct ledger_frame *f = NULL;
	uint8_t salt[16] = { 1 };
	uint64_t seal;
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct entry e = { .core = { .kind = ENTRY_SETXATTR,
					     .inode = 1,
					     .prev = last } };
		char name[32];

		snprintf(name, sizeof(name), "user.%llu",
			 (unsigned long long)made++);
		e.core.wall_ns = (int64_t)made;
		e.body.kind = ENTRY_SETXATTR;
		e.body.setxattr.name = ENTRY_STR(name);
		cr_assert_eq(entry_store(&b[i], &last, &e, salt), 0);
		v[i].bytes = b[i].p;
		v[i].len = (uint32_t)b[i].n;
		v[i].leaf = last;
	}
	cr_assert_eq(ledger_seal(box.l, &f, &seal, v, n, NULL, 0), 0);
	cr_assert_eq(ledger_commit(box.l, f), 0);
	for (i = 0; i < n; i++)
		buf_release(&b[i]);
}

static struct rebuild_options options(void)
{
	return (struct rebuild_options){ .vio = vio,
					 .dir = tmp.path,
					 .ledger = box.l };
}

static int catch_up(struct errmsg *em)
{
	struct rebuild_options o = options();
	struct idx *x = NULL;
	int rc = rebuild_catch_up(&x, &o, em);

	idx_close(x);
	return rc;
}

static int count(void *ctx, const char *name, uint16_t len, const void *value,
		 uint32_t n, const struct digest *chunk)
{
	(void)name, (void)len, (void)value, (void)n, (void)chunk;
	++*(uint64_t *)ctx;
	return 0;
}

/* The index has exactly what was committed. */
static void complete(void)
{
	struct errmsg em = ERRMSG_INIT;
	struct idx_reader *r = NULL;
	struct idx_counts c;
	uint64_t n = 0, seals;
	struct digest root, want;

	cr_assert_eq(idx_reader_open(&r, tmp.path, &em), 0, "%s", em.text);
	cr_assert_eq(idx_xattrs(r, 1, count, &n), 0);
	cr_assert_eq(n, made);
	cr_assert_eq(idx_counts(r, &c), 0);
	cr_assert_eq(c.rejected, 0);
	cr_assert_eq(idx_reader_position(r, &seals, &root), 0);
	cr_assert_eq(seals, ledger_size(box.l));
	cr_assert_eq(ledger_root_at(box.l, seals, &want), 0);
	cr_assert(digest_eq(&root, &want));
	idx_reader_close(r);
}

static void must_catch_up(void)
{
	struct errmsg em = ERRMSG_INIT;
	int rc = catch_up(&em);

	cr_assert_eq(rc, 0, "%s", errmsg_text(&em, rc));
	complete();
}

Test(rebuild, follows_the_log)
{
	must_catch_up();
	commit(3);
	commit(16);
	must_catch_up();
	must_catch_up();
	commit(1);
	must_catch_up();
}

Test(rebuild, what_is_gone_or_damaged_is_made_anew)
{
	char path[4200];
	int fd;

	commit(9);
	must_catch_up();
	cr_assert_eq(idx_remove(vio, NULL), 0);
	must_catch_up();
	snprintf(path, sizeof(path), "%s/index.db", tmp.path);
	cr_assert_eq(truncate(path, 5000), 0);
	must_catch_up();
	fd = open(path, O_WRONLY | O_TRUNC);
	cr_assert_eq(write(fd, "no index at all, but text", 25), 25);
	close(fd);
	must_catch_up();
}

static void open_again(bool at_rest)
{
	struct errmsg em = ERRMSG_INIT;

	if (at_rest) {
		cr_assert_eq(log_box_settle(&box), 0);
		cr_assert_eq(log_box_checkpoint(&box), 0);
		cr_assert_eq(ledger_rest(box.l, &em), 0, "%s", em.text);
	}
	log_box_close(&box);
	cr_assert_eq(log_box_open(&box), 0, "%s", box.em.text);
	cr_assert_eq(ledger_was_in_use(box.l), !at_rest);
}

/* The index has one seal more than the log. */
static void run_ahead(void)
{
	struct digest wrong = { .b = { 9 } };
	struct idx_options o = { .vio = vio, .dir = tmp.path };
	struct entry e = { .core = { .kind = ENTRY_MOUNT_STOP } };
	struct idx *x = NULL;
	uint64_t size = ledger_size(box.l);

	e.body.kind = ENTRY_MOUNT_STOP;
	cr_assert_eq(idx_open(&x, &o, NULL), 0);
	cr_assert_eq(idx_begin(x), 0);
	cr_assert_eq(idx_seal(x, size, 1, 0, 1), 0);
	cr_assert_eq(idx_apply(x, &e, &wrong, IDX_ENTRY_NO(size, 0)), 0);
	cr_assert_eq(idx_end(x, size + 1, &wrong), 0);
	idx_close(x);
}

Test(rebuild, an_index_ahead_of_a_log_in_use_says_what_was_lost)
{
	struct errmsg em = ERRMSG_INIT;

	commit(4);
	must_catch_up();
	open_again(false);
	run_ahead();
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(catch_up(&em), -ERR_LOST);
		cr_assert(strstr(em.text, "the index had applied 3 seals"),
			  "%s", em.text);
		open_again(false);
	}
}

Test(rebuild, an_index_ahead_of_the_log_or_of_another_is_not_believed)
{
	struct digest wrong = { .b = { 9 } };
	struct idx_options o = { .vio = vio, .dir = tmp.path };
	struct idx *x = NULL;
	uint64_t size;

	commit(4);
	must_catch_up();
	open_again(true);
	size = ledger_size(box.l);
	run_ahead();
	must_catch_up();
	/* The same length, another root. */
	cr_assert_eq(idx_open(&x, &o, NULL), 0);
	cr_assert_eq(idx_begin(x), 0);
	cr_assert_eq(idx_end(x, size, &wrong), 0);
	idx_close(x);
	commit(2);
	must_catch_up();
}

Test(rebuild, an_index_in_use_is_not_deleted)
{
	struct errmsg em = ERRMSG_INIT;
	struct rebuild_options o = options();
	struct idx *x = NULL;

	commit(5);
	cr_assert_eq(rebuild_catch_up(&x, &o, NULL), 0);
	cr_assert_eq(catch_up(&em), -EBUSY);
	cr_assert(strstr(em.text, "open already"), "%s", em.text);
	complete();
	idx_close(x);
	must_catch_up();
}

Test(rebuild, reading_only_changes_nothing)
{
	struct errmsg em = ERRMSG_INIT;
	struct rebuild_options o = options();
	struct idx *x = NULL;
	uint64_t seals;
	struct digest root;

	o.read_only = true;
	cr_assert_eq(rebuild_catch_up(&x, &o, &em), -ENOENT);
	cr_assert(strstr(em.text, "no index"), "%s", em.text);
	commit(2);
	must_catch_up();
	commit(2);
	cr_assert_eq(rebuild_catch_up(&x, &o, NULL), 0);
	cr_assert_eq(idx_position(x, &seals, &root), 0);
	cr_assert_eq(seals, ledger_size(box.l) - 1);
	cr_assert_eq(idx_begin(x), -ERR_USAGE);
	idx_close(x);
}
