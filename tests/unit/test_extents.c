/*
 * test_extents.c - the overlay map against an array with one cell per byte.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "fs/content/dirty.h"
#include "fs/content/extents.h"
#include "fs/store/store.h"
#include "tests/sim/prng.h"

enum { SPACE = 3000 };

/* What one byte of the map is. */
struct cell {
	uint8_t kind; /* 0: nothing, else kind + 1 */
	uint8_t flags;
	uint8_t id; /* of the chunk */
	uint32_t at;
};

struct both {
	struct extents map;
	struct cell cell[SPACE];
};

static void set(struct both *b, uint64_t off, uint64_t len, uint8_t kind,
		uint8_t flags, uint8_t id, uint32_t at)
{
	struct extent e = {
		.off = off, .len = len, .kind = kind, .flags = flags, .at = at
	};

	e.id.b[0] = id;
	cr_assert(extents_prepare(&b->map) == 0);
	extents_set(&b->map, &e);
	for (uint64_t i = 0; i < len; i++)
		b->cell[off + i] = (struct cell){
			.kind = (uint8_t)(kind + 1),
			.flags = flags,
			.id = kind == EXTENT_CHUNK ? id : 0,
			.at = kind == EXTENT_CHUNK ? at + (uint32_t)i : 0,
		};
}

static void compare(struct both *b)
{
	uint64_t at = 0;
	const struct extent *e = NULL;

	extents_check(&b->map);
	while ((e = extents_seek(&b->map, at))) {
		for (; at < e->off; at++)
			cr_assert(b->cell[at].kind == 0, "byte %lu", at);
		for (; at < e->off + e->len; at++) {
			const struct cell *c = &b->cell[at];

			cr_assert(c->kind == e->kind + 1, "byte %lu", at);
			cr_assert((c->flags & ~EXTENT_CUT) ==
				  (e->flags & ~EXTENT_CUT));
			if (e->kind != EXTENT_CHUNK)
				continue;
			cr_assert(c->id == e->id.b[0]);
			cr_assert(c->at == e->at + (at - e->off));
		}
	}
	for (; at < SPACE; at++)
		cr_assert(b->cell[at].kind == 0);
	cr_assert(extents_end(&b->map) <= SPACE);
}

/* Finding by flag finds what looking at all of them finds. */
static void compare_flag(struct both *b, uint64_t from, uint8_t flag)
{
	const struct extent *e = extents_seek(&b->map, from);

	while (e && !(e->flags & flag))
		e = extents_seek(&b->map, e->off + e->len);
	cr_assert(e == extents_seek_flag(&b->map, from, flag));
}

static void step(struct both *b, struct prng *p)
{
	uint64_t off = prng_below(p, SPACE);
	uint64_t len = prng_range(p, 1, prng_chance(p, 90) ? 20 : 600);
	uint8_t kind = prng_chance(p, 50) ? EXTENT_CHUNK : EXTENT_HOLE;
	uint8_t flags = (uint8_t)prng_below(p, 4);
	uint32_t at = flags & EXTENT_CUT ? 0 : (uint32_t)prng_below(p, 9);

	if (len > SPACE - off)
		len = SPACE - off;
	switch (prng_below(p, 8)) {
	case 0:
		cr_assert(extents_prepare(&b->map) == 0);
		extents_cut(&b->map, off, off + len);
		memset(&b->cell[off], 0, len * sizeof(b->cell[0]));
		break;
	case 1:
		extents_unflag(&b->map, off, off + len, EXTENT_CUT);
		break;
	case 2:
		compare_flag(b, off, EXTENT_UNSAVED);
		break;
	default:
		set(b, off, len, kind, flags, (uint8_t)prng_below(p, 3), at);
	}
}

Test(extents, are_what_an_array_of_bytes_is)
{
	struct prng prng = { .seed = 0 };
	struct both *b = calloc(1, sizeof(*b));

	cr_assert(b);
	prng_init(&prng, prng_seed("extents", 0));
	for (int i = 0; i < 60000; i++) {
		step(b, &prng);
		if (i % 64 == 0)
			compare(b);
	}
	compare(b);
	cr_assert(extents_prepare(&b->map) == 0);
	extents_cut(&b->map, 0, UINT64_MAX);
	cr_assert(b->map.n == 0 && b->map.data == 0 && b->map.mem == 0);
	extents_release(&b->map);
	free(b);
}

Test(extents, that_go_on_are_joined)
{
	struct both *b = calloc(1, sizeof(*b));

	cr_assert(b);
	for (uint32_t i = 0; i < 1000; i++)
		set(b, i, 1, EXTENT_CHUNK, EXTENT_UNSAVED, 7, i);
	cr_assert(b->map.n == 1);
	set(b, 1500, 10, EXTENT_HOLE, 0, 0, 0);
	set(b, 1490, 10, EXTENT_HOLE, 0, 0, 0);
	cr_assert(b->map.n == 2);
	set(b, 1000, 490, EXTENT_HOLE, 0, 0, 0);
	cr_assert(b->map.n == 2);
	compare(b);
	extents_release(&b->map);
	free(b);
}

Test(extents, that_are_cuts_stay_apart_and_are_none_when_trimmed)
{
	struct both *b = calloc(1, sizeof(*b));
	const struct extent *e = NULL;

	cr_assert(b);
	set(b, 0, 100, EXTENT_CHUNK, EXTENT_CUT, 1, 0);
	set(b, 100, 100, EXTENT_CHUNK, EXTENT_CUT, 1, 0);
	cr_assert(b->map.n == 2);
	set(b, 150, 10, EXTENT_HOLE, 0, 0, 0);
	e = extents_seek(&b->map, 0);
	cr_assert(e->flags & EXTENT_CUT);
	e = extents_seek(&b->map, 100);
	cr_assert(!(e->flags & EXTENT_CUT) && e->len == 50);
	e = extents_seek(&b->map, 160);
	cr_assert(!(e->flags & EXTENT_CUT) && e->at == 60);
	extents_release(&b->map);
	free(b);
}
