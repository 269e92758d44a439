# timeout: 120
# Hostile proofs, trust files and files: the words, exit 1, and the stranger's
# binary says the same.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/proof
mount_volume
echo one >mnt/f
echo two >mnt/g
umount_volume
vouch prove vol f -o p >/dev/null || fail 'prove f'
vouch prove vol g -o p.g >/dev/null || fail 'prove g'
vouch key show vol >trust
echo one >one
VOUCHFS_GUARD_DIR=$PWD/guard2 vouch init other --origin=example/proof >/dev/null
vouch key show other >trust.other

# no WHAT WORDS ARGUMENTS...: both binaries refuse with the words
no() {
	local what=$1 words=$2
	shift 2
	refuse "$what" 1 "$words" vouch check "$@"
	refuse "$what, vouch-check" 1 "$words" "$VOUCH_CHECK" "$@"
	[ "$(wc -c <err)" -lt 600 ] || fail "$what: a long answer: $(wc -c <err)"
}

expect 'the proof itself' vouch check one p --trust trust
grep -q 'is what was recorded' out || fail "check: $(cat out)"

# Of something else.
no 'a proof of another file' 'not that file: its SHA-256' one p.g --trust trust
no 'the trust of another volume' 'signed by no trusted log key' one p --trust trust.other
{ grep ^log trust; grep ^admin trust.other; } >mixed
no 'a strange admin' 'certificate is by no trusted admin key' one p --trust mixed
sed 's/^example\/proof$/example\/else/' p >renamed
no 'another origin' 'signed by no trusted log key' one renamed --trust trust
# The head and path of one proof on the other's checkpoint.
sed '/^extra/d' p >tail.p
{ head -n 1 p; grep ^extra p.g; tail -n +2 tail.p; } >crossed
vouch check one crossed --trust trust >/dev/null 2>err && fail 'crossed proofs passed'
cp p.g stolen
sed -i "s|^extra .*|$(grep ^extra p)|" stolen
vouch check two stolen --trust trust >/dev/null 2>&1 && fail 'a stolen extra line passed'

# Cut short at every line and in the middle.
for n in $(seq 0 $(($(wc -l <p) - 1))); do
	head -n "$n" p >cut
	no "cut after line $n" 'proof: ' one cut --trust trust
done
size=$(wc -c <p)
for n in 1 20 300 $((size / 2)) $((size - 1)) $((size - 30)); do
	head -c "$n" p >cut
	no "cut after byte $n" 'proof: ' one cut --trust trust
done

# A bit of every seventh byte.
for at in $(seq 3 7 $((size - 1))); do
	cp p flipped
	flip flipped "$at"
	timeout 10 "$VOUCH_CHECK" one flipped --trust trust >out 2>err
	status=$?
	[ $status = 1 ] || fail "byte $at inverted: exit $status"
	LC_ALL=C grep -qP '[^\x20-\x7e\n]' err && fail "byte $at: raw bytes in $(cat -v err)"
done

# Too much.
{ cat p; echo x; } >more
no 'a line more' 'checkpoint is damaged' one more --trust trust
{ cat p; printf '\0'; } >more
no 'a NUL more' 'checkpoint is damaged' one more --trust trust
{ cat p; tail -n 1 p; } >more
vouch check one more --trust trust >/dev/null 2>err
[ $? -le 1 ] || fail 'a signature twice'
head -c 3000000 /dev/zero | tr '\0' A >huge
no 'a huge line' 'beyond a fixed limit' one huge --trust trust
no 'a huge trust file' '^vouch[-a-z ]*: huge: beyond a fixed limit' one p --trust huge
{ head -n 1 p; printf 'extra '; head -c 60000 /dev/zero | tr '\0' A; echo; tail -n +3 p; } >huge
no 'a huge extra' 'proof: ' one huge --trust trust
{ cat p; for i in $(seq 300); do tail -n 1 p; done; } >many
vouch check one many --trust trust >/dev/null 2>err
[ $? -le 1 ] || fail 'hundreds of signatures'

# Nothing at all.
: >empty
no 'an empty proof' 'not a vouchfs .tlog-proof file' one empty --trust trust
no 'an empty trust file' 'names no log key' one p --trust empty
no 'no trust file' '^vouch[-a-z ]*: nowhere: No such file' one p --trust nowhere
no 'no proof' 'No such file' one nowhere --trust trust
no 'a directory' 'Is a directory' one . --trust trust
no 'a directory as file' 'Is a directory' . p --trust trust
printf 'log \e[31mred\n' >trust.bad
no 'escapes in the trust file' 'line 1' one p --trust trust.bad
grep -q $'\e' err && fail 'an escape of the terminal came through'
sed '2,$s/^/\x1b[31m/' p >escapes
vouch check one escapes --trust trust >out 2>err && fail 'escapes passed'
cat out err | grep -q $'\e' && fail 'an escape of a proof came through'
refuse 'nobody is trusted' 2 'nobody is trusted yet' vouch check one p

# An exported log that was tampered with.
vouch export vol log >/dev/null || fail export
expect 'the export' "$VOUCH_CHECK" --log log --trust log/trust
no 'a strange log' 'signed by no trusted log key\|checkpoint' --log log --trust trust.other
bundle=$(find log/tile/entries -type f | head -n 1)
flip "$bundle" 40
no 'a flipped seal' '.' --log log --trust log/trust
flip "$bundle" 40
truncate -s 50 "$bundle"
no 'a short bundle' 'ends early\|checkpoint\|bundle' --log log --trust log/trust
rm "$bundle"
no 'no bundle' 'No such file\|missing' --log log --trust log/trust
