/*
 * vouch.c - the `vouch` command: the table is the help.
 *
 * Called as mount.fuse.vouchfs or umount.fuse.vouchfs it is mount(8)'s and
 * umount(8)'s helper.  One thread, but for what verbs start.
 */
#include "mount-tools/vouch.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* Sorted by name. */
static const struct vouch_verb verbs[] = {
	{ "adopt", cmd_adopt, "adopt STORE",
	  "go on with a store that moved to this machine" },
	{ "anchor", cmd_anchor,
	  "anchor STORE|DIR --git=REPO [--ref=REF] [--format=text|json]",
	  "commit the newest checkpoint into a repository of git" },
	{ "blame", cmd_blame,
	  "blame PATH [-L FIRST,LAST|--bytes=FIRST-LAST|--bytes=all] "
	  "[--at=WHEN] [-v] "
	  "[--format=text|json]\n"
	  "blame STORE PATH [-L FIRST,LAST|--bytes=FIRST-LAST|--bytes=all] "
	  "[--at=WHEN] [-v] "
	  "[--format=text|json]",
	  "tell who wrote each line or byte of a file" },
	{ "check", cmd_check,
	  "check FILE FILE.tlog-proof [--trust=FILE] [--format=text|json]\n"
	  "check --log DIR [--trust=FILE] [--format=text|json]",
	  "tell offline whether a file is what its proof says" },
	{ "diff", cmd_diff,
	  "diff RUN [PATH...] [--in=STORE|DIR] "
	  "[--stat|--name-status|--name-only] [--format=text|json]\n"
	  "diff WHEN [WHEN] [PATH...] [--in=STORE|DIR] "
	  "[--stat|--name-status|--name-only] [--format=text|json]\n"
	  "diff --at=WHEN [--to=WHEN] [PATH...] [--in=STORE|DIR] "
	  "[--stat|--name-status|--name-only] [--format=text|json]",
	  "show what a run changed, or what differs between two states" },
	{ "export", cmd_export, "export STORE|DIR DIR [--tree [--at=WHEN]]",
	  "write the log, and the files, out for others" },
	{ "fork", cmd_fork, "fork STORE [--suffix=NAME] [--admin=FILE]",
	  "make a copy of a store a volume of its own" },
	{ "fsck", cmd_fsck,
	  "fsck STORE [--deep] [--repair [--from=REPLICA]] "
	  "[--format=text|json]",
	  "check the parts of a store against each other, repair them" },
	{ "gc", cmd_gc,
	  "gc STORE|DIR [-n] [--threshold=PERCENT] [--rate=MIB] [--drop-saves] "
	  "[--format=text|json]",
	  "release what the policy lets go, and free its space" },
	{ "git-fsmonitor", cmd_git_fsmonitor, "git-fsmonitor VERSION TOKEN",
	  "tell git what changed: its core.fsmonitor hook" },
	{ "git-setup", cmd_git_setup, "git-setup [DIR] [--off]",
	  "let git in DIR ask what changed, not look" },
	{ "hold", cmd_hold,
	  "hold add STORE|DIR PATTERN|--inode=N --reason=TEXT\n"
	  "hold lift STORE|DIR PATTERN|ENTRY --reason=TEXT\n"
	  "hold list STORE|DIR [-a] [--format=text|json]",
	  "keep what a policy would let go; lift that again" },
	{ "import", cmd_import, "import BUNDLE DIR [--trust=FILE]",
	  "take in files that were exported, and where they come from" },
	{ "init", cmd_init, "init STORE [--origin=NAME]",
	  "make a new volume in the directory STORE" },
	{ "key", cmd_key,
	  "key show STORE|DIR [--pem [--id=ID]]\n"
	  "key list STORE|DIR [--format=text|json]\n"
	  "key add STORE PUBLIC\n"
	  "key rotate STORE mount|log\n"
	  "key revoke STORE ID",
	  "tell what others need to check proofs; change keys" },
	{ "lineage", cmd_lineage,
	  "lineage PATH [--version=N] [--as=FORM [-o FILE]]\n"
	  "lineage STORE PATH [--version=N] [--as=FORM [-o FILE]]\n"
	  "lineage RUN [--in=STORE|DIR] [--as=FORM [-o FILE]]",
	  "tell what a file was made from, and what from it" },
	{ "log", cmd_log,
	  "log [PATH] [--follow] [-n N] [--all] [--format=text|json]\n"
	  "log STORE [PATH] [--follow] [-n N] [--all] [--format=text|json]",
	  "tell what happened to a file or a volume" },
	{ "mount", cmd_mount, "mount STORE DIR [-f] [-o OPTS]",
	  "mount the volume STORE on DIR" },
	{ "prove", cmd_prove,
	  "prove PATH [-o FILE.tlog-proof] [--version=N]\n"
	  "prove STORE PATH [-o FILE.tlog-proof] [--version=N]",
	  "write a proof of a file, to be checked offline" },
	{ "query", cmd_query,
	  "query STORE|DIR SQL [--format=text|csv|json] [--time=SECONDS]",
	  "ask the log in SQL" },
	{ "reindex", cmd_reindex, "reindex STORE",
	  "make the index anew from the log" },
	{ "replica", cmd_replica,
	  "replica add|remove STORE|DIR DIRECTORY\n"
	  "replica list|sync STORE|DIR [--format=text|json]\n"
	  "replica restore DIRECTORY STORE",
	  "keep copies of a store, and make it again from one" },
	{ "restore", cmd_restore,
	  "restore PATH... --at=WHEN [--exact] [-n] [--format=text|json]",
	  "bring files or trees back as they were" },
	{ "retain", cmd_retain,
	  "retain set STORE|DIR PATTERN [--for=AGE] [--versions=N] [--at=N]\n"
	  "retain set STORE|DIR PATTERN --all [--at=N]\n"
	  "retain remove STORE|DIR PATTERN\n"
	  "retain list STORE|DIR [--format=text|json]",
	  "tell how long old versions are kept" },
	{ "run", cmd_run,
	  "run [--name=NAME] [--in=DIR]... [-q] [--no-cgroup] [--guard] "
	  "[--hide=GLOB]... [--protect=GLOB]... [--read-only] "
	  "[--no-default-protect] "
	  "[--format=text|json] [--] CMD [ARG...]",
	  "run a program, and know afterwards what it did" },
	{ "runs", cmd_runs, "runs [STORE|DIR] [-a] [-n N] [--format=text|json]",
	  "list what ran, and what came of it" },
	{ "scrub", cmd_scrub, "scrub STORE|DIR [--format=text|json]",
	  "read everything and repair it from the replicas" },
	{ "show", cmd_show,
	  "show PATH [--format=text|json]\n"
	  "show SEAL.POS [STORE|DIR] [--format=text|json]\n"
	  "show STORE PATH [--format=text|json]",
	  "tell all that an entry says" },
	{ "snapshot", cmd_snapshot,
	  "snapshot STORE|DIR NAME [--remove] [--format=text|json]\n"
	  "snapshot STORE|DIR --list [--format=text|json]",
	  "give the state of now a name" },
	{ "status", cmd_status, "status [-v] [STORE|DIR] [--format=text|json]",
	  "tell how a volume is, or all that are mounted" },
	{ "sync", cmd_sync, "sync DIR",
	  "make everything written so far durable" },
	{ "umount", cmd_umount, "umount DIR [-f] [-l]",
	  "unmount, and return when everything is durable" },
	{ "undo", cmd_undo,
	  "undo RUN [PATH...] [-n] [--in=DIR] [--format=text|json]",
	  "take back what a run did, and nothing else" },
	{ "verify", cmd_verify,
	  "verify STORE|DIR [--deep] [--consistent=CHECKPOINT] "
	  "[--git=REPO [--ref=REF]] "
	  "[--format=text|json]",
	  "check every signature, hash and rule" },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]), EXIT_MISUSE = 2 };

const struct vouch_verb *vouch_find(const char *name)
{
	for (int i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int print_help(void)
{
	printf("usage: vouch VERB [ARGUMENT...]\n"
	       "  a filesystem that signs for everything you write\n"
	       "\n");
	for (int i = 0; i < VERBS; i++)
		printf("  %-14s %s\n", verbs[i].name, verbs[i].summary);
	printf("\n"
	       "`vouch VERB --help` tells more; vouch(1), vouchfs(7).\n"
	       "To begin: vouch init vol && vouch mount vol mnt\n");
	return 0;
}

static int print_version(void)
{
	printf("vouch %s\n", VOUCHFS_VERSION);
	return 0;
}

static int misuse(const char *verb)
{
	char shown[128];

	if (verb) {
		log_escape(shown, sizeof(shown), verb, strlen(verb));
		fprintf(stderr, "vouch: unknown verb %s\n", shown);
	}
	fprintf(stderr, "usage: vouch VERB [ARGUMENT...] (`vouch --help` "
			"lists the verbs)\n");
	return EXIT_MISUSE;
}

/* Output that did not reach its reader is a failure. */
static int finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (status == 0)
			perror("vouch: writing the output");
		return status ? status : 1;
	}
	return status;
}

/* `vouch help VERB` is `vouch VERB --help`. */
static int help_of(const char *verb)
{
	const struct vouch_verb *v = vouch_find(verb);
	char *argv[] = { (char *)verb, (char[]){ "--help" }, NULL };

	return v ? v->run(2, argv) : misuse(verb);
}

int main(int argc, char **argv)
{
	const char *self = argc > 0 ? basename(argv[0]) : "vouch";
	const struct vouch_verb *v;

	if (strcmp(self, "mount.fuse.vouchfs") == 0)
		return cmd_mount_helper(argc, argv);
	if (strcmp(self, "umount.fuse.vouchfs") == 0)
		return cmd_umount_helper(argc, argv);
	if (argc < 2)
		return misuse(NULL);
	if (strcmp(argv[1], "help") == 0 && argc > 2)
		return finish(help_of(argv[2]));
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return finish(print_help());
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return finish(print_version());
	v = vouch_find(argv[1]);
	if (!v)
		return misuse(argv[1]);
	return finish(v->run(argc - 1, argv + 1));
}
