/*
 * pattern.h - what `vouch retain` and `vouch hold` share: a pattern from the
 * command line, an entry's number from an answer.  Pure; any thread.
 */
#ifndef MOUNT_TOOLS_PATTERN_H
#define MOUNT_TOOLS_PATTERN_H

#include "base/auto.h"

struct buf;
struct json;

/*
 * One slash at either end is taken away (people write "/logs/").  NULL, or
 * what is wrong with it; *out is malloc'd, NULL without memory.
 */
const char *pattern_take(char **out, const char *text);
/* The same for a new rule or hold: what is probably a mistake is one. */
const char *pattern_take_new(char **out, const char *text);
/* "12.3" of an answer's seal and position. */
void pattern_entry(struct buf *out, const struct json *answer);

#endif
