#!/bin/bash
# tests/bench.sh BUILD [WORD]: runs the benchmarks, one after another: the
# programs bench_* of tests/bench, then its scripts.  Other programs there are
# tools of the scripts, on their PATH.  See tests/README.md.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) && cd "$top" || exit 1
export TOP=$top BUILD=$top/$1 VOUCH=$top/$1/vouch VOUCH_CHECK=$top/$1/vouch-check
export PATH=$BUILD:$BUILD/tests/bench:$PATH:/usr/sbin:/sbin
word=${2:-}
base=${TMPDIR:-/tmp}
failed=0
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
exit $failed
