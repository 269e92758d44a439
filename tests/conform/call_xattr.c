/*
 * call_xattr.c - steps with extended attributes, and with POSIX ACLs as the
 * kernel has them: system.posix_acl_access and system.posix_acl_default.
 *
 * An ACL is written `u::rwx,u:1002:r,g::r,m::r,o::-`; `acl-raw` takes hex.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/conform/call.h"

enum { VALUE_MAX = 70000 };

static char value[VALUE_MAX];

/* setxattr PATH NAME VALUE [FLAGS]; a VALUE `#N` is N bytes */
static const char *value_of(const char *word, size_t *out_n)
{
	if (word[0] != '#') {
		*out_n = strlen(word);
		return word;
	}
	*out_n = (size_t)call_number(word + 1);
	if (*out_n > sizeof(value))
		call_number("value");
	memset(value, 'v', *out_n);
	return value;
}

static int do_setxattr(struct ctx *x, int n, char **arg)
{
	size_t len;
	const char *v = value_of(arg[2], &len);

	(void)x;
	return setxattr(arg[0], arg[1], v, len,
			n > 3 ? (int)call_flags(arg[3]) : 0);
}

static int do_lsetxattr(struct ctx *x, int n, char **arg)
{
	size_t len;
	const char *v = value_of(arg[2], &len);

	(void)x;
	return lsetxattr(arg[0], arg[1], v, len,
			 n > 3 ? (int)call_flags(arg[3]) : 0);
}

static int say_value(struct ctx *x, ssize_t k, size_t size)
{
	if (k < 0)
		return -1;
	if (k == 0 || size == 0 || k > 40)
		call_say(x, "n%zd", k);
	else
		call_say(x, "%.*s", (int)k, value);
	return 0;
}

static int do_getxattr(struct ctx *x, int n, char **arg)
{
	size_t size = n > 2 ? (size_t)call_number(arg[2]) : sizeof(value);

	return say_value(x, getxattr(arg[0], arg[1], value, size), size);
}

static int do_lgetxattr(struct ctx *x, int n, char **arg)
{
	size_t size = n > 2 ? (size_t)call_number(arg[2]) : sizeof(value);

	return say_value(x, lgetxattr(arg[0], arg[1], value, size), size);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names, sorted, with + between; security.* is the system's own. */
static int say_list(struct ctx *x, ssize_t k)
{
	const char *names[64];
	size_t n = 0;

	for (const char *p = value; p < value + k; p += strlen(p) + 1)
		if (n < 64 && strcmp(p, "security.selinux"))
			names[n++] = p;
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++)
		call_say(x, "%s%s", i ? "+" : "", names[i]);
	if (n == 0)
		call_say(x, "none");
	return 0;
}

static int do_listxattr(struct ctx *x, int n, char **arg)
{
	size_t size = n > 1 ? (size_t)call_number(arg[1]) : sizeof(value);
	ssize_t k = llistxattr(arg[0], value, size);

	if (k < 0)
		return -1;
	if (size == 0) {
		call_say(x, "n%zd", k);
		return 0;
	}
	return say_list(x, k);
}

static int do_removexattr(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return removexattr(arg[0], arg[1]);
}

static int do_lremovexattr(struct ctx *x, int n, char **arg)
{
	(void)x, (void)n;
	return lremovexattr(arg[0], arg[1]);
}

/* --- ACLs ---------------------------------------------------------------- */

static const char *acl_name(const char *word)
{
	return strcmp(word, "default") ? "system.posix_acl_access" :
					 "system.posix_acl_default";
}

static uint16_t tag_of(char kind, bool named)
{
	switch (kind) {
	case 'u':
		return named ? 0x02 : 0x01;
	case 'g':
		return named ? 0x08 : 0x04;
	case 'm':
		return 0x10;
	case 'o':
		return 0x20;
	default:
		call_number("kind of ACL entry");
		return 0;
	}
}

static void put16(char **p, uint16_t v)
{
	*(*p)++ = (char)v;
	*(*p)++ = (char)(v >> 8);
}

static void put32(char **p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p, (uint16_t)(v >> 16));
}

static size_t acl_encode(char *out, const char *text)
{
	char copy[1024], *save = NULL, *p = out;

	snprintf(copy, sizeof(copy), "%s", text);
	put32(&p, 2);
	for (char *w = strtok_r(copy, ",", &save); w;
	     w = strtok_r(NULL, ",", &save)) {
		char id[16] = "", perm[8] = "";
		uint16_t bits = 0;

		if (sscanf(w + 1, "::%7s", perm) != 1 &&
		    sscanf(w + 1, ":%15[^:]:%7s", id, perm) != 2)
			call_number(w);
		bits |= strchr(perm, 'r') ? 4 : 0;
		bits |= strchr(perm, 'w') ? 2 : 0;
		bits |= strchr(perm, 'x') ? 1 : 0;
		put16(&p, tag_of(w[0], id[0]));
		put16(&p, bits);
		put32(&p, id[0] ? call_id(id) : UINT32_MAX);
	}
	return (size_t)(p - out);
}

/* acl PATH access|default ACL */
static int do_acl(struct ctx *x, int n, char **arg)
{
	char raw[2048];

	(void)x, (void)n;
	return setxattr(arg[0], acl_name(arg[1]), raw, acl_encode(raw, arg[2]),
			0);
}

/* acl-raw PATH access|default HEX */
static int do_acl_raw(struct ctx *x, int n, char **arg)
{
	char raw[2048];
	size_t len = 0;
	unsigned byte;

	(void)x, (void)n;
	for (const char *p = arg[2]; p[0] && p[1]; p += 2) {
		if (sscanf(p, "%2x", &byte) != 1)
			call_number(arg[2]);
		raw[len++] = (char)byte;
	}
	return setxattr(arg[0], acl_name(arg[1]), raw, len, 0);
}

static uint32_t get(const char *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint32_t)(unsigned char)p[i] << 8 * i;
	return v;
}

/* getacl PATH access|default: as above, or "none" */
static int do_getacl(struct ctx *x, int n, char **arg)
{
	ssize_t k = getxattr(arg[0], acl_name(arg[1]), value, sizeof(value));

	(void)n;
	if (k < 0 && errno == ENODATA) {
		call_say(x, "none");
		return 0;
	}
	if (k < 0)
		return -1;
	for (const char *p = value + 4; p + 8 <= value + k; p += 8) {
		uint32_t tag = get(p, 2), perm = get(p + 2, 2);

		call_say(x, "%s%c:", p == value + 4 ? "" : "+",
			 tag & 3  ? 'u' :
			 tag & 12 ? 'g' :
			 tag & 16 ? 'm' :
				    'o');
		if (tag & 10)
			call_say(x, "%u", get(p + 4, 4));
		call_say(x, ":%s%s%s%s", perm & 4 ? "r" : "",
			 perm & 2 ? "w" : "", perm & 1 ? "x" : "",
			 perm & 7 ? "" : "-");
	}
	return 0;
}

const struct call call_xattrs[] = {
	{ "setxattr", 3, 4, do_setxattr, false },
	{ "lsetxattr", 3, 4, do_lsetxattr, false },
	{ "getxattr", 2, 3, do_getxattr, false },
	{ "lgetxattr", 2, 3, do_lgetxattr, false },
	{ "listxattr", 1, 2, do_listxattr, false },
	{ "removexattr", 2, 2, do_removexattr, false },
	{ "lremovexattr", 2, 2, do_lremovexattr, false },
	{ "acl", 3, 3, do_acl, false },
	{ "acl-raw", 3, 3, do_acl_raw, false },
	{ "getacl", 2, 2, do_getacl, true },
	{ 0 },
};
