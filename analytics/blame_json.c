/*
 * blame_json.c - what blame.h found, as one JSON object.
 */
#include <string.h>

#include "analytics/blame.h"
#include "analytics/line.h"
#include "analytics/spool.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "index/idx.h"
#include "index/idx_runs.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "ledger/seal.h"

enum { INPUTS_MAX = 64 }; /* of a version; how many more is told */

static void put_hex(struct buf *out, const char *key, const void *p, size_t n)
{
	buf_addf(out, ",\"%s\":\"", key);
	text_hex(out, p, n);
	buf_addc(out, '"');
}

/* Who signed the seal that the entry lies in. */
static int put_signer(struct core *c, struct buf *out, uint64_t no)
{
	struct ledger_record rec;
	struct seal seal;
	int rc = ledger_read(core_ledger(c), &rec, IDX_SEAL(no));

	if (rc < 0)
		return rc;
	rc = seal_decode(&seal, rec.seal_bytes, rec.seal_len);
	if (rc >= 0) {
		buf_addf(out, ",\"signer\":{\"mount\":%u", seal.mount_no);
		put_hex(out, "key", seal.key_id, sizeof(seal.key_id));
		buf_addc(out, '}');
	}
	ledger_record_release(&rec);
	return rc;
}

/* The process, and the run that it belonged to. */
static int put_actor(struct idx_reader *r, struct buf *out, uint64_t no)
{
	static const uint8_t none[16];
	char word[RUN_WORD_MAX];
	struct idx_actor a;
	struct idx_run run;
	int rc = no ? idx_actor(r, &a, no) : 0;

	if (rc > 0) {
		if (memcmp(a.run, none, sizeof(none)) != 0)
			rc = idx_run_by_id(r, &run, a.run);
		else
			rc = 0;
		idx_actor_release(&a);
	}
	if (rc > 0) {
		idx_run_word(word, &run);
		buf_adds(out, ",");
		line_text(out, "run", word, strlen(word));
	}
	if (rc < 0)
		return rc;
	buf_adds(out, ",\"actor\":");
	rc = line_actor(r, out, no);
	return rc < 0 ? rc : 0;
}

/* --- what its writer had opened --- */

struct inputs {
	struct core *core;
	struct idx_reader *r;
	const struct cred *cr;
	struct buf *out;
	unsigned n;
};

static int put_input(void *ctx, const struct idx_read_item *item)
{
	struct inputs *x = ctx;
	const char *word = entry_strength_word(item->strength);
	struct buf path = BUF_INIT;
	bool gone = false, hidden;
	int rc = 0;

	if (x->n++ >= INPUTS_MAX)
		return 0;
	hidden = x->cr &&
		 (!item->ino || core_may_read(x->core, x->cr, item->ino) < 0);
	buf_adds(x->out, x->n > 1 ? ",{" : "{");
	if (hidden) {
		buf_adds(x->out, "\"hidden\":true}");
		return 0;
	}
	buf_addf(x->out, "\"strength\":\"%s\"", word ? word : "unknown");
	if (item->target_no) {
		buf_adds(x->out, ",\"entry\":");
		line_no(x->out, item->target_no);
	}
	if (item->ino) {
		buf_addf(x->out, ",\"inode\":%llu,\"version\":%llu",
			 (unsigned long long)item->ino,
			 (unsigned long long)item->version);
		rc = idx_path(x->r, &path, item->ino, item->reads_no);
		if (rc == 0)
			rc = idx_path_last(x->r, &path, item->ino, &gone);
	}
	if (rc > 0) {
		buf_addc(x->out, ',');
		line_text(x->out, "path", path.p, path.n);
	}
	buf_release(&path);
	buf_addc(x->out, '}');
	return rc < 0 ? rc : 0;
}

static int put_inputs(struct inputs *x, uint64_t head)
{
	int rc;

	x->n = 0;
	buf_adds(x->out, ",\"opened\":[");
	rc = head ? idx_inputs(x->r, head, put_input, x) : 0;
	buf_addc(x->out, ']');
	if (x->n > INPUTS_MAX)
		buf_addf(x->out, ",\"opened_more\":%u", x->n - INPUTS_MAX);
	return rc < 0 ? rc : 0;
}

/* --- the object --- */

static int put_version(struct inputs *x, const struct idx_version *v)
{
	const char *word = entry_strength_word(v->attribution);
	struct buf path = BUF_INIT;
	int rc = idx_path(x->r, &path, v->ino, v->no);

	buf_adds(x->out, "{\"entry\":");
	line_no(x->out, v->no);
	buf_addf(x->out, ",\"inode\":%llu,\"version\":%llu,\"time\":",
		 (unsigned long long)v->ino, (unsigned long long)v->version);
	line_time(x->out, v->wall_ns);
	if (rc > 0) {
		buf_addc(x->out, ',');
		line_text(x->out, "path", path.p, path.n);
	}
	buf_release(&path);
	buf_addf(x->out, ",\"strength\":\"%s\"", word ? word : "unknown");
	if (rc >= 0)
		rc = put_actor(x->r, x->out, v->actor_no);
	if (rc >= 0)
		rc = put_signer(x->core, x->out, v->no);
	if (rc >= 0)
		rc = put_inputs(x, v->reads_no);
	buf_addc(x->out, '}');
	return rc < 0 ? rc : x->out->bad ? -ENOMEM : 0;
}

static void put_part(struct buf *out, const struct blame *b,
		     const struct blame_part *p)
{
	uint64_t first = p->first + b->lines; /* lines count from 1 */

	buf_addf(out, "{\"first\":%llu,\"last\":%llu,\"version\":%u%s}",
		 (unsigned long long)first,
		 (unsigned long long)(first + p->n - 1), p->who,
		 p->or_older ? ",\"or_older\":true" : "");
}

int blame_json(const struct blame *b, struct core *c, struct idx_reader *r,
	       const struct cred *cr, struct spool *out)
{
	struct buf s = BUF_INIT;
	struct inputs x = { .core = c, .r = r, .cr = cr, .out = &s };
	int rc = 0;

	buf_addf(&s, "{\"inode\":%llu,\"entry\":", (unsigned long long)b->ino);
	line_no(&s, b->v.no);
	buf_addf(&s, ",\"unit\":\"%s\",\"count\":%llu,\"looked_at\":%llu",
		 b->lines ? "line" : "byte", (unsigned long long)b->all,
		 (unsigned long long)b->steps);
	buf_adds(&s, ",\"versions\":[");
	for (size_t i = 0; rc >= 0 && i < b->n_who; i++) {
		buf_adds(&s, i ? ",\n" : "\n");
		rc = put_version(&x, &b->who[i]);
		spool_buf(out, &s);
	}
	buf_adds(&s, "],\"parts\":[");
	for (size_t i = 0; rc >= 0 && i < b->n_parts; i++) {
		buf_adds(&s, i ? ",\n" : "\n");
		put_part(&s, b, &b->parts[i]);
		spool_buf(out, &s);
	}
	buf_adds(&s, "]}\n");
	spool_buf(out, &s);
	buf_release(&s);
	return rc < 0 ? rc : out->rc;
}
