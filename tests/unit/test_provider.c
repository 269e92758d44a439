/*
 * test_provider.c - the virtual trees without a kernel: a volume on the
 * simulated disk, asked through fs/fuse/vdir.h.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "analytics/provider.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "fs/fuse/vdir.h"
#include "tests/sim/vol.h"

static const struct cred owner; /* root */
static const struct cred stranger = { .uid = 77, .gid = 77 };

struct seen {
	struct vol v;
	struct provider *p;
	struct vdir d;
};

static void begin(struct seen *s, uint64_t seed)
{
	struct errmsg em = ERRMSG_INIT;

	vol_init(&s->v, seed);
	cr_assert_eq(vol_mount(&s->v), 0);
	cr_assert_eq(provider_open(&s->p, s->v.core, NULL, &s->d, &em), 0, "%s",
		     em.text);
}

static void end(struct seen *s)
{
	provider_close(s->p);
	cr_assert_eq(vol_umount(&s->v), 0);
	vol_release(&s->v);
}

static uint64_t real(struct seen *s, const char *path)
{
	uint64_t ino = 0;

	cr_assert_eq(core_resolve(s->v.core, path, &ino), 0, "%s", path);
	return ino;
}

static void put(struct seen *s, uint64_t dir, const char *name,
		const char *text)
{
	struct handle *h = NULL;
	struct stat st;
	bool keep;

	if (core_lookup(s->v.core, dir, name, &st) < 0)
		cr_assert_eq(core_create(s->v.core, &vol_cred, dir, name, 0644,
					 O_RDWR, &h, &st),
			     0);
	else
		cr_assert_eq(core_open_file(s->v.core, &vol_cred, st.st_ino,
					    O_RDWR | O_TRUNC, false, &h, &keep),
			     0);
	cr_assert_geq(core_write(s->v.core, &vol_cred, h, text, strlen(text), 0,
				 false, false),
		      0);
	core_release(s->v.core, h);
}

static uint64_t make_dir(struct seen *s, uint64_t dir, const char *name,
			 uint32_t mode)
{
	struct stat st;

	cr_assert_eq(core_mknod(s->v.core, &vol_cred, dir, name, S_IFDIR | mode,
				0, &st),
		     0);
	return st.st_ino;
}

/* Walks a path of virtual names: 0 or the error; lookups are given back. */
static int walk(struct seen *s, const struct cred *cr, const char *path,
		struct stat *out)
{
	char name[256];
	uint64_t parent = 0;
	uint32_t ttl;

	while (*path) {
		size_t n = strcspn(path, "/");
		int rc;

		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		rc = s->d.ops->lookup(s->d.ctx, cr, parent, name, out, &ttl);
		if (rc < 0)
			return rc;
		parent = out->st_ino;
		path += n + (path[n] == '/');
	}
	return 0;
}

/* The bytes of a virtual file, read in small pieces; or the error. */
static int cat(struct seen *s, const struct cred *cr, const char *path,
	       struct buf *out)
{
	struct vdir_file *f = NULL;
	struct vdir_opened how;
	struct stat st;
	uint32_t ttl;
	char piece[777];
	ssize_t n;
	int rc = walk(s, cr, path, &st);

	if (rc < 0)
		return rc;
	rc = s->d.ops->open(s->d.ctx, cr, st.st_ino, O_RDONLY, &f, &how);
	if (rc < 0)
		return rc;
	while ((n = s->d.ops->read(s->d.ctx, f, piece, sizeof(piece), out->n)) >
	       0)
		buf_add(out, piece, (size_t)n);
	cr_assert_eq(s->d.ops->getattr(s->d.ctx, cr, st.st_ino, &st, &ttl), 0);
	cr_assert_eq((size_t)st.st_size, out->n, "size of %s", path);
	s->d.ops->release(s->d.ctx, f);
	return (int)n;
}

static unsigned count(const struct buf *b, const char *needle)
{
	unsigned n = 0;

	for (const char *p = b->n ? (char *)b->p : ""; (p = strstr(p, needle));
	     p++)
		n++;
	return n;
}

struct names {
	struct buf text;
	unsigned stop_after;
	uint64_t last;
};

static int add_name(void *ctx, const char *name, uint32_t mode, uint64_t ino,
		    uint64_t next_off)
{
	struct names *l = ctx;

	(void)mode;
	cr_assert(ino);
	cr_assert_gt(next_off, l->last, "offsets rise");
	if (!l->stop_after)
		return 1;
	l->stop_after--;
	l->last = next_off;
	if (strcmp(name, ".") && strcmp(name, ".."))
		buf_addf(&l->text, "%s ", name);
	return 0;
}

/* A listing, `step` names a call. */
static int list(struct seen *s, const struct cred *cr, const char *path,
		unsigned step, struct names *l)
{
	struct vdir_list *d = NULL;
	struct stat st;
	uint64_t before;
	int rc = walk(s, cr, path, &st);

	memset(l, 0, sizeof(*l));
	if (rc >= 0)
		rc = s->d.ops->opendir(s->d.ctx, cr, st.st_ino, &d);
	if (rc < 0)
		return rc;
	do {
		before = l->last;
		l->stop_after = step;
		rc = s->d.ops->readdir(s->d.ctx, d, l->last, add_name, l);
	} while (rc >= 0 && l->last != before);
	s->d.ops->releasedir(s->d.ctx, d);
	return rc;
}

Test(provider, log_has_a_line_for_every_entry_and_grows)
{
	struct seen s;
	struct buf a = BUF_INIT, b = BUF_INIT;

	begin(&s, 1);
	cr_assert_eq(cat(&s, &owner, "audit/log.jsonl", &a), 0);
	cr_assert_gt(count(&a, "\n"), 3);
	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		put(&s, 1, name, name);
		if (i % 3 == 0)
			cr_assert_eq(core_sync(s.v.core), 0);
	}
	cr_assert_eq(cat(&s, &owner, "audit/log.jsonl", &b), 0);
	cr_assert_gt(b.n, a.n);
	cr_assert_eq(memcmp(a.p, b.p, a.n), 0, "what was there stays");
	cr_assert_eq(count(&b, "\"kind\":\"create\""), 301);
	cr_assert_eq(count(&b, "\"kind\":\"version\""), 300);
	for (char *p = (char *)b.p, *eol; *p; p = eol + 1) {
		struct json_doc *doc = NULL;

		eol = strchr(p, '\n');
		cr_assert(eol, "whole lines");
		cr_assert_eq(json_parse(&doc, p, (size_t)(eol - p), NULL), 0);
		json_free(doc);
	}
	buf_release(&a);
	buf_release(&b);
	end(&s);
}

Test(provider, open_log_shows_new_lines_at_its_end)
{
	struct seen s;
	struct vdir_file *f;
	struct vdir_opened how;
	struct stat st;
	char piece[65536];
	ssize_t n;
	uint64_t at;

	begin(&s, 2);
	cr_assert_eq(walk(&s, &owner, "audit/log.jsonl", &st), 0);
	cr_assert_eq(
		s.d.ops->open(s.d.ctx, &owner, st.st_ino, O_RDONLY, &f, &how),
		0);
	cr_assert(how.direct_io);
	n = s.d.ops->read(s.d.ctx, f, piece, sizeof(piece), 0);
	cr_assert_gt(n, 0);
	at = (uint64_t)n;
	cr_assert_eq(s.d.ops->read(s.d.ctx, f, piece, sizeof(piece), at), 0);
	put(&s, 1, "new-name", "x");
	cr_assert_eq(core_settle_index(s.v.core), 0);
	n = s.d.ops->read(s.d.ctx, f, piece, sizeof(piece) - 1, at);
	cr_assert_gt(n, 0);
	piece[n] = '\0';
	cr_assert(strstr(piece, "new-name"));
	cr_assert_eq(piece[n - 1], '\n');
	s.d.ops->release(s.d.ctx, f);
	end(&s);
}

Test(provider, history_follows_renames_and_outlives_the_file)
{
	struct seen s;
	struct buf b = BUF_INIT;
	uint64_t d;

	begin(&s, 3);
	d = make_dir(&s, 1, "d", 0755);
	put(&s, d, "a", "one");
	put(&s, d, "a", "two");
	cr_assert_eq(core_rename(s.v.core, &vol_cred, d, "a", d, "b", 0), 0);
	cr_assert_eq(cat(&s, &owner, "audit/history/d/b.jsonl", &b), 0);
	cr_assert_eq(count(&b, "\n"), 4);
	cr_assert_eq(count(&b, "\"path_then\":\"d/b\""), 1);
	buf_clear(&b);
	cr_assert_eq(core_unlink(s.v.core, &vol_cred, d, "b"), 0);
	cr_assert_eq(core_rmdir(s.v.core, &vol_cred, 1, "d"), 0);
	cr_assert_eq(cat(&s, &owner, "audit/history/d/b.jsonl", &b), 0);
	cr_assert_eq(count(&b, "\"kind\":\"unlink\""), 1);
	cr_assert_eq(cat(&s, &stranger, "audit/history/d/b.jsonl", &b), -ENOENT,
		     "what is gone is the owner's");
	cr_assert_eq(cat(&s, &owner, "audit/history/d/c.jsonl", &b), -ENOENT);
	buf_release(&b);
	end(&s);
}

Test(provider, mirror_lists_every_name_once_in_any_steps)
{
	struct seen s;
	struct names l, m;
	uint64_t d;
	char name[256];

	begin(&s, 4);
	d = make_dir(&s, 1, "d", 0755);
	make_dir(&s, d, "sub", 0755);
	make_dir(&s, d, "x.jsonl", 0755);
	put(&s, d, "x", "x");
	memset(name, 'l', 255);
	name[255] = '\0';
	put(&s, d, name, "too long");
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		put(&s, d, name, "");
	}
	cr_assert_eq(list(&s, &owner, "audit/history/d", 1000, &l), 0);
	cr_assert_eq(count(&l.text, "x.jsonl "), 1, "a directory comes first");
	cr_assert_eq(count(&l.text, "sub "), 1);
	cr_assert_eq(count(&l.text, "sub.jsonl "), 1);
	cr_assert_eq(count(&l.text, "lll"), 0);
	cr_assert_eq(count(&l.text, ".jsonl "), 603);
	cr_assert_eq(list(&s, &owner, "audit/history/d", 1, &m), 0);
	cr_assert_str_eq((char *)l.text.p, (char *)m.text.p);
	buf_release(&m.text);
	cr_assert_eq(list(&s, &owner, "audit/lineage/d", 7, &m), 0);
	cr_assert_eq(count(&m.text, ".json "), 601);
	cr_assert_eq(count(&m.text, ".dot "), 601);
	buf_release(&l.text);
	buf_release(&m.text);
	end(&s);
}

Test(provider, past_is_what_was_there)
{
	struct seen s;
	struct buf b = BUF_INIT;
	struct names l;
	struct stat st, in;
	uint64_t d, no;

	begin(&s, 5);
	d = make_dir(&s, 1, "d", 0750);
	put(&s, d, "a", "before");
	cr_assert_eq(core_symlink(s.v.core, &vol_cred, d, "l", "a", &st), 0);
	cr_assert_eq(core_snapshot(s.v.core, &vol_cred, "one", &no), 0);
	put(&s, d, "a", "after that");
	in.st_mode = 0600;
	cr_assert_eq(core_setattr(s.v.core, &vol_cred, real(&s, "d/a"),
				  CORE_SET_MODE, &in, &st),
		     0);
	cr_assert_eq(core_unlink(s.v.core, &vol_cred, d, "l"), 0);
	put(&s, d, "new", "new");
	cr_assert_eq(cat(&s, &owner, "audit/at/one/d/a", &b), 0);
	cr_assert_eq(b.n, 6);
	cr_assert_eq(memcmp(b.p, "before", 6), 0);
	cr_assert_eq(walk(&s, &owner, "audit/at/one/d/a", &st), 0);
	cr_assert_eq(st.st_mode, S_IFREG | 0644);
	cr_assert_eq(walk(&s, &owner, "audit/at/one/d/l", &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
	cr_assert_eq(list(&s, &owner, "audit/at/one/d", 1, &l), 0);
	cr_assert_str_eq((char *)l.text.p, "a l ");
	buf_release(&l.text);
	cr_assert_eq(list(&s, &owner, "audit/at", 10, &l), 0);
	cr_assert_str_eq((char *)l.text.p, "one ");
	buf_release(&l.text);
	cr_assert_eq(walk(&s, &owner, "audit/at/one/d/new", &st), -ENOENT);
	cr_assert_eq(walk(&s, &owner, "audit/at/two", &st), -ENOENT);
	cr_assert_eq(walk(&s, &owner, "audit/at/1000000", &st), -ENOENT);
	buf_release(&b);
	end(&s);
}

Test(provider, strangers_see_what_the_tree_lets_them_see)
{
	static const char *const closed[] = {
		"audit/log.jsonl",	    "audit/status.json",
		"audit/keys.json",	    "audit/alerts.jsonl",
		"audit/history/s.jsonl",    "audit/lineage/s.json",
		"audit/proof/s.tlog-proof", "audit/history/d/f.jsonl",
	};
	struct seen s;
	struct buf b = BUF_INIT;
	struct names l;
	struct stat in = { .st_mode = 0600 }, st;
	uint64_t d;

	begin(&s, 6);
	put(&s, 1, "p", "public");
	put(&s, 1, "s", "secret");
	d = make_dir(&s, 1, "d", 0700);
	put(&s, d, "f", "x");
	cr_assert_eq(core_setattr(s.v.core, &vol_cred, real(&s, "s"),
				  CORE_SET_MODE, &in, &st),
		     0);
	cr_assert_eq(cat(&s, &stranger, "audit/history/p.jsonl", &b), 0);
	buf_clear(&b);
	cr_assert_eq(cat(&s, &stranger, "audit/README", &b), 0);
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		buf_clear(&b);
		cr_assert_eq(cat(&s, &stranger, closed[i], &b), -EACCES, "%s",
			     closed[i]);
	}
	cr_assert_eq(list(&s, &stranger, "audit/history/d", 10, &l), -EACCES);
	cr_assert_eq(list(&s, &stranger, "audit/tile", 10, &l), -EACCES);
	buf_release(&b);
	end(&s);
}

Test(provider, proof_of_a_version_stays_the_same_bytes)
{
	struct seen s;
	struct buf a = BUF_INIT, b = BUF_INIT;

	begin(&s, 7);
	put(&s, 1, "f", "one");
	cr_assert_eq(cat(&s, &owner, "audit/proof/f.tlog-proof", &a), 0);
	cr_assert_eq(strncmp((char *)a.p, "c2sp.org/tlog-proof@v1\n", 23), 0);
	put(&s, 1, "g", "other");
	cr_assert_eq(cat(&s, &owner, "audit/proof/f.tlog-proof", &b), 0);
	cr_assert(a.n == b.n && !memcmp(a.p, b.p, a.n));
	buf_clear(&b);
	put(&s, 1, "f", "two");
	cr_assert_eq(cat(&s, &owner, "audit/proof/f.tlog-proof", &b), 0);
	cr_assert(a.n != b.n || memcmp(a.p, b.p, a.n));
	buf_release(&a);
	buf_release(&b);
	end(&s);
}

Test(provider, attributes_say_what_the_ledger_says)
{
	struct seen s;
	struct digest d;
	char hex[DIGEST_HEX_SIZE], got[128];
	ssize_t n;
	uint64_t f;

	begin(&s, 8);
	put(&s, 1, "f", "hello");
	f = real(&s, "f");
	digest_sha256(&d, "hello", 5);
	digest_hex(hex, &d);
	n = s.d.ops->getxattr(s.d.ctx, &owner, f, "user.vouch.sha256", got,
			      sizeof(got));
	cr_assert_eq(n, 64);
	cr_assert_eq(memcmp(got, hex, 64), 0);
	cr_assert_eq(s.d.ops->getxattr(s.d.ctx, &owner, f, "user.vouch.version",
				       NULL, 0),
		     1);
	cr_assert_eq(s.d.ops->getxattr(s.d.ctx, &owner, f, "user.vouch.sha256",
				       got, 10),
		     -ERANGE);
	cr_assert_eq(s.d.ops->getxattr(s.d.ctx, &owner, f, "user.vouch.nothing",
				       got, 10),
		     -ENODATA);
	cr_assert_eq(s.d.ops->getxattr(s.d.ctx, &owner, 1, "user.vouch.version",
				       got, 10),
		     -ENODATA);
	cr_assert_gt(s.d.ops->getxattr(s.d.ctx, &owner, 1, "user.vouch.entry",
				       got, 10),
		     2);
	end(&s);
}
