# lib.sh: sourced by the scripts here.  Sides, which are places to work in;
# rows, which are work done in each of them, in turns; facts, which are single
# figures; and the tables of all that, with the targets (table.awk).
#
#     native    a directory beside the store
#     mem       a file system in memory: the limit of FUSE (memfs.c)
#     pass      a plain pass-through to the same disk (passfs.c)
#     goc       gocryptfs, when it is installed
#     mnt       ours
# shellcheck shell=bash

export VOUCHFS_GUARD_DIR=$PWD/guard
here=$PWD
read -r disk < <(findmnt -no MAJ:MIN -T .)
disk=/sys/dev/block/$disk
failed=0
turn=0
rounds=${ROUNDS:-3}
sides=(native mem pass goc mnt)
declare -A pid=() store=([native]=native [mem]=mem [pass]=pass.d [goc]=goc.d [mnt]=vol)
mkdir "${sides[@]}" pass.d goc.d counts
: >figures >rows >facts >mounts

# --- starting and ending ---

is_mounted() {
	grep -q " $here/$1 fuse" /proc/mounts
}

# SIDE COMMAND...: a daemon that stays in the foreground, on $here/SIDE
start_peer() {
	local side=$1 i
	shift
	"$@" 2>"$side.log" &
	pid[$side]=$!
	for ((i = 0; i < 100; i++)); do
		! is_mounted "$side" || return 0
		sleep 0.1
	done
	echo "$1 does not mount: $(tail -n 1 "$side.log")"
	return 1
}

start_all() {
	trap stop_all EXIT
	vouch init vol >/dev/null && mount_it || exit 1
	start_peer mem memfs "$here/mem" counts/mem &&
		start_peer pass passfs pass.d "$here/pass" counts/pass || exit 1
	same_read_ahead
	if ! command -v gocryptfs >/dev/null; then
		echo "gocryptfs is not installed: no column"
	elif gocryptfs -q -init -scryptn 10 -extpass "echo bench" goc.d &&
		start_peer goc gocryptfs -q -fg -nosyslog -extpass "echo bench" \
			"$here/goc.d" "$here/goc"; then
		return
	fi
	sides=(native mem pass mnt)
}

device_of() { # SIDE: MAJOR:MINOR of what is mounted there
	awk -v d="$here/$1" '$5 == d { print $3 }' /proc/self/mountinfo
}

# The kernel reads as far ahead of the yardsticks as of ours, which, when it
# may, has asked for more once the kernel knew it.
same_read_ahead() {
	local side kib
	sleep 0.3
	kib=$(cat "/sys/class/bdi/$(device_of mnt)/read_ahead_kb") || return
	for side in mem pass; do
		echo "$kib" 2>/dev/null >"/sys/class/bdi/$(device_of $side)/read_ahead_kb"
	done
}

# Ours alone.
start_ours() {
	trap stop_all EXIT
	sides=(mnt)
	vouch init vol >/dev/null && mount_it || exit 1
}

mount_it() {
	local start=$EPOCHREALTIME
	vouch mount vol mnt || return 1
	awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }' >>mounts
	pid[mnt]=$(vouch status vol --format=json | sed 's/.*"pid":\([0-9]*\).*/\1/')
}

stop_all() {
	local status=$? side
	cd "$here" || exit 1
	for side in mem pass goc; do
		! is_mounted $side || fusermount3 -u $side 2>/dev/null ||
			umount $side || umount -l $side
	done
	[ -z "${pid[mem]:-}${pid[pass]:-}${pid[goc]:-}" ] || wait
	! is_mounted mnt || vouch umount mnt ||
		{ tail -n 5 vol/vouch.log; umount -l mnt; }
	exit $status
}

# FREE: so many MiB are needed here, or nothing is measured
need_space() {
	[ "$(df -m --output=avail . | tail -n 1)" -ge "$1" ] ||
		{ echo "$1 MiB are needed here"; exit 1; }
}

# --- what a side has cost so far ---

cpu_of() { # SIDE: seconds of CPU of its daemon
	[ -n "${pid[$1]:-}" ] || return
	cat /proc/"${pid[$1]}"/task/*/schedstat 2>/dev/null |
		awk '{ s += $1 } END { printf "%.6f", s / 1e9 }'
}

kinds_of() { # SIDE: its requests, by kind
	case $1 in
	mnt) vouch status vol --format=json |
		sed 's/.*"requests":{\([^}]*\)}.*/\1/' | tr -d '"' | tr ',:' '\n ' ;;
	mem | pass) od -An -v -t u8 -w8 "counts/$1" |
		awk '{ n[(NR - 1) % 64] += $1 } END { for (k in n) print k, n[k] }' ;;
	esac
}

# Flushes that the disk has done; nothing when it does not say.
flushes() {
	awk '{ print $16 }' "$disk/stat" 2>/dev/null
}

# Until our daemon rests, five seconds at most; other's dirty pages are written.
rest() { # SIDE
	local i before after
	case $1 in
	native | pass | goc) sync -f native ;;
	mnt)
		vouch sync vol >/dev/null
		before=$(cpu_of mnt)
		for ((i = 0; i < 50; i++)); do
			sleep 0.1
			after=$(cpu_of mnt)
			[ "${after%????}" != "${before%????}" ] || return
			before=$after
		done ;;
	esac
}

# Nothing of what was done is in any cache.
cold() {
	vouch umount mnt && mount_it || exit 1
	sync -f .
	if ! echo 3 2>/dev/null >/proc/sys/vm/drop_caches; then
		[ -e warm ] || echo "the kernel's caches cannot be dropped: not quite cold"
		: >warm
	fi
}

# --- rows and facts ---

# Is one of these rows wanted?
asks() { # NAME...
	local name
	for name in "$@"; do
		[[ ! $name =~ ${W:-.} ]] || return 0
	done
	return 1
}

# [on="SIDE..."] [each=1] [needed=1] row NAME UNIT AMOUNT TARGETS COMMAND...
# A word of COMMAND that starts with @ is in the side's directory, % is its
# store.  COMMAND prints the seconds it took (each=1: for one of AMOUNT) and
# maybe more numbers; exit 77: not here.  needed=1: done, if not measured,
# when W does not ask for it.
row() {
	local name=$1 i side run=one
	if ! asks "$name"; then
		[ -n "${needed:-}" ] || return 0
		run=quietly
	elif ! grep -qF "$1"$'\t' rows; then
		printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "${each:-}" >>rows
	fi
	shift 4
	# Who comes first changes, so no side always finds the disk busy.
	turn=$((turn + 1))
	for ((i = 0; i < ${#sides[@]}; i++)); do
		side=${sides[(i + turn) % ${#sides[@]}]}
		[[ " ${on:-${sides[*]}} " == *" $side "* ]] || continue
		placed "$side" "$@"
		$run "$name" "$side" "${command[@]}"
	done
}

placed() { # SIDE COMMAND...: sets command
	local side=$1
	shift
	command=("${@/#@\//$here/$side/}")
	command=("${command[@]/#%/$here/${store[$side]}}")
}

figure() { # NAME KEY VALUE
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>figures
}

one() { # NAME SIDE COMMAND...
	local name=$1 side=$2 cpu flushed out status i=2 word
	shift 2
	[ "$side" != mnt ] || echo 5 2>/dev/null >"/proc/${pid[mnt]}/clear_refs"
	kinds_of "$side" >kinds
	flushed=$(flushes)
	cpu=$(cpu_of "$side")
	out=$("$@" 2>err)
	status=$?
	[ -z "$flushed" ] || figure "$name" "flush.$side" $(($(flushes) - flushed))
	rest "$side"
	[ -z "$cpu" ] || figure "$name" "cpu.$side" \
		"$(awk -v a="$cpu" -v b="$(cpu_of "$side")" 'BEGIN { print b - a }')"
	kinds_of "$side" | awk -v OFS='\t' -v name="$name" -v side="$side" '
		NR == FNR { old[$1] = $2; next }
		$2 > old[$1] { all += $2 - old[$1]
			if (side == "mnt") print name, "kind." $1, $2 - old[$1] }
		END { if (FNR) print name, "req." side, all + 0 }' kinds - >>figures
	[ "$side" != mnt ] || figure "$name" hwm \
		"$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/${pid[mnt]}/status")"
	if [ $status = 0 ]; then
		figure "$name" "time.$side" "${out%% *}"
		for word in ${out#"${out%% *}"}; do
			figure "$name" "$i.$side" "$word"
			i=$((i + 1))
		done
	elif [ $status != 77 ]; then
		echo "failed on $side: $*: $(head -n 3 err)"
		failed=1
	fi
}

quietly() { # NAME SIDE COMMAND...
	local side=$2
	shift 2
	"$@" >/dev/null 2>err || [ $? = 77 ] ||
		{ echo "failed on $side: $*: $(head -n 3 err)"; failed=1; }
}

everywhere() { # [on=...] COMMAND...: as in a row, not measured
	local side
	for side in "${sides[@]}"; do
		[[ " ${on:-${sides[*]}} " == *" $side "* ]] || continue
		placed "$side" "$@"
		quietly - "$side" "${command[@]}"
		rest "$side"
	done
}

# Median of what a row gave: time.SIDE, cpu.SIDE, or 2.SIDE, its second number
median() { # NAME KEY
	awk -F'\t' -v n="$1" -v w="$2" '$1 == n && $2 == w { print $3 }' figures |
		sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

# A figure of its own.  VALUE is an awk expression; nothing is said when
# something in it is not there.  TARGET is >=N, <=N, or nothing.
fact() { # NAME EXPRESSION UNIT [TARGET]
	local value
	value=$(awk "BEGIN { print $2 }" 2>/dev/null) || return 0
	[ -z "$value" ] || printf '%s\t%s\t%s\t%s\n' "$1" "$value" "$3" "${4:-}" >>facts
}

# What the store takes up, in bytes, with everything committed.  What lies in
# wal/ counts until it is moved, not the room that is kept there.
stored() {
	rest mnt
	work space vol >all
	work space vol/wal >kept
	echo $(($(cat all) - $(cat kept) + $(vouch status vol --format=json |
		sed 's/.*"unsettled_bytes":\([0-9]*\).*/\1/')))
}

# All tables; the exit status of the script.
finish() {
	local kind
	for kind in time cost requests facts; do
		awk -v kind=$kind -v goc="${pid[goc]:-}" -v results="${RESULTS:-/dev/null}" \
			-f "$TOP/tests/bench/table.awk" figures rows facts
	done
	exit $failed
}
