/*
 * inverse_say.h - what was carried out of a plan, in words: for undo and
 * restore.  One thread.
 */
#ifndef MOUNT_TOOLS_INVERSE_SAY_H
#define MOUNT_TOOLS_INVERSE_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct inverse;
struct inverse_item;
struct json;

/* " (content, mode, name: back to a/b)": what of a CHANGE is put back. */
void inverse_say_parts(struct buf *out, const struct json *line);

/* How many things; planned: how many would be. */
struct inverse_sum {
	uint64_t put_back, made, removed, left;
};
void inverse_say_sum(struct inverse_sum *out, const struct inverse *x,
		     bool planned);
/*
 * "1,204 put back, 33 removed, 2 left" and, where a run is named, how to take
 * that back; run: "" for none.  What is put back in part is left, too.
 */
void inverse_say_totals(struct buf *out, const struct inverse_sum *sum,
			const char *run, const char *dir);
/* "vouch undo undo.7 takes that back", typed as it stands; dir: the mount. */
void inverse_say_back(struct buf *out, const char *run, const char *dir);

/*
 * Why it is not done, or not whole: false, where the error's own words do.
 */
bool inverse_say_why(struct buf *out, const struct inverse_item *it);

#endif
