/*
 * cmd_status.c - `vouch status [STORE|DIR]`: how a volume is.  A mounted one
 * is asked through its daemon; of one that is not, the log is read; a mount
 * whose daemon died is told as dead.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "base/vio.h"
#include "fs/daemon/control.h"
#include "ledger/ledger.h"
#include "ledger/volume.h"
#include "mount-tools/ctl.h"
#include "mount-tools/hint.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/status_more.h"
#include "mount-tools/vouch.h"

struct status {
	enum opt_format format;
	bool verbose;
	bool first; /* nothing printed yet */
	bool asked; /* for this one */
	int worst;  /* exit status */
};

/* --- text --------------------------------------------------------------------- */

static void line(const char *label, const char *value)
{
	struct buf b = BUF_INIT, filled = BUF_INIT;

	hint_fill(&filled, value);
	text_term_escape(&b, filled.p, filled.n);
	printf("  %-12s%s\n", label, b.n ? (const char *)b.p : "");
	buf_release(&filled);
	buf_release(&b);
}

static uint64_t number(const struct json *r, const char *key)
{
	uint64_t v = 0;

	return json_get_u64(r, key, &v) ? v : 0;
}

static void head(const char *store, const char *what)
{
	struct buf b = BUF_INIT;

	text_term_escape(&b, store, strlen(store));
	printf("%s: %s\n", b.n ? (const char *)b.p : "", what);
	buf_release(&b);
}

static void print_log(const struct json *r)
{
	char text[256];
	const char *origin = json_get_str(r, "origin");
	const char *words = json_get_str(r, "rollback_words");
	bool guarded = json_get_bool(r, "guarded", false);

	line("log", origin ? origin : "?");
	snprintf(text, sizeof(text), "%llu seal%s, checkpoint at %llu",
		 (unsigned long long)number(r, "seals"),
		 print_s(number(r, "seals")),
		 (unsigned long long)number(r, "checkpointed"));
	line("", text);
	if (words)
		line("ROLLBACK", words);
	else if (!guarded && json_get_bool(r, "read_only", false))
		line("rollback", "not looked for by a read-only mount");
	else
		line("rollback", guarded ? "guarded: an old copy is noticed" :
					   "protection: none");
}

/* What dedup and compression save over keeping every version whole. */
static void print_saved(const struct json *r)
{
	uint64_t gone = number(r, "released_bytes");
	uint64_t whole = number(r, "version_bytes");
	uint64_t stored = number(r, "stored_bytes");
	uint64_t versions = number(r, "versions"), files = number(r, "files");
	char a[TEXT_SIZE_SIZE], b[TEXT_SIZE_SIZE], text[256];

	text_size(a, whole);
	snprintf(text, sizeof(text),
		 "%llu version%s of %llu file%s, %s if each were kept whole",
		 (unsigned long long)versions, print_s(versions),
		 (unsigned long long)files, print_s(files), a);
	line("content", text);
	if (number(r, "released")) {
		snprintf(text, sizeof(text), "%llu of them released (vouch gc)",
			 (unsigned long long)number(r, "released"));
		line("", text);
	}
	/* what was released is no saving */
	whole = whole > gone ? whole - gone : 0;
	text_size(b, whole > stored ? whole - stored : 0);
	if (whole <= stored || !number(r, "chunks"))
		return; /* what is in the log's frames alone is not counted */
	snprintf(text, sizeof(text),
		 "%s (%.0f %%) saved by dedup and compression", b,
		 100.0 * (double)(whole - stored) / (double)whole);
	line("", text);
}

static void print_content(const struct json *r)
{
	char stored[TEXT_SIZE_SIZE], raw[TEXT_SIZE_SIZE], text[256];

	if (number(r, "versions"))
		print_saved(r);
	text_size(stored, number(r, "stored_bytes"));
	text_size(raw, number(r, "raw_bytes"));
	snprintf(text, sizeof(text), "%llu chunk%s of %s in %s of packs",
		 (unsigned long long)number(r, "chunks"),
		 print_s(number(r, "chunks")), raw, stored);
	line(number(r, "versions") ? "" : "content", text);
	if (number(r, "repaired") || number(r, "unrepaired")) {
		snprintf(text, sizeof(text),
			 "%llu chunk%s repaired, %llu damaged everywhere",
			 (unsigned long long)number(r, "repaired"),
			 print_s(number(r, "repaired")),
			 (unsigned long long)number(r, "unrepaired"));
		line("", text);
	}
}

static void print_pending(const struct json *r)
{
	char dirty[TEXT_SIZE_SIZE], text[256];
	uint64_t queued = number(r, "queued");

	text_size(dirty, number(r, "dirty_bytes"));
	snprintf(text, sizeof(text),
		 "%s not in a version, %llu %s queued, %llu not in the index",
		 dirty, (unsigned long long)queued,
		 queued == 1 ? "entry" : "entries",
		 (unsigned long long)number(r, "unapplied"));
	line("pending", text);
}

/* Which requests the kernel made since the mount. */
static void print_requests(const struct json *r)
{
	const struct json *all = json_get(r, "requests");
	char text[64];

	for (const struct json *m = all ? all->first : NULL; m; m = m->next) {
		snprintf(text, sizeof(text), "%10llu %s",
			 (unsigned long long)number(all, m->key), m->key);
		line(m == all->first ? "requests" : "", text);
	}
}

/* Good is said only of a store of which nothing else is known. */
static void print_health(const struct json *r)
{
	uint64_t lost = number(r, "unrepaired");
	uint64_t missing = number(r, "packs_missing");
	char text[256];

	if (lost > 0) {
		snprintf(text, sizeof(text),
			 "%llu chunk%s no good copy anywhere: `vouch verify "
			 "--deep STORE` says which",
			 (unsigned long long)lost,
			 lost == 1 ? " has" : "s have");
		line("DAMAGED", text);
	}
	if (missing > 0) {
		snprintf(text, sizeof(text),
			 "%llu pack%s missing, or never made: unmounted, "
			 "`vouch fsck STORE` says what is lost",
			 (unsigned long long)missing,
			 missing == 1 ? " is" : "s are");
		line(lost ? "" : "UNSURE", text);
	}
	if (lost == 0 && missing == 0)
		line("health", "good");
}

static void print_undos(const struct json *r)
{
	const struct json *list = json_get(r, "undo_unfinished");
	const char *dir = json_get_str(r, "dir");
	char text[PATH_MAX + 256];

	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		struct buf in = BUF_INIT;

		if (dir)
			hint_in(&in, dir);
		snprintf(text, sizeof(text),
			 "begun for %s and not finished: `vouch undo %s%s` "
			 "goes on",
			 json_str(v) ? json_str(v) : "?",
			 json_str(v) ? json_str(v) : "?",
			 in.n ? (char *)in.p : "");
		buf_release(&in);
		line("undo", text);
	}
}

static void print_mounted(const struct json *r, const char *store)
{
	char when[TEXT_TIME_SIZE] = "?", text[512];
	const char *dir = json_get_str(r, "dir");
	const char *words = json_get_str(r, "failed_words");
	int64_t ns = 0, failed = 0;

	if (json_get_i64(r, "mounted_ns", &ns))
		text_time(when, ns);
	when[19] = '\0'; /* whole seconds */
	(void)json_get_i64(r, "failed", &failed);
	line("mounted on", dir ? dir : "?");
	snprintf(text, sizeof(text), "%sZ, process %llu, %llu open file%s%s",
		 when, (unsigned long long)number(r, "pid"),
		 (unsigned long long)number(r, "open_handles"),
		 print_s(number(r, "open_handles")),
		 json_get_bool(r, "read_only", false) ? ", read-only" : "");
	line("since", text);
	print_log(r);
	print_content(r);
	status_print_replicas(store);
	print_pending(r);
	print_undos(r);
	if (failed < 0) {
		line("FAILED", words && *words ? words : err_text((int)failed));
		line("", "writes are refused until it is mounted again");
	} else {
		print_health(r);
	}
}

/* --- JSON ------------------------------------------------------------------------ */

/* A parsed value as it was. */
static void put_value(struct buf *out, const struct json *v)
{
	static const char *const words[] = { "null", "false", "true" };
	bool array = v->type == JSON_ARRAY;

	if (v->type <= JSON_TRUE) {
		buf_adds(out, words[v->type]);
	} else if (v->type == JSON_NUMBER) {
		buf_add(out, v->text, v->len);
	} else if (v->type == JSON_STRING) {
		text_json_string(out, v->text, v->len);
	} else {
		buf_addc(out, array ? '[' : '{');
		for (const struct json *m = v->first; m; m = m->next) {
			if (m->key) {
				text_json_string(out, m->key, strlen(m->key));
				buf_addc(out, ':');
			}
			put_value(out, m);
			if (m->next)
				buf_addc(out, ',');
		}
		buf_addc(out, array ? ']' : '}');
	}
}

/* One object a line; state first, the rest as it came. */
static void print_json(const char *state, const char *store, const char *dir,
		       const struct json *r, const char *error)
{
	struct buf b = BUF_INIT;

	control_add_str(&b, "state", state);
	if (!json_get(r, "store"))
		control_add_str(&b, "store", store);
	if (dir && !json_get(r, "dir"))
		control_add_str(&b, "dir", dir);
	if (error)
		control_add_str(&b, "error", error);
	for (const struct json *m = r ? r->first : NULL; m; m = m->next) {
		if (strcmp(m->key, "ok") == 0)
			continue;
		buf_addc(&b, ',');
		text_json_string(&b, m->key, strlen(m->key));
		buf_addc(&b, ':');
		put_value(&b, m);
	}
	if (!b.bad)
		printf("{%s}\n", (const char *)b.p);
	buf_release(&b);
}

/* --- each kind of volume ------------------------------------------------------------ */

static void show_dead(struct status *s, const char *store, const char *dir)
{
	s->worst = 1;
	if (s->format == OPT_AS_JSON) {
		print_json("dead", store, dir, NULL, "the daemon is gone");
		return;
	}
	head(store, "its daemon is gone");
	line("mounted on", dir);
	line("", "`vouch umount STORE`, then mount it again: what was synced "
		 "is safe");
}

/* A mount of somebody else's: that much anybody can see. */
static void show_theirs(struct status *s, const char *store, const char *dir,
			const struct errmsg *em)
{
	if (s->asked)
		s->worst = 1;
	if (s->format == OPT_AS_JSON) {
		print_json("mounted", store, dir, NULL, errmsg_text(em, 0));
		return;
	}
	head(store, "mounted");
	line("mounted on", dir);
	line("", s->asked ? errmsg_text(em, 0) :
			    "more is told to root and to its owner");
}

static int show_mounted(struct status *s, const char *store, const char *dir,
			struct errmsg *em)
{
	struct json_doc *doc = NULL;
	int rc;

	hint_store(store); /* one of several */
	rc = ctl_call_brief(&doc, store, "\"verb\":\"status\"", em);

	if (rc == -ENOTCONN || rc == -ENOENT) {
		show_dead(s, store, dir);
		return 0;
	}
	if (rc == -EACCES || rc == -EPERM) {
		show_theirs(s, store, dir, em);
		return 0;
	}
	if (rc < 0)
		return rc;
	const struct json *r = json_root(doc);
	int64_t failed = 0;
	if (json_get_i64(r, "failed", &failed) && failed < 0)
		s->worst = 1;
	if (s->format == OPT_AS_JSON) {
		print_json("mounted", store, dir, r, NULL);
	} else {
		head(store, "mounted");
		print_mounted(r, store);
		if (s->verbose)
			print_requests(r);
	}
	json_free(doc);
	return 0;
}

/* Its log, as a JSON text. */
static int read_log(struct buf *out, const char *store, struct errmsg *em)
{
	struct ledger_options o = { .read_only = true };
	struct ledger *l = NULL;
	struct volume volume;
	int rc = vio_posix_open(&o.vio, store);

	if (rc == 0)
		rc = volume_read(&volume, o.vio, em);
	if (rc == 0)
		rc = ledger_open(&l, &o, em);
	if (rc == 0) {
		control_add_str(out, "origin", ledger_origin(l));
		control_add_bool(out, "guarded", volume.guarded);
		status_add_guard(out, l, &volume, o.vio);
		control_add_u64(out, "seals", ledger_size(l));
		control_add_u64(out, "checkpointed", ledger_checkpointed(l));
		control_add_u64(out, "unsettled_bytes", ledger_unsettled(l));
	}
	ledger_close(l);
	vio_free(o.vio);
	return rc;
}

static int show_unmounted(struct status *s, const char *store,
			  struct errmsg *em)
{
	struct buf members = BUF_INIT, text = BUF_INIT;
	struct json_doc *doc = NULL;
	int rc;

	hint_store(store);
	rc = read_log(&members, store, em);

	if (rc == 0) {
		buf_addf(&text, "{%s}", (const char *)members.p);
		rc = text.bad ? -ENOMEM : json_parse(&doc, text.p, text.n, em);
	}
	if (rc == 0 && s->format == OPT_AS_JSON) {
		print_json("unmounted", store, NULL, json_root(doc), NULL);
	} else if (rc == 0) {
		head(store, "not mounted");
		print_log(json_root(doc));
	}
	json_free(doc);
	buf_release(&members);
	buf_release(&text);
	return rc;
}

static int show_each(void *ctx, const char *store, const char *dir)
{
	struct status *s = ctx;
	struct errmsg em = ERRMSG_INIT;

	if (!s->first && s->format == OPT_AS_TEXT)
		printf("\n");
	s->first = false;
	int rc = show_mounted(s, store, dir, &em);
	if (rc < 0)
		s->worst = opt_fail("status", rc, &em);
	return 0;
}

static int show_all(struct status *s)
{
	int rc = ctl_each_mount(show_each, s);

	if (rc < 0)
		return opt_fail("status", rc, NULL);
	if (s->first && s->format == OPT_AS_TEXT)
		printf("no vouchfs volume is mounted\n");
	return s->worst;
}

static int show_path(struct status *s, const char *path)
{
	struct errmsg em = ERRMSG_INIT;
	struct ctl_place p;
	int rc = ctl_find_volume(&p, path, &em);

	s->asked = true;

	if (rc == 0)
		rc = p.dir ? show_mounted(s, p.store, p.dir, &em) :
			     show_unmounted(s, p.store, &em);
	ctl_place_release(&p);
	return rc < 0 ? opt_fail("status", rc, &em) : s->worst;
}

int cmd_status(int argc, char **argv)
{
	struct status s = { .format = OPT_AS_TEXT, .first = true };
	const struct opt options[] = {
		{ 'v', "verbose", OPT_FLAG, &s.verbose, NULL,
		  "how many requests of which kind, too" },
		OPT_FORMAT(&s.format),
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 0, 1);

	if (status != OPT_GO)
		return status;
	return argc == 0 ? show_all(&s) : show_path(&s, argv[0]);
}
