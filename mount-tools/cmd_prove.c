/*
 * cmd_prove.c - `vouch prove PATH`: the proof of the newest version, to take
 * home and check with vouch-check.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "mount-tools/ask.h"
#include "mount-tools/hint.h"
#include "mount-tools/opt.h"
#include "mount-tools/print.h"
#include "mount-tools/vouch.h"

/* Where PATH lies in the volume: in the mount, or the second argument. */
static int place_of(struct ctl_place *out, const char **out_path, int argc,
		    char **argv, struct errmsg *em)
{
	int rc = ctl_find(out, argv[0], em);

	if (rc < 0)
		return rc;
	*out_path = out->path ? out->path : argc > 1 ? argv[1] : NULL;
	if (!out->path != (argc > 1))
		return errmsg_set(em, -ERR_USAGE,
				  out->path ? "a path in a mount needs no "
					      "second one" :
					      "which file? give the STORE and "
					      "its PATH inside");
	return 0;
}

static void say(const char *inside, const char *path, const char *to,
		const struct json *answer)
{
	struct buf autocall(buf_release) hint = BUF_INIT;
	char a[PATH_MAX], c[PATH_MAX];
	uint64_t version = 0;

	(void)!json_get_u64(answer, "version", &version);
	log_escape(a, sizeof(a), inside, strlen(inside));
	log_escape(c, sizeof(c), to, strlen(to));
	printf("%s proves version %llu of %s.\n", c,
	       (unsigned long long)version, a);
	buf_adds(&hint, "Check it: `vouch key show STORE >trust && "
			"vouch check ");
	hint_word(&hint, path);
	buf_addc(&hint, ' ');
	hint_word(&hint, to);
	buf_adds(&hint, " --trust trust`");
	if (!hint.bad)
		hint_print((char *)hint.p);
}

enum { NEWEST = 0 }; /* versions are numbered from 1 */

static int prove(int argc, char **argv, const char *to, uint64_t version,
		 struct errmsg *em)
{
	struct json_doc *answer = NULL;
	struct ctl_place place;
	struct buf b = BUF_INIT;
	const char *path = NULL, *text = NULL;
	int rc = place_of(&place, &path, argc, argv, em);

	buf_adds(&b, "\"verb\":\"prove\"");
	if (rc == 0)
		ask_add(&b, "path", path);
	if (version != NEWEST)
		buf_addf(&b, ",\"version\":%llu", (unsigned long long)version);
	if (rc == 0)
		rc = b.bad ? -ENOMEM :
			     ask_volume(&answer, &place, (char *)b.p, em);
	if (rc == 0) {
		text = json_get_str(json_root(answer), "proof");
		rc = text ? 0 : -ERR_FORMAT;
	}
	if (rc == 0 && to && strcmp(to, "-") != 0) {
		rc = print_file(to, text, strlen(text), em);
		if (rc == 0)
			say(path, argc > 1 ? "FILE" : argv[0], to,
			    json_root(answer));
	} else if (rc == 0) {
		fputs(text, stdout);
	}
	json_free(answer);
	buf_release(&b);
	ctl_place_release(&place);
	return rc;
}

int cmd_prove(int argc, char **argv)
{
	const char *to = NULL, *number = NULL;
	uint64_t version = NEWEST;
	const struct opt options[] = {
		{ 'o', "output", OPT_TEXT, &to, "FILE",
		  "where to write it (standard output)" },
		{ 0, "version", OPT_TEXT, &number, "N",
		  "an older version (vouch log numbers them)" },
		OPT_END,
	};
	struct errmsg em = ERRMSG_INIT;
	int status = opt_parse(options, &argc, &argv, 1, 2), rc;

	if (status != OPT_GO)
		return status;
	if (number &&
	    (text_u64_parse(&version, number) < 0 || version == NEWEST))
		return opt_misuse("prove",
				  "--version=%s: versions are "
				  "numbered from 1",
				  number);
	rc = prove(argc, argv, to, version, &em);
	if (rc == -ERR_USAGE)
		return opt_misuse("prove", "%s", errmsg_text(&em, rc));
	return rc < 0 ? opt_fail("prove", rc, &em) : 0;
}
