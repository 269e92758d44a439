/*
 * run_words.h - waits for the index in the place of the run channel's thread:
 * what people call a run is known when the index has it, and who starts one
 * meanwhile must not wait for that, too.
 *
 * Threads: one of its own does the waiting; the functions, any.
 */
#ifndef FS_RUN_WORDS_H
#define FS_RUN_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

struct run_words;

/* Returns when the index has all that was entered before. */
typedef int run_words_fn(void *ctx);

/* A byte is written to wake_fd whenever more is ready; it must not block. */
int must_use run_words_open(struct run_words **out, run_words_fn *settle,
			    void *ctx, int wake_fd);
void run_words_close(struct run_words *w); /* NULL ok */

/* Asks for all that was entered until now; answers a number for it, > 0. */
uint64_t run_words_ask(struct run_words *w);
/* Does the index have it, or will it never? */
bool run_words_ready(struct run_words *w, uint64_t number);

#endif
