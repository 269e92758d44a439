#!/bin/bash
# tools_git.sh: git lives in the mount: clone, branches, merge, gc, fsck; and
# finds nothing changed after the volume was mounted again.
# timeout: 180
. "$(dirname "$0")/lib.sh"

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org

run_git() { # WHAT ARGUMENT...
	local what=$1
	shift
	git "$@" >git.out 2>&1 || fail "$what: git $*: $(tail -n 5 git.out)"
}

git init -q -b main origin
for i in $(seq 300); do
	mkdir -p origin/d$((i % 17))
	seq $((i * 7)) $((i * 9)) >origin/d$((i % 17))/f$i.c
done
ln -s d1/f1.c origin/link
printf '#!/bin/sh\n' >origin/run.sh
chmod +x origin/run.sh
run_git "add" -C origin add -A
run_git "commit" -C origin commit -q -m one
for i in $(seq 20); do
	echo "change $i" >>origin/d$((i % 17))/f$i.c
	run_git "commit" -C origin commit -q -a -m "change $i"
done

new_volume
mount_volume
run_git "clone" clone -q origin mnt/clone
run_git "clone with copies" clone -q --no-local origin mnt/packed
run_git "fsck" -C mnt/clone fsck --full --strict
same "status of the clone" "$(git -C mnt/clone status --porcelain)" ""
run_git "branch" -C mnt/clone checkout -q -b side HEAD~5
seq 5000 >mnt/clone/new.txt
git -C mnt/clone mv d1/f1.c d2/moved.c || fail "git mv"
run_git "add" -C mnt/clone add -A
run_git "commit" -C mnt/clone commit -q -m side
run_git "switch" -C mnt/clone checkout -q main
[ -e mnt/clone/new.txt ] && fail "the branch's file stayed"
run_git "merge" -C mnt/clone merge -q -m merge side
run_git "rebase" -C mnt/packed rebase -q --force-rebase HEAD~10
run_git "stash" -C mnt/packed stash list
run_git "worktree" -C mnt/clone worktree add -q ../tree side
run_git "gc" -C mnt/clone gc -q --prune=now
run_git "repack" -C mnt/packed repack -q -a -d
head=$(git -C mnt/clone rev-parse HEAD)
umount_volume

mount_volume
run_git "fsck after mounting again" -C mnt/clone fsck --full --strict
run_git "fsck after mounting again" -C mnt/packed fsck --full --strict
same "head" "$(git -C mnt/clone rev-parse HEAD)" "$head"
# from stat alone: what git noted of size, times and inodes holds
same "nothing to look at again" "$(git -C mnt/clone diff-files --name-only)" ""
for repo in clone packed tree; do
	same "status of $repo" "$(git -C mnt/$repo status --porcelain)" ""
done
run_git "push" -C mnt/clone push -q "$PWD/origin" side
run_git "clone out of the mount" clone -q --no-local mnt/clone out.git
same "the clone's head" "$(git -C out.git rev-parse HEAD)" "$head"
umount_volume
expect "verify" vouch verify --deep vol
