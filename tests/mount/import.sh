#!/bin/bash
# timeout: 300
# A tree leaves a volume with where it comes from, and comes into another one:
# what the log there says of it; bundles that were tampered with are refused.
. "$TOP/tests/mount/lib.sh"

second() { mkdir -p mnt2 && vouch init vol2 --origin b.example/two >/dev/null &&
	vouch mount vol2 mnt2 || { fail "the second volume"; exit 1; }; }

new_volume --origin a.example/one
mount_volume
mkdir -p mnt/data/deep
echo 1,2,3 >mnt/data/in.csv
cp mnt/data/in.csv mnt/data/deep/out
cp mnt/data/in.csv mnt/data/owed
printf X | dd of=mnt/data/owed bs=1 seek=1 conv=notrunc status=none
ln -s deep/out mnt/data/link
: >mnt/data/empty
chmod 750 mnt/data/deep/out
hostile=$'h"<\n\xff'
echo odd >"mnt/data/$hostile"
vouch key show vol >trust

# from a directory in a mount, from all of it, and unmounted
expect "of a directory" vouch export mnt/data part --tree
same "a line for each file" "$(wc -l <part/provenance.jsonl)" 6
jq -es '.[1:] | all(.proof)' part/provenance.jsonl >/dev/null || fail "not all are proved"
expect "of a mount" vouch export mnt all --tree
[ ! -e all/tree/audit ] || fail "the audit was exported"
umount_volume
expect "unmounted" vouch export vol off --tree
same "the same trees" "$(diff -r all/tree off/tree 2>&1)" ""
# without the volume: each proof holds by itself
jq -j 'select(.path == "deep/out") | .proof' part/provenance.jsonl >out.tlog-proof
expect "vouch-check" "$VOUCH_CHECK" part/tree/deep/out out.tlog-proof --trust trust

second
expect "claimed" vouch import part mnt2/claimed
grep -q 'claim' out || fail "not said to be claims: $(cat out)"
expect "verified" vouch import part mnt2/verified --trust=trust
grep -q 'of 5 where they come from, verified' out || fail "verified: $(cat out)"
same "the bytes" "$(diff -r part/tree mnt2/verified 2>&1)" ""
same "the mode" "$(stat -c %a mnt2/verified/deep/out)" 750
imported() { # PATH: what its lineage says
	vouch lineage "$1" --as=json | jq -c '.nodes[0].imported |
		[.trust, .origin, .from_path, .attribution, .opened[0].path]'
}
same "claimed" "$(imported mnt2/claimed/deep/out)" '["claimed","a.example/one","data/deep/out","exact","data/in.csv"]'
same "verified" "$(imported mnt2/verified/deep/out)" '["verified","a.example/one","data/deep/out","exact","data/in.csv"]'
same "a hostile name" "$(imported "mnt2/verified/$hostile" | jq -r '.[0]')" verified
# it goes on: what is made from it, and so on to a third volume
cp mnt2/verified/deep/out mnt2/made
vouch lineage mnt2/made >out
grep -q 'from data/deep/out of a.example/one (verified)' out || fail "in words: $(cat out)"
vouch lineage mnt2/verified/deep/out --as=slsa | jq -r .payload | base64 -d |
	jq -e '.predicate.buildDefinition.resolvedDependencies[] | select(.annotations.what == "imported") |
		.annotations.origin == "a.example/one" and .annotations.trust == "verified"' >/dev/null ||
	fail "the statement does not say where it was"
expect "export again" vouch export mnt2/verified again --tree
# a new version is not what was imported
echo more >>mnt2/verified/deep/out
same "a new version" "$(imported mnt2/verified/deep/out | jq -r '.[0]')" null
expect "the log tells it" jq -e 'select(.kind == "import") | .from_path' mnt2/audit/history/claimed/deep/out.jsonl

# --- what is refused: before anything is copied ---

n=0
# bad WHAT WORDS COMMAND...: COMMAND alters a copy of the bundle in ./bad
bad() {
	local what=$1 words=$2
	shift 2
	rm -rf bad && cp -a part bad
	(cd bad && eval "$*") || fail "$what: cannot alter"
	n=$((n + 1))
	refuse "$what" 1 "$words" vouch import bad mnt2/bad$n --trust=trust
	[ ! -e mnt2/bad$n ] || fail "$what: something was copied"
}
bad "another file's bytes" "not those that were exported" 'echo 9 >tree/in.csv'
bad "bytes and digest" "not that file" 'echo 9,9,9 >tree/in.csv
	s=$(sha256sum <tree/in.csv | cut -d" " -f1)
	jq -c --arg s $s "if .path == \"in.csv\" then .sha256 = \$s else . end" provenance.jsonl >p && mv p provenance.jsonl'
bad "a proof of another" "not that file" 'jq -cs "(.[] | select(.path == \"owed\") | .proof) as \$p |
	.[] | if .path == \"deep/out\" then .proof = \$p else . end" provenance.jsonl >p && mv p provenance.jsonl'
bad "a flipped proof" "" 'jq -c "if .proof then .proof |= sub(\"extra A\"; \"extra B\") else . end" provenance.jsonl >p && mv p provenance.jsonl'
bad "a file more" "does not say where it comes" 'echo x >tree/more'
bad "a file less" "missing from the bundle" 'rm tree/empty'
bad "a line twice" "comes twice" 'tail -n 1 provenance.jsonl >>provenance.jsonl'
bad "a path outside" "line 2" 'sed -i "2s|\"path\":\"[^\"]*\"|\"path\":\"../x\"|; 2s|\"path_hex\":\"[^\"]*\"|\"path_hex\":\"2e2e2f78\"|" provenance.jsonl'
bad "no JSON" "line 3" 'sed -i "3s/.*/{/" provenance.jsonl'
bad "a cut line" "line" 'truncate -s -40 provenance.jsonl'
bad "another format" "line 1" 'sed -i "1s/-1/-2/" provenance.jsonl'
bad "a directory as a link" "" 'mv tree/deep elsewhere && ln -s ../elsewhere tree/deep'
bad "a pipe for lines" "" 'rm provenance.jsonl && mkfifo provenance.jsonl'
mkdir -p mnt2/own && echo x >mnt2/own/file
refuse "an export into itself" 1 "into itself" vouch export mnt2/own mnt2/own/out --tree
same "nothing was copied there" "$(ls mnt2/own/out/tree)" ""
rm -r mnt2/own
expect "a snapshot" vouch snapshot mnt2 rel-1
refuse "an old state in the mount" 1 "shown, not stored" vouch export mnt2/audit/at/rel-1/verified shown --tree
[ ! -e shown ] || fail "an export of nothing"
refuse "no bundle" 1 "no bundle" vouch import mnt2 mnt2/x --trust=trust
refuse "another's keys" 1 "" vouch import part mnt2/foreign --trust=<(vouch key show vol2)
[ ! -e mnt2/foreign ] || fail "copied although the keys are another's"
mkdir outside
refuse "not in a mount" 1 "neither inside a vouchfs mount" vouch import part outside
# nothing there is replaced, and nothing copied beside it
echo mine >mnt2/in.csv
names=$(ls mnt2)
refuse "an existing file" 1 "in.csv: exists" vouch import part mnt2
grep -q 'nothing is replaced: move it away.*nothing was copied' err || fail "what to do: $(cat err)"
grep -q 'goes on' err && fail "it cannot: $(cat err)"
same "it stays" "$(cat mnt2/in.csv)" mine
same "alone" "$(ls mnt2)" "$names"

# --- said again: what is missing, and nothing twice ---

imports() { jq -r 'select(.kind == "import") | .kind' "mnt2/audit/history/$1.jsonl" | wc -l; }
expect "again" vouch import part mnt2/again --trust=trust
expect "and again" vouch import part mnt2/again --trust=trust
grep -q 'taken up before: nothing new' out || fail "again: $(cat out)"
same "entered once" "$(imports again/in.csv)" 1
rm mnt2/again/in.csv
expect "what is missing" vouch import part mnt2/again --trust=trust
grep -q '^1 file, and of 1 where' out || fail "what is missing: $(cat out)"
same "is there" "$(cat mnt2/again/in.csv)" 1,2,3
# claims that are verified later are entered as that
expect "trusted later" vouch import part mnt2/claimed --trust=trust
grep -q '^0 files, and of 4 where' out && fail "a changed file was entered"
same "verified now" "$(imported mnt2/claimed/in.csv | jq -r '.[0]')" verified

# --- as cp -a ---

mkdir plain && cp -a part/tree/. plain/
ln plain/in.csv plain/deep/hard
mkfifo plain/pipe
chmod 1755 plain/deep
truncate -s 8M plain/sparse && printf x | dd of=plain/sparse bs=1 seek=5000000 conv=notrunc status=none
setfattr -n user.colour -v red plain/deep/out
setfacl -m u:12345:r plain/deep/out
touch -d 2020-01-02T03:04:05.123456789Z plain/deep/out
touch -h -d 2020-01-02T03:04:05Z plain/link
[ "$(id -u)" != 0 ] || chown 1234:4321 plain/owed
chmod 4755 plain/empty
touch -d 2020-01-02T03:04:05Z plain/deep
cp -a plain mnt2/like
expect "out of a mount" vouch export mnt2/like like --tree
grep -q '^1 had set-user-ID' out || fail "bits that do not leave, and are not told: $(cat out)"
chmod 4755 like/tree/empty
expect "into one" vouch import like mnt2/like2
grep -q '^1 had set-user-ID' out || fail "bits that do not come in, and are not told: $(cat out)"
same "they are not taken over" "$(stat -c %a mnt2/like2/empty)" 755
looks() { # DIR: what the trees are to have alike
	(cd "$1" && find . -printf '%P %y %m %U:%G %s %T@ %n %l\n' | grep -av '^ d' |
		sed -E 's/^(.*) d ([0-9]+) ([0-9:]+) [0-9]+ (.*) [0-9]+ $/\1 d \2 \3 \4/; s/ 4755 / 755 /' | LC_ALL=C sort
		getfacl -R -n -p . 2>/dev/null | grep -av '^# flags\|^$' | grep -aA9 'deep/out'
		getfattr -n user.colour --only-values deep/out; find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}
looks plain >wanted
looks like/tree >got && diff wanted got >&2 || fail "what came out is not alike"
looks mnt2/like2 >got && diff wanted got >&2 || fail "what came in is not alike"
[ "$(du -k like/tree/sparse | cut -f1)" -lt 1024 ] || fail "it has no holes outside"
[ "$(du -k mnt2/like2/sparse | cut -f1)" -lt 1024 ] || fail "it has no holes inside"
same "one file of two names" "$(stat -c %i mnt2/like2/in.csv)" "$(stat -c %i mnt2/like2/deep/hard)"

# --- stopped half way: no directory is left closed, no hard link becomes a copy ---

mkdir -p plain2/open && head -c 3000000 /dev/urandom >plain2/open/long
chmod 775 plain2/open
cp -a plain2 mnt2/half
expect "a long file" vouch export mnt2/half half --tree
(ulimit -c 0 -f 1000; umask 077; exec "$VOUCH" import half mnt2/half2 >/dev/null 2>&1) && fail "nothing stopped it"
same "the mode of then" "$(stat -c %a mnt2/half2/open)" 775
[ ! -e mnt2/half2/open/long ] || fail "a part of a file has its name"
expect "it goes on" vouch import half mnt2/half2
same "all of it" "$(diff -r half/tree mnt2/half2 2>&1)" ""
mkdir plain3 && echo x >plain3/a && ln plain3/a plain3/b && ln plain3/a plain3/c
cp -a plain3 mnt2/names
expect "links" vouch export mnt2/names names --tree
expect "in" vouch import names mnt2/names2
rm "mnt2/names2/$(ls -U names/tree | tail -n 1)" # the one that is copied last
expect "the last again" vouch import names mnt2/names2
same "one file of three names" "$(stat -c %h mnt2/names2/a)" 3
vouch umount mnt2 || fail umount
expect "the log is right" vouch verify vol2
expect "and the index" vouch fsck vol2
