/*
 * test_key.c - key files: modes enforced, damage told, secrets kept.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/key.h"
#include "tests/sim/tmp.h"

static struct tmp tmp;
static struct vio *v;

static void setup(void)
{
	tmp_init(&tmp);
	cr_assert_eq(vio_posix_open(&v, tmp.path), 0);
}

static void teardown(void)
{
	vio_free(v);
	tmp_release(&tmp);
}

TestSuite(key, .init = setup, .fini = teardown);

static void full(char *out, size_t n, const char *name)
{
	snprintf(out, n, "%s/%s", tmp.path, name);
}

static void put(const char *name, const char *text, mode_t mode)
{
	char path[4200];
	int fd;

	full(path, sizeof(path), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	fchmod(fd, mode);
	close(fd);
}

Test(key, saved_keys_load_and_are_private)
{
	struct key *a = NULL;
	struct key *b = NULL;
	char path[4200];
	struct stat st;
	uint8_t sig[KEY_SIG_SIZE];

	cr_assert_eq(key_generate(&a, KEY_MOUNT, v), 0);
	cr_assert_eq(key_save(a, v, "mount.key", NULL), 0);
	full(path, sizeof(path), "mount.key");
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(key_load(&b, v, "mount.key", KEY_MOUNT, NULL), 0);
	cr_assert_arr_eq(key_public(a), key_public(b), 32);
	key_sign(b, sig, "message", 7);
	cr_assert_eq(key_verify(key_public(a), sig, "message", 7), 0);
	cr_assert_eq(key_verify(key_public(a), sig, "messagf", 7),
		     -ERR_SIGNATURE);
	key_free(a);
	key_free(b);
}

Test(key, generated_keys_differ)
{
	struct key *a = NULL;
	struct key *b = NULL;

	cr_assert_eq(key_generate(&a, KEY_LOG, v), 0);
	cr_assert_eq(key_generate(&b, KEY_LOG, v), 0);
	cr_assert_arr_neq(key_public(a), key_public(b), 32);
	key_free(a);
	key_free(b);
}

Test(key, a_file_others_can_read_is_refused_with_the_remedy)
{
	static const mode_t modes[] = { 0640, 0604, 0644, 0660, 0610, 0601 };
	struct key *k = NULL;
	char path[4200];

	cr_assert_eq(key_generate(&k, KEY_LOG, v), 0);
	cr_assert_eq(key_save(k, v, "log.key", NULL), 0);
	key_free(k);
	full(path, sizeof(path), "log.key");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct errmsg em = ERRMSG_INIT;

		chmod(path, modes[i]);
		cr_assert_eq(key_load(&k, v, "log.key", KEY_LOG, &em),
			     -ERR_KEYPERM);
		cr_assert_null(k);
		cr_assert_not_null(strstr(em.text, "log.key"));
		cr_assert_not_null(strstr(em.text, "chmod 600"));
	}
	chmod(path, 0400);
	cr_assert_eq(key_load(&k, v, "log.key", KEY_LOG, NULL), 0);
	key_free(k);
}

Test(key, the_wrong_role_is_refused)
{
	struct key *k = NULL;
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(key_generate(&k, KEY_LOG, v), 0);
	cr_assert_eq(key_save(k, v, "log.key", NULL), 0);
	key_free(k);
	cr_assert_eq(key_load(&k, v, "log.key", KEY_MOUNT, &em), -ERR_KEY);
	cr_assert_not_null(strstr(em.text, "mount key"));
}

Test(key, a_missing_file_is_enoent)
{
	struct key *k = NULL;

	cr_assert_eq(key_load(&k, v, "none", KEY_LOG, NULL), -ENOENT);
}

Test(key, damaged_files_are_refused)
{
	static const char *const bad[] = {
		"",
		"\n",
		"vouchfs-key-v1 log\n",
		"vouchfs-key-v2 log AAAA AAAA\n",
		"vouchfs-key-v1 log AAAA AAAA\n",
		"vouchfs-key-v1 log "
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct key *k = NULL;

		put("k", bad[i], 0600);
		cr_assert_lt(key_load(&k, v, "k", KEY_LOG, NULL), 0, "case %zu",
			     i);
		cr_assert_null(k);
	}
}

Test(key, every_changed_byte_of_a_key_file_is_noticed)
{
	struct key *k = NULL;
	struct buf b = BUF_INIT;

	cr_assert_eq(key_generate(&k, KEY_LOG, v), 0);
	cr_assert_eq(key_save(k, v, "k", NULL), 0);
	key_free(k);
	cr_assert_eq(vio_read_file(v, &b, "k", 4096), 0);
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 1;
		put("k", (char *)b.p, 0600);
		b.p[i] ^= 1;
		cr_assert_lt(key_load(&k, v, "k", KEY_LOG, NULL), 0);
	}
	buf_release(&b);
}

Test(key, ids_bind_what_they_name)
{
	uint8_t a[16];
	uint8_t b[16];
	uint8_t keys[2][32] = { { 1 }, { 2 } };
	uint8_t nonce[16] = { 3 };

	key_id(a, keys[0]);
	key_id(b, keys[1]);
	cr_assert_arr_neq(a, b, 16);
	key_volume_id(a, "x", 1, (const uint8_t(*)[32])keys, 2, nonce);
	key_volume_id(b, "y", 1, (const uint8_t(*)[32])keys, 2, nonce);
	cr_assert_arr_neq(a, b, 16);
	key_volume_id(b, "x", 1, (const uint8_t(*)[32])keys, 1, nonce);
	cr_assert_arr_neq(a, b, 16);
	nonce[0]++;
	key_volume_id(b, "x", 1, (const uint8_t(*)[32])keys, 2, nonce);
	cr_assert_arr_neq(a, b, 16);
}
