/*
 * journal.c - append-only segments of records.
 *
 * Invariants:
 *  1. Segment i + 1 begins where segment i ends; only the last one may lack
 *     its footer, and only its tail may be torn.
 *  2. A segment is complete, footer included, and flushed before the next
 *     one is made; a new segment's header and name are durable before its
 *     first record.
 *  3. Bytes at or below journal_objects' sizes never change.
 *
 * Threads: see journal.h.  journal.mu is a leaf lock.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/journal_impl.h"
#include "ledger/numbered.h"

int journal_open(struct journal **out, const struct journal_options *o,
		 struct errmsg *em)
{
	struct journal *j = calloc(1, sizeof(*j));
	int rc = 0;

	*out = NULL;
	if (j == NULL)
		return -ENOMEM;
	j->vio = o->vio;
	j->segment_bytes =
		o->segment_bytes ? o->segment_bytes : LIMIT_JOURNAL_SEGMENT;
	j->read_only = o->read_only;
	memcpy(j->volume_id, o->volume_id, 16);
	mutex_init(&j->mu);
	if (o->create)
		rc = vio_mkdirs(j->vio, JOURNAL_DIR);
	if (rc == 0)
		rc = journal_scan(j, em);
	if (rc < 0) {
		journal_close(j);
		return errmsg_set(em, rc, "journal: %s", err_text(rc));
	}
	*out = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	journal_file_free(j->active);
	for (int i = 0; i < JOURNAL_OPEN_MAX; i++)
		journal_file_free(j->open[i]);
	buf_release(&j->record);
	free(j->firsts);
	free(j->offsets);
	mutex_destroy(&j->mu);
	free(j);
}

uint64_t journal_end(struct journal *j)
{
	uint64_t end;

	mutex_lock(&j->mu);
	end = j->end;
	mutex_unlock(&j->mu);
	return end;
}

uint64_t journal_durable(struct journal *j)
{
	uint64_t durable;

	mutex_lock(&j->mu);
	durable = j->durable;
	mutex_unlock(&j->mu);
	return durable;
}

uint64_t journal_torn_bytes(struct journal *j)
{
	return j->torn_bytes;
}

bool journal_damaged(struct journal *j)
{
	return j->damaged;
}

int journal_start(struct journal *j)
{
	int rc = 0;

	assert(!j->read_only);
	if (j->active != NULL && j->torn_bytes > 0)
		rc = vio_truncate(j->active->file, j->end_at);
	if (rc == 0 && j->active != NULL)
		rc = vio_fdatasync(j->active->file);
	if (rc < 0)
		return rc;
	mutex_lock(&j->mu);
	j->torn_bytes = 0;
	j->durable = j->end;
	j->durable_at = j->end_at;
	mutex_unlock(&j->mu);
	return 0;
}

int journal_sync(struct journal *j)
{
	struct journal_file *f;
	uint64_t end, end_at;
	int rc;

	mutex_lock(&j->mu);
	f = j->active;
	end = j->end;
	end_at = j->end_at;
	mutex_unlock(&j->mu);
	if (f == NULL || end == j->durable)
		return 0;
	/* Only the writer, which we are, replaces the active segment. */
	rc = vio_flush(f->file);
	if (rc < 0)
		return rc;
	mutex_lock(&j->mu);
	j->durable = end;
	j->durable_at = end_at;
	mutex_unlock(&j->mu);
	return 0;
}

static int seal_active(struct journal *j)
{
	struct journal_file *f = j->active;
	struct buf footer = BUF_INIT;
	bool idle = false;
	int rc = journal_footer(&footer, j->offsets, j->n_offsets, f->epoch);

	if (rc == 0)
		rc = vio_pwrite(f->file, footer.p, footer.n, j->end_at);
	if (rc == 0)
		rc = vio_flush(f->file);
	else if (rc == -EDQUOT)
		rc = -ENOSPC;
	if (rc == 0) {
		mutex_lock(&j->mu);
		f->size = j->end_at + footer.n;
		j->durable = j->end;
		j->active = NULL;
		j->n_offsets = 0;
		idle = !journal_cache_locked(j, f) && f->readers == 0;
		mutex_unlock(&j->mu);
		if (idle)
			journal_file_free(f);
	}
	buf_release(&footer);
	return rc;
}

static int write_header(struct journal *j, struct journal_file *f)
{
	uint8_t head[JOURNAL_HEADER_SIZE];
	struct bwriter w;

	bwriter_init(&w, head, sizeof(head));
	bwriter_copy(&w, JOURNAL_MAGIC, 4);
	bwriter_u8(&w, JOURNAL_FORMAT);
	bwriter_copy(&w, "\0\0", 3);
	bwriter_u64(&w, f->number);
	bwriter_copy(&w, j->volume_id, 16);
	bwriter_u64(&w, f->epoch);
	bwriter_u64(&w, f->first);
	bwriter_u64(&w, 0);
	bwriter_u64(&w, XXH64(head, JOURNAL_HEADER_SIZE - 8, 0));
	assert(!w.bad && w.n == sizeof(head));
	return vio_pwrite(f->file, head, sizeof(head), 0);
}

/* A new segment, durable with its header; -ENOSPC is soft. */
static int make_segment(struct journal *j)
{
	struct journal_file *f = calloc(1, sizeof(*f));
	char path[NUMBERED_PATH_MAX];
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->number = j->n + 1;
	f->first = j->end;
	rc = f->number > NUMBERED_LAST ? -ERR_LIMIT : 0;
	if (rc == 0)
		rc = vio_random(j->vio, &f->epoch, sizeof(f->epoch));
	if (rc < 0)
		goto fail;
	numbered_path(path, JOURNAL_DIR, f->number, JOURNAL_SUFFIX);
	rc = vio_open(j->vio, &f->file, path,
		      VIO_WRITE | VIO_CREATE | VIO_TRUNC);
	if (rc == 0)
		rc = write_header(j, f);
	if (rc == 0)
		rc = vio_fdatasync(f->file);
	if (rc == 0)
		rc = vio_syncdir(j->vio, JOURNAL_DIR);
	if (rc < 0)
		goto fail;
	mutex_lock(&j->mu);
	rc = journal_add_segment(j, f->first);
	if (rc == 0) {
		j->active = f;
		j->end_at = JOURNAL_HEADER_SIZE;
		j->durable_at = JOURNAL_HEADER_SIZE;
	}
	mutex_unlock(&j->mu);
	if (rc < 0)
		goto fail;
	return 0;
fail:
	journal_file_free(f);
	return rc == -EDQUOT ? -ENOSPC : rc;
}

int journal_append(struct journal *j, const struct frame *f)
{
	uint64_t len = FRAME_OVERHEAD - 4 + f->seal_n + f->entries_n;
	int rc = 0;

	assert(!j->read_only && f->index == j->end && j->torn_bytes == 0);
	if (j->active != NULL && j->n_offsets > 0 &&
	    j->end_at + len + journal_footer_size(j->n_offsets + 1) >
		    j->segment_bytes)
		rc = seal_active(j);
	if (rc == 0 && j->active == NULL)
		rc = make_segment(j);
	if (rc == 0)
		rc = frame_record(&j->record, f, j->active->epoch);
	if (rc < 0)
		return rc;
	rc = vio_pwrite(j->active->file, j->record.p, j->record.n, j->end_at);
	if (rc < 0)
		return rc == -EDQUOT ? -ENOSPC : rc;
	mutex_lock(&j->mu);
	rc = journal_add_offset(j, (uint32_t)j->end_at);
	if (rc == 0) {
		j->end_at += j->record.n;
		j->end++;
	}
	mutex_unlock(&j->mu);
	return rc;
}
