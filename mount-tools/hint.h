/*
 * hint.h - commands in what is said, so that they work when they are typed as
 * they stand.  Not thread-safe.
 *
 * Layers that know no path write `vouch adopt STORE`; where the words are
 * printed, STORE becomes the one that was asked for.
 */
#ifndef MOUNT_TOOLS_HINT_H
#define MOUNT_TOOLS_HINT_H

struct buf;

/* What STORE in backquotes is from now on: absolute. */
void hint_store(const char *path);
/* Appends the text, with it filled in; escapes nothing else. */
void hint_fill(struct buf *out, const char *text);
/* Prints it, filled in, a line for each. */
void hint_print(const char *text);
/* A word of a command, in quotes where a shell needs them. */
void hint_word(struct buf *out, const char *word);
/* " --in=DIR", unless that is where we are. */
void hint_in(struct buf *out, const char *dir);

#endif
