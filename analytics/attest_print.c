/*
 * attest_print.c - the pieces of JSON that statements are made of.
 *
 * Names and arguments are anybody's bytes: all are escaped, and what is no
 * UTF-8 comes in hex, too, within `annotations`.  Numbers of 64 bits are
 * strings, since many readers take numbers as doubles.
 */
#include <string.h>

#include "analytics/attest_int.h"
#include "analytics/imported.h"
#include "analytics/line.h"
#include "base/buf.h"
#include "base/text.h"
#include "fs/core/core.h"
#include "ledger/argv.h"
#include "ledger/entry.h"
#include "ledger/entry_import.h"
#include "ledger/entry_run.h"
#include "ledger/ledger.h"

void attest_print_volume(const struct attest *a, struct buf *out)
{
	buf_adds(out, "urn:vouchfs:volume:");
	text_hex(out, ledger_volume_id(core_ledger(a->core)), 16);
}

/* --- files --- */

static void put_digest(struct buf *out, const char *alg, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(hex, d);
	buf_addf(out, "\"%s\":\"%s\"", alg, hex);
}

static void put_item(const struct attest *a, struct buf *out,
		     const struct attest_item *i)
{
	const char *word = entry_strength_word(i->strength);
	const char *path = i->path_n ? (char *)a->paths.p + i->path : "";

	buf_adds(out, "{\"name\":");
	if (i->path_n)
		text_json_string(out, path, i->path_n);
	else
		buf_addf(out, "\"inode %llu\"", (unsigned long long)i->v.ino);
	buf_adds(out, ",\"digest\":{");
	if (i->v.has_sha256) {
		put_digest(out, "sha256", &i->v.sha256);
		buf_addc(out, ',');
	}
	put_digest(out, "vouchfsTree", &i->v.tree_root);
	buf_addf(out,
		 "},\"annotations\":{\"strength\":\"%s\",\"size\":\"%llu\","
		 "\"version\":\"%llu@%llu\",\"entry\":",
		 word ? word : "unknown", (unsigned long long)i->v.size,
		 (unsigned long long)i->v.ino,
		 (unsigned long long)i->v.version);
	line_no(out, i->v.no);
	buf_adds(out, ",\"time\":");
	line_time(out, i->v.wall_ns);
	line_bytes(out, "name_hex", path, i->path_n);
	buf_adds(out, "}}");
}

void attest_print_items(const struct attest *a, struct buf *out,
			const struct attest_items *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (i)
			buf_addc(out, ',');
		put_item(a, out, &t->v[i]);
	}
}

/* --- programs --- */

static bool put_exe(const struct attest *a, struct buf *out, const char *before)
{
	if (!a->has_actor || !a->actor.has_exe_digest)
		return false;
	buf_addf(out, "%s{\"name\":", before);
	text_json_string(out, a->actor.exe.p, a->actor.exe.n);
	buf_adds(out, ",\"digest\":{");
	put_digest(out, "sha256", &a->actor.exe_digest);
	buf_adds(out, "},\"annotations\":{\"what\":\"executable\"");
	line_bytes(out, "name_hex", a->actor.exe.p, a->actor.exe.n);
	buf_adds(out, "}}");
	return true;
}

/*
 * A claim of who started the program (run_git.h).  Whether the work tree was
 * changed is said only where that was known.
 */
static void put_git(const struct attest *a, struct buf *out, const char *before)
{
	static const uint8_t none[20];
	const uint8_t *git = none;
	const char *of = NULL, *note = NULL;
	bool dirty = false;

	if (a->has_start) {
		struct entry_run_git asked = entry_run_git(&a->start->body);

		git = a->start->body.run_start.git;
		dirty = a->start->body.run_start.dirty;
		of = entry_run_git_of_word(asked.of);
		note = entry_run_git_state_word(asked.state);
	} else if (a->has_actor) {
		git = a->actor.git;
		dirty = a->actor.dirty;
	}
	if (memcmp(git, none, sizeof(none)) == 0)
		return;
	buf_addf(out, "%s{\"name\":\"git work tree\",", before);
	buf_adds(out, "\"digest\":{\"gitCommit\":\"");
	text_hex(out, git, 20);
	buf_adds(out, "\"},\"annotations\":{\"what\":\"code\"");
	if (of)
		buf_addf(out, ",\"of\":\"%s\"", of);
	if (note)
		buf_addf(out, ",\"note\":\"%s\"", note);
	else
		buf_addf(out, ",\"dirty\":%s", dirty ? "true" : "false");
	buf_adds(out, "}}");
}

/* What it was in the volume that it came from. */
static bool put_import(const struct attest *a, struct buf *out,
		       const char *before)
{
	const struct entry_import *m;
	const char *word;

	if (!a->has_import)
		return false;
	m = &a->import->body.import;
	word = entry_strength_word(m->attribution);
	buf_addf(out, "%s{\"name\":", before);
	text_json_string(out, m->path.p, m->path.n);
	buf_adds(out, ",\"digest\":{");
	put_digest(out, "sha256", &m->sha256);
	buf_addf(out,
		 "},\"annotations\":{\"what\":\"imported\","
		 "\"trust\":\"%s\",\"writerStrength\":\"%s\","
		 "\"seal\":\"%llu\",\"volume\":\"",
		 entry_import_trust_word(m->trust), word ? word : "unknown",
		 (unsigned long long)m->seal);
	text_hex(out, m->volume, sizeof(m->volume));
	buf_adds(out, "\",\"origin\":");
	text_json_string(out, m->origin.p, m->origin.n);
	line_bytes(out, "name_hex", m->path.p, m->path.n);
	buf_adds(out, "}}");
	return true;
}

void attest_print_materials(const struct attest *a, struct buf *out)
{
	bool any = a->materials.n > 0;

	attest_print_items(a, out, &a->materials);
	any |= put_import(a, out, any ? "," : "");
	any |= put_exe(a, out, any ? "," : "");
	put_git(a, out, any ? "," : "");
}

/* As argv_pack() made them. */
static struct entry_str command_of(const struct attest *a)
{
	if (a->has_start && a->is_run)
		return a->start->body.run_start.argv;
	if (a->has_actor)
		return (struct entry_str){ a->actor.argv.p, a->actor.argv.n };
	return ENTRY_STR("");
}

void attest_print_command(const struct attest *a, struct buf *out)
{
	struct entry_str s = command_of(a);

	argv_json(out, s.p, s.n);
}

/* A key: two names must not become one where what is no UTF-8 is replaced. */
static void put_env_name(struct buf *out, const struct entry_str *s)
{
	if (text_is_utf8(s->p, s->n)) {
		text_json_string(out, s->p, s->n);
		return;
	}
	buf_adds(out, "\"hex:");
	text_hex(out, s->p, s->n);
	buf_addc(out, '"');
}

void attest_print_environment(const struct attest *a, struct buf *out)
{
	const struct entry_run_start *s =
		a->has_start ? &a->start->body.run_start : NULL;
	struct entry_env e;

	buf_addc(out, '{');
	for (unsigned i = 0; s && i < s->n; i++) {
		entry_run_env_at(&e, s, i);
		if (i)
			buf_addc(out, ',');
		put_env_name(out, &e.name);
		buf_adds(out, ":\"sha256:");
		text_hex(out, e.value.b, sizeof(e.value.b));
		buf_addc(out, '"');
	}
	buf_addc(out, '}');
}

void attest_print_name(const struct attest *a, struct buf *out)
{
	char word[RUN_WORD_MAX];
	const char *exe = a->has_actor ? a->actor.exe.p : NULL;
	const char *slash = exe ? strrchr(exe, '/') : NULL;

	if (a->is_run) {
		idx_run_word(word, &a->run);
		text_json_string(out, word, strlen(word));
		return;
	}
	exe = slash ? slash + 1 : exe;
	exe = exe && exe[0] ? exe : "unknown";
	text_json_string(out, exe, strlen(exe));
}

/* --- how sure --- */

struct reasons {
	struct buf *out;
	unsigned n;
};

static void why(struct reasons *w, const char *reason, uint64_t count,
		const char *says)
{
	buf_addf(w->out, "%s{\"reason\":\"%s\"", w->n++ ? "," : "", reason);
	if (count)
		buf_addf(w->out, ",\"count\":%llu", (unsigned long long)count);
	buf_addf(w->out, ",\"says\":\"%s\"}", says);
}

static uint64_t weaker(const struct attest_items *t, uint8_t strength)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->v[i].strength == strength;
	return n;
}

static uint64_t undigested(const struct attest_items *t)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += !t->v[i].v.has_sha256;
	return n;
}

/* What nobody can know from here, whatever was done. */
static void why_always(struct reasons *w)
{
	why(w, "opened-not-read", 0,
	    "what was opened is told; whether it was read is not known: the "
	    "page cache answers");
	why(w, "outside", 0,
	    "files outside this volume, the network and devices are not seen");
	why(w, "passed-on", 0,
	    "bytes that came through a pipe, a socket, shared memory, another "
	    "filesystem or a descriptor that was passed on are not followed");
}

static void why_files(const struct attest *a, struct reasons *w)
{
	uint64_t n;

	n = weaker(&a->subjects, ENTRY_HANDLE);
	if (n)
		why(w, "written-by-handle", n,
		    "written through a mapping or a descriptor that several "
		    "held: the writer is who had opened it");
	n = weaker(&a->subjects, ENTRY_GUESSED);
	if (n)
		why(w, "writer-guessed", n, "who wrote is a guess");
	n = weaker(&a->materials, ENTRY_ANCESTRY);
	if (n)
		why(w, "opened-by-ancestor", n,
		    "opened by a program that started the writer, before: a "
		    "descriptor may have been inherited");
	n = weaker(&a->materials, ENTRY_HANDLE) +
	    weaker(&a->materials, ENTRY_GUESSED);
	if (n)
		why(w, "opened-unsure", n, "who opened is not certain");
	n = undigested(&a->subjects) + undigested(&a->materials);
	if (n)
		why(w, "no-plain-digest", n,
		    "named by vouchfsTree alone: replaced before a plain "
		    "digest was made");
	if (a->unknown)
		why(w, "unknown-inputs", a->unknown,
		    "opened, and in no version of this log");
	if (a->hidden)
		why(w, "hidden-inputs", a->hidden,
		    "opened, and not to be read by who asked");
	if (a->subjects.left_out || a->materials.left_out)
		why(w, "cut", a->subjects.left_out + a->materials.left_out,
		    "left out here: there were too many");
}

static void why_file(const struct attest *a, struct reasons *w)
{
	if (!a->has_actor)
		why(w, "writer-unknown", 0,
		    "no program is known to have "
		    "written it");
	else if (!a->materials.n)
		why(w, "nothing-opened", 0,
		    "the writer had opened nothing in this volume that is "
		    "known: its bytes came from it, or by a way not seen");
	if (a->perhaps.n || a->perhaps.left_out)
		why(w, "opened-by-others-of-the-run",
		    a->perhaps.n + a->perhaps.left_out,
		    "opened by other programs of the same run: they may have "
		    "handed it on through a pipe");
	if (!a->has_run || a->run.implicit || !a->run.end_no)
		why(w, "others-not-in-the-log", 0,
		    "what programs opened that wrote nothing themselves is in "
		    "the log only once a declared run has ended");
	if (a->out_of_time)
		why(w, "not-all-looked-at", 0,
		    "the run is long: not all of what its other programs "
		    "opened was looked at");
}

static void why_run(const struct attest *a, struct reasons *w)
{
	if (a->run.implicit)
		why(w, "implicit-run", 0,
		    "a process group that nobody declared: where it ends is "
		    "not known");
	else if (!a->run.end_no)
		why(w, "running", 0, "the run goes on");
	else if (a->run.how == 3)
		why(w, "lost", 0,
		    "the run's wrapper was lost: how it ended "
		    "is not known");
	if (a->how[ENTRY_RUN_MARKER])
		why(w, "programs-by-marker", a->how[ENTRY_RUN_MARKER],
		    "programs said themselves that they belong to the run");
	if (a->unnamed)
		why(w, "temporary", a->unnamed,
		    "written by the run and without a name when it ended");
}

static void put_reasons(const struct attest *a, struct buf *out)
{
	struct reasons w = { .out = out };

	buf_adds(out, "\"complete\":false,\"incomplete\":[");
	why_always(&w);
	why_files(a, &w);
	if (a->is_run)
		why_run(a, &w);
	else
		why_file(a, &w);
	buf_addc(out, ']');
}

static void put_end(const struct attest *a, struct buf *out)
{
	static const char *const hows[] = { "exit", "signal", "lost" };
	const struct idx_run *run = &a->run;

	buf_adds(out, ",\"started\":");
	line_time(out, run->started_ns);
	if (!run->end_no)
		return;
	buf_adds(out, ",\"ended\":");
	line_time(out, run->ended_ns);
	buf_addf(out, ",\"how\":\"%s\",\"status\":%u,\"processes\":%llu",
		 run->how >= 1 && run->how <= 3 ? hows[run->how - 1] : "?",
		 run->status, (unsigned long long)run->processes);
}

static void put_run(const struct attest *a, struct buf *out)
{
	char word[RUN_WORD_MAX];
	unsigned n = 0;

	idx_run_word(word, &a->run);
	buf_adds(out, ",\"run\":{\"name\":");
	text_json_string(out, word, strlen(word));
	buf_adds(out, ",\"id\":\"");
	text_hex(out, a->run.id, sizeof(a->run.id));
	buf_addf(out, "\",\"declared\":%s,\"entry\":",
		 a->run.implicit ? "false" : "true");
	line_no(out, a->run.no);
	put_end(a, out);
	if (a->is_run) {
		buf_adds(out, ",\"programs\":{");
		for (unsigned i = 1; i < ATTEST_HOWS; i++)
			if (a->how[i])
				buf_addf(out, "%s\"by %s\":%llu",
					 n++ ? "," : "", entry_run_how_word(i),
					 (unsigned long long)a->how[i]);
		buf_addc(out, '}');
	}
	if (a->has_start) {
		const struct entry_run_start *s = &a->start->body.run_start;

		buf_addf(out, ",\"uid\":%u,", s->uid);
		line_text(out, "user", s->user.p, s->user.n);
		buf_addc(out, ',');
		line_text(out, "host", s->host.p, s->host.n);
		buf_addc(out, ',');
		line_text(out, "policy", s->policy.p, s->policy.n);
		buf_addf(out, ",\"environmentLeftOut\":%u",
			 entry_run_env_left(&a->start->body));
	}
	buf_addc(out, '}');
}

static void put_writer(const struct attest *a, struct buf *out)
{
	buf_adds(out, ",\"writer\":{\"entry\":");
	line_no(out, a->actor.no);
	buf_addf(out, ",\"uid\":%u,\"gid\":%u,\"pid\":%u,", a->actor.uid,
		 a->actor.gid, a->actor.tgid);
	line_text(out, "exe", a->actor.exe.p, a->actor.exe.n);
	buf_addc(out, ',');
	line_text(out, "cwd", a->actor.cwd.p, a->actor.cwd.n);
	buf_addc(out, ',');
	line_text(out, "host", a->actor.host.p, a->actor.host.n);
	buf_addc(out, '}');
}

void attest_print_details(const struct attest *a, struct buf *out)
{
	struct ledger *l = core_ledger(a->core);
	const char *origin = ledger_origin(l);
	struct entry_str command = command_of(a);

	buf_addf(out,
		 "{\"format\":\"vouchfs-statement-1\",\"about\":\"%s\","
		 "\"origin\":",
		 a->is_run ? "run" : "file");
	text_json_string(out, origin, strlen(origin));
	buf_adds(out, ",\"volume\":\"");
	text_hex(out, ledger_volume_id(l), 16);
	buf_addf(out, "\",\"mount\":%u,\"seals\":\"%llu\"", ledger_mount_no(l),
		 (unsigned long long)a->seals);
	line_bytes(out, "command_hex", command.p, command.n);
	if (a->has_actor)
		put_writer(a, out);
	if (a->has_run)
		put_run(a, out);
	if (a->has_import) {
		buf_adds(out, ",\"imported\":");
		imported_json(out, a->import);
	}
	buf_addc(out, ',');
	put_reasons(a, out);
	buf_adds(out, ",\"mayHaveBeenHandedOn\":[");
	attest_print_items(a, out, &a->perhaps);
	buf_adds(out, "]}");
}
