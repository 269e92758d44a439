/*
 * store_direct.c - a whole chunk from its place on the disk into the buffer
 * that is handed out.
 *
 * What it buys: what is read in order is read once, since the kernel keeps its
 * pages.  The cache does nothing for it, but cost a copy out of it, a sum of
 * each page for those who might come later, and a comparison of the copy: a
 * third of the CPU of a cold read.  Here the bytes are read or decoded where
 * they are wanted, and hashed there: the first look at them is the last hop.
 *
 * Nearly all chunks of a stream come this way.  Whatever is not plain (a chunk
 * that is cached, staged, moved, of another length, damaged) is left to
 * store_read(), which finds out what is the matter, tells and repairs it.  So
 * nothing is judged here: that a try fails means nothing.
 *
 * Any thread; no lock is held while hashing or on disk I/O.
 */
#include "fs/store/store.h"

#include "base/err.h"
#include "fs/store/store_int.h"

/* What is not packed lies on the disk as it is wanted; its id tells. */
static bool read_raw(struct store *s, struct packfile *f, void *out, uint32_t n,
		     const struct location *at)
{
	ssize_t got =
		packfile_bytes(f, out, n, (uint64_t)at->off + PACK_RECORD_SIZE);

	if (got != (ssize_t)n)
		return false;
	store_hop(s, STORE_HOP_RECORD, out, n);
	return true;
}

static bool read_packed(struct store *s, struct packfile *f, void *out,
			uint32_t n, const struct location *at)
{
	struct store_slot *slot = store_slot_take(s);
	struct pack_record r = { 0 };
	struct chunk c = { 0 };
	int rc = -ENOMEM;

	if (slot)
		rc = packfile_fetch(f, &r, slot->record,
				    PACK_RECORD_SIZE + (size_t)at->len_hint,
				    at->off);
	if (rc == 0 && r.raw_len != n)
		rc = -ERR_CORRUPT;
	if (rc == 0) {
		store_hop(s, STORE_HOP_RECORD, slot->record + PACK_RECORD_SIZE,
			  r.stored_len);
		pack_record_chunk(&c, &r, slot->record + PACK_RECORD_SIZE);
		rc = chunk_unpack(out, slot->unpacker, &c);
	}
	store_slot_give(s, slot);
	return rc == 0;
}

/*
 * Good bytes behind a bad header are no good place: a copy may not rely on it,
 * and store_read() repairs it.  Looked at once for each place.
 */
static bool is_good_place(struct store *s, struct packfile *f,
			  const struct digest *id, uint32_t n, bool raw,
			  const struct location *at)
{
	struct digest place = store_place(id, at->pack, at->off);
	struct pack_record r = { 0 };

	if (verified_has(&s->verified, &place))
		return true;
	if (packfile_header(f, &r, at->off) < 0 || !digest_eq(&r.id, id) ||
	    r.type != CHUNK_DATA || r.raw_len != n)
		return false;
	if (raw && (r.codec != CHUNK_RAW || r.stored_len != n))
		return false;
	verified_add(&s->verified, &place);
	return true;
}

static bool read_place(struct store *s, void *out, const struct digest *id,
		       uint32_t n)
{
	struct location at[LOCATIONS_MAX];
	struct packfile *f = NULL;
	struct digest got = { 0 };
	bool raw = false;
	bool ok = false;

	if (chunk_cache_has(&s->cache, id) ||
	    locations_get(s->locations, at, id) < 1)
		return false;
	f = packs_find(&s->packs, at[0].pack);
	if (!f)
		return false;
	raw = locations_hint_is(&at[0], n);
	ok = raw ? read_raw(s, f, out, n, &at[0]) :
		   read_packed(s, f, out, n, &at[0]);
	if (!ok)
		return false;
	store_hop(s, STORE_HOP_DECODED, out, n);
	chunk_hash(&got, CHUNK_DATA, out, n);
	return digest_eq(&got, id) && is_good_place(s, f, id, n, raw, &at[0]);
}

bool store_read_direct(struct store *s, void *out, const struct digest *id,
		       uint32_t n)
{
	unsigned section = 0;
	bool ok = false;

	if (n == 0 || n > (uint32_t)LIMIT_CHUNK)
		return false;
	section = lease_enter(&s->lease);
	ok = read_place(s, out, id, n);
	lease_leave(&s->lease, section);
	return ok;
}
