# What an operation costs when the volume has ten, a hundred, a thousand times
# as many files: the volume grows, and at each size a few operations are
# timed.  It grows by grow.c, without the kernel, which takes a minute for each
# million; SCALE=N: the largest (10000000: 20 million entries, 14 GB, and some
# twenty minutes).  Each file is an inode, a name, a version and two entries.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

most=${SCALE:-1000000}
[ -z "${QUICK:-}" ] || most=${SCALE:-10000}
need_space $((4000 + most / 500))
asks scale || exit 0
sample=200 synced=100

# COMMAND prints the seconds of AMOUNT operations, or of one (EACH)
timed() { # LEVEL KEY AMOUNT EACH COMMAND...
	local level=$1 key=$2 amount=$3 each=$4 cpu took
	shift 4
	cpu=$(cpu_of mnt)
	took=$("$@") || { echo "failed: $*"; failed=1; return; }
	rest mnt
	figure "$level" "$key" "$(awk -v t="${took%% *}" -v n="${each:-$amount}" 'BEGIN { print t * 1e6 / n }')"
	figure "$level" "cpu.$key" "$(awk -v a="$cpu" -v b="$(cpu_of mnt)" -v n="$amount" \
		'BEGIN { print (b - a) * 1e6 / n }')"
}

level() { # FILES BEFORE
	local n=$1 fill=$(($1 - $2)) r
	vouch umount mnt && grow vol fill.$n $fill 4 100 >/dev/null && mount_it || exit 1
	rest mnt
	for ((r = 0; r < rounds; r++)); do
		timed $n create $sample "" names make mnt/c $sample 1
		timed $n sync $synced 1 names sync mnt/s $synced 1
		cold
		timed $n stat $sample "" names some mnt/fill.$n $((fill / 4)) $sample
		figure $n mount "$(tail -n 1 mounts)"
		timed $n remove $sample "" names remove mnt/c
		rm -r mnt/s
	done
	figure $n rss "$(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/${pid[mnt]}/status")"
	figure $n hwm "$(awk '/^VmHWM/ { print $2 / 1024 }' "/proc/${pid[mnt]}/status")"
	printf '%9d' "$n"
	for key in create stat sync remove; do
		printf ' %9.0f %8s' "$(median $n $key)" "($(median $n cpu.$key | cut -d. -f1))"
	done
	printf ' %9.2f %7.0f %7.0f\n' "$(median $n mount)" "$(median $n rss)" "$(median $n hwm)"
}

start_ours
printf '%9s %9s %8s %9s %8s %9s %8s %9s %8s %9s %7s %7s\n' files \
	create '(CPU)' 'stat cold' '(CPU)' fsync '(CPU)' remove '(CPU)' 'mount, s' RSS peak
before=0
for ((n = 1000; n <= most; n *= 10)); do
	level $n $before
	before=$n
done
echo "microseconds for each, CPU of the daemon in brackets; MiB"
for key in create stat sync remove; do
	fact "scale: $key at $before files, of that at 1000" \
		"$(median $before $key) / $(median 1000 $key)" x "<=2"
	fact "scale: CPU of $key, likewise" \
		"$(median $before cpu.$key) / $(median 1000 cpu.$key)" x
done
fact "scale: mount with $before files" "$(median $before mount)" s "<=2"
vouch umount mnt && fact "scale: entries in the log, verified" \
	"$(vouch verify vol --format=json | sed 's/.*"entries":\([0-9]*\).*/\1/')" entries
finish
