/*
 * cmd_snapshot.c - `vouch snapshot`: gives the state of now a name, to be seen
 * in /audit/at/NAME and to restore from; lists those there are, takes one's
 * name away.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

/* --- the list --- */

struct list {
	struct buf out;
	struct idx_reader *r;
	bool json;
	unsigned n;
};

static int add_json(struct list *l, const struct idx_snapshot *v,
		    const struct idx_entry *e)
{
	struct idx_actor a;
	char time[TEXT_TIME_SIZE];
	int rc = e->actor_no ? idx_actor(l->r, &a, e->actor_no) : 0;

	text_time(time, e->wall_ns);
	buf_addf(&l->out, "%s{\"entry\":\"", l->n > 1 ? "," : "");
	print_number(&l->out, v->no);
	buf_addf(&l->out, "\",\"time\":\"%s\"", time);
	ask_add(&l->out, "name", v->name);
	if (rc > 0) {
		buf_addf(&l->out, ",\"uid\":%u,\"by\":\"", a.uid);
		print_number(&l->out, e->actor_no);
		buf_addc(&l->out, '"');
		idx_actor_release(&a);
	}
	buf_addc(&l->out, '}');
	return rc < 0 ? rc : 0;
}

static void add_text(struct list *l, const struct idx_snapshot *v,
		     const struct idx_entry *e)
{
	size_t start = l->out.n;

	print_number(&l->out, v->no);
	do
		buf_addc(&l->out, ' ');
	while (!l->out.bad && l->out.n - start < 11);
	print_time(&l->out, e->wall_ns);
	buf_adds(&l->out, "  ");
	text_term_escape(&l->out, v->name, strlen(v->name));
	buf_adds(&l->out, "  by ");
	print_actor(&l->out, l->r, e->actor_no);
	buf_addc(&l->out, '\n');
}

static int on_snapshot(void *ctx, const struct idx_snapshot *v)
{
	struct list *l = ctx;
	struct idx_entry e = { .no = 0 };
	int rc = idx_entry(l->r, &e, v->no);

	if (rc < 0)
		return rc;
	l->n++;
	if (l->json)
		return add_json(l, v, &e);
	add_text(l, v, &e);
	return 0;
}

static int list(const char *path, enum opt_format format)
{
	struct list l = { .json = format == OPT_AS_JSON };
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int rc = reader_open(&r, path, NULL, READER_INDEX, &em);

	if (rc < 0)
		return opt_fail("snapshot", rc, &em);
	l.r = r.idx;
	if (l.json)
		buf_addc(&l.out, '[');
	rc = idx_snapshots(r.idx, on_snapshot, &l);
	if (l.json)
		buf_adds(&l.out, "]\n");
	else if (rc == 0 && !l.n)
		buf_adds(&l.out, "no snapshots\n");
	reader_close(&r);
	if (rc == 0)
		rc = print_flush(&l.out);
	buf_release(&l.out);
	return rc < 0 ? opt_fail("snapshot", rc, &em) : 0;
}

/* --- taking one, or its name --- */

struct wanted {
	const char *name;
	bool removed;
	enum opt_format format;
};

static void say(const struct wanted *w, const struct ctl_place *place,
		const struct json *answer)
{
	char shown[512], dir[4096] = "";
	uint64_t seal = 0, pos = 0;

	(void)!json_get_u64(answer, "seal", &seal);
	(void)!json_get_u64(answer, "position", &pos);
	if (w->format == OPT_AS_JSON) {
		/* The daemon took the name: it is valid, and needs escapes. */
		struct buf b = BUF_INIT;
		buf_adds(&b, "{\"ok\":true");
		ask_add(&b, "name", w->name);
		printf("%s,\"entry\":\"%llu.%llu\"}\n", (char *)b.p,
		       (unsigned long long)seal, (unsigned long long)pos);
		buf_release(&b);
		return;
	}
	log_escape(shown, sizeof(shown), w->name, strlen(w->name));
	if (w->removed) {
		printf("Snapshot %s is removed, by entry %llu.%llu. What only "
		       "it showed stays for as long as the policy keeps it.\n",
		       shown, (unsigned long long)seal,
		       (unsigned long long)pos);
		return;
	}
	printf("Snapshot %s is entry %llu.%llu.\n", shown,
	       (unsigned long long)seal, (unsigned long long)pos);
	if (place->dir) {
		log_escape(dir, sizeof(dir), place->dir, strlen(place->dir));
		printf("It can be seen in %s/audit/at/%s\n", dir, shown);
	}
}

static int change(const char *path, const struct wanted *w)
{
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	struct ctl_place place;
	struct buf b = BUF_INIT;
	int rc = ctl_find_volume(&place, path, &em);

	buf_addf(&b, "\"verb\":\"snapshot%s\"", w->removed ? "-remove" : "");
	ask_add(&b, "name", w->name);
	if (rc == 0)
		rc = b.bad ? -ENOMEM :
			     ask_volume(&answer, &place, (char *)b.p, &em);
	if (rc == 0)
		say(w, &place, json_root(answer));
	buf_release(&b);
	json_free(answer);
	ctl_place_release(&place);
	if (rc == -ERR_USAGE)
		return opt_misuse("snapshot", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("snapshot", rc, &em) : 0;
}

int cmd_snapshot(int argc, char **argv)
{
	struct wanted w = { .format = OPT_AS_TEXT };
	bool listed = false;
	const struct opt options[] = {
		{ 'l', "list", OPT_FLAG, &listed, NULL,
		  "which there are, the newest last" },
		{ 0, "remove", OPT_FLAG, &w.removed, NULL,
		  "take the name away: it may be given again" },
		OPT_FORMAT(&w.format),
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 1, 2);

	if (status != OPT_GO)
		return status;
	if (listed && (w.removed || argc > 1))
		return opt_misuse("snapshot", "--list is all there is to say");
	if (listed)
		return list(argv[0], w.format);
	if (argc < 2)
		return opt_misuse("snapshot", "which name? (--list shows those "
					      "that there are)");
	w.name = argv[1];
	if (!((w.name[0] | 32) >= 'a' && (w.name[0] | 32) <= 'z') ||
	    strchr(w.name, '/'))
		return opt_misuse("snapshot",
				  "%s: a name starts with a letter "
				  "and has no /",
				  w.name);
	return change(argv[0], &w);
}
