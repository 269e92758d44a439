/* reader.c - see reader.h. */
#include "mount-tools/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/audit_when.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/content/content.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "index/rebuild.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "mount-tools/progress.h"

#define LOCK_NAME "lock"

/* --- opening --- */

/* Asks the daemon; *out_live is false where there is none. */
static int settle(struct reader *r, unsigned want, bool *out_live,
		  struct errmsg *em)
{
	struct buf b = BUF_INIT;
	struct errmsg own = ERRMSG_INIT;
	int rc;

	buf_adds(&b, "\"verb\":\"settle\"");
	if (want & READER_CHECKPOINT)
		buf_adds(&b, ",\"checkpoint\":true");
	if ((want & READER_VERSION) && r->inner) {
		buf_adds(&b, ",\"path\":");
		text_json_string(&b, r->inner, strlen(r->inner));
	}
	rc = b.bad ? -ENOMEM :
		     ctl_call(NULL, r->place.store, (char *)b.p, &own);
	buf_release(&b);
	*out_live = rc != -ENOTCONN;
	if (rc == -ENOTCONN)
		return 0;
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&own, rc)) : 0;
}

/* Nobody mounts it meanwhile. */
static int take_lock(struct reader *r, struct errmsg *em)
{
	int rc = vio_open(r->vio, &r->lock, LOCK_NAME, VIO_WRITE | VIO_CREATE);

	if (rc == -EACCES || rc == -EROFS || rc == -EPERM)
		return 0; /* not ours to write: nothing will be */
	if (rc == 0)
		rc = vio_lock(r->lock);
	if (rc == -EBUSY)
		return errmsg_set(em, -ERR_BUSY,
				  "%s is in use by another vouch process",
				  r->place.store);
	return rc < 0 ? errmsg_set(em, rc, "%s/%s: %s", r->place.store,
				   LOCK_NAME, err_text(rc)) :
			0;
}

static int on_chunk(void *ctx, const struct ledger_chunk *k)
{
	struct reader *r = ctx;
	const struct chunk chunk = chunk_of_frame(k);

	return store_recover(r->store, &chunk);
}

static int open_log(struct reader *r, struct errmsg *em)
{
	struct ledger_options o = {
		.vio = r->vio,
		.read_only = true,
		.on_chunk = r->store ? on_chunk : NULL,
		.ctx = r,
	};

	return ledger_open(&r->ledger, &o, em);
}

static int open_store(struct reader *r, struct errmsg *em)
{
	struct store_options so = { .vio = r->vio, .read_only = true };
	struct content_pool_options po = { .vio = r->vio };
	int rc = store_open(&r->store, &so, em);

	po.store = r->store;
	return rc < 0 ? rc : content_pool_open(&r->pool, &po);
}

/* The index may be behind a log whose mount ended badly, or gone. */
static int catch_up(struct reader *r, struct errmsg *em)
{
	struct progress bar;
	struct rebuild_options o = {
		.vio = r->vio,
		.dir = r->place.store,
		.ledger = r->ledger,
		.progress = progress_tell,
		.ctx = &bar,
	};
	struct idx *x = NULL;
	int rc;

	progress_start(&bar, "bringing the index up to the log", false);
	rc = rebuild_catch_up(&x, &o, em);
	progress_end(&bar);
	idx_close(x);
	return rc;
}

static int open_index(struct reader *r, struct errmsg *em)
{
	struct errmsg own = ERRMSG_INIT;
	struct digest root;
	uint64_t seals = 0;
	int rc = idx_reader_open(&r->idx, r->place.store, &own);

	if (rc == 0)
		rc = idx_reader_position(r->idx, &seals, &root);
	if (rc >= 0 && (r->live || seals == ledger_size(r->ledger)))
		return 0;
	idx_reader_close(take(r->idx));
	if (r->live)
		return errmsg_set(em, rc, "%s", errmsg_text(&own, rc));
	if (!r->lock)
		return errmsg_set(
			em, -ERR_AGAIN,
			"the index of %s is behind its log and may "
			"not be written here: run `vouch reindex STORE` "
			"as the store's owner",
			r->place.store);
	rc = catch_up(r, em);
	return rc < 0 ? rc : idx_reader_open(&r->idx, r->place.store, em);
}

static int open_parts(struct reader *r, unsigned want, struct errmsg *em)
{
	int rc = settle(r, want, &r->live, em);

	if (rc == 0 && r->live && (want & (READER_OFFLINE | READER_STORE)))
		return errmsg_set(em, -ERR_BUSY,
				  "%s is mounted on %s: unmount it first",
				  r->place.store,
				  r->place.dir ? r->place.dir : "some place");
	if (rc == 0)
		rc = vio_posix_open(&r->vio, r->place.store);
	if (rc == 0 && !r->live)
		rc = take_lock(r, em);
	if (rc == 0 && (want & READER_STORE))
		rc = open_store(r, em);
	if (rc == 0)
		rc = open_log(r, em);
	if (rc == 0 && (want & READER_INDEX))
		rc = open_index(r, em);
	return rc;
}

int reader_open(struct reader *out, const char *path, const char *inner,
		unsigned want, struct errmsg *em)
{
	int rc;

	*out = (struct reader){ .live = false };
	rc = ctl_find(&out->place, path, em);
	if (rc < 0)
		return rc;
	if (out->place.path && strcmp(out->place.path, "/") != 0)
		out->inner = out->place.path;
	else if (inner && *inner)
		out->inner = inner;
	if (out->place.path && out->inner && inner && *inner &&
	    out->inner != inner)
		rc = errmsg_set(em, -ERR_USAGE,
				"%s is inside a mount already: it takes no "
				"second path",
				path);
	else
		rc = open_parts(out, want, em);
	if (rc < 0) {
		errmsg_set(em, rc, "%s: %s", out->place.store, err_text(rc));
		reader_close(out);
	}
	return rc;
}

void reader_close(struct reader *r)
{
	idx_reader_close(r->idx);
	content_pool_close(r->pool);
	ledger_close(r->ledger);
	store_close(r->store);
	vio_close(r->lock);
	vio_free(r->vio);
	ctl_place_release(&r->place);
	*r = (struct reader){ .live = false };
}

int reader_refresh(struct reader *r, struct errmsg *em)
{
	struct digest root;
	uint64_t seals = 0;
	bool live = false;
	int rc = settle(r, 0, &live, em);

	if (rc == 0)
		rc = idx_reader_position(r->idx, &seals, &root);
	if (rc < 0 || seals <= ledger_size(r->ledger))
		return rc < 0 ? rc : 0;
	ledger_close(take(r->ledger));
	return open_log(r, em);
}

/* --- looking up --- */

int reader_inode(struct reader *r, uint64_t *out, bool *out_gone,
		 struct errmsg *em)
{
	const char *path = r->inner ? r->inner : "/";
	int rc = idx_resolve_last(r->idx, out, out_gone, path, strlen(path));

	if (rc == 0)
		return errmsg_set(em, -ENOENT,
				  "%s: the volume never had such a file", path);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}

int reader_entry(struct reader *r, struct entry *out, struct buf *stored,
		 struct digest *out_leaf, uint64_t entry_no, struct errmsg *em)
{
	unsigned long long seal = ENTRY_NO_SEAL(entry_no);
	unsigned pos = ENTRY_NO_POS(entry_no);
	int rc;

	buf_clear(stored);
	rc = ledger_read_entry(r->ledger, stored, out_leaf, entry_no);
	if (rc == -ENOENT || rc == -ERR_USAGE)
		return errmsg_set(em, -ENOENT,
				  "there is no entry %llu.%u; the log has %llu "
				  "seals",
				  seal, pos,
				  (unsigned long long)ledger_size(r->ledger));
	if (rc == 0)
		rc = entry_open(out, NULL, stored->p, stored->n, em);
	return rc < 0 ? errmsg_wrap(em, rc, "entry %llu.%u", seal, pos) : 0;
}

int reader_number(uint64_t *out, const char *s)
{
	char left[32];
	const char *dot = strchr(s, '.');
	uint64_t seal = 0, pos = 0;

	if (!dot || dot == s || (size_t)(dot - s) >= sizeof(left))
		return -ERR_FORMAT;
	memcpy(left, s, (size_t)(dot - s));
	left[dot - s] = '\0';
	if (text_u64_parse(&seal, left) < 0 ||
	    text_u64_parse(&pos, dot + 1) < 0 || pos >= LIMIT_BATCH ||
	    seal > UINT64_MAX >> 13)
		return -ERR_FORMAT;
	*out = IDX_ENTRY_NO(seal, pos);
	return 0;
}

struct only {
	char *dir;
	unsigned n;
};

static int count_mount(void *ctx, const char *store, const char *dir)
{
	struct only *o = ctx;

	(void)store;
	free(o->dir);
	o->dir = strdup(dir);
	o->n++;
	return o->dir ? 0 : -ENOMEM;
}

int reader_here(char **out, const char *how, struct errmsg *em)
{
	struct ctl_place place;
	struct only only = { .n = 0 };
	int rc = ctl_find(&place, ".", NULL);

	*out = NULL;
	if (rc == 0) {
		ctl_place_release(&place);
		*out = strdup(".");
		return *out ? 0 : -ENOMEM;
	}
	rc = ctl_each_mount(count_mount, &only);
	if (rc == 0 && only.n == 1) {
		*out = take(only.dir);
		return 0;
	}
	free(only.dir);
	if (rc < 0)
		return rc;
	return errmsg_set(em, -ERR_USAGE, "%s: say %s",
			  only.n == 0 ? "nothing is mounted" :
					"several volumes are mounted",
			  how);
}

int reader_when(struct reader *r, uint64_t *out_at, const char *when,
		struct errmsg *em)
{
	int rc = audit_when_find(r->idx, NULL, out_at, when, 0,
				 vio_wall_ns(r->vio), em);

	return rc < 0 ? errmsg_wrap(em, rc, "%s", when) : 0;
}
