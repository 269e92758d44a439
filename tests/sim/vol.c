/*
 * vol.c - see vol.h.
 */
#include "tests/sim/vol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/err.h"
#include "fs/core/core_internal.h"
#include "ledger/ledger.h"
#include "ledger/wal_mark.h"

const struct cred vol_cred = { .uid = 1000, .gid = 1000, .umask = 022 };

void vol_init(struct vol *v, uint64_t seed)
{
	struct vio_sim_options so = { .seed = seed };
	struct ledger_create_options lo = {
		.origin = "vouchfs.test/vol",
		.keys_dir = "keys",
		.root_uid = 1000,
		.root_gid = 1000,
		.root_mode = 0755,
		.wal_segment_bytes = 1 << 20,
		.journal_segment_bytes = 1 << 20,
	};
	struct errmsg em = ERRMSG_INIT;
	int rc;

	memset(v, 0, sizeof(*v));
	if (sodium_init() < 0)
		abort();
	/* SQLite's files: in memory where that is to be had */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	tmp_init(&v->tmp);
	so.note_path = WAL_MARK;
	so.note_from = 2 * WAL_MARK_PAGE;
	v->sim = vio_sim_new(&so);
	v->guard = vio_sim_new(&so);
	lo.vio = vio_sim_vio(v->sim);
	lo.guard_vio = vio_sim_vio(v->guard);
	rc = ledger_create(&lo, &em);
	if (rc < 0) {
		fprintf(stderr, "vol: %s\n", errmsg_text(&em, rc));
		abort();
	}
	vio_sim_sync_all(v->sim);
	vio_sim_sync_all(v->guard);
}

int vol_mount(struct vol *v)
{
	struct core_options o = {
		.store = v->tmp.path,
		.vio = vio_sim_vio(v->sim),
		.guard_vio = vio_sim_vio(v->guard),
		.no_threads = true,
		.no_actors = !v->actors,
		.inode_cache = v->inode_cache,
		.extents_max = v->extents_max,
		.wal_segment_bytes = 1 << 20,
		.journal_segment_bytes = 1 << 20,
	};
	struct errmsg em = ERRMSG_INIT;
	int rc = core_open(&v->core, &o, &em);

	if (rc < 0 && !v->quiet)
		fprintf(stderr, "vol: mount: %s\n", errmsg_text(&em, rc));
	return rc;
}

int vol_umount(struct vol *v)
{
	struct errmsg em = ERRMSG_INIT;
	int rc = core_close(v->core, &em);

	v->core = NULL;
	if (rc < 0 && !v->quiet)
		fprintf(stderr, "vol: umount: %s\n", errmsg_text(&em, rc));
	return rc;
}

void vol_kill(struct vol *v)
{
	vio_sim_kill(v->sim);
	vio_sim_kill(v->guard);
	core_abandon(v->core);
	v->core = NULL;
}

void vol_crash(struct vol *v, struct prng *p)
{
	/* first the disk: what the core does while it is torn down is lost */
	vio_sim_crash(v->sim, p);
	vio_sim_crash(v->guard, p);
	core_abandon(v->core);
	v->core = NULL;
}

void vol_release(struct vol *v)
{
	if (v->core)
		core_abandon(v->core);
	vio_sim_free(v->sim);
	vio_sim_free(v->guard);
	tmp_release(&v->tmp);
}
