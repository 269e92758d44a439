/*
 * audit_tile.c - /audit/tile: the signed log as C2SP tlog-tiles.
 *
 * What is listed is what the published checkpoint covers: all full tiles and
 * the one partial tile of each level at its present width; other widths of
 * it are found by name.  A tile of one name never changes.
 *
 * A directory is "tile", "tile/L", "tile/L/x001/x234" or "tile/L/x001/067.p";
 * the groups of three digits before a name, read as one number, are its
 * prefix.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analytics/provider_internal.h"
#include "base/err.h"
#include "ledger/ledger.h"
#include "ledger/tile.h"

#define ENTRIES_NAME "entries"
enum { GROUP = 1000, GROUPS_MAX = 6 };

struct tile_dir {
	int level;	 /* TILE_ENTRIES..7; LEVELS: "tile" itself */
	uint64_t prefix; /* number made of the groups */
	unsigned groups;
	bool partial; /* NNN.p: prefix is the tile's number */
};
enum { LEVELS = 99 };

static uint64_t level_count(struct provider *p, int level)
{
	return tile_level_count(level,
				ledger_checkpointed(core_ledger(p->core)));
}

static bool three_digits(const char *s)
{
	return isdigit((unsigned char)s[0]) && isdigit((unsigned char)s[1]) &&
	       isdigit((unsigned char)s[2]);
}

static uint64_t group_value(const char *s)
{
	return (uint64_t)((s[0] - '0') * 100 + (s[1] - '0') * 10 +
			  (s[2] - '0'));
}

/* Strict: false when s is no directory there could be. */
static bool parse_dir(struct tile_dir *out, const char *s)
{
	memset(out, 0, sizeof(*out));
	if (strncmp(s, "tile", 4) != 0)
		return false;
	s += 4;
	out->level = LEVELS;
	if (!*s)
		return true;
	if (!strncmp(s, "/" ENTRIES_NAME, 8)) {
		out->level = TILE_ENTRIES;
		s += 8;
	} else if (s[0] == '/' && s[1] >= '0' && s[1] <= '7') {
		out->level = s[1] - '0';
		s += 2;
	} else {
		return false;
	}
	while (*s) {
		bool more = s[0] == '/' && s[1] == 'x';

		s += more ? 2 : 1;
		if (s[-1] != (more ? 'x' : '/') || out->partial ||
		    !three_digits(s) || out->groups == GROUPS_MAX)
			return false;
		out->prefix = out->prefix * GROUP + group_value(s);
		out->groups++;
		s += 3;
		if (more)
			continue;
		if (strcmp(s, ".p") != 0)
			return false;
		out->partial = true;
		s += 2;
	}
	return true;
}

static bool dir_exists(struct provider *p, const struct tile_dir *d)
{
	uint64_t count, tiles;

	if (d->level == LEVELS)
		return true;
	count = level_count(p, d->level);
	tiles = (count + TILE_WIDTH - 1) / TILE_WIDTH;
	if (d->partial)
		return d->prefix < tiles; /* once it was partial */
	return count > 0 &&
	       (!d->groups || (d->prefix > 0 && d->prefix < tiles / GROUP + 1 &&
			       d->prefix * GROUP < tiles));
}

static int tile_lookup(struct provider *p, const struct cred *cr,
		       struct node *dir, const char *name, struct node_key *out,
		       char store[KEY_STRING])
{
	struct tile_dir d;
	struct tile t;
	int n = snprintf(store, KEY_STRING, "%s/%s", dir->key.s, name);
	uint64_t count;

	(void)cr;
	if (n < 0 || n >= TILE_PATH_MAX)
		return -ENOENT;
	out->s = store;
	if (!tile_path_parse(&t, store, (size_t)n)) {
		count = level_count(p, t.level);
		out->kind = NODE_TILE;
		return t.n <= count / TILE_WIDTH &&
				       t.n * TILE_WIDTH + t.width <= count ?
			       0 :
			       -ENOENT;
	}
	out->kind = NODE_TILE_DIR;
	return parse_dir(&d, store) && dir_exists(p, &d) ? 0 : -ENOENT;
}

/* --- listing --- */

struct tile_list {
	const struct node *dir;
	uint64_t off, next;
	vdir_fill_fn *fill;
	void *ctx;
	bool full;
};

static void put(struct tile_list *l, uint64_t cookie, bool directory,
		const char *name)
{
	char path[TILE_PATH_MAX + LIMIT_NAME];
	struct node_key k = { .kind = directory ? NODE_TILE_DIR : NODE_TILE,
			      .s = path };

	if (l->full || cookie <= l->off)
		return;
	snprintf(path, sizeof(path), "%s/%s", l->dir->key.s, name);
	l->full = provider_fill(l->fill, l->ctx, name,
				directory ? S_IFDIR : S_IFREG, &k, cookie);
}

static void list_levels(struct provider *p, struct tile_list *l)
{
	char name[2] = "0";

	if (level_count(p, TILE_ENTRIES))
		put(l, 3, true, ENTRIES_NAME);
	for (int i = 0; i <= TILE_LEVEL_MAX && level_count(p, i); i++) {
		name[0] = (char)('0' + i);
		put(l, 4 + (uint64_t)i, true, name);
	}
}

/*
 * Children of a number: tiles, the partial one's directory, then further
 * groups: cookies must rise.
 */
static void list_groups(struct tile_list *l, const struct tile_dir *d,
			uint64_t count)
{
	uint64_t full = count / TILE_WIDTH, first = d->prefix * GROUP;
	bool partial = count % TILE_WIDTH;
	char name[16];

	for (unsigned i = 0; i < GROUP && !l->full; i++) {
		snprintf(name, sizeof(name), "%03u%s", i,
			 first + i < full ? "" : ".p");
		if (first + i < full)
			put(l, 3 + i, false, name);
		else if (first + i == full && partial)
			put(l, 3 + i, true, name);
	}
	for (unsigned i = 0; i < GROUP && !l->full; i++) {
		snprintf(name, sizeof(name), "x%03u", i);
		if (first + i > 0 && (first + i) * GROUP < full + partial)
			put(l, 3 + GROUP + i, true, name);
	}
}

static int tile_readdir(struct provider *p, struct vdir_list *v, uint64_t off,
			vdir_fill_fn *fill, void *ctx)
{
	struct tile_list l = {
		.dir = v->node, .off = off, .fill = fill, .ctx = ctx
	};
	struct tile_dir d;
	char name[16];
	uint64_t count;

	if (!parse_dir(&d, v->node->key.s))
		return -ENOENT;
	if (d.level == LEVELS) {
		list_levels(p, &l);
		return 0;
	}
	count = level_count(p, d.level);
	if (!d.partial) {
		list_groups(&l, &d, count);
	} else if (d.prefix == count / TILE_WIDTH && count % TILE_WIDTH) {
		snprintf(name, sizeof(name), "%u",
			 (unsigned)(count % TILE_WIDTH));
		put(&l, 3, false, name);
	}
	return 0;
}

static int tile_dir_attr(struct provider *p, struct node *n, struct stat *out,
			 uint32_t *ttl)
{
	(void)ttl;
	provider_whole_attr(p, n, out, true);
	return 0;
}

static int tile_opendir(struct provider *p, const struct cred *cr,
			struct vdir_list *l)
{
	(void)l;
	return provider_whole(p, cr);
}

const struct view audit_tile_dir_view = {
	.lookup = tile_lookup,
	.attr = tile_dir_attr,
	.opendir = tile_opendir,
	.readdir = tile_readdir,
};

/* --- one tile --- */

static int tile_load(struct provider *p, struct node *n, struct buf *out)
{
	int rc = ledger_tile_read(core_ledger(p->core), out, n->key.s);

	if (rc >= 0 && out->bad)
		rc = -ENOMEM;
	if (rc >= 0)
		node_publish(&p->nodes, n, out->n, p->start_ns, 0);
	return rc;
}

/* Bundles are small, too: at most 256 seals. */
static void tile_measure(struct provider *p, const struct cred *cr,
			 struct node *n)
{
	struct buf b = BUF_INIT;
	uint64_t size;

	(void)cr;
	node_lock(&p->nodes);
	size = n->size;
	node_unlock(&p->nodes);
	if (!size && tile_load(p, n, &b) < 0)
		size = 0; /* an open will say what is wrong */
	buf_release(&b);
}

static int tile_attr(struct provider *p, struct node *n, struct stat *out,
		     uint32_t *ttl)
{
	(void)ttl;
	provider_whole_attr(p, n, out, false);
	return 0;
}

static int tile_open(struct provider *p, const struct cred *cr,
		     struct vdir_file *f, struct vdir_opened *how)
{
	struct buf b = BUF_INIT;
	int rc = provider_whole(p, cr);

	if (rc >= 0)
		rc = tile_load(p, f->node, &b);
	how->direct_io = true;
	spool_buf(&f->body, &b);
	buf_release(&b);
	return rc < 0 ? rc : spool_end(&f->body);
}

const struct view audit_tile_view = {
	.attr = tile_attr,
	.measure = tile_measure,
	.open = tile_open,
};
