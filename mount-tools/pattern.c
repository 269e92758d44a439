/* pattern.c - see pattern.h. */
#include "mount-tools/pattern.h"

#include <string.h>

#include "base/buf.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

const char *pattern_take(char **out, const char *text)
{
	size_t n = strlen(text);

	*out = NULL;
	if (n > 1 && text[0] == '/') {
		text++;
		n--;
	}
	if (n > 1 && text[n - 1] == '/')
		n--;
	if (n > LIMIT_PATH)
		return "the pattern is longer than a path can be";
	/* the daemon is asked in JSON, which has characters, not bytes */
	if (!text_is_utf8(text, n))
		return "a pattern is UTF-8; ? matches any other byte";
	*out = strndup(text, n);
	return *out ? glob_wrong(text, n) : "no memory";
}

const char *pattern_take_new(char **out, const char *text)
{
	const char *wrong = pattern_take(out, text);

	if (!wrong && glob_is_open(*out))
		wrong = "a [ has no ]; [[] stands for the bracket";
	return wrong;
}

void pattern_entry(struct buf *out, const struct json *answer)
{
	uint64_t seal = 0, pos = 0;

	(void)!json_get_u64(answer, "seal", &seal);
	(void)!json_get_u64(answer, "position", &pos);
	buf_addf(out, "%llu.%llu", (unsigned long long)seal,
		 (unsigned long long)pos);
}
