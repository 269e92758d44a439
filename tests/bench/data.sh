# Bytes of large files: streams, cold and warm reads, random places, the same
# bytes again.  See tests/README.md; QUICK=1 for small sizes, W=REGEX for some
# rows.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

mib=1024 places=20000
[ -z "${QUICK:-}" ] || { mib=64 places=1000; }
available=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
[ "$available" -ge $((mib * 4)) ] || mib=$((available / 4))
need_space $((mib * 20))
size="$mib MiB"

streams() { # ROUND
	local r=$1
	needed=1 row "write $size unique, fsync" MiB $mib "pass>=1 goc>=2" \
		work write @/u $mib unique "$r"
	needed=1 row "write $size text, fsync" MiB $mib "" \
		work write @/t $mib text "$r"
	cold
	row "read $size unique, cold" MiB $mib "pass>=1" work read @/u
	row "read $size text, cold" MiB $mib "" work read @/t
	row "read $size text, warm" MiB $mib "native>=0.9" work read @/t
}

random() { # ROUND
	local r=$1
	asks "read 4 KiB at random, unique, cold" "read 4 KiB at random, text, cold" \
		"write 4 KiB at random, fsync" || return
	cold
	row "read 4 KiB at random, unique, cold" read $((places / 4)) "pass>=0.5" \
		work pick @/u $((places / 4)) "$r"
	row "read 4 KiB at random, text, cold" read $((places / 4)) "" \
		work pick @/t $((places / 4)) "$r"
	row "write 4 KiB at random, fsync" write $places "pass>=1" \
		work overwrite @/u $places "$r" %
}

# The same bytes once more: written by somebody who does not know, and copied
# by cp(1), which asks the kernel to.
again() { # ROUND
	local r=$1 before on="native pass mnt"
	asks "write $size again, fsync" "cp of $size" || return
	everywhere work write @/first $mib unique "9$r"
	before=$(stored)
	row "write $size again, fsync" MiB $mib "" work write @/second $mib unique "9$r"
	figure "write $size again, fsync" grown $(($(stored) - before))
	row "cp of $size" MiB $mib "" work run cp @/first @/third
	everywhere rm -f @/first @/second @/third
}

start_all
for ((r = 1; r <= rounds; r++)); do
	streams $r
	random $r
	again $r
	everywhere rm -f @/u @/t
done
first=$(median "write $size unique, fsync" time.mnt)
fact "second copy of a large file: its speed, of the first's" \
	"$first / $(median "write $size again, fsync" time.mnt)" x ">=2"
fact "second copy of a large file: more space, of its size" \
	"100 * $(median "write $size again, fsync" grown) / $mib / 2 ^ 20" % "<=1"
# As many bytes again for chunks, entries and the index; a chunk has 16.
fact "random writes: space while open, of the bytes written" \
	"$(median "write 4 KiB at random, fsync" 3.mnt) / $(median "write 4 KiB at random, fsync" 2.mnt)" x "<=2"
finish
