/*
 * run_group.c - see run_group.h.
 *
 * A slot for each number, as many as there are; who comes later takes it.  A
 * number that lives on as a group's is given to no new process, so what is
 * remembered of it is right as long as the session is the same and no leader
 * says otherwise.
 */
#include "fs/run/run_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/thread.h"
#include "base/vio.h"

#define CONTEXT "vouchfs implicit run v1"
enum { BOOT_ID_SIZE = 36 };

struct slot {
	uint32_t group, session;
	uint8_t id[RUN_ID_SIZE];
};

struct run_group {
	struct mutex mu;
	struct slot slots[RUN_GROUP_MAX]; /* guarded by mu */
	struct vio *vio;
	char boot[BOOT_ID_SIZE];
};

/* The same until the machine starts again. */
static void read_boot(char out[BOOT_ID_SIZE])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(out, 0, BOOT_ID_SIZE);
	if (fd < 0)
		return;
	if (read(fd, out, BOOT_ID_SIZE) != BOOT_ID_SIZE)
		memset(out, 0, BOOT_ID_SIZE);
	close(fd);
}

int run_group_open(struct run_group **out, struct vio *vio)
{
	struct run_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	mutex_init(&g->mu);
	g->vio = vio;
	read_boot(g->boot);
	*out = g;
	return 0;
}

void run_group_close(struct run_group *g)
{
	if (!g)
		return;
	mutex_destroy(&g->mu);
	free(g);
}

static int id_of_leader(const struct run_group *g, uint8_t out[RUN_ID_SIZE],
			uint32_t group, uint64_t leader_start)
{
	struct buf autocall(buf_release) b = BUF_INIT;
	struct digest d;

	buf_add(&b, g->boot, sizeof(g->boot));
	buf_u32(&b, group);
	buf_u64(&b, leader_start);
	if (b.bad)
		return -ENOMEM;
	digest_blake3_derive(&d, CONTEXT, b.p, b.n);
	memcpy(out, d.b, RUN_ID_SIZE);
	return 0;
}

int run_group_id(struct run_group *g, uint8_t out[RUN_ID_SIZE], uint32_t group,
		 uint32_t session, uint64_t leader_start)
{
	int rc;

	if (group == 0)
		return -ESRCH; /* not visible from here */
	rc = leader_start ? id_of_leader(g, out, group, leader_start) :
			    vio_random(g->vio, out, RUN_ID_SIZE);
	if (rc < 0)
		return rc;
	out[0] |= RUN_ID_IMPLICIT;
	mutex_lock(&g->mu);
	struct slot *s = &g->slots[group % RUN_GROUP_MAX];
	if (leader_start || s->group != group || s->session != session) {
		s->group = group;
		s->session = session;
		memcpy(s->id, out, RUN_ID_SIZE);
	}
	memcpy(out, s->id, RUN_ID_SIZE);
	mutex_unlock(&g->mu);
	return 0;
}
