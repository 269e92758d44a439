/*
 * attest_openlineage.c - OpenLineage 2-0-2 run events.
 *
 * A declared run gives START, and one of COMPLETE, FAIL and ABORT once it
 * ended; what nobody declared gives one event of type OTHER: neither its start
 * nor its end is known.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analytics/attest_int.h"
#include "analytics/line.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

#define PRODUCER "urn:vouchfs:" VOUCHFS_VERSION
#define SPEC "https://openlineage.io/spec/"

/* 16 bytes as a UUID. */
static void put_uuid(struct buf *out, const uint8_t id[16])
{
	for (unsigned i = 0; i < 16; i++)
		buf_addf(out, "%s%02x",
			 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			 id[i]);
}

/* A run's own id; without a run one that the entry gives, always the same. */
static void put_run_id(const struct attest *a, struct buf *out)
{
	const char label[] = "vouchfs openlineage run v1\n";
	struct digest d;
	uint8_t no[8];

	if (a->has_run) {
		put_uuid(out, a->run.id);
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		no[i] = (uint8_t)(a->subjects.v[0].v.no >> (8 * i));
	digest_sha256_pieces(
		&d,
		(const struct digest_piece[]){
			{ label, sizeof(label) - 1 },
			{ ledger_volume_id(core_ledger(a->core)), 16 },
			{ no, sizeof(no) },
		},
		3);
	put_uuid(out, d.b);
}

static void put_dataset(const struct attest *a, struct buf *out,
			const struct attest_item *i)
{
	const char *word = entry_strength_word(i->strength);
	const char *path = i->path_n ? (char *)a->paths.p + i->path : "";
	char hex[DIGEST_HEX_SIZE];

	buf_adds(out, "{\"namespace\":\"");
	attest_print_volume(a, out);
	buf_adds(out, "\",\"name\":");
	if (i->path_n)
		text_json_string(out, path, i->path_n);
	else
		buf_addf(out, "\"inode %llu\"", (unsigned long long)i->v.ino);
	buf_addf(out,
		 ",\"facets\":{\"version\":{\"_producer\":\"" PRODUCER
		 "\",\"_schemaURL\":\"" SPEC
		 "facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/"
		 "DatasetVersionDatasetFacet\",\"datasetVersion\":"
		 "\"%llu@%llu\"},\"vouchfs_statement\":{\"_producer\":"
		 "\"" PRODUCER "\",\"_schemaURL\":\"urn:vouchfs:statement:v1\","
		 "\"strength\":\"%s\",\"size\":\"%llu\"",
		 (unsigned long long)i->v.ino, (unsigned long long)i->v.version,
		 word ? word : "unknown", (unsigned long long)i->v.size);
	if (i->v.has_sha256) {
		digest_hex(hex, &i->v.sha256);
		buf_addf(out, ",\"sha256\":\"%s\"", hex);
	}
	line_bytes(out, "name_hex", path, i->path_n);
	digest_hex(hex, &i->v.tree_root);
	buf_addf(out, ",\"vouchfsTree\":\"%s\"}}}", hex);
}

static void put_datasets(const struct attest *a, struct buf *out,
			 const char *key, const struct attest_items *t)
{
	buf_addf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < t->n; i++) {
		if (i)
			buf_addc(out, ',');
		put_dataset(a, out, &t->v[i]);
	}
	buf_addc(out, ']');
}

static void put_event(const struct attest *a, struct buf *out, const char *type,
		      int64_t when, bool full)
{
	buf_adds(out, "{\"eventTime\":");
	line_time(out, when);
	buf_addf(out,
		 ",\"eventType\":\"%s\",\"producer\":\"" PRODUCER
		 "\",\"schemaURL\":\"" SPEC
		 "2-0-2/OpenLineage.json#/$defs/RunEvent\",\"run\":{"
		 "\"runId\":\"",
		 type);
	put_run_id(a, out);
	buf_adds(out, "\"");
	if (full) {
		buf_adds(out, ",\"facets\":{\"vouchfs_statement\":{"
			      "\"_producer\":\"" PRODUCER
			      "\",\"_schemaURL\":\"urn:vouchfs:statement:v1\","
			      "\"statement\":");
		attest_print_details(a, out);
		buf_adds(out, "}}");
	}
	buf_adds(out, "},\"job\":{\"namespace\":\"");
	attest_print_volume(a, out);
	buf_adds(out, "\",\"name\":");
	attest_print_name(a, out);
	buf_addc(out, '}');
	if (full) {
		put_datasets(a, out, "inputs", &a->materials);
		put_datasets(a, out, "outputs", &a->subjects);
	}
	buf_adds(out, "}\n");
}

int attest_openlineage(const struct attest *a, struct buf *out)
{
	static const char *const ends[] = { "COMPLETE", "FAIL", "ABORT" };
	const struct idx_run *run = &a->run;
	const char *type = "RUNNING";
	int64_t when = run->started_ns;

	if (!a->is_run || run->implicit) {
		if (a->subjects.n)
			when = a->subjects.v[a->subjects.n - 1].v.wall_ns;
		put_event(a, out, "OTHER", when, true);
		return out->bad ? -ENOMEM : 0;
	}
	put_event(a, out, "START", run->started_ns, false);
	if (run->end_no && run->how >= 1 && run->how <= 3) {
		type = run->how == 1 && run->status ? ends[1] :
						      ends[run->how - 1];
		when = run->ended_ns;
	}
	put_event(a, out, type, when, true);
	return out->bad ? -ENOMEM : 0;
}
