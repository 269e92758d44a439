#!/bin/bash
# Names of snapshots: which there are, one taken away, given again; what only a
# removed one showed is the policy's; the entries stay, and are proved.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume

same "none" "$(vouch snapshot mnt --list)" "no snapshots"
same "none, as JSON" "$(vouch snapshot mnt --list --format=json)" "[]"
echo one >mnt/f
expect "a snapshot" vouch snapshot mnt first
first=$(sed -n 's/.* is entry \(.*\)\.$/\1/p' out)
echo two >mnt/f
expect "another" vouch snapshot mnt $'odd\tna"me' --format=json
echo three >mnt/f
expect "the list" vouch snapshot mnt --list
same "each has a line" "$(wc -l <out)" 2
same "the oldest first" "$(awk 'NR == 1 { print $1, $4 }' out)" "$first first"
grep -q "by vouch snapshot mnt first (uid $(id -u)," out || fail "who took it: $(cat out)"
grep -qF '  odd\x09na"me  by' out || fail "no escapes: $(cat out)"
expect "as JSON" vouch snapshot mnt -l --format=json
same "names" "$(jq -c '[.[].name]' out)" '["first","odd\tna\"me"]'
same "who, when" "$(jq -c "[.[] | .uid == $(id -u) and (.time | test(\"^20..-\"))] | all" out)" true
same "where" "$(jq -r '.[0].entry' out)" "$first"

# taken away
same "before" "$(cat mnt/audit/at/first/f)" one
expect "removed" vouch snapshot mnt first --remove
grep -q "Snapshot first is removed, by entry" out || fail "what is said: $(cat out)"
[ ! -e mnt/audit/at/first ] || fail "audit/at has it still"
same "listed" "$(ls mnt/audit/at)" $'odd\tna"me'
refuse "restored from" 2 'no snapshot, log position' vouch restore mnt/f --at first
same "by its entry" "$(cat "mnt/audit/at/$first/f")" one
expect "its entry" vouch show "$first" mnt
refuse "twice" 1 'there is no snapshot first: vouch snapshot --list' vouch snapshot mnt first --remove
refuse "never there" 1 'there is no snapshot nobody' vouch snapshot mnt nobody --remove
expect "the log says so" vouch log mnt
grep -q 'snapshot *first  removed  by' out || fail "the log: $(grep snapshot out)"

# the name given again
echo four >mnt/f
expect "again" vouch snapshot mnt first
same "is another" "$(cat mnt/audit/at/first/f)" four
refuse "while it stands" 1 'snapshot first exists already' vouch snapshot mnt first
umount_volume
expect "not mounted" vouch snapshot vol --list
same "the newest last" "$(awk 'END { print $4 }' out)" first
expect "removed, not mounted" vouch snapshot vol first --remove
expect "the log holds" vouch verify vol
expect "a new index is the same" vouch reindex vol
same "one is left" "$(vouch snapshot vol --list --format=json | jq length)" 1

# what it kept is the policy's now
mount_volume
for i in 1 2 3; do echo "$i" >mnt/f; vouch snapshot mnt "keep$i" >out; done
expect "a policy" vouch retain set mnt f --versions=1
expect "gc" vouch gc mnt --format=json
kept=$(jq .snapshots out)
[ "$kept" -ge 2 ] || fail "snapshots keep nothing: $(cat out)"
expect "one less" vouch snapshot mnt keep1 --remove
expect "gc again" vouch gc mnt --format=json
same "one less is kept" "$(jq .snapshots out)" $((kept - 1))
same "the others are there" "$(cat mnt/audit/at/keep2/f)" 2

# misuse
refuse "no name" 2 'which name' vouch snapshot mnt
refuse "a name and the list" 2 'list is all' vouch snapshot mnt keep2 --list
refuse "no name at all" 2 'starts with a letter' vouch snapshot mnt 9 --remove
