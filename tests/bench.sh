#!/bin/bash
# tests/bench.sh BUILD [WORD]: runs the benchmarks, one after another: the
# programs bench_* of tests/bench, then its scripts.  Other programs there are
# tools of the scripts, on their PATH.  See tests/README.md.
#
# QUICK=1: small sizes, about a minute in all, for developing; the figures
# that count need an idle machine.  TMPDIR says which disk is measured.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) && cd "$top" || exit 1
export TOP=$top BUILD=$top/$1 VOUCH=$top/$1/vouch VOUCH_CHECK=$top/$1/vouch-check
export PATH=$BUILD:$BUILD/tests/bench:$PATH:/usr/sbin:/sbin
word=${2:-}
base=${TMPDIR:-/tmp}
failed=0

# Ours alone: a build that goes on meanwhile changes nothing.
own=$(mktemp -d "$base/vouch-bench-bin.XXXXXX") || exit 1
trap 'rm -rf "$own"' EXIT
cp "$VOUCH" "$VOUCH_CHECK" "$own" || exit 1
VOUCH=$own/vouch VOUCH_CHECK=$own/vouch-check PATH=$own:$PATH

describe() {
	local flag has=
	for flag in sha_ni avx2 avx512f sha2 asimd; do
		grep -qwm1 "$flag" /proc/cpuinfo && has+=" $flag"
	done
	echo "machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' \
		/proc/cpuinfo | head -n 1), flags:${has:- none of sha_ni avx2 avx512f}"
	echo "         $(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 2^20 }' \
		/proc/meminfo), Linux $(uname -r)," \
		"disk: $(df -T "$base" | awk 'NR == 2 { print $2 " on " $1 }')"
	echo "load:    $(cut -d' ' -f1-3 /proc/loadavg)${QUICK:+, QUICK sizes}"
}
describe
for bench in "$1"/tests/bench/bench_* tests/bench/*.sh; do
	[[ -f $bench && $bench == *"$word"* && $bench != */lib.sh ]] || continue
	echo "== ${bench##*/}"
	TMPDIR=$(mktemp -d "$base/vouch-bench.XXXXXX") || exit 1
	export TMPDIR
	case $bench in
	*.sh) (cd "$TMPDIR" && bash "$top/$bench") ;;
	*) "$top/$bench" ;;
	esac || { echo "FAILED: $bench"; failed=1; }
	awk -v d="$TMPDIR/" 'index($5 "/", d) == 1 { print $5 }' \
		/proc/self/mountinfo | tac | while read -r point; do
		echo "left mounted: $point"
		fusermount3 -uz "$point" 2>/dev/null || umount -l "$point"
	done
	rm -rf --one-file-system "$TMPDIR"
done
echo "load:    $(cut -d' ' -f1-3 /proc/loadavg) at the end"
exit $failed
