#!/bin/bash
# run_unsaved.sh: what a run wrote and nobody has saved yet when it ends is
# saved before its end is entered: summary, diff and RUN:end have it at once,
# and what somebody else does right afterwards is not in them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume

# told RUN: versions and bytes in its summary, files in its diff
told() {
	echo "$(jq -r '.changed | "\(.versions) \(.bytes)"' "mnt/audit/runs/$1/summary.json")" \
		"$(vouch diff "$1" --in=mnt --name-status | wc -l)"
}

# --- a process that is left holds its file open: no close saves that
cat >held.sh <<'E2'
exec 3>mnt/held
echo "of the run" >&3
: >holds
while [ ! -e go ]; do sleep 0.05; done
echo "left behind" >&3
: >went
E2
vouch run -q --name holds --in mnt -- sh -c 'sh held.sh & while [ ! -e holds ]; do sleep 0.05; done'
same "it is told" "$(told holds.1)" "1 11 1"
same "its end has it" "$(cat mnt/audit/at/holds.1:end/held)" "of the run"
: >go
until_there went
vouch sync mnt
same "not what came later" "$(cat mnt/audit/at/holds.1:end/held)" "of the run"
same "which is there" "$(tail -n 1 mnt/held)" "left behind"

# --- many bytes, then at once somebody else's
head -c 24000000 /dev/urandom >random
vouch run -q --name writes --in mnt -- sh -c 'for i in 1 2 3; do cp random mnt/r$i; done; echo run >mnt/small'
echo "mine" >>mnt/small
echo "mine" >>mnt/r3
same "all is told" "$(told writes.1)" "4 72000004 4"
same "all its bytes" "$(cat mnt/audit/at/writes.1:end/r{1,2,3} | sha256sum)" "$(cat random random random | sha256sum)"
same "nobody else's" "$(cat mnt/audit/at/writes.1:end/small)" run
vouch sync mnt
same "later, too" "$(cat mnt/audit/at/writes.1:end/{small,r3} | sha256sum)" "$( (echo run && cat random) | sha256sum)"
same "which is there, too" "$(tail -n 1 mnt/small)" mine
log_read
same "its end comes last" "$(jq -rs --arg r "$(run_id writes)" '
	(map(select(.kind == "actor" and .run == $r) | { key: .leaf, value: 1 }) | from_entries) as $a |
	[.[] | select((.kind == "version" and $a[.actor]) or (.kind == "run-end" and .run == $r)) | .kind] | join(" ")' log.jsonl)" \
	"version version version version run-end"

# --- the wrapper is killed: the same
rm -f holds go went
vouch run -q --name lost --in mnt -- sh held.sh &
until_there holds
kill -9 $!
wait $! 2>/dev/null
for ((i = 0; i < 200 * SLOWNESS; i++)); do
	[ "$(jq -r .state mnt/audit/runs/lost.1/summary.json)" = running ] || break
	sleep 0.05
done
same "lost: told" "$(told lost.1)" "1 11 1"
same "lost: its end" "$(cat mnt/audit/at/lost.1:end/held)" "of the run"
: >go
until_there went

# --- two end at the same time, with much that is unsaved
vouch run -q --name left --in mnt -- cp random mnt/a &
vouch run -q --name right --in mnt -- cp random mnt/b &
wait
same "one" "$(told left.1)" "1 24000000 1"
same "the other" "$(told right.1)" "1 24000000 1"

umount_volume
expect "all is well" vouch verify vol
