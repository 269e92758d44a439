/*
 * call.h - the steps of a case: a name and what does it.
 *
 * A function gets the words after the name (arg[n] is NULL) and returns what
 * the system call did: -1 with errno, else success.  What more it has to say
 * it writes to x->out.
 */
#ifndef CONFORM_CALL_H
#define CONFORM_CALL_H

#include <stddef.h>

#include "tests/conform/ctx.h"

struct call {
	const char *name;
	int least, most; /* words */
	int (*fn)(struct ctx *x, int n, char **arg);
	bool looks; /* only looks: by root, and its answer is what it says */
};

extern const struct call call_names[];	 /* by path: call_name.c */
extern const struct call call_attrs[];	 /* call_attr.c */
extern const struct call call_files[];	 /* open files: call_file.c */
extern const struct call call_xattrs[];	 /* and ACLs: call_xattr.c */
extern const struct call call_observe[]; /* call_observe.c */
extern const struct call call_data[];	 /* bytes of open files: call_data.c */
extern const struct call call_maps[];	 /* call_map.c */
extern const struct call call_locks[];	 /* call_lock.c */
extern const struct call call_dirs[];	 /* call_dir.c */
extern const struct call call_processes[]; /* call_process.c */

/* Bytes as runs: "a4096.100"; "end" for none. */
void call_say_bytes(struct ctx *x, const char *p, size_t n);

/* At the end of a case. */
void call_end_processes(void);
void call_close_maps(void);
void call_close_dirs(void);

/* A word as flags, octal mode, number, id, held descriptor; or exit(2). */
long call_flags(const char *word);
mode_t call_mode(const char *word);
long long call_number(const char *word);
uint32_t call_id(const char *word);
int *call_held(struct ctx *x, const char *word);
__attribute__((format(printf, 2, 3))) void call_say(struct ctx *x,
						    const char *format, ...);

#endif
