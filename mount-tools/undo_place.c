/* undo_place.c - see undo_place.h. */
#include "mount-tools/undo_place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "mount-tools/ctl.h"
#include "mount-tools/hint.h"
#include "mount-tools/mounts.h"

/* --- the mount --- */

static const struct mounts_one *only_one(const struct mounts *m)
{
	const struct mounts_one *found = NULL;

	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].uid != getuid())
			continue;
		if (found)
			return NULL;
		found = &m->v[i];
	}
	return found;
}

/* By the path in it, or its STORE; a daemon that hangs is told, not asked. */
static int by_path(const struct mounts_one **out, const struct mounts *m,
		   const char *in, struct errmsg *em)
{
	struct errmsg why = ERRMSG_INIT;
	struct ctl_place place;
	int rc = ctl_find(&place, in, &why);

	if (rc == 0)
		hint_store(place.store);
	if (rc == 0 && !place.dir)
		rc = errmsg_set(em, -ENOENT,
				"%s is not mounted: `vouch mount STORE DIR` "
				"first",
				in);
	else if (rc == -ENOENT)
		rc = errmsg_set(em, rc, "%s is not inside a vouchfs mount", in);
	else if (rc < 0)
		rc = errmsg_set(em, rc, "%s", errmsg_text(&why, rc));
	for (size_t i = m->n; rc == 0 && !*out && i > 0; i--)
		if (strcmp(m->v[i - 1].dir, place.dir) == 0)
			*out = &m->v[i - 1];
	ctl_place_release(&place);
	return rc < 0 || *out ? rc : -ENOENT; /* it went just now */
}

/* Also where that was removed; NULL: it cannot be told. */
static char *where_we_are(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/cwd", path, sizeof(path));

	return n > 0 ? strndup(path, (size_t)n) : getcwd(NULL, 0);
}

static int choose(const struct mounts_one **out, const struct mounts *m,
		  const char *in, struct errmsg *em)
{
	autofree char *cwd = in ? NULL : where_we_are();

	*out = NULL;
	if (in)
		return by_path(out, m, in, em);
	*out = cwd ? mounts_over(m, cwd) : NULL;
	if (!*out)
		*out = only_one(m);
	return *out ? 0 : -ERR_USAGE;
}

static bool is_there(const char *dir, const char *name)
{
	autofree char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s%s%s/runs", dir, *name ? "/" : "", name) < 0) {
		path = NULL;
		return false;
	}
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* DIR/audit, or DIR/NAME/audit where the mount has `virtual=NAME`. */
static int find_audit(struct undo_place *p, struct errmsg *em)
{
	DIR *d = NULL;

	if (is_there(p->dir, "audit"))
		return asprintf(&p->audit, "%s/audit", p->dir) < 0 ? -ENOMEM :
								     0;
	d = opendir(p->dir);
	for (struct dirent *e; d && !p->audit && (e = readdir(d));) {
		autofree char *path = NULL;

		if (asprintf(&path, "%s/%s/audit", p->dir, e->d_name) < 0) {
			path = NULL;
			break;
		}
		if (strcmp(e->d_name, "..") != 0 && is_there(path, ""))
			p->audit = take(path);
	}
	if (d)
		closedir(d);
	if (p->audit)
		return 0;
	return errmsg_set(em, -ENOENT,
			  "%s has no audit tree: is it a mount of a part?",
			  p->dir);
}

int undo_place_mount(struct undo_place *p, const char *in, struct errmsg *em)
{
	struct errmsg why = ERRMSG_INIT;
	const struct mounts_one *one;
	struct mounts m;
	int rc = mounts_read(&m);

	if (rc < 0)
		return rc;
	rc = choose(&one, &m, in, em);
	if (rc == -ERR_USAGE)
		rc = errmsg_set(em, rc, "in which mount? %s",
				m.n ? "--in=DIR says it" : "none is there");
	if (rc == 0 && ctl_alive(one->store, &why) == -ETIMEDOUT)
		rc = errmsg_set(em, -ETIMEDOUT, "%s",
				errmsg_text(&why, -ETIMEDOUT));
	if (rc == 0) {
		p->whole = geteuid() == 0 || one->uid == geteuid();
		/* others may not look at a STORE */
		hint_store(p->whole ? one->store : one->dir);
		p->dir = strdup(one->dir);
		p->read_only = one->read_only;
		rc = p->dir ? 0 : -ENOMEM;
	}
	mounts_release(&m);
	return rc < 0 ? rc : find_audit(p, em);
}

/* --- the run --- */

struct found {
	unsigned n;
	unsigned long newest;
};

static int by_name(struct undo_place *p, const char *name, struct found *out)
{
	size_t n = strlen(name);
	autofree char *path = NULL;
	DIR *d;

	if (asprintf(&path, "%s/runs", p->audit) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	d = opendir(path);
	if (!d)
		return -errno;
	for (struct dirent *e; (e = readdir(d));) {
		char *end;
		unsigned long number;

		if (strncmp(e->d_name, name, n) != 0 || e->d_name[n] != '.')
			continue;
		number = strtoul(e->d_name + n + 1, &end, 10);
		if (end == e->d_name + n + 1 || *end)
			continue;
		out->n++;
		if (number > out->newest)
			out->newest = number;
	}
	closedir(d);
	return 0;
}

static bool is_run(const struct undo_place *p, const char *word)
{
	autofree char *path = NULL;
	struct stat st;

	if (strchr(word, '/') || word[0] == '.' || !word[0])
		return false;
	if (asprintf(&path, "%s/runs/%s", p->audit, word) < 0) {
		path = NULL;
		return false;
	}
	return stat(path, &st) == 0;
}

static int find_run(struct undo_place *p, const char *run, struct errmsg *em)
{
	struct found f = { .n = 0 };
	int rc = 0, n = 0;

	if (strlen(run) < sizeof(p->word) && is_run(p, run)) {
		snprintf(p->word, sizeof(p->word), "%s", run);
		return 0;
	}
	if (idx_run_name_ok(run, strlen(run)))
		rc = by_name(p, run, &f);
	if (rc < 0)
		return errmsg_set(em, rc, "%s/runs: %s", p->audit,
				  err_text(rc));
	if (f.n > 1)
		return errmsg_set(em, -ERR_USAGE,
				  "there are several runs named %s: say %s.%lu "
				  "(the newest), or another number",
				  run, run, f.newest);
	if (f.n == 1)
		n = snprintf(p->word, sizeof(p->word), "%s.%lu", run, f.newest);
	if (f.n == 0 || n <= 0 || (size_t)n >= sizeof(p->word))
		return errmsg_set(em, -ENOENT,
				  "no run %s: `vouch runs --all STORE` "
				  "lists those there are",
				  run);
	return 0;
}

bool undo_place_is_here(void)
{
	autofree char *cwd = where_we_are();
	struct mounts m;
	bool here = false;

	if (mounts_read(&m) == 0) {
		here = cwd && mounts_over(&m, cwd);
		mounts_release(&m);
	}
	return here;
}

int undo_place_find(struct undo_place *out, const char *in, const char *run,
		    struct errmsg *em)
{
	int rc = undo_place_mount(out, in, em);

	if (rc == 0 && !in && !undo_place_is_here())
		rc = errmsg_set(em, -ERR_USAGE,
				"in which mount? this is none: say --in=%s "
				"where that is meant",
				out->dir);
	return rc < 0 ? rc : find_run(out, run, em);
}

void undo_place_release(struct undo_place *p)
{
	free(p->dir);
	free(p->audit);
	*p = (struct undo_place){ .dir = NULL };
}

FILE *undo_place_file(const struct undo_place *p, const char *name,
		      struct errmsg *em)
{
	autofree char *path = NULL;
	FILE *f;
	int rc;

	if (asprintf(&path, "%s/%s", p->audit, name) < 0) {
		path = NULL;
		return NULL;
	}
	/* of ordinary users the daemon serves one at a time */
	for (int i = 0; !(f = fopen(path, "re")) && errno == EAGAIN && i < 600;
	     i++)
		usleep(50000);
	rc = -errno;
	if (!f)
		(void)errmsg_set(em, rc, "%s: %s", path, err_text(rc));
	return f;
}

FILE *undo_place_open(const struct undo_place *p, const char *name,
		      struct errmsg *em)
{
	char path[RUN_WORD_MAX + 64];

	snprintf(path, sizeof(path), "runs/%s/%s", p->word, name);
	return undo_place_file(p, path, em);
}

/* --- paths --- */

/* As it is said, from the root of all. */
static char *absolute(const struct undo_place *p, const char *path)
{
	autofree char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	char *whole = NULL;

	if (path[0] == '/')
		return strdup(path);
	/* where we are may be what the run removed */
	if (asprintf(&whole, "%s/%s", cwd && cwd[0] == '/' ? cwd : p->dir,
		     path) < 0)
		return NULL;
	return whole;
}

/* What is there of it, without symbolic links, and the rest as it is said. */
static char *resolve(char *whole)
{
	for (char *end = whole + strlen(whole);;) {
		autofree char *real = NULL;
		char *out = NULL, *above, was = *end;

		*end = '\0';
		above = end == whole ? end : strrchr(whole, '/');
		if (!above)
			return NULL;
		/* the last name may be a link, and is what is meant */
		if (was || end == whole || !above[1] ||
		    strcmp(above, "/.") == 0 || strcmp(above, "/..") == 0)
			real = realpath(*whole ? whole : "/", NULL);
		*end = was;
		if (real) {
			if (asprintf(&out, "%s%s", was && !real[1] ? "" : real,
				     end) < 0)
				out = NULL;
			return out;
		}
		if (above == end)
			return NULL;
		end = above;
	}
}

int undo_place_inner(const struct undo_place *p, const char *path, char **out,
		     struct errmsg *em)
{
	autofree char *said = absolute(p, path), *whole = NULL;
	size_t n = strlen(p->dir), k;

	*out = NULL;
	if (!said)
		return -ENOMEM;
	for (k = strlen(said); k > 1 && said[k - 1] == '/'; k--)
		said[k - 1] = '\0';
	whole = resolve(said);
	if (!whole)
		return -ENOMEM;
	if (strncmp(whole, p->dir, n) != 0 || (whole[n] && whole[n] != '/'))
		return errmsg_set(em, -ERR_USAGE, "%s is not in %s", path,
				  p->dir);
	*out = strdup(whole + n + (whole[n] == '/'));
	return *out ? 0 : -ENOMEM;
}
