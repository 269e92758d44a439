/*
 * ptable_files.c - the files of a table: manifest, deletion, what a crash
 * left; see ptable.c for the invariants.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/ptable_impl.h"
#include "base/vio.h"

static void file_unlink(struct ptable *t, const struct ptable_dead *d)
{
	char name[LIMIT_PATH + 1];
	int rc;

	snprintf(name, sizeof(name), "%s.%s-%016llx", t->path,
		 d->is_log ? "log" : "run", (unsigned long long)d->id);
	rc = vio_unlink(t->vio, name);
	(void)rc; /* the next open tries again */
}

/* Without memory the file stays until the next open. */
void ptable_files_dead(struct ptable *t, bool is_log, uint64_t id)
{
	if (t->ndead == t->dead_cap) {
		size_t cap = t->dead_cap == 0 ? 16 : t->dead_cap * 2;
		struct ptable_dead *v = realloc(t->dead, cap * sizeof(*v));

		if (v == NULL)
			return;
		t->dead = v;
		t->dead_cap = cap;
	}
	t->dead[t->ndead].is_log = is_log;
	t->dead[t->ndead++].id = id;
}

void ptable_files_bury(struct ptable *t)
{
	for (size_t i = 0; i < t->ndead; i++)
		file_unlink(t, &t->dead[i]);
	t->ndead = 0;
}

int ptable_files_manifest(struct ptable *t, uint64_t log_id)
{
	struct buf b = BUF_INIT;
	int rc = -ENOMEM;

	buf_u64(&b, PTABLE_MAGIC);
	buf_u64(&b, t->next_id);
	buf_u64(&b, log_id);
	buf_u32(&b, (uint32_t)t->nruns);
	buf_u32(&b, 0);
	for (size_t i = 0; i < t->nruns; i++) {
		buf_u64(&b, t->runs[i]->id);
		buf_u64(&b, t->runs[i]->nrecs);
		buf_u32(&b, t->runs[i]->npages);
		buf_u32(&b, t->runs[i]->level);
		buf_u64(&b, t->runs[i]->nblocks);
		buf_u64(&b, t->runs[i]->meta_hash);
	}
	if (!b.bad)
		buf_u64(&b, XXH64(b.p, b.n, 0));
	if (!b.bad)
		rc = atomic_file_write(t->vio, t->path, b.p, b.n, 0);
	buf_release(&b);
	return rc;
}

/* Opens the runs that the manifest names and reads the log. */
static int manifest_decode(struct ptable *t, const uint8_t *p, size_t n)
{
	struct breader r;
	uint64_t log_id;
	uint32_t nruns;
	int rc = 0;

	if (n < PTABLE_MANIFEST_HEADER + 8)
		return -ERR_CORRUPT;
	breader_init(&r, p + n - 8, 8);
	if (breader_u64(&r) != XXH64(p, n - 8, 0))
		return -ERR_CORRUPT;
	breader_init(&r, p, n - 8);
	if (breader_u64(&r) != PTABLE_MAGIC)
		return -ERR_CORRUPT;
	t->next_id = breader_u64(&r);
	log_id = breader_u64(&r);
	nruns = breader_u32(&r);
	if (breader_u32(&r) != 0 || nruns > PTABLE_RUNS_MAX)
		return -ERR_CORRUPT;
	for (uint32_t i = 0; i < nruns && rc == 0; i++) {
		struct ptable_run like = { .id = breader_u64(&r) };

		like.nrecs = breader_u64(&r);
		like.npages = breader_u32(&r);
		like.level = breader_u32(&r);
		like.nblocks = breader_u64(&r);
		like.meta_hash = breader_u64(&r);
		if (r.bad)
			return -ERR_CORRUPT;
		rc = ptable_run_open(&t->runs[t->nruns], t->vio, t->path,
				     &like);
		t->nruns += rc == 0;
	}
	if (rc < 0)
		return rc;
	if (!breader_done(&r))
		return -ERR_CORRUPT;
	return ptable_log_replay(&t->log, t->vio, t->path, log_id, &t->mem,
				 t->mark, &t->structural);
}

/* A file of ours that nothing names goes. */
struct sweep {
	struct ptable *t; /* NULL: all go */
	struct vio *vio;
	const char *path;
	size_t base_at;	  /* where the last component of path starts */
	struct buf names; /* NUL-terminated, one after another */
};

static bool sweep_keeps(const struct sweep *s, const char *kind, uint64_t id)
{
	if (s->t == NULL)
		return false;
	if (kind[0] == 'l')
		return s->t->log.file != NULL && s->t->log.id == id;
	for (size_t i = 0; i < s->t->nruns; i++)
		if (s->t->runs[i]->id == id)
			return true;
	return false;
}

static int sweep_name(void *ctx, const char *name)
{
	struct sweep *s = ctx;
	const char *base = s->path + s->base_at;
	size_t n = strlen(base);
	const char *kind = name + n;
	char *end = NULL;
	uint64_t id;

	if (strncmp(name, base, n) != 0)
		return 0;
	if (strncmp(kind, ".run-", 5) != 0 && strncmp(kind, ".log-", 5) != 0 &&
	    strncmp(kind, ".tmp-", 5) != 0)
		return 0;
	id = strtoull(kind + 5, &end, 16);
	if (end != kind + 5 + 16 || *end != '\0')
		return 0;
	if (kind[1] != 't' && sweep_keeps(s, kind + 1, id))
		return 0;
	if (kind[1] != 't' && s->t != NULL && id >= s->t->next_id)
		s->t->next_id = id + 1;
	buf_add(&s->names, s->path, s->base_at);
	buf_add(&s->names, name, strlen(name) + 1);
	return 0;
}

char *ptable_files_dir(const char *path, size_t *out_base)
{
	const char *slash = strrchr(path, '/');

	*out_base = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int ptable_files_load(struct ptable *t)
{
	struct buf b = BUF_INIT;
	int rc = vio_read_file(t->vio, &b, t->path, 1 << 16);

	if (rc == 0)
		rc = manifest_decode(t, b.p, b.n);
	else if (rc == -ENOENT)
		rc = 0;
	else if (rc == -ERR_LIMIT)
		rc = -ERR_CORRUPT;
	buf_release(&b);
	return rc;
}

int ptable_files_sweep(struct ptable *t, struct vio *v, const char *path)
{
	struct sweep s = { .t = t, .vio = v, .path = path };
	autofree char *dir = ptable_files_dir(path, &s.base_at);
	const char *p, *end;
	int rc;

	if (dir == NULL)
		return -ENOMEM;
	rc = vio_list(v, dir, sweep_name, &s);
	p = (const char *)s.names.p;
	end = p ? p + s.names.n : NULL;
	if (s.names.bad)
		rc = -ENOMEM;
	for (; rc == 0 && p < end; p += strlen(p) + 1)
		rc = vio_unlink(v, p);
	buf_release(&s.names);
	return rc;
}
