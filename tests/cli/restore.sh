# timeout: 120
# snapshot, restore, prove, check, export.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/restore
mount_volume
mkdir -p mnt/d/e
echo one >mnt/d/e/f
chmod 640 mnt/d/e/f
touch -d '2020-01-02 03:04:05Z' mnt/d/e/f
ln -s e/f mnt/d/l
head -c 300000 /dev/urandom >was
cp was mnt/d/big
expect snapshot vouch snapshot mnt first
refuse 'the name is taken' 1 'exists already' vouch snapshot mnt first
refuse 'a name like a number' 2 'starts with a letter\|cannot be' vouch snapshot mnt 12

# A file that is there gets the old bytes as a new version.
echo two >mnt/d/e/f
expect restore vouch restore mnt/d/e/f --at first
same 'bytes' "$(cat mnt/d/e/f)" one
vouch log mnt/d/e/f | grep -q ' restore ' || fail "no RESTORE entry"
first_leaf=$(vouch log mnt/d/e/f --format=json | jq -r 'select(.kind == "version") | .leaf' | head -1)
same 'what was restored' "$(vouch log mnt/d/e/f --format=json | jq -r 'select(.kind == "restore") | .from_version')" "$first_leaf"
same 'versions' "$(vouch log mnt/d/e/f | grep -c ' version ')" 3

# What is replaced by rename, as editors do.
echo three >mnt/tmp && mv mnt/tmp mnt/d/e/f
expect 'restore a replaced file' vouch restore mnt/d/e/f --at first
same 'bytes of the replaced' "$(cat mnt/d/e/f)" one

# What is gone is made again, with its attributes; what came since stays.
rm -r mnt/d/e mnt/d/l mnt/d/big
echo new >mnt/d/new
expect 'restore a tree' vouch restore mnt/d --at first
same 'mode' "$(stat -c %a mnt/d/e/f)" 640
same 'mtime' "$(TZ=UTC stat -c %y mnt/d/e/f | cut -c 1-19)" '2020-01-02 03:04:05'
same 'link' "$(readlink mnt/d/l)" e/f
cmp was mnt/d/big || fail "big differs"
same 'what came since' "$(cat mnt/d/new)" new
grep -q 'mnt/d, as after entry .*: 2 files restored, 1 directory made again, 1 symbolic link made again, 1 thing that came since left alone\.' out ||
	fail "what it says: $(cat out)"
same 'one version each' "$(vouch log mnt/d/big | grep -c ' version ')" 1

# What is so already is not entered again.
expect 'restore it again' vouch restore mnt/d --at first
grep -q ': 1 thing that came since left alone\.' out || fail "what it says of the same: $(cat out)"
vouch restore mnt/d --at first --format=json | jq -e '.left == 1 and .files == 0 and .failed == 0' >/dev/null || fail 'as JSON'

# Many files share batches.
mkdir mnt/many && seq 200 | (cd mnt/many && split -l 1 -a 3)
expect 'snapshot of many' vouch snapshot mnt many
rm -r mnt/many
vouch sync mnt
before=$(vouch status mnt --format=json | jq .seals)
expect 'restore many' vouch restore mnt/many --at many
after=$(vouch status mnt --format=json | jq .seals)
[ $((after - before)) -le 100 ] || fail "200 files took $((after - before)) seals"
same 'bytes of many' "$(cat mnt/many/* | sort -n | tail -1)" 200
same 'one version of each' "$(vouch log mnt/many/xaaa | grep -c ' version ')" 1

# Where something else is now: that one is told, the others come back.
rm mnt/many/xaab mnt/many/xaac && mkdir mnt/many/xaab
refuse 'one of many' 1 'many/xaab: .*what came since has its name: move it away' vouch restore mnt/many --at many
grep -q ': 1 file restored, 1 thing that came since left alone, 1 file NOT restored\.' out || fail "what it says of one: $(cat out)"
same 'the others' "$(cat mnt/many/xaac)" 3

# A whole seal, one of its entries, and what the log does not have.
expect 'a seal' vouch restore mnt/d --at "$((after - 1))"
refuse 'no such seal' 1 'the log is not that long' vouch restore mnt/d --at 999999
refuse 'no such entry' 1 'seal 0 ends at 0\.' vouch restore mnt/d --at 0.4000
refuse 'was not there' 1 'was not there' vouch restore mnt/d/new --at first
refuse 'before the beginning' 1 'before the volume' vouch restore mnt/d --at 1999-01-01
refuse 'nonsense' 2 'no snapshot' vouch restore mnt/d --at nonsense
refuse 'no WHEN' 2 'WHEN' vouch restore mnt/d
mkdir mnt/x && rm mnt/d/e/f && mkdir mnt/d/e/f
refuse 'another type now' 1 'move it away' vouch restore mnt/d/e/f --at first

# Proofs.
vouch key show mnt >trust || fail 'key show'
grep -q '^log example/restore+' trust || fail "trust: $(cat trust)"
expect prove vouch prove mnt/d/big -o p
expect check vouch check was p --trust trust
grep -q 'is what was recorded' out || fail "check: $(cat out)"
vouch prove mnt/d/big >p2 && vouch check was p2 --trust trust >/dev/null || fail "prove to standard output"
echo x >>was
refuse 'another file' 1 'not that file' vouch check was p --trust trust
vouch check was p --trust trust --format=json | jq -e '.ok == false' >/dev/null || fail "check as JSON"
refuse 'nobody is trusted' 2 'nobody is trusted' env -u VOUCH_TRUST vouch check was p
printf garbage >bad
refuse 'garbage' 1 . vouch check was bad --trust trust
refuse 'garbage trust' 1 . vouch check was p --trust bad
refuse 'a directory has no proof' 1 'no version' vouch prove mnt/d
vouch key list mnt --format=json | jq -e 'length == 2' >/dev/null || fail 'key list'

# Export: mounted, and with the tree unmounted.
expect 'export' vouch export mnt out1
expect 'the copy holds' vouch check --log out1 --trust out1/trust
expect 'the tree of a mount' vouch export mnt out2 --tree
umount_volume
expect 'export --tree' vouch export vol out3 --tree --at first
same 'exported' "$(cat out3/tree/d/e/f)" one
same 'exported mode' "$(stat -c %a out3/tree/d/e/f)" 640
[ ! -e out3/tree/d/new ] || fail "--at was not heeded"
refuse 'restore unmounted' 1 'mount' vouch restore vol --at first
expect 'prove unmounted' vouch prove vol d/big -o p3
expect 'snapshot unmounted' vouch snapshot vol later
expect 'verify at last' vouch verify vol --deep

# Where the store has lost how a file was put together, no empty one is left.
mount_volume
mkdir mnt/lost && head -c 3000000 /dev/urandom >mnt/lost/long && echo short >mnt/lost/short
expect 'snapshot of what will be lost' vouch snapshot mnt whole
rm -r mnt/lost
umount_volume
keep_volume
for pack in vol/packs/*.pack; do # all records of it
	n=$(($(stat -c %s "$pack") / 64 - 2))
	[ $n -le 0 ] || dd if=/dev/zero of="$pack" bs=64 seek=1 count=$n conv=notrunc status=none
done
mount_volume
refuse 'restore what is lost' 1 'lost/long: .*its bytes as after entry [0-9.]* are damaged in the store' vouch restore mnt/lost --at whole
[ -d mnt/lost ] || fail 'the directory is not there'
[ -e mnt/lost/long ] && fail "an empty file for a lost one: $(stat -c '%a %s' mnt/lost/long)"
# Nor is one that is there and good given up for it.
head -c 100000 /dev/urandom >good && cp good mnt/lost/long && vouch sync mnt
refuse 'restore over a good one' 1 'lost/long: stored bytes are damaged' vouch restore mnt/lost/long --at whole
cmp good mnt/lost/long || fail 'a good file was given up for a lost one'
umount_volume
fresh_volume

# The daemon dies in the middle: what was done before, and why no more.
mount_volume
mkdir mnt/most && seq 4000 | (cd mnt/most && split -l 1 -a 3)
expect 'snapshot of most' vouch snapshot mnt most
rm -r mnt/most
vouch restore mnt/most --at most >out 2>err &
restoring=$!
for _ in $(seq 1000); do
	[ ! -e mnt/most/xabz ] || break
	sleep 0.01
done
kill_daemon
status=0
wait "$restoring" || status=$?
same 'what it ends with' "$status" 1
grep -q 'what is done is whole; say it again' err ||
	fail "what it says of a part: $(cat err)"
