#!/bin/bash
# vouch-check: words and exit status for good files, bad ones and misuse.
set -eu

fail() { echo "FAIL: $*"; exit 1; }

# expect STATUS WORDS COMMAND...: both streams are searched for the words.
expect() {
	local want=$1 words=$2 status=0
	shift 2
	"$@" >out 2>&1 || status=$?
	[ $status = "$want" ] || { cat out; fail "$*: exit $status, want $want"; }
	grep -qF -- "$words" out || { cat out; fail "$*: no \"$words\""; }
}

sample_log_export . 20

# yes
expect 0 'model.bin: is what was recorded' \
	vouch-check model.bin model.bin.tlog-proof --trust trust
expect 0 'ran python3 train.py --epochs=3 in /mnt/vol' \
	vouch-check model.bin model.bin.tlog-proof --trust trust
expect 0 'data.csv, SHA-256' \
	vouch-check model.bin model.bin.tlog-proof --trust trust
expect 0 'certified by a trusted admin key' \
	vouch-check model.bin model.bin.tlog-proof --trust trust
expect 0 '"ok":true' \
	vouch-check --format=json model.bin model.bin.tlog-proof -t trust
jq -e '.path == "model.bin" and .inputs[0].path == "data.csv" and
	.actor.argv == ["python3", "train.py", "--epochs=3"]' out >/dev/null
expect 0 'is what was recorded' env VOUCH_TRUST=trust \
	vouch-check model.bin model.bin.tlog-proof
mkdir -p "$HOME/.config/vouchfs"
cp trust "$HOME/.config/vouchfs/trust"
expect 0 'is what was recorded' vouch-check model.bin model.bin.tlog-proof
rm "$HOME/.config/vouchfs/trust"

# the log's key alone
grep ^log trust >log-only
expect 0 'author vouched for by the log only' \
	vouch-check model.bin model.bin.tlog-proof --trust log-only

# no
cp model.bin other
echo x >>other
expect 1 'not that file: it has 23 bytes, recorded were 21' \
	vouch-check other model.bin.tlog-proof --trust trust
printf 'Weights of the model\n' >other
expect 1 'not that file: its SHA-256 is' \
	vouch-check other model.bin.tlog-proof --trust trust
expect 1 '"ok":false' \
	vouch-check --format=json other model.bin.tlog-proof --trust trust
jq -e .error out >/dev/null
expect 1 'No such file' vouch-check none model.bin.tlog-proof --trust trust
expect 1 'not a vouchfs .tlog-proof' \
	vouch-check model.bin model.bin --trust trust
sed 's/^index .*/index 3/' model.bin.tlog-proof >moved
expect 1 'not in the log at its place' \
	vouch-check model.bin moved --trust trust
printf 'log nonsense\n' >bad
expect 1 'line 1' vouch-check model.bin model.bin.tlog-proof --trust bad
echo 'log vouchfs.example/log1+285eddef+AaL6L0o1W6LpB6UwCenjfK3fesfmagi6B2MfVTBys/JM' >stranger
expect 1 'signed by no trusted log key' \
	vouch-check model.bin model.bin.tlog-proof --trust stranger
head -c 2000000 /dev/zero >zeros
expect 1 'zeros: beyond a fixed limit' vouch-check model.bin zeros --trust trust

# the whole log
expect 0 '25 seals for' vouch-check --log log --trust trust
expect 0 '"size":25' vouch-check --log log --trust trust --format=json
expect 1 'checkpoint' vouch-check --log log --trust stranger
mv log/tile/0 log/tile/gone
expect 1 'tile/0/000' vouch-check --log log --trust trust

# misuse
expect 2 'usage:' vouch-check
expect 2 'usage:' vouch-check model.bin
expect 2 'usage:' vouch-check --nonsense
expect 2 'text or json' vouch-check --format=xml a b
expect 2 'nobody is trusted yet' vouch-check model.bin model.bin.tlog-proof
expect 0 'Exit status' vouch-check --help
expect 0 'vouch-check ' vouch-check --version
