/*
 * fuzz_proof.c - .tlog-proof files against the sample's trusted keys.  What
 * is accepted is told in escaped words, and is formatted to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/proof.h"
#include "ledger/proof_text.h"
#include "tests/sim/sample_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct trust *trusted(void)
{
	static struct trust t;
	struct sample_log s;

	if (t.n_logs == 0) {
		sample_log_init(&s);
		sample_log_trust(&s, &t);
		sample_log_release(&s);
	}
	return &t;
}

static void accepted(const struct proof_report *r)
{
	struct buf b = BUF_INIT;

	proof_text(&b, r, "file");
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != '\n' && (b.p[i] < 0x20 || b.p[i] == 0x7f))
			abort();
	buf_clear(&b);
	proof_text_json(&b, r, "file");
	if (b.bad || !text_is_utf8(b.p, b.n))
		abort();
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proof p;
	static struct proof_report r;
	struct errmsg em = ERRMSG_INIT;
	struct buf out = BUF_INIT;

	if (proof_parse(&p, data, size, &em) != 0) {
		if (em.text[0] == 0)
			abort();
		return 0;
	}
	if (proof_check(&r, &p, trusted(), NULL, &em) == 0)
		accepted(&r);
	else if (em.text[0] == 0)
		abort();
	if (proof_format(&out, &p) == 0 && out.n > size)
		abort();
	buf_release(&out);
	proof_release(&p);
	return 0;
}
