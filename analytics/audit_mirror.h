/*
 * audit_mirror.h - directories below /audit that look like the user's own,
 * with other files in them: history/, lineage/, proof/.
 */
#ifndef ANALYTICS_AUDIT_MIRROR_H
#define ANALYTICS_AUDIT_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/auto.h"

struct cred;
struct idx_reader;
struct node;
struct provider;

/*
 * Attributes of a document about inode `ino`: its owner and read bits; of
 * the volume's owner alone when the inode is gone.
 */
int must_use audit_mirror_attr(struct provider *p, struct node *n,
			       struct stat *out, uint64_t ino, bool directory);
/* What an inode was when it was made: S_IFMT bits; 0 not there. */
int must_use audit_mirror_type(struct provider *p, struct idx_reader *r,
			       uint64_t ino, uint32_t *out);

#endif
