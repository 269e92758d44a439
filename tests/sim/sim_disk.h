/*
 * sim_disk.h - files and names of the simulated disk, each in two states,
 * durable and volatile, and what a crash makes of them.  The model is told in
 * vio_sim.h; vio_sim.c adds handles, faults and clocks.
 *
 * No locks in here: the caller serialises.  No memory: abort.
 */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/sim_image.h"

struct prng;

struct sim_op; /* a write or truncation that was not synced */
struct sim_name;
struct sim_nameop;

struct sim_dir {
	struct sim_name *v;
	size_t n;
	size_t cap;
};

struct sim_node {
	uint64_t refs; /* names in either state, pending name ops, handles */
	uint64_t ino;
	bool is_dir;
	uint32_t mode; /* with the type bits */
	int64_t mtime_ns;
	int64_t btime_ns;
	struct sim_image now;
	struct sim_image durable;
	struct sim_op *ops; /* oldest first */
	struct sim_op **ops_end;
	uint64_t reserved; /* pages that allocate promised */
	uint64_t charged;  /* pages taken from the free space */
	struct sim_dir now_dir;
	struct sim_dir durable_dir;
	bool stopped;	       /* scratch of syncdir and crash */
	const void *lock;      /* the handle that holds it */
	struct sim_node *copy; /* used while cloning */
	struct sim_node *next; /* all nodes of the disk */
	struct sim_node **link;
};

struct sim_disk {
	struct sim_node *root;
	struct sim_node *nodes;
	struct sim_nameop *pending; /* oldest first */
	struct sim_nameop **pending_end;
	uint64_t next_ino;
	uint64_t free_pages; /* UINT64_MAX: no end */
	uint64_t refuse_in;  /* so many pages on, one is refused; 0: none */
	bool refuse_forever;
	bool refused;
	bool ordered;
	bool garble_sector;
};

/* Aborts on NULL. */
void *sim_need(void *p);
void sim_disk_init(struct sim_disk *d, int64_t now_ns);
void sim_disk_release(struct sim_disk *d);
/* Without handles; pages are shared. */
void sim_disk_clone(struct sim_disk *to, struct sim_disk *from);

void sim_node_get(struct sim_node *n);
void sim_node_put(struct sim_disk *d, struct sim_node *n);

/* Finds a node in the volatile tree; borrowed.  0 or -errno. */
int sim_disk_find(struct sim_disk *d, struct sim_node **out, const char *path);
/* Makes a file (mode 0: a directory). */
int sim_disk_make(struct sim_disk *d, struct sim_node **out, const char *path,
		  uint32_t mode, int64_t now_ns);
int sim_disk_rename(struct sim_disk *d, const char *from, const char *to);
int sim_disk_unlink(struct sim_disk *d, const char *path, bool dir);
int sim_disk_syncdir(struct sim_disk *d, struct sim_node *dir);
/* Names of a directory in the volatile tree, oldest first. */
size_t sim_dir_count(const struct sim_node *dir);
const char *sim_dir_name(const struct sim_node *dir, size_t i);

int sim_disk_write(struct sim_disk *d, struct sim_node *n, const void *p,
		   size_t len, uint64_t off, int64_t now_ns);
int sim_disk_truncate(struct sim_disk *d, struct sim_node *n, uint64_t size,
		      int64_t now_ns);
int sim_disk_allocate(struct sim_disk *d, struct sim_node *n, uint64_t off,
		      uint64_t len);
void sim_disk_sync(struct sim_disk *d, struct sim_node *n);
/* Of these bytes alone: what else was written stays unsynced, names too. */
void sim_disk_sync_range(struct sim_node *n, uint64_t off, uint64_t len);
/* A sync that failed: each unsynced write becomes durable or is lost. */
void sim_disk_sync_failed(struct sim_node *n, struct prng *p);
void sim_disk_sync_all(struct sim_disk *d);
/* Handles have to be forgotten by the caller. */
void sim_disk_crash(struct sim_disk *d, struct prng *p);
/* The half of a crash that is about names: the first `keep` changes stay. */
void sim_disk_crash_names(struct sim_disk *d, size_t keep);
uint64_t sim_disk_pages(const struct sim_disk *d);

#endif
