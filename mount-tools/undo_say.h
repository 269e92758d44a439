/*
 * undo_say.h - what an undo tells: what it did or would do, what stays, who
 * has changed that since, and when.
 */
#ifndef MOUNT_TOOLS_UNDO_SAY_H
#define MOUNT_TOOLS_UNDO_SAY_H

#include <stdbool.h>

#include "mount-tools/opt.h"

struct inverse;

struct undo_said {
	const char *word; /* of the run that is undone */
	const char *own;  /* of the undo itself; "": none */
	const char *dir;  /* the mount */
	enum opt_format format;
	bool planned; /* nothing was done yet */
	bool quiet;   /* of a text: what is not done alone */
};
void undo_say(const struct inverse *x, const struct undo_said *s);
/* On stderr: the path is none that the run changed. */
void undo_say_nothing_there(const char *path, const char *word);
bool undo_say_is_running(const struct inverse *x);
/* An undo of it was begun, and ended by force. */
bool undo_say_is_unfinished(const struct inverse *x);
/* Of what is chosen: is there anything to do; does anything stay? */
bool undo_say_has_work(const struct inverse *x);
bool undo_say_has_conflicts(const struct inverse *x);

#endif
