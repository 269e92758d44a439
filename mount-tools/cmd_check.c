/*
 * cmd_check.c - `vouch check FILE PROOF`: is this file what the proof says?
 * Offline, as vouch-check does it: needs no volume and no mount.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/offline.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

static int no(bool json, int rc, const struct errmsg *em)
{
	const char *words = errmsg_text(em, rc);
	struct buf b = BUF_INIT;

	if (rc == -ERR_USAGE)
		return opt_misuse("check", "%s", words);
	if (!json)
		return opt_fail("check", rc, em);
	buf_adds(&b, "{\"ok\":false,\"error\":");
	text_json_string(&b, words, strlen(words));
	buf_adds(&b, "}\n");
	if (!b.bad)
		fwrite(b.p, 1, b.n, stdout);
	buf_release(&b);
	return 1;
}

int cmd_check(int argc, char **argv)
{
	struct offline_options o = { .trust = NULL };
	enum opt_format format = OPT_AS_TEXT;
	const char *log = NULL;
	const struct opt options[] = {
		{ 't', "trust", OPT_TEXT, &o.trust, "FILE",
		  "whose word counts: what `vouch key show` prints" },
		{ 'l', "log", OPT_TEXT, &log, "DIR",
		  "check a copy of the log (`vouch export`) instead" },
		OPT_FORMAT(&format),
		OPT_END,
	};
	struct buf words = BUF_INIT;
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 0, 2), rc;

	if (status != OPT_GO)
		return status;
	if (argc != (log ? 0 : 2))
		return opt_misuse("check", log ? "--log takes no file" :
						 "a file and its proof are "
						 "needed");
	o.json = format == OPT_AS_JSON;
	rc = log ? offline_check_log(&words, log, &o, &em) :
		   offline_check_file(&words, argv[0], argv[1], &o, &em);
	if (rc == 0)
		fwrite(words.p, 1, words.n, stdout);
	buf_release(&words);
	return rc == 0 ? 0 : no(o.json, rc, &em);
}
