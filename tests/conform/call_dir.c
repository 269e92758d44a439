/*
 * call_dir.c - steps with open directories, and figures of file systems.
 * The order of names is the file system's own: what is told is which, sorted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conform/call.h"

enum { NAMES_MAX = 200 };

static struct {
	DIR *d;
	long place; /* that `dtell` has noted */
} dirs[CTX_HELD];

static int number_of(const char *word)
{
	if (word[0] < '0' || word[0] > '9' || word[1])
		abort();
	return word[0] - '0';
}

void call_close_dirs(void)
{
	for (int i = 0; i < CTX_HELD; i++)
		if (dirs[i].d)
			closedir(dirs[i].d);
	memset(dirs, 0, sizeof(dirs));
}

/* dopen D PATH */
static int do_dopen(struct ctx *x, int n, char **arg)
{
	DIR *d = opendir(arg[1]);

	(void)x, (void)n;
	dirs[number_of(arg[0])].d = d;
	return d ? 0 : -1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* dread D COUNT: so many more names, sorted; "nothing" at the end */
static int do_dread(struct ctx *x, int n, char **arg)
{
	DIR *d = dirs[number_of(arg[0])].d;
	char *name[NAMES_MAX];
	long most = call_number(arg[1]);
	int k = 0, e = 0;

	(void)n;
	while (k < most && k < NAMES_MAX) {
		struct dirent *ent;

		errno = 0;
		ent = readdir(d);
		e = errno;
		if (!ent)
			break;
		name[k++] = strdup(ent->d_name);
	}
	qsort(name, (size_t)k, sizeof(*name), by_name);
	for (int i = 0; i < k; i++) {
		call_say(x, "%s%s", i ? " " : "", name[i]);
		free(name[i]);
	}
	if (!k && !e)
		call_say(x, "nothing");
	errno = e;
	return e ? -1 : 0;
}

static int do_drewind(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	rewinddir(dirs[number_of(arg[0])].d);
	return 0;
}

static int do_dtell(struct ctx *x, int n, char **arg)
{
	int i = number_of(arg[0]);

	(void)x, (void)n;
	dirs[i].place = telldir(dirs[i].d);
	return dirs[i].place < 0 ? -1 : 0;
}

static int do_dseek(struct ctx *x, int n, char **arg)
{
	int i = number_of(arg[0]);

	(void)x, (void)n;
	seekdir(dirs[i].d, dirs[i].place);
	return 0;
}

/* dhold D N: its descriptor among the held ones */
static int do_dhold(struct ctx *x, int n, char **arg)
{
	int fd = fcntl(dirfd(dirs[number_of(arg[0])].d), F_DUPFD_CLOEXEC, 3);

	(void)n;
	*call_held(x, arg[1]) = fd;
	return fd < 0 ? -1 : 0;
}

/* dtype PATH NAME: the type that the listing tells */
static int do_dtype(struct ctx *x, int n, char **arg)
{
	DIR *d = opendir(arg[0]);
	struct dirent *e;

	(void)n;
	if (!d)
		return -1;
	while ((e = readdir(d)) && strcmp(e->d_name, arg[1]) != 0)
		;
	if (!e)
		call_say(x, "none");
	else
		call_say(x, "%s",
			 e->d_type == DT_UNKNOWN ? "unknown" :
						   kind_of(DTTOIF(e->d_type)));
	return closedir(d);
}

/* dino PATH NAME: is the number that the listing tells that of stat? */
static int do_dino(struct ctx *x, int n, char **arg)
{
	DIR *d = opendir(arg[0]);
	struct dirent *e;
	struct stat st;

	(void)n;
	if (!d)
		return -1;
	while ((e = readdir(d)) && strcmp(e->d_name, arg[1]) != 0)
		;
	if (!e || fstatat(dirfd(d), arg[1], &st, AT_SYMLINK_NOFOLLOW) < 0)
		call_say(x, "none");
	else
		call_say(x, st.st_ino == e->d_ino ? "same" : "other");
	return closedir(d);
}

/* many PREFIX FROM TO: makes files */
static int do_many(struct ctx *x, int n, char **arg)
{
	char name[256];

	(void)x, (void)n;
	for (long long i = call_number(arg[1]); i < call_number(arg[2]); i++) {
		int fd;

		snprintf(name, sizeof(name), "%s%03lld", arg[0], i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || close(fd) < 0)
			return -1;
	}
	return 0;
}

/* fsetx N NAME VALUE, fgetx N NAME, fremx N NAME, flistx N */
static int do_fsetx(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fsetxattr(*call_held(x, arg[0]), arg[1], arg[2], strlen(arg[2]),
			 0);
}

static int do_fgetx(struct ctx *x, int n, char **arg)
{
	char value[256];
	ssize_t k =
		fgetxattr(*call_held(x, arg[0]), arg[1], value, sizeof(value));

	(void)n;
	for (ssize_t i = 0; i < k; i++) /* an ACL is no text */
		call_say(x, value[i] > ' ' ? "%c" : "%02x",
			 (unsigned char)value[i]);
	return k < 0 ? -1 : 0;
}

static int do_fremx(struct ctx *x, int n, char **arg)
{
	(void)n;
	return fremovexattr(*call_held(x, arg[0]), arg[1]);
}

static int do_flistx(struct ctx *x, int n, char **arg)
{
	char list[1024];
	ssize_t k = flistxattr(*call_held(x, arg[0]), list, sizeof(list));

	(void)n;
	if (k < 0)
		return -1;
	if (!k)
		call_say(x, "none");
	for (ssize_t i = 0; i < k; i += (ssize_t)strlen(list + i) + 1)
		call_say(x, "%s%s", i ? " " : "", list + i);
	return 0;
}

/* statfs PATH namemax|bsize|plausible|inodes|readonly */
static int do_statfs(struct ctx *x, int n, char **arg)
{
	struct statvfs s;

	(void)n;
	if (statvfs(arg[0], &s) < 0)
		return -1;
	if (!strcmp(arg[1], "namemax"))
		call_say(x, "%lu", s.f_namemax);
	else if (!strcmp(arg[1], "bsize"))
		call_say(x, "%lu:%lu", s.f_bsize, s.f_frsize);
	else if (!strcmp(arg[1], "blocks"))
		call_say(x, s.f_blocks && s.f_bavail <= s.f_bfree &&
					    s.f_bfree <= s.f_blocks ?
				    "plausible" :
				    "not so");
	else if (!strcmp(arg[1], "inodes"))
		call_say(x, s.f_files && s.f_favail <= s.f_ffree &&
					    s.f_ffree < s.f_files ?
				    "plausible" :
				    "not so");
	else if (!strcmp(arg[1], "fsid"))
		call_say(x, s.f_fsid ? "some" : "none");
	else
		call_say(x, s.f_flag & ST_RDONLY ? "ro" : "rw");
	return 0;
}

const struct call call_dirs[] = {
	{ "dopen", 2, 2, do_dopen, false },
	{ "dread", 2, 2, do_dread, false },
	{ "drewind", 1, 1, do_drewind, false },
	{ "dtell", 1, 1, do_dtell, false },
	{ "dseek", 1, 1, do_dseek, false },
	{ "dhold", 2, 2, do_dhold, false },
	{ "dtype", 2, 2, do_dtype, false },
	{ "dino", 2, 2, do_dino, false },
	{ "many", 3, 3, do_many, false },
	{ "fsetx", 3, 3, do_fsetx, false },
	{ "fgetx", 2, 2, do_fgetx, false },
	{ "fremx", 2, 2, do_fremx, false },
	{ "flistx", 1, 1, do_flistx, false },
	{ "statfs", 2, 2, do_statfs, false },
	{ 0 },
};
