/*
 * journal_check.c - reads the whole journal, byte by byte, for verification.
 *
 * One segment at a time is in memory.  After a damaged record the next valid
 * one is looked for; footers must be what the records imply.  Any thread,
 * beside a writer too: what is appended after the start is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vio.h"
#include "ledger/frame.h"
#include "ledger/journal_impl.h"
#include "ledger/numbered.h"

/* One segment under examination. */
struct examined {
	const struct journal_check *c;
	uint32_t number;
	uint64_t next, end; /* indices */
	uint64_t epoch;
	const uint8_t *p;
	size_t n; /* bytes */
	size_t at;
	uint32_t *offsets; /* of the records seen */
	uint32_t n_offsets;
	bool damaged;
};

static void tell(const struct examined *x, const char *what, uint64_t index)
{
	char words[200];

	snprintf(words, sizeof(words),
		 "journal/%08u%s: %s (seal %llu); repair from a replica",
		 x->number, JOURNAL_SUFFIX, what, (unsigned long long)index);
	x->c->found(x->c->ctx, words);
}

static int give(struct examined *x, const struct frame *f)
{
	int rc = 0;

	if (x->c->record != NULL)
		rc = x->c->record(x->c->ctx, x->next, f);
	x->next++;
	return rc;
}

static int check_records(struct examined *x)
{
	struct frame f;
	int rc = 0;

	while (rc == 0 && x->next < x->end) {
		size_t skip;

		if (x->at < x->n &&
		    frame_decode(&f, x->p + x->at, x->n - x->at, x->epoch,
				 FRAME_RECORD) == 0 &&
		    f.index >= x->next && f.index < x->end) {
			while (rc == 0 && x->next < f.index)
				rc = give(x, NULL);
			x->offsets[x->n_offsets++] = (uint32_t)x->at;
			x->at += f.len;
			if (rc == 0)
				rc = give(x, &f);
			continue;
		}
		x->damaged = true;
		tell(x, "a record is damaged", x->next);
		skip = x->at < x->n ?
			       journal_find_later(x->p + x->at, x->n - x->at,
						  x->epoch, x->next) :
			       0;
		if (skip == 0)
			break;
		x->at += skip;
	}
	while (rc == 0 && x->next < x->end)
		rc = give(x, NULL);
	return rc;
}

static int check_footer(struct examined *x)
{
	struct buf want = BUF_INIT;
	int rc = journal_footer(&want, x->offsets, x->n_offsets, x->epoch);

	if (rc == 0 && (x->n - x->at != want.n ||
			memcmp(x->p + x->at, want.p, want.n) != 0))
		tell(x, "the footer is damaged", x->end - 1);
	buf_release(&want);
	return rc;
}

static int read_segment(struct journal *j, struct buf *out, uint32_t number,
			uint64_t size, struct journal_file **f)
{
	struct errmsg em = ERRMSG_INIT;
	uint8_t *p;
	ssize_t got;
	int rc = journal_scan_header(j, f, number, VIO_READ, &em);

	if (rc < 0)
		return rc;
	if (size == 0)
		size = (*f)->size;
	if (size > 2 * (uint64_t)LIMIT_JOURNAL_SEGMENT)
		return -ERR_LIMIT;
	buf_clear(out);
	p = buf_grow(out, (size_t)size);
	if (p == NULL)
		return -ENOMEM;
	got = vio_pread((*f)->file, p, (size_t)size, 0);
	if (got < 0)
		return (int)got;
	out->n = (size_t)got;
	return 0;
}

static int check_segment(struct journal *j, const struct journal_check *c,
			 struct buf *scratch, uint32_t number)
{
	struct examined x = { .c = c, .number = number };
	struct journal_file *f = NULL;
	uint64_t size = 0;
	int rc;

	mutex_lock(&j->mu);
	x.next = j->firsts[number - 1];
	x.end = x.next + journal_count_locked(j, number);
	if (j->active != NULL && j->active->number == number)
		size = j->end_at;
	mutex_unlock(&j->mu);
	x.offsets = calloc(x.end - x.next + 1, sizeof(*x.offsets));
	if (x.offsets == NULL)
		return -ENOMEM;
	rc = read_segment(j, scratch, number, size, &f);
	if (rc == -ENOMEM)
		goto done;
	if (rc < 0 || f->first != x.next) {
		tell(&x, rc < 0 ? err_text(rc) : "header is damaged", x.next);
		rc = 0;
		while (rc == 0 && x.next < x.end)
			rc = give(&x, NULL);
		goto done;
	}
	x.epoch = f->epoch;
	x.p = scratch->p;
	x.n = scratch->n;
	x.at = JOURNAL_HEADER_SIZE;
	rc = check_records(&x);
	if (rc == 0 && !x.damaged && size == 0)
		rc = check_footer(&x);
done:
	free(x.offsets);
	journal_file_free(f);
	return rc;
}

int journal_check(struct journal *j, const struct journal_check *c)
{
	struct buf scratch = BUF_INIT;
	uint32_t n;
	int rc = 0;

	mutex_lock(&j->mu);
	n = j->n;
	mutex_unlock(&j->mu);
	for (uint32_t i = 1; rc == 0 && i <= n; i++)
		rc = check_segment(j, c, &scratch, i);
	if (rc == 0 && j->torn_bytes > 0 && j->damaged)
		c->found(c->ctx, "journal: damaged bytes at its end; repair "
				 "from a replica");
	buf_release(&scratch);
	return rc;
}
