/*
 * proof_text.c - a checked proof, in words and as JSON.
 *
 * Invariant: every string that came out of the proof is escaped for where it
 * goes.  Words never claim more than was checked.
 *
 * Pure; any thread.
 */
#include "ledger/proof_text.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "ledger/argv.h"
#include "ledger/proof.h"

static void hex(struct buf *out, const struct digest *d)
{
	text_hex(out, d->b, sizeof(d->b));
}

static void field(struct buf *out, const char *name)
{
	buf_addf(out, "%-12s", name);
}

static void term(struct buf *out, const struct entry_str *s)
{
	if (s->n != 0)
		text_term_escape(out, s->p, s->n);
}

static void time_words(struct buf *out, int64_t ns)
{
	char t[TEXT_TIME_SIZE];

	text_time(t, ns);
	buf_adds(out, t);
}

/* Witnesses are trusted, their numbers are not. */
static int64_t cosigned_ns(const struct proof_report *r)
{
	uint64_t last = INT64_MAX / 1000000000;

	return (int64_t)(r->cosigned_unix < last ? r->cosigned_unix : last) *
	       1000000000;
}

/* --- words --- */

static void what(struct buf *out, const struct proof_report *r,
		 const char *file)
{
	if (file != NULL) {
		field(out, "file");
		text_term_escape(out, file, strlen(file));
		buf_adds(out, ": is what was recorded\n");
	}
	field(out, "what");
	term(out, &r->path);
	buf_addf(out, "%sversion %llu, %llu bytes\n",
		 r->path.n == 0 ? "" : ", ",
		 (unsigned long long)r->version_core.version,
		 (unsigned long long)r->version.size);
	field(out, "");
	buf_adds(out, "SHA-256 ");
	hex(out, &r->sha256);
	buf_addc(out, '\n');
	if (!r->via_digest)
		return;
	field(out, "");
	buf_adds(out, "the SHA-256 was recorded later, at ");
	time_words(out, r->digest_wall_ns);
	buf_addc(out, '\n');
}

static void who(struct buf *out, const struct proof_report *r)
{
	const struct entry_actor *a = &r->actor;

	field(out, "who");
	if (!r->has_actor) {
		buf_adds(out, "the writing process is not in this proof\n");
	} else {
		buf_addf(out, "user %u, group %u, process %u", a->uid, a->gid,
			 a->tgid);
		if (a->host.n != 0) {
			buf_adds(out, " on ");
			term(out, &a->host);
		}
		buf_addc(out, '\n');
		field(out, "");
		buf_adds(out, "ran ");
		argv_text(out, a->argv.p, a->argv.n);
		if (a->cwd.n != 0) {
			buf_adds(out, " in ");
			term(out, &a->cwd);
		}
		buf_addc(out, '\n');
		if (a->exe.n != 0) {
			field(out, "");
			buf_adds(out, "program ");
			term(out, &a->exe);
			if (!digest_is_zero(&a->exe_digest)) {
				buf_adds(out, ", SHA-256 ");
				hex(out, &a->exe_digest);
			}
			buf_addc(out, '\n');
		}
	}
	field(out, "");
	buf_addf(out, "writer known: %s\n",
		 entry_strength_word(r->version.attribution));
	field(out, "signed by");
	buf_addf(out, "mount %u of volume ", r->seal.mount_no);
	text_hex(out, r->seal.volume_id, sizeof(r->seal.volume_id));
	buf_adds(out, r->admin_vouched ?
			      "\n            its key is certified by a "
			      "trusted admin key\n" :
			      "\n            author vouched for by the log "
			      "only\n");
}

static void when(struct buf *out, const struct proof_report *r)
{
	field(out, "when");
	time_words(out, r->version_core.wall_ns);
	buf_adds(out, " by the mount's clock: a claim");
	if (r->seal.flags & SEAL_CLOCK_UNSYNCED)
		buf_adds(out, " (clock was not synchronised)");
	if (r->seal.flags & SEAL_CLOCK_BACK)
		buf_adds(out, " (clock had gone back)");
	buf_addc(out, '\n');
	field(out, "");
	buf_addf(out, "entry %llu.%u of a log of %llu, ",
		 (unsigned long long)r->seal_index, r->position,
		 (unsigned long long)r->checkpoint.size);
	text_term_escape(out, r->checkpoint.origin,
			 strlen(r->checkpoint.origin));
	buf_adds(out, "\n");
	field(out, "");
	if (r->n_cosigned == 0) {
		buf_adds(out, "not after: no trusted witness has cosigned\n");
	} else {
		buf_adds(out, "not after ");
		time_words(out, cosigned_ns(r));
		buf_addf(out, ": %u trusted witness%s cosigned\n",
			 r->n_cosigned, r->n_cosigned == 1 ? "" : "es");
	}
}

static void from(struct buf *out, const struct proof_report *r)
{
	field(out, "from what");
	if (!(r->version.flags & ENTRY_VERSION_READS)) {
		buf_adds(out, "nothing of this volume was opened before\n");
		return;
	}
	buf_addf(out, "%u opened before by the writer%s\n",
		 r->n_inputs + r->n_inputs_left_out,
		 r->reads_complete ? "" : ", earlier ones not in this proof");
	for (unsigned i = 0; i < r->n_inputs; i++) {
		const struct proof_input *in = &r->inputs[i];

		field(out, "");
		if (in->path.n != 0)
			term(out, &in->path);
		else
			buf_adds(out, "a version");
		buf_adds(out, in->has_sha256 ? ", SHA-256 " : ", entry ");
		hex(out, in->has_sha256 ? &in->sha256 : &in->version);
		buf_addf(out, ", known: %s\n",
			 entry_strength_word(in->strength));
	}
}

void proof_text(struct buf *out, const struct proof_report *r, const char *file)
{
	what(out, r, file);
	who(out, r);
	when(out, r);
	from(out, r);
	field(out, "how sure");
	buf_adds(out, "content, author and order in the log: certain, as far "
		      "as the trusted keys\n            were not stolen; "
		      "durability: ");
	buf_adds(out, r->n_cosigned == 0 ? "checkpointed" : "witnessed");
	buf_adds(out, "\n            not proven: that this is the latest "
		      "version, or that the writer opened\n            nothing "
		      "else\n");
}

/* --- JSON --- */

static void j_str(struct buf *out, const char *name, const struct entry_str *s)
{
	buf_addf(out, ",\"%s\":", name);
	text_json_string(out, s->n == 0 ? "" : s->p, s->n);
}

static void j_hex(struct buf *out, const char *name, const struct digest *d)
{
	buf_addf(out, ",\"%s\":\"", name);
	hex(out, d);
	buf_addc(out, '"');
}

static void j_actor(struct buf *out, const struct entry_actor *a)
{
	buf_addf(out, ",\"actor\":{\"uid\":%u,\"gid\":%u,\"pid\":%u", a->uid,
		 a->gid, a->tgid);
	j_str(out, "exe", &a->exe);
	if (!digest_is_zero(&a->exe_digest))
		j_hex(out, "exe_sha256", &a->exe_digest);
	buf_adds(out, ",\"argv\":");
	argv_json(out, a->argv.p, a->argv.n);
	j_str(out, "cwd", &a->cwd);
	j_str(out, "host", &a->host);
	buf_addc(out, '}');
}

static void j_inputs(struct buf *out, const struct proof_report *r)
{
	buf_adds(out, ",\"inputs\":[");
	for (unsigned i = 0; i < r->n_inputs; i++) {
		const struct proof_input *in = &r->inputs[i];

		buf_addf(out, "%s{\"strength\":\"%s\"", i == 0 ? "" : ",",
			 entry_strength_word(in->strength));
		j_hex(out, "version", &in->version);
		if (in->path.n != 0)
			j_str(out, "path", &in->path);
		if (in->has_sha256)
			j_hex(out, "sha256", &in->sha256);
		buf_addc(out, '}');
	}
	buf_addf(out, "],\"inputs_complete\":%s",
		 r->reads_complete && r->n_inputs_left_out == 0 ? "true" :
								  "false");
}

void proof_text_json(struct buf *out, const struct proof_report *r,
		     const char *file)
{
	char t[TEXT_TIME_SIZE];

	buf_adds(out, "{\"ok\":true");
	if (file != NULL) {
		buf_adds(out, ",\"file\":");
		text_json_string(out, file, strlen(file));
	}
	j_str(out, "path", &r->path);
	buf_addf(out, ",\"version\":%llu,\"size\":%llu",
		 (unsigned long long)r->version_core.version,
		 (unsigned long long)r->version.size);
	j_hex(out, "sha256", &r->sha256);
	text_time(t, r->version_core.wall_ns);
	buf_addf(out, ",\"time_claimed\":\"%s\"", t);
	buf_addf(out, ",\"entry\":\"%llu.%u\",\"log_size\":%llu",
		 (unsigned long long)r->seal_index, r->position,
		 (unsigned long long)r->checkpoint.size);
	buf_adds(out, ",\"origin\":");
	text_json_string(out, r->checkpoint.origin,
			 strlen(r->checkpoint.origin));
	buf_addf(out, ",\"mount\":%u,\"volume\":\"", r->seal.mount_no);
	text_hex(out, r->seal.volume_id, sizeof(r->seal.volume_id));
	buf_addf(out, "\",\"admin_vouched\":%s,\"attribution\":\"%s\"",
		 r->admin_vouched ? "true" : "false",
		 entry_strength_word(r->version.attribution));
	if (r->n_cosigned > 0) {
		text_time(t, cosigned_ns(r));
		buf_addf(out, ",\"witnesses\":%u,\"not_after\":\"%s\"",
			 r->n_cosigned, t);
	}
	if (r->has_actor)
		j_actor(out, &r->actor);
	j_inputs(out, r);
	buf_addf(out, ",\"durability\":\"%s\"}\n",
		 r->n_cosigned > 0 ? "witnessed" : "checkpointed");
}
