/*
 * seq.c - see seq.h: the alphabet, on the core and on the oracle.  What is
 * compared is in seq_look.c.
 */
#include "tests/sim/seq.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/core/core.h"
#include "tests/sim/seq_int.h"
#include "tests/sim/vol.h"

enum kind {
	CREATE,
	PUT, /* O_CREAT|O_TRUNC and one write */
	WRITE,
	APPEND,
	TRUNCATE,
	PUNCH,
	RENAME,
	EXCHANGE,
	LINK,
	UNLINK,
	MKDIR,
	RMDIR,
	CHMOD,
	FSYNC,
	FSYNC_DIR,
	SYNC,
	O_SYNC_WRITE,
	SECOND, /* a second passes: background work */
};

struct op {
	const char *text;
	enum kind kind;
	const char *a, *b;
	size_t off, n;
};

static const struct op ops[] = {
	{ "create B/foo", CREATE, "B/foo", NULL, 0, 0 },
	{ "put A/bar", PUT, "A/bar", NULL, 0, 6000 },
	{ "put B/foo, large", PUT, "B/foo", NULL, 0, 300000 },
	{ "write A/foo", WRITE, "A/foo", NULL, 100, 5000 },
	{ "write A/foo, a page", WRITE, "A/foo", NULL, 4096, 4096 },
	{ "write B/bar, a page", WRITE, "B/bar", NULL, 8192, 4096 },
	{ "append A/foo", APPEND, "A/foo", NULL, 0, 3000 },
	{ "append B/bar, large", APPEND, "B/bar", NULL, 0, 70000 },
	{ "append A/bar", APPEND, "A/bar", NULL, 0, 100 },
	{ "truncate A/foo to nothing", TRUNCATE, "A/foo", NULL, 0, 0 },
	{ "truncate A/foo", TRUNCATE, "A/foo", NULL, 5000, 0 },
	{ "lengthen B/bar", TRUNCATE, "B/bar", NULL, 150000, 0 },
	{ "punch B/bar", PUNCH, "B/bar", NULL, 4096, 8192 },
	{ "rename A/foo A/bar", RENAME, "A/foo", "A/bar", 0, 0 },
	{ "rename A/bar A/foo", RENAME, "A/bar", "A/foo", 0, 0 },
	{ "rename A/foo B/bar", RENAME, "A/foo", "B/bar", 0, 0 },
	{ "rename B/foo A/foo", RENAME, "B/foo", "A/foo", 0, 0 },
	{ "rename A B/D", RENAME, "A", "B/D", 0, 0 },
	{ "exchange A/foo B/bar", EXCHANGE, "A/foo", "B/bar", 0, 0 },
	{ "link A/foo B/foo", LINK, "A/foo", "B/foo", 0, 0 },
	{ "link A/foo A/bar", LINK, "A/foo", "A/bar", 0, 0 },
	{ "unlink A/foo", UNLINK, "A/foo", NULL, 0, 0 },
	{ "unlink A/bar", UNLINK, "A/bar", NULL, 0, 0 },
	{ "unlink B/bar", UNLINK, "B/bar", NULL, 0, 0 },
	{ "mkdir A/C", MKDIR, "A/C", NULL, 0, 0 },
	{ "rmdir A/C", RMDIR, "A/C", NULL, 0, 0 },
	{ "create A/C/x", CREATE, "A/C/x", NULL, 0, 0 },
	{ "chmod A/foo", CHMOD, "A/foo", NULL, 0600, 0 },
	{ "fsync A/foo", FSYNC, "A/foo", NULL, 0, 0 },
	{ "fsync A/bar", FSYNC, "A/bar", NULL, 0, 0 },
	{ "fsync B/foo", FSYNC, "B/foo", NULL, 0, 0 },
	{ "fsync B/bar", FSYNC, "B/bar", NULL, 0, 0 },
	{ "fsync A", FSYNC_DIR, "A", NULL, 0, 0 },
	{ "sync", SYNC, NULL, NULL, 0, 0 },
	{ "write A/foo, O_SYNC", O_SYNC_WRITE, "A/foo", NULL, 2000, 700 },
	{ "a second", SECOND, NULL, NULL, 0, 0 },
	{ "create A/bar", CREATE, "A/bar", NULL, 0, 0 },
};
enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };
_Static_assert((int)N_OPS <= (int)SEQ_OPS_MAX, "room in an alphabet");

static const char *const small[] = {
	"create A/bar",
	"put A/bar",
	"append A/foo",
	"write A/foo, a page",
	"truncate A/foo",
	"rename A/bar A/foo",
	"link A/foo A/bar",
	"unlink A/foo",
	"mkdir A/C",
	"rmdir A/C",
	"fsync A/foo",
	"fsync A",
	"sync",
};

unsigned seq_alphabet(const char *name, unsigned out[SEQ_OPS_MAX])
{
	unsigned few = sizeof(small) / sizeof(small[0]);
	bool all = strcmp(name, "all") == 0;
	unsigned n = all			? (unsigned)N_OPS :
		     strcmp(name, "small") == 0 ? few :
						  0;

	for (unsigned i = 0; i < n; i++)
		out[i] = all ? i : seq_named(small[i]);
	return n;
}

unsigned seq_count(void)
{
	return N_OPS;
}

const char *seq_text(unsigned op)
{
	return ops[op].text;
}

unsigned seq_named(const char *text)
{
	unsigned i = 0;

	while (i < N_OPS && strcmp(ops[i].text, text) != 0)
		i++;
	return i;
}

unsigned seq_parse(const char *text, unsigned *ops_out, unsigned max)
{
	unsigned n = 0;

	for (; *text && n < max; n++) {
		size_t len = strcspn(text, ";");
		char word[64];

		snprintf(word, sizeof(word), "%.*s", (int)len, text);
		ops_out[n] = seq_named(word);
		if (ops_out[n] == N_OPS)
			return 0;
		text += len;
		text += strspn(text, "; ");
	}
	return *text ? 0 : n;
}

void seq_init(struct seq *s)
{
	memset(s, 0, sizeof(*s));
	model_fs_init(&s->m);
}

void seq_release(struct seq *s)
{
	seq_close(s);
	model_fs_release(&s->m);
}

void seq_close(struct seq *s)
{
	while (s->n_open > 0)
		core_release(s->core, s->open[--s->n_open]);
}

/* --- the past --- */

unsigned seq_slot(uint64_t ino)
{
	/* the mount's number and a counter */
	return (unsigned)((ino >> 40) * 8 + (ino & 0xffffffffffULL)) %
	       SEQ_FILES;
}

static void note_state(struct seq *s, unsigned at)
{
	struct seq_past *p = &s->past;

	p->names[at] = model_fs_names_hash(&s->m);
	memset(p->bytes[at], 0, sizeof(p->bytes[at]));
	for (int i = 2; i < MODEL_INODES; i++) {
		const struct model_inode *x = &s->m.inodes[i];

		if (x->type == MODEL_FILE)
			p->bytes[at][seq_slot(x->tag)] =
				seq_bytes_hash(x->p, x->n);
	}
}

/* A call that changes something begins: it may have happened from now on. */
static void begin(struct seq *s)
{
	s->floor.done = s->past.n + 1;
}

/* It ended; the model has it. */
static void end(struct seq *s)
{
	struct seq_past *p = &s->past;

	if (++p->n == SEQ_MOMENTS)
		abort();
	memcpy(p->saved[p->n], p->saved[p->n - 1], sizeof(p->saved[0]));
	note_state(s, p->n);
	s->floor.done = p->n;
}

/* It ended, and saved this file. */
static void end_saved(struct seq *s, int ino)
{
	uint64_t tag = s->m.inodes[ino].tag;

	end(s);
	s->past.saved[s->past.n][seq_slot(tag)] = s->past.n;
}

/* A change of a file's bytes failed: some of it may be there. */
static int failed(struct seq *s, int ino, int rc)
{
	s->torn[seq_slot(s->m.inodes[ino].tag)] = true;
	return rc;
}

/* --- names --- */

/* The model's directory and last name of a path; false if it is not there. */
static bool dir_of(const struct seq *s, const char *path, int *out_dir,
		   const char **out_name)
{
	const char *slash;
	int dir = 1;

	while ((slash = strchr(path, '/')) != NULL) {
		char name[MODEL_NAME];
		int at;

		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		at = model_fs_find(&s->m, dir, name);
		if (at < 0)
			return false;
		dir = s->m.names[at].ino;
		if (s->m.inodes[dir].type != MODEL_DIR)
			return false;
		path = slash + 1;
	}
	*out_dir = dir;
	*out_name = path;
	return true;
}

static int find(const struct seq *s, const char *path)
{
	const char *name = NULL;
	int dir = 0, at;

	if (!dir_of(s, path, &dir, &name))
		return 0;
	at = model_fs_find(&s->m, dir, name);
	return at < 0 ? 0 : s->m.names[at].ino;
}

bool seq_possible(const struct seq *s, unsigned op)
{
	const struct op *o = &ops[op];
	int a = o->a ? find(s, o->a) : 0, b = o->b ? find(s, o->b) : 0;
	const char *name;
	int dir;

	switch (o->kind) {
	case SYNC:
	case SECOND:
		return true;
	case CREATE:
	case MKDIR:
		return !a && dir_of(s, o->a, &dir, &name);
	case PUT:
		return dir_of(s, o->a, &dir, &name);
	case RENAME:
		return a && a != b && dir_of(s, o->b, &dir, &name);
	case LINK:
		return a && !b && dir_of(s, o->b, &dir, &name);
	case EXCHANGE:
		return a && b && a != b;
	case RMDIR:
		return a && model_fs_count(&s->m, a) == 0;
	default:
		return a != 0;
	}
}

/* --- running --- */

static int wrong(struct seq *s, const struct op *o, int rc, int want)
{
	s->wrong = true;
	snprintf(s->words, sizeof(s->words), "%s: %s, not %s", o->text,
		 rc ? err_text(rc) : "done", want ? err_text(want) : "done");
	return rc;
}

static int open_for(struct seq *s, int ino, int flags, struct handle **out)
{
	bool keep;

	for (unsigned i = 0; i < s->n_open; i++)
		if (core_handle_ino(s->open[i]) == s->m.inodes[ino].tag &&
		    !(flags & O_SYNC)) {
			*out = s->open[i];
			return 0;
		}
	return core_open_file(s->core, &vol_cred, s->m.inodes[ino].tag,
			      flags | O_RDWR, false, out, &keep);
}

static void close_for(struct seq *s, struct handle *h)
{
	for (unsigned i = 0; i < s->n_open; i++)
		if (s->open[i] == h)
			return;
	if (s->hold && s->n_open < SEQ_OPEN)
		s->open[s->n_open++] = h;
	else
		core_release(s->core, h);
}

static int make(struct seq *s, const struct op *o, enum model_type type,
		int *out)
{
	const char *name = NULL;
	struct stat st;
	int dir = 0, rc;

	if (!dir_of(s, o->a, &dir, &name))
		abort();
	begin(s);
	rc = core_mknod(s->core, &vol_cred, s->m.inodes[dir].tag, name,
			(type == MODEL_DIR ? S_IFDIR : S_IFREG) | 0640, 0, &st);
	if (rc < 0)
		return rc;
	if (model_fs_create(&s->m, dir, name, type, 0640, out) != 0)
		return wrong(s, o, rc, -EEXIST);
	s->m.inodes[*out].tag = st.st_ino;
	end(s);
	return 0;
}

/* Bytes that say where they were written, and compress a little. */
static void fill(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++) {
		if (i % 16 == 0)
			v = v * 6364136223846793005ULL + 1442695040888963407ULL;
		p[i] = i % 16 < 12 ? (uint8_t)(v >> (i % 8 * 8)) : 'x';
	}
}

/* The same in each run: no address is in it. */
static uint64_t fill_seed(const struct op *o)
{
	uint64_t h = o->n + o->off;

	for (const char *p = o->text; *p; p++)
		h = h * 31 + (uint8_t)*p;
	for (const char *p = o->a; *p; p++)
		h = h * 31 + (uint8_t)*p;
	return h;
}

static int write_at(struct seq *s, const struct op *o, int ino, size_t off)
{
	static uint8_t p[300000];
	struct handle *h = NULL;
	bool sync = o->kind == O_SYNC_WRITE;
	int rc = open_for(s, ino, sync ? O_SYNC : 0, &h);

	if (rc >= 0) {
		fill(p, o->n, fill_seed(o) * 100 + s->past.n);
		begin(s);
		rc = core_write(s->core, &vol_cred, h, p, o->n, off, false,
				false);
		/* an O_SYNC write that failed may be there nonetheless */
		if (rc >= 0 || sync) {
			model_fs_write(&s->m, ino, off, p, o->n);
			end(s);
		}
		if (rc < 0)
			(void)failed(s, ino, rc);
		if (rc >= 0 && sync) {
			s->floor.synced = s->past.n;
			s->floor.file[seq_slot(s->m.inodes[ino].tag)] =
				s->past.n;
			s->acked++;
		}
		close_for(s, h);
	}
	return rc;
}

static int put(struct seq *s, const struct op *o)
{
	struct handle *h = NULL;
	int ino = find(s, o->a), rc = 0;
	bool keep;

	if (!ino) {
		rc = make(s, o, MODEL_FILE, &ino);
	} else {
		begin(s);
		rc = core_open_file(s->core, &vol_cred, s->m.inodes[ino].tag,
				    O_RDWR | O_TRUNC, false, &h, &keep);
		if (rc >= 0) {
			model_fs_truncate(&s->m, ino, 0);
			end(s);
			close_for(s, h);
		} else {
			(void)failed(s, ino, rc);
		}
	}
	return rc < 0 ? rc : write_at(s, o, ino, 0);
}

static int set_attr(struct seq *s, const struct op *o, int ino)
{
	struct stat in = { .st_size = (off_t)o->off,
			   .st_mode = (mode_t)o->off };
	bool size = o->kind == TRUNCATE;
	struct stat out;
	int rc;

	begin(s);
	rc = core_setattr(s->core, &vol_cred, s->m.inodes[ino].tag,
			  size ? CORE_SET_SIZE : CORE_SET_MODE, &in, &out);
	if (rc < 0)
		return size ? failed(s, ino, rc) : rc;
	if (size)
		model_fs_truncate(&s->m, ino, o->off);
	else
		s->m.inodes[ino].mode = (uint32_t)o->off;
	end(s);
	return 0;
}

static int punch(struct seq *s, const struct op *o, int ino)
{
	struct handle *h = NULL;
	int rc = open_for(s, ino, 0, &h);

	if (rc < 0)
		return rc;
	begin(s);
	rc = core_fallocate(s->core, &vol_cred, h,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, o->off,
			    o->n);
	if (rc >= 0) {
		model_fs_zero(&s->m, ino, o->off, o->n, true);
		end(s);
	} else {
		(void)failed(s, ino, rc);
	}
	close_for(s, h);
	return rc;
}

static int move(struct seq *s, const struct op *o)
{
	bool exchange = o->kind == EXCHANGE;
	const char *na = NULL, *nb = NULL;
	int da = 0, db = 0, a = find(s, o->a), b = find(s, o->b), rc, want;

	if (!dir_of(s, o->a, &da, &na) || !dir_of(s, o->b, &db, &nb))
		abort();
	begin(s);
	rc = core_rename(s->core, &vol_cred, s->m.inodes[da].tag, na,
			 s->m.inodes[db].tag, nb, exchange ? 2 : 0);
	if (seq_from_below(rc))
		return rc;
	want = model_fs_rename(&s->m, da, na, db, nb, false, exchange);
	if (want != rc)
		return wrong(s, o, rc, want);
	if (rc < 0)
		return rc;
	end_saved(s, a);
	if (exchange)
		s->past.saved[s->past.n][seq_slot(s->m.inodes[b].tag)] =
			s->past.n;
	return 0;
}

static int link_to(struct seq *s, const struct op *o)
{
	const char *nb = NULL;
	int db = 0, a = find(s, o->a), rc;
	struct stat st;

	if (!dir_of(s, o->b, &db, &nb))
		abort();
	begin(s);
	rc = core_link(s->core, &vol_cred, s->m.inodes[a].tag,
		       s->m.inodes[db].tag, nb, &st);
	if (rc < 0)
		return rc;
	if (model_fs_link(&s->m, a, db, nb) != 0)
		return wrong(s, o, rc, -EEXIST);
	end_saved(s, a);
	return 0;
}

static int drop(struct seq *s, const struct op *o)
{
	bool rmdir = o->kind == RMDIR;
	const char *name = NULL;
	int dir = 0, rc, want;

	if (!dir_of(s, o->a, &dir, &name))
		abort();
	begin(s);
	rc = (rmdir ? core_rmdir : core_unlink)(s->core, &vol_cred,
						s->m.inodes[dir].tag, name);
	if (seq_from_below(rc))
		return rc;
	want = model_fs_unlink(&s->m, dir, name, rmdir);
	if (want != rc)
		return wrong(s, o, rc, want);
	if (rc >= 0)
		end(s);
	return rc;
}

static void done(void *ctx, int rc)
{
	*(int *)ctx = rc;
}

static int fsync_of(struct seq *s, const struct op *o)
{
	int ino = find(s, o->a), rc = -EINPROGRESS;
	uint64_t tag = s->m.inodes[ino].tag;
	struct handle *h = NULL;

	if (o->kind == FSYNC) {
		int opened = open_for(s, ino, 0, &h);

		if (opened < 0)
			return opened;
	}
	core_fsync(s->core, h, tag, done, &rc);
	if (rc == 0) {
		s->floor.synced = s->past.n;
		s->acked++;
		if (h)
			s->floor.file[seq_slot(tag)] = s->past.n;
	}
	if (h)
		close_for(s, h);
	return rc;
}

void seq_synced(struct seq *s)
{
	s->floor.synced = s->past.n;
	for (unsigned i = 0; i < SEQ_FILES; i++)
		s->floor.file[i] = s->past.n;
	s->acked++;
}

static int sync_all(struct seq *s)
{
	int rc = core_sync(s->core);

	if (rc >= 0)
		seq_synced(s);
	return rc;
}

static int run(struct seq *s, const struct op *o)
{
	int ino = o->a ? find(s, o->a) : 0, made = 0;

	switch (o->kind) {
	case CREATE:
		return make(s, o, MODEL_FILE, &made);
	case MKDIR:
		return make(s, o, MODEL_DIR, &made);
	case PUT:
		return put(s, o);
	case WRITE:
	case O_SYNC_WRITE:
		return write_at(s, o, ino, o->off);
	case APPEND:
		return write_at(s, o, ino, s->m.inodes[ino].n);
	case TRUNCATE:
	case CHMOD:
		return set_attr(s, o, ino);
	case PUNCH:
		return punch(s, o, ino);
	case RENAME:
	case EXCHANGE:
		return move(s, o);
	case LINK:
		return link_to(s, o);
	case UNLINK:
	case RMDIR:
		return drop(s, o);
	case FSYNC:
	case FSYNC_DIR:
		return fsync_of(s, o);
	case SYNC:
		return sync_all(s);
	case SECOND:
		if (s->advance)
			s->advance(s->ctx);
		while (core_step(s->core))
			;
		return 0;
	}
	return 0;
}

int seq_run(struct seq *s, unsigned op)
{
	int rc = run(s, &ops[op]);

	if (rc < 0 && !s->wrong && !seq_from_below(rc))
		wrong(s, &ops[op], rc, 0);
	if (s->at_once)
		core_step(s->core);
	return rc;
}

static bool plant_file(struct seq *s, const char *path, size_t n)
{
	struct op o = { .text = "plant", .kind = PUT, .a = path, .n = n };

	return put(s, &o) == 0;
}

bool seq_plant(struct seq *s, struct core *c)
{
	static const struct op a = { .text = "plant", .kind = MKDIR, .a = "A" };
	static const struct op b = { .text = "plant", .kind = MKDIR, .a = "B" };
	bool ok;
	int x = 0;

	s->core = c;
	ok = make(s, &a, MODEL_DIR, &x) == 0 &&
	     make(s, &b, MODEL_DIR, &x) == 0 && plant_file(s, "A/foo", 9000) &&
	     plant_file(s, "B/bar", 100000);
	memset(&s->past, 0, sizeof(s->past));
	memset(&s->floor, 0, sizeof(s->floor));
	note_state(s, 0);
	return ok;
}
