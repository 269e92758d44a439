/*
 * mount_opt.h - mount options (vouchfs(5)): text in, settings out.  Pure but
 * for looking up the audit group's number.
 */
#ifndef FS_MOUNT_OPT_H
#define FS_MOUNT_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;

enum { MOUNT_THREADS_MAX = 64 };

struct mount_opt {
	bool read_only;
	bool entries_every_write;
	char *virtual_name; /* NULL: in the root */
	char *audit_group;  /* as given, or NULL */
	uint32_t audit_gid; /* UINT32_MAX: none */
	unsigned threads;
	double attr_timeout_s, entry_timeout_s, negative_timeout_s;
	bool debug;
	bool allow_other;
	char *rest; /* for the kernel and libfuse, comma-separated; never NULL */
};

/*
 * text: what follows -o, may be NULL.  Options that only mount(8) and fstab
 * care about are dropped.  -ERR_USAGE in words.
 */
int must_use mount_opt_parse(struct mount_opt *out, const char *text,
			     bool is_root, struct errmsg *em);
void mount_opt_release(struct mount_opt *o);

#endif
