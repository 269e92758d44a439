/*
 * test_lineage.c - the graph of what was made from what; this process is the
 * one that reads and writes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analytics/lineage.h"
#include "analytics/spool.h"
#include "base/err.h"
#include "base/json.h"
#include "tests/sim/vol.h"

static struct cred self;
static const struct cred root; /* who asks */

static void begin(struct vol *v)
{
	struct core_options o = { .no_threads = true };
	struct errmsg em = ERRMSG_INIT;

	vol_init(v, 1);
	self = (struct cred){ .uid = getuid(),
			      .gid = getgid(),
			      .pid = (uint32_t)getpid() };
	o.store = v->tmp.path;
	o.vio = vio_sim_vio(v->sim);
	o.guard_vio = vio_sim_vio(v->guard);
	o.wal_segment_bytes = o.journal_segment_bytes = 1 << 20;
	cr_assert_eq(core_open(&v->core, &o, &em), 0, "%s", em.text);
}

static void end(struct vol *v)
{
	cr_assert_eq(vol_umount(v), 0);
	vol_release(v);
}

static uint64_t put(struct vol *v, const char *name, const char *text)
{
	struct handle *h = NULL;
	struct stat st;
	bool keep;

	if (core_lookup(v->core, 1, name, &st) < 0)
		cr_assert_eq(core_create(v->core, &self, 1, name, 0644, O_RDWR,
					 &h, &st),
			     0);
	else
		cr_assert_eq(core_open_file(v->core, &self, st.st_ino, O_WRONLY,
					    false, &h, &keep),
			     0);
	cr_assert_geq(core_write(v->core, &self, h, text, strlen(text), 0,
				 false, false),
		      0);
	core_release(v->core, h);
	cr_assert_eq(core_make_version(v->core, st.st_ino, 3), 0);
	return st.st_ino;
}

static void get(struct vol *v, uint64_t ino)
{
	struct handle *h = NULL;
	bool keep;

	cr_assert_eq(
		core_open_file(v->core, &self, ino, O_RDONLY, false, &h, &keep),
		0);
	core_release(v->core, h);
}

static struct lineage *build(struct vol *v, const struct cred *cr, uint64_t ino,
			     const struct lineage_options *o, struct buf *json)
{
	struct lineage *l = NULL;
	struct idx_reader *r = NULL;
	struct spool s;

	cr_assert_eq(core_settle_index(v->core), 0);
	cr_assert_eq(core_reader_take(v->core, &r), 0);
	cr_assert_eq(lineage_build(&l, v->core, r, cr, ino, 0, o), 0);
	spool_init(&s, v->tmp.path, 0);
	cr_assert_eq(lineage_dot(l, r, &s), 0);
	cr_assert_eq(spool_end(&s), 0);
	spool_release(&s);
	spool_init(&s, v->tmp.path, 0);
	cr_assert_eq(lineage_json(l, r, &s), 0);
	cr_assert_eq(spool_end(&s), 0);
	buf_clear(json);
	cr_assert_eq(spool_read(&s, buf_grow(json, s.size), s.size, 0),
		     (ssize_t)s.size);
	buf_addc(json, '\n');
	spool_release(&s);
	core_reader_give(v->core, r);
	return l;
}

Test(lineage, walks_up_and_down)
{
	struct vol v;
	struct lineage *l;
	struct json_doc *doc = NULL;
	struct buf json = BUF_INIT;
	uint64_t a, b;

	begin(&v);
	a = put(&v, "a", "data");
	get(&v, a);
	b = put(&v, "b", "made of a");
	l = build(&v, &root, b, NULL, &json);
	cr_assert_eq(lineage_nodes(l), 2);
	cr_assert_eq(lineage_edges(l), 1);
	cr_assert_eq(json_parse(&doc, json.p, json.n, NULL), 0);
	cr_assert_str_eq(json_get_str(json_root(doc), "format"),
			 "vouchfs-lineage-1");
	cr_assert_str_eq(json_get_str(json_get(json_root(doc), "edges")->first,
				      "strength"),
			 "exact");
	json_free(doc);
	lineage_free(l);
	l = build(&v, &root, a, NULL, &json);
	cr_assert_eq(lineage_edges(l), 1, "the same edge from the other end");
	lineage_free(l);
	buf_release(&json);
	end(&v);
}

Test(lineage, ends_where_files_feed_each_other)
{
	struct vol v;
	struct lineage *l;
	struct buf json = BUF_INIT;
	uint64_t a, b;

	begin(&v);
	a = put(&v, "a", "0");
	b = put(&v, "b", "0");
	for (unsigned i = 0; i < 8; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", i);
		get(&v, a);
		put(&v, "b", text);
		get(&v, b);
		put(&v, "a", text);
	}
	l = build(&v, &root, a, NULL, &json);
	cr_assert_gt(lineage_nodes(l), 10);
	cr_assert_lt(lineage_nodes(l), 30);
	lineage_free(l);
	buf_release(&json);
	end(&v);
}

Test(lineage, says_that_it_was_cut)
{
	struct lineage_options o = { .nodes_max = 5 };
	struct vol v;
	struct lineage *l;
	struct buf json = BUF_INIT;
	char name[16];
	uint64_t ino;

	begin(&v);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		get(&v, put(&v, name, name));
	}
	ino = put(&v, "sum", "all of them");
	l = build(&v, &root, ino, &o, &json);
	cr_assert_eq(lineage_nodes(l), 5);
	cr_assert(strstr((char *)json.p, "\"cut\": true"));
	lineage_free(l);
	l = build(&v, &root, ino, NULL, &json);
	cr_assert(strstr((char *)json.p, "\"cut\": false"));
	cr_assert_geq(lineage_nodes(l), 21);
	lineage_free(l);
	buf_release(&json);
	end(&v);
}

Test(lineage, names_nothing_that_may_not_be_read)
{
	const struct cred stranger = { .uid = 77, .gid = 77 };
	struct vol v;
	struct lineage *l;
	struct buf json = BUF_INIT;
	struct stat in = { .st_mode = 0600 }, st;
	uint64_t a, b;

	begin(&v);
	a = put(&v, "secret-name", "data");
	cr_assert_eq(core_setattr(v.core, &self, a, CORE_SET_MODE, &in, &st),
		     0);
	get(&v, a);
	b = put(&v, "b", "made of it");
	l = build(&v, &stranger, b, NULL, &json);
	cr_assert_eq(lineage_nodes(l), 2);
	cr_assert_null(strstr((char *)json.p, "secret-name"));
	cr_assert(strstr((char *)json.p, "\"hidden\": true"));
	lineage_free(l);
	buf_release(&json);
	end(&v);
}
