#!/bin/bash
# anchor.sh: checkpoints go into repositories of git, and what they promise is
# held against the log: a fork, a rollback, a stranger's volume are told.
# timeout: 120
. "$(dirname "$0")/lib.sh"

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
ref=refs/heads/vouch-anchors

commits() { # REPO
	git -C "$1" rev-list --count $ref 2>/dev/null || echo 0
}

git init -q --bare bare.git
git init -q -b main tree
echo 1 >tree/file && git -C tree add file && git -C tree commit -q -m one
new_volume
mount_volume
echo one >mnt/one
vouch sync mnt # else its version is news later

# --- committed, beside what is there; the log says so ---
expect "into a bare one" vouch anchor mnt --git bare.git
same "a commit" "$(commits bare.git)" 1
grep -q "$(git -C bare.git rev-parse $ref)" out || fail "which commit: $(cat out)"
git -C bare.git show $ref:checkpoint >note
same "what is in it" "$(sed -n 1p note)" "$(sed -n 1p vol/ledger/checkpoint)"
head=$(git -C tree rev-parse HEAD) && echo 2 >>tree/file
expect "beside a work tree" vouch anchor mnt --git tree
same "the work tree" "$(git -C tree status --porcelain) $(git -C tree rev-parse HEAD)" " M file $head"
vouch log vol --all --format=json >log.jsonl
same "entered" "$(jq -rs 'map(select(.kind == "anchor")) | .[0] |
	"\(.commit) \(.ref) \(.repository)"' log.jsonl)" \
	"$(git -C bare.git rev-parse $ref) $ref $PWD/bare.git"
same "its size" "$(jq -rs 'map(select(.kind == "anchor")) | .[0].size' log.jsonl)" "$(sed -n 2p note)"
expect "nothing new" vouch anchor mnt --git bare.git
grep -q "nothing was entered" out || fail "nothing new: $(cat out)"
echo two >mnt/two
expect "something new" vouch anchor mnt --git bare.git --format=json
same "as JSON" "$(jq -r .made out)" true
same "a second commit" "$(commits bare.git)" 2
expect "verify" vouch verify mnt --git bare.git
grep -q "^anchors   2, each is a state" out || fail "verify: $(cat out)"
umount_volume
expect "not mounted" vouch anchor vol --git bare.git --ref refs/anchors/b
expect "nothing new, not mounted" vouch anchor vol --git bare.git --ref refs/anchors/b
same "opening it is no news" "$(git -C bare.git rev-list --count refs/anchors/b)" 1
expect "verify, not mounted" vouch verify vol --git bare.git --ref refs/anchors/b
expect "the index made anew" vouch fsck vol
keep_volume

# --- refused, each with its words ---
refuse "no repository" 1 "could not find repository\|not.*repository" vouch anchor vol --git "$PWD/guard"
refuse "nothing there" 1 "no such file" vouch anchor vol --git nowhere
refuse "no ref" 2 "refs/" vouch anchor vol --git bare.git --ref main
refuse "no --git" 2 "says where" vouch anchor vol
refuse "no anchors" 1 "no anchors" vouch verify vol --git bare.git --ref refs/heads/none
refuse "another's commits" 1 "no checkpoint\|Failed to retrieve" vouch anchor vol --git tree --ref refs/heads/main
mount_volume
echo three >mnt/three
: >bare.git/$ref.lock
refuse "locked" 1 "lock" vouch anchor mnt --git bare.git
rm bare.git/$ref.lock
same "nothing half" "$(commits bare.git)" 2
vouch init other --no-guard >/dev/null
refuse "another volume" 1 "another volume" vouch anchor other --git bare.git
vouch verify other --git bare.git >out 2>err && fail "verify of another volume"
grep -q "of another volume" out || fail "verify of another volume: $(cat out err)"

# --- a fork: the volume of before goes on in another way ---
expect "anchored" vouch anchor mnt --git bare.git
umount_volume
fresh_volume
vouch verify vol --git bare.git >out 2>err && fail "verify of a volume that was set back"
grep -q "FORK: .* what was signed is missing" out || fail "set back: $(cat out err)"
refuse "set back" 1 "set back\|FORK" vouch anchor vol --git bare.git
mount_volume
# at no length of the log is it taken for the one that was anchored
for i in $(seq 9); do
	echo "other $i" >mnt/other && vouch sync mnt
	refuse "no anchor on a fork, $i" 1 "set back\|FORK" vouch anchor mnt --git bare.git
done
vouch verify mnt --git bare.git >out 2>err
same "a fork" $? 1
grep -q "FORK: .* the log was another one" out || fail "a fork: $(cat out err)"
same "nothing was added" "$(commits bare.git)" 3
# what somebody put on the ref himself is told, too
git -C bare.git update-ref $ref "$(git -C bare.git commit-tree -m x "$(git -C bare.git mktree </dev/null)")"
vouch verify mnt --git bare.git >out 2>err && fail "an empty commit is no anchor"
grep -q "not a checkpoint" out || fail "an empty commit: $(cat out err)"
umount_volume

# --- what a repository holds is anybody's ---
# anchors REF N FILE...: N commits of each file, the last one on top
anchors() {
	local ref=$1 n=$2 mark=0 file i
	shift 2
	for file in "$@"; do
		mark=$((mark + 1))
		printf 'blob\nmark :%d\ndata %d\n' $mark "$(stat -c %s "$file")"
		cat "$file"
		echo
		for i in $(seq "$n"); do
			printf 'commit %s\ncommitter a <a> %d +0000\ndata 1\nx\n' "$ref" "$i"
			printf 'M 100644 :%d checkpoint\n' $mark
		done
	done | git -C bare.git fast-import --quiet --force
}
head -c 65536 /dev/zero | tr '\0' x >long
{ cat long; echo; } >longer
printf '\033[31mHOSTILE\n' >hostile
anchors refs/heads/many 1100 long
refuse "more than anybody anchors" 1 "fixed limit" vouch verify vol --git bare.git --ref refs/heads/many
anchors refs/heads/odd 1 longer hostile
refuse "what is no checkpoint" 1 "too long for a checkpoint" vouch verify vol --git bare.git --ref refs/heads/odd
! grep -q HOSTILE err || fail "its bytes are told as our words: $(cat err)"

# history that was rewritten: an anchor which the log knows is not there
git init -q --bare gone.git
mkdir -p mnt2 && vouch init vol2 >/dev/null && vouch mount vol2 mnt2
for i in 1 2 3; do
	echo $i >mnt2/f$i && vouch sync mnt2
	expect "anchor $i" vouch anchor mnt2 --git gone.git
done
git clone -q --bare gone.git clone.git
echo 4 >mnt2/f4 && vouch sync mnt2 && expect "anchor 4" vouch anchor mnt2 --git gone.git
expect "all are there" vouch verify mnt2 --git gone.git
expect "a clone that is behind" vouch verify mnt2 --git clone.git
git -C gone.git update-ref refs/heads/vouch-anchors "$(git -C gone.git rev-parse refs/heads/vouch-anchors~1)"
vouch verify mnt2 --git gone.git >out 2>err && fail "a removed anchor is not missed"
grep -q 'REMOVED: anchor' out || fail "a removed anchor: $(cat out err)"
git -C gone.git update-ref -d refs/heads/vouch-anchors
vouch verify mnt2 --git gone.git >out 2>err && fail "all removed: not missed"
same "all removed" "$(grep -c 'REMOVED: anchor' out)" 4
vouch umount mnt2 || fail "umount 2"
