# timeout: 120
# retain, hold, gc: rules and holds as the command takes them, mounted and not.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume

# Rules.
same 'no rules' "$(vouch retain list mnt)" 'no rules: every version is kept'
same 'no rules as JSON' "$(vouch retain list mnt --format=json)" '{"rules":[]}'
expect 'set' vouch retain set mnt 'logs/**' --for=30d
grep -q '^logs/\*\* keeps versions for 30 days after' out || fail "set: $(cat out)"
expect 'slashes at the ends are not meant' vouch retain set mnt '/tmp/' --versions=3
expect 'both' vouch retain set mnt '**/*.log' --for=90m --versions=1 --at=1
expect 'all' vouch retain set mnt keep --all --at=2
vouch retain list mnt --format=json | jq -ce '.rules | map([.pattern, .seconds, .versions])' >got
same 'rules in order' "$(cat got)" \
	'[["**/*.log",5400,1],["keep",null,null],["logs/**",2592000,null],["tmp",null,3]]'
expect 'changed where it stands' vouch retain set mnt keep --versions=7
vouch retain list mnt | grep -qx '  2  keep: the last 7 versions' || fail "list: $(vouch retain list mnt)"
expect 'remove' vouch retain remove mnt keep
same 'three are left' "$(vouch retain list mnt --format=json | jq '.rules | length')" 3
refuse 'no such rule' 1 'no rule has this pattern' vouch retain remove mnt keep
vouch retain list mnt | grep -q 'by .*vouch retain remove mnt keep (uid' || fail "who: $(vouch retain list mnt)"

# A rule that an earlier one leaves nothing to is told, when it is set and listed.
expect 'an idle rule' vouch retain set mnt 'logs/old/*' --versions=1
grep -q 'rule 4, logs/old/\*, never counts: rule 2, logs/\*\*, has all of it' err || fail "idle: $(cat err)"
vouch retain list mnt | grep -q 'NEVER COUNTS: rule 2 has all of it' || fail "list: $(vouch retain list mnt)"
same 'idle as JSON' "$(vouch retain list mnt --format=json | jq -c '.rules | map(.never_counts)')" '[null,null,null,2]'
expect 'it counts before the other' vouch retain set mnt 'logs/old/*' --versions=1 --at=1
[ -s err ] && fail "it counts: $(cat err)"
expect 'away again' vouch retain remove mnt 'logs/old/*'

# Bad input.
refuse 'no rule said' 2 'say --for' vouch retain set mnt x
refuse 'two answers' 2 'say --for' vouch retain set mnt x --all --versions=1
for age in '' 30 d 30x 30dd -3d 0d 99999999999y 99999999999999999999s; do
	refuse "age '$age'" 2 '--for is a number' vouch retain set mnt x --for="$age"
done
refuse 'no version at all' 2 'always kept' vouch retain set mnt x --versions=0
refuse 'a place beyond' 1 'there are 3 other rules' vouch retain set mnt x --all --at=5
refuse 'a place beyond all' 2 'position of a rule' vouch retain set mnt x --all --at=1000
refuse 'empty' 2 'it is empty' vouch retain set mnt '' --all
refuse 'the root' 2 'begins with a slash' vouch retain set mnt / --all
refuse 'dots' 2 'no name is' vouch retain set mnt a/../b --all
refuse 'an empty component' 2 'empty component' vouch retain set mnt a//b --all
refuse 'bytes' 2 'UTF-8' vouch retain set mnt $'\xff' --all
refuse 'too long' 2 'longer than a path' vouch retain set mnt "$(printf 'a%.0s' {1..4096})" --all
refuse 'what a set needs' 2 'what they need' vouch retain set mnt
refuse 'what a list needs' 2 'what they need' vouch retain list mnt --all
refuse 'another word' 2 'what they need' vouch retain keep mnt
refuse 'no volume' 1 . vouch retain list /nowhere
refuse 'too large a percentage' 2 'percentage' vouch gc mnt --threshold=101
refuse 'no number' 2 . vouch gc mnt --rate=x

# Holds.
same 'no holds' "$(vouch hold list mnt)" 'no holds'
refuse 'no reason' 2 'has a --reason' vouch hold add mnt mail
refuse 'empty reason' 2 'has a --reason' vouch hold add mnt mail --reason=
refuse 'two things' 2 'what they need' vouch hold add mnt mail --inode=5 --reason=x
refuse 'nothing' 2 'what they need' vouch hold add mnt --reason=x
refuse 'long reason' 2 '1024 bytes' vouch hold add mnt mail --reason="$(printf 'a%.0s' {1..1025})"
refuse 'bad pattern' 2 'empty component' vouch hold add mnt a//b --reason=x
expect 'hold' vouch hold add mnt mail --reason=$'case\n12 \e[2J'
grep -q 'nothing that is there now matches mail; what once did is held, and what will' err || fail "an idle hold: $(cat err)"
entry=$(sed -n 's/.*entry \(.*\)\.$/\1/p' out)
vouch hold list mnt | grep -q "^$entry  mail  since .*: case.x0a12" || fail "list: $(vouch hold list mnt)"
vouch hold list mnt | grep -q $'\e' && fail 'a reason speaks to the terminal'
mkdir -p mnt/post/in && echo x >mnt/post/in/letter && echo y >mnt/post/gone && rm mnt/post/gone
for pattern in post 'p*' '**/letter' post/in/letter 'post/*/l*' post/gone; do
	expect "hold $pattern" vouch hold add mnt "$pattern" --reason=x
	[ -s err ] && fail "$pattern is no idle hold: $(cat err)"
	vouch hold lift mnt "$pattern" --reason=x >/dev/null || fail "lift $pattern"
done
for pattern in 'post/*/m*' post/in/letter/x '**/nowhere'; do
	expect "hold $pattern" vouch hold add mnt "$pattern" --reason=x
	grep -q 'nothing that is there now matches' err || fail "$pattern is an idle hold"
	vouch hold lift mnt "$pattern" --reason=x >/dev/null || fail "lift $pattern"
done
expect 'hold an inode' vouch hold add mnt --inode=12345 --reason=why --format=json
expect 'the same again' vouch hold add mnt mail --reason=other
refuse 'which of them' 1 'several holds' vouch hold lift mnt mail --reason=x
expect 'lift by entry' vouch hold lift mnt "$entry" --reason=settled
expect 'lift by pattern' vouch hold lift mnt /mail/ --reason=settled
refuse 'lifted already' 1 'no hold in force' vouch hold lift mnt "$entry" --reason=x
refuse 'lifted already, by pattern' 1 'no hold in force' vouch hold lift mnt mail --reason=x
refuse 'no such hold' 1 'no hold in force' vouch hold lift mnt 99.9 --reason=x
same 'one holds' "$(vouch hold list mnt | wc -l)" 1
vouch hold list -a mnt --format=json | jq -e 'length == 12 and .[0].lift_reason == "settled" and .[10].inode == 12345' >/dev/null ||
	fail "all: $(vouch hold list -a mnt --format=json)"

# The log and the views say all of it.
vouch log mnt --format=json | jq -se 'map(select(.kind == "policy")) | length == 9' >/dev/null || fail 'POLICY entries'
vouch log mnt --format=json | jq -se 'map(select(.kind == "hold" and .lifted)) | length == 11' >/dev/null || fail 'HOLD entries'
vouch query mnt 'SELECT count(*) FROM policies WHERE in_force' | grep -q '^3$' || fail "policies: $(cat out)"
vouch query mnt 'SELECT pattern, lift_reason FROM holds WHERE NOT in_force' | grep -q settled || fail holds

# Not mounted, all of it works as well.
umount_volume
expect 'set' vouch retain set vol x --versions=2
expect 'hold' vouch hold add vol y --reason=z
expect 'lift' vouch hold lift vol y --reason=z
vouch retain list vol | grep -q 'x: the last 2 versions' || fail "list: $(vouch retain list vol)"
expect 'gc' vouch gc vol
grep -q '^released  0 versions' out || fail "gc: $(cat out)"
expect 'gc as JSON' vouch gc vol -n --format=json
jq -e '.ok and .dry_run and .released == 0' out >/dev/null || fail "gc: $(cat out)"
expect 'fsck' vouch fsck vol --deep
exit 0
