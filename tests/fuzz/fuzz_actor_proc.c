/*
 * fuzz_actor_proc.c - process names are chosen by processes: no text of
 * /proc/PID/stat or status harms the readers.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fs/core/actor_proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct actor_proc a = { 0 }, b = { 0 };
	const char *p = (const char *)data;

	int rc = actor_proc_parse_stat(&a, p, size);
	assert(actor_proc_parse_stat(&b, p, size) == rc);
	if (rc == 0)
		assert(memcmp(&a, &b, sizeof(a)) == 0);
	rc = actor_proc_parse_status(&a, p, size);
	assert(actor_proc_parse_status(&b, p, size) == rc);
	if (rc == 0)
		assert(a.tgid == b.tgid && a.uid == b.uid);
	return 0;
}
