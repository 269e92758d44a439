/*
 * test_atomic_file.c - any crash and any failure leaves the old or the new.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/vio.h"
#include "tests/sim/prng.h"
#include "tests/sim/vio_sim.h"

enum { SIZE = 5000 };

/* A file of one letter, of a length that goes with the letter. */
static int put(struct vio *v, char c)
{
	char text[SIZE];

	memset(text, c, sizeof(text));
	return atomic_file_write(v, "d/f", text, (size_t)(c - 'a') * 1000 + 1,
				 0);
}

/* The letter, or '-' when there is no file; anything torn fails. */
static char get(struct vio *v)
{
	struct buf b = BUF_INIT;
	char c = '-';

	if (vio_read_file(v, &b, "d/f", SIZE) == 0) {
		cr_assert_gt(b.n, 0);
		c = (char)b.p[0];
		cr_assert_eq(b.n, (size_t)(c - 'a') * 1000 + 1);
		for (size_t i = 0; i < b.n; i++)
			cr_assert_eq(b.p[i], c);
	}
	buf_release(&b);
	return c;
}

static int count(void *ctx, const char *name)
{
	(void)name;
	++*(unsigned *)ctx;
	return 0;
}

Test(atomic_file, every_crash_leaves_the_old_or_the_new)
{
	struct prng p;
	unsigned old = 0;
	unsigned new = 0;

	prng_init(&p, prng_seed("atomic_file", 1));
	for (uint64_t n = 1; n < 8; n++) {
		for (int i = 0; i < 200; i++) {
			struct vio_sim *s = vio_sim_new(NULL);
			struct vio *v = vio_sim_vio(s);
			int rc;
			char c;

			cr_assert_eq(vio_mkdirs(v, "d"), 0);
			cr_assert_eq(put(v, 'c'), 0);
			vio_sim_stop_at(s, n);
			rc = put(v, 'd');
			vio_sim_crash(s, &p);
			c = get(v);
			cr_assert(c == 'd' || (c == 'c' && rc < 0));
			old += c == 'c';
			new += c == 'd';
			vio_sim_free(s);
		}
	}
	cr_assert(old > 100 && new > 100);
}

Test(atomic_file, a_failure_leaves_the_old_and_no_rubbish)
{
	bool struck = true;

	for (uint64_t n = 1; struck; n++) {
		struct vio_sim *s = vio_sim_new(NULL);
		struct vio *v = vio_sim_vio(s);
		unsigned files = 0;
		int rc;

		cr_assert_eq(vio_mkdirs(v, "d"), 0);
		cr_assert_eq(put(v, 'b'), 0);
		vio_sim_fail(s, VIO_SIM_ANY, n, ENOSPC, false);
		rc = put(v, 'e');
		struck = vio_sim_failed(s);
		vio_sim_fail(s, 0, 0, EIO, false);
		cr_assert_eq(rc, struck ? -ENOSPC : 0);
		cr_assert(get(v) == 'e' || (struck && get(v) == 'b'));
		cr_assert_eq(vio_list(v, "d", count, &files), 0);
		cr_assert_eq(files, 1);
		vio_sim_free(s);
	}
}

Test(atomic_file, private_files_are_private)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct vio *v = vio_sim_vio(s);
	struct vio_stat st;

	cr_assert_eq(atomic_file_write(v, "k", "x", 1, VIO_PRIVATE), 0);
	cr_assert_eq(vio_stat(v, "k", &st), 0);
	cr_assert_eq(st.mode, S_IFREG | 0600);
	cr_assert_eq(atomic_file_write(v, "k", NULL, 0, 0), 0);
	cr_assert_eq(vio_stat(v, "k", &st), 0);
	cr_assert_eq(st.mode, S_IFREG | 0644);
	cr_assert_eq(st.size, 0);
	cr_assert_eq(atomic_file_write(v, "no/k", "x", 1, 0), -ENOENT);
	vio_sim_free(s);
}
