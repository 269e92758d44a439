# A chunk of which no good copy is anywhere is an ALERT entry, once, and the
# status says so; a missing pack is not good health; what was released is no
# saving of dedup.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
head -c 1500000 /dev/urandom >big
cp big mnt/big
vouch sync mnt
vouch status mnt | grep -q '^ *health  *good' || fail "a sound volume: $(vouch status mnt)"
umount_volume
pack=$(ls -S vol/packs/*.pack | head -n 1)
cp -p "$pack" pack.good
flip "$pack" 700000

mount_volume
for i in 1 2 3; do
	cat mnt/big >/dev/null 2>&1 && fail 'damaged bytes were read'
done
vouch sync mnt
same 'alerts' "$(jq -r 'select(.kind == "alert") | .what' mnt/audit/alerts.jsonl)" content-lost
chunk=$(jq -r 'select(.kind == "alert") | .content' mnt/audit/alerts.jsonl)
grep -q "bad_chunk.*${chunk##*:}" vol/vouch.log || fail "the alert names $chunk: $(grep bad_chunk vol/vouch.log)"
vouch status mnt | grep -q '^ *DAMAGED .*1 chunk has no good copy' || fail "damaged: $(vouch status mnt)"
vouch status mnt | grep -q '^ *health' && fail 'it calls that good'
vouch log mnt | grep -q 'alert.*no good copy' || fail "log: $(vouch log mnt)"
umount_volume
expect 'the log with it' vouch verify vol
cp pack.good "$pack"

# a pack that is not there
mv "$pack" away.pack
mount_volume
vouch status mnt | grep -q '^ *UNSURE .*1 pack is missing' || fail "missing: $(vouch status mnt)"
same 'status.json' "$(jq .store.packs_missing mnt/audit/status.json)" 1
umount_volume
mv away.pack "$pack"

# released bytes
mount_volume
vouch status mnt | grep -q '^ *health  *good' || fail "whole again: $(vouch status mnt)"
for i in 1 2 3 4 5; do
	head -c 1000000 /dev/urandom >mnt/v
	vouch sync mnt
done
vouch retain set mnt '**' --versions=1 >/dev/null
vouch gc mnt >/dev/null || fail gc
[ "$(vouch status mnt --format=json | jq .released_bytes)" -ge 3000000 ] ||
	fail "released_bytes: $(vouch status mnt --format=json)"
vouch status mnt | grep -q 'saved by dedup' && fail "released bytes are no saving: $(vouch status mnt)"
vouch status mnt | grep -q '^ *health  *good' || fail "after gc: $(vouch status mnt)"
