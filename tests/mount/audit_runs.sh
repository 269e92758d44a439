#!/bin/bash
# /audit/runs: each process group is a run of its own, what it did is in its
# documents and nothing else is; who may not see the ledger sees his own runs.
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume -o allow_other
r=mnt/audit/runs

# run_of PATH: the run whose changes name the path
run_of() {
	local d
	for d in "$r"/*/; do
		jq -r .path_then "$d/changes.jsonl" | grep -qx "$1" && basename "$d"
	done
}

echo input >mnt/in
setsid -w bash -c 'mkdir mnt/one; echo a >mnt/one/a; echo b >mnt/one/b; mv mnt/one/b mnt/one/c
	rm mnt/one/a; chmod 600 mnt/one/c; ln mnt/one/c mnt/one/d; cat mnt/in >mnt/one/copy'
setsid -w bash -c 'cat mnt/in | tr a-z A-Z | tee mnt/upper >/dev/null'
vouch sync mnt || fail "vouch sync"

one=$(run_of one/copy)
two=$(run_of upper)
same "one run changed one/copy" "$(wc -w <<<"$one")" 1
same "one run changed upper" "$(wc -w <<<"$two")" 1
[ "$one" != "$two" ] || fail "two process groups are one run: $one"
[[ $one == bash.* ]] || fail "the run is called $one, not bash.N"

# what only looked is not listed, and found by its name
setsid -w bash -c 'setsid -w touch mnt/touched; true' # its parent only waits
vouch sync mnt
for d in $(vouch query mnt "SELECT run FROM runs WHERE run NOT IN ('$one', '$two')" --format=csv | tail -n +2 | tr -d '"\r'); do
	changes=$(grep -c . "$r/$d/changes.jsonl")
	listed=$(ls "$r" | grep -cx "$d")
	[ "$changes" -gt 0 ] && echo "changed $listed" || echo "looked $listed"
done | sort -u >listed
same "who changed something is listed" "$(grep changed listed)" "changed 1"
grep -q 'looked 0' listed || fail "nobody only looked: $(cat listed)"
grep -q 'looked 1' listed && fail "who only looked is listed: $(ls "$r")"
same "vouch itself" "$(ls "$r" | grep -c '^vouch-mount\.1$')" 1

# the summary counts what was done, and only that
jq -e . "$r/$one/summary.json" >summary || fail "summary.json is no JSON"
same "format" "$(jq -r .format summary)" vouchfs-run-1
same "implicit" "$(jq -r .implicit summary)" true
same "run" "$(jq -r .run summary)" "$one"
same "directories made" "$(jq .changed.directories_made summary)" 1
same "files made" "$(jq .changed.files_made summary)" 3
same "removed" "$(jq .changed.removed summary)" 1
same "renamed" "$(jq .changed.renamed summary)" 1
same "linked" "$(jq .changed.linked summary)" 1
same "versions" "$(jq .changed.versions summary)" 3
same "bytes" "$(jq .changed.bytes summary)" 10
same "inodes" "$(jq .changed.inodes summary)" 4
same "membership" "$(jq -c '.membership | keys' summary)" '["process group"]'
same "versions by strength" "$(jq '[.attribution[]] | add' summary)" 3

# changes: in order, by programs of this run alone
jq -r .kind "$r/$one/changes.jsonl" >kinds || fail "changes.jsonl is no JSON"
same "first change" "$(head -n 1 kinds)" create
same "renames" "$(grep -c '^rename$' kinds)" 1
jq -r .path_then "$r/$one/changes.jsonl" | grep -qx upper &&
	fail "the other run's change is in changes.jsonl"
same "opened" "$(jq -r .path "$r/$one/opened.jsonl")" in
same "opened by" "$(jq -r '.by.argv[0]' "$r/$one/opened.jsonl")" cat
jq -e '.path == "in" and .strength == "exact"' "$r/$two/opened.jsonl" >/dev/null ||
	fail "a pipeline is one run: $(cat "$r/$two/opened.jsonl")"

# it stays after a new mount and a new index
umount_volume
vouch reindex vol >/dev/null || fail "vouch reindex"
mount_volume -o allow_other
jq . "$r/$one/summary.json" >again
cmp summary again || fail "another summary after reindex"
expect "tar" tar -C "$r" -cf runs.tar "$one"
same "sizes are right" "$(tar -xOf runs.tar "$one/summary.json" | cmp - "$r/$one/summary.json" && echo same)" same

# other people see their own runs
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir mnt/open && chmod 777 mnt/open
	as() { setpriv --reuid=65534 --regid=65534 --clear-groups setsid -w bash -c "$1"; }
	chmod 755 . mnt
	as 'echo x >mnt/open/theirs'
	vouch sync mnt
	theirs=$(run_of open/theirs)
	same "nobody sees" "$(as 'ls mnt/audit/runs' | grep -vx "$theirs" | wc -l)" 0
	same "nobody reads" "$(as "jq -r .uid mnt/audit/runs/$theirs/summary.json")" 65534
	as "cat mnt/audit/runs/$one/summary.json" >stolen 2>err && fail "nobody reads another's run"
	# the kernel may know the name still, from who may see it
	grep -qE 'No such file|Permission denied' err || fail "words: $(cat err)"
else
	echo "not root, or no setpriv: other people's view was not tried"
fi
same "no such run" "$(cat "$r/bash.999999/summary.json" 2>&1 | grep -c 'No such file')" 1
umount_volume
