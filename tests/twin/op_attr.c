/*
 * op_attr.c - modes, owners, times, what stat and access say, extended
 * attributes and ACLs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/twin/world.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

void op_mode(void)
{
	mode_t mode = (mode_t)below(010000) | (below(5) ? 0700 : 0) |
		      (below(3) ? 0077 : 0);
	struct slot *sl = any_slot();
	int flags = below(3) ? 0 : AT_SYMLINK_NOFOLLOW;
	struct place p;

	if (below(3) == 0) {
		say("fchmod %d %o", sl->fd[0], mode);
		watch_slot(sl);
		if (below(2))
			BOTH(fchmod(sl->fd[s], mode));
		else
			BOTH(syscall(SYS_fchmodat2, sl->fd[s], "", mode,
				     AT_EMPTY_PATH));
		return;
	}
	place_any(&p);
	say("chmod %s %o flags %x", place_text(&p), mode, (unsigned)flags);
	watch_path(&p);
	BOTH(syscall(SYS_fchmodat2, p.at[s], p.path, mode, flags));
}

void op_owner(void)
{
	static const uid_t ids[] = { 0, 1101, 1102, (uid_t)-1, (uid_t)-1 };
	static const gid_t gids[] = {
		0, 1101, 1102, 1200, (gid_t)-1, (gid_t)-1
	};
	uid_t uid = ANY(ids);
	gid_t gid = ANY(gids);
	struct slot *sl = any_slot();
	int flags = below(2) ? 0 : AT_SYMLINK_NOFOLLOW;
	struct place p;

	/* the FUSE protocol has no words for it: tests/conform, known */
	if (uid == (uid_t)-1 && gid == (gid_t)-1)
		gid = me->gid;
	if (below(3) == 0) {
		say("fchown %d %d:%d", sl->fd[0], (int)uid, (int)gid);
		watch_slot(sl);
		if (below(2))
			BOTH(fchown(sl->fd[s], uid, gid));
		else
			BOTH(fchownat(sl->fd[s], "", uid, gid, AT_EMPTY_PATH));
		return;
	}
	place_any(&p);
	say("chown %s %d:%d flags %x", place_text(&p), (int)uid, (int)gid,
	    (unsigned)flags);
	watch_path(&p);
	BOTH(fchownat(p.at[s], p.path, uid, gid, flags));
}

static struct timespec any_time(void)
{
	static const long special[] = { UTIME_NOW, UTIME_OMIT, 1000000000, -1 };
	uint64_t kind = below(12);

	return (struct timespec){
		.tv_sec = kind < 2 ? -(time_t)below(1000000000) :
				     (time_t)below(4000000000u),
		.tv_nsec = kind >= 10 ? ANY(special) :
			   kind >= 5  ? special[kind % 2] :
					(long)below(1000000000),
	};
}

static void times_same(const struct stat st[2], const struct timespec t[2])
{
	if (t[1].tv_nsec >= 0 && t[1].tv_nsec < 1000000000 &&
	    memcmp(&st[0].st_mtim, &st[1].st_mtim, sizeof(st[0].st_mtim)) != 0)
		differ("mtime %lld.%09ld, not %lld.%09ld",
		       (long long)st[0].st_mtim.tv_sec, st[0].st_mtim.tv_nsec,
		       (long long)st[1].st_mtim.tv_sec, st[1].st_mtim.tv_nsec);
	/* a link's is moved by those who follow it, there */
	if (t[0].tv_nsec >= 0 && t[0].tv_nsec < 1000000000 &&
	    !S_ISLNK(st[0].st_mode) &&
	    memcmp(&st[0].st_atim, &st[1].st_atim, sizeof(st[0].st_atim)) != 0)
		differ("another atime");
}

void op_times(void)
{
	struct timespec t[2] = { any_time(), any_time() };
	bool now = below(5) == 0, by_fd = below(3) == 0;
	int flags = below(2) ? 0 : AT_SYMLINK_NOFOLLOW;
	struct slot *sl = any_slot();
	struct stat st[2];
	struct place p;
	bool fine;

	place_any(&p);
	if (by_fd) {
		memcpy(p.at, sl->fd, sizeof(p.at));
		p.path[0] = '\0';
		flags |= AT_EMPTY_PATH;
	}
	say("utimensat %s %lld.%ld %lld.%ld flags %x%s", place_text(&p),
	    (long long)t[0].tv_sec, t[0].tv_nsec, (long long)t[1].tv_sec,
	    t[1].tv_nsec, (unsigned)flags, now ? " now" : "");
	watch_path(&p);
	if (by_fd && below(2))
		fine = BOTH(futimens(p.at[s], now ? NULL : t));
	else
		fine = BOTH(utimensat(p.at[s], p.path, now ? NULL : t, flags));
	if (fine && !now && BOTH(fstatat(p.at[s], p.path, &st[s], flags)))
		times_same(st, t);
}

/* stat, access and readlink. */
void op_look(void)
{
	int how = (int)below(8), flags = below(2) ? AT_SYMLINK_NOFOLLOW : 0;
	char text[2][PATH_MAX];
	struct stat st[2];
	struct place p;
	ssize_t n[2];

	place_any(&p);
	say("look at %s, %d", place_text(&p), how);
	if (BOTH(fstatat(p.at[s], p.path, &st[s], flags)))
		stats_same(st, "stat");
	BOTH(faccessat(p.at[s], p.path, how, below(2) ? AT_EACCESS : 0));
	if (BOTH(n[s] = readlinkat(p.at[s], p.path, text[s], PATH_MAX)) &&
	    memcmp(text[0], text[1], (size_t)n[0]) != 0)
		differ("another target");
}

/* --- extended attributes */

/* The same call by path, by link or by descriptor. */
struct subject {
	struct slot *sl; /* or a path */
	char path[2][PATH_MAX * 2 + 40];
	bool link;
};

static void subject_any(struct subject *x)
{
	struct place p;

	x->sl = below(2) ? any_slot() : NULL;
	x->link = below(2);
	place_any(&p);
	for (int s = 0; s < 2; s++)
		snprintf(x->path[s], sizeof(x->path[s]), "/proc/self/fd/%d/%s",
			 root[s], p.path);
	if (x->sl) {
		watch_slot(x->sl);
	} else {
		memcpy(p.at, root, sizeof(root));
		watch_path(&p);
	}
}

static const char *subject_text(const struct subject *x)
{
	static char text[40];

	if (!x->sl)
		return strchr(x->path[0] + 14, '/');
	snprintf(text, sizeof(text), "descriptor %d", x->sl->fd[0]);
	return text;
}

static long set(const struct subject *x, int s, const char *name, const void *v,
		size_t n, int flags)
{
	return x->sl   ? fsetxattr(x->sl->fd[s], name, v, n, flags) :
	       x->link ? lsetxattr(x->path[s], name, v, n, flags) :
			 setxattr(x->path[s], name, v, n, flags);
}

static long get(const struct subject *x, int s, const char *name, size_t n)
{
	return x->sl   ? fgetxattr(x->sl->fd[s], name, got[s], n) :
	       x->link ? lgetxattr(x->path[s], name, got[s], n) :
			 getxattr(x->path[s], name, got[s], n);
}

static long drop(const struct subject *x, int s, const char *name)
{
	return x->sl   ? fremovexattr(x->sl->fd[s], name) :
	       x->link ? lremovexattr(x->path[s], name) :
			 removexattr(x->path[s], name);
}

void op_xattr(void)
{
	static const char *const names[] = {
		"user.x",   "user.x",	      "user.y",	    "user.",
		"user",	    "trusted.t",      "nothing.of", "security.c",
		"trusted.", "system.nothing", "user.z",	    "user.x",
	};
	const char *name = ANY(names);
	size_t n = below(4) ? below(100) : 0;
	int flags = (int)below(4) & ~(below(3) ? 3 : 0);
	uint64_t how = below(4);
	struct subject x;
	long r[2];

	subject_any(&x);
	fill(n);
	if (how < 2) {
		say("setxattr %s %s, %zu, %d", subject_text(&x), name, n,
		    flags);
		BOTH(set(&x, s, name, data, n, flags));
	} else if (how == 2) {
		say("removexattr %s %s", subject_text(&x), name);
		BOTH(drop(&x, s, name));
	} else {
		n = below(3) ? IO_MAX : below(20);
		say("getxattr %s %s, %zu", subject_text(&x), name, n);
		if (BOTH(r[s] = get(&x, s, name, n)) && n &&
		    memcmp(got[0], got[1], (size_t)r[0]) != 0)
			differ("another value");
	}
}

/* --- ACLs */

struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[6];
};

static size_t acl_any(struct acl *a)
{
	static const uint16_t tags[] = { 1, 2, 4, 8, 16, 32 };
	uint64_t with = below(4); /* bits: a named user, a named group */
	size_t n = 0;

	a->version = 2;
	for (size_t i = 0; i < 6; i++) {
		if ((tags[i] == 2 && !(with & 1)) ||
		    (tags[i] == 8 && !(with & 2)) ||
		    (tags[i] == 16 && !with && below(2)))
			continue;
		a->e[n].tag = tags[i];
		a->e[n].perm = (uint16_t)(below(3) ? 7 : below(8));
		a->e[n].id = tags[i] == 2 ? 1101 + (uint32_t)below(2) :
			     tags[i] == 8 ? 1200 :
					    (uint32_t)-1;
		n++;
	}
	if (below(20) == 0)
		n--; /* none for the others */
	return 4 + 8 * n;
}

void op_acl(void)
{
	const char *name = below(2) ? "system.posix_acl_access" :
				      "system.posix_acl_default";
	uint64_t how = below(5);
	struct subject x;
	struct acl a;
	size_t n = acl_any(&a);
	long r[2];

	subject_any(&x);
	say("%s of %s, %zu: %s", name, subject_text(&x), n,
	    how < 2  ? "set" :
	    how == 2 ? "remove" :
		       "get");
	if (how < 2)
		BOTH(set(&x, s, name, &a, n, 0));
	else if (how == 2)
		BOTH(drop(&x, s, name));
	else if (BOTH(r[s] = get(&x, s, name, 1000)) &&
		 memcmp(got[0], got[1], (size_t)r[0]) != 0)
		differ("another ACL");
}
