/*
 * drive.c - see drive.h.
 */
#include "tests/sim/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>

#include "base/err.h"

void drive_init(struct drive *d, struct vol *v, struct prng *rng,
		unsigned file_max)
{
	memset(d, 0, sizeof(*d));
	d->v = v;
	d->rng = rng;
	d->file_max = file_max;
	model_fs_init(&d->m);
}

void drive_close(struct drive *d)
{
	for (int i = 0; i < DRIVE_HANDLES; i++) {
		if (d->open_ino[i] && d->v->core)
			core_release(d->v->core, d->open[i]);
		d->open_ino[i] = 0;
	}
}

void drive_release(struct drive *d)
{
	drive_close(d);
	model_fs_release(&d->m);
}

static bool fail(struct drive *d, const char *fmt, ...)
{
	char before[sizeof(d->what)];
	size_t n;
	va_list ap;

	memcpy(before, d->what, sizeof(before));
	n = (size_t)snprintf(d->what, sizeof(d->what),
			     "op %llu %s: ", (unsigned long long)d->ops,
			     before);
	va_start(ap, fmt);
	if (n < sizeof(d->what))
		vsnprintf(d->what + n, sizeof(d->what) - n, fmt, ap);
	va_end(ap);
	return false;
}

static int pick(struct drive *d, enum model_type type)
{
	int v[MODEL_INODES], n = 0;

	for (int i = 1; i < MODEL_INODES; i++)
		if (d->m.inodes[i].type == type)
			v[n++] = i;
	return n ? v[prng_below(d->rng, (uint64_t)n)] : 0;
}

/* Names are few, so that operations meet. */
static const char *pick_name(struct drive *d, char out[8])
{
	snprintf(out, 8, "n%u", (unsigned)prng_below(d->rng, 12));
	return out;
}

static int find(struct drive *d, int dir, const char *name)
{
	int at = model_fs_find(&d->m, dir, name);

	return at < 0 ? 0 : d->m.names[at].ino;
}

bool drive_from_below(int rc)
{
	switch (-rc) {
	case 0:
	case ENOENT:
	case EEXIST:
	case ENOTEMPTY:
	case ENOTDIR:
	case EISDIR:
	case EINVAL:
	case EPERM:
		return false;
	default:
		return rc < 0;
	}
}

static bool op_create(struct drive *d, int *rc)
{
	enum model_type type = prng_chance(d->rng, 70) ? MODEL_FILE :
			       prng_chance(d->rng, 70) ? MODEL_DIR :
							 MODEL_SYMLINK;
	int dir = pick(d, MODEL_DIR), ino = 0, want;
	struct stat st;
	char name[8];

	if (pick(d, type) &&
	    model_fs_find(&d->m, dir, pick_name(d, name)) < 0 &&
	    d->m.inodes[MODEL_INODES - 64].type)
		return true; /* full enough */
	pick_name(d, name);
	snprintf(d->what, sizeof(d->what), "create %d/%s type %d", dir, name,
		 type);
	if (type == MODEL_SYMLINK)
		*rc = core_symlink(d->v->core, &vol_cred, d->m.inodes[dir].tag,
				   name, "to/somewhere", &st);
	else
		*rc = core_mknod(
			d->v->core, &vol_cred, d->m.inodes[dir].tag, name,
			(type == MODEL_DIR ? S_IFDIR : S_IFREG) | 0750, 0, &st);
	if (drive_from_below(*rc))
		return true;
	want = model_fs_create(&d->m, dir, name, type,
			       type == MODEL_SYMLINK ? 0777 : 0750, &ino);
	if (want != *rc)
		return fail(d, "%d, not %d", *rc, want);
	if (!want)
		d->m.inodes[ino].tag = st.st_ino;
	return true;
}

static bool op_unlink(struct drive *d, int *rc)
{
	int dir = pick(d, MODEL_DIR), want, ino;
	bool rmdir = prng_chance(d->rng, 30);
	char name[8];

	ino = find(d, dir, pick_name(d, name));
	for (int i = 0; i < DRIVE_HANDLES; i++)
		if (ino && d->open_ino[i] == ino && d->m.inodes[ino].nlink == 1)
			return true; /* the model forgets open files */
	snprintf(d->what, sizeof(d->what), "%s %d/%s",
		 rmdir ? "rmdir" : "unlink", dir, name);
	*rc = (rmdir ? core_rmdir : core_unlink)(d->v->core, &vol_cred,
						 d->m.inodes[dir].tag, name);
	if (drive_from_below(*rc))
		return true;
	want = model_fs_unlink(&d->m, dir, name, rmdir);
	return want == *rc || fail(d, "%d, not %d", *rc, want);
}

static bool op_rename(struct drive *d, int *rc)
{
	int dir = pick(d, MODEL_DIR), new_dir = pick(d, MODEL_DIR), want, ino;
	bool no = prng_chance(d->rng, 15);
	bool ex = !no && prng_chance(d->rng, 15);
	char name[8], to[8];

	pick_name(d, name);
	ino = find(d, new_dir, pick_name(d, to));
	for (int i = 0; i < DRIVE_HANDLES; i++)
		if (ino && d->open_ino[i] == ino && d->m.inodes[ino].nlink == 1)
			return true;
	snprintf(d->what, sizeof(d->what), "rename %d/%s %d/%s%s%s", dir, name,
		 new_dir, to, no ? " noreplace" : "", ex ? " exchange" : "");
	*rc = core_rename(d->v->core, &vol_cred, d->m.inodes[dir].tag, name,
			  d->m.inodes[new_dir].tag, to,
			  no ? 1u :
			  ex ? 2u :
			       0u);
	if (drive_from_below(*rc))
		return true;
	want = model_fs_rename(&d->m, dir, name, new_dir, to, no, ex);
	return want == *rc || fail(d, "%d, not %d", *rc, want);
}

static bool op_link(struct drive *d, int *rc)
{
	int dir = pick(d, MODEL_DIR), ino = pick(d, MODEL_FILE), want;
	struct stat st;
	char name[8];

	if (!ino)
		return true;
	pick_name(d, name);
	snprintf(d->what, sizeof(d->what), "link %d %d/%s", ino, dir, name);
	*rc = core_link(d->v->core, &vol_cred, d->m.inodes[ino].tag,
			d->m.inodes[dir].tag, name, &st);
	if (drive_from_below(*rc))
		return true;
	want = model_fs_link(&d->m, ino, dir, name);
	return want == *rc || fail(d, "%d, not %d", *rc, want);
}

static bool op_open(struct drive *d, int *rc)
{
	unsigned at = (unsigned)prng_below(d->rng, DRIVE_HANDLES);
	int ino;
	bool keep;

	if (d->open_ino[at]) {
		snprintf(d->what, sizeof(d->what), "close %d", d->open_ino[at]);
		core_release(d->v->core, d->open[at]);
		d->open_ino[at] = 0;
		return true;
	}
	ino = pick(d, MODEL_FILE);
	if (!ino)
		return true;
	snprintf(d->what, sizeof(d->what), "open %d", ino);
	*rc = core_open_file(d->v->core, &vol_cred, d->m.inodes[ino].tag,
			     O_RDWR, false, &d->open[at], &keep);
	if (!*rc)
		d->open_ino[at] = ino;
	return drive_from_below(*rc) || !*rc || fail(d, "%d", *rc);
}

/* Bytes of three kinds: random, text that compresses, zeros. */
static void fill(struct drive *d, uint8_t *p, size_t n)
{
	unsigned kind = (unsigned)prng_below(d->rng, 3);

	if (kind == 0)
		prng_bytes(d->rng, p, n);
	for (size_t i = 0; kind && i < n; i++)
		p[i] = kind == 1 ? (uint8_t)("the same words "[i % 15]) : 0;
}

static bool op_write(struct drive *d, int *rc)
{
	unsigned at = (unsigned)prng_below(d->rng, DRIVE_HANDLES);
	int ino = d->open_ino[at];
	struct model_inode *i = &d->m.inodes[ino];
	size_t n = (size_t)prng_range(d->rng, 1,
				      prng_chance(d->rng, 20) ? 131072 : 5000);
	uint64_t off;
	uint8_t *p;

	if (!ino)
		return op_open(d, rc);
	off = prng_chance(d->rng, 40) ? i->n : prng_below(d->rng, d->file_max);
	if (prng_chance(d->rng, 30))
		off &= ~4095ULL;
	if (off + n > d->file_max)
		off = 0;
	if (n > d->file_max)
		n = d->file_max;
	p = malloc(n);
	fill(d, p, n);
	snprintf(d->what, sizeof(d->what), "write %d off %llu n %zu", ino,
		 (unsigned long long)off, n);
	*rc = core_write(d->v->core, &vol_cred, d->open[at], p, n, off, false,
			 false);
	if (*rc >= 0)
		model_fs_write(&d->m, ino, off, p, n);
	free(p);
	return true;
}

static bool op_truncate(struct drive *d, int *rc)
{
	int ino = pick(d, MODEL_FILE);
	struct stat st = { 0 }, out;

	if (!ino)
		return true;
	st.st_size = (off_t)prng_below(d->rng, d->file_max);
	snprintf(d->what, sizeof(d->what), "truncate %d %lld", ino,
		 (long long)st.st_size);
	*rc = core_setattr(d->v->core, &vol_cred, d->m.inodes[ino].tag,
			   CORE_SET_SIZE, &st, &out);
	if (*rc < 0)
		return drive_from_below(*rc) || fail(d, "%d", *rc);
	model_fs_truncate(&d->m, ino, (size_t)st.st_size);
	return out.st_size == st.st_size ||
	       fail(d, "size %lld", (long long)out.st_size);
}

static bool op_zero(struct drive *d, int *rc)
{
	unsigned at = (unsigned)prng_below(d->rng, DRIVE_HANDLES);
	int ino = d->open_ino[at];
	uint64_t off, n;

	if (!ino)
		return true;
	off = prng_below(d->rng, d->file_max);
	n = prng_range(d->rng, 1, d->file_max - off);
	snprintf(d->what, sizeof(d->what), "punch %d off %llu n %llu", ino,
		 (unsigned long long)off, (unsigned long long)n);
	*rc = core_fallocate(d->v->core, &vol_cred, d->open[at],
			     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
			     n);
	if (*rc >= 0)
		model_fs_zero(&d->m, ino, off, n, true);
	return drive_from_below(*rc) || *rc >= 0 || fail(d, "%d", *rc);
}

static bool op_chmod(struct drive *d, int *rc)
{
	int ino = pick(d, MODEL_FILE);
	struct stat st = { 0 }, out;

	if (!ino)
		return true;
	st.st_mode = (mode_t)prng_below(d->rng, 01000);
	snprintf(d->what, sizeof(d->what), "chmod %d %o", ino, st.st_mode);
	*rc = core_setattr(d->v->core, &vol_cred, d->m.inodes[ino].tag,
			   CORE_SET_MODE, &st, &out);
	if (*rc >= 0)
		d->m.inodes[ino].mode = st.st_mode;
	return drive_from_below(*rc) || *rc >= 0 || fail(d, "%d", *rc);
}

static bool compare_file(struct drive *d, int ino)
{
	const struct model_inode *i = &d->m.inodes[ino];
	uint8_t *p = malloc(i->n + 1);
	struct handle *h = NULL;
	bool keep, good = true;
	ssize_t n;
	int rc = core_open_file(d->v->core, &vol_cred, i->tag, O_RDONLY, false,
				&h, &keep);

	if (rc < 0) {
		free(p);
		return drive_from_below(rc) ?
			       fail(d, "open %d: %s", ino, err_text(rc)) :
			       fail(d, "open %d: %d", ino, rc);
	}
	n = core_read(d->v->core, h, p, i->n + 1, 0);
	if (n < 0 || (size_t)n != i->n)
		good = fail(d, "read %d: %zd, not %zu", ino, n, i->n);
	for (size_t k = 0; good && k < i->n; k++)
		if (p[k] != i->p[k])
			good = fail(d, "file %d byte %zu: %02x, not %02x", ino,
				    k, p[k], i->p[k]);
	core_release(d->v->core, h);
	free(p);
	return good;
}

static bool op_check(struct drive *d, int *rc)
{
	int ino = pick(d, MODEL_FILE);

	*rc = 0;
	snprintf(d->what, sizeof(d->what), "read %d", ino);
	return !ino || compare_file(d, ino);
}

bool drive_op(struct drive *d, int *out_rc)
{
	static bool (*const ops[])(struct drive *, int *) = {
		op_create, op_create,	op_create, op_unlink, op_rename,
		op_rename, op_link,	op_open,   op_open,   op_write,
		op_write,  op_write,	op_write,  op_write,  op_truncate,
		op_zero,   op_truncate, op_chmod,  op_check,
	};

	d->ops++;
	*out_rc = 0;
	return ops[prng_below(d->rng, sizeof(ops) / sizeof(ops[0]))](d, out_rc);
}

struct listing {
	struct drive *d;
	int dir, n;
	bool plus, good;
	int left; /* that this answer has room for */
	uint64_t last;
};

static bool compare_stat(struct drive *d, int ino, const struct stat *st)
{
	const struct model_inode *i = &d->m.inodes[ino];

	if (i->type != MODEL_DIR && (int)st->st_nlink != i->nlink)
		return fail(d, "%d has %d links, not %d", ino,
			    (int)st->st_nlink, i->nlink);
	if (ino != 1 && (st->st_mode & 07777) != i->mode)
		return fail(d, "%d has mode %o, not %o", ino,
			    st->st_mode & 07777, i->mode);
	if (i->type == MODEL_FILE && (size_t)st->st_size != i->n)
		return fail(d, "%d has size %lld, not %zu", ino,
			    (long long)st->st_size, i->n);
	return true;
}

/* The attributes that came with a name are those that it is asked for. */
static bool compare_listed(struct drive *d, int ino, const struct stat *st)
{
	struct stat now, then = *st;
	int rc = core_getattr(d->v->core, st->st_ino, &now);

	/* what a save makes known in between */
	now.st_blocks = then.st_blocks = 0;
	if (rc < 0 || memcmp(&now, &then, sizeof(now)))
		return fail(d, "%d was listed with other attributes", ino);
	return true;
}

static int list_one(void *ctx, const char *name, const struct stat *st,
		    uint64_t cookie)
{
	struct listing *l = ctx;
	int ino;

	if (l->left-- == 0)
		return 1;
	l->last = cookie;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	ino = find(l->d, l->dir, name);
	l->n++;
	if (!ino || l->d->m.inodes[ino].tag != st->st_ino)
		l->good = fail(l->d, "listing of %d has %s", l->dir, name);
	else if (l->plus)
		l->good = compare_stat(l->d, ino, st) &&
			  compare_listed(l->d, ino, st);
	return !l->good;
}

/* In answers of some names each, what comes next sometimes read ahead. */
static int list_all(struct drive *d, struct listing *l, uint64_t tag)
{
	int rc;

	do {
		l->left = 1 + (int)prng_below(d->rng, 6);
		l->plus = prng_below(d->rng, 2) > 0;
		rc = core_readdir(d->v->core, tag, l->last, 1, l->plus,
				  list_one, l);
		if (l->last > 2 && prng_below(d->rng, 2))
			core_readdir_ahead(d->v->core, tag, l->last, 1,
					   prng_below(d->rng, 2) > 0);
	} while (rc >= 0 && l->good && l->left < 0);
	return rc;
}

/* What is there, and that nothing else is; half of it read with attributes. */
static bool compare_dir(struct drive *d, int ino)
{
	struct listing l = { d, ino, .good = true };
	uint64_t tag = d->m.inodes[ino].tag;
	struct stat st;
	char name[8];
	int rc;

	rc = list_all(d, &l, tag);
	if (rc < 0)
		return fail(d, "list %d: %s", ino, err_text(rc));
	if (l.good && l.n != model_fs_count(&d->m, ino))
		return fail(d, "%d lists %d names, not %d", ino, l.n,
			    model_fs_count(&d->m, ino));
	for (int k = 0; l.good && k < 4; k++) {
		if (find(d, ino, pick_name(d, name)))
			continue;
		rc = core_lookup(d->v->core, tag, name, &st);
		if (rc != -ENOENT)
			return fail(d, "lookup %d/%s: %s", ino, name,
				    err_text(rc));
	}
	return l.good;
}

static bool compare_inode(struct drive *d, int ino)
{
	const struct model_inode *i = &d->m.inodes[ino];
	struct stat st;
	int rc = core_getattr(d->v->core, i->tag, &st);

	if (rc < 0)
		return fail(d, "stat %d: %s", ino, err_text(rc));
	if (!compare_stat(d, ino, &st))
		return false;
	if (i->type == MODEL_FILE)
		return compare_file(d, ino);
	return i->type == MODEL_DIR ? compare_dir(d, ino) : true;
}

bool drive_compare(struct drive *d)
{
	for (int k = 0; k < MODEL_NAMES; k++) {
		const struct model_name *n = &d->m.names[k];
		struct stat st;
		int rc;

		if (n->parent == -1)
			continue;
		rc = core_lookup(d->v->core, d->m.inodes[n->parent].tag,
				 n->name, &st);
		if (rc < 0)
			return fail(d, "lookup %d/%s: %s", n->parent, n->name,
				    err_text(rc));
		if (st.st_ino != d->m.inodes[n->ino].tag)
			return fail(d, "lookup %d/%s: other inode", n->parent,
				    n->name);
	}
	for (int i = 1; i < MODEL_INODES; i++)
		if (d->m.inodes[i].type && !compare_inode(d, i))
			return false;
	return true;
}
