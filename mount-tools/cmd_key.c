/*
 * cmd_key.c - `vouch key`: what others need to check proofs, and the keys of
 * the log, which come and go by entries.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/dsse.h"
#include "ledger/key.h"
#include "ledger/ledger.h"
#include "mount-tools/admin.h"
#include "mount-tools/hint.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/reader.h"
#include "mount-tools/vouch.h"

static int show_trust(struct reader *r)
{
	struct buf b = BUF_INIT;
	int rc = ledger_trust(r->ledger, &b);

	if (rc == 0)
		rc = print_flush(&b);
	buf_release(&b);
	return rc;
}

/* The key that statements of a mount are checked with (ledger/dsse.h). */
struct wanted_key {
	const char *id; /* in hex; NULL: of the store's own mount */
	uint32_t mount_no;
	bool found;
	struct ledger_key_info key;
};

static int on_wanted(void *ctx, const struct ledger_key_info *k)
{
	struct wanted_key *w = ctx;
	struct buf id = BUF_INIT;
	bool fits;

	text_hex(&id, k->id, sizeof(k->id));
	if (w->id)
		fits = id.n && strcmp((char *)id.p, w->id) == 0;
	else
		fits = k->role == KEY_MOUNT && k->mount_no == w->mount_no &&
		       k->until == UINT64_MAX;
	if (fits) {
		w->key = *k;
		w->found = true;
	}
	buf_release(&id);
	return 0;
}

static int show_pem(struct reader *r, const char *id, struct errmsg *em)
{
	struct wanted_key w = {
		.id = id,
		.mount_no = ledger_mount_no(r->ledger),
	};
	struct buf b = BUF_INIT;
	int rc = ledger_keys(r->ledger, on_wanted, &w);

	if (rc == 0 && !w.found)
		rc = errmsg_set(em, -ENOENT,
				"no key %s: `vouch key list STORE` has "
				"those there are",
				id ? id : "of this mount");
	if (rc == 0) {
		dsse_pem(&b, w.key.pub);
		rc = print_flush(&b);
	}
	buf_release(&b);
	return rc;
}

struct listing {
	struct buf b;
	bool json, any;
};

static const char *fate(uint8_t revoked)
{
	switch (revoked) {
	case 0:
		return "active";
	case 1:
		return "retired";
	case 2:
		return "lost";
	case 3:
		return "stolen";
	default:
		return "rotated";
	}
}

static void list_json(struct listing *l, const struct ledger_key_info *k)
{
	const char *role = key_role_name(k->role);

	buf_addf(&l->b, "%s{\"id\":\"", l->any ? "," : "");
	text_hex(&l->b, k->id, sizeof(k->id));
	buf_addf(&l->b, "\",\"role\":\"%s\",\"mount\":%u,\"public\":\"",
		 role ? role : "?", k->mount_no);
	text_hex(&l->b, k->pub, sizeof(k->pub));
	buf_addf(&l->b, "\",\"state\":\"%s\",\"from\":%llu,\"until\":",
		 fate(k->revoked), (unsigned long long)k->from);
	if (k->until == UINT64_MAX)
		buf_adds(&l->b, "null");
	else
		buf_addf(&l->b, "%llu", (unsigned long long)k->until);
	buf_adds(&l->b, ",\"name\":");
	text_json_string(&l->b, k->name, strlen(k->name));
	buf_addc(&l->b, '}');
}

static void list_text(struct listing *l, const struct ledger_key_info *k)
{
	const char *role = key_role_name(k->role);

	text_hex(&l->b, k->id, sizeof(k->id));
	buf_addf(&l->b, "  %-6s  %-7s  from seal %llu", role ? role : "?",
		 fate(k->revoked), (unsigned long long)k->from);
	if (k->until != UINT64_MAX)
		buf_addf(&l->b, " to %llu", (unsigned long long)k->until);
	if (k->role == KEY_MOUNT)
		buf_addf(&l->b, "  mount %u", k->mount_no);
	if (k->name[0]) {
		buf_adds(&l->b, "  ");
		text_term_escape(&l->b, k->name, strlen(k->name));
	}
	buf_addc(&l->b, '\n');
}

static int on_key(void *ctx, const struct ledger_key_info *k)
{
	struct listing *l = ctx;

	if (l->json)
		list_json(l, k);
	else
		list_text(l, k);
	l->any = true;
	return 0;
}

static int list_keys(struct reader *r, bool json)
{
	struct listing l = { .b = BUF_INIT, .json = json };
	int rc;

	if (json)
		buf_addc(&l.b, '[');
	rc = ledger_keys(r->ledger, on_key, &l);
	if (json)
		buf_adds(&l.b, "]\n");
	if (rc == 0)
		rc = print_flush(&l.b);
	buf_release(&l.b);
	return rc;
}

struct look {
	bool list, json, pem;
	const char *id;
};

static int look(const char *path, const struct look *how)
{
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int rc = reader_open(&r, path, NULL, 0, &em);

	if (rc < 0)
		return opt_fail("key", rc, &em);
	if (how->pem)
		rc = show_pem(&r, how->id, &em);
	else
		rc = how->list ? list_keys(&r, how->json) : show_trust(&r);
	reader_close(&r);
	return rc < 0 ? opt_fail("key", rc, &em) : 0;
}

/* --- changing them ------------------------------------------------------------ */

struct change {
	const char *admin, *role, *name, *reason, *since, *comment;
};

static int parse_hex(uint8_t *out, size_t n, const char *hex, struct errmsg *em)
{
	struct buf b = BUF_INIT;
	int rc = text_hex_decode(&b, hex, strlen(hex));

	if (rc == 0 && b.n == n)
		memcpy(out, b.p, n);
	else
		rc = errmsg_set(em, -ERR_USAGE, "%s: not %zu hex digits", hex,
				2 * n);
	buf_release(&b);
	return rc;
}

static int add(struct ledger *l, const struct change *c, const char *hex,
	       const struct ledger_admin *admin, struct errmsg *em)
{
	bool replica = c->role && strcmp(c->role, "replica") == 0;
	uint8_t pub[KEY_SIZE];
	uint32_t mount_no = 0;
	int rc = parse_hex(pub, sizeof(pub), hex, em);

	if (rc == 0 && c->role && !replica && strcmp(c->role, "mount") != 0)
		rc = errmsg_set(em, -ERR_USAGE, "--role: mount or replica");
	if (rc == 0)
		rc = ledger_key_add(l, &mount_no,
				    replica ? KEY_REPLICA : KEY_MOUNT, pub,
				    c->name ? c->name : "", admin, em);
	if (rc == 0 && replica)
		printf("The replica's key is certified.\n");
	else if (rc == 0)
		printf("The key is certified, as that of mount %u.\n",
		       mount_no);
	return rc;
}

static int rotate(struct ledger *l, const char *role,
		  const struct ledger_admin *admin, struct errmsg *em)
{
	bool log = strcmp(role, "log") == 0;
	int rc;

	if (!log && strcmp(role, "mount") != 0)
		return errmsg_set(em, -ERR_USAGE, "%s: mount or log", role);
	rc = ledger_rotate(l, log ? KEY_LOG : KEY_MOUNT, admin, em);
	if (rc < 0)
		return rc;
	printf("A new %s key takes the place of the old one, which "
	       "stays good for what it signed.\n",
	       role);
	hint_print(log ? "Hand out what `vouch key show STORE` prints again." :
			 "Keep a copy of it where you keep the others; "
			 "replicas learn of it when the volume is mounted "
			 "next.");
	return 0;
}

static int revoke(struct ledger *l, const struct change *c, const char *id,
		  const struct ledger_admin *admin, struct errmsg *em)
{
	static const char *const reasons[] = { "retired", "lost", "stolen" };
	struct ledger_revocation r = { .comment = c->comment };
	struct timespec now;
	int rc = parse_hex(r.key_id, sizeof(r.key_id), id, em);

	for (uint8_t i = 0; c->reason && i < 3; i++)
		if (strcmp(c->reason, reasons[i]) == 0)
			r.reason = (uint8_t)(i + 1);
	if (rc == 0 && r.reason == 0)
		return errmsg_set(em, -ERR_USAGE,
				  "--reason: retired, lost or stolen");
	clock_gettime(CLOCK_REALTIME, &now);
	if (rc == 0 && c->since &&
	    text_time_parse(&r.suspect_since_ns, c->since,
			    now.tv_sec * 1000000000LL + now.tv_nsec) < 0)
		return errmsg_set(em, -ERR_USAGE, "%s is no time", c->since);
	if (rc == 0)
		rc = ledger_revoke(l, &r, admin, em);
	if (rc == 0)
		printf("The key signs nothing any more.%s\n",
		       c->since ? " What it signed since then is disputed." :
				  "");
	return rc;
}

static int change(const char *how, const char *store, const char *what,
		  const struct change *c)
{
	struct errmsg em = ERRMSG_INIT;
	struct ledger *l = NULL;
	struct admin a;
	int rc = admin_open(&a, store, c->admin, &em);

	if (rc < 0)
		return opt_fail("key", rc, &em);
	rc = ledger_open(&l, &a.o, &em);
	if (rc == 0 && how[0] == 'a')
		rc = add(l, c, what, &a.key, &em);
	else if (rc == 0 && how[1] == 'o')
		rc = rotate(l, what, &a.key, &em);
	else if (rc == 0)
		rc = revoke(l, c, what, &a.key, &em);
	ledger_close(l);
	admin_close(&a);
	if (rc == -ERR_USAGE)
		return opt_misuse("key", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("key", rc, &em) : 0;
}

int cmd_key(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	struct change c = { .admin = NULL };
	struct look how = { .list = false };
	const struct opt options[] = {
		{ 0, "admin", OPT_TEXT, &c.admin, "FILE",
		  "the admin key (STORE/keys/admin.key)" },
		{ 0, "role", OPT_TEXT, &c.role, "mount|replica",
		  "add: whose key it is (mount)" },
		{ 0, "name", OPT_TEXT, &c.name, "NAME",
		  "add: what it is called" },
		{ 0, "reason", OPT_TEXT, &c.reason, "retired|lost|stolen",
		  "revoke: why" },
		{ 0, "suspect-since", OPT_TEXT, &c.since, "TIME",
		  "revoke: what it signed since then is disputed" },
		{ 0, "comment", OPT_TEXT, &c.comment, "TEXT",
		  "revoke: words for the log" },
		{ 0, "pem", OPT_FLAG, &how.pem, NULL,
		  "show: the mount's key alone, in PEM" },
		{ 0, "id", OPT_TEXT, &how.id, "ID",
		  "show --pem: another key's, by its id" },
		OPT_FORMAT(&format),
		OPT_END,
	};
	int status = opt_parse(options, &argc, &argv, 2, 3);

	if (status != OPT_GO)
		return status;
	how.json = format == OPT_AS_JSON;
	how.list = strcmp(argv[0], "list") == 0;
	if ((how.pem || how.id) && strcmp(argv[0], "show") != 0)
		return opt_misuse("key", "--pem and --id go with key show");
	if (how.id && !how.pem)
		return opt_misuse("key", "--id goes with --pem");
	if (argc == 2 && strcmp(argv[0], "show") == 0) {
		if (how.json)
			return opt_misuse("key", "key show prints a trust "
						 "file; `key list` has "
						 "--format=json");
		return look(argv[1], &how);
	}
	if (argc == 2 && how.list)
		return look(argv[1], &how);
	if (argc == 3 &&
	    (strcmp(argv[0], "add") == 0 || strcmp(argv[0], "rotate") == 0 ||
	     strcmp(argv[0], "revoke") == 0))
		return change(argv[0], argv[1], argv[2], &c);
	return opt_misuse("key", "show, list, add, rotate or revoke, and "
				 "what they need");
}
