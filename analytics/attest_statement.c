/*
 * attest_statement.c - in-toto statements v1, with the predicates link v0.3
 * and SLSA provenance v1, as attest.h's facts give them.
 */
#include <errno.h>
#include <string.h>

#include "analytics/attest_int.h"
#include "analytics/line.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "ledger/dsse.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

static int begin(const struct attest *a, struct buf *out, const char *predicate)
{
	if (!a->subjects.n) /* a statement about nothing is none */
		return -ENODATA;
	buf_adds(out, "{\"_type\":\"https://in-toto.io/Statement/v1\","
		      "\"subject\":[");
	attest_print_items(a, out, &a->subjects);
	buf_addf(out, "],\"predicateType\":\"%s\",\"predicate\":", predicate);
	return 0;
}

static int end(struct buf *out)
{
	buf_addc(out, '}');
	if (out->n > DSSE_PAYLOAD_MAX)
		return -ERR_LIMIT;
	return out->bad ? -ENOMEM : 0;
}

int attest_link(const struct attest *a, struct buf *out)
{
	int rc = begin(a, out, "https://in-toto.io/attestation/link/v0.3");

	if (rc < 0)
		return rc;
	buf_adds(out, "{\"name\":");
	attest_print_name(a, out);
	buf_adds(out, ",\"command\":");
	attest_print_command(a, out);
	buf_adds(out, ",\"materials\":[");
	attest_print_materials(a, out);
	buf_adds(out, "],\"byproducts\":{\"vouchfs\":");
	attest_print_details(a, out);
	buf_adds(out, "},\"environment\":");
	attest_print_environment(a, out);
	buf_addc(out, '}');
	return end(out);
}

/* --- SLSA --- */

static void put_external(const struct attest *a, struct buf *out)
{
	const struct entry_run_start *s =
		a->has_start ? &a->start->body.run_start : NULL;

	buf_adds(out, "{\"name\":");
	attest_print_name(a, out);
	buf_adds(out, ",\"command\":");
	attest_print_command(a, out);
	buf_addc(out, ',');
	if (s && a->is_run)
		line_text(out, "cwd", s->cwd.p, s->cwd.n);
	else
		line_text(out, "cwd", a->actor.cwd.p, a->actor.cwd.n);
	buf_addc(out, '}');
}

static void put_metadata(const struct attest *a, struct buf *out)
{
	int64_t finished = a->subjects.v[0].v.wall_ns;

	buf_adds(out, "{\"invocationId\":\"");
	attest_print_volume(a, out);
	if (a->has_run) {
		buf_adds(out, ":run:");
		text_hex(out, a->run.id, sizeof(a->run.id));
	} else {
		buf_addf(out, ":entry:%llu.%u",
			 (unsigned long long)ENTRY_NO_SEAL(
				 a->subjects.v[0].v.no),
			 ENTRY_NO_POS(a->subjects.v[0].v.no));
	}
	buf_addc(out, '"');
	if (a->has_run) {
		buf_adds(out, ",\"startedOn\":");
		line_time(out, a->run.started_ns);
		finished = a->run.end_no ? a->run.ended_ns : 0;
	}
	if (finished) {
		buf_adds(out, ",\"finishedOn\":");
		line_time(out, finished);
	}
	buf_addc(out, '}');
}

int attest_slsa(const struct attest *a, struct buf *out)
{
	int rc = begin(a, out, "https://slsa.dev/provenance/v1");

	if (rc < 0)
		return rc;
	buf_addf(out,
		 "{\"buildDefinition\":{\"buildType\":\"urn:vouchfs:%s:v1\","
		 "\"externalParameters\":",
		 a->is_run ? "run" : "write");
	put_external(a, out);
	buf_adds(out, ",\"internalParameters\":{\"environment\":");
	attest_print_environment(a, out);
	buf_adds(out, ",\"vouchfs\":");
	attest_print_details(a, out);
	buf_adds(out, "},\"resolvedDependencies\":[");
	attest_print_materials(a, out);
	buf_adds(out, "]},\"runDetails\":{\"builder\":{\"id\":\"");
	attest_print_volume(a, out);
	buf_addf(out,
		 ":mount:%u\",\"version\":{\"vouchfs\":\"" VOUCHFS_VERSION
		 "\"}},\"metadata\":",
		 ledger_mount_no(core_ledger(a->core)));
	put_metadata(a, out);
	buf_adds(out, "}}");
	return end(out);
}
