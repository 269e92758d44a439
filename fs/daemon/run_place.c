/*
 * run_place.c - see run_place.h.
 */
#include "fs/daemon/run_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fs/daemon/run_channel.h"

/*
 * The device of what is mounted on dir last.  The mount is not asked: it may
 * be us who must answer.
 */
static int device_name(char *out, size_t cap, const char *dir)
{
	char line[8192];
	size_t n = strlen(dir);
	int rc = -ENOENT;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		unsigned major, minor;
		int at = 0;

		if (sscanf(line, "%*d %*d %u:%u %*s %n", &major, &minor, &at) ==
			    2 &&
		    at > 0 && strncmp(line + at, dir, n) == 0 &&
		    line[(size_t)at + n] == ' ') {
			snprintf(out, cap, "%u:%u", major, minor);
			rc = 0;
		}
	}
	if (f)
		fclose(f);
	return rc;
}

static int bind_place(struct run_place *p, int waiting)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", p->dir,
		 p->name);
	/* What lies there is a dead daemon's. */
	if (unlinkat(p->dir, p->name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (bind(p->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	p->bound = true;
	if (fchmodat(p->dir, p->name, 0666, 0) < 0 ||
	    listen(p->fd, waiting) < 0)
		return -errno;
	return 0;
}

int run_place_open_store(struct run_place *p, const char *store, int waiting)
{
	snprintf(p->name, sizeof(p->name), RUN_CHANNEL_NAME);
	p->dir = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->dir < 0 ? -errno : bind_place(p, waiting);
}

/* Not ours to make, or somebody else could put things there: then without. */
int run_place_open_public(struct run_place *p, const char *dir, int waiting)
{
	struct stat st;
	int rc = device_name(p->name, sizeof(p->name), dir);

	if (rc == 0 && geteuid() != 0)
		rc = -EPERM;
	if (rc == 0 && mkdir(RUN_CHANNEL_DIR, 0755) < 0 && errno != EEXIST)
		rc = -errno;
	if (rc < 0)
		return rc;
	p->dir = open(RUN_CHANNEL_DIR,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->dir < 0 || fstat(p->dir, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || st.st_mode & 022)
		return -EPERM;
	return bind_place(p, waiting);
}

void run_place_close(struct run_place *p)
{
	if (p->bound)
		(void)unlinkat(p->dir, p->name, 0);
	if (p->fd >= 0)
		close(p->fd);
	if (p->dir >= 0)
		close(p->dir);
	*p = (struct run_place)RUN_PLACE_NONE;
}
