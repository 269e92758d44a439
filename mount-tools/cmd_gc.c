/*
 * cmd_gc.c - `vouch gc`: releases the versions that the retention policy lets
 * go, and gives back the space of all that nothing needs any more.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "index/idx.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/vouch.h"
#include "mount-tools/watch.h"

static uint64_t number(const struct json *o, const char *key)
{
	uint64_t v = 0;

	(void)!json_get_u64(o, key, &v);
	return v;
}

static const char *part_title(const char *part, bool *out_bytes)
{
	*out_bytes = false;
	if (strcmp(part, "release") == 0)
		return "looking at old versions";
	if (strcmp(part, "mark") == 0)
		return "marking what is needed";
	if (strcmp(part, "look") == 0)
		return "looking at packs";
	*out_bytes = true;
	return "rewriting packs";
}

static void add_size(struct buf *out, uint64_t bytes)
{
	char size[TEXT_SIZE_SIZE];

	text_size(size, bytes);
	buf_adds(out, size);
}

static void released_text(struct buf *out, const struct json *a, bool dry)
{
	uint64_t policy = number(a, "policy"), n = number(a, "released");

	buf_adds(out, "policy    ");
	if (policy) {
		buf_adds(out, "entry ");
		print_number(out, policy);
		buf_addc(out, '\n');
	} else {
		buf_adds(out, "none: every version is kept (see vouch "
			      "retain)\n");
	}
	buf_adds(out, dry ? "would go  " : "released  ");
	print_count(out, n, "version");
	if (n) {
		buf_adds(out, " of ");
		print_count(out, number(a, "files"), "file");
		buf_adds(out, ", ");
		add_size(out, number(a, "released_bytes"));
		buf_adds(out, " as files");
	}
	buf_addc(out, '\n');
	if (number(a, "digests")) {
		buf_adds(out, "          ");
		print_count(out, number(a, "digests"), "plain digest");
		buf_adds(out, " made first, so that copies can be proved\n");
	}
	if (number(a, "undigested"))
		buf_addf(out,
			 "          %llu of deleted files have none: the tree "
			 "root alone tells what they held\n",
			 (unsigned long long)number(a, "undigested"));
	if (number(a, "held") || number(a, "snapshots")) {
		buf_adds(out, "kept      ");
		print_count(out, number(a, "held"), "version");
		buf_addf(out,
			 " held, %llu in snapshots, that the policy "
			 "would let go\n",
			 (unsigned long long)number(a, "snapshots"));
	}
}

static void packs_text(struct buf *out, const struct json *a, bool dry)
{
	uint64_t before = number(a, "bytes_before");
	uint64_t after = number(a, "bytes_after");

	buf_adds(out, "packs     ");
	print_count(out, number(a, "packs_before"), "pack");
	buf_adds(out, " of ");
	add_size(out, before);
	if (!dry) {
		buf_addf(out, ", now %llu of ",
			 (unsigned long long)number(a, "packs_after"));
		add_size(out, after);
	}
	buf_addf(out, ": %llu %s, %llu %s\n",
		 (unsigned long long)number(a, "packs_deleted"),
		 dry ? "to be deleted" : "deleted",
		 (unsigned long long)number(a, "packs_rewritten"),
		 dry ? "to be rewritten" : "rewritten");
	if (number(a, "chunks_leased")) {
		buf_adds(out, "          ");
		print_count(out, number(a, "chunks_leased"), "chunk");
		buf_adds(out, " kept for what runs now\n");
	}
	if (number(a, "packs_kept")) {
		buf_adds(out, "          ");
		print_count(out, number(a, "packs_kept"), "pack");
		buf_adds(out,
			 " left alone: damaged, or a replica may have more "
			 "of them (vouch scrub)\n");
	}
	buf_adds(out, dry ? "would free " : "freed     ");
	if (json_get_bool(a, "at_least", false))
		buf_adds(out, "at least ");
	add_size(out, dry	     ? number(a, "bytes_freed") :
		      before > after ? before - after :
				       0);
	if (number(a, "packs_deleted") + number(a, "packs_rewritten") == 0)
		buf_adds(out, ": no pack holds enough that nothing needs "
			      "(see --threshold)");
	buf_addc(out, '\n');
}

static void found_text(struct buf *out, const struct json *a)
{
	const struct json *list = json_get(a, "found");

	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const char *words = json_str(v);

		if (!words)
			continue;
		buf_adds(out, "  ");
		text_term_escape(out, words, strlen(words));
		buf_addc(out, '\n');
	}
}

static void found_json(struct buf *out, const struct json *a)
{
	const struct json *list = json_get(a, "found");
	bool first = true;

	buf_adds(out, ",\"found\":[");
	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const char *words = json_str(v);

		if (!words)
			continue;
		buf_adds(out, first ? "" : ",");
		text_json_string(out, words, strlen(words));
		first = false;
	}
	buf_addc(out, ']');
}

static void json_text(struct buf *out, const struct json *a, bool dry)
{
	static const char *const keys[] = {
		"candidates",	   "released",	    "released_bytes",
		"files",	   "entries",	    "held",
		"snapshots",	   "wrong",	    "digests",
		"undigested",	   "packs_before",  "packs_after",
		"bytes_before",	   "bytes_after",   "packs_deleted",
		"packs_rewritten", "packs_kept",    "chunks_freed",
		"bytes_freed",	   "chunks_copied", "bytes_copied",
		"chunks_leased",
	};
	uint64_t policy = number(a, "policy");

	buf_addf(out, "{\"ok\":true,\"dry_run\":%s", dry ? "true" : "false");
	if (policy) {
		buf_adds(out, ",\"policy\":\"");
		print_number(out, policy);
		buf_addc(out, '"');
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		buf_addf(out, ",\"%s\":%llu", keys[i],
			 (unsigned long long)number(a, keys[i]));
	if (json_get_bool(a, "at_least", false))
		buf_adds(out, ",\"at_least\":true");
	found_json(out, a);
	buf_adds(out, "}\n");
}

static int say(const struct json *a, enum opt_format format, bool dry)
{
	struct buf out = BUF_INIT;
	int rc;

	if (format == OPT_AS_JSON) {
		json_text(&out, a, dry);
	} else {
		released_text(&out, a, dry);
		packs_text(&out, a, dry);
		found_text(&out, a);
	}
	rc = print_flush(&out);
	buf_release(&out);
	return rc < 0;
}

int cmd_gc(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	bool dry = false, drop = false;
	uint64_t threshold = 0, rate = 0;
	const struct opt options[] = {
		{ 'n', "dry-run", OPT_FLAG, &dry, NULL,
		  "only tell what would be done" },
		{ 0, "threshold", OPT_NUMBER, &threshold, "PERCENT",
		  "rewrite packs of which less is needed (75)" },
		{ 0, "rate", OPT_NUMBER, &rate, "MIB",
		  "copy at most so much a second" },
		{ 0, "drop-saves", OPT_FLAG, &drop, NULL,
		  "also what was saved between two versions" },
		OPT_FORMAT(&format),
		OPT_END,
	};
	const struct watch_options watch = { .title = "gc",
					     .stop = "gc-stop",
					     .part = part_title };
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	struct ctl_place place;
	struct buf b = BUF_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 1), rc;

	if (status != OPT_GO)
		return status;
	if (threshold > 100)
		return opt_misuse("gc", "--threshold is a percentage: 1 to "
					"100");
	if (rate > UINT32_MAX)
		return opt_misuse("gc", "--rate is too large");
	rc = ctl_find_volume(&place, argv[0], &em);
	buf_addf(&b,
		 "\"verb\":\"gc\",\"dry_run\":%s,\"drop_saves\":%s,"
		 "\"threshold\":%llu,\"rate\":%llu",
		 dry ? "true" : "false", drop ? "true" : "false",
		 (unsigned long long)threshold, (unsigned long long)rate);
	if (rc == 0)
		rc = b.bad ? -ENOMEM :
			     watch_ask(&answer, &place, (char *)b.p, &watch,
				       &em);
	status = rc < 0 ? opt_fail("gc", rc, &em) :
			  say(json_root(answer), format, dry);
	buf_release(&b);
	json_free(answer);
	ctl_place_release(&place);
	return status;
}
