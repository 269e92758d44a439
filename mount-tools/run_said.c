/*
 * run_said.c - see run_said.h.
 */
#include "fs/daemon/control.h"
#include "mount-tools/run_said.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/limits.h"
#include "base/text.h"
#include "fs/run/run_table.h"
#include "index/idx_runs.h"
#include "ledger/argv.h"

/* Of an entry: names, and 34 bytes for each; the rest is counted. */
enum { ENV_BYTES_MAX = 44000, ENV_EACH = 34, ENV_MAX = 1000 };

struct name {
	const char *text; /* NAME=VALUE */
	size_t n;	  /* of NAME */
	unsigned place;	  /* in the environment: the first one counts */
};

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int d = memcmp(x->text, y->text, n);

	if (d == 0)
		d = x->n < y->n ? -1 : x->n > y->n;
	return d ? d : x->place < y->place ? -1 : 1;
}

static bool same_name(const struct name *a, const struct name *b)
{
	return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

static void add_one(struct buf *out, const struct name *v)
{
	const char *value = v->text + v->n + 1;
	struct digest d;

	digest_sha256(&d, value, strlen(value));
	buf_addc(out, '"');
	text_hex(out, v->text, v->n);
	buf_adds(out, "\":\"");
	text_hex(out, d.b, sizeof(d.b));
	buf_addc(out, '"');
}

static int add_env(struct buf *out, char **envp)
{
	autofree struct name *v = NULL;
	unsigned n = 0, left = 0, told = 0, all = 0;
	size_t bytes = 0;

	while (envp[all])
		all++;
	v = calloc((size_t)all + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < all; i++) {
		const char *equals = strchr(envp[i], '=');
		size_t len = equals ? (size_t)(equals - envp[i]) : 0;

		if (len == 0 || len > LIMIT_NAME)
			left++;
		else if (len != strlen(RUN_MARKER) ||
			 memcmp(envp[i], RUN_MARKER, len) != 0)
			v[n++] = (struct name){ envp[i], len, i };
	}
	qsort(v, n, sizeof(*v), by_name);
	buf_adds(out, ",\"env\":{");
	for (unsigned i = 0; i < n; i++) {
		if (i > 0 && same_name(&v[i], &v[i - 1]))
			continue; /* getenv(3) finds the first */
		bytes += v[i].n + ENV_EACH;
		if (told == ENV_MAX || bytes > ENV_BYTES_MAX) {
			left++;
			continue;
		}
		if (told++)
			buf_addc(out, ',');
		add_one(out, &v[i]);
	}
	buf_addf(out, "},\"env_left\":%u", left);
	return 0;
}

static void add_hex(struct buf *out, const char *key, const void *p, size_t n)
{
	buf_addf(out, ",\"%s\":\"", key);
	text_hex(out, p, n);
	buf_addc(out, '"');
}

static void add_argv(struct buf *out, char **argv)
{
	struct buf autocall(buf_release) line = BUF_INIT;
	struct buf autocall(buf_release) packed = BUF_INIT;

	for (char **a = argv; *a && line.n < LIMIT_ARGV; a++)
		buf_add(&line, *a, strlen(*a) + 1);
	argv_pack(&packed, line.p, line.n, LIMIT_ARGV);
	if (line.bad || packed.bad)
		out->bad = true;
	add_hex(out, "argv", packed.p, packed.n);
}

int run_said_members(struct buf *out, const char *id_hex, const char *name,
		     char **argv, char **envp, bool own_cgroup)
{
	autofree char *cwd = getcwd(NULL, 0);
	const struct passwd *pw = getpwuid(getuid());
	const char *user = pw ? pw->pw_name : "";
	size_t n = cwd ? strlen(cwd) : 0;
	int rc;

	buf_addf(out, "\"verb\":\"run-start\",\"run\":\"%s\",\"name\":\"%s\"",
		 id_hex, name);
	add_argv(out, argv);
	add_hex(out, "cwd", cwd, n < LIMIT_CWD ? n : LIMIT_CWD);
	add_hex(out, "user", user, strnlen(user, LIMIT_HOST));
	buf_addf(out, ",\"cgroup\":%s", own_cgroup ? "true" : "false");
	rc = add_env(out, envp);
	return rc == 0 && out->bad ? -ENOMEM : rc;
}

void run_said_policy(struct buf *out, const struct buf *policy, uint64_t limit)
{
	if (policy->n > 0)
		add_hex(out, "policy", policy->p, policy->n);
	if (policy->n > 0 && limit > 0)
		control_add_u64(out, "limit", limit);
	if (policy->bad)
		out->bad = true;
}

void run_said_name(char out[RUN_NAME_MAX + 1], const char *command)
{
	const char *slash = strrchr(command, '/');
	const char *base = slash ? slash + 1 : command;

	idx_run_name_fit(out, base, strlen(base));
}
