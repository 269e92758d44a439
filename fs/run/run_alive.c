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

static int walk_processes(struct walk *w)
{
	char text[CGROUP_TEXT_MAX];
	const struct dirent *e;
	DIR *d = actor_proc_ours() ? opendir("/proc") : NULL;
	int rc = 0;

	if (!d) {
		w->cut = true;
		return 0;
	}
	while (rc >= 0 && (e = readdir(d))) {
		unsigned long pid = strtoul(e->d_name, NULL, 10);
		const char *path;

		if (pid == 0 || pid > UINT32_MAX)
			continue;
		path = actor_proc_cgroup((uint32_t)pid, text, sizeof(text));
		if (path)
			rc = each_component(w, path);
	}
	closedir(d);
	return rc;
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
		rc = walk_processes(&w);
	return rc < 0 ? rc : !w.cut;
}
