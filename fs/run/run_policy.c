/*
 * run_policy.c - see run_policy.h.
 */
#include "fs/run/run_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/limits.h"

#define HEAD "vouch-guard-1\n"
#define HIDE "hide "
#define PROTECT "protect "
#define READ_ONLY "read-only\n"
#define ANYWHERE "**/"

struct pattern {
	const char *p;
	size_t n;
	unsigned bit;
};

struct run_policy {
	char *text;
	bool read_only, hides;
	size_t n;
	struct pattern v[];
};

/*
 * What others execute or obey when they come here later: git (hooks, commands
 * in a configuration, and what leads to another one), editors, direnv, shells
 * and what is started with a session.
 */
const char *const run_policy_defaults[] = {
	"**/.git/hooks",
	"**/.git/config",
	"**/.git/config.worktree",
	"**/.git/commondir",
	"**/.git/modules/**/hooks",
	"**/.git/modules/**/config",
	"**/.git/modules/**/config.worktree",
	"**/.git/modules/**/commondir",
	"**/.git/worktrees/*/hooks",
	"**/.git/worktrees/*/config",
	"**/.git/worktrees/*/config.worktree",
	"**/.git/worktrees/*/commondir",
	".husky",
	".gitconfig",
	"**/.config/git",
	".vscode",
	".idea",
	".devcontainer",
	".envrc",
	"**/.config/direnv",
	".mcp.json",
	"**/.claude/settings.json",
	"**/.claude/settings.local.json",
	"**/.cursor/mcp.json",
	"**/.cursor/hooks.json",
	".bashrc",
	".bash_profile",
	".bash_login",
	".bash_logout",
	".bash_aliases",
	".profile",
	".zshrc",
	".zshenv",
	".zprofile",
	".zlogin",
	".zlogout",
	".kshrc",
	".cshrc",
	".tcshrc",
	".login",
	"**/.config/fish",
	".vimrc",
	".gvimrc",
	".vim",
	".exrc",
	".nvimrc",
	"**/.config/nvim",
	".emacs",
	"**/.emacs.d",
	".inputrc",
	".gdbinit",
	".lldbinit",
	".tmux.conf",
	"**/.config/tmux",
	".xinitrc",
	".xprofile",
	".xsession",
	".xsessionrc",
	".pam_environment",
	"**/.ssh",
	"**/.config/autostart",
	"**/.config/systemd",
	"**/.config/environment.d",
	NULL,
};

/* --- making one --- */

static const char *wrong(const char *s)
{
	const char *why = glob_wrong(s, strlen(s));

	if (!why && glob_is_open(s))
		why = "a [ has no ]; [[] stands for the bracket";
	for (const char *p = s; *p && !why; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			why = "it holds a control character ('?' stands for "
			      "any byte)";
	return why;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As it stands in the text; the caller frees. */
static char *normal(const char *pattern)
{
	size_t n = strlen(pattern);
	const char *before = strchr(pattern, '/') ? "" : ANYWHERE;
	char *p = malloc(strlen(before) + n + 1);

	if (!p)
		return NULL;
	memcpy(p, before, strlen(before));
	memcpy(p + strlen(before), pattern, n + 1);
	return p;
}

static int put(struct buf *out, const char *word, char **v, size_t n)
{
	qsort(v, n, sizeof(*v), by_bytes);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && strcmp(v[i], v[i - 1]) == 0)
			continue;
		buf_adds(out, word);
		buf_adds(out, v[i]);
		buf_addc(out, '\n');
	}
	return out->bad ? -ENOMEM : 0;
}

static int put_list(struct buf *out, const char *word, const char *const *v,
		    size_t n, const char *const *more, struct errmsg *em)
{
	size_t n_more = 0, at = 0;
	char **all;
	int rc = 0;

	while (more && more[n_more])
		n_more++;
	all = calloc(n + n_more + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n + n_more && rc == 0; i++) {
		const char *s = i < n ? v[i] : more[i - n];
		const char *why = wrong(s);

		if (why)
			rc = errmsg_set(em, -ERR_USAGE, "\"%s\": %s", s, why);
		else if (!(all[at++] = normal(s)))
			rc = -ENOMEM;
	}
	if (rc == 0)
		rc = put(out, word, all, at);
	for (size_t i = 0; i < at; i++)
		free(all[i]);
	free(all);
	return rc;
}

int run_policy_make(struct buf *out, const struct run_policy_said *s,
		    struct errmsg *em)
{
	size_t before = out->n;
	int rc;

	buf_adds(out, HEAD);
	rc = put_list(out, HIDE, s->hide, s->n_hide, NULL, em);
	if (rc == 0)
		rc = put_list(out, PROTECT, s->protect, s->n_protect,
			      s->defaults ? run_policy_defaults : NULL, em);
	if (s->read_only)
		buf_adds(out, READ_ONLY);
	if (rc == 0 && out->bad)
		rc = -ENOMEM;
	if (rc == 0 && out->n - before > LIMIT_PATH)
		rc = errmsg_set(em, -ERR_LIMIT,
				"all patterns together are longer than %d "
				"bytes",
				LIMIT_PATH);
	return rc;
}

/* --- reading one --- */

/* The pattern of the line [p, end), after its word; false: another line. */
static bool line_pattern(struct pattern *out, const char *p, const char *end,
			 const char *word, unsigned bit)
{
	size_t n = strlen(word);

	if ((size_t)(end - p) <= n || memcmp(p, word, n) != 0)
		return false;
	*out = (struct pattern){ p + n, (size_t)(end - p) - n, bit };
	return true;
}

static bool pattern_ok(const struct pattern *a)
{
	for (size_t i = 0; i < a->n; i++)
		if ((unsigned char)a->p[i] < 0x20 || a->p[i] == 0x7f)
			return false;
	return memchr(a->p, '/', a->n) && !glob_wrong(a->p, a->n);
}

/* Does it come after the one before, as the one text has it? */
static bool in_order(const struct pattern *before, const struct pattern *a)
{
	size_t n = before->n < a->n ? before->n : a->n;
	int d = memcmp(before->p, a->p, n);

	if (before->bit != a->bit)
		return before->bit < a->bit;
	return d < 0 || (d == 0 && before->n < a->n);
}

/* One line; false: it cannot stand here. */
static bool take_line(struct run_policy *x, const char *p, const char *end)
{
	struct pattern *a = &x->v[x->n];
	static const char ro[] = READ_ONLY;

	if (x->read_only)
		return false; /* that is the last one */
	if ((size_t)(end - p) == sizeof(ro) - 2 &&
	    memcmp(p, ro, sizeof(ro) - 2) == 0) {
		x->read_only = true;
		return true;
	}
	if (!line_pattern(a, p, end, HIDE, RUN_POLICY_HIDDEN) &&
	    !line_pattern(a, p, end, PROTECT, RUN_POLICY_PROTECTED))
		return false;
	if (!pattern_ok(a) || (x->n > 0 && !in_order(a - 1, a)))
		return false;
	x->hides = x->hides || a->bit == RUN_POLICY_HIDDEN;
	x->n++;
	return true;
}

static bool take_text(struct run_policy *x, size_t n)
{
	static const size_t head = sizeof(HEAD) - 1;
	const char *p = x->text, *end = x->text + n;

	if (n < head || memcmp(p, HEAD, head) != 0)
		return false;
	for (p += head; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (!stop || !take_line(x, p, stop))
			return false;
		p = stop + 1;
	}
	return true;
}

int run_policy_parse(struct run_policy **out, const char *text, size_t n,
		     struct errmsg *em)
{
	size_t lines = 0;
	struct run_policy *x;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	x = n > LIMIT_PATH ?
		    NULL :
		    calloc(1, sizeof(*x) + (lines + 1) * sizeof(x->v[0]));
	if (n > LIMIT_PATH)
		return errmsg_set(em, -ERR_FORMAT, "the policy is too long");
	if (!x)
		return -ENOMEM;
	x->text = malloc(n + 1);
	if (!x->text) {
		run_policy_free(x);
		return -ENOMEM;
	}
	if (n > 0)
		memcpy(x->text, text, n);
	x->text[n] = '\0';
	if (!take_text(x, n)) {
		run_policy_free(x);
		return errmsg_set(em, -ERR_FORMAT,
				  "the policy is not understood");
	}
	*out = x;
	return 0;
}

void run_policy_free(struct run_policy *p)
{
	if (!p)
		return;
	free(p->text);
	free(p);
}

/* --- what it says --- */

bool run_policy_read_only(const struct run_policy *p)
{
	return p->read_only;
}

bool run_policy_hides(const struct run_policy *p)
{
	return p->hides;
}

/* Does the pattern want a directory of this path on its way? */
static bool on_the_way(const struct pattern *a, const char *path, size_t n)
{
	const char *end = a->p + a->n, *slash;

	for (const char *from = a->p;; from = slash + 1) {
		slash = memchr(from, '/', (size_t)(end - from));
		if (!slash)
			return false;
		if (slash - from == 2 && memcmp(from, "**", 2) == 0)
			continue; /* any directory is no certain one */
		if (glob_matches(a->p, (size_t)(slash - a->p), path, n))
			return true;
	}
}

unsigned run_policy_look(const struct run_policy *p, const char *path, size_t n,
			 bool dir)
{
	unsigned bits = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct pattern *a = &p->v[i];

		if (bits & a->bit)
			continue;
		if (glob_covers(a->p, a->n, path, n) ||
		    (!dir && a->bit == RUN_POLICY_PROTECTED &&
		     on_the_way(a, path, n)))
			bits |= a->bit;
	}
	return bits;
}
