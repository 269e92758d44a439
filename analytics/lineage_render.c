/*
 * lineage_render.c - the graph as JSON and as DOT; every name is escaped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/imported.h"
#include "analytics/line.h"
#include "analytics/lineage_internal.h"
#include "analytics/spool.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "index/idx.h"
#include "ledger/argv.h"
#include "ledger/entry.h"

enum { LABEL_MAX = 200 };

static void put_id(struct buf *out, const struct idx_version *v)
{
	buf_addf(out, "\"%llu@%llu\"", (unsigned long long)v->ino,
		 (unsigned long long)v->version);
}

static void put_hex(struct buf *out, const char *key, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(hex, d);
	buf_addf(out, ", \"%s\": \"%s\"", key, hex);
}

static int json_imported(const struct lineage *l, struct idx_reader *r,
			 struct buf *out, const struct idx_version *v)
{
	struct buf stored = BUF_INIT;
	struct entry e;
	int rc = imported_find(l->core, r, v, &stored, &e);

	if (rc > 0) {
		buf_adds(out, ", \"imported\": ");
		imported_json(out, &e);
	}
	buf_release(&stored);
	return rc;
}

static int json_node(const struct lineage *l, struct idx_reader *r,
		     struct buf *out, const struct lineage_node *n)
{
	const struct idx_version *v = &n->v;
	struct buf path = BUF_INIT;
	const char *word;
	bool gone = false;
	int rc = n->hidden ? 0 : idx_path_last(r, &path, v->ino, &gone);

	buf_adds(out, "{\"id\": ");
	put_id(out, v);
	if (n->hidden) {
		buf_adds(out, ", \"hidden\": true}");
		return 0;
	}
	buf_addf(out, ", \"inode\": %llu, \"version\": %llu, \"entry\": ",
		 (unsigned long long)v->ino, (unsigned long long)v->version);
	line_no(out, v->no);
	if (rc > 0) {
		buf_adds(out, ", ");
		line_text(out, "path", path.p, path.n);
	}
	if (gone)
		buf_adds(out, ", \"gone\": true");
	buf_addf(out,
		 ", \"size\": %llu, \"time\": ", (unsigned long long)v->size);
	line_time(out, v->wall_ns);
	if (v->released_no) {
		buf_adds(out, ", \"released\": ");
		line_no(out, v->released_no);
	}
	if (v->has_sha256)
		put_hex(out, "sha256", &v->sha256);
	put_hex(out, "tree_root", &v->tree_root);
	word = entry_strength_word(v->attribution);
	buf_addf(out, ", \"attribution\": \"%s\"", word ? word : "unknown");
	if (v->actor_no) {
		buf_adds(out, ", \"actor\": ");
		line_no(out, v->actor_no);
	}
	if (rc >= 0)
		rc = json_imported(l, r, out, v);
	buf_addc(out, '}');
	buf_release(&path);
	return rc < 0 ? rc : 0;
}

static void json_edge(const struct lineage *l, struct buf *out,
		      const struct lineage_edge *e)
{
	const char *word = entry_strength_word(e->strength);

	buf_adds(out, "{\"from\": ");
	put_id(out, &l->nodes[e->from].v);
	buf_adds(out, ", \"to\": ");
	put_id(out, &l->nodes[e->to].v);
	buf_addf(out, ", \"strength\": \"%s\", \"reads\": ",
		 word ? word : "unknown");
	line_no(out, e->reads_no);
	buf_addc(out, '}');
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The actors of what is not hidden, once each, ascending. */
static int actors_of(const struct lineage *l, uint64_t **out, size_t *out_n)
{
	uint64_t *v = calloc(l->n_nodes + 1, sizeof(*v));
	size_t n = 0, kept = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_nodes; i++)
		if (l->nodes[i].v.actor_no && !l->nodes[i].hidden)
			v[n++] = l->nodes[i].v.actor_no;
	qsort(v, n, sizeof(*v), by_number);
	for (size_t i = 0; i < n; i++)
		if (!kept || v[kept - 1] != v[i])
			v[kept++] = v[i];
	*out = v;
	*out_n = kept;
	return 0;
}

int lineage_json(const struct lineage *l, struct idx_reader *r,
		 struct spool *out)
{
	autofree uint64_t *actors = NULL;
	struct buf b = BUF_INIT;
	size_t n_actors = 0;
	int rc = actors_of(l, &actors, &n_actors);

	buf_adds(&b, "{\"format\": \"vouchfs-lineage-1\",\n \"root\": ");
	put_id(&b, &l->nodes[0].v);
	buf_addf(&b,
		 ",\n \"seals\": %llu, \"cut\": %s, \"unknown_inputs\": %llu"
		 ",\n \"nodes\": [",
		 (unsigned long long)l->position, l->cut ? "true" : "false",
		 (unsigned long long)l->unknown);
	for (size_t i = 0; i < l->n_nodes && rc >= 0; i++) {
		buf_adds(&b, i ? ",\n  " : "\n  ");
		rc = json_node(l, r, &b, &l->nodes[i]);
		spool_buf(out, &b);
	}
	buf_adds(&b, "],\n \"edges\": [");
	for (size_t i = 0; i < l->n_edges && rc >= 0; i++) {
		buf_adds(&b, i ? ",\n  " : "\n  ");
		json_edge(l, &b, &l->edges[i]);
		spool_buf(out, &b);
	}
	buf_adds(&b, "],\n \"actors\": [");
	for (size_t i = 0; i < n_actors && rc >= 0; i++) {
		buf_adds(&b, i ? ",\n  " : "\n  ");
		rc = line_actor(r, &b, actors[i]);
		spool_buf(out, &b);
	}
	buf_adds(&b, "]}\n");
	spool_buf(out, &b);
	buf_release(&b);
	return rc < 0 ? rc : 0;
}

/* --- DOT --- */

static void dot_label(struct buf *out, const void *p, size_t n)
{
	text_dot_escape(out, p, n < LABEL_MAX ? n : LABEL_MAX);
	if (n > LABEL_MAX)
		buf_adds(out, "...");
}

static int dot_actor(struct idx_reader *r, struct buf *out, uint64_t no)
{
	struct idx_actor a;
	struct buf argv = BUF_INIT;
	int rc = no ? idx_actor(r, &a, no) : 0;

	if (rc <= 0)
		return rc;
	argv_text(&argv, a.argv.p, a.argv.n);
	buf_adds(out, "\\nby ");
	dot_label(out, argv.n ? (char *)argv.p : a.exe.p,
		  argv.n ? argv.n : a.exe.n);
	buf_addf(out, " (uid %u)", a.uid);
	buf_release(&argv);
	idx_actor_release(&a);
	return 1;
}

static int dot_node(struct idx_reader *r, struct buf *out,
		    const struct lineage_node *n, bool root)
{
	struct buf path = BUF_INIT;
	bool gone = false;
	int rc = n->hidden ? 0 : idx_path_last(r, &path, n->v.ino, &gone);

	buf_addc(out, '\t');
	put_id(out, &n->v);
	if (n->hidden) {
		buf_adds(out, " [label=\"(not yours to read)\", "
			      "style=dashed];\n");
		return 0;
	}
	buf_adds(out, " [label=\"");
	if (path.n)
		dot_label(out, path.p, path.n);
	else
		buf_addf(out, "inode %llu", (unsigned long long)n->v.ino);
	buf_addf(out, "\\nversion %llu%s", (unsigned long long)n->v.version,
		 gone ? ", gone" : "");
	if (rc >= 0)
		rc = dot_actor(r, out, n->v.actor_no);
	buf_addf(out, "\"%s];\n", root ? ", penwidth=2" : "");
	buf_release(&path);
	return rc < 0 ? rc : 0;
}

int lineage_dot(const struct lineage *l, struct idx_reader *r,
		struct spool *out)
{
	static const char *const styles[] = { "dotted", "dashed", "solid",
					      "bold" };
	struct buf b = BUF_INIT;
	int rc = 0;

	buf_adds(&b, "digraph lineage {\n\trankdir=LR;\n\tnode [shape=box];\n");
	if (l->cut)
		buf_adds(&b, "\tlabel=\"cut: there is more\";\n");
	for (size_t i = 0; i < l->n_nodes && rc >= 0; i++) {
		rc = dot_node(r, &b, &l->nodes[i], i == 0);
		spool_buf(out, &b);
	}
	for (size_t i = 0; i < l->n_edges && rc >= 0; i++) {
		const struct lineage_edge *e = &l->edges[i];
		const char *word = entry_strength_word(e->strength);

		buf_addc(&b, '\t');
		put_id(&b, &l->nodes[e->from].v);
		buf_adds(&b, " -> ");
		put_id(&b, &l->nodes[e->to].v);
		buf_addf(&b, " [label=\"%s\", style=%s];\n",
			 word ? word : "unknown", styles[e->strength & 3]);
		spool_buf(out, &b);
	}
	buf_adds(&b, "}\n");
	spool_buf(out, &b);
	buf_release(&b);
	return rc < 0 ? rc : 0;
}
