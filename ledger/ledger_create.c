/*
 * ledger_create.c - make a new log.
 *
 * The first batch holds everything a follower needs to begin with: GENESIS,
 * the certificates of the first mount and of the log, the root directory, the
 * parameters.  volume.conf is written last: a creation that was cut short
 * left no volume.
 */
#include <dirent.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/vio.h"
#include "ledger/cert.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/key.h"
#include "ledger/ledger_impl.h"
#include "ledger/rules.h"
#include "ledger/tile_store.h"
#include "ledger/wal.h"

enum { FIRST_MOUNT = 1, ENTRIES = 5 };

/* The first batch while it is put together. */
struct first {
	struct ledger *l;
	const struct ledger_create_options *o;
	struct key *admin;
	uint8_t nonce[16];
	struct buf bytes[ENTRIES];
	struct ledger_entry entries[ENTRIES];
	uint32_t n;
};

static int add(struct first *f, struct entry *e)
{
	struct buf *b = &f->bytes[f->n];
	struct ledger_entry *le = &f->entries[f->n];
	uint8_t salt[ENTRY_SALT_SIZE];
	int rc = vio_random(f->l->vio, salt, sizeof(salt));

	e->core.kind = e->body.kind;
	e->core.wall_ns = vio_wall_ns(f->l->vio);
	if (rc == 0)
		rc = entry_store(b, &le->leaf, e, salt);
	if (rc < 0)
		return rc;
	le->bytes = b->p;
	le->len = (uint32_t)b->n;
	f->n++;
	return 0;
}

static int add_genesis(struct first *f)
{
	struct entry e = { .body = { .kind = ENTRY_GENESIS } };
	struct entry_genesis *g = &e.body.genesis;

	g->origin = ENTRY_STR(f->o->origin);
	g->n_admin = 1;
	memcpy(g->admin[0], key_public(f->admin), KEY_SIZE);
	memcpy(g->nonce, f->nonce, sizeof(g->nonce));
	return add(f, &e);
}

static int add_key(struct first *f, const struct key *k, uint32_t mount_no)
{
	struct entry e = { .body = { .kind = ENTRY_KEY_ADD } };
	struct cert c = { .mount_no = mount_no, .role = (uint8_t)key_role(k) };
	int rc;

	memcpy(c.volume_id, f->l->volume.id, sizeof(c.volume_id));
	memcpy(c.pub, key_public(k), KEY_SIZE);
	rc = cert_make(e.body.key_add.cert, &c, f->admin);
	if (rc < 0)
		return rc;
	e.body.key_add.name = ENTRY_STR(key_role_name(key_role(k)));
	return add(f, &e);
}

static int add_root(struct first *f)
{
	struct entry e = { .body = { .kind = ENTRY_CREATE } };
	struct entry_create *c = &e.body.create;
	int rc;

	e.core.inode = ENTRY_INODE_ROOT;
	c->dtype = DT_DIR;
	c->mode = (uint16_t)(f->o->root_mode & 07777);
	c->uid = f->o->root_uid;
	c->gid = f->o->root_gid;
	c->name = ENTRY_STR("");
	c->has_dir_salt = true;
	rc = vio_random(f->l->vio, c->dir_salt, sizeof(c->dir_salt));
	return rc < 0 ? rc : add(f, &e);
}

static int add_params(struct first *f)
{
	const struct entry_param params[] = {
		{ ENTRY_STR("chunk.average"), ENTRY_STR("65536") },
		{ ENTRY_STR("chunk.max"), ENTRY_STR("262144") },
		{ ENTRY_STR("chunk.min"), ENTRY_STR("16384") },
		{ ENTRY_STR("content"), ENTRY_STR("blake3") },
		{ ENTRY_STR("format"), ENTRY_STR("1") },
	};
	struct entry e = { .body = { .kind = ENTRY_PARAMS } };

	e.body.params.n = sizeof(params) / sizeof(params[0]);
	e.body.params.v = params;
	return add(f, &e);
}

static int first_batch(struct first *f)
{
	struct ledger_frame *frame = NULL;
	uint64_t seal = 0;
	int rc = add_genesis(f);

	if (rc == 0)
		rc = add_key(f, f->l->mount_key, FIRST_MOUNT);
	if (rc == 0)
		rc = add_key(f, f->l->log_key, 0);
	if (rc == 0)
		rc = add_root(f);
	if (rc == 0)
		rc = add_params(f);
	if (rc == 0)
		rc = ledger_seal(f->l, &frame, &seal, f->entries, f->n, NULL,
				 0);
	if (rc == 0)
		rc = ledger_commit(f->l, frame);
	return rc;
}

/* -EEXIST in words when the directory holds anything of ours. */
static int check_empty(struct vio *v, struct errmsg *em)
{
	static const char *const names[] = { VOLUME_FILE, "keys", "wal",
					     "ledger", "packs" };
	struct vio_stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int rc = vio_stat(v, names[i], &st);

		if (rc == -ENOENT)
			continue;
		if (rc < 0)
			return errmsg_set(em, rc, "%s: %s", names[i],
					  err_text(rc));
		if (i == 0)
			return errmsg_set(em, -EEXIST,
					  "there is a volume here already");
		return errmsg_set(
			em, -EEXIST,
			"%s is here already, left by a creation that was cut "
			"short or by something else: remove it first",
			names[i]);
	}
	return 0;
}

static int make_keys(struct first *f, struct errmsg *em)
{
	struct ledger *l = f->l;
	int rc = vio_mkdirs(l->vio, "keys");

	if (rc == 0)
		rc = key_generate(&f->admin, KEY_ADMIN, l->vio);
	if (rc == 0)
		rc = key_generate(&l->log_key, KEY_LOG, l->vio);
	if (rc == 0)
		rc = key_generate(&l->mount_key, KEY_MOUNT, l->vio);
	if (rc == 0)
		rc = key_save(f->admin, l->vio, LEDGER_ADMIN_KEY, em);
	if (rc == 0)
		rc = key_save(l->log_key, l->vio, LEDGER_LOG_KEY, em);
	if (rc == 0)
		rc = key_save(l->mount_key, l->vio, LEDGER_MOUNT_KEY, em);
	if (rc == 0)
		rc = vio_random(l->vio, f->nonce, sizeof(f->nonce));
	return rc;
}

static void make_volume(struct first *f)
{
	struct volume *v = &f->l->volume;
	uint8_t admin[1][KEY_SIZE];
	size_t n = strlen(f->o->origin);

	memcpy(admin[0], key_public(f->admin), KEY_SIZE);
	memcpy(v->origin, f->o->origin, n + 1);
	v->mount_no = FIRST_MOUNT;
	v->guarded = f->l->guard_vio != NULL;
	key_volume_id(v->id, v->origin, n, (const uint8_t(*)[KEY_SIZE])admin, 1,
		      f->nonce);
}

static int make_stores(struct ledger *l, struct errmsg *em)
{
	struct wal_options wo = {
		.vio = l->vio,
		.volume_id = l->volume.id,
		.segment_bytes = l->o.wal_segment_bytes,
		.create = true,
	};
	struct journal_options jo = {
		.vio = l->vio,
		.volume_id = l->volume.id,
		.segment_bytes = l->o.journal_segment_bytes,
		.create = true,
	};
	int rc = wal_open(&l->wal, &wo, em);

	if (rc == 0)
		rc = journal_open(&l->journal, &jo, em);
	if (rc == 0)
		rc = journal_start(l->journal);
	if (rc == 0)
		rc = wal_start(l->wal, 0);
	if (rc == 0)
		rc = rules_new(&l->rules, ledger_rules_root, l);
	if (rc == 0)
		rc = vio_random(l->vio, l->incarnation, sizeof(l->incarnation));
	l->next = (struct ledger_next){
		.batch_seq = 1,
		.first_seq = RULES_FIRST_SEQ,
	};
	return rc;
}

static int make_all(struct first *f, struct errmsg *em)
{
	struct ledger *l = f->l;
	int rc = make_keys(f, em);

	if (rc == 0) {
		make_volume(f);
		rc = ledger_take_lock(l, em);
	}
	if (rc == 0)
		rc = make_stores(l, em);
	if (rc == 0 && l->guard_vio != NULL)
		rc = ledger_identify(l);
	if (rc == 0)
		rc = first_batch(f);
	if (rc == 0)
		rc = ledger_checkpoint(l, em);
	if (rc == 0)
		rc = ledger_trust_save(l, em);
	if (rc == 0)
		rc = ledger_rules_save(l);
	if (rc == 0)
		rc = vio_syncdir(l->vio, ".");
	if (rc == 0)
		rc = volume_write(&l->volume, l->vio, em);
	return rc;
}

int ledger_create(const struct ledger_create_options *o, struct errmsg *em)
{
	struct ledger_options lo = {
		.vio = o->vio,
		.guard_vio = o->guard_vio,
		.wal_segment_bytes = o->wal_segment_bytes,
		.journal_segment_bytes = o->journal_segment_bytes,
	};
	struct first f = { .o = o };
	int rc;

	if (checkpoint_origin_check(o->origin, strlen(o->origin)) != 0)
		return errmsg_set(
			em, -ERR_USAGE,
			"'%s' cannot be an origin: 1 to %d characters, no "
			"blanks, no '+'",
			o->origin, LIMIT_ORIGIN);
	if (o->keys_dir != NULL && strcmp(o->keys_dir, "keys") != 0)
		return errmsg_set(em, -ERR_USAGE, "keys live in keys/");
	rc = check_empty(o->vio, em);
	if (rc == 0)
		rc = ledger_new(&f.l, &lo);
	if (rc == 0)
		rc = make_all(&f, em);
	for (int i = 0; i < ENTRIES; i++)
		buf_release(&f.bytes[i]);
	key_free(f.admin);
	ledger_close(f.l);
	return rc < 0 ? errmsg_set(em, rc, "%s", err_text(rc)) : 0;
}
