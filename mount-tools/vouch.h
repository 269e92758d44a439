/*
 * vouch.h - the table of verbs.
 *
 * To add one: write mount-tools/cmd_NAME.c with `int cmd_name(int argc,
 * char **argv)` (argv[0] is the verb's name), declare it below, and add its
 * line to the table in vouch.c, which is sorted by name.  A verb returns its
 * exit status: 0 yes or done, 1 no or failure (words on stderr), 2 misuse.
 */
#ifndef MOUNT_TOOLS_VOUCH_H
#define MOUNT_TOOLS_VOUCH_H

struct vouch_verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *synopsis; /* what follows "vouch "; a line for each form */
	const char *summary;  /* one line, lower case, no full stop */
};

/* NULL when there is no such verb. */
const struct vouch_verb *vouch_find(const char *name);

int cmd_adopt(int argc, char **argv);
int cmd_blame(int argc, char **argv);
int cmd_anchor(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_fork(int argc, char **argv);
int cmd_fsck(int argc, char **argv);
int cmd_gc(int argc, char **argv);
int cmd_git_fsmonitor(int argc, char **argv);
int cmd_git_setup(int argc, char **argv);
int cmd_hold(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_lineage(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_mount(int argc, char **argv);
int cmd_prove(int argc, char **argv);
int cmd_query(int argc, char **argv);
int cmd_reindex(int argc, char **argv);
int cmd_replica(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_retain(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_runs(int argc, char **argv);
int cmd_scrub(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_sync(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_undo(int argc, char **argv);
int cmd_verify(int argc, char **argv);

/* mount.fuse.vouchfs and umount.fuse.vouchfs, as mount(8) calls them. */
int cmd_mount_helper(int argc, char **argv);
int cmd_umount_helper(int argc, char **argv);

#endif
