/*
 * run_of.c - see run_of.h.
 */
#include "fs/run/run_of.h"

#include <string.h>

bool run_of_hex(uint8_t out[RUN_ID_SIZE], const char *p)
{
	for (int i = 0; i < RUN_ID_HEX; i++) {
		char c = p[i];
		int v = c >= '0' && c <= '9' ? c - '0' :
			c >= 'a' && c <= 'f' ? c - 'a' + 10 :
					       -1;

		if (v < 0)
			return false;
		out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
	}
	return true;
}

/* The id in one name of a path, if it is a run's. */
static bool component(uint8_t out[RUN_ID_SIZE], const char *p, size_t n)
{
	static const size_t prefix = sizeof(RUN_CGROUP_PREFIX) - 1;

	return n == prefix + RUN_ID_HEX &&
	       memcmp(p, RUN_CGROUP_PREFIX, prefix) == 0 &&
	       run_of_hex(out, p + prefix);
}

/*
 * Rule 1.  The whole path must be the one that the run was declared with:
 * whoever may make cgroups elsewhere may call them as he likes.
 */
static bool by_cgroup(struct run_table *t, uint8_t out[RUN_ID_SIZE],
		      const char *path)
{
	size_t end = strlen(path);

	while (end > 0) {
		const char *slash = memrchr(path, '/', end);
		size_t start = slash ? (size_t)(slash - path) + 1 : 0;

		if (component(out, path + start, end - start) &&
		    run_table_in_cgroup(t, out, path, end))
			return true;
		end = slash ? (size_t)(slash - path) : 0;
	}
	return false;
}

enum entry_run_how run_of_seen(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			       const struct run_of_seen *seen)
{
	if (seen->cgroup && by_cgroup(t, out, seen->cgroup))
		return ENTRY_RUN_CGROUP;
	if (run_table_of_wrapper(t, out, seen->parent, seen->parent_start))
		return ENTRY_RUN_ANCESTRY;
	if (!seen->parent_run || !run_of_explicit(seen->parent_how))
		return ENTRY_RUN_UNKNOWN;
	memcpy(out, seen->parent_run, RUN_ID_SIZE);
	return seen->parent_how == ENTRY_RUN_MARKER ? ENTRY_RUN_MARKER :
						      ENTRY_RUN_ANCESTRY;
}

enum entry_run_how run_of_marker(struct run_table *t, uint8_t out[RUN_ID_SIZE],
				 const char *value, size_t n, uint32_t uid)
{
	if (n != RUN_ID_HEX || !run_of_hex(out, value) ||
	    !run_table_marked(t, out, uid))
		return ENTRY_RUN_UNKNOWN;
	return ENTRY_RUN_MARKER;
}
