/*
 * run_of.c - see run_of.h.
 */
#include "fs/run/run_of.h"

#include <string.h>

#include "fs/run/run_guard.h"

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

bool run_of_component(uint8_t out[RUN_ID_SIZE], const char *p, size_t n)
{
	static const size_t prefix = sizeof(RUN_CGROUP_PREFIX) - 1;

	return n == prefix + RUN_ID_HEX &&
	       memcmp(p, RUN_CGROUP_PREFIX, prefix) == 0 &&
	       run_of_hex(out, p + prefix);
}

/*
 * The innermost run whose cgroup path[0..*end-1] is in; *end is then where the
 * next one outside may end.  The whole path must be the one that the run was
 * declared with: whoever may make cgroups elsewhere may call them as he likes.
 */
static bool next_cgroup(struct run_table *t, uint8_t out[RUN_ID_SIZE],
			const char *path, size_t *end)
{
	bool found = false;

	while (*end > 0 && !found) {
		const char *slash = memrchr(path, '/', *end);
		size_t start = slash ? (size_t)(slash - path) + 1 : 0;

		found = run_of_component(out, path + start, *end - start) &&
			run_table_in_cgroup(t, out, path, *end);
		*end = slash ? (size_t)(slash - path) : 0;
	}
	return found;
}

/* Rule 1. */
static bool by_cgroup(struct run_table *t, uint8_t out[RUN_ID_SIZE],
		      const char *path)
{
	size_t end = strlen(path);

	return next_cgroup(t, out, path, &end);
}

int run_of_add_guard(struct run_table *t, struct run_guard **all,
		     const uint8_t id[RUN_ID_SIZE])
{
	struct run_guard *one = run_table_guard(t, id), *both = NULL;
	int rc = run_guard_join(&both, *all, one);

	run_guard_drop(one);
	if (rc < 0)
		return rc;
	run_guard_drop(*all);
	*all = both;
	return 0;
}

int run_of_guards(struct run_table *t, struct run_guard **all,
		  const struct run_of_seen *seen)
{
	size_t end = seen->cgroup ? strlen(seen->cgroup) : 0;
	uint8_t id[RUN_ID_SIZE];
	int rc = 0;

	while (rc == 0 && next_cgroup(t, id, seen->cgroup, &end))
		rc = run_of_add_guard(t, all, id);
	if (rc == 0 &&
	    run_table_of_wrapper(t, id, seen->parent, seen->parent_start))
		rc = run_of_add_guard(t, all, id);
	return rc;
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
