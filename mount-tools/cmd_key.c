/*
 * cmd_key.c - `vouch key`: what others need to check proofs, and the keys of
 * the log.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/key.h"
#include "ledger/ledger.h"
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

static int look(const char *path, bool list, bool json)
{
	struct errmsg em = ERRMSG_INIT;
	struct reader r;
	int rc = reader_open(&r, path, NULL, 0, &em);

	if (rc < 0)
		return opt_fail("key", rc, &em);
	rc = list ? list_keys(&r, json) : show_trust(&r);
	reader_close(&r);
	return rc < 0 ? opt_fail("key", rc, &em) : 0;
}

int cmd_key(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	const struct opt options[] = { OPT_FORMAT(&format), OPT_END };
	int status = opt_parse(options, &argc, &argv, 2, 2);

	if (status != OPT_GO)
		return status;
	if (strcmp(argv[0], "show") == 0 && format == OPT_AS_JSON)
		return opt_misuse("key", "key show prints a trust file; `key "
					 "list` has --format=json");
	if (strcmp(argv[0], "show") == 0 || strcmp(argv[0], "list") == 0)
		return look(argv[1], argv[0][0] == 'l', format == OPT_AS_JSON);
	return opt_misuse("key", "key: show or list");
}
