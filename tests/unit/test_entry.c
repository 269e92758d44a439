/*
 * test_entry.c - entries: one encoding each, strict decoding, leaf hashes
 * that do not depend on the stored state, golden files.
 *
 * GOLDEN=write makes golden files that are missing; it changes none.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/entry.h"
#include "ledger/entry_denied.h"
#include "ledger/entry_run.h"
#include "tests/sim/prng.h"
#include "tests/sim/sample_log.h"

static const uint16_t kinds[] = {
#define X(number, id, name) number,
	ENTRY_KINDS(X)
#undef X
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const uint8_t salt[16] = { 1, 2, 3 };

static struct digest store(struct buf *out, const struct entry *e)
{
	struct digest leaf;

	cr_assert_eq(entry_store(out, &leaf, e, salt), 0, "kind %04x",
		     e->core.kind);
	return leaf;
}

/* Encodes a body, decodes it, gives the decoder's answer. */
static int body_again(const struct entry_body *b)
{
	struct buf out = BUF_INIT;
	struct entry_body back;
	int rc = entry_body_encode(&out, b);

	if (rc == 0)
		cr_assert_eq(entry_body_decode(&back, b->kind, out.p, out.n),
			     0);
	buf_release(&out);
	return rc;
}

Test(entry, every_kind_round_trips_to_the_same_bytes)
{
	unsigned n = 0;

	for (size_t i = 0; i < KINDS; i++) {
		struct entry e;
		struct entry back;
		struct entry_view view;
		struct digest leaf;
		struct digest again;
		struct buf a = BUF_INIT;
		struct buf b = BUF_INIT;

		if (!sample_log_entry(&e, kinds[i]))
			continue;
		n++;
		leaf = store(&a, &e);
		cr_assert_eq(entry_open(&back, &view, a.p, a.n, NULL), 0,
			     "kind %04x", kinds[i]);
		entry_view_leaf(&again, &view);
		cr_assert(digest_eq(&leaf, &again));
		again = store(&b, &back);
		cr_assert(digest_eq(&leaf, &again));
		cr_assert_eq(a.n, b.n);
		cr_assert_arr_eq(a.p, b.p, a.n);
		buf_release(&a);
		buf_release(&b);
	}
	cr_assert_eq(n, 37);
}

Test(entry, kinds_without_a_body_yet_are_newer)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct entry e;
		struct entry_body b;

		if (!sample_log_entry(&e, kinds[i]))
			cr_assert_eq(entry_body_decode(&b, kinds[i], "", 0),
				     -ERR_NEWER);
	}
}

Test(entry, unknown_kinds_are_refused_below_8000_and_opaque_above)
{
	struct entry_body b;

	cr_assert_eq(entry_body_decode(&b, 0x0701, "x", 1), -ERR_NEWER);
	cr_assert_eq(entry_body_decode(&b, 0x7fff, "x", 1), -ERR_NEWER);
	cr_assert_eq(entry_body_decode(&b, 0x8000, "x", 1), 0);
	cr_assert(b.opaque);
	cr_assert_eq(entry_body_decode(&b, 0xffff, "", 0), 0);
}

Test(entry, every_cut_of_every_kind_is_refused)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct entry e;
		struct buf a = BUF_INIT;

		if (!sample_log_entry(&e, kinds[i]))
			continue;
		store(&a, &e);
		for (size_t n = 0; n < a.n; n++) {
			uint8_t *cut = malloc(n ? n : 1);
			struct entry back;

			memcpy(cut, a.p, n);
			cr_assert_lt(entry_open(&back, NULL, cut, n, NULL), 0,
				     "kind %04x cut at %zu", kinds[i], n);
			free(cut);
		}
		buf_addc(&a, 0);
		cr_assert_lt(entry_open(&e, NULL, a.p, a.n, NULL), 0);
		buf_release(&a);
	}
}

/* Whatever decodes after a change must encode to the changed bytes. */
Test(entry, changed_bytes_decode_to_themselves_or_not_at_all)
{
	struct prng r;

	prng_init(&r, prng_seed("entry", 7));
	for (size_t i = 0; i < KINDS; i++) {
		struct entry e;
		struct buf a = BUF_INIT;

		if (!sample_log_entry(&e, kinds[i]))
			continue;
		store(&a, &e);
		for (unsigned k = 0; k < 2000; k++) {
			size_t at = prng_below(&r, a.n);
			uint8_t was = a.p[at];
			struct entry back;
			struct buf b = BUF_INIT;
			struct digest leaf;

			a.p[at] = (uint8_t)prng_u64(&r);
			if (entry_open(&back, NULL, a.p, a.n, NULL) == 0 &&
			    back.state == ENTRY_CLEAR && !back.body.opaque) {
				cr_assert_eq(entry_store(&b, &leaf, &back,
							 a.p + 105),
					     0);
				cr_assert_eq(b.n, a.n);
				cr_assert_arr_eq(b.p, a.p, a.n);
			}
			a.p[at] = was;
			buf_release(&b);
		}
		buf_release(&a);
	}
}

Test(entry, typical_sizes_are_those_of_the_design)
{
	struct sample_log s;

	sample_log_init(&s);
	sample_log_story(&s, 0);
	/* CREATE of "model.bin": 125 + 20 + 2 + 9 */
	cr_assert_eq(s.batch[2].bytes[0].n, 156);
	cr_assert_eq(s.batch[2].seal.n, 258);
	sample_log_release(&s);
}

Test(entry, the_leaf_is_the_same_in_every_state)
{
	struct entry e;
	struct entry back;
	struct entry_view view;
	struct digest want;
	struct digest got;
	struct digest commit;
	struct buf clear = BUF_INIT;
	struct buf other = BUF_INIT;
	uint8_t key[40] = { 9 };

	cr_assert(sample_log_entry(&e, ENTRY_VERSION));
	want = store(&clear, &e);
	cr_assert_eq(entry_decode(&view, clear.p, clear.n), 0);
	entry_commit(&commit, view.salt, view.body, view.body_n);

	buf_add(&other, clear.p, 104);
	buf_u8(&other, ENTRY_ENCRYPTED);
	buf_add(&other, commit.b, 32);
	buf_add(&other, key, 40);
	buf_u32(&other, 3);
	buf_adds(&other, "???");
	cr_assert_eq(entry_open(&back, &view, other.p, other.n, NULL), 0);
	cr_assert(back.body.opaque);
	entry_view_leaf(&got, &view);
	cr_assert(digest_eq(&want, &got));

	buf_clear(&other);
	buf_add(&other, clear.p, 104);
	buf_u8(&other, ENTRY_REDACTED);
	buf_add(&other, commit.b, 32);
	buf_add(&other, want.b, 32);
	cr_assert_eq(entry_open(&back, &view, other.p, other.n, NULL), 0);
	cr_assert_eq(back.state, ENTRY_REDACTED);
	entry_view_leaf(&got, &view);
	cr_assert(digest_eq(&want, &got));
	other.p[104] = 3;
	cr_assert_eq(entry_decode(&view, other.p, other.n), -ERR_NEWER);
	buf_release(&clear);
	buf_release(&other);
}

Test(entry, newer_cores_are_told_from_damaged_ones)
{
	uint8_t p[ENTRY_CORE_SIZE];
	struct entry_core c = { .kind = ENTRY_VERSION };

	entry_core_encode(p, &c);
	cr_assert_eq(entry_core_decode(&c, p), 0);
	p[2] = 2;
	cr_assert_eq(entry_core_decode(&c, p), -ERR_NEWER);
	p[2] = 1;
	p[6] = 1;
	cr_assert_eq(entry_core_decode(&c, p), -ERR_NEWER);
	p[6] = 0;
	p[0] = 'X';
	cr_assert_eq(entry_core_decode(&c, p), -ERR_FORMAT);
	p[0] = 'V';
	p[4] = p[5] = 0;
	cr_assert_eq(entry_core_decode(&c, p), -ERR_FORMAT);
}

Test(entry, names_that_no_directory_may_hold_are_refused)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/" };
	char longest[256];
	struct entry_body b = { .kind = ENTRY_LINK };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b.link.name = ENTRY_STR(bad[i]);
		cr_assert_eq(body_again(&b), -ERR_FORMAT, "%s", bad[i]);
	}
	b.link.name = (struct entry_str){ "a\0b", 3 };
	cr_assert_eq(body_again(&b), -ERR_FORMAT);
	memset(longest, 'x', sizeof(longest));
	b.link.name = (struct entry_str){ longest, 255 };
	cr_assert_eq(body_again(&b), 0);
	b.link.name.n = 256;
	cr_assert_eq(body_again(&b), -ERR_LIMIT);
	b.link.name = ENTRY_STR("...");
	cr_assert_eq(body_again(&b), 0);
	b.link.name = ENTRY_STR("\xff\n\x1b");
	cr_assert_eq(body_again(&b), 0);
}

Test(entry, a_new_inode_without_a_name_has_no_parent)
{
	struct entry e;
	struct digest leaf;
	struct buf b = BUF_INIT;

	cr_assert(sample_log_entry(&e, ENTRY_CREATE));
	e.core.parent = 0;
	cr_assert_eq(entry_store(&b, &leaf, &e, salt), -ERR_FORMAT);
	e.body.create.name.n = 0;
	cr_assert_eq(entry_store(&b, &leaf, &e, salt), 0);
	e.core.parent = 1;
	cr_assert_eq(entry_store(&b, &leaf, &e, salt), -ERR_FORMAT);
	buf_release(&b);
}

Test(entry, a_create_has_the_fields_of_its_type)
{
	struct entry e;
	struct entry_create *c = &e.body.create;

	cr_assert(sample_log_entry(&e, ENTRY_CREATE));
	cr_assert_eq(body_again(&e.body), 0);
	c->has_dir_salt = false;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	c->dtype = DT_REG;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT); /* default ACL */
	c->default_acl = NULL;
	cr_assert_eq(body_again(&e.body), 0);
	c->rdev = 5;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	c->dtype = DT_CHR;
	cr_assert_eq(body_again(&e.body), 0);
	c->rdev = 0;
	c->dtype = DT_LNK;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	c->target = ENTRY_STR("/where/it/points");
	cr_assert_eq(body_again(&e.body), 0);
	c->target = (struct entry_str){ "a\0b", 3 };
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	c->target = ENTRY_STR("t");
	c->dtype = 3;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	c->dtype = DT_LNK;
	c->mode = 010000;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
}

Test(entry, ranges_are_ascending_and_apart)
{
	struct entry e;
	struct entry_version *v = &e.body.version;

	cr_assert(sample_log_entry(&e, ENTRY_VERSION));
	v->ranges[1].lo = 100; /* touches the first: it should be one */
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	v->ranges[1].lo = 101;
	cr_assert_eq(body_again(&e.body), 0);
	v->ranges[1].hi = 101;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
	v->n_ranges = 9;
	cr_assert_eq(body_again(&e.body), -ERR_FORMAT);
}

Test(entry, xattrs_are_inline_up_to_a_kilobyte_and_digests_beyond)
{
	uint8_t value[1025] = { 5 };
	struct entry_body b = { .kind = ENTRY_SETXATTR };
	struct entry_body back;
	struct buf out = BUF_INIT;

	b.setxattr.name = ENTRY_STR("user.x");
	b.setxattr.value = value;
	b.setxattr.value_n = 1024;
	cr_assert_eq(entry_body_encode(&out, &b), 0);
	cr_assert_eq(out.n, 8 + 4 + 1024);
	buf_clear(&out);
	b.setxattr.value_n = 1025;
	b.setxattr.content.b[0] = 7;
	cr_assert_eq(entry_body_encode(&out, &b), 0);
	cr_assert_eq(out.n, 8 + 4 + 32);
	cr_assert_eq(entry_body_decode(&back, b.kind, out.p, out.n), 0);
	cr_assert_eq(back.setxattr.content.b[0], 7);
	b.setxattr.value_n = 65537;
	cr_assert_eq(body_again(&b), -ERR_FORMAT);
	b.setxattr.value_n = 0;
	b.setxattr.value = NULL;
	cr_assert_eq(body_again(&b), 0);
	buf_release(&out);
}

/* A FREE_ORPHAN has no fixed part: its body is TLVs alone. */
static int tlvs(const char *bytes, size_t n)
{
	struct entry_body b;
	char *exact = calloc(1, n ? n : 1); /* its end is exact */
	int rc;

	memcpy(exact, bytes, n);
	rc = entry_body_decode(&b, ENTRY_FREE_ORPHAN, exact, n);
	free(exact);
	return rc;
}

Test(entry, tlvs_are_strict)
{
	cr_assert_eq(tlvs("", 0), 0);
	cr_assert_eq(tlvs("\5\0\0\0", 4), -ERR_NEWER);	/* critical */
	cr_assert_eq(tlvs("\1\0\1\0x", 5), -ERR_NEWER); /* CREATE's */
	cr_assert_eq(tlvs("\0\x80\0\0", 4), 0);		/* optional */
	cr_assert_eq(tlvs("\0\x80\1\0x\1\x80\0\0", 9), 0);
	cr_assert_eq(tlvs("\1\x80\0\0\0\x80\0\0", 8), -ERR_FORMAT);
	cr_assert_eq(tlvs("\0\x80\0\0\0\x80\0\0", 8), -ERR_FORMAT);
	cr_assert_eq(tlvs("\0\x80\2\0x", 5), -ERR_FORMAT);
	cr_assert_eq(tlvs("\0\x80\0", 3), -ERR_SHORT);
	cr_assert_eq(tlvs("\0\x80", 2), -ERR_SHORT);
	cr_assert_eq(tlvs("\0", 1), -ERR_SHORT);
	cr_assert_eq(tlvs("\0\0\0\0", 4), -ERR_FORMAT);
	cr_assert_eq(tlvs("\0\x80\0\0\5\0\0\0", 8), -ERR_FORMAT);
}

Test(entry, optional_tlvs_survive_re_encoding)
{
	static const char bytes[] = "\0\x80\1\0x\1\x90\0\0";
	struct entry_body b;
	struct buf out = BUF_INIT;

	cr_assert_eq(entry_body_decode(&b, ENTRY_FREE_ORPHAN, bytes, 9), 0);
	cr_assert_eq(entry_body_encode(&out, &b), 0);
	cr_assert_eq(out.n, 9);
	cr_assert_arr_eq(out.p, bytes, 9);
	buf_release(&out);
}

Test(entry, a_version_without_a_word_on_it_has_no_holes)
{
	struct entry_body b = { .kind = ENTRY_VERSION }, got;
	uint8_t tlv[ENTRY_ALLOCATED_MAX];
	struct buf out = BUF_INIT;

	b.version.content_alg = ENTRY_CONTENT_BLAKE3;
	b.version.reason = ENTRY_REASON_CLOSE;
	b.version.attribution = ENTRY_EXACT;
	b.version.size = 10000;
	cr_assert_eq(entry_version_allocated(&b), 10000);
	cr_assert_eq(entry_version_allocated_put(tlv, 10000, 10000), 0);
	b.extra.n = entry_version_allocated_put(tlv, 10000, 4096);
	b.extra.p = tlv;
	cr_assert_eq(b.extra.n, sizeof(tlv));
	cr_assert_eq(entry_body_encode(&out, &b), 0);
	cr_assert_eq(entry_body_decode(&got, ENTRY_VERSION, out.p, out.n), 0);
	cr_assert_eq(entry_version_allocated(&got), 4096);
	/* what cannot be is not believed */
	b.version.size = 4000;
	cr_assert_eq(entry_version_allocated(&b), 4000);
	tlv[2] = 7;
	b.extra.n--;
	b.version.size = 10000;
	cr_assert_eq(entry_version_allocated(&b), 10000);
	buf_release(&out);
}

Test(entry, an_actor_says_how_it_came_to_its_run)
{
	struct entry e;
	struct entry_body got;
	struct buf out = BUF_INIT;
	uint8_t tlv[ENTRY_RUN_HOW_MAX];

	cr_assert(sample_log_entry(&e, ENTRY_ACTOR));
	cr_assert_eq(entry_run_how(&e.body), ENTRY_RUN_UNKNOWN);
	cr_assert_eq(entry_run_how_put(tlv, ENTRY_RUN_UNKNOWN), 0);
	for (unsigned how = ENTRY_RUN_CGROUP; how <= ENTRY_RUN_GROUP; how++) {
		e.body.extra.n = entry_run_how_put(tlv, how);
		e.body.extra.p = tlv;
		cr_assert_eq(e.body.extra.n, sizeof(tlv));
		buf_clear(&out);
		cr_assert_eq(entry_body_encode(&out, &e.body), 0);
		cr_assert_eq(entry_body_decode(&got, ENTRY_ACTOR, out.p, out.n),
			     0);
		cr_assert_eq(entry_run_how(&got), how);
		cr_assert_not_null(entry_run_how_word(how));
	}
	/* what a later version may say is not taken for something else */
	tlv[4] = 5;
	cr_assert_eq(entry_run_how(&e.body), ENTRY_RUN_UNKNOWN);
	tlv[4] = 0;
	cr_assert_eq(entry_run_how(&e.body), ENTRY_RUN_UNKNOWN);
	cr_assert_null(entry_run_how_word(0));
	cr_assert_null(entry_run_how_word(5));
	buf_release(&out);
}

Test(entry, a_run_says_its_cgroup_and_what_was_left_out)
{
	struct entry e;
	struct entry_body got;
	struct buf out = BUF_INIT, tlvs = BUF_INIT;

	cr_assert(sample_log_entry(&e, ENTRY_RUN_START));
	cr_assert_eq(entry_run_cgroup(&e.body).n, 0);
	cr_assert_eq(entry_run_env_left(&e.body), 0);
	entry_run_start_put(&tlvs, ENTRY_STR(""), 0);
	cr_assert_eq(tlvs.n, 0);
	entry_run_start_put(&tlvs, ENTRY_STR("/a/vouch-run-1"), 7);
	e.body.extra.p = tlvs.p;
	e.body.extra.n = tlvs.n;
	cr_assert_eq(entry_body_encode(&out, &e.body), 0);
	cr_assert_eq(entry_body_decode(&got, ENTRY_RUN_START, out.p, out.n), 0);
	cr_assert_eq(entry_run_cgroup(&got).n, 14);
	cr_assert_arr_eq(entry_run_cgroup(&got).p, "/a/vouch-run-1", 14);
	cr_assert_eq(entry_run_env_left(&got), 7);
	buf_release(&out);
	buf_release(&tlvs);
}

Test(entry, nothing_follows_an_author_signature)
{
	struct entry e;
	struct buf out = BUF_INIT;
	struct entry_body back;

	cr_assert(sample_log_entry(&e, ENTRY_REVOKE));
	cr_assert_eq(entry_body_encode(&out, &e.body), 0);
	cr_assert_eq(entry_body_decode(&back, ENTRY_REVOKE, out.p, out.n), 0);
	cr_assert(back.author.present);
	buf_add(&out, "\0\x80\0\0", 4);
	cr_assert_eq(entry_body_decode(&back, ENTRY_REVOKE, out.p, out.n),
		     -ERR_FORMAT);
	buf_release(&out);
}

Test(entry, the_author_signs_kind_volume_and_body)
{
	static const uint8_t volume[16] = { 1 };
	static const uint8_t other[16] = { 2 };
	struct entry e;
	struct buf a = BUF_INIT;
	struct buf b = BUF_INIT;

	cr_assert(sample_log_entry(&e, ENTRY_REVOKE));
	cr_assert_eq(entry_author_message(&a, &e.body, volume), 0);
	e.body.author.sig[3] ^= 1;
	cr_assert_eq(entry_author_message(&b, &e.body, volume), 0);
	cr_assert_eq(a.n, b.n);
	cr_assert_arr_eq(a.p, b.p, a.n, "the signature does not cover itself");
	buf_clear(&b);
	cr_assert_eq(entry_author_message(&b, &e.body, other), 0);
	cr_assert_arr_neq(a.p, b.p, a.n);
	buf_release(&a);
	buf_release(&b);
}

Test(entry, the_largest_lists_fit_and_larger_do_not)
{
	struct entry_extent *extents =
		calloc(LIMIT_EXTENTS + 1, sizeof(*extents));
	struct entry_read *reads = calloc(LIMIT_READS + 1, sizeof(*reads));
	struct entry_body b = { .kind = ENTRY_EXTENTS };

	for (unsigned i = 0; i <= LIMIT_EXTENTS; i++)
		extents[i].length = 1;
	for (unsigned i = 0; i <= LIMIT_READS; i++)
		reads[i].version.b[0] = 1;
	b.extents.v = extents;
	b.extents.n = LIMIT_EXTENTS;
	cr_assert_eq(body_again(&b), 0);
	b.extents.n++;
	cr_assert_eq(body_again(&b), -ERR_FORMAT);
	b = (struct entry_body){ .kind = ENTRY_READS };
	b.reads.v = reads;
	b.reads.n = LIMIT_READS;
	cr_assert_eq(body_again(&b), 0);
	b.reads.n++;
	cr_assert_eq(body_again(&b), -ERR_FORMAT);
	free(extents);
	free(reads);
}

Test(entry, the_largest_policy_and_release_fit_and_larger_do_not)
{
	struct entry_rule *rules = calloc(LIMIT_RULES + 1, sizeof(*rules));
	struct entry_release *v = calloc(LIMIT_RELEASES + 1, sizeof(*v));
	struct entry_body b = { .kind = ENTRY_GC };
	char(*name)[8] = calloc(LIMIT_RULES + 1, sizeof(*name));

	for (unsigned i = 0; i <= LIMIT_RELEASES; i++)
		v[i] = (struct entry_release){ i + 1, 1, UINT64_MAX };
	b.gc.v = v;
	b.gc.n = LIMIT_RELEASES;
	cr_assert_eq(body_again(&b), 0);
	b.gc.n++;
	cr_assert_eq(body_again(&b), -ERR_FORMAT);
	for (unsigned i = 0; i <= LIMIT_RULES; i++) {
		rules[i].pattern.n =
			(size_t)snprintf(name[i], sizeof(name[i]), "%u", i);
		rules[i].pattern.p = name[i];
	}
	b = (struct entry_body){ .kind = ENTRY_POLICY };
	b.policy.v = rules;
	b.policy.n = LIMIT_RULES;
	cr_assert_eq(body_again(&b), 0);
	b.policy.n++;
	cr_assert_eq(body_again(&b), -ERR_FORMAT);
	free(rules);
	free(v);
	free(name);
}

static int rule_again(uint8_t keep, uint64_t seconds, uint32_t versions,
		      const char *pattern)
{
	struct entry_rule v[2] = {
		{ keep, seconds, versions, ENTRY_STR(pattern) },
		{ 0, 0, 0, ENTRY_STR("x") },
	};
	struct entry_body b = { .kind = ENTRY_POLICY };

	b.policy.v = v;
	b.policy.n = 2;
	return body_again(&b);
}

Test(entry, rules_that_mean_nothing_are_refused)
{
	cr_assert_eq(rule_again(0, 0, 0, "a"), 0);
	cr_assert_eq(rule_again(3, 1, 1, "a"), 0);
	cr_assert_eq(rule_again(1, ENTRY_KEEP_SECONDS_MAX, 0, "a"), 0);
	cr_assert_eq(rule_again(1, 0, 0, "a"), -ERR_FORMAT, "no time");
	cr_assert_eq(rule_again(1, ENTRY_KEEP_SECONDS_MAX + 1, 0, "a"),
		     -ERR_FORMAT, "no time has so many nanoseconds");
	cr_assert_eq(rule_again(2, 0, 0, "a"), -ERR_FORMAT, "no version");
	cr_assert_eq(rule_again(4, 0, 0, "a"), -ERR_FORMAT, "another kind");
	cr_assert_eq(rule_again(0, 0, 0, ""), -ERR_FORMAT, "no pattern");
	cr_assert_eq(rule_again(0, 0, 0, "x"), -ERR_FORMAT, "said twice");
}

static int hold_again(uint8_t flags, uint8_t lifted, uint64_t ino,
		      const char *pattern, const char *reason)
{
	struct entry_body b = { .kind = ENTRY_HOLD };

	b.hold.flags = flags;
	b.hold.lifted.b[0] = lifted;
	b.hold.inode = ino;
	b.hold.pattern = ENTRY_STR(pattern);
	b.hold.reason = ENTRY_STR(reason);
	return body_again(&b);
}

Test(entry, a_hold_names_one_thing_and_its_reason)
{
	cr_assert_eq(hold_again(0, 0, 5, "", "why"), 0);
	cr_assert_eq(hold_again(0, 0, 0, "a", "why"), 0);
	cr_assert_eq(hold_again(1, 9, 0, "", "why"), 0);
	cr_assert_eq(hold_again(0, 0, 5, "", ""), -ERR_FORMAT);
	cr_assert_eq(hold_again(0, 0, 0, "", "why"), -ERR_FORMAT);
	cr_assert_eq(hold_again(0, 0, 5, "a", "why"), -ERR_FORMAT);
	cr_assert_eq(hold_again(0, 9, 5, "", "why"), -ERR_FORMAT);
	cr_assert_eq(hold_again(1, 0, 0, "", "why"), -ERR_FORMAT);
	cr_assert_eq(hold_again(1, 9, 5, "", "why"), -ERR_FORMAT);
	cr_assert_eq(hold_again(1, 9, 0, "a", "why"), -ERR_FORMAT);
	cr_assert_eq(hold_again(2, 0, 5, "", "why"), -ERR_FORMAT);
}

static int gc_again(const struct entry_release *v, uint16_t n)
{
	struct entry_body b = { .kind = ENTRY_GC };

	b.gc.v = v;
	b.gc.n = n;
	return body_again(&b);
}

Test(entry, released_ranges_ascend_and_are_apart)
{
	static const struct entry_release good[] = { { 1, 1, 1 },
						     { 1, 2, 9 },
						     { 2, 1, 1 } };
	static const struct entry_release bad[][2] = {
		{ { 0, 1, 1 }, { 1, 1, 1 } }, { { 1, 0, 1 }, { 2, 1, 1 } },
		{ { 1, 2, 1 }, { 2, 1, 1 } }, { { 1, 1, 1 }, { 1, 1, 1 } },
		{ { 1, 1, 5 }, { 1, 5, 6 } }, { { 2, 1, 1 }, { 1, 1, 1 } },
	};

	cr_assert_eq(gc_again(good, 3), 0);
	cr_assert_eq(gc_again(good, 0), -ERR_FORMAT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(gc_again(bad[i], 2), -ERR_FORMAT, "%zu", i);
}

Test(entry, an_entry_stays_below_65000_bytes)
{
	struct buf b = BUF_INIT;
	struct entry_core c = { .kind = 0x8000 };
	uint8_t *body = calloc(1, 70000);
	struct entry_view v;

	cr_assert_eq(entry_encode(&b, &c, salt, body, 64999 - 125), 0);
	cr_assert_eq(b.n, 64999);
	cr_assert_eq(entry_decode(&v, b.p, b.n), 0);
	cr_assert_eq(entry_encode(&b, &c, salt, body, 65000 - 125), -ERR_LIMIT);
	cr_assert_eq(entry_decode(&v, b.p, 65000), -ERR_LIMIT);
	buf_release(&b);
	free(body);
}

static int count_ref(void *ctx, const struct digest *leaf)
{
	cr_assert(!digest_is_zero(leaf));
	(*(unsigned *)ctx)++;
	return 0;
}

Test(entry, references_are_all_told)
{
	static const struct {
		uint16_t kind;
		unsigned n;
	} v[] = {
		{ ENTRY_VERSION, 4 }, { ENTRY_DIGEST, 3 },
		{ ENTRY_READS, 4 },   { ENTRY_ACTOR, 1 },
		{ ENTRY_CREATE, 1 },  { ENTRY_RESTORE, 3 },
		{ ENTRY_CLONE, 3 },   { ENTRY_RUN_END, 2 },
		{ ENTRY_ATTEST, 2 },  { ENTRY_SNAPSHOT, 1 },
		{ ENTRY_GENESIS, 0 }, { ENTRY_POLICY, 0 },
		{ ENTRY_HOLD, 0 },    { ENTRY_GC, 1 },
		{ ENTRY_IMPORT, 3 },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct entry e;
		unsigned n = 0;

		cr_assert(sample_log_entry(&e, v[i].kind));
		cr_assert_eq(entry_refs(&e.core, &e.body, count_ref, &n), 0);
		cr_assert_eq(n, v[i].n, "kind %04x: %u", v[i].kind, n);
	}
}

Test(entry, kind_names_and_numbers_agree)
{
	for (size_t i = 0; i < KINDS; i++)
		cr_assert_eq(entry_kind_from_name(entry_kind_name(kinds[i])),
			     kinds[i]);
	cr_assert_null(entry_kind_name(0x8123));
	cr_assert_eq(entry_kind_from_name("nothing"), 0);
	cr_assert_eq(ENTRY_EXTENTS, 0x0207);
	cr_assert_eq(ENTRY_READS, 0x0302);
}

/* --- golden files --- */

static void golden(const char *path, const struct buf *now)
{
	uint8_t was[8192];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0 && getenv("GOLDEN") != NULL) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
		cr_assert_eq(write(fd, now->p, now->n), (ssize_t)now->n);
		close(fd);
		return;
	}
	cr_assert_geq(fd, 0, "%s is missing", path);
	n = read(fd, was, sizeof(was));
	close(fd);
	cr_assert_eq(n, (ssize_t)now->n, "%s: other length", path);
	cr_assert_arr_eq(was, now->p, now->n, "%s: other bytes", path);
}

Test(entry, golden_files_decode_and_encode_to_themselves)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct entry e;
		struct buf b = BUF_INIT;
		char path[128];

		if (!sample_log_entry(&e, kinds[i]))
			continue;
		store(&b, &e);
		snprintf(path, sizeof(path), "tests/golden/entry-v1-%s.bin",
			 entry_kind_name(kinds[i]));
		golden(path, &b);
		buf_release(&b);
	}
}

Test(entry, golden_denial_is_made_and_read_again)
{
	const struct entry_denied in = {
		.call = ENTRY_DENIED_RENAME,
		.why = ENTRY_DENIED_PROTECTED,
		.inode = 77,
		.count = 3,
		.path = ENTRY_STR("p/.git/hooks"),
	};
	struct entry_denied got;
	struct entry e;
	struct buf b = BUF_INIT, tlv = BUF_INIT;

	cr_assert(sample_log_entry(&e, ENTRY_ALERT));
	entry_denied_put(&tlv, &in);
	e.body.alert.what = ENTRY_ALERT_DENIED;
	memset(e.body.alert.id.b, 0, sizeof(e.body.alert.id.b));
	memset(e.body.alert.id.b, 0x5a, 16); /* the run */
	e.body.alert.text = ENTRY_STR("rename: protected: p/.git/hooks");
	e.body.extra = (struct entry_tlvs){ tlv.p, tlv.n };
	store(&b, &e);
	golden("tests/golden/entry-v1-alert-denied.bin", &b);
	cr_assert(entry_denied_get(&got, &e.body));
	cr_assert_eq(got.count, 3);
	buf_release(&tlv);
	buf_release(&b);
}

Test(entry, golden_seal_and_proof_are_made_again)
{
	struct sample_log s;
	struct buf b = BUF_INIT;

	sample_log_init(&s);
	golden("tests/golden/seal-v1.bin", &s.batch[0].seal);
	sample_log_story(&s, 9);
	sample_log_prove_story(&s, &b);
	golden("tests/golden/proof-v1.tlog-proof", &b);
	buf_clear(&b);
	sample_log_checkpoint(&s, &b);
	golden("tests/golden/checkpoint-v1", &b);
	buf_release(&b);
	sample_log_release(&s);
}
