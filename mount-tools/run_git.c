/*
 * run_git.c - see run_git.h.
 *
 * Most programs lie in no work tree, which a look for .git in the directories
 * above tells; the helper, which costs 6 ms, is started for the others alone.
 */
#include "mount-tools/run_git.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/git_helper.h"
#include "base/text.h"
#include "ledger/entry_run.h"

enum { PATIENCE_MS = 1000 };

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* argv[0] as execvp(3) finds it; NULL. */
static char *executable(const char *name)
{
	const char *path = getenv("PATH"), *p = path ? path : "/bin:/usr/bin";
	char file[PATH_MAX];

	if (strchr(name, '/'))
		return realpath(name, NULL);
	for (;;) {
		size_t n = strcspn(p, ":");
		int k = snprintf(file, sizeof(file), "%.*s%s%s", (int)n, p,
				 n ? "/" : "", name);

		if (k > 0 && (size_t)k < sizeof(file) && is_file(file) &&
		    access(file, X_OK) == 0)
			return realpath(file, NULL);
		if (!p[n])
			return NULL;
		p += n + 1;
	}
}

static bool is_interpreter(const char *path)
{
	static const char *const names[] = {
		"python", "pypy", "bash",  "dash",  "zsh",     "ksh",
		"fish",	  "node", "perl",  "ruby",  "Rscript", "julia",
		"php",	  "lua",  "tclsh", "guile", "deno",    "bun",
	};
	const char *slash = strrchr(path, '/'),
		   *base = slash ? slash + 1 : path;

	if (strcmp(base, "sh") == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The first argument that is a file, unless the program is given in line. */
static char *script(char **argv)
{
	if (!is_interpreter(argv[0]))
		return NULL;
	for (char **a = argv + 1; *a; a++) {
		if (strcmp(*a, "-c") == 0 || strcmp(*a, "-e") == 0 ||
		    strcmp(*a, "-m") == 0)
			return NULL;
		if (**a != '-' && is_file(*a))
			return realpath(*a, NULL);
	}
	return NULL;
}

/* Is there a .git in a directory above, or in it? */
static bool in_work_tree(const char *path)
{
	char at[PATH_MAX + 8];
	size_t n = path ? strlen(path) : 0;

	if (!n || n >= PATH_MAX)
		return false;
	memcpy(at, path, n + 1);
	for (;;) {
		memcpy(at + n, "/.git", 6);
		if (access(at, F_OK) == 0)
			return true;
		while (n && at[n - 1] != '/')
			n--;
		if (!n)
			return false;
		n--;
	}
}

static void ask(struct buf *out, const char *path, enum entry_run_git_of of)
{
	enum entry_run_git_state state = ENTRY_RUN_GIT_KNOWN;
	struct errmsg em = ERRMSG_INIT;
	struct git_tree t;
	int rc = git_helper_tree(&t, path, PATIENCE_MS, &em);

	if (rc < 0)
		state = rc == -ETIMEDOUT ? ENTRY_RUN_GIT_NO_TIME :
					   ENTRY_RUN_GIT_UNREAD;
	else if (!t.has_commit)
		state = ENTRY_RUN_GIT_UNBORN;
	else if (!t.dirty_known)
		state = ENTRY_RUN_GIT_NO_DIRTY;
	buf_addf(out, ",\"git_of\":%d,\"git_state\":%d", (int)of, (int)state);
	if (rc < 0 || !t.has_commit)
		return;
	buf_adds(out, ",\"git\":\"");
	text_hex(out, t.commit, sizeof(t.commit));
	buf_addf(out, "\",\"dirty\":%s", t.dirty ? "true" : "false");
}

/* Which we are ourselves: `vouch undo`, `vouch restore`. */
static bool is_ours(const char *exe)
{
	struct stat a, b;

	return exe && stat(exe, &a) == 0 && stat("/proc/self/exe", &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void run_git_members(struct buf *out, char **argv)
{
	autofree char *file = script(argv);
	autofree char *exe = executable(argv[0]);
	autofree char *cwd = getcwd(NULL, 0);

	if (is_ours(exe))
		return;
	if (in_work_tree(file))
		ask(out, file, ENTRY_RUN_GIT_SCRIPT);
	else if (in_work_tree(exe))
		ask(out, exe, ENTRY_RUN_GIT_EXE);
	else if (in_work_tree(cwd))
		ask(out, cwd, ENTRY_RUN_GIT_CWD);
}
