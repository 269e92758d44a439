/*
 * replica_site.c - see replica_site.h.
 */
#include "tests/sim/replica_site.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vio.h"
#include "fs/store/replica.h"
#include "fs/store/store_int.h"
#include "tests/sim/prng.h"

const uint8_t site_volume[16] = "a volume's id 01";

static int objects(void *ctx, replicate_fn *fn, void *fn_ctx)
{
	struct site *x = ctx;
	int rc = fn(fn_ctx, "ledger/journal/00000001.vj", x->journal,
		    REPLICATE_GROWS);

	if (rc == 0)
		rc = fn(fn_ctx, "volume.conf", 0, REPLICATE_WHOLE);
	if (rc == 0)
		rc = fn(fn_ctx, "keys/nothing", 0, REPLICATE_WHOLE);
	return rc;
}

static void on_repair(void *ctx, const struct digest *id, const char *replica,
		      bool ok)
{
	struct site *x = ctx;

	(void)id;
	(void)replica;
	if (ok)
		x->repairs++;
	else
		x->failures++;
}

void site_add(struct site *x, int i)
{
	struct replica *r = NULL;
	struct errmsg em = ERRMSG_INIT;

	cr_assert_eq(replica_dir_open_vio(&r, vio_sim_vio(x->away[i]),
					  i ? "second" : "first", site_volume,
					  1, &em),
		     0, "%s", em.text);
	cr_assert_eq(replicate_add(x->follow, r, &em), 0, "%s", em.text);
}

void site_open(struct site *x, int replicas)
{
	struct store_options o = {
		.vio = vio_sim_vio(x->home),
		.on_repair = on_repair,
		.ctx = x,
	};
	struct replicate_options fo = {
		.vio = o.vio,
		.objects = objects,
		.ctx = x,
		.no_threads = true,
	};
	struct errmsg em = ERRMSG_INIT;

	memcpy(o.volume_id, site_volume, 16);
	cr_assert_eq(store_open(&x->store, &o, &em), 0, "%s", em.text);
	fo.store = x->store;
	cr_assert_eq(replicate_open(&x->follow, &fo), 0);
	for (int i = 0; i < replicas; i++)
		site_add(x, i);
}

void site_close(struct site *x)
{
	replicate_close(x->follow);
	store_close(x->store);
	x->follow = NULL;
	x->store = NULL;
}

void site_journal(struct site *x, const char *text)
{
	struct vio *v = vio_sim_vio(x->home);
	struct vio_file *f = NULL;

	cr_assert_eq(vio_mkdirs(v, "ledger/journal"), 0);
	cr_assert_eq(vio_open(v, &f, "ledger/journal/00000001.vj",
			      VIO_WRITE | VIO_CREATE),
		     0);
	cr_assert_eq(vio_pwrite(f, text, strlen(text), x->journal), 0);
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
	x->journal += strlen(text);
}

void site_new(struct site *x, int replicas)
{
	struct vio_file *f = NULL;

	*x = (struct site){ .home = vio_sim_new(NULL) };
	for (int i = 0; i < 2; i++)
		x->away[i] = vio_sim_new(NULL);
	cr_assert_eq(vio_open(vio_sim_vio(x->home), &f, "volume.conf",
			      VIO_WRITE | VIO_CREATE),
		     0);
	cr_assert_eq(vio_pwrite(f, "conf\n", 5, 0), 0);
	cr_assert_eq(vio_fdatasync(f), 0);
	vio_close(f);
	site_journal(x, "first record\n");
	site_open(x, replicas);
}

void site_free(struct site *x)
{
	site_close(x);
	vio_sim_free(x->home);
	for (int i = 0; i < 2; i++)
		vio_sim_free(x->away[i]);
}

static size_t content(uint8_t *p, uint64_t k)
{
	struct prng r = { 0 };
	size_t n = 0;

	prng_init(&r, k + 1);
	n = 1 + prng_below(&r, 30000);
	prng_bytes(&r, p, n);
	return n;
}

void site_put(struct store *s, uint64_t from, uint64_t to)
{
	struct chunk_maker *m = chunk_maker_new();
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	struct store_writer *w = NULL;
	struct chunk c = { 0 };

	cr_assert_eq(store_writer_open(s, &w), 0);
	for (uint64_t k = from; k < to; k++) {
		size_t n = content(p, k);

		cr_assert_eq(chunk_make(&c, m, CHUNK_DATA, p, n), 0);
		cr_assert_eq(store_writer_put(w, &c), 0);
	}
	cr_assert_eq(store_writer_flush(w), 0);
	store_writer_close(w);
	chunk_maker_free(m);
}

int site_check(struct store *s, uint64_t k)
{
	autofree uint8_t *p = malloc(LIMIT_CHUNK);
	size_t n = content(p, k);
	struct store_ref ref = { .p = NULL };
	struct digest id = { 0 };
	int rc = 0;

	chunk_hash(&id, CHUNK_DATA, p, n);
	rc = store_get(s, &ref, &id, CHUNK_DATA);
	if (rc < 0)
		return rc;
	cr_assert(ref.n == n && memcmp(ref.p, p, n) == 0);
	store_release(&ref);
	return 0;
}

/* True when a file is the same on both disks. */
bool site_same(struct vio_sim *a, struct vio_sim *b, const char *name)
{
	struct buf x = BUF_INIT;
	struct buf y = BUF_INIT;
	bool same = vio_read_file(vio_sim_vio(a), &x, name, LIMIT_PACK) == 0 &&
		    vio_read_file(vio_sim_vio(b), &y, name, LIMIT_PACK) == 0 &&
		    y.n <= x.n && y.n > 0 && memcmp(x.p, y.p, y.n) == 0;

	buf_release(&x);
	buf_release(&y);
	return same;
}

void site_have(struct site *x, uint64_t position, uint32_t want)
{
	uint32_t n = 0;
	uint32_t all = 0;

	replicate_have(x->follow, position, &n, &all);
	cr_assert_eq(n, want);
}
