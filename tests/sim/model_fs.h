/*
 * model_fs.h - the oracle: a filesystem so simple that it cannot be wrong.
 *
 * Arrays of inodes and names, bytes in one block each.  It answers what
 * POSIX says (0 or -errno) and holds what should be there.
 */
#ifndef TESTS_SIM_MODEL_FS_H
#define TESTS_SIM_MODEL_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_INODES = 512, MODEL_NAMES = 1024, MODEL_NAME = 32 };
enum model_type { MODEL_FREE, MODEL_FILE, MODEL_DIR, MODEL_SYMLINK };

struct model_inode {
	enum model_type type;
	int nlink;  /* names; directories: names inside are not counted */
	int parent; /* directories */
	uint32_t mode;
	uint8_t *p;
	size_t n;
	uint64_t tag; /* the number the real one has */
};

struct model_name {
	int parent; /* -1: free */
	int ino;
	char name[MODEL_NAME];
};

struct model_fs {
	struct model_inode inodes[MODEL_INODES]; /* 1 is the root */
	struct model_name names[MODEL_NAMES];
};

void model_fs_init(struct model_fs *m);
void model_fs_release(struct model_fs *m);

/* Index of the name, -1 if there is none. */
int model_fs_find(const struct model_fs *m, int dir, const char *name);
int model_fs_count(const struct model_fs *m, int dir);

/* 0 or -errno; *out_ino is the new inode. */
int model_fs_create(struct model_fs *m, int dir, const char *name,
		    enum model_type type, uint32_t mode, int *out_ino);
int model_fs_link(struct model_fs *m, int ino, int dir, const char *name);
int model_fs_unlink(struct model_fs *m, int dir, const char *name, bool rmdir);
int model_fs_rename(struct model_fs *m, int dir, const char *name, int new_dir,
		    const char *new_name, bool noreplace, bool exchange);
void model_fs_write(struct model_fs *m, int ino, size_t off, const void *p,
		    size_t n);
void model_fs_truncate(struct model_fs *m, int ino, size_t size);
void model_fs_zero(struct model_fs *m, int ino, size_t off, size_t n,
		   bool keep_size);

/* Of one entry of a directory; the mode's permission bits only. */
uint64_t model_fs_name_hash(uint64_t dir, const char *name, uint64_t ino,
			    enum model_type type, uint64_t nlink,
			    uint64_t mode);
/* The sum of all names: the namespace alone. */
uint64_t model_fs_names_hash(const struct model_fs *m);

#endif
