#!/bin/bash
# A snapshot beside writers that go on is one moment of all files: what is in
# it is a prefix of what each writer did, across files, names and processes.
# It is signed, survives kill -9, and costs what was dirty.
. "$TOP/tests/mount/lib.sh"

SNAPSHOTS=${SNAPSHOTS:-6}
py=$TOP/tests/mount/snapshot_writers.py
new_volume
mount_volume

# --- what it costs ---
mkdir mnt/many
seq 400 | split -l 1 -a 3 - mnt/many/f
vouch sync mnt
entries() { # in its log, but for digests: those come when there is time
	grep -vcE '"kind":"(digest|attest)"' mnt/audit/log.jsonl
}
before=$(entries)
exec 7>>mnt/many/faaa 8>>mnt/many/faab
echo more >&7 && echo more >&8
expect "a snapshot of two files" vouch snapshot mnt two
after=$(entries)
exec 7>&- 8>&-
# the entries of two files, of who wrote them, and of the snapshot
[ $((after - before)) -le 12 ] || fail "a snapshot of two dirty files made $((after - before)) entries"
same "what was open" "$(cat mnt/audit/at/two/many/faaa | wc -l)" 2
before=$(entries)
expect "one of nothing new" vouch snapshot mnt nothing
after=$(entries)
[ $((after - before)) -le 3 ] || fail "a snapshot of nothing new made $((after - before)) entries"

# --- beside writers ---
pids=; for i in 1 2 3; do
	mkdir "mnt/plain$i" "mnt/sync$i"
	python3 "$py" write "mnt/plain$i" plain & pids="$pids $!"
done
python3 "$py" write mnt/sync1 sync & pids="$pids $!"
for i in 1 2 3; do # all have begun
	until [ -s "mnt/plain$i/f" ]; do sleep 0.02; done
done

looked() { # NAMES: what each writer's directory holds there
	local n dirs=
	for n in "$@"; do
		dirs="$dirs $(echo mnt/audit/at/"$n"/{plain1,plain2,plain3,sync1})"
	done
	python3 "$py" check $dirs
}

names=
for n in $(seq "$SNAPSHOTS"); do
	expect "snapshot $n" vouch snapshot mnt "s$n"
	names="$names s$n"
done
# two of the same name at once: one has it
vouch snapshot mnt twice >one 2>&1 & first=$!
vouch snapshot mnt twice >two 2>&1
second=$?
wait $first
[ $(($? + second)) = 1 ] || fail "two snapshots of one name: $(cat one two)"
looked s1 >looked1 || fail "s1 is no prefix: $(grep TORN looked1)"

# --- kill -9 beside it all ---
expect "the last" vouch snapshot mnt last
kill_daemon
touch stop
for p in $pids; do wait "$p"; done
vouch umount -l mnt 2>/dev/null
mount_volume
looked $names last >looked || fail "no prefix: $(grep TORN looked)"
cmp -s looked1 <(head -4 looked) || fail "s1 was another after kill -9: $(diff looked1 looked)"
[ "$(sort -u looked | wc -l)" -gt 8 ] || fail "the writers did nothing between snapshots: $(cat looked)"

# --- signed ---
entries=$(vouch log mnt --format=json | jq -c 'select(.kind == "snapshot")' | wc -l)
[ "$entries" = $((SNAPSHOTS + 4)) ] || fail "the log has $entries snapshots"
umount_volume
expect "the log holds" vouch verify vol
