/*
 * run_guarded.c - see run_guarded.h.
 */
#include "mount-tools/run_guarded.h"

#include "base/err.h"
#include "fs/run/run_policy.h"

int run_guarded_policy(struct buf *out, const struct run_guarded *g,
		       struct errmsg *em)
{
	const struct run_policy_said s = {
		.hide = g->hide.v,
		.n_hide = g->hide.n,
		.protect = g->protect.v,
		.n_protect = g->protect.n,
		.read_only = g->read_only,
		.defaults = !g->no_defaults,
	};

	if (!g->guard && !g->read_only && g->hide.n + g->protect.n == 0)
		return g->no_defaults ? errmsg_set(em, -ERR_USAGE,
						   "--no-default-protect goes "
						   "with --protect, --hide or "
						   "--read-only") :
					0;
	if (g->guard && g->no_defaults)
		return errmsg_set(em, -ERR_USAGE,
				  "--guard is what --no-default-protect takes "
				  "away");
	return run_policy_make(out, &s, em);
}
