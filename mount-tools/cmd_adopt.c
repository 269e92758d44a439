/*
 * cmd_adopt.c - `vouch adopt` and `vouch fork`: a store that moved goes on; a
 * copy, or what was saved of a lost one, becomes a volume with a history of
 * its own.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "index/idx.h"
#include "mount-tools/admin.h"
#include "mount-tools/hint.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

int cmd_adopt(int argc, char **argv)
{
	const struct opt options[] = { OPT_END };
	struct errmsg em = ERRMSG_INIT;
	struct admin a;
	char shown[4096];
	int status = opt_parse(options, &argc, &argv, 1, 1), rc;

	if (status != OPT_GO)
		return status;
	rc = admin_open(&a, argv[0], NULL, &em);
	if (rc < 0)
		return opt_fail("adopt", rc, &em);
	rc = ledger_adopt(&a.o, &em);
	if (rc == 0) {
		log_escape(shown, sizeof(shown), a.store, strlen(a.store));
		printf("%s goes on from here, on this machine.\n"
		       "A copy of it elsewhere must not be used any more: two "
		       "of them would fork the log.\n",
		       shown);
	}
	admin_close(&a);
	return rc < 0 ? opt_fail("adopt", rc, &em) : 0;
}

static void say(const struct ledger_fork_report *r)
{
	char was[512], is[512];

	log_escape(was, sizeof(was), r->old_origin, strlen(r->old_origin));
	log_escape(is, sizeof(is), r->new_origin, strlen(r->new_origin));
	printf("The log is called %s from seal %llu on; before that it is "
	       "%s's.\n",
	       is, (unsigned long long)r->size, was);
	if (r->lost_size > r->size)
		printf("Signed as %s and given up: seals %llu to %llu.\n", was,
		       (unsigned long long)r->size,
		       (unsigned long long)r->lost_size - 1);
	hint_print("It has new keys: hand out what `vouch key show STORE` "
		   "prints again.");
}

int cmd_fork(int argc, char **argv)
{
	const char *key = NULL, *suffix = NULL;
	const struct opt options[] = {
		{ 0, "suffix", OPT_TEXT, &suffix, "NAME",
		  "the new origin is the old one and /NAME (the time)" },
		{ 0, "admin", OPT_TEXT, &key, "FILE",
		  "the admin key (STORE/keys/admin.key)" },
		OPT_END,
	};
	struct ledger_fork_report r;
	struct errmsg em = ERRMSG_INIT;
	struct admin a;
	int status = opt_parse(options, &argc, &argv, 1, 1), rc;

	if (status != OPT_GO)
		return status;
	rc = admin_open(&a, argv[0], key, &em);
	if (rc < 0)
		return opt_fail("fork", rc, &em);
	rc = ledger_fork(&r, &a.o, suffix, &a.key, &em);
	/* It may have what the log gave up. */
	if (rc == 0)
		rc = idx_remove(a.o.vio, NULL);
	if (rc == 0)
		say(&r);
	admin_close(&a);
	if (rc == -ERR_USAGE)
		return opt_misuse("fork", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("fork", rc, &em) : 0;
}
