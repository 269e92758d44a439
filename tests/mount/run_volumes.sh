#!/bin/bash
# run_volumes.sh: one run over two volumes: each has it whole, under the same
# name and id, and shows and takes back its own part.
# timeout: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
vouch init vol2 >init.out || fail "vouch init"
mkdir mnt2
vouch mount vol2 mnt2 || fail "the second"
for m in mnt mnt2; do seq 9 >$m/text; echo gone >$m/gone; done
cp -a mnt before; cp -a mnt2 before2
rm -rf before/audit before/query before2/audit before2/query

vouch run -q --name both --in mnt --in mnt2 -- bash -c '
	sed -i s/5/five/ mnt/text; echo 1 >mnt/first; mv mnt2/gone mnt2/moved; (setsid sh -c "echo 2 >mnt2/second" &)
	rm mnt/gone; while [ ! -e mnt2/second ]; do sleep 0.02; done; exit 3'
same "the status" $? 3
vouch run -q --name both --in mnt2 -- touch mnt2/alone || fail "in one"
for n in '' 2; do
	vouch sync mnt$n || fail "sync"
	vouch log vol$n --all --format=json >log.jsonl || fail "log"
	jq -r 'select(.kind == "run-start" and .name == "both").run' log.jsonl | head -n 1 >id$n
	same "vol$n: its end" "$(jq -rs --arg r "$(cat id$n)" 'map(select(.kind == "run-end" and .run == $r) |
		"\(.how) \(.status)") | join(",")' log.jsonl)" "exit 3"
	same "vol$n: its word" "$(jq -r '"\(.run) \(.end.status)"' mnt$n/audit/runs/both.1/summary.json)" "both.1 3"
done
[ -s id ] || fail "no run in the log"
same "the id in both" "$(cat id)" "$(cat id2)"
same "numbers are each volume's own" "$(ls mnt/audit/runs mnt2/audit/runs | grep -c '^both\.')" 3

vouch diff both --in=mnt --name-status | sort >got || fail "diff"
same "what it changed in the one" "$(awk '{ print $NF }' got | tr '\n' ' ')" "first gone text "
vouch diff both.1 --in=mnt2 --name-only | sort | tr '\n' ' ' >got || fail "diff"
grep -q second got && ! grep -q first got || fail "what it changed in the other: $(cat got)"
refuse "two of that name there" 2 "several\|ambiguous" vouch diff both --in=mnt2

refuse "which volume" 2 "with --in=STORE" vouch diff both
refuse "which, of a run" 2 "with --in=STORE" vouch lineage both
refuse "which, undo" 2 "\-\-in=DIR" vouch undo both
expect "undo in the one" vouch undo both --in=mnt
diff -r -x audit -x query before mnt || fail "the one is not as before"
[ -e mnt2/second ] || fail "the other went along"
expect "undo in the other" vouch undo both.1 --in=mnt2
rm mnt2/alone
diff -r -x audit -x query before2 mnt2 || fail "the other is not as before"

# --- one of the two cannot have it: nothing is started
vouch umount mnt2 || fail "umount"
vouch mount vol2 mnt2 -o ro || fail "read-only"
refuse "one is read-only" 125 "read-only" vouch run --name never --in mnt --in mnt2 -- touch mnt/never
[ ! -e mnt/never ] || fail "it was started"
vouch umount mnt2 || fail "umount"
umount_volume
expect "verify" vouch verify vol
expect "verify" vouch verify vol2
