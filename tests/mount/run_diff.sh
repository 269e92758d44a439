#!/bin/bash
# vouch diff: what git makes of a run's diff is what the run made of the tree;
# other people's changes are not in it, also of the same file.
. "$TOP/tests/mount/lib.sh"

SEED=${SEED:-$RANDOM}
echo "SEED=$SEED"
RANDOM=$SEED
new_volume
mount_volume -o allow_other

# apply RUN BEFORE: BEFORE becomes what the run made of it
apply() {
	vouch diff "$1" --in=mnt >patch || { fail "vouch diff $1"; return; }
	(cd "$2" && git init -q . && git apply --allow-empty ../patch) 2>err ||
		fail "git does not take the diff of $1: $(cat err)"
	rm -rf "$2/.git"
}

# every kind of change, names that need quotes, bytes that are no UTF-8
mkdir mnt/t
(
	cd mnt/t || exit
	seq 1 40 >numbers
	echo old >gone
	echo kept >stays
	echo "moves" >moves
	ln -s numbers link
	printf 'caf\351\n' >latin
	echo data >replaced
	echo '#!/bin/sh' >script
	head -c 300000 /dev/urandom >blob
)
cp -a mnt/t before
rm before/blob
cat >job.sh <<'END'
cd mnt/t || exit
sed -i 's/^20$/twenty/; s/^38$/thirty-eight/' numbers	# replaces it
echo 41 >>numbers
rm gone
mv moves "moved to
another	name \\"
ln -sfn elsewhere link
printf 'th\351\n' >>latin
echo newdata >replaced.new && mv replaced.new replaced
chmod 755 script
printf 'no end of line' >no-newline
: >empty
echo scratch >scratch && rm scratch
mkdir d && echo deep >d/deep
printf 'x' | dd of=blob conv=notrunc bs=1 seek=1000 2>/dev/null
END
expect "the run" vouch run -q --name work --in=mnt -- bash job.sh
cp -a mnt/t after
rm after/blob
vouch diff work --in=mnt --name-status >names || fail "vouch diff --name-status"
same "names" "$(cut -f1 names | sort | tr -d '\n')" AAADMMMMMMR
same "blob is binary" "$(vouch diff work --in=mnt | grep -c '^Binary files a/t/blob and b/t/blob differ$')" 1
mkdir -p tree && mv before tree/t
vouch diff work --in=mnt >patch
(cd tree && git init -q . && git apply --exclude='t/blob' ../patch) 2>err ||
	fail "git does not take it: $(cat err)"
rm -rf tree/.git
diff -r --no-dereference tree/t after || fail "git makes another tree of it"
same "mode" "$(stat -c %a tree/t/script)" 755

# longer than an answer may be: the same, from the mount
expect "a run that writes much" vouch run -q --name much --in=mnt -- sh -c 'for i in 1 2; do yes "$(printf %01000d $i)" | head -n 9000 >mnt/much$i; done'
vouch diff much --in=mnt >much.diff || fail "vouch diff of much"
same "all of it" "$(grep -ac '^+[0-9]' much.diff)" 18000
cmp much.diff mnt/audit/runs/much.1/changes.diff || fail "what is long is another"
expect "in short" vouch diff much --in=mnt --stat
expect "one PATH" vouch diff much mnt/much1 --name-only
expect "a state" vouch snapshot mnt after-much
refuse "states" 1 'longer than 16 MiB: --stat' vouch diff much:start after-much --in=mnt
rm -f mnt/much1 mnt/much2 much.diff

# the same in other forms
vouch diff work --in=mnt --stat >stat || fail "vouch diff --stat"
same "the sums" "$(tail -n 1 stat)" " 11 files changed, 8 insertions(+), 5 deletions(-)"
expect "JSON" vouch diff work.1 --in=mnt --format=json
same "JSON: files" "$(jq -s 'map(select((.after // .before).mode | startswith("04") | not)) | length' out)" 11
same "JSON: the renamed one" "$(jq -r 'select(.status == "renamed") | .before.path' out)" t/moves
cmp <(vouch diff work --in=mnt) mnt/audit/runs/work.1/changes.diff ||
	fail "changes.diff is not what vouch diff says"

# somebody else writes the same file, before, while and after the run does
mkdir mnt/shared
seq 1 9 >mnt/shared/f
mkfifo go back
cat >shared.sh <<'END'
cd mnt/shared || exit
sed 's/^2$/two/' f >f.x; cat f.x >f
echo done >../../back; read -r _ <../../go
sed 's/^8$/eight/' f >f.x; cat f.x >f; rm f.x
END
vouch run -q --name both --in=mnt -- bash shared.sh &
pid=$!
read -r _ <back
setsid -w bash -c 'cd mnt/shared; sed "s/^5\$/FIVE/" f >../y; cat ../y >f'
echo on >go
wait $pid || fail "the run beside another"
setsid -w bash -c 'cd mnt/shared; echo AFTER >>f'
vouch diff both --in=mnt >patch
same "two parts" "$(grep -c '^diff --git a/shared/f b/shared/f$' patch)" 2
same "what it put in" "$(grep -E '^\+[^+]' patch | tr '\n' ' ')" "+two +eight "
same "what it took out" "$(grep -E '^-[^-]' patch | tr '\n' ' ')" "-2 -8 "

# a file that the run made, somebody else wrote, and the run wrote again
cat >made.sh <<'END'
echo first >mnt/shared/made
echo done >back; read -r _ <go
echo third >>mnt/shared/made
END
vouch run -q --name made --in=mnt -- bash made.sh &
pid=$!
read -r _ <back
setsid -w bash -c 'echo second >>mnt/shared/made'
echo on >go
wait $pid || fail "the run that makes a file"
same "made, and changed" "$(vouch diff made --in=mnt --name-status | cut -f1 | tr '\n' ' ')" "A M "
same "its own lines" "$(vouch diff made --in=mnt | grep -E '^\+[^+]' | tr '\n' ' ')" "+first +third "

# random edits of a tree, by one run: git makes the same tree
mkdir mnt/random
for i in $(seq 1 30); do
	for _ in $(seq 1 $((RANDOM % 40))); do echo "line $((RANDOM % 50))"; done >"mnt/random/f$i"
done
cp -a mnt/random before
cat >random.sh <<'END'
cd mnt/random || exit
RANDOM=$1
for _ in $(seq 1 120); do
	f=f$((RANDOM % 40 + 1))
	case $((RANDOM % 8)) in
	0) rm -f $f ;;
	1) mv $f f$((RANDOM % 40 + 1)) ;;
	2) echo "new $RANDOM" >$f ;;
	3) sed -i "$((RANDOM % 20 + 1))d" $f ;;
	4) sed -i "$((RANDOM % 20 + 1))i put in $RANDOM" $f ;;
	5) sed -i 's/line 1/LINE 1/' $f ;;
	6) mkdir -p d$((RANDOM % 3)) && cp $f d$((RANDOM % 3))/ ;;
	*) chmod $((RANDOM % 2 ? 755 : 644)) $f ;;
	esac
done 2>/dev/null
true
END
expect "random edits" vouch run -q --name random --in=mnt -- bash random.sh $RANDOM
mkdir rtree && mv before rtree/random
apply random rtree
find rtree/random -type f -printf '%P %m\n' | sort >got
find mnt/random -type f -printf '%P %m\n' | sort >want
cmp got want || fail "other files or modes than in the tree: SEED=$SEED"
(cd mnt/random && find . -type f -print0) |
	while IFS= read -r -d '' f; do
		cmp -s "mnt/random/$f" "rtree/random/$f" || echo "$f"
	done >differ
[ ! -s differ ] || fail "git makes other bytes of $(tr '\n' ' ' <differ): SEED=$SEED"

# who may remove what he may not read learns nothing of it by doing so
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir mnt/public && chmod 777 mnt/public
	echo "the secret" >mnt/public/secret && chmod 600 mnt/public/secret
	echo "his own" >mnt/public/own && chown 65534:65534 mnt/public/own
	echo "replaced secret" >mnt/public/target && chmod 600 mnt/public/target
	chmod 755 . mnt
	vouch sync mnt
	setpriv --reuid=65534 --regid=65534 --clear-groups setsid -w bash -c \
		'rm -f mnt/public/secret mnt/public/own; echo new >mnt/public/n; mv -f mnt/public/n mnt/public/target
		cat mnt/audit/runs/*/changes.diff' >his.diff 2>/dev/null
	grep -q 'public/secret' his.diff || fail "his removal is not in his diff"
	grep -q 'secret$' <(grep '^-' his.diff | grep -v '^---') && fail "he reads what he removed: $(cat his.diff)"
	same "what is his he sees" "$(grep -c '^-his own' his.diff)" 1
	# he may not ask the daemon: the patch of a run is in the mount
	cp "$VOUCH" his-vouch
	as_user() {
		setpriv --reuid=65534 --regid=65534 --clear-groups ./his-vouch "$@"
	}
	expect "a run of his" as_user run -q --name his --in=mnt -- sh -c 'echo his >mnt/public/his'
	expect "he asks for it" as_user diff his --in=mnt
	same "what he is shown" "$(grep '^+' out | tr '\n' ' ')" "+++ b/public/his +his "
	refuse "other forms" 1 'only root.* can ask the daemon' as_user diff his --in=mnt --stat
	refuse "no run" 1 'only root.* can ask the daemon' as_user diff nobody --in=mnt
	cat mnt/audit/runs/*/changes.diff >all.diff
	same "who sees all sees it" "$(grep -cE '^-(the|replaced) secret' all.diff)" 2
else
	echo "not root, or no setpriv: other people's view was not tried"
fi

# questions that have no answer
refuse "no such run" 1 'no run nobody' vouch diff nobody --in=mnt
expect "a second one" vouch run -q --name work --in=mnt -- true
refuse "which of them" 2 'say work.2' vouch diff work --in=mnt
same "a run that changed nothing" "$(vouch diff work.2 --in=mnt | wc -c)" 0
refuse "two forms" 2 'not both' vouch diff work.1 --stat --name-status
umount_volume
expect "not mounted" vouch diff work.1 --in=vol --stat
cmp stat out || fail "another answer when it is not mounted"
