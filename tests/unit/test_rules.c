/*
 * test_rules.c - the append rules: each rule is broken in turn, and what
 * breaks it changes nothing.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/key.h"
#include "tests/sim/sample_log.h"

static struct sample_log s;
static struct rules *r;

static struct key *fixed(uint8_t first, enum key_role role)
{
	uint8_t seed[32] = { first };
	struct key *k = NULL;

	cr_assert_eq(key_from_seed(&k, role, seed), 0);
	return k;
}

static void setup(void)
{
	sample_log_init(&s);
	cr_assert_eq(rules_new(&r, sample_log_root, &s), 0);
}

static void teardown(void)
{
	rules_free(r);
	sample_log_release(&s);
}

TestSuite(rules, .init = setup, .fini = teardown);

static int check_words(uint64_t index, struct errmsg *em)
{
	struct rules_batch b;
	struct rules_entry entries[SAMPLE_BATCH_MAX];
	uint64_t at = 0;

	sample_log_batch(&s, index, &b, entries);
	return rules_check(r, &b, &at, em);
}

/* Feeds all batches that the rules have not seen. */
static int feed(void)
{
	for (uint64_t i = rules_size(r); i < s.size; i++) {
		struct errmsg em = ERRMSG_INIT;
		int rc = check_words(i, &em);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Expects the last batch refused with this code and these words. */
static void expect_refused(int rc, const char *words)
{
	struct errmsg em = ERRMSG_INIT;
	struct buf before = BUF_INIT;
	struct buf after = BUF_INIT;

	cr_assert_eq(rules_save(r, &before), 0);
	cr_assert_eq(check_words(s.size - 1, &em), rc, "%s", em.text);
	cr_assert_not_null(strstr(em.text, words), "\"%s\" is not in \"%s\"",
			   words, em.text);
	cr_assert_eq(rules_save(r, &after), 0);
	cr_assert_eq(before.n, after.n);
	cr_assert_arr_eq(before.p, after.p, before.n, "it changed the state");
	buf_release(&before);
	buf_release(&after);
}

static void add_any(uint64_t counter)
{
	struct entry e;

	cr_assert(sample_log_entry(&e, ENTRY_SETATTR));
	e.core.inode = ENTRY_INODE(1, counter);
	sample_log_add(&s, &e);
}

static void add_key(uint16_t kind, enum key_role role, uint32_t mount_no,
		    const struct key *k, const struct key *old)
{
	struct entry e;

	memset(&e, 0, sizeof(e));
	e.core.kind = e.body.kind = kind;
	sample_log_cert(e.body.key_add.cert, &s, role, mount_no, k);
	if (old != NULL)
		key_id(e.body.key_add.old_key_id, key_public(old));
	sample_log_add(&s, &e);
}

static void add_revoke(const struct key *k, const struct key *admin)
{
	struct entry e;

	memset(&e, 0, sizeof(e));
	e.core.kind = e.body.kind = ENTRY_REVOKE;
	key_id(e.body.revoke.key_id, key_public(k));
	e.body.revoke.reason = 3;
	e.body.revoke.suspect_since_ns = 77;
	if (admin != NULL)
		sample_log_author(&e.body, &s, admin);
	sample_log_add(&s, &e);
}

Test(rules, a_good_log_is_accepted)
{
	const struct rules_mount *m;
	struct entry_str origin;

	sample_log_story(&s, 20);
	cr_assert_eq(feed(), 0);
	cr_assert_eq(rules_size(r), 25);
	cr_assert_arr_eq(rules_volume_id(r), s.volume_id, 16);
	origin = rules_origin(r);
	cr_assert_eq(origin.n, strlen(SAMPLE_ORIGIN));
	cr_assert_eq(rules_key_count(r), 2);
	cr_assert_eq(rules_mount_last(r), 1);
	m = rules_mount_find(r, 1);
	cr_assert_eq(m->batch_seq, s.batch_seq);
	cr_assert_eq(m->next_first_seq, s.next_seq);
	cr_assert(digest_eq(&m->last_seal, &s.prev_seal));
}

Test(rules, leaf_hashes_come_out)
{
	struct rules_batch b;
	struct rules_entry entries[SAMPLE_BATCH_MAX];
	struct digest leaves[SAMPLE_BATCH_MAX];
	struct digest seal;
	uint64_t at = 9;

	sample_log_batch(&s, 0, &b, entries);
	b.out_leaves = leaves;
	b.out_seal_leaf = &seal;
	cr_assert_eq(rules_check(r, &b, &at, NULL), 0);
	cr_assert_eq(at, 0);
	for (uint32_t i = 0; i < b.n; i++)
		cr_assert(digest_eq(&leaves[i], &s.batch[0].leaf[i]));
	cr_assert(digest_eq(&seal, &s.batch[0].seal_leaf));
}

Test(rules, a_resubmitted_batch_answers_its_place)
{
	struct rules_batch b;
	struct rules_entry entries[SAMPLE_BATCH_MAX];
	uint64_t at = 0;

	sample_log_story(&s, 4);
	cr_assert_eq(feed(), 0);
	for (uint64_t i = 0; i < s.size; i++) {
		sample_log_batch(&s, i, &b, entries);
		b.leaf_index = rules_size(r);
		cr_assert_eq(rules_check(r, &b, &at, NULL), RULES_KNOWN);
		cr_assert_eq(at, i);
	}
	cr_assert_eq(rules_size(r), s.size);
}

Test(rules, leaves_come_in_order)
{
	sample_log_story(&s, 0);
	cr_assert_eq(check_words(1, NULL), -ERR_REJECTED);
	cr_assert_eq(check_words(0, NULL), 0);
	cr_assert_eq(check_words(0, NULL), -ERR_REJECTED);
	cr_assert_eq(check_words(2, NULL), -ERR_REJECTED);
}

Test(rules, a_log_begins_with_genesis)
{
	struct rules_batch b;
	struct rules_entry entries[SAMPLE_BATCH_MAX];
	uint64_t at = 0;
	struct errmsg em = ERRMSG_INIT;

	sample_log_story(&s, 0);
	sample_log_batch(&s, 1, &b, entries);
	b.leaf_index = 0;
	cr_assert_eq(rules_check(r, &b, &at, &em), -ERR_REJECTED);
	cr_assert_not_null(strstr(em.text, "GENESIS"));
	cr_assert_eq(rules_size(r), 0);
	cr_assert_null(rules_volume_id(r));
	cr_assert_eq(feed(), 0);
}

Test(rules, there_is_one_genesis)
{
	struct entry e;

	cr_assert_eq(feed(), 0);
	cr_assert(sample_log_entry(&e, ENTRY_GENESIS));
	sample_log_add(&s, &e);
	sample_log_commit(&s);
	expect_refused(-ERR_REJECTED, "second beginning");
}

static void wrong_batch_seq(struct seal *seal)
{
	seal->batch_seq++;
}

static void wrong_first_seq(struct seal *seal)
{
	seal->first_seq++;
}

static void wrong_prev(struct seal *seal)
{
	seal->prev_seal.b[0] ^= 1;
}

static void wrong_volume(struct seal *seal)
{
	seal->volume_id[0] ^= 1;
}

static void wrong_root(struct seal *seal)
{
	seal->batch_root.b[0] ^= 1;
}

static void wrong_seen(struct seal *seal)
{
	seal->seen_root.b[0] ^= 1;
}

static void seen_future(struct seal *seal)
{
	seal->seen_size = 100;
}

static void wrong_count(struct seal *seal)
{
	seal->count++;
}

Test(rules, each_field_of_the_seal_is_held_to_its_rule)
{
	static const struct {
		void (*tamper)(struct seal *seal);
		int rc;
		const char *words;
	} v[] = {
		{ wrong_batch_seq, -ERR_REJECTED, "batch is left out" },
		{ wrong_first_seq, -ERR_REJECTED, "entries are left out" },
		{ wrong_prev, -ERR_REJECTED, "does not follow" },
		{ wrong_volume, -ERR_REJECTED, "another volume" },
		{ wrong_root, -ERR_HASH, "not those it was signed for" },
		{ wrong_seen, -ERR_REJECTED, "saw another log" },
		{ seen_future, -ERR_REJECTED, "saw a longer log" },
		{ wrong_count, -ERR_REJECTED, "entries are missing" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		teardown();
		setup();
		sample_log_story(&s, 0);
		cr_assert_eq(feed(), 0);
		add_any(5);
		s.tamper = v[i].tamper;
		sample_log_commit(&s);
		expect_refused(v[i].rc, v[i].words);
	}
}

Test(rules, no_mount_may_have_seen_less_than_before)
{
	sample_log_story(&s, 2);
	cr_assert_eq(feed(), 0);
	add_any(5);
	s.seen_size = 3;
	sample_log_commit(&s);
	expect_refused(-ERR_REJECTED, "saw an older log");
}

Test(rules, a_signature_by_another_key_is_refused)
{
	struct key *k = fixed(50, KEY_MOUNT);

	cr_assert_eq(feed(), 0);
	add_any(1);
	s.sign_with = k;
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "not in the log");
	key_free(k);
}

Test(rules, a_bad_signature_is_refused_unless_the_caller_knows_it)
{
	struct rules_batch b;
	struct rules_entry entries[SAMPLE_BATCH_MAX];
	uint64_t at = 0;

	cr_assert_eq(feed(), 0);
	add_any(1);
	sample_log_commit(&s);
	s.batch[1].seal.p[s.batch[1].seal.n - 1] ^= 1;
	expect_refused(-ERR_SIGNATURE, "does not verify");
	sample_log_batch(&s, 1, &b, entries);
	b.skip_signature = true;
	cr_assert_eq(rules_check(r, &b, &at, NULL), 0);
}

Test(rules, a_log_key_signs_no_seal)
{
	uint8_t seed[32] = { 3 }; /* the sample's log key, as a mount key */
	struct key *k = NULL;

	cr_assert_eq(key_from_seed(&k, KEY_MOUNT, seed), 0);
	cr_assert_eq(feed(), 0);
	add_any(1);
	s.sign_with = k;
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "not this mount's");
	key_free(k);
}

/* A second mount joins; its chain is its own. */
static void second_mount(const struct key *k)
{
	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 2, k, NULL);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	s.sign_with = k;
	s.mount_no = 2;
	s.batch_seq = 0;
	s.next_seq = RULES_FIRST_SEQ;
	s.prev_seal = digest_zero;
}

Test(rules, a_key_signs_from_the_leaf_after_its_addition)
{
	struct key *k = fixed(51, KEY_MOUNT);

	second_mount(k);
	add_any(2);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	cr_assert_eq(rules_mount_find(r, 2)->batch_seq, 1);
	cr_assert_eq(rules_mount_last(r), 2);
	key_free(k);
}

Test(rules, a_key_does_not_sign_the_leaf_that_adds_it)
{
	struct key *k = fixed(51, KEY_MOUNT);

	cr_assert_eq(feed(), 0);
	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 2, k, NULL);
	s.sign_with = k;
	s.mount_no = 2;
	s.batch_seq = 0;
	s.next_seq = RULES_FIRST_SEQ;
	s.prev_seal = digest_zero;
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "not in the log");
	key_free(k);
}

Test(rules, mount_numbers_and_keys_are_never_used_again)
{
	struct key *k = fixed(52, KEY_MOUNT);

	cr_assert_eq(feed(), 0);
	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 1, k, NULL);
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "mount number came before");
	key_free(k);
	teardown();
	setup();
	cr_assert_eq(feed(), 0);
	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 9, s.mount, NULL);
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "this key came before");
}

Test(rules, a_certificate_must_be_an_admins)
{
	struct key *k = fixed(53, KEY_MOUNT);
	struct key *stranger = fixed(54, KEY_ADMIN);
	struct key *admin = s.admin;

	cr_assert_eq(feed(), 0);
	s.admin = stranger;
	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 2, k, NULL);
	s.admin = admin;
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "by no admin key");
	key_free(k);
	key_free(stranger);
}

Test(rules, a_certificate_of_another_volume_is_refused)
{
	struct key *k = fixed(53, KEY_MOUNT);

	cr_assert_eq(feed(), 0);
	s.volume_id[3] ^= 1;
	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 2, k, NULL);
	s.volume_id[3] ^= 1;
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "another volume");
	key_free(k);
}

Test(rules, rotation_ends_the_old_key_and_starts_the_new)
{
	struct key *k = fixed(55, KEY_MOUNT);
	uint8_t id[16];

	add_key(ENTRY_ROTATE, KEY_MOUNT, 1, k, s.mount);
	sample_log_commit(&s); /* the old key still signs this one */
	cr_assert_eq(feed(), 0);
	key_id(id, key_public(s.mount));
	cr_assert_eq(rules_key_find(r, id)->until, 1);
	add_any(3);
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "not active here");
	teardown();
	setup();
	add_key(ENTRY_ROTATE, KEY_MOUNT, 1, k, s.mount);
	sample_log_commit(&s);
	s.sign_with = k;
	add_any(3);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	key_free(k);
}

Test(rules, rotation_of_anothers_key_is_refused)
{
	struct key *k = fixed(55, KEY_MOUNT);

	cr_assert_eq(feed(), 0);
	add_key(ENTRY_ROTATE, KEY_LOG, 0, k, s.mount);
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "replaces no active key");
	key_free(k);
}

Test(rules, a_revoked_key_signs_no_more)
{
	struct key *k = fixed(56, KEY_MOUNT);
	const struct rules_key *old;
	uint8_t id[16];

	add_key(ENTRY_KEY_ADD, KEY_MOUNT, 2, k, NULL);
	add_revoke(s.mount, s.admin);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	key_id(id, key_public(s.mount));
	old = rules_key_find(r, id);
	cr_assert_eq(old->until, 1);
	cr_assert_eq(old->revoked, 3);
	cr_assert_eq(old->suspect_since_ns, 77);
	add_any(4);
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "not active here");
	key_free(k);
}

Test(rules, only_an_admin_revokes)
{
	struct key *stranger = fixed(54, KEY_ADMIN);

	cr_assert_eq(feed(), 0);
	add_revoke(s.mount, NULL);
	sample_log_commit(&s);
	expect_refused(-ERR_KEY, "not signed by an admin");
	teardown();
	setup();
	cr_assert_eq(feed(), 0);
	add_revoke(s.mount, stranger);
	sample_log_commit(&s);
	expect_refused(-ERR_SIGNATURE, "admin's signature");
	key_free(stranger);
}

Test(rules, a_new_origin_brings_a_new_log_key)
{
	struct key *k = fixed(57, KEY_LOG);
	struct entry e;
	struct entry_str origin;
	uint8_t id[16];

	memset(&e, 0, sizeof(e));
	e.core.kind = e.body.kind = ENTRY_NEW_ORIGIN;
	e.body.new_origin.lost_size = 9;
	memcpy(e.body.new_origin.log_pub, key_public(k), 32);
	e.body.new_origin.old_origin = ENTRY_STR(SAMPLE_ORIGIN);
	e.body.new_origin.new_origin = ENTRY_STR(SAMPLE_ORIGIN "/2");
	sample_log_author(&e.body, &s, s.admin);
	sample_log_add(&s, &e);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	origin = rules_origin(r);
	cr_assert_eq(origin.n, strlen(SAMPLE_ORIGIN "/2"));
	key_id(id, key_public(s.log));
	cr_assert_eq(rules_key_find(r, id)->until, 1);
	key_id(id, key_public(k));
	cr_assert_eq(rules_key_find(r, id)->from, 2);
	/* And the old name is no more to be left. */
	e.body.new_origin.log_pub[0] ^= 1;
	sample_log_author(&e.body, &s, s.admin);
	sample_log_add(&s, &e);
	sample_log_commit(&s);
	expect_refused(-ERR_REJECTED, "names another origin");
	key_free(k);
}

Test(rules, the_logs_key_rotates_too)
{
	struct key *k = fixed(58, KEY_LOG);
	uint8_t id[16];

	add_key(ENTRY_ROTATE, KEY_LOG, 0, k, s.log);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	key_id(id, key_public(s.log));
	cr_assert_eq(rules_key_find(r, id)->until, 1);
	key_id(id, key_public(k));
	cr_assert_eq(rules_key_find(r, id)->from, 2);
	cr_assert_eq(rules_key_find(r, id)->role, KEY_LOG);
	key_free(k);
}

/* Replaces a stored entry by its redacted form. */
static void redact(struct buf *b)
{
	struct entry_view v;
	struct digest commit;
	struct buf out = BUF_INIT;

	cr_assert_eq(entry_decode(&v, b->p, b->n), 0);
	entry_commit(&commit, v.salt, v.body, v.body_n);
	buf_add(&out, b->p, ENTRY_CORE_SIZE);
	buf_u8(&out, ENTRY_REDACTED);
	buf_add(&out, commit.b, 32);
	buf_add(&out, commit.b, 32);
	buf_release(b);
	*b = out;
}

Test(rules, a_redacted_body_leaves_the_batch_valid)
{
	sample_log_story(&s, 1);
	redact(&s.batch[3].bytes[1]);
	redact(&s.batch[5].bytes[0]);
	cr_assert_eq(feed(), 0);
}

Test(rules, an_entry_about_keys_is_in_clear)
{
	struct errmsg em = ERRMSG_INIT;

	redact(&s.batch[0].bytes[1]);
	cr_assert_eq(check_words(0, &em), -ERR_REJECTED);
	cr_assert_not_null(strstr(em.text, "in clear"));
}

Test(rules, entries_name_only_what_came_before)
{
	struct entry e;
	struct sample_batch *b;
	struct buf swap;
	struct digest leaf;

	cr_assert_eq(feed(), 0);
	cr_assert(sample_log_entry(&e, ENTRY_ACTOR));
	leaf = sample_log_add(&s, &e);
	cr_assert(sample_log_entry(&e, ENTRY_SETATTR));
	e.core.actor = leaf;
	sample_log_add(&s, &e);
	b = &s.batch[s.size];
	swap = b->bytes[0];
	b->bytes[0] = b->bytes[1];
	b->bytes[1] = swap;
	leaf = b->leaf[0];
	b->leaf[0] = b->leaf[1];
	b->leaf[1] = leaf;
	sample_log_commit(&s);
	expect_refused(-ERR_REJECTED, "comes later");
}

/* Three entries; what is wrong with them is said by the first of the wrong. */
static void prepare_three(struct rules_prepared *out, bool body_names,
			  const int order[3], int spoilt)
{
	struct rules_entry v[3];
	struct sample_batch *b = &s.batch[s.size];
	struct entry e;

	cr_assert(sample_log_entry(&e, ENTRY_ACTOR));
	e.body.actor.tgid = 4711;
	e.core.actor = digest_zero;
	sample_log_add(&s, &e);
	if (body_names) {
		cr_assert(sample_log_entry(&e, ENTRY_RUN_END));
		e.body.run_end.start = b->leaf[0];
		e.core.actor = digest_zero;
	} else {
		cr_assert(sample_log_entry(&e, ENTRY_SETATTR));
		e.core.prev = digest_zero;
		e.core.actor = b->leaf[0];
	}
	sample_log_add(&s, &e);
	add_any(99);
	if (spoilt >= 0) /* a mask with bits that none knows */
		b->bytes[spoilt].p[ENTRY_CLEAR_HEAD + 3] = 0xff;
	for (int i = 0; i < 3; i++) {
		v[i].p = b->bytes[order[i]].p;
		v[i].n = (uint32_t)b->bytes[order[i]].n;
	}
	rules_prepare(out, v, 3);
}

Test(rules, a_core_and_a_body_may_name_what_came_before)
{
	struct rules_prepared *out = calloc(1, sizeof(*out));

	for (int body = 0; body < 2; body++) {
		teardown();
		setup();
		prepare_three(out, body, (int[3]){ 0, 1, 2 }, -1);
		cr_assert_eq(out->rc, 0, "%s", out->why.text);
		cr_assert_eq(out->wrong, 3);
		teardown();
		setup();
		prepare_three(out, body, (int[3]){ 2, 1, 0 }, -1);
		cr_assert_eq(out->rc, -ERR_REJECTED);
		cr_assert_eq(out->wrong, 1);
		cr_assert_not(out->unhashed);
		cr_assert_not_null(strstr(out->why.text, "comes later"));
	}
	free(out);
}

Test(rules, the_first_of_two_wrong_entries_is_told)
{
	struct rules_prepared *out = calloc(1, sizeof(*out));

	/* A body that is wrong after a name that comes later, and before. */
	prepare_three(out, false, (int[3]){ 1, 2, 0 }, 2);
	cr_assert_eq(out->wrong, 0);
	cr_assert_not_null(strstr(out->why.text, "comes later"));
	teardown();
	setup();
	prepare_three(out, false, (int[3]){ 2, 1, 0 }, 2);
	cr_assert_eq(out->wrong, 0);
	cr_assert_null(strstr(out->why.text, "comes later"));
	cr_assert_lt(out->rc, 0);
	cr_assert_not(out->unhashed);
	free(out);
}

Test(rules, the_same_entry_twice_is_refused)
{
	struct sample_batch *b;

	cr_assert_eq(feed(), 0);
	add_any(1);
	b = &s.batch[s.size];
	buf_add(&b->bytes[1], b->bytes[0].p, b->bytes[0].n);
	b->leaf[1] = b->leaf[0];
	b->n = 2;
	sample_log_commit(&s);
	expect_refused(-ERR_REJECTED, "twice");
}

Test(rules, no_byte_of_a_batch_can_be_changed)
{
	sample_log_story(&s, 0);
	for (uint64_t i = 0; i < s.size; i++) {
		struct sample_batch *b = &s.batch[i];

		for (uint32_t k = 0; k < b->n; k++)
			for (size_t at = 0; at < b->bytes[k].n; at++) {
				b->bytes[k].p[at] ^= 0x41;
				cr_assert_lt(check_words(i, NULL), 0,
					     "%u.%u byte %zu", (unsigned)i, k,
					     at);
				b->bytes[k].p[at] ^= 0x41;
			}
		cr_assert_eq(check_words(i, NULL), 0);
	}
}

Test(rules, a_saved_state_goes_on_where_it_was)
{
	struct rules *other = NULL;
	struct buf a = BUF_INIT;
	struct buf b = BUF_INIT;

	sample_log_story(&s, 3);
	cr_assert_eq(feed(), 0);
	cr_assert_eq(rules_save(r, &a), 0);
	cr_assert_eq(rules_load(&other, a.p, a.n, sample_log_root, &s), 0);
	cr_assert_eq(rules_save(other, &b), 0);
	cr_assert_eq(a.n, b.n);
	cr_assert_arr_eq(a.p, b.p, a.n);
	rules_free(r);
	r = other;
	add_any(9);
	sample_log_commit(&s);
	cr_assert_eq(feed(), 0);
	for (size_t i = 0; i < a.n; i += 7) {
		a.p[i] ^= 1;
		cr_assert_lt(rules_load(&other, a.p, a.n, sample_log_root, &s),
			     0);
		cr_assert_null(other);
		a.p[i] ^= 1;
	}
	for (size_t i = 0; i < a.n; i += 5)
		cr_assert_lt(rules_load(&other, a.p, i, sample_log_root, &s),
			     0);
	buf_release(&a);
	buf_release(&b);
}
