/* ask.c - see ask.h. */
#include "mount-tools/ask.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/core.h"
#include "fs/guard_place.h"
#include "fs/serve.h"

void ask_add(struct buf *members, const char *key, const char *value)
{
	buf_addf(members, ",\"%s\":", key);
	text_json_string(members, value, strlen(value));
}

static int answer(struct json_doc **out, struct serve *s, const char *members,
		  struct errmsg *em)
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

static int open_and_ask(struct json_doc **out, const char *store,
			const char *members, struct errmsg *em)
{
	autofree char *guard = NULL;
	struct core_options o = { .store = store };
	struct errmsg closing = ERRMSG_INIT;
	struct core *c = NULL;
	struct serve *s = NULL;
	int rc = guard_place_make(&guard, em), closed;

	o.guard_dir = guard;
	if (rc == 0)
		rc = core_open(&c, &o, em);
	if (rc < 0)
		return rc;
	rc = serve_open(&s, c, NULL, em);
	if (rc == 0)
		rc = answer(out, s, members, em);
	serve_close(s);
	closed = core_close(c, &closing);
	if (rc == 0 && closed < 0)
		rc = errmsg_set(em, closed, "%s",
				errmsg_text(&closing, closed));
	return rc;
}

int ask_volume(struct json_doc **out, const struct ctl_place *place,
	       const char *members, struct errmsg *em)
{
	struct errmsg own = ERRMSG_INIT;
	int rc = ctl_call(out, place->store, members, &own);

	if (rc == -ENOTCONN)
		return open_and_ask(out, place->store, members, em);
	return rc < 0 ? errmsg_set(em, rc, "%s", errmsg_text(&own, rc)) : 0;
}
