/* ending.c - see ending.h. */
#include "fs/daemon/ending.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "fs/daemon/control.h"

enum { LOG_EVERY_S = 10 };
#define NS_PER_S 1000000000LL

void ending_init(struct ending *e)
{
	*e = (struct ending){ .stage = ENDING_NOT };
	mutex_init(&e->mu);
}

void ending_release(struct ending *e)
{
	mutex_destroy(&e->mu);
}

void ending_set(struct ending *e, struct core *core, struct control *control)
{
	mutex_lock(&e->mu);
	e->core = core;
	e->control = control;
	mutex_unlock(&e->mu);
}

void ending_at(struct ending *e, enum ending_stage stage)
{
	mutex_lock(&e->mu);
	if (e->stage == ENDING_NOT)
		e->since_ns = e->logged_ns = clock_mono_ns();
	e->stage = stage;
	if (stage >= ENDING_CLOSE)
		e->core = NULL;
	mutex_unlock(&e->mu);
}

static void add_size(struct buf *out, uint64_t bytes, const char *what)
{
	char size[TEXT_SIZE_SIZE];

	if (bytes == 0)
		return;
	text_size(size, bytes);
	buf_addf(out, "%s%s %s", out->n ? ", " : "", size, what);
}

static void add_count(struct buf *out, uint64_t n, const char *what)
{
	if (n > 0)
		buf_addf(out, "%s%llu %s", out->n ? ", " : "",
			 (unsigned long long)n, what);
}

/* What has not found its place yet. */
static void add_work(struct buf *out, struct core *core)
{
	struct buf work = BUF_INIT;
	struct core_status st;

	if (!core)
		return;
	core_status(core, &st);
	add_count(&work, st.dirty_files,
		  st.dirty_files == 1 ? "file to save" : "files to save");
	add_size(&work, st.dirty_bytes, "in memory");
	add_count(&work, st.queued, "changes to commit");
	add_size(&work, st.unsettled_bytes, "of the journal to settle");
	add_count(&work, st.unapplied, "changes to index");
	if (work.n > 0)
		buf_addf(out, "%s%s", out->n ? ": " : "", (char *)work.p);
	buf_release(&work);
}

static void words_locked(struct ending *e, struct buf *out)
	requires_capability(&e->mu)
{
	static const char *const stages[] = {
		[ENDING_COMMANDS] = "waiting for commands",
		[ENDING_REQUESTS] = "ending requests",
		[ENDING_RUNS] = "ending runs",
		[ENDING_SAVE] = "saving",
		[ENDING_REPLICAS] = "letting replicas catch up",
		[ENDING_CLOSE] = "closing packs and index",
	};
	struct buf busy = BUF_INIT;

	if (e->stage != ENDING_NOT)
		buf_adds(out, stages[e->stage]);
	if (e->stage == ENDING_COMMANDS && e->control) {
		control_busy(e->control, &busy);
		if (busy.n > 0)
			buf_addf(out, " (%s)", (char *)busy.p);
		buf_release(&busy);
	}
	if (e->stage == ENDING_NOT || e->stage == ENDING_RUNS ||
	    e->stage == ENDING_SAVE)
		add_work(out, e->core);
}

void ending_words(void *ctx, struct buf *out)
{
	struct ending *e = ctx;

	mutex_lock(&e->mu);
	words_locked(e, out);
	mutex_unlock(&e->mu);
}

int ending_log(struct ending *e)
{
	struct buf words = BUF_INIT;
	int64_t now = clock_mono_ns(), since = 0;
	bool due = false, began;

	mutex_lock(&e->mu);
	began = e->stage != ENDING_NOT;
	due = began && now - e->logged_ns >= LOG_EVERY_S * NS_PER_S;
	if (due) {
		e->logged_ns = now;
		since = now - e->since_ns;
		words_locked(e, &words);
	}
	mutex_unlock(&e->mu);
	if (due && words.n > 0 && !words.bad)
		log_event(LOG_WARN, "unmounting", "seconds=%lld doing=\"%.*s\"",
			  (long long)(since / NS_PER_S), (int)words.n,
			  (const char *)words.p);
	buf_release(&words);
	return began ? LOG_EVERY_S * 1000 : -1;
}
