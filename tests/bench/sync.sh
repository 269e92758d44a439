# What is made durable: lone files, many waiting at once, beside a stream, and
# SQLite.  Nothing is durable in memory, so memfs is not among the sides.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

lone=300 stream=15 minute=60000 own=3000 waiting="1 2 4 8 16 32 64"
[ -z "${QUICK:-}" ] || { lone=60 stream=3 minute=2000 own=500 waiting="1 8 64"; }
need_space 20000

lone_ones() { # ROUND
	on="native pass goc mnt" each=1 row "create + fsync, lone, p50" file $lone \
		"pass>=1.43 flush<=1.2" names sync @/l $lone 1
	on="native pass goc mnt" row "create + fsync, 8 processes" file $((lone * 4)) \
		"pass>=1.43" names sync @/c $((lone * 4)) 8
	everywhere rm -rf @/l @/c
}

beside() { # DIR: an fsync, lone, while another file is written
	mkdir "$1" && work stream "$1/stream" $stream >"$here/streamed" &
	sleep 1
	names sync "$1/s" $lone 1
	wait $!
}

beside_stream() {
	asks "create + fsync beside a stream, p50" || return
	on="native pass mnt" each=1 row "create + fsync beside a stream, p50" file \
		$lone "" beside @/q
	everywhere rm -rf @/q
}

curve() {
	local n each
	for n in $waiting; do
		[ "$n" = 1 ] && each=1 || each=
		on="native pass mnt" row "$n waiting for fsync" file $((lone + n * 20)) \
			"" names sync @/w $(((lone + n * 20) / n * n)) "$n"
		everywhere rm -rf @/w
	done
}

# What is superseded goes, and what was synced between two versions.
compact() {
	vouch gc vol --threshold=95 --drop-saves >gc.log 2>&1 ||
		{ cat gc.log; failed=1; }
}

steadily() {
	local before
	asks "SQLite, 1000/s for $((minute / 1000)) s" || return
	compact # what other rows left
	before=$(stored)
	on=mnt row "SQLite, 1000/s for $((minute / 1000)) s" tx $minute "rate>=990" \
		transactions @/d2 $minute 1000 normal
	figure SQLite grown $(($(stored) - before))
	vouch retain set vol "/d2*" --versions=1 >gc.log 2>&1 || cat gc.log
	compact
	figure SQLite compacted $(($(stored) - before))
}

databases() {
	on="native pass mnt" row "SQLite, a transaction each ms" tx $((minute / 10)) "" \
		transactions @/d1 $((minute / 10)) 1000 normal
	steadily
	on="native pass mnt" row "SQLite, each one synced" tx $own "" \
		transactions @/d3 $own 0 full
	on="native pass mnt" row "SQLite, rollback journal" tx $own "" \
		transactions @/d4 $own 0 rollback
}

start_all
for ((r = 1; r <= rounds; r++)); do
	lone_ones
done
beside_stream
curve
databases
for side in native pass mnt; do
	[ $side = mnt ] && target="<=3" || target=
	fact "fsync beside a stream: p99, of the lone one's p99, $side" \
		"$(median "create + fsync beside a stream, p50" 2.$side) / $(median "create + fsync, lone, p50" 2.$side)" \
		x $target
done
# The curve: of one process the row's time is the median.
for n in $waiting; do
	[ "$n" = 1 ] && p50=time p99=2 || p50=2 p99=3
	for side in pass mnt; do
		fact "$n waiting for fsync: p50 of one file, $side" \
			"1000 * $(median "$n waiting for fsync" $p50.$side)" ms
		fact "$n waiting for fsync: p99 of one file, $side" \
			"1000 * $(median "$n waiting for fsync" $p99.$side)" ms
	done
done
name="SQLite, 1000/s for $((minute / 1000)) s"
fact "SQLite: bytes stored, of the bytes written" \
	"$(median SQLite grown) / $(median "$name" 4.mnt)" x "<=4"
fact "SQLite: after vouch gc --drop-saves, of that" \
	"$(median SQLite compacted) / $(median SQLite grown)" x "<=0.99"
fact "SQLite: longest transaction" "1000 * $(median "$name" 3.mnt)" ms
finish
