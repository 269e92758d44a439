#!/bin/bash
# States: whatever WHEN can be, wherever it is taken, and what is said of each
# that is none.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume

# at WHEN: what f held then
at() {
	cat "mnt/audit/at/$1/f" 2>/dev/null || echo "nothing"
}

echo one >mnt/f
expect "a snapshot" vouch snapshot mnt first
expect "a run" vouch run -q --name work --in=mnt -- sh -c 'echo two >mnt/f; echo three >mnt/f'
echo four >mnt/f
expect "a second run" vouch run -q --name work --in=mnt -- sh -c 'echo five >mnt/f'
vouch sync mnt
here=$(vouch status mnt --format=json | jq -r .seals)
echo six >mnt/f
same "a snapshot" "$(at first)" one
same "a run's start" "$(at work.1:start)" one
same "a run's end" "$(at work.1:end)" three
same "another's start" "$(at work.2:start)" four
same "another's end" "$(at work.2:end)" five
same "a position" "$(at $((here - 1)))" five
same "now" "$(at now)" six
same "a time" "$(at "$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)")" six

# the same where a command takes it
for when in first:one work.1:start:one work.1:end:three work.2:start:four "$((here - 1)):five"; do
	expect "restore $when" vouch restore mnt/f --at "${when%:*}"
	same "restored $when" "$(cat mnt/f)" "${when##*:}"
done

# a process group without `vouch run` ends with what it did last
cat >quiet.sh <<'E2'
echo seven >mnt/f; : <mnt/f
echo ready >ready; read -r _ <go
echo eight >mnt/f
E2
mkfifo go ready
setsid -w bash quiet.sh &
pid=$!
read -r _ <ready
vouch sync mnt
group=$(ls -t mnt/audit/runs | grep '^bash\.' | sort -t. -k2 -n | tail -n 1)
same "a group, so far" "$(at "$group:end")" seven
same "a group's start" "$(at "$group:start")" five
echo on >go
wait $pid
vouch sync mnt
same "a group, later" "$(vouch restore mnt/f --at "$group:end" >out && cat mnt/f)" eight

# a snapshot goes before a run of that name
echo nine >mnt/f
expect "a snapshot called so" vouch snapshot mnt work.1:end
same "which of them" "$(vouch restore mnt/f --at work.1:end >out && cat mnt/f)" nine

# none of all that
refuse "no such run" 1 'no run nobody: .vouch runs --all .*vol. lists' vouch restore mnt/f --at nobody:start
refuse "which run" 1 'several runs named work: say work.2' vouch restore mnt/f --at work:end
refuse "a run alone" 2 'that is a run: say work.2:start or work.2:end' vouch restore mnt/f --at work.2
refuse "nothing of it" 2 'no snapshot, log position or time, no RUN:start' vouch restore mnt/f --at work.2:middle
refuse "in the future" 1 'in the future' vouch restore mnt/f --at 2190-01-01
refuse "before the beginning" 1 'before the volume was made' vouch restore mnt/f --at 1990-01-01
refuse "beyond the log" 1 'the log is not that long' vouch restore mnt/f --at 999999
cat >inside.sh <<'E2'
vouch restore mnt/f --at going:end 2>said
ls mnt/audit/at/going:end 2>>said
E2
vouch run -q --name going --in=mnt -- bash inside.sh
grep -q 'run going.1 goes on: it has no end yet' said || fail "a run that goes on: $(cat said)"
grep -q 'No such file' said || fail "the end of a run that goes on is there: $(cat said)"

# other people's runs are not there for an ordinary user
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	umount_volume
	mount_volume -o allow_other
	chmod 755 . mnt
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		ls mnt/audit/at/work.2:end >seen 2>/dev/null && fail "he sees another's run: $(cat seen)"
	same "his mount's owner does" "$(at work.2:end)" five
else
	echo "not root, or no setpriv: other people's view was not tried"
fi
