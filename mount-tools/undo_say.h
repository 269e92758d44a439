/*
 * undo_say.h - what an undo tells: what it did or would do, what stays, who
 * has changed that since, and when.
 */
#ifndef MOUNT_TOOLS_UNDO_SAY_H
#define MOUNT_TOOLS_UNDO_SAY_H

#include <stdbool.h>

#include "mount-tools/opt.h"

struct inverse;

/* planned: nothing was done yet. */
void undo_say(const struct inverse *x, const char *word, enum opt_format format,
	      bool planned);
/* On stderr: the path is none that the run changed. */
void undo_say_nothing_there(const char *path, const char *word);
bool undo_say_is_running(const struct inverse *x);
/* An undo of it was begun, and ended by force. */
bool undo_say_is_unfinished(const struct inverse *x);
/* Of what is chosen: is there anything to do; does anything stay? */
bool undo_say_has_work(const struct inverse *x);
bool undo_say_has_conflicts(const struct inverse *x);

#endif
