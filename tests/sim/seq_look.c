/*
 * seq_look.c - see seq.h: reads a tree, and says whether it may be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "fs/core/core.h"
#include "tests/sim/drive.h"
#include "tests/sim/exempt.h"
#include "tests/sim/seq.h"
#include "tests/sim/seq_int.h"
#include "tests/sim/vol.h"

uint64_t seq_bytes_hash(const void *p, size_t n)
{
	return XXH3_64bits_withSeed(n ? p : "", n, n) | 1;
}

bool seq_from_below(int rc)
{
	return rc != -EBADF && rc != -EINPROGRESS && rc != -ERR_REJECTED &&
	       drive_from_below(rc);
}

struct walk {
	struct seq_found *out;
	struct core *core;
	uint64_t dir;
};

static void bad(struct seq_found *t, uint64_t ino, const char *what, int rc)
{
	t->bad = true;
	snprintf(t->words, sizeof(t->words), "inode %llx: %s: %s",
		 (unsigned long long)ino, what,
		 rc < 0 ? err_text(rc) : "short");
}

static void read_file(struct walk *w, const struct stat *st)
{
	size_t n = (size_t)st->st_size;
	uint8_t *p;
	struct handle *h = NULL;
	bool keep;
	ssize_t got = core_open_file(w->core, &vol_cred, st->st_ino, O_RDONLY,
				     false, &h, &keep);

	alloc_ours++;
	p = malloc(n + 1);
	alloc_ours--;
	if (!p)
		abort();
	if (!got) {
		got = core_read(w->core, h, p, n + 1, 0);
		core_release(w->core, h);
	}
	if (got < 0 || (size_t)got != n)
		bad(w->out, st->st_ino, "read", (int)got);
	else
		w->out->bytes[seq_slot(st->st_ino)] = seq_bytes_hash(p, n);
	free(p);
}

static void walk(struct walk *w, uint64_t dir);

static int visit(void *ctx, const char *name, const struct stat *st,
		 uint64_t cookie)
{
	struct walk *w = ctx;
	enum model_type type = S_ISDIR(st->st_mode) ? MODEL_DIR :
			       S_ISREG(st->st_mode) ? MODEL_FILE :
						      MODEL_SYMLINK;

	(void)cookie;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	w->out->names += model_fs_name_hash(w->dir, name, st->st_ino, type,
					    st->st_nlink, st->st_mode & 07777);
	if (type == MODEL_DIR)
		walk(w, st->st_ino);
	else if (type == MODEL_FILE)
		read_file(w, st);
	return w->out->bad;
}

static void walk(struct walk *w, uint64_t dir)
{
	uint64_t up = w->dir;
	int rc;

	w->dir = dir;
	rc = core_readdir(w->core, dir, 0, 100, true, visit, w);
	if (rc < 0)
		bad(w->out, dir, "list", rc);
	w->dir = up;
}

void seq_look(struct seq_found *out, struct core *c)
{
	struct walk w = { .out = out, .core = c };

	memset(out, 0, sizeof(*out));
	walk(&w, 1);
}

/* The oldest moment whose bytes file f may have when the names are i's. */
static unsigned oldest(const struct seq *s, const struct seq_floor *fl,
		       unsigned i, unsigned f)
{
	unsigned saved = s->past.saved[i][f];

	return saved > fl->file[f] ? saved : fl->file[f];
}

static bool bytes_fit(struct seq *s, const struct seq_floor *fl,
		      const struct seq_found *t, unsigned i)
{
	for (unsigned f = 0; f < SEQ_FILES; f++) {
		bool found = false;

		for (unsigned j = oldest(s, fl, i, f); j <= i; j++)
			found = found || s->past.bytes[j][f] == t->bytes[f];
		if (!t->bytes[f] || s->torn[f])
			found = true;
		if (found)
			continue;
		snprintf(s->words, sizeof(s->words),
			 "file %u holds bytes of no moment in %u..%u", f,
			 oldest(s, fl, i, f), i);
		return false;
	}
	return true;
}

bool seq_fits(struct seq *s, const struct seq_floor *fl,
	      const struct seq_found *t)
{
	unsigned last = fl->done < s->past.n ? fl->done : s->past.n;

	if (t->bad) {
		snprintf(s->words, sizeof(s->words), "%s", t->words);
		return false;
	}
	snprintf(s->words, sizeof(s->words),
		 "the names are those of no moment in %u..%u", fl->synced,
		 last);
	for (unsigned i = fl->synced; i <= last; i++)
		if (s->past.names[i] == t->names && bytes_fit(s, fl, t, i))
			return true;
	return false;
}

bool seq_equal(struct seq *s, const struct seq_found *t)
{
	struct seq_floor fl = { .done = s->past.n, .synced = s->past.n };

	for (unsigned f = 0; f < SEQ_FILES; f++)
		fl.file[f] = s->past.n;
	return seq_fits(s, &fl, t);
}

uint64_t seq_allowed(const struct seq *s, const struct seq_floor *fl)
{
	unsigned last = fl->done < s->past.n ? fl->done : s->past.n;
	uint64_t h = XXH3_64bits(fl->file, sizeof(fl->file));

	for (unsigned i = fl->synced; i <= last; i++)
		h = h * 31 + s->past.names[i] +
		    XXH3_64bits(s->past.bytes[i], sizeof(s->past.bytes[i]));
	return h;
}
