/*
 * removed.c - see removed.h: sorted ranges of numbers and their text.
 */
#include "fs/store/removed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/vio.h"

#define HEAD "vouchfs removed packs 2\n"
#define HEAD_1 "vouchfs removed packs 1\n"
#define VOLUME "volume "

enum {
	CHECK_LEN = 6 + 16 + 1,
	VOLUME_LEN = sizeof(VOLUME) - 1 + 32 + 1,
	FILE_MAX = 64 << 20,
};

void removed_release(struct removed *r)
{
	free(r->v);
	*r = (struct removed){ .n = 0 };
}

/* The first range that ends at or above the number. */
static uint32_t place(const struct removed *r, uint64_t number)
{
	uint32_t lo = 0;
	uint32_t hi = r->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (r->v[mid].last < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool removed_has(const struct removed *r, uint64_t number)
{
	uint32_t i = place(r, number);

	return i < r->n && r->v[i].first <= number;
}

uint64_t removed_last(const struct removed *r)
{
	return r->n ? r->v[r->n - 1].last : 0;
}

static int room(struct removed *r, uint32_t n)
{
	uint32_t cap = r->cap ? r->cap : 16;
	void *p = NULL;

	while (cap < n)
		cap *= 2;
	if (cap == r->cap)
		return 0;
	p = realloc(r->v, cap * sizeof(*r->v));
	if (!p)
		return -ENOMEM;
	r->v = p;
	r->cap = cap;
	return 0;
}

static void drop(struct removed *r, uint32_t i)
{
	r->n--;
	memmove(r->v + i, r->v + i + 1, (r->n - i) * sizeof(*r->v));
}

int removed_add(struct removed *r, uint64_t number)
{
	uint32_t i = place(r, number);
	bool below = i > 0 && r->v[i - 1].last == number - 1;
	bool above = i < r->n && r->v[i].first == number + 1;
	int rc = 0;

	if (removed_has(r, number))
		return 0;
	if (below && above) {
		r->v[i - 1].last = r->v[i].last;
		drop(r, i);
	} else if (below) {
		r->v[i - 1].last = number;
	} else if (above) {
		r->v[i].first = number;
	} else {
		rc = room(r, r->n + 1);
		if (rc < 0)
			return rc;
		memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof(*r->v));
		r->v[i] = (struct removed_range){ number, number };
		r->n++;
	}
	return 0;
}

int removed_copy(struct removed *out, const struct removed *r)
{
	int rc = 0;

	*out = (struct removed){ .n = 0 };
	rc = room(out, r->n);
	if (rc < 0)
		return rc;
	if (r->n)
		memcpy(out->v, r->v, r->n * sizeof(*r->v));
	out->n = r->n;
	return 0;
}

/* --- text --- */

void removed_encode(struct buf *out, const struct removed *r,
		    const uint8_t volume_id[16])
{
	size_t start = out->n;
	char hex[33] = "";

	digest_hex_bytes(hex, volume_id, 16);
	buf_adds(out, HEAD);
	buf_addf(out, VOLUME "%s\n", hex);
	for (uint32_t i = 0; i < r->n; i++)
		buf_addf(out, "%" PRIu64 " %" PRIu64 "\n", r->v[i].first,
			 r->v[i].last);
	if (!out->bad)
		buf_addf(out, "check %016" PRIx64 "\n",
			 (uint64_t)XXH64(out->p + start, out->n - start, 0));
}

/* A decimal number without sign, zeros or blanks before it; its end. */
static const char *number(uint64_t *out, const char *p, const char *end)
{
	const char *start = p;

	*out = 0;
	while (p < end && *p >= '0' && *p <= '9' && p - start < 15)
		*out = *out * 10 + (uint64_t)(*p++ - '0');
	return p == start || *start == '0' ? NULL : p;
}

static int decode_ranges(struct removed *out, const char *p, const char *end)
{
	while (p < end) {
		struct removed_range g = { 0 };
		int rc = 0;

		p = number(&g.first, p, end);
		if (p && p < end && *p++ == ' ')
			p = number(&g.last, p, end);
		else
			p = NULL;
		if (!p || p == end || *p++ != '\n' || g.first > g.last ||
		    (out->n && g.first <= out->v[out->n - 1].last + 1))
			return -ERR_CORRUPT;
		rc = room(out, out->n + 1);
		if (rc < 0)
			return rc;
		out->v[out->n++] = g;
	}
	return 0;
}

/* Steps over the volume line.  Words when it is another's. */
static const char *own_volume(const char *p, const char *end,
			      const uint8_t volume_id[16], struct errmsg *em)
{
	char line[VOLUME_LEN + 1] = "";
	char hex[33] = "";

	if (end - p < VOLUME_LEN || memcmp(p, VOLUME, strlen(VOLUME)) != 0)
		return NULL;
	digest_hex_bytes(hex, volume_id, 16);
	snprintf(line, sizeof(line), VOLUME "%s\n", hex);
	if (memcmp(p, line, VOLUME_LEN) == 0)
		return p + VOLUME_LEN;
	errmsg_set(em, -ERR_CORRUPT,
		   REMOVED_NAME " is another volume's list of removed packs: "
				"it counts as none");
	return NULL;
}

static int decode(struct removed *out, const char *p, size_t n,
		  const uint8_t volume_id[16], struct errmsg *em)
{
	char check[CHECK_LEN + 1] = "";
	const size_t head = strlen(HEAD);
	const char *at, *end;
	int rc = -ERR_CORRUPT;

	if (n < head + CHECK_LEN)
		return rc;
	at = p + head;
	end = p + n - CHECK_LEN;
	snprintf(check, sizeof(check), "check %016" PRIx64 "\n",
		 (uint64_t)XXH64(p, n - CHECK_LEN, 0));
	if (memcmp(end, check, CHECK_LEN) != 0)
		return rc;
	if (memcmp(p, HEAD, head) == 0)
		at = own_volume(at, end, volume_id, em);
	else if (memcmp(p, HEAD_1, head) != 0)
		at = NULL;
	return at ? decode_ranges(out, at, end) : rc;
}

int removed_load(struct removed *out, struct vio *v,
		 const uint8_t volume_id[16], struct errmsg *em)
{
	struct buf b = BUF_INIT;
	int rc = vio_read_file(v, &b, REMOVED_NAME, FILE_MAX);

	*out = (struct removed){ .n = 0 };
	if (rc == 0)
		rc = decode(out, b.n ? (const char *)b.p : "", b.n, volume_id,
			    em);
	if (rc == -ERR_CORRUPT)
		errmsg_set(em, rc,
			   REMOVED_NAME " is damaged: it counts as none, and "
					"packs that were removed may come "
					"back until the next gc");
	if (rc < 0)
		removed_release(out);
	buf_release(&b);
	return rc == -ENOENT ? 0 : rc;
}
