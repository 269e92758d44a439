/*
 * content_scatter.c - bytes written here and there become chunks while more of
 * them come, as a stream's do.
 *
 * Left in the buffers until the fsync, 20,000 writes of 4 KiB were chunked by
 * the one thread that answered it, 13 us each, and only then did the disk begin
 * to write: more than half of the time that writes and fsync took together.
 * Now that is done beside the writes, and the fsync finds the last few.
 *
 * Nothing is taken that the stream, or a run that may become the stream, cuts
 * itself, and no buffer that somebody reads already.  A page that is written
 * again while it waits here is one chunk, as before: only so many bytes in new
 * places, SCATTER_BACKLOG, make it begin.
 *
 * Threads: workers.  One at a time for each content, never while it is busy:
 * it counts as `inflight`.
 */
#include "base/err.h"
#include "fs/content/content.h"
#include "fs/content/content_internal.h"

enum {
	SCATTER_BACKLOG = 2 << 20, /* new, before it begins */
	SCATTER_SHARE = 16,	   /* ... or this part of the pool's room */
	SCATTER_BATCH = 8 << 20	   /* at one go */
};

bool content_scatter_due_locked(const struct content *c)
	requires_capability(&c->mu)
{
	uint64_t share = c->pool->dirty.max / SCATTER_SHARE;

	return c->scattered >=
		       (share < SCATTER_BACKLOG ? share : SCATTER_BACKLOG) &&
	       !c->scattering && !c->busy && !c->closing;
}

int content_scatter_locked(struct content *c, struct scratch *sc,
			   bool *out_any) no_thread_safety_analysis
{
	struct put put = { .put = content_spill_put, .content = c };
	struct spill s = { .piece = NULL };
	int rc = content_spill_take_locked(c, &s, 0, ~0ULL, SPILL_SCATTERED,
					   SCATTER_BATCH);

	*out_any = s.n_piece > 0;
	c->scattered = 0;
	c->scattering = true;
	c->inflight++;
	mutex_unlock(&c->mu);
	if (rc == 0)
		rc = content_spill_store(c, sc, &s, 0, s.n_piece, &put);

	mutex_lock(&c->mu);
	if (rc == 0)
		rc = content_spill_apply_locked(c, &s, 0);
	content_spill_unpin_locked(&s, 0, s.n_piece);
	c->scattering = false;
	c->inflight--;
	cond_broadcast(&c->cond);
	content_spill_release(&s);
	return rc;
}
