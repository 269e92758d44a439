#!/bin/bash
# vouch runs: a line for each run, the newest last, for everybody what he may
# see; audit/runs.jsonl behind it.
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume -o allow_other
refuse "of nothing" 1 "neither inside\|not inside" vouch runs "$PWD"
refuse "of a STORE elsewhere" 1 "not inside" vouch runs nowhere
vouch runs mnt >none 2>said || fail "no run yet: $?"
[ ! -s none ] && grep -q 'vouch run -- CMD' said || fail "no run yet: $(cat none said)"

mkdir -m 1777 mnt/pub
vouch run --in mnt --name fix -q -- sh -c 'echo a >mnt/a; echo b >mnt/b; exit 3'
vouch run --in mnt --name kill -q -- sh -c 'kill -9 $$' 2>/dev/null
vouch run --in mnt --name keys -q --no-cgroup --guard --hide '*.key' -- sh -c ': >mnt/x.key' 2>/dev/null
vouch run --in mnt --name on -q -- sh -c 'echo >mnt/going; until [ -e go ]; do sleep 0.02; done' &
until [ -e mnt/going ]; do sleep 0.02; done
setsid -w sh -c 'echo >mnt/undeclared'
vouch runs mnt >got || fail "runs: $?"
same "the columns" "$(head -n 1 got | tr -s ' ')" "RUN STARTED (UTC) TOOK USER CHANGED DENIED END"
same "the runs, newest last" "$(awk 'NR > 1 { print $1 }' got | tr '\n' ' ')" "fix.1 kill.1 keys.1 on.1 "
same "what they changed" "$(awk 'NR > 1 { print $(NF - 2 - ($(NF - 1) == "exit")) }' got | tr '\n' ' ')" "2 0 0 1 "
same "how they ended" "$(awk 'NR > 1 { sub(/.*  /, ""); print }' got | tr '\n' ' ')" "exit 3 SIGKILL exit 2 running "
same "what was denied" "$(awk '$1 == "keys.1" { print $(NF - 2) }' got)" 1
same "the last column" "$(awk '{ sub(/exit /, "exit_"); print index($0, $NF) }' got | sort -u | wc -l)" 1
[ "$(awk 'length > 80' got)" = "" ] || fail "wider than a terminal: $(cat got)"
: >go
wait
# the store's name says the mount, and so does where one is
same "by the store" "$(vouch runs vol | awk 'NR > 1 { print $1 }' | tr '\n' ' ')" "fix.1 kill.1 keys.1 on.1 "
same "inside" "$(cd mnt/pub && vouch runs -n 1 | awk 'NR > 1 { print $1, $NF }')" "on.1 0"
vouch runs mnt -n 2 --format=json >got.json || fail "as JSON: $?"
same "two as JSON" "$(jq -r '"\(.run) \(.implicit) \(.changed) \(.denied) \(.end.how)"' got.json | tr '\n' ,)" \
	"keys.1 false 0 1 exit,on.1 false 1 0 exit,"
vouch runs mnt --all >all || fail "--all: $?"
grep -q '^\(da\|ba\)*sh\.[0-9].*  -  .* implicit$' all || fail "what nobody declared: $(cat all)"
same "all, oldest first" "$(awk 'NR > 1 && /\.1 / { print $2 $3 }' all | sort -c && echo sorted)" sorted
script -qec "vouch runs mnt -n 1" /dev/null >tty </dev/null || fail "to a terminal: $?"
grep -q "vouch diff on.1 --in=$PWD/mnt" tty || fail "no hint: $(cat tty)"
expect "the hint is right" bash -c "$(sed -n "s/^Take.*\`\(.*\)\`.*/\1 -n/p" tty)"

# the list is the newest first, and every line has what its summary begins with
same "the list" "$(jq -r 'select(.implicit | not).run' mnt/audit/runs.jsonl | tr '\n' ' ')" "on.1 keys.1 kill.1 fix.1 "
jq -c . mnt/audit/runs.jsonl >lines
for run in fix.1 kill.1; do
	jq -c --arg r $run 'select(.run == $r)' lines >line
	jq -c --slurpfile l line 'with_entries(select(.key as $k | $l[0] | has($k)))' \
		"mnt/audit/runs/$run/summary.json" | cmp - line || fail "$run: $(cat line)"
done

# everybody his own
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	anna() { setpriv --reuid 4242 --regid 4242 --clear-groups -- "$@"; }
	chmod 755 . && cp "$VOUCH" pub-vouch
	if anna test -x pub-vouch; then
		anna ./pub-vouch runs mnt >none 2>said
		grep -q 'no run of yours was declared' said && [ ! -s none ] || fail "none of hers: $(cat none said)"
		refuse "where she sees them" 1 "vouch runs --all $PWD/mnt. lists" anna ./pub-vouch undo nobody --in mnt
		anna ./pub-vouch run --in mnt --name anna -q -- sh -c ': >mnt/pub/hers'
		same "hers" "$(anna ./pub-vouch runs mnt | awk 'NR > 1 { print $1, $(NF - 3) }')" "anna.1 1"
		same "hers, of all" "$(anna ./pub-vouch runs mnt -a --format=json | jq -r .uid | sort -u)" 4242
		same "root's" "$(vouch runs mnt -n 1 | awk 'NR > 1 { print $1, $(NF - 3) }')" "anna.1 1"
		# a run of hers inside one of root's, whose name is not for her
		vouch run --in mnt --name secret -q -- setpriv --reuid 4242 --regid 4242 --clear-groups -- \
			./pub-vouch run --in mnt --name inner -q -- sh -c ': >mnt/pub/inner'
		same "root sees what it is in" "$(jq -r .parent mnt/audit/runs/inner.1/summary.json)" secret.1
		same "and in the list" "$(jq -r 'select(.run == "inner.1").parent' mnt/audit/runs.jsonl)" secret.1
		same "she has it" "$(anna jq -r 'select(.run == "inner.1").parent' mnt/audit/runs.jsonl)" null
		same "as one" "$(anna jq -r .parent mnt/audit/runs/inner.1/summary.json)" null
	fi
fi

umount_volume
mount_volume -o virtual=.v
same "under a name" "$(vouch runs mnt -n 9 | grep -c 'fix.1\|on.1')" 2
umount_volume
refuse "not mounted" 1 "vol is not mounted: .vouch mount $PWD/vol DIR" vouch runs vol
[ $failures = 0 ]
