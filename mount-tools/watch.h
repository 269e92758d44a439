/*
 * watch.h - a long request to a volume, with a bar, and a way to end it.
 *
 * While the request runs, another thread asks how far it is (where stderr is
 * a terminal), and when this process is interrupted tells the volume to stop
 * (where the verb can be stopped): the request's own answer then says so.
 */
#ifndef MOUNT_TOOLS_WATCH_H
#define MOUNT_TOOLS_WATCH_H

#include <stdbool.h>

#include "base/auto.h"

struct ctl_place;
struct errmsg;
struct json_doc;

struct watch_options {
	const char *title; /* "scrubbing" */
	/* Verb that ends the request; NULL: an interrupt ends this process. */
	const char *stop;
	/* Title and unit by the part that is told; may be NULL. */
	const char *(*part)(const char *part, bool *out_bytes);
};

/* As ask_volume(). */
int must_use watch_ask(struct json_doc **out, const struct ctl_place *place,
		       const char *members, const struct watch_options *o,
		       struct errmsg *em);

#endif
