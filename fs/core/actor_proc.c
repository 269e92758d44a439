/*
 * actor_proc.c - see actor_proc.h.
 *
 * The watch is a descriptor of /proc/PID/pagemap.  It belongs to the address
 * space that the process had when it was opened; a read of one byte is
 * refused with EINVAL as long as that has a user, and gives end of file
 * afterwards.  No lock of the process is taken on the way (mm/proc:
 * pagemap_read looks at the number of users, then at the alignment), while
 * reading environ, mem or cmdline takes the lock that a thread in a page
 * fault on one of our own files may hold.
 */
#include "fs/core/actor_proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/err.h"
#include "base/text.h"

enum { PROC_TEXT_MAX = 8192 };

/*
 * From the namespace of /proc down to our own, a number each: one, and it is
 * ours.  A kernel without pid namespaces has no such line.
 */
static bool look_ours(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	bool yes = f != NULL;
	int more = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "NSpid:", 6) == 0)
			yes = sscanf(line + 6, "%*u %d", &more) < 1;
	if (f)
		fclose(f);
	return yes;
}

bool actor_proc_ours(void)
{
	static atomic_int known; /* 1 yes, -1 no; who is first looks */
	int k = atomic_load_explicit(&known, memory_order_relaxed);

	if (k == 0) {
		k = look_ours() ? 1 : -1;
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k > 0;
}

static int proc_open(uint32_t pid, const char *name, int flags)
{
	char path[64];

	if (!actor_proc_ours())
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* At most cap bytes; a process that goes meanwhile is -ESRCH. */
static ssize_t proc_slurp(uint32_t pid, const char *name, char *out, size_t cap)
{
	size_t n = 0;
	int fd = proc_open(pid, name, O_RDONLY);

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	while (n < cap) {
		ssize_t got = read(fd, out + n, cap - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ssize_t rc = -errno;
			close(fd);
			return rc;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	return (ssize_t)n;
}

/* The decimal number at *p; moves *p behind it. */
static bool number(uint64_t *out, const char **p, const char *end)
{
	const char *s = *p;
	uint64_t v = 0;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s == end || *s < '0' || *s > '9')
		return false;
	for (; s < end && *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	*p = s;
	*out = v;
	return true;
}

/* The last of `count` numbers on the line that starts with `label`. */
static bool status_line(uint32_t *out, const char *p, const char *end,
			const char *label, int count)
{
	size_t n = strlen(label);

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		if (!eol)
			eol = end;
		if ((size_t)(eol - p) > n && memcmp(p, label, n) == 0) {
			uint64_t v = 0;
			p += n;
			for (int i = 0; i < count; i++)
				if (!number(&v, &p, eol))
					return false;
			*out = (uint32_t)v;
			return v <= UINT32_MAX;
		}
		p = eol + 1;
	}
	return false;
}

int actor_proc_parse_status(struct actor_proc *out, const char *p, size_t n)
{
	const char *end = p + n;

	/* Name is the first line; a newline in it is written as \n. */
	if (!status_line(&out->tgid, p, end, "Tgid:", 1) ||
	    !status_line(&out->ppid, p, end, "PPid:", 1) ||
	    !status_line(&out->uid, p, end, "Uid:", 4) ||
	    !status_line(&out->gid, p, end, "Gid:", 4))
		return -ERR_FORMAT;
	return 0;
}

int actor_proc_parse_stat(struct actor_proc *out, const char *p, size_t n)
{
	/* The name is in brackets and may hold brackets and blanks. */
	const char *s = n > 0 ? memrchr(p, ')', n) : NULL;
	const char *end = p + n;
	uint64_t v = 0;

	if (!s || end - s < 4)
		return -ERR_FORMAT;
	s += 3; /* ") S": the state is field 3 */
	for (int field = 4; field <= 28; field++) {
		while (s < end && (*s == ' ' || *s == '-'))
			s++;
		if (!number(&v, &s, end))
			return -ERR_FORMAT;
		if (field == 5)
			out->group = v <= UINT32_MAX ? (uint32_t)v : 0;
		else if (field == 6)
			out->session = v <= UINT32_MAX ? (uint32_t)v : 0;
		else if (field == 22)
			out->start_time = v;
	}
	out->start_stack = v;
	return 0;
}

int actor_proc_read(struct actor_proc *out, uint32_t pid)
{
	char text[PROC_TEXT_MAX];

	assert(pid != 0);
	*out = (struct actor_proc){ 0 };
	ssize_t n = proc_slurp(pid, "status", text, sizeof(text));
	if (n < 0)
		return (int)n;
	int rc = actor_proc_parse_status(out, text, (size_t)n);
	if (rc < 0)
		return rc;
	n = proc_slurp(out->tgid, "stat", text, sizeof(text));
	if (n < 0)
		return (int)n;
	return actor_proc_parse_stat(out, text, (size_t)n);
}

int actor_proc_user(uint32_t *out, uint32_t pid)
{
	char text[PROC_TEXT_MAX];
	ssize_t n = proc_slurp(pid, "status", text, sizeof(text));

	if (n < 0)
		return (int)n;
	for (int i = 1; i <= 4; i++) {
		uint32_t uid = 0;

		if (!status_line(&uid, text, text + n, "Uid:", i))
			return -ERR_FORMAT;
		if (i > 1 && uid != *out)
			return -EPERM;
		*out = uid;
	}
	return 0;
}

int actor_proc_start(uint64_t *out, uint32_t pid)
{
	char text[PROC_TEXT_MAX];
	struct actor_proc proc = { 0 };
	ssize_t n = proc_slurp(pid, "stat", text, sizeof(text));
	int rc = n < 0 ? (int)n : actor_proc_parse_stat(&proc, text, (size_t)n);

	*out = proc.start_time;
	return rc;
}

int actor_proc_parse_limit(uint64_t *out, const char *p, size_t n)
{
	static const char label[] = "Max file locks ";
	const size_t len = sizeof(label) - 1;
	const char *end = p + n;

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *s = p + len, *soft = s;

		if (!eol)
			break; /* cut */
		p = eol + 1;
		if ((size_t)(eol - (s - len)) <= len ||
		    memcmp(s - len, label, len) != 0)
			continue;
		while (soft < eol && *soft == ' ')
			soft++;
		s = memchr(soft, ' ', (size_t)(eol - soft));
		while (s && s < eol && *s == ' ')
			s++;
		if (s && eol - s >= 9 && memcmp(s, "unlimited", 9) == 0)
			*out = UINT64_MAX;
		else if (!s || !number(out, &s, eol))
			break;
		return 0;
	}
	return -ERR_FORMAT;
}

int actor_proc_limit(uint64_t *out, uint32_t pid)
{
	char text[PROC_TEXT_MAX];
	ssize_t n = proc_slurp(pid, "limits", text, sizeof(text));

	return n < 0 ? (int)n : actor_proc_parse_limit(out, text, (size_t)n);
}

const char *actor_proc_parse_cgroup(char *text, size_t n)
{
	static const char gone[] = " (deleted)";
	size_t tail = sizeof(gone) - 1;

	for (char *p = text, *end = text + n; p < end;) {
		char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			return NULL; /* cut */
		*eol = '\0';
		if (strncmp(p, "0::/", 4) == 0) {
			/* of a process that is no more: it was there */
			if ((size_t)(eol - p) > tail &&
			    strcmp(eol - tail, gone) == 0)
				eol[-(ptrdiff_t)tail] = '\0';
			return p + 3;
		}
		p = eol + 1;
	}
	return NULL;
}

const char *actor_proc_cgroup(uint32_t pid, char *text, size_t cap)
{
	ssize_t n = proc_slurp(pid, "cgroup", text, cap);

	return n < 0 ? NULL : actor_proc_parse_cgroup(text, (size_t)n);
}

int actor_proc_watch(uint32_t pid)
{
	return proc_open(pid, "pagemap", O_RDONLY);
}

bool actor_proc_alive(int watch_fd)
{
	char byte;

	return pread(watch_fd, &byte, 1, 0) != 0;
}

bool actor_proc_shares_memory(uint32_t a, uint32_t b)
{
	return syscall(SYS_kcmp, (pid_t)a, (pid_t)b, KCMP_VM, 0UL, 0UL) <= 0;
}

char *actor_proc_link(uint32_t pid, const char *name, size_t max)
{
	char path[64];
	autofree char *out = actor_proc_ours() ? malloc(max + 1) : NULL;

	if (!out)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	ssize_t n = readlink(path, out, max);
	if (n < 0)
		return NULL;
	out[n] = '\0';
	char *fit = realloc(out, (size_t)n + 1);
	if (fit)
		out = fit;
	return take(out);
}

/* Looks for NAME= at the start of a string, piece by piece. */
struct variable {
	const char *name;
	size_t matched; /* bytes of NAME= */
	bool no;	/* this string is another's */
	bool found;
	char *out;
	size_t n, cap;
};

/* True when the value is whole, or fills the room. */
static bool variable_feed(struct variable *v, char c)
{
	size_t n = strlen(v->name);

	if (v->found) {
		if (c == '\0' || v->n == v->cap)
			return true;
		v->out[v->n++] = c;
		return false;
	}
	if (c == '\0') {
		v->no = false;
		v->matched = 0;
	} else if (!v->no) {
		v->no = c != (v->matched < n ? v->name[v->matched] : '=');
		v->found = !v->no && v->matched++ == n;
	}
	return false;
}

ssize_t actor_proc_variable(uint32_t pid, const char *name, char *out,
			    size_t cap)
{
	enum { ENVIRON_MAX = 4 << 20 };
	struct variable v = { .name = name, .out = out, .cap = cap };
	char piece[PROC_TEXT_MAX];
	bool done = false;
	ssize_t n = 0;
	int fd = proc_open(pid, "environ", O_RDONLY);

	if (fd < 0)
		return fd;
	for (size_t all = 0; !done && all < ENVIRON_MAX; all += (size_t)n) {
		do {
			n = read(fd, piece, sizeof(piece));
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n && !done; i++)
			done = variable_feed(&v, piece[i]);
	}
	close(fd);
	return v.found ? (ssize_t)v.n : -ENOENT;
}

ssize_t actor_proc_cmdline(uint32_t pid, char *out, size_t cap)
{
	return proc_slurp(pid, "cmdline", out, cap);
}

bool actor_proc_cgroup_root(char *out, size_t cap)
{
	char line[3 * LIMIT_PATH], root[LIMIT_PATH + 1], dir[LIMIT_PATH + 1];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, " - cgroup2 ") &&
			sscanf(line, "%*d %*d %*s %4095s %4095s", root, dir) ==
				2 &&
			strcmp(root, "/") == 0;
	if (f)
		fclose(f);
	return found && snprintf(out, cap, "%s", dir) < (int)cap;
}

bool actor_proc_cgroup_gone(const char *path)
{
	char dir[LIMIT_PATH + 1], all[2 * LIMIT_PATH + 4];

	if (!actor_proc_cgroup_root(dir, sizeof(dir)))
		return false;
	snprintf(all, sizeof(all), "%s%s", dir, path);
	return access(all, F_OK) < 0 && errno == ENOENT;
}

bool actor_proc_cgroup_populated(const char *path)
{
	char dir[LIMIT_PATH + 1], all[2 * LIMIT_PATH + 32], text[256];
	ssize_t n;
	int fd;

	if (!actor_proc_cgroup_root(dir, sizeof(dir)))
		return true; /* who knows */
	snprintf(all, sizeof(all), "%s%s/cgroup.events", dir, path);
	fd = open(all, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n <= 0 || strstr(text, "populated 1") != NULL;
}
