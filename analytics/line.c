/*
 * line.c - entries as lines of JSON.
 *
 * Invariant: nothing in a line depends on what is later in the log, so that
 * byte offsets in log.jsonl stay valid for ever.
 */
#include "analytics/line.h"

#include <stdio.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/argv.h"
#include "ledger/entry.h"
#include "ledger/entry_json.h"
#include "ledger/frame.h"
#include "ledger/ledger.h"
#include "ledger/seal.h"

/* --- pieces --- */

void line_no(struct buf *out, uint64_t no)
{
	buf_addf(out, "\"%llu.%u\"", (unsigned long long)IDX_SEAL(no),
		 IDX_POS(no));
}

void line_bytes(struct buf *out, const char *key, const void *p, size_t n)
{
	if (!n || text_is_utf8(p, n))
		return;
	buf_addf(out, ",\"%s\":\"", key);
	text_hex(out, p, n);
	buf_addc(out, '"');
}

static void both(struct buf *out, const char *key, const char *hex_key,
		 const void *p, size_t n)
{
	buf_addf(out, "\"%s\":", key);
	text_json_string(out, n ? p : "", n);
	line_bytes(out, hex_key, p, n);
}

void line_text(struct buf *out, const char *key, const void *p, size_t n)
{
	char hex_key[64];

	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	both(out, key, hex_key, p, n);
}

void line_label(struct buf *out, const void *p, size_t n)
{
	both(out, "prov:label", "vouchfs:label_hex", p, n);
}

void line_time(struct buf *out, int64_t ns)
{
	char t[TEXT_TIME_SIZE];

	text_time(t, ns);
	buf_addf(out, "\"%s\"", t);
}

int line_actor(struct idx_reader *r, struct buf *out, uint64_t no)
{
	struct idx_actor a;
	int rc = no ? idx_actor(r, &a, no) : 0;

	if (rc <= 0) {
		buf_adds(out, "null");
		return rc;
	}
	buf_adds(out, "{\"entry\":");
	line_no(out, no);
	buf_addf(out, ",\"uid\":%u,\"gid\":%u,\"pid\":%u,", a.uid, a.gid,
		 a.tgid);
	line_text(out, "exe", a.exe.p, a.exe.n);
	buf_adds(out, ",\"argv\":");
	argv_json(out, a.argv.p, a.argv.n);
	buf_addc(out, ',');
	line_text(out, "cwd", a.cwd.p, a.cwd.n);
	buf_addc(out, ',');
	line_text(out, "host", a.host.p, a.host.n);
	if (a.parent_no) {
		buf_adds(out, ",\"parent\":");
		line_no(out, a.parent_no);
	}
	buf_addc(out, '}');
	idx_actor_release(&a);
	return 1;
}

/* --- entries --- */

static void put_line(struct buf *out, const struct entry *e,
		     const struct digest *leaf, const struct idx_entry *row,
		     uint32_t mount_no)
{
	struct entry_json j = {
		.seal_index = IDX_SEAL(row->no),
		.position = IDX_POS(row->no),
		.mount_no = mount_no,
		.leaf = leaf,
		.entry = e,
		.actor_no = row->actor_no ? (int64_t)row->actor_no : -1,
		.note = row->rejected ? "rejected" : NULL,
	};

	entry_json(out, &j);
}

/* A line even for what this version cannot decode. */
static void put_stored(struct buf *out, const uint8_t *p, uint32_t n,
		       const struct idx_entry *row, uint32_t mount_no)
{
	struct entry e;
	struct entry_view v;
	struct digest leaf;

	if (entry_decode(&v, p, n) < 0) {
		buf_adds(out, "{\"entry\":");
		line_no(out, row->no);
		buf_adds(out, ",\"note\":\"damaged\"}\n");
		return;
	}
	entry_view_leaf(&leaf, &v);
	if (entry_open(&e, NULL, p, n, NULL) < 0) {
		memset(&e, 0, sizeof(e));
		e.core = v.core;
		e.state = v.state;
		e.body.opaque = true;
	}
	put_line(out, &e, &leaf, row, mount_no);
}

struct seal_rows {
	struct idx_entry *v;
	uint64_t seal;
	uint32_t n;
};

static int add_row(void *ctx, const struct idx_entry *e)
{
	struct seal_rows *s = ctx;

	if (IDX_POS(e->no) < s->n)
		s->v[IDX_POS(e->no)] = *e;
	return 0;
}

int line_seal(struct core *c, struct idx_reader *r, struct buf *out,
	      uint64_t seal)
{
	autofree struct idx_entry *rows = NULL;
	struct seal_rows s = { .seal = seal };
	struct ledger_record rec;
	struct seal head;
	const uint8_t *p, *e = NULL;
	size_t left;
	uint32_t n = 0;
	int rc = ledger_read(core_ledger(c), &rec, seal);

	if (rc < 0)
		return rc;
	rc = seal_decode(&head, rec.seal_bytes, rec.seal_len);
	rows = calloc(rec.count ? rec.count : 1, sizeof(*rows));
	if (!rows)
		rc = -ENOMEM;
	s.v = rows;
	s.n = rec.count;
	if (rc >= 0)
		rc = idx_entries(r, IDX_ENTRY_NO(seal, 0),
				 IDX_ENTRY_NO(seal, LIMIT_BATCH - 1),
				 LIMIT_BATCH, add_row, &s);
	p = rec.bytes;
	left = rec.len;
	for (uint32_t i = 0; i < rec.count && rc >= 0; i++) {
		if (frame_next_entry(&p, &left, &e, &n) <= 0) {
			rc = -ERR_CORRUPT;
			break;
		}
		rows[i].no = IDX_ENTRY_NO(seal, i);
		put_stored(out, e, n, &rows[i], head.mount_no);
	}
	ledger_record_release(&rec);
	return rc < 0 ? rc : out->bad ? -ENOMEM : 0;
}

int line_load(struct core *c, struct buf *stored, struct entry *out,
	      uint64_t no)
{
	int rc;

	buf_clear(stored);
	rc = ledger_read_entry(core_ledger(c), stored, NULL, no);
	return rc < 0 ? rc : entry_open(out, NULL, stored->p, stored->n, NULL);
}

int line_entry(struct core *c, struct idx_reader *r, struct buf *out,
	       const struct idx_entry *e)
{
	struct buf stored = BUF_INIT;
	struct idx_seal_row seal = { .mount_no = 0 };
	int rc = ledger_read_entry(core_ledger(c), &stored, NULL, e->no);

	if (rc >= 0)
		rc = idx_seal_get(r, &seal, IDX_SEAL(e->no));
	if (rc >= 0)
		put_stored(out, stored.p, (uint32_t)stored.n, e, seal.mount_no);
	buf_release(&stored);
	return rc < 0 ? rc : out->bad ? -ENOMEM : 0;
}

/* The entry that released the bytes of a version. */
static int put_released(struct idx_reader *r, struct buf *out,
			const struct idx_entry *e)
{
	struct idx_version v = { .released_no = 0 };
	int rc = 0;

	if (e->kind == ENTRY_VERSION && !e->rejected)
		rc = idx_version(r, &v, e->inode, e->version);
	if (rc > 0 && v.released_no) {
		buf_adds(out, ",\"released\":");
		line_no(out, v.released_no);
	}
	return rc < 0 ? rc : 0;
}

int line_history(struct core *c, struct idx_reader *r, struct buf *out,
		 const struct idx_entry *e, uint64_t ino)
{
	struct buf path = BUF_INIT;
	int rc = line_entry(c, r, out, e);

	if (rc < 0)
		return rc;
	if (out->n >= 2) { /* the closing brace and the newline */
		out->n -= 2;
		out->p[out->n] = '\0';
	}
	rc = idx_path(r, &path, ino, e->no);
	if (rc > 0) {
		buf_addc(out, ',');
		line_text(out, "path_then", path.p, path.n);
	}
	buf_release(&path);
	if (rc >= 0)
		rc = put_released(r, out, e);
	if (rc >= 0 && e->actor_no) {
		buf_adds(out, ",\"by\":");
		rc = line_actor(r, out, e->actor_no);
	}
	buf_adds(out, "}\n");
	return rc < 0 ? rc : out->bad ? -ENOMEM : 0;
}
