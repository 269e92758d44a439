#!/bin/bash
# git_fsmonitor.sh: with `vouch git-fsmonitor` as its hook git finds what it
# finds when it looks for itself, whatever was done in between.
# timeout: 240
. "$(dirname "$0")/lib.sh"

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
STEPS=${STEPS:-25}
[ "${VARIANT:-}" != asan ] || STEPS=8
RANDOM=${SEED:-7}
echo "seed ${SEED:-7}"
shopt -s nullglob
top=$PWD

# told TOKEN: what the hook says, a line each, the token first
told() {
	(cd "$repo" && vouch git-fsmonitor 2 "$1") | tr '\0' '\n'
}

# a token of now: nothing that was written before is entered after it
token_now() {
	vouch sync "$top/mnt" || fail "sync"
	told '' | head -n 1
}

compare() { # WHAT: git with the hook and git without it say the same
	local with without
	with=$(git -C "$repo" status --porcelain 2>err) ||
		fail "$1: git status: $(cat err)"
	without=$(git -C "$repo" --no-optional-locks -c core.fsmonitor=false \
		-c core.untrackedCache=false status --porcelain)
	[ "$with" = "$without" ] && return
	fail "$1: $(diff <(echo "$with") <(echo "$without"))"
	told '' | head -n 1
}

new_volume
mount_volume
repo=$top/mnt/repo
git init -q -b main "$repo"
for i in $(seq 120); do
	mkdir -p "$repo/d$((i % 5))/e$((i % 3))"
	echo "file $i" >"$repo/d$((i % 5))/e$((i % 3))/f$i"
done
git -C "$repo" add -A
git -C "$repo" commit -q -m one
expect "setup" vouch git-setup "$repo"
compare "at first"

# --- what is told, and what is not ---
token=$(token_now)
same "nothing" "$(told "$token" | sed 1d)" ""
echo more >>"$repo/d1/e1/f1"
same "a file" "$(told "$token" | sed 1d)" "d1/e1/f1"
mv "$repo/d1" "$repo/gone"
same "a directory" "$(told "$token" | sed 1d | sort | tr '\n' ' ')" \
	"d1 d1/ gone gone/ gone/* gone/e0/* gone/e1/* gone/e1/f1 gone/e2/* "
mv "$repo/gone" "$repo/d1"
token=$(token_now)
git -C "$repo" status >/dev/null
date >"$top/mnt/outside"
same "git's own files and others'" "$(told "$token" | sed 1d)" ""
ln "$repo/d1/e1/f1" mnt/alias
token=$(token_now)
echo through >>mnt/alias
same "through another name" "$(told "$token" | sed 1d)" "d1/e1/f1"
compare "through another name"
token=$(token_now)
exec 9>>"$repo/d2/e2/f2"
echo unsaved >&9
same "what is not saved" "$(told "$token" | sed 1d)" "d2/e2/f2"
compare "what is not saved"
echo again >&9
compare "what is not saved, again"
exec 9>&-
# a folder that comes again is not taken for the one that was there
mkdir -p "$repo/new/sub" && echo x >"$repo/new/sub/x"
compare "a new folder"
rm -r "$repo/new" && mkdir -p "$repo/new/sub"
compare "an empty one in its place"
for foreign in none 1790000000000000000 "${token%.*}.99999999999" \
	"00112233445566778899aabbccddeeff.4096" 'a/../b' "$(printf 'x%.0s' {1..300})"; do
	same "token $foreign" "$(told "$foreign" | sed 1d)" "/"
done
refuse "version 1" 2 "fsmonitorHookVersion" vouch git-fsmonitor 1 170000000
# 5,000 new files take several answers
token=$(token_now)
mkdir "$repo/many" && (cd "$repo/many" && seq 5000 | xargs touch)
same "of 5,000" "$(told "$token" | sort -u | grep -c '^many/[0-9]')" 5000
compare "of 5,000"
rm -r "$repo/many"
compare "none of 5,000"

# --- random work ---
pick() { # SORT: one of the files, or directories, below $repo
	find "$repo" -mindepth 1 -name .git -prune -o -type "$1" -print |
		sort | sed -n "$((RANDOM % 200 + 1))p"
}

change() {
	local a b
	a=$(pick f) b=$(pick d)
	: "${a:=$repo/d1/e1/f1}" "${b:=$repo/d$((RANDOM % 5))}"
	mkdir -p "$b" "${a%/*}"
	case $((RANDOM % 17)) in
	0 | 1) echo $RANDOM >>"$a" ;;
	2) echo $RANDOM >"$b/n$((RANDOM % 9))" ;;
	3) rm -f "$a" ;;
	4) mkdir -p "$b/m$((RANDOM % 4))/k" ;;
	5) rm -rf "$b" ;;
	6) mv -f "$a" "$b/v$((RANDOM % 9))" 2>/dev/null ;;
	7) mv "$b" "$repo/w$((RANDOM % 4))" 2>/dev/null ;;
	8) ln -f "$a" "$b/l$((RANDOM % 4))" 2>/dev/null ;;
	9) chmod $((RANDOM % 2 ? 644 : 755)) "$a" 2>/dev/null ;;
	10) exchange "$b" "$repo/d$((RANDOM % 5))" 2>/dev/null ;;
	11) printf 'n%d\nm*\n' $((RANDOM % 9)) >"$b/.gitignore" ;;
	12) ln -sfn "$((RANDOM % 9))" "$b/s$((RANDOM % 3))" 2>/dev/null ;;
	13) mv "$b" "$top/mnt/away$((RANDOM % 3))" 2>/dev/null ;;
	14) mv "$top/mnt/away$((RANDOM % 3))" "$b/back" 2>/dev/null ;;
	15) echo $RANDOM >&8 ;;
	16) truncate -s $((RANDOM % 99)) "$a" ;;
	esac
	return 0
}

exec 8>>"$repo/d0/e0/f15"
for ((step = 0; step < STEPS && failures == 0; step++)); do
	for ((k = RANDOM % 9; k >= 0; k--)); do change; done
	case $((RANDOM % 8)) in
	0) git -C "$repo" add -A >err 2>&1 ;;
	1) git -C "$repo" commit -q -m "step $step" >err 2>&1 ;;
	2) git -C "$repo" checkout -q -f HEAD -- . >err 2>&1 ;;
	3) git -C "$repo" stash -q -u >err 2>&1 ;;
	esac
	compare "step $step"
done
exec 8>&-
git -C "$repo" add -A && git -C "$repo" commit -q -m random

# --- other work trees: one of its own, a module, one inside ---
git -C "$repo" worktree add -q ../tree >err 2>&1 || fail "worktree: $(cat err)"
git -C "$repo" -c protocol.file.allow=always submodule --quiet add \
	"$repo" module >err 2>&1 || fail "submodule: $(cat err)"
git init -q "$repo/nested"
for at in repo tree repo/module repo/nested; do
	repo=$top/mnt/$at
	expect "setup of $at" vouch git-setup "$repo"
	compare "$at"
	mkdir -p "$repo/z" && date >"$repo/z/z$RANDOM"
	compare "$at, changed"
	same "hook in $at" "$(told "$(token_now)" | sed 1d)" ""
done
repo=$top/mnt/repo
date >"$repo/module/other"
compare "a changed module"

# --- the repository gets another name, another mount, a crash ---
mv "$repo" mnt/moved && repo=$top/mnt/moved
echo moved >>"$repo/d3/e0/f3"
compare "moved"
umount_volume
mount_volume
compare "mounted again"
echo "not saved" >>"$repo/d3/e0/f3"
compare "before the crash"
kill_daemon
umount -l mnt 2>/dev/null || fusermount3 -uz mnt
mount_volume
compare "after the crash"

# --- a mount for reading has no number: its tokens are nobody's ---
umount_volume
mount_volume -o ro
same "read-only" "$(told "$(told '' | head -n 1)" | sed 1d)" "/"
umount_volume
mount_volume

# --- where the ledger does not know ---
git init -q plain && repo=$top/plain
echo a >plain/a
expect "setup outside" vouch git-setup plain
same "outside of mounts" "$(told 1.2 | tr '\n' ' ')" "none / "
compare "outside of mounts"
repo=$top/mnt/moved
if [ "$(id -u)" = 0 ] && mkdir "$repo/over" &&
	mount -t tmpfs none "$repo/over" 2>/dev/null; then
	same "something mounted inside" "$(told 1.2 | tr '\n' ' ')" "none / "
	compare "something mounted inside"
	date >"$repo/over/seen"
	compare "changed inside of that"
	umount "$repo/over"
fi
# --- an ordinary user, and a directory that is closed to him ---
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	umount_volume
	chmod 755 "$top"
	mount_volume -o allow_other
	anna() { setpriv --reuid 4242 --regid 4242 --clear-groups -- "$@"; }
	mkdir -m 755 "$top/mnt/anna" && repo=$top/mnt/anna/repo
	git init -q "$repo" && mkdir -m 700 "$repo/closed" && chown 4242 "$repo"
	if anna test -x "$VOUCH" -a -x "$repo"; then
		token=$(cd "$repo" && anna vouch git-fsmonitor 2 '' | tr '\0' '\n' | head -n 1)
		date >"$repo/open"
		mkdir "$repo/closed/deep" && date >"$repo/closed/deep/secret"
		same "to an ordinary user" "$(cd "$repo" &&
			anna vouch git-fsmonitor 2 "$token" | tr '\0' '\n' |
			sed 1d | sort -u | tr '\n' ' ')" "closed/ open "
	fi
	repo=$top/mnt/moved
fi
expect "taken out" vouch git-setup --off "$repo"
same "taken out" "$(git -C "$repo" config core.fsmonitor)" ""
refuse "no repository" 1 "not in a git" vouch git-setup "$top/mnt"
umount_volume
