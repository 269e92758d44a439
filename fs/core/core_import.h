/*
 * core_import.h - where a version came from, in another volume.  Any thread.
 */
#ifndef FS_CORE_IMPORT_H
#define FS_CORE_IMPORT_H

#include <stdint.h>

#include "base/auto.h"

struct core;
struct cred;
struct entry_import;

/*
 * Enters b, but for b->version, of the file's newest version, if that still
 * is `version`: else -EBUSY.  Queued, not settled.
 */
int must_use core_import(struct core *c, const struct cred *cr, uint64_t ino,
			 uint64_t version, const struct entry_import *b);

#endif
