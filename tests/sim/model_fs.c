/*
 * model_fs.c - see model_fs.h.
 */
#include "tests/sim/model_fs.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/sim/exempt.h"

void model_fs_init(struct model_fs *m)
{
	memset(m, 0, sizeof(*m));
	for (int i = 0; i < MODEL_NAMES; i++)
		m->names[i].parent = -1;
	m->inodes[1].type = MODEL_DIR;
	m->inodes[1].nlink = 1;
	m->inodes[1].parent = 1;
	m->inodes[1].tag = 1;
}

void model_fs_release(struct model_fs *m)
{
	for (int i = 0; i < MODEL_INODES; i++)
		free(m->inodes[i].p);
	memset(m, 0, sizeof(*m));
}

int model_fs_find(const struct model_fs *m, int dir, const char *name)
{
	for (int i = 0; i < MODEL_NAMES; i++)
		if (m->names[i].parent == dir &&
		    !strcmp(m->names[i].name, name))
			return i;
	return -1;
}

int model_fs_count(const struct model_fs *m, int dir)
{
	int n = 0;

	for (int i = 0; i < MODEL_NAMES; i++)
		n += m->names[i].parent == dir;
	return n;
}

static void add_name(struct model_fs *m, int dir, const char *name, int ino)
{
	for (int i = 0; i < MODEL_NAMES; i++) {
		if (m->names[i].parent != -1)
			continue;
		m->names[i].parent = dir;
		m->names[i].ino = ino;
		snprintf(m->names[i].name, MODEL_NAME, "%s", name);
		return;
	}
	abort();
}

static void drop(struct model_fs *m, int ino)
{
	struct model_inode *i = &m->inodes[ino];

	if (--i->nlink > 0)
		return;
	free(i->p);
	memset(i, 0, sizeof(*i));
}

int model_fs_create(struct model_fs *m, int dir, const char *name,
		    enum model_type type, uint32_t mode, int *out_ino)
{
	if (m->inodes[dir].type != MODEL_DIR)
		return -ENOTDIR;
	if (model_fs_find(m, dir, name) >= 0)
		return -EEXIST;
	for (int i = 2; i < MODEL_INODES; i++) {
		if (m->inodes[i].type != MODEL_FREE)
			continue;
		m->inodes[i].type = type;
		m->inodes[i].nlink = 1;
		m->inodes[i].parent = dir;
		m->inodes[i].mode = mode;
		add_name(m, dir, name, i);
		*out_ino = i;
		return 0;
	}
	abort();
}

int model_fs_link(struct model_fs *m, int ino, int dir, const char *name)
{
	if (m->inodes[ino].type == MODEL_DIR)
		return -EPERM;
	if (model_fs_find(m, dir, name) >= 0)
		return -EEXIST;
	m->inodes[ino].nlink++;
	add_name(m, dir, name, ino);
	return 0;
}

int model_fs_unlink(struct model_fs *m, int dir, const char *name, bool rmdir)
{
	int at = model_fs_find(m, dir, name), ino;

	if (at < 0)
		return -ENOENT;
	ino = m->names[at].ino;
	if (rmdir && m->inodes[ino].type != MODEL_DIR)
		return -ENOTDIR;
	if (!rmdir && m->inodes[ino].type == MODEL_DIR)
		return -EISDIR;
	if (rmdir && model_fs_count(m, ino))
		return -ENOTEMPTY;
	m->names[at].parent = -1;
	drop(m, ino);
	return 0;
}

static bool below(const struct model_fs *m, int ino, int top)
{
	while (ino != top && ino != 1)
		ino = m->inodes[ino].parent;
	return ino == top;
}

int model_fs_rename(struct model_fs *m, int dir, const char *name, int new_dir,
		    const char *new_name, bool noreplace, bool exchange)
{
	int a = model_fs_find(m, dir, name);
	int b = model_fs_find(m, new_dir, new_name);
	int ino, other;
	bool is_dir, other_dir;

	if (a < 0 || (exchange && b < 0))
		return -ENOENT;
	ino = m->names[a].ino;
	other = b < 0 ? 0 : m->names[b].ino;
	is_dir = m->inodes[ino].type == MODEL_DIR;
	other_dir = other && m->inodes[other].type == MODEL_DIR;
	if (other && noreplace)
		return -EEXIST;
	if (is_dir && below(m, new_dir, ino))
		return -EINVAL;
	if (other_dir && below(m, dir, other))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (other == ino)
		return 0;
	if (exchange) {
		m->names[a].ino = other;
		m->names[b].ino = ino;
		m->inodes[ino].parent = new_dir;
		m->inodes[other].parent = dir;
		return 0;
	}
	if (other && is_dir && !other_dir)
		return -ENOTDIR;
	if (other && !is_dir && other_dir)
		return -EISDIR;
	if (other_dir && model_fs_count(m, other))
		return -ENOTEMPTY;
	if (other) {
		m->names[b].parent = -1;
		drop(m, other);
	}
	m->names[a].parent = -1;
	add_name(m, new_dir, new_name, ino);
	m->inodes[ino].parent = new_dir;
	return 0;
}

void model_fs_truncate(struct model_fs *m, int ino, size_t size)
{
	struct model_inode *i = &m->inodes[ino];

	alloc_ours++;
	i->p = realloc(i->p, size ? size : 1);
	alloc_ours--;
	assert(i->p);
	if (size > i->n)
		memset(i->p + i->n, 0, size - i->n);
	i->n = size;
}

void model_fs_write(struct model_fs *m, int ino, size_t off, const void *p,
		    size_t n)
{
	if (off + n > m->inodes[ino].n)
		model_fs_truncate(m, ino, off + n);
	if (n)
		memcpy(m->inodes[ino].p + off, p, n);
}

void model_fs_zero(struct model_fs *m, int ino, size_t off, size_t n,
		   bool keep_size)
{
	struct model_inode *i = &m->inodes[ino];

	if (!keep_size && off + n > i->n)
		model_fs_truncate(m, ino, off + n);
	if (off >= i->n)
		return;
	memset(i->p + off, 0, off + n > i->n ? i->n - off : n);
}

uint64_t model_fs_name_hash(uint64_t dir, const char *name, uint64_t ino,
			    enum model_type type, uint64_t nlink, uint64_t mode)
{
	uint64_t v[5] = { dir, ino, type, type == MODEL_DIR ? 0 : nlink, mode };

	return XXH3_64bits_withSeed(name, strlen(name),
				    XXH3_64bits(v, sizeof(v)));
}

uint64_t model_fs_names_hash(const struct model_fs *m)
{
	uint64_t sum = 0; /* a set: the order of the array does not count */

	for (int k = 0; k < MODEL_NAMES; k++) {
		const struct model_name *n = &m->names[k];
		const struct model_inode *i;

		if (n->parent == -1)
			continue;
		i = &m->inodes[n->ino];
		sum += model_fs_name_hash(m->inodes[n->parent].tag, n->name,
					  i->tag, i->type, (uint64_t)i->nlink,
					  i->mode);
	}
	return sum;
}
