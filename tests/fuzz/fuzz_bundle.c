/*
 * fuzz_bundle.c - lines of bundles: no line harms the reader, every refusal
 * has words, and no path that is taken leads outside.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ledger/bundle_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg em = ERRMSG_INIT;
	struct bundle_line l;
	int rc = bundle_line_parse(&l, data, size, &em);

	if (rc < 0 && em.text[0] == 0)
		abort();
	if (rc == 0 &&
	    (!l.path[0] || l.path[0] == '/' || strcmp(l.path, "..") == 0 ||
	     strncmp(l.path, "../", 3) == 0 || strstr(l.path, "/../") ||
	     strstr(l.path, "//")))
		abort();
	free(l.path);
	return 0;
}
