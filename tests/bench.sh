#!/bin/bash
# tests/bench.sh BUILD [WORD]: runs the benchmarks, one after another: the
# programs bench_* of tests/bench, then its scripts, those whose name contains
# WORD.  Other programs there are tools of the scripts, on their PATH.  See
# tests/README.md.
#
# QUICK=1: small sizes, a minute or two in all, for developing; the figures
# that count need an idle machine.  TMPDIR says which disk is measured.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) && cd "$top" || exit 1
export TOP=$top BUILD=$top/$1 VOUCH=$top/$1/vouch VOUCH_CHECK=$top/$1/vouch-check
word=${2:-}
base=${TMPDIR:-/tmp}
failed=0

# Ours alone: a build that goes on meanwhile changes nothing.
own=$(mktemp -d "$base/vouch-bench-bin.XXXXXX") || exit 1
trap 'rm -rf "$own"' EXIT
cp "$VOUCH" "$VOUCH_CHECK" "$(dirname "$VOUCH")/vouch-git" "$own" &&
	find "$BUILD/tests/bench" -maxdepth 1 -type f -exec cp -t "$own" {} + || exit 1
export VOUCH=$own/vouch VOUCH_CHECK=$own/vouch-check PATH=$own:$PATH:/usr/sbin:/sbin
export RESULTS=$own/results
: >"$RESULTS"

describe() {
	local flag has=
	for flag in sha_ni aes avx2 avx512f sha2 asimd; do
		grep -qwm1 "$flag" /proc/cpuinfo && has+=" $flag"
	done
	echo "machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' \
		/proc/cpuinfo | head -n 1), flags:${has:- none of sha_ni aes avx2 avx512f}"
	echo "         $(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 2^20 }' \
		/proc/meminfo), Linux $(uname -r)," \
		"disk: $(df -T "$base" | awk 'NR == 2 { print $2 " on " $1 }')"
	echo "load:    $(cut -d' ' -f1-3 /proc/loadavg)${QUICK:+, QUICK sizes}"
}

left_mounted() {
	awk -v d="$TMPDIR/" 'index($5 "/", d) == 1 { print $5 }' \
		/proc/self/mountinfo | tac | while read -r point; do
		echo "left mounted: $point"
		fusermount3 -uz "$point" 2>/dev/null || umount -l "$point"
	done
}

describe
for bench in "$own"/bench_* tests/bench/*.sh; do
	name=${bench##*/}
	[[ -f $bench && $name == *"$word"* && $name != lib.sh ]] || continue
	echo "== $name"
	started=$SECONDS
	TMPDIR=$(mktemp -d "$base/vouch-bench.XXXXXX") || exit 1
	export TMPDIR
	case $name in
	*.sh) (cd "$TMPDIR" && bash "$top/$bench") ;;
	*) "$bench" ;;
	esac || { echo "FAILED: $name"; failed=1; }
	left_mounted
	rm -rf --one-file-system "$TMPDIR"
	echo "($((SECONDS - started)) s)"
done
echo "== targets: $(grep -c ^ok "$RESULTS") met, $(grep -c ^MISSED "$RESULTS") missed"
awk -F'\t' '$1 == "MISSED" { printf "MISSED  %-58s %-14s %s\n", $2, $3, $4 }' "$RESULTS"
echo "load:    $(cut -d' ' -f1-3 /proc/loadavg) at the end"
exit $failed
