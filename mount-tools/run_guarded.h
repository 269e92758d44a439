/*
 * run_guarded.h - the options of `vouch run` by which a run is guarded, made
 * into the policy that its RUN_START carries (fs/run/run_policy.h).  One
 * thread.
 */
#ifndef MOUNT_TOOLS_RUN_GUARDED_H
#define MOUNT_TOOLS_RUN_GUARDED_H

#include <stdbool.h>

#include "base/auto.h"
#include "mount-tools/opt.h"

struct buf;
struct errmsg;

struct run_guarded {
	struct opt_texts hide, protect;
	bool read_only, guard, no_defaults;
};

/* Entries of a struct opt table. */
#define RUN_GUARDED_OPTIONS(g)                                              \
	{ 0,                                                                \
	  "guard",                                                          \
	  OPT_FLAG,                                                         \
	  &(g)->guard,                                                      \
	  NULL,                                                             \
	  "protect what the host executes later: git's hooks and "          \
	  "configuration, .envrc, .vscode, shell profiles ..." },           \
		{ 0,                                                        \
		  "hide",                                                   \
		  OPT_EACH,                                                 \
		  &(g)->hide,                                               \
		  "GLOB",                                                   \
		  "what it cannot open, nor see in listings; again for "    \
		  "more" },                                                 \
		{ 0,	    "protect",                                      \
		  OPT_EACH, &(g)->protect,                                  \
		  "GLOB",   "what it cannot change; again for more" },      \
		{ 0,	    "read-only",                                    \
		  OPT_FLAG, &(g)->read_only,                                \
		  NULL,	    "nothing can be changed by it" },               \
	{                                                                   \
		0, "no-default-protect", OPT_FLAG, &(g)->no_defaults, NULL, \
			"with these, do not protect what "                  \
			"--guard does"                                      \
	}

/* Appends the policy; nothing where no guard is asked for. */
int must_use run_guarded_policy(struct buf *out, const struct run_guarded *g,
				struct errmsg *em);

#endif
