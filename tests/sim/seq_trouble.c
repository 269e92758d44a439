/*
 * seq_trouble.c - see seq_trouble.h.
 */
#include "tests/sim/seq_trouble.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "fs/core/core.h"
#include "tests/sim/sim_fate.h"

struct run {
	struct seq_world *w;
	struct seq_trouble *t;
	struct vol v;
	struct seq s;
};

static bool say(struct run *r, const char *what, const char *why)
{
	char words[sizeof(r->w->words)];

	snprintf(words, sizeof(words), "%s: %.250s", what, why);
	memcpy(r->w->words, words, sizeof(words));
	return false;
}

/* The tree as it is now; with `whole` it must be readable. */
static bool looks_right(struct run *r, bool whole)
{
	struct seq_found f;

	seq_look(&f, r->v.core);
	if (f.bad && !whole)
		return true; /* an error is no wrong byte */
	return seq_equal(&r->s, &f) ||
	       say(r, whole ? "afterwards" : "in trouble", r->s.words);
}

/* Turned read-only: says so, and reads. */
static bool stuck(struct run *r)
{
	struct stat st;
	int rc = core_mknod(r->v.core, &vol_cred, 1, "no", S_IFREG | 0600, 0,
			    &st);

	if (r->t->soft)
		return say(r, "read-only", "and that was no reason for it");
	if (rc >= 0)
		return say(r, "read-only", "and takes changes");
	return looks_right(r, false);
}

/* The trouble is over and the volume never gave up. */
static bool unhurt(struct run *r)
{
	int rc = core_sync(r->v.core);

	if (rc < 0)
		return say(r, "sync when it was over", err_text(rc));
	seq_synced(&r->s);
	return looks_right(r, true) && seq_world_sound(r->w, &r->v);
}

static void work(struct run *r, const unsigned *ops, unsigned n)
{
	for (unsigned i = 0; i < n && !r->s.wrong; i++)
		if (seq_possible(&r->s, ops[i]))
			(void)seq_run(&r->s, ops[i]);
		else
			r->t->meant = false;
	/* what failed has not happened and will not */
	r->s.floor.done = r->s.past.n;
}

static bool after_work(struct run *r)
{
	struct core_status st;

	if (r->s.wrong)
		return say(r, "answer", r->s.words);
	core_status(r->v.core, &st);
	r->t->stuck = st.failed != 0;
	return st.failed ? stuck(r) : looks_right(r, false);
}

/* Work to the end; false when something is wrong. */
static bool live(struct run *r, const unsigned *ops, unsigned n)
{
	struct seq_trouble *t = r->t;
	struct core_status st;
	bool ok;

	t->phase = SEQ_MOUNT;
	if (seq_world_mount(&r->v, &r->s) < 0) {
		t->struck = t->end(t, &r->v);
		return t->struck || say(r, "mount", "and nothing was wrong");
	}
	t->phase = SEQ_WORK;
	work(r, ops, n);
	ok = after_work(r);
	t->phase = SEQ_STEPS;
	for (unsigned i = 0; i < 6; i++)
		(void)core_step(r->v.core);
	ok = ok && after_work(r);
	if (!ok)
		return false;
	core_status(r->v.core, &st);
	if (t->n % 2 == 0 && !st.failed) { /* half of them: it passes */
		t->struck = t->end(t, &r->v);
		core_status(r->v.core, &st);
		return st.failed ? stuck(r) : unhurt(r);
	}
	t->phase = SEQ_UNMOUNT;
	seq_close(&r->s);
	if (vol_umount(&r->v) >= 0)
		seq_synced(&r->s);
	t->phase = SEQ_OVER;
	t->struck = t->end(t, &r->v);
	return true;
}

/* Process or power is gone. */
static void die(struct run *r)
{
	if (r->t->n / 2 % 2 == 0) {
		vio_sim_kill(r->v.sim);
		vio_sim_kill(r->v.guard);
	} else {
		uint8_t lost[1024] = { SIM_LOST };

		if (vio_sim_loose_writes(r->v.sim) > sizeof(lost))
			return;
		vio_sim_crash_as(r->v.sim, lost, 0);
		vio_sim_crash_as(r->v.guard, lost, 0);
	}
	if (r->v.core) {
		seq_close(&r->s);
		core_abandon(r->v.core);
		r->v.core = NULL;
	}
}

bool seq_trouble_run(struct seq_world *w, struct seq_trouble *t,
		     const unsigned *ops, unsigned n_ops, bool deep)
{
	struct run r = { .w = w, .t = t };
	struct seq_index *index;
	bool ok;

	t->struck = t->stuck = false;
	t->meant = true;
	w->words[0] = '\0';
	seq_world_take(w, &r.v, &r.s);
	r.s.hold = t->n % 3 == 1;
	r.s.at_once = t->n % 3 == 2;
	t->begin(t, &r.v);
	ok = live(&r, ops, n_ops);
	if (ok) {
		die(&r);
		index = seq_index_read(r.v.tmp.path);
		ok = seq_world_check(w, r.v.sim, r.v.guard, index, &r.s,
				     &r.s.floor, deep);
		seq_index_drop(index);
	} else {
		(void)t->end(t, &r.v);
	}
	seq_world_give(&r.v, &r.s);
	return ok;
}
