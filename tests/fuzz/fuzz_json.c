/*
 * fuzz_json.c - no text harms the JSON reader, and what it accepts it reads
 * the same way twice.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct json *v)
{
	size_t n = 1;
	uint64_t u;
	int64_t i;

	if (v->text)
		assert(v->text[v->len] == '\0');
	(void)json_u64(v, &u);
	(void)json_i64(v, &i);
	for (const struct json *m = v->first; m; m = m->next)
		n += walk(m);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_doc *a = NULL, *b = NULL;
	int rc = json_parse(&a, data, size, NULL);

	assert(json_parse(&b, data, size, NULL) == rc);
	if (rc == 0)
		assert(walk(json_root(a)) == walk(json_root(b)));
	json_free(a);
	json_free(b);
	return 0;
}
