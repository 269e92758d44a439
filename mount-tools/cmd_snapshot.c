/*
 * cmd_snapshot.c - `vouch snapshot DIR NAME`: gives the state of now a name,
 * to be seen in /audit/at/NAME and to restore from.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "mount-tools/ask.h"
#include "mount-tools/opt.h"
#include "mount-tools/vouch.h"

static void say(enum opt_format format, const char *name,
		const struct ctl_place *place, const struct json *answer)
{
	char shown[512], dir[4096] = "";
	uint64_t seal = 0, pos = 0;

	(void)!json_get_u64(answer, "seal", &seal);
	(void)!json_get_u64(answer, "position", &pos);
	if (format == OPT_AS_JSON) {
		/* The daemon took the name: it is valid, and needs escapes. */
		struct buf b = BUF_INIT;
		buf_adds(&b, "{\"ok\":true");
		ask_add(&b, "name", name);
		printf("%s,\"entry\":\"%llu.%llu\"}\n", (char *)b.p,
		       (unsigned long long)seal, (unsigned long long)pos);
		buf_release(&b);
		return;
	}
	log_escape(shown, sizeof(shown), name, strlen(name));
	printf("Snapshot %s is entry %llu.%llu.\n", shown,
	       (unsigned long long)seal, (unsigned long long)pos);
	if (place->dir) {
		log_escape(dir, sizeof(dir), place->dir, strlen(place->dir));
		printf("It can be seen in %s/audit/at/%s\n", dir, shown);
	}
}

int cmd_snapshot(int argc, char **argv)
{
	enum opt_format format = OPT_AS_TEXT;
	const struct opt options[] = { OPT_FORMAT(&format), OPT_END };
	struct errmsg em = ERRMSG_INIT;
	struct json_doc *answer = NULL;
	struct ctl_place place;
	struct buf b = BUF_INIT;
	int status = opt_parse(options, &argc, &argv, 2, 2), rc;

	if (status != OPT_GO)
		return status;
	if (!((argv[1][0] | 32) >= 'a' && (argv[1][0] | 32) <= 'z') ||
	    strchr(argv[1], '/'))
		return opt_misuse("snapshot",
				  "%s: a name starts with a letter "
				  "and has no /",
				  argv[1]);
	rc = ctl_find_volume(&place, argv[0], &em);
	buf_adds(&b, "\"verb\":\"snapshot\"");
	ask_add(&b, "name", argv[1]);
	if (rc == 0)
		rc = b.bad ? -ENOMEM :
			     ask_volume(&answer, &place, (char *)b.p, &em);
	if (rc == 0)
		say(format, argv[1], &place, json_root(answer));
	buf_release(&b);
	json_free(answer);
	ctl_place_release(&place);
	if (rc == -ERR_USAGE)
		return opt_misuse("snapshot", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("snapshot", rc, &em) : 0;
}
