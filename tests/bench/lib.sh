# lib.sh: sourced by the scripts here.  Three places to work in (native, mem,
# mnt), rows of work that are measured in each, the table of their medians.
# shellcheck shell=bash

export VOUCHFS_GUARD_DIR=$PWD/guard
failed=0
turn=0
peak=0
work_dir=$PWD
declare -A amount unit
order=()

# Sides are what is compared; each is a directory here.
sides=(native mem mnt)

start_all() {
	mkdir native mem mnt || return 1
	vouch init vol >/dev/null && mount_it || return 1
	setsid memfs "$PWD/mem" &
	memfs_pid=$!
	trap stop_all EXIT
	for _ in {1..50}; do
		! grep -q " $PWD/mem fuse" /proc/mounts || return 0
		sleep 0.1
	done
	echo "memfs does not mount"
	return 1
}

mount_it() {
	local start=$EPOCHREALTIME
	vouch mount vol mnt || return 1
	awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }' >>mounts
	daemon=$(vouch status mnt --format=json | sed 's/.*"pid":\([0-9]*\).*/\1/')
}

stop_all() {
	local status=$?
	cd "$work_dir" || exit 1
	grep -q " $PWD/mem fuse" /proc/mounts &&
		{ fusermount3 -u mem 2>/dev/null || umount mem; }
	wait "$memfs_pid"
	! grep -q " $PWD/mnt fuse" /proc/mounts || vouch umount mnt ||
		{ tail -n 5 vol/vouch.log; umount -l mnt; }
	exit $status
}

# CPU time of the daemon so far, in ticks of 10 ms.
ticks() {
	sed 's/.*) //' "/proc/$daemon/stat" | awk '{ print $12 + $13 }'
}

note_peak() { # sets hwm, in MiB
	hwm=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$daemon/status")
	[ "$hwm" -le $peak ] || peak=$hwm
}

# Until the daemon rests, five seconds at most.
rest() {
	local i before after
	vouch sync mnt >/dev/null
	before=$(ticks)
	for ((i = 0; i < 50; i++)); do
		sleep 0.1
		after=$(ticks)
		[ $((after - before)) -gt 0 ] || return
		before=$after
	done
}

# row NAME UNIT AMOUNT COMMAND...: @ in it is the directory to work in.  It
# prints the seconds it took; 77: not on this side.
row() {
	local name=$1 i side
	[[ $name =~ ${W:-.} ]] || name=$1-not-asked
	if [ -z "${unit[$1]:-}" ] && [ "$name" = "$1" ]; then
		order+=("$name")
		amount[$name]=$3
		unit[$name]=$2
	fi
	shift 3
	# Who comes first changes, so no side always finds the disk busy.
	turn=$((turn + 1))
	for ((i = 0; i < ${#sides[@]}; i++)); do
		side=${sides[(i + turn) % ${#sides[@]}]}
		one "$name" "$side" "${@/@\//$PWD/$side/}"
	done
}

one() { # NAME SIDE COMMAND...
	local name=$1 side=$2 before took status
	shift 2
	if [ "$side" = mnt ]; then
		echo 5 2>/dev/null >"/proc/$daemon/clear_refs"
		before=$(ticks)
	fi
	took=$("$@" 2>err)
	status=$?
	if [ "$side" = mnt ]; then
		rest
		note_peak
		printf '%s\t%s\t%s\n' "$name" cpu $(($(ticks) - before)) \
			"$name" hwm "$hwm" >>figures
	elif [ "$side" = native ]; then
		sync -f native
	fi
	if [ $status = 0 ]; then
		printf '%s\t%s\t%s\n' "$name" "$side" "${took%% *}" >>figures
	elif [ $status != 77 ]; then
		echo "failed on $side: $*: $(head -n 3 err)"
		failed=1
	fi
}

everywhere() { # COMMAND..., not measured
	local side
	for side in "${sides[@]}"; do
		"${@/@\//$PWD/$side/}"
	done
	rest
}

# Nothing of what was done is in any cache.
cold() {
	note_peak
	vouch umount mnt && mount_it || exit 1
	sync -f .
	if ! echo 3 2>/dev/null >/proc/sys/vm/drop_caches; then
		[ -e warm ] || echo "the kernel's caches cannot be dropped: not quite cold"
		: >warm
	fi
}

median_of() { # COLUMN FILE
	awk -v c="$1" '{ print $c }' "$2" | sort -g |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

median() { # NAME WHAT
	awk -F'\t' -v n="$1" -v w="$2" '$1 == n && $2 == w { print $3 }' figures |
		sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

table() {
	local name
	printf '%-29s %9s %9s %9s %8s %8s %14s %13s %6s\n' \
		'time, ms' native memfs vouchfs 'x native' 'x memfs' \
		'rate' 'CPU of daemon' 'MiB'
	for name in "${order[@]}"; do
		awk -v name="$name" -v n="$(median "$name" native)" \
			-v m="$(median "$name" mem)" -v v="$(median "$name" mnt)" \
			-v cpu="$(median "$name" cpu)" -v hwm="$(median "$name" hwm)" \
			-v unit="${unit[$name]}" -v amount="${amount[$name]}" \
			-v count="$(count_of "$name")" '
		function ms(x) { return x == "" ? "-" : x * 1000 < 100 ? \
			sprintf("%.2f", x * 1000) : sprintf("%.0f", x * 1000) }
		function ratio(x, y) { return x == "" || y == "" || y == 0 ? "-" : \
			sprintf("%.2f", x / y) }
		BEGIN {
			rate = v > 0 ? sprintf("%.0f %s/s", amount / v, unit) : "-"
			printf "%-29s %9s %9s %9s %8s %8s %14s %13s %6s\n", name,
				ms(n), ms(m), ms(v), ratio(v, n), ratio(v, m), rate,
				sprintf("%.0f us/%s", cpu * 1e4 / count, unit), hwm }'
	done
	printf '%s\n' "mount: $(median_of 1 mounts) s; daemon's peak memory (VmHWM): $peak MiB"
}

# How many were done while the daemon's CPU was counted.
count_of() {
	case $1 in
	"create + fsync"*) echo "$lone" ;;
	SQLite*) awk -v s="$seconds" -v t="$(median "$1" mnt)" \
		'BEGIN { print (t > 0 ? s * 1000 / t : 1) }' ;;
	*) echo "${amount[$1]}" ;;
	esac
}
