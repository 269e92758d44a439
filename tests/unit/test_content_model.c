/*
 * test_content_model.c - random operations on a file and on an array of
 * bytes: the same bytes, the same holes, the canonical root, the bytes that
 * were saved after a crash.  SEED=N repeats a run.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "fs/content/content.h"
#include "tests/sim/content_box.h"
#include "tests/sim/model_content.h"
#include "tests/sim/prng.h"

static void play(const char *name, uint64_t dirty_max, size_t max, int files,
		 int ops)
{
	uint64_t seed = prng_seed(name, 0);
	struct content_box box = { .sim = NULL };
	struct prng prng = { .seed = 0 };
	uint64_t versions = 0;
	uint64_t crashes = 0;

	content_box_init(&box, dirty_max);
	for (int f = 0; f < files; f++) {
		struct model_content a = { .content = NULL };
		struct model_content b = { .content = NULL };

		prng_init(&prng, seed + (uint64_t)f);
		model_content_open(&a, box.pool, box.store, &prng, max);
		model_content_open(&b, box.pool, box.store, &prng, max);
		a.roomy = dirty_max == 0;
		b.roomy = dirty_max == 0;
		for (int i = 0; i < ops; i++) {
			model_content_step(&a, &b);
			model_content_step(&b, &a);
		}
		model_content_check(&a);
		model_content_version(&a);
		versions += a.versions + b.versions;
		crashes += a.crashes + b.crashes;
		model_content_close(&a);
		model_content_close(&b);
	}
	content_box_release(&box);
	cr_assert(versions > 0 && crashes > 0);
}

Test(content_model, small_files, .timeout = 240)
{
	play("content_model small", 0, 20000, 300, 200);
}

Test(content_model, files_of_a_few_chunks, .timeout = 240)
{
	play("content_model chunks", 0, 500000, 6, 1500);
}

Test(content_model, streams_with_little_room, .timeout = 240)
{
	play("content_model streams", 3 << 20, 4 << 20, 2, 500);
}
