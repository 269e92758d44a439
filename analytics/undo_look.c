/*
 * undo_look.c - how a plan looks at the index: through one state of it for
 * many questions, which is let go before SQLite's journal grows by much.
 */
#include "analytics/undo_int.h"
#include "base/err.h"
#include "index/idx_query.h"

/* Inodes for which one state does: some hundredths of a second. */
enum { LOOKS_MAX = 256 };

int undo_look(struct undo *u)
{
	int rc;

	if (u->looks == LOOKS_MAX)
		undo_look_away(u);
	rc = u->looks ? 0 : idx_reader_begin(u->r);
	u->looks += rc == 0;
	return rc;
}

void undo_look_away(struct undo *u)
{
	if (u->looks)
		idx_reader_end(u->r);
	u->looks = 0;
	u->dir_ino = 0;
}

int undo_look_dir(struct undo *u, const struct buf **out, uint64_t ino)
{
	int rc;

	*out = &u->dir;
	if (ino != u->dir_ino) {
		u->dir_ino = 0;
		buf_clear(&u->dir);
		rc = idx_path(u->r, &u->dir, ino, IDX_NOW);
		if (rc < 0)
			return rc;
		u->dir_there = rc > 0;
		u->dir_ino = ino;
	}
	return u->dir_there;
}
