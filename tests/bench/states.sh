# vouch diff of a run and of two states, vouch blame, vouch snapshot: with few
# files, with many, and with few and a long history.  They cost what changed:
# so all three are the same.  Three volumes, in turns.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

files=10000
[ -z "${QUICK:-}" ] || files=3000
asks diff blame snapshot states || exit 0

prepare() { # NAME FILES
	mkdir -p "$1.mnt" && vouch init "$1.vol" >/dev/null && vouch mount "$1.vol" "$1.mnt" &&
		names make "$1.mnt/f" "$2" 4 >/dev/null && mkdir "$1.mnt/w" &&
		seq 400 >"$1.mnt/w/lines" && vouch sync "$1.mnt"
}
# What came and went before: twice as many entries as there are files elsewhere.
history() { # NAME
	names make "$1.mnt/gone" $files 4 >/dev/null && rm -r "$1.mnt/gone" && vouch sync "$1.mnt"
}
# answers KEY NAME WORD COMMAND...: its seconds; its answer has the word
answers() {
	local key=$1 name=$2 word=$3
	shift 3
	figure "$key" "$name" "$(work run "$@")"
	"$@" | grep -q "$word" || { echo "$key of $name: no $word" >&2; exit 1; }
}
one_round() { # NAME ROUND
	local i m=$1.mnt
	vouch snapshot "$m" "before$2" >/dev/null || exit 1
	vouch run -q --name=change --in="$m" -- bash -c "for i in \$(seq 10); do echo $2 changed >>$m/w/\$i; done
		sed -i '$2s/.*/line of $2/' $m/w/lines" || exit 1
	exec 7>>"$m/w/1" 8>>"$m/w/2" && echo open >&7 && echo open >&8
	cat "$m/audit/status.json" >/dev/null
	figure snapshot "$1" "$(work run vouch snapshot "$m" "after$2")"
	exec 7>&- 8>&-
	answers run "$1" 'w/10$' vouch diff "change.$2" --in="$m" --name-status
	answers states "$1" 'w/10 ' vouch diff "before$2" "after$2" --in="$m" --stat
	answers blame "$1" "line of $2" vouch blame "$m/w/lines"
}

unmount() {
	local volume
	for volume in few many long; do
		! mountpoint -q $volume.mnt || vouch umount $volume.mnt
	done
}
trap unmount EXIT
prepare few 100 && prepare many $files && prepare long 100 && history long || exit 1
for ((r = 1; r <= 2 * rounds; r++)); do
	for volume in few many long; do
		one_round $volume $r
	done
done
for what in "run:vouch diff RUN" "states:vouch diff WHEN WHEN" "blame:vouch blame" "snapshot:vouch snapshot, two files open"; do
	key=${what%%:*}
	fact "${what#*:}: $files files, of 100" "$(median $key many) / $(median $key few)" x "<=1.2"
	fact "${what#*:}: a history of $((2 * files)) entries more, of none" \
		"$(median $key long) / $(median $key few)" x "<=1.2"
	fact "${what#*:}: among $files files" "1000 * $(median $key many)" ms
done
finish
