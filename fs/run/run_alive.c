/*
 * run_alive.c - see run_alive.h.
 *
 * A cgroup with somebody in it cannot be removed, nor renamed, so who is in
 * one is found by it, however fast he forks.  Processes are looked at as well
 * for what lies outside of the hierarchy that we see.
 */
#include "fs/run/run_alive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "fs/core/actor_proc.h"
#include "fs/run/run_of.h"

enum { CGROUP_TEXT_MAX = 8192 };

struct walk {
	run_alive_fn *fn;
	void *ctx;
	unsigned left; /* cgroups that may still be looked at */
	bool cut;      /* not all could be */
};

/* Goes through dir, which it closes. */
static int walk_dir(struct walk *w, int fd, unsigned depth)
{
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	uint8_t id[RUN_ID_SIZE];
	int rc = 0;

	if (!d) { /* -ENOENT: it was removed, so it was empty */
		w->cut = w->cut || fd >= 0 || fd != -ENOENT;
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (rc >= 0 && (e = readdir(d))) {
		int below;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (w->left == 0 || depth == RUN_ALIVE_DEPTH_MAX) {
			w->cut = true;
			break;
		}
		w->left--;
		if (run_of_component(id, e->d_name, strlen(e->d_name)))
			rc = w->fn(w->ctx, id);
		below = openat(fd, e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (rc >= 0)
			rc = walk_dir(w, below < 0 ? -errno : below, depth + 1);
		else if (below >= 0)
			close(below);
	}
	closedir(d);
	return rc;
}

static int walk_cgroups(struct walk *w)
{
	char root[LIMIT_PATH + 1];
	int fd;

	/* Where none is seen, those that processes are in are all there is. */
	if (!actor_proc_cgroup_root(root, sizeof(root)))
		return 0;
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return walk_dir(w, fd < 0 ? -errno : fd, 0);
}

static int each_component(const struct walk *w, const char *path)
{
	uint8_t id[RUN_ID_SIZE];
	int rc = 0;

	for (const char *p = path; p && rc >= 0;) {
		const char *slash = strchr(p, '/');
		size_t n = slash ? (size_t)(slash - p) : strlen(p);

		if (run_of_component(id, p, n))
			rc = w->fn(w->ctx, id);
		p = slash ? slash + 1 : NULL;
	}
	return rc;
}

/* Calls fn for each process; -ESRCH: they cannot be seen. */
static int each_process(int (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	const struct dirent *e;
	DIR *d = actor_proc_ours() ? opendir("/proc") : NULL;
	int rc = 0;

	if (!d)
		return -ESRCH;
	while (rc >= 0 && (e = readdir(d))) {
		unsigned long pid = strtoul(e->d_name, NULL, 10);

		if (pid > 0 && pid <= UINT32_MAX)
			rc = fn(ctx, (uint32_t)pid);
	}
	closedir(d);
	return rc;
}

static int cgroup_of(void *ctx, uint32_t pid)
{
	const struct walk *w = ctx;
	char text[CGROUP_TEXT_MAX];
	const char *path = actor_proc_cgroup(pid, text, sizeof(text));

	return path ? each_component(w, path) : 0;
}

int run_alive_each(run_alive_fn *fn, void *ctx)
{
	struct walk w = {
		.fn = fn,
		.ctx = ctx,
		.left = RUN_ALIVE_CGROUPS_MAX,
	};
	int rc = walk_cgroups(&w);

	if (rc >= 0)
		rc = each_process(cgroup_of, &w);
	if (rc == -ESRCH) {
		w.cut = true;
		rc = 0;
	}
	return rc < 0 ? rc : !w.cut;
}

/* --- limits --- */

static int limit_of(void *ctx, uint32_t pid)
{
	struct run_alive_limits *l = ctx;
	struct actor_proc proc;
	uint64_t limit;

	if (actor_proc_limit(&limit, pid) < 0 || limit == UINT64_MAX ||
	    actor_proc_read(&proc, pid) < 0)
		return 0; /* it went, or has none */
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct run_alive_limit *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = (struct run_alive_limit){ proc.uid, limit };
	return 0;
}

void run_alive_limits_look(struct run_alive_limits *out)
{
	*out = (struct run_alive_limits){ .n = 0 };
	for (int i = 0; i < 2 && !out->cut; i++)
		out->cut = each_process(limit_of, out) < 0;
}

void run_alive_limits_release(struct run_alive_limits *l)
{
	free(l->v);
	*l = (struct run_alive_limits){ .n = 0 };
}

bool run_alive_under(const struct run_alive_limits *l, struct run_table *t,
		     uint32_t uid, uint64_t limit)
{
	uint8_t id[RUN_ID_SIZE];

	if (l->cut)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		const struct run_alive_limit *p = &l->v[i];

		if (p->limit > limit)
			continue;
		if (p->limit == limit && (p->uid == uid || uid == 0))
			return true;
		if (p->uid == uid &&
		    !(t && run_table_of_limit(t, id, p->limit, uid)))
			return true;
	}
	return false;
}
