/* verify.c - see verify.h. */
#include "mount-tools/verify.h"

#include <string.h>

#include "base/text.h"
#include "mount-tools/hint.h"
#include "mount-tools/print.h"

void verify_found(struct verify *v, const char *words)
{
	struct buf filled = BUF_INIT;

	if (v->found.n)
		buf_addc(&v->found, ',');
	text_json_string(&v->found, words, strlen(words));
	if (v->format == OPT_AS_JSON)
		return;
	buf_adds(&v->lines, "  ");
	hint_fill(&filled, words);
	text_term_escape(&v->lines, filled.p, filled.n);
	buf_addc(&v->lines, '\n');
	buf_release(&filled);
}

static void on_found(void *ctx, const char *words)
{
	verify_found(ctx, words);
}

static void on_progress(void *ctx, const char *part, uint64_t done,
			uint64_t all)
{
	struct verify *v = ctx;

	v->bar.bytes = strcmp(part, "chunks") == 0;
	progress_set(&v->bar, done, all);
}

int verify_offline(struct verify *v, struct ledger *l, struct store *s,
		   struct errmsg *em)
{
	const struct fsck_options o = {
		.deep = v->deep,
		.consistent_with = v->note.n ? (char *)v->note.p : NULL,
		.found = on_found,
		.progress = on_progress,
		.ctx = v,
	};
	int rc;

	progress_start(&v->bar, "verifying", false);
	rc = fsck_verify(l, s, &v->report, &o, em);
	progress_end(&v->bar);
	return rc;
}

/* What fsck looked at besides; what was wrong with it is told below. */
static void fsck_add(const struct verify *v, struct buf *out)
{
	if (v->index_same)
		buf_adds(out, "index     row for row as one made anew from "
			      "the log\n");
	if (!v->deep) {
		buf_adds(out, "packs     ");
		print_count(out, v->packs, "pack");
		buf_adds(out, ": names, headers, footers\n");
	}
	buf_adds(out, "files     volume.conf, keys, guard");
	if (v->replicas) {
		buf_adds(out, ", ");
		print_count(out, v->replicas, "replica");
	}
	buf_addc(out, '\n');
}

static void text_add(struct verify *v, struct buf *out)
{
	const struct fsck_report *r = &v->report;
	char size[TEXT_SIZE_SIZE];

	text_size(size, r->store.bytes);
	buf_adds(out, "log       ");
	print_count(out, r->log.seals, "seal");
	buf_addf(out, ", %llu %s: ", (unsigned long long)r->log.entries,
		 r->log.entries == 1 ? "entry" : "entries");
	print_count(out, r->log.signatures, "signature");
	buf_adds(out, ", ");
	print_count(out, r->log.tiles, "tile");
	buf_addc(out, '\n');
	if (v->note.n)
		buf_adds(out, "          compared with the checkpoint given\n");
	if (r->log.redacted)
		buf_addf(out, "          %llu entries are redacted\n",
			 (unsigned long long)r->log.redacted);
	if (v->deep) {
		buf_addf(out, "chunks    %llu in ",
			 (unsigned long long)r->store.chunks);
		print_count(out, r->store.packs, "pack");
		buf_addf(out, ", %s read\nversions  %llu, ", size,
			 (unsigned long long)r->versions);
		print_count(out, r->missing, "chunk");
		buf_adds(out, " missing\n");
		if (r->released)
			buf_addf(out,
				 "          %llu of them released: their bytes "
				 "may be gone\n",
				 (unsigned long long)r->released);
	}
	if (v->fsck)
		fsck_add(v, out);
	if (r->store.repaired)
		buf_addf(out, "repaired  %llu from replicas\n",
			 (unsigned long long)r->store.repaired);
}

static void json_add(struct verify *v, struct buf *out, bool ok)
{
	const struct fsck_report *r = &v->report;

	buf_addf(out, "{\"ok\":%s,\"deep\":%s,\"seals\":%llu",
		 ok ? "true" : "false", v->deep ? "true" : "false",
		 (unsigned long long)r->log.seals);
	buf_addf(out, ",\"entries\":%llu,\"signatures\":%llu,\"tiles\":%llu",
		 (unsigned long long)r->log.entries,
		 (unsigned long long)r->log.signatures,
		 (unsigned long long)r->log.tiles);
	buf_addf(out, ",\"redacted\":%llu,\"packs\":%llu,\"chunks\":%llu",
		 (unsigned long long)r->log.redacted,
		 (unsigned long long)r->store.packs,
		 (unsigned long long)r->store.chunks);
	buf_addf(out, ",\"bytes\":%llu,\"versions\":%llu,\"missing\":%llu",
		 (unsigned long long)r->store.bytes,
		 (unsigned long long)r->versions,
		 (unsigned long long)r->missing);
	buf_addf(out, ",\"released\":%llu", (unsigned long long)r->released);
	if (v->repairs.n)
		buf_addf(out, ",\"repairs\":[%s]", (char *)v->repairs.p);
	buf_addf(out, ",\"repaired\":%llu,\"damaged\":%llu,\"found\":[%s]}\n",
		 (unsigned long long)r->store.repaired,
		 (unsigned long long)r->damaged,
		 v->found.n ? (char *)v->found.p : "");
}

/* What scrub put right is no damage any more. */
static bool is_good(const struct verify *v)
{
	return (v->repair ? v->report.left : v->report.damaged) == 0;
}

static void damage_add(struct buf *out, uint64_t places)
{
	buf_addf(out, "DAMAGED   in %llu place%s\n", (unsigned long long)places,
		 places == 1 ? "" : "s");
}

static const char *good_words(const struct verify *v)
{
	if (v->deep)
		return "nothing is damaged, nothing is missing";
	return v->fsck ? "all of that fits together; --deep reads the "
			 "content, too" :
			 "the log is whole; --deep reads the content, too";
}

int verify_print(struct verify *v)
{
	struct buf out = BUF_INIT;
	bool ok = is_good(v);
	int rc;

	if (v->format == OPT_AS_JSON) {
		json_add(v, &out, ok);
	} else {
		text_add(v, &out);
		if (v->lines.n)
			buf_addf(&out, "found\n%s", (char *)v->lines.p);
		if (v->report.damaged == 0)
			buf_addf(&out, "good      %s\n", good_words(v));
		else if (ok)
			buf_adds(&out, "good      all of it was repaired\n");
		else
			damage_add(&out, v->repair ? v->report.left :
						     v->report.damaged);
	}
	rc = print_flush(&out);
	buf_release(&out);
	return rc < 0 || !ok;
}

void verify_release(struct verify *v)
{
	buf_release(&v->note);
	buf_release(&v->found);
	buf_release(&v->lines);
	buf_release(&v->repairs);
}
