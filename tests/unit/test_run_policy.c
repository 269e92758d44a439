/*
 * test_run_policy.c - what a guarded run may not do: one text for each
 * policy, nothing else is understood; what it says of paths, as a table.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fs/run/run_policy.h"

enum { LIST_MAX = 8 };

/* NULL-terminated lists; the caller frees the policy. */
static struct run_policy *policy_of(const char *const *hide,
				    const char *const *protect, bool read_only,
				    bool defaults)
{
	struct run_policy_said s = {
		.hide = hide,
		.protect = protect,
		.read_only = read_only,
		.defaults = defaults,
	};
	struct run_policy *p = NULL;
	struct buf text = BUF_INIT;

	while (hide[s.n_hide])
		s.n_hide++;
	while (protect[s.n_protect])
		s.n_protect++;
	cr_assert_eq(run_policy_make(&text, &s, NULL), 0);
	cr_assert_eq(run_policy_parse(&p, (char *)text.p, text.n, NULL), 0,
		     "%s", (char *)text.p);
	buf_release(&text);
	return p;
}

Test(run_policy, there_is_one_text_for_each_policy)
{
	static const char *const hide[] = { "b", "a/x", "b", "a" };
	static const char *const protect[] = { "z/**", "?" };
	const struct run_policy_said s = {
		.hide = hide,
		.protect = protect,
		.n_hide = 4,
		.n_protect = 2,
		.read_only = true,
	};
	struct buf text = BUF_INIT;

	cr_assert_eq(run_policy_make(&text, &s, NULL), 0);
	cr_assert_str_eq((char *)text.p, "vouch-guard-1\n"
					 "hide **/a\n"
					 "hide **/b\n"
					 "hide a/x\n"
					 "protect **/?\n"
					 "protect z/**\n"
					 "read-only\n");
	buf_release(&text);
}

Test(run_policy, what_is_wrong_with_a_pattern_is_said)
{
	static const struct {
		const char *pattern, *words;
	} v[] = {
		{ "", "empty" },	{ "/a", "slash" },
		{ "a/", "component" },	{ "a//b", "component" },
		{ "../a", "\"..\"" },	{ "a\nread-only", "control" },
		{ "a\x7f", "control" }, { "a/./b", "\".\"" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		const struct run_policy_said s = { .hide = &v[i].pattern,
						   .n_hide = 1 };
		const struct run_policy_said t = { .protect = &v[i].pattern,
						   .n_protect = 1 };
		struct errmsg em = ERRMSG_INIT;
		struct buf text = BUF_INIT;

		cr_assert_eq(run_policy_make(&text, &s, &em), -ERR_USAGE);
		cr_assert(strstr(em.text, v[i].words), "%s", em.text);
		cr_assert_eq(run_policy_make(&text, &t, NULL), -ERR_USAGE);
		buf_release(&text);
	}
}

Test(run_policy, too_many_patterns_are_refused)
{
	char name[256];
	const char *v[LIST_MAX * 4];
	const struct run_policy_said s = {
		.hide = v,
		.n_hide = LIST_MAX * 4,
		.defaults = true,
	};
	struct buf text = BUF_INIT;
	static char all[LIST_MAX * 4][256];

	memset(name, 'x', sizeof(name) - 1);
	name[255] = '\0';
	for (size_t i = 0; i < LIST_MAX * 4; i++) {
		memcpy(all[i], name, sizeof(name));
		all[i][0] = (char)('a' + (char)(i % 26));
		all[i][1] = (char)('a' + (char)(i / 26));
		v[i] = all[i];
	}
	cr_assert_eq(run_policy_make(&text, &s, NULL), -ERR_LIMIT);
	buf_release(&text);
}

Test(run_policy, no_other_text_is_understood)
{
	static const char *const v[] = {
		"",
		"vouch-guard-1",
		"vouch-guard-2\n",
		"read-only\n",
		"vouch-guard-1\nhide a\n",  /* made "**" "/a" by who makes it */
		"vouch-guard-1\nhide **/a", /* the line has no end */
		"vouch-guard-1\n\n",
		"vouch-guard-1\nhide \n",
		"vouch-guard-1\nhide **/b\nhide **/a\n",
		"vouch-guard-1\nhide **/a\nhide **/a\n",
		"vouch-guard-1\nprotect **/a\nhide **/a\n",
		"vouch-guard-1\nread-only\nhide **/a\n",
		"vouch-guard-1\nread-only\nread-only\n",
		"vouch-guard-1\nhide /a/b\n",
		"vouch-guard-1\nhide a/\n",
		"vouch-guard-1\nhide a\t/b\n",
		"vouch-guard-1\nhide a/\r\n",
		"vouch-guard-1\nallow **/a\n",
		"vouch-guard-1\nread-only \n",
	};
	struct run_policy *p = NULL;
	char zero[] = "vouch-guard-1\nhide **/a\0b\n";

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		cr_assert_eq(run_policy_parse(&p, v[i], strlen(v[i]), NULL),
			     -ERR_FORMAT, "%s", v[i]);
	cr_assert_eq(run_policy_parse(&p, zero, sizeof(zero) - 1, NULL),
		     -ERR_FORMAT);
	cr_assert_null(p);
}

Test(run_policy, hidden_and_protected_paths)
{
	static const char *const hide[] = { "*.key", "secret", "a/b/*.txt",
					    NULL };
	static const char *const protect[] = { "conf/**", "lib/app.ini",
					       "x/*/z", NULL };
	static const struct {
		const char *path;
		bool dir;
		unsigned want;
	} v[] = {
		{ "", true, 0 },
		{ "k.key", false, RUN_POLICY_HIDDEN },
		{ "d/e/k.key", false, RUN_POLICY_HIDDEN },
		{ "d.key/e/f", false, RUN_POLICY_HIDDEN },
		{ "k.key2", false, 0 },
		{ "secret", true, RUN_POLICY_HIDDEN },
		{ "q/secret/deep/er", false, RUN_POLICY_HIDDEN },
		{ "a/b/c.txt", false, RUN_POLICY_HIDDEN },
		{ "q/a/b/c.txt", false, 0 }, /* from the root alone */
		{ "a/b/d/c.txt", false, 0 },
		{ "conf", true, RUN_POLICY_PROTECTED },
		{ "conf/k.key", false,
		  RUN_POLICY_HIDDEN | RUN_POLICY_PROTECTED },
		{ "lib/app.ini", false, RUN_POLICY_PROTECTED },
		{ "lib", true, 0 },
		{ "lib", false, RUN_POLICY_PROTECTED }, /* leads elsewhere */
		{ "x", true, 0 },
		{ "x", false, RUN_POLICY_PROTECTED },
		{ "x/y", true, 0 },
		{ "x/y", false, RUN_POLICY_PROTECTED },
		{ "x/y/z", true, RUN_POLICY_PROTECTED },
		{ "x/y/w", false, 0 },
		{ "a", false, 0 }, /* nothing is seen through a wrong way */
		{ "other/lib", false, 0 },
	};
	struct run_policy *p = policy_of(hide, protect, false, false);

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		cr_expect_eq(run_policy_look(p, v[i].path, strlen(v[i].path),
					     v[i].dir),
			     v[i].want, "%s", v[i].path);
	cr_assert(run_policy_hides(p));
	cr_assert_not(run_policy_read_only(p));
	run_policy_free(p);
}

Test(run_policy, the_default_list)
{
	static const char *const none[] = { NULL };
	static const struct {
		const char *path;
		bool dir, want;
	} v[] = {
		{ ".git/hooks", true, true },
		{ ".git/hooks/pre-commit", false, true },
		{ "a/b/.git/hooks/x", false, true },
		{ "a/.git/config", false, true },
		{ "a/.git/index", false, false },
		{ "a/.git", true, false },
		{ "a/.git", false, true }, /* a link, or "gitdir: ..." */
		{ ".git/modules/m/n/hooks/y", false, true },
		{ "s/.vscode/tasks.json", false, true },
		{ ".envrc", false, true },
		{ "home/u/.bashrc", false, true },
		{ "home/u/.config/fish/config.fish", false, true },
		{ "home/u/.config", false, true },
		{ "home/u/.config/other", false, false },
		{ "src/main.c", false, false },
	};
	struct run_policy *p = policy_of(none, none, true, true);

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		cr_expect_eq(run_policy_look(p, v[i].path, strlen(v[i].path),
					     v[i].dir) != 0,
			     v[i].want, "%s", v[i].path);
	cr_assert(run_policy_read_only(p));
	cr_assert_not(run_policy_hides(p));
	run_policy_free(p);
}
