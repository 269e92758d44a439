/*
 * fsck_want told from the newest entry back, in one part or in many, against
 * an oracle that reads the log forward and keeps all of it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fs/upkeep/fsck_want.h"
#include "ledger/entry.h"
#include "tests/sim/prng.h"

enum { ENTRIES = 4000, INODES = 60, NAMES = 4 };

/* What the log says, as an entry needs it. */
struct event {
	enum entry_kind kind;
	uint64_t ino, version;
	struct entry_release release;
	struct entry_extent extent;
	char name[2];
	bool freed, is_long, redacted;
};

struct seen {
	unsigned times;
	bool optional;
};

static struct event log_of[ENTRIES];
static struct seen told[ENTRIES];

static void make_log(uint64_t seed)
{
	uint64_t versions[INODES + 1] = { 0 };
	bool freed[INODES + 1] = { false };
	struct prng r = { 0 };

	prng_init(&r, seed);
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct event *e = &log_of[i];
		uint64_t ino = 1 + prng_below(&r, INODES);
		uint64_t what = prng_below(&r, 100);

		*e = (struct event){ .ino = ino, .name = "a" };
		e->name[0] = (char)('a' + prng_below(&r, NAMES));
		memset(e->extent.chunk.b, 1, DIGEST_SIZE);
		if (freed[ino])
			what = 90 + what % 10; /* nothing but gc */
		if (what < 35) {
			e->kind = ENTRY_VERSION;
			e->version = ++versions[ino];
			e->redacted = what < 5;
		} else if (what < 60) {
			e->kind = ENTRY_EXTENTS;
		} else if (what < 80) {
			e->kind = ENTRY_SETXATTR;
			e->is_long = prng_chance(&r, 50);
		} else if (what < 85) {
			e->kind = ENTRY_RMXATTR;
		} else if (what < 88) {
			e->kind = ENTRY_UNLINK;
			e->freed = freed[ino] = prng_chance(&r, 20);
		} else {
			e->kind = ENTRY_GC;
			e->release.inode = ino;
			e->release.first = 1 + prng_below(&r, 5);
			e->release.last = e->release.first + prng_below(&r, 12);
		}
	}
}

static bool must_not_be_missed(unsigned at)
{
	const struct event *e = &log_of[at];
	unsigned end = 0; /* what ended it */
	bool next = false, gone = false, replaced = false;

	for (unsigned i = at + 1; i < ENTRIES; i++) {
		const struct event *x = &log_of[i];

		if (x->kind == ENTRY_GC && x->release.inode == e->ino && end &&
		    e->kind == ENTRY_VERSION &&
		    x->release.first <= e->version &&
		    e->version <= x->release.last)
			return false;
		if (x->ino != e->ino)
			continue;
		next = next || x->kind == ENTRY_VERSION;
		gone = gone || x->freed;
		if (!end && (next || gone))
			end = i;
		if ((x->kind == ENTRY_SETXATTR || x->kind == ENTRY_RMXATTR) &&
		    x->name[0] == e->name[0])
			replaced = true;
	}
	if (e->kind == ENTRY_EXTENTS)
		return !next && !gone;
	return e->kind == ENTRY_VERSION || (!gone && !replaced);
}

static void entry_of(struct entry *out, const struct event *e)
{
	*out = (struct entry){
		.core = { .kind = e->kind,
			  .inode = e->ino,
			  .version = e->version },
		.state = ENTRY_CLEAR,
	};
	if (e->redacted) {
		out->state = ENTRY_REDACTED;
		out->body.opaque = true;
		return;
	}
	switch (e->kind) {
	case ENTRY_VERSION:
		out->body.version.size = 7;
		break;
	case ENTRY_EXTENTS:
		out->body.extents.n = 1;
		out->body.extents.v = &e->extent;
		break;
	case ENTRY_SETXATTR:
	case ENTRY_RMXATTR:
		out->body.setxattr.name =
			(struct entry_str){ .p = e->name, .n = 1 };
		if (e->is_long)
			memset(out->body.setxattr.content.b, 2, DIGEST_SIZE);
		break;
	case ENTRY_UNLINK:
		out->body.link.flags = e->freed ? ENTRY_UNLINK_FREED : 0;
		break;
	default:
		out->body.gc.n = 1;
		out->body.gc.v = &e->release;
		break;
	}
}

static int tell(void *ctx, const struct fsck_want *w)
{
	(void)ctx;
	cr_assert_lt(w->no, ENTRIES);
	told[w->no].times++;
	told[w->no].optional = w->optional;
	return 0;
}

static uint64_t run(size_t bytes_max)
{
	struct fsck_wants w = { .fn = tell, .bytes_max = bytes_max };
	uint64_t parts = 0;
	struct entry e;

	memset(told, 0, sizeof(told));
	for (unsigned i = 0; i < ENTRIES; i++) {
		entry_of(&e, &log_of[i]);
		fsck_want_count(&w, &e.core, ENTRY_RELEASE_SIZE);
	}
	parts = fsck_want_parts(&w);
	for (uint64_t p = 0; p < parts; p++) {
		fsck_want_part(&w, p);
		for (unsigned i = ENTRIES; i-- > 0;) {
			entry_of(&e, &log_of[i]);
			cr_assert_eq(fsck_want_entry(&w, &e, i), 0);
		}
	}
	fsck_want_release(&w);
	return parts;
}

static void compare(void)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		const struct event *e = &log_of[i];
		bool names = !e->redacted &&
			     (e->kind == ENTRY_VERSION ||
			      e->kind == ENTRY_EXTENTS || e->is_long);

		cr_assert_eq(told[i].times, names ? 1 : 0, "entry %u: %u", i,
			     told[i].times);
		if (names)
			cr_assert_eq(told[i].optional, !must_not_be_missed(i),
				     "entry %u, kind %d", i, e->kind);
	}
}

Test(fsck_want, what_may_be_missed_is_what_later_entries_say)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		make_log(seed);
		cr_assert_eq(run(0), 1);
		compare();
	}
}

Test(fsck_want, many_parts_say_the_same_as_one)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		make_log(seed);
		cr_assert_gt(run(20000), 5);
		compare();
	}
}
