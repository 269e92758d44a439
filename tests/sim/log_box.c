/*
 * log_box.c - a ledger for tests; see log_box.h.  One thread.
 */
#include "tests/sim/log_box.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/vio.h"
#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/note.h"

enum { BATCH_MAX = 512, CHUNKS_MAX = 16 };

void log_box_init(struct log_box *b, struct vio *vio, struct vio *guard)
{
	memset(b, 0, sizeof(*b));
	b->vio = vio;
	b->guard = guard;
	b->wal_bytes = 1 << 20;
	b->journal_bytes = 64 << 10;
}

int log_box_create(struct log_box *b)
{
	struct ledger_create_options o = {
		.vio = b->vio,
		.guard_vio = b->guard,
		.origin = "example.org/box",
		.keys_dir = "keys",
		.root_mode = 0755,
		.wal_segment_bytes = b->wal_bytes,
		.journal_segment_bytes = b->journal_bytes,
	};
	int rc;

	b->em = (struct errmsg)ERRMSG_INIT;
	rc = ledger_create(&o, &b->em);
	if (rc == 0)
		b->n = 1; /* leaf 0 is not ours: count 0 */
	return rc;
}

static int on_chunk(void *ctx, const struct ledger_chunk *c)
{
	struct log_box *b = ctx;

	b->chunks_given++;
	return c->stored_len == c->raw_len ? 0 : -ERR_CORRUPT;
}

static int open_box(struct log_box *b, bool read_only)
{
	struct ledger_options o = {
		.vio = b->vio,
		.guard_vio = b->guard,
		.read_only = read_only,
		.on_chunk = on_chunk,
		.ctx = b,
		.wal_segment_bytes = b->wal_bytes,
		.journal_segment_bytes = b->journal_bytes,
	};

	b->em = (struct errmsg)ERRMSG_INIT;
	b->chunks_given = 0;
	return ledger_open(&b->l, &o, &b->em);
}

int log_box_open(struct log_box *b)
{
	return open_box(b, false);
}

int log_box_open_read_only(struct log_box *b)
{
	return open_box(b, true);
}

void log_box_close(struct log_box *b)
{
	ledger_close(b->l);
	b->l = NULL;
}

void log_box_entry(struct buf *out, struct digest *leaf, uint64_t counter)
{
	struct entry e = { .body = { .kind = ENTRY_SETXATTR } };
	uint8_t salt[16] = { 0 }, value[256];
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "user.n%" PRIu64, counter);
	memcpy(salt, &counter, sizeof(counter));
	memset(value, (int)(counter * 7), sizeof(value));
	e.core.kind = ENTRY_SETXATTR;
	e.core.inode = ENTRY_INODE_ROOT;
	e.core.wall_ns = (int64_t)counter;
	e.body.setxattr.name = ENTRY_STR(name);
	e.body.setxattr.value = value;
	e.body.setxattr.value_n = (uint32_t)(counter % sizeof(value));
	rc = entry_store(out, leaf, &e, salt);
	if (rc < 0) {
		fprintf(stderr, "entry %" PRIu64 ": %s\n", counter,
			err_text(rc));
		abort();
	}
}

static void make_chunk(struct ledger_chunk *c, uint8_t *bytes, uint32_t n,
		       uint64_t seed)
{
	memset(bytes, (int)seed, n);
	memcpy(bytes, &seed, sizeof(seed));
	digest_blake3(&c->id, bytes, n);
	c->type = 1;
	c->codec = 0;
	c->raw_len = c->stored_len = n;
	c->stored = bytes;
}

int log_box_commit(struct log_box *b, uint32_t n, uint32_t m)
{
	static uint8_t stored[CHUNKS_MAX][1000];
	struct ledger_entry entries[BATCH_MAX];
	struct ledger_chunk chunks[CHUNKS_MAX];
	size_t at[BATCH_MAX];
	struct ledger_frame *f = NULL;
	struct buf bytes = BUF_INIT;
	uint64_t seal = 0;
	int rc;

	if (n > BATCH_MAX || m > CHUNKS_MAX || b->n >= LOG_BOX_SEALS)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		at[i] = bytes.n;
		log_box_entry(&bytes, &entries[i].leaf, b->counter + i);
		entries[i].len = (uint32_t)(bytes.n - at[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		entries[i].bytes = bytes.p + at[i];
	for (uint32_t i = 0; i < m; i++)
		make_chunk(&chunks[i], stored[i], sizeof(stored[i]),
			   b->counter * CHUNKS_MAX + i + 1);
	rc = ledger_seal(b->l, &f, &seal, entries, n, chunks, m);
	if (rc == 0)
		rc = ledger_commit(b->l, f);
	buf_release(&bytes);
	if (rc < 0)
		return rc;
	if (seal != b->n) {
		fprintf(stderr,
			"seal %" PRIu64 " where %" PRIu64 " was expected\n",
			seal, b->n);
		abort();
	}
	b->first[seal] = b->counter;
	b->count[seal] = n;
	b->counter += n;
	b->n = seal + 1;
	return 0;
}

static int settle(void *ctx, const struct digest *ids, size_t n)
{
	(void)ctx;
	(void)ids;
	(void)n;
	return 0;
}

static int settle_flush(void *ctx)
{
	(void)ctx;
	return 0;
}

int log_box_settle(struct log_box *b)
{
	struct ledger_settle_ops ops = { settle, settle_flush, NULL };
	int rc;

	do
		rc = ledger_settle(b->l, 16, &ops);
	while (rc > 0);
	return rc;
}

void log_box_keep_note(struct log_box *b)
{
	struct buf note = BUF_INIT;

	if (vio_read_file(b->vio, &note, "ledger/checkpoint",
			  LOG_BOX_NOTE - 1) == 0 &&
	    (b->n_notes == 0 ||
	     strcmp(b->notes[b->n_notes - 1], (char *)note.p) != 0)) {
		if (b->n_notes == LOG_BOX_NOTES)
			abort();
		memcpy(b->notes[b->n_notes++], note.p, note.n + 1);
	}
	buf_release(&note);
}

int log_box_checkpoint(struct log_box *b)
{
	int rc;

	b->em = (struct errmsg)ERRMSG_INIT;
	rc = ledger_checkpoint(b->l, &b->em);
	if (rc == 0)
		log_box_keep_note(b);
	return rc;
}

static bool seal_intact(struct log_box *b, uint64_t seal)
{
	struct buf want = BUF_INIT;
	struct ledger_record r;
	struct digest leaf;
	bool ok;
	int rc = ledger_read(b->l, &r, seal);

	if (rc < 0) {
		fprintf(stderr, "seal %" PRIu64 ": %s\n", seal, err_text(rc));
		return false;
	}
	ok = b->count[seal] == 0 || r.count == b->count[seal];
	for (uint32_t i = 0; ok && i < b->count[seal]; i++) {
		const uint8_t *p = NULL;
		uint32_t n = 0;

		buf_clear(&want);
		log_box_entry(&want, &leaf, b->first[seal] + i);
		ok = ledger_record_entry(&r, i, &p, &n) == 0 && n == want.n &&
		     memcmp(p, want.p, n) == 0;
	}
	if (!ok)
		fprintf(stderr, "seal %" PRIu64 " has other bytes\n", seal);
	buf_release(&want);
	ledger_record_release(&r);
	return ok;
}

bool log_box_intact(struct log_box *b)
{
	uint64_t size = ledger_size(b->l);

	if (size < b->n || size > b->n + 1) {
		fprintf(stderr,
			"%" PRIu64 " seals, %" PRIu64 " were acknowledged\n",
			size, b->n);
		return false;
	}
	for (uint64_t i = 0; i < b->n; i++)
		if (!seal_intact(b, i))
			return false;
	return true;
}

bool log_box_consistent(struct log_box *b)
{
	for (unsigned i = 0; i < b->n_notes; i++) {
		struct checkpoint c;
		struct digest root;
		struct note note;

		if (note_parse(&note, b->notes[i], strlen(b->notes[i])) < 0 ||
		    checkpoint_parse(&c, note.text, note.text_n) < 0 ||
		    ledger_root_at(b->l, c.size, &root) < 0 ||
		    !digest_eq(&root, &c.root)) {
			fprintf(stderr, "contradicted:\n%s", b->notes[i]);
			return false;
		}
	}
	return true;
}

static void found(void *ctx, const char *words)
{
	if (*(bool *)ctx)
		fprintf(stderr, "verify: %s\n", words);
}

int64_t log_box_verify(struct log_box *b, bool print)
{
	struct ledger_verify_options o = { .found = found, .ctx = &print };
	struct ledger_verify_report r;
	int rc;

	b->em = (struct errmsg)ERRMSG_INIT;
	rc = ledger_verify(b->l, &r, &o, &b->em);
	return rc < 0 ? rc : (int64_t)r.damaged;
}
