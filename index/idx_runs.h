/*
 * idx_runs.h - what is asked about runs: which there are, and what each did.
 *
 * As in idx_query.h: a reader is used by one thread at a time, and functions
 * answer 1 found, 0 not, or a negative error, unless said otherwise.
 */
#ifndef INDEX_IDX_RUNS_H
#define INDEX_IDX_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "index/idx_query.h"

/*
 * Names of runs: letters, digits, '-', '_', '.', a letter or a digit first.
 * idx_run_name_fit makes one of any bytes by leaving out the others; "run" when
 * nothing is left.
 */
enum { RUN_NAME_MAX = 64, RUN_WORD_MAX = RUN_NAME_MAX + 12 };
bool idx_run_name_ok(const char *p, size_t n);
void idx_run_name_fit(char out[RUN_NAME_MAX + 1], const char *p, size_t n);

struct idx_run {
	uint64_t no; /* its RUN_START, or first ACTOR (implicit) */
	uint8_t id[16];
	char name[RUN_NAME_MAX + 1];
	uint32_t number; /* among the runs of that name, from 1 */
	bool implicit;
	bool changed; /* something, or set something about the volume */
	uint32_t uid, gid;
	uint64_t parent_no; /* 0: none */
	int64_t started_ns;
	uint64_t end_no; /* its RUN_END; 0: it goes on, or is implicit */
	int64_t ended_ns;
	uint8_t how;	    /* of the RUN_END, as are these */
	uint32_t status;    /* exit status or signal */
	uint64_t processes; /* how many there were, as the daemon counted */
};
typedef int idx_run_fn(void *ctx, const struct idx_run *v);

/* NAME.NUMBER, NUL-terminated. */
void idx_run_word(char out[RUN_WORD_MAX], const struct idx_run *v);

int must_use idx_run(struct idx_reader *r, struct idx_run *out, uint64_t no);
int must_use idx_run_by_id(struct idx_reader *r, struct idx_run *out,
			   const uint8_t id[16]);
/*
 * By the word a person gives: NAME.NUMBER, or NAME when it is the only one of
 * that name.  Answers how many fit; when several do, *out is the newest.
 */
int must_use idx_run_find(struct idx_reader *r, struct idx_run *out,
			  const char *word);
/* Those that began before entry `before`, newest first, at most max. */
int must_use idx_runs(struct idx_reader *r, uint64_t before, uint32_t max,
		      idx_run_fn *fn, void *ctx);
/* Explicit ones whose ids begin with these n bytes. */
int must_use idx_runs_beginning(struct idx_reader *r, const uint8_t *first,
				size_t n, idx_run_fn *fn, void *ctx);
/* Explicit ones without a RUN_END, oldest first. */
int must_use idx_runs_open(struct idx_reader *r, idx_run_fn *fn, void *ctx);

/*
 * What the processes of run `no` entered, from..until (both included),
 * ascending, at most max.  It costs what went on in the seals in which the run
 * did something, not the length of the log.
 */
int must_use idx_run_entries(struct idx_reader *r, const struct idx_run *run,
			     uint64_t from, uint64_t until, uint32_t max,
			     idx_entry_fn *fn, void *ctx);
/* The last of them so far; 0: it did nothing yet but begin. */
int must_use idx_run_last(struct idx_reader *r, const struct idx_run *run,
			  uint64_t *out);
/* Its ACTOR entries after number `after`, ascending, at most max; how many. */
int must_use idx_run_actors(struct idx_reader *r, const struct idx_run *run,
			    uint64_t after, uint32_t max, idx_no_fn *fn,
			    void *ctx);

#endif
