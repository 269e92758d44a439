/*
 * test_err.c - codes, their errno classes, and words.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

Test(err, every_private_code_has_a_class_and_a_text)
{
	for (int c = ERR_BASE_ + 1; c < ERR_END_; c++) {
		cr_assert_gt(err_class(-c), 0);
		cr_assert_lt(err_class(-c), 200);
		cr_assert_gt(strlen(err_text(-c)), 3);
	}
	cr_assert_eq(err_class(-ERR_CORRUPT), EIO);
	cr_assert_eq(err_class(-ERR_USAGE), EINVAL);
	cr_assert_str_eq(err_text(-ERR_SHORT), "input ends early");
}

Test(err, errnos_are_their_own_class)
{
	cr_assert_eq(err_class(-ENOSPC), ENOSPC);
	cr_assert_eq(err_class(-EPERM), EPERM);
	cr_assert_str_eq(err_text(-ENOENT), "No such file or directory");
}

Test(err, success_and_nonsense_are_harmless)
{
	cr_assert_eq(err_class(0), 0);
	cr_assert_eq(err_class(5), 0);
	cr_assert_eq(err_class(-100000), EIO);
	cr_assert_eq(err_class(-(int)ERR_END_), EIO);
	cr_assert_eq(err_class(-1999), EIO);
	cr_assert_not_null(err_text(0));
	cr_assert_str_eq(err_text(-100000), "unknown error");
	cr_assert_str_eq(err_text(-1999), "unknown error");
	cr_assert_not_null(err_text(-2147483647 - 1));
	cr_assert_eq(err_class(-2147483647 - 1), EIO);
}

Test(err, the_first_words_stay)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(errmsg_set(&em, -EIO, "disk %d", 7), -EIO);
	cr_assert_eq(errmsg_set(&em, -EPERM, "later"), -EPERM);
	cr_assert_str_eq(errmsg_text(&em, -EPERM), "disk 7");
	cr_assert_eq(errmsg_set(NULL, -EIO, "x"), -EIO);
	cr_assert_eq(errmsg_wrap(NULL, -EIO, "x"), -EIO);
}

Test(err, wrapping_goes_outwards)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(errmsg_wrap(&em, -ERR_HASH, "chunk %s", "ab"), -ERR_HASH);
	errmsg_wrap(&em, -ERR_HASH, "pack 3");
	cr_assert_str_eq(em.text, "pack 3: chunk ab: hash does not match");
}

Test(err, long_words_are_cut)
{
	struct errmsg em = ERRMSG_INIT;
	char big[3000];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	errmsg_set(&em, -EIO, "%s", big);
	cr_assert_eq(strlen(em.text), ERRMSG_MAX - 1);
	errmsg_wrap(&em, -EIO, "%s", big);
	cr_assert_eq(strlen(em.text), ERRMSG_MAX - 1);
}

Test(err, without_words_the_code_speaks)
{
	struct errmsg em = ERRMSG_INIT;

	cr_assert_str_eq(errmsg_text(&em, -ERR_KEY), err_text(-ERR_KEY));
	cr_assert_str_eq(errmsg_text(NULL, -ERR_KEY), err_text(-ERR_KEY));
}
