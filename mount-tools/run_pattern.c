/*
 * run_pattern.c - see run_pattern.h.
 *
 * It costs an lstat(2) for each pattern and volume, and the names of one
 * directory where only the last component has wildcards.
 */
#include "mount-tools/run_pattern.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/text.h"
#include "mount-tools/ctl.h"
#include "mount-tools/run_client.h"
#include "mount-tools/run_guarded.h"

enum { NAMES_MAX = 10000 };

/* "DIR/what", n bytes of it; NULL without memory. */
static char *join(const char *dir, const char *what, size_t n)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%.*s", dir, (int)n, what) < 0)
		return NULL;
	return path;
}

static bool is_gone(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* No name in DIR/<the first n bytes> makes a path that the pattern matches. */
static bool none_in(const char *dir, const char *pattern, size_t n)
{
	DIR *d = opendir(dir);
	struct buf autocall(buf_release) path = BUF_INIT;
	unsigned seen = 0;
	bool none = d != NULL;

	for (struct dirent *e; none && (e = readdir(d));) {
		buf_clear(&path);
		buf_add(&path, pattern, n);
		buf_addf(&path, "/%s", e->d_name);
		none = ++seen < NAMES_MAX && !path.bad &&
		       !glob_matches(pattern, strlen(pattern), (char *)path.p,
				     path.n);
	}
	if (d)
		closedir(d);
	return none;
}

/* Nothing in the mount at dir is matched, for sure. */
static bool is_idle_in(const char *dir, const char *pattern)
{
	size_t n = glob_literal(pattern);
	autofree char *path = join(dir, pattern, n);
	const char *rest = pattern + n + (pattern[n] == '/');

	if (!path || !n)
		return false;
	if (is_gone(path) || !*rest)
		return is_gone(path);
	return !strchr(rest, '/') && strcmp(rest, "**") != 0 &&
	       none_in(path, pattern, n);
}

/*
 * The pattern that says in the volume what this one says where we are; NULL:
 * that is in no volume.  *out_through: the mount itself is on its way.
 */
static char *inside(const char *pattern, bool *out_through)
{
	struct ctl_place place = { .store = NULL };
	size_t n = glob_literal(pattern + (pattern[0] == '/')) +
		   (pattern[0] == '/');
	autofree char *here = strndup(pattern, n);
	autofree char *cwd = getcwd(NULL, 0);
	char *out = NULL;

	*out_through = false;
	if (here && n && ctl_find(&place, here, NULL) == 0 && place.path &&
	    place.dir) {
		const char *path = place.path + strspn(place.path, "/");
		const char *rest = pattern + n + (pattern[n] == '/');
		size_t m = strlen(place.dir);

		if (asprintf(&out, "%s%s%s", path, *path && *rest ? "/" : "",
			     rest) < 0)
			out = NULL;
		*out_through = !cwd || strncmp(cwd, place.dir, m) != 0 ||
			       (cwd[m] && cwd[m] != '/');
	}
	ctl_place_release(&place);
	return out;
}

/* --- words --- */

static int bad_word(const char *option, const char *pattern, struct errmsg *em)
{
	bool through;
	autofree char *right = NULL;

	if (strncmp(pattern, "--", 2) == 0)
		return errmsg_set(em, -ERR_USAGE,
				  "--%s takes a pattern, \"%s\" is none ([-] "
				  "stands for a first -)",
				  option, pattern);
	if (pattern[0] != '/')
		return 0;
	right = inside(pattern, &through);
	if (!right || !*right)
		return 0; /* the slash is refused as in any */
	return errmsg_set(em, -ERR_USAGE,
			  "--%s=%s: patterns are of paths in the volume, "
			  "without a slash first: --%s=%s",
			  option, pattern, option, right);
}

int run_pattern_words(const struct run_guarded *g, struct errmsg *em)
{
	int rc = 0;

	for (unsigned i = 0; i < g->hide.n && rc == 0; i++)
		rc = bad_word("hide", g->hide.v[i], em);
	for (unsigned i = 0; i < g->protect.n && rc == 0; i++)
		rc = bad_word("protect", g->protect.v[i], em);
	return rc;
}

/* --- volumes --- */

struct look {
	const struct run_client *v;
	unsigned n;
	bool quiet;
};

static bool is_idle(const struct look *l, const char *pattern)
{
	bool idle = l->n > 0;

	for (unsigned i = 0; i < l->n && idle; i++)
		idle = l->v[i].whole && is_idle_in(l->v[i].dir, pattern);
	return idle;
}

static void warn(const char *option, const char *pattern)
{
	struct buf autocall(buf_release) b = BUF_INIT;

	text_term_escape(&b, pattern, strlen(pattern));
	if (!b.bad)
		fprintf(stderr,
			"vouch run: nothing that is there now matches "
			"--%s=%s; patterns are of paths in the volume\n",
			option, (char *)b.p);
}

static int look_at(const struct look *l, const char *option,
		   const char *pattern, struct errmsg *em)
{
	autofree char *right = NULL;
	bool through = false;

	if (!strchr(pattern, '/') || !is_idle(l, pattern))
		return 0; /* without a slash it is of any depth */
	right = inside(pattern, &through);
	if (right && *right && (through || !is_idle(l, right)))
		return errmsg_set(em, -ERR_USAGE,
				  "--%s=%s matches nothing: patterns are of "
				  "paths in the volume: --%s=%s",
				  option, pattern, option, right);
	if (!l->quiet)
		warn(option, pattern);
	return 0;
}

int run_pattern_look(const struct run_guarded *g, const struct run_client *v,
		     unsigned n, bool quiet, struct errmsg *em)
{
	const struct look l = { v, n, quiet };
	int rc = 0;

	for (unsigned i = 0; i < g->hide.n && rc == 0; i++)
		rc = look_at(&l, "hide", g->hide.v[i], em);
	for (unsigned i = 0; i < g->protect.n && rc == 0; i++)
		rc = look_at(&l, "protect", g->protect.v[i], em);
	return rc;
}
