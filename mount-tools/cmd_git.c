/*
 * cmd_git.c - `vouch git-fsmonitor`, git's core.fsmonitor hook (githooks(5),
 * version 2), and `vouch git-setup`, which tells git of it.
 *
 * git starts the hook in the top folder of the work tree, with the token that
 * it got the last time; the answer is a token and the paths that it must look
 * at again.  The daemon answers through an attribute of that folder, so there
 * is no socket to be let into.  Where that is not to be had (no mount of ours,
 * something else mounted below it, no daemon) the answer is "/", everything:
 * git then looks for itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "mount-tools/mounts.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

#define ATTRIBUTE "user.vouch.changed"

/* Answers of a question, 1,024 changes each: beyond that git is quicker. */
enum { VALUE_MAX = 65536, TOKEN_MAX = 200, PAGES_MAX = 128 };

/* Nothing else may lie below: of that the daemon does not know. */
static bool is_ours(void)
{
	struct mounts m = { NULL, 0 };
	char device[64], *cwd = getcwd(NULL, 0);
	struct stat st;
	bool ours = false;

	if (cwd && stat(".", &st) == 0 && mounts_read(&m) == 0) {
		snprintf(device, sizeof(device), "%u:%u", major(st.st_dev),
			 minor(st.st_dev));
		for (size_t i = 0; i < m.n && !ours; i++)
			ours = strcmp(m.v[i].device, device) == 0;
		ours = ours && mounts_below(cwd) == 0;
	}
	mounts_release(&m);
	free(cwd);
	return ours;
}

/*
 * One answer to `token`, which becomes the next one; its paths go to out.
 * 1: there is more, 0: that was all.
 */
static int ask(char token[TOKEN_MAX], char *value, struct buf *out)
{
	char name[sizeof(ATTRIBUTE) + TOKEN_MAX];
	ssize_t n;
	size_t k;
	bool more;

	snprintf(name, sizeof(name), "%s%s%s", ATTRIBUTE, *token ? "." : "",
		 token);
	n = getxattr(".", name, value, VALUE_MAX);
	if (n < 0)
		return -errno;
	k = strnlen(value, (size_t)n);
	if (!k || k + 1 > (size_t)n || k >= TOKEN_MAX)
		return -EIO;
	more = value[k - 1] == '+';
	memcpy(token, value, k + 1);
	if (more)
		token[k - 1] = '\0';
	if (k + 1 < (size_t)n &&
	    value[k + 1] == '/') /* everything, which git sees first only */
		buf_clear(out);
	buf_add(out, value + k + 1, (size_t)n - k - 1);
	return out->bad ? -ENOMEM : more;
}

static int answer(const char *token, const char *paths, size_t n)
{
	bool ok = fputs(token, stdout) >= 0 && putchar('\0') != EOF &&
		  fwrite(paths, 1, n, stdout) == n;

	return ok ? 0 : 1;
}

int cmd_git_fsmonitor(int argc, char **argv)
{
	const struct opt options[] = { OPT_END };
	char token[TOKEN_MAX] = "";
	autofree char *value = NULL;
	struct buf paths = BUF_INIT;
	int rc = -ENODATA, status = opt_parse(options, &argc, &argv, 2, 2);

	if (status != OPT_GO)
		return status;
	if (strcmp(argv[0], "2") != 0)
		return opt_misuse("git-fsmonitor",
				  "version %s of the protocol is not known: "
				  "git config core.fsmonitorHookVersion 2",
				  argv[0]);
	value = malloc(VALUE_MAX);
	/* what git was told elsewhere may be no name of an attribute */
	if (strspn(argv[1], "0123456789abcdef.") == strlen(argv[1]) &&
	    strlen(argv[1]) < TOKEN_MAX)
		snprintf(token, sizeof(token), "%s", argv[1]);
	if (value && is_ours())
		for (int i = 0, more = 1; more == 1; i++)
			rc = more = i < PAGES_MAX ? ask(token, value, &paths) :
						    -ERR_LIMIT;
	status = rc < 0 ? answer(rc == -ERR_LIMIT ? token : "none", "/", 2) :
			  answer(token, (char *)paths.p, paths.n);
	buf_release(&paths);
	return status;
}

/* --- git-setup --- */

/* git -C dir config ... ; its exit status, or -errno. */
static int git_config(const char *dir, const char *key, const char *value)
{
	const char *const set[] = {
		"git", "-C", dir, "config", key, value, NULL
	};
	const char *const unset[] = { "git",	 "-C", dir, "config",
				      "--unset", key,  NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp("git", (char *const *)(value ? set : unset));
		fprintf(stderr, "vouch git-setup: git: %s\n", strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int cmd_git_setup(int argc, char **argv)
{
	static const struct {
		const char *key, *value;
	} keys[] = {
		{ "core.fsmonitor", "vouch git-fsmonitor" },
		{ "core.fsmonitorHookVersion", "2" },
		/* else git looks for new files in every folder */
		{ "core.untrackedCache", "true" },
	};
	enum { UNSET_NOTHING = 5 }; /* git-config(1) */
	bool off = false;
	const struct opt options[] = {
		{ 0, "off", OPT_FLAG, &off, NULL, "take it out again" },
		OPT_END,
	};
	int rc = 0, status = opt_parse(options, &argc, &argv, 0, 1);

	if (status != OPT_GO)
		return status;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && rc == 0; i++) {
		rc = git_config(argc ? argv[0] : ".", keys[i].key,
				off ? NULL : keys[i].value);
		if (off && rc == UNSET_NOTHING)
			rc = 0;
	}
	if (rc < 0)
		return opt_fail("git-setup", rc, NULL);
	return rc ? 1 : 0;
}
