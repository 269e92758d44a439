/*
 * content_sink.c - how the chunks and nodes of a save or a version become
 * durable: few and small ones are staged and ride in the frame beside their
 * entry; as soon as there is more than CONTENT_STAGE of them, or something of
 * this content waits in the bulk writer anyway, the rest goes there, and one
 * flush covers it.
 *
 * Threads: one sink, one thread.
 */
#include <stdlib.h>

#include "base/err.h"
#include "fs/content/content_internal.h"

enum { SINK_IDS = 1024 }; /* they are searched */

/* Lists an id: 0, 1 when it is listed already, or -ENOMEM. */
static int add(struct sink *s, const struct digest *id, bool noted)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!digest_eq(&s->id[i], id))
			continue;
		if (noted || !s->noted[i])
			return 1;
		s->noted[i] = false;
		return 0;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 4;
		struct digest *v = realloc(s->id, cap * sizeof(*v));
		bool *b = NULL;

		if (v)
			s->id = v;
		b = v ? realloc(s->noted, cap * sizeof(*b)) : NULL;
		if (!b)
			return -ENOMEM;
		s->noted = b;
		s->cap = cap;
	}
	s->noted[s->n] = noted;
	s->id[s->n++] = *id;
	return 0;
}

int content_sink_note(struct sink *s, const struct digest *id)
{
	int rc = add(s, id, true);

	return rc < 0 ? rc : 0;
}

static int sink_put(struct put *p, const struct chunk *k, uint8_t *out_flags)
{
	struct sink *s = (struct sink *)p;
	struct store *store = p->content->pool->store;
	bool frame = false;
	int rc = 0;

	*out_flags = 0;
	if (s->bytes + k->stored_len > CONTENT_STAGE || s->n >= SINK_IDS)
		s->bulk = true;
	if (s->bulk)
		return content_bulk_put(p->content, k, p->forget);
	rc = store_stage(store, k, &frame);
	if (rc < 0 || !frame)
		return rc;
	s->bytes += k->stored_len;
	*out_flags = EXTENT_STAGED;
	rc = add(s, &k->id, false);
	if (rc != 0) /* listed already, or no memory: one stage is enough */
		store_unstage(store, &k->id);
	return rc < 0 ? rc : 0;
}

void content_sink_init(struct sink *s, struct content *c, bool bulk)
{
	*s = (struct sink){
		.put = { .put = sink_put, .content = c },
		.bulk = bulk,
	};
	mutex_lock(&c->wmu);
	s->bulk = s->bulk || c->unflushed;
	mutex_unlock(&c->wmu);
}

int content_sink_flush(struct sink *s)
{
	return content_bulk_flush(s->put.content);
}

void content_sink_take(struct sink *s, struct digest **out, size_t *out_n)
{
	*out = take(s->id);
	*out_n = s->n;
	content_sink_release(s);
}

void content_sink_release(struct sink *s)
{
	free(s->id);
	free(s->noted);
	s->id = NULL;
	s->noted = NULL;
	s->n = 0;
	s->cap = 0;
}

void content_sink_undo(struct sink *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->noted[i])
			store_unstage(s->put.content->pool->store, &s->id[i]);
	content_sink_release(s);
}
