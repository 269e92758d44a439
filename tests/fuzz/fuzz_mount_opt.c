/*
 * fuzz_mount_opt.c - no option text harms the parser; what it accepts it
 * accepts again with the same result.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/daemon/mount_opt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg em = ERRMSG_INIT;
	struct mount_opt a, b;
	char *text;

	/* Group databases are no business of a fuzzer. */
	if (size > 4096 || memmem(data, size, "group", 5))
		return 0;
	text = strndup((const char *)data, size);
	assert(text);
	int rc = mount_opt_parse(&a, text, true, &em);
	assert(mount_opt_parse(&b, text, true, NULL) == rc);
	if (rc == 0) {
		assert(strcmp(a.rest, b.rest) == 0);
		assert(a.threads == b.threads && a.threads >= 2);
		assert(!a.virtual_name || !strchr(a.virtual_name, '/'));
	} else {
		assert(rc != -ERR_USAGE || em.text[0]);
	}
	mount_opt_release(&a);
	mount_opt_release(&b);
	free(text);
	return 0;
}
