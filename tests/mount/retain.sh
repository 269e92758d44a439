# timeout: 180
# A retention policy acts: old versions are released, their history stays and
# can be proved, what is kept can be restored, nothing is called damage.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/retain
mount_volume
vouch key show mnt >trust
mkdir mnt/logs mnt/keep
for i in 1 2 3 4 5 6; do
	head -c 300000 /dev/urandom >"logs.$i"
	head -c 300000 /dev/urandom >"keep.$i"
	cp "logs.$i" mnt/logs/a
	cp "keep.$i" mnt/keep/a
	dd if="logs.$i" of=mnt/logs/partly bs=1000 seek=$i conv=notrunc status=none
	expect 'versions' vouch snapshot mnt "s$i" # makes them
done
cp logs.1 mnt/logs/gone && rm mnt/logs/gone
expect 'all kept by snapshots' vouch retain set mnt logs --versions=2
expect gc vouch gc mnt --format=json
jq -e '.released == 0 and .snapshots == 8' out >/dev/null || fail "snapshots keep: $(cat out)"
umount_volume
rm -rf vol

# The same without snapshots.
new_volume --origin=example/retain2
mount_volume
vouch key show mnt >trust
mkdir mnt/logs mnt/keep
for i in 1 2 3 4 5 6; do
	cp "logs.$i" mnt/logs/a
	cp "keep.$i" mnt/keep/a
	sleep 0.01
done
same 'versions of a' "$(vouch log mnt/logs/a | grep -c ' version ')" 6
for i in 1 2 3; do
	dd if="logs.$i" of=mnt/logs/partly bs=1000 seek=$i conv=notrunc status=none
	vouch prove mnt/keep/a >/dev/null # settles
done
vouch sync mnt
vouch log mnt/logs/a --format=json | jq -r 'select(.kind == "version") | .entry' >entries
first=$(sed -n 1p entries) fifth=$(sed -n 5p entries)
cmp logs.1 "mnt/audit/at/$first/logs/a" || fail 'the first version, before'
expect 'hold' vouch hold add mnt keep --reason='case 1'
expect 'rules' vouch retain set mnt '**' --versions=2
expect 'dry run' vouch gc mnt -n --format=json
jq -e '.released >= 4 and .entries == 0' out >/dev/null || fail "dry run: $(cat out)"
vouch gc mnt -n --threshold=100 | grep -q 'to be rewritten' || fail 'dry run as text'
foretold=$(vouch gc mnt -n --threshold=100 --format=json | jq .bytes_freed)
[ "$foretold" -ge 600000 ] || fail "four versions would go, it foretells $foretold bytes"
expect 'nothing is released yet' vouch gc mnt -n --format=json
# Packs have their size when all has settled and no room is taken ahead.
umount_volume
before=$(du -sk --apparent-size vol/packs | cut -f1)
mount_volume
expect 'gc' vouch gc mnt --threshold=100 --format=json
freed=$(jq .bytes_freed out)
[ $((freed - foretold)) -le 50000 ] && [ $((foretold - freed)) -le 50000 ] || fail "foretold $foretold, freed $freed"
jq -e '.released >= 4 and .held == 4 and .wrong == 0 and .entries >= 1' out >/dev/null || fail "gc: $(cat out)"

# History: all six, four of them released, by an entry that the log has.
vouch log mnt/logs/a --format=json | jq -s 'map(select(.kind == "version"))' >versions
jq -e 'length == 6 and (map(select(.sha256)) | length == 6)' versions >/dev/null || fail "history: $(cat versions)"
jq -s 'map(select(.kind == "version") | .released) ' mnt/audit/history/logs/a.jsonl >released
jq -e 'map(. != null) == [true,true,true,true,false,false]' released >/dev/null || fail "released: $(cat released)"
gc=$(jq -r '.[0]' released)
vouch log mnt/logs/a | grep -q "version 1, .*, released by $gc" || fail "log: $(vouch log mnt/logs/a)"
vouch show "$first" mnt >out
grep -q "its bytes were released on 20..-..-.. by entry $gc, under the policy of entry" out || fail "show: $(cat out)"
vouch query mnt "SELECT count(*) FROM versions WHERE path='logs/a' AND released NOTNULL" | grep -q '^4$' || fail 'view'
jq -e '.files.released >= 4 and .retention.rules == 1 and .retention.holds == 1' mnt/audit/status.json >/dev/null || fail "status.json: $(cat mnt/audit/status.json)"
vouch status mnt | grep -q 'released' || fail "status: $(vouch status mnt)"

# Reading what is gone is an error in words, not damage; the rest reads.
cat "mnt/audit/at/$first/logs/a" >/dev/null 2>err && fail 'a released version could be opened'
grep -q 'No data available' err || fail "words: $(cat err)"
same 'its size is known' "$(stat -c %s "mnt/audit/at/$first/logs/a")" 300000
cmp logs.5 "mnt/audit/at/$fifth/logs/a" || fail 'a kept version'
cmp keep.1 "mnt/audit/at/$(vouch log mnt/keep/a --format=json | jq -r 'select(.kind == "version") | .entry' | head -1)/keep/a" ||
	fail 'a held version'
cmp logs.6 mnt/logs/a || fail 'the file itself'

# Restore: kept yes, released no, and told why.
refuse 'restore a released version' 1 'version 1 cannot be restored: its bytes were released' vouch restore mnt/logs/a --at "$first"
cmp logs.6 mnt/logs/a || fail 'a refused restore changed the file'
expect 'restore a kept version' vouch restore mnt/logs/a --at "$fifth"
cmp logs.5 mnt/logs/a || fail 'restored bytes'

# Whoever kept a copy can prove it: the newest, a kept, a released version.
expect 'prove a released version' vouch prove mnt/logs/a --version=1 -o p1
expect 'prove a kept version' vouch prove mnt/logs/a --version=5 -o p5
expect 'check the released one' vouch-check logs.1 p1 --trust trust
expect 'check the kept one' vouch-check logs.5 p5 --trust trust
refuse 'another file' 1 'not that file' vouch check logs.2 p1 --trust trust
refuse 'no such version' 1 'has no version 99' vouch prove mnt/logs/a --version=99

# A version that was never read whole has its digest from before the release.
vouch log mnt/logs/partly --format=json | jq -s 'map(select(.kind == "version"))' >partly
n=$(jq length partly)
[ "$n" -ge 3 ] && expect 'prove what had no digest' vouch prove mnt/logs/partly --version=1 -o p

# Nothing of it is damage.
expect 'verify' vouch verify mnt --deep
grep -q 'of them released' out || fail "verify: $(cat out)"
expect 'scrub' vouch scrub mnt
expect 'gc again' vouch gc mnt --threshold=100 --format=json
umount_volume
expect 'fsck' vouch fsck vol --deep
expect 'reindex' vouch reindex vol
expect 'fsck with the new index' vouch fsck vol
expect 'export' vouch export vol tree --tree --at "$first"
grep -q 'left out: their bytes were released' out || fail "export: $(cat out)"
after=$(du -sk --apparent-size vol/packs | cut -f1)
gone=$((before - after - freed / 1024))
[ $gone -ge -50 ] && [ $gone -le 50 ] || fail "space: $before KiB before, $after KiB after, freed $freed bytes"
exit 0
