# timeout: 180
# A deep check looks at log and packs at the same time, once there are 16 MiB
# of packs: what is wrong with either is told, also where there is a lot of it.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/both
mount_volume
head -c 24000000 /dev/urandom >mnt/big
for i in 1 2 3 4; do echo "$i" >mnt/small$i; done
umount_volume
expect 'all is well' vouch verify vol --deep
vouch verify vol --deep --format=json |
	jq -e '.ok and .damaged == 0 and .versions == 5' >/dev/null || fail 'as JSON'

# Every record of the pack that holds the bytes, and one of the journal.
pack=$(ls -S vol/packs/*.pack | head -n 1)
segment=$(ls vol/ledger/journal/*.vj | head -n 1)
cp "$pack" pack.bak
cp "$segment" segment.bak
for ((at = 2000; at < 23000000; at += 90000)); do flip "$pack" $at; done
vouch verify vol --deep >out 2>&1 && fail 'damaged packs passed'
grep -q 'DAMAGED' out || fail "packs: $(tail -n 3 out)"
grep -q 'journal: ' out && fail "a good log was blamed: $(grep journal: out)"
flip "$segment" 600
vouch verify vol --deep >out 2>&1 && fail 'damaged packs and log passed'
grep -q "journal: .*damaged" out || fail "the packs hide the log: $(head -n 3 out)"
grep -q '\.pack' out || fail "the log hides the packs: $(head -n 3 out)"
cat pack.bak >"$pack"
vouch verify vol --deep >out 2>&1 && fail 'a damaged log passed'
grep -q "journal: .*damaged" out || fail "the log: $(head -n 3 out)"
cat segment.bak >"$segment"
expect 'all is well again' vouch verify vol --deep
