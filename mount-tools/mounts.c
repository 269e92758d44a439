/*
 * mounts.c - see mounts.h.  The format is proc(5)'s: blank-separated fields,
 * \040-like escapes, " - " before type, source and options.
 */
#include "mount-tools/mounts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define TYPE "fuse.vouchfs"

enum { FIELD_DEVICE = 2, FIELD_ROOT = 3, FIELD_DIR = 4, FIELDS_MAX = 64 };

/* Undoes \ooo in place. */
static void unescape(char *s)
{
	char *o = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*o++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				      (s[3] - '0'));
			s += 3;
		} else {
			*o++ = *s;
		}
	}
	*o = '\0';
}

static int add(struct mounts *m, const struct mounts_one *found)
{
	struct mounts_one *v = reallocarray(m->v, m->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	m->v = v;
	v += m->n++;
	*v = *found;
	v->store = strdup(found->store);
	v->dir = strdup(found->dir);
	v->root = strdup(found->root);
	v->device = strdup(found->device);
	if (!v->store || !v->dir || !v->root || !v->device)
		return -ENOMEM;
	unescape(v->store);
	unescape(v->dir);
	unescape(v->root);
	return 0;
}

/* Of the superblock's options, "ro" or "rw" first: user_id= and that. */
static void options_parse(struct mounts_one *out, const char *options)
{
	const char *uid = strstr(options, "user_id=");

	out->read_only = strncmp(options, "ro", 2) == 0 &&
			 (options[2] == ',' || options[2] == '\0');
	if (uid)
		out->uid = (uint32_t)strtoul(uid + 8, NULL, 10);
}

/* One line, which is taken apart. */
static int line_parse(struct mounts *m, char *line)
{
	char *fields[FIELDS_MAX], *save = NULL;
	int n = 0, dash = -1;

	for (char *s = strtok_r(line, " ", &save); s && n < FIELDS_MAX;
	     s = strtok_r(NULL, " ", &save)) {
		if (dash < 0 && strcmp(s, "-") == 0)
			dash = n;
		fields[n++] = s;
	}
	if (dash <= FIELD_DIR || dash + 2 >= n ||
	    strcmp(fields[dash + 1], TYPE) != 0)
		return 0;
	struct mounts_one one = {
		.store = fields[dash + 2],
		.dir = fields[FIELD_DIR],
		.root = fields[FIELD_ROOT],
		.device = fields[FIELD_DEVICE],
	};
	if (dash + 3 < n)
		options_parse(&one, fields[dash + 3]);
	return add(m, &one);
}

int mounts_parse(struct mounts *out, const char *text)
{
	autofree char *copy = strdup(text);
	char *save = NULL;
	int rc = copy ? 0 : -ENOMEM;

	*out = (struct mounts){ NULL, 0 };
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL;
	     line && rc == 0; line = strtok_r(NULL, "\n", &save))
		rc = line_parse(out, line);
	if (rc < 0)
		mounts_release(out);
	return rc;
}

/* The whole file, the caller's to free(). */
static int mountinfo(char **out)
{
	size_t cap = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	*out = NULL;
	if (!f)
		return -errno;
	ssize_t n = getdelim(out, &cap, '\0', f);
	fclose(f);
	return n < 0 ? -EIO : 0;
}

int mounts_read(struct mounts *out)
{
	autofree char *text = NULL;
	int rc = mountinfo(&text);

	*out = (struct mounts){ NULL, 0 };
	return rc < 0 ? rc : mounts_parse(out, text);
}

int mounts_below(const char *dir)
{
	autofree char *text = NULL;
	char *save = NULL, *in = NULL;
	int rc = mountinfo(&text);

	for (char *line = rc == 0 ? strtok_r(text, "\n", &save) : NULL;
	     line && rc == 0; line = strtok_r(NULL, "\n", &save)) {
		char *s = strtok_r(line, " ", &in);

		for (int i = 0; s && i < FIELD_DIR; i++)
			s = strtok_r(NULL, " ", &in);
		if (!s)
			continue;
		unescape(s);
		rc = text_path_below(s, dir) && strcmp(s, dir) != 0;
	}
	return rc;
}

void mounts_release(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].store);
		free(m->v[i].dir);
		free(m->v[i].root);
		free(m->v[i].device);
	}
	free(m->v);
	*m = (struct mounts){ NULL, 0 };
}

const struct mounts_one *mounts_over(const struct mounts *m, const char *path)
{
	const struct mounts_one *best = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (text_path_below(path, m->v[i].dir) &&
		    (!best || strlen(m->v[i].dir) >= strlen(best->dir)))
			best = &m->v[i];
	return best;
}

/* --- who uses it ------------------------------------------------------------- */

/* Does the link /proc/PID/NAME lead into dir?  Then out has where. */
static bool leads_into(const char *link, const char *dir, char *out, size_t cap)
{
	ssize_t n = readlink(link, out, cap - 1);

	if (n < 0)
		return false;
	out[n] = '\0';
	return text_path_below(out, dir);
}

static bool fds_lead_into(int pid, const char *dir, char *out, size_t cap)
{
	char path[320];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		found = leads_into(path, dir, out, cap);
	}
	if (d)
		closedir(d);
	return found;
}

static bool uses(int pid, const char *dir, char *out, size_t cap)
{
	static const char *const links[] = { "cwd", "root", "exe" };
	char path[64];

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, links[i]);
		if (leads_into(path, dir, out, cap))
			return true;
	}
	return fds_lead_into(pid, dir, out, cap);
}

static void name_of(int pid, char *out, size_t cap)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *f = fopen(path, "re");
	if (!f || !fgets(out, (int)cap, f))
		snprintf(out, cap, "?");
	if (f)
		fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

int mounts_users(const char *dir, int max, mounts_user_fn *fn, void *ctx)
{
	char where[4096], name[64];
	int n = 0;
	DIR *d = opendir("/proc");

	for (struct dirent *e; d && n < max && (e = readdir(d));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		int pid = (int)strtol(e->d_name, NULL, 10);
		if (pid == getpid() || !uses(pid, dir, where, sizeof(where)))
			continue;
		name_of(pid, name, sizeof(name));
		fn(ctx, pid, name, where);
		n++;
	}
	if (d)
		closedir(d);
	return n;
}
