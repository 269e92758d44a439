#!/bin/bash
# timeout: 200
# Plain digests that an export owes are made in batches, not with a seal and a
# checkpoint each; and what is proved is the version that was exported.
. "$TOP/tests/mount/lib.sh"

FILES=150

seals() { vouch status "$1" --format=json | jq .seals; }
digests() { vouch log vol --format=json | jq -r .kind | grep -c '^digest$'; }
unproved() { jq -r 'select(.why) | .path' "$1/provenance.jsonl" | sort | xargs; }

new_volume
mount_volume
mkdir mnt/d
for i in $(seq $FILES); do echo "$i and more" >mnt/d/$i; done
vouch sync mnt
# a piece in the middle: what was hashed while it was written is no more so
for i in $(seq $FILES); do printf X 1<>mnt/d/$i; done
vouch sync mnt
before=$(seals mnt)
expect "mounted" vouch export mnt/d live --tree
same "all are proved" "$(unproved live)" ""
after=$(seals mnt)
[ $((after - before)) -le 20 ] ||
	fail "$((after - before)) seals for $FILES digests"
umount_volume
made=$(digests)
[ "$made" -ge $FILES ] || fail "only $made digests were owed: this tests nothing"

# a state of the past: of each file the version then, also where its digest was
# owed and where it moved; not of a file that is no more: d/1, d/3
mount_volume
for i in $(seq $FILES); do printf Y 1<>mnt/d/$i; done
vouch snapshot mnt then >out
for i in $(seq $FILES); do printf Z 1<>mnt/d/$i; done
echo other >mnt/d/new && mv mnt/d/new mnt/d/1
mv mnt/d/2 mnt/moved
rm mnt/d/3
umount_volume
expect "at a snapshot" vouch export vol old --tree --at then
same "the bytes then" "$(cat old/tree/d/1)" "Y and more"
same "but of files that are no more" "$(unproved old)" "d/1 d/3"
jq -r 'select(.why) | .why' old/provenance.jsonl | grep -q 'no more' || fail "not said why"
made=$(($(digests) - made))
[ "$made" -ge $((FILES - 2)) ] || fail "only $made digests were owed then"
jq -j 'select(.path == "d/2") | .proof' old/provenance.jsonl >proof
expect "by itself" "$VOUCH_CHECK" old/tree/d/2 proof --trust old/trust
before=$(seals vol)
expect "once more" vouch export vol again --tree --at then
after=$(seals vol)
[ $((after - before)) -le 4 ] || fail "$((after - before)) seals, although nothing was owed"
same "the same" "$(diff -r old/tree again/tree)" ""
expect "the log is right" vouch verify vol
expect "and the index" vouch fsck vol
