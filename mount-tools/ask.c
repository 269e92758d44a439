/* ask.c - see ask.h. */
#include "mount-tools/ask.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "fs/daemon/guard_place.h"
#include "fs/daemon/serve.h"
#include "mount-tools/reader.h"
#include "mount-tools/verbs.h"

/* The volume that this process has open, for ask_aside(). */
static struct {
	pthread_mutex_t mu;
	struct core *core;
	struct serve *serve;
} open_now = { .mu = PTHREAD_MUTEX_INITIALIZER };

static bool held; /* it stays open: ask_hold() */

static void set_open(struct core *c, struct serve *s)
{
	pthread_mutex_lock(&open_now.mu);
	open_now.core = c;
	open_now.serve = s;
	pthread_mutex_unlock(&open_now.mu);
}

void ask_add(struct buf *members, const char *key, const char *value)
{
	buf_addf(members, ",\"%s\":", key);
	text_json_string(members, value, strlen(value));
	if (text_is_utf8(value, strlen(value)))
		return;
	buf_addf(members, ",\"%s_hex\":\"", key);
	text_hex(members, value, strlen(value));
	buf_addc(members, '"');
}

int64_t ask_time(const char *value)
{
	struct timespec now = { 0 };
	int64_t t;

	clock_gettime(CLOCK_REALTIME, &now);
	if (text_time_parse(&t, value,
			    (int64_t)now.tv_sec * 1000000000 + now.tv_nsec) < 0)
		return 0;
	return t;
}

void ask_when(struct buf *members, const char *key, const char *value)
{
	int64_t t = ask_time(value);

	ask_add(members, key, value);
	if (t)
		buf_addf(members, ",\"%s_ns\":%lld", key, (long long)t);
}

static int answer(struct json_doc **out, struct core *c, struct serve *s,
		  const char *members, struct errmsg *em)
{
	const struct cred me = {
		.uid = geteuid(),
		.gid = getegid(),
		.pid = (uint32_t)getpid(),
	};
	struct buf b = BUF_INIT, reply = BUF_INIT, whole = BUF_INIT;
	struct json_doc *request = NULL;
	int rc;

	buf_addf(&b, "{%s}", members);
	rc = b.bad ? -ENOMEM : json_parse(&request, b.p, b.n, em);
	if (rc == 0)
		rc = verbs_ask(c, json_root(request), &me, &reply, em);
	if (rc == -ERR_USAGE && reply.n == 0)
		rc = serve_ask(s, json_root(request), &me, &reply, em);
	if (rc == 0 && out) {
		buf_addf(&whole, "{%s}", reply.n ? (char *)reply.p : "");
		rc = whole.bad ? -ENOMEM :
				 json_parse(out, whole.p, whole.n, em);
	}
	json_free(request);
	buf_release(&b);
	buf_release(&reply);
	buf_release(&whole);
	return rc;
}

static int volume_open(const char *store, bool read_only, struct errmsg *em)
{
	autofree char *guard = NULL;
	struct core_options o = { .store = store, .read_only = read_only };
	struct core *c = NULL;
	struct serve *s = NULL;
	int rc = read_only ? 0 : guard_place_make(&guard, em);

	o.guard_dir = guard;
	if (rc == 0)
		rc = core_open(&c, &o, em);
	if (rc < 0)
		return rc;
	rc = serve_open(&s, c, NULL, em);
	if (rc == 0)
		set_open(c, s);
	else
		(void)core_close(c, NULL);
	return rc;
}

static int volume_close(struct errmsg *em)
{
	struct core *c = open_now.core;
	struct serve *s = open_now.serve;
	int rc;

	set_open(NULL, NULL);
	rc = core_finish(c, em);
	serve_close(s);
	(void)core_close(c, NULL);
	return rc;
}

static int open_and_ask(struct json_doc **out, const char *store,
			bool read_only, const char *members, struct errmsg *em)
{
	struct errmsg closing = ERRMSG_INIT;
	int rc = volume_open(store, read_only, em), closed;

	if (rc < 0)
		return rc;
	rc = answer(out, open_now.core, open_now.serve, members, em);
	closed = volume_close(&closing);
	if (rc == 0 && closed < 0)
		rc = errmsg_set(em, closed, "%s",
				errmsg_text(&closing, closed));
	return rc;
}

static int ask(struct json_doc **out, const struct ctl_place *place,
	       bool read_only, const char *members, struct errmsg *em)
{
	struct errmsg own = ERRMSG_INIT;
	struct reader r;
	int rc;

	if (held)
		return answer(out, open_now.core, open_now.serve, members, em);
	rc = ctl_call(out, place->store, members, &own);
	if (rc != -ENOTCONN)
		return rc < 0 ?
			       errmsg_set(em, rc, "%s", errmsg_text(&own, rc)) :
			       0;
	rc = 0;
	if (read_only) {
		rc = reader_open(&r, place->store, NULL, READER_INDEX, em);
		if (rc == 0)
			reader_close(&r);
	}
	return rc < 0 ? rc :
			open_and_ask(out, place->store, read_only, members, em);
}

int ask_hold(const struct ctl_place *place, struct errmsg *em)
{
	struct errmsg own = ERRMSG_INIT;
	int rc = ctl_alive(place->store, &own);

	if (rc != -ENOTCONN)
		return rc < 0 ?
			       errmsg_set(em, rc, "%s", errmsg_text(&own, rc)) :
			       0;
	rc = volume_open(place->store, false, em);
	held = rc == 0;
	return rc;
}

int ask_drop(struct errmsg *em)
{
	if (!held)
		return 0;
	held = false;
	return volume_close(em);
}

int ask_aside(struct json_doc **out, const struct ctl_place *place,
	      const char *members)
{
	int rc = -ENOTCONN;

	pthread_mutex_lock(&open_now.mu);
	if (open_now.serve)
		rc = answer(out, open_now.core, open_now.serve, members, NULL);
	pthread_mutex_unlock(&open_now.mu);
	return rc != -ENOTCONN ? rc :
				 ctl_call(out, place->store, members, NULL);
}

int ask_volume(struct json_doc **out, const struct ctl_place *place,
	       const char *members, struct errmsg *em)
{
	return ask(out, place, false, members, em);
}

int ask_look(struct json_doc **out, const struct ctl_place *place,
	     const char *members, struct errmsg *em)
{
	return ask(out, place, true, members, em);
}
