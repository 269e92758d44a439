/*
 * sim_fate.h - power loss decided write by write: what vio_sim_crash draws by
 * lot, a sweep can go through one by one.
 *
 * The unsynced writes of a disk are numbered in the order in which the disk
 * lists its files, and within a file oldest first; the unsynced changes of
 * names are kept up to one of them, oldest first over the whole disk (what an
 * ordered disk does, and one of the things that any other may do).
 */
#ifndef TESTS_SIM_SIM_FATE_H
#define TESTS_SIM_SIM_FATE_H

#include <stddef.h>
#include <stdint.h>

struct vio_sim;

enum sim_fate {
	SIM_LOST,
	SIM_KEPT,
	/* torn; a change of size alone cannot be: it is lost */
	SIM_HEAD,  /* its first half of sectors */
	SIM_TAIL,  /* the others, and what the size then is */
	SIM_NOISE, /* one sector is noise */
	SIM_SIZE,  /* the size alone: zeros */
	SIM_FATES,
};

/* What is unsynced now. */
size_t vio_sim_loose_writes(struct vio_sim *s);
size_t vio_sim_loose_names(struct vio_sim *s);
/*
 * As vio_sim_crash, with fate[i] for write i (fate NULL: all are kept), and
 * the first `names` changes of names kept.
 */
void vio_sim_crash_as(struct vio_sim *s, const uint8_t *fate, size_t names);
/*
 * A hash of all names, sizes and bytes that are there now, but for what is in
 * a lock.
 */
uint64_t vio_sim_hash(struct vio_sim *s);

#endif
