#!/bin/bash
# Lineage of programs that know nothing of it; proofs that hold elsewhere.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
l=mnt/audit/lineage
echo 1,2,3 >mnt/data.csv
cat >mnt/train.py <<'E'
import sys
rows = open(sys.argv[1]).read()
open(sys.argv[2], "w").write("model of " + rows)
E
python3 mnt/train.py mnt/data.csv mnt/model
cp mnt/model mnt/copy
# a shell opens the script, its child writes
cat >mnt/job.sh <<'E'
read -r line <mnt/data.csv
python3 -c 'open("mnt/child", "w").write("x")'
E
bash mnt/job.sh

edges() { # FILE: "from to strength" by path
	jq -r '. as $g | .edges[] | . as $e |
		[($g.nodes[] | select(.id == $e.from) | .path),
		 ($g.nodes[] | select(.id == $e.to) | .path), .strength] | join(" ")' "$1" | sort
}
edges $l/model.json >e
grep -qx 'data.csv model exact' e || fail "data made the model: $(cat e)"
grep -qx 'train.py model exact' e || fail "the script made the model: $(cat e)"
grep -qx 'model copy exact' e || fail "what was made of it: $(cat e)"
edges $l/copy.json >e
grep -qx 'data.csv model exact' e || fail "two steps up: $(cat e)"
edges $l/data.csv.json >e
grep -qx 'model copy exact' e || fail "two steps down: $(cat e)"
edges $l/child.json >e
grep -qx 'data.csv child by ancestry' e || fail "by the parent's opens: $(cat e)"
expect "who" jq -e '[.actors[].argv | index("mnt/train.py")] | any' $l/model.json
expect "not cut" jq -e '.cut == false' $l/model.json
head -n 1 $l/model.dot | grep -q '^digraph' || fail "DOT"
! command -v dot >/dev/null || expect "dot draws it" dot -Tsvg -o g.svg $l/model.dot

# two files that feed each other: ends
echo x >mnt/x
for i in 1 2 3; do cat mnt/x >mnt/y; cat mnt/y >mnt/x; done
: >mnt/empty
expect "an empty file" jq -e '.nodes | length == 1' $l/empty.json
expect "a cycle" jq -e '.nodes | length > 2' $l/x.json

# proofs: of a file with a digest, of one without, of one that is open
p=mnt/audit/proof
printf X | dd of=mnt/model bs=1 seek=2 conv=notrunc status=none
for f in model copy data.csv; do
	expect "proof of $f" cp $p/$f.tlog-proof $f.tlog-proof
	expect "the same again" cmp $p/$f.tlog-proof $f.tlog-proof
	same "size of the proof" "$(stat -c %s $p/$f.tlog-proof)" "$(stat -c %s $f.tlog-proof)"
	cp mnt/$f taken
	if [ -n "${VOUCH_CHECK:-}" ]; then
		jq -r .trust_file mnt/audit/keys.json >trust
		expect "check of $f" "$VOUCH_CHECK" taken $f.tlog-proof --trust trust
		echo x >>taken
		! "$VOUCH_CHECK" taken $f.tlog-proof --trust trust >/dev/null 2>&1 ||
			fail "a changed $f passed"
	fi
done
echo newer >mnt/copy
! cmp -s $p/copy.tlog-proof copy.tlog-proof || fail "the proof is not of the newest version"

# attributes
if command -v getfattr >/dev/null; then
	v() { getfattr -n user.vouch.$1 --only-values mnt/$2 2>/dev/null; }
	for f in model copy data.csv; do
		same "sha256 of $f" "$(v sha256 $f)" "$(sha256sum <mnt/$f | cut -d' ' -f1)"
	done
	same "version" "$(v version copy)" 2
	same "entry" "$(v entry copy)" "$(jq -r 'select(.kind == "version") | .entry' mnt/audit/history/copy.jsonl | tail -n 1)"
	grep -Eq '^mount 1 key [0-9a-f]{32}$' <<<"$(v signer copy)" || fail "signer: $(v signer copy)"
	grep -Eq '^(written|durable|checkpointed|witnessed), [0-9]+ replica' <<<"$(v durability copy)" || fail "durability: $(v durability copy)"
	same "not listed" "$(getfattr -d mnt/copy)" ""
	expect "of a directory" getfattr -n user.vouch.entry mnt
fi

# an append: what the file was before, and its inputs, are in the new version
echo first >mnt/in1 && echo second >mnt/in2
cp mnt/in1 mnt/joined
vouch sync mnt
/bin/sh -c 'cat mnt/in2 >>mnt/joined'
vouch sync mnt
for f in in1 in2 joined; do
	jq -e --arg f $f '[.nodes[] | select(.path == $f)] | length >= 1' mnt/audit/lineage/joined.json >/dev/null ||
		fail "the appended file's inputs lack $f: $(cat mnt/audit/lineage/joined.json)"
done
umount_volume
