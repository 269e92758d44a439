/*
 * test_volume.c - volume.conf: one text for one value, strict, in words.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/volume.h"
#include "tests/sim/vio_sim.h"

static struct volume sample(void)
{
	struct volume v = {
		.origin = "example.org/log",
		.mount_no = 3,
		.guarded = true,
	};

	memset(v.id, 0xab, sizeof(v.id));
	return v;
}

static int decode(const char *text)
{
	struct errmsg em = ERRMSG_INIT;
	struct volume v;
	int rc = volume_decode(&v, text, strlen(text), &em);

	cr_assert_eq(rc < 0, em.text[0] != '\0');
	return rc;
}

#define ID "volume 000102030405060708090a0b0c0d0e0f\n"

Test(volume, round_trips_through_its_file)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct volume v = sample(), w;

	cr_assert_eq(volume_write(&v, vio_sim_vio(s), NULL), 0);
	cr_assert_eq(volume_read(&w, vio_sim_vio(s), NULL), 0);
	cr_assert_eq(memcmp(&v, &w, sizeof(v)), 0);
	vio_sim_free(s);
}

Test(volume, that_is_not_there_says_so)
{
	struct vio_sim *s = vio_sim_new(NULL);
	struct errmsg em = ERRMSG_INIT;
	struct volume v;

	cr_assert_eq(volume_read(&v, vio_sim_vio(s), &em), -ENOENT);
	cr_assert(strstr(em.text, "no volume here") != NULL);
	vio_sim_free(s);
}

Test(volume, accepts_exactly_its_lines_in_their_order)
{
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 1\nguard none\n"),
		     0);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "mount 1\norigin a\nguard none\n"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 1\nguard none"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 01\nguard none\n"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 0\nguard none\n"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 8388607\nguard none\n"),
		     -ERR_FORMAT, "virtual nodes have that number");
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a b\nmount 1\nguard none\n"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 1\nguard maybe\n"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\n" ID
			    "origin a\nmount 1\nguard none\nmore\n"),
		     -ERR_FORMAT);
	cr_assert_eq(decode("vouchfs-volume-v1\r\n"), -ERR_NEWER);
	cr_assert_eq(decode("vouchfs-volume-v7\n"), -ERR_NEWER);
	cr_assert_eq(decode(""), -ERR_FORMAT);
}
