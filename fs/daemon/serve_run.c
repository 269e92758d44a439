/*
 * serve_run.c - see serve_run.h.
 *
 *   NEW -> run-start -> GOING -> run-end, or closed -> ENDING -> DONE
 */
#include "fs/daemon/serve_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"
#include "fs/daemon/run_ends.h"
#include "fs/run/run.h"
#include "fs/run/run_of.h"
#include "fs/run/run_peer.h"
#include "index/idx.h"
#include "index/idx_runs.h"

enum { ENV_MAX = 1024 };

struct serve_run {
	struct core *core;
	struct run_ends *ends;
	struct run_peer peer;
	struct run_going *going;   /* GOING */
	struct run_ending *ending; /* until it is begun: of the next run */
	bool is_ending;		   /* its answer is still to come */
	uint8_t id[RUN_ID_SIZE];
	bool used;	 /* no longer NEW */
	bool wants_word; /* by the last request */
};

int serve_run_open(struct serve_run **out, struct core *core,
		   struct run_ends *ends, const struct run_peer *peer)
{
	struct serve_run *s = calloc(1, sizeof(*s));

	if (s)
		s->ending = run_ending_new();
	if (!s || !s->ending) {
		free(s);
		return -ENOMEM;
	}
	s->core = core;
	s->ends = ends;
	s->peer = *peer;
	*out = s;
	return 0;
}

void serve_run_close(struct serve_run *s)
{
	const struct run_ended lost = { .how = RUN_END_LOST };

	if (!s)
		return;
	if (s->going) {
		log_event(LOG_WARN, "run_lost", "wrapper=%u uid=%u",
			  s->peer.cr.pid, s->peer.cr.uid);
		run_ending_begin(s->ends, s->ending, take(s->going), &lost);
	}
	run_ending_leave(s->ends, s->ending);
	free(s);
}

/* A member's bytes, from hex, appended to all; what is not there is empty. */
static int get_bytes(struct buf *all, size_t *out_n, const struct json *request,
		     const char *key, struct errmsg *em)
{
	const char *hex = json_get_str(request, key);
	size_t before = all->n;
	int rc = hex ? text_hex_decode(all, hex, strlen(hex)) : 0;

	*out_n = all->n - before;
	if (rc == 0 && *out_n > 0 && memchr(all->p + before, 0, *out_n))
		rc = -ERR_FORMAT;
	return rc < 0 ? errmsg_set(em, -ERR_USAGE, "run-start: %s is no hex",
				   key) :
			0;
}

/* The names' bytes follow each other in all; v gets lengths and digests. */
static int get_env(struct buf *all, struct entry_env *v, uint16_t *out_n,
		   const struct json *request, struct errmsg *em)
{
	const struct json *env = json_get(request, "env");
	int rc = 0;

	for (const struct json *m = env ? env->first : NULL; m && rc == 0;
	     m = m->next) {
		struct entry_env *e = &v[*out_n];
		const char *sha = json_str(m);
		size_t before = all->n;

		if (*out_n == ENV_MAX)
			return errmsg_set(em, -ERR_LIMIT,
					  "run-start: too large an "
					  "environment");
		rc = m->key ? text_hex_decode(all, m->key, strlen(m->key)) :
			      -ERR_FORMAT;
		if (rc == 0)
			rc = sha ? digest_from_hex(&e->value, sha,
						   strlen(sha)) :
				   -ERR_FORMAT;
		e->name.n = all->n - before;
		if (rc == 0 &&
		    (e->name.n == 0 || memchr(all->p + before, 0, e->name.n)))
			rc = -ERR_FORMAT;
		++*out_n;
	}
	return rc < 0 ? errmsg_set(em, -ERR_USAGE,
				   "run-start: env is no list of names and "
				   "digests") :
			0;
}

struct said {
	struct run_said s;
	struct buf all; /* what its strings point to */
	struct entry_env env[ENV_MAX];
};

static void point(struct entry_str *out, const struct buf *all, size_t *at)
{
	out->p = (const char *)all->p + *at;
	*at += out->n;
}

/* What git says of the program; as much a claim as the rest. */
static int get_git(struct run_said *s, const struct json *request,
		   struct errmsg *em)
{
	const char *hex = json_get_str(request, "git");
	struct buf autocall(buf_release) id = BUF_INIT;
	uint64_t of = 0, state = 0;
	int rc = hex ? text_hex_decode(&id, hex, strlen(hex)) : 0;

	(void)!json_get_u64(request, "git_of", &of);
	(void)!json_get_u64(request, "git_state", &state);
	if (rc < 0 || (hex && id.n != sizeof(s->git)) || state > UINT8_MAX ||
	    (of && (of > UINT8_MAX || !entry_run_git_of_word((unsigned)of))))
		return errmsg_set(em, -ERR_USAGE,
				  "run-start: git is no commit");
	if (hex)
		memcpy(s->git, id.p, sizeof(s->git));
	s->dirty = json_get_bool(request, "dirty", false);
	s->git_of = (struct entry_run_git){ (uint8_t)of, (uint8_t)state };
	return 0;
}

static int get_said(struct said *x, const struct json *request,
		    struct errmsg *em)
{
	const char *id = json_get_str(request, "run");
	uint64_t left = 0;
	size_t at = 0;
	int rc = 0;

	if (!id || strlen(id) != RUN_ID_HEX || !run_of_hex(x->s.id, id))
		return errmsg_set(em, -ERR_USAGE, "run-start: no id");
	x->s.name = json_get_str(request, "name");
	if (!x->s.name)
		return errmsg_set(em, -ERR_USAGE, "run-start: no name");
	x->s.own_cgroup = json_get_bool(request, "cgroup", false);
	(void)!json_get_u64(request, "limit", &x->s.limit);
	(void)!json_get_u64(request, "env_left", &left);
	x->s.env_left = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	rc = get_bytes(&x->all, &x->s.argv.n, request, "argv", em);
	if (rc == 0)
		rc = get_bytes(&x->all, &x->s.cwd.n, request, "cwd", em);
	if (rc == 0)
		rc = get_bytes(&x->all, &x->s.user.n, request, "user", em);
	if (rc == 0)
		rc = get_bytes(&x->all, &x->s.policy.n, request, "policy", em);
	if (rc == 0)
		rc = get_git(&x->s, request, em);
	if (rc == 0)
		rc = get_env(&x->all, x->env, &x->s.n_env, request, em);
	if (rc == 0 && x->all.bad)
		rc = -ENOMEM;
	if (rc < 0)
		return rc;
	point(&x->s.argv, &x->all, &at);
	point(&x->s.cwd, &x->all, &at);
	point(&x->s.user, &x->all, &at);
	point(&x->s.policy, &x->all, &at);
	for (unsigned i = 0; i < x->s.n_env; i++)
		point(&x->env[i].name, &x->all, &at);
	x->s.env = x->env;
	return 0;
}

static int verb_start(struct serve_run *s, const struct json *request,
		      struct errmsg *em)
{
	struct said *x = NULL;
	int rc;

	if (s->used)
		return errmsg_set(em, -ERR_USAGE,
				  "a connection is for one run");
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	rc = get_said(x, request, em);
	if (rc == 0)
		rc = run_start(s->core, &s->peer, &s->going, &x->s, em);
	s->used = rc == 0;
	if (rc == 0)
		memcpy(s->id, x->s.id, sizeof(s->id));
	buf_release(&x->all);
	free(x);
	return rc;
}

static int verb_end(struct serve_run *s, const struct json *request,
		    struct errmsg *em)
{
	const char *how = json_get_str(request, "how");
	struct run_ended e = { .how = RUN_END_EXIT };
	uint64_t status = 0;

	if (!s->going)
		return errmsg_set(em, -ERR_USAGE, "no run is going on here");
	if (!how || !json_get_u64(request, "status", &status) ||
	    status > UINT32_MAX)
		return errmsg_set(em, -ERR_USAGE, "run-end: no status");
	if (strcmp(how, "signal") == 0)
		e.how = RUN_END_SIGNAL;
	else if (strcmp(how, "exit") != 0)
		return errmsg_set(em, -ERR_USAGE, "run-end: how is wrong");
	e.status = (uint32_t)status;
	e.left = json_get_bool(request, "left", false);
	run_ending_begin(s->ends, s->ending, take(s->going), &e);
	s->is_ending = true;
	s->wants_word = json_get_bool(request, "word", false);
	return 0;
}

/* Whoever knows an id was told it, or made it. */
static int verb_word(struct serve_run *s, const struct json *request,
		     struct errmsg *em)
{
	const char *id = json_get_str(request, "run");

	if (s->used || !id || strlen(id) != RUN_ID_HEX ||
	    !run_of_hex(s->id, id))
		return errmsg_set(em, -ERR_USAGE, "run-word: no id");
	s->used = s->wants_word = true;
	return 0;
}

bool serve_run_is_ending(const struct serve_run *s)
{
	return s->is_ending;
}

bool serve_run_ended(struct serve_run *s, int *out_rc, struct buf *out,
		     struct errmsg *em)
{
	uint64_t processes = 0;
	int rc = 0;

	if (!run_ending_done(s->ends, s->ending, &rc, &processes))
		return false;
	s->is_ending = false;
	*out_rc = rc < 0 ? errmsg_set(em, rc, "the end of the run: %s",
				      err_text(rc)) :
			   0;
	if (rc >= 0)
		control_add_u64(out, "processes", processes);
	return true;
}

int serve_run_ask(struct serve_run *s, const struct json *request,
		  struct errmsg *em)
{
	const char *verb = json_get_str(request, "verb");

	s->wants_word = false;
	if (verb && strcmp(verb, "run-start") == 0)
		return verb_start(s, request, em);
	if (verb && strcmp(verb, "run-end") == 0)
		return verb_end(s, request, em);
	if (verb && strcmp(verb, "run-word") == 0)
		return verb_word(s, request, em);
	return errmsg_set(em, -ERR_USAGE, "unknown verb");
}

bool serve_run_wants_word(const struct serve_run *s)
{
	return s->wants_word;
}

void serve_run_add_word(struct serve_run *s, struct buf *out)
{
	struct idx_reader *r = NULL;
	struct idx_run run;
	const char *virtual = core_options_of(s->core)->virtual_name;
	char word[RUN_WORD_MAX];
	int rc = core_reader_take(s->core, &r);

	if (rc >= 0)
		rc = idx_run_by_id(r, &run, s->id);
	core_reader_give(s->core, r);
	if (rc > 0) { /* the end is entered in any case */
		idx_run_word(word, &run);
		control_add_str(out, "word", word);
		if (virtual)
			control_add_str(out, "virtual", virtual);
	}
}

bool serve_run_is_new(const struct serve_run *s)
{
	return !s->used;
}

bool serve_run_goes(const struct serve_run *s)
{
	return s->going != NULL;
}
