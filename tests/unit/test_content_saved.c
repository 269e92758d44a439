/*
 * test_content_saved.c - what a save cut is taken over by the next version; what
 * was folded, of which nothing is in the log, is reported by the next save.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "fs/content/chunker.h"
#include "fs/content/content.h"
#include "index/state.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"
#include "tests/unit/content_checks.h"

/* What a save made of a file, and how the file goes on from there. */
static void saved_then(size_t n, size_t zeros, int how)
{
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	autofree uint8_t *p = noise(n + 70000, n + zeros);
	size_t size = n;

	memset(p + n - zeros, 0, zeros);
	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, n, 0);
	content_box_save(&b, c, NULL);
	if (how == 1) {
		size += 70000;
		put(c, p + n, 70000, n);
	} else if (how == 2) { /* longer, and as long as it was */
		put(c, p + n, 70000, n);
		cr_assert(content_truncate(c, n) == 0);
	} else if (how == 3) {
		size = n / 2 + 1;
		cr_assert(content_truncate(c, size) == 0);
	} else if (how == 4) { /* the same length with other bytes */
		cr_assert(content_truncate(c, n / 2) == 0);
		cr_assert(content_truncate(c, n) == 0);
		memset(p + n / 2, 0, n - n / 2);
	} else if (how == 5) {
		p[n / 2] ^= 1;
		put(c, p + n / 2, 1, n / 2);
	}
	content_box_version(&b, c, &v);
	same_root(&v.root, p, size);
	/* as it was saved, it is neither read nor stored again */
	cr_assert(how > 0 || n > CHUNKER_MIN || zeros >= CHUNKER_BLOCK ||
		  v.n_staged == 0);
	content_version_release(&v);
	reads_as(c, p, size);
	content_close(c);
	content_box_release(&b);
}

Test(content_saved, what_a_save_cut_at_the_end_is_not_cut_again, .timeout = 120)
{
	const size_t size[] = { 1,	4095,  4096,   5000,  16384,
				100000, 65536, 300000, 700001 };

	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		for (int how = 0; how < 6; how++) {
			saved_then(size[i], 0, how);
			saved_then(size[i], size[i] < 6000 ? size[i] : 6000,
				   how);
		}
}

Test(content_saved, what_was_folded_is_reported_whole)
{
	enum { N = 300000, MORE = 5000 };
	struct content_box b = { .sim = NULL };
	struct content_version v = { .gen = 0 };
	struct content_saved s = { .extents = NULL };
	struct content_state st = { .dirty = false };
	struct content *c = NULL;
	struct content *after = NULL;
	autofree uint8_t *p = noise(N, 77);
	uint8_t *more = p + N / 2;

	content_box_init(&b, 0);
	c = content_box_new(&b);
	put(c, p, N, 0);
	more[0] ^= 1;
	cr_assert(content_fold(c, &v) == 0 && v.n_staged == 0);
	put(c, more, MORE, N / 2); /* meanwhile */
	content_folded(c, v.gen);
	content_version_release(&v);
	reads_as(c, p, N);
	content_state(c, &st);
	cr_assert(st.dirty && st.unsaved && st.extents == 1);
	content_box_save(&b, c, &s);
	after = content_box_new(&b); /* a crash: what the log says */
	cr_assert(content_recover(after, s.extents, s.n) == 0);
	content_recover_size(after, s.size);
	reads_as(after, p, N);
	content_close(after);
	content_saved_release(&s);
	content_box_save(&b, c, &s); /* once is enough */
	cr_assert(s.n == 0);
	content_saved_release(&s);
	content_box_version(&b, c, &v);
	same_root(&v.root, p, N);
	content_version_release(&v);
	content_close(c);
	content_box_release(&b);
}
