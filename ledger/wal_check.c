/*
 * wal_check.c - reads every frame of the WAL again, for `vouch verify`.
 * Any thread; frames released meanwhile are passed over.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/frame.h"
#include "ledger/wal.h"

static int check_frame(struct wal *w, uint64_t index, struct buf *scratch,
		       char *words, size_t cap)
{
	struct frame f;
	int rc = wal_read(w, scratch, &f, index);

	if (rc == -ENOENT)
		return 0; /* released meanwhile */
	if (rc < 0) {
		snprintf(words, cap, "wal: frame of seal %llu: %s",
			 (unsigned long long)index, err_text(rc));
		return 1;
	}
	return 0;
}

int wal_check(struct wal *w, void (*found)(void *ctx, const char *words),
	      void *ctx)
{
	uint64_t first = wal_first(w), end = wal_end(w);
	struct buf scratch = BUF_INIT;
	char words[160];

	for (uint64_t i = first; i < end; i++)
		if (check_frame(w, i, &scratch, words, sizeof(words)) > 0)
			found(ctx, words);
	buf_release(&scratch);
	return 0;
}
