/*
 * attest_graph.c - a run between what it opened and what it wrote, as one
 * JSON object, W3C PROV-JSON, Graphviz and Mermaid.
 */
#include <errno.h>
#include <string.h>

#include "analytics/attest_int.h"
#include "analytics/line.h"
#include "base/buf.h"
#include "base/text.h"
#include "ledger/entry.h"

enum { LABEL_MAX = 200 };

static const char *strength(const struct attest_item *i)
{
	const char *word = entry_strength_word(i->strength);

	return word ? word : "unknown";
}

int attest_json(const struct attest *a, struct buf *out)
{
	buf_adds(out, "{\"subject\":[");
	attest_print_items(a, out, &a->subjects);
	buf_adds(out, "],\n\"materials\":[");
	attest_print_materials(a, out);
	buf_adds(out, "],\n\"environment\":");
	attest_print_environment(a, out);
	buf_adds(out, ",\n\"vouchfs\":");
	attest_print_details(a, out);
	buf_adds(out, "}\n");
	return out->bad ? -ENOMEM : 0;
}

/* --- PROV-JSON --- */

static void prov_file(struct buf *out, const struct attest_item *i)
{
	buf_addf(out, "\"v:file-%llu-%llu\"", (unsigned long long)i->v.ino,
		 (unsigned long long)i->v.version);
}

static void prov_entities(const struct attest *a, struct buf *out,
			  const struct attest_items *t, bool *any)
{
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < t->n; i++) {
		const struct attest_item *e = &t->v[i];

		buf_adds(out, *any ? ",\n " : "\n ");
		*any = true;
		prov_file(out, e);
		buf_adds(out, ":{");
		line_label(out, e->path_n ? a->paths.p + e->path : NULL,
			   e->path_n);
		if (e->v.has_sha256) {
			digest_hex(hex, &e->v.sha256);
			buf_addf(out, ",\"vouchfs:sha256\":\"%s\"", hex);
		}
		digest_hex(hex, &e->v.tree_root);
		buf_addf(out,
			 ",\"vouchfs:tree\":\"%s\",\"vouchfs:size\":\"%llu\"}",
			 hex, (unsigned long long)e->v.size);
	}
}

static void prov_run(const struct attest *a, struct buf *out)
{
	buf_adds(out, "\"v:run-");
	text_hex(out, a->run.id, sizeof(a->run.id));
	buf_addc(out, '"');
}

static void prov_relations(const struct attest *a, struct buf *out,
			   const struct attest_items *t, bool generated)
{
	buf_addf(out, "},\n\"%s\":{", generated ? "wasGeneratedBy" : "used");
	for (size_t i = 0; i < t->n; i++) {
		buf_addf(out,
			 "%s\"_:%c%zu\":{\"prov:entity\":", i ? ",\n " : "\n ",
			 generated ? 'g' : 'u', i);
		prov_file(out, &t->v[i]);
		buf_adds(out, ",\"prov:activity\":");
		prov_run(a, out);
		if (generated) {
			buf_adds(out, ",\"prov:time\":");
			line_time(out, t->v[i].v.wall_ns);
		}
		buf_addf(out,
			 ",\"vouchfs:strength\":\"%s\",\"vouchfs:says\":"
			 "\"%s\"}",
			 strength(&t->v[i]), generated ? "wrote" : "opened");
	}
}

int attest_prov(const struct attest *a, struct buf *out)
{
	bool any = false;

	buf_adds(out, "{\"prefix\":{\"v\":\"");
	attest_print_volume(a, out);
	buf_adds(out, ":\",\"vouchfs\":\"urn:vouchfs:prov:v1:\"},\n"
		      "\"entity\":{");
	prov_entities(a, out, &a->subjects, &any);
	prov_entities(a, out, &a->materials, &any);
	buf_adds(out, "},\n\"activity\":{");
	prov_run(a, out);
	buf_adds(out, ":{\"prov:label\":");
	attest_print_name(a, out);
	buf_adds(out, ",\"prov:startTime\":");
	line_time(out, a->run.started_ns);
	if (a->run.end_no) {
		buf_adds(out, ",\"prov:endTime\":");
		line_time(out, a->run.ended_ns);
	}
	buf_addf(out,
		 "}},\n\"agent\":{\"v:uid-%u\":{\"vouchfs:uid\":\"%u\"}},\n"
		 "\"wasAssociatedWith\":{\"_:a0\":{\"prov:activity\":",
		 a->run.uid, a->run.uid);
	prov_run(a, out);
	buf_addf(out, ",\"prov:agent\":\"v:uid-%u\"}", a->run.uid);
	prov_relations(a, out, &a->subjects, true);
	prov_relations(a, out, &a->materials, false);
	buf_adds(out, "}}\n");
	return out->bad ? -ENOMEM : 0;
}

/* --- DOT, Mermaid --- */

static void drawing_items(const struct attest *a, struct buf *out,
			  const struct attest_items *t, char letter, bool dot)
{
	bool from_run = letter == 's';

	for (size_t i = 0; i < t->n; i++) {
		const struct attest_item *e = &t->v[i];
		const char *p =
			e->path_n ? (char *)a->paths.p + e->path : "unnamed";
		size_t n = e->path_n ? e->path_n : strlen(p);

		n = n < LABEL_MAX ? n : LABEL_MAX;
		buf_addf(out, dot ? "\t%c%zu [label=\"" : "  %c%zu[\"", letter,
			 i);
		if (dot)
			text_dot_escape(out, p, n);
		else
			text_mermaid_escape(out, p, n);
		buf_addf(out, "%sversion %llu%s", dot ? "\\n" : "<br/>",
			 (unsigned long long)e->v.version,
			 dot ? "\"];\n" : "\"]\n");
		if (dot && from_run)
			buf_addf(out, "\trun -> s%zu [label=\"%s\"];\n", i,
				 strength(e));
		else if (dot)
			buf_addf(out, "\tm%zu -> run [label=\"%s\"];\n", i,
				 strength(e));
		else if (from_run)
			buf_addf(out, "  run -->|%s| s%zu\n", strength(e), i);
		else
			buf_addf(out, "  m%zu -->|%s| run\n", i, strength(e));
	}
}

int attest_dot(const struct attest *a, struct buf *out)
{
	char word[RUN_WORD_MAX];

	idx_run_word(word, &a->run);
	buf_addf(out,
		 "digraph lineage {\n\trankdir=LR;\n\tnode [shape=box];\n"
		 "\trun [label=\"%s\", shape=ellipse];\n",
		 word);
	drawing_items(a, out, &a->materials, 'm', true);
	drawing_items(a, out, &a->subjects, 's', true);
	buf_adds(out, "}\n");
	return out->bad ? -ENOMEM : 0;
}

int attest_mermaid(const struct attest *a, struct buf *out)
{
	char word[RUN_WORD_MAX];

	idx_run_word(word, &a->run);
	buf_addf(out, "flowchart LR\n  run([\"%s\"])\n", word);
	drawing_items(a, out, &a->materials, 'm', false);
	drawing_items(a, out, &a->subjects, 's', false);
	return out->bad ? -ENOMEM : 0;
}
