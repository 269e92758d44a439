# vouch undo of 10 changes in a tree of many files, beside one of 10: it costs
# what the run changed.  Two volumes, in turns; the status of `vouch run` and
# of the undo's own start is in both.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

files=100000
[ -z "${QUICK:-}" ] || files=10000
asks undo || exit 0

prepare() { # NAME FILES
	mkdir -p "$1.mnt" && vouch init "$1.vol" >/dev/null && vouch mount "$1.vol" "$1.mnt" &&
		names make "$1.mnt/f" "$2" 4 >/dev/null && mkdir "$1.mnt/w" && vouch sync "$1.mnt"
}
one_undo() { # NAME ROUND
	local i
	for i in $(seq 10); do echo "$2 $i" >"$1.mnt/w/$i"; done
	vouch run -q --name=change --in="$1.mnt" -- bash -c "for i in \$(seq 10); do echo changed >>$1.mnt/w/\$i; done" || exit 1
	cat "$1.mnt/audit/status.json" >/dev/null
	figure undo "$1" "$(work run vouch undo "change.$2" --in="$1.mnt")"
	[ "$(cat "$1.mnt/w/10")" = "$2 10" ] || { echo "undo of $1 did nothing" >&2; exit 1; }
}

prepare big $files || exit 1
prepare small 10 || exit 1
for ((r = 1; r <= 3 * rounds; r++)); do
	one_undo big $r
	one_undo small $r
done
fact "undo of 10 changes: $files files, of 10 files" "$(median undo big) / $(median undo small)" x "<=1.2"
fact "undo of 10 changes among $files files" "1000 * $(median undo big)" ms "<=100"
vouch umount big.mnt
vouch umount small.mnt
finish
