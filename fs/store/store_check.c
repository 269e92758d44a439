/*
 * store_check.c - reads every record of every pack and every replica's copy.
 *
 * For each pack: its header; every record (header, stored bytes, unpacked
 * bytes against the id); its footer against the records; the location table.
 * What is bad is told in words and, if wanted, put right: a record from a
 * replica or from another copy in the store, a footer from the records, a
 * header from what is known, a whole pack from a replica.  Then the replicas'
 * objects are compared with the store's and put right from it.
 *
 * A pack that is whole is found so in pieces (store_check_stream.c); one that
 * is not, and each where there are replicas, is read into memory and looked
 * at closely.
 *
 * May run beside everything else: of a pack that grows, what was durable when
 * the check came to it is read.  Uses all cores and, for packs in memory, a
 * buffer of LIMIT_PACK bytes, two where there are replicas.
 */
#include "fs/store/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/store/store_check_int.h"

enum { WORDS_SIZE = 400 };

void store_checker_found(struct store_checker *c, const char *fmt, ...)
{
	char words[WORDS_SIZE] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	if (c->o->found)
		c->o->found(c->o->ctx, words);
}

void store_checker_count(struct store_checker *c, bool repaired)
{
	c->report->bad++;
	c->report->repaired += repaired;
}

/* --- putting one record right --- */

/* From another good copy in the store, if its stored bytes are the same. */
static int repair_from_twin(struct store_checker *c, const struct pack_entry *e)
{
	struct store *s = c->store;
	struct location at[LOCATIONS_MAX];
	int n = locations_get(s->locations, at, &e->id);

	for (int i = 0; i < n; i++) {
		struct packfile *f = packs_find(&s->packs, at[i].pack);
		struct pack_record r = { 0 };
		struct chunk k = { 0 };

		if (!f || (f == c->file && at[i].off == e->off) ||
		    packfile_read(f, &r, c->slot->record, at[i].off,
				  at[i].len_hint) < 0 ||
		    !digest_eq(&r.id, &e->id) || r.codec != e->codec ||
		    r.stored_len != e->stored_len)
			continue;
		pack_record_chunk(&k, &r, c->slot->record + PACK_RECORD_SIZE);
		if (chunk_verify(c->slot->raw, c->slot->unpacker, &k) < 0)
			continue;
		r.durable = 0; /* what that copy's pack had says nothing here */
		pack_record_encode(c->slot->record, &r);
		return store_fail(
			s, packfile_patch(c->file, e->off, c->slot->record,
					  PACK_RECORD_SIZE +
						  (size_t)r.stored_len));
	}
	return -ERR_MISSING_CHUNK;
}

enum fate { NOTHING_DONE, REPAIRED, GOOD_ELSEWHERE, GOOD_AWAY };

static enum fate repair_record(struct store_checker *c,
			       const struct pack_entry *e)
{
	struct location at = {
		.pack = c->file->number,
		.off = e->off,
		.len_hint = e->stored_len,
	};
	struct pack_record r = { 0 };
	struct digest place = store_place(&e->id, at.pack, at.off);
	int rc;

	verified_drop(&c->store->verified, &place);
	if (!c->o->repair || c->store->read_only)
		return NOTHING_DONE;
	rc = store_repair(c->store, c->slot, &r, &e->id, &at);
	if (rc >= 0)
		return rc == 0 ? REPAIRED : GOOD_AWAY;
	if (repair_from_twin(c, e) == 0) {
		store_told_repair(c->store, &e->id, "another copy", true);
		return REPAIRED;
	}
	/* perhaps in another form, which does not fit here */
	return store_probe(c->store, &e->id) == 0 ? GOOD_ELSEWHERE :
						    NOTHING_DONE;
}

static void bad_record(struct store_checker *c, const struct pack_entry *e,
		       const char *what)
{
	static const char *const words[] = {
		[NOTHING_DONE] = "",
		[REPAIRED] = "; repaired",
		[GOOD_ELSEWHERE] = "; another copy is good",
		[GOOD_AWAY] = "; a replica has it, and it could not be "
			      "written here",
	};
	char hex[DIGEST_HEX_SIZE];
	enum fate fate = repair_record(c, e);

	digest_hex(hex, &e->id);
	store_checker_count(c, fate == REPAIRED);
	store_checker_found(c, "%s: chunk %s at %" PRIu32 ": %s%s",
			    c->file->name, hex, e->off, what, words[fate]);
}

/* --- records --- */

int store_checker_good(struct store_checker *c, const struct pack_record *r,
		       size_t off)
{
	if (c->n_good == c->cap_good) {
		uint32_t cap = c->cap_good ? 2 * c->cap_good : 1024;
		void *p = realloc(c->good, cap * sizeof(*c->good));

		if (!p)
			return -ENOMEM;
		c->good = p;
		c->cap_good = cap;
	}
	c->good[c->n_good++] = (struct pack_entry){
		.id = r->id,
		.off = (uint32_t)off,
		.stored_len = r->stored_len,
		.raw_len = r->raw_len,
		.type = r->type,
		.codec = r->codec,
	};
	return 0;
}

/* The record at off, whole and right: its length; 0 when it is not. */
static size_t whole_record(struct store_checker *c, struct pack_record *out,
			   size_t off)
{
	const uint8_t *stored = c->p + off + PACK_RECORD_SIZE;
	size_t len = store_checker_record(c, out, off);

	return len > 0 && store_checker_payload(out, stored, c->slot) ? len : 0;
}

static void hole_add(struct store_checker *c, size_t off, size_t end)
{
	if (c->n_holes < STORE_CHECKER_HOLES)
		c->holes[c->n_holes++] =
			(struct store_checker_hole){ off, end };
	else
		c->holes[c->n_holes - 1].end = end; /* too many: one range */
}

/* Finds the good records and the holes between them. */
static int scan_carefully(struct store_checker *c)
{
	struct pack_record r = { 0 };
	size_t good = PACK_HEADER_SIZE;
	size_t off = PACK_HEADER_SIZE;

	c->n_good = 0;
	c->n_holes = 0;
	c->durable = 0;
	while (off < c->records_end) {
		size_t len = whole_record(c, &r, off);
		int rc = 0;

		if (len == 0) {
			off = pack_find_record(c->p, c->records_end, off + 1);
			continue;
		}
		if (off > good)
			hole_add(c, good, off);
		if (r.durable > c->durable)
			c->durable = r.durable;
		if (r.type != PACK_CLOSE_MARK)
			rc = store_checker_good(c, &r, off);
		if (rc < 0)
			return rc;
		off += len;
		good = off;
	}
	if (good < c->records_end)
		hole_add(c, good, c->records_end);
	return 0;
}

static int scan_records(struct store_checker *c)
{
	int rc = store_checker_fast(c);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	return scan_carefully(c);
}

/* --- the footer --- */

static const struct pack_entry *good_at(const struct store_checker *c,
					uint32_t off)
{
	uint32_t lo = 0;
	uint32_t hi = c->n_good;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (c->good[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n_good && c->good[lo].off == off ? &c->good[lo] : NULL;
}

static bool repair_footer(struct store_checker *c)
{
	if (!c->o->repair || c->store->read_only)
		return false;
	return packfile_rescan(c->file) == 0 && c->file->n_gaps == 0 &&
	       store_fail(c->store, packfile_seal(c->file)) == 0;
}

static void bad_footer(struct store_checker *c, const char *what)
{
	bool ok = repair_footer(c);

	store_checker_count(c, ok);
	store_checker_found(c, "%s: footer: %s%s", c->file->name, what,
			    ok ? "; written again" : "");
}

/* Reads it; NULL (and *out_rc) when it is damaged or there is no memory. */
static struct pack_entry *footer(struct store_checker *c, uint32_t *out_n,
				 int *out_rc)
{
	struct pack_trailer t = { 0 };
	autofree struct pack_entry *v = NULL;

	*out_n = 0;
	*out_rc = -ERR_SHORT;
	if (c->n < PACK_HEADER_SIZE + PACK_TRAILER_SIZE)
		return NULL;
	*out_rc =
		pack_trailer_decode(&t, c->p + c->n - PACK_TRAILER_SIZE, c->n);
	if (*out_rc == 0 && t.number != c->file->number)
		*out_rc = -ERR_CORRUPT;
	if (*out_rc < 0)
		return NULL;
	c->records_end = t.entries_off;
	v = calloc((size_t)t.count + 1, sizeof(*v));
	if (!v)
		*out_rc = -ENOMEM;
	else
		*out_rc = pack_footer_decode(v, &t, c->p + t.entries_off,
					     (size_t)t.count * PACK_ENTRY_SIZE);
	*out_n = t.count;
	return *out_rc == 0 ? take(v) : NULL;
}

static void check_listed(struct store_checker *c, const struct pack_entry *v,
			 uint32_t n)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct pack_entry *e = good_at(c, v[i].off);

		if (e && digest_eq(&e->id, &v[i].id))
			found++;
		else
			bad_record(c, &v[i], "damaged");
	}
	if (found < c->n_good)
		bad_footer(c, "chunks are missing from it");
}

/* --- the table --- */

/* The chunk is at one of these places. */
static bool is_elsewhere(struct store_checker *c, const struct digest *id,
			 const struct location *at, int n)
{
	for (int k = 0; k < n; k++) {
		struct packfile *f = packs_find(&c->store->packs, at[k].pack);
		struct pack_record r = { 0 };

		if (f && packfile_header(f, &r, at[k].off) == 0 &&
		    digest_eq(&r.id, id))
			return true;
	}
	return false;
}

/*
 * The table is a cache: what it lacks is listed again (a read that finds
 * nothing does that too) and told, but is no damage.  Of two copies one is
 * enough: gc that is killed has forgotten the other.
 */
static int check_table(struct store_checker *c)
{
	struct location at[LOCATIONS_MAX];
	uint32_t lacks = 0;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < c->n_good; i++) {
		const struct pack_entry *e = &c->good[i];
		int n = locations_get(c->store->locations, at, &e->id);
		bool listed = n == LOCATIONS_MAX;

		if (n < 0 && n != -ERR_CORRUPT)
			return n;
		for (int k = 0; k < n; k++)
			listed = listed || (at[k].pack == c->file->number &&
					    at[k].off == e->off);
		lacks += !listed && !is_elsewhere(c, &e->id, at, n);
		if (!listed && c->o->repair && !c->store->read_only)
			rc = store_list_entry(c->store, c->file->number, e);
	}
	if (lacks > 0)
		store_checker_found(
			c, "location table: lacks %" PRIu32 " chunks of %s",
			lacks, c->file->name);
	return rc == -ENOSPC ? 0 : rc;
}

/* --- one pack --- */

static void check_header(struct store_checker *c)
{
	struct pack_header h = { 0 };
	uint8_t bytes[PACK_HEADER_SIZE];
	bool ok = false;
	int rc = pack_header_decode(&h, c->p, c->n);

	if (rc == 0 && h.number == c->file->number)
		return;
	if (c->n_good == 0 && packfile_state(c->file) != PACK_SEALED) {
		c->report->torn_bytes += c->n; /* cut off at its birth */
		return;
	}
	h = (struct pack_header){ .number = c->file->number };
	memcpy(h.volume_id, c->file->volume_id, 16);
	pack_header_encode(bytes, &h);
	if (c->o->repair && !c->store->read_only)
		ok = store_fail(c->store, packfile_patch(c->file, 0, bytes,
							 sizeof(bytes))) == 0;
	store_checker_count(c, ok);
	store_checker_found(c, "%s: header: %s%s", c->file->name, err_text(rc),
			    ok ? "; written again" : "");
}

/* Reads the pack again after repairs; limit: what was durable. */
static int read_pack(struct store_checker *c)
{
	uint64_t limit = LIMIT_PACK;
	ssize_t n = 0;

	if (packfile_state(c->file) == PACK_OPEN)
		limit = packfile_durable(c->file);
	n = packfile_bytes(c->file, c->p, limit, 0);
	if (n < 0)
		return (int)n;
	c->n = (size_t)n;
	c->records_end = c->n;
	return 0;
}

/* A pack that is gone or unreadable: from a replica, whole. */
static int lost_pack(struct store_checker *c, int why)
{
	struct store *s = c->store;
	struct store_replica *r = NULL;
	bool ok = false;

	if (c->o->repair && !s->read_only)
		r = store_replica_next(s, NULL);
	while (r && !ok) {
		ok = store_restore_pack(s, r, c->file->number, UINT64_MAX) > 0;
		if (ok)
			store_replica_put(s, r);
		else
			r = store_replica_next(s, r);
	}
	if (!ok) /* whoever has its bytes still may bring them once more */
		atomic_store(&c->file->doubted, true);
	store_checker_count(c, ok);
	store_checker_found(c, "%s: %s%s", c->file->name, err_text(why),
			    ok ? "; fetched from a replica" : "");
	return ok ? read_pack(c) : why;
}

/* Repairs may have brought records back: list them, compare, copy. */
static int after_repairs(struct store_checker *c)
{
	size_t end = c->records_end;
	int rc = 0;

	if (packfile_state(c->file) == PACK_STILL && c->file->n_gaps > 0)
		rc = packfile_rescan(c->file);
	if (rc == 0)
		rc = read_pack(c);
	if (rc < 0)
		return rc;
	if (end < c->n)
		c->records_end = end; /* the footer is behind it */
	return scan_records(c);
}

static void count_pack(struct store_checker *c)
{
	atomic_store(&c->file->doubted, false);
	c->report->packs++;
	c->report->chunks += c->n_good;
	c->report->bytes += c->n;
}

/*
 * Bytes behind the last record, found at the open: torn by a crash while the
 * pack was filled, or while its footer was written; else it had a footer, or
 * other records, and they are damaged.
 */
static void check_end(struct store_checker *c)
{
	uint64_t n = c->file->cut_bytes;

	if (n == 0 || c->store->read_only)
		return;
	if (c->file->number >= c->store->complete) {
		c->report->torn_bytes += n;
		return;
	}
	store_checker_count(c, false);
	store_checker_found(c, "%s: its end was damaged when it was opened",
			    c->file->name);
}

/* All of it at hand, from its first byte to its last. */
static int check_closely(struct store_checker *c)
{
	autofree struct pack_entry *v = NULL;
	enum packfile_state state = packfile_state(c->file);
	uint64_t repaired = c->report->repaired;
	uint32_t n = 0;
	int listed = -ERR_SHORT;
	int rc = 0;

	if (!c->p)
		c->p = malloc(LIMIT_PACK);
	if (!c->p)
		return -ENOMEM;
	rc = store_checker_take_ahead(c) ? 0 : read_pack(c);

	if (packs_is_removed(&c->store->packs, c->file->number))
		return 0; /* while we were at it */
	if (c->replicas)
		store_checker_read_ahead(c);
	if (rc < 0)
		rc = lost_pack(c, rc);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	check_end(c);
	if (state != PACK_OPEN)
		v = footer(c, &n, &listed);
	if (listed == -ENOMEM)
		return listed;
	rc = scan_records(c);
	if (rc < 0)
		return rc;
	count_pack(c);
	check_header(c);
	store_checker_holes(c, v, n);
	if (v)
		check_listed(c, v, n);
	else if (state == PACK_SEALED)
		bad_footer(c, "damaged");
	if (repaired != c->report->repaired)
		rc = after_repairs(c);
	if (rc == 0)
		rc = check_table(c);
	if (rc == 0)
		rc = store_checker_replicas(c);
	return rc;
}

static int check_pack(struct store_checker *c)
{
	struct store_replica *r = store_replica_next(c->store, NULL);

	c->replicas = r != NULL;
	store_replica_put(c->store, r);
	if (c->replicas || !store_checker_stream(c))
		return check_closely(c);
	count_pack(c);
	return check_table(c);
}

/* --- all packs --- */

static void add_sizes(struct store_checker *c)
{
	struct packfile *f = packs_after(&c->store->packs, 0);

	for (; f; f = packs_after(&c->store->packs, f->number))
		c->all += packfile_durable(f);
}

static void check_removed(struct store_checker *c)
{
	struct packs *packs = &c->store->packs;
	char words[160];
	bool repaired = c->o->repair && !c->store->read_only;

	if (packs_removed_bad(packs, words, sizeof(words)) == 0)
		return;
	repaired = repaired && packs_remove(packs, NULL, 0) == 0;
	store_checker_count(c, repaired);
	store_checker_found(c, "%s%s", words, repaired ? "; written anew" : "");
}

int store_check(struct store *s, struct store_check_report *out,
		const struct store_check_options *o, struct errmsg *em)
{
	struct store_checker c = { .store = s, .o = o, .report = out };
	int rc = 0;

	*out = (struct store_check_report){ 0 };
	if (o->repair && !s->read_only && store_restore_missing(s, true) > 0)
		store_checker_found(&c, "packs were fetched from replicas");
	check_removed(&c);
	c.slot = store_slot_take(s);
	rc = store_checker_team_open(&c);
	if (!c.slot)
		rc = -ENOMEM;
	add_sizes(&c);
	c.file = packs_after(&s->packs, 0);
	while (rc == 0 && c.file) {
		rc = check_pack(&c);
		c.done += packfile_durable(c.file);
		if (o->progress)
			o->progress(o->ctx, c.done < c.all ? c.done : c.all,
				    c.all);
		if (rc == 0 && o->stop && o->stop(o->ctx))
			rc = -ECANCELED;
		c.file = packs_after(&s->packs, c.file->number);
	}
	store_checker_team_close(&c);
	store_slot_give(s, c.slot);
	free(c.p);
	free(c.good);
	return rc < 0 ? errmsg_set(em, rc, "packs: %s", err_text(rc)) : 0;
}
