/*
 * inverse_dress.c - contents, owners, modes, attributes and times of a plan,
 * put on what is there or on what is made again.
 *
 * In this order: a new owner takes set-id bits away, a mode changes an ACL,
 * and capabilities go with both.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "analytics/undo.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "mount-tools/inverse_int.h"

enum { PROC_PATH = 64, PUT_TRIES = 600 };

void inverse_fail(struct inverse *x, struct inverse_one *o, const char *step,
		  int rc)
{
	if (o->item.rc == 0) {
		o->item.rc = rc;
		o->item.step = step;
	}
	if (rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS || rc == -ENOTCONN ||
	    rc == -ENOMEM)
		x->fatal = rc;
}

/* Which any system call takes, whatever the descriptor was opened for. */
static void proc_path(char out[PROC_PATH], int fd)
{
	snprintf(out, PROC_PATH, "/proc/self/fd/%d", fd);
}

static int set_content(int fd, const char *put)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	char path[PROC_PATH];

	proc_path(path, fd);
	for (int i = 0;; i++) {
		if (setxattr(path, UNDO_ATTRIBUTE, put, strlen(put), 0) == 0)
			return 0;
		if (errno != EAGAIN || i == PUT_TRIES)
			return -errno;
		nanosleep(&pause, NULL);
	}
}

/* Our own file that is not writable is for a moment. */
static int put_content(int fd, const char *put)
{
	char path[PROC_PATH];
	struct stat st;
	int rc = set_content(fd, put);

	if (rc != -EACCES || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
	    st.st_mode & S_IWUSR)
		return rc;
	proc_path(path, fd);
	if (chmod(path, (st.st_mode & 07777) | S_IWUSR) < 0)
		return rc;
	rc = set_content(fd, put);
	if (chmod(path, st.st_mode & 07777) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int set_owner(int fd, const struct json *set)
{
	uint64_t uid = 0, gid = 0;
	bool u = json_get_u64(set, "uid", &uid);
	bool g = json_get_u64(set, "gid", &gid);

	if (!u && !g)
		return 0;
	if (fchownat(fd, "", u ? (uid_t)uid : (uid_t)-1,
		     g ? (gid_t)gid : (gid_t)-1, AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int set_mode(int fd, const struct json *set)
{
	char path[PROC_PATH];
	uint64_t mode = 0;

	if (!json_get_u64(set, "mode", &mode))
		return 0;
	proc_path(path, fd);
	return chmod(path, (mode_t)mode) < 0 ? -errno : 0;
}

static int set_mtime(int fd, const struct json *set)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT } };
	int64_t ns[2] = { 0, 0 };
	bool a = json_get_i64(set, "atime", &ns[0]);

	if (!json_get_i64(set, "mtime", &ns[1]))
		return 0;
	for (int i = a ? 0 : 1; i < 2; i++) {
		ts[i].tv_sec = ns[i] / 1000000000;
		ts[i].tv_nsec = ns[i] % 1000000000;
		if (ts[i].tv_nsec < 0) {
			ts[i].tv_nsec += 1000000000;
			ts[i].tv_sec--;
		}
	}
	return utimensat(fd, "", ts, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* path: through /proc, of the thing itself, never of what it points to. */
static int set_attribute(const char *path, const struct json *v)
{
	const struct json *value = json_get(v, "value");
	struct buf autocall(buf_release) bytes = BUF_INIT;
	autofree char *name = NULL;
	const char *text = json_str(value);
	int rc = inverse_text(v, "name", &name);

	if (rc < 0)
		return rc;
	if (!text)
		return lremovexattr(path, name) < 0 && errno != ENODATA ?
			       -errno :
			       0;
	rc = text_base64_decode(&bytes, text, strlen(text));
	if (rc == 0 && lsetxattr(path, name, bytes.n ? (char *)bytes.p : "",
				 bytes.n, 0) < 0)
		rc = -errno;
	return rc;
}

static int set_attributes(const char *path, const struct json *o)
{
	const struct json *list = json_get(o, "attributes");
	int first = 0;

	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		int rc = set_attribute(path, v);

		first = first < 0 ? first : rc;
	}
	return first;
}

/* --- what is there --- */

/* What is at the name, if it is the holder: a descriptor of the thing itself. */
static int open_holder(struct inverse *x, struct inverse_one *o, int *out_dir)
{
	uint64_t ino = 0;
	int dir, fd;

	*out_dir = -1;
	if (!o->at.name)
		return -ENOENT;
	dir = inverse_dir(x, &o->at);
	if (dir < 0)
		return dir;
	fd = openat(dir, o->at.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || inverse_ino_at(fd, "", &ino) < 0 || ino != o->holder) {
		int rc = fd < 0 ? -errno : -ESTALE;

		if (fd >= 0)
			close(fd);
		close(dir);
		return rc;
	}
	*out_dir = dir;
	return fd;
}

/* Is what will be set as the plan saw it?  -EBUSY: somebody has set it since. */
static int check_settings(int fd, const struct json *is, const char **what)
{
	static const char *const words[] = { "mode", "owner", "group" };
	static const char *const keys[] = { "mode", "uid", "gid" };
	struct stat st;

	if (!is || !is->count)
		return 0;
	*what = words[0];
	if (fstat(fd, &st) < 0)
		return -errno;
	for (int k = 0; k < 3; k++) {
		const int64_t now[] = { st.st_mode & 07777, st.st_uid,
					st.st_gid };
		int64_t was;

		*what = words[k];
		if (json_get_i64(is, keys[k], &was) && was != now[k])
			return -EBUSY;
	}
	return 0;
}

static void change(struct inverse *x, struct inverse_one *o, int fd, int dir)
{
	const struct json *set = json_get(o->item.line, "set");
	const char *put = json_get_str(o->item.line, "put"), *what = "";
	autofree char *path = NULL;
	int rc = check_settings(fd, json_get(o->item.line, "is"), &what);

	if (rc < 0) {
		inverse_fail(x, o, what, rc);
		return;
	}
	rc = put ? put_content(fd, put) : 0;
	if (rc < 0) {
		inverse_fail(x, o, "content", rc);
		return;
	}
	rc = set_owner(fd, set);
	if (rc < 0)
		inverse_fail(x, o, "owner", rc);
	rc = set_mode(fd, set);
	if (rc < 0)
		inverse_fail(x, o, "mode", rc);
	if (asprintf(&path, "/proc/self/fd/%d/%s", dir, o->at.name) < 0)
		path = NULL;
	rc = path ? set_attributes(path, o->item.line) : -ENOMEM;
	if (rc < 0)
		inverse_fail(x, o, "attribute", rc);
	rc = set_mtime(fd, set);
	if (rc < 0)
		inverse_fail(x, o, "time", rc);
}

/* A directory whose new mode would keep us out gets it last. */
static bool is_late(const struct inverse_one *o)
{
	const struct json *set = json_get(o->item.line, "set");
	uint64_t mode = 0;

	return inverse_is_directory(o) && json_get_u64(set, "mode", &mode) &&
	       (mode & 0700) != 0700;
}

static bool has_settings(const struct json *line)
{
	const struct json *set = json_get(line, "set");
	const struct json *list = json_get(line, "attributes");

	return json_get(line, "put") || (set && set->count) ||
	       (list && list->count);
}

void inverse_change(struct inverse *x, struct inverse_one *o, bool late)
{
	int dir, fd;

	if (!has_settings(o->item.line))
		o->set = true;
	if (o->set || is_late(o) != late)
		return;
	fd = open_holder(x, o, &dir);
	if (fd < 0) {
		inverse_fail(x, o, "name", fd);
		return;
	}
	change(x, o, fd, dir);
	o->set = true;
	close(fd);
	close(dir);
}

/* --- what is made again --- */

struct wanted {
	uint64_t uid, gid, mode;
};

/* As the kernel knows it, without a request. */
static int look_at(int fd, struct statx *out)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		     STATX_BASIC_STATS, out) < 0 ?
		       -errno :
		       0;
}

static void wanted_read(struct wanted *out, const struct inverse_one *o)
{
	*out = (struct wanted){ geteuid(), getegid(), 0600 };
	(void)!json_get_u64(o->item.line, "uid", &out->uid);
	(void)!json_get_u64(o->item.line, "gid", &out->gid);
	(void)!json_get_u64(o->item.line, "mode", &out->mode);
}

/*
 * The mode that it will have, where it is made with its owner and group: then
 * that is open to nobody for whom it is not meant, and two requests less.  We
 * may write, in any case.
 */
static mode_t first_mode(const struct inverse_one *o, int dir)
{
	const mode_t ours = inverse_is_directory(o) ? 0700 : 0600;
	struct wanted w;
	struct statx st;

	wanted_read(&w, o);
	if (look_at(dir, &st) < 0 || w.uid != geteuid() ||
	    w.gid != (st.stx_mode & S_ISGID ? st.stx_gid : getegid()))
		return ours;
	return (w.mode & 0777) | (ours & 0300);
}

static int make_node(struct inverse_one *o, int dir, const char *name)
{
	static const struct {
		const char *word;
		mode_t type;
	} types[] = {
		{ "file", S_IFREG },	     { "fifo", S_IFIFO },
		{ "socket", S_IFSOCK },	     { "character-device", S_IFCHR },
		{ "block-device", S_IFBLK },
	};
	autofree char *target = NULL;
	uint64_t rdev = 0;
	int rc;

	if (inverse_is_directory(o))
		return mkdirat(dir, name, first_mode(o, dir)) < 0 ? -errno : 0;
	if (strcmp(o->type, "symlink") == 0) {
		rc = inverse_text(o->item.line, "target", &target);
		if (rc == 0 && symlinkat(target, dir, name) < 0)
			rc = -errno;
		return rc;
	}
	(void)!json_get_u64(o->item.line, "rdev", &rdev);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].word, o->type) == 0)
			return mknodat(dir, name,
				       types[i].type | first_mode(o, dir),
				       (dev_t)rdev) < 0 ?
				       -errno :
				       0;
	return -ERR_FORMAT;
}

/* Owner and mode; st: as it was made. */
static int dress_access(struct inverse *x, struct inverse_one *o, int fd,
			const struct statx *st)
{
	struct wanted w;
	bool given;
	int rc = 0;

	wanted_read(&w, o);
	given = w.uid != st->stx_uid || w.gid != st->stx_gid;
	if (given)
		rc = set_owner(fd, o->item.line);
	if (rc < 0 && rc != -EPERM)
		return rc;
	if (rc < 0)
		inverse_fail(x, o, "owner", rc);
	/* that of a directory that would keep us out comes last */
	if (strcmp(o->type, "symlink") == 0 ||
	    (inverse_is_directory(o) && (w.mode & 0700) != 0700) ||
	    (!given && w.mode == (st->stx_mode & 07777)))
		return 0;
	return set_mode(fd, o->item.line);
}

/* Everything but the owner must succeed: else it is not what it was. */
static int dress(struct inverse *x, struct inverse_one *o, int fd,
		 const char *path, uint64_t *out_ino)
{
	const char *put = json_get_str(o->item.line, "put");
	struct statx st;
	int rc = look_at(fd, &st);

	if (rc == 0 && put)
		rc = set_content(fd, put);
	if (rc < 0) {
		inverse_fail(x, o, "content", rc);
		return rc;
	}
	*out_ino = st.stx_ino;
	rc = dress_access(x, o, fd, &st);
	if (rc < 0)
		return rc;
	rc = set_attributes(path, o->item.line);
	if (rc == -EPERM)
		inverse_fail(x, o, "attribute", rc);
	else if (rc < 0)
		return rc;
	return set_mtime(fd, o->item.line);
}

static int dress_at(struct inverse *x, struct inverse_one *o, int dir,
		    const char *name, uint64_t *out_ino)
{
	autofree char *path = NULL;
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	if (asprintf(&path, "/proc/self/fd/%d/%s", dir, name) < 0)
		path = NULL;
	rc = path ? dress(x, o, fd, path, out_ino) : -ENOMEM;
	close(fd);
	return rc;
}

static void take_away(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) < 0 && errno == EISDIR)
		(void)!unlinkat(dir, name, AT_REMOVEDIR);
}

int inverse_make(struct inverse *x, struct inverse_one *o, int dir,
		 char out[64], uint64_t *out_ino)
{
	int rc;

	snprintf(out, 64, "%s%llx", x->temporary, (unsigned long long)o->ino);
	rc = make_node(o, dir, out);
	if (rc == -EEXIST) { /* an undo that was ended by force left it */
		take_away(dir, out);
		rc = make_node(o, dir, out);
	}
	if (rc == 0)
		rc = dress_at(x, o, dir, out, out_ino);
	if (rc < 0 && rc != -EEXIST)
		take_away(dir, out);
	return rc;
}

void inverse_times(struct inverse *x, struct inverse_one *o)
{
	const struct inverse_name n = { .in = o->ino };
	int fd = inverse_dir(x, &n), rc = fd < 0 ? fd : 0;
	struct wanted w;

	wanted_read(&w, o);
	if (rc == 0 && (w.mode & 0700) != 0700)
		rc = set_mode(fd, o->item.line);
	if (rc < 0)
		inverse_fail(x, o, "mode", rc);
	if (rc == 0)
		rc = set_mtime(fd, o->item.line);
	if (rc < 0)
		inverse_fail(x, o, "time", rc);
	if (fd >= 0)
		close(fd);
}
