/*
 * audit_top.c - /audit itself, and its small documents: README, status.json,
 * keys.json, checkpoint.
 *
 * The two JSON documents are padded with blanks to a multiple of PAD bytes
 * and never become shorter, so that the size that stat(2) shows stays right
 * for an open that follows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/line.h"
#include "analytics/provider_internal.h"
#include "base/err.h"
#include "base/text.h"
#include "fs/store/store.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/key.h"
#include "ledger/ledger.h"

enum { PAD = 512, PAD_ROOM = 32 };

/* --- the directory --- */

static const struct {
	const char *name;
	uint16_t kind;
	uint32_t type;
	uint64_t a;
	const char *s;
} top[] = {
	{ "README", NODE_README, S_IFREG, 0, NULL },
	{ "log.jsonl", NODE_LOG, S_IFREG, 0, NULL },
	{ "status.json", NODE_STATUS, S_IFREG, 0, NULL },
	{ "keys.json", NODE_KEYS, S_IFREG, 0, NULL },
	{ "alerts.jsonl", NODE_ALERTS, S_IFREG, 0, NULL },
	{ "checkpoint", NODE_CHECKPOINT, S_IFREG, 0, NULL },
	{ "tile", NODE_TILE_DIR, S_IFDIR, 0, "tile" },
	{ "history", NODE_HISTORY_DIR, S_IFDIR, 1, NULL },
	{ "lineage", NODE_LINEAGE_DIR, S_IFDIR, 1, NULL },
	{ "proof", NODE_PROOF_DIR, S_IFDIR, 1, NULL },
	{ "runs", NODE_RUNS, S_IFDIR, 0, NULL },
	{ "runs.jsonl", NODE_RUN_LIST, S_IFREG, 0, NULL },
	{ "at", NODE_AT_ROOT, S_IFDIR, 0, NULL },
};
enum { TOP_N = sizeof(top) / sizeof(top[0]) };

static void top_key(struct node_key *out, size_t i)
{
	*out = (struct node_key){ .kind = top[i].kind,
				  .a = top[i].a,
				  .s = top[i].s };
}

static int top_lookup(struct provider *p, const struct cred *cr,
		      struct node *dir, const char *name, struct node_key *out,
		      char store[KEY_STRING])
{
	(void)p, (void)cr, (void)dir, (void)store;
	for (size_t i = 0; i < TOP_N; i++)
		if (!strcmp(top[i].name, name)) {
			top_key(out, i);
			return 0;
		}
	return -ENOENT;
}

static int top_readdir(struct provider *p, struct vdir_list *l, uint64_t off,
		       vdir_fill_fn *fill, void *ctx)
{
	(void)p, (void)l;
	for (size_t i = off - 2; i < TOP_N; i++) {
		struct node_key k;

		top_key(&k, i);
		if (provider_fill(fill, ctx, top[i].name, top[i].type, &k,
				  i + 3))
			return 0;
	}
	return 0;
}

static int top_attr(struct provider *p, struct node *n, struct stat *out,
		    uint32_t *ttl)
{
	provider_open_attr(p, n, out, true);
	*ttl = 1000;
	return 0;
}

const struct view audit_top_view = {
	.lookup = top_lookup,
	.attr = top_attr,
	.readdir = top_readdir,
};

/* --- README --- */

static const char readme[] =
	"What happened in this volume, as files. Nothing here can be "
	"changed.\n"
	"\n"
	"  log.jsonl             every entry of the ledger; tail -f follows\n"
	"  status.json           how far it is saved, signed, replicated\n"
	"  keys.json             whose signatures count\n"
	"  alerts.jsonl          what somebody should look at\n"
	"  checkpoint  tile/     the signed log itself (C2SP tlog-tiles)\n"
	"  history/PATH.jsonl    all that happened to one file, also when it\n"
	"                        is gone; history/.inode/N.jsonl by number\n"
	"  lineage/PATH.json     from what it was made, by what, and what was\n"
	"                        made from it; PATH.dot draws that\n"
	"  proof/PATH.tlog-proof take it home: proves the newest version\n"
	"  runs.jsonl            the runs, newest first; `vouch runs`\n"
	"  runs/RUN/...          what one run did: summary.json, "
	"changes.diff,\n"
	"                        changes.jsonl, opened.jsonl, denied.jsonl,\n"
	"                        undo.jsonl\n"
	"  at/WHEN/...           the whole tree as it was: WHEN is the name "
	"of a\n"
	"                        snapshot, a log position (812 or 812.3), or "
	"a\n"
	"                        run (make.3:start, make.3:end), or a time\n"
	"                        (2026-11-21T10:00:00Z)\n"
	"\n"
	"To ask in SQL: write NAME.sql into ../query, read\n"
	"../query/NAME/result.csv; \"SELECT * FROM versions LIMIT 5\" is one.\n"
	"\n"
	"Entries are named SEAL.POSITION. Times are claims of the machine "
	"that\n"
	"wrote; the order is certain. Names and arguments are what programs "
	"gave\n"
	"and may be hostile: every view escapes them.\n"
	"\n"
	"To check a file without trusting this machine:\n"
	"  cp FILE audit/proof/FILE.tlog-proof elsewhere/\n"
	"  vouch check FILE FILE.tlog-proof --trust TRUST-FILE\n"
	"where TRUST-FILE is what `vouch key show` printed, got from somebody "
	"you\n"
	"trust. More: vouchfs-audit(5); for SQL vouchfs-query(5).\n";

static int readme_attr(struct provider *p, struct node *n, struct stat *out,
		       uint32_t *ttl)
{
	provider_open_attr(p, n, out, false);
	out->st_size = sizeof(readme) - 1;
	out->st_blocks = 1;
	*ttl = 60000;
	return 0;
}

static int readme_open(struct provider *p, const struct cred *cr,
		       struct vdir_file *f, struct vdir_opened *how)
{
	(void)p, (void)cr;
	spool_add(&f->body, readme, sizeof(readme) - 1);
	how->keep_cache = true;
	return spool_end(&f->body);
}

const struct view audit_readme_view = {
	.attr = readme_attr,
	.open = readme_open,
};

/* --- documents that are padded --- */

typedef int render_fn(struct provider *p, struct buf *out,
		      uint64_t *out_position);

/* Blanks before the last newline. */
static void pad(struct buf *out, uint64_t at_least)
{
	size_t size = (out->n + PAD_ROOM + PAD - 1) / PAD * PAD;
	uint8_t *at;

	if (size < at_least)
		size = (size_t)at_least;
	if (out->bad || size <= out->n)
		return;
	out->n--; /* the newline */
	at = buf_grow(out, size - 1 - out->n);
	if (at)
		memset(at, ' ', (size_t)(out->p + out->n - at));
	buf_addc(out, '\n');
}

static int render_padded(struct provider *p, struct node *n, struct buf *out,
			 render_fn *render)
{
	uint64_t before, position = 0;
	int rc = render(p, out, &position);

	node_lock(&p->nodes);
	before = n->size;
	node_unlock(&p->nodes);
	if (rc < 0)
		return rc;
	pad(out, before);
	if (out->bad)
		return -ENOMEM;
	node_publish(&p->nodes, n, out->n, provider_now(p), position);
	return 0;
}

static void measure_padded(struct provider *p, struct node *n,
			   render_fn *render)
{
	struct buf b = BUF_INIT;
	uint64_t size;

	node_lock(&p->nodes);
	size = n->size;
	node_unlock(&p->nodes);
	if (!size && render_padded(p, n, &b, render) < 0)
		size = 0; /* an open will say what is wrong */
	buf_release(&b);
}

static int open_padded(struct provider *p, const struct cred *cr,
		       struct vdir_file *f, struct vdir_opened *how,
		       render_fn *render)
{
	struct buf b = BUF_INIT;
	int rc = provider_whole(p, cr);

	how->direct_io = true;
	if (rc >= 0)
		rc = provider_settle(p);
	if (rc >= 0)
		rc = render_padded(p, f->node, &b, render);
	spool_buf(&f->body, &b);
	buf_release(&b);
	return rc < 0 ? rc : spool_end(&f->body);
}

static int whole_attr(struct provider *p, struct node *n, struct stat *out,
		      uint32_t *ttl)
{
	(void)ttl;
	provider_whole_attr(p, n, out, false);
	return 0;
}

/* --- status.json --- */

static void status_counts(struct provider *p, struct buf *out,
			  const struct idx_counts *n,
			  const struct core_status *s)
{
	struct store_stat st;

	store_stat(core_store(p->core), &st);
	buf_addf(out,
		 " \"log\": {\"seals\": %llu, \"entries\": %llu, "
		 "\"rejected\": %llu, \"checkpointed\": %llu},\n",
		 (unsigned long long)n->seals, (unsigned long long)n->entries,
		 (unsigned long long)n->rejected,
		 (unsigned long long)s->checkpointed);
	buf_addf(out,
		 " \"files\": {\"regular\": %llu, \"directories\": %llu, "
		 "\"others\": %llu, \"bytes\": %llu, \"versions\": %llu, "
		 "\"version_bytes\": %llu, \"released\": %llu, "
		 "\"released_bytes\": %llu},\n",
		 (unsigned long long)n->files, (unsigned long long)n->dirs,
		 (unsigned long long)n->others, (unsigned long long)n->bytes,
		 (unsigned long long)n->versions,
		 (unsigned long long)n->version_bytes,
		 (unsigned long long)n->released,
		 (unsigned long long)n->released_bytes);
	buf_addf(out,
		 " \"store\": {\"packs\": %llu, \"packs_missing\": %llu, "
		 "\"chunks\": %llu, "
		 "\"stored_bytes\": %llu, \"raw_bytes\": %llu, "
		 "\"repaired\": %llu, \"unrepaired\": %llu},\n",
		 (unsigned long long)st.packs,
		 (unsigned long long)st.packs_missing,
		 (unsigned long long)st.chunks,
		 (unsigned long long)st.stored_bytes,
		 (unsigned long long)st.raw_bytes,
		 (unsigned long long)st.repaired,
		 (unsigned long long)st.unrepaired);
}

struct status_replicas {
	struct buf *out;
	unsigned n;
};

static int status_replica(void *ctx, const struct idx_replica *v)
{
	struct status_replicas *s = ctx;

	if (v->until_no)
		return 0;
	buf_adds(s->out, s->n++ ? ", {" : "{");
	buf_addf(s->out, "\"number\": %u, ", v->number);
	line_text(s->out, "location", v->location, strlen(v->location));
	buf_addc(s->out, '}');
	return 0;
}

static int status_hold(void *ctx, const struct idx_hold *v)
{
	unsigned *n = ctx;

	*n += !v->until_no;
	return 0;
}

/* The policy in force (left out: none ever was), and how many holds. */
static int status_retention(struct idx_reader *r, struct buf *out)
{
	struct idx_policy p = { .count = 0 };
	unsigned holds = 0;
	int rc = idx_policy(r, &p);

	buf_adds(out, " \"retention\": {");
	if (rc > 0) {
		buf_adds(out, "\"policy\": ");
		line_no(out, p.no);
		buf_adds(out, ", ");
	}
	if (rc >= 0)
		rc = idx_holds(r, status_hold, &holds);
	buf_addf(out, "\"rules\": %u, \"holds\": %u},\n", p.count, holds);
	return rc;
}

static void status_now(struct buf *out, const struct core_status *s)
{
	buf_addf(out,
		 " \"waiting\": {\"queued\": %llu, \"unapplied\": %llu, "
		 "\"dirty_bytes\": %llu, \"unsettled_bytes\": %llu},\n",
		 (unsigned long long)s->queued,
		 (unsigned long long)s->unapplied,
		 (unsigned long long)s->dirty_bytes,
		 (unsigned long long)s->unsettled_bytes);
	buf_addf(out, " \"open_handles\": %llu, \"cached_inodes\": %llu,\n",
		 (unsigned long long)s->open_handles,
		 (unsigned long long)s->cached_inodes);
	buf_adds(out, " \"mounted\": ");
	line_time(out, s->mounted_wall_ns);
	buf_adds(out, s->failed ? ",\n \"state\": \"failed\",\n " :
				  ",\n \"state\": \"ok\",\n ");
	line_text(out, "failure", s->failed_words, strlen(s->failed_words));
}

static int status_render(struct provider *p, struct buf *out,
			 uint64_t *out_position)
{
	struct ledger *l = core_ledger(p->core);
	struct status_replicas reps = { .out = out };
	struct core_status s;
	struct idx_counts n = { .seals = 0 };
	struct idx_reader *r = NULL;
	struct digest root = digest_zero;
	char hex[DIGEST_HEX_SIZE];
	int rc = core_reader_take(p->core, &r);

	core_status(p->core, &s);
	if (rc >= 0)
		rc = idx_counts(r, &n);
	if (rc >= 0)
		rc = idx_reader_position(r, out_position, &root);
	buf_adds(out, "{\"format\": \"vouchfs-status-1\",\n ");
	line_text(out, "origin", ledger_origin(l), strlen(ledger_origin(l)));
	buf_adds(out, ",\n \"volume\": \"");
	text_hex(out, ledger_volume_id(l), 16);
	digest_hex(hex, &root);
	buf_addf(out, "\", \"mount\": %u,\n \"applied_root\": \"%s\",\n",
		 ledger_mount_no(l), hex);
	status_counts(p, out, &n, &s);
	buf_addf(out, " \"rollback_protection\": \"%s\",\n \"replicas\": [",
		 ledger_guarded(l) ? "guard" : "none");
	if (rc >= 0)
		rc = idx_replicas(r, status_replica, &reps);
	buf_adds(out, "],\n");
	if (rc >= 0)
		rc = status_retention(r, out);
	core_reader_give(p->core, r);
	if (n.wall_max_ns) {
		buf_adds(out, " \"last_entry\": ");
		line_time(out, n.wall_max_ns);
		buf_adds(out, ",\n");
	}
	status_now(out, &s);
	buf_adds(out, "}\n");
	return rc < 0 ? rc : 0;
}

static void status_measure(struct provider *p, const struct cred *cr,
			   struct node *n)
{
	(void)cr;
	measure_padded(p, n, status_render);
}

static int status_open(struct provider *p, const struct cred *cr,
		       struct vdir_file *f, struct vdir_opened *how)
{
	return open_padded(p, cr, f, how, status_render);
}

const struct view audit_status_view = {
	.attr = whole_attr,
	.measure = status_measure,
	.open = status_open,
};

/* --- keys.json --- */

struct keys_out {
	struct buf *out;
	unsigned n;
};

static int keys_one(void *ctx, const struct idx_key *k)
{
	struct keys_out *o = ctx;
	struct buf *b = o->out;
	const char *role = key_role_name(k->role);

	buf_adds(b, o->n++ ? ",\n  {\"key\": \"" : "\n  {\"key\": \"");
	text_hex(b, k->key_id, sizeof(k->key_id));
	buf_addf(b, "\", \"role\": \"%s\", \"mount\": %u, ",
		 role ? role : "unknown", k->mount_no);
	line_text(b, "name", k->name, strlen(k->name));
	buf_adds(b, ", \"public\": \"");
	text_hex(b, k->pub, sizeof(k->pub));
	buf_adds(b, "\", \"added\": ");
	line_no(b, k->no);
	buf_addf(b, ", \"active\": %s", k->until_no ? "false" : "true");
	if (k->until_no) {
		static const char *const why[] = { NULL, "retired", "lost",
						   "stolen" };

		buf_adds(b, ", \"ended\": ");
		line_no(b, k->until_no);
		buf_addf(b, ", \"why\": \"%s\"",
			 k->reason == IDX_KEY_ROTATED	  ? "rotated" :
			 k->reason >= 1 && k->reason <= 3 ? why[k->reason] :
							    "unknown");
	}
	if (k->suspect_since_ns) {
		buf_adds(b, ", \"suspect_since\": ");
		line_time(b, k->suspect_since_ns);
	}
	buf_addc(b, '}');
	return 0;
}

static int keys_render(struct provider *p, struct buf *out,
		       uint64_t *out_position)
{
	struct keys_out o = { .out = out };
	struct buf trust = BUF_INIT;
	struct idx_reader *r = NULL;
	struct digest root;
	int rc = core_reader_take(p->core, &r);

	buf_adds(out, "{\"format\": \"vouchfs-keys-1\",\n \"keys\": [");
	if (rc >= 0)
		rc = idx_keys(r, keys_one, &o);
	if (rc >= 0)
		rc = idx_reader_position(r, out_position, &root);
	core_reader_give(p->core, r);
	if (rc >= 0)
		rc = ledger_trust(core_ledger(p->core), &trust);
	buf_adds(out, "],\n ");
	line_text(out, "trust_file", trust.p, trust.n);
	buf_adds(out, "}\n");
	buf_release(&trust);
	return rc < 0 ? rc : 0;
}

static void keys_measure(struct provider *p, const struct cred *cr,
			 struct node *n)
{
	(void)cr;
	measure_padded(p, n, keys_render);
}

static int keys_open(struct provider *p, const struct cred *cr,
		     struct vdir_file *f, struct vdir_opened *how)
{
	return open_padded(p, cr, f, how, keys_render);
}

const struct view audit_keys_view = {
	.attr = whole_attr,
	.measure = keys_measure,
	.open = keys_open,
};

/* --- checkpoint: no names in it, and every proof carries one --- */

static int checkpoint_load(struct provider *p, struct buf *out, struct node *n)
{
	int rc = ledger_tile_read(core_ledger(p->core), out, "checkpoint");

	if (rc >= 0 && out->bad)
		rc = -ENOMEM;
	if (rc >= 0)
		node_publish(&p->nodes, n, out->n, provider_now(p), 0);
	return rc;
}

static void checkpoint_measure(struct provider *p, const struct cred *cr,
			       struct node *n)
{
	struct buf b = BUF_INIT;

	(void)cr;
	if (checkpoint_load(p, &b, n) < 0)
		node_publish(&p->nodes, n, 0, 0, 0);
	buf_release(&b);
}

static int checkpoint_open_file(struct provider *p, const struct cred *cr,
				struct vdir_file *f, struct vdir_opened *how)
{
	struct buf b = BUF_INIT;
	int rc;

	(void)cr;
	how->direct_io = true;
	rc = checkpoint_load(p, &b, f->node);
	spool_buf(&f->body, &b);
	buf_release(&b);
	return rc < 0 ? rc : spool_end(&f->body);
}

static int checkpoint_attr(struct provider *p, struct node *n, struct stat *out,
			   uint32_t *ttl)
{
	(void)ttl;
	provider_open_attr(p, n, out, false);
	return 0;
}

const struct view audit_checkpoint_view = {
	.attr = checkpoint_attr,
	.measure = checkpoint_measure,
	.open = checkpoint_open_file,
};
