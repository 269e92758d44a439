/*
 * fsck_files.h - what lies around the log, against what the log says:
 * volume.conf, keys, the guard, replicas.  Nothing mounted; reads only.
 */
#ifndef MOUNT_TOOLS_FSCK_FILES_H
#define MOUNT_TOOLS_FSCK_FILES_H

#include "base/auto.h"

struct errmsg;
struct fsck_repair;
struct reader;
struct verify;

/* Each damage is told to v and counted, packs (fsck_packs.h) included. */
int must_use fsck_files_look(struct verify *v, struct reader *r,
			     struct errmsg *em);

/* A step of --repair: keys/trusted.pub is made again from the log. */
int must_use fsck_files_mend(struct fsck_repair *x, struct errmsg *em);

#endif
