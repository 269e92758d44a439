/*
 * serve_run.h - the verbs of one connection to the run channel
 * (run_channel.h), on which `vouch run` declares one run:
 *
 *   run-start {run, name, argv, cwd, user, policy?, limit?, cgroup?, env,
 *              env_left?, git?, dirty?, git_of?, git_state?}
 *             run: 32 hex digits; argv (ledger/argv.h form), cwd and user in
 *             hex; env: {"NAME in hex": "SHA-256 of the value"}, ascending
 *   run-end   {how: "exit" | "signal", status, left?, word?} -> processes,
 *             and with word: NAME.NUMBER, when the index has it, and
 *             virtual: the mount's option, if it has one
 *
 *   run-word  {run}, alone on a connection -> word and virtual, as above, of
 *             a run that was declared, if the index has one of that id
 *
 * A run belongs to the user who connected, as the kernel says.  When the
 * connection goes without run-end, it has ended as lost.
 *
 * Threads: a connection is used by one thread at a time.
 */
#ifndef FS_SERVE_RUN_H
#define FS_SERVE_RUN_H

#include <stdbool.h>

#include "base/auto.h"

struct buf;
struct core;
struct errmsg;
struct json;
struct run_ends;
struct run_peer;
struct serve_run;

int must_use serve_run_open(struct serve_run **out, struct core *core,
			    struct run_ends *ends, const struct run_peer *peer);
/* Ends as lost what did not end; NULL is a no-op. */
void serve_run_close(struct serve_run *s);
/* Answers one request, but for what a run-end answers. */
int must_use serve_run_ask(struct serve_run *s, const struct json *request,
			   struct errmsg *em);
/*
 * Was the last request a run-end whose answer is still to come?  Then, once
 * the run has ended: true, and the answer, with members as for
 * control.h.
 */
bool serve_run_is_ending(const struct serve_run *s);
bool must_use serve_run_ended(struct serve_run *s, int *out_rc, struct buf *out,
			      struct errmsg *em);
/*
 * Did the last request, a run-end, ask for the word?  The index tells it; once
 * that is there, it is added to the members of the answer.
 */
bool serve_run_wants_word(const struct serve_run *s);
void serve_run_add_word(struct serve_run *s, struct buf *out);
/* No run was declared yet; one goes on. */
bool serve_run_is_new(const struct serve_run *s);
bool serve_run_goes(const struct serve_run *s);

#endif
