/*
 * test_plain_known.c - plain digests of bytes that had one lately: they are
 * asked for, they are right, and memory that went bad is not believed.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fs/content/content.h"
#include "fs/content/content_internal.h"
#include "fs/content/plain_known.h"
#include "tests/unit/content_checks.h"

enum { N = 40 * 1000 };

/* The root and plain digest of a new file of these bytes. */
static void version_of(struct content_box *b, const uint8_t *p, size_t n,
		       struct digest *out_root, struct digest *out_sha256)
{
	struct content *c = content_box_new(b);
	struct content_version v = { .gen = 0 };

	put(c, p, n, 0);
	content_box_version(b, c, &v);
	cr_assert(v.has_sha256);
	*out_root = v.root;
	*out_sha256 = v.sha256;
	content_version_release(&v);
	content_close(c);
}

Test(plain_known, a_second_copy_is_not_hashed_and_other_bytes_are)
{
	struct content_box b = { .sim = NULL };
	autofree uint8_t *p = noise(N, 1);
	struct digest root, again, sha256, want, told = { .b = { 7 } };

	content_box_init(&b, 0);
	digest_sha256(&want, p, N);
	version_of(&b, p, N, &root, &sha256);
	cr_assert(digest_eq(&sha256, &want));
	version_of(&b, p, N, &again, &sha256);
	cr_assert(digest_eq(&sha256, &want) && digest_eq(&again, &root));

	/* whose digest is known is not hashed: a wrong one would be taken */
	plain_known_add(&b.pool->known, &root, &told);
	version_of(&b, p, N, &again, &sha256);
	cr_assert(digest_eq(&sha256, &told));

	p[N - 1] ^= 1;
	digest_sha256(&want, p, N);
	version_of(&b, p, N, &again, &sha256);
	cr_assert(digest_eq(&sha256, &want) && !digest_eq(&again, &root));
	content_box_release(&b);
}

Test(plain_known, appending_to_what_was_known_is_right)
{
	struct content_box b = { .sim = NULL };
	autofree uint8_t *p = noise(2 * N, 2);
	struct content_version v = { .gen = 0 };
	struct content *c = NULL;
	struct digest root, sha256, want;

	content_box_init(&b, 0);
	version_of(&b, p, N, &root, &sha256);
	c = content_box_new(&b);
	for (size_t n = N; n <= 2 * N; n += N) {
		put(c, p + n - N, N, n - N);
		content_box_version(&b, c, &v);
		digest_sha256(&want, p, n);
		cr_assert(v.has_sha256 && digest_eq(&v.sha256, &want));
		content_version_release(&v);
	}
	content_close(c);
	content_box_release(&b);
}

Test(plain_known, the_last_comer_has_the_place)
{
	struct plain_known k;
	struct digest first = { .b = { 1 } }, second = { .b = { 1 } };
	struct digest a = { .b = { 2 } }, b = { .b = { 3 } }, out;

	second.b[31] = 1; /* the same place */
	plain_known_init(&k);
	cr_assert(!plain_known_find(&k, &out, &first));
	plain_known_add(&k, &first, &a);
	cr_assert(plain_known_find(&k, &out, &first) && digest_eq(&out, &a));
	cr_assert(!plain_known_find(&k, &out, &second));
	cr_assert(!plain_known_find(&k, &out, &digest_zero));
	plain_known_add(&k, &second, &b);
	cr_assert(plain_known_find(&k, &out, &second) && digest_eq(&out, &b));
	cr_assert(!plain_known_find(&k, &out, &first));
	plain_known_release(&k);
}

/* Each bit of a place, which begins with its root. */
Test(plain_known, bad_memory_is_not_believed)
{
	struct plain_known k;
	struct digest root = { .b = { 0 } }, sha256, out;
	uint8_t *place = NULL;

	memset(sha256.b, 0x5a, sizeof(sha256.b));
	root.b[9] = 9; /* the first place */
	plain_known_init(&k);
	plain_known_add(&k, &root, &sha256);
	place = (uint8_t *)k.place;
	cr_assert_eq(memcmp(place, root.b, sizeof(root.b)), 0);
	for (size_t bit = 0; bit < (size_t)8 * 72; bit++) {
		place[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert(!plain_known_find(&k, &out, &root), "bit %zu", bit);
		place[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert(plain_known_find(&k, &out, &root));
	plain_known_release(&k);
}
