/*
 * flags.c - names of flags and of errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conform/ctx.h"

#define F(name)             \
	{                   \
#name, name \
	}

static const struct {
	const char *name;
	long value;
} flags[] = {
	F(O_RDONLY),
	F(O_WRONLY),
	F(O_RDWR),
	F(O_CREAT),
	F(O_EXCL),
	F(O_TRUNC),
	F(O_APPEND),
	F(O_DIRECTORY),
	F(O_NOFOLLOW),
	F(O_PATH),
	F(O_TMPFILE),
	F(O_NONBLOCK),
	F(O_SYNC),
	F(O_DSYNC),
	F(O_DIRECT),
	F(O_NOATIME),
	F(O_CLOEXEC),
	F(AT_SYMLINK_FOLLOW),
	F(AT_EMPTY_PATH),
	F(AT_REMOVEDIR),
	F(AT_SYMLINK_NOFOLLOW),
	F(AT_EACCESS),
	F(RENAME_NOREPLACE),
	F(RENAME_EXCHANGE),
	F(RENAME_WHITEOUT),
	F(XATTR_CREATE),
	F(XATTR_REPLACE),
	F(F_OK),
	F(R_OK),
	F(W_OK),
	F(X_OK),
	{ "-", 0 },
};

bool flags_parse(const char *text, long *out)
{
	char copy[256], *save = NULL, *end;

	snprintf(copy, sizeof(copy), "%s", text);
	*out = 0;
	for (char *w = strtok_r(copy, ",", &save); w;
	     w = strtok_r(NULL, ",", &save)) {
		size_t i = 0, n = sizeof(flags) / sizeof(*flags);

		while (i < n && strcmp(flags[i].name, w))
			i++;
		if (i < n) {
			*out |= flags[i].value;
			continue;
		}
		*out |= strtol(w, &end, 0);
		if (*end)
			return false;
	}
	return true;
}

const char *flags_errno(int e)
{
	const char *name = strerrorname_np(e);

	/* one number, two names */
	if (e == EOPNOTSUPP)
		return "EOPNOTSUPP";
	return name ? name : "E?";
}
