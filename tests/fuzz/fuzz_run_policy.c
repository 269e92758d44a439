/*
 * fuzz_run_policy.c - no policy text harms the parser; what it accepts is the
 * one text of that policy: made again from its lines it is the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/glob.h"
#include "base/err.h"
#include "fs/run/run_policy.h"

enum { LINES_MAX = 4096 };

static bool has_half_a_set(const struct run_policy_said *said)
{
	for (size_t i = 0; i < said->n_hide; i++)
		if (glob_is_open(said->hide[i]))
			return true;
	for (size_t i = 0; i < said->n_protect; i++)
		if (glob_is_open(said->protect[i]))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The lines of a text that was accepted; text is changed. */
static void split(char *text, struct run_policy_said *out, const char **hide,
		  const char **protect)
{
	char *save = NULL;

	*out = (struct run_policy_said){ .hide = hide, .protect = protect };
	for (char *s = strtok_r(text, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save)) {
		if (strncmp(s, "hide ", 5) == 0)
			hide[out->n_hide++] = s + 5;
		else if (strncmp(s, "protect ", 8) == 0)
			protect[out->n_protect++] = s + 8;
		else if (strcmp(s, "read-only") == 0)
			out->read_only = true;
		assert(out->n_hide < LINES_MAX && out->n_protect < LINES_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *hide[LINES_MAX], *protect[LINES_MAX];
	struct run_policy *p = NULL;
	struct run_policy_said said;
	struct buf again = BUF_INIT;
	const char *text = (const char *)data;
	char *copy;

	if (run_policy_parse(&p, text, size, NULL) != 0) {
		assert(!p);
		return 0;
	}
	copy = strndup(text, size);
	assert(copy && strlen(copy) == size);
	split(copy, &said, hide, protect);
	/* half a set is a slip where it is said, and is read as it stands */
	if (has_half_a_set(&said)) {
		assert(run_policy_make(&again, &said, NULL) != 0);
	} else {
		assert(run_policy_make(&again, &said, NULL) == 0);
		assert(again.n == size && memcmp(again.p, data, size) == 0);
	}
	assert(run_policy_read_only(p) == said.read_only);
	assert(run_policy_hides(p) == (said.n_hide > 0));
	/* what is below is as what is above */
	for (size_t i = 0; i < size; i++)
		if (data[i] == '/' && i > 0 && size - i > 1) {
			unsigned up = run_policy_look(p, text, i, true);
			unsigned down =
				run_policy_look(p, text, size - 1, true);

			assert((down & up) == up);
		}
	buf_release(&again);
	run_policy_free(p);
	free(copy);
	return 0;
}
