#!/bin/bash
# vouch restore of a tree with a random history to a random state: with --exact
# it is that state, in names, bytes, modes, links and attributes; without it
# all that was there is there, and what came since stays.
. "$TOP/tests/mount/lib.sh"

SEED=${SEED:-$RANDOM}
ROUNDS=${ROUNDS:-4}
echo "SEED=$SEED"
RANDOM=$SEED
new_volume
mount_volume

any() { # a name that may be there
	echo "d$((RANDOM % 3))/f$((RANDOM % 10))"
}

step() {
	local f g
	f=$(any) g=$(any)
	case $((RANDOM % 16)) in
	0 | 1) seq $((RANDOM % 30)) >"$f" ;;
	2) echo "more $RANDOM" >>"$f" ;;
	3) echo "saved $RANDOM" >t && mv t "$f" ;;
	4) rm -f "$f" ;;
	5) mv "$f" "$g" ;;
	6) ln "$f" "$g" ;;
	7) rm -f "$f" && ln -s "to-$RANDOM" "$f" ;;
	8) mv d$((RANDOM % 3)) d$((RANDOM % 3 + 3)) ;;
	9) mv d$((RANDOM % 3 + 3)) d$((RANDOM % 3)) ;;
	10) mkdir -p d$((RANDOM % 3))/sub && cp "$f" d$((RANDOM % 3))/sub/ ;;
	11) [ -L "$f" ] || chmod $((RANDOM % 2 ? 750 : 604)) "$f" ;;
	12) head -c 3000 /dev/urandom >"$f" ;;
	13) [ -L "$f" ] || setfattr -n "user.a$((RANDOM % 2))" -v "$RANDOM" "$f" ;;
	14) rm -rf d$((RANDOM % 3)); mkdir -p d$((RANDOM % 3)) ;;
	*) mkfifo "${f%f*}p$((RANDOM % 3))" ;;
	esac
}

# seen DIR: all of a tree that a restore brings back
seen() {
	(cd "$1" && find . -printf '%P %y %l %n\n' \( -type f -printf '%m ' -exec sha1sum {} \; \) | sort)
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0r getfattr -d -m '^user\.a' 2>/dev/null)
}

mkdir -p mnt/t/{d0,d1,d2}
for i in 1 2 3 4; do
	(cd mnt/t && for _ in $(seq 22); do step; done) >/dev/null 2>&1
	expect "snapshot $i" vouch snapshot mnt "s$i"
	seen mnt/t | sed 's/ d \( [0-9]*\)$/ d/' >"was$i"
done
is_as() { # N WHAT
	seen mnt/t | sed 's/ d \( [0-9]*\)$/ d/' >now
	cmp -s "was$1" now || fail "$2 SEED=$SEED: $(diff "was$1" now | head -6)"
}

for _ in $(seq "$ROUNDS"); do
	to=$((RANDOM % 4 + 1))
	vouch restore mnt/t --at s$to --exact >out 2>err || fail "restore to s$to SEED=$SEED: $(cat err)"
	is_as $to "restored to s$to"
	vouch restore mnt/t --at s$to --exact -n >dry
	expect "once more" vouch restore mnt/t --at s$to --exact
	grep -qE 'restored|made again|removed|put back' out && fail "not the same twice, s$to SEED=$SEED: $(cat out dry)"
	(cd mnt/t && for _ in $(seq 10); do step; done) >/dev/null 2>&1
done

# what came since stays, what was there is there
expect "to begin with" vouch restore mnt/t --at s4 --exact
mkdir mnt/t/new && echo new >mnt/t/new/file
expect "dry" vouch restore mnt/t --at s4 -n
grep -q 'left alone  t/new/file' out || fail "dry: $(cat out)"
expect "what came since" vouch restore mnt/t --at s4
same "it stays" "$(cat mnt/t/new/file)" new
expect "it is told" vouch restore mnt/t --at s4
grep -q '2 things that came since left alone' out || fail "told: $(cat out)"
expect "dry and exact" vouch restore mnt/t --at s4 -n --exact
grep -q 'remove      t/new/file' out || fail "dry and exact: $(cat out)"
[ -e mnt/t/new/file ] || fail "dry removed it"
expect "exact" vouch restore mnt/t --at s4 --exact
is_as 4 "exact"

# it is a run
vouch sync mnt
ls mnt/audit/runs | grep -q '^restore\.' || fail "no run called restore"
same "that run" "$(vouch diff restore:end now --in=mnt 2>&1 | grep -c 'several runs named restore')" 1

# killed and said again
for _ in 1 2 3; do
	(cd mnt/t && for _ in $(seq 15); do step; done) >/dev/null 2>&1
	setsid vouch restore mnt/t --at s2 --exact >/dev/null 2>&1 &
	pid=$!
	sleep 0.0$((RANDOM % 9))
	kill -9 -- -$pid 2>/dev/null # the run's program, too
	wait $pid 2>/dev/null
	while kill -0 -- -$pid 2>/dev/null; do sleep 0.02; done
done
expect "said again" vouch restore mnt/t --at s2 --exact
is_as 2 "after it was killed"

# several at once, and a single file
echo one >mnt/a && echo two >mnt/b
expect "two files" vouch snapshot mnt two
echo x >mnt/a && rm mnt/b
expect "both" vouch restore mnt/a mnt/b --at two
same "both of them" "$(cat mnt/a mnt/b | tr '\n' ' ')" "one two "
refuse "not there then" 1 'was not there at two' vouch restore mnt/t/none --at two
find mnt/t -type f -print0 | sort -z | xargs -0 sha256sum >untouched
refuse "a WHEN without quotes" 2 '"1 minute ago" is meant, put it in quotes' vouch restore mnt/t --at 1 minute ago
same "nothing is as of seal 1" "$(find mnt/t -type f -print0 | sort -z | xargs -0 sha256sum | diff untouched -)" ""

# a directory that was made again, and a file that got more since: both get
# back what they were, and then there is nothing to do
mkdir -m 2750 mnt/again && setfattr -n user.was -v it mnt/again && echo in >mnt/again/in
touch mnt/more && echo one >mnt/once
[ "$(id -u)" != 0 ] || chown 12:34 mnt/again
owner=$(stat -c '%a %u %g' mnt/again)
expect "as they are" vouch snapshot mnt made
rm -r mnt/again mnt/more mnt/once
mkdir -m 700 mnt/again && setfattr -n user.new -v it mnt/again
expect "made again" vouch restore mnt --at made --exact
same "mode and owner" "$(stat -c '%a %u %g' mnt/again)" "$owner"
same "attributes" "$(getfattr --absolute-names -d mnt/again | grep user)" 'user.was="it"'
same "what it held" "$(cat mnt/again/in)" in
chmod 700 mnt/again && setfattr -n user.new -v it mnt/again && setfattr -n user.new -v it mnt/more
ln mnt/once mnt/twice
expect "again" vouch restore mnt --at made --exact
same "mode and owner again" "$(stat -c '%a %u %g' mnt/again)" "$owner"
same "attributes again" "$(getfattr --absolute-names -d mnt/again | grep user)" 'user.was="it"'
same "the file's" "$(getfattr --absolute-names -d mnt/more)" ""
[ ! -e mnt/twice ] || fail "a link that came since is there"
same "what it was a link of" "$(cat mnt/once)" one
expect "nothing more" vouch restore mnt --at made --exact
grep -q 'nothing to restore' out || fail "a third time: $(cat out)"
